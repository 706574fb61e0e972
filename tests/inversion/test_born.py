"""The ray-Born operator against its float64 twin, closed forms, and the gains that theory predicts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.special import hankel1, j0

from sonoray import ArgumentError, Grid, Medium, Probe, _cpu
from sonoray.errors import Error
from sonoray.inversion.born import WEIGHTINGS, BornOperator
from sonoray.rays.amplitudes import dispersion_delay
from sonoray.rays.greens import GreensFunction
from tests.reference import born as reference

WATER = 1500.0
RADIUS = 0.11


@dataclass(frozen=True)
class Fields:
    """Fields of rays made up by a test; the same attributes as those of `GreensFunction`."""

    excess: Any
    focusing: Any
    take_off: Any
    arrival: Any
    sources: Any
    points: Any
    sound_speed: Any = None
    reference_sound_speed: float = WATER
    absorption: Any = None
    caustics: Any = None
    exponent: float | None = None


def water(sources, points):
    zero = np.zeros((len(points), len(sources)), np.float32)
    return Fields(zero, zero + 1, zero, zero, sources, points, np.full(len(points), WATER, np.float32))


def smooth(sources, points, *, absorbing=False, caustics=False):
    """Smooth fields of about the size that tissue gives."""
    p, s = points[:, None], sources[None]
    x, z = (p[..., k] + 0.3 * s[..., k] for k in (0, 2))
    wave = np.sin(60 * x) * np.cos(45 * z)
    shape = wave.shape
    fields = Fields(
        (2e-6 * wave).astype(np.float32),
        (1 + 0.4 * np.cos(50 * z - 30 * x)).astype(np.float32),
        (0.1 * wave).astype(np.float32),
        (0.2 * np.sin(40 * z)).astype(np.float32),
        sources,
        points,
        (WATER + 40 * np.sin(80 * points[:, 0])).astype(np.float32),
        absorption=(0.5 + 0.3 * np.sin(50 * x)).astype(np.float32) if absorbing else None,
        exponent=1.3 if absorbing else None,
    )
    if caustics:
        fields = replace(fields, caustics=(np.arange(np.prod(shape)).reshape(shape) % 3).astype(np.uint8))
    return fields


def disc(radius, spacing):
    grid = Grid.from_extent(x=(-radius, radius), z=(-radius, radius), spacing=spacing)
    points = grid.points().reshape(-1, 3)
    return points[np.hypot(points[:, 0], points[:, 2]) <= radius]


def emitters_and_receivers(n_e=13, n_r=21):
    """Numbers of elements that no vector's length divides."""
    ring = Probe.ring(2 * n_r, RADIUS)
    return ring.positions[1::2][:n_e], ring.positions[::2]


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("n", [1, 5, 8, 16, 19])
def test_waves_of_any_number_of_elements(device, n):
    """One point that scatters: the data are the product of two Green's functions, with phases within 1e-3 rad."""
    sources = Probe.ring(max(n, 3), RADIUS).positions[:n]
    points = np.array([[0.02, 0, -0.03], [0.09, 0, 0.04]])
    fields = smooth(sources, points, absorbing=True, caustics=True)
    delay = dispersion_delay(np.ones(1), 1e6, 1.3)[0]
    operator = BornOperator(fields, fields, 1e6, cell_area=1e-6, device=device)
    expected = reference.matrix(fields, fields, 1e6, 1e-6, exponent=1.3, delay=delay)
    for p in range(2):
        data = operator(np.eye(2)[p])
        assert np.abs(np.angle(data / expected[..., p])).max() < 1e-3
        assert np.abs(np.abs(data / expected[..., p]) - 1).max() < 1e-5


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("absorbing", [True, False])
def test_prediction_and_transpose_match_the_twin(device, same, absorbing):
    emitters, receivers = emitters_and_receivers()
    points = disc(0.04, 3e-3)
    fields_r = smooth(receivers, points, absorbing=absorbing)
    fields_e = fields_r if same else smooth(emitters, points, absorbing=absorbing)
    f = 0.7e6
    delay = dispersion_delay(np.ones(1), f, 1.3)[0]
    expected = reference.matrix(fields_e, fields_r, f, 4e-6, exponent=1.3, delay=delay)
    operator = BornOperator(fields_e, fields_r, f, cell_area=4e-6, device=device)
    random = np.random.default_rng(3)
    change = random.standard_normal(len(points)) * 1e-9
    residual = (random.standard_normal((2, *operator.shape)).T @ [1, 1j]).T.astype(np.complex64)
    data, image = operator(change), operator.adjoint(residual, complex=True)
    assert data.dtype == np.complex64 and data.shape == operator.shape
    assert relative(data, expected @ change) < 1e-4  # phases in float32
    assert relative(image, np.einsum("erp,er->p", expected.conj(), residual)) < 1e-4
    assert np.array_equal(operator.adjoint(residual), image.real)
    # <A x, y> = <x, A' y> holds to rounding: both use the same Green's functions.
    left, right = np.vdot(data, residual), change @ image
    assert abs(left - right) < 1e-5 * np.linalg.norm(data) * np.linalg.norm(residual)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("same", [True, False])
