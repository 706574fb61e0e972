"""Localization: how far the images of known points lie from the truth."""

from typing import Any

import numpy as np
import scipy  # loads fft, ndimage and the like when they are first used
from numpy.typing import NDArray

from .._checks import finite, scalar
from ..errors import ArgumentError
from ..media.grids import Grid
from .metrics import linear_values


def localize_points(envelope: Any, grid: Grid, truth: Any, radius: float) -> NDArray[np.float64]:
    """Find the image of each known point: the nearest clear local maximum, refined between grid points.

    Within ``radius`` of the truth, local maxima of at least half the highest one's amplitude are candidates, and the
    nearest wins; a parabola through log-envelope and its neighbours along each axis gives the position.

    Parameters
    ----------
    envelope : grid.shape float32
        Linear.
    grid : Grid
    truth : (n, grid.ndim) or (n, 3) float64 [m]
        Known positions; (n, 2) means (x, z).
    radius : float [m]

    Returns
    -------
    (n, grid.ndim) float64 [m]
        NaN where nothing was found. `localization_error` compares.

    Raises
    ------
    ArgumentError
        Shape differs from the grid, dB instead of linear values, wrong units.
    """
    if not isinstance(grid, Grid):
        raise ArgumentError(f"grid: expected a Grid, got {type(grid).__name__}; scan_convert a sector first")
    values = linear_values("envelope", envelope)
    if values.shape != grid.shape:
        raise ArgumentError(f"envelope: expected shape {grid.shape}, got {values.shape}")
    reach = scalar("radius", radius, 1e-6, 0.1, "m")
    points = _in_grid_axes("truth", truth, grid.ndim)
    is_peak = (values == scipy.ndimage.maximum_filter(values, 3, mode="nearest")) & (values > 0)
    index = np.argwhere(is_peak)
    places = np.asarray(grid.origin) + index * np.asarray(grid.spacing)
    found = np.full(points.shape, np.nan)
    for i, point in enumerate(points):
        distance = np.linalg.norm(places - point, axis=1)
        near = distance <= reach
        if not near.any():
            continue
        heights = values[tuple(index[near].T)]
        clear = np.flatnonzero(near)[heights >= 0.5 * heights.max()]
        best = index[clear[np.argmin(distance[clear])]]
        found[i] = np.asarray(grid.origin) + (best + _parabolic_offset(values, best)) * np.asarray(grid.spacing)
    return found


def localization_error(found: Any, truth: Any) -> NDArray[np.float64]:
    """Distance of each found point from the truth.

    Parameters
    ----------
    found : (n, d) float64 [m]
        From `localize_points`; NaN where nothing was found.
    truth : (n, d) or (n, 3) float64 [m]

    Returns
    -------
    (n,) float64 [m]
        NaN where nothing was found.

    Raises
    ------
    ArgumentError
        Different numbers of points.
    """
    places = np.atleast_2d(np.asarray(found, float))
    points = _in_grid_axes("truth", truth, places.shape[1])
    if places.shape != points.shape:
        raise ArgumentError(f"truth: expected {len(places)} points, got {len(points)}")
    return np.asarray(np.linalg.norm(places - points, axis=1))


def _in_grid_axes(name: str, points: Any, ndim: int) -> NDArray[np.float64]:
    values = np.atleast_2d(np.asarray(points, float))
    if values.ndim != 2 or values.shape[1] not in (ndim, 3):
        raise ArgumentError(f"{name}: expected shape (n, {ndim}) or (n, 3), got {values.shape}")
    finite(name, values)
    if np.abs(values).max(initial=0) > 2:
        raise ArgumentError(f"{name}: expected -2 to 2 m, got {np.abs(values).max():g}; is it really in m?")
    return values[:, [0, 2]] if values.shape[1] == 3 and ndim == 2 else values


def _parabolic_offset(values: NDArray[Any], index: NDArray[Any]) -> NDArray[np.float64]:
    """Where the maximum lies between grid points; exact for a Gaussian. 0 along axes where it is on the rim."""
    offset = np.zeros(values.ndim)
    for axis in range(values.ndim):
        i = int(index[axis])
        if not 0 < i < values.shape[axis] - 1:
            continue
        line = values[(*index[:axis], slice(i - 1, i + 2), *index[axis + 1 :])]
        if line.min() <= 0:
            continue
        a, b, c = np.log(line)
        curvature = a - 2 * b + c
        if curvature < 0:
            offset[axis] = np.clip(0.5 * (a - c) / curvature, -0.5, 0.5)
    return offset
