"""Compiled core of sonoray on CUDA devices."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy
from numpy.typing import NDArray

def device_count() -> int: ...
def synchronise(index: int, stream: int) -> None: ...
def das(
    points: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    n_columns: int,
    elements: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    normals: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    tx_time: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    tx_weight: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)]
    | None,
    start: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    rx_slowness: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cuda", writable=False)
    ]
    | None,
    table_origin: Sequence[float],
    table_rate: Sequence[float],
    slowness: float,
    sampling_frequency: float,
    demodulation_frequency: float,
    f_number: float,
    pedestal: float,
    taper: float,
    wavelengths: float,
    cubic: bool,
    compounding: int,
    lanes: int,
    samples: Annotated[NDArray, dict(device="cuda", writable=False)],
    image: Annotated[NDArray, dict(device="cuda", writable=False)],
    index: int,
    stream: int,
) -> None: ...
def das_adjoint(
    points: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    n_columns: int,
    elements: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    normals: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    tx_time: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    tx_weight: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)]
    | None,
    start: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cuda", writable=False)],
    rx_slowness: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cuda", writable=False)
    ]
    | None,
    table_origin: Sequence[float],
    table_rate: Sequence[float],
    slowness: float,
    sampling_frequency: float,
    demodulation_frequency: float,
    f_number: float,
    pedestal: float,
    taper: float,
    wavelengths: float,
    cubic: bool,
    compounding: int,
    lanes: int,
    image: Annotated[NDArray, dict(device="cuda", writable=False)],
    samples: Annotated[NDArray, dict(device="cuda", writable=False)],
    index: int,
    stream: int,
) -> None: ...
def empty(shape: Sequence[int], dtype: str, index: int) -> Any: ...
def copy_to_device(
    to: Annotated[NDArray, dict(order="C", device="cuda")],
    from_: Annotated[NDArray, dict(order="C", device="cpu")],
    index: int,
    stream: int,
) -> None: ...
def copy_to_host(
    to: Annotated[NDArray, dict(order="C", device="cpu")],
    from_: Annotated[NDArray, dict(order="C", device="cuda")],
    index: int,
    stream: int,
) -> None: ...
def describe(array: Annotated[NDArray, dict(writable=False)]) -> tuple: ...
