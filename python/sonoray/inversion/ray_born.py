"""Quantitative sound-speed maps from whole waveforms: ray-Born inversion."""

import hashlib
import time
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
from .born_data import born_spectra, within_band, without_largest
from .born_level import Level, LevelMaker, box_blurred
from .born_scene import Scene, make_scene, on_grid, resampled
from .born_settings import RayBornSettings
from .born_updates import State, make_update
from .evaluation import sound_speed_errors
from .pairs import checked_pairs, emitter_positions, pair_distances
from .settings import TravelTimeSettings, changed
from .spectra import Spectra
from .travel_time import reconstruct_travel_time

Report = Callable[["RayBornReconstruction"], None]
_FIRST_BOX = 5e-3  # [m] as published
_QUIET = 3  # sets in a row that change little end the reconstruction


@dataclass(frozen=True, eq=False, repr=False)
class RayBornReconstruction:
    """A sound-speed map and how it came about.

    Parameters
    ----------
    medium : Medium
        With an absorption where it was known or estimated.
    sound_speed : float [m/s]
        Of the water.
    settings : RayBornSettings
    history : list of dict
        Per set of frequencies: ``iteration``, ``low`` and ``high`` [Hz], ``residual`` (root mean square of what the
        map before this step leaves, relative to the wave in water), ``pairs`` in use, ``change`` of the map relative
        to its contrast, ``seconds``, and with a truth its `sound_speed_errors`.
    total : int
        Sets in all.
    """

    medium: Medium
    sound_speed: float
    settings: RayBornSettings
    history: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0

    def __repr__(self) -> str:
        return f"RayBornReconstruction({len(self.history)} of {self.total} sets of frequencies, {self.medium!r})"


def reconstruct_ray_born(
    data: ChannelData | Spectra,
    water: ChannelData | None = None,
    *,
    initial: Medium | None = None,
    emitters: Any = None,
    receivers: Any = None,
    pairs: Any = None,
    sound_speed: float | None = None,
    water_sound_speed: float | None = None,
    grid: Grid | None = None,
    spacing: float | None = None,
    settings: RayBornSettings | None = None,
    absorption: Medium | float | None = None,
    truth: Medium | None = None,
    checkpoint: Any = None,
    resume: bool = False,
    report: Report | None = None,
    progress: bool = False,
    device: str = "cpu",
    **options: Any,
) -> RayBornReconstruction:
    """Reconstruct the sound speed between elements that surround an object, from whole waveforms, in 2-D.

    Frequency by frequency from low to high: rays and Green's functions in the blurred map (`GreensFunction`), what
    they and the scattering from the rest of the map predict (`BornOperator`), complex gains of the elements
    (`fit_gains`), and from what is left a better map. No Hessian is formed or inverted by default: its symbol for
    elements all around stands for it, as the ramp does in filtered back-projection.

    Parameters
    ----------
    data : ChannelData or Spectra
        One frame; transmits of single elements of a ring or any closed curve in the plane y = 0. Spectra are taken as
        they are: Green's functions up to the gains that are fitted.
    water : ChannelData, optional
        Shots through water by the same array; with at least one the pulse is known (`calibrated_spectra`).
    initial : Medium, optional
        Where to start; it must explain the lowest frequency to within half a period. Default: for channel data what
        `reconstruct_travel_time` makes of it, for spectra water.
    emitters, receivers : (n_tx, 3), (n_rx, 3) float64 [m]
        With Spectra.
    pairs : (n_tx, n_rx) bool, optional
        Pairs to use, if they are also far enough apart.
    sound_speed : float, optional [m/s]
        Of the water; default that of the data.
    water_sound_speed : float, optional [m/s]
        While `water` was recorded; default `sound_speed` where given, else that of `water`.
    grid : Grid, optional
        Of the map; must hold the elements. Default: their extent and 6 % more.
    spacing : float, optional [m]
        Of the default grid; default a 220th of the aperture.
    settings : RayBornSettings, optional
    absorption : Medium or float, optional [Np/m at 1 MHz]
        Known absorption: a medium that has one, or one number for all that is not water in the initial map.
    truth : Medium, optional
        Only for the history's errors; the map does not depend on it.
    checkpoint : path, optional
        File that is written after each set of frequencies.
    resume : bool
        Go on from `checkpoint` where it exists; the result is the same to the last bit.
    report : function of RayBornReconstruction, optional
        Called after each set of frequencies.
    progress : bool
        Show a bar on standard error.
    device : {"cpu", "cuda", "cuda:N"}, optional
    **options
        Settings to change, such as ``method="gauss_newton"``.

    Returns
    -------
    RayBornReconstruction

    Raises
    ------
    ArgumentError
        Elements outside the grid or on one line, no usable pair or frequency, 3-D arrays, a checkpoint of other data
        or settings, wrong shapes and units.
    DeviceError
        No such device.
    FormatError
        A damaged checkpoint.

    References
    ----------
    .. [1] A. Javaherian, B. Cox, Ray-based inversion accounting for scattering for biomedical ultrasound tomography,
       Inverse Problems 37, 115003 (2021).
    .. [2] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    """
    chosen = changed(settings or RayBornSettings(), options)
    backend(device)  # refuses a device that is not there before any work is done
    c0 = _water_speed(data, sound_speed, chosen)
    ends = _ends(data, emitters, receivers)
    if initial is not None and (not isinstance(initial, Medium) or initial.grid.ndim != 2):
        raise ArgumentError(f"initial: expected a 2-D Medium, got {initial!r}")
    step = _spacing(grid, spacing, ends)
    if isinstance(data, Spectra):
        values = without_largest(within_band(_wanted(data, pairs), chosen), chosen)
    else:
        if initial is None:
            initial = _from_travel_times(data, water, pairs, sound_speed, water_sound_speed, progress, device)
        values = born_spectra(data, water, chosen, sound_speed, water_sound_speed, pairs, step)
    scene = make_scene(values, *ends, c0, chosen.minimum_distance, grid, step)
    job = _Job(scene, chosen, initial, absorption, truth, device)
    with fraction_bar("ray-Born", enabled=progress) as show:
        return job.run(None if checkpoint is None else Path(checkpoint), resume, report, show)


