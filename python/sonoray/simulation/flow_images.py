"""I/Q images of moving scatterers by convolution with a point-spread function, without beamforming every shot.

Scatterers much denser than one per resolution cell are complex white noise on the image's points: demodulated at the
carrier, the phases of neighbours have nothing to do with each other. A displacement d moves that noise by d and turns
its phase by -(4 pi f / c) u.d, u being the beam's direction away from the probe. The image is its convolution with
the baseband point-spread function, steered as the beam is. Cost does not grow with the number of scatterers, which
thousands of clips need; `moving_scatterers` places every scatterer instead, exactly, along any two directions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads fft and ndimage when they are first used
from numpy.typing import NDArray

_GRAIN = 0.45  # blur of the texture in samples of the image; the point-spread function lacks that much


@dataclass(frozen=True)
class PointSpread:
    """A Gaussian main lobe over a weak, wide skirt of side lobes.

    Parameters
    ----------
    axial, lateral : float
        Standard deviations of the amplitude, in samples of the image; at least 0.5.
    steering : float [rad]
        Of the beams against the rows' normal.
    skirt : float
        Amplitude of the side lobes over the main lobe's, for a point.
    """

    axial: float
    lateral: float
    steering: float = 0.0
    skirt: float = 0.0

    def spectrum(self, shape: tuple[int, int]) -> NDArray[np.complex64]:
        """Its transform, for white scatterers of unit power to make an image of unit power."""
        kz = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
        kx = 2 * np.pi * np.fft.fftfreq(shape[1])[None]
        along = kz * np.cos(self.steering) + kx * np.sin(self.steering)
        across = kx * np.cos(self.steering) - kz * np.sin(self.steering)
        squares = [max(s**2 - _GRAIN**2, 0.05) for s in (self.axial, self.lateral)]
        lobe = np.exp(-(squares[0] * along**2 + squares[1] * across**2) / 2)
        wide = np.exp(-(squares[0] * along**2 * 2 + squares[1] * across**2 * 20) / 2)
        full = lobe + self.skirt * np.sqrt(40.0) * wide
        grain = np.exp(-((_GRAIN**2) * (kz**2 + kx**2)) / 2)
        return np.asarray(full / np.sqrt(np.mean((full * grain) ** 2)), np.complex64)


class Texture:
    """Scatterers: complex white noise that can be looked up between its points and repeats itself far away.

    Parameters
    ----------
    rng : Generator
    shape : (n_rows, n_columns)
        Of the image; the texture repeats after as much.
    fine : int
        Samples of texture per sample of the image: 2 keeps the amplitude under interpolation, 4 that of the nearest
        sample (blood, which is looked up at many more places).
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], fine: int = 2) -> None:
        size = (2, shape[0] * fine, shape[1] * fine)
        parts = rng.standard_normal(size, np.float32)
        parts = scipy.ndimage.gaussian_filter(parts, (0, _GRAIN * fine, _GRAIN * fine), mode="wrap", truncate=3)
        # The spectrum that `PointSpread.spectrum` expects: unit power before the blur, per sample of the image.
        self._values = ((parts[0] + 1j * parts[1]) * (fine / np.sqrt(2))).astype(np.complex64)
        self._fine = np.float32(fine)

    def at(self, index: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Values at fractional sample indices (2, ...), interpolated linearly."""
        return np.asarray(bilinear(self._values[None], index * self._fine, wrap=True)[0])

    def nearest(self, index: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Values at the samples next to fractional indices (2, ...)."""
        rows, columns = self._values.shape
        row, column = (index * self._fine).astype(np.int32)
        return np.asarray(self._values.ravel()[(row % rows) * columns + column % columns])


def bilinear(maps: NDArray[Any], index: NDArray[np.float32], *, wrap: bool = False) -> NDArray[Any]:
    """Several maps (n, n_rows, n_columns) at fractional indices (2, ...), linearly: (n, ...).

    Beyond the maps their edge goes on, or, with ``wrap``, their other side.
    """
    n, rows, columns = maps.shape
    row, column = index
    if not wrap:
        row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    top, left = np.floor(row), np.floor(column)
    down, right = row - top, column - left
    i, j = top.astype(np.int32), left.astype(np.int32)
    if wrap:
        i, j = i % rows, j % columns
        below, beside = (i + 1) % rows, (j + 1) % columns
    else:
        below, beside = np.minimum(i + 1, rows - 1), np.minimum(j + 1, columns - 1)
    flat = maps.reshape(n, -1)
    i, below = i * columns, below * columns
    upper = flat.take(i + j, axis=1) * (1 - right) + flat.take(i + beside, axis=1) * right
    lower = flat.take(below + j, axis=1) * (1 - right) + flat.take(below + beside, axis=1) * right
    return np.asarray(upper * (1 - down) + lower * down)


def convolve(scatterers: NDArray[np.complex64], spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Images (..., n_rows, n_columns) of scatterers on the same points; circular, hence the margins."""
    return np.asarray(scipy.fft.ifft2(scipy.fft.fft2(scatterers) * spectrum), np.complex64)
