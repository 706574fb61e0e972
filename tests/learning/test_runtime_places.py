"""OnnxModel: devices, installations, threads and processes."""

import pickle
import sys
import threading
import time
from importlib import metadata

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, DeviceError, FormatError, MissingExtraError, OnnxModel
from sonoray.learning import attach_spec

from .makers import (
    MATRIX,
    SPEC,
    convolution,
    elementwise,
    product,
    saved,
)


@pytest.fixture
def network(tmp_path):
    return OnnxModel(saved(tmp_path, product()))


# Devices and installations


def test_cuda_never_falls_back(tmp_path):
    if len(sonoray.devices()) > 1:
        pytest.skip("a device is here")
    with pytest.raises(DeviceError, match="cuda"):
        OnnxModel(saved(tmp_path, product()), device="cuda")


def test_cuda_without_its_provider_names_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr("sonoray.learning.runtime.device_module", lambda device: None)
    ort = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has the provider")
    with pytest.raises(DeviceError, match=r"sonoray\[gpu\]"):
        OnnxModel(saved(tmp_path, product()), device="cuda:0")


def test_auto_says_what_it_took(tmp_path):
    assert OnnxModel(saved(tmp_path, product()), device="auto").device in ("cpu", "cuda:0")


@pytest.mark.parametrize("options", [{"device": "tpu"}, {"device": "cpu:1"}])
def test_unknown_devices(tmp_path, options):
    with pytest.raises(DeviceError, match="device"):
        OnnxModel(saved(tmp_path, product()), **options)


@pytest.mark.parametrize("options", [{"stream": 5}, {"cuda_graph": True}])
def test_options_of_cuda_are_refused_on_the_host(tmp_path, options):
    with pytest.raises(ArgumentError, match="CUDA"):
        OnnxModel(saved(tmp_path, product()), **options)


def test_both_wheels_are_refused_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "1.31.1")
    with pytest.raises(MissingExtraError, match="overwrite each other.*pip uninstall"):
        OnnxModel(saved(tmp_path, product()))


def test_no_wheel_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"sonoray\[cpu\]"):
        OnnxModel(saved(tmp_path, product()))


def test_operators_that_are_unknown(tmp_path):
    with pytest.raises(FormatError, match="cannot use this model"):
        OnnxModel(saved(tmp_path, elementwise("Frobnicate", ["n"])))


def test_other_formats_of_onnxruntime_are_refused(tmp_path):
    """An ORT-format file is not read, not even one that is also protobuf."""
    path = tmp_path / "model.ort"
    path.write_bytes(b"\x12\x7fxxORTM" + b"x" * 121 + product().SerializeToString())
    network = OnnxModel(path)  # read as the protobuf that it is
    np.testing.assert_allclose(network(np.eye(4, dtype="f4")), MATRIX)


# Threads and processes


def test_calls_from_many_threads(network, rng):
    xs = [rng.normal(size=(50, 4)).astype("f4") for _ in range(8)]
    wrong = []

    def work(x):
        for _ in range(20):
            if not np.allclose(network(x), x @ MATRIX, atol=1e-5):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=(x,)) for x in xs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def longest_pause_of_another_thread(work):
    """Seconds that ``work`` took, and for which another thread stood still meanwhile."""
    running, gaps = True, [0.0]

    def tick():
        last = time.perf_counter()
        while running:
            time.sleep(1e-3)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    running = False
    thread.join()
    return took, max(gaps)


def test_long_calls_let_other_threads_run(tmp_path):
    network = OnnxModel(saved(tmp_path, convolution(np.ones((31, 31)))), threads=1)
    x = np.ones((1, 1, 700, 700), "f4")
    # On a loaded machine a thread may have to wait for a core, but not each time for the whole call.
    pauses = [longest_pause_of_another_thread(lambda: network(x)) for _ in range(3)]
    assert min(pause / took for took, pause in pauses) < 0.5, pauses


def test_pickling(tmp_path):
    proto = product()
    attach_spec(proto, SPEC)
    path = saved(tmp_path, proto)
    network = OnnxModel(path, max_batch=3, threads=1)
    copy = pickle.loads(pickle.dumps(network))
    x = np.ones((7, 4), "f4")
    np.testing.assert_array_equal(copy(x), network(x))
    assert copy.spec == network.spec and copy.max_batch == 3
    saved(tmp_path, elementwise("Neg", ["n"]))
    with pytest.raises(FormatError, match="was changed"):
        pickle.loads(pickle.dumps(network))


def test_nothing_is_printed(tmp_path, capfd):
    path = saved(tmp_path, elementwise("Frobnicate", ["n"]))
    with pytest.raises(FormatError):
        OnnxModel(path)
    network = OnnxModel(saved(tmp_path, product()))
    network(np.ones((1, 4), "f4"))
    assert "OnnxModel('model.onnx'" in repr(network)
    captured = capfd.readouterr()
    assert not captured.out and not captured.err
