"""Edge-preserving inversion against problems whose answers are known."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid
from sonoray.inversion.operators import MatrixOperator
from sonoray.inversion.regularization import Gradient
from sonoray.inversion.total_variation import total_variation


def differences(shape, mask=None):
    """Gradient on a grid of spacing 1 cm; strength and edge below are per centimetre times 100."""
    return Gradient(Grid(shape, 0.01, (0.0,) * len(shape)), mask)


def blocks(n=24):
    u = np.zeros((n, n))
    u[6:14, 8:18] = 1.0
    u[15:20, 4:9] = -0.5
    return u


def test_no_penalty_is_least_squares():
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((60, 36))
    data = rng.standard_normal(60)
    found = total_variation(
        MatrixOperator(matrix),
        data,
        differences((6, 6)),
        strength=0.0,
        edge=1.0,
        iterations=100,
        reweightings=2,
        tolerance=1e-12,
    )
    assert np.allclose(found, np.linalg.lstsq(matrix, data, rcond=None)[0], atol=1e-9)


def test_objective_is_minimal():
    """No nearby image has a smaller objective, which is computed here without the solver's own differences."""
    rng = np.random.default_rng(4)
    truth = blocks(12)
    matrix = rng.standard_normal((100, 144)) / 12
    data = matrix @ truth.ravel() + 0.05 * rng.standard_normal(100)
    strength, edge = 0.02, 0.05

    def objective(u):
        image = u.reshape(12, 12)
        dx, dy = np.zeros((12, 12)), np.zeros((12, 12))
        dx[:-1], dy[:, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
        return 0.5 * np.sum((matrix @ u - data) ** 2) + strength * np.sqrt(dx**2 + dy**2 + edge**2).sum()

    found = total_variation(
        MatrixOperator(matrix),
        data,
        differences((12, 12)),
        strength=0.01 * strength,
        edge=100 * edge,
        reweightings=200,
        iterations=200,
        tolerance=1e-8,
    )
    least = objective(found)
    for _ in range(50):
        assert objective(found + 1e-3 * rng.standard_normal(144)) > least


def test_edges_survive_noise_and_missing_data():
    rng = np.random.default_rng(5)
    truth = blocks()
    matrix = rng.standard_normal((300, truth.size)) / 24  # half as many data as unknowns
    data = matrix @ truth.ravel() + 0.02 * rng.standard_normal(300)
    options = {"edge": 1.0, "reweightings": 20, "iterations": 30}
    gradient = differences(truth.shape)
    found = total_variation(MatrixOperator(matrix), data, gradient, strength=1e-4, **options)
    assert np.linalg.norm(found - truth.ravel()) < 0.12 * np.linalg.norm(truth)
    plain = total_variation(MatrixOperator(matrix), data, gradient, strength=0.0, **options)
    assert np.linalg.norm(plain - truth.ravel()) > 0.5 * np.linalg.norm(truth)


def test_outliers_are_tamed():
    rng = np.random.default_rng(6)
    truth = blocks(12)
    matrix = rng.standard_normal((300, 144)) / 12
    data = matrix @ truth.ravel() + 0.01 * rng.standard_normal(300)
    data[rng.choice(300, 20, replace=False)] += 5.0
    options = {"strength": 1e-5, "edge": 1.0, "reweightings": 20, "iterations": 30}
    gradient = differences((12, 12))
    errors = [
        np.linalg.norm(total_variation(MatrixOperator(matrix), data, gradient, huber=h, **options) - truth.ravel())
        for h in (None, 2.0)
    ]
    assert errors[1] < 0.1 * errors[0]
    assert errors[1] < 0.1 * np.linalg.norm(truth)


def test_mask_weights_bounds_start():
    rng = np.random.default_rng(7)
    mask = rng.random((8, 9, 7)) < 0.5
    n = int(mask.sum())
    truth = np.ones(n)
    matrix = rng.standard_normal((2 * n, n))
    data, weights = matrix @ truth, np.ones(2 * n)
    data[:5], weights[:5] = 1e6, 0.0
    seen = []
    found = total_variation(
        MatrixOperator(matrix),
        data,
        differences(mask.shape, mask),
        strength=0.01,
        edge=0.1,
        weights=weights,
        start=truth,
        bounds=(0.0, 0.9999),
        callback=lambda k, u: seen.append((k, u.max())),
    )
    assert found.max() <= 0.9999
    assert np.allclose(found, 1.0, atol=1e-3)
    assert [k for k, _ in seen] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient": differences((2, 3))}, "gradient: expected a Gradient of 9 nodes"),
        ({"gradient": np.ones((3, 3))}, "gradient: expected a Gradient"),
        ({"data": np.zeros(3)}, "data: expected shape"),
        ({"data": np.full(5, np.nan)}, "data: expected finite"),
        ({"weights": -np.ones(5)}, "weights"),
        ({"strength": -1.0}, "strength"),
        ({"edge": 0.0}, "edge"),
        ({"start": np.zeros(2)}, "start"),
        ({"reweightings": 0}, "reweightings"),
    ],
)
def test_refuses(changes, message):
    given = {"data": np.zeros(5), "gradient": differences((3, 3)), "strength": 1.0, "edge": 1.0} | changes
    with pytest.raises(ArgumentError, match=message):
        total_variation(MatrixOperator(np.ones((5, 9))), given.pop("data"), given.pop("gradient"), **given)
