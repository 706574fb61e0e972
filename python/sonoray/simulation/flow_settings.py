"""Settings of a simulated colour-flow scanner, drawn at random over what scanners and their users choose."""

from dataclasses import dataclass, replace

import numpy as np

from ..imaging.color_overlay import POWER_MAPS, VELOCITY_MAPS

SOUND_SPEED = 1540.0


@dataclass(frozen=True)
class FlowSettings:
    """How a clip was acquired and drawn.

    Parameters
    ----------
    view : str
        "linear" or "sector".
    pixel : float [m]
    frame_rate, heart_rate : float [Hz]
    bmode_frequency, doppler_frequency, repetition_rate : float [Hz]
    n_shots : int
        Of an ensemble.
    steering : float [rad]
        Of the Doppler beams, positive to the right; 0 on sectors.
    bmode_axial, bmode_lateral, doppler_axial, doppler_lateral : float [px]
        Standard deviations of the point-spread functions' amplitudes.
    skirt : float
        Side lobes over main lobe.
    looks : int
        Directions that B-mode compounds.
    bmode_persistence : float
        Share of the last B-mode frame that stays.
    peak : float
        Fastest projected flow over the Nyquist velocity.
    blood_level, noise_level : float [dB]
        Echoes of blood and thermal noise in Doppler, against tissue at 0 dB.
    bmode_blood_level, bmode_noise_level, haze_level : float [dB]
        Haze: reverberations, which fill vessels too.
    wall_filter : int
        Order of the polynomial that `doppler_velocity` removes.
    average : int [px]
    persistence, min_velocity, gain : float
        Share of the last frame; share of the Nyquist velocity below which nothing is painted; decibels above the
        noise above which it is.
    flash : float
        Largest speed of accidental tissue motion over the Nyquist velocity; mostly 0.
    priority : int
        Grey level above which tissue hides colour.
    color_map : str
    variance, inverted, outlined : bool
    dynamic_range, brightness, gamma : float
        Decibels from black to white; grey level of tissue at 0 dB; exponent of the grey map.
    decorrelation : float
        Radians per frame by which B-mode speckle turns into other speckle (motion across the slice).
    box : (4,) float
        Rows and columns (or ranges and angles) of the colour box over the picture, 0 to 1: top, bottom, left, right.
    """

    view: str
    pixel: float
    frame_rate: float
    heart_rate: float
    bmode_frequency: float
    doppler_frequency: float
    repetition_rate: float
    n_shots: int
    steering: float
    bmode_axial: float
    bmode_lateral: float
    doppler_axial: float
    doppler_lateral: float
    skirt: float
    looks: int
    bmode_persistence: float
    peak: float
    blood_level: float
    noise_level: float
    bmode_blood_level: float
    bmode_noise_level: float
    haze_level: float
    wall_filter: int
    average: int
    persistence: float
    min_velocity: float
    gain: float
    flash: float
    priority: int
    color_map: str
    variance: bool
    inverted: bool
    outlined: bool
    dynamic_range: float
    brightness: float
    gamma: float
    decorrelation: float
    box: tuple[float, float, float, float]

    @property
    def nyquist(self) -> float:
        """Largest unambiguous velocity [m/s]."""
        return SOUND_SPEED * self.repetition_rate / (4 * self.doppler_frequency)


