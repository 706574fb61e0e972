"""From networks in PyTorch to ONNX files that run without it, with their `ModelSpec` inside."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import count
from ..errors import ArgumentError, MissingExtraError
from ..io.writing import atomic
from ..learning.models import ModelSpec, TensorSpec, attach_spec
from ..learning.runtime import OnnxModel

OPSET = 17
TOLERANCE = 1e-4


def export_onnx(
    module: nn.Module,
    examples: Any,
    path: Any,
    spec: ModelSpec,
    *,
    free: Sequence[str] = ("batch",),
    opset: int = OPSET,
    checks: Sequence[Any] = (),
) -> ModelSpec:
    """Trace a module and write it in one step.

    Tracing keeps convolutions of any dimension, InstanceNorm and attention small and lets sizes vary. What Python
    computes from a size (``int(x.shape[2])``, loops over windows) becomes a constant: compute with tensors, and check
    several sizes with `check_parity`.

    Parameters
    ----------
    module : nn.Module
        Is put into evaluation mode.
    examples : Tensor or sequence of Tensor
        One for each of the spec's inputs, on the module's device.
    path : path
        Ends in .onnx.
    spec : ModelSpec
        Its tensors name the graph's inputs and outputs.
    free : sequence of str
        Axes of the spec's tensors whose length may vary, such as "batch", "row", "column".
    opset : int
        Of ONNX, 17 or later.
    checks : sequence
        Inputs of several sizes for `check_parity`; a file that fails never takes the name ``path``.

    Returns
    -------
    ModelSpec
        As written into the file, with opset and digest.

    Raises
    ------
    ArgumentError
        Examples that do not fit the spec, a free axis that no tensor has, a path that does not end in .onnx;
        ``checks`` on which ONNX Runtime and module differ.
    MissingExtraError
        ``onnx`` is not installed.
    """
    given = _checked(examples, spec)
    axes = {axis for tensor in (*spec.inputs, *spec.outputs) for axis in tensor.axes}
    for axis in free:
        if axis not in axes:
            raise ArgumentError(f"free: expected axes among {sorted(axes)}, got {axis!r}")
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise ArgumentError(f"path: expected a name ending in .onnx, got {target.name!r}")
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx is needed to write networks: pip install 'sonoray[train]'") from None
    buffer = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracing exporter announces its successor, which clutters these graphs
        torch.onnx.export(
            module.eval(),
            given,
            buffer,  # type: ignore[arg-type]
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            dynamic_axes={tensor.name: _free(tensor, free) for tensor in (*spec.inputs, *spec.outputs)},
            opset_version=count("opset", opset, 17, 20),
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    filled = attach_spec(model, spec)
    with atomic(target) as partial:
        partial.write_bytes(model.SerializeToString())
        if checks:
            _compare(module, partial, checks, TOLERANCE, "cpu", target)
    return filled


def check_parity(
    module: nn.Module, path: Any, examples: Sequence[Any], *, tolerance: float = TOLERANCE, device: str = "cpu"
) -> float:
    """Compare a file with the module that it was made from.

    Parameters
    ----------
    module : nn.Module
        Is put into evaluation mode.
    path : path
        Of the ONNX file.
    examples : sequence
        Inputs of several sizes, on the module's device.
    tolerance : float
        Largest difference that passes, in the output's unit.
    device : str
        Of ONNX Runtime.

    Returns
    -------
    float
        Largest absolute difference of any output.

    Raises
    ------
    ArgumentError
        A larger difference, another shape, values that are not finite.
    """
    return _compare(module, path, examples, tolerance, device, path)


def _compare(module: nn.Module, file: Any, examples: Sequence[Any], tolerance: float, device: str, path: Any) -> float:
    """See `check_parity`; ``path`` is what messages call ``file``."""
    model, worst = OnnxModel(file, device=device), 0.0
    module.eval()
    for example in examples:
        given = _tensors(example)
        with torch.no_grad():
            wanted = _tensors(module(*given))
        found = model(*[np.ascontiguousarray(t.cpu().numpy()) for t in given])
        found = found if isinstance(found, tuple) else (found,)
        for port, a, b in zip(model.outputs, wanted, found, strict=True):
            sizes = [tuple(t.shape) for t in given]
            if tuple(a.shape) != b.shape:
                raise ArgumentError(f"{path}: {port.name}: expected {tuple(a.shape)} for inputs {sizes}, got {b.shape}")
            difference = float(np.abs(a.cpu().numpy() - b).max(initial=0.0))
            if not difference <= tolerance:
                raise ArgumentError(
                    f"{path}: {port.name}: expected the module's values within {tolerance:g} for inputs {sizes}, got a "
                    f"difference of {difference:.3g}"
                )
            worst = max(worst, difference)
    return worst


def _tensors(given: Any) -> tuple[Tensor, ...]:
    return (given,) if isinstance(given, Tensor) else tuple(given)


def _checked(examples: Any, spec: ModelSpec) -> tuple[Tensor, ...]:
    given = _tensors(examples)
    if len(given) != len(spec.inputs):
        raise ArgumentError(
            f"examples: expected {len(spec.inputs)} for {[t.name for t in spec.inputs]}, got {len(given)}"
        )
    for tensor, wanted in zip(given, spec.inputs, strict=True):
        if tensor.ndim != len(wanted.axes):
            raise ArgumentError(f"examples: {wanted.name}: expected axes {wanted.axes}, got {tuple(tensor.shape)}")
    return given


def _free(tensor: TensorSpec, free: Sequence[str]) -> dict[int, str]:
    return {index: axis for index, axis in enumerate(tensor.axes) if axis in free}
