"""Adaptive beamformers against their float64 twins: every method, order, sample type, grid and receive model."""

from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray import AdaptiveBeamformer, Beamformer, ChannelData, Sampling, coherence_factor
from sonoray.beamforming.adaptive_methods import (
    METHODS,
    Capon,
    CoherenceFactor,
    DelayMultiplyAndSum,
    Eigenspace,
    GeneralizedCoherenceFactor,
    PhaseCoherence,
    PowerDas,
    ShortLagCoherence,
    SignCoherence,
    adaptive_method,
)
from sonoray.beamforming.echoes import simulate_echoes
from tests.beamforming.test_das import C0, FC, FS, LINEAR, make_arrivals, make_samples
from tests.reference.adaptive import adaptive_image, delayed_signals

# As in test_das, and what is made of the signals: roots and ratios pass errors on without making them larger, a
# covariance that is loaded with 1 % of its mean eigenvalue by at most a hundred times, of single points.
TOLERANCE, INVERTED = 3e-4, 3e-3
CASES = {
    "coherence factor": CoherenceFactor(),
    "generalised": GeneralizedCoherenceFactor(),
    "generalised, all": GeneralizedCoherenceFactor(cutoff=50),
    "phase": PhaseCoherence(gamma=0.7),
    "sign": SignCoherence(),
    "sign, squared": SignCoherence(power=2),
    "dmas": DelayMultiplyAndSum(),
    "pdas": PowerDas(),
    "pdas 3": PowerDas(p=3),
    "capon": Capon(),
    "capon, smoothed": Capon(subarray=0.3, diagonal_loading=0.1, temporal_samples=2),
    "eigenspace": Eigenspace(threshold=0.0),
    "short lag": ShortLagCoherence(max_lag=0.3, temporal_samples=2),
}


def sampling_of(iq=True, **more):
    return Sampling(FS, 600, demodulation_frequency=FC if iq else 0.0, **more)


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def tolerance(method):
    return INVERTED if isinstance(method, Capon) else TOLERANCE


def compare(
    rng, method, *, kind="complex64", n_frames=1, device="cpu", start_time=0.0, options=None, grid="free points",
    change=None, **case,
):  # fmt: skip
    """The relative error of a beamformer against its twin; ``change``: of the arrivals."""
    arrivals = make_arrivals(rng, grid=grid, **case)
    arrivals = replace(arrivals, **change(arrivals)) if change else arrivals
    samples = make_samples(rng, arrivals, kind, n_frames)
    sampling = sampling_of(kind in ("complex64", "int16 pairs"), start_time=start_time)
    options = {"f_number": 1.3731, **(options or {})}  # no element just at the end of a point's aperture
    beamform = AdaptiveBeamformer(arrivals, sampling, method, device=device, **options)
    got = beamform(samples if device == "cpu" else sonoray.to_device(samples, device))
    plain = samples[..., 0] + 1j * samples[..., 1] if kind == "int16 pairs" else samples
    want = adaptive_image(arrivals, sampling, plain, beamform.method, **options)
    got = sonoray.to_host(got)
    assert got.shape == want.shape
    return error(got, want)


@pytest.mark.parametrize("name", CASES)
def test_methods(rng, name, device):
    method = CASES[name]
    assert compare(rng, method, grid="3-D", device=device, start_time=1e-6) < tolerance(method)


@pytest.mark.parametrize("kind", ["float32", "int16", "int16 pairs"])
def test_sample_types(rng, kind, device):
    for method in (CoherenceFactor(), SignCoherence(), PowerDas(p=3), Capon(temporal_samples=1), ShortLagCoherence()):
        assert compare(rng, method, kind=kind, device=device, n_tx=2) < tolerance(method)


