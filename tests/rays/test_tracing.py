"""Rays against closed forms: Maxwell's fish-eye, constant gradient, straight lines; surfaces; hostile media."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, DeviceError, EikonalSolver, Grid, Medium
from sonoray._backends import host_module
from sonoray.media import phantoms
from sonoray.media.phantoms_lens import fish_eye
from sonoray.rays.surfaces import ConvexPolygon, GridBox, HalfSpaces, Plane, Ring, Sphere
from sonoray.rays.tracing import SCHEMES, RayStatus, RayTracer

RADIUS = 0.02  # m, the fish-eye's
H = 2 * np.pi / 360  # spacing in units of it
SPEED = 300.0
STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)  # in spacings

# Percent deviation of the radius, one ray in 2-D; per step. Own measurement of the published schemes, from their
# equations, with another program.
RADIUS_2D = {
    ("mixed_step", "linear"): (0.161, 0.329, 0.671, 1.38, 2.88),
    ("mixed_step", "smoothing"): (0.167, 0.335, 0.677, 1.38, 2.88),
    ("dual_update", "linear"): (0.0061, 0.0040, 0.0096, 0.0412, 0.180),
    ("dual_update", "smoothing"): (0.0043, 0.0062, 0.0141, 0.0473, 0.187),
    ("characteristics", "linear"): (0.0563, 0.116, 0.239, 0.496, 1.06),
    ("characteristics", "smoothing"): (0.0567, 0.117, 0.239, 0.497, 1.06),
    ("heun", "linear"): (0.0062, 0.0045, 0.0097, 0.0456, 0.198),
    ("heun", "smoothing"): (0.0041, 0.0055, 0.0124, 0.0499, 0.202),
}
RADIUS_3D = {  # 21 closed rays
    ("mixed_step", "linear"): (0.117, 0.235, 0.476, 0.979, 2.07),
    ("mixed_step", "smoothing"): (0.120, 0.238, 0.479, 0.982, 2.07),
    ("dual_update", "linear"): (0.0106, 0.0107, 0.0130, 0.0280, 0.104),
    ("dual_update", "smoothing"): (0.0090, 0.0097, 0.0127, 0.0302, 0.106),
    ("characteristics", "linear"): (0.143, 0.289, 0.588, 1.21, 2.58),
    ("characteristics", "smoothing"): (0.145, 0.291, 0.590, 1.21, 2.58),
    ("heun", "linear"): (0.0105, 0.0103, 0.0111, 0.0270, 0.112),
    ("heun", "smoothing"): (0.0088, 0.0089, 0.0104, 0.0286, 0.114),
}


def lattice(low, high):
    """The part from low to high of the points -4 + k H, in units of the fish-eye's radius."""
    first = [int(np.floor((a + 4) / H)) for a in low]
    last = [int(np.ceil((b + 4) / H)) for b in high]
    shape = tuple(b - a + 1 for a, b in zip(first, last, strict=True))
    return Grid(shape, H * RADIUS, tuple((-4 + a * H) * RADIUS for a in first))


@pytest.fixture(scope="module")
def eye():
    return fish_eye(lattice((-2.8, -2.8), (2.8, 2.8)), SPEED, RADIUS)


@pytest.fixture(scope="module")
def eye_3d():
    return fish_eye(lattice((-0.85, -0.85, -1.85), (2.85, 2.85, 1.85)), SPEED, RADIUS)


def tracer(medium, **options):
    return RayTracer(medium, **{"reference_sound_speed": SPEED, **options})


def closed_circle(medium, scheme, kind, step, device="cpu"):
    """One closed ray: mean deviation [%] from its circle, which touches x = z at (0, 1)."""
    surface = Plane([0, 0, RADIUS], [1, 0, 1], directed=True)
    run = tracer(medium, scheme=scheme, interpolation=kind, step=step * H * RADIUS, surface=surface, device=device)
    rays = run([[0, 0, RADIUS]], [[1, 0, 1]], paths=True)
    assert rays.arrived.all()
    nodes = rays.paths[0][1:] / RADIUS
    return 100 * np.abs(np.hypot(nodes[:, 0] - 1, nodes[:, 1]) / np.sqrt(2) - 1).mean()


