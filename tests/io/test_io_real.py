"""Peer: conventions of the readers hold on public sets, seen by where a plain delay-and-sum puts known targets.

The sets are in the folder that SONORAY_DATA names, or come with ``sonoray data get``; tests skip without them.
"""

import numpy as np
import pytest
import scipy.io
from scipy.signal import butter, hilbert, sosfiltfilt

import sonoray


def dataset(name):
    path = sonoray.datasets.find(name)
    if path is None:
        pytest.skip(f"{name} is not here: set SONORAY_DATA, or sonoray.datasets.get({name!r})")
    return path


def analytic(data, tx, band=None):
    """Analytic signal (n_rx, n_samples) of the first frame."""
    trace = data.samples[0, tx].astype(float)
    trace -= trace.mean(axis=1, keepdims=True)
    if band is not None:
        trace = sosfiltfilt(butter(3, band, "bandpass", fs=data.sampling_frequency, output="sos"), trace, axis=1)
    return hilbert(trace, axis=1)


def delay_and_sum(data, points, *, f_number=1.5, band=None):
    """Slow and plain, from `Transmit.firing_times` alone: complex image at points (n, 3)."""
    c, image = data.sound_speed, np.zeros(len(points), complex)
    to_rx = np.linalg.norm(points[:, None] - data.probe.positions, axis=2)
    inside = np.abs(points[:, :1] - data.probe.positions[:, 0]) <= points[:, 2:] / (2 * f_number)
    for tx, transmit in enumerate(data.transmits):
        signal = analytic(data, tx, band)
        if transmit.kind == "plane":
            arrives = (points - transmit.origin) @ transmit.direction / c
        else:
            arrives = np.linalg.norm(points - data.probe.positions[transmit.element], axis=1) / c
        k = (arrives[:, None] + to_rx / c - data.start_time[tx]) * data.sampling_frequency
        ok = inside & (k >= 0) & (k < data.n_samples - 1)
        i = np.where(ok, k, 0).astype(int)
        w, rx = k - i, np.arange(data.n_rx)
        image += np.where(ok, (1 - w) * signal[rx, i] + w * signal[rx, i + 1], 0).sum(axis=1)
    return image


def patch(x, z, half, step):
    grid = sonoray.Grid.from_extent(x=(x - half, x + half), z=(z - half, z + half), spacing=step)
    return grid, grid.points().reshape(-1, 3)


def brightest(data, x, z, half, step, **options):
    """Position (x, z) of the maximum in a square around (x, z)."""
    _, points = patch(x, z, half, step)
    return points[np.abs(delay_and_sum(data, points, **options)).argmax()][[0, 2]]


def test_pybf_scatterers_lie_where_they_are_listed():
    path = dataset("pybf-field2-3pw")
    data, scatterers = sonoray.read(path), sonoray.read_scatterers(path)
    assert scatterers.shape == (2748, 3) and data.samples.shape == (1, 3, 192, 2313)
    # Points that stand apart: 0.9 mm is three wavelengths.
    plane = scatterers[:, [0, 2]]
    gap = np.array([np.partition(np.linalg.norm(plane - p, axis=1), 1)[1] for p in plane])
    apart = (gap > 0.9e-3) & (np.abs(plane[:, 0]) > 1e-3) & (np.abs(plane[:, 0]) < 0.015)
    chosen = plane[apart & (plane[:, 1] > 0.01) & (plane[:, 1] < 0.045)][::7]
    assert len(chosen) >= 8
    for x, z in chosen:
        found = brightest(data, x, z, 0.4e-3, 4e-5)
        assert np.abs(found - (x, z)).max() < 0.15e-3


