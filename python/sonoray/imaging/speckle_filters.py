"""Classical filters against speckle: anisotropic diffusion and non-local means."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from .._checks import array, count, finite, scalar
from ..errors import ArgumentError

Image = NDArray[np.float64]


def srad(
    intensity: NDArray[np.floating],
    *,
    iterations: int = 300,
    time_step: float = 0.05,
    initial_variation: float = 1.0,
    decay: float = 1 / 6,
) -> Image:
    """Speckle-reducing anisotropic diffusion.

    Diffuses where the instantaneous coefficient of variation is that of speckle and stops at edges.

    Parameters
    ----------
    intensity : NDArray
        ``(n_rows, n_columns)``, positive: the envelope or its square. Log-compressed grey levels must be expanded
        first, ``exp(grey * dynamic_range_dB * ln(10) / 20)``.
    iterations : int
        Updates.
    time_step : float
        Between updates; stable up to 1.
    initial_variation, decay : float
        The coefficient of variation of speckle at time t is ``initial_variation * exp(-decay * t)``; 1 stands for
        fully developed speckle in the intensity.

    Returns
    -------
    NDArray[np.float64]
        ``(n_rows, n_columns)``; the mean is kept.

    Raises
    ------
    ArgumentError
        Values that are not positive and finite, or parameters out of range.

    References
    ----------
    Yu and Acton, "Speckle reducing anisotropic diffusion", IEEE Trans. Image Process. 11, 2002, eqs. 31 to 37 and
    52 to 61 (scheme).
    """
    image = _image("intensity", intensity)
    if not image.min() > 0:
        raise ArgumentError(f"intensity: expected positive values, got {image.min():g}; add a small offset")
    count("iterations", iterations, 0, 100_000)
    scalar("time_step", time_step, 1e-4, 1.0, "(stable up to 1)")
    scalar("initial_variation", initial_variation, 1e-3, 10.0, "(coefficient of variation)")
    scalar("decay", decay, 0.0, 10.0, "(per unit of time)")
    for step in range(iterations):
        down, right = np.diff(image, axis=0), np.diff(image, axis=1)
        above, below = _shifted(down, 0)
        before, after = _shifted(right, 1)
        slopes = (above**2 + below**2 + before**2 + after**2) / image**2
        curvature = (below - above + after - before) / image
        squared = np.maximum(0.5 * slopes - curvature**2 / 16, 0) / (1 + curvature / 4) ** 2
        speckle = (initial_variation * np.exp(-decay * step * time_step)) ** 2
        open_ = 1 / (1 + (squared - speckle) / (speckle * (1 + speckle)))
        open_ = np.clip(open_, 0, 1)
        change = np.zeros_like(image)  # what flows between two pixels takes the diffusivity of the later one
        flow = open_[1:] * down
        change[:-1] += flow
        change[1:] -= flow
        flow = open_[:, 1:] * right
        change[:, :-1] += flow
        change[:, 1:] -= flow
        image = image + time_step / 4 * change
    return image


def obnlm(
    image: NDArray[np.floating],
    *,
    strength: float = 0.7,
    block: int = 3,
    search: int = 6,
    spacing: int = 2,
    exponent: float = 0.5,
    mean_ratio: float = 0.6,
) -> Image:
    """Blockwise non-local means with the Pearson distance, made for speckle.

    Blocks are replaced by weighted means of blocks around them; a pixel is the mean over the blocks that hold it.

    Parameters
    ----------
    image : NDArray
        ``(n_rows, n_columns)``, grey levels in [0, 1]; the distance takes them as 1 to 256, as the paper's.
    strength : float
        Decay of the weights with the distance (the paper's h), on a scale on which the mean Pearson distance of two
        looks at the same speckle is about 1.
    block, search : int
        Half widths of blocks and of the search window, pixels.
    spacing : int
        Pixels between the centres of blocks.
    exponent : float
        gamma: the noise's standard deviation grows as grey level to this power.
    mean_ratio : float
        Blocks whose means have a smaller ratio are not compared.

    Returns
    -------
    NDArray[np.float64]
        ``(n_rows, n_columns)``

    Raises
    ------
    ArgumentError
        Values outside [0, 1], or parameters out of range.

    References
    ----------
    Coupé, Hellier, Kervrann and Barillot, "Nonlocal means-based speckle filtering for ultrasound images", IEEE Trans.
    Image Process. 18, 2009, eqs. 12 to 18.
    """
    grey = _image("image", image)
    if grey.min() < 0 or grey.max() > 1:
        raise ArgumentError(f"image: expected values in [0, 1], got {grey.min():g} to {grey.max():g}")
    scalar("strength", strength, 1e-3, 1e3, "(paper's h)")
    count("block", block, 1, 100)
    count("search", search, 1, 200)
    count("spacing", spacing, 1, 2 * block + 1)
    scalar("exponent", exponent, 0.0, 2.0, "(gamma)")
    scalar("mean_ratio", mean_ratio, 0.0, 1.0, "(ratio)")
    levels = 1 + 255 * grey
    padded = np.pad(levels, search, mode="reflect" if min(grey.shape) > search else "edge")
    centers = tuple(_centers(n, spacing) for n in grey.shape)
    at = np.ix_(*centers)
    width, mean = 2 * block + 1, uniform_filter(levels, 2 * block + 1)[at]
    offsets = [(i, j) for i in range(2 * search + 1) for j in range(2 * search + 1)]
    weights = np.empty((len(offsets), *mean.shape))
    itself = len(offsets) // 2
    for k, (i, j) in enumerate(offsets):
        other = padded[i : i + grey.shape[0], j : j + grey.shape[1]]
        distance = uniform_filter((levels - other) ** 2 / other ** (2 * exponent), width)[at]
        ratio = mean / uniform_filter(other, width)[at]
        alike = (ratio >= mean_ratio) & (ratio * mean_ratio <= 1)
        weights[k] = np.where(alike, np.exp(-distance / (_PEARSON * strength**2)), 0)
    weights[itself] = 0
    weights[itself] = np.maximum(weights.max(axis=0), 1e-300)  # a block counts as much as the one most like it
    weights /= weights.sum(axis=0)
    return _spread(weights, padded, centers, offsets, grey.shape, width) / 255 - 1 / 255


# Two looks at log-compressed speckle of 0.11 rms around grey level 0.5 have this mean Pearson distance (gamma 0.5).
_PEARSON = 2 * (0.11 * 255) ** 2 / 128


def _spread(
    weights: NDArray[np.float64],
    padded: Image,
    centers: tuple[NDArray[np.intp], ...],
    offsets: list[tuple[int, int]],
    shape: tuple[int, ...],
    width: int,
) -> Image:
    """Mean over the blocks that hold a pixel of what each says about it."""
    at = np.ix_(*centers)
    total, holding, sparse = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    sparse[at] = 1
    holding = uniform_filter(sparse, width, mode="constant")
    for weight, (i, j) in zip(weights, offsets, strict=True):
        sparse[at] = weight
        total += uniform_filter(sparse, width, mode="constant") * padded[i : i + shape[0], j : j + shape[1]]
    return np.asarray(total / holding)


def _centers(length: int, spacing: int) -> NDArray[np.intp]:
    """Every ``spacing``-th pixel, and the last."""
    return np.unique(np.append(np.arange(0, length, spacing), length - 1))


def _shifted(differences: Image, axis: int) -> tuple[Image, Image]:
    """Differences to the previous and to the next pixel, 0 beyond the edge; both point along the axis."""
    width = [(0, 0), (0, 0)]
    width[axis] = (1, 0)
    previous = np.pad(differences, width)
    width[axis] = (0, 1)
    return previous, np.pad(differences, width)


def _image(name: str, value: NDArray[np.floating]) -> Image:
    image = array(name, value, (None, None))
    finite(name, image)
    if image.size == 0:
        raise ArgumentError(f"{name}: expected pixels, got shape {image.shape}")
    return image
