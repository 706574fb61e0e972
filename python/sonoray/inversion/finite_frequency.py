"""Finite-frequency travel times: delays of pulses, which feel a zone around the ray and not only the ray."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .._arrays import to_device, to_host
from .._backends import backend, place
from .._checks import array, scalar
from .._scipy import FlatOperator
from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.eikonal import EikonalSolver

_BLOCK = 64  # nodes, as in the compiled core
_TILE = 8  # nodes along an axis of a block in 2-D
_MEMORY = 8e9  # [bytes]
_SAMPLES_PER_PERIOD = 64  # of the table, at the highest frequency: linear interpolation errs by 1e-3


class FiniteFrequencyOperator(FlatOperator):
    """Delay of a band-limited pulse between pairs of elements, linear in a change of slowness.

    delay_er = sum over nodes x of K_er(x) ds(x) dV, with the Born kernel of a travel time measured by
    cross-correlation [1]_ [2]_. In 2-D

    K = sqrt(R / (r_e r_r)) F(T_e + T_r - T_er),
    F(d) = <sqrt(w s / (2 pi)) sin(w d + pi/4)>,

    in 3-D K = R / (r_e r_r) F, F(d) = <w s / (2 pi) sin(w d)>. T_e, T_r are the first-arrival times from emitter and
    receiver to x in the background (eikonal), T_er between them, r and R the distances, s the slowness, and <> the
    mean over frequencies w with the weight w^2 power(w) of a cross-correlation. Summed over a constant slowness, K
    gives the length of the path: at high frequency the operator is that of rays.

    Parameters
    ----------
    grid : Grid
        Nodes of the slowness change.
    background : Medium or float [m/s]
        Around which the times are linearised: a smooth map whose grid holds the elements, or one sound speed.
    emitters, receivers : (n_tx, 3), (n_rx, 3) float64 [m]
    pairs : (n_tx, n_rx) bool
        Which pairs have a delay; the operator orders them as ``np.argwhere(pairs)``.
    frequencies, power : (n,) float64 [Hz], (n,) float64
        Power spectrum of the received pulses.
    mask : grid.shape bool, optional
        Nodes that may change; default all.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        Elements outside the background's grid, a spectrum without power, no pair, shapes that do not fit.

    Notes
    -----
    Cost of one application: pairs x nodes in the Fresnel zones (about a tenth to a fifth of the grid), 15 operations
    each. Memory: 8 bytes per element and node; the matrix is never stored. The decay with distance is that of a
    homogeneous medium.

    References
    ----------
    .. [1] H. Marquering, F. A. Dahlen, G. Nolet, Three-dimensional sensitivity kernels for finite-frequency
       traveltimes: the banana-doughnut paradox, Geophys. J. Int. 137, 805 (1999), eqs. 6 to 9.
    .. [2] N. Korta Martiartu, C. Boehm, A. Fichtner, 3-D wave-equation-based finite-frequency tomography for
       ultrasound computed tomography, IEEE Trans. Ultrason. Ferroelectr. Freq. Control 67, 1332 (2020).
    """

    def __init__(
        self,
        grid: Grid,
        background: Medium | float,
        emitters: Any,
        receivers: Any,
        pairs: Any,
        *,
        frequencies: Any,
        power: Any,
        mask: Any = None,
        device: str = "cpu",
    ) -> None:
        self.grid, self.device, self._module = grid, device, backend(device)
        ends = [array(n, v, (None, 3), low=-2.0, high=2.0, unit="m") for n, v in _named(emitters, receivers)]
        chosen = np.asarray(pairs)
        if chosen.dtype != bool or chosen.shape != (len(ends[0]), len(ends[1])):
            raise ArgumentError(
                f"pairs: expected bool of shape ({len(ends[0])}, {len(ends[1])}), got {chosen.dtype} {chosen.shape}"
            )
        if not chosen.any():
            raise ArgumentError("pairs: expected at least one pair, got none")
        self.mask = np.ones(grid.shape, bool) if mask is None else np.asarray(mask)
        if self.mask.dtype != bool or self.mask.shape != grid.shape or not self.mask.any():
            raise ArgumentError(f"mask: expected bool of shape {grid.shape} with at least one node")
        self.pairs = np.ascontiguousarray(np.argwhere(chosen), np.int32)
        order = _tiled(self.mask)
        self._rank = (np.cumsum(self.mask.ravel()) - 1)[order]  # of each packed node among the mask's in C order
        nodes = grid.points().reshape(-1, 3)[order]
        self._n = len(nodes)
        nodes = np.concatenate([nodes, np.repeat(nodes[-1:], -self._n % _BLOCK, axis=0)])
        if grid.ndim == 2:
            ends = [e * [1.0, 0.0, 1.0] for e in ends]
        times = _Times(background, ends)
        self.pair_time = times.between(0, ends[1])[tuple(self.pairs.T)]
        """Background time of every pair, (n_pairs,) float64 [s]."""
        distance = np.linalg.norm(ends[0][self.pairs[:, 0]] - ends[1][self.pairs[:, 1]], axis=1)
        self._tables = self._prepare(times, ends, nodes, distance, _spectrum(frequencies, power))

    def _prepare(self, times: "_Times", ends: Any, nodes: Any, distance: Any, spectrum: Any) -> list[Any]:
        half = self.grid.ndim == 2
        tables: list[Any] = []
        closest = max(self.grid.spacing)
        amplitudes: list[Any] = []
        size = 8 * len(nodes) * (len(ends[0]) + len(ends[1]))
        if size > _MEMORY:
            raise ArgumentError(
                f"grid: expected tables of at most {_MEMORY / 1e9:.0f} GB for this kernel, got {size / 1e9:.0f} GB "
                f"for {len(ends[0])} + {len(ends[1])} elements and {self._n} nodes; use a coarser grid, fewer elements "
                "or rays (kernel='ray')"
            )
        for which in (0, 1):
            if which and np.array_equal(ends[0], ends[1]):  # elements that transmit and receive
                tables.append(tables[0])
                amplitudes.append(amplitudes[0])
                break
            time, amplitude = (np.empty((len(ends[which]), len(nodes)), np.float32) for _ in range(2))
            for e, end in enumerate(ends[which]):  # one at a time: memory
                r = np.linalg.norm(nodes - end, axis=1)
                time[e] = times.between(which, nodes, r[None], slice(e, e + 1))[0]
                decay = 1 / np.maximum(r, closest)
                decay[self._n :] = 0.0
                amplitude[e] = np.sqrt(decay) if half else decay
            tables.append(time)
            amplitudes.append(amplitude)
        volume = float(np.prod(self.grid.spacing))
        scale = volume * (np.sqrt(distance) if half else distance)
        values, step = fresnel_table(spectrum[0], spectrum[1], times.slowness, self.grid.ndim)
        tables += [*amplitudes, self.pairs, self.pair_time.astype(np.float32), scale.astype(np.float32), values]
        if self.device != "cpu":
            tables = [to_device(t, self.device) for t in tables]
        return [*tables, step]

    @property
    def shape(self) -> tuple[int, int]:
        """(number of pairs, number of nodes in the mask)."""
        return len(self.pairs), self._n

    def __call__(self, change: Any) -> NDArray[np.float64]:
        """Delays (n_pairs,) [s] of a slowness change at the nodes of the mask, (n_nodes,) [s/m]."""
        values = array("change", change, (self._n,))
        packed = np.zeros(self._n + -self._n % _BLOCK, np.float32)
        packed[: self._n] = values[self._rank]
        return self._apply("finite_frequency_forward", packed, len(self.pairs))

    def adjoint(self, delays: Any) -> NDArray[np.float64]:
        """Transpose: (n_pairs,) to (n_nodes,)."""
        values = array("delays", delays, (len(self.pairs),), np.float32)
        image = self._apply("finite_frequency_adjoint", values, self._n + -self._n % _BLOCK)
        result = np.empty(self._n)
        result[self._rank] = image[: self._n]
        return result

    def _apply(self, name: str, values: NDArray[np.float32], n: int) -> NDArray[np.float64]:
        index = place(self.device)
        if self.device == "cpu":
            out = np.empty(n, np.float32)
            getattr(self._module, name)(*self._tables, values, out, index, 0)
            return out.astype(np.float64)
        result = self._module.empty([n], "float32", index)
        getattr(self._module, name)(*self._tables, to_device(values, self.device), result, index, 0)
        return to_host(result).astype(np.float64)


def fresnel_table(frequencies: Any, power: Any, slowness: float, ndim: int) -> tuple[NDArray[np.float32], float]:
    """Kernel F at detours 0, step, 2 step, ... [s], tapered to zero where it has died out, and the step.

    Parameters
    ----------
    frequencies, power : (n,) float64
        Evenly spaced [Hz].
    slowness : float [s/m]
    ndim : {2, 3}
    """
    w = 2 * np.pi * np.asarray(frequencies, float)
    weight = w**2 * np.asarray(power, float)
    weight = weight / weight.sum()
    step = 2 * np.pi / w[weight > 0][-1] / _SAMPLES_PER_PERIOD
    mean = float((weight * w).sum())
    bandwidth = max(float(np.sqrt((weight * (w - mean) ** 2).sum())), 0.05 * mean)
    # A pulse of bandwidth b has died out after a few 1 / b.
    reach = min(6.0 / bandwidth, 12 * np.pi / mean)
    detour = np.arange(int(np.ceil(reach / step)) + 1) * step
    if ndim == 2:
        f = (weight * np.sqrt(w * slowness / (2 * np.pi))) @ np.sin(w[:, None] * detour + np.pi / 4)
    else:
        f = (weight * w * slowness / (2 * np.pi)) @ np.sin(w[:, None] * detour)
    fade = np.clip((detour / detour[-1] - 0.6) / 0.4, 0.0, 1.0)
    return np.ascontiguousarray(f * np.cos(0.5 * np.pi * fade) ** 2, np.float32), float(step)


def _named(emitters: Any, receivers: Any) -> list[tuple[str, Any]]:
    return [("emitters", emitters), ("receivers", receivers)]


def _spectrum(frequencies: Any, power: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    f = array("frequencies", frequencies, (None,), low=1e3, high=1e9, unit="Hz")
    p = array("power", power, (len(f),))
    if (np.diff(f) <= 0).any():
        raise ArgumentError("frequencies: expected rising values")
    if (p < 0).any() or not p.sum() > 0:
        raise ArgumentError("power: expected values of at least 0 with a positive sum")
    return f, p


def _tiled(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat indices of the mask's nodes, small tiles one after the other, so that blocks of nodes are compact."""
    side = _TILE if mask.ndim == 2 else 4
    where = np.argwhere(mask)
    tile = where // side
    keys = [*where.T[::-1], *tile.T[::-1]]
    return np.asarray(np.flatnonzero(mask)[np.lexsort(keys)])


