"""From recordings with and without an object to travel times, ready for tomography."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import option, scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .calibration import PickBias, fit_pick_bias
from .matching import MATCHERS, match_first_arrivals, water_speeds
from .outliers import reject_outliers
from .pairs import emitter_positions, pair_distances
from .picking import METHODS, pick_first_arrivals, picking_input
from .picks import Picks, PickStatus


def pick_travel_times(
    channel_data: ChannelData,
    water: ChannelData | None = None,
    *,
    method: str | None = None,
    sound_speed: float | None = None,
    water_sound_speed: Any = None,
    reference: str = "auto",
    pairs: Any = None,
    onset: float = 0.0,
    outliers: bool = True,
    **options: Any,
) -> Picks:
    """Travel times through an object: distance / sound speed of water + (pick - pick of the same pair in water).

    Parameters
    ----------
    channel_data : ChannelData
        Transmits of single elements.
    water : ChannelData, optional
        Shots through water by the same array; one transmit suffices.
    method : str, optional
        Of `match_first_arrivals` ("onset_match", the default, "cross_correlation") or of `pick_first_arrivals`
        ("aic", "energy_ratio", "sta_lta", "threshold").
    sound_speed : float, optional [m/s]
        Of the water around the object; default that of the data.
    water_sound_speed : float or (n water transmits,), optional [m/s]
        While the shots through water were recorded: their temperature may have been another. Default `sound_speed`
        where that is given, else that of `water`.
    reference : {"auto", "pair", "distance"}
        What an object's pick is compared with: "pair", the same pair's in water, which removes errors of position
        and delay too; or "distance", what all picks in water say about that distance. "auto" takes pairs where
        `water` holds every transmit of `channel_data`. Without water shots
        the lag is `onset`, and what a picker adds to that stays in the times, alike in all of them.
    pairs : (n_tx, n_rx) bool, optional
        Which to pick; default all.
    onset : float [s]
        When the pulse starts to leave the emitter (`pulse_onset`).
    outliers : bool
        Whether `reject_outliers` looks at the times.
    **options
        Of the picking function, for object and water alike.

    Returns
    -------
    Picks
        Of the object, with travel times that are free of the picker's lag.

    Raises
    ------
    ArgumentError
        Another array or sampling frequency in water, no arrival in water, wrong units.
    """
    method = option("method", method or MATCHERS[0], (*MATCHERS, *METHODS))
    option("reference", reference, ("auto", "pair", "distance"))
    _, wanted, distance = picking_input(channel_data, pairs, 0)
    c = scalar("sound_speed", channel_data.sound_speed if sound_speed is None else sound_speed, 300.0, 12000.0, "m/s")
    options = {**options, "method": method, "sound_speed": c, "onset": onset}
    if water is None:
        if method in MATCHERS:
            times = match_first_arrivals(channel_data, pairs=wanted, **options)
        else:
            picks = pick_first_arrivals(channel_data, pairs=wanted, **options)
            times = _corrected(picks, PickBias.constant(onset)(distance))
    else:
        if water_sound_speed is None:
            water_sound_speed = getattr(water, "sound_speed", c) if sound_speed is None else c
        times = _against_water(channel_data, water, wanted, reference, water_sound_speed, options)
    if not outliers:
        return times
    return reject_outliers(times, emitter_positions(channel_data), channel_data.probe.positions, c)


def _against_water(
    channel_data: ChannelData,
    water: ChannelData,
    wanted: NDArray[np.bool_],
    reference: str,
    water_sound_speed: Any,
    options: dict[str, Any],
) -> Picks:
    distance = pair_distances(emitter_positions(channel_data), channel_data.probe.positions)
    rows = shared_transmits(channel_data, water)
    then = water_speeds(water, water_sound_speed)
    if reference == "pair" and rows is None:
        raise ArgumentError("reference: expected water shots of every transmit for 'pair'; use 'distance'")
    if reference == "distance":
        rows = None
    matching = options["method"] in MATCHERS
    if matching:
        picks = match_first_arrivals(channel_data, water, pairs=wanted, water_sound_speed=then, **options)
    else:
        picks = pick_first_arrivals(channel_data, pairs=wanted, **options)
    if rows is None:
        return picks if matching else _corrected(picks, water_bias(water, distance[wanted], then, options)(distance))
    options = {**_for_water(options), "sound_speed": float(then.mean())}
    chosen = np.zeros((water.n_tx, water.n_rx), bool)  # the same pairs, so that templates are the same
    chosen[rows] = wanted
    if matching:
        same = match_first_arrivals(water, water, pairs=chosen, water_sound_speed=then, **options)
    else:
        same = pick_first_arrivals(water, pairs=chosen, **options)
    apart = pair_distances(emitter_positions(water), water.probe.positions)
    return _corrected(picks, np.where(same.picked, same.time - apart / then[:, None], np.nan)[rows])


def water_bias(
    water: ChannelData, distances: NDArray[np.float64], sound_speed: NDArray[np.float64], options: dict[str, Any]
) -> PickBias:
    """Fit the lag in water, whose speed was (n_tx,), over the distances that the object's pairs have."""
    apart = pair_distances(emitter_positions(water), water.probe.positions)
    near, far = (distances.min() * 0.999, distances.max() * 1.001) if distances.size else (0.0, 4.0)
    use = (apart >= near) & (apart <= far) & (apart > 0)
    mean = float(sound_speed.mean())
    picks = pick_first_arrivals(water, **{**_for_water(options), "sound_speed": mean}, pairs=use)
    drift = apart * (1 / sound_speed[:, None] - 1 / mean)
    return fit_pick_bias(picks.with_(time=picks.time - drift), apart, mean)


def _for_water(options: dict[str, Any]) -> dict[str, Any]:
    """Without what belongs to the object's recording alone."""
    return {name: value for name, value in options.items() if name not in {"windows", "frame"}}


def shared_transmits(channel_data: ChannelData, water: ChannelData) -> NDArray[np.intp] | None:
    """Which transmit of `water` fires the element of each transmit; None if one is missing. Checks the array."""
    if not isinstance(water, ChannelData):
        raise ArgumentError(f"water: expected a ChannelData, got {type(water).__name__}")
    a, b = channel_data.probe.positions, water.probe.positions
    if a.shape != b.shape or np.abs(a - b).max() > 1e-5:
        raise ArgumentError("water: expected the same element positions as the object's")
    if abs(water.sampling_frequency / channel_data.sampling_frequency - 1) > 1e-9:
        raise ArgumentError(
            f"water: expected a sampling frequency of {channel_data.sampling_frequency:g} Hz, "
            f"got {water.sampling_frequency:g}"
        )
    emitter_positions(water)  # refuses several elements
    rows = {t.element: k for k, t in enumerate(water.transmits)}
    found = [rows.get(t.element, -1) for t in channel_data.transmits]
    return None if -1 in found else np.array(found, np.intp)


def _corrected(picks: Picks, lag: NDArray[np.float64]) -> Picks:
    """Take the lag out; a pair without one has no travel time."""
    lost = picks.picked & ~np.isfinite(lag)
    return picks.with_(
        time=np.where(lost, np.nan, picks.time - lag),
        quality=np.where(lost, np.float32(0), picks.quality),
        status=np.where(lost, np.uint8(PickStatus.NO_ARRIVAL), picks.status),
    )
