"""Speckle, stretch and edges between the coarse network and the refinement."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError
from sonoray.restoration.bridge import bridge


def scene(seed=0, n=5, shape=(40, 44)):
    rng = np.random.default_rng(seed)
    frames = rng.uniform(0, 1, (n, *shape)).astype(np.float32)
    mask = np.zeros(frames.shape, bool)
    mask[:, 10:30, 12:34] = True
    frames[mask] = 0.3
    return frames, mask


def test_nothing_changes_outside():
    frames, mask = scene()
    assert np.array_equal(bridge(frames, mask)[~mask], frames[~mask])


def test_same_seed_same_speckle_and_another_seed_another():
    frames, mask = scene()
    assert np.array_equal(bridge(frames, mask, seed=3), bridge(frames, mask, seed=3))
    assert not np.array_equal(bridge(frames, mask, seed=3), bridge(frames, mask, seed=4))


def test_everything_off_is_the_identity():
    frames, mask = scene()
    assert np.array_equal(bridge(frames, mask, speckle=0, stretch=(0, 0), edges=0), frames)


def test_speckle_has_the_deviation_that_was_asked_for():
    frames, mask = scene(shape=(160, 160))
    mask[:] = True
    frames[:] = 0.5
    made = bridge(frames, mask, speckle=0.03, stretch=(0, 0), edges=0)
    assert made.std() == pytest.approx(0.03, rel=0.15)  # the logarithm's deviation over few thousand grains
    assert made.mean() == pytest.approx(0.5, abs=0.003)


def test_speckle_is_correlated_in_time():
    frames, mask = scene(shape=(120, 120))
    mask[:] = True
    frames[:] = 0.5
    slow, fast = (bridge(frames, mask, stretch=(0, 0), edges=0, memory=m) - 0.5 for m in (0.95, 0.0))
    alike = [np.corrcoef(v[0].ravel(), v[1].ravel())[0, 1] for v in (slow, fast)]
    assert alike[0] > 0.7
    assert abs(alike[1]) < 0.1


def test_stretch_widens_contrast_at_most_by_half():
    frames, mask = scene()
    ramp = np.linspace(0.4, 0.5, int(mask.sum()), dtype=np.float32)
    frames[mask] = ramp
    made = bridge(frames, mask, speckle=0, edges=0)
    assert np.ptp(made[mask]) == pytest.approx(1.5 * np.ptp(ramp), rel=1e-3)
    assert np.median(made[mask]) == pytest.approx(np.median(ramp), abs=1e-6)


def test_edges_become_steeper():
    frames = np.full((1, 32, 32), 0.3, np.float32)
    frames[:, :, 16:] = 0.6
    mask = np.ones(frames.shape, bool)
    made = bridge(frames, mask, speckle=0, stretch=(0, 0), edges=1)
    assert made[0, 16, 16] - made[0, 16, 15] > 0.3


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"frames": np.zeros((2, 8, 8), np.uint8)}, "float"),
        ({"mask": np.zeros((2, 8, 9), bool)}, "mask"),
        ({"frames": np.full((2, 8, 8), np.nan, np.float32)}, "frames"),
        ({"speckle": -1}, "speckle"),
        ({"memory": 1.0}, "memory"),
        ({"stretch": (1, 101)}, "stretch"),
        ({"edges": float("inf")}, "edges"),
    ],
)
def test_what_cannot_be_is_refused(change, match):
    given = {"frames": np.zeros((2, 8, 8), np.float32), "mask": np.ones((2, 8, 8), bool), **change}
    with pytest.raises(ArgumentError, match=match):
        bridge(given.pop("frames"), given.pop("mask"), **given)
