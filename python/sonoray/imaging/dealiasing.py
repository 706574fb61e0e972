"""Velocities beyond the Nyquist velocity: two repetition rates, displacements, continuity in space."""

from fractions import Fraction
from typing import Any

import numpy as np
import scipy  # loads ndimage and sparse when they are first used
from numpy.typing import NDArray

from .._checks import array, count, pair, scalar
from ..errors import ArgumentError
from . import doppler_checks
from .doppler import doppler_velocity, nyquist_velocity
from .slow_time import averaging_window
from .wall_filters import PolynomialFilter, WallFilter, apply_wall_filter

_LARGEST_TERM = 16  # of the ratio of two Nyquist velocities


def dual_rate_velocity(
    first: Any, second: Any, first_nyquist: float, second_nyquist: float, *, limit: float | None = None
) -> NDArray[np.float32]:
    """Velocity from two aliased ones of different repetition rates (or frequencies).

    Of all v = v_1 + 2 p v_n1 up to the limit the one is taken that some v_2 + 2 q v_n2 comes closest to, as the Chinese
    remainder theorem would for exact values; then both are averaged, each weighted by its accuracy, 1 / v_n^2.

    Parameters
    ----------
    first, second : (...) float [m/s]
        From `doppler_velocity`.
    first_nyquist, second_nyquist : float [m/s]
        Their `nyquist_velocity`.
    limit : float, optional [m/s]
        Largest speed looked for. Default: where the pair itself becomes ambiguous, m v_n1 = n v_n2 for
        v_n1 / v_n2 = n / m in lowest terms.

    Returns
    -------
    (...) float32 [m/s]
        Wrong by multiples of 2 v_n where errors of v_1 and v_2 together exceed v_n1 / n: ratios of small numbers, such
        as 3 : 4, bear more noise, ratios of larger ones reach further.

    Raises
    ------
    ArgumentError
        Shapes differ, NaN, speeds beyond their Nyquist velocity, equal Nyquist velocities, a limit that is ambiguous.

    References
    ----------
    .. [1] D. S. Zrnić, P. Mahapatra, Two methods of ambiguity resolution in pulse Doppler weather radars, IEEE Trans.
       Aerosp. Electron. Syst. 21, 470 (1985).
    .. [2] D. Posada et al., Staggered multiple-PRF ultrafast color Doppler, IEEE Trans. Med. Imaging 35, 1510 (2016).
    """
    n1 = doppler_checks.nyquist(first_nyquist, "first_nyquist")
    n2 = doppler_checks.nyquist(second_nyquist, "second_nyquist")
    v1, v2 = _velocities("first", first, n1), _velocities("second", second, n2)
    if v1.shape != v2.shape:
        raise ArgumentError(f"second: expected shape {v1.shape}, got {v2.shape}")
    ratio = Fraction(n1 / n2).limit_denominator(_LARGEST_TERM)
    if ratio in (0, 1):
        raise ArgumentError(f"second_nyquist: expected one in a clear ratio to {n1:g} m/s, not 1, got {n2:g} m/s")
    reach = ratio.denominator * n1
    end = reach if limit is None else scalar("limit", limit, 1e-6, 1e5, "m/s")
    if end > 1.001 * reach:
        raise ArgumentError(f"limit: expected at most {reach:g} m/s, where this pair is ambiguous, got {end:g} m/s")
    best, mismatch = np.array(v1), np.full(v1.shape, np.inf)
    furthest = int(np.ceil((end / n1 + 1) / 2))
    for p in sorted(range(-furthest, furthest + 1), key=abs):  # of equals the slowest wins
        candidate = v1 + 2 * p * n1
        off = (candidate - v2 + n2) % (2 * n2) - n2
        closer = (np.abs(off) < mismatch - 1e-6 * n1) & (np.abs(candidate) <= end + 1e-6 * n1)
        mismatch[closer] = np.abs(off)[closer]
        # off = v - v': the mean of both, weighted by 1 / v_n^2
        best[closer] = (candidate - off * n1**2 / (n1**2 + n2**2))[closer]
    return np.asarray(best, np.float32)


