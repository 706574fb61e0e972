"""Delay and sum in float64, one element after the other: slow, and written to be read."""

import numpy as np


def window_weight(name, u):
    """Window at u = offset / half aperture, 0 beyond 1."""
    if callable(name):
        return np.where(u <= 1, name(np.minimum(u, 1)), 0.0)
    name, alpha = name if isinstance(name, tuple) else (name, 0.5)
    if name == "boxcar":
        w = np.ones_like(u)
    elif name == "hann":
        w = 0.5 + 0.5 * np.cos(np.pi * u)
    elif name == "hamming":
        w = 0.54 + 0.46 * np.cos(np.pi * u)
    elif name == "blackman":
        w = 0.42 + 0.5 * np.cos(np.pi * u) + 0.08 * np.cos(2 * np.pi * u)
    elif name == "kaiser":
        w = np.i0(alpha * np.sqrt(np.maximum(1 - u**2, 0))) / np.i0(alpha)
    else:
        w = np.where(u <= 1 - alpha, 1.0, 0.5 + 0.5 * np.cos(np.pi * (u - 1 + alpha) / alpha))
    return np.where(u <= 1, w, 0.0)


def offset_of(probe, e, points):
    """Vectors to points (n, 3) from element e, from the nearest point of a long one."""
    d = points - probe.positions[e]
    if probe.lines is None or not probe.lines[e].any():
        return d
    half = np.linalg.norm(probe.lines[e])
    along = d @ probe.lines[e] / half
    return d - np.clip(along, -half, half)[:, None] * probe.lines[e] / half


def lens_delay(probe, e, points, slowness):
    """What the lens adds: Snell's law by bisection on the horizontal slowness."""
    d = offset_of(probe, e, points)
    z, x = d @ probe.normals[e], np.linalg.norm(np.cross(d, probe.normals[e]), axis=1)
    thickness, lens = probe.lens_thickness, 1 / probe.lens_sound_speed
    low, high = np.zeros(len(points)), np.minimum(slowness, lens) * np.ones(len(points))
    for _ in range(60):
        q = 0.5 * (low + high)
        short = thickness * q / np.sqrt(lens**2 - q**2) + z * q / np.sqrt(slowness**2 - q**2) < x
        low, high = np.where(short, q, low), np.where(short, high, q)
    in_lens = thickness * q / np.sqrt(lens**2 - q**2)
    return lens * np.hypot(in_lens, thickness) + slowness * (np.hypot(x - in_lens, z) - np.linalg.norm(d, axis=1))


def axis_position(probe, e, points, axis):
    """Offset of points (n, 3) from an axis through element e, and the distance along it from where it meets the face.

    ``axis`` (x, y, z, 1): through (x, y, z) and the point; (x, y, z, 0): along -(x, y, z).
    """
    b = axis[3] * points - axis[:3]
    if probe.lines is not None and probe.lines[e].any():
        u = probe.lines[e] / np.linalg.norm(probe.lines[e])
        b = b - np.outer(b @ u, u)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    d = offset_of(probe, e, points)
    along = (d @ probe.normals[e]) / (b @ probe.normals[e])
    return np.linalg.norm(d - along[:, None] * b, axis=1), np.where(b @ probe.normals[e] > 1e-3, along, -1.0)


def receive_weight(probe, e, points, f_number, window, wavelengths, axis=None):
    """Receive window and directivity of element e at points (n, 3)."""
    d = offset_of(probe, e, points)
    distance = np.linalg.norm(d, axis=1)
    depth = d @ probe.normals[e]
    lateral = np.linalg.norm(np.cross(d, probe.normals[e]), axis=1)
    weight = np.ones(len(points))
    if f_number:
        offset, reach = (lateral, depth) if axis is None else axis_position(probe, e, points, axis)
        half = reach / (2 * f_number)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(offset == 0, 0.0, offset / half)
        weight = np.where((reach >= 0) & (offset <= half), window_weight(window, u), 0.0)
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
    axes=None,
    element_weights=None,
):
    """Image (n_frames, *grid.shape), or (n_frames, n_tx, *grid.shape) without compounding, of samples (f, t, e, s)."""
    points = np.asarray(arrivals.grid.points(), float).reshape(-1, 3)
    f_demod, fs = sampling.demodulation_frequency, sampling.sampling_frequency
    n_frames, n_tx, n_rx, _ = samples.shape
    start = np.broadcast_to(sampling.start_time, n_tx)
    samples = samples.astype(complex if f_demod else float)
    image = np.zeros((n_frames, n_tx, len(points)), samples.dtype)
    for e in range(n_rx):
        distance = np.linalg.norm(offset_of(arrivals.probe, e, points), axis=1)
        slowness = 1 / arrivals.sound_speed
        if arrivals.rx_slowness is not None:
            slowness = mean_slowness(arrivals.rx_slowness[e].astype(float), arrivals.rx_grid, points)
        receive_time = distance * slowness
        if arrivals.probe.lens_thickness:
            receive_time = receive_time + lens_delay(arrivals.probe, e, points, slowness)
        apertures = [
            receive_weight(arrivals.probe, e, points, f_number, window, wavelengths, axis)
            for axis in ([None] if axes is None else axes)
        ]
        for t in range(n_tx):
            weight = apertures[min(t, len(apertures) - 1)]
            if element_weights is not None:
                weight = weight * np.broadcast_to(element_weights, (n_tx, n_rx))[t, e]
            time = arrivals.tx_time[t].astype(float).ravel() + receive_time
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
