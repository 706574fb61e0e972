"""Echoes of point scatterers: exact values, superposition, reciprocity, faults."""

import numpy as np
import pytest

from sonoray import ArgumentError, ChannelData, Grid, Medium, Probe, Transmit, arrivals, full_synthetic_aperture
from sonoray.beamforming.das import Beamformer
from sonoray.beamforming.echoes import simulate_echoes

PROBE = Probe.linear(12, 4e-4, width=3.5e-4, center_frequency=2.5e6)
SAMPLING = {"sampling_frequency": 5e6, "duration": 4e-5, "start_time": 2e-6}
POINTS = np.array([[1e-3, 0.0, 12e-3], [-3e-3, 0.0, 20e-3], [0.5e-3, 0.0, 25e-3]])
AMPLITUDES = np.array([1.0, -0.7, 0.4], np.float32)


def envelope_of(c, tx, rx, times, bandwidth=0.6):
    """The same, written as a sum of Gaussian echoes in double precision."""
    fc = PROBE.center_frequency
    width = np.sqrt(2 * np.log(2)) / (np.pi * bandwidth * fc)
    result = np.zeros(len(times), complex)
    for p, a in zip(POINTS, AMPLITUDES):
        weight, delay = a, 0.0
        for e in (PROBE.positions[tx], PROBE.positions[rx]):
            r = np.linalg.norm(p - e)
            cosine = (p - e)[2] / r
            weight = weight * np.sinc(PROBE.width * fc / c * np.sqrt(1 - cosine**2)) * cosine * np.sqrt(10e-3 / r)
            delay += r / c
        result += weight * np.exp(-0.5 * ((times - delay) / width) ** 2) * np.exp(-2j * np.pi * fc * delay)
    return result


def test_samples_are_sums_of_delayed_pulses():
    data = simulate_echoes(1510.0, PROBE, full_synthetic_aperture(PROBE), POINTS, AMPLITUDES, **SAMPLING)
    assert isinstance(data, ChannelData)
    assert data.samples.dtype == np.complex64
    assert data.demodulation_frequency == PROBE.center_frequency
    for tx, rx in ((0, 0), (3, 9), (11, 2)):
        truth = envelope_of(1510.0, tx, rx, data.times(tx))
        # The pulse's spectrum is cut where it is below 2 %.
        assert np.abs(data.samples[0, tx, rx] - truth).max() < 0.02 * np.abs(truth).max()


def test_constant_medium_equals_a_number_and_reciprocity():
    grid = Grid.from_extent(x=(-6e-3, 6e-3), z=(0.0, 28e-3), spacing=2e-4)
    sequence = full_synthetic_aperture(PROBE)
    a = simulate_echoes(Medium(grid, 1510.0), PROBE, sequence, POINTS, AMPLITUDES, **SAMPLING).samples
    b = simulate_echoes(1510.0, PROBE, sequence, POINTS, AMPLITUDES, **SAMPLING).samples
    assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()
    assert np.abs(a - a.swapaxes(1, 2)).max() < 1e-5 * np.abs(a).max()


def test_any_transmit_is_a_sum_of_single_elements():
    wave = Transmit.plane(0.15)
    one = simulate_echoes(1540.0, PROBE, wave, POINTS, AMPLITUDES, **SAMPLING)
    single = simulate_echoes(
        1540.0, PROBE, full_synthetic_aperture(PROBE), POINTS, AMPLITUDES, **{**SAMPLING, "start_time": 0.0}
    )
    k = np.fft.fftfreq(512, 1 / 5e6) + PROBE.center_frequency
    spectra = np.fft.fft(single.samples[0], 512, axis=-1)
    late = np.exp(-2j * np.pi * k * wave.firing_times(PROBE, 1540.0)[:, None, None])
    summed = np.fft.ifft((spectra * late).sum(axis=0), axis=-1)[:, 10 : 10 + one.n_samples]
    n = summed.shape[-1]
    inner = slice(20, n - 20)  # what comes from beyond the record is missing in the sum
    assert np.abs(summed - one.samples[0, 0, :, :n])[:, inner].max() < 2e-3 * np.abs(one.samples).max()


