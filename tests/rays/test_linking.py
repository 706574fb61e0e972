"""Linking against closed forms: times, caustics, later arrivals, failures, bad input."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from sonoray import ArgumentError, DeviceError, EikonalSolver, Grid, Medium, PairStatus, RayLinker
from sonoray.media import phantoms
from sonoray.media.interpolation import Interpolator, smooth
from sonoray.media.phantoms_ring import breast_slice

from .ring_cases import gaussian_lens, ring, ring_grid, truth_map


def breast(spacing=1e-3):
    grid = ring_grid(spacing)
    return Medium(grid, smooth(breast_slice(grid).sound_speed, round(7e-3 / spacing) // 2 * 2 + 1))


@pytest.mark.parametrize("ndim", [2, 3])
def test_straight_rays_need_no_correction(ndim, device):
    sides = {"x": (-0.05, 0.05), "z": (-0.05, 0.05)} | ({"y": (-0.05, 0.05)} if ndim == 3 else {})
    rng = np.random.default_rng(ndim)
    tx, rx = (rng.uniform(-0.05, 0.05, (n, 3)) for n in (7, 40))
    if ndim == 2:
        tx[:, 1] = rx[:, 1] = 0.0
    found = RayLinker(Medium(Grid.from_extent(**sides, spacing=5e-3), 1480.0), device=device)(tx, rx, paths=True)
    distance = np.linalg.norm(rx[None] - tx[:, None], axis=-1)
    assert found.linked.all()
    assert (found.traces == 1).all()
    # A few hundred roundings of 1e-16 m.
    np.testing.assert_allclose(found.time, distance / 1480.0, rtol=0, atol=1e-17)
    np.testing.assert_allclose(found.spreading, distance ** (ndim - 1), rtol=1e-9)
    np.testing.assert_allclose(found.take_off, (rx[None] - tx[:, None]) / distance[..., None], atol=1e-12)
    np.testing.assert_allclose(found.arrival, found.take_off, atol=1e-12)
    assert (found.caustics == 0).all()
    np.testing.assert_allclose(found.paths.lengths(), distance.ravel(), rtol=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
def test_constant_gradient(ndim, device):
    """Rays are arcs; closed form of the times, elements anywhere, some next to each other."""
    sides = {"x": (-0.05, 0.05), "z": (0.0, 0.1)} | ({"y": (-0.05, 0.05)} if ndim == 3 else {})
    medium = phantoms.constant_gradient(Grid.from_extent(**sides, spacing=1e-3 if ndim == 2 else 4e-3), 1400.0, 4000.0)
    rng = np.random.default_rng(ndim)
    tx, rx = (rng.uniform((-0.04, -0.04, 0.02), (0.04, 0.04, 0.08), (n, 3)) for n in (6, 60))
    rx[0] = tx[0] + (1e-4, 0.0, 2e-4)
    if ndim == 2:
        tx[:, 1] = rx[:, 1] = 0.0
    found = RayLinker(medium, device=device)(tx, rx)
    assert found.linked.all()
    exact = phantoms.constant_gradient_times(rx, tx, 1400.0, 4000.0)
    # What the spline leaves of 1 / c: (h / length over which c changes)^4 / 384 of T.
    np.testing.assert_allclose(found.time, exact, rtol=0, atol=1e-14 if ndim == 2 else 1e-12)
    if device == "cpu":  # the fan is thinner there
        assert found.mean_traces <= (
            3.0 if ndim == 2 else 8.0
        )  # few receivers in a volume: the fan is not shared by many


def fish_eye(ndim, spacing):
    """Maxwell's fish-eye n = 2 / (1 + r^2 / a^2), whose rays are circles through the antipode; a = 0.1 m."""
    sides = {"x": (-0.14, 0.14), "z": (-0.14, 0.14)} | ({"y": (-0.14, 0.14)} if ndim == 3 else {})
    grid = Grid.from_extent(**sides, spacing=spacing)
    return Medium(grid, 1500.0 * (1 + (grid.points() ** 2).sum(axis=-1) / 0.01) / 2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_fish_eye(ndim, device):
    """n is that of a unit sphere's stereographic map: L = a x the angle between the points on the sphere."""
    medium = fish_eye(ndim, 2e-3 if ndim == 2 else 5e-3)
    a = 0.1
    rng = np.random.default_rng(0)
    tx = np.array([[-0.06, 0.0, 0.02], [0.03, 0.0, 0.0]])
    rx = rng.uniform(-0.07, 0.07, (30, 3)) * (1, ndim == 3, 1)
    found = RayLinker(medium, reference_sound_speed=1500.0, device=device)(tx, rx)
    assert found.linked.all()

    def sphere(p):
        r2 = (p**2).sum(axis=-1, keepdims=True) / a**2
        return np.concatenate([2 * p / a, r2 - 1], axis=-1) / (1 + r2)

    cosine = np.einsum("ti,ri->tr", sphere(tx), sphere(rx))
    exact = a * np.arccos(cosine) / 1500.0
    np.testing.assert_allclose(found.time, exact, rtol=0, atol=1e-11 if ndim == 2 else 3e-10)
    # Neighbouring rays meet at the antipode: Q = a sin(angle) n_tx / n_rx in every direction across the ray.
    n_tx, n_rx = (2 / (1 + (p**2).sum(axis=1) / a**2) for p in (tx, rx))
    exact_q = a * np.sin(np.arccos(cosine)) / n_rx[None]
    np.testing.assert_allclose(found.spreading, exact_q ** (ndim - 1), rtol=1e-4 if ndim == 2 else 5e-3)
    assert n_tx.min() > 1


def lens_crossings(emitter, z_end, strength, width, angles):
    """Where rays from `emitter` cross z = z_end, traced by an integrator that knows the lens in closed form."""

    def rates(_, y):
        x, z, px, pz = y[:4]
        g = strength * np.exp(-0.5 * (x * x + z * z) / width**2)
        n = 1 / (1 + g)
        slope = n * n * g / width**2
        return [px / n, pz / n, slope * x, slope * z, n]

    def plane(_, y):
        return y[1] - z_end

    plane.terminal = True
    ends = []
    for angle in angles:
        g = strength * np.exp(-0.5 * (emitter[0] ** 2 + emitter[2] ** 2) / width**2)
        y0 = [emitter[0], emitter[2], np.sin(angle) / (1 + g), np.cos(angle) / (1 + g), 0.0]
        end = solve_ivp(rates, (0, 0.5), y0, events=plane, rtol=1e-11, atol=1e-13, method="DOP853")
        ends.append((end.y_events[0][0][0], end.y_events[0][0][4]))
    return np.array(ends)


def test_three_arrivals_behind_a_slow_lens():
    """All arrivals of a brute-force fan through the analytic lens are found, with their times and caustics."""
    strength, width, emitter, z_end = -0.2, 8e-3, np.array([0.0, 0.0, -0.05]), 0.09
    medium = gaussian_lens(Grid.from_extent(x=(-0.05, 0.05), z=(-0.06, 0.1), spacing=1e-3), strength, width)
    receivers = np.c_[np.linspace(-0.009, 0.02, 12), np.zeros(12), np.full(12, z_end)]
    found = RayLinker(medium, arrivals="all")(emitter[None], receivers)
    assert found.linked.all()
    angles = np.linspace(-0.5, 0.5, 201)
    fan = lens_crossings(emitter, z_end, strength, width, angles)
    several = 0
    for i, receiver in enumerate(receivers):
        offset = fan[:, 0] - receiver[0]
        exact = []
        for k in np.flatnonzero(offset[:-1] * offset[1:] < 0):
            angle = brentq(
                lambda a, x=receiver[0]: lens_crossings(emitter, z_end, strength, width, [a])[0, 0] - x,
                *angles[k : k + 2],
                xtol=1e-11,
            )
            exact.append(
                (lens_crossings(emitter, z_end, strength, width, [angle])[0, 1] / 1500.0, fan[k + 1, 0] < fan[k, 0])
            )
        exact.sort()
        later = found.later.pair[:, 1] == i
        times = np.concatenate([[found.time[0, i]], found.later.time[later]])
        caustics = np.concatenate([[found.caustics[0, i]], found.later.caustics[later]])
        # The spline's share: (1 mm / 8 mm)^4 of 20 % of the transit time through the lens.
        np.testing.assert_allclose(times, [t for t, _ in exact], rtol=0, atol=2e-10)
        np.testing.assert_array_equal(caustics % 2 == 1, [reversed_ for _, reversed_ in exact])
        several += len(exact) == 3
    assert several >= 4


@pytest.mark.parametrize("solver", ["regula_falsi", "secant"])
def test_published_solvers_in_2d_agree(solver):
    medium = gaussian_lens(ring_grid(2e-3), -0.04, 0.02)
    array = ring(24)
    pairs = np.linalg.norm(array[None] - array[:, None], axis=-1) > 0.05
    ours = RayLinker(medium)(array[::4], array, pairs=pairs[::4])
    other = RayLinker(medium, solver=solver)(array[::4], array, pairs=pairs[::4])
    assert ours.linked[pairs[::4]].all()
    both = ours.linked & other.linked
    assert both.sum() > 0.95 * ours.linked.sum()
    np.testing.assert_allclose(other.time[both], ours.time[both], rtol=0, atol=1e-13)
    assert other.traces[both].mean() > 1.5 * ours.traces[both].mean()
    assert (other.status[~pairs[::4]] == PairStatus.SKIPPED).all()


def hemisphere(n, radius):
    """Golden-angle spiral on the lower half of a sphere."""
    k = np.arange(n)
    z = k * (1 - 0.5 / n) / (n - 1) + 0.5 / n - 1
    turn = k * np.pi * (3 - np.sqrt(5))
    return radius * np.c_[np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z]


@pytest.mark.parametrize("solver", ["newton", "broyden"])
def test_hemisphere(solver):
    grid = Grid.from_extent(x=(-0.07, 0.07), y=(-0.07, 0.07), z=(-0.07, 0.02), spacing=2e-3)
    medium = gaussian_lens(grid, 0.03, 0.02, center=(0.01, 0.0, -0.025))
    array = hemisphere(128, 0.06)
    found = RayLinker(medium, solver=solver)(array[::8], array)
    expected = np.ones(found.time.shape, bool)
    expected[np.arange(16), np.arange(0, 128, 8)] = False
    assert (found.linked == expected).all()
    back = RayLinker(medium)(array, array[::8])
    both = found.linked & back.linked.T
    assert both.sum() == expected.sum()
    np.testing.assert_allclose(found.time[both], back.time.T[both], rtol=0, atol=2e-13)
    speed = 1500 * (1 + 0.03 * np.exp(-0.5 * ((array - (0.01, 0.0, -0.025)) ** 2).sum(axis=1) / 0.02**2))
    there, again = (s * c**2 for s, c in ((found.spreading, speed[::8, None]), (back.spreading.T, speed[None])))
    np.testing.assert_allclose(there[both], again[both], rtol=2e-3)
    if solver == "newton":  # a fan for 127 receivers is one for few
        assert found.traces[both].mean() <= 2.0 and found.mean_traces <= 5.0


def check_ring(medium, n, every=1):
    """Links a ring; returns the rays after the checks that hold for every medium."""
    array = ring(n)
    found = RayLinker(medium)(array[::every], array, paths=True)
    assert found.linked.sum() > 0.999 * (found.status != PairStatus.SKIPPED).sum()
    ends = np.array([found.paths[i][[0, -2, -1]] for i in np.flatnonzero(found.linked.ravel())])
    tx, rx = np.nonzero(found.linked)
    np.testing.assert_array_equal(ends[:, 0], array[::every][tx][:, [0, 2]])
    np.testing.assert_array_equal(ends[:, 2], array[rx][:, [0, 2]])
    return found


def test_breast_on_a_small_ring():
    found = check_ring(breast(), 64)
    gap = np.abs(found.time - found.time.T)[found.linked]
    # A ray traced back is the same ray: integration at 1 mm steps remains. Where several rays arrive, the fan of one
    # direction may miss the earliest.
    assert np.median(gap) < 1e-13
    assert (gap < 1e-10).mean() > 0.99
    every = RayLinker(breast(), arrivals="all")(ring(64), ring(64))
    assert len(every.later) > 100 and np.isfinite(every.later.time).all()
    assert (every.later.time >= every.time[tuple(every.later.pair.T)]).all()
    gap = np.abs(every.time - every.time.T)[every.linked]
    assert (gap < 1e-10).mean() > 0.999
    spread = np.abs(every.spreading - every.spreading.T)[every.linked]
    # To first order in the error of the paraxial integration, which is large only beside caustics.
    assert np.median(spread) < 1e-4 and (spread < 1e-2).mean() > 0.95


def test_warm_start_follows_a_change_of_the_medium():
    medium, array = gaussian_lens(ring_grid(), 0.02, 0.02), ring(64)
    cold = RayLinker(medium)(array, array)
    changed = gaussian_lens(ring_grid(), 0.021, 0.02)
    warm, fresh = RayLinker(changed)(array, array, start=cold), RayLinker(changed)(array, array)
    assert warm.fan_traces == 0
    assert warm.mean_traces < 2.5
    assert warm.linked.sum() == fresh.linked.sum()
    np.testing.assert_allclose(warm.time[fresh.linked], fresh.time[fresh.linked], rtol=0, atol=1e-13)
    again = RayLinker(medium)(array, array, start=cold)
    assert again.mean_traces == 1.0
    np.testing.assert_allclose(again.time, cold.time, rtol=0, atol=1e-18)  # take-offs are rounded once


def test_results_do_not_depend_on_threads(monkeypatch):
    medium, array = breast(2e-3), ring(32)
    monkeypatch.setenv("SONORAY_THREADS", "1")
    one = RayLinker(medium, arrivals="all")(array, array, paths=True)
    monkeypatch.setenv("SONORAY_THREADS", "2")
    two = RayLinker(medium, arrivals="all")(array, array, paths=True)
    np.testing.assert_array_equal(one.time, two.time)
    np.testing.assert_array_equal(one.later.time, two.later.time)
    np.testing.assert_array_equal(one.paths.points, two.paths.points)


def test_failures_are_statuses():
    """A ray that would have to leave the grid, and a limit on traces that is too low: no time, no ray."""
    grid = Grid.from_extent(x=(-0.05, 0.05), z=(0.0, 0.1), spacing=1e-3)
    medium = phantoms.constant_gradient(grid, 3000.0, -2e4)  # fastest at the top: rays along it would bulge out
    receivers = np.array([[0.04, 0.0, 0.002], [0.0, 0.0, 0.08], [-0.02, 0.0, 0.05]])
    found = RayLinker(medium)([[-0.04, 0.0, 0.002]], receivers, paths=True)
    assert found.status[0, 0] in {PairStatus.SHADOW, PairStatus.NOT_CONVERGED, PairStatus.LEFT_GRID}
    assert found.linked[0, 1:].all()
    assert np.isnan(found.time[0, 0]) and np.isnan(found.take_off[0, 0]).all()
    assert len(found.paths[0]) == 0 and len(found.paths[1]) > 2
    array = ring(32)
    hurried = RayLinker(gaussian_lens(ring_grid(2e-3), -0.05, 0.01), solver="secant", max_traces=3)(array, array)
    counts = hurried.counts()
    assert counts["not_converged"] > 0 and counts["linked"] > 0 and sum(counts.values()) == 32 * 32
    assert np.isnan(hurried.time[~hurried.linked]).all()


def test_paths():
    medium, array = breast(2e-3), ring(16)
    linker = RayLinker(medium)
    fine = linker(array[:2], array, paths=True).paths
    coarse = linker(array[:2], array, paths=True, path_step=6e-3).paths
    assert fine.n_rays == coarse.n_rays == 32
    assert len(fine[0]) == 0  # the same element
    np.testing.assert_array_equal(coarse[5][1:-1], fine[5][3:-1:3])
    steps = np.linalg.norm(np.diff(fine[5], axis=0), axis=1)
    np.testing.assert_allclose(steps[:-1], 2e-3, rtol=1e-4)


def test_bad_input_is_named():
    medium = Medium(Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=1e-3), 1500.0)
    linker, good = RayLinker(medium), [[0.0, 0.0, 0.0]]
    with pytest.raises(ArgumentError, match="receivers: expected points inside the grid"):
        linker(good, [[0.06, 0.0, 0.0]])
    with pytest.raises(ArgumentError, match="is it really in m"):
        linker([[20.0, 0.0, 30.0]], good)
    with pytest.raises(ArgumentError, match="emitters: expected finite"):
        linker([[np.nan, 0.0, 0.0]], good)
    with pytest.raises(ArgumentError, match="pairs: expected bool of shape"):
        linker(good, good, pairs=np.ones((2, 1), bool))
    with pytest.raises(ArgumentError, match="start: expected rays of 1 x 2"):
        linker(good, good * 2, start=linker(good, good))
    with pytest.raises(ArgumentError, match="path_step: expected a multiple"):
        linker(good, good, paths=True, path_step=1.5e-3)
    with pytest.raises(ArgumentError, match="solver: expected one of 'newton', 'regula_falsi', 'secant'"):
        RayLinker(medium, solver="broyden")
    with pytest.raises(ArgumentError, match="step: expected"):
        RayLinker(medium, step=0.05)
    with pytest.raises(ArgumentError, match="medium: expected a Medium"):
        RayLinker(1500.0)
    with pytest.raises(DeviceError, match="device"):
        RayLinker(medium, device="gpu")


