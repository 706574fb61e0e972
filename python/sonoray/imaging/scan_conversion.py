"""Scan conversion: from lines of a sector, or parallel steered lines, to evenly spaced points."""

from typing import Any

import numpy as np
import scipy  # loads fft, ndimage and the like when they are first used
from numpy.typing import NDArray

from .._checks import scalar
from ..acquisition.scan_lines import ScanLines
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid

_MARGIN = 1e-6  # in cells: points on the rim stay inside in spite of rounding


def scan_convert(image: Any, sector: SectorGrid, grid: Grid, *, fill: float = np.nan) -> NDArray[Any]:
    """Interpolate an image on a sector at the points of a Cartesian grid, linearly in range and angle.

    Exact for images that are a + b r + c phi + d r phi. For a curvilinear probe of radius R the apex lies at
    (0, 0, -R).

    Parameters
    ----------
    image : (..., n_angles, n_ranges) float32, complex64 or uint8
        Leading axes (frames) are kept. Convert decibels, not grey levels, where there is a choice.
    sector : SectorGrid
    grid : Grid
        2-D. `covering_grid` makes one around the sector.
    fill : float
        Value outside the sector; NaN becomes 0 for integer images.

    Returns
    -------
    (..., *grid.shape), dtype of the image (float32 for half and double precision)

    Raises
    ------
    ArgumentError
        Shape differs from the sector, sector with a single line or range, grid not 2-D, fill beyond the dtype.
    """
    values = np.asarray(image)
    if not isinstance(sector, SectorGrid) or min(sector.shape) < 2:
        raise ArgumentError(f"sector: expected a SectorGrid of at least 2 angles and ranges, got {sector!r}")
    if not isinstance(grid, Grid) or grid.ndim != 2:
        raise ArgumentError(f"grid: expected a Grid with 2 axes, got {grid!r}")
    if values.shape[-2:] != sector.shape or values.dtype.kind not in "iufc":
        raise ArgumentError(f"image: expected numbers of shape (..., {sector.shape}), got {values.shape}")
    index, inside = _fractional_index(sector, grid)
    return _interpolated(values, index, inside, fill)


def scan_convert_lines(image: Any, lines: ScanLines, grid: Grid, *, fill: float = np.nan) -> NDArray[Any]:
    """Interpolate images on parallel, possibly steered, lines at the points of a Cartesian grid, bilinearly.

    Parameters
    ----------
    image : (..., n_lines, n_samples) float32, complex64 or uint8
        Made of the lines' samples: an envelope, a velocity. Velocities wrap: convert the autocorrelation instead.
    lines : ScanLines
        Where they are.
    grid : Grid
        2-D.
    fill : float
        Value outside; NaN becomes 0 for integer images.

    Returns
    -------
    (..., *grid.shape), dtype of the image (float32 for half and double precision)

    Raises
    ------
    ArgumentError
        Shape differs from the lines, grid not 2-D, fill beyond the dtype.
    """
    values = np.asarray(image)
    if not isinstance(grid, Grid) or grid.ndim != 2:
        raise ArgumentError(f"grid: expected a Grid with 2 axes, got {grid!r}")
    shape = (len(lines.x), len(lines.ranges))
    if values.shape[-2:] != shape or values.dtype.kind not in "iufc" or min(shape) < 2:
        raise ArgumentError(f"image: expected numbers of shape (..., {shape}), got {values.dtype} {values.shape}")
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    inside = np.ones(grid.shape, bool)
    index = []
    for where, axis in ((x - z * np.tan(lines.angle), lines.x), (z / np.cos(lines.angle), lines.ranges)):
        margin = _MARGIN * (axis[1] - axis[0])
        inside &= (where >= axis[0] - margin) & (where <= axis[-1] + margin)
        index.append(np.interp(where, axis, np.arange(len(axis))))
    return _interpolated(values, np.stack(index)[:, inside], inside, fill)


