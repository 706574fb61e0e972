"""Slow twins of the pickers: whole slices, np.var, no running sums."""

import numpy as np


def tukey(n, part):
    """Tukey window, `part` of it tapered."""
    window = np.ones(n)
    width = 0.5 * part * (n - 1)
    for i in range(n):
        from_end = min(i, n - 1 - i)
        if from_end < width:
            window[i] = 0.5 - 0.5 * np.cos(np.pi * from_end / width)
    return window


def prepared(trace, taper):
    """Without mean, tapered; and the largest deviation from the mean before tapering."""
    u = np.asarray(trace, np.float64)
    u = u - u.mean()
    return u * tukey(len(u), taper), np.abs(u).max()


def search(u, first, last, threshold, duration):
    """First and last sample in which the arrival is sought."""
    i0, i1 = max(0, int(np.ceil(first))), min(len(u) - 1, int(np.floor(last)))
    inside = np.abs(u[i0 : i1 + 1])
    if threshold == 0:
        return i0, i1
    right = i0 + int((inside > threshold * inside.max()).argmax())
    return right - int(duration + 0.5), right


def criterion(u, i, floor):
    """AIC of the record split after sample i."""
    head, tail = u[: i + 1], u[i + 1 :]
    return len(head) * np.log(max(np.var(head, ddof=1), floor)) + (len(tail) - 1) * np.log(
        max(np.var(tail, ddof=1), floor)
    )


def aic(trace, first, last, *, threshold, duration, taper, silence, step=0.0):
    """Akaike-weighted mean index of the last sample before the arrival."""
    u, largest = prepared(trace, taper)
    floor = max(step**2 / 12, (silence * largest) ** 2)
    left, right = search(u, first, last, threshold, duration)
    splits = np.arange(max(left, 1), min(right, len(u) - 3) + 1)
    values = np.array([criterion(u, i, floor) for i in splits])
    best = values.argmin()
    near = np.abs(splits - splits[best]) <= int(0.25 * duration)
    weights = np.exp(-0.5 * (values[near] - values[best]))
    return float((weights * splits[near]).sum() / weights.sum())
