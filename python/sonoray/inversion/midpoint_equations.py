"""Normal equations of a sound-speed map from common-midpoint correlations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .focus_criteria import CommonMidpointCorrelations

Matrix = NDArray[np.float64]
_NEAR = 15  # patches above and below a patch in order of depth, with which its brightness is compared
_ROWS = 400  # of the Jacobian made dense at a time
_NEAR_FIELD = (1.2, 1.0)  # factor and rate of the share, see `registration`


@dataclass(frozen=True, eq=False)
class PhaseWeights:
    """Which phases count how much.

    Parameters
    ----------
    threshold : float
        Correlations below it do not count.
    phase_noise : float [rad]
        Added to what the correlation itself lets expect.
    robust : float
        Phases beyond this many medians count less and less; 0: all count.
    brightness : float
        Patches brighter than this many times the median of their depth count less: bright points are seen by patches
        around them, where the phase says where the point is, not how fast sound is.
    """

    threshold: float
    phase_noise: float
    robust: float
    brightness: float

    def __call__(self, correlations: CommonMidpointCorrelations, depth: NDArray[np.float64]) -> Matrix:
        """Weights (n_patches, n_i, n_j), their sum 1 (or 0 if nothing counts)."""
        rho = np.abs(correlations.correlation)
        enough = rho > self.threshold
        np.einsum("nii->ni", enough)[...] = (
            False  # i = j: A and B are one pair in both directions, equal whatever the map
        )
        counts = np.nonzero(enough)
        weight = np.zeros(rho.shape)
        if not counts[0].size:
            return weight
        square = np.clip(rho[counts].astype(np.float64) ** 2, 1e-3, 1.0)
        dimming = _dimming(correlations.energy, depth, self.brightness)[counts[0]]
        value = dimming / (0.5 * (1 - square) / square + self.phase_noise**2)
        if self.robust:
            phase = np.abs(np.angle(correlations.correlation[counts])).astype(np.float64)
            value /= 1 + (phase / (self.robust * max(float(np.median(phase)), 1e-6))) ** 2
        weight[counts] = value / max(float(value.sum()), 1e-300)
        return weight


def _dimming(energy: Any, depth: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Factor of each patch from its brightness relative to the median of patches about as deep."""
    if not limit:
        return np.ones(len(depth))
    lit = np.count_nonzero(energy, axis=(1, 2))
    mean = energy.sum((1, 2), dtype=np.float64) / np.maximum(lit, 1)
    order = np.argsort(depth, kind="stable")
    sorted_mean, n = mean[order], len(depth)
    usual = np.empty(n)
    for k in (*range(min(_NEAR, n)), *range(max(n - _NEAR, 0), n)):
        usual[order[k]] = np.median(sorted_mean[max(0, k - _NEAR) : k + _NEAR + 1])
    if n > 2 * _NEAR:
        windows = np.lib.stride_tricks.sliding_window_view(sorted_mean, 2 * _NEAR + 1)
        usual[order[_NEAR : n - _NEAR]] = np.median(windows, axis=1)
    return np.asarray(1 / (1 + (mean / np.maximum(limit * usual, 1e-300)) ** 4))


def registration(
    centers: NDArray[np.float64], offset: NDArray[np.float64], midpoint: NDArray[np.float64], width: float
) -> tuple[Any, Any]:
    """How strongly the delays of pairs A and B count in their phase, each (n_patches, n_i, n_j).

    A pair sees speckle not at the point but where its own delay puts it: an error e moves it by e / kappa in depth,
    kappa being the cosine of half the angle between transmit and receive path. What A and B have in common is then
    seen with phase 2 pi f kappa (e_A / kappa_A - e_B / kappa_B), kappa the mean of both; for a wrong constant speed
    that is twice e_A - e_B. Within a few widths of a sub-aperture its own opening angle is no smaller than that
    between the sub-apertures and the move is not complete; the share 1 - 1.2 exp(-depth / width) describes what
    homogeneous speckle of point scatterers shows for changes of a constant, sub-apertures being whole.

    Parameters
    ----------
    centers : (n_patches, 3) [m]
    offset, midpoint : (n_i, n_j, 3) [m]
        Means of A and B, whose own offsets differ from it by the step of the sub-apertures.
    width : float [m]
        Of a sub-aperture.
    """
    step = np.diff(offset, axis=1).mean(axis=(0, 1)) if offset.shape[1] > 1 else np.zeros(3)
    tx, rx = (midpoint - 0.5 * offset)[:, 0], (midpoint + 0.5 * offset)[0]
    kappa = []
    for sign in (0.5, -0.5):
        back, forth = (_unit(centers[:, None] - ends) for ends in (tx - sign * step, rx + sign * step))
        kappa.append(np.sqrt(np.clip(0.5 * (1 + back @ forth.transpose(0, 2, 1)), 1e-4, 1)))
    x, y, z = (centers[:, k, None, None] - midpoint[..., k] for k in range(3))
    share = 1 - _NEAR_FIELD[0] * np.exp(np.sqrt(x * x + y * y + z * z) * (-_NEAR_FIELD[1] / width))
    mean = 0.5 * (kappa[0] + kappa[1])
    return 1 + share * (mean / kappa[0] - 1), 1 + share * (mean / kappa[1] - 1)


