"""Derivative of eikonal travel times with respect to the slowness: differences, transpose, creases, levels, threads."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, DeviceError, EikonalSolver, Grid, Medium
from sonoray._backends import host_module
from sonoray.media import phantoms
from tests.rays.test_point_times import inside, on_place, smooth_slowness

FLAT = Grid((91, 73), (3e-4, 4e-4), (-0.0135, 0.0))
CUBE = Grid((27, 30, 33), (5e-4, 5e-4, 4e-4), (-0.0065, -0.00725, 0.0))
GRIDS = pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])


def case(grid, rng, n=5, device="cpu", strength=0.03):
    """Solver in a smooth medium, its slowness, and sources on the surface, on a node and anywhere."""
    slowness = smooth_slowness(grid, 2, strength)
    sources = inside(grid, n, rng)
    sources[:2, 2] = 0.0
    sources[2] = grid.points()[tuple(k // 2 for k in grid.shape)]
    return EikonalSolver(Medium(grid, 1 / slowness), device=device), slowness, sources


def smooth_change(grid, slowness):
    return 0.01 * (smooth_slowness(grid, 9, 0.3) - 1 / 1540) + 0.002 * slowness


@GRIDS
@pytest.mark.parametrize("mean", [False, True], ids=["times", "mean"])
def test_derivative_is_the_limit_of_differences(grid, mean, rng, device):
    """3e-4 seen in 2-D: the solver stops at changes of 4e-6 of T, and the differences are some 5e-3 of it."""
    solver, slowness, sources = case(grid, rng, device=device)
    change = smooth_change(grid, slowness)
    media = [EikonalSolver(Medium(grid, 1 / (slowness + sign * change)), device=device) for sign in (1, -1)]
    ahead, behind = (
        sonoray.to_host(s.mean_slowness(sources) if mean else s(sources)).astype(np.float64) for s in media
    )
    derivative = sonoray.to_host(solver.derivative(sources, change, mean_slowness=mean))
    assert derivative.dtype == np.float32
    difference = (ahead - behind) / 2
    assert np.linalg.norm(derivative - difference) < 1e-3 * np.linalg.norm(difference)


@GRIDS
@pytest.mark.parametrize("mean", [False, True], ids=["times", "mean"])
def test_gradient_is_the_transpose(grid, mean, rng, device):
    """Rough cotangents and changes, more sources than lanes of one group; 1e-8 of the norms seen: float32,
    and sweeps stop at changes of 3e-7."""
    solver, slowness, sources = case(grid, rng, 37 if grid.ndim == 2 else 5, device)
    change = rng.standard_normal(grid.shape) * slowness
    cotangent = rng.standard_normal((len(sources), *grid.shape)).astype(np.float32)
    derivative = sonoray.to_host(solver.derivative(sources, change, mean_slowness=mean)).astype(np.float64)
    gradient = solver.gradient(sources, on_place(cotangent, device), mean_slowness=mean)
    assert gradient.shape == grid.shape
    assert gradient.dtype == np.float64
    error = np.vdot(gradient, change) - np.vdot(cotangent, derivative)
    assert abs(error) < 1e-6 * np.linalg.norm(cotangent) * np.linalg.norm(derivative)


@GRIDS
def test_one_cotangent_is_one_row(grid, rng, device):
    """The gradient of a single node's time is a ray: along the slowness it gives the time, its sum is a length."""
    solver, slowness, sources = case(grid, rng, device=device)
    sources = sources[:1]
    node = tuple(n - 5 for n in grid.shape)
    cotangent = np.zeros((1, *grid.shape), np.float32)
    cotangent[(0, *node)] = 1e6
    row = solver.gradient(sources, on_place(cotangent, device)) / 1e6
    time = sonoray.to_host(solver(sources))[(0, *node)]
    assert np.vdot(row, slowness) == pytest.approx(time, rel=1e-6)  # the scheme is homogeneous of degree one
    assert row.min() > -0.2 * row.max()  # second order has negative weights
    line = np.linalg.norm(grid.points()[node] - sources[0])
    assert row.sum() == pytest.approx(line, rel=5e-3)  # bent rays are slightly longer than straight ones


@GRIDS
def test_derivative_along_the_slowness_is_the_time(grid, rng, device):
    """Twice as slow takes twice as long, in the scheme as in nature; creases included."""
    strong = smooth_slowness(grid, 4, 0.15)
    _, _, sources = case(grid, rng)
    solver = EikonalSolver(Medium(grid, 1 / strong), device=device)
    times = sonoray.to_host(solver(sources))
    change = sonoray.to_host(solver.derivative(sources, strong))
    assert np.abs(change - times).max() < 2e-6 * times.max()


