"""Receive tables: mean slowness from every element to a coarse grid, sampled as coarsely as a time error allows."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_host
from .._checks import scalar
from ..acquisition.probes import Probe
from ..errors import ArgumentError
from ..media.grids import Grid

TOLERANCE = 1e-9  # s
_COARSEST = 0.0499  # m, just below what a Grid takes
_BATCH = 16  # sources per solve: full-resolution times of all elements need not fit in memory


def check_inside(points: NDArray[np.float64], probe: Probe, medium_grid: Grid) -> None:
    """Refuse image points or elements that the medium's grid does not cover, by name and extent."""
    keep = [0, 2] if medium_grid.ndim == 2 else [0, 1, 2]
    for name, positions in (("grid", points), ("probe", probe.positions)):
        if medium_grid.ndim == 2 and np.abs(positions[:, 1]).max() > 1e-9:
            far = np.abs(positions[:, 1]).max()
            raise ArgumentError(f"{name}: expected y = 0 for a 2-D medium, got points up to {far:g} m away from it")
        for axis, column, (first, last), step in zip(
            "xyz" if medium_grid.ndim == 3 else "xz", keep, medium_grid.extent, medium_grid.spacing, strict=True
        ):
            low, high = positions[:, column].min(), positions[:, column].max()
            if low < first - 1e-6 * step or high > last + 1e-6 * step:
                raise ArgumentError(
                    f"{name}: expected {axis} inside the medium's grid, {first:g} to {last:g} m, "
                    f"got {low:g} to {high:g} m; use a larger medium"
                )


def receive_tables(
    solver: Any, probe: Probe, points: NDArray[np.float64], spacing: float | None
) -> tuple[NDArray[np.float32], Grid]:
    """Mean slowness from each element to the nodes of a grid around ``points``.

    Parameters
    ----------
    solver : EikonalSolver
    probe : Probe
    points : (n_points, 3) float64 [m]
    spacing : float [m], optional
        Of the table. None: the coarsest, out of 16, 8, 4, 2 and 1 spacings of the medium, whose multilinear
        interpolation differs from the solver's values by at most `TOLERANCE` seconds at every node and element.

    Returns
    -------
    slowness : (n_elements, *grid.shape) float32 [s/m]
    grid : Grid
    """
    medium_grid = solver.grid
    if spacing is not None:
        spacing = scalar("table_spacing", spacing, 1e-6, 0.05, "m")
        grid = _table_grid(points, medium_grid, tuple(max(spacing, h) for h in medium_grid.spacing))
        return _sampled(solver, probe, grid, None)[0], grid
    # A few elements tell which spacing will do; the full pass checks it for all of them.
    n = probe.n_elements
    some = np.unique(np.linspace(0, n - 1, min(n, 5)).round().astype(int))
    probed = to_host(solver.mean_slowness(probe.positions[some]))
    for stride in (16, 8, 4, 2, 1):
        grid = _table_grid(points, medium_grid, tuple(stride * h for h in medium_grid.spacing))
        error = max(_error(s, probe.positions[i], grid, medium_grid) for i, s in zip(some, probed, strict=True))
        if error > TOLERANCE and stride > 1:
            continue
        table, error = _sampled(solver, probe, grid, TOLERANCE if stride > 1 else None)
        if error <= TOLERANCE or stride == 1:
            break
    if error > TOLERANCE:
        warnings.warn(
            f"medium: its grid resolves arrival times to about {error * 1e9:.1f} ns only; refine it near the probe",
            stacklevel=3,
        )
    return table, grid


