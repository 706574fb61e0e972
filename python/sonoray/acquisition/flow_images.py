"""Flow as images hold it: velocities along the beam or in the plane, power, and what is painted of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..media.grids import Grid


@dataclass(frozen=True, eq=False)
class VectorVelocity:
    """Velocities in the image plane, and how well the directions determine them.

    Parameters
    ----------
    velocity : (2, ...) float32 [m/s]
        Along x and z; z points away from the probe. 0 where the directions or weights determine nothing.
    residual : (...) float32 [m/s]
        Weighted root mean square of what the measured velocities deviate from those of ``velocity``; always 0 for two
        directions.
    condition : (...) float32
        Condition number of the equations, largest over smallest singular value: by how much errors along the weakest
        direction exceed those along the strongest. Infinite where nothing is determined.
    """

    velocity: NDArray[np.float32]
    residual: NDArray[np.float32]
    condition: NDArray[np.float32]


class FlowImages(NamedTuple):
    """What `reconstruct_doppler` found, one image for each ensemble, on Cartesian points.

    Attributes
    ----------
    velocity : (n_images, n_x, n_z) float32 [m/s]
        Positive towards the probe; 0 outside a sector, and where an ensemble has too few dimensions left behind the
        wall filter ("power", and filters whose rank the data decide).
    power : (n_images, n_x, n_z) float32
        Behind the wall filter, in the square of the samples' unit.
    variance : (n_images, n_x, n_z) float32
        1 - |R1| / R0, from 0 (steady) to 1.
    bmode : (n_images, n_x, n_z) uint8
    picture : (n_images, n_x, n_z, 3) uint8
        Flow painted over ``bmode``.
    painted : (n_images, n_x, n_z) bool
        Where. Of vectors not where the directions determine them too badly: where the spread of the measured
        velocities, that condition numbers magnify, exceeds 2.5 Nyquist velocities, or they contradict each other by
        half of one.
    grid : Grid
    nyquist : float [m/s]
        What velocities along the beam alias beyond.
    limit : float [m/s]
        The end of the colour bar: the Nyquist velocity, or what 99 % of the painted velocities stay below where these
        are vectors or unwrapped, whichever is larger.
    image_rate : float [Hz]
        Ensembles per second.
    color_map : str
        Of ``picture``, see `map_colors`.
    vectors : list of VectorVelocity, optional
        For "vector": velocities along x and z of each ensemble, on ``grid``. ``velocity`` then is the speed.
    """

    velocity: NDArray[np.float32]
    power: NDArray[np.float32]
    variance: NDArray[np.float32]
    bmode: NDArray[np.uint8]
    picture: NDArray[np.uint8]
    painted: NDArray[np.bool_]
    grid: Grid
    nyquist: float
    limit: float
    image_rate: float
    color_map: str
    vectors: list[VectorVelocity] | None = None
