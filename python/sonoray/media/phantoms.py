"""Media with known answers: constant gradient, layers, discs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError
from .grids import Grid
from .medium import Medium


def constant_gradient(grid: Grid, sound_speed: float, gradient: float) -> Medium:
    """Sound speed that changes linearly with depth: c = sound_speed + gradient z.

    Parameters
    ----------
    grid : Grid
    sound_speed : float [m/s]
        At z = 0.
    gradient : float [1/s]
        Tissue has up to about 4e3; the ray's radius of curvature is c / gradient.

    Returns
    -------
    Medium

    Raises
    ------
    ArgumentError
        The sound speed leaves 300 to 12000 m/s somewhere on the grid.
    """
    c = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    g = scalar("gradient", gradient, -1e7, 1e7, "1/s")
    return Medium(grid, np.array(np.broadcast_to(c + g * grid.z, grid.shape)))


def constant_gradient_times(points: Any, sources: Any, sound_speed: float, gradient: float) -> NDArray[np.float64]:
    """Exact travel times in `constant_gradient`: rays are arcs of circles.

    T = arccosh(1 + gradient^2 r^2 / (2 c_source c_point)) / gradient; r / c for a vanishing gradient.

    Parameters
    ----------
    points : (..., 3) float64 [m]
    sources : (n, 3) float64 [m]
    sound_speed : float [m/s]
        At z = 0.
    gradient : float [1/s]

    Returns
    -------
    (n, ...) float64 [s]

    References
    ----------
    .. [1] V. Cerveny, Seismic Ray Theory, Cambridge University Press (2001), section 3.7.
    """
    p = np.asarray(points, float)
    s = array("sources", sources, (None, 3)).reshape(-1, *(1,) * (p.ndim - 1), 3)
    c_point, c_source = sound_speed + gradient * p[..., 2], sound_speed + gradient * s[..., 2]
    r2 = ((p - s) ** 2).sum(axis=-1)
    if abs(gradient) < 1e-6:
        return np.asarray(np.sqrt(r2) / sound_speed)
    # 2 arcsinh(x) = arccosh(1 + 2 x^2), without the cancellation at small x
    return np.asarray(2 * np.arcsinh(0.5 * abs(gradient) * np.sqrt(r2 / (c_source * c_point))) / abs(gradient))


def layers(grid: Grid, interfaces: Sequence[float], sound_speeds: Sequence[float]) -> Medium:
    """Horizontal layers; a node on an interface belongs to the layer below.

    Parameters
    ----------
    grid : Grid
    interfaces : (n,) float [m]
        Depths, rising.
    sound_speeds : (n + 1,) float [m/s]
        From the top down.

    Raises
    ------
    ArgumentError
        Counts that do not fit, unsorted depths.
    """
    depths = array("interfaces", interfaces, (None,), low=-2.0, high=2.0, unit="m")
    if (np.diff(depths) <= 0).any():
        raise ArgumentError("interfaces: expected rising depths")
    speeds = array("sound_speeds", sound_speeds, (len(depths) + 1,), low=300.0, high=12000.0, unit="m/s")
    # Rounding must not move a node on an interface to the other side.
    layer = np.searchsorted(depths - 1e-6 * grid.spacing[-1], grid.z, side="right")
    return Medium(grid, np.array(np.broadcast_to(speeds[layer], grid.shape)))


def disc(grid: Grid, center: Any, radius: float, *, inside: float, outside: float, edge: float = 0.0) -> Medium:
    """A disc (ball in 3-D): a lens for the waves that cross it.

    Parameters
    ----------
    grid : Grid
    center : (3,) float [m]
        y is ignored in 2-D.
    radius : float [m]
    inside, outside : float [m/s]
    edge : float, optional [m]
        Width over which the sound speed changes (hyperbolic tangent); 0: sharp.
    """
    middle = array("center", center, (3,), low=-2.0, high=2.0, unit="m")
    radius = scalar("radius", radius, 1e-6, 2.0, "m")
    edge = scalar("edge", edge, 0.0, 2.0, "m")
    c_in = scalar("inside", inside, 300.0, 12000.0, "m/s")
    c_out = scalar("outside", outside, 300.0, 12000.0, "m/s")
    offset = grid.points() - middle
    if grid.ndim == 2:
        offset[..., 1] = 0.0
    depth = radius - np.linalg.norm(offset, axis=-1)
    share = 0.5 * (1 + np.tanh(2 * depth / edge)) if edge > 0 else (depth >= 0).astype(float)
    return Medium(grid, c_out + (c_in - c_out) * share)
