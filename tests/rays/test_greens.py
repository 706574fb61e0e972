"""Green's functions of point sources by fans of rays: closed forms, reciprocity, linked rays, convergence, refusals."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, Grid, Medium, RayLinker
from sonoray.media import phantoms
from sonoray.media.interpolation import smooth
from sonoray.media.phantoms_lens import fish_eye
from sonoray.media.phantoms_ring import breast_slice
from sonoray.rays.amplitudes import attenuation
from sonoray.rays.greens import GreensFields, GreensFunction

from .ring_cases import gaussian_lens, ring, ring_grid


def disc(radius, spacing):
    grid = Grid.from_extent(x=(-radius, radius), z=(-radius, radius), spacing=spacing)
    p = grid.points().reshape(-1, 3)
    return p[np.hypot(p[:, 0], p[:, 2]) <= radius]


def turned(a, b):
    """Angle from the vectors b to the vectors a, from x to z."""
    angle = np.arctan2(a[..., 2], a[..., 0]) - np.arctan2(b[..., 2], b[..., 0])
    return (angle + np.pi) % (2 * np.pi) - np.pi


@pytest.fixture(scope="module")
def breast():
    grid = ring_grid()
    return Medium(grid, smooth(breast_slice(grid).sound_speed, 3.0, window="gaussian"))


def test_water_is_straight(device, rng):
    """Times exact to rounding, the Hankel function's large-argument form; also sources among the points."""
    water, array = Medium(ring_grid(2e-3), 1480.0), ring(64)
    array[:5] *= 0.6  # some look all around
    points = np.concatenate([disc(0.1, 5e-3), array, rng.uniform(-0.1, 0.1, (50, 3)) * [1, 0, 1]])
    f = GreensFunction(water, device=device)(array, points)
    r = np.linalg.norm(points[:, None] - array, axis=-1)
    apart = r > 1e-9
    assert np.array_equal(f.reached, apart)  # the field is infinite in the source itself
    assert f.caustics is None
    assert f.absorption is None
    assert np.abs(f.excess).max() < 1e-12
    assert np.abs(f.time - r / 1480.0)[apart].max() < 1e-12
    assert np.abs(f.focusing - 1)[apart].max() < 1e-5
    assert max(np.abs(f.take_off).max(), np.abs(f.arrival).max()) < 1e-5
    assert np.abs(f.spreading - r)[apart].max() < 1e-6
    k = 2 * np.pi * 1e6 / 1480.0
    far = k * r > 140
    exact = 0.25j * scipy.special.hankel1(0, k * r[far])  # its next order is 1 / (8 k r)
    assert np.abs(f.pressure(1e6)[far] / exact - 1).max() < 1e-3


def test_constant_gradient(device):
    """T = arcosh(1 + (g r)^2 / (2 c1 c2)) / g; tubes widen as on a surface of constant negative curvature."""
    grid = Grid.from_extent(x=(-0.04, 0.04), z=(0.0, 0.06), spacing=5e-4)
    medium, g = phantoms.constant_gradient(grid, 1400.0, 4000.0), 4000.0
    sources = np.array([[0.0, 0, 0], [-0.03, 0, 0], [0.01, 0, 0.03]])
    points = Grid.from_extent(x=(-0.035, 0.035), z=(0.002, 0.055), spacing=1.7e-3).points().reshape(-1, 3)
    f = GreensFunction(medium, device=device)(sources, points)
    r = np.linalg.norm(points[:, None] - sources, axis=-1)
    c1, c2 = 1400.0 + g * sources[:, 2], 1400.0 + g * points[:, 2, None]
    time = np.arccosh(1 + (g * r) ** 2 / (2 * c1 * c2)) / g
    assert f.reached.all()
    assert np.abs(f.time - time).max() < 3e-11
    assert f.spreading == pytest.approx(c2 * np.sinh(g * time) / g, rel=2e-3)
    assert f.focusing == pytest.approx(r * g / (1400.0 * np.sinh(g * time)), rel=2e-3)
    assert np.abs(f.sound_speed - c2[:, 0]).max() < 1e-3
    assert f.caustics is None


