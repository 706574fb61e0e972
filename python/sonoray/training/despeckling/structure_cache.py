"""Filtered images kept beside a run: filtering takes longer than many a training."""

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...io.writing import atomic

_DAMAGE = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def cache_key(digest: str, filter_: str) -> str:
    """What the contents depend on: the images and the filter with its settings and version."""
    return hashlib.sha256(f"{digest} {filter_}".encode()).hexdigest()


def read_structure(path: Path, key: str, shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]] | None:
    """Return what `write_structure` kept; None where there is nothing, something else, or a damaged file."""
    try:
        # Opened here: NumPy leaves a damaged file open. Every entry has a checksum, which reading compares.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            found = [kept[f"image_{k}"] for k in range(len(shapes))]
    except _DAMAGE:
        return None
    fits = all(a.dtype == np.float32 and a.shape == s for a, s in zip(found, shapes, strict=True))
    return found if fits else None


def write_structure(path: Path, key: str, structure: Sequence[NDArray[np.float32]]) -> None:
    """Keep filtered images, whole or not at all; a folder that cannot be written is no reason to stop."""
    entries: dict[str, Any] = {f"image_{k}": image for k, image in enumerate(structure)}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, key=np.array(key), **entries)
