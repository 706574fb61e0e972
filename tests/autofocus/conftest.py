"""Echoes of speckle in one speed that is not 1540 m/s, by 32 elements: enough to see a map improve focus."""

import numpy as np
import pytest

from sonoray import Grid, Probe, encode, full_synthetic_aperture
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.inversion.autofocus_settings import AutofocusSettings
from sonoray.media.phantoms_random import random_scatterers

SPEED = 1470.0
QUICK = AutofocusSettings(patches=(5, 6), kernel=(3, 0.5), iterations=1, spacing=3e-3)


def speckle(transmits=None, speed=SPEED, seed=3):
    probe = Probe.linear(32, 0.45e-3, width=0.38e-3, center_frequency=2.25e6)
    field = Grid.from_extent(x=(-10e-3, 10e-3), z=(0.0, 26e-3), spacing=3e-4)
    points, amplitudes = random_scatterers(np.random.default_rng(seed), field, 900)
    sequence = full_synthetic_aperture(probe) if transmits is None else transmits
    given = {"sampling_frequency": 5e6, "duration": 34e-6, "bandwidth": 0.55, "snr": 40.0}
    return simulate_echoes(speed, probe, sequence, points, amplitudes, **given)


def sent(multistatic, transmits):
    """What a sequence records, for as long as the single elements did."""
    data = encode(multistatic, transmits)
    n = int((multistatic.end_time - data.start_time.max()) * data.sampling_frequency)
    return data.with_(samples=data.samples[..., :n])


@pytest.fixture(scope="session")
def echoes():
    return speckle()
