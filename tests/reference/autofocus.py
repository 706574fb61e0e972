"""Speckle over known maps for tests of autofocus, by the echo simulator; small enough for half a second per map."""

import functools

import numpy as np

import sonoray
from sonoray import Grid, Medium, Probe
from sonoray.beamforming.echoes import simulate_echoes

GRID = Grid.from_extent(x=(-10e-3, 10e-3), z=(0.0, 24e-3), spacing=2.5e-4)
PROBE = Probe.linear(32, 0.45e-3, width=0.2e-3, center_frequency=2.25e6)


@functools.cache
def truth(name):
    """Medium of a case: a number of m/s, "layers" or "inclusion"."""
    x, z = np.meshgrid(*GRID.axes, indexing="ij")
    if name == "layers":
        speed = np.where(z < 8e-3, 1480.0, 1560.0)
    elif name == "inclusion":
        speed = np.where(np.hypot(x, z - 10e-3) < 5e-3, 1490.0, 1540.0)
    else:
        speed = np.full(GRID.shape, float(name))
    return Medium(GRID, speed.astype(np.float32))


@functools.cache
def speckle(name, seed=0, n=4000):
    """I/Q of every element firing once over n scatterers."""
    random = np.random.default_rng(seed)
    at = np.stack([random.uniform(-9.5e-3, 9.5e-3, n), np.zeros(n), random.uniform(2e-3, 23e-3, n)], axis=1)
    medium = truth(name) if isinstance(name, str) else float(name)
    return simulate_echoes(
        medium,
        PROBE,
        sonoray.full_synthetic_aperture(PROBE),
        at,
        random.standard_normal(n),
        sampling_frequency=4e6,
        duration=32e-6,
    )
