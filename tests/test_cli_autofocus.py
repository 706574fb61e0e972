"""sonoray autofocus from end to end: what it writes, what it answers to mistakes."""

import json

import numpy as np
import pytest

import sonoray
from sonoray.io import read_medium

from .autofocus.conftest import SPEED, sent, speckle
from .test_cli import answer, refused

pytest.importorskip("matplotlib")
QUICK = ("--iterations", 1, "--map-spacing-mm", 3, "--region-mm", -4, 4, 8, 18, "--spacing-mm", 0.3, "--quiet")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("autofocus") / "echoes.h5"
    sonoray.write(path, speckle())
    return path


def test_report_map_image_and_figures(file, tmp_path, capsys):
    grid = sonoray.Grid.from_extent(x=(-9e-3, 9e-3), z=(0.0, 22e-3), spacing=1e-3)
    sonoray.write(tmp_path / "truth.h5", sonoray.Medium(grid, np.full(grid.shape, SPEED)))
    names = [tmp_path / name for name in ("r.html", "m.h5", "i.png")]
    outputs = [word for name in names for word in ("-o", name)]
    status, text, notes = answer(
        capsys, "autofocus", file, *outputs, "--truth", tmp_path / "truth.h5", "--json", *QUICK
    )
    assert status == 0
    figures = json.loads(text)
    assert figures == json.loads((tmp_path / "r.json").read_text())
    assert abs(figures["global_sound_speed"] - SPEED) < 8.0
    assert np.allclose(figures["region"], [[-4e-3, 4e-3], [8e-3, 18e-3]])
    assert set(figures["images"]) == {"before, 1540 m/s", "after", "true map"}
    assert figures["errors"]["mean_absolute_error"] < 150.0
    medium = read_medium(names[1])
    errors = medium.sound_speed - SPEED
    assert figures["accepted"] or np.abs(errors).max() < 8.0
    page = names[0].read_text()
    assert page.count("data:image/png;base64,") == 1 and "src=http" not in page
    assert figures["reason"].split(" with")[0] in page
    assert all(note.split(" m/s")[0] in notes for note in figures["warnings"])
    assert names[2].read_bytes().startswith(b"\x89PNG")


def test_rf_plane_waves_and_progress(tmp_path, capsys):
    data = speckle()
    rf = sonoray.remodulate(sent(data, sonoray.plane_waves(np.deg2rad(np.linspace(-30, 30, 33)))))
    sonoray.write(tmp_path / "waves.h5", rf)
    status, text, steps = answer(
        capsys, "autofocus", tmp_path / "waves.h5", "-o", tmp_path / "map.h5", "--sound-speed", 1500, *QUICK[:-1]
    )
    assert status == 0 and "map.h5" in text
    assert "optimise 1, change" in steps and "check" in steps
    assert "before, 1500 m/s" in json.loads((tmp_path / "map.json").read_text())["images"]


def test_network_alone(tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    data, truth = sonoray.load_focus_example()
    sonoray.write(tmp_path / "data.h5", data)
    sonoray.write(tmp_path / "truth.h5", truth)
    status, text, _ = answer(
        capsys, "autofocus", tmp_path / "data.h5", "-o", tmp_path / "m.h5", "--model", "default", "--json", "--quiet",
        "--truth", tmp_path / "truth.h5",
    )  # fmt: skip
    assert status == 0
    figures = json.loads(text)
    assert figures["accepted"] and figures["history"] == []
    assert figures["errors"]["mean_absolute_error"] < 15.0
    focus = figures["focus"]
    assert focus["map"]["coherence_factor"] > 1.2 * focus["nominal"]["coherence_factor"]
    images = figures["images"]
    assert images["after"]["speckle_size"] < 0.9 * images["before, 1540 m/s"]["speckle_size"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "no.onnx"), "model: expected an .onnx file or 'default', got 'no.onnx', which is no file"),
        (("--frame", 3), "frame: expected 0 to 0, got 3"),
        (("--region-mm", 5, -5, 8, 18), "region: expected x limits in order"),
        (("--sound-speed", 1.5), "initial: expected 1350 to 1700 m/s, got 1.5"),
    ],
)
def test_mistakes(file, tmp_path, capsys, arguments, said):
    assert said in refused(capsys, "autofocus", file, "-o", tmp_path / "m.h5", "--quiet", *arguments)
    assert not list(tmp_path.iterdir())


def test_model_of_another_probe_and_names(file, tmp_path, capsys):
    assert "expected a name ending in .html" in refused(capsys, "autofocus", file, "-o", tmp_path / "m.pdf")
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    text = refused(capsys, "autofocus", file, "-o", tmp_path / "m.h5", "--both", "--quiet")
    assert "expected 64, got 32" in text
