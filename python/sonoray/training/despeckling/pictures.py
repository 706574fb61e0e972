"""Training images from pictures."""

from collections.abc import Iterable
from typing import Any

from ..pictures import Image, read_frames


def images_in(paths: Iterable[Any], *, every: int = 1, subfolders: bool = False) -> list[Image]:
    """Read pictures as brightness in [0, 1]; of cines every frame.

    Parameters
    ----------
    paths, every, subfolders : see `sonoray.training.pictures.read_frames`

    Returns
    -------
    list of (n_rows, n_columns) float32

    Raises
    ------
    ArgumentError, MissingExtraError
        See there.
    """
    return [frame for frames in read_frames(paths, every=every, subfolders=subfolders) for frame in frames]
