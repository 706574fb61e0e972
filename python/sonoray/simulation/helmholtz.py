"""Transmission data of rings and other arrays from the 2-D Helmholtz equation, one frequency at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from .._checks import array, scalar
from ..errors import ArgumentError
from ..media.medium import Medium
from .scheme import SINC_RADIUS, point_weights

_FEWEST_POINTS = 3.9  # per wavelength
_LAYER_DAMPING = 7.0  # Np, there and back
_MARGIN = 0.05  # of the sound speed's range for which the stencil is fitted
_MAX_NODES = 700_000  # a factorization of 465 x 465 nodes takes 0.7 GB


def simulate_helmholtz(
    medium: Medium,
    positions: Any,
    frequencies: Any,
    *,
    emitters: Sequence[int] | None = None,
    layer: float = 3.0,
    exponent: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.complex128]:
    """Pressure between all pairs of point elements by the Helmholtz equation, all scattering included.

    (laplace + k^2) p = -delta with the time factor exp(-i omega t): waves leave as exp(+i k r), and in a homogeneous
    medium p = (i / 4) H0^(1)(k r). Beyond the medium's grid its border values continue into an absorbing layer.

    Parameters
    ----------
    medium : Medium
        2-D, with the same spacing along both axes; its grid is the computation's. Constant density.
    positions : (n, 3) float64 [m]
        Elements: transparent points anywhere in the grid; y is ignored.
    frequencies : (n_f,) float64 [Hz]
    emitters : sequence of int, optional
        Which elements emit; all receive. Default: all.
    layer : float
        Thickness of the absorbing layer in wavelengths, at least 0.5. The default reflects about 0.2 %.
    exponent : float, optional
        Of the absorption's power law; needed if the medium has absorption. The sound speed holds at every frequency
        (no dispersion).
    progress : callable, optional
        Called after each frequency with the fraction done.

    Returns
    -------
    (n_f, n_emitters, n) complex128
        0 where emitter and receiver are the same element (the field is infinite there).

    Raises
    ------
    ArgumentError
        3-D, different spacings, fewer than 3.9 nodes per wavelength, too many nodes, elements outside.

    Notes
    -----
    Compact nine-point operators L and M with laplace ~ M^-1 L: one sparse LU factorization of L + M k^2 per frequency
    serves all emitters. The weights are fitted to the medium's range of wave numbers, so that the phase speed is
    right to about 2e-4 at 5 nodes per wavelength and 7e-5 at 6; sources are multiplied by M, which keeps amplitudes
    right, and makes the result reciprocal to rounding (L and M commute). Elements between nodes are windowed sincs.
    465 x 465 nodes take 0.7 GB and 10 s per frequency on one core.

    References
    ----------
    .. [1] C.-H. Jo, C. Shin, J. H. Suh, An optimal 9-point, finite-difference, frequency-space, 2-D scalar wave
       extrapolator, Geophysics 61, 529 (1996).
    .. [2] I. Singer, E. Turkel, High-order finite difference methods for the Helmholtz equation, Comput. Methods
       Appl. Mech. Eng. 163, 343 (1998): compact operators on both sides.

    Examples
    --------
    >>> from sonoray import Grid, Medium
    >>> grid = Grid.from_extent(x=(-0.02, 0.02), z=(-0.02, 0.02), spacing=5e-4)
    >>> p = simulate_helmholtz(Medium(grid, 1500.0), [[-0.01, 0.0, 0.0], [0.01, 0.0, 0.0]], [400e3])
    >>> exact = 0.25j * scipy.special.hankel1(0, 2 * np.pi * 400e3 / 1500.0 * 0.02)
    >>> bool(abs(p[0, 0, 1] / exact - 1) < 5e-3), bool(abs(p[0, 0, 1] / p[0, 1, 0] - 1) < 1e-9)
    (True, True)
    """
    points, f = _checked(medium, positions, frequencies)
    chosen = np.arange(len(points)) if emitters is None else np.asarray(emitters)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1 or not chosen.size:
        raise ArgumentError(f"emitters: expected indices of elements, got {emitters!r}")
    if chosen.min() < 0 or chosen.max() >= len(points):
        raise ArgumentError(f"emitters: expected indices from 0 to {len(points) - 1}, got {chosen.tolist()}")
    thickness = scalar("layer", layer, 0.5, 20.0, "wavelengths")
    absorption = medium.absorption
    if absorption is not None and exponent is None:
        raise ArgumentError("exponent: expected the power of the absorption law, since the medium absorbs, got None")
    power = 0.0 if exponent is None else scalar("exponent", exponent, 0.0, 3.0, "(power)")
    h = medium.grid.spacing[0]
    border = float(np.median(_border(np.asarray(medium.sound_speed))))

    result = np.zeros((len(f), len(chosen), len(points)), np.complex128)
    for j, frequency in enumerate(f):
        pad = max(int(np.ceil(thickness * border / frequency / h)), SINC_RADIUS + 1)
        nodes = [n + 2 * pad for n in medium.grid.shape]
        if np.prod(nodes) > _MAX_NODES:
            raise ArgumentError(
                f"medium: expected at most {_MAX_NODES} nodes with the layer of {pad} nodes at {frequency:g} Hz, got "
                f"{nodes[0]} x {nodes[1]}"
            )
        k = 2 * np.pi * frequency / np.pad(np.asarray(medium.sound_speed, np.float64), pad, mode="edge") + 0j
        if absorption is not None:
            k += 1j * np.pad(np.asarray(absorption, np.float64), pad, mode="edge") * (frequency / 1e6) ** power
        k *= 1 + 1j * _layer(nodes, pad, thickness)
        laplace, mass = _operators(nodes, *stencil(h * k.real.min(), h * k.real.max()), h)
        origin = np.array(medium.grid.origin) - pad * h
        weights = point_weights(points, (nodes[0], nodes[1]), h, origin)
        lu = scipy.sparse.linalg.splu(
            (laplace + mass @ scipy.sparse.diags_array((k * k).ravel())).tocsc(),
            permc_spec="MMD_AT_PLUS_A",  # half the time and memory of COLAMD for a symmetric pattern
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        sources = -(mass @ weights[chosen].T).toarray().astype(np.complex128) / h**2
        result[j] = (weights @ lu.solve(sources)).T
        result[j, np.arange(len(chosen)), chosen] = 0.0
        if progress is not None:
            progress((j + 1) / len(f))
    return result


def stencil(low: float, high: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Nine-point weights of the Laplacian and the mass, fitted to wave numbers k h from ``low`` to ``high``.

    Returns
    -------
    laplace, mass : (centre, each of 4 sides, each of 4 corners)
        laplace is to be divided by the squared spacing; the mass sums to 1.
    """
    # The symbols are sums of e and f, which vanish for k = 0: L = a e + b f, M = 1 + p e + r f. Zero at the wanted
    # wave number, L + k^2 M = 0, is linear in the weights.
    q, angle = np.meshgrid(
        np.linspace((1 - _MARGIN) * low, (1 + _MARGIN) * high, 25), np.linspace(0, np.pi / 4, 17), indexing="ij"
    )
    x, y = np.cos(q * np.cos(angle)), np.cos(q * np.sin(angle))
    e, f = 2 * x + 2 * y - 4, 4 * x * y - 4
    columns = np.stack([e / q**2, f / q**2, e, f], axis=-1).reshape(-1, 4)
    a, b, p, r = (float(v) for v in np.linalg.lstsq(columns, -np.ones(len(columns)), rcond=None)[0])
    return (-4 * a - 4 * b, a, b), (1 - 4 * p - 4 * r, p, r)


