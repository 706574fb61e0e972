"""Training images from folders of pictures: what cannot be trained on is left out with a note that names it."""

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import count
from ...errors import ArgumentError, FormatError
from ...io.images import ENDINGS, count_frames, image_files, read_image
from ...io.videos import read_video
from ...restoration.images import Planes
from .data import Image, unusable

_NAMED = 5  # pictures that a note names


def images_in(folders: Iterable[Any], *, every: int = 1, subfolders: bool = False) -> list[Image]:
    """Read all pictures in folders as brightness in [0, 1]; of cines every frame.

    Damaged pictures, constant ones and those below 64 x 64 pixels are left out; one warning names them.

    Parameters
    ----------
    folders : iterable of path
    every : int
        Take one picture or frame of so many, counted through each folder in the order of names.
    subfolders : bool
        Go through the folders below, too.

    Returns
    -------
    list of (rows, columns) float32

    Raises
    ------
    ArgumentError
        No folder, no pictures in it, or none that can be trained on.
    MissingExtraError
        See `read_image`.
    """
    count("every", every, 1, 1 << 30)
    given = [Path(folder) for folder in folders]
    found: list[Image] = []
    skipped: list[str] = []
    for folder in (place for top in given for place in (_with_pictures(top) if subfolders else [top])):
        seen = 0
        for path in image_files(folder):
            try:
                n = count_frames(path)
                chosen = [k for k in range(n) if (seen + k) % every == 0]
                seen += n
                for k, frame in zip(chosen, _frames(path, n, chosen), strict=True):
                    plane = Planes(frame).values[0]
                    reason = unusable(plane)
                    if reason is None:
                        found.append(plane)
                    else:
                        skipped.append(f"{path}{f', frame {k}' if n > 1 else ''}: {reason}")
            except (FormatError, ArgumentError) as error:
                skipped.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    note = f"{len(skipped)} left out: " + "; ".join(skipped[:_NAMED]) + ("; ..." if len(skipped) > _NAMED else "")
    if given and not found:
        raise ArgumentError(f"images: expected pictures to train on in {', '.join(map(str, given))}; {note}")
    if skipped:
        warnings.warn(f"of the pictures, {note}", stacklevel=2)
    return found


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
    if not top.is_dir():
        return [top]  # refused by name where it is read
    found = []
    for folder, below, files in os.walk(top):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if any(Path(name).suffix.lower() in ENDINGS and not name.startswith(".") for name in files):
            found.append(Path(folder))
    return found or [top]
