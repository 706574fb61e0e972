"""Adaptive beamformers in float64, one point after the other: slow, and written to be read."""

import numpy as np

from .das import interpolate, mean_slowness, receive_weight


def delayed_signals(arrivals, sampling, samples, f_number=1.5, window="boxcar", interpolation="linear", lag=0):
    """Signals (n_tx, n_rx, n_points) of one frame (n_tx, n_rx, n_samples), ``lag`` samples late, and receive weights.

    Transmit weights are in the signals; receive weights (n_rx, n_points) are not, and NaN where an element is masked.
    """
    points = np.asarray(arrivals.grid.points(), float).reshape(-1, 3)
    f, fs = sampling.demodulation_frequency, sampling.sampling_frequency
    n_tx, n_rx, _ = samples.shape
    start = np.broadcast_to(sampling.start_time, n_tx)
    signals = np.zeros((n_tx, n_rx, len(points)), complex if f else float)
    weights = np.zeros((n_rx, len(points)))
    for e in range(n_rx):
        d = points - arrivals.probe.positions[e]
        distance = np.linalg.norm(d, axis=1)
        seen = receive_weight(arrivals.probe, e, points, f_number, "boxcar", None) > 0
        weights[e] = np.where(seen, receive_weight(arrivals.probe, e, points, f_number, window, None), np.nan)
        slowness = 1 / arrivals.sound_speed
        if arrivals.rx_slowness is not None:
            slowness = mean_slowness(arrivals.rx_slowness[e].astype(float), arrivals.rx_grid, points)
        for t in range(n_tx):
            time = arrivals.tx_time[t].astype(float).ravel() + distance * slowness
            factor = np.exp(2j * np.pi * f * time) if f else 1.0
            if arrivals.tx_weight is not None:
                factor = factor * arrivals.tx_weight[t].astype(float).ravel()
            trace = samples[t, e].astype(complex if f else float)
            signals[t, e] = factor * interpolate(trace, (time - start[t]) * fs + lag, interpolation)
    return signals, weights


def coherence_factor(x, a):
    total = len(x) * np.sum(np.abs(x) ** 2)
    return np.sum(a * x) * (np.abs(x.sum()) ** 2 / total if total else 0)


def generalized_coherence_factor(x, a, cutoff):
    spectrum = np.abs(np.fft.fft(x)) ** 2
    low = [k for k in range(len(x)) if min(k, len(x) - k) <= cutoff]
    return np.sum(a * x) * (spectrum[low].sum() / spectrum.sum() if spectrum.any() else 0)


def phase_coherence(x, a, gamma):
    phase = np.angle(x)
    turned = np.where(phase < 0, phase + np.pi, phase - np.pi)
    spread = min(phase.std(), turned.std())
    return np.sum(a * x) * max(0, 1 - gamma * spread / (np.pi / np.sqrt(3)))


def sign_coherence(x, a, power):
    def factor(values):
        return (1 - np.sqrt(1 - np.mean(np.where(values < 0, -1, 1)) ** 2)) ** power

    b = np.sum(a * x)
    return b.real * factor(x.real) + (1j * b.imag * factor(x.imag) if np.iscomplexobj(x) else 0)


def dmas(x, a):
    s = np.zeros_like(x)
    s[x != 0] = x[x != 0] / np.sqrt(np.abs(x[x != 0]))
    i, j = np.triu_indices(len(x), 1)
    pairs = np.sum(a[i] * a[j])
    return np.sum(a[i] * a[j] * s[i] * s[j]) / pairs * a.sum() if pairs else 0.0


def power_das(x, a, p):
    s = np.zeros_like(x)
    s[x != 0] = x[x != 0] * np.abs(x[x != 0]) ** (1 / p - 1)
    mean = np.sum(a * s) / a.sum()
    return mean * np.abs(mean) ** (p - 1) * a.sum() if mean else 0.0


