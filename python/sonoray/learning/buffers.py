"""Where an array lies: address, shape and type of NumPy, torch, CuPy and sonoray arrays, without a copy."""

import ctypes
import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import stream_handle
from ..errors import ArgumentError

_KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}  # DLDataTypeCode
_HOST = (1, 3)  # kDLCPU, kDLCUDAHost
_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged


class _Tensor(ctypes.Structure):
    """DLTensor of dlpack.h, the first member of DLManagedTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


@dataclass(eq=False, slots=True)
class Buffer:
    """C-ordered memory that somebody else owns.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    pointer : int
    shape : tuple of int
    dtype : numpy.dtype
    device : str
        "cpu" or "cuda:N".
    owner : object
        Keeps the memory alive.
    """

    name: str
    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: str
    owner: Any

    @property
    def n_bytes(self) -> int:
        """Size of the memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def parts(self) -> "Buffer":
        """The same memory with complex values as a last axis of 2, real and imaginary part."""
        if self.dtype.kind != "c":
            return self
        return replace(self, shape=(*self.shape, 2), dtype=np.dtype(f"f{self.dtype.itemsize // 2}"))

    def rows(self, start: int, n: int) -> "Buffer":
        """The same memory from row ``start`` of the first axis on, ``n`` rows."""
        row = self.n_bytes // self.shape[0]
        return replace(self, pointer=self.pointer + start * row, shape=(n, *self.shape[1:]))

    def overlaps(self, other: "Buffer") -> bool:
        """Whether two buffers share memory."""
        return (
            self.device == other.device
            and self.pointer < other.pointer + other.n_bytes
            and other.pointer < self.pointer + self.n_bytes
        )


def borrow(name: str, value: Any, *, writable: bool = False, stream: Any = None) -> Buffer:
    """Find the memory of an array; refuses what could only be used as a copy.

    Parameters
    ----------
    name : str
        Of the argument.
    value : array
        NumPy, or anything that speaks DLPack; C-ordered.
    writable : bool
        Refuse a read-only array.
    stream : int or stream object, optional
        Device arrays are made ready for work on this stream.

    Raises
    ------
    ArgumentError
        No array, not C-ordered, read-only, or a tensor that records gradients.
    """
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise _strided(name)
        if writable and not value.flags.writeable:
            raise ArgumentError(f"{name}: expected an array that can be written to, got a read-only one")
        address = value.__array_interface__["data"][0]
        return Buffer(name, address, value.shape, value.dtype, "cpu", value)
    if not hasattr(value, "__dlpack__") or not hasattr(value, "__dlpack_device__"):
        raise ArgumentError(
            f"{name}: expected a NumPy array or one that speaks DLPack (torch, CuPy, sonoray), "
            f"got {type(value).__name__}"
        )
    try:
        if int(value.__dlpack_device__()[0]) in _CUDA:
            capsule = value.__dlpack__(stream=stream_handle(stream) or 1)  # 1: the default stream
        else:
            capsule = value.__dlpack__()
        tensor = _Tensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(f"{name}: expected an array that can be shared by DLPack: {error}") from None
    return _from_dlpack(name, tensor, (value, capsule))


def _from_dlpack(name: str, tensor: _Tensor, owner: Any) -> Buffer:
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    if tensor.strides:
        step = 1
        for i in range(tensor.ndim)[::-1]:
            if shape[i] != 1 and tensor.strides[i] != step:
                raise _strided(name)
            step *= shape[i]
    kind = _KINDS.get(tensor.code)
    if kind is None or tensor.lanes != 1 or tensor.bits % 8:
        raise ArgumentError(f"{name}: expected numbers of a type that NumPy has, got DLPack type {tensor.code}")
    if tensor.device_type not in _HOST + _CUDA:
        raise ArgumentError(f"{name}: expected host or CUDA memory, got DLPack device type {tensor.device_type}")
    device = "cpu" if tensor.device_type in _HOST else f"cuda:{tensor.device_id}"
    dtype = np.dtype(f"{kind}{tensor.bits // 8}")
    return Buffer(name, (tensor.data or 0) + tensor.byte_offset, shape, dtype, device, owner)


def like(value: Any, result: Any) -> Any:
    """Hand ``result`` over in the library of ``value`` (torch, CuPy), sharing memory; else as it is."""
    if isinstance(value, np.ndarray):
        return result
    library = sys.modules.get(type(value).__module__.partition(".")[0])
    convert = getattr(library, "from_dlpack", None)
    return result if convert is None else convert(result)


class _Memory:
    """Lets NumPy see memory that ``owner`` keeps alive."""

    def __init__(self, pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any], owner: Any) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "data": (pointer, False), "shape": shape, "typestr": dtype.str}


def host_view(pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any], owner: Any) -> NDArray[Any]:
    """A NumPy array on memory that ``owner`` keeps alive."""
    return np.asarray(_Memory(pointer, shape, dtype, owner))


def _strided(name: str) -> ArgumentError:
    return ArgumentError(f"{name}: expected a C-ordered array, got a strided one; numpy.ascontiguousarray copies it")
