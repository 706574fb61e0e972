"""Windowed transforms of recordings, trace by trace in double precision."""

import numpy as np


def window(t, tau, pre, hold=0.0, post=None):
    """Weight at one time of a trace whose arrival is tau."""
    if t < tau:
        return np.exp(-0.5 * ((tau - t) / pre) ** 2)
    if post is not None and t > tau + hold:
        return np.exp(-0.5 * ((t - tau - hold) / post) ** 2)
    return 1.0


def spectrum(trace, start, dt, frequency, weights=None):
    """dt sum w(t) p(t) exp(+i omega t)."""
    total = 0j
    for k, p in enumerate(np.asarray(trace, np.float64)):
        w = 1.0 if weights is None else weights[k]
        total += w * p * np.exp(2j * np.pi * frequency * (start + k * dt))
    return dt * total
