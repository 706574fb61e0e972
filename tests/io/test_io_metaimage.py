"""MetaImage: SimpleITK reads what we write and writes what we read; real files; hostile headers."""

import tracemalloc
import zlib

import numpy as np
import pytest

import sonoray

from .io_makers import GRID, signal

VOLUME = sonoray.Grid((5, 3, 4), (1e-3, 5e-4, 2e-3), (-2e-3, 0.0, 1e-3))


def header(**changes):
    fields = {
        "ObjectType": "Image", "NDims": 2, "BinaryData": True, "CompressedData": False, "DimSize": "5 4",
        "ElementSpacing": "1 2", "Offset": "-2 1", "ElementType": "MET_SHORT", "ElementDataFile": "LOCAL",
    }  # fmt: skip
    fields = {**fields, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # always the last
    return "".join(f"{k} = {v}\n" for k, v in fields.items() if v is not None).encode()


@pytest.mark.parametrize("ending", [".mha", ".mhd"])
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8", "i8"])
@pytest.mark.parametrize("grid", [GRID, VOLUME], ids=["image", "volume"])
def test_round_trip(tmp_path, ending, compress, kind, grid):
    path = tmp_path / f"a{ending}"
    for shape in (grid.shape, (2, *grid.shape)):
        image = signal(*shape, kind="i2").astype(kind)
        sonoray.write(path, (image, grid), format="metaimage", compress=compress)
        back, where = sonoray.read(path)
        assert where == grid and back.dtype == image.dtype
        np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_simpleitk_reads_what_we_write(tmp_path, ending):
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / f"a{ending}"
    volume = signal(2, *VOLUME.shape, kind="i2")
    sonoray.write(path, (volume, VOLUME), format="metaimage")
    back = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), volume.transpose(0, 3, 2, 1))  # frame, z, y, x
    np.testing.assert_allclose(back.GetSpacing()[:3], [1, 0.5, 2])
    np.testing.assert_allclose(back.GetOrigin()[:3], [-2, 0, 1])
    colour = np.arange(60, dtype="u1").reshape(5, 4, 3)
    sonoray.write(path, (colour, GRID), format="metaimage")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), colour.swapaxes(0, 1))
    np.testing.assert_array_equal(sonoray.read(path)[0], colour)


@pytest.mark.parametrize("compress", [True, False])
def test_we_read_what_simpleitk_writes(tmp_path, compress):
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / "a.mha"
    rows = signal(4, 5, kind="i2").astype("f4")  # z, x
    image = sitk.GetImageFromArray(rows)
    image.SetSpacing((2.0, 1.0))  # coarse along x, as pictures of signed values are
    image.SetOrigin((-2.0, 3.0))
    sitk.WriteImage(image, str(path), useCompression=compress)
    back, grid = sonoray.read(path)
    np.testing.assert_array_equal(back, rows.T)
    assert grid == sonoray.Grid((5, 4), (2e-3, 1e-3), (-2e-3, 3e-3))
    sitk.WriteImage(sitk.GetImageFromArray(np.uint8(rows[None])), str(path))
    assert sonoray.read(path)[0].shape == (1, 5, 4)


