"""Edge-preserving inversion: least squares with total variation, by reweighted conjugate gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._checks import array, count, scalar
from ..errors import ArgumentError
from .operators import LinearOperator, Vector
from .regularization import Gradient


def total_variation(
    operator: LinearOperator,
    data: Any,
    gradient: Gradient,
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
    """Minimise 1/2 sum w rho(A u - data) + strength sum sqrt(abs(grad u)^2 + edge^2) over u at the nodes of a mask.

    rho is quadratic up to ``huber`` robust standard deviations of the residual and linear beyond. Both functions become
    weighted squares around the present u (lagged diffusivity [1]_, iteratively reweighted least squares); each weighted
    problem is solved by a few conjugate gradients, which start where the last ones ended. A needs no particular sign,
    and far fewer applications are needed than by `primal_dual`, which in turn minimises with bounds exactly.

    Parameters
    ----------
    operator : LinearOperator
        (n_data, n_nodes).
    data : (n_data,) float64
    gradient : Gradient
        Of the n_nodes.
    strength : float
        Unit of data^2 per unit of u / m.
    edge : float
        Gradients below this are smoothed as by a quadratic penalty. In the unit of u / m.
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
    if not isinstance(gradient, Gradient) or gradient.shape[1] != n_nodes:
        nodes = getattr(gradient, "shape", (0, 0))[1]
        raise ArgumentError(
            f"gradient: expected a Gradient of {n_nodes} nodes, got {type(gradient).__name__} of {nodes}"
        )
    y = array("data", data, (n_data,))
    w = np.ones(n_data) if weights is None else array("weights", weights, (n_data,), low=0.0, high=1e30)
    u = np.zeros(n_nodes) if start is None else array("start", start, (n_nodes,)).copy()
    penalty = scalar("strength", strength, 0.0, 1e30, "(data^2 per u / m)")
    small = scalar("edge", edge, 1e-30, 1e30, "(unit of u per m)")
    for k in range(count("reweightings", reweightings, 1, 10_000)):
        residual = y - operator(u)
        robust = w if huber is None else w * _huber_weights(residual, w, huber)
        slope = gradient(u).reshape(gradient.components, -1)
        conductance = np.tile(penalty / np.sqrt((slope**2).sum(axis=0) + small**2), gradient.components)
        descent = operator.adjoint(robust * residual) - gradient.adjoint(conductance * slope.ravel())
        u = u + _conjugate_gradients(operator, robust, gradient, conductance, descent, iterations, tolerance)
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
    gradient: Gradient,
    conductance: Vector,
    descent: Vector,
    iterations: int,
    tolerance: float,
) -> Vector:
    """Solve (A^T W A + D^T C D) x = descent from zero."""
    x, r = np.zeros_like(descent), descent.copy()
    p, square = r.copy(), float(r @ r)
    stop = tolerance**2 * square
    for _ in range(count("iterations", iterations, 1, 10_000)):
        if square <= stop or square == 0.0:
            break
        q = operator.adjoint(weights * operator(p)) + gradient.adjoint(conductance * gradient(p))
        step = square / float(p @ q)
        x += step * p
        r -= step * q
        previous, square = square, float(r @ r)
        p = r + square / previous * p
    return x
