"""The demo's cases: each reads a data set, beamforms it, and measures the image."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..beamforming.bmode import reconstruct_bmode
from ..beamforming.default_grids import default_grid
from ..errors import ArgumentError
from ..imaging.detection import envelope, log_compress
from ..imaging.localization import localize_points
from ..imaging.metrics import fwhm
from ..io import read, read_scatterers
from ..media.grids import Grid
from ..plotting import new_axes, show_bmode
from .aberration import aberration
from .autofocus import autofocus
from .flow import carotid, disk
from .ray_born import ray_born
from .report import Case
from .restoration import despeckle, enhance, translate
from .sources import dataset_file
from .tomography import tomography


def _db(image: NDArray[Any], dynamic_range: float = 60.0) -> NDArray[np.float32]:
    return log_compress(envelope(image), dynamic_range=dynamic_range)


def muscle(offline: bool) -> Case:
    """In-vivo muscle, one plane wave."""
    data = read(dataset_file("muscle-invivo-pw", offline))
    grid = default_grid(data, depth=(2e-3, 45e-3), spacing=1e-4)
    image, grid = reconstruct_bmode(data, grid=grid, frames=slice(0, 1))
    axes = new_axes((8, 6))
    show_bmode(_db(image[0]), grid, ax=axes, title="gastrocnemius, one plane wave, 1540 m/s")
    return Case(
        "Muscle in vivo",
        "Human gastrocnemius, 192 elements, a single unsteered plane wave. The deep aponeurosis is the bright line "
        "at 20 to 24 mm, muscle fascicles run above it.",
        [axes.figure],
    )


def field2(offline: bool) -> Case:
    """Simulated points: where they are found and how sharp they are."""
    path = dataset_file("pybf-field2-3pw", offline)
    data = read(path)
    grid = Grid.from_extent(x=(-20e-3, 20e-3), z=(5e-3, 47e-3), spacing=5e-5)
    image, _ = reconstruct_bmode(data, grid=grid)
    level = envelope(image[0])
    scatterers = read_scatterers(path)
    truth = _isolated(scatterers, grid)
    found = localize_points(level, grid, truth, 0.5e-3)
    offset = found - truth[:, [0, 2]]
    widths = np.array([_widths(level, grid, p) for p in found])
    axes = new_axes((8, 7))
    show_bmode(_db(image[0]), grid, ax=axes, title="Field II points, 3 plane waves")
    table = [
        ["isolated points", "median", "largest"],
        ["number (of which with a clear width)", f"{len(truth)} ({np.isfinite(widths).all(axis=1).sum()})", ""],
        ["error in x", *_micrometres(offset[:, 0])],
        ["error in z", *_micrometres(offset[:, 1])],
        ["FWHM lateral", *_micrometres(widths[:, 0])],
        ["FWHM axial", *_micrometres(widths[:, 1])],
    ]
    text = (
        "Point scatterers simulated with Field II by a third party: 192 elements, three plane waves. Each isolated "
        "point is looked for within 0.5 mm of its true place."
    )
    return Case("Points against truth", text, [axes.figure], table)


def _isolated(scatterers: NDArray[np.float64], grid: Grid, gap: float = 1e-3) -> NDArray[np.float64]:
    """Scatterers inside the grid's interior whose nearest neighbour is further than ``gap``."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(scatterers).query(scatterers, 2)[0][:, 1]
    (x0, x1), (z0, z1) = grid.extent
    x, z = scatterers[:, 0], scatterers[:, 2]
    inside = (x > x0 + gap) & (x < x1 - gap) & (z > z0 + gap) & (z < z1 - gap)
    return np.asarray(scatterers[inside & (nearest > gap)])


def _widths(level: NDArray[Any], grid: Grid, point: NDArray[np.float64]) -> tuple[float, ...]:
    """FWHM along x and z through a point [m], from a patch of 0.8 mm around it; NaN where neighbours overlap it."""
    at = [round((p - o) / h) for p, o, h in zip(point[[0, -1]], grid.origin, grid.spacing, strict=True)]
    half = [round(0.8e-3 / h) for h in grid.spacing]
    patch = level[tuple(slice(max(i - n, 0), i + n + 1) for i, n in zip(at, half, strict=True))]
    peak = np.unravel_index(int(patch.argmax()), patch.shape)
    return tuple(_fwhm_or_nan(patch, h, axis, peak) for axis, h in enumerate(grid.spacing))


def _fwhm_or_nan(patch: NDArray[Any], spacing: float, axis: int, peak: Any) -> float:
    try:
        return fwhm(patch, spacing, axis=axis, peak=peak)
    except ArgumentError:
        return float("nan")


def _micrometres(values: NDArray[np.float64]) -> tuple[str, str]:
    magnitude = np.abs(values) * 1e6
    return f"{np.nanmedian(magnitude):.0f} µm", f"{np.nanmax(magnitude):.0f} µm"


def aluminium(offline: bool) -> Case:
    """Full-matrix capture of an aluminium block: notch and back wall."""
    data = read(dataset_file("arim-fmc-aluminium", offline))
    grid = Grid.from_extent(x=(-20e-3, 20e-3), z=(5e-3, 50e-3), spacing=1e-4)
    image, _ = reconstruct_bmode(data, grid=grid, f_number=0.75)
    level = envelope(image[0])
    wall = grid.z > 33e-3
    middle = np.abs(grid.x) < 5e-3
    depth = grid.z[wall][level[middle][:, wall].mean(axis=0).argmax()]
    above = level.copy()
    above[:, (grid.z < 8e-3) | wall] = 0
    tip = np.unravel_index(int(above.argmax()), above.shape)
    axes = new_axes((8, 7))
    show_bmode(_db(image[0], 40), grid, ax=axes, dynamic_range=40, title="aluminium, full matrix, 6300 m/s")
    table = [
        ["reflector", "found", "by geometry"],
        ["back wall depth", f"{depth * 1e3:.1f} mm", "40 mm"],
        ["strongest echo above it", f"({grid.x[tip[0]] * 1e3:.1f}, {grid.z[tip[1]] * 1e3:.1f}) mm", "notch (7, 20) mm"],
    ]
    text = (
        "Half-matrix capture (each pair once, filled by reciprocity) with a 64-element 5 MHz array in contact with an "
        "aluminium block; every element transmits and receives, so every point is focused on both ways."
    )
    return Case("Full-matrix capture of aluminium", text, [axes.figure], table)


CASES: dict[str, Callable[[bool], Case]] = {
    "muscle": muscle,
    "disk": disk,
    "carotid": carotid,
    "field2": field2,
    "aluminium": aluminium,
    "aberration": aberration,
    "tomography": tomography,
    "ray_born": ray_born,
    "autofocus": autofocus,
    "despeckle": despeckle,
    "enhance": enhance,
    "translate": translate,
}
