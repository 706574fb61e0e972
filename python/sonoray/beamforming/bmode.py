"""From channel data to a B-mode image in one call: the pipeline behind ``sonoray beamform``.

demodulate -> arrival times -> delay-and-sum, frame by frame, on a grid that suits the probe.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, scalar
from .._progress import progress as show_progress
from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.signals import demodulate
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from ..media.medium import Medium
from .arrivals import arrivals
from .das import Beamformer

_MOST_POINTS = 1_000_000


def default_grid(
    channel_data: ChannelData, *, depth: tuple[float, float] | None = None, spacing: float | None = None
) -> Grid | SectorGrid:
    """Return a grid that suits the probe and the recorded depth.

    Parameters
    ----------
    channel_data : ChannelData
    depth : (first, last) [m], optional
        Default: from a few wavelengths below the probe to the depth of the last sample.
    spacing : float [m], optional
        Default: a third of the wavelength, coarser where that would exceed a million points.

    Returns
    -------
    Grid or SectorGrid
        Linear and free probes: the aperture's width. Phased: a 90 degree sector. Curvilinear: the sector
        that the elements span. Ring: the inscribed square. Matrix and bowl: a volume.

    Raises
    ------
    ArgumentError
        The recording is too short to see anything, or ``depth`` is not in rising order.
    """
    probe, c = channel_data.probe, channel_data.sound_speed
    wavelength = c / (channel_data.demodulation_frequency or channel_data.center_frequency or 5e6)
    step = wavelength / 3 if spacing is None else scalar("spacing", spacing, 1e-6, 0.01, "m")
    if probe.kind in ("ring", "bowl"):
        return _enclosed_grid(probe, step, spacing is None)
    first, last = (2 * wavelength, channel_data.max_depth) if depth is None else depth
    if not last > first >= 0:
        raise ArgumentError(f"depth: expected (first, last) in rising order from 0 [m], got ({first:g}, {last:g})")
    if last - first < 2 * wavelength:
        raise ArgumentError(
            f"depth: expected a range of at least two wavelengths, {2 * wavelength:.2g} m, got {last - first:.2g} m; "
            "is it in the right unit, is the recording that short?"
        )
    if probe.kind in ("phased", "curvilinear"):
        return _sector(probe, first, last, step)
    half = max(0.5 * float(np.ptp(probe.positions[:, 0])), 4 * step)
    middle = 0.5 * float(probe.positions[:, 0].max() + probe.positions[:, 0].min())
    extent = {"x": (middle - half, middle + half), "z": (first, last)}
    if probe.kind == "matrix":
        y = probe.positions[:, 1]
        extent["y"] = (float(y.min()), float(y.max()))
    if spacing is None:
        step = _affordable(step, [b - a for a, b in extent.values()])
    return Grid.from_extent(spacing=step, **extent)


def _affordable(step: float, sides: list[float]) -> float:
    """Coarsen ``step`` until a grid over ``sides`` has at most a million points."""
    points = float(np.prod([s / step + 1 for s in sides]))
    return float(step * max(1.0, points / _MOST_POINTS) ** (1 / len(sides)))


def _enclosed_grid(probe: Probe, step: float, adapt: bool) -> Grid:
    half = 0.7 * float(np.linalg.norm(probe.positions, axis=1).min())
    sides = {"x": (-half, half), "z": (-half, half)}
    if probe.kind == "bowl":
        sides = {"x": (-half, half), "y": (-half, half), "z": (-half, half)}
    step = _affordable(step, [2 * half] * len(sides)) if adapt else step
    return Grid.from_extent(spacing=step, **sides)


def _sector(probe: Probe, first: float, last: float, step: float) -> SectorGrid:
    n = probe.normals
    angles = np.arctan2(n[:, 0], n[:, 2])
    if np.ptp(angles) < 1e-6:
        low, high, radius = -np.pi / 4, np.pi / 4, 0.0
    else:
        low, high = float(angles.min()), float(angles.max())
        radius = float(np.ptp(probe.positions[:, 0]) / (np.sin(high) - np.sin(low)))
    n_angles = int(np.clip((high - low) * 0.5 * (last + radius) / step, 64, 512))
    ranges = radius + np.arange(first, last, step)
    return SectorGrid(ranges, np.linspace(low, high, n_angles), (0.0, 0.0, -radius))


def _inside(grid: Grid, medium: Medium) -> Grid:
    """Crop a default grid to the medium's extent."""
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


def reconstruct_bmode(
    channel_data: ChannelData,
    *,
    grid: Grid | SectorGrid | None = None,
    sound_speed: float | None = None,
    medium: Medium | None = None,
    f_number: float = 1.5,
    window: str | None = None,
    compounding: str = "coherent",
    frames: slice | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[NDArray[Any], Grid | SectorGrid]:
    """Beamform channel data to complex images, ready for `envelope` and `log_compress`.

    Parameters
    ----------
    channel_data : ChannelData
        RF is demodulated first, which needs its center frequency.
    grid : Grid or SectorGrid, optional
        Default: `default_grid`.
    sound_speed : float [m/s], optional
        One speed for all paths; default: the one that the sequence assumed.
    medium : Medium, optional
        A sound-speed map: delays along refracted paths, from the eikonal equation. Excludes ``sound_speed``.
    f_number : float
        Depth over aperture on receive; 0 uses every element everywhere.
    window : str, optional
        Receive apodization, see `Beamformer`. Default: hann over the f-number's aperture, boxcar without one.
    compounding : {"coherent", "incoherent"}
    frames : slice, optional
        Default all.
    device : {"cpu", "cuda", "cuda:N"}
    progress : bool
        Show the frames' progress on standard error.

    Returns
    -------
    image : (n_frames, *grid.shape) complex64, or float32 if incoherent
    grid : Grid or SectorGrid

    Raises
    ------
    ArgumentError
        Both speeds given, an unknown center frequency, a grid outside the medium.
    """
    if sound_speed is not None and medium is not None:
        raise ArgumentError("sound_speed: expected either sound_speed or medium, got both")
    if sound_speed is not None:
        sound_speed = scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s")
    data = channel_data if frames is None else channel_data.select(frames=frames)
    if grid is None:
        grid = default_grid(data if sound_speed is None else data.with_(sound_speed=sound_speed))
        if medium is not None and isinstance(grid, Grid):
            grid = _inside(grid, medium)
    data = data if data.is_iq else demodulate(data)
    speed = medium if medium is not None else (sound_speed or data.sound_speed)
    times = arrivals(
        data.transmits, data.probe, grid, speed, sequence_sound_speed=channel_data.sound_speed, device=device
    )
    window = window or ("hann" if f_number else "boxcar")
    beamformer = Beamformer(times, data, f_number=f_number, window=window, compounding=compounding, device=device)
    block = count("frames per block", min(32, data.n_frames))
    starts = range(0, data.n_frames, block)
    parts = [
        beamformer(data.select(frames=slice(i, i + block)))
        for i in show_progress(starts, "beamforming", enabled=progress)
    ]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), grid
