"""Green's functions of point sources at many points, by fans of rays."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, freeze, scalar
from ..errors import ArgumentError, DeviceError
from ..media.grids import Grid
from ..media.interpolation import Interpolator
from ..media.medium import Medium
from .amplitudes import attenuation, dispersion_delay

_POINTWISE = ("excess", "focusing", "take_off", "arrival", "absorption", "caustics", "points", "sound_speed")


@dataclass(frozen=True, eq=False, repr=False)
class GreensFields:
    """Fields of point sources in 2-D. Made by `GreensFunction`.

    Every array over pairs is (n_points, n_sources) in C order, the source fastest. All but ``focusing`` are what a
    medium of the reference sound speed would have as 0.

    Attributes
    ----------
    excess : float32 [s]
        Travel time beyond distance / reference sound speed.
    focusing : float32
        distance / (n J), J the spreading and n the refractive index at the point: the square of the amplitude
        relative to that in a homogeneous medium, 1 in water, at most 10; 0 where no ray arrives and in the source
        itself. It is the same both ways: from source to point and back.
    take_off, arrival : float32 [rad]
        Angles by which the ray's direction at the source and at the point is turned from the straight line, from x to
        z.
    sources, points : (n, 3) float64 [m]
    sound_speed : (n_points,) float32 [m/s]
        Of the medium, at the points.
    reference_sound_speed : float [m/s]
    absorption : float32 or None [Np at 1 MHz]
        Integral of the medium's absorption along the ray, if it has any.
    caustics : uint8 or None
        Caustics passed (KMAH index); None if no ray has passed any.
    exponent : float or None
        Of the absorption's power law.
    """

    excess: NDArray[np.float32]
    focusing: NDArray[np.float32]
    take_off: NDArray[np.float32]
    arrival: NDArray[np.float32]
    sources: NDArray[np.float64]
    points: NDArray[np.float64]
    sound_speed: NDArray[np.float32]
    reference_sound_speed: float
    absorption: NDArray[np.float32] | None = None
    caustics: NDArray[np.uint8] | None = None
    exponent: float | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, f.name, freeze(value))

    def __repr__(self) -> str:
        n, m = self.excess.shape
        return f"GreensFields({m} sources, {n} points)"

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, which: Any) -> "GreensFields":
        """Fields at some of the points: a slice, indices or a mask."""
        if isinstance(which, (int, np.integer)):
            which = [which]
        part = {k: getattr(self, k)[which] for k in _POINTWISE if getattr(self, k) is not None}
        if part["points"].ndim != 2 or part["points"].shape[1] != 3:
            raise ArgumentError("points: expected a slice, indices or a mask along one axis")
        return replace(self, **part)

    @property
    def distance(self) -> NDArray[np.float64]:
        """From each source to each point, (n_points, n_sources) float64 [m]."""
        x, z = (self.points[:, None, k] - self.sources[None, :, k] for k in (0, 2))
        return np.asarray(np.hypot(x, z))

    @property
    def time(self) -> NDArray[np.float64]:
        """Travel times, (n_points, n_sources) float64 [s]; NaN where no ray arrives."""
        found = self.distance / self.reference_sound_speed + self.excess
        return np.asarray(np.where(self.reached | (self.distance == 0), found, np.nan))

    @property
    def spreading(self) -> NDArray[np.float64]:
        """Width of the ray tube per radian of take-off angle abs(J), (n_points, n_sources) float64 [m/rad].

        NaN where no ray arrives.
        """
        index = self.reference_sound_speed / self.sound_speed.astype(np.float64)
        focusing = np.where(self.focusing > 0, self.focusing, np.nan).astype(np.float64)
        return np.asarray(self.distance / (focusing * index[:, None]))

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Where a ray arrives, (n_points, n_sources)."""
        return np.asarray(self.focusing > 0)

    def arrival_directions(self) -> NDArray[np.float32]:
        """Unit vectors of the rays' directions at the points, (n_points, n_sources, 2) float32, along x and z.

        Zero where no ray arrives.
        """
        x, z = (self.points[:, None, k] - self.sources[None, :, k] for k in (0, 2))
        angle = np.arctan2(z, x) + self.arrival
        return np.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * self.reached[..., None], np.float32)

    def angle_measure(self, pitch: Any, normals: Any) -> NDArray[np.float32]:
        """Angle by which the ray at a point turns when its source moves on by one pitch.

        pitch * cos(angle between ray and normal) * focusing / distance: the symplectic identity of paraxial rays.
        Over a closed array they add up to 2 pi.

        Parameters
        ----------
        pitch : (n_sources,) or one number [m]
            Length of the array's curve per source.
        normals : (n_sources, 3)
            Of that curve, unit vectors in the plane.

        Returns
        -------
        (n_points, n_sources) float32 [rad]
            Zero where no ray arrives.
        """
        n = self.excess.shape[1]
        length = array("pitch", np.broadcast_to(np.asarray(pitch, np.float64), (n,)), (n,), low=0, high=1, unit="m")
        normal = array("normals", normals, (n, 3), low=-1.000001, high=1.000001)
        x, z = (self.points[:, None, k] - self.sources[None, :, k] for k in (0, 2))
        angle = np.arctan2(z, x) + self.take_off
        cosine = np.abs(np.cos(angle) * normal[:, 0] + np.sin(angle) * normal[:, 2])
        r = np.where(self.reached, np.hypot(x, z), np.inf)
        return np.asarray(length * cosine * self.focusing / r, np.float32)

    def pressure(self, frequency: float, *, reference_frequency: float | None = None) -> NDArray[np.complex64]:
        """Green's functions of the Helmholtz equation, leading order.

        (laplace + k^2) G = -delta with the time factor exp(-i omega t): G = sqrt(2 c0 focusing / (pi omega r)) / 4
        exp(i (omega T + pi / 4 - sigma pi / 2)), with sigma the caustics passed, and what absorption takes and delays.

        Parameters
        ----------
        frequency : float [Hz]
        reference_frequency : float, optional [Hz]
            Where the medium's sound speed holds; see `dispersion_delay`.

        Returns
        -------
        (n_points, n_sources) complex64
            Zero where no ray arrives.

        Raises
        ------
        ArgumentError
            The medium absorbs and no exponent was given.
        """
        omega = 2 * np.pi * scalar("frequency", frequency, 1e3, 1e9, "Hz")
        r = np.where(self.reached, self.distance, 1.0)
        phase = omega * (r / self.reference_sound_speed + self.excess) + 0.25 * np.pi
        if self.caustics is not None:
            phase -= 0.5 * np.pi * self.caustics
        size = 0.25 * np.sqrt(2 * self.reference_sound_speed / (np.pi * omega) * self.focusing / r)
        if self.absorption is not None:
            if self.exponent is None:
                raise ArgumentError("exponent: expected the power of the absorption law, since the medium absorbs")
            gathered = self.absorption.ravel()
            size *= np.exp(-attenuation(gathered, frequency, self.exponent)).reshape(size.shape)
            delay = dispersion_delay(gathered, frequency, self.exponent, reference_frequency=reference_frequency)
            phase += omega * delay.reshape(size.shape)
        return np.asarray(size * np.exp(1j * phase), np.complex64)


