"""Wall filters by eigenvectors at each point: tissue may move differently everywhere."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import count, scalar
from .._progress import progress as show_progress
from ..errors import ArgumentError
from .svd_filters import slow_components
from .wall_filters import slow_time_frames

_BYTES_AT_ONCE = 1 << 26


@dataclass(frozen=True)
class EigenFilter:
    """Removes, at each point, the slow leading eigenvectors of the frames' correlation around that point.

    R = <x x^H> over a window; the eigenvectors of falling eigenvalue are taken for tissue until one is as fast as
    ``cutoff`` [1]_. Unlike `SvdFilter` by blocks the window slides.

    Parameters
    ----------
    cutoff : float
        Fraction of the Nyquist velocity.
    window : int or tuple of int
        Points along each image axis over which products are averaged.
    most : int, optional
        Eigenvectors removed at most; default half the frames.
    progress : bool
        Show on standard error how far it is.

    Raises
    ------
    ArgumentError
        Values out of range, a window of another length than the image has axes.

    Notes
    -----
    One eigen-decomposition per point: tens of microseconds for a dozen frames, half a millisecond for 32.

    References
    ----------
    .. [1] A. C. H. Yu, L. Løvstakken, Eigen-based clutter filter design for ultrasound color flow imaging: a review,
       IEEE Trans. UFFC 57, 1096 (2010).
    .. [2] S. Bjærum, H. Torp, K. Kristoffersen, Clutter filters adapted to tissue motion in ultrasound color flow
       imaging, IEEE Trans. UFFC 49, 693 (2002).
    """

    cutoff: float = 0.1
    window: Any = 7
    most: int | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff", scalar("cutoff", self.cutoff, 1e-4, 1.0, "(fraction of Nyquist)"))
        if self.most is not None:
            count("most", self.most, 1, 100_000)

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames, ...) complex64 without tissue."""
        frames = slow_time_frames(iq)
        n, shape = len(frames), frames.shape[1:]
        sizes = (self.window,) * len(shape) if np.ndim(self.window) == 0 else tuple(self.window)
        if len(sizes) != len(shape):
            raise ArgumentError(f"window: expected 1 or {len(shape)} values, got {len(sizes)}")
        sizes = tuple(count("window", size, 1, 10_000) for size in sizes)
        result = np.empty_like(frames)
        halo = sizes[0]
        rows = max(1, int(_BYTES_AT_ONCE // (8 * n * n * max(int(np.prod(shape[1:])), 1))))
        for first in show_progress(range(0, shape[0], rows), "eigen filter", enabled=self.progress):
            low, high = max(first - halo, 0), min(first + rows + halo, shape[0])
            near = frames[:, low:high]
            products = near[:, None] * near[None].conj()
            products = scipy.ndimage.uniform_filter(products, (1, 1, *sizes), mode="nearest")
            here = slice(first - low, min(first + rows, shape[0]) - low)
            matrices = np.moveaxis(products[:, :, here], (0, 1), (-2, -1))
            x = np.moveaxis(near[:, here], 0, -1)[..., None]
            vectors = np.linalg.eigh(matrices)[1][..., ::-1]
            result[:, first : first + rows] = np.moveaxis(_without(x, vectors, self.cutoff, self.most or n // 2), -1, 0)
        return result


@dataclass(frozen=True)
class HankelFilter:
    """Removes slow principal components of each point's own samples: no neighbours are asked.

    A point's samples fill a Hankel matrix A[i, j] = x[i + j]; its slow leading components are tissue, the rest averaged
    along antidiagonals is what is left [1]_.

    Parameters
    ----------
    cutoff : float
        Fraction of the Nyquist velocity.
    length : int, optional
        Columns of the matrix; default half the frames. A component's frequency is known to about 2 / length.
    most : int, optional
        Components removed at most; default half the columns.

    Raises
    ------
    ArgumentError
        Values out of range, fewer than four frames, more columns than frames less one.

    References
    ----------
    .. [1] A. C. H. Yu, R. S. C. Cobbold, Single-ensemble-based eigen-processing methods for color flow imaging, part I:
       the Hankel-SVD filter, IEEE Trans. UFFC 55, 559 (2008).
    """

    cutoff: float = 0.1
    length: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff", scalar("cutoff", self.cutoff, 1e-4, 1.0, "(fraction of Nyquist)"))
        for name in ("length", "most"):
            if getattr(self, name) is not None:
                count(name, getattr(self, name), 2 if name == "length" else 1, 10_000)

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames, ...) complex64 without tissue."""
        frames = slow_time_frames(iq)
        n = len(frames)
        columns = n // 2 if self.length is None else self.length
        if n < 4 or columns > n - 1:
            raise ArgumentError(f"length: expected four frames or more and at most n - 1 columns, got {n}, {columns}")
        flat = frames.reshape(n, -1)
        result = np.empty_like(flat)
        spread = np.bincount((np.arange(n - columns + 1)[:, None] + np.arange(columns)).ravel(), minlength=n)
        step = max(1, _BYTES_AT_ONCE // (32 * columns * n))
        for first in range(0, flat.shape[1], step):
            x = np.ascontiguousarray(flat[:, first : first + step].T)
            hankel = np.lib.stride_tricks.sliding_window_view(x, columns, axis=1)  # (points, rows, columns)
            rows = hankel.swapaxes(1, 2)
            vectors = np.linalg.eigh(rows @ rows.conj().swapaxes(1, 2))[1][..., ::-1]
            left = _without(rows, vectors, self.cutoff, self.most or max(columns // 2, 1))
            y = np.zeros_like(x)
            for j in range(columns):
                y[:, j : j + n - columns + 1] += left[:, j]
            result[:, first : first + step] = (y / spread).T
        return result.reshape(frames.shape)


def _without(x: NDArray[Any], vectors: NDArray[Any], cutoff: float, most: int) -> NDArray[Any]:
    """Samples (..., n, k) without the slow leading vectors (..., n, n); k = 1 is dropped."""
    vectors = vectors[..., :most]
    slow = np.arange(vectors.shape[-1]) < slow_components(vectors, cutoff)[..., None]
    vectors = vectors * slow[..., None, :]
    left = x - vectors @ (vectors.conj().swapaxes(-1, -2) @ x)
    return np.asarray(left[..., 0] if left.shape[-1] == 1 else left)
