"""What a probe's lens adds to travel times: the same formula as in the compiled beamformer, in float64."""

import numpy as np
from numpy.typing import NDArray

from ..acquisition.probes import Probe

_STEPS = 5  # of Newton's method: below 0.01 ns also through a fast lens
_GRAZING = 0.9999  # of the largest horizontal slowness


def lens_delay(
    probe: Probe, offsets: NDArray[np.float64], slowness: float | NDArray[np.float64], elements: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Time that the lens adds to paths which start at its outer face.

    The lens is flat around every element: a layer of constant thickness h and slowness l across the normal. With x
    the offset from the normal, z the depth along it and n the medium's slowness, the refracted path takes

        max over q of  x q + h sqrt(l^2 - q^2) + z sqrt(n^2 - q^2),

    q being the horizontal slowness that both sides share (Snell); the straight path without lens takes n |p - e|.

    Parameters
    ----------
    probe : Probe
    offsets : (n_points, n, 3) float64 [m]
        From the elements to the points, `Probe.offsets`.
    slowness : float or (n_points, n) [s/m]
        Mean slowness of each path in the medium.
    elements : (n,) int

    Returns
    -------
    (n_points, n) float64 [s]
        Zero without a lens.
    """
    if not probe.lens_thickness:
        return np.zeros(offsets.shape[:2])
    thickness, lens = probe.lens_thickness, 1.0 / probe.lens_sound_speed
    n = np.broadcast_to(slowness, offsets.shape[:2])
    distance = np.linalg.norm(offsets, axis=2)
    along = (offsets * probe.normals[elements]).sum(axis=2)
    x, z = np.linalg.norm(np.cross(offsets, probe.normals[elements]), axis=2), np.maximum(along, 0.0)
    most = _GRAZING * np.minimum(n, lens)
    # Either layer alone would need this q to reach x: both are above the path's, and Newton's method stays above.
    q = np.minimum(n * x / np.maximum(distance, 1e-9), lens * x / np.hypot(x, thickness))
    q = np.minimum(q, most)
    for _ in range(_STEPS):
        in_lens, in_medium = 1 / np.sqrt(lens**2 - q**2), 1 / np.sqrt(n**2 - q**2)
        slope = x - q * (thickness * in_lens + z * in_medium)
        q = np.clip(q + slope / (thickness * lens**2 * in_lens**3 + z * n**2 * in_medium**3), 0.0, most)
    refracted = x * q + thickness * np.sqrt(lens**2 - q**2) + z * np.sqrt(n**2 - q**2)
    return np.asarray(refracted - n * distance)
