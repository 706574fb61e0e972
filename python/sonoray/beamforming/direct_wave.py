"""The wave that crosses a ring or bowl from emitter to receiver: measured, and taken out before echoes are summed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.signals import analytic
from ..errors import ArgumentError
from ..media.medium import Medium

OPENING_ANGLE = np.radians(120)

_NEAREST = 0.3  # of the largest distance: closer pairs don't show the wave alone
_BEFORE, _AFTER = 3, 12  # periods around the expected arrival
_END = 0.03  # of its peak: there the wave is over
_CLEAR = 4.0  # peak over what came before, else there is no such wave
_ALIKE = 0.4  # of each trace's largest: where the wave is not, peaks of traces are not at the same time
_MOST_PAIRS = 4000


@dataclass(frozen=True, eq=False)
class DirectWave:
    """The wave from emitter to receiver, as the data show it.

    Parameters
    ----------
    time : (n_tx, n_rx) float64 [s]
        When it should start to arrive, by the speed or the medium; measured from each transmit's time zero.
    lag : float [s]
        By how much its envelope peaks later: the delay of the pulse.
    duration : float [s]
        From its start until its envelope has fallen below 3 % of the peak, or into what else there is.
    center_frequency : float [Hz]
        Mean of its power spectrum.
    """

    time: NDArray[np.float64]
    lag: float
    duration: float
    center_frequency: float


def measure_direct_wave(channel_data: ChannelData, speed: float | Medium) -> DirectWave | None:
    """Find the wave that goes from emitter to receiver, common to all pairs but for its time.

    Envelopes of pairs some way apart are laid over each other by their expected times; their median shows the pulse.

    Parameters
    ----------
    channel_data : ChannelData
        Transmits of single elements; the first frame counts.
    speed : float [m/s] or Medium
        Times are integrals of slowness along straight lines, which in soft tissue errs by less than a period.

    Returns
    -------
    DirectWave or None
        None where no wave stands out at those times (recordings that end before, or begin after it).

    Raises
    ------
    ArgumentError
        Transmits of several elements, a speed in another unit.
    """
    time, distance = _expected_times(channel_data, speed)
    frequency = _mean_frequency(channel_data, distance)
    fs = channel_data.sampling_frequency
    before, after = _BEFORE / frequency, _AFTER / frequency
    begin = time - channel_data.start_time[:, None]
    record = (channel_data.n_samples - 1) / fs
    chosen = np.argwhere((distance > _NEAREST * distance.max()) & (begin > before) & (begin + after < record))
    if len(chosen) < 8:
        return None
    chosen = chosen[:: -(-len(chosen) // _MOST_PAIRS)]
    tx, rx = chosen.T
    steps = np.arange(-int(before * fs), int(after * fs) + 1)
    traces = channel_data.samples[0, tx, rx]
    envelope = np.abs(traces if channel_data.is_iq else analytic(traces))
    at = begin[tx, rx, None] * fs + steps
    first = np.floor(at).astype(np.intp)
    low, high = (np.take_along_axis(envelope, first + k, axis=1) for k in (0, 1))
    window = low + (at - first) * (high - low)
    peak = window.max(axis=1, keepdims=True)
    if not (peak > 0).any():
        return None
    common = np.median(window[peak[:, 0] > 0] / peak[peak > 0, None], axis=0)
    top = int(common.argmax())
    earlier = float(np.median(common[steps < -fs / frequency]))
    if common[top] < max(_CLEAR * earlier, _ALIKE) or top == len(common) - 1:
        return None
    level = max(_END, 1.5 * earlier / float(common[top])) * common[top]
    below = np.flatnonzero(common[top:] < level)
    end = top + int(below[0]) if below.size else len(common) - 1
    return DirectWave(time, float(steps[top] / fs), float(steps[end] / fs), frequency)


def remove_direct_wave(
    channel_data: ChannelData, wave: DirectWave, *, opening_angle: float | None = OPENING_ANGLE
) -> ChannelData:
    """Silence every pair until the direct wave has passed, and pairs too far apart to see echoes; correct the lag.

    What is left starts one period after the direct wave, along half a cosine. From points near the line between
    emitter and receiver nothing is left, but they only appear there smeared along the line.

    Parameters
    ----------
    channel_data : ChannelData
    wave : DirectWave
        From `measure_direct_wave` of the same data.
    opening_angle : float, optional [rad]
        Largest angle between emitter and receiver as seen from the middle of the elements. None: no limit.

    Returns
    -------
    ChannelData
        float32 (complex64 for I/Q); start times are earlier by the wave's lag.

    Raises
    ------
    ArgumentError
        A wave of other data, an angle not in rad.
    """
    shape = (channel_data.n_tx, channel_data.n_rx)
    if not isinstance(wave, DirectWave) or wave.time.shape != shape:
        raise ArgumentError(f"wave: expected the DirectWave of these data, with times of shape {shape}, got {wave!r}")
    seen = np.ones(shape, bool)
    if opening_angle is not None:
        seen = _opening(channel_data) <= scalar("opening_angle", opening_angle, 0.0, np.pi + 1e-9, "rad")
    taper = 1.0 / wave.center_frequency
    kind = np.complex64 if channel_data.is_iq else np.float32
    samples = np.empty(channel_data.samples.shape, kind)
    for k in range(channel_data.n_tx):
        passed = (channel_data.times(k) - (wave.time[k, :, None] + wave.duration)) / taper
        weight = 0.5 - 0.5 * np.cos(np.pi * np.clip(passed, 0, 1))
        weight *= seen[k, :, None]
        np.multiply(channel_data.samples[:, k], weight.astype(np.float32), out=samples[:, k], casting="same_kind")
    return channel_data.with_(
        samples=samples,
        start_time=channel_data.start_time - wave.lag,
        center_frequency=channel_data.center_frequency or wave.center_frequency,
    )


def has_single_elements(channel_data: ChannelData) -> bool:
    """Whether every transmit is that of one element."""
    return all(t.kind == "element" for t in channel_data.transmits)


def _emitters(channel_data: ChannelData) -> NDArray[np.float64]:
    if not has_single_elements(channel_data):
        kind = next(t.kind for t in channel_data.transmits if t.kind != "element")
        raise ArgumentError(f"channel_data: expected transmits of single elements, got a {kind!r} one")
    elements = np.array([t.element for t in channel_data.transmits], np.intp)
    return np.asarray(channel_data.probe.positions[elements])


def _opening(channel_data: ChannelData) -> NDArray[np.float64]:
    """Angle between emitter and receiver seen from the elements' middle, (n_tx, n_rx) [rad]."""
    positions = channel_data.probe.positions
    middle = 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    a, b = (p - middle for p in (_emitters(channel_data), positions))
    a, b = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (a, b))
    return np.asarray(np.arccos(np.clip(a @ b.T, -1, 1)))


