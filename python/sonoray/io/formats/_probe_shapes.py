"""What kind of probe elements make where a file gives places alone: kinds choose grids and apertures by default."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..._checks import option
from ...acquisition.probes import KINDS, Probe
from ...acquisition.transmits import Transmit

_FLAT = 1e-7  # m; single precision of centimetres is 1e-9
_FINE = 0.6  # wavelengths: the pitch below which probes are made to steer
_STEEP = np.deg2rad(20.0)  # plane waves that linear probes seldom send
_LEAST_OF_AN_ARC = 8  # elements; fewer lie on some circle too easily


def given_kind(kind: str | None) -> str | None:
    """A reader's option, checked."""
    return None if kind is None else option("kind", kind, KINDS)


def shaped(positions: NDArray[np.float64]) -> tuple[str, NDArray[np.float64] | None]:
    """Kind and normals of elements in the plane y = 0: on a line along x, on a convex arc, or neither ("free", None).

    An arc is the circle of least squares, z falling to both sides, that all elements lie on within a twentieth of the
    pitch; its normals are its radii.
    """
    if np.ptp(positions[:, 1:], axis=0).max() <= _FLAT:
        return "linear", None
    if len(positions) < _LEAST_OF_AN_ARC or np.ptp(positions[:, 1]) > _FLAT:
        return "free", None
    middle = positions.mean(axis=0)
    x, z = (positions - middle)[:, 0], (positions - middle)[:, 2]
    size = float(np.hypot(x, z).max())
    matrix = np.stack([2 * x, 2 * z, np.full(len(x), size)], axis=1)
    (cx, cz, rest), *_ = np.linalg.lstsq(matrix, x**2 + z**2, rcond=None)
    radius = float(np.sqrt(max(rest * size + cx**2 + cz**2, 0.0)))
    away = np.stack([x - cx, np.zeros(len(x)), z - cz], axis=1)
    ranges = np.linalg.norm(away, axis=1)
    turn = np.arctan2(away[:, 0], away[:, 2])
    steps = np.diff(turn)
    ordered = (steps > 0).all() or (steps < 0).all()
    if not ordered or np.abs(turn).max() > np.pi / 2 or not 1e-3 <= radius <= 1.0:
        return "free", None
    if np.abs(ranges - radius).max() > 0.05 * radius * float(np.abs(steps).mean()):
        return "free", None
    return "curvilinear", away / ranges[:, None]


def with_kind(
    probe: Probe,
    transmits: Iterable[Transmit],
    wavelength: float,
    kind: str | None,
    *,
    sector: bool = False,
) -> Probe:
    """The probe with the kind that the caller gives, or "phased" for a linear one that steers.

    Parameters
    ----------
    probe : Probe
    transmits : iterable of Transmit
    wavelength : float [m]
        0 where it is not known.
    kind : str or None
    sector : bool
        The file has a sector scan beside the data.
    """
    if kind is None and probe.kind == "linear" and probe.n_elements > 1 and 0 < probe.pitch <= _FINE * wavelength:
        kind = "phased" if sector or any(_steers(t, probe) for t in transmits) else None
    return probe if kind is None or kind == probe.kind else replace(probe, kind=kind)


def _steers(transmit: Transmit, probe: Probe) -> bool:
    """Whether a wave leaves what lies straight ahead of the elements."""
    if transmit.direction is not None:
        return bool(np.arctan2(abs(transmit.direction[0]), transmit.direction[2]) > _STEEP)
    if transmit.focus is None:
        return False
    ends = probe.positions[:, 0]
    return transmit.kind == "diverging" or not ends.min() <= transmit.focus[0] <= ends.max()
