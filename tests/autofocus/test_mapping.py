"""A map is used only where echoes cohere better with it, whatever sequence they come from."""

import numpy as np
import pytest

from sonoray import (
    ArgumentError,
    FocusCheck,
    Grid,
    Medium,
    Transmit,
    map_sound_speed,
    multistatic_frame,
    plane_waves,
    remodulate,
)
from sonoray.autofocus import mapping
from sonoray.autofocus.multistatic import covering
from sonoray.media.interpolation import continued

from .conftest import QUICK, SPEED, sent

REGION = ((-4e-3, 4e-3), (8e-3, 20e-3))


def test_coherence_is_largest_at_the_true_speed(echoes):
    check = FocusCheck(echoes, REGION)
    scores = [check(c).score for c in (SPEED - 60, SPEED, SPEED + 60)]
    assert scores[1] > scores[0] + 0.01 and scores[1] > scores[2] + 0.01
    flat = Medium(Grid.from_extent(x=(-8e-3, 8e-3), z=(0.0, 22e-3), spacing=1e-3), np.full((17, 23), SPEED))
    assert check(flat).score == pytest.approx(scores[1], abs=2e-3)  # eikonal against straight paths


def test_depths_without_echoes_do_not_judge(echoes):
    silent = echoes.with_(samples=np.where(np.arange(171) < 120, echoes.samples, 1e-4 * echoes.samples))
    deep = ((-4e-3, 4e-3), (8e-3, 24e-3))
    check = FocusCheck(silent, deep)
    assert 8e-3 < check.points[:, 2].max() < 20e-3
    assert len(check.points) < len(FocusCheck(echoes, ((-4e-3, 4e-3), (8e-3, 20e-3))).points)


def test_map_of_one_speed(echoes):
    steps = []
    result = map_sound_speed(echoes, settings=QUICK, report=lambda step, entry: steps.append((step, bool(entry))))
    assert abs(result.global_speed.sound_speed - SPEED) < 8.0
    used = FocusCheck(echoes, result.region)(result.medium).score
    assert used > result.focus["nominal"].score + 0.01
    assert used >= max(focus.score for focus in result.focus.values()) - 0.003
    assert result.found.grid == result.medium.grid and len(result.history) == 1
    assert steps == [("prepare", False), ("optimise", False), ("optimise", True), ("global", False), ("check", False)]
    assert set(result.seconds) == {"prepare", "optimise", "global", "check"}


@pytest.mark.filterwarnings("ignore:no single sound speed")
def test_a_map_of_noise_is_not_used(echoes):
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((2, *echoes.samples.shape)).astype(np.float32)
    result = map_sound_speed(echoes.with_(samples=noise[0] + 1j * noise[1]), settings=QUICK, threshold=0.0)
    assert not result.accepted
    assert np.ptp(result.medium.sound_speed) == 0


@pytest.mark.parametrize("region", [((5e-3, -5e-3), (8e-3, 18e-3)), ((-4e-3, 4e-3), (8e-3, np.nan)), 3])
def test_regions_are_checked_before_the_work(echoes, region):
    with pytest.raises(ArgumentError, match="region"):
        map_sound_speed(echoes, settings=QUICK, region=region)


def test_options_and_truth_are_checked_before_the_work(echoes):
    with pytest.raises(ArgumentError, match="bogus"):
        map_sound_speed(echoes, bogus=3)
    with pytest.raises(ArgumentError, match="truth"):
        map_sound_speed(echoes, settings=QUICK, truth="x")


def test_a_map_that_defocuses_is_not_used(echoes, monkeypatch):
    right = mapping.reconstruct_autofocus

    def wrong(*args, **options):
        result = right(*args, **options)
        x = result.medium.grid.points()[..., 0]
        bent = np.clip(1560.0 + 2e4 * x, 1400, 1690).astype("f4")
        return type(result)(Medium(result.medium.grid, bent), result.start, result.settings, (), result.region)

    monkeypatch.setattr(mapping, "reconstruct_autofocus", wrong)
    result = map_sound_speed(echoes, settings=QUICK)
    assert not result.accepted
    assert "coherence" in result.reason and "m/s" in result.reason
    assert np.ptp(result.medium.sound_speed) == 0 and np.ptp(result.found.sound_speed) > 0
    assert abs(float(result.medium.sound_speed[0, 0]) - SPEED) < 8.0
    assert map_sound_speed(echoes, settings=QUICK, check=False).accepted


def test_few_transmits_give_one_speed(echoes):
    waves = sent(echoes, plane_waves(np.deg2rad([-20.0, 0.0, 20.0])))
    result = map_sound_speed(waves, settings=QUICK)
    assert not result.accepted and result.found is result.medium
    assert "3 transmits are too few" in result.reason
    assert np.abs(result.medium.sound_speed - SPEED).max() < 15.0
    assert result.focus["global"].score > result.focus["nominal"].score


@pytest.mark.parametrize("kind", ["plane", "diverging", "focused"])
def test_sequences_become_multistatic(echoes, kind):
    x = echoes.probe.positions[:, 0]
    sequence = {
        "plane": plane_waves(np.deg2rad(np.linspace(-35, 35, 41))),
        "diverging": [Transmit.diverging((p, 0.0, -3e-3)) for p in 1.3 * x],
        "focused": [Transmit.focused((p, 0.0, 15e-3)) for p in 1.3 * x],
    }[kind]
    data = multistatic_frame(sent(echoes, sequence))
    assert data.samples.shape[:3] == (1, 32, 32)
    check, original = FocusCheck(data, REGION), FocusCheck(echoes, REGION)
    assert check(SPEED).score > check(1540.0).score
    assert check(SPEED).score == pytest.approx(original(SPEED).score, abs=0.1)


def test_rf_and_order_of_elements(echoes):
    shuffled = echoes.select(transmits=np.arange(32)[::-1])
    assert [t.element for t in multistatic_frame(shuffled).transmits] == list(range(32))
    rf = multistatic_frame(remodulate(echoes))
    assert rf.is_iq and rf.samples.shape[:3] == (1, 32, 32)


def test_maps_go_on_as_they_end(echoes):
    small = Medium(Grid.from_extent(x=(-1e-3, 1e-3), z=(0.0, 2e-3), spacing=1e-3), 1500.0 + np.arange(9).reshape(3, 3))
    image = Grid.from_extent(x=(-6e-3, 6e-3), z=(3e-3, 9e-3), spacing=1e-3)
    large = covering(small, echoes.probe, image)
    assert large.grid.contains(image.points().reshape(-1, 3)).all()
    assert large.grid.contains(echoes.probe.positions).all()
    assert continued(large.grid, large.sound_speed, [[-6e-3, 0, 9e-3], [6e-3, 0, 0.0]]) == pytest.approx(
        [1502.0, 1506.0], abs=1e-3
    )


def test_refusals(echoes):
    with pytest.raises(ArgumentError, match="model: expected a network where optimise=False"):
        map_sound_speed(echoes, optimise=False)
    with pytest.raises(ArgumentError, match="of 32 elements fires, got 16"):
        multistatic_frame(echoes.select(transmits=slice(0, 16)))
    with pytest.raises(ArgumentError, match="expected at least 6 transmits to tell 32 elements apart, got 5"):
        multistatic_frame(echoes.select(transmits=slice(0, 5)))
    with pytest.raises(ArgumentError, match="frame: expected 0 to 0"):
        multistatic_frame(echoes, 1)
