"""Non-local low-rank despeckling: similar patches form matrices whose small singular values are speckle.

Slow and careful: seconds per image. It makes the targets that networks for ultrasound are trained on, where no clean
image exists.

References
----------
.. [1] L. Zhu, C.-W. Fu, M. S. Brown and P.-A. Heng, "A Non-Local Low-Rank Framework for Ultrasound Speckle
   Reduction", CVPR 2017, doi 10.1109/CVPR.2017.60. Guidance, low-rank minimisation with a truncated weighted nuclear
   norm and structured sparsity are theirs; the solution by one weighted thresholding per round, and all constants,
   are ours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from .._checks import array, count, scalar
from ..errors import ArgumentError

Image = NDArray[np.float32]

_FIRST = 0.35  # how much of its weight the leading singular value gets: "truncated" in [1]
_OUTLIER = 3.0  # residuals of patches beyond this many noise norms are held to be structure
_CHUNK = 1024  # groups at a time: 12 MB of patches
_TINY = 1e-12


def low_rank_despeckle(
    image: Any,
    *,
    noise: float | None = None,
    strength: float = 25.0,
    patch: int = 7,
    step: int = 4,
    reach: int = 15,
    similar: int = 60,
    rounds: int = 2,
) -> Image:
    """Remove speckle from an image by low-rank approximation of groups of similar patches.

    A smooth guidance image (Gaussian, then guided filters) says which patches are alike, because speckle would mislead
    a comparison of the image itself. Each group, mean removed, is a matrix A of ``similar`` patches; its singular
    values s shrink to max(s - w, 0) with w = 2 strength sqrt(m) noise^2 / sqrt(max(s^2 - m noise^2, 0)), the leading
    one by less, while rows that stay far from the low-rank part are kept as structure. Results are averaged with
    weights 1 / (1 + rank); every further round gets a quarter of the residual back.

    Parameters
    ----------
    image : (n_rows, n_columns)
        Log-compressed B-mode in [0, 1].
    noise : float, optional
        Standard deviation of the speckle, in the image's unit; estimated where the image is not black by default.
    strength : float
        The more, the smoother. Speckle is correlated, hence much larger than for white noise.
    patch, step, reach : int
        Edge of a patch, distance of groups, how far similar patches are sought; pixels.
    similar : int
        Patches in a group.
    rounds : int

    Returns
    -------
    (n_rows, n_columns) float32
        In [0, 1].

    Raises
    ------
    ArgumentError
        No finite image in [0, 1], smaller than a patch, or settings out of range.
    """
    given = array("image", image, (None, None), np.float32, low=0.0, high=1.0)
    patch, step = count("patch", patch, 3, 15), count("step", step, 1, 15)
    reach, similar = count("reach", reach, 2, 64), count("similar", similar, 4, 400)
    strength, rounds = scalar("strength", strength, 0.0, 1e4, "(factor)"), count("rounds", rounds, 1, 10)
    if min(given.shape) < patch:
        raise ArgumentError(f"image: expected at least {patch} x {patch} pixels, got {given.shape}")
    if step > patch:
        raise ArgumentError(f"step: expected at most the patch's {patch} pixels, got {step}; pixels would be left out")
    guidance = guide(given)
    sigma = speckle_level(given, guidance) if noise is None else scalar("noise", noise, 0.0, 1.0, "(fraction of full)")
    if sigma < 1e-6:
        return given.copy()
    rows, columns = _groups(guidance, patch, step, reach, similar)
    result = given
    for k in range(rounds):
        # Later rounds see less noise.
        level = sigma if k == 0 else 0.55 * sigma / (1 + 0.3 * k)
        fed_back = given if k == 0 else result + np.float32(0.25) * (given - result)
        result = _approximated(fed_back, rows, columns, patch, level, strength)
    return np.clip(result, 0, 1)


def guide(image: Image, *, passes: int = 3) -> Image:
    """Smooth guidance: a Gaussian, then guided filters that give edges back.

    Parameters
    ----------
    image : (n_rows, n_columns) float32
    passes : int

    References
    ----------
    K. He, J. Sun and X. Tang, "Guided Image Filtering", IEEE TPAMI 35(6), 2013, eq. 5, 6 and 8.
    """
    smooth: Image = gaussian_filter(image, 2.0)
    for _ in range(passes):
        mean_guide, mean_image = _mean(smooth), _mean(image)
        covariance = _mean(smooth * image) - mean_guide * mean_image
        slope = covariance / (_mean(smooth * smooth) - mean_guide**2 + np.float32(0.01))
        smooth = _mean(slope) * smooth + _mean(mean_image - slope * mean_guide)
    return smooth


def speckle_level(image: Image, guidance: Image) -> float:
    """Standard deviation of what the guidance leaves, by the median; black regions, where nothing echoes, do not count.

    Parameters
    ----------
    image, guidance : (n_rows, n_columns) float32
    """
    left = (image - guidance)[guidance > 0.05]
    return 1.4826 * float(np.median(np.abs(left - np.median(left)))) if left.size else 0.0


def _mean(values: Image) -> Image:
    return np.asarray(uniform_filter(values, 7), np.float32)


def _groups(
    guidance: Image, patch: int, step: int, reach: int, similar: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Corners (group, member) of the patches most similar on the guidance, sought on every second pixel around."""
    last = np.array(guidance.shape) - patch
    row, column = (g.ravel() for g in np.meshgrid(*(np.r_[np.arange(0, n, step), n] for n in last), indexing="ij"))
    half = np.arange(0, reach + 1, 2)
    around = np.r_[-half[:0:-1], half]
    offsets = np.stack(np.meshgrid(around, around, indexing="ij"), -1).reshape(-1, 2)
    offsets = offsets[(np.abs(offsets) <= last).all(1)]
    distance = np.empty((len(row), len(offsets)), np.float32)
    for k, (dr, dc) in enumerate(offsets):
        # The sum over a patch is a box filter of the squared difference to the shifted image, read at the corners.
        shifted = np.roll(guidance, (-dr, -dc), (0, 1))
        box = uniform_filter((guidance - shifted) ** 2, patch, origin=-(patch // 2))
        inside = (row + dr >= 0) & (row + dr <= last[0]) & (column + dc >= 0) & (column + dc <= last[1])
        distance[:, k] = np.where(inside, box[row, column], np.inf)
    distance[:, (offsets == 0).all(1)] = -1  # the reference is always a member, so that every pixel is covered
    members = min(similar, len(offsets))
    nearest = np.argpartition(distance, members - 1, axis=1)[:, :members]
    # Near corners fewer lie inside: those outside stand for the reference itself.
    shift = offsets[nearest] * np.isfinite(np.take_along_axis(distance, nearest, 1))[..., None]
    return (row[:, None] + shift[..., 0]).astype(np.int32), (column[:, None] + shift[..., 1]).astype(np.int32)


def _approximated(
    image: Image, rows: NDArray[np.int32], columns: NDArray[np.int32], patch: int, noise: float, strength: float
) -> Image:
    """One round over all groups."""
    width = image.shape[1]
    within = (np.arange(patch)[:, None] * width + np.arange(patch)).ravel()
    corners = rows * width + columns
    flat = image.ravel()
    total, weight = np.zeros(image.size), np.zeros(image.size)
    for first in range(0, len(corners), _CHUNK):
        at = corners[first : first + _CHUNK, :, None] + within
        patches, rank = _shrunk(flat[at], noise, strength)
        share = np.broadcast_to((1 / (1 + rank))[:, None, None], at.shape)
        total += np.bincount(at.ravel(), (patches * share).ravel(), image.size)
        weight += np.bincount(at.ravel(), share.ravel(), image.size)
    return (total / np.maximum(weight, _TINY)).astype(np.float32).reshape(image.shape)


def _shrunk(groups: Image, noise: float, strength: float) -> tuple[Image, Image]:
    """Low-rank part of every group (group, member, pixel), and its rank; structure is set aside where there is any."""
    mean = groups.mean(1, keepdims=True)
    centred = groups - mean
    low, rank = _thresholded(centred, noise, strength)
    residual = centred - low
    size = np.sqrt(np.einsum("gmp,gmp->gm", residual, residual))[..., None]
    limit = _OUTLIER * noise * np.sqrt(groups.shape[2])
    kept = np.maximum(1 - limit / np.maximum(size, 1e-9), 0).astype(np.float32)
    some = kept.any((1, 2))
    if some.any():
        low[some], rank[some] = _thresholded(centred[some] - residual[some] * kept[some], noise, strength)
    return low + mean, rank


def _thresholded(values: Image, noise: float, strength: float) -> tuple[Image, Image]:
    """Singular values shrunk, by the eigenvectors of the pixels' Gram matrix: L = A V diag(shrunk s / s) V^T."""
    n_members = values.shape[1]
    squares, vectors = np.linalg.eigh(values.transpose(0, 2, 1) @ values)
    singular = np.sqrt(np.maximum(squares, 0))  # ascending
    above = np.sqrt(np.maximum(squares - n_members * noise**2, 0))
    shrinking = 2 * strength * np.sqrt(n_members) * noise**2 / (above + 1e-3)
    shrinking[:, -1] *= _FIRST
    kept = np.maximum(singular - shrinking, 0)
    gain = (kept / np.maximum(singular, 1e-9)).astype(np.float32)
    low = values @ ((vectors * gain[:, None]) @ vectors.transpose(0, 2, 1))
    return low, (kept > 0).sum(1).astype(np.float32)
