"""Differences of images, and the primal-dual solver against smooth optimisation, outliers and bounds."""

import numpy as np
import pytest
import scipy.optimize

from sonoray import ArgumentError, Grid
from sonoray.inversion import solvers
from sonoray.inversion.operators import MatrixOperator, StackedOperator, WeightedOperator, adjoint_error
from sonoray.inversion.primal_dual import primal_dual
from sonoray.inversion.regularization import Gradient, Laplacian

FLAT = Grid((7, 5), (1e-3, 2e-3), (0, 0))
CUBE = Grid((4, 5, 6), (1e-3, 2e-3, 1.5e-3), (0, 0, 0))
US = 1e-6


@pytest.fixture(params=["2d", "3d"])
def grid(request):
    return FLAT if request.param == "2d" else CUBE


def dense(operator):
    return np.stack([operator(column) for column in np.eye(operator.shape[1])], axis=1)


@pytest.mark.parametrize("masked", [False, True])
def test_transposes_and_sums(grid, masked, rng):
    mask = rng.random(grid.shape) < 0.7 if masked else None
    gradient, laplacian = Gradient(grid, mask), Laplacian(grid, mask)
    matrix = dense(gradient)
    assert adjoint_error(gradient) < 1e-14
    assert adjoint_error(laplacian) < 1e-14
    assert np.allclose(dense(laplacian), matrix.T @ matrix)
    for operator in (gradient, laplacian):
        entries = np.abs(dense(operator))
        rows, columns = operator.absolute_sums()
        assert np.allclose(columns, entries.sum(axis=0))
        assert (rows >= entries.sum(axis=1) * (1 - 1e-12)).all()
        assert np.abs(operator(np.ones(operator.shape[1]))).max() < 1e-9


def test_gradient_of_a_linear_field(grid):
    slopes = np.array([3.0, -2.0, 5.0])[: grid.ndim]
    field = sum(s * m for s, m in zip(slopes, np.meshgrid(*grid.axes, indexing="ij")))
    parts = Gradient(grid)(field.ravel()).reshape(grid.ndim, *grid.shape)
    for axis in range(grid.ndim):
        inner = [slice(None)] * grid.ndim
        inner[axis] = slice(None, -1)
        assert np.allclose(parts[axis][tuple(inner)], slopes[axis])
        inner[axis] = slice(-1, None)
        assert not parts[axis][tuple(inner)].any()


