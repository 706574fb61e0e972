"""Paths: polylines of many rays, packed into one array."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze
from ..errors import ArgumentError

_BLOCK = 1 << 14  # nodes, so that temporaries stay in the cache


@dataclass(frozen=True, eq=False, repr=False)
class Paths:
    """Nodes of many rays, one ray after the other.

    Parameters
    ----------
    points : (n_nodes, 2 or 3) float64 [m]
        Nodes in order of travel: (x, z) of a 2-D problem, (x, y, z) of a 3-D one.
    offsets : (n_rays + 1,) int64
        Ray i owns the nodes offsets[i] to offsets[i + 1]; a ray without nodes has failed and counts nothing.

    Raises
    ------
    ArgumentError
        Offsets that do not rise from 0 to n_nodes, a ray of a single node, NaN, millimetres instead of metres.
    """

    points: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        points = np.asarray(self.points)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise ArgumentError(f"points: expected shape (n_nodes, 2 or 3), got {points.shape}")
        points = array("points", points, (None, points.shape[1]), low=-2.0, high=2.0, unit="m")
        offsets = array("offsets", self.offsets, (None,), np.int64)
        if not offsets.size or offsets[0] != 0 or offsets[-1] != len(points) or (np.diff(offsets) < 0).any():
            raise ArgumentError(f"offsets: expected rising numbers from 0 to {len(points)}, the number of nodes")
        if (np.diff(offsets) == 1).any():
            raise ArgumentError(
                f"offsets: expected no or at least two nodes per ray, got one in ray "
                f"{int(np.flatnonzero(np.diff(offsets) == 1)[0])}"
            )
        object.__setattr__(self, "points", freeze(points))
        object.__setattr__(self, "offsets", freeze(offsets))

    @property
    def n_rays(self) -> int:
        """Number of rays, failed ones included."""
        return len(self.offsets) - 1

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return int(self.points.shape[1])

    def __repr__(self) -> str:
        return f"Paths({self.n_rays} rays, {len(self.points)} nodes, {self.ndim}-D)"

    def __getitem__(self, ray: int) -> NDArray[np.float64]:
        """Nodes of one ray, (n, ndim) [m]."""
        return self.points[self.offsets[ray] : self.offsets[ray + 1]]

    def lengths(self) -> NDArray[np.float64]:
        """Length of each polyline, (n_rays,) [m]."""
        total = np.zeros(max(1, len(self.points)))  # step to each node, then the sum of them
        for begin in range(0, len(self.points) - 1, _BLOCK):
            steps = np.diff(self.points[begin : begin + _BLOCK + 1], axis=0)
            total[begin + 1 : begin + 1 + len(steps)] = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        total[self.offsets[1:-1][self.offsets[1:-1] < len(self.points)]] = 0.0
        np.cumsum(total, out=total)
        last = np.maximum(self.offsets[1:] - 1, self.offsets[:-1])
        first = np.minimum(self.offsets[:-1], len(total) - 1)
        return np.asarray(total[np.minimum(last, len(total) - 1)] - total[first])

    @classmethod
    def straight(cls, starts: Any, ends: Any, *, ndim: int = 2) -> "Paths":
        """Straight rays between points (n, 3) [m]; two nodes each."""
        a, b = (array(n, v, (None, 3), low=-2.0, high=2.0, unit="m") for n, v in (("starts", starts), ("ends", ends)))
        if len(a) != len(b):
            raise ArgumentError(f"ends: expected as many points as starts ({len(a)}), got {len(b)}")
        axes = [0, 2] if ndim == 2 else [0, 1, 2]
        nodes = np.stack([a[:, axes], b[:, axes]], axis=1).reshape(-1, len(axes))
        return cls(nodes, 2 * np.arange(len(a) + 1))