class _Job:
    """One reconstruction: its fixed parts, and the state that checkpoints hold."""

    def __init__(
        self,
        scene: Scene,
        settings: RayBornSettings,
        initial: Medium | None,
        absorption: Medium | float | None,
        truth: Medium | None,
        device: str,
    ) -> None:
        self.scene, self.settings, self.truth = scene, settings, truth
        c0 = scene.sound_speed
        speed = np.full(scene.grid.shape, c0) if initial is None else resampled(initial, scene.grid, c0)
        if not settings.split:
            speed = box_blurred(speed, scene.grid, _FIRST_BOX)
        speed = np.clip(speed, settings.lowest, settings.highest)
        self.state = State((c0 / speed[scene.mask]) ** 2 - 1, self._absorption(absorption, initial))
        f = scene.spectra.frequencies
        if settings.method == "single_step" and len(f) < 2:
            raise ArgumentError(
                "frequencies: expected at least 2 with method 'single_step', whose step is their spacing"
            )
        if not np.abs(scene.spectra.values[:, scene.spectra.pairs]).any():
            raise ArgumentError("data: expected values that are not all zero, got only zeros")
        size = settings.frequencies_per_set
        self.sets = [range(i, min(i + size, len(f))) for i in range(0, len(f), size)]
        self.maker = LevelMaker(scene, settings, float(f.mean()), device)
        self.update = make_update(scene, settings)
        self.history: list[dict[str, Any]] = []

    def run(
        self, checkpoint: Path | None, resume: bool, report: Report | None, show: Callable[[float], None]
    ) -> RayBornReconstruction:
        digest = "" if checkpoint is None else self._digest()
        if checkpoint is not None and resume and checkpoint.exists():
            self._load(checkpoint, digest)
        while len(self.history) < len(self.sets) and not self._settled():
            begin, before = time.perf_counter(), self.state.chi
            which = self.sets[len(self.history)]
            level = self.maker.around(self.state.chi, self.state.absorption, which)
            if level.total > 0:
                self.update(level, self.state)
            self._bound()
            self._note(level, before, time.perf_counter() - begin)
            if checkpoint is not None:
                self._save(checkpoint, digest)
            show(len(self.history) / len(self.sets))
            if report is not None:
                report(self.result())
        return self.result()

    def result(self) -> RayBornReconstruction:
        scene = self.scene
        speed = scene.sound_speed / np.sqrt(1 + scene.image(self.state.chi))
        lossy = self.state.absorption
        medium = Medium(
            scene.grid,
            speed.astype(np.float32),
            absorption=None if lossy is None else scene.image(lossy).astype(np.float32),
        )
        past = [dict(h) for h in self.history]
        return RayBornReconstruction(medium, scene.sound_speed, self.settings, past, len(self.sets))

    def _absorption(self, given: Medium | float | None, initial: Medium | None) -> NDArray[np.float64] | None:
        scene, kind = self.scene, self.settings.absorption
        if kind == "none":
            if given is not None:
                raise ArgumentError("absorption: expected None with the setting absorption='none'; choose 'known'")
            return None
        if given is None:
            if kind == "known":
                raise ArgumentError("absorption: expected a Medium or a number with absorption='known', got None")
            return np.zeros(scene.n_nodes)
        if isinstance(given, Medium):
            if given.absorption is None or given.grid.ndim != 2:
                raise ArgumentError(f"absorption: expected a 2-D Medium that has an absorption, got {given!r}")
            return np.maximum(on_grid(given.absorption, given.grid, scene.grid, 0.0)[scene.mask], 0)
        alpha = scalar("absorption", given, 0.0, 1e3, "Np/m at 1 MHz")
        if initial is None:
            raise ArgumentError("absorption: expected a Medium where there is no initial map that shows the object")
        inside = np.abs(resampled(initial, scene.grid, scene.sound_speed) - scene.sound_speed) > 2.0
        return np.where(inside[scene.mask], alpha, 0.0)

    def _bound(self) -> None:
        s, c0 = self.settings, self.scene.sound_speed
        self.state.chi = np.clip(self.state.chi, (c0 / s.highest) ** 2 - 1, (c0 / s.lowest) ** 2 - 1)

    def _settled(self) -> bool:
        last = [h["change"] for h in self.history[-_QUIET:]]
        return len(last) == _QUIET and max(last) < self.settings.tolerance

    def _note(self, level: Level, before: NDArray[np.float64], seconds: float) -> None:
        f = [d.operator.frequency for d in level.data]
        size = float(np.linalg.norm(self.state.chi))
        entry: dict[str, Any] = {
            "iteration": len(self.history) + 1,
            "low": min(f),
            "high": max(f),
            "residual": level.misfit,
            "pairs": int(np.mean([(d.weights > 0).sum() for d in level.data])),
            "change": float(np.linalg.norm(self.state.chi - before)) / size if size else 0.0,
            "seconds": seconds,
        }
        if self.truth is not None:
            entry |= sound_speed_errors(self.result().medium, self.truth, self.scene.sound_speed)
        self.history.append(entry)

    def _digest(self) -> str:
        """What the result depends on: data, geometry, settings, start."""
        scene = self.scene
        spectra = scene.spectra
        parts = [scene.elements, scene.transmit, scene.receive, spectra.frequencies, spectra.values, spectra.pairs]
        parts += [self.state.chi]
        parts += [p for p in (spectra.weights, spectra.noise, self.state.absorption) if p is not None]
        numbers = repr((self.settings, scene.grid, scene.sound_speed))
        digest = hashlib.blake2b(numbers.encode(), digest_size=16)
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def _save(self, path: Path, digest: str) -> None:
        arrays: dict[str, NDArray[Any]] = {"chi": self.state.chi}
        if self.state.absorption is not None:
            arrays["absorption"] = self.state.absorption
        arrays |= {f"memory_{name}": value for name, value in self.state.memory.items()}
        write_checkpoint(path, arrays, {"digest": digest, "history": self.history})

    def _load(self, path: Path, digest: str) -> None:
        arrays, facts = read_checkpoint(path)
        if facts.get("digest") != digest:
            raise ArgumentError(f"checkpoint: expected one of the same data and settings, got another's: {path}")
        try:
            chi, self.history = arrays["chi"], list(facts["history"])
        except KeyError as error:
            raise FormatError(f"{path}: expected a checkpoint of a ray-Born reconstruction, lacks {error}") from None
        prefix = "memory_"
        memory = {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}
        self.state = State(chi, arrays.get("absorption"), memory)


