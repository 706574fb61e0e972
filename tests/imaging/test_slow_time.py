"""The compiled pass over ensembles against its plain twin in double precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray._backends import host_module
from sonoray.imaging.slow_time import (
    SlowTimeFilter,
    filtered_frames,
    phase,
    slow_time_moments,
    subspace_kept,
    subspace_removed,
)


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype("c8")


def filtered_twin(frames, f):
    x = frames.astype("c16").reshape(len(frames), -1)
    if f.analysis is None:
        return x
    y = f.analysis.astype("c16") @ x
    if f.synthesis is not None:
        y = f.synthesis.astype("c16") @ y
    return x - y if f.residual else y


def moments_twin(y, lags):
    lagged = [(y[lag:] * y[:-lag].conj()).mean(axis=0) for lag in lags]
    square = np.abs(y) ** 2
    return lagged, square.mean(axis=0), (square[1:] + square[:-1]).mean(axis=0) / 2


def basis(n, r, kind, seed=1):
    values = noise((n, r), seed)
    return np.linalg.qr(values if kind == "c8" else values.real)[0].astype(kind)


def filters(n):
    rng = np.random.default_rng(2)
    return {
        "none": SlowTimeFilter(),
        "fewer frames": SlowTimeFilter(rng.standard_normal((n - 2, n)).astype("f4")),
        "complex": SlowTimeFilter(noise((n, n), 3)),
        "removed": subspace_removed(basis(n, 2, "f4")),
        "removed complex": subspace_removed(basis(n, min(3, n - 1), "c8")),
        "kept complex": subspace_kept(basis(n, min(5, n), "c8")),
    }


@pytest.mark.parametrize("name", filters(5))
@pytest.mark.parametrize(("n", "points"), [(5, 1), (5, 64), (12, 131), (33, 700)])
def test_moments_are_those_of_the_twin(name, n, points):
    """Frames in fours and the rest, tiles of 64 pixels and the rest; rounding of float32 sums over n."""
    frames, f = noise((n, points)), filters(n)[name]
    y = filtered_twin(frames, f)
    lags = (1, 2) if len(y) > 3 else (1,)
    lagged, power, pairs = moments_twin(y, lags)
    found = slow_time_moments(frames, f, lags, pair_power=True)
    scale = power.max()
    np.testing.assert_allclose(found.lagged, lagged, atol=3e-6 * scale)
    np.testing.assert_allclose(found.power, power, atol=3e-6 * scale)
    np.testing.assert_allclose(found.pair_power, pairs, atol=3e-6 * scale)
    np.testing.assert_allclose(filtered_frames(frames, f), y, atol=3e-6 * np.abs(y).max())


def test_every_processor_level_finds_the_same():
    module, frames = host_module(), noise((9, 150))
    f = subspace_removed(basis(9, 2, "c8"))
    found = []
    try:
        for level in (0, 1, 2):
            module.set_cpu_level(level)
            found.append(slow_time_moments(frames, f, (1,)))
    finally:
        module.set_cpu_level(2)
    for other in found[1:]:
        np.testing.assert_allclose(other.lagged, found[0].lagged, atol=1e-5)


@settings(max_examples=60)
@given(st.complex_numbers(max_magnitude=1e6, allow_nan=False, allow_infinity=False))
def test_phase_is_the_argument(value):
    """Within a few roundings of float32, on both sides of the cut."""
    value = np.complex64(value)
    expected = np.angle(value)
    found = float(phase(np.array([value]), 1.0)[0])
    if value == 0 or (value.imag == 0 and value.real < 0):  # -0j: the cut is closed from above here
        expected = abs(expected) if value != 0 else 0.0
    assert found == pytest.approx(expected, abs=6e-7)


def test_averages_are_those_of_a_box_filter():
    frames = noise((6, 9, 11))
    found = slow_time_moments(frames, SlowTimeFilter(), (1,), average=(3, 1))
    plain = slow_time_moments(frames, SlowTimeFilter(), (1,)).lagged[0]
    np.testing.assert_allclose(found.lagged[0, 4, 5], plain[3:6, 5].mean(), rtol=1e-5)


def test_one_call_gives_what_three_give():
    frames = noise((10, 8, 9))
    options = {"wall_filter": sonoray.IirFilter(0.2), "average": 3}
    image = sonoray.doppler_image(frames, 5e6, 4e3, **options)
    np.testing.assert_allclose(image.velocity, sonoray.doppler_velocity(frames, 5e6, 4e3, **options), rtol=1e-6)
    np.testing.assert_allclose(image.power, sonoray.doppler_power(frames, **options), rtol=1e-6)
    np.testing.assert_allclose(image.variance, sonoray.doppler_variance(frames, **options), atol=1e-6)


@pytest.mark.parametrize("wall_filter", [None, 1, sonoray.IirFilter(0.2), sonoray.SvdFilter(1)], ids=str)
def test_what_is_not_finite_is_refused_wherever_it_is(wall_filter):
    for frame in (0, 5, 9):
        frames = noise((10, 70))
        frames[frame, 66] = np.nan
        with pytest.raises(ArgumentError, match="iq: expected finite"):
            sonoray.doppler_velocity(frames, 5e6, 4e3, wall_filter=wall_filter)


def test_the_core_refuses_what_does_not_fit():
    module, frames = host_module(), noise((4, 5))

    def call(analysis=None, synthesis=None, residual=False, lags=(), lagged=None, power=None, filtered=None):
        module.doppler_moments(frames, analysis, synthesis, residual, list(lags), lagged, power, None, filtered, 1, 0)

    square = np.zeros((4, 4), "f4")
    for text, wrong in {
        "analysis: expected shape": {"analysis": np.zeros((2, 5), "f4")},
        "an analysis, too": {"synthesis": square},
        "synthesis: expected shape": {"analysis": square, "synthesis": np.zeros((4, 3), "f4")},
        "residual": {"analysis": square, "residual": True},
        "lags: expected 1 to 3": {"lags": (4,), "lagged": np.zeros((1, 5), "c8")},
        "lagged: expected one row": {"lags": (1,)},
        "power: expected 5 points": {"power": np.zeros(4, "f4")},
        "filtered: expected 4 frames": {"filtered": np.zeros((3, 5), "c8")},
    }.items():
        with pytest.raises(ArgumentError, match=text):
            call(**wrong)


@pytest.mark.gpu
def test_a_device_finds_what_the_host_finds():
    if len(sonoray.devices()) < 2:
        pytest.skip("no CUDA device")
    frames = noise((12, 500))
    for f in filters(12).values():
        host = slow_time_moments(frames, f, (1, 3), pair_power=True)
        device = slow_time_moments(sonoray.to_device(frames), f, (1, 3), pair_power=True)
        for a, b in zip(host, device, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-5 * np.abs(host.power).max())


def test_phases_of_a_filter_alone_are_refused():
    """Two frames without their mean are opposites: every velocity would be the Nyquist velocity."""
    rng = np.random.default_rng(3)
    frames = (rng.standard_normal((2, 5, 4)) + 1j * rng.standard_normal((2, 5, 4))).astype("c8")
    for wall_filter in (0, sonoray.SvdFilter(1)):
        with pytest.raises(ArgumentError, match="leaves two of the 2 dimensions"):
            sonoray.doppler_velocity(frames, 5e6, 1e3, wall_filter=wall_filter)
    assert sonoray.doppler_power(frames, wall_filter=0).shape == (5, 4)  # power has no phase
    image = sonoray.doppler_image(frames, 5e6, 1e3, wall_filter=0, power_only=True)
    np.testing.assert_allclose(image.power, sonoray.doppler_power(frames, wall_filter=0))
    assert (image.velocity == 0).all() and (image.variance == 1).all() and (image.power > 0).all()


@pytest.mark.parametrize(("n", "wall_filter"), [(3, sonoray.SvdFilter(1, 1)), (4, sonoray.SvdFilter(1, 2))])
def test_phases_of_a_subspace_of_one_dimension_are_refused(n, wall_filter):
    """Every point then is a multiple of one vector in time: one velocity over the whole image."""
    rng = np.random.default_rng(4)
    frames = (rng.standard_normal((n, 5, 4)) + 1j * rng.standard_normal((n, 5, 4))).astype("c8")
    with pytest.raises(ArgumentError, match=f"leaves two of the {n} dimensions.*leaves 1"):
        sonoray.doppler_velocity(frames, 5e6, 1e3, wall_filter=wall_filter)
    assert (sonoray.doppler_power(frames, wall_filter=wall_filter) > 0).all()


def test_an_ensemble_of_which_the_data_leave_one_dimension_has_no_velocity_and_ends_nothing():
    """Four frames: tissue of two slow components far above blood at half of Nyquist; one of two is left as noise."""
    rng = np.random.default_rng(6)
    slow = np.exp(1j * np.pi * np.outer(np.arange(4), [0.03, -0.03]))
    parts = rng.standard_normal((3, 200))
    blood = np.exp(1j * np.pi * 0.5 * np.arange(4))[:, None] * parts[2]
    frames = (1e4 * slow @ parts[:2] + blood).astype("c8").reshape(4, 20, 10)
    learned = sonoray.SvdFilter(noise=1)
    assert learned.components(frames) == (2, 3)
    image = sonoray.doppler_image(frames, 5e6, 1e3, wall_filter=learned)
    assert (image.velocity == 0).all() and (image.variance == 1).all() and image.power.max() > 0
