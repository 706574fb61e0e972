"""What enhancement is trained and judged on: pairs of an image and its target.

Natural images are their own targets, and so are drawings of points and lines, from which a network learns how narrow
things can be. Simulated B-mode comes with and without speckle: without, it is its own target; with speckle, the target
is the non-local low-rank approximation (`sonoray.imaging.low_rank`), as for scanned images [1]_, which have no clean
version.

References
----------
.. [1] S. Khan, S. M. Atif, J. Huh and S. S. Azhar Ali, arXiv 2601.21856, 2026.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..._checks import count, option
from ..._progress import progress
from ...errors import ArgumentError, FormatError, MissingExtraError
from ...imaging.low_rank import low_rank_despeckle
from ...io.writing import atomic
from ...restoration.images import Planes
from ...simulation.degradations import DegradationModel, sample_patch
from ...simulation.speckle import SpeckleModel, simulate_speckle
from ..pictures import Image

Pair = NDArray[np.float32]  # (2, n_rows, n_columns): image and target

TARGETS = ("low_rank", "raw", "natural")
NATURAL_TRAINING = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "hubble_deep_field", "rocket")
NATURAL_TUNING = ("clock",)
NATURAL_TEST = ("camera",)
_VERSION = 1  # of low-rank targets: more when what `low_rank_despeckle` gives changes
_LARGEST = 512  # natural images are made no larger, so that they hold structure on the scale of a patch

# Ours: the published families and speckle, from no noise at all, and sometimes no blur, so that what needs little help
# gets little.
DEGRADATIONS = DegradationModel(
    kernels=(1, 1, 3, 5, 7, 9, 11, 13, 15),
    families=("gaussian", "gaussian", "fourier", "speckle"),
    gaussian=(0.0, 0.22),
    correlation=(0.0, 1.0),
    main_chance=0.85,
    light_chance=0.15,
    noise_chance=0.6,
)


@dataclass(frozen=True)
class PairSource:
    """Pairs of one kind and how often a patch comes from them.

    Parameters
    ----------
    pairs : tuple of (2, n_rows, n_columns) float32
        Image and target in [0, 1].
    share : float
        Relative.
    """

    pairs: tuple[Pair, ...]
    share: float


class PatchSampler:
    """Batches of degraded patches and their targets.

    Parameters
    ----------
    sources : sequence of PairSource
        Those without pairs are left out.
    degradations : DegradationModel
    size : int
        Edge of a patch.
    published : bool
        Images are scaled to 128 x 128 first, as published; by default they keep their pixels, and half of the patches
        are turned by quarters and mirrored only, which blurs nothing.

    Raises
    ------
    ArgumentError
        No pairs at all.
    """

    def __init__(
        self,
        sources: Sequence[PairSource],
        degradations: DegradationModel = DEGRADATIONS,
        *,
        size: int = 64,
        published: bool = False,
    ) -> None:
        self.sources = [source for source in sources if source.pairs and source.share > 0]
        if not self.sources:
            raise ArgumentError("sources: expected pairs of images and targets, got none")
        shares = np.array([source.share for source in self.sources])
        self._shares = shares / shares.sum()
        self.degradations, self.size, self.published = degradations, count("size", size, 8, 4096), published

    def __call__(self, n: int, rng: np.random.Generator) -> tuple[Image, Image]:
        """Draw ``n`` degraded patches and their targets, each (n, 1, size, size)."""
        pairs = [self._pair(rng) for _ in range(n)]
        inputs = [self.degradations(image, rng) for image, _ in pairs]
        return np.stack(inputs)[:, None], np.stack([target for _, target in pairs])[:, None]

    def _pair(self, rng: np.random.Generator) -> Pair:
        source = self.sources[int(rng.choice(len(self.sources), p=self._shares))]
        stack = source.pairs[int(rng.integers(len(source.pairs)))]
        if self.published:
            return sample_patch(stack, self.size, rng, resized=128)
        patch = sample_patch(stack, self.size, rng, angle=15.0 if rng.random() < 0.5 else 0.0)
        patch = np.rot90(patch, int(rng.integers(4)), (1, 2))
        return np.ascontiguousarray(patch[:, :, ::-1] if rng.random() < 0.5 else patch)

    @property
    def digest(self) -> str:
        """SHA-256 of all pairs and settings."""
        whole = hashlib.sha256(f"{self.degradations} {self.size} {self.published}".encode())
        for source in self.sources:
            whole.update(f"{source.share}".encode())
            for pair in source.pairs:
                whole.update(np.ascontiguousarray(pair).tobytes())
        return whole.hexdigest()


def phantom(size: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Simulate B-mode of shapes, fibres, lines and points: with speckle, and without.

    Parameters
    ----------
    size : int
        Rows and columns.
    rng : numpy.random.Generator

    Returns
    -------
    speckled, clean : (size, size) float32
        In [0, 1].
    """
    row, column = np.mgrid[:size, :size].astype(np.float64)
    decibels = rng.uniform(-14, 2) + rng.uniform(-5, 5) * (row / size - 0.5)
    decibels += rng.uniform(0, 2) * _smooth_field(size, rng, rng.uniform(4, 20))
    for _ in range(rng.integers(4, 10)):
        decibels = np.where(_shape(row, column, size, rng), decibels + rng.uniform(-22, 16), decibels)
    if rng.random() < 0.3:
        decibels = gaussian_filter(decibels, rng.uniform(0.5, 1.5))  # not every boundary is sharp
    for _ in range(rng.integers(4, 20)):
        decibels = np.maximum(decibels, np.where(_line(row, column, size, rng), rng.uniform(-2, 15), -99))
    for _ in range(rng.integers(4, 40)):
        center, radius = rng.uniform(2, size - 2, 2), rng.uniform(0.6, 1.6)
        inside = (row - center[0]) ** 2 + (column - center[1]) ** 2 < radius**2
        decibels = np.where(inside, rng.uniform(4, 16), decibels)
    decibels = np.clip(decibels, -50, 16)
    model = SpeckleModel(psf=(rng.uniform(0.6, 1.1), rng.uniform(0.8, 1.8)), dynamic_range=rng.uniform(45, 65))
    shown = simulate_speckle(decibels, rng, model)
    return shown.image, shown.clean


