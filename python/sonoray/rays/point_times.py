"""Travel times from sources to points as a function of the slowness map, with its derivative and gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device, to_host
from .._backends import backend, host_module, place
from .._checks import array, option
from ..errors import ArgumentError, DeviceError
from ..media.grids import Grid
from ..media.medium import Medium
from .eikonal import EikonalSolver

Times = Any  # an array of the plan's place: NumPy on the host, DLPack on CUDA
Map = NDArray[np.float64]
_BATCH = 32  # sources per solve: fields of all sources need not fit in memory


class PointTimes:
    """Travel times from n sources to m points in a map of slowness.

    Parameters
    ----------
    grid : Grid
        Of the slowness map, 2-D or 3-D, at least two nodes along every axis.
    sources : (n, 3) float64 [m]
        Inside the grid; y is ignored in 2-D. Host memory, like `points`.
    points : (m, 3) float64 [m]
        Inside the grid.
    path : {"eikonal", "straight"}, optional
        The fastest path (`EikonalSolver`), or the straight line with refraction neglected: the exact integral of the
        multilinear interpolant of the slowness, linear in it.
    device : {"cpu", "cuda", "cuda:N"}, optional
        Where times are. Maps are small and lie in host memory always.

    Raises
    ------
    ArgumentError
        Sources or points outside the grid, unknown path, a grid of one node along an axis.
    DeviceError
        No such device.

    Notes
    -----
    On the eikonal path the solver's mean slowness, time over distance, is interpolated multilinearly between nodes,
    then multiplied by the distance: it is smooth at the source, where the travel time is not.

    Examples
    --------
    >>> grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=1e-3)
    >>> times = PointTimes(grid, [[0.0, 0.0, 0.0]], [[0.003, 0.0, 0.02]], path="straight")
    >>> bool(abs(times(np.full(grid.shape, 1 / 1500))[0, 0] * 1500 - np.hypot(0.003, 0.02)) < 1e-8)
    True
    """

    def __init__(self, grid: Grid, sources: Any, points: Any, *, path: str = "eikonal", device: str = "cpu") -> None:
        if not isinstance(grid, Grid):
            raise ArgumentError(f"grid: expected Grid, got {type(grid).__name__}")
        if min(grid.shape) < 2:
            raise ArgumentError(f"grid: expected at least two nodes along every axis, got shape {grid.shape}")
        self.grid = grid
        self.sources = _inside("sources", sources, grid)
        self.points = _inside("points", points, grid)
        self.path = option("path", path, ("eikonal", "straight"))
        self.device = device
        kind = _StraightTimes if path == "straight" else _EikonalTimes
        self._times = kind(grid, self.sources, self.points, device)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of sources and of points."""
        return (len(self.sources), len(self.points))

    def __repr__(self) -> str:
        return f"PointTimes({self.shape[0]} sources, {self.shape[1]} points, {self.path}, {self.device})"

    def __call__(self, slowness: Any, *, stream: Any = None) -> Times:
        """Travel time of every pair.

        Parameters
        ----------
        slowness : grid.shape float [s/m]
            Host memory.
        stream : int or stream object, optional
            CUDA stream to queue behind.

        Returns
        -------
        (n, m) float32 [s]
            On the plan's device.

        Raises
        ------
        ArgumentError
            Wrong shape, NaN, slowness outside 1 / 12000 to 1 / 300 s/m.
        """
        return self._times.times(self._slowness(slowness), stream)

    def gradient(self, slowness: Any, cotangent: Times, *, stream: Any = None) -> Map:
        """dL / dslowness of any loss L of the times: the transpose of `derivative`.

        Parameters
        ----------
        slowness : grid.shape float [s/m]
        cotangent : (n, m) float32 or float64
            dL / dT, on the plan's device.
        stream : int or stream object, optional
            Waits for this CUDA stream.

        Returns
        -------
        grid.shape float64
            In host memory.
        """
        return self._times.gradient(self._slowness(slowness), self._cotangent(cotangent), stream)

    def derivative(self, slowness: Any, perturbation: Any, *, stream: Any = None) -> Times:
        """Change of the times, to first order, when the slowness changes by ``perturbation``.

        Parameters
        ----------
        slowness, perturbation : grid.shape float [s/m]
        stream : int or stream object, optional

        Returns
        -------
        (n, m) float32 [s]
        """
        change = array("perturbation", host_array("perturbation", perturbation), self.grid.shape)
        return self._times.derivative(self._slowness(slowness), change, stream)

    def rows(self) -> scipy.sparse.csr_array:
        """The straight path's Jacobian, (n * m, grid.size) float64 [m], pairs and nodes in C order.

        Times are its product with the slowness. About 12 bytes per entry, 2 entries (4 in 3-D) per grid line that a
        line crosses.

        Raises
        ------
        ArgumentError
            The path is not straight.
        """
        if not isinstance(self._times, _StraightTimes):
            raise ArgumentError("path: expected 'straight', whose rows do not depend on the slowness, got 'eikonal'")
        return self._times.rows()

    def _cotangent(self, cotangent: Times) -> Times:
        if is_device_array(cotangent) != (self.device != "cpu"):
            raise DeviceError(f"cotangent: expected an array on {self.device!r}, got one elsewhere")
        if self.device == "cpu":
            return array("cotangent", host_array("cotangent", cotangent), self.shape)
        got = tuple(backend(self.device).describe(cotangent)[0])
        if got != self.shape:
            raise ArgumentError(f"cotangent: expected shape {self.shape}, got {got}")
        return cotangent

    def _slowness(self, slowness: Any) -> Map:
        values: Map = array(
            "slowness", host_array("slowness", slowness), self.grid.shape, low=1 / 12000, high=1 / 300, unit="s/m"
        )
        return values


