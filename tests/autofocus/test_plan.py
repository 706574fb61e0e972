"""Streaming: frames never wait, tables change as one, failures lose nothing."""

import threading

import numpy as np
import pytest

from sonoray import (
    ArgumentError,
    Autofocus,
    Error,
    FocusCheck,
    Grid,
    Medium,
    map_sound_speed,
    multistatic_frame,
    plane_waves,
    remodulate,
)
from sonoray.autofocus import plan as module

from .conftest import QUICK, SPEED, sent

GRID = Grid.from_extent(x=(-5e-3, 5e-3), z=(6e-3, 20e-3), spacing=2.5e-4)


def made(data, **options):
    return Autofocus(data, GRID, settings=QUICK, **options)


@pytest.fixture
def held(monkeypatch, echoes):
    """Maps are 1470 m/s everywhere and come when the test lets them."""
    gate = threading.Semaphore(0)
    result = map_sound_speed(echoes, settings=QUICK)
    flat = Medium(result.medium.grid, np.full(result.medium.grid.shape, SPEED, "f4"))
    given = []

    def slow(data, **options):
        given.append((data, options))
        assert gate.acquire(timeout=20)
        return type(result)(flat, flat, None, True, "", {}, None)

    monkeypatch.setattr(module, "map_sound_speed", slow)
    return gate, given


def test_frames_use_old_tables_until_new_ones_are_in_place(held, echoes):
    gate, given = held
    with made(echoes) as plan:
        first = plan(echoes)
        again = plan(echoes)  # the map is under way and does not come before the gate opens
        assert plan.generation == 0 and plan.medium is None
        assert np.array_equal(first, again)
        assert not plan.wait(0.01)
        gate.release()
        assert plan.wait(20)
        assert plan.generation == 1 and np.ptp(plan.medium.sound_speed) == 0
        later = plan(echoes)
        gate.release(2)
        assert len(given) >= 1
    assert first.shape == GRID.shape and first.dtype == np.complex64
    assert np.linalg.norm(later - first) > 0.1 * np.linalg.norm(first)
    direct = Autofocus(echoes, GRID, settings=QUICK, map_every=0, initial=given and SPEED)
    assert np.linalg.norm(direct(echoes) - later) < 0.03 * np.linalg.norm(later)  # table against straight paths
    direct.close()


def test_the_map_has_its_own_copy_of_the_frame(held, echoes):
    gate, given = held
    with made(echoes) as plan:
        samples = np.array(echoes.samples)
        plan(samples)
        samples[:] = 0
        gate.release()
        plan.wait(20)
    assert np.array_equal(given[0][0].samples, echoes.samples)


def test_rate_and_every_map_begins_anew(held, echoes):
    gate, given = held
    gate.release(10)
    with made(echoes, map_every=3) as plan:
        for _ in range(4):
            plan(echoes)
            plan.wait(20)
        assert plan.generation == 2  # frames 1 and 4
    assert all("initial" not in options for _, options in given)  # a bad frame's map does not hold the next ones
    with made(echoes, map_every=0) as plan:
        plan(echoes)
        assert plan.wait(1) and plan.generation == 0
        assert plan.refresh(echoes)
        assert plan.wait(20) and plan.generation == 1


def test_what_ends_a_map_surfaces_and_loses_nothing(monkeypatch, echoes):
    def failing(data, **options):
        raise ArgumentError("channel_data: expected echoes, got none") if data.samples.any() else ZeroDivisionError()

    monkeypatch.setattr(module, "map_sound_speed", failing)
    with made(echoes, map_every=0) as plan:
        image = plan(echoes)
        assert plan.refresh(echoes)
        with pytest.raises(ArgumentError, match="expected echoes"):
            plan.wait(20)
        assert np.array_equal(plan(echoes), image)
        assert plan.generation == 0
        plan.refresh(np.zeros_like(echoes.samples))
        with pytest.raises(Error, match="no new map: ZeroDivisionError"):
            plan.wait(20)
        assert np.array_equal(plan(echoes), image)


def test_from_end_to_end_on_rf_plane_waves(echoes):
    sequence = sent(echoes, plane_waves(np.deg2rad(np.linspace(-30, 30, 33))))
    rf = remodulate(sequence)
    with made(rf) as plan:
        before = plan(rf)
        plan.wait(60)
        after = plan(rf)
        assert plan.generation >= 1
    check = FocusCheck(multistatic_frame(rf), plan.result.region)
    assert check(plan.medium).score > check(1540.0).score + 0.005
    assert np.abs(after).max() > np.abs(before).max()  # speckle adds up at its own speed


def test_refusals(echoes):
    with pytest.raises(ArgumentError, match="model: expected a network where optimise=False"):
        made(echoes, optimise=False)
    with made(echoes, map_every=0) as plan:
        with pytest.raises(ArgumentError, match="frame: expected one frame of I/Q"):
            plan(remodulate(echoes))
        with pytest.raises(ArgumentError, match="samples: expected shape"):
            plan(np.zeros((3, 32, 50), np.complex64))
    assert not plan.refresh(echoes)  # closed
