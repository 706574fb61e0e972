"""Transmits: how the elements fired, and when the wave passes a reference point.

Time zero of a transmit is when its ideal wavefront passes ``origin`` (by default the coordinate origin) —
for plane, diverging and focused waves — or when a delay of zero fires, for single elements and free delays.
`ChannelData.start_time` counts from there.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, freeze, option, scalar
from ..errors import ArgumentError
from .probes import Probe

KINDS = ("plane", "diverging", "focused", "element", "delays")


@dataclass(frozen=True, eq=False, repr=False)
class Transmit:
    """One transmit event. Use the class methods; the constructor takes what they compute.

    Parameters
    ----------
    kind : {"plane", "diverging", "focused", "element", "delays"}
    direction : (3,) float64, optional
        Unit propagation direction of a plane wave.
    focus : (3,) float64 [m], optional
        Focal point, or the virtual source of a diverging wave.
    element : int, optional
        Index of the single firing element.
    delays : (n_elements,) float64 [s], optional
        Free firing times.
    apodization : (n_elements,) float64, optional
        Weight of each element; signed weights express codes (Hadamard). Default all ones.
    origin : (3,) float64 [m]
        Where the wavefront is at time zero.

    Raises
    ------
    ArgumentError
        Missing or superfluous arguments for the kind, NaN, or values in the wrong unit.
    """

    kind: str
    direction: NDArray[np.float64] | None = None
    focus: NDArray[np.float64] | None = None
    element: int | None = None
    delays: NDArray[np.float64] | None = None
    apodization: NDArray[np.float64] | None = None
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        option("kind", self.kind, KINDS)
        needed = {"plane": "direction", "diverging": "focus", "focused": "focus", "element": "element"}
        needs = needed.get(self.kind, "delays")
        for name in ("direction", "focus", "element", "delays"):
            if (getattr(self, name) is not None) != (name == needs):
                verb = "needs" if name == needs else "takes no"
                raise ArgumentError(f"{name}: a {self.kind!r} transmit {verb} {name}")
        if self.direction is not None:
            direction = array("direction", self.direction, (3,))
            length = np.linalg.norm(direction)
            if length < 1e-12:
                raise ArgumentError("direction: expected a non-zero vector, got zero")
            set_(self, "direction", freeze(direction / length))
        if self.focus is not None:
            set_(self, "focus", freeze(array("focus", self.focus, (3,), low=-2, high=2, unit="m")))
        if self.element is not None:
            set_(self, "element", count("element", self.element, 0, 65535))
        if self.delays is not None:
            set_(self, "delays", freeze(array("delays", self.delays, (None,), low=-1e-2, high=1e-2, unit="s")))
        if self.apodization is not None:
            weights = freeze(array("apodization", self.apodization, (None,), low=-1e6, high=1e6, unit="(weight)"))
            if not weights.any():
                raise ArgumentError("apodization: expected at least one firing element, got all zero")
            set_(self, "apodization", weights)
        set_(self, "origin", freeze(array("origin", self.origin, (3,), low=-2, high=2, unit="m")))

    @classmethod
    def plane(cls, angle: float = 0.0, *, elevation: float = 0.0, **options: Any) -> "Transmit":
        """Plane wave at ``angle`` [rad] from +z towards +x, and ``elevation`` [rad] towards +y."""
        a = scalar("angle", angle, -np.pi / 2, np.pi / 2, "rad")
        e = scalar("elevation", elevation, -np.pi / 2, np.pi / 2, "rad")
        direction = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        return cls("plane", direction=direction, **options)

    @classmethod
    def diverging(cls, source: Any, **options: Any) -> "Transmit":
        """Diverging wave from a virtual ``source`` (3,) [m] behind the array."""
        return cls("diverging", focus=source, **options)

    @classmethod
    def focused(cls, focus: Any, **options: Any) -> "Transmit":
        """Wave converging on ``focus`` (3,) [m] in front of the array."""
        return cls("focused", focus=focus, **options)

    @classmethod
    def single(cls, element: int, **options: Any) -> "Transmit":
        """One element fires at time zero; a set of these is the full synthetic aperture."""
        return cls("element", element=element, **options)

    @classmethod
    def free(cls, delays: Any, **options: Any) -> "Transmit":
        """Elements fire at ``delays`` (n_elements,) [s]."""
        return cls("delays", delays=delays, **options)

    def firing_times(self, probe: Probe, sound_speed: float) -> NDArray[np.float64]:
        """When each element fires, counted from the transmit's time zero.

        Parameters
        ----------
        probe : Probe
        sound_speed : float [m/s]
            That the sequence assumed when it computed its delays.

        Returns
        -------
        (n_elements,) float64 [s]
            NaN where the element does not fire.

        Raises
        ------
        ArgumentError
            The transmit does not fit the probe, or the sound speed is not in m/s.
        """
        n = probe.n_elements
        if self.apodization is not None and len(self.apodization) != n:
            raise ArgumentError(f"apodization: expected {n} weights for this probe, got {len(self.apodization)}")
        sound_speed = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
        if self.kind == "delays":
            assert self.delays is not None
            if len(self.delays) != n:
                raise ArgumentError(f"delays: expected {n} values for this probe, got {len(self.delays)}")
            times = self.delays.copy()
        elif self.kind == "element":
            assert self.element is not None
            if self.element >= n:
                raise ArgumentError(f"element: expected below {n} for this probe, got {self.element}")
            times = np.full(n, np.nan)
            times[self.element] = 0.0
        elif self.kind == "plane":
            assert self.direction is not None
            self._require_across(probe)
            times = (probe.positions - self.origin) @ self.direction / sound_speed
        else:
            assert self.focus is not None
            self._require_side(probe)
            to_focus = np.linalg.norm(probe.positions - self.focus, axis=1)
            at_origin = np.linalg.norm(self.origin - self.focus)
            sign = 1.0 if self.kind == "diverging" else -1.0
            times = sign * (to_focus - at_origin) / sound_speed
        if self.apodization is not None:
            times = np.where(self.apodization != 0, times, np.nan)
        return np.asarray(times, np.float64)

    def _require_side(self, probe: Probe) -> None:
        """Refuse a focus behind the firing elements and a virtual source in front of them."""
        fires = slice(None) if self.apodization is None else np.flatnonzero(self.apodization)
        normal = probe.normals[fires].mean(axis=0)
        if np.linalg.norm(normal) < 0.5:
            return  # a ring or a bowl looks to all sides
        ahead = float((self.focus - probe.positions[fires].mean(axis=0)) @ normal / np.linalg.norm(normal))
        if self.kind == "focused" and ahead <= 0:
            raise ArgumentError(f"focus: expected it in front of the firing elements, got {-ahead:g} m behind them")
        if self.kind == "diverging" and ahead > 1e-9:
            raise ArgumentError(f"focus: expected a virtual source behind the elements, got {ahead:g} m in front")

    def _require_across(self, probe: Probe) -> None:
        """Refuse a plane wave that long elements cannot send: along themselves they all fire at once."""
        if probe.lines is None or self.direction is None:
            return
        fires = slice(None) if self.apodization is None else np.flatnonzero(self.apodization)
        along = np.abs(probe.lines[fires] @ self.direction)
        if (along > 1e-6 * np.linalg.norm(probe.lines[fires], axis=1)).any():
            raise ArgumentError(
                "direction: expected one across the firing long elements, which cannot steer along themselves; rows "
                "steer in elevation, columns in angle (see orthogonal_plane_waves)"
            )

    def weights(self, probe: Probe) -> NDArray[np.float64]:
        """Apodization of each element, (n_elements,) float64; zero where it does not fire."""
        weights = np.ones(probe.n_elements) if self.apodization is None else np.array(self.apodization)
        fires = np.isfinite(self.firing_times(probe, 1540.0))
        return np.where(fires, weights, 0.0)

    def __repr__(self) -> str:
        known = {n: getattr(self, n) for n in ("direction", "focus", "element") if getattr(self, n) is not None}
        facts = ", ".join(f"{n}={np.round(v, 6).tolist()}" for n, v in known.items())
        return f"Transmit({self.kind}{', ' if facts else ''}{facts})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Transmit):
            return NotImplemented
        if (self.kind, self.element) != (other.kind, other.element):
            return False
        names = ("direction", "focus", "delays", "apodization", "origin")
        pairs = [(getattr(self, n), getattr(other, n)) for n in names]
        return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def full_synthetic_aperture(probe: Probe) -> list[Transmit]:
    """One single-element transmit for each element of ``probe``."""
    return [Transmit.single(i) for i in range(probe.n_elements)]


def focused_lines(
    probe: Probe, n_lines: int, depth: float, *, f_number: float = 2.0, half_angle: float = np.pi / 4
) -> list[Transmit]:
    """Focused transmits along evenly spaced scan lines, as scanners fire them for B-mode.

    Parameters
    ----------
    probe : Probe
        In a plane. Linear: parallel lines across the aperture. Curvilinear: lines along the normals, over the angles
        of the elements. Phased: a sector from the middle.
    n_lines : int
    depth : float [m]
        Of the focus, along the line.
    f_number : float
        Depth over the firing aperture, which is centred on each line and cut at the probe's ends. Phased: all fire.
    half_angle : float [rad]
        Of a phased probe's sector.

    Returns
    -------
    list of Transmit
        Time zero of each is when its wave leaves the probe on its line. `arrivals` with ``weighting="nearest"`` makes
        each image line from the nearest transmit alone (several lines for each: parallel receive), with "auto" from
        all whose beams hold the point (retrospective focusing).

    Raises
    ------
    ArgumentError
        Another kind of probe, values out of range.
    """
    n = count("n_lines", n_lines, 1, 4096)
    depth = scalar("depth", depth, 1e-3, 1.0, "m")
    reach = 0.5 * depth / scalar("f_number", f_number, 0.1, 100.0, "(ratio)")
    p, where = probe.positions, np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
    if probe.kind == "linear":
        origins = p[0] + where[:, None] * (p[-1] - p[0])
        directions = np.tile(probe.normals[0], (n, 1))
    elif probe.kind in ("phased", "curvilinear"):
        arc = probe.kind == "curvilinear"
        turn = np.arctan2(probe.normals[:, 0], probe.normals[:, 2]) if arc else np.array([-half_angle, half_angle])
        angles = turn.min() + where * np.ptp(turn)
        directions = np.stack([np.sin(angles), np.zeros(n), np.cos(angles)], axis=1)
        turns = np.hypot(np.diff(probe.normals[[0, -1], 0]), np.diff(probe.normals[[0, -1], 2]))
        radius = float(np.linalg.norm(p[-1] - p[0]) / turns[0]) if arc and turns[0] else 0.0
        apex = (p - radius * probe.normals).mean(axis=0) if radius else p.mean(axis=0)
        origins = apex + radius * directions
    else:
        raise ArgumentError(f"probe: expected a linear, phased or curvilinear one for scan lines, got {probe.kind!r}")
    lines = []
    for origin, direction in zip(origins, directions, strict=True):
        near = np.linalg.norm(p - origin, axis=1) <= max(reach, probe.pitch)
        fires = None if probe.kind == "phased" else near.astype(float)
        lines.append(Transmit.focused(origin + depth * direction, apodization=fires, origin=origin))
    return lines


def orthogonal_plane_waves(probe: Probe, angles: Any) -> list[Transmit]:
    """Plane waves of a row-column array: all rows steered in elevation, then all columns steered in angle.

    Parameters
    ----------
    probe : Probe
        With rows and columns, see `Probe.row_column`.
    angles : (n,) [rad]

    Returns
    -------
    list of Transmit, 2 n long
        The n of the rows first. Elements that are long across the firing ones should receive, see
        `orthogonal_receivers`.

    Raises
    ------
    ArgumentError
        A probe without rows or without columns.

    References
    ----------
    .. [1] M. Flesch, M. Pernot, J. Provost, G. Ferin, A. Nguyen-Dinh, M. Tanter, T. Deffieux, 4D in vivo ultrafast
       ultrasound imaging using a row-column addressed matrix and coherently-compounded orthogonal plane waves,
       Phys. Med. Biol. 62, 4571 (2017).
    """
    if probe.lines is None:
        raise ArgumentError("probe: expected rows and columns of long elements, got point-like elements")
    along_x = np.abs(probe.lines[:, 0]) > np.abs(probe.lines[:, 1])
    if along_x.all() or not along_x.any():
        raise ArgumentError("probe: expected both rows (long in x) and columns (long in y), got one of them only")
    values = np.atleast_1d(np.asarray(angles, float))
    rows = [Transmit.plane(elevation=a, apodization=along_x.astype(float)) for a in values]
    return rows + [Transmit.plane(a, apodization=(~along_x).astype(float)) for a in values]


def hadamard_transmits(probe: Probe) -> list[Transmit]:
    """All elements of ``probe`` at once, with signs of a Hadamard code: N transmits, N the next power of two.

    `sonoray.decode` makes single-element shots of them, in which noise is N times weaker in power than in shots of one
    element.

    References
    ----------
    .. [1] R. Y. Chiao, L. J. Thomas, S. D. Silverstein, Sparse array imaging with spatially-encoded transmits,
       Proc. IEEE Ultrason. Symp. 1679 (1997).
    """
    n = probe.n_elements
    signs = np.ones((1, 1))
    while len(signs) < n:
        signs = np.block([[signs, signs], [signs, -signs]])
    return [Transmit.free(np.zeros(n), apodization=row[:n]) for row in signs]


def plane_waves(angles: Any) -> list[Transmit]:
    """One plane wave for each of ``angles`` [rad]."""
    return [Transmit.plane(a) for a in np.atleast_1d(np.asarray(angles, float))]
