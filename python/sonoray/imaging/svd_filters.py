"""Wall filters by singular values: tissue is what moves alike over many points, strong and slow."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, finite, option, scalar
from ..errors import ArgumentError
from .slow_time import SlowTimeFilter, filtered_frames, subspace_kept, subspace_removed
from .wall_filters import slow_time_frames

_RULES = ("frequency", "similarity")
_POINTS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class SvdFilter:
    """Removes the strongest singular components of the frames, seen as a matrix (n_frames, n_points).

    X = sum_i s_i t_i u_i^H with falling s_i; what is left is sum_{rank <= i < n_frames - noise} s_i t_i u_i^H [1]_.

    Parameters
    ----------
    rank : int or {"frequency", "similarity"}
        Components taken for tissue: a number, or found in the data.
        "frequency": those before the first whose mean velocity, by lag-one autocorrelation of t_i, reaches ``cutoff``.
        "similarity": abs(u_i) and abs(u_j) correlate where both are tissue or both are blood; the first of two squares
        along the diagonal that fit the matrix of correlations best [2]_.
    noise : int or {"similarity"}
        Weakest components dropped as noise; "similarity": those behind the second square.
    cutoff : float
        Fraction of the Nyquist velocity, for "frequency".
    block : int or tuple of int, optional
        Points along each image axis of blocks that are filtered on their own, each with its own rank, and blended
        where they overlap by half [3]_. For tissue that moves differently from place to place. Default: all at once.

    Raises
    ------
    ArgumentError
        Unknown rule; a rank and noise that leave nothing; block of another length than the image has axes.

    Notes
    -----
    Where rules find fewer than two components of blood velocities are 0 (and the variance 1): one component has one
    phase for the whole image, the filter's. With numbers for both estimators of velocities refuse it.

    The n_frames x n_frames matrix of products is diagonalised in double precision; work is about
    8 n_frames^2 n_points for it and 16 rank n_frames n_points for the filter.

    References
    ----------
    .. [1] C. Demené et al., Spatiotemporal clutter filtering of ultrafast ultrasound data highly increases Doppler and
       fUltrasound sensitivity, IEEE Trans. Med. Imaging 34, 2271 (2015).
    .. [2] J. Baranger et al., Adaptive spatiotemporal SVD clutter filtering for ultrafast Doppler imaging using
       similarity of spatial singular vectors, IEEE Trans. Med. Imaging 37, 1574 (2018), which also compares the rule by
       frequency and rules by singular values.
    .. [3] P. Song et al., Ultrasound small vessel imaging with block-wise adaptive local clutter filtering, IEEE Trans.
       Med. Imaging 36, 251 (2017).
    """

    rank: int | str = "frequency"
    noise: int | str = 0
    cutoff: float = 0.1
    block: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.rank, str):
            option("rank", self.rank, _RULES)
        else:
            count("rank", self.rank, 0, 100_000)
        if isinstance(self.noise, str):
            option("noise", self.noise, ("similarity",))
        else:
            count("noise", self.noise, 0, 100_000)
        object.__setattr__(self, "cutoff", scalar("cutoff", self.cutoff, 1e-4, 1.0, "(fraction of Nyquist)"))
        if self.block is not None and np.ndim(self.block):
            object.__setattr__(self, "block", tuple(self.block))

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames, ...) complex64 without tissue and noise."""
        frames = slow_time_frames(iq)
        if self.block is None:
            return self._filtered(frames)
        result = np.zeros_like(frames)
        total = np.zeros(frames.shape[1:], "f4")
        for window, weight in _blocks(frames.shape[1:], self.block):
            inside = (slice(None), *window)
            result[inside] += weight * self._filtered(frames[inside])
            total[window] += weight
        return np.asarray(result / total)

    def components(self, iq: Any) -> tuple[int, int]:
        """First component that is kept and the one after the last, with all points as one block.

        Parameters
        ----------
        iq : (n_frames, ...) complex64

        Returns
        -------
        (int, int)
            (0, n_frames) if all are kept.
        """
        frames = slow_time_frames(iq).reshape(len(iq), -1)
        return self._kept(frames, *_decomposed(frames))

    def slow_time(self, frames: NDArray[np.complex64]) -> SlowTimeFilter | None:
        """Return the filter that these frames, which are finite or refused, ask for; None with blocks."""
        if self.block is not None:
            return None
        finite("iq", frames)
        return self._projection(frames.reshape(len(frames), -1))

    def _filtered(self, frames: NDArray[np.complex64]) -> NDArray[np.complex64]:
        return filtered_frames(frames, self._projection(frames.reshape(len(frames), -1)))

    def _projection(self, flat: NDArray[np.complex64]) -> SlowTimeFilter:
        values, times = _decomposed(flat)
        first, end = self._kept(flat, values, times)
        # The shorter of the two sums: what stays, or what goes.
        gone = np.r_[0:first, end : len(flat)]
        if end - first < len(gone):
            taken = subspace_kept(times[:, first:end])
        else:
            taken = subspace_removed(times[:, gone]) if len(gone) else SlowTimeFilter()
        # Whoever gave numbers can give others; an ensemble of which data leave too little does not end a movie.
        return taken._replace(refused=not (isinstance(self.rank, str) or isinstance(self.noise, str)))

    def _kept(
        self, flat: NDArray[np.complex64], values: NDArray[np.float64], times: NDArray[np.complex128]
    ) -> tuple[int, int]:
        n = len(values)
        if "similarity" in (self.rank, self.noise):
            similar = two_squares(_similarities(flat, values, times))
        if self.rank == "similarity":
            first = similar[0]
        elif self.rank == "frequency":
            first = slow_components(times, self.cutoff)
        else:
            first = int(self.rank)
        end = similar[1] if self.noise == "similarity" else n - int(self.noise)
        if not isinstance(self.rank, str) and not isinstance(self.noise, str) and first >= end:
            raise ArgumentError(f"rank: expected rank + noise below {n} frames, got {first} + {self.noise}")
        return first, max(end, first)