def phantom_pairs(n: int, seed: int, *, size: int = 192) -> list[Pair]:
    """``n`` phantoms without speckle, each its own target."""
    return [_own(phantom(size, np.random.default_rng([seed, k]))[1]) for k in range(n)]


def wires(size: int, rng: np.random.Generator) -> Image:
    """Draw many points of 1 to 3 pixels, some lines and few shapes on a background that hardly varies.

    Parameters
    ----------
    size : int
        Rows and columns.
    rng : numpy.random.Generator

    Returns
    -------
    (size, size) float32
        In [0, 1].
    """
    row, column = np.mgrid[:size, :size].astype(np.float64)
    image = rng.uniform(0.02, 0.4) + rng.uniform(-0.1, 0.1) * (row / size - 0.5)
    image += rng.uniform(0, 0.04) * _smooth_field(size, rng, rng.uniform(4, 20))
    for _ in range(rng.integers(0, 3)):
        image = np.where(_shape(row, column, size, rng), image + rng.uniform(-0.3, 0.5), image)
    for _ in range(rng.integers(2, 14)):
        image = np.where(_line(row, column, size, rng), image + rng.uniform(0.15, 0.8), image)
    for _ in range(rng.integers(30, 200)):
        center, radius = rng.uniform(2, size - 2, 2), rng.uniform(0.6, 1.6)
        inside = (row - center[0]) ** 2 + (column - center[1]) ** 2 < radius**2
        image = np.where(inside, image + rng.uniform(0.15, 0.8), image)
    return np.clip(image, 0, 1).astype(np.float32)


def wire_pairs(n: int, seed: int, *, size: int = 192) -> list[Pair]:
    """``n`` drawings of points and lines, each its own target."""
    return [_own(wires(size, np.random.default_rng([seed, k]))) for k in range(n)]


def speckled_pairs(n: int, seed: int, cache: Path, *, size: int = 192, show: bool = False) -> list[Pair]:
    """``n`` phantoms with speckle and their low-rank targets."""
    images = [phantom(size, np.random.default_rng([seed, k]))[0] for k in range(n)]
    return low_rank_pairs(images, cache, show=show)


