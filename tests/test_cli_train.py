"""sonoray train: refusals on the command line; the whole of it in a quick run."""

import json
import sys

import pytest

from sonoray.cli import main

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx")


def test_quick_run_makes_a_model_and_goes_on(tmp_path, capsys, monkeypatch, boards):
    from sonoray.training.sound_speed import data

    monkeypatch.setattr(data, "_BLOCK", {"expected": 10, "simulated": 4, "traces": 1})
    command = ["train", "sound-speed", "--quick", "--quiet", "--json", "-o", str(tmp_path / "out")]
    assert main([*command, "--samples", "20", "2", "--validation", "2", "--tensorboard"]) == 0
    assert boards == [tmp_path / "out" / "tensorboard" / name for name in ("cmp-1", "cmp-2")]
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
    ("options", "reason"),
    [
        ("translate --device cuda --devices 1024", "device 'cuda': expected 1024"),
        ("enhance --device cuda --devices 1024", "device 'cuda': expected 1024"),
        ("translate --precision 16-mixed", "precision: expected '32-true' or 'bf16-mixed' on 'cpu'"),
        ("translate --size 50", "size: expected a multiple of 4, got 50"),
        ("translate --batch 0", "batch: expected 1 to"),
        ("translate --rate 0", "rate: expected 1e-08 to 1"),
        ("translate --refine-steps -1", "refine_steps: expected 0 to"),
        ("despeckle --simulated -1", "simulated: expected 0 to"),
        ("despeckle --epochs 0", "epochs: expected 1 to"),
        ("despeckle --seed -1 --simulated 1", "seed: expected 0 to"),
        ("enhance --seed -1", "seed: expected 0 to"),
        ("translate --seed -1", "seed: expected 0 to"),
        ("sound-speed --seed -1", "seed: expected 0 to"),
        ("despeckle --start .", "start: expected a folder with despeckle.pt"),
        ("enhance --start .", "start: expected a folder with enhance.pt"),
        ("despeckle --published", "published: expected a run of its own, got quick, too"),
        ("enhance --published", "published: expected a run of its own, got quick, too"),
        ("translate --published", "published: expected a run of its own, got quick, too"),
        ("translate --ablate --tensorboard", "tensorboard: expected no --ablate"),
        ("despeckle --tensorboard", "pip install 'sonoray[tensorboard]'"),
    ],
)
def test_options_are_refused_before_any_work(tmp_path, capsys, monkeypatch, options, reason):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["train", *options.split(), "--quick", "--quiet", "-o", str(tmp_path / "run")]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("network", ["despeckle", "enhance", "translate"])
def test_the_published_recipe_is_not_ablated(tmp_path, capsys, network):
    assert main(["train", network, "--published", "--ablate", "-o", str(tmp_path / "run")]) == 1
    assert "published: expected a run of its own, got ablate, too" in capsys.readouterr().err


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
