"""Metrics against closed forms: Gaussian and sinc spots, Rayleigh speckle, known correlation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.imaging.metrics import RAYLEIGH_SNR

WIDTH = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, in deviations


def rayleigh(scale, n=100_000, seed=0):
    return np.random.default_rng(seed).rayleigh(scale, n)


@settings(max_examples=50, deadline=None)
@given(st.floats(1.5, 8), st.floats(-0.5, 0.5), st.floats(1e-12, 1e12))
def test_fwhm_of_a_gaussian_between_samples(sigma, shift, amplitude):
    x = np.arange(61) - 30
    spot = amplitude * np.exp(-0.5 * ((x - shift) / sigma) ** 2)
    # cubic spline of 1.5 samples per deviation: 0.5 %
    assert sonoray.fwhm(spot, 1e-4) == pytest.approx(WIDTH * sigma * 1e-4, rel=5e-3)


def test_fwhm_converges_with_the_fourth_order_of_its_spline():
    error = []
    for h in (0.5, 0.25):
        x = np.arange(-12, 12 + h, h)
        error.append(abs(sonoray.fwhm(np.exp(-0.5 * (x - 0.1) ** 2), h) - WIDTH))
    assert np.log2(error[0] / error[1]) > 3.5


def test_fwhm_along_each_axis_of_an_image_and_at_another_level():
    x, z = np.meshgrid(np.arange(50) - 20.3, np.arange(70) - 40.6, indexing="ij")
    image = np.exp(-0.5 * (x / 3) ** 2 - 0.5 * (z / 5) ** 2)
    assert sonoray.fwhm(image, 2.0, axis=0) == pytest.approx(2 * 3 * WIDTH, rel=1e-3)
    assert sonoray.fwhm(image, 1.0, axis=1) == pytest.approx(5 * WIDTH, rel=1e-3)
    assert sonoray.fwhm(image, 1.0, level=0.1) == pytest.approx(2 * 5 * np.sqrt(2 * np.log(10)), rel=1e-3)
    two = image + 2 * np.roll(image, (12, -30), (0, 1))
    assert sonoray.fwhm(two, 1.0, peak=(20, 41)) == pytest.approx(5 * WIDTH, rel=1e-3)


def test_fwhm_takes_the_crossing_nearest_to_the_peak():
    x = np.arange(200.0)
    spots = sum(a * np.exp(-0.5 * ((x - c) / 3) ** 2) for a, c in ((0.9, 50), (1, 100), (0.8, 150)))
    assert sonoray.fwhm(spots, 1.0) == pytest.approx(3 * WIDTH, rel=1e-3)


def test_side_lobe_of_a_sinc():
    x = np.linspace(-10, 10, 4001)
    assert sonoray.peak_sidelobe_level(np.abs(np.sinc(x))) == pytest.approx(-13.26, abs=0.01)
    assert sonoray.peak_sidelobe_level(np.sinc(x[:, None]) ** 2 * np.ones(3), axis=0) == pytest.approx(-26.52, abs=0.02)
    assert sonoray.peak_sidelobe_level(np.exp(-(x**2))) == -np.inf


def test_contrast_of_rayleigh_speckle_is_the_ratio_of_power():
    assert sonoray.contrast(rayleigh(0.1), rayleigh(1, seed=1)) == pytest.approx(-20, abs=0.1)
    assert sonoray.contrast(3 * np.ones(4), np.ones(5)) == pytest.approx(20 * np.log10(3))
    assert sonoray.contrast(np.zeros(4), np.ones(5)) == -np.inf
    iq = np.array([3j, -3, 3])
    assert sonoray.contrast(iq, np.ones(3)) == pytest.approx(20 * np.log10(3))


def test_cnr_of_known_regions():
    assert sonoray.cnr([1, 3], [7, 9]) == pytest.approx(6 / np.sqrt(2))
    assert sonoray.cnr(rayleigh(1), np.zeros(10)) == pytest.approx(RAYLEIGH_SNR, rel=0.01)
    assert sonoray.cnr([2, 2], [2]) == 0 and sonoray.cnr([2, 2], [3]) == np.inf


@pytest.mark.parametrize("ratio", [1.5, 3.0, 10.0])
def test_gcnr_of_two_rayleigh_regions(ratio):
    crossing = 2 * np.log(ratio**2) / (1 - 1 / ratio**2)  # squared, where the densities are equal
    want = np.exp(-crossing / (2 * ratio**2)) - np.exp(-crossing / 2)
    assert sonoray.gcnr(rayleigh(1), rayleigh(ratio, seed=1)) == pytest.approx(want, abs=0.02)


def test_gcnr_of_equal_and_separate_regions():
    assert sonoray.gcnr(rayleigh(1), rayleigh(1)) == 0
    assert sonoray.gcnr(rayleigh(1), rayleigh(1, seed=1)) < 0.05
    assert sonoray.gcnr(np.ones(5), 2 + rayleigh(1)) == 1
    assert sonoray.gcnr(np.ones(5), np.ones(7)) == 0


def test_gcnr_does_not_change_under_compression():
    a, b = rayleigh(1), rayleigh(2, seed=1)
    plain = sonoray.gcnr(a, b)
    assert sonoray.gcnr(20 * np.log10(a), 20 * np.log10(b)) == pytest.approx(plain, abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_gcnr_is_symmetric_and_bounded(seed, ratio):
    a, b = rayleigh(1, 300, seed), rayleigh(ratio, 200, seed + 1)
    value = sonoray.gcnr(a, b)
    assert 0 <= value <= 1 and value == pytest.approx(sonoray.gcnr(b, a))


def test_speckle_snr():
    assert pytest.approx(1.913, abs=1e-3) == RAYLEIGH_SNR
    assert sonoray.speckle_snr(rayleigh(4)) == pytest.approx(RAYLEIGH_SNR, rel=0.01)
    assert sonoray.speckle_snr(np.ones(9)) == np.inf


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_lag_one_coherence_of_a_chain_of_known_correlation(rho):
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((32, 4000)) + 1j * rng.standard_normal((32, 4000))
    signal = noise.copy()
    for m in range(1, 32):
        signal[m] = rho * signal[m - 1] + np.sqrt(1 - rho**2) * noise[m]
    signal *= np.linspace(1, 50, 32)[:, None]  # gains of elements do not matter
    assert sonoray.lag_one_coherence(signal) == pytest.approx(rho, abs=0.01)  # 31 * 4000 pairs
    kept = sonoray.lag_one_coherence(signal.reshape(32, 4, 1000))
    assert kept.shape == (4,) and kept == pytest.approx(rho, abs=0.02)


def test_lag_one_coherence_extremes():
    one = np.exp(1j * np.arange(7.0))
    assert sonoray.lag_one_coherence(np.stack([one, one, one])) == pytest.approx(1)
    assert sonoray.lag_one_coherence(np.stack([one, -one, one])) == pytest.approx(-1)
    assert sonoray.lag_one_coherence(np.stack([one, one, 0 * one])) == pytest.approx(0.5)


SPOT = np.exp(-0.5 * (np.arange(21) - 10.0) ** 2 / 4)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: sonoray.fwhm(20 * np.log10(SPOT), 1e-4), "in dB"),
        (lambda: sonoray.fwhm(SPOT, 0.0), "spacing"),
        (lambda: sonoray.fwhm(SPOT[10:], 1e-4), "both sides"),
        (lambda: sonoray.fwhm(SPOT, 1e-4, axis=1), "axis"),
        (lambda: sonoray.fwhm(SPOT, 1e-4, peak=(30,)), "peak"),
        (lambda: sonoray.fwhm(SPOT, 1e-4, level=2.0), "level"),
        (lambda: sonoray.fwhm(SPOT[9:12], 1e-4), "4 points"),
        (lambda: sonoray.fwhm(np.zeros(9), 1e-4), "peak above zero"),
        (lambda: sonoray.fwhm(SPOT * np.nan, 1e-4), "finite"),
        (lambda: sonoray.peak_sidelobe_level(-SPOT), "in dB"),
        (lambda: sonoray.contrast([], [1.0]), "inside"),
        (lambda: sonoray.contrast([1.0], [0.0]), "outside"),
        (lambda: sonoray.contrast([-1.0], [1.0]), "inside.*dB"),
        (lambda: sonoray.cnr([1j], [1.0]), "inside"),
        (lambda: sonoray.gcnr([np.nan], [1.0]), "inside.*finite"),
        (lambda: sonoray.gcnr([1.0], [1.0], bins=1), "bins"),
        (lambda: sonoray.speckle_snr([]), "envelope"),
        (lambda: sonoray.lag_one_coherence(np.ones((3, 4))), "aperture.*complex"),
        (lambda: sonoray.lag_one_coherence(np.ones((1, 4)) * 1j), "n_rx >= 2"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
