"""One speed from a few transmits: known speeds of closed-form echoes, real data, and what cannot be told."""

import numpy as np
import pytest
import scipy.ndimage

import sonoray
from sonoray import ArgumentError, ChannelData, Probe, Sampling, Transmit, full_synthetic_aperture, plane_waves
from sonoray.acquisition.encoding import encode
from sonoray.autofocus.aperture_autocorrelation import Autocorrelation
from sonoray.autofocus.global_speed import estimate_sound_speed

FC = 2.5e6
LINEAR = Probe.linear(48, 0.45e-3, width=0.4e-3, center_frequency=FC)
PHASED = Probe.phased(48, 0.31e-3, width=0.28e-3, center_frequency=FC)
CURVED = Probe.curvilinear(48, 0.5e-3, 30e-3, width=0.45e-3, center_frequency=FC)
THREE = plane_waves(np.deg2rad([0.0, -9.0, 9.0]))
SPREAD = [Transmit.diverging((x, 0.0, -12e-3)) for x in (-8e-3, 0.0, 8e-3)]


class Scatterers:
    def __init__(self, points):
        self._points = points
        self.shape = (len(points),)

    def points(self):
        return self._points


def echoes(
    c,
    probe=LINEAR,
    transmits=THREE,
    *,
    n=6000,
    depth=30e-3,
    width=40e-3,
    points=None,
    sequence=1540.0,
    seed=0,
    alike=False,
):
    """I/Q of random scatterers (or points) in a medium of speed ``c``, by the adjoint of delay-and-sum."""
    rng = np.random.default_rng(0)
    if points is None:
        points = rng.uniform((-width / 2, 0, 2e-3), (width / 2, 0, depth), (n, 3))
    paths = sonoray.arrivals(transmits, probe, Scatterers(points), c, sequence_sound_speed=sequence, weighting="beam")
    fs = 6 * FC * c / 1540
    sampling = Sampling(fs, int(2.3 * depth / c * fs), FC * c / 1540)
    beamformer = sonoray.Beamformer(paths, sampling, f_number=None, compounding="none", interpolation="cubic")
    strength = np.ones((2, len(points)), "f4") if alike else rng.standard_normal((2, len(points))).astype("f4")
    image = np.broadcast_to(strength[0] + 1j * strength[1], (1, len(transmits), len(points))).astype("c8")
    samples = scipy.ndimage.gaussian_filter1d(beamformer.adjoint(np.ascontiguousarray(image)), 3.0, axis=-1)
    return ChannelData(
        samples,
        probe,
        transmits,
        fs,
        demodulation_frequency=sampling.demodulation_frequency,
        sound_speed=sequence,
    )


@pytest.mark.parametrize("c", [1440.0, 1523.0, 1660.0])
@pytest.mark.parametrize(
    ("probe", "transmits"),
    [
        (LINEAR, THREE),
        (LINEAR, [Transmit.single(e) for e in (8, 24, 40)]),
        (PHASED, SPREAD),
        (CURVED, SPREAD),
        (LINEAR, [Transmit.focused((x, 0.0, 22e-3)) for x in (-6e-3, -2e-3, 2e-3, 6e-3)]),
    ],
    ids=["plane", "elements", "phased", "curved", "focused"],
)
def test_speckle_of_known_speed_by_transmits_from_several_directions(c, probe, transmits):
    found = estimate_sound_speed(echoes(c, probe, transmits))
    assert found.method == "transmit_coherence"
    assert abs(found.sound_speed - c) < max(3.0, 3 * found.uncertainty) < 20


def test_the_sequences_own_speed_only_fires_the_elements():
    found = [estimate_sound_speed(echoes(1600.0, sequence=s)).sound_speed for s in (1450.0, 1700.0)]
    np.testing.assert_allclose(found, 1600.0, atol=3.0)


def test_rf_and_iq_agree():
    iq = echoes(1500.0)
    rf = sonoray.remodulate(iq)
    a, b = estimate_sound_speed(iq), estimate_sound_speed(rf.with_(center_frequency=FC * 1500 / 1540))
    assert a.sound_speed == pytest.approx(b.sound_speed, abs=1.0)


