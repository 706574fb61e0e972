"""Where a ray-Born reconstruction happens: elements, pairs, grids, data as ratios to the wave in water."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.greens import GreensFields
from .pairs import pair_distances, pairs_by_distance, ring_radius
from .region import image_grid, image_mask
from .source_spectrum import water_greens
from .spectra import Spectra

_FLAT = 0.01  # of the aperture


@dataclass(frozen=True, eq=False)
class Scene:
    """Fixed parts of a reconstruction.

    Parameters
    ----------
    elements : (n, 3) float64 [m]
        All different ones in use.
    transmit, receive : (n_tx,), (n_rx,) int
        Which of them emit and receive.
    distance : (n_tx, n_rx) float64 [m]
    spectra : Spectra
        Of those emitters and receivers.
    sound_speed : float [m/s]
        Of the water.
    radius : float [m]
        Of the ring, or the mean distance of the elements from their middle.
    grid : Grid
    mask : grid.shape bool
        Nodes that may differ from water.
    """

    elements: NDArray[np.float64]
    transmit: NDArray[np.intp]
    receive: NDArray[np.intp]
    distance: NDArray[np.float64]
    spectra: Spectra
    sound_speed: float
    radius: float
    grid: Grid
    mask: NDArray[np.bool_]

    @property
    def both(self) -> bool:
        """Whether emitters and receivers are the same elements in the same order."""
        return bool(np.array_equal(self.transmit, self.receive))

    @property
    def n_nodes(self) -> int:
        """Unknowns."""
        return int(self.mask.sum())

    def water(self, index: int) -> NDArray[np.complex64]:
        """Green's function of water of every pair, (n_tx, n_rx); 1 where a pair does not count."""
        found = water_greens(self.distance, float(self.spectra.frequencies[index]), self.sound_speed)
        return np.where(self.spectra.pairs & (found != 0), found, 1).astype(np.complex64)

    def image(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values at the nodes of the mask as an image, 0 elsewhere."""
        result = np.zeros(self.grid.shape)
        result[self.mask] = values
        return result

    def sides(self, fields: GreensFields) -> tuple[GreensFields, GreensFields]:
        """Fields of the emitters and of the receivers; one object if they are the same."""
        emitters = of_sources(fields, self.transmit)
        return emitters, emitters if self.both else of_sources(fields, self.receive)


def make_scene(
    spectra: Spectra,
    emitters: NDArray[np.float64],
    receivers: NDArray[np.float64],
    sound_speed: float,
    minimum_distance: float,
    grid: Grid | None,
    spacing: float | None,
) -> Scene:
    """Put the fixed parts together; elements that no pair uses are left out.

    Raises
    ------
    ArgumentError
        No usable pair, a 3-D arrangement, elements outside the grid or on one line.
    """
    everything = np.concatenate([emitters, receivers])
    extent = np.ptp(everything, axis=0)
    if extent[1] > _FLAT * extent.max():
        raise ArgumentError(
            f"emitters, receivers: expected elements in one plane of constant y, got {extent[1]:g} m from first to last"
        )
    if grid is None:
        grid = image_grid(everything, spacing)
    if grid.ndim != 2:
        raise ArgumentError("grid: expected a 2-D grid (x, z) and elements in one plane y = 0; got 3-D ones")
    mask = image_mask(grid, everything)
    radius = ring_radius(everything)
    distance = pair_distances(emitters, receivers)
    pairs = spectra.pairs & pairs_by_distance(emitters, receivers, minimum_distance * radius)
    if not pairs.any():
        raise ArgumentError(
            f"pairs: expected at least one more than {minimum_distance:g} radii ({radius:g} m) apart that holds data, "
            "got none"
        )
    rows, columns = np.flatnonzero(pairs.any(axis=1)), np.flatnonzero(pairs.any(axis=0))
    part = np.ix_(rows, columns)
    weights = None if spectra.weights is None else spectra.weights[:, rows][:, :, columns]
    values = spectra.values
    if len(rows) < len(emitters) or len(columns) < len(receivers):
        values = values[:, rows][:, :, columns]
    used = np.concatenate([emitters[rows], receivers[columns]])
    elements, index = np.unique(np.round(used, 9), axis=0, return_inverse=True)
    index = index.ravel()
    return Scene(
        elements,
        index[: len(rows)],
        index[len(rows) :],
        distance[part],
        Spectra(spectra.frequencies, values, pairs[part], weights, spectra.noise),
        sound_speed,
        radius,
        grid,
        mask,
    )


def of_sources(fields: GreensFields, which: NDArray[np.intp]) -> GreensFields:
    """Fields of some of the sources."""
    if np.array_equal(which, np.arange(len(fields.sources))):
        return fields
    names = ("excess", "focusing", "take_off", "arrival", "absorption", "caustics")
    parts: dict[str, Any] = {k: v[:, which] for k in names if (v := getattr(fields, k)) is not None}
    return replace(fields, sources=fields.sources[which], **parts)


def on_grid(values: NDArray[Any], source: Grid, target: Grid, outside: float) -> NDArray[np.float64]:
    """Values on one grid at the nodes of another, by cubic splines."""
    index = [(at - o) / h for at, o, h in zip(target.axes, source.origin, source.spacing, strict=True)]
    where = np.meshgrid(*index, indexing="ij")
    found = map_coordinates(np.asarray(values, np.float64), where, order=3, mode="nearest")
    inside = np.ones(target.shape, bool)
    for k, at in enumerate(where):
        inside &= (at > -0.5) & (at < source.shape[k] - 0.5)
    return np.asarray(np.where(inside, found, outside))


def resampled(medium: Medium, grid: Grid, sound_speed: float) -> NDArray[np.float64]:
    """Sound speed of a medium at the nodes of a grid, water beyond it.

    Raises
    ------
    ArgumentError
        The medium lies elsewhere.
    """
    apart = [a[1] < b[0] or a[0] > b[1] for a, b in zip(medium.grid.extent, grid.extent, strict=True)]
    if any(apart):
        raise ArgumentError(
            f"initial: expected a map between the elements, in {grid.extent} m, got one in {medium.grid.extent} m"
        )
    return on_grid(medium.sound_speed, medium.grid, grid, sound_speed)
