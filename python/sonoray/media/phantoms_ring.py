"""A breast-like slice as a ring array sees it: skin, fat, gland, inclusions in water."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..errors import ArgumentError
from .grids import Grid
from .medium import Medium

# Sound speed [m/s] of the tissues, as in published numerical breast phantoms; water is an argument.
SKIN, FAT, GLAND, TUMOUR, CYST = 1584.0, 1470.0, 1525.0, 1550.0, 1505.0


def breast_slice(
    grid: Grid,
    *,
    radius: float = 0.075,
    center: Any = (0.0, 0.0, 0.0),
    water: float = 1500.0,
    inclusions: int = 4,
    edge: float = 5e-4,
    seed: int = 0,
) -> Medium:
    """Breast-like slice in water, sampled on any grid: the same seed is the same breast at every spacing.

    A rounded outline with 1.8 mm of skin, fat, a gland with ragged edges around a centre that lies off the middle, and
    round inclusions (tumours and cysts by turns) in and beside it.

    Parameters
    ----------
    grid : Grid
        2-D.
    radius : float [m]
        Mean radius of the outline, which varies by about 6 %.
    center : (3,) float [m]
    water : float [m/s]
    inclusions : int
    edge : float [m]
        Width of the transitions (hyperbolic tangent).
    seed : int

    Returns
    -------
    Medium

    Raises
    ------
    ArgumentError
        A 3-D grid, millimetres instead of metres.
    """
    if grid.ndim != 2:
        raise ArgumentError(f"grid: expected 2 axes, got {grid.ndim}")
    size = scalar("radius", radius, 0.01, 0.5, "m")
    middle = array("center", center, (3,), low=-2.0, high=2.0, unit="m")
    c_water = scalar("water", water, 300.0, 12000.0, "m/s")
    width = scalar("edge", edge, 1e-5, 0.01, "m")
    n = count("inclusions", inclusions, 0, 100)
    random = np.random.default_rng(count("seed", seed, 0))
    x, z = np.meshgrid(grid.x - middle[0], grid.z - middle[2], indexing="ij")

    def share(depth: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(0.5 * (1 + np.tanh(2 * depth / width)))

    outline = _outline(x, z, size, (0.04, 0.02, 0.01), random)
    speed = c_water + (SKIN - c_water) * share(outline)
    speed += (FAT - speed) * share(outline - 1.8e-3)
    shift = size * random.uniform(-0.12, 0.12, 2)
    gland = _outline(x - shift[0], z - shift[1], 0.55 * size, (0.10, 0.08, 0.07, 0.06, 0.05, 0.04, 0.04), random)
    speed += (GLAND - speed) * share(np.minimum(gland, outline - 4e-3))
    for i in range(n):
        angle, reach = random.uniform(0, 2 * np.pi), size * np.sqrt(random.uniform(0.0, 0.5))
        ball = size * random.uniform(0.04, 0.11)
        depth = ball - np.hypot(x - reach * np.cos(angle), z - reach * np.sin(angle))
        speed += ((CYST if i % 2 else TUMOUR) - speed) * share(depth)
    return Medium(grid, speed)


def _outline(
    x: NDArray[Any], z: NDArray[Any], size: float, waves: tuple[float, ...], random: np.random.Generator
) -> NDArray[Any]:
    """Depth below a closed curve whose radius has the given relative amplitudes of 2, 3, ... periods per turn."""
    angle = np.arctan2(z, x)
    curve = np.full(x.shape, size)
    for k, amplitude in enumerate(waves, 2):
        curve += size * amplitude * random.uniform(0.6, 1.0) * np.cos(k * angle + random.uniform(0, 2 * np.pi))
    return np.asarray(curve - np.hypot(x, z))
