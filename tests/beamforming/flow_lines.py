"""Lines that a scanner beamformed, with blood between two ranges."""

import numpy as np

from sonoray import ScanLines

from .flow_recording import LIMIT


def steered_lines(velocity=0.4 * LIMIT, angle=0.2, n_shots=8):
    """Two frames of beamformed I/Q: tissue everywhere, blood towards the probe between two ranges."""
    rng = np.random.default_rng(2)
    x, ranges = np.linspace(-8e-3, 8e-3, 40), np.linspace(5e-3, 20e-3, 200)
    shape = (2, 1, len(x), len(ranges))
    blood = (ranges > 10e-3) & (ranges < 15e-3)
    turn = np.exp(1j * np.pi * velocity / LIMIT * np.arange(n_shots))[:, None, None]
    speckle = rng.standard_normal((2, *shape)) + 1j * rng.standard_normal((2, *shape))
    noise = rng.standard_normal((2, 2, n_shots, *shape[2:]))
    samples = 10 * speckle[0] + blood * speckle[1] * turn + 0.1 * (noise[0] + 1j * noise[1])
    return ScanLines(samples.astype("c8"), x, angle, ranges, 5e6, frame_rate=20.0)
