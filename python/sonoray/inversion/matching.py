"""First arrivals by matching each trace with the wave that came through water."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_device, to_host
from .._backends import backend, place
from .._checks import array, option, scalar
from ..acquisition.channel_data import ChannelData
from .outliers import reject_outliers
from .pairs import emitter_positions
from .picking import pick_first_arrivals, picking_input, pulse_samples
from .picks import Picks
from .templates import OVERSAMPLING, Templates, own_templates, water_templates
from .windows import expected_windows, window_samples

_MARGIN = 2.0  # samples beyond the expected window, which is short where elements are near
_ALIGNMENTS = 3  # of the object's own traces
MATCHERS = ("onset_match", "cross_correlation")


def match_first_arrivals(
    channel_data: ChannelData,
    water: ChannelData | None = None,
    *,
    method: str = "onset_match",
    sound_speed: float | None = None,
    water_sound_speed: Any = None,
    spread: float = 50.0,
    onset: float = 0.0,
    windows: tuple[Any, Any] | None = None,
    pairs: Any = None,
    pulse_duration: float | None = None,
    onset_window: float | None = None,
    earliest: float = 0.5,
    minimum_correlation: float = 0.5,
    frame: int = 0,
    device: str = "cpu",
) -> Picks:
    """Travel times by matching each trace with the wave through water at that distance.

    The water shots, of which one transmit suffices, are averaged into templates in reduced time
    (`water_templates`). Without water shots, the object's own traces are, aligned first to their AIC picks and then to
    the matches found with that (`own_templates`). The arrival is where trace and template correlate most within the
    expected window, or at the first peak that reaches ``earliest`` of that; least squares then places it between
    samples:

    - "cross_correlation": over the whole pulse.
    - "onset_match": over the part of it before ``onset_window`` after its onset, so that it stays a first arrival
      where later ones overlap it.

    The amplitude is free. The time is free of the picker's lag, since template and trace have the same; without water
    shots it keeps the median lag of the AIC.

    Parameters
    ----------
    channel_data : ChannelData
        RF, transmits of single elements; any strides, nothing is copied.
    water : ChannelData, optional
        Shots through water by the same array, sampled at the same frequency.
    method : {"onset_match", "cross_correlation"}
    sound_speed : float, optional [m/s]
        Of water; default that of the data.
    water_sound_speed : float or (n water transmits,), optional [m/s]
        While the shots through water were recorded; default `sound_speed`.
    spread : float [m/s]
        Mean speeds along a ray within this of the water's are expected.
    onset : float [s]
        When the pulse starts to leave the emitter, within a pulse's duration; the rest is found in the water shots.
        Without those it must be right, since it is subtracted.
    windows : (first, last), each (n_tx, n_rx) float64 [s], optional
        Expected windows of the travel time + onset, instead of those that follow from speed and spread.
    pairs : (n_tx, n_rx) bool, optional
        Which to match; default all.
    pulse_duration : float, optional [s]
        Default three periods of the centre frequency, or 4 µs where it is unknown.
    onset_window : float, optional [s]
        Default half a period of the centre of the wave's spectrum. A shorter one follows the fastest path more
        closely and is more sensitive to noise.
    earliest : float
        Up to 1, the largest peak. Less finds a weak first arrival before a strong later one, more is safer in noise.
    minimum_correlation : float
        Between trace and template; less is no arrival.
    frame : int
    device : {"cpu", "cuda", "cuda:N"}

    Returns
    -------
    Picks
        Times are travel times, `distance / sound_speed` in water. The quality is the explained share of the energy
        of the whole pulse times that of the matched part.

    Raises
    ------
    ArgumentError
        Another array in water, silent or mistimed water shots, I/Q data, values in wrong units, wrong shapes.
    DeviceError
        No such device.
    """
    option("method", method, MATCHERS)
    samples, wanted, distance = picking_input(channel_data, pairs, frame)
    c = scalar("sound_speed", channel_data.sound_speed if sound_speed is None else sound_speed, 300.0, 12000.0, "m/s")
    zero = scalar("onset", onset, -1e-2, 1e-1, "s")
    fs = channel_data.sampling_frequency
    length = pulse_samples(channel_data, pulse_duration) / fs
    if windows is None:
        windows = expected_windows(distance, c, spread, onset=zero)
    first, last = window_samples(windows, channel_data.start_time, fs, distance.shape)
    first = np.where(wanted, first, np.nan)
    flat = length if method == "cross_correlation" else onset_window
    narrow = None if flat is None else scalar("onset_window", flat, 1e-9, 1e-2, "s")
    limits = (
        scalar("earliest", earliest, 0.05, 1.0, "(ratio)"),
        scalar("minimum_correlation", minimum_correlation, 0.0, 0.999, "(ratio)"),
    )

    def match(waves: Templates, later: float, origin: float) -> Picks:
        begin, end = first + later * fs - _MARGIN, last + later * fs + _MARGIN
        found = _match(samples, waves, begin, end, distance, fs, length, narrow, limits, device)
        return Picks(channel_data.start_time[:, None] + found[0] / fs - origin, found[1], found[2], method)

    if water is not None:
        used = distance[wanted] if wanted.any() else distance.ravel()
        then = c if water_sound_speed is None else water_speeds(water, water_sound_speed)
        waves = water_templates(water, then, float(used.min()), float(used.max()), length=length, onset=zero)
        return match(waves, waves.onset - zero, waves.onset)
    coarse = pick_first_arrivals(
        channel_data, sound_speed=c, windows=windows, pairs=wanted, pulse_duration=length, frame=frame, device=device
    )
    travel = coarse.with_(time=coarse.time - zero)
    good = reject_outliers(travel, emitter_positions(channel_data), channel_data.probe.positions, c)
    picks = good.with_(time=coarse.time)
    for _ in range(_ALIGNMENTS):
        picks = match(own_templates(channel_data, picks, length=length, frame=frame), 0.0, 0.0)
    both = coarse.picked & picks.picked
    lag = float(np.median((picks.time - coarse.time)[both])) if both.any() else 0.0
    return picks.with_(time=picks.time - lag - zero)


def water_speeds(water: ChannelData, sound_speed: Any) -> NDArray[np.float64]:
    """Sound speed during each shot through water, (n_tx,) [m/s], of one value or one each."""
    each = np.full(water.n_tx, sound_speed) if np.ndim(sound_speed) == 0 else sound_speed
    return array("water_sound_speed", each, (water.n_tx,), low=300.0, high=12000.0, unit="m/s")


def _taps(waves: Templates, whole: list[float], lead: float) -> tuple[NDArray[np.float32], int]:
    """Templates times the whole window at whole samples from the onset, and how many of them precede it."""
    rise, flat, fall = whole
    before = int(np.ceil(rise))
    k = np.arange(-before, int(np.floor(flat + fall)) + 1, dtype=np.float64)
    outside = np.where(k < 0, np.minimum(-k / max(rise, 1e-9), 1.0), np.clip((k - flat) / max(fall, 1e-9), 0.0, 1.0))
    at = (k + lead) * OVERSAMPLING
    index = np.clip(np.floor(at).astype(np.intp), 0, waves.samples.shape[1] - 2)
    part = (at - index).astype(np.float32)
    values = (1 - part) * waves.samples[:, index] + part * waves.samples[:, index + 1]
    inside = (at >= 0) & (at <= waves.samples.shape[1] - 1)
    weight = np.where(inside, 0.5 + 0.5 * np.cos(np.pi * outside), 0.0)
    return np.ascontiguousarray(values * weight, np.float32), before


def _match(
    samples: NDArray[Any],
    waves: Templates,
    first: NDArray[Any],
    last: NDArray[Any],
    distance: NDArray[Any],
    fs: float,
    length: float,
    narrow: float | None,
    limits: tuple[float, float],
    device: str,
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]]:
    """Where each template's onset lies in its trace, in samples; quality and status."""
    module, index = backend(device), place(device)
    flank, lead = 0.5 * waves.period * fs, (waves.onset - waves.begin) * fs
    whole = [flank, length * fs, flank]
    part = [flank, flank if narrow is None else narrow * fs, flank]
    taps, before = _taps(waves, whole, lead)
    arrays = [samples, waves.samples, taps, waves.nearest(distance), np.ascontiguousarray(first)]
    arrays.append(np.ascontiguousarray(last))
    results: list[Any] = [np.empty(first.shape), np.empty(first.shape, np.float32), np.empty(first.shape, np.uint8)]
    if device != "cpu":
        arrays, results = ([to_device(a, device) for a in group] for group in (arrays, results))
    u, w, t, which, begin, end = arrays
    params = (whole, part, float(OVERSAMPLING), lead, limits[0], flank, limits[1])
    module.match_arrivals(u, w, t, before, which, begin, end, *params, *results, index, 0)
    at, quality, status = results if device == "cpu" else [to_host(a) for a in results]
    return at, np.minimum(quality, np.float32(1)), status