def test_backprojection_matches_the_twin(device, weighting, same):
    emitters, receivers = emitters_and_receivers()
    points = disc(0.04, 4e-3)
    fields_r = smooth(receivers, points, absorbing=True)
    fields_e = fields_r if same else smooth(emitters, points, absorbing=True)
    f = 0.5e6
    delay = dispersion_delay(np.ones(1), f, 1.3)[0]
    normals = tuple(-fields.sources / RADIUS for fields in (fields_e, fields_r))
    pitch = (0.02, np.linspace(0.01, 0.02, fields_r.excess.shape[1]))
    if same:
        pitch = (pitch[1], pitch[1])
    operator = BornOperator(fields_e, fields_r, f, cell_area=1e-6, device=device)
    random = np.random.default_rng(4)
    residual = (random.standard_normal((2, *operator.shape)).T @ [1, 1j]).T.astype(np.complex64)
    image = operator.backproject(residual, weighting, pitch=pitch, normals=normals, largest_gain=1.25)
    expected = reference.backproject(
        fields_e, fields_r, f, residual, weighting, pitch, normals, fields_e.sound_speed,
        exponent=1.3, delay=delay, largest_gain=1.25,
    )  # fmt: skip
    assert relative(image, expected) < 1e-4
    assert np.array_equal(
        image, operator.backproject(residual, weighting, pitch=pitch, normals=normals, largest_gain=1.25)
    )


def test_one_scatterer_in_water_has_the_closed_form():
    """Against the Hankel function, whose leading term the Green's function is: the next term is 1 / (8 k r)."""
    emitters, receivers = emitters_and_receivers()
    points = np.array([[0.01, 0, -0.02]])
    f, change, area = 0.8e6, 2e-9, 1e-6
    operator = BornOperator(water(emitters, points), water(receivers, points), f, cell_area=area)
    k = 2 * np.pi * f / WATER
    g_e, g_r = (0.25j * hankel1(0, k * np.linalg.norm(x - points, axis=1)) for x in (emitters, receivers))
    expected = (2 * np.pi * f) ** 2 * area * change * np.outer(g_e, g_r)
    assert np.abs(operator([change]) / expected - 1).max() < 2 / (8 * k * 0.08) + 1e-3


