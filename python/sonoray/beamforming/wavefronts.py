"""Straight-path arrival times of the wavefronts that have a formula."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from .apodization import beam_axis
from .huygens import Aperture, smooth_step, wave_arrival
from .lens import lens_delay

_FIT_STEPS = 8  # to the focus that the elements' waves make; each shrinks the distance to it by the medium's contrast


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
        element = np.array([t.element])
        offsets = probe.offsets(points, element)
        time = np.linalg.norm(offsets[:, 0], axis=1) / c
        return np.asarray(time + lens_delay(probe, offsets, 1 / c, element)[:, 0])
    if t.kind == "plane":
        return _plane(t, probe, points, c, c_sequence)
    other_speed = abs(c - c_sequence) > 1e-9 * c
    if t.kind == "delays" or other_speed or probe.lens_thickness or probe.lines is not None:
        return None
    assert t.focus is not None
    at_origin = np.linalg.norm(t.origin - t.focus)
    if t.kind == "diverging":
        return np.asarray((np.linalg.norm(points - t.focus, axis=1) - at_origin) / c)
    firing = probe.positions[t.weights(probe) != 0]
    return np.asarray((at_origin + _signed_distance(points, t.focus, firing, beam_axis(t, firing), wavelength)) / c)


@dataclass(frozen=True, eq=False)
class FocusModel:
    """What the closed form around a focus adds to the Huygens wave of the same elements, on straight paths.

    Within the depth and the waist of a focus phi of `huygens` need not be stationary, and neither its minimum nor
    its maximum is the wave: the closed form's flat wave is. Since both are taken at one focus, with the same elements,
    the difference vanishes where phi is stationary, and the wave in a constant medium becomes the closed form.

    Parameters
    ----------
    focus : (3,) float64 [m]
        Where the waves meet in truth.
    firing : (n, 3) float64 [m]
        Firing elements.
    speed : float [m/s]
    wavelength : float [m]
    line : (3,) float64 [m], optional
        Along which long elements lie: the model holds in the plane across it.
    """

    focus: NDArray[np.float64]
    firing: NDArray[np.float64]
    speed: float
    wavelength: float
    line: NDArray[np.float64] | None = None

    def excess(self, aperture: Aperture, points: NDArray[np.float64], flat_time: float) -> NDArray[np.float64]:
        """Closed form minus Huygens at ``points`` (n_points, 3) [m], (n_points,) [s]."""
        if self.line is not None:
            along = self.line / np.linalg.norm(self.line)
            points = points - np.outer((points - self.focus) @ along, along)
        axis = self.focus - self.firing.mean(axis=0)
        axis = axis / np.linalg.norm(axis)
        closed = _signed_distance(points, self.focus, self.firing, axis, self.wavelength)
        squares = ((points[:, None, k] - self.firing[None, :, k]) ** 2 for k in range(3))
        phase = np.sqrt(sum(squares)) - np.linalg.norm(self.firing - self.focus, axis=1)
        composed, _ = wave_arrival(aperture, phase / self.speed, focusing=True, flat_time=flat_time)
        return np.asarray(closed / self.speed - composed)


def true_focus(
    focus: NDArray[np.float64],
    firing: NDArray[np.float64],
    fired: NDArray[np.float64],
    travel: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    speed: float,
) -> NDArray[np.float64]:
    """Point near the intended ``focus`` (3,) [m] where the elements' waves arrive together most nearly.

    Parameters
    ----------
    focus : (3,) float64 [m]
    firing : (n, 3) float64 [m]
        Firing elements.
    fired : (n,) float64 [s]
        Firing times.
    travel : callable
        (1, 3) float64 [m] to the travel times to the firing elements in the true medium, (1, n) [s].
    speed : float [m/s]
        Mean, for the slope of travel times.

    Returns
    -------
    (3,) float64 [m]
    """
    best, smallest, p = focus, np.inf, focus
    longest = 0.3 * float(np.linalg.norm(focus - firing.mean(axis=0)))
    for _ in range(_FIT_STEPS):
        phase = fired + travel(p[None])[0]
        rest = phase - phase.mean()
        if not rest @ rest < smallest:
            break
        best, smallest = p, float(rest @ rest)
        ray = p - firing
        slope = ray / np.maximum(np.linalg.norm(ray, axis=1), 1e-9)[:, None] / speed
        # Directions that the aperture does not resolve (out of a row's plane, a nearly plane wave's depth) stay.
        step = np.linalg.lstsq(slope - slope.mean(axis=0), -rest, rcond=1e-3)[0]
        p = p + step * min(1.0, longest / max(float(np.linalg.norm(step)), 1e-12))
    return best


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


def _plane(
    t: Transmit, probe: Probe, points: NDArray[np.float64], c: float, c_sequence: float
) -> NDArray[np.float64] | None:
    assert t.direction is not None
    if not probe.lens_thickness and abs(c - c_sequence) <= 1e-9 * c:
        return np.asarray((points - t.origin) @ t.direction / c)
    flat = _refracted_plane(t, probe, points, c, c_sequence)
    if flat is None or not probe.lens_thickness:
        return flat
    normal = probe.normals[0]  # the lens keeps the slowness along the array
    along = (t.direction - (t.direction @ normal) * normal) / c_sequence
    steep = 1.0 / probe.lens_sound_speed**2 - along @ along
    return None if steep <= 0 else flat + probe.lens_thickness * np.sqrt(steep)


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
