"""Pictures and videos on the command line: which go where, one failing without stopping the others."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sonoray
from sonoray._progress import progress
from sonoray.io.images import ENDINGS, WRITTEN, check_writable, count_frames, image_files, read_image, write_image
from sonoray.io.videos import ARRAYS, MOVIES, PILED, Video, check_video_writable, read_video, write_video
from sonoray.io.writing import atomic

from ._files import check_folder

_VIDEOS = (*MOVIES, *ARRAYS)


@dataclass(frozen=True)
class Job:
    """What is read and what is written."""

    source: Path
    target: Path


def jobs(sources: Sequence[Path], out: Path) -> list[Job]:
    """Pair inputs with outputs; refuse, before any work, what would be written over an input or twice.

    One file goes to a file (``out`` has an ending), or into a folder; several files, or folders, go into a folder,
    under their names.
    """
    files = [file for source in sources for file in (image_files(source) if source.is_dir() else [source])]
    for file in files:
        if not file.is_file():
            raise sonoray.ArgumentError(f"IN: expected pictures or folders of them, got {file}, which is not there")
    to_file = len(files) == 1 and not sources[0].is_dir() and out.suffix and not out.is_dir()
    known = (*WRITTEN, *PILED, *_VIDEOS)
    if to_file and out.suffix.lower() not in known:
        raise sonoray.ArgumentError(
            f"output: expected a name ending in {', '.join(dict.fromkeys(known))}, got {out.name!r}"
        )
    if not to_file and out.suffix.lower() in known:
        raise sonoray.ArgumentError(f"output: expected a folder for {len(files)} pictures, got the file name {out}")
    made = [Job(file, out if to_file else out / _name(file)) for file in files]
    given, taken = {_identity(file) for file in files}, set()
    for job in made:
        if _identity(job.target) in given:
            raise sonoray.ArgumentError(f"output: expected another place than the inputs', got {job.target}")
        if job.target in taken:
            raise sonoray.ArgumentError(f"output: expected a name of its own for each input, got {job.target} twice")
        taken.add(job.target)
    folder = out.absolute().parent if to_file else out
    if to_file and not folder.is_dir():
        raise sonoray.ArgumentError(f"output: expected a folder that is there, got {folder}")
    if not to_file and folder.exists() and not folder.is_dir():
        raise sonoray.ArgumentError(f"output: expected a folder for {len(files)} pictures, got the file {out}")
    check_folder(next(place for place in (folder, *folder.absolute().parents) if place.exists()))
    return made


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _name(file: Path) -> str:
    """The same name where that format keeps what is written, else PNG."""
    ending = file.suffix.lower()
    if ending == ".dcm":
        with contextlib.suppress(sonoray.Error, OSError):  # what is wrong with it is said when its turn comes
            if count_frames(file) > 1:
                return f"{file.stem}.tif"  # holds 8 and 16 bits; animated PNG only 8
    if ending in (".jpg", ".jpeg", ".dcm", ".gif") or ending not in (*ENDINGS, *_VIDEOS):
        return f"{file.stem}.png"
    return file.name


def load(path: Path) -> tuple[NDArray[Any], float | None, bool]:
    """Return an image or frames, their rate, and whether it is a video."""
    image = _one_array(path) if path.suffix.lower() == ".npy" else None
    if image is not None:
        return image, None, False
    if path.suffix.lower() in _VIDEOS or count_frames(path) > 1:
        video = read_video(path)
        return video.frames, video.frame_rate, True
    return read_image(path), None, False


def _one_array(path: Path) -> NDArray[Any] | None:
    """The one grey image of an .npy file; None where it holds a video, or something that `read_video` refuses."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.array(mapped) if mapped.ndim == 2 and mapped.size else None
    except Exception:  # the header is Python, in which much can be wrong
        return None


def check_storable(path: Path, image: NDArray[Any], rate: float | None, video: bool) -> None:
    """Refuse, before any work, a result like ``image`` that `store` could not write; make its folder."""
    if video or path.suffix.lower() in (*ARRAYS, ".gif", ".apng"):
        check_video_writable(path, image if video else image[None], rate)
    else:
        check_writable(path, image)
    path.absolute().parent.mkdir(parents=True, exist_ok=True)


def store(path: Path, result: NDArray[Any], rate: float | None, video: bool) -> None:
    """Write what `load` gave and work changed."""
    if video:
        write_video(path, Video(result, rate))
    elif path.suffix.lower() == ".npy":
        with atomic(path) as partial, partial.open("wb") as file:
            np.save(file, result)
    elif path.suffix.lower() in (*ARRAYS, ".gif", ".apng"):
        write_video(path, Video(result[None]))
    else:
        write_image(path, result)


def run_jobs(
    made: Sequence[Job], work: Callable[[NDArray[Any]], NDArray[Any]], label: str, *, quiet: bool
) -> list[dict[str, Any]]:
    """Read, work, write; an input that fails is noted, and the others go on."""
    entries = []
    for job in progress(made, label, enabled=not quiet):
        begin = time.perf_counter()
        entry: dict[str, Any] = {"input": str(job.source), "output": str(job.target)}
        try:
            image, rate, video = load(job.source)
            entry |= {"shape": list(image.shape), "type": str(image.dtype)}
            check_storable(job.target, image, rate, video)
            result = work(image)
            store(job.target, result, rate, video)
            entry["largest_change"] = _change(result, image)
        except (sonoray.Error, OSError, MemoryError) as error:
            entry["error"] = str(error) or type(error).__name__
            if len(made) > 1:
                sys.stderr.write(f"sonoray: {job.source}: {entry['error']}\n")
        entries.append({**entry, "seconds": round(time.perf_counter() - begin, 3)})
    return entries


def _change(result: NDArray[Any], image: NDArray[Any]) -> float:
    """Largest change, 1 for black to white."""
    white = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
    return round(float(np.abs(result.astype(np.float64) - image).max()) / white, 4)


def report(figures: dict[str, Any], entries: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print what was done; raise when something failed."""
    failed = [entry for entry in entries if "error" in entry]
    if as_json:
        print(json.dumps({**figures, "images": list(entries)}, indent=2))
    else:
        for entry in entries:
            if "error" not in entry:
                print(f"{entry['output']}: {_size(entry['shape'])} {entry['type']}, {entry['seconds']:.2f} s")
    if len(failed) == len(entries) == 1:
        raise sonoray.Error(failed[0]["error"])
    if failed:
        raise sonoray.Error(f"{len(failed)} of {len(entries)} failed: {', '.join(e['input'] for e in failed)}")


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
