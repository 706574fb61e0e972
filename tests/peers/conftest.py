"""Peers in a process of their own: SONORAY_PEERS_PYTHON names an interpreter that has them, else this one is tried.

And recordings of others for both sides.
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

from sonoray import ChannelData, Probe, plane_waves

PYTHON = os.environ.get("SONORAY_PEERS_PYTHON", sys.executable)


@pytest.fixture
def peer(tmp_path):
    """Return a function that runs tests/peers/run_<name>.py on arrays and returns its image."""

    def run(name, package, **given):
        look = f"import sys, importlib.util as u; sys.exit(u.find_spec('{package}') is None)"  # importing takes seconds
        found = subprocess.run([PYTHON, "-c", look], capture_output=True, check=False)
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
