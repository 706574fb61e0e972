"""Excitations that differ: receivers of their own (rotating arrays), water of their own speed (drifting temperature).

Receivers are the same for all excitations, (n_rx, 3), or differ between them, (n_tx, n_rx, 3), as for arrays that
rotate or when an emission is recorded by another array. Results are (n_tx, n_rx); rays are their C order.
"""

from typing import Any

import numpy as np

from .._checks import array, scalar
from ..errors import ArgumentError
from .operators import Vector
from .tomography import TravelTimeOperator


def pair_points(emitters: Any, receivers: Any) -> tuple[Vector, Vector]:
    """Ends of the straight line of every pair, for `Paths.straight`.

    Parameters
    ----------
    emitters : (n_tx, 3) float64 [m]
    receivers : (n_rx, 3) or (n_tx, n_rx, 3) float64 [m]

    Returns
    -------
    starts, ends : (n_tx n_rx, 3) float64 [m]

    Raises
    ------
    ArgumentError
        Wrong shapes, NaN, millimetres.
    """
    e, r = _positions(emitters, receivers)
    return np.broadcast_to(e, r.shape).reshape(-1, 3).copy(), r.reshape(-1, 3).copy()


def absolute_times(differences: Any, distances: Any, water_speed: Any) -> Vector:
    """Travel times from their differences to water: t = difference + distance / water_speed.

    Parameters
    ----------
    differences : (n_tx, n_rx) float64 [s]
        Time with the object minus time in water; NaN where there is none, and then in the result.
    distances : (n_tx, n_rx) float64 [m]
    water_speed : float or (n_tx,) float64 [m/s]
        When the water was measured, or what was assumed for it; one per emission where its temperature drifts.

    Returns
    -------
    (n_tx, n_rx) float64 [s]

    Raises
    ------
    ArgumentError
        Wrong shapes, times in microseconds, implausible speeds.
    """
    d = array("distances", distances, (None, None), low=0.0, high=4.0, unit="m")
    dt = _times("differences", differences, d.shape)
    return np.asarray(dt + d / _per_emission(water_speed, len(d)))


def to_reference_water(times: Any, water_speed: Any, reference: float) -> Vector:
    """Times as they would be if the water had the reference speed in every emission.

    The unknown is then one refractive index n(x) = c_w / c(x) with the same reference for all: emission e measured
    the acoustic length L = c_w[e] t, and L / reference is returned. Speeds in the object are taken to drift like that
    of the water.

    Parameters
    ----------
    times : (n_tx, n_rx) float64 [s]
    water_speed : float or (n_tx,) float64 [m/s]
        While the object was measured.
    reference : float [m/s]

    Returns
    -------
    (n_tx, n_rx) float64 [s]

    Raises
    ------
    ArgumentError
        Wrong shapes, times in microseconds, implausible speeds.
    """
    speeds = _per_emission(water_speed, np.shape(times)[0] if np.ndim(times) else 1)
    t = _times("times", times, (len(speeds), *np.shape(times)[1:]))
    return np.asarray(t * (speeds / scalar("reference", reference, 300.0, 12000.0, "m/s")))


def time_perturbations(operator: TravelTimeOperator, times: Any, background: Any) -> Vector:
    """What of the times a background does not explain: weights (t - integral of the background), for its unknowns.

    Solving A x = this gives the slowness that must be added to the background in the mask; where the mask ends, the
    background (water, a cup) stays as it is.

    Parameters
    ----------
    operator : TravelTimeOperator
    times : (n_rays,) float64 [s]
        NaN where there is none, and then in the result.
    background : grid.shape float64 [s/m]

    Returns
    -------
    (n_rays,) float64 [s]
    """
    rest = _times("times", times, (operator.shape[0],)) - operator.integrate(background)
    return rest if operator.weights is None else np.asarray(rest * operator.weights)


def _positions(emitters: Any, receivers: Any) -> tuple[Vector, Vector]:
    e = array("emitters", emitters, (None, 3), low=-2.0, high=2.0, unit="m")[:, None]
    shape = (None, 3) if np.ndim(receivers) == 2 else (len(e), None, 3)
    r = array("receivers", receivers, shape, low=-2.0, high=2.0, unit="m")
    return e, np.broadcast_to(r, (len(e), *r.shape[-2:]))


def _per_emission(water_speed: Any, n: int) -> Vector:
    speeds = np.asarray(water_speed, np.float64)
    wanted: tuple[int | None, ...] = (n,) if speeds.ndim else ()
    speeds = array("water_speed", speeds, wanted, low=300.0, high=12000.0, unit="m/s")
    return np.broadcast_to(speeds, (n,))[:, None]


def _times(name: str, values: Any, shape: tuple[int, ...]) -> Vector:
    times = np.asarray(values, np.float64)
    if times.shape != shape:
        raise ArgumentError(f"{name}: expected shape {shape}, got {times.shape}")
    largest = float(np.max(np.abs(times), initial=0.0, where=np.isfinite(times)))
    if largest > 0.1:
        raise ArgumentError(f"{name}: expected times in s, got up to {largest:g}; are they in us?")
    return times
