"""Ray tracing: the ways of many rays through a medium, from where they start to a surface."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, stream_handle, to_device
from .._backends import backend, place
from .._checks import array, count, freeze, option, scalar
from ..errors import ArgumentError, DeviceError
from ..media.interpolation import KINDS, Interpolator, smooth
from ..media.medium import Medium
from .paths import Paths
from .surfaces import GridBox, Stop, Surface

SCHEMES = ("mixed_step", "dual_update", "characteristics", "heun", "rk4")  # in the order of the compiled Scheme


class RayStatus(IntEnum):
    """How a ray ended."""

    ARRIVED = 1  # on the surface
    LEFT_GRID = 2  # on the grid's box, before the surface
    TOO_LONG = 3  # after max_steps
    BAD_START = 4  # beyond the surface already


@dataclass(frozen=True, eq=False, repr=False)
class Rays:
    """Where rays ended, and what they gathered on their way. Made by `RayTracer`.

    Attributes
    ----------
    positions : (n, 3) float64 [m]
        Ends; y = 0 in 2-D.
    directions : (n, 3) float64
        Unit vectors there.
    time : (n,) float64 [s]
        Travel time: acoustic length / reference sound speed.
    acoustic_length : (n,) float64 [m]
        Integral of the refractive index.
    absorption : (n,) float64 or None [Np at 1 MHz]
        Integral of the medium's absorption, if it has any.
    status : (n,) uint8
        `RayStatus`; only arrived rays are on the surface.
    steps : (n,) int32
    spreading : (n,) float64 or None [m/rad in 2-D, m^2/sr in 3-D]
        Width (area) of the ray tube per unit of take-off angle, positive; 0 at a caustic. With amplitudes.
    caustics : (n,) int32 or None
        Caustics passed (KMAH index); a point focus in 3-D counts twice. With amplitudes.
    paraxial : (n, 2, 2, d, d) float64 or None
        Point source Q, P and plane wave Q, P, with d = 1 in 2-D and 2 in 3-D, in the vectors of ``start_frames`` and
        ``frames``: Q [m/rad and 1] moves the end across the ray per unit of the parameter, P = n dQ/ds. With
        amplitudes.
    start_frames, frames : (n, d, 3) float64 or None
        Unit vectors across the ray at its start and end. With amplitudes.
    start_index, index : (n,) float64 or None
        Refractive index at start and end. With amplitudes.
    reference_sound_speed : float [m/s]
        Where the refractive index is 1.
    paths : Paths or None
        Nodes, if wanted; a bad start has none.
    """

    positions: NDArray[np.float64]
    directions: NDArray[np.float64]
    time: NDArray[np.float64]
    acoustic_length: NDArray[np.float64]
    absorption: NDArray[np.float64] | None
    status: NDArray[np.uint8]
    steps: NDArray[np.int32]
    reference_sound_speed: float
    spreading: NDArray[np.float64] | None = None
    caustics: NDArray[np.int32] | None = None
    paraxial: NDArray[np.float64] | None = None
    start_frames: NDArray[np.float64] | None = None
    frames: NDArray[np.float64] | None = None
    start_index: NDArray[np.float64] | None = None
    index: NDArray[np.float64] | None = None
    paths: Paths | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        return f"Rays({len(self)}: " + ", ".join(f"{k} {v}" for k, v in self.counts().items() if v) + ")"

    @property
    def arrived(self) -> NDArray[np.bool_]:
        """Which rays reached the surface, (n,)."""
        return np.asarray(self.status == RayStatus.ARRIVED)

    def counts(self) -> dict[str, int]:
        """How many rays ended in which way."""
        return {s.name.lower(): int((self.status == s).sum()) for s in RayStatus}


class RayTracer:
    """Traces rays: dx/ds = K / n, dK/ds = grad n, abs(K) = n, with the refractive index n = c_ref / c.

    Parameters
    ----------
    medium : Medium
        2-D (x, z) or 3-D (x, y, z). Absorption, if any, is integrated along the rays.
    scheme : {"rk4", "heun", "dual_update", "mixed_step", "characteristics"}
        Runge-Kutta of fourth order, or one of the schemes published for ultrasound tomography [1]_: Heun and dual
        update are of second order, mixed step and characteristics of first. These stop on the chord of the last
        step and integrate the acoustic length by the trapezoid rule.
    interpolation : {"cubic", "smoothing", "linear"}
        See `Interpolator`.
    step : float, optional [m]
        Along the ray. Default: the smallest spacing of the grid.
    surface : Surface, optional
        Where rays stop; default: the grid's box, which ends every ray.
    reference_sound_speed : float, optional [m/s]
        Default: the medium's at its first grid point, usually water.
    max_steps : int, optional
        Default: five times the grid's diagonal.
    smoothing : int, optional [grid points]
        Odd width of a box over which the index that bends the rays is averaged; times still integrate the index as
        it is. Default 1: not smoothed.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        An unknown option, a step in millimetres, a surface that does not fit the grid.
    DeviceError
        No such device.

    Notes
    -----
    On the host, 4 to 16 rays run side by side in double precision: give many at once, neighbours next to each other.

    References
    ----------
    .. [1] A. Javaherian, F. Lucka, B. T. Cox, Refraction-corrected ray-based inversion for three-dimensional
       ultrasound tomography of the breast, Inverse Problems 36, 125010 (2020), section 3.

    Examples
    --------
    >>> from sonoray.media.grids import Grid
    >>> grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    >>> rays = RayTracer(Medium(grid, 1540.0))([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    >>> rays
    Rays(1: arrived 1)
    >>> bool(abs(rays.time[0] - 0.02 / 1540.0) < 1e-15)
    True
    """

    def __init__(
        self,
        medium: Medium,
        *,
        scheme: str = "rk4",
        interpolation: str = "cubic",
        step: float | None = None,
        surface: Surface | None = None,
        reference_sound_speed: float | None = None,
        max_steps: int | None = None,
        smoothing: int = 1,
        device: str = "cpu",
    ) -> None:
        if not isinstance(medium, Medium):
            raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
        if surface is not None and not isinstance(surface, Surface):
            raise ArgumentError(f"surface: expected a Surface such as Ring or Plane, got {type(surface).__name__}")
        self.medium, self.device = medium, device
        self.grid = grid = medium.grid
        self.scheme = option("scheme", scheme, SCHEMES)
        self.interpolation = option("interpolation", interpolation, KINDS)
        self.surface = surface or GridBox()
        speed = float(medium.sound_speed.flat[0]) if reference_sound_speed is None else reference_sound_speed
        self.reference_sound_speed = scalar("reference_sound_speed", speed, 300.0, 12000.0, "m/s")
        diagonal = float(np.linalg.norm([h * (n - 1) for h, n in zip(grid.spacing, grid.shape, strict=True)]))
        chosen = min(grid.spacing) if step is None else step
        self.step = scalar("step", chosen, 1e-8, max(diagonal, 1e-8), "m")
        default = min(2_000_000_000, int(5 * diagonal / self.step) + 10)
        self.max_steps = default if max_steps is None else count("max_steps", max_steps, 1, 2_000_000_000)
        self._module = backend(device)
        index = self.reference_sound_speed / np.asarray(medium.sound_speed, np.float64)
        width = count("smoothing", smoothing, 1, 999)
        bends = index if width == 1 else smooth(index, width)
        self._index = Interpolator(grid, bends, interpolation, device=device)
        self._travel = None if width == 1 else Interpolator(grid, index, interpolation, device=device)
        absorption = medium.absorption
        self._absorption = None if absorption is None else Interpolator(grid, absorption, interpolation, device=device)
        self._floor = 0.5 * float(index.min())
        self._axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]

    def __call__(
        self, positions: Any, directions: Any, *, paths: bool = False, amplitudes: bool = False, every: int = 1
    ) -> Rays:
        """Trace rays.

        Parameters
        ----------
        positions : (n, 3) float64 [m]
            Starts, inside the grid and the surface or on it; y is ignored in 2-D. Host memory.
        directions : (n, 3) float64
            At the start, of any length; y = 0 in 2-D.
        paths : bool
            Keep the nodes; traces a second time to know their numbers beforehand.
        amplitudes : bool
            Carry the paraxial solutions; schemes "rk4" and "heun", splines only.
        every : int
            Of the nodes of each path keep the first, each ``every``-th and the last.

        Returns
        -------
        Rays
            In host memory.

        Raises
        ------
        ArgumentError
            Starts outside the grid, NaN, zero directions, directions that leave the plane of a 2-D grid, amplitudes
            with a scheme or interpolation that has none.
        """
        where, along = self._starts(positions, directions)
        every = count("every", every, 1, 1_000_000)
        if amplitudes and (self.scheme not in ("rk4", "heun") or self.interpolation == "linear"):
            raise ArgumentError(
                "amplitudes: expected the scheme 'rk4' or 'heun' and a spline, "
                f"got {self.scheme!r} and {self.interpolation!r}"
            )
        stop = self.surface.stop(self.grid.ndim, where, along)
        ndim = self.grid.ndim
        solutions = 4 * (ndim - 1) ** 2
        result = np.empty((len(where), 2 * ndim + 5 + (ndim + solutions if amplitudes else 0)))
        self._trace(where, along, stop, amplitudes=amplitudes, result=result)
        nodes = self._paths(where, along, stop, result, every) if paths else None
        return self._rays(where, along, result, amplitudes, nodes)

    def _starts(self, positions: Any, directions: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        for name, value in (("positions", positions), ("directions", directions)):
            if is_device_array(value):
                raise DeviceError(f"{name}: expected host memory (geometry is checked there), got a CUDA array")
        where = array("positions", host_array("positions", positions), (None, 3))
        along = array("directions", host_array("directions", directions), (len(where), 3))
        outside = np.flatnonzero(~self.grid.contains(where))
        if outside.size:
            extent = ", ".join(f"{low:g} to {high:g}" for low, high in self.grid.extent)
            raise ArgumentError(
                f"positions: expected points inside the grid ({extent} m), got {where[outside[0]].tolist()} "
                f"(number {outside[0]}, {outside.size} in all)"
            )
        length = np.linalg.norm(along, axis=1, keepdims=True)
        if (length < 1e-9).any():
            raise ArgumentError(f"directions: expected non-zero vectors, got zero (number {int(length.argmin())})")
        along = along / length
        if self.grid.ndim == 2 and np.abs(along[:, 1]).max(initial=0.0) > 1e-6:
            raise ArgumentError("directions: expected y = 0 on a 2-D grid, got a direction that leaves the plane")
        axes = self._axes
        low, high = np.array(self.grid.extent).T
        inside = np.clip(where[:, axes], low, high)  # contains() leaves a margin for rounding
        along = along[:, axes]
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        return np.ascontiguousarray(inside), np.ascontiguousarray(along)

    def _trace(
        self,
        where: NDArray[Any],
        along: NDArray[Any],
        stop: Stop,
        *,
        amplitudes: bool = False,
        result: NDArray[Any] | None = None,
        nodes: NDArray[Any] | None = None,
        offsets: NDArray[Any] | None = None,
        every: int = 1,
    ) -> None:
        """Run the compiled tracer into host arrays."""
        host = {"positions": where, "directions": along, "points": stop.points, "normals": stop.normals}
        host |= {"result": result, "nodes": nodes, "offsets": offsets}
        there: dict[str, Any] = host
        if self.device != "cpu":
            there = {k: None if v is None else to_device(v, self.device) for k, v in host.items()}
        fields = [None if f is None else f.data for f in (self._index, self._travel, self._absorption)]
        index, stream = place(self.device), stream_handle(None)
        getattr(self._module, f"trace_rays_{self.grid.ndim}d")(
            *self._index.field_arguments(),
            *fields,
            self._floor,
            SCHEMES.index(self.scheme),
            self.step,
            self.max_steps,
            amplitudes,
            stop.shape,
            stop.numbers,
            there["positions"],
            there["directions"],
            there["points"],
            there["normals"],
            there["result"],
            there["nodes"],
            there["offsets"],
            every,
            index,
            stream,
        )
        if self.device != "cpu":
            for name in ("result", "nodes"):
                if host[name] is not None:
                    self._module.copy_to_host(host[name], there[name], index, stream)

    def _paths(self, where: Any, along: Any, stop: Stop, result: NDArray[Any], every: int) -> Paths:
        ndim = self.grid.ndim
        status, steps = (result[:, 2 * ndim + k].astype(np.int64) for k in (2, 3))
        kept = np.where((status == RayStatus.BAD_START) | (steps == 0), 0, 1 + -(-steps // every))
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        nodes = np.empty((int(offsets[-1]), ndim))
        self._trace(where, along, stop, nodes=nodes, offsets=offsets, every=every)
        return Paths(nodes, offsets)

    def _rays(self, where: Any, along: Any, result: NDArray[Any], amplitudes: bool, paths: Paths | None) -> Rays:
        ndim, n = self.grid.ndim, len(result)

        def spread(values: NDArray[Any]) -> NDArray[np.float64]:
            full = np.zeros((*values.shape[:-1], 3))
            full[..., self._axes] = values
            return full

        length, absorbed, status, steps, caustics = result[:, 2 * ndim : 2 * ndim + 5].T
        more: dict[str, Any] = {}
        ends = result[:, :ndim]
        if amplitudes:
            d = ndim - 1
            paraxial = result[:, 3 * ndim + 5 :].reshape(n, 2, 2, d, d)
            q = paraxial[:, 0, 0]
            directions = result[:, ndim : 2 * ndim]
            more = {
                "spreading": np.abs(q[:, 0, 0] if d == 1 else q[:, 0, 0] * q[:, 1, 1] - q[:, 0, 1] * q[:, 1, 0]),
                "caustics": caustics.astype(np.int32),
                "paraxial": paraxial,
                "start_frames": spread(_frames(along)),
                "frames": spread(_frames(directions, result[:, 2 * ndim + 5 : 3 * ndim + 5])),
                "start_index": np.maximum(self._index(spread(where)), self._floor),
                "index": np.maximum(self._index(spread(ends)), self._floor),
            }
        return Rays(
            positions=spread(ends),
            directions=spread(result[:, ndim : 2 * ndim]),
            time=length / self.reference_sound_speed,
            acoustic_length=length.copy(),
            absorption=None if self._absorption is None else absorbed.copy(),
            status=status.astype(np.uint8),
            steps=steps.astype(np.int32),
            reference_sound_speed=self.reference_sound_speed,
            paths=paths,
            **more,
        )


def _frames(t: NDArray[Any], first: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Vectors across rays with unit directions t, (n, ndim - 1, ndim), as the compiled frame_of."""
    if t.shape[1] == 2:
        return np.stack([-t[:, 1], t[:, 0]], axis=-1)[:, None]
    if first is None:
        axis = np.where(np.abs(t[:, :1]) < 0.6, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        first = axis - (axis * t).sum(axis=1, keepdims=True) * t
        first = first / np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(t, first)], axis=1)
