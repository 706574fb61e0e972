"""Images of the same echoes at trial speeds, and what tells a right speed from a wrong one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..beamforming.arrivals import arrivals
from ..beamforming.das import Beamformer
from ..beamforming.default_grids import default_grid
from ..errors import ArgumentError
from ..media.grids import SectorGrid

_WORK = 4e6  # interpolations for one trial speed
_REGIONS = (8, 3)  # of the image in depth and width, for how much the estimate depends on each


class _Points:
    """Image points as an array."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self._points = points
        self.shape = points.shape[:-1]

    def points(self) -> NDArray[np.float64]:
        return self._points


class TrialImages:
    """Lines at fixed echo times: at trial speed c the sample of time t lies at the depth c t / 2.

    Parameters
    ----------
    iq : ChannelData
    sound_speed : float [m/s]
        In the middle of the trials, for which ``depth`` holds.
    depth : (first, last) [m] or None
    f_number : float
    """

    def __init__(self, iq: ChannelData, sound_speed: float, depth: Any, f_number: float) -> None:
        self._iq = iq
        self._f_number = f_number
        first, last = _depth_range(iq, sound_speed, depth, f_number)
        wavelength = sound_speed / iq.demodulation_frequency
        self._start, self._direction = _lines(iq, max(0.35 * wavelength, 1e-5))
        per_point = iq.n_tx * iq.n_rx * iq.n_frames
        n_most = int(_WORK / per_point / len(self._start))
        n = int(np.clip((last - first) / (0.25 * wavelength), 4 * _REGIONS[0], max(n_most, 4 * _REGIONS[0])))
        self._time = 2 * np.linspace(first, last, n) / sound_speed

    def __call__(self, sound_speed: float) -> NDArray[np.complex64]:
        """Images of every transmit, (n_frames, n_tx, n_lines, n_times)."""
        depth = 0.5 * sound_speed * self._time
        points = self._start[:, None] + depth[:, None] * self._direction[:, None]
        paths = arrivals(
            self._iq.transmits,
            self._iq.probe,
            _Points(points),
            sound_speed,
            sequence_sound_speed=self._iq.sound_speed,
        )
        beamformer = Beamformer(paths, self._iq, f_number=self._f_number, compounding="none", interpolation="cubic")
        return np.asarray(beamformer(self._iq.samples))

    def coherence(self, speeds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Correlation between the images of different transmits, relative to their amplitudes, of every region."""
        curves = np.empty((_REGIONS[0] * _REGIONS[1], len(speeds)))
        for i, c in enumerate(speeds):
            images = self(float(c))
            own = np.sum(np.abs(images) ** 2, axis=1)
            agree = _sums(np.abs(images.sum(axis=1)) ** 2 - own)
            curves[:, i] = agree / np.maximum(_sums(np.abs(images).sum(axis=1) ** 2 - own), 1e-30)
        return curves

    def sharpness(self, speeds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean square over squared mean of the intensity along each row, of every range of depths."""
        curves = []
        for c in speeds:
            intensity = np.abs(self(float(c)).sum(axis=1)) ** 2  # (frames, lines, times)
            mean = intensity.mean(axis=1)
            row = (intensity**2).mean(axis=1) / np.maximum(mean, 1e-12 * intensity.max()) ** 2
            curves.append([part.mean() for part in np.array_split(row.mean(axis=0), 2 * _REGIONS[0])])
        return np.asarray(curves).T


def _sums(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of (n_frames, n_lines, n_times) over each region."""
    rows = np.array_split(values, _REGIONS[0], axis=2)
    return np.array([block.sum(dtype=float) for row in rows for block in np.array_split(row, _REGIONS[1], axis=1)])


def _depth_range(iq: ChannelData, c: float, depth: Any, f_number: float) -> tuple[float, float]:
    aperture = iq.probe.aperture
    # The outermost element of the aperture hears a point later than the middle does.
    farthest = 0.5 * (1 + np.hypot(1, 0.5 / f_number))
    fired = max(np.nanmax(np.abs(t.firing_times(iq.probe, iq.sound_speed))) for t in iq.transmits)
    end = 0.5 * c * (iq.end_time - (fired if iq.n_tx > 1 or iq.transmits[0].kind != "focused" else 0.0)) / farthest
    first, last = (0.1 * aperture, min(2 * aperture, float(end))) if depth is None else depth
    first = scalar("depth", first, 0.0, 2.0, "m")
    last = scalar("depth", last, 0.0, 2.0, "m")
    first = max(first, 0.5 * c * float(iq.start_time.min()), 4 * c / iq.demodulation_frequency)
    if last - first < 8 * c / iq.demodulation_frequency:
        raise ArgumentError(
            f"channel_data: expected echoes from at least eight wavelengths of depth, got {first:.3g} to {last:.3g} m"
        )
    return first, last


def _lines(iq: ChannelData, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the image's lines start and their directions, (n_lines, 3) each."""
    probe = iq.probe
    grid = default_grid(iq) if probe.kind in ("phased", "curvilinear") else None
    if isinstance(grid, SectorGrid):
        angle = np.linspace(0.8 * grid.angles[0], 0.8 * grid.angles[-1], 64)
        direction = np.stack([np.sin(angle), np.zeros(64), np.cos(angle)], axis=1)
        return np.asarray(grid.apex) + float(grid.ranges[0]) * direction, direction
    if probe.kind in ("ring", "bowl"):
        raise ArgumentError(f"channel_data: expected a probe that looks one way, got a {probe.kind!r}")
    x, y, z = probe.positions.T
    half = 0.42 * float(np.ptp(x))
    n = int(np.clip(2 * half / step, 24, 128))
    at = 0.5 * (x.max() + x.min()) + np.linspace(-half, half, n)
    start = np.stack([at, np.full(n, y.mean()), np.full(n, z.max())], axis=1)
    return start, np.tile([0.0, 0.0, 1.0], (n, 1))
