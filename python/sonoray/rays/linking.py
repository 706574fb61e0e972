"""The rays between all emitters and receivers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, option, scalar
from ..errors import ArgumentError, DeviceError
from ..media.interpolation import Interpolator
from ..media.medium import Medium
from .linked import LaterArrivals, LinkedRays, PairStatus
from .paths import Paths

_SOLVERS = {2: ("newton", "regula_falsi", "secant"), 3: ("newton", "broyden")}
_NUMBER = {"newton": 0, "regula_falsi": 1, "secant": 2, "broyden": 3}
_KINDS = ("cubic", "smoothing")
_UNKNOWN = 255  # a wanted pair without a start


class RayLinker:
    """Rays from every emitter to every receiver.

    A fan of rays leaves each emitter and is followed as far as the receivers lie. Receivers that lie between two
    neighbouring rays (in 3-D: three) get a start from them, folds of the fan included, and from there Newton steps
    with the paraxial derivative; each trial ray ends on a plane through its receiver, so elements may lie anywhere
    in the grid. With the rays of a previous, similar medium as start no fan is needed but for pairs that fail.

    Parameters
    ----------
    medium : Medium
        On a 2-D (x, z) or 3-D (x, y, z) grid. Smooth: what changes within one or two cells bends rays by chance.
    step : float, optional [m]
        Along the ray. Default: the finest spacing of the grid.
    interpolation : {"cubic", "smoothing"}, optional
        Of the refractive index; see `Interpolator`. Linear interpolation has no second derivatives, which tell how
        neighbouring rays part.
    solver : {"newton", "regula_falsi", "secant", "broyden"}, optional
        The others are published solvers without derivatives, for comparison: false position between the outermost
        rays and bounded secant steps from the straight line in 2-D, Broyden's method in 3-D.
    tolerance : float, optional [m]
        Largest distance between ray and receiver.
    max_traces : int, optional
        Per pair and starting point. Default: 30 for Newton, 1000 for the others.
    arrivals : {"first", "all"}, optional
        Whether to report the later arrivals, too. The fan decides what can be found: folds narrower than the
        angle between two of its rays may be missed.
    reference_sound_speed : float, optional [m/s]
        Of refractive index 1. It does not change the rays. Default: the median of the medium.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        The medium is not a `Medium`, a solver that does not fit the dimension, a step that is no part of a cell.
    DeviceError
        No such device.

    Notes
    -----
    Times are integrals of the slowness along the ray, in double precision, corrected to first order for the rest of
    the miss. Results do not depend on the number of threads.

    References
    ----------
    .. [1] V. Cerveny, Seismic Ray Theory, Cambridge University Press (2001), sections 3.11 (two-point ray tracing)
       and 4.9 (paraxial shooting).
    .. [2] V. Vinje, E. Iversen, H. Gjoystdal, Traveltime and amplitude estimation using wavefront construction,
       Geophysics 58, 1157 (1993): rays between which a receiver lies, folds included.

    Examples
    --------
    >>> from sonoray import Grid, Medium
    >>> grid = Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=1e-3)
    >>> rays = RayLinker(Medium(grid, 1500.0))([[-0.04, 0.0, 0.0]], [[0.02, 0.0, 0.045], [0.04, 0.0, 0.0]])
    >>> bool(abs(rays.time[0, 1] - 0.08 / 1500.0) < 1e-15), rays.counts()["linked"]
    (True, 2)
    """

    def __init__(
        self,
        medium: Medium,
        *,
        step: float | None = None,
        interpolation: str = "cubic",
        solver: str = "newton",
        tolerance: float = 1e-6,
        max_traces: int | None = None,
        arrivals: str = "first",
        reference_sound_speed: float | None = None,
        device: str = "cpu",
    ) -> None:
        if not isinstance(medium, Medium):
            raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
        self.medium = medium
        self.device = device
        self._module = backend(device)
        finest = min(medium.grid.spacing)
        self.step = finest if step is None else scalar("step", step, 1e-7, 0.1, "m")
        if not 0.02 * finest <= self.step <= 8 * finest:
            raise ArgumentError(f"step: expected 0.02 to 8 times the finest spacing ({finest:g} m), got {self.step:g}")
        self.solver = option("solver", solver, _SOLVERS[medium.grid.ndim])
        if device != "cpu" and self.solver != "newton":
            raise ArgumentError(
                f"solver: expected 'newton' on {device!r}, got {solver!r} (the others compare on 'cpu')"
            )
        self.tolerance = scalar("tolerance", tolerance, 1e-10, 1e-3, "m")
        default = 30 if solver == "newton" else 1000
        self.max_traces = default if max_traces is None else count("max_traces", max_traces, 1, 100_000)
        self.arrivals = option("arrivals", arrivals, ("first", "all"))
        if reference_sound_speed is None:
            self.reference_sound_speed = float(np.median(medium.sound_speed))
        else:
            self.reference_sound_speed = scalar("reference_sound_speed", reference_sound_speed, 300.0, 12000.0, "m/s")
        index = self.reference_sound_speed / np.asarray(medium.sound_speed, np.float64)
        self._index = Interpolator(medium.grid, index, option("interpolation", interpolation, _KINDS), device=device)
        self._straight = bool(medium.sound_speed.min() == medium.sound_speed.max())
        floor = 0.5 * float(index.min())  # a spline may overshoot, but not that far
        self._plan = (
            self._index.data,
            *self._index.field_arguments(),
            [self.step, self.tolerance, floor],
            [_NUMBER[self.solver], self.max_traces, int(self.arrivals == "all")],
        )

    def __call__(
        self,
        emitters: Any,
        receivers: Any,
        *,
        pairs: Any = None,
        start: LinkedRays | None = None,
        paths: bool = False,
        path_step: float | None = None,
    ) -> LinkedRays:
        """Link emitters and receivers.

        Parameters
        ----------
        emitters, receivers : (n_tx, 3), (n_rx, 3) float64 [m]
            Anywhere in the grid; y is ignored in 2-D.
        pairs : (n_tx, n_rx) bool, optional
            Which pairs are wanted. Pairs of elements at the same point are skipped in any case.
        start : LinkedRays, optional
            Of the same elements in a similar medium: where to start looking. Pairs that it has not linked, or from
            which nothing is found, get their start from a fan. Where there are several arrivals the search stays
            with the one it starts from.
        paths : bool, optional
            Whether to keep the nodes of the rays.
        path_step : float, optional [m]
            Between nodes; a multiple of the linker's step. Default: every step.

        Returns
        -------
        LinkedRays
            In host memory.

        Raises
        ------
        ArgumentError
            Elements outside the grid, NaN, shapes that do not fit.
        DeviceError
            Elements in device memory.
        """
        tx, rx = self._inside("emitters", emitters), self._inside("receivers", receivers)
        shape = (len(tx), len(rx))
        stride = 1 if path_step is None else self._stride(path_step)
        ndim = self.medium.grid.ndim
        rays = np.full((*shape, 2 + 2 * ndim), np.nan)
        marks = np.zeros((*shape, 4), np.int32)
        marks[..., 0] = _UNKNOWN
        if start is not None and self.arrivals == "first":  # other arrivals need the fan
            self._warm(start, shape, rays, marks)
        elif self._straight and self.solver == "newton":  # then the line of sight is the only ray
            toward = rx[None] - tx[:, None]
            toward /= np.maximum(np.linalg.norm(toward, axis=-1, keepdims=True), 1e-12)
            rays[..., 2:] = np.concatenate([toward, toward], axis=-1)
            marks[..., 0] = PairStatus.LINKED
        if pairs is not None:
            wanted = np.asarray(pairs)
            if wanted.shape != shape or wanted.dtype != np.bool_:
                raise ArgumentError(f"pairs: expected bool of shape {shape}, got {wanted.dtype} {wanted.shape}")
            marks[~wanted, 0] = PairStatus.SKIPPED
        fan_traces, later = 0, [np.empty((0, 5 + 2 * ndim))]
        block = max(16, 32768 // max(len(rx), 1))  # between blocks the call can be interrupted
        for first in range(0, len(tx), block):
            part = slice(first, first + block)
            traces, flat = self._link(tx[part], rx, rays[part], marks[part])
            fan_traces += traces
            found = np.reshape(np.asarray(flat, np.float64), (-1, 5 + 2 * ndim))
            found[:, 0] += first
            later.append(found)
        failed = marks[..., 0] != PairStatus.LINKED
        rays[failed] = np.nan
        time, spreading, take_off, arrival = self._fields(rays)
        return LinkedRays(
            time,
            take_off,
            arrival,
            spreading,
            marks[..., 2].copy(),
            marks[..., 0].astype(np.uint8),
            marks[..., 1].copy(),
            fan_traces,
            self._later(np.concatenate(later)) if self.arrivals == "all" else None,
            self._paths(tx, rx, rays, marks, stride) if paths else None,
        )

    def _inside(self, name: str, points: Any) -> NDArray[np.float64]:
        if is_device_array(points):
            raise DeviceError(f"{name}: expected host memory (geometry is checked there), got a CUDA array")
        checked: NDArray[np.float64] = array(name, host_array(name, points), (None, 3), low=-2.0, high=2.0, unit="m")
        grid = self.medium.grid
        outside = np.flatnonzero(~grid.contains(checked))
        if outside.size:
            extent = ", ".join(f"{low:g} to {high:g}" for low, high in grid.extent)
            raise ArgumentError(
                f"{name}: expected points inside the grid ({extent} m), got {checked[outside[0]].tolist()} "
                f"(number {outside[0]}, {outside.size} in all)"
            )
        return np.ascontiguousarray(checked[:, [0, 2] if grid.ndim == 2 else [0, 1, 2]])

    def _stride(self, path_step: float) -> int:
        wanted = scalar("path_step", path_step, 1e-7, 1.0, "m")
        stride = round(wanted / self.step)
        if stride < 1 or abs(stride * self.step - wanted) > 1e-6 * wanted:
            raise ArgumentError(f"path_step: expected a multiple of the step ({self.step:g} m), got {wanted:g}")
        return stride

    def _warm(
        self, start: LinkedRays, shape: tuple[int, int], rays: NDArray[np.float64], marks: NDArray[np.int32]
    ) -> None:
        if not isinstance(start, LinkedRays):
            raise ArgumentError(f"start: expected LinkedRays, got {type(start).__name__}")
        if start.time.shape != shape:
            raise ArgumentError(f"start: expected rays of {shape[0]} x {shape[1]} pairs, got {start.time.shape}")
        ndim = self.medium.grid.ndim
        axes = [0, 2] if ndim == 2 else [0, 1, 2]
        known = start.linked
        rays[known, 2 : 2 + ndim] = start.take_off[known][:, axes]
        rays[known, 2 + ndim :] = start.arrival[known][:, axes]
        marks[known, 0] = PairStatus.LINKED

    def _link(
        self,
        tx: NDArray[np.float64],
        rx: NDArray[np.float64],
        rays: NDArray[np.float64],
        marks: NDArray[np.int32],
    ) -> tuple[int, list[float]]:
        call = getattr(self._module, f"link_{self.medium.grid.ndim}d")
        given = (*self._plan, tx.ravel().tolist(), rx.ravel().tolist())
        if self.device == "cpu":
            traces, flat = call(*given, rays, marks, place(self.device), 0)
        else:
            on_device = [to_device(a, self.device) for a in (rays, marks)]
            traces, flat = call(*given, *on_device, place(self.device), 0)
            rays[...], marks[...] = (to_host(a) for a in on_device)
        return int(traces), flat

    def _fields(
        self, rays: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Time, spreading, take-off and arrival of packed rays (..., fields)."""
        ndim = self.medium.grid.ndim
        directions = []
        for first in (2, 2 + ndim):
            vectors = np.zeros((*rays.shape[:-1], 3))
            vectors[..., [0, 2] if ndim == 2 else [0, 1, 2]] = rays[..., first : first + ndim]
            vectors[np.isnan(rays[..., 0])] = np.nan
            directions.append(vectors)
        return rays[..., 0] / self.reference_sound_speed, np.abs(rays[..., 1]), directions[0], directions[1]

    def _later(self, flat: NDArray[np.float64]) -> LaterArrivals:
        time, spreading, take_off, arrival = self._fields(flat[:, 3:])
        return LaterArrivals(
            flat[:, :2].astype(np.int64), time, take_off, arrival, spreading, flat[:, 2].astype(np.int32)
        )

    def _paths(
        self,
        tx: NDArray[np.float64],
        rx: NDArray[np.float64],
        rays: NDArray[np.float64],
        marks: NDArray[np.int32],
        stride: int,
    ) -> Paths:
        nodes = np.where(marks[..., 0] == PairStatus.LINKED, marks[..., 3] // stride + 2, 0)
        offsets = np.concatenate([[0], np.cumsum(nodes, dtype=np.int64)])
        points = np.empty((int(offsets[-1]), tx.shape[1]))
        call = getattr(self._module, f"link_paths_{tx.shape[1]}d")
        given = (*self._plan, tx.ravel().tolist(), rx.ravel().tolist())
        if self.device == "cpu":
            call(*given, rays, marks, stride, offsets, points, place(self.device), 0)
        else:
            arrays = [to_device(a, self.device) for a in (rays, marks, offsets, points)]
            call(*given, *arrays[:2], stride, *arrays[2:], place(self.device), 0)
            points = to_host(arrays[3])
        return Paths(points, offsets)
