"""Signals: filters along the time axis of channel data.

Every function takes `ChannelData` and returns new `ChannelData`, one frame and transmit at a time: beside the
result, memory holds one (n_rx, n_samples) block, so int16 recordings are never converted as a whole.
Filters are zero-phase (they move no echo) and act in the frequency domain on zero-padded traces.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import scipy  # loads fft, ndimage and the like when they are first used
from numpy.typing import NDArray

from .._checks import array, count, finite, scalar
from ..errors import ArgumentError
from .channel_data import ChannelData

_Block = Callable[[NDArray[Any], int], NDArray[Any]]  # ((n_rx, n_samples), transmit) -> (n_rx, n_out)


def demodulate(
    channel_data: ChannelData,
    frequency: float | None = None,
    *,
    bandwidth: float | None = None,
    decimate: int = 1,
    order: int = 5,
) -> ChannelData:
    """Mix RF down to I/Q.

    iq(t) = 2 LPF[rf(t) exp(-2 pi i f t)], with t the absolute time of the sample (from `ChannelData.start_time`,
    for each transmit), so that an echo a(t - tau) cos(2 pi f (t - tau)) becomes a(t - tau) exp(-2 pi i f tau).
    Band-pass under-sampled RF (sampling frequency below 2 f) is demodulated like any other.

    Parameters
    ----------
    channel_data : ChannelData
        RF, int16 or float32.
    frequency : float, optional [Hz]
        Demodulation frequency; by default the centre frequency of the data, else of the probe.
    bandwidth : float, optional [Hz]
        Two-sided pass band: the low-pass falls to -6 dB at ``bandwidth / 2``. Default: halfway to the image of
        the spectrum at 2 f (aliased, if under-sampled), and at most 70 % of the new Nyquist frequency.
    decimate : int
        Keep every ``decimate``-th sample.
    order : int
        Of the Butterworth low-pass, run forwards and backwards.

    Returns
    -------
    ChannelData
        complex64, same start time.

    Raises
    ------
    ArgumentError
        Data is I/Q already, frequency unknown or not in Hz, the pass band reaches the image or the new Nyquist
        frequency, or the sampling cannot tell a signal from its image (2 f is a multiple of the sampling
        frequency).

    References
    ----------
    .. [1] D. Garcia, Make the most of MUST, an open-source Matlab UltraSound Toolbox, IEEE IUS (2021), ``rf2iq``.
    """
    if channel_data.is_iq:
        raise ArgumentError("channel_data: expected RF, got I/Q; it is demodulated already")
    fs, step = channel_data.sampling_frequency, count("decimate", decimate, 1, 1000)
    f = _known_frequency("frequency", frequency, channel_data)
    cutoff = _cutoff(f, fs, step, bandwidth)
    order = count("order", order, 1, 20)
    n = channel_data.n_samples
    n_fft, response = _low_pass(n, fs, cutoff, order, step)
    n_out = -(-n // step)
    oscillation = np.exp(-2j * np.pi * f * np.arange(n) / fs)

    def mix(block: NDArray[Any], tx: int) -> NDArray[Any]:
        phase = 2 * np.exp(-2j * np.pi * f * channel_data.start_time[tx])
        spectrum = scipy.fft.fft(block * (phase * oscillation).astype("c8"), n_fft)
        return np.asarray(scipy.fft.ifft(_keep_low(spectrum, n_fft // step) * response, overwrite_x=True)[..., :n_out])

    samples = _each_block(channel_data, mix, n_out, np.complex64)
    return channel_data.with_(
        samples=samples,
        sampling_frequency=fs / step,
        demodulation_frequency=f,
        center_frequency=channel_data.center_frequency or f,
    )


def remodulate(channel_data: ChannelData, sampling_frequency: float | None = None) -> ChannelData:
    """Mix I/Q up to RF: rf(t) = Re[iq(t) exp(2 pi i f t)], the inverse of `demodulate` inside its pass band.

    Parameters
    ----------
    channel_data : ChannelData
        I/Q.
    sampling_frequency : float, optional [Hz]
        Of the RF, at least that of the I/Q; default the smallest multiple of it above 4 f.

    Returns
    -------
    ChannelData
        float32.

    Raises
    ------
    ArgumentError
        Data is RF, or the sampling frequency is lower than that of the I/Q.
    """
    if not channel_data.is_iq:
        raise ArgumentError("channel_data: expected I/Q, got RF")
    fs, f = channel_data.sampling_frequency, channel_data.demodulation_frequency
    if sampling_frequency is None:
        sampling_frequency = fs * np.ceil(4 * f / fs - 1e-9)
    wanted = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    if wanted < fs * (1 - 1e-9):
        raise ArgumentError(f"sampling_frequency: expected at least that of the I/Q, {fs:g} Hz, got {wanted:g}")
    fine = channel_data if abs(wanted - fs) < 1e-9 * fs else resample(channel_data, wanted)
    oscillation = np.exp(2j * np.pi * f * np.arange(fine.n_samples) / fine.sampling_frequency)

    def mix(block: NDArray[Any], tx: int) -> NDArray[Any]:
        phase = np.exp(2j * np.pi * f * fine.start_time[tx])
        return np.asarray((block * (phase * oscillation).astype("c8")).real)

    samples = _each_block(fine, mix, fine.n_samples, np.float32)
    return fine.with_(samples=samples, demodulation_frequency=0.0)


def band_pass(channel_data: ChannelData, low: float, high: float, *, order: int = 5) -> ChannelData:
    """Keep the frequencies between ``low`` and ``high``, zero-phase.

    The gain is that of an analog Butterworth band-pass run forwards and backwards,
    1 / (1 + ((f^2 - low high) / (f (high - low)))^(2 order)): -6 dB at the cut-offs, zero at 0 Hz.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q; for I/Q the cut-offs are those of the RF behind it.
    low, high : float [Hz]
    order : int

    Returns
    -------
    ChannelData
        float32 or complex64.

    Raises
    ------
    ArgumentError
        Cut-offs not rising, beyond the band that the sampling holds, or not in Hz; under-sampled RF.
    """
    fs, f = channel_data.sampling_frequency, channel_data.demodulation_frequency
    low, high = scalar("low", low, 1.0, 1e8, "Hz"), scalar("high", high, 1.0, 1e8, "Hz")
    order = count("order", order, 1, 20)
    if not low < high:
        raise ArgumentError(f"low, high: expected rising cut-offs, got {low:g} and {high:g}")
    _refuse_undersampled(channel_data)
    bottom, top = (f - fs / 2, f + fs / 2) if channel_data.is_iq else (0.0, fs / 2)
    for name, value in (("low", low), ("high", high)):
        if not bottom <= value <= top:
            raise ArgumentError(f"{name}: expected {bottom:g} to {top:g} Hz (Nyquist), got {value:g}")
    n = channel_data.n_samples
    n_fft = scipy.fft.next_fast_len(n + _ringing(fs, (high - low) / 2, order))
    offset = scipy.fft.fftfreq(n_fft, 1 / fs) if channel_data.is_iq else scipy.fft.rfftfreq(n_fft, 1 / fs)
    frequency = np.maximum(np.abs(offset + f), 1e-3)  # 1 mHz stands for 0 Hz, where the gain is 0
    ratio = np.abs((frequency**2 - low * high) / (frequency * (high - low)))
    response = (1 / (1 + np.minimum(ratio, 1e6) ** (2 * order))).astype("f4")
    return _filtered(channel_data, response, n_fft)


def matched_filter(channel_data: ChannelData, pulse: Any, *, reference: float = 0.0) -> ChannelData:
    """Correlate every trace with a pulse, so that coded or long pulses are compressed and noise is lowered.

    y(t) = sum_u x(t + u) conj(p(u)) / sum_u |p(u)|^2: an echo a p(t - tau) gives its peak, of height a, at
    tau + ``reference``.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q.
    pulse : (n,) float32 or complex64
        Sampled like the data, from its onset on. For I/Q the pulse, too, is mixed down, with time counted
        from its onset.
    reference : float [s]
        Time from the onset to the point of the pulse that counts as the arrival. 0: the onset, as the start time
        of `ChannelData` wants it. Give the time of the envelope's peak to leave peaks where they are.

    Returns
    -------
    ChannelData
        float32 or complex64, same timing.

    Raises
    ------
    ArgumentError
        Pulse zero, NaN, not 1-D, or complex for RF; reference outside the pulse.
    """
    kind: Any = np.complex128 if np.iscomplexobj(pulse) else np.float64
    p = array("pulse", pulse, (None,), kind)
    energy = float(np.sum(np.abs(p) ** 2))
    if energy == 0:
        raise ArgumentError("pulse: expected at least one value that is not zero")
    if np.iscomplexobj(p) and not channel_data.is_iq:
        raise ArgumentError("pulse: expected real values for RF, got complex ones")
    fs, n = channel_data.sampling_frequency, channel_data.n_samples
    shift = scalar("reference", reference, 0.0, len(p) / fs, "s")
    n_fft = scipy.fft.next_fast_len(n + len(p) + 1)
    iq = channel_data.is_iq
    spectrum = scipy.fft.fft(p, n_fft) if iq else scipy.fft.rfft(p, n_fft)
    offset = scipy.fft.fftfreq(n_fft, 1 / fs) if iq else scipy.fft.rfftfreq(n_fft, 1 / fs)
    # Moving an echo by `shift` turns its I/Q phase at the demodulation frequency as well.
    delay = np.exp(-2j * np.pi * (offset + channel_data.demodulation_frequency) * shift)
    return _filtered(channel_data, (np.conj(spectrum) * delay / energy).astype("c8"), n_fft)


def resample(channel_data: ChannelData, sampling_frequency: float) -> ChannelData:
    """Change the sampling frequency with a zero-phase polyphase filter; the start time stays.

    I/Q keeps its demodulation frequency, since its phase refers to absolute time.

    Parameters
    ----------
    channel_data : ChannelData
    sampling_frequency : float [Hz]
        A ratio of integers up to 1000 times the present one.

    Returns
    -------
    ChannelData
        float32 or complex64, with ceil(n_samples * ratio) samples.

    Raises
    ------
    ArgumentError
        No such ratio, RF under-sampled before or after (its band would be lost), not in Hz.
    """
    new = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    old, n = channel_data.sampling_frequency, channel_data.n_samples
    ratio = Fraction(new / old).limit_denominator(1000)
    if ratio == 0 or ratio.numerator > 1000 or abs(float(ratio) * old / new - 1) * n > 0.01:
        raise ArgumentError(
            f"sampling_frequency: expected a ratio of integers up to 1000 times {old:g} Hz, got {new:g}"
        )
    _refuse_undersampled(channel_data)
    center = _center_frequency(channel_data)
    if not channel_data.is_iq and new < 2 * center:
        raise ArgumentError(
            f"sampling_frequency: expected at least twice the centre frequency {center:g} Hz, got {new:g}; "
            "demodulate with decimate instead"
        )
    n_out = -(-n * ratio.numerator // ratio.denominator)

    def convert(block: NDArray[Any], tx: int) -> NDArray[Any]:
        return np.asarray(scipy.signal.resample_poly(block, ratio.numerator, ratio.denominator, axis=-1))

    samples = _each_block(channel_data, convert, n_out)
    return channel_data.with_(samples=samples, sampling_frequency=float(ratio) * old)


def time_gain_compensation(
    channel_data: ChannelData,
    attenuation: float | None = None,
    *,
    frequency: float | None = None,
    curve: Any = None,
    max_gain: float = 60.0,
) -> ChannelData:
    """Amplify late echoes, either against a known attenuation or along a given curve.

    With ``attenuation`` a [dB/m/MHz] the gain is a f c t dB: the wave has travelled c t, there and back.

    Parameters
    ----------
    channel_data : ChannelData
    attenuation : float, optional [dB/m/MHz]
        One-way; soft tissue has about 50 (0.5 dB/cm/MHz).
    frequency : float, optional [Hz]
        Default the centre frequency of the data, else of the probe.
    curve : pair of (n,) arrays, optional
        Times [s], rising, and gains [dB] at them; held constant before the first and after the last.
    max_gain : float [dB]
        The gain grows no further than this.

    Returns
    -------
    ChannelData
        float32 or complex64.

    Raises
    ------
    ArgumentError
        Both or none of attenuation and curve; values in the wrong unit.
    """
    if (attenuation is None) == (curve is None):
        raise ArgumentError("attenuation, curve: expected exactly one of the two")
    largest = scalar("max_gain", max_gain, 0.0, 200.0, "dB")
    if curve is None:
        f = _known_frequency("frequency", frequency, channel_data)
        slope = scalar("attenuation", attenuation, 0.0, 2000.0, "dB/m/MHz") * f * 1e-6 * channel_data.sound_speed
    else:
        if len(curve) != 2:
            raise ArgumentError(f"curve: expected times and gains, got {len(curve)} arrays")
        knots = array("curve: times", curve[0], (None,), low=-1e-2, high=1.0, unit="s")
        gains = array("curve: gains", curve[1], (len(knots),), low=-200, high=200, unit="dB")
        if not len(knots) or (np.diff(knots) <= 0).any():
            raise ArgumentError("curve: expected rising times")

    def amplify(block: NDArray[Any], tx: int) -> NDArray[Any]:
        t = channel_data.times(tx)
        gain = slope * np.maximum(t, 0) if curve is None else np.interp(t, knots, gains)
        return np.asarray(block * (10 ** (np.minimum(gain, largest) / 20)).astype("f4"))

    return channel_data.with_(samples=_each_block(channel_data, amplify, channel_data.n_samples))


def analytic(rf: Any, *, axis: int = -1) -> NDArray[np.complex64]:
    """Return the analytic signal of real traces: its magnitude is the envelope, its real part the traces.

    Parameters
    ----------
    rf : (..., n) float32 or int16
        Sampled above twice the highest frequency; of under-sampled RF the result has no meaning (`demodulate` it).
    axis : int
        Time or depth.

    Returns
    -------
    same shape, complex64

    Raises
    ------
    ArgumentError
        Complex input, NaN, no such axis.
    """
    values = np.asarray(rf)
    if values.dtype.kind not in "iuf" or not values.size:
        raise ArgumentError(f"rf: expected real numbers, got {values.dtype} with shape {values.shape}")
    if not -values.ndim <= axis < values.ndim:
        raise ArgumentError(f"axis: expected below {values.ndim}, got {axis}")
    finite("rf", values)
    n = values.shape[axis]
    spectrum = scipy.fft.fft(values.astype("f4"), axis=axis)
    weights = np.zeros(n, "f4")
    weights[0] = 1
    weights[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weights[n // 2] = 1
    spectrum *= np.expand_dims(weights, tuple(i for i in range(values.ndim) if i != axis % values.ndim))
    return np.asarray(scipy.fft.ifft(spectrum, axis=axis, overwrite_x=True), np.complex64)


def _cutoff(f: float, fs: float, step: int, bandwidth: float | None) -> float:
    """Half the pass band of a demodulation, clear of the image of the spectrum and of the new Nyquist frequency."""
    image = abs(2 * f - fs * round(2 * f / fs))
    if image < 0.02 * fs:
        raise ArgumentError(
            f"frequency: expected one whose double is not a multiple of the sampling frequency {fs:g} Hz, got {f:g}; "
            "the signal and its image would coincide"
        )
    limit = min(image, fs / step)
    if bandwidth is None:
        return min(image / 2, 0.35 * fs / step)
    width = scalar("bandwidth", bandwidth, 1e3, 1e8, "Hz")
    if width > limit:
        why = "the image of the spectrum" if limit == image else f"the Nyquist frequency after decimation by {step}"
        raise ArgumentError(f"bandwidth: expected at most {limit:g} Hz, got {width:g}; it reaches {why}")
    return width / 2


def _center_frequency(channel_data: ChannelData) -> float:
    return channel_data.center_frequency or channel_data.probe.center_frequency


def _known_frequency(name: str, value: float | None, channel_data: ChannelData) -> float:
    if value is None:
        value = channel_data.demodulation_frequency or _center_frequency(channel_data)
        if not value:
            raise ArgumentError(
                f"{name}: expected a frequency in Hz; neither data nor probe know the pulse's, so give it: "
                "ChannelData.with_(center_frequency=...), on the command line --center-frequency"
            )
    return scalar(name, value, 2e4, 1e8, "Hz")


def _refuse_undersampled(channel_data: ChannelData) -> None:
    center, fs = _center_frequency(channel_data), channel_data.sampling_frequency
    if not channel_data.is_iq and fs < 2 * center:
        raise ArgumentError(
            f"channel_data: expected RF sampled above twice the centre frequency {center:g} Hz, got {fs:g} Hz "
            "(band-pass under-sampled); demodulate it first"
        )


def _each_block(channel_data: ChannelData, function: _Block, n_out: int, dtype: Any = None) -> NDArray[Any]:
    """Apply ``function`` to every (n_rx, n_samples) block in single precision."""
    dtype = dtype or (np.complex64 if channel_data.is_iq else np.float32)
    result = np.empty((*channel_data.samples.shape[:3], n_out), dtype)
    for frame in range(channel_data.n_frames):
        for tx in range(channel_data.n_tx):
            block = channel_data.samples[frame, tx]
            result[frame, tx] = function(block.astype("f4") if block.dtype == np.int16 else block, tx)
    return result


def _filtered(channel_data: ChannelData, response: NDArray[Any], n_fft: int) -> ChannelData:
    """Multiply the spectrum of every trace, zero-padded to ``n_fft``, by ``response``."""
    n = channel_data.n_samples

    def apply(block: NDArray[Any], tx: int) -> NDArray[Any]:
        if channel_data.is_iq:
            return np.asarray(scipy.fft.ifft(scipy.fft.fft(block, n_fft) * response)[..., :n])
        return np.asarray(scipy.fft.irfft(scipy.fft.rfft(block, n_fft) * response, n_fft)[..., :n])

    return channel_data.with_(samples=_each_block(channel_data, apply, n))


def _ringing(fs: float, half_band: float, order: int) -> int:
    """Samples after which a Butterworth filter has rung down below 1e-4."""
    return int(np.ceil(1.5 * order * fs / half_band)) + 16


def _low_pass(n: int, fs: float, cutoff: float, order: int, step: int) -> tuple[int, NDArray[np.float32]]:
    """Padded length and squared gain of a digital Butterworth low-pass on the bins left after decimation."""
    n_fft = step * scipy.fft.next_fast_len(-(-(n + _ringing(fs, cutoff, order)) // step))
    frequency = scipy.fft.fftfreq(n_fft // step, step / fs)
    # Bilinear transform: tan(pi f / fs) is the analog frequency of the digital f.
    ratio = np.tan(np.pi * np.abs(frequency) / fs * (1 - 1e-9)) / np.tan(np.pi * min(cutoff, 0.4999 * fs) / fs)
    response = 1 / (1 + np.minimum(ratio, 1e6) ** (2 * order))
    return n_fft, (response / step).astype("f4")


def _keep_low(spectrum: NDArray[Any], n_keep: int) -> NDArray[Any]:
    """The ``n_keep`` lowest bins, in FFT order: decimation of what a low-pass left."""
    if n_keep == spectrum.shape[-1]:
        return spectrum
    positive = (n_keep + 1) // 2
    return np.concatenate([spectrum[..., :positive], spectrum[..., positive - n_keep :]], axis=-1)
