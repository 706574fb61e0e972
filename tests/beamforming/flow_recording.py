"""Channel data of flow with known answers: blood in a layer, tissue ten times stronger around it, noise."""

import numpy as np

import sonoray

F0, FS, C0, RATE = 5e6, 10e6, 1540.0, 4e3
LAYER = (9.5e-3, 12.5e-3)
LIMIT = sonoray.nyquist_velocity(F0, RATE, C0)


def profile(z):
    """Of parabolic flow at depths z: 1 in the middle, 0 at the walls and beyond."""
    middle, half = 0.5 * (LAYER[0] + LAYER[1]), 0.5 * (LAYER[1] - LAYER[0])
    return np.maximum(1 - ((z - middle) / half) ** 2, 0)


def flow_recording(
    velocity, angles=(0.0,), n_frames=10, tissue=10.0, n_samples=220, parabolic=False, probe="linear", transmits=None
):
    """I/Q of a 24-element probe; blood moves by `velocity` (x, z) [m/s], z away from the probe.

    It is that everywhere in the layer, or where ``parabolic`` that of the middle, falling to 0 at the walls. Focused
    ``transmits`` take the place of plane waves: before the focus their wave arrives last, behind it first.
    """
    rng = np.random.default_rng(4)
    probe = {
        "linear": sonoray.Probe.linear(24, 0.3e-3, center_frequency=F0),
        "phased": sonoray.Probe.phased(24, 0.3e-3, center_frequency=F0),
        "curvilinear": sonoray.Probe.curvilinear(24, 0.3e-3, 20e-3, center_frequency=F0),
    }[probe]
    n = 120
    x, z = rng.uniform(-5e-3, 5e-3, n), rng.uniform(6e-3, 15.5e-3, n)
    blood = (z > LAYER[0]) & (z < LAYER[1])
    share = np.where(blood, profile(z) if parabolic else 1.0, 0.0)
    strength = rng.standard_normal(n) * np.where(blood, 1.0, tissue)
    t = 5e-6 + np.arange(n_samples) / FS
    waves = transmits or [sonoray.Transmit.plane(angle) for angle in angles]
    noise = rng.standard_normal((2, n_frames, len(waves), 24, n_samples))
    samples = (0.2 * (noise[0] + 1j * noise[1])).astype("c8")
    for k in range(n_frames):
        px = x + share * velocity[0] * k / RATE
        pz = z + share * velocity[1] * k / RATE
        for a, wave in enumerate(waves):
            if wave.direction is not None:
                there = (px * wave.direction[0] + pz * wave.direction[2]) / C0
            else:
                fx, fz = wave.focus[0], wave.focus[2]
                there = (np.hypot(fx, fz) + np.sign(pz - fz) * np.hypot(px - fx, pz - fz)) / C0
            arrival = (
                there[:, None] + np.hypot(px[:, None] - probe.positions[:, 0], pz[:, None] - probe.positions[:, 2]) / C0
            )
            lag = t - arrival[..., None]
            pulse = np.exp(-((lag / 0.25e-6) ** 2))
            weight = strength[:, None] * np.exp(-2j * np.pi * F0 * arrival)
            samples[k, a] += np.einsum("se,set->et", weight, pulse)
    return sonoray.ChannelData(
        samples, probe, waves, FS, demodulation_frequency=F0, start_time=5e-6, sound_speed=C0, frame_rate=RATE
    )
