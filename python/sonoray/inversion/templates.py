"""The wave that arrives as a function of distance, averaged over many traces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .picking import picking_input, pulse_onset
from .picks import Picks

OVERSAMPLING = 16  # templates are interpolated linearly: within 1e-3 of a wave with five samples per period
_NODES = 8  # distances at which templates differ
_MOST = 4096  # traces that are averaged
_GUARD = 12  # tapered samples at either end of a template, before it is oversampled
_BLOCK = 1024  # traces that are transformed at a time


@dataclass(frozen=True, eq=False)
class Templates:
    """Waves in reduced time, t - the time to which each trace was aligned, oversampled.

    Parameters
    ----------
    samples : (n_templates, n) float32
        At `OVERSAMPLING` times the recording's frequency.
    begin : float [s]
        Reduced time of the first sample.
    onset : float [s]
        Reduced time at which the wave starts, picked by the AIC in the mean of all traces.
    period : float [s]
        Of the centre of its power spectrum.
    distances : (n_templates,) float64 [m]
        At which they hold.
    """

    samples: NDArray[np.float32]
    begin: float
    onset: float
    period: float
    distances: NDArray[np.float64]

    def nearest(self, distance: Any) -> NDArray[np.int32]:
        """Number of the template for each distance [m], same shape."""
        middle = 0.5 * (self.distances[1:] + self.distances[:-1])
        return np.asarray(np.searchsorted(middle, np.asarray(distance)), np.int32)


def water_templates(
    water: ChannelData,
    sound_speed: Any,
    nearest: float,
    furthest: float,
    *,
    length: float,
    onset: float = 0.0,
    frame: int = 0,
) -> Templates:
    """Average the traces of water shots over pairs of like distance.

    Each trace is shifted to reduced time and scaled with the square root of its distance (the decay of a line source;
    elsewhere it only weights the average). Around each of a few distances, traces then count with Gaussian weights,
    so that noise falls while a slow change of the wave with distance remains.

    Parameters
    ----------
    water : ChannelData
        Transmits of single elements; one suffices.
    sound_speed : float or (n_tx,) [m/s]
        While it was recorded.
    nearest, furthest : float [m]
        Distances that matter. Without a pair among them, those closest to them count.
    length : float [s]
        Of the wave; the templates reach from one length before the onset to two after it.
    onset : float [s]
        When the pulse starts to leave the emitter, roughly.
    frame : int

    Returns
    -------
    Templates

    Raises
    ------
    ArgumentError
        Only silent traces; a wave that arrives at another time than expected.
    """
    samples, wanted, distance = picking_input(water, None, frame)
    gap = np.where(wanted, np.maximum(np.maximum(nearest - distance, distance - furthest), 0.0), np.inf)
    if not np.isfinite(gap).any():
        raise ArgumentError("water: expected at least one pair of different elements")
    traces, tx, rx = _traces("water", samples, gap <= gap.min() + 1e-6)
    apart = distance[tx, rx]
    delay = apart / np.broadcast_to(sound_speed, (water.n_tx,))[tx] - water.start_time[tx]
    return _templates("water", traces, apart, delay, onset - length, length, water.sampling_frequency)


def own_templates(channel_data: ChannelData, picks: Picks, *, length: float, frame: int = 0) -> Templates:
    """Average the traces of the object itself, aligned to their picks: for recordings without a water shot.

    Parameters
    ----------
    channel_data : ChannelData
    picks : Picks
        Times of traces that are averaged; reduced time zero is there.
    length : float [s]
        Of the wave; the templates reach from one length before the picks to two after them.
    frame : int

    Returns
    -------
    Templates

    Raises
    ------
    ArgumentError
        Nothing picked.
    """
    samples, wanted, distance = picking_input(channel_data, None, frame)
    if not (picks.picked & wanted).any():
        raise ArgumentError(f"channel_data: expected some first arrivals to make templates from, got {picks}")
    traces, tx, rx = _traces("channel_data", samples, picks.picked & wanted)
    traces /= np.sqrt((traces**2).mean(axis=1, keepdims=True))  # amplitudes behind an object say little
    delay = picks.time[tx, rx] - channel_data.start_time[tx]
    fs = channel_data.sampling_frequency
    return _templates("channel_data", traces, distance[tx, rx], delay, -length, length, fs)


def _templates(
    name: str,
    traces: NDArray[Any],
    distance: NDArray[Any],
    delay: NDArray[Any],
    begin: float,
    length: float,
    fs: float,
) -> Templates:
    nodes = np.linspace(distance.min(), distance.max(), _NODES if np.ptp(distance) > 1e-3 else 1)
    width = max(float(np.ptp(nodes)) / 4, 1e-3)
    share = np.exp(-0.5 * ((nodes[:, None] - distance) / width) ** 2)
    share /= share.sum(axis=1, keepdims=True)
    waves = _average(traces, delay + begin, share * np.sqrt(distance), fs)
    n = int(np.ceil(3 * length * fs))
    mean = waves.mean(axis=0)
    peak = int(np.abs(mean).argmax())
    if peak >= n:
        late = (peak if peak < len(mean) // 2 else peak - len(mean)) / fs + begin
        raise ArgumentError(
            f"{name}: expected the wave within {length:g} s of distance / sound speed + onset, got its peak "
            f"{late:.3g} s after distance / sound speed; are sound_speed and onset right?"
        )
    wave = mean[:n]
    power = np.abs(scipy.fft.rfft(wave - wave.mean(), 8 * n)) ** 2
    center = float((scipy.fft.rfftfreq(8 * n, 1 / fs) * power).sum() / power.sum())
    starts = pulse_onset(wave, fs, start_time=begin, pulse_duration=length)
    return Templates(_oversampled(waves, n), begin - _GUARD / fs, starts, 1 / center, nodes)


def _traces(
    name: str, samples: NDArray[Any], use: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Live traces (n, n_samples) among the pairs in use, at most `_MOST`, and their transmits and receivers."""
    tx, rx = np.nonzero(use)
    if len(tx) > _MOST:
        chosen = np.linspace(0, len(tx) - 1, _MOST).astype(np.intp)
        tx, rx = tx[chosen], rx[chosen]
    traces = samples[tx, rx].astype(np.float32)
    alive = np.ptp(traces, axis=1) > 0
    if not alive.any():
        raise ArgumentError(f"{name}: expected signals, got constant traces only")
    return traces[alive], tx[alive], rx[alive]


