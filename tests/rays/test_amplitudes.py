"""Paraxial rays and what is made of them: spreading, caustics, reciprocity, absorption, dispersion."""

import numpy as np
import pytest
import scipy.special

from sonoray import ArgumentError, Grid, Medium
from sonoray.media import phantoms
from sonoray.media.phantoms_lens import fish_eye, fish_eye_spreading
from sonoray.rays.amplitudes import attenuation, dispersion_delay, greens_function, reversed_spreading
from sonoray.rays.surfaces import Plane, Ring, Sphere
from sonoray.rays.tracing import RayTracer

A = 0.02  # m, the fish-eye's radius
START = np.array([0, 0, A])


def eye(ndim, half=3.0, points=241):
    sides = (-half * A, half * A)
    more = {"y": sides} if ndim == 3 else {}
    grid = Grid.from_extent(x=sides, z=sides, **more, spacing=2 * half * A / (points - 1))
    return fish_eye(grid, 300.0, A)


def fan(n=41, widest=1.0):
    a = np.linspace(-widest, widest, n)
    return np.tile(START, (n, 1)), np.c_[np.sin(a), 0 * a, -np.cos(a)]


def cone(n, seed=3):
    t = np.random.default_rng(seed).standard_normal((n, 3)) * [0.4, 0.4, 0.1] - [0, 0, 1]
    return np.tile(START, (n, 1)), t / np.linalg.norm(t, axis=1, keepdims=True)


@pytest.mark.parametrize(("scheme", "tolerance"), [("rk4", 2e-3), ("heun", 4e-3)])
@pytest.mark.parametrize("radius", [0.3, 0.9, 1.6, 2.2])
def test_fish_eye_2d(scheme, tolerance, radius, device):
    """J = sin(2 L) / (2 n), negative past the antipode; second derivatives of a spline are of second order."""
    run = RayTracer(eye(2), scheme=scheme, surface=Ring(START, radius * A), reference_sound_speed=300.0, device=device)
    rays = run(*fan(), amplitudes=True)
    assert rays.arrived.all()
    exact = fish_eye_spreading(rays.acoustic_length, rays.index, A)
    assert np.abs(rays.spreading - np.abs(exact)).max() < tolerance * np.abs(exact).max()
    assert np.array_equal(rays.paraxial[:, 0, 0, 0, 0] < 0, exact < 0)
    assert np.array_equal(rays.caustics, (exact < 0).astype(int))


def test_antipode_is_one_caustic():
    """A line beyond it: all rays have passed the focus once; a line before it: none."""
    for height, expected in ((-1.03, 1), (-0.97, 0)):
        run = RayTracer(eye(2), surface=Plane([0, 0, height * A], [0, 0, -1]), reference_sound_speed=300.0)
        rays = run(*fan(21, 0.8), amplitudes=True)
        assert rays.arrived.all()
        assert (rays.caustics == expected).all()
    _, leaving = fan(21, 0.8)
    at = RayTracer(eye(2), surface=Plane(-START, leaving * [-1, 1, 1]), reference_sound_speed=300.0)
    assert at(*fan(21, 0.8), amplitudes=True).spreading.max() < 1e-3 * A


def test_antipode_is_a_point_focus_in_3d():
    """Both principal widths vanish there: the index rises by two, the determinant keeps its sign."""
    medium = eye(3, 1.9, 61)
    start, leaving = cone(40)
    for height, expected in ((-1.1, 2), (-0.9, 0)):
        run = RayTracer(medium, surface=Plane([0, 0, height * A], [0, 0, -1]), reference_sound_speed=300.0)
        rays = run(start, leaving, amplitudes=True)
        assert rays.arrived.all()
        assert (rays.caustics == expected).all()
        width = fish_eye_spreading(rays.acoustic_length, rays.index, A)
        assert np.abs(rays.spreading - width**2).max() < 3e-3 * A**2
        assert (np.linalg.det(rays.paraxial[:, 0, 0]) > 0).all()


