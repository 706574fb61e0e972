"""Every linear plan is a SciPy operator: its product and its adjoint are the plan's, and SciPy's solvers take it."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsqr

import sonoray
from sonoray.inversion.operators import MatrixOperator, RestrictedOperator, StackedOperator, WeightedOperator
from sonoray.inversion.regularization import Gradient, Laplacian

RANDOM = np.random.default_rng(0)
GRID = sonoray.Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=2e-3)


def _ring(n=8):
    angle = 2 * np.pi * np.arange(n) / n
    return 0.018 * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)


def _paths():
    ring = _ring()
    i, j = np.nonzero(~np.eye(len(ring), dtype=bool))
    return sonoray.Paths.straight(ring[i], ring[j])


def _finite_frequency():
    pairs = ~np.eye(8, dtype=bool)
    frequencies = np.linspace(2e5, 8e5, 7)
    return sonoray.FiniteFrequencyOperator(
        GRID, 1500.0, _ring(), _ring(), pairs, frequencies=frequencies, power=np.ones(7)
    )


def _flat_operators():
    travel = sonoray.TravelTimeOperator(GRID, _paths())
    matrix = scipy.sparse.random(30, 20, 0.3, random_state=1, format="csr")
    return {
        "rays": travel,
        "stored": travel.stored(np.float64),
        "finite frequency": _finite_frequency(),
        "matrix": MatrixOperator(matrix),
        "weighted": WeightedOperator(MatrixOperator(matrix), RANDOM.random(30)),
        "restricted": RestrictedOperator(MatrixOperator(matrix), np.arange(20) % 3 > 0),
        "stacked": StackedOperator([MatrixOperator(matrix), MatrixOperator(matrix)]),
        "gradient": Gradient(GRID),
        "laplacian": Laplacian(GRID),
    }


@pytest.mark.parametrize("name", list(_flat_operators()))
def test_flat_operators(name):
    operator = _flat_operators()[name]
    wrapped = operator.aslinearoperator()
    assert isinstance(wrapped, LinearOperator)
    assert wrapped.shape == operator.shape and wrapped.dtype == np.float64
    x, y = RANDOM.standard_normal(operator.shape[1]), RANDOM.standard_normal(operator.shape[0])
    np.testing.assert_array_equal(wrapped @ x, operator(x))
    np.testing.assert_array_equal(wrapped.H @ y, operator.adjoint(y))
    # float32 inside the finite-frequency kernel; both sides are its rounding, not an inexact adjoint
    assert abs((wrapped @ x) @ y - x @ (wrapped.H @ y)) < 1e-5 * np.linalg.norm(wrapped @ x) * np.linalg.norm(y)
    twice = wrapped @ np.stack([x, 2 * x], axis=1)
    np.testing.assert_allclose(twice[:, 1], 2 * twice[:, 0], rtol=1e-6)


def test_lsqr_finds_the_slowness():
    travel = sonoray.TravelTimeOperator(GRID, _paths())
    truth = np.full(GRID.size, 1 / 1500.0)
    times = travel(truth)
    found = lsqr(travel.aslinearoperator(), times, atol=1e-14, btol=1e-14, iter_lim=200)[0]
    np.testing.assert_allclose(travel(found), times, rtol=1e-9)


def _beamformer(compounding="coherent", is_iq=True):
    probe = sonoray.Probe.linear(8, 0.3e-3, center_frequency=5e6)
    grid = sonoray.Grid.from_extent(x=(-1e-3, 1e-3), z=(4e-3, 6e-3), spacing=2.5e-4)
    arrive = sonoray.arrivals(sonoray.plane_waves([-0.1, 0.1]), probe, grid, 1540.0)
    sampling = sonoray.Sampling(20e6, 220, demodulation_frequency=5e6 if is_iq else 0.0)
    return sonoray.Beamformer(arrive, sampling, compounding=compounding)


@pytest.mark.parametrize("compounding", ["coherent", "none"])
@pytest.mark.parametrize("is_iq", [True, False])
def test_beamformer(compounding, is_iq):
    beamform = _beamformer(compounding, is_iq)
    operator = beamform.aslinearoperator()
    assert operator.shape == beamform.shape and operator.dtype == (np.complex64 if is_iq else np.float32)

    def noise(n):
        values = RANDOM.standard_normal((2, n)).astype(np.float32)
        return values[0] + 1j * values[1] if is_iq else values[0]

    x, y = noise(operator.shape[1]), noise(operator.shape[0])
    np.testing.assert_array_equal(operator @ x, beamform(x.reshape(1, 2, 8, 220)).ravel())
    assert abs(np.vdot(operator @ x, y) - np.vdot(x, operator.H @ y)) < 1e-5 * np.linalg.norm(x) * np.linalg.norm(y)
    columns = np.stack([x, noise(operator.shape[1])], axis=1)
    np.testing.assert_allclose(operator @ columns, np.stack([operator @ c for c in columns.T], axis=1), rtol=1e-5)


def test_beamformer_in_a_chain():
    operator = _beamformer(is_iq=False).aslinearoperator()
    normal = operator @ operator.H + 0.1 * aslinearoperator(scipy.sparse.eye(operator.shape[0], dtype=np.float32))
    y = RANDOM.standard_normal(operator.shape[0]).astype(np.float32)
    assert np.vdot(y, normal @ y) > 0.1 * np.vdot(y, y)


def test_incoherent_compounding_is_not_linear():
    with pytest.raises(sonoray.ArgumentError, match="compounding: expected 'coherent' or 'none'"):
        _beamformer("incoherent").aslinearoperator()


@pytest.mark.parametrize("masked", [False, True])
def test_born(masked):
    medium = sonoray.Medium(GRID, 1500.0)
    points = GRID.points().reshape(-1, 3)[::7]
    fields = sonoray.GreensFunction(medium)(_ring(), points)
    pairs = ~np.eye(8, dtype=bool) if masked else None
    born = sonoray.BornOperator(fields, fields, 5e5, cell_area=4e-6, pairs=pairs)
    operator = born.aslinearoperator()
    assert operator.shape == (64, len(points)) and operator.dtype == np.complex64
    x = (RANDOM.standard_normal((2, len(points))).T @ [1, 1j]) * 1e-9
    y = RANDOM.standard_normal((2, 64)).T @ [1, 1j]
    np.testing.assert_allclose(operator @ x, born(x).ravel(), rtol=1e-5)
    forward, back = operator @ x, operator.H @ y
    assert abs(np.vdot(forward, y) - np.vdot(x, back)) < 1e-5 * np.linalg.norm(forward) * np.linalg.norm(y)
