"""Time stepping of the 2-D acoustic equations, compiled by Devito."""

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from .scheme import HALF_WIDTH, derivative_weights

_CHUNK = 64  # steps between two looks at progress and interrupts: well below a second


def require_devito() -> Any:
    """Devito, or the name of the extra that brings it."""
    try:
        import devito
    except ImportError as error:
        raise MissingExtraError(f"simulation needs Devito ({error}): pip install 'sonoray[sim]'") from None
    return devito


@contextmanager
def _own_floating_point_mode() -> Iterator[None]:
    """Give the thread its floating-point mode back: the compiled kernels switch denormal numbers off for good."""
    name = ctypes.util.find_library("m")
    try:
        libm = ctypes.CDLL(name) if name else None
        get, set_ = (libm.fegetenv, libm.fesetenv) if libm else (None, None)
    except (OSError, AttributeError):
        get = set_ = None
    saved = ctypes.create_string_buffer(256)  # larger than any platform's fenv_t
    if get and set_:
        get(saved)
    try:
        yield
    finally:
        if get and set_:
            set_(saved)


def layer_decay(n: int, layer: int, spacing: float, step: float, sound_speed: float, shift: float) -> NDArray[Any]:
    """Factor exp(-sigma dt / 2) at the ``n`` nodes of one axis; cubic profile, round-trip reflection 1e-6."""
    depth = np.maximum(layer - (np.arange(n) + shift), (np.arange(n) + shift) - (n - 1 - layer))
    depth = np.clip(depth / layer, 0, None)
    strongest = -np.log(1e-6) * 4 * sound_speed / (2 * layer * spacing)
    return np.exp(-0.5 * step * strongest * depth**3).astype(np.float32)


