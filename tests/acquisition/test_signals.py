"""Signals along the time axis: analytic echoes, SciPy twins, round trips and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt

import sonoray
from sonoray import ArgumentError, ChannelData, Probe, Transmit
from sonoray.acquisition.signals import analytic

FS, FC = 40e6, 5e6
DELAYS = np.array([4.1e-6, 6.37e-6, 9.013e-6, 11.7e-6])  # of the four elements; none on a sample
PROBE = Probe.linear(4, 0.3e-3, center_frequency=FC)


def gaussian(t, width=0.4e-6):
    return np.exp(-0.5 * (t / width) ** 2)


def echoes(fs=FS, n=800, start=(0.0,), dtype="f4", fc=FC, gain=1.0):
    """One echo per element: gain * a(t - tau) cos(2 pi fc (t - tau)); ``start`` has one entry per transmit."""
    t = np.asarray(start)[:, None, None] + np.arange(n) / fs - DELAYS[:, None]
    samples = gain * gaussian(t) * np.cos(2 * np.pi * fc * t)
    if dtype == "i2":
        samples = np.rint(samples)
    transmits = [Transmit.plane(0.05 * i) for i in range(len(start))]
    return ChannelData(
        samples[None].astype(dtype), PROBE, transmits, fs, center_frequency=fc, start_time=np.asarray(start)
    )


def expected_iq(data, fc=FC):
    t = np.stack([data.times(i) for i in range(data.n_tx)])[:, None]
    return gaussian(t - DELAYS[:, None]) * np.exp(-2j * np.pi * fc * DELAYS[:, None])


@pytest.mark.parametrize("start", [(0.0,), (2.03e-6,), (-1e-6, 1.7e-6)])
def test_demodulated_echo_is_its_envelope_with_the_phase_of_its_delay(start):
    iq = sonoray.demodulate(echoes(start=start))
    # a Gaussian of 0.4 us has 1e-4 of its spectrum left at 1.7 MHz, far inside the 5 MHz low-pass
    np.testing.assert_allclose(iq.samples[0], expected_iq(iq), atol=2e-4)
    assert iq.samples.dtype == np.complex64
    assert iq.demodulation_frequency == FC and iq.center_frequency == FC
    np.testing.assert_array_equal(iq.start_time, np.asarray(start))


@pytest.mark.parametrize(("decimate", "n"), [(2, 801), (3, 800), (4, 797), (8, 799)])
def test_decimation_keeps_every_kth_sample_of_the_full_result(decimate, n):
    iq = sonoray.demodulate(echoes(n=n, start=(0.0, 0.7e-6)), decimate=decimate)
    assert iq.sampling_frequency == FS / decimate
    assert iq.n_samples == -(-n // decimate)
    np.testing.assert_allclose(iq.samples[0], expected_iq(iq), atol=1e-3)


def test_band_pass_undersampled_rf_is_demodulated_at_its_true_frequency():
    fs = 4 / 3 * FC  # a sampling at which a Hilbert transform would find the wrong sideband
    iq = sonoray.demodulate(echoes(fs=fs, n=140, start=(1e-6, 1.23e-6)))
    # image at fs / 2, cut-off at fs / 4 = 1.7 MHz: the Gaussian's spectrum has fallen to 1.5e-4 there
    np.testing.assert_allclose(iq.samples[0], expected_iq(iq), atol=1e-3)


def test_low_pass_is_scipys_forward_backward_butterworth():
    rng = np.random.default_rng(7)
    rf = rng.standard_normal((1, 1, 4, 600)).astype("f4")
    rf[..., :150] = rf[..., -150:] = 0  # the two differ in how they continue the ends
    data = ChannelData(rf, PROBE, Transmit.plane(), FS, start_time=3.3e-6)
    bandwidth = 6e6
    mixed = 2 * rf[0, 0] * np.exp(-2j * np.pi * FC * data.times())
    b, a = butter(5, bandwidth / FS)
    twin = filtfilt(b, a, mixed, axis=-1)
    iq = sonoray.demodulate(data, FC, bandwidth=bandwidth)
    np.testing.assert_allclose(iq.samples[0, 0], twin, atol=2e-5)


def test_int16_gives_what_float_gives_without_a_copy_of_all():
    counts = echoes(dtype="i2", gain=8000.0)
    floats = counts.with_(samples=counts.samples.astype("f4"))
    np.testing.assert_array_equal(sonoray.demodulate(counts).samples, sonoray.demodulate(floats).samples)
    assert sonoray.band_pass(counts, 2e6, 8e6).samples.dtype == np.float32


@pytest.mark.parametrize("decimate", [1, 4])
def test_remodulate_undoes_demodulate(decimate):
    rf = echoes(start=(0.0, 1.3e-6))
    back = sonoray.remodulate(sonoray.demodulate(rf, decimate=decimate), FS)
    assert not back.is_iq and back.sampling_frequency == FS
    n = min(back.n_samples, rf.n_samples)
    # the polyphase filter ripples by 1e-3
    np.testing.assert_allclose(back.samples[..., :n], rf.samples[..., :n], atol=3e-3)


def test_remodulate_chooses_a_sampling_that_holds_the_carrier():
    iq = sonoray.demodulate(echoes(), decimate=8)
    assert sonoray.remodulate(iq).sampling_frequency == 4 * FC


def test_band_pass_keeps_the_band_and_moves_nothing():
    rf = echoes()
    kept = sonoray.band_pass(rf, 2e6, 9e6)
    # 3 sigma of the pulse's spectrum (1.2 MHz) lie in the band
    np.testing.assert_allclose(kept.samples, rf.samples, atol=1e-2)
    assert np.abs(sonoray.band_pass(rf, 10e6, 14e6).samples).max() < 1e-3


@pytest.mark.parametrize(("frequency", "gain"), [(2e6, 0.5), (8e6, 0.5), (4e6, 1.0), (0.2e6, 0.0), (18e6, 0.0)])
def test_band_pass_gain_of_a_tone(frequency, gain):
    n = 4000
    tone = np.cos(2 * np.pi * frequency * np.arange(n) / FS).astype("f4")
    data = ChannelData(np.tile(tone, (1, 1, 4, 1)), PROBE, Transmit.plane(), FS)
    middle = sonoray.band_pass(data, 2e6, 8e6).samples[0, 0, 0, 1000:3000]
    np.testing.assert_allclose(middle, gain * tone[1000:3000], atol=2e-3)


def test_band_pass_commutes_with_demodulation():
    rf = echoes(start=(0.4e-6,))
    one = sonoray.demodulate(sonoray.band_pass(rf, 4e6, 5.5e6))
    other = sonoray.band_pass(sonoray.demodulate(rf), 4e6, 5.5e6)
    # the trace's ends, where filters of different length see the cut, left out
    np.testing.assert_allclose(one.samples[..., 20:-20], other.samples[..., 20:-20], atol=1e-4)


@pytest.mark.parametrize("new", [80e6, 60e6, 30e6, 25e6])
def test_resampled_echo_equals_one_sampled_at_the_new_rate(new):
    rf = sonoray.resample(echoes(start=(0.3e-6,)), new)
    assert rf.sampling_frequency == pytest.approx(new, rel=1e-12)
    assert rf.n_samples == int(np.ceil(800 * new / FS))
    want = echoes(fs=new, n=rf.n_samples, start=(0.3e-6,))
    np.testing.assert_allclose(rf.samples, want.samples, atol=3e-3)  # ripple of SciPy's default filter


def test_resampled_iq_keeps_its_phase_convention():
    iq = sonoray.resample(sonoray.demodulate(echoes(start=(0.3e-6,))), 10e6)
    np.testing.assert_allclose(iq.samples[0], expected_iq(iq), atol=3e-3)


def test_matched_filter_peaks_at_the_onset_with_the_echos_amplitude():
    u = np.arange(64) / FS
    pulse = np.hanning(64) * np.cos(2 * np.pi * FC * u)
    onset = np.array([100, 233, 301, 477])
    rf = np.zeros((1, 1, 4, 600), "f4")
    for i, k in enumerate(onset):
        rf[0, 0, i, k : k + 64] = 3.5 * pulse
    data = ChannelData(rf, PROBE, Transmit.plane(), FS)
    out = sonoray.matched_filter(data, pulse).samples[0, 0]
    np.testing.assert_array_equal(out.argmax(axis=-1), onset)
    np.testing.assert_allclose(out.max(axis=-1), 3.5, rtol=1e-5)
    late = sonoray.matched_filter(data, pulse, reference=32 / FS).samples[0, 0]
    np.testing.assert_array_equal(late.argmax(axis=-1), onset + 32)


def test_matched_filter_is_correlation_also_when_the_pulse_is_longer_than_the_trace():
    rng = np.random.default_rng(0)
    rf = rng.standard_normal((1, 1, 4, 50)).astype("f4")
    pulse = rng.standard_normal(73)
    out = sonoray.matched_filter(ChannelData(rf, PROBE, Transmit.plane(), FS), pulse).samples[0, 0]
    twin = [np.correlate(trace, pulse, "full")[72:] / np.sum(pulse**2) for trace in rf[0, 0]]
    np.testing.assert_allclose(out, twin, atol=1e-5)


def test_matched_filter_of_iq_keeps_the_phase_of_the_arrival():
    u = np.arange(128) / FS
    envelope = gaussian(u - 1.6e-6)
    reference = 1.6e-6
    rf = echoes()  # its echoes peak at DELAYS, so their onset is 1.6 us before
    iq = sonoray.demodulate(rf)
    pulse = envelope * np.exp(-2j * np.pi * FC * 1.6e-6)
    out = sonoray.matched_filter(iq, pulse, reference=reference)
    for element, delay in enumerate(DELAYS):
        k = round(delay * FS)
        trace = out.samples[0, 0, element]
        assert np.abs(trace).argmax() == k
        assert np.angle(trace[k] * np.exp(2j * np.pi * FC * delay)) == pytest.approx(0, abs=5e-3)


def test_matched_filter_finds_a_chirp_in_noise():
    rng = np.random.default_rng(3)
    u = np.arange(400) / FS
    chirp = np.hanning(400) * np.cos(2 * np.pi * (3e6 + 2e11 * u) * u)
    rf = rng.standard_normal((1, 1, 4, 1200)).astype("f4")  # 0 dB at the chirp's peak
    rf[..., 500:900] += chirp
    out = sonoray.matched_filter(ChannelData(rf, PROBE, Transmit.plane(), FS), chirp).samples[0, 0]
    assert (np.abs(out.argmax(axis=-1) - 500) <= 1).all()


def test_time_gain_undoes_attenuation():
    rf = echoes(start=(1e-6,))
    alpha = 50.0  # dB/m/MHz
    loss = 10 ** (-alpha * 5 * rf.sound_speed * rf.times() / 20)
    weak = rf.with_(samples=rf.samples * loss.astype("f4"))
    np.testing.assert_allclose(sonoray.time_gain_compensation(weak, alpha).samples, rf.samples, atol=1e-6)
    curve = (rf.times(), alpha * 5 * rf.sound_speed * rf.times())
    np.testing.assert_allclose(sonoray.time_gain_compensation(weak, curve=curve).samples, rf.samples, atol=1e-6)


def test_time_gain_stops_at_its_maximum():
    flat = ChannelData(np.ones((1, 1, 4, 100), "f4"), PROBE, Transmit.plane(), FS)
    out = sonoray.time_gain_compensation(flat, 2000.0, max_gain=6.0).samples
    assert out[..., 0].max() == 1 and out.max() == pytest.approx(10 ** (6 / 20))


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_analytic_signal_of_a_tone_and_its_real_part(n):
    rng = np.random.default_rng(n)
    rf = rng.standard_normal((3, n)).astype("f4")
    np.testing.assert_allclose(analytic(rf).real, rf, atol=1e-6)
    np.testing.assert_array_equal(analytic(rf.T, axis=0), analytic(rf).T)


def test_analytic_magnitude_is_the_envelope():
    t = np.arange(1000) / FS - 12e-6
    rf = gaussian(t) * np.cos(2 * np.pi * FC * t)
    np.testing.assert_allclose(np.abs(analytic(rf)), gaussian(t), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.integers(40, 300), st.integers(1, 5), st.floats(0, 5e-6), st.integers(0, 2**31 - 1))
def test_every_filter_is_linear(factor, n, decimate, start, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal((2, 1, 1, 4, n)).astype("f4")

    def data(samples):
        return ChannelData(samples, PROBE, Transmit.plane(), FS, start_time=start)

    pulse = rng.standard_normal(9)
    filters = [
        lambda d: sonoray.demodulate(d, decimate=decimate),
        lambda d: sonoray.band_pass(d, 2e6, 7e6),
        lambda d: sonoray.matched_filter(d, pulse),
        lambda d: sonoray.resample(d, 60e6),
        lambda d: sonoray.time_gain_compensation(d, 50.0),
    ]
    for apply in filters:
        joint = apply(data(one + np.float32(factor) * other)).samples
        parts = apply(data(one)).samples + factor * apply(data(other)).samples
        np.testing.assert_allclose(joint, parts, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda d: sonoray.demodulate(d, 5.0), "frequency.*Hz"),
        (lambda d: sonoray.demodulate(d, 20e6), "frequency.*image"),
        (lambda d: sonoray.demodulate(d, bandwidth=5.0), "bandwidth.*Hz"),
        (lambda d: sonoray.demodulate(d, bandwidth=12e6), "bandwidth.*image"),
        (lambda d: sonoray.demodulate(d, bandwidth=6e6, decimate=8), "bandwidth.*Nyquist"),
        (lambda d: sonoray.demodulate(d, decimate=0), "decimate"),
        (lambda d: sonoray.demodulate(d, decimate=2.5), "decimate"),
        (lambda d: sonoray.demodulate(sonoray.demodulate(d)), "RF"),
        (lambda d: sonoray.demodulate(d.with_(center_frequency=0.0, probe=Probe.linear(4, 3e-4))), "frequency"),
        (lambda d: sonoray.remodulate(d), "I/Q"),
        (lambda d: sonoray.remodulate(sonoray.demodulate(d), 20e6), "sampling_frequency"),
        (lambda d: sonoray.band_pass(d, 8e6, 2e6), "rising"),
        (lambda d: sonoray.band_pass(d, 2e6, 21e6), "high.*Nyquist"),
        (lambda d: sonoray.band_pass(sonoray.demodulate(d, decimate=8), 1e6, 6e6), "low.*Nyquist"),
        (lambda d: sonoray.resample(d, 40.0), "sampling_frequency.*Hz"),
        (lambda d: sonoray.resample(d, 8e6), "twice the centre"),
        (lambda d: sonoray.resample(d, FS * 1.00004), "ratio of integers"),
        (lambda d: sonoray.resample(d.with_(sampling_frequency=4 / 3 * FC), 40e6), "demodulate"),
        (lambda d: sonoray.band_pass(d.with_(sampling_frequency=4 / 3 * FC), 1e6, 2e6), "demodulate"),
        (lambda d: sonoray.matched_filter(d, np.zeros(5)), "pulse"),
        (lambda d: sonoray.matched_filter(d, [1.0, np.nan]), "pulse.*finite"),
        (lambda d: sonoray.matched_filter(d, np.ones((2, 2))), "pulse.*shape"),
        (lambda d: sonoray.matched_filter(d, [1j, 1.0]), "pulse.*real"),
        (lambda d: sonoray.matched_filter(d, np.ones(4), reference=1.0), "reference.*s"),
        (lambda d: sonoray.time_gain_compensation(d), "exactly one"),
        (lambda d: sonoray.time_gain_compensation(d, 50.0, curve=([0, 1e-5], [0, 1])), "exactly one"),
        (lambda d: sonoray.time_gain_compensation(d, 5e4), "attenuation"),
        (lambda d: sonoray.time_gain_compensation(d, curve=([0, 20.0], [0, 1])), "times.* s"),
        (lambda d: sonoray.time_gain_compensation(d, curve=([1e-5, 0], [0, 1])), "rising"),
        (lambda d: analytic(d.samples + 1j), "rf"),
        (lambda d: analytic([1.0, np.inf]), "rf"),
        (lambda d: analytic(d.samples, axis=4), "axis"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(echoes())


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_shortest_traces_pass_through_every_filter(n):
    data = ChannelData(np.ones((1, 1, 4, n), "f4"), PROBE, Transmit.plane(), FS)
    iq = sonoray.demodulate(data, decimate=3)
    for result, length in [
        (iq, -(-n // 3)),
        (sonoray.remodulate(iq, FS), 3 * -(-n // 3)),
        (sonoray.band_pass(data, 2e6, 8e6), n),
        (sonoray.band_pass(iq, 4e6, 6e6), -(-n // 3)),
        (sonoray.matched_filter(data, [1.0]), n),
        (sonoray.resample(data, 60e6), -(-n * 3 // 2)),
        (sonoray.time_gain_compensation(data, 50.0), n),
    ]:
        assert result.samples.shape == (1, 1, 4, length) and np.isfinite(result.samples).all()
    np.testing.assert_allclose(sonoray.matched_filter(data, [2.0]).samples, 0.5, rtol=1e-6)


def test_streams_in_blocks():
    """Beside the result, memory holds one transmit's block, not a float copy of the recording."""
    import tracemalloc

    frames, n = 24, 2000
    samples = np.zeros((frames, 1, 4, n), "i2")
    data = ChannelData(samples, PROBE, Transmit.plane(), FS)
    block = 4 * n * 8
    sonoray.demodulate(data.select(frames=slice(0, 1)))
    tracemalloc.start()
    iq = sonoray.demodulate(data, decimate=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < iq.samples.nbytes + 8 * block
