"""How far a map is from the truth."""

from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from .._checks import array, scalar
from ..errors import ArgumentError
from ..media.medium import Medium


def sound_speed_errors(
    found: Medium, truth: Medium, background: float, *, center: Any = None, radius: float | None = None
) -> dict[str, float]:
    """Compare a sound-speed map with the true one, at the nodes of the map.

    Parameters
    ----------
    found, truth : Medium
        The truth is interpolated linearly at the map's nodes; beyond its grid it is `background`.
    background : float [m/s]
        Speed of the water, the map that knows nothing: its relative error is 100 %.
    center : (3,) float64, optional [m]
        Of the disc (ball) in which maps are compared; default the middle of the map's grid.
    radius : float, optional [m]
        Default: the whole grid.

    Returns
    -------
    dict
        ``relative_error`` [%]: 100 norm(c - c_true) / norm(background - c_true); ``rmse``, ``bias`` [m/s].

    Raises
    ------
    ArgumentError
        Maps of different dimension, a disc without nodes, a truth that is water everywhere in it.
    """
    if found.grid.ndim != truth.grid.ndim:
        raise ArgumentError(f"truth: expected a {found.grid.ndim}-D map, got a {truth.grid.ndim}-D one")
    water = scalar("background", background, 300.0, 12000.0, "m/s")
    points = found.grid.points()
    inside = np.ones(found.grid.shape, bool)
    if radius is not None:
        middle = np.zeros(3)
        ends = np.array(found.grid.extent).mean(axis=1)
        middle[[0, 2] if found.grid.ndim == 2 else [0, 1, 2]] = ends
        middle = middle if center is None else array("center", center, (3,), low=-2.0, high=2.0, unit="m")
        inside = np.linalg.norm(points - middle, axis=-1) < scalar("radius", radius, 1e-6, 2.0, "m")
        if not inside.any():
            raise ArgumentError(f"radius: expected a disc that holds nodes of the map, got {radius:g} m")
    axes = [0, 2] if truth.grid.ndim == 2 else [0, 1, 2]
    index = ((points[inside][:, axes] - truth.grid.origin) / truth.grid.spacing).T
    values = np.asarray(truth.sound_speed, np.float64)
    exact = map_coordinates(values, index, order=1, mode="constant", cval=water)
    error = np.asarray(found.sound_speed, np.float64)[inside] - exact
    contrast = float(np.linalg.norm(water - exact))
    if contrast <= 1e-9 * water * np.sqrt(exact.size):  # rounding
        raise ArgumentError("truth: expected a map that differs from the background, got none")
    return {
        "relative_error": 100.0 * float(np.linalg.norm(error)) / contrast,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "bias": float(error.mean()),
    }