def test_pybf_angle_sign_and_origin_are_the_coherent_ones():
    data = sonoray.read(dataset("pybf-field2-3pw"))
    scatterers = sonoray.read_scatterers(dataset("pybf-field2-3pw"))[:, [0, 2]]
    inside = scatterers[(np.abs(scatterers[:, 0]) < 0.01) & (scatterers[:, 1] > 0.015) & (scatterers[:, 1] < 0.05)][::8]
    points = np.insert(inside, 1, 0, axis=1)

    def coherence(d):
        parts = [delay_and_sum(d.select(transmits=[i]), points) for i in range(3)]
        return np.mean(np.abs(sum(parts)) / sum(np.abs(p) for p in parts))

    flipped = data.with_(transmits=tuple(reversed(data.transmits)))
    first = 0.5 * data.probe.aperture * np.abs([t.direction[0] for t in data.transmits]) / data.sound_speed
    shifted = data.with_(start_time=data.start_time - first)
    assert coherence(data) > 1.05 * max(coherence(flipped), coherence(shifted))


def test_aluminium_notch_and_back_wall():
    data = sonoray.read(dataset("arim-fmc-aluminium/contact_notch_aluminium.mat"))
    assert data.sound_speed == 6300 and data.n_tx == 64 and data.probe.pitch == pytest.approx(0.3e-3)
    few = data.select(transmits=slice(0, 64, 4))  # enough for a focus, a quarter of the time
    x, z = brightest(few, 7e-3, 20e-3, 3e-3, 0.25e-3, f_number=0.7, band=(2e6, 8e6))
    assert abs(x - 7e-3) < 1e-3 and abs(z - 20e-3) < 1e-3  # half a wavelength is 0.63 mm
    depth = np.arange(30e-3, 45e-3, 0.1e-3)
    line = np.abs(delay_and_sum(few, np.stack([0 * depth - 4e-3, 0 * depth, depth], 1), f_number=0.7, band=(2e6, 8e6)))
    assert abs(depth[line.argmax()] - 40e-3) < 1e-3


def test_the_other_aluminium_block_starts_late():
    data = sonoray.read(dataset("arim-fmc-aluminium/exp_data.mat7.mat"))
    assert data.start_time[0] == pytest.approx(5e-6) and data.probe.pitch == pytest.approx(0.63e-3)
    np.testing.assert_array_equal(data.samples[0], data.samples[0].transpose(1, 0, 2))


def test_rotating_disk_is_kept_as_undersampled_rf():
    data = sonoray.read(dataset("must-rotating-disk"))
    assert data.samples.shape == (32, 1, 128, 334) and data.samples.dtype == np.int16 and not data.is_iq
    assert data.center_frequency == 5e6 and data.sampling_frequency == pytest.approx(4 / 3 * 5e6)
    assert data.sound_speed == 1480 and data.frame_rate == 1e4
    np.testing.assert_allclose(data.start_time, 9.95e-6)
    np.testing.assert_allclose(data.transmits[0].direction, [0, 0, 1])
    # The disk lies between 10 and 35 mm: its echoes carry the energy of the middle element.
    energy = data.samples[0, 0, 64].astype(float) ** 2
    depth = data.times() * data.sound_speed / 2
    inside = (depth > 10e-3) & (depth < 36e-3)
    assert energy[inside].mean() > 10 * energy[~inside].mean()


def test_rotating_disk_gives_the_picture_of_its_authors():
    data = sonoray.read(dataset("must-rotating-disk"))
    picture = scipy.io.loadmat(dataset("must-rotating-disk/bmode_PWI_disk.mat"))["I"][::3, ::3, 0]
    fc, times = data.center_frequency, data.times()
    low = butter(5, 0.5, output="sos")
    iq = sosfiltfilt(low, data.samples[0, 0] * np.exp(-2j * np.pi * fc * times), axis=1)
    columns, rows = np.linspace(-12.5e-3, 12.5e-3, 251)[::3], np.linspace(10e-3, 35e-3, 251)[::3]
    x, z = (axis.ravel() for axis in np.meshgrid(columns, rows))

    def likeness(late):
        image = np.zeros(x.size, complex)
        for element, position in enumerate(data.probe.positions[:, 0]):
            tau = (z + np.hypot(x - position, z)) / data.sound_speed + late
            value = np.interp(tau, times, iq[element].real) + 1j * np.interp(tau, times, iq[element].imag)
            image += np.where(np.abs(x - position) <= z / 3, value * np.exp(2j * np.pi * fc * tau), 0)
        level = (20 * np.log10(np.abs(image) / np.abs(image).max() + 1e-9)).clip(-30, 0)
        return np.corrcoef(level, picture.ravel())[0, 1]

    # The speckle itself agrees, and best on the reader's clock: 0.88, and 0.81 three periods early or late.
    right = likeness(0.0)
    assert right > 0.86 and right > 0.04 + max(likeness(-6e-7), likeness(6e-7))


