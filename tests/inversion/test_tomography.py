"""Travel-time operator: exact integrals, exact transpose, geometries, refusals."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, DeviceError, Grid, Probe
from sonoray._backends import host_module
from sonoray.inversion.operators import MatrixOperator, RestrictedOperator, adjoint_error
from sonoray.inversion.stored import StoredOperator
from sonoray.inversion.tomography import TravelTimeOperator
from sonoray.rays.paths import Paths
from tests.reference import tomography as reference

FLAT = Grid((21, 17), (1e-3, 1.3e-3), (-0.01, -0.004))
CUBE = Grid((9, 11, 8), (1e-3, 0.8e-3, 1.2e-3), (-0.004, -0.004, 0.0))


def random_paths(grid, n_rays, rng, longest=12, empty=0.2):
    """Polylines of uniform nodes: long segments across many cells and short ones; some rays have failed."""
    extent = np.array(grid.extent)
    counts = np.where(rng.random(n_rays) < empty, 0, rng.integers(2, longest, n_rays))
    points = rng.uniform(extent[:, 0], extent[:, 1], (counts.sum(), grid.ndim))
    short = rng.random(len(points)) < 0.5  # half of the nodes lie near the one before
    for k in np.flatnonzero(short[1:]) + 1:
        step = rng.uniform(-0.4, 0.4, grid.ndim) * np.array(grid.spacing)
        points[k] = np.clip(points[k - 1] + step, extent[:, 0], extent[:, 1])
    return Paths(points, np.concatenate([[0], np.cumsum(counts)]))


def call(operator, x):
    """A x through the operator's own place."""
    return operator.on_host()(x)


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_against_dense_quadrature(grid, rng, device):
    """The twin's error is about (1 / 400)^2 of a cell per grid line; seen: 3e-7 of a spacing."""
    paths = random_paths(grid, 12, rng)
    operator = TravelTimeOperator(grid, paths, device=device)
    matrix = reference.dense_matrix(grid, paths)
    x, y = rng.standard_normal(grid.size), rng.standard_normal(paths.n_rays)
    tolerance = 1e-5 * min(grid.spacing)
    assert np.abs(call(operator, x) - matrix @ x).max() < 30 * tolerance
    assert np.abs(operator.on_host().adjoint(y) - matrix.T @ y).max() < 5 * tolerance
    assert np.abs(operator.to_sparse().toarray() - matrix).max() < tolerance


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
@pytest.mark.parametrize("masked", [False, True], ids=["all", "mask"])
def test_adjoint_is_exact(grid, masked, rng, device):
    paths = random_paths(grid, 200, rng)
    mask = rng.random(grid.shape) < 0.6 if masked else None
    operator = TravelTimeOperator(grid, paths, weights=rng.random(200), mask=mask, device=device).on_host()
    assert adjoint_error(operator) < (1e-14 if device == "cpu" else 1e-12)  # CUDA sums integers of limited length


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), flat=st.booleans())
def test_adjoint_and_lengths_of_any_paths(seed, flat):
    """Nodes on grid lines, at corners, repeated, and segments along grid lines included."""
    rng = np.random.default_rng(seed)
    grid = FLAT if flat else CUBE
    paths = random_paths(grid, 6, rng)
    cells = (paths.points - np.array(grid.origin)) / np.array(grid.spacing)
    snapped = np.where(rng.random(cells.shape) < 0.5, np.round(cells), cells)
    points = np.clip(np.array(grid.origin) + snapped * np.array(grid.spacing), *np.array(grid.extent).T)
    paths = Paths(points, paths.offsets)
    operator = TravelTimeOperator(grid, paths)
    assert adjoint_error(operator, seed=seed) < 1e-13
    assert np.abs(operator.row_sums - paths.lengths()).max() < 1e-14
    assert operator.column_sums.min() > -1e-17
    matrix = operator.to_sparse()
    x = rng.standard_normal(grid.size)
    assert np.abs(matrix @ x - operator(x)).max() < 1e-13


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_products_of_coordinates_are_integrated_exactly(grid, rng, device):
    """x z (and x y z) is its own interpolant on any grid; Simpson's rule integrates it exactly, too."""
    extent = np.array(grid.extent)
    starts, ends = (rng.uniform(extent[:, 0], extent[:, 1], (50, grid.ndim)) for _ in range(2))
    paths = Paths(np.stack([starts, ends], 1).reshape(-1, grid.ndim), 2 * np.arange(51))

    def field(points):
        return 1.0 + 30 * points[..., 0] - 50 * points[..., -1] + 1e4 * points.prod(axis=-1)

    mesh = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1)
    times = call(TravelTimeOperator(grid, paths, device=device), field(mesh))
    exact = [reference.integral_along(field, a, b, 5) for a, b in zip(starts, ends)]
    assert np.abs(times - exact).max() < 1e-15 * 50  # times are below 0.05, rounding some 10 units in the last place


