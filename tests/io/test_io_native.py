"""Round trips: what is written comes back equal in every value and type."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sonoray
from sonoray.io import writing

from .io_makers import FC, FS, GRID, N_ELEMENTS, channel_data, signal

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_equal(a, b):
    assert a.samples.dtype == b.samples.dtype
    np.testing.assert_array_equal(a.samples, b.samples)
    np.testing.assert_array_equal(a.start_time, b.start_time)
    assert a.probe == b.probe and a.transmits == b.transmits
    for name in ("sampling_frequency", "demodulation_frequency", "center_frequency", "sound_speed", "frame_rate"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("kind", ["i2", "f4", "c8"])
def test_channel_data(tmp_path, kind, compress):
    samples = signal(2, 5, N_ELEMENTS, 900, kind=kind)
    data = channel_data(samples=samples, demodulation_frequency=FC if kind == "c8" else 0.0)
    sonoray.write(tmp_path / "a", data, compress=compress)
    assert_equal(sonoray.read(tmp_path / "a"), data)


@QUICK
@given(
    angles=st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=4),
    elevation=st.floats(-1.5, 1.5),
    normals=hnp.arrays(float, (3, 3), elements=st.floats(-1, 1)).filter(lambda n: (abs(n).max(axis=1) > 1e-3).all()),
    start=st.floats(-1e-3, 1e-3),
)
def test_unit_vectors_keep_their_last_bit(tmp_path, angles, elevation, normals, start):
    probe = sonoray.Probe(np.eye(3) * 1e-3, normals)
    transmits = tuple(sonoray.Transmit.plane(a, elevation=elevation) for a in angles)
    data = sonoray.ChannelData(signal(1, len(angles), 3, 4), probe, transmits, FS, start_time=start)
    sonoray.write(tmp_path / "a", data)
    assert_equal(sonoray.read(tmp_path / "a"), data)


def test_rows_columns_and_lens(tmp_path):
    probe = sonoray.Probe.row_column(2, 3, 1e-3, lens_thickness=0.8e-3, lens_sound_speed=1010.0)
    sequence = sonoray.orthogonal_plane_waves(probe, [0.1])
    data = sonoray.ChannelData(signal(1, 2, 5, 9), probe, sequence, FS)
    sonoray.write(tmp_path / "a", data)
    back = sonoray.read(tmp_path / "a")
    assert_equal(back, data)
    assert back.probe.lines is not None and back.probe.lens_thickness == 0.8e-3
    with h5py.File(tmp_path / "a", "r+") as file:  # as version 1.0 wrote
        del file["probe/lines"], file["probe"].attrs["lens_thickness"], file["probe"].attrs["lens_sound_speed"]
        file["probe"].attrs["kind"] = np.bytes_(b"free")
        file["probe/positions"][:, 2] = np.arange(5) * 1e-4  # their centres coincide without lines
    assert sonoray.read(tmp_path / "a").probe.lens_thickness == 0


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_medium(tmp_path, kind):
    grid = sonoray.Grid((3, 4, 5), (1e-3, 2e-3, 3e-4), (-0.1, 0.0, 1e-3 / 3))
    speed = np.linspace(1400, 1600, 60).reshape(3, 4, 5).astype(kind)
    medium = sonoray.Medium(grid, speed, absorption=speed / 1e3)
    sonoray.write(tmp_path / "a", medium)
    back = sonoray.read(tmp_path / "a")
    assert back.grid == grid and back.density is None
    assert back.sound_speed.dtype == speed.dtype and back.absorption.dtype == medium.absorption.dtype
    np.testing.assert_array_equal(back.sound_speed, speed)
    np.testing.assert_array_equal(back.absorption, medium.absorption)
    assert sonoray.read_medium(tmp_path / "a").grid == grid


SECTOR = sonoray.SectorGrid(np.geomspace(0.01, 0.1, 4), np.linspace(-0.5, 0.5, 5), (0, 0, -0.01))


@pytest.mark.parametrize("grid", [GRID, SECTOR], ids=["cartesian", "sector"])
@pytest.mark.parametrize("kind", ["u1", "i2", "f4", "f8", "c8", "c16", "bool"])
def test_image(tmp_path, kind, grid):
    image = signal(3, 5, 4, kind="i2").astype(kind)
    sonoray.write(tmp_path / "a", (image, grid))
    back, where = sonoray.read(tmp_path / "a")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)
    if grid is SECTOR:
        assert all(np.array_equal(getattr(where, n), getattr(grid, n)) for n in ("ranges", "angles", "apex"))
    else:
        assert where == grid


def test_wrong_data_is_refused_by_name(tmp_path):
    for wrong in ("text", (np.ones((2, 2)), GRID), (np.ones((5, 4), object), GRID), (np.ones((5, 4)), None)):
        with pytest.raises(sonoray.ArgumentError, match="data|image|grid"):
            sonoray.write(tmp_path / "a", wrong)
    assert not list(tmp_path.iterdir())


def test_a_constant_array_larger_than_the_limit_comes_back(tmp_path):
    samples = np.zeros((1, 5, N_ELEMENTS, 600_000), np.int16)  # 36 MB that deflate packs 1000-fold
    sonoray.write(tmp_path / "a", channel_data(samples=samples))
    assert not sonoray.read(tmp_path / "a").samples.any()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a"
    sonoray.write(path, channel_data())
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(writing, "_fill_transmits", full)
    with pytest.raises(OSError, match="no space"):
        sonoray.write(path, channel_data())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_versions(tmp_path):
    path = tmp_path / "a"
    for version, fits in ((b"1.9", True), (b"2.0", False), (b"x", False)):
        sonoray.write(path, channel_data())
        with h5py.File(path, "r+") as file:
            file.attrs["version"] = np.bytes_(version)
        if fits:
            assert sonoray.read(path).n_tx == 5
        else:
            with pytest.raises(sonoray.FormatError, match="version"):
                sonoray.read(path)


def test_a_flipped_bit_in_the_samples_is_noticed(tmp_path):
    path = tmp_path / "a"
    sonoray.write(path, channel_data(samples=signal(2, 5, N_ELEMENTS, 900)))
    with h5py.File(path) as file:
        chunk = file["samples"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset + chunk.size // 2] ^= 4
    path.write_bytes(raw)
    with pytest.raises(sonoray.FormatError, match="samples"):
        sonoray.read(path)


def test_endings_choose_the_format(tmp_path):
    image = (np.arange(20, dtype="f4").reshape(5, 4), sonoray.Grid((5, 4), 1e-3, (0.0, 0.0)))
    begins = {"a.mha": b"ObjectType", "a.nii": b"\x5c\x01", "a.nii.gz": b"\x1f\x8b"}
    begins |= dict.fromkeys(("a.uff", "a", "a.H5", "a.part1"), b"\x89HDF")
    for name, magic in begins.items():
        if ".nii" in name:
            pytest.importorskip("nibabel")
        sonoray.write(tmp_path / name, image)
        assert (tmp_path / name).read_bytes().startswith(magic)
        np.testing.assert_array_equal(sonoray.read(tmp_path / name)[0], image[0])
    sonoray.write(tmp_path / "b.mha", image, format="sonoray")
    assert (tmp_path / "b.mha").read_bytes().startswith(b"\x89HDF")
    for name in ("a.png", "a.mat"):
        with pytest.raises(sonoray.ArgumentError, match=r"path: expected .h5 or .*\.uff, .*got 'a\."):
            sonoray.write(tmp_path / name, image)
        assert not (tmp_path / name).exists()
    with pytest.raises(sonoray.ArgumentError, match="compress"):
        sonoray.write(tmp_path / "c.nii", image, compress=False)


def test_folders_are_named_as_the_caller_named_them(tmp_path):
    (tmp_path / "bad").mkdir()
    image = (np.ones((5, 4)), GRID)
    for path, text in (
        (tmp_path / "bad", "got the folder .*bad$"),
        (tmp_path / "none" / "a.h5", "exists, got .*none$"),
    ):
        with pytest.raises(sonoray.ArgumentError, match=text):
            sonoray.write(path, image)
    assert [p.name for p in tmp_path.iterdir()] == ["bad"]
