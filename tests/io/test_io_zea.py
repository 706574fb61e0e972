"""zea: both layouts, its clock and phase, and zea's own formula on what we write."""

import h5py
import numpy as np
import pytest

import sonoray

from .io_makers import FC, FS, N_ELEMENTS, N_SAMPLES, PITCH, channel_data, signal, write_zea

C = 1500.0


@pytest.mark.parametrize("tracks", [False, True])
def test_both_layouts(tmp_path, tracks):
    write_zea(tmp_path / "a", tracks=tracks)
    data = sonoray.read(tmp_path / "a")
    assert data.samples.shape == (2, 4, N_ELEMENTS, N_SAMPLES) and data.samples.dtype == np.int16
    np.testing.assert_array_equal(data.samples, signal(2, 4, N_SAMPLES, N_ELEMENTS).swapaxes(2, 3))
    plane, focused, single, free = data.transmits
    np.testing.assert_allclose(plane.direction, [np.sin(0.2), 0, np.cos(0.2)], atol=1e-5)
    np.testing.assert_allclose(focused.focus, [0.02 * np.sin(0.1), 0, 0.02 * np.cos(0.1)], atol=1e-8)
    assert single.element == 3 and free.kind == "delays"
    np.testing.assert_array_equal(free.weights(data.probe), [1, 1, 0, 1, 1, -1])
    with h5py.File(tmp_path / "a") as file:
        scan = file["tracks/track_0/scan" if tracks else "scan"]
        for i, transmit in enumerate(data.transmits):
            on = scan["tx_apodizations"][i] != 0
            fired = transmit.firing_times(data.probe, C) - data.start_time[i] + scan["initial_times"][i]
            # 1 ns is what the delays may differ from a named wave, single precision of them far less.
            np.testing.assert_allclose(fired[on], scan["t0_delays"][i][on], atol=1e-11)
    assert data.probe.name == "L7-4" and data.sound_speed == C and data.center_frequency == FC
    one = sonoray.read(tmp_path / "a", frame=1)
    np.testing.assert_array_equal(one.samples[0], data.samples[1])


def test_the_peak_of_the_pulse_is_the_echo(tmp_path):
    write_zea(tmp_path / "a")
    plain = sonoray.read(tmp_path / "a")
    times = np.arange(500) / 250e6
    pulse = np.exp(-(((times - 6e-7) / 1e-7) ** 2)) * np.cos(2 * np.pi * FC * (times - 6e-7))
    with h5py.File(tmp_path / "a", "r+") as file:
        file["scan/waveforms_two_way/waveform_000"] = pulse
        file["scan/tx_waveform_indices"] = np.zeros(4)
    np.testing.assert_allclose(sonoray.read(tmp_path / "a").start_time, plain.start_time - 6e-7, atol=1e-12)
    np.testing.assert_allclose(sonoray.read(tmp_path / "a", peak_time=0.0).start_time, plain.start_time)
    with h5py.File(tmp_path / "a", "r+") as file:
        del file["scan/waveforms_two_way"]
        file["scan/waveforms_two_way"] = np.tile(pulse, (4, 1))
    np.testing.assert_allclose(sonoray.read(tmp_path / "a").start_time, plain.start_time - 6e-7, atol=1e-12)


