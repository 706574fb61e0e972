"""Echoes of a scene at one time: B-mode envelopes and Doppler ensembles, from moving scatterers."""

from dataclasses import dataclass

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .flow_images import PointSpread, Texture, bilinear, convolve
from .flow_scenes import FlowScene
from .flow_settings import FlowSettings
from .flow_views import FlowView

_EDGE = 0.5  # px over which a lumen begins
_LEAFLET = (0.9, 6.0)  # half width [px] and level [dB] of a valve's leaflets


@dataclass(frozen=True)
class Moment:
    """What lies at the beams' samples at one time.

    Parameters
    ----------
    material : (2, n_depths, n_lines) float32
        Sample indices at which the tissue that is here lies at rest.
    tissue : (n_depths, n_lines) float32
        Amplitude of its echoes.
    lumen : (n_depths, n_lines) float32
        Share of blood, 0 to 1.
    blood_velocity, tissue_velocity : (2, n_depths, n_lines) float32 [m/s]
        Along columns and rows.
    turbulence : (n_depths, n_lines) float32 [m/s]
    """

    material: NDArray[np.float32]
    tissue: NDArray[np.float32]
    lumen: NDArray[np.float32]
    blood_velocity: NDArray[np.float32]
    tissue_velocity: NDArray[np.float32]
    turbulence: NDArray[np.float32]


def moment(scene: FlowScene, view: FlowView, settings: FlowSettings, time: float, speed: float) -> Moment:
    """The scene at a time [s]; its fastest flow is ``speed`` [m/s]."""
    beat = time * settings.heart_rate
    edge = scene.margin
    here = np.stack([view.z + edge, view.x + edge])
    stretch = bilinear(scene.stretch, here)

    def displacement(t: float) -> NDArray[np.float32]:
        return np.asarray(scene.dilation(t) * stretch + scene.drift(t)[:, None, None], np.float32)

    moved = displacement(beat)
    ahead, behind = displacement(beat + 0.005), displacement(beat - 0.005)
    maps = np.stack([scene.echo, scene.distance, *scene.flow, scene.pulsatile, scene.turbulence])
    echo, distance, flow_x, flow_z, pulsatile, turbulence = bilinear(maps, here - moved[::-1])
    lumen = 1 / (1 + np.exp(np.clip(distance / _EDGE, -30, 30)))
    tissue = 10 ** (echo / 20) * (1 - lumen)
    for segment in scene.leaflets(beat):
        near = np.exp(-((_segment_distance(view, segment) / _LEAFLET[0]) ** 2))
        tissue, lumen = tissue + 10 ** (_LEAFLET[1] / 20) * near, lumen * (1 - near)
    strength = speed * (1 - pulsatile + pulsatile * scene.pulse(beat))
    return Moment(
        view.index(view.x - moved[0], view.z - moved[1]),
        tissue.astype("f4"),
        lumen.astype("f4"),
        (np.stack([flow_x, flow_z]) * strength).astype("f4"),
        ((ahead - behind) * np.float32(settings.heart_rate * settings.pixel / 0.01)),
        (turbulence * np.abs(strength)).astype("f4"),
    )


def bmode_envelopes(
    rng: np.random.Generator, moments: list[Moment], view: FlowView, settings: FlowSettings
) -> NDArray[np.float32]:
    """B-mode envelopes (n_frames, n_depths, n_lines): 1 is the mean amplitude of tissue at 0 dB.

    The tissue's speckle moves with it and slowly turns into other speckle, as motion across the slice does; blood has
    long left the place when the next frame is taken, so its speckle is new in every frame, as noise is.
    """
    shape = view.x.shape
    spread = PointSpread(settings.bmode_axial, settings.bmode_lateral, 0.0, settings.skirt).spectrum(shape)
    blood = 10 ** (settings.bmode_blood_level / 20)
    noise = 10 ** (settings.bmode_noise_level / 20)
    patches = scipy.ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 0.08 * shape[0], mode="wrap")
    haze = 10 ** ((settings.haze_level + 5 * patches / patches.std()) / 20)  # reverberations, which lie over blood too
    total = np.zeros((len(moments), *shape), np.float32)
    for _ in range(settings.looks):  # from other directions the same scatterers make other speckle
        first, second = Texture(rng, shape), Texture(rng, shape)
        scatterers = np.empty((len(moments), *shape), np.complex64)
        for i, now in enumerate(moments):
            turn = settings.decorrelation * i
            grain = first.at(now.material)
            if turn:
                grain = np.float32(np.cos(turn)) * grain + np.float32(np.sin(turn)) * second.at(now.material)
            fresh = np.sqrt((blood * now.lumen) ** 2 + noise**2)
            scatterers[i] = (now.tissue + haze) * grain + fresh * _complex_noise(rng, shape)
        total += np.abs(convolve(scatterers, spread))
    return np.asarray(total / settings.looks, np.float32)