def test_is_the_derivative_of_full_scattering():
    """Finite differences of the Lippmann-Schwinger equation, solved in float64 with Hankel functions."""
    emitters, receivers = emitters_and_receivers()
    points = disc(0.006, 0.75e-3)
    f, area = 0.4e6, 0.75e-3**2
    omega, k = 2 * np.pi * f, 2 * np.pi * f / WATER

    def field(a, b):
        return 0.25j * hankel1(0, k * np.linalg.norm(a[:, None] - b[None], axis=2))

    inside = 0.25j * np.asarray(
        hankel1(0, k * np.maximum(np.linalg.norm(points[:, None] - points[None], axis=2), 3e-4))
    )
    incident, outgoing = field(points, emitters), field(points, receivers)

    def data(m):
        total = np.linalg.solve(np.eye(len(m)) - omega**2 * area * inside * m, incident)
        return omega**2 * area * total.T @ (m[:, None] * outgoing)

    change = 1e-8 * np.cos(400 * points[:, 0]) + 5e-9
    step = 1e-3
    derivative = (data(step * change) - data(-step * change)) / (2 * step)
    operator = BornOperator(water(emitters, points), water(receivers, points), f, cell_area=area)
    assert relative(operator(change), derivative) < 2 / (8 * k * 0.1)


def ring_operator(points, f, n=64, area=1e-6, **options):
    ring = Probe.ring(n, RADIUS)
    fields = water(ring.positions, points)
    array_curve = {"pitch": 2 * np.pi * RADIUS / n, "normals": ring.normals}
    return BornOperator(fields, fields, f, cell_area=area, **options), array_curve


@pytest.mark.parametrize("s", [0.25, 0.4, 0.55, 0.7])
def test_spectral_gain_is_the_one_of_theory(s):
    """How much of a wavelength one step finds: the closed forms for a full ring in a homogeneous medium.

    What is left of the difference is the finite ring and the edge of the object.
    """
    f = 0.3e6
    omega = 2 * np.pi * f
    points = disc(0.06, 1e-3)
    operator, curve = ring_operator(points, f, n=128)
    kappa = 2 * omega * s / WATER
    r = np.hypot(points[:, 0], points[:, 2])
    change = j0(kappa * r) * np.exp(-((r / 0.03) ** 4))
    data = operator(1e-9 * change)
    inside = r < 0.02
    theory = {
        "rwave": 4 / (np.pi * kappa * WATER) * np.sqrt(1 - s**2),
        "beylkin": 2 / np.pi * s / omega / np.sqrt(1 - s**2),
    }
    theory["uniform"] = (theory["rwave"] + theory["beylkin"]) / 2
    for weighting, expected in theory.items():
        found = operator.backproject(-data, weighting, **curve).real * 1e9
        gain = found[inside] @ change[inside] / (change[inside] @ change[inside])
        assert gain / expected == pytest.approx(1, abs=0.02), weighting


def test_equal_elements_take_the_shorter_way_to_the_same_result():
    """Half a product of one array with itself against two arrays; a triangle of weights against all of them."""
    points = disc(0.05, 2e-3)
    ring = Probe.ring(150, RADIUS)
    fields = smooth(ring.positions, points)
    operators = [BornOperator(fields, other, 0.6e6, cell_area=4e-6) for other in (fields, replace(fields))]
    random = np.random.default_rng(5)
    change = random.standard_normal(len(points)) + 1j * random.standard_normal(len(points))
    residual = (random.standard_normal((2, 150, 150)).T @ [1, 1j]).T
    one, two = (o(change) for o in operators)
    assert relative(one, two) < 3e-6  # sums in float32
    assert np.allclose(one, one.T, rtol=0, atol=1e-6 * np.abs(one).max())
    one, two = (o.adjoint(residual, complex=True) for o in operators)
    assert relative(one, two) < 3e-6
    one, two = (o.backproject(residual, "rwave", pitch=1e-3, normals=ring.normals) for o in operators)
    assert relative(one, two) < 3e-6


