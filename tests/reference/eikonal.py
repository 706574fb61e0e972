"""Slow float64 twin of the eikonal solver: factored fast marching, second order, one source, plain Python.

Independent of the compiled solver in everything but the equation: it marches with a heap instead of sweeping and
works with T = T0 tau instead of T = r (s0 + v).
"""

import heapq
import itertools

import numpy as np


def fast_marching(slowness, spacing, source, start=12.0):
    """Travel times (nx, nz) float64 from ``source`` (x, z) [m from the first node].

    Rays are straight within ``start`` spacings of the source: marching takes neighbours in the order of time, so where
    the wave runs across an axis next to the source it must drop that axis, which costs (0.5 / start)^2 of a cell.
    """
    s = np.asarray(slowness, np.float64)
    h = np.asarray(spacing, float)
    mesh = np.meshgrid(*(np.arange(n) * d for n, d in zip(s.shape, h)), indexing="ij")
    offset = [m - c for m, c in zip(mesh, source)]
    r = np.sqrt(sum(d * d for d in offset))
    s0 = bilinear(s, np.asarray(source) / h)
    t0 = np.where(r > 0, r * s0, 1e-30)
    p0 = [np.where(r > 0, d / np.where(r > 0, r, 1) * s0, 0.0) for d in offset]
    tau = np.full(s.shape, np.inf)
    done = np.zeros(s.shape, bool)
    heap = []
    for node in zip(*np.nonzero(r <= start * h.max())):
        parts = (np.arange(64) + 0.5) / 64
        line = [bilinear(s, (np.asarray(source) + w * np.array([d[node] for d in offset])) / h) for w in parts]
        tau[node] = np.mean(line) / s0
        heapq.heappush(heap, (t0[node] * tau[node], node))
    given = np.isfinite(tau)
    while heap:
        _, node = heapq.heappop(heap)
        if done[node]:
            continue
        done[node] = True
        for axis, way in itertools.product(range(2), (-1, 1)):
            near = list(node)
            near[axis] += way
            near = tuple(near)
            if not 0 <= near[axis] < s.shape[axis] or done[near] or given[near]:
                continue
            value = _update(near, tau, done, t0, p0, s[near], h)
            if value < tau[near]:
                tau[near] = value
                heapq.heappush(heap, (t0[near] * value, near))
    return np.where(r > 0, t0 * tau, 0.0)


def _update(node, tau, done, t0, p0, s, h):
    """Solve sum (a tau - b)^2 = s^2 over the upwind axes; drop axes that the wave does not come from."""
    terms = []
    for axis in range(2):
        best = None
        for way in (-1, 1):
            near = list(node)
            near[axis] += way
            if not 0 <= near[axis] < tau.shape[axis] or not done[tuple(near)]:
                continue
            near = tuple(near)
            time = t0[near] * tau[near]
            if best is None or time < best[0]:
                far = list(node)
                far[axis] += 2 * way
                far = tuple(far)
                two = 0 <= far[axis] < tau.shape[axis] and done[far] and t0[far] * tau[far] <= time
                k = t0[node] / h[axis]
                if two:
                    a, b = 1.5 * k, k * (2 * tau[near] - 0.5 * tau[far])
                else:
                    a, b = k, k * tau[near]
                best = (time, a - way * p0[axis][node], b)
        if best:
            terms.append(best)
    terms.sort()
    value = np.inf
    for n in range(1, len(terms) + 1):
        aa = sum(a * a for _, a, _ in terms[:n])
        ab = sum(a * b for _, a, b in terms[:n])
        bb = sum(b * b for _, _, b in terms[:n])
        root = ab * ab - aa * (bb - s * s)
        if root < 0:
            break
        trial = (ab + np.sqrt(root)) / aa
        if all(a * trial >= b for _, a, b in terms[:n]):
            value = min(value, trial)
    return value


def bilinear(values, at):
    """Bilinear interpolation at ``at`` in cells."""
    low = [int(np.clip(np.floor(x), 0, n - 2)) for x, n in zip(at, values.shape)]
    u, w = (x - k for x, k in zip(at, low))
    i, j = low
    return (
        (1 - u) * (1 - w) * values[i, j]
        + u * (1 - w) * values[i + 1, j]
        + (1 - u) * w * values[i, j + 1]
        + u * w * values[i + 1, j + 1]
    )


def two_layer_time(x, depth, interface, c1, c2):
    """Exact time (float64) from a source at z = 0 through one interface, or above it, by Snell's law (direct ray)."""
    if depth <= interface:
        return np.hypot(x, depth) / c1
    low, high = 0.0, abs(x)
    for _ in range(100):
        u = 0.5 * (low + high)
        slope = u / np.hypot(u, interface) / c1 - (abs(x) - u) / np.hypot(abs(x) - u, depth - interface) / c2
        low, high = (u, high) if slope < 0 else (low, u)
    return np.hypot(u, interface) / c1 + np.hypot(abs(x) - u, depth - interface) / c2
