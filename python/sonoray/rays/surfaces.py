"""Where rays stop: rings, spheres, planes, convex regions, the grid's own box."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze, scalar
from ..errors import ArgumentError

_ON_SURFACE = 1e-9  # m


class Stop(NamedTuple):
    """A surface as compiled calls take it: a shape, its numbers, and a plane per ray (points, normals) if it is one."""

    shape: int
    numbers: list[float]
    points: NDArray[np.float64] | None = None
    normals: NDArray[np.float64] | None = None


class Surface(ABC):
    """Where rays stop."""

    @abstractmethod
    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """Describe the surface to rays (n, ndim) with these starts and unit directions."""


@dataclass(frozen=True)
class GridBox(Surface):
    """The box of the grid itself, the default."""

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        return Stop(0, [])


@dataclass(frozen=True)
class Sphere(Surface):
    """A sphere (in 2-D: a circle) that holds the rays; they stop where they leave it. They may start on it.

    Parameters
    ----------
    center : (3,) float [m]
        y is ignored in 2-D.
    radius : float [m]
    """

    center: Any
    radius: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", freeze(array("center", self.center, (3,), low=-2.0, high=2.0, unit="m")))
        object.__setattr__(self, "radius", scalar("radius", self.radius, 1e-6, 2.0, "m"))

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        return Stop(1, [*self.center[_axes(ndim)].tolist(), self.radius])


class Ring(Sphere):
    """A circle in the plane of a 2-D grid that holds the rays; they stop where they leave it. They may start on it.

    Parameters
    ----------
    center : (3,) float [m]
        y is ignored.
    radius : float [m]
    """

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        if ndim != 2:
            raise ArgumentError("surface: expected a surface for a 3-D grid (such as Sphere), got a Ring")
        return super().stop(ndim, positions, directions)


@dataclass(frozen=True, eq=False)
class Plane(Surface):
    """A plane (in 2-D: a line) at which rays stop. Rays that start on it stop where they come back.

    Parameters
    ----------
    point : (3,) or (n, 3) float [m]
        On the plane, for all rays or for each.
    normal : (3,) or (n, 3) float
        Across it; normalised here.
    directed : bool, optional
        Only crossings along the normal count. Otherwise a ray stops at its first crossing.
    """

    point: Any
    normal: Any
    directed: bool = False

    def __post_init__(self) -> None:
        def shape(value: Any) -> tuple[int | None, ...]:
            return (None, 3) if np.ndim(value) == 2 else (3,)

        point = array("point", self.point, shape(self.point), low=-2.0, high=2.0, unit="m")
        normal = array("normal", self.normal, shape(self.normal))
        length = np.linalg.norm(normal, axis=-1, keepdims=True)
        if (length < 1e-12).any():
            raise ArgumentError("normal: expected a non-zero vector, got zero")
        object.__setattr__(self, "point", freeze(point))
        object.__setattr__(self, "normal", freeze(normal / length))

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        axes, n = _axes(ndim), len(positions)
        for name in ("point", "normal"):
            given = getattr(self, name)
            if given.ndim == 2 and len(given) != n:
                raise ArgumentError(f"surface: expected one {name} or one per ray ({n}), got {len(given)}")
        points = np.array(np.broadcast_to(self.point[..., axes], (n, ndim)), order="C")
        normals = np.array(np.broadcast_to(self.normal[..., axes], (n, ndim)), order="C")
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        if (length < 1e-6).any():
            raise ArgumentError("surface: expected a plane across the grid's own, got one parallel to it")
        normals /= length
        if not self.directed:  # rays cross from the side opposite to the normal
            height = ((positions - points) * normals).sum(axis=1)
            towards = (directions * normals).sum(axis=1)
            normals[np.where(np.abs(height) <= _ON_SURFACE, towards, height) > 0] *= -1
        return Stop(3, [], points, normals)


@dataclass(frozen=True, eq=False)
class HalfSpaces(Surface):
    """A convex polygon (2-D) or polyhedron (3-D) that holds the rays, as an intersection of half-spaces.

    Parameters
    ----------
    points : (m, 3) float [m]
        One on each face.
    normals : (m, 3) float
        Outward; normalised here.
    """

    points: Any
    normals: Any

    def __post_init__(self) -> None:
        points = array("points", self.points, (None, 3), low=-2.0, high=2.0, unit="m")
        normals = array("normals", self.normals, (len(points), 3))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        if not len(points) or (length < 1e-12).any():
            raise ArgumentError("normals: expected at least one face and no zero vectors")
        object.__setattr__(self, "points", freeze(points))
        object.__setattr__(self, "normals", freeze(normals / length))

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        axes = _axes(ndim)
        points, normals = self.points[:, axes], self.normals[:, axes]
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        if (length < 1e-6).any():
            raise ArgumentError("surface: expected faces across the grid's plane, got one parallel to it")
        normals = normals / length
        return Stop(2, np.c_[normals, (normals * points).sum(axis=1)].ravel().tolist())


class ConvexPolygon(HalfSpaces):
    """A convex polygon in the plane of a 2-D grid that holds the rays.

    Parameters
    ----------
    vertices : (m, 3) float [m]
        In order around it, either way; y is ignored.

    Raises
    ------
    ArgumentError
        Fewer than three vertices, or not convex.
    """

    def __init__(self, vertices: Any) -> None:
        corners = array("vertices", vertices, (None, 3), low=-2.0, high=2.0, unit="m")
        if len(corners) < 3:
            raise ArgumentError(f"vertices: expected at least three, got {len(corners)}")
        flat = corners[:, [0, 2]]
        edges = np.roll(flat, -1, axis=0) - flat
        following = np.roll(edges, -1, axis=0)
        turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
        way = np.sign(turns.sum())
        outward = np.c_[way * edges[:, 1], np.zeros(len(flat)), -way * edges[:, 0]]
        beyond = ((flat[:, None] - flat) * outward[:, [0, 2]]).sum(axis=-1)  # vertex, edge: 0 or negative inside
        if (way * turns < 0).any() or not way or (beyond > 1e-9 * np.abs(beyond).max()).any():
            raise ArgumentError("vertices: expected a convex polygon, in order around it")
        super().__init__(corners, outward)

    def stop(self, ndim: int, positions: NDArray[Any], directions: NDArray[Any]) -> Stop:
        """See `Surface`."""
        if ndim != 2:
            raise ArgumentError("surface: expected a surface for a 3-D grid (such as HalfSpaces), got a ConvexPolygon")
        return super().stop(ndim, positions, directions)


def _axes(ndim: int) -> list[int]:
    return [0, 2] if ndim == 2 else [0, 1, 2]