def test_metal_by_a_full_matrix():
    probe = Probe.linear(32, 0.6e-3, width=0.5e-3, center_frequency=FC * 4)
    found = estimate_sound_speed(echoes(6200.0, probe, full_synthetic_aperture(probe)[::4]), limits=(5000.0, 7000.0))
    assert abs(found.sound_speed - 6200.0) < 15.0  # as 3 m/s in tissue


def test_one_wave_on_points_is_sharpest_at_the_speed():
    points = np.random.default_rng(2).uniform((-0.01, 0, 0.006), (0.01, 0, 0.028), (60, 3))
    found = estimate_sound_speed(echoes(1490.0, transmits=THREE[:1], points=points))
    assert found.method == "sharpness"
    assert abs(found.sound_speed - 1490.0) < 6.0 < 2 * found.uncertainty  # one wave, 60 echoes of random phase


def lit_speckle(c, seed=0):
    """One plane wave's echoes from a lit strip of scatterers: cylindrical spreading, strips with sqrt(cos) power."""
    rng = np.random.default_rng(seed)
    half = 0.5 * LINEAR.aperture + 0.5 * LINEAR.pitch
    x, z = rng.uniform((-half, 1e-3), (half, 34e-3), (5000, 2)).T
    strength = rng.standard_normal(len(x)) + 1j * rng.standard_normal(len(x))
    fs, n = 10e6, 460
    f = np.arange(1.2e6, 3.8e6, fs / 600)
    spectrum = np.zeros((48, len(f)), complex)
    pulse = np.exp(-0.5 * ((f - FC) / 0.5e6) ** 2)
    for e, at in enumerate(LINEAR.positions[:, 0]):
        r = np.hypot(x - at, z)
        factor = np.exp(-2j * np.pi * (f[1] - f[0]) * (z + r) / c)
        wave = strength * (z / r) ** 0.25 / np.sqrt(r) * np.exp(-2j * np.pi * f[0] * (z + r) / c)
        for i, frequency in enumerate(f):
            spectrum[e, i] = pulse[i] * np.sum(wave * np.sinc(LINEAR.width * frequency / c * (x - at) / r))
            wave = wave * factor
    samples = (spectrum @ np.exp(2j * np.pi * (f - FC)[:, None] * np.arange(n) / fs)).astype("c8")
    return ChannelData(samples[None, None], LINEAR, THREE[:1], fs, demodulation_frequency=FC)


def test_one_wave_on_speckle_tells_the_speed_by_statistics():
    found = estimate_sound_speed(lit_speckle(1600.0))
    assert found.method == "aperture_autocorrelation"
    assert 3.0 < found.uncertainty < 40.0
    # nothing but its statistics tells; 1540 m/s is four standard deviations away
    assert abs(found.sound_speed - 1600.0) < 45.0


def test_a_line_by_line_sequence_is_decoded():
    lines = [Transmit.focused((x, 0.0, 18e-3)) for x in np.linspace(-8e-3, 8e-3, 40)]
    found = estimate_sound_speed(encode(echoes(1480.0, transmits=full_synthetic_aperture(LINEAR), n=2000), lines))
    assert abs(found.sound_speed - 1480.0) < 3.0


def test_frames_and_transmits_are_thinned_not_refused():
    data = echoes(1550.0, transmits=plane_waves(np.deg2rad(np.linspace(-10, 10, 15))), n=3000)
    many = data.with_(samples=np.repeat(data.samples, 11, axis=0))
    assert abs(estimate_sound_speed(many).sound_speed - 1550.0) < 3.0


def test_curve_is_the_criterion_over_the_limits():
    found = estimate_sound_speed(echoes(1520.0, n=2000), limits=(1450.0, 1600.0))
    speeds, values = found.curve
    assert speeds[0] == pytest.approx(1450.0) and 1600 <= speeds[-1] < 1612
    assert abs(speeds[values.argmax()] - found.sound_speed) < 10


