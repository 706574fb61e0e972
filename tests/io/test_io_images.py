"""Pictures: what is written comes back; damaged and hostile files are refused by name."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, FormatError
from sonoray.io import image_files, read_image, read_images, write_image
from sonoray.io._budget import FREE_BYTES

Image = pytest.importorskip("PIL.Image", reason="the extra 'io' is not installed")
PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
CLEAR = RNG.integers(0, 256, (20, 30, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
FLOAT = RNG.random((20, 30)).astype(np.float32)


@pytest.mark.parametrize(
    ("ending", "image"),
    [
        *((e, GREY) for e in (".png", ".tif", ".tiff", ".bmp", ".pgm")),
        *((e, COLOUR) for e in (".png", ".tif", ".bmp", ".ppm")),
        *((e, CLEAR) for e in (".png", ".tif")),
        *((e, DEEP) for e in (".png", ".tif", ".pgm")),
        (".tif", FLOAT),
    ],
)
def test_there_and_back(tmp_path, ending, image):
    path = tmp_path / f"a{ending}"
    write_image(path, image)
    back = read_image(path)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_jpeg_loses_little(tmp_path):
    smooth = np.linspace(0, 255, 600).reshape(20, 30).astype(np.uint8)
    write_image(tmp_path / "a.jpg", smooth)
    back = read_image(tmp_path / "a.jpg")
    assert back.shape == smooth.shape
    assert np.abs(back.astype(int) - smooth).max() < 12


def test_the_name_does_not_matter(tmp_path):
    write_image(tmp_path / "a.png", GREY)
    (tmp_path / "a.png").rename(tmp_path / "b.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg"), GREY)


def test_modes_that_pillow_knows(tmp_path):
    base = Image.fromarray(COLOUR)
    for mode, shape in [("1", ()), ("P", (3,)), ("LA", (4,)), ("CMYK", (3,)), ("I", ())]:
        ending = "png" if mode in ("1", "P", "LA") else "tif"
        path = tmp_path / f"{mode}.{ending}"
        (base.convert("L").convert("LA") if mode == "LA" else base.convert("L" if mode == "I" else mode)).convert(
            mode
        ).save(path)
        assert read_image(path).shape == (20, 30, *shape)
    Image.fromarray(np.full((20, 30), 70_000, np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(FormatError, match="16 bits"):
        read_image(tmp_path / "deep.tif")


def test_frames(tmp_path):
    pages = [Image.fromarray(np.full((20, 30), k, np.uint8)) for k in (1, 2, 3)]
    path = tmp_path / "a.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(FormatError, match="got 3 frames"):
        read_image(path)
    assert (read_image(path, index=2) == 3).all()
    with pytest.raises(ArgumentError, match="less than 3"):
        read_image(path, index=3)


def test_folders_are_read_in_counting_order(tmp_path):
    for k in (10, 9, 1):
        write_image(tmp_path / f"frame_{k}.png", np.full((8, 8), k, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    assert [p.name for p in image_files(tmp_path)] == ["frame_1.png", "frame_9.png", "frame_10.png"]
    assert [int(image[0, 0]) for _, image in read_images(tmp_path)] == [1, 9, 10]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArgumentError, match="found none"):
        image_files(tmp_path / "empty")
    with pytest.raises(ArgumentError, match="expected a folder"):
        image_files(tmp_path / "frame_1.png")


@pytest.mark.parametrize(
    ("name", "image", "match"),
    [
        ("a.xyz", GREY, "ending in"),
        ("a.png", GREY.astype(float), "float64"),
        ("a.png", DEEP[..., None].repeat(3, 2), "uint16"),
        ("a.jpg", DEEP, "uint16"),
        ("a.jpg", CLEAR, "channels"),
        ("a.pgm", COLOUR, "channels"),
        ("a.png", GREY[0], "rows, columns"),
        ("a.png", GREY[:0], "rows, columns"),
    ],
)
def test_writing_refuses(tmp_path, name, image, match):
    with pytest.raises(ArgumentError, match=match):
        write_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def dicom(path, values, **fields):
    pydicom = pytest.importorskip("pydicom")
    grid = sonoray.Grid((8, 8), (1e-3, 1e-3), (0.0, 0.0))
    sonoray.write_dicom(path, np.zeros((8, 8), np.uint8), grid)
    data = pydicom.dcmread(path)
    data.Rows, data.Columns = values.shape[-2:]
    data.BitsAllocated = data.BitsStored = 8 * values.itemsize
    for name, value in fields.items():
        setattr(data, name, value)
    data.HighBit = data.BitsStored - 1
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(data, name, "1.2.3")  # random ones would make files of different lengths
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.add_new(0x7FE00010, "OW" if values.itemsize == 2 else "OB", values.tobytes())
    data.save_as(path)
    return path


def test_dicom_grey(tmp_path):
    np.testing.assert_array_equal(read_image(dicom(tmp_path / "a.dcm", GREY)), GREY)
    inverted = dicom(tmp_path / "b.dcm", GREY, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(inverted), 255 - GREY)
    ten = (DEEP >> 6).astype(np.uint16)  # 10 bits
    deep = read_image(dicom(tmp_path / "c.dcm", ten, BitsStored=10))
    np.testing.assert_array_equal(deep, np.rint(ten * (65535 / 1023)))
    signed = read_image(dicom(tmp_path / "d.dcm", (DEEP - 32768).view(np.int16), PixelRepresentation=1))
    np.testing.assert_array_equal(signed, DEEP)


@pytest.mark.parametrize(
    "fields",
    [{"NumberOfFrames": 10_000_000}, {"Rows": 65535, "Columns": 65535}, {"SamplesPerPixel": 0}],
)
def test_dicom_that_lies_about_its_size(tmp_path, fields):
    path = dicom(tmp_path / "a.dcm", GREY, **fields)
    assert refused_within_bounds(path)


def test_real_dicom_screens(real_data):
    screen = read_image(real_data("dicom-us/examples_palette.dcm"))
    assert (screen.shape, screen.dtype) == ((350, 800, 3), np.uint8)
    assert tuple(screen[5, 785]) != tuple(screen[345, 5])  # a blue bar over a black ground
    frame = read_image(real_data("dicom-us/examples_ybr_color.dcm"), index=5)
    assert (frame.shape, frame.dtype) == ((240, 320, 3), np.uint8)
    # The sector is grey, whatever colours the screen around it has: YBR was turned into RGB.
    sector = frame[60:190, 130:220].astype(int)
    assert np.abs(sector - sector.mean(-1, keepdims=True)).max() < 12
    assert sector.std() > 20


def refused_within_bounds(path, read=read_image):
    tracemalloc.start()
    try:
        read(path)
    except FormatError as error:
        assert str(path) in str(error)
        return True
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < FREE_BYTES + (8 << 20)
    return False


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for ending in (".png", ".jpg", ".tif", ".bmp", ".pgm"):
        write_image(folder / f"a{ending}", GREY)
    dicom(folder / "a.dcm", GREY)
    return {p.suffix: p.read_bytes() for p in folder.iterdir()}


ENDINGS = (".png", ".jpg", ".tif", ".bmp", ".pgm", ".dcm")
MAGICS = [b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM", b"P5\n", b"GIF89a", b"\xff\xd8\xff", bytes(128) + b"DICM"]


@pytest.mark.parametrize("ending", ENDINGS)
@PROPERTY
@given(share=st.floats(0, 0.9))
def test_truncated(ending, originals, tmp_path, share):
    raw = originals[ending]
    path = tmp_path / f"cut{ending}"
    path.write_bytes(raw[: int(share * len(raw))])
    assert refused_within_bounds(path)


@pytest.mark.parametrize("ending", ENDINGS)
@PROPERTY
@given(data=st.data())
def test_bytes_changed(ending, originals, tmp_path, data):
    raw = bytearray(originals[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"changed{ending}"
    path.write_bytes(raw)
    refused_within_bounds(path)


@PROPERTY
@given(head=st.sampled_from(MAGICS), tail=st.binary(max_size=400))
def test_anything(head, tail, tmp_path):
    path = tmp_path / "any"
    path.write_bytes(head + tail)
    refused_within_bounds(path)


def bomb(rows, columns):
    """A PNG of one grey value that claims rows x columns pixels in a few kilobytes."""

    def chunk(name, payload):
        return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))

    deflate = zlib.compressobj(9)
    packed = b"".join(deflate.compress(bytes(columns + 1)) for _ in range(min(rows, 2000))) + deflate.flush()
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (40_000, 40_000), (1, 2_000_000_000)])
def test_bombs(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(*size) if size[0] > 1 else bomb(1, 1000).replace(struct.pack(">II", 1000, 1), b"\x77" * 8))
    assert refused_within_bounds(path)


def _png(path, values):
    """A PNG of 16 bits in colour, which Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns, _ = values.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", columns, rows, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("ending", [".png", ".ppm"])
def test_colours_of_16_bits_are_refused(tmp_path, ending):
    path, values = tmp_path / f"a{ending}", RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    if ending == ".png":
        _png(path, values)
    else:
        path.write_bytes(b"P6 30 20 65535\n" + values.astype(">u2").tobytes())
    with pytest.raises(FormatError, match="at most 8 bits per colour"):
        read_image(path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_asks(tmp_path, ending, orientation):
    path, exif = tmp_path / f"a{ending}", Image.Exif()
    exif[274] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    if ending == ".tif" and orientation > 4:
        with pytest.raises(FormatError, match=f"orientation {orientation}"):
            read_image(path)
        return
    a = GREY
    if ending == ".jpg":
        with Image.open(path) as file:
            a = np.array(file)
    turned = (a, a[:, ::-1], a[::-1, ::-1], a[::-1], a.T, np.rot90(a, -1), a[::-1, ::-1].T, np.rot90(a))
    np.testing.assert_array_equal(read_image(path), turned[orientation - 1])