def random_settings(rng: np.random.Generator, kind: str, coverage: float) -> FlowSettings:
    """Draw settings that suit a scene and the share of the picture that colour shall cover.

    Parameters
    ----------
    rng : Generator
    kind : str
        The scene.
    coverage : float
        From 0 to 1; large shares need large boxes.

    Returns
    -------
    FlowSettings
    """
    heart = kind == "chamber"
    view = "sector" if rng.random() < (0.8 if heart else 0.25) else "linear"
    frequency = rng.uniform(2.5e6, 5e6) if heart else rng.uniform(4e6, 12e6)
    axial, cycles = rng.uniform(0.6, 1.15), rng.uniform(1.3, 2.2)
    # Two-way pulse of n cycles: amplitude falls to half over about n wavelengths / 2 = 2.355 standard deviations.
    pixel = cycles * SOUND_SPEED / frequency / 2 / (2.355 * axial)
    doppler = frequency * rng.uniform(0.5, 0.8)
    lateral = rng.uniform(0.9, 2.4)
    nyquist = rng.uniform(0.3, 0.9) if heart else rng.uniform(0.08, 0.6)
    kind_of_map = rng.random()
    power = kind_of_map < 0.1 and not heart
    dynamic_range, brightness = rng.uniform(42, 62), rng.uniform(0.28, 0.55)
    black = -dynamic_range * brightness
    steering = np.deg2rad(rng.choice([-20.0, -15.0, -10.0, 0.0, 10.0, 15.0, 20.0])) if view == "linear" else 0.0
    return FlowSettings(
        view=view,
        pixel=pixel,
        frame_rate=rng.uniform(12, 40) if heart else rng.uniform(8, 25),
        heart_rate=rng.uniform(0.9, 2.4),
        bmode_frequency=frequency,
        doppler_frequency=doppler,
        repetition_rate=4 * doppler * nyquist / SOUND_SPEED,
        n_shots=int(rng.integers(8, 15)),
        steering=float(steering),
        bmode_axial=axial,
        bmode_lateral=lateral,
        doppler_axial=min(axial * rng.uniform(1.3, 2.5), 2.2),
        doppler_lateral=min(lateral * rng.uniform(1.1, 1.7), 3.2),
        skirt=rng.uniform(0.0, 0.03),
        looks=int(rng.choice([1, 2, 3, 5], p=[0.3, 0.25, 0.25, 0.2])),
        bmode_persistence=rng.uniform(0.0, 0.6),
        peak=rng.uniform(0.4, 1.4),
        blood_level=-rng.uniform(25, 38),
        noise_level=-rng.uniform(50, 60),
        # Users set the gain so that most of a lumen is black.
        bmode_blood_level=min(black + rng.choice([rng.uniform(-16, -3), rng.uniform(-3, 4)], p=[0.85, 0.15]), -14.0),
        bmode_noise_level=black - rng.uniform(8, 22),
        haze_level=black - rng.uniform(5, 20),
        wall_filter=int(rng.integers(0, 3)),
        average=int(rng.integers(3, 7)),
        persistence=rng.choice([0.0, rng.uniform(0.1, 0.6)]),
        min_velocity=rng.uniform(0.03, 0.15),
        gain=rng.uniform(6, 12),
        flash=rng.choice([0.0, rng.uniform(0.05, 0.4)], p=[0.85, 0.15]),
        priority=int(rng.integers(110, 256)),
        color_map=str(rng.choice(POWER_MAPS if power else VELOCITY_MAPS)),
        variance=bool(not power and rng.random() < 0.15),
        inverted=bool(rng.random() < 0.25),
        outlined=bool(rng.random() < 0.5),
        dynamic_range=dynamic_range,
        brightness=brightness,
        gamma=rng.uniform(0.85, 1.25),
        decorrelation=rng.uniform(0.0, 0.15),
        box=_box(rng, coverage),
    )


def hazy(rng: np.random.Generator, settings: FlowSettings) -> FlowSettings:
    """Return settings with brighter lumens: more reverberation and slow blood, or more gain, than users like."""
    black = -settings.dynamic_range * settings.brightness
    return replace(
        settings,
        haze_level=min(black + rng.uniform(-5, 6), -8.0),
        bmode_blood_level=min(black + rng.uniform(-10, 5), -8.0),
    )


def _box(rng: np.random.Generator, coverage: float) -> tuple[float, float, float, float]:
    """A box that holds the wanted share of the picture and some room around it."""
    area = rng.uniform(min(max(1.7 * coverage, 0.22), 0.9), 0.95)
    stretch = rng.uniform(0.75, 1.3)
    height, width = min(np.sqrt(area) * stretch, 0.97), min(np.sqrt(area) / stretch, 0.97)
    top, left = (1 - height) * rng.uniform(0.2, 0.8), (1 - width) * rng.uniform(0.1, 0.9)
    return top, top + height, left, left + width
