"""Weights: windows by name, and which points a transmit insonifies.

A transmit's beam is bounded by the rays from the ends of its firing aperture: through the focus, from the virtual
source, or along the plane wave. Inside, the weight is one; it falls to zero over a soft edge.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, option, scalar
from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from ..errors import ArgumentError

WINDOWS = ("boxcar", "hann", "hamming", "blackman", "tukey", "kaiser")
KAISER_BETA = 6.0


def window(name: str, u: Any, *, taper: float = 0.25, beta: float = KAISER_BETA) -> NDArray[np.float64]:
    """Window function of a position in the aperture.

    Parameters
    ----------
    name : {"boxcar", "hann", "hamming", "blackman", "tukey", "kaiser"}
    u : array_like
        Position; the window covers -1 to 1 and is zero outside.
    taper : float
        Fraction of a Tukey window that is tapered: 0 is a boxcar, 1 a Hann window.
    beta : float
        Of a Kaiser window: pi times its time-bandwidth product.

    Returns
    -------
    u.shape float64

    Raises
    ------
    ArgumentError
        Unknown name; ``taper`` outside 0 to 1, ``beta`` outside 0 to 50.

    References
    ----------
    .. [1] F. J. Harris, On the use of windows for harmonic analysis with the discrete Fourier transform,
       Proc. IEEE 66, 51 (1978), eqs. 21, 27, 30 and 38.
    """
    option("name", name, WINDOWS)
    a = scalar("taper", taper, 0.0, 1.0, "(fraction)")
    b = scalar("beta", beta, 0.0, 50.0, "(number)")
    r = np.abs(np.asarray(u, float))
    if name == "boxcar" or (name == "tukey" and a == 0):
        value = np.ones_like(r)
    elif name == "hann":
        value = 0.5 + 0.5 * np.cos(np.pi * r)
    elif name == "hamming":
        value = 0.54 + 0.46 * np.cos(np.pi * r)
    elif name == "blackman":
        value = np.maximum(0.42 + 0.5 * np.cos(np.pi * r) + 0.08 * np.cos(2 * np.pi * r), 0.0)
    elif name == "kaiser":
        value = np.i0(b * np.sqrt(np.maximum(1 - r**2, 0))) / np.i0(b)
    else:
        value = 0.5 + 0.5 * np.cos(np.pi * np.clip((r - 1 + a) / a, 0.0, 1.0))
    return np.where(r <= 1, value, 0.0)


def transmit_weight(
    transmit: Transmit, probe: Probe, points: Any, *, wavelength: float, edge: float = 0.25
) -> NDArray[np.float32]:
    """How far each point lies inside the beam of a transmit: 1 inside, 0 outside, between in a soft edge.

    Parameters
    ----------
    transmit : Transmit
        Single elements and free delays insonify everything.
    probe : Probe
    points : (..., 3) float64 [m]
    wavelength : float [m]
        Widens a focused beam at its waist to wavelength times f-number.
    edge : float
        Fraction of the beam's half-width that is tapered (Tukey), 0 to 1.

    Returns
    -------
    points.shape[:-1] float32

    Raises
    ------
    ArgumentError
        Points that are not (..., 3), an edge outside 0 to 1, a wavelength that is not in metres.
    """
    p = np.asarray(points, np.float64)
    if p.ndim < 1 or p.shape[-1] != 3:
        raise ArgumentError(f"points: expected shape (..., 3), got {p.shape}")
    array("points", p.reshape(-1, 3), (None, 3), low=-4, high=4, unit="m")
    wavelength = scalar("wavelength", wavelength, 1e-6, 0.1, "m")
    edge = scalar("edge", edge, 0.0, 1.0, "(fraction)")
    firing = probe.positions[transmit.weights(probe) != 0]
    if transmit.kind in ("element", "delays") or len(firing) < 2:
        return np.ones(p.shape[:-1], np.float32)
    weight = np.ones(p.shape[:-1])
    axis = beam_axis(transmit, firing)
    for lateral in _lateral_axes(firing, axis):
        if transmit.kind == "plane":
            u = _plane_position(p, firing, lateral)
        else:
            u = _source_position(p, firing, transmit, axis=axis, lateral=lateral, wavelength=wavelength)
        weight *= window("tukey", u, taper=edge)
    if probe.lines is not None:  # long elements send nothing beyond their ends
        line = probe.lines[np.flatnonzero(transmit.weights(probe))[0]]
        weight *= window("tukey", (p - firing.mean(axis=0)) @ line / (line @ line), taper=edge)
    return weight.astype(np.float32)


def nearest_weight(transmits: Sequence[Transmit], probe: Probe, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """One for the transmits whose line passes nearest to a point, zero for the others.

    Parameters
    ----------
    transmits : sequence of Transmit, n_tx long
        Focused.
    probe : Probe
    points : (n_points, 3) float64 [m]

    Returns
    -------
    (n_tx, n_points) float32
        Lines equally near share the point.

    Raises
    ------
    ArgumentError
        A transmit that is not focused.
    """
    distance = np.empty((len(transmits), len(points)))
    for i, t in enumerate(transmits):
        if t.kind != "focused" or t.focus is None:
            raise ArgumentError(f"weighting: 'nearest' needs focused transmits, got a {t.kind!r} one")
        axis = beam_axis(t, probe.positions[t.weights(probe) != 0])
        distance[i] = np.linalg.norm(np.cross(points - t.focus, axis), axis=1)
    nearest = distance <= distance.min(axis=0) + 1e-8
    return (nearest / nearest.sum(axis=0)).astype(np.float32)


def beam_axis(transmit: Transmit, firing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector along which the beam of the ``firing`` elements (n, 3) [m] travels, (3,)."""
    if transmit.kind == "plane":
        assert transmit.direction is not None
        return transmit.direction
    assert transmit.focus is not None
    sign = 1.0 if transmit.kind == "focused" else -1.0
    axis = sign * (transmit.focus - firing.mean(axis=0))
    length = np.linalg.norm(axis)
    if length < 1e-9:
        raise ArgumentError(f"focus: expected a point away from the aperture's centre, got {transmit.focus}")
    return np.asarray(axis / length)


