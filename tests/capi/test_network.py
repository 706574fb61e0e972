"""A network from an ONNX file, in libraries that were built with ONNX Runtime."""

import ctypes as c

import numpy as np
import pytest

from sonoray import Transmit

from .library import Pipeline
from .test_capi import GRID, MAP, channel_data

onnx = pytest.importorskip("onnx", reason="the model of this test is made with onnx (extra test)")
UNSUPPORTED = "5: model"


def write_model(path, shape, faulty=False):
    """1500 m/s plus the frame's mean."""
    from onnx import TensorProto, helper, numpy_helper

    out = (1, *MAP.shape) if not faulty else (1, 3)
    nodes = [
        helper.make_node("ReduceMean", ["samples"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "speed"], ["map"]),
    ]
    graph = helper.make_graph(
        nodes,
        "speed",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.full(out, 1500.0, np.float32), "speed")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def prepared(data, path):
    try:
        return Pipeline(data, GRID, map=MAP, model=str(path).encode())
    except RuntimeError as error:
        if str(error).startswith(UNSUPPORTED):
            pytest.skip("this libsonoray.so was built without ONNX Runtime (SONORAY_ONNXRUNTIME)")
        raise


def estimate(pipeline, data):
    frame, found = np.ascontiguousarray(data.samples[0]), np.empty(MAP.shape, np.float32)
    pipeline.check(
        pipeline.library.sonoray_pipeline_estimate_map(
            pipeline.handle,
            c.c_void_p(frame.ctypes.data),
            c.c_size_t(frame.nbytes),
            c.c_void_p(found.ctypes.data),
            c.c_int64(found.size),
        )
    )
    return found


def test_map_from_an_onnx_file(tmp_path):
    data = channel_data((Transmit.plane(), Transmit.plane(0.1)), iq=True)
    write_model(tmp_path / "speed.onnx", (1, 2, 24, 300, 2))
    pipeline = prepared(data, tmp_path / "speed.onnx")
    mean = data.samples.view(np.float32).mean()
    np.testing.assert_allclose(estimate(pipeline, data), 1500.0 + mean, rtol=1e-6)
    pipeline(data.samples[0])
    pipeline.close()


def test_files_that_are_no_such_network(tmp_path):
    data = channel_data((Transmit.plane(),), iq=True)
    path = tmp_path / "bad.onnx"
    write_model(path, (1, 1, 24, 300, 2), faulty=True)
    pipeline = prepared(data, path)
    with pytest.raises(RuntimeError, match="7: model: "):
        estimate(pipeline, data)
    pipeline.close()
    path.write_bytes(b"not a model")
    with pytest.raises(RuntimeError, match="7: model: "):
        prepared(data, path)
