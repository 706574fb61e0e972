"""What a translating network is shown of a colour-flow video: what is visible, now and in other frames.

Colour flickers and tissue moves, so that much of what is hidden in one frame can be seen in another. "hinted" channels
say so; "published" ones are those of arXiv 2511.03255: the frame without what is hidden, and the mask.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import option

KINDS = ("hinted", "published")
N_CHANNELS = {"hinted": 11, "published": 5}
START = 2  # the "hinted" channel that a network's result is added to
REACH = 8  # frames; what was seen longer ago has moved away
_FADE = 0.7  # weight of a visible value per frame of distance
_TRUST = 0.05  # weight of the spatial fill beside that of values seen in other frames


def grey_of(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness (..., rows, columns) of RGB; grey pixels keep their level exactly."""
    parts = frames.astype(np.uint32)
    return ((77 * parts[..., 0] + 150 * parts[..., 1] + 29 * parts[..., 2] + 128) >> 8).astype(np.uint8)


def frame_channels(
    frames: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    kind: str = "hinted",
    *,
    surround: Any = None,
    reach: int | None = REACH,
) -> NDArray[np.float32]:
    """Return a network's input.

    Parameters
    ----------
    frames : (n_frames, n_rows, n_columns, 3) uint8
    mask : (n_frames, n_rows, n_columns) bool
        What is hidden.
    kind : {"hinted", "published"}
        "hinted": visible grey levels, mask, start (what other frames show, else what surrounds it), spatial fill,
        nearest visible value before and 1 / (1 + its age), the same after, and the hidden colours. "published":
        visible RGB, mask, ones.
    surround : (n_frames, n_rows, n_columns) float32, optional
        The spatial fill, where it is known already; default `spatial_fill` of these frames.
    reach : int or None
        Frames that the start looks back and ahead; None: all, as networks trained before there was a limit expect.

    Returns
    -------
    (n_channels, n_frames, n_rows, n_columns) float32 in [0, 1]
    """
    option("kind", kind, KINDS)
    hidden = mask.astype(np.float32)
    colors = np.moveaxis(frames, -1, 0).astype(np.float32) / np.float32(255)
    if kind == "published":
        return np.concatenate([colors * (1 - hidden), hidden[None], np.ones_like(hidden)[None]])
    grey = grey_of(frames).astype(np.float32) / np.float32(255)
    visible = 1 - hidden
    surround = spatial_fill(grey, mask) if surround is None else surround
    before, age_before = _last_seen(grey, mask)
    after, age_after = (a[::-1] for a in _last_seen(grey[::-1], mask[::-1]))
    start = _start(grey, visible, surround, reach)
    return np.stack(
        [grey * visible, hidden, start, surround, before, age_before, after, age_after, *(colors * hidden)]
    ).astype(np.float32, copy=False)


def classical_fill(
    frames: NDArray[np.uint8], mask: NDArray[np.bool_], surround: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """Return the start itself, (n_frames, n_rows, n_columns): what can be had without a network.

    ``surround`` in [0, 1] takes the place of `spatial_fill`.
    """
    grey = grey_of(frames)
    values = grey.astype(np.float32) / np.float32(255)
    around = spatial_fill(values, mask) if surround is None else surround
    filled = _start(values, 1 - mask.astype(np.float32), around)
    return np.where(mask, np.rint(255 * filled).astype(np.uint8), grey)


def spatial_fill(grey: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill (..., rows, columns) smoothly from what is visible in the same frame: means over ever larger squares [1]_.

    References
    ----------
    .. [1] Gortler, Grzeszczuk, Szeliski, Cohen, SIGGRAPH 1996, section 3.4 (pull-push).
    """
    weights: list[NDArray[Any]] = [(~mask).astype(np.float32)]
    sums: list[NDArray[Any]] = [grey * weights[0]]
    while max(sums[-1].shape[-2:]) > 1:
        sums.append(_halved(sums[-1]))
        weights.append(_halved(weights[-1]))
    filled = sums[-1] / np.maximum(weights[-1], 1e-12)
    for total, weight in zip(sums[-2::-1], weights[-2::-1], strict=True):
        filled = (total + 1e-3 * _doubled(filled, total.shape[-2:])) / (weight + 1e-3)
    return np.where(mask, filled, grey)


def _start(
    grey: NDArray[Any], visible: NDArray[Any], surround: NDArray[Any], reach: int | None = REACH
) -> NDArray[np.float32]:
    """Mean of what is visible at the same place in frames within reach, near ones first; else the surround."""
    total, weight = _TRUST * surround, np.full_like(surround, _TRUST)
    shown = visible * grey
    for age in range(1, min(len(grey) - 1, len(grey) if reach is None else reach) + 1):
        for here, there in ((np.s_[age:], np.s_[:-age]), (np.s_[:-age], np.s_[age:])):
            total[here] += _FADE**age * shown[there]
            weight[here] += _FADE**age * visible[there]
    return np.where(visible > 0, grey, total / weight)


def _last_seen(grey: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nearest visible value at or before each frame, and 1 / (1 + its age); zeros where there is none in reach."""
    value, age = np.zeros_like(grey), np.zeros_like(grey)
    last, since = np.zeros_like(grey[0]), np.full_like(grey[0], REACH + 1)
    for t in range(len(grey)):
        since = np.where(mask[t], since + 1, 0)
        last = np.where(mask[t], last, grey[t])
        near = since <= REACH
        value[t], age[t] = last * near, near / (1 + since)
    return value, age


def _halved(values: NDArray[Any]) -> NDArray[np.float32]:
    """Means over 2 x 2, of zeros beyond the edge."""
    rows, columns = values.shape[-2:]
    even = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(0, rows % 2), (0, columns % 2)])
    return np.asarray(
        0.25 * (even[..., ::2, ::2] + even[..., 1::2, ::2] + even[..., ::2, 1::2] + even[..., 1::2, 1::2])
    )


def _doubled(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Linear interpolation to twice as many points, cut to ``shape``."""
    for axis, n in ((-2, shape[0]), (-1, shape[1])):
        moved = np.moveaxis(values, axis, -1)
        padded = np.concatenate([moved[..., :1], moved, moved[..., -1:]], axis=-1)
        pairs = [0.75 * padded[..., 1:-1] + 0.25 * side for side in (padded[..., :-2], padded[..., 2:])]
        values = np.moveaxis(np.stack(pairs, axis=-1).reshape(*moved.shape[:-1], -1)[..., :n], -1, axis)
    return values
