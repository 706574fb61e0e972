"""Times to points on the fastest path: fields of the eikonal solver, sampled at the points in host memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import to_device, to_host
from .._backends import backend
from ..media.grids import Grid
from ..media.medium import Medium
from .eikonal import EikonalSolver

Map = NDArray[np.float64]
_BATCH = 32  # sources per solve: fields of all sources need not fit in memory


@dataclass(frozen=True, eq=False)
class Solved:
    """A solver and, if they are kept, its mean slownesses by batch of sources, on its device."""

    solver: EikonalSolver
    fields: list[Any] | None = None


class EikonalTimes:
    """The solver's mean slowness at the points, times the distance."""

    def __init__(self, grid: Grid, sources: Map, points: Map, device: str) -> None:
        axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
        backend(device)
        self.grid, self.device = grid, device
        self.batches = [slice(first, first + _BATCH) for first in range(0, len(sources), _BATCH)]
        self.sources = [sources[batch] for batch in self.batches]
        self.distance = np.linalg.norm(points[:, axes] - sources[:, None, axes], axis=-1)  # (n, m)
        self.weights = _sampling(grid, points[:, axes])
        self.spread = scipy.sparse.csr_array(self.weights.T)

    def prepare(self, slowness: Map, keep: bool, stream: Any) -> Solved:
        """What derivatives at this slowness need; solved once and for all if it is to be kept."""
        solver = EikonalSolver(Medium(self.grid, 1.0 / slowness), device=self.device)
        return Solved(solver, [solver.mean_slowness(s, stream=stream) for s in self.sources] if keep else None)

    def times(self, solved: Solved, stream: Any) -> Any:
        """(n, m) float32 on the device."""
        return self._sampled(
            lambda k: (
                solved.fields[k] if solved.fields else solved.solver.mean_slowness(self.sources[k], stream=stream)
            ),
            stream,
        )

    def derivative(self, solved: Solved, perturbation: Map, stream: Any) -> Any:
        """(n, m) float32 on the device."""
        return self._sampled(
            lambda k: solved.solver.derivative(
                self.sources[k],
                perturbation,
                mean_slowness=True,
                solution=solved.fields[k] if solved.fields else None,
                stream=stream,
            ),
            stream,
        )

    def gradient(self, solved: Solved, cotangent: Any, stream: Any) -> Map:
        """grid.shape float64; the cotangent is on the device or in host memory."""
        weighted = to_host(cotangent, stream=stream).astype(np.float64) * self.distance
        result = np.zeros(self.grid.shape)
        for k, batch in enumerate(self.batches):
            fields = np.ascontiguousarray((self.spread @ weighted[batch].T).T, np.float32)
            fields = fields.reshape(-1, *self.grid.shape)
            result += solved.solver.gradient(
                self.sources[k],
                fields if self.device == "cpu" else to_device(fields, self.device, stream=stream),
                mean_slowness=True,
                solution=solved.fields[k] if solved.fields else None,
                stream=stream,
            )
        return result

    def _sampled(self, field_of: Callable[[int], Any], stream: Any) -> Any:
        result = np.empty(self.distance.shape, np.float32)
        for k, batch in enumerate(self.batches):
            fields = to_host(field_of(k), stream=stream)
            result[batch] = (self.weights @ fields.reshape(len(fields), -1).T).T * self.distance[batch]
        return result if self.device == "cpu" else to_device(result, self.device, stream=stream)


def _sampling(grid: Grid, points: Map) -> scipy.sparse.csr_array:
    """Multilinear interpolation from the nodes to the points (m, ndim), as a matrix (m, grid.size)."""
    columns, values = np.zeros((len(points), 1), np.int64), np.ones((len(points), 1))
    for x, first, step, n in zip(points.T, grid.origin, grid.spacing, grid.shape, strict=True):
        at = np.clip((x - first) / step, 0.0, n - 1.0)
        node = np.minimum(at.astype(np.int64), n - 2)
        part = (at - node)[:, None]
        columns = (columns[:, :, None] * n + np.stack([node, node + 1], 1)[:, None]).reshape(len(points), -1)
        values = (values[:, :, None] * np.concatenate([1.0 - part, part], 1)[:, None]).reshape(len(points), -1)
    starts = np.arange(0, columns.size + 1, columns.shape[1])
    return scipy.sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(points), grid.size))
