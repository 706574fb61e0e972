"""Metrics: how sharp, how contrasted and how coherent an image is.

Envelopes are linear and not negative unless said otherwise. A region is any array of values, `image[mask]`.
"""

from typing import Any

import numpy as np
import scipy  # loads fft, ndimage and the like when they are first used
from numpy.typing import NDArray

from .._checks import count, finite, scalar
from ..errors import ArgumentError

RAYLEIGH_SNR = float(np.sqrt(np.pi / (4 - np.pi)))  # 1.913, mean over deviation of fully developed speckle


def fwhm(envelope: Any, spacing: float, *, axis: int = -1, peak: Any = None, level: float = 0.5) -> float:
    """Full width at half maximum along one axis through the peak.

    A cubic spline through the samples gives the height of the peak and the crossings between samples.

    Parameters
    ----------
    envelope : (...) float32
        Image, volume or profile.
    spacing : float [m]
        Of the points along ``axis``, or radians on a sector; the result has its unit.
    axis : int
    peak : tuple of int, optional
        Index of a local maximum; default the largest value.
    level : float
        Fraction of the peak's amplitude, 0.5 is -6 dB.

    Returns
    -------
    float [unit of spacing]

    Raises
    ------
    ArgumentError
        Fewer than 4 points along the axis, dB instead of a linear envelope, NaN, or the profile does not fall to the
        level on both sides of the peak.

    Examples
    --------
    >>> x = np.arange(-20, 21) * 0.1e-3
    >>> round(1e3 * fwhm(np.exp(-0.5 * (x / 0.5e-3) ** 2), 0.1e-3), 3)
    1.177
    """
    profile, position = _profile(envelope, axis, peak)
    h = float(spacing)
    if not (np.isfinite(h) and h > 0):
        raise ArgumentError(f"spacing: expected a positive number, got {spacing}")
    fraction = scalar("level", level, 0.01, 0.99, "of the peak")
    if len(profile) < 4:
        raise ArgumentError(f"envelope: expected at least 4 points along the axis, got {len(profile)}")
    spline = scipy.interpolate.CubicSpline(np.arange(len(profile)), profile / profile[position])
    extrema = spline.derivative().roots(extrapolate=False)
    near = extrema[np.abs(extrema - position) <= 1]
    top = near[np.argmax(spline(near))] if len(near) else float(position)
    crossings = spline.solve(fraction * float(spline(top)), extrapolate=False)
    left, right = crossings[crossings < top], crossings[crossings > top]
    if not len(left) or not len(right):
        raise ArgumentError(f"envelope: expected to fall to {fraction:g} of its peak on both sides along axis {axis}")
    return float(right.min() - left.max()) * h


def peak_sidelobe_level(envelope: Any, *, axis: int = -1, peak: Any = None) -> float:
    """Highest side lobe along one axis through the peak, relative to the peak [dB].

    The main lobe ends at the first local minimum on either side.

    Parameters
    ----------
    envelope : (...) float32
    axis : int
    peak : tuple of int, optional
        Index of the main lobe's maximum; default the largest value.

    Returns
    -------
    float [dB]
        -inf if the profile only falls.

    Raises
    ------
    ArgumentError
        NaN, dB instead of a linear envelope, no such axis.
    """
    profile, position = _profile(envelope, axis, peak)
    outside = [
        side[np.argmax(np.diff(side) > 0) :]
        for side in (profile[position::-1], profile[position:])
        if (np.diff(side) > 0).any()
    ]
    if not outside:
        return -np.inf
    highest = max(float(side.max()) for side in outside)
    return float(20 * np.log10(highest / profile[position]))


def contrast(inside: Any, outside: Any) -> float:
    """Ratio of mean power, 10 log10(E|s_in|^2 / E|s_out|^2) [dB].

    Parameters
    ----------
    inside, outside : (...) float32 or complex64
        Envelope or I/Q in the two regions.

    Returns
    -------
    float [dB]
        Negative for a dark inside; -inf if it is empty of signal.

    Raises
    ------
    ArgumentError
        Empty region, NaN, dB instead of linear values, or nothing but zeros outside.

    References
    ----------
    .. [1] A. Rodriguez-Molares et al., The generalized contrast-to-noise ratio: a formal definition for lesion
       detectability, IEEE Trans. UFFC 67, 745 (2020).
    """
    a, b = linear_values("inside", inside), linear_values("outside", outside)
    reference = np.mean(b**2)
    if reference == 0:
        raise ArgumentError("outside: expected some signal, got zeros only")
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.mean(a**2) / reference))


