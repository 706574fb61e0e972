"""Which compiled module runs a plan. The only file that knows there are two."""

import importlib
import os
from types import ModuleType
from typing import Any

from .errors import ArgumentError, DeviceError

_LEVELS = {"baseline": 0, "v3": 1, "v4": 2}


def _kind(device: str) -> tuple[str, int]:
    kind, _, index = str(device).partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()) or (kind == "cpu" and index):
        raise DeviceError(f"device: expected 'cpu', 'cuda' or 'cuda:N', got {device!r}")
    return kind, int(index or 0)


def host_module() -> ModuleType:
    """Return the compiled host module."""
    module = importlib.import_module("._cpu", __package__)
    level = os.environ.get("SONORAY_CPU")
    if level:
        if level not in _LEVELS:
            raise ArgumentError(f"SONORAY_CPU: expected {', '.join(_LEVELS)}, got {level!r}")
        module.set_cpu_level(_LEVELS[level])
    return module


def device_module(device: str = "cuda") -> ModuleType:
    """Return the compiled device module; DeviceError says what is missing: build, driver or device."""
    kind, index = _kind(device)
    if kind != "cuda":
        raise DeviceError(f"device: expected 'cuda' or 'cuda:N', got {device!r}")
    try:
        module = importlib.import_module("._cuda", __package__)
    except ImportError as error:
        raise DeviceError(
            f"device {device!r}: this build has no CUDA backend (nvcc was not found when it was built)"
        ) from error
    found = module.device_count()
    if index >= found:
        raise DeviceError(f"device {device!r}: expected one of the {found} CUDA devices that the driver reports")
    return module


def backend(device: str) -> Any:
    """Return the compiled module that runs a plan on ``device``."""
    return host_module() if _kind(device)[0] == "cpu" else device_module(device)


def place(device: str) -> int:
    """Return the ``index`` that compiled calls take: threads (0: all) on the host, the ordinal on CUDA."""
    kind, index = _kind(device)
    if kind == "cuda":
        return index
    threads = os.environ.get("SONORAY_THREADS", "0")
    if not threads.isdigit() or len(threads) > 4:
        raise ArgumentError(f"SONORAY_THREADS: expected a number of threads, 0 for all, got {threads!r}")
    return int(threads)


def devices() -> list[str]:
    """Names of the devices that can run plans now: ``"cpu"`` and each CUDA device."""
    try:
        found = int(importlib.import_module("._cuda", __package__).device_count())
    except ImportError:
        found = 0
    return ["cpu", *(f"cuda:{i}" for i in range(found))]
