"""Numerics of the staggered scheme: derivative weights, points between nodes, and exact time."""

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

HALF_WIDTH = 5  # nodes on either side of a staggered derivative
WAVENUMBER_LIMIT = 1.6  # k h up to which the derivative is accurate: 3.9 points per wavelength
SINC_RADIUS = 6  # nodes on either side of a point between nodes
_KAISER_SHAPE = 6.3


@lru_cache
def derivative_weights() -> tuple[float, ...]:
    """Weights a_k of (d/dx f)(0) = sum_k a_k (f((k - 1/2) h) - f(-(k - 1/2) h)) / h.

    Fitted to the symbol i k over 0 < k h <= `WAVENUMBER_LIMIT` in the relative maximum norm (weighted least squares,
    weights raised where the error is large: Lawson's algorithm). Relative error of the phase speed < 1e-5.
    """
    q = np.linspace(0.05, WAVENUMBER_LIMIT, 600)
    k = np.arange(1, HALF_WIDTH + 1)
    symbol = 2 * np.sin(np.outer(q, k - 0.5)) / q[:, None]
    weight: NDArray[Any] = np.ones(q.size)
    a = np.zeros(HALF_WIDTH)
    for _ in range(300):
        root = np.sqrt(weight)
        a = np.linalg.lstsq(symbol * root[:, None], root, rcond=None)[0]
        weight *= np.abs(symbol @ a - 1) + 1e-14
        weight /= weight.mean()
    return tuple(float(v) for v in a)


def stable_time_step(spacing: float, sound_speed: float) -> float:
    """Largest stable time step of the 2-D leapfrog scheme, less 10 % [s]."""
    return 0.9 * spacing / (sound_speed * np.sqrt(2) * float(np.sum(np.abs(derivative_weights()))))


def point_weights(
    positions: NDArray[np.float64], shape: tuple[int, int], spacing: float, origin: NDArray[np.float64]
) -> scipy.sparse.csr_matrix:
    """Band-limited values between nodes: Kaiser-windowed sinc weights of every position.

    Parameters
    ----------
    positions : (n, 2) float64 [m]
        x and z.
    shape, spacing, origin
        Of the nodes; ``origin`` (2,) [m] is the first one (staggered fields have their own).

    Returns
    -------
    (n, shape[0] * shape[1]) sparse float64
        Rows sum to 1.

    References
    ----------
    .. [1] G. J. Hicks, Arbitrary source and receiver positioning in finite-difference schemes using Kaiser windowed
       sinc functions, Geophysics 67, 156 (2002), eq. 7.
    """
    steps = np.arange(-SINC_RADIUS + 1, SINC_RADIUS + 1)
    nodes, weights = [], []
    for axis in range(2):
        at = (positions[:, axis] - origin[axis]) / spacing
        # Rounding must not move a position on a node away from it.
        at = np.where(np.abs(at - np.rint(at)) < 1e-6, np.rint(at), at)
        node = np.floor(at).astype(int)[:, None] + steps
        t = at[:, None] - node
        window = np.i0(_KAISER_SHAPE * np.sqrt(np.clip(1 - (t / SINC_RADIUS) ** 2, 0, 1))) / np.i0(_KAISER_SHAPE)
        w = np.where(np.abs(t) < SINC_RADIUS, np.sinc(t) * window, 0)
        nodes.append(node)
        weights.append(w / w.sum(axis=1, keepdims=True))
    column = nodes[0][:, :, None] * shape[1] + nodes[1][:, None, :]
    value = weights[0][:, :, None] * weights[1][:, None, :]
    row = np.broadcast_to(np.arange(len(positions))[:, None, None], column.shape)
    keep = np.abs(value) > 1e-12
    return scipy.sparse.csr_matrix(
        (value[keep], (row[keep], column[keep])), shape=(len(positions), shape[0] * shape[1])
    )


def scheme_frequency(angular_frequency: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Angular frequency at which the leapfrog scheme behaves as the exact equation does at the given one [rad/s].

    The second difference in time has the symbol -(2 / dt sin(w dt / 2))^2 instead of -w^2; nothing else in the scheme
    depends on time, so the map between the two frequencies removes its dispersion exactly.

    References
    ----------
    .. [1] E. F. M. Koene et al., Eliminating time dispersion from seismic wave modeling, Geophys. J. Int. 213,
       169 (2018).
    """
    return np.asarray(2 / step * np.arcsin(0.5 * step * angular_frequency))


def drive(
    pulse_spectrum: NDArray[np.float64], f: NDArray[np.float64], delays: NDArray[np.float64], step: float, n_steps: int
) -> NDArray[np.float64]:
    """Element signals on the scheme's clock, so that the exact equation would see the pulse at the given delays.

    Parameters
    ----------
    pulse_spectrum, f : (n_f,) float64
        Samples of the spectrum at evenly spaced frequencies on the scheme's clock [Hz], already taken at the exact
        frequency that each one stands for.
    delays : (n,) float64 [s]
        Of each element, from the first step.
    step : float [s]
    n_steps : int

    Returns
    -------
    (n_steps, n) float64
    """
    exact = 2 / step * np.sin(np.pi * f * step)
    t = step * np.arange(n_steps)
    df = f[1] - f[0]
    shifted = pulse_spectrum[:, None] * np.exp(-1j * np.outer(exact, delays))
    return np.asarray(2 * df * np.real(np.exp(2j * np.pi * np.outer(t, f)) @ shifted))


def exact_time(
    step: float, n_steps: int, times: NDArray[np.float64], max_frequency: float, taper: int
) -> NDArray[np.float32]:
    """Matrix from records on the scheme's clock to the exact equation's samples at ``times``.

    Parameters
    ----------
    step : float [s]
    n_steps : int
        Length of the record; its last ``taper`` steps fade out.
    times : (n,) float64 [s]
        From the first step.
    max_frequency : float [Hz]
        Above it the result is zero.
    taper : int

    Returns
    -------
    (n, n_steps) float32
    """
    period = 1.25 * n_steps * step
    w: NDArray[Any] = 2 * np.pi * np.arange(1, int(max_frequency * period) + 1) / period
    t = step * np.arange(n_steps)
    fade = np.sin(0.5 * np.pi * np.clip((t[-1] - t) / (max(taper, 1) * step), 0, 1)) ** 2
    forward = np.exp(-1j * np.outer(scheme_frequency(w, step), t)) * (fade * step)
    back = 2 / period * np.exp(1j * times[:, None] * w)
    return np.real(back @ forward).astype(np.float32)
