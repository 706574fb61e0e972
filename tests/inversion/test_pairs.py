"""Pair selection on a ring, where chords and angles have closed forms."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.pairs import (
    emitter_positions,
    pair_distances,
    pairs_by_distance,
    pairs_by_open_angle,
    pairs_without_neighbours,
    ring_radius,
)
from tests.inversion.conftest import ring_probe

RADIUS = 0.05


def steps(n):
    """Angle between elements i and j of the ring."""
    k = np.arange(n)
    gap = np.abs(k[:, None] - k[None]) % n
    return 2 * np.pi * np.minimum(gap, n - gap) / n


def test_distances_are_chords():
    p = ring_probe(32).positions
    np.testing.assert_allclose(pair_distances(p, p), 2 * RADIUS * np.sin(steps(32) / 2), atol=1e-15)


@pytest.mark.parametrize("part", [0.3, np.pi / 4, np.pi / 2])
def test_minimum_distance_keeps_the_opposite_arc(part):
    p = ring_probe(64).positions
    keep = pairs_by_distance(p, p, part * RADIUS)
    np.testing.assert_array_equal(keep, steps(64) > 2 * np.arcsin(part / 2))


def test_published_share_of_the_ring():
    """pi / 4 radii drop 46.2 degrees on either side, so that 74.3 % of the ring stay."""
    p = ring_probe(2000).positions
    assert abs(pairs_by_distance(p[:3], p, np.pi / 4 * RADIUS).mean() - 0.743) < 1e-3


@pytest.mark.parametrize("angle", [0.4, np.pi / 3])
def test_open_angle_is_the_angle_of_the_periphery(angle):
    """On a ring the angle between the inward direction and a chord is half of what is missing to the opposite."""
    p = ring_probe(60).positions
    keep = pairs_by_open_angle(p, p, np.zeros(3), angle)
    want = (np.pi - steps(60)) / 2 <= angle + 1e-9
    np.fill_diagonal(want, False)
    np.testing.assert_array_equal(keep, want)


@pytest.mark.parametrize("n", [0, 1, 5, 11])
def test_neighbours_on_either_side_are_left_out(n):
    p = ring_probe(24).positions[np.random.default_rng(n).permutation(24)]  # the order does not matter
    step = 2 * np.pi / 24
    gap = 2 * np.arcsin(np.minimum(pair_distances(p, p) / (2 * RADIUS), 1.0))
    np.testing.assert_array_equal(pairs_without_neighbours(p, p, n), gap > (n + 0.5) * step)


def test_neighbours_of_emitters_between_receivers():
    p = ring_probe(48).positions
    keep = pairs_without_neighbours(p[::2], p[1::2], 3)
    np.testing.assert_array_equal(keep, (steps(48) > 6 * 2 * np.pi / 48)[::2, 1::2])


def test_published_neighbours():
    """31 of 256 on either side and the element itself: 24.6 %."""
    p = ring_probe(256).positions
    assert (~pairs_without_neighbours(p, p, 31)).sum(axis=1).tolist() == [63] * 256


@pytest.mark.parametrize("arc", [2 * np.pi, 1.0])
def test_radius_of_a_ring(arc):
    angle = arc * np.arange(40) / 40
    p = 0.11 * np.c_[np.cos(angle), 0 * angle, np.sin(angle)] + [0.02, 0.3, -0.01]
    assert ring_radius(p) == pytest.approx(0.11, rel=1e-9)


def test_radius_of_a_bowl_and_of_a_rough_ring(rng):
    directions = rng.standard_normal((200, 3))
    directions[:, 2] = -np.abs(directions[:, 2])
    bowl = 0.13 * directions / np.linalg.norm(directions, axis=1)[:, None] + [0.0, 0.01, 0.02]
    assert ring_radius(bowl) == pytest.approx(0.13, rel=1e-9)
    rough = ring_probe(256).positions + 1e-4 * rng.standard_normal((256, 3))
    assert ring_radius(rough) == pytest.approx(RADIUS, abs=3e-5)
    with pytest.raises(ArgumentError, match="^positions"):
        ring_radius(np.c_[np.linspace(0, 0.1, 9), np.zeros((9, 2))])
    with pytest.raises(ArgumentError, match="^positions"):
        ring_radius(np.zeros((0, 3)))


def test_emitters_of_transmits():
    probe = ring_probe(8)
    transmits = [sonoray.Transmit.single(k) for k in (5, 2)]
    data = sonoray.ChannelData(np.zeros((1, 2, 8, 16), "f4"), probe, transmits, 1e6)
    np.testing.assert_array_equal(emitter_positions(data), probe.positions[[5, 2]])


def test_wrong_arguments_are_named():
    p = ring_probe(8).positions
    with pytest.raises(ArgumentError, match="^tx"):
        pairs_by_distance(1e3 * p, p, 0.05)
    with pytest.raises(ArgumentError, match="^rx"):
        pairs_by_distance(p, p[:, :2], 0.05)
    with pytest.raises(ArgumentError, match="^minimum"):
        pairs_by_distance(p, p, 50.0)
    with pytest.raises(ArgumentError, match="^maximum"):
        pairs_by_open_angle(p, p, np.zeros(3), 45.0)
    with pytest.raises(ArgumentError, match="^neighbours"):
        pairs_without_neighbours(p, p, 4)
    with pytest.raises(ArgumentError, match="^center"):
        pairs_by_open_angle(p, p, np.full(3, np.nan), 0.5)
