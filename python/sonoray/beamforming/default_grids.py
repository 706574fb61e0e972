"""Image grids that suit a probe: where it looks, as far as it recorded, as far as a medium reaches."""

import numpy as np
from numpy.typing import NDArray

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from ..media.medium import Medium

_MOST_POINTS = 1_000_000
_LARGEST = 100_000_000  # points that a spacing or an extent may ask for: 0.8 GB a frame
_VOLUMES = ("matrix", "row_column")


def default_grid(
    channel_data: ChannelData,
    *,
    depth: tuple[float, float] | None = None,
    spacing: float | None = None,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
) -> Grid | SectorGrid:
    """Return a grid that suits the probe and the recorded depth.

    Parameters
    ----------
    channel_data : ChannelData
    depth : (first, last) [m], optional
        Below the probe's face. Default: from two wavelengths to the depth of the last sample.
    spacing : float [m], optional
        Default: a third of the wavelength, coarser where that would exceed a million points.
    x, y : (first, last) [m], optional
        Lateral and elevational extent. With either, the grid is Cartesian for every probe but rings and bowls; ``y``
        makes it a volume, with equal ends the plane at that elevation.

    Returns
    -------
    Grid or SectorGrid
        Linear and free probes: the aperture's width. Phased: a 90 degree sector from its middle. Curvilinear: the
        sector that the elements span. Ring: the inscribed square. Matrix and row-column: a volume below the aperture,
        with diverging waves as wide as these are at the last depth, up to 45 degrees beyond. Bowl: a volume.

    Raises
    ------
    ArgumentError
        The recording is too short to see anything, or ``depth``, ``x`` or ``y`` is not in rising order or in another
        unit; more than 1e8 points.
    """
    grid = _suited(channel_data, depth, spacing, x, y)
    if grid.size > _LARGEST:
        shape = " x ".join(map(str, grid.shape))
        raise ArgumentError(f"spacing: expected at most {_LARGEST:.0e} points, got {grid.size:.3g} ({shape})")
    return grid


def _suited(
    channel_data: ChannelData,
    depth: tuple[float, float] | None,
    spacing: float | None,
    x: tuple[float, float] | None,
    y: tuple[float, float] | None,
) -> Grid | SectorGrid:
    probe, c = channel_data.probe, channel_data.sound_speed
    wavelength = c / (channel_data.demodulation_frequency or channel_data.center_frequency or 5e6)
    step = wavelength / 3 if spacing is None else scalar("spacing", spacing, 1e-6, 0.01, "m")
    if probe.kind in ("ring", "bowl"):
        if x is not None or y is not None:
            raise ArgumentError(f"x, y: a {probe.kind} is imaged around its centre; give a grid instead")
        return _enclosed_grid(probe, step, spacing is None)
    first, last = _depth_range(channel_data, depth, wavelength)
    if probe.kind in ("phased", "curvilinear") and x is None and y is None:
        return _sector(probe, first, last, step)
    face = float(probe.positions[:, 2].max())
    wider = _spread(channel_data, last) if probe.kind in _VOLUMES else 0.0
    extent = {
        "x": _side(probe, 0, wider, 4 * step) if x is None else _range("x", x),
        "z": (face + first, face + last),
    }
    if probe.kind in _VOLUMES or y is not None:
        extent["y"] = _side(probe, 1, wider, 0.0) if y is None else _range("y", y)
    if spacing is None:
        step = _affordable(step, [b - a for a, b in extent.values()])
    return Grid.from_extent(spacing=step, **extent)


def inside_medium(grid: Grid | SectorGrid, medium: Medium) -> Grid | SectorGrid:
    """Return the part of a default grid that a medium covers; of a sector, the ranges it covers at every angle."""
    if isinstance(grid, SectorGrid):
        covered = medium.grid.contains(grid.points().reshape(-1, 3)).reshape(grid.shape).all(axis=0)
        if covered.sum() < 2:
            raise ArgumentError(
                f"medium: expected it to cover the sector at some range, got extent {medium.grid.extent} m"
            )
        kept = np.flatnonzero(covered)
        return SectorGrid(grid.ranges[kept[0] : kept[-1] + 1], grid.angles, grid.apex)
    inner = []
    for (low, high), (m_low, m_high), step in zip(grid.extent, medium.grid.extent, grid.spacing, strict=True):
        first = max(low, m_low)
        steps = np.floor((min(high, m_high) - first) / step + 1e-6)
        if steps < 1:
            raise ArgumentError(
                f"medium: expected it to cover part of the image {grid.extent} m, got extent {medium.grid.extent} m"
            )
        inner.append((first, first + steps * step))
    names = ("x", "z") if grid.ndim == 2 else ("x", "y", "z")
    return Grid.from_extent(spacing=grid.spacing, **dict(zip(names, inner, strict=True)))


