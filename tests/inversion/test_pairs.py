"""Pair selection on a ring, where chords and angles have closed forms."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.pairs import emitter_positions, pair_distances, pairs_by_distance, pairs_by_open_angle
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
    with pytest.raises(ArgumentError, match="^center"):
        pairs_by_open_angle(p, p, np.full(3, np.nan), 0.5)
