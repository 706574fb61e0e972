"""Eikonal solver: analytic media, float64 twin, convergence order, reciprocity, levels, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, DeviceError, EikonalSolver, Grid, Medium
from sonoray._backends import host_module
from sonoray.media import phantoms
from tests.reference import eikonal as reference

NS = 1e-9


def solve(medium, sources, device="cpu", **options):
    return sonoray.to_host(EikonalSolver(medium, device=device, **options)(sources))


def gradient_errors(shape, spacing, sources, surface, bottom, device="cpu"):
    """Worst rms and largest error [ns] over the sources, at nodes more than five cells away from them."""
    grid = Grid(shape, spacing, (0.0,) * len(shape))
    slope = (bottom - surface) / grid.z[-1]
    times = solve(phantoms.constant_gradient(grid, surface, slope), sources, device)
    points = grid.points()
    exact = phantoms.constant_gradient_times(points, sources, surface, slope)
    rms, largest = [], []
    for t, e, source in zip(times, exact, np.asarray(sources)):
        offset = points - source
        if grid.ndim == 2:
            offset[..., 1] = 0
        far = np.linalg.norm(offset, axis=-1) > 5 * max(grid.spacing)
        error = (t.astype(float) - e)[far] / NS
        rms.append(np.sqrt((error**2).mean()))
        largest.append(np.abs(error).max())
    return max(rms), max(largest)


SOURCES = [[25.6e-3, 0, 0], [25.63e-3, 0, 0.027e-3], [10.3e-3, 0, 0], [0, 0, 0], [30.014e-3, 0, 20.02e-3]]


def test_specified_accuracy_2d(device):
    """The requirement is 0.1 and 1 ns; sources on and off nodes, in corners and inside. Seen: 0.003 and 0.035, what
    the tolerance of the sweeps (4e-6 of T < 40 us: 0.16 ns at most) leaves."""
    rms, largest = gradient_errors((512, 512), 1e-4, SOURCES, 1450, 1650, device)
    assert rms <= 0.02
    assert largest <= 0.16


def test_specified_accuracy_3d(device):
    sources = [[6.4e-3, 6.4e-3, 0], [6.43e-3, 5.02e-3, 0.03e-3], [3.03e-3, 9.1e-3, 4.46e-3]]
    rms, largest = gradient_errors((128, 128, 128), 1e-4, sources, 1450, 1650, device)
    assert rms <= 0.005  # 0.0005 and 0.004 seen; 4e-6 of T is 0.05 ns
    assert largest <= 0.05


def test_grazing_rays_on_the_surface_3d(device):
    """Sources on surface nodes that are corners of the solver's tiles: rays to other surface nodes dive a little and
    come back from below, and the surface's nodes have no neighbour above. Seen: 0.0005 and 0.007; 4e-6 of T is 0.03 ns.
    Without the wave from below the surface is 0.2 ns late."""
    x = 6.4e-3 + 0.2e-3 * np.arange(8)
    sources = np.c_[x, np.full(8, 6.4e-3), np.zeros(8)]
    rms, largest = gradient_errors((128, 128, 128), 1e-4, sources, 1450, 1650, device)
    assert rms <= 0.005
    assert largest <= 0.03


@pytest.mark.parametrize("depth", [0.0, 1.5e-3, 1.55e-3, 1.6e-3])
def test_grazing_rays_along_tile_edges_2d(depth):
    """As above with the source's row first, last or between the tiles' rows, in a stronger gradient: a surface node
    that misses the wave from below is 0.9 ns late here; discretisation costs 0.1 ns."""
    rms, largest = gradient_errors((257, 257), 1e-4, [[12.8e-3, 0, depth]], 1000, 3000)
    assert rms <= 0.06
    assert largest <= 0.2


def test_strong_gradient_and_diving_rays(device):
    """1000 to 3000 m/s: rays to far nodes near the surface dive and come back up."""
    rms, largest = gradient_errors((512, 512), 1e-4, SOURCES, 1000, 3000, device)
    assert rms <= 0.06  # 0.038 and 0.15 seen, the discretisation's
    assert largest <= 0.3


@pytest.mark.parametrize("ndim", [2, 3])
def test_order_is_two(ndim):
    """In the strong gradient, where the error stays above float rounding."""
    counts = [64, 128, 256] if ndim == 2 else [24, 48, 96]
    width = 25.6e-3
    source = [[0.5 * width, 0.5 * width, 0.0]] if ndim == 3 else [[0.5 * width, 0, 0.0]]
    rms = [gradient_errors((n + 1,) * ndim, width / n, source, 1000, 3000)[0] for n in counts]
    order = np.log2(rms[0] / rms[-1]) / 2
    assert order >= 1.9


def test_anisotropic_spacing():
    rms, largest = gradient_errors((300, 200), (1e-4, 1.7e-4), [[10e-3, 0, 0], [15.03e-3, 0, 11e-3]], 1450, 1650)
    assert rms <= 0.02
    assert largest <= 0.2


def test_homogeneous_medium_is_exact(device):
    """The factored unknown vanishes, so only float rounding is left."""
    grid = Grid((150, 131), 1e-4, (-5e-3, 1e-3))
    source = np.array([[1.234e-3, 0.0, 5.678e-3]])
    times = solve(Medium(grid, 1540.0), source, device)
    exact = np.hypot(grid.x[:, None] - 1.234e-3, grid.z - 5.678e-3) / 1540
    # 0.0035 seen: float32 resolves T = 8.2 us to 0.0009 ns, a handful of roundings in s0, r and the product
    assert np.abs(times[0] - exact).max() < 0.01 * NS


def test_twin():
    """Same equation, other algorithm, float64, on a grid of half the spacing (its own error: 0.03 rms, 0.22 ns, as
    seen in a constant gradient on that grid)."""
    coarse, fine = Grid((90, 80), 2e-4, (0.0, 0.0)), Grid((179, 159), 1e-4, (0.0, 0.0))
    x, z = np.meshgrid(fine.x, fine.z, indexing="ij")
    c = 1540 + 40 * np.sin(x / 3e-3) * np.cos(z / 4e-3 + 1)
    times = solve(Medium(coarse, np.ascontiguousarray(c[::2, ::2])), [[8.07e-3, 0, 0.13e-3]])[0]
    twin = reference.fast_marching(1 / c, fine.spacing, (8.07e-3, 0.13e-3))[::2, ::2]
    difference = np.abs(times - twin) / NS
    assert np.sqrt((difference**2).mean()) < 0.1
    assert difference.max() < 0.5


def test_two_layers():
    """Snell's law; the interface lies between nodes, where sampled slowness puts it. Direct rays, no head wave."""
    grid = Grid((400, 300), 1e-4, (-20e-3, 0.0))
    interface = 100.5e-4
    medium = phantoms.layers(grid, [interface], [1450.0, 1600.0])
    times = solve(medium, [[0.0, 0.0, 0.0]])[0]
    for ix, iz in [(200, 290), (260, 250), (150, 280), (120, 200), (310, 299), (205, 110), (200, 60)]:
        exact = reference.two_layer_time(grid.x[ix], grid.z[iz], interface, 1450.0, 1600.0)
        assert abs(times[ix, iz] - exact) < 0.7 * NS


