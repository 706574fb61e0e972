"""Gains of elements: what was put in must come out, whatever else is in the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError
from sonoray.inversion.gains import KINDS, ROBUST, fit_gains, robust_weights

N_TX, N_RX = 20, 28


def complex_noise(rng, *shape):
    """Of unit variance."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(0.5)


def element_gains(rng, *shape):
    """Any phase, a few decibels."""
    return np.exp(0.3 * rng.standard_normal(shape) + 2j * np.pi * rng.random(shape))


def case(seed, kind="rank_one", n_f=None):
    """Model, gains (transmit, receive) of a kind, weights with a quarter left out."""
    rng = np.random.default_rng(seed)
    lead = () if n_f is None else (n_f,)
    model = complex_noise(rng, *lead, N_TX, N_RX)
    a, b = element_gains(rng, *lead, N_TX), element_gains(rng, *lead, N_RX)
    if kind not in {"emitter", "rank_one"}:
        a[:] = 1
    if kind not in {"receiver", "rank_one"}:
        b[:] = (0.3 - 2j) if kind == "common" else 1
    weights = (rng.random((N_TX, N_RX)) > 0.25).astype("f4")
    return rng, model, a[..., :, None] * b[..., None, :], weights


@pytest.mark.parametrize("robust", ROBUST)
@pytest.mark.parametrize("kind", KINDS)
def test_exact_gains_come_back(kind, robust):
    _, model, truth, weights = case(1, kind, n_f=2)
    gains = fit_gains(model, truth * model, weights, kind=kind, robust=robust)
    np.testing.assert_allclose(gains.pairs, truth, atol=2e-6 * np.abs(truth).max())
    np.testing.assert_allclose(gains.apply(model), truth * model, rtol=1e-5)
    np.testing.assert_allclose(gains.remove(truth * model), model, rtol=1e-5)
    assert gains.scatter.max() < 1e-6
    assert gains.transmit.shape == (2, N_TX)
    assert gains.receive.shape == (2, N_RX)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["huber", "tukey"]), st.floats(1.0, 1e4))
def test_two_percent_of_wild_data_do_not_matter(seed, robust, size):
    """15 to 21 data per gain with 1 % of noise: 0.3 % each, four standard deviations over all pairs."""
    rng, model, truth, weights = case(seed)
    data = truth * model + 0.01 * complex_noise(rng, N_TX, N_RX)
    wild = rng.random(data.shape) < 0.02
    data = np.where(wild, size * complex_noise(rng, N_TX, N_RX), data)
    gains = fit_gains(model, data, weights, robust=robust)
    assert np.sqrt(np.mean(np.abs(gains.pairs / truth - 1) ** 2)) < 0.012
    assert gains.scatter == pytest.approx(0.009, rel=0.4)  # 315 data, 47 unknowns
    counted = wild & (weights > 0) & (np.abs(data - truth * model) > 0.2)
    assert (gains.weights[counted] < 0.15).all()


def test_least_squares_would_not_withstand_them():
    rng, model, truth, weights = case(0)
    data = np.where(rng.random(model.shape) < 0.02, 100, truth * model)
    plain, robust = (fit_gains(model, data, weights, robust=r).pairs for r in ("none", "huber"))
    assert np.abs(plain / truth - 1).max() > 1
    assert np.abs(robust / truth - 1).max() < 0.02


@pytest.mark.parametrize("unit_modulus", [False, True])
@pytest.mark.parametrize("robust", ["huber", "none"])
def test_gains_on_the_data_change_nothing(robust, unit_modulus):
    """Data over gain is the same whatever rank-one gains the data carry, also where the model is wrong by a third."""
    rng, model, _, weights = case(5)
    data = model + 0.3 * complex_noise(rng, N_TX, N_RX)
    extra = np.outer(element_gains(rng, N_TX), element_gains(rng, N_RX))
    if unit_modulus:
        extra /= np.abs(extra)
    options = {"robust": robust, "unit_modulus": unit_modulus, "iterations": 200}
    before = fit_gains(model, data, weights, **options)
    after = fit_gains(model, extra * data, weights, **options)
    change = np.abs(after.remove(extra * data) - before.remove(data))[weights > 0]
    assert change.max() < 1e-3  # iterations end at changes of 1e-5


