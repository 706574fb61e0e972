"""Delay-and-sum against PyMUST and vbeam on real and simulated data of others (peer).

Peers run in a process of their own: SONORAY_PEERS_PYTHON names an interpreter that has them, else this one is tried.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat
from scipy.signal import butter, filtfilt

from sonoray import ChannelData, Grid, Probe, plane_waves
from sonoray.beamforming.arrivals import Arrivals, arrivals
from sonoray.beamforming.das import Beamformer

pytestmark = pytest.mark.peer
PYTHON = os.environ.get("SONORAY_PEERS_PYTHON", sys.executable)
# Float32 of ours (samples, weights, fractions of a sample) against the peers' double precision, relative L2.
PARITY = 1e-4


@pytest.fixture
def peer(tmp_path):
    """Return a function that runs tests/peers/run_<name>.py on arrays and returns its image."""

    def run(name, package, **given):
        found = subprocess.run([PYTHON, "-c", f"import {package}"], capture_output=True, check=False)
        if found.returncode:
            pytest.skip(f"{package} is not installed (SONORAY_PEERS_PYTHON names an interpreter that has it)")
        np.savez(tmp_path / "in.npz", **given)
        script = Path(__file__).with_name(f"run_{name}.py")
        call = [PYTHON, str(script), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return np.load(tmp_path / "out.npz")["image"]

    return run


@pytest.fixture
def disk(real_data):
    """Two frames of a rotating disk: a 128-element array, plane waves at 0 degrees, under-sampled RF made I/Q."""
    content = loadmat(real_data("must-rotating-disk/PWI_disk.mat"), squeeze_me=True, struct_as_record=False)
    param = content["param"]
    fs, fc, start = float(param.fs), float(param.fc), float(param.t0)
    rf = content["RF"][:, :, :2].astype(float)
    t = start + np.arange(len(rf)) / fs
    iq = filtfilt(*butter(4, 0.5), rf * np.exp(-2j * np.pi * fc * t)[:, None, None], axis=0)
    probe = Probe.linear(rf.shape[1], float(param.pitch), center_frequency=fc)
    return ChannelData(
        np.ascontiguousarray(iq.transpose(2, 1, 0)[:, None], np.complex64), probe, plane_waves([0.0]), fs,
        demodulation_frequency=fc, start_time=start, sound_speed=float(param.c),
    )  # fmt: skip


@pytest.fixture
def scatterers(real_data):
    """Three plane waves of a 192-element array over 2748 scatterers, Field II."""
    with h5py.File(real_data("pybf-field2-3pw/rf_dataset.hdf5")) as file:
        rf = np.stack([file[f"data/rf_data/frame_1/shot_{i}"][()] for i in (1, 2, 3)]).astype(np.float32)
    probe = Probe.linear(rf.shape[1], 0.23e-3, center_frequency=5.2083e6)
    waves = plane_waves(np.deg2rad([-12.0, 0.0, 12.0]))
    return ChannelData(rf[None], probe, waves, 20e6, start_time=-3.6625e-6, center_frequency=5.2083e6)


def problem(data, grid, **more):
    """What the peers need to know."""
    angles = np.array([np.arctan2(t.direction[0], t.direction[2]) for t in data.transmits])
    elements = data.probe.positions[:, 0]
    return {
        "signals": data.samples[0].transpose(0, 2, 1), "x": grid.x, "z": grid.z, "elements": elements,
        "pitch": data.probe.pitch, "angles": angles, "delays": np.sin(angles)[:, None] * elements / data.sound_speed,
        "fc": data.demodulation_frequency or data.center_frequency, "fs": data.sampling_frequency,
        "c": data.sound_speed, "start_time": data.start_time[0], **more,
    }  # fmt: skip


def sampled_aperture(data, grid):
    """Transmit times as PyMUST takes them: first arrival over four points for each element."""
    n = data.probe.n_elements
    x = np.interp(np.linspace(0, n - 1, 4 * n), np.arange(n), data.probe.positions[:, 0])
    p = grid.points()
    times = []
    for t in data.transmits:
        path = np.hypot(x - p[..., :1], p[..., 2:]) + x * t.direction[0]
        times.append(path.min(axis=-1) / data.sound_speed)
    return Arrivals(grid, data.probe, np.array(times, np.float32), None, data.sound_speed)


def distance(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def test_pymust_on_iq_of_a_rotating_disk(disk, peer):
    grid = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=0.4e-3)
    want = peer("pymust", "pymust", **problem(disk, grid, f_number=1.5))
    same = Beamformer(sampled_aperture(disk, grid), disk, f_number=1.5)(disk)
    assert same.shape == (2, *grid.shape)
    assert distance(same[0], want) < PARITY
    # The exact plane wave: PyMUST's sampled aperture is late by up to (pitch / 8)^2 / 2 z, 1.5e-3 rad at 10 mm.
    plane = Beamformer(arrivals(disk.transmits, disk.probe, grid, disk.sound_speed), disk, f_number=1.5)(disk)
    assert distance(plane[0], want) < 1.5e-3


def test_pymust_on_rf_of_three_plane_waves(scatterers, peer):
    grid = Grid.from_extent(x=(-15e-3, 15e-3), z=(8e-3, 45e-3), spacing=0.4e-3)
    want = peer("pymust", "pymust", **problem(scatterers, grid, f_number=1.5)).real
    got = Beamformer(sampled_aperture(scatterers, grid), scatterers, f_number=1.5)(scatterers)
    assert distance(got[0], want) < PARITY


def test_vbeam_on_rf_of_three_plane_waves(scatterers, peer):
    grid = Grid.from_extent(x=(-15e-3, 15e-3), z=(8e-3, 45e-3), spacing=0.4e-3)
    want = peer("vbeam", "vbeam", **problem(scatterers, grid))
    exact = arrivals(scatterers.transmits, scatterers.probe, grid, scatterers.sound_speed)
    got = Beamformer(exact, scatterers, f_number=None)(scatterers)
    assert distance(got[0], want) < PARITY


def test_vbeam_on_iq_of_a_rotating_disk(disk, peer):
    grid = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=0.4e-3)
    want = peer("vbeam", "vbeam", **problem(disk, grid))
    exact = arrivals(disk.transmits, disk.probe, grid, disk.sound_speed)
    got = Beamformer(exact, disk, f_number=None)(disk)
    assert distance(got[0], want) < PARITY
