"""Sound-speed maps from the travel times of transmission data."""

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backends import backend
from .._checks import array, scalar
from .._progress import fraction_bar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError, FormatError
from ..io.checkpoints import read_checkpoint, write_checkpoint
from ..media.grids import Grid
from ..media.medium import Medium
from ..rays.linked import LinkedRays, PairStatus
from .evaluation import sound_speed_errors
from .excitations import to_reference_water
from .linearization import Linearization, Linearizer, pulse_spectrum
from .outliers import reject_outliers
from .pairs import checked_pairs, emitter_positions, pair_distances
from .picking import DEFAULT_DURATION
from .picks import Picks
from .region import image_grid, image_mask
from .regularization import Gradient
from .settings import TravelTimeSettings, changed
from .solvers import cgls, lsqr, sart
from .total_variation import total_variation
from .travel_times import pick_travel_times

_FEWEST = 0.5  # of the pairs; with fewer the geometry or the clock is wrong

Report = Callable[["TravelTimeReconstruction"], None]


@dataclass(frozen=True, eq=False, repr=False)
class TravelTimeReconstruction:
    """A sound-speed map and how it came about.

    Parameters
    ----------
    medium : Medium
    picks : Picks
        The travel times.
    sound_speed : float [m/s]
        Of the water.
    settings : TravelTimeSettings
    history : list of dict
        Per linearisation: ``iteration``, ``pairs`` used, ``failed`` (picked, but without a ray), ``residual`` (robust
        standard deviation [s] of what the map leaves unexplained), ``seconds``, and with a truth its
        `sound_speed_errors`.
    """

    medium: Medium
    picks: Picks
    sound_speed: float
    settings: TravelTimeSettings
    history: list[dict[str, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"TravelTimeReconstruction({len(self.history)} linearisations, {self.medium!r})"


def reconstruct_travel_time(
    channel_data: ChannelData,
    water: ChannelData | None = None,
    *,
    picks: Picks | None = None,
    pairs: Any = None,
    sound_speed: Any = None,
    water_sound_speed: Any = None,
    grid: Grid | None = None,
    spacing: float | None = None,
    settings: TravelTimeSettings | None = None,
    truth: Medium | None = None,
    checkpoint: Any = None,
    resume: bool = False,
    report: Report | None = None,
    progress: bool = False,
    device: str = "cpu",
    **options: Any,
) -> TravelTimeReconstruction:
    """Reconstruct the sound speed between elements that surround an object, from travel times alone.

    Picks the travel times (`pick_travel_times`), then repeats: linearise them around the map found so far
    (`FiniteFrequencyOperator` or, along linked rays, `TravelTimeOperator`), and solve for the slowness beyond water's.

    Parameters
    ----------
    channel_data : ChannelData
        Transmits of single elements: a ring, a hemisphere, opposing arrays; elements may be anywhere.
    water : ChannelData, optional
        Shots through water by the same array, at least one. Without them the travel times of `pick_travel_times` keep
        a common offset.
    picks : Picks, optional
        Travel times, if they are known; nothing is picked then.
    pairs : (n_tx, n_rx) bool, optional
        Pairs to use; default those at least ``settings.minimum_distance`` apart.
    sound_speed : float or (n_tx,), optional [m/s]
        Of the water; default that of the data. One value per excitation where its temperature drifts: the map is then
        that at the mean speed (`to_reference_water`), and so are the result's picks.
    water_sound_speed : float or (n water transmits,), optional [m/s]
        While the shots through water were recorded. Default: `sound_speed` if that is one number, else that of
        `water`; must be given where `sound_speed` varies and `water` has several transmits.
    grid : Grid, optional
        Of the map; must hold the elements. Default: their extent and 6 % more.
    spacing : float, optional [m]
        Of the default grid; default a 110th of the aperture.
    settings : TravelTimeSettings, optional
    truth : Medium, optional
        Only for the history's errors; the map does not depend on it.
    checkpoint : path, optional
        File that is written after picking and after each linearisation.
    resume : bool
        Go on from `checkpoint` where it exists; the result is the same to the last bit.
    report : function of TravelTimeReconstruction, optional
        Called after each linearisation.
    progress : bool
        Show a bar on standard error.
    device : {"cpu", "cuda", "cuda:N"}, optional
    **options
        Settings to change, such as ``solver="sart"``.

    Returns
    -------
    TravelTimeReconstruction

    Raises
    ------
    ArgumentError
        Elements outside the grid or on one line, no usable pair, a checkpoint of
        other data or settings, wrong shapes and units.
    DeviceError
        No such device.
    FormatError
        A damaged checkpoint.
    """
    speeds = (sound_speed, water_sound_speed)
    job = _Job(channel_data, water, picks, pairs, speeds, grid, spacing, settings, truth, device, options)
    with fraction_bar("tomography", enabled=progress) as show:
        return job.run(None if checkpoint is None else Path(checkpoint), resume, report, show)


class _Job:
    """One reconstruction: checked arguments, and the state that checkpoints hold."""

    def __init__(
        self,
        data: ChannelData,
        water: ChannelData | None,
        picks: Picks | None,
        pairs: Any,
        speeds: tuple[Any, Any],
        grid: Grid | None,
        spacing: float | None,
        settings: TravelTimeSettings | None,
        truth: Medium | None,
        device: str,
        options: dict[str, Any],
    ) -> None:
        if not isinstance(data, ChannelData):
            raise ArgumentError(f"channel_data: expected a ChannelData, got {type(data).__name__}")
        self.data, self.water, self.device, self.truth = data, water, device, truth
        backend(device)  # refuses a device that is not there before any work is done
        self.emitters, self.receivers = emitter_positions(data), data.probe.positions
        self.distance = pair_distances(self.emitters, self.receivers)
        sound_speed, water_sound_speed = speeds
        self.speed, self.speeds = self._water_speed(sound_speed)
        one = sound_speed is not None and np.ndim(sound_speed) == 0
        self.then = sound_speed if water_sound_speed is None and one else water_sound_speed
        if self.then is None and water is not None:
            if np.ndim(sound_speed) and water.n_tx > 1:
                raise ArgumentError("water_sound_speed: expected a value or one each, as sound_speed has one each")
            self.then = water.sound_speed
        self.settings = changed(settings or TravelTimeSettings(), options)
        low, high = self.settings.lowest, self.settings.highest
        if not low < self.speed < high:
            raise ArgumentError(
                f"lowest, highest: expected limits around water's {self.speed:g} m/s, got {low:g}, {high:g}"
            )
        self.pairs = self._pairs(pairs)
        if picks is not None and (not isinstance(picks, Picks) or picks.shape != self.distance.shape):
            raise ArgumentError(f"picks: expected Picks of shape {self.distance.shape}, got {picks!r}")
        self.picks = None if picks is None else self._at_one_speed(picks)
        elements = np.concatenate([self.emitters, self.receivers])
        self.grid = image_grid(elements, spacing) if grid is None else grid
        self.mask = image_mask(self.grid, elements)
        self.excess = np.zeros(int(self.mask.sum()))
        self.links: LinkedRays | None = None
        self.history: list[dict[str, Any]] = []

    def run(
        self, checkpoint: Path | None, resume: bool, report: Report | None, show: Callable[[float], None]
    ) -> TravelTimeReconstruction:
        self.digest = "" if checkpoint is None else self._digest()
        if checkpoint is not None and resume and checkpoint.exists():
            self._load(checkpoint)
        if self.picks is None:
            self.picks = self._pick()
            self._save(checkpoint)
        show(0.1)
        linearizer = self._linearizer()
        total = self.settings.outer_iterations
        for i in range(len(self.history), total):
            begin = time.perf_counter()
            # The last rays are sought anew: a warm start stays on its branch, which need not arrive first any more.
            around = linearizer.around(self.excess, None if i == total - 1 else self.links, i == 0)
            self.links = around.links
            self._solve(around, _Share(show, i, total))
            self._note(around, time.perf_counter() - begin)
            self._save(checkpoint)
            if report is not None:
                report(self.result())
        self._doubt()
        return self.result()

    def _doubt(self) -> None:
        """Warn of a map that cannot be right."""
        residual, fc = self.history[-1]["residual"], self.data.center_frequency
        limit = 0.25 / fc if fc else 0.25e-6
        c = 1.0 / (1.0 / self.speed + self.excess)
        bound = float(np.mean((c <= self.settings.lowest * 1.0001) | (c >= self.settings.highest * 0.9999)))
        if residual > limit or bound > 0.05:
            warnings.warn(
                f"the map leaves {1e9 * residual:.0f} ns of the travel times unexplained and {bound:.0%} of it lies at "
                "the limits of the sound speed; are element order, clock and water's sound speed right?",
                stacklevel=4,
            )

    def _pick(self) -> Picks:
        picks = pick_travel_times(
            self.data,
            self.water,
            method=self.settings.picker,
            sound_speed=self.speed,
            water_sound_speed=self.then,
            pairs=self.pairs,
            outliers=False,  # reciprocal times differ while the water drifts
        )
        return reject_outliers(self._at_one_speed(picks), self.emitters, self.receivers, self.speed)

    def _at_one_speed(self, picks: Picks) -> Picks:
        return picks.with_(time=to_reference_water(picks.time, self.speeds, self.speed))

    def result(self) -> TravelTimeReconstruction:
        assert self.picks is not None
        slowness = np.full(self.grid.shape, 1.0 / self.speed)
        slowness[self.mask] += self.excess
        medium = Medium(self.grid, (1.0 / slowness).astype(np.float32))
        return TravelTimeReconstruction(medium, self.picks, self.speed, self.settings, [dict(h) for h in self.history])

    def _water_speed(self, sound_speed: Any) -> tuple[float, NDArray[np.float64]]:
        n = self.data.n_tx
        given = self.data.sound_speed if sound_speed is None else sound_speed
        if np.ndim(given) == 0:
            speed = scalar("sound_speed", given, 300.0, 12000.0, "m/s")
            return speed, np.full(n, speed)
        each = array("sound_speed", given, (n,), low=300.0, high=12000.0, unit="m/s")
        return float(each.mean()), each

    def _pairs(self, pairs: Any) -> NDArray[np.bool_]:
        if pairs is None:
            chosen = self.settings.far_enough(self.distance)
        else:
            chosen = checked_pairs(pairs, self.distance.shape) & (self.distance > 0)
        if not chosen.any():
            raise ArgumentError("pairs: expected at least one pair of different elements, got none")
        return chosen

    def _linearizer(self) -> Linearizer:
        assert self.picks is not None
        trusted = self.picks.picked & (self.picks.quality > 0)
        times = np.where(trusted & self.pairs, self.picks.time, np.nan)
        found, wanted = int(np.isfinite(times).sum()), int(self.pairs.sum())
        if found < _FEWEST * wanted:
            raise ArgumentError(
                f"channel_data: expected a plausible arrival in at least {_FEWEST:.0%} of {wanted} pairs, got {found} "
                f"({self.picks!r}); are the elements in the right order, the times in s, the sound speed right?"
            )
        spectrum = None
        if self.settings.kernel == "finite_frequency":
            fc = self.data.center_frequency
            duration = 3 / fc if fc else DEFAULT_DURATION
            if self.picks.method == "onset_match":  # looks at the beginning of the pulse
                duration /= 2
            spectrum = pulse_spectrum(self.data, self.picks.time, duration=duration)
        return Linearizer(
            self.grid,
            self.mask,
            self.emitters,
            self.receivers,
            times,
            self.speed,
            spectrum,
            self.settings,
            self.device,
        )

    def _solve(self, around: Linearization, show: Callable[[float], None]) -> None:
        s, water = self.settings, 1.0 / self.speed
        bounds = (1.0 / s.highest - water, 1.0 / s.lowest - water)
        if s.solver == "total_variation":
            volume = float(np.prod(self.grid.spacing))
            size = float(np.ptp(self.receivers, axis=0).max()) ** (self.grid.ndim - 2)
            self.excess = total_variation(
                around.operator,
                around.delays,
                Gradient(self.grid, self.mask),
                strength=s.regularization * len(around.delays) * volume / size,
                edge=s.edge,
                start=self.excess,
                huber=s.huber or None,
                reweightings=s.reweightings,
                iterations=s.inner_iterations,
                bounds=bounds,
                callback=lambda k, _: show(k / s.reweightings),
            )
            return
        steps: dict[str, Any] = {"iterations": s.inner_iterations, "start": self.excess}
        steps["callback"] = lambda k, *_: show(k / s.inner_iterations)
        if s.solver == "sart":
            found = sart(around.operator, around.delays, relaxation=s.relaxation, bounds=bounds, **steps)
        elif s.solver == "cgls":
            found = cgls(around.operator, around.delays, **steps)
        else:
            found = lsqr(around.operator, around.delays, iterations=s.inner_iterations, start=self.excess)
        self.excess = np.clip(found.x, *bounds)

    def _note(self, around: Linearization, seconds: float) -> None:
        assert self.picks is not None
        residual = around.delays - around.operator(self.excess)
        entry: dict[str, Any] = {
            "iteration": len(self.history) + 1,
            "pairs": len(around.delays),
            "failed": int((self.picks.picked & self.pairs).sum()) - len(around.delays),
            "residual": 1.4826 * float(np.median(np.abs(residual))),
            "seconds": seconds,
        }
        if self.truth is not None:
            entry |= sound_speed_errors(self.result().medium, self.truth, self.speed)
        self.history.append(entry)

    def _digest(self) -> str:
        """What the result depends on: data, geometry, settings."""
        parts = [self.emitters, self.receivers, self.pairs, self.speeds, self.data.samples, self.data.start_time]
        if self.water is not None:
            parts += [self.water.samples, self.water.start_time, self.water.probe.positions, np.asarray(self.then)]
            parts.append(np.array([t.element for t in self.water.transmits]))
        if self.picks is not None:
            parts += [self.picks.time, self.picks.status, self.picks.quality]
        clock = (self.data.sampling_frequency, self.data.center_frequency)
        numbers = (self.settings, self.grid, self.speed, clock)
        digest = hashlib.blake2b(repr(numbers).encode(), digest_size=16)
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def _save(self, path: Path | None) -> None:
        if path is None:
            return
        assert self.picks is not None
        arrays: dict[str, NDArray[Any]] = {"excess": self.excess}
        arrays |= {f"picks_{name}": getattr(self.picks, name) for name in ("time", "quality", "status")}
        if self.links is not None:
            arrays |= {f"links_{name}": getattr(self.links, name) for name in ("take_off", "arrival", "status")}
        write_checkpoint(path, arrays, {"digest": self.digest, "picker": self.picks.method, "history": self.history})

    def _load(self, path: Path) -> None:
        arrays, facts = read_checkpoint(path)
        if facts.get("digest") != self.digest:
            raise ArgumentError(f"checkpoint: expected one of the same data and settings, got another's: {path}")
        try:
            self.picks = Picks(
                arrays["picks_time"], arrays["picks_quality"], arrays["picks_status"], str(facts["picker"])
            )
            self.excess, self.history = arrays["excess"], list(facts["history"])
            if "links_status" in arrays:
                self.links = _links(*(arrays[f"links_{name}"] for name in ("take_off", "arrival", "status")))
        except KeyError as error:
            raise FormatError(f"{path}: expected a checkpoint of a travel-time reconstruction, lacks {error}") from None


def _links(take_off: NDArray[Any], arrival: NDArray[Any], status: NDArray[Any]) -> LinkedRays:
    """Rays that only say where to start."""
    time = np.where(status == PairStatus.LINKED, 0.0, np.nan)
    none = np.zeros(status.shape, np.int32)
    return LinkedRays(time, take_off, arrival, time, none, status, none, 0)


@dataclass(frozen=True)
class _Share:
    """Progress of one linearisation as a part of the whole."""

    show: Callable[[float], None]
    index: int
    total: int

    def __call__(self, part: float) -> None:
        self.show(0.1 + 0.9 * (self.index + part) / self.total)
