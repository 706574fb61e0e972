"""Videos: what is written comes back with its timing; damaged files are refused by name."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, FormatError
from sonoray.io import Video, read_video, write_image, write_video

from .test_io_images import dicom, refused_within_bounds

pytest.importorskip("PIL", reason="the extra 'io' is not installed")
PROPERTY = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 16, 24), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
STILL = np.concatenate([GREY[:2], GREY[1:2], GREY[1:]])  # equal frames in a row, which writers merge


@pytest.mark.parametrize(
    ("ending", "frames"),
    [
        *((e, f) for e in (".tif", ".png", ".apng", ".npy", ".npz", "") for f in (GREY, COLOUR, STILL)),
        *((e, RNG.integers(0, 65536, (3, 16, 24), dtype=np.uint16)) for e in (".tif", ".npy", "")),
        (".npz", RNG.random((3, 16, 24))),
        (".tif", GREY[:1]),
    ],
)
def test_there_and_back(tmp_path, ending, frames):
    path = tmp_path / f"a{ending}"
    write_video(path, Video(frames, 25.0))
    back = read_video(path)
    assert back.frames.dtype == frames.dtype
    np.testing.assert_array_equal(back.frames, frames)
    if ending in (".png", ".apng", ".npz"):
        assert back.frame_rate == pytest.approx(25, rel=1e-3)


@pytest.mark.parametrize("frames", [GREY, STILL])
def test_gif(tmp_path, frames):
    write_video(tmp_path / "a.gif", Video(frames, 25.0))
    back = read_video(tmp_path / "a.gif")
    values = back.frames if back.frames.ndim == 3 else back.frames[..., 0]
    assert back.frame_rate == pytest.approx(25)
    np.testing.assert_allclose(values, frames, atol=1)


def test_gif_counts_in_hundredths_of_a_second(tmp_path):
    for rate, kept in ((30.0, 100 / 3), (50.0, 50.0), (28.0, 25.0)):
        write_video(tmp_path / "a.gif", Video(GREY, rate))
        assert read_video(tmp_path / "a.gif").frame_rate == pytest.approx(kept)
    with pytest.raises(ArgumentError, match=r"at most 50 Hz for \.gif.*150"):
        write_video(tmp_path / "b.gif", Video(GREY, 150.0))
    assert not (tmp_path / "b.gif").exists()


def test_a_last_frame_that_is_held_stays_one(tmp_path):
    from PIL import Image

    images = [Image.fromarray(f) for f in GREY]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100] * 4 + [3000])
    back = read_video(tmp_path / "a.gif")
    assert (len(back.frames), back.frame_rate) == (5, pytest.approx(10))


@pytest.mark.parametrize("ending", [".mp4", ".avi"])
def test_movies(tmp_path, ending):
    pytest.importorskip("av", reason="the extra 'video' is not installed")
    pytest.importorskip("imageio")
    x = np.linspace(0, 1, 33)
    frames = np.stack([np.outer(x, np.roll(x, 4 * k)) * 255 for k in range(6)]).astype(np.uint8)[:, :31]
    write_video(tmp_path / f"a{ending}", Video(frames, 25.0))
    back = read_video(tmp_path / f"a{ending}")
    assert back.frames.shape == (6, 32, 34, 3)  # even sizes, for the codec
    assert back.frame_rate == pytest.approx(25, rel=0.01)
    assert np.abs(back.frames[:, :31, :33, 0].astype(int) - frames).mean() < 4
    raw = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"cut{ending}").write_bytes(raw[: len(raw) // 3])
    (tmp_path / f"none{ending}").write_bytes(b"nothing of the kind")
    for name in (f"cut{ending}", f"none{ending}"):
        try:
            assert len(read_video(tmp_path / name).frames) < 6  # of a cut one the first frames may be there
        except FormatError as error:
            assert name in str(error)


def test_dicom_cine(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY, NumberOfFrames=5, FrameTime=40)
    back = read_video(path)
    np.testing.assert_array_equal(back.frames, GREY)
    assert back.frame_rate == pytest.approx(25)


def test_real_cine(real_data):
    video = read_video(real_data("dicom-us/examples_ybr_color.dcm"))
    assert video.frames.shape == (30, 240, 320, 3)
    assert video.frame_rate == pytest.approx(30, rel=1e-3)
    assert np.abs(np.diff(video.frames.astype(int), axis=0)).mean() > 0.5  # it moves


def test_folder_of_frames_of_two_sizes(tmp_path):
    write_image(tmp_path / "1.png", GREY[0])
    write_image(tmp_path / "2.png", GREY[0, :8])
    with pytest.raises(FormatError, match="one size"):
        read_video(tmp_path)


def test_grey_frames_among_colours(tmp_path):
    write_image(tmp_path / "1.png", GREY[0])
    write_image(tmp_path / "2.png", COLOUR[0])
    video = read_video(tmp_path)
    assert video.frames.shape == (2, 16, 24, 3)


@pytest.mark.parametrize(
    ("frames", "rate", "match"),
    [
        (GREY[0], None, "n_frames"),
        (np.zeros((2, 16, 16, 2), np.uint8), None, "n_frames"),
        (GREY.astype(int), None, "int64"),
        (GREY, 0.0, "frame_rate"),
        (GREY, float("nan"), "frame_rate"),
    ],
)
def test_videos_refuse(frames, rate, match):
    with pytest.raises(ArgumentError, match=match):
        Video(frames, rate)


@pytest.mark.parametrize(
    ("name", "frames", "match"),
    [("a.xyz", GREY, "ending in"), ("a.gif", GREY / 255.0, "float64"), ("a.png", GREY.astype(np.uint16), "uint16")],
)
def test_writing_refuses(tmp_path, name, frames, match):
    with pytest.raises(ArgumentError, match=match):
        write_video(tmp_path / name, Video(frames))
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_written_into(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ArgumentError, match="not there yet"):
        write_video(tmp_path / "a", Video(GREY))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for ending in (".gif", ".tif", ".png", ".npy", ".npz"):
        write_video(folder / f"a{ending}", Video(GREY, 20.0))
    dicom(folder / "a.dcm", GREY, NumberOfFrames=5)
    return {p.suffix: p.read_bytes() for p in folder.iterdir()}


ENDINGS = (".gif", ".tif", ".png", ".npy", ".npz", ".dcm")


@pytest.mark.parametrize("ending", ENDINGS)
@PROPERTY
@given(share=st.floats(0, 0.9))
def test_truncated(ending, originals, tmp_path, share):
    path = tmp_path / f"cut{ending}"
    path.write_bytes(originals[ending][: int(share * len(originals[ending]))])
    assert refused_within_bounds(path, read_video)


@pytest.mark.parametrize("ending", ENDINGS)
@PROPERTY
@given(data=st.data())
def test_bytes_changed(ending, originals, tmp_path, data):
    raw = bytearray(originals[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"changed{ending}"
    path.write_bytes(raw)
    refused_within_bounds(path, read_video)


def test_bombs(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**5, 9)})
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(100))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("frames.npy", bytes(64 << 20))
    from PIL import Image

    images = [Image.new("L", (2000, 2000), k) for k in range(8)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    for name in ("a.npy", "a.npz", "a.gif"):
        assert refused_within_bounds(tmp_path / name, read_video), name


def test_arrays_that_hold_code_are_not_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(FormatError, match="NumPy"):
        read_video(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", a=GREY, b=GREY)
    with pytest.raises(FormatError, match="single array"):
        read_video(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", np.zeros((3, 3)))
    with pytest.raises(FormatError, match=r"c\.npy"):
        read_video(tmp_path / "c.npy")