@pytest.mark.parametrize(
    ("path", "limits", "low", "high"),
    [
        ("pybf-field2-3pw/rf_dataset.hdf5", (1350.0, 1700.0), 1535.0, 1545.0),  # Field II, 1540
        ("arim-fmc-aluminium/exp_data.mat7.mat", (5000.0, 7000.0), 6150.0, 6400.0),  # about 6300
        ("muscle-invivo-pw/rf_dataset.hdf5", (1350.0, 1700.0), 1500.0, 1600.0),  # calf
    ],
)
def test_recordings_of_others(real_data, path, limits, low, high):
    assert low < estimate_sound_speed(sonoray.read(real_data(path)), limits=limits).sound_speed < high


def test_what_cannot_be_told_is_refused():
    speckle = echoes(1540.0, transmits=THREE[:1], n=20000)
    with pytest.raises(ArgumentError, match="silence"):
        estimate_sound_speed(speckle.with_(samples=np.zeros_like(speckle.samples)))
    with pytest.raises(ArgumentError, match="limits: .* rises to the limit at 1451"):
        estimate_sound_speed(echoes(1540.0), limits=(1350.0, 1450.0))
    with pytest.raises(ArgumentError, match="'sharpness' expects structure"):
        estimate_sound_speed(speckle, method="sharpness")
    with pytest.raises(ArgumentError, match="from at least two directions, got one"):
        estimate_sound_speed(speckle, method="transmit_coherence")
    walls = np.stack(np.meshgrid(np.linspace(-0.012, 0.012, 120), [0.0], np.linspace(6e-3, 28e-3, 9)), -1).reshape(
        -1, 3
    )
    data = echoes(1540.0, transmits=THREE[:1], points=walls.reshape(-1, 3), alike=True)
    with pytest.raises(ArgumentError, match="'aperture_autocorrelation' expects speckle"):
        estimate_sound_speed(data, method="aperture_autocorrelation")
    with pytest.raises(ArgumentError, match="elements along x"):
        estimate_sound_speed(echoes(1540.0, CURVED, SPREAD, n=500), method="aperture_autocorrelation")
    with pytest.raises(ArgumentError, match="expects plane waves"):
        estimate_sound_speed(echoes(1540.0, LINEAR, SPREAD, n=500), method="aperture_autocorrelation")


def test_bad_arguments_are_named():
    data = echoes(1540.0, n=100)
    with pytest.raises(ArgumentError, match="method: expected one of"):
        estimate_sound_speed(data, method="best")
    with pytest.raises(ArgumentError, match="limits: expected rising"):
        estimate_sound_speed(data, limits=(1600.0, 1500.0))
    with pytest.raises(ArgumentError, match=r"limits: .*m/s"):
        estimate_sound_speed(data, limits=(1.4, 1.7))
    with pytest.raises(ArgumentError, match="f_number: expected"):
        estimate_sound_speed(data, f_number=0)
    with pytest.raises(ArgumentError, match=r"depth: .*is it really in m"):
        estimate_sound_speed(data, depth=(5.0, 30.0))
    with pytest.raises(ArgumentError, match="at least eight wavelengths"):
        estimate_sound_speed(data, depth=(5e-3, 6e-3))
    few = Probe.linear(4, 0.3e-3, center_frequency=FC)
    with pytest.raises(ArgumentError, match="at least 8 elements, got 4"):
        estimate_sound_speed(echoes(1540.0, few, plane_waves([0.0, 0.1]), n=100))


def test_expected_power_is_what_the_aperture_hears_on_average():
    part = Autocorrelation.of(lit_speckle(1540.0, seed=3), 0)
    expected = part._expected(part._visible_pairs(1540.0), 1540.0, 0.0)
    shares = []
    for power in (part.power, expected):
        both = power[:, :48] + power[:, :47:-1]  # left and right alike
        share = (both / both.sum(axis=1, keepdims=True)).mean(axis=(0, 2)).reshape(8, 6).sum(axis=1)
        shares.append(share)
    # eighths of the range of wavenumbers; 20 windows of 48 elements leave 1 % of randomness
    np.testing.assert_allclose(*shares, atol=0.02)