@pytest.mark.parametrize("inside", [1400.0, 1700.0])
def test_lens(inside):
    """Slow and fast lens with a soft edge against the float64 twin, creases included: on the same grid both solve the
    same differences (0.03 rms, 0.2 ns seen, the twin's start); half the spacing shows what those cost here."""
    coarse, fine = Grid((101, 101), 2e-4, (0.0, 0.0)), Grid((201, 201), 1e-4, (0.0, 0.0))
    lens = [phantoms.disc(g, (10e-3, 0, 9e-3), 4e-3, inside=inside, outside=1540.0, edge=2e-3) for g in (coarse, fine)]
    times = [solve(medium, [[8.03e-3, 0, 0.0]])[0] for medium in lens]
    twin = reference.fast_marching(1 / lens[1].sound_speed, fine.spacing, (8.03e-3, 0.0))
    same = np.abs(times[1] - twin) / NS
    assert np.sqrt((same**2).mean()) < 0.1
    assert same.max() < 0.5
    halved = np.abs(times[0] - twin[::2, ::2]) / NS
    assert np.sqrt((halved**2).mean()) < 0.5  # 0.42 seen, the edge being ten cells
    assert halved.max() < 4.0  # 2.4 seen, at the crease behind the lens, where two wavefronts meet


def test_reciprocity():
    """From A to B as from B to A, in a medium without symmetry."""
    grid = Grid((256, 256), 1e-4, (0.0, 0.0))
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    medium = Medium(grid, 1500 + 80 * np.exp(-((x - 9e-3) ** 2 + (z - 14e-3) ** 2) / 2e-5) + 1e3 * z)
    nodes = [(30, 3), (128, 0), (200, 180), (70, 220), (250, 100)]
    points = [[grid.x[i], 0.0, grid.z[k]] for i, k in nodes]
    times = solve(medium, points)
    matrix = np.array([[t[n] for n in nodes] for t in times])
    assert np.abs(matrix - matrix.T).max() < 0.5 * NS


