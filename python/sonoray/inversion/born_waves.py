"""What the ray-Born operator needs to make waves on tiles of points: checked fields, and room."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .._checks import array, finite, scalar
from ..errors import ArgumentError
from ..media.grids import Grid

Complex = NDArray[np.complex64]

NO_LATTICE = ((0, 0), (0.0, 0.0), (1.0, 1.0))
"""What the compiled core takes for fields at the image points."""


class Fields(Protocol):
    """What rays say about the waves of point sources; `GreensFields` is one. Arrays (n_nodes, n_sources)."""

    @property
    def excess(self) -> Any: ...
    @property
    def focusing(self) -> Any: ...
    @property
    def caustics(self) -> Any: ...
    @property
    def absorption(self) -> Any: ...
    @property
    def take_off(self) -> Any: ...
    @property
    def arrival(self) -> Any: ...
    @property
    def sources(self) -> Any: ...
    @property
    def points(self) -> Any: ...
    @property
    def reference_sound_speed(self) -> float: ...


@dataclass(frozen=True)
class Tone:
    """What belongs to a frequency."""

    frequency: float  # [Hz]
    power: float  # absorption relative to that at 1 MHz
    delay: float  # by dispersion [s per Np at 1 MHz]


@dataclass(frozen=True)
class Look:
    """How the waves of a call are weighted."""

    scale: Complex  # (n_points,) of the emitters' waves
    other: Complex  # of the receivers'
    facings: Any = None  # of both sides, for `BornOperator.backproject`
    cap: float = 0.0  # of the exponent that makes up for absorption
    planes: int = 1


class Workspace:
    """Room of one thread that stays between calls."""

    def __init__(self) -> None:
        self.threads = 1
        """That a compiled call may use, 0 for all."""
        self._arrays: dict[str, Complex] = {}

    def room(self, name: str, shape: tuple[int, ...]) -> Complex:
        """An array of this shape with any content; of the same name, the same memory."""
        size = int(np.prod(shape))
        found = self._arrays.get(name)
        if found is None or found.size < size:
            found = self._arrays[name] = np.empty(size, np.complex64)
        return np.asarray(found[:size].reshape(shape))

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return sum(a.nbytes for a in self._arrays.values())


class Side:
    """The fields of emitters or receivers as the compiled core takes them."""

    def __init__(self, name: str, fields: Fields) -> None:
        sources = array(f"{name}.sources", fields.sources, (None, 3), low=-2.0, high=2.0, unit="m")
        self.sources = np.ascontiguousarray(sources[:, [0, 2]].T, np.float32)
        self.n = len(sources)
        shape = (len(fields.points), self.n)
        self.excess = _table(f"{name}.excess", fields.excess, shape, -1e-2, 1e-2, "s")
        self.focusing = _table(f"{name}.focusing", fields.focusing, shape, 0.0, 1e6, "(ratio)")
        self.absorption = _table(f"{name}.absorption", fields.absorption, shape, 0.0, 1e3, "Np")
        self.take_off = _table(f"{name}.take_off", fields.take_off, shape, -7.0, 7.0, "rad")
        self.arrival = _table(f"{name}.arrival", fields.arrival, shape, -7.0, 7.0, "rad")
        self.caustics = _table(f"{name}.caustics", fields.caustics, shape, 0, 255, "(number)", np.uint8)

    def rows(self, tile: slice) -> list[Any]:
        """Tables of these nodes, in the core's order."""
        tables = (self.excess, self.focusing, self.absorption, self.take_off, self.arrival, self.caustics)
        return [None if t is None else t[tile] for t in tables]


def _table(
    name: str, value: Any, shape: tuple[int, int], low: float, high: float, unit: str, dtype: Any = np.float32
) -> Any:
    """As `array`, but with the two passes through large tables that NumPy makes fastest; None stays None."""
    if value is None:
        return None
    result = np.ascontiguousarray(value, dtype)
    if result.shape != shape:
        raise ArgumentError(f"{name}: expected shape {shape}, got {np.shape(value)}")
    if not (result.min() >= low and result.max() <= high):  # NaN is neither
        finite(name, result)
        for extreme in (result.min(), result.max()):
            scalar(name, extreme, low, high, unit)
    return result


def lattice(grid: Grid | None, fields: Fields) -> tuple[Any, Any, Any] | None:
    """Shape, origin and spacing of the fields' nodes; None if they are the image points."""
    if grid is None:
        return None
    if grid.ndim != 2 or min(grid.shape) < 2:
        raise ArgumentError(f"grid: expected a 2-D grid of at least 2 x 2 nodes, got shape {grid.shape}")
    nodes = grid.points().reshape(-1, 3)
    if nodes.shape != np.shape(fields.points) or np.abs(nodes - fields.points).max() > 1e-9:
        raise ArgumentError("grid: expected the grid at whose nodes fields_e and fields_r lie")
    return grid.shape, grid.origin, grid.spacing


def speed_at(fields: Fields, points: NDArray[np.float64], grid: Grid | None) -> Any:
    """Sound speed at the image points, or one number."""
    speed = getattr(fields, "sound_speed", None)
    if speed is None:
        return fields.reference_sound_speed
    values = array("fields_e.sound_speed", speed, (len(fields.points),), low=300.0, high=12000.0, unit="m/s")
    if grid is None:
        return values
    index = ((points[:, [0, 2]] - grid.origin) / grid.spacing).T
    return map_coordinates(values.reshape(grid.shape), index, order=1, mode="nearest")


def facing(side: Side, pitch: Any, normals: Any) -> NDArray[np.float32]:
    """(3, n): pitch times the normal's components, or pitch alone."""
    every = np.full(side.n, pitch) if np.ndim(pitch) == 0 else pitch
    length = array("pitch", every, (side.n,), low=0.0, high=1.0, unit="m")
    result = np.zeros((3, side.n), np.float32)
    if normals is None:
        result[2] = length
        return result
    normal = array("normals", normals, (side.n, 3))
    if np.abs(np.hypot(normal[:, 0], normal[:, 2]) - 1).max() > 1e-3:
        raise ArgumentError("normals: expected unit vectors in the plane y = 0")
    result[:2] = normal[:, [0, 2]].T * length
    return result
