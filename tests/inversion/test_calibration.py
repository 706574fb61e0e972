"""The lag of a picker over distance, the water's speed, and which water trace belongs to which pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.calibration import PickBias, fit_pick_bias
from sonoray.inversion.picks import Picks, PickStatus
from sonoray.inversion.travel_times import pick_travel_times
from sonoray.inversion.water_speed import measure_water_speed
from tests.inversion.conftest import SPEED, Recorder

DISTANCE = np.linspace(0.05, 0.22, 80)[None]


def picks_at(lag):
    time = DISTANCE / SPEED + lag
    return Picks(time, np.ones(time.shape, "f4"), np.zeros(time.shape, "u1"), "aic")


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e-6, 1e-6), min_size=3, max_size=3), st.integers(0, 10_000), st.floats(0, 0.25), st.booleans()
)
def test_a_smooth_lag_is_fitted_in_spite_of_wrong_picks(coefficients, seed, share, one_sided):
    rng = np.random.default_rng(seed)
    u = (DISTANCE - 0.135) / 0.085
    lag = np.polynomial.polynomial.polyval(u, coefficients)
    wrong = rng.random(lag.shape) < share
    size = rng.uniform(1e-6, 8e-6, lag.shape)
    side = 1 if one_sided else rng.choice([-1, 1], lag.shape)
    given_lag = lag + 1e-8 * rng.standard_normal(lag.shape) + wrong * size * side
    bias = fit_pick_bias(picks_at(given_lag), DISTANCE, SPEED)
    # 60 good picks and three coefficients: 10 ns / sqrt(20), at the ends three times that.
    np.testing.assert_allclose(bias(DISTANCE), lag, atol=2.5e-8)
    np.testing.assert_allclose(bias.times(DISTANCE, SPEED), DISTANCE / SPEED + lag, atol=2.5e-8)


def test_a_lag_does_not_run_away_beyond_its_distances():
    bias = fit_pick_bias(picks_at(3e-7 * DISTANCE**2 / 0.01), DISTANCE, SPEED)
    assert bias(0.5) == bias(0.22)
    assert bias(0.001) == bias(0.05)


def test_few_picks_have_few_coefficients():
    status = np.full(DISTANCE.shape, PickStatus.DEAD, np.uint8)
    status[0, :5] = PickStatus.PICKED
    time = np.where(status == 0, DISTANCE / SPEED + 1e-7, np.nan)
    few = Picks(time, (status == 0).astype("f4"), status, "aic")
    bias = fit_pick_bias(few, DISTANCE, SPEED)
    assert len(bias.coefficients) == 1
    assert bias(0.1) == pytest.approx(1e-7, abs=1e-12)
    with pytest.raises(ArgumentError, match="^picks"):
        fit_pick_bias(few, DISTANCE, SPEED, pairs=np.zeros(DISTANCE.shape, bool))
    with pytest.raises(ArgumentError, match="^distance"):
        fit_pick_bias(few, DISTANCE * 1e3, SPEED)


def test_a_constant_lag():
    bias = PickBias.constant(2e-7)
    np.testing.assert_array_equal(bias(np.array([0.0, 0.1, 5.0])), 2e-7)
    with pytest.raises(ArgumentError, match="^lag"):
        PickBias.constant(2.0)


@pytest.mark.parametrize("speed", [1460.0, 1487.3, 1530.0])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_speed_of_the_water(recorder, speed, noise):
    """23 picks with some 10 ns of noise over 70 mm: a few parts in 1e4 of the slowness are left."""
    water = recorder(recorder.distance[[0]] / speed + 0.4e-6, noise=noise, tx=[0])
    assert abs(measure_water_speed(water, pulse_duration=1.5e-6) - speed) < (0.2 if noise == 0 else 0.6)


def test_speed_of_the_water_that_cannot_be(recorder):
    with pytest.raises(ArgumentError, match="sound_speed|water"):
        measure_water_speed(recorder(recorder.distance[[0]] / 1700.0, tx=[0]))
    silent = recorder(recorder.distance[[0]] / SPEED, tx=[0]).with_(samples=np.zeros((1, 1, 24, 900), "f4"))
    with pytest.raises(ArgumentError, match="^water"):
        measure_water_speed(silent)


@pytest.mark.parametrize("method", ["onset_match", "aic"])
def test_water_shots_in_another_order(method):
    """Each pair is compared with its own, also where a trace through water is dead."""
    recorder = Recorder(24)
    rng = np.random.default_rng(6)
    own = rng.uniform(-2e-7, 2e-7, recorder.distance.shape)
    own = np.round(own * 1e7) * 1e-7  # whole samples, which move a picker's lag as well
    data = recorder((recorder.distance / SPEED + own + 3e-7)[[5, 17, 2]], tx=[5, 17, 2])
    backwards = list(range(24))[::-1]
    water = recorder((recorder.distance / SPEED + own)[backwards], tx=backwards)
    samples = water.samples.copy()
    samples[0, backwards.index(17), 5] = 0
    picks = pick_travel_times(
        data,
        water.with_(samples=samples),
        method=method,
        pairs=recorder.opposite[[5, 17, 2]],
        spread=80.0,
        pulse_duration=1.5e-6,
        outliers=False,
    )
    error = (picks.time - recorder.distance[[5, 17, 2]] / SPEED - 3e-7)[picks.picked]
    assert np.abs(error).max() < (1e-9 if method == "onset_match" else 2e-8)
    assert picks.status[1, 5] == PickStatus.NO_ARRIVAL
    assert picks.picked.sum() == recorder.opposite[[5, 17, 2]].sum() - 1


def test_speed_of_simulated_water(real_data):
    water = sonoray.read(real_data("ring-simulated/vsx_like_64.mat"), dataset="water", scale=True)
    noise = np.abs(water.samples[0, 0, 32]).max() * np.float32(1e-2)
    noisy = water.samples + noise * np.random.default_rng(1).standard_normal(water.samples.shape, "f4")
    assert abs(measure_water_speed(water, sound_speed=1500.0) - 1480.0) < 0.15
    assert abs(measure_water_speed(water.with_(samples=noisy), sound_speed=1500.0) - 1480.0) < 0.4
