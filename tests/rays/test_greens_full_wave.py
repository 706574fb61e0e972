"""Ray Green's functions against the Helmholtz equation in a smoothed breast, phase and amplitude."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.inversion.greens_validation import compare

sys.path.pop(0)


def scores(name, frequencies, **options):
    return [found for found, _ in compare(name, frequencies, **options)]


def test_water():
    """Leading order against the Hankel function: 1 / (8 k r) less in phase, 1 / (4 k r)^2 more in amplitude."""
    (found,) = scores("water", [400e3], radius=0.03, receivers=32)
    nearest = 2 * 0.03 * np.sin(np.pi / 32 * 4.5)  # of the receivers beyond pi / 4 of the radius
    kr = 2 * np.pi * 400e3 / 1500.0 * nearest
    assert found["phase_max"] * np.pi == pytest.approx(1 / (8 * kr), rel=0.02)
    assert found["amplitude_max"] == pytest.approx(100 / (4 * kr) ** 2, rel=0.05)


def test_smooth_medium():
    """Ray theory's error falls with frequency, and with the smoothness of the medium."""
    low, high = scores("Gaussian 5 mm", [300e3, 600e3], radius=0.045, receivers=96)
    assert low["phase_max"] < 0.1 and low["amplitude_max"] < 10
    assert high["phase_rms"] < 0.01 and high["amplitude_rms"] < 1  # measured: 0.0034 (of pi), 0.2 %
    assert high["norm"] < 0.7 * low["norm"]  # the next order falls with the frequency


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_at_1_mhz(seed):
    """The bounds of the design, for the Gaussian of 3 mm with which media are smoothed for ray-Born inversion."""
    (found,) = scores("Gaussian 3 mm", [1e6], seed=seed)
    assert found["phase_rms"] < 0.1
    assert found["amplitude_median"] < 10
    assert found["phase_median"] < 0.03
