"""OnnxModel on CUDA: what ONNX Runtime is asked for, seen by a stand-in on any machine; and the real thing."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, DeviceError, OnnxModel
from sonoray.learning import buffers

from .makers import MATRIX, product, saved


class OnDevice:
    """Host memory that says it lies on device 0."""

    def __init__(self, values):
        self.values, self.streams = values, []

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        capsule = self.values.__dlpack__()
        buffers._Tensor.from_address(buffers._capsule_pointer(capsule, b"dltensor")).device_type = 2
        return capsule


class Runtime:
    """Stands in for the onnxruntime module: notes what it is asked for, and multiplies."""

    __version__ = "0"

    def __init__(self, works=True, refusal=None):
        self.calls, self.config, self.works, self.refusal = [], {}, works, refusal
        self.OrtValue = None

    def get_available_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def SessionOptions(self):
        return SimpleNamespace(add_session_config_entry=self.config.__setitem__)

    def RunOptions(self):
        entries = {}
        return SimpleNamespace(entries=entries, add_run_config_entry=entries.__setitem__)

    def InferenceSession(self, data, options, providers, enable_fallback):
        if self.refusal:
            raise RuntimeError(self.refusal)
        self.providers, self.fallback = providers, enable_fallback
        ports = [[SimpleNamespace(name=n, shape=["n", 4], type="tensor(float)")] for n in "xy"]
        return SimpleNamespace(
            get_inputs=lambda: ports[0],
            get_outputs=lambda: ports[1],
            get_providers=lambda: ["CUDAExecutionProvider"] * self.works + ["CPUExecutionProvider"],
            disable_fallback=lambda: None,
            io_binding=dict_binding,
            run_with_iobinding=self.run,
        )

    def run(self, binding, options):
        (shape, x), (_, y) = binding["x"], binding["y"]
        view = [np.frombuffer((ctypes.c_float * (shape[0] * 4)).from_address(p), "f4").reshape(shape) for p in (x, y)]
        view[1][:] = view[0] @ MATRIX
        self.calls.append(("run", options.entries))


def dict_binding():
    class Binding(dict):
        def bind_input(self, name, kind, index, dtype, shape, pointer):
            assert (kind, index, dtype) == ("cuda", 0, np.float32)
            self[name] = tuple(shape), pointer

        bind_output = bind_input

    return Binding()


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function: options -> (model on "cuda:0" that runs on the stand-in, stand-in)."""
    path = saved(tmp_path, product())

    def function(runtime=None, **options):
        runtime = runtime or Runtime()
        module = SimpleNamespace(
            synchronise=lambda index, stream: runtime.calls.append(("wait", index, stream)),
            empty=lambda shape, dtype, index: OnDevice(np.zeros(shape, dtype)),
        )
        monkeypatch.setattr("sonoray.learning.runtime._onnxruntime", lambda: runtime)
        monkeypatch.setattr("sonoray.learning.runtime.device_module", lambda device: module)
        return OnnxModel(path, **{"device": "cuda", **options}), runtime

    return function


X = np.arange(12, dtype="f4").reshape(3, 4)


def test_without_a_stream_calls_wait_before_and_after(make):
    network, runtime = make()
    x, out = OnDevice(X), OnDevice(np.zeros((3, 4), "f4"))
    assert network(x, out=out) is out
    np.testing.assert_allclose(out.values, X @ MATRIX)
    assert runtime.calls == [("wait", 0, 0), ("run", {})]
    assert x.streams == [1] and out.streams == [1]  # DLPack's number for the default stream
    np.testing.assert_allclose(network(x).values, X @ MATRIX)
    assert "user_compute_stream" not in runtime.providers[0][1]


def test_with_a_stream_nothing_waits(make):
    network, runtime = make(stream=SimpleNamespace(cuda_stream=4711))
    x = OnDevice(X)
    network(x)
    assert runtime.providers[0][1]["user_compute_stream"] == "4711" and x.streams == [4711]
    assert runtime.calls == [("run", {"disable_synchronize_execution_providers": "1"})]
    with pytest.raises(ArgumentError, match="pickling"):
        network.__reduce__()


def test_recorded_graphs_belong_to_buffers(make):
    network, runtime = make(cuda_graph=True)
    assert runtime.providers[0][1]["enable_cuda_graph"] == "1"
    pairs = [(OnDevice(X.copy()), OnDevice(np.zeros((3, 4), "f4"))) for _ in range(17)]
    for x, out in [*pairs[:2], pairs[0]]:
        network(x, out=out)
    assert [c[1]["gpu_graph_id"] for c in runtime.calls if c[0] == "run"] == ["1", "2", "1"]
    for x, out in pairs[2:16]:
        network(x, out=out)
    with pytest.raises(ArgumentError, match="same input and out buffers"):
        network(*pairs[16][:1], out=pairs[16][1])
    with pytest.raises(ArgumentError, match="out: expected the same arrays"):
        network(pairs[0][0])


