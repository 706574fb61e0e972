"""How well data focus with a map, at points that no map was made from: the judge of maps without a truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_device
from ..acquisition.channel_data import ChannelData
from ..beamforming.arrivals import arrivals
from ..inversion.focus_criteria import FocusCriterion, square_patches
from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.point_times import PointTimes
from .multistatic import TABLE_SPACING, covering

_ACROSS, _DEEP = 12, 14  # patches; coprime with usual numbers of the maps' own
_KERNEL = 5  # points along each side of a patch, a quarter of a wavelength apart
_NOMINAL = 1540.0
_DARK = 1e-3  # of the median power: what comes from there is noise


@dataclass(frozen=True)
class Focus:
    """Coherence over the aperture of echoes from a set of patches, 0 to 1.

    Parameters
    ----------
    coherence_factor : float
        Mean of abs(sum) / sum(abs) over receivers, after the sum over transmits.
    lag_one_coherence : float
        Mean correlation of neighbouring receivers, likewise.
    """

    coherence_factor: float
    lag_one_coherence: float

    @property
    def score(self) -> float:
        """Their mean."""
        return 0.5 * (self.coherence_factor + self.lag_one_coherence)


class FocusCheck:
    """Judge of sound speeds for one frame.

    Parameters
    ----------
    channel_data : ChannelData
        One frame of I/Q of any sequence. Single elements tell most: they focus on transmit, too.
    region : ((x, x), (z, z)) [m]
        Patches lie in it, between those from which `reconstruct_autofocus` makes maps; depths from which no echoes
        come are left out.
    f_number : float
        Of transmit and receive aperture.
    device : {"cpu", "cuda", "cuda:N"}
    """

    def __init__(self, channel_data: ChannelData, region: Any, *, f_number: float = 0.5, device: str = "cpu") -> None:
        self.probe, self.device = channel_data.probe, device
        self._sequence, self._assumed = channel_data.transmits, channel_data.sound_speed
        patches = _patches(region, _NOMINAL / (channel_data.center_frequency or channel_data.demodulation_frequency))
        patches = patches[_lit(channel_data, patches)]
        self.points = patches.reshape(-1, 3)
        self._criteria = {
            name: FocusCriterion(
                channel_data, patches, criterion=name, sub_aperture=1, f_number=f_number, device=device
            )
            for name in ("coherence_factor", "lag_one_coherence")
        }  # fmt: skip

    def __call__(self, medium_or_c0: Medium | float) -> Focus:
        """Focus the data with the travel times of a map, or of one speed."""
        grid = _Points(self.points)
        if isinstance(medium_or_c0, Medium):
            medium, path = covering(medium_or_c0, self.probe, grid), "eikonal"
        else:
            flat = Grid((2, 2), (1e-3, 1e-3), (0.0, 0.0))
            medium, path = covering(Medium(flat, np.full((2, 2), float(medium_or_c0))), self.probe, grid), "straight"
        plan = PointTimes(medium.grid, self.probe.positions, self.points, path=path, device=self.device)
        times = plan(1 / np.asarray(medium.sound_speed, np.float64))
        sent = times
        if [t.element for t in self._sequence] != list(range(self.probe.n_elements)):
            sent = arrivals(
                self._sequence,
                self.probe,
                grid,
                medium if path == "eikonal" else medium_or_c0,
                sequence_sound_speed=self._assumed,
                table_spacing=TABLE_SPACING,
                device=self.device,
            ).tx_time
            sent = sent if self.device == "cpu" else to_device(sent, self.device)
        return Focus(**{name: 1.0 - criterion(sent, times) for name, criterion in self._criteria.items()})


class _Points:
    """Points where a grid is expected."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self._points, self.shape = points, points.shape[:1]

    def points(self) -> NDArray[np.float64]:
        return self._points


def _lit(data: ChannelData, patches: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Patches at whose depth there are echoes, by the mean power of all traces in time."""
    samples = data.samples[0, :: max(1, data.n_tx // 16)]
    power = np.mean(samples.real**2 + samples.imag**2, axis=(0, 1))
    smooth = np.convolve(power, np.full(5, 0.2), "same")
    depth = patches[..., 2].mean(axis=1) - float(data.probe.positions[:, 2].max())
    at = (2 * depth / _NOMINAL - float(data.start_time.mean())) * data.sampling_frequency
    found = smooth[np.clip(at.round().astype(int), 0, len(smooth) - 1)]
    return np.asarray(found >= _DARK * np.median(found))


def _patches(region: Any, wavelength: float) -> NDArray[np.float64]:
    """(n, n_kernel, 3) [m]."""
    centers = []
    for (low, high), n in zip(region, (_ACROSS, _DEEP), strict=True):
        centers.append(low + (high - low) * (np.arange(n) + 0.5) / n)
    x, z = (a.ravel() for a in np.meshgrid(*centers, indexing="ij"))
    return square_patches(np.stack([x, np.zeros_like(x), z], axis=1), _KERNEL, 0.25 * wavelength)
