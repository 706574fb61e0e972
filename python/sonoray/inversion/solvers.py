"""Linear solvers on operators: SART/SIRT, conjugate gradients, LSQR."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse.linalg

from .._checks import array, count, freeze, scalar
from ..errors import ArgumentError
from .operators import LinearOperator, Vector, checked

Callback = Callable[[int, Vector, float], Any]  # iteration (from 1), x, residual; a true result stops the solver


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Parameters
    ----------
    x : (n_unknowns,) float64
    residuals : (iterations + 1,) float64
        Norm sqrt(sum w (y - A x)^2) before the first and after each iteration.
    iterations : int
    reason : {"iterations", "tolerance", "residual rose", "callback"}
        Why it stopped.
    objective : (iterations + 1,) float64, optional
        Of solvers that minimise more than the residual.
    """

    x: Vector
    residuals: Vector
    iterations: int
    reason: str
    objective: Vector | None = None


def prepared(
    operator: LinearOperator, times: Any, start: Any, weights: Any
) -> tuple[LinearOperator, Vector, Vector, Vector]:
    """Check a solver's arguments; data with weight 0 may be NaN and become 0."""
    operator = checked("operator", operator)
    m, n = operator.shape
    w = np.ones(m) if weights is None else array("weights", weights, (m,))
    if (w < 0).any():
        raise ArgumentError(f"weights: expected no negative ones, got {w.min():g}")
    if not w.any():
        raise ArgumentError("weights: expected at least one above 0, got none: there are no data")
    y = np.asarray(times, np.float64)
    if y.shape != (m,):
        raise ArgumentError(f"times: expected shape ({m},), one per ray, got {y.shape}")
    y = np.where(w > 0, y, 0.0)
    if not np.isfinite(y).all():
        bad = ~np.isfinite(y)
        raise ArgumentError(
            f"times: expected finite values where weights are above 0, got {int(bad.sum())} NaN or infinite, first at "
            f"{int(bad.argmax())}"
        )
    x = np.zeros(n) if start is None else array("start", start, (n,)).copy()
    return operator, y, w, x


def limits(bounds: Any, n: int) -> tuple[Vector, Vector] | None:
    """Check bounds (low, high), numbers or (n,) each."""
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ArgumentError(f"bounds: expected (low, high), got {bounds!r}")
    low, high = (np.broadcast_to(np.asarray(b, np.float64), (n,)) for b in bounds)
    if not (low <= high).all():
        raise ArgumentError("bounds: expected low <= high everywhere")
    return low, high


def slowness_bounds(low_speed: float = 1350.0, high_speed: float = 1700.0) -> tuple[float, float]:
    """Bounds on slowness [s/m] from the lowest and highest sound speed [m/s]."""
    low = scalar("low_speed", low_speed, 300.0, 12000.0, "m/s")
    high = scalar("high_speed", high_speed, 300.0, 12000.0, "m/s")
    if not low < high:
        raise ArgumentError(f"high_speed: expected more than low_speed, {low:g} m/s, got {high:g}")
    return 1 / high, 1 / low


def square(v: Vector) -> float:
    """Squared norm; not by BLAS, whose threads cost more than they save at these lengths."""
    return float(np.sum(v * v))


def norm(residual: Vector, weights: Vector) -> float:
    """Weighted norm of a residual."""
    return float(np.sqrt(np.sum(weights * residual**2)))


def sart(
    operator: LinearOperator,
    times: Any,
    *,
    start: Any = None,
    iterations: int = 5,
    relaxation: float = 1.0,
    weights: Any = None,
    bounds: Any = None,
    tolerance: float = 0.0,
    callback: Callback | None = None,
) -> Solution:
    """Simultaneous algebraic reconstruction: x <- x + relaxation D_c^-1 A' W D_r^-1 (y - A x).

    D_r are the row sums of A and D_c the column sums of W A [1]_; all rays at once (SIRT). With relaxation below 2 it
    converges to the minimum of the norm of y - A x weighted by W / D_r, from any start [2]_; the early iterates are
    smooth images.

    Parameters
    ----------
    operator : LinearOperator
        Without negative entries, such as `TravelTimeOperator`.
    times : (n_rows,) float64 [s]
        May be NaN where the weight is 0.
    start : (n_unknowns,) float64, optional
        First x; default 0. For slowness give that of water.
    iterations : int, optional
    relaxation : float, optional
        0 to 2.
    weights : (n_rows,) float64, optional
        Trust in each datum, such as the quality of its pick; 0 leaves it out.
    bounds : (low, high), optional
        x is cut to them after every iteration; numbers or (n_unknowns,) each.
    tolerance : float, optional
        Stop when the norm falls by less than this fraction in an iteration.
    callback : callable, optional
        Called as callback(iteration, x, residual) after each iteration; a true result stops.

    Returns
    -------
    Solution
        The last x whose norm (that which the iteration reduces) had not risen.

    Raises
    ------
    ArgumentError
        Shapes, NaN, negative weights, no ray with data meets an unknown.

    References
    ----------
    .. [1] A. H. Andersen, A. C. Kak, Simultaneous algebraic reconstruction technique (SART), Ultrason. Imaging 6, 81
       (1984), eqs. 11 and 12.
    .. [2] M. Jiang, G. Wang, Convergence of the simultaneous algebraic reconstruction technique (SART), IEEE Trans.
       Image Process. 12, 957 (2003), theorem 1.
    """
    operator, y, w, x = prepared(operator, times, start, weights)
    box = limits(bounds, len(x))
    step = scalar("relaxation", relaxation, 1e-6, 2.0 - 1e-6, "(ratio)")
    rows = np.asarray(operator(np.ones(operator.shape[1])))
    w = np.where(rows > 1e-9 * rows.max(initial=0.0), w, 0.0)  # rays that meet no unknown
    columns = np.asarray(operator.adjoint(w))
    hit = columns > 1e-9 * columns.max(initial=0.0)  # below, a node is only touched by rounding
    if not hit.any():
        raise ArgumentError("operator: expected rays with data that meet the unknowns, got none")
    scale_rows = np.divide(w, rows, out=np.zeros_like(w), where=w > 0)
    scale_columns = np.divide(step, columns, out=np.zeros_like(columns), where=hit)
    residual = y - operator(x)
    history, reduced, reason = [norm(residual, w)], norm(residual, scale_rows), "iterations"
    for i in range(count("iterations", iterations, 0)):
        new = x + scale_columns * operator.adjoint(scale_rows * residual)
        if box is not None:
            np.clip(new, *box, out=new)
        residual = y - operator(new)
        now = norm(residual, scale_rows)
        if now > reduced * (1 + 1e-12):
            reason = "residual rose"
            break
        x, drop, reduced = new, reduced - now, now
        history.append(norm(residual, w))
        if callback is not None and callback(i + 1, x, history[-1]):
            reason = "callback"
            break
        if drop < tolerance * (reduced + drop):
            reason = "tolerance"
            break
    return Solution(freeze(x), freeze(np.array(history)), len(history) - 1, reason)


