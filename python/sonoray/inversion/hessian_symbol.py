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

    H is the transform of J^T W J / (number of pairs): J the derivative of the data with respect to (c_0 / c)^2 per
    area, W the weights that make the wave in water 1 for each pair, for elements dense on a circle of radius R; f is
    the fraction of the pairs that count. With those weights the density of pairs per wave vector,
    1 / (k^2 s sqrt(1 - s^2)) with s = kappa / 2 k, and the distance of the pair that makes it, 2 R sqrt(1 - s^2), leave
    the ramp 1 / kappa of filtered back-projection.

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
        self.shape = self._kappa.shape

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
