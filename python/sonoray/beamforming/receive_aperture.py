"""Which elements receive a point, and with what weight: windows, the aperture's axis, weights of elements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, option, scalar
from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from ..errors import ArgumentError
from . import apodization

_TAPERED = {"boxcar": (0.5, 0.0), "hann": (0.5, 1.0), "hamming": (0.54, 1.0)}  # pedestal, taper; others are tables
_TUKEY_ALPHA = 0.5
_NODES = 257  # between them windows are linear: 1e-5 off at worst
_AXES = ("normal", "beam", "line")
_BEAMS = ("plane", "diverging", "focused")


def window_plan(window: Any) -> dict[str, Any]:
    """Window as the compiled core takes it: pedestal and taper, or a table over 0 to 1."""
    if callable(window):
        table = np.asarray(window(np.linspace(0.0, 1.0, _NODES)))
        if table.shape != (_NODES,):
            raise ArgumentError(f"window: expected a function of u that keeps its shape ({_NODES},), got {table.shape}")
        return _table(table)
    if isinstance(window, np.ndarray):
        if window.ndim != 1 or not 2 <= len(window) <= 65536:
            raise ArgumentError(f"window: expected 2 to 65536 values from u = 0 to 1, got shape {window.shape}")
        return _table(window)
    pair = isinstance(window, tuple) and len(window) == 2
    name, number = window if pair else (window, None)
    option("window", name, apodization.WINDOWS)
    if pair and name not in ("tukey", "kaiser"):
        raise ArgumentError(f"window: expected a name, got {window!r}; only 'tukey' and 'kaiser' take a number")
    if name == "tukey":
        alpha = scalar("window: alpha of tukey", _TUKEY_ALPHA if number is None else number, 0.0, 1.0, "(fraction)")
        return {"pedestal": 0.5, "taper": alpha, "window": None}
    if name in _TAPERED:
        pedestal, taper = _TAPERED[name]
        return {"pedestal": pedestal, "taper": taper, "window": None}
    default = apodization.KAISER_BETA
    beta = default if number is None else scalar("window: beta of kaiser", number, 0.0, 50.0, "(number)")
    return _table(apodization.window(name, np.linspace(0.0, 1.0, _NODES), beta=beta))


def _table(values: NDArray[Any]) -> dict[str, Any]:
    table = array("window", values, (None,), np.float32, low=-1e3, high=1e3, unit="(weight)")
    if not table.any():
        raise ArgumentError("window: expected weights, got all zero")
    return {"pedestal": 0.5, "taper": 0.0, "window": np.ascontiguousarray(table)}


def beam_origins(sequence: Sequence[Transmit], probe: Probe) -> NDArray[np.float64] | None:
    """Where each transmit's beam comes from, (n_tx, 4): (x, y, z, 1) a source, (-direction, 0) from far away.

    None if any transmit is a single element or has free delays, whose waves go everywhere.
    """
    if any(t.kind not in _BEAMS for t in sequence):
        return None
    rows = np.zeros((len(sequence), 4))
    for row, t in zip(rows, sequence, strict=True):
        if t.kind == "plane":
            assert t.direction is not None
            row[:3] = -t.direction
        elif t.kind == "diverging":
            row[:3], row[3] = t.focus, 1.0
        else:
            axis = t.focus - probe.positions[t.weights(probe) != 0].mean(axis=0)
            row[:3] = -axis / np.linalg.norm(axis)
    return rows


def aperture_axes(axis: Any, grid: Any, origins: NDArray[Any] | None) -> NDArray[np.float32] | None:
    """Axis of the receive aperture for the compiled core, (1 or n_tx, 4), or None for the elements' normals.

    ``origins`` are `beam_origins`, where transmits have them.
    """
    if not isinstance(axis, str):
        direction = array("aperture_axis", axis, (3,))
        length = float(np.linalg.norm(direction))
        if length < 1e-12:
            raise ArgumentError("aperture_axis: expected a non-zero direction, got zero")
        return np.append(-direction / length, 0.0)[None].astype(np.float32)
    option("aperture_axis", axis, _AXES)
    if axis == "normal":
        return None
    if axis == "line":
        apex = getattr(grid, "apex", None)
        if apex is None:
            raise ArgumentError(
                f"aperture_axis: 'line' needs a SectorGrid, whose lines it follows, got {type(grid).__name__}"
            )
        return np.append(apex, 1.0)[None].astype(np.float32)
    if origins is None:
        raise ArgumentError(
            "aperture_axis: 'beam' needs plane, diverging or focused transmits, got others; give a direction or 'line'"
        )
    same = bool((origins == origins[0]).all())
    return np.ascontiguousarray(origins[:1] if same else origins, np.float32)


def receive_weights(weights: Any, n_tx: int, n_rx: int) -> NDArray[np.float32] | None:
    """Weights of the receiving elements for the compiled core, (1 or n_tx, n_rx), or None."""
    if weights is None:
        return None
    values = np.asarray(weights)
    if values.shape not in ((n_rx,), (n_tx, n_rx)):
        raise ArgumentError(f"element_weights: expected shape ({n_rx},) or ({n_tx}, {n_rx}), got {values.shape}")
    rows = array("element_weights", values.reshape(-1, n_rx), (None, n_rx), np.float32, low=-1e6, high=1e6, unit="")
    if not rows.any():
        raise ArgumentError("element_weights: expected at least one receiving element, got all zero")
    return np.ascontiguousarray(rows)


def orthogonal_receivers(transmits: Sequence[Transmit], probe: Probe) -> NDArray[np.float32]:
    """Weights of the elements that lie across the firing ones: columns receive what rows send, and the reverse.

    Parameters
    ----------
    transmits : sequence of Transmit, n_tx long
    probe : Probe
        With long elements, see `Probe.row_column`.

    Returns
    -------
    (n_tx, n_elements) float32
        0 or 1, for ``Beamformer(element_weights=...)``.

    Raises
    ------
    ArgumentError
        Point-like elements, or a transmit of rows and columns together.
    """
    if probe.lines is None:
        raise ArgumentError("probe: expected rows and columns of long elements, got point-like elements")
    directions = probe.lines / np.maximum(np.linalg.norm(probe.lines, axis=1, keepdims=True), 1e-12)
    weights = np.zeros((len(transmits), probe.n_elements), np.float32)
    for i, t in enumerate(transmits):
        firing = directions[t.weights(probe) != 0]
        if np.abs(np.abs(firing @ firing[0]) - 1).max() > 1e-6:
            raise ArgumentError(f"transmits[{i}]: expected rows or columns to fire, got both together")
        weights[i] = np.abs(directions @ firing[0]) < 0.5
    return weights
