"""DICOM: files made with pydicom, round trips, the standard's places of pixels, real files, hostile ones."""

import io
import struct
import tracemalloc
import warnings

import numpy as np
import pytest

import sonoray

from .io_makers import GRID, signal

pydicom = pytest.importorskip("pydicom")

GREY = np.arange(20, dtype=np.uint8).reshape(5, 4) * 12
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
VOLUME = sonoray.Grid((5, 3, 4), (1e-3, 5e-4, 2e-3), (-2e-3, -1e-3, 1e-3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a"


def edited(path, **changes):
    """Write again with other attributes; None takes one away."""
    data = pydicom.dcmread(path)
    for name, value in changes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path)


@pytest.mark.parametrize("image", [GREY, COLOUR, np.stack([GREY, 255 - GREY]), np.stack([COLOUR, COLOUR // 2])],
                         ids=["grey", "colour", "grey cine", "colour cine"])  # fmt: skip
def test_pictures_come_back(path, image):
    sonoray.write(path, (image, GRID), format="dicom", frame_rate=25.0, patient_name="Phantom^A")
    back, grid = sonoray.read(path)
    assert grid == GRID and back.dtype == np.uint8
    np.testing.assert_array_equal(back, image)
    pictures = sonoray.read_dicom(path)
    cine = image.shape[:2] != GRID.shape
    assert pictures.frame_rate == (25 if cine else 0) and not pictures.doubt and len(pictures.regions) == 1
    data = pydicom.dcmread(path)
    assert ("Multi-frame" in data.SOPClassUID.name) == cine
    np.testing.assert_array_equal(data.pixel_array, pictures.frames if cine else pictures.frames[0])


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("grid", [GRID, VOLUME], ids=["map", "volume"])
def test_sound_speed_as_parametric_map(path, kind, grid):
    medium = sonoray.Medium(grid, np.linspace(1400, 1600, grid.size).reshape(grid.shape).astype(kind))
    sonoray.write(path, medium, format="dicom")
    back = sonoray.read_medium(path)
    assert back.grid == grid and back.sound_speed.dtype == kind
    np.testing.assert_array_equal(back.sound_speed, medium.sound_speed)
    image, where = sonoray.read(path)
    assert where == grid and image.shape == grid.shape
    data = pydicom.dcmread(path)
    assert data.SOPClassUID.name == "Parametric Map Storage" and "PixelData" not in data
    shared = data.SharedFunctionalGroupsSequence[0]
    assert shared.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "m/s"
    # The place of a pixel by PS3.3 C.7.6.2.1.1: position + column index * spacing * row cosines + the other way.
    frame = data.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0].ImagePositionPatient
    rows, columns = shared.PixelMeasuresSequence[0].PixelSpacing
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    place = np.array(frame, float) + 3 * columns * cosines[:3] + 2 * rows * cosines[3:]
    y = grid.axes[1][-1] if grid.ndim == 3 else 0.0
    np.testing.assert_allclose(place * 1e-3, [grid.x[3], y, grid.z[2]], atol=1e-12)


def test_pixels_of_every_kind(path):
    sonoray.write(path, (GREY, GRID), format="dicom")
    edited(path, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(sonoray.read(path)[0], 255 - GREY)
    wide = GREY.T.astype("<u2") * 100
    edited(path, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=16, HighBit=15)
    data = pydicom.dcmread(path)
    data.add_new(0x7FE00010, "OW", wide.tobytes())
    data.save_as(path)
    np.testing.assert_array_equal(sonoray.read(path)[0], wide.T)
    # A palette of 16 bits, as scanners write them: entry i is (i, 255 - i, 7).
    sonoray.write(path, (GREY, GRID), format="dicom")
    data = pydicom.dcmread(path)
    data.PhotometricInterpretation = "PALETTE COLOR"
    ramp = np.arange(256, dtype="<u2") << 8
    for name, table in (("Red", ramp), ("Green", ramp[::-1].copy()), ("Blue", np.full(256, 7 << 8, "<u2"))):
        data.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        data.add_new(f"{name}PaletteColorLookupTableData", "OW", table.tobytes())
    data.save_as(path)
    np.testing.assert_array_equal(sonoray.read(path)[0], np.stack([GREY, 255 - GREY, 0 * GREY + 7], axis=-1))
    # YBR of two pixels: PS3.3 C.7.6.3.1.2; grey is (y, 128, 128).
    sonoray.write(path, (COLOUR, GRID), format="dicom")
    data = pydicom.dcmread(path)
    data.PhotometricInterpretation = "YBR_FULL"
    data.PixelData = np.stack([GREY.T, 0 * GREY.T + 128, 0 * GREY.T + 128], axis=-1).tobytes()
    data.save_as(path)
    np.testing.assert_array_equal(sonoray.read(path)[0], np.repeat(GREY[..., None], 3, axis=-1))


def test_calibration(path):
    sonoray.write(path, (GREY, GRID), format="dicom")
    data = pydicom.dcmread(path)
    small = data.SequenceOfUltrasoundRegions[0]
    other = pydicom.Dataset()
    other.update(small)
    other.RegionLocationMinX0, other.RegionLocationMaxX1 = 1, 3
    other.RegionLocationMinY0, other.RegionLocationMaxY1 = 1, 2
    other.ReferencePixelX0, other.ReferencePixelPhysicalValueX = 1, 0.5
    spectrum = pydicom.Dataset()
    spectrum.update(small)
    spectrum.RegionSpatialFormat, spectrum.PhysicalUnitsXDirection = 3, 4
    data.SequenceOfUltrasoundRegions = [spectrum, other, small]
    data.save_as(path)
    assert sonoray.read(path)[1] == GRID  # the largest of the 2-D ones
    image, grid = sonoray.read(path, region=0)
    np.testing.assert_array_equal(image, GREY[1:4, 1:3])
    # Column 2 of the picture, one from the region's corner, is at 5 mm: the cut-out begins one step before.
    assert grid.origin[0] == pytest.approx(4e-3) and grid.spacing == GRID.spacing
    assert sonoray.read(path, spacing=1e-4)[1].spacing == (1e-4, 1e-4)
    assert sonoray.read(path, spacing=(1e-4, 2e-4))[1].spacing == (1e-4, 2e-4)
    for wrong in ({"region": 2}, {"spacing": 1.0}, {"quantity": "x"}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(path, **wrong)
    edited(path, SequenceOfUltrasoundRegions=None, PixelSpacing=[2.0, 1.0])
    assert sonoray.read(path)[1] == sonoray.Grid((5, 4), (1e-3, 2e-3), (0, 0))
    edited(path, PixelSpacing=None)
    with pytest.raises(sonoray.FormatError, match="unknown scale; pass spacing="):
        sonoray.read(path)
    np.testing.assert_array_equal(sonoray.read(path, spacing=1e-3)[0], GREY)
    assert sonoray.read_dicom(path).spacing is None


def test_a_calibration_of_another_picture_is_doubted(path):
    sonoray.write(path, (GREY, GRID), format="dicom")
    data = pydicom.dcmread(path)
    data.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = 9
    data.save_as(path)
    with pytest.warns(UserWarning, match="column 9 .* of 5 x 4.*spacing="):
        assert sonoray.read(path)[1].spacing == GRID.spacing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sonoray.read(path, spacing=1e-3)


def test_jpeg_frames_of_another_size_are_refused_before_they_are_unpacked(path):
    image = pytest.importorskip("PIL.Image")
    sonoray.write(path, (GREY, GRID), format="dicom")
    for size, fits in (((5, 4), True), ((9000, 9000), False)):
        stream = io.BytesIO()
        image.new("L", size, 90).save(stream, "JPEG")
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
        data.PixelData = pydicom.encaps.encapsulate([stream.getvalue()])
        data["PixelData"].is_undefined_length = True
        data.save_as(path.with_suffix(".jpg"))
        if fits:
            assert (sonoray.read(path.with_suffix(".jpg"))[0] == 90).all()
        else:
            with pytest.raises(sonoray.FormatError, match="5 x 4 pixels"):
                sonoray.read(path.with_suffix(".jpg"))


def test_files_that_lie(path):
    sonoray.write(path, (np.stack([GREY] * 3), GRID), format="dicom")
    raw = path.read_bytes()
    at = raw.index(struct.pack("<HH2s", 0x0028, 0x0010, b"US")) + 8
    huge = raw[:at] + b"\xff\xff" + raw[at + 2 :]
    frames = raw.replace(b"IS\x02\x003 ", b"IS\x02\x0099", 1)
    assert frames != raw
    pixels = raw.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB")) + 8
    claimed = raw[:pixels] + struct.pack("<I", 0xFFFFFFF0) + raw[pixels + 4 :]
    deflated = raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    sonoray.read(path)  # imports what it needs before memory is counted
    for content in (huge, frames, claimed, deflated, raw[:200], raw[: pixels + 30]):
        path.write_bytes(content)
        tracemalloc.start()
        if content is claimed:  # the pixels are all there
            np.testing.assert_array_equal(sonoray.read(path)[0], np.stack([GREY] * 3))
        else:
            with pytest.raises(sonoray.FormatError) as caught:
                sonoray.read(path)
            assert str(path) in str(caught.value)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20
    path.write_bytes(bytes(200))
    with pytest.raises(sonoray.FormatError, match="byte 128"):
        sonoray.read_dicom(path)


def test_what_it_cannot_hold(path, monkeypatch):
    sector = sonoray.SectorGrid([0.01, 0.02, 0.03, 0.04], [0, 0.1, 0.2, 0.3, 0.4])
    ok = np.ones((5, 4))
    for data in (3, (GREY, sector), (ok * np.nan, GRID), (signal(5, 4), GRID), (np.zeros((0, 5, 4), "u1"), GRID)):
        with pytest.raises(sonoray.ArgumentError):
            sonoray.write(path, data, format="dicom")
    for wrong in ({"unit": ""}, {"label": "x" * 17}):
        with pytest.raises(sonoray.ArgumentError, match="label"):
            sonoray.write_parametric_map(path, ok, GRID, **wrong)
    with pytest.raises(sonoray.ArgumentError, match="frame_rate"):
        sonoray.write_dicom(path, GREY, GRID, frame_rate=-1)
    assert not path.exists()
    sonoray.write(path, (ok, GRID), format="dicom")
    assert sonoray.read(path)[0].dtype == np.float64
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[io\]"):
        sonoray.read(path)


def test_real_files(real_data):
    with pytest.warns(UserWarning, match="cut or scaled"):
        screen, grid = sonoray.read(real_data("dicom-us/examples_palette.dcm"))
    assert screen.shape == (800, 350, 3) and grid.spacing == pytest.approx((2.622878766e-4,) * 2)
    data = pydicom.dcmread(real_data("dicom-us/examples_palette.dcm"))
    lut = pydicom.pixels.apply_color_lut(data.pixel_array, data)
    np.testing.assert_array_equal(screen, (lut >> 8).swapaxes(0, 1))
    with pytest.warns(UserWarning, match="cut or scaled"):
        cine, grid = sonoray.read(real_data("dicom-us/examples_ybr_color.dcm"))
    assert cine.shape == (30, 320, 240, 3) and grid.shape == (320, 240)
    pictures = sonoray.read_dicom(real_data("dicom-us/examples_ybr_color.dcm"))
    assert pictures.frame_rate == pytest.approx(30, rel=1e-4)
    image = pytest.importorskip("PIL.Image")
    data = pydicom.dcmread(real_data("dicom-us/examples_ybr_color.dcm"))
    first = next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=30))
    with image.open(io.BytesIO(first)) as picture:
        np.testing.assert_array_equal(pictures.frames[0], np.asarray(picture.convert("RGB")))


ROWS = GREY.T.copy()  # as displayed


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        (ROWS, "Secondary Capture Image Storage"),
        (np.stack([ROWS, 255 - ROWS, ROWS // 2], axis=-1), "Secondary Capture Image Storage"),
        (np.stack([ROWS, 255 - ROWS]), "Multi-frame Grayscale Byte Secondary Capture Image Storage"),
        (
            np.stack([np.stack([ROWS] * 3, axis=-1), np.stack([255 - ROWS] * 3, axis=-1)]),
            "Multi-frame True Color Secondary Capture Image Storage",
        ),
    ],
    ids=["grey", "colour", "grey cine", "colour cine"],
)
def test_secondary_captures_come_back(path, picture, name):
    sonoray.write_secondary_capture(path, picture, frame_rate=25.0, spacing=(2e-4, 1e-4), description="report")
    data = pydicom.dcmread(path)
    assert data.SOPClassUID.name == name and data.ConversionType == "WSD" and data.SeriesDescription == "report"
    assert [float(h) for h in data.PixelSpacing] == [0.2, 0.1]
    np.testing.assert_array_equal(data.pixel_array, picture)
    back = sonoray.read_dicom(path)
    frames = picture if name.startswith("Multi") else picture[None]
    np.testing.assert_array_equal(back.frames, frames)
    assert back.spacing == pytest.approx((1e-4, 2e-4)) and not back.regions
    assert back.frame_rate == (25 if name.startswith("Multi") else 0)
    assert data.BurnedInAnnotation == "YES"


def test_names_of_any_script_and_screens_without_text(path):
    sonoray.write_secondary_capture(path, ROWS, patient_name="Łukasz^山田", annotated=False)
    data = pydicom.dcmread(path)
    assert str(data.PatientName) == "Łukasz^山田" and data.BurnedInAnnotation == "NO"


def test_secondary_capture_without_scale(path):
    sonoray.write_secondary_capture(path, ROWS)
    assert sonoray.read_dicom(path).spacing is None
    with pytest.raises(sonoray.FormatError, match="spacing"):
        sonoray.read(path)


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        (ROWS.astype(float), {}, "picture: expected uint8"),
        (ROWS[None, None], {}, "picture: expected uint8"),
        (ROWS[:0], {}, "picture: expected uint8"),
        (ROWS, {"spacing": (0.2, 0.1)}, "spacing: expected .* is it really in m"),
        (ROWS, {"spacing": (1e-4,)}, "spacing: expected two numbers"),
        (ROWS, {"frame_rate": -1.0}, "frame_rate"),
    ],
)
def test_secondary_captures_that_cannot_be(path, picture, options, message):
    with pytest.raises(sonoray.ArgumentError, match=message):
        sonoray.write_secondary_capture(path, picture, **options)
    assert not path.exists()
