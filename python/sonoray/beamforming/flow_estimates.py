"""Velocity, power and variance of ensembles: of beamformed frames, or of lines that a scanner beamformed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import option, scalar
from ..acquisition.flow_images import VectorVelocity
from ..acquisition.scan_lines import ScanLines
from ..errors import ArgumentError
from ..imaging.doppler import doppler_image, nyquist_velocity
from ..imaging.scan_conversion import covering_grid, scan_convert, scan_convert_lines
from ..imaging.wall_filters import WallFilter
from ..media.grids import Grid, SectorGrid

_OF_LINES = ("sound_speed", "spacing", "grid")  # options that beamformed lines still have


class Estimate(NamedTuple):
    """Of every ensemble, on the points of the beamformed images."""

    velocity: NDArray[np.float32]
    power: NDArray[np.float32]
    variance: NDArray[np.float32]
    strength: NDArray[np.float32]  # mean power without the wall filter, for the B-mode image


class Seen(NamedTuple):
    """Estimates, where they are, their Nyquist velocity [m/s], images per second [Hz] (0: not known), vectors."""

    estimate: Estimate
    grid: Grid | SectorGrid | tuple[ScanLines, Grid]
    nyquist: float
    image_rate: float
    vectors: list[VectorVelocity] | None = None


def estimated(
    frames: NDArray[np.complex64],
    physics: tuple[float, float, float],
    size: int,
    wall_filter: WallFilter | None,
    average: Any,
    *,
    power_only: bool = False,
) -> Estimate:
    """Estimate from each ensemble of ``size`` frames.

    Parameters
    ----------
    frames : (n_frames, n_x, n_z) complex64
    physics : (center_frequency [Hz], frame_rate [Hz], sound_speed [m/s])
    size : int
    wall_filter, average
        As for `doppler_velocity`.
    power_only : bool
        As for `doppler_image`.
    """
    images = []
    for first in range(0, len(frames) - size + 1, size):
        part = frames[first : first + size]
        flow = doppler_image(part, *physics, wall_filter=wall_filter, average=average, power_only=power_only)
        strength = np.einsum("n...,n...->...", part, part.conj()).real / size
        images.append((*flow, strength))
    return Estimate(*(np.stack(values) for values in zip(*images, strict=True)))


def seen_on_lines(
    lines: ScanLines,
    kind: str,
    frame_rate: float | None,
    ensemble: int | None,
    wall_filter: WallFilter | None,
    average: Any,
    options: dict[str, Any],
) -> Seen:
    """Estimate from the shots of each frame of lines.

    Parameters
    ----------
    lines, kind, frame_rate, ensemble, wall_filter, average
        As for `reconstruct_doppler`.
    options : dict
        Of `reconstruct_bmode`: ``sound_speed``, and ``spacing`` or ``grid`` of the picture.

    Raises
    ------
    ArgumentError
        Samples without phase, one shot, one line, no rate, other options, "vector".
    """
    option("kind", kind, ("color", "power"))
    n_shots = lines.samples.shape[1]
    if lines.samples.dtype.kind != "c" or n_shots < 2:
        raise ArgumentError(
            f"channel_data: expected lines of I/Q with two shots or more for Doppler, got {lines.samples.dtype} with "
            f"{n_shots}"
        )
    if len(lines.x) < 2:
        raise ArgumentError("channel_data: expected two lines or more for Doppler images, got 1")
    if frame_rate is None:
        raise ArgumentError("frame_rate: expected the rate of the shots in Hz, which lines do not say; got none")
    if ensemble is not None and ensemble != n_shots:
        raise ArgumentError(f"ensemble: expected the {n_shots} shots of a frame, got {ensemble}")
    given = {name: value for name, value in options.items() if value is not None}
    unused = [name for name in given if name not in _OF_LINES]
    if unused:
        raise ArgumentError(f"{unused[0]}: expected only with channel data, got it with lines that are beamformed")
    c = scalar("sound_speed", given.get("sound_speed", 1540.0), 300.0, 12000.0, "m/s")
    shots = lines.samples.reshape(-1, *lines.samples.shape[2:])
    estimate = estimated(
        shots, (lines.center_frequency, frame_rate, c), n_shots, wall_filter, average, power_only=kind == "power"
    )
    limit = nyquist_velocity(lines.center_frequency, frame_rate, c)
    return Seen(estimate, (lines, _picture_grid(lines, given)), limit, lines.frame_rate)


def _picture_grid(lines: ScanLines, given: dict[str, Any]) -> Grid:
    """The grid that is given, or one that holds all lines."""
    if "grid" in given:
        if not isinstance(given["grid"], Grid) or given["grid"].ndim != 2 or "spacing" in given:
            raise ArgumentError(f"grid: expected a plane Grid, without spacing, for lines, got {given['grid']!r}")
        return given["grid"]
    return covering_grid(lines, given.get("spacing"))


def on_flat_grid(
    estimate: Estimate,
    grid: Grid | SectorGrid | tuple[ScanLines, Grid],
    limit: float,
    vectors: list[VectorVelocity] | None,
) -> tuple[Estimate, Grid, list[VectorVelocity] | None]:
    """Scan-convert what is not on a Cartesian grid.

    Parameters
    ----------
    estimate : Estimate
    grid : Grid, SectorGrid or (ScanLines, Grid)
    limit : float [m/s]
        Nyquist velocity: velocities wrap, so that what is interpolated is the correlation's phasor.
    vectors : list of VectorVelocity, optional
        Which do not wrap; velocities then are their lengths.
    """
    if isinstance(grid, Grid):
        return estimate, grid, vectors
    flat = grid[1] if isinstance(grid, tuple) else covering_grid(grid)

    def convert(values: NDArray[Any]) -> NDArray[Any]:
        if isinstance(grid, tuple):
            return scan_convert_lines(values, grid[0], flat, fill=0.0)
        return scan_convert(values, grid, flat, fill=0.0)

    power, variance, strength = (convert(values) for values in estimate[1:])
    if vectors is not None:
        vectors = [_converted(v, convert) for v in vectors]
        speeds = np.stack([np.hypot(*v.velocity) for v in vectors])
        return Estimate(speeds, power, variance, strength), flat, vectors
    phasor = (estimate.power * np.exp(1j * np.pi / limit * estimate.velocity)).astype("c8")
    velocity = np.angle(convert(phasor)) * np.float32(limit / np.pi)
    return Estimate(velocity, power, variance, strength), flat, None


def _converted(vectors: VectorVelocity, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> VectorVelocity:
    """Vectors on another grid; what is determined nowhere around a point, or outside, has an infinite condition."""
    well = convert(np.divide(1, vectors.condition, dtype="f4"))
    condition = np.divide(1, well, out=np.full_like(well, np.inf), where=well > 0)
    return VectorVelocity(convert(vectors.velocity), convert(vectors.residual), condition)