@settings(max_examples=15, deadline=None)
@given(
    position=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    speed=st.floats(1000, 6000),
)
def test_any_place_any_shape(position, shape, speed):
    """Odd, prime and degenerate shapes; any source inside: straight rays in a homogeneous medium."""
    grid = Grid(shape, (1e-4, 1.3e-4), (0.0, 0.0))
    sx, sz = position[0] * grid.x[-1], position[1] * grid.z[-1]
    times = solve(Medium(grid, speed), [[sx, 0.0, sz]])[0]
    exact = np.hypot(grid.x[:, None] - sx, grid.z - sz) / speed
    # float32 positions: 70 cells of 0.13 mm are known to 5e-10 m, 0.5 ps at 1000 m/s; twice that.
    np.testing.assert_allclose(times, exact, rtol=1e-5, atol=1e-12)


def test_many_sources_equal_one_at_a_time():
    """Lanes, groups and threads do not see each other; only the order of sweeps differs."""
    grid = Grid((200, 150), 1e-4, (0.0, 0.0))
    medium = phantoms.disc(grid, (10e-3, 0, 7e-3), 3e-3, inside=1450.0, outside=1540.0, edge=2e-3)
    sources = np.c_[np.linspace(0, 19.9e-3, 37), np.zeros(37), np.zeros(37)]
    together = solve(medium, sources)
    for k in (0, 9, 36):
        alone = solve(medium, sources[k : k + 1])[0]
        difference = np.abs(together[k] - alone)
        assert np.sqrt((difference**2).mean()) < 0.05 * NS
    assert np.array_equal(together, solve(medium, sources))


def test_processor_levels_agree():
    module = host_module()
    top = module.cpu_level()
    grid = Grid((128, 100), 1e-4, (0.0, 0.0))
    medium = phantoms.constant_gradient(grid, 1450.0, 2e4)
    sources = np.c_[np.linspace(1e-3, 11e-3, 9), np.zeros(9), np.zeros(9)]
    try:
        results = []
        for level in range(top + 1):
            module.set_cpu_level(level)
            results.append(solve(medium, sources))
    finally:
        module.set_cpu_level(top)
    for other in results[1:]:
        # lanes of another group sweep in other rounds and stop elsewhere within the tolerance, 4e-6 of T < 10 us
        difference = np.abs(other - results[0]) / NS
        assert np.sqrt((difference**2).mean()) < 0.005
        assert difference.max() < 0.04


def test_mean_slowness(device):
    grid = Grid((100, 100), 1e-4, (0.0, 0.0))
    medium = phantoms.constant_gradient(grid, 1450.0, 5e3)
    source = [[5e-3, 0.0, 2e-3]]
    times = solve(medium, source, device)
    mean = sonoray.to_host(EikonalSolver(medium, device=device).mean_slowness(source))
    r = np.hypot(grid.x[:, None] - 5e-3, grid.z - 2e-3)
    np.testing.assert_allclose(mean[0] * r, times[0], rtol=1e-6, atol=1e-12)
    assert mean[0, 50, 20] == pytest.approx(1 / 1460.0, rel=1e-6)


def test_plane_wave_in_homogeneous_medium(device):
    grid = Grid((150, 120), 1e-4, (-7e-3, 0.0))
    angles = np.deg2rad([-20.0, 0.0, 13.0])
    directions = np.c_[np.sin(angles), np.zeros(3), np.cos(angles)]
    if device == "cuda" and "cuda:0" not in sonoray.devices():
        pytest.skip("no CUDA device")
    times = sonoray.to_host(EikonalSolver(Medium(grid, 1540.0), device=device).plane_wave(directions))
    exact = np.einsum("ijk,nk->nij", grid.points(), directions) / 1540
    assert np.abs(times - exact).max() < 0.01 * NS


def test_plane_wave_through_layers():
    """Normal incidence: the sum of the layers' times; oblique: Snell's law keeps the lateral slowness."""
    grid = Grid((200, 150), 1e-4, (0.0, 0.0))
    medium = phantoms.layers(grid, [50.5e-4], [1450.0, 1600.0])
    directions = [[0, 0, 1], [np.sin(0.2), 0, np.cos(0.2)]]
    times = EikonalSolver(medium).plane_wave(directions, sound_speed=1450.0)
    lateral = np.sin(0.2) / 1450
    below = grid.z[149] - 50.5e-4
    assert abs(times[0, 100, 149] - (50.5e-4 / 1450 + below / 1600)) < 0.3 * NS
    oblique = lateral * grid.x[150] + 50.5e-4 * np.cos(0.2) / 1450 + below * np.sqrt(1 / 1600**2 - lateral**2)
    assert abs(times[1, 150, 149] - oblique) < 1.0 * NS


