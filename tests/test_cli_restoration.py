"""sonoray despeckle, enhance, translate, export: files in, files out, nothing written over, the rest goes on."""

import json

import numpy as np
import pytest

from sonoray import ArgumentError
from sonoray.cli import main
from sonoray.io import Video, read_image, read_video, write_image, write_video
from sonoray.learning import ModelSpec, TensorSpec
from sonoray.learning.models import attach_spec

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("PIL")

RNG = np.random.default_rng(0)
GREY = RNG.integers(40, 200, (40, 60), dtype=np.uint8)


def blur_model(path, task, axes, settings=None, n_channels=1):
    """Mean over 3 x 3 pixels of the first channel: a network as small as they come."""
    n_dims = len(axes) - 2
    shape = (1, n_channels, *[1] * (n_dims - 2), 3, 3)
    weight = np.zeros(shape, np.float32)
    weight[:, 0] = 1 / 9
    spatial = [0] * (n_dims - 2) + [1, 1]
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=spatial * 2)],
        "blur",
        [helper.make_tensor_value_info("x", 1, ["batch", n_channels, *axes[2:]])],
        [helper.make_tensor_value_info("y", 1, ["batch", 1, *axes[2:]])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spec = ModelSpec("blur", (TensorSpec("x", axes),), (TensorSpec("y", axes),), task=task, settings=settings or {})
    attach_spec(model, spec)
    path.write_bytes(model.SerializeToString())
    return path


IMAGE = ("batch", "channel", "row", "column")
VIDEO = ("batch", "channel", "time", "row", "column")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    blur_model(folder / "enhance.onnx", "enhancement", IMAGE)
    blur_model(folder / "despeckle.onnx", "despeckling", IMAGE, {"range": "min-max", "multiple": 4})
    blur_model(folder / "flow_coarse.onnx", "color flow translation", VIDEO, {"channels": "published"}, 5)
    return folder


def blurred(image):
    from scipy.ndimage import uniform_filter

    return uniform_filter(image.astype(float), 3, mode="constant")


COMMANDS = ("despeckle", "enhance")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm", ".bmp"])
def test_one_file(tmp_path, models, command, ending, capsys):
    write_image(tmp_path / f"a{ending}", GREY)
    out = tmp_path / f"b{ending}"
    assert (
        main([command, str(tmp_path / f"a{ending}"), "-o", str(out), "--model", str(models / f"{command}.onnx")]) == 0
    )
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(read_image(out)[inner], blurred(GREY)[inner], atol=1)
    assert f"{out}: 40 x 60 uint8" in capsys.readouterr().out


def test_folder_with_a_bad_picture_goes_on(tmp_path, models, capsys):
    source, out = tmp_path / "in", tmp_path / "new" / "out"
    source.mkdir()
    for name in ("a.png", "c.jpg"):
        write_image(source / name, GREY)
    (source / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    command = ["enhance", str(source), "-o", str(out), "--model", str(models / "enhance.onnx"), "--json", "--quiet"]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "c.png"]
    assert "1 of 3 failed" in captured.err and "b.png" in captured.err
    figures = json.loads(captured.out)
    assert [("error" in e) for e in figures["images"]] == [False, True, False]
    assert figures["model"] == "blur" and len(figures["digest"]) == 64
    assert figures["images"][0]["shape"] == [40, 60]
    assert 0 < figures["images"][0]["largest_change"] < 1


def test_videos_and_deep_pictures(tmp_path, models):
    frames = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
    write_video(tmp_path / "a.tif", Video(frames))
    write_video(tmp_path / "a.npz", Video(frames, 25.0))
    deep = GREY.astype(np.uint16) * 257
    write_image(tmp_path / "deep.png", deep)
    inputs = [str(tmp_path / name) for name in ("a.tif", "a.npz", "deep.png")]
    assert main(["enhance", *inputs, "-o", str(tmp_path / "out"), "--model", str(models / "enhance.onnx")]) == 0
    assert read_video(tmp_path / "out" / "a.tif").frames.shape == frames.shape
    back = read_video(tmp_path / "out" / "a.npz")
    assert back.frame_rate == 25
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(back.frames[1][inner], blurred(frames[1])[inner], atol=1)
    assert read_image(tmp_path / "out" / "deep.png").dtype == np.uint16


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.pgm", np.stack([GREY] * 3, -1), "channels that .pgm holds"),
        ("a.tif", np.stack([GREY / np.float32(255)] * 2), "expected uint8 for .tif"),
        ("a.png", np.stack([GREY.astype(np.uint16)] * 2), "expected uint8 for .png"),
    ],
)
def test_what_the_output_does_not_hold_is_refused_before_work(tmp_path, name, content, match):
    from sonoray.cli._pictures import Job, run_jobs

    if content.shape[-1] == 3:
        source = tmp_path / "in.png"
        write_image(source, content)
    else:
        source = tmp_path / "in.npy"
        np.save(source, content)
    worked = []
    entry = run_jobs([Job(source, tmp_path / "new" / name)], worked.append, "test", quiet=True)[0]
    assert match in entry["error"]
    assert not worked and not (tmp_path / "new").exists()


