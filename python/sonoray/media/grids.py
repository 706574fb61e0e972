"""Grids: where a medium or an image is sampled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, freeze, scalar
from ..errors import ArgumentError


@dataclass(frozen=True)
class Grid:
    """Evenly spaced points: 2-D (x, z) in the plane y = 0, or 3-D (x, y, z).

    Parameters
    ----------
    shape : tuple of int
        Points along each axis; the last axis (depth z) is the fastest in memory.
    spacing : float or tuple of float [m]
    origin : tuple of float [m]
        The first point.

    Raises
    ------
    ArgumentError
        Not two or three axes, a size that looks like millimetres, an empty axis.

    Examples
    --------
    >>> Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=1e-4).shape
    (401, 401)
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        shape = tuple(count("shape", n, 1, 100_000) for n in np.atleast_1d(np.asarray(self.shape, object)))
        if len(shape) not in (2, 3):
            raise ArgumentError(f"shape: expected 2 or 3 axes, got {len(shape)}")
        spacing = np.atleast_1d(np.asarray(self.spacing, object))
        spacing = np.repeat(spacing, len(shape)) if spacing.size == 1 else spacing
        origin = np.atleast_1d(np.asarray(self.origin, object))
        for name, values in (("spacing", spacing), ("origin", origin)):
            if values.shape != (len(shape),):
                raise ArgumentError(f"{name}: expected {len(shape)} values, got shape {values.shape}")
        set_(self, "shape", shape)
        set_(self, "spacing", tuple(scalar("spacing", h, 1e-7, 0.05, "m") for h in spacing))
        set_(self, "origin", tuple(scalar("origin", o, -2.0, 2.0, "m") for o in origin))

    @classmethod
    def from_extent(
        cls,
        *,
        x: tuple[float, float],
        z: tuple[float, float],
        y: tuple[float, float] | None = None,
        spacing: Any,
    ) -> "Grid":
        """Grid from first to last point of each axis [m]; the last point is the one nearest to the given end."""
        ends = [x, z] if y is None else [x, y, z]
        steps = np.atleast_1d(np.asarray(spacing, float))
        steps = np.repeat(steps, len(ends)) if steps.size == 1 else steps
        if steps.shape != (len(ends),):
            raise ArgumentError(f"spacing: expected 1 or {len(ends)} values, got {steps.size}")
        shape = []
        for axis, end, given in zip("xz" if y is None else "xyz", ends, steps, strict=True):
            step = scalar("spacing", given, 1e-7, 0.05, "m")
            first, last = (
                scalar(f"{axis}: {n}", v, -2.0, 2.0, "m") for n, v in zip(("first", "last"), end, strict=True)
            )
            if not last >= first:
                raise ArgumentError(f"{axis}: expected (first, last) in rising order, got ({first}, {last})")
            n = round((last - first) / step) + 1
            shape.append(count(f"{axis}: number of points", int(n), 1, 100_000))
        return cls(tuple(shape), tuple(steps), tuple(float(e[0]) for e in ends))

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    @property
    def axes(self) -> tuple[NDArray[np.float64], ...]:
        """Coordinates along each axis [m]."""
        return tuple(
            np.asarray(o + h * np.arange(n)) for o, h, n in zip(self.origin, self.spacing, self.shape, strict=True)
        )

    @property
    def x(self) -> NDArray[np.float64]:
        """Lateral coordinates [m]."""
        return self.axes[0]

    @property
    def z(self) -> NDArray[np.float64]:
        """Depth coordinates [m]."""
        return self.axes[-1]

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """First and last coordinate along each axis [m]."""
        return tuple((float(a[0]), float(a[-1])) for a in self.axes)

    def points(self) -> NDArray[np.float64]:
        """Cartesian positions, (*shape, 3) float64 [m]; y = 0 in 2-D."""
        mesh = list(np.meshgrid(*self.axes, indexing="ij"))
        if self.ndim == 2:
            mesh = [mesh[0], np.zeros(self.shape), mesh[1]]
        return np.stack(mesh, axis=-1)

    def contains(self, points: Any) -> NDArray[np.bool_]:
        """Which of ``points`` (n, 3) [m] lie inside (y is ignored in 2-D), with a rounding margin of 1e-6 cells."""
        p = array("points", points, (None, 3))[:, [0, 2] if self.ndim == 2 else [0, 1, 2]]
        low = np.array(self.origin)
        step = np.array(self.spacing)
        high = low + step * (np.array(self.shape) - 1)
        return np.asarray(((p >= low - 1e-6 * step) & (p <= high + 1e-6 * step)).all(axis=1))


@dataclass(frozen=True, eq=False)
class SectorGrid:
    """Evenly spaced ranges and angles of a sector image, 2-D in the plane y = 0.

    A point at range r and angle a (from +z towards +x) lies at apex + r (sin a, 0, cos a).

    Parameters
    ----------
    ranges : (n_ranges,) float64 [m]
        From the apex; rising.
    angles : (n_angles,) float64 [rad]
        Rising.
    apex : (3,) float64 [m]
        Centre of the sector; for a curvilinear probe of radius R it is (0, 0, -R) and ranges start at R.

    Raises
    ------
    ArgumentError
        Unsorted axes, NaN, degrees instead of radians, millimetres instead of metres.
    """

    ranges: NDArray[np.float64]
    angles: NDArray[np.float64]
    apex: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name, low, high, unit in (("ranges", 0.0, 2.0, "m"), ("angles", -np.pi, np.pi, "rad")):
            values = array(name, np.atleast_1d(getattr(self, name)), (None,))
            if not values.size:
                raise ArgumentError(f"{name}: expected at least one value, got none")
            scalar(f"{name}: first", values[0], low, high, unit)
            scalar(f"{name}: last", values[-1], low, high, unit)
            if (np.diff(values) <= 0).any():
                raise ArgumentError(f"{name}: expected rising values")
            object.__setattr__(self, name, freeze(values))
        apex = array("apex", self.apex, (3,), low=-2.0, high=2.0, unit="m")
        object.__setattr__(self, "apex", tuple(float(a) for a in apex))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SectorGrid):
            return NotImplemented
        same = np.array_equal(self.ranges, other.ranges) and np.array_equal(self.angles, other.angles)
        return same and self.apex == other.apex

    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> tuple[int, int]:
        """(n_angles, n_ranges): scan lines first, depth fastest, as in `Grid`."""
        return (len(self.angles), len(self.ranges))

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.angles) * len(self.ranges)

    def points(self) -> NDArray[np.float64]:
        """Cartesian positions, (n_angles, n_ranges, 3) float64 [m]."""
        a, r = np.meshgrid(self.angles, self.ranges, indexing="ij")
        points = np.stack([r * np.sin(a), np.zeros_like(r), r * np.cos(a)], axis=-1)
        return np.asarray(points + np.asarray(self.apex))
