"""OnnxModel: nothing is copied, nothing moves silently, and what does not fit is refused with the reason."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoray import ArgumentError, DeviceError, FormatError, ModelSpec, OnnxModel
from sonoray.learning import TensorSpec, attach_spec
from sonoray.learning.buffers import borrow

from .makers import (
    MATRIX,
    SPEC,
    TensorProto,
    elementwise,
    helper,
    model,
    product,
    saved,
    saved_outside,
)


@pytest.fixture
def network(tmp_path):
    return OnnxModel(saved(tmp_path, product()))


def iq_model(axis=-1):
    """Mean over receivers of I/Q: (n, rx, s, 2) -> (n, s, 2), or with the parts elsewhere."""
    shapes = (["n", "r", "s", 2], ["n", "s", 2]) if axis == -1 else (["n", 2, "r", "s"], ["n", 2, "s"])
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)
    axes = np.array([1 if axis == -1 else 2])
    return model([node], [("x", shapes[0])], [("y", shapes[1])], [("axes", axes)])


# Copies


class Spied:
    """A session, or its binding, that notes the addresses bound and works as before."""

    def __init__(self, inner, bound):
        self.inner, self.bound = inner, bound

    def io_binding(self):
        return Spied(self.inner.io_binding(), self.bound)

    def bind_input(self, name, *rest):
        self.bound[name] = rest[-1]
        self.inner.bind_input(name, *rest)

    def bind_output(self, name, *rest):
        self.bound[name] = rest[-1]
        self.inner.bind_output(name, *rest)

    def run_with_iobinding(self, binding):
        self.inner.run_with_iobinding(binding.inner)


def spied(network):
    """Addresses that ONNX Runtime is given, by name."""
    bound = {}
    network._session = Spied(network._session, bound)
    return bound


def test_addresses_of_numpy_arrays_are_what_onnxruntime_gets(network, rng):
    bound = spied(network)
    x, out = rng.normal(size=(3, 4)).astype("f4"), np.empty((3, 4), "f4")
    assert network(x, out=out) is out
    assert bound == {"x": x.ctypes.data, "y": out.ctypes.data}
    result = network(x)
    assert bound["y"] == result.ctypes.data and result.flags.writeable
    np.testing.assert_allclose(out, x @ MATRIX, rtol=1e-6)


def test_parts_of_larger_arrays_are_used_in_place(network, rng):
    large, target = rng.normal(size=(5, 3, 4)).astype("f4"), np.zeros((5, 3, 4), "f4")
    network(large[2], out=target[4])
    np.testing.assert_allclose(target[4], large[2] @ MATRIX, rtol=1e-6)
    assert not target[:4].any()


def test_mutation_between_calls_is_seen(network):
    x, out = np.ones((1, 4), "f4"), np.empty((1, 4), "f4")
    network(x, out=out)
    first = out.copy()
    x *= 2
    network(x, out=out)
    np.testing.assert_array_equal(out, 2 * first)


def test_an_identity_shows_one_write_and_no_copy_of_the_input(tmp_path):
    """A run takes no memory of the size of the data: a second copy anywhere would."""
    shape = [1 << 24]
    path = saved(tmp_path, elementwise("Neg", shape))
    code = f"""
