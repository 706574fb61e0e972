r"""How ultrasound images lose quality: blur, noise in space, noise in the Fourier domain, speckle.

The degradation model of blind enhancement [1]_: a network sees images that this model spoilt and learns to give the
originals back. With an image f in [0, 1], every step clips to [0, 1]:

- blur: :math:`f * g_k`, an isotropic Gaussian on k x k pixels (k odd), :math:`\sigma = (k - 1) / 6` because
  :math:`k \approx 2 \lceil 3 \sigma \rceil + 1`, reflected at the border;
- Gaussian noise: :math:`f + \sigma_g n`, :math:`n \sim N(0, 1)`;
- Fourier noise: :math:`|\mathcal F^{-1}\{(1 - \gamma) F + \gamma \max|F|\, \zeta / \sqrt{N}\}|` with
  :math:`\zeta \sim CN(0, 1)` and N pixels. Its :math:`\zeta` is not Hermitian, so that what is left is a magnitude, as
  an envelope is, and its noise Rician. As printed in [1]_ the equation lacks :math:`1 / \sqrt{N}`: with an
  unnormalised transform nothing of the image is left (4 dB at :math:`\gamma` = 0.02), ``normalized=False``;
- speckle (not in [1]_): :math:`f (1 + s n)` with n of unit variance, white or correlated.

References
----------
.. [1] S. Khan, S. M. Atif, J. Huh and S. S. Azhar Ali, "Blind Ultrasound Image Enhancement via Self-Supervised
   Physics-Guided Degradation Modeling", arXiv 2601.21856, 2026.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, convolve1d, gaussian_filter

from .._checks import array, count, pair, scalar
from ..errors import ArgumentError

Image = NDArray[np.float32]

KERNELS = (3, 5, 7, 9, 11, 13, 15, 17)
FAMILIES = ("gaussian", "fourier", "speckle")
_LARGEST_KERNEL = 255
_RATIO = "(ratio)"


def gaussian_kernel(size: int) -> NDArray[np.float64]:
    """One row of the separable blur: ``size`` weights of sum 1, standard deviation (size - 1) / 6 pixels.

    Parameters
    ----------
    size : int
        Odd; 1 is no blur.

    Raises
    ------
    ArgumentError
        An even size.
    """
    size = count("size", size, 1, _LARGEST_KERNEL)
    if size % 2 == 0:
        raise ArgumentError(f"size: expected an odd number of pixels, got {size}")
    at = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (at / max((size - 1) / 6, 1e-3)) ** 2)
    return np.asarray(weights / weights.sum())


def blur(image: Any, size: int) -> Image:
    """Blur by an isotropic Gaussian of ``size`` x ``size`` pixels, the surrogate of a point-spread function.

    Parameters
    ----------
    image : (..., n_rows, n_columns)
        In [0, 1].
    size : int
        Odd, see `gaussian_kernel`.

    Returns
    -------
    float32, of the same shape, in [0, 1]

    Raises
    ------
    ArgumentError
        An image that is not finite or not in [0, 1], an even size.
    """
    return _blurred(_checked(image), gaussian_kernel(size).astype(np.float32))


def add_gaussian_noise(image: Any, sigma: float, rng: np.random.Generator) -> Image:
    """Add white Gaussian noise.

    Parameters
    ----------
    image : (..., n_rows, n_columns)
        In [0, 1].
    sigma : float
        Standard deviation; 0.2 is 51 of 255 grey levels.
    rng : numpy.random.Generator

    Raises
    ------
    ArgumentError
        An image that is not finite or not in [0, 1], a negative sigma.
    """
    given, sigma = _checked(image), scalar("sigma", sigma, 0.0, 10.0, _RATIO)
    return _clipped(given + np.float32(sigma) * rng.standard_normal(given.shape, np.float32))


def add_fourier_noise(image: Any, gamma: float, rng: np.random.Generator, *, normalized: bool = True) -> Image:
    """Perturb the spectrum by complex noise and take the magnitude.

    Parameters
    ----------
    image : (..., n_rows, n_columns)
        In [0, 1].
    gamma : float
        0 leaves the image as it is, 1 leaves only noise.
    rng : numpy.random.Generator
    normalized : bool
        Divide the noise by sqrt(n_rows n_columns); False is the equation to the letter.

    Raises
    ------
    ArgumentError
        An image that is not finite or not in [0, 1], gamma outside [0, 1].
    """
    given, gamma = _checked(image), scalar("gamma", gamma, 0.0, 1.0, _RATIO)
    spectrum = np.fft.fft2(given)
    largest = np.abs(spectrum).max((-2, -1), keepdims=True)
    if normalized:
        largest = largest / np.sqrt(given.shape[-2] * given.shape[-1])
    zeta = (rng.standard_normal(given.shape) + 1j * rng.standard_normal(given.shape)) / np.sqrt(2)
    return _clipped(np.abs(np.fft.ifft2((1 - gamma) * spectrum + gamma * largest * zeta)))


def add_speckle(image: Any, strength: float, rng: np.random.Generator, *, correlation: float = 0.0) -> Image:
    """Multiply by 1 + strength n: noise that is strong where the image is bright.

    Parameters
    ----------
    image : (..., n_rows, n_columns)
        In [0, 1].
    strength : float
        Standard deviation of the factor; from 0.4 on speckle is severe.
    rng : numpy.random.Generator
    correlation : float [pixel]
        Standard deviation of the Gaussian that correlates n; 0 is white. Its variance stays 1.

    Raises
    ------
    ArgumentError
        An image that is not finite or not in [0, 1], a negative strength or correlation.
    """
    given, strength = _checked(image), scalar("strength", strength, 0.0, 10.0, _RATIO)
    correlation = scalar("correlation", correlation, 0.0, 100.0, "pixels")
    noise = rng.standard_normal(given.shape, np.float32)
    if correlation:
        impulse = np.zeros(2 * int(4 * correlation + 0.5) + 1)
        impulse[len(impulse) // 2] = 1
        energy = (gaussian_filter(impulse, correlation) ** 2).sum()  # of one axis
        noise = gaussian_filter(noise, correlation, axes=(-2, -1), mode="wrap") / np.float32(energy)
    return _clipped(given * (1 + np.float32(strength) * noise))


@dataclass(frozen=True)
class DegradationModel:
    """Random degradations: what is done, how often and how strongly.

    With chance ``main_chance`` an image is blurred and gets noise of one family; independently, with chance
    ``light_chance``, it gets light Fourier noise and a blur by 3 pixels. The defaults are the published model [1]_,
    where ranges are uniform; what it does not say (that light means half the range) is ours.

    Parameters
    ----------
    kernels : tuple of int
        Odd blur sizes, equally likely; 1 is none.
    families : tuple of str
        Of "gaussian", "fourier" and "speckle", equally likely.
    gaussian, fourier, light_fourier, speckle : (float, float)
        Ranges of sigma, gamma, gamma and strength.
    correlation : (float, float) [pixel]
        Of speckle.
    main_chance, light_chance : float
    noise_chance : float
        That noise follows the main blur; published 1.
    normalized : bool
        See `add_fourier_noise`.

    Raises
    ------
    ArgumentError
        Even kernels, unknown families, ranges upside down, chances outside [0, 1].

    References
    ----------
    .. [1] Khan et al., arXiv 2601.21856, 2026.
    """

    kernels: tuple[int, ...] = KERNELS
    families: tuple[str, ...] = ("gaussian", "fourier")
    gaussian: tuple[float, float] = (0.05, 0.2)
    fourier: tuple[float, float] = (0.0, 0.2)
    light_fourier: tuple[float, float] = (0.0, 0.1)
    speckle: tuple[float, float] = (0.0, 0.6)
    correlation: tuple[float, float] = (0.0, 0.0)
    main_chance: float = 0.55
    light_chance: float = 0.45
    noise_chance: float = 1.0
    normalized: bool = True

    def __post_init__(self) -> None:
        if not self.kernels:
            raise ArgumentError("kernels: expected at least one size, got none")
        for size in self.kernels:
            gaussian_kernel(size)
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families:
            raise ArgumentError(f"families: expected some of {', '.join(FAMILIES)}, got {self.families!r}")
        for name, high in (("gaussian", 10.0), ("fourier", 1.0), ("light_fourier", 1.0), ("speckle", 10.0)):
            _range(name, getattr(self, name), high, _RATIO)
        _range("correlation", self.correlation, 100.0, "pixels")
        for name in ("main_chance", "light_chance", "noise_chance"):
            scalar(name, getattr(self, name), 0.0, 1.0, "(probability)")

    def __call__(self, image: Any, rng: np.random.Generator) -> Image:
        """Degrade one image at random.

        Parameters
        ----------
        image : (n_rows, n_columns)
            In [0, 1].
        rng : numpy.random.Generator
            Everything is drawn from it: the same generator makes the same image.

        Returns
        -------
        (n_rows, n_columns) float32
            In [0, 1].
        """
        result = array("image", image, (None, None), np.float32, low=0.0, high=1.0)
        if rng.random() < self.main_chance:
            result = blur(result, int(rng.choice(self.kernels)))
            if rng.random() < self.noise_chance:
                result = self._noisy(result, str(rng.choice(self.families)), rng)
        if rng.random() < self.light_chance:
            result = blur(
                add_fourier_noise(result, rng.uniform(*self.light_fourier), rng, normalized=self.normalized), 3
            )
        return result

    def _noisy(self, image: Image, family: str, rng: np.random.Generator) -> Image:
        if family == "gaussian":
            return add_gaussian_noise(image, rng.uniform(*self.gaussian), rng)
        if family == "fourier":
            return add_fourier_noise(image, rng.uniform(*self.fourier), rng, normalized=self.normalized)
        return add_speckle(image, rng.uniform(*self.speckle), rng, correlation=rng.uniform(*self.correlation))


def sample_patch(
    images: Any, size: int, rng: np.random.Generator, *, angle: float = 15.0, resized: int | None = None
) -> Image:
    """Cut a random patch out of images that belong together (an image and its target), rotated alike.

    Parameters
    ----------
    images : (n_images, n_rows, n_columns)
        In [0, 1]; mirrored beyond their edges.
    size : int
        Edge of the patch.
    rng : numpy.random.Generator
    angle : float [degree]
        Rotated by a uniform angle of at most this; interpolated by cubic splines.
    resized : int, optional
        Scale the images to ``resized`` x ``resized`` pixels first, linearly; published 128. By default they keep
        their pixels, which keeps fine structure.

    Returns
    -------
    (n_images, size, size) float32
        In [0, 1].

    Raises
    ------
    ArgumentError
        No images in [0, 1], or settings out of range.
    """
    stack = array("images", images, (None, None, None), np.float32, low=0.0, high=1.0)
    size, angle = count("size", size, 1, 65536), scalar("angle", angle, 0.0, 180.0, "degrees")
    if 0 in stack.shape:
        raise ArgumentError(f"images: expected pixels, got shape {stack.shape}")
    scale = np.ones(2) if resized is None else np.array(stack.shape[1:]) / count("resized", resized, 1, 65536)
    extent = np.array(stack.shape[1:]) / scale
    turn = np.deg2rad(rng.uniform(-angle, angle))
    center = (size - 1) / 2 + rng.random(2) * np.maximum(extent - size, 0)
    if not angle and resized is None:
        center = np.floor(center - (size - 1) / 2) + (size - 1) / 2  # whole pixels: nothing is interpolated
    matrix = scale[:, None] * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    start = (center + 0.5) * scale - 0.5 - matrix @ np.full(2, (size - 1) / 2)
    # Splines need only the neighbourhood, so only that is filtered.
    corners = start[:, None] + matrix @ (np.array([[0, 0, 1, 1], [0, 1, 0, 1]]) * (size - 1))
    low = np.clip(np.floor(corners.min(1)).astype(int) - 12, 0, np.array(stack.shape[1:]) - 1)
    high = np.clip(np.ceil(corners.max(1)).astype(int) + 13, 1, None)
    near = stack[:, low[0] : high[0], low[1] : high[1]]
    order = 3 if resized is None else 1
    patches = [affine_transform(p, matrix, start - low, (size, size), order=order, mode="mirror") for p in near]
    return _clipped(np.stack(patches))


def _blurred(image: Image, weights: NDArray[np.float32]) -> Image:
    rows = convolve1d(image, weights, axis=-2, mode="mirror")
    return _clipped(convolve1d(rows, weights, axis=-1, mode="mirror"))


def _checked(image: Any) -> Image:
    given = np.asarray(image)
    if given.ndim < 2 or 0 in given.shape:
        raise ArgumentError(f"image: expected (..., n_rows, n_columns) with pixels, got shape {given.shape}")
    return array("image", given, given.shape, np.float32, low=0.0, high=1.0)


def _clipped(values: Any) -> Image:
    return np.clip(values, 0, 1).astype(np.float32, copy=False)


def _range(name: str, values: Any, high: float, unit: str) -> None:
    low, top = pair(name, values)
    if scalar(name, low, 0.0, high, unit) > scalar(name, top, 0.0, high, unit):
        raise ArgumentError(f"{name}: expected a range from low to high, got {values!r}")
