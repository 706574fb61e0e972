"""Analytic: files made with known values give those values, times and places."""

import h5py
import numpy as np
import pytest
import scipy.io

import sonoray

from .io_makers import (
    ANGLES,
    FC,
    FS,
    MAKERS,
    N_ELEMENTS,
    N_SAMPLES,
    PITCH,
    full_matrix_values,
    must_param,
    ring_values,
    signal,
    write_mat73,
    write_must,
    write_picmus,
    write_pybf,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.bin"  # an extension that says nothing: content decides


@pytest.mark.parametrize("name", [n for n in MAKERS if not n.startswith(("sonoray", "image", "map"))])
def test_every_format_is_recognised_whatever_the_extension(name, tmp_path):
    for extension in (".mat", ".png", ""):
        path = tmp_path / f"x{extension}"
        MAKERS[name](path)
        assert isinstance(sonoray.read(path), sonoray.ChannelData)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_must(path, version):
    MAKERS[f"must-{version}"](path)
    data = sonoray.read(path)
    assert data.samples.dtype == np.int16 and data.samples.shape == (4, 1, N_ELEMENTS, N_SAMPLES)
    np.testing.assert_array_equal(data.samples[:, 0], signal(N_SAMPLES, N_ELEMENTS, 4).T)
    assert data.start_time[0] == 2e-6 and data.sampling_frequency == FS and data.sound_speed == 1500
    assert data.center_frequency == FC and data.demodulation_frequency == 0 and data.frame_rate == 1000
    assert data.probe.pitch == pytest.approx(PITCH) and data.probe.width == 0.25e-3
    assert data.probe.bandwidth == pytest.approx(3e6)
    assert data.transmits[0] == sonoray.Transmit.plane(0.0)


def test_must_steered_delays_become_a_plane_wave_at_the_same_instant(path):
    angle, c = 0.2, 1500.0
    x = (np.arange(N_ELEMENTS) - 2.5) * PITCH
    delays = x * np.sin(angle) / c
    delays -= delays.min()
    write_must(path, TXdelay=delays[None])
    data = sonoray.read(path)
    transmit = data.transmits[0]
    np.testing.assert_allclose(transmit.direction, [np.sin(angle), 0, np.cos(angle)], atol=1e-9)
    # On the clock of the file, every element still fires when it was told to (1e-15 s: rounding).
    fired = transmit.firing_times(data.probe, c) - data.start_time[0] + 2e-6
    np.testing.assert_allclose(fired, delays, atol=1e-15)


def test_must_iq_keeps_its_phase_on_the_shifted_clock(path):
    """The same echo in I/Q and RF: iq(t) exp(2 pi i f t) is the analytic signal on either clock."""
    x = (np.arange(N_ELEMENTS) - 2.5) * PITCH
    delays = x * np.sin(0.2) / 1500
    delays -= delays.min()
    times = 2e-6 + np.arange(N_SAMPLES) / FS
    echo = np.exp(2j * np.pi * FC * (times - 2.4e-6) - ((times - 2.4e-6) / 3e-7) ** 2)[:, None] * np.ones(N_ELEMENTS)
    write_must(path, name="IQ", rf=echo * np.exp(-2j * np.pi * FC * times)[:, None], TXdelay=delays[None])
    data = sonoray.read(path)
    again = data.samples[0, 0, 0] * np.exp(2j * np.pi * FC * data.times())
    np.testing.assert_allclose(again, echo[:, 0], atol=1e-6)  # complex64


def test_must_free_delays_subaperture_and_single_element(path):
    focused = np.array([0, 2, 3, 3, 2, 0]) * 1e-7
    part = np.where(np.arange(N_ELEMENTS) < 3, 1e-7 * np.arange(N_ELEMENTS) ** 2, np.nan)
    single = np.where(np.arange(N_ELEMENTS) == 4, 3e-7, np.nan)
    write_must(path, TXdelay=np.array([focused, part, single]), rf=signal(N_SAMPLES, N_ELEMENTS, 3))
    data = sonoray.read(path)
    assert [t.kind for t in data.transmits] == ["delays", "delays", "element"]
    assert data.samples.shape == (1, 3, N_ELEMENTS, N_SAMPLES) and data.frame_rate == pytest.approx(1000 / 3)
    np.testing.assert_array_equal(data.transmits[0].firing_times(data.probe, 1500), focused)
    np.testing.assert_array_equal(data.transmits[1].firing_times(data.probe, 1500), part)
    assert data.transmits[2].element == 4 and data.start_time[2] == pytest.approx(2e-6 - 3e-7)


@pytest.mark.parametrize("save", [scipy.io.savemat, write_mat73], ids=["v5", "v7.3"])
@pytest.mark.parametrize("kind", ["c8", "c16"])
def test_must_iq(path, save, kind):
    iq = signal(N_SAMPLES, N_ELEMENTS, 4, kind=kind) / 7
    save(path, {"IQ": iq, "param": must_param()})
    data = sonoray.read(path)
    assert data.is_iq and data.demodulation_frequency == FC and data.samples.dtype == np.complex64
    np.testing.assert_array_equal(data.samples[:, 0], iq.T.astype("c8"))


def test_a_file_that_is_open_elsewhere_can_be_read(path):
    write_picmus(path)
    with h5py.File(path):
        assert sonoray.read(path).n_tx == 3


def test_must_iq_convex_and_nested_parameters(path):
    iq = signal(N_SAMPLES, N_ELEMENTS, kind="c8")
    radius = 0.05
    nested = {
        "xdcr": {"fc": FC, "pitch": PITCH, "radius": radius, "kerf": 5e-5},
        "medium": {"c": 1450.0},
        "tx": {"delay": np.zeros((1, N_ELEMENTS)) + np.arange(N_ELEMENTS) ** 2 * 1e-8},
        "rx": {"fs": FS, "t0": 1e-6},
    }
    scipy.io.savemat(path, {"IQ": iq, "param": nested})
    data = sonoray.read(path)
    assert data.is_iq and data.demodulation_frequency == FC and data.sound_speed == 1450
    np.testing.assert_array_equal(data.samples[0, 0], iq.T)
    p = data.probe.positions
    assert p[0, 2] == pytest.approx(0, abs=1e-12) and p[2, 2] > 0  # chord at z = 0
    np.testing.assert_allclose(np.linalg.norm(np.diff(p, axis=0), axis=1), PITCH, rtol=1e-9)
    height = np.sqrt(radius**2 - p[0, 0] ** 2)
    np.testing.assert_allclose(np.linalg.norm(p + np.array([0, 0, height]), axis=1), radius, rtol=1e-12)
    assert data.probe.width == pytest.approx(PITCH - 5e-5)


def test_must_options_replace_what_the_file_lacks(path):
    param = must_param()
    del param["TXdelay"]
    scipy.io.savemat(path, {"RF": signal(N_SAMPLES, N_ELEMENTS, 2), "param": param})
    with pytest.raises(sonoray.FormatError, match="TXdelay.*angles="):
        sonoray.read(path)
    data = sonoray.read(path, angles=[0.1, -0.1], sound_speed=1600, start_time=0.0, center_frequency=4e6)
    assert (data.sound_speed, data.start_time[0], data.center_frequency, data.n_tx) == (1600, 0, 4e6, 2)
    for wrong in ({"center_frequency": 5.0}, {"sound_speed": 1.5}, {"angles": [12.0, 3.0]}, {"no_such": 1}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))) as caught:
            sonoray.read(path, **wrong)
        assert not isinstance(caught.value, sonoray.FormatError)


