"""Moveouts: zero at the nominal speed, the analytic slope at another one, mirror symmetry, refusals."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Probe, Transmit, full_synthetic_aperture
from sonoray.autofocus.moveouts import Moveouts, MoveoutSettings, mean_frequency, mirrored
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.media.phantoms_random import random_scatterers

PROBE = Probe.linear(32, 0.45e-3, width=0.38e-3, center_frequency=2.25e6)
SETTINGS = MoveoutSettings(half_width=8e-3, depth=30e-3, shape=(6, 12), reach=5e-3, last_depth=28e-3)
GRID = Grid.from_extent(x=(-10e-3, 10e-3), z=(0.0, 32e-3), spacing=5e-4)


@pytest.fixture(scope="module")
def plan():
    return Moveouts(PROBE, 2.25e6, SETTINGS)


def echoes(c, seed=0, **options):
    points, amplitudes = random_scatterers(np.random.default_rng(seed), GRID, 1500)
    given = {"sampling_frequency": 5e6, "duration": 44e-6, "start_time": 1e-6, **options}
    return simulate_echoes(c, PROBE, full_synthetic_aperture(PROBE), points, amplitudes, **given)


def trusted(plan, data):
    """Slopes of the bins straight ahead, where they are trusted, and their half offsets / depth."""
    slopes, trust = plan.measure(data)
    n_offsets, n_midpoints = len(SETTINGS.offsets) - 1, len(SETTINGS.midpoints) - 1
    by = (n_offsets, n_midpoints, *slopes.shape[1:])
    middle = n_midpoints // 2
    return slopes.reshape(by)[:, middle], trust.reshape(by)[:, middle] > 40


def test_slopes_vanish_at_the_nominal_speed(plan):
    slopes, ok = trusted(plan, echoes(SETTINGS.sound_speed))
    assert ok.mean() > 0.2
    assert np.abs(slopes[ok]).max() < 1e-2
    assert np.sqrt(np.mean(slopes[ok] ** 2)) < 2.5e-3  # 0.03 at 50 m/s more


@pytest.mark.parametrize("speed", [1450.0, 1600.0])
def test_slopes_of_another_speed(plan, speed):
    """Echoes of z' = z c / c0 come at 2 R' / c, R'^2 = z'^2 + h^2: slope = 2 h (c0 / (c R') - 1 / R)."""
    slopes, ok = trusted(plan, echoes(speed))
    edges = np.array(SETTINGS.offsets)
    h = 0.5 * (edges[1:] + edges[:-1])[:, None, None]  # in depths
    ratio = speed / SETTINGS.sound_speed
    wanted = np.broadcast_to(2 * h * (1 / (ratio * np.hypot(ratio, h)) - 1 / np.hypot(1, h)), slopes.shape)
    ok = ok & (np.abs(wanted) > 0.02)
    assert ok.sum() > 20
    # u turns by minus the error of the time. Sub-apertures and patches have a size and see a fifth less than points.
    assert -1.05 < np.median(slopes[ok] / wanted[ok]) < -0.7
    assert np.corrcoef(-slopes[ok], wanted[ok])[0, 1] > 0.85


def test_mirror_image(plan):
    data = echoes(1500.0, snr=20.0)
    flipped = data.with_(samples=np.ascontiguousarray(data.samples[:, ::-1, ::-1]))
    n_midpoints = len(SETTINGS.midpoints) - 1
    features = plan(data)
    assert features.shape == plan.shape
    assert features.dtype == np.float32
    difference = np.abs(mirrored(plan(flipped), n_midpoints) - features)
    # Pairs on the edge of two bins fall on either side of it.
    assert np.mean(difference > 1e-3) < 0.1
    assert np.array_equal(mirrored(mirrored(features, n_midpoints), n_midpoints), features)


def test_mean_frequency_follows_the_pulse():
    found = mean_frequency(echoes(1500.0, center_frequency=2.4e6, demodulation_frequency=2.25e6, bandwidth=0.5))
    assert found == pytest.approx(2.4e6, rel=0.01)


def test_settings_survive_json():
    import json

    assert MoveoutSettings.from_dict(json.loads(json.dumps(SETTINGS.to_dict()))) == SETTINGS
    assert SETTINGS.grid.shape == (12, 12)
    with pytest.raises(ArgumentError, match="settings: expected"):
        MoveoutSettings.from_dict({"depth": 0.03})
    with pytest.raises(ArgumentError, match="rising edges"):
        MoveoutSettings(offsets=(0.0, 0.2, 0.1))


def test_refusals(plan):
    data = echoes(1500.0)
    with pytest.raises(ArgumentError, match="expected I/Q, got RF"):
        plan(data.with_(samples=data.samples.real, demodulation_frequency=0.0))
    with pytest.raises(ArgumentError, match="fire once, in order"):
        plan(data.select(transmits=slice(0, 8)))
    with pytest.raises(ArgumentError, match="decode the sequence first"):
        plan(data.with_(transmits=[Transmit.plane(0.0)] * 32))
    other = Probe.linear(32, 0.3e-3, center_frequency=2.25e6)
    with pytest.raises(ArgumentError, match="expected data of"):
        plan(data.with_(probe=other))
    with pytest.raises(ArgumentError, match="evenly spaced elements along x"):
        Moveouts(Probe.curvilinear(32, 0.45e-3, 30e-3), 2.25e6)