def test_splitting_a_ray_changes_nothing(rng):
    """The integral does not depend on where the nodes of a straight ray lie."""
    a, b = np.array([-0.0093, -0.0031]), np.array([0.0087, 0.0144])
    x = rng.random(FLAT.size)
    whole = TravelTimeOperator(FLAT, Paths(np.stack([a, b]), [0, 2]))(x)[0]
    for n in (3, 10, 200, 1500):
        t = np.sort(np.concatenate([[0, 1], rng.random(n - 2)]))[:, None]
        many = TravelTimeOperator(FLAT, Paths(a + (b - a) * t, [0, n]))(x)[0]
        assert abs(many - whole) < 1e-14 * whole * 10


@pytest.mark.parametrize("grid", [FLAT, CUBE], ids=["2d", "3d"])
def test_threads_and_runs_are_bitwise_equal(grid, rng, monkeypatch):
    paths = random_paths(grid, 3000, rng, longest=30)
    x, y = rng.standard_normal(grid.size), rng.standard_normal(3000)
    results = []
    for threads in ("1", "2", "3", "7"):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        operator = TravelTimeOperator(grid, paths)
        results.append((operator(x), operator.adjoint(y), operator.to_sparse().data))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_processor_levels_agree(rng):
    paths = random_paths(FLAT, 100, rng, longest=300)
    operator, x, y = TravelTimeOperator(FLAT, paths), rng.random(FLAT.size), rng.random(100)
    module, top = host_module(), host_module().cpu_level()
    results = []
    try:
        for level in range(top + 1):
            module.set_cpu_level(level)
            results.append((operator(x), operator.adjoint(y)))
    finally:
        module.set_cpu_level(top)
    for forward, back in results[1:]:
        assert np.allclose(forward, results[0][0], rtol=1e-13, atol=0)
        assert np.allclose(back, results[0][1], rtol=1e-12, atol=1e-15)


def test_mask_restricts_the_unknowns(rng, device):
    paths, mask = random_paths(FLAT, 40, rng), rng.random(FLAT.shape) < 0.5
    whole = TravelTimeOperator(FLAT, paths)
    part = TravelTimeOperator(FLAT, paths, mask=mask, device=device)
    other = RestrictedOperator(whole, mask)
    assert part.shape == other.shape == (40, mask.sum())
    x, y = rng.standard_normal(part.shape[1]), rng.standard_normal(40)
    assert np.allclose(call(part, x), other(x), rtol=0, atol=1e-15)
    assert np.allclose(part.on_host().adjoint(y), other.adjoint(y), rtol=0, atol=1e-14)
    image = part.image(x, outside=7.0)
    assert (image[~mask] == 7).all()
    assert np.array_equal(part.vector(image), x)
    assert np.allclose(part.integrate(part.image(x)), other(x), rtol=0, atol=1e-15)
    if device == "cpu":
        assert np.array_equal(part(image), part(x))  # of an image only the mask counts
        matrix = MatrixOperator(part.to_sparse())
        assert np.allclose(matrix.adjoint(y), other.adjoint(y), rtol=0, atol=1e-14)


