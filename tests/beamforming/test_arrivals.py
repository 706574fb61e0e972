"""Arrivals: closed forms and circular rays (analytic), dense apertures (twin), reciprocity and bounds (invariant)."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, Grid, Medium, Probe, SectorGrid, Transmit, full_synthetic_aperture, plane_waves
from sonoray.beamforming.arrivals import Arrivals, arrivals
from sonoray.rays.eikonal import EikonalSolver

from ..reference.arrivals import GradientSolver, dense_wave, gradient_time

C = 1540.0
PROBE = Probe.linear(64, 0.3e-3, center_frequency=5e6)
GRID = Grid.from_extent(x=(-0.012, 0.012), z=(3e-3, 0.045), spacing=0.7e-3)
POINTS = GRID.points()
# float32 times of up to 60 us are rounded to 4 ps; the polynomial between elements errs by less than 0.1 ns.
ROUNDING = 5e-12
BETWEEN = 1e-10


def free(transmit, probe=PROBE, c=C):
    """The same firing times without the knowledge of what wave they make."""
    return Transmit.free(transmit.firing_times(probe, c))


def distance(a):
    return np.linalg.norm(POINTS - np.asarray(a), axis=-1)


def test_plane_is_the_projection_on_its_direction():
    angle = np.deg2rad(12)
    got = arrivals(Transmit.plane(angle, origin=[1e-3, 0, 2e-3]), PROBE, GRID, C).tx_time[0]
    want = ((POINTS[..., 0] - 1e-3) * np.sin(angle) + (POINTS[..., 2] - 2e-3) * np.cos(angle)) / C
    np.testing.assert_allclose(got, want, atol=ROUNDING)


def test_diverging_counts_from_the_origin():
    source = [2e-3, 0.0, -8e-3]
    got = arrivals(Transmit.diverging(source), PROBE, GRID, C).tx_time[0]
    np.testing.assert_allclose(got, (distance(source) - np.linalg.norm(source)) / C, atol=ROUNDING)


def test_focused_before_and_behind_the_focus():
    focus = np.array([1e-3, 0.0, 22e-3])
    a = arrivals(Transmit.focused(focus), PROBE, GRID, C)
    axis = focus / np.linalg.norm(focus)
    u = (POINTS - focus) @ axis
    want = (np.linalg.norm(focus) + np.sign(u) * distance(focus)) / C
    clear = np.abs(u) > 2e-3  # beyond 2 wavelength f_number^2 = 0.8 mm
    np.testing.assert_allclose(a.tx_time[0][clear], want[clear], atol=ROUNDING)
    ray = np.abs(np.cross(POINTS - focus, axis)[..., 1])
    assert (a.tx_weight[0][(ray < 0.3 * np.abs(u))] == 1).all()  # the cone opens with slope 0.43
    assert (a.tx_weight[0][(ray > 0.5 * np.abs(u) + 1e-3)] == 0).all()


@pytest.mark.parametrize("c_sequence", [C, 1480.0, 1600.0])
def test_focused_does_not_jump_at_the_focal_plane(c_sequence):
    fine = Grid.from_extent(x=(-0.3e-3, 0.3e-3), z=(18e-3, 26e-3), spacing=2e-5)
    a = arrivals(Transmit.focused([0, 0, 22e-3]), PROBE, fine, C, sequence_sound_speed=c_sequence)
    steps = np.diff(a.tx_time[0].astype(float), axis=1) * C / 2e-5
    assert steps.min() > 0.2  # time rises through the focus
    assert steps.max() < 2.0  # a jump of half a period would be a step of 7


@pytest.mark.parametrize(
    "transmit",
    [
        Transmit.plane(0.0),
        Transmit.plane(-0.25),
        Transmit.diverging([0, 0, -0.012]),
        Transmit.diverging([3e-3, 0, -3e-3]),
    ],
)
def test_huygens_equals_the_closed_form_inside_the_beam(transmit):
    closed = arrivals(transmit, PROBE, GRID, C, weighting="beam")
    composed = arrivals(free(transmit), PROBE, GRID, C)
    inside = closed.tx_weight[0] > 0
    assert inside.mean() > 0.3
    np.testing.assert_allclose(composed.tx_time[0][inside], closed.tx_time[0][inside], atol=BETWEEN)


@pytest.mark.parametrize("focus", [[0, 0, 20e-3], [5e-3, 0, 24e-3], [-3e-3, 0, 30e-3]])
def test_huygens_equals_the_closed_form_on_both_sides_of_a_focus(focus):
    transmit = Transmit.focused(focus)
    closed = arrivals(transmit, PROBE, GRID, C)
    composed = arrivals(free(transmit), PROBE, GRID, C)
    u = (POINTS - focus) @ (np.array(focus) / np.linalg.norm(focus))
    inside = (closed.tx_weight[0] > 0) & (np.abs(u) > 2.5e-3)
    assert (inside & (u < 0)).sum() > 200
    assert (inside & (u > 0)).sum() > 100
    np.testing.assert_allclose(composed.tx_time[0][inside], closed.tx_time[0][inside], atol=BETWEEN)


def test_huygens_on_a_curved_array():
    probe = Probe.curvilinear(96, 0.4e-3, 0.05)
    grid = SectorGrid(np.linspace(0.06, 0.1, 30), np.linspace(-0.3, 0.3, 25), apex=(0, 0, -0.05))
    transmit = Transmit.focused([0, 0, 0.03])
    closed = arrivals(transmit, probe, grid, C)
    composed = arrivals(free(transmit, probe), probe, grid, C)
    inside = (closed.tx_weight[0] > 0) & (np.abs(grid.points()[..., 2] - 0.03) > 3e-3)
    assert inside.sum() > 100
    np.testing.assert_allclose(composed.tx_time[0][inside], closed.tx_time[0][inside], atol=BETWEEN)


def test_huygens_on_a_matrix_array():
    probe = Probe.matrix(16, 16, 0.3e-3)
    grid = Grid.from_extent(x=(-1e-3, 1e-3), y=(-1e-3, 1e-3), z=(0.01, 0.03), spacing=0.9e-3)
    transmit = Transmit.diverging([0, 0, -0.01])
    closed = arrivals(transmit, probe, grid, C).tx_time[0]
    composed = arrivals(free(transmit, probe), probe, grid, C).tx_time[0]
    np.testing.assert_allclose(composed, closed, atol=BETWEEN)


def test_elements_of_a_bowl_are_not_interpolated():
    """Neighbours in order are far apart on a Fibonacci lattice; the first element to arrive stands for the wave."""
    probe = Probe.bowl(128, 0.1)
    grid = Grid.from_extent(x=(-5e-3, 5e-3), y=(0, 5e-3), z=(-5e-3, 5e-3), spacing=2.5e-3)
    got = arrivals(Transmit.free(np.zeros(128)), probe, grid, C).tx_time[0].ravel()
    path = np.linalg.norm(grid.points().reshape(-1, 1, 3) - probe.positions, axis=-1) / C
    off = np.linalg.norm(grid.points().reshape(-1, 3), axis=1) > 1e-3  # all meet at the centre
    near = np.minimum(np.abs(got - path.min(1)), np.abs(got - path.max(1)))
    assert near[off].max() < ROUNDING


@pytest.mark.parametrize("kind", [Transmit.plane, Transmit.focused, Transmit.diverging])
def test_one_firing_element_makes_a_circular_wave(kind):
    only = np.zeros(64)
    only[40] = 1
    argument = 0.1 if kind == Transmit.plane else [1e-3, 0, 0.02 if kind == Transmit.focused else -0.02]
    t = kind(argument, apodization=only)
    want = t.firing_times(PROBE, C)[40] + distance(PROBE.positions[40]) / C
    np.testing.assert_allclose(arrivals(t, PROBE, GRID, C).tx_time[0], want, atol=ROUNDING)


def test_plane_refracts_where_the_sequence_assumed_another_speed():
    angle, c_sequence = np.deg2rad(15), 1480.0
    a = arrivals(Transmit.plane(angle), PROBE, GRID, C, sequence_sound_speed=c_sequence)
    true = np.arcsin(np.sin(angle) * C / c_sequence)
    want = (POINTS[..., 0] * np.sin(true) + POINTS[..., 2] * np.cos(true)) / C
    np.testing.assert_allclose(a.tx_time[0], want, atol=ROUNDING)
    composed = arrivals(free(Transmit.plane(angle), c=c_sequence), PROBE, GRID, C).tx_time[0]
    end = 63 / 2 * 0.3e-3
    inside = np.abs(POINTS[..., 0] - POINTS[..., 2] * np.tan(true)) < end
    np.testing.assert_allclose(composed[inside], want[inside], atol=BETWEEN)


def test_focused_with_another_speed_equals_a_dense_aperture():
    transmit, c_sequence = Transmit.focused([2e-3, 0, 20e-3]), 1450.0
    a = arrivals(transmit, PROBE, GRID, C, sequence_sound_speed=c_sequence)
    dense = Probe.linear(6301, 0.3e-5)
    points = POINTS.reshape(-1, 3)
    # The focus moves to where the curvature of the delays is undone: R = R_sequence c_sequence / c.
    u = points @ (transmit.focus / np.linalg.norm(transmit.focus)) - np.linalg.norm(transmit.focus) * c_sequence / C
    chosen = np.flatnonzero((a.tx_weight[0].ravel() == 1) & (np.abs(u) > 3e-3))[::5]
    want = dense_wave(
        transmit.firing_times(dense, c_sequence),
        dense.positions,
        points[chosen],
        lambda e, p: np.linalg.norm(e - p, axis=1) / C,
        u[chosen] > 0,
    )
    np.testing.assert_allclose(a.tx_time[0].ravel()[chosen], want, atol=BETWEEN)


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(1400, 1650), st.floats(1400, 1650))
def test_times_scale_with_slowness(angle, c, c_sequence):
    """Both speeds times k give times divided by k: times hold no hidden speed."""
    small = Grid.from_extent(x=(-4e-3, 4e-3), z=(5e-3, 0.03), spacing=4e-3)
    t = Transmit.plane(angle)
    one = arrivals(t, PROBE, small, c, sequence_sound_speed=c_sequence).tx_time
    two = arrivals(t, PROBE, small, 1.1 * c, sequence_sound_speed=1.1 * c_sequence).tx_time
    np.testing.assert_allclose(1.1 * two, one, atol=1e-11)


def test_single_elements_are_reciprocal():
    a = arrivals(full_synthetic_aperture(PROBE), PROBE, GRID, C)
    assert a.n_tx == 64
    for i in (0, 31, 63):
        np.testing.assert_allclose(a.tx_time[i], a.rx_time(i), atol=ROUNDING)


def test_codes_change_weights_not_times():
    signs = np.where(np.arange(64) % 3, 1.0, -1.0)
    plain, coded = Transmit.plane(0.1), Transmit.plane(0.1, apodization=signs)
    a = arrivals([plain, coded], PROBE, GRID, 1500.0, sequence_sound_speed=C)
    np.testing.assert_array_equal(a.tx_time[0], a.tx_time[1])


def test_only_firing_elements_send():
    """A focused beam of the left half is the beam of that half alone."""
    half = (np.arange(64) < 32).astype(float)
    left = Probe(PROBE.positions[:32], center_frequency=5e6)
    t = Transmit.focused([-4e-3, 0, 15e-3], apodization=half)
    alone = Transmit.focused([-4e-3, 0, 15e-3])
    options = {"sequence_sound_speed": 1500.0}
    a, b = arrivals(t, PROBE, GRID, C, **options), arrivals(alone, left, GRID, C, **options)
    np.testing.assert_allclose(a.tx_time, b.tx_time, atol=ROUNDING)
    np.testing.assert_array_equal(a.tx_weight, b.tx_weight)


def test_rough_delays_do_not_overshoot():
    delays = np.random.default_rng(0).uniform(0, 1e-6, 64)
    got = arrivals(Transmit.free(delays, apodization=np.r_[np.ones(2), np.zeros(62)]), PROBE, GRID, C).tx_time[0]
    phase = delays[:2] + np.stack([distance(e) for e in PROBE.positions[:2]], -1) / C
    np.testing.assert_allclose(got, phase.min(-1), atol=ROUNDING)
    assert np.isfinite(arrivals(Transmit.free(delays), PROBE, GRID, C).tx_time).all()


# Media: exact circular rays stand in for the solver, so that only what is built on its tables is tested.

MEDIUM_GRID = Grid.from_extent(x=(-0.016, 0.016), z=(0.0, 0.048), spacing=0.2e-3)
GRADIENT = (1450.0, 4000.0)  # m/s and 1/s: 1642 m/s at the bottom


def test_receive_times_in_a_gradient_stay_within_the_bound():
    a = arrivals(Transmit.single(5), PROBE, GRID, GradientSolver(MEDIUM_GRID, *GRADIENT))
    assert a.rx_slowness.size < 0.1 * PROBE.n_elements * MEDIUM_GRID.size  # the table is coarse
    for e in (0, 20, 63):
        want = gradient_time(POINTS, PROBE.positions[e], *GRADIENT)
        assert np.abs(a.rx_time(e) - want).max() < 1.05e-9
    np.testing.assert_allclose(a.tx_time[0], a.rx_time(5), atol=ROUNDING)


def test_finer_tables_err_quadratically_less():
    solver = GradientSolver(Grid.from_extent(x=(-0.016, 0.016), z=(0.0, 0.048), spacing=0.1e-3), 1450.0, 2e4)
    errors = []
    for spacing in (3.2e-3, 1.6e-3, 0.8e-3):
        a = arrivals(Transmit.single(0), PROBE, GRID, solver, table_spacing=spacing)
        errors.append(np.abs(a.rx_time(0) - gradient_time(POINTS, PROBE.positions[0], 1450.0, 2e4)).max())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


@pytest.mark.parametrize(
    "transmit", [Transmit.plane(0.15), Transmit.diverging([0, 0, -0.02]), Transmit.focused([0, 0, 0.02])]
)
def test_transmits_in_a_gradient_equal_a_dense_aperture(transmit):
    c_sequence = 1540.0
    solver = GradientSolver(MEDIUM_GRID, *GRADIENT)
    a = arrivals(transmit, PROBE, GRID, solver, sequence_sound_speed=c_sequence, weighting="beam", table_spacing=0.4e-3)
    points = POINTS.reshape(-1, 3)
    depth = points[:, 2] - (0.02 if transmit.kind == "focused" else 1.0)
    chosen = np.flatnonzero((a.tx_weight[0].ravel() == 1) & (np.abs(depth) > 5e-3))[::9]
    assert len(chosen) > 30
    dense = Probe.linear(2521, 0.75e-5)
    want = dense_wave(
        transmit.firing_times(dense, c_sequence),
        dense.positions,
        points[chosen],
        lambda e, p: gradient_time(e, p, *GRADIENT),
        depth[chosen] > 0,
    )
    # 1 ns of the tables, plus 0.1 ns between elements
    np.testing.assert_allclose(a.tx_time[0].ravel()[chosen], want, atol=1.1e-9)


def test_a_coarse_medium_is_reported():
    coarse = Grid.from_extent(x=(-0.016, 0.016), z=(0.0, 0.048), spacing=8e-3)
    with pytest.warns(UserWarning, match="resolves arrival times"):
        arrivals(Transmit.single(0), PROBE, GRID, GradientSolver(coarse, 1400.0, 2e4))


def test_constant_medium_equals_straight_paths():
    medium = Medium(Grid.from_extent(x=(-0.016, 0.016), z=(0.0, 0.048), spacing=0.4e-3), C)
    transmits = [
        *plane_waves([-0.1, 0.2]),
        Transmit.focused([0, 0, 0.02]),
        Transmit.single(7),
        free(Transmit.plane(0.1)),
    ]
    straight = arrivals(transmits, PROBE, GRID, C)
    bent = arrivals(transmits, PROBE, GRID, medium, sequence_sound_speed=C)
    beam = arrivals(transmits, PROBE, GRID, C, weighting="beam").tx_weight > 0
    beam[4] = beam[0] & beam[1]
    beam[2] &= np.abs(POINTS[..., 2] - 0.02) > 2e-3
    assert np.abs(bent.tx_time - straight.tx_time)[beam].max() < 1e-10
    for e in (0, 40):
        assert np.abs(bent.rx_time(e) - straight.rx_time(e)).max() < 1e-10


def some(first, last, n=32):
    """Apodization by which elements ``first`` to ``last`` - 1 fire."""
    return ((np.arange(n) >= first) & (np.arange(n) < last)).astype(float)


@pytest.mark.parametrize(
    "transmit",
    [
        Transmit.plane(0.15),
        Transmit.plane(-0.1, apodization=some(20, 32)),
        Transmit.diverging([1e-3, 0, -5e-3]),
        Transmit.diverging([1e-3, 0, -5e-3], apodization=some(20, 32)),
        Transmit.single(5),
        Transmit.focused([0, 0, 12e-3]),
        Transmit.focused([3e-3, 0, 9e-3]),
        Transmit.focused([2e-3, 0, 12e-3], apodization=some(20, 32)),
        Transmit.focused([-2e-3, 0, 10e-3], apodization=some(16, 32)),
        Transmit.focused([0, 0, 15e-3], apodization=some(0, 12)),
        Transmit.focused([4e-3, 0, 8e-3], apodization=some(8, 24)),
    ],
)
def test_a_constant_map_is_its_number_throughout_the_beam(transmit):
    """Also in the depth and the waist of a focus, where small apertures have no stationary phase (66 ns there)."""
    probe = Probe.linear(32, 0.3e-3, center_frequency=3e6)
    grid = Grid.from_extent(x=(-4e-3, 8e-3), z=(5e-3, 20e-3), spacing=0.1e-3)
    medium = Medium(Grid.from_extent(x=(-9e-3, 9e-3), z=(0, 25e-3), spacing=0.2e-3), C)
    number = arrivals([transmit, Transmit.plane()], probe, grid, C, weighting="beam")  # so that weights are not None
    mapped = arrivals(transmit, probe, grid, medium, sequence_sound_speed=C)
    inside = number.tx_weight[0] >= 0.99
    assert inside.sum() > 2000
    np.testing.assert_allclose(mapped.tx_time[0][inside], number.tx_time[0][inside], atol=BETWEEN)


def test_a_small_aperture_with_another_speed_moves_the_closed_form_to_its_focus():
    """Delays of 1480 m/s in 1540 m/s are nearly those of 1540 m/s for a nearer focus: so must be the waves."""
    probe = Probe.linear(32, 0.3e-3, center_frequency=3e6)
    near = Grid.from_extent(x=(-1e-3, 1e-3), z=(7e-3, 18e-3), spacing=0.1e-3)
    focus = 13e-3
    moved = focus * 1480 / C
    got = arrivals(
        Transmit.focused([0, 0, focus], apodization=some(8, 24)), probe, near, C, sequence_sound_speed=1480.0
    )
    want = arrivals(Transmit.focused([0, 0, moved], apodization=some(8, 24)), probe, near, C)
    inside = want.tx_weight[0] >= 0.99
    difference = (got.tx_time[0] - want.tx_time[0])[inside]
    assert np.ptp(difference) < 3e-9


@pytest.mark.parametrize(("edge", "least"), [(0.5e-3, 1), (2e-3, 4)])
def test_lens_table_error_bound(edge, least):
    """The default table against the solver's own values at the image points, in a disc of another speed."""
    p = MEDIUM_GRID.points()
    disc = np.hypot(p[..., 0] - 2e-3, p[..., 2] - 0.018)
    medium = Medium(MEDIUM_GRID, 1540.0 - 80.0 / (1 + np.exp((disc - 6e-3) / edge)))
    solver = EikonalSolver(medium)
    image = Grid((41, 61), (0.6e-3, 0.6e-3), (-0.012, 3e-3))  # on the medium's nodes
    a = arrivals(Transmit.single(0), PROBE, image, solver)
    assert MEDIUM_GRID.size > least * a.rx_grid.size  # a soft lens needs fewer nodes
    full = solver(PROBE.positions[[0, 33]])[:, 20:141:3, 15:196:3]
    for e, want in zip((0, 33), full, strict=True):
        # The bound, and the coarse table clipped to the image where it does not meet the medium's nodes.
        assert np.abs(a.rx_time(e) - want).max() < 1.1e-9


