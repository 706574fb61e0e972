"""Which transmit-receive pairs to use: by distance, by the angle at the emitter, or all but the neighbours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError


def emitter_positions(channel_data: ChannelData) -> NDArray[np.float64]:
    """Position of the element that fires in each transmit, (n_tx, 3) [m].

    Raises
    ------
    ArgumentError
        A transmit fires more than one element.
    """
    several = [k for k, t in enumerate(channel_data.transmits) if t.kind != "element"]
    if several:
        kind = channel_data.transmits[several[0]].kind
        raise ArgumentError(
            f"channel_data: expected transmits of single elements, got a {kind!r} one (number {several[0]})"
        )
    elements = np.array([t.element for t in channel_data.transmits], np.intp)
    return np.asarray(channel_data.probe.positions[elements])


def pair_distances(tx: Any, rx: Any) -> NDArray[np.float64]:
    """Distance of every emitter from every receiver.

    Parameters
    ----------
    tx : (n_tx, 3) float64 [m]
    rx : (n_rx, 3) float64 [m]

    Returns
    -------
    (n_tx, n_rx) float64 [m]

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, millimetres.
    """
    a, b = _points(tx, rx)
    return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2))


def checked_pairs(pairs: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pairs are wanted, if it is bool of this shape.

    Raises
    ------
    ArgumentError
        Another type or shape.
    """
    chosen = np.asarray(pairs)
    if chosen.dtype != bool or chosen.shape != shape:
        raise ArgumentError(f"pairs: expected bool of shape {shape}, got {chosen.dtype} {chosen.shape}")
    return chosen


def pairs_by_distance(tx: Any, rx: Any, minimum: float) -> NDArray[np.bool_]:
    """Pairs that lie further apart than a minimum, such as pi / 2 times a ring's radius: the opposite ones.

    Parameters
    ----------
    tx : (n_tx, 3) float64 [m]
    rx : (n_rx, 3) float64 [m]
    minimum : float [m]

    Returns
    -------
    (n_tx, n_rx) bool

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, millimetres.
    """
    return np.asarray(pair_distances(tx, rx) > scalar("minimum", minimum, 0.0, 4.0, "m"))


def pairs_by_open_angle(tx: Any, rx: Any, center: Any, maximum: float) -> NDArray[np.bool_]:
    """Pairs whose line leaves the emitter within a cone about the direction to the centre.

    Parameters
    ----------
    tx : (n_tx, 3) float64 [m]
    rx : (n_rx, 3) float64 [m]
    center : (3,) float64 [m]
        Of the array.
    maximum : float [rad]
        Largest angle between (center - tx) and (rx - tx), up to pi.

    Returns
    -------
    (n_tx, n_rx) bool
        False where emitter and receiver coincide.

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, millimetres, degrees.
    """
    a, b = _points(tx, rx)
    inward = array("center", center, (3,), low=-2.0, high=2.0, unit="m") - a
    limit = scalar("maximum", maximum, 0.0, np.pi, "rad")
    across = b[None] - a[:, None]
    lengths = np.linalg.norm(inward, axis=1)[:, None] * np.linalg.norm(across, axis=2)
    inner = np.einsum("ti,tri->tr", inward, across)
    apart = np.linalg.norm(across, axis=2) > 0
    return np.asarray(apart & (inner >= np.cos(limit) * lengths - 1e-12 * lengths))


def pairs_without_neighbours(tx: Any, rx: Any, neighbours: int) -> NDArray[np.bool_]:
    """Pairs but those of an emitter with itself and with its nearest receivers, as many on either side of a ring.

    31 of 256 and 63 of 512 elements are usual; both leave out a quarter of a ring.

    Parameters
    ----------
    tx : (n_tx, 3) float64 [m]
    rx : (n_rx, 3) float64 [m]
    neighbours : int
        On either side: the 2 n nearest receivers are left out, wherever they lie, beside the emitter itself.

    Returns
    -------
    (n_tx, n_rx) bool

    Raises
    ------
    ArgumentError
        Wrong shape, NaN, millimetres, as many neighbours as receivers.
    """
    distance = pair_distances(tx, rx)
    n = count("neighbours", neighbours, 0, max(0, (distance.shape[1] - 1) // 2))
    keep = distance > 1e-9
    distance = np.where(keep, distance, np.inf)
    nearest = np.argpartition(distance, 2 * n, axis=1)[:, : 2 * n] if n else np.empty((len(distance), 0), np.intp)
    np.put_along_axis(keep, nearest, False, axis=1)
    return np.asarray(keep)


def ring_radius(positions: Any) -> float:
    """Radius of the circle or sphere nearest to element positions, in least squares.

    With it the rule of [1]_, pairs more than pi / 4 radii apart, is ``pairs_by_distance(tx, rx, np.pi / 4 * radius)``.

    Parameters
    ----------
    positions : (n, 3) float64 [m]
        At least three, not on one line.

    Returns
    -------
    float [m]

    Raises
    ------
    ArgumentError
        Elements on one line, wrong shape, millimetres.

    References
    ----------
    .. [1] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    """
    p = array("positions", positions, (None, 3), low=-2.0, high=2.0, unit="m")
    rest = p - p.mean(axis=0) if len(p) else p
    # |p|^2 = 2 p.c + const. Across a plane of elements the centre is free: the smallest solution has it in the plane.
    values = np.linalg.svd(rest, compute_uv=False) if len(p) > 2 else np.zeros(2)
    if values[1] <= 1e-3 * values[0]:
        raise ArgumentError("positions: expected elements around an object, got all of them on one line")
    rows = np.c_[2 * rest, np.full(len(p), values[0] / np.sqrt(len(p)))]  # columns of like size
    solution = np.linalg.lstsq(rows, (rest**2).sum(axis=1), rcond=0.01)[0]
    return float(np.linalg.norm(rest - solution[:3], axis=1).mean())


def _points(tx: Any, rx: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        array("tx", tx, (None, 3), low=-2.0, high=2.0, unit="m"),
        array("rx", rx, (None, 3), low=-2.0, high=2.0, unit="m"),
    )
