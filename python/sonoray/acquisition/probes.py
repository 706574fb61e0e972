"""Probes: where the elements are, where they look, how large they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, freeze, option, scalar
from ..errors import ArgumentError

KINDS = ("linear", "phased", "curvilinear", "matrix", "row_column", "ring", "bowl", "free")
_EXTENT = 2.0  # m; a position beyond this is in millimetres


@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """Element positions, normals and sizes of an ultrasound probe.

    Coordinates are x lateral, y elevation, z depth; a 2-D problem lies in the plane y = 0.

    Parameters
    ----------
    positions : (n_elements, 3) float64 [m]
        Centre of each element.
    normals : (n_elements, 3) float64, optional
        Direction each element faces; made unit length. Default +z.
    width, height : float [m]
        Element size along the array and in elevation; 0 stands for a point-like element.
    kind : {"linear", "phased", "curvilinear", "matrix", "row_column", "ring", "bowl", "free"}
        Chooses what a caller leaves out (image grid, f-number); computations use positions, normals and lines.
    center_frequency, bandwidth : float [Hz], optional
        Of the transducer, 0 when unknown; bandwidth at -6 dB.
    name : str
    lines : (n_elements, 3) float64 [m], optional
        From the centre of each element to its end, for elements so long that sound comes from their nearest point
        rather than from their centre (rows and columns). None: all are point-like.
    lens_thickness : float [m]
        Of a lens of constant thickness between the elements and the face; 0: none. ``positions`` are on its outer
        face, where the medium begins. Leave it 0 if the times of the data (``start_time``, delays) or the medium's
        map already contain the lens: it would be counted twice.
    lens_sound_speed : float [m/s]
        Of that lens, about 1000 for silicone; 0 only without one.

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, coincident elements, a size or position that looks like millimetres, a
        frequency that looks like megahertz, a line along its element's normal, a lens without a speed.

    Examples
    --------
    >>> Probe.linear(128, 0.3e-3).aperture
    0.0381
    """

    positions: NDArray[np.float64]
    normals: NDArray[np.float64] = None  # type: ignore[assignment]
    width: float = 0.0
    height: float = 0.0
    kind: str = "free"
    center_frequency: float = 0.0
    bandwidth: float = 0.0
    name: str = ""
    lines: NDArray[np.float64] | None = None
    lens_thickness: float = 0.0
    lens_sound_speed: float = 0.0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        positions = array("positions", self.positions, (None, 3), low=-_EXTENT, high=_EXTENT, unit="m")
        n = count("positions: number of elements", len(positions), 1, 65536)
        lines = None if self.lines is None else array("lines", self.lines, (n, 3), low=-0.2, high=0.2, unit="m")
        distinct = positions if lines is None else np.hstack([positions, lines])
        if n > 1 and len(np.unique(distinct, axis=0)) < n:
            raise ArgumentError("positions: expected distinct elements, got two at the same place")
        normals = np.tile([0.0, 0.0, 1.0], (n, 1)) if self.normals is None else self.normals
        normals = array("normals", normals, (n, 3))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        if (length < 1e-12).any():
            raise ArgumentError("normals: expected non-zero vectors, got a zero one")
        set_(self, "positions", freeze(positions))
        set_(self, "normals", freeze(normals / length))
        self._set_lines(lines)
        self._set_lens()
        set_(self, "width", scalar("width", self.width, 0.0, 0.1, "m"))
        set_(self, "height", scalar("height", self.height, 0.0, 0.2, "m"))
        option("kind", self.kind, KINDS)
        for name in ("center_frequency", "bandwidth"):
            value = getattr(self, name)
            set_(self, name, 0.0 if value == 0 else scalar(name, value, 2e4, 1e8, "Hz"))

    def _set_lines(self, lines: NDArray[np.float64] | None) -> None:
        if lines is not None:
            along = np.abs((lines * self.normals).sum(axis=1))
            if (along > 1e-6 * np.linalg.norm(lines, axis=1) + 1e-12).any():
                raise ArgumentError("lines: expected directions across the elements' normals, got one along its normal")
            lines = freeze(lines) if lines.any() else None
        object.__setattr__(self, "lines", lines)

    def _set_lens(self) -> None:
        thickness = scalar("lens_thickness", self.lens_thickness, 0.0, 0.02, "m")
        speed = 0.0
        if thickness:
            speed = scalar("lens_sound_speed", self.lens_sound_speed, 300.0, 12000.0, "m/s")
        elif self.lens_sound_speed:
            raise ArgumentError("lens_thickness: expected a thickness [m] with a lens_sound_speed, got 0")
        object.__setattr__(self, "lens_thickness", thickness)
        object.__setattr__(self, "lens_sound_speed", speed)

    def require_points(self, purpose: str) -> None:
        """Refuse long elements and a lens, by name, for a ``purpose`` that knows neither."""
        if self.lines is not None:
            raise ArgumentError(f"probe: expected point-like elements for {purpose}, got long ones (lines)")
        if self.lens_thickness:
            raise ArgumentError(f"probe: expected no lens for {purpose}, got a lens of {self.lens_thickness:g} m")

    def offsets(self, points: Any, elements: Any = None) -> NDArray[np.float64]:
        """Vectors from elements, or from the nearest points of long ones, to points.

        Parameters
        ----------
        points : (n_points, 3) float64 [m]
        elements : (n,) int, optional
            Which; default all.

        Returns
        -------
        (n_points, n, 3) float64 [m]
        """
        which = slice(None) if elements is None else np.asarray(elements)
        offset = np.asarray(points, np.float64)[:, None] - self.positions[which]
        if self.lines is not None:
            line = self.lines[which]
            square = (line**2).sum(axis=1)
            along = (offset * line).sum(axis=2) / np.where(square > 0, square, 1.0)
            offset -= np.clip(along, -1.0, 1.0)[..., None] * line
        return np.asarray(offset)

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        return len(self.positions)

    @property
    def aperture(self) -> float:
        """Largest distance between element centres along one axis [m]."""
        return round(float(np.ptp(self.positions, axis=0).max()), 12)

    @property
    def pitch(self) -> float:
        """Median distance between consecutive elements [m]; 0 for one element."""
        if self.n_elements < 2:
            return 0.0
        return float(np.median(np.linalg.norm(np.diff(self.positions, axis=0), axis=1)))

    def __repr__(self) -> str:
        return f"Probe({self.kind}, {self.n_elements} elements, pitch {self.pitch:.4g} m)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Probe):
            return NotImplemented
        arrays = np.array_equal(self.positions, other.positions) and np.array_equal(self.normals, other.normals)
        mine, theirs = self.lines, other.lines
        if mine is not theirs and (mine is None or theirs is None or not np.array_equal(mine, theirs)):
            return False
        names = (
            *("width", "height", "kind", "center_frequency", "bandwidth", "name"),
            *("lens_thickness", "lens_sound_speed"),
        )
        return arrays and all(getattr(self, n) == getattr(other, n) for n in names)

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def preset(name: str) -> "Probe":
        """A probe that is sold, by name, such as "L11-5v"; see `sonoray.acquisition.probe_presets`."""
        from .probe_presets import preset_probe

        return preset_probe(name)

    @classmethod
    def linear(cls, n_elements: int, pitch: float, **options: Any) -> "Probe":
        """Elements along x at z = 0, centred, facing +z; ``options`` are the constructor's."""
        n = count("n_elements", n_elements, 1, 65536)
        step = scalar("pitch", pitch, 1e-6, 0.05, "m")
        positions = np.zeros((n, 3))
        positions[:, 0] = (np.arange(n) - (n - 1) / 2) * step
        return cls(positions, **{"kind": "linear", **options})

    @classmethod
    def phased(cls, n_elements: int, pitch: float, **options: Any) -> "Probe":
        """As `linear`; by convention with half-wavelength pitch, for sector images."""
        return cls.linear(n_elements, pitch, **{"kind": "phased", **options})

    @classmethod
    def curvilinear(cls, n_elements: int, pitch: float, radius: float, **options: Any) -> "Probe":
        """Elements on a convex arc of ``radius`` [m] with ``pitch`` [m] along it; the apex is at z = 0.

        The centre of curvature is at z = -radius.
        """
        n = count("n_elements", n_elements, 1, 65536)
        step = scalar("pitch", pitch, 1e-6, 0.05, "m")
        r = scalar("radius", radius, 1e-3, 1.0, "m")
        angle = (np.arange(n) - (n - 1) / 2) * step / r
        if np.abs(angle).max() > np.pi:
            raise ArgumentError(
                f"pitch: expected elements within one turn of radius {r:g} m, got {np.ptp(angle):g} rad"
            )
        normals = np.stack([np.sin(angle), np.zeros(n), np.cos(angle)], axis=1)
        return cls(r * (normals - [0, 0, 1]), normals, **{"kind": "curvilinear", **options})

    @classmethod
    def matrix(cls, n_x: int, n_y: int, pitch_x: float, pitch_y: float | None = None, **options: Any) -> "Probe":
        """Grid of ``n_x`` by ``n_y`` elements at z = 0, x outermost; for volumes."""
        nx, ny = count("n_x", n_x, 1, 1024), count("n_y", n_y, 1, 1024)
        px = scalar("pitch_x", pitch_x, 1e-6, 0.05, "m")
        py = px if pitch_y is None else scalar("pitch_y", pitch_y, 1e-6, 0.05, "m")
        x, y = np.meshgrid((np.arange(nx) - (nx - 1) / 2) * px, (np.arange(ny) - (ny - 1) / 2) * py, indexing="ij")
        return cls(np.stack([x.ravel(), y.ravel(), np.zeros(nx * ny)], axis=1), **{"kind": "matrix", **options})

    @classmethod
    def row_column(cls, n_rows: int, n_columns: int, pitch: float, **options: Any) -> "Probe":
        """Row-column array at z = 0: ``n_rows`` elements long in x, side by side in y, then ``n_columns`` long in y.

        Rows are as long as the columns are wide together, and the reverse. Waves of rows are steered in elevation,
        those of columns sideways; `orthogonal_plane_waves` makes both.
        """
        rows, columns = count("n_rows", n_rows, 1, 1024), count("n_columns", n_columns, 1, 1024)
        step = scalar("pitch", pitch, 1e-6, 0.05, "m")
        positions, lines = np.zeros((rows + columns, 3)), np.zeros((rows + columns, 3))
        positions[:rows, 1] = (np.arange(rows) - (rows - 1) / 2) * step
        positions[rows:, 0] = (np.arange(columns) - (columns - 1) / 2) * step
        lines[:rows, 0], lines[rows:, 1] = 0.5 * columns * step, 0.5 * rows * step
        return cls(positions, **{"kind": "row_column", "lines": lines, **options})

    @classmethod
    def ring(cls, n_elements: int, radius: float, *, start_angle: float = 0.0, **options: Any) -> "Probe":
        """Elements on a circle in the plane y = 0, facing its centre, the origin.

        Element i is at angle ``start_angle + 2 pi i / n`` from +x towards +z [rad].
        """
        n = count("n_elements", n_elements, 2, 65536)
        r = scalar("radius", radius, 1e-3, 1.0, "m")
        angle = scalar("start_angle", start_angle, -2 * np.pi, 2 * np.pi, "rad") + 2 * np.pi * np.arange(n) / n
        positions = r * np.stack([np.cos(angle), np.zeros(n), np.sin(angle)], axis=1)
        return cls(positions, -positions, **{"kind": "ring", **options})

    @classmethod
    def bowl(cls, n_elements: int, radius: float, *, half_angle: float = np.pi / 2, **options: Any) -> "Probe":
        """Elements spread evenly (Fibonacci lattice) over a spherical cap, facing the sphere's centre, the origin.

        The cap lies around the -z pole; ``half_angle`` [rad] is pi/2 for a hemisphere.
        """
        n = count("n_elements", n_elements, 2, 65536)
        r = scalar("radius", radius, 1e-3, 1.0, "m")
        half = scalar("half_angle", half_angle, 1e-3, np.pi, "rad")
        i = np.arange(n) + 0.5
        cosine = 1 - (1 - np.cos(half)) * i / n
        sine, turn = np.sqrt(1 - cosine**2), np.pi * (1 + 5**0.5) * i
        positions = r * np.stack([sine * np.cos(turn), sine * np.sin(turn), -cosine], axis=1)
        return cls(positions, -positions, **{"kind": "bowl", **options})
