"""Wall filters that do not learn: responses against theory, what stands still, what flows."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, FirFilter, HankelFilter, IirFilter, PolynomialFilter
from sonoray.imaging.wall_filters import apply_wall_filter, wall_filter_response

V = np.linspace(-1, 1, 201)
CUTOFF = 0.25
STEEP = [
    PolynomialFilter(3),
    FirFilter(CUTOFF),
    IirFilter(CUTOFF),
    IirFilter(CUTOFF, kind="butterworth"),
    IirFilter(CUTOFF, initialization="step"),
]


def name(wall_filter):
    return (
        f"{type(wall_filter).__name__}-{getattr(wall_filter, 'kind', '')}-{getattr(wall_filter, 'initialization', '')}"
    )


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype("c8")


@pytest.mark.parametrize("n", [8, 33])
def test_removing_the_mean_has_the_response_of_dirichlets_kernel(n):
    omega = np.pi * V
    with np.errstate(invalid="ignore"):
        kernel = np.sin(n * omega / 2) / (n * np.sin(omega / 2))
    expected = 1 - np.where(np.abs(V) < 1e-12, 1, kernel) ** 2
    np.testing.assert_allclose(wall_filter_response(0, n, V), expected, atol=1e-6)


def test_the_polynomial_is_the_orthogonal_projection_in_double():
    frames = noise(11, 5)
    powers = np.vander(np.linspace(0, 1, 11), 4)
    expected = frames - powers @ np.linalg.lstsq(powers, frames.astype("c16"))[0]
    np.testing.assert_allclose(PolynomialFilter(3)(frames), expected, atol=2e-6)


def test_a_polynomial_in_uneven_times_is_removed():
    times = np.cumsum([1e-3, 1.5e-3] * 6)
    drift = (2 + 3j * times * 1e3 - times**2 * 1e6)[:, None] * np.ones(3)
    assert np.abs(PolynomialFilter(2, times)(drift)).max() < 1e-5 * np.abs(drift).max()
    assert np.abs(PolynomialFilter(2)(drift)).max() > 1e-3 * np.abs(drift).max()


@pytest.mark.parametrize(("order", "cutoff"), [(None, 0.25), (None, 0.1), (8, 0.3)])
def test_fir_response_is_that_of_its_taps_for_any_ensemble(order, cutoff):
    fir = FirFilter(cutoff, order)
    taps = fir.taps()
    theory = np.abs(scipy.signal.freqz(taps, worN=np.pi * V)[1]) ** 2
    np.testing.assert_allclose(wall_filter_response(fir, fir.order + 7, V), theory, atol=1e-5)
    np.testing.assert_allclose(taps, taps[::-1])
    assert abs(taps.sum()) < 1e-12


def test_fir_of_automatic_order_keeps_within_one_decibel_and_is_the_shortest():
    fir = FirFilter(CUTOFF)
    above = 10 * np.log10(wall_filter_response(fir, fir.order + 2, np.linspace(CUTOFF, 1, 300)))
    assert np.abs(above).max() < 1.0
    shorter = FirFilter(CUTOFF, fir.order - 2)
    assert np.abs(10 * np.log10(wall_filter_response(shorter, fir.order, np.linspace(CUTOFF, 1, 300)))).max() > 1.0


@pytest.mark.parametrize("kind", ["chebyshev", "butterworth"])
def test_iir_loses_its_ripple_at_the_cutoff_and_settles_to_its_design(kind):
    iir = IirFilter(CUTOFF, kind=kind)
    at = np.abs(scipy.signal.freqz(*iir.coefficients(), worN=[np.pi * CUTOFF])[1])
    np.testing.assert_allclose(20 * np.log10(at), -0.5, atol=1e-9)
    theory = np.abs(scipy.signal.freqz(*iir.coefficients(), worN=np.pi * V)[1]) ** 2
    # the transient's share of a long ensemble is a few frames in 4000
    np.testing.assert_allclose(wall_filter_response(iir, 4000, V), theory, atol=5e-3)


def test_projection_leaves_the_least_energy_of_all_initial_states():
    frames, iir = noise(20, 6), IirFilter(0.2)
    b, a = iir.coefficients()
    least = (np.abs(iir(frames)) ** 2).sum(axis=0)
    for seed in range(20):
        state = noise(4, 6, seed=seed) * 0.3
        y = scipy.signal.lfilter(b, a, frames.astype("c16"), axis=0, zi=state)[0]
        assert ((np.abs(y) ** 2).sum(axis=0) >= least * (1 - 1e-5)).all()
    # and it is one of them: the difference to any is the ringing of some state
    ringing = scipy.signal.lfilter(b, a, np.zeros((20, 4)), axis=0, zi=np.eye(4))[0]
    rest = iir(frames) - scipy.signal.lfilter(b, a, frames.astype("c16"), axis=0)
    np.testing.assert_allclose(rest - ringing @ np.linalg.lstsq(ringing, rest)[0], 0, atol=1e-5)


@pytest.mark.parametrize("wall_filter", [0, *STEEP, HankelFilter(0.1)], ids=name)
def test_what_stands_still_falls_by_more_than_60_decibel(wall_filter):
    still = np.broadcast_to(1e3 * noise(5, 4), (40, 5, 4))
    left = apply_wall_filter(still, wall_filter)
    assert 20 * np.log10(np.abs(left).max() / np.abs(still).max()) < -60


@pytest.mark.parametrize("wall_filter", STEEP, ids=name)
def test_flow_above_the_cutoff_is_kept_within_one_decibel(wall_filter):
    """Recursive filters lose 0.5 dB at the cutoff and ring there: over 256 frames transients count little."""
    recursive = isinstance(wall_filter, IirFilter)
    for n, low in ((256 if recursive else 64, CUTOFF), (64, 1.2 * CUTOFF)):
        kept = 10 * np.log10(wall_filter_response(wall_filter, n, np.r_[-1:-low:40j, low:1:40j]))
        assert np.abs(kept).max() < 1.0


@pytest.mark.parametrize("wall_filter", STEEP[1:], ids=name)
def test_slow_drift_is_stopped(wall_filter):
    assert 10 * np.log10(wall_filter_response(wall_filter, 40, [0.02, -0.02])).max() < -35


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.integers(24, 60), st.integers(0, 2**32 - 1))
def test_filters_are_linear_and_act_on_each_point(which, n, seed):
    f = [PolynomialFilter(2), FirFilter(0.3), IirFilter(0.2), IirFilter(0.2, initialization="step"), HankelFilter(0.1)]
    wall_filter, frames = f[which], noise(n, 3, 2, seed=seed)
    whole = wall_filter(frames)
    np.testing.assert_allclose(whole[:, 1, 1], wall_filter(frames[:, 1:2, 1:2])[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(wall_filter(2j * frames), 2j * whole, atol=1e-4)
    if which < 4:
        other = noise(n, 3, 2, seed=seed + 1)
        np.testing.assert_allclose(wall_filter(frames + other), whole + wall_filter(other), atol=2e-5)


def test_every_estimator_takes_any_filter():
    flow = np.exp(1j * np.pi * 0.5 * np.arange(48))[:, None] * noise(1, 6) + 100 * noise(1, 6, seed=1)
    limit = sonoray.nyquist_velocity(5e6, 4e3)
    for wall_filter in (2, FirFilter(0.3), IirFilter(0.3), lambda frames: frames - frames.mean(axis=0)):
        v = sonoray.doppler_velocity(flow, 5e6, 4e3, wall_filter=wall_filter)
        np.testing.assert_allclose(v, 0.5 * limit, atol=0.02 * limit)
    power = sonoray.doppler_power(flow, wall_filter=FirFilter(0.3))
    np.testing.assert_allclose(power, np.abs(noise(1, 6)[0]) ** 2, rtol=0.25)  # 1 dB


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda q: IirFilter(1.5), "cutoff.*fraction of Nyquist"),
        (lambda q: IirFilter(0.1, kind="bessel"), "kind.*chebyshev"),
        (lambda q: IirFilter(0.1, initialization="none"), "initialization"),
        (lambda q: IirFilter(0.1)(q[:5]), "wall_filter.*6 frames"),
        (lambda q: FirFilter(0.2, 7), "order.*even"),
        (lambda q: FirFilter(0.2, stop=0.3), "stop.*below the cutoff"),
        (lambda q: FirFilter(0.06, stop=0.055), "cutoff.*raise it"),
        (lambda q: FirFilter(0.2)(q), "wall_filter.*frames or more"),
        (lambda q: PolynomialFilter(-1), "wall_filter"),
        (lambda q: PolynomialFilter(1, [0, 1, 1]), "times.*rising"),
        (lambda q: PolynomialFilter(1, [0, 1, 2])(q), "times.*12 frames"),
        (lambda q: HankelFilter(length=12)(q), "length"),
        (lambda q: IirFilter(0.1)(q.real), "iq.*complex"),
        (lambda q: apply_wall_filter(q, lambda f: f[0]), "wall_filter.*from it"),
        (lambda q: apply_wall_filter(q, lambda f: np.abs(f)), "wall_filter.*from it"),
        (lambda q: apply_wall_filter(q, lambda f: f * np.nan), "finite"),
        (lambda q: apply_wall_filter(q, "svd"), "wall_filter"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(noise(12, 3))
