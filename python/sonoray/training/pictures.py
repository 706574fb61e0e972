"""Pictures to train on, from files and folders: what cannot be trained on is left out with a note that names it."""

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count
from ..errors import ArgumentError, FormatError
from ..io.images import ENDINGS, count_frames, image_files, read_image
from ..io.videos import read_video
from ..restoration.images import Planes

Image = NDArray[np.float32]
LEAST = (64, 64)  # rows and columns of a training image
_CONSTANT = 1e-3
_NAMED = 5  # pictures that a note names


def read_frames(
    paths: Iterable[Any],
    *,
    name: str = "images",
    least: tuple[int, int] = LEAST,
    every: int = 1,
    subfolders: bool = False,
) -> list[list[Image]]:
    """Read pictures as brightness in [0, 1]; of cines every frame.

    Damaged pictures, constant ones and those that are too small are left out; one warning names them.

    Parameters
    ----------
    paths : iterable of path
        Files, or folders whose pictures are taken in the order of their names.
    name : str
        Of the argument, in messages.
    least : (n_rows, n_columns)
    every : int
        Take one picture or frame of so many, counted through each folder and through files in a row.
    subfolders : bool
        Go through the folders below, too.

    Returns
    -------
    list of lists of (n_rows, n_columns) float32
        The frames of every file that has any.

    Raises
    ------
    ArgumentError
        Nothing there, a folder without pictures, or none that can be trained on.
    MissingExtraError
        See `read_image`.
    """
    count("every", every, 1, 1 << 30)
    given = [Path(path) for path in paths]
    found: list[list[Image]] = []
    skipped: list[str] = []
    for group in _groups(given, name, subfolders):
        seen = 0
        for path in group:
            frames: list[Image] = []
            try:
                n = count_frames(path)
                chosen = [k for k in range(n) if (seen + k) % every == 0]
                seen += n
                for k, frame in zip(chosen, _frames(path, n, chosen), strict=True):
                    plane = Planes(frame, least=1).values[0]
                    reason = unusable(plane, least)
                    if reason is None:
                        frames.append(plane)
                    else:
                        skipped.append(f"{path}{f', frame {k}' if n > 1 else ''}: {reason}")
            except (FormatError, ArgumentError, OSError) as error:
                skipped.append(str(error) if str(path) in str(error) else f"{path}: {error}")
            if frames:
                found.append(frames)
    note = f"{len(skipped)} left out: " + "; ".join(skipped[:_NAMED]) + ("; ..." if len(skipped) > _NAMED else "")
    if given and not found:
        raise ArgumentError(f"{name}: expected pictures to train on in {', '.join(map(str, given))}; {note}")
    if skipped:
        warnings.warn(f"of the pictures, {note}", stacklevel=3)
    return found


def images_in(paths: Iterable[Any], *, every: int = 1, subfolders: bool = False) -> list[Image]:
    """Read pictures as brightness in [0, 1]; of cines every frame.

    Parameters
    ----------
    paths, every, subfolders : see `read_frames`

    Returns
    -------
    list of (n_rows, n_columns) float32

    Raises
    ------
    ArgumentError, MissingExtraError
        See there.
    """
    return [frame for frames in read_frames(paths, every=every, subfolders=subfolders) for frame in frames]


def unusable(image: Image, least: tuple[int, int] = LEAST) -> str | None:
    """Why an image cannot be trained on, or None."""
    if image.shape[0] < least[0] or image.shape[1] < least[1]:
        return f"expected at least {least[0]} x {least[1]} pixels, got {image.shape}"
    if not np.ptp(image) > _CONSTANT:
        return f"expected contents, got a constant of {image.min():g}"
    return None


def _groups(given: list[Path], name: str, subfolders: bool) -> list[list[Path]]:
    """Files of every folder, and files that were given in a row."""
    groups: list[list[Path]] = []
    row: list[Path] | None = None
    for path in given:
        if path.is_dir():
            groups += [image_files(place) for place in (_with_pictures(path) if subfolders else [path])]
            row = None
        elif path.exists():
            if row is None:
                groups.append(row := [])
            row.append(path)
        else:
            raise ArgumentError(f"{name}: expected pictures or folders of them, {path} is not there")
    return groups


def _frames(path: Path, n: int, chosen: list[int]) -> Iterator[NDArray[Any]]:
    if not chosen:
        return
    if n == 1:
        yield read_image(path)
        return
    frames = read_video(path).frames
    for k in chosen:
        yield np.asarray(frames[k])


def _with_pictures(top: Path) -> list[Path]:
    """A folder and those below it that hold pictures, in the order of names; hidden ones are passed over."""
    found = []
    for folder, below, files in os.walk(top):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if any(Path(name).suffix.lower() in ENDINGS and not name.startswith(".") for name in files):
            found.append(Path(folder))
    return found or [top]
