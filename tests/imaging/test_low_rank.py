"""Non-local low-rank despeckling on images whose truth is known."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from sonoray.errors import ArgumentError
from sonoray.imaging.low_rank import guide, low_rank_despeckle, speckle_level
from sonoray.simulation.speckle import SpeckleModel, simulate_speckle


def speckled(size=80, seed=0):
    """A disc and a layer in Rayleigh speckle that a point spread function correlates."""
    row, column = np.mgrid[:size, :size]
    decibels = np.where((row - 30) ** 2 + (column - 45) ** 2 < 18**2, -18.0, 0.0)
    decibels = np.where(row > 62, 10.0, decibels)
    shown = simulate_speckle(decibels, np.random.default_rng(seed), SpeckleModel())
    return shown.image, shown.clean


def error(image, truth):
    return float(np.sqrt(np.mean((image - truth) ** 2)))


@pytest.mark.parametrize("seed", [0, 1])
def test_correlated_speckle_is_removed_better_than_by_medians(seed):
    image, truth = speckled(seed=seed)
    ours = error(low_rank_despeckle(image), truth)
    assert ours < 0.6 * error(image, truth)
    assert ours < min(error(median_filter(image, size), truth) for size in (3, 5, 7, 9))


def test_edges_stay():
    image, truth = speckled()
    found = low_rank_despeckle(image)
    # From the bright layer (rows > 62) to the tissue above, three pixels to either side.
    step = (found[66] - found[59])[5:30].mean()
    assert step > 0.85 * (truth[66] - truth[59])[5:30].mean()


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_constants_pass(level):
    image = np.full((40, 50), level, np.float32)
    np.testing.assert_allclose(low_rank_despeckle(image), image, atol=1e-6)
    np.testing.assert_allclose(low_rank_despeckle(image, noise=0.1), image, atol=1e-5)


def test_no_noise_changes_nothing():
    image, _ = speckled()
    assert np.array_equal(low_rank_despeckle(image, noise=0.0), image)


@pytest.mark.parametrize("shape", [(7, 7), (7, 30), (23, 8), (31, 64)])
def test_any_shape_from_one_patch_up(shape):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.3, 0.7, shape)
    found = low_rank_despeckle(image)
    assert found.shape == shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_the_same_image_gives_the_same_result_and_stays_as_it_is():
    image, _ = speckled(48)
    before = image.copy()
    assert np.array_equal(low_rank_despeckle(image), low_rank_despeckle(image))
    assert np.array_equal(image, before)


def test_stronger_is_smoother():
    image, _ = speckled(48)
    weak, strong = (low_rank_despeckle(image, strength=s) for s in (5.0, 40.0))
    assert np.abs(np.diff(strong)).mean() < np.abs(np.diff(weak)).mean()


def test_the_speckle_level_is_estimated_without_black_regions():
    rng = np.random.default_rng(1)
    image = np.clip(0.5 + 0.08 * rng.standard_normal((96, 96)), 0, 1).astype(np.float32)
    # The guidance keeps a little of the noise.
    assert speckle_level(image, guide(image)) == pytest.approx(0.08, rel=0.1)
    image[:48] = 0
    assert speckle_level(image, guide(image)) == pytest.approx(0.08, rel=0.15)
    assert speckle_level(np.zeros_like(image), np.zeros_like(image)) == 0


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((6, 20)), {}, "image: expected at least 7 x 7 pixels, got (6, 20)"),
        (np.zeros((3, 20, 20)), {}, "image: expected shape (any, any)"),
        (np.full((20, 20), 200.0), {}, "image: expected values from 0 to 1"),
        (np.full((20, 20), np.nan), {}, "image: expected finite values"),
        (np.zeros((20, 20)), {"step": 9}, "step: expected at most the patch's 7 pixels, got 9"),
        (np.zeros((20, 20)), {"noise": 5.0}, "noise: expected 0 to 1"),
        (np.zeros((20, 20)), {"similar": 1}, "similar: expected 4 to 400, got 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(image, options, words):
    with pytest.raises(ArgumentError) as refused:
        low_rank_despeckle(image, **options)
    assert words in str(refused.value)
