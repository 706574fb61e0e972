"""What a peer is told of a recording, and the transmit times that it takes."""

import numpy as np

from sonoray.beamforming.arrivals import Arrivals


def problem(data, grid, **more):
    """What the peers need to know."""
    angles = np.array([np.arctan2(t.direction[0], t.direction[2]) for t in data.transmits])
    elements = data.probe.positions[:, 0]
    return {
        "signals": data.samples[0].transpose(0, 2, 1), "x": grid.x, "z": grid.z, "elements": elements,
        "pitch": data.probe.pitch, "angles": angles, "delays": np.sin(angles)[:, None] * elements / data.sound_speed,
        "fc": data.demodulation_frequency or data.center_frequency, "fs": data.sampling_frequency,
        "c": data.sound_speed, "start_time": data.start_time[0], **more,
    }  # fmt: skip


def sampled_aperture(data, grid, n_each=4):
    """Transmit times as first arrival over ``n_each`` points for each element: PyMUST takes 4, zea and ultraspy 1."""
    n = data.probe.n_elements
    x = np.interp(np.linspace(0, n - 1, n_each * n), np.arange(n), data.probe.positions[:, 0])
    p = grid.points()
    times = []
    for t in data.transmits:
        path = np.hypot(x - p[..., :1], p[..., 2:]) + x * t.direction[0]
        times.append(path.min(axis=-1) / data.sound_speed)
    return Arrivals(grid, data.probe, np.array(times, np.float32), None, data.sound_speed)


def distance(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)
