"""Noisy images to train on, and what can be told apart in them: structure and speckle.

Structure is alike across scales, speckle is not: it has the grain of the point spread function at whatever size. An
image made smaller, with its speckle averaged away, is therefore an example of clean structure, and what a filter takes
out of an image at full size is an example of speckle. `TrainingImages.transplanted` puts the speckle of one image over
the shrunk structure of another; no clean image is needed for it.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from ..._checks import array, finite
from ..._progress import progress
from ...errors import ArgumentError, MissingExtraError
from ...simulation.echogenicities import echogenicity_map
from ...simulation.speckle import SpeckleImage, SpeckleModel, sector_mask, simulate_speckle
from ..pictures import Image, unusable
from .structure_cache import cache_key, read_structure, write_structure

SHRINKS = (0.5, 0.5, 0.5, 0.67, 0.67, 0.35)  # sizes of structure, drawn with equal chance
TRAINING_FAMILIES = ("shapes", "layers", "blobs")
_PUBLISHED_CHANCE = 0.3  # of each flip, and of shift, scale and rotation together
_BLACK = 1.5 / 255  # what is darker over a neighbourhood lies outside the field of view
_STRENGTH = 1.2  # of the filter, in standard deviations of the speckle
_FILTER: dict[str, Any] = {"patch_size": 11, "patch_distance": 12, "fast_mode": True}
_VERSION = 1  # of `estimated_structure` and `speckle_deviation`: more when what they give changes


def simulated_image(
    rng: np.random.Generator, size: int = 256, families: Sequence[str] = TRAINING_FAMILIES
) -> SpeckleImage:
    """Draw an image of random contents, point spread function, statistics and field of view.

    Parameters
    ----------
    rng : np.random.Generator
    size : int
        Rows and columns.
    families : sequence of str
        Of `echogenicity_map`.

    Returns
    -------
    SpeckleImage
    """
    axial = rng.uniform(0.6, 1.4)
    model = SpeckleModel(
        psf=(axial, axial * rng.uniform(1.0, 2.2)),
        widening=float(rng.choice([0.0, rng.uniform(0, 1)])),
        scatterers=float(rng.uniform(0.8, 8)) if rng.random() < 0.25 else None,
        dynamic_range=rng.uniform(45, 65),
    )
    contents = echogenicity_map(families[int(rng.integers(len(families)))], (size, size), rng)
    sector = rng.random() < 0.2
    mask = sector_mask((size, size), rng.uniform(50, 110), rng.uniform(0.05, 0.4)) if sector else None
    return simulate_speckle(contents, rng, model, mask=mask)


def simulated_images(n: int, seed: int, size: int = 256, families: Sequence[str] = TRAINING_FAMILIES) -> list[Image]:
    """Draw noisy images without their truth; image k does not depend on how many there are."""
    return [simulated_image(np.random.default_rng([seed, k]), size, families).image for k in range(n)]


class TrainingImages:
    """Noisy images, ready to draw batches from.

    Parameters
    ----------
    images : sequence of (rows, columns) arrays
        In [0, 1], at least 64 x 64. Each is stretched from its least to its largest value.
    separate : bool
        Estimate structure and speckle; only `transplanted` needs them.
    show : bool
        Progress on standard error.
    cache : path, optional
        File that keeps the estimated structure for the next time; one of other images or another filter, or a damaged
        one, is replaced.

    Raises
    ------
    ArgumentError
        No images, too small or constant ones.
    MissingExtraError
        scikit-image is not installed.
    """

    def __init__(
        self, images: Sequence[NDArray[Any]], *, separate: bool = True, show: bool = False, cache: Any = None
    ) -> None:
        if not len(images):
            raise ArgumentError("images: expected at least one, got none")
        self.images = [_stretched(k, image) for k, image in enumerate(images)]
        self.digest = hashlib.sha256(b"".join(image.tobytes() for image in self.images)).hexdigest()
        self._structure: list[dict[float, Image]] = []
        self._speckle: list[tuple[Image, NDArray[np.bool_]]] = []
        if separate:
            for image, structure in zip(self.images, self._estimated(show, cache), strict=True):
                self._separate(image, structure)

    def __len__(self) -> int:
        return len(self.images)

    def _estimated(self, show: bool, cache: Any) -> list[Image]:
        """The images' structure, from the cache if it is there."""
        if cache is None:
            return [estimated_structure(image) for image in progress(self.images, "structure", enabled=show)]
        # The digest is of all bytes in a row, so that shapes are part of what must agree.
        key, shapes = cache_key(self.digest, filter_description()), [image.shape for image in self.images]
        found = read_structure(Path(cache), key, shapes)
        if found is None:
            found = self._estimated(show, None)
            write_structure(Path(cache), key, found)
        return found

    def _separate(self, image: Image, structure: Image) -> None:
        black = outside(image)
        sizes = {}
        for shrink in sorted(set(SHRINKS)):
            if min(image.shape) * shrink >= 24:
                small = _shrunk(structure, shrink)
                small[_shrunk(black.astype(np.float32), shrink) > 0.5] = 0
                sizes[shrink] = small
        self._structure.append(sizes)
        self._speckle.append((image - structure, ~scipy.ndimage.binary_dilation(black, iterations=6)))

    def crops(self, rng: np.random.Generator, n: int, size: int) -> Image:
        """(n, size, size) pieces of noisy images, turned over at random."""
        found = np.empty((n, size, size), np.float32)
        for k in range(n):
            found[k] = _turned(rng, _piece(rng, self.images[rng.integers(len(self))], size))
        return found

    def augmented(self, rng: np.random.Generator, n: int, size: int) -> Image:
        """(n, size, size) pieces, turned over, moved, scaled and turned as often and as far as published."""
        found = np.empty((n, size, size), np.float32)
        for k in range(n):
            piece = _piece(rng, self.images[rng.integers(len(self))], size)
            for axis in (1, 0):
                if rng.random() < _PUBLISHED_CHANCE:
                    piece = np.flip(piece, axis)
            found[k] = _moved(rng, piece) if rng.random() < _PUBLISHED_CHANCE else piece
        return found

    def transplanted(self, rng: np.random.Generator, n: int, size: int) -> tuple[Image, Image]:
        """Speckle over shrunk structure.

        Structure is blurred a little before the speckle of another place comes over it, as a point spread function
        does, so that edges are learned to be sharper than they look.

        Returns
        -------
        noisy, structure : (n, size, size) float32
        """
        noisy, clean = np.empty((2, n, size, size), np.float32)
        for k in range(n):
            sizes = self._structure[rng.integers(len(self))]
            chosen = SHRINKS[rng.integers(len(SHRINKS))]
            structure = _piece(rng, sizes.get(chosen, sizes[max(sizes)]), size)
            speckle = _flipped(rng, self._speckle_piece(rng, size)) * rng.uniform(0.8, 1.2)
            black = structure == 0
            blurred = scipy.ndimage.gaussian_filter(structure, (rng.uniform(0, 1.0), rng.uniform(0, 1.5)))
            noisy[k] = np.where(black, 0, np.clip(blurred + speckle, 0, 1))
            clean[k] = structure
            if rng.random() < 0.5:
                noisy[k], clean[k] = noisy[k, ::-1].copy(), clean[k, ::-1].copy()
        return noisy, clean

    def _speckle_piece(self, rng: np.random.Generator, size: int) -> Image:
        """A piece of speckle from inside a field of view, if a few draws find one."""
        best, most = None, -1.0
        for _ in range(4):
            speckle, valid = self._speckle[rng.integers(len(self))]
            stacked = _piece(rng, np.stack([speckle, valid], -1), size)
            share = float(stacked[..., 1].mean())
            if share > most:
                best, most = stacked[..., 0], share
            if share == 1:
                break
        assert best is not None
        return best