def test_front_of_a_steered_aperture():
    """Inside the beam a linear delay law makes a plane wave; a quadratic-like one focuses on its point."""
    grid = Grid((201, 201), 1e-4, (-10e-3, 0.0))
    solver = EikonalSolver(Medium(grid, 1540.0))
    x = np.linspace(-8e-3, 8e-3, 81)
    positions = np.c_[x, np.zeros(81), np.zeros(81)]
    focus = np.hypot(x, 15e-3) / 1540
    delays = np.stack([x * np.sin(0.2) / 1540, focus.max() - focus])
    times = solver.front(positions, delays)
    px, pz = grid.x[:, None], grid.z
    beam = np.abs(px - pz * np.tan(0.2)) < 7e-3
    plane = (px * np.sin(0.2) + pz * np.cos(0.2)) / 1540
    assert np.abs(times[0] - plane)[beam].max() < 1.0 * NS
    cone = (np.abs(px) < (15e-3 - pz) * 0.45) & (pz < 12e-3)
    converging = focus.max() - np.hypot(px, pz - 15e-3) / 1540
    assert np.sqrt(((times[1] - converging)[cone] ** 2).mean()) < 0.5 * NS


def test_silent_elements_do_not_emit():
    grid = Grid((101, 60), 1e-4, (-5e-3, 0.0))
    x = np.linspace(-4e-3, 4e-3, 41)
    times = np.full((1, 41), np.nan)
    times[0, 20] = 1e-6
    front = EikonalSolver(Medium(grid, 1540.0)).front(np.c_[x, 0 * x, 0 * x], times)[0]
    r = np.hypot(grid.x[:, None] - x[20], grid.z)
    assert abs(front[50, 0] - 1e-6) < 0.1 * NS
    assert np.abs(front - (1e-6 + r / 1540)).max() < 20 * NS  # a point source, which fronts do not factor


def test_out_is_filled_and_checked():
    grid = Grid((20, 30), 1e-4, (0.0, 0.0))
    solver = EikonalSolver(Medium(grid, 1540.0))
    out = np.empty((1, 20, 30), np.float32)
    assert solver([[1e-3, 0, 1e-3]], out=out) is out
    assert np.array_equal(out, solver([[1e-3, 0, 1e-3]]))
    for bad in (np.empty((2, 20, 30), np.float32), np.empty((1, 20, 30)), out[:, :, ::2]):
        with pytest.raises(ArgumentError, match="out"):
            solver([[1e-3, 0, 1e-3]], out=bad)


def test_no_sources():
    grid = Grid((20, 30), 1e-4, (0.0, 0.0))
    assert EikonalSolver(Medium(grid, 1540.0))(np.empty((0, 3))).shape == (0, 20, 30)


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ([[3e-3, 0, 1e-3]], "inside the grid"),
        ([[1.0, 0, 1.0]], "inside the grid"),
        ([[np.nan, 0, 1e-3]], "finite"),
        ([[1e-3, 1e-3]], "shape"),
        ("left", "array"),
    ],
)
def test_refuses_bad_sources(sources, text):
    solver = EikonalSolver(Medium(Grid((20, 30), 1e-4, (0.0, 0.0)), 1540.0))
    with pytest.raises(ArgumentError, match=f"sources: .*{text}"):
        solver(sources)


def test_refuses_the_rest():
    grid = Grid((20, 30), 1e-4, (0.0, 0.0))
    solver = EikonalSolver(Medium(grid, 1540.0))
    with pytest.raises(ArgumentError, match="medium"):
        EikonalSolver(grid)
    with pytest.raises(DeviceError, match="device"):
        EikonalSolver(Medium(grid, 1540.0), device="tpu")
    with pytest.raises(ArgumentError, match="directions"):
        solver.plane_wave([[0, 0, 0]])
    with pytest.raises(ArgumentError, match="directions"):
        solver.plane_wave([[0, 1, 1]])
    with pytest.raises(ArgumentError, match="times"):
        solver.front([[0, 0, 0], [1e-3, 0, 0]], [[np.nan, np.nan]])
    with pytest.raises(ArgumentError, match="times"):
        solver.front([[0, 0, 0], [1e-3, 0, 0]], [[3.0, 4.0]])
    with pytest.raises(ArgumentError, match="positions"):
        solver.front([[0, 0, 0], [1e-3, 0, -1e-3]], [[0.0, 0.0]])


@pytest.mark.peer
def test_peer_eikonalfm():
    peer = pytest.importorskip("eikonalfm", reason="eikonalfm is not installed")
    grid = Grid((201, 201), 1e-4, (0.0, 0.0))
    medium = phantoms.disc(grid, (10e-3, 0, 9e-3), 4e-3, inside=1450.0, outside=1540.0, edge=3e-3)
    times = solve(medium, [[8e-3, 0, 0.0]])[0]
    tau = peer.factored_fast_marching(np.ascontiguousarray(medium.sound_speed), (80, 0), grid.spacing, 2)
    other = tau * peer.distance(grid.shape, grid.spacing, (80, 0), indexing="ij")
    assert np.sqrt(((times - other) ** 2).mean()) < 0.3 * NS
