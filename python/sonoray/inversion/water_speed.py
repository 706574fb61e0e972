"""The sound speed of the water, from a shot through it."""

from typing import Any

import numpy as np

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .calibration import fit_pick_bias
from .pairs import emitter_positions, pair_distances
from .picking import pick_first_arrivals, pulse_samples
from .windows import expected_windows

_ROUNDS = 5  # windows follow the speed; it settles in two or three


def measure_water_speed(
    water: ChannelData, *, sound_speed: float | None = None, spread: float = 60.0, onset: float = 0.0, **options: Any
) -> float:
    """Sound speed at which arrivals through water lie on a straight line over distance.

    The slope of the line counts, so neither the onset of the pulse nor the lag of the picker matter; a wrong scale of
    the element positions does. Arrivals are where half of the largest magnitude is exceeded,
    which noise moves little and amplitude not at all; pairs nearer than 0.3 of the largest distance are left out.

    Parameters
    ----------
    water : ChannelData
        Transmits of single elements; one suffices where receivers lie at different distances.
    sound_speed : float, optional [m/s]
        First guess; default that of the data.
    spread : float [m/s]
        Speeds this far from the guess are sought.
    onset : float [s]
        When the pulse starts to leave the emitter, within a pulse's duration.
    **options
        Of `pick_first_arrivals`.

    Returns
    -------
    float [m/s]

    Raises
    ------
    ArgumentError
        Fewer than four distances with an arrival, or ones that are all alike; nothing between the limits.
    """
    guess = scalar("sound_speed", water.sound_speed if sound_speed is None else sound_speed, 300.0, 12000.0, "m/s")
    distance = pair_distances(emitter_positions(water), water.probe.positions)
    pairs = distance > 0.3 * distance.max()
    options = {"method": "threshold", "threshold": 0.5, **options}
    length = pulse_samples(water, options.get("pulse_duration")) / water.sampling_frequency
    c, width = guess, spread
    for _ in range(_ROUNDS):
        first, last = expected_windows(distance, c, width, onset=onset)
        windows = first, last + length  # the whole pulse, so that its largest magnitude is the same at all distances
        picks = pick_first_arrivals(water, windows=windows, pairs=pairs, **options)
        used = distance[picks.picked]
        if used.size < 4 or np.ptp(used) < 0.05 * distance.max():
            raise ArgumentError(
                f"water: expected arrivals at four or more distances, got {used.size} of {pairs.sum()} pairs"
            )
        bias = fit_pick_bias(picks, distance, c, degree=1)
        slope = 2 * bias.coefficients[1] / (bias.furthest - bias.nearest) if len(bias.coefficients) > 1 else 0.0
        previous, c = c, 1 / (1 / c + slope)
        if not abs(c - guess) <= spread:
            raise ArgumentError(
                f"sound_speed: expected one within {spread:g} m/s of the water's, got {guess:g}; arrivals say {c:.1f}"
            )
        if abs(c - previous) < 1e-3:
            break
        width = max(0.5 * width, 15.0)
    return float(c)
