"""What `OnnxModel` costs on top of ONNX Runtime, and what it saves.

Contenders on the same graph and input, one thread, interleaved:
  bound     run_with_iobinding on a binding made once: the floor, which no caller with changing arrays can reach
  run       session.run on NumPy arrays, which returns new memory
  model     OnnxModel(x): checks, binds, new output memory
  model out OnnxModel(x, out=y): checks, binds, nothing new

Cases: y = -x on 16 values (overhead alone) and on 64 MiB (copies would show); a spec with a value range (one more pass
over the input); the encoder of the published sound-speed network (six strided convolutions with layer norms, 64
channels, 1024 samples; random weights) on 512 traces, whole and in pieces.

    PYTHONPATH=python python bench/learning/bench_runtime.py [--rounds 6] [--only small] [--json FILE]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import harness
from sonoray import ModelSpec, OnnxModel
from sonoray.learning import TensorSpec, attach_spec

REPEATS = {"small": 2000}


def saved(folder, name, nodes, shapes, weights=()):
    """Path of a graph from x to y."""
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s)] for n, s in zip("xy", shapes, strict=True)]
    graph = helper.make_graph(nodes, name, *ports, [numpy_helper.from_array(w, n) for n, w in weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if name == "range":
        tensor = TensorSpec("x", ("batch", "value"), value_range=(-10, 10))
        attach_spec(model, ModelSpec("negative", (tensor,), (TensorSpec("y", ("batch", "value")),)))
    path = Path(folder) / f"{name}.onnx"
    onnx.save(model, path)
    return path


def encoder(folder, n_samples=1024, channels=64):
    """The published encoder's graph: 6 x (Conv k5 s2, LayerNorm over channels and time, LeakyReLU)."""
    random, nodes, weights, last = np.random.default_rng(1), [], [], "x"
    for i in range(6):
        n_in, length = 2 if i == 0 else channels, n_samples >> (i + 1)
        weights += [
            (f"k{i}", random.normal(0, 0.05, (channels, n_in, 5)).astype("f4")),
            (f"s{i}", np.ones((channels, length), "f4")),
            (f"b{i}", np.zeros((channels, length), "f4")),
        ]
        out = "y" if i == 5 else f"r{i}"
        nodes += [
            helper.make_node("Conv", [last, f"k{i}"], [f"c{i}"], strides=[2], pads=[2, 2]),
            helper.make_node("LayerNormalization", [f"c{i}", f"s{i}", f"b{i}"], [f"n{i}"], axis=-2),
            helper.make_node("LeakyRelu", [f"n{i}"], [out], alpha=0.01),
        ]
        last = out
    return saved(folder, "encoder", nodes, (["n", 2, n_samples], ["n", channels, n_samples >> 6]), weights)


def raw_session(path):
    """ONNX Runtime with the options that OnnxModel sets."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def contenders(case, path, x, y_shape):
    """Ways to run a graph; work is one call."""
    session, model, y = raw_session(path), OnnxModel(path, threads=1), np.empty(y_shape, "f4")
    binding = session.io_binding()
    binding.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)
    ways = {
        "bound": lambda: session.run_with_iobinding(binding),
        "run": lambda: session.run(None, {"x": x}),
        "model": lambda: model(x),
        "model out": lambda: model(x, out=y),
    }
    if case == "encoder":
        for size in (128, 32):
            pieces = OnnxModel(path, threads=1, max_batch=size)
            ways[f"model out, max_batch={size}"] = lambda pieces=pieces: pieces(x, out=y)
    n = REPEATS.get(case, 1)

    def many(function):
        def run():
            for _ in range(n):
                function()

        return run

    return [harness.Contender(name, case, harness.own_time(many(way)), n) for name, way in ways.items()]


def cases(folder, only):
    """Name, graph, input and output shape of every case asked for."""
    random, negative = np.random.default_rng(2), [helper.make_node("Neg", ["x"], ["y"])]
    wide, rows = (["n", 1024],) * 2, 1 << 14
    for name, make, shape, y_shape in (
        ("small", lambda: saved(folder, "small", negative, (["n", 16],) * 2), (1, 16), (1, 16)),
        ("64 MiB", lambda: saved(folder, "large", negative, wide), (rows, 1024), (rows, 1024)),
        ("64 MiB, range", lambda: saved(folder, "range", negative, wide), (rows, 1024), (rows, 1024)),
        ("encoder", lambda: encoder(folder), (512, 2, 1024), (512, 64, 16)),
    ):
        if only in name:
            yield name, make(), random.normal(size=shape).astype("f4"), y_shape


def main():
    parser = harness.options(__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a case's name")
    options = parser.parse_args()
    results = []
    print("| case | contender | CPU us / call | band | wall us | over bound us |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(folder, options.only):
            found = harness.measure(contenders(*case), options.rounds, verbose=False)
            floor = found[0].cpu / found[0].work
            for r in found:
                cpu, low, high, wall = (1e6 * t / r.work for t in (r.cpu, *r.cpu_band, r.wall))
                more = cpu - 1e6 * floor
                print(f"| {r.case} | {r.name} | {cpu:,.1f} | {low:,.1f} to {high:,.1f} | {wall:,.1f} | {more:,.1f} |")
            results += found
    if options.json:
        harness.save(results, options.json)


if __name__ == "__main__":
    main()