def linear_weights(x: NDArray[np.float64], first: float, step: float, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lower node and fraction for linear interpolation at ``x`` on n nodes; clamped to the ends."""
    position = np.clip((x - first) / step, 0.0, n - 1.0)
    node = np.minimum(position.astype(np.intp), max(n - 2, 0))
    return node, position - node


def interpolate(table: NDArray[Any], grid: Grid, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multilinear interpolation of (n, *grid.shape) at (n_points, 3), to (n_points, n)."""
    columns = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    axes = [
        linear_weights(points[:, c], o, h, n)
        for c, o, h, n in zip(columns, grid.origin, grid.spacing, grid.shape, strict=True)
    ]
    flat = table.reshape(len(table), -1).T  # (nodes, n)
    result = np.zeros((len(points), len(table)))
    for corner in np.ndindex(*(2,) * grid.ndim):
        index = np.zeros(len(points), np.intp)
        weight = np.ones(len(points))
        for (node, fraction), bit, n in zip(axes, corner, grid.shape, strict=True):
            index = index * n + np.minimum(node + bit, n - 1)
            weight = weight * (fraction if bit else 1.0 - fraction)
        result += weight[:, None] * flat[index]
    return result


def _table_grid(points: NDArray[np.float64], medium_grid: Grid, spacing: tuple[float, ...]) -> Grid:
    """Evenly spaced nodes from the first to the last image point, at most ``spacing`` apart."""
    columns = [0, 2] if medium_grid.ndim == 2 else [0, 1, 2]
    shape, steps, origin = [], [], []
    for column, wanted, h, (first, last) in zip(columns, spacing, medium_grid.spacing, medium_grid.extent, strict=True):
        low = max(float(points[:, column].min()), first)
        high = min(float(points[:, column].max()), last)
        if high - low < h:  # a single column of points: two nodes around it, inside the medium
            low, high = (low, low + h) if low + h <= last + 1e-6 * h else (high - h, high)
            low, high = max(low, first), min(max(high, low + 1e-6), last + 1e-6)
        cells = max(1, int(np.ceil((high - low) / min(wanted, _COARSEST) - 1e-6)))
        shape.append(cells + 1)
        steps.append((high - low) / cells)
        origin.append(low)
    return Grid(tuple(shape), tuple(steps), tuple(origin))


def _along_axes(values: NDArray[Any], source: Grid, target_axes: Any) -> NDArray[np.float64]:
    """Interpolate fields (..., *source.shape) linearly to the tensor grid of ``target_axes``."""
    result = np.asarray(values, np.float64)
    lead = result.ndim - source.ndim
    for k, x in enumerate(target_axes):
        node, f = linear_weights(x, source.origin[k], source.spacing[k], source.shape[k])
        f = f.reshape((-1,) + (1,) * (source.ndim - 1 - k))
        upper = np.minimum(node + 1, source.shape[k] - 1)
        result = (1 - f) * result.take(node, axis=lead + k) + f * result.take(upper, axis=lead + k)
    return result


def _error(slowness: NDArray[Any], element: NDArray[np.float64], grid: Grid, medium_grid: Grid) -> float:
    """Largest time error [s] of the table at the medium's nodes inside it, for one element."""
    keep = []
    for x, (first, last), h in zip(medium_grid.axes, grid.extent, medium_grid.spacing, strict=True):
        inside = np.flatnonzero((x >= first - 1e-6 * h) & (x <= last + 1e-6 * h))
        keep.append(inside if len(inside) else np.array([int(np.abs(x - first).argmin())]))
    axes = [x[k] for x, k in zip(medium_grid.axes, keep, strict=True)]
    truth = slowness[np.ix_(*keep)]
    table = _along_axes(slowness, medium_grid, grid.axes)
    difference = np.abs(_along_axes(table, grid, axes) - truth)
    columns = [0, 2] if medium_grid.ndim == 2 else [0, 1, 2]
    squares = [
        ((x - element[c]) ** 2).reshape((-1,) + (1,) * (len(axes) - 1 - k))
        for k, (x, c) in enumerate(zip(axes, columns, strict=True))
    ]
    return float((difference * np.sqrt(sum(squares))).max())


def _batches(solver: Any, probe: Probe) -> Iterator[tuple[int, NDArray[Any]]]:
    for first in range(0, probe.n_elements, _BATCH):
        yield first, to_host(solver.mean_slowness(probe.positions[first : first + _BATCH]))


def _sampled(solver: Any, probe: Probe, grid: Grid, tolerance: float | None) -> tuple[NDArray[np.float32], float]:
    """Sample the solver's tables on ``grid``; stops early where the error exceeds ``tolerance``."""
    table = np.empty((probe.n_elements, *grid.shape), np.float32)
    worst = 0.0
    for first, slowness in _batches(solver, probe):
        table[first : first + len(slowness)] = _along_axes(slowness, solver.grid, grid.axes)
        for i, s in enumerate(slowness):
            worst = max(worst, _error(s, probe.positions[first + i], grid, solver.grid))
        if tolerance is not None and worst > tolerance:
            break
    return table, worst