def slow_components(vectors: NDArray[Any], cutoff: float) -> Any:
    """How many leading vectors in time, (..., n_frames, n) by falling strength, are slower than a cutoff.

    Parameters
    ----------
    vectors : (..., n_frames, n) complex
    cutoff : float
        Fraction of the Nyquist velocity.

    Returns
    -------
    int or (...) int64
        Vectors before the first that is as fast as the cutoff.
    """
    lag_one = (vectors[..., 1:, :] * vectors[..., :-1, :].conj()).sum(axis=-2)
    fast = np.abs(np.angle(lag_one)) >= np.pi * cutoff
    number = np.where(fast.any(axis=-1), fast.argmax(axis=-1), fast.shape[-1])
    return int(number) if number.ndim == 0 else number


def two_squares(similarity: NDArray[np.float64]) -> tuple[int, int]:
    """Ends of the two squares along the diagonal that correlate best with a matrix of similarities.

    Parameters
    ----------
    similarity : (n, n) float64

    Returns
    -------
    (int, int)
        The first square is [0, a), the second [a, b).
    """
    n = len(similarity)
    centred = similarity - similarity.mean()
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = centred.cumsum(axis=0).cumsum(axis=1)
    corner = sums.diagonal()
    a, b = np.triu_indices(n + 1)
    inside = corner[a] + corner[b] - sums[a, b] - sums[b, a] + corner[a]
    area = a**2 + (b - a) ** 2
    spread = np.sqrt(area * (n**2 - area) / n**2)  # of the squares' indicator
    allowed = (a > 0) & (b > a) & (spread > 0)
    best = np.where(allowed, inside / np.where(allowed, spread, 1), -np.inf).argmax()
    return int(a[best]), int(b[best])


def _decomposed(flat: NDArray[np.complex64]) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Singular values, falling, and singular vectors in time as columns."""
    n = len(flat)
    products = np.zeros((n, n), "c16")
    for first in range(0, flat.shape[1], _POINTS_AT_ONCE):  # rounding of a part's sum averages out over the parts
        part = flat[:, first : first + _POINTS_AT_ONCE]
        products += part @ part.conj().T
    powers, vectors = np.linalg.eigh(products)
    return np.sqrt(np.maximum(powers[::-1], 0)), vectors[:, ::-1]


def _similarities(
    flat: NDArray[np.complex64], values: NDArray[np.float64], times: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Correlation of the magnitudes of the singular vectors in space, (n_frames, n_frames)."""
    space = np.abs(times.conj().T.astype("c8") @ flat)
    space -= space.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(space, axis=1)
    space /= np.where(norm > 1e-6 * max(values[0], 1e-30), norm, np.inf)[:, None]
    return np.asarray((space @ space.T).astype("f8"))


def _blocks(shape: tuple[int, ...], block: Any) -> Iterator[tuple[tuple[slice, ...], NDArray[np.float32]]]:
    """Windows that cover an image, overlapping by half, each with weights that fall towards its edges."""
    sizes = (block,) * len(shape) if np.ndim(block) == 0 else tuple(block)
    if len(sizes) != len(shape):
        raise ArgumentError(f"block: expected 1 or {len(shape)} values, got {len(sizes)}")
    axes = []
    for wanted, length in zip(sizes, shape, strict=True):
        size = min(count("block", wanted, 2, 1_000_000), length)
        n = -(-2 * (length - size) // size) + 1
        starts = np.linspace(0, length - size, n).round().astype(int)
        axes.append([slice(int(s), int(s) + size) for s in starts])
    for window in itertools.product(*axes):
        weight = np.ones((), "f4")
        for part in window:
            size = part.stop - part.start
            ramp = (1 - np.abs(2 * np.arange(size) + 1 - size) / (size + 1)).astype("f4")
            weight = weight[..., None] * ramp
        yield window, weight
