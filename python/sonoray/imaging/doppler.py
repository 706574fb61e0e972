"""Doppler: axial velocity, power and bandwidth of blood flow or tissue from a sequence of I/Q images.

With iq(t) = a(t) exp(-2 pi i f t), a scatterer that comes nearer by d between two frames turns the phase of its
pixel by +4 pi f d / c. Velocities are positive towards the probe.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import count, pair, scalar
from ..errors import ArgumentError
from . import doppler_checks
from .slow_time import Moments, phase, slow_time_moments
from .wall_filters import WallFilter, prepared


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
    rate = doppler_checks.frame_rate(frame_rate)
    return scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s") * rate / (4 * f)


def doppler_velocity(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    sound_speed: float = 1540.0,
    *,
    wall_filter: WallFilter | None = None,
    average: Any = 1,
    lags: int = 1,
) -> NDArray[np.float32]:
    """Estimate axial velocity by autocorrelation (Kasai), or by the phases of several lags.

    v = v_nyquist arg(R1) / pi with R_l = <iq[n + l] conj(iq[n])>, averaged over frames and neighbouring points. With
    more lags the line phi_l = l phi is fitted to their phases by weighted least squares.

    Parameters
    ----------
    iq : (n_frames, ...) complex64
        Beamformed I/Q of consecutive frames.
    center_frequency : float [Hz]
        The received one.
    frame_rate : float [Hz]
    sound_speed : float [m/s]
    wall_filter : int or callable, optional
        What takes tissue out beforehand, see `apply_wall_filter`. A number is the order of the polynomial in time that
        is removed from each point: 0 removes what stands still, 1 what drifts slowly too. Default none.
    average : int or tuple of int
        Points along each image axis over which R_l is averaged.
    lags : int
        1, or the largest lag of the fit: less noise where echoes stay coherent that long, at the price of more work.
        Weights are (n_frames - l) rho_l^2 / (1 - rho_l^2) with rho_l = abs(R_l) / R_0, the inverse variance of a
        phase; each lag's phase is unwrapped by the fit to the smaller ones.

    Returns
    -------
    (...) float32 [m/s]
        Positive towards the probe, in (-v_nyquist, v_nyquist]; faster flow wraps around. Meaningless where
        `doppler_power` is low.

    Raises
    ------
    ArgumentError
        Real data, fewer frames than two, the lags or the wall filter need, NaN, values in the wrong unit.

    References
    ----------
    .. [1] C. Kasai et al., Real-time two-dimensional blood flow imaging using an autocorrelation technique, IEEE
       Trans. Sonics Ultrason. 32, 458 (1985).
    .. [2] S. Kay, A fast and accurate single frequency estimator, IEEE Trans. Acoust. Speech Signal Process. 37, 1987
       (1989): frequency from phases by weighted least squares.
    """
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    frames, slow_time = prepared(iq, wall_filter)
    n = slow_time.n_frames(len(frames))
    wanted = tuple(range(1, count("lags", lags, 1, n - 1) + 1))
    found = slow_time_moments(frames, slow_time, wanted, average=average)
    if len(wanted) == 1:
        return phase(found.lagged[0], limit / np.pi)
    slope = np.angle(found.lagged[0])
    numerator, denominator = np.zeros((2, *slope.shape))
    for lag, r in zip(wanted, found.lagged, strict=True):
        turned = lag * slope + np.angle(r * np.exp(-1j * lag * slope))
        coherence = np.minimum(np.abs(r) / np.maximum(found.power, np.finfo("f4").tiny), 0.9999) ** 2
        weight = (n - lag) * coherence / (1 - coherence) + 1e-30
        numerator += weight * lag * turned
        denominator += weight * lag**2
        slope = numerator / denominator
    slope = np.pi - (np.pi - slope) % (2 * np.pi)  # the fit may end just beyond
    return np.asarray(slope * (limit / np.pi), np.float32)


def doppler_power(iq: Any, *, wall_filter: WallFilter | None = None, average: Any = 1) -> NDArray[np.float32]:
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
    return slow_time_moments(*prepared(iq, wall_filter), (), average=average).power


def doppler_variance(iq: Any, *, wall_filter: WallFilter | None = None, average: Any = 1) -> NDArray[np.float32]:
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
    found = slow_time_moments(*prepared(iq, wall_filter), (1,), average=average, pair_power=True)
    return _variance(found)


def doppler_bandwidth(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    sound_speed: float = 1540.0,
    *,
    wall_filter: WallFilter | None = None,
    average: Any = 1,
    lags: tuple[int, int] = (0, 1),
) -> NDArray[np.float32]:
    """Standard deviation of the Doppler spectrum as a velocity: turbulence, gradients, and the beam's own width.

    sigma^2 = 2 ln(|R_a| / |R_b|) / (b^2 - a^2) in squared radians per frame, exact for a Gaussian spectrum; for small
    widths and lags (0, 1) it is Kasai's 2 (1 - |R_1| / R_0). Scanners' "variance" is its square.

    Parameters
    ----------
    iq, center_frequency, frame_rate, sound_speed, wall_filter, average
        As for `doppler_velocity`.
    lags : (int, int)
        The two that are compared. White noise adds to lag 0 only, so that (1, 2) ignores it, but scatters more.

    Returns
    -------
    (...) float32 [m/s]
        0 where the later lag is the larger one, at most sqrt(2 ln 1e6 / (b^2 - a^2)) v_nyquist / pi.

    Raises
    ------
    ArgumentError
        As for `doppler_velocity`; lags that do not rise.

    References
    ----------
    .. [1] C. Kasai et al., IEEE Trans. Sonics Ultrason. 32, 458 (1985).
    .. [2] R. J. Doviak, D. S. Zrnić, Doppler Radar and Weather Observations, Academic Press (1993), section 6.5:
       logarithmic estimators from two lags.
    """
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    frames, slow_time = prepared(iq, wall_filter)
    n = slow_time.n_frames(len(frames))
    first, second = pair("lags", lags)
    first, second = count("lags", first, 0, n - 2), count("lags", second, 1, n - 1)
    if second <= first:
        raise ArgumentError(f"lags: expected a smaller and a larger one, got {lags}")
    found = slow_time_moments(frames, slow_time, (first, second) if first else (second,), average=average)
    early = np.abs(found.lagged[0]) if first else found.power
    late = np.abs(found.lagged[-1])
    ratio = np.clip(early / np.maximum(late, 1e-6 * np.maximum(early, np.finfo("f4").tiny)), 1, 1e6)
    return np.asarray(np.sqrt(2 * np.log(ratio) / (second**2 - first**2)) * (limit / np.pi), np.float32)


class DopplerImage(NamedTuple):
    """What colour Doppler shows of one ensemble.

    Attributes
    ----------
    velocity : (...) float32 [m/s]
        As from `doppler_velocity`, with one lag.
    power : (...) float32
        As from `doppler_power`.
    variance : (...) float32
        As from `doppler_variance`.
    """

    velocity: NDArray[np.float32]
    power: NDArray[np.float32]
    variance: NDArray[np.float32]


def doppler_image(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    sound_speed: float = 1540.0,
    *,
    wall_filter: WallFilter | None = None,
    average: Any = 1,
    power_only: bool = False,
) -> DopplerImage:
    """Velocity, power and variance in one pass over the ensembles.

    Parameters
    ----------
    iq, center_frequency, frame_rate, sound_speed, wall_filter, average
        As for `doppler_velocity`.
    power_only : bool
        A filter that leaves one dimension of an ensemble, of which no velocity is known, is no error: the velocity
        then is 0 and the variance 1.

    Returns
    -------
    DopplerImage

    Raises
    ------
    ArgumentError
        As for `doppler_velocity`.
    """
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    frames, slow_time = prepared(iq, wall_filter)
    if power_only:
        slow_time = slow_time._replace(refused=False)
    found = slow_time_moments(frames, slow_time, (1,), average=average, pair_power=True)
    return DopplerImage(phase(found.lagged[0], limit / np.pi), found.power, _variance(found))


def _variance(found: Moments) -> NDArray[np.float32]:
    pairs = found.pair_power
    assert pairs is not None
    ratio = np.divide(np.abs(found.lagged[0]), pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return np.asarray(np.clip(1 - ratio, 0, 1), np.float32)
