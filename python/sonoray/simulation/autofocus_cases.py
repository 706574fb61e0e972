"""Full-wave test cases for sound-speed estimation: multistatic data of a linear array over known maps.

Speckle, points and cysts are in the density only, so the map is the exact truth for travel times. The first two cases
are for choosing settings, the others for judging them; six repeat the arrangements that the method of [1]_ published.

References
----------
.. [1] W. Simson et al., Differentiable beamforming for ultrasound autofocusing, MICCAI 2023, LNCS 14229, 428.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import option
from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.transmits import full_synthetic_aperture
from ..media.grids import Grid
from ..media.medium import Medium
from ..media.phantoms_tissue import TissuePhantom, tissue_phantom
from .full_wave import simulate_channel_data
from .pulses import GaussianPulse

_EDGE = 2e-4  # m, over which the speed passes from one tissue to the next
_CYST = (-6.0e-3, 0.0, 24.0e-3, 3.0e-3)
_POINTS_MM = [(-9.0, 14.0), (0.0, 18.0), (8.0, 13.0), (5.0, 27.0), (-3.0, 33.0), (9.0, 35.0)]

Field = NDArray[np.float64]


def _below(z: Field, depth: Field | float, upper: Field | float, lower: Field | float) -> Field:
    return upper + (lower - upper) * 0.5 * (1 + np.tanh((z - depth) / _EDGE))


def _inside(x: Field, z: Field, at: tuple[float, float], radii: tuple[float, float], outer: Any, inner: Any) -> Field:
    distance = (np.hypot((x - at[0]) / radii[0], (z - at[1]) / radii[1]) - 1) * min(radii)
    return np.asarray(inner + (outer - inner) * 0.5 * (1 + np.tanh(distance / _EDGE)))


def _tuning(x: Field, z: Field) -> Field:
    c = _below(z, 8e-3 + 0.1 * x, 1470.0, 1560.0)
    return _inside(x, z, (3e-3, 22e-3), (5e-3, 5e-3), c, 1520.0)


def _tuning_wavy(x: Field, z: Field) -> Field:
    c = _below(z, 5e-3 + 1.0e-3 * np.sin(2 * np.pi * x / 15e-3), 1585.0, 1500.0)
    return _below(z, 17e-3 - 0.08 * x, c, 1545.0)


def _fat_over_muscle(x: Field, z: Field) -> Field:
    return _below(z, 10e-3 + 1.5e-3 * np.sin(2 * np.pi * x / 22e-3 + 0.7), 1450.0, 1580.0)


def _lens(x: Field, z: Field) -> Field:
    return _inside(x, z, (-1e-3, 11e-3), (11e-3, 4e-3), np.full_like(x, 1540.0), 1470.0)


def _inclusion(x: Field, z: Field) -> Field:
    return _inside(x, z, (1e-3, 20e-3), (6e-3, 6e-3), np.full_like(x, 1540.0), 1590.0)


def _two_layer(x: Field, z: Field) -> Field:
    return _below(z, 20e-3, np.full_like(x, 1480.0), 1540.0)


def _four_layer(x: Field, z: Field) -> Field:
    c = _below(z, 10e-3, np.full_like(x, 1480.0), 1520.0)
    c = _below(z, 20e-3, c, 1540.0)
    return _below(z, 30e-3, c, 1570.0)


def _inclusion_layer(x: Field, z: Field) -> Field:
    c = _below(z, 12e-3, np.full_like(x, 1480.0), 1540.0)
    return _inside(x, z, (-2e-3, 24e-3), (6e-3, 6e-3), c, 1500.0)


def _checker(period: float) -> Callable[[Field, Field], Field]:
    def field(x: Field, z: Field) -> Field:
        wave = np.tanh(np.sin(np.pi * x / period) / (np.pi * _EDGE / period))
        return 1520.0 + 25.0 * wave * np.tanh(np.sin(np.pi * z / period) / (np.pi * _EDGE / period))

    return field


def _abdominal_wall(x: Field, z: Field) -> Field:
    """Skin, fat lobules between septa, two sheets of muscle with fat between them, and what lies below."""
    c = _below(z, 1.5e-3, np.full_like(x, 1580.0), 1450.0)
    for at, radii in (
        ((-11e-3, 3.5e-3), (4e-3, 0.7e-3)),
        ((2e-3, 4.5e-3), (5e-3, 0.6e-3)),
        ((13e-3, 3.6e-3), (3e-3, 0.8e-3)),
    ):
        c = _inside(x, z, at, radii, c, 1560.0)
    c = _below(z, 7e-3 + 0.9e-3 * np.sin(2 * np.pi * x / 17e-3 - 0.4), c, 1575.0)
    c = _inside(x, z, (4e-3, 10e-3), (9e-3, 0.9e-3), c, 1455.0)
    return _below(z, 13e-3 - 0.07 * x + 0.5e-3 * np.sin(2 * np.pi * x / 9e-3), c, 1535.0)


_MAPS: dict[str, tuple[Callable[[Field, Field], Field], int]] = {
    "tuning": (_tuning, 11),
    "tuning_wavy": (_tuning_wavy, 12),
    "fat_over_muscle": (_fat_over_muscle, 21),
    "lens": (_lens, 22),
    "abdominal_wall": (_abdominal_wall, 23),
    "two_layer": (_two_layer, 24),
    "four_layer": (_four_layer, 25),
    "inclusion": (_inclusion, 26),
    "inclusion_layer": (_inclusion_layer, 27),
    "checker2": (_checker(14e-3), 28),
    "checker8": (_checker(5e-3), 29),
    "constant_1420": (lambda x, z: np.full_like(x, 1420.0), 31),
    "constant_1510": (lambda x, z: np.full_like(x, 1510.0), 32),
    "constant_1570": (lambda x, z: np.full_like(x, 1570.0), 33),
}

CASES = tuple(_MAPS)
TUNING_CASES = CASES[:2]


def autofocus_phantom(name: str) -> TissuePhantom:
    """The phantom of a case, x within 18 mm and depths to 41 mm at 0.09 mm, with six points and a cyst.

    Raises
    ------
    ArgumentError
        No such case.
    """
    make, seed = _MAPS[option("name", name, CASES)]
    grid = Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 40.95e-3), spacing=9e-5)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    points = 1e-3 * np.array([(px, 0.0, pz) for px, pz in _POINTS_MM])
    medium = Medium(grid, make(x, z))
    return tissue_phantom(medium, points=points, cysts=[_CYST], contrast=0.01, point_contrast=0.35, seed=seed)


def autofocus_probe() -> Probe:
    """64 elements at 0.45 mm, 2.25 MHz."""
    return Probe.linear(64, 0.45e-3, width=0.38e-3, center_frequency=2.25e6, bandwidth=0.55 * 2.25e6)


def autofocus_data(name: str, progress: Callable[[float], None] | None = None) -> ChannelData:
    """Simulate a case: every element fires once; float32 RF at 10 MHz, 1 to 57 us. Minutes on one core."""
    probe = autofocus_probe()
    return simulate_channel_data(
        autofocus_phantom(name).scattering_medium,
        probe,
        full_synthetic_aperture(probe),
        pulse=GaussianPulse(2.25e6, 0.55),
        sampling_frequency=10e6,
        start_time=1e-6,
        duration=57e-6,
        progress=progress,
    )