def _unit(vectors: Matrix) -> Matrix:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def delay_equations(
    phase: NDArray[np.floating[Any]], weight: Matrix, factors: tuple[Any, Any], frequency: float
) -> tuple[Matrix, Matrix]:
    """Quadratic of the changes of each patch's delays whose minimum makes its phases vanish.

    The misfit of a pair is phase + 2 pi f (a (t_i + t_j+1) - b (t_i+1 + t_j)), with factors a and b (`registration`).

    Returns
    -------
    hessian : (n_patches, m, m)
    gradient : (n_patches, m)
        m sub-apertures.
    """
    w = 2 * np.pi * frequency
    a, b = factors
    n, m = len(phase), phase.shape[1] + 1
    hessian, gradient = np.zeros((n, m, m)), np.zeros((n, m))
    weighted = weight * phase
    along_a, along_b = weighted * a, weighted * b
    gradient[:, :-1] += along_a.sum(2)
    gradient[:, 1:] -= along_b.sum(2)
    gradient[:, 1:] += along_a.sum(1)
    gradient[:, :-1] -= along_b.sum(1)
    aa, ab, bb = weight * a * a, weight * a * b, weight * b * b
    # Delays of transmit with those of receive: half of a symmetric sum.
    hessian[:, :-1, 1:] += aa
    hessian[:, :-1, :-1] -= ab
    hessian[:, 1:, 1:] -= ab
    hessian[:, 1:, :-1] += bb
    hessian += hessian.transpose(0, 2, 1).copy()
    diagonal, beside = (np.einsum("nii->ni", block) for block in (hessian, hessian[:, :-1, 1:]))
    for axis, first, second in ((2, aa, bb), (1, bb, aa)):
        diagonal[:, :-1] += first.sum(axis)
        diagonal[:, 1:] += second.sum(axis)
        beside -= ab.sum(axis)
        np.einsum("nii->ni", hessian[:, 1:, :-1])[...] -= ab.sum(axis)
    return w * w * hessian, w * gradient


def map_equations(hessian: Matrix, gradient: Matrix, paths: Any) -> tuple[Matrix, NDArray[np.float64]]:
    """The quadratic in terms of the map: paths is the sparse Jacobian (n_patches m, n_nodes) of the delays [m]."""
    n_patches, m = gradient.shape
    rows = scipy.sparse.csr_array(paths)
    normal = np.zeros((rows.shape[1], rows.shape[1]))
    group = max(1, _ROWS // m)
    for first in range(0, n_patches, group):
        blocks = hessian[first : first + group]
        nodes, dense = _dense(rows, first * m, (first + len(blocks)) * m)
        product = blocks @ dense.reshape(len(blocks), m, len(nodes))
        normal[np.ix_(nodes, nodes)] += dense.T @ product.reshape(dense.shape)
    return 0.5 * (normal + normal.T), np.asarray(rows.T @ gradient.ravel())


def _dense(rows: Any, first: int, end: int) -> tuple[NDArray[np.intp], Matrix]:
    """Nodes that these rows touch, and the rows there."""
    some = rows[first:end]
    nodes = np.flatnonzero(np.bincount(some.indices, minlength=some.shape[1]))
    return nodes, some.toarray()[:, nodes]
