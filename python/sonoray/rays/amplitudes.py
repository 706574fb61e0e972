"""Amplitudes along rays: spreading, caustics, absorption and dispersion put together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError
from .tracing import Rays

_MEGAHERTZ = 2e6 * np.pi  # rad/s


def reversed_spreading(rays: Rays) -> NDArray[np.float64]:
    """Spreading of the rays that go back from the ends to the starts, without tracing them.

    The propagator of the paraxial system is symplectic, so the reversed ray's Q is the transposed one, scaled by the
    index at its own start: abs(J_back) = abs(J) (n_end / n_start)^(d - 1) in d dimensions.

    Parameters
    ----------
    rays : Rays
        Traced with amplitudes.

    Returns
    -------
    (n,) float64 [m/rad in 2-D, m^2/sr in 3-D]

    References
    ----------
    .. [1] V. Cerveny, Seismic Ray Theory, Cambridge University Press (2001), section 4.3.
    """
    spreading, _, paraxial, start_index, index = _amplitudes(rays)
    return np.asarray(spreading * (index / start_index) ** paraxial.shape[-1])


def greens_function(
    rays: Rays, frequency: float, *, smallest_spreading: float = 0.0, exponent: float | None = None, **dispersion: Any
) -> NDArray[np.complex128]:
    """Leading-order Green's function of the Helmholtz equation at the ends of rays from point sources.

    (laplace + k^2) G = -delta with the time factor exp(-i omega t). 2-D: G = sqrt(2 c / (pi omega abs(J))) / 4
    exp(i (omega T + pi / 4 - sigma pi / 2)); 3-D: G = sqrt(c / (c_start abs(J))) / (4 pi) exp(i (omega T - sigma
    pi / 2)); J the spreading, sigma the caustics passed, and the absorption's exp(-attenuation).

    Parameters
    ----------
    rays : Rays
        Traced with amplitudes.
    frequency : float [Hz]
    smallest_spreading : float, optional
        Floor of abs(J), in the unit of ``Rays.spreading``: near caustics the leading order is infinite.
    exponent, **dispersion : see `attenuation` and `dispersion_delay`
        Of the absorption's power law; needed if the medium has absorption.

    Returns
    -------
    (n,) complex128
        Rays that did not arrive have one, too: at their ends.
    """
    spreading, caustics, paraxial, start_index, index = _amplitudes(rays)
    omega = 2 * np.pi * scalar("frequency", frequency, 1e3, 1e9, "Hz")
    floor = scalar("smallest_spreading", smallest_spreading, 0.0, 10.0, "m or m^2")
    j = np.maximum(spreading, max(floor, np.finfo(float).tiny))
    phase = omega * rays.time - 0.5 * np.pi * caustics
    # Amplitude^2 J n is kept along a ray tube; near the source the field is the homogeneous one.
    if paraxial.shape[-1] == 1:
        speed = rays.reference_sound_speed / index
        g = 0.25 * np.sqrt(2 * speed / (np.pi * omega * j)) * np.exp(1j * (phase + 0.25 * np.pi))
    else:
        g = np.sqrt(start_index / (index * j)) / (4 * np.pi) * np.exp(1j * phase)
    if rays.absorption is None:
        return np.asarray(g)
    if exponent is None:
        raise ArgumentError("exponent: expected the power of the absorption law, since the medium absorbs, got None")
    delay = dispersion_delay(rays.absorption, frequency, exponent, **dispersion)
    return np.asarray(g * np.exp(1j * omega * delay - attenuation(rays.absorption, frequency, exponent)))


def attenuation(absorption: Any, frequency: float, exponent: float) -> NDArray[np.float64]:
    """Attenuation [Np] at ``frequency`` [Hz] of rays that gathered ``absorption`` [Np at 1 MHz]: a power law."""
    gathered = array("absorption", absorption, (None,))
    f = scalar("frequency", frequency, 1e3, 1e9, "Hz")
    return np.asarray(gathered * (f / 1e6) ** scalar("exponent", exponent, 0.0, 3.0, "(power)"))


def dispersion_delay(
    absorption: Any, frequency: float, exponent: float, *, reference_frequency: float | None = None
) -> NDArray[np.float64]:
    """Delay [s] that comes with absorption, since a wave that is absorbed by a power law is dispersed by another.

    The wave number omega / c + alpha0 (tan(pi y / 2) + i) omega^y delays by A0 tan(pi y / 2) (omega^(y - 1) -
    omega_ref^(y - 1)) with A0 the integral of alpha0 along the ray; for y = 1 by -(2 / pi) A0 log(omega / omega_ref)
    [1]_.

    Parameters
    ----------
    absorption : (n,) [Np at 1 MHz]
        ``Rays.absorption``.
    frequency : float [Hz]
    exponent : float
        y, 0 to 3 but not an odd number other than 1.
    reference_frequency : float, optional [Hz]
        Where the medium's sound speed holds. Default: where the power law has none left, frequency 0 for y > 1 and
        infinity for y < 1; needed for y = 1.

    Returns
    -------
    (n,) float64 [s]

    References
    ----------
    .. [1] T. L. Szabo, Time domain wave equations for lossy media obeying a frequency power law, J. Acoust. Soc. Am.
       96, 491 (1994).
    """
    gathered = array("absorption", absorption, (None,))
    omega = 2 * np.pi * scalar("frequency", frequency, 1e3, 1e9, "Hz")
    y = scalar("exponent", exponent, 0.0, 3.0, "(power)")
    reference = 0.0
    if reference_frequency is not None:
        reference = 2 * np.pi * scalar("reference_frequency", reference_frequency, 1e3, 1e9, "Hz")
    alpha0 = gathered / _MEGAHERTZ**y
    if abs(y - 1) < 1e-9:
        if not reference:
            raise ArgumentError("reference_frequency: expected one, since exponent 1 has a logarithmic law, got None")
        return np.asarray(-2 / np.pi * alpha0 * np.log(omega / reference))
    if abs(y - 3) < 1e-9:
        raise ArgumentError("exponent: expected a number below 3, where the law has a pole, got 3")
    there = reference ** (y - 1) if reference else 0.0
    return np.asarray(alpha0 * np.tan(0.5 * np.pi * y) * (omega ** (y - 1) - there))


def _amplitudes(rays: Rays) -> tuple[NDArray[Any], ...]:
    names = ("spreading", "caustics", "paraxial", "start_index", "index")
    found = [getattr(rays, name) for name in names] if isinstance(rays, Rays) else [None]
    if any(values is None for values in found):
        raise ArgumentError("rays: expected Rays traced with amplitudes=True")
    return tuple(found)
