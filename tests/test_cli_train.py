"""sonoray train: refusals on the command line; the whole of it in a quick run."""

import json

import pytest

from sonoray.cli import main

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx")


def test_quick_run_makes_a_model_and_goes_on(tmp_path, capsys, monkeypatch):
    from sonoray.training.sound_speed import data

    monkeypatch.setattr(data, "_BLOCK", {"expected": 10, "simulated": 4, "traces": 1})
    command = ["train", "sound-speed", "--quick", "--quiet", "--json", "-o", str(tmp_path / "out")]
    assert main([*command, "--samples", "20", "2", "--validation", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["parameters"] > 100_000
    assert (tmp_path / "out" / "sound_speed.onnx").stat().st_size > 100_000
    assert (tmp_path / "out" / "cmp-1.csv").read_text().startswith("step,loss,evaluation")
    assert main([*command, "--samples", "20", "2", "--validation", "2", "--resume"]) == 0
    assert main([*command, "--samples", "10", "2", "--validation", "2", "--resume"]) == 1
    assert "expected a checkpoint of these settings" in capsys.readouterr().err


def test_refusals(tmp_path, capsys):
    command = ["train", "sound-speed", "-o", str(tmp_path), "--quiet"]
    assert main([*command, "--mode", "upstream", "--permute-targets"]) == 1
    assert "permute-targets: expected mode cmp" in capsys.readouterr().err
    assert main([*command, "--samples", "1", "2", "3"]) == 1
    assert "samples: expected one or two numbers, got 3" in capsys.readouterr().err


def test_translate_refuses_before_it_simulates(tmp_path, capsys):
    command = ["train", "translate", "--quick", "--quiet", "-o", str(tmp_path / "run")]
    assert main([*command, "--start", str(tmp_path)]) == 1
    assert "start: expected a folder with coarse.pt" in capsys.readouterr().err
    assert main([*command, "--backgrounds", str(tmp_path)]) == 1
    assert "expected pictures" in capsys.readouterr().err
    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.parametrize(
    ("network", "checkpoint"),
    [("sound-speed", "cmp-2.pt"), ("despeckle", "despeckle.pt"), ("enhance", "enhance.pt"), ("translate", "mask.pt")],
)
def test_a_folder_with_a_run_is_refused(tmp_path, capsys, network, checkpoint):
    (tmp_path / checkpoint).write_bytes(b"weeks of work")
    command = ["train", network, "--quick", "--quiet", "-o", str(tmp_path)]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert f"found {tmp_path / checkpoint}" in message
    assert "--overwrite" in message
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint]
    assert (tmp_path / checkpoint).read_bytes() == b"weeks of work"
    with pytest.raises(SystemExit):
        main([*command, "--resume", "--overwrite"])