def to_antipode(medium, scheme, kind, step):
    """101 rays to the antipode: mean error [%] of the acoustic length, pi / 2."""
    a = np.linspace(-np.pi / 3, np.pi / 3, 101)
    leaving = np.c_[np.sin(a), 0 * a, -np.cos(a)]
    surface = Plane([0, 0, -RADIUS], leaving * [-1, 1, 1], directed=True)
    run = tracer(medium, scheme=scheme, interpolation=kind, step=step * H * RADIUS, surface=surface)
    rays = run(np.tile([0, 0, RADIUS], (101, 1)), leaving)
    assert rays.arrived.all()
    return 100 * np.abs(rays.acoustic_length / (RADIUS * np.pi / 2) - 1).mean()


def directions_3d(n=21):
    """Of closed rays through (0, 0, 1) that go around (1, 1, 0) at a distance of sqrt(3)."""
    axis, v = np.array([1, 1, -1]) / np.sqrt(3), np.array([-1, -1, -2]) / np.sqrt(6)
    t = 2 * np.pi * np.arange(n)[:, None] / n
    return np.cos(t) * v + np.sin(t) * np.cross(axis, v) + (1 - np.cos(t)) * (axis @ v) * axis


def closed_circles_3d(medium, scheme, kind, steps):
    """Per step: mean deviation [%] from the sphere about (1, 1, 0), and mean error [%] of the length, pi."""
    leaving = directions_3d()
    surface = Plane([0, 0, RADIUS], leaving, directed=True)
    run = tracer(medium, scheme=scheme, interpolation=kind, surface=surface)
    for step in steps:
        run.step = step * H * RADIUS  # one spline for all
        rays = run(np.tile([0, 0, RADIUS], (21, 1)), leaving, paths=True)
        assert rays.arrived.all()
        nodes = [rays.paths[i][1:] / RADIUS for i in range(21)]
        off = [np.abs(np.linalg.norm(p - [1, 1, 0], axis=1) / np.sqrt(3) - 1).mean() for p in nodes]
        yield 100 * np.mean(off), 100 * np.abs(rays.acoustic_length / (RADIUS * np.pi) - 1).mean()


@pytest.mark.parametrize(("scheme", "kind"), RADIUS_2D)
def test_published_schemes_2d(eye, scheme, kind):
    seen = [closed_circle(eye, scheme, kind, step) for step in STEPS]
    np.testing.assert_allclose(seen, RADIUS_2D[scheme, kind], rtol=0.03)  # the figures' last digits


@pytest.mark.parametrize(("scheme", "kind"), RADIUS_3D)
def test_published_schemes_3d(eye_3d, scheme, kind):
    seen = list(closed_circles_3d(eye_3d, scheme, kind, STEPS[1:3]))
    np.testing.assert_allclose([s[0] for s in seen], RADIUS_3D[scheme, kind][1:3], rtol=0.05)
    # all schemes agree within 8 %; ours start and end a little apart from there
    assert seen[1][1] == pytest.approx(0.0041 if kind == "linear" else 0.0075, rel=0.1)


@pytest.mark.parametrize("scheme", SCHEMES[:4])
@pytest.mark.parametrize(("kind", "at_1", "at_4"), [("linear", 0.0060, 0.030), ("smoothing", 0.0105, 0.034)])
def test_published_lengths_2d(eye, scheme, kind, at_1, at_4):
    assert to_antipode(eye, scheme, kind, 1.0) == pytest.approx(at_1, rel=0.08)
    assert to_antipode(eye, scheme, kind, 4.0) == pytest.approx(at_4, rel=0.12)


@pytest.mark.parametrize("step", STEPS)
def test_rk4_beats_the_published_schemes(eye, step):
    """At the same step by 30 at least, in the ray and in its length; it stands where the spline ends: 4e-7 %."""
    best = min(figures[STEPS.index(step)] for figures in RADIUS_2D.values())
    seen = closed_circle(eye, "rk4", "cubic", step)
    assert seen < best / 30
    assert seen < (1e-6 if step <= 1 else 1e-4)
    if step in (1.0, 4.0):
        assert to_antipode(eye, "rk4", "cubic", step) < (0.0060 if step == 1 else 0.030) / 30


def test_rk4_beats_the_published_schemes_3d(eye_3d):
    ((radius, length),) = closed_circles_3d(eye_3d, "rk4", "cubic", [1.0])
    assert radius < min(f[2] for f in RADIUS_3D.values()) / 30
    assert length < 0.0041 / 30


def test_fish_eye_on_the_device(eye, device):
    assert closed_circle(eye, "rk4", "cubic", 1.0, device) < 1e-6


ORDERS = [("mixed_step", 1), ("characteristics", 1), ("dual_update", 2), ("heun", 2), ("rk4", 4)]


