"""The step under a total-variation prior: it solves what it says, and lets alone what costs nothing."""

import numpy as np
import pytest

from sonoray import Grid
from sonoray.inversion.smooth_map import REFERENCE, differences, gradient_magnitude, total_variation_step

GRID = Grid((7, 9), (1e-3, 1.5e-3), (0.0, 0.0))
EDGE = 2e3


def problem(rng, rank=40, scale=1e-2):
    """N and g of a least-squares fit to noisy speeds about 1540 m/s: (N, g, start)."""
    jacobian = scale * rng.standard_normal((rank, GRID.size))
    start = np.full(GRID.size, 1 / 1540.0)
    wanted = 1e-5 * rng.standard_normal(GRID.size)
    return jacobian.T @ jacobian, -jacobian.T @ (jacobian @ wanted), start


def objective(values, normal, slope, start, strength):
    """d^T N d / 2 + g^T d + strength mean sqrt(|grad c|^2 + edge^2), written out."""
    d = values - start
    c = values.reshape(GRID.shape) * REFERENCE**2
    hx, hz = GRID.spacing
    gx, gz = np.diff(c, axis=0) / hx, np.diff(c, axis=1) / hz
    square = np.zeros(GRID.shape)
    for part, low, high in ((gx, np.s_[:-1], np.s_[1:]), (gz, np.s_[:, :-1], np.s_[:, 1:])):
        square[low] += part**2 / 2
        square[high] += part**2 / 2
    return 0.5 * d @ normal @ d + slope @ d + strength * np.sqrt(square + EDGE**2).mean()


def test_differences_of_a_plane():
    x, z = np.meshgrid(*GRID.axes, indexing="ij")
    across, down = differences(GRID)
    plane = (3 * x - 5 * z).ravel()
    assert np.allclose(across @ plane, 3, rtol=1e-10) and np.allclose(down @ plane, -5, rtol=1e-10)
    assert across.shape == (6 * 9, GRID.size) and down.shape == (7 * 8, GRID.size)
    inside = gradient_magnitude(across @ plane, down @ plane, GRID.shape)[1:-1, 1:-1]
    assert np.allclose(inside, 34, rtol=1e-10)


def test_without_a_prior_it_is_the_least_squares_solution(rng):
    normal, slope, start = problem(rng, rank=200)
    found = total_variation_step(normal, slope, start, GRID, 0.0, EDGE)
    assert np.allclose(found - start, -np.linalg.solve(normal, slope), rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("strength", [1e-17, 1e-16, 1e-15])
def test_converged_map_minimises_the_convex_problem(rng, strength):
    """The weights of neighbouring nodes are averaged, so it is near the minimum of the sum, not on it."""
    normal, slope, start = problem(rng, rank=200)
    arguments = (normal, slope, start, strength)
    found = total_variation_step(normal, slope, start, GRID, strength, EDGE, reweightings=60)
    best = objective(found, *arguments)
    assert best < objective(start, *arguments)
    size = np.linalg.norm(found - start)
    for _ in range(20):
        along = rng.standard_normal(GRID.size)
        along *= 0.2 * size / np.linalg.norm(along)
        assert objective(found + along, *arguments) > best
    following = total_variation_step(normal, slope, start, GRID, strength, EDGE, reweightings=61)
    assert np.linalg.norm(following - found) < 1e-3 * size


def test_where_the_edge_dominates_it_is_optimal_by_finite_differences(rng):
    """Gradients far below the edge: the prior is a quadratic, and no averaging of weights matters."""
    normal, slope, start = problem(rng, rank=200)
    edge, strength = 1e8, 1e-12
    found = total_variation_step(normal, slope, start, GRID, strength, edge)

    def value(values):
        d = values - start
        across, down = (o @ values * REFERENCE**2 for o in differences(GRID))
        prior = strength / GRID.size * ((across**2).sum() + (down**2).sum()) / (2 * edge)
        return 0.5 * d @ normal @ d + slope @ d + prior

    size = 0.1 * np.linalg.norm(found - start)
    for _ in range(10):
        along = rng.standard_normal(GRID.size)
        along *= size / np.linalg.norm(along)
        rise, fall = (value(found + sign * along) - value(found) for sign in (1, -1))
        assert abs(rise - fall) < 1e-3 * (rise + fall)
    bare = start - np.linalg.solve(normal, slope)
    assert value(bare) - value(found) > 1e-2 * abs(value(found))  # the prior matters here


def test_constants_are_free(rng):
    """However strong the prior, the best constant is reached."""
    jacobian = rng.uniform(0, 1e-2, (100, GRID.size))
    start, change = np.full(GRID.size, 1 / 1500.0), 1 / 1540.0 - 1 / 1500.0
    normal = jacobian.T @ jacobian
    found = total_variation_step(normal, -normal @ np.full(GRID.size, change), start, GRID, 1e-9, EDGE)
    assert np.abs(1 / found - 1540).max() < 0.05


def test_nodes_that_no_path_reaches_follow_their_neighbours(rng):
    normal = np.zeros((GRID.size, GRID.size))
    seen = np.zeros(GRID.shape, bool)
    seen[:, :4] = True
    k = np.flatnonzero(seen)
    normal[k, k] = 1e-4
    start = np.full(GRID.size, 1 / 1540.0)
    wanted = 1 / 1480.0 - 1 / 1540.0
    slope = np.where(seen.ravel(), -1e-4 * wanted, 0.0)
    found = total_variation_step(normal, slope, start, GRID, 1e-15, EDGE)
    assert np.abs(1 / found - 1480).max() < 0.5


def test_what_no_data_hold_goes_toward_the_given_map():
    nothing, start = np.zeros((GRID.size, GRID.size)), np.full(GRID.size, 1 / 1540.0)
    toward = np.full(GRID.size, 1 / 1490.0)
    found = total_variation_step(
        nothing, np.zeros(GRID.size), start, GRID, 1e-15, EDGE, lateral=3.0, toward=toward, pull=1e-12
    )
    assert np.abs(1 / found - 1490).max() < 1e-3


def test_the_pull_is_against_half_the_square_of_the_data():
    """One number: data n / 2 (s - a)^2 and pull REF^4 / size (s - b)^2 / 2 meet at their weighted mean."""
    n, a, b = 1e-6, 1 / 1500.0, 1 / 1580.0
    pull = n * GRID.size / REFERENCE**4  # equal weights
    start = np.full(GRID.size, 1 / 1540.0)
    found = total_variation_step(
        n * np.eye(GRID.size), n * (start - a), start, GRID, 1e-22, EDGE, toward=np.full(GRID.size, b), pull=pull
    )
    assert np.allclose(found, 0.5 * (a + b), rtol=1e-9)


def test_noise_goes_and_an_edge_stays():
    start = np.full(GRID.size, 1 / 1540.0)
    c = np.where(np.arange(9) < 4, 1480.0, 1560.0) * np.ones((7, 1))
    noise = 4.0 * np.random.default_rng(0).standard_normal(GRID.shape)
    wanted = (1 / (c + noise)).ravel() - start
    normal = 1e-6 * np.eye(GRID.size)
    found = 1 / total_variation_step(normal, -normal @ wanted, start, GRID, 6e-20, EDGE).reshape(GRID.shape)
    assert np.abs(found - c).mean() < 0.7 * np.abs(noise).mean()
    jump = found[:, 4] - found[:, 3]
    assert jump.mean() > 0.8 * 80
