"""The demo's chain for rings, with few iterations: it runs, and every stage is better than the one before."""

from functools import partial

import pytest

pytest.importorskip("matplotlib")
from sonoray.demo import ray_born


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
