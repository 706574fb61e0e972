"""Files that are damaged, lie about their size or point elsewhere: FormatError, and no memory for them."""

import contextlib
import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sonoray
from sonoray.io._budget import FREE_BYTES

from .io_makers import MAKERS, channel_data, must_param, ring_values, write_mat73, write_must, write_picmus

PROPERTY = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
# A file of a few kilobytes may claim what Budget lets pass for free, and the tests' own objects need a little.
BOUND = FREE_BYTES + (4 << 20)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    result = {}
    for name, make in MAKERS.items():
        make(folder / name)
        sonoray.read(folder / name)  # optional packages are imported now, not where memory is counted
        result[name] = (folder / name).read_bytes()
    return result


def read_within_bounds(path):
    """Read; FormatError is fine, anything else is not. Returns whether it could be read."""
    tracemalloc.start()
    try:
        sonoray.read(path)
        return True
    except sonoray.FormatError as error:
        assert str(path) in str(error)
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BOUND


@pytest.mark.filterwarnings("ignore:.*after calibration")  # a damaged size
@pytest.mark.parametrize("name", MAKERS)
@PROPERTY
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated(name, originals, tmp_path, share):
    raw = originals[name]
    path = tmp_path / "cut"
    path.write_bytes(raw[: int(share * len(raw))])
    readable = read_within_bounds(path)
    # Level 5 files have no length of their own: cut between two variables, they are whole files with fewer.
    assert not readable or name == "ring-v5"


@pytest.mark.filterwarnings("ignore:.*after calibration")  # a damaged size
@pytest.mark.parametrize("name", MAKERS)
@PROPERTY
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes(name, originals, tmp_path, flips):
    raw = bytearray(originals[name])
    for share, value in flips:
        raw[int(share * len(raw))] = value
    path = tmp_path / "flipped"
    path.write_bytes(raw)
    read_within_bounds(path)
    for extra in (sonoray.read_medium, sonoray.read_scatterers):
        with contextlib.suppress(sonoray.FormatError):
            extra(path)


@PROPERTY
@given(st.binary(max_size=600), st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0".ljust(124) + b"\0\1IM"]))
def test_noise_behind_a_true_signature(tmp_path, noise, start):
    path = tmp_path / "noise"
    path.write_bytes(start + noise)
    assert not read_within_bounds(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"time,pressure\n0,1\n", "starts with b'time,pre'"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"PK\x03\x04" + bytes(100), "formats must|one of the formats"),
    ],
)
def test_other_files(tmp_path, content, words):
    path = tmp_path / "x.mat"
    path.write_bytes(content)
    with pytest.raises(sonoray.FormatError, match=words):
        sonoray.read(path)
    with pytest.raises(sonoray.FormatError, match=str(path)):
        sonoray.read_medium(path)
    if content:
        with pytest.raises(sonoray.FormatError, match="MATLAB .5 or 7.3. or HDF5"):
            sonoray.read(path, format="must")


def test_directories_devices_and_missing_files(tmp_path):
    with pytest.raises(sonoray.FormatError, match="directory"):
        sonoray.read(tmp_path)
    with pytest.raises(sonoray.FormatError, match="special file"):
        sonoray.read("/dev/zero")
    with pytest.raises(FileNotFoundError):
        sonoray.read(tmp_path / "nothing")


def test_matlab_bomb_is_refused_before_it_unpacks(tmp_path):
    # 256 MiB of zeros deflated to 256 KiB, announced honestly: 1000 times the file.
    n = 1 << 28
    head = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, n // 8, 1) + struct.pack("<HH4s", 1, 2, b"RF")
    head += struct.pack("<II", 9, n)
    packer = zlib.compressobj(9)
    body = packer.compress(struct.pack("<II", 14, len(head) + n) + head)
    zeros = bytes(1 << 20)
    for _ in range(n >> 20):
        body += packer.compress(zeros)
    body += packer.flush()
    path = tmp_path / "bomb.mat"
    write_must(path)
    raw = path.read_bytes()
    path.write_bytes(raw + struct.pack("<II", 15, len(body)) + body)
    with pytest.raises(sonoray.FormatError, match="RF: expected at most"):
        read_unbounded(path)


def read_unbounded(path):
    tracemalloc.start()
    try:
        sonoray.read(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20, 1 << 10), (8, 8, 1 << 33)])
def test_hdf5_that_declares_more_than_it_holds(tmp_path, shape):
    path = tmp_path / "bomb.mat"
    write_mat73(path, ring_values(full_dataset=None))
    with h5py.File(path, "r+") as file:
        file.create_dataset("full_dataset", shape, "i2", chunks=(1, 1, 64), compression="gzip")
    with pytest.raises(sonoray.FormatError, match="expected at most|full_dataset"):
        read_unbounded(path)


