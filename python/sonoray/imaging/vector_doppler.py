"""Vector velocity from what several transmit and receive directions see of it."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..acquisition.flow_images import VectorVelocity
from ..errors import ArgumentError
from . import doppler_checks

_MOST_COMBINATIONS = 3**6


def vector_velocity(
    velocities: Any,
    transmit_angles: Any,
    receive_angles: Any,
    *,
    weights: Any = None,
    nyquist: float | None = None,
    aliases: int = 0,
    tolerance: float | None = None,
) -> VectorVelocity:
    """Least-squares vector velocity from Doppler velocities of several directions; two of them are a crossed beam.

    Direction i measures v_i = -(u_tx,i + u_rx,i) . v / 2, with u = (sin a, cos a); v minimises
    sum_i w_i (v_i + 2 k_i v_nyquist - (A v)_i)^2, over the numbers of aliases k_i, too, if asked to.

    Parameters
    ----------
    velocities : (n_directions, ...) float [m/s]
        From `doppler_velocity` with the usual c / (4 f): positive towards the probe.
    transmit_angles, receive_angles : (n_directions,) or (n_directions, ...) float [rad]
        From the z axis towards x: where the transmitted wave travels at a point, and the line from the centre of the
        receiving aperture to it.
    weights : (n_directions, ...) float, optional
        Inverse variances, such as 1 / `doppler_bandwidth`^2 or `doppler_power`; 0 leaves a direction out. Default 1.
    nyquist : float, optional [m/s]
        Needed for ``aliases``.
    aliases : int
        Largest abs(k_i) that is tried: (2 aliases + 1)^n_directions combinations, at most 729. Needs three directions
        or more. The slowest velocity that fits is taken: what all directions alias alike stays aliased.
    tolerance : float, optional [m/s]
        Residual up to which a combination fits; where none does the best is taken. Default a fifth of ``nyquist``.

    Returns
    -------
    VectorVelocity

    Raises
    ------
    ArgumentError
        Fewer than two directions, all directions alike, shapes that do not fit, NaN, degrees, negative weights.

    References
    ----------
    .. [1] B. Dunmire et al., Cross-beam vector Doppler ultrasound for angle-independent velocity measurements,
       Ultrasound Med. Biol. 26, 1213 (2000).
    .. [2] B. Y. S. Yiu, A. C. H. Yu, Least-squares multi-angle Doppler estimators for plane-wave vector flow imaging,
       IEEE Trans. UFFC 63, 1733 (2016).
    .. [3] I. K. Ekroll, J. Avdal, A. Swillens, H. Torp, L. Løvstakken, An extended least squares method for
       aliasing-resistant vector velocity estimation, IEEE Trans. UFFC 63, 1745 (2016).
    """
    shape = _checked(velocities).shape
    tx = _per_direction("transmit_angles", transmit_angles, shape)
    rx = _per_direction("receive_angles", receive_angles, shape)
    seen = 0.5 * np.stack([np.sin(tx) + np.sin(rx), np.cos(tx) + np.cos(rx)])
    return solved_directions(velocities, seen, weights=weights, nyquist=nyquist, aliases=aliases, tolerance=tolerance)


def solved_directions(
    velocities: Any,
    directions: NDArray[np.float64],
    *,
    weights: Any = None,
    nyquist: float | None = None,
    aliases: int = 0,
    tolerance: float | None = None,
) -> VectorVelocity:
    """`vector_velocity` for directions along which echoes were seen, of any length.

    Parameters
    ----------
    velocities, weights, nyquist, aliases, tolerance
        As for `vector_velocity`.
    directions : (2, n_directions, ...) float
        (u_tx + u_rx) / 2 along x and z; its image axes broadcast. u_rx is the mean over the receiving elements, see
        `receive_directions`.

    Returns
    -------
    VectorVelocity

    Raises
    ------
    ArgumentError
        As for `vector_velocity`.
    """
    measured = _checked(velocities)
    matrix = -directions
    weight = np.ones(measured.shape)
    if weights is not None:
        weight = array("weights", weights, measured.shape)
        if (weight < 0).any():
            raise ArgumentError(f"weights: expected none below 0, got {weight.min():g}")
    normal = np.einsum("ai...,bi...,i...->ab...", matrix, matrix, weight)
    inverse, condition = _inverted(normal)
    if not np.isfinite(condition).any():
        raise ArgumentError("transmit_angles: expected directions that differ, got all alike (or no weight)")
    solver = np.einsum("ab...,bi...,i...->ai...", inverse, matrix, weight)
    tried = count("aliases", aliases, 0, 100)
    best = _solved(measured, solver, matrix, weight)
    if tried:
        limit = _checked_nyquist(nyquist, len(measured), tried)
        most = limit / 5 if tolerance is None else scalar("tolerance", tolerance, 0.0, 1e4, "m/s")
        best = _best_alias(measured, solver, matrix, weight, best, 2 * limit, tried, most)
    velocity, misfit = best
    residual = np.sqrt(misfit / np.maximum(weight.sum(axis=0), np.finfo(float).tiny))
    return VectorVelocity(velocity.astype("f4"), residual.astype("f4"), condition.astype("f4"))


def _checked(velocities: Any) -> NDArray[np.float64]:
    measured = np.asarray(velocities)
    if measured.ndim < 1 or len(measured) < 2 or measured.dtype.kind != "f":
        raise ArgumentError(
            f"velocities: expected real ones of two directions or more, got {measured.dtype} {measured.shape}"
        )
    return array("velocities", measured, measured.shape)


def _per_direction(name: str, angles: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Angles of each direction, with axes that broadcast to the image."""
    values = np.asarray(angles)
    if values.shape != shape and values.shape != shape[:1]:
        raise ArgumentError(f"{name}: expected shape {shape[:1]} or {shape}, got {values.shape}")
    checked = array(name, values, values.shape, low=-np.pi / 2, high=np.pi / 2, unit="rad")
    return checked.reshape(checked.shape + (1,) * (len(shape) - checked.ndim))