def test_pairs_left_out_count_nowhere():
    emitters, receivers = emitters_and_receivers()
    points = disc(0.03, 3e-3)
    fields_e, fields_r = smooth(emitters, points), smooth(receivers, points)
    random = np.random.default_rng(6)
    pairs = random.random((13, 21)) < 0.6
    part = BornOperator(fields_e, fields_r, 0.5e6, cell_area=9e-6, pairs=pairs)
    whole = BornOperator(fields_e, fields_r, 0.5e6, cell_area=9e-6)
    change = random.standard_normal(len(points))
    residual = random.standard_normal((13, 21)).astype(np.complex64)
    assert np.array_equal(part(change), np.where(pairs, whole(change), 0))
    assert np.array_equal(part.adjoint(residual), whole.adjoint(np.where(pairs, residual, 0)))
    images = (o.backproject(r, pitch=1e-3) for o, r in ((part, residual), (whole, np.where(pairs, residual, 0))))
    assert np.array_equal(*images)


@pytest.mark.parametrize("same", [True, False])
def test_tiles_change_nothing_and_bound_the_memory(monkeypatch, same):
    """Small tiles give the same images and the same data to rounding, from buffers of the size of a tile."""
    points = disc(0.05, 1.5e-3)
    ring = Probe.ring(96, RADIUS).positions
    fields = smooth(ring, points)
    other = fields if same else smooth(ring[::3], points)
    random = np.random.default_rng(7)
    change, results = random.standard_normal(len(points)), []
    residual = random.standard_normal((96, len(other.sources))).astype(np.complex64)
    for size in (1e5, 1e9):
        monkeypatch.setattr("sonoray.inversion.born._TILE_BYTES", size)
        operator = BornOperator(fields, other, 0.6e6, cell_area=2e-6)
        results.append((operator(change), operator.adjoint(residual), operator.backproject(residual, pitch=1e-3)))
        assert max(room.nbytes for room in operator._rooms) <= max(2 * size, 8 * 96 * 3 * 192)
    assert len(points) > 3000
    for small, large in zip(*results, strict=True):
        assert relative(small, large) < 2e-6


def test_other_frequencies_share_the_geometry():
    points = disc(0.02, 2e-3)
    fields = smooth(Probe.ring(32, RADIUS).positions, points, absorbing=True)
    change = np.linspace(-1, 1, len(points))
    low = BornOperator(fields, fields, 0.3e6, cell_area=1e-6)
    high = low.at(0.9e6)
    assert (low.frequency, high.frequency) == (0.3e6, 0.9e6)
    assert np.array_equal(high(change), BornOperator(fields, fields, 0.9e6, cell_area=1e-6)(change))
    assert np.array_equal(low(change), BornOperator(fields, fields, 0.3e6, cell_area=1e-6)(change))


def test_fields_on_a_coarser_grid_err_by_their_curvature():
    """Linear interpolation errs by h^2 / 8 times the second derivatives: in time, times omega, that is the phase."""
    points = disc(0.05, 1e-3)
    ring = Probe.ring(24, RADIUS).positions
    f = 0.6e6
    exact = BornOperator(*(smooth(ring, points),) * 2, f, cell_area=1e-6)
    change = np.random.default_rng(8).standard_normal(len(points))
    residual = np.random.default_rng(9).standard_normal((24, 24))
    errors = []
    for spacing in (4e-3, 2e-3):
        grid = Grid.from_extent(x=(-0.052, 0.052), z=(-0.052, 0.052), spacing=spacing)
        fields = smooth(ring, grid.points().reshape(-1, 3))
        coarse = BornOperator(fields, fields, f, cell_area=1e-6, points=points, grid=grid)
        errors.append(relative(coarse(change), exact(change)))
        assert relative(coarse.adjoint(residual), exact.adjoint(residual)) < 1.5 * errors[-1] + 1e-4
        bound = spacing**2 / 8 * (60**2 + 45**2) * 2e-6 * 2 * np.pi * f
        assert errors[-1] < 2 * bound  # two waves, each with both derivatives at their largest
        images = (o.backproject(residual, "rwave", pitch=1e-3, normals=ring / RADIUS) for o in (coarse, exact))
        assert relative(*images) < 4 * bound
    assert 3 < errors[0] / errors[1] < 5


