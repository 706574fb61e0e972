"""Normal equations of a sound-speed map from common-midpoint correlations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .focus_criteria import CommonMidpointCorrelations

Matrix = NDArray[np.float64]
_NEAR = (4.0, 1.23)


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
        counts = rho > self.threshold
        square = np.clip(rho.astype(np.float64) ** 2, 1e-3, 1.0)
        weight = counts / (0.5 * (1 - square) / square + self.phase_noise**2)
        weight *= _dimming(correlations.energy, depth, self.brightness)[:, None, None]
        if self.robust and counts.any():
            phase = np.abs(np.angle(correlations.correlation))
            weight /= 1 + (phase / (self.robust * max(float(np.median(phase[counts])), 1e-6))) ** 2
        total = float(weight.sum())
        return weight / total if total else weight


def _dimming(energy: Any, depth: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Factor of each patch from its brightness relative to the median of patches about as deep."""
    if not limit:
        return np.ones(len(depth))
    lit = energy > 0
    mean = energy.sum((1, 2), dtype=np.float64) / np.maximum(lit.sum((1, 2)), 1)
    order = np.argsort(depth, kind="stable")
    usual = np.empty(len(depth))
    for k, p in enumerate(order):  # the 31 patches nearest in depth, at least
        near = order[max(0, k - 15) : k + 16]
        usual[p] = np.median(mean[near])
    return np.asarray(1 / (1 + (mean / np.maximum(limit * usual, 1e-300)) ** 4))


def registration(
    centers: NDArray[np.float64], offset: NDArray[np.float64], midpoint: NDArray[np.float64], width: float
) -> tuple[Any, Any]:
    """How strongly the delays of pairs A and B count in their phase, each (n_patches, n_i, n_j).

    A pair sees speckle not at the point but where its own delay puts it: an error e moves it by e / kappa in depth,
    kappa being the cosine of half the angle between transmit and receive path. What A and B have in common is then
    seen with phase 2 pi f kappa (e_A / kappa_A - e_B / kappa_B), kappa the mean of both; for a wrong constant speed
    that is twice e_A - e_B. Within a few widths of a sub-aperture its own opening angle is no smaller than that
    between the sub-apertures and the move is not complete; the share 1 - 4 exp(-1.23 depth / width) describes what
    full-wave speckle in two layered media shows for changes of a constant.

    Parameters
    ----------
    centers : (n_patches, 3) [m]
    offset, midpoint : (n_i, n_j, 3) [m]
        Means of A and B, whose own offsets differ from it by the step of the sub-apertures.
    width : float [m]
        Of a sub-aperture.
    """
    step = np.abs(np.diff(offset, axis=1)).max(axis=(0, 1)) if offset.shape[1] > 1 else np.zeros(3)
    out = []
    for sign in (1, -1):
        apart = offset + sign * step
        tx, rx = (centers[:, None, None] - (midpoint + s * 0.5 * apart)[None] for s in (-1, 1))
        cosine = (tx * rx).sum(-1) / np.maximum(np.linalg.norm(tx, axis=-1) * np.linalg.norm(rx, axis=-1), 1e-12)
        out.append(np.sqrt(np.clip(0.5 * (1 + cosine), 1e-4, 1)))
    mean = 0.5 * (out[0] + out[1])
    depth = np.linalg.norm(centers[:, None, None] - midpoint[None], axis=-1)
    share = 1 - _NEAR[0] * np.exp(-_NEAR[1] * depth / width)
    return 1 + share * (mean / out[0] - 1), 1 + share * (mean / out[1] - 1)


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
    n, n_i, n_j = phase.shape
    m = n_i + 1
    hessian, gradient = np.zeros((n, m, m)), np.zeros((n, m))
    # Terms of a pair: (delay index along i or along j, shift, factor).
    terms = [("i", 0, a), ("j", 1, a), ("i", 1, -b), ("j", 0, -b)]
    diagonal = np.arange(m)
    for axis, shift, factor in terms:
        along = (weight * phase * factor).sum(2 if axis == "i" else 1)
        gradient[:, shift : shift + along.shape[1]] += w * along
    for axis1, shift1, factor1 in terms:
        for axis2, shift2, factor2 in terms:
            product = weight * factor1 * factor2
            if axis1 == axis2:
                total = product.sum(2 if axis1 == "i" else 1)
                k = diagonal[: total.shape[1]]
                hessian[:, k + shift1, k + shift2] += total
            elif axis1 == "i":
                hessian[:, shift1 : shift1 + n_i, shift2 : shift2 + n_j] += product
            else:
                hessian[:, shift1 : shift1 + n_j, shift2 : shift2 + n_i] += product.transpose(0, 2, 1)
    return w * w * hessian, gradient


def map_equations(hessian: Matrix, gradient: Matrix, paths: Any) -> tuple[Matrix, NDArray[np.float64]]:
    """The quadratic in terms of the map: paths is the sparse Jacobian (n_patches m, n_nodes) of the delays [m]."""
    blocks = scipy.sparse.block_diag(list(hessian), format="csr")
    normal = (paths.T @ (blocks @ paths)).toarray()
    return 0.5 * (normal + normal.T), np.asarray(paths.T @ gradient.ravel())