import resource, sys, numpy as np, sonoray
m = sonoray.OnnxModel({str(path)!r}, threads=1)
x, out = np.ones({shape}, "f4"), np.ones({shape}, "f4")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
m(x, out=out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, out[5])
"""
    grown, value = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(value) == -1 and int(grown) < 16 << 10  # KiB; the array has 64 MiB


def test_read_only_inputs_are_fine_and_read_only_outputs_are_not(network):
    x = np.ones((2, 4), "f4")
    x.flags.writeable = False
    np.testing.assert_allclose(network(x), np.ones((2, 4)) @ MATRIX, rtol=1e-6)
    with pytest.raises(ArgumentError, match="read-only"):
        network(np.ones((2, 4), "f4"), out=x)


def test_complex_iq_enters_and_leaves_without_a_copy(tmp_path, rng):
    network = OnnxModel(saved(tmp_path, iq_model()))
    bound = spied(network)
    iq = (rng.normal(size=(2, 5, 7)) + 1j * rng.normal(size=(2, 5, 7))).astype("c8")
    out = np.empty((2, 7), "c8")
    network(iq, out=out)
    assert bound == {"x": iq.ctypes.data, "y": out.ctypes.data}
    np.testing.assert_allclose(out, iq.mean(axis=1), rtol=1e-5, atol=1e-7)
    parts = network(iq)
    assert parts.dtype == np.float32 and parts.shape == (2, 7, 2)


def test_complex_iq_that_would_need_a_copy_is_refused(tmp_path):
    network = OnnxModel(saved(tmp_path, iq_model(axis=1)))
    with pytest.raises(ArgumentError, match="last axis"):
        network(np.zeros((2, 5, 7), "c8"))


def test_weights_outside_the_file_are_used_in_place(tmp_path):
    path = saved_outside(tmp_path, product())
    network = OnnxModel(path)
    os.unlink(tmp_path / "weights.bin")
    np.testing.assert_allclose(network(np.eye(4, dtype="f4")), MATRIX)


# Other libraries' arrays


def test_torch_tensors(network, rng):
    torch = pytest.importorskip("torch")
    bound = spied(network)
    x, out = torch.randn(3, 4), torch.empty(3, 4)
    assert network(x, out=out) is out
    assert bound == {"x": x.data_ptr(), "y": out.data_ptr()}
    torch.testing.assert_close(out, x @ torch.from_numpy(MATRIX))
    result = network(x)
    assert isinstance(result, torch.Tensor) and bound["y"] == result.data_ptr()
    result += 1  # it is the caller's own
    with pytest.raises(ArgumentError, match="strided"):
        network(torch.randn(4, 3).T)
    with pytest.raises(ArgumentError, match="shared by DLPack"):
        network(torch.randn(3, 4, requires_grad=True))
    iq = torch.randn(2, 5, 7, dtype=torch.complex64)
    assert borrow("iq", iq).parts().pointer == iq.data_ptr()


class Foreign:
    """An array of some other library."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_anything_that_speaks_dlpack(network):
    x, out = np.eye(4, dtype="f4"), np.empty((4, 4), "f4")
    network(Foreign(x), out=Foreign(out))
    np.testing.assert_allclose(out, MATRIX)
    assert isinstance(network(Foreign(x)), np.ndarray)
    assert borrow("x", Foreign(x[1:3])).pointer == x.ctypes.data + 16
    with pytest.raises(ArgumentError, match="strided"):
        network(Foreign(x[:, ::2]))


def test_device_arrays_are_refused_by_a_model_on_the_host(network, monkeypatch):
    found = replace(borrow("x", np.eye(4, dtype="f4")), device="cuda:0")
    monkeypatch.setattr("sonoray.learning.signature.borrow", lambda *_, **__: found)
    with pytest.raises(DeviceError, match="x: expected an array on 'cpu'.*'cuda:0'; use sonoray.to_host"):
        network(None)


def test_memory_lives_as_long_as_what_is_returned(tmp_path):
    """Shape known only after the run: ONNX Runtime's own memory, kept by the array."""
    node = helper.make_node("NonZero", ["x"], ["y"])
    network = OnnxModel(saved(tmp_path, model([node], [("x", ["n"])], [("y", [1, None], TensorProto.INT64)])))
    result = network(np.array([0, 1, 0, 2], "f4"))
    others = [network(np.ones(4, "f4")) for _ in range(20)]
    np.testing.assert_array_equal(result, [[1, 3]])
    assert all(o.shape == (1, 4) for o in others) and result.flags.writeable
    out = np.empty((1, 3), "i8")
    with pytest.raises(ArgumentError, match=r"\(4,\)"):
        network(np.ones(4, "f4"), out=out)


