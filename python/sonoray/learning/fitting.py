"""Channel data made to fit a network: resampled, mixed to another frequency, shifted and cut, if the caller agrees."""

import numpy as np
import scipy

from ..acquisition import signals
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .models import ModelSpec

_SHIFT = 0.01  # samples; below it a shift is left alone


def fit_channel_data(channel_data: ChannelData, spec: ModelSpec, resample: bool = False) -> ChannelData:
    """Return channel data that a model takes: the same object if it fits, else refused or resampled.

    Parameters
    ----------
    channel_data : ChannelData
    spec : ModelSpec
    resample : bool
        Whether sampling and demodulation frequency may be changed, and records shifted to the model's start time and
        cut to, or continued with zeros up to, its number of samples. Elements, pitch and transmits are never changed.

    Raises
    ------
    ArgumentError
        The data does not fit, says where; or it cannot be resampled.
    """
    differences = spec.check(channel_data)
    if not differences:
        return channel_data
    fixed = [d for d in differences if not d.curable]
    if fixed or not resample:
        hint = "" if fixed else " (resample=True converts it)"
        listed = "; ".join(str(d) for d in fixed or differences)
        raise ArgumentError(f"channel_data: expected data for model {spec.name!r}: {listed}{hint}")
    names = {d.what for d in differences}
    result = channel_data
    if names & {"demodulation_frequency", "sampling_frequency"}:
        result = _converted(result, spec)
    if spec.start_time is not None or spec.n_samples is not None:
        result = _cut(result, spec)
    return result


def _converted(channel_data: ChannelData, spec: ModelSpec) -> ChannelData:
    """Change the frequencies."""
    f_old, fs_old = channel_data.demodulation_frequency, channel_data.sampling_frequency
    f = f_old if spec.demodulation_frequency is None else spec.demodulation_frequency
    fs = fs_old if spec.sampling_frequency is None else spec.sampling_frequency
    if abs(f - f_old) > 1e-9 * f or (not f and f_old):
        rf = signals.remodulate(channel_data, None if f else fs) if f_old else channel_data
        if not f:
            return rf
        channel_data = signals.demodulate(rf, f)
    if abs(channel_data.sampling_frequency - fs) > 1e-9 * fs:
        channel_data = signals.resample(channel_data, fs)
    return channel_data


def _cut(channel_data: ChannelData, spec: ModelSpec) -> ChannelData:
    """Let every transmit start at the model's time and have its number of samples; zero where nothing was recorded."""
    fs, n_in = channel_data.sampling_frequency, channel_data.n_samples
    start = channel_data.start_time if spec.start_time is None else np.full(channel_data.n_tx, spec.start_time)
    n = n_in if spec.n_samples is None else spec.n_samples
    samples = np.zeros((*channel_data.samples.shape[:3], n), channel_data.samples.dtype)
    for tx, late in enumerate((start - channel_data.start_time) * fs):
        whole = round(late)
        rest = late - whole
        traces = channel_data.samples[:, tx]
        if abs(rest) > _SHIFT:
            if samples.dtype.kind == "i":
                samples = samples.astype(np.float32)
            traces = _advanced(traces, rest)
        first, last = max(whole, 0), min(whole + n, n_in)
        if last > first:
            samples[:, tx, :, first - whole : last - whole] = traces[..., first:last]
    return channel_data.with_(samples=samples, start_time=start)


def _advanced(traces: np.ndarray, samples: float) -> np.ndarray:
    """Traces ``samples`` (a fraction) later: x(t + samples / fs), by the phase of the spectrum of padded traces."""
    n = traces.shape[-1]
    n_fft = scipy.fft.next_fast_len(n + 64)
    if traces.dtype.kind == "c":
        phase = np.exp(2j * np.pi * scipy.fft.fftfreq(n_fft) * samples).astype("c8")
        return scipy.fft.ifft(scipy.fft.fft(traces, n_fft) * phase)[..., :n]
    phase = np.exp(2j * np.pi * scipy.fft.rfftfreq(n_fft) * samples).astype("c8")
    return scipy.fft.irfft(scipy.fft.rfft(traces.astype("f4"), n_fft) * phase, n_fft)[..., :n]
