"""From the residuals of a level to a better map: ways to update a ray-Born reconstruction."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .born_level import Level
from .born_scene import Scene
from .born_settings import RayBornSettings
from .hessian_symbol import HessianSymbol
from .regularization import Gradient

_MISFIT = 0.05  # only sets the unit of the sets' weights
_ABSORBED = 1e-3  # [m] typical `Datum.absorbed`: absorption times this is penalised as (c_0 / c)^2 is

Vector = NDArray[np.float64]


@dataclass
class State:
    """Unknowns of a reconstruction and what an update remembers of the sets before.

    Parameters
    ----------
    chi : (n_nodes,) float64
        (c_0 / c)^2 - 1.
    absorption : (n_nodes,) float64 or None [Np/m at 1 MHz]
    memory : dict of arrays
    """

    chi: Vector
    absorption: Vector | None = None
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)


class Update(Protocol):
    """One step of a reconstruction."""

    def __call__(self, level: Level, state: State) -> None:
        """Improve the state by what a level says."""


def make_update(scene: Scene, settings: RayBornSettings) -> Update:
    """Return the update of the settings' method."""
    if settings.method == "single_step":
        return SingleStep(scene, settings)
    if settings.method == "gradient":
        return GradientStep(scene)
    return Averaged(scene, settings)