def problem(grid, rng, n=150, noise=0.05 * US):
    """Rays that each see a few nodes; a piecewise constant slowness near that of water [s/m]."""
    matrix = 0.02 * rng.random((n, grid.size)) * (rng.random((n, grid.size)) < 0.3)
    image = np.full(grid.shape, 667 * US)
    image[: grid.shape[0] // 2] = 680 * US
    return MatrixOperator(matrix), matrix @ image.ravel() + noise * rng.standard_normal(n), image.ravel()


def objective(u, matrix, differences, components, data, weights, strength, tv, huber, smooth=0.0):
    """Value and gradient in us, written out with dense matrices; ``smooth`` rounds the corner of the norm."""
    residual = matrix @ u - data / US
    pull = np.clip(residual, -huber, huber)
    loss = weights @ (pull * (residual - 0.5 * pull)) / weights.sum()
    parts = (differences @ u).reshape(components, -1)
    length = np.sqrt((parts**2).sum(axis=0) + smooth**2)
    penalty = (length - smooth if tv else 0.5 * length**2).mean() * strength
    slope = parts / np.maximum(length, 1e-300) if tv else parts
    slope = differences.T @ slope.ravel() * strength / parts.shape[1]
    return loss + penalty, matrix.T @ (weights * pull) / weights.sum() + slope


@pytest.mark.parametrize(
    ("grid", "kind", "tv", "huber"),
    [
        (FLAT, Gradient, True, None),
        (FLAT, Gradient, True, 0.05 * US),
        (FLAT, Gradient, False, 0.05 * US),
        (FLAT, Laplacian, True, None),
        (FLAT, Laplacian, False, None),
        (CUBE, Gradient, True, 0.05 * US),
        (CUBE, Gradient, False, None),
    ],
)
def test_minimum_against_scipy(grid, kind, tv, huber, rng):
    """L-BFGS-B on the objective, smoothed at its corner, finds nothing lower within the same bounds."""
    operator, data, _ = problem(grid, rng)
    regularizer, weights = kind(grid), rng.random(len(data)) + 0.1
    strength = {(True, Gradient): 1e-7, (True, Laplacian): 1e-10, (False, Gradient): 1e-11, (False, Laplacian): 1e-18}
    bounds = (662.0, 678.0)  # the slower half lies above
    found = primal_dual(
        operator,
        data,
        regularizer=regularizer,
        strength=strength[tv, kind],
        penalty="tv" if tv else "quadratic",
        huber=huber,
        weights=weights,
        bounds=(bounds[0] * US, bounds[1] * US),
        start=np.full(grid.size, 670 * US),
        iterations=1000,
        tolerance=1e-6,
    )
    problem_ = (operator.matrix, dense(regularizer), regularizer.components, data, weights, strength[tv, kind], tv)
    limit = np.inf if huber is None else huber / US
    assert np.isclose(found.objective[-1], objective(found.x / US, *problem_, limit)[0], rtol=1e-9)
    start = np.full(grid.size, 670.0)
    lowest = np.inf
    for smooth in (1e3, 1e1) if tv else (0.0,):
        reference = scipy.optimize.minimize(
            objective,
            start,
            (*problem_, limit, smooth),
            jac=True,
            bounds=[bounds] * grid.size,
            method="L-BFGS-B",
            options={"maxiter": 800, "maxfun": 1000, "ftol": 1e-13, "gtol": 1e-11},
        )
        start = reference.x
        lowest = min(lowest, objective(start, *problem_, limit)[0])
    gained = found.objective[0] - lowest
    assert gained > 0
    assert found.objective[-1] <= lowest + 1e-3 * gained
    assert found.x.min() >= bounds[0] * US * (1 - 1e-12)
    assert found.x.max() <= bounds[1] * US * (1 + 1e-12)
    assert (found.x >= bounds[1] * US * (1 - 1e-9)).any()


def test_quadratic_problem_has_the_answer_of_the_normal_equations(grid, rng):
    operator, data, _ = problem(grid, rng)
    gradient, strength = Gradient(grid), 1e-9
    found = primal_dual(
        operator, data, regularizer=gradient, strength=strength, penalty="quadratic", iterations=8000, tolerance=1e-8
    )
    root = np.sqrt(strength * len(data) / grid.size)
    stacked = StackedOperator([operator, WeightedOperator(gradient, np.full(gradient.shape[0], root))])
    exact = solvers.lsqr(stacked, np.concatenate([data, np.zeros(gradient.shape[0])]), iterations=5000)
    assert found.reason == "tolerance"
    assert np.abs(found.x - exact.x).max() < 1e-4 * exact.x.max()


def test_huber_ignores_outliers(rng):
    """5 % of the picks are a period off: the squares follow them, Huber's function hardly."""
    operator, data, truth = problem(FLAT, rng, n=400)
    data[::20] += 5 * US
    error = {}
    for huber in (None, 0.1 * US):
        found = primal_dual(
            operator, data, regularizer=Gradient(FLAT), strength=1e-6, huber=huber, start=truth, iterations=800
        )
        error[huber] = np.linalg.norm(found.x - truth) / np.linalg.norm(truth - truth.mean())
    assert error[0.1 * US] < 0.1
    assert error[None] > 3 * error[0.1 * US]


def test_missing_data_warm_start_and_callback(rng):
    operator, data, _ = problem(FLAT, rng)
    weights = np.ones(len(data))
    weights[::9] = 0
    data[::9] = np.nan
    common = {"regularizer": Gradient(FLAT), "strength": 1e-6, "weights": weights}
    first = primal_dual(operator, data, start=np.full(35, 670 * US), iterations=1500, tolerance=1e-6, **common)
    seen = []
    again = primal_dual(
        operator, data, start=first.x, iterations=5, callback=lambda i, x, r: seen.append(r) or i == 3, **common
    )
    assert (again.iterations, again.reason, len(seen)) == (3, "callback", 3)
    assert again.objective.max() < first.objective[-1] * 1.2 < first.objective[0]
    assert np.allclose(seen, again.residuals[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regularizer": Gradient(CUBE)}, "regularizer: expected a Gradient or Laplacian of 35 unknowns"),
        ({"regularizer": None}, "regularizer"),
        ({"strength": -1.0}, "strength"),
        ({"penalty": "l3"}, "penalty: expected one of"),
        ({"huber": 5.0}, "huber.*is it really in s"),
        ({"bounds": (2.0, 1.0)}, "bounds"),
        ({"balance": 0.0}, "balance"),
        ({"times": np.full(150, np.nan)}, "times: expected finite"),
        ({"operator": MatrixOperator(np.zeros((150, 35)))}, "rays with data that meet"),
    ],
)
def test_refuses(change, message, rng):
    operator, data, _ = problem(FLAT, rng)
    good = {"operator": operator, "times": data, "regularizer": Gradient(FLAT), "strength": 1e-6}
    with pytest.raises(ArgumentError, match=message):
        primal_dual(**{**good, **change})


def test_differences_refuse():
    with pytest.raises(ArgumentError, match="grid: expected Grid"):
        Gradient(3)
    with pytest.raises(ArgumentError, match="mask: expected booleans"):
        Laplacian(FLAT, np.ones((7, 5)))