def test_folders_are_made_last_and_files_in_their_place_named(tmp_path, capsys):
    write_image(tmp_path / "a.png", GREY)
    (tmp_path / "file").write_text("something else")
    command = ["enhance", str(tmp_path / "a.png"), "-o"]
    assert main([*command, str(tmp_path / "file")]) == 1
    assert "got the file" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "new"), "--model", str(tmp_path / "none.onnx")]) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("method", ["median", "srad", "obnlm", "nllr"])
def test_classical_methods(tmp_path, method, capsys):
    write_image(tmp_path / "a.png", GREY)
    assert main(["despeckle", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "--method", method]) == 0
    found = read_image(tmp_path / "b.png")
    assert found.std() < GREY.std()
    # Of an envelope or an intensity the mean is kept, not of its logarithm.
    assert abs(found.mean() - GREY.mean()) < (45 if method == "srad" else 25)
    assert (
        main(["despeckle", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "--method", method, "--tile", "256"])
        == 1
    )
    assert "has no network" in capsys.readouterr().err


def test_strength_zero_changes_nothing(tmp_path, models):
    write_image(tmp_path / "a.png", GREY)
    for command in COMMANDS:
        out = tmp_path / f"{command}.png"
        model = str(models / f"{command}.onnx")
        assert main([command, str(tmp_path / "a.png"), "-o", str(out), "--model", model, "--strength", "0"]) == 0
        np.testing.assert_array_equal(read_image(out), GREY)


def test_outputs_that_are_refused(tmp_path, models, capsys):
    write_image(tmp_path / "a.png", GREY)
    (tmp_path / "other").mkdir()
    write_image(tmp_path / "other" / "a.png", GREY)
    (tmp_path / "c.txt").write_text("no picture")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.png")}
    a, model = str(tmp_path / "a.png"), ["--model", str(models / "enhance.onnx")]
    for arguments, reason in [
        ([a, "-o", a], "another place than the inputs'"),
        ([str(tmp_path / "other"), "-o", str(tmp_path / "other")], "another place than the inputs'"),
        ([a, str(tmp_path / "other" / "a.png"), "-o", str(tmp_path / "out")], "a name of its own"),
        ([a, str(tmp_path / "other"), "-o", str(tmp_path / "out.png")], "expected a folder for 2"),
        ([a, "-o", str(tmp_path / "no" / "b.png")], "a folder that is there"),
        ([str(tmp_path / "no.png"), "-o", str(tmp_path / "b.png")], "which is not there"),
        ([a, "-o", str(tmp_path / "b.xyz")], "ending in"),
        ([str(tmp_path / "c.txt"), "-o", str(tmp_path / "b.png")], "expected a picture"),
        ([a, "-o", str(tmp_path / "b.png"), "--strength", "2"], "strength"),
        ([a, "-o", str(tmp_path / "b.png"), "--model", "nowhere.onnx"], "which is no file"),
        ([a, "-o", str(tmp_path / "b.png"), "--model", str(models / "despeckle.onnx")], "for 'enhancement'"),
    ]:
        assert main(["enhance", *([] if "--model" in arguments else model), *arguments]) == 1
        assert reason in capsys.readouterr().err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.png")} == before


def test_folders_that_take_no_files_are_refused_before_work(tmp_path, capsys, monkeypatch):
    from sonoray.cli import _files

    write_image(tmp_path / "a.png", GREY)

    def full(dir):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.tempfile, "TemporaryFile", full)
    for out in ("b.png", "new/below"):
        assert main(["enhance", str(tmp_path / "a.png"), "-o", str(tmp_path / out), "--model", "nowhere.onnx"]) == 1
        assert f"output: expected a folder that can be written to, got {tmp_path}" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_thousands_of_files_are_paired_at_once(tmp_path, monkeypatch):
    from sonoray.cli._pictures import jobs

    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    names = [f"{k:04d}.png" for k in range(300)]
    for name in names:
        (tmp_path / "in" / name).touch()
        (tmp_path / "out" / name).touch()  # what is there already is compared with all inputs
    looked_at, stat = [], type(tmp_path).stat
    monkeypatch.setattr(type(tmp_path), "stat", lambda path, **more: looked_at.append(path) or stat(path, **more))
    made = jobs([tmp_path / "in"], tmp_path / "out")
    assert [job.target.name for job in made] == names
    assert len(looked_at) < 10 * len(names)  # linear
    (tmp_path / "out" / "0007.png").unlink()
    (tmp_path / "out" / "0007.png").hardlink_to(tmp_path / "in" / "0100.png")
    with pytest.raises(ArgumentError, match=r"another place than the inputs', got .*0007\.png"):
        jobs([tmp_path / "in"], tmp_path / "out")