def test_picmus(path):
    write_picmus(path)
    data = sonoray.read(path, center_frequency=5.208e6)
    np.testing.assert_array_equal(data.samples[0], signal(3, N_ELEMENTS, N_SAMPLES, kind="f4"))
    assert not data.is_iq and data.center_frequency == 5.208e6 and data.frame_rate == pytest.approx(100)
    np.testing.assert_allclose([np.arctan2(t.direction[0], t.direction[2]) for t in data.transmits], ANGLES, atol=1e-7)
    np.testing.assert_allclose(data.start_time, 1e-6, rtol=1e-6)
    assert data.probe.kind == "linear" and data.probe.pitch == pytest.approx(PITCH, rel=1e-5)
    write_picmus(path, iq=True)
    iq = sonoray.read(path)
    assert iq.is_iq and iq.demodulation_frequency == FC
    np.testing.assert_array_equal(iq.samples[0].imag, signal(3, N_ELEMENTS, N_SAMPLES, kind="f4", seed=1))
    write_picmus(path, iq=True, modulation_frequency=np.zeros(1))
    with pytest.raises(sonoray.FormatError, match="demodulation_frequency="):
        sonoray.read(path)


def test_pybf_simulated_and_measured_clocks(path):
    write_pybf(path)
    data = sonoray.read(path)
    np.testing.assert_array_equal(data.samples[1, 2], signal(N_ELEMENTS, N_SAMPLES, seed=23))
    np.testing.assert_array_equal(data.start_time, -3e-6)
    np.testing.assert_array_equal(sonoray.read_scatterers(path), np.arange(12.0).reshape(3, 4).T / 1e3)
    assert data.probe.bandwidth == pytest.approx(0.7 * FC) and data.frame_rate == 25
    write_pybf(path, measured=True)
    data = sonoray.read(path, sound_speed=1500)
    # Counted from the first firing element: on that clock the earliest element fires at zero.
    for tx, transmit in enumerate(data.transmits):
        earliest = transmit.firing_times(data.probe, 1500).min() - data.start_time[tx] + 4e-6
        assert earliest == pytest.approx(0, abs=1e-15)
    with pytest.raises(sonoray.FormatError, match="scatterers"):
        sonoray.read_scatterers(path)


def test_pybf_shots_are_in_the_order_of_their_numbers(path):
    angles = np.linspace(-0.2, 0.2, 12)  # shot_10 sorts before shot_2 as text
    write_pybf(path, angles=angles)
    data = sonoray.read(path)
    np.testing.assert_array_equal(data.samples[0, 9], signal(N_ELEMENTS, N_SAMPLES, seed=20))


