"""Data that ships with the package, all of it our own: a full-wave example behind an aberrating wall.

How it is made: `sonoray.assets.making`. No part of it comes from delays, rays or images of this package, so that it
can judge them.
"""

from importlib.resources import as_file, files

import h5py
import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..errors import FormatError
from ..media.medium import Medium

EXAMPLE = "wall_example.h5"
EXAMPLE_MEDIUM = "wall_example_medium.h5"


def load_example() -> tuple[ChannelData, Medium]:
    """Load the shipped example: points and a cyst in speckle behind an undulating wall of fat and muscle.

    Returns
    -------
    channel_data : ChannelData
        (1, 7, 64, 781) int16: seven plane waves from -12 to 12 degrees, 64 elements at 0.3 mm, 4 MHz, 20 MHz sampling.
    medium : Medium
        The true sound speed at 0.2 mm, float32.
    """
    from ..io import read

    with as_file(files(__name__) / EXAMPLE) as path:
        channel_data = read(path)
    with as_file(files(__name__) / EXAMPLE_MEDIUM) as path:
        medium = read(path)
    if not isinstance(channel_data, ChannelData) or not isinstance(medium, Medium):
        raise FormatError(f"{EXAMPLE}: expected channel data and a medium; is the installation damaged?")
    return channel_data, medium


def load_example_targets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True points (n, 3) [m] and cysts (n, 4) [m] (centre and radius) of the shipped example."""
    with as_file(files(__name__) / EXAMPLE) as path:
        return read_targets(path)


def read_targets(path: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True points (n, 3) [m] and cysts (n, 4) [m] that `sonoray.assets.making` left in a file.

    Raises
    ------
    FormatError
        The file holds none.
    """
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["truth/points"], np.float64), np.asarray(file["truth/cysts"], np.float64)
    except (OSError, KeyError) as error:
        raise FormatError(f"{path}: expected truth/points and truth/cysts: {error}") from None
