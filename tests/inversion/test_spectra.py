"""Spectra of recordings against FFTs, closed forms and a trace-by-trace reference."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.inversion.spectra import ArrivalWindow, Spectra, inverse_filter, pulse_spectrum, spectra, usable_band
from tests.inversion.conftest import RATE, SPEED, pulse, ring_probe
from tests.reference import spectra as reference

BAND = np.array([0.3e6, 0.512e6, 0.9e6, 1.4e6])


def recording(samples, start_time=0.0, n=8, tx=None):
    """Channel data of a ring from samples (n_tx, n, n_samples)."""
    tx = range(n) if tx is None else tx
    transmits = [sonoray.Transmit.single(k) for k in tx]
    return sonoray.ChannelData(samples[None], ring_probe(n), transmits, RATE, start_time=start_time, sound_speed=SPEED)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(3).standard_normal((8, 8, 900), dtype=np.float32)


def off_diagonal(n):
    return ~np.eye(n, dtype=bool)


def test_fft_at_its_frequencies(noise):
    f = np.fft.rfftfreq(900, 1 / RATE)[5:400:13]
    found = spectra(recording(noise), f, window=None)
    want = np.conj(np.fft.rfft(noise.astype(np.float64)))[..., 5:400:13] / RATE  # NumPy's sign is the other one
    want = np.moveaxis(want, -1, 0) * off_diagonal(8)
    # 900 products in single precision with a random walk of their rounding.
    assert np.abs(found.values - want).max() < 3e-6 * np.abs(want).max()
    np.testing.assert_array_equal(found.pairs, off_diagonal(8))
    assert found.values.dtype == np.complex64


@pytest.mark.parametrize("kind", ["int16", "strided", "two frames"])
def test_samples_of_any_kind_and_layout(noise, kind):
    samples = np.round(1000 * noise)
    data = recording(samples)
    want = spectra(data, BAND).values
    if kind == "int16":
        data = recording(samples.astype(np.int16))
    elif kind == "strided":
        data = data.with_(samples=np.moveaxis(np.ascontiguousarray(np.moveaxis(samples[None], -1, 1)), 1, -1))
        assert not data.samples.flags.c_contiguous
    else:
        data = data.with_(samples=np.stack([np.zeros_like(samples), samples]))
    found = spectra(data, BAND, frame=int(kind == "two frames")).values
    np.testing.assert_allclose(found, want, atol=1e-6 * np.abs(want).max())


def test_start_times_and_delays_turn_the_phase(noise):
    """A delay T multiplies by exp(+i omega T), wherever it comes from."""
    quiet = np.zeros_like(noise)
    quiet[..., 300:500] = noise[..., 300:500] * np.hanning(200).astype("f4")
    still = spectra(recording(quiet), BAND, window=None).values
    start = 1e-6 * np.arange(8)
    moved = spectra(recording(quiet, start), BAND, window=None).values
    turn = np.exp(2j * np.pi * BAND[:, None, None] * start[:, None])
    np.testing.assert_allclose(moved, still * turn, atol=1e-6 * np.abs(still).max())
    later = spectra(recording(np.roll(quiet, 30, axis=-1)), BAND, window=None).values
    turn = np.exp(2j * np.pi * BAND[:, None, None] * 30 / RATE)
    np.testing.assert_allclose(later, still * turn, atol=3e-6 * np.abs(still).max())


def test_a_gaussian_has_a_gaussian_spectrum():
    sigma, center, f0 = 1.1e-6, 31.37e-6, 0.6e6
    t = np.arange(900) / RATE
    trace = np.exp(-0.5 * ((t - center) / sigma) ** 2) * np.cos(2 * np.pi * f0 * (t - center))
    samples = np.broadcast_to(trace.astype("f4"), (1, 8, 900))
    found = spectra(recording(samples, tx=[0]), BAND, window=None).values[:, 0, 4]
    lobes = sum(np.exp(-0.5 * (2 * np.pi * sigma * (BAND + s * f0)) ** 2) for s in (-1, 1))
    want = 0.5 * np.sqrt(2 * np.pi) * sigma * lobes * np.exp(2j * np.pi * BAND * center)
    np.testing.assert_allclose(found, want, atol=2e-6 * np.abs(want).max())


@pytest.mark.parametrize(
    "shape", [{}, {"offset": -20.0, "pre": 2e-6}, {"hold": 5e-6, "post": 3e-6}, {"pre": 3e-7, "post": 2e-7}]
)
@pytest.mark.parametrize("many", [False, True])
def test_windows_against_the_reference(noise, shape, many):
    window = ArrivalWindow(**shape)
    start = 3e-6 + 0.77e-7 * np.arange(8)
    pairs = off_diagonal(8) & (np.random.default_rng(0).random((8, 8)) < (0.9 if many else 0.2))
    found = spectra(recording(noise, start), BAND, window=window, sound_speed=1480.0, onset=0.5e-6, pairs=pairs)
    p = ring_probe(8).positions
    tau = np.linalg.norm(p[:, None] - p[None], axis=2) / (1480.0 + window.offset)
    pre = 0.05 * tau.max() if window.pre is None else window.pre
    np.testing.assert_array_equal(found.pairs, pairs)
    for e, r in np.argwhere(pairs):
        t = start[e] + np.arange(900) / RATE
        w = [reference.window(at, tau[e, r] + 0.5e-6, pre, window.hold, window.post) for at in t]
        want = [reference.spectrum(noise[e, r], start[e], 1 / RATE, f, w) for f in BAND]
        scale = np.sqrt(np.sum(np.square(w))) / RATE + 1e-7 / RATE
        np.testing.assert_allclose(found.values[:, e, r], want, atol=2e-5 * scale)
    assert not found.values[:, ~pairs].any()


def test_a_window_says_where_it_is_open():
    window = ArrivalWindow(hold=2e-6, post=1e-6, pre=3e-6)
    t = np.array([37e-6, 40e-6, 41e-6, 42e-6, 44e-6])
    np.testing.assert_allclose(window(t, [40e-6], 1e-4)[0], np.exp([-0.5, 0, 0, 0, -2.0]), rtol=1e-4)
    assert window.arrival(0.156, 1500.0) == pytest.approx(1e-4)
    assert ArrivalWindow().width(1e-4) == pytest.approx(5e-6)  # published: 5 % of the longest


def test_windows_do_not_depend_on_the_chosen_pairs(noise):
    everything = spectra(recording(noise), BAND)
    some = np.zeros((8, 8), bool)
    some[2, 3] = some[7, 1] = True
    few = spectra(recording(noise), BAND, pairs=some)
    np.testing.assert_allclose(few.values[:, some], everything.values[:, some], rtol=2e-5)


def test_dead_traces_are_no_pairs(noise):
    samples = noise.copy()
    samples[3] = 0  # a transmit that never fired
    samples[:, 5] = 7.25  # a channel that is stuck
    samples[1, 2, 1:] = samples[1, 2, 0]
    samples[1, 4] = samples[1, 4, 0]
    samples[1, 4, 449] += 1  # alive in one sample only
    found = spectra(recording(samples), BAND, window=None)
    want = off_diagonal(8)
    want[3] = want[:, 5] = want[1, 2] = False
    np.testing.assert_array_equal(found.pairs, want)
    assert not found.values[:, ~want].any()
    assert np.abs(found.values[:, want]).min() > 0
    with pytest.raises(ArgumentError, match="^pairs"):
        spectra(recording(samples), BAND, pairs=~off_diagonal(8))


def test_records_that_end_before_the_wave_are_no_pairs(noise):
    found = spectra(recording(noise[..., :400]), BAND)  # 39.9 us: 59.85 mm
    p = ring_probe(8).positions
    distance = np.linalg.norm(p[:, None] - p[None], axis=2)
    np.testing.assert_array_equal(found.pairs, (distance > 0) & (distance < 0.05985))


@pytest.mark.parametrize("each", [False, True])
def test_deconvolution_leaves_the_delay(recorder, each):
    """The pulse's spectrum cancels: what is left of amplitude A and delay T is A exp(i omega T)."""
    times = recorder.distance / SPEED
    f = np.array([0.6e6, 0.8e6, 1.0e6])
    wave = pulse(np.arange(40) / RATE)
    pulses = wave * (1 + np.arange(24))[:, None] if each else wave
    data = recorder(times)
    if each:
        data = data.with_(samples=data.samples * (1 + np.arange(24, dtype="f4"))[:, None, None])
    found = spectra(data, f, pulse=pulses, regularization=1e-4)
    want = recorder.amplitude * np.exp(2j * np.pi * f[:, None, None] * times)
    keep = recorder.opposite
    # The pulse is continuous to second order, so that its samples alias by about 1e-3.
    assert np.abs(found.values / want - 1)[:, keep].max() < 3e-3


