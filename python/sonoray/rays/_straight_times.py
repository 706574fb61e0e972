"""Times to points on straight lines: the integrals of tomography, one ray per pair."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import stream_handle, to_device, to_host
from .._backends import backend, host_module, place
from ..errors import ArgumentError
from ..media.grids import Grid

Map = NDArray[np.float64]


class StraightTimes:
    """Integrals along straight lines: those of `TravelTimeOperator`, one ray per pair."""

    def __init__(self, grid: Grid, sources: Map, points: Map, device: str) -> None:
        axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
        self.shape = (len(sources), len(points))
        n_rays = len(sources) * len(points)
        if n_rays >= 2**30:
            raise ArgumentError(f"sources, points: expected fewer than 2^30 pairs, got {n_rays}")
        self.grid, self.device = grid, device
        self._module = backend(device)
        ends = np.empty((*self.shape, 2, grid.ndim))
        ends[:, :, 0] = sources[:, None, axes]
        ends[:, :, 1] = points[:, axes]
        self._frame = (list(grid.shape), list(grid.spacing), list(grid.origin))
        self._host_rays = (ends.reshape(-1, grid.ndim), np.arange(0, 2 * n_rays + 1, 2, dtype=np.int32))
        self._rays = self._host_rays if device == "cpu" else tuple(to_device(v, device) for v in self._host_rays)
        self._length = float(np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1).sum())

    def prepare(self, slowness: Map, keep: bool, stream: Any) -> Map:
        """The times are linear in the slowness: there is nothing to prepare."""
        return slowness

    def times(self, slowness: Map, stream: Any) -> Any:
        """(n, m) float32 on the device."""
        result = np.empty(self.shape[0] * self.shape[1])
        there = self.device != "cpu"
        x = to_device(slowness.ravel(), self.device, stream=stream) if there else slowness.ravel()
        out = self._module.empty([result.size], "float64", place(self.device)) if there else result
        self._module.travel_times(
            *self._frame, *self._rays, None, None, x, out, place(self.device), stream_handle(stream)
        )
        times = to_host(out, stream=stream).reshape(self.shape).astype(np.float32)
        return to_device(times, self.device, stream=stream) if there else times

    def derivative(self, slowness: Map, perturbation: Map, stream: Any) -> Any:
        """(n, m) float32 on the device."""
        return self.times(perturbation, stream)

    def gradient(self, slowness: Map, cotangent: Any, stream: Any) -> Map:
        """grid.shape float64; the cotangent is on the device or in host memory."""
        there = self.device != "cpu"
        y = np.ascontiguousarray(to_host(cotangent, stream=stream), np.float64).ravel()
        result = np.empty(self.grid.size)
        out = self._module.empty([result.size], "float64", place(self.device)) if there else result
        self._module.travel_times_adjoint(
            *self._frame,
            *self._rays,
            self._length,
            None,
            None,
            to_device(y, self.device, stream=stream) if there else y,
            out,
            place(self.device),
            stream_handle(stream),
        )
        return to_host(out, stream=stream).reshape(self.grid.shape)

    def rows(self) -> scipy.sparse.csr_array:
        """(n * m, grid.size) [m]."""
        starts, indices, entries = host_module().travel_time_matrix(
            *self._frame, *self._host_rays, None, None, place("cpu")
        )
        if starts[-1] < 2**31:
            starts = starts.astype(np.int32)
        return scipy.sparse.csr_array((entries, indices, starts), shape=(len(starts) - 1, self.grid.size))