def test_weights_multiply_rows(rng):
    paths, weights = random_paths(CUBE, 30, rng), rng.random(30)
    x, y = rng.random(CUBE.size), rng.random(30)
    plain, weighted = TravelTimeOperator(CUBE, paths), TravelTimeOperator(CUBE, paths, weights=weights)
    assert np.allclose(weighted(x), weights * plain(x), rtol=1e-14)
    assert np.allclose(weighted.adjoint(y), plain.adjoint(weights * y), rtol=1e-13, atol=1e-18)
    assert np.allclose(weighted.to_sparse().toarray(), weights[:, None] * plain.to_sparse().toarray(), rtol=1e-14)


def test_failed_rays_count_nothing(rng):
    paths = Paths(np.empty((0, 2)), np.zeros(5, int))
    operator = TravelTimeOperator(FLAT, paths)
    assert not operator(np.ones(FLAT.size)).any()
    assert not operator.adjoint(np.ones(4)).any()
    assert operator.to_sparse().nnz == 0
    assert TravelTimeOperator(FLAT, Paths(np.empty((0, 2)), [0])).adjoint(np.empty(0)).shape == (FLAT.size,)


def test_nodes_beside_all_rays_get_exactly_nothing():
    paths = Paths.straight([[-0.01, 0, 0.0003]], [[0.01, 0, 0.0003]])
    sums = TravelTimeOperator(FLAT, paths).image(TravelTimeOperator(FLAT, paths).column_sums)
    rows = np.flatnonzero(sums.any(axis=0))
    assert rows.tolist() == [3, 4]  # z = -0.1 mm and 1.2 mm


def test_ring_to_sparse_is_the_operator(rng):
    ring = Probe.ring(32, 0.0099).positions
    i, j = np.triu_indices(32, 1)
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(-0.01, 0.01), spacing=0.5e-3)
    operator = TravelTimeOperator(grid, Paths.straight(ring[i], ring[j]))
    x, y = rng.random(grid.size), rng.random(len(i))
    for dtype, tolerance in ((np.float64, 1e-14), (np.float32, 1e-6)):
        matrix = operator.to_sparse(dtype)
        assert matrix.dtype == dtype
        assert np.allclose(matrix @ x, operator(x), rtol=tolerance)
        assert np.allclose(matrix.T @ y, operator.adjoint(y), rtol=10 * tolerance, atol=tolerance * 1e-3)
    assert np.diff(matrix.indptr).max() < 4 * sum(grid.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stored_operator(dtype, rng, monkeypatch):
    """SciPy's products to rounding, an exact transpose of what is stored, any number of threads."""
    paths, mask = random_paths(CUBE, 2000, rng, longest=30), rng.random(CUBE.shape) < 0.7
    operator = TravelTimeOperator(CUBE, paths, weights=rng.random(2000), mask=mask)
    stored, matrix = operator.stored(dtype), operator.to_sparse(dtype)
    assert stored.shape == operator.shape
    assert stored.nbytes > matrix.nnz * (4 + np.dtype(dtype).itemsize)
    assert adjoint_error(stored) < 1e-14
    x, y = rng.standard_normal(stored.shape[1]), rng.standard_normal(2000)
    exact = matrix.astype(np.float64)
    assert np.allclose(stored(x), exact @ x, rtol=0, atol=1e-15)
    assert np.allclose(stored.adjoint(y), exact.T @ y, rtol=0, atol=1e-14)
    results = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        results.append((stored(x), stored.adjoint(y)))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_stored_operator_refuses(rng):
    matrix = scipy.sparse.random_array((5, 4), density=0.5, rng=rng).tocsr()
    stored = StoredOperator(matrix)
    with pytest.raises(ArgumentError, match="x: expected shape"):
        stored(np.ones(5))
    with pytest.raises(ArgumentError, match="y: expected finite"):
        stored.adjoint(np.full(5, np.inf))
    with pytest.raises(ArgumentError, match="expected a SciPy sparse matrix"):
        StoredOperator(np.ones((3, 3)))
    with pytest.raises(ArgumentError, match="float32 or float64"):
        StoredOperator(matrix.astype(int))
    broken = matrix.copy()
    broken.indices[0] = 17
    with pytest.raises(ArgumentError, match="indices below the number of columns"):
        StoredOperator(broken)
    empty = StoredOperator(scipy.sparse.csr_array((0, 3)))
    assert empty.adjoint(np.empty(0)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": 3}, "grid: expected Grid"),
        ({"paths": np.zeros((2, 2))}, "paths: expected Paths"),
        ({"grid": CUBE}, "expected 3-D paths"),
        ({"grid": Grid((1, 5), 1e-3, (0, 0))}, "at least two nodes along every axis, got 1 along axis 0"),
        ({"paths": Paths.straight([[0, 0, 0], [0, 0, 0]], [[0, 0, 0.01], [0, 0, 0.05]])}, r"ray 1 .*\[0.0, 0.05\]"),
        ({"weights": [1.0]}, "weights: expected shape"),
        ({"weights": [-1.0, 1.0]}, "weights: expected no negative"),
        ({"weights": [np.nan, 1.0]}, "weights: expected finite"),
        ({"mask": np.ones(FLAT.shape)}, "mask: expected booleans"),
        ({"mask": np.ones((3, 3), bool)}, "mask: expected booleans of shape"),
        ({"mask": np.zeros(FLAT.shape, bool)}, "mask: expected at least one node"),
    ],
)
def test_refuses(change, message):
    good = {"grid": FLAT, "paths": Paths.straight([[0, 0, 0], [0, 0, 0]], [[0, 0, 0.01], [0.005, 0, 0.01]])}
    with pytest.raises(ArgumentError, match=message):
        TravelTimeOperator(**{**good, **change})


