"""Focus criteria in float64, one pair of elements after the other: slow, and written to be read."""

import numpy as np

from .das import interpolate


def focused(data, tx_time, rx_time, tx_weight, rx_weight):
    """u (n_tx, n_rx, n_points): values of all pairs of elements at all points."""
    samples = data.samples[0].astype(complex)
    power = np.mean(np.abs(samples) ** 2)
    u = np.zeros((data.n_tx, data.n_rx, tx_time.shape[1]), complex)
    for a in range(data.n_tx):
        for b in range(data.n_rx):
            time = np.asarray(tx_time[a], float) + np.asarray(rx_time[b], float)
            value = interpolate(samples[a, b], (time - data.start_time[a]) * data.sampling_frequency, "cubic")
            value = value * np.exp(2j * np.pi * data.demodulation_frequency * time)
            u[a, b] = tx_weight[a] * rx_weight[b] * value / np.sqrt(power)
    return u


def correlations(u, n_kernel, length):
    """Correlation and energy (n_patches, n_i, n_j) of A = (i, j + 1) and B = (i + 1, j)."""
    n_i, n_j = u.shape[0] - length + 1, u.shape[1] - length + 1
    s = np.array([[u[i : i + length, j : j + length].sum((0, 1)) for j in range(n_j)] for i in range(n_i)])
    s = s.reshape(n_i, n_j, -1, n_kernel)
    a, b = s[:-1, 1:], s[1:, :-1]
    energy = np.sqrt((np.abs(a) ** 2).sum(-1) * (np.abs(b) ** 2).sum(-1))
    product = (a * b.conj()).sum(-1)
    correlation = np.divide(product, energy, out=np.zeros_like(product), where=energy > 0)
    return np.moveaxis(correlation, 2, 0), np.moveaxis(energy, 2, 0)


def phase_error(u, n_kernel, length, threshold, scale, kept=None):
    correlation, _ = correlations(u, n_kernel, length)
    kept = np.abs(correlation) > threshold if kept is None else kept
    if not kept.any():
        return np.log1p((scale * np.pi) ** 2)
    return np.log1p((scale * np.angle(correlation[kept])) ** 2).mean()


def coherence_factor(u):
    s = u.sum(0)
    below = np.abs(s).sum(0)
    return 1 - (np.abs(s.sum(0))[below > 0] / below[below > 0]).mean()


def lag_one_coherence(u, n_kernel):
    s = u.sum(0).reshape(u.shape[1], -1, n_kernel)
    power = (np.abs(s) ** 2).sum(-1)
    energy = np.sqrt(power[:-1] * power[1:])
    product = (s[:-1] * s[1:].conj()).sum(-1).real
    return 1 - (product[energy > 0] / energy[energy > 0]).mean()


def speckle_brightness(u, tx_weight, rx_weight):
    active = tx_weight.sum(0) * rx_weight.sum(0)
    return 1 - (np.abs(u.sum((0, 1)))[active > 0] / active[active > 0]).mean()
