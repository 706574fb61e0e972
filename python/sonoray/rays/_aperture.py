"""How a front starts: firing times along an aperture become travel times at the nodes next to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array
from ..errors import ArgumentError
from ..media.grids import Grid

_REACH = 2.5  # spacings


def firing_times(positions: NDArray[np.float64], times: Any) -> NDArray[np.float64]:
    """Check ``times`` (n, m): finite or NaN, and at least one firing per front."""
    values = np.asarray(times, np.float64)
    if values.ndim != 2 or values.shape[1] != len(positions):
        raise ArgumentError(f"times: expected shape (any, {len(positions)}), got {values.shape}")
    array("times", np.nan_to_num(values, nan=0.0), values.shape, low=-1.0, high=1.0, unit="s")
    silent = np.flatnonzero(np.isnan(values).all(axis=1))
    if silent.size:
        raise ArgumentError(f"times: expected at least one firing position per front, got none in front {silent[0]}")
    return values


def _segment(
    nodes: NDArray[Any], a: NDArray[Any], b: NDArray[Any], ta: float, tb: float, slowness: NDArray[Any]
) -> NDArray[Any]:
    """min over points q of the segment a-b of t(q) + slowness |p - q|, with t linear: Snell's point in closed form."""
    length = float(np.linalg.norm(b - a))
    if length == 0.0:
        return np.asarray(min(ta, tb) + slowness * np.linalg.norm(nodes - a, axis=1))
    unit = (b - a) / length
    along = (nodes - a) @ unit
    across = np.sqrt(np.maximum(((nodes - a) ** 2).sum(axis=1) - along**2, 0.0))
    sine = (tb - ta) / length / slowness  # of the angle between the ray and the normal of the aperture
    steep = np.abs(sine) < 1.0
    tangent = np.where(steep, sine / np.sqrt(np.where(steep, 1.0 - sine**2, 1.0)), np.sign(sine) * 1e9)
    foot = np.clip(along - across * tangent, 0.0, length)
    return np.asarray(ta + (tb - ta) * foot / length + slowness * np.hypot(along - foot, across))


def start_front(grid: Grid, slowness: NDArray[Any], positions: NDArray[np.float64], times: Any) -> NDArray[np.float32]:
    """Travel times (n, *grid.shape) at nodes within reach of the firing parts of the aperture, NaN elsewhere."""
    firing = firing_times(positions, times)
    axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    spots = positions[:, axes]
    origin, spacing, shape = np.array(grid.origin), np.array(grid.spacing), np.array(grid.shape)
    reach = _REACH * spacing.max()
    result = np.full((len(firing), *grid.shape), np.nan, np.float32)
    for i in range(len(spots)):
        j = min(i + 1, len(spots) - 1)
        low = np.maximum(np.ceil((np.minimum(spots[i], spots[j]) - reach - origin) / spacing), 0).astype(int)
        high = np.minimum(np.floor((np.maximum(spots[i], spots[j]) + reach - origin) / spacing), shape - 1).astype(int)
        box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
        mesh = np.meshgrid(*(a[s] for a, s in zip(grid.axes, box, strict=True)), indexing="ij")
        nodes = np.stack([m.ravel() for m in mesh], axis=1)
        local = slowness[box].ravel().astype(np.float64)
        alone = np.linalg.norm(nodes - spots[i], axis=1)
        step = spots[j] - spots[i]
        part = np.clip((nodes - spots[i]) @ step / max(float(step @ step), 1e-30), 0.0, 1.0)
        near = np.linalg.norm(nodes - spots[i] - part[:, None] * step, axis=1) <= reach
        for k, t in enumerate(firing):
            if np.isnan(t[i]):
                continue
            if i == j or np.isnan(t[j]):
                arrival = np.where(alone <= reach, t[i] + local * alone, np.nan)
            else:
                arrival = np.where(near, _segment(nodes, spots[i], spots[j], t[i], t[j], local), np.nan)
            field = result[k][tuple(box)]
            np.fmin(field, arrival.reshape(field.shape).astype(np.float32), out=field)
    return result