def test_an_array_of_two_axes_is_one_image(tmp_path, models):
    np.save(tmp_path / "a.npy", GREY / np.float32(255))
    command = ["enhance", str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy"), "--quiet"]
    assert main([*command, "--model", str(models / "enhance.onnx")]) == 0
    found = np.load(tmp_path / "b.npy")
    assert (found.shape, found.dtype) == (GREY.shape, np.float32)
    np.testing.assert_allclose(found[3:-3, 3:-3], blurred(GREY)[3:-3, 3:-3] / 255, atol=1e-3)


def flow_video():
    frames = np.repeat(RNG.integers(20, 200, (6, 32, 48, 1), dtype=np.uint8), 3, axis=3)
    frames[:, 10:20, 12:30] = (220, 30, 10)
    return frames


def test_translate(tmp_path, models, capsys):
    frames = flow_video()
    write_video(tmp_path / "in.npz", Video(frames, 20.0))
    command = ["translate", str(tmp_path / "in.npz"), "--model", str(models / "flow_coarse.onnx"), "--quiet", "--json"]
    assert main([*command, "-o", str(tmp_path / "out.tif"), "--mask-output", str(tmp_path / "mask.npz")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["frames"] == 6 and figures["stage"] == "coarse"
    assert 0.1 < figures["mean_coverage"] < 0.3
    back, mask = read_video(tmp_path / "out.tif").frames, read_video(tmp_path / "mask.npz").frames
    assert mask[:, 10:20, 12:30].min() == 255
    hidden = mask > 0
    np.testing.assert_array_equal(back[~hidden], frames[..., 0][~hidden])

    write_image(tmp_path / "where.png", mask[0])  # the same, given
    assert main([*command, "-o", str(tmp_path / "again.tif"), "--mask", str(tmp_path / "where.png")]) == 0
    np.testing.assert_array_equal(read_video(tmp_path / "again.tif").frames, back)


def test_translate_refuses(tmp_path, models, capsys):
    frames = flow_video()
    write_video(tmp_path / "in.npz", Video(frames))
    write_video(tmp_path / "full.npz", Video(np.full_like(frames, 200) // np.array([1, 2, 3], np.uint8)))
    write_image(tmp_path / "small.png", GREY)
    common = ["--model", str(models / "flow_coarse.onnx"), "-o", str(tmp_path / "out.tif")]
    for arguments, reason in [
        (["full.npz"], "without colour to go by"),
        (["in.npz", "--mask", str(tmp_path / "small.png")], "mask: expected"),
        (["in.npz", "--stage", "refined"], "no refinement"),
        (["missing.npz"], "missing.npz"),
        (["in.npz", "--seed", "-1"], "seed: expected 0 to"),
    ]:
        assert main(["translate", str(tmp_path / arguments[0]), *arguments[1:], *common]) == 1
        assert reason in capsys.readouterr().err
    assert main(["translate", str(tmp_path / "in.npz"), *common[:2], "-o", str(tmp_path / "in.npz")]) == 1
    assert "another file than the input" in capsys.readouterr().err
    assert not (tmp_path / "out.tif").exists()


def test_translate_writes_over_nothing_it_reads_or_writes(tmp_path, models, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "in.npz", Video(flow_video()))
    write_video(tmp_path / "where.tif", Video(255 * (np.ptp(flow_video(), axis=-1) > 0).astype(np.uint8)))
    before = (tmp_path / "where.tif").read_bytes()
    common = ["translate", "in.npz", "--model", str(models / "flow_coarse.onnx"), "--quiet"]
    for arguments, reason in [
        (["-o", "same.tif", "--mask-output", str(tmp_path / "same.tif")], "mask-output: expected another file"),
        (["-o", "new", "--mask-output", "./new"], "mask-output: expected another file"),
        (["-o", "out.tif", "--mask", "where.tif", "--mask-output", "where.tif"], "another file than the input"),
        (["-o", "where.tif", "--mask", "where.tif"], "another file than the input"),
    ]:
        assert main([*common, *arguments]) == 1
        assert reason in capsys.readouterr().err
    assert (tmp_path / "where.tif").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "where.tif"]


def test_export_refuses(tmp_path, capsys):
    assert main(["export", str(tmp_path), "-o", str(tmp_path / "a.onnx")]) == 1
    assert "training folder with model.json" in capsys.readouterr().err
    (tmp_path / "model.json").write_text('{"task": "cooking"}')
    assert main(["export", str(tmp_path), "-o", str(tmp_path / "a.onnx")]) == 1
    assert "got 'cooking'" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "-o", str(tmp_path / "a.pt")]) == 1
    assert "ending in .onnx" in capsys.readouterr().err
