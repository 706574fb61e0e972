"""Smooth interpolation across narrow gaps."""

from typing import Any

import numpy as np
import scipy  # loads ndimage and sparse when they are first used
from numpy.typing import NDArray


def biharmonic_fill(frames: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill what is hidden so that the squared Laplacian of a frame is least, in values and slopes continuous [1]_.

    Parameters
    ----------
    frames : (n_frames, n_rows, n_columns) float32
    mask : (n_frames, n_rows, n_columns) bool
        What is hidden; for lines and text, since time and memory grow faster than the number of pixels.

    Returns
    -------
    (n_frames, n_rows, n_columns) float32
        Between the least and the largest value of the frame that is not hidden.

    References
    ----------
    .. [1] S. B. Damelin and N. S. Hoang, On surface completion and image inpainting by biharmonic functions,
       International Journal of Mathematics and Mathematical Sciences, 2018.
    """
    result = np.array(frames, np.float32)
    everywhere = _laplacian(mask.shape[1:])
    for frame, hidden in zip(result, mask, strict=True):
        if hidden.any() and not hidden.all():
            frame[hidden] = _filled(frame, hidden, everywhere)
    return result


def _filled(frame: NDArray[np.float32], hidden: NDArray[np.bool_], everywhere: Any) -> NDArray[Any]:
    """Values of the hidden pixels."""
    laplacian = everywhere[np.flatnonzero(scipy.ndimage.binary_dilation(hidden))]
    unknown = laplacian[:, np.flatnonzero(hidden)]
    known = laplacian @ np.where(hidden, 0.0, frame).ravel()
    found = scipy.sparse.linalg.spsolve((unknown.T @ unknown).tocsc(), -(unknown.T @ known))
    return np.asarray(np.clip(found, frame[~hidden].min(), frame[~hidden].max()))


def _laplacian(shape: tuple[int, ...]) -> Any:
    """Sum over the neighbours in the image minus as many times the pixel, as a sparse matrix."""
    rows, columns = (_second_difference(n) for n in shape)
    identity = [scipy.sparse.eye_array(n) for n in shape]
    return (scipy.sparse.kron(rows, identity[1]) + scipy.sparse.kron(identity[0], columns)).tocsr()


def _second_difference(n: int) -> Any:
    ends = np.ones(n)
    diagonal = -2 * ends
    diagonal[[0, -1]] += 1
    return scipy.sparse.diags_array([ends[1:], diagonal, ends[1:]], offsets=[-1, 0, 1])