def test_at_its_own_nodes_a_coarse_grid_is_exact():
    grid = Grid.from_extent(x=(-0.03, 0.03), z=(-0.02, 0.02), spacing=4e-3)
    points = grid.points().reshape(-1, 3)
    fields = smooth(Probe.ring(24, RADIUS).positions, points, absorbing=True, caustics=True)
    change = np.linspace(-1, 1, len(points))
    one = BornOperator(fields, fields, 0.6e6, cell_area=1e-6)(change)
    two = BornOperator(fields, fields, 0.6e6, cell_area=1e-6, points=points, grid=grid)(change)
    assert relative(two, one) < 1e-5


def test_no_ray_no_contribution():
    """Points that no ray reaches are dark, and so is what lies between them and others on a coarse grid."""
    grid = Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=4e-3)
    nodes = grid.points().reshape(-1, 3)
    fields = water(Probe.ring(16, RADIUS).positions, nodes)
    shadow = fields.focusing.copy()
    shadow[nodes[:, 0] > 0.001] = 0
    fields = replace(fields, focusing=shadow)
    points = np.array([[-0.002, 0, 0.001], [0, 0, 0.001], [0.001, 0, 0.001], [0.004, 0, 0], [0.01, 0, 0.01]])
    operator = BornOperator(fields, fields, 0.5e6, cell_area=1e-6, points=points, grid=grid)
    strength = np.array([np.abs(operator(np.eye(5)[i])).max() for i in range(5)])
    assert (strength[:2] > 0).all() and (strength[2:] == 0).all()
    assert (operator.backproject(np.ones((16, 16)), pitch=1e-3)[2:] == 0).all()


def test_is_finite_at_an_element():
    ring = Probe.ring(8, RADIUS).positions
    fields = water(ring, np.concatenate([ring[:1], ring[1:2] + 1e-6]))
    operator = BornOperator(fields, fields, 0.5e6, cell_area=1e-6)
    assert np.isfinite(operator(np.ones(2))).all()
    assert np.isfinite(operator.backproject(np.ones((8, 8)), "rwave", pitch=1e-3, normals=ring / RADIUS)).all()


def test_threads_and_processor_levels_agree(monkeypatch):
    points = disc(0.04, 2e-3)
    fields = smooth(Probe.ring(37, RADIUS).positions, points, absorbing=True)
    change, results = np.linspace(-1, 1, len(points)), []
    level = _cpu.cpu_level()
    try:
        for threads, name in (("1", "v3"), ("2", "v3"), ("1", "baseline")):
            monkeypatch.setenv("SONORAY_THREADS", threads)
            monkeypatch.setenv("SONORAY_CPU", name)
            operator = BornOperator(fields, fields, 0.6e6, cell_area=4e-6)
            results.append((operator(change), operator.backproject(operator(change), "rwave", pitch=1e-3)))
    finally:
        _cpu.set_cpu_level(level)
    assert all(np.array_equal(a, b) for a, b in zip(results[0], results[1], strict=True))
    assert all(relative(a, b) < 1e-4 for a, b in zip(results[0], results[2], strict=True))


