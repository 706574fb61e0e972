"""First arrivals: when the wave reaches each receiver."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backends import backend, place
from .._checks import array, count, option, scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .pairs import emitter_positions, pair_distances
from .picks import Picks
from .windows import expected_windows, window_samples

METHODS = ("aic", "energy_ratio", "sta_lta", "threshold")
DEFAULT_DURATION = 4e-6  # [s] of the pulse, where nothing is known of it


def pick_first_arrivals(
    channel_data: ChannelData,
    *,
    method: str = "aic",
    sound_speed: float | None = None,
    spread: float = 50.0,
    onset: float = 0.0,
    windows: tuple[Any, Any] | None = None,
    pairs: Any = None,
    pulse_duration: float | None = None,
    threshold: float = 0.25,
    envelope: bool = False,
    refinement: str = "akaike",
    taper: float = 0.25,
    short_window: float | None = None,
    long_window: float | None = None,
    ratio: float = 0.5,
    minimum_contrast: float = 4.0,
    dynamic_range: float = 60.0,
    frame: int = 0,
    device: str = "cpu",
) -> Picks:
    """Pick the first arrival in every trace of single-element transmits.

    Each trace loses its mean and is tapered. In the expected window, ``threshold`` times the largest magnitude is first
    exceeded at some sample; the arrival is sought from one ``pulse_duration`` before that sample up to it.

    - "aic" [1]_, [2]_: the record is split into noise and signal where k ln var(before) + (n - k - 1) ln var(after)
      is least; the time is the mean over neighbouring splits, weighted with exp(-AIC / 2).
    - "energy_ratio" [3]_: the largest (abs(u) E(after) / E(before))^3 of energies over ``long_window``.
    - "sta_lta": first crossing of ``ratio`` times the largest short-term (after) over long-term (before) average.
    - "threshold": first crossing of the threshold itself.

    Every picker lags the true onset by an amount of its own; use `Picks.difference` with water picked the same way, or
    `pick_travel_times`. At 20 dB of signal over noise, `band_pass` of both recordings takes a quarter to a half off the
    errors; the matching pickers (`match_first_arrivals`) do without.

    Parameters
    ----------
    channel_data : ChannelData
        RF, transmits of single elements; any strides, nothing is copied.
    method : {"aic", "energy_ratio", "sta_lta", "threshold"}
    sound_speed : float, optional [m/s]
        Of water; default that of the data.
    spread : float [m/s]
        Mean speeds along a ray within this of the water's are expected.
    onset : float [s]
        When the pulse starts to leave the emitter (`pulse_onset`).
    windows : (first, last), each (n_tx, n_rx) float64 [s], optional
        Expected windows, instead of those that follow from speed, spread and onset.
    pairs : (n_tx, n_rx) bool, optional
        Which to pick; default all. A pair of an element with itself is never picked.
    pulse_duration : float, optional [s]
        Default three periods of the centre frequency, or 4 µs where it is unknown.
    threshold : float
        0 to 1; 0 searches the whole expected window.
    envelope : bool
        Compare the threshold with the magnitude of the analytic signal instead of abs(u).
    refinement : {"akaike", "parabola"}
        Of the AIC between samples: the weighted mean, or the vertex through its three least values, which is sharper
        where samples are few.
    taper : float
        Part of the record under the ends of a Tukey window, 0 to 1.
    short_window, long_window : float, optional [s]
        Default 0.1 of the pulse's duration; all of it for STA/LTA, 0.3 of it for the energy ratio.
    ratio : float
        For "sta_lta".
    minimum_contrast : float
        Energy of one duration after the pick over that before it; less is no arrival.
    dynamic_range : float [dB]
        What is this far below the trace's largest value counts as silence; noise-free records have precursors there.
    frame : int
    device : {"cpu", "cuda", "cuda:N"}

    Returns
    -------
    Picks

    Raises
    ------
    ArgumentError
        I/Q data, transmits of several elements, values in wrong units, wrong shapes.
    DeviceError
        No such device.

    References
    ----------
    .. [1] N. Maeda, A method for reading and checking phase times in auto-processing system of seismic wave data,
       Zisin 38, 365 (1985).
    .. [2] C. Li, L. Huang, N. Duric, H. Zhang, C. Rowe, An improved automatic time-of-flight picker for medical
       ultrasound tomography, Ultrasonics 49, 61 (2009).
    .. [3] J. Wong, L. Han, J. Bancroft, R. Stewart, Automatic time-picking of first arrivals on noisy microseismic
       data, CSEG (2009).
    """
    kind = METHODS.index(option("method", method, METHODS))
    samples, wanted, distance = picking_input(channel_data, pairs, frame)
    c = channel_data.sound_speed if sound_speed is None else sound_speed
    if windows is None:
        windows = expected_windows(distance, c, spread, onset=onset)
    fs = channel_data.sampling_frequency
    first, last = window_samples(windows, channel_data.start_time, fs, distance.shape)
    first = np.where(wanted, first, np.nan)
    duration = pulse_samples(channel_data, pulse_duration)
    result = _run(
        samples,
        first,
        last,
        (
            kind,
            bool(envelope),
            option("refinement", refinement, ("akaike", "parabola")) == "parabola",
            10 ** (-scalar("dynamic_range", dynamic_range, 6.0, 240.0, "dB") / 20),
            scalar("taper", taper, 0.0, 1.0, "(ratio)"),
            scalar("threshold", threshold, 0.0, 0.999, "(ratio)"),
            duration,
            _window("short_window", short_window, 0.1 * duration, channel_data),
            _window("long_window", long_window, duration if method == "sta_lta" else 0.3 * duration, channel_data),
            scalar("ratio", ratio, 0.01, 1.0, "(ratio)"),
            scalar("minimum_contrast", minimum_contrast, 0.0, 1e12, "(ratio)"),
        ),
        device,
    )
    return Picks(channel_data.start_time[:, None] + result[0] / fs, result[1], result[2], method)


def pulse_onset(
    pulse: Any,
    sampling_frequency: float,
    *,
    start_time: float = 0.0,
    pulse_duration: float | None = None,
    threshold: float = 0.25,
) -> float:
    """Time at which an emitted pulse starts, picked by the AIC like a trace.

    Parameters
    ----------
    pulse : (n,) float64
    sampling_frequency : float [Hz]
    start_time : float [s]
        Of the first sample.
    pulse_duration : float, optional [s]
        Default 4 µs, or half the record if that is shorter.
    threshold : float
        The pulse starts before it first exceeds this part of its peak.

    Returns
    -------
    float [s]
        `start_time` if the pulse begins with the record.

    Raises
    ------
    ArgumentError
        A constant pulse, NaN, wrong units.
    """
    fs = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    begin = scalar("start_time", start_time, -1e-2, 1e-1, "s")
    level = scalar("threshold", threshold, 0.001, 0.999, "(ratio)")
    u = array("pulse", pulse, (None,), np.float32)
    if len(u) < 4 or not np.ptp(u):
        raise ArgumentError("pulse: expected at least 4 samples that differ")
    duration = DEFAULT_DURATION if pulse_duration is None else scalar("pulse_duration", pulse_duration, 1e-9, 1e-2, "s")
    duration = min(max(duration * fs, 1.0), 0.5 * len(u))
    crossing = int((np.abs(u - u[0]) > level * np.abs(u - u[0]).max()).argmax())
    silence = max(int(duration) + 8 - crossing, 0)  # the onset may lie at the first sample
    trace = np.concatenate([np.zeros(silence, np.float32), u - u[0]])
    ends = np.zeros((1, 1)), np.full((1, 1), float(len(trace)))
    at, _, status = _run(
        trace[None, None], *ends, (0, False, False, 1e-3, 0.0, level, duration, 1.0, duration, 0.5, 0.0), "cpu"
    )
    return begin if status[0, 0] else float(begin + max(at[0, 0] - silence, 0.0) / fs)


def picking_input(
    channel_data: ChannelData, pairs: Any, frame: int
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64]]:
    """Samples (n_tx, n_rx, n) of a frame, which pairs to pick, and their distances [m]."""
    if not isinstance(channel_data, ChannelData):
        raise ArgumentError(f"channel_data: expected a ChannelData, got {type(channel_data).__name__}")
    if channel_data.is_iq:
        raise ArgumentError("channel_data: expected RF, got I/Q; use remodulate")
    if channel_data.n_samples < 8:
        raise ArgumentError(f"channel_data: expected at least 8 samples per trace, got {channel_data.n_samples}")
    distance = pair_distances(emitter_positions(channel_data), channel_data.probe.positions)
    wanted = distance > 0
    if pairs is not None:
        chosen = np.asarray(pairs)
        if chosen.dtype != bool or chosen.shape != distance.shape:
            raise ArgumentError(f"pairs: expected bool of shape {distance.shape}, got {chosen.dtype} {chosen.shape}")
        wanted &= chosen
    return channel_data.samples[count("frame", frame, 0, channel_data.n_frames - 1)], wanted, distance


def pulse_samples(channel_data: ChannelData, pulse_duration: float | None) -> float:
    """Duration of the pulse in samples, at least 4 and at most half the record."""
    if pulse_duration is None:
        frequency = channel_data.center_frequency or channel_data.probe.center_frequency
        pulse_duration = 3 / frequency if frequency else DEFAULT_DURATION
    duration = scalar("pulse_duration", pulse_duration, 1e-8, 1e-2, "s") * channel_data.sampling_frequency
    return min(max(duration, 4.0), 0.5 * channel_data.n_samples)


def _window(name: str, value: float | None, default: float, channel_data: ChannelData) -> float:
    samples = default if value is None else scalar(name, value, 1e-8, 1e-2, "s") * channel_data.sampling_frequency
    return min(max(samples, 1.0), float(channel_data.n_samples))


def _run(
    samples: NDArray[Any], first: NDArray[Any], last: NDArray[Any], params: tuple[Any, ...], device: str
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]]:
    """Pick on host or device; the arrays here are the host's, the samples go as they are or are copied to it."""
    module, index = backend(device), place(device)
    first, last = np.ascontiguousarray(first), np.ascontiguousarray(last)
    at, quality = np.empty(first.shape), np.empty(first.shape, np.float32)
    status = np.empty(first.shape, np.uint8)
    if device == "cpu":
        module.pick_arrivals(samples, first, last, *params, at, quality, status, index, 0)
        return at, quality, status
    from .._arrays import to_device, to_host

    results = [to_device(a, device) for a in (at, quality, status)]
    module.pick_arrivals(*(to_device(a, device) for a in (samples, first, last)), *params, *results, index, 0)
    at, quality, status = (to_host(a) for a in results)
    return at, quality, status
