"""What stands for the Hessian of ray-Born inversion where elements surround the object: its symbol."""

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..media.grids import Grid

_TAPER = 0.8  # of the largest wave number, where the symbol begins to fall
_THREADS = -1


class HessianSymbol:
    """H(kappa) = k^2 / (2 pi R kappa f) up to 2 k sin(largest deflection / 2), at every frequency.

    J is the derivative of the data, each relative to the wave in water of its pair, with respect to (c_0 / c)^2 per
    area; the Hessian J^T J / (number of pairs) blurs a map into what a back-projection of its data shows. For elements
    dense on a circle of radius R around the object that blur is nearly the same everywhere: a product with H in the
    map's spectrum, so that a division by H can stand for the inversion of a matrix of all nodes.

    A pair whose wave comes to a point along the unit vector p_e and leaves it along p_r feels one wave vector of the
    map, k (p_r - p_e), of length kappa = 2 k sin(deflection / 2). With s = kappa / (2 k):

    - the share of pairs per area of wave vectors is 1 / (4 pi^2 k^2 s sqrt(1 - s^2));
    - such a pair is D = 2 R sqrt(1 - s^2) apart, and its datum changes by abs(J)^2 = k^3 D / (8 pi R^2).

    (2 pi)^2 times both is k^2 / (2 pi R kappa): the roots cancel, and what is left is the 1 / kappa that the ramp of
    filtered back-projection undoes. If only a fraction f of the pairs counts (neighbours are left out), the mean is
    over those: hence 1 / f. Below kappa = pi / R, a wavelength of the ring's diameter, H is held constant; towards the
    largest deflection it falls to zero.

    Parameters
    ----------
    grid : Grid
    mask : grid.shape bool
    radius : float [m]
    largest_angle : float [rad]
    """

    def __init__(self, grid: Grid, mask: NDArray[np.bool_], radius: float, largest_angle: float) -> None:
        self._grid, self._mask, self._radius = grid, mask, radius
        self._cut = float(np.sin(largest_angle / 2))
        nx, nz = grid.shape
        kx = 2 * np.pi * np.fft.fftfreq(nx, grid.spacing[0])
        kz = 2 * np.pi * np.fft.rfftfreq(nz, grid.spacing[1])
        self._kappa = np.hypot(kx[:, None], kz[None])

    def of(self, wave_number: float, fraction: float) -> NDArray[np.float64]:
        """Return H of one frequency on the grid's wave numbers (rfft2)."""
        kappa = np.maximum(self._kappa, np.pi / self._radius)
        s = self._kappa / (2 * wave_number * self._cut)
        taper = np.cos(0.5 * np.pi * np.clip((s - _TAPER) / (1 - _TAPER), 0, 1)) ** 2
        return np.asarray(wave_number**2 / (2 * np.pi * self._radius * fraction * kappa) * taper)

    def apply(self, symbol: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
        """Multiply an image, given at the nodes of the mask, by a symbol."""
        return self._filtered(symbol, values)[self._mask].astype(np.float64)

    def low_pass(self, values: NDArray[Any], largest: float) -> NDArray[np.float64]:
        """What an image has at wave numbers below a largest one [rad/m]."""
        return self.apply((self._kappa < largest).astype(np.float64), values)

    def _filtered(self, symbol: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        image = np.zeros(self._grid.shape, np.float32)
        image[self._mask] = values
        spectrum = scipy.fft.rfft2(image, workers=_THREADS)
        spectrum *= symbol
        return np.asarray(scipy.fft.irfft2(spectrum, s=self._grid.shape, workers=_THREADS))