def cnr(inside: Any, outside: Any) -> float:
    """Contrast-to-noise ratio, |m_in - m_out| / sqrt(s_in^2 + s_out^2), of the values as given.

    Parameters
    ----------
    inside, outside : (...) float32
        Values in the two regions: envelope, power or dB; say which, the number depends on it.

    Returns
    -------
    float
        inf for two different constant regions, 0 for two equal ones.

    Raises
    ------
    ArgumentError
        Empty region, NaN, complex values.

    References
    ----------
    .. [1] M. S. Patterson and F. S. Foster, The improvement and quantitative assessment of B-mode images produced by
       an annular array/cone hybrid, Ultrason. Imaging 5, 195 (1983).
    """
    a, b = _region("inside", inside), _region("outside", outside)
    difference, noise = abs(a.mean() - b.mean()), np.hypot(a.std(), b.std())
    if noise == 0:
        return float("inf") if difference else 0.0
    return float(difference / noise)


def gcnr(inside: Any, outside: Any, *, bins: int | None = None) -> float:
    """Generalised contrast-to-noise ratio: 1 minus the overlap of the two histograms.

    1 - 2 times the smallest error of telling the regions apart by a threshold; not changed by any monotonic map
    (compression, grey levels) but for the binning.

    Parameters
    ----------
    inside, outside : (...) float32
    bins : int, optional
        Of the common histogram; default the root of the smaller region's size, at least 10. Few samples per bin
        bias the result upwards, by about sqrt(bins / n).

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ArgumentError
        Empty region, NaN, complex values.

    References
    ----------
    .. [1] A. Rodriguez-Molares et al., The generalized contrast-to-noise ratio: a formal definition for lesion
       detectability, IEEE Trans. UFFC 67, 745 (2020).
    """
    a, b = _region("inside", inside), _region("outside", outside)
    n = max(10, int(np.sqrt(min(a.size, b.size)))) if bins is None else count("bins", bins, 2, 100_000)
    limits = (min(a.min(), b.min()), max(a.max(), b.max()))
    if limits[0] == limits[1]:
        return 0.0
    p = np.histogram(a, n, limits)[0] / a.size
    q = np.histogram(b, n, limits)[0] / b.size
    return float(1 - np.minimum(p, q).sum())


def speckle_snr(envelope: Any) -> float:
    """Mean over standard deviation of a homogeneous region: 1.91 (`RAYLEIGH_SNR`) for fully developed speckle.

    Parameters
    ----------
    envelope : (...) float32
        Linear.

    Returns
    -------
    float
        inf for a constant region.

    Raises
    ------
    ArgumentError
        Empty, NaN, or dB instead of linear values.

    References
    ----------
    .. [1] C. B. Burckhardt, Speckle in ultrasound B-mode scans, IEEE Trans. Sonics Ultrason. 25, 1 (1978).
    """
    values = linear_values("envelope", envelope)
    deviation = values.std()
    return float(values.mean() / deviation) if deviation else float("inf")


def lag_one_coherence(aperture: Any) -> NDArray[np.float64] | float:
    """Lag-one coherence of delayed signals, the mean correlation of neighbouring elements.

    (1/(n_rx - 1)) sum_m Re sum_k s_m[k] conj(s_(m+1)[k]) / sqrt(sum_k |s_m[k]|^2 sum_k |s_(m+1)[k]|^2).

    Parameters
    ----------
    aperture : (n_rx, ..., n_points) complex64
        Delayed, not summed signals; the last axis holds the points of one kernel (about a wavelength in depth, or a
        whole region), the middle axes are kept.

    Returns
    -------
    float, or (...) float64
        About (n_rx - 1) / n_rx in speckle with an unapodised aperture, 0 for noise. Pairs with a silent element
        count as 0.

    Raises
    ------
    ArgumentError
        Real data, fewer than two elements, NaN.

    References
    ----------
    .. [1] W. Long, N. Bottenus, G. E. Trahey, Lag-one coherence as a metric for ultrasonic image quality, IEEE Trans.
       UFFC 65, 1768 (2018).
    .. [2] J. Long, G. Trahey, N. Bottenus, Spatial coherence in medical ultrasound: a review, Ultrasound Med. Biol.
       48, 975 (2022).
    """
    s = np.asarray(aperture)
    if s.dtype.kind != "c" or s.ndim < 2 or len(s) < 2 or not s.size:
        raise ArgumentError(f"aperture: expected complex (n_rx >= 2, ..., n_points), got {s.dtype} {s.shape}")
    finite("aperture", s)
    cross = np.einsum("m...k,m...k->m...", s[:-1], s[1:].conj()).real.astype("f8")
    energy = np.einsum("m...k,m...k->m...", s, s.conj()).real.astype("f8")
    scale = np.sqrt(energy[:-1] * energy[1:])
    pairs = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    result = pairs.mean(axis=0)
    return float(result) if result.ndim == 0 else np.asarray(result)