class GreensFunction:
    """Fields of point sources: travel time, spreading, absorption and directions of first arrivals, in 2-D.

    Of each source a fan of rays is traced with the paraxial quantities. Neighbouring rays and their nodes make a mesh,
    in whose triangles points take from the corners what differs from a homogeneous medium, with first and second
    derivatives that dynamic ray tracing [1]_ knows at the corners: travel times are exact to third order [2]_.
    Where several branches reach a point, the earliest counts.

    Parameters
    ----------
    medium : Medium
        2-D. Smooth: what changes within one or two cells bends rays by chance.
    rays : int, optional
        In a full circle. Default: as many as lie 2.5 spacings of the grid apart at the farthest point. Where the
        medium parts neighbours three times as far as water, there are more.
    step : float, optional [m]
        Along the ray. Default: three spacings of the grid, which suits media smoothed by that (Gaussian).
    exponent : float, optional
        Power of the absorption's law, which `GreensFields.pressure` needs if the medium absorbs.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        A medium that is not 2-D, a step that is no part of a cell.
    DeviceError
        No such device.

    Notes
    -----
    The reference sound speed is the medium's at its first grid point, usually water. Beyond the grid the medium
    continues constantly. Rays are followed through the circle (or box) around all points and a few steps beyond; one
    that leaves it and would come back is lost.

    References
    ----------
    .. [1] V. Cerveny, Seismic Ray Theory, Cambridge University Press (2001), sections 4.1 and 4.6.
    .. [2] A. Guessab, O. Nouisser, G. Schmeisser, Multivariate approximation by a combination of modified Taylor
       polynomials, J. Comput. Appl. Math. 196, 162 (2006).

    Examples
    --------
    >>> from sonoray import Grid, Medium
    >>> grid = Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=1e-3)
    >>> fields = GreensFunction(Medium(grid, 1500.0))([[-0.02, 0.0, 0.0]], grid)
    >>> fields
    GreensFields(1 sources, 1681 points)
    >>> bool(abs(fields.time[-1, 0] - np.hypot(0.04, 0.02) / 1500.0) < 1e-12)
    True
    """

    def __init__(
        self,
        medium: Medium,
        *,
        rays: int | None = None,
        step: float | None = None,
        exponent: float | None = None,
        device: str = "cpu",
    ) -> None:
        if not isinstance(medium, Medium):
            raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
        if medium.grid.ndim != 2:
            raise ArgumentError("medium: expected a 2-D grid (x, z), got a 3-D one; fields of 3-D media are not made")
        self.medium, self.device = medium, device
        self._module = backend(device)
        finest = min(medium.grid.spacing)
        self.step = 3 * finest if step is None else scalar("step", step, 1e-7, 0.1, "m")
        if not 0.02 * finest <= self.step <= 8 * finest:
            raise ArgumentError(f"step: expected 0.02 to 8 times the finest spacing ({finest:g} m), got {self.step:g}")
        self.rays = None if rays is None else count("rays", rays, 64, 100_000)
        self.exponent = None if exponent is None else scalar("exponent", exponent, 0.0, 3.0, "(power)")
        self.reference_sound_speed = float(medium.sound_speed.flat[0])
        index = self.reference_sound_speed / np.asarray(medium.sound_speed, np.float64)
        self._floor = 0.5 * float(index.min())
        self._index = Interpolator(medium.grid, index, device=device)
        absorbs = medium.absorption is not None
        self._absorption = Interpolator(medium.grid, medium.absorption, device=device) if absorbs else None
        self.report: dict[str, float] = {}

    def __call__(self, sources: Any, points: Any) -> GreensFields:
        """Make the fields of ``sources`` at ``points``.

        Parameters
        ----------
        sources : (n_sources, 3) float64 [m]
            Inside the grid; y is ignored.
        points : (n_points, 3) float64 [m], or a 2-D Grid
            Anywhere near the grid; y is ignored.

        Returns
        -------
        GreensFields
            In host memory.

        Raises
        ------
        ArgumentError
            Sources outside the grid, NaN, a 3-D grid.
        DeviceError
            Positions in device memory.
        """
        at = self._positions("sources", sources)
        if isinstance(points, Grid):
            if points.ndim != 2:
                raise ArgumentError("points: expected a 2-D grid, got a 3-D one")
            points = points.points().reshape(-1, 3)
        to = self._positions("points", points)
        outside = np.flatnonzero(~self.medium.grid.contains(at))
        if outside.size:
            extent = ", ".join(f"{low:g} to {high:g}" for low, high in self.medium.grid.extent)
            raise ArgumentError(
                f"sources: expected points inside the grid ({extent} m), got {at[outside[0]].tolist()} "
                f"(number {outside[0]}, {outside.size} in all)"
            )
        low, high = np.array(self.medium.grid.extent).T
        inside = np.clip(at[:, [0, 2]], low, high)  # contains() leaves a margin for rounding
        return self._fields(at, to, inside)

    def _positions(self, name: str, values: Any) -> NDArray[np.float64]:
        if is_device_array(values):
            raise DeviceError(f"{name}: expected host memory (geometry is checked there), got a CUDA array")
        checked: NDArray[np.float64] = array(name, host_array(name, values), (None, 3), low=-2.0, high=2.0, unit="m")
        if not len(checked):
            raise ArgumentError(f"{name}: expected at least one, got none")
        flat = checked.copy()
        flat[:, 1] = 0.0
        return flat

    def _width(self, at: NDArray[np.float64], to: NDArray[np.float64]) -> float:
        """Distance of neighbouring rays at the farthest point."""
        if self.rays is None:
            return 2.5 * min(self.medium.grid.spacing)
        middle = 0.5 * (to.min(axis=0) + to.max(axis=0))
        far = sum(float(np.linalg.norm(v - middle, axis=1).max()) for v in (at, to))
        return max(2 * np.pi * far / self.rays, 1e-6)

    def _fields(self, at: NDArray[np.float64], to: NDArray[np.float64], inside: NDArray[np.float64]) -> GreensFields:
        shape = (len(to), len(at))
        names = ["excess", "focusing", "take_off", "arrival"]
        made: dict[str, Any] = {k: np.empty(shape, np.float32) for k in names}
        made["absorption"] = None if self._absorption is None else np.empty(shape, np.float32)
        made["caustics"] = np.zeros(shape, np.uint8)
        there = made
        if self.device != "cpu":
            there = {k: None if v is None else to_device(v, self.device) for k, v in made.items()}
        rays, steps, trace, raster, caustics = self._module.greens_fields(
            self._index.data,
            *self._index.field_arguments(),
            None if self._absorption is None else self._absorption.data,
            [self.step, self._width(at, to), self._floor, self.reference_sound_speed],
            max(1, int(3.001 * min(self.medium.grid.spacing) / self.step)),
            inside.ravel().tolist(),
            to[:, [0, 2]].ravel().tolist(),
            *there.values(),
            place(self.device),
            0,
        )
        self.report = {"rays": rays, "steps": steps, "trace_seconds": trace, "raster_seconds": raster}
        if self.device != "cpu":
            made = {k: None if v is None else to_host(v) for k, v in there.items()}
        if made["absorption"] is not None:  # splines swing below zero beside an edge
            np.maximum(made["absorption"], 0, out=made["absorption"])
        if not caustics:
            made["caustics"] = None
        speed = self.reference_sound_speed / self._host_index(to)
        return GreensFields(
            sources=at,
            points=to,
            sound_speed=speed.astype(np.float32),
            reference_sound_speed=self.reference_sound_speed,
            exponent=self.exponent,
            **made,
        )

    def _host_index(self, to: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.maximum(self._index(to), self._floor))
