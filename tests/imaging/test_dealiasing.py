"""Velocities beyond Nyquist: exact arithmetic, simulated parabolic flow, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.simulation.moving_scatterers import simulate_flow_images

F, RATE, C = 5e6, 5e3, 1540.0
LIMIT = sonoray.nyquist_velocity(F, RATE, C)
GRID = sonoray.Grid.from_extent(x=(-3e-3, 3e-3), z=(10e-3, 18e-3), spacing=(2e-4, 6e-5))
VESSEL = np.broadcast_to(np.abs(GRID.z - 14e-3) < 3e-3, GRID.shape).copy()
INSIDE = np.abs(GRID.z - 14e-3) < 2.7e-3
T = np.arange(10) / RATE


def wrapped(velocity, limit=LIMIT):
    return (velocity + limit) % (2 * limit) - limit


def parabola(z):
    return np.clip(1 - ((z - 14e-3) / 3e-3) ** 2, 0, None)


def parabolic(peak, times):
    """Blood that flows towards the probe with a parabolic profile, ``peak`` times Nyquist in the middle, 20 dB SNR."""
    frames = simulate_flow_images(
        GRID,
        lambda x, z: (0.3 * parabola(z), -peak * LIMIT * parabola(z)),
        times,
        F,
        region=lambda x, z: np.abs(z - 14e-3) < 3e-3,
    )
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((2, *frames.shape)) * 0.1 / np.sqrt(2)
    return (frames + noise[0] + 1j * noise[1]).astype("c8")


def errors(velocity, peak):
    """Error inside the vessel in units of the Nyquist velocity."""
    return ((velocity - peak * LIMIT * parabola(GRID.z)) / LIMIT)[:, INSIDE]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(2, 3), (3, 4), (4, 5), (3, 5), (5, 7)]), st.floats(-0.97, 0.97), st.integers(0, 2**32 - 1))
def test_two_rates_reach_their_least_common_multiple(ratio, fraction, seed):
    n, m = ratio
    n1, n2 = 0.3 * n, 0.3 * m  # n1 : n2 = n : m
    reach = m * n1
    truth = np.full((3, 4), fraction * reach)
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, 3, 4)) * 0.3  # of what separates two guesses, 2 * 0.3
    first, second = wrapped(truth + noise[0], n1), wrapped(truth + noise[1], n2)
    found = sonoray.dual_rate_velocity(first, second, n1, n2)
    if abs(fraction * reach) < reach - 0.3 * 0.3:
        np.testing.assert_allclose(found, truth, atol=0.3 * 0.3)


def test_of_two_rates_the_accurate_one_counts_more():
    found = sonoray.dual_rate_velocity(np.array([0.1]), np.array([0.2]), 1.0, 2.0)
    np.testing.assert_allclose(found, (0.1 * 4 + 0.2 * 1) / 5, rtol=1e-6)


@pytest.mark.parametrize("peak", [0.7, 1.7])
def test_staggered_frames_reach_twice_as_far(peak):
    waits = np.resize([1 / RATE, 1.5 / RATE], len(T) - 1)
    frames = parabolic(peak, np.r_[0, np.cumsum(waits)])
    error = errors(sonoray.staggered_velocity(frames, F, (1 / RATE, 1.5 / RATE), average=(3, 7)), peak)
    assert np.sqrt(np.mean(error**2)) < 0.1
    filtered = sonoray.staggered_velocity(
        frames + 30 * frames[:1], F, (1 / RATE, 1.5 / RATE), average=(3, 7), wall_filter=0
    )
    middle = slice(40, 93)  # where flow is fast enough for the filter
    assert np.abs(np.median(errors(filtered, peak)[:, middle])) < 0.15


@pytest.mark.parametrize("peak", [0.7, 1.7, 2.4])
def test_displacements_resolve_what_the_phase_leaves_open(peak):
    velocity = sonoray.displacement_velocity(
        parabolic(peak, T), F, RATE, GRID.spacing[1], average=(3, 7), check=(7, 13)
    )
    assert np.sqrt(np.mean(errors(velocity, peak) ** 2)) < 0.16
    plain = errors(sonoray.doppler_velocity(parabolic(peak, T), F, RATE, average=(3, 7)), peak)
    assert (np.sqrt(np.mean(plain**2)) > 1) == (peak > 1)


def test_displacements_along_another_axis_and_sign():
    frames = parabolic(1.7, T)
    turned = sonoray.displacement_velocity(np.moveaxis(frames, 1, 2), F, RATE, GRID.spacing[1], axis=0, check=(13, 7))
    straight = sonoray.displacement_velocity(frames, F, RATE, GRID.spacing[1], check=(7, 13))
    np.testing.assert_allclose(turned.T, straight, atol=1e-5)
    away = sonoray.displacement_velocity(frames[::-1], F, RATE, GRID.spacing[1], check=(7, 13))
    assert np.median(np.abs(away + straight)) < 0.05 * LIMIT


@pytest.mark.parametrize("peak", [0.7, 1.7, 2.4, 3.0])
def test_unwrapping_a_vessel_from_its_slow_border(peak):
    velocity = sonoray.doppler_velocity(parabolic(peak, T), F, RATE, average=(3, 7))
    found = sonoray.unwrap_velocity(velocity, LIMIT, visible=VESSEL)
    assert np.sqrt(np.mean(errors(found, peak) ** 2)) < 0.2
    np.testing.assert_array_equal(found[~VESSEL], velocity[~VESSEL])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_unwrapping_undoes_wrapping_of_what_is_smooth(dimensions, seed):
    rng = np.random.default_rng(seed)
    shape = (17, 12, 9)[:dimensions]
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    # at most 0.2 from point to point, 0.5 is what wraps
    smooth = sum((rng.uniform(-1, 1) * a + rng.uniform(-0.5, 0.5) * a**2) * 0.05 * len(a) for a in axes)
    found = sonoray.unwrap_velocity(wrapped(smooth, 0.5), 0.5) - smooth
    assert np.ptp(found) < 1e-6
    np.testing.assert_allclose(found.flat[0] % 1.0 % (1 - 1e-6), 0, atol=1e-5)


def test_regions_are_unwrapped_apart():
    """Two vessels, one beyond Nyquist; each begins slowly at its border."""
    z = np.linspace(-1, 1, 41)
    profile = np.r_[0, 0, 1.6 * (1 - z**2), 0, 0, 0, -0.8 * (1 - z**2), 0]
    truth = np.tile(profile, (5, 1))  # the image ends across both
    visible = truth != 0
    found = sonoray.unwrap_velocity(wrapped(truth, 1.0), 1.0, visible=visible)
    np.testing.assert_allclose(found[visible], truth[visible], atol=1e-6)
    assert sonoray.unwrap_velocity(truth * 0.1, 1.0, visible=~visible & False).shape == truth.shape


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda v, q: sonoray.dual_rate_velocity(v, v[:2], 1.0, 0.75), "second.*shape"),
        (lambda v, q: sonoray.dual_rate_velocity(v + 2, v, 1.0, 0.75), "first.*Nyquist"),
        (lambda v, q: sonoray.dual_rate_velocity(v * np.nan, v, 1.0, 0.75), "first.*finite"),
        (lambda v, q: sonoray.dual_rate_velocity(v, v, 1.0, 1.0), "second_nyquist.*ratio"),
        (lambda v, q: sonoray.dual_rate_velocity(v, v, 1.0, 0.75, limit=9.0), "limit.*ambiguous"),
        (lambda v, q: sonoray.staggered_velocity(q, F, (1e-4,)), "intervals"),
        (lambda v, q: sonoray.staggered_velocity(q, F, (0.2, 1e4)), "intervals.*s"),
        (lambda v, q: sonoray.staggered_velocity(q[:2], F, (1e-4, 2e-4)), "three frames"),
        (lambda v, q: sonoray.displacement_velocity(q, F, RATE, 2e-4), "spacing.*quarter"),
        (lambda v, q: sonoray.displacement_velocity(q, F, RATE, 5e-6), "factor.*points of depth"),
        (lambda v, q: sonoray.displacement_velocity(q, F, RATE, 6e-5, axis=2), "axis"),
        (lambda v, q: sonoray.displacement_velocity(q, F, RATE, 6e-5, factor=1), "factor"),
        (lambda v, q: sonoray.unwrap_velocity(v, 0.0), "nyquist"),
        (lambda v, q: sonoray.unwrap_velocity(v, 1.0, visible=v), "visible.*bool"),
        (lambda v, q: sonoray.unwrap_velocity(v.astype(int), 1.0), "velocity.*real"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(np.full((4, 30), 0.1), np.ones((6, 4, 30), "c8"))
