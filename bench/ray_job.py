"""The ray jobs that every package gets: Maxwell's fish-eye, and a ring of elements around a smooth map."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

# Water with a disc and five inclusions (x, z, radius [mm], sound speed [m/s]); later ones lie over earlier ones.
WATER = 1480.0
_DISCS = (
    (2, -1.5, 45, 1495), (-16, 12, 10, 1475), (18, 14, 8, 1545), (-6, -22, 6, 1460), (22, -14, 4, 1520),
    (4, 4, 3, 1555),
)  # fmt: skip
_EDGE = 0.35e-3
_WINDOW = 7  # cells of 1 mm over which ray codes smooth such a map
_BASE = 1e-3


@dataclass(frozen=True)
class FishEye:
    """Rays from (0, 1) through n = 1 / (1 + r^2) to the antipode (0, -1); the optical length is pi / 2 for all.

    The lens has radius 1 and the grid reaches to 2, with 360 / (2 pi) nodes per unit.
    """

    n_rays: int = 101
    step: float = 1.0  # in cells
    h: float = 2 * np.pi / 360
    length: ClassVar[float] = np.pi / 2

    @property
    def axis(self):
        return -2.0 + self.h * np.arange(int(4.0 / self.h) + 1)

    @property
    def index(self):
        """(n_x, n_z)."""
        return 1.0 / (1.0 + self.axis[:, None] ** 2 + self.axis**2)

    @property
    def directions(self):
        """(n_rays, 2) within 60 degrees of the way to the centre."""
        angle = np.linspace(-np.pi / 3, np.pi / 3, self.n_rays)
        return np.c_[np.sin(angle), -np.cos(angle)]


@dataclass(frozen=True)
class RingJob:
    """Travel times between the elements of a ring, 110 mm in radius, on a square grid that reaches to 118 mm.

    Parameters
    ----------
    spacing : float [m]
        1e-3 or a whole part of it.
    medium : str
        "vsx": a disc with five inclusions, the refractive index averaged over 7 x 7 mm and between its 1 mm nodes a
        cubic spline. "gradient": the sound speed grows by 100 m/s over the ring, which has an answer in closed form.
    every : int
        Every so many elements are sources; receivers are all elements.
    reference : str
        File with `times` (n_elements, n_elements) [s] to compare with; "gradient" needs none.
    """

    spacing: float = 1e-3
    medium: str = "vsx"
    n_elements: int = 256
    every: int = 1
    reference: str = ""
    radius: float = 0.11
    half: float = 0.118
    task: ClassVar[str] = "times"
    slope: ClassVar[float] = 100.0 / 0.22

    @property
    def axis(self):
        """Nodes along x, and along z."""
        n = round(self.half / self.spacing)
        return self.spacing * np.arange(-n, n + 1)

    @property
    def elements(self):
        """(n_elements, 3) [m]."""
        angle = -np.pi + 2 * np.pi * np.arange(self.n_elements) / self.n_elements
        return self.radius * np.c_[np.cos(angle), np.zeros(self.n_elements), np.sin(angle)]

    @property
    def sources(self):
        """(n_sources, 3) [m]."""
        return self.elements[:: self.every]

    @property
    def pairs(self):
        """Pairs of a source and another element."""
        return len(self.sources) * (self.n_elements - 1)

    def data(self):
        """Sound speed (n_x, n_z) [m/s], float64."""
        axis = self.axis
        if self.medium == "gradient":
            return np.tile(WATER + self.slope * axis, (len(axis), 1))
        base = _BASE * np.arange(-round(self.half / _BASE), round(self.half / _BASE) + 1)
        index = box_mean(raw_index(base))
        if len(axis) != len(base):
            from scipy.interpolate import RectBivariateSpline

            index = RectBivariateSpline(base, base, index)(axis, axis)
        return WATER / index

    def times(self):
        """The answer (n_sources, n_elements) [s], NaN where source and receiver are closer than 10 mm."""
        if self.medium == "gradient":
            times = gradient_times(self.sources, self.elements, self.slope)
        else:
            times = np.load(self.reference)["times"][:: self.every]
        far = np.linalg.norm(self.sources[:, None] - self.elements, axis=-1) >= 0.01
        return np.where(far, times, np.nan)

    def judge(self, times, data=None):
        """Errors of times (n_sources, n_elements) [s]; pairs without a time are counted, not excused."""
        if self.medium == "vsx" and not self.reference:
            return {}
        want = self.times()
        asked = np.isfinite(want)
        error = (np.asarray(times, float) - want)[asked] * 1e9
        got = error[np.isfinite(error)]
        if not got.size:
            return {"missing": int(asked.sum())}
        return {
            "rms_ns": float(np.sqrt(np.mean(got**2))),
            "bias_ns": float(np.mean(got)),
            "max_ns": float(np.abs(got).max()),
            "missing": int(asked.sum() - got.size),
        }


def raw_index(axis):
    """Refractive index of the map with its inclusions, (n, n), not averaged."""
    x, z = np.meshgrid(axis, axis, indexing="ij")
    c = np.full(x.shape, WATER)
    for x0, z0, r, v in _DISCS:
        inside = 0.5 * (1 - np.tanh((np.hypot(x - 1e-3 * x0, z - 1e-3 * z0) - 1e-3 * r) / _EDGE))
        c += inside * (v - c)
    return WATER / c


def box_mean(index, window=_WINDOW):
    """Mean over window x window nodes; water (1) in a margin of half a window."""
    from scipy.ndimage import uniform_filter

    k = window // 2
    out = np.ones_like(index)
    out[k:-k, k:-k] = uniform_filter(index, window, mode="nearest")[k:-k, k:-k]
    return out


def gradient_times(sources, receivers, slope, c0=WATER):
    """Travel times where c = c0 + slope z: arccosh(1 + slope^2 d^2 / (2 c_s c_r)) / slope."""
    c_s, c_r = (c0 + slope * p[:, 2] for p in (sources, receivers))
    d2 = ((sources[:, None] - receivers) ** 2).sum(axis=-1)
    # 2 arcsinh(sqrt(u / 2)) = arccosh(1 + u), without cancellation
    return 2 * np.arcsinh(0.5 * abs(slope) * np.sqrt(d2 / (c_s[:, None] * c_r))) / abs(slope)


def sampled(field, axis, points):
    """Bilinear values (n, n_points) of fields (n, n_x, n_z) at points (n_points, 3)."""
    h = axis[1] - axis[0]
    at = (points[:, [0, 2]] - axis[0]) / h
    cell = np.clip(np.floor(at).astype(int), 0, len(axis) - 2)
    u, v = (at - cell).T
    i, j = cell.T
    near = (1 - v) * field[:, i, j] + v * field[:, i, j + 1]
    far = (1 - v) * field[:, i + 1, j] + v * field[:, i + 1, j + 1]
    return (1 - u) * near + u * far
