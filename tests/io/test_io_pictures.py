"""Pictures and summaries, read back by the programs they are meant for."""

import json

import numpy as np
import pytest

import sonoray

from .io_makers import GRID, channel_data, signal

GREY = np.arange(20, dtype=np.uint8).reshape(5, 4) * 12
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


@pytest.mark.parametrize("image", [GREY, COLOUR, GREY[:, :3]], ids=["grey", "colour", "odd"])
def test_dicom_holds_pixels_and_scale(tmp_path, image):
    pydicom = pytest.importorskip("pydicom")
    path = tmp_path / "a.dcm"
    grid = sonoray.Grid(image.shape[:2], GRID.spacing, GRID.origin)
    sonoray.write_dicom(path, image, grid, patient_name="Phantom^A", description="test")
    back = pydicom.dcmread(path)
    np.testing.assert_array_equal(back.pixel_array, image.swapaxes(0, 1))
    assert back.SOPClassUID.name == "Ultrasound Image Storage" and back.Modality == "US"
    assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID
    (region,) = back.SequenceOfUltrasoundRegions
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == pytest.approx((0.1, 0.2))  # cm
    assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)
    assert (region.RegionLocationMaxX1 + 1, region.RegionLocationMaxY1 + 1) == image.shape[:2]
    # The physical place of a pixel, by the standard's formula, is its place on the grid.
    column, row = 3, 2
    x = (column - region.ReferencePixelX0) * region.PhysicalDeltaX + region.ReferencePixelPhysicalValueX
    z = (row - region.ReferencePixelY0) * region.PhysicalDeltaY + region.ReferencePixelPhysicalValueY
    assert (x / 100, z / 100) == pytest.approx((grid.x[column], grid.z[row]))
    assert str(back.PatientName) == "Phantom^A"


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
def test_png_holds_pixels_and_resolution(tmp_path, image):
    Image = pytest.importorskip("PIL.Image")
    square = sonoray.Grid(GRID.shape, 1e-3, GRID.origin)
    sonoray.write_png(tmp_path / "a.png", image, square)
    with Image.open(tmp_path / "a.png") as back:
        np.testing.assert_array_equal(np.asarray(back), image.swapaxes(0, 1))
        assert back.info["dpi"] == pytest.approx((25.4, 25.4), rel=1e-3)  # PNG keeps whole points per metre


def test_png_has_true_proportions(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    deep = np.zeros(GRID.shape, np.uint8)
    deep[:, 2:] = 200
    sonoray.write_png(tmp_path / "a.png", deep, GRID)  # cells of 1 mm by 2 mm become pixels of 1 mm
    with Image.open(tmp_path / "a.png") as back:
        rows = np.asarray(back)
    assert rows.shape == (8, 5)
    assert rows[0].max() == 0
    assert rows[-1].min() == 200


def test_pictures_of_the_wrong_kind_are_refused(tmp_path):
    sector = sonoray.SectorGrid([0.01, 0.02, 0.03, 0.04], [0, 0.1, 0.2, 0.3, 0.4])
    for image, grid, words in (
        (GREY / 255.0, GRID, "uint8"),
        (GREY.T, GRID, "shape"),
        (GREY[None, None], GRID, "shape"),
        (GREY, sector, "grid"),
    ):
        for write in (sonoray.write_dicom, sonoray.write_png):
            with pytest.raises(sonoray.ArgumentError, match=words):
                write(tmp_path / "a", image, grid)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[io\]"):
        sonoray.write_dicom(tmp_path / "a", GREY, GRID)


def test_summaries_are_plain_values():
    data = channel_data()
    found = json.loads(json.dumps(sonoray.summary(data)))
    assert found["signal"] == "RF" and found["dtype"] == "int16" and found["n_tx"] == 5
    assert found["transmits"] == {"plane": 1, "diverging": 1, "focused": 1, "element": 1, "delays": 1}
    assert found["max_depth"] == pytest.approx(data.max_depth) and found["duration"] == pytest.approx(2 / 7)
    assert found["probe"]["kind"] == "curvilinear" and found["angles"] == pytest.approx([0.1, 0.1])
    medium = json.loads(json.dumps(sonoray.summary(sonoray.Medium(GRID, 1500.0, density=1000.0))))
    assert medium["sound_speed"] == [1500, 1500] and medium["absorption"] is None
    assert medium["grid"]["extent"] == pytest.approx(np.array([[-2e-3, 2e-3], [1e-3, 7e-3]]))
    image = json.loads(json.dumps(sonoray.summary((signal(5, 4, kind="c8"), GRID))))
    assert image["kind"] == "image" and image["range"][0] >= 0
    with pytest.raises(sonoray.ArgumentError, match="data"):
        sonoray.summary(3)
