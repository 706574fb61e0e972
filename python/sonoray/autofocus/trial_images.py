"""Images of the same echoes at trial speeds, and what tells a right speed from a wrong one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..beamforming.arrivals import Arrivals, arrivals
from ..beamforming.das import Beamformer
from ..beamforming.default_grids import default_grid
from ..errors import ArgumentError
from ..media.grids import SectorGrid

_WORK = 4e6  # interpolations for one trial speed
_REGIONS = (8, 3)  # of the image in depth and width, for how much the estimate depends on each


_NEAR_FOCUS = 0.3  # of the focal depth, which moves by twice the relative range of speeds
_NODES = 0.5 - 0.5 * np.cos(np.pi * (np.arange(5) + 0.5) / 5)  # Chebyshev's, in the range of trial speeds


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
    limits : (low, high) [m/s]
        Of the trial speeds; ``depth`` holds for the middle. Times of transmits are interpolated between a few speeds.
    depth : (first, last) [m] or None
    f_number : float
    """

    def __init__(self, iq: ChannelData, limits: tuple[float, float], depth: Any, f_number: float) -> None:
        sound_speed = float(np.sqrt(limits[0] * limits[1]))
        self._iq = iq
        self._f_number = f_number
        first, last = _depth_range(iq, sound_speed, depth, f_number)
        wavelength = sound_speed / iq.demodulation_frequency
        self._start, self._direction = _lines(iq, max(0.35 * wavelength, 1e-5))
        per_point = iq.n_tx * iq.n_rx * iq.n_frames
        n_most = int(_WORK / per_point / len(self._start))
        n = int(np.clip((last - first) / (0.25 * wavelength), 4 * _REGIONS[0], max(n_most, 4 * _REGIONS[0])))
        self._time = 2 * np.linspace(first, last, n) / sound_speed
        self._trials = limits[0] + (limits[1] - limits[0]) * _NODES
        paths = [self._arrivals(float(c)) for c in self._trials]
        self._tx_times = np.array([p.tx_time for p in paths])
        self._tx_weight = self._weight(paths[len(paths) // 2])

    def _points(self, sound_speed: float) -> "_Points":
        depth = 0.5 * sound_speed * self._time
        return _Points(self._start[:, None] + depth[:, None] * self._direction[:, None])

    def _arrivals(self, sound_speed: float) -> Arrivals:
        iq = self._iq
        points = self._points(sound_speed)
        return arrivals(iq.transmits, iq.probe, points, sound_speed, sequence_sound_speed=iq.sound_speed)

    def _weight(self, paths: Arrivals) -> NDArray[np.float32] | None:
        """Zero outside the beams, and around focal points, where times change their sign with the trial speed."""
        weight = paths.tx_weight
        if weight is None:
            return None
        weight = weight.copy()
        positions = self._iq.probe.positions
        for w, transmit in zip(weight, self._iq.transmits, strict=True):
            if transmit.kind == "focused":
                assert transmit.focus is not None
                fires = transmit.weights(self._iq.probe) != 0
                range_ = np.linalg.norm(transmit.focus - positions[fires].mean(axis=0))
                w[:, np.abs(0.5 * paths.sound_speed * self._time / range_ - 1) < _NEAR_FOCUS] = 0
        return weight

    def __call__(self, sound_speed: float) -> NDArray[np.complex64]:
        """Images of every transmit, (n_frames, n_tx, n_lines, n_times)."""
        tx_time = np.tensordot(_lagrange(self._trials, sound_speed), self._tx_times, 1)
        paths = Arrivals(self._points(sound_speed), self._iq.probe, tx_time, self._tx_weight, sound_speed)
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


def _lagrange(nodes: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """Weights of values at ``nodes`` in the polynomial through them at ``at``."""
    others = [np.delete(nodes, i) for i in range(len(nodes))]
    return np.array([np.prod((at - o) / (node - o)) for node, o in zip(nodes, others, strict=True)])


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