@pytest.mark.parametrize("kind", ["i2", "f4", "c8"])
def test_round_trip_and_zeas_formula(tmp_path, kind):
    probe = sonoray.Probe.linear(N_ELEMENTS, PITCH, width=2e-4)
    transmits = (
        sonoray.Transmit.plane(-0.3, origin=[1e-3, 0, 0]),
        sonoray.Transmit.diverging([1e-3, 0, -9e-3]),
        sonoray.Transmit.focused([2e-3, 0, 0.025], apodization=[0, 1, 1, 1, 1, 0]),
        sonoray.Transmit.single(2),
        sonoray.Transmit.free(np.array([0, 3, 1, 4, 1, 5]) * 1e-7),
    )
    samples = signal(2, 5, N_ELEMENTS, N_SAMPLES, kind=kind)
    data = sonoray.ChannelData(
        samples, probe, transmits, FS, start_time=1e-6 + np.arange(5) * 1e-7, sound_speed=C, center_frequency=FC,
        demodulation_frequency=FC if kind == "c8" else 0.0, frame_rate=10.0,
    )  # fmt: skip
    sonoray.write(tmp_path / "a", data, format="zea")
    with h5py.File(tmp_path / "a") as file:
        assert file["data/raw_data"].shape == (2, 5, N_SAMPLES, N_ELEMENTS, 2 if kind == "c8" else 1)
        begin, delays = file["scan/initial_times"][()], file["scan/t0_delays"][()]
        raw = file["data/raw_data"][()].astype(float)
        assert (delays >= 0).all()
    back = sonoray.read(tmp_path / "a")
    assert [t.kind for t in back.transmits] == [t.kind for t in transmits]
    assert back.samples.dtype == data.samples.dtype and back.frame_rate == pytest.approx(10)
    for i, (mine, theirs) in enumerate(zip(transmits, back.transmits, strict=True)):
        # Single precision: 1e-11 s of microseconds.
        fired = theirs.firing_times(probe, C) - back.start_time[i]
        np.testing.assert_allclose(fired, mine.firing_times(probe, C) - data.start_time[i], atol=2e-11)
        if kind == "c8":
            # zea turns the I/Q of an echo at tau by exp(2 pi i f (tau - initial time)), tau on its own clock.
            tau = 3e-6
            on_zeas = tau - np.nanmin(mine.firing_times(probe, C))
            zea = (raw[:, i, :, :, 0] + 1j * raw[:, i, :, :, 1]) * np.exp(2j * np.pi * FC * (on_zeas - begin[i]))
            ours = data.samples[:, i].swapaxes(1, 2) * np.exp(2j * np.pi * FC * tau)
            np.testing.assert_allclose(zea, ours, rtol=0, atol=1)  # 1e-3 of the largest: single precision phases
            turn = np.exp(2j * np.pi * FC * (back.start_time[i] - data.start_time[i]))
            np.testing.assert_allclose(back.samples[:, i] * turn, data.samples[:, i], rtol=0, atol=1)
    if kind != "c8":
        np.testing.assert_array_equal(back.samples, samples)


def test_curved_arrays_keep_their_waves(tmp_path):
    data = channel_data()
    sonoray.write(tmp_path / "a", data, format="zea")
    back = sonoray.read(tmp_path / "a")
    for i, (mine, theirs) in enumerate(zip(data.transmits, back.transmits, strict=True)):
        assert mine.kind == theirs.kind
        fired = theirs.firing_times(data.probe, data.sound_speed) - back.start_time[i]
        expected = mine.firing_times(data.probe, data.sound_speed) - data.start_time[i]
        np.testing.assert_allclose(fired, expected, atol=2e-11)