def test_same_point_and_no_elements():
    medium = Medium(Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=1e-3), 1500.0)
    found = RayLinker(medium)([[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]])
    assert found.counts() == {"linked": 1, "skipped": 1, "shadow": 0, "not_converged": 0, "left_grid": 0}
    assert "1 linked" in repr(found)
    empty = RayLinker(medium, arrivals="all")(np.empty((0, 3)), [[0.0, 0.0, 0.0]], paths=True)
    assert empty.time.shape == (0, 1) and empty.paths.n_rays == 0 and len(empty.later) == 0


def eikonal_difference(medium, spacing, emitters, receivers):
    """Eikonal times on a finer grid of the same spline, less the linker's, where one ray arrives [s]."""
    fine = ring_grid(spacing)
    index = Interpolator(medium.grid, 1500.0 / medium.sound_speed)
    times = EikonalSolver(Medium(fine, 1500.0 / index(fine.points().reshape(-1, 3)).reshape(fine.shape)))(emitters)
    node = np.rint((receivers[:, [0, 2]] - fine.origin) / spacing).astype(int)
    found = RayLinker(medium, arrivals="all")(emitters, receivers)
    one = found.linked.copy()
    one[tuple(found.later.pair.T)] = False
    return (times[:, node[:, 0], node[:, 1]] - found.time)[one]


def test_times_equal_the_eikonals():
    """Elements on nodes of the eikonal's grids, so that nothing is interpolated."""
    array = np.rint(ring(128) / 5e-4) * 5e-4
    lens = gaussian_lens(ring_grid(), 0.03, 0.02)
    assert np.abs(eikonal_difference(lens, 5e-4, array[::32], array)).max() < 0.5e-9
    tissue = breast()
    coarse, fine = (eikonal_difference(tissue, h, array[::32], array) for h in (5e-4, 2.5e-4))
    # What differs is the eikonal's error behind sharp detail: it falls with the spacing, towards the rays' times.
    assert np.sqrt((fine**2).mean()) < 0.5 * np.sqrt((coarse**2).mean())
    assert np.median(np.abs(fine)) < 0.2e-9
    assert (np.abs(fine) < 1e-9).mean() > 0.9


@pytest.mark.parametrize("name", ["vsx_like", "breast_ct"])
def test_truth_maps(real_data, name):
    """Every eighth emitter of the 256-element ring; the whole of it is in the benchmark."""
    assert check_ring(truth_map(real_data, name), 256, every=8).mean_traces <= 3.0
