"""MATLAB level 5 files (``save -v6`` and ``-v7``), parsed strictly: every declared size is checked before use.

SciPy's reader trusts the sizes that a file declares, so a damaged file can ask for any amount of memory. This one
reads what channel data needs — numbers, text, structures and cells — and nothing that could run code.

References
----------
.. [1] The MathWorks, MAT-File Format, R2023b, chapter 1 (level 5): tags, array flags, subelements.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError
from ._budget import Budget

_MATRIX, _COMPRESSED = 14, 15
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
_STORED |= {16: "u1", 17: "u2", 18: "u4"}  # UTF-8, UTF-16, UTF-32
_NUMERIC = range(6, 16)  # double, single, int8 … uint64
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17  # opaque: strings, tables and other objects, laid out differently
_HEAD = 4096  # bytes of a compressed element unpacked to learn its name
_PIECE = 1 << 16  # bytes unpacked at once; they give at most 66 MB
_MAX_DEPTH = 8


def is_mat5(header: bytes) -> bool:
    """Whether a file that starts with ``header`` calls itself a level 5 MAT-file."""
    return len(header) >= 128 and header[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


@dataclass(frozen=True)
class _Entry:
    offset: int
    n_bytes: int
    compressed: bool
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Head:
    """What precedes the values of a matrix: its class, flags, shape and name, and where they end."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    end: int


