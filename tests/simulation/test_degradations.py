"""The degradation model: statistics of every step, what it leaves alone, what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sonoray.errors import ArgumentError
from sonoray.simulation.degradations import (
    KERNELS,
    DegradationModel,
    add_fourier_noise,
    add_gaussian_noise,
    add_speckle,
    blur,
    gaussian_kernel,
    sample_patch,
)

GREY = np.full((128, 128), 0.5, np.float32)
IMAGES = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    elements=st.floats(0, 1, width=32),
)


def scene(size=128):
    """Half mean brightness with structure, as B-mode images have."""
    row, column = np.mgrid[:size, :size] / size
    return (0.5 + 0.25 * np.sin(9 * row) * np.cos(7 * column)).astype(np.float32)


def psnr(image, truth):
    return -10 * np.log10(np.mean((image.astype(float) - truth) ** 2))


@pytest.mark.parametrize("size", [1, *KERNELS])
def test_kernels_sum_to_one_and_have_the_stated_deviation(size):
    weights = gaussian_kernel(size)
    assert len(weights) == size
    assert weights.sum() == pytest.approx(1)
    assert np.array_equal(weights, weights[::-1])
    at = np.arange(size) - size // 2
    # Cut off at three deviations and sampled by pixels, a Gaussian loses at most 3 % of its width; at k = 3 (a third
    # of a pixel) sampling says more than the Gaussian.
    if size > 3:
        assert np.sqrt((weights * at**2).sum()) == pytest.approx((size - 1) / 6, rel=0.03)


def test_blur_widens_a_line_by_the_kernel_and_keeps_constants_and_means():
    line = np.zeros((65, 65), np.float32)
    line[:, 32] = 1
    for size in (5, 9, 13):
        np.testing.assert_allclose(
            blur(line, size)[10, 32 - size // 2 : 33 + size // 2], gaussian_kernel(size), atol=1e-6
        )
    np.testing.assert_allclose(blur(GREY, 17), GREY, atol=1e-6)
    assert np.array_equal(blur(scene(), 1), scene())


def test_gaussian_noise_has_its_deviation():
    noisy = add_gaussian_noise(GREY, 0.1, np.random.default_rng(0))
    # 16384 samples know their deviation to 0.6 %.
    assert (noisy - GREY).std() == pytest.approx(0.1, rel=0.03)
    assert (noisy - GREY).mean() == pytest.approx(0, abs=0.004)
    assert np.array_equal(add_gaussian_noise(GREY, 0.0, np.random.default_rng(0)), GREY)


@pytest.mark.parametrize(("gamma", "expected"), [(0.005, 50.0), (0.02, 38.0), (0.1, 24.0), (0.2, 18.0)])
def test_fourier_noise_leaves_the_expected_psnr(gamma, expected):
    noisy = add_fourier_noise(scene(), gamma, np.random.default_rng(1))
    assert psnr(noisy, scene()) == pytest.approx(expected, abs=2.0)


def test_fourier_noise_has_the_moments_of_its_equation():
    gamma, rng = 0.05, np.random.default_rng(2)
    noisy = add_fourier_noise(GREY, gamma, rng)
    # A constant c has max|F| = N c, so the noise is complex with E|n|^2 = (gamma c)^2 in every pixel: half of it lies
    # along the signal; what is across it lifts the magnitude by (gamma c)^2 / 4 / ((1 - gamma) c).
    assert noisy.std() == pytest.approx(gamma * 0.5 / np.sqrt(2), rel=0.03)
    assert noisy.mean() == pytest.approx((1 - gamma) * 0.5 + gamma**2 * 0.5 / 4 / (1 - gamma), abs=1e-3)
    np.testing.assert_allclose(add_fourier_noise(scene(), 0.0, rng), scene(), atol=1e-6)


def test_the_equation_to_the_letter_leaves_nothing_of_the_image():
    assert psnr(add_fourier_noise(scene(), 0.02, np.random.default_rng(0), normalized=False), scene()) < 8


def test_speckle_grows_with_brightness_and_is_as_correlated_as_asked():
    rng = np.random.default_rng(3)
    for level in (0.2, 0.4):
        spoilt = add_speckle(np.full((128, 128), level, np.float32), 0.3, rng)
        assert spoilt.std() == pytest.approx(0.3 * level, rel=0.03)
    spoilt = add_speckle(np.full((256, 256), 0.4, np.float32), 0.3, rng, correlation=1.5)
    noise = (spoilt - 0.4).astype(float)
    assert noise.std() == pytest.approx(0.12, rel=0.1)
    # White noise through a Gaussian of deviation s correlates as exp(-d^2 / 4 s^2).
    neighbour = np.mean(noise[:, :-2] * noise[:, 2:]) / noise.var()
    assert neighbour == pytest.approx(np.exp(-(2**2) / (4 * 1.5**2)), abs=0.05)


@given(IMAGES, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_image_stays_an_image_and_the_seed_decides(image, seed):
    model = DegradationModel(families=("gaussian", "fourier", "speckle"), correlation=(0.0, 1.5))
    before = image.copy()
    first, second = (model(image, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)


def test_a_quarter_of_the_images_stays_clean():
    rng, model = np.random.default_rng(4), DegradationModel()
    untouched = np.mean([np.array_equal(model(GREY[:16, :16], rng), GREY[:16, :16]) for _ in range(600)])
    # (1 - 0.55) (1 - 0.45) = 0.2475; three standard errors of 600 draws.
    assert untouched == pytest.approx(0.2475, abs=0.053)


def test_stacks_are_degraded_plane_by_plane():
    stack = np.stack([scene(), GREY])
    np.testing.assert_allclose(blur(stack, 9)[0], blur(scene(), 9), atol=1e-7)
    alone = add_fourier_noise(stack, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(alone, stack, atol=1e-6)


def test_patches_of_a_pair_are_cut_alike():
    rng = np.random.default_rng(5)
    pair = np.stack([scene(), 1 - scene()])
    for _ in range(20):
        for options in ({}, {"angle": 0.0}, {"resized": 90}):
            first, second = sample_patch(pair, 32, rng, **options)
            np.testing.assert_allclose(first, 1 - second, atol=1e-4)
    patch = sample_patch(pair, 32, rng, angle=0.0)[0]
    windows = np.lib.stride_tricks.sliding_window_view(scene(), (32, 32))
    assert np.abs(windows - patch).max((2, 3)).min() == 0  # whole pixels


def test_patches_are_turned_by_at_most_the_angle():
    ramp = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (200, 1))
    rng, turns = np.random.default_rng(6), []
    for _ in range(100):
        down, across = np.gradient(sample_patch(ramp[None], 40, rng)[0].astype(float))
        turns.append(np.degrees(np.arctan2(down.mean(), across.mean())))
    assert 12 < np.abs(turns).max() <= 15.01
    assert min(turns) < -5
    assert max(turns) > 5


def test_patches_larger_than_the_image_are_mirrored():
    assert sample_patch(scene(20)[None], 64, np.random.default_rng(0)).shape == (1, 64, 64)
    assert sample_patch(np.full((1, 1, 1), 0.25), 8, np.random.default_rng(0)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: blur(GREY, 4), "size: expected an odd number of pixels, got 4"),
        (lambda r: blur(GREY * 255, 3), "image: expected values from 0 to 1"),
        (lambda r: blur(np.full((4, 4), np.nan), 3), "image: expected finite values"),
        (lambda r: blur(np.zeros((0, 4)), 3), "image: expected (..., n_rows, n_columns) with pixels"),
        (lambda r: add_gaussian_noise(GREY, -0.1, r), "sigma: expected 0 to 10 (ratio), got -0.1"),
        (lambda r: add_fourier_noise(GREY, 1.5, r), "gamma: expected 0 to 1 (ratio), got 1.5"),
        (lambda r: add_speckle(GREY, 0.1, r, correlation=-1), "correlation: expected 0 to 100 pixels"),
        (lambda r: DegradationModel(kernels=(3, 4)), "size: expected an odd number"),
        (lambda r: DegradationModel(kernels=()), "kernels: expected at least one size"),
        (lambda r: DegradationModel(families=("gauss",)), "families: expected some of"),
        (lambda r: DegradationModel(gaussian=(0.2, 0.1)), "gaussian: expected a range from low to high"),
        (lambda r: DegradationModel(main_chance=1.2), "main_chance: expected 0 to 1"),
        (lambda r: DegradationModel()(np.zeros((2, 4, 4)), r), "image: expected shape (any, any)"),
        (lambda r: sample_patch(GREY, 8, r), "images: expected shape (any, any, any)"),
        (lambda r: sample_patch(np.zeros((0, 8, 8)), 8, r), "images: expected pixels"),
        (
            lambda r: sample_patch(GREY[None] + 2, 8, r),
            f"values from 0 to 1, got {GREY.min() + 2:g} to {GREY.max() + 2:g}",
        ),
        (lambda r: add_gaussian_noise(GREY, np.nan, r), "sigma: expected a finite number (ratio), got nan"),
        (lambda r: add_gaussian_noise(GREY, "x", r), "sigma: expected a number (ratio), got 'x'"),
        (lambda r: sample_patch(GREY[None], 8, r, angle=-1), "angle: expected 0 to 180 degrees"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, words):
    with pytest.raises(ArgumentError) as error:
        call(np.random.default_rng(0))
    assert words in str(error.value)
    assert "in ?" not in str(error.value)
