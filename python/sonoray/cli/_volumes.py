"""Volumes at the command line: millimetres, and files of decibels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import sonoray
from sonoray._checks import scalar
from sonoray.io import write

VOLUMES = (".mha", ".nii", ".gz")


def add_apertures(form: Any) -> None:
    """Extents of the image, where a picture slices a volume, and what each point is made from."""
    form.add_argument("--x-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="lateral range (default: probe's)")
    form.add_argument("--y-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="elevation range: a volume")
    form.add_argument("--at-mm", type=float, nargs=3, metavar=("X", "Y", "Z"), help="where a picture slices a volume")
    form.add_argument(
        "--aperture-axis",
        choices=["normal", "beam", "line"],
        default="normal",
        help="receive aperture around: normals of elements, beams, lines of a sector (default: normal)",
    )
    form.add_argument(
        "--lens", type=float, nargs=2, metavar=("MM", "M/S"), help="thickness and sound speed of the probe's lens"
    )
    form.add_argument(
        "--weighting",
        choices=["auto", "beam", "nearest", "none"],
        default="auto",
        help="transmits that make a point: focused beams around it (auto), any beam around it, nearest, all (none)",
    )


def lensed(data: sonoray.ChannelData, lens: Sequence[float] | None) -> sonoray.ChannelData:
    """Channel data of the same probe behind a lens (thickness in mm, speed in m/s), if one is given."""
    if lens is None:
        return data
    thickness = 1e-3 * scalar("lens_thickness", lens[0], 0.0, 20.0, "mm")
    speed = scalar("lens_sound_speed", lens[1], 300.0, 12000.0, "m/s")
    return data.with_(probe=replace(data.probe, lens_thickness=thickness, lens_sound_speed=speed))


def sheets(db: Any, grid: sonoray.Grid, at: Any, fill: float) -> tuple[Any, sonoray.Grid]:
    """Slices of a volume on one sheet, or of each frame of a movie."""
    made = [sonoray.slice_sheet(v, grid, at, fill=fill) for v in (db if db.ndim == 4 else db[None])]
    pictures = np.stack([picture for picture, _ in made])
    return (pictures if db.ndim == 4 else pictures[0]), made[0][1]


def metres(name: str, values: Sequence[float] | None, low: float = -1000.0, high: float = 1000.0) -> Any:
    """Metres of an option in millimetres, checked in these; None if it was not given."""
    return None if values is None else tuple(1e-3 * scalar(name, value, low, high, "mm") for value in values)


def span(name: str, values: Sequence[float] | None, low: float = -1000.0) -> Any:
    """The same of two ends in rising order; equal ones are a plane."""
    if values is not None and values[1] < values[0]:
        raise sonoray.ArgumentError(
            f"{name}: expected FIRST LAST in rising order [mm], got {values[0]:g} {values[1]:g}"
        )
    return metres(name, values, low)


def spacing(value: float | None) -> float | None:
    """Metres of --spacing-mm."""
    return None if value is None else 1e-3 * scalar("spacing", value, 1e-3, 10.0, "mm")


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
