"""Orthogonal slices of a volume: three planes through one point, alone or on one sheet."""

from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import array
from ..errors import ArgumentError
from ..media.grids import Grid

_MOST_PIXELS = 50_000_000
_GAP = 8  # pixels between the slices of a sheet


def orthogonal_slices(volume: Any, grid: Grid, at: Any = None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Slices of a volume along its axes, through the grid points nearest to one point.

    Parameters
    ----------
    volume : (n_x, n_y, n_z)
        In decibels, say.
    grid : Grid
        3-D.
    at : (3,) float64 [m], optional
        Point through which they go; default the middle of the grid.

    Returns
    -------
    x_z : (n_x, n_z)
        At the point's elevation.
    y_z : (n_y, n_z)
    x_y : (n_x, n_y)
        At its depth.

    Raises
    ------
    ArgumentError
        Not a volume on its grid, or a point outside it.
    """
    values = np.asarray(volume)
    if not isinstance(grid, Grid) or grid.ndim != 3 or values.shape != grid.shape:
        raise ArgumentError(f"volume: expected the shape of a 3-D Grid, got {values.shape} and {grid!r}")
    index = [n // 2 for n in grid.shape]
    if at is not None:
        point = array("at", at, (3,), low=-4, high=4, unit="m")
        for k, (axis, h) in enumerate(zip(grid.axes, grid.spacing, strict=True)):
            if not axis[0] - h <= point[k] <= axis[-1] + h:
                raise ArgumentError(
                    f"at: expected {'xyz'[k]} from {axis[0]:g} to {axis[-1]:g} m, got {point[k]:g} m; "
                    "is it in the right unit?"
                )
            index[k] = int(np.abs(axis - point[k]).argmin())
    i, j, k = index
    return values[:, j, :], values[i, :, :], values[:, :, k]


def slice_sheet(volume: Any, grid: Grid, at: Any = None, *, fill: float = 0.0) -> tuple[NDArray[np.float32], Grid]:
    """The three slices as one picture: x-z top left, y-z beside it, x-y (from above) below.

    Parameters
    ----------
    volume, grid, at
        See `orthogonal_slices`.
    fill : float
        Value between and beside the slices.

    Returns
    -------
    sheet : (n_columns, n_rows) float32
        Square pixels of the grid's finest spacing, the slices interpolated linearly.
    grid : Grid
        Of the sheet; its x and z are those of the x-z slice.

    Raises
    ------
    ArgumentError
        As `orthogonal_slices`, or more than 5e7 pixels.
    """
    x_z, y_z, x_y = orthogonal_slices(volume, grid, at)
    h = min(grid.spacing)
    nx, ny, nz = (round((n - 1) * s / h) + 1 for n, s in zip(grid.shape, grid.spacing, strict=True))
    shape = (nx + _GAP + ny, nz + _GAP + ny)
    if shape[0] * shape[1] > _MOST_PIXELS:
        raise ArgumentError(f"grid: expected at most {_MOST_PIXELS:g} pixels for three slices, got {shape}")
    sheet = np.full(shape, fill, np.float32)
    sheet[:nx, :nz] = _resized(x_z, (nx, nz))
    sheet[nx + _GAP :, :nz] = _resized(y_z, (ny, nz))
    sheet[:nx, nz + _GAP :] = _resized(x_y, (nx, ny))
    return sheet, Grid(shape, (h, h), (grid.origin[0], grid.origin[2]))


def _resized(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    values = image.astype(np.float32)
    if image.shape == shape:
        return values
    axes = [np.linspace(0, n - 1, m) for n, m in zip(image.shape, shape, strict=True)]
    where = np.stack(np.meshgrid(*axes, indexing="ij"))
    return np.asarray(scipy.ndimage.map_coordinates(values, where, order=1, mode="nearest"), np.float32)
