"""What a picker adds to the true arrival, learnt from a shot through water."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..errors import ArgumentError
from .picks import Picks

_ROUNDS = 30  # of reweighting; it settles in about ten


@dataclass(frozen=True, eq=False)
class PickBias:
    """Lag of a picker behind distance / sound speed, a smooth function of distance.

    Noise, and the fall of amplitude with distance, make it vary; single picks scatter about it. Made by
    `fit_pick_bias` or, where there is no water shot, `PickBias.constant`.

    Parameters
    ----------
    coefficients : tuple of float [s]
        Of the polynomial, lowest power first, in u = -1 at `nearest` to 1 at `furthest`.
    nearest, furthest : float [m]
        Distances between which it was fitted; beyond them it keeps its value there.
    scatter : float [s]
        Standard deviation of single picks about it (from the median absolute deviation).
    """

    coefficients: tuple[float, ...]
    nearest: float
    furthest: float
    scatter: float

    @classmethod
    def constant(cls, lag: float = 0.0) -> "PickBias":
        """The same lag [s] at all distances, such as the onset of the emitted pulse."""
        return cls((scalar("lag", lag, -1e-2, 1e-1, "s"),), 0.0, 1.0, 0.0)

    def __call__(self, distance: Any) -> NDArray[np.float64]:
        """Lag at distances [m]; any shape, [s]."""
        d = np.clip(np.asarray(distance, np.float64), self.nearest, self.furthest)
        width = max(self.furthest - self.nearest, 1e-12)
        return np.asarray(np.polynomial.polynomial.polyval(2 * (d - self.nearest) / width - 1, self.coefficients))

    def times(self, distance: Any, sound_speed: float) -> NDArray[np.float64]:
        """When the picker would pick the wave through water, same shape as distance [s]."""
        c = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
        return np.asarray(np.asarray(distance, np.float64) / c + self(distance))


def fit_pick_bias(picks: Picks, distance: Any, sound_speed: float, *, pairs: Any = None, degree: int = 2) -> PickBias:
    """Fit the lag of picks through water as a polynomial in distance, robustly.

    Iteratively reweighted least squares with Tukey's biweight, from the median: wrong picks do not count.

    Parameters
    ----------
    picks : Picks
        Of shots through water.
    distance : (n_tx, n_rx) float64 [m]
        Between their emitters and receivers.
    sound_speed : float [m/s]
        Of the water.
    pairs : (n_tx, n_rx) bool, optional
        Which to use: those at the distances that matter.
    degree : int
        Of the polynomial; less where few distances differ.

    Returns
    -------
    PickBias

    Raises
    ------
    ArgumentError
        Nothing picked, wrong shapes, wrong units.
    """
    d = array("distance", distance, picks.shape, low=0.0, high=4.0, unit="m")
    c = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    highest = count("degree", degree, 0, 6)
    use = picks.picked if pairs is None else picks.picked & array("pairs", pairs, picks.shape, bool)
    if not use.any():
        raise ArgumentError(f"picks: expected arrivals through water among the wanted pairs, got {picks}")
    x, lag = d[use], picks.time[use] - d[use] / c
    nearest, furthest = float(x.min()), float(x.max())
    # Four picks per coefficient, and no more coefficients than distances.
    distinct = len(np.unique(np.round(x, 6)))
    terms = max(1, min(highest + 1, len(x) // 4, distinct))
    u = 2 * (x - nearest) / max(furthest - nearest, 1e-12) - 1
    basis = np.polynomial.polynomial.polyvander(u, terms - 1)
    fit = np.zeros(terms)
    fit[0] = np.median(lag)
    rest = lag - basis @ fit
    scale = 1.4826 * float(np.median(np.abs(rest)))
    for _ in range(_ROUNDS):
        if scale < 1e-12:
            break
        weight = np.maximum(1 - (rest / (4.685 * scale)) ** 2, 0.0)
        fit = np.linalg.lstsq(basis * weight[:, None], lag * weight, rcond=None)[0]
        rest = lag - basis @ fit
        scale = 1.4826 * float(np.median(np.abs(rest)))
    return PickBias(tuple(float(f) for f in fit), nearest, furthest, scale)