@pytest.mark.parametrize(("scheme", "order"), ORDERS)
def test_order(eye, scheme, order):
    """Of the end point on a ring that the ray meets off its nodes, against a ray of very small steps."""
    a = np.linspace(-1.0, 1.0, 9)
    leaving = np.c_[np.sin(a), 0 * a, -np.cos(a)]
    start = np.tile([0.013, 0, 0.011], (9, 1))

    def ends(step, scheme):
        rays = tracer(eye, scheme=scheme, step=step * RADIUS, surface=Ring([0, 0, 0], 0.9 * RADIUS))(start, leaving)
        assert rays.arrived.all()
        return rays

    exact = ends(0.002, "rk4")
    steps = (0.16, 0.08, 0.04) if order > 1 else (0.02, 0.01, 0.005)
    runs = [ends(step, scheme) for step in steps]
    off = [np.linalg.norm(r.positions - exact.positions, axis=1).mean() for r in runs]
    late = [np.abs(r.time - exact.time).mean() for r in runs]
    assert np.log2(off[0] / off[2]) / 2 == pytest.approx(order, abs=0.35)
    assert np.log2(late[0] / late[2]) / 2 > min(order, 2) - 0.35


def circle_in_gradient(start, leaving, c0, gradient, plane):
    """End on z = plane of the arc from start, and the time along it."""
    c = c0 + gradient * start[:, 2]
    angle = np.arctan2(leaving[:, 0], leaving[:, 2])  # from +z
    p = np.sin(angle) / c
    end_angle = np.arcsin(p * (c0 + gradient * plane))
    x = start[:, 0] + (np.cos(angle) - np.cos(end_angle)) / (p * gradient)
    time = np.log(np.tan(end_angle / 2) / np.tan(angle / 2)) / gradient
    return x, time, end_angle


@pytest.mark.parametrize(("scheme", "tolerance"), [("rk4", 1e-10), ("heun", 1e-7)])
def test_circles_in_a_constant_gradient(scheme, tolerance, device):
    grid = Grid.from_extent(x=(-0.03, 0.05), z=(0.0, 0.05), spacing=2.5e-4)
    c0, gradient, plane = 1400.0, 8000.0, 0.0443
    medium = phantoms.constant_gradient(grid, c0, gradient)
    a = np.linspace(0.05, 0.7, 40)
    start = np.c_[np.linspace(-0.02, 0.0, 40), np.zeros(40), np.linspace(0, 0.01, 40)]
    leaving = np.c_[np.sin(a), 0 * a, np.cos(a)]
    run = RayTracer(medium, scheme=scheme, surface=Plane([0, 0, plane], [0, 0, 1]), device=device)
    rays = run(start, leaving)
    x, time, angle = circle_in_gradient(start, leaving, c0, gradient, plane)
    assert rays.arrived.all()
    assert np.abs(rays.positions[:, 0] - x).max() < tolerance
    assert np.abs(rays.positions[:, 2] - plane).max() < 1e-15
    assert np.abs(rays.time - time).max() < tolerance / 1400
    assert np.abs(np.arctan2(rays.directions[:, 0], rays.directions[:, 2]) - angle).max() < 100 * tolerance


def test_diving_rays_come_back_to_the_plane_they_start_on():
    grid = Grid.from_extent(x=(0.0, 0.05), z=(0.0, 0.02), spacing=2e-4)
    c0, gradient = 1400.0, 3e4
    run = RayTracer(phantoms.constant_gradient(grid, c0, gradient), surface=Plane([0, 0, 0], [0, 0, 1]))
    a = np.linspace(0.05, 0.45, 10)  # below the horizontal
    rays = run(np.tile([1e-3, 0, 0], (10, 1)), np.c_[np.cos(a), 0 * a, np.sin(a)])
    assert rays.arrived.all()
    chord = 2 * c0 / gradient * np.tan(a)
    assert np.abs(rays.positions[:, 0] - 1e-3 - chord).max() < 1e-9


