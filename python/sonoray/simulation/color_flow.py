"""Paired colour-flow and B-mode videos: what a scanner paints over tissue, and the tissue underneath.

Tissue and blood are moving scatterers (`flow_scenes`, `flow_echoes`); every frame has an ensemble of I/Q images, from
which `doppler_velocity`, `doppler_power` and `doppler_variance` find the flow that `draw_overlay` paints over the
B-mode image of the same moment.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import count, option, pair, scalar
from ..errors import ArgumentError
from ..imaging.color_overlay import draw_overlay, persist, persist_variance, steered_box
from ..imaging.doppler import doppler_power, doppler_variance, doppler_velocity
from .flow_background import blend_background, checked_background
from .flow_echoes import bmode_envelopes, doppler_direction, doppler_ensembles, moment
from .flow_images import bilinear
from .flow_scenes import SCENES, FlowScene, blood_share, make_scene
from .flow_settings import SOUND_SPEED, FlowSettings, hazy, random_settings
from .flow_views import FlowView, linear_view, sector_view

QUARTILES = ((0.01, 0.05), (0.05, 0.12), (0.12, 0.25), (0.25, 0.6))  # share of the picture under colour
_MARGIN = 6  # samples around the picture
_OUTLINES = ((255, 255, 255), (255, 255, 0), (0, 255, 0), (160, 200, 255))
_ATTEMPTS = 12
_PAINTED = {"chamber": 0.55, "vessels": 1.0}  # share of blood that is painted, on average; else 0.85


@dataclass(frozen=True)
class ColorFlowVideo:
    """A clip as a scanner shows it, and the same clip without colour.

    Parameters
    ----------
    color : (n_frames, n_rows, n_columns, 3) uint8
        RGB with the overlay. Outside ``painted`` all channels are ``bmode``.
    bmode : (n_frames, n_rows, n_columns) uint8
    mask : (n_frames, n_rows, n_columns) bool
        Where flow is painted.
    painted : (n_frames, n_rows, n_columns) bool
        ``mask`` and the outline of the colour box.
    velocity : (n_frames, n_rows, n_columns) float32 [m/s]
        What the Doppler chain found, positive towards the probe; it wraps at ``settings.nyquist``.
    true_velocity : (n_frames, n_rows, n_columns) float32 [m/s]
        Of blood along the colour beams, positive towards the probe; 0 outside vessels.
    coverage : float
        Mean share of ``mask`` over the clip.
    scene : str
    settings : FlowSettings
    """

    color: NDArray[np.uint8]
    bmode: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    painted: NDArray[np.bool_]
    velocity: NDArray[np.float32]
    true_velocity: NDArray[np.float32]
    coverage: float
    scene: str
    settings: FlowSettings


def color_flow_video(
    seed: int | np.random.Generator,
    *,
    shape: Any = (96, 96),
    n_frames: int = 8,
    scene: str | None = None,
    coverage: int | tuple[float, float] | None = None,
    background: Any = None,
    haze: bool = False,
    **settings: Any,
) -> ColorFlowVideo:
    """Simulate one paired clip; about 0.3 s of one core for 8 frames of 96 x 96.

    Parameters
    ----------
    seed : int or Generator
        The same seed makes the same clip.
    shape : (n_rows, n_columns)
        32 to 1024 each.
    n_frames : int
    scene : {"vessel", "cross_section", "bifurcation", "vessels", "chamber", "organ"}, optional
        Default any.
    coverage : 1, 2, 3, 4 or (low, high), optional
        Quartile (1 to 5, 5 to 12, 12 to 25, 25 to 60 % of the picture under colour) or limits of the share; default
        any quartile. Vessels are widened or narrowed until it is met; where a scene cannot, the nearest clip found is
        returned (``coverage`` of the result says).
    background : (n, n_rows, n_columns) uint8, optional
        Grey levels of a real sequence of the same shape (n >= n_frames) as tissue instead of simulated tissue; vessels
        are sunk into it. A single frame moves as the scene's tissue does. The view is linear, unless ``view`` says
        otherwise.
    haze : bool
        Lumens brighter than users set them: reverberations and slow blood above black.
    **settings
        Fields of `FlowSettings` instead of random ones, such as ``color_map="classic"``.

    Returns
    -------
    ColorFlowVideo

    Raises
    ------
    ArgumentError
        Unknown scene or setting, sizes or limits out of range, a background of another shape or dtype.
    """
    size = tuple(count("shape", n, 32, 1024) for n in pair("shape", shape))
    frames = count("n_frames", n_frames, 1, 10_000)
    kinds = SCENES if scene is None else (option("scene", scene, SCENES),)
    tissue = None if background is None else checked_background(background, frames, size)
    unknown = set(settings) - set(FlowSettings.__dataclass_fields__)
    if unknown:
        raise ArgumentError(f"settings: expected fields of FlowSettings, got {', '.join(sorted(unknown))}")
    given = settings if tissue is None else {"view": "linear", **settings}
    rng = np.random.default_rng(seed)
    low, high = _limits(rng, coverage)
    kind = str(rng.choice(kinds))
    aim = rng.uniform(low + 0.15 * (high - low), high - 0.15 * (high - low))
    best: ColorFlowVideo | None = None
    for _ in range(_ATTEMPTS):  # draws anew what cannot reach the aim
        drawn = random_settings(rng, kind, aim)
        chosen = replace(hazy(rng, drawn) if haze else drawn, **given)
        seeds = rng.integers(0, 2**63, 4)
        clip = _aimed_clip(seeds, kind, chosen, (size[0], size[1]), frames, aim, (low, high), tissue)
        if best is None or abs(clip.coverage - aim) < abs(best.coverage - aim):
            best = clip
        if low <= best.coverage <= high:
            break
    assert best is not None
    return best


def _limits(rng: np.random.Generator, coverage: Any) -> tuple[float, float]:
    if coverage is None:
        coverage = int(rng.integers(1, 5))
    if isinstance(coverage, (int, np.integer)) and not isinstance(coverage, bool):
        return QUARTILES[count("coverage", coverage, 1, 4) - 1]
    low, high = (scalar("coverage", v, 0.0, 0.9, "(share of the picture)") for v in pair("coverage", coverage))
    if low >= high:
        raise ArgumentError(f"coverage: expected low < high, got ({low}, {high})")
    return low, high


def _aimed_clip(
    seeds: NDArray[np.int64],
    kind: str,
    settings: FlowSettings,
    shape: tuple[int, int],
    n_frames: int,
    aim: float,
    limits: tuple[float, float],
    background: NDArray[np.uint8] | None,
) -> ColorFlowVideo:
    """One clip, with vessels as wide as the coverage wants: first by the area of blood, then by what was painted.

    The second try is spared where the first shows far too little (flow across the beams, tissue too bright).
    """
    view = (
        linear_view(shape, _MARGIN)
        if settings.view == "linear"
        else sector_view(np.random.default_rng(seeds[0]), shape, _MARGIN)
    )
    box = _box(view, settings)

    small, large, wanted = 0.015, 1.2, min(aim / _PAINTED.get(kind, 0.85), 0.95 * float(box.mean()))
    for attempt in range(2):
        for _ in range(8):
            size = float(np.sqrt(small * large))
            blood = blood_share(kind, np.random.default_rng(seeds[1]), box, size)
            small, large = (size, large) if blood < wanted else (small, size)
        scene = make_scene(kind, np.random.default_rng(seeds[1]), shape, size, 3 * _MARGIN)
        clip = _clip(seeds[2:], scene, view, settings, box, n_frames, background)
        if attempt or limits[0] <= clip.coverage <= limits[1] or clip.coverage < 0.3 * aim:
            break
        wanted = min(wanted * aim / clip.coverage, 0.95 * float(box.mean()))
        small, large = size / 3, size * 3
    return clip


def _clip(
    seeds: NDArray[np.int64],
    scene: FlowScene,
    view: FlowView,
    settings: FlowSettings,
    box: NDArray[np.bool_],
    n_frames: int,
    background: NDArray[np.uint8] | None,
) -> ColorFlowVideo:
    times = np.arange(n_frames) / settings.frame_rate
    beams = doppler_direction(view, settings)
    speed = _speed(scene, view, settings, beams)
    moments = [moment(scene, view, settings, float(t), speed) for t in times]
    bmode_rng, doppler_rng = (np.random.default_rng(s) for s in seeds)
    grey = _grey(bmode_envelopes(bmode_rng, moments, view, settings), view, settings)
    if background is not None:
        grey = blend_background(bmode_rng, grey, background, moments, view, settings)
    velocity, power, variance = _flow(doppler_ensembles(doppler_rng, moments, view, settings), view, settings)
    floor = 10 ** ((settings.noise_level + settings.gain) / 10)
    variance = persist_variance(variance, power, settings.persistence)
    velocity, power = persist(velocity, power, settings.nyquist, settings.persistence)
    weak = (power <= floor) | (np.abs(velocity) < settings.min_velocity * settings.nyquist)
    specks = ~scipy.ndimage.binary_opening(~weak, np.ones((1, 2, 2)))
    power = np.where(specks, 0, power).astype(np.float32)
    overlay = draw_overlay(
        grey,
        velocity,
        power,
        nyquist=settings.nyquist,
        box=box,
        color_map=settings.color_map,
        variance=np.clip(2 * variance - 0.5, 0, 1) if settings.variance else None,
        inverted=settings.inverted,
        min_velocity=settings.min_velocity * settings.nyquist,
        min_power=floor,
        priority=settings.priority,
        outline=_OUTLINES[int(seeds[0] % len(_OUTLINES))] if settings.outlined else None,
    )
    true = np.stack([-(beams * now.blood_velocity).sum(axis=0) * (now.lumen > 0.5) for now in moments])
    return ColorFlowVideo(
        overlay.image, grey, overlay.mask, overlay.painted, velocity, view.show(true.astype("f4")),
        float(overlay.mask.mean()), scene.kind, settings,
    )  # fmt: skip


def _speed(scene: FlowScene, view: FlowView, settings: FlowSettings, beams: NDArray[np.float32]) -> float:
    """Fastest flow [m/s] for the wanted peak along the beams; at most five times that where it runs across them."""
    still = moment(scene, view, settings, 0.0, 1.0)
    unit = np.where(still.lumen > 0.5, np.abs(_projection(scene, view, beams)), 0)
    cosine = float(np.quantile(unit[still.lumen > 0.5], 0.98)) if (still.lumen > 0.5).any() else 1.0
    return settings.peak * settings.nyquist / max(cosine, 0.2)


def _projection(scene: FlowScene, view: FlowView, beams: NDArray[np.float32]) -> NDArray[np.float32]:
    index = np.stack([view.z, view.x]) + scene.margin
    return np.asarray((beams * bilinear(scene.flow, index)).sum(axis=0))


def _flow(
    ensembles: NDArray[np.complex64], view: FlowView, settings: FlowSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Velocity, power and variance (n_frames, n_rows, n_columns) in the picture."""
    order, average = settings.wall_filter, (1, settings.average, settings.average)
    frequency, rate = settings.doppler_frequency, settings.repetition_rate
    velocity = doppler_velocity(ensembles, frequency, rate, SOUND_SPEED, wall_filter=order, average=average)
    power = doppler_power(ensembles, wall_filter=order, average=average)
    variance = np.zeros_like(power)
    if settings.variance:
        variance = doppler_variance(ensembles, wall_filter=order, average=average)
    if view.apex is None:
        return view.show(velocity), view.show(power), view.show(variance)
    # Velocities wrap, so that phasors are interpolated.
    phasor = power * np.exp(1j * np.pi / settings.nyquist * velocity)
    angle = np.arctan2(view.show(phasor.imag), view.show(phasor.real))
    return (angle * settings.nyquist / np.pi).astype("f4"), view.show(power), view.show(variance)


