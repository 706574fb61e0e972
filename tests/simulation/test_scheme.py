"""Numerics of the full-wave scheme: convergence of its weights, points between nodes, exact time. Analytic."""

import numpy as np
import pytest

from sonoray.simulation import GaussianPulse, scheme


def test_derivative_symbol():
    """The symbol of the staggered derivative is i k to 1e-5 wherever the simulation promises it."""
    q = np.linspace(1e-3, scheme.WAVENUMBER_LIMIT, 500)
    a = np.array(scheme.derivative_weights())
    symbol = 2 * np.sin(np.outer(q, np.arange(len(a)) + 0.5)) @ a
    assert np.abs(symbol / q - 1).max() < 1e-5


def test_point_weights_interpolate_waves():
    """A resolved plane wave is interpolated between nodes; tolerance from the window's stop band at k h = 1.6."""
    rng = np.random.default_rng(0)
    h, origin, shape = 0.1, np.array([-1.0, 2.0]), (40, 50)
    points = origin + h * rng.uniform(8, 30, (60, 2))
    weights = scheme.point_weights(points, shape, h, origin)
    x, z = (o + h * np.arange(n) for o, n in zip(origin, shape, strict=True))
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    for angle in (0.0, 0.7, np.pi / 2):
        k = scheme.WAVENUMBER_LIMIT / h * np.array([np.cos(angle), np.sin(angle)])
        field = np.exp(1j * (k[0] * x[:, None] + k[1] * z)).ravel()
        np.testing.assert_allclose(weights @ field, np.exp(1j * points @ k), atol=2e-3)


def test_point_weights_on_a_node_are_that_node():
    weights = scheme.point_weights(np.array([[0.3, 0.4]]), (20, 20), 0.1, np.array([-0.5, -0.6]))
    assert weights.nnz == 1 and weights[0, 8 * 20 + 10] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("delay", [1.1e-6, 3.37e-6])
def test_time_dispersion_is_undone(delay):
    """An oscillation stepped by leapfrog, driven and read through the frequency map, follows the exact equation.

    Response of u'' + w0^2 u = s(t - delay) against its exact convolution; without the map the phase would be off by
    0.4 rad at the end of the record.
    """
    pulse = GaussianPulse(3e6, 0.6)
    step, n, w0 = 2.2e-8, 900, 2 * np.pi * 3.3e6
    f = np.arange(1, 4000) / (2 * n * step) / 4
    f = f[f < 0.45 / step]
    spectrum = pulse.spectrum(np.sin(np.pi * f * step) / (np.pi * step))
    signal = scheme.drive(spectrum, f, np.array([delay]), step, n)[:, 0]
    u = np.zeros(n)
    for i in range(1, n - 1):
        # Weakly damped, so that the record fades before it ends.
        u[i + 1] = 2 * u[i] - u[i - 1] + step**2 * (signal[i] - w0**2 * u[i])
    times = np.arange(0.5e-6, 15e-6, 5e-8)
    got = scheme.exact_time(step, n, times, 1.1 * pulse.max_frequency, 120) @ u.astype(np.float32)
    fine = np.arange(-3e-6, 15e-6, 2e-9)
    kernel = np.sin(w0 * np.arange(0, 18e-6, 2e-9)) / w0
    exact = np.convolve(pulse.waveform(fine - delay), kernel)[: len(fine)] * 2e-9
    want = np.interp(times, fine, exact)
    assert np.abs(got - want).max() < 5e-3 * np.abs(want).max()


def test_pulse_spectrum_is_its_transform():
    pulse = GaussianPulse(4e6, 0.6)
    t = np.arange(-4e-6, 4e-6, 1e-9)
    f = np.array([1.5e6, 4e6, 5.2e6, pulse.max_frequency])
    transform = np.exp(-2j * np.pi * np.outer(f, t)) @ pulse.waveform(t) * 1e-9
    np.testing.assert_allclose(transform.real, pulse.spectrum(f), atol=1e-6 * pulse.spectrum(4e6))
    half = pulse.spectrum(4e6 + 0.3 * 4e6) / pulse.spectrum(4e6)
    assert half == pytest.approx(0.5, abs=1e-6)
    assert pulse.spectrum(pulse.max_frequency) / pulse.spectrum(4e6) == pytest.approx(0.01, rel=1e-3)
