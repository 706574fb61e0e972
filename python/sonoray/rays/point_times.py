"""Travel times from sources to points as a function of the slowness map, with its derivative and gradient."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, to_host
from .._backends import backend
from .._checks import array, freeze, option
from ..errors import ArgumentError, DeviceError
from ..media.grids import Grid
from ._eikonal_times import EikonalTimes
from ._straight_times import StraightTimes

Times = Any  # an array of the plan's place: NumPy on the host, DLPack on CUDA
Map = NDArray[np.float64]


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
        kind = StraightTimes if path == "straight" else EikonalTimes
        self._times: Any = kind(grid, self.sources, self.points, device)

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
        return self._times.times(self._prepared(slowness, False, stream), stream)

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
        return self._times.gradient(self._prepared(slowness, False, stream), self._cotangent(cotangent), stream)

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
        return self._times.derivative(self._prepared(slowness, False, stream), change, stream)

    def linearized(self, slowness: Any) -> "LinearizedTimes":
        """The Jacobian at a slowness as a linear operator, for Gauss-Newton: solved once, applied often.

        Parameters
        ----------
        slowness : grid.shape float [s/m]

        Returns
        -------
        LinearizedTimes

        Notes
        -----
        On the eikonal path it keeps the solver's fields, 4 n grid.size bytes on the plan's device; each product then
        costs half of what `derivative` and `gradient` do, or less.
        """
        return LinearizedTimes(self._times, self._prepared(slowness, True, None), (*self.shape, self.grid))

    def rows(self) -> scipy.sparse.csr_array:
        """The straight path's Jacobian, (n * m, grid.size) float64 [m], pairs and nodes in C order.

        Times are its product with the slowness. About 12 bytes per entry, 2 entries (4 in 3-D) per grid line that a
        line crosses.

        Raises
        ------
        ArgumentError
            The path is not straight.
        """
        if self.path != "straight":
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

    def _prepared(self, slowness: Any, keep: bool, stream: Any) -> Any:
        values = array(
            "slowness", host_array("slowness", slowness), self.grid.shape, low=1 / 12000, high=1 / 300, unit="s/m"
        )
        return self._times.prepare(values, keep, stream)


class LinearizedTimes:
    """How travel times change with the slowness around a map: T(s + x) = `times` + A x to first order.

    Made by `PointTimes.linearized`. Vectors are float64 in host memory, pairs and nodes in C order, so that it is an
    operator to every solver of `inversion`.
    """

    def __init__(self, kind: Any, prepared: Any, size: tuple[int, int, Grid]) -> None:
        self._kind, self._prepared = kind, prepared
        self._pairs, self._grid = size[:2], size[2]
        self.times: NDArray[np.float32] = freeze(to_host(kind.times(prepared, None)))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pairs and of nodes."""
        return (self._pairs[0] * self._pairs[1], self._grid.size)

    def __call__(self, x: Any) -> NDArray[np.float64]:
        """A x: change of the times, (n * m,) [s], with that of the slowness, (grid.size,) or grid.shape [s/m]."""
        shape = self._grid.shape if np.shape(x) == self._grid.shape else (self._grid.size,)
        change = array("x", host_array("x", x), shape).reshape(self._grid.shape)
        return to_host(self._kind.derivative(self._prepared, change, None)).astype(np.float64).ravel()

    def adjoint(self, y: Any) -> NDArray[np.float64]:
        """The transpose of A times y, (grid.size,), with y (n * m,) or (n, m)."""
        shape = self._pairs if np.shape(y) == self._pairs else (self.shape[0],)
        cotangent = array("y", host_array("y", y), shape).reshape(self._pairs)
        return np.asarray(self._kind.gradient(self._prepared, cotangent, None)).ravel()


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
