"""Straight-path arrival times of the wavefronts that have a formula."""

import numpy as np
from numpy.typing import NDArray

from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from .apodization import beam_axis
from .huygens import smooth_step


def closed_form(
    t: Transmit, probe: Probe, points: NDArray[np.float64], *, c: float, c_sequence: float, wavelength: float
) -> NDArray[np.float64] | None:
    """Arrival of a transmit on straight paths.

    Parameters
    ----------
    t : Transmit
    probe : Probe
    points : (n_points, 3) float64 [m]
    c, c_sequence : float [m/s]
        True speed, and the one with which the delays were computed.
    wavelength : float [m]
        For the depth of a focus.

    Returns
    -------
    (n_points,) float64 [s] or None
        None where no formula exists: the caller composes the wave from its elements.
    """
    if t.kind == "element":
        return np.asarray(np.linalg.norm(points - probe.positions[t.element], axis=1) / c)
    if t.kind == "delays":
        return None
    if abs(c - c_sequence) > 1e-9 * c:
        return _refracted_plane(t, probe, points, c, c_sequence) if t.kind == "plane" else None
    if t.kind == "plane":
        assert t.direction is not None
        return np.asarray((points - t.origin) @ t.direction / c)
    assert t.focus is not None
    at_origin = np.linalg.norm(t.origin - t.focus)
    if t.kind == "diverging":
        return np.asarray((np.linalg.norm(points - t.focus, axis=1) - at_origin) / c)
    firing = probe.positions[t.weights(probe) != 0]
    return np.asarray((at_origin + _signed_distance(points, t.focus, firing, beam_axis(t, firing), wavelength)) / c)


def _signed_distance(
    points: NDArray[np.float64],
    focus: NDArray[np.float64],
    firing: NDArray[np.float64],
    axis: NDArray[np.float64],
    wavelength: float,
) -> NDArray[np.float64]:
    """-|p - F| in front of the focus, +|p - F| behind it; within its depth the lateral part is faded out."""
    u = (points - focus) @ axis
    across = firing - np.outer(firing @ axis, axis)
    radius = float(np.linalg.norm(across - across.mean(axis=0), axis=1).max())
    f_number = np.linalg.norm(focus - firing.mean(axis=0)) / max(2 * radius, 1e-9)
    depth = 2 * wavelength * f_number**2  # where the sagitta over the aperture is a quarter period
    lateral = np.linalg.norm(points - focus, axis=1) - np.abs(u)
    return np.asarray(u + np.sign(u) * lateral * smooth_step(np.abs(u) / depth))


def _refracted_plane(
    t: Transmit, probe: Probe, points: NDArray[np.float64], c: float, c_sequence: float
) -> NDArray[np.float64] | None:
    """Plane wave from a flat array in another speed: delays keep the slowness along the array (Snell)."""
    assert t.direction is not None
    normal = probe.normals[0]
    offset = probe.positions - probe.positions[0]
    flat = np.abs(offset @ normal).max() <= 1e-9 and np.abs(probe.normals - normal).max() <= 1e-9
    along = t.direction - (t.direction @ normal) * normal
    slowness = along / c_sequence
    steep = 1.0 / c**2 - slowness @ slowness
    _, size, axes = np.linalg.svd(offset, full_matrices=False)
    spanned = axes[size > 1e-9].T
    controlled = np.linalg.norm(along - spanned @ (spanned.T @ along)) <= 1e-9
    if not flat or not controlled or steep <= 0 or t.direction @ normal <= 0:
        return None
    fires = np.flatnonzero(t.weights(probe))
    first = probe.positions[fires[0]]
    fired = t.firing_times(probe, c_sequence)[fires[0]]
    return np.asarray(fired + (points - first) @ (slowness + np.sqrt(steep) * normal))
