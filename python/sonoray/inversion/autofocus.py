"""Sound-speed maps from pulse-echo data, by making the data focus."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._blas import one_blas_thread
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from ..media.medium import Medium
from .autofocus_descent import descend
from .autofocus_scene import Scene, checked_truth
from .autofocus_settings import AutofocusSettings
from .midpoint_equations import PhaseWeights, delay_equations, map_equations, registration
from .settings import changed
from .smooth_map import total_variation_step

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, eq=False)
class AutofocusReconstruction:
    """What `reconstruct_autofocus` found.

    Parameters
    ----------
    medium : Medium
        The map, float32, on the grid of its nodes.
    start : Medium
        Where the search began: the given map, or the constant that explains the data best.
    settings : AutofocusSettings
    history : tuple of dict
        Per iteration: "iteration", "loss", "change" (mean absolute, m/s), "mean_sound_speed", and with a truth
        "mean_absolute_error" and "bias" (m/s, over the region of the patches).
    region : ((float, float), (float, float)) [m]
        x and z limits of the patches; the map outside it is extrapolation.
    """

    medium: Medium
    start: Medium
    settings: AutofocusSettings
    history: tuple[dict[str, Any], ...] = field(default=())
    region: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    @property
    def sound_speed(self) -> NDArray[np.float32]:
        """The map's values, (n_x, n_z) float32 [m/s]."""
        return np.asarray(self.medium.sound_speed)


def reconstruct_autofocus(
    channel_data: ChannelData,
    *,
    initial: Medium | float | None = None,
    region: tuple[tuple[float, float], tuple[float, float]] | None = None,
    settings: AutofocusSettings | None = None,
    truth: Medium | None = None,
    report: Report | None = None,
    device: str = "cpu",
    **options: Any,
) -> AutofocusReconstruction:
    """Find the sound-speed map with which multistatic pulse-echo data focus best.

    Two sub-apertures that transmit and receive about the same midpoint see the same speckle [1]_; the phase between
    their images is the difference of their travel-time errors. "gauss_newton" measures these phases at patches all
    over the image and solves for the slowness that explains them, with total variation as prior; the travel times
    are then computed anew (eikonal equation), and so on. What a pair of sub-apertures sees lies where its own delay
    error puts it, which the equations account for. The descent methods follow [2]_.

    Parameters
    ----------
    channel_data : ChannelData
        One frame of a full synthetic aperture, I/Q; `sonoray.decode` makes it from plane, diverging or focused
        sequences, `sonoray.demodulate` makes I/Q.
    initial : Medium or float [m/s], optional
        Where to start. Default: the constant that explains the phases best, found on the way; for the descent
        methods the middle of the limits. A map also holds what the data see weakly (``pull``).
    region : ((x, x), (z, z)) [m], optional
        Where patches lie. Default: below the aperture, from about a sub-aperture's width to where the record ends.
    settings : AutofocusSettings, optional
    truth : Medium, optional
        For the history only.
    report : callable, optional
        Called with each entry of the history; an exception raised there (or Ctrl-C) ends the search.
    device : {"cpu", "cuda", "cuda:N"}
    **options
        Fields of `AutofocusSettings` to change.

    Returns
    -------
    AutofocusReconstruction

    Raises
    ------
    ArgumentError
        Data that are not one multistatic I/Q frame, a region outside the record, no pair of sub-apertures that
        correlates (no echoes, or a start that is far off), settings out of range.
    DeviceError
        No such device.

    References
    ----------
    .. [1] D. Rachlin, Direct estimation of aberrating delays in pulse-echo imaging systems, J. Acoust. Soc. Am. 88,
       191 (1990).
    .. [2] W. Simson et al., Differentiable beamforming for ultrasound autofocusing, MICCAI 2023, LNCS 14229, 428.
    """
    chosen = changed(settings or AutofocusSettings(), options)
    if truth is not None:
        checked_truth(truth)
    scene = Scene(channel_data, chosen, region, device)
    history: list[dict[str, Any]] = []
    slowness = scene.start(initial)

    def note(loss: float, values: NDArray[np.float64], change: float) -> None:
        entry = {"iteration": len(history) + 1, "loss": loss, "change": change, **scene.judged(values, truth)}
        history.append(entry)
        if report is not None:
            report(dict(entry))

    with one_blas_thread():  # products are small: a second thread would mostly wait, and round otherwise
        if chosen.method == "gauss_newton":
            first, slowness = _gauss_newton(scene, slowness, initial, note)
        else:
            first, slowness = slowness, descend(scene, slowness, note)
    return AutofocusReconstruction(scene.medium(slowness), scene.medium(first), chosen, tuple(history), scene.region)