# Arguments


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((2, 4)), "x: expected float32, got float64"),
        (np.ones((2, 3), "f4"), r"x: expected shape \(n, 4\), got \(2, 3\)|expected shape \(any, 4\)"),
        (np.ones((2, 4, 1), "f4"), "expected shape"),
        (np.ones((0, 4), "f4"), "expected shape"),
        (np.ones((4, 2), "f4").T, "strided"),
        ([[1.0] * 4], "NumPy array"),
        (None, "NumPy array"),
    ],
)
def test_inputs_that_do_not_fit(network, value, message):
    with pytest.raises(ArgumentError, match=message):
        network(value)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.ones((2, 4)), "out y: expected float32"),
        (np.ones((3, 4), "f4"), r"out y: expected shape \(2, 4\)"),
        ([np.ones((2, 4), "f4")] * 2, "expected 1 arrays"),
        ([], "expected 1 arrays"),
    ],
)
def test_outputs_that_do_not_fit(network, out, message):
    with pytest.raises(ArgumentError, match=message):
        network(np.ones((2, 4), "f4"), out=out)


def test_outputs_must_not_share_memory_with_inputs(network):
    x = np.ones((6, 4), "f4")
    with pytest.raises(ArgumentError, match="memory of its own"):
        network(x[:4], out=x[2:])
    network(x[:3], out=x[3:])


def test_names_and_positions(tmp_path):
    node = helper.make_node("Sub", ["a", "b"], ["y"])
    network = OnnxModel(saved(tmp_path, model([node], [("a", ["n"]), ("b", ["n"])], [("y", ["n"])])))
    a, b = np.array([3, 4], "f4"), np.array([1, 1], "f4")
    np.testing.assert_array_equal(network(a, b), [2, 3])
    np.testing.assert_array_equal(network(b=b, a=a), [2, 3])
    for wrong in (lambda: network(a), lambda: network(a, b, a), lambda: network(a, a=b), lambda: network(a, c=b)):
        with pytest.raises(ArgumentError, match="expected a, b once each"):
            wrong()
    with pytest.raises(ArgumentError, match="batches of one length"):
        network(a, np.ones(3, "f4"))


def test_free_lengths_must_agree(tmp_path):
    node = helper.make_node("Add", ["a", "b"], ["y"])
    network = OnnxModel(saved(tmp_path, model([node], [("a", [1, "n"]), ("b", [2, "n"])], [("y", [2, "n"])])))
    assert network(np.ones((1, 5), "f4"), np.ones((2, 5), "f4")).shape == (2, 5)
    with pytest.raises(ArgumentError, match="expected length 5 for 'n' as in a, got 6"):
        network(np.ones((1, 5), "f4"), np.ones((2, 6), "f4"))


def test_several_outputs(tmp_path):
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["x"], ["b"])]
    network = OnnxModel(saved(tmp_path, model(nodes, [("x", ["n"])], [("a", ["n"]), ("b", ["n"])])))
    x = np.array([-1, 2], "f4")
    a, b = network(x)
    np.testing.assert_array_equal([a, b], [[1, -2], [1, 2]])
    out = np.empty((2, 2), "f4")
    network(x, out=(out[0], out[1]))
    np.testing.assert_array_equal(out, [[1, -2], [1, 2]])
    with pytest.raises(ArgumentError, match="memory of its own, got that of out a"):
        network(x, out=(out[0], out[0]))


def test_what_the_network_cannot_run_is_said_with_its_shapes(tmp_path):
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    proto = model([node], [("x", ["n"])], [("y", [None, 4])], [("s", np.array([-1, 4]))])
    with pytest.raises(ArgumentError, match=r"model.onnx: .* x \(6,\)"):
        OnnxModel(saved(tmp_path, proto))(np.ones(6, "f4"))


# Batches


@given(n=st.integers(1, 23), size=st.integers(1, 9))
def test_batches_in_pieces_are_the_whole(n, size, tmp_path_factory):
    path = saved(tmp_path_factory.mktemp("batch"), product())
    x = np.random.default_rng(n).normal(size=(n, 4)).astype("f4")
    np.testing.assert_allclose(OnnxModel(path, max_batch=size)(x), x @ MATRIX, rtol=1e-5, atol=1e-6)