def sphere_angle(a, b, radius):
    """Angle between points of Maxwell's sphere, of which the fish-eye is the stereographic projection."""
    u, v = (np.asarray(p)[..., [0, 2]] / radius for p in (a, b))
    lift = [
        np.concatenate([2 * p, (p**2).sum(-1, keepdims=True) - 1], -1) / (1 + (p**2).sum(-1))[..., None] for p in (u, v)
    ]
    return np.arccos(np.clip((lift[0] * lift[1]).sum(-1), -1, 1))


def test_fish_eye(device):
    """Time and spreading on the sphere, before the antipode's caustic and behind it."""
    a, c0 = 0.02, 300.0
    grid = Grid.from_extent(x=(-0.06, 0.06), z=(-0.06, 0.06), spacing=4e-4)
    source = np.array([[0.0, 0, 0.8 * a]])  # antipode at -1.25 a
    before = Grid.from_extent(x=(-0.016, 0.016), z=(-0.016, 0.012), spacing=1.1e-3).points().reshape(-1, 3)
    behind = Grid.from_extent(x=(-2e-3, 2e-3), z=(-0.036, -0.031), spacing=5e-4).points().reshape(-1, 3)
    # Rays are followed as far as sources and points go, and some of these go out of their way.
    corners = [[x, 0, z] for x in (-0.055, 0.055) for z in (-0.055, 0.055)]
    run = GreensFunction(fish_eye(grid, c0, a), device=device)
    for points, passed in ((before, 0), (behind, 1)):
        f = run(source, np.concatenate([points, corners]))[: len(points)]
        angle = sphere_angle(points, source, a)[:, None]
        angle = 2 * np.pi - angle if passed else angle
        assert f.reached.all()
        assert np.abs(f.time - 0.5 * a / c0 * angle).max() < 2e-9  # of 100 us: the spline's error
        speed = c0 * (1 + (points[:, [0, 2]] ** 2).sum(axis=1, keepdims=True) / a**2)
        exact = 0.5 * a / c0 * speed * np.abs(np.sin(angle))
        assert np.abs(f.spreading - exact).max() < 0.02 * exact.max()
        assert (f.caustics == passed).all()


def test_focusing_is_bounded(device):
    """Around the antipode: a caustic's infinite amplitude is cut at sqrt(10)."""
    a = 0.02
    grid = Grid.from_extent(x=(-0.06, 0.06), z=(-0.06, 0.06), spacing=4e-4)
    points = Grid.from_extent(x=(-2e-3, 2e-3), z=(-0.028, -0.022), spacing=2.5e-4).points().reshape(-1, 3)
    f = GreensFunction(fish_eye(grid, 300.0, a), device=device)([[0.0, 0, 0.8 * a]], points)
    assert f.focusing.max() == 10
    assert np.isfinite(f.excess).all()
    at_antipode = np.linalg.norm(points - [0, 0, -1.25 * a], axis=1).argmin()
    assert abs(f.time[at_antipode, 0] - 0.5 * np.pi * a / 300.0) < 2e-7  # a third of a step


def test_agrees_with_linked_rays(breast, device):
    """A refracting breast slice, which parts neighbouring rays up to eightfold: linked rays are exact."""
    array = ring(256)[::16]
    points = np.concatenate([disc(0.1, 1e-3)[::61], ring(256)[5::12]])
    f = GreensFunction(breast, device=device)(array, points)
    linked = RayLinker(breast)(array, points)
    found = linked.linked.T
    assert f.reached.all()
    assert found.mean() > 0.999
    wrong = np.abs(f.time - linked.time.T)[found]
    assert wrong.max() < 3e-9  # a few, where neighbours part most
    assert np.quantile(wrong, 0.999) < 5e-10
    assert np.quantile(wrong, 0.99) < 1e-10
    ratio = (f.spreading / linked.spreading.T)[found]
    assert np.quantile(np.abs(ratio - 1), 0.99) < 0.05
    straight = np.swapaxes(points[:, None] - array, 0, 1)
    for ours, theirs in ((f.take_off, linked.take_off), (f.arrival, linked.arrival)):
        assert np.quantile(np.abs(ours.T - turned(theirs, straight))[linked.linked], 0.99) < 3e-4
        assert np.abs(turned(theirs, straight)[linked.linked]).max() > 0.1  # rays do bend
    directions = np.zeros((*f.excess.shape, 3))
    directions[..., [0, 2]] = f.arrival_directions()
    assert np.quantile(np.linalg.norm(directions - np.swapaxes(linked.arrival, 0, 1), axis=-1)[found], 0.99) < 3e-4


