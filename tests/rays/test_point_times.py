"""Travel times to points: both paths against closed forms, derivative and gradient, rows, refusals."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid
from sonoray.inversion.operators import LinearOperator, adjoint_error
from sonoray.media import phantoms
from sonoray.rays.point_times import PointTimes

NS = 1e-9
PATHS = ("eikonal", "straight")
FLAT = Grid((61, 81), (5e-4, 4e-4), (-0.015, 0.0))
CUBE = Grid((21, 17, 25), (1e-3, 1.1e-3, 1.2e-3), (-0.01, -0.008, 0.0))


def inside(grid, n, rng, margin=0.0):
    """Points anywhere in the grid, (n, 3)."""
    extent = np.array(grid.extent)
    points = np.zeros((n, 3))
    points[:, [0, 2] if grid.ndim == 2 else [0, 1, 2]] = rng.uniform(
        extent[:, 0] + margin, extent[:, 1] - margin, (n, grid.ndim)
    )
    return points


def smooth_slowness(grid, seed=0, strength=0.03):
    """1 / 1540 s/m, and smooth waves of a few percent."""
    rng = np.random.default_rng(seed)
    total = np.zeros(grid.shape)
    for _ in range(6):
        phase = rng.uniform(0, 2 * np.pi)
        for x, k in zip(np.meshgrid(*grid.axes, indexing="ij"), rng.uniform(-250, 250, grid.ndim), strict=True):
            phase = phase + k * x
        total += np.sin(phase)
    return (1 + strength * total / 3) / 1540.0


def on_place(value, device):
    return value if device == "cpu" else sonoray.to_device(value, device)


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_straight_times_of_a_linear_slowness(grid, rng, device):
    """The mean of a linear function along a line is that at its middle; float32 leaves 6e-8 of 30 us."""
    sources, points = inside(grid, 7, rng), inside(grid, 40, rng)
    mesh = grid.points()
    slowness = (1 + 8 * mesh[..., 0] - 5 * mesh[..., 2]) / 1540
    times = sonoray.to_host(PointTimes(grid, sources, points, path="straight", device=device)(slowness))
    middle = (sources[:, None] + points) / 2
    exact = np.linalg.norm(sources[:, None] - points, axis=-1) * (1 + 8 * middle[..., 0] - 5 * middle[..., 2]) / 1540
    assert times.shape == (7, 40)
    assert times.dtype == np.float32
    assert np.abs(times - exact).max() < 2e-12


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_straight_rows_gradient_and_derivative_are_one_matrix(grid, rng, device):
    times = PointTimes(grid, inside(grid, 5, rng), inside(grid, 30, rng), path="straight", device=device)
    slowness, change = smooth_slowness(grid), rng.standard_normal(grid.shape) * 1e-6
    cotangent = rng.standard_normal(times.shape)
    rows = times.rows()
    assert rows.shape == (150, grid.size)
    assert np.allclose(rows @ slowness.ravel(), sonoray.to_host(times(slowness)).ravel(), rtol=1e-6, atol=0)
    derivative = sonoray.to_host(times.derivative(slowness, change)).ravel()
    assert np.allclose(derivative, rows @ change.ravel(), rtol=0, atol=1e-6 * np.abs(derivative).max())
    gradient = times.gradient(slowness, on_place(cotangent, device))
    assert gradient.shape == grid.shape
    assert np.allclose(gradient.ravel(), rows.T @ cotangent.ravel(), rtol=0, atol=1e-10 * np.abs(gradient).max())


def test_straight_line_along_the_surface_and_of_no_length():
    """Elements lie on the first row of nodes; a point may be an element."""
    sources = [[-0.01, 0, 0], [0.004, 0, 0]]
    times = PointTimes(FLAT, sources, sources, path="straight")(np.full(FLAT.shape, 1 / 1500))
    assert np.allclose(times, [[0, 0.014 / 1500], [0.014 / 1500, 0]], rtol=1e-6, atol=0)


def test_eikonal_times_in_a_constant_gradient(device):
    """Circular rays in closed form; points between nodes and sources of both kinds. Seen: 0.12 ns."""
    grid = Grid((161, 201), 2e-4, (-0.016, 0.0))
    medium = phantoms.constant_gradient(grid, 1450.0, 200 / 0.04)
    rng = np.random.default_rng(3)
    points = inside(grid, 200, rng)
    sources = np.c_[np.linspace(-0.01, 0.01, 5), np.zeros(5), np.zeros(5)]
    times = sonoray.to_host(PointTimes(grid, sources, points, device=device)(1 / medium.sound_speed))
    exact = phantoms.constant_gradient_times(points, sources, 1450.0, 200 / 0.04)
    assert np.abs(times - exact).max() < 0.5 * NS


@pytest.mark.parametrize("path", PATHS)
def test_homogeneous_medium(path, rng, device):
    sources, points = inside(FLAT, 3, rng), inside(FLAT, 50, rng)
    points[:3] = sources  # a time of exactly zero
    times = sonoray.to_host(PointTimes(FLAT, sources, points, path=path, device=device)(np.full(FLAT.shape, 1 / 1540)))
    exact = np.linalg.norm(sources[:, None] - points, axis=-1) / 1540
    assert np.abs(times - exact).max() < 0.01 * NS
    assert (np.diag(times) == 0).all()


def test_straight_is_the_eikonal_path_to_first_order(rng):
    """Fermat: bending costs the second power of the contrast."""
    sources, points = inside(FLAT, 4, rng), inside(FLAT, 60, rng)
    differences = []
    for strength in (0.02, 0.01):
        slowness = smooth_slowness(FLAT, 1, strength)
        bent, straight = (PointTimes(FLAT, sources, points, path=p)(slowness) for p in PATHS)
        differences.append(np.sqrt(np.square(straight.astype(float) - bent).mean()))
    assert 3.0 < differences[0] / differences[1] < 5.0


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_eikonal_derivative_and_gradient(grid, rng, device):
    """Finite differences of the whole map; one is the transpose of the other. Sources on the surface and inside."""
    slowness = smooth_slowness(grid)
    sources, points = inside(grid, 6, rng), inside(grid, 50, rng)
    sources[:3, 2] = 0.0
    times = PointTimes(grid, sources, points, device=device)
    change = 0.01 * (smooth_slowness(grid, 7) - 1 / 1540)
    ahead, behind = (sonoray.to_host(times(slowness + sign * change)).astype(float) for sign in (1, -1))
    derivative = sonoray.to_host(times.derivative(slowness, change)).astype(float)
    difference = (ahead - behind) / 2
    # 2e-4 seen: the solver stops at changes of 4e-6 of T, and the differences are about 5e-3 of it
    assert np.linalg.norm(derivative - difference) < 1e-3 * np.linalg.norm(difference)
    cotangent = rng.standard_normal(times.shape).astype(np.float32)
    gradient = times.gradient(slowness, on_place(cotangent, device))
    assert gradient.shape == grid.shape
    assert gradient.dtype == np.float64
    product = np.vdot(cotangent, derivative)
    assert abs(np.vdot(gradient, change) - product) < 1e-6 * np.linalg.norm(cotangent) * np.linalg.norm(derivative)


def test_eikonal_gradient_is_that_of_straight_rays_in_a_homogeneous_medium(rng):
    """Fermat again: the first variation is the integral along the unperturbed ray. Discretisation spreads the ray over
    some nodes, so it is compared for a smooth change."""
    slowness, change = np.full(FLAT.shape, 1 / 1540), smooth_slowness(FLAT, 5) - 1 / 1540
    sources, points = inside(FLAT, 5, rng), inside(FLAT, 80, rng)
    bent, straight = (PointTimes(FLAT, sources, points, path=p).derivative(slowness, change) for p in PATHS)
    # 6e-4 seen: the wave's direction is that of second-order differences
    assert np.linalg.norm(bent - straight) < 2e-3 * np.linalg.norm(straight)


@pytest.mark.parametrize("path", PATHS)
def test_linearized_is_an_operator(path, rng, device):
    """The same numbers as one call each; the known solution is rounded once more. 40 sources: two batches."""
    slowness = smooth_slowness(FLAT)
    times = PointTimes(FLAT, inside(FLAT, 40, rng), inside(FLAT, 9, rng), path=path, device=device)
    operator = times.linearized(slowness)
    assert isinstance(operator, LinearOperator)
    assert operator.shape == (360, FLAT.size)
    assert adjoint_error(operator) < 1e-6  # 1e-7 seen: sweeps stop at changes of 3e-7
    assert np.array_equal(operator.times, sonoray.to_host(times(slowness)))
    change, cotangent = rng.standard_normal(FLAT.size), rng.standard_normal((40, 9))
    once = sonoray.to_host(times.derivative(slowness, change.reshape(FLAT.shape))).ravel()
    assert np.linalg.norm(operator(change) - once) < 1e-4 * np.linalg.norm(once)
    back = times.gradient(slowness, on_place(cotangent, device)).ravel()
    assert np.linalg.norm(operator.adjoint(cotangent) - back) < 1e-4 * np.linalg.norm(back)
    assert np.allclose(operator(slowness), operator.times.ravel(), rtol=1e-5, atol=0)  # homogeneous of degree one


def test_refusals(rng):
    slowness = np.full(FLAT.shape, 1 / 1500)
    here = [[0.0, 0.0, 0.01]]
    with pytest.raises(ArgumentError, match="path: expected one of 'eikonal', 'straight'"):
        PointTimes(FLAT, here, here, path="bent")
    with pytest.raises(ArgumentError, match=r"points: expected points inside the grid .*number 1,"):
        PointTimes(FLAT, here, [*here, [0.5, 0, 0]])
    with pytest.raises(ArgumentError, match="sources"):
        PointTimes(FLAT, [[0, 0, np.nan]], here)
    with pytest.raises(ArgumentError, match="two nodes"):
        PointTimes(Grid((1, 5), 1e-3, (0, 0)), here, here)
    times = PointTimes(FLAT, here, here, path="straight")
    with pytest.raises(ArgumentError, match="slowness: expected values"):
        times(np.full(FLAT.shape, 1500.0))
    with pytest.raises(ArgumentError, match="slowness: expected shape"):
        times(slowness[1:])
    with pytest.raises(ArgumentError, match="cotangent: expected shape"):
        times.gradient(slowness, np.ones((2, 1)))
    with pytest.raises(ArgumentError, match="perturbation: expected finite"):
        times.derivative(slowness, np.full(FLAT.shape, np.nan))
    with pytest.raises(ArgumentError, match="path: expected 'straight'"):
        PointTimes(FLAT, here, here).rows()
