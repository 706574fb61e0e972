"""Matching with water shots: sub-sample delays, first arrivals before stronger later ones, wrong water shots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.matching import MATCHERS, match_first_arrivals
from sonoray.inversion.picks import PickStatus
from sonoray.inversion.templates import water_templates
from sonoray.inversion.travel_times import pick_travel_times
from tests.inversion.conftest import RATE, SPEED, Recorder, pulse

OPTIONS = {"spread": 80.0, "pulse_duration": 1.5e-6}


def water_of(recorder, tx=(0,), noise=0.0, lag=0.0, **options):
    return recorder(recorder.distance[list(tx)] / SPEED + lag, noise=noise, tx=tx, seed=99, **options)


def random_times(recorder, seed=8):
    return recorder.distance / np.random.default_rng(seed).uniform(1460, 1540, recorder.distance.shape)


@pytest.mark.parametrize("method", MATCHERS)
@pytest.mark.parametrize("lag", [0.0, 0.73e-6])
def test_delays_are_found_between_samples(recorder, method, lag, device):
    """Ten samples per period: what is left is the truncation of the pulse's spectrum and float32."""
    times = random_times(recorder)
    picks = match_first_arrivals(
        recorder(times + lag),
        water_of(recorder, lag=lag),
        method=method,
        pairs=recorder.opposite,
        device=device,
        **OPTIONS,
    )
    assert (picks.picked == recorder.opposite).all()
    assert np.abs((picks.time - times)[picks.picked]).max() < 5e-3 / RATE
    assert picks.quality[picks.picked].min() > 0.99


@settings(max_examples=10)
@given(method=st.sampled_from(MATCHERS), begin=st.floats(-2e-5, 1e-3), seed=st.integers(0, 99))
def test_time_axis_may_begin_anywhere(method, begin, seed):
    recorder = Recorder(10)
    data, water = recorder(random_times(recorder, seed), noise=0.02), water_of(recorder)
    a = match_first_arrivals(data, water, method=method, pairs=recorder.opposite, **OPTIONS)
    moved = [d.with_(start_time=d.start_time + begin) for d in (data, water)]
    b = match_first_arrivals(*moved, method=method, pairs=recorder.opposite, onset=begin, **OPTIONS)
    np.testing.assert_array_equal(a.status, b.status)
    # Templates are laid out from the onset, so interpolation differs.
    np.testing.assert_allclose(a.time[a.picked], b.time[a.picked], atol=2e-3 / RATE)


@pytest.mark.parametrize("method", MATCHERS)
def test_noise_adds_no_bias(recorder, method):
    """The Cramer-Rao bound for 1 MHz and 5 % noise is some 10 ns per pick; the mean of 360 has a twentieth of that."""
    times = random_times(recorder)
    picks = match_first_arrivals(
        recorder(times, noise=0.05), water_of(recorder), method=method, pairs=recorder.opposite, **OPTIONS
    )
    error = (picks.time - times)[picks.picked]
    assert picks.picked.sum() >= 0.99 * recorder.opposite.sum()
    assert error.std() < 2e-8
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(error.size) + 1e-9


def test_later_arrivals_disturb_the_onset_less(recorder):
    times = random_times(recorder)
    both = recorder(times).samples + 1.5 * recorder(times + 0.9e-6).samples
    data, water = recorder(times).with_(samples=both), water_of(recorder)
    error = {
        m: np.abs(match_first_arrivals(data, water, method=m, pairs=recorder.opposite, **OPTIONS).time - times)
        for m in MATCHERS
    }
    worst = {m: np.nanmax(e) for m, e in error.items()}
    assert worst["onset_match"] < 0.5e-7
    assert worst["cross_correlation"] > worst["onset_match"]


@settings(max_examples=8)
@given(power=st.integers(-12, 12), method=st.sampled_from(MATCHERS))
def test_gain_does_not_matter(power, method):
    recorder = Recorder(10)
    data, water = recorder(random_times(recorder), noise=0.05), water_of(recorder)
    louder = data.with_(samples=data.samples * np.float32(2.0**power))
    a, b = (match_first_arrivals(d, water, method=method, pairs=recorder.opposite, **OPTIONS) for d in (data, louder))
    np.testing.assert_allclose(a.time, b.time, rtol=0, atol=1e-12)


