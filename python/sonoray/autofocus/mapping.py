"""From channel data to a sound-speed map that is known to focus better than one speed, in one call."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._checks import scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.signals import demodulate
from ..errors import ArgumentError
from ..inversion.autofocus import reconstruct_autofocus
from ..inversion.autofocus_scene import checked_region, checked_truth
from ..inversion.autofocus_settings import AutofocusSettings
from ..inversion.settings import changed
from ..learning.fitting import fit_channel_data
from ..media.grids import Grid
from ..media.medium import Medium
from .focus_check import Focus, FocusCheck
from .global_speed import GlobalSpeed, estimate_sound_speed
from .multistatic import multistatic_frame, tells_elements_apart
from .network import SoundSpeedNetwork

NOMINAL = 1540.0  # m/s
_NOISE = 0.002  # of the mean coherence: by less two speeds do not differ
_FLOOR = 0.15  # coherence of echoes; noise has 0.07
_SPREAD = (1350.0, 1700.0)  # m/s, in which a global estimate makes sense

Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, eq=False)
class AutofocusResult:
    """What `map_sound_speed` found.

    Parameters
    ----------
    medium : Medium
        The map to use: the one found, or one speed everywhere where that focuses better.
    found : Medium
        The map found, whether it is used or not.
    start : Medium or None
        What the optimiser began with, if it ran: the network's map, a given one, or a constant.
    accepted : bool
        Whether ``medium`` is a map that was found; without one ``found`` and ``medium`` are the same single speed.
    reason : str
        Why it is, or is not.
    focus : dict of str to Focus
        Of every candidate: "map", "start" with a network, "global", "nominal" (1540 m/s).
    global_speed : GlobalSpeed or None
        None where no single speed could be found.
    history : tuple of dict
        Of the optimiser, see `reconstruct_autofocus`.
    region : ((x, x), (z, z)) [m]
        Of the patches; outside it a map is extrapolation.
    seconds : dict of str to float
        Spent on each step.
    """

    medium: Medium
    found: Medium
    start: Medium | None
    accepted: bool
    reason: str
    focus: dict[str, Focus]
    global_speed: GlobalSpeed | None
    history: tuple[dict[str, Any], ...] = ()
    region: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    seconds: dict[str, float] = field(default_factory=dict)


def map_sound_speed(
    channel_data: ChannelData,
    *,
    model: Any = None,
    optimise: bool = True,
    initial: Medium | float | None = None,
    region: Any = None,
    settings: AutofocusSettings | None = None,
    check: bool = True,
    truth: Medium | None = None,
    report: Report | None = None,
    device: str = "cpu",
    **options: Any,
) -> AutofocusResult:
    """Find the sound-speed map of a frame of pulse-echo data, by network, by optimisation, or by both.

    With both the network's map is where the optimiser begins. At patches of their own the echoes' coherence is then
    compared between the map, the best single speed and 1540 m/s; a map that focuses worse is not used. Sequences of too
    few transmits for a map, such as one plane wave, give the best single speed only.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q of any sequence from which `sonoray.decode` can tell the elements apart; of several frames the first.
    model : SoundSpeedNetwork, OnnxModel or path, optional
        A network for this probe; data sampled otherwise than it expects are resampled.
    optimise : bool
        Whether `reconstruct_autofocus` runs.
    initial : Medium or float [m/s], optional
        Where it begins, without a model.
    region : ((x, x), (z, z)) [m], optional
        Where the map is wanted. Default: see `reconstruct_autofocus`.
    settings : AutofocusSettings, optional
    check : bool
        False: no comparison, the map found is used.
    truth : Medium, optional
        For the history only.
    report : callable, optional
        Called with the name of each step as it begins and, in "optimise", each entry of the history.
    device : {"cpu", "cuda", "cuda:N"}
    **options
        Fields of `AutofocusSettings` to change.

    Returns
    -------
    AutofocusResult

    Raises
    ------
    ArgumentError
        Neither a model nor the optimiser, data that they cannot use, settings out of range.
    MissingExtraError
        A model without ONNX Runtime.

    Examples
    --------
    >>> import sonoray
    >>> data, truth = sonoray.load_focus_example()
    >>> result = sonoray.map_sound_speed(data, iterations=2)  # doctest: +SKIP
    >>> result.accepted, result.medium  # doctest: +SKIP
    """
    if model is None and not optimise:
        raise ArgumentError("model: expected a network where optimise=False, got None; there is no other way to a map")
    if model is not None and initial is not None:
        raise ArgumentError("initial: expected none with a model, whose map is where the optimiser begins")
    changed(settings or AutofocusSettings(), options)  # refused before the work, whether needed or not
    if truth is not None:
        checked_truth(truth)
    if not tells_elements_apart(channel_data):
        return _single_speed(channel_data, region, check, _Clock(report), device)
    clock = _Clock(report)
    with clock("prepare"):
        network = None if model is None else open_network(model, device)
        data = multistatic_frame(channel_data)
        region = None if region is None else checked_region(region, data)
    start: Medium | None = None
    history: tuple[dict[str, Any], ...] = ()
    if network is not None:
        with clock("network"):
            start = network(fit_channel_data(data, network.spec, resample=True))
    found, limits = start, region
    if optimise:
        with clock("optimise"):
            result = reconstruct_autofocus(
                data,
                initial=initial if start is None else start,
                region=region,
                settings=settings,
                truth=truth,
                report=None if report is None else lambda entry: report("optimise", entry),
                device=device,
                **options,
            )
        found, start, history, limits = result.medium, result.start, result.history, result.region
    assert found is not None
    limits = _inside(found) if limits is None else limits
    with clock("global"):
        speed = _global_speed(channel_data)
    with clock("check"):
        judge = FocusCheck(_to_judge(channel_data, data), limits, device=device) if check else None
        focus = {} if judge is None else _judged(judge, found, start, speed)
    accepted, reason, medium = _verdict(focus, found, start if network is not None else None, speed)
    return AutofocusResult(medium, found, start, accepted, reason, focus, speed, history, limits, clock.seconds)


def _single_speed(data: ChannelData, region: Any, check: bool, clock: "_Clock", device: str) -> AutofocusResult:
    """What is left where no map can be made."""
    with clock("prepare"):
        frame = data.select(frames=0)
        frame = frame if frame.is_iq else demodulate(frame)
    number = "one transmit is" if data.n_tx == 1 else f"{data.n_tx} transmits are"
    reason = f"{number} too few to tell {data.n_rx} elements apart"
    with clock("global"):
        speed = estimate_sound_speed(frame, limits=_SPREAD)
    limits = _below_aperture(frame) if region is None else region
    medium = _constant(speed.sound_speed, limits)
    focus = {}
    if check:
        with clock("check"):
            judge = FocusCheck(frame, limits, device=device)
            focus = {"global": judge(speed.sound_speed), "nominal": judge(NOMINAL)}
    return AutofocusResult(medium, medium, None, False, reason, focus, speed, (), limits, clock.seconds)


def _below_aperture(data: ChannelData) -> Any:
    x, z = data.probe.positions[:, 0], float(data.probe.positions[:, 2].max())
    middle, half = 0.5 * (float(x.max()) + float(x.min())), 0.425 * float(np.ptp(x))
    return (middle - half, middle + half), (z + 0.15 * data.max_depth, z + 0.85 * data.max_depth)


def _constant(speed: float, region: Any) -> Medium:
    (x0, x1), (z0, z1) = region
    return Medium(Grid((2, 2), (x1 - x0, z1 - z0), (x0, z0)), np.full((2, 2), speed, np.float32))


def open_network(model: Any, device: str = "cpu") -> SoundSpeedNetwork:
    """The network itself, or the one in a file."""
    return model if isinstance(model, SoundSpeedNetwork) else SoundSpeedNetwork(model, device=device)


class _Clock:
    """Times the steps, and says when they begin."""

    def __init__(self, report: Report | None) -> None:
        self.seconds: dict[str, float] = {}
        self._report, self._name, self._begin = report, "", 0.0

    def __call__(self, name: str) -> "_Clock":
        self._name = name
        return self

    def __enter__(self) -> None:
        if self._report is not None:
            self._report(self._name, {})
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self._name] = time.perf_counter() - self._begin


def _global_speed(data: ChannelData) -> GlobalSpeed | None:
    """Of the sequence as it was sent, whose transmits may tell more than decoded ones."""
    try:
        return estimate_sound_speed(data.select(frames=0), limits=_SPREAD)
    except ArgumentError as error:
        warnings.warn(f"no single sound speed could be found: {error}", stacklevel=3)
        return None


def _inside(medium: Medium) -> Any:
    """Region of a network's map: all but a tenth on every side, where maps know least."""
    sides = []
    for low, high in medium.grid.extent:
        margin = 0.1 * (high - low)
        sides.append((low + margin, high - margin))
    return tuple(sides)