@pytest.mark.parametrize(
    "options",
    [
        {"compounding": "coherent"},
        {"compounding": "incoherent"},
        {"compounding": "none"},
        {"over": "transmit"},
        {"over": "transmit", "window": "hann"},
        {"f_number": None},
        {"window": "hamming"},
        {"window": ("tukey", 0.3), "compounding": "none"},
        {"interpolation": "cubic"},
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", [False, True])
def test_options(rng, options, weights, device):
    for method in (CoherenceFactor(), GeneralizedCoherenceFactor(1), PowerDas(), Capon(0.4, 0.1, 1)):
        if method.finds_weights and "window" in options and "over" not in options:
            continue
        assert compare(rng, method, device=device, options=options, weights=weights) < tolerance(method)


@pytest.mark.parametrize("grid", ["2-D", "sector", "one line", "one row", "one point", "coarse", "free points"])
def test_grids(rng, grid, device):
    for method in (GeneralizedCoherenceFactor(), Capon(diagonal_loading=0.1)):
        assert compare(rng, method, grid=grid, device=device) < tolerance(method)


@pytest.mark.parametrize("probe", ["curvilinear", "matrix", "ring", "one element"])
def test_probes(rng, probe, device):
    for method in (PhaseCoherence(), SignCoherence(), DelayMultiplyAndSum(), PowerDas()):
        if probe == "one element" and method.name == "dmas":
            continue  # no pairs: an image of zeros, below
        assert compare(rng, method, probe=probe, device=device) < tolerance(method)


ORDERED = [
    GeneralizedCoherenceFactor(cutoff=1),
    Capon(0.4, 0.1, 1),
    Eigenspace(threshold=0.0),
    ShortLagCoherence(max_lag=0.4, temporal_samples=1),
]


@pytest.mark.parametrize("method", ORDERED, ids=lambda m: m.name)
def test_apertures_with_gaps(rng, method, device):
    """Neighbours are those of the active signals, whatever lies between them and whichever other points see."""

    def normals(arrivals):  # every third element looks to the left, every other third to the right
        tilt = np.array([0.0, 0.45, -0.45])[np.arange(arrivals.probe.n_elements) % 3]
        turned = np.stack([np.sin(tilt), 0 * tilt, np.cos(tilt)], axis=1)
        return {"probe": replace(arrivals.probe, normals=turned)}

    assert compare(rng, method, device=device, change=normals) < tolerance(method)

    def weights(arrivals):  # of any transmits at any point
        shape = arrivals.tx_time.shape
        return {"tx_weight": (rng.random(shape) * rng.integers(0, 2, shape)).astype(np.float32)}

    assert compare(rng, method, device=device, n_tx=9, options={"over": "transmit"}, change=weights) < tolerance(method)


@pytest.mark.parametrize("method", ORDERED, ids=lambda m: m.name)
@pytest.mark.parametrize("probe", ["matrix", "ring", "free"])
def test_neighbours_need_a_row(rng, method, probe):
    arrivals = make_arrivals(rng, probe="linear" if probe == "free" else probe)
    if probe == "free":
        arrivals = replace(arrivals, probe=replace(arrivals.probe, kind="free"))
    with pytest.raises(sonoray.ArgumentError, match=f"method: {method.name} expects elements in a row .*got a {probe}"):
        AdaptiveBeamformer(arrivals, sampling_of(), method)
    AdaptiveBeamformer(arrivals, sampling_of(), method, over="transmit")  # which are in a row


def test_eikonal_table(rng, device):
    for method in (CoherenceFactor(), Capon(diagonal_loading=0.1)):
        assert compare(rng, method, grid="3-D", table=True, device=device) < tolerance(method)


def test_eigenvectors_that_are_kept(rng, device):
    """A strong echo in noise: its eigenvector alone is above the threshold nearly everywhere."""
    arrivals = make_arrivals(rng, grid="3-D", n_tx=1)
    t = np.arange(600) / FS
    samples = 0.1 * make_samples(rng, arrivals, "complex64") + np.exp(-2j * np.pi * FC * t).astype(np.complex64)
    for threshold in (0.3, 0.5):
        beamform = AdaptiveBeamformer(
            arrivals, sampling_of(), Eigenspace(threshold=threshold), f_number=1.3731, device=device
        )
        got = sonoray.to_host(beamform(samples if device == "cpu" else sonoray.to_device(samples, device)))
        want = adaptive_image(arrivals, sampling_of(), samples, beamform.method, f_number=1.3731)
        # An eigenvalue that rounding takes across the threshold changes its point: few do.
        off = np.abs(got - want) > 1e-2 * np.abs(want).max()
        assert off.mean() < 0.01
        assert error(got[~off], want[~off]) < INVERTED


@pytest.mark.parametrize("method", [m() for m in METHODS.values() if not m.is_coherence], ids=lambda m: m.name)
@pytest.mark.parametrize("window", ["boxcar", "hann"])
def test_equal_signals_are_summed(rng, method, window):
    """A point whose signals agree is worth what delay-and-sum says, to any power of ten."""
    if method.finds_weights and window != "boxcar":
        return
    arrivals = make_arrivals(rng, n_tx=1)
    t = np.arange(600) / FS
    slow = Sampling(FS, 600, demodulation_frequency=5e4)  # which linear interpolation follows
    for scale in (1e-24, 1.0, 1e15):
        samples = np.broadcast_to(scale * np.exp(-2j * np.pi * 5e4 * t), (1, 1, 24, 600)).astype(np.complex64)
        want = Beamformer(arrivals, slow, window=window)(samples)
        got = AdaptiveBeamformer(arrivals, slow, method, window=window)(samples)
        seen = np.abs(want) > 0
        pairs = np.abs(Beamformer(arrivals, slow)(samples)) > 2.5 * scale  # DMAS needs two that count
        kept = seen & pairs if method.name == "dmas" else seen
        assert kept.any()
        if method.name in ("dmas", "sign-coherence"):  # twice the phase; each part with its own sign, both all equal
            np.testing.assert_allclose(np.abs(got[kept]), np.abs(want[kept]), rtol=2e-3)
        else:
            np.testing.assert_allclose(got[kept], want[kept], rtol=2e-3, atol=1e-3 * scale)


def test_short_lags_of_equal_signals(rng):
    arrivals = make_arrivals(rng, n_tx=1)
    samples = np.ones((1, 1, 24, 600), np.float32)
    got = AdaptiveBeamformer(arrivals, sampling_of(iq=False), "short-lag-coherence", f_number=None)(samples)
    np.testing.assert_allclose(got, 1, atol=1e-5)


def test_coherence_factor_is_that_of_images(rng):
    """One name, one meaning: `sonoray.coherence_factor` of the elements' signals, or of the transmits' images."""
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, "complex64")
    options = {"f_number": None}
    images = Beamformer(arrivals, sampling_of(), compounding="none", **options)(samples)[0]
    got = AdaptiveBeamformer(arrivals, sampling_of(), CoherenceFactor(), over="transmit", **options)(samples)[0]
    assert error(got, images.sum(axis=0) * coherence_factor(images)) < TOLERANCE
    signals = delayed_signals(arrivals, sampling_of(), samples[0], None)[0].sum(axis=0)
    want = (signals.sum(axis=0) * coherence_factor(signals.astype(np.complex64))).reshape(arrivals.grid.shape)
    got = AdaptiveBeamformer(arrivals, sampling_of(), CoherenceFactor(), **options)(samples)[0]
    assert error(got, want) < TOLERANCE


def test_rf_is_the_real_part_of_what_iq_gives(rng):
    """Sign coherence treats I/Q as two RF signals in quadrature."""
    arrivals = make_arrivals(rng, n_tx=1)
    t = np.arange(600) / FS
    wave = rng.standard_normal((24, 1)) * np.exp(2j * np.pi * (FC * t + rng.random((24, 1))))
    shape = (1, 1, 24, 600)
    options = {"f_number": None, "interpolation": "cubic"}
    iq = (wave * np.exp(-2j * np.pi * FC * t)).astype(np.complex64).reshape(shape)
    got = AdaptiveBeamformer(arrivals, sampling_of(), "sign-coherence", **options)(iq).real
    rf = wave.real.astype(np.float32).reshape(shape)
    want = AdaptiveBeamformer(arrivals, sampling_of(iq=False), "sign-coherence", **options)(rf)
    # RF is interpolated at a fifth of the sampling frequency: by cubics to about 2 %, and signs may flip.
    assert np.median(np.abs(got - want)) < 0.02 * np.abs(want).max()


def test_silence_and_single_signals(rng):
    arrivals = make_arrivals(rng, probe="one element", n_tx=1)
    samples = make_samples(rng, arrivals, "complex64")
    for name in METHODS:
        silent = AdaptiveBeamformer(arrivals, sampling_of(), name)(0 * samples)
        assert not silent.any(), name
    assert not AdaptiveBeamformer(arrivals, sampling_of(), "dmas")(samples).any()  # no pairs
    assert not AdaptiveBeamformer(arrivals, sampling_of(), "short-lag-coherence")(samples).any()


def test_threads_frames_and_out(rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, "complex64", n_frames=3)
    beamform = AdaptiveBeamformer(arrivals, sampling_of(), Capon(temporal_samples=1))
    all_at_once = beamform(samples)
    for f in range(3):
        np.testing.assert_array_equal(beamform(samples[f : f + 1])[0], all_at_once[f])
    np.testing.assert_array_equal(beamform(np.asfortranarray(samples)), all_at_once)
    beamform._plan["index"] = 1  # threads
    out = np.empty_like(all_at_once)
    assert beamform(samples, out=out) is out
    np.testing.assert_array_equal(out, all_at_once)


def test_channel_data(rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, "complex64")
    transmits = [sonoray.Transmit.single(e) for e in range(3)]
    data = ChannelData(samples, LINEAR, transmits, FS, demodulation_frequency=FC)
    beamform = AdaptiveBeamformer(arrivals, data, "capon")
    np.testing.assert_array_equal(beamform(data), beamform(samples))
    assert "capon" in repr(beamform).lower() and "2-D" not in repr(beamform)


def test_resolution_and_contrast_as_published():
    """Capon is sharper than the coherence factor, that sharper and its cysts darker than delay-and-sum."""
    rng = np.random.default_rng(0)
    probe = sonoray.Probe.linear(48, 0.3e-3, width=0.27e-3, center_frequency=FC)
    x, z = rng.uniform(-4e-3, 4e-3, 2000), rng.uniform(11e-3, 19e-3, 2000)
    hollow = np.where(np.hypot(x, z - 15e-3) < 2e-3, 0.0, rng.standard_normal(2000))

    def images(points, amplitudes, grid):
        data = simulate_echoes(
            C0, probe, sonoray.plane_waves([0.0]), points, amplitudes, sampling_frequency=10e6, start_time=12e-6,
            duration=30e-6, snr=40,
        )  # fmt: skip
        times = sonoray.arrivals(data.transmits, probe, grid, C0)
        das = np.abs(Beamformer(times, data, f_number=1.2)(data)[0])
        return das, *(
            np.abs(AdaptiveBeamformer(times, data, m, f_number=1.2)(data)[0]) for m in ("coherence-factor", "capon")
        )

    step = 10e-6
    row = sonoray.Grid.from_extent(x=(-1e-3, 1e-3), z=(15e-3, 15.05e-3), spacing=(step, 0.05e-3))
    widths = [sonoray.fwhm(image[:, 0], step) for image in images([[0.0, 0.0, 15e-3]], [1.0], row)]
    das, factor, capon = widths
    assert 2 * capon < factor < 0.9 * das, widths
    grid = sonoray.Grid.from_extent(x=(-3.5e-3, 3.5e-3), z=(12e-3, 18e-3), spacing=0.15e-3)
    p = grid.points()
    distance = np.hypot(p[..., 0], p[..., 2] - 15e-3)
    das, factor, _ = (
        sonoray.contrast(image[distance < 1.4e-3], image[distance > 2.6e-3])
        for image in images(np.stack([x, 0 * x, z], axis=1), hollow, grid)
    )
    assert factor < das - 6, (factor, das)  # decibels


def test_method_by_name():
    assert adaptive_method("capon", subarray=0.3) == Capon(subarray=0.3)
    assert adaptive_method(PowerDas(3)) == PowerDas(p=3)
    assert all(adaptive_method(name).name == name for name in METHODS)
    with pytest.raises(sonoray.ArgumentError, match="method: expected one of"):
        adaptive_method("minimum variance")
    with pytest.raises(sonoray.ArgumentError, match="gamma: expected one of subarray, diagonal_loading"):
        adaptive_method("capon", gamma=1)
    with pytest.raises(sonoray.ArgumentError, match="p: expected settings with a method's name"):
        adaptive_method(PowerDas(3), p=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Capon(subarray=1.5), "subarray: .*got 1.5"),
        (lambda: Capon(subarray=16), "subarray: .*got 16"),
        (lambda: Capon(diagonal_loading=-1), "diagonal_loading: "),
        (lambda: Capon(temporal_samples=-1), "temporal_samples: "),
        (lambda: Eigenspace(threshold=2), "threshold: "),
        (lambda: PowerDas(p=0.5), "p: "),
        (lambda: PhaseCoherence(gamma=0), "gamma: "),
        (lambda: SignCoherence(power=float("nan")), "power: "),
        (lambda: GeneralizedCoherenceFactor(cutoff=1.5), "cutoff: "),
        (lambda: ShortLagCoherence(max_lag=2.0), "max_lag: "),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(sonoray.ArgumentError, match=message):
        make()


def test_errors(rng):
    arrivals = make_arrivals(rng)
    iq, rf = sampling_of(), sampling_of(iq=False)
    for message, sampling, method, options in (
        ("sampling: expected I/Q for phase-coherence, got RF", rf, "phase-coherence", {}),
        ("window: expected 'boxcar' with capon", iq, "capon", {"window": "hann"}),
        ("compounding: expected 'first' over transmits", iq, "capon", {"over": "transmit", "compounding": "none"}),
        ("over: expected one of", iq, "capon", {"over": "elements"}),
        ("compounding: expected one of", iq, "capon", {"compounding": "all"}),
        ("f_number: ", iq, "capon", {"f_number": -1}),
    ):
        with pytest.raises(sonoray.ArgumentError, match=message):
            AdaptiveBeamformer(arrivals, sampling, method, **options)
    with pytest.raises(sonoray.ArgumentError, match="over: expected 'receive' for data of one transmit"):
        AdaptiveBeamformer(make_arrivals(rng, n_tx=1), iq, "capon", over="transmit")
    beamform = AdaptiveBeamformer(arrivals, iq, "capon")
    with pytest.raises(sonoray.ArgumentError, match="samples: expected complex64"):
        beamform(make_samples(rng, arrivals, "float32"))
    with pytest.raises(sonoray.ArgumentError, match="samples: expected shape"):
        beamform(make_samples(rng, arrivals, "complex64")[:, :2])