def _average(traces: NDArray[Any], delay: NDArray[Any], weights: NDArray[Any], fs: float) -> NDArray[np.float64]:
    """Weighted sums (n_templates, size) of traces, each advanced by its delay [s]; `_GUARD` samples too little."""
    size = int(scipy.fft.next_fast_len(2 * traces.shape[1], real=True))
    frequency = scipy.fft.rfftfreq(size, 1 / fs)
    total = np.zeros((len(weights), len(frequency)), np.complex128)
    for k in range(0, len(traces), _BLOCK):
        u = traces[k : k + _BLOCK] - traces[k : k + _BLOCK].mean(axis=1, keepdims=True, dtype=np.float64)
        spectra = scipy.fft.rfft(u, size, workers=-1)
        spectra *= np.exp(2j * np.pi * frequency * delay[k : k + _BLOCK, None])
        total += weights[:, k : k + _BLOCK] @ spectra
    return np.asarray(scipy.fft.irfft(total, size))


def _oversampled(waves: NDArray[np.float64], n: int) -> NDArray[np.float32]:
    """The first n samples and a tapered guard on either side, oversampled; sums of `_average` are circular."""
    around = np.arange(-_GUARD, n + _GUARD) % waves.shape[1]
    piece = waves[:, around]
    ramp = np.sin(0.5 * np.pi * (np.arange(_GUARD) + 0.5) / _GUARD) ** 2
    piece[:, :_GUARD] *= ramp
    piece[:, -_GUARD:] *= ramp[::-1]
    size = int(scipy.fft.next_fast_len(piece.shape[1] + _GUARD, real=True))
    fine = scipy.fft.irfft(scipy.fft.rfft(piece, size), size * OVERSAMPLING) * OVERSAMPLING
    return np.ascontiguousarray(fine[:, : piece.shape[1] * OVERSAMPLING], np.float32)