def low_rank_pairs(images: Sequence[Image], cache: Path, *, show: bool = False) -> list[Pair]:
    """Images and their low-rank targets, kept in ``cache`` under a digest of the image and the filter's version.

    Parameters
    ----------
    images : sequence of (n_rows, n_columns) float32
    cache : Path
        Folder, made when absent.
    show : bool
        Progress on standard error.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pairs = []
    for image in progress(images, "low-rank targets", enabled=show):
        given = np.ascontiguousarray(image, np.float32)
        name = hashlib.sha256(given.tobytes() + f"{given.shape} {_VERSION}".encode()).hexdigest()
        path = cache / f"{name[:32]}.npy"
        if path.exists():
            try:
                target = np.load(path)
            except (OSError, ValueError) as error:
                raise FormatError(f"{path}: expected a low-rank target, {error}; remove the file") from None
        else:
            target = low_rank_despeckle(image)
            with atomic(path) as partial, partial.open("wb") as file:
                np.save(file, target)
        pairs.append(np.stack([image, target]).astype(np.float32))
    return pairs


def targets_of(pairs: Sequence[Pair], targets: str) -> tuple[Pair, ...]:
    """Ultrasound pairs for an ablation: with their targets, with themselves as targets, or none.

    Parameters
    ----------
    pairs : sequence of (2, n_rows, n_columns)
    targets : {"low_rank", "raw", "natural"}
    """
    option("targets", targets, TARGETS)
    if targets == "natural":
        return ()
    return tuple(pairs) if targets == "low_rank" else tuple(_own(pair[0]) for pair in pairs)


def natural_pairs(names: Sequence[str] = NATURAL_TRAINING) -> list[Pair]:
    """Photographs that scikit-image brings along and that are in the public domain or under CC0.

    Parameters
    ----------
    names : sequence of str
        Functions of ``skimage.data``.

    Raises
    ------
    MissingExtraError
        scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise MissingExtraError("natural images need scikit-image: pip install 'sonoray[train]'") from None
    return [_own(_averaged(Planes(np.asarray(getattr(data, name)())).values[0])) for name in names]


def _own(image: Image) -> Pair:
    return np.stack([image, image]).astype(np.float32)


def _averaged(image: Image) -> Image:
    """Over blocks, if it is large."""
    block = -(-max(image.shape) // _LARGEST)
    rows, columns = (n // block for n in image.shape)
    blocks = image[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _smooth_field(size: int, rng: np.random.Generator, scale: float) -> NDArray[np.float64]:
    field = gaussian_filter(rng.standard_normal((size, size)), scale, mode="wrap")
    return np.asarray(field / field.std())


def _shape(
    row: NDArray[np.float64], column: NDArray[np.float64], size: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """An ellipse, a rectangle, a wedge or a wavy layer."""
    radius, angle = rng.uniform(0.05, 0.22) * size, rng.uniform(0, np.pi)
    center = rng.uniform(0.05, 0.95, 2) * size
    along = (column - center[1]) * np.cos(angle) + (row - center[0]) * np.sin(angle)
    across = (row - center[0]) * np.cos(angle) - (column - center[1]) * np.sin(angle)
    stretch, kind = rng.uniform(0.7, 2.0), rng.integers(4)
    if kind == 0:
        return np.asarray((along / stretch) ** 2 + (across * stretch) ** 2 < radius**2)
    if kind == 1:
        return np.asarray((np.abs(along) < radius * stretch) & (np.abs(across) < radius / stretch))
    if kind == 2:
        return np.asarray((np.abs(across) < radius) & (np.abs(along) < 0.6 * (radius - across)))
    wave = across - 0.03 * size * np.sin(along * rng.uniform(1, 6) / size * np.pi)
    return np.asarray(np.abs(wave) < radius * rng.uniform(0.1, 0.8))


def _line(
    row: NDArray[np.float64], column: NDArray[np.float64], size: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """A thin bright line: 1 to 3 pixels wide, straight or slightly bent, mostly along rows or columns."""
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    center = rng.uniform(0.05, 0.95, 2) * size
    along = (column - center[1]) * np.cos(angle) + (row - center[0]) * np.sin(angle)
    across = (row - center[0]) * np.cos(angle) - (column - center[1]) * np.sin(angle)
    bend = rng.choice([0.0, rng.uniform(-0.3, 0.3)]) / size
    width, length = rng.uniform(0.5, 1.4), rng.uniform(0.04, 0.5) * size
    return np.asarray((np.abs(across - bend * along**2) < width) & (np.abs(along) < length))