def test_reciprocity(breast, device):
    """Sources and points exchanged: the same time and focusing, take-off and arrival changed over."""
    array = ring(48)
    f = GreensFunction(breast, device=device)(array, array)
    apart = ~np.eye(48, dtype=bool)
    assert np.array_equal(f.reached, apart)
    there, back = f.time[apart], f.time.T[apart]
    assert np.abs(there - back).max() < 1e-9
    assert np.sqrt(np.mean((there - back) ** 2)) < 5e-11
    ratio = (f.focusing / np.where(apart, f.focusing.T, 1))[apart]
    assert np.quantile(np.abs(ratio - 1), 0.95) < 0.03
    assert np.quantile(np.abs(f.take_off - f.arrival.T)[apart], 0.99) < 1e-3


def test_angles_add_up_to_a_circle(device):
    """Over a closed ring the sources' angle measures cover all directions, through a lens, too."""
    array = ring(256)
    pitch = 2 * np.pi * 0.11 / 256
    lens = gaussian_lens(ring_grid(), 0.03, 0.02)
    f = GreensFunction(lens, device=device)(array, disc(0.08, 8e-3))
    total = f.angle_measure(pitch, array / 0.11).sum(axis=1)
    assert np.abs(total - 2 * np.pi).max() < 5e-3 * 2 * np.pi


def test_converges_with_the_number_of_rays():
    """Times of fourth order in the distance of rays (third at most could hide behind noise), in a smooth lens."""
    lens, points = gaussian_lens(ring_grid(), 0.02, 0.015), disc(0.09, 4.1e-3)
    source = [[-0.11, 0, 0]]
    fine = GreensFunction(lens, rays=6000, step=5e-4)(source, points)
    errors = []
    for rays in (110, 220, 440):
        f = GreensFunction(lens, rays=rays)(source, points)
        errors.append(np.sqrt(np.mean((f.excess - fine.excess.astype(float)) ** 2)))
    assert errors[0] > 6 * errors[1]
    assert errors[1] > 4 * errors[2]  # steps along the ray begin to show
    assert errors[2] < 1e-11