def test_refracted_echoes_focus_where_the_scatterer_is():
    grid = Grid.from_extent(x=(-8e-3, 8e-3), z=(0.0, 28e-3), spacing=2e-4)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    medium = Medium(grid, np.where(z < 8e-3 + 0.2 * x, 1450.0, 1600.0))
    point = np.array([[1e-3, 0.0, 20e-3]])
    sequence = full_synthetic_aperture(PROBE)
    data = simulate_echoes(medium, PROBE, sequence, point, [1.0], **SAMPLING)
    image_grid = Grid.from_extent(x=(-1e-3, 3e-3), z=(18e-3, 22e-3), spacing=1e-4)
    image = np.abs(Beamformer(arrivals(sequence, PROBE, image_grid, medium), data, f_number=None)(data)[0])
    best = image_grid.points()[np.unravel_index(image.argmax(), image.shape)]
    assert np.linalg.norm(best - point[0]) < 1.5e-4


def test_noise_and_faults():
    sequence = full_synthetic_aperture(PROBE)
    clean = simulate_echoes(1540.0, PROBE, sequence, POINTS, AMPLITUDES, **SAMPLING).samples
    noisy = simulate_echoes(1540.0, PROBE, sequence, POINTS, AMPLITUDES, snr=20.0, seed=1, **SAMPLING).samples
    ratio = np.sqrt(np.mean(np.abs(clean) ** 2) / np.mean(np.abs(noisy - clean) ** 2))
    assert 20 * np.log10(ratio) == pytest.approx(20.0, abs=2.0)  # the rms of all echoes, also those cut off
    gains = np.ones(12, complex)
    gains[4], gains[7] = 0.0, 1j
    faulty = simulate_echoes(1540.0, PROBE, sequence, POINTS, AMPLITUDES, element_gains=gains, **SAMPLING).samples
    assert not faulty[0, 4].any()
    assert not faulty[0, :, 4].any()
    assert np.allclose(faulty[0, 7, 7], -clean[0, 7, 7], atol=1e-5)


def test_refusals():
    sequence = full_synthetic_aperture(PROBE)
    with pytest.raises(ArgumentError, match="sampling_frequency: expected at least"):
        simulate_echoes(1540.0, PROBE, sequence, POINTS, AMPLITUDES, sampling_frequency=2e6, duration=4e-5)
    grid = Grid.from_extent(x=(-6e-3, 6e-3), z=(0.0, 15e-3), spacing=2e-4)
    with pytest.raises(ArgumentError, match="inside the medium"):
        simulate_echoes(Medium(grid, 1510.0), PROBE, sequence, POINTS, AMPLITUDES, **SAMPLING)
    with pytest.raises(ArgumentError, match="y = 0 for a 2-D medium"):
        simulate_echoes(Medium(grid, 1510.0), PROBE, sequence, [[0.0, 1e-3, 0.01]], [1.0], **SAMPLING)
    rows = Probe.row_column(3, 3, 1e-3, center_frequency=2.5e6)
    with pytest.raises(ArgumentError, match="point-like elements in a medium"):
        simulate_echoes(Medium(grid, 1510.0), rows, Transmit.single(0), POINTS, AMPLITUDES, **SAMPLING)
    with pytest.raises(ArgumentError, match="amplitudes: expected shape"):
        simulate_echoes(1540.0, PROBE, sequence, POINTS, [1.0], **SAMPLING)


def test_waves_in_space_spread_like_spheres():
    """The same pair of paths, out of the plane: amplitudes fall with r, not with its root."""
    near, far = (
        np.abs(
            simulate_echoes(1540.0, PROBE, Transmit.single(5), [[0, y, 0.02]], [1.0], **SAMPLING).samples[0, 0, 6]
        ).max()
        for y in (0.0, 1e-6)
    )
    r = [np.linalg.norm(PROBE.positions[e] - [0, 0, 0.02]) for e in (5, 6)]
    assert abs(far / near - np.sqrt(10e-3 / r[0] * 10e-3 / r[1])) < 1e-3
