"""Pickers: the compiled ones agree with a slow twin and find known onsets; what cannot be picked says so."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.picking import METHODS, pick_first_arrivals, pulse_onset
from sonoray.inversion.picks import Picks, PickStatus
from tests.inversion.conftest import RATE, SPEED, Recorder, pulse
from tests.reference import picking as reference

DURATION = 1.5e-6
WATER = {"spread": 80.0, "pulse_duration": DURATION}


def picks_of(data, recorder, device="cpu", **options):
    return pick_first_arrivals(data, pairs=recorder.opposite, device=device, **{**WATER, **options})


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
def test_aic_equals_its_slow_twin(recorder, noise, threshold, device):
    data = recorder(recorder.distance / 1490.0, noise=noise, seed=3)
    picks = picks_of(data, recorder, device, threshold=threshold, minimum_contrast=0.0)
    checked = 0
    for e, r in np.argwhere(picks.picked)[::7]:
        first, last = ((recorder.distance[e, r] / (SPEED + s) - recorder.start_time) * RATE for s in (80.0, -80.0))
        want = reference.aic(
            data.samples[0, e, r], first, last, threshold=threshold, duration=DURATION * RATE, taper=0.25, silence=1e-3
        )
        # Both work in double precision; where two splits are equally good, a rounding error weighs 1e-12.
        assert abs(picks.time[e, r] - recorder.start_time - want / RATE) < 1e-6 / RATE
        checked += 1
    assert checked > 20


def test_aic_of_integers_equals_its_slow_twin(recorder):
    data = recorder(recorder.distance / SPEED, noise=0.02, dtype=np.int16, scale=500.0)
    picks = picks_of(data, recorder)
    e, r = np.argwhere(picks.picked)[5]
    first, last = ((recorder.distance[e, r] / (SPEED + s) - recorder.start_time) * RATE for s in (80.0, -80.0))
    options = {"threshold": 0.25, "duration": DURATION * RATE, "taper": 0.25, "silence": 1e-3, "step": 1.0}
    want = reference.aic(data.samples[0, e, r], first, last, **options)
    assert abs(picks.time[e, r] - recorder.start_time - want / RATE) < 1e-6 / RATE


# Lag behind the onset of a pulse that rises smoothly (it reaches a quarter of its peak after 0.25 us), and the standard
# deviation that noise of 1 % adds; a sample is 0.1 us. The energy ratio moves towards the first strong swing.
@pytest.mark.parametrize(
    ("method", "lag", "scatter"),
    [("aic", 1e-7, 8e-8), ("energy_ratio", 3e-7, 1e-7), ("sta_lta", 1e-7, 5e-8), ("threshold", 4e-7, 2e-8)],
)
def test_onsets_are_found(recorder, method, lag, scatter):
    rng = np.random.default_rng(8)
    times = recorder.distance / rng.uniform(1460, 1540, recorder.distance.shape)
    picks = picks_of(recorder(times, noise=0.01), recorder, method=method)
    error = (picks.time - times)[picks.picked]
    assert picks.picked.sum() >= 0.99 * recorder.opposite.sum()
    assert abs(np.median(error)) < lag
    assert error.std() < scatter


@settings(max_examples=10)
@given(method=st.sampled_from(METHODS), begin=st.floats(-3e-5, 3e-3))
def test_time_axis_may_begin_anywhere(method, begin):
    recorder = Recorder(10)
    data = recorder(recorder.distance / SPEED, noise=0.02)
    later = data.with_(start_time=data.start_time + begin)
    a, b = picks_of(data, recorder, method=method), picks_of(later, recorder, method=method, onset=begin)
    np.testing.assert_array_equal(a.status, b.status)
    np.testing.assert_allclose((b.time - a.time)[a.picked], begin, atol=1e-12)


@settings(max_examples=10)
@given(method=st.sampled_from(METHODS), shift=st.integers(-40, 40))
def test_later_waves_have_later_picks(method, shift):
    recorder = Recorder(10, n_samples=1500)
    arrival = recorder.distance / SPEED + 30e-6
    plain = picks_of(recorder(arrival), recorder, method=method, onset=30e-6, taper=0.0)
    moved = arrival + shift / RATE
    after = picks_of(recorder(moved), recorder, method=method, onset=30e-6 + shift / RATE, taper=0.0)
    assert plain.picked.sum() == after.picked.sum() == recorder.opposite.sum()
    # The AIC weighs the lengths of the record before and after the pick, which the shift changes by some per cent.
    np.testing.assert_allclose((after.time - plain.time)[plain.picked], shift / RATE, atol=0.1 / RATE)


@settings(max_examples=12)
@given(method=st.sampled_from(METHODS), power=st.integers(-20, 20), sign=st.sampled_from([-1, 1]))
def test_gain_and_polarity_do_not_matter(method, power, sign):
    recorder = Recorder(10)
    data = recorder(recorder.distance / SPEED, noise=0.02)
    louder = data.with_(samples=data.samples * np.float32(sign * 2.0**power))
    a, b = (picks_of(d, recorder, method=method) for d in (data, louder))
    np.testing.assert_array_equal(a.status, b.status)
    np.testing.assert_allclose(a.time, b.time, rtol=0, atol=1e-12)


def test_strides_do_not_matter(recorder, device):
    data = recorder(recorder.distance / SPEED, noise=0.05)
    want = picks_of(data, recorder, device)
    fastest = np.ascontiguousarray(data.samples.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    every = np.repeat(data.samples, 2, axis=3)[..., ::2]
    for samples in (fastest, every):
        got = picks_of(data.with_(samples=samples), recorder, device)
        np.testing.assert_array_equal(got.time, want.time)


def test_parabola_stays_next_to_the_least_value(recorder):
    """A vertex lies within a sample of the least of three values; the weighted mean lies within its reach."""
    data = recorder(recorder.distance / 1490.0, noise=0.003, seed=5)
    weights, vertex = (picks_of(data, recorder, refinement=r) for r in ("akaike", "parabola"))
    np.testing.assert_array_equal(weights.status, vertex.status)
    e, r = np.argwhere(vertex.picked)[11]
    u, largest = reference.prepared(data.samples[0, e, r], 0.25)
    first, last = ((recorder.distance[e, r] / (SPEED + s) - recorder.start_time) * RATE for s in (80.0, -80.0))
    left, right = reference.search(u, first, last, 0.25, DURATION * RATE)
    values = [reference.criterion(u, i, (1e-3 * largest) ** 2) for i in range(left, right + 1)]
    k = int(np.argmin(values))
    before, least, after = values[k - 1 : k + 2]
    want = left + k + 0.5 * (before - after) / (before - 2 * least + after)
    assert abs(vertex.time[e, r] - recorder.start_time - want / RATE) < 1e-6 / RATE


def test_envelope_crosses_before_the_wave_does(recorder):
    data = recorder(recorder.distance / SPEED)
    wave, envelope = (picks_of(data, recorder, method="threshold", envelope=e) for e in (False, True))
    both = wave.picked & envelope.picked
    assert both.sum() == recorder.opposite.sum()
    assert (envelope.time[both] <= wave.time[both] + 1e-9).all()


def test_what_cannot_be_picked_has_a_status(recorder):
    data = recorder(recorder.distance / SPEED, noise=0.01)
    samples = data.samples.copy()
    e, r = np.argwhere(recorder.opposite)[[0, 40, 90, 130, 170]].T
    samples[0, e[0], r[0]] = 0
    samples[0, e[1], r[1]] = 7
    samples[0, e[2], r[2]] = np.random.default_rng(0).standard_normal(recorder.n_samples)
    peak = np.abs(samples[0, e[3], r[3]]).max()
    samples[0, e[3], r[3]] = np.clip(samples[0, e[3], r[3]], -0.3 * peak, 0.3 * peak)
    picks = picks_of(data.with_(samples=samples), recorder)
    assert picks.status[e[0], r[0]] == PickStatus.DEAD
    assert picks.status[e[1], r[1]] == PickStatus.DEAD
    assert picks.status[e[2], r[2]] in {PickStatus.NO_ARRIVAL, PickStatus.EDGE}
    assert picks.status[e[3], r[3]] == PickStatus.PICKED  # clipped
    whole = picks_of(data, recorder)
    assert abs(picks.time[e[3], r[3]] - whole.time[e[3], r[3]]) < 1 / RATE
    assert (np.isnan(picks.time) == ~picks.picked).all()
    assert (picks.quality[~picks.picked] == 0).all()
    assert sum(picks.counts().values()) == picks.time.size


def test_a_trace_that_is_not_finite_is_dead():
    """Channel data refuse NaN, so that only the compiled call can meet one."""
    from sonoray._backends import host_module

    samples = np.random.default_rng(2).standard_normal((1, 3, 64)).astype("f4")
    samples[0, 0, 5], samples[0, 1, 60] = np.nan, np.inf
    ends = np.zeros((1, 3)), np.full((1, 3), 63.0)
    at, quality, status = np.empty((1, 3)), np.empty((1, 3), "f4"), np.empty((1, 3), "u1")
    params = (0, False, False, 1e-3, 0.25, 0.25, 10.0, 4.0, 10.0, 0.5, 0.0)
    host_module().pick_arrivals(samples, *ends, *params, at, quality, status, 1, 0)
    assert status.tolist()[0][:2] == [PickStatus.DEAD] * 2
    assert np.isnan(at[0, :2]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", ["before", "after", "across the end", "across the beginning"])
def test_windows_outside_the_record(recorder, method, where):
    data = recorder(recorder.distance / SPEED, noise=0.01)
    begin, end = recorder.start_time, data.end_time
    first, last = {
        "before": (begin - 9e-6, begin - 1e-6),
        "after": (end + 1e-6, end + 9e-6),
        "across the end": (end - 2e-6, end + 3e-6),
        "across the beginning": (begin - 3e-6, begin + 2e-6),
    }[where]
    windows = np.full(recorder.distance.shape, first), np.full(recorder.distance.shape, last)
    picks = picks_of(data, recorder, method=method, windows=windows)
    if where in {"before", "after"}:
        assert (picks.status[recorder.opposite] == PickStatus.NO_ARRIVAL).all()
    found = picks.time[picks.picked]
    assert (found >= begin).all()
    assert (found <= end).all()


def test_quality_falls_with_noise(recorder):
    quality = [
        np.mean(picks_of(recorder(recorder.distance / SPEED, noise=n), recorder, minimum_contrast=0).quality)
        for n in (0.001, 0.05, 0.3)
    ]
    assert quality[0] > quality[1] > quality[2]


def test_onset_of_a_pulse():
    t = np.arange(400) / 50e6
    assert abs(pulse_onset(pulse(t - 2.0e-6), 50e6, pulse_duration=DURATION) - 2.0e-6) < 0.1e-6
    assert abs(pulse_onset(pulse(t), 50e6, pulse_duration=DURATION)) < 0.1e-6  # starts with the record
    moved = pulse_onset(pulse(t - 2.0e-6), 50e6, start_time=1e-3, pulse_duration=DURATION)
    assert abs(moved - 1.002e-3) < 0.1e-6
    with pytest.raises(ArgumentError, match="pulse"):
        pulse_onset(np.ones(100), 1e6)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"method": "guess"}, "method"),
        ({"sound_speed": 1.5}, "sound_speed"),
        ({"sound_speed": 1.5e6}, "sound_speed"),
        ({"spread": 1400.0}, "spread"),
        ({"onset": 12.0}, "onset"),
        ({"pulse_duration": 4.0}, "pulse_duration"),
        ({"threshold": 1.0}, "threshold"),
        ({"taper": 2.0}, "taper"),
        ({"pairs": np.ones((3, 3), bool)}, "pairs"),
        ({"pairs": np.ones((24, 24))}, "pairs"),
        ({"windows": (np.full((24, 24), 30.0), np.full((24, 24), 60.0))}, "first"),
        ({"windows": (np.full((24, 24), 2e-5), np.full((24, 24), 1e-5))}, "windows"),
        ({"frame": 1}, "frame"),
        ({"refinement": "spline"}, "refinement"),
        ({"minimum_contrast": -1.0}, "minimum_contrast"),
        ({"dynamic_range": 0.0}, "dynamic_range"),
    ],
)
def test_wrong_arguments_are_named(recorder, options, name):
    data = recorder(recorder.distance / SPEED)
    with pytest.raises(ArgumentError, match=f"^{name}"):
        pick_first_arrivals(data, **options)


def test_other_recordings_are_refused(recorder):
    data = recorder(recorder.distance / SPEED)
    with pytest.raises(ArgumentError, match="I/Q"):
        pick_first_arrivals(sonoray.demodulate(data, 1e6))
    with pytest.raises(ArgumentError, match="single elements"):
        pick_first_arrivals(data.with_(transmits=sonoray.plane_waves(np.zeros(24))))
    with pytest.raises(ArgumentError, match="channel_data"):
        pick_first_arrivals(data.samples)


def test_differences_and_checks_of_picks(recorder):
    a = picks_of(recorder(recorder.distance / 1480.0), recorder)
    b = picks_of(recorder(recorder.distance / SPEED), recorder)
    delay = a.difference(b)
    want = recorder.distance / 1480.0 - recorder.distance / SPEED
    both = a.picked & b.picked
    assert (np.isfinite(delay) == both).all()
    assert np.abs((delay - want)[both]).max() < 1.5 / RATE  # either is rounded to a sample
    np.testing.assert_array_equal(a.difference(b.time), delay)
    with pytest.raises(ArgumentError, match="water"):
        a.difference(dataclasses.replace(b, method="threshold"))
    with pytest.raises(ArgumentError, match="water"):
        a.difference(b.time * 1e6)
    with pytest.raises(ArgumentError, match="time"):
        Picks(a.time, a.quality, np.full_like(a.status, PickStatus.DEAD), "aic")
    with pytest.raises(ArgumentError, match="time"):
        Picks(a.time * 1e6, a.quality, a.status, "aic")
    with pytest.raises(ArgumentError, match="quality"):
        Picks(a.time, a.quality + 2, a.status, "aic")
    with pytest.raises(ValueError, match="read-only"):
        a.time[0, 0] = 1
