"""Edge-preserving inversion: least squares with total variation, by reweighted conjugate gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..errors import ArgumentError
from .operators import LinearOperator

Vector = NDArray[np.float64]


def total_variation(
    operator: LinearOperator,
    data: Any,
    mask: Any,
    *,
    strength: float,
    edge: float,
    start: Any = None,
    weights: Any = None,
    huber: float | None = None,
    reweightings: int = 5,
    iterations: int = 10,
    tolerance: float = 1e-3,
    bounds: tuple[float, float] | None = None,
    callback: Callable[[int, Vector], None] | None = None,
) -> Vector:
    """Minimise 1/2 sum w rho(A u - data) + strength sum sqrt(abs(Du)^2 + edge^2) over u at the nodes of a mask.

    D takes differences between neighbouring nodes of the mask, rho is quadratic up to ``huber`` robust standard
    deviations of the residual and linear beyond. Both square roots become weighted squares around the present u
    (lagged diffusivity [1]_, iteratively reweighted least squares); each weighted problem is solved by a few conjugate
    gradients, which start where the last ones ended.

    Parameters
    ----------
    operator : LinearOperator
        (n_data, n_nodes), nodes in C order of the mask.
    data : (n_data,) float64
    mask : 2-D or 3-D bool
    strength : float
        Unit of data^2 per unit of u.
    edge : float
        Differences between neighbours below this are smoothed as by a quadratic penalty. In the unit of u.
    start : (n_nodes,) float64, optional
        Default zero.
    weights : (n_data,) float64, optional
        At least 0. Default one.
    huber : float, optional
        None: plain least squares.
    reweightings, iterations : int
        Weighted problems, and conjugate gradients in each: at most their product of operator applications (and
        transposed ones).
    tolerance : float
        Conjugate gradients stop when the gradient has fallen by this factor.
    bounds : (float, float), optional
        Limits of u, imposed after each weighted problem.
    callback : function of (reweighting, u), optional
        After each weighted problem.

    Returns
    -------
    (n_nodes,) float64

    Raises
    ------
    ArgumentError
        Shapes that do not fit, NaN, negative weights or strength.

    References
    ----------
    .. [1] C. R. Vogel, M. E. Oman, Iterative methods for total variation denoising, SIAM J. Sci. Comput. 17, 227
       (1996), eq. 3.5.
    """
    n_data, n_nodes = operator.shape
    where = np.asarray(mask)
    if where.dtype != bool or where.ndim not in (2, 3) or int(where.sum()) != n_nodes:
        raise ArgumentError(f"mask: expected 2-D or 3-D bool with {n_nodes} nodes, got {where.dtype} {where.shape}")
    y = array("data", data, (n_data,))
    w = np.ones(n_data) if weights is None else array("weights", weights, (n_data,), low=0.0, high=1e30)
    u = np.zeros(n_nodes) if start is None else array("start", start, (n_nodes,)).copy()
    penalty = scalar("strength", strength, 0.0, 1e30, "(data^2 per u)")
    small = scalar("edge", edge, 1e-30, 1e30, "(unit of u)")
    for k in range(count("reweightings", reweightings, 1, 10_000)):
        residual = y - operator(u)
        robust = w if huber is None else w * _huber_weights(residual, w, huber)
        slope = _differences(u, where)
        conductance = penalty / np.sqrt((slope**2).sum(axis=0) + small**2)
        gradient = operator.adjoint(robust * residual) - _divergence(conductance * slope, where)
        u = u + _conjugate_gradients(operator, robust, conductance, where, gradient, iterations, tolerance)
        if bounds is not None:
            u = np.clip(u, *bounds)
        if callback is not None:
            callback(k + 1, u)
    return u


def _huber_weights(residual: Vector, weights: Vector, limit: float) -> Vector:
    """Weights of Huber's rho. The scale is a high quantile: most pairs may miss the object and fit exactly."""
    used = np.abs(residual[weights > 0])
    if not used.size:
        return np.ones_like(residual)
    scale = limit * float(np.quantile(used, 0.9)) / 1.645
    return (
        np.asarray(np.minimum(1.0, scale / np.maximum(np.abs(residual), 1e-300))) if scale else np.ones_like(residual)
    )


def _conjugate_gradients(
    operator: LinearOperator,
    weights: Vector,
    conductance: NDArray[np.float64],
    mask: NDArray[np.bool_],
    gradient: Vector,
    iterations: int,
    tolerance: float,
) -> Vector:
    """Solve (A^T W A + D^T C D) x = gradient from zero."""
    x, r = np.zeros_like(gradient), gradient.copy()
    p, square = r.copy(), float(r @ r)
    stop = tolerance**2 * square
    for _ in range(count("iterations", iterations, 1, 10_000)):
        if square <= stop or square == 0.0:
            break
        q = operator.adjoint(weights * operator(p)) + _divergence(conductance * _differences(p, mask), mask)
        step = square / float(p @ q)
        x += step * p
        r -= step * q
        previous, square = square, float(r @ r)
        p = r + square / previous * p
    return x


def _differences(u: Vector, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """D u, (ndim, *mask.shape): to the next node along each axis, 0 across the mask's border."""
    image = np.zeros(mask.shape)
    image[mask] = u
    result = np.zeros((mask.ndim, *mask.shape))
    for axis in range(mask.ndim):
        ahead, here = _shifted(axis, mask.ndim)
        result[axis][here] = (image[ahead] - image[here]) * (mask[ahead] & mask[here])
    return result


def _divergence(slope: NDArray[np.float64], mask: NDArray[np.bool_]) -> Vector:
    """D^T of differences that vanish across the mask's border."""
    image = np.zeros(mask.shape)
    for axis in range(mask.ndim):
        ahead, here = _shifted(axis, mask.ndim)
        inner = slope[axis][here] * (mask[ahead] & mask[here])
        image[here] -= inner
        image[ahead] += inner
    return np.asarray(image[mask])


def _shifted(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    ahead, here = [slice(None)] * ndim, [slice(None)] * ndim
    ahead[axis], here[axis] = slice(1, None), slice(None, -1)
    return tuple(ahead), tuple(here)