def test_bent_paths_are_reciprocal():
    p = MEDIUM_GRID.points()
    medium = Medium(MEDIUM_GRID, 1480.0 + 100.0 * (p[..., 2] > 0.01 + 0.1 * p[..., 0]))
    probe = Probe(np.array([[-8e-3, 0, 2e-3], [6e-3, 0, 30e-3]]))
    forth = arrivals(Transmit.single(0), probe, Grid((1, 1), 1e-3, (6e-3, 30e-3)), medium, table_spacing=2e-4)
    back = arrivals(Transmit.single(1), probe, Grid((1, 1), 1e-3, (-8e-3, 2e-3)), medium, table_spacing=2e-4)
    # Across the sharp interface the solver is of first order on its 0.2 mm grid; straight paths differ by 100 ns.
    assert abs(float(forth.tx_time.item() - back.tx_time.item())) < 3e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"medium_or_c0": 1.54}, "m/s"),
        ({"medium_or_c0": "water"}, "medium_or_c0"),
        ({"sequence_sound_speed": 1.5}, "sequence_sound_speed"),
        ({"transmits": []}, "transmits"),
        ({"transmits": Transmit.single(64)}, "element"),
        ({"transmits": Transmit.free(np.zeros(3))}, "delays"),
        ({"transmits": Transmit.single(0, apodization=np.r_[np.zeros(63), 1.0])}, "firing"),
        ({"probe": 3}, "probe"),
        ({"grid": (3, 4)}, "grid"),
        ({"wavelength": 0.3}, "wavelength"),
        ({"weighting": "hard"}, "weighting"),
    ],
)
def test_refuses(change, message):
    given = {"transmits": Transmit.plane(), "probe": PROBE, "grid": GRID, "medium_or_c0": C, **change}
    with pytest.raises(ArgumentError, match=message):
        arrivals(given.pop("transmits"), given.pop("probe"), given.pop("grid"), given.pop("medium_or_c0"), **given)


