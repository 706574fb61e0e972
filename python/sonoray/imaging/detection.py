"""Detection: from beamformed values to an envelope, and from an envelope to grey levels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import finite, scalar
from ..acquisition.signals import analytic
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid


def envelope(image: Any, *, axis: int = -1) -> NDArray[np.float32]:
    """Return the envelope of a beamformed image.

    Parameters
    ----------
    image : (..., n_z) complex64 or float32
        I/Q: the magnitude is taken. RF: the magnitude of the analytic signal along ``axis``, which needs more than
        two points per period in depth; the period is c / (2 f), so space points by less than c / (4 f) (an eighth
        of the wavelength c / f is a good choice), evenly. Coarser images must be beamformed from I/Q.
    axis : int
        Depth, or range on a sector; used for RF only.

    Returns
    -------
    same shape, float32

    Raises
    ------
    ArgumentError
        NaN, empty, or not numbers.
    """
    values = np.asarray(image)
    if values.dtype.kind == "c":
        finite("image", values)
        return np.asarray(np.abs(values), np.float32)
    return np.asarray(np.abs(analytic(values, axis=axis)))


def log_compress(envelope: Any, dynamic_range: float = 60.0, reference: float | None = None) -> NDArray[np.float32]:
    """Compress an envelope to decibels: 20 log10(envelope / reference), clipped to [-dynamic_range, 0].

    Parameters
    ----------
    envelope : (...) float32
        Not negative. A complex image is refused: detect it first.
    dynamic_range : float [dB]
    reference : float, optional
        Value shown as 0 dB; default the largest. Give it to keep the brightness of a sequence steady.

    Returns
    -------
    same shape, float32 [dB]
        All at -dynamic_range if the envelope is zero everywhere.

    Raises
    ------
    ArgumentError
        Complex, negative (compressed already?) or NaN values; reference not positive.

    Examples
    --------
    >>> [round(float(v)) for v in log_compress([0.0, 0.01, 0.1, 1.0])]
    [-60, -40, -20, 0]
    """
    values = np.asarray(envelope)
    if values.dtype.kind not in "iuf":
        raise ArgumentError(f"envelope: expected real values, got {values.dtype}; take sonoray.envelope first")
    finite("envelope", values)
    if values.size and values.min() < 0:
        raise ArgumentError(f"envelope: expected values from 0 on, got {values.min():g}; is it in dB already?")
    span = scalar("dynamic_range", dynamic_range, 1.0, 300.0, "dB")
    largest = float(values.max(initial=0)) if reference is None else reference
    if reference is not None:
        largest = scalar("reference", reference, 1e-37, 1e300, "the envelope's unit")
    if largest == 0:
        return np.full(values.shape, -span, np.float32)
    with np.errstate(over="ignore"):  # far above the reference is 0 dB
        scaled = np.clip(values / largest, 10 ** (-span / 20), 1)
    return np.asarray(np.clip(20 * np.log10(scaled), -span, 0), np.float32)


def to_uint8(image: Any, dynamic_range: float = 60.0) -> NDArray[np.uint8]:
    """Map decibels to grey levels: -dynamic_range and below to 0, 0 dB to 255.

    Parameters
    ----------
    image : (...) float32 [dB]
        From `log_compress`. NaN (outside a scan-converted sector) becomes 0.
    dynamic_range : float [dB]

    Returns
    -------
    same shape, uint8

    Raises
    ------
    ArgumentError
        Values above 0 dB (an envelope?), or not real.
    """
    values = np.asarray(image)
    if values.dtype.kind != "f":
        raise ArgumentError(f"image: expected float values in dB, got {values.dtype}")
    span = scalar("dynamic_range", dynamic_range, 1.0, 300.0, "dB")
    if np.nanmax(values, initial=-np.inf) > 1e-3:
        raise ArgumentError(f"image: expected at most 0 dB, got {np.nanmax(values):g}; log_compress it first")
    grey = np.clip(np.nan_to_num(values, nan=-span, neginf=-span) / span + 1, 0, 1) * 255
    return np.asarray(np.rint(grey), np.uint8)


def depth_gain(
    image: Any,
    grid: Grid | SectorGrid,
    attenuation: float,
    center_frequency: float,
    *,
    surface: float = 0.0,
    max_gain: float = 60.0,
) -> NDArray[Any]:
    """Amplify an image with depth against attenuation, by 2 a f d dB at depth d.

    Parameters
    ----------
    image : (..., *grid.shape) float32 or complex64
        Linear values, not dB.
    grid : Grid or SectorGrid
        Depth is z, or the range on a sector.
    attenuation : float [dB/m/MHz]
        One-way; soft tissue has about 50 (0.5 dB/cm/MHz).
    center_frequency : float [Hz]
    surface : float [m]
        Depth (or range) at which the attenuating tissue begins; the gain is 0 dB above.
    max_gain : float [dB]

    Returns
    -------
    same shape and kind, float32 or complex64

    Raises
    ------
    ArgumentError
        Shape differs from the grid, or values in the wrong unit.
    """
    values = np.asarray(image)
    if values.shape[-grid.ndim :] != grid.shape or values.dtype.kind not in "fc":
        raise ArgumentError(f"image: expected float or complex of shape (..., {grid.shape}), got {values.shape}")
    slope = 2 * scalar("attenuation", attenuation, 0.0, 2000.0, "dB/m/MHz")
    slope *= scalar("center_frequency", center_frequency, 2e4, 1e8, "Hz") * 1e-6
    start = scalar("surface", surface, -2.0, 2.0, "m")
    largest = scalar("max_gain", max_gain, 0.0, 200.0, "dB")
    depth = np.maximum((grid.ranges if isinstance(grid, SectorGrid) else grid.z) - start, 0)
    gain = 10 ** (np.minimum(slope * depth, largest) / 20)
    return (values * gain).astype("c8" if values.dtype.kind == "c" else "f4")