def cgls(
    operator: LinearOperator,
    times: Any,
    *,
    start: Any = None,
    iterations: int = 10,
    weights: Any = None,
    damping: float = 0.0,
    tolerance: float = 1e-12,
    callback: Callback | None = None,
) -> Solution:
    """Conjugate gradients on the normal equations of sum w (y - A x)^2 + damping^2 norm(x - start)^2.

    The form that never squares A [1]_; exact line searches, so the objective falls in every iteration.

    Parameters
    ----------
    operator, times, start, iterations, weights, callback : see `sart`
        The operator may have any signs.
    damping : float, optional
        Pulls towards the start, in units of sqrt(w) A.
    tolerance : float, optional
        Stop when the gradient has fallen to this fraction of the first.

    Returns
    -------
    Solution

    Raises
    ------
    ArgumentError
        Shapes, NaN, negative weights.

    References
    ----------
    .. [1] A. Bjorck, Numerical Methods for Least Squares Problems, SIAM (1996), algorithm 7.4.1 (CGLS); the damped form
       is that of the stacked matrix [sqrt(w) A; damping I].
    """
    operator, y, w, x = prepared(operator, times, start, weights)
    shift = scalar("damping", damping, 0.0, 1e12, "(operator's unit)") ** 2
    origin = x.copy()
    residual = y - operator(x)
    gradient = operator.adjoint(w * residual)
    direction, power = gradient.copy(), square(gradient)
    first, history, reason = power, [norm(residual, w)], "iterations"
    for i in range(count("iterations", iterations, 0)):
        if power <= tolerance**2 * first:
            reason = "tolerance"
            break
        along = operator(direction)
        curvature = float(np.sum(w * along**2)) + shift * square(direction)
        if not curvature > 0:
            reason = "tolerance"
            break
        step = power / curvature
        x = x + step * direction
        residual = residual - step * along
        gradient = operator.adjoint(w * residual) - shift * (x - origin)
        before, power = power, square(gradient)
        direction = gradient + (power / before) * direction
        history.append(norm(residual, w))
        if callback is not None and callback(i + 1, x, history[-1]):
            reason = "callback"
            break
    return Solution(freeze(x), freeze(np.array(history)), len(history) - 1, reason)


def lsqr(
    operator: LinearOperator,
    times: Any,
    *,
    start: Any = None,
    iterations: int = 10,
    weights: Any = None,
    damping: float = 0.0,
    tolerance: float = 1e-12,
) -> Solution:
    """SciPy's LSQR [1]_ for the problem of `cgls`: the same iterates in exact arithmetic, better ones if ill-posed.

    Parameters
    ----------
    operator, times, start, iterations, weights, damping : see `cgls`
    tolerance : float, optional
        SciPy's atol and btol.

    Returns
    -------
    Solution
        With the first and the last residual only.

    Raises
    ------
    ArgumentError
        Shapes, NaN, negative weights.

    References
    ----------
    .. [1] C. C. Paige, M. A. Saunders, LSQR: an algorithm for sparse linear equations and sparse least squares,
       ACM Trans. Math. Softw. 8, 43 (1982).
    """
    operator, y, w, x = prepared(operator, times, start, weights)
    root = np.sqrt(w)
    residual = y - operator(x)
    wrapped = scipy.sparse.linalg.LinearOperator(
        operator.shape,
        matvec=lambda v: root * operator(np.ravel(v)),
        rmatvec=lambda v: operator.adjoint(root * np.ravel(v)),
        dtype=np.float64,
    )
    limit = count("iterations", iterations, 1)
    shift = scalar("damping", damping, 0.0, 1e12, "(operator's unit)")
    found = scipy.sparse.linalg.lsqr(
        wrapped, root * residual, damp=shift, atol=tolerance, btol=tolerance, conlim=0.0, iter_lim=limit
    )
    x = x + found[0]
    history = np.array([norm(residual, w), norm(y - operator(x), w)])
    return Solution(freeze(x), freeze(history), int(found[2]), "iterations" if found[1] == 7 else "tolerance")
