"""One linearisation of ray-Born inversion: fields in the rays' medium, prediction, gains, residuals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.greens import GreensFields, GreensFunction
from .born import BornOperator
from .born_scene import Scene, on_grid
from .born_settings import RayBornSettings
from .gains import fit_gains

_NODES = 2.0  # of the grid of fields, per standard deviation of the blur
_COARSER = 1.3  # than the image's grid by less, an own grid does not pay
_RAY = 0.8  # standard deviations between neighbouring rays where they end
_BOXES = ((0.45e6, 13e-3), (0.70e6, 11e-3), (0.95e6, 9e-3), (np.inf, 7e-3))  # [Hz], [m] as published
_SIGNED = 1e-3  # of the slowness: added so that an integral along rays is that of something positive


@dataclass(frozen=True, eq=False)
class Datum:
    """One frequency of a level.

    Parameters
    ----------
    operator : BornOperator
        Change of the data with 1 / c^2.
    water : (n_tx, n_rx) complex64
        Green's function of water; residuals are relative to it.
    residual : (n_tx, n_rx) complex64
        (Data / gains - prediction) / water.
    weights : (n_tx, n_rx) float32
        Of its square; 0 where a pair does not count.
    noise : float
        Root mean square of the noise in the residuals, as far as it is known.
    absorbed : float [m]
        Change of (c_0 / c)^2 (times i) that an absorption of 1 Np/m at 1 MHz amounts to.
    """

    operator: BornOperator
    water: NDArray[np.complex64]
    residual: NDArray[np.complex64]
    weights: NDArray[np.float32]
    noise: float
    absorbed: float

    @property
    def wave_number(self) -> float:
        """In water [rad/m]."""
        return self.operator.frequency * 2 * np.pi / self.operator.reference_sound_speed

    def transposed(self, residual: NDArray[np.complex64], speed: float) -> NDArray[np.complex128]:
        """Gradient (complex) of half the weighted square with respect to (c_0 / c)^2 per area, sign reversed."""
        image = self.operator.adjoint(residual * self.weights / np.conj(self.water), complex=True)
        return np.asarray(image / (speed**2 * self.operator.cell_area))

    def forward(self, change: NDArray[np.complex128], speed: float) -> NDArray[np.complex64]:
        """Change of the data, relative to water, with (c_0 / c)^2."""
        return np.asarray(self.operator(change / speed**2) / self.water, np.complex64)


@dataclass(frozen=True, eq=False)
class Level:
    """Frequencies that share a linearisation.

    Parameters
    ----------
    data : list of Datum
    misfit : float
        Root mean square of the residuals, relative to the wave in water.
    total : float
        Sum of the weights.
    fraction : float
        Of the pairs that count.
    """

    data: list[Datum]
    misfit: float
    total: float
    fraction: float


class LevelMaker:
    """Makes levels of one reconstruction.

    Parameters
    ----------
    scene : Scene
    settings : RayBornSettings
    reference : float [Hz]
        Where the sound speed of an absorbing medium holds.
    device : str
    """

    def __init__(self, scene: Scene, settings: RayBornSettings, reference: float, device: str) -> None:
        self._scene, self._settings, self._reference, self._device = scene, settings, reference, device
        self._points = scene.grid.points().reshape(-1, 3)[scene.mask.ravel()]
        self._area = float(np.prod(scene.grid.spacing))

    def around(self, chi: NDArray[np.float64], absorption: NDArray[np.float64] | None, which: Sequence[int]) -> Level:
        """Linearise around a map.

        Parameters
        ----------
        chi : (n_nodes,) float64
            (c_0 / c)^2 - 1.
        absorption : (n_nodes,) float64 or None [Np/m at 1 MHz]
        which : frequencies' indices
        """
        scene, c0 = self._scene, self._scene.sound_speed
        frequencies = scene.spectra.frequencies[list(which)]
        image = scene.image(chi)
        slowness = np.sqrt(1 + image)
        lossy = None if absorption is None else scene.image(absorption)
        smooth, soft = self._blurred(slowness, lossy, float(frequencies.mean()))
        nodes, between, coarse = self._fields(slowness, smooth, soft, float(frequencies.mean()))
        sides = scene.sides(nodes)
        operator = BornOperator(
            sides[0],
            sides[1],
            float(frequencies[0]),
            cell_area=self._area,
            points=None if coarse is None else self._points,
            grid=coarse,
            pairs=scene.spectra.pairs,
            reference_frequency=None if lossy is None else self._reference,
            device=self._device,
        )
        rough = (chi - (smooth[scene.mask] ** 2 - 1)).astype(np.complex128)
        data = []
        for k, f in zip(which, frequencies, strict=True):
            at = operator.at(float(f))
            # k^2 = omega^2 / c^2 + 2 i omega alpha / c
            absorbed = 2 * c0 * (f / 1e6) ** self._settings.exponent / (2 * np.pi * f)
            change = rough
            if lossy is not None and soft is not None and absorption is not None:
                change = rough + 1j * absorbed * (absorption - soft[scene.mask])
            data.append(self._datum(k, at, between, change, absorbed))
        total = float(sum(d.weights.sum(dtype=np.float64) for d in data))
        square = float(sum((d.weights * np.abs(d.residual) ** 2).sum(dtype=np.float64) for d in data))
        share = float(np.mean([(d.weights > 0).mean() for d in data]))
        return Level(data, float(np.sqrt(square / max(total, 1e-30))), total, share)

    def _datum(
        self, k: int, operator: BornOperator, between: GreensFields, change: NDArray[np.complex128], absorbed: float
    ) -> Datum:
        scene, s = self._scene, self._settings
        reference = None if between.absorption is None else self._reference
        waves = between.pressure(operator.frequency, reference_frequency=reference)
        direct = waves[scene.receive][:, scene.transmit].T
        model = direct
        if s.split:
            model = direct + operator(change / scene.sound_speed**2)
        water = scene.water(k)
        weights = scene.spectra.weight(k) * (direct != 0)
        if not s.split:  # as published, gains make absolute residuals small, not relative ones
            weights = np.asarray(weights * (np.abs(water) / np.abs(water).max()) ** 2, np.float32)
        predicted, measured = np.asarray(model / water, np.complex64), scene.spectra.values[k] / water
        gains = fit_gains(predicted, measured, weights, kind=s.gain, robust=s.robust)
        residual = gains.remove(measured) - predicted
        noise = 0.0
        if scene.spectra.noise is not None:
            loudness = np.abs(gains.apply(water)).astype(np.float64)
            share = gains.weights / np.maximum(loudness, 1e-30) ** 2
            noise = float(scene.spectra.noise[k] * np.sqrt(share.sum() / max(float(gains.weights.sum()), 1e-30)))
        return Datum(operator, water, residual, gains.weights, noise, float(absorbed))

    def _blurred(
        self, slowness: NDArray[np.float64], absorption: NDArray[np.float64] | None, frequency: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Relative slowness and absorption of the rays' medium."""
        scene, s = self._scene, self._settings
        if s.split:
            widths = [self._sigma(frequency) / h for h in scene.grid.spacing]

            def blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
                return np.asarray(gaussian_filter(values, widths, mode="nearest", truncate=3.5))
        else:
            size = next(box for limit, box in _BOXES if frequency < limit)

            def blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
                return box_blurred(values, scene.grid, size)

        return blur(slowness), None if absorption is None else np.maximum(blur(absorption), 0)

    def _fields(
        self,
        slowness: NDArray[np.float64],
        smooth: NDArray[np.float64],
        soft: NDArray[np.float64] | None,
        frequency: float,
    ) -> tuple[GreensFields, GreensFields, Grid | None]:
        """Fields at the nodes of the image or of a coarser grid, those between the elements, and that grid."""
        scene, s = self._scene, self._settings
        coarse = self._coarse(frequency) if s.split else None
        at = scene.grid if coarse is None else coarse
        if coarse is not None:
            smooth = on_grid(smooth, scene.grid, coarse, 1.0)
            soft = None if soft is None else np.maximum(on_grid(soft, scene.grid, coarse, 0.0), 0)
        speed = scene.sound_speed / smooth
        speed.flat[0] = scene.sound_speed
        gathered = soft
        offset = 0.0
        if not s.split:  # the absorption's integral is used for what the map itself adds to travel times
            extra = slowness - smooth
            offset = _SIGNED + float(max(0.0, -extra.min()))
            gathered = extra + offset
        medium = Medium(at, speed, absorption=gathered)
        make = GreensFunction(medium, exponent=s.exponent, device=self._device, **self._fans(at, frequency))
        places = self._points if coarse is None else coarse.points().reshape(-1, 3)
        found = make(scene.elements, np.concatenate([places, scene.elements]))
        if not s.split:
            found = _through_map(found, offset)
        return found[: len(places)], found[len(places) :], coarse

    def _fans(self, grid: Grid, frequency: float) -> dict[str, Any]:
        """How densely to trace: what blurs the medium sets the pace, or the map itself if it is integrated."""
        finest = min(grid.spacing)
        if not self._settings.split:
            return {"step": 2 * finest}
        sigma = self._sigma(frequency)
        step = float(np.clip(sigma, finest, 3 * finest))
        return {"step": step, "rays": max(64, int(4 * np.pi * self._scene.radius / max(_RAY * sigma, step)))}

    def _sigma(self, frequency: float) -> float:
        """Standard deviation of the blur [m]."""
        return float(self._settings.smoothing * np.sqrt(self._scene.sound_speed / frequency * self._scene.radius))

    def _coarse(self, frequency: float) -> Grid | None:
        """Grid on which the blurred medium is still resolved; None if that is the image's."""
        grid = self._scene.grid
        spacing = self._sigma(frequency) / _NODES
        if spacing < _COARSER * max(grid.spacing):
            return None
        size = [(n - 1) * h for n, h in zip(grid.shape, grid.spacing, strict=True)]
        return Grid(tuple(int(np.ceil(s / spacing)) + 1 for s in size), (spacing,) * 2, grid.origin)


def box_blurred(values: NDArray[np.float64], grid: Grid, size: float) -> NDArray[np.float64]:
    """Mean over boxes of odd numbers of nodes about `size` [m] wide."""
    boxes = [max(1, 2 * int(size / h / 2) + 1) for h in grid.spacing]
    return np.asarray(uniform_filter(values, boxes, mode="nearest"))


def _through_map(fields: GreensFields, offset: float) -> GreensFields:
    """Fields whose travel times are those through the map along the rays of the blurred one."""
    assert fields.absorption is not None
    extra = (fields.absorption - offset * fields.distance) / fields.reference_sound_speed
    return replace(fields, excess=(fields.excess + extra).astype(np.float32), absorption=None)
