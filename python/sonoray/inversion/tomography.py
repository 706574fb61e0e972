"""Travel times as integrals of slowness along paths."""

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device, to_host
from .._backends import backend, host_module, place
from .._checks import array, freeze
from .._scipy import linear_operator
from ..errors import ArgumentError, DeviceError
from ..media.grids import Grid
from ..rays.paths import Paths
from .operators import Vector
from .stored import StoredOperator

Numbers = Any  # a float64 array of the operator's place: NumPy on the host, DLPack on CUDA


class TravelTimeOperator:
    """The linear map from slowness on a grid to travel times along given paths, without a matrix.

    Time i is weights_i times the integral of the slowness along path i. Between nodes the slowness is the bilinear
    (2-D) or trilinear (3-D) interpolant, and its integral along each straight segment is exact: segments are split at
    the grid lines, and the polynomial in each cell is integrated in closed form. The adjoint takes the same numbers in
    the same way, so it is the transpose up to rounding. Straight rays are paths of two nodes.

    Parameters
    ----------
    grid : Grid
        2-D or 3-D, at least two nodes along every axis.
    paths : Paths
        With as many dimensions as the grid, inside it. Rays without nodes give 0.
    weights : (n_rays,) float64, optional
        Factors of the rows, not negative.
    mask : grid.shape bool, optional
        The nodes whose slowness is unknown; elsewhere it counts as 0. Default all.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        A ray leaves the grid (the message says which), shapes differ, an empty mask, NaN or negative weights.
    DeviceError
        No such device.

    Notes
    -----
    Unknowns are vectors of the nodes in the mask in C order; `vector` and `image` convert. On the host the adjoint
    has one image of 2^ndim numbers per node for each thread (at most 16) and one more; its result does not depend on
    the number of threads. On CUDA it is summed in 64-bit integers, so it does not depend on the order either.

    Examples
    --------
    >>> grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=1e-3)
    >>> paths = Paths.straight([[0.0, 0.0, 0.0]], [[0.003, 0.0, 0.02]])
    >>> times = TravelTimeOperator(grid, paths)(np.full(grid.shape, 1 / 1500))
    >>> bool(abs(times[0] * 1500 - np.hypot(0.003, 0.02)) < 1e-15)
    True
    """

    def __init__(self, grid: Grid, paths: Paths, *, weights: Any = None, mask: Any = None, device: str = "cpu") -> None:
        for name, value, kind in (("grid", grid, Grid), ("paths", paths, Paths)):
            if not isinstance(value, kind):
                raise ArgumentError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
        if paths.ndim != grid.ndim:
            raise ArgumentError(f"paths: expected {grid.ndim}-D paths on this grid, got {paths.ndim}-D ones")
        if len(paths.points) >= 2**31 or grid.size >= 2**31:
            raise ArgumentError("paths, grid: expected fewer than 2^31 nodes")
        self.grid = grid
        self.paths = paths
        self.device = device
        self._module = backend(device)
        self._frame = (list(grid.shape), list(grid.spacing), list(grid.origin))
        self._host_paths = (paths.points, paths.offsets.astype(np.int32))
        self._check_paths()
        self.weights = None if weights is None else freeze(array("weights", weights, (paths.n_rays,)))
        if self.weights is not None and (self.weights < 0).any():
            raise ArgumentError(f"weights: expected no negative ones, got {self.weights.min():g}")
        self.mask = self._checked_mask(mask)
        columns, self._n_columns = None, grid.size
        if self.mask is not None:
            self._n_columns = int(self.mask.sum())
            columns = np.where(self.mask.ravel(), np.cumsum(self.mask.ravel()) - 1, -1).astype(np.int32)
        self._host_rest = (self.weights, columns)
        there = device != "cpu"
        self._paths, self._rest = (
            tuple(to_device(v, device) if there and v is not None else v for v in values)
            for values in (self._host_paths, self._host_rest)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rays and number of unknowns."""
        return (self.paths.n_rays, self._n_columns)

    def __repr__(self) -> str:
        return f"TravelTimeOperator({self.shape[0]} rays, {self.shape[1]} unknowns, {self.device})"

    def __call__(self, x: Numbers, *, out: Numbers = None, stream: Any = None) -> Numbers:
        """Travel times of a slowness.

        Parameters
        ----------
        x : (n_unknowns,) or grid.shape float64 [s/m]
            On the operator's device. Of an image, only nodes in the mask are used.
        out : (n_rays,) float64, optional
        stream : int or stream object, optional
            CUDA stream to queue behind; the call returns before the work is done.

        Returns
        -------
        (n_rays,) float64 [s]

        Raises
        ------
        ArgumentError
            Wrong shape, NaN (on the host).
        DeviceError
            An array is in the wrong place.
        """
        if self.device == "cpu":
            given = host_array("x", x)
            x = array("x", self.vector(given) if given.shape == self.grid.shape else given, (self._n_columns,))
        result = self._result(self.paths.n_rays, out)
        self._module.travel_times(
            *self._frame,
            *self._paths,
            *self._rest,
            self._own("x", x),
            result,
            place(self.device),
            stream_handle(stream),
        )
        return result

    def adjoint(self, y: Numbers, *, out: Numbers = None, stream: Any = None) -> Numbers:
        """The transpose: times spread along their rays.

        Parameters
        ----------
        y : (n_rays,) float64
        out : (n_unknowns,) float64, optional
        stream : see `__call__`

        Returns
        -------
        (n_unknowns,) float64
        """
        if self.device == "cpu":
            y = array("y", host_array("y", y), (self.paths.n_rays,))
        result = self._result(self._n_columns, out)
        self._module.travel_times_adjoint(
            *self._frame,
            *self._paths,
            self._total_length,
            *self._rest,
            self._own("y", y),
            result,
            place(self.device),
            stream_handle(stream),
        )
        return result

    @cached_property
    def row_sums(self) -> Vector:
        """(n_rays,) float64 [m], host: weighted length of each ray inside the mask."""
        return freeze(self.on_host()(np.ones(self._n_columns)))

    @cached_property
    def column_sums(self) -> Vector:
        """(n_unknowns,) float64 [m], host: how much ray passes each node."""
        return freeze(self.on_host().adjoint(np.ones(self.paths.n_rays)))

    def integrate(self, field: Any) -> Vector:
        """Integral of a field, grid.shape float64, along every path, (n_rays,): no weights, no mask, on the host."""
        values = array("field", field, self.grid.shape).ravel()
        result = np.empty(self.paths.n_rays)
        host_module().travel_times(*self._frame, *self._host_paths, None, None, values, result, place("cpu"), 0)
        return result

    def image(self, x: Any, *, outside: Any = 0.0) -> Vector:
        """Unknowns as an image, grid.shape float64 on the host; ``outside`` (number or image) where there are none."""
        values = array("x", to_host(x), (self._n_columns,))
        if self.mask is None:
            return values.reshape(self.grid.shape).copy()
        result = np.broadcast_to(np.asarray(outside, np.float64), self.grid.shape).copy()
        result[self.mask] = values
        return result

    def vector(self, image: Any) -> Vector:
        """Unknowns of an image, grid.shape, on the host."""
        values = np.asarray(image, np.float64)
        if values.shape != self.grid.shape:
            raise ArgumentError(f"image: expected shape {self.grid.shape}, got {values.shape}")
        return np.ascontiguousarray(values.ravel() if self.mask is None else values[self.mask])

    def to_sparse(self, dtype: Any = np.float64) -> scipy.sparse.csr_array:
        """The matrix, (n_rays, n_unknowns) in compressed rows, on the host.

        Entries below 1e-15 of the ray's length are left out. About 12 bytes (8 for float32) per entry and 2 entries
        (4 in 3-D) per grid line that a ray crosses: 0.28 GB for the 65,536 rays of a ring of 256 elements at 1 mm.
        """
        values = host_module().travel_time_matrix(*self._frame, *self._host_paths, *self._host_rest, place("cpu"))
        starts, indices, entries = values
        if starts[-1] < 2**31:
            starts = starts.astype(np.int32)
        return scipy.sparse.csr_array((entries.astype(dtype, copy=False), indices, starts), shape=self.shape)

    def stored(self, dtype: Any = np.float32) -> StoredOperator:
        """The same operator with its matrix in memory (`to_sparse`), on the host.

        For many iterations on the same rays: on one core it pays from about five iterations on with bent rays and
        twelve with straight ones. It has no `image` and `vector`; take those of this one. Rounding the entries to
        float32 changes travel times by about 1e-8 of them.
        """
        return StoredOperator(self.to_sparse(dtype))

    def on_host(self) -> Any:
        """An operator on NumPy vectors that does its work here: itself, or one that copies to and from CUDA."""
        return self if self.device == "cpu" else _HostSide(self)

    def aslinearoperator(self) -> Any:
        """The operator for `scipy.sparse.linalg`: its solvers (``lsqr``, ``lsmr``, ``cg``), sums, products, ``.H``.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Of the same shape, float64, on host vectors.
        """
        host = self.on_host()
        return linear_operator(self.shape, np.float64, host, host.adjoint)

    def _check_paths(self) -> None:
        bad, self._total_length = host_module().check_paths(*self._frame, *self._host_paths, place("cpu"))
        if bad >= 0:
            nodes, extent = self.paths[bad], np.array(self.grid.extent)
            wrong = ((nodes < extent[:, 0]) | (nodes > extent[:, 1])).any(axis=1)
            extents = ", ".join(f"{a:g} to {b:g}" for a, b in extent)
            raise ArgumentError(
                f"paths: expected rays inside the grid ({extents} m), got ray {bad} with a node at "
                f"{nodes[int(wrong.argmax())].tolist()}"
            )

    def _checked_mask(self, mask: Any) -> NDArray[np.bool_] | None:
        if mask is None:
            return None
        values = np.asarray(mask)
        if values.dtype != bool or values.shape != self.grid.shape:
            raise ArgumentError(
                f"mask: expected booleans of shape {self.grid.shape}, got {values.dtype} of shape {values.shape}"
            )
        if not values.any():
            raise ArgumentError("mask: expected at least one node, got none")
        return freeze(values.copy())

    def _own(self, name: str, value: Numbers) -> Numbers:
        if is_device_array(value) != (self.device != "cpu"):
            raise DeviceError(f"{name}: expected an array on {self.device!r}, got one elsewhere")
        return value

    def _result(self, n: int, out: Numbers) -> Numbers:
        if out is None:
            if self.device == "cpu":
                return np.empty(n)
            return self._module.empty([n], "float64", place(self.device))
        self._own("out", out)
        if self.device == "cpu":
            ok = isinstance(out, np.ndarray) and out.dtype == np.float64 and out.flags.c_contiguous
            if not ok or out.shape != (n,):
                got = getattr(out, "shape", type(out).__name__)
                raise ArgumentError(f"out: expected a C-ordered float64 array of shape ({n},), got {got}")
        return out


class _HostSide:
    """A CUDA operator on NumPy vectors."""

    def __init__(self, operator: TravelTimeOperator) -> None:
        self.operator = operator
        self.shape = operator.shape

    def __call__(self, x: Any) -> Vector:
        values = array("x", x, (self.shape[1],))
        return to_host(self.operator(to_device(values, self.operator.device)))

    def adjoint(self, y: Any) -> Vector:
        values = array("y", y, (self.shape[0],))
        return to_host(self.operator.adjoint(to_device(values, self.operator.device)))
