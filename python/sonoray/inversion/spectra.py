"""Recordings at chosen frequencies: windowed around the arrival, transformed, deconvolved."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze, scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.signals import band_pass
from ..errors import ArgumentError
from .pairs import checked_pairs
from .picking import picking_input

_GROUP = 4096  # traces of neighbouring transmits that are sorted by arrival, so that a block's windows are alike
_BLOCK = 1 << 18  # samples per matrix product, which stay in the second-level cache
_MATRIX = 1 << 24  # largest number of cosines and sines held at a time
_SILENT = 6.0  # standard deviations beyond which a window counts as closed: 1.5e-8
_PROBES = 8  # samples that tell a live trace from a constant one


@dataclass(frozen=True)
class ArrivalWindow:
    """Weight of a trace over time, 1 from just before the wave through water could arrive.

    exp(-u^2 / 2) with u = (tau - t) / `pre` before tau = distance / (sound speed + `offset`) and, where `post` is
    given, u = (t - tau - `hold`) / `post` after tau + `hold`; 1 between. The defaults are those of [1]_ and [2]_, which
    close nothing after the arrival.

    Parameters
    ----------
    offset : float [m/s]
        By how much the fastest straight ray is faster than water.
    pre : float, optional [s]
        Standard deviation before; default 5 % of the longest tau.
    hold : float [s]
        How long the window stays open before `post` counts.
    post : float, optional [s]
        Standard deviation after; default: it stays open.

    References
    ----------
    .. [1] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    .. [2] R. Ali et al., 2-D slicewise waveform inversion of sound speed and acoustic attenuation for ring array
       ultrasound tomography based on a block LU solver, IEEE Trans. Med. Imaging 43, 2988 (2024).
    """

    offset: float = 60.0
    pre: float | None = None
    hold: float = 0.0
    post: float | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "offset", scalar("offset", self.offset, -500.0, 1000.0, "m/s"))
        set_(self, "hold", scalar("hold", self.hold, 0.0, 1e-2, "s"))
        for name in ("pre", "post"):
            value = getattr(self, name)
            set_(self, name, None if value is None else scalar(name, value, 1e-9, 1e-2, "s"))

    def arrival(self, distance: Any, sound_speed: float) -> NDArray[np.float64]:
        """Tau at distances [m], same shape [s]."""
        return np.asarray(np.asarray(distance, np.float64) / (sound_speed + self.offset))

    def width(self, longest: float) -> float:
        """Standard deviation before the arrival [s], where the longest tau is this [s]."""
        return max(0.05 * longest, 1e-9) if self.pre is None else self.pre

    def __call__(self, times: Any, arrival: Any, longest: float) -> NDArray[np.float32]:
        """Weights (n, n_times) at times (n_times,) [s] for arrivals tau (n,) [s], of which `longest` is the longest."""
        t, tau = np.asarray(times, np.float64), np.asarray(arrival, np.float64)[:, None]
        sigma = self.width(longest)
        near = tau.min(initial=np.inf)  # from here on single precision does
        tau, t = tau - near, t - near
        u = (tau / sigma).astype(np.float32) - (t / sigma).astype(np.float32)
        np.maximum(u, 0, out=u)
        if self.post is not None:
            late = (t / self.post).astype(np.float32) - ((tau + self.hold) / self.post).astype(np.float32)
            np.maximum(u, late, out=u)
        np.multiply(u, u, out=u)
        u *= np.float32(-0.5)
        return np.asarray(np.exp(u, out=u))

    def extent(self, arrival: NDArray[np.float64], longest: float) -> tuple[float, float]:
        """When the first of the windows opens and the last one closes [s]."""
        close = np.inf if self.post is None else float(arrival.max()) + self.hold + _SILENT * self.post
        return float(arrival.min()) - _SILENT * self.width(longest), close


@dataclass(frozen=True, eq=False, repr=False)
class Spectra:
    """Pressure at chosen frequencies of every emitter and receiver; time factor exp(-i omega t).

    A delay T multiplies by exp(+i omega T).

    Parameters
    ----------
    frequencies : (n_f,) float64 [Hz]
    values : (n_f, n_tx, n_rx) complex64
        Unit of the samples times seconds; over that of the pulse times seconds where it was deconvolved. 0 outside
        `pairs`.
    pairs : (n_tx, n_rx) bool
        Which hold data and are wanted.
    weights : (n_f, n_tx, n_rx) float32, optional
        How much each datum counts, 0 for an outlier; None: all alike.
    noise : (n_f,) float64, optional
        Standard deviation of the noise in a datum, in the unit of the values; None: unknown.

    Raises
    ------
    ArgumentError
        Shapes that do not agree, NaN, negative weights, frequencies not in Hz.
    """

    frequencies: NDArray[np.float64]
    values: NDArray[np.complex64]
    pairs: NDArray[np.bool_]
    weights: NDArray[np.float32] | None = None
    noise: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "frequencies", freeze(_frequencies(self.frequencies)))
        values = array("values", self.values, (len(self.frequencies), None, None), np.complex64)
        set_(self, "values", freeze(values))
        set_(self, "pairs", freeze(checked_pairs(self.pairs, values.shape[1:])))
        if self.weights is not None:
            weights = array("weights", self.weights, values.shape, np.float32)
            if weights.size and weights.min() < 0:
                raise ArgumentError(f"weights: expected none below 0, got {weights.min():g}")
            set_(self, "weights", freeze(weights))
        if self.noise is not None:
            noise = array("noise", self.noise, (len(self.frequencies),), low=0.0, high=np.inf)
            set_(self, "noise", freeze(noise))

    def __repr__(self) -> str:
        n_f, n_tx, n_rx = self.values.shape
        f = self.frequencies
        return f"Spectra({n_f} at {f.min():.4g} to {f.max():.4g} Hz, {self.pairs.sum()} of {n_tx} x {n_rx} pairs)"

    @property
    def n_frequencies(self) -> int:
        """Number of frequencies."""
        return len(self.frequencies)

    @property
    def level(self) -> NDArray[np.float64]:
        """Median magnitude over the pairs, of which there must be one, at every frequency; (n_f,) float64."""
        return np.array([np.median(np.abs(v[self.pairs])) for v in self.values], np.float64)

    def weight(self, index: int) -> NDArray[np.float32]:
        """What every datum of one frequency counts, 0 outside the pairs; (n_tx, n_rx) float32."""
        pairs = self.pairs.astype(np.float32)
        return pairs if self.weights is None else np.asarray(pairs * self.weights[index])

    def select(self, frequencies: Any) -> "Spectra":
        """Return the part with these frequencies (indices or a slice); slices are views."""
        try:
            chosen = np.atleast_1d(np.arange(self.n_frequencies)[frequencies])
        except IndexError:
            chosen = np.empty(0, np.intp)
        if not chosen.size:
            raise ArgumentError(f"frequencies: expected indices below {self.n_frequencies}, got {frequencies!r}")
        kept = frequencies if isinstance(frequencies, slice) else chosen
        weights = None if self.weights is None else self.weights[kept]
        noise = None if self.noise is None else self.noise[kept]
        return Spectra(self.frequencies[kept], self.values[kept], self.pairs, weights, noise)

    def with_(self, **changes: Any) -> "Spectra":
        """Return a copy with some fields replaced, checked again."""
        return replace(self, **changes)


def spectra(
    channel_data: ChannelData,
    frequencies: Any,
    *,
    window: ArrivalWindow | None = ArrivalWindow(),
    sound_speed: float | None = None,
    onset: float = 0.0,
    pulse: Any = None,
    pulse_start: float = 0.0,
    regularization: float = 1e-2,
    band: tuple[float, float] | None = None,
    pairs: Any = None,
    frame: int = 0,
) -> Spectra:
    """Transform recordings of single-element transmits at chosen frequencies.

    p(omega) = dt sum_k w(t_k) p(t_k) exp(+i omega t_k), with each transmit's own start time, as a real matrix product
    over blocks of traces; the frequencies need not be those of an FFT. Of the samples only a block is ever copied.

    Parameters
    ----------
    channel_data : ChannelData
        RF; any strides.
    frequencies : (n_f,) float64 [Hz]
        Below the Nyquist frequency.
    window : ArrivalWindow or None
    sound_speed : float, optional [m/s]
        Of water, for the window; default that of the data.
    onset : float [s]
        When the pulse starts to leave the emitter; the window comes that much later.
    pulse : (n,) or (n_tx, n) float64, optional
        What the emitters send (one for all or one each), sampled like the data: D = p s* / (|s|^2 + (lambda max
        |s|)^2), the largest magnitude being that over all frequencies. Default: nothing is deconvolved.
    pulse_start : float [s]
        Time of the pulse's first sample.
    regularization : float
        lambda.
    band : (low, high), optional [Hz]
        `band_pass` before the window, so that what lies outside does not leak through it.
    pairs : (n_tx, n_rx) bool, optional
        Which are wanted; default all.
    frame : int

    Returns
    -------
    Spectra
        Without pairs of an element with itself, constant traces, and pairs whose arrival the record does not hold.

    Raises
    ------
    ArgumentError
        I/Q data, transmits of several elements, no pair left, frequencies beyond Nyquist, wrong shapes and units.
    """
    samples, wanted, distance = picking_input(channel_data, pairs, frame)
    f = _frequencies(frequencies)
    nyquist = channel_data.sampling_frequency / 2
    if f.max() > nyquist:
        raise ArgumentError(f"frequencies: expected at most the Nyquist frequency {nyquist:g} Hz, got {f.max():g}")
    if window is not None and not isinstance(window, ArrivalWindow):
        raise ArgumentError(f"window: expected an ArrivalWindow or None, got {type(window).__name__}")
    c = channel_data.sound_speed if sound_speed is None else sound_speed
    c = scalar("sound_speed", c, 300.0, 12000.0, "m/s")
    begin = scalar("onset", onset, -1e-2, 1e-1, "s")
    dt = 1 / channel_data.sampling_frequency
    ends = channel_data.start_time + (channel_data.n_samples - 1) * dt
    wanted = wanted & (distance / c + begin < ends[:, None])
    if not wanted.any():
        raise ArgumentError("pairs: expected at least one whose arrival lies in the record, got none")
    level = scalar("regularization", regularization, 0.0, 10.0, "(ratio)")
    lag = scalar("pulse_start", pulse_start, -1e-2, 1e-1, "s")
    factor = _factor(channel_data, f, pulse, lag, level).astype(np.complex64)
    job = _Transform(channel_data.start_time, dt, f, window, 0.0, distance, np.zeros((0, 0)))
    if window is not None:
        arrival = begin + window.arrival(distance, c)
        # The longest of all pairs, so that a pair's window does not depend on which others are wanted.
        job = replace(job, arrival=arrival, longest=float(window.arrival(distance, c).max()))
    values = np.zeros((len(f), *distance.shape), np.complex64)
    alive = np.zeros(distance.shape, bool)
    for rows in _groups(*distance.shape):
        alive[rows] = wanted[rows] & ~_constant(samples[rows])
    for part, matrix in job.matrices(channel_data.n_samples):
        for rows in _groups(*distance.shape):
            if not alive[rows].any():
                continue
            group = samples[rows]
            if band is not None:
                one = channel_data.select(frames=slice(frame, frame + 1), transmits=rows)
                group = band_pass(one, *_band(band)).samples[0]
            sums = job.sums(group, alive[rows], rows, matrix)
            np.multiply(sums, factor[part, rows, None], out=values[part, rows])
    return Spectra(f, values, alive)


def pulse_spectrum(pulse: Any, sampling_frequency: float, frequencies: Any, *, start_time: float = 0.0) -> NDArray[Any]:
    """Spectrum of emitted pulses, dt sum_k s(t_k) exp(+i omega t_k).

    Parameters
    ----------
    pulse : (..., n) float64
    sampling_frequency : float [Hz]
    frequencies : (n_f,) float64 [Hz]
    start_time : float [s]
        Of the first sample.

    Returns
    -------
    (n_f, ...) complex128
    """
    fs = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    s = np.asarray(pulse)
    s = array("pulse", s, (None,) * max(s.ndim, 1))
    t = scalar("start_time", start_time, -1e-2, 1e-1, "s") + np.arange(s.shape[-1]) / fs
    return np.asarray(np.moveaxis(s @ np.exp(2j * np.pi * t[:, None] * _frequencies(frequencies)), -1, 0) / fs)


def inverse_filter(spectrum: Any, regularization: float, largest: Any) -> NDArray[np.complex128]:
    """Regularised inverse s* / (|s|^2 + (lambda max |s|)^2); 0 where there is nothing to divide by.

    Parameters
    ----------
    spectrum : (...) complex128
    regularization : float
        lambda.
    largest : float or (...) float64
        Largest magnitude of the spectrum.
    """
    level = scalar("regularization", regularization, 0.0, 10.0, "(ratio)")
    s = np.asarray(spectrum, np.complex128)
    power = np.abs(s) ** 2 + (level * np.asarray(largest)) ** 2
    return np.asarray(np.divide(np.conj(s), power, out=np.zeros_like(s), where=power > 0))


def usable_band(found: Spectra, dynamic_range: float = 20.0) -> NDArray[np.bool_]:
    """Frequencies at which the recordings have energy: within a dynamic range of the strongest.

    Parameters
    ----------
    found : Spectra
        Not deconvolved or calibrated, which levels them.
    dynamic_range : float [dB]

    Returns
    -------
    (n_f,) bool
        Compared are medians of the magnitude over all pairs.
    """
    span = scalar("dynamic_range", dynamic_range, 1.0, 200.0, "dB")
    if not found.pairs.any():
        raise ArgumentError("found: expected at least one pair, got none")
    level = found.level
    return np.asarray((level > 0) & (level >= level.max() * 10 ** (-span / 20)))


@dataclass(frozen=True)
class _Transform:
    """The windowed transform of groups of transmits, without time zero and pulse."""

    start: NDArray[np.float64]
    dt: float
    frequencies: NDArray[np.float64]
    window: ArrivalWindow | None
    longest: float
    distance: NDArray[np.float64]
    arrival: NDArray[np.float64]

    def sums(
        self, samples: NDArray[Any], use: NDArray[np.bool_], rows: slice, matrix: NDArray[np.float32]
    ) -> NDArray[np.complex64]:
        """Sums (n_f, n, n_rx), 0 where not `use` (n, n_rx), of samples (n, n_rx, n_samples) of transmits `rows`."""
        n, half = samples.shape[-1], len(matrix) // 2
        tx, rx = np.nonzero(use)
        if self.window is not None:
            arrival = (self.arrival[rows] - self.start[rows, None])[tx, rx]  # after the first sample
            order = np.argsort(arrival, kind="stable")
            tx, rx, arrival = tx[order], rx[order], arrival[order]
        both = np.zeros((2 * half, len(tx) + 1), np.float32)  # the last column is that of pairs without data
        step = max(16, _BLOCK // n)
        for k in range(0, len(tx), step):
            some = slice(k, min(k + step, len(tx)))
            first, last = (0, n) if self.window is None else self._extent(arrival[some], n)
            block = samples[tx[some], rx[some], first:last].astype(np.float32, copy=False)
            if self.window is not None:
                self._apply(block, arrival[some], first)
            both[:, some] = matrix[:, first:last] @ block.T
        column = np.full(use.shape, len(tx))
        column[tx, rx] = np.arange(len(tx))
        result = np.empty((half, *use.shape), np.complex64)
        result.real, result.imag = (p.take(column, axis=1, mode="clip") for p in np.split(both, 2))
        return result

    def _extent(self, arrival: NDArray[np.float64], n: int) -> tuple[int, int]:
        """Samples between which a window of the block is open; at least one."""
        assert self.window is not None
        opens, closes = self.window.extent(arrival, self.longest)
        first = int(np.clip(np.floor(opens / self.dt), 0, n - 1))
        return first, int(np.clip(np.ceil(min(closes / self.dt, n)) + 1, first + 1, n))

    def _apply(self, block: NDArray[np.float32], arrival: NDArray[np.float64], first: int) -> None:
        """Multiply by the window, in place; where it stays open there is nothing to do after the last arrival."""
        assert self.window is not None
        n = block.shape[1]
        if self.window.post is None:
            n = int(np.clip(np.ceil(arrival.max() / self.dt) + 1 - first, 0, n))
        times = (first + np.arange(n)) * self.dt
        block[:, :n] *= self.window(times, arrival, self.longest)

    def matrices(self, n: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Frequencies and their cosines above their sines, (2 n_f, n_samples), as many as may be held at a time."""
        step = max(1, _MATRIX // (2 * n))
        for k in range(0, len(self.frequencies), step):
            part = slice(k, min(k + step, len(self.frequencies)))
            turns = np.outer(self.frequencies[part] * self.dt, np.arange(n))
            angle = 2 * np.pi * (turns - np.rint(turns))
            yield part, np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32)


