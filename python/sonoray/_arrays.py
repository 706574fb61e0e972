"""Arrays in and out: host or device, without silent copies.

The host side is NumPy. The device side is anything that speaks DLPack (torch, CuPy, sonoray's own).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._backends import device_module, place
from .errors import ArgumentError, DeviceError

_CUDA_DEVICE_TYPE = 2  # DLPack's kDLCUDA


def is_device_array(value: Any) -> bool:
    """Whether ``value`` lies in CUDA memory (asked by DLPack, without importing any array library)."""
    if isinstance(value, np.ndarray) or not hasattr(value, "__dlpack_device__"):
        return False
    return int(value.__dlpack_device__()[0]) == _CUDA_DEVICE_TYPE


def host_array(name: str, value: Any) -> NDArray[Any]:
    """Return ``value`` as a NumPy array without a copy; a device array, or one that cannot be shared, is refused."""
    if is_device_array(value):
        raise DeviceError(f"{name}: expected a host array for a plan on 'cpu', got a CUDA array; use sonoray.to_host")
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:  # records gradients, bfloat16, sparse
            raise ArgumentError(f"{name}: expected an array that can be shared by DLPack: {error}") from None
    return np.asarray(value)


def stream_handle(stream: Any) -> int:
    """Return the raw ``cudaStream_t`` of an integer, a torch or a CuPy stream; ``None`` is the default stream."""
    if stream is None:
        return 0
    for attribute in ("cuda_stream", "ptr", "handle"):
        if hasattr(stream, attribute):
            return int(getattr(stream, attribute))
    if isinstance(stream, int):
        return stream
    raise ArgumentError(f"stream: expected an integer handle or a stream object, got {type(stream).__name__}")


def to_device(value: Any, device: str = "cuda", *, stream: Any = None) -> Any:
    """Copy a host array to a CUDA device.

    Parameters
    ----------
    value : array_like
        float32, float64, complex64, int16, int32 or uint8.
    device : {"cuda", "cuda:N"}
    stream : int or stream object, optional
        The copy queues behind this stream's work and has ended on return.

    Returns
    -------
    object
        A device array that speaks DLPack (``torch.from_dlpack`` and ``cupy.from_dlpack`` take it).

    Raises
    ------
    DeviceError
        No CUDA build, driver or device.
    """
    module = device_module(device)
    source = np.ascontiguousarray(value)
    index = place(device)
    target = module.empty(list(source.shape), source.dtype.name, index)
    module.copy_to_device(target, source, index, stream_handle(stream))
    return target


def to_host(value: Any, *, stream: Any = None) -> NDArray[Any]:
    """Copy a device array to NumPy, waiting for ``stream`` only; a NumPy array is returned as it is."""
    if not is_device_array(value):
        return host_array("value", value)
    index = int(value.__dlpack_device__()[1])
    module = device_module(f"cuda:{index}")
    shape, code, bits, _, _ = module.describe(value)
    kind = {0: "int", 1: "uint", 2: "float", 5: "complex"}[code]
    target = np.empty(tuple(shape), np.dtype(f"{kind}{bits}"))
    module.copy_to_host(target, value, index, stream_handle(stream))
    return target