POINTS = disc(0.02, 4e-3)
FIELDS = smooth(Probe.ring(8, RADIUS).positions, POINTS)
COARSE = Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=4e-3)


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({}, {"frequency": 0.5}, "frequency: .*really in Hz"),
        ({}, {"cell_area": 1.0}, "cell_area: .*really in m"),
        ({}, {"points": POINTS * 1e3, "grid": COARSE}, "points: .*really in m"),
        ({}, {"points": POINTS}, "grid: expected the grid"),
        ({}, {"points": POINTS, "grid": COARSE}, "grid: expected the grid at whose nodes"),
        ({}, {"grid": Grid((3, 3, 3), 1e-3, (0, 0, 0))}, "grid: expected a 2-D grid"),
        ({}, {"pairs": np.ones((8, 8))}, "pairs: expected bool"),
        ({}, {"pairs": np.ones((8, 7), bool)}, "pairs: expected bool of shape"),
        ({"excess": FIELDS.excess.T}, {}, "fields_r.excess: expected shape"),
        ({"excess": FIELDS.excess * np.nan}, {}, "fields_r.excess: expected finite"),
        ({"excess": FIELDS.excess * 1e6}, {}, "fields_r.excess: .*really in s"),
        ({"focusing": -FIELDS.focusing}, {}, "fields_r.focusing: expected 0 to"),
        ({"points": POINTS + 1e-3}, {}, "fields_r: expected fields at the points"),
        ({"reference_sound_speed": 1400.0}, {}, "fields_r: expected the reference sound speed"),
        ({"absorption": FIELDS.focusing}, {}, "exponent: expected the power"),
        ({}, {"device": "gpu"}, "device: expected"),
    ],
)
def test_refuses(fields, options, message):
    options = {"frequency": 0.5e6, "cell_area": 1e-6} | options
    other = replace(FIELDS, **fields) if fields else FIELDS
    with pytest.raises(Error, match=message):
        BornOperator(FIELDS, other, options.pop("frequency"), **options)