def staggered_velocity(
    iq: Any,
    center_frequency: float,
    intervals: tuple[float, float],
    sound_speed: float = 1540.0,
    *,
    wall_filter: WallFilter | None = None,
    average: Any = 1,
    limit: float | None = None,
) -> NDArray[np.float32]:
    """Velocity from frames taken in turns after a shorter and a longer interval: T1, T2, T1, T2, ...

    Lag-one phases of both kinds of pairs make two aliased velocities for `dual_rate_velocity`.

    Parameters
    ----------
    iq : (n_frames, ...) complex64
    center_frequency : float [Hz]
    intervals : (T1, T2) [s]
        Between frames 0 and 1, and 1 and 2.
    sound_speed : float [m/s]
    wall_filter, average
        As for `doppler_velocity`. A number is the order of a polynomial in the true times; of other filters only those
        that do not ask for even times make sense (`SvdFilter`).
    limit : float, optional [m/s]

    Returns
    -------
    (...) float32 [m/s]

    Raises
    ------
    ArgumentError
        Fewer than three frames, and as for `doppler_velocity` and `dual_rate_velocity`.
    """
    waits = np.array(pair("intervals", intervals), float)
    rates = [1 / scalar("intervals", wait, 1e-6, 1e3, "s") for wait in waits]
    if wall_filter is not None and not callable(wall_filter):
        wall_filter = PolynomialFilter(wall_filter, np.r_[0, np.cumsum(np.resize(waits, max(len(iq) - 1, 1)))])
    frames = apply_wall_filter(iq, wall_filter)
    if len(frames) < 3:
        raise ArgumentError(f"iq: expected three frames or more, got {len(frames)}")
    limits = [nyquist_velocity(center_frequency, rate, sound_speed) for rate in rates]
    window, found = averaging_window(average, frames.shape[1:]), []
    for k in (0, 1):
        later = frames[k + 1 :: 2]
        product = np.einsum("n...,n...->...", later, frames[k::2][: len(later)].conj())
        product = scipy.ndimage.uniform_filter(product, window, mode="nearest")
        found.append(np.angle(product) * (limits[k] / np.pi))
    return dual_rate_velocity(found[0], found[1], limits[0], limits[1], limit=limit)


