"""Verasonics workspaces: ``.mat`` (level 5 or 7.3) with ``Trans``, ``TX``, ``Receive`` and ``RcvData``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import count, option, scalar
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import ArgumentError, FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import given
from ._waves import pulse_peak, wave_of

_NAMES = ("Trans", "TX", "Receive", "RcvData")
_KINDS = {0: "linear", 1: "curvilinear", 2: "matrix"}
_BASEBAND = ("BS100BW", "BS50BW")  # I and -Q in turn, a whole number of periods apart
_WAVEFORM_RATE = 250e6  # Hz


def sniff(file: Opened) -> bool:
    """The structures of a sequence, and the receive buffers."""
    return file.container is not None and file.container.matlab and set(_NAMES) <= set(file.container.members())


def read(
    file: Opened,
    *,
    buffer: int = 0,
    tx_order: Any = None,
    channels: str = "connector",
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    peak_time: float | None = None,
) -> ChannelData:
    """Read the channel data of a Verasonics sequence.

    Conventions (Vantage sequence programming): lengths in wavelengths of ``Trans.frequency``, or millimetres where
    ``Trans.units`` says so; ``TX.Delay`` in wavelengths, zero being the first firing; ``RcvData{b}`` is (rows,
    channels, frames), and the acquisitions of frame 1 lie in the rows ``startSample`` to ``endSample`` of their
    ``Receive``. Row one of an acquisition is at 2 startDepth / f after the first firing; the echo's peak comes
    later than its path by ``TW.peak`` (else the peak of ``TW.Wvfm2Wy`` at 250 MHz, else nothing) and twice
    ``Trans.lensCorrection``, which are taken off. The sampling frequency is ``decimSampleRate / quadDecim``, else
    ``ADCRate / decimFactor``, else ``samplesPerWave`` times the frequency [MHz]. Sample mode BS100BW and BS50BW is
    I/Q, (first, minus second) of each pair of rows, mixed down from the first row on; the others but NS200BW are
    refused. Column ``Trans.Connector(e)`` is element e, where the buffer has that many columns. The transmit of an
    acquisition is that of its ``Event``; without events ``TX`` is taken in the order of ``acqNum``, if there are as
    many as acquisitions, or one. Delays decide what wave it is (within 1 ns), with ``focus``, ``Steer`` and
    ``Origin``; others stay free delays. With ``Resource.RcvBuffer.lastFrame`` the frames are put into the order of
    time.

    Parameters
    ----------
    buffer : int
        Which receive buffer, from 0.
    tx_order : sequence of int, optional
        Which ``TX`` (from 0) each acquisition of a frame used, where the file is silent.
    channels : {"connector", "element"}
        "element" if the columns were put into the elements' order before saving.
    sound_speed : float, optional [m/s]
        Instead of ``Resource.Parameters.speedOfSound``; default 1540, as the system's.
    center_frequency : float, optional [Hz]
        Of the pulse, instead of that of a parametric ``TW``, or ``Trans.frequency``.
    peak_time : float, optional [s]
        How long after firing the pulse peaks, instead of the above.

    Raises
    ------
    FormatError
        Multiplexed apertures, accumulated or interleaved acquisitions, acquisitions of several lengths, starts or
        rates, transmits that cannot be told.
    """
    option("channels", channels, ("connector", "element"))
    c, fc = given("sound_speed", sound_speed), given("center_frequency", center_frequency)
    peak = None if peak_time is None else scalar("peak_time", peak_time, 0.0, 1e-4, "s")
    contents = file.contents
    sequence = _Sequence(contents)
    speed = c or sequence.number(sequence.resource("Parameters"), "speedOfSound", 1540.0)
    buffers = contents.cells("RcvData")
    chosen = count("buffer", buffer, 0, len(buffers) - 1)
    with naming(file.path):
        scalar("sound_speed", speed, 300.0, 12000.0, "m/s")
        probe = _probe(sequence, speed)
        acquisitions, told = sequence.acquisitions(chosen)
    if tx_order is None:
        order = sequence.transmits(told)
    else:
        order = _given_order(tx_order, len(acquisitions), len(sequence.tx))
    with naming(file.path):
        return _channel_data(sequence, probe, buffers[chosen], acquisitions, order, (speed, fc, peak, channels, chosen))


def _given_order(tx_order: Any, n: int, n_tx: int) -> list[int]:
    order = [count("tx_order", i, 0, n_tx - 1) for i in np.atleast_1d(tx_order).tolist()]
    if len(order) != n:
        raise ArgumentError(f"tx_order: expected one for each of {n} acquisitions, got {len(order)}")
    return order


class _Sequence:
    """The structures of a workspace."""

    def __init__(self, file: Container) -> None:
        self.file = file
        self.trans, self.tx, self.receive = file.records("Trans")[0], file.records("TX"), file.records("Receive")
        self.tw: Any = file.records("TW") if file.has("TW") else []
        self.frequency = 1e6 * self.number(self.trans, "frequency")
        if not 2e4 <= self.frequency <= 1e8:
            raise self.refusal(f"Trans.frequency: expected MHz, got {self.frequency / 1e6:g}")

    def refusal(self, what: str) -> FormatError:
        return FormatError(f"{self.file.path}: {what}")

    def resource(self, name: str) -> Any:
        """Structure array ``Resource.name``, its first element; empty where there is none."""
        return self.file.records(f"Resource.{name}")[0] if self.file.has(f"Resource.{name}") else {}

    def values(self, record: Any, name: str) -> NDArray[np.float64]:
        """All numbers of a field, none where it is absent."""
        value = record.get(name)
        if value is None or isinstance(value, str):
            return np.empty(0)
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise self.refusal(f"{name}: expected real numbers, got {array.dtype}")
        return np.asarray(array, np.float64)

    def number(self, record: Any, name: str, default: float | None = None) -> float:
        values = self.values(record, name).ravel()
        if values.size != 1 and (values.size or default is None):
            raise self.refusal(f"{name}: expected one number, got {values.size}")
        value = float(values[0]) if values.size else float(default)  # type: ignore[arg-type]
        if not np.isfinite(value):
            raise self.refusal(f"{name}: expected a finite number, got {value}")
        return value

    def text(self, record: Any, name: str, default: str) -> str:
        value = record.get(name)
        return value if isinstance(value, str) and value else default

    def acquisitions(self, buffer: int) -> tuple[list[Any], list[int]]:
        """`Receive` of each acquisition of the buffer's first frame, in the order of time, and the index of its TX.

        The index is -1 where no event tells.
        """
        pairs = {(i, -1): None for i in range(len(self.receive))}  # (receive, tx), from 0
        if self.file.has("Event"):
            pairs = {}
            events = self.file.records("Event")
            for event in (events[i] for i in range(len(events))):
                tx, rcv = (int(self.number(event, n, 0.0)) for n in ("tx", "rcv"))
                if rcv > 0:
                    pairs[rcv - 1, tx - 1] = None
        if any(not 0 <= rcv < len(self.receive) or tx >= len(self.tx) for rcv, tx in pairs):
            raise self.refusal(f"Event: expected indices of {len(self.tx)} TX and {len(self.receive)} Receive")
        first: list[tuple[float, int, int]] = []
        for rcv, tx in pairs:
            receive = self.receive[rcv]
            if self.number(receive, "framenum", 1) == 1 and self.number(receive, "bufnum", 1) == buffer + 1:
                if self.number(receive, "mode", 0) != 0:
                    raise self.refusal(f"Receive({rcv + 1}).mode: expected 0, got accumulated acquisitions")
                first.append((self.number(receive, "acqNum", len(first) + 1), rcv, tx))
        if not self.file.has("Event"):
            first.sort()
        if not first:
            raise self.refusal(f"Receive: expected acquisitions of frame 1 in buffer {buffer + 1}, got none")
        return [self.receive[rcv] for _, rcv, _ in first], [tx for _, _, tx in first]

    def transmits(self, told: list[int]) -> list[int]:
        """The index of TX of each acquisition, where not every one is told."""
        if min(told) >= 0:
            return told
        if len(self.tx) not in (1, len(told)):
            raise self.refusal(
                f"expected an Event for each acquisition, or as many TX as the {len(told)} acquisitions, "
                f"got {len(self.tx)} TX; pass tx_order="
            )
        return list(range(len(told))) if len(self.tx) > 1 else [0] * len(told)

    def same(self, records: list[Any], name: str, default: float | None = None) -> float:
        """The value of a field that must not differ between acquisitions."""
        found = {self.number(record, name, default) for record in records}
        if len(found) != 1:
            raise self.refusal(f"Receive.{name}: expected one value for all acquisitions, got {sorted(found)[:4]}")
        return found.pop()


def _unit(sequence: _Sequence, c: float) -> float:
    """Metres per unit of `Trans`."""
    units = sequence.text(sequence.trans, "units", "")
    wavelength = c / sequence.frequency
    if units in ("mm", "wavelengths"):
        return 1e-3 if units == "mm" else wavelength
    positions = sequence.values(sequence.trans, "ElementPos")
    pitch = float(np.linalg.norm(np.diff(positions[:2, :3], axis=0))) if len(positions) > 1 else 0.0
    for name, unit in (("spacingMm", 1e-3), ("spacing", wavelength)):
        if pitch and abs(sequence.number(sequence.trans, name, 0.0) - pitch) < 1e-3 * pitch:
            return unit
    raise sequence.refusal(f"Trans.units: expected 'mm' or 'wavelengths', got {units!r}")


def _probe(sequence: _Sequence, c: float) -> Probe:
    trans, unit = sequence.trans, _unit(sequence, c)
    table = sequence.values(trans, "ElementPos")
    if table.ndim != 2 or not 3 <= table.shape[1] <= 5:
        raise sequence.refusal(f"Trans.ElementPos: expected (elements, 4 or 5), got {table.shape}")
    azimuth, elevation = np.pad(table, ((0, 0), (0, 5 - table.shape[1])))[:, 3:].T
    normals = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    band = sequence.values(trans, "Bandwidth").ravel()
    return Probe(
        unit * table[:, :3],
        np.stack(normals, axis=1),
        kind=_KINDS.get(int(sequence.number(trans, "type", -1)), "free"),
        width=unit * sequence.number(trans, "elementWidth", 0.0),
        height=1e-3 * sequence.number(trans, "elevationApertureMm", 0.0),
        center_frequency=sequence.frequency,
        bandwidth=1e6 * float(np.ptp(band)) if len(band) == 2 else 0.0,
        name=sequence.text(trans, "name", ""),
    )


def _rate(sequence: _Sequence, receives: list[Any]) -> float:
    """Rows per second."""
    rate = sequence.same(receives, "decimSampleRate", 0.0)
    if rate:
        return 1e6 * rate / sequence.same(receives, "quadDecim", 1.0)
    rate = sequence.same(receives, "ADCRate", 0.0)
    if rate:
        return 1e6 * rate / sequence.same(receives, "decimFactor", 1.0)
    per_wave = sequence.same(receives, "samplesPerWave", 0.0)
    if not per_wave:
        raise sequence.refusal("Receive: expected decimSampleRate, ADCRate or samplesPerWave, got none of them")
    return per_wave * sequence.frequency


def _channel_data(
    sequence: _Sequence, probe: Probe, buffer: Any, receives: list[Any], order: list[int], options: Any
) -> ChannelData:
    c, fc, peak, channels, chosen = options
    modes = {sequence.text(receive, "sampleMode", "NS200BW") for receive in receives}
    if len(modes) != 1 or not modes <= {"NS200BW", *_BASEBAND}:
        raise sequence.refusal(f"Receive.sampleMode: expected NS200BW, BS100BW or BS50BW, got {', '.join(modes)}")
    rate, f = _rate(sequence, receives), sequence.frequency
    waves = [_wave(sequence, i, probe, c) for i in order]
    lens = sequence.number(sequence.trans, "lensCorrection", 0.0) * _unit(sequence, c) / c
    pulses = [sequence.tw[_pulse_index(sequence, i)] if len(sequence.tw) else {} for i in order]
    late = [_peak(sequence, pulse) if peak is None else peak for pulse in pulses]
    depth = np.array([sequence.number(receive, "startDepth", 0.0) for receive in receives])
    start = 2 * depth / f - np.array(late) - 2 * lens - np.array([shift for _, shift in waves])
    samples = _samples(sequence, buffer, receives, channels, probe.n_elements)[_frame_order(sequence, buffer, chosen)]
    mixed = 0.0
    if modes & set(_BASEBAND):
        mixed = 1e6 * sequence.same(receives, "demodFrequency", f / 1e6)
        rate /= 2
        even = samples[..., : samples.shape[3] // 2 * 2]
        pairs = np.empty((*even.shape[:3], even.shape[3] // 2), np.complex64)
        pairs.real, pairs.imag = even[..., 0::2], -even[..., 1::2].astype(np.float32)
        samples = pairs * np.exp(-2j * np.pi * mixed * start).astype(np.complex64)[:, None, None]
    return ChannelData(
        samples,
        probe,
        tuple(wave for wave, _ in waves),
        float(f"{rate:.9g}"),
        demodulation_frequency=mixed,
        center_frequency=fc or _pulse_frequency(sequence, pulses[0]),
        start_time=start,
        sound_speed=c,
    )


def _wave(sequence: _Sequence, index: int, probe: Probe, c: float) -> tuple[Transmit, float]:
    tx, n = sequence.tx[index], probe.n_elements
    delays, weights = sequence.values(tx, "Delay").ravel(), sequence.values(tx, "Apod").ravel()
    if len(delays) != n or len(weights) != n:
        raise sequence.refusal(
            f"TX({index + 1}): expected a Delay and an Apod for each of {n} elements, got {len(delays)} and "
            f"{len(weights)}; multiplexed apertures cannot be read"
        )
    wavelength = c / sequence.frequency
    focus = None
    steer, origin = sequence.values(tx, "Steer").ravel(), sequence.values(tx, "Origin").ravel()
    distance = sequence.number(tx, "focus", 0.0)
    if distance and len(steer) == 2 and len(origin) == 3:
        across = np.cos(steer[1])
        way = np.array([np.sin(steer[0]) * across, np.sin(steer[1]), np.cos(steer[0]) * across])
        focus = wavelength * (origin + distance * way)
    point = sequence.values(tx, "FocalPt").ravel()
    if len(point) == 3:
        focus = wavelength * point
    return wave_of(delays / sequence.frequency, weights, probe, c, focus)


def _pulse_index(sequence: _Sequence, tx: int) -> int:
    index = int(sequence.number(sequence.tx[tx], "waveform", 1.0))
    if not 1 <= index <= len(sequence.tw):
        raise sequence.refusal(f"TX({tx + 1}).waveform: expected 1 to {len(sequence.tw)}, got {index}")
    return index - 1


def _peak(sequence: _Sequence, pulse: Any) -> float:
    """When the pulse peaks after firing [s]."""
    if sequence.values(pulse, "peak").size:
        return sequence.number(pulse, "peak") / sequence.frequency
    waveform = sequence.values(pulse, "Wvfm2Wy").ravel()
    return pulse_peak(waveform, _WAVEFORM_RATE) if waveform.size > 1 else 0.0


def _pulse_frequency(sequence: _Sequence, pulse: Any) -> float:
    parameters = sequence.values(pulse, "Parameters").ravel()
    if sequence.text(pulse, "type", "parametric") == "parametric" and len(parameters) >= 4:
        return 1e6 * float(parameters[0])
    return sequence.frequency


def _samples(sequence: _Sequence, buffer: Any, receives: list[Any], channels: str, n: int) -> NDArray[np.int16]:
    """(frames, acquisitions, elements, rows)."""
    rows = np.asarray(buffer)
    if rows.dtype != np.int16 or rows.ndim not in (2, 3) or 0 in rows.shape:
        raise sequence.refusal(f"RcvData: expected int16 (rows, channels, frames), got {rows.shape} {rows.dtype}")
    rows = rows if rows.ndim == 3 else rows[:, :, None]
    connector = sequence.values(sequence.trans, "Connector")
    connector = connector[:, 0] if connector.ndim == 2 and connector.shape[0] == n else connector.ravel()
    if channels == "connector" and len(connector) == n and connector.max(initial=0) <= rows.shape[1]:
        columns = connector.astype(np.intp) - 1
        if (connector != np.round(connector)).any() or columns.min() < 0 or len(np.unique(columns)) < n:
            raise sequence.refusal(f"Trans.Connector: expected a column for each element, got {connector[:8]}")
        rows = rows[:, columns]
    elif rows.shape[1] != n:
        raise sequence.refusal(f"RcvData: expected {n} channels, one for each element, got {rows.shape[1]}")
    parts = []
    for receive in receives:
        first, last = (sequence.number(receive, name) for name in ("startSample", "endSample"))
        if not (1 <= first <= last <= rows.shape[0]) or first != round(first) or last != round(last):
            raise sequence.refusal(f"Receive: expected rows 1 to {rows.shape[0]}, got {first:g} to {last:g}")
        parts.append(rows[int(first) - 1 : int(last)])
    lengths = {len(part) for part in parts}
    if len(lengths) != 1:
        raise sequence.refusal(f"Receive: expected acquisitions of one length, got {sorted(lengths)[:4]} rows")
    return np.stack(parts).transpose(3, 0, 2, 1)


def _frame_order(sequence: _Sequence, buffer: Any, chosen: int) -> NDArray[np.intp]:
    """Indices of frames in the order of time."""
    n = buffer.shape[2] if np.ndim(buffer) == 3 else 1
    order = np.arange(n)
    if not sequence.file.has("Resource.RcvBuffer"):
        return order
    buffers = sequence.file.records("Resource.RcvBuffer")
    last = int(sequence.number(buffers[chosen], "lastFrame", n)) if chosen < len(buffers) else n
    return np.roll(order, -last) if 1 <= last <= n else order


FORMAT = Format("verasonics", "Verasonics workspace .mat: Trans, TX, Receive, RcvData", sniff, read)
