"""Focus criteria against a slow twin in float64, finite differences, invariances, and what they refuse."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, ChannelData, Probe
from sonoray.inversion.focus_criteria import FocusCriterion, aperture_mask
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