def test_muscle():
    data = sonoray.read(dataset("muscle-invivo-pw"))
    assert data.samples.shape == (2, 1, 192, 1408) and data.samples.dtype == np.float32
    assert data.start_time[0] == 0 and data.probe.bandwidth == pytest.approx(3.975e6)
    # The deep aponeurosis runs from (-22, 20) to (22, 24) mm; on the axis it is near 22 mm.
    depth = np.arange(16e-3, 28e-3, 0.2e-3)
    lines = [
        delay_and_sum(data, np.stack([0 * depth + x, 0 * depth, depth], 1)) for x in np.arange(-2e-3, 2.1e-3, 5e-4)
    ]
    brightness = np.mean(np.abs(lines), axis=0)
    assert abs(depth[brightness.argmax()] - 22e-3) < 1.5e-3


def ring(name):
    for folder in sonoray.datasets.folders():
        if (folder / "ring-simulated" / name).is_file():
            return folder / "ring-simulated" / name
    pytest.skip(f"ring-simulated/{name} is not in the data folder")


def test_ring_arrivals_in_water_are_at_distance_over_sound_speed():
    data = sonoray.read(ring("vsx_like_64.mat"), dataset="water")
    tx = data.transmits[0].element
    distance = np.linalg.norm(data.probe.positions - data.probe.positions[tx], axis=1)
    far = np.flatnonzero(distance > 0.05)
    traces = data.samples[0, 0, far].astype(float)
    onset = (np.abs(traces) > 0.05 * np.abs(traces).max(axis=1, keepdims=True)).argmax(axis=1)
    late = data.times()[onset] - distance[far] / data.sound_speed
    # The minimum-phase pulse (0.2 to 1.1 MHz) reaches 5 % within half a microsecond; never before it can arrive.
    assert late.min() > -0.2e-6 and late.max() < 0.7e-6


def test_ring_medium_and_subset():
    medium = sonoray.read_medium(ring("vsx_like_64.mat"))
    for x, z, c in ((-16, 12, 1475), (18, 14, 1545), (-6, -22, 1460), (22, -14, 1520), (4, 4, 1555)):
        i, k = (int(np.abs(axis - mm * 1e-3).argmin()) for axis, mm in ((medium.grid.x, x), (medium.grid.z, z)))
        assert medium.sound_speed[i, k] == pytest.approx(c, abs=1)
    data = sonoray.read(ring("breast_ct_128x256.mat"), transmits=[0, 1, 127])
    assert [t.element for t in data.transmits] == [0, 2, 254] and data.samples.shape == (1, 3, 256, 851)
    assert all(data.samples[0, i].any() for i in range(3))
    # Reciprocity of elements 0 and 2: the solver's error is 2e-6, the counts are whole numbers.
    a, b = data.samples[0, 0, 2].astype(float), data.samples[0, 1, 0].astype(float)
    assert np.abs(a - b).max() <= 1 + 1e-4 * np.abs(a).max()


@pytest.mark.parametrize(
    "name", ["must-rotating-disk/bmode_PWI_disk.mat", "abdominal-wall-map", "phantom-verasonics-beamformed"]
)
def test_what_is_no_channel_data_is_refused_with_a_reason(name):
    with pytest.raises(sonoray.FormatError, match=r"expected one of the formats .* got"):
        sonoray.read(dataset(name))