def test_refuses_wrong_vectors():
    operator = TravelTimeOperator(FLAT, Paths.straight([[0, 0, 0]], [[0, 0, 0.01]]))
    with pytest.raises(ArgumentError, match="x: expected shape"):
        operator(np.ones(5))
    with pytest.raises(ArgumentError, match="x: expected finite"):
        operator(np.full(FLAT.size, np.nan))
    with pytest.raises(ArgumentError, match="y: expected shape"):
        operator.adjoint(np.ones(2))
    with pytest.raises(ArgumentError, match="out: expected"):
        operator.adjoint(np.ones(1), out=np.ones(FLAT.size, np.float32))
    with pytest.raises(ArgumentError, match="image: expected shape"):
        operator.vector(np.ones((2, 2)))
    with pytest.raises(DeviceError):
        TravelTimeOperator(FLAT, operator.paths, device="gpu")


def test_results_go_where_asked(device, rng):
    operator = TravelTimeOperator(FLAT, random_paths(FLAT, 7, rng), device=device)
    x = rng.random(FLAT.size)
    if device == "cpu":
        out = np.empty(7)
        assert operator(x, out=out) is out
    else:
        with pytest.raises(DeviceError, match="x: expected an array on 'cuda'"):
            operator(x)
        x = sonoray.to_device(x)
        out = sonoray.to_device(np.zeros(7))
        operator(x, out=out)
        out = sonoray.to_host(out)
    assert np.allclose(out, call(operator, sonoray.to_host(x)))


@pytest.mark.gpu
def test_cuda_adjoint_does_not_depend_on_order(rng):
    """Integer sums: repeated runs agree bit for bit."""
    if len(sonoray.devices()) < 2:
        pytest.skip("no CUDA device")
    operator = TravelTimeOperator(CUBE, random_paths(CUBE, 2000, rng), device="cuda").on_host()
    y = rng.standard_normal(2000)
    first = operator.adjoint(y)
    assert all(np.array_equal(operator.adjoint(y), first) for _ in range(3))
