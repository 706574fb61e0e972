"""Interpolators against scipy, polynomials, finite differences and the measured order; smoothing."""

import numpy as np
import pytest
import scipy.interpolate
from hypothesis import given
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, Grid
from sonoray.media.interpolation import KINDS, Interpolator, smooth

FLAT = Grid((12, 9), (1e-3, 0.7e-3), (-4e-3, 1e-3))
DEEP = Grid((8, 7, 9), (1e-3, 0.7e-3, 0.8e-3), (-4e-3, 0.0, 1e-3))


def inside(grid, n, rng):
    """Points all over the grid, its corners and edges included."""
    low, high = np.array(grid.extent).T
    share = rng.random((n, grid.ndim))
    share[: 2 * grid.ndim] = np.round(share[: 2 * grid.ndim])
    at = low + share * (high - low)
    points = np.zeros((n, 3))
    points[:, [0, 2] if grid.ndim == 2 else [0, 1, 2]] = at
    return points


def cubic(grid):
    """A polynomial of third degree in each axis with its derivatives, in units of 1 mm."""

    def value(p):
        x, y, z = np.moveaxis(1e3 * p, -1, 0)
        return 1 + x - 0.3 * z * x**2 + 0.05 * x**3 * z**2 + 0.02 * z**3 + (grid.ndim == 3) * (0.1 * y**3 - y * x * z)

    return value


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_cubic_reproduces_cubics(grid, rng, device):
    """Not-a-knot ends: polynomials of third degree are exact up to the very corners."""
    truth = cubic(grid)
    field = Interpolator(grid, truth(grid.points()), device=device)
    p = inside(grid, 60, rng)
    assert np.abs(field(p) - truth(p)).max() < 1e-11
    axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    e = 1e-6  # central differences of a cubic err by e^2 / 6 of its third derivative: 3e-8 of the slope here
    slope = np.stack([(truth(p + e * np.eye(3)[k]) - truth(p - e * np.eye(3)[k])) / (2 * e) for k in axes], -1)
    assert np.abs(field.gradient(p)[:, axes] - slope).max() < 1e-7 * np.abs(slope).max()
    for k in axes:
        step = e * np.eye(3)[k]
        bend = (field.gradient(p + step) - field.gradient(p - step)) / (2 * e)
        low, high = np.array(grid.extent).T
        inner = ((p[:, axes] > low + 2 * e) & (p[:, axes] < high - 2 * e)).all(axis=1)
        assert np.abs(field.hessian(p)[inner, k] - bend[inner]).max() < 1e-6 * np.abs(bend).max()


def test_cubic_equals_scipy(rng):
    values = rng.standard_normal(FLAT.shape)
    peer = scipy.interpolate.RectBivariateSpline(*FLAT.axes, values, s=0)
    p = inside(FLAT, 200, rng)
    x, z = p[:, 0], p[:, 2]
    field = Interpolator(FLAT, values)
    # RectBivariateSpline's knots leave out the second and the last but one point: not a knot
    assert np.abs(field(p) - peer(x, z, grid=False)).max() < 1e-12
    assert np.abs(field.gradient(p)[:, 2] - peer(x, z, dy=1, grid=False)).max() < 1e-9
    assert np.abs(field.hessian(p)[:, 0, 2] - peer(x, z, dx=1, dy=1, grid=False)).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_linear_fields_are_exact(grid, kind, rng, device):
    points = grid.points()
    axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    slope = np.zeros(3)
    slope[axes] = [2.0, -3.0, 0.5][: len(axes)]
    field = Interpolator(grid, 1 + points @ slope, kind, device=device)
    p = inside(grid, 50, rng)
    assert np.abs(field(p) - (1 + p @ slope)).max() < 1e-14
    assert np.abs(field.gradient(p) - slope).max() < 1e-11


def test_smoothing_and_linear_weights(rng):
    """On the points: (1, 4, 1) / 6 along each axis, and the values themselves."""
    values = rng.standard_normal(FLAT.shape)
    at = FLAT.points()[1:-1, 1:-1].reshape(-1, 3)
    mean = (values[:-2] + 4 * values[1:-1] + values[2:]) / 6
    mean = (mean[:, :-2] + 4 * mean[:, 1:-1] + mean[:, 2:]) / 6
    assert np.abs(Interpolator(FLAT, values, "smoothing")(at) - mean.ravel()).max() < 1e-14
    linear = Interpolator(FLAT, values, "linear")
    assert np.abs(linear(at) - values[1:-1, 1:-1].ravel()).max() < 1e-14
    difference = (values[2:, 1:-1] - values[:-2, 1:-1]) / (2 * FLAT.spacing[0])
    assert np.abs(linear.gradient(at)[:, 0] - difference.ravel()).max() < 1e-10
    peer = scipy.interpolate.RegularGridInterpolator(FLAT.axes, values)
    p = inside(FLAT, 100, rng)
    assert np.abs(linear(p) - peer(np.clip(p[:, [0, 2]], *np.array(FLAT.extent).T))).max() < 1e-13