@pytest.mark.parametrize("ndim", [2, 3])
def test_straight_through_water(ndim, rng):
    """Exact lengths to a ring, whatever the step; also with starts on it and nearly along it."""
    sides = {"x": (-0.06, 0.06), "z": (-0.06, 0.06)} | ({"y": (-0.06, 0.06)} if ndim == 3 else {})
    grid = Grid.from_extent(**sides, spacing=2e-3)
    ring = Sphere([0, 0, 0], 0.05)
    start = rng.standard_normal((300, 3)) * ([1, 0, 1] if ndim == 2 else 1)
    start *= 0.05 / np.linalg.norm(start, axis=1, keepdims=True)
    along = rng.standard_normal((300, 3)) * ([1, 0, 1] if ndim == 2 else 1)
    inward = -start / 0.05
    along -= (along * inward).sum(axis=1, keepdims=True) * inward
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    a = 10 ** rng.uniform(-3, 0, (300, 1))
    leaving = np.cos(a) * along + np.sin(a) * inward
    for scheme in SCHEMES:
        rays = RayTracer(Medium(grid, 1500.0), scheme=scheme, step=1.3e-3, surface=ring)(start, leaving)
        assert rays.arrived.all()
        exact = 0.1 * np.sin(a[:, 0])
        assert np.abs(rays.acoustic_length - exact).max() < 1e-12
        assert np.abs(np.linalg.norm(rays.positions, axis=1) - 0.05).max() < 1e-13
        assert np.abs(rays.positions - start - exact[:, None] * leaving).max() < 1e-12