class _StraightTimes:
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

    def times(self, slowness: Map, stream: Any) -> Times:
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

    def derivative(self, slowness: Map, perturbation: Map, stream: Any) -> Times:
        """The times are linear in the slowness."""
        return self.times(perturbation, stream)

    def gradient(self, slowness: Map, cotangent: Times, stream: Any) -> Map:
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
        starts, indices, entries = host_module().travel_time_matrix(
            *self._frame, *self._host_rays, None, None, place("cpu")
        )
        if starts[-1] < 2**31:
            starts = starts.astype(np.int32)
        return scipy.sparse.csr_array((entries, indices, starts), shape=(len(starts) - 1, self.grid.size))


class _EikonalTimes:
    """The solver's mean slowness at the points, times the distance. Sampling is done here, in host memory."""

    def __init__(self, grid: Grid, sources: Map, points: Map, device: str) -> None:
        axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
        backend(device)
        self.grid, self.sources, self.device = grid, sources, device
        self.distance = np.linalg.norm(points[:, axes] - sources[:, None, axes], axis=-1)  # (n, m)
        self.weights = _sampling(grid, points[:, axes])
        self.spread = scipy.sparse.csr_array(self.weights.T)

    def times(self, slowness: Map, stream: Any) -> Times:
        """(n, m) float32 on the device."""
        solver = self._solver(slowness)
        return self._sampled(lambda sources: solver.mean_slowness(sources, stream=stream), stream)

    def derivative(self, slowness: Map, perturbation: Map, stream: Any) -> Times:
        solver = self._solver(slowness)
        return self._sampled(
            lambda sources: solver.derivative(sources, perturbation, mean_slowness=True, stream=stream), stream
        )

    def gradient(self, slowness: Map, cotangent: Times, stream: Any) -> Map:
        solver = self._solver(slowness)
        weighted = to_host(cotangent, stream=stream).astype(np.float64) * self.distance
        result = np.zeros(self.grid.shape)
        for batch in self._batches():
            fields = np.ascontiguousarray((self.spread @ weighted[batch].T).T, np.float32)
            fields = fields.reshape(-1, *self.grid.shape)
            given = fields if self.device == "cpu" else to_device(fields, self.device, stream=stream)
            result += solver.gradient(self.sources[batch], given, mean_slowness=True, stream=stream)
        return result

    def _solver(self, slowness: Map) -> EikonalSolver:
        return EikonalSolver(Medium(self.grid, 1.0 / slowness), device=self.device)

    def _batches(self) -> list[slice]:
        return [slice(first, first + _BATCH) for first in range(0, len(self.sources), _BATCH)]

    def _sampled(self, solve: Callable[[Map], Times], stream: Any) -> Times:
        result = np.empty(self.distance.shape, np.float32)
        for batch in self._batches():
            fields = to_host(solve(self.sources[batch]), stream=stream)
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


def _inside(name: str, points: Any, grid: Grid) -> NDArray[np.float64]:
    """Points checked and moved onto the grid where they are outside by rounding."""
    if is_device_array(points):
        raise DeviceError(f"{name}: expected host memory (geometry is checked there), got a CUDA array")
    checked = array(name, host_array(name, points), (None, 3)).copy()
    outside = np.flatnonzero(~grid.contains(checked))
    if outside.size:
        extent = ", ".join(f"{low:g} to {high:g}" for low, high in grid.extent)
        raise ArgumentError(
            f"{name}: expected points inside the grid ({extent} m), got {checked[outside[0]].tolist()} "
            f"(number {outside[0]}, {outside.size} in all)"
        )
    axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    checked[:, axes] = np.clip(checked[:, axes], *np.array(grid.extent).T)
    return checked
