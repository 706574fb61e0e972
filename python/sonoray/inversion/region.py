"""Where an image is made: a grid that holds the elements, and the nodes between them."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from .._checks import scalar
from ..errors import ArgumentError
from ..media.grids import Grid

_MARGIN = 0.06  # of the aperture, around the elements
_SHRINK = 0.95  # of the hull: next to elements the times say nothing


def _flat(elements: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elements as (x, z) where they lie in one plane of constant y, up to a hundredth of the aperture."""
    spread = np.ptp(elements, axis=0)
    return elements[:, [0, 2]] if spread[1] <= 0.01 * spread.max() else elements


def image_grid(elements: NDArray[np.float64], spacing: float | None = None) -> Grid:
    """Grid over the extent of the elements (n, 3) [m] and 6 % more; 2-D if they lie in a plane of constant y.

    Raises
    ------
    ArgumentError
        More than 50 million points.
    """
    points = _flat(elements)
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max())
    step = size / 110 if spacing is None else scalar("spacing", spacing, 1e-5, 0.05, "m")
    middle = (low + high) / 2
    half = np.ceil(((high - low) / 2 + _MARGIN * size) / step)
    shape = tuple(int(2 * n) + 1 for n in half)
    if float(np.prod(shape)) > 5e7:
        raise ArgumentError(f"spacing: expected at most 5e7 points, got {shape} with {step:g} m")
    return Grid(shape, (step,) * len(shape), tuple(float(o) for o in middle - half * step))


def image_mask(grid: Grid, elements: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Nodes inside the convex hull of the elements (n, 3) [m], shrunk by 5 % towards their mean.

    Raises
    ------
    ArgumentError
        Elements outside the grid, or on one line (plane in 3-D), so that nothing lies between them.
    """
    outside = np.flatnonzero(~grid.contains(elements))
    if outside.size:
        extent = ", ".join(f"{low:g} to {high:g}" for low, high in grid.extent)
        raise ArgumentError(
            f"grid: expected one that holds all elements, got {extent} m and element {outside[0]} at "
            f"{elements[outside[0]].tolist()} ({outside.size} outside)"
        )
    points = elements[:, [0, 2]] if grid.ndim == 2 else elements
    middle = points.mean(axis=0)
    try:
        hull = ConvexHull(points)
    except QhullError:
        shape = "line" if grid.ndim == 2 else "plane"
        raise ArgumentError(
            f"channel_data: expected elements that surround an object, got all of them on one {shape}"
        ) from None
    nodes = grid.points()[..., [0, 2] if grid.ndim == 2 else [0, 1, 2]].reshape(-1, grid.ndim)
    stretched = middle + (nodes - middle) / _SHRINK
    inside = np.ones(len(nodes), bool)
    for plane in np.unique(hull.equations, axis=0):
        inside &= stretched @ plane[:-1] + plane[-1] <= 0
    if not inside.any():
        raise ArgumentError("grid: expected nodes between the elements, got none; is the spacing too large?")
    return np.asarray(inside.reshape(grid.shape))