def _depth_range(
    channel_data: ChannelData, depth: tuple[float, float] | None, wavelength: float
) -> tuple[float, float]:
    first, last = (2 * wavelength, channel_data.max_depth) if depth is None else depth
    if depth is None and last < 4 * wavelength:
        raise ArgumentError(
            f"channel_data: expected a recording deeper than four wavelengths, {4 * wavelength:.2g} m, got {last:.2g} m"
        )
    if not last > first >= 0:
        raise ArgumentError(f"depth: expected (first, last) in rising order from 0 [m], got ({first:g}, {last:g})")
    if last - first < 2 * wavelength:
        raise ArgumentError(
            f"depth: expected a range of at least two wavelengths, {2 * wavelength:.2g} m, got {last - first:.2g} m; "
            "is it in the right unit?"
        )
    return first, last


def _range(name: str, given: tuple[float, float]) -> tuple[float, float]:
    first, last = (scalar(name, value, -1.0, 1.0, "m") for value in given)
    if last < first:
        raise ArgumentError(f"{name}: expected (first, last) in rising order [m], got ({first:g}, {last:g})")
    return first, last


def _side(probe: Probe, axis: int, wider: float, least: float) -> tuple[float, float]:
    """Extent of the aperture along an axis, ``wider`` to both sides and at least twice ``least``."""
    along = probe.positions[:, axis]
    middle = 0.5 * float(along.max() + along.min())
    half = max(0.5 * float(np.ptp(along)) + wider, least)
    return middle - half, middle + half


def _spread(channel_data: ChannelData, last: float) -> float:
    """How far beyond the aperture its diverging waves reach at a depth [m]."""
    sources = [t for t in channel_data.transmits if t.kind in ("diverging", "element")]
    if not sources:
        return 0.0
    half = 0.5 * channel_data.probe.aperture
    behind = [float(-t.focus[2]) for t in sources if t.focus is not None]
    slope = half / max(*behind, 1e-6) if behind else 1.0
    return last * min(1.0, slope)


def _affordable(step: float, sides: list[float]) -> float:
    """Coarsen ``step`` until a grid over ``sides`` has at most a million points."""
    points = float(np.prod([s / step + 1 for s in sides]))
    return float(step * max(1.0, points / _MOST_POINTS) ** (1 / len(sides)))


def _centre(probe: Probe) -> NDArray[np.float64]:
    """The point nearest to all lines along the elements' normals: the centre of an arc, a ring, a bowl."""
    n = probe.normals
    across = np.eye(3) - n[:, :, None] * n[:, None, :]
    return np.linalg.lstsq(across.sum(axis=0), np.einsum("kij,kj->i", across, probe.positions), rcond=1e-9)[0]


def _enclosed_grid(probe: Probe, step: float, adapt: bool) -> Grid:
    centre = _centre(probe)
    half = 0.7 * float(np.linalg.norm(probe.positions - centre, axis=1).min())
    sides = {axis: (float(c) - half, float(c) + half) for axis, c in zip("xyz", centre, strict=True)}
    if probe.kind == "ring":
        del sides["y"]
    step = _affordable(step, [2 * half] * len(sides)) if adapt else step
    return Grid.from_extent(spacing=step, **sides)


def _sector(probe: Probe, first: float, last: float, step: float) -> SectorGrid:
    angles = np.arctan2(probe.normals[:, 0], probe.normals[:, 2])
    if np.ptp(angles) < 1e-6:
        low, high, radius, apex = -np.pi / 4, np.pi / 4, 0.0, probe.positions.mean(axis=0)
    else:
        apex = _centre(probe)
        low, high = float(angles.min()), float(angles.max())
        radius = float(np.linalg.norm(probe.positions - apex, axis=1).mean())
    n_angles = int(np.clip((high - low) * 0.5 * (last + radius) / step, 64, 512))
    ranges = radius + np.arange(first, last, step)
    return SectorGrid(ranges, np.linspace(low, high, n_angles), (float(apex[0]), 0.0, float(apex[2])))
