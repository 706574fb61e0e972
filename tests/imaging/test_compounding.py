"""Compounding: exact cases, speckle statistics and bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError


def speckle(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype("c8")


def test_means_before_and_after_detection():
    stack = np.array([[1, 1j], [1, -1j], [-2, 0]], "c8")
    np.testing.assert_allclose(sonoray.compound_coherent(stack), [0, 0])
    np.testing.assert_allclose(sonoray.compound_incoherent(stack), [4 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(sonoray.compound_coherent(stack, axis=1), [0.5 + 0.5j, 0.5 - 0.5j, -1])


def test_incoherent_looks_raise_speckle_snr_by_their_square_root():
    snr = sonoray.speckle_snr(sonoray.compound_incoherent(speckle((9, 40_000))))
    assert snr == pytest.approx(3 * 1.913, rel=0.02)  # 40 000 points: 0.5 % statistical, three deviations
    assert sonoray.speckle_snr(np.abs(sonoray.compound_coherent(speckle((9, 40_000))))) == pytest.approx(
        1.913, rel=0.02
    )


def test_coherence_factor_of_agreement_noise_and_silence():
    one = speckle(1000)
    np.testing.assert_allclose(sonoray.coherence_factor(np.stack([one] * 5)), 1, rtol=1e-5)
    assert sonoray.coherence_factor(speckle((16, 20_000))).mean() == pytest.approx(1 / 16, rel=0.03)
    np.testing.assert_array_equal(sonoray.coherence_factor(np.zeros((4, 3), "c8")), 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.floats(1e-3, 1e3), st.integers(0, 10_000))
def test_coherence_factor_is_bounded_and_scale_free(n, points, scale, seed):
    stack = speckle((n, points), seed)
    factor = sonoray.coherence_factor(stack)
    assert (factor >= 0).all() and (factor <= 1).all()
    np.testing.assert_allclose(sonoray.coherence_factor(stack * np.float32(scale)), factor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("f", [sonoray.compound_coherent, sonoray.compound_incoherent, sonoray.coherence_factor])
def test_refusals_name_the_argument(f):
    for bad, named in [
        (np.zeros((2, 2), "u1"), "stack.*float or complex"),
        (np.zeros((0, 2)), "stack"),
        (np.array([[np.nan, 1.0]]), "stack.*finite"),
    ]:
        with pytest.raises(ArgumentError, match=named):
            f(bad)
    with pytest.raises(ArgumentError, match="axis"):
        f(np.ones((2, 2)), axis=2)


def test_decibels_are_not_averaged():
    with pytest.raises(ArgumentError, match="envelope"):
        sonoray.compound_incoherent(np.array([[-3.0], [-6.0]]))
