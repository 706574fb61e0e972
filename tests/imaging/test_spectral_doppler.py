"""Spectral Doppler: tones at their velocity, power, aliases and angles, traces of a pulse, sound by direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, IirFilter, Sonogram
from sonoray.plotting import show_sonogram

F, RATE, C = 5e6, 8e3, 1540.0
LIMIT = sonoray.nyquist_velocity(F, RATE, C)


def moving(velocity, n=2048):
    """A scatterer coming nearer at a velocity, constant or one for each frame."""
    return np.exp(1j * np.pi / LIMIT * np.cumsum(np.broadcast_to(velocity, n)))


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def pulse(n):
    """Two heartbeats a second: velocity between 0.15 and 0.75 of Nyquist."""
    t = np.arange(n) / RATE
    return LIMIT * (0.15 + 0.6 * np.maximum(np.sin(2 * np.pi * 2 * t), 0) ** 2)


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.98, 0.98), st.sampled_from(["fft", "capon"]), st.sampled_from([16, 50, 64]))
def test_a_steady_velocity_is_found_in_its_bin(fraction, method, length):
    spectra = sonoray.sonogram(moving(fraction * LIMIT, 128), F, RATE, C, method=method, length=length)
    step = spectra.velocities[1] - spectra.velocities[0]
    assert step == pytest.approx(2 * LIMIT / 256)
    assert np.abs(spectra.velocities[spectra.power.argmax(axis=1)] - fraction * LIMIT).max() < 0.51 * step


@pytest.mark.parametrize("window", ["hann", "hamming", "boxcar", "blackman"])
def test_the_mean_over_velocities_is_the_power(window):
    spectra = sonoray.sonogram(moving(0.3 * LIMIT) * 3, F, RATE, C, window=window)
    np.testing.assert_allclose(spectra.power.mean(axis=1), 9, rtol=1e-5)


@pytest.mark.parametrize("method", ["fft", "capon"])
def test_white_noise_is_flat_at_its_power(method):
    spectra = sonoray.sonogram(2 * noise(8192, 3), F, RATE, C, method=method)
    # Capon's minimum over its weights is a little below the truth for covariances from few samples.
    np.testing.assert_allclose(spectra.power.mean(axis=0), 4, rtol=0.2)


def test_capon_tells_two_velocities_apart_that_one_window_merges():
    two = moving(0.30 * LIMIT, 512) + moving(0.36 * LIMIT, 512)
    valley = []
    for method in ("fft", "capon"):
        spectra = sonoray.sonogram(two + 0.03 * noise(512), F, RATE, C, method=method, length=48, n_velocities=512)
        mean = spectra.power.mean(axis=0)
        at = [np.abs(spectra.velocities - f * LIMIT).argmin() for f in (0.30, 0.33, 0.36)]
        valley.append(10 * np.log10(mean[at[1]] / min(mean[at[0]], mean[at[2]])))
    assert valley[0] > -1
    assert valley[1] < -6


@pytest.mark.parametrize("method", ["fft", "capon"])
def test_a_shifted_baseline_shows_aliased_flow_where_it_belongs(method):
    flow = moving(1.3 * LIMIT, 256)
    aliased = sonoray.sonogram(flow, F, RATE, C, method=method)
    assert aliased.velocities[aliased.power[0].argmax()] == pytest.approx(-0.7 * LIMIT, abs=0.01 * LIMIT)
    shifted = sonoray.sonogram(flow, F, RATE, C, method=method, baseline=0.5)
    assert shifted.velocities[shifted.power[0].argmax()] == pytest.approx(1.3 * LIMIT, abs=0.01 * LIMIT)
    assert shifted.velocities[0] == pytest.approx(-0.5 * LIMIT)
    assert (np.diff(shifted.velocities) > 0).all()


def test_velocities_are_corrected_for_the_angle():
    beam = 0.4 * LIMIT
    spectra = sonoray.sonogram(moving(beam), F, RATE, C, angle=np.deg2rad(60))
    assert spectra.velocities[spectra.power[0].argmax()] == pytest.approx(2 * beam, abs=0.02 * LIMIT)


def test_times_are_the_middles_of_the_windows():
    """A change of velocity at frame 1000 is seen where half a window is before it, with filters that shorten, too."""
    flow = moving(np.where(np.arange(2000) < 1000, 0.4, -0.4) * LIMIT, 2000)
    for wall_filter in (None, sonoray.FirFilter(0.2)):
        spectra = sonoray.sonogram(flow, F, RATE, C, hop=1, wall_filter=wall_filter)
        upper = spectra.power[:, spectra.velocities > 0].sum(axis=1)
        lower = spectra.power[:, spectra.velocities < 0].sum(axis=1)
        assert spectra.times[np.abs(upper - lower).argmin()] * RATE == pytest.approx(999.5, abs=1.5)


def test_wall_echoes_are_filtered():
    spectra = sonoray.sonogram(moving(0.4 * LIMIT) + 1000, F, RATE, C, wall_filter=IirFilter(0.1))
    assert spectra.velocities[spectra.power.argmax(axis=1)] == pytest.approx(0.4 * LIMIT, abs=0.01 * LIMIT)


def test_a_pulse_is_followed():
    n = 16384
    truth = pulse(n)
    samples = moving(truth, n)[:, None] + 0.3 * noise(n, 3)
    spectra = sonoray.sonogram(samples, F, RATE, C, length=128)
    expected = np.interp(spectra.times, np.arange(n) / RATE, truth)
    step = 2 * LIMIT / 256
    assert np.abs(spectra.velocities[spectra.power.argmax(axis=1)] - expected).max() < step
    traces = sonoray.spectral_traces(spectra)
    assert np.abs(traces.mean - expected).max() < 0.06 * LIMIT
    # Half a resolution cell, 2 / 128, and half a bin above.
    above = traces.maximum - expected
    assert 0 < above.mean() < (2 / 128 + 2 / 128) * LIMIT
    assert above.std() < 0.01 * LIMIT
    assert not traces.minimum.any()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("baseline", "level"), [(0.0, 0.0), (0.0, 0.01), (0.5, 0.01)])
def test_a_spectrum_that_crosses_the_end_of_the_range_has_its_mean(sign, baseline, level):
    tone = moving(sign * 0.9 * LIMIT, 256) + level * noise(256)
    spectra = sonoray.sonogram(tone, F, RATE, C, length=16, baseline=baseline)
    traces = sonoray.spectral_traces(spectra)
    shown = 1.1 if (sign, baseline) == (-1, 0.5) else sign * 0.9  # from -0.5 to 1.5 it is shown where it aliases to
    np.testing.assert_allclose(traces.mean, shown * LIMIT, atol=0.02 * LIMIT)
    fast, other = (traces.maximum, traces.minimum) if shown > 0 else (traces.minimum, traces.maximum)
    assert (np.abs(fast) >= abs(shown) * LIMIT).all() and (np.abs(fast) < (abs(shown) + 0.25) * LIMIT).all()
    assert not other.any()


def test_both_directions_have_their_envelope_and_noise_has_none():
    n = 8192
    spectra = sonoray.sonogram(moving(0.5 * LIMIT, n) + 0.5 * moving(-0.2 * LIMIT, n) + 0.1 * noise(n), F, RATE, C)
    traces = sonoray.spectral_traces(spectra)
    np.testing.assert_allclose(traces.maximum, 0.5 * LIMIT, atol=0.06 * LIMIT)
    np.testing.assert_allclose(traces.minimum, -0.2 * LIMIT, atol=0.06 * LIMIT)
    np.testing.assert_allclose(traces.mean, (0.5 - 0.2 * 0.25) / 1.25 * LIMIT, atol=0.03 * LIMIT)
    silent = sonoray.spectral_traces(sonoray.sonogram(noise(n, 2), F, RATE, C))
    assert np.mean(silent.maximum != 0) < 0.01
    assert not sonoray.spectral_traces(sonoray.sonogram(np.zeros(n, "c8"), F, RATE, C)).mean.any()


def test_a_parabolic_profile_has_its_maximum_in_the_middle():
    """All velocities up to 0.6 of Nyquist equally often: the mean is half the maximum."""
    fractions = np.linspace(0, 0.6, 200)
    rng = np.random.default_rng(1)
    weights = noise(200, seed=2)
    n = np.arange(8192)
    samples = sum(w * np.exp(1j * (np.pi * f * n + rng.uniform(0, 7))) for w, f in zip(weights, fractions, strict=True))
    traces = sonoray.spectral_traces(sonoray.sonogram(samples + 0.5 * noise(8192), F, RATE, C, length=128))
    assert np.median(traces.mean) == pytest.approx(0.3 * LIMIT, abs=0.05 * LIMIT)
    assert np.median(traces.maximum) == pytest.approx(0.6 * LIMIT, abs=0.08 * LIMIT)


@pytest.mark.parametrize("rate", [5000.0, 7919.0, 12500.0])
def test_directions_are_separated_by_more_than_30_decibel(rate):
    n = np.arange(12000)
    towards, away = np.exp(1j * np.pi * 0.4 * n), 0.5 * np.exp(-1j * np.pi * 0.25 * n)
    audio = sonoray.doppler_audio(towards + away, rate)
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))[:, None], axis=0)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / 44100)
    assert len(audio) == pytest.approx(12000 / rate * 44100, rel=1e-3)
    for channel, fraction in ((0, 0.4), (1, 0.25)):
        near = np.abs(hertz - fraction * rate / 2) < 5
        assert near.any()
        assert spectrum[near, channel].sum() > 1e3 * spectrum[near, 1 - channel].sum()
        assert spectrum[near, channel].sum() > 0.99 * spectrum[:, channel].sum()


def test_a_shifted_baseline_is_heard_above_nyquist():
    audio = sonoray.doppler_audio(moving(1.3 * LIMIT, 8192), RATE, baseline=0.5)
    hertz = np.fft.rfftfreq(len(audio), 1 / 44100)
    assert hertz[np.abs(np.fft.rfft(audio[:, 0])).argmax()] == pytest.approx(1.3 * RATE / 2, rel=1e-3)
    assert np.square(audio[:, 1]).sum() < 1e-3 * np.square(audio[:, 0]).sum()


def test_sound_is_written_as_it_is(tmp_path):
    from scipy.io import wavfile

    audio = sonoray.doppler_audio(moving(pulse(4096), 4096), RATE)
    assert np.abs(audio).max() == pytest.approx(1)
    sonoray.write_wav(tmp_path / "flow.wav", audio)
    rate, stored = wavfile.read(tmp_path / "flow.wav")
    assert rate == 44100
    np.testing.assert_allclose(stored / 32767, audio, atol=2e-5)
    for wrong in (2 * audio, audio.astype("c8"), audio * np.nan, np.zeros((0, 2))):
        with pytest.raises(ArgumentError, match="audio"):
            sonoray.write_wav(tmp_path / "wrong.wav", wrong)
    assert not (tmp_path / "wrong.wav").exists()


def test_a_sonogram_is_drawn_with_its_traces():
    pytest.importorskip("matplotlib")
    spectra = sonoray.sonogram(moving(pulse(4096), 4096) + 0.1 * noise(4096), F, RATE, C)
    ax = show_sonogram(spectra, traces=sonoray.spectral_traces(spectra), title="carotid")
    assert ax.get_ylabel() == "velocity towards the probe [m/s]"
    assert ax.get_ylim()[0] < -0.99 * LIMIT
    assert len(ax.get_lines()) == 3  # zero, envelope, mean
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda q: sonoray.sonogram(q.real, F, RATE), "iq.*complex"),
        (lambda q: sonoray.sonogram(q[:32], F, RATE), "length.*32"),
        (lambda q: sonoray.sonogram(q, F, RATE, method="music"), "method"),
        (lambda q: sonoray.sonogram(q, F, RATE, window="box"), "window"),
        (lambda q: sonoray.sonogram(q, F, RATE, angle=60), "angle.*rad"),
        (lambda q: sonoray.sonogram(q, F, RATE, angle=np.deg2rad(85)), "angle"),
        (lambda q: sonoray.sonogram(q, F, RATE, baseline=2), "baseline"),
        (lambda q: sonoray.sonogram(q, F, RATE, n_velocities=32), "n_velocities"),
        (lambda q: sonoray.sonogram(q * np.nan, F, RATE), "finite"),
        (lambda q: sonoray.spectral_traces(q), "Sonogram"),
        (lambda q: sonoray.doppler_audio(q, RATE, 6000), "audio_rate.*8000"),
        (lambda q: sonoray.doppler_audio(q, RATE, 44100.5), "audio_rate"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(np.ones(200, "c8"))


def test_levels_are_relative_to_the_strongest():
    spectra = sonoray.sonogram(moving(0.2 * LIMIT), F, RATE, C)
    assert isinstance(spectra, Sonogram)
    assert spectra.decibel().max() == 0
    assert sonoray.sonogram(np.zeros(100, "c8"), F, RATE, C).decibel().max() <= -300
