"""Normal equations of common-midpoint phases against the misfit itself, weights and registration in closed form."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse

from sonoray import Probe
from sonoray.inversion.focus_criteria import CommonMidpointCorrelations
from sonoray.inversion.midpoint_equations import PhaseWeights, delay_equations, map_equations, registration

F = 2.5e6
N, M = 7, 9  # patches, sub-apertures


def pairs_of(positions):
    """Midpoint and offset of neighbouring pairs of sub-apertures at these positions, as `correlations` returns them."""
    between = 0.5 * (positions[1:] + positions[:-1])
    tx, rx = between[:, None], between[None]
    return 0.5 * (tx + rx), rx - tx


@pytest.fixture
def equations(rng):
    shape = (N, M - 1, M - 1)
    phase, weight = rng.uniform(-2, 2, shape), rng.random(shape) * (rng.random(shape) > 0.4)
    factors = tuple(rng.uniform(0.8, 1.2, shape) for _ in "AB")
    return phase, weight, factors


def misfit(delays, phase, weight, factors):
    """Weighted squares of the phases, written out pair by pair."""
    total = 0.0
    for p in range(N):
        for i in range(M - 1):
            for j in range(M - 1):
                first = (delays[p, i] + delays[p, j + 1]) * factors[0][p, i, j]
                second = (delays[p, i + 1] + delays[p, j]) * factors[1][p, i, j]
                total += weight[p, i, j] * (phase[p, i, j] + 2 * np.pi * F * (first - second)) ** 2
    return total


def correlations(rng, n=40, m=6, loudness=1.0):
    shape = (n, m, m)
    rho = rng.uniform(0.5, 1.0, shape)
    value = (rho * np.exp(1j * rng.uniform(-1, 1, shape))).astype(np.complex64)
    midpoint, offset = pairs_of(Probe.linear(m + 1, 3e-4).positions)
    return CommonMidpointCorrelations(value, np.full(shape, loudness, np.float32), midpoint, offset)


def test_quadratic_is_the_misfit(equations, rng):
    hessian, gradient = delay_equations(*equations, F)
    delays = 1e-7 * rng.standard_normal((N, M))
    quadratic = np.einsum("pi,pij,pj", delays, hessian, delays) + 2 * (gradient * delays).sum()
    at_rest = misfit(np.zeros((N, M)), *equations)
    assert misfit(delays, *equations) == pytest.approx(at_rest + quadratic, rel=1e-12)
    assert at_rest == pytest.approx((equations[1] * equations[0] ** 2).sum(), rel=1e-12)


def test_gradient_and_hessian_against_finite_differences(equations, rng):
    hessian, gradient = delay_equations(*equations, F)
    delays, along = (1e-7 * rng.standard_normal((N, M)) for _ in range(2))

    def value(s):
        return misfit(delays + s * along, *equations)

    slope = 2 * ((gradient + np.einsum("pij,pj->pi", hessian, delays)) * along).sum()
    assert (value(1.0) - value(-1.0)) / 2 == pytest.approx(slope, rel=1e-10)  # exact for a quadratic
    curvature = 2 * np.einsum("pi,pij,pj", along, hessian, along)
    assert value(1.0) - 2 * value(0.0) + value(-1.0) == pytest.approx(curvature, rel=1e-9)


def test_hessian_is_symmetric_and_positive(equations):
    hessian, _ = delay_equations(*equations, F)
    assert np.abs(hessian - hessian.transpose(0, 2, 1)).max() <= 1e-12 * np.abs(hessian).max()
    least = np.linalg.eigvalsh(hessian)[:, 0]
    assert (least > -1e-10 * np.abs(hessian).max()).all()


def test_a_delay_common_to_all_is_invisible_without_registration(equations):
    phase, weight, factors = equations
    hessian, gradient = delay_equations(phase, weight, tuple(np.ones_like(k) for k in factors), F)
    scale = np.abs(hessian).max()
    assert np.abs(hessian @ np.ones(M)).max() < 1e-12 * scale
    assert np.abs(hessian @ np.arange(M)).max() < 1e-11 * scale  # a tilt: lateral shift of the image
    assert np.abs(gradient.sum(1)).max() < 1e-12 * np.abs(gradient).max()
    assert np.abs(delay_equations(*equations, F)[0] @ np.ones(M)).max() > 1e-4 * scale


def test_map_equations_are_the_quadratic_through_the_jacobian(equations, rng):
    hessian, gradient = delay_equations(*equations, F)
    paths = scipy.sparse.random(N * M, 31, 0.2, format="csr", random_state=rng)
    normal, slope = map_equations(hessian, gradient, paths)
    jacobian = paths.toarray().reshape(N, M, -1)
    expected = np.einsum("pia,pij,pjb->ab", jacobian, hessian, jacobian)
    assert np.abs(normal - expected).max() < 1e-12 * np.abs(expected).max()
    assert np.array_equal(normal, normal.T)
    assert np.allclose(slope, np.einsum("pia,pi->a", jacobian, gradient), rtol=1e-12)


def test_patches_and_nodes_that_nothing_touches_add_nothing():
    hessian, gradient = np.ones((60, 5, 5)), np.ones((60, 5))
    paths = scipy.sparse.csr_matrix(([2.0], ([7], [3])), shape=(300, 12))
    normal, slope = map_equations(hessian, gradient, paths)
    assert normal[3, 3] == 4.0 and slope[3] == 2.0
    assert np.count_nonzero(normal) == np.count_nonzero(slope) == 1


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("width", [1e-6, 4e-3])
def test_registration_in_closed_form(mirrored, width):
    """Half-angles between the centres of the pair's own sub-apertures, their mean over each; less of it nearby."""
    positions = np.array(Probe.linear(M, 4e-4).positions)
    positions = positions[::-1] if mirrored else positions
    centers = np.array([[0.0, 0.0, 8e-3], [3e-3, 0.0, 15e-3], [-2e-3, 0.0, 30e-3]])
    midpoint, offset = pairs_of(positions)
    found = registration(centers, offset, midpoint, width)
    angle = np.arctan2(positions[None, :, 0] - centers[:, 0, None], centers[:, 2, None])
    half = np.cos(0.5 * (angle[:, :, None] - angle[:, None]))
    a, b = half[:, :-1, 1:], half[:, 1:, :-1]
    depth = np.hypot(centers[:, 0, None, None] - midpoint[..., 0], centers[:, 2, None, None])
    share = 1 - 1.2 * np.exp(-depth / width)
    assert np.allclose(found[0] - 1, share * (0.5 * (a + b) / a - 1), rtol=1e-7, atol=1e-14)
    assert np.allclose(found[1] - 1, share * (0.5 * (a + b) / b - 1), rtol=1e-7, atol=1e-14)