def _inverted(normal: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverses of symmetric 2 x 2 matrices (zero where singular), and the condition of their roots."""
    (a, b), (_, d) = normal
    centre, spread = (a + d) / 2, np.hypot((a - d) / 2, b)
    high, low = centre + spread, centre - spread
    good = low > 1e-10 * high
    determinant = np.where(good, a * d - b * b, 1)
    inverse = np.where(good, np.stack([np.stack([d, -b]), np.stack([-b, a])]) / determinant, 0)
    return inverse, np.where(good, np.sqrt(high / np.where(good, low, 1)), np.inf)


def _solved(
    measured: NDArray[np.float64], solver: NDArray[np.float64], matrix: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    velocity = np.einsum("ai...,i...->a...", solver, measured)
    misfit = (weight * (measured - np.einsum("ai...,a...->i...", matrix, velocity)) ** 2).sum(axis=0)
    return velocity, misfit


def _checked_nyquist(nyquist: float | None, n: int, tried: int) -> float:
    if nyquist is None or n < 3 or (2 * tried + 1) ** n > _MOST_COMBINATIONS:
        raise ArgumentError(
            f"aliases: expected the Nyquist velocity, three directions or more and at most {_MOST_COMBINATIONS} "
            f"combinations, got {nyquist}, {n} and {(2 * tried + 1) ** n}"
        )
    return doppler_checks.nyquist(nyquist)


def _best_alias(
    measured: NDArray[np.float64],
    solver: NDArray[np.float64],
    matrix: NDArray[np.float64],
    weight: NDArray[np.float64],
    unaliased: tuple[NDArray[np.float64], NDArray[np.float64]],
    turn: float,
    tried: int,
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slowest solution within the tolerance, or the one that fits best."""
    n = len(measured)
    enough = tolerance**2 * weight.sum(axis=0)
    velocity, misfit = unaliased
    for numbers in itertools.product(range(-tried, tried + 1), repeat=n):
        shifted = measured + turn * np.reshape(numbers, (n,) + (1,) * (measured.ndim - 1))
        other, off = _solved(shifted, solver, matrix, weight)
        both = (off <= enough) & (misfit <= enough)
        slower = (other**2).sum(axis=0) < (velocity**2).sum(axis=0)
        better = np.where(both, slower, off < misfit)
        velocity, misfit = np.where(better, other, velocity), np.where(better, off, misfit)
    return velocity, misfit