def test_refuses_what_the_medium_does_not_cover():
    small = GradientSolver(Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.03), spacing=1e-3), 1500.0, 100.0)
    inner = Grid.from_extent(x=(-5e-3, 5e-3), z=(5e-3, 0.02), spacing=1e-3)
    with pytest.raises(ArgumentError, match=r"grid: expected z inside"):
        arrivals(
            Transmit.single(0), Probe.linear(8, 3e-4), Grid.from_extent(x=(0, 5e-3), z=(0, 0.04), spacing=1e-3), small
        )
    with pytest.raises(ArgumentError, match=r"grid: expected x inside"):
        arrivals(Transmit.single(0), Probe.linear(8, 3e-4), GRID, small)
    with pytest.raises(ArgumentError, match=r"probe: expected x inside"):
        arrivals(Transmit.single(0), Probe.linear(128, 3e-4), inner, small)
    with pytest.raises(ArgumentError, match=r"probe: expected y = 0"):
        arrivals(Transmit.single(0), Probe.matrix(4, 4, 3e-4), inner, small)
    with pytest.raises(ArgumentError, match="sequence_sound_speed"):
        arrivals(Transmit.plane(), Probe.linear(8, 3e-4), inner, small)


def test_arrivals_are_checked_and_frozen():
    time = np.zeros((1, *GRID.shape), np.float32)
    with pytest.raises(ArgumentError, match="tx_time"):
        Arrivals(GRID, PROBE, time[:, 1:])
    with pytest.raises(ArgumentError, match="unit|expected values"):
        Arrivals(GRID, PROBE, time + 20.0)  # microseconds
    with pytest.raises(ArgumentError, match="rx_grid"):
        Arrivals(GRID, PROBE, time, rx_slowness=np.full((64, *GRID.shape), 6.5e-4, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        Arrivals(GRID, PROBE, time).tx_time[0] = 1.0


def test_no_warnings_for_degenerate_grids():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solver = GradientSolver(MEDIUM_GRID, *GRADIENT)
        line = Grid((1, 5), (1e-3, 5e-3), (0.016, 0.01))  # one column, on the medium's edge
        a = arrivals(Transmit.single(0), PROBE, line, solver)
    want = gradient_time(line.points(), PROBE.positions[3], *GRADIENT)
    np.testing.assert_allclose(a.rx_time(3), want, atol=1.05e-9)
