"""From firing times to a named wave: what a file tells by delays, seen as plane, focused, diverging or single."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit

_TOLERANCE = 1e-9  # s: 1/200 of a period at 5 MHz, below what delays are quantised to


def wave_of(
    delays: NDArray[np.float64],
    weights: NDArray[np.float64],
    probe: Probe,
    sound_speed: float,
    focus: NDArray[np.float64] | None = None,
) -> tuple[Transmit, float]:
    """The transmit that fires elements at ``delays``, and how much later its time zero is than theirs [s].

    Parameters
    ----------
    delays : (n_elements,) [s]
        Firing times; only those with a weight count.
    weights : (n_elements,)
        Apodization.
    probe : Probe
    sound_speed : float [m/s]
        That the delays were computed with.
    focus : (3,) [m], optional
        Where the file says the wave converges or comes from; believed only if the delays agree within 1 ns.
    """
    fires = np.flatnonzero(weights)
    if len(fires) == 1 and weights[fires[0]] > 0:
        return Transmit.single(int(fires[0])), float(delays[fires[0]])
    apodization = None if (weights == 1).all() else weights
    if len(fires) > 1:
        candidates: list[dict[str, Any]] = []
        if focus is not None and np.isfinite(focus).all():
            normal = probe.normals[fires].mean(axis=0)
            ahead = (focus - probe.positions[fires].mean(axis=0)) @ normal
            candidates.append({"kind": "focused" if ahead > 0 else "diverging", "focus": focus})
        direction = _direction(probe.positions[fires], delays[fires] * sound_speed)
        if direction is not None:
            candidates.append({"kind": "plane", "direction": direction})
        for candidate in candidates:
            transmit = Transmit(apodization=apodization, **candidate)
            late = delays[fires] - transmit.firing_times(probe, sound_speed)[fires]
            if np.ptp(late) < 2 * _TOLERANCE:
                return transmit, float(late.mean())
    times = np.where(weights != 0, delays, 0.0)
    return Transmit.free(times, apodization=apodization), 0.0


def _direction(positions: NDArray[np.float64], paths: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Unit vector d, d_z > 0, for which ``paths`` = positions . d + const as nearly as can be; None if undetermined.

    Least squares on the sphere (Gauss-Newton along its tangents): curved arrays are so flat that a free d_z is noise.
    """
    centred, paths = positions - positions.mean(axis=0), paths - paths.mean()
    across = [axis for axis in (0, 1) if np.abs(centred[:, axis]).max() > 1e-6]
    if not across or not np.isfinite(paths).all():
        return None
    direction = np.zeros(3)
    direction[across] = np.linalg.lstsq(centred[:, across], paths, rcond=None)[0]
    direction *= min(1.0, 0.999 / max(float(np.linalg.norm(direction)), 1e-12))
    direction[2] = np.sqrt(1 - direction @ direction)
    for _ in range(6):
        tangents = np.eye(3)[across] - direction[across, None] * direction
        step = np.linalg.lstsq(centred @ tangents.T, paths - centred @ direction, rcond=None)[0]
        direction = direction + step @ tangents
        direction /= np.linalg.norm(direction)
    return direction


def pulse_peak(pulse: NDArray[np.float64], sampling_frequency: float) -> float:
    """When the envelope of a pulse is largest, counted from its first sample [s]."""
    spectrum = np.fft.fft(pulse)
    spectrum[(len(pulse) + 1) // 2 :] = 0  # the analytic signal has positive frequencies only
    return float(np.abs(np.fft.ifft(spectrum)).argmax()) / sampling_frequency
