"""Receivers and water speed per excitation."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Probe
from sonoray.inversion import excitations
from sonoray.inversion.pairs import pair_distances
from sonoray.inversion.tomography import TravelTimeOperator
from sonoray.rays.paths import Paths

RING = Probe.ring(12, 0.1).positions


def test_points_follow_the_order_of_pairs():
    receivers = np.stack([RING[k : k + 3] for k in range(4)])  # another array for every emission
    starts, ends = excitations.pair_points(RING[:4], receivers)
    assert np.array_equal(ends.reshape(4, 3, 3), receivers)
    assert np.array_equal(starts[3:6], RING[[1, 1, 1]])


def test_times_against_drifting_water():
    """Water of a different speed in every emission, in the water shot and with the object: one index explains all."""
    grid = Grid.from_extent(x=(-0.1, 0.1), z=(-0.1, 0.1), spacing=2e-3)
    points = grid.points()
    index = 1 + 0.03 * np.exp(-((points[..., 0] - 0.02) ** 2 + points[..., 2] ** 2) / (2 * 0.02**2))
    operator = TravelTimeOperator(grid, Paths.straight(*excitations.pair_points(RING, RING)))
    length = operator.integrate(index).reshape(12, 12)
    distance = pair_distances(RING, RING)
    water_before, water_now = 1480 + np.arange(12.0), 1500 - 2 * np.arange(12.0)
    measured = length / water_now[:, None] - distance / water_before[:, None]
    times = excitations.absolute_times(measured, distance, water_before)
    assert np.allclose(times, length / water_now[:, None], rtol=1e-14, atol=1e-18)
    common = excitations.to_reference_water(times, water_now, 1490.0)
    assert np.allclose(common, length / 1490.0, rtol=1e-14, atol=1e-18)
    rest = excitations.time_perturbations(operator, common.ravel(), np.full(grid.shape, 1 / 1490.0))
    assert np.allclose(rest, operator((index - 1).ravel() / 1490.0), rtol=0, atol=1e-18)


def test_background_outside_the_mask_is_explained():
    grid = Grid.from_extent(x=(-0.1, 0.1), z=(-0.1, 0.1), spacing=2e-3)
    mask = np.hypot(grid.points()[..., 0], grid.points()[..., 2]) < 0.06
    weights = np.linspace(0, 1, 144)
    operator = TravelTimeOperator(
        grid, Paths.straight(*excitations.pair_points(RING, RING)), mask=mask, weights=weights
    )
    background = np.full(grid.shape, 1 / 1500)
    added = np.where(mask, 1e-5, 0.0)
    rest = excitations.time_perturbations(operator, operator.integrate(background + added), background)
    assert np.allclose(rest, operator(operator.vector(added)), rtol=0, atol=1e-18)
    missing = np.full(144, np.nan)
    assert np.isnan(excitations.time_perturbations(operator, missing, background)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: excitations.pair_points(RING * 1000, RING), "emitters: .*is it really in m"),
        (lambda: excitations.pair_points(RING, RING[:, :2]), "receivers: expected shape"),
        (lambda: excitations.pair_points(RING, np.zeros((3, 4, 3))), "receivers: expected shape"),
        (lambda: excitations.absolute_times(np.full((2, 2), 30.0), np.ones((2, 2)), 1500), "are they in us"),
        (lambda: excitations.absolute_times(np.zeros((2, 3)), np.ones((2, 2)), 1500), "differences: expected shape"),
        (lambda: excitations.absolute_times(np.zeros((2, 2)), np.ones((2, 2)), [1500]), "water_speed: expected shape"),
        (lambda: excitations.absolute_times(np.zeros((2, 2)), np.ones((2, 2)), 1.5), "water_speed"),
        (lambda: excitations.to_reference_water(np.zeros((2, 2)), 1500, 1.5), "reference"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
