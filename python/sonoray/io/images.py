"""Pictures of any common format as arrays, and back: rows of depth, columns, as displayed."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import count
from ..errors import ArgumentError, FormatError, MissingExtraError
from ._container import header_of
from ._pillow import admit, frame, n_frames, pictures
from .dicom import is_dicom, read_dicom
from .writing import atomic

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm", ".ppm", ".gif", ".dcm")
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".bmp": ("BMP", {}),
    ".pgm": ("PPM", {}),
    ".ppm": ("PPM", {}),
}
_DEEP_ENDINGS = (".png", ".tif", ".tiff", ".pgm")


def read_image(path: Any, *, index: int | None = None) -> NDArray[Any]:
    """Read a picture: PNG, JPEG, TIFF, BMP, PGM, PPM, GIF or DICOM, recognised by its content.

    Parameters
    ----------
    path : str or path-like
    index : int, optional
        Which frame of a file with several; by default such a file is refused.

    Returns
    -------
    (rows, columns) or (rows, columns, 3 or 4)
        uint8, or uint16 of grey pictures, 255 or 65535 being white (DICOM with fewer bits is stretched); float32 from
        TIFF with floating point. Turned as EXIF's orientation asks.

    Raises
    ------
    FormatError
        Another kind of file, a damaged one, one that claims more pixels than it can honestly hold, several frames,
        colours of 16 bits.
    ArgumentError
        No such frame.
    MissingExtraError
        Pillow or pydicom is not installed.
    """
    place = Path(path)
    if is_dicom(header_of(place)):
        frames, _ = dicom_frames(place)
        return np.asarray(frames[_chosen(place, index, len(frames))])
    with pictures(place) as file:
        n = _chosen(place, index, n_frames(place, file))
        admit(place, file, 1)
        return frame(place, file, n)


def count_frames(path: Any) -> int:
    """Return how many frames a picture file has.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    FormatError, MissingExtraError
        As of `read_image`.
    """
    place = Path(path)
    if is_dicom(header_of(place)):
        return len(dicom_frames(place)[0])
    with pictures(place) as file:
        return n_frames(place, file)


def image_files(folder: Any) -> list[Path]:
    """Return the picture files of a folder, numbers in their names in counting order.

    Parameters
    ----------
    folder : str or path-like

    Raises
    ------
    ArgumentError
        No folder, or none with pictures (endings .png, .jpg, .tif, .bmp, .pgm, .ppm, .gif, .dcm).
    """
    place = Path(folder)
    if not place.is_dir():
        raise ArgumentError(f"folder: expected a folder of pictures, got {place}")
    found = [p for p in place.iterdir() if p.suffix.lower() in ENDINGS and p.is_file() and not p.name.startswith(".")]
    if not found:
        raise ArgumentError(f"folder: expected pictures ({', '.join(ENDINGS)}), found none in {place}")
    return sorted(found, key=_counting)


def read_images(folder: Any) -> Iterator[tuple[Path, NDArray[Any]]]:
    """Read every picture of a folder, one after the other: (path, image); see `image_files` and `read_image`.

    Raises
    ------
    ArgumentError, FormatError, MissingExtraError
        When the iteration gets there.
    """
    for path in image_files(folder):
        yield path, read_image(path)


def write_image(path: Any, image: Any) -> None:
    """Write a picture; the name's ending says how: .png, .tif, .bmp, .pgm, .ppm, or with loss .jpg.

    Parameters
    ----------
    path : str or path-like
    image : (rows, columns) or (rows, columns, 3 or 4)
        uint8; uint16 grey for .png, .tif and .pgm; float32 grey for .tif.

    Raises
    ------
    ArgumentError
        Another ending, shape or type, or one that the format does not hold.
    MissingExtraError
        Pillow is not installed.
    """
    check_writable(path, image)
    values = host_array("image", image)
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pictures need Pillow: pip install 'sonoray[io]'") from None
    kind, options = WRITTEN[Path(path).suffix.lower()]
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(values)).save(temporary, format=kind, **options)


def check_writable(path: Any, image: Any) -> None:
    """Refuse, before any work, an image or a name that `write_image` could not write."""
    ending = Path(path).suffix.lower()
    if ending not in WRITTEN:
        raise ArgumentError(f"path: expected a name ending in {', '.join(WRITTEN)}, got {Path(path).name!r}")
    shape, dtype = np.shape(image), np.dtype(getattr(image, "dtype", np.float64))
    colored = len(shape) == 3 and shape[2] in (3, 4)
    if 0 in shape or not (len(shape) == 2 or colored):
        raise ArgumentError(f"image: expected (rows, columns) or (rows, columns, 3 or 4), got {shape}")
    deep = dtype == np.uint16 and not colored and ending in _DEEP_ENDINGS
    floating = dtype == np.float32 and not colored and ending in (".tif", ".tiff")
    if not (dtype == np.uint8 or deep or floating):
        raise ArgumentError(f"image: expected uint8 for {ending} (uint16 only grey in .png and .tif), got {dtype}")
    if len(shape) == 3 and (ending == ".pgm" or (shape[2] == 4 and ending not in (".png", ".tif", ".tiff"))):
        raise ArgumentError(f"image: expected channels that {ending} holds, got {shape[2]}; .png holds all")


def dicom_frames(path: Path) -> tuple[NDArray[Any], float | None]:
    """Return a DICOM file's frames with white at the type's largest value, and their rate [Hz]."""
    found = read_dicom(path)
    frames, rate = found.frames, found.frame_rate or None
    if frames.dtype == np.uint8 and frames.ndim == 4:
        return frames, rate
    if frames.dtype.kind == "f":
        raise FormatError(f"{path}: expected pictures, got a map of values in {found.unit or 'no unit'}")
    import pydicom  # read_dicom has found it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["BitsStored"])
    bits = int(header.get("BitsStored") or 8 * frames.dtype.itemsize)
    if not 1 <= bits <= 16:
        raise FormatError(f"{path}: BitsStored: expected 1 to 16, got {bits}")
    black = 1 << (bits - 1) if frames.dtype.kind == "i" else 0
    white, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    scaled = (frames.astype(np.float32) + black) * np.float32(white / ((1 << bits) - 1))
    return np.rint(np.clip(scaled, 0, white)).astype(dtype), rate


def _chosen(path: Path, index: int | None, n: int) -> int:
    if index is None:
        if n > 1:
            raise FormatError(f"{path}: expected one image, got {n} frames; choose one (index), or read_video")
        return 0
    if count("index", index, 0, 1 << 30) >= n:
        raise ArgumentError(f"index: expected less than {n}, the frames of {path}, got {index}")
    return int(index)


def _counting(path: Path) -> list[Any]:
    """Key by which frame_10 comes after frame_9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,18})", path.name)]