def displacement_velocity(
    iq: Any,
    center_frequency: float,
    frame_rate: float,
    spacing: float,
    sound_speed: float = 1540.0,
    *,
    wall_filter: WallFilter | None = None,
    average: Any = 1,
    check: Any = 9,
    factor: int = 3,
    axis: int = -1,
) -> NDArray[np.float32]:
    """Velocity by phase, its multiple of 2 v_nyquist by how far the echoes moved: extended autocorrelation.

    Lag one leaves v_k = v_1 + 2 k v_n open. In the time between frames each moves echoes by another v_k / frame_rate,
    half a wavelength apart; the k is taken whose shift makes consecutive frames correlate best.

    Parameters
    ----------
    iq : (n_frames, ...) complex64
        I/Q images with depth along ``axis``.
    center_frequency, frame_rate, sound_speed, wall_filter, average
        As for `doppler_velocity`.
    spacing : float [m]
        Of the points along depth; at most a quarter of a wavelength.
    check : int or tuple of int
        Points along each image axis over which correlations are averaged. Short pulses need few.
    factor : int
        Speeds up to (factor) v_nyquist are looked for.
    axis : int
        Of depth among the image's axes.

    Returns
    -------
    (...) float32 [m/s]
        Positive towards the probe, in (-factor v_nyquist, factor v_nyquist].

    Raises
    ------
    ArgumentError
        Points too far apart, too few of them for the largest shift, and as for `doppler_velocity`.

    References
    ----------
    .. [1] X. Lai, H. Torp, K. Kristoffersen, An extended autocorrelation method for estimation of blood velocity, IEEE
       Trans. UFFC 44, 1332 (1997).
    """
    limit = nyquist_velocity(center_frequency, frame_rate, sound_speed)
    frames = apply_wall_filter(iq, wall_filter)
    shape = frames.shape[1:]
    largest = count("factor", factor, 2, 100)
    if not -len(shape) <= axis < len(shape):
        raise ArgumentError(f"axis: expected one of the image's {len(shape)} axes, got {axis}")
    quarter = sound_speed / center_frequency / 4
    step = scalar("spacing", spacing, 1e-9, 1.0, "m")
    if step > quarter * 1.001:
        raise ArgumentError(f"spacing: expected at most a quarter of a wavelength, {quarter:.3g} m, got {step:g} m")
    shifts = int(np.ceil(largest * limit / frame_rate / step)) + 1
    if shifts >= shape[axis]:
        raise ArgumentError(f"factor: expected shifts below the image's {shape[axis]} points of depth, got {shifts}")
    depth_last = np.moveaxis(frames, 1 + axis % len(shape), -1)
    window = averaging_window(check, shape)
    window = (*(w for k, w in enumerate(window) if k != axis % len(shape)), window[axis])
    likeness = np.stack([_likeness(depth_last, m, window) for m in range(-shifts, shifts + 1)])
    slow = doppler_velocity(frames, center_frequency, frame_rate, sound_speed, average=average)
    slow = np.moveaxis(slow, axis, -1).astype("f8")
    best, highest = slow.copy(), np.full(slow.shape, -np.inf)
    furthest = (largest + 1) // 2
    for k in sorted(range(-furthest, furthest + 1), key=abs):
        candidate = slow + 2 * k * limit
        place = np.clip(candidate / frame_rate / step + shifts, 0, 2 * shifts - 1e-6)
        low = place.astype(int)[None]
        here, after = (np.take_along_axis(likeness, low + j, 0)[0] for j in (0, 1))
        value = here + (place - low[0]) * (after - here)
        closer = (value > highest) & (np.abs(candidate) <= largest * limit)
        highest[closer], best[closer] = value[closer], candidate[closer]
    return np.asarray(np.moveaxis(best, -1, axis), np.float32)


def unwrap_velocity(velocity: Any, nyquist: float, *, visible: Any = None) -> NDArray[np.float32]:
    """Aliased velocity made continuous in space: multiples of 2 v_nyquist are added, point by point.

    Neighbours are joined in the order of how little their velocities differ (a minimum spanning tree, [1]_), so that a
    noisy border is crossed last and errors do not spread. What a connected region has in common is chosen so that most
    of its border, where flow is slow, keeps its velocity; without a border most of the region.

    Parameters
    ----------
    velocity : (...) float [m/s]
        From `doppler_velocity`; any number of axes.
    nyquist : float [m/s]
    visible : (...) bool, optional
        Where there is flow, such as ``power > threshold``; elsewhere the velocity stays as it is.

    Returns
    -------
    (...) float32 [m/s]

    Raises
    ------
    ArgumentError
        NaN, speeds beyond the Nyquist velocity, a mask of another shape.

    References
    ----------
    .. [1] D. C. Ghiglia, M. D. Pritt, Two-Dimensional Phase Unwrapping, Wiley (1998): quality-guided paths.
    """
    turn = 2 * doppler_checks.nyquist(nyquist)
    speeds = _velocities("velocity", velocity, turn / 2)
    mask = np.ones(speeds.shape, bool) if visible is None else np.asarray(visible)
    if mask.shape != speeds.shape or mask.dtype != bool:
        raise ArgumentError(f"visible: expected bool of shape {speeds.shape}, got {mask.dtype} {mask.shape}")
    if not mask.any():
        return speeds.astype("f4")
    number = np.full(speeds.shape, -1)
    number[mask] = np.arange(mask.sum())
    flat = speeds[mask]
    links = []
    border = np.zeros(speeds.shape, bool)
    for axis in range(speeds.ndim):
        low, high = np.moveaxis(number, axis, 0)[:-1], np.moveaxis(number, axis, 0)[1:]
        joined = (low >= 0) & (high >= 0)
        links.append(np.stack([low[joined], high[joined]]))
        edge = np.moveaxis(border, axis, 0)  # a view
        edge[:-1] |= (low >= 0) & (high < 0)
        edge[1:] |= (high >= 0) & (low < 0)
    turns, region = _turns(flat / turn, np.concatenate(links, axis=1))
    on_border = border[mask]
    regions = np.arange(region.max() + 1)
    common = scipy.ndimage.median(turns, region, regions)
    edged = np.isin(regions, region[on_border])
    if edged.any():
        common[edged] = scipy.ndimage.median(turns[on_border], region[on_border], regions[edged])
    result = speeds.copy()
    result[mask] += turn * (turns - np.round(common)[region])
    return result.astype("f4")


