"""Full-wave examples: the one that ships with the package, and one behind a real abdominal wall.

`sonoray.assets.making` runs and stores them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.transmits import plane_waves
from ..media.grids import Grid
from ..media.phantoms_tissue import STRONG_CONTRAST, TissuePhantom, abdominal_wall_medium, layered_wall, tissue_phantom
from .full_wave import simulate_channel_data
from .pulses import GaussianPulse

_POINTS_MM = [(-6.5, 15.0), (0.5, 14.0), (6.0, 16.0), (-5.5, 24.0), (0.0, 27.0), (7.0, 25.0)]
_CYSTS_MM = [(1.0, 20.0, 2.5)]
_ABDOMINAL_POINTS_MM = [(-12.0, 34.0), (0.0, 33.0), (11.0, 35.0), (-10.0, 46.0), (1.0, 47.0), (12.0, 45.0)]
_ABDOMINAL_CYSTS_MM = [(-2.0, 40.0, 3.5)]


def example_phantom() -> TissuePhantom:
    """Six points and a cyst in speckle behind the undulating wall of `layered_wall`; always the same."""
    grid = Grid.from_extent(x=(-0.013, 0.013), z=(0.0, 0.0305), spacing=5e-5)
    points, cysts = _in_metres(_POINTS_MM, _CYSTS_MM)
    return tissue_phantom(layered_wall(grid), points=points, cysts=cysts, seed=2)


def example_data(phantom: TissuePhantom, progress: Callable[[float], None] | None = None) -> ChannelData:
    """Seven plane waves from -12 to 12 degrees, 64 elements at 0.3 mm, 4 MHz; samples int16 at 20 MHz."""
    f = 4e6
    data = simulate_channel_data(
        phantom.scattering_medium,
        Probe.linear(64, 0.3e-3, width=0.25e-3, center_frequency=f, bandwidth=0.6 * f),
        plane_waves(np.deg2rad(np.linspace(-12, 12, 7))),
        pulse=GaussianPulse(f, 0.6),
        sampling_frequency=20e6,
        start_time=2e-6,
        duration=41e-6,
        progress=progress,
    )
    return data.with_(samples=as_int16(data.samples))


def abdominal_phantom(map_path: Any) -> TissuePhantom:
    """Six points and a cyst in speckle behind the wall of a labelled section (see `abdominal_wall_medium`)."""
    grid = Grid.from_extent(x=(-0.023, 0.023), z=(0.0, 0.05), spacing=6.4e-5)
    points, cysts = abdominal_targets()
    wall = abdominal_wall_medium(map_path, grid=grid, window_center=0.061, tissues=STRONG_CONTRAST, smoothing=4e-4)
    # Bright enough that the wall's own reverberation does not hide what the delays do.
    return tissue_phantom(
        wall, points=points, cysts=cysts, contrast=0.015, point_contrast=3.0, point_radius=7e-5, seed=3
    )


def abdominal_targets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 3) [m] and cysts (n, 4) [m] (centre and radius) of `abdominal_phantom`."""
    return _in_metres(_ABDOMINAL_POINTS_MM, _ABDOMINAL_CYSTS_MM)


def abdominal_data(phantom: TissuePhantom, progress: Callable[[float], None] | None = None) -> ChannelData:
    """Nine plane waves from -14 to 14 degrees, 128 elements at 0.3 mm, 3.5 MHz; samples int16 at 16 MHz."""
    f = 3.5e6
    data = simulate_channel_data(
        phantom.scattering_medium,
        Probe.linear(128, 0.3e-3, width=0.25e-3, center_frequency=f, bandwidth=0.5 * f),
        plane_waves(np.deg2rad(np.linspace(-14, 14, 9))),
        pulse=GaussianPulse(f, 0.5),
        sampling_frequency=16e6,
        start_time=2e-6,
        duration=68e-6,
        progress=progress,
    )
    return data.with_(samples=as_int16(data.samples))


def as_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Scale so that the largest magnitude is 32000, and round."""
    return np.rint(samples * (32000 / np.abs(samples).max())).astype(np.int16)


def _in_metres(
    points: list[tuple[float, float]], cysts: list[tuple[float, float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        1e-3 * np.array([(x, 0.0, z) for x, z in points]),
        1e-3 * np.array([(x, 0.0, z, radius) for x, z, radius in cysts]),
    )
