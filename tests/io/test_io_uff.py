"""UFF: files in the USTB's layout, and USTB's own formula of delays on what we write."""

import h5py
import numpy as np
import pytest

import sonoray

from .io_makers import FC, FS, GRID, N_ELEMENTS, N_SAMPLES, PITCH, channel_data, signal, uff_object, write_uff

C = 1500.0
PROBES = {
    "linear": sonoray.Probe.linear(N_ELEMENTS, PITCH, width=2e-4, height=5e-3),
    "curvilinear": sonoray.Probe.curvilinear(N_ELEMENTS, PITCH, 0.02),
}
WAVES = {
    "plane": sonoray.Transmit.plane(0.2, elevation=0.1, origin=[1e-3, 0, 2e-3]),
    "diverging": sonoray.Transmit.diverging([2e-3, 0, -8e-3], origin=[0, 0, 1e-3]),
    "virtual source just behind": sonoray.Transmit.diverging([1e-4, 0, -5e-4]),
    "focused": sonoray.Transmit.focused([-1e-3, 0, 0.02], origin=[1e-3, 0, 0]),
    "single": sonoray.Transmit.single(1),
    "part": sonoray.Transmit.plane(0.0, apodization=[0, 1, 0.5, 1, 1, 0]),
}
POINT = np.array([2e-3, 0.0, 0.03])


def arrival(transmit, probe, point):
    """When the wave reaches a point, by this package's definition [s]."""
    if transmit.kind == "plane":
        return (point - transmit.origin) @ transmit.direction / C
    if transmit.kind == "element":
        return np.linalg.norm(point - probe.positions[transmit.element]) / C
    way = np.linalg.norm(point - transmit.focus)
    back = np.linalg.norm(transmit.origin - transmit.focus)
    sign = np.sign(point[2] - transmit.focus[2])
    return (way - back) / C if transmit.kind == "diverging" else (sign * way + back) / C


def ustb_arrival(wave, point):
    """Transmit delay as `+midprocess/das.m` computes it, from the raw numbers of the file."""
    source = {n: wave[f"source/{n}"][0, 0] for n in ("distance", "azimuth", "elevation")}
    az, el, r = source["azimuth"], source["elevation"], source["distance"]
    unit = np.array([np.sin(az) * np.cos(el), np.sin(el), np.cos(az) * np.cos(el)])
    if wave["wavefront"][0, 0] == 0:
        way = point @ unit
    else:
        s = r * unit
        way = (-1.0) ** (point[2] < s[2]) * np.linalg.norm(s - point)
        way += -r if s[2] < -1e-3 else r
    return way / wave["sound_speed"][0, 0] - wave["delay"][0, 0]