def _gauss_newton(
    scene: Scene, slowness: NDArray[np.float64], initial: Medium | float | None, note: Callable[..., None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve, recompute travel times, and so on; returns the start and the result."""
    settings = scene.settings
    weights = PhaseWeights(settings.threshold, settings.phase_noise, settings.robust, settings.brightness)
    limits = (1 / settings.limits[1], 1 / settings.limits[0])
    equations = _Equations(scene, weights)
    if initial is None:
        for _ in range(4):
            normal, slope, _ = equations(slowness)
            change = -float(slope.sum() / max(normal.sum(), 1e-300))
            slowness = np.clip(slowness + change, *limits)
            if abs(change) < 1.0 / 1540.0**2:
                break
    start = slowness
    for _ in range(settings.iterations):
        normal, slope, misfit = equations(slowness)
        updated = total_variation_step(
            normal,
            slope,
            slowness.ravel(),
            scene.grid,
            settings.regularization,
            settings.edge,
            lateral=settings.lateral,
            toward=start.ravel() if isinstance(initial, Medium) else np.full(start.size, slowness[scene.inside].mean()),
            pull=settings.pull if isinstance(initial, Medium) else settings.pull_constant,
        ).reshape(slowness.shape)
        updated = np.clip(updated, *limits)
        change = float(np.abs(1 / updated - 1 / slowness).mean())
        slowness = updated
        note(misfit, slowness, change)
        if change < 0.3:
            break
    return start, slowness


class _Equations:
    """Phases at a map, and the quadratic in the map that explains them."""

    def __init__(self, scene: Scene, weights: PhaseWeights) -> None:
        self._scene, self._weights = scene, weights
        self._factors: Any = None
        self._paths = scene.sub_aperture_paths()
        whole = scene.complete_sub_apertures()
        tx, rx = whole[:, :, None], whole[:, None, :]
        self._complete = tx[:, :-1] * rx[:, :, 1:] * tx[:, 1:] * rx[:, :, :-1]

    def __call__(self, slowness: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        scene = self._scene
        found = scene.correlations(slowness)
        if self._factors is None:
            self._factors = registration(scene.centers, found.offset, found.midpoint, scene.width)
        weight = self._weights(found, scene.centers[:, 2])
        weight *= self._complete
        weight /= max(float(weight.sum()), 1e-300)
        if not weight.any():
            apart = np.eye(*weight.shape[1:]) == 0  # beside the diagonal, which says nothing
            best = float(np.abs(found.correlation[:, apart]).max(initial=0.0))
            raise ArgumentError(
                f"channel_data: expected echoes whose sub-apertures correlate above {self._weights.threshold:g} "
                f"somewhere in the region, got {best:.3f} at most; lower threshold, or begin nearer with initial"
            )
        counts = np.nonzero(weight)
        phase = np.zeros(weight.shape)
        phase[counts] = np.angle(found.correlation[counts])
        hessian, gradient = delay_equations(phase, weight, self._factors, scene.frequency)
        normal, slope = map_equations(hessian, gradient, self._paths)
        return normal, slope, float((weight * phase**2).sum())