def doppler_ensembles(
    rng: np.random.Generator, moments: list[Moment], view: FlowView, settings: FlowSettings
) -> NDArray[np.complex64]:
    """I/Q images (n_shots, n_frames, n_depths, n_lines) of the colour beams' shots."""
    shape, n = view.x.shape, settings.n_shots
    beams = doppler_direction(view, settings)
    spread = PointSpread(settings.doppler_axial, settings.doppler_lateral, settings.steering, settings.skirt)
    spectrum = spread.spectrum(shape)
    tissue, blood = Texture(rng, shape), Texture(rng, shape, fine=4)
    level, noise = 10 ** (settings.blood_level / 20), 10 ** (settings.noise_level / 20)
    shot_time = 1 / settings.repetition_rate
    shots = np.arange(n, dtype=np.float32)
    turn = np.float32(np.pi / settings.nyquist)  # phase per shot for 1 m/s towards the probe
    # Noise passes the receiver's filter and the beamformer as echoes do, so it goes where the scatterers are.
    result = np.float32(noise) * _complex_noise(rng, (n, len(moments), *shape))
    for i, now in enumerate(moments):
        flowing = now.lumen > 0.02
        velocity = now.blood_velocity + _eddies(rng, shape) * now.turbulence
        speed = -(beams * velocity).sum(axis=0)[flowing]
        there = np.float32(shot_time / settings.pixel) * velocity[:, flowing] * shots[:, None, None]
        where = view.index(view.x[flowing] - there[:, 0], view.z[flowing] - there[:, 1])
        where += rng.uniform(0, 1000, (2, 1, 1)).astype("f4")  # other blood in every frame
        echoes = blood.nearest(where) * _turning(turn * speed, n)
        result[:, i, flowing] += np.float32(level) * now.lumen[flowing] * echoes
    result = convolve(result, spectrum)
    # Tissue moves by micrometres during an ensemble and alike over a point-spread function: its phase alone turns.
    still = convolve(np.stack([now.tissue * tissue.at(now.material) for now in moments]), spectrum)
    for i, now in enumerate(moments):
        moving = -(beams * now.tissue_velocity).sum(axis=0) + _flash(rng, shape, settings)
        result[:, i] += still[i] * _turning(turn * moving, n)
    return result


def doppler_direction(view: FlowView, settings: FlowSettings) -> NDArray[np.float32]:
    """Unit vectors (2, n_depths, n_lines) of the colour beams, away from the probe."""
    if view.apex is not None or not settings.steering:
        return view.direction
    along = np.array([np.sin(settings.steering), np.cos(settings.steering)], np.float32)
    return np.asarray(np.broadcast_to(along[:, None, None], view.direction.shape))


def _turning(step: NDArray[np.float32], n: int) -> NDArray[np.complex64]:
    """Phasors (n, ...) that turn by ``step`` from shot to shot."""
    once = np.cos(step) + 1j * np.sin(step)
    turns = np.empty((n, *step.shape), np.complex64)
    turns[0] = 1
    for i in range(1, n):
        np.multiply(turns[i - 1], once, out=turns[i], casting="same_kind")
    return turns


def _flash(rng: np.random.Generator, shape: tuple[int, ...], settings: FlowSettings) -> NDArray[np.float32]:
    """Speed of tissue that moves by accident during one frame in three (cough, probe), somewhere."""
    if not settings.flash or rng.random() > 0.35:
        return np.zeros(shape, np.float32)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    u = (rows - rng.uniform(0, shape[0])) / (rng.uniform(0.1, 0.3) * shape[0])
    v = (columns - rng.uniform(0, shape[1])) / (rng.uniform(0.1, 0.4) * shape[1])
    speed = rng.uniform(-1, 1) * settings.flash * settings.nyquist
    return np.asarray(speed * np.exp(-(u**2) - v**2), np.float32)


def _eddies(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random velocity (2, n_depths, n_lines) of unit variance, alike over a few samples."""
    noise = rng.standard_normal((2, *shape)).astype(np.float32)
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1.5, 1.5), truncate=2.5)
    return smooth / smooth.std()


def _complex_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """White, of unit power."""
    parts = rng.standard_normal((*shape, 2), np.float32)
    return parts.view(np.complex64)[..., 0] * np.float32(np.sqrt(0.5))


def _segment_distance(view: FlowView, segment: NDArray[np.float64]) -> NDArray[np.float32]:
    """Distance [px] of the samples to a line segment (column, row, column, row)."""
    ax, az, bx, bz = segment
    ux, uz = bx - ax, bz - az
    s = np.clip(((view.x - ax) * ux + (view.z - az) * uz) / max(ux**2 + uz**2, 1e-9), 0, 1)
    return np.asarray(np.hypot(view.x - ax - s * ux, view.z - az - s * uz), np.float32)