def _to_judge(channel_data: ChannelData, multistatic: ChannelData) -> ChannelData:
    """What was measured, where every wave lights all of the region; beams are judged as decoded."""
    if {t.kind for t in channel_data.transmits} - {"plane", "diverging"}:
        return multistatic
    frame = channel_data.select(frames=0)
    return frame if frame.is_iq else demodulate(frame)


def _judged(check: FocusCheck, found: Medium, start: Medium | None, speed: GlobalSpeed | None) -> dict[str, Focus]:
    focus = {"map": check(found)}
    if start is not None and start is not found and np.ptp(start.sound_speed) > 0:
        focus["start"] = check(start)
    if speed is not None:
        focus["global"] = check(scalar("sound_speed", speed.sound_speed, *_SPREAD, "m/s"))
    return {**focus, "nominal": check(NOMINAL)}


def _verdict(
    focus: dict[str, Focus], found: Medium, network: Medium | None, speed: GlobalSpeed | None
) -> tuple[bool, str, Medium]:
    """Whether the map is used, why, and what is used."""
    if not focus:
        return True, "not compared with other speeds", found
    others = {name: value.score for name, value in focus.items() if name != "map"}
    best = max(others, key=lambda name: others[name])
    score, value = focus["map"].score, NOMINAL if speed is None or best == "nominal" else speed.sound_speed
    name = "the map that the optimiser began with" if best == "start" else f"{value:.0f} m/s"
    if score < _FLOOR:
        reason = f"coherence {score:.3f} with the map, as of noise"
        return False, reason, Medium(found.grid, np.full(found.grid.shape, value, np.float32))
    if score >= others[best] - (_NOISE if best == "start" else 0.0):
        return True, f"coherence {score:.3f} with the map, at best {others[best]:.3f} with {name}", found
    reason = f"coherence {score:.3f} with the map found, {others[best]:.3f} with {name}"
    if best == "start" and network is not None:
        return False, reason, network
    return False, reason, Medium(found.grid, np.full(found.grid.shape, value, np.float32))