class Propagator:
    """Leapfrog steps of pressure and particle velocity on staggered nodes.

    rho dv/dt + grad p = f,  1/(rho c^2) dp/dt + div v = 0, in a split perfectly matched layer at all sides.
    p is at the nodes, v_x and v_z half a spacing further along their axis.

    Parameters
    ----------
    sound_speed, density : (n_x, n_z) float64
        At the nodes, layers included.
    spacing : float [m]
    step : float [s]
    layer : int
        Nodes of the absorbing layer.
    receivers : (n,) int
        Flat indices of the nodes where pressure is recorded.
    forces : two pairs (nodes (n,) int, weights)
        Flat indices of the v_x and the v_z nodes where forces act.
    n_steps, n_firing : int
        Steps in all, and those during which forces act.

    References
    ----------
    .. [1] J. Virieux, P-SV wave propagation in heterogeneous media, Geophysics 51, 889 (1986).
    .. [2] J.-P. Berenger, A perfectly matched layer for the absorption of electromagnetic waves, J. Comput. Phys.
       114, 185 (1994).
    """

    def __init__(
        self,
        sound_speed: NDArray[np.float64],
        density: NDArray[np.float64],
        *,
        spacing: float,
        step: float,
        layer: int,
        receivers: NDArray[np.intp],
        forces: tuple[NDArray[np.intp], NDArray[np.intp]],
        n_steps: int,
        n_firing: int,
    ) -> None:
        self._devito = devito = require_devito()
        self._n_steps, self._n_firing, self._step = n_steps, n_firing, step
        shape = sound_speed.shape
        with devito.switchconfig(log_level="ERROR"), _own_floating_point_mode():
            grid = devito.Grid(shape=shape, extent=tuple(float(n - 1) for n in shape), dtype=np.float32)
            order = {"grid": grid, "time_order": 1, "space_order": 2 * HALF_WIDTH}
            self._fields = [devito.TimeFunction(name=name, **order) for name in ("p_x", "p_z", "v_x", "v_z")]
            px, pz, vx, vz = self._fields
            # Buoyancy between nodes is the inverse of the mean density, so that a step in density stays second order.
            mean = [
                0.5 * (density + np.concatenate([density[1:], density[-1:]])),
                0.5 * (density + np.concatenate([density[:, 1:], density[:, -1:]], axis=1)),
            ]
            kick = [(step / spacing / m).astype(np.float32) for m in mean]
            squeeze = (step / spacing * density * sound_speed**2).astype(np.float32)
            update = self._update_equations(grid, kick, squeeze, layer, spacing, float(sound_speed.max()))
            # One record per stage: Devito wants everything in an operator to last equally long.
            self._records = [self._points(f"record{i}", grid, receivers, n) for i, n in enumerate((n_firing, n_steps))]
            early, late = (points.interpolate(expr=px + pz) for points in self._records)
            inject: list[Any] = []
            self._drives: list[tuple[Any, Any] | None] = []
            for name, field, nodes, k in (("force_x", vx, forces[0], kick[0]), ("force_z", vz, forces[1], kick[1])):
                if nodes.size:
                    points = self._points(name, grid, nodes, n_firing)
                    inject.append(points.inject(field=field.forward, expr=points))
                    # step / rho / spacing^2: a force on one node is spread over one cell.
                    self._drives.append((points, k.ravel()[nodes] / spacing))
                else:
                    self._drives.append(None)
            self._firing = devito.Operator([early, *update[:2], *inject, *update[2:]], name="sonoray_firing")
            self._free = devito.Operator([late, *update], name="sonoray_free")

    def _points(self, name: str, grid: Any, nodes: NDArray[np.intp], n: int) -> Any:
        points = self._devito.SparseTimeFunction(name=name, grid=grid, npoint=len(nodes), nt=n)
        points.coordinates.data[:] = np.stack(np.unravel_index(nodes, grid.shape), axis=1)
        return points

    def _update_equations(self, grid: Any, kick: Any, squeeze: Any, layer: int, spacing: float, c: float) -> list[Any]:
        devito = self._devito
        x, z = grid.dimensions
        px, pz, vx, vz = self._fields

        def on_nodes(name: str, values: NDArray[np.float32]) -> Any:
            function = devito.Function(name=name, grid=grid, space_order=0)
            function.data[:] = values
            return function

        def decay(name: str, axis: int, shift: float) -> Any:
            dimension, n = grid.dimensions[axis], grid.shape[axis]
            function = devito.Function(name=name, grid=grid, dimensions=(dimension,), shape=(n,), space_order=0)
            function.data[:] = layer_decay(n, layer, spacing, self._step, c, shift)
            return function

        def difference(field: Any, axis: Any, ahead: int) -> Any:
            """Spacing times the derivative, half a node ahead (1: nodes to velocities) or behind (0)."""
            h = axis.spacing
            return sum(
                a * (field._subs(axis, axis + (k + ahead) * h) - field._subs(axis, axis + (ahead - k - 1) * h))
                for k, a in enumerate(derivative_weights())
            )

        bx, bz, kappa = on_nodes("b_x", kick[0]), on_nodes("b_z", kick[1]), on_nodes("kappa", squeeze)
        ax, az, ahx, ahz = decay("a_x", 0, 0), decay("a_z", 1, 0), decay("ah_x", 0, 0.5), decay("ah_z", 1, 0.5)
        pressure = px + pz
        return [
            devito.Eq(vx.forward, ahx * (ahx * vx - bx * difference(pressure, x, 1))),
            devito.Eq(vz.forward, ahz * (ahz * vz - bz * difference(pressure, z, 1))),
            devito.Eq(px.forward, ax * (ax * px - kappa * difference(vx.forward, x, 0))),
            devito.Eq(pz.forward, az * (az * pz - kappa * difference(vz.forward, z, 0))),
        ]

    def run(
        self, drives: tuple[NDArray[Any] | None, NDArray[Any] | None], progress: Callable[[float], None] | None
    ) -> NDArray[np.float32]:
        """Fire once from rest.

        Parameters
        ----------
        drives : two of (n_firing, n nodes) float32 [N/m], or None where no force acts
        progress : callable, optional
            Called with the fraction done; an exception raised in it (or Ctrl-C) ends the run.

        Returns
        -------
        (n_steps, n receivers) float32 [Pa]
        """
        for field in self._fields:
            field.data_with_halo[:] = 0
        for target, values in zip(self._drives, drives, strict=True):
            if target is not None and values is not None:
                points, scale = target
                points.data[:] = values * scale
        first = 0
        while first < self._n_steps:
            firing = first < self._n_firing
            end = min(first + _CHUNK, self._n_firing if firing else self._n_steps)
            operator = self._firing if firing else self._free
            with self._devito.switchconfig(log_level="ERROR"), _own_floating_point_mode():
                operator.apply(time_m=first, time_M=end - 1)
            first = end
            if progress is not None:
                progress(first / self._n_steps)
        early, late = (np.asarray(points.data) for points in self._records)
        return np.concatenate([early, late[self._n_firing :]])
