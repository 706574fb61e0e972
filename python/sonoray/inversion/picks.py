"""Picks: one first-arrival time per transmit-receive pair, with what it is worth."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze
from ..errors import ArgumentError


class PickStatus(IntEnum):
    """What became of a pair."""

    PICKED = 0  #: it has a time
    SKIPPED = 1  #: not asked for
    DEAD = 2  #: the trace is constant or not finite
    NO_ARRIVAL = 3  #: the expected window lies outside the record, or nothing rises out of the noise in it
    EDGE = 4  #: the best sample is the first or the last one that was searched
    OUTLIER = 5  #: it has a time, which its neighbours, its reciprocal pair or physics contradict


_WITH_TIME = (PickStatus.PICKED, PickStatus.OUTLIER)


@dataclass(frozen=True, eq=False, repr=False)
class Picks:
    """First arrivals of every transmit-receive pair.

    Parameters
    ----------
    time : (n_tx, n_rx) float64 [s]
        NaN where there is none. Outliers keep their time.
    quality : (n_tx, n_rx) float32
        0 to 1: how far the arrival rises out of what precedes it, and how sharply it is located; 0 without a time.
    status : (n_tx, n_rx) uint8
        `PickStatus`.
    method : str
        How they were made.

    Raises
    ------
    ArgumentError
        Shapes that differ, unknown status, a time without status or the other way round, quality outside 0 to 1,
        microseconds.
    """

    time: NDArray[np.float64]
    quality: NDArray[np.float32]
    status: NDArray[np.uint8]
    method: str

    def __post_init__(self) -> None:
        time = np.ascontiguousarray(self.time, np.float64)
        if time.ndim != 2:
            raise ArgumentError(f"time: expected shape (n_tx, n_rx), got {time.shape}")
        quality = array("quality", self.quality, time.shape, np.float32, low=0.0, high=1.0, unit="(ratio)")
        status = array("status", self.status, time.shape, np.uint8)
        if status.size and status.max() > max(PickStatus):
            raise ArgumentError(f"status: expected 0 to {max(PickStatus):d}, got {status.max()}")
        with_time = np.isin(status, _WITH_TIME)
        if (np.isfinite(time) != with_time).any():
            at = tuple(int(i) for i in np.argwhere(np.isfinite(time) != with_time)[0])
            raise ArgumentError(
                f"time: expected finite where picked or outlier and NaN elsewhere, got {time[at]} at {at}"
            )
        if with_time.any() and np.abs(time[with_time]).max() > 1.0:
            raise ArgumentError(
                f"time: expected at most 1 s, got {np.abs(time[with_time]).max():g}; is it really in s?"
            )
        for name, value in (("time", time), ("quality", quality), ("status", status)):
            object.__setattr__(self, name, freeze(value))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_tx, n_rx)."""
        return (int(self.time.shape[0]), int(self.time.shape[1]))

    @property
    def picked(self) -> NDArray[np.bool_]:
        """Pairs with a trustworthy time, (n_tx, n_rx) bool."""
        return np.asarray(self.status == PickStatus.PICKED)

    def counts(self) -> dict[str, int]:
        """How many pairs have each status, by its name in lower case."""
        return {s.name.lower(): int((self.status == s).sum()) for s in PickStatus}

    def difference(self, water: Any) -> NDArray[np.float64]:
        """Delay against the picks of the same pairs in water.

        A picker's systematic lag after the true onset is the same in both and drops out.

        Parameters
        ----------
        water : Picks or (n_tx, n_rx) float64 [s]
            Picked by the same method, or computed (`PickBias.times`).

        Returns
        -------
        (n_tx, n_rx) float64 [s]
            NaN where either has no trustworthy time.

        Raises
        ------
        ArgumentError
            Another shape, another method, microseconds.
        """
        if isinstance(water, Picks):
            if water.method != self.method:
                raise ArgumentError(f"water: expected picks by {self.method!r}, got {water.method!r}")
            reference = np.where(water.picked, water.time, np.nan)
        else:
            reference = np.asarray(water, np.float64)
            if (np.abs(reference) > 1.0).any():
                raise ArgumentError("water: expected at most 1 s; is it really in s?")
        if reference.shape != self.time.shape:
            raise ArgumentError(f"water: expected shape {self.time.shape}, got {reference.shape}")
        return np.asarray(np.where(self.picked, self.time, np.nan) - reference)

    def with_(self, **changes: Any) -> "Picks":
        """Return a copy with some fields replaced, checked anew."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        found = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in self.counts().items() if n)
        return f"Picks({self.shape[0]} x {self.shape[1]} by {self.method!r}: {found})"