class _Times:
    """First-arrival times from emitters (0) and receivers (1) to any points, straight or by the eikonal solver."""

    def __init__(self, background: Medium | float, ends: list[NDArray[np.float64]]) -> None:
        self._ends = ends
        self._maps: list[Any] = [None, None]
        if isinstance(background, Medium):
            self._grid = background.grid
            self.slowness = float(np.mean(1.0 / background.sound_speed, dtype=np.float64))
            solver = EikonalSolver(background)
            same = ends[0].shape == ends[1].shape and np.array_equal(ends[0], ends[1])
            self._maps[0] = solver.mean_slowness(ends[0])
            self._maps[1] = self._maps[0] if same else solver.mean_slowness(ends[1])
        else:
            self.slowness = 1.0 / scalar("background", background, 300.0, 12000.0, "m/s")

    def between(
        self, which: int, points: NDArray[np.float64], distance: Any = None, some: slice = slice(None)
    ) -> NDArray[np.float64]:
        """Times (n_elements, n_points) [s]; the mean slowness is interpolated, which is smooth at the elements."""
        ends = self._ends[which][some]
        if distance is None:
            distance = np.linalg.norm(points[None] - ends[:, None], axis=2)
        if self._maps[which] is None:
            return np.asarray(distance * self.slowness)
        grid = self._grid
        axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]
        index = ((points[:, axes] - grid.origin) / grid.spacing).T
        mean = np.stack(
            [map_coordinates(m, index, np.float64, order=1, mode="nearest") for m in self._maps[which][some]]
        )
        return np.asarray(distance * mean)
