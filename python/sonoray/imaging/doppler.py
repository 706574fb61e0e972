"""Doppler: axial velocity and power of blood flow or tissue from a sequence of I/Q images.

With iq(t) = a(t) exp(-2 pi i f t), a scatterer that comes nearer by d between two frames turns the phase of its
pixel by +4 pi f d / c. Velocities are positive towards the probe.
"""

from typing import Any

import numpy as np
import scipy  # loads fft, ndimage and the like when they are first used
from numpy.typing import NDArray

from .._checks import count, finite, scalar
from ..errors import ArgumentError


def nyquist_velocity(center_frequency: float, frame_rate: float, sound_speed: float = 1540.0) -> float:
    """Largest unambiguous axial velocity, c frame_rate / (4 f) [m/s].

    Parameters
    ----------
    center_frequency : float [Hz]
    frame_rate : float [Hz]
        Repetition rate of the frames that are compared.
    sound_speed : float [m/s]

    Returns
    -------
    float [m/s]

    Raises
    ------
    ArgumentError
        Values in the wrong unit.

    Examples
    --------
    >>> round(nyquist_velocity(5e6, 10e3, 1480.0), 3)
    0.74
    """
    f = scalar("center_frequency", center_frequency, 2e4, 1e8, "Hz")
    rate = scalar("frame_rate", frame_rate, 1e-3, 1e6, "Hz")
    return scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s") * rate / (4 * f)


def doppler_velocity(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    sound_speed: float = 1540.0,
    *,
    wall_filter: int | None = None,
    average: Any = 1,
) -> NDArray[np.float32]:
    """Estimate axial velocity by lag-one autocorrelation (Kasai).

    v = v_nyquist arg(R1) / pi with R1 = sum_n iq[n+1] conj(iq[n]), averaged over neighbouring points.

    Parameters
    ----------
    iq : (n_frames, ...) complex64
        Beamformed I/Q of consecutive frames.
    center_frequency : float [Hz]
        The received one.
    frame_rate : float [Hz]
    sound_speed : float [m/s]
    wall_filter : int, optional
        Order of the polynomial in time that is removed from each point beforehand: 0 removes what stands still, 1
        what drifts slowly too. Default none.
    average : int or tuple of int
        Points along each image axis over which R1 is averaged.

    Returns
    -------
    (...) float32 [m/s]
        Positive towards the probe, in (-v_nyquist, v_nyquist]; faster flow wraps around. Meaningless where
        `doppler_power` is low.

    Raises
    ------
    ArgumentError
        Real data, fewer than two frames (or than the wall filter needs), NaN, values in the wrong unit.

    References
    ----------
    .. [1] C. Kasai et al., Real-time two-dimensional blood flow imaging using an autocorrelation technique, IEEE
       Trans. Sonics Ultrason. 32, 458 (1985).
    .. [2] S. Bjærum, H. Torp, K. Kristoffersen, Clutter filter design for ultrasound color flow imaging, IEEE Trans.
       UFFC 49, 204 (2002): polynomial regression.
    """
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    frames = _filtered(iq, wall_filter)
    lag_one = np.einsum("n...,n...->...", frames[1:], frames[:-1].conj())
    lag_one = scipy.ndimage.uniform_filter(lag_one, _window(average, lag_one.shape), mode="nearest")
    return np.asarray(np.angle(lag_one) * (limit / np.pi), np.float32)


def doppler_power(iq: Any, *, wall_filter: int | None = None, average: Any = 1) -> NDArray[np.float32]:
    """Mean power over frames, (1/N) sum_n |iq[n]|^2, after the wall filter.

    Parameters
    ----------
    iq, wall_filter, average
        As for `doppler_velocity`.

    Returns
    -------
    (...) float32 [square of the samples' unit]

    Raises
    ------
    ArgumentError
        As for `doppler_velocity`.
    """
    frames = _filtered(iq, wall_filter)
    power = (frames.real**2 + frames.imag**2).mean(axis=0)
    return np.asarray(scipy.ndimage.uniform_filter(power, _window(average, power.shape), mode="nearest"), np.float32)


def doppler_variance(iq: Any, *, wall_filter: int | None = None, average: Any = 1) -> NDArray[np.float32]:
    """Spread of velocity within a point, 1 - |R1| / R0: 0 for steady flow, towards 1 for turbulence and for noise.

    R0 is the power of the pairs of frames that R1 compares, (|iq[n]|^2 + |iq[n+1]|^2) / 2.

    Parameters
    ----------
    iq, wall_filter, average
        As for `doppler_velocity`.

    Returns
    -------
    (...) float32
        In [0, 1]; 1 where there is nothing.

    Raises
    ------
    ArgumentError
        As for `doppler_velocity`.

    References
    ----------
    .. [1] C. Kasai et al., IEEE Trans. Sonics Ultrason. 32, 458 (1985), eq. (15): the variance is 2 (1 - |R1| / R0)
       over the square of the time between frames.
    """
    frames = _filtered(iq, wall_filter)
    lag_one = np.einsum("n...,n...->...", frames[1:], frames[:-1].conj())
    square = frames.real**2 + frames.imag**2
    pairs = (square[1:].sum(axis=0) + square[:-1].sum(axis=0)) / 2
    window = _window(average, pairs.shape)
    lag_one = np.abs(scipy.ndimage.uniform_filter(lag_one, window, mode="nearest"))
    pairs = scipy.ndimage.uniform_filter(pairs, window, mode="nearest")
    ratio = np.divide(lag_one, pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return np.asarray(np.clip(1 - ratio, 0, 1), np.float32)


def _filtered(iq: Any, wall_filter: int | None) -> NDArray[Any]:
    """Checked frames without the polynomials in time up to the given order."""
    frames = np.asarray(iq)
    if frames.dtype.kind != "c":
        raise ArgumentError(f"iq: expected complex I/Q images, got {frames.dtype}")
    if frames.ndim < 2 or len(frames) < 2 or not frames.size:
        raise ArgumentError(f"iq: expected shape (n_frames, ...) with two frames or more, got {frames.shape}")
    finite("iq", frames)
    frames = frames.astype("c8", copy=False)
    if wall_filter is None:
        return frames
    order = count("wall_filter", wall_filter, 0, 100)
    if order + 2 > len(frames):
        raise ArgumentError(f"wall_filter: expected at most {len(frames) - 2} for {len(frames)} frames, got {order}")
    time = np.linspace(-1, 1, len(frames))
    basis = np.linalg.qr(np.polynomial.legendre.legvander(time, order))[0].astype("f4")
    return np.asarray(frames - np.tensordot(basis, np.tensordot(basis.T, frames, 1), 1))


def _window(average: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = (average,) * len(shape) if np.ndim(average) == 0 else tuple(average)
    if len(sizes) != len(shape):
        raise ArgumentError(f"average: expected 1 or {len(shape)} values, got {len(sizes)}")
    return tuple(count("average", size, 1, 10_000) for size in sizes)