def sharpness(image: Any, *, axis: int = 0) -> float:
    """Fourth moment over squared second moment along one axis, averaged over the others.

    2 for speckle, more for structure that is in focus; not changed by a gain in depth when ``axis`` is lateral.

    Parameters
    ----------
    image : (...) float32 or complex64
        Linear, on a regular grid.
    axis : int

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        An image of zeros.
    """
    power = linear_values("image", image) ** 2
    second = power.mean(axis=axis)
    if not second.any():
        raise ArgumentError("image: expected echoes, got only zeros")
    kept = second > 1e-12 * second.max()
    return float(np.mean((power**2).mean(axis=axis)[kept] / second[kept] ** 2))


def speckle_size(image: Any, spacing: float, *, axis: int = 0) -> float:
    """Full width at half maximum of the envelope's autocovariance along one axis: the size of speckle.

    Parameters
    ----------
    image : (n, m) float32 or complex64
        Linear. Its mean level along ``axis`` is divided out; echoes above three times it count as three times.
    spacing : float [m]
        Of the points along ``axis``; the result has its unit.
    axis : int

    Returns
    -------
    float [m]

    Raises
    ------
    ArgumentError
        An image of zeros, or one in which the autocovariance does not fall to half.
    """
    level = np.moveaxis(linear_values("image", image), axis, 0)
    mean = level.mean(axis=0)
    kept = mean > 1e-6 * mean.max()
    if not mean.any():
        raise ArgumentError("image: expected echoes, got only zeros")
    level = np.minimum(level[:, kept] / mean[kept], 3.0)
    level = level - level.mean(axis=0)
    n = len(level)
    spectrum = np.abs(np.fft.rfft(level, 2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(spectrum.sum(axis=tuple(range(1, spectrum.ndim))))[:n] / (n - np.arange(n))
    below = np.flatnonzero(covariance < 0.5 * covariance[0])
    if not below.size:
        raise ArgumentError("image: expected more than one speckle along the axis")
    i = int(below[0])
    a, b = covariance[i - 1], covariance[i]
    return float(2 * spacing * (i - 1 + (a - 0.5 * covariance[0]) / (a - b)))


def _profile(envelope: Any, axis: int, peak: Any) -> tuple[NDArray[np.float64], int]:
    """The line along ``axis`` through the peak, and the peak's index on it."""
    values = linear_values("envelope", envelope)
    if not -values.ndim <= axis < values.ndim:
        raise ArgumentError(f"axis: expected below {values.ndim}, got {axis}")
    if peak is None:
        place = [int(i) for i in np.unravel_index(int(values.argmax()), values.shape)]
    else:
        place = [int(i) for i in np.atleast_1d(peak)]
        if len(place) != values.ndim or any(not 0 <= i < n for i, n in zip(place, values.shape, strict=True)):
            raise ArgumentError(f"peak: expected an index into shape {values.shape}, got {peak}")
    position = place[axis]
    line: list[Any] = list(place)
    line[axis] = slice(None)
    profile = values[tuple(line)]
    if profile[position] <= 0:
        raise ArgumentError("envelope: expected a peak above zero, got zero")
    return profile, position


def _region(name: str, values: Any) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or not array.size:
        raise ArgumentError(f"{name}: expected at least one real value, got {array.dtype} with shape {array.shape}")
    finite(name, array)
    return array.astype("f8")


def linear_values(name: str, values: Any) -> NDArray[np.float64]:
    """Return envelope values in double precision; decibels are refused by their sign."""
    array = np.asarray(values)
    result = _region(name, np.abs(array) if array.dtype.kind == "c" else array)
    if result.min() < 0:
        raise ArgumentError(f"{name}: expected linear values from 0 on, got {result.min():g}; is it in dB?")
    return result