def test_integers_and_strides(recorder):
    times = random_times(recorder)
    water = water_of(recorder)
    counts = recorder(times, dtype=np.int16, scale=1000.0)
    strided = counts.with_(samples=np.ascontiguousarray(counts.samples.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0))
    a, b = (match_first_arrivals(d, water, pairs=recorder.opposite, **OPTIONS) for d in (counts, strided))
    assert np.abs((a.time - times)[a.picked]).max() < 0.02 / RATE  # counts up to 7000 are rounded to one
    np.testing.assert_array_equal(a.time, b.time)


def test_what_cannot_be_matched_has_a_status(recorder):
    data = recorder(random_times(recorder), noise=0.01)
    samples = data.samples.copy()
    e, r = np.argwhere(recorder.opposite)[[0, 40, 90, 120]].T
    samples[0, e[0], r[0]] = 3
    samples[0, e[1], r[1]] = np.random.default_rng(0).standard_normal(recorder.n_samples)
    samples[0, e[2], r[2], ::2] = 0  # every second sample lost
    picks = match_first_arrivals(
        data.with_(samples=samples), water_of(recorder), pairs=recorder.opposite, minimum_correlation=0.9, **OPTIONS
    )
    assert picks.status[e[0], r[0]] == PickStatus.DEAD
    assert picks.status[e[1], r[1]] in {PickStatus.NO_ARRIVAL, PickStatus.EDGE}
    assert picks.status[e[2], r[2]] == PickStatus.NO_ARRIVAL
    assert picks.status[e[3], r[3]] == PickStatus.PICKED
    outside = [np.full(recorder.distance.shape, t) for t in (1e-6, 5e-6)]
    late = match_first_arrivals(data, water_of(recorder), windows=tuple(outside), pairs=recorder.opposite, **OPTIONS)
    assert (late.status[recorder.opposite] == PickStatus.NO_ARRIVAL).all()


def test_templates_are_the_pulse(recorder):
    waves = water_templates(water_of(recorder, lag=0.4e-6), SPEED, 0.07, 0.1, length=1.5e-6)
    t = waves.begin + np.arange(waves.samples.shape[1]) / (16 * RATE)
    middle = (t > 0) & (t < 2.5e-6)
    want = pulse(t - 0.4e-6)[middle]
    # Scaled with the square root of distance, the amplitude is one.
    np.testing.assert_allclose(waves.samples[:, middle], np.broadcast_to(want, (8, want.size)), atol=0.01)
    assert abs(waves.onset - 0.4e-6) < 0.15e-6
    assert abs(waves.period - 1e-6) < 0.15e-6


def test_travel_times_of_a_full_water_set_remove_errors_of_position():
    """Elements off their places: pair by pair, water has the same errors, a function of distance has not."""
    recorder = Recorder(24)
    true = recorder.probe.positions + np.random.default_rng(4).normal(0, 2e-4, (24, 3)) * [1, 0, 1]
    real = np.linalg.norm(true[:, None] - true[None], axis=2)
    delay = np.where(recorder.opposite, 3e-7, 0.0)
    data, water = recorder(real / SPEED + delay), recorder(real / SPEED)
    wanted = recorder.distance / SPEED + delay
    for method in (*MATCHERS, "aic"):
        options = {"method": method, "pairs": recorder.opposite, **OPTIONS}
        by_pair = pick_travel_times(data, water, **options)
        by_distance = pick_travel_times(data, water, reference="distance", **options)
        error = [np.nanstd(np.where(p.picked, p.time - wanted, np.nan)) for p in (by_pair, by_distance)]
        assert error[0] < (1e-9 if method in MATCHERS else 6e-8)
        assert error[1] > 1e-7  # 0.2 mm twice, over 1500 m/s


@pytest.mark.parametrize("method", MATCHERS)
@pytest.mark.parametrize("onset", [0.0, 12.7e-6])
def test_without_water_the_object_is_its_own_template(recorder, method, onset):
    """Differences between pairs are as good as with water; what all have in common is the median lag of the AIC."""
    times = recorder.distance / (1480.0 + 200.0 * (recorder.distance - 0.06))
    data = recorder(times + onset, noise=0.02)
    picks = pick_travel_times(data, method=method, pairs=recorder.opposite, onset=onset, **OPTIONS)
    error = (picks.time - times)[picks.picked]
    assert picks.picked.sum() > 0.99 * recorder.opposite.sum()
    assert error.std() < 1.2e-8
    coarse = pick_travel_times(data, method="aic", pairs=recorder.opposite, onset=onset, **OPTIONS)
    assert abs(np.median(error)) < 1e-7
    assert error.std() < 0.3 * np.nanstd(np.where(coarse.picked, coarse.time - times, np.nan))