def estimated_structure(image: Image) -> Image:
    """Non-local means whose strength follows the image's own speckle.

    Raises
    ------
    MissingExtraError
        scikit-image is not installed.
    """
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        raise MissingExtraError("training needs scikit-image: pip install 'sonoray[train]'") from None
    strength = _STRENGTH * speckle_deviation(image)
    found = denoise_nl_means(image, h=max(strength, 1e-3), **_FILTER)
    return np.asarray(found, np.float32)


def filter_description() -> str:
    """What `estimated_structure` depends on besides the image: version, settings, libraries."""
    try:
        library = version("scikit-image")
    except PackageNotFoundError:
        raise MissingExtraError("training needs scikit-image: pip install 'sonoray[train]'") from None
    return f"{_VERSION} {_STRENGTH} {_FILTER} {_BLACK} scikit-image {library} scipy {scipy.__version__}"


def speckle_deviation(image: Image) -> float:
    """Standard deviation of the speckle: the median over windows of 13 x 13 pixels inside the field of view."""
    mean = scipy.ndimage.uniform_filter(image, 13)
    variance = scipy.ndimage.uniform_filter(image**2, 13) - mean**2
    seen = (mean > 0.1) & ~scipy.ndimage.binary_dilation(outside(image), iterations=7)
    return float(np.sqrt(np.median(np.maximum(variance[seen if seen.any() else ...], 0))))


