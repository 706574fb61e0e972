"""Simulated speckle: first-order statistics, correlation, the truth beside it."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError
from sonoray.simulation.echogenicities import FAMILIES, echogenicity_map
from sonoray.simulation.speckle import SpeckleModel, sector_mask, simulate_speckle, speckle_envelope

QUIET = {"noise": -200.0}


def envelope(model: SpeckleModel, shape=(512, 512), seed=0):
    return speckle_envelope(np.zeros(shape), np.random.default_rng(seed), model)


def test_rayleigh_speckle_has_its_signal_to_noise():
    model = SpeckleModel((1.0, 1.5), **QUIET)
    found = envelope(model)
    assert model.signal_to_noise == pytest.approx(1.9131, abs=1e-4)
    # About 14,000 independent cells: the ratio is known to 1 %.
    assert found.mean() / found.std() == pytest.approx(model.signal_to_noise, rel=0.02)
    assert np.mean(found**2) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("scatterers", [1.0, 4.0])
def test_k_speckle_has_its_signal_to_noise(scatterers):
    model = SpeckleModel((1.0, 1.5), scatterers=scatterers, **QUIET)
    found = envelope(model)
    assert found.mean() / found.std() == pytest.approx(model.signal_to_noise, rel=0.04)
    assert np.mean(found**2) == pytest.approx(1, rel=0.06)


def test_k_tends_to_rayleigh():
    assert SpeckleModel(scatterers=1000.0).signal_to_noise == pytest.approx(SpeckleModel().signal_to_noise, rel=1e-3)
    assert SpeckleModel(scatterers=0.5).signal_to_noise < 1.2


@pytest.mark.parametrize("scatterers", [None, 2.0])
def test_mean_logarithm_is_the_truth(scatterers):
    model = SpeckleModel((0.9, 1.3), scatterers=scatterers, **QUIET)
    found = 20 * np.log10(envelope(model))
    assert found.mean() == pytest.approx(model.log_bias, abs=0.15)
    seen = simulate_speckle(np.full((512, 512), -6.0), np.random.default_rng(1), model)
    assert seen.image.mean() == pytest.approx(seen.clean.mean(), abs=0.006)


@pytest.mark.parametrize(("axis", "width"), [(0, 1.2), (1, 2.5)])
def test_power_is_correlated_as_the_point_spread_function_says(axis, width):
    power = envelope(SpeckleModel((1.2, 2.5), **QUIET)) ** 2
    power = (power - power.mean()) / power.std()
    for lag in (1, 2, 4):
        a = np.take(power, range(lag, 512), axis)
        b = np.take(power, range(512 - lag), axis)
        # Standard error of a correlation over about 7,000 cells: 0.012.
        assert np.mean(a * b) == pytest.approx(np.exp(-(lag**2) / (2 * width**2)), abs=0.05)


def test_speckle_widens_with_depth():
    field = envelope(SpeckleModel((0.8, 1.0), widening=2.0, **QUIET), (600, 400)) ** 2
    field = (field - 1) / field.std()
    lag = [np.mean(part[:, 2:] * part[:, :-2]) for part in (field[:150], field[-150:])]
    assert lag[0] < 0.4
    assert lag[1] > 0.6
    assert field[-150:].mean() == pytest.approx(0, abs=0.1)


def test_speckle_is_not_white_and_is_repeatable():
    model = SpeckleModel()
    echo = echogenicity_map("shapes", (64, 96), np.random.default_rng(0))
    first, second = (simulate_speckle(echo, np.random.default_rng(3), model) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == first.clean.shape == (64, 96)
    assert first.image.dtype == np.float32
    assert not np.array_equal(first.image, simulate_speckle(echo, np.random.default_rng(4), model).image)


def test_noise_sets_the_floor():
    model = SpeckleModel(noise=-30.0, white=0.0, dynamic_range=60.0)
    seen = simulate_speckle(np.full((256, 256), -90.0), np.random.default_rng(0), model)
    assert seen.clean.mean() == pytest.approx((-30 - 2.507) / 60 + 1, abs=1e-3)
    assert seen.image.mean() == pytest.approx(seen.clean.mean(), abs=0.003)


def test_the_k_part_is_the_tissue_s_alone():
    """The reviewed case: an anechoic region shows noise, whose logarithm is Rayleigh's, however few scatterers."""
    model = SpeckleModel(scatterers=0.8, noise=-45.0, dynamic_range=65.0)
    seen = simulate_speckle(np.full((256, 256), -90.0), np.random.default_rng(0), model)
    assert seen.clean.mean() == pytest.approx((-45 - 2.507 - 16) / 65 + 1, abs=1e-3)
    only = SpeckleModel(scatterers=0.8, noise=-200.0)
    np.testing.assert_allclose(only.mean_logarithm(np.zeros((2, 2))), only.log_bias, atol=1e-3)