def test_a_wrong_constant_is_seen_twice():
    """Far from the sub-apertures, what registration adds to e_A - e_B for a wrong constant is as much again."""
    positions = np.array(Probe.linear(M, 6e-4).positions)
    centers = np.array([[x, 0.0, z] for x in (-2e-3, 0.0, 1e-3) for z in (20e-3, 30e-3)])
    a, b = registration(centers, *pairs_of(positions)[::-1], 1e-6)
    error = np.linalg.norm(centers[:, None] - positions[None], axis=2) * (1 / 1500 - 1 / 1540)
    pair_a, pair_b = error[:, :-1, None] + error[:, None, 1:], error[:, 1:, None] + error[:, None, :-1]
    bare, seen = pair_a - pair_b, a * pair_a - b * pair_b
    assert np.abs(seen - 2 * bare).max() < 0.1 * np.abs(seen).max()


def test_equations_explain_a_wrong_constant():
    """Phases made from a wrong constant by the formula of the moved speckle are explained by the true one alone."""
    positions = np.array(Probe.linear(M, 6e-4).positions)
    centers = np.array([[x, 0.0, z] for x in (-2e-3, 0.0, 1e-3) for z in (8e-3, 12e-3)])
    factors = registration(centers, *pairs_of(positions)[::-1], 2e-3)
    length = np.linalg.norm(centers[:, None] - positions[None], axis=2)
    error = length * (1 / 1500 - 1 / 1540)
    seen_a = (error[:, :-1, None] + error[:, None, 1:]) * factors[0]
    seen_b = (error[:, 1:, None] + error[:, None, :-1]) * factors[1]
    phase = 2 * np.pi * F * (seen_a - seen_b)
    hessian, gradient = delay_equations(phase, np.ones_like(phase), factors, F)
    normal, slope = map_equations(hessian, gradient, scipy.sparse.csr_matrix(length.reshape(-1, 1)))
    change = -slope[0] / normal[0, 0]
    assert 1 / (1 / 1500 + change) == pytest.approx(1540, abs=1e-6)


