"""The demo's reconstructions, with few iterations: they run, and every stage is better than the one before."""

import re
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from sonoray import Grid
from sonoray.demo import autofocus, ray_born


def test_waveforms_improve_the_map_from_travel_times(monkeypatch):
    quick = partial(ray_born.reconstruct_travel_time, kernel="ray", rays="straight", outer_iterations=1)
    monkeypatch.setattr(ray_born, "reconstruct_travel_time", quick)
    few = partial(ray_born.reconstruct_ray_born, frequencies=(200e3, 600e3, 6))
    monkeypatch.setattr(ray_born, "reconstruct_ray_born", few)
    monkeypatch.setattr(ray_born, "_SIDE", 0.03)
    case = ray_born.ray_born(True)
    head, water, first, second = case.table
    assert len(head) == len(water) == len(first) == len(second)
    errors = [float(row[1].split()[0]) for row in (water, first, second)]
    assert errors[0] == 100 and errors[1] < 50 and errors[2] < 0.75 * errors[1]
    echoes = [float(row[-1].split()[0]) for row in (water, second)]
    assert echoes[1] < 0.5 * echoes[0]
    assert len(case.figures) == 1


def test_the_map_from_echoes_sharpens_them(monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    monkeypatch.setattr(autofocus, "map_sound_speed", partial(autofocus.map_sound_speed, optimise=False))
    monkeypatch.setattr(autofocus, "_GRID", Grid.from_extent(x=(-10e-3, 10e-3), z=(12e-3, 30e-3), spacing=1.5e-4))
    monkeypatch.setattr(autofocus, "load_focus_example_targets", _inner_targets(autofocus.load_focus_example_targets))
    case = autofocus.autofocus(True)
    head, nominal, found, true = case.table
    assert len(head) == len(nominal) == len(found) == len(true)
    assert float(found[1].split()[0]) < 15.0
    widths = [float(row[3].split()[0]) for row in (nominal, found, true)]
    assert widths[1] < 0.85 * widths[0] and widths[1] < 1.1 * widths[2]
    contrasts = [float(row[5].split()[0]) for row in (nominal, found, true)]
    assert contrasts[1] < contrasts[0] - 2.0
    assert len(case.figures) == 1


def _inner_targets(load):
    """Points of the smaller image."""

    def chosen():
        points, cysts = load()
        return points[points[:, 2] < 28e-3], cysts

    return chosen


@pytest.mark.parametrize("name", ["despeckle", "enhance", "translate"])
def test_networks_for_pictures_come_nearer_to_the_truth(name):
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    pytest.importorskip("skimage", reason="the extra 'metrics' is not installed")
    from sonoray.demo import restoration

    case = getattr(restoration, name)(True)
    head, *rows = case.table
    assert all(len(row) == len(head) for row in rows)
    assert case.figures
    if name == "enhance":
        assert all(float(row[2].split()[0]) > float(row[1].split()[0]) + 3 for row in rows[:2])
    else:  # the input, or what comes nearest to it, is the first row
        last = "network" if name == "despeckle" else "coarse"
        similar = {row[0]: float(row[1]) for row in rows[:-1] if row[1].replace(".", "").isdigit()} | {
            row[0]: float(row[1]) for row in rows if row[0] == last
        }
        assert similar[last] > similar[rows[0][0]] + 0.05


def test_the_muscle_shown_is_of_nobody_that_a_network_was_trained_on():
    from sonoray.demo.restoration import _PICTURE

    cards = Path(__file__).parents[1] / "docs/models"
    for card in ("despeckle.md", "enhance.md"):
        assert "subjects S1 to S3" in (cards / card).read_text()
    assert re.search(r"/dataset1_(S\d)_", _PICTURE).group(1) in ("S4", "S5")
