"""What an ONNX file holds, read before ONNX Runtime sees it.

A bounded reader of the protobuf wire format: it finds the metadata, the opset and every tensor that is stored outside
the file, and computes the digest. Bytes that break the format, nest too deep, or name a file outside the model's
folder raise `FormatError`. Weights outside the file are read here, once, so that what is digested is what runs and
ONNX Runtime itself opens no file.
"""

import errno
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError

MODEL_BYTES = (1 << 31) - 1  # what a protobuf message can be
EXTERNAL_BYTES = 16 << 30
_DEPTH = 64  # graphs inside nodes inside graphs
_FIELDS = 5_000_000
_METADATA = 14  # ModelProto.metadata_props
_MAX_TAG = (1 << 32) - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Messages that can hold tensors: message -> field number -> message in it (onnx.proto, IR version 13).
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
}
_DTYPES = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8",
}  # fmt: skip


class _Field(NamedTuple):
    number: int
    wire: int
    tag: int  # where the field begins
    start: int  # where its content begins
    end: int
    value: int  # of a varint


@dataclass
class _Tensor:
    """A tensor whose values lie in another file."""

    name: str = ""
    dims: list[int] = field(default_factory=list)
    data_type: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    is_external: bool = False
    is_initializer: bool = False  # of the main graph


@dataclass(frozen=True)
class OnnxFile:
    """The bytes of a model and what they say.

    Parameters
    ----------
    path : str
        Where it came from, for messages.
    data : bytes
    metadata : dict of str to str
    opset : int
        Of the standard operators.
    weights : dict of str to ndarray
        Initializers that were stored in other files, read.
    """

    path: str
    data: bytes
    metadata: dict[str, str]
    opset: int
    weights: dict[str, NDArray[Any]]
    _files: dict[str, NDArray[np.uint8]] = field(repr=False)
    _others: tuple[tuple[int, int], ...] = field(repr=False)  # every top-level field but the metadata

    def digest(self, note: str = "") -> str:
        """SHA-256 (hexadecimal) over graph, weights, files beside the model and ``note``, not over the metadata."""
        result = hashlib.sha256(b"sonoray model 1\n")
        view = memoryview(self.data)
        for start, end in self._others:
            result.update(view[start:end])
        for location in sorted(self._files):
            content = self._files[location]
            result.update(f"\n{location}\n{content.size}\n".encode())
            result.update(content.data)
        result.update(f"\n{note}".encode())
        return result.hexdigest()

    def with_metadata(self, metadata: Mapping[str, str]) -> bytes:
        """Return the file's bytes with other metadata; nothing else changes."""
        view = memoryview(self.data)
        entries = []
        for key, value in metadata.items():
            pair = _delimited(1, key.encode()) + _delimited(2, value.encode())
            entries.append(_delimited(_METADATA, pair))
        return b"".join([*(view[start:end] for start, end in self._others), *entries])


def read_onnx(path: Any) -> OnnxFile:
    """Read an ONNX file and the weights that it keeps in files beside it.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FormatError
        No ONNX model, truncated or damaged, too large, or weights outside the model's folder.
    """
    path = Path(path)
    data = _read_file(path, str(path), MODEL_BYTES).tobytes()
    return parse_onnx(data, str(path), path.parent)


def parse_onnx(data: bytes, path: str = "model", folder: Path | None = None) -> OnnxFile:
    """Like `read_onnx`, for bytes; without a folder no tensor may be stored outside them."""
    reader = _Reader(data, path)
    metadata, opset, others, has_graph = {}, 0, [], False
    for part in reader.fields(0, len(data)):
        if part.number == _METADATA and part.wire == _BYTES:
            key, value = reader.pair(part)
            if key in metadata:
                raise FormatError(f"{path}: expected each metadata key once, got {key!r} twice")
            metadata[key] = value
            continue
        others.append((part.tag, part.end))
        has_graph |= part.number == 7 and part.wire == _BYTES
        if part.number == 8 and part.wire == _BYTES:
            domain, version = reader.opset(part)
            opset = version if domain in ("", "ai.onnx") else opset
    if not has_graph or not opset:
        missing = "graph" if not has_graph else "opset"
        raise FormatError(f"{path}: expected an ONNX model, got a file without a {missing}")
    outside = [tensor for tensor in reader.tensors() if tensor.is_external]
    files, weights = _external(path, folder, outside)
    return OnnxFile(path, data, metadata, opset, weights, files, tuple(others))