def test_surfaces_agree():
    """A square as polygon, half-spaces and the grid's own box; the corner is no leak."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=5e-4)
    medium = phantoms.disc(grid, (2e-3, 0, 18e-3), 8e-3, inside=1600.0, outside=1480.0, edge=4e-3)
    a = np.r_[np.linspace(0, 2 * np.pi, 97), np.pi / 4]
    start, leaving = np.tile([1e-3, 0, 0.019], (98, 1)), np.c_[np.cos(a), 0 * a, np.sin(a)]
    corners = np.array([[-0.02, 0, 0], [0.02, 0, 0], [0.02, 0, 0.04], [-0.02, 0, 0.04]])
    faces = HalfSpaces(corners[[0, 2, 0, 2]], [[-1, 0, 0], [2, 0, 0], [0, 0, -3], [0, 0, 1]])
    surfaces = (GridBox(), ConvexPolygon(corners), ConvexPolygon(corners[::-1]), faces)
    runs = [RayTracer(medium, surface=s)(start, leaving) for s in surfaces]
    for rays in runs:
        assert rays.arrived.all()
        assert np.abs(rays.positions - runs[0].positions).max() < 1e-12
        edge = np.abs(np.array([0.02, 0.02]) - np.abs(rays.positions[:, [0, 2]] - [0, 0.02])).min(axis=1)
        assert edge.max() < 1e-14


def test_statuses_and_counts():
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=5e-4)
    medium = Medium(grid, 1500.0)
    ring = Ring([0, 0, 0.02], 0.015)
    start = [[0, 0, 0.02], [0, 0, 0.001], [0, 0, 0.005]]
    rays = RayTracer(medium, surface=ring)(start, [[0, 0, 1], [0, 0, 1], [0, 0, -1]])
    # the last one starts on the ring and leaves it at once
    assert rays.status.tolist() == [RayStatus.ARRIVED, RayStatus.BAD_START, RayStatus.ARRIVED]
    assert rays.acoustic_length[2] == pytest.approx(0.0, abs=1e-12)
    assert rays.counts() == {"arrived": 2, "left_grid": 0, "too_long": 0, "bad_start": 1}
    plane = Plane([0, 0, 0.03], [0, 0, 1])
    rays = RayTracer(medium, surface=plane)([[0, 0, 0.02]] * 2, [[0, 0, 1], [0, 0, -1]])
    assert rays.status.tolist() == [RayStatus.ARRIVED, RayStatus.LEFT_GRID]
    assert rays.positions[1] == pytest.approx([0, 0, 0])
    rays = RayTracer(medium, max_steps=7)([[0, 0, 0.02]], [[0, 0, 1]])
    assert rays.status.tolist() == [RayStatus.TOO_LONG]
    assert rays.acoustic_length[0] == pytest.approx(7 * 5e-4)
    assert repr(rays) == "Rays(1: too_long 1)"


def test_times_are_the_first_arrivals():
    """In a weak lens there is one arrival; the eikonal solver's own error is 0.1 ns here."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=1e-4)
    medium = phantoms.disc(grid, (2e-3, 0, 18e-3), 8e-3, inside=1520.0, outside=1500.0, edge=6e-3)
    a = np.linspace(-0.4, 0.4, 21)
    rays = RayTracer(medium)(np.tile([0, 0, 1e-3], (21, 1)), np.c_[np.sin(a), 0 * a, np.cos(a)])
    times = EikonalSolver(medium)([[0, 0, 1e-3]])[0]
    column = np.rint((rays.positions[:, 0] - grid.x[0]) / 1e-4).astype(int)
    slope = np.gradient(times[:, -1], 1e-4)[column]
    expected = times[column, -1] + slope * (rays.positions[:, 0] - grid.x[column])
    assert np.abs(rays.time - expected).max() < 0.5e-9


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    ndim=st.sampled_from([2, 3]),
    scheme=st.sampled_from(SCHEMES),
    kind=st.sampled_from(["linear", "smoothing", "cubic"]),
    factor=st.floats(0.1, 5.0),
    smoothing=st.sampled_from([1, 3]),
)
def test_any_medium_ends_every_ray(seed, ndim, scheme, kind, factor, smoothing):
    """White noise from 300 to 12000 m/s: no NaN, every ray ends, inside the grid, with a sane status."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 12, ndim))
    grid = Grid(shape, 1e-3, (-3e-3,) * ndim)
    medium = Medium(grid, rng.choice([300.0, 1500.0, 12000.0], shape))
    low, high = np.zeros(3), np.zeros(3)
    low[[0, 2] if ndim == 2 else [0, 1, 2]], high[[0, 2] if ndim == 2 else [0, 1, 2]] = np.array(grid.extent).T
    start = low + rng.choice([0, 1, 0.37, rng.random()], (40, 3)) * (high - low)
    leaving = rng.standard_normal((40, 3)) * ([1, 0, 1] if ndim == 2 else 1)
    leaving[:3] = np.eye(3)[[0, 2, 2]]
    surface = [None, Sphere((low + high) / 2, 4e-3), Plane((low + high) / 2, [1, 0, 0.2])][seed % 3]
    more = {"amplitudes": scheme in ("rk4", "heun") and kind != "linear"}
    run = RayTracer(
        medium,
        scheme=scheme,
        interpolation=kind,
        step=min(factor * 1e-3, np.linalg.norm(high - low)),
        surface=surface,
        max_steps=300,
        smoothing=smoothing,
    )
    rays = run(start, leaving, paths=True, **more)
    for name in ("positions", "directions", "time", "acoustic_length"):
        assert np.isfinite(getattr(rays, name)).all(), name
    assert np.isin(rays.status, list(RayStatus)).all()
    assert (rays.steps <= 301).all()
    margin = 1e-9
    assert ((rays.positions >= low - margin) & (rays.positions <= high + margin)).all()
    assert np.abs(np.linalg.norm(rays.directions, axis=1) - 1).max() < 1e-9
    assert (rays.acoustic_length >= 0).all()
    assert np.isfinite(rays.paths.points).all()


def test_paths():
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=5e-4)
    medium = phantoms.disc(grid, (2e-3, 0, 18e-3), 8e-3, inside=1700.0, outside=1480.0, edge=4e-3)
    a = np.linspace(-1, 1, 50)
    start, leaving = np.tile([0, 0, 1e-3], (50, 1)), np.c_[np.sin(a), 0 * a, np.cos(a)]
    rays = RayTracer(medium)(start, leaving, paths=True)
    assert (np.diff(rays.paths.offsets) == rays.steps + 1).all()
    thin = RayTracer(medium)(start, leaving, paths=True, every=7).paths
    for i in range(50):
        nodes = rays.paths[i]
        assert np.array_equal(nodes[0], start[i, [0, 2]])
        assert np.array_equal(nodes[-1], rays.positions[i, [0, 2]])
        gaps = np.linalg.norm(np.diff(nodes, axis=0), axis=1)
        assert np.abs(gaps[:-1] - 5e-4).max() < 1e-6
        assert gaps[-1] < 5.001e-4
        kept = np.r_[np.arange(0, len(nodes) - 1, 7), len(nodes) - 1]
        assert np.array_equal(thin[i], nodes[kept])


def test_processor_levels_agree(eye):
    """And lanes do not see each other: one ray alone is the same ray."""
    module = host_module()
    top = module.cpu_level()
    a = np.linspace(-1, 1, 37)
    start, leaving = np.tile([0, 0, RADIUS], (37, 1)), np.c_[np.sin(a), 0 * a, -np.cos(a)]
    run = tracer(eye, surface=Ring([0, 0, 0], 1.5 * RADIUS))
    try:
        results = []
        for level in range(top + 1):
            module.set_cpu_level(level)
            results.append(run(start, leaving, amplitudes=True))
    finally:
        module.set_cpu_level(top)
    for rays in results[:-1]:
        assert np.abs(rays.positions - results[-1].positions).max() < 1e-13
        assert np.abs(rays.spreading - results[-1].spreading).max() < 1e-12
    for i in (0, 8, 36):
        alone = run(start[i : i + 1], leaving[i : i + 1])
        assert np.array_equal(alone.positions[0], run(start, leaving).positions[i])


def test_smoothed_rays_integrate_the_medium_as_it_is():
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    medium = phantoms.layers(grid, [8.1e-3], [1450.0, 1600.0])
    rays = RayTracer(medium, smoothing=9, interpolation="linear")([[0, 0, 0]], [[0, 0, 1]])
    assert rays.time[0] == pytest.approx(8.1e-3 / 1450 + 11.9e-3 / 1600, rel=3e-4)
    assert rays.positions[0] == pytest.approx([0, 0, 0.02])


def test_empty_and_one():
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    run = RayTracer(Medium(grid, 1500.0))
    rays = run(np.empty((0, 3)), np.empty((0, 3)), paths=True, amplitudes=True)
    assert len(rays) == 0 and rays.paths.n_rays == 0 and rays.spreading.shape == (0,)


@pytest.mark.parametrize(
    ("positions", "directions", "text"),
    [
        ([[0.5, 0, 0]], [[0, 0, 1]], "positions: .*inside the grid"),
        ([[0, 0, 5.0]], [[0, 0, 1]], "positions: .*inside the grid"),
        ([[np.nan, 0, 0]], [[0, 0, 1]], "positions: .*finite"),
        ([[0, 0, 0]], [[0, 0, 0]], "directions: .*non-zero"),
        ([[0, 0, 0]], [[0, 1, 1]], "directions: .*leaves the plane"),
        ([[0, 0, 0]], [[0, np.inf, 1]], "directions: .*finite"),
        ([[0, 0, 0]], [[0, 0, 1]] * 2, "directions: .*shape"),
        ([[0, 0]], [[0, 1]], "positions: .*shape"),
    ],
)
def test_refuses_bad_rays(positions, directions, text):
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    with pytest.raises(ArgumentError, match=text):
        RayTracer(Medium(grid, 1500.0))(positions, directions)


def test_refuses_the_rest():
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.0, 0.02), spacing=2e-4)
    medium, cube = Medium(grid, 1500.0), Medium(Grid((4, 4, 4), 1e-3, (0, 0, 0)), 1500.0)
    for options, text in [
        ({"scheme": "euler"}, "scheme"),
        ({"interpolation": "quintic"}, "interpolation"),
        ({"step": 0.5}, "step"),
        ({"step": np.nan}, "step"),
        ({"surface": 3}, "surface"),
        ({"max_steps": 0}, "max_steps"),
        ({"reference_sound_speed": 1.5}, "reference_sound_speed"),
        ({"smoothing": 4}, "width"),
    ]:
        with pytest.raises(ArgumentError, match=text):
            RayTracer(medium, **options)
    with pytest.raises(ArgumentError, match="medium"):
        RayTracer(grid)
    with pytest.raises(DeviceError, match="device"):
        RayTracer(medium, device="tpu")
    start = ([[0, 0, 1e-3]], [[0, 0, 1]])
    for options in ({"scheme": "mixed_step"}, {"interpolation": "linear"}):
        with pytest.raises(ArgumentError, match="amplitudes"):
            RayTracer(medium, **options)(*start, amplitudes=True)
    with pytest.raises(ArgumentError, match="surface: .*3-D"):
        RayTracer(cube, surface=Ring([0, 0, 0], 0.01))([[1e-3, 1e-3, 1e-3]], [[0, 0, 1]])
    with pytest.raises(ArgumentError, match="surface: .*one per ray"):
        RayTracer(medium, surface=Plane([0, 0, 0.01], [[0, 0, 1], [0, 0, 1]]))(*start)
    with pytest.raises(ArgumentError, match="normal"):
        Plane([0, 0, 0], [0, 0, 0])
    with pytest.raises(ArgumentError, match="radius"):
        Ring([0, 0, 0], -1.0)
    for corners in ([[0, 0, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]], [[0, 0, 0], [1, 0, 0]], [[0, 0, 0]] * 3):
        with pytest.raises(ArgumentError, match="vertices|normals"):
            ConvexPolygon(corners)