def test_weights_sum_to_one_and_leave_out_what_does_not_correlate(rng):
    found = correlations(rng)
    weight = PhaseWeights(0.8, 0.1, 0.0, 0.0)(found, np.linspace(0.01, 0.03, 40))
    rho = np.abs(found.correlation).astype(float)
    assert weight.sum() == pytest.approx(1, rel=1e-12)
    counts = (rho > np.float32(0.8)) & ~np.eye(6, dtype=bool)  # a pair and its reciprocal always correlate
    assert np.array_equal(weight > 0, counts)
    expected = np.where(weight > 0, 1 / (0.5 * (1 - rho**2) / rho**2 + 0.01), 0)  # inverse variance of a phase
    assert np.allclose(weight, expected / expected.sum(), rtol=1e-6, atol=0)


def test_no_pair_above_the_threshold_weighs_nothing(rng):
    found = correlations(rng)
    weight = PhaseWeights(1.0, 0.1, 6.0, 2.0)(found, np.linspace(0.01, 0.03, 40))
    assert weight.shape == found.correlation.shape and not weight.any()
    only_reciprocal = np.where(np.eye(6, dtype=bool), found.correlation / np.abs(found.correlation), 0)
    found = dataclasses.replace(found, correlation=only_reciprocal)
    assert not PhaseWeights(0.5, 0.1, 6.0, 2.0)(found, np.linspace(0.01, 0.03, 40)).any()


def test_large_phases_count_less(rng):
    found = correlations(rng)
    depth = np.linspace(0.01, 0.03, 40)
    plain, robust = (PhaseWeights(0.0, 0.1, r, 0.0)(found, depth) for r in (0.0, 2.0))
    phase = np.abs(np.angle(found.correlation)).astype(float)
    factor = 1 / (1 + (phase / (2 * np.median(phase[plain > 0]))) ** 2)
    expected = plain * factor
    assert np.allclose(robust, expected / expected.sum(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("n", [5, 31, 80])
def test_bright_patches_count_less_and_the_others_alike(rng, n):
    found = correlations(rng, n)
    found.energy[n // 2] *= 40
    depth = rng.permutation(np.linspace(0.01, 0.03, n))
    plain, dimmed = (PhaseWeights(0.0, 0.1, 0.0, b)(found, depth) for b in (0.0, 2.0))
    ratio = dimmed.sum((1, 2)) / plain.sum((1, 2))
    others = np.delete(ratio, n // 2)
    assert np.allclose(others, others[0], rtol=1e-9)
    assert ratio[n // 2] / others[0] == pytest.approx((1 + 0.5**4) / (1 + 20**4), rel=1e-5)


def test_brightness_is_relative_to_patches_as_deep(rng):
    """Energy that falls with depth, as by attenuation, dims nothing more than a median of neighbours does."""
    found = correlations(rng, 200)
    depth = np.linspace(0.01, 0.04, 200)
    found.energy[...] = np.exp(-100 * depth)[:, None, None]
    plain, dimmed = (PhaseWeights(0.0, 0.1, 0.0, 2.0 * b)(found, depth) for b in (0, 1))
    ratio = dimmed.sum((1, 2)) / plain.sum((1, 2))
    assert ratio.max() / ratio.min() < 1.15