def test_batches_in_pieces(make):
    network, runtime = make(max_batch=2)
    out = OnDevice(np.zeros((3, 4), "f4"))
    network(OnDevice(X), out=out)
    np.testing.assert_allclose(out.values, X @ MATRIX)
    assert [c[0] for c in runtime.calls].count("run") == 2


def test_options_of_the_provider(make):
    _, runtime = make(memory_limit=2 << 30, tf32=True)
    name, options = runtime.providers[0]
    assert name == "CUDAExecutionProvider" and runtime.fallback is False
    assert options["gpu_mem_limit"] == str(2 << 30) and options["use_tf32"] == "1" and options["device_id"] == "0"
    assert runtime.config["session.disable_cpu_ep_fallback"] == "1"
    _, runtime = make(cpu_nodes=True)
    assert "session.disable_cpu_ep_fallback" not in runtime.config
    assert runtime.providers[0][1]["use_tf32"] == "0"


def test_a_provider_that_does_not_start_is_no_silent_fallback(make):
    with pytest.raises(DeviceError, match="could not start its CUDA provider"):
        make(Runtime(works=False))
    with pytest.raises(DeviceError, match="cpu_nodes=True"):
        make(Runtime(refusal="nodes are assigned to the default CPU EP, but fallback to CPU EP has been disabled"))


def test_auto_takes_cuda_where_all_have_it(make, monkeypatch):
    monkeypatch.setattr("sonoray.learning.runtime.devices", lambda: ["cpu", "cuda:0"])
    assert make(device="auto")[0].device == "cuda:0"
    assert make(Runtime(works=False), device="auto")[0].device == "cpu"
    with pytest.raises(ArgumentError, match="stream"):
        make(Runtime(works=False), device="auto", stream=5)
    monkeypatch.setattr("sonoray.learning.runtime.devices", lambda: ["cpu"])
    assert make(device="auto")[0].device == "cpu"


def test_host_arrays_are_not_moved(make):
    network, _ = make()
    with pytest.raises(DeviceError, match="x: expected an array on 'cuda:0'.*got one on 'cpu'; use sonoray.to_device"):
        network(X)
    with pytest.raises(DeviceError, match="out y"):
        network(OnDevice(X), out=np.zeros((3, 4), "f4"))


# The real thing


@pytest.mark.gpu
class TestOnCuda:
    @pytest.fixture(autouse=True)
    def _needs_cuda(self):
        ort = pytest.importorskip("onnxruntime")
        if len(sonoray.devices()) < 2 or "CUDAExecutionProvider" not in ort.get_available_providers():
            pytest.skip("no CUDA device, or no onnxruntime-gpu")

    def test_sonoray_arrays_in_place(self, tmp_path, rng):
        network = OnnxModel(saved(tmp_path, product()), device="cuda")
        x = rng.normal(size=(3, 4)).astype("f4")
        out = sonoray.to_device(np.zeros((3, 4), "f4"))
        network(sonoray.to_device(x), out=out)
        np.testing.assert_allclose(sonoray.to_host(out), x @ MATRIX, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(sonoray.to_host(network(sonoray.to_device(x))), x @ MATRIX, rtol=1e-5, atol=1e-6)
        with pytest.raises(DeviceError, match="to_device"):
            network(x)

    @pytest.mark.parametrize("cuda_graph", [False, True])
    def test_torch_on_its_stream(self, tmp_path, cuda_graph):
        torch = pytest.importorskip("torch")
        stream = torch.cuda.Stream()
        network = OnnxModel(saved(tmp_path, product()), device="cuda", stream=stream, cuda_graph=cuda_graph)
        matrix = torch.from_numpy(MATRIX).cuda()
        with torch.cuda.stream(stream):
            x, out = torch.randn(3, 4, device="cuda"), torch.empty(3, 4, device="cuda")
            address = out.data_ptr()
            for _ in range(3):
                x.mul_(2)
                network(x, out=out)
                torch.testing.assert_close(out, x @ matrix)
        assert out.data_ptr() == address

    def test_cupy(self, tmp_path):
        cupy = pytest.importorskip("cupy")
        network = OnnxModel(saved(tmp_path, product()), device="cuda")
        result = network(cupy.eye(4, dtype="f4"))
        assert isinstance(result, cupy.ndarray)
        np.testing.assert_allclose(cupy.asnumpy(result), MATRIX)
