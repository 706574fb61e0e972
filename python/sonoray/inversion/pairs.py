"""Which transmit-receive pairs to use: by distance or by the angle at the emitter."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
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


def _points(tx: Any, rx: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        array("tx", tx, (None, 3), low=-2.0, high=2.0, unit="m"),
        array("rx", rx, (None, 3), low=-2.0, high=2.0, unit="m"),
    )