def test_a_graph_with_a_fixed_batch_takes_longer_ones(tmp_path, rng):
    proto = product(batch=4)
    attach_spec(proto, SPEC)
    network = OnnxModel(saved(tmp_path, proto))
    for n in (4, 6, 8, 11):
        x = rng.normal(size=(n, 4)).astype("f4")
        np.testing.assert_allclose(network(x), x @ MATRIX, rtol=1e-5, atol=1e-6)
    with pytest.raises(ArgumentError, match="at least 4, got 3"):
        network(np.ones((3, 4), "f4"))


def test_without_a_spec_a_fixed_length_is_no_batch(tmp_path):
    with pytest.raises(ArgumentError, match="expected shape"):
        OnnxModel(saved(tmp_path, product(batch=4)))(np.ones((8, 4), "f4"))


def test_inputs_without_a_batch_go_to_every_piece(tmp_path):
    node = helper.make_node("Add", ["x", "b"], ["y"])
    proto = model([node], [("x", ["n", 2]), ("b", [2])], [("y", ["n", 2])])
    spec = ModelSpec(
        "sum",
        (TensorSpec("x", ("batch", "i")), TensorSpec("b", ("i",))),
        (TensorSpec("y", ("batch", "i")),),
    )
    attach_spec(proto, spec)
    network = OnnxModel(saved(tmp_path, proto), max_batch=2)
    x = np.arange(10, dtype="f4").reshape(5, 2)
    np.testing.assert_array_equal(network(x, np.array([1, 2], "f4")), x + np.array([1, 2]))


def test_sums_over_the_batch_cannot_be_cut(tmp_path):
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    network = OnnxModel(saved(tmp_path, model([node], [("x", ["n"])], [("y", [])])), max_batch=2)
    assert network(np.ones(2, "f4")) == 2
    with pytest.raises(ArgumentError, match="cannot be run in pieces"):
        network(np.ones(5, "f4"))


# What the spec promises


def with_spec(folder, **tensor):
    proto = product()
    attach_spec(proto, SPEC.with_(inputs=(TensorSpec("x", ("batch", "feature"), **tensor),)))
    return OnnxModel(saved(folder, proto))


def test_values_outside_the_range_are_refused(tmp_path):
    network = with_spec(tmp_path, value_range=(-1, 1), unit="Pa")
    x = np.ones((2, 4), "f4")
    network(x)
    with pytest.raises(ArgumentError, match="x: expected values from -1 to 1 Pa, got 1 to 1.5"):
        network(np.where(np.eye(2, 4), x * 1.5, x).astype("f4"))
    x[1, 2] = np.nan
    with pytest.raises(ArgumentError, match="NaN"):
        network(x)


def test_lengths_that_are_no_multiple_are_refused(tmp_path):
    network = with_spec(tmp_path, pad_multiple=(2, 1))
    assert network(np.ones((2, 4), "f4")).shape == (2, 4)
    with pytest.raises(ArgumentError, match="multiples"):
        network(np.ones((3, 4), "f4"))


@pytest.mark.parametrize(
    "inputs",
    [(TensorSpec("z", ("batch", "feature")),), (TensorSpec("x", ("batch",)),), (*SPEC.inputs, TensorSpec("z", ()))],
)
def test_a_spec_of_another_graph_is_refused(tmp_path, inputs):
    proto = product()
    attach_spec(proto, SPEC.with_(inputs=inputs))
    with pytest.raises(FormatError, match="as in the graph"):
        OnnxModel(saved(tmp_path, proto))


def test_a_spec_can_be_given(tmp_path):
    path = saved(tmp_path, product())
    assert OnnxModel(path).spec is None
    assert OnnxModel(path, spec=SPEC).spec is SPEC
    with pytest.raises(ArgumentError, match="spec"):
        OnnxModel(path, spec={"name": "x"})
