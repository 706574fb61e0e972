"""Focus criteria against a slow twin in float64, finite differences, invariances, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, ChannelData, Probe
from sonoray._backends import host_module
from sonoray.inversion.focus_criteria import CRITERIA, FocusCriterion, aperture_mask, das_time_gradient
from tests.reference import focus_criteria as twin

C0, FD, FS = 1540.0, 2.5e6, 5e6


def make_data(rng, n=13, n_samples=200, elements=None, start=2e-6, kind="noise"):
    """I/Q data of single elements: smooth noise, or exact echoes of random scatterers."""
    probe = Probe.linear(n, 0.3e-3)
    elements = range(n) if elements is None else elements
    transmits = [sonoray.Transmit.single(e) for e in elements]
    start_time = start + 1e-7 * rng.random(len(transmits))
    shape = (1, len(transmits), n, n_samples)
    if kind == "noise":
        noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        samples = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(9), "same"), 3, noise)
    else:
        at = np.stack([rng.uniform(-1e-3, 1e-3, 40), np.zeros(40), rng.uniform(7e-3, 11e-3, 40)], axis=1)
        travel = np.linalg.norm(probe.positions[:, None] - at, axis=2) / C0
        time = start_time[:, None] + np.arange(n_samples) / FS
        samples = np.zeros(shape, complex)
        for amplitude, delay in zip(rng.standard_normal(40), travel.T, strict=True):
            arrival = delay[list(elements), None] + delay[None, :]
            after = time[:, None, :] - arrival[:, :, None]
            samples[0] += amplitude * np.exp(-((after * 1.2e6) ** 2) - 2j * np.pi * FD * arrival[:, :, None])
    return ChannelData(samples, probe, transmits, FS, FD, start_time=start_time)


def make_patches(n_patches=3, side=3):
    """Squares of half-wavelength spacing at several depths."""
    lines = (np.arange(side) - side // 2) * 0.5 * C0 / FD
    x, z = (g.ravel() for g in np.meshgrid(lines, lines, indexing="ij"))
    centres = np.linspace([-0.6e-3, 8e-3], [0.6e-3, 10e-3], n_patches)
    return np.stack([np.stack([cx + x, 0 * x, cz + z], axis=1) for cx, cz in centres])


def make_times(data, patches, sound_speed=C0):
    travel = np.linalg.norm(data.probe.positions[:, None] - patches.reshape(-1, 3), axis=2) / sound_speed
    return (travel[[t.element for t in data.transmits]]).astype(np.float32), travel.astype(np.float32)


def place_at(device, *arrays):
    return arrays if device == "cpu" else tuple(sonoray.to_device(a, device) for a in arrays)


def weights(data, patches, f_number, sub_aperture):
    if not f_number:
        return np.ones((data.n_tx, patches[..., 0].size)), np.ones((data.n_rx, patches[..., 0].size))
    rx = aperture_mask(data.probe, patches.reshape(-1, 3), f_number, sub_aperture).astype(float)
    return rx[[t.element for t in data.transmits]], rx


@pytest.mark.parametrize("sub_aperture", [1, 3, 5, 11])
@pytest.mark.parametrize(("n", "elements"), [(13, None), (24, range(3, 20)), (27, None)])
def test_correlations_equal_the_twin(n, elements, sub_aperture, device, rng):
    data, patches = make_data(rng, n, elements=elements), make_patches()
    times = make_times(data, patches)
    f_number = 8.0 if sub_aperture == 3 else None
    plan = FocusCriterion(data, patches, sub_aperture=sub_aperture, f_number=f_number, device=device)
    found = plan.correlations(*place_at(device, *times))
    u = twin.focused(data, *times, *weights(data, patches, f_number, sub_aperture))
    correlation, energy = twin.correlations(u, patches.shape[1], sub_aperture)
    got = sonoray.to_host(found.correlation)
    assert got.shape == (3, data.n_tx - sub_aperture, n - sub_aperture)
    np.testing.assert_allclose(sonoray.to_host(found.energy), energy, rtol=2e-5, atol=1e-6 * energy.max())
    # float32 values of each pair of elements, some 1e-6 of the largest: relative to the pair's own energy
    np.testing.assert_allclose(got, correlation, atol=2e-5 * np.sqrt(energy.max() / energy[energy > 0].min()))
    if f_number:
        assert (energy == 0).any() and (got[energy == 0] == 0).all()


def make_plan(data, patches, criterion, device="cpu", **options):
    return FocusCriterion(data, patches, criterion=criterion, sub_aperture=5, device=device, **options)


def twin_loss(data, patches, criterion, times, f_number, threshold=0.9, scale=100.0, kept=None):
    w = weights(data, patches, f_number, 5)
    u, n = twin.focused(data, *times, *w), patches.shape[1]
    if criterion == "phase_error":
        return twin.phase_error(u, n, 5, threshold, scale, kept)
    if criterion == "coherence_factor":
        return twin.coherence_factor(u)
    return twin.lag_one_coherence(u, n) if criterion == "lag_one_coherence" else twin.speckle_brightness(u, *w)


@pytest.mark.parametrize("f_number", [None, 3.0])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_losses_equal_the_twin(criterion, f_number, device, rng):
    data, patches = make_data(rng, 19), make_patches()
    times = make_times(data, patches)
    plan = make_plan(data, patches, criterion, device, f_number=f_number, threshold=0.7, scale=3.0)
    loss = plan(*place_at(device, *times))
    want = twin_loss(data, patches, criterion, times, f_number, 0.7, 3.0)
    assert abs(loss - want) < 1e-5
    assert abs(plan.gradient(*place_at(device, *times))[0] - loss) < 1e-6


@pytest.mark.parametrize("f_number", [None, 3.0])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_gradients_equal_differences_of_the_twin(criterion, f_number, device, rng):
    data, patches = make_data(rng, 12), make_patches(2)
    times = make_times(data, patches)
    options = {"threshold": 0.5, "scale": 2.0}
    plan = make_plan(data, patches, criterion, device, f_number=f_number, **options)
    _, *slopes = plan.gradient(*place_at(device, *times))
    slopes = [np.asarray(sonoray.to_host(s), float) for s in slopes]
    u = twin.focused(data, *times, *weights(data, patches, f_number, 5))
    kept = np.abs(twin.correlations(u, patches.shape[1], 5)[0]) > 0.5
    step = 2e-11  # against a period of 400 ns
    for _ in range(3):
        directions = [rng.standard_normal(t.shape) for t in times]
        moved = [[t + sign * step * d for t, d in zip(times, directions, strict=True)] for sign in (1, -1)]
        up, down = (twin_loss(data, patches, criterion, m, f_number, 0.5, 2.0, kept) for m in moved)
        want = (up - down) / (2 * step)
        got = sum((s * d).sum() for s, d in zip(slopes, directions, strict=True))
        size = np.sqrt(sum((s**2).sum() for s in slopes))
        assert abs(got - want) < 1e-4 * size, (got, want)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scale_phase_and_threads_do_not_matter(criterion, device, monkeypatch, rng):
    data, patches = make_data(rng, 19), make_patches(7)
    times = place_at(device, *make_times(data, patches, 1500.0))
    results = []
    for factor, threads in ((1, "1"), (1, "2"), (1, "7"), (3e6j, "1"), (1e-12, "1")):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        scaled = data.with_(samples=data.samples * np.complex64(factor))
        loss, *slopes = make_plan(scaled, patches, criterion, device, threshold=0.6).gradient(*times)
        results.append((loss, *(sonoray.to_host(s) for s in slopes)))
    for found in results[1:3]:
        assert found[0] == results[0][0]
        for a, b in zip(found[1:], results[0][1:], strict=True):
            np.testing.assert_array_equal(a, b)
    for found in results[3:]:
        assert abs(found[0] - results[0][0]) < 1e-5
        for a, b in zip(found[1:], results[0][1:], strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(b).max())  # a pair or two may cross the threshold


def test_phase_error_is_least_with_the_right_times(device, rng):
    """Echoes of random scatterers: neighbours share their midpoint, thus speckle correlates without a phase."""
    data, patches = make_data(rng, 24, kind="scatterers"), make_patches(4, 5)
    plan = make_plan(data, patches, "phase_error", device)
    losses = {}
    for sound_speed in (1480.0, 1510.0, 1540.0, 1570.0, 1600.0):
        times = place_at(device, *make_times(data, patches, sound_speed))
        losses[sound_speed] = plan(*times)
        correlation = sonoray.to_host(plan.correlations(*times).correlation)
        if sound_speed == 1540.0:
            strong = correlation[np.abs(correlation) > 0.9]
            assert len(strong) > 0.5 * correlation.size
            assert np.sqrt(np.mean(np.angle(strong) ** 2)) < 0.02  # rad, 1.3 ns; interpolation of 2 samples a period
    assert min(losses, key=losses.get) == 1540.0
    assert losses[1540.0] < 0.5 * min(losses[1510.0], losses[1570.0])


def test_angles_are_errors_of_a_less_those_of_b(device, rng):
    """Times of transmit that are late by 10 ns per element: A's transmits come one element before B's."""
    data, patches = make_data(rng, 24, kind="scatterers"), make_patches(4, 5)
    tx, rx = make_times(data, patches)
    late = tx + 1e-8 * np.arange(24, dtype=np.float32)[:, None]
    plan = make_plan(data, patches, "phase_error", device)
    change = plan.correlations(*place_at(device, late, rx)).correlation
    change = sonoray.to_host(change) * sonoray.to_host(plan.correlations(*place_at(device, tx, rx)).correlation).conj()
    assert np.median(np.angle(change[np.abs(change) > 0.8])) == pytest.approx(-2 * np.pi * FD * 1e-8, rel=0.05)


@pytest.mark.parametrize("criterion", CRITERIA[1:])
def test_any_transmits_will_do_for_criteria_of_receivers(criterion, device, rng):
    data, patches = make_data(rng, 19, elements=[3, 11, 7]), make_patches()
    times = make_times(data, patches)
    plan = make_plan(data, patches, criterion, device, f_number=None)
    assert abs(plan(*place_at(device, *times)) - twin_loss(data, patches, criterion, times, None)) < 1e-5
    waves = data.with_(transmits=sonoray.plane_waves([-0.1, 0.0, 0.1]))
    assert abs(make_plan(waves, patches, criterion, device, f_number=1.0)(*place_at(device, *times))) <= 2


def test_times_outside_the_record_give_zeros(device, rng):
    """Patches larger than the window that is copied, far beyond both ends of the record."""
    data = make_data(rng, 12, n_samples=90)
    x, z = np.linspace(-5e-3, 5e-3, 9), np.linspace(1e-3, 25e-3, 9)
    patches = np.stack([np.stack([x, 0 * x, z], axis=1), np.stack([x, 0 * x, 40e-3 + z], axis=1)])
    times = make_times(data, patches)
    plan = make_plan(data, patches, "phase_error", device, f_number=None)
    found = plan.correlations(*place_at(device, *times))
    want, energy = twin.correlations(twin.focused(data, *times, *weights(data, patches, None, 5)), 9, 5)
    np.testing.assert_allclose(sonoray.to_host(found.correlation), want, atol=1e-4)
    assert (energy[1] == 0).all() and (sonoray.to_host(found.energy)[1] == 0).all()
    with_none = make_plan(data, patches[1:], "phase_error", device)
    loss, *slopes = with_none.gradient(*place_at(device, *make_times(data, patches[1:])))
    assert loss == pytest.approx(np.log1p((100 * np.pi) ** 2), rel=1e-6)
    assert all((sonoray.to_host(s) == 0).all() for s in slopes)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("kind", ["RF", "I/Q"])
def test_image_slopes_equal_differences_of_the_beamformer(kind, interpolation, device, rng):
    """Transmit times are moved; what receive times do follows from the sum in which both enter."""
    data = make_data(rng, 11, n_samples=300)
    f = FD if kind == "I/Q" else 0.0
    samples = data.samples if f else np.ascontiguousarray(data.samples.real)
    grid = sonoray.Grid((7, 9), 0.4e-3, (-1e-3, 7e-3))
    arrivals = sonoray.beamforming.arrivals.arrivals(data.transmits, data.probe, grid, C0)
    sampling = sonoray.Sampling(FS, 300, f, data.start_time)
    image_of = {"f_number": None, "interpolation": interpolation}
    points = grid.points().reshape(-1, 3)
    rx_time = (np.linalg.norm(data.probe.positions[:, None] - points, axis=2) / C0).astype(np.float32)
    g = rng.standard_normal(63) + (1j * rng.standard_normal(63) if f else 0)
    g = g.astype(samples.dtype)
    tx_time = np.asarray(arrivals.tx_time, np.float32).reshape(11, -1)
    weight = rng.random(tx_time.shape).astype(np.float32)
    arrays = place_at(device, samples[0].astype(np.complex64 if device == "cuda" else samples.dtype))
    found = das_time_gradient(
        *arrays,
        *place_at(device, g.astype(np.complex64) if device == "cuda" else g, tx_time, rx_time),
        sampling_frequency=FS,
        demodulation_frequency=f,
        start_time=data.start_time,
        tx_weight=place_at(device, weight)[0],
        interpolation=interpolation,
        device=device,
    )
    tx, rx = (sonoray.to_host(s).astype(float) for s in found)
    direction = rng.standard_normal(tx_time.shape)
    step = 1e-9  # far above the float32 of a time, a quarter of a per cent of a period

    def moved(sign):
        times = (tx_time + sign * step * direction).reshape(arrivals.tx_time.shape).astype(np.float32)
        other = replace(arrivals, tx_time=times, tx_weight=weight.reshape(times.shape))
        return np.vdot(g, sonoray.Beamformer(other, sampling, **image_of)(samples).ravel()).real

    want = (moved(1) - moved(-1)) / (2 * step)
    assert abs((tx * direction).sum() - want) < 5e-3 * np.linalg.norm(tx)
    # Times of transmit and receive enter as their sum: per point both sides change alike.
    np.testing.assert_allclose(tx.sum(0), rx.sum(0), atol=1e-4 * np.abs(tx).max())


def refused(message, **changes):
    return pytest.param(changes, message, id=f"{', '.join(changes)}: {message}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        refused("criterion: expected one of", criterion="sharpness"),
        refused("sub_aperture: expected an odd", sub_aperture=4),
        refused("sub_aperture: expected less than 13", sub_aperture=13),
        refused("f_number: expected", f_number=-1.0),
        refused("threshold: expected 0 to 1", threshold=90),
        refused("scale: expected", scale=0),
        refused("patches: expected shape", patches=np.zeros((3, 3))),
        refused("patches: expected at least one", patches=np.zeros((3, 0, 3))),
        refused("patches: expected values from", patches=np.full((1, 1, 3), 20.0)),
        refused("device: expected", device="gpu"),
    ],
)
def test_refused_options(changes, message, rng):
    options = {"patches": make_patches(), "sub_aperture": 5} | changes
    error = sonoray.DeviceError if "device" in changes else ArgumentError
    with pytest.raises(error, match=message):
        FocusCriterion(make_data(rng), **options)


def test_refused_data_and_times(rng):
    data, patches = make_data(rng), make_patches()
    with pytest.raises(ArgumentError, match="expected ChannelData, got list"):
        FocusCriterion([], patches)
    rf = data.with_(samples=data.samples.real.copy(), demodulation_frequency=0.0)
    with pytest.raises(ArgumentError, match="expected I/Q data, got RF"):
        FocusCriterion(rf, patches, sub_aperture=5)
    with pytest.raises(ArgumentError, match="expected one frame, got 2"):
        FocusCriterion(data.with_(samples=np.repeat(data.samples, 2, axis=0)), patches, sub_aperture=5)
    with pytest.raises(ArgumentError, match="other than zero"):
        FocusCriterion(data.with_(samples=0 * data.samples), patches, sub_aperture=5)
    with pytest.raises(ArgumentError, match="got 'plane'; acquisition.encoding decodes"):
        FocusCriterion(data.with_(transmits=sonoray.plane_waves(np.linspace(-0.1, 0.1, 13))), patches, sub_aperture=5)
    with pytest.raises(ArgumentError, match="neighbouring elements"):
        FocusCriterion(make_data(rng, elements=range(0, 13, 2)), patches, sub_aperture=5)
    plan = make_plan(data, patches, "phase_error")
    tx, rx = make_times(data, patches)
    for times, message in [
        ((tx[:-1], rx), r"tx_time: expected shape \(13, 27\), got \(12, 27\)"),
        ((tx, rx[:, :5]), "rx_time: expected shape"),
        ((tx * 1e6, rx), "tx_time: .*is it really in s"),
        ((tx, np.full_like(rx, np.nan)), "rx_time: expected finite"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            plan(*times)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_processor_levels_agree(criterion, rng):
    data, patches = make_data(rng, 21), make_patches(2)
    times = make_times(data, patches)
    plan, module = make_plan(data, patches, criterion, f_number=4.0, threshold=0.3, scale=2.0), host_module()
    top, results = module.cpu_level(), []
    try:
        for level in range(top + 1):
            module.set_cpu_level(level)
            results.append((plan.gradient(*times), plan.correlations(*times)))
    finally:
        module.set_cpu_level(top)
    for (loss, *slopes), found in results[1:]:
        assert loss == pytest.approx(results[0][0][0], abs=1e-5)
        np.testing.assert_allclose(found.correlation, results[0][1].correlation, atol=1e-5)
        for a, b in zip(slopes, results[0][0][1:], strict=True):
            np.testing.assert_allclose(a, b, atol=2e-4 * np.abs(b).max())