def outside(image: Image) -> NDArray[np.bool_]:
    """Where there is no image: black over 9 x 9 pixels."""
    return np.asarray(scipy.ndimage.maximum_filter(image, 9) < _BLACK)


def _stretched(k: int, image: NDArray[Any]) -> Image:
    values = array(f"image {k}", image, (None, None), np.float32)
    finite(f"image {k}", values)
    reason = unusable(values)
    if reason is not None:
        raise ArgumentError(f"image {k}: {reason}")
    low, high = values.min(), values.max()
    return np.asarray((values - low) / (high - low), np.float32)


def _shrunk(image: Image, factor: float) -> Image:
    """Smaller, without aliasing."""
    sigma = 0.4 / factor
    shape = [max(1, round(n * factor)) for n in image.shape]
    smooth = scipy.ndimage.gaussian_filter(image, sigma)
    at = [np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1) for n, m in zip(image.shape, shape, strict=True)]
    found = scipy.ndimage.map_coordinates(smooth, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")
    return np.asarray(found, np.float32)


def _piece(rng: np.random.Generator, image: NDArray[Any], size: int) -> NDArray[Any]:
    """A square anywhere; smaller images are mirrored on."""
    missing = [max(0, size - n) for n in image.shape[:2]]
    if any(missing):
        image = np.pad(image, [(0, m) for m in missing] + [(0, 0)] * (image.ndim - 2), mode="symmetric")
    i, j = (int(rng.integers(0, n - size + 1)) for n in image.shape[:2])
    return image[i : i + size, j : j + size]


def _moved(rng: np.random.Generator, image: Image) -> Image:
    """Shifted by up to 0.1 of its size, scaled by 0.8 to 1.2 and turned by up to 30 degrees, mirrored at its edges."""
    angle, scale = np.radians(rng.uniform(-30, 30)), rng.uniform(0.8, 1.2)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    center = (np.array(image.shape) - 1) / 2
    offset = center - back @ (center + rng.uniform(-0.1, 0.1, 2) * image.shape)
    return np.asarray(scipy.ndimage.affine_transform(image, back, offset, order=1, mode="mirror"), np.float32)


def _flipped(rng: np.random.Generator, image: Image) -> Image:
    return image[:, ::-1] if rng.random() < 0.5 else image


def _turned(rng: np.random.Generator, image: Image) -> Image:
    image = _flipped(rng, image)
    return image[::-1] if rng.random() < 0.5 else image
