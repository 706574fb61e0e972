"""The step between coarse network and refinement [1]_: what a smooth reconstruction lacks is put in by hand.

References
----------
.. [1] arXiv 2511.03255, as summarised in public; strengths are ours.
"""

from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import count, finite, pair, scalar
from ..errors import ArgumentError

_RAYLEIGH_LOG = 5.57  # dB, the deviation of the logarithm of a Rayleigh-distributed amplitude


def bridge(
    frames: Any,
    mask: Any,
    *,
    seed: int = 0,
    speckle: float = 0.04,
    grain: tuple[float, float] = (0.8, 1.2),
    memory: float = 0.8,
    stretch: tuple[float, float] = (1.0, 99.0),
    edges: float = 0.5,
) -> NDArray[np.float32]:
    """Speckle injection, histogram stretch and edge enhancement inside the mask; outside nothing changes.

    Speckle: the logarithm of correlated Rayleigh amplitudes is added to grey levels, which are logarithms already;
    it changes slowly from frame to frame. Stretch: percentiles of what is inside move to those of what is outside
    the mask within the same frames, by at most a factor of 1.5. Edges: an unsharp mask of 1 pixel.

    Parameters
    ----------
    frames : (n_frames, n_rows, n_columns) float in [0, 1]
    mask : (n_frames, n_rows, n_columns) bool
    seed : int
        The same gives the same speckle.
    speckle : float
        Deviation of what is added, in grey levels of 0 to 1. 0: none.
    grain : (row, column)
        Standard deviations of the speckle's point-spread function in pixels.
    memory : float
        Correlation of speckle with that of the frame before.
    stretch : (low, high)
        Percentiles. (0, 0): no stretch.
    edges : float
        Share of the high-pass filtered image that is added. 0: none.

    Returns
    -------
    (n_frames, n_rows, n_columns) float32 in [0, 1]

    Raises
    ------
    ArgumentError
        Shapes that differ, NaN, values out of range.
    """
    values = np.asarray(frames)
    where = np.asarray(mask)
    if values.ndim != 3 or values.dtype.kind != "f" or where.shape != values.shape or where.dtype != bool:
        raise ArgumentError(
            f"frames, mask: expected float and bool (n_frames, n_rows, n_columns), got {values.dtype} {values.shape} "
            f"and {where.dtype} {where.shape}"
        )
    finite("frames", values)
    values = values.astype(np.float32)
    strength = scalar("speckle", speckle, 0.0, 1.0, "(grey levels of 0 to 1)")
    sharpness = scalar("edges", edges, 0.0, 10.0, "(share)")
    keep = scalar("memory", memory, 0.0, 0.9999, "(correlation)")
    low, high = (scalar("stretch", v, 0.0, 100.0, "(percentile)") for v in pair("stretch", stretch))
    widths = tuple(scalar("grain", v, 0.0, 100.0, "pixels") for v in pair("grain", grain))
    result = values
    if strength:
        result = result + strength / _RAYLEIGH_LOG * _log_speckle(
            count("seed", seed, 0, 2**63), values.shape, widths, keep
        )
    if high > low and where.any() and not where.all():
        result = _stretched(result, values[~where], where, (low, high))
    if sharpness:
        result = result + sharpness * (result - scipy.ndimage.gaussian_filter(result, (0, 1, 1)))
    return np.asarray(np.where(where, np.clip(result, 0, 1), values), np.float32)


def _log_speckle(seed: int, shape: tuple[int, ...], grain: tuple[float, ...], memory: float) -> NDArray[np.float32]:
    """Decibels of correlated Rayleigh amplitudes, mean 0."""
    rng = np.random.default_rng(seed)
    levels = np.empty(shape, np.float32)
    field = np.zeros((2, *shape[1:]), np.float32)
    for t in range(shape[0]):
        fresh = scipy.ndimage.gaussian_filter(
            rng.standard_normal(field.shape).astype(np.float32), (0, *grain), mode="wrap"
        )
        fresh /= max(float(fresh.std()), 1e-12)
        field = fresh if t == 0 else memory * field + np.sqrt(1 - memory**2, dtype=np.float32) * fresh
        levels[t] = 10 * np.log10(np.maximum((field**2).sum(axis=0) / 2, 1e-4))
    return levels - levels.mean()


def _stretched(
    values: NDArray[np.float32],
    outside: NDArray[np.float32],
    where: NDArray[np.bool_],
    percentiles: tuple[float, float],
) -> NDArray[np.float32]:
    own, aim = np.percentile(values[where], percentiles), np.percentile(outside, percentiles)
    # What is hidden is mostly blood, darker than tissue: its middle stays, only its contrast grows.
    factor = float(np.clip((aim[1] - aim[0]) / max(own[1] - own[0], 1e-3), 1 / 1.5, 1.5))
    middle = float(np.median(values[where]))
    return np.asarray(middle + factor * (values - middle), np.float32)