@pytest.mark.parametrize("unit_modulus", [False, True])
def test_elements_that_do_both_share_a_factor(unit_modulus):
    rng = np.random.default_rng(2)
    elements = rng.permutation(N_RX)[:N_TX]
    g = element_gains(rng, N_RX)
    truth = 0.5j * np.outer(g[elements], g)
    if unit_modulus:
        truth /= np.abs(truth)
    model = complex_noise(rng, N_TX, N_RX)
    data = truth * model + 0.05 * complex_noise(rng, N_TX, N_RX)
    shared = fit_gains(model, data, elements=elements, unit_modulus=unit_modulus)
    free = fit_gains(model, data, unit_modulus=unit_modulus)
    wrong, freely = (np.sqrt(np.mean(np.abs(f.pairs / truth - 1) ** 2)) for f in (shared, free))
    assert wrong < 0.04
    assert wrong < freely  # half the unknowns
    ratio = shared.transmit / shared.receive[elements]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_published_gains_are_one_division():
    rng, model, truth, weights = case(7)
    data = truth * model + 0.3 * complex_noise(rng, N_TX, N_RX)
    gains = fit_gains(model, data, weights, kind="receiver", robust="none")
    want = (weights * np.conj(model) * data).sum(axis=0) / (weights * np.abs(model) ** 2).sum(axis=0)
    np.testing.assert_allclose(gains.receive, want, rtol=1e-6)
    np.testing.assert_array_equal(gains.transmit, 1)


def test_unit_modulus_fits_phases_only():
    _, model, truth, weights = case(9)
    phases = truth / np.abs(truth)
    gains = fit_gains(model, 3 * phases * model, weights, unit_modulus=True)
    np.testing.assert_allclose(np.abs(gains.pairs), 1, rtol=1e-12)
    np.testing.assert_allclose(gains.pairs, phases, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_elements_without_data_have_gain_one_and_weight_zero(kind):
    _, model, truth, weights = case(11, kind)
    data = truth * model
    weights[3] = weights[:, 5] = 0
    data[3] = data[:, 5] = np.nan
    model[7] = 0  # no wave arrives
    if kind != "none":
        data[:, 9] = 0 if kind in {"receiver", "rank_one"} else data[:, 9]  # a dead receiver that nobody left out
    gains = fit_gains(model, data, weights, kind=kind)
    assert np.isfinite(gains.pairs).all()
    assert (gains.pairs != 0).all()
    assert gains.transmit[3] == 1
    assert gains.transmit[7] == 1
    assert not gains.weights[3].any()
    assert not gains.weights[7].any()
    assert not gains.weights[:, 5].any()
    if kind in {"receiver", "rank_one"}:
        assert gains.receive[5] == gains.receive[9] == 1
        assert not gains.weights[:, 9].any()
    else:
        assert gains.receive[5] == gains.receive[6]
    used = gains.weights > 0
    np.testing.assert_allclose(gains.pairs[used], truth[used], rtol=2e-5)
    silent = fit_gains(model, data, np.zeros_like(weights), kind=kind)
    np.testing.assert_array_equal(silent.pairs, 1)


def test_frequencies_are_fitted_one_by_one():
    _, model, truth, weights = case(13, n_f=3)
    data = truth * model
    both = fit_gains(model, data, weights)
    for k in range(3):
        one = fit_gains(model[k], data[k], weights)
        np.testing.assert_array_equal(one.pairs, both.pairs[k])
        assert one.scatter == both.scatter[k]
    assert "20 emitters, 28 receivers" in repr(both)


def test_gauge_is_fixed():
    _, model, truth, weights = case(15)
    gains = fit_gains(model, truth * model, weights)
    assert abs(np.log(np.abs(gains.transmit)).mean()) < 1e-9
    assert abs(np.angle(gains.transmit.mean())) < 1e-9


def test_robust_standard_deviation_is_that_of_complex_noise():
    noise = 3 * complex_noise(np.random.default_rng(0), 100_000)
    for robust in ROBUST:
        weights, sigma = robust_weights(noise, np.ones(noise.shape), robust=robust)
        assert sigma == pytest.approx(3, rel=0.01)
        assert 0 <= weights.min() <= weights.max() <= 1
    np.testing.assert_array_equal(weights, 1)
    assert robust_weights(np.array([1.0, 50.0]), np.ones(2), scale=1.0)[0] == pytest.approx([1, 0.03])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": np.ones((3, 4))}, "model, data"),
        ({"weights": np.ones((3, 4))}, "weights"),
        ({"weights": -np.ones((N_TX, N_RX))}, "weights"),
        ({"kind": "both"}, "kind"),
        ({"robust": True}, "robust"),
        ({"iterations": 0}, "iterations"),
        ({"elements": np.arange(N_TX) + 20}, "elements"),
        ({"elements": np.arange(3)}, "elements"),
        ({"elements": np.arange(N_TX), "kind": "receiver"}, "elements"),
        ({"data": np.full((N_TX, N_RX), np.nan)}, "model, data"),
    ],
)
def test_wrong_arguments_are_named(change, named):
    arguments = {"model": np.ones((N_TX, N_RX)), "data": np.ones((N_TX, N_RX)), **change}
    with pytest.raises(ArgumentError, match=f"^{named}"):
        fit_gains(**arguments)