def test_neighbours_move_as_the_paraxial_ray_says():
    """Q against differences of rays, in a medium without symmetry, 2-D and 3-D."""
    grid = Grid((61, 57, 59), 5e-4, (-0.015, -0.014, 0.0))
    p = grid.points()
    bumps = 60 * np.exp(-(((p - [2e-3, 1e-3, 0.012]) / 5e-3) ** 2).sum(axis=-1)) + 2e3 * p[..., 0] + 1e3 * p[..., 2]
    flat = Grid((61, 59), 5e-4, (-0.015, 0.0))
    for medium in (Medium(grid, 1500 + bumps), Medium(flat, 1500 + bumps[:, 28])):
        start = np.tile([1e-3, 0, 1e-3], (6, 1))
        a = np.linspace(-0.3, 0.3, 6)
        leaving = np.c_[np.sin(a), 0.1 * (medium.grid.ndim == 3) * np.cos(a), np.cos(a)]
        leaving /= np.linalg.norm(leaving, axis=1, keepdims=True)
        ends = RayTracer(medium, surface=Plane([0, 0, 0.025], [0, 0, 1]))(start, leaving, amplitudes=True)
        across = RayTracer(medium, surface=Plane(ends.positions, ends.directions))
        for solution, e in ((0, 1e-3), (1, 1e-5)):  # other directions, other starts
            for j in range(medium.grid.ndim - 1):
                step = e * ends.start_frames[:, j]
                pair = [(start, leaving + s * step) if solution == 0 else (start + s * step, leaving) for s in (1, -1)]
                plus, minus = (across(*t).positions for t in pair)
                moved = (plus - minus) / (2 * e)
                seen = np.einsum("nij,nj->ni", ends.frames, moved)
                # e^2 and the second order of the spline's Hessian
                assert np.abs(seen - ends.paraxial[:, solution, 0, :, j]).max() < 2e-4 * max(1e-2, np.abs(seen).max())


@pytest.mark.parametrize("ndim", [2, 3])
def test_reciprocity_and_the_symplectic_identity(ndim):
    """Back from the end: same time, |J_back| n_start^(d - 1) = |J| n_end^(d - 1), and Q1^T P2 - P1^T Q2 = -n I."""
    medium = eye(2) if ndim == 2 else eye(3, 2.2, 89)
    start, leaving = fan(31, 0.7) if ndim == 2 else cone(30)
    surface = Ring(START, 1.7 * A) if ndim == 2 else Sphere(START, 1.3 * A)
    there = RayTracer(medium, surface=surface, reference_sound_speed=300.0)(start, leaving, amplitudes=True)
    assert there.arrived.all()
    q1, p1, q2, p2 = (there.paraxial[:, i, j] for i in (0, 1) for j in (0, 1))
    transposed = np.swapaxes
    pairing = transposed(p1, 1, 2) @ q2 - transposed(q1, 1, 2) @ p2
    assert np.abs(pairing - there.start_index[:, None, None] * np.eye(ndim - 1)).max() < 1e-6
    assert np.abs(transposed(q1, 1, 2) @ p1 - transposed(p1, 1, 2) @ q1).max() < 1e-6 * A
    back = RayTracer(medium, surface=Plane(START, -leaving, directed=True), reference_sound_speed=300.0)
    home = back(there.positions, -there.directions, amplitudes=True)
    assert home.arrived.all()
    assert np.linalg.norm(home.positions - START, axis=1).max() < 1e-5 * A
    assert np.abs(home.time - there.time).max() < 1e-7 * there.time.max()
    assert np.abs(home.spreading - reversed_spreading(there)).max() < 1e-4 * home.spreading.max()
    assert np.array_equal(home.caustics, there.caustics)
    # Green's functions are reciprocal: the amplitudes are equal both ways
    if ndim == 2:
        g, h = (np.abs(greens_function(r, 1e5, smallest_spreading=1e-4)) * np.sqrt(r.index) for r in (there, home))
        ratio = g / h * np.sqrt(np.maximum(there.spreading, 1e-4) / np.maximum(home.spreading, 1e-4))
        assert np.abs(ratio - 1).max() < 1e-6


def test_constant_gradient_spreading():
    """From the derivative, with the angle, of where the arc meets the plane."""
    grid = Grid.from_extent(x=(-0.01, 0.05), z=(0.0, 0.05), spacing=2.5e-4)
    c0, g, depth = 1400.0, 6000.0, 0.0443
    a = np.linspace(0.1, 0.6, 20)
    run = RayTracer(phantoms.constant_gradient(grid, c0, g), surface=Plane([0, 0, depth], [0, 0, 1]))
    rays = run(np.zeros((20, 3)), np.c_[np.sin(a), 0 * a, np.cos(a)], amplitudes=True)
    ratio = 1 + g * depth / c0
    end = np.arcsin(np.sin(a) * ratio)
    # x = (c0 / g) (cos a - cos end) / sin a; its derivative times the cosine of the end is the width of the tube
    slope = (np.cos(end) * np.cos(a) - 1) / np.sin(a) ** 2 + ratio**2 * np.cos(a) / np.cos(end)
    assert np.abs(rays.spreading - np.abs(c0 / g * slope * np.cos(end))).max() < 2e-6