class _Reader:
    """Walks protobuf messages inside ``data``; counts fields, so that hostile bytes cannot take for ever."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path, self.left = data, path, _FIELDS

    def broken(self, why: str, at: int) -> FormatError:
        return FormatError(f"{self.path}: expected an ONNX model, {why} at byte {at}; the file is damaged or not ONNX")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        start = at
        while True:
            if at >= end:
                raise self.broken("a number is cut off", start)
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 64:
                    raise self.broken("a number exceeds 64 bits", start)
                return value, at
            shift += 7
            if shift > 63:
                raise self.broken("a number exceeds 64 bits", start)

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        at = start
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise self.broken(f"it has more than {_FIELDS} fields", at)
            tag, value = at, 0
            key, at = self.varint(at, end)
            number, wire = key >> 3, key & 7
            if key > _MAX_TAG or not number:
                raise self.broken("a field has an impossible number", tag)
            begin = at
            if wire == _VARINT:
                value, at = self.varint(at, end)
            elif wire == _BYTES:
                size, begin = self.varint(at, end)
                at = begin + size
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            else:
                raise self.broken(f"a field has the unknown kind {wire}", tag)
            if at > end:
                raise self.broken(f"a field of {at - begin} bytes has only {end - begin} left", tag)
            yield _Field(number, wire, tag, begin, at, value)

    def text(self, part: _Field) -> str:
        try:
            return self.data[part.start : part.end].decode()
        except UnicodeDecodeError:
            raise self.broken("a name is not UTF-8", part.start) from None

    def pair(self, entry: _Field) -> tuple[str, str]:
        """A StringStringEntryProto."""
        key, value = "", ""
        for part in self.fields(entry.start, entry.end):
            if part.wire == _BYTES and part.number == 1:
                key = self.text(part)
            elif part.wire == _BYTES and part.number == 2:
                value = self.text(part)
        return key, value

    def opset(self, entry: _Field) -> tuple[str, int]:
        """An OperatorSetIdProto."""
        domain, version = "", 0
        for part in self.fields(entry.start, entry.end):
            if part.number == 1 and part.wire == _BYTES:
                domain = self.text(part)
            elif part.number == 2 and part.wire == _VARINT:
                version = part.value
        return domain, version

    def tensors(self) -> Iterator[_Tensor]:
        """Every tensor of the model: initializers, attributes of nodes, in subgraphs and functions, too."""
        stack = [("model", 0, len(self.data), 0)]
        while stack:
            message, start, end, depth = stack.pop()
            if depth > _DEPTH:
                raise self.broken(f"it nests more than {_DEPTH} messages deep", start)
            children = _CHILDREN[message]
            for part in self.fields(start, end):
                child = children.get(part.number)
                if child is None or part.wire != _BYTES:
                    continue
                if child == "tensor":
                    tensor = self.tensor(part)
                    tensor.is_initializer = message == "graph" and depth == 1
                    yield tensor
                else:
                    stack.append((child, part.start, part.end, depth + 1))

    def tensor(self, entry: _Field) -> _Tensor:
        result = _Tensor()
        for part in self.fields(entry.start, entry.end):
            if part.number == 1 and part.wire == _VARINT:
                result.dims.append(part.value)
            elif part.number == 1 and part.wire == _BYTES:
                at = part.start
                while at < part.end:
                    dim, at = self.varint(at, part.end)
                    result.dims.append(dim)
            elif part.number == 2 and part.wire == _VARINT:
                result.data_type = part.value
            elif part.number == 8 and part.wire == _BYTES:
                result.name = self.text(part)
            elif part.number == 13 and part.wire == _BYTES:
                key, value = self.pair(part)
                if key in result.entries:
                    raise self.broken(f"a tensor names its {key!r} twice", part.start)
                result.entries[key] = value
                result.is_external = True
            elif part.number == 14 and part.wire == _VARINT:
                result.is_external |= part.value == 1
        return result


def _external(
    path: str, folder: Path | None, tensors: list[_Tensor]
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[Any]]]:
    """Read the files that tensors lie in: location -> bytes, and name -> values, views of these bytes."""
    files: dict[str, NDArray[np.uint8]] = {}
    weights: dict[str, NDArray[Any]] = {}
    left = EXTERNAL_BYTES  # of the files
    declared = 0
    for tensor in tensors:
        what = f"{path}: tensor {tensor.name!r}"
        if folder is None:
            raise ArgumentError(f"{what}: expected values inside the model, got them in another file; save it first")
        if not tensor.is_initializer or not tensor.name or tensor.name in weights:
            raise FormatError(f"{what}: expected only named weights of the main graph in other files, once each")
        location = tensor.entries.get("location", "")
        if location not in files:
            files[location] = _read_file(_inside(folder, location, what), what, left)
            left -= files[location].size
        weights[tensor.name] = _values(tensor, files[location], what)
        declared += weights[tensor.name].nbytes
        if declared > EXTERNAL_BYTES:
            raise FormatError(f"{what}: expected at most {EXTERNAL_BYTES} bytes of weights, got more")
    return files, weights


def _values(tensor: _Tensor, content: NDArray[np.uint8], what: str) -> NDArray[Any]:
    if tensor.data_type not in _DTYPES:
        raise FormatError(f"{what}: expected a numeric type that NumPy has, got ONNX type {tensor.data_type}")
    dtype = np.dtype(_DTYPES[tensor.data_type])
    n_items = math.prod(tensor.dims)  # a negative dimension reads as one beyond 2^63
    n_bytes = n_items * dtype.itemsize
    offset = _number(tensor.entries.get("offset", "0"), f"{what}: offset")
    length = _number(tensor.entries.get("length", str(n_bytes)), f"{what}: length")
    if length != n_bytes or offset + n_bytes > content.size:
        raise FormatError(
            f"{what}: expected {n_bytes} bytes inside a file of {content.size}, got {length} from byte {offset} on"
        )
    values = np.frombuffer(content, dtype, n_items, offset).reshape(tensor.dims)
    return values if values.flags.aligned else values.copy()


def _number(text: str, what: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise FormatError(f"{what}: expected a whole number, got {text[:40]!r}")
    return int(text)


def _inside(folder: Path, location: str, what: str) -> Path:
    """Path of a file in the model's folder or below; anything else is refused."""
    parts = re.split(r"[/\\]", location)
    # "*/..." is ONNX Runtime's mark for "this is an address in memory".
    if not location or parts[0] in ("", "*") or ".." in parts or ":" in parts[0] or "\0" in location:
        raise FormatError(f"{what}: expected a file in the model's folder, got {location[:200]!r}")
    try:
        home = folder.resolve(strict=True)
        found = (home / location).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(f"{what}: expected {location[:200]!r} beside the model: {_why(error)}") from None
    if not found.is_relative_to(home):
        raise FormatError(f"{what}: expected a file in the model's folder, got a link out of it: {location[:200]!r}")
    return found


def _read_file(path: Path, what: str, limit: int) -> NDArray[np.uint8]:
    """Bytes of a regular file, at most ``limit``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise FormatError(f"{what}: expected a file that can be read: {_why(error)}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FormatError(f"{what}: expected a regular file, got a folder, pipe or device")
    with open(descriptor, "rb") as file:
        if status.st_size > limit:
            raise FormatError(f"{what}: expected at most {limit} bytes, got {status.st_size}")
        content = np.fromfile(file, np.uint8, status.st_size)
    content.flags.writeable = False
    return content


def _why(error: Exception) -> str:
    code = getattr(error, "errno", None)
    return os.strerror(code) if code and code != errno.EINVAL else "no such path"


def _delimited(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
