"""Delay and sum in float64, one element after the other: slow, and written to be read."""

import numpy as np


def window_weight(name, u):
    """Window at u = offset / half aperture, 0 beyond 1."""
    name, alpha = name if isinstance(name, tuple) else (name, 0.5)
    if name == "boxcar":
        w = np.ones_like(u)
    elif name == "hann":
        w = 0.5 + 0.5 * np.cos(np.pi * u)
    elif name == "hamming":
        w = 0.54 + 0.46 * np.cos(np.pi * u)
    else:
        w = np.where(u <= 1 - alpha, 1.0, 0.5 + 0.5 * np.cos(np.pi * (u - 1 + alpha) / alpha))
    return np.where(u <= 1, w, 0.0)


def receive_weight(probe, e, points, f_number, window, wavelengths):
    """Receive window and directivity of element e at points (n, 3)."""
    d = points - probe.positions[e]
    distance = np.linalg.norm(d, axis=1)
    depth = d @ probe.normals[e]
    lateral = np.linalg.norm(np.cross(d, probe.normals[e]), axis=1)
    weight = np.ones(len(points))
    if f_number:
        half = depth / (2 * f_number)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(lateral == 0, 0.0, lateral / half)
        weight = np.where((depth >= 0) & (lateral <= half), window_weight(window, u), 0.0)
    if wavelengths is not None:
        sine, cosine = lateral / distance, np.maximum(depth / distance, 0)
        weight = weight * np.sinc(wavelengths * sine) * cosine
    return weight


def mean_slowness(table, grid, points):
    """Multilinear interpolation of one element's table at points (n, 3), clamped outside."""
    axes = (0, 2) if len(grid.shape) == 2 else (0, 1, 2)
    lows, fractions = [], []
    for axis, n, h, origin in zip(axes, grid.shape, grid.spacing, grid.origin, strict=True):
        u = np.clip((points[:, axis] - origin) / h, 0, n - 1)
        low = np.clip(np.floor(u).astype(int), 0, max(n - 2, 0))
        lows.append(low)
        fractions.append(u - low)
    result = np.zeros(len(points))
    for corner in np.ndindex(*(2,) * len(axes)):
        index = tuple(np.minimum(low + c, n - 1) for low, c, n in zip(lows, corner, grid.shape, strict=True))
        weight = np.prod([f if c else 1 - f for f, c in zip(fractions, corner, strict=True)], axis=0)
        result += weight * table[index]
    return result


def interpolate(trace, index, kind):
    """Sample of a trace (n,) at fractional indices; the trace is zero outside."""
    whole = np.floor(index).astype(int)
    f = index - whole
    if kind == "linear":
        taps = [(0, 1 - f), (1, f)]
    else:  # Keys, a = -1/2
        taps = [
            (-1, -0.5 * f + f**2 - 0.5 * f**3),
            (0, 1 - 2.5 * f**2 + 1.5 * f**3),
            (1, 0.5 * f + 2 * f**2 - 1.5 * f**3),
            (2, -0.5 * f**2 + 0.5 * f**3),
        ]
    total = np.zeros(len(index), trace.dtype)
    for offset, weight in taps:
        at = whole + offset
        inside = (at >= 0) & (at < len(trace))
        total = total + np.where(inside, trace[np.clip(at, 0, len(trace) - 1)], 0) * weight
    return total


def delay_and_sum(
    arrivals,
    sampling,
    samples,
    f_number=1.5,
    window="boxcar",
    compounding="coherent",
    interpolation="linear",
    wavelengths=None,
):
    """Image (n_frames, *grid.shape), or (n_frames, n_tx, *grid.shape) without compounding, of samples (f, t, e, s)."""
    points = np.asarray(arrivals.grid.points(), float).reshape(-1, 3)
    f_demod, fs = sampling.demodulation_frequency, sampling.sampling_frequency
    n_frames, n_tx, n_rx, _ = samples.shape
    start = np.broadcast_to(sampling.start_time, n_tx)
    samples = samples.astype(complex if f_demod else float)
    image = np.zeros((n_frames, n_tx, len(points)), samples.dtype)
    for e in range(n_rx):
        distance = np.linalg.norm(points - arrivals.probe.positions[e], axis=1)
        weight = receive_weight(arrivals.probe, e, points, f_number, window, wavelengths)
        slowness = 1 / arrivals.sound_speed
        if arrivals.rx_slowness is not None:
            slowness = mean_slowness(arrivals.rx_slowness[e].astype(float), arrivals.rx_grid, points)
        for t in range(n_tx):
            time = arrivals.tx_time[t].astype(float).ravel() + distance * slowness
            factor = weight * (np.exp(2j * np.pi * f_demod * time) if f_demod else 1.0)
            if arrivals.tx_weight is not None:
                factor = factor * arrivals.tx_weight[t].astype(float).ravel()
            for f in range(n_frames):
                image[f, t] += factor * interpolate(samples[f, t, e], (time - start[t]) * fs, interpolation)
    if compounding == "coherent":
        image = image.sum(axis=1)
    elif compounding == "incoherent":
        image = np.abs(image).sum(axis=1)
    return image.reshape(*image.shape[:-1], *arrivals.grid.shape)