def covering_grid(sector: SectorGrid | ScanLines, spacing: float | None = None) -> Grid:
    """Return the smallest grid around a sector or around parallel lines.

    Parameters
    ----------
    sector : SectorGrid or ScanLines
    spacing : float, optional [m]
        Default the mean step in range; of lines half their mean distance.

    Returns
    -------
    Grid
        2-D; around a sector its points lie symmetrically about the apex in x.

    Raises
    ------
    ArgumentError
        A single line or range; the grid would have more than 1e8 points, or spacing not in metres.
    """
    if isinstance(sector, ScanLines):
        return _around_lines(sector, spacing)
    if not isinstance(sector, SectorGrid) or min(sector.shape) < 2:
        raise ArgumentError(f"sector: expected a SectorGrid of at least 2 angles and ranges, got {sector!r}")
    default = float(np.ptp(sector.ranges)) / (len(sector.ranges) - 1)
    h = scalar("spacing", default if spacing is None else spacing, 1e-7, 0.05, "m")
    first, last = sector.angles[0], sector.angles[-1]
    quarter = np.arange(-4, 5) * np.pi / 2  # where the outer arc is extreme in x or z
    angles = np.concatenate([[first, last], quarter[(quarter > first) & (quarter < last)]])
    r, a = np.meshgrid(sector.ranges[[0, -1]], angles)
    x, z = r * np.sin(a), r * np.cos(a)
    left, right = np.floor(x.min() / h + _MARGIN), np.ceil(x.max() / h - _MARGIN)
    shape = (int(right - left) + 1, int(np.ceil(np.ptp(z) / h - _MARGIN)) + 1)
    return _of_bounded_size(shape, h, (sector.apex[0] + left * h, sector.apex[2] + z.min()))


def _around_lines(lines: ScanLines, spacing: float | None) -> Grid:
    if min(len(lines.x), len(lines.ranges)) < 2:
        raise ArgumentError(f"sector: expected at least 2 lines of 2 samples, got {lines!r}")
    h = scalar("spacing", float(np.diff(lines.x).mean()) / 2 if spacing is None else spacing, 1e-7, 0.05, "m")
    reach = lines.ranges[[0, -1]]
    shift = np.sin(lines.angle) * reach
    x, z = (lines.x[0] + shift.min(), lines.x[-1] + shift.max()), reach * np.cos(lines.angle)
    shape = (int(np.ceil((x[1] - x[0]) / h - _MARGIN)) + 1, int(np.ceil((z[1] - z[0]) / h - _MARGIN)) + 1)
    return _of_bounded_size(shape, h, (x[0], z[0]))


def _of_bounded_size(shape: tuple[int, int], h: float, origin: tuple[float, float]) -> Grid:
    if shape[0] * shape[1] > 1e8:
        raise ArgumentError(f"spacing: expected one that gives at most 1e8 points, got {h:g} m for {shape} points")
    return Grid(shape, (h, h), origin)


def _interpolated(
    values: NDArray[Any], index: NDArray[np.float64], inside: NDArray[np.bool_], fill: float
) -> NDArray[Any]:
    """Images (..., n_lines, n_samples) at fractional indices of the points ``inside`` a grid."""
    whole = values.dtype.kind in "iu"
    working = np.dtype("c8" if values.dtype.kind == "c" else "f4")
    outside = 0.0 if whole and np.isnan(fill) else float(fill)
    if whole and not np.iinfo(values.dtype).min <= outside <= np.iinfo(values.dtype).max:
        raise ArgumentError(f"fill: expected a value that {values.dtype} holds, got {fill}")
    frames = values.reshape(-1, *values.shape[-2:])
    result = np.full((len(frames), *inside.shape), outside, values.dtype if whole else working)
    for frame, out in zip(frames, result, strict=True):
        sampled = scipy.ndimage.map_coordinates(frame.astype(working, copy=False), index, order=1, mode="nearest")
        out[inside] = np.rint(sampled) if whole else sampled
    return result.reshape(*values.shape[:-2], *inside.shape)


def _fractional_index(sector: SectorGrid, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Positions (2, n_inside) in units of the sector's indices, and which points lie inside."""
    x, z = np.meshgrid(grid.x - sector.apex[0], grid.z - sector.apex[2], indexing="ij")
    inside = np.ones(grid.shape, bool)
    index = []
    for value, axis in ((np.arctan2(x, z), sector.angles), (np.hypot(x, z), sector.ranges)):
        low, high = axis[0] - _MARGIN * (axis[1] - axis[0]), axis[-1] + _MARGIN * (axis[-1] - axis[-2])
        inside &= (value >= low) & (value <= high)
        index.append(np.interp(value, axis, np.arange(len(axis))))
    return np.stack(index)[:, inside], inside
