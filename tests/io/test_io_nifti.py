"""NIfTI-1: nibabel and SimpleITK read what we write, we read what nibabel writes; hostile headers."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

import sonoray

from .io_makers import GRID, signal

nibabel = pytest.importorskip("nibabel")

VOLUME = sonoray.Grid((5, 3, 4), (1e-3, 5e-4, 2e-3), (-2e-3, 0.0, 1e-3))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i8", "f4", "f8", "c8", "c16", "bool"])
@pytest.mark.parametrize("grid", [GRID, VOLUME], ids=["image", "volume"])
def test_round_trip(tmp_path, ending, kind, grid):
    path = tmp_path / f"a{ending}"
    for shape in (grid.shape, (2, *grid.shape)):
        image = signal(*shape, kind="i2").astype(kind)
        sonoray.write(path, (image, grid), format="nifti")
        back, where = sonoray.read(path)
        assert where == grid and back.dtype == (np.uint8 if kind == "bool" else image.dtype)
        np.testing.assert_array_equal(back, image)


def test_others_read_what_we_write(tmp_path):
    path = tmp_path / "a.nii.gz"
    volume = signal(2, *VOLUME.shape)
    sonoray.write(path, (volume, VOLUME), format="nifti")
    theirs = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), volume.transpose(1, 2, 3, 0))
    # The place of a voxel, by their affine: -x, -y, z in millimetres, right and anterior being positive.
    np.testing.assert_allclose(theirs.affine @ [4, 2, 3, 1], [-2, -1, 7, 1], atol=1e-6)
    assert theirs.header.get_xyzt_units() == ("mm", "sec")
    sonoray.write(path, (volume[0, :, 0], sonoray.Grid((5, 4), (1e-3, 2e-3), (-2e-3, 1e-3))), format="nifti")
    assert nibabel.load(path).shape == (5, 1, 4)
    sitk = pytest.importorskip("SimpleITK")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[:, 0], volume[0, :, 0].T)


def test_a_metaimage_of_the_same_volume_lies_in_the_same_place(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    volume = signal(*VOLUME.shape)
    places = []
    for name, format in (("a.nii.gz", "nifti"), ("a.mha", "metaimage")):
        sonoray.write(tmp_path / name, (volume, VOLUME), format=format)
        theirs = sitk.ReadImage(str(tmp_path / name))
        places.append(theirs.TransformIndexToPhysicalPoint((4, 2, 3)))
        assert theirs.GetPixel(4, 2, 3) == volume[4, 2, 3]
        assert sonoray.read(tmp_path / name)[1] == VOLUME
    np.testing.assert_allclose(places[0], places[1], atol=1e-5)
    np.testing.assert_allclose(places[0], [2, 1, 7], atol=1e-5)
    old = nibabel.Nifti1Image(volume, np.diag([1, 0.5, 2, 1.0]))  # x and y to the right and anterior
    old.affine[:3, 3] = [-2, 0, 1]
    old.header.set_xyzt_units("mm")
    (tmp_path / "old").write_bytes(nibabel.Nifti1Image(volume, old.affine, old.header).to_bytes())
    assert sonoray.read(tmp_path / "old")[1] == VOLUME


def test_we_read_what_nibabel_writes(tmp_path):
    path = tmp_path / "x"  # an extension that says nothing
    turned = np.array([[0, -0.2, 0, 5], [0.1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]])
    rows = signal(6, 7, 1)
    image = nibabel.Nifti1Image(rows, turned)
    image.header.set_xyzt_units("mm")
    path.write_bytes(image.to_bytes())
    back, grid = sonoray.read(path)
    np.testing.assert_array_equal(back, rows[..., 0])
    assert grid.spacing == pytest.approx((1e-4, 2e-4)) and grid.origin == pytest.approx((6e-3, -5e-3))
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(2.0, 100.0)
    path.write_bytes(image.to_bytes())
    back, grid = sonoray.read(path)
    np.testing.assert_array_equal(back, 2 * rows[..., 0] + 100.0)
    assert back.dtype == np.float64 and grid.spacing == pytest.approx((1e-7, 2e-7))
    colour = np.zeros((6, 7, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["G"][2, 3] = 9
    path.write_bytes(gzip.compress(nibabel.Nifti1Image(colour, np.diag([1, 1, 1, 1.0])).to_bytes()))
    back, _ = sonoray.read(path)
    assert back.shape == (6, 7, 3) and back[2, 3, 1] == 9 and back.sum() == 9


def test_sound_speed(tmp_path):
    medium = sonoray.Medium(VOLUME, np.linspace(1400, 1600, 60, dtype="f4").reshape(5, 3, 4))
    sonoray.write(tmp_path / "a.nii.gz", medium, format="nifti")
    back = sonoray.read(tmp_path / "a.nii.gz", quantity="sound_speed")
    assert back.grid == VOLUME
    np.testing.assert_array_equal(back.sound_speed, medium.sound_speed)
    for wrong in ({"quantity": "density"}, {"spacing": 1.0}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(tmp_path / "a.nii.gz", **wrong)


def test_headers_that_lie(tmp_path):
    path = tmp_path / "a.nii"
    sonoray.write(path, (signal(5, 4), GRID), format="nifti")
    raw = path.read_bytes()

    def changed(at, code, *values):
        packed = struct.pack(f"<{code}", *values)
        return raw[:at] + packed + raw[at + len(packed) :]

    cases = {
        "dim|from byte": changed(40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1),
        "dim|size": changed(40, "8h", 3, -5, 1, 4, 1, 1, 1, 1),
        "datatype|header": changed(70, "h", 3),
        "dim.*at|too low": changed(108, "f", 10.0),
        "byte": changed(108, "f", 1e9),
        "affine|header": changed(280, "f", np.nan),
        "spacing": changed(280, "f", 1e9),
        "pair": raw[:344] + b"ni1\0" + raw[348:],
        "truncated": gzip.compress(raw)[:-12],
        "at most": gzip.compress(raw + bytes(1 << 28)),
    }
    for words, content in cases.items():
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(sonoray.FormatError, match=words) as caught:
            sonoray.read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert str(path) in str(caught.value) and peak < 128 * len(content) + (48 << 20)


def test_what_it_cannot_hold(tmp_path, monkeypatch):
    sector = sonoray.SectorGrid([0.01, 0.02, 0.03, 0.04], [0, 0.1, 0.2, 0.3, 0.4])
    image = np.ones((5, 4))
    for data, name in (((image, sector), "a.nii"), ((image, GRID), "a.mha"), ((image[None, None], GRID), "a.nii")):
        with pytest.raises(sonoray.ArgumentError):
            sonoray.write(tmp_path / name, data, format="nifti")
    sonoray.write(tmp_path / "b.nii", (image, GRID), format="nifti")
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[io\]"):
        sonoray.write(tmp_path / "a.nii", (image, GRID), format="nifti")
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[io\]"):
        sonoray.read(tmp_path / "b.nii")
    assert [p.name for p in tmp_path.iterdir()] == ["b.nii"]