def covariance(x, length):
    """Mean over subarrays and samples; x (n_lags, m)."""
    runs = np.lib.stride_tricks.sliding_window_view(x, length, axis=1).reshape(-1, length)
    return runs.T @ runs.conj() / len(runs)


def capon(x, subarray, loading, threshold=None):
    """x (n_lags, m), the middle row being the point's own; a threshold projects onto the strong eigenvectors."""
    m = x.shape[1]
    length = max(1, int(m * subarray + 1e-4))
    r = covariance(x, length)
    loaded = r + loading * np.trace(r).real / length * np.eye(length)
    w = np.linalg.solve(loaded, np.ones(length))
    w = w / w.sum()
    if threshold is not None:
        value, vector = np.linalg.eigh(r)
        strong = vector[:, value >= threshold * value[-1]]
        w = strong @ (strong.conj().T @ w)
    own = x[len(x) // 2]
    return m * np.mean([w.conj() @ own[k : k + length] for k in range(m - length + 1)])


def short_lag_coherence(x, max_lag):
    """x (n_lags, m)."""
    m = x.shape[1]
    lags = max(1, int(m * max_lag + 0.5))
    power = np.sqrt(np.sum(np.abs(x) ** 2, axis=0))
    y = np.divide(x, power, out=np.zeros_like(x), where=power > 0)
    return (
        sum(np.mean(np.sum((y[:, :-k] * y[:, k:].conj()).real, axis=0)) for k in range(1, min(lags, m - 1) + 1)) / lags
    )


def value(method, x, a):
    """A method's value of signals x (n_lags, m) with weights a (m,)."""
    if not x.size or not x.any():
        return 0.0
    own = x[len(x) // 2]
    values = {
        "coherence-factor": lambda: coherence_factor(own, a),
        "generalized-coherence-factor": lambda: generalized_coherence_factor(own, a, method.cutoff),
        "phase-coherence": lambda: phase_coherence(own, a, method.gamma),
        "sign-coherence": lambda: sign_coherence(own, a, method.power),
        "dmas": lambda: dmas(own, a),
        "pdas": lambda: power_das(own, a, method.p),
        "capon": lambda: capon(x, method.subarray, method.diagonal_loading),
        "eigenspace": lambda: capon(x, method.subarray, method.diagonal_loading, method.threshold),
        "short-lag-coherence": lambda: short_lag_coherence(x, method.max_lag),
    }
    return values[method.name]()


def adaptive_image(
    arrivals, sampling, samples, method, over="receive", compounding="first", f_number=1.5, window="boxcar",
    interpolation="linear",
):  # fmt: skip
    """Image (n_frames, *grid.shape), or (n_frames, n_tx, *grid.shape) without compounding, of samples (f, t, e, s)."""
    n = getattr(method, "temporal_samples", 0)
    images = []
    for frame in samples:
        lags, weights = [], None
        for lag in range(-n, n + 1):
            x, weights = delayed_signals(arrivals, sampling, frame, f_number, window, interpolation, lag)
            lags.append(x)
        lags = np.array(lags)  # (lag, tx, rx, point)
        if over == "transmit":
            lags = np.nansum(lags * weights, axis=2)
            used = lags.any(axis=0) if arrivals.tx_weight is None else arrivals.tx_weight.reshape(lags.shape[1:]) != 0
            images.append([_points(method, lags, np.where(used, 1.0, np.nan))])
        elif compounding == "first":
            images.append([_points(method, lags.sum(axis=1), weights)])
        else:
            images.append([_points(method, lags[:, t], weights) for t in range(lags.shape[1])])
    image = np.array(images)
    if compounding == "incoherent":
        image = np.abs(image).sum(axis=1)
    elif compounding != "none":
        image = image.sum(axis=1)
    return image.reshape(*image.shape[:-1], *arrivals.grid.shape)


def _points(method, lags, weights):
    """Values at every point of signals (lag, channel, point) with weights (channel, point)."""
    seen = ~np.isnan(weights)
    return [value(method, lags[:, seen[:, i], i], weights[seen[:, i], i]) for i in range(lags.shape[2])]
