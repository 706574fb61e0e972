"""A vessel with plug flow between strong tissue, simulated with known parts."""

from functools import cache

import numpy as np

import sonoray
from sonoray.simulation.moving_scatterers import simulate_flow_images

F, RATE, C = 5e6, 5e3, 1540.0
LIMIT = sonoray.nyquist_velocity(F, RATE, C)
GRID = sonoray.Grid.from_extent(x=(-4e-3, 4e-3), z=(10e-3, 18e-3), spacing=2e-4)
LUMEN = np.abs(GRID.z - 14e-3) < 1.4e-3  # a resolution cell inside the wall
TISSUE = np.abs(GRID.z - 14e-3) > 2.6e-3


def in_vessel(x, z):
    """Between two walls."""
    return np.abs(z - 14e-3) < 2e-3


def plug(fraction):
    """Velocity of a plug, a fraction of the Nyquist velocity towards the probe."""
    return lambda x, z: (0.1 + 0 * x, -fraction * LIMIT + 0 * z)


@cache
def scene(fraction=0.45, tissue_motion=0.0, n_frames=24, noise=0.1):
    """Blood of power 1, tissue of power 1 that moves up to a fraction of Nyquist, and noise; read-only."""
    times = np.arange(n_frames) / RATE
    blood = simulate_flow_images(GRID, plug(fraction), times, F, region=in_vessel)

    def drift(x, z):
        return 0 * x, -tissue_motion * LIMIT * np.cos(x / 4e-3)

    tissue = simulate_flow_images(GRID, drift, times, F, seed=1, region=lambda x, z: ~in_vessel(x, z))
    parts = np.random.default_rng(2).standard_normal((2, *blood.shape)).astype("f4")
    noisy = (noise / np.sqrt(2) * (parts[0] + 1j * parts[1])).astype("c8")
    for part in (blood, tissue, noisy):
        part.flags.writeable = False
    return blood, tissue, noisy


def decibel(values):
    """Mean power in dB."""
    return 10 * np.log10(np.mean(np.abs(values) ** 2, dtype=float))
