"""Sound speed from one plane wave on speckle, by how echoes correlate along the aperture.

Scatterers everywhere, lit by one plane wave, give Gaussian signals of which receive focusing shows nothing: no
criterion of sharpness or coherence has its maximum at the true speed. But at time t echoes from direction theta come
from the distance t / (1/c + p sin theta + q cos theta), and the strip that the wave lights is as wide as the aperture:
the range of directions at a time, and with it the autocorrelation along the aperture, depends on c^2 t.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # loads fft and ndimage when they are first used
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError

_PERIODS = 13  # of the centre frequency in a window
_DEPTHS = (0.27, 1.5)  # of the aperture
_MOST_WINDOWS = 16
_MOST_FREQUENCIES = 12
_BAND_LEVEL = 0.03  # of the largest power
_ANGLES = np.deg2rad(np.linspace(-88.0, 88.0, 141))
_EXPONENTS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])  # of the cosine by which sensitivity and scattering fall
_LIKELY = (0.5, 0.2)  # exponent in full-wave simulations of scatterers in the density, and how far it may differ
_NOISE = np.array([3e-3, 3e-2, 3e-1])  # white part of the power along the aperture


@dataclass(frozen=True)
class Autocorrelation:
    """Power along the aperture, (n_windows, 2 n_elements, n_frequencies), and what it takes to predict it."""

    power: NDArray[np.float64]
    times: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    positions: NDArray[np.float64]
    width: float
    slope: float  # [s/m] of the firing times
    light: NDArray[np.float64]  # (x, z) intensity of the transmitted wave
    light_axes: tuple[NDArray[np.float64], NDArray[np.float64]]
    light_speed: float

    @classmethod
    def of(cls, iq: ChannelData, tx: int) -> "Autocorrelation":
        """Short-time spectra of one plane wave's I/Q, summed over frames."""
        x = _uniform_positions(iq)
        transmit = iq.transmits[tx]
        if transmit.kind != "plane" or np.count_nonzero(transmit.weights(iq.probe)) < iq.n_rx:
            raise ArgumentError(
                f"method: 'aperture_autocorrelation' expects plane waves of all elements, got a {transmit.kind!r} one"
            )
        fired = transmit.firing_times(iq.probe, iq.sound_speed)
        slope = float((fired[-1] - fired[0]) / (x[-1] - x[0]))
        fs, f0 = iq.sampling_frequency, iq.demodulation_frequency
        n = max(8, round(_PERIODS / f0 * fs))
        time = iq.times(tx) - fired.mean()
        aperture = float(np.ptp(x))
        low, high = (2 * d * aperture / iq.sound_speed for d in _DEPTHS)
        starts = [i for i in range(0, iq.n_samples - n + 1, n // 2) if time[i] >= low and time[i + n - 1] <= high]
        if len(starts) < 4:
            raise ArgumentError("channel_data: expected a record over at least four windows of speckle, got less")
        starts = starts[:: -(-len(starts) // _MOST_WINDOWS)]
        taper = np.sin(np.pi * (np.arange(n) + 0.5) / n)
        power: NDArray[np.float64] = np.zeros((len(starts), 2 * len(x), n))
        for frame in range(iq.n_frames):
            parts = np.stack([iq.samples[frame, tx, :, i : i + n] * taper for i in starts])
            spectra = scipy.fft.fft(parts, axis=-1)
            power += np.abs(scipy.fft.fft(spectra, 2 * len(x), axis=1)) ** 2
        total = power.sum(axis=(0, 1))
        kept = np.flatnonzero(total > _BAND_LEVEL * total.max())
        kept = kept[:: -(-len(kept) // _MOST_FREQUENCIES)]
        frequencies = f0 + scipy.fft.fftfreq(n, 1 / fs)[kept]
        times = time[starts] + 0.5 * (n - 1) / fs
        width = iq.probe.width or 0.9 * iq.probe.pitch
        c = iq.sound_speed
        light, axes = _light(x, slope, frequencies, total[kept], c, 0.7 * c * times[-1])
        return cls(power[..., kept], times, frequencies, x, width, slope, light, axes, c)

    def misfits(self, speeds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Negative log likelihood of every window, (n_windows, n_speeds, n_exponents, n_noise)."""
        out = np.empty((len(self.times), len(speeds), len(_EXPONENTS), len(_NOISE)))
        for i, c in enumerate(speeds):
            common = self._visible_pairs(float(c))
            for j, exponent in enumerate(_EXPONENTS):
                expected = self._expected(common, float(c), float(exponent))
                floor = expected.mean(axis=1, keepdims=True)
                for k, noise in enumerate(_NOISE):
                    model = np.maximum(expected, 0) + noise * floor
                    scale = (self.power / model).mean(axis=1)
                    fit = np.log(model).mean(axis=1) + np.log(scale)
                    out[:, i, j, k] = fit.sum(axis=1) * len(self.positions)
        return out

    def _cosine_sum(self, c: float) -> NDArray[np.float64]:
        steep = np.sqrt(max(1 / c**2 - self.slope**2, 1e-12))
        return np.asarray(1 / c + self.slope * np.sin(_ANGLES) + steep * np.cos(_ANGLES))

    def _visible_pairs(self, c: float) -> NDArray[np.float64]:
        """Sum over pairs of elements a lag apart of the light on what both hear, (n_lags, n_windows, n_angles)."""
        n = len(self.positions)
        path = (self.times[:, None, None] - self.slope * self.positions[:, None]) / self._cosine_sum(c)
        x, z = self.positions[:, None] + path * np.sin(_ANGLES), path * np.cos(_ANGLES)
        gx, gz = self.light_axes
        at = [(x - gx[0]) / (gx[1] - gx[0]), (z * c / self.light_speed - gz[0]) / (gz[1] - gz[0])]
        heard = np.sqrt(scipy.ndimage.map_coordinates(self.light, at, order=1, mode="constant"))
        spectrum = np.abs(scipy.fft.rfft(heard, 2 * n, axis=1)) ** 2
        return np.moveaxis(scipy.fft.irfft(spectrum, 2 * n, axis=1)[:, :n], 1, 0)

    def _expected(self, common: NDArray[np.float64], c: float, exponent: float) -> NDArray[np.float64]:
        """Expected power along the aperture, window and aliases included, (n_windows, 2 n_elements, n_frequencies)."""
        n = len(self.positions)
        pitch = float(self.positions[1] - self.positions[0])
        k = 2 * np.pi * self.frequencies / c
        density = np.cos(_ANGLES) ** exponent / self._cosine_sum(c)
        density = density * np.sinc(self.width * self.frequencies[:, None] / c * np.sin(_ANGLES)) ** 2
        lag = pitch * np.arange(n)
        waves = density * np.exp(1j * k[:, None] * np.sin(_ANGLES) * lag[:, None, None])  # (lags, frequencies, angles)
        correlation = common @ np.swapaxes(waves, 1, 2)  # (lags, windows, frequencies)
        both = np.zeros((2 * n, *correlation.shape[1:]), complex)
        both[:n] = correlation
        both[n + 1 :] = np.conj(correlation[1:][::-1])
        return np.moveaxis(scipy.fft.fft(both, axis=0).real, 0, 1)

    def structure(self, c: float) -> float:
        """Mean square of power over expectation, relative to that of speckle: 1 for speckle, more for structures."""
        best = self.misfits(np.array([c])).sum(axis=(0, 1))
        j, k = np.unravel_index(int(best.argmin()), best.shape)
        expected = self._expected(self._visible_pairs(c), c, float(_EXPONENTS[j]))
        model = np.maximum(expected, 0) + _NOISE[k] * expected.mean(axis=1, keepdims=True)
        ratio = self.power / model
        return float(0.5 * np.mean(np.mean(ratio**2, axis=1) / np.mean(ratio, axis=1) ** 2))


def profile(misfit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest misfit over noise and exponent, (n_speeds,), from (n_speeds, n_exponents, n_noise)."""
    over_noise = misfit.min(axis=2) + 0.5 * ((_EXPONENTS - _LIKELY[0]) / _LIKELY[1]) ** 2
    at = np.clip(over_noise.argmin(axis=1), 1, len(_EXPONENTS) - 2)
    a, b, c = (over_noise[np.arange(len(at)), at + k] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    step = np.clip(0.5 * (a - c) / np.where(bend > 0, bend, np.inf), -1.0, 1.0)
    return np.asarray(b - 0.5 * (a - c) * step + 0.5 * bend * step**2)


def _uniform_positions(iq: ChannelData) -> NDArray[np.float64]:
    iq.probe.require_points("aperture autocorrelation")
    p, normals = iq.probe.positions, iq.probe.normals
    step = np.diff(p[:, 0]) if len(p) > 1 else np.zeros(1)
    straight = np.abs(p[:, 1:] - p[0, 1:]).max() < 1e-9 and np.abs(normals - [0, 0, 1]).max() < 1e-6
    if len(p) < 16 or not straight or step.min() <= 0 or np.ptp(step) > 1e-6 * step.mean():
        raise ArgumentError(
            "method: 'aperture_autocorrelation' expects at least 16 elements along x at equal distances, facing +z, "
            f"got {iq.probe}"
        )
    return np.asarray(p[:, 0])


def _light(
    x: NDArray[np.float64],
    slope: float,
    frequencies: NDArray[np.float64],
    power: NDArray[np.float64],
    c: float,
    depth: float,
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Intensity of the plane wave with the diffraction at its edges; in speed c' at depth z c / c' it is the same."""
    pitch, half = x[1] - x[0], 0.5 * (x[-1] - x[0]) + 0.5 * (x[1] - x[0])
    gx = 0.5 * (x[0] + x[-1]) + np.linspace(-1.6 * half, 1.6 * half, 81)
    gz = np.linspace(1e-3, 1.3 * depth, 40)
    points = (x[:, None] + np.array([-0.25, 0.25]) * pitch).ravel()
    r = np.sqrt((gx[:, None, None] - points) ** 2 + gz[:, None] ** 2)
    obliquity = gz[:, None] / r**1.5
    total = np.zeros(r.shape[:2])
    for f, weight in zip(frequencies[::2], power[::2], strict=True):
        phase = 2 * np.pi * f * (r / c + slope * points)
        field = np.sum(obliquity * np.exp(-1j * phase), axis=2) * (0.5 * pitch * np.sqrt(f / c))
        total += weight * np.abs(field) ** 2
    return total / power[::2].sum(), (gx, gz)
