"""Spectra calibrated by water: the pulse that was sent, and the analytic Green's function, must come out."""

from importlib.resources import as_file, files

import h5py
import numpy as np
import pytest
import scipy.special

import sonoray
from sonoray import ArgumentError
from sonoray.assets import RING_EXAMPLE, load_ring_example
from sonoray.inversion.pairs import emitter_positions, pair_distances
from sonoray.inversion.source_spectrum import calibrate, calibrated_spectra, fit_source_spectrum, water_greens
from sonoray.inversion.spectra import pulse_spectrum, spectra
from tests.inversion.conftest import ring_probe

SPEED, RATE, RADIUS = 1490.0, 10e6, 0.05
BAND = np.array([0.4e6, 0.7e6, 1.0e6])


def line_sources(pulse, speed=SPEED, tx=range(16), gains=None, n=16, n_samples=1024, noise=0.0):
    """Water between line sources: every trace is the inverse FFT of pulse times Green's function times gains."""
    probe = ring_probe(n, RADIUS)
    distance = pair_distances(probe.positions[list(tx)], probe.positions)
    f = np.fft.rfftfreq(2 * n_samples, 1 / RATE)
    spectrum = pulse_spectrum(pulse, RATE, np.maximum(f, 1e3))
    k = 2 * np.pi * np.maximum(f, 1e3) / speed
    green = 0.25j * scipy.special.hankel1(0, k * np.maximum(distance, 1e-3)[..., None])
    waves = spectrum * green * (1 if gains is None else gains[..., None])
    samples = np.fft.irfft(np.conj(waves), 2 * n_samples)[..., :n_samples] * RATE
    samples += noise * np.abs(samples[0, n // 2]).max() * np.random.default_rng(4).standard_normal(samples.shape)
    samples[distance == 0] = 0
    transmits = [sonoray.Transmit.single(int(i)) for i in tx]
    return sonoray.ChannelData(samples[None].astype("f4"), probe, transmits, RATE, sound_speed=speed)


@pytest.fixture(scope="module")
def wave():
    """A pulse of 0.7 MHz with nothing at 0 Hz, whose wave in 2-D would ring on beyond the record."""
    t = np.arange(100) / RATE - 5e-6
    return np.exp(-0.5 * (t / 0.9e-6) ** 2) * np.cos(2 * np.pi * 0.7e6 * t)


def test_the_greens_function_solves_the_helmholtz_equation():
    """Five-point Laplacian around a point: error (k h)^2 / 12 of k^2 G."""
    h, f = 2e-5, 0.5e6
    k = 2 * np.pi * f / SPEED
    x, z = 0.013, 0.021
    at = np.array([[x, z], [x + h, z], [x - h, z], [x, z + h], [x, z - h]])
    g = water_greens(np.hypot(at[:, 0], at[:, 1]), f, SPEED, exact=True)
    laplace = (g[1:].sum() - 4 * g[0]) / h**2
    assert abs(laplace + k**2 * g[0]) < 2e-3 * abs(k**2 * g[0])


def test_the_leading_order_differs_by_one_eighth_over_kr():
    r = np.linspace(0.02, 0.2, 50).reshape(5, 10)
    near, exact = (water_greens(r, 0.6e6, SPEED, exact=e) for e in (False, True))
    kr = 2 * np.pi * 0.6e6 / SPEED * r
    np.testing.assert_allclose(exact / near, 1 - 0.125j / kr, atol=0.1 / kr.min() ** 2)
    assert water_greens(0.0, 0.6e6, SPEED) == 0


@pytest.mark.parametrize("kind", ["common", "elements", "pair"])
@pytest.mark.parametrize("exact", [False, True])
def test_the_pulse_is_found(wave, kind, exact):
    source = fit_source_spectrum(line_sources(wave), BAND, kind=kind, exact=exact)
    truth = pulse_spectrum(wave, RATE, BAND)
    pairs = ~np.eye(16, dtype=bool)
    for k in range(3):
        s = source.at(k, np.arange(16))[pairs]
        # Distances from 20 mm: the leading order is off by 1 / (8 k r), 4e-3 for the nearest ones at 0.4 MHz.
        assert np.abs(s / truth[k] - 1).max() < (1e-3 if exact else 6e-3)
    assert source.usable().all()
    assert "0.4" in repr(source) or "4e+05" in repr(source)


def test_one_noisy_shot_suffices(wave):
    """15 receivers with 1 % of noise of the peak, over a record ten times as long as the pulse."""
    source = fit_source_spectrum(line_sources(wave, tx=[3], noise=0.01), BAND)
    truth = pulse_spectrum(wave, RATE, BAND)
    assert np.abs(source.receive[:, 3] / truth - 1).max() < 0.02
    np.testing.assert_array_equal(source.receive, source.receive[:, :1].repeat(16, axis=1))


def test_a_wild_receiver_does_not_matter(wave):
    water = line_sources(wave, tx=[3])
    samples = water.samples.copy()
    samples[0, 0, 9] *= -30
    source = fit_source_spectrum(water.with_(samples=samples), BAND, exact=True)
    # Huber's weights leave 1.5 standard deviations of its residual, and there are nine others.
    assert np.abs(source.receive[:, 0] / pulse_spectrum(wave, RATE, BAND) - 1).max() < 2e-3


def test_elements_that_differ(wave, rng):
    a = np.exp(0.2 * rng.standard_normal(16) + 0.4j * rng.standard_normal(16))
    b = np.exp(0.2 * rng.standard_normal(16) + 0.4j * rng.standard_normal(16))
    gains = np.outer(a, b)
    truth = pulse_spectrum(wave, RATE, BAND)[1] * gains
    pairs = ~np.eye(16, dtype=bool)
    source = fit_source_spectrum(line_sources(wave, gains=gains), BAND, kind="elements", exact=True)
    assert np.abs(source.at(1, np.arange(16)) / truth - 1)[pairs].max() < 2e-3
    # Four shots give all receivers and four emitters; the others get the four's mean.
    some = [0, 5, 9, 12]
    source = fit_source_spectrum(line_sources(wave, gains=gains[some], tx=some), BAND, kind="elements", exact=True)
    assert np.abs(source.at(1, np.array(some)) / truth[some] - 1)[pairs[some]].max() < 2e-3
    ratio = source.at(1, np.array([1, 2])) / truth[[1, 2]]
    spread = np.ptp(np.abs(ratio[:, 3:]), axis=1) / np.abs(ratio[:, 3:]).mean(axis=1)
    assert spread.max() < 2e-3


@pytest.mark.parametrize("reference", ["auto", "common", "elements", "pair"])
def test_calibrated_water_is_greens_function(wave, reference):
    data = line_sources(wave)
    water = data if reference != "common" else line_sources(wave, tx=[2])
    found, _ = calibrated_spectra(data, water, BAND, reference=reference, regularization=1e-4)
    distance = pair_distances(emitter_positions(data), data.probe.positions)
    for k, f in enumerate(BAND):
        want = water_greens(distance, f, SPEED)
        assert np.abs(found.values[k] / np.where(want == 0, 1, want) - 1)[found.pairs].max() < 8e-3
    np.testing.assert_array_equal(found.pairs, distance > 0)


def test_frames_are_those_of_the_object(wave):
    data = line_sources(wave)
    several = data.with_(samples=np.concatenate([2 * data.samples, data.samples]))
    water = line_sources(wave, tx=[2])
    want, _ = calibrated_spectra(data, water, BAND)
    found, _ = calibrated_spectra(several, water, BAND, frame=1)
    np.testing.assert_array_equal(found.values, want.values)


def test_water_at_another_temperature(wave):
    """The source is divided out at the speed that the water had then; the data keep their own."""
    data, water = line_sources(wave, speed=1490.0), line_sources(wave, speed=1475.0, tx=[0])
    found, source = calibrated_spectra(
        data, water, BAND, sound_speed=1490.0, water_sound_speed=1475.0, exact=True, regularization=1e-4
    )
    distance = pair_distances(emitter_positions(data), data.probe.positions)
    want = water_greens(distance[found.pairs], BAND[2], 1490.0, exact=True)
    assert np.abs(found.values[2][found.pairs] / want - 1).max() < 3e-3
    assert source.contrast.min() > 300
    assumed = fit_source_spectrum(water, BAND, sound_speed=1490.0)
    assert assumed.contrast.max() < 10  # the wrong speed shows


def test_pairs_without_water_are_left_out(wave):
    data = line_sources(wave)
    samples = data.samples.copy()
    samples[0, 4, 8] = 0
    samples[0, 6, 10] *= 1e-3
    found, _ = calibrated_spectra(data, data.with_(samples=samples), BAND)
    assert not found.pairs[4, 8]
    assert not found.values[:, 4, 8].any()
    assert not found.weights[:, 6, 10].any()
    assert found.pairs[6, 10]
    assert found.weights[:, found.pairs].sum() == 3 * (found.pairs.sum() - 1)


def test_frequencies_beyond_the_pulse_are_not_usable(wave):
    f = np.array([0.1e6, 0.5e6, 0.7e6, 0.9e6, 2.0e6])
    source = fit_source_spectrum(line_sources(wave, tx=[0], noise=0.003), f)
    level = np.abs(pulse_spectrum(wave, RATE, f))
    np.testing.assert_array_equal(source.usable(), level > 0.1 * level.max())
    found, _ = calibrated_spectra(line_sources(wave), line_sources(wave, tx=[0], noise=0.003), f)
    assert np.abs(found.values[-1]).max() < 10 * np.abs(found.values[2]).max()  # regularised


def test_ring_example_has_the_pulse_of_its_file():
    """Simulated with an independent solver; the file says which pulse it sent."""
    _, water, _ = load_ring_example()
    with as_file(files("sonoray.assets") / RING_EXAMPLE) as path, h5py.File(path) as file:
        pulse = np.asarray(file["pulse"]).ravel()
    f = np.linspace(0.25e6, 1.1e6, 18)
    truth = pulse_spectrum(pulse, water.sampling_frequency, f)
    source = fit_source_spectrum(water, f, exact=True)
    ratio = source.receive[:, 5] / truth
    assert np.abs(np.abs(ratio) - 1).max() < 0.002
    assert np.abs(np.angle(ratio)).max() < 0.002
    assert source.usable().all()
    # Each receiver: the solver is within 0.5 % in amplitude and 0.1 % of a period.
    found = spectra(water, f, pulse=pulse, regularization=1e-3)
    distance = pair_distances(emitter_positions(water), water.probe.positions)
    keep = found.pairs & (distance > 0.03)
    for k, each in enumerate(f):
        ratio = found.values[k][keep] / water_greens(distance[keep], each, water.sound_speed, exact=True)
        assert np.abs(np.abs(ratio) - 1).max() < 0.01
        assert np.abs(np.angle(ratio)).max() < 0.01


def test_ring_example_beside_the_object_is_water():
    """The straight lines of near pairs do not cross the object; a short window keeps what it scatters out."""
    data, water, _ = load_ring_example()
    window = sonoray.inversion.spectra.ArrivalWindow(hold=12e-6, post=4e-6)
    found, _ = calibrated_spectra(data, water, [0.5e6, 0.8e6], window=window, exact=True)
    distance = pair_distances(emitter_positions(data), data.probe.positions)
    keep = found.pairs & (distance > 0.03) & (distance < 0.09)
    for k, f in enumerate(found.frequencies):
        ratio = found.values[k][keep] / water_greens(distance[keep], f, water.sound_speed, exact=True)
        assert np.abs(ratio - 1).max() < 0.01


def test_noise_of_the_simulated_ring(real_data):
    """40 dB of noise over the peak at the opposite element: 64 receivers give the pulse to 1 %."""
    path = real_data("ring-simulated/vsx_like_64.mat")
    water = sonoray.read(path, dataset="water", scale=True)
    with h5py.File(path) as file:
        pulse = np.asarray(file["pulse"]).ravel()
    level = np.abs(water.samples[0, 0, 32]).max() * 1e-2
    noise = level * np.random.default_rng(0).standard_normal(water.samples.shape)
    f = np.linspace(0.3e6, 1.0e6, 15)
    source = fit_source_spectrum(water.with_(samples=(water.samples + noise).astype("f4")), f)
    assert np.abs(source.receive[:, 5] / pulse_spectrum(pulse, water.sampling_frequency, f) - 1).max() < 0.015


def test_what_does_not_fit_is_named(wave):
    data, water = line_sources(wave), line_sources(wave, tx=[0])
    with pytest.raises(ArgumentError, match="^reference"):
        calibrated_spectra(data, water, BAND, reference="pair")
    with pytest.raises(ArgumentError, match="^kind"):
        fit_source_spectrum(water, BAND, kind="each")
    with pytest.raises(ArgumentError, match="^water"):
        fit_source_spectrum(water, BAND, pairs=np.zeros((1, 16), bool))
    with pytest.raises(ArgumentError, match="^source"):
        calibrate(spectra(data, BAND[:2]), fit_source_spectrum(water, BAND), data)
    with pytest.raises(ArgumentError, match="^channel_data"):
        calibrate(spectra(data, BAND), fit_source_spectrum(water, BAND), water)
    with pytest.raises(ArgumentError, match="^elements"):
        fit_source_spectrum(water, BAND, kind="pair").at(0, np.array([3]))
    with pytest.raises(ArgumentError, match="^distance"):
        water_greens(np.array([100.0]), 1e6, SPEED)
    with pytest.raises(ArgumentError, match="^frequency"):
        water_greens(np.array([0.1]), 1.0, SPEED)