def _checked(medium: Medium, positions: Any, frequencies: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not isinstance(medium, Medium):
        raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
    grid = medium.grid
    if grid.ndim != 2:
        raise ArgumentError(f"medium: expected a 2-D grid, got {grid.ndim}-D")
    h = grid.spacing[0]
    if abs(grid.spacing[1] - h) > 1e-9 * h:
        raise ArgumentError(f"medium: expected the same spacing along both axes, got {grid.spacing} m")
    f = array("frequencies", np.atleast_1d(frequencies), (None,), low=1e3, high=1e9, unit="Hz")
    if not f.size:
        raise ArgumentError("frequencies: expected at least one, got none")
    nodes = float(medium.sound_speed.min()) / (f.max() * h)
    if nodes < _FEWEST_POINTS:
        raise ArgumentError(
            f"medium: expected at least {_FEWEST_POINTS} nodes per wavelength at {f.max():g} Hz, got {nodes:.2f} "
            f"(spacing {h:g} m)"
        )
    points = array("positions", positions, (None, 3), low=-2.0, high=2.0, unit="m")
    outside = np.flatnonzero(~grid.contains(points))
    if outside.size:
        raise ArgumentError(
            f"positions: expected points inside the medium's grid, got {points[outside[0]].tolist()} (number "
            f"{outside[0]}, {outside.size} in all)"
        )
    return points[:, [0, 2]], f


def _border(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _layer(nodes: list[int], pad: int, thickness: float) -> NDArray[np.float64]:
    """Relative imaginary part of the wave number: 0 inside, rising cubically so that little is reflected."""
    depths = [
        np.maximum(0, np.maximum(pad - i, i - (n - 1 - pad))) / pad for n, i in ((n, np.arange(n)) for n in nodes)
    ]
    depth = np.maximum(depths[0][:, None], depths[1][None])
    # Attenuation there and back is 2 (2 pi thickness) (strength / 4).
    return np.asarray(_LAYER_DAMPING / (np.pi * thickness) * depth**3)


def _operators(
    nodes: list[int],
    laplace: tuple[float, float, float],
    mass: tuple[float, float, float],
    h: float,
) -> tuple[Any, Any]:
    """Sparse Laplacian [1/m^2] and mass matrix; fields are zero beyond the nodes."""
    ones = [scipy.sparse.eye_array(n) for n in nodes]
    twos = [scipy.sparse.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1]) for n in nodes]
    sides = scipy.sparse.kron(twos[0], ones[1]) + scipy.sparse.kron(ones[0], twos[1])
    corners = scipy.sparse.kron(twos[0], twos[1])
    unit = scipy.sparse.eye_array(nodes[0] * nodes[1])
    both = [(c * unit + s * sides + d * corners).tocsr() for c, s, d in (laplace, mass)]
    return both[0] / h**2, both[1]