def test_many_small_claims_add_up(tmp_path):
    path = tmp_path / "many.h5"
    MAKERS["pybf"](path)
    with h5py.File(path, "r+") as file:
        del file["data/rf_data"]
        for frame in range(1, 40):
            for shot in (1, 2, 3):
                file.create_dataset(f"data/rf_data/frame_{frame}/shot_{shot}", (6, 1 << 19), "i2", chunks=(1, 1 << 10))
    with pytest.raises(sonoray.FormatError, match="expected at most"):
        read_unbounded(path)


def test_one_huge_chunk(tmp_path):
    path = tmp_path / "chunk.h5"
    write_picmus(path)
    with h5py.File(path, "r+") as file:
        group = file["US/US_DATASET0000/data"]
        del group["real"]
        group.create_dataset("real", (3, 6, 20), "f4", chunks=(1 << 9, 1 << 9, 1 << 9), maxshape=(None,) * 3)
    with pytest.raises(sonoray.FormatError, match="one chunk"):
        read_unbounded(path)


def test_links_virtual_and_external_storage_are_refused(tmp_path):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones((3, 6, 20), "f4")
    (tmp_path / "raw").write_bytes(bytes(3 * 6 * 20 * 4))
    layout = h5py.VirtualLayout((3, 6, 20), "f4")
    layout[...] = h5py.VirtualSource(other, "x", (3, 6, 20))
    makers = {
        "ExternalLink": lambda g: g.__setitem__("real", h5py.ExternalLink(str(other), "x")),
        "SoftLink": lambda g: g.__setitem__("real", h5py.SoftLink("/US/US_DATASET0000/data/imag")),
        "virtual or external": lambda g: g.create_virtual_dataset("real", layout),
        "external storage": lambda g: g.create_dataset(
            "real", (3, 6, 20), "f4", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
        ),
    }
    for words, make in makers.items():
        path = tmp_path / "linked.h5"
        write_picmus(path)
        with h5py.File(path, "r+") as file:
            group = file["US/US_DATASET0000/data"]
            del group["real"]
            make(group)
        with pytest.raises(sonoray.FormatError, match=words):
            sonoray.read(path)


def test_types_other_than_numbers_are_refused(tmp_path):
    for value in (np.array(["a", "b"], object), np.zeros(3, [("x", "f4"), ("y", "i4")])):
        path = tmp_path / "odd.h5"
        write_picmus(path)
        with h5py.File(path, "r+") as file:
            del file["US/US_DATASET0000/angles"]
            file.create_dataset("US/US_DATASET0000/angles", data=value,
                                dtype=h5py.string_dtype() if value.dtype == object else None)  # fmt: skip
        with pytest.raises(sonoray.FormatError, match="angles: expected numbers"):
            sonoray.read(path)


def test_objects_beside_the_data_are_passed_over(tmp_path):
    path = tmp_path / "string.mat"
    variables = {"note": "a string object", "RF": np.ones((4, 6)), "param": must_param(comment="text")}
    scipy.io.savemat(path, variables)
    raw = bytearray(path.read_bytes())
    raw[128 + 16] = 17  # the class of the first variable: opaque
    path.write_bytes(raw)
    assert sonoray.read(path).n_samples == 4


def test_nested_matlab_structures_end(tmp_path):
    value = 1.0
    for _ in range(20):
        value = {"a": value}
    path = tmp_path / "deep.mat"
    scipy.io.savemat(path, {"RF": np.ones((4, 6)), "param": value})
    with pytest.raises(sonoray.FormatError, match="nested"):
        sonoray.read(path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fs": 20.0}, "sampling_frequency"),
        ({"pitch": 0.3}, "pitch"),
        ({"c": 1.5}, "sound_speed"),
        ({"t0": 5.0}, "start_time"),
        ({"fs": np.nan}, "sampling_frequency"),
        ({"radius": 0.0}, "radius"),
        ({"TXdelay": np.zeros((1, 5))}, "TXdelay"),
        ({"TXdelay": np.full((1, 6), np.nan)}, "apodization"),
        ({"fs": "fast"}, "fs"),
    ],
)
def test_values_that_make_no_object_name_the_file_and_the_field(tmp_path, changes, field):
    path = tmp_path / "odd.mat"
    write_must(path, **changes)
    with pytest.raises(sonoray.FormatError, match=field) as caught:
        sonoray.read(path)
    assert str(path) in str(caught.value)


def test_nan_among_the_samples(tmp_path):
    samples = np.ones((2, 5, 6, 20), "f4")
    path = tmp_path / "nan.h5"
    sonoray.write(path, channel_data(samples=samples))
    with h5py.File(path, "r+") as file:
        file["samples"][1, 2, 3, 4] = np.nan
    with pytest.raises(sonoray.FormatError, match="samples.*1 NaN"):
        sonoray.read(path)