@pytest.mark.parametrize("save", [scipy.io.savemat, write_mat73], ids=["v5", "v7.3"])
@pytest.mark.parametrize("half", [True, False])
def test_full_matrix_is_filled_by_reciprocity(path, half, save):
    save(path, full_matrix_values(half=half))
    data = sonoray.read(path)
    i, j = np.indices((N_ELEMENTS, N_ELEMENTS))
    expected = (100 * np.minimum(i, j) + np.maximum(i, j))[..., None] + np.arange(N_SAMPLES) / 64
    np.testing.assert_array_equal(data.samples[0], expected.astype("f4"))
    assert [t.element for t in data.transmits] == list(range(N_ELEMENTS))
    assert data.sampling_frequency == FS and data.start_time[3] == 5e-6 and data.sound_speed == 6300
    assert data.probe.width == pytest.approx(2e-4) and data.probe.height == pytest.approx(1e-2)


def test_full_matrix_of_shuffled_and_missing_traces(path):
    values = full_matrix_values()["exp_data"]
    order = np.random.default_rng(1).permutation(len(values["tx"]))
    for name in ("tx", "rx"):
        values[name] = values[name][order]
    values["time_data"] = values["time_data"][:, order]
    scipy.io.savemat(path, {"exp_data": values})
    whole = sonoray.read(path)
    assert whole.samples[0, 4, 1, 0] == 104
    keep = ~((values["tx"] == 1) & (values["rx"] == 6))  # transmits 1 and 6 lose a trace for good
    for name in ("tx", "rx"):
        values[name] = values[name][keep]
    values["time_data"] = values["time_data"][:, keep]
    scipy.io.savemat(path, {"exp_data": values})
    assert [t.element for t in sonoray.read(path).transmits] == [1, 2, 3, 4]


@pytest.mark.parametrize("save", [scipy.io.savemat, write_mat73], ids=["v5", "v7.3"])
def test_ring(path, save):
    values = ring_values()
    save(path, values)
    data = sonoray.read(path)
    np.testing.assert_array_equal(data.samples[0], values["full_dataset"].T)
    np.testing.assert_array_equal(data.probe.positions[:, [0, 2]].T, values["transducerPositionsXY"])
    toward = np.array([1e-3, 0, 2e-3]) - data.probe.positions  # the ring is centred there, not on the origin
    np.testing.assert_allclose(data.probe.normals, toward / np.linalg.norm(toward, axis=1, keepdims=True), atol=1e-9)
    assert data.sound_speed == 1485 and data.sampling_frequency == FS and data.start_time[0] == 0
    water = sonoray.read(path, dataset="water", scale=True)
    assert [t.element for t in water.transmits] == [1, 4] and water.samples.dtype == np.float32
    np.testing.assert_array_equal(water.samples[0], 2.0 * values["water_dataset"].T)
    part = sonoray.read(path, transmits=[6, 0])
    np.testing.assert_array_equal(part.samples, data.samples[:, [6, 0]])
    assert [t.element for t in part.transmits] == [6, 0]
    medium = sonoray.read_medium(path)
    assert medium.grid.shape == (5, 7) and medium.sound_speed[4, 2] == values["C"][2, 4]
    np.testing.assert_allclose(medium.grid.z, values["yi_orig"], atol=1e-15)


@pytest.mark.parametrize("save", [scipy.io.savemat, write_mat73], ids=["v5", "v7.3"])
def test_ring_with_a_subset_of_transmits(path, save):
    index = np.array([1.0, 3.0, 8.0])
    full = signal(N_SAMPLES, 8, 8)
    for stored in (full, full[:, :, [0, 2, 7]]):  # zero-filled elsewhere, or only those stored
        save(path, ring_values(full_dataset=stored, tx_index=index))
        data = sonoray.read(path)
        assert [t.element for t in data.transmits] == [0, 2, 7]
        np.testing.assert_array_equal(data.samples[0], full.T[[0, 2, 7]])
    with pytest.raises(sonoray.ArgumentError, match="transmits"):
        sonoray.read(path, transmits=[3])


def test_a_format_can_be_named_or_added(path, monkeypatch):
    write_must(path)
    assert sonoray.read(path, format="must").n_frames == 4
    with pytest.raises(sonoray.FormatError):
        sonoray.read(path, format="ring")
    with pytest.raises(sonoray.ArgumentError, match="format"):
        sonoray.read(path, format="doc")

    def sniff(file):
        return file.header.startswith(b"MINE")

    def read(file, *, twice=False):
        return file.path.read_bytes()[4:] * (2 if twice else 1)

    monkeypatch.setattr(sonoray.io.registry, "_FORMATS", sonoray.io.formats())
    sonoray.io.register(sonoray.io.Format("mine", "a test", sniff, read))
    path.write_bytes(b"MINEabc")
    assert sonoray.read(path) == b"abc" and sonoray.read(path, twice=True) == b"abcabc"
    with pytest.raises(sonoray.ArgumentError, match="mine"):
        sonoray.io.register(sonoray.io.Format("mine", "again", sniff, read))
