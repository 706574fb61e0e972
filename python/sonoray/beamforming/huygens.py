"""Arrival of the wave that any set of firing times sends, as the envelope of the elements' waves (Huygens).

The wave of element e is at a point p at phi_p(e) = firing_time(e) + T(e, p). The elements' waves add up where phi_p is
stationary along the aperture: at its minimum in front of a focus (and everywhere if nothing focuses), at its maximum
behind it. Elements sample phi_p; on curves and matrices of elements the extremum between them is found on polynomials
through neighbours. On other surfaces (bowls) the nearest element stands for it, late by up to pitch^2 / (4 |p - e| c).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_GAP = 2.0  # in median spacings: beyond it two elements are not parts of one continuous source
_FLAT_RANGE = 6.0  # in quarter periods: inside the depth of a focus and its waist phi varies by less
_NEAR_RANGE = 12.0  # in quarter periods: pulses further apart than this no longer add up to a beam
_NODES = 5  # quartic: the error is below 0.01 ns from 2 mm of depth on at 0.3 mm pitch


@dataclass(frozen=True, eq=False)
class _Line:
    """Polynomials along one direction of the aperture, around each element: order, nodes and limits."""

    nodes: NDArray[np.intp]  # (n, _NODES) neighbours, the element itself where it has too few
    inverse: NDArray[np.float64]  # (n, _NODES, _NODES) values at the nodes to coefficients of 1, t, t^2 ...
    low: NDArray[np.float64]  # (n,) where the extremum may lie, in t: a neighbour, or half a pitch past the end
    high: NDArray[np.float64]
    near: NDArray[np.intp]  # (n, 2) columns of ``nodes`` that hold the next elements


class Aperture:
    """The firing elements of one transmit: which are neighbours, and how to find extrema between them.

    Parameters
    ----------
    positions : (n, 3) float64 [m]
        Firing elements in the probe's order.
    """

    def __init__(self, positions: NDArray[np.float64]) -> None:
        self.n = len(positions)
        rows_and_columns = _grid_lines(positions)
        if rows_and_columns is not None:
            lines = rows_and_columns
        else:
            lines = [[np.arange(self.n)]] if _is_curve(positions) else []
        self._lines = [_line(positions, members) for members in lines]
        self._curvature = _curvature_weights(positions, surface=len(lines) != 1)

    def sagitta(self, phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """Time by which phi is above its least-squares tangent at the ends of the aperture, (n_points,) [s].

        Positive in front of a focus, negative behind it.
        """
        return np.asarray(phase @ self._curvature)

    def minimum(self, phase: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Smallest value of phi between the elements, (n_points, n) to (n_points,) [s], and whether phi is
        stationary there (rather than at an end of the aperture)."""
        at = phase.argmin(axis=1)
        smallest = np.take_along_axis(phase, at[:, None], axis=1)[:, 0]
        value, stationary = smallest.copy(), np.ones(len(phase), bool)
        for line in self._lines:
            change, inside = _correction(line, phase, at, smallest)
            value += change
            stationary &= inside
        return value, stationary