def _water_speed(data: Any, sound_speed: float | None, settings: RayBornSettings) -> float:
    if not isinstance(data, (ChannelData, Spectra)):
        raise ArgumentError(f"data: expected ChannelData or Spectra, got {type(data).__name__}")
    if sound_speed is None and isinstance(data, Spectra):
        raise ArgumentError("sound_speed: expected that of the water with Spectra, got None")
    given = data.sound_speed if sound_speed is None and isinstance(data, ChannelData) else sound_speed
    speed = scalar("sound_speed", given, 300.0, 12000.0, "m/s")
    if not settings.lowest < speed < settings.highest:
        raise ArgumentError(
            f"lowest, highest: expected limits around water's {speed:g} m/s, got {settings.lowest:g}, "
            f"{settings.highest:g}"
        )
    return speed


def _ends(data: Any, emitters: Any, receivers: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(data, ChannelData):
        if emitters is not None or receivers is not None:
            raise ArgumentError("emitters, receivers: expected None with ChannelData, which knows them")
        return emitter_positions(data), data.probe.positions
    n_tx, n_rx = data.values.shape[1:]
    return (
        array("emitters", emitters, (n_tx, 3), low=-2.0, high=2.0, unit="m"),
        array("receivers", receivers, (n_rx, 3), low=-2.0, high=2.0, unit="m"),
    )


def _from_travel_times(
    data: ChannelData,
    water: ChannelData | None,
    pairs: Any,
    sound_speed: float | None,
    water_sound_speed: float | None,
    progress: bool,
    device: str,
) -> Medium:
    """Map to start from."""
    if pairs is not None:  # the travel times of near pairs say little
        distance = pair_distances(emitter_positions(data), data.probe.positions)
        pairs = checked_pairs(pairs, distance.shape) & TravelTimeSettings().far_enough(distance)
    return reconstruct_travel_time(
        data,
        water,
        pairs=pairs,
        sound_speed=sound_speed,
        water_sound_speed=water_sound_speed,
        progress=progress,
        device=device,
    ).medium


def _wanted(spectra: Spectra, pairs: Any) -> Spectra:
    if pairs is None:
        return spectra
    return spectra.with_(pairs=spectra.pairs & checked_pairs(pairs, spectra.pairs.shape))


def _spacing(grid: Grid | None, spacing: float | None, ends: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
    if grid is not None:
        return float(max(grid.spacing))
    if spacing is not None:
        return scalar("spacing", spacing, 1e-5, 0.05, "m")
    return float(np.ptp(np.concatenate(ends), axis=0).max()) / 220
