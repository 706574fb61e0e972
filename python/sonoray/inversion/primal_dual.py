"""Robust, regularised solutions within bounds by a primal-dual method."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import count, freeze, option, scalar
from ..errors import ArgumentError
from .operators import LinearOperator, Vector
from .regularization import Gradient, Laplacian
from .solvers import Callback, Solution, limits, norm, prepared

_MICRO = 1e-6  # the objective counts in microseconds and microseconds per metre


@dataclass
class _Term:
    """A part of K with its dual variable: f(K x) with the prox of the conjugate of f."""

    rows: Vector  # absolute row sums of the scaled operator
    dual: Vector
    image: Vector  # K x of the present x


def primal_dual(
    operator: LinearOperator,
    times: Any,
    *,
    regularizer: Gradient | Laplacian,
    strength: float,
    penalty: str = "tv",
    huber: float | None = None,
    start: Any = None,
    weights: Any = None,
    bounds: Any = None,
    iterations: int = 100,
    tolerance: float = 1e-4,
    balance: float = 4.0,
    callback: Callback | None = None,
) -> Solution:
    """Minimise mean w H(y - A x) + strength mean P(R x) over x within bounds.

    Times count in microseconds, slowness in microseconds per metre; the first mean is over the rays with their
    weights, the second over the unknowns, so that ``strength`` hardly depends on the numbers of rays and nodes.
    H is half the square, or Huber's function: half the square up to ``huber``, linear beyond [3]_. P is the length of
    R x at each node (total variation if R is the gradient) or half its square. The method is that of Chambolle and
    Pock [1]_ with diagonal preconditioning [2]_.

    Parameters
    ----------
    operator : LinearOperator
        Without negative entries, such as `TravelTimeOperator`.
    times : (n_rows,) float64 [s]
        May be NaN where the weight is 0.
    regularizer : Gradient or Laplacian
        On the unknowns of the operator.
    strength : float
        For maps of the breast and 0.06 us of noise about 1e-5 (TV) or 1e-9 (quadratic).
    penalty : {"tv", "quadratic"}, optional
    huber : float, optional [s]
        Residuals beyond it count linearly; default none do. Twice the picks' standard deviation is a good choice.
    start : (n_unknowns,) float64, optional
    weights : (n_rows,) float64, optional
    bounds : (low, high), optional [s/m]
        Such as `slowness_bounds()`.
    iterations : int, optional
        Each takes one application of the operator and one of its adjoint.
    tolerance : float, optional
        Stop when both residuals of the optimality conditions are below this fraction of their largest terms.
    balance : float, optional
        Steps in x grow with it, those in the dual variables shrink; 1 takes dual steps as long as the data term is
        curved. Any value converges; between 2 and 16 it is fast.
    callback : callable, optional
        As for `sart`.

    Returns
    -------
    Solution
        With the objective of every iteration.

    Raises
    ------
    ArgumentError
        Shapes, NaN, negative weights or strength, a regularizer of other unknowns.

    References
    ----------
    .. [1] A. Chambolle, T. Pock, A first-order primal-dual algorithm for convex problems with applications to imaging,
       J. Math. Imaging Vis. 40, 120 (2011), algorithm 1 with theta = 1.
    .. [2] T. Pock, A. Chambolle, Diagonal preconditioning for first order primal-dual algorithms in convex
       optimization, ICCV 2011, lemma 2 with alpha = 1.
    .. [3] P. J. Huber, Robust estimation of a location parameter, Ann. Math. Stat. 35, 73 (1964).
    """
    operator, y, w, x = prepared(operator, times, start, weights)
    if not isinstance(regularizer, Gradient | Laplacian) or regularizer.shape[1] != len(x):
        raise ArgumentError(
            f"regularizer: expected a Gradient or Laplacian of {len(x)} unknowns, got "
            f"{type(regularizer).__name__} of {getattr(regularizer, 'shape', (0, 0))[1]}"
        )
    box = limits(bounds, len(x))
    problem = _Problem(
        operator,
        regularizer,
        y / _MICRO,
        w,
        scalar("strength", strength, 0.0, 1e12, "(objective's unit)"),
        option("penalty", penalty, ("tv", "quadratic")) == "tv",
        np.inf if huber is None else scalar("huber", huber, 1e-12, 1.0, "s") / _MICRO,
        None if box is None else (box[0] / _MICRO, box[1] / _MICRO),
        scalar("balance", balance, 1e-6, 1e6, "(ratio)"),
    )
    problem.begin(x / _MICRO)
    limit, small = count("iterations", iterations, 0), scalar("tolerance", tolerance, 0.0, 1.0, "(ratio)")
    history, objective = [norm(problem.residual(), w) * _MICRO], [problem.objective()]
    reason = "iterations"
    for i in range(limit):
        settled = problem.iterate(small)
        history.append(norm(problem.residual(), w) * _MICRO)
        objective.append(problem.objective())
        if callback is not None and callback(i + 1, problem.x * _MICRO, history[-1]):
            reason = "callback"
            break
        if settled:
            reason = "tolerance"
            break
    return Solution(
        freeze(problem.x * _MICRO), freeze(np.array(history)), len(history) - 1, reason, freeze(np.array(objective))
    )


class _Problem:
    """The saddle point min_x max_p,q <K x, (p, q)> - f*(p) - g*(q) within the box, K = [A; scale R]."""

    def __init__(
        self,
        operator: LinearOperator,
        regularizer: Gradient | Laplacian,
        times: Vector,
        weights: Vector,
        strength: float,
        tv: bool,
        huber: float,
        box: tuple[Vector, Vector] | None,
        balance: float,
    ) -> None:
        self.operator, self.regularizer = operator, regularizer
        self.times, self.tv, self.huber, self.box = times, tv, huber, box
        rows = np.asarray(operator(np.ones(operator.shape[1])))
        self.used = (weights > 0) & (rows > 1e-9 * rows.max(initial=0.0))
        if not self.used.any():
            raise ArgumentError("operator: expected rays with data that meet the unknowns, got none")
        self.total = float(weights[self.used].sum())
        mean_weight = self.total / int(self.used.sum())
        self.weights = np.where(self.used, weights / mean_weight, 0.0)  # the objective times the number of rays
        columns = np.asarray(operator.adjoint(self.used.astype(np.float64)))
        r_rows, r_columns = regularizer.absolute_sums()
        self.scale = float(columns.mean() / r_columns.mean()) if r_columns.any() else 1.0
        self.factor = strength * int(self.used.sum()) / regularizer.shape[1]
        self.rows = np.where(self.used, rows, 1.0)
        self.r_rows = max(float(r_rows.max(initial=0.0)) * self.scale, 1e-300)  # one step for a node's components
        sums = columns + self.scale * r_columns
        self.steps = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 1e-12 * sums.max())
        self.balance = balance * float(np.median(1 / (self.rows * self.weights)[self.used]))

    def begin(self, x: Vector) -> None:
        """Start at x with the data's dual where it would be for that x, the regulariser's at 0."""
        self.x = x if self.box is None else np.clip(x, *self.box)
        self.ax, self.rx = self.operator(self.x), self.scale * self.regularizer(self.x)
        self.p = self.weights * np.clip(self.ax - self.times, -self.huber, self.huber)
        self.q = np.zeros(self.regularizer.shape[0])
        self.back = self.operator.adjoint(self.p) + self.scale * self.regularizer.adjoint(self.q)

    def residual(self) -> Vector:
        """y - A x [us]."""
        return self.times - self.ax

    def objective(self) -> float:
        """As documented, in us^2."""
        r = self.times - self.ax
        pull = np.clip(r, -self.huber, self.huber)
        data = float(np.sum(self.weights * pull * (r - 0.5 * pull)))
        squares = ((self.rx / self.scale).reshape(self.regularizer.components, -1) ** 2).sum(axis=0)
        penalty = np.sqrt(squares) if self.tv else 0.5 * squares
        n = int(self.used.sum())
        return (data + self.factor * float(penalty.sum())) / n

    def iterate(self, tolerance: float) -> bool:
        """One step; whether the optimality conditions hold within the tolerance."""
        tau = self.balance * self.steps
        sigma, r_sigma = 1 / (self.balance * self.rows), 1 / (self.balance * self.r_rows)
        x = self.x - tau * self.back
        if self.box is not None:
            x = np.clip(x, *self.box)
        ax, rx = self.operator(x), self.scale * self.regularizer(x)
        p = self._data_prox(self.p + sigma * (2 * ax - self.ax), sigma)
        q = self._penalty_prox(self.q + r_sigma * (2 * rx - self.rx), r_sigma)
        back = self.operator.adjoint(p) + self.scale * self.regularizer.adjoint(q)
        moved = np.divide(self.x - x, tau, out=np.zeros_like(x), where=tau > 0)
        # Residuals in the metrics of the steps: x and the duals then weigh alike.
        primal = _length(moved - (self.back - back), self.steps)
        dual = np.hypot(
            _length(((self.p - p) / sigma - (self.ax - ax))[self.used], 1 / self.rows[self.used]),
            _length((self.q - q) / r_sigma - (self.rx - rx), 1 / self.r_rows),
        )
        largest_primal = max(_length(back, self.steps), _length(moved, self.steps), 1e-300)
        misfit = (ax - self.times)[self.used]
        largest_dual = max(np.hypot(_length(misfit, 1 / self.rows[self.used]), _length(rx, 1 / self.r_rows)), 1e-300)
        self.x, self.ax, self.rx, self.p, self.q, self.back = x, ax, rx, p, q, back
        return bool(primal <= tolerance * largest_primal and dual <= tolerance * largest_dual)

    def _data_prox(self, p: Vector, sigma: Vector) -> Vector:
        w = self.weights
        p = np.divide(w * (p - sigma * self.times), w + sigma)
        return np.clip(p, -w * self.huber, w * self.huber) if np.isfinite(self.huber) else p

    def _penalty_prox(self, q: Vector, sigma: float) -> Vector:
        most = self.factor / self.scale
        if not self.tv:
            quadratic = most / self.scale
            return q * (quadratic / (quadratic + sigma))
        vectors = q.reshape(self.regularizer.components, -1)
        length = np.sqrt((vectors**2).sum(axis=0))
        return np.asarray(vectors * (most / np.maximum(length, max(most, 1e-300)))).ravel()


def _length(values: Vector, metric: Any) -> float:
    return float(np.sqrt(np.sum(metric * values * values)))
