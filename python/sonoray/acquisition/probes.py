"""Probes: where the elements are, where they look, how large they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, freeze, option, scalar
from ..errors import ArgumentError

KINDS = ("linear", "phased", "curvilinear", "matrix", "ring", "bowl", "free")
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
    kind : {"linear", "phased", "curvilinear", "matrix", "ring", "bowl", "free"}
        Only a label: every computation uses positions and normals.
    center_frequency, bandwidth : float [Hz], optional
        Of the transducer, 0 when unknown; bandwidth at -6 dB.
    name : str

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, coincident elements, a size or position that looks like millimetres, a
        frequency that looks like megahertz.

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

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        positions = array("positions", self.positions, (None, 3), low=-_EXTENT, high=_EXTENT, unit="m")
        n = count("positions: number of elements", len(positions), 1, 65536)
        if n > 1 and len(np.unique(positions, axis=0)) < n:
            raise ArgumentError("positions: expected distinct elements, got two at the same place")
        normals = np.tile([0.0, 0.0, 1.0], (n, 1)) if self.normals is None else self.normals
        normals = array("normals", normals, (n, 3))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        if (length < 1e-12).any():
            raise ArgumentError("normals: expected non-zero vectors, got a zero one")
        set_(self, "positions", freeze(positions))
        set_(self, "normals", freeze(normals / length))
        set_(self, "width", scalar("width", self.width, 0.0, 0.1, "m"))
        set_(self, "height", scalar("height", self.height, 0.0, 0.2, "m"))
        option("kind", self.kind, KINDS)
        for name in ("center_frequency", "bandwidth"):
            value = getattr(self, name)
            set_(self, name, 0.0 if value == 0 else scalar(name, value, 2e4, 1e8, "Hz"))

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
        names = ("width", "height", "kind", "center_frequency", "bandwidth", "name")
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