@settings(max_examples=30)
@given(st.floats(0, 0.5), st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_inverse_filters_never_amplify_more_than_half_of_one_over_lambda(level, seed, scale):
    rng = np.random.default_rng(seed)
    s = scale * (rng.standard_normal(20) + 1j * rng.standard_normal(20))
    s[3] = 0
    largest = np.abs(s).max()
    inverse = inverse_filter(s, level, largest)
    assert np.isfinite(inverse).all()
    assert inverse[3] == 0
    want = np.abs(s) ** 2 / (np.abs(s) ** 2 + (level * largest) ** 2 + (s == 0))
    np.testing.assert_allclose(inverse * s, want, atol=1e-12)
    if level:
        assert np.abs(inverse).max() <= 0.5 / (level * largest) * (1 + 1e-9)


def test_deconvolution_does_not_depend_on_the_other_frequencies(recorder):
    data, wave = recorder(recorder.distance / SPEED), pulse(np.arange(40) / RATE)
    all_, one = (spectra(data, f, pulse=wave).values for f in ([0.5e6, 1e6, 1.8e6], [1.8e6]))
    np.testing.assert_allclose(all_[2], one[0], rtol=1e-5, atol=1e-6 * np.abs(one).max())


def test_band_filter_is_that_of_the_signals(noise):
    data = recording(noise)
    found = spectra(data, BAND, band=(0.4e6, 1.2e6)).values
    want = spectra(sonoray.band_pass(data, 0.4e6, 1.2e6), BAND).values
    np.testing.assert_allclose(found, want, atol=1e-6 * np.abs(want).max())
    assert np.abs(found - spectra(data, BAND).values).max() > 0.1 * np.abs(want).max()


def test_usable_band_is_where_the_pulse_is(recorder):
    data = recorder(recorder.distance / SPEED)
    f = np.linspace(0.1e6, 3e6, 59)
    level = np.abs(pulse_spectrum(pulse(np.arange(40) / RATE), RATE, f))
    want = 20 * np.log10(level / level.max())
    band = usable_band(spectra(data, f), 20.0)
    sure = np.abs(want + 20) > 0.5  # windows cut little of a pulse that comes after them
    np.testing.assert_array_equal(band[sure], (want > -20)[sure])


def test_memory_is_that_of_blocks(rng):
    """No copy of the samples: 26 MB of them, and blocks and results of less than a third."""
    samples = rng.integers(-99, 99, (1, 16, 256, 3200), dtype=np.int16)
    transmits = [sonoray.Transmit.single(k) for k in range(16)]
    data = sonoray.ChannelData(samples, ring_probe(256), transmits, RATE, sound_speed=SPEED)
    tracemalloc.start()
    spectra(data, np.linspace(0.3e6, 0.9e6, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < samples.nbytes / 3


def test_selection_and_weights(noise):
    found = spectra(recording(noise), BAND)
    np.testing.assert_array_equal(found.weight(1), found.pairs)
    weights = np.ones(found.values.shape, "f4")
    weights[2, 0, 1] = 0.25
    some = found.with_(weights=weights).select([2, 3])
    assert some.weight(0)[0, 1] == 0.25
    assert some.weight(0)[0, 0] == 0  # no pair
    np.testing.assert_array_equal(some.frequencies, BAND[2:])
    np.testing.assert_array_equal(some.values, found.values[2:])
    assert np.shares_memory(found.select(slice(1, 3)).values, found.values)
    assert "4 at 3e+05 to 1.4e+06 Hz" in repr(found)
    with pytest.raises(ArgumentError, match="^frequencies"):
        found.select(7)
    with pytest.raises(ArgumentError, match="^weights"):
        found.with_(weights=-weights)
    with pytest.raises(ArgumentError, match="^pairs"):
        Spectra(BAND, found.values, np.ones((3, 3), bool))
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 0


@settings(max_examples=40)
@given(
    st.sampled_from(["frequencies", "regularization", "onset", "sound_speed", "pulse_start"]),
    st.one_of(st.floats(), st.text(max_size=3), st.none(), st.just([[1.0]])),
)
def test_wrong_arguments_are_named(name, value):
    samples = np.random.default_rng(0).standard_normal((8, 8, 900)).astype("f4")
    arguments = {"frequencies": BAND, "pulse": np.ones(5), name: value}
    try:
        found = spectra(recording(samples), **arguments)
    except ArgumentError as error:
        # An onset can be plausible but too late for the record.
        assert str(error).startswith((name, "pairs"))
    else:
        assert np.isfinite(found.values).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"frequencies": [0.5]}, "frequencies"),  # MHz
        ({"frequencies": [6e6]}, "frequencies"),  # beyond Nyquist
        ({"frequencies": []}, "frequencies"),
        ({"window": 60.0}, "window"),
        ({"pulse": np.zeros(9)}, "pulse"),
        ({"pulse": np.ones((3, 9))}, "pulse"),
        ({"band": (1e5,)}, "band"),
        ({"band": (0.5, 1.0)}, "band|low"),
        ({"pairs": np.ones((8, 8))}, "pairs"),
        ({"frame": 1}, "frame"),
    ],
)
def test_arguments_that_do_not_fit(noise, arguments, named):
    with pytest.raises(ArgumentError, match=f"^({named})"):
        spectra(recording(noise), **{"frequencies": BAND, **arguments})


@pytest.mark.parametrize("field", [{"offset": 2000.0}, {"pre": 5.0}, {"post": -1e-6}, {"hold": np.nan}])
def test_windows_in_wrong_units(field):
    with pytest.raises(ArgumentError, match=f"^{next(iter(field))}"):
        ArrivalWindow(**field)
