"""Moveouts: how much later than at a nominal speed echoes arrive as transmitter and receiver move apart.

What a network reads instead of raw traces. At a patch of tissue, signals focused by neighbouring pairs of
sub-apertures with a common midpoint differ only by the slope of the travel-time error along the offset; these slopes
are binned by the angles under which the patch sees midpoint and offset, so that they mean the same at every depth.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, scalar
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.probes import Probe
from ..errors import ArgumentError
from ..inversion.focus_criteria import FocusCriterion
from ..media.grids import Grid

_MOST_TRUST = 60.0
_DOUBT, _SCALE, _TRUST = 3.0, 60.0, 4.0  # bring features to the order of one


@dataclass(frozen=True)
class MoveoutSettings:
    """Where moveouts are taken and how they are binned.

    Parameters
    ----------
    sound_speed : float [m/s]
        Nominal.
    half_width, depth : float [m]
        Of the map, x from -half_width to half_width, z from 0 to depth.
    shape : (int, int)
        Of the feature grid (lateral, depth); the map has twice as many columns. Feature columns lie between pairs of
        map columns, rows on the map's.
    reach, first_depth, last_depth : float [m]
        Features are taken at abs(x) <= reach and first_depth <= z <= last_depth, and zero elsewhere.
    sub_aperture : int
        Elements, odd.
    f_number : float
        Elements with abs(x - element) <= z / (2 f_number) take part.
    kernel : (int, int)
        Points of a patch (lateral, depth).
    kernel_spacing : (float, float)
        Their distances in nominal wavelengths.
    midpoints, offsets : tuple of float
        Edges of the bins: (midpoint - x) / z and half offset / z.
    min_correlation : float
        Pairs that correlate less are left out.
    """

    sound_speed: float = 1530.0
    half_width: float = 18e-3
    depth: float = 42e-3
    shape: tuple[int, int] = (16, 32)
    reach: float = 15.2e-3
    first_depth: float = 2.5e-3
    last_depth: float = 41e-3
    sub_aperture: int = 9
    f_number: float = 0.5
    kernel: tuple[int, int] = (3, 3)
    kernel_spacing: tuple[float, float] = (0.75, 0.6)
    midpoints: tuple[float, ...] = (-0.55, -0.34, -0.18, -0.06, 0.06, 0.18, 0.34, 0.55)
    offsets: tuple[float, ...] = (0.0, 0.08, 0.16, 0.24, 0.34, 0.46, 0.6, 0.8)
    min_correlation: float = 0.5

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "sound_speed", scalar("sound_speed", self.sound_speed, 300.0, 12000.0, "m/s"))
        for name in ("half_width", "depth", "reach", "first_depth", "last_depth"):
            set_(self, name, scalar(name, getattr(self, name), 1e-4, 1.0, "m"))
        set_(self, "sub_aperture", count("sub_aperture", self.sub_aperture, 1, 1001))
        set_(self, "f_number", scalar("f_number", self.f_number, 0.05, 100.0, "(ratio)"))
        set_(self, "min_correlation", scalar("min_correlation", self.min_correlation, 0.0, 1.0, "(ratio)"))
        for name in ("shape", "kernel"):
            set_(self, name, tuple(count(name, n, 1, 4096) for n in getattr(self, name)))
        for name in ("kernel_spacing", "midpoints", "offsets"):
            values = array(name, getattr(self, name), (None,), low=-100.0, high=100.0, unit="(ratio)")
            set_(self, name, tuple(float(v) for v in values))
            if name != "kernel_spacing" and (len(values) < 2 or (np.diff(values) <= 0).any()):
                raise ArgumentError(f"{name}: expected rising edges of bins, got {list(values)}")
        for name in ("shape", "kernel", "kernel_spacing"):
            if len(getattr(self, name)) != 2:
                raise ArgumentError(f"{name}: expected two numbers, got {len(getattr(self, name))}")

    @property
    def n_bins(self) -> int:
        """Bins of midpoint and offset."""
        return (len(self.midpoints) - 1) * (len(self.offsets) - 1)

    @property
    def grid(self) -> Grid:
        """Of the sound-speed map."""
        n_x, n_z = 2 * self.shape[0], self.shape[1]
        spacing = (2 * self.half_width / (n_x - 1), self.depth / (n_z - 1))
        return Grid((n_x, n_z), spacing, (-self.half_width, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, for a `ModelSpec`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> "MoveoutSettings":
        """Rebuild from `to_dict`.

        Raises
        ------
        ArgumentError
            Missing or unknown names, values out of range.
        """
        names = set(cls.__dataclass_fields__)
        if not isinstance(values, dict) or set(values) != names:
            raise ArgumentError(f"settings: expected {sorted(names)}, got {values!r:.200}")
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**given)


class Moveouts:
    """Plan that turns multistatic I/Q of a linear array into moveout features.

    Parameters
    ----------
    probe : Probe
        Elements in a row along x at z = 0, evenly spaced.
    center_frequency : float [Hz]
        Sets the wavelength that spaces the points of a patch.
    settings : MoveoutSettings, optional
    device : {"cpu", "cuda", "cuda:N"}
        Where echoes are correlated.

    Raises
    ------
    ArgumentError
        Not a straight, evenly spaced array; fewer elements than two sub-apertures need.
    """

    def __init__(
        self, probe: Probe, center_frequency: float, settings: MoveoutSettings | None = None, *, device: str = "cpu"
    ) -> None:
        self.probe, self.device = probe, device
        self.settings = s = MoveoutSettings() if settings is None else settings
        x = _line_of(probe)
        n = len(x) - s.sub_aperture
        if n < 2:
            raise ArgumentError(f"probe: expected at least {s.sub_aperture + 2} elements, got {len(x)}")
        self._pitch = float(x[1] - x[0])
        self.patch_centers = self._patch_centers()  # (n_patches, 2) [m]
        wavelength = s.sound_speed / scalar("center_frequency", center_frequency, 2e4, 1e8, "Hz")
        steps = [(np.arange(k) - (k - 1) / 2) * h * wavelength for k, h in zip(s.kernel, s.kernel_spacing, strict=True)]
        around = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 2)
        points = self.patch_centers[:, None] + around
        self._patches = np.insert(points, 1, 0.0, axis=-1)
        flat = points.reshape(-1, 2)
        distance = np.hypot(flat[None, :, 0] - x[:, None], flat[None, :, 1])
        self._times = np.ascontiguousarray(distance / s.sound_speed, np.float32)
        self._bin(np.convolve(x, np.full(s.sub_aperture, 1.0 / s.sub_aperture), "valid"), n)

    def _patch_centers(self) -> NDArray[np.float64]:
        """(n_patches, 2) positions [m], and where they lie in the feature grid."""
        s, grid = self.settings, self.settings.grid
        between = 0.5 * (grid.x[::2] + grid.x[1::2])
        self._columns = np.flatnonzero(np.abs(between) <= s.reach)
        self._rows = np.flatnonzero((grid.z > s.first_depth) & (grid.z <= s.last_depth))
        if not len(self._columns) or not len(self._rows):
            raise ArgumentError(
                "settings: expected features somewhere in the map, got a reach or depths that hold none"
            )
        mesh = np.meshgrid(between[self._columns], grid.z[self._rows], indexing="ij")
        return np.stack(mesh, axis=-1).reshape(-1, 2)

    def _bin(self, centers: NDArray[np.float64], n: int) -> None:
        """Which correlations count, in which bin, with which sign."""
        s = self.settings
        first, second = (k.ravel() for k in np.meshgrid(np.arange(n), np.arange(1, n + 1), indexing="ij"))
        middle = 0.5 * (centers[first] + centers[second])
        half = 0.5 * (centers[second] - centers[first] - self._pitch)  # of the mean of both pairs
        depth = self.patch_centers[:, 1:]
        offset = half / depth
        row = np.digitize(np.abs(offset), s.offsets) - 1
        column = np.digitize((middle - self.patch_centers[:, :1]) / depth, s.midpoints) - 1
        n_offsets, n_midpoints = len(s.offsets) - 1, len(s.midpoints) - 1
        used = (row >= 0) & (row < n_offsets) & (column >= 0) & (column < n_midpoints) & (offset != 0)
        self._used = np.flatnonzero(used)
        patch = np.repeat(np.arange(len(depth)), used.sum(axis=1))
        self._bins = patch * s.n_bins + (row * n_midpoints + column)[used]
        self._sign = np.sign(np.broadcast_to(half, used.shape)[used]).astype(np.float32)
        pair = self._used % len(first)
        self._pairs = (first[pair], second[pair])
        self._count = np.maximum(np.bincount(self._bins, minlength=len(depth) * s.n_bins), 1)

    @property
    def grid(self) -> Grid:
        """Of the sound-speed map that belongs to the features."""
        return self.settings.grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """(2 n_bins, lateral, depth)."""
        return (2 * self.settings.n_bins, *self.settings.shape)

    def __call__(self, channel_data: ChannelData) -> NDArray[np.float32]:
        """Features of the first frame.

        Parameters
        ----------
        channel_data : ChannelData
            I/Q; every element fires once, in order, alone.

        Returns
        -------
        (2 n_bins, lateral, depth) float32
            First the slopes sound_speed d(error of time)/d(half offset), damped where pairs correlate little and
            scaled to the order of one; then how well they correlate, 0 to about 1.

        Raises
        ------
        ArgumentError
            RF, another probe or sequence.
        """
        return self.features_of(*self.measure(channel_data))

    def measure(self, channel_data: ChannelData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Slopes and how far to trust them, (n_bins, n_columns, n_rows) each; arguments and errors as for a call.

        A correlation r counts with weight r^2 / (1 - r^2), the inverse of its phase's variance; trust is its mean.
        """
        data = _multistatic(channel_data, self.probe)
        s = self.settings
        criterion = FocusCriterion(
            data, self._patches, sub_aperture=s.sub_aperture, f_number=s.f_number, device=self.device
        )
        found = np.asarray(criterion.correlations(self._times, self._times).correlation)
        values = found.reshape(-1)[self._used]
        power = np.minimum((values.real**2 + values.imag**2), 0.9999)
        weight = np.where(power < s.min_correlation**2, 0.0, power / (1.02 - power))
        size = len(self._count)
        total = np.bincount(self._bins, weight, size)
        phase = np.bincount(self._bins, weight * np.arctan2(values.imag, values.real) * self._sign, size)
        turns = 2 * np.pi * mean_frequency(data)
        slope = phase / (total + 1e-9) / (turns * self._pitch) * s.sound_speed
        mean = np.minimum(total / self._count, _MOST_TRUST)
        return self.arranged(slope), self.arranged(mean)

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Of every correlation that counts: its bin (patch after patch), the two sub-apertures, the offset's sign."""
        return (self._bins, *self._pairs, self._sign)

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of all bins, patch after patch, as (n_bins, n_columns, n_rows)."""
        return np.moveaxis(values.reshape(len(self._columns), len(self._rows), self.settings.n_bins), 2, 0)

    def features_of(self, slope: NDArray[Any], trust: NDArray[Any]) -> NDArray[np.float32]:
        """Features from slopes and how far to trust them, (..., n_bins, n_columns, n_rows) each."""
        lead, n = slope.shape[:-3], self.settings.n_bins
        result = np.zeros((*lead, *self.shape), np.float32)
        columns, rows = slice(self._columns[0], self._columns[-1] + 1), slice(self._rows[0], self._rows[-1] + 1)
        result[..., :n, columns, rows] = slope * (trust / (trust + _DOUBT)) * _SCALE
        result[..., n:, columns, rows] = np.log1p(trust) / _TRUST
        return result


def mirrored(features: NDArray[Any], n_midpoints: int) -> NDArray[Any]:
    """Features (..., 2 n_bins, lateral, depth) of the mirror image: left and right exchanged."""
    lead, (channels, lateral, depth) = features.shape[:-3], features.shape[-3:]
    split = features.reshape(*lead, channels // n_midpoints, n_midpoints, lateral, depth)
    return np.ascontiguousarray(split[..., ::-1, ::-1, :]).reshape(features.shape)


def mean_frequency(channel_data: ChannelData) -> float:
    """Power-weighted mean frequency of I/Q echoes [Hz], from the correlation of each sample with the next one.

    A few transmits tell it.
    """
    some = channel_data.samples[0, :: max(1, channel_data.n_tx // 8)]
    turned = complex(np.vdot(some[..., :-1], some[..., 1:]))
    return channel_data.demodulation_frequency + float(np.angle(turned)) / (2 * np.pi) * channel_data.sampling_frequency


def _line_of(probe: Probe) -> NDArray[np.float64]:
    """Lateral positions of a straight, evenly spaced array at z = 0."""
    x = probe.positions[:, 0]
    step = np.diff(x)
    flat = np.abs(probe.positions[:, 1:]).max() < 1e-6
    if len(x) < 3 or not flat or (step <= 0).any() or np.ptp(step) > 1e-3 * step.mean():
        raise ArgumentError(f"probe: expected evenly spaced elements along x at y = z = 0, got {probe}")
    return x


def _multistatic(channel_data: ChannelData, probe: Probe) -> ChannelData:
    """The first frame with reciprocal pairs averaged."""
    data = require_channel_data(channel_data)
    if not data.is_iq:
        raise ArgumentError("channel_data: expected I/Q, got RF; demodulate() it")
    if not np.allclose(data.probe.positions, probe.positions, atol=1e-6):
        raise ArgumentError(f"channel_data: expected data of {probe}, got {data.probe}")
    in_order = [t.kind == "element" and t.element == i for i, t in enumerate(data.transmits)]
    if len(in_order) != probe.n_elements or not all(in_order):
        raise ArgumentError(
            f"channel_data: expected each of {probe.n_elements} elements to fire once, in order (full synthetic "
            f"aperture), got {data.n_tx} transmits of kind {data.transmits[0].kind!r}; decode the sequence first"
        )
    if np.ptp(data.start_time) > 1e-9:
        raise ArgumentError("channel_data: expected one start time for all transmits, got several")
    first = data.samples[:1]
    return data.with_(samples=0.5 * (first + first.swapaxes(1, 2)))
