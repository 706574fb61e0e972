"""The shipped network: sound speed of tissue that it has not seen; what does not fit is refused by name."""

import time

import numpy as np
import pytest

from sonoray import ArgumentError, FormatError, Grid, Medium, Probe, full_synthetic_aperture
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.media.phantoms_random import random_scatterers

pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")

from sonoray.assets import load_sound_speed_network
from sonoray.autofocus.network import SoundSpeedNetwork

PROBE = Probe.linear(64, 0.45e-3, width=0.38e-3, center_frequency=2.25e6)
GRID = Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 42e-3), spacing=3e-4)
X, Z = np.meshgrid(*GRID.axes, indexing="ij")


@pytest.fixture(scope="module")
def network():
    return load_sound_speed_network()


def echoes(speed, seed=99, probe=PROBE, **options):
    points, amplitudes = random_scatterers(np.random.default_rng(seed), GRID, 1500)
    given = {"sampling_frequency": 5e6, "duration": 57e-6, "start_time": 1e-6, "bandwidth": 0.55, "snr": 30.0}
    medium = Medium(GRID, speed)
    return simulate_echoes(medium, probe, full_synthetic_aperture(probe), points, amplitudes, **{**given, **options})


def judged(medium):
    x, z = medium.grid.axes
    return medium.sound_speed[np.abs(x) <= 12e-3][:, (z >= 3e-3) & (z <= 38e-3)]


@pytest.mark.parametrize("speed", [1440.0, 1590.0])
def test_constant_speeds(network, speed):
    found = judged(network(echoes(speed)))
    assert np.abs(found - speed).mean() < 15.0
    assert abs(found.mean() - speed) < 10.0


def test_layer(network):
    medium = network(echoes(np.where(Z < 9e-3, 1455.0, 1575.0)))
    assert medium.sound_speed.shape == network.grid.shape == (32, 32)
    inner = np.abs(medium.grid.x) <= 10e-3
    upper = medium.sound_speed[inner][:, (medium.grid.z > 3e-3) & (medium.grid.z < 7.5e-3)]
    lower = medium.sound_speed[inner][:, (medium.grid.z > 13e-3) & (medium.grid.z < 36e-3)]
    assert abs(upper.mean() - 1455.0) < 20.0
    assert abs(lower.mean() - 1575.0) < 20.0


def test_speed_on_one_core(network):
    data = echoes(1540.0)
    network(data)
    start = time.process_time()
    network(data)
    assert time.process_time() - start < 1.5  # 0.2 where nothing else runs


def test_what_does_not_fit_is_refused(network):
    data = echoes(1540.0)
    with pytest.raises(ArgumentError, match="sampling_frequency: expected 5e\\+06 Hz, got 4e\\+06"):
        network(data.with_(sampling_frequency=4e6))
    with pytest.raises(ArgumentError, match=r"pitch: expected 0\.00045 m, got 0\.0003"):
        network(data.with_(probe=Probe.linear(64, 0.3e-3, center_frequency=2.25e6)))
    with pytest.raises(ArgumentError, match="n_tx: expected 64, got 10"):
        network(data.select(transmits=slice(0, 10)))
    with pytest.raises(ArgumentError, match="expected ChannelData, got ndarray"):
        network(data.samples)
    with pytest.raises(ArgumentError, match="head, extent: expected none"):
        SoundSpeedNetwork(network.model, extent=(0, 1, 0, 1))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"no model")
    with pytest.raises(FormatError):
        SoundSpeedNetwork(tmp_path / "noise.onnx")
