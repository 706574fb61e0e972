"""The directions from which vector Doppler looks: plane waves by angle, receive apertures by axis."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import array
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from .adaptive_methods import adaptive_method
from .bmode import receive_f_number
from .echo_directions import receive_directions
from .receive_aperture import beam_origins

_STEEPEST = np.deg2rad(60)  # of a receive aperture's axis


class View(NamedTuple):
    """What is beamformed on its own.

    Attributes
    ----------
    data : ChannelData
        All transmits of one angle.
    transmit_angle : float [rad]
    aperture_axis : str or (3,)
    """

    data: ChannelData
    transmit_angle: float
    aperture_axis: Any


def vector_views(data: ChannelData, receive_angles: Any, bmode: dict[str, Any]) -> list[View]:
    """Each plane-wave angle seen by each receive aperture.

    Parameters
    ----------
    data : ChannelData
    receive_angles : sequence of float or None [rad]
    bmode : dict
        Options of `reconstruct_bmode`.

    Raises
    ------
    ArgumentError
        As `reconstruct_doppler`.
    """
    method = bmode.get("method", "das")
    if method != "das" and adaptive_method(method).finds_weights:
        raise ArgumentError(
            f"method: expected one that keeps the window's weights for 'vector', which needs the directions that an "
            f"aperture sees, got {adaptive_method(method).name!r}, which finds its own"
        )
    of_angle: dict[float, list[int]] = {}
    for i, transmit in enumerate(data.transmits):
        if transmit.direction is None:
            raise ArgumentError(
                f"kind: 'vector' expects plane waves of two angles or more, or receive_angles, got transmit {i} of "
                f"{data.n_tx} without a direction; data.select(transmits=...) picks"
            )
        angle = float(np.arctan2(transmit.direction[0], transmit.direction[2]))
        of_angle.setdefault(round(angle, 6), []).append(i)
    axes = [bmode.get("aperture_axis", "normal")]
    if receive_angles is not None:
        if not (isinstance(axes[0], str) and axes[0] == "normal"):
            raise ArgumentError(f"receive_angles: expected none beside an aperture_axis, got both ({axes[0]!r})")
        if bmode.get("f_number") == 0:
            raise ArgumentError(
                "f_number: expected one above 0 with receive_angles, which are those of apertures, got 0"
            )
        if not np.size(receive_angles):
            raise ArgumentError("receive_angles: expected at least one angle, got none")
        angles = array(
            "receive_angles", np.atleast_1d(receive_angles), (None,), low=-_STEEPEST, high=_STEEPEST, unit="rad"
        )
        axes = [(float(np.sin(a)), 0.0, float(np.cos(a))) for a in np.unique(angles)]
    if len(of_angle) * len(axes) < 2:
        raise ArgumentError(
            f"kind: 'vector' expects plane waves of two angles or more, or receive_angles, got {len(of_angle)} in "
            f"{data.n_tx} transmits and {len(axes)} receive aperture{'s' * (len(axes) > 1)}"
        )
    parts = [(data.select(transmits=chosen), angle) for angle, chosen in of_angle.items()]
    return [View(part, angle, axis) for part, angle in parts for axis in axes]


def seen_directions(
    views: list[View], grid: Grid | SectorGrid, wavelength: float, bmode: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions for `solved_directions`, and 0 where a view sees nothing, else 1.

    Parameters
    ----------
    views : list of View
    grid : Grid or SectorGrid
        Of the image.
    wavelength : float [m]
    bmode : dict
        Options of `reconstruct_bmode`.

    Returns
    -------
    directions : (2, n_views, *grid.shape) float64
    weights : (n_views, *grid.shape) float64
    """
    directions, weights = [], []
    for view in views:
        probe = view.data.probe
        f_number = receive_f_number(probe, bmode.get("f_number"), view.aperture_axis)
        window = bmode.get("window")
        rx = receive_directions(
            grid,
            probe,
            f_number=f_number,
            window=("hann" if f_number else "boxcar") if window is None else window,
            aperture_axis=view.aperture_axis,
            beam_origins=beam_origins(view.data.transmits, probe),
            wavelength=wavelength,
        )
        tx = np.array([np.sin(view.transmit_angle), np.cos(view.transmit_angle)])
        directions.append(0.5 * (tx[:, None, None] + rx))
        weights.append((np.abs(rx).sum(axis=0) > 0).astype(float))
    return np.stack(directions, axis=1), np.stack(weights)
