"""Spectral Doppler: which velocities a sample volume holds over time, traces of them, and their sound."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy  # loads signal when it is first used
from numpy.typing import NDArray

from .._checks import count, option, scalar
from ..errors import ArgumentError
from . import doppler_checks
from .doppler import nyquist_velocity
from .wall_filters import WallFilter, apply_wall_filter, slow_time_frames

_STEEPEST = np.deg2rad(80.0)  # beyond, the cosine turns one degree of error into a tenth and more
_SKIRT = 0.01  # of a spectrum's maximum: down to here it is one with what it touches
_SIDE_LOBES = 2e-3  # of all power: what a window may put beyond the foot of its main lobe


@dataclass(frozen=True, eq=False)
class Sonogram:
    """Doppler spectra over time.

    Parameters
    ----------
    power : (n_times, n_velocities) float32 [square of the samples' unit]
        White noise of power s^2 has s^2 everywhere. With "fft" the mean over velocities is the mean power of the
        samples in the window; with "capon" a steady velocity of power s^2 peaks at m s^2, the narrower the stronger.
    velocities : (n_velocities,) float64 [m/s]
        Rising, evenly spaced over 2 v_nyquist / cos(angle); positive towards the probe.
    times : (n_times,) float64 [s]
        Middles of the windows, counted from the first frame.
    """

    power: NDArray[np.float32]
    velocities: NDArray[np.float64]
    times: NDArray[np.float64]

    def decibel(self) -> NDArray[np.float32]:
        """Return the power relative to its maximum, (n_times, n_velocities) float32 [dB]; -300 at least."""
        top = max(float(self.power.max()), float(np.finfo("f4").tiny))
        return np.asarray(10 * np.log10(np.maximum(self.power / top, 1e-30)), np.float32)


@dataclass(frozen=True, eq=False)
class SpectralTraces:
    """What is read off a sonogram at each time.

    Parameters
    ----------
    times : (n_times,) float64 [s]
    mean : (n_times,) float32 [m/s]
        Mean velocity, weighted by the power above the noise.
    maximum, minimum : (n_times,) float32 [m/s]
        Envelopes above and below zero; 0 where nothing stands out from the noise on that side. Beyond the sonogram's
        range where a spectrum crosses its end.
    """

    times: NDArray[np.float64]
    mean: NDArray[np.float32]
    maximum: NDArray[np.float32]
    minimum: NDArray[np.float32]


def sonogram(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    sound_speed: float = 1540.0,
    *,
    method: str = "fft",
    length: int = 64,
    hop: int | None = None,
    window: str = "hann",
    n_velocities: int = 256,
    wall_filter: WallFilter | None = None,
    angle: float = 0.0,
    baseline: float = 0.0,
    loading: float = 0.01,
) -> Sonogram:
    """Short-time spectra of the samples of one place.

    "fft": P(v) = <|sum_n w_n x_n exp(-i pi n v / v_nyquist)|^2> / sum_n w_n^2, averaged over the points of the sample
    volume (Welch). "capon": P(v) = m / (a^H R^-1 a) with a_n = exp(i pi n v / v_nyquist), n < m = length / 2, and R the
    covariance of m consecutive samples, averaged forwards and backwards over the window and over points: finer where
    windows are short [1]_.

    Parameters
    ----------
    iq : (n_frames,) or (n_frames, ...) complex64
        Samples of a place over time, or of the points of a sample volume.
    center_frequency : float [Hz]
    frame_rate : float [Hz]
        Pulse repetition frequency.
    sound_speed : float [m/s]
    method : {"fft", "capon"}
    length : int
        Frames in a window: the velocity resolution of "fft" with "hann" is 4 v_nyquist / length.
    hop : int, optional
        Frames from window to window; default an eighth of the length.
    window : {"hann", "hamming", "boxcar", "blackman"}
        Of "fft".
    n_velocities : int
        At least ``length``.
    wall_filter : int or callable, optional
        See `apply_wall_filter`; acts on the whole recording, so that `IirFilter` and `FirFilter` suit.
    angle : float [rad]
        Between beam and flow, at most 80 degrees; velocities are divided by its cosine.
    baseline : float
        Shift of the range as a fraction of the Nyquist velocity, -1 to 1: it covers (baseline +- 1) v_nyquist.
    loading : float
        Of the diagonal of R, relative to its mean, for "capon".

    Returns
    -------
    Sonogram

    Raises
    ------
    ArgumentError
        Real data, NaN, fewer frames than the window, an angle above 80 degrees (or in degrees), wrong units.

    References
    ----------
    .. [1] F. Gran, A. Jakobsson, J. A. Jensen, Adaptive spectral Doppler estimation, IEEE Trans. UFFC 56, 700 (2009).
    """
    option("method", method, ("fft", "capon"))
    option("window", window, ("hann", "hamming", "boxcar", "blackman"))
    tilt = abs(scalar("angle", angle, -_STEEPEST, _STEEPEST, "rad"))
    shift = scalar("baseline", baseline, -1.0, 1.0, "(fraction of Nyquist)")
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    n_window = count("length", length, 4, 1 << 16)
    step = max(n_window // 8, 1) if hop is None else count("hop", hop, 1, 1 << 20)
    n_bins = count("n_velocities", n_velocities, n_window, 1 << 16)
    samples, dropped = _sample_volume(iq, wall_filter)
    if len(samples) < n_window:
        raise ArgumentError(f"length: expected at most {len(samples)} frames (after the wall filter), got {n_window}")
    windows = np.lib.stride_tricks.sliding_window_view(samples, n_window, axis=0)[::step]  # (times, points, length)
    if method == "fft":
        power = _periodograms(windows, scipy.signal.get_window(window, n_window), n_bins)
    else:
        power = _capon(windows, n_bins, scalar("loading", loading, 1e-9, 10.0, "(ratio)"))
    roll = round(shift * n_bins / 2)
    power = np.roll(np.fft.fftshift(power, axes=1), -roll, axis=1)
    velocities = (2 * (np.arange(n_bins) + roll) / n_bins - 1) * limit / np.cos(tilt)
    times = (np.arange(len(windows)) * step + (n_window - 1) / 2 + dropped / 2) / frame_rate
    return Sonogram(power.astype("f4"), velocities, np.asarray(times, np.float64))


def spectral_traces(spectra: Sonogram) -> SpectralTraces:
    """Mean and maximum velocities over time.

    The envelope is the geometric one [1]_: the cumulated power from 0 to the end of the range bends most where its
    distance from the straight line between both ends is largest, there the density falls below its mean. It lies about
    half the window's velocity resolution above the fastest scatterers. The noise is found from the sonogram itself by
    the statistics of white noise [2]_, as "fft" shows it. Velocities are periodic: what a spectrum that crosses one end
    of the range shows at the other end, the weaker part of it, is counted on from the first.

    Parameters
    ----------
    spectra : Sonogram
        Of a baseline that leaves both directions some range, if both are wanted.

    Returns
    -------
    SpectralTraces

    Raises
    ------
    ArgumentError
        Not a `Sonogram`.

    References
    ----------
    .. [1] R. Moraes, N. Aydin, D. H. Evans, The performance of three maximum frequency envelope detection algorithms
       for Doppler signals, J. Vasc. Invest. 1, 126 (1995).
    .. [2] P. H. Hildebrand, R. S. Sekhon, Objective determination of the noise level in Doppler spectra, J. Appl.
       Meteorol. 13, 808 (1974).
    """
    if not isinstance(spectra, Sonogram):
        raise ArgumentError(f"spectra: expected a Sonogram, got {type(spectra).__name__}")
    power, v = spectra.power.astype("f8"), spectra.velocities
    noise = _noise_level(power)
    above = np.maximum(power - noise, 0)
    shifts = _crossing(above, noise)
    found = np.zeros((3, len(power)))
    n, step = len(v), float(v[1] - v[0])
    for shift in np.unique(shifts):  # mostly 0
        rows = np.flatnonzero(shifts == shift)
        heights = v[0] + step * (np.arange(n) + shift)
        rolled, over = (np.roll(values[rows], -shift, axis=1) for values in (power, above))
        total = over.sum(axis=1)
        found[0, rows] = np.divide(over @ heights, total, out=np.zeros_like(total), where=total > 0)
        for k, sign in ((1, 1), (2, -1)):
            found[k, rows] = _envelope(rolled, heights, noise, sign)
    mean, maximum, minimum = found.astype("f4")
    return SpectralTraces(spectra.times, mean, maximum, minimum)


def _crossing(above: NDArray[np.float64], noise: float) -> NDArray[np.int64]:
    """By how many bins the range of each time has to move up so that no spectrum is cut by its ends."""
    loud = above > np.maximum(_SKIRT * above.max(axis=1, keepdims=True), 2 * noise)
    low, high = (np.logical_and.accumulate(side, axis=1).sum(axis=1) for side in (loud, loud[:, ::-1]))
    crosses = (low > 0) & (high > 0) & (low < above.shape[1])
    shifts = np.zeros(len(above), np.int64)
    for i in np.flatnonzero(crosses):
        below, beyond = above[i, : low[i]].sum(), above[i, -high[i] :].sum()
        shifts[i] = _foot(above[i], low[i]) if below < beyond else -_foot(above[i, ::-1], high[i])
    return shifts


def _foot(power: NDArray[np.float64], skirt: int) -> int:
    """Bins down to where power no longer falls."""
    rises = np.flatnonzero(np.diff(power[skirt - 1 :]) >= 0)
    return skirt + int(rises[0]) if rises.size else len(power)


def _envelope(power: NDArray[np.float64], v: NDArray[np.float64], noise: float, sign: int) -> NDArray[np.float64]:
    """Fastest velocity of each time on one side of zero."""
    side = np.flatnonzero(v * sign > 0)[::sign]
    if len(side) < 2:
        return np.zeros(len(power))
    # Noise alone sums to n times its level with a spread of sqrt(n), or twice that as bins are not independent.
    sums = power[:, side].sum(axis=1)
    heard = sums > noise * (len(side) + 10 * np.sqrt(len(side)))
    heard &= sums - noise * len(side) > _SIDE_LOBES * power.sum(axis=1)
    cumulated = np.cumsum(power[:, side], axis=1)
    line = np.arange(1, len(side) + 1) / len(side)
    bend = (cumulated - cumulated[:, -1:] * line).argmax(axis=1)
    return np.where(heard, v[side][bend], 0.0)


def doppler_audio(
    iq: Any,
    frame_rate: float,
    audio_rate: int = 44_100,
    *,
    wall_filter: WallFilter | None = None,
    baseline: float = 0.0,
) -> NDArray[np.float32]:
    """Sound of a sample volume: flow towards the probe on the left, away from it on the right.

    The samples are averaged over points and resampled; positive and negative frequencies, which the phase tells apart,
    become a real signal each.

    Parameters
    ----------
    iq : (n_frames,) or (n_frames, ...) complex64
    frame_rate : float [Hz]
    audio_rate : int [Hz]
        At least (1 + abs(baseline)) frame_rate.
    wall_filter, baseline
        As for `sonogram`.

    Returns
    -------
    (n_samples, 2) float32
        -1 to 1, the louder channel reaching it; `sonoray.write_wav` stores it.

    Raises
    ------
    ArgumentError
        As for `sonogram`; an audio rate that is too low.
    """
    rate = doppler_checks.frame_rate(frame_rate)
    shift = scalar("baseline", baseline, -1.0, 1.0, "(fraction of Nyquist)")
    out = count("audio_rate", audio_rate, 1000, 1_000_000)
    if out < (1 + abs(shift)) * rate:
        raise ArgumentError(f"audio_rate: expected {(1 + abs(shift)) * rate:g} Hz or more for these frames, got {out}")
    samples = _sample_volume(iq, wall_filter)[0].mean(axis=1).astype("c16")
    ratio = Fraction(out / rate).limit_denominator(2000)
    n = np.arange(len(samples))
    # The range that the baseline chooses is centred for the resampler, which knows only frequencies around zero.
    centred = scipy.signal.resample_poly(samples * np.exp(-1j * np.pi * shift * n), ratio.numerator, ratio.denominator)
    centred *= np.exp(1j * np.pi * shift * np.arange(len(centred)) * ratio.denominator / ratio.numerator)
    spectrum = np.fft.fft(centred)
    frequency = np.fft.fftfreq(len(centred))
    stereo = np.stack([np.fft.ifft(spectrum * (frequency * sign > 0)).real for sign in (1, -1)], axis=1)
    loudest = np.abs(stereo).max(initial=0.0)
    return np.asarray(stereo / loudest if loudest > 0 else stereo, np.float32)


def _sample_volume(iq: Any, wall_filter: WallFilter | None) -> tuple[NDArray[np.complex64], int]:
    """Filtered samples (n_frames, n_points) and how many frames the filter dropped."""
    samples = np.asarray(iq)
    frames = slow_time_frames(samples[:, None] if samples.ndim == 1 else samples)
    filtered = apply_wall_filter(frames.reshape(len(frames), -1), wall_filter)
    return filtered, len(frames) - len(filtered)


def _periodograms(windows: NDArray[np.complex64], weights: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    power = np.zeros((len(windows), n_bins))
    weights = (weights / np.linalg.norm(weights)).astype("f4")
    for point in range(windows.shape[1]):
        power += np.abs(scipy.fft.fft(windows[:, point] * weights, n_bins, axis=1)) ** 2
    return power / windows.shape[1]


def _capon(windows: NDArray[np.complex64], n_bins: int, loading: float) -> NDArray[np.float64]:
    m = windows.shape[2] // 2
    power = np.empty((len(windows), n_bins))
    for k, samples in enumerate(windows):
        parts = np.lib.stride_tricks.sliding_window_view(samples, m, axis=1).reshape(-1, m).astype("c16")
        covariance = parts.T @ parts.conj() / len(parts)
        covariance = (covariance + covariance[::-1, ::-1].conj()) / 2  # backwards in time
        level = np.trace(covariance).real / m
        inverse = np.linalg.inv(covariance + (loading * level + 1e-30) * np.eye(m))
        # a^H B a is the Fourier series of the sums along B's diagonals.
        sums = np.array([np.trace(inverse, d) for d in range(m)])
        series = np.zeros(n_bins, "c16")
        series[:m] = sums
        series[0] /= 2
        power[k] = m / np.maximum(2 * (n_bins * np.fft.ifft(series)).real, 1e-300)
    return power


def _noise_level(power: NDArray[np.float64]) -> float:
    """Mean of the largest set of smallest values that scatters no more than white noise does."""
    values = np.sort(power, axis=None)
    number = np.arange(1, len(values) + 1)
    mean = np.cumsum(values) / number
    variance = np.maximum(np.cumsum(values**2) / number - mean**2, 0)
    white = np.flatnonzero(variance <= mean**2)
    return float(mean[white[-1]]) if len(white) else 0.0
