"""Full-wave test cases for single-number sound-speed estimates: three plane waves over pure speckle of one speed."""

from collections.abc import Callable

import numpy as np

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.transmits import plane_waves
from ..media.grids import Grid
from ..media.medium import Medium
from ..media.phantoms_tissue import tissue_phantom
from .autofocus_cases import autofocus_probe
from .full_wave import simulate_channel_data
from .pulses import GaussianPulse

TUNING_SPEEDS = (1520.0, 1600.0)  # m/s, for choosing settings
SPEEDS = (1500.0, 1540.0, 1585.0, 1630.0, 1680.0)  # m/s, for judging them
ANGLES = tuple(np.deg2rad([0.0, -8.0, 8.0]))  # rad, at 1540 m/s


def speckle_data(sound_speed: float, seed: int = 0, progress: Callable[[float], None] | None = None) -> ChannelData:
    """Simulate plane waves at 0 and +-8 degrees in speckle of one sound speed; seconds on one core.

    Parameters
    ----------
    sound_speed : float [m/s]
        Of the medium; the sequence's delays assume 1540 m/s.
    seed : int
        Of the speckle, which is in the density only.
    progress : callable, optional

    Returns
    -------
    ChannelData
        (1, 3, 64, 561) float32 RF at 10 MHz, 1 to 57 us, of `autofocus_probe`.

    Raises
    ------
    ArgumentError
        A speed outside 1300 to 1800 m/s.
    """
    c = scalar("sound_speed", sound_speed, 1300.0, 1800.0, "m/s")
    grid = Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 40.95e-3), spacing=9e-5)
    medium = Medium(grid, np.full(grid.shape, c))
    phantom = tissue_phantom(medium, points=np.zeros((0, 3)), contrast=0.01, seed=seed)
    return simulate_channel_data(
        phantom.scattering_medium,
        autofocus_probe(),
        plane_waves(ANGLES),
        pulse=GaussianPulse(2.25e6, 0.55),
        sampling_frequency=10e6,
        start_time=1e-6,
        duration=57e-6,
        progress=progress,
    )
