"""A ring of elements and waves through it with known arrival times."""

import numpy as np
import pytest

import sonoray

SPEED = 1500.0
RATE = 10e6


def pulse(t):
    """Causal pulse: starts at t = 0 with zero slope, one and a half periods of 1 MHz long."""
    x = np.clip(t / 1.5e-6, 0, 1)
    return np.sin(2 * np.pi * 1e6 * t) * np.sin(np.pi * x) ** 2 * (x > 0) * (x < 1)


def ring_probe(n=24, radius=0.05):
    """Elements on a circle, in order."""
    angle = 2 * np.pi * np.arange(n) / n
    positions = radius * np.c_[np.cos(angle), 0 * angle, np.sin(angle)]
    return sonoray.Probe(positions, -positions / radius, kind="ring", center_frequency=1e6)


class Recorder:
    """Makes channel data in which every pair has one arrival at a given time."""

    def __init__(self, n=24, start_time=10e-6, n_samples=900):
        self.probe = ring_probe(n)
        self.start_time, self.n_samples = start_time, n_samples
        p = self.probe.positions
        self.distance = np.linalg.norm(p[:, None] - p[None], axis=2)
        self.opposite = self.distance > 0.06
        self.amplitude = 1 / np.sqrt(np.maximum(self.distance, 0.01))

    def __call__(self, times, noise=0.0, seed=0, tx=None, dtype=np.float32, scale=1.0):
        """Channel data of transmits `tx` whose waves arrive at `times` (n_tx, n_rx); noise relative to the peak."""
        tx = range(len(self.probe.positions)) if tx is None else tx
        t = self.start_time + np.arange(self.n_samples) / RATE
        waves = pulse(t - times[..., None]) * self.amplitude[list(tx)][..., None]
        waves += noise * self.amplitude.min() * np.random.default_rng(seed).standard_normal(waves.shape)
        return sonoray.ChannelData(
            (scale * waves[None]).astype(dtype),
            self.probe,
            [sonoray.Transmit.single(k) for k in tx],
            RATE,
            start_time=self.start_time,
            sound_speed=SPEED,
        )


@pytest.fixture(scope="session")
def recorder():
    return Recorder()
