"""Minimum of a quadratic in a map plus the map's total variation, for maps small enough for dense matrices."""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from ..media.grids import Grid

REFERENCE = 1540.0  # m/s: slowness gradients count as sound-speed gradients there


def differences(grid: Grid) -> tuple[Any, Any]:
    """Sparse operators to (n_x - 1, n_z) and (n_x, n_z - 1) differences over distances [1/m]."""
    one = [
        scipy.sparse.diags([-np.ones(n), np.ones(n - 1)], [0, 1], shape=(n - 1, n), format="csr") / h
        for n, h in zip(grid.shape, grid.spacing, strict=True)
    ]
    eye = [scipy.sparse.eye(n, format="csr") for n in grid.shape]
    return scipy.sparse.kron(one[0], eye[1], format="csr"), scipy.sparse.kron(eye[0], one[1], format="csr")


def gradient_magnitude(x: NDArray[np.float64], z: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Squared gradient at the nodes from the differences to both sides."""
    square = np.zeros(shape)
    gx, gz = x.reshape(shape[0] - 1, shape[1]) ** 2 / 2, z.reshape(shape[0], shape[1] - 1) ** 2 / 2
    square[:-1] += gx
    square[1:] += gx
    square[:, :-1] += gz
    square[:, 1:] += gz
    return square


def total_variation_step(
    normal: NDArray[np.float64],
    slope: NDArray[np.float64],
    slowness: NDArray[np.float64],
    grid: Grid,
    strength: float,
    edge: float,
    lateral: float = 1.0,
    toward: NDArray[np.float64] | None = None,
    pull: float = 0.0,
    reweightings: int = 6,
) -> NDArray[np.float64]:
    """Minimise d^T N d / 2 + g^T d + strength mean sqrt(abs(grad c)^2 + edge^2) over the map slowness + d.

    Parameters
    ----------
    normal, slope : (n, n), (n,)
        N and g.
    slowness : (n,) [s/m]
    grid : Grid
    strength : float
    edge : float [1/s]
    lateral : float
        Gradients along x count this many times those along z.
    toward : (n,) [s/m], optional
    pull : float [s^2/m^2]
        Weight of the mean squared difference of the sound speed from that of `toward`.
    reweightings : int

    Returns
    -------
    (n,) float64 [s/m]

    References
    ----------
    .. [1] C. R. Vogel, M. E. Oman, Iterative methods for total variation denoising, SIAM J. Sci. Comput. 17, 227
       (1996), eq. 3.5.
    """
    across, down = differences(grid)
    across = across * lateral
    factor = strength * REFERENCE**4 / grid.size
    right = normal @ slowness - slope
    hold = pull * REFERENCE**4 / grid.size if toward is not None else 0.0
    if toward is not None:
        right = right + hold * toward
    # Nodes that no path touches follow their neighbours, through the prior alone; this keeps the matrix definite.
    small = 1e-12 * float(np.trace(normal)) / len(normal)
    result = slowness
    for _ in range(reweightings):
        gx, gz = across @ result * REFERENCE**2, down @ result * REFERENCE**2
        square = gradient_magnitude(gx, gz, grid.shape)
        wx, wz = 0.5 * (square[1:] + square[:-1]), 0.5 * (square[:, 1:] + square[:, :-1])
        wx, wz = (1 / np.sqrt(w.ravel() + edge**2) for w in (wx, wz))
        prior = across.T @ scipy.sparse.diags(wx) @ across + down.T @ scipy.sparse.diags(wz) @ down
        matrix = normal + factor * prior.toarray()
        matrix[np.diag_indices_from(matrix)] += small + hold
        result = scipy.linalg.solve(matrix, right + small * slowness, assume_a="pos", check_finite=False)
    return np.asarray(result)
