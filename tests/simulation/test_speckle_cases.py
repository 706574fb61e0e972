"""Speckle of known speeds: the judged ones are not those for settings, and speeds are in m/s."""

import pytest

from sonoray import ArgumentError
from sonoray.simulation.speckle_cases import ANGLES, SPEEDS, TUNING_SPEEDS, speckle_data


def test_settings_are_judged_on_other_speeds():
    assert not set(SPEEDS) & set(TUNING_SPEEDS)
    assert min(SPEEDS) == 1500 and max(SPEEDS) == 1680 and 0.0 in ANGLES


def test_speed_in_the_wrong_unit():
    with pytest.raises(ArgumentError, match=r"sound_speed: .*is it really in m/s"):
        speckle_data(1.54)


@pytest.mark.slow
def test_simulated_speckle_has_its_speed():
    pytest.importorskip("devito")
    from sonoray.autofocus.global_speed import estimate_sound_speed

    found = estimate_sound_speed(speckle_data(1600.0, 102))
    assert found.sound_speed == pytest.approx(1600.0, abs=3.0)