def wave_arrival(
    aperture: Aperture, phase: NDArray[np.float64], *, focusing: bool, flat_time: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time at which the wave of the whole aperture passes each point.

    Parameters
    ----------
    aperture : Aperture
        Of the n firing elements.
    phase : (n_points, n) float64 [s]
        Firing time plus travel time.
    focusing : bool
        Whether to look for the maximum behind a focus; else the first arrival everywhere.
    flat_time : float [s]
        Around a focus, where the wave is curved by less than this over the aperture, minimum and maximum are
        blended smoothly.

    Returns
    -------
    time : (n_points,) float64 [s]
    near : (n_points,) float64
        1 where the elements agree within three periods, as they do around a focus, falling to 0 where they do not.
    """
    first, in_front = aperture.minimum(phase)
    if not focusing:
        return first, np.zeros(len(first))
    negative, behind = aperture.minimum(-phase)
    last = -negative
    near = 1.0 - smooth_step((last - first) / (_NEAR_RANGE * flat_time) - 1.0)
    if aperture.n < 3:
        return first, near
    sagitta = aperture.sagitta(phase)
    # In a uniform medium only one of the two is stationary; where both or none is, the curvature decides.
    hard = np.where(in_front == behind, sagitta < 0, behind).astype(float)
    soft = smooth_step(0.5 - 0.5 * sagitta / flat_time)
    # Elements agree within a period or so only around the focus.
    flat = 1.0 - smooth_step((last - first) / (_FLAT_RANGE * flat_time) - 1.0)
    weight = flat * soft + (1.0 - flat) * hard
    return np.asarray((1.0 - weight) * first + weight * last), near


def smooth_step(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, 3 x^2 - 2 x^3 between."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))


def _grid_lines(positions: NDArray[np.float64]) -> list[list[NDArray[np.intp]]] | None:
    """Rows and columns of a matrix array, or None for elements that follow one curve."""
    p = np.round(positions * 1e7).astype(np.int64)
    result = []
    for along, keep in ((0, [1, 2]), (1, [0, 2])):
        _, label = np.unique(p[:, keep], axis=0, return_inverse=True)
        label = label.ravel()
        groups = [np.flatnonzero(label == g) for g in range(label.max() + 1)]
        if len(groups) == len(p) or (len(groups) == 1 and len(p) > 1):
            return None  # single points or one single line: a curve
        result.append([g[np.argsort(p[g, along])] for g in groups])
    return result


def _is_curve(positions: NDArray[np.float64]) -> bool:
    """Whether elements follow each other in space as they do in order (they do not on a bowl)."""
    if len(positions) < 3:
        return True
    nearest = cKDTree(positions).query(positions, k=2)[0][:, 1]
    following = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    return bool(np.median(following) < 1.5 * np.median(nearest))


def _line(positions: NDArray[np.float64], members: list[NDArray[np.intp]]) -> _Line:
    n = len(positions)
    nodes = np.repeat(np.arange(n)[:, None], _NODES, axis=1)
    inverse = np.zeros((n, _NODES, _NODES))
    inverse[:, 0, 0] = 1.0
    low, high = np.zeros(n), np.zeros(n)
    near = np.zeros((n, 2), np.intp)
    line = _Line(nodes, inverse, low, high, near)
    steps = [np.linalg.norm(np.diff(positions[m], axis=0), axis=1) for m in members]
    pitch = float(np.median(np.concatenate(steps))) if any(len(s) for s in steps) else 1.0
    for m, step in zip(members, steps, strict=True):
        cuts = np.flatnonzero(step > _GAP * pitch) + 1
        for piece in np.split(np.arange(len(m)), cuts):
            _fill(line, positions, m[piece], pitch)
    return line


def _fill(line: _Line, positions: NDArray[np.float64], piece: NDArray[np.intp], pitch: float) -> None:
    """Polynomials for the elements of one uninterrupted piece, in arc length divided by the pitch."""
    size = min(_NODES, len(piece) - (len(piece) + 1) % 2)  # odd, so that windows are centred
    if size < 3:
        return
    arc = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(positions[piece], axis=0), axis=1))] / pitch
    last = len(piece) - 1
    for k, element in enumerate(piece):
        first = min(max(k - size // 2, 0), len(piece) - size)
        window = np.arange(first, first + size)
        line.nodes[element, :size] = piece[window]
        line.inverse[element] = 0.0
        line.inverse[element, :size, :size] = np.linalg.inv(np.vander(arc[window] - arc[k], increasing=True))
        line.low[element] = arc[k - 1] - arc[k] if k else -0.5
        line.high[element] = arc[k + 1] - arc[k] if k < last else 0.5
        line.near[element] = (1, 2) if k == 0 else (size - 3, size - 2) if k == last else (k - 1 - first, k + 1 - first)


def _correction(
    line: _Line, phase: NDArray[np.float64], at: NDArray[np.intp], smallest: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Change of the minimum by looking between elements along ``line``, (n_points,) [s], never positive; and
    whether phi is stationary there."""
    values = np.take_along_axis(phase, line.nodes[at], axis=1) - smallest[:, None]
    c = np.einsum("pij,pj->ip", line.inverse[at], values)
    low, high = line.low[at], line.high[at]
    bend = np.maximum(c[2], 1e-30)
    t = np.clip(np.where(c[2] > 0, -0.5 * c[1] / bend, np.where(c[1] > 0, low, high)), low, high)
    for _ in range(2):
        slope = c[1] + t * (2 * c[2] + t * (3 * c[3] + t * 4 * c[4]))
        bend = 2 * c[2] + t * (6 * c[3] + t * 12 * c[4])
        t = np.clip(np.where(bend > 0, t - slope / np.where(bend > 0, bend, 1.0), t), low, high)
    found = t * (c[1] + t * (c[2] + t * (c[3] + t * c[4])))
    # Between three points of a parabola the minimum lies at most 1/8 of its rise below, half a pitch beyond an end
    # 1/2; rough (coded) delays must not overshoot.
    rise = np.take_along_axis(values, line.near[at], axis=1).max(axis=1)
    stationary = ((t > low) & (t < high)) | (low == high)  # where nothing can be told between elements
    return np.clip(found, -0.5 * np.maximum(rise, 0.0), 0.0), stationary


def _curvature_weights(positions: NDArray[np.float64], *, surface: bool) -> NDArray[np.float64]:
    """Weights q with q . phi = quadratic part of phi at the end of the aperture, by least squares."""
    n = len(positions)
    if n < 3:
        return np.zeros(n)
    centred = positions - positions.mean(axis=0)
    if surface:
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        coordinates = centred @ axes[:2].T
    else:
        arc = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(positions, axis=0), axis=1))]
        coordinates = (arc - arc.mean())[:, None]
    coordinates = coordinates / np.abs(coordinates).max()
    square = (coordinates**2).sum(axis=1)
    basis = np.column_stack([np.ones(n), coordinates, square])
    return np.asarray(np.linalg.pinv(basis)[-1] * square.max())
