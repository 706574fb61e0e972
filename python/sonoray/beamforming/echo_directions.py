"""From where a receive aperture sees a point: what turns a velocity in the plane into the one that Doppler measures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.probes import Probe
from ..media.grids import Grid, SectorGrid
from .receive_aperture import aperture_axes, window_plan

_MOST_NODES = 48  # along each axis of the image: between them directions are linear
_PARALLEL = 1e-3  # an axis that leaves the face flatter than that has no aperture


def receive_directions(
    grid: Grid | SectorGrid,
    probe: Probe,
    *,
    f_number: float,
    window: Any,
    aperture_axis: Any = "normal",
    beam_origins: NDArray[Any] | None = None,
    wavelength: float = 0.0,
) -> NDArray[np.float64]:
    """Mean over the power that the receive aperture sums of the unit vectors from its elements to each point.

    Delay-and-sum adds sum_e w_e x_e, w_e being the aperture's window times the elements' directivity. Where scatterers
    move by d, the phase of x_e turns by -2 pi (u_tx + u_e) . d / wavelength. Many scatterers lie in a resolution cell,
    and what they send into different directions is not correlated: of the products behind the lag-one correlation only
    those of an element with itself are left on average, sum_e w_e^2 exp(-2 pi i (u_tx + u_e) . d / wavelength), whose
    phase is that of sum_e w_e^2 u_e / sum_e w_e^2 for small d. (A single scatterer at the point would have w_e
    instead of the squares; symmetric apertures look along their axis either way.) An aperture that ends at the side of
    the probe thus looks less obliquely than its axis, and a wide one less deep than a point.

    Parameters
    ----------
    grid : Grid or SectorGrid
        2-D.
    probe : Probe
    f_number, window, aperture_axis
        As for `Beamformer`; f-number 0: all elements everywhere.
    beam_origins : (n_tx, 4) float, optional
        For ``aperture_axis="beam"``: the same for all transmits, see `beam_origins`.
    wavelength : float [m]
        For the directivity of elements whose width is known; 0: none.

    Returns
    -------
    (2, *grid.shape) float64
        Along x and z; no longer than 1, zero where no element receives.

    Raises
    ------
    ArgumentError
        A bad window or axis.
    """
    nodes = [np.unique(np.linspace(0, n - 1, min(n, _MOST_NODES)).astype(int)) for n in grid.shape]
    points = grid.points()[np.ix_(*nodes)].reshape(-1, 3)
    axes = aperture_axes(aperture_axis, grid, beam_origins)
    d = points[:, None] - probe.positions  # (n_points, n_elements, 3)
    distance = np.maximum(np.linalg.norm(d, axis=-1), 1e-9)
    depth = np.einsum("pec,ec->pe", d, probe.normals)
    lateral = np.sqrt(np.maximum(distance**2 - depth**2, 0))
    weight = np.ones(distance.shape)
    if f_number:
        offset, reach = (lateral, depth) if axes is None else _about_axis(d, depth, points, probe.normals, axes[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(offset == 0, 0.0, 2 * f_number * offset / reach)
        weight = np.where((reach >= 0) & (u <= 1), _weights(window, np.minimum(np.abs(u), 1)), 0.0)
    if probe.width and wavelength:
        weight = weight * np.sinc(probe.width / wavelength * lateral / distance) * np.maximum(depth / distance, 0)
    power = weight**2
    total = power.sum(axis=1)
    mean = np.einsum("pe,pec->cp", power / distance, d)[[0, 2]] / np.where(total == 0, 1, total)
    rows, columns = (_between(n, at) for n, at in zip(grid.shape, nodes, strict=True))
    return np.asarray(rows @ mean.reshape(2, *map(len, nodes)) @ columns.T)


def _about_axis(
    d: NDArray[Any], depth: NDArray[Any], points: NDArray[Any], normals: NDArray[Any], axis: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Offset of each point from an axis through each element, and the distance along it from the element's face."""
    b = axis[3] * points - axis[:3]
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    facing = b @ normals.T
    along = depth / np.where(facing > _PARALLEL, facing, 1)
    offset = np.linalg.norm(d - along[..., None] * b[:, None], axis=-1)
    return offset, np.where(facing > _PARALLEL, along, -1.0)


def _weights(window: Any, u: NDArray[Any]) -> NDArray[Any]:
    plan = window_plan(window)
    if plan["window"] is not None:
        return np.interp(u, np.linspace(0, 1, len(plan["window"])), plan["window"])
    if not plan["taper"]:
        return np.ones(u.shape)
    edge = np.maximum(u - 1 + plan["taper"], 0) / plan["taper"]
    return np.asarray(plan["pedestal"] + (1 - plan["pedestal"]) * np.cos(np.pi * edge))


def _between(n: int, nodes: NDArray[Any]) -> NDArray[np.float64]:
    """Linear interpolation at 0 to n - 1 of values at integer nodes, as a matrix (n, n_nodes)."""
    return np.stack([np.interp(np.arange(n), nodes, row) for row in np.eye(len(nodes))], axis=1)
