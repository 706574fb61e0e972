"""Libraries of matrix products: NumPy's on one thread for a while, and cuBLAS from a package.

Threads of ours each call NumPy's on a tile of their own.

A BLAS that shares every small product between its threads waits for the slowest of them each time: on a machine that
does something else, too, it falls to a small part of its rate. Only OpenBLAS, which NumPy's own wheels bring, is known.
"""

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_PREFIXES = ("scipy_openblas", "openblas")
_SUFFIXES = ("64_", "", "64__", "_64_")
_lock = threading.Lock()
_before: list[list[int]] = []  # one entry per user at this time


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Within, products of this process run on their caller's thread; True if that could be arranged."""
    found = _controls()
    with _lock:
        _before.append([get() for get, _ in found])
        if len(_before) == 1:
            for _, set_ in found:
                set_(1)
    try:
        yield bool(found)
    finally:
        with _lock:
            first = _before.pop()
            if not _before:
                for (_, set_), n in zip(found, first, strict=True):
                    set_(n)


@functools.cache
def load_device_blas() -> bool:
    """Load cuBLAS from NVIDIA's Python packages, where the system's loader does not look; True if one was there.

    The compiled device module then finds it by its name.
    """
    for folder in map(Path, sys.path):
        for file in sorted((folder / "nvidia").glob("*/lib/libcublas.so.*"), reverse=True):
            try:
                ctypes.CDLL(str(file))
            except OSError:
                continue
            return True
    return False


@functools.cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """Functions that tell and set the number of threads of each OpenBLAS beside NumPy."""
    home = Path(np.__file__).parent
    files = [p for d in (home.parent / "numpy.libs", home / ".dylibs") for p in d.glob("*openblas*")]
    return tuple(c for c in map(_control, sorted(files)) if c is not None)


def _control(file: Path) -> tuple[Callable[[], int], Callable[[int], None]] | None:
    try:
        library = ctypes.CDLL(str(file))  # already loaded by NumPy: the same one
    except OSError:
        return None
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
            set_ = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
            if get is not None and set_ is not None:
                get.restype, get.argtypes = ctypes.c_int, []
                set_.restype, set_.argtypes = None, [ctypes.c_int]
                return get, set_
    return None