def test_lens_with_creases(rng, device):
    """Behind a slow lens fronts cross: differences agree but next to the creases, where they have no limit."""
    grid = Grid((121, 141), 2e-4, (-0.012, 0.0))
    lens = phantoms.disc(grid, (0.0, 0, 0.01), 4e-3, inside=1400.0, outside=1540.0, edge=1e-3)
    slowness, sources = 1.0 / lens.sound_speed, [[-1e-3, 0, 0], [0.3e-3, 0, 0], [4e-3, 0, 0]]
    change = 0.003 * slowness * np.cos(np.linalg.norm(grid.points(), axis=-1) / 2e-3)
    ahead, behind = (
        sonoray.to_host(EikonalSolver(Medium(grid, 1 / (slowness + k * change)), device=device)(sources))
        for k in (1, -1)
    )
    solver = EikonalSolver(Medium(grid, 1 / slowness), device=device)
    derivative = sonoray.to_host(solver.derivative(sources, change)).astype(np.float64)
    error = np.abs(derivative - (ahead.astype(np.float64) - behind) / 2)
    assert np.quantile(error, 0.9) < 5e-3 * np.abs(derivative).max()
    assert error.max() < 0.1 * np.abs(derivative).max()
    cotangent = rng.standard_normal(derivative.shape).astype(np.float32)
    product = np.vdot(cotangent, derivative)
    gradient = solver.gradient(sources, on_place(cotangent, device))
    assert np.vdot(gradient, change) == pytest.approx(product, rel=1e-4)


@GRIDS
def test_known_solution(grid, rng, device):
    solver, slowness, sources = case(grid, rng, device=device)
    known = solver.mean_slowness(sources)
    cotangent = on_place(np.ones((len(sources), *grid.shape), np.float32), device)
    change = smooth_change(grid, slowness)
    pairs = [
        (solver.gradient(sources, cotangent), solver.gradient(sources, cotangent, solution=known)),
        [sonoray.to_host(solver.derivative(sources, change, solution=s)) for s in (None, known)],
    ]
    for fresh, again in pairs:  # mean slowness in float32 moves directions by about 1e-5
        assert np.linalg.norm(fresh - again) < 1e-4 * np.linalg.norm(fresh)


def test_homogeneous_medium_has_straight_rays(device):
    """T = r / c: a change within a sector changes times in that sector only, and by r. The source's own node is one of
    the sector's, so half of the first cell's diagonal counts outside, and some of it does not inside."""
    grid = Grid((81, 81), 2.5e-4, (-0.01, 0.0))
    solver = EikonalSolver(Medium(grid, 1500.0), device=device)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    angle = np.arctan2(x, z)
    change = sonoray.to_host(solver.derivative([[0, 0, 0]], np.where(np.abs(angle) < 0.4, 1e-6, 0.0)))[0]
    r = np.hypot(x, z)
    cell = 1e-6 * 2.5e-4
    assert np.abs(change - 1e-6 * r)[np.abs(angle) < 0.2].max() < 0.75 * cell
    assert np.abs(change[np.abs(angle) > 0.7]).max() < 0.75 * cell


def test_levels_and_threads(rng, monkeypatch):
    solver, _, sources = case(FLAT, rng, 40)
    cotangent = rng.standard_normal((40, *FLAT.shape)).astype(np.float32)
    module, top = host_module(), host_module().cpu_level()
    results = []
    try:
        for level in range(top + 1):
            module.set_cpu_level(level)
            results.append(solver.gradient(sources, cotangent))
    finally:
        module.set_cpu_level(top)
    for other in results[:-1]:
        assert np.linalg.norm(other - results[-1]) < 1e-3 * np.linalg.norm(results[-1])
    for threads in ("1", "3"):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        assert np.array_equal(solver.gradient(sources, cotangent), results[-1])


def test_nothing_to_do(rng):
    solver, _, sources = case(FLAT, rng)
    assert not solver.gradient(sources, np.zeros((5, *FLAT.shape), np.float32)).any()
    assert not solver.gradient(np.zeros((0, 3)), np.zeros((0, *FLAT.shape), np.float32)).any()
    assert not solver.derivative(sources, np.zeros(FLAT.shape)).any()


def test_refusals(rng):
    solver, slowness, sources = case(FLAT, rng)
    cotangent = np.ones((5, *FLAT.shape), np.float32)
    with pytest.raises(ArgumentError, match="cotangent: expected shape"):
        solver.gradient(sources, cotangent[:4])
    with pytest.raises(ArgumentError, match="cotangent: expected finite"):
        solver.gradient(sources, np.where(cotangent > 0, np.nan, 0))
    with pytest.raises(ArgumentError, match="solution: expected shape"):
        solver.gradient(sources, cotangent, solution=cotangent[:2])
    with pytest.raises(ArgumentError, match="sources: expected points inside"):
        solver.gradient(sources + 1.0, cotangent)
    with pytest.raises(ArgumentError, match="perturbation: expected shape"):
        solver.derivative(sources, slowness[:-1])

    class OnDevice:
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(DeviceError, match="cotangent: expected an array on 'cpu'"):
        solver.gradient(sources, OnDevice())