class GradientStep:
    """Steepest descent of the level's misfit, with the step that is best for the linearised data."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, level: Level, state: State) -> None:
        """See `Update`."""
        c0 = self._scene.sound_speed
        gradient = sum(d.transposed(d.residual, c0).real for d in level.data)
        top, bottom = 0.0, 0.0
        for d in level.data:
            change = d.forward(np.asarray(gradient, np.complex128), c0)
            top += float((d.weights * (np.conj(change) * d.residual).real).sum(dtype=np.float64))
            bottom += float((d.weights * np.abs(change) ** 2).sum(dtype=np.float64))
        if bottom > 0:
            state.chi = state.chi + (top / bottom) * gradient


class SingleStep:
    """Weighted back-projection with a fixed step: `BornOperator.backproject`.

    References
    ----------
    .. [1] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    """

    def __init__(self, scene: Scene, settings: RayBornSettings) -> None:
        self._scene, self._settings = scene, settings
        f = scene.spectra.frequencies
        self._spacing = 2 * np.pi * float(f[-1] - f[0]) / max(1, len(f) - 1)
        self._symbol = HessianSymbol(scene.grid, scene.mask, scene.radius, settings.largest_angle)
        middle = scene.elements.mean(axis=0)
        arms = scene.elements - middle
        self._normals = arms / np.linalg.norm(arms, axis=1, keepdims=True)
        self._pitch = tuple(2 * np.pi * scene.radius / len(w) for w in (scene.transmit, scene.receive))

    def __call__(self, level: Level, state: State) -> None:
        """See `Update`."""
        scene, s = self._scene, self._settings
        pitch: Any = self._pitch[0] if scene.both else self._pitch
        normals: Any = self._normals[scene.transmit]
        if not scene.both:
            normals = (normals, self._normals[scene.receive])
        total = np.zeros(scene.n_nodes)
        for d in level.data:
            wrong = -d.residual * (d.weights > 0) * d.water
            total += d.operator.backproject(wrong, s.weighting, pitch=pitch, normals=normals).real
        m = (1 + state.chi) / scene.sound_speed**2
        c = 1 / np.sqrt(m)
        there = 1 / np.sqrt(np.maximum(m + s.step * self._spacing * total, 0.1 * m))
        k = float(np.mean([d.wave_number for d in level.data]))
        change = self._symbol.low_pass(there - c, 2 * s.post_filter * k)
        state.chi = (scene.sound_speed / (c + change)) ** 2 - 1


class Averaged:
    """Total-variation regularised least squares over this set and, through the Hessian's symbol, all before.

    Around the map x_k at which set k was linearised, the misfit of its data is a quadratic in the map x:
    half (x - z_k)^T H_k (x - z_k) but for a constant, with H_k the Hessian, for which its symbol stands, g_k the
    negative gradient at x_k, and z_k = x_k + H_k^-1 g_k the map at which the data of set k alone would be content.

    Why quadratics of all sets are added up: a step to z_k would fit the map to one set and to its errors (noise,
    aliases of too few elements, scattering that the model lacks) and give up what the sets before had found. The misfit
    of all data is the sum over the sets, each divided by the variance of its errors, for which the square of its misfit
    is taken; errors that differ from frequency to frequency then average out. That sum needs no earlier data or rays:
    sum w_k H_k (a symbol) and sum w_k H_k z_k (an image) say all of it, and z_k does not depend on x_k as far as data
    are linear in the map around it. H_k^-1 is never applied: H_k z_k = H_k x_k + g_k. The first map enters as if it
    were a set of its own.

    The new map is the minimum of the sum plus total variation, by conjugate gradients on the quadratic that touches
    the total variation at the last map. In "gauss_newton" the newest set's H_k is the exact product J^T W J instead of
    its symbol; the sets before it are remembered by their symbols.

    Noise of standard deviation v in n data, relative to water, puts noise of spectrum H v^2 / n into the sum's
    gradient; what total variation must hold against it is its integral over kappa^2, the square of v k /
    (2 pi^(3 / 2) sqrt(f n)). That times the setting ``noise`` is added to ``regularization`` in squares.
    """

    def __init__(self, scene: Scene, settings: RayBornSettings) -> None:
        self._scene, self._settings = scene, settings
        self._symbol = HessianSymbol(scene.grid, scene.mask, scene.radius, settings.largest_angle)
        self._gradient = Gradient(scene.grid, scene.mask)

    def __call__(self, level: Level, state: State) -> None:
        """See `Update`."""
        c0 = self._scene.sound_speed
        images = [d.transposed(d.residual, c0) for d in level.data]
        weight = (_MISFIT / max(level.misfit, 1e-9)) ** 2
        strength = self._strength(level, weight, state.memory)
        symbol = self._mean(level, [1.0] * len(level.data))
        slope = sum(i.real for i in images) / level.total
        exact = self._hessian(level) if self._settings.method == "gauss_newton" else None
        state.chi = self._merged("speed", symbol, np.asarray(slope), state.chi, weight, strength, state.memory, exact)
        if state.absorption is not None and self._settings.absorption == "estimated":
            factors = [d.absorbed / _ABSORBED for d in level.data]
            symbol = self._mean(level, [x**2 for x in factors])
            slope = sum(x * i.imag for x, i in zip(factors, images, strict=True)) / level.total
            scaled = state.absorption * _ABSORBED
            scaled = self._merged("absorption", symbol, np.asarray(slope), scaled, weight, strength, state.memory, None)
            state.absorption = np.maximum(scaled / _ABSORBED, 0)

    def _strength(self, level: Level, weight: float, memory: dict[str, NDArray[Any]]) -> float:
        """Weight of the total variation."""
        square, total = (float(memory.get(f"noise_{k}", np.zeros(()))) for k in ("square", "total"))
        power = sum((d.noise * d.wave_number) ** 2 for d in level.data) / len(level.data)
        square = self._settings.memory**2 * square + weight**2 * power / (level.fraction * level.total)
        total = self._settings.memory * total + weight
        memory |= {"noise_square": np.array(square), "noise_total": np.array(total)}
        noise = self._settings.noise * np.sqrt(square) / (2 * np.pi**1.5 * total)
        return float(np.hypot(self._settings.regularization, noise))

    def _mean(self, level: Level, factors: list[float]) -> Vector:
        parts = [x * self._symbol.of(d.wave_number, level.fraction) for x, d in zip(factors, level.data, strict=True)]
        # the sum over frequencies is divided by the weights of all of them
        return np.asarray(sum(parts) / len(parts))

    def _merged(
        self,
        name: str,
        symbol: Vector,
        slope: Vector,
        x: Vector,
        weight: float,
        strength: float,
        memory: dict[str, NDArray[Any]],
        exact: Callable[[Vector], Vector] | None,
    ) -> Vector:
        """Add a level's quadratic to those before and return the regularised minimum."""
        s, apply = self._settings, self._symbol.apply
        if f"{name}_symbol" in memory:
            known, target, total = (memory[f"{name}_{k}"] for k in ("symbol", "target", "total"))
            known, target, total = s.memory * known, s.memory * target, s.memory * total
        else:  # the first map counts like one set
            known, target, total = weight * symbol, weight * apply(symbol, x), np.array(weight)
        at_x = apply(known, x)
        pull = (target - at_x + weight * slope) / (total + weight)
        target = target + weight * (apply(symbol, x) + slope)
        before, known, total = known, known + weight * symbol, total + weight
        memory |= {f"{name}_symbol": known, f"{name}_target": target, f"{name}_total": np.asarray(total)}

        def curvature(v: Vector) -> Vector:
            if exact is None:
                return apply(known / total, v)
            return np.asarray((apply(before, v) + weight * exact(v)) / total)

        return np.asarray(x + self._solve(curvature, pull, x, strength, float((known / total).mean())))

    def _solve(
        self, curvature: Callable[[Vector], Vector], pull: Vector, x: Vector, strength: float, typical: float
    ) -> Vector:
        """Conjugate gradients for (curvature + penalty) v = pull - penalty x."""
        differences = self._gradient
        steep = differences(x).reshape(2, -1)
        weights = strength / np.sqrt((steep**2).sum(axis=0) + self._settings.edge**2)

        def penalty(v: Vector) -> Vector:
            return np.asarray(differences.adjoint((differences(v).reshape(2, -1) * weights).ravel()))

        diagonal = typical + 4 * weights / self._scene.grid.spacing[0] ** 2
        v, r = np.zeros_like(x), np.asarray(pull - penalty(x))
        z = r / diagonal
        p, rz = z.copy(), float(r @ z)
        for _ in range(self._settings.inner_iterations):
            if rz <= 0:
                break
            q = curvature(p) + penalty(p)
            step = rz / float(p @ q)
            v += step * p
            r -= step * q
            z = r / diagonal
            rz, last = float(r @ z), rz
            p = z + (rz / last) * p
        return v

    def _hessian(self, level: Level) -> Callable[[Vector], Vector]:
        """Product with the level's exact Hessian, divided by the weights' sum."""
        c0 = self._scene.sound_speed

        def product(v: Vector) -> Vector:
            parts = [d.transposed(d.forward(v.astype(np.complex128), c0), c0).real for d in level.data]
            return np.asarray(sum(parts) / level.total)

        return product
