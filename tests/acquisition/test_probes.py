"""Probes: analytic geometry and refusals by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, Probe


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.floats(2e-5, 5e-3))
def test_linear_is_centred_and_even(n, pitch):
    probe = Probe.linear(n, pitch)
    x = probe.positions[:, 0]
    np.testing.assert_allclose(x, -x[::-1], atol=1e-15)
    assert (probe.positions[:, 1:] == 0).all() and (probe.normals == [0, 0, 1]).all()
    assert probe.n_elements == n and probe.aperture == pytest.approx((n - 1) * pitch, abs=1e-12)
    assert probe.pitch == pytest.approx(pitch if n > 1 else 0.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 200), st.floats(1e-4, 5e-4), st.floats(0.04, 0.2))
def test_curvilinear_lies_on_its_circle_with_the_pitch_along_the_arc(n, pitch, radius):
    probe = Probe.curvilinear(n, pitch, radius)
    centre = np.array([0, 0, -radius])
    np.testing.assert_allclose(np.linalg.norm(probe.positions - centre, axis=1), radius, rtol=1e-12)
    np.testing.assert_allclose(probe.normals, (probe.positions - centre) / radius, atol=1e-12)
    assert probe.pitch == pytest.approx(2 * radius * np.sin(pitch / 2 / radius), rel=1e-9)  # the chord
    assert probe.positions[:, 2].max() <= 1e-12 and (probe.positions[:, 1] == 0).all()
    assert (np.diff(probe.positions[:, 0]) > 0).all()


def test_odd_curvilinear_has_its_apex_at_the_origin():
    np.testing.assert_allclose(Probe.curvilinear(5, 3e-4, 0.06).positions[2], 0, atol=1e-18)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 300), st.floats(0.01, 0.5), st.floats(-3, 3))
def test_ring_faces_its_centre(n, radius, start):
    probe = Probe.ring(n, radius, start_angle=start)
    np.testing.assert_allclose(probe.normals, -probe.positions / radius, atol=1e-12)
    np.testing.assert_allclose(probe.positions[0], radius * np.array([np.cos(start), 0, np.sin(start)]), atol=1e-12)
    chords = np.linalg.norm(np.diff(probe.positions, axis=0, append=probe.positions[:1]), axis=1)
    np.testing.assert_allclose(chords, 2 * radius * np.sin(np.pi / n), rtol=1e-9)
    if n > 2:
        np.testing.assert_allclose(probe.positions.mean(axis=0), 0, atol=1e-12)


def test_ring_turns_from_x_towards_z():
    probe = Probe.ring(4, 0.1)
    np.testing.assert_allclose(probe.positions, [[0.1, 0, 0], [0, 0, 0.1], [-0.1, 0, 0], [0, 0, -0.1]], atol=1e-16)


def test_matrix_order_and_pitches():
    probe = Probe.matrix(3, 2, 1e-3, 2e-3)
    x, y = probe.positions[:, 0].reshape(3, 2), probe.positions[:, 1].reshape(3, 2)
    np.testing.assert_allclose(x, np.array([[-1e-3], [0], [1e-3]]) * np.ones(2))
    np.testing.assert_allclose(y, np.array([-1e-3, 1e-3]) * np.ones((3, 1)))
    assert probe.kind == "matrix" and Probe.matrix(2, 2, 1e-3).aperture == pytest.approx(1e-3)


@pytest.mark.parametrize("half_angle", [0.3, np.pi / 2, np.pi])
def test_bowl_covers_its_cap_evenly(half_angle):
    n, radius = 2000, 0.12
    probe = Probe.bowl(n, radius, half_angle=half_angle)
    np.testing.assert_allclose(np.linalg.norm(probe.positions, axis=1), radius, rtol=1e-12)
    np.testing.assert_allclose(probe.normals, -probe.positions / radius, atol=1e-12)
    # equal areas have equal heights on a sphere: height runs evenly from -radius to the rim
    height = np.sort(probe.positions[:, 2])
    np.testing.assert_allclose(height, radius * (-1 + (1 - np.cos(half_angle)) * (np.arange(n) + 0.5) / n), rtol=1e-9)
    np.testing.assert_allclose(probe.positions[:, :2].mean(axis=0), 0, atol=2e-3 * radius)


def test_options_reach_the_constructor_and_normals_become_unit_length():
    probe = Probe.linear(8, 3e-4, width=2.5e-4, center_frequency=5e6, name="L8")
    assert (probe.kind, probe.width, probe.center_frequency, probe.name) == ("linear", 2.5e-4, 5e6, "L8")
    assert Probe.phased(8, 1.5e-4).kind == "phased"
    np.testing.assert_allclose(Probe([[0, 0, 0]], normals=[[0, 3, 4]]).normals, [[0, 0.6, 0.8]])


def test_probes_compare_by_value_and_stay_as_checked():
    source = np.array([[0.0, 0, 0], [1e-3, 0, 0]])
    probe = Probe(source)
    assert probe == Probe(source.copy()) and probe != Probe(source, width=1e-4) and probe != 3
    with pytest.raises(ValueError, match="read-only"):
        probe.positions[0] = 1
    with pytest.raises(AttributeError):
        probe.width = 1e-3


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Probe([[19.05, 0, 0]]), "positions.* m"),
        (lambda: Probe([[0, 0]]), "positions.*shape"),
        (lambda: Probe(np.zeros((0, 3))), "positions"),
        (lambda: Probe([[np.nan, 0, 0]]), "positions.*finite"),
        (lambda: Probe([[1j, 0, 0]]), "positions"),
        (lambda: Probe("probe"), "positions"),
        (lambda: Probe(np.zeros((2, 3))), "distinct"),
        (lambda: Probe([[0, 0, 0]], normals=[[0, 0, 0]]), "normals.*zero"),
        (lambda: Probe([[0, 0, 0]], normals=np.ones((2, 3))), "normals.*shape"),
        (lambda: Probe.linear(8, 0.3), "pitch.* m"),
        (lambda: Probe.linear(8, np.nan), "pitch.*finite"),
        (lambda: Probe.linear(8.0, 3e-4), "n_elements.*integer"),
        (lambda: Probe.linear(0, 3e-4), "n_elements"),
        (lambda: Probe.linear(8, 3e-4, width=0.25), "width.* m"),
        (lambda: Probe.linear(8, 3e-4, width=-1e-4), "width"),
        (lambda: Probe.linear(8, 3e-4, height=5), "height.* m"),
        (lambda: Probe.linear(8, 3e-4, center_frequency=5.0), "center_frequency.*Hz"),
        (lambda: Probe.linear(8, 3e-4, bandwidth=-5e6), "bandwidth"),
        (lambda: Probe.linear(8, 3e-4, kind="convex"), "kind.*linear"),
        (lambda: Probe.curvilinear(8, 3e-4, 60.0), "radius.* m"),
        (lambda: Probe.curvilinear(4000, 3e-4, 0.06), "one turn"),
        (lambda: Probe.ring(8, 100.0), "radius.* m"),
        (lambda: Probe.ring(8, 0.1, start_angle=90), "start_angle.*rad"),
        (lambda: Probe.bowl(8, 0.1, half_angle=90), "half_angle.*rad"),
        (lambda: Probe.matrix(2, 2, 0.3), "pitch_x.* m"),
        (lambda: Probe.matrix(2, 2, 3e-4, 0.3), "pitch_y.* m"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()


def test_row_column_is_two_crossed_rows_of_lines():
    probe = Probe.row_column(3, 5, 1e-3)
    assert probe.n_elements == 8 and probe.kind == "row_column"
    np.testing.assert_allclose(probe.positions[:3], [[0, -1e-3, 0], [0, 0, 0], [0, 1e-3, 0]])
    np.testing.assert_allclose(probe.positions[3:, 0], np.arange(-2, 3) * 1e-3)
    np.testing.assert_allclose(probe.lines[:3], [[2.5e-3, 0, 0]] * 3)
    np.testing.assert_allclose(probe.lines[3:], [[0, 1.5e-3, 0]] * 5)
    assert probe == Probe.row_column(3, 5, 1e-3) and probe != Probe.row_column(5, 3, 1e-3)
    assert (
        probe != Probe(probe.positions[[0, 3]]) and Probe(probe.positions[[0, 3]], lines=np.zeros((2, 3))).lines is None
    )


def test_offsets_count_from_the_nearest_point_of_a_line():
    probe = Probe.row_column(4, 4, 1e-3)
    points = np.random.default_rng(1).uniform(-5e-3, 5e-3, (40, 3))
    along = np.linspace(-1, 1, 4001)[:, None]
    for e, offset in zip(range(8), np.linalg.norm(probe.offsets(points), axis=2).T, strict=True):
        line = probe.positions[e] + along * probe.lines[e]
        nearest = np.linalg.norm(points[:, None] - line, axis=2).min(axis=1)
        np.testing.assert_allclose(offset, nearest, atol=1e-9)
    one = Probe.linear(3, 1e-3)
    np.testing.assert_allclose(one.offsets(points, [2])[:, 0], points - one.positions[2])


def test_refuses_lines_and_lenses_that_cannot_be():
    row = [[0.0, 0, 0], [0, 1e-3, 0]]
    with pytest.raises(ArgumentError, match="lines: expected directions across"):
        Probe(row, lines=[[0, 0, 1e-3], [1e-3, 0, 0]])
    with pytest.raises(ArgumentError, match="lines"):
        Probe(row, lines=[[1e-3, 0, 0]])
    with pytest.raises(ArgumentError, match="distinct"):
        Probe([[0.0, 0, 0], [0, 0, 0]], lines=[[1e-3, 0, 0], [1e-3, 0, 0]])
    with pytest.raises(ArgumentError, match="lens_sound_speed"):
        Probe(row, lens_thickness=1e-3)
    with pytest.raises(ArgumentError, match="lens_thickness"):
        Probe(row, lens_sound_speed=1000.0)
    with pytest.raises(ArgumentError, match="lens_thickness"):
        Probe(row, lens_thickness=1.0, lens_sound_speed=1000.0)
    Probe(row).require_points("this")
    for probe, word in (
        (Probe.row_column(2, 2, 1e-3), "long ones"),
        (Probe(row, lens_thickness=1e-3, lens_sound_speed=1e3), "lens"),
    ):
        with pytest.raises(ArgumentError, match=f"for this, got .*{word}"):
            probe.require_points("this")
