"""Travel times from the eikonal equation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, scalar
from ..errors import ArgumentError, DeviceError
from ..media.grids import Grid
from ..media.medium import Medium
from ._aperture import start_front

Times = Any  # an array of the plan's place: NumPy on the host, DLPack on CUDA


class EikonalSolver:
    """First-arrival travel times T in a medium: abs(grad T) = 1 / sound speed, many sources at once.

    The times of a point source are computed as T(p) = r (s0 + v(p)) with r the distance to the source and s0 the
    slowness there, so that the kink of T at the source costs no accuracy [1]_; sources need not be nodes. A first
    pass of fast sweeping [2]_ with second-order upwind differences keeps the earliest time of each node; where waves
    cross, a second pass then recomputes each node from the side its wave comes from. On the host, both passes run in
    windows that grow from the sources, only tiles that a wave still changes are swept, and each SIMD lane works on
    its own source: give many sources at once, neighbours next to each other.

    Parameters
    ----------
    medium : Medium
        On a 2-D (x, z) or 3-D (x, y, z) grid.
    device : {"cpu", "cuda", "cuda:N"}, optional
    max_rounds : int, optional
        Limit on the rounds of 2^ndim sweeps of either pass in each window. Sweeping stops by itself when nothing
        changes, which takes 2 to 10 rounds; a lower limit cuts the work in strongly scattering
        media at the cost of accuracy.

    Raises
    ------
    ArgumentError
        The medium is not a `Medium`.
    DeviceError
        No such device.

    Notes
    -----
    Where T is smooth the error falls with the square of the spacing, down to about 4e-6 of T, where sweeping stops;
    next to creases, where two fronts meet, it falls with the spacing. Memory: 4 bytes per node and SIMD lane (16
    lanes with AVX2, 32 with AVX-512) and thread.

    References
    ----------
    .. [1] S. Fomel, S. Luo, H. Zhao, Fast sweeping method for the factored eikonal equation,
       J. Comput. Phys. 228, 6440 (2009), eqs. 4 and 7.
    .. [2] H. Zhao, A fast sweeping method for eikonal equations, Math. Comp. 74, 603 (2005), eq. 2.4.

    Examples
    --------
    >>> grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    >>> times = EikonalSolver(Medium(grid, 1540.0))([[0.0, 0.0, 0.0]])
    >>> bool(abs(times[0, 50, 100] - 0.02 / 1540.0) < 1e-11)
    True
    """

    def __init__(self, medium: Medium, *, device: str = "cpu", max_rounds: int = 40) -> None:
        if not isinstance(medium, Medium):
            raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
        self.medium = medium
        self.device = device
        self.max_rounds = count("max_rounds", max_rounds, 1, 10_000)
        self._module = backend(device)
        slowness = np.ascontiguousarray(1.0 / medium.sound_speed.astype(np.float64), np.float32)
        self._host_slowness = slowness
        self._slowness = slowness if device == "cpu" else to_device(slowness, device)
        self._max_slowness = float(slowness.max())

    @property
    def grid(self) -> Grid:
        """Where the times are given."""
        return self.medium.grid

    def __call__(self, sources: Any, *, out: Times = None, stream: Any = None) -> Times:
        """Travel times of point sources.

        Parameters
        ----------
        sources : (n, 3) float64 [m]
            Inside the grid, on nodes or between them; y is ignored in 2-D. Host memory.
        out : (n, *grid.shape) float32, optional
            Where to put the result, on the solver's device.
        stream : int or stream object, optional
            CUDA stream to queue behind; the call returns before the work is done.

        Returns
        -------
        (n, *grid.shape) float32 [s]
            On the solver's device.

        Raises
        ------
        ArgumentError
            A source outside the grid, NaN, wrong shape.
        DeviceError
            `out` is in the wrong place.
        """
        return self._points(sources, False, out, stream)

    def mean_slowness(self, sources: Any, *, out: Times = None, stream: Any = None) -> Times:
        """Mean slowness T / abs(p - source) of the fastest path from each source.

        It is smooth at the source, where it is the medium's slowness, so it may be sampled on a much coarser grid
        than the travel time; parameters and errors as for calling the solver.

        Returns
        -------
        (n, *grid.shape) float32 [s/m]
        """
        return self._points(sources, True, out, stream)

    def gradient(
        self,
        sources: Any,
        cotangent: Times,
        *,
        mean_slowness: bool = False,
        solution: Times = None,
        stream: Any = None,
    ) -> NDArray[np.float64]:
        """dL / dslowness at every node, for any loss L of the travel times: the transpose of `derivative`.

        Parameters
        ----------
        sources : (n, 3) float64 [m]
            As for calling the solver.
        cotangent : (n, *grid.shape) float32
            dL / dT, on the solver's device.
        mean_slowness : bool, optional
            The loss is one of `mean_slowness(sources)` instead, and so is the cotangent.
        solution : (n, *grid.shape) float32 [s/m], optional
            `mean_slowness(sources)` of this solver, on its device, if it is known: then nothing is solved again.
        stream : int or stream object, optional
            Waits for this CUDA stream.

        Returns
        -------
        grid.shape float64
            In host memory.

        Raises
        ------
        ArgumentError
            A source outside the grid, wrong shapes, NaN (on the host).
        DeviceError
            An array is in the wrong place.

        Notes
        -----
        The scheme is differentiated exactly as it has converged: each node depends on the neighbours that its wave
        comes from, nodes next to a source on the straight ray there. Sweeps against the waves resolve that [1]_, [2]_.
        The derivative along the slowness itself is the travel time. Where two fronts meet, the time has no derivative;
        there the result is that of the earlier front.

        References
        ----------
        .. [1] S. Leung, J. Qian, An adjoint state method for three-dimensional transmission traveltime tomography
           using first-arrivals, Commun. Math. Sci. 4, 249 (2006), eq. 11.
        .. [2] F. Bretaudeau, R. Brossier, J. Virieux, L. Metivier, First-arrival delayed tomography using 1st and 2nd
           order adjoint-state method, SEG Technical Program Expanded Abstracts 4757 (2014).
        """
        where = self._inside("sources", sources)
        shape = (len(where), *self.grid.shape)
        result = np.empty(self.grid.shape)
        there = self.device != "cpu"
        out = self._module.empty(list(result.shape), "float64", place(self.device)) if there else result
        solve = getattr(self._module, f"eikonal_gradient_{self.grid.ndim}d")
        solve(
            *self._common(),
            where.ravel().tolist(),
            mean_slowness,
            None if solution is None else self._field("solution", solution, shape),
            self._field("cotangent", cotangent, shape),
            out,
            place(self.device),
            stream_handle(stream),
        )
        return to_host(out, stream=stream)

    def derivative(
        self,
        sources: Any,
        perturbation: Any,
        *,
        mean_slowness: bool = False,
        solution: Times = None,
        stream: Any = None,
    ) -> Times:
        """Change of the travel times, to first order, when the slowness changes by ``perturbation``.

        Parameters
        ----------
        sources : (n, 3) float64 [m]
        perturbation : grid.shape float [s/m]
            In host memory, as the medium is.
        mean_slowness, solution, stream : see `gradient`

        Returns
        -------
        (n, *grid.shape) float32 [s]
            On the solver's device; [s/m] for the change of `mean_slowness`.
        """
        where = self._inside("sources", sources)
        change = array("perturbation", host_array("perturbation", perturbation), self.grid.shape, np.float32)
        result = self._result(len(where), None)
        solve = getattr(self._module, f"eikonal_derivative_{self.grid.ndim}d")
        solve(
            *self._common(),
            where.ravel().tolist(),
            mean_slowness,
            None if solution is None else self._field("solution", solution, (len(where), *self.grid.shape)),
            change if self.device == "cpu" else to_device(change, self.device, stream=stream),
            result,
            place(self.device),
            stream_handle(stream),
        )
        return result

    def plane_wave(
        self,
        directions: Any,
        *,
        origin: Any = (0.0, 0.0, 0.0),
        sound_speed: float | None = None,
        out: Times = None,
        stream: Any = None,
    ) -> Times:
        """Arrival times of plane waves that enter the grid from outside.

        On every side of the grid through which the wave enters, T = direction . (p - origin) / sound_speed is given;
        the medium bends the wave from there.

        Parameters
        ----------
        directions : (n, 3) float64
            Of travel; normalised here. In 2-D, y must be 0.
        origin : (3,) float64, optional [m]
            Where T = 0.
        sound_speed : float, optional [m/s]
            Outside the grid. Default: 1 / mean slowness over the side that faces the wave most directly.
        out, stream : see `__call__`

        Returns
        -------
        (n, *grid.shape) float32 [s]

        Raises
        ------
        ArgumentError
            Zero or NaN direction, y component in 2-D, implausible sound speed.
        """
        along = array("directions", directions, (None, 3))
        length = np.linalg.norm(along, axis=1)
        if (length < 1e-9).any():
            raise ArgumentError(f"directions: expected non-zero vectors, got {along[int(length.argmin())].tolist()}")
        axes = [0, 2] if self.grid.ndim == 2 else [0, 1, 2]
        along = along / length[:, None]
        if self.grid.ndim == 2 and np.abs(along[:, 1]).max(initial=0.0) > 1e-6:
            raise ArgumentError("directions: expected y = 0 on a 2-D grid, got a direction that leaves the plane")
        if sound_speed is not None:
            sound_speed = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
        start = array("origin", origin, (3,))[axes]
        times = np.full((len(along), *self.grid.shape), np.nan, np.float32)
        reference = np.zeros_like(along)
        for k, direction in enumerate(along[:, axes]):
            slowness = 1.0 / sound_speed if sound_speed else self._facing_slowness(direction)
            reference[k, axes] = direction * slowness
            for axis in np.flatnonzero(np.abs(direction) > 1e-9):
                side = [slice(None)] * self.grid.ndim
                side[axis] = slice(0, 1) if direction[axis] > 0 else slice(-1, None)
                mesh = np.meshgrid(*(a[s] for a, s in zip(self.grid.axes, side, strict=True)), indexing="ij")
                times[k][tuple(side)] = slowness * sum(
                    d * (x - o) for d, x, o in zip(direction, mesh, start, strict=True)
                )
        return self._fronts(times, reference, out, stream)

    def front(self, positions: Any, times: Any, *, out: Times = None, stream: Any = None) -> Times:
        """First arrival of the fronts that an aperture emits with given delays.

        Between neighbouring positions the firing time is interpolated linearly, so the aperture emits a smooth front
        rather than one wavelet per element; elements that do not fire (NaN) interrupt it.

        Parameters
        ----------
        positions : (m, 3) float64 [m]
            Along the aperture, in order, inside the grid.
        times : (n, m) float64 [s]
            When each position fires; NaN where it does not.
        out, stream : see `__call__`

        Returns
        -------
        (n, *grid.shape) float32 [s]

        Raises
        ------
        ArgumentError
            Positions outside the grid, a front that fires nowhere, wrong shapes.

        Notes
        -----
        Nodes within 2.5 spacings of the aperture get their time along straight rays; the solver continues
        from there.
        """
        where = self._inside("positions", positions)
        given = start_front(self.grid, self._host_slowness, where, times)
        return self._fronts(given, np.zeros((len(given), 3)), out, stream)

    def _facing_slowness(self, direction: NDArray[Any]) -> float:
        axis = int(np.abs(direction).argmax())
        side = 0 if direction[axis] > 0 else -1
        return float(np.take(self._host_slowness, side, axis).mean(dtype=np.float64))

    def _inside(self, name: str, points: Any) -> NDArray[np.float64]:
        if is_device_array(points):
            raise DeviceError(f"{name}: expected host memory (geometry is checked there), got a CUDA array")
        checked: NDArray[np.float64] = array(name, host_array(name, points), (None, 3))
        outside = np.flatnonzero(~self.grid.contains(checked))
        if outside.size:
            extent = ", ".join(f"{low:g} to {high:g}" for low, high in self.grid.extent)
            raise ArgumentError(
                f"{name}: expected points inside the grid ({extent} m), got {checked[outside[0]].tolist()} "
                f"(number {outside[0]}, {outside.size} in all)"
            )
        return checked

    def _field(self, name: str, value: Times, shape: tuple[int, ...]) -> Times:
        """A field of this shape on the solver's device, checked as far as that costs no copy."""
        if is_device_array(value) != (self.device != "cpu"):
            raise DeviceError(f"{name}: expected an array on {self.device!r}, got one elsewhere")
        if self.device == "cpu":
            return array(name, host_array(name, value), shape, np.float32)
        got = tuple(self._module.describe(value)[0])
        if got != shape:
            raise ArgumentError(f"{name}: expected shape {shape}, got {got}")
        return value

    def _result(self, n: int, out: Times) -> Times:
        shape = (n, *self.grid.shape)
        if out is None:
            if self.device == "cpu":
                return np.empty(shape, np.float32)
            return self._module.empty(list(shape), "float32", place(self.device))
        if is_device_array(out) != (self.device != "cpu"):
            raise DeviceError(f"out: expected an array on {self.device!r}, got one elsewhere")
        if self.device == "cpu":
            ok = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.flags.c_contiguous
            if not ok or out.shape != shape or not out.flags.writeable:
                raise ArgumentError(
                    f"out: expected a writable C-ordered float32 array of shape {shape}, got "
                    f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
                )
        else:  # our own device arrays have no attributes but DLPack's
            got, code, bits, _, index = self._module.describe(out)
            if (tuple(got), code, bits) != (shape, 2, 32) or index != place(self.device):
                raise ArgumentError(
                    f"out: expected float32 of shape {shape} on {self.device!r}, got shape {tuple(got)}"
                )
        return out

    def _common(self) -> tuple[Any, ...]:
        grid = self.grid
        return (self._slowness, list(grid.spacing), list(grid.origin), self._max_slowness, self.max_rounds)

    def _points(self, sources: Any, mean: bool, out: Times, stream: Any) -> Times:
        where = self._inside("sources", sources)
        result = self._result(len(where), out)
        solve = getattr(self._module, f"eikonal_points_{self.grid.ndim}d")
        solve(*self._common(), where.ravel().tolist(), mean, result, place(self.device), stream_handle(stream))
        return result

    def _fronts(self, given: NDArray[np.float32], reference: NDArray[Any], out: Times, stream: Any) -> Times:
        result = self._result(len(given), out)
        if self.device == "cpu":
            result[...] = given
        else:
            self._module.copy_to_device(result, given, place(self.device), stream_handle(stream))
        solve = getattr(self._module, f"eikonal_fronts_{self.grid.ndim}d")
        solve(*self._common(), reference.ravel().tolist(), result, place(self.device), stream_handle(stream))
        return result
