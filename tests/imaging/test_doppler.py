"""Doppler: phase of moving scatterers, aliasing, clutter, and a rotating disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError

F, RATE, C = 5e6, 4e3, 1540.0
LIMIT = C * RATE / (4 * F)


def moving(velocity, n=12, shape=(6, 7), clutter=0.0, seed=0):
    """I/Q of speckle that comes nearer by velocity / RATE per frame, over echoes that stand still."""
    rng = np.random.default_rng(seed)
    blood, wall = rng.standard_normal((2, *shape)) + 1j * rng.standard_normal((2, *shape))
    # iq = a exp(-2 pi i f tau) and tau falls by 2 v / (c RATE) from frame to frame
    tau = -2 * velocity * np.arange(n) / (C * RATE)
    frames = blood * np.exp(-2j * np.pi * F * tau)[:, None, None] + clutter * wall
    return frames.astype("c8")


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.99, 0.99))
def test_velocity_below_nyquist_is_exact_and_positive_towards_the_probe(fraction):
    estimate = sonoray.doppler_velocity(moving(fraction * LIMIT), F, RATE, C)
    assert estimate.dtype == np.float32
    np.testing.assert_allclose(estimate, fraction * LIMIT, atol=1e-5 * LIMIT)


@pytest.mark.parametrize(("fraction", "seen"), [(1.2, -0.8), (-1.5, 0.5), (2.1, 0.1)])
def test_faster_flow_wraps_around(fraction, seen):
    np.testing.assert_allclose(
        sonoray.doppler_velocity(moving(fraction * LIMIT), F, RATE, C), seen * LIMIT, atol=1e-5 * LIMIT
    )


def test_nyquist_velocity():
    assert sonoray.nyquist_velocity(5e6, 10e3, 1480) == pytest.approx(0.74)


def test_wall_filter_removes_still_tissue_a_hundred_times_stronger():
    frames = moving(0.5 * LIMIT, n=32, clutter=100.0)
    assert np.abs(sonoray.doppler_velocity(frames, F, RATE, C)).max() < 0.05 * LIMIT
    for order in (0, 1, 2):
        estimate = sonoray.doppler_velocity(frames, F, RATE, C, wall_filter=order, average=3)
        # the polynomial takes a little of the blood's own signal with it
        np.testing.assert_allclose(estimate, 0.5 * LIMIT, atol=0.02 * LIMIT)


def test_wall_filter_removes_polynomials_up_to_its_order():
    t = np.linspace(0, 1, 9)[:, None, None]
    drift = (3 + 2j * t - 5 * t**2) * np.ones((1, 2, 2))
    assert sonoray.doppler_power(drift, wall_filter=2).max() < 1e-10
    assert sonoray.doppler_power(drift, wall_filter=1).min() > 1e-3


def test_power_is_the_mean_square():
    frames = moving(0.1)
    np.testing.assert_allclose(sonoray.doppler_power(frames), np.mean(np.abs(frames) ** 2, axis=0), rtol=1e-5)


def test_averaging_weights_by_power_over_the_window():
    frames = moving(0.3 * LIMIT, shape=(9, 9))
    frames[:, 4, 4] = 0
    assert sonoray.doppler_velocity(frames, F, RATE, C)[4, 4] == 0
    smooth = sonoray.doppler_velocity(frames, F, RATE, C, average=(1, 3))
    np.testing.assert_allclose(smooth, 0.3 * LIMIT, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda q: sonoray.doppler_velocity(q.real, F, RATE), "iq.*complex"),
        (lambda q: sonoray.doppler_velocity(q[:1], F, RATE), "two frames"),
        (lambda q: sonoray.doppler_velocity(q * np.nan, F, RATE), "iq.*finite"),
        (lambda q: sonoray.doppler_velocity(q, 5.0, RATE), "center_frequency.*Hz"),
        (lambda q: sonoray.doppler_velocity(q, F, RATE, 1.54), "sound_speed.*m/s"),
        (lambda q: sonoray.doppler_velocity(q, F, 0.0), "frame_rate"),
        (lambda q: sonoray.doppler_velocity(q, F, RATE, wall_filter=11), "wall_filter"),
        (lambda q: sonoray.doppler_velocity(q, F, RATE, wall_filter="mean"), "wall_filter"),
        (lambda q: sonoray.doppler_velocity(q, F, RATE, average=(3, 3, 3)), "average"),
        (lambda q: sonoray.doppler_power(q, average=0), "average"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(moving(0.1))


def noisy(fraction, level, n=16, shape=(40, 40), width=0.0, seed=3):
    """Echoes of a Gaussian Doppler spectrum of a given width [rad per frame], with white noise."""
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((64, *shape)) * width  # many scatterers per point, each at its own speed
    weights = rng.standard_normal((64, *shape)) + 1j * rng.standard_normal((64, *shape))
    steps = np.exp(1j * (np.pi * fraction + spread))
    frames = np.stack([(weights * steps**k).sum(axis=0) for k in range(n)]) / np.sqrt(128)
    noise = rng.standard_normal((2, n, *shape)) * level / np.sqrt(2)
    return (frames + noise[0] + 1j * noise[1]).astype("c8")


@pytest.mark.parametrize("lags", [2, 5, 11])
@pytest.mark.parametrize("fraction", [-0.97, -0.4, 0.0, 0.6, 0.99])
def test_several_lags_are_exact_without_noise(lags, fraction):
    estimate = sonoray.doppler_velocity(moving(fraction * LIMIT), F, RATE, C, lags=lags)
    np.testing.assert_allclose(estimate, fraction * LIMIT, atol=1e-5 * LIMIT)


def test_several_lags_lower_noise_where_echoes_stay_coherent():
    frames = noisy(0.3, 0.7)
    errors = [sonoray.doppler_velocity(frames, F, RATE, C, lags=lags) - 0.3 * LIMIT for lags in (1, 2, 5, 8)]
    spreads = [np.median(np.abs(e)) for e in errors]
    assert spreads[1] < 0.8 * spreads[0]
    assert spreads[2] < 0.6 * spreads[0]
    assert max(abs(np.median(e)) for e in errors) < 0.01 * LIMIT


def test_fits_at_the_nyquist_velocity_stay_in_range():
    estimate = sonoray.doppler_velocity(noisy(1.0, 0.3), F, RATE, C, lags=4)
    assert np.abs(estimate).max() <= LIMIT * (1 + 1e-6)
    assert np.median(LIMIT - np.abs(estimate)) < 0.05 * LIMIT


@pytest.mark.parametrize("width", [0.1, 0.3, 0.6])
def test_bandwidth_of_a_gaussian_spectrum(width):
    frames = noisy(0.4, 0.0, width=width)
    for lags in ((0, 1), (1, 2)):
        estimate = sonoray.doppler_bandwidth(frames, F, RATE, C, average=40, lags=lags)[20, 20]
        assert estimate == pytest.approx(width * LIMIT / np.pi, rel=0.15)  # of 1600 points


def test_noise_widens_lag_zero_only():
    frames = noisy(0.4, 0.5, width=0.3)
    expected = 0.3 * LIMIT / np.pi
    with_noise, without = (
        sonoray.doppler_bandwidth(frames, F, RATE, C, average=40, lags=lags)[20, 20] for lags in ((0, 1), (1, 2))
    )
    # R0 grows by 0.25, R1 and R2 do not
    assert with_noise == pytest.approx(np.sqrt(0.3**2 + 2 * np.log(1.25)) * LIMIT / np.pi, rel=0.1)
    assert without == pytest.approx(expected, rel=0.15)


def test_small_bandwidths_agree_with_kasai_and_a_pure_tone_has_none():
    frames = noisy(-0.2, 0.02, width=0.05)
    r0 = np.mean(np.abs(frames) ** 2, axis=0)
    r1 = np.abs(np.mean(frames[1:] * frames[:-1].conj(), axis=0))
    kasai = np.sqrt(np.maximum(2 * (1 - r1 / r0), 0)) * LIMIT / np.pi
    np.testing.assert_allclose(sonoray.doppler_bandwidth(frames, F, RATE, C), kasai, rtol=0.05, atol=1e-3 * LIMIT)
    assert sonoray.doppler_bandwidth(moving(0.1), F, RATE, C).max() < 1e-3 * LIMIT
    assert not sonoray.doppler_bandwidth(np.zeros((4, 3), "c8"), F, RATE, C).any()


@pytest.mark.parametrize("lags", [(1, 1), (2, 1), (0, 12), (-1, 1), 1])
def test_bandwidth_refuses_lags_that_do_not_rise(lags):
    with pytest.raises(ArgumentError, match="lags"):
        sonoray.doppler_bandwidth(moving(0.1), F, RATE, C, lags=lags)


@pytest.mark.parametrize("lags", [0, 12, 1.5])
def test_velocity_refuses_lags_beyond_the_frames(lags):
    with pytest.raises(ArgumentError, match="lags"):
        sonoray.doppler_velocity(moving(0.1), F, RATE, C, lags=lags)