def test_refuses_data_that_do_not_fit():
    operator = BornOperator(FIELDS, FIELDS, 0.5e6, cell_area=1e-6)
    for call, message in (
        (lambda: operator(np.ones(3)), "change: expected shape"),
        (lambda: operator(np.full(len(POINTS), np.nan)), "change: expected finite"),
        (lambda: operator.adjoint(np.ones((8, 7))), "residual: expected shape"),
        (lambda: operator.backproject(np.ones((8, 8)), "best", pitch=1e-3), "weighting: expected one of"),
        (lambda: operator.backproject(np.ones((8, 8)), pitch=1.0e3), "pitch: .*really in m"),
        (lambda: operator.backproject(np.ones((8, 8)), pitch=np.ones(7) * 1e-3), "pitch: expected"),
        (lambda: operator.backproject(np.ones((8, 8)), pitch=1e-3, normals=np.ones((8, 3))), "normals: expected unit"),
        (lambda: operator.backproject(np.ones((8, 8)), pitch=1e-3, largest_gain=0.5), "largest_gain: expected"),
        (lambda: operator.at(-1.0), "frequency: expected"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()


class HostAsDevice:
    """The compiled host module in the clothes of the device's, so that the device's schedule runs anywhere."""

    def __init__(self, index=0):
        self.has_library = True

    def __getattr__(self, name):
        return getattr(_cpu, name)

    Blas = property(lambda self: type(self))

    def empty(self, shape, dtype, index):
        return np.full(shape, np.nan, dtype)

    def gram(self, a, b, add, out, index, stream):
        found = a.reshape(-1, a.shape[2]).T @ b.reshape(-1, b.shape[2])
        out[...] = out + found if add else found

    def times(self, a, b, out, index, stream):
        out[...] = a @ b


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("coarse", [True, False])
def test_schedule_of_the_device(monkeypatch, same, coarse):
    emitters, receivers = emitters_and_receivers()
    grid = Grid.from_extent(x=(-0.03, 0.03), z=(-0.03, 0.03), spacing=2e-3)
    nodes = grid.points().reshape(-1, 3)
    fields_r = smooth(receivers, nodes, absorbing=True)
    fields_e = fields_r if same else smooth(emitters, nodes, absorbing=True)
    options = {"points": nodes[::2] * 0.9, "grid": grid} if coarse else {}
    host = BornOperator(fields_e, fields_r, 0.6e6, cell_area=1e-6, **options)
    monkeypatch.setattr("sonoray.inversion.born.backend", lambda device: HostAsDevice())
    monkeypatch.setattr("sonoray.inversion.born_device.to_device", lambda value, device: np.ascontiguousarray(value))
    monkeypatch.setattr("sonoray.inversion.born_device.to_host", np.array)
    monkeypatch.setattr("sonoray.inversion.born_device._TILE_BYTES", 8e4)
    device = BornOperator(fields_e, fields_r, 0.6e6, cell_area=1e-6, device="cuda", **options)
    random = np.random.default_rng(10)
    change = random.standard_normal(len(host))
    residual = random.standard_normal(host.shape) + 1j * random.standard_normal(host.shape)
    curve = {"pitch": 1e-3, "normals": (emitters / RADIUS, receivers / RADIUS)}
    if same:
        curve["normals"] = receivers / RADIUS
    assert relative(device(change), host(change)) < 3e-6
    assert relative(device.adjoint(residual), host.adjoint(residual)) < 3e-6
    images = [o.backproject(residual, "beylkin", **curve) for o in (device.at(0.4e6), host.at(0.4e6))]
    assert relative(*images) < 3e-6


def lens(absorption=None):
    grid = Grid.from_extent(x=(-0.12, 0.12), z=(-0.12, 0.12), spacing=2e-3)
    x, z = (grid.points()[..., k] for k in (0, 2))
    bump = np.exp(-((x - 0.01) ** 2 + (z + 0.015) ** 2) / 0.02**2)
    speed = WATER + 50 * bump - 40 * np.exp(-((x + 0.03) ** 2 + (z - 0.02) ** 2) / 0.015**2)
    return Medium(grid, speed, absorption=None if absorption is None else absorption * bump)


def test_with_fields_of_traced_rays():
    """The pressure that `GreensFields` states, absorption and dispersion included, gives the same data and images."""
    ring = Probe.ring(24, RADIUS)
    points = disc(0.05, 5e-3)
    fields = GreensFunction(lens(absorption=8.0), exponent=1.2)(ring.positions, points)
    assert fields.absorption.max() > 0.1
    f, pitch = 0.8e6, 2 * np.pi * RADIUS / 24
    operator = BornOperator(fields, fields, f, cell_area=25e-6)
    green = fields.pressure(f).astype(complex)
    matrix = (2 * np.pi * f) ** 2 * 25e-6 * np.einsum("pe,pr->erp", green, green)
    change = np.random.default_rng(11).standard_normal(len(points))
    assert relative(operator(change), matrix @ change) < 2e-4
    # Without absorption: with it, the weights hold gains that the pressure does not tell.
    fields = GreensFunction(lens())(ring.positions, points)
    green, t = fields.pressure(f).astype(complex), fields.arrival_directions().astype(float)
    inverse = fields.angle_measure(pitch, ring.normals) / green
    residual = np.exp(1j * np.arange(24**2)).reshape(24, 24)
    weight = 2 - 2 * np.einsum("pec,prc->per", t, t)
    expected = np.einsum("per,pe,pr,er->p", weight, inverse, inverse, residual)
    expected *= -1 / ((2 * np.pi) ** 3 * 2 * np.pi * f * fields.sound_speed.astype(float) ** 2)
    operator = BornOperator(fields, fields, f, cell_area=25e-6)
    image = operator.backproject(residual, "rwave", pitch=pitch, normals=ring.normals)
    assert relative(image, expected) < 2e-4


@pytest.mark.parametrize(("spacing", "error"), [(2e-3, 0.005), (4e-3, 0.02)])
def test_fields_of_traced_rays_may_be_coarse(spacing, error):
    """Times beyond the straight path are smooth: a node every second millimetre suffices."""
    ring = Probe.ring(24, RADIUS)
    points = disc(0.05, 1e-3)[::7]
    rays = GreensFunction(lens())
    exact = rays(ring.positions, points)
    grid = Grid.from_extent(x=(-0.052, 0.052), z=(-0.052, 0.052), spacing=spacing)
    coarse = rays(ring.positions, grid)
    change = np.random.default_rng(12).standard_normal(len(points))
    data = BornOperator(exact, exact, 0.8e6, cell_area=1e-6)(change)
    found = BornOperator(coarse, coarse, 0.8e6, cell_area=1e-6, points=points, grid=grid)(change)
    assert relative(found, data) < error