def _grey(envelopes: NDArray[np.float32], view: FlowView, settings: FlowSettings) -> NDArray[np.uint8]:
    """Grey levels of envelopes: decibels, scan conversion, grey map."""
    level = 20 * np.log10(np.maximum(envelopes, 1e-6)) / settings.dynamic_range + settings.brightness
    level = np.clip(level, 0, 1)
    for t in range(1, len(level)):
        level[t] += settings.bmode_persistence * (level[t - 1] - level[t])
    shown = np.clip(view.show(level.astype("f4")), 0, 1) ** settings.gamma
    return np.asarray(np.rint(255 * shown * view.inside()), np.uint8)


def _box(view: FlowView, settings: FlowSettings) -> NDArray[np.bool_]:
    """Where colour may be: a rectangle or parallelogram, or a part of the sector."""
    top, bottom, left, right = settings.box
    rows, columns = view.shape
    if view.apex is None:
        shift = np.tan(settings.steering) * (bottom - top) * rows / 2
        return steered_box(
            view.shape,
            (top * rows, bottom * rows),
            (left * columns - shift, right * columns - shift),
            settings.steering,
        )
    z, x = np.mgrid[:rows, :columns].astype(np.float32)
    depth, line = view.index(x, z) - view.margin
    inside = (depth >= top * rows) & (depth < bottom * rows) & (line >= left * columns) & (line < right * columns)
    return np.asarray(inside & view.inside())
