"""
Compiled core of sonoray on the host.
"""

from __future__ import annotations

import numpy
import numpy.typing

__all__: list[str] = [
    "cpu_level",
    "das",
    "das_adjoint",
    "device_count",
    "eikonal_fronts_2d",
    "eikonal_fronts_3d",
    "eikonal_points_2d",
    "eikonal_points_3d",
    "set_cpu_level",
    "synchronise",
    "thread_count",
]

def cpu_level() -> int: ...
def das(
    points: numpy.typing.NDArray[numpy.float32],
    n_columns: int,
    elements: numpy.typing.NDArray[numpy.float32],
    normals: numpy.typing.NDArray[numpy.float32],
    tx_time: numpy.typing.NDArray[numpy.float32],
    tx_weight: numpy.typing.NDArray[numpy.float32] | None,
    start: numpy.typing.NDArray[numpy.float32],
    rx_slowness: numpy.typing.NDArray[numpy.float32] | None,
    table_origin: list[float],
    table_rate: list[float],
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
    samples: numpy.ndarray,
    image: numpy.ndarray,
    index: int,
    stream: int,
) -> None: ...
def das_adjoint(
    points: numpy.typing.NDArray[numpy.float32],
    n_columns: int,
    elements: numpy.typing.NDArray[numpy.float32],
    normals: numpy.typing.NDArray[numpy.float32],
    tx_time: numpy.typing.NDArray[numpy.float32],
    tx_weight: numpy.typing.NDArray[numpy.float32] | None,
    start: numpy.typing.NDArray[numpy.float32],
    rx_slowness: numpy.typing.NDArray[numpy.float32] | None,
    table_origin: list[float],
    table_rate: list[float],
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
    image: numpy.ndarray,
    samples: numpy.ndarray,
    index: int,
    stream: int,
) -> None: ...
def device_count() -> int: ...
def eikonal_fronts_2d(
    slowness: numpy.typing.NDArray[numpy.float32],
    spacing: list[float],
    origin: list[float],
    max_slowness: float,
    max_rounds: int,
    reference: list[float],
    times: numpy.typing.NDArray[numpy.float32],
    index: int,
    stream: int,
) -> None: ...
def eikonal_fronts_3d(
    slowness: numpy.typing.NDArray[numpy.float32],
    spacing: list[float],
    origin: list[float],
    max_slowness: float,
    max_rounds: int,
    reference: list[float],
    times: numpy.typing.NDArray[numpy.float32],
    index: int,
    stream: int,
) -> None: ...
def eikonal_points_2d(
    slowness: numpy.typing.NDArray[numpy.float32],
    spacing: list[float],
    origin: list[float],
    max_slowness: float,
    max_rounds: int,
    sources: list[float],
    mean_slowness: bool,
    out: numpy.typing.NDArray[numpy.float32],
    index: int,
    stream: int,
) -> None: ...
def eikonal_points_3d(
    slowness: numpy.typing.NDArray[numpy.float32],
    spacing: list[float],
    origin: list[float],
    max_slowness: float,
    max_rounds: int,
    sources: list[float],
    mean_slowness: bool,
    out: numpy.typing.NDArray[numpy.float32],
    index: int,
    stream: int,
) -> None: ...
def set_cpu_level(level: int) -> None: ...
def synchronise(index: int, stream: int) -> None: ...
def thread_count() -> int: ...