@pytest.mark.parametrize(("kind", "order"), [("cubic", 4), ("smoothing", 2), ("linear", 2)])
def test_order(kind, order, rng):
    """Error of the value on the whole grid, edges included, against the spacing."""
    errors = []
    p = rng.random((500, 3)) * [1e-2, 0, 1e-2]
    for n in (21, 41, 81):
        grid = Grid((n, n), 1e-2 / (n - 1), (0.0, 0.0))

        def truth(q):
            return np.sin(300 * q[..., 0] + 1) * np.cos(200 * q[..., 2])

        errors.append(np.abs(Interpolator(grid, truth(grid.points()), kind)(p) - truth(p)).max())
    seen = np.log2(errors[0] / errors[2]) / 2
    assert abs(seen - order) < 0.3, errors


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_outside_is_constant(grid, kind, rng):
    field = Interpolator(grid, rng.standard_normal(grid.shape), kind)
    low, high = np.array(grid.extent).T
    p = inside(grid, 80, rng)
    axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
    far = p.copy()
    far[:, axes] += rng.choice([-1, 0, 1], (80, grid.ndim)) * 10.0 ** rng.integers(-3, 9, (80, grid.ndim))
    near = far.copy()
    near[:, axes] = np.clip(far[:, axes], low, high)
    assert np.array_equal(field(far), field(near))
    moved = far[:, axes] != near[:, axes]
    assert (field.gradient(far)[:, axes][moved] == 0).all()
    assert np.isfinite(field.gradient(far)).all()


@given(shape=st.tuples(st.integers(2, 9), st.integers(2, 9)), kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_passes_through_its_samples(shape, kind, seed):
    """Tiny grids, too, where ends meet; a constant stays one for each kind."""
    grid = Grid(shape, 1e-3, (0.0, 0.0))
    values = np.random.default_rng(seed).standard_normal(shape)
    points = grid.points().reshape(-1, 3)
    if kind != "smoothing":
        assert np.abs(Interpolator(grid, values, kind)(points) - values.ravel()).max() < 1e-11
    flat = Interpolator(grid, np.full(shape, 1.7), kind)
    assert np.abs(flat(points) - 1.7).max() < 1e-13
    assert np.abs(flat.gradient(points)).max() < 1e-9


@pytest.mark.parametrize("window", ["box", "gaussian"])
def test_smooth(window, rng):
    assert np.abs(smooth(np.full((9, 7), 3.3), 3, window=window) - 3.3).max() < 1e-14
    values = rng.standard_normal((40, 30))
    result = smooth(values, (5, 3), window=window)
    assert result.std() < 0.6 * values.std()
    if window == "box":
        assert result[20, 15] == pytest.approx(values[18:23, 14:17].mean())
        assert np.allclose(smooth(values, 1), values)


def test_refuses():
    good = np.ones(FLAT.shape)
    with pytest.raises(ArgumentError, match="grid: .*Grid"):
        Interpolator(good, good)
    with pytest.raises(ArgumentError, match="values: .*shape"):
        Interpolator(FLAT, good.T)
    with pytest.raises(ArgumentError, match="values: .*finite"):
        Interpolator(FLAT, np.full(FLAT.shape, np.nan))
    with pytest.raises(ArgumentError, match="kind"):
        Interpolator(FLAT, good, "quintic")
    with pytest.raises(ArgumentError, match="two points"):
        Interpolator(Grid((1, 9), 1e-3, (0.0, 0.0)), np.ones((1, 9)))
    with pytest.raises(ArgumentError, match="points: .*finite"):
        Interpolator(FLAT, good)([[np.nan, 0, 0]])
    with pytest.raises(ArgumentError, match="linear"):
        Interpolator(FLAT, good, "linear").hessian([[0, 0, 2e-3]])
    with pytest.raises(ArgumentError, match="odd"):
        smooth(good, 4)
    with pytest.raises(ArgumentError, match="window"):
        smooth(good, 3, window="hann")
    with pytest.raises(sonoray.DeviceError, match="device"):
        Interpolator(FLAT, good, device="tpu")