def _factor(
    channel_data: ChannelData, frequencies: NDArray[np.float64], pulse: Any, pulse_start: float, regularization: float
) -> NDArray[np.complex128]:
    """What the sums of each transmit are multiplied with, (n_f, n_tx): dt, time zero, the pulse's inverse."""
    fs = channel_data.sampling_frequency
    factor = np.exp(2j * np.pi * frequencies[:, None] * channel_data.start_time) / fs
    if pulse is None:
        return np.asarray(factor)
    s = np.asarray(pulse)
    s = array("pulse", s, (channel_data.n_tx, None) if s.ndim == 2 else (None,))
    if not s.size or not np.abs(s).max(axis=-1).all():
        raise ArgumentError("pulse: expected values that are not all zero")
    at = pulse_spectrum(s, fs, frequencies, start_time=pulse_start).reshape(len(frequencies), -1)
    # Over all frequencies, so that a result does not depend on which others are asked for.
    largest = np.abs(np.fft.rfft(s, max(2 * s.shape[-1], 1024))).max(axis=-1) / fs
    return np.asarray(factor * inverse_filter(at, regularization, largest))


def _groups(n_tx: int, n_rx: int) -> Iterator[slice]:
    step = max(1, _GROUP // n_rx)
    for k in range(0, n_tx, step):
        yield slice(k, min(k + step, n_tx))


def _constant(samples: NDArray[Any]) -> NDArray[np.bool_]:
    """Traces of (n, n_rx, n_samples) that never change: silent, dead, zero-filled."""
    at = np.linspace(0, samples.shape[-1] - 1, _PROBES).astype(np.intp)
    probes = samples[..., at]
    suspect = (probes == probes[..., :1]).all(axis=-1)
    tx, rx = np.nonzero(suspect)
    for e, r in zip(tx, rx, strict=True):
        suspect[e, r] = (samples[e, r] == samples[e, r, 0]).all()
    return np.asarray(suspect)


def _band(band: Any) -> tuple[float, float]:
    edges = array("band", band, (2,), low=1.0, high=1e8, unit="Hz")
    return float(edges[0]), float(edges[1])


def _frequencies(values: Any) -> NDArray[np.float64]:
    f = array("frequencies", np.atleast_1d(np.asarray(values)), (None,), low=1e3, high=1e9, unit="Hz")
    if not f.size:
        raise ArgumentError("frequencies: expected at least one, got none")
    return f
