"""From any sequence of transmits to the multistatic set (one element fires at a time) and back.

Echoes superpose: a transmit w whose elements e fire at times tau_we with weights a_we records, at each receiver,
y_w(t) = sum_e a_we x_e(t - tau_we), x_e being what it would have recorded had element e alone fired at time zero. Per
frequency that is a matrix, Y = H X with H_we = a_we exp(-2 pi i f tau_we), which `encode` applies and `decode` inverts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads fft when it is first used
from numpy.typing import NDArray

from .._blas import one_blas_thread
from .._checks import pair, scalar
from ..errors import ArgumentError
from .channel_data import ChannelData, require_channel_data
from .transmits import Transmit

_BAND_LEVEL = 1e-6  # of the largest power: -60 dB
_BLOCK = 1 << 22  # complex numbers of a temporary array


def decode(
    channel_data: ChannelData,
    *,
    regularization: float = 0.03,
    sound_speed: float | None = None,
    band: tuple[float, float] | None = None,
) -> ChannelData:
    """Recover what single elements would have sent, from plane, diverging, focused, coded or any other transmits.

    X = (H^H H + lambda^2)^-1 H^H Y per frequency [2]_, which for fewer transmits than elements is the smallest X that
    explains Y. It also evens out the frequencies, for which the adjoint alone [1]_ needs a ramp filter.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q.
    regularization : float
        lambda over the root mean square of H's singular values at each frequency. What the sequence sends more weakly
        than that is left out rather than amplified; noise grows at most by 1 / (2 regularization).
    sound_speed : float, optional [m/s]
        With which the sequence computed its delays. Default ``channel_data.sound_speed``.
    band : (low, high) [Hz], optional
        Frequencies of the RF that are decoded; the others become zero. Default: where the data's spectrum is above
        -60 dB of its maximum.

    Returns
    -------
    ChannelData
        (n_frames, n_elements, n_rx, n_samples) float32 or complex64, one single-element transmit for each element
        that fires in any transmit, in order. It covers every time from which a record has echoes, from time zero on.

    Raises
    ------
    ArgumentError
        Under-sampled RF, records of silence, a band outside the data's, a regularization outside 1e-6 to 10.

    Notes
    -----
    Work: n_frequencies (n^3 + n_tx n_elements n_rx n_frames), n being the smaller of n_tx and n_elements. Memory,
    besides the result: n_frequencies n_tx n_elements complex numbers and small blocks.

    References
    ----------
    .. [1] N. Bottenus, Recovery of the complete data set from focused transmit beams, IEEE Trans. UFFC 65, 30 (2018).
    .. [2] R. Ali et al., Extending retrospective encoding for robust recovery of the multistatic data set, IEEE Trans.
       UFFC 67, 943 (2020), eq. 9.

    Examples
    --------
    >>> import sonoray
    >>> data, _ = sonoray.load_example()
    >>> decode(data).samples.shape[1:3]
    (64, 64)
    """
    _refuse_undersampled(channel_data)
    smallest = scalar("regularization", regularization, 1e-6, 10.0, "(ratio)")
    code = _Code.of(channel_data, channel_data.transmits, sound_speed)
    # Elements fire at zero: there are no echoes before, unless the record says so.
    earliest = min(0.0, float(channel_data.start_time.min()))
    plan = _Plan(channel_data, -code.times.T, _frequency_band(channel_data, band), earliest)
    operator = np.empty((len(plan.bins), *code.times.T.shape), np.complex64)
    step = max(1, _BLOCK // code.times.size // 4)
    for at in range(0, len(plan.bins), step):
        operator[at : at + step] = _inverse(code.matrix(plan.frequency[at : at + step]), smallest)
    return plan.run(operator, [Transmit.single(int(e)) for e in code.elements])


def encode(multistatic: ChannelData, transmits: Transmit | Any, *, sound_speed: float | None = None) -> ChannelData:
    """Synthesise what a sequence of transmits would have recorded, from single-element transmits.

    Parameters
    ----------
    multistatic : ChannelData
        RF or I/Q. Every transmit fires one element, in any order.
    transmits : Transmit or sequence of Transmit
    sound_speed : float, optional [m/s]
        With which the new sequence computes its delays; it becomes that of the result. Default
        ``multistatic.sound_speed``.

    Returns
    -------
    ChannelData
        (n_frames, n_tx, n_rx, n_samples) float32 or complex64. It covers every time at which there are echoes, with one
        start time for all transmits.

    Raises
    ------
    ArgumentError
        A transmit of the multistatic set that fires several elements, elements that fire twice, new transmits that
        fire others, under-sampled RF.
    """
    _refuse_undersampled(multistatic)
    if not isinstance(transmits, Iterable | Transmit):
        raise ArgumentError(f"transmits: expected a sequence of Transmit, got {type(transmits).__name__}")
    sequence = (transmits,) if isinstance(transmits, Transmit) else tuple(transmits)
    if not sequence or not all(isinstance(t, Transmit) for t in sequence):
        raise ArgumentError("transmits: expected a sequence of at least one Transmit")
    c = multistatic.sound_speed if sound_speed is None else sound_speed
    single = _Code.of(multistatic, multistatic.transmits, None)
    fired = single.weights != 0
    if (fired.sum(axis=1) != 1).any() or (fired.sum(axis=0) != 1).any():
        raise ArgumentError("multistatic: expected transmits that fire one element each, every one another; see decode")
    code = _Code.of(multistatic, sequence, c)
    absent = np.setdiff1d(code.elements, single.elements)
    if absent.size:
        raise ArgumentError(
            f"transmits: expected only elements that the multistatic set has fired, got element {absent[0]}"
        )
    # Columns in the order of the set's transmits, as if each had fired at zero with weight one.
    of_row = single.elements[fired.argmax(axis=1)]
    kept = np.isin(of_row, code.elements)
    columns = np.searchsorted(code.elements, of_row[kept])
    times = np.zeros((len(sequence), len(of_row)))
    weights = np.zeros_like(times)
    times[:, kept] = code.times[:, columns]
    weights[:, kept] = code.weights[:, columns]
    rows = fired.argmax(axis=1)
    times -= single.times[np.arange(len(rows)), rows]
    weights /= single.weights[np.arange(len(rows)), rows]
    plan = _Plan(multistatic, times, None, -np.inf)  # elements may fire before zero
    operator = _Code(single.elements, times, weights).matrix(plan.frequency).astype(np.complex64)
    return plan.run(operator, sequence).with_(sound_speed=c)


@dataclass(frozen=True)
class _Code:
    """Which elements fired when, and how strongly: (n_tx, n_elements) [s] and weights, for those that ever fire."""

    elements: NDArray[np.intp]
    times: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, data: ChannelData, transmits: Any, sound_speed: float | None) -> "_Code":
        c = scalar("sound_speed", data.sound_speed if sound_speed is None else sound_speed, 300.0, 12000.0, "m/s")
        times = np.array([t.firing_times(data.probe, c) for t in transmits])
        weights = np.array([t.weights(data.probe) for t in transmits])
        elements = np.flatnonzero(weights.any(axis=0))
        if not weights.any(axis=1).all():
            silent = int(np.flatnonzero(~weights.any(axis=1))[0])
            raise ArgumentError(f"transmits[{silent}]: expected at least one firing element, got none")
        return cls(elements, np.nan_to_num(times[:, elements]), weights[:, elements])

    def matrix(self, frequency: NDArray[np.float64]) -> NDArray[np.complex128]:
        """H, (n_frequencies, n_tx, n_elements)."""
        return np.asarray(self.weights * np.exp(-2j * np.pi * frequency[:, None, None] * self.times))


def _inverse(h: NDArray[np.complex128], regularization: float) -> NDArray[np.complex128]:
    """Tikhonov inverse of each matrix, by the smaller of its two normal equations."""
    adjoint = np.conj(np.swapaxes(h, 1, 2))
    tall = h.shape[1] >= h.shape[2]
    normal = adjoint @ h if tall else h @ adjoint
    n = normal.shape[1]
    mean_square = np.trace(normal, axis1=1, axis2=2).real / n  # of the singular values
    normal += (regularization**2 * mean_square)[:, None, None] * np.eye(n)
    if tall:
        return np.asarray(np.linalg.solve(normal, adjoint))
    return np.asarray(np.conj(np.swapaxes(np.linalg.solve(normal, h), 1, 2)))


class _Plan:
    """Frequencies and times of records that are delayed by ``delay`` (n_out, n_in) [s] and added up.

    What lies before ``earliest`` [s] is left out.
    """

    def __init__(
        self, data: ChannelData, delay: NDArray[np.float64], band: tuple[float, float] | None, earliest: float
    ) -> None:
        self.data = data
        fs, n = data.sampling_frequency, data.n_samples
        first = float((data.start_time + delay).min())
        last = float((data.start_time + delay).max()) + (n - 1) / fs
        self.start = max(first, earliest)
        self.n_out = int(np.ceil((last - self.start) * fs - 1e-6)) + 1
        span = (last - min(first, self.start) + float(np.ptp(delay))) * fs  # no echo comes round to the other end
        self.n_fft = int(scipy.fft.next_fast_len(int(span) + 2, real=not data.is_iq))
        if data.is_iq:
            offset = scipy.fft.fftfreq(self.n_fft, 1 / fs)
            kept = np.ones(self.n_fft, bool)
        else:
            offset = scipy.fft.rfftfreq(self.n_fft, 1 / fs)
            kept = offset < (0.5 - 1e-9) * fs
        if band is not None:
            kept &= (offset + data.demodulation_frequency >= band[0]) & (
                offset + data.demodulation_frequency <= band[1]
            )
        self.bins = np.flatnonzero(kept)
        self.offset = offset[self.bins]
        self.frequency = self.offset + data.demodulation_frequency

    def run(self, operator: NDArray[np.complex64], transmits: Any) -> ChannelData:
        """Apply ``operator`` (n_bins, n_out, n_in) to the spectra, with times counted from each transmit's zero."""
        data = self.data
        shift = data.start_time - self.start
        operator *= np.exp(-2j * np.pi * self.offset[:, None, None] * shift).astype(np.complex64)
        out = np.empty(
            (data.n_frames, operator.shape[1], data.n_rx, self.n_out), np.complex64 if data.is_iq else np.float32
        )
        block = max(1, _BLOCK // (self.n_fft * max(operator.shape[1:])))
        with one_blas_thread():
            for frame in range(data.n_frames):
                for at in range(0, data.n_rx, block):
                    part = data.samples[frame, :, at : at + block]
                    out[frame, :, at : at + block] = self._block(operator, part)
        return data.with_(samples=out, transmits=tuple(transmits), start_time=self.start)

    def _block(self, operator: NDArray[np.complex64], part: NDArray[Any]) -> NDArray[Any]:
        """(n_in, n_rx, n_samples) -> (n_out, n_rx, n_out samples)."""
        iq = self.data.is_iq
        part = part if iq else part.astype(np.float32, copy=False)
        forward = scipy.fft.fft if iq else scipy.fft.rfft
        spectrum = forward(part, self.n_fft, axis=-1)[..., self.bins]
        product = operator @ np.ascontiguousarray(np.moveaxis(spectrum, -1, 0))
        full = np.zeros((*product.shape[1:], self.n_fft if iq else self.n_fft // 2 + 1), np.complex64)
        full[..., self.bins] = np.moveaxis(product, 0, -1)
        inverse = scipy.fft.ifft if iq else scipy.fft.irfft
        return np.asarray(inverse(full, self.n_fft, axis=-1)[..., : self.n_out])


def _refuse_undersampled(data: ChannelData) -> None:
    require_channel_data(data)
    center = data.center_frequency or data.probe.center_frequency
    if not data.is_iq and data.sampling_frequency < 2 * center:
        raise ArgumentError(
            f"channel_data: expected RF sampled above twice the centre frequency {center:g} Hz, got "
            f"{data.sampling_frequency:g} Hz (band-pass under-sampled); demodulate it first"
        )


def _frequency_band(data: ChannelData, given: tuple[float, float] | None) -> tuple[float, float]:
    """Frequencies [Hz] of the RF in which there is signal."""
    fs, f = data.sampling_frequency, data.demodulation_frequency
    bottom, top = (f - fs / 2, f + fs / 2) if data.is_iq else (0.0, fs / 2)
    if given is not None:
        low, high = (scalar("band", v, 0.0, 1e8, "Hz") for v in pair("band", given))
        if not bottom <= low < high <= top:
            raise ArgumentError(f"band: expected rising frequencies within {bottom:g} to {top:g} Hz, got {given}")
        return low, high
    power: Any = 0.0
    for tx in range(data.n_tx):
        block = data.samples[0, tx]
        spectrum = scipy.fft.fft(block if data.is_iq else block.astype("f4"), axis=-1)
        power = power + np.sum(np.abs(spectrum) ** 2, axis=0)
    if not power.any():
        raise ArgumentError("channel_data: expected echoes, got silence (all samples of the first frame are zero)")
    frequency = f + scipy.fft.fftfreq(data.n_samples, 1 / fs)
    kept = frequency[(power > _BAND_LEVEL * power.max()) & (frequency >= 0 if not data.is_iq else True)]
    half = fs / data.n_samples  # a bin to either side
    return max(bottom, float(kept.min()) - half), min(top, float(kept.max()) + half)
