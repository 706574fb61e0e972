"""Lenses with known rays: Maxwell's fish-eye, in which all rays are circles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError
from .grids import Grid
from .medium import Medium


def fish_eye(grid: Grid, sound_speed: float, radius: float, *, center: Any = (0.0, 0.0, 0.0)) -> Medium:
    """Maxwell's fish-eye: c = sound_speed (1 + r^2 / radius^2).

    All rays from a point p meet again in its antipode -p radius^2 / p^2 (about the centre), after a travel time of
    (pi / 2) radius / sound_speed; they are circles [1]_.

    Parameters
    ----------
    grid : Grid
    sound_speed : float [m/s]
        At the centre, where it is lowest.
    radius : float [m]
        Where it is twice as high.
    center : (3,) float, optional [m]
        y is ignored in 2-D.

    Returns
    -------
    Medium

    Raises
    ------
    ArgumentError
        The sound speed exceeds 12000 m/s somewhere on the grid.

    References
    ----------
    .. [1] M. Born, E. Wolf, Principles of Optics, 7th edition, Cambridge University Press (1999), section 4.2.2.
    """
    c0 = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    a = scalar("radius", radius, 1e-6, 2.0, "m")
    middle = array("center", center, (3,), low=-2.0, high=2.0, unit="m")[[0, 2] if grid.ndim == 2 else [0, 1, 2]]
    squares = [((axis - m) / a) ** 2 for axis, m in zip(grid.axes, middle, strict=True)]
    c = np.asarray(c0 * (1 + sum(np.ix_(*squares))))
    if c.max() > 12000.0:
        raise ArgumentError(f"radius: expected a sound speed below 12000 m/s on the whole grid, got up to {c.max():g}")
    return Medium(grid, c)


def fish_eye_spreading(length: Any, index: Any, radius: float) -> NDArray[np.float64]:
    """Spreading in the 2-D fish-eye, signed: J = radius sin(2 L / radius) / (2 n); negative past the antipode.

    Parameters
    ----------
    length : (n,) float [m]
        Acoustic length L, with the centre's sound speed as the reference.
    index : (n,) float
        Refractive index n at the point.
    radius : float [m]

    Returns
    -------
    (n,) float64 [m/rad]
    """
    a = scalar("radius", radius, 1e-6, 2.0, "m")
    return np.asarray(a * np.sin(2 * np.asarray(length) / a) / (2 * np.asarray(index)))
