"""What a linker finds: one ray per emitter and receiver, and what became of the pairs without one."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .paths import Paths


class PairStatus(IntEnum):
    """What became of a pair of an emitter and a receiver."""

    LINKED = 0  #: a ray meets the receiver within the tolerance
    SKIPPED = 1  #: not asked for, or both elements lie at the same point
    SHADOW = 2  #: no ray of the fan passes on either side, and none was found from the nearest one
    NOT_CONVERGED = 3  #: the limit on traces was reached
    LEFT_GRID = 4  #: the only ray found runs outside the grid, where the medium is not known


@dataclass(frozen=True, eq=False, repr=False)
class LaterArrivals:
    """Rays that arrive after the first one, ordered by pair and time.

    Parameters
    ----------
    pair : (n, 2) int64
        Emitter and receiver.
    time : (n,) float64 [s]
    take_off, arrival : (n, 3) float64
        Unit vectors of travel at the emitter and at the receiver.
    spreading : (n,) float64 [m/rad in 2-D, m^2/sr in 3-D]
    caustics : (n,) int32
    """

    pair: NDArray[np.int64]
    time: NDArray[np.float64]
    take_off: NDArray[np.float64]
    arrival: NDArray[np.float64]
    spreading: NDArray[np.float64]
    caustics: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"LaterArrivals({len(self)} rays)"


@dataclass(frozen=True, eq=False, repr=False)
class LinkedRays:
    """Rays between emitters and receivers; the first arrival where there are several.

    Parameters
    ----------
    time : (n_tx, n_rx) float64 [s]
        NaN where `status` is not LINKED, as in all floats below.
    take_off, arrival : (n_tx, n_rx, 3) float64
        Unit vectors of travel at the emitter and at the receiver.
    spreading : (n_tx, n_rx) float64 [m/rad in 2-D, m^2/sr in 3-D]
        Width (area) of the ray tube per unit of take-off angle, positive: the distance (its square) in a homogeneous
        medium. Divided by the refractive index at the emitter (its square) it is reciprocal.
    caustics : (n_tx, n_rx) int32
        How often neighbouring rays have crossed on the way (KMAH index).
    status : (n_tx, n_rx) uint8
        `PairStatus`.
    traces : (n_tx, n_rx) int32
        Rays traced for this pair alone.
    fan_traces : int
        Rays traced for all pairs together, to find out where to start.
    later : LaterArrivals or None
        The other arrivals, where asked for.
    paths : Paths or None
        One per pair in C order, where asked for; failed and unwanted pairs have no nodes.
    """

    time: NDArray[np.float64]
    take_off: NDArray[np.float64]
    arrival: NDArray[np.float64]
    spreading: NDArray[np.float64]
    caustics: NDArray[np.int32]
    status: NDArray[np.uint8]
    traces: NDArray[np.int32]
    fan_traces: int
    later: LaterArrivals | None = None
    paths: Paths | None = None

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Which pairs have a ray, (n_tx, n_rx)."""
        return np.asarray(self.status == PairStatus.LINKED)

    @property
    def mean_traces(self) -> float:
        """Rays traced per wanted pair, the fan's included."""
        wanted = int((self.status != PairStatus.SKIPPED).sum())
        return (self.fan_traces + int(self.traces.sum())) / wanted if wanted else 0.0

    def counts(self) -> dict[str, int]:
        """Number of pairs of each status, by name."""
        return {s.name.lower(): int((self.status == s).sum()) for s in PairStatus}

    def __repr__(self) -> str:
        found = ", ".join(f"{n} {name}" for name, n in self.counts().items() if n)
        return f"LinkedRays({self.time.shape[0]} x {self.time.shape[1]} pairs: {found or 'none'})"