@pytest.mark.parametrize("probe", PROBES)
def test_ustb_finds_every_echo_at_the_same_sample(tmp_path, probe):
    probe = PROBES[probe]
    data = sonoray.ChannelData(
        signal(2, len(WAVES), N_ELEMENTS, N_SAMPLES, kind="c8"),
        probe,
        tuple(WAVES.values()),
        FS,
        demodulation_frequency=FC,
        start_time=np.arange(len(WAVES)) * 1.7e-7 + 1e-6,
        sound_speed=C,
        frame_rate=20.0,
    )
    sonoray.write(tmp_path / "a.uff", data, format="uff")
    with h5py.File(tmp_path / "a.uff") as file:
        root = file["channel_data"]
        samples = root["data/real"][()] + 1j * root["data/imag"][()]
        assert samples.shape == data.samples.shape  # MATLAB's order reversed
        begin = root["initial_time"][0, 0]
        for i, transmit in enumerate(data.transmits):
            theirs = ustb_arrival(root[f"sequence/sequence_{i + 1:04d}"], POINT)
            ours = arrival(transmit, probe, POINT)
            # 1e-15 s: rounding of azimuth, distance and times in double precision.
            assert theirs - begin == pytest.approx(ours - data.start_time[i], abs=1e-15)
            # Their beamformer multiplies by exp(i w0 delay) with the delay on their clock.
            np.testing.assert_allclose(
                samples[:, i] * np.exp(2j * np.pi * FC * theirs),
                data.samples[:, i] * np.exp(2j * np.pi * FC * ours),
                rtol=1e-5,
                atol=1e-3,  # complex64 of numbers to 900
            )
        assert root["PRF"][0, 0] == pytest.approx(20 * len(WAVES))
    back = sonoray.read(tmp_path / "a.uff")
    assert back.sampling_frequency == FS and back.frame_rate == pytest.approx(20) and back.sound_speed == C
    np.testing.assert_allclose(back.probe.positions, probe.positions, atol=1e-15)
    np.testing.assert_allclose(back.probe.normals, probe.normals, atol=1e-15)
    for i, (mine, theirs) in enumerate(zip(data.transmits, back.transmits, strict=True)):
        assert mine.kind == theirs.kind
        np.testing.assert_allclose(theirs.weights(probe), mine.weights(probe))
        late = arrival(theirs, probe, POINT) - back.start_time[i]
        assert late == pytest.approx(arrival(mine, probe, POINT) - data.start_time[i], abs=1e-15)
        fired = theirs.firing_times(probe, C) - back.start_time[i]
        np.testing.assert_allclose(fired, mine.firing_times(probe, C) - data.start_time[i], atol=1e-15)
        turn = np.exp(2j * np.pi * FC * (back.start_time[i] - data.start_time[i]))
        np.testing.assert_allclose(back.samples[:, i] * turn, data.samples[:, i], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("kind", ["i2", "f4"])
def test_rf_comes_back_in_its_type(tmp_path, kind):
    transmits = tuple(WAVES[n] for n in ("plane", "single"))
    samples = signal(1, 2, N_ELEMENTS, 3000, kind=kind)
    probe = sonoray.Probe.linear(N_ELEMENTS, PITCH, center_frequency=FC, bandwidth=3e6)
    data = sonoray.ChannelData(samples, probe, transmits, FS, center_frequency=FC, sound_speed=C)
    for compress in (True, False):
        sonoray.write(tmp_path / "a", data, format="uff", compress=compress)
        back = sonoray.read(tmp_path / "a")
        assert back.samples.dtype == samples.dtype and back.probe.kind == "linear"
        np.testing.assert_array_equal(back.samples, samples)
        assert back.center_frequency == FC and back.probe.bandwidth == pytest.approx(3e6)


def test_a_file_as_ustb_writes_it(tmp_path):
    """Single precision, arrays of objects, no wavefront, trailing axes of one dropped, delays of its STA examples."""
    write_uff(tmp_path / "a.uff")
    data = sonoray.read(tmp_path / "a.uff")
    assert data.samples.shape == (1, 3, N_ELEMENTS, N_SAMPLES) and data.samples.dtype == np.float32
    np.testing.assert_array_equal(data.samples[0], signal(3, N_ELEMENTS, N_SAMPLES, kind="f4"))
    plane, single, focused = data.transmits
    np.testing.assert_allclose(plane.direction, [np.sin(-0.1), 0, np.cos(0.1)], atol=1e-7)
    assert single.kind == "element" and single.element == 4
    np.testing.assert_allclose(focused.focus, [0, 0, 0.02], atol=1e-9)
    # 1e-11 s: single precision of microseconds.
    np.testing.assert_allclose(data.start_time, [2e-6, 2e-6, 2.5e-6], atol=1e-11)
    assert data.probe.kind == "linear" and data.probe.pitch == pytest.approx(PITCH, rel=1e-5)
    assert data.center_frequency == pytest.approx(FC) and data.probe.bandwidth == pytest.approx(0.6 * FC)
    assert data.frame_rate == pytest.approx(100)


def test_many_waves_are_in_the_order_of_their_numbers(tmp_path):
    transmits = sonoray.plane_waves(np.linspace(-0.3, 0.3, 12))
    probe = PROBES["linear"]
    data = sonoray.ChannelData(signal(1, 12, N_ELEMENTS, N_SAMPLES), probe, transmits, FS, sound_speed=C)
    sonoray.write(tmp_path / "a", data, format="uff")
    np.testing.assert_allclose([t.direction[0] for t in sonoray.read(tmp_path / "a").transmits],
                               [t.direction[0] for t in transmits], atol=1e-15)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sequence/sequence_0002/sound_speed": 1600.0}, "sequence_0002/sound_speed.*sound_speed="),
        ({"sequence/sequence_0001/wavefront": 2.0}, "plane or spherical"),
        ({"sequence/sequence_0001/source/distance": -1.0}, "source"),
        ({"modulation_frequency": 5e6}, "complex"),
        ({"sequence/sequence_0001": None}, "0001"),
        ({"sequence/sequence_0003": None}, "3 waves"),
        ({"probe/geometry": np.zeros((2, 6))}, "geometry"),
        ({"sampling_frequency": 20.0}, "sampling_frequency"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused(tmp_path, changes, words):
    path = tmp_path / "a.uff"
    write_uff(path)
    with h5py.File(path, "r+") as file:
        for name, value in changes.items():
            kept = dict(file[f"channel_data/{name}"].attrs) if f"channel_data/{name}" in file else {}
            if f"channel_data/{name}" in file:
                del file[f"channel_data/{name}"]
            if value is not None:
                file[f"channel_data/{name}"] = np.atleast_2d(value)
                file[f"channel_data/{name}"].attrs.update(kept)
    with pytest.raises(sonoray.FormatError, match=words) as caught:
        sonoray.read(path)
    assert str(path) in str(caught.value)
    if "2/sound_speed" in str(changes):
        assert sonoray.read(path, sound_speed=1500.0).sound_speed == 1500


def test_free_delays_have_no_place(tmp_path):
    with pytest.raises(sonoray.ArgumentError, match="transmit 4.*free delays"):
        sonoray.write(tmp_path / "a", channel_data(), format="uff")
    with pytest.raises(sonoray.ArgumentError, match="option of format 'uff'"):
        sonoray.write(tmp_path / "a", channel_data(), format="uff", level=3)
    with pytest.raises(sonoray.ArgumentError, match=r"can be written \(sonoray, .*uff"):
        sonoray.write(tmp_path / "a", channel_data(), format="must")
    assert not list(tmp_path.iterdir())


SECTOR = sonoray.SectorGrid(np.geomspace(0.01, 0.1, 4), np.linspace(-0.5, 0.5, 5), (0, 0, -0.01))


@pytest.mark.parametrize("grid", [GRID, SECTOR], ids=["linear", "sector"])
@pytest.mark.parametrize("kind", ["u1", "f4", "f8", "c8", "c16"])
def test_images(tmp_path, grid, kind):
    image = signal(3, 5, 4, kind="i2").astype(kind)
    sonoray.write(tmp_path / "a", (image, grid), format="uff")
    with h5py.File(tmp_path / "a") as file:
        assert file["beamformed_data/scan"].attrs["class"].decode() in ("uff.linear_scan", "uff.sector_scan")
        stored = file["beamformed_data/data"]
        stored = stored["real"] if isinstance(stored, h5py.Group) else stored
        assert stored.shape == (3, 1, 1, 20)  # pixels, channels, waves, frames in MATLAB
        np.testing.assert_array_equal(stored[1, 0, 0], image[1].real.ravel())  # depth fastest
    back, where = sonoray.read(tmp_path / "a")
    np.testing.assert_array_equal(back, image)
    assert where.shape == grid.shape
    np.testing.assert_allclose(where.points(), grid.points(), atol=1e-12)
    sonoray.write(tmp_path / "a", (image[0], grid), format="uff")
    assert sonoray.read(tmp_path / "a")[0].shape == grid.shape


def test_one_of_several_objects(tmp_path):
    path = tmp_path / "a.uff"
    write_uff(path)
    with h5py.File(path, "r+") as file:
        uff_object(file, "picture", "beamformed_data")
        uff_object(file["picture"], "scan", "linear_scan")
        for axis in "xz":
            file[f"picture/scan/{axis}_axis"] = np.linspace(0, 1e-3, 3, dtype="f4")[None]
        file["picture/data"] = np.arange(9, dtype="f4")[None]
    assert isinstance(sonoray.read(path), sonoray.ChannelData)
    image, grid = sonoray.read(path, name="picture")
    assert image.shape == grid.shape == (3, 3) and grid.spacing[0] == pytest.approx(5e-4)
    with pytest.raises(sonoray.ArgumentError, match="channel_data, picture"):
        sonoray.read(path, name="scan")
    with h5py.File(path, "r+") as file:
        file["picture/scan"].attrs["class"] = "uff.scan"
    with pytest.raises(sonoray.FormatError, match="linear_scan"):
        sonoray.read(path, name="picture")
