"""Tiny ONNX models, made with onnx.helper."""

import numpy as np
import pytest

from sonoray.learning import ModelSpec, TensorSpec

onnx = pytest.importorskip("onnx", reason="onnx makes the models of these tests")
pytest.importorskip("onnxruntime", reason="sonoray[cpu] runs them")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MATRIX = np.arange(16, dtype="f4").reshape(4, 4) / 16
SPEC = ModelSpec(
    "product",
    (TensorSpec("x", ("batch", "feature")),),
    (TensorSpec("y", ("batch", "feature")),),
    version="3",
    task="test",
    licence="Apache-2.0",
    sampling_frequency=10e6,
    settings={"grid": [1, 2.5], "name": "a"},
)


def model(nodes, inputs, outputs, weights=(), opset=18):
    """A ModelProto; inputs and outputs are (name, shape) or (name, shape, type)."""
    ports = [
        [helper.make_tensor_value_info(n, t[0] if t else TensorProto.FLOAT, s) for n, s, *t in side]
        for side in (inputs, outputs)
    ]
    arrays = [numpy_helper.from_array(np.asarray(w), n) for n, w in weights]
    graph = helper.make_graph(nodes, "g", *ports, arrays)
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    result.ir_version = 9
    return result


def product(batch="n"):
    """y = x MATRIX, x (batch, 4)."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return model([node], [("x", [batch, 4])], [("y", [batch, 4])], [("w", MATRIX)])


def elementwise(operator, shape, out_shape=None, **attributes):
    """y = operator(x)."""
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    return model([node], [("x", shape)], [("y", out_shape or shape)])


def convolution(kernel, shape=("b", 1, "h", "w")):
    """Same-size 2-D convolution with zeros around the image."""
    kernel = np.asarray(kernel, "f4")
    pad = [n // 2 for n in kernel.shape]
    node = helper.make_node("Conv", ["x", "k"], ["y"], pads=[*pad, *pad])
    return model([node], [("x", shape)], [("y", shape)], [("k", kernel[None, None])])


def saved(folder, proto, name="model.onnx"):
    """Path of a model written to a folder."""
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def saved_outside(folder, proto, location="weights.bin", **options):
    """Path of a model with its weights in a file beside it."""
    path = folder / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location=location, size_threshold=0, **options)
    return path


def redirected(proto, location, offset="0", length=None):
    """The same model, whose first weight claims to lie elsewhere."""
    weight = proto.graph.initializer[0]
    size = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", str(size) if length is None else length)):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return proto
