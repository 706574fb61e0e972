"""What a graph takes and gives, and the checks of each call against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, DeviceError, FormatError
from .buffers import Buffer, borrow, host_view
from .models import ModelSpec, TensorSpec

_DTYPES = {
    "float": "f4", "double": "f8", "float16": "f2", "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "bool": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Port:
    """An input or output of the graph.

    Parameters
    ----------
    name : str
    shape : tuple of int, str or None
        A str is a length that is free, but the same wherever it stands; None is any.
    dtype : numpy.dtype
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: np.dtype[Any]


class Signature:
    """Inputs and outputs of a graph, with what its spec adds.

    Parameters
    ----------
    inputs, outputs : sequences of what ONNX Runtime tells (name, shape, type)
    spec : ModelSpec or None
    path : Path
        For messages.

    Raises
    ------
    FormatError
        No tensors of numbers, or the spec speaks of other tensors.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any], spec: ModelSpec | None, path: Path) -> None:
        self.inputs = tuple(_port(p, path) for p in inputs)
        self.outputs = tuple(_port(p, path) for p in outputs)
        self.specs: tuple[TensorSpec, ...] = spec.inputs if spec else ()
        if spec is not None:
            _fits("inputs", spec.inputs, self.inputs, path)
            _fits("outputs", spec.outputs, self.outputs, path)
            self.batched_inputs = [t.axes[:1] == ("batch",) for t in spec.inputs]
            self.batched_outputs = [t.axes[:1] == ("batch",) for t in spec.outputs]
        else:  # a free first length is taken for the batch's
            first = self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1
            self.batched_inputs, self.batched_outputs = (
                [not isinstance(first, int) and p.shape[:1] == (first,) for p in ports]
                for ports in (self.inputs, self.outputs)
            )

    def ordered(self, inputs: Sequence[Any], named: dict[str, Any]) -> list[Any]:
        """Arguments in the graph's order."""
        if not named and len(inputs) == len(self.inputs):
            return list(inputs)
        names = [p.name for p in self.inputs]
        given = dict(zip(names, inputs, strict=False))
        twice = given.keys() & named.keys()
        given |= named
        if len(inputs) > len(names) or twice or set(given) != set(names):
            raise ArgumentError(
                f"inputs: expected {', '.join(names)} once each, got {len(inputs)} by position "
                f"and {sorted(named)} by name"
            )
        return [given[name] for name in names]

    def borrowed(self, values: Sequence[Any], device: str, stream: Any) -> list[Buffer]:
        """Memory of the inputs; refuses what the graph or the spec does not take."""
        buffers = []
        for i, (port, value) in enumerate(zip(self.inputs, values, strict=True)):
            buffer = borrow(port.name, value, stream=stream)
            _refuse_elsewhere(buffer, device)
            if buffer.dtype.kind == "c" and len(port.shape) == len(buffer.shape) + 1 and port.shape[-1] in (2, None):
                buffer = buffer.parts()
            # A batch may be longer than the graph's: it is run in pieces.
            refuse_other(buffer, (None, *port.shape[1:]) if self.batched_inputs[i] else port.shape, port.dtype)
            if self.specs:
                _refuse_unlike(self.specs[i], buffer)
            buffers.append(buffer)
        return buffers

    def shapes(self, buffers: Sequence[Buffer]) -> list[tuple[int | None, ...]]:
        """Shapes of the outputs; None for lengths that only running tells. Refuses lengths that contradict."""
        batch = {b.shape[0] for b, cut in zip(buffers, self.batched_inputs, strict=True) if cut}
        if len(batch) > 1:
            raise ArgumentError(f"inputs: expected batches of one length, got {sorted(batch)}")
        found: dict[str, tuple[int, str]] = {}
        for port, buffer in zip(self.inputs, buffers, strict=True):
            for dim, n in zip(port.shape, buffer.shape, strict=True):
                if isinstance(dim, str) and found.setdefault(dim, (n, port.name))[0] != n:
                    known, where = found[dim]
                    raise ArgumentError(f"{port.name}: expected length {known} for {dim!r} as in {where}, got {n}")
        result = []
        for port, cut in zip(self.outputs, self.batched_outputs, strict=True):
            shape = [found[d][0] if d in found else None if isinstance(d, str) else d for d in port.shape]
            if cut and batch:
                shape[0] = next(iter(batch))
            result.append(tuple(shape))
        return result

    def targets(
        self, out: Any, shapes: Sequence[tuple[int | None, ...]], buffers: Sequence[Buffer], device: str, stream: Any
    ) -> list[Buffer | None]:
        """Memory of ``out``; None for each if there is no ``out``."""
        if out is None:
            return [None] * len(self.outputs)
        given = list(out) if isinstance(out, tuple | list) else [out]
        if len(given) != len(self.outputs):
            raise ArgumentError(f"out: expected {len(self.outputs)} arrays, got {len(given)}")
        result: list[Buffer | None] = []
        for port, shape, value in zip(self.outputs, shapes, given, strict=True):
            buffer = borrow(f"out {port.name}", value, writable=True, stream=stream)
            _refuse_elsewhere(buffer, device)
            if buffer.dtype.kind == "c" and len(shape) == len(buffer.shape) + 1:
                buffer = buffer.parts()
            refuse_other(buffer, shape, port.dtype)
            for other in (*buffers, *result):
                if other is not None and buffer.overlaps(other):
                    raise ArgumentError(f"{buffer.name}: expected memory of its own, got that of {other.name}")
            result.append(buffer)
        return result

    def pieces(self, buffers: Sequence[Buffer], max_batch: int | None) -> list[tuple[int, int]]:
        """Start and length of the parts of a batch that are run one after another."""
        cut = self.batched_inputs.index(True) if True in self.batched_inputs else None
        if cut is None:
            return [(0, 0)]
        n, first = buffers[cut].shape[0], self.inputs[cut].shape[0]
        fixed = first if isinstance(first, int) else 0
        if n < fixed:
            raise ArgumentError(f"{buffers[cut].name}: expected a batch of at least {fixed}, got {n}; pad it")
        size = fixed or max_batch or n
        pieces = [(start, min(size, n - start)) for start in range(0, n, size)]
        if fixed:  # the last piece repeats some items, since it cannot be shorter
            pieces[-1] = (n - fixed, fixed)
        return pieces


