"""Descent of a focus criterion's gradient: Adam (AMSGrad) and L-BFGS."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from .smooth_map import differences

Note = Callable[[float, NDArray[np.float64], float], None]


def descend(scene: Any, slowness: NDArray[np.float64], note: Note) -> NDArray[np.float64]:
    """Minimise criterion + smoothness mean abs(grad c)^2 over the sound speed c; returns the best slowness seen."""
    objective = _Objective(scene)
    c = 1 / slowness
    best: list[Any] = [np.inf, c]

    def evaluate(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, gradient = objective(values)
        if loss < best[0]:
            best[:] = [loss, values.copy()]
        return loss, gradient

    minimise = _adam if scene.settings.method == "adam" else _lbfgs
    minimise(evaluate, c, scene.settings, note)
    return np.asarray(1 / best[1])


class _Objective:
    """Loss and gradient as functions of the sound speed (n_x, n_z)."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._differences = differences(scene.grid)

    def __call__(self, c: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, slope = self._scene.loss(1 / c)
        gradient = -slope / c**2
        weight = self._scene.settings.smoothness / c.size
        for along in self._differences:
            difference = along @ c.ravel()
            loss += weight * float(difference @ difference)
            gradient += 2 * weight * (along.T @ difference).reshape(c.shape)
        return loss, gradient


def _adam(evaluate: Any, c: NDArray[np.float64], settings: Any, note: Note) -> None:
    """S. J. Reddi et al., On the convergence of Adam and beyond, ICLR 2018, algorithm 2 (AMSGrad)."""
    first, second, largest = (np.zeros_like(c) for _ in range(3))
    for k in range(1, settings.iterations + 1):
        loss, gradient = evaluate(c)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        largest = np.maximum(largest, second)
        step = settings.step * (first / (1 - 0.9**k)) / (np.sqrt(largest / (1 - 0.999**k)) + 1e-12)
        updated = np.clip(c - step, *settings.limits)
        note(loss, 1 / updated, float(np.abs(updated - c).mean()))
        c = updated
    evaluate(c)


def _lbfgs(evaluate: Any, c: NDArray[np.float64], settings: Any, note: Note) -> None:
    shape, last = c.shape, [c.ravel()]
    seen: dict[str, float] = {}
    # Scaled so that the first trial step is `step` in the mean square, and ftol is relative to the possible progress.
    unit = settings.step * np.sqrt(c.size)
    scale = 1 / max(unit * float(np.linalg.norm(evaluate(c)[1])), 1e-300)

    def function(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, gradient = evaluate(unit * values.reshape(shape))
        seen["loss"] = loss
        return scale * loss, scale * unit * gradient.ravel()

    def after(values: NDArray[np.float64]) -> None:
        speed = unit * values
        note(seen["loss"], 1 / speed.reshape(shape), float(np.abs(speed - last[0]).mean()))
        last[0] = speed

    scipy.optimize.minimize(
        function,
        c.ravel() / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=[tuple(v / unit for v in settings.limits)] * c.size,
        callback=after,
        options={"maxiter": settings.iterations, "maxcor": 12, "ftol": 1e-9, "gtol": 1e-9},
    )