def _expected_times(
    channel_data: ChannelData, speed: float | Medium
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time from each emitter to each receiver along a straight line [s], and their distance [m]."""
    emitters, receivers = _emitters(channel_data), channel_data.probe.positions
    distance = np.linalg.norm(emitters[:, None] - receivers[None], axis=2)
    if not isinstance(speed, Medium):
        return distance / scalar("speed", speed, 300.0, 12000.0, "m/s"), distance
    grid = speed.grid
    axes = np.array([0, 2] if grid.ndim == 2 else [0, 1, 2])
    slowness = 1.0 / np.asarray(speed.sound_speed, np.float64)
    n = int(np.clip(distance.max() / min(grid.spacing), 16, 512))
    along = (np.arange(n) + 0.5) / n
    mean = np.empty_like(distance)
    for k, emitter in enumerate(emitters):
        points = emitter[axes] + along[:, None, None] * (receivers[:, axes] - emitter[axes])
        index = (points - np.array(grid.origin)) / np.array(grid.spacing)
        mean[k] = map_coordinates(slowness, np.moveaxis(index, -1, 0), order=1, mode="nearest").mean(axis=0)
    return distance * mean, distance


def _mean_frequency(channel_data: ChannelData, distance: NDArray[np.float64]) -> float:
    """Mean of the power spectrum, (n_tx, n_rx) pairs some way apart; what is known goes first [Hz]."""
    known = channel_data.center_frequency or channel_data.demodulation_frequency or channel_data.probe.center_frequency
    if known:
        return float(known)
    tx, rx = np.argwhere(distance > _NEAREST * distance.max())[:: max(1, distance.size // _MOST_PAIRS)].T
    power = (np.abs(np.fft.rfft(channel_data.samples[0, tx, rx], axis=1)) ** 2).sum(axis=0)
    power[0] = 0.0
    power = np.maximum(power - 1.2 * np.median(power), 0)  # the noise, which is all there is at most frequencies
    frequency = np.fft.rfftfreq(channel_data.n_samples, 1 / channel_data.sampling_frequency)
    total = float(power.sum())
    return float((frequency * power).sum() / total) if total > 0 else 0.25 * channel_data.sampling_frequency