def test_absorption(device):
    """Along straight rays against quadrature; and what the pressure makes of it."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=5e-4)
    absorption = 8.0 + 5 * np.sin(grid.x[:, None] / 5e-3) * np.cos(grid.z / 4e-3)
    medium = Medium(grid, 1500.0, absorption=absorption)
    source = np.array([[1e-3, 0, 1e-3]])
    points = Grid.from_extent(x=(-0.018, 0.018), z=(1e-3, 0.038), spacing=1.3e-3).points().reshape(-1, 3)
    f = GreensFunction(medium, exponent=1.4, device=device)(source, points)
    way = source + np.linspace(0, 1, 801)[:, None, None] * (points - source)
    values = 8.0 + 5 * np.sin(way[..., 0] / 5e-3) * np.cos(way[..., 2] / 4e-3)
    exact = np.trapezoid(values, axis=0) / 800 * np.linalg.norm(points - source, axis=1)
    assert np.abs(f.absorption[:, 0] - exact).max() < 2e-3 * exact.max()
    water = GreensFunction(Medium(grid, 1500.0), device=device)(source, points)
    quieter = np.abs(f.pressure(8e5)) / np.abs(water.pressure(8e5)).clip(1e-30)
    far = exact > 0.01
    assert quieter[far, 0] == pytest.approx(np.exp(-attenuation(f.absorption[:, 0], 8e5, 1.4))[far], rel=1e-5)
    with pytest.raises(ArgumentError, match="exponent"):
        GreensFunction(medium, device=device)(source, points).pressure(8e5)


def test_sources_do_not_depend_on_each_other(breast):
    """One by one or in blocks: the same bits; parts of them."""
    array, points = ring(37), disc(0.1, 6e-3)
    run = GreensFunction(breast)
    together = run(array, points)
    for s in (0, 15, 16, 36):
        alone = run(array[s : s + 1], points)
        for name in ("excess", "focusing", "take_off", "arrival"):
            assert np.array_equal(getattr(alone, name)[:, 0], getattr(together, name)[:, s])
    part = together[points[:, 0] > 0]
    assert len(part) == (points[:, 0] > 0).sum()
    assert np.array_equal(part.time, together.time[points[:, 0] > 0])
    assert len(together[3]) == 1
    assert len(together[10:20:2]) == 5
    assert not part.excess.flags.writeable
    assert run.report["rays"] > 0


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(1, 40), st.floats(1e-4, 0.1))
def test_any_points_are_reached(seed, n, size):
    """Single points, lines, clusters, points outside the grid: nothing is missed, all are straight in water."""
    rng = np.random.default_rng(seed)
    water = Medium(Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=2e-3), 1500.0)
    points = rng.uniform(-size, size, (n, 3)) * rng.choice([0, 1], 3)
    sources = rng.uniform(-0.05, 0.05, (3, 3)) * [1, 0, 1]
    f = GreensFunction(water)(sources, points)
    assert f.reached.all()
    assert np.abs(f.excess).max() < 1e-12
    assert np.abs(f.focusing - 1).max() < 1e-5


def test_grid_as_points():
    medium = Medium(Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=1e-3), 1500.0)
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(-0.01, 0.01), spacing=2e-3)
    f = GreensFunction(medium)([[-0.02, 0.003, 0.0]], grid)
    assert isinstance(f, GreensFields)
    assert f.excess.shape == (121, 1)
    assert np.array_equal(f.points, grid.points().reshape(-1, 3))
    assert f.sources[0].tolist() == [-0.02, 0.0, 0.0]  # the plane y = 0


def test_refuses():
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(0.0, 0.04), spacing=1e-3)
    solid = Grid.from_extent(x=(-0.02, 0.02), y=(-0.02, 0.02), z=(0.0, 0.04), spacing=2e-3)
    run, point = GreensFunction(Medium(grid, 1500.0)), [[0.0, 0, 0.02]]
    with pytest.raises(ArgumentError, match="medium: expected a Medium"):
        GreensFunction(grid)
    with pytest.raises(ArgumentError, match="medium: expected a 2-D grid"):
        GreensFunction(Medium(solid, 1500.0))
    with pytest.raises(ArgumentError, match="points: expected a 2-D grid"):
        run(point, solid)
    with pytest.raises(ArgumentError, match="sources: expected points inside the grid"):
        run([[0.0, 0, -0.01]], point)
    with pytest.raises(ArgumentError, match="sources: expected finite"):
        run([[0.0, 0, np.nan]], point)
    with pytest.raises(ArgumentError, match="points: expected finite"):
        run(point, [[np.inf, 0, 0]])
    with pytest.raises(ArgumentError, match="points: expected at least one"):
        run(point, np.empty((0, 3)))
    with pytest.raises(ArgumentError, match="points: expected shape"):
        run(point, [[0.0, 0.0]])
    with pytest.raises(ArgumentError, match="metres|in m"):
        run(point, [[20.0, 0, 10.0]])
    with pytest.raises(ArgumentError, match="step"):
        GreensFunction(Medium(grid, 1500.0), step=0.05)
    with pytest.raises(ArgumentError, match="rays"):
        GreensFunction(Medium(grid, 1500.0), rays=3)
    with pytest.raises(ArgumentError, match="pitch"):
        run(point, point).angle_measure(-1.0, [[0, 0, 1]])


@pytest.mark.gpu
def test_device_gives_what_the_host_gives(breast, device):
    """The same formulas in another order: rounding, and another branch of equally early ones."""
    if device == "cpu":
        pytest.skip("compares a device with the host")
    lossy = Medium(breast.grid, breast.sound_speed, absorption=5.0)
    array, points = ring(40), np.concatenate([disc(0.1, 3e-3), ring(40)])
    host, there = (GreensFunction(lossy, device=d)(array, points) for d in ("cpu", device))
    assert np.array_equal(host.reached, there.reached)
    assert np.abs(host.excess - there.excess).max() < 5e-11
    for name in ("focusing", "take_off", "arrival", "absorption"):
        ours, theirs = getattr(host, name), getattr(there, name)
        assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-4 * np.abs(ours).max()


def test_absorption_beside_an_edge_is_not_negative():
    """Splines through a step swing; a ray cannot gain energy."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=1e-3)
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    medium = Medium(grid, 1500.0, absorption=np.where(np.hypot(x, z) < 0.008, 10.0, 0.0))
    fields = GreensFunction(medium)(np.array([[-0.018, 0.0, 0.0]]), grid)
    assert fields.absorption.min() == 0
    assert fields.absorption.max() == pytest.approx(0.16, rel=0.1)