def refuse_other(buffer: Buffer, shape: tuple[int | str | None, ...], dtype: np.dtype[Any]) -> None:
    """ArgumentError unless a buffer has this type and shape."""
    if buffer.dtype != dtype:
        hint = "; complex values enter only where the last axis is real and imaginary part"
        raise ArgumentError(
            f"{buffer.name}: expected {dtype}, got {buffer.dtype} with shape {buffer.shape}"
            f"{hint if buffer.dtype.kind == 'c' else ''}"
        )
    if len(buffer.shape) != len(shape) or any(
        n == 0 or (isinstance(d, int) and d != n) for d, n in zip(shape, buffer.shape, strict=True)
    ):
        wanted = "(" + ", ".join("any" if d is None else str(d) for d in shape) + ")"
        raise ArgumentError(f"{buffer.name}: expected shape {wanted}, got {buffer.shape}")


def _refuse_elsewhere(buffer: Buffer, device: str) -> None:
    if buffer.device != device:
        move = "sonoray.to_host" if device == "cpu" else "sonoray.to_device"
        raise DeviceError(
            f"{buffer.name}: expected an array on {device!r}, as the model, got one on {buffer.device!r}; use {move}"
        )


def _refuse_unlike(spec: TensorSpec, buffer: Buffer) -> None:
    """ArgumentError where lengths or, on the host, values are not what a spec says."""
    if any(n % m for n, m in zip(buffer.shape, spec.pad_multiple, strict=False)):
        raise ArgumentError(
            f"{spec.name}: expected lengths that are multiples of {spec.pad_multiple}, got {buffer.shape}; pad it"
        )
    if "part" in spec.axes and buffer.shape[spec.axes.index("part")] != 2:
        raise ArgumentError(
            f"{spec.name}: expected real and imaginary part on axis {spec.axes.index('part')}, got {buffer.shape}"
        )
    if spec.value_range and buffer.device == "cpu":
        spec.check_values(host_view(buffer.pointer, buffer.shape, buffer.dtype, buffer.owner))


def _port(port: Any, path: Path) -> Port:
    kind = str(port.type)
    if not kind.startswith("tensor(") or kind[7:-1] not in _DTYPES:
        raise FormatError(f"{path}: {port.name}: expected a tensor of numbers, got {kind}")
    shape = tuple(d if isinstance(d, str | int) else None for d in port.shape)
    return Port(port.name, shape, np.dtype(_DTYPES[kind[7:-1]]))


def _fits(what: str, specs: Sequence[TensorSpec], ports: Sequence[Port], path: Path) -> None:
    said, found = [(t.name, len(t.axes)) for t in specs], [(p.name, len(p.shape)) for p in ports]
    if said != found:
        raise FormatError(
            f"{path}: {what}: expected (name, number of axes) {found} as in the graph, the spec has {said}"
        )
