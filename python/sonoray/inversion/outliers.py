"""Picks that physics, their reciprocal pair or their neighbours contradict, and spectra that stick out."""

from typing import Any

import numpy as np
import scipy.spatial
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..errors import ArgumentError
from .pairs import pair_distances
from .picks import Picks, PickStatus

_CHUNK = 1 << 24  # neighbours looked at in one go


def reject_outliers(
    picks: Picks,
    tx: Any,
    rx: Any,
    sound_speed: float,
    *,
    spread: float = 150.0,
    neighbours: int = 2,
    threshold: float = 6.0,
    tolerance: float = 2e-7,
) -> Picks:
    """Mark travel times that cannot be right; none is replaced.

    In this order: mean speeds along the ray beyond `spread` of the water's; the worse of two reciprocal times that
    differ by more than `tolerance`; and times whose delay against water differs from the median of the neighbouring
    pairs' delays by more than `threshold` standard deviations and more than `tolerance`. Neighbours are the pairs of
    the nearest emitters and the nearest receivers, wherever those lie, so that the order of elements does not matter.
    The standard deviation is 1.4826 times the median absolute deviation, the larger one of the neighbourhood's and
    of all pairs'.

    Parameters
    ----------
    picks : Picks
        Travel times, free of the picker's lag (`pick_travel_times`).
    tx : (n_tx, 3) float64 [m]
    rx : (n_rx, 3) float64 [m]
    sound_speed : float [m/s]
        Of water.
    spread : float [m/s]
    neighbours : int
        Looked at on either side: the 2 n + 1 nearest emitters times the 2 n + 1 nearest receivers.
    threshold : float
    tolerance : float [s]
        Differences up to this are never held against a pick.

    Returns
    -------
    Picks
        With statuses `outlier`, whose quality is 0.

    Raises
    ------
    ArgumentError
        Positions that do not fit the picks, wrong units.

    References
    ----------
    .. [1] C. Li, L. Huang, N. Duric, H. Zhang, C. Rowe, An improved automatic time-of-flight picker for medical
       ultrasound tomography, Ultrasonics 49, 61 (2009): median filter and reciprocal pairs.
    """
    distance = pair_distances(tx, rx)
    if distance.shape != picks.shape:
        raise ArgumentError(f"tx, rx: expected {picks.shape[0]} and {picks.shape[1]} positions, got {distance.shape}")
    c = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    half = scalar("spread", spread, 0.0, 0.5 * c, "m/s")
    limit = scalar("tolerance", tolerance, 1e-10, 1e-4, "s")
    factor = scalar("threshold", threshold, 1.0, 1e3, "(ratio)")
    n = count("neighbours", neighbours, 1, 20)
    time = np.where(picks.picked, picks.time, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = picks.picked & (np.abs(distance / time - c) > half)
    delay = np.where(wrong, np.nan, time - distance / c)
    near_tx, near_rx = _nearest(array("tx", tx, (None, 3)), n), _nearest(array("rx", rx, (None, 3)), n)
    deviation, scatter = _deviation(delay, near_tx, near_rx)
    worse = _reciprocal(delay, np.asarray(tx), np.asarray(rx), np.abs(deviation), limit)
    wrong |= worse
    if worse.any():  # the others' neighbourhoods are better without them
        deviation, scatter = _deviation(np.where(worse, np.nan, delay), near_tx, near_rx)
    wrong |= np.abs(deviation) > np.maximum(factor * scatter, limit)  # False where NaN
    return picks.with_(
        quality=np.where(wrong, np.float32(0), picks.quality),
        status=np.where(wrong, np.uint8(PickStatus.OUTLIER), picks.status),
    )


def largest_masked(values: Any, weights: Any, fraction: float = 0.01) -> NDArray[np.float32]:
    """Weights without the largest data of every frequency, whose data are left as they are.

    Parameters
    ----------
    values : (..., n_tx, n_rx) complex64
        Deconvolved or calibrated, such as `Spectra.values`.
    weights : (n_tx, n_rx) or (..., n_tx, n_rx) bool or float32
        Such as `Spectra.pairs`.
    fraction : float
        Of the pairs n that count: round(fraction n) are left out; 0.01 for measurements, 1e-6 for simulations.

    Returns
    -------
    (..., n_tx, n_rx) float32
        0 for an outlier.

    Raises
    ------
    ArgumentError
        Wrong shapes, a fraction beyond 0 to 0.5.
    """
    data, counted = _data(values, weights)
    part = scalar("fraction", fraction, 0.0, 0.5, "(ratio)")
    for at in np.ndindex(*data.shape[:-2]):
        size = np.where(counted[at] > 0, np.abs(data[at]), -1.0).ravel()
        n = round(part * int((size >= 0).sum()))
        if n:
            counted[at].reshape(-1)[np.argpartition(size, -n)[-n:]] = 0
    return counted


def residuals_masked(data: Any, model: Any, weights: Any, threshold: float = 4.0) -> NDArray[np.float32]:
    """Weights without the data that a model contradicts, by robust standard deviations of every frequency.

    Parameters
    ----------
    data, model : (..., n_tx, n_rx) complex64
    weights : (n_tx, n_rx) or (..., n_tx, n_rx) bool or float32
    threshold : float
        Residuals larger than this many standard deviations (median magnitude / sqrt(ln 2)) are left out. Of complex
        noise, exp(-threshold^2) go with them: 1e-7 at 4.

    Returns
    -------
    (..., n_tx, n_rx) float32
        0 for an outlier.

    Raises
    ------
    ArgumentError
        Wrong shapes, a threshold beyond 1 to 1000.
    """
    measured, counted = _data(data, weights)
    predicted = np.asarray(model)
    if predicted.shape != measured.shape:
        raise ArgumentError(f"model: expected shape {measured.shape}, got {predicted.shape}")
    limit = scalar("threshold", threshold, 1.0, 1e3, "(ratio)")
    for at in np.ndindex(*measured.shape[:-2]):
        size = np.abs(measured[at] - predicted[at])
        used = size[counted[at] > 0]
        if used.size:
            counted[at][size > limit * np.median(used) / np.sqrt(np.log(2.0))] = 0
    return counted


def _data(values: Any, weights: Any) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Values and a fresh array of their weights."""
    data, given = np.asarray(values), np.asarray(weights)
    if data.ndim < 2:
        raise ArgumentError(f"values: expected shape (..., n_tx, n_rx), got {data.shape}")
    if given.shape not in {data.shape, data.shape[-2:]}:
        raise ArgumentError(f"weights: expected shape {data.shape} or {data.shape[-2:]}, got {given.shape}")
    return data, np.broadcast_to(given, data.shape).astype(np.float32, order="C")


def _nearest(points: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """The 2 n nearest other points of each point, (n_points, up to 2 n)."""
    k = min(2 * n + 1, len(points))
    found = scipy.spatial.cKDTree(points).query(points, k=k)[1].reshape(len(points), k)
    return np.asarray(found, np.intp)


def _deviation(
    delay: NDArray[np.float64], near_tx: NDArray[np.intp], near_rx: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Difference of each delay from the median of its neighbours', NaN without enough of them; standard deviation."""
    n_tx, n_rx = delay.shape
    deviation, scatter = np.full(delay.shape, np.nan), np.zeros(delay.shape)
    size = near_tx.shape[1] * near_rx.shape[1]
    own = (near_tx == np.arange(n_tx)[:, None])[:, None, :, None] & (near_rx == np.arange(n_rx)[:, None])[None, :, None]
    step = max(1, _CHUNK // (n_rx * size))
    for k in range(0, n_tx, step):
        rows = slice(k, min(k + step, n_tx))
        around = delay[near_tx[rows][:, None, :, None], near_rx[None, :, None, :]]
        around = np.where(own[rows], np.nan, around).reshape(-1, n_rx, size)
        enough = np.isfinite(around).sum(axis=2) >= max(3, size // 4)
        if not enough.any():
            continue
        middle = np.nanmedian(around[enough], axis=1)
        deviation[rows][enough] = delay[rows][enough] - middle
        scatter[rows][enough] = 1.4826 * np.nanmedian(np.abs(around[enough] - middle[:, None]), axis=1)
    overall = np.abs(deviation[np.isfinite(deviation)])
    return deviation, np.maximum(scatter, 1.4826 * float(np.median(overall)) if overall.size else 0.0)


def _reciprocal(
    delay: NDArray[np.float64], tx: NDArray[Any], rx: NDArray[Any], deviation: NDArray[np.float64], limit: float
) -> NDArray[np.bool_]:
    """Of two times between the same positions that differ by more than the limit, the one that fits less."""
    gap, nearest = scipy.spatial.cKDTree(rx).query(tx)
    element = np.where(gap < 1e-6, nearest, -1)  # receiver where each emitter is
    emitter = np.full(len(rx), -1)
    emitter[element[element >= 0]] = np.flatnonzero(element >= 0)
    worse = np.zeros(delay.shape, bool)
    e, r = np.nonzero((element >= 0)[:, None] & (emitter >= 0)[None])
    back = emitter[r], element[e]
    differ = np.abs(delay[e, r] - delay[back]) > limit
    fit, fit_back = (np.nan_to_num(d, nan=np.inf) for d in (deviation[e, r], deviation[back]))
    worse[e[differ & (fit >= fit_back)], r[differ & (fit >= fit_back)]] = True
    return worse