@pytest.mark.parametrize("method", ["aic", "energy_ratio", "sta_lta", "threshold"])
def test_lag_of_a_picker_is_taken_out(recorder, method):
    times = random_times(recorder)
    options = {"method": method, "pairs": recorder.opposite, "outliers": False, **OPTIONS}
    picks = pick_travel_times(recorder(times, noise=0.003), water_of(recorder, noise=0.003), **options)
    assert picks.picked.sum() > 0.97 * recorder.opposite.sum()
    assert abs(np.nanmedian(np.where(picks.picked, picks.time - times, np.nan))) < 0.5 / RATE
    raw = pick_travel_times(recorder(times, noise=0.003), **options)
    lag = np.nanmedian(np.where(raw.picked, raw.time - times, np.nan))
    assert abs(lag) < 4e-7


def test_wrong_water_is_named(recorder):
    data = recorder(recorder.distance / SPEED)
    water = water_of(recorder)
    cases = [
        (water.with_(samples=np.zeros_like(water.samples)), {}, "water"),
        (water_of(Recorder(12)), {}, "water"),
        (water.with_(sampling_frequency=2e7), {}, "water"),
        (water.samples, {}, "water"),
        (recorder(recorder.distance[[0]] / 1100.0, tx=[0]), {}, "water"),
        (None, {"method": "guess"}, "method"),
        (water, {"reference": "pair"}, "reference"),
        (water, {"reference": "colour"}, "reference"),
        (water, {"sound_speed": 1.5}, "sound_speed"),
        (water, {"onset_window": 1.0}, "onset_window"),
        (water, {"earliest": 2.0}, "earliest"),
        (water, {"minimum_correlation": 1.0}, "minimum_correlation"),
    ]
    for other, options, name in cases:
        with pytest.raises(ArgumentError, match=f"^{name}"):
            pick_travel_times(data, other, **options)


def test_simulated_ring(real_data):
    """Full-wave data with 40 dB of noise, pairs of the opposite arc, against straight rays through the truth."""
    import scipy.ndimage

    path = real_data("ring-simulated/vsx_like_64.mat")
    clean = sonoray.read(path, scale=True), sonoray.read(path, dataset="water", scale=True)
    with np.load(real_data("ring-simulated/truth_vsx_like.npz")) as maps:
        axis, slowness = np.ravel(maps["xi"]), 1 / maps["C"].astype(float)
    rng, noise = np.random.default_rng(2), np.abs(clean[1].samples[0, 0, 32]).max() * np.float32(1e-2)
    data, water = (d.with_(samples=d.samples + noise * rng.standard_normal(d.samples.shape, "f4")) for d in clean)
    p = data.probe.positions
    distance = np.linalg.norm(p[:, None] - p[None], axis=2)
    pairs = sonoray.pairs_by_distance(p, p, np.pi / 2 * 0.11)
    parts = (np.arange(600) + 0.5) / 600
    straight = np.zeros(pairs.shape)
    for e, r in np.argwhere(pairs):
        points = p[e] + parts[:, None] * (p[r] - p[e])
        at = (points[:, [2, 0]] - axis[0]) / (axis[1] - axis[0])
        straight[e, r] = distance[e, r] * scipy.ndimage.map_coordinates(slowness, at.T, order=1).mean()
    limits = {"onset_match": (1e-8, 6e-8), "cross_correlation": (5e-9, 6e-8), "aic": (2e-8, 1.1e-7)}
    for method, (bias, spread) in limits.items():
        picks = sonoray.pick_travel_times(data, water, method=method, pairs=pairs, spread=40.0)
        error = (picks.time - straight)[picks.picked]
        assert picks.picked.sum() > 0.98 * pairs.sum()
        assert abs(np.median(error)) < bias, method
        assert error.std() < spread, method
