"""Compounding: one image from the images of several transmits, frequencies or looks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import finite
from ..errors import ArgumentError


def compound_coherent(stack: Any, *, axis: int = 0) -> NDArray[Any]:
    """Average before detection: (1/N) sum_i s_i.

    Parameters
    ----------
    stack : (n_tx, ...) complex64 or float32
        Beamformed I/Q or RF, one image for each transmit.
    axis : int

    Returns
    -------
    (...) complex64 or float32
        Speckle and resolution of the synthesised transmit aperture.

    Raises
    ------
    ArgumentError
        NaN, empty, or integers (grey levels?).

    References
    ----------
    .. [1] G. Montaldo et al., Coherent plane-wave compounding for very high frame rate ultrasonography and transient
       elastography, IEEE Trans. UFFC 56, 489 (2009).
    """
    values = _checked(stack, axis)
    return np.asarray(values.mean(axis=axis, dtype=values.dtype))


def compound_incoherent(stack: Any, *, axis: int = 0) -> NDArray[np.float32]:
    """Average after detection: (1/N) sum_i |s_i|.

    Lowers speckle contrast by up to sqrt(N) and leaves resolution as it is.

    Parameters
    ----------
    stack : (n_tx, ...) complex64 or float32
        I/Q, or envelopes (not negative).
    axis : int

    Returns
    -------
    (...) float32

    Raises
    ------
    ArgumentError
        NaN, empty, integers, or real values below zero (RF needs detecting, decibels cannot be averaged).
    """
    values = _checked(stack, axis)
    if values.dtype.kind == "f" and values.min() < 0:
        raise ArgumentError(f"stack: expected I/Q or envelopes from 0 on, got {values.min():g}; take envelope() first")
    return np.asarray(np.abs(values).mean(axis=axis), np.float32)


def coherence_factor(stack: Any, *, axis: int = 0) -> NDArray[np.float32]:
    """Coherent over total power, |sum_i s_i|^2 / (N sum_i |s_i|^2): 1 if all agree, about 1/N for noise.

    Parameters
    ----------
    stack : (n, ...) complex64 or float32
        Images of single transmits, or delayed signals of single receive elements.
    axis : int

    Returns
    -------
    (...) float32 in [0, 1]
        0 where there is no signal. Multiply an image by it to suppress what does not focus.

    Raises
    ------
    ArgumentError
        NaN, empty, or integers.

    References
    ----------
    .. [1] R. Mallart and M. Fink, Adaptive focusing in scattering media through sound-speed inhomogeneities: the van
       Cittert Zernike approach and focusing criterion, J. Acoust. Soc. Am. 96, 3721 (1994).
    """
    values = _checked(stack, axis)
    coherent = np.abs(values.sum(axis=axis)) ** 2
    total = values.shape[axis] * (np.abs(values) ** 2).sum(axis=axis)
    result = np.divide(coherent, total, out=np.zeros(coherent.shape, coherent.dtype), where=total > 0)
    return np.asarray(np.minimum(result, 1), np.float32)  # rounding may lift it past 1


def _checked(stack: Any, axis: int) -> NDArray[Any]:
    values = np.asarray(stack)
    if values.dtype.kind not in "fc" or not values.size:
        raise ArgumentError(f"stack: expected float or complex images, got {values.dtype} with shape {values.shape}")
    if not -values.ndim <= axis < values.ndim:
        raise ArgumentError(f"axis: expected below {values.ndim}, got {axis}")
    finite("stack", values)
    return values.astype("c8" if values.dtype.kind == "c" else "f4", copy=False)
