"""Fields of view of simulated scanners: on which points beams sample, and how that becomes a picture."""

from dataclasses import dataclass

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray


@dataclass(frozen=True)
class FlowView:
    """Beam samples over a picture of square pixels. Lines lie along the last axis, depth along the one before.

    Parameters
    ----------
    shape : (n_rows, n_columns)
        Of the picture.
    margin : int
        Samples around what is shown, so that the point-spread function never meets an edge.
    x, z : (n_depths, n_lines) float32 [px]
        Where the beam samples lie in the picture.
    direction : (2, n_depths, n_lines) float32
        Unit vectors of the B-mode beams, away from the probe, along columns and rows.
    apex : (column, row) or None
        Of a sector; None for a linear field of view, whose samples are the pixels.
    first_range, range_step, first_angle, angle_step : float [px, rad]
        Of a sector.
    """

    shape: tuple[int, int]
    margin: int
    x: NDArray[np.float32]
    z: NDArray[np.float32]
    direction: NDArray[np.float32]
    apex: tuple[float, float] | None = None
    first_range: float = 0.0
    range_step: float = 1.0
    first_angle: float = 0.0
    angle_step: float = 1.0

    def index(self, x: NDArray[np.float32], z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fractional sample indices (2, ...) (depth, line) of points of the picture."""
        if self.apex is None:
            return np.stack([z + self.margin, x + self.margin])
        dx, dz = x - self.apex[0], z - self.apex[1]
        depth = (np.hypot(dx, dz) - self.first_range) / self.range_step
        line = (np.arctan2(dx, dz) - self.first_angle) / self.angle_step
        return np.stack([depth, line]).astype(np.float32)

    def place(self, index: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points of the picture (2, ...) (row, column) at fractional sample indices: the inverse of `index`."""
        depth, line = index
        if self.apex is None:
            return np.stack([depth, line]) - np.float32(self.margin)
        r, angle = self.first_range + self.range_step * depth, self.first_angle + self.angle_step * line
        return np.stack([self.apex[1] + r * np.cos(angle), self.apex[0] + r * np.sin(angle)]).astype(np.float32)

    def show(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scan-convert (..., n_depths, n_lines) to (..., n_rows, n_columns); outside a sector the edge goes on."""
        m = self.margin
        if self.apex is None:
            return samples[..., m : m + self.shape[0], m : m + self.shape[1]]
        z, x = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)
        index = self.index(x, z)
        flat = samples.reshape(-1, *samples.shape[-2:])
        shown = [scipy.ndimage.map_coordinates(f, index, order=1, mode="nearest") for f in flat]
        return np.stack(shown).reshape(*samples.shape[:-2], *self.shape)

    def inside(self) -> NDArray[np.bool_]:
        """(n_rows, n_columns): where the picture shows beams."""
        if self.apex is None:
            return np.ones(self.shape, bool)
        z, x = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)
        depth, line = self.index(x, z)
        m, (n_depths, n_lines) = self.margin, self.x.shape
        return (depth >= m) & (depth <= n_depths - 1 - m) & (line >= m) & (line <= n_lines - 1 - m)


def linear_view(shape: tuple[int, int], margin: int) -> FlowView:
    """Parallel beams, one sample per pixel."""
    z, x = (np.mgrid[: shape[0] + 2 * margin, : shape[1] + 2 * margin] - margin).astype(np.float32)
    direction = np.stack([np.zeros_like(x), np.ones_like(x)])
    return FlowView(shape, margin, x, z, direction)


def sector_view(rng: np.random.Generator, shape: tuple[int, int], margin: int) -> FlowView:
    """Beams from an apex above, or at the top edge of, the picture: phased (from a point) or curved probes."""
    rows, columns = shape
    half = np.deg2rad(rng.uniform(28, 48))
    curved = rng.random() < 0.4
    radius = rng.uniform(0.3, 0.8) * rows if curved else rng.uniform(0.0, 0.08) * rows
    top = 0.02 * rows
    if curved:  # the middle of the probe's face touches the picture's top edge
        apex = (columns / 2 - 0.5, top - radius)
        half *= 0.75
    else:
        apex = (columns / 2 - 0.5, top - 0.5 * radius)
    longest = rows - 1 - apex[1]
    n_depths, n_lines = rows, columns
    step, angle_step = (longest - radius) / (n_depths - 1), 2 * half / (n_lines - 1)
    first_range, first_angle = radius - margin * step, -half - margin * angle_step
    r = np.maximum(first_range + step * np.arange(n_depths + 2 * margin), 0.0)[:, None]
    angle = (first_angle + angle_step * np.arange(n_lines + 2 * margin))[None]
    x, z = apex[0] + r * np.sin(angle), apex[1] + r * np.cos(angle)
    direction = np.stack(np.broadcast_arrays(np.sin(angle), np.cos(angle), x)[:2])
    return FlowView(
        shape, margin, x.astype("f4"), z.astype("f4"), direction.astype("f4"), apex, first_range, step, first_angle,
        angle_step,
    )  # fmt: skip
