"""The comparison of despeckling methods, run small from its command line; what is compared is what it says."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import median_filter

for module, extra in (("torch", "train"), ("onnx", "train"), ("onnxruntime", "cpu"), ("skimage", "metrics")):
    pytest.importorskip(module, reason=f"the extra {extra!r} is not installed")
pytest.importorskip("torchmetrics", reason="the bench measures MS-SSIM with it")

# ruff: noqa: E402
sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.restoration import bench_despeckling, blind_spot, doc_tables
from bench.restoration import despeckling_baselines as baselines

from sonoray.training.despeckling.recipe import DEFAULT

sys.path.pop(0)


class Constants:
    """Images of one value: no loss may be left to a network that gives it."""

    def crops(self, rng, n, size):
        return np.full((n, size, size), 0.5, np.float32)


class Noise:
    def crops(self, rng, n, size):
        return rng.random((n, size, size)).astype(np.float32)


@pytest.mark.parametrize("name", blind_spot.BLIND_SPOT)
def test_blind_spots_hide_the_pixels_that_the_loss_is_at(name):
    loss = blind_spot.BLIND_SPOT[name]
    assert loss(lambda x: x, Constants(), DEFAULT, np.random.default_rng(0)).item() == 0
    # A network that copies sees another pixel of white noise (or a mean of eight): never the target itself.
    copied = loss(lambda x: x, Noise(), DEFAULT, np.random.default_rng(0)).item()
    expected = 2 / 12 if name == "Noise2Void" else (1 + (4 * 1 + 4 * 0.25) / 36) / 12
    assert copied == pytest.approx(expected, rel=0.1)


def test_simulated_comparison_from_its_command_line(tmp_path, monkeypatch, capsys):
    chosen = [baselines.Baseline("median", lambda i, d, size: median_filter(i, size), ({"size": 9},))]
    monkeypatch.setattr(bench_despeckling, "classical", lambda with_slow: chosen)
    common = ["simulated", "--images-judged", "1", "--blind-spot", str(tmp_path / "blind"), "--steps", "1"]
    common += ["--simulated-training", "1", "--settings", str(tmp_path / "settings.json")]
    bench_despeckling.main([*common, "--save", str(tmp_path / "results.npz")])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    named = {row[0][2:].partition(" (")[0]: row[1:] for row in rows}
    assert {"input", "median", "Speckle2Self, shipped", "Noise2Void, 1 steps", "Noise2Self, 1 steps"} <= set(named)
    assert all(len(row) == len(bench_despeckling.COLUMNS["simulated"]) for row in named.values())
    assert float(named["Speckle2Self, shipped"][0]) > float(named["input"][0]) + 0.2
    with np.load(tmp_path / "results.npz") as kept:
        name = next(each for each in kept.files if each.startswith("Noise2Void, 1 steps"))
        assert kept[name].shape == kept["clean"].shape == (1, 176, 176)
    assert (tmp_path / "blind/Noise2Self/Noise2Self.onnx").is_file()


def test_tables_go_between_their_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n<!-- begin b -->\n<!-- end b -->\n")
    doc_tables.put(path, "a", "| 1 \\1 |\n")
    text = path.read_text()
    assert text.startswith("before\n<!-- begin a -->\n\n| 1 \\1 |\n\n<!-- end a -->\nafter\n<!-- begin b -->")
    assert "old" not in text
    with pytest.raises(ValueError, match="expected one part"):
        doc_tables.put(path, "c", "")


def test_seeds_get_a_row_of_their_mean_and_range():
    rows = {f"Speckle2Self, seed{k}": np.full((2, 3), value) for k, value in enumerate((0.1, 0.2, 0.6))}
    means = bench_despeckling.with_spread({"median": np.zeros((2, 3)), **rows})
    assert means["Speckle2Self, 3 seeds"] == ["0.300 (0.100 to 0.600)"] * 3
    assert "3 seeds | 0.300 (0.100 to 0.600) |" in bench_despeckling.table("simulated", means)


def test_real_images_need_a_folder(capsys):
    with pytest.raises(SystemExit):
        bench_despeckling.main(["real"])
    assert "--images" in capsys.readouterr().err


def test_an_optimum_at_the_edge_is_warned_of_and_scores_are_kept():
    calls = []

    def shifted(image, deviation, by, unused):
        calls.append(by)
        return image + by

    image = [np.full((4, 4), 0.2)]
    grid = tuple({"by": by, "unused": 1} for by in (0.1, 0.2, 0.3))
    baseline = baselines.Baseline("shift", shifted, grid)

    def judge(found, truth):
        return -float(np.abs(found - truth).max())

    scores = {}
    assert baselines.tuned(baseline, image, [image[0] + 0.2], [0.0], judge, scores=scores)["by"] == 0.2
    assert baselines.tuned(baseline, image, [image[0] + 0.2], [0.0], judge, scores=scores)["by"] == 0.2
    assert len(calls) == len(scores) == 3


def test_a_grid_is_climbed_from_its_middle_to_where_no_neighbour_is_better():
    grid = baselines.grid(by=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], power=[1, 2, 3])
    image, scores = [np.zeros((4, 4))], {}

    def judge(found, truth):
        return -float(np.abs(found - truth).max())

    def shifted(image, deviation, by, power):
        return image + by - 0.05 * (power - 2) ** 2

    baseline = baselines.Baseline("shift", shifted, grid)
    assert baselines.tuned(baseline, image, [image[0] + 0.2], [0.0], judge, scores=scores) == {"by": 0.2, "power": 2}
    assert len(scores) < len(grid)


def test_the_edge_of_a_grid_is_warned_of():
    def judge(found, truth):
        return -float(np.abs(found - truth).max())

    baseline = baselines.Baseline("shift", lambda i, d, by: i + by, baselines.grid(by=[0.1, 0.2, 0.3]))
    image = [np.full((4, 4), 0.2)]
    with pytest.warns(UserWarning, match="shift: best by, 0.3, is at the edge"):
        baselines.tuned(baseline, image, [image[0] + 0.5], [0.0], judge)
