"""SART, CGLS, LSQR against NumPy's and SciPy's answers; weights, bounds, masks, stopping, refusals."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Probe
from sonoray.inversion import solvers
from sonoray.inversion.operators import (
    MatrixOperator,
    RestrictedOperator,
    StackedOperator,
    WeightedOperator,
    adjoint_error,
)
from sonoray.inversion.tomography import TravelTimeOperator
from sonoray.rays.paths import Paths

ALL = (solvers.sart, solvers.cgls, solvers.lsqr)


@pytest.fixture
def problem(rng):
    """A well-posed system without negative entries and noisy data: 60 rows, 12 unknowns."""
    matrix = rng.random((60, 12)) * (rng.random((60, 12)) < 0.4) + 0.01
    return matrix, matrix @ rng.random(12) + 0.05 * rng.standard_normal(60), rng.random(60) + 0.1


def weighted_answer(matrix, data, weights, damping=0.0, start=0.0):
    root = np.sqrt(weights)
    stacked = np.vstack([root[:, None] * matrix, damping * np.eye(matrix.shape[1])])
    right = np.concatenate([root * (data - matrix @ np.full(matrix.shape[1], start)), np.zeros(matrix.shape[1])])
    return start + np.linalg.lstsq(stacked, right, rcond=None)[0]


@pytest.mark.parametrize("solve", [solvers.cgls, solvers.lsqr])
@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_krylov_solvers_find_the_least_squares_answer(problem, solve, damping):
    matrix, data, weights = problem
    found = solve(
        MatrixOperator(matrix), data, weights=weights, damping=damping, start=np.full(12, 0.3), iterations=200
    )
    assert np.allclose(found.x, weighted_answer(matrix, data, weights, damping, 0.3), atol=1e-9)
    assert found.reason == "tolerance"


def test_cgls_and_lsqr_share_their_iterates(problem):
    """Paige and Saunders 1982, section 2: equal in exact arithmetic."""
    matrix, data, weights = problem
    for n in (1, 3, 6):
        a, b = (f(MatrixOperator(matrix), data, weights=weights, iterations=n).x for f in (solvers.cgls, solvers.lsqr))
        assert np.allclose(a, b, atol=1e-10)


def test_cgls_objective_falls_and_residuals_are_those_of_x(problem):
    matrix, data, _ = problem
    seen = []
    found = solvers.cgls(MatrixOperator(matrix), data, iterations=8, callback=lambda i, x, r: seen.append((i, x, r)))
    assert (np.diff(found.residuals) <= 0).all()
    assert [i for i, *_ in seen] == list(range(1, 9))
    for (_, x, r), stored in zip(seen, found.residuals[1:]):
        assert np.isclose(r, np.linalg.norm(data - matrix @ x), rtol=1e-10)
        assert r == stored


def test_sart_step_is_the_formula(problem):
    matrix, data, weights = problem
    start = np.full(12, 0.2)
    found = solvers.sart(MatrixOperator(matrix), data, start=start, weights=weights, relaxation=0.7, iterations=1)
    rows, columns = matrix.sum(axis=1), (weights[:, None] * matrix).sum(axis=0)
    expected = start + 0.7 / columns * (matrix.T @ (weights / rows * (data - matrix @ start)))
    assert np.allclose(found.x, expected, rtol=1e-13)


def test_sart_converges_to_the_row_scaled_least_squares_answer(problem):
    """Jiang and Wang 2003: the minimum of the norm weighted by W / D_r."""
    matrix, data, weights = problem
    found = solvers.sart(MatrixOperator(matrix), data, weights=weights, iterations=20000, relaxation=1.9)
    assert np.allclose(found.x, weighted_answer(matrix, data, weights / matrix.sum(axis=1)), atol=1e-6)


def test_sart_recovers_a_homogeneous_medium_in_one_step():
    """Row and column sums normalise: with constant slowness the first iterate is exact wherever rays pass."""
    ring = Probe.ring(24, 0.0099).positions
    i, j = np.triu_indices(24, 1)
    grid = Grid.from_extent(x=(-0.011, 0.011), z=(-0.011, 0.011), spacing=1e-3)
    operator = TravelTimeOperator(grid, Paths.straight(ring[i], ring[j]))
    found = solvers.sart(operator, operator(np.full(grid.size, 1 / 1480)), iterations=1)
    hit = operator.column_sums > 1e-6 * operator.column_sums.max()
    assert np.allclose(found.x[hit], 1 / 1480, rtol=1e-9)
    assert not found.x[operator.column_sums == 0].any()  # never touched


@pytest.mark.parametrize("solve", ALL)
def test_data_of_no_weight_may_be_missing(problem, solve):
    matrix, data, weights = problem
    weights[::7] = 0
    keep = weights > 0
    expected = solve(MatrixOperator(matrix[keep]), data[keep], weights=weights[keep], iterations=5).x
    data[::7] = np.nan
    assert np.allclose(solve(MatrixOperator(matrix), data, weights=weights, iterations=5).x, expected, rtol=1e-12)


def test_sart_respects_bounds(problem):
    matrix, data, _ = problem
    low, high = np.full(12, 0.3), 0.6
    found = solvers.sart(MatrixOperator(matrix), data, bounds=(low, high), iterations=200, start=np.full(12, 0.5))
    assert found.x.min() >= 0.3
    assert found.x.max() <= 0.6
    assert ((found.x == 0.3) | (found.x == 0.6)).any()


def test_stopping(problem):
    matrix, data, _ = problem
    operator = MatrixOperator(matrix)
    assert solvers.sart(operator, data, iterations=3).reason == "iterations"
    assert solvers.sart(operator, data, iterations=5000, tolerance=1e-4).reason == "tolerance"
    for solve in (solvers.sart, solvers.cgls):
        found = solve(operator, data, iterations=50, callback=lambda i, x, r: i == 2)
        assert (found.reason, found.iterations) == ("callback", 2)
    assert solvers.sart(operator, data, iterations=0, start=np.ones(12)).x.tolist() == [1.0] * 12


def test_interrupt_passes_through(problem):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solvers.sart(MatrixOperator(problem[0]), problem[1], callback=stop)


@pytest.mark.parametrize("solve", ALL)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": np.full(60, np.nan)}, "times: expected finite values where weights are above 0, got 60"),
        ({"times": np.ones(59)}, r"times: expected shape \(60,\)"),
        ({"operator": np.ones((60, 12))}, "operator: expected an operator .* wrap a matrix"),
        ({"weights": np.zeros(60)}, "weights: expected at least one above 0"),
        ({"weights": np.full(60, -1.0)}, "weights: expected no negative"),
        ({"start": np.ones(3)}, "start: expected shape"),
        ({"start": np.full(12, np.inf)}, "start: expected finite"),
        ({"iterations": 2.5}, "iterations: expected an integer"),
    ],
)
def test_refuses(problem, solve, change, message):
    good = {"operator": MatrixOperator(problem[0]), "times": problem[1]}
    with pytest.raises(ArgumentError, match=message):
        solve(**{**good, **change})


def test_sart_refuses_rays_that_meet_nothing(problem):
    with pytest.raises(ArgumentError, match="rays with data that meet the unknowns"):
        solvers.sart(MatrixOperator(np.zeros((60, 12))), problem[1])
    with pytest.raises(ArgumentError, match="relaxation"):
        solvers.sart(MatrixOperator(problem[0]), problem[1], relaxation=2.5)
    for bad in (3.0, (1.0, 0.0)):
        with pytest.raises(ArgumentError, match="bounds"):
            solvers.sart(MatrixOperator(problem[0]), problem[1], bounds=bad)


def test_slowness_bounds():
    assert solvers.slowness_bounds(1400, 1600) == (1 / 1600, 1 / 1400)
    with pytest.raises(ArgumentError, match="high_speed"):
        solvers.slowness_bounds(1600, 1400)
    with pytest.raises(ArgumentError, match="m/s"):
        solvers.slowness_bounds(1.4, 1.6)


def test_compositions(rng):
    a, b = (MatrixOperator(rng.standard_normal((n, 9))) for n in (5, 7))
    weights, mask = rng.random(5), np.arange(9) % 3 > 0
    x, y = rng.standard_normal(9), rng.standard_normal(12)
    stacked = StackedOperator([WeightedOperator(a, weights), b])
    dense = np.vstack([weights[:, None] * a.matrix, b.matrix])
    assert np.allclose(stacked(x), dense @ x)
    assert np.allclose(stacked.adjoint(y), dense.T @ y)
    part = RestrictedOperator(stacked, mask)
    assert np.allclose(part(x[mask]), dense[:, mask] @ x[mask])
    assert np.allclose(part.adjoint(y), dense[:, mask].T @ y)
    assert adjoint_error(part) < 1e-14

    class Wrong(MatrixOperator):
        def adjoint(self, y):
            return 1.001 * super().adjoint(y)

    assert adjoint_error(Wrong(a.matrix)) > 1e-6
    for call, message in (
        (lambda: StackedOperator([]), "operators: expected at least one"),
        (lambda: StackedOperator([a, MatrixOperator(np.ones((2, 3)))]), "equal numbers of unknowns"),
        (lambda: RestrictedOperator(a, np.ones(9)), "mask: expected 9 booleans"),
        (lambda: WeightedOperator(a, np.ones(4)), "weights: expected shape"),
        (lambda: MatrixOperator(np.ones(3)), "matrix: expected two axes"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