def test_homogeneous_greens_functions():
    """Water: exact in 3-D; in 2-D the large-argument form of the Hankel function, 1 / (8 k r) off."""
    f, c = 1e6, 1480.0
    k = 2 * np.pi * f / c
    for ndim in (2, 3):
        more = {"y": (-0.02, 0.02)} if ndim == 3 else {}
        grid = Grid.from_extent(x=(-0.03, 0.03), z=(-0.03, 0.03), **more, spacing=2e-3)
        run = RayTracer(Medium(grid, c), surface=Sphere([0, 0, 0], 0.019), step=1e-3)
        rays = run([[0, 0, 0], [1e-3, 0, 2e-3]], [[1, 0, 1], [-1, 0, 0.3]], amplitudes=True)
        r = rays.acoustic_length
        exact = 0.25j * scipy.special.hankel1(0, k * r) if ndim == 2 else np.exp(1j * k * r) / (4 * np.pi * r)
        assert np.abs(greens_function(rays, f) / exact - 1).max() < (1 / (7 * k * r.min()) if ndim == 2 else 1e-9)
        assert (rays.caustics == 0).all()


def test_absorption_along_straight_rays(rng):
    """A map of absorption over homogeneous sound speed against quadrature along the line."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=5e-4)
    absorption = 8.0 + 5 * np.sin(grid.x[:, None] / 5e-3) * np.cos(grid.z / 4e-3)
    medium = Medium(grid, 1500.0, absorption=absorption)
    a = np.linspace(-0.3, 0.3, 9)
    leaving = np.c_[np.sin(a), 0 * a, np.cos(a)]
    for scheme, tolerance in (("rk4", 2e-6), ("heun", 1e-3), ("mixed_step", 1e-3)):
        rays = RayTracer(medium, scheme=scheme)(np.tile([1e-3, 0, 1e-3], (9, 1)), leaving)
        s = np.linspace(0, 1, 4001)[:, None] * rays.acoustic_length
        x, z = 1e-3 + s * leaving[:, 0], 1e-3 + s * leaving[:, 2]
        exact = np.trapezoid(8.0 + 5 * np.sin(x / 5e-3) * np.cos(z / 4e-3), s, axis=0)
        assert np.abs(rays.absorption - exact).max() < tolerance


def test_power_law_and_dispersion():
    """Against the complex wave number; near y = 1 the power law tends to the logarithm."""
    gathered, f, y = np.array([0.0, 0.3, 2.0]), 0.8e6, 1.4
    omega = 2 * np.pi * f
    alpha0 = gathered / (2e6 * np.pi) ** y
    k = alpha0 * (np.tan(np.pi * y / 2) + 1j) * omega**y  # times the length
    assert attenuation(gathered, f, y) == pytest.approx(k.imag)
    assert dispersion_delay(gathered, f, y) == pytest.approx(k.real / omega)
    law = dispersion_delay(gathered, f, 1.0, reference_frequency=1e6)
    near = dispersion_delay(gathered, f, 1.0 + 1e-6, reference_frequency=1e6)
    assert near == pytest.approx(law, rel=1e-4)
    assert law[2] > 0  # waves below the reference frequency are slower
    assert np.abs(dispersion_delay(gathered, 1e6, 1.3, reference_frequency=1e6)).max() < 1e-20


def test_absorbing_greens_function():
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=1e-3)
    plain, lossy = Medium(grid, 1500.0), Medium(grid, 1500.0, absorption=5.0)
    rays = [RayTracer(m)([[0, 0, 0]], [[0, 0, 1]], amplitudes=True) for m in (plain, lossy)]
    g = [greens_function(rays[0], 2e6), greens_function(rays[1], 2e6, exponent=1.0, reference_frequency=1e6)]
    assert abs(g[1] / g[0])[0] == pytest.approx(np.exp(-5.0 * 0.04 * 2))
    with pytest.raises(ArgumentError, match="exponent"):
        greens_function(rays[1], 2e6)


def test_refuses():
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=1e-3)
    rays = RayTracer(Medium(grid, 1500.0))([[0, 0, 0]], [[0, 0, 1]])
    for function in (reversed_spreading, lambda r: greens_function(r, 1e6)):
        with pytest.raises(ArgumentError, match="amplitudes=True"):
            function(rays)
    with pytest.raises(ArgumentError, match="frequency"):
        attenuation([1.0], 2.0, 1.0)
    with pytest.raises(ArgumentError, match="reference_frequency"):
        dispersion_delay([1.0], 1e6, 1.0)
    with pytest.raises(ArgumentError, match="exponent"):
        dispersion_delay([1.0], 1e6, 3.0)
