"""Volumes at the command line: millimetres, and files of decibels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sonoray
from sonoray.io import write

VOLUMES = (".mha", ".nii", ".gz")


def metres(millimetres: Sequence[float] | None) -> Any:
    """Metres of an option in millimetres, None if it was not given."""
    return None if millimetres is None else tuple(1e-3 * value for value in millimetres)


def write_decibels(path: Path, image: Any, grid: Any, dynamic_range: float) -> None:
    """Write frames of images or volumes as decibels (float32) below each one's maximum."""
    if path.suffix.lower() == ".gz" and not path.name.lower().endswith(".nii.gz"):
        raise sonoray.ArgumentError(f"output: expected a name ending in .nii.gz, got {path.name!r}")
    frames = np.stack([sonoray.log_compress(sonoray.envelope(v), dynamic_range=dynamic_range) for v in image])
    if isinstance(grid, sonoray.SectorGrid):
        flat = sonoray.covering_grid(grid)
        frames, grid = sonoray.scan_convert(frames, grid, flat, fill=-dynamic_range), flat
    kind = "metaimage" if path.suffix.lower() == ".mha" else "nifti"
    write(path, (frames if len(frames) > 1 else frames[0], grid), format=kind)
