"""One linearisation of the travel times around a map: the operator, the data that go with it, and the rays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.linked import LinkedRays
from ..rays.linking import RayLinker
from ..rays.paths import Paths
from .finite_frequency import FiniteFrequencyOperator
from .settings import TravelTimeSettings
from .tomography import TravelTimeOperator

_FINEST = 1e-3  # [m] spacing of the grid on which rays and first arrivals are computed, if the image's is coarser
_MATRIX = 1e9  # [bytes] largest matrix kept in memory
_FEW = 12  # products, below which making the matrix does not pay


@dataclass(frozen=True, eq=False)
class Linearization:
    """Times of pairs = times in water + operator applied to the slowness beyond water's.

    Parameters
    ----------
    operator : LinearOperator
        (n_pairs, nodes in the mask).
    delays : (n_pairs,) float64 [s]
        What the operator should explain.
    pairs : (n_pairs, 2) int
        Those that have a ray.
    links : LinkedRays or None
        Where the next linearisation may start from.
    """

    operator: Any
    delays: NDArray[np.float64]
    pairs: NDArray[np.int32]
    links: LinkedRays | None


class Linearizer:
    """Makes linearisations of one data set.

    Parameters
    ----------
    grid, mask : Grid, grid.shape bool
        Of the image.
    emitters, receivers : (n_tx, 3), (n_rx, 3) float64 [m]
    times : (n_tx, n_rx) float64 [s]
        NaN where there is none.
    sound_speed : float [m/s]
        Of the water.
    spectrum : (frequencies, power) or None
        For finite frequencies.
    settings : TravelTimeSettings
    device : str
    """

    def __init__(
        self,
        grid: Grid,
        mask: NDArray[np.bool_],
        emitters: NDArray[np.float64],
        receivers: NDArray[np.float64],
        times: NDArray[np.float64],
        sound_speed: float,
        spectrum: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
        settings: TravelTimeSettings,
        device: str,
    ) -> None:
        self._grid, self._mask, self._settings, self._device = grid, mask, settings, device
        self._emitters, self._receivers = emitters, receivers
        self._times, self._wanted = times, np.isfinite(times)
        self._water, self._spectrum = 1.0 / sound_speed, spectrum

    def around(self, excess: NDArray[np.float64], links: LinkedRays | None, first: bool) -> Linearization:
        """Linearise around water plus the slowness ``excess`` (n_nodes,) [s/m]; straight paths the first time."""
        straight = first or self._settings.rays == "straight"
        if self._settings.kernel == "finite_frequency":
            return self._finite_frequency(excess, straight)
        return self._rays(excess, links, straight)

    def _rays(self, excess: NDArray[np.float64], links: LinkedRays | None, straight: bool) -> Linearization:
        wanted = self._wanted
        if straight:
            pairs = np.argwhere(wanted).astype(np.int32)
            paths = Paths.straight(self._emitters[pairs[:, 0]], self._receivers[pairs[:, 1]], ndim=self._grid.ndim)
        else:
            medium, _ = self._background(excess)
            linker = RayLinker(medium, device=self._device)
            links = linker(self._emitters, self._receivers, pairs=wanted, start=links, paths=True)
            pairs = np.argwhere(links.linked).astype(np.int32)
            paths = _without_empty(links.paths)
        operator = TravelTimeOperator(self._grid, paths, mask=self._mask, device=self._device)
        lengths = paths.lengths()
        delays = self._times[tuple(pairs.T)] - self._water * lengths
        return Linearization(self._quick(operator, lengths), delays, pairs, links)

    def _quick(self, operator: TravelTimeOperator, lengths: NDArray[np.float64]) -> Any:
        """The operator on host vectors; as a matrix in memory if it is small enough and used often."""
        s, ndim = self._settings, self._grid.ndim
        products = s.inner_iterations * (s.reweightings if s.solver == "total_variation" else 1)
        # a ray of length L crosses at most sqrt(ndim) L / h grid lines, which bring 2^(ndim - 1) entries each
        entries = 2 ** (ndim - 1) * float((np.sqrt(ndim) * lengths / min(self._grid.spacing) + 2 * ndim).sum())
        if operator.device != "cpu":
            return operator.on_host()
        return operator.stored() if products >= _FEW and 12 * entries < _MATRIX else operator

    def _finite_frequency(self, excess: NDArray[np.float64], straight: bool) -> Linearization:
        background: Medium | float = 1.0 / self._water
        smooth = np.zeros(int(self._mask.sum()))
        if not straight:
            background, smooth = self._background(excess)
        assert self._spectrum is not None
        operator = FiniteFrequencyOperator(
            self._grid,
            background,
            self._emitters,
            self._receivers,
            self._wanted,
            frequencies=self._spectrum[0],
            power=self._spectrum[1],
            mask=self._mask,
            device=self._device,
        )
        delays = self._times[tuple(operator.pairs.T)] - operator.pair_time + operator(smooth)
        return Linearization(operator, delays, operator.pairs, None)

    def _background(self, excess: NDArray[np.float64]) -> tuple[Medium, NDArray[np.float64]]:
        """Return the blurred map on a grid fine enough for rays, and its excess at the nodes of the mask."""
        grid = self._grid
        image = np.zeros(grid.shape)
        image[self._mask] = excess
        if self._settings.smoothing > 0:
            image = gaussian_filter(image, [self._settings.smoothing / h for h in grid.spacing], mode="constant")
        factor = [max(1, round(h / _FINEST)) if grid.ndim == 2 else 1 for h in grid.spacing]
        shape = tuple((n - 1) * k + 1 for n, k in zip(grid.shape, factor, strict=True))
        spacing = tuple(h / k for h, k in zip(grid.spacing, factor, strict=True))
        index = np.meshgrid(*(np.arange(n) / k for n, k in zip(shape, factor, strict=True)), indexing="ij")
        fine = image if max(factor) == 1 else map_coordinates(image, index, order=3, mode="nearest")
        return Medium(Grid(shape, spacing, grid.origin), 1.0 / (self._water + fine)), image[self._mask]


def pulse_spectrum(
    channel_data: ChannelData, times: NDArray[np.float64], *, duration: float, most: int = 400
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean power spectrum of the first pulses of some traces.

    Parameters
    ----------
    channel_data : ChannelData
    times : (n_tx, n_rx) float64 [s]
        Of the pulses' beginnings; NaN where there is none.
    duration : float [s]
        Of the pulse.
    most : int
        Traces used.

    Returns
    -------
    frequencies, power : (n,) float64
        Where the power exceeds 1 % of its maximum.
    """
    fs = channel_data.sampling_frequency
    chosen = np.argwhere(np.isfinite(times))
    chosen = chosen[:: max(1, len(chosen) // most)]
    n = max(8, int(np.ceil(duration * fs)))
    lead, size = n // 4, 1 << int(np.ceil(np.log2(8 * n)))
    window = np.hanning(n + 2 * lead)
    power = np.zeros(size // 2 + 1)
    for e, r in chosen:
        begin = round((times[e, r] - channel_data.start_time[e]) * fs) - lead
        part = channel_data.samples[0, e, r, max(begin, 0) : max(begin + n + 2 * lead, 0)].astype(np.float64)
        if len(part) < len(window) or not part.any():
            continue
        spectrum = np.fft.rfft(part * window, size)
        power += np.abs(spectrum) ** 2 / float(np.sum(part**2))
    frequencies = np.fft.rfftfreq(size, 1 / fs)
    if not power.any():
        raise ArgumentError(
            "channel_data: expected pulses at the picked times, got silence; with given picks use kernel='ray'"
        )
    keep = (power > 0.01 * power.max()) & (frequencies > 0)
    return frequencies[keep], power[keep]


def _without_empty(paths: Paths | None) -> Paths:
    """Leave out the rays without nodes."""
    assert paths is not None
    return Paths(paths.points, np.concatenate([[0], np.unique(paths.offsets[paths.offsets > 0])]))