def _lateral_axes(firing: NDArray[np.float64], axis: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Unit vectors across the beam along which the aperture has an extent: one for a row, two for a matrix."""
    across = firing - firing.mean(axis=0)
    across = across - np.outer(across @ axis, axis)
    _, size, vectors = np.linalg.svd(across, full_matrices=False)
    return [v for s, v in zip(size, vectors, strict=True) if s > 1e-6 * max(size[0], 1e-12)]


def _plane_position(
    p: NDArray[np.float64], firing: NDArray[np.float64], lateral: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Position across the footprint of a plane wave, -1 to 1 inside: parallel projection of the aperture."""
    ends = firing @ lateral
    middle, half = 0.5 * (ends.max() + ends.min()), 0.5 * np.ptp(ends)
    return np.asarray((p @ lateral - middle) / half)


def _source_position(
    p: NDArray[np.float64],
    firing: NDArray[np.float64],
    transmit: Transmit,
    *,
    axis: NDArray[np.float64],
    lateral: NDArray[np.float64],
    wavelength: float,
) -> NDArray[np.float64]:
    """Position across the beam through a real or virtual source, -1 to 1 inside."""
    assert transmit.focus is not None
    from_source = p - transmit.focus
    u, v = from_source @ axis, from_source @ lateral
    e = firing - transmit.focus
    e_u, e_v = e @ axis, e @ lateral
    if transmit.kind == "diverging":
        # Angles, since a source near the aperture sees it under nearly 180 degrees.
        angles = np.arctan2(e_v, e_u)
        middle, half = 0.5 * (angles.max() + angles.min()), 0.5 * np.ptp(angles)
        return np.asarray((np.arctan2(v, u) - middle) / max(half, 1e-9))
    slopes = e_v / np.minimum(e_u, -1e-9)  # of the rays from the elements through the focus
    middle, half = 0.5 * (slopes.max() + slopes.min()), 0.5 * np.ptp(slopes)
    waist = wavelength / max(2 * half, 1e-9)  # wavelength times f-number
    return np.asarray((v - middle * u) / np.hypot(half * u, waist))
