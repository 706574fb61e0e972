"""The full-wave example that ships with the package, and how it is made: ``python -m sonoray.simulation.shipped``."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.transmits import plane_waves
from ..media.grids import Grid
from ..media.phantoms_tissue import TissuePhantom, layered_wall, tissue_phantom
from .full_wave import simulate_channel_data
from .pulses import GaussianPulse

_CENTER_FREQUENCY = 4e6
_POINTS_MM = [(-6.5, 15.0), (0.5, 14.0), (6.0, 16.0), (-5.5, 24.0), (0.0, 27.0), (7.0, 25.0)]
_CYST_MM = (1.0, 20.0, 2.5)


def example_phantom() -> TissuePhantom:
    """Six points and a cyst in speckle behind the undulating wall of `layered_wall`; always the same."""
    grid = Grid.from_extent(x=(-0.013, 0.013), z=(0.0, 0.0305), spacing=5e-5)
    points = [(1e-3 * x, 0.0, 1e-3 * z) for x, z in _POINTS_MM]
    x, z, radius = (1e-3 * v for v in _CYST_MM)
    return tissue_phantom(layered_wall(grid), points=points, cysts=[(x, 0.0, z, radius)], seed=2)


def example_data(phantom: TissuePhantom, progress: Callable[[float], None] | None = None) -> ChannelData:
    """Seven plane waves from -12 to 12 degrees, 64 elements at 0.3 mm, 4 MHz; samples int16 at 20 MHz."""
    probe = Probe.linear(
        64, 0.3e-3, width=0.25e-3, center_frequency=_CENTER_FREQUENCY, bandwidth=0.6 * _CENTER_FREQUENCY
    )
    data = simulate_channel_data(
        phantom.scattering_medium,
        probe,
        plane_waves(np.deg2rad(np.linspace(-12, 12, 7))),
        pulse=GaussianPulse(_CENTER_FREQUENCY, 0.6),
        sampling_frequency=20e6,
        start_time=2e-6,
        duration=41e-6,
        progress=progress,
    )
    return data.with_(samples=as_int16(data.samples))


def as_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Scale so that the largest magnitude is 32000, and round."""
    return np.rint(samples * (32000 / np.abs(samples).max())).astype(np.int16)
