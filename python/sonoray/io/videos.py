"""Videos as arrays, and back: GIF, TIFF, APNG, NumPy's files, folders of pictures, DICOM cine, MP4 and AVI."""

import os
import shutil
import uuid
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import scalar
from ..errors import ArgumentError, FormatError, MissingExtraError
from ._budget import Budget
from ._container import header_of
from ._pillow import admit, frame, n_frames, pictures
from .dicom import is_dicom
from .images import dicom_frames, image_files, read_image, write_image
from .writing import atomic

MOVIES = (".mp4", ".avi", ".mov", ".mkv")
PILED = {".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".apng": "PNG"}
ARRAYS = (".npy", ".npz")
_RATES = (1e-3, 1e5)  # Hz
MOST_BYTES = 2 << 30  # of a movie, whose size says nothing about its frames
_RATE = 20.0  # Hz, where nobody says
_GIF_RATE = 50.0  # Hz


@dataclass(frozen=True)
class Video:
    """Frames and how fast they follow each other.

    Parameters
    ----------
    frames : (n_frames, rows, columns) or (n_frames, rows, columns, 3 or 4), uint8, uint16 or floating point
    frame_rate : float, optional [Hz]
        None: not known.

    Raises
    ------
    ArgumentError
    """

    frames: NDArray[Any]
    frame_rate: float | None = None

    def __post_init__(self) -> None:
        frames = host_array("frames", self.frames)
        if frames.ndim not in (3, 4) or 0 in frames.shape or (frames.ndim == 4 and frames.shape[3] not in (3, 4)):
            raise ArgumentError(
                f"frames: expected (n_frames, rows, columns) or (n_frames, rows, columns, 3 or 4), got {frames.shape}"
            )
        if frames.dtype not in (np.uint8, np.uint16) and frames.dtype.kind != "f":
            raise ArgumentError(f"frames: expected uint8, uint16 or floating point, got {frames.dtype}")
        object.__setattr__(self, "frames", frames)
        if self.frame_rate is not None:
            object.__setattr__(self, "frame_rate", scalar("frame_rate", self.frame_rate, *_RATES, "Hz"))


def read_video(path: Any) -> Video:
    """Read a video; its kind is recognised by its content, movies by their ending.

    Parameters
    ----------
    path : str or path-like
        GIF, TIFF with several pages, APNG, .npy or .npz (``frames``, or the only array; ``frame_rate``), a folder of
        numbered pictures, DICOM, or a movie (.mp4, .avi, .mov, .mkv: extra ``video``).

    Returns
    -------
    Video
        One frame is a video, too. GIF, APNG and movies are uint8, colours as in the file.

    Raises
    ------
    FormatError
        Another kind of file, a damaged one, frames of different sizes, more pixels than the file can honestly hold.
    ArgumentError
        An empty folder.
    MissingExtraError
    """
    place = Path(path)
    if place.is_dir():
        return Video(_stacked(place, (read_image(p) for p in image_files(place))))
    begin = header_of(place)
    if begin.startswith(b"\x93NUMPY"):
        return _checked(place, _npy(place))
    if begin.startswith(b"PK\x03\x04"):
        return _checked(place, *_npz(place))
    if is_dicom(begin):
        return _checked(place, *dicom_frames(place))
    if place.suffix.lower() in MOVIES:
        return _movie(place)
    return _piled(place)


def write_video(path: Any, video: Video) -> None:
    """Write a video; the name's ending says how.

    .gif (256 colours per frame; up to 50 Hz, whose period is rounded to 10 ms: 30 Hz become 33.3), .tif (a page per
    frame), .png or .apng, .npy, .npz, a movie (extra ``video``; with loss), or a name without ending: a folder of
    numbered PNG, which must not be there yet.

    Parameters
    ----------
    path : str or path-like
    video : Video
        uint8; uint16 grey for .tif and folders, anything for .npy and .npz.

    Raises
    ------
    ArgumentError
        Another ending, a type that the format does not hold, or a GIF above 50 Hz.
    MissingExtraError
    """
    check_video_writable(path, video.frames, video.frame_rate)
    target, frames, ending = Path(path), video.frames, Path(path).suffix.lower()
    if ending == "":
        _write_folder(target, frames)
        return
    with atomic(target) as temporary:
        if ending in PILED:
            _write_piled(temporary, PILED[ending], frames, video.frame_rate or _RATE)
        elif ending in ARRAYS:
            with temporary.open("wb") as file:
                if ending == ".npy":
                    np.save(file, frames)
                else:
                    rate: dict[str, Any] = {} if video.frame_rate is None else {"frame_rate": video.frame_rate}
                    np.savez_compressed(file, frames=frames, **rate)
        else:
            _write_movie(temporary, ending, frames, video.frame_rate or _RATE)


def check_video_writable(path: Any, frames: NDArray[Any], frame_rate: float | None = None) -> None:
    """Refuse, before any work, frames, a rate [Hz] or a name that `write_video` could not write."""
    target, ending = Path(path), Path(path).suffix.lower()
    if ending not in (*MOVIES, *PILED, *ARRAYS, ""):
        known = ", ".join((*PILED, *ARRAYS, *MOVIES))
        raise ArgumentError(f"path: expected a name ending in {known}, or without ending, got {target.name!r}")
    deep = ending in (".tif", ".tiff", "") and frames.dtype == np.uint16 and frames.ndim == 3
    if ending not in ARRAYS and frames.dtype != np.uint8 and not deep:
        raise ArgumentError(f"frames: expected uint8 for {ending or 'a folder'}, got {frames.dtype}; .npy holds all")
    if frame_rate is not None:
        scalar("frame_rate", frame_rate, *_RATES, "Hz")
    if ending == ".gif" and frame_rate is not None and frame_rate > _GIF_RATE:
        raise ArgumentError(
            f"frame_rate: expected at most {_GIF_RATE:g} Hz for .gif, whose times are in 10 ms and which viewers show "
            f"no faster, got {frame_rate:g}; .apng holds all"
        )
    if ending == "" and target.exists():
        raise ArgumentError(f"path: expected a folder that is not there yet, got {target}")
    if ending in MOVIES:
        _imageio()  # there or not


def _stacked(path: Path, frames: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """One array; grey frames among colours become colours."""
    found: list[NDArray[Any]] = []
    for image in frames:
        if found and (image.shape[:2], image.dtype) != (found[0].shape[:2], found[0].dtype):
            raise FormatError(
                f"{path}: expected frames of one size and type, got {found[0].shape} {found[0].dtype} and then "
                f"{image.shape} {image.dtype}"
            )
        found.append(image)
    channels = {1 if image.ndim == 2 else image.shape[2] for image in found}
    if len(channels) > 1:
        found = [np.repeat(i[..., None], 3, axis=2) if i.ndim == 2 else i[..., :3] for i in found]
    return np.stack(found)


def _checked(path: Path, frames: NDArray[Any], rate: float | None = None) -> Video:
    try:
        return Video(frames, rate)
    except ArgumentError as error:
        raise FormatError(f"{path}: {error}") from None


def _piled(path: Path) -> Video:
    with pictures(path) as file:
        n = n_frames(path, file)
        admit(path, file, n)
        frames, durations = [], []
        for k in range(n):
            frames.append(frame(path, file, k))
            durations.append(float(file.info.get("duration", 0) or 0))
    times, rate = _timing(np.array(durations))
    return _checked(path, np.repeat(_stacked(path, frames), times, axis=0), rate)


def _timing(durations: NDArray[np.float64]) -> tuple[NDArray[np.int64], float | None]:
    """How often to show each frame, and the rate [Hz], from durations [ms].

    Writers merge equal frames into one that lasts longer: those come back as several. One that is held for a second
    at the end does not.
    """
    once = np.ones(len(durations), np.int64)
    if len(durations) < 2 or not np.isfinite(durations).all() or not 0.01 < durations.min() <= durations.max() < 1e6:
        return once, None
    times = np.rint(durations / durations.min()).astype(np.int64)
    if times.sum() > 2 * len(times):
        return once, float(1000 / np.median(durations))
    return times, float(1000 * times.sum() / durations.sum())


def _npy(path: Path) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers of Python 2
        try:
            # Mapped first: a header that promises more than the file holds is refused before memory is taken.
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        except MemoryError:
            raise
        except Exception as error:  # the header is Python, in which much can be wrong
            text = f"{type(error).__name__}: {error}"
            raise FormatError(f"{path}: expected an array in NumPy's format: {text[:300]}") from None


def _npz(path: Path) -> tuple[NDArray[Any], float | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            budget = Budget(path)
            for entry in archive.infolist():
                budget.take(entry.filename, (entry.file_size,))
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in file.files if name != "frame_rate"]
            if "frames" not in names and len(names) != 1:
                raise FormatError(f"{path}: expected 'frames' or a single array, got {names}")
            rate = float(file["frame_rate"]) if "frame_rate" in file.files else None
            return np.asarray(file["frames" if "frames" in names else names[0]]), rate
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds
        raise FormatError(f"{path}: expected NumPy's .npz: {type(error).__name__}: {error}") from None


def _imageio() -> Any:
    try:
        import av  # noqa: F401
        import imageio.v3 as imageio
    except ImportError:
        raise MissingExtraError("movies need imageio and PyAV: pip install 'sonoray[video]'") from None
    return imageio


def _movie(path: Path) -> Video:
    imageio = _imageio()
    try:
        rate = float(imageio.immeta(path, plugin="pyav").get("fps") or 0)
        frames, taken = [], 0
        for image in imageio.imiter(path, plugin="pyav", format="rgb24"):
            taken += image.nbytes
            if taken > MOST_BYTES:
                raise FormatError(f"{path}: expected at most {MOST_BYTES >> 20} MiB of frames; cut the movie first")
            frames.append(image)
    except FormatError:
        raise
    except Exception as error:  # PyAV's own kinds, StopIteration for a movie without frames
        raise FormatError(f"{path}: expected a movie: {type(error).__name__}: {error}") from None
    if not frames:
        raise FormatError(f"{path}: expected a movie with frames, found none")
    return _checked(path, _stacked(path, frames), rate if _RATES[0] <= rate <= _RATES[1] else None)


def _write_piled(path: Path, kind: str, frames: NDArray[Any], rate: float) -> None:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pictures need Pillow: pip install 'sonoray[io]'") from None
    images = [Image.fromarray(np.ascontiguousarray(f)) for f in frames]
    if kind == "TIFF":
        options: dict[str, Any] = {"compression": "tiff_deflate"}
    else:
        period = 1000 / rate  # ms
        options = {"duration": 10 * round(period / 10) if kind == "GIF" else period, "loop": 0}
    images[0].save(path, format=kind, save_all=True, append_images=images[1:], **options)


def _write_folder(target: Path, frames: NDArray[Any]) -> None:
    if target.exists():
        raise ArgumentError(f"path: expected a folder that is not there yet, got {target}")
    partial = target.with_name(f".{target.name[:64]}.{uuid.uuid4().hex}")
    partial.mkdir()
    try:
        for k, image in enumerate(frames):
            write_image(partial / f"frame_{k:05d}.png", image)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_movie(path: Path, ending: str, frames: NDArray[Any], rate: float) -> None:
    imageio = _imageio()
    colored = frames[..., :3] if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)
    even = [(0, 0), (0, colored.shape[1] % 2), (0, colored.shape[2] % 2), (0, 0)]  # what the codec asks for
    named = path.with_name(path.name + ending)  # the ending chooses the container
    try:
        imageio.imwrite(named, np.pad(colored, even, mode="edge"), plugin="pyav", codec="libx264", fps=rate)
        os.replace(named, path)
    finally:
        named.unlink(missing_ok=True)