class Mat5:
    """Variables of a level 5 MAT-file, read on demand.

    Raises
    ------
    FormatError
        Truncated, damaged, or values that unpack to more than `Budget` allows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._budget = Budget(path)
        with open(path, "rb") as file:
            header = file.read(128)
            if not is_mat5(header):
                raise FormatError(f"{path}: expected a MATLAB level 5 header, got {header[:16]!r}")
            self._order = "<" if header[126:128] == b"IM" else ">"
            self._entries = self._index(file)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Size of variable ``name`` in MATLAB's order."""
        return self._entries[name].shape

    def load(self, name: str) -> Any:
        """Value of variable ``name``: an array in MATLAB's index order, text, or a dict for a structure."""
        entry = self._entries[name]
        self._budget.take(name, (entry.n_bytes,))
        with open(self._path, "rb") as file:
            file.seek(entry.offset)
            raw = file.read(entry.n_bytes)
        if len(raw) < entry.n_bytes:
            raise self._damaged(f"{name}: expected {entry.n_bytes} bytes, the file ends after {len(raw)}")
        body = memoryview(self._inflate(name, raw) if entry.compressed else raw)
        return self._matrix(body, self._head(body), name, 0)

    def _damaged(self, what: str) -> FormatError:
        return FormatError(f"{self._path}: {what}; the file is damaged or not a MATLAB level 5 file")

    def _index(self, file: Any) -> dict[str, _Entry]:
        entries: dict[str, _Entry] = {}
        offset, size = 128, self._budget.file_bytes
        while offset + 8 <= size:
            file.seek(offset)
            kind, n_bytes = struct.unpack(self._order + "II", file.read(8))
            if kind not in (_MATRIX, _COMPRESSED):
                raise self._damaged(f"expected a variable at byte {offset}, got data type {kind}")
            if offset + 8 + n_bytes > size:
                raise self._damaged(f"a variable at byte {offset} needs {n_bytes} bytes, {size - offset - 8} are left")
            start = file.read(min(n_bytes, _HEAD))
            if kind == _COMPRESSED:
                start = self._start_of(start)[8:]
            head = self._head(memoryview(start))
            if head.name:
                entries[head.name] = _Entry(offset + 8, n_bytes, kind == _COMPRESSED, head.shape)
            offset += 8 + n_bytes
        if offset != size:
            raise self._damaged(f"the last variable is cut off at byte {size}")
        if not entries:
            raise self._damaged("expected at least one variable, got none")
        return entries

    def _start_of(self, raw: bytes) -> bytes:
        try:
            return zlib.decompressobj().decompress(raw, _HEAD)
        except zlib.error as error:
            raise self._damaged(f"compressed data: {error}") from None

    def _inflate(self, name: str, raw: bytes) -> memoryview:
        """Unpack a compressed element; its own tag says how long it must be, and that is asked for first."""
        start = self._start_of(raw[:_HEAD])
        if len(start) < 8:
            raise self._damaged(f"{name}: compressed data ends early")
        kind, n_bytes = struct.unpack(self._order + "II", start[:8])
        if kind != _MATRIX:
            raise self._damaged(f"{name}: expected a matrix in the compressed data, got data type {kind}")
        self._budget.take(name, (n_bytes,))
        body, at, stream = bytearray(n_bytes + 8), 0, zlib.decompressobj()
        try:
            for begin in range(0, len(raw), _PIECE):
                piece = stream.decompress(raw[begin : begin + _PIECE], len(body) - at + 1)
                body[at : at + len(piece)] = piece
                at += len(piece)
                if at > n_bytes + 8:
                    break
        except zlib.error as error:
            raise self._damaged(f"{name}: compressed data: {error}") from None
        if at != n_bytes + 8 or not stream.eof:
            raise self._damaged(f"{name}: expected {n_bytes} bytes after unpacking, got {at - 8}")
        return memoryview(body)[8:]

    def _element(self, body: memoryview, at: int) -> tuple[int, memoryview, int]:
        """Data type, bytes and end of the element at ``at``; short elements pack tag and data into 8 bytes."""
        if at + 8 > len(body):
            raise self._damaged("an element lies beyond the end of its variable")
        word, n_bytes = struct.unpack_from(self._order + "II", body, at)
        if word >> 16:
            kind, n_bytes = word & 0xFFFF, word >> 16
            if n_bytes > 4:
                raise self._damaged(f"a short element declares {n_bytes} bytes")
            return kind, body[at + 4 : at + 4 + n_bytes], at + 8
        if at + 8 + n_bytes > len(body):
            raise self._damaged(f"an element needs {n_bytes} bytes, {len(body) - at - 8} are left")
        return word, body[at + 8 : at + 8 + n_bytes], at + 8 + n_bytes + (-n_bytes) % 8

    def _numbers(self, kind: int, data: memoryview) -> np.ndarray[Any, Any]:
        if kind not in _STORED:
            raise self._damaged(f"expected numbers, got data type {kind}")
        dtype = np.dtype(_STORED[kind]).newbyteorder("<" if self._order == "<" else ">")
        if len(data) % dtype.itemsize:
            raise self._damaged(f"{len(data)} bytes do not hold whole {dtype.name} values")
        return np.frombuffer(data, dtype)

    def _head(self, body: memoryview) -> _Head:
        kind, data, at = self._element(body, 0)
        if kind != 6 or len(data) != 8:
            raise self._damaged("expected array flags at the start of a variable")
        flags = int(struct.unpack(self._order + "II", data)[0])
        if flags & 0xFF == _OPAQUE:
            return _Head(_OPAQUE, False, (), "", at)
        kind, data, at = self._element(body, at)
        shape = tuple(int(n) for n in self._numbers(kind, data)) if kind == 5 else ()
        if len(shape) < 2 or min(shape) < 0:
            raise self._damaged(f"expected the size of a variable, got {shape}")
        _, data, at = self._element(body, at)
        name = bytes(data).decode("ascii", "replace")
        return _Head(flags & 0xFF, bool(flags & 0x0800), shape, name, at)

    def _matrix(self, body: memoryview, head: _Head, name: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self._damaged(f"{name}: more than {_MAX_DEPTH} nested structures")
        if head.kind in _NUMERIC:
            return self._numeric(body, head, name)
        if head.kind == _CHAR:
            kind, data, _ = self._element(body, head.end)
            codes = self._numbers(kind, data)
            if codes.dtype.kind == "f":
                raise self._damaged(f"{name}: expected text, got {codes.dtype.name}")
            self._budget.take(name, codes.shape, 8)
            return "".join(map(chr, np.minimum(codes, np.uint32(0xFFFD)).tolist()))
        if head.kind in (_CELL, _STRUCT):
            return self._nested(body, head, name, depth)
        return None  # sparse, functions and objects: nothing that channel data needs

    def _numeric(self, body: memoryview, head: _Head, name: str) -> np.ndarray[Any, Any]:
        """Numbers as they are stored: MATLAB keeps doubles that are whole numbers in the smallest integer type."""
        parts, at = [], head.end
        for _ in range(2 if head.is_complex else 1):
            kind, data, at = self._element(body, at)
            stored = self._numbers(kind, data)
            if stored.size != math.prod(head.shape):
                raise self._damaged(f"{name}: expected {head.shape} values, got {stored.size}")
            parts.append(stored.astype(stored.dtype.newbyteorder("="), copy=False))
        if head.is_complex:
            double = max(p.dtype.itemsize for p in parts) > 4
            self._budget.take(name, head.shape, 16 if double else 8)
            result = np.empty(parts[0].size, np.complex128 if double else np.complex64)
            result.real, result.imag = parts
            parts = [result]
        return parts[0].reshape(head.shape, order="F")

    def _nested(self, body: memoryview, head: _Head, name: str, depth: int) -> Any:
        """A cell gives a list; a structure a dict of its fields, or a list of dicts when it is not 1 x 1."""
        fields, at = [""], head.end
        if head.kind == _STRUCT:
            kind, data, at = self._element(body, at)
            length = int(self._numbers(kind, data)[0]) if kind == 5 and len(data) == 4 else 0
            kind, data, at = self._element(body, at)
            if length < 1 or len(data) % length:
                raise self._damaged(f"{name}: field names of length {length} in {len(data)} bytes")
            joined = bytes(data)
            fields = [joined[i : i + length].split(b"\0")[0].decode("ascii", "replace")
                      for i in range(0, len(joined), length)]  # fmt: skip
        n_items = math.prod(head.shape)
        if n_items * max(len(fields), 1) > (len(body) - at) // 8 and n_items:
            raise self._damaged(f"{name}: {n_items} x {len(fields)} members do not fit in {len(body) - at} bytes")
        items = []
        for _ in range(n_items):
            values = {}
            for field in fields:
                kind, data, at = self._element(body, at)
                if kind != _MATRIX:
                    raise self._damaged(f"{name}.{field}: expected a value, got data type {kind}")
                label = f"{name}.{field}" if field else name
                empty = len(data) == 0
                values[field] = np.empty((0, 0)) if empty else self._matrix(data, self._head(data), label, depth + 1)
            items.append(values)
        if head.kind == _CELL:
            return [item[""] for item in items]
        return items[0] if n_items == 1 else items
