"""When an arrival is expected: between the fastest and the slowest straight ray."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError


def expected_windows(
    distance: Any, sound_speed: float, spread: float = 50.0, *, onset: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last time at which an arrival is plausible.

    Parameters
    ----------
    distance : (n_tx, n_rx) float64 [m]
    sound_speed : float [m/s]
        Of water.
    spread : float [m/s]
        Mean speeds along the ray from sound_speed - spread to sound_speed + spread are expected.
    onset : float [s]
        When the pulse starts to leave the emitter.

    Returns
    -------
    first, last : (n_tx, n_rx) float64 [s]

    Raises
    ------
    ArgumentError
        A spread that reaches half the speed, NaN, wrong units.
    """
    d = np.asarray(distance)
    d = array("distance", d, (None, None), low=0.0, high=4.0, unit="m")
    c = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    half = scalar("spread", spread, 0.0, 0.5 * c, "m/s")
    begin = scalar("onset", onset, -1e-2, 1e-1, "s")
    return begin + d / (c + half), begin + d / (c - half)


def window_samples(
    windows: tuple[Any, Any], start_time: NDArray[np.float64], sampling_frequency: float, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Windows in samples from the first one of each record; start_time is (n_tx,) [s]."""
    first, last = (
        array(n, w, shape, low=-1.0, high=1.0, unit="s") for n, w in zip(("first", "last"), windows, strict=True)
    )
    if (first > last).any():
        at = tuple(int(i) for i in np.argwhere(first > last)[0])
        raise ArgumentError(f"windows: expected first <= last, got {first[at]:g} to {last[at]:g} s at {at}")
    return (first - start_time[:, None]) * sampling_frequency, (last - start_time[:, None]) * sampling_frequency
