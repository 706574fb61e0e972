"""Transmits: firing times against the wavefront they must make, and refusals by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, Probe, Transmit, full_synthetic_aperture, plane_waves

C = 1540.0
PROBE = Probe.linear(64, 3e-4)
CURVED = Probe.curvilinear(64, 4e-4, 0.06)

angles = st.floats(-1.2, 1.2)


@settings(max_examples=50, deadline=None)
@given(angles)
def test_plane_wave_reaches_a_far_plane_from_all_elements_at_once(angle):
    transmit = Transmit.plane(angle)
    times = transmit.firing_times(PROBE, C)
    np.testing.assert_allclose(times, PROBE.positions[:, 0] * np.sin(angle) / C, atol=1e-15)
    assert times.mean() == pytest.approx(0, abs=1e-15)  # time zero is at the origin, mid-array
    # a positive angle looks to +x, so the element at -x fires first
    assert np.sign(times[-1] - times[0]) == np.sign(angle) or abs(angle) < 1e-9


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(0.01, 0.1))
def test_focused_wave_arrives_at_the_focus_from_all_elements_at_once(x, z):
    focus = np.array([x, 0, z])
    for probe in (PROBE, CURVED):
        arrival = Transmit.focused(focus).firing_times(probe, C) + np.linalg.norm(probe.positions - focus, axis=1) / C
        np.testing.assert_allclose(arrival, np.linalg.norm(focus) / C, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(-0.1, -0.01))
def test_diverging_wave_seems_to_leave_the_virtual_source(x, z):
    source = np.array([x, 0, z])
    times = Transmit.diverging(source).firing_times(PROBE, C)
    left = times - np.linalg.norm(PROBE.positions - source, axis=1) / C
    np.testing.assert_allclose(left, -np.linalg.norm(source) / C, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(angles)
def test_far_sources_and_foci_become_plane_waves(angle):
    direction = np.array([np.sin(angle), 0, np.cos(angle)])
    plane = Transmit.plane(angle).firing_times(PROBE, C)
    # wavefront curvature over half the aperture, a^2 / (2 R c), with R = 1.9 m
    bound = (PROBE.aperture / 2) ** 2 / (2 * 1.9 * C) * 1.02
    assert np.abs(Transmit.focused(1.9 * direction).firing_times(PROBE, C) - plane).max() < bound
    assert np.abs(Transmit.diverging(-1.9 * direction).firing_times(PROBE, C) - plane).max() < bound


@pytest.mark.parametrize("kind", ["plane", "focused", "diverging"])
def test_another_origin_only_moves_time_zero(kind):
    arguments = {"plane": 0.3, "focused": (0.005, 0, 0.03), "diverging": (0.002, 0, -0.02)}
    make = getattr(Transmit, kind)
    origin = PROBE.positions[0]
    moved = make(arguments[kind], origin=origin).firing_times(PROBE, C)
    plain = make(arguments[kind]).firing_times(PROBE, C)
    assert moved[0] == pytest.approx(0, abs=1e-18)
    np.testing.assert_allclose(moved - plain, moved[0] - plain[0], atol=1e-15)


def test_elevation_tilts_towards_y():
    np.testing.assert_allclose(Transmit.plane(0, elevation=0.2).direction, [0, np.sin(0.2), np.cos(0.2)], atol=1e-16)
    assert np.linalg.norm(Transmit.plane(0.4, elevation=-0.3).direction) == pytest.approx(1)


def test_single_element_and_free_delays():
    times = Transmit.single(7).firing_times(PROBE, C)
    assert times[7] == 0 and np.isnan(np.delete(times, 7)).all()
    assert Transmit.single(7).weights(PROBE).sum() == 1
    delays = np.linspace(0, 1e-6, 64)
    np.testing.assert_array_equal(Transmit.free(delays).firing_times(PROBE, C), delays)


def test_silent_elements_do_not_fire_and_signed_weights_stay():
    weights = np.zeros(64)
    weights[:3] = [1, -1, 0.5]
    transmit = Transmit.plane(0.1, apodization=weights)
    assert np.isfinite(transmit.firing_times(PROBE, C)).sum() == 3
    np.testing.assert_array_equal(transmit.weights(PROBE), weights)
    np.testing.assert_array_equal(Transmit.plane().weights(PROBE), 1)


def test_sets():
    fsa = full_synthetic_aperture(PROBE)
    assert [t.element for t in fsa] == list(range(64))
    np.testing.assert_allclose([t.direction[0] for t in plane_waves([-0.1, 0, 0.1])], np.sin([-0.1, 0, 0.1]))
    assert plane_waves(0.1) == [Transmit.plane(0.1)]


def test_transmits_compare_by_value_and_are_frozen():
    assert Transmit.plane(0.1) == Transmit.plane(0.1) != Transmit.plane(0.2)
    assert Transmit.single(1) != Transmit.single(2) and Transmit.plane() != 0
    assert Transmit.plane() != Transmit.plane(apodization=np.ones(64))
    with pytest.raises(ValueError, match="read-only"):
        Transmit.plane().direction[0] = 1


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Transmit.plane(10.0), "angle.*rad"),
        (lambda: Transmit.plane(np.nan), "angle.*finite"),
        (lambda: Transmit.plane(0, elevation=10.0), "elevation.*rad"),
        (lambda: Transmit.focused((0, 0, 30.0)), "focus.* m"),
        (lambda: Transmit.focused((0, 0.03)), "focus.*shape"),
        (lambda: Transmit.focused((0, 0, np.nan)), "focus.*finite"),
        (lambda: Transmit.diverging((0, 0, -30.0)), "focus.* m"),
        (lambda: Transmit.single(-1), "element"),
        (lambda: Transmit.single(1.5), "element.*integer"),
        (lambda: Transmit.single(64).firing_times(PROBE, C), "element.*below 64"),
        (lambda: Transmit.free(np.ones(64)), "delays.* s"),
        (lambda: Transmit.free([np.nan] * 64), "delays.*finite"),
        (lambda: Transmit.free(np.zeros(3)).firing_times(PROBE, C), "delays.*64"),
        (lambda: Transmit.plane(apodization=np.zeros(64)), "apodization.*firing"),
        (lambda: Transmit.plane(apodization=np.ones(3)).firing_times(PROBE, C), "apodization.*64"),
        (lambda: Transmit.plane(origin=(0, 0, 30.0)), "origin.* m"),
        (lambda: Transmit("plane"), "direction.*needs"),
        (lambda: Transmit("plane", direction=[0, 0, 0]), "direction.*zero"),
        (lambda: Transmit("plane", direction=[0, 0, 1], focus=[0, 0, 1]), "focus.*takes no"),
        (lambda: Transmit("spiral"), "kind"),
        (lambda: Transmit.plane().firing_times(PROBE, 1.54), "sound_speed.*m/s"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
