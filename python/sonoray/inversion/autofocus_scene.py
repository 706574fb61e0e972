"""What stays the same while autofocus looks for a map: data, patches, grids, travel times."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._arrays import to_device, to_host
from .._checks import scalar
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.interpolation import continued
from ..media.medium import Medium
from ..rays.point_times import PointTimes
from .autofocus_settings import AutofocusSettings
from .focus_criteria import CommonMidpointCorrelations, FocusCriterion, aperture_mask, square_patches

Region = tuple[tuple[float, float], tuple[float, float]]
_NOMINAL = 1540.0  # m/s, for wavelengths and the default region
_FINE = 4  # nodes of the eikonal grid per node of the map, along each axis


class Scene:
    """Patches, the map's grid, and the way from a map to correlations, losses and gradients."""

    def __init__(self, channel_data: ChannelData, settings: AutofocusSettings, region: Any, device: str) -> None:
        self.settings, self.device = settings, device
        data = _reciprocal(_one_iq_frame(channel_data))
        self.frequency = _mean_frequency(data)
        self.wavelength = _NOMINAL / self.frequency
        self.probe = data.probe
        self.n_sub = _sub_aperture(data, settings.sub_aperture * self.wavelength)
        self.width = float(np.linalg.norm(np.diff(self.probe.positions, axis=0), axis=1).mean()) * self.n_sub
        self.region = checked_region(region, data, self.width)
        self.centers, patches = _patches(self.region, settings, self.wavelength)
        self.grid, self.fine = _grids(self.region, self.probe, patches, settings.spacing)
        self.inside = _nodes_inside(self.grid, self.region)
        if not self.inside.any():
            raise ArgumentError(
                f"region: expected a node of the map inside, spaced {settings.spacing:g} m, got {self.region} m"
            )
        self.criterion = FocusCriterion(
            data,
            patches,
            criterion=settings.criterion,
            sub_aperture=self.n_sub,
            f_number=settings.f_number,
            threshold=settings.threshold if settings.criterion == "phase_error" else 0.9,
            device=device,
        )
        self.times = PointTimes(
            self.fine, self.probe.positions, patches.reshape(-1, 3), path=settings.path, device=device
        )
        self._to_fine = [_linear(a, b) for a, b in zip(self.grid.axes, self.fine.axes, strict=True)]

    def start(self, initial: Medium | float | None) -> NDArray[np.float64]:
        """Slowness of the first map, (n_x, n_z)."""
        if isinstance(initial, Medium):
            if initial.grid.ndim != 2:
                raise ArgumentError(f"initial: expected a 2-D medium, got {initial.grid.ndim} axes")
            speed = continued(initial.grid, initial.sound_speed, self.grid.points().reshape(-1, 3)).reshape(
                self.grid.shape
            )
            return np.asarray(1 / np.clip(speed, *self.settings.limits), np.float64)
        low, high = self.settings.limits
        value = 0.5 * (low + high) if initial is None else scalar("initial", initial, low, high, "m/s")
        return np.full(self.grid.shape, 1 / value)

    def medium(self, slowness: NDArray[np.float64]) -> Medium:
        """The map as a medium."""
        return Medium(self.grid, (1 / slowness).astype(np.float32))

    def travel_times(self, slowness: NDArray[np.float64]) -> Any:
        """(n_elements, n_points) float32 [s], on the device."""
        return self.times(self._refined(slowness))

    def correlations(self, slowness: NDArray[np.float64]) -> CommonMidpointCorrelations:
        """Correlations of neighbouring pairs of sub-apertures, in host memory."""
        times = self.travel_times(slowness)
        found = self.criterion.correlations(times, times)
        if self.device == "cpu":
            return found
        return CommonMidpointCorrelations(
            to_host(found.correlation), to_host(found.energy), found.midpoint, found.offset
        )

    def loss(self, slowness: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The criterion and its gradient with respect to the map's slowness."""
        around = self.times.linearized(self._refined(slowness))
        times = around.times if self.device == "cpu" else to_device(around.times, self.device)
        value, tx, rx = self.criterion.gradient(times, times)
        slope = tx + rx if self.device == "cpu" else to_device(to_host(tx) + to_host(rx), self.device)
        gradient = around.adjoint(slope).reshape(self.fine.shape)
        return value, np.asarray(self._to_fine[0].T @ gradient @ self._to_fine[1])

    def sub_aperture_paths(self) -> Any:
        """Sparse mean path lengths [m] of sub-apertures to patch centres, (n_patches * n_sub_apertures, n_nodes)."""
        n, n_patches = self.probe.n_elements, len(self.centers)
        rows = PointTimes(self.grid, self.probe.positions, self.centers, path="straight").rows()
        by_patch = (np.arange(n)[None] * n_patches + np.arange(n_patches)[:, None]).ravel()
        box = np.full(self.n_sub, 1 / self.n_sub)
        m = n - self.n_sub + 1
        mean = scipy.sparse.diags(box, np.arange(self.n_sub), shape=(m, n), format="csr")
        return scipy.sparse.csr_matrix(
            scipy.sparse.kron(scipy.sparse.eye(n_patches), mean) @ scipy.sparse.csr_matrix(rows)[by_patch]
        )

    def complete_sub_apertures(self) -> NDArray[np.bool_]:
        """Which sub-apertures the f-number leaves whole at each patch, (n_patches, n_sub_apertures).

        The others' elements do not lie about their middle, as paths and midpoints suppose.
        """
        if not self.settings.f_number:
            return np.ones((len(self.centers), self.probe.n_elements - self.n_sub + 1), bool)
        mask = aperture_mask(self.probe, self.centers, self.settings.f_number, self.n_sub) > 0
        return np.asarray(np.lib.stride_tricks.sliding_window_view(mask, self.n_sub, axis=0).all(-1).T)

    def judged(self, slowness: NDArray[np.float64], truth: Medium | None) -> dict[str, float]:
        """Mean speed over the region, and with a truth the mean absolute error and the bias there [m/s]."""
        inside, points = self.inside, self.grid.points()
        speed = (1 / slowness)[inside]
        found = {"mean_sound_speed": float(speed.mean())}
        if truth is not None:
            error = speed - continued(truth.grid, truth.sound_speed, points[inside])
            found |= {"mean_absolute_error": float(np.abs(error).mean()), "bias": float(error.mean())}
        return found

    def _refined(self, slowness: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._to_fine[0] @ slowness @ self._to_fine[1].T)


def _one_iq_frame(data: Any) -> ChannelData:
    require_channel_data(data)
    if not data.is_iq:
        raise ArgumentError("channel_data: expected I/Q, got RF; demodulate() it")
    if data.samples.shape[0] != 1:
        raise ArgumentError(f"channel_data: expected one frame, got {data.samples.shape[0]}; choose one")
    fires = [t.element for t in data.transmits]
    if fires != list(range(data.probe.n_elements)):
        raise ArgumentError(
            f"channel_data: expected every one of {data.probe.n_elements} elements to transmit alone, in order, got "
            f"{data.n_tx} transmits of kind {data.transmits[0].kind!r}; decode() makes that of other sequences"
        )
    return data


def _reciprocal(data: ChannelData) -> ChannelData:
    """Mean of both directions between two elements: less noise, and equal to either without."""
    samples = np.asarray(data.samples)
    start = np.ravel(np.asarray(data.start_time))
    if start.size > 1 and np.ptp(start) > 0:
        return data
    return data.with_(samples=np.ascontiguousarray(0.5 * (samples + samples.transpose(0, 2, 1, 3))))


def _mean_frequency(data: ChannelData) -> float:
    """Centroid of the data's power spectrum [Hz]."""
    samples = np.asarray(data.samples)[0]
    some = samples[:: max(1, len(samples) // 16)].astype(np.complex64)
    power = (np.abs(np.fft.fft(some, axis=-1)) ** 2).sum((0, 1))
    f = np.fft.fftfreq(some.shape[-1], 1 / data.sampling_frequency)
    total = float(power.sum())
    if not np.isfinite(total) or total <= 0:
        raise ArgumentError("channel_data: expected echoes, got silence or NaN")
    power = np.maximum(power - np.quantile(power, 0.2), 0)  # noise is in all of the band
    return float(data.demodulation_frequency or 0.0) + float((f * power).sum() / max(power.sum(), 1e-300))


def _sub_aperture(data: ChannelData, width: float) -> int:
    """Odd number of elements of about this width, at most a quarter of the aperture."""
    n = data.probe.n_elements
    if n < 16:
        raise ArgumentError(f"channel_data: expected at least 16 elements, got {n}")
    pitch = float(np.linalg.norm(np.diff(data.probe.positions, axis=0), axis=1).mean())
    wanted = min(width / pitch, n / 4)
    return max(3, 2 * int(wanted // 2) + 1)


def checked_truth(truth: Any) -> Medium:
    """The true map, refused by name if it is none of a plane."""
    if not isinstance(truth, Medium) or truth.grid.ndim != 2:
        found = f"{truth.grid.ndim} axes" if isinstance(truth, Medium) else type(truth).__name__
        raise ArgumentError(f"truth: expected a 2-D Medium, got {found}")
    return truth


def checked_region(region: Any, data: ChannelData, width: float = 0.0) -> Region:
    """Limits of the patches' centres; the default ones begin about a sub-aperture's ``width`` deep."""
    positions = data.probe.positions
    end = float(np.ravel(np.asarray(data.start_time)).min()) + data.samples.shape[3] / data.sampling_frequency
    deepest = 0.44 * _NOMINAL * end + float(positions[:, 2].max())
    if region is None:
        middle, half = 0.5 * (positions[:, 0].max() + positions[:, 0].min()), 0.425 * np.ptp(positions[:, 0])
        top = float(positions[:, 2].max()) + 0.9 * width
        region = ((middle - half, middle + half), (top, deepest))
        if top >= deepest:
            raise ArgumentError(f"channel_data: expected a record deeper than {top:g} m, got one to {deepest:g} m")
    try:
        (x0, x1), (z0, z1) = (tuple(float(v) for v in axis) for axis in region)
    except (TypeError, ValueError):
        raise ArgumentError(f"region: expected ((x, x), (z, z)) [m], got {region!r}") from None
    for name, low, high in (("x", x0, x1), ("z", z0, z1)):
        scalar(f"region: {name}", low, -1.0, 1.0, "m")
        scalar(f"region: {name}", high, -1.0, 1.0, "m")
        if low >= high:
            raise ArgumentError(f"region: expected {name} limits in order, got {low:g}, {high:g}")
    if z0 <= positions[:, 2].max() or z1 > 0.5 * _NOMINAL * end * 1.2:
        raise ArgumentError(
            f"region: expected z between the array ({positions[:, 2].max():g} m) and the record's end "
            f"({0.6 * _NOMINAL * end:.3g} m), got {z0:g} to {z1:g} m"
        )
    return (x0, x1), (z0, z1)


def _nodes_inside(grid: Grid, region: Region) -> NDArray[np.bool_]:
    """Nodes that lie in the region, (n_x, n_z)."""
    (x0, x1), (z0, z1) = region
    x, z = grid.axes
    return np.asarray(((x >= x0) & (x <= x1))[:, None] & (z >= z0) & (z <= z1))


def _patches(region: Region, settings: AutofocusSettings, wavelength: float) -> tuple[Any, Any]:
    """Centres (n, 3) and points (n, n_kernel, 3) [m]."""
    x, z = (np.linspace(low, high, n) for (low, high), n in zip(region, settings.patches, strict=True))
    grid_x, grid_z = (a.ravel() for a in np.meshgrid(x, z, indexing="ij"))
    centers = np.stack([grid_x, np.zeros_like(grid_x), grid_z], axis=1)
    n, step = settings.kernel
    return centers, square_patches(centers, n, step * wavelength)


def _grids(region: Region, probe: Any, patches: NDArray[np.float64], spacing: float) -> tuple[Grid, Grid]:
    """Of the map and of the eikonal solver: both cover patches and elements."""
    points = np.concatenate([patches.reshape(-1, 3), probe.positions])
    low, high = points.min(0)[[0, 2]], points.max(0)[[0, 2]]
    low[0], high[0] = low[0] - spacing, high[0] + spacing
    cells = np.maximum(1, np.ceil((high - low) / spacing - 1e-6).astype(int))
    step = (high - low) / cells
    coarse = Grid(tuple(int(n) + 1 for n in cells), tuple(step), tuple(low))
    fine = Grid(tuple(int(n) * _FINE + 1 for n in cells), tuple(step / _FINE), tuple(low))
    return coarse, fine


def _linear(coarse: NDArray[np.float64], fine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix of linear interpolation from one axis to another, (n_fine, n_coarse)."""
    position = np.clip((fine - coarse[0]) / (coarse[1] - coarse[0]), 0, len(coarse) - 1)
    node = np.minimum(position.astype(int), len(coarse) - 2)
    matrix = np.zeros((len(fine), len(coarse)))
    rows = np.arange(len(fine))
    matrix[rows, node] = 1 - (position - node)
    matrix[rows, node + 1] += position - node
    return matrix
