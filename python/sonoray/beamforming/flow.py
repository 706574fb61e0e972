"""From channel data to flow in one call: the pipeline behind ``sonoray beamform --doppler``.

beamform every frame -> ensembles -> wall filter -> velocity, power, variance -> scan conversion -> colour over B-mode.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, option, pair, scalar
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.flow_images import FlowImages, VectorVelocity
from ..acquisition.scan_lines import ScanLines
from ..errors import ArgumentError
from ..imaging import doppler_checks
from ..imaging.color_overlay import Overlay, draw_overlay, persist, persist_variance
from ..imaging.dealiasing import unwrap_velocity
from ..imaging.detection import log_compress, to_uint8
from ..imaging.doppler import nyquist_velocity
from ..imaging.vector_doppler import solved_directions
from ..imaging.wall_filters import WallFilter
from ..media.grids import Grid, SectorGrid
from ..media.interpolation import Interpolator
from .adaptive_methods import adaptive_method
from .bmode import reconstruct_bmode
from .flow_estimates import Estimate, Seen, estimated, on_flat_grid, seen_on_lines
from .flow_views import View, seen_directions, vector_views

KINDS = ("color", "power", "vector")
_EXTENT = ("depth", "spacing", "x", "y")  # options of the default grid
_NOISE_PERCENTILE = 20  # of the power: what most images hold at least of places without flow
_BAR_PERCENTILE = 99  # of painted velocities, where a colour bar ends beyond the Nyquist velocity
_WIDEST_SPREAD = 2.5  # Nyquist velocities: of vectors across the directions
_MAP = {"color": "flame", "power": "ember", "vector": "flame"}


def reconstruct_doppler(
    channel_data: ChannelData | ScanLines,
    kind: str = "color",
    *,
    wall_filter: WallFilter | None = 1,
    frame_rate: float | None = None,
    ensemble: int | None = None,
    average: Any = 5,
    unwrap: bool = False,
    persistence: float = 0.0,
    threshold: float = 6.0,
    min_velocity: float = 0.0,
    priority: int = 255,
    color_map: str | None = None,
    variance: bool = False,
    dynamic_range: float = 60.0,
    receive_angles: Any = None,
    **bmode: Any,
) -> FlowImages:
    """Beamform channel data and paint the flow in them over the B-mode image.

    Parameters
    ----------
    channel_data : ChannelData or ScanLines
        Two frames or more, all fired alike; plane, diverging or focused waves. Lines that a scanner beamformed: the
        shots of each frame are an ensemble and make one image.
    kind : {"color", "power", "vector"}
        Velocity along the beam; power; velocity in the plane, from plane waves of several angles, each of which is
        beamformed on its own; see ``receive_angles``.
    wall_filter : int or callable, optional
        See `apply_wall_filter`. None leaves tissue in, for tissue that is to be measured itself.
    frame_rate : float, optional [Hz]
        At which frames (of lines: shots) follow each other; default what channel data say.
    ensemble : int, optional
        Frames that make one image; those left over at the end are not used. Default all.
    average : int or tuple of int
        Points along each axis over which correlations are averaged.
    unwrap : bool
        Resolve aliases (`unwrap_velocity`) where flow is strong enough to be painted. Not for "vector".
    persistence : float
        See `persist` and `persist_variance`. Not for "vector".
    threshold : float [dB]
        Paint where power exceeds the noise by this, which is taken to be the 20th percentile of the power.
    min_velocity, priority, color_map
        See `draw_overlay`. The map's default is "flame", for power "ember".
    variance : bool
        Add green for turbulence.
    dynamic_range : float [dB]
        Of the B-mode image.
    receive_angles : sequence of float, optional [rad]
        For "vector": axes of receive apertures, from z towards x, each of which sees every plane wave. Default: what
        ``aperture_axis`` says; "beam" looks along each plane wave and finds velocities across best, with the default
        "normal" apertures stand above each point. Angles at which echoes are seen are those of the elements that
        receive each point, by `receive_directions`, in a straight line: a ``medium`` bends none of them.
    **bmode
        Options of `reconstruct_bmode`: grid, depth, spacing, sound_speed, medium, f_number, window, device, ... With a
        ``medium`` velocities scale with its mean sound speed over the image. Of lines: only ``sound_speed`` and the
        ``spacing`` or ``grid`` of the picture.

    Returns
    -------
    FlowImages

    Raises
    ------
    ArgumentError
        One frame or line only, no frame rate, fewer frames than the wall filter or the ensemble need, incoherent
        compounding and methods that lose the phase, ``frames`` (select them first), volumes; for "vector": not two
        directions that differ, other than plane waves, methods that find their own weights, unwrap, persistence,
        receive angles together with an aperture axis or without an f-number.

    Examples
    --------
    >>> flow = reconstruct_doppler(data, wall_filter=sonoray.SvdFilter(), ensemble=16)  # doctest: +SKIP
    >>> sonoray.write_png("flow.png", flow.picture[0], flow.grid)  # doctest: +SKIP
    """
    option("kind", kind, KINDS)
    level = 10 ** (scalar("threshold", threshold, -100.0, 200.0, "dB") / 10)
    colors = color_map or _MAP[kind]
    if kind == "vector":
        _require_signs(unwrap, persistence)
    elif receive_angles is not None:
        raise ArgumentError(f"receive_angles: expected only for 'vector', got them for {kind!r}")
    if isinstance(channel_data, ScanLines):
        seen = seen_on_lines(channel_data, kind, frame_rate, ensemble, wall_filter, average, bmode)
    else:
        rate, size = flow_timing(channel_data, frame_rate, ensemble)
        _require_phases(bmode)
        seen = _seen(channel_data, kind, (rate, size), receive_angles, (wall_filter, average), bmode)
    estimate, limit, vectors = seen.estimate, seen.nyquist, seen.vectors
    if persistence:
        spread = persist_variance(estimate.variance, estimate.power, persistence)
        velocity, power = persist(estimate.velocity, estimate.power, limit, persistence)
        estimate = estimate._replace(velocity=velocity, power=power, variance=spread)
    estimate, flat, vectors = on_flat_grid(estimate, seen.grid, limit, vectors)
    inside = estimate.power[estimate.strength > 0]
    noise = float(np.percentile(inside, _NOISE_PERCENTILE)) if inside.size else 0.0
    strong = estimate.power > level * noise
    if unwrap:
        resolved = [unwrap_velocity(v, limit, visible=s) for v, s in zip(estimate.velocity, strong, strict=True)]
        estimate = estimate._replace(velocity=np.stack(resolved))
    if vectors is not None:
        strong &= _determined(vectors, estimate.variance, limit)
    db = log_compress(np.sqrt(estimate.strength), dynamic_range=dynamic_range)
    grey = to_uint8(db, dynamic_range)
    end = _color_limit(estimate.velocity[strong], limit) if unwrap or vectors else limit
    shown = _painted(estimate, strong, grey, end, colors, min_velocity, priority, variance)
    return FlowImages(*estimate[:3], grey, shown.image, shown.mask, flat, limit, end, seen.image_rate, colors, vectors)


def _seen(
    data: ChannelData,
    kind: str,
    timing: tuple[float, int],
    receive_angles: Any,
    estimation: tuple[WallFilter | None, Any],
    bmode: dict[str, Any],
) -> Seen:
    """Beamform from every direction and estimate."""
    f0, (rate, size) = _echo_frequency(data), timing
    views = [View(data, 0.0, bmode.get("aperture_axis", "normal"))]
    if kind == "vector":
        views = vector_views(data, receive_angles, bmode)
    found = []
    for view in views:
        frames, grid = _beamformed(view.data, {**bmode, "aperture_axis": view.aperture_axis})
        bmode = {**{name: value for name, value in bmode.items() if name not in _EXTENT}, "grid": grid}
        speed = velocity_scale(data, grid, bmode)
        found.append(estimated(frames, (f0, rate, speed), size, *estimation, power_only=kind == "power"))
    estimate, vectors = found[0], None
    if kind == "vector":
        velocities = np.stack([estimate.velocity for estimate in found], axis=1)
        directions, weights = seen_directions(views, grid, speed / f0, bmode)
        vectors = [solved_directions(v, directions, weights=weights) for v in velocities]
        speeds = np.stack([np.hypot(*v.velocity) for v in vectors])
        estimate = Estimate(speeds, *(np.mean([e[k] for e in found], axis=0) for k in (1, 2, 3)))
    return Seen(estimate, grid, nyquist_velocity(f0, rate, speed), rate / size, vectors)


def gate_samples(
    channel_data: ChannelData, position: tuple[float, float], size: tuple[float, float] = (1e-3, 1e-3), **bmode: Any
) -> NDArray[np.complex64]:
    """I/Q of a sample volume in every frame, for `sonogram` and `doppler_audio`.

    Parameters
    ----------
    channel_data : ChannelData
    position : (x, z) [m]
        Middle of the sample volume.
    size : (width, depth) [m]
    **bmode
        Options of `reconstruct_bmode`; those of its grid are not used.

    Returns
    -------
    (n_frames, n_points) complex64
        Points a third of the wavelength apart.

    Raises
    ------
    ArgumentError
        One frame only; a position outside what the data reach, or in millimetres; incoherent compounding and methods
        that lose the phase; ``frames`` (select them first).
    """
    data = require_channel_data(channel_data)
    _need_frames(data)
    _require_phases(bmode)
    options = {name: value for name, value in bmode.items() if name not in ("grid", *_EXTENT)}
    frames, _ = reconstruct_bmode(data, grid=sample_volume(data, position, size), **options)
    if not frames.any():
        x, z = (1e3 * p for p in position)
        raise ArgumentError(
            f"position: expected a place that data of the elements' apertures reach, got ({x:.4g}, {z:.4g}) mm, where "
            "every sample is 0"
        )
    return frames.reshape(len(frames), -1)


def sample_volume(data: ChannelData, position: tuple[float, float], size: tuple[float, float]) -> Grid:
    """Points of `gate_samples`, a third of the wavelength apart.

    Parameters
    ----------
    data : ChannelData
    position, size
        As for `gate_samples`.

    Raises
    ------
    ArgumentError
        A position outside what the data reach, or in millimetres.
    """
    step = data.sound_speed / _echo_frequency(data) / 3
    x, z = (scalar("position", p, -1.0, 1.0, "m") for p in pair("position", position))
    half = [max(scalar("size", s, 1e-6, 0.1, "m") / 2, step) for s in pair("size", size)]
    if not 0 < z < data.max_depth:
        raise ArgumentError(f"position: expected a depth up to {1e3 * data.max_depth:.4g} mm, got {1e3 * z:.4g} mm")
    return Grid.from_extent(x=(x - half[0], x + half[0]), z=(z - half[1], z + half[1]), spacing=step)


def velocity_scale(data: ChannelData, grid: Grid | SectorGrid, bmode: dict[str, Any]) -> float:
    """Sound speed [m/s] that turns phases into velocities: the one given, a medium's mean over the grid, or the data's.

    Parameters
    ----------
    data : ChannelData
    grid : Grid or SectorGrid
        Of the image.
    bmode : dict
        Options of `reconstruct_bmode`.
    """
    medium = bmode.get("medium")
    if medium is not None:
        return float(Interpolator(medium.grid, medium.sound_speed, "linear")(grid.points().reshape(-1, 3)).mean())
    return data.sound_speed if bmode.get("sound_speed") is None else float(bmode["sound_speed"])


def flow_timing(channel_data: ChannelData, frame_rate: float | None, ensemble: int | None) -> tuple[float, int]:
    """Rate of the frames and how many make an image, checked before any work.

    Parameters
    ----------
    channel_data, frame_rate, ensemble
        As for `reconstruct_doppler`.

    Returns
    -------
    frame_rate : float [Hz]
    ensemble : int

    Raises
    ------
    ArgumentError
        One frame only, no rate, more frames wanted than there are.
    """
    data = require_channel_data(channel_data)
    _need_frames(data)
    rate = frame_rate if frame_rate is not None else data.frame_rate
    if not rate:
        raise ArgumentError("frame_rate: expected the rate of the frames in Hz, which the data do not say; got none")
    size = data.n_frames if ensemble is None else count("ensemble", ensemble, 2, data.n_frames)
    return doppler_checks.frame_rate(rate), size


def _need_frames(data: ChannelData) -> None:
    if data.n_frames < 2:
        raise ArgumentError("channel_data: expected two frames or more for Doppler, got 1")


def _echo_frequency(data: ChannelData) -> float:
    f0 = data.center_frequency or data.demodulation_frequency
    if not f0:
        raise ArgumentError("center_frequency: expected that of the pulse in Hz, which the data do not say; got 0")
    return f0


def _require_phases(bmode: dict[str, Any]) -> None:
    """Refuse options of `reconstruct_bmode` behind which frames have no phases of their echoes, or not all frames."""
    if bmode.get("compounding") == "incoherent":
        raise ArgumentError("compounding: expected phases for Doppler, got 'incoherent', which has none")
    method = bmode.get("method", "das")
    if method != "das" and not adaptive_method(method).keeps_phase:
        raise ArgumentError(
            f"method: expected one that keeps the phase of echoes for Doppler, got {adaptive_method(method).name!r}"
        )
    if bmode.get("frames") is not None:
        raise ArgumentError(
            f"frames: expected channel_data.select(frames=...) instead for Doppler, got {bmode['frames']!r}"
        )


def _require_signs(unwrap: bool, persistence: float) -> None:
    for name, value in (("unwrap", unwrap), ("persistence", persistence)):
        if value:
            raise ArgumentError(f"{name}: expected none for 'vector', whose speeds have no sign, got {value!r}")


def _beamformed(data: ChannelData, bmode: dict[str, Any]) -> tuple[NDArray[np.complex64], Any]:
    frames, grid = reconstruct_bmode(data, **bmode)
    if len(grid.shape) != 2:
        raise ArgumentError(f"grid: expected a plane for Doppler, got one of shape {grid.shape}")
    return frames, grid


def _determined(vectors: list[VectorVelocity], variance: NDArray[np.float32], limit: float) -> NDArray[np.bool_]:
    """Where directions tell vectors: phases spread by about sqrt(2 variance), which the condition magnifies."""
    condition, residual = (np.stack([getattr(v, name) for v in vectors]) for name in ("condition", "residual"))
    spread = np.sqrt(2 * np.maximum(variance, 0)) / np.pi  # of velocities along the beam, over the Nyquist velocity
    finite = np.isfinite(condition)
    return finite & (np.where(finite, condition, 0) * spread <= _WIDEST_SPREAD) & (residual <= limit / 2)


def _color_limit(velocities: NDArray[np.float32], limit: float) -> float:
    """End of the colour bar for velocities that may exceed the Nyquist velocity; outliers do not stretch it."""
    return max(limit, float(np.percentile(np.abs(velocities), _BAR_PERCENTILE))) if velocities.size else limit


def _painted(
    estimate: Estimate,
    strong: NDArray[np.bool_],
    grey: NDArray[np.uint8],
    limit: float,
    colors: str,
    min_velocity: float,
    priority: int,
    variance: bool,
) -> Overlay:
    """Colour where flow is strong: `draw_overlay` works on pictures as displayed, rows of depth first."""
    bmode, velocity, power, spread = (
        np.swapaxes(values, 1, 2)
        for values in (grey, estimate.velocity, np.where(strong, estimate.power, 0), estimate.variance)
    )
    least = float(estimate.power[strong].min()) if strong.any() else 0.0
    shown = draw_overlay(
        bmode, velocity, power, nyquist=limit, color_map=colors, variance=spread if variance else None,
        min_velocity=min_velocity, min_power=0.999999 * least, priority=priority,
    )  # fmt: skip
    return Overlay(np.swapaxes(shown.image, 1, 2), np.swapaxes(shown.mask, 1, 2), np.swapaxes(shown.painted, 1, 2))
