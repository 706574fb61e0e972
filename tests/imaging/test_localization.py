"""Localization of Gaussian spots between grid points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, Grid, SectorGrid

GRID = Grid((61, 81), (2e-4, 1e-4), (-6e-3, 0.01))


def spots(places, heights=None):
    p = GRID.points()
    heights = np.ones(len(places)) if heights is None else heights
    return sum(
        h * np.exp(-0.5 * ((p[..., 0] - x) / 4e-4) ** 2 - 0.5 * ((p[..., 2] - z) / 2e-4) ** 2)
        for h, (x, z) in zip(heights, places, strict=True)
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(-4e-3, 4e-3), st.floats(0.012, 0.016))
def test_a_gaussian_is_found_between_grid_points(x, z):
    found = sonoray.localize_points(spots([(x, z)]), GRID, [(x + 3e-4, z - 2e-4)], 1e-3)
    np.testing.assert_allclose(found, [[x, z]], atol=1e-9)  # the parabola through the logarithm is exact


def test_each_point_finds_its_own_spot_and_missing_ones_are_nan():
    places = [(-3e-3, 0.012), (0.0, 0.0145), (3e-3, 0.016)]
    truth = [(x, 0.0, z) for x, z in places] + [(4e-3, 0.0, 0.0105)]
    image = spots(places, [1.0, 0.2, 3.0])
    image[image < 1e-6] = 0
    found = sonoray.localize_points(image, GRID, truth, 8e-4)
    error = sonoray.localization_error(found, truth)
    assert (error[:3] < 1e-6).all() and np.isnan(error[3])


def test_a_clear_spot_wins_over_faint_ripple_that_is_nearer():
    image = spots([(0.0, 0.014), (1.5e-3, 0.014)], [0.1, 1.0])
    found = sonoray.localize_points(image, GRID, [(0.0, 0.014)], 2e-3)
    np.testing.assert_allclose(found, [[1.5e-3, 0.014]], atol=1e-5)


def test_a_spot_on_the_rim_stays_on_the_grid():
    found = sonoray.localize_points(spots([(-6e-3, 0.014)]), GRID, [(-6e-3, 0.014)], 1e-3)
    np.testing.assert_allclose(found, [[-6e-3, 0.014]], atol=1e-9)


def test_volumes():
    grid = Grid((9, 9, 9), 1e-4, (0, 0, 0))
    centre = np.array([3.3e-4, 4.2e-4, 5.1e-4])
    image = np.exp(-0.5 * (((grid.points() - centre) / 1.5e-4) ** 2).sum(-1))
    found = sonoray.localize_points(image, grid, centre, 3e-4)
    np.testing.assert_allclose(found, [centre], atol=1e-9)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda i: sonoray.localize_points(i[:5], GRID, [(0, 0)], 1e-3), "envelope.*shape"),
        (lambda i: sonoray.localize_points(i - 60, GRID, [(0, 0)], 1e-3), "in dB"),
        (lambda i: sonoray.localize_points(i, GRID, [(0, 14.0)], 1e-3), "truth.* m"),
        (lambda i: sonoray.localize_points(i, GRID, [(0, np.nan)], 1e-3), "truth.*finite"),
        (lambda i: sonoray.localize_points(i, GRID, [(0,)], 1e-3), "truth.*shape"),
        (lambda i: sonoray.localize_points(i, GRID, [(0, 0)], 1.0), "radius.* m"),
        (lambda i: sonoray.localize_points(i, SectorGrid([1.0, 2], [0.0, 1]), [(0, 0)], 1e-3), "grid"),
        (lambda i: sonoray.localization_error([(0, 0), (1, 1)], [(0, 0)]), "truth"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(spots([(0.0, 0.014)]))
