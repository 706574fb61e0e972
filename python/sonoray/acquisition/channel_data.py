"""Channel data: the samples, and everything needed to interpret them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import array, finite, freeze, scalar
from ..errors import ArgumentError
from .probes import Probe
from .transmits import Transmit

SAMPLE_TYPES = (np.dtype("int16"), np.dtype("float32"), np.dtype("complex64"))


@dataclass(frozen=True, eq=False, repr=False)
class ChannelData:
    """Samples of every frame, transmit and receiving element, with their timing and geometry.

    Parameters
    ----------
    samples : (n_frames, n_tx, n_rx, n_samples) int16, float32 or complex64
        RF (real) or I/Q (complex). Any strides; nothing is copied. float64 and complex128 are cast.
    probe : Probe
        Its elements are the receive channels, in order.
    transmits : sequence of Transmit, n_tx long
    sampling_frequency : float [Hz]
    demodulation_frequency : float [Hz]
        0 for RF; for I/Q the frequency that was mixed down: iq(t) = a(t) exp(-2 pi i f t).
    center_frequency : float [Hz], optional
        Of the pulse; 0 when unknown.
    start_time : float or (n_tx,) [s]
        Time of the first sample, counted from each transmit's time zero (see `Transmit`). A pulse whose peak
        comes later than its start shifts the echoes; put that lag in here, negative.
    sound_speed : float [m/s]
        Assumed by the sequence that computed the delays.
    frame_rate : float [Hz]
        Repetition rate of frames; 0 when unknown.

    Raises
    ------
    ArgumentError
        Wrong shape or dtype, NaN, I/Q without demodulation frequency or RF with one, Hz against MHz.
    """

    samples: NDArray[Any]
    probe: Probe
    transmits: tuple[Transmit, ...]
    sampling_frequency: float
    demodulation_frequency: float = 0.0
    center_frequency: float = 0.0
    start_time: Any = 0.0  # always (n_tx,) float64 afterwards
    sound_speed: float = 1540.0
    frame_rate: float = 0.0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if not isinstance(self.probe, Probe):
            raise ArgumentError(f"probe: expected a Probe, got {type(self.probe).__name__}")
        given = self.transmits
        transmits = (given,) if isinstance(given, Transmit) else tuple(given) if isinstance(given, Iterable) else ()
        if not transmits or not all(isinstance(t, Transmit) for t in transmits):
            raise ArgumentError("transmits: expected a sequence of at least one Transmit")
        set_(self, "transmits", transmits)
        set_(self, "samples", freeze(self._checked_samples(len(transmits))))
        for t in transmits:
            t.firing_times(self.probe, 1540.0)  # refuses a transmit that does not fit the probe
        set_(self, "sampling_frequency", scalar("sampling_frequency", self.sampling_frequency, 1e4, 1e9, "Hz"))
        for name in ("demodulation_frequency", "center_frequency"):
            value = getattr(self, name)
            set_(self, name, 0.0 if value == 0 else scalar(name, value, 2e4, 1e8, "Hz"))
        if self.is_iq and not self.demodulation_frequency:
            raise ArgumentError("demodulation_frequency: expected a frequency in Hz for complex samples, got 0")
        if not self.is_iq and self.demodulation_frequency:
            raise ArgumentError("demodulation_frequency: expected 0 for real samples; demodulate() sets it")
        start = self.start_time if np.ndim(self.start_time) else np.full(len(transmits), self.start_time)
        set_(self, "start_time", freeze(array("start_time", start, (len(transmits),), low=-1e-2, high=1e-1, unit="s")))
        set_(self, "sound_speed", scalar("sound_speed", self.sound_speed, 300.0, 12000.0, "m/s"))
        if self.frame_rate:
            set_(self, "frame_rate", scalar("frame_rate", self.frame_rate, 1e-3, 1e6, "Hz"))

    def _checked_samples(self, n_tx: int) -> NDArray[Any]:
        samples = host_array("samples", self.samples)
        if samples.dtype in (np.dtype("float64"), np.dtype("complex128")):
            samples = samples.astype("c8" if samples.dtype.kind == "c" else "f4")
        if samples.dtype not in SAMPLE_TYPES:
            raise ArgumentError(f"samples: expected int16, float32 or complex64, got {samples.dtype}")
        want = ("frames", n_tx, self.probe.n_elements, "samples")
        if samples.ndim != 4 or samples.shape[1:3] != want[1:3] or 0 in samples.shape:
            raise ArgumentError(
                f"samples: expected shape (n_frames, {n_tx} transmits, {want[2]} elements, n_samples), "
                f"got {samples.shape}"
            )
        finite("samples", samples)
        return samples

    def __repr__(self) -> str:
        signal = f"I/Q at {self.demodulation_frequency:.4g} Hz" if self.is_iq else "RF"
        shape = f"{self.n_frames} frames, {self.n_tx} transmits, {self.n_rx} elements, {self.n_samples} samples"
        return f"ChannelData({shape} of {signal}, {self.samples.dtype}, {self.sampling_frequency:.4g} Hz)"

    @property
    def is_iq(self) -> bool:
        """Whether the samples are complex I/Q."""
        return bool(self.samples.dtype.kind == "c")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.samples.shape[0])

    @property
    def n_tx(self) -> int:
        """Number of transmits per frame."""
        return int(self.samples.shape[1])

    @property
    def n_rx(self) -> int:
        """Number of receiving elements."""
        return int(self.samples.shape[2])

    @property
    def n_samples(self) -> int:
        """Samples per trace."""
        return int(self.samples.shape[3])

    @property
    def end_time(self) -> float:
        """Time of the last sample of the longest-running transmit [s]."""
        return float(self.start_time.max() + (self.n_samples - 1) / self.sampling_frequency)

    @property
    def max_depth(self) -> float:
        """Depth whose straight echo arrives with the last sample [m]."""
        return 0.5 * self.sound_speed * self.end_time

    def times(self, tx: int = 0) -> NDArray[np.float64]:
        """Time of every sample of transmit ``tx``, (n_samples,) [s]."""
        return np.asarray(self.start_time[tx] + np.arange(self.n_samples) / self.sampling_frequency)

    def with_(self, **changes: Any) -> "ChannelData":
        """Return a copy with some fields replaced, checked again."""
        return replace(self, **changes)

    def select(self, *, frames: Any = None, transmits: Any = None) -> "ChannelData":
        """Return the part with these frames and transmits (index, indices or slice); slices are views."""
        kept = [slice(None) if index is None else index for index in (frames, transmits)]
        for axis, name in enumerate(("frames", "transmits")):
            try:
                chosen = np.atleast_1d(np.arange(self.samples.shape[axis])[kept[axis]])
            except IndexError:
                size = self.samples.shape[axis]
                raise ArgumentError(f"{name}: expected indices below {size} or a slice, got {kept[axis]!r}") from None
            if not chosen.size:
                raise ArgumentError(f"{name}: expected at least one, got {kept[axis]!r}")
            kept[axis] = kept[axis] if isinstance(kept[axis], slice) else chosen
        tx = np.arange(self.n_tx)[kept[1]]
        return replace(
            self,
            samples=self.samples[kept[0]][:, kept[1]],
            transmits=tuple(self.transmits[i] for i in tx),
            start_time=self.start_time[tx],
        )


def require_channel_data(data: Any, name: str = "channel_data") -> ChannelData:
    """The data themselves, or an ArgumentError that says what came instead."""
    if not isinstance(data, ChannelData):
        raise ArgumentError(f"{name}: expected ChannelData, got {type(data).__name__}")
    return data
