"""Outliers: what was put in is found, what was not is left alone, nothing is replaced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError
from sonoray.inversion.outliers import largest_masked, reject_outliers, residuals_masked
from sonoray.inversion.pairs import pair_distances
from sonoray.inversion.picks import Picks, PickStatus
from tests.inversion.conftest import SPEED, ring_probe

RING = ring_probe(48).positions
DISTANCE = pair_distances(RING, RING)
OPPOSITE = DISTANCE > 0.06


def smooth_delays(order=None):
    """Delays of a disc of 1520 m/s, radius 20 mm, off the centre: half a chord's length through it counts."""
    a, b = RING[:, None], RING[None]
    along = (b - a) / np.maximum(DISTANCE, 1e-9)[..., None]
    offset = np.linalg.norm(np.cross(along, np.array([5e-3, 0, 3e-3]) - a), axis=2)
    chord = 2 * np.sqrt(np.maximum(0.02**2 - offset**2, 0))
    return chord * (1 / 1520 - 1 / SPEED)


def make(delay):
    status = np.where(OPPOSITE, PickStatus.PICKED, PickStatus.SKIPPED).astype("u1")
    time = np.where(OPPOSITE, DISTANCE / SPEED + delay, np.nan)
    return Picks(time, OPPOSITE.astype("f4"), status, "aic")


def clean(picks, **options):
    return reject_outliers(picks, RING, RING, SPEED, **options)


def test_good_picks_are_left_alone(rng):
    noise = 2e-8 * rng.standard_normal(DISTANCE.shape)
    picks = make(smooth_delays() + noise)
    np.testing.assert_array_equal(clean(picks).status, picks.status)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), share=st.floats(0.005, 0.08))
def test_wrong_picks_are_marked_and_keep_their_time(seed, share):
    rng = np.random.default_rng(seed)
    delay = smooth_delays() + 2e-8 * rng.standard_normal(DISTANCE.shape)
    wrong = OPPOSITE & (rng.random(DISTANCE.shape) < share)
    delay[wrong] += rng.choice([-1, 1], wrong.sum()) * rng.uniform(6e-7, 4e-6, wrong.sum())
    picks = make(delay)
    found = clean(picks)
    out = found.status == PickStatus.OUTLIER
    assert (out & ~wrong).sum() == 0
    assert out[wrong].mean() > 0.97  # some fall where the delays of a disc's edge scatter as much
    np.testing.assert_array_equal(found.time, picks.time)
    assert (found.quality[out] == 0).all()
    np.testing.assert_array_equal(found.quality[~out], picks.quality[~out])


def test_order_of_elements_does_not_matter(rng):
    delay = smooth_delays()
    delay[OPPOSITE & (rng.random(DISTANCE.shape) < 0.02)] += 1e-6
    picks, e, r = make(delay), rng.permutation(48), rng.permutation(48)
    mixed = Picks(picks.time[e][:, r], picks.quality[e][:, r], picks.status[e][:, r], "aic")
    found = reject_outliers(mixed, RING[e], RING[r], SPEED)
    np.testing.assert_array_equal(found.status, clean(picks).status[e][:, r])


def test_reciprocal_times_that_differ_convict_one():
    """With `threshold` out of the way only the reciprocal pair speaks; the one that fits its neighbours stays."""
    delay = smooth_delays()
    delay[3, 27] += 5e-7
    found = clean(make(delay), threshold=1e3)
    assert np.argwhere(found.status == PickStatus.OUTLIER).tolist() == [[3, 27]]


def test_impossible_speeds(rng):
    picks = make(DISTANCE * (1 / 1700 - 1 / SPEED))  # all alike, so that neighbours agree
    assert (clean(picks).status[OPPOSITE] == PickStatus.OUTLIER).all()
    assert (clean(picks, spread=250.0).status[OPPOSITE] == PickStatus.PICKED).all()


def test_few_picks_are_not_judged():
    picks = make(np.zeros(DISTANCE.shape))
    status = np.full(DISTANCE.shape, PickStatus.SKIPPED, np.uint8)
    status[0, 24] = status[10, 30] = PickStatus.PICKED
    time = np.where(status == 0, picks.time, np.nan)
    few = Picks(time, (status == 0).astype("f4"), status, "aic")
    np.testing.assert_array_equal(clean(few).status, status)
    none = Picks(np.full((48, 48), np.nan), np.zeros((48, 48), "f4"), np.ones((48, 48), "u1"), "aic")
    np.testing.assert_array_equal(clean(none).status, none.status)


def test_wrong_arguments_are_named():
    picks = make(smooth_delays())
    with pytest.raises(ArgumentError, match="^tx, rx"):
        reject_outliers(picks, RING[:5], RING, SPEED)
    with pytest.raises(ArgumentError, match="^sound_speed"):
        reject_outliers(picks, RING, RING, 1.5)
    with pytest.raises(ArgumentError, match="^tolerance"):
        clean(picks, tolerance=0.2)


def spectra_with(rng, wild, shape=(3, 20, 30)):
    """A model, data with 1 % of noise and some wild ones, which of them are wild."""
    model = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    data = model + 0.01 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    where = rng.random(shape) < 0.02
    return model, np.where(where, wild, data).astype("c8"), where


@pytest.mark.parametrize("fraction", [0.0, 1e-6, 0.01, 0.05])
def test_the_largest_data_count_nothing_but_stay(rng, fraction):
    _, data, _ = spectra_with(rng, 1.0)
    pairs = rng.random((20, 30)) < 0.8
    before = data.copy()
    weights = largest_masked(data, pairs, fraction)
    n = round(fraction * pairs.sum())
    assert (pairs.sum() - (weights > 0).sum(axis=(1, 2))).tolist() == [n] * 3
    assert not weights[:, ~pairs].any()
    for kept, w in zip(np.abs(data), weights):
        if n:
            assert kept[(w == 0) & pairs].min() >= kept[w > 0].max()
    np.testing.assert_array_equal(data, before)


def test_masks_keep_the_weights_of_others(rng):
    model, data, _ = spectra_with(rng, 100.0)
    given = rng.random(data.shape).astype("f4")
    before = given.copy()
    for weights in (largest_masked(data, given, 0.05), residuals_masked(data, model, given)):
        kept = weights > 0
        np.testing.assert_array_equal(weights[kept], given[kept])
        assert 0.02 * kept.size / 2 < (~kept).sum() < 0.06 * kept.size
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("wild", [1.5, 1e3])
def test_residuals_beyond_the_noise_count_nothing(rng, wild):
    model, data, where = spectra_with(rng, wild)
    weights = residuals_masked(data, model, np.ones((20, 30), bool))
    far = np.abs(data - model) > 0.1
    assert not weights[far].any()
    assert (weights[~where] == 1).all()  # of 1800 normal data, 4 standard deviations take 2e-4
    one = residuals_masked(data[1], model[1], np.ones((20, 30), bool))
    np.testing.assert_array_equal(one, weights[1])


def test_masks_of_spectra_say_what_is_wrong(rng):
    model, data, _ = spectra_with(rng, 1.0)
    with pytest.raises(ArgumentError, match="^weights"):
        largest_masked(data, np.ones((3, 3)))
    with pytest.raises(ArgumentError, match="^fraction"):
        largest_masked(data, np.ones((20, 30)), 5)
    with pytest.raises(ArgumentError, match="^model"):
        residuals_masked(data, model[0], np.ones((20, 30)))
    with pytest.raises(ArgumentError, match="^values"):
        residuals_masked(data[0, 0], model[0, 0], np.ones(30))