def test_maps_lie_on_their_coordinates(tmp_path):
    x, z = np.linspace(-2e-3, 2e-3, 5), np.linspace(1e-3, 7e-3, 4)
    grid = np.stack([*np.broadcast_arrays(x[None], 0 * x[None], z[:, None])], axis=-1).astype("f4")
    values = 1500 + np.arange(20.0, dtype="f4").reshape(1, 4, 5)
    with h5py.File(tmp_path / "a", "w") as file:
        file["tracks/track_0/data/sos_map/values"] = values
        file["tracks/track_0/data/sos_map/coordinates"] = grid
        file["tracks/track_0/data/image/values"] = values[0].T[None]
        file["tracks/track_0/data/image/coordinates"] = grid.swapaxes(0, 1)
        file["tracks/track_0/data/envelope_data/values"] = values
        file["tracks/track_0/data/envelope_data/coordinates"] = grid * np.abs(grid)
    medium = sonoray.read(tmp_path / "a", name="sos_map")
    assert medium.sound_speed[1, 3] == values[0, 3, 1]
    np.testing.assert_allclose(medium.grid.x, x, atol=1e-9)
    image, where = sonoray.read(tmp_path / "a")
    assert where == medium.grid
    np.testing.assert_array_equal(image, medium.sound_speed[None])
    with pytest.raises(sonoray.FormatError, match="Cartesian"):
        sonoray.read(tmp_path / "a", name="envelope_data")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scan/t0_delays": None}, "t0_delays"),
        ({"scan/t0_delays": np.zeros((3, 6))}, "t0_delays"),
        ({"scan/center_frequency": [5e6, 5e6, 6e6, 5e6]}, "one value"),
        ({"scan/sampling_frequency": 20.0}, "sampling_frequency"),
        ({"data/raw_data": np.zeros((2, 4, 6))}, "raw_data"),
        ({"scan/tx_apodizations": np.zeros((4, 6))}, "apodization"),
        ({"scan/probe_geometry": np.zeros((6, 3))}, "positions"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, changes, words):
    write_zea(tmp_path / "a")
    with h5py.File(tmp_path / "a", "r+") as file:
        for name, value in changes.items():
            del file[name]
            if value is not None:
                file[name] = value
    with pytest.raises(sonoray.FormatError, match=words):
        sonoray.read(tmp_path / "a")


def test_options_are_checked(tmp_path):
    write_zea(tmp_path / "a", tracks=True)
    for wrong in ({"track": 1}, {"frame": 2}, {"name": "image"}, {"peak_time": 1.0}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(tmp_path / "a", **wrong)
    with pytest.raises(sonoray.ArgumentError, match="ChannelData"):
        sonoray.write(tmp_path / "b", 3, format="zea")


def _with(probe, transmits, **options):
    samples = signal(1, len(transmits), probe.n_elements, N_SAMPLES)
    return sonoray.ChannelData(samples, probe, transmits, FS, sound_speed=C, center_frequency=FC, **options)


@pytest.mark.parametrize("format", ["zea", "uff"])
def test_arcs_and_phased_arrays_come_back_as_what_they_are(tmp_path, format):
    arc = sonoray.Probe.curvilinear(32, 0.3e-3, 40e-3, center_frequency=FC)
    phased = sonoray.Probe.phased(32, 0.5 * C / FC, center_frequency=FC)
    wide = sonoray.Probe.linear(32, C / FC, center_frequency=FC)
    sector = (sonoray.Transmit.focused([0.02, 0, 0.03]), sonoray.Transmit.focused([-0.02, 0, 0.03]))
    ahead = (sonoray.Transmit.plane(0.1), sonoray.Transmit.plane(-0.1))
    for probe, transmits, kind in (
        (arc, ahead, "curvilinear"),
        (phased, sector, "phased"),
        (phased, (sonoray.Transmit.diverging([0, 0, -5e-3]),), "phased"),
        (phased, ahead, "linear"),  # nothing tells it from a fine linear probe
        (wide, sector, "linear"),
    ):
        sonoray.write(tmp_path / "a", _with(probe, transmits), format=format)
        back = sonoray.read(tmp_path / "a").probe
        assert back.kind == kind
        np.testing.assert_allclose(back.normals, probe.normals, atol=1e-4)
    assert sonoray.read(tmp_path / "a", kind="phased").probe.kind == "phased"
    with pytest.raises(sonoray.ArgumentError, match="kind"):
        sonoray.read(tmp_path / "a", kind="sector")


def test_elements_on_no_arc_stay_free(tmp_path):
    x = np.linspace(-5e-3, 5e-3, 12)
    for z in (2e-4 * np.cos(900 * x), 50 * x**2, -4e-3 * np.abs(x / 5e-3)):  # waves, concave, a roof
        probe = sonoray.Probe(np.stack([x, 0 * x, z], axis=1))
        sonoray.write(tmp_path / "a", _with(probe, (sonoray.Transmit.plane(0.0),)), format="zea")
        assert sonoray.read(tmp_path / "a").probe.kind == "free"
