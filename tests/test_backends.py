"""Where work runs: devices by name, import without a driver, levels of the host code."""

import os
import subprocess
import sys

import numpy as np
import pytest

import sonoray
from sonoray._arrays import is_device_array, stream_handle
from sonoray._backends import backend, host_module, place


def test_unknown_device_is_named():
    with pytest.raises(sonoray.DeviceError, match="metal"):
        backend("metal")
    with pytest.raises(sonoray.DeviceError, match="cpu:1"):
        backend("cpu:1")


def test_cuda_is_refused_with_the_reason_where_there_is_none():
    if len(sonoray.devices()) > 1:
        pytest.skip("there is a CUDA device")
    with pytest.raises(sonoray.DeviceError, match="nvcc was not found|0 CUDA devices"):
        sonoray.to_device(np.zeros(3, "f4"))


def test_import_touches_neither_driver_nor_heavy_packages():
    code = (
        "import sys, sonoray; "
        "heavy = {'matplotlib', 'torch', 'onnxruntime', 'pooch', 'pydicom', 'devito', 'tqdm', 'sonoray._cuda'} "
        "& set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cpu_level_can_be_lowered_and_not_raised():
    module = host_module()
    highest = module.cpu_level()
    try:
        module.set_cpu_level(0)
        assert module.cpu_level() == 0
        module.set_cpu_level(2)
        assert module.cpu_level() == highest
    finally:
        module.set_cpu_level(highest)


def test_level_from_the_environment_is_checked():
    environment = {**os.environ, "SONORAY_CPU": "sse9"}
    code = "import sonoray; sonoray._backends.host_module()"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "SONORAY_CPU: expected baseline, v3, v4, got 'sse9'" in result.stderr


def test_place_counts_threads_on_the_host(monkeypatch):
    monkeypatch.setenv("SONORAY_THREADS", "3")
    assert place("cpu") == 3
    monkeypatch.setenv("SONORAY_THREADS", "many")
    with pytest.raises(sonoray.ArgumentError, match="SONORAY_THREADS"):
        place("cpu")


def test_streams_of_other_libraries():
    class TorchLike:
        cuda_stream = 7

    assert (stream_handle(None), stream_handle(5), stream_handle(TorchLike())) == (0, 5, 7)
    with pytest.raises(sonoray.ArgumentError, match="stream"):
        stream_handle("default")


def test_host_arrays_pass_through_untouched():
    values = np.arange(5)
    assert not is_device_array(values)
    assert sonoray.to_host(values) is values


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int16"])
def test_round_trip_through_the_device(dtype, rng):
    if len(sonoray.devices()) < 2:
        pytest.skip("no CUDA device")
    values = (100 * rng.normal(size=(3, 5, 7))).astype(dtype)
    there = sonoray.to_device(values)
    assert is_device_array(there)
    np.testing.assert_array_equal(sonoray.to_host(there), values)