def test_which_axis_is_which(tmp_path):
    path = tmp_path / "a.mhd"
    rows = np.arange(20, dtype="<i2").reshape(4, 5)  # the second index is the slow one

    def put(**changes):
        path.write_bytes(header(**changes) + rows.tobytes())
        return sonoray.read(path, **options)

    options = {}
    lines, grid = put()  # signed, finer along the first: lines
    np.testing.assert_array_equal(lines, rows)
    assert grid == sonoray.Grid((4, 5), (2e-3, 1e-3), (1e-3, -2e-3))
    picture, grid = put(UltrasoundImageOrientation="MF")
    np.testing.assert_array_equal(picture, rows.T)
    assert grid == sonoray.Grid((5, 4), (1e-3, 2e-3), (-2e-3, 1e-3))
    turned, grid = put(UltrasoundImageOrientation="UN")
    np.testing.assert_array_equal(turned, rows[::-1, ::-1].T)
    assert grid == sonoray.Grid((5, 4), (1e-3, 2e-3), (-2e-3, -7e-3))
    np.testing.assert_array_equal(put(ElementType="MET_USHORT")[0], rows.T)  # unsigned: a picture
    options = {"axes": "zX"}
    np.testing.assert_array_equal(put(UltrasoundImageOrientation="MF")[0], rows[::-1])
    options = {"spacing": 1e-4}
    assert put()[1].spacing == (1e-4, 1e-4)
    # Directions are rows of the matrix: the first index runs along -y of space.
    options = {}
    assert put(TransformMatrix="0 -1 1 0", Offset="3 7")[1].origin == pytest.approx((3e-3, -7e-3))
    for wrong in ({"axes": "xx"}, {"axes": "x"}, {"quantity": "c"}, {"spacing": 0.1}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(path, **wrong)


def test_sound_speed(tmp_path):
    medium = sonoray.Medium(GRID, np.linspace(1400, 1600, 20, dtype="f4").reshape(5, 4))
    sonoray.write(tmp_path / "a.mha", medium, format="metaimage")
    back = sonoray.read(tmp_path / "a.mha", quantity="sound_speed")
    assert back.grid == GRID
    np.testing.assert_array_equal(back.sound_speed, medium.sound_speed)
    sonoray.write(tmp_path / "a.mha", (np.ones((5, 4)), GRID), format="metaimage")
    with pytest.raises(sonoray.FormatError, match="sound_speed"):
        sonoray.read(tmp_path / "a.mha", quantity="sound_speed")


@pytest.mark.parametrize(
    ("changes", "data", "words"),
    [
        ({"DimSize": "5000000 4000000"}, 40, "expected at most"),
        ({"DimSize": "50000 40"}, 40, "the file has 40 left"),
        ({"DimSize": "5 -4"}, 40, "DimSize"),
        ({"DimSize": "5"}, 40, "DimSize"),
        ({"DimSize": "5 x"}, 40, "DimSize"),
        ({"NDims": 3}, 40, "NDims"),
        ({"ElementType": "MET_OTHER"}, 40, "ElementType"),
        ({"BinaryData": "False"}, 40, "text"),
        ({"ElementSpacing": "nan 1"}, 40, "spacing"),
        ({"ElementSpacing": "1000 1000"}, 40, "spacing"),
        ({"ElementDataFile": "../other.raw"}, 40, "same folder"),
        ({"ElementDataFile": "/etc/passwd"}, 40, "same folder"),
        ({"ElementDataFile": "gone.raw"}, 40, "not there"),
        ({"ElementDataFile": "LIST"}, 40, "LOCAL or one file"),
        ({"ElementDataFile": None}, 0, "ElementDataFile|field"),
        ({"ElementNumberOfChannels": 10**9}, 40, "ElementNumberOfChannels"),
        ({"HeaderSize": 10**12}, 40, "0 left"),
        ({"CompressedData": True}, 40, "compressed data"),
    ],
)
def test_headers_that_lie(tmp_path, changes, data, words):
    path = tmp_path / "a.mha"
    fields = {"ElementDataFile": "LOCAL", **changes}
    text = header(**{**fields, "ElementDataFile": fields["ElementDataFile"] or "LOCAL"})
    if fields["ElementDataFile"] is None:
        text = text.replace(b"ElementDataFile = LOCAL\n", b"")
    path.write_bytes(text + bytes(data))
    tracemalloc.start()
    with pytest.raises(sonoray.FormatError, match=words) as caught:
        sonoray.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20 and "a.mha" in str(caught.value)


def test_compressed_data_that_unpack_to_more_or_less(tmp_path):
    path = tmp_path / "a.mha"
    for n, words in ((41, "got more"), (39, "got 39"), (1 << 24, "got more")):
        path.write_bytes(header(CompressedData=True) + zlib.compress(bytes(n)))
        with pytest.raises(sonoray.FormatError, match=words):
            sonoray.read(path)


def test_what_it_cannot_hold(tmp_path):
    sector = sonoray.SectorGrid([0.01, 0.02, 0.03, 0.04], [0, 0.1, 0.2, 0.3, 0.4])
    for data, name in (
        ((np.ones((5, 4), "c8"), GRID), "a.mha"),
        ((np.ones((5, 4)), sector), "a.mha"),
        ((np.ones((5, 4)), GRID), "a.png"),
        ((np.ones((2, 2, 5, 4)), GRID), "a.mha"),
        (3, "a.mha"),
    ):
        with pytest.raises(sonoray.ArgumentError):
            sonoray.write(tmp_path / name, data, format="metaimage")
    assert not list(tmp_path.iterdir())


def test_mouse_liver(real_data):
    rf, grid = sonoray.read(real_data("itk-mouse-liver-rf/MouseLiverRF.mha"))
    assert rf.shape == (4, 128, 1536) and rf.dtype == np.int32
    assert grid.spacing == pytest.approx((1e-4, 1.28417e-5))  # 59.96 MHz at 1540 m/s
    bmode, place = sonoray.read(real_data("itk-mouse-liver-rf/MouseLiverB.mha"))
    assert bmode.shape == (4, 128, 512) and bmode.dtype == np.uint8
    assert place.spacing == pytest.approx((1e-4, 3.85753e-5))
    # The same anatomy on the same axes: the energy of three samples and the picture rise and fall together.
    energy = np.log((rf.astype(float) ** 2).reshape(4, 128, 512, 3).mean(axis=3) + 1)
    likeness = np.corrcoef(energy[0].ravel(), bmode[0].ravel().astype(float))[0, 1]
    assert (
        likeness > 0.5 and likeness > 0.1 + np.corrcoef(energy[0, ::-1].ravel(), bmode[0].ravel().astype(float))[0, 1]
    )
    sitk = pytest.importorskip("SimpleITK")
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data("itk-mouse-liver-rf/MouseLiverRF.mha"))))
    np.testing.assert_array_equal(rf, stored)


def test_plus_sequences(real_data):
    lines, grid = sonoray.read(real_data("plus-ultrasonix-curvilinear/UltrasonixCurvilinearBrightnessData.igs.mha"))
    assert lines.shape == (5, 96, 3640) and grid.shape == (96, 3640)  # FM: depth fastest
    name = "plus-ultrasonix-curvilinear/UltrasonixCurvilinearScanConvertedDataGroundTruth.igs.mha"
    picture, grid = sonoray.read(real_data(name), spacing=2e-4)
    assert picture.shape == (5, 820, 616) and grid.spacing == (2e-4, 2e-4)
    assert picture[0, 410].mean() > picture[0, 2].mean()  # a sector: its middle is bright, its corners are empty