def _turns(values: NDArray[np.float64], links: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers that make values continuous along the tree of the smallest steps; which region each belongs to."""
    n = len(values)
    csgraph = scipy.sparse.csgraph
    step = values[links[1]] - values[links[0]]
    cost = np.abs(step - np.round(step)) + 1e-9  # 0 would be no link
    graph = scipy.sparse.coo_matrix((cost, (links[0], links[1])), (n, n)).tocsr()
    region = csgraph.connected_components(graph, directed=False)[1]
    first = np.unique(region, return_index=True)[1]
    # One root above all regions makes a single tree of them.
    tree = csgraph.minimum_spanning_tree(graph).tocoo()
    rows, columns = np.r_[tree.row, np.full(len(first), n)], np.r_[tree.col, first]
    whole = scipy.sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (n + 1, n + 1)).tocsr()
    parent = csgraph.breadth_first_order(whole, n, directed=False)[1]
    parent[n] = n
    parent = parent.astype(np.int64)
    padded = np.r_[values, 0.0]
    turns = np.round(padded[parent] - padded).astype(np.int64)
    turns[first], turns[n] = 0, 0
    while (parent != n).any():  # each round doubles how far up the tree a point has looked
        turns, parent = turns + turns[parent], parent[parent]
    return turns[:n], region


def _likeness(frames: NDArray[np.complex64], shift: int, window: tuple[int, ...]) -> NDArray[np.float32]:
    """Correlation of each frame with the next one, there ``shift`` points nearer the probe; depth is the last axis."""
    n = frames.shape[-1]
    before, after = slice(max(shift, 0), n + min(shift, 0)), slice(max(-shift, 0), n + min(-shift, 0))
    early, late = frames[:-1, ..., before], frames[1:, ..., after]
    sums = np.zeros((3, *frames.shape[1:]), "c8")
    sums[0][..., before] = np.einsum("n...,n...->...", late, early.conj())
    for row, part in ((1, early), (2, late)):
        sums[row][..., before] = np.einsum("n...,n...->...", part.real, part.real)
        sums[row][..., before] += np.einsum("n...,n...->...", part.imag, part.imag)
    sums = scipy.ndimage.uniform_filter(sums, (1, *window), mode="constant")
    scale = np.sqrt(np.maximum(sums[1].real * sums[2].real, np.finfo("f4").tiny))
    return np.asarray(np.abs(sums[0]) / scale, np.float32)


def _velocities(name: str, values: Any, nyquist: float) -> NDArray[np.float64]:
    result = np.asarray(values)
    if result.dtype.kind != "f":
        raise ArgumentError(f"{name}: expected real velocities in m/s, got {result.dtype}")
    speeds = array(name, result, result.shape)
    if speeds.size and np.abs(speeds).max() > 1.001 * nyquist:
        raise ArgumentError(
            f"{name}: expected at most the Nyquist velocity {nyquist:g} m/s, got {np.abs(speeds).max():g}"
        )
    return speeds