@pytest.mark.parametrize("scatterers", [0.2, 0.8, 6.0, 1000.0])
def test_mean_logarithm_of_tissue_and_noise_together(scatterers):
    model = SpeckleModel((0.9, 1.3), scatterers=scatterers, noise=-10.0)
    rng = np.random.default_rng(0)
    levels = np.linspace(-30, 10, 5)
    power = 10 ** (levels[:, None] / 10) * rng.gamma(scatterers, 1 / scatterers, (5, 400_000)) + 0.1
    expected = 10 * np.log10(power).mean(1) - 10 * np.euler_gamma / np.log(10)
    # With 0.2 scatterers the logarithm deviates by about 20 dB; over 400,000 draws that is 0.03 dB.
    np.testing.assert_allclose(model.mean_logarithm(levels), expected, atol=0.1)
    seen = envelope(model)
    together = model.mean_logarithm(np.zeros((2, 2))).mean()
    assert 20 * np.log10(seen).mean() == pytest.approx(together, abs=0.3)


def test_sector_has_its_angle_and_its_arcs():
    mask = sector_mask((200, 400), 90.0, 0.2)
    np.testing.assert_array_equal(mask, mask[:, ::-1])
    z = np.nonzero(mask)[0]
    assert z.min() <= 1
    assert z.max() >= 198
    # Area of a sector of 90 degrees between radii r and R; R follows from the rows that it fills.
    radius = 199 / (1 - 0.2 * np.cos(np.pi / 4))
    assert mask.sum() == pytest.approx(np.pi / 4 * radius**2 * (1 - 0.2**2), rel=0.02)
    seen = simulate_speckle(np.zeros((200, 400)), np.random.default_rng(0), mask=mask)
    assert not seen.image[~mask].any()
    assert not seen.clean[~mask].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_families_draw_what_can_be_seen(family):
    maps = [echogenicity_map(family, (48, 64), np.random.default_rng(k)) for k in range(4)]
    assert all(m.shape == (48, 64) and np.isfinite(m).all() for m in maps)
    assert max(np.ptp(m) for m in maps) > 6
    assert all(m.min() > -60 and m.max() < 30 for m in maps)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda rng: SpeckleModel(psf=(0.1, 1.0)), "psf"),
        (lambda rng: SpeckleModel(scatterers=0.0), "scatterers"),
        (lambda rng: echogenicity_map("liver", (32, 32), rng), "family"),
        (lambda rng: echogenicity_map("shapes", (8, 32), rng), "shape"),
        (lambda rng: simulate_speckle(np.full((8, 8), np.nan), rng), "echogenicity"),
        (lambda rng: simulate_speckle(np.zeros((8, 8)), rng, mask=np.ones((8, 9), bool)), "mask"),
        (lambda rng: sector_mask((8, 8), 200.0), "opening"),
    ],
)
def test_wrong_arguments_are_named(call, match):
    with pytest.raises(ArgumentError, match=match):
        call(np.random.default_rng(0))
