"""Training data: random tissue, its echoes with all their faults, features and exact maps; kept in blocks on disk."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..._checks import count, option
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import full_synthetic_aperture
from ...autofocus.moveouts import Moveouts, MoveoutSettings
from ...beamforming.echoes import simulate_echoes
from ...errors import ArgumentError, FormatError
from ...io.writing import atomic
from ...media.grids import Grid
from ...media.medium import Medium
from ...media.phantoms_random import random_scatterers, random_tissue
from .expected import ExpectedMoveouts

KINDS = ("expected", "simulated", "traces")
_STREAMS = {"expected": 7, "simulated": 5, "traces": 3}
_BLOCK = {"expected": 100, "simulated": 10, "traces": 2}
_RECIPE = 1  # raise it when the same seed would give other data


def _default_probe() -> Probe:
    return Probe.linear(64, 0.45e-3, width=0.38e-3, center_frequency=2.25e6, bandwidth=0.55 * 2.25e6)


@dataclass(frozen=True)
class Acquisition:
    """What is trained for: probe, sampling, and how its echoes vary.

    Parameters
    ----------
    probe : Probe
    sampling_frequency : float [Hz]
        Of the I/Q, demodulated at the probe's centre frequency.
    start_time, duration : float [s]
        Times of the first and last sample.
    n_scatterers : int
    settings : MoveoutSettings
    """

    probe: Probe = field(default_factory=_default_probe)
    sampling_frequency: float = 5e6
    start_time: float = 1e-6
    duration: float = 57e-6
    n_scatterers: int = 2000
    settings: MoveoutSettings = field(default_factory=MoveoutSettings)

    @property
    def medium_grid(self) -> Grid:
        """Where random tissue is drawn."""
        s = self.settings
        return Grid.from_extent(x=(-s.half_width, s.half_width), z=(0.0, s.depth), spacing=3e-4)

    @property
    def n_samples(self) -> int:
        """Samples per trace."""
        return int((self.duration - self.start_time) * self.sampling_frequency + 1e-6) + 1

    def to_dict(self) -> dict[str, Any]:
        """Return everything that decides what the data are."""
        return {
            "recipe": _RECIPE,
            "positions": [round(float(x), 9) for x in self.probe.positions[:, 0]],
            "width": self.probe.width,
            "center_frequency": self.probe.center_frequency,
            "sampling_frequency": self.sampling_frequency,
            "start_time": self.start_time,
            "duration": self.duration,
            "n_scatterers": self.n_scatterers,
            "moveouts": self.settings.to_dict(),
        }


def draw_medium(acquisition: Acquisition, kind: str, index: int) -> tuple[Medium, np.random.Generator]:
    """Random tissue number ``index`` and the generator for what comes after it."""
    rng = np.random.default_rng([_STREAMS[kind], index])
    return random_tissue(rng, acquisition.medium_grid), rng


def draw_echoes(acquisition: Acquisition, kind: str, index: int) -> tuple[ChannelData, Medium]:
    """Simulate channel data number ``index`` with random faults, and its medium.

    Noise at 15 to 40 dB, elements that differ by up to 2 dB and 0.04 rad rms, in 40 % up to four dead ones, pulses 5 %
    lower to 9 % higher and of varying bandwidth, in 35 % an attenuated late copy of all echoes as clutter.
    """
    medium, rng = draw_medium(acquisition, kind, index)
    probe = acquisition.probe
    n, fc = probe.n_elements, probe.center_frequency
    scatterers, amplitudes = random_scatterers(rng, acquisition.medium_grid, acquisition.n_scatterers)
    center = fc * rng.uniform(0.95, 1.09)
    gains = 10 ** (rng.uniform(0, 2) * rng.standard_normal(n) / 20)
    gains = gains * np.exp(1j * rng.uniform(0, 0.04) * rng.standard_normal(n))
    if rng.random() < 0.4:
        gains[rng.integers(0, n, rng.integers(1, 5))] = 0
    data = simulate_echoes(
        medium,
        probe,
        full_synthetic_aperture(probe),
        scatterers,
        amplitudes,
        sampling_frequency=acquisition.sampling_frequency,
        duration=acquisition.duration,
        start_time=acquisition.start_time,
        demodulation_frequency=fc,
        center_frequency=center,
        bandwidth=rng.uniform(0.42, 0.62),
        element_gains=gains,
        snr=rng.uniform(15, 40),
        seed=rng,
    )
    if rng.random() < 0.35:
        late = rng.integers(6, 50)
        weight = 10 ** (rng.uniform(-28, -14) / 20) * np.exp(2j * np.pi * rng.random())
        samples = data.samples.copy()
        samples[..., late:] += weight * data.samples[..., :-late]
        data = data.with_(samples=samples)
    return data, medium


def map_of(medium: Medium, grid: Grid) -> NDArray[np.float32]:
    """Sound speed on a coarser grid: blurred by half its spacing, then interpolated; (n_x, n_z) float32 [m/s]."""
    fine = medium.grid
    width = [0.5 * h / f for h, f in zip(grid.spacing, fine.spacing, strict=True)]
    blurred = scipy.ndimage.gaussian_filter(medium.sound_speed.astype(float), width, mode="nearest")
    mesh = np.meshgrid(*grid.axes, indexing="ij")
    at = [(m - o) / h for m, o, h in zip(mesh, fine.origin, fine.spacing, strict=True)]
    return scipy.ndimage.map_coordinates(blurred, at, order=1, mode="nearest").astype(np.float32)


class Dataset:
    """Examples in blocks on disk, made when they are missing.

    Parameters
    ----------
    folder : path
        Made when absent; refused if it holds data of another acquisition.
    acquisition : Acquisition

    Raises
    ------
    ArgumentError
        The folder belongs to another acquisition or recipe.
    """

    def __init__(self, folder: Any, acquisition: Acquisition | None = None) -> None:
        self.folder = Path(folder)
        self.acquisition = Acquisition() if acquisition is None else acquisition
        self.folder.mkdir(parents=True, exist_ok=True)
        self._plan: Moveouts | None = None
        self._expected: ExpectedMoveouts | None = None
        described = json.dumps(self.acquisition.to_dict(), sort_keys=True)
        self.digest = hashlib.sha256(described.encode()).hexdigest()
        head = self.folder / "acquisition.json"
        if not head.exists():
            _write(head, lambda path: path.write_text(described))
        elif head.read_text() != described:
            raise ArgumentError(f"dataset: expected a new folder or one of this acquisition, got {folder} of another")

    @property
    def plan(self) -> Moveouts:
        """Of the features."""
        if self._plan is None:
            a = self.acquisition
            self._plan = Moveouts(a.probe, a.probe.center_frequency, a.settings)
        return self._plan

    def load(self, kind: str, n: int, *, progress: Callable[[Iterator[Any], str, int], Any] | None = None) -> Any:
        """Return the first ``n`` examples, made where they are missing.

        Parameters
        ----------
        kind : {"expected", "simulated", "traces"}
            Slopes that travel times predict; slopes and trust from simulated echoes; the I/Q itself.
        n : int
        progress : callable, optional
            ``progress(iterator, label, total)`` passes the blocks through.

        Returns
        -------
        values : tuple of arrays
            (n, ...) float16: slopes; slopes and trust; I/Q (n, n_tx, n_rx, n_samples, 2).
        maps : (n, n_x, n_z) float32 [m/s]
        """
        option("kind", kind, KINDS)
        size = _BLOCK[kind]
        blocks: Any = iter(range(0, count("n", n, 1, 10_000_000), size))
        if progress is not None:
            blocks = progress(blocks, f"{kind} examples", -(-n // size))
        parts = [self._block(kind, first) for first in blocks]
        names = [k for k in parts[0] if k != "maps"]
        values = tuple(np.concatenate([p[k] for p in parts])[:n] for k in names)
        return values, np.concatenate([p["maps"] for p in parts])[:n]

    def _block(self, kind: str, first: int) -> dict[str, NDArray[Any]]:
        path = self.folder / f"{kind}-{first:06d}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as file:
                    return {k: file[k] for k in sorted(file.files)}
            except (OSError, ValueError, KeyError) as error:
                raise FormatError(f"{path}: expected a block of examples: {error}; delete it to make it anew") from None
        rows = [self._example(kind, k) for k in range(first, first + _BLOCK[kind])]
        block = {k: np.stack([r[k] for r in rows]) for k in sorted(rows[0])}
        _write(path, lambda partial: _save(partial, block))
        return block

    def _example(self, kind: str, index: int) -> dict[str, NDArray[Any]]:
        a = self.acquisition
        if kind == "expected":
            medium, _ = draw_medium(a, kind, index)
            if self._expected is None:
                self._expected = ExpectedMoveouts(self.plan)
            return {"a_slopes": self._expected(medium).astype(np.float16), "maps": map_of(medium, a.settings.grid)}
        data, medium = draw_echoes(a, kind, index)
        maps = map_of(medium, a.settings.grid)
        if kind == "traces":
            traces = data.samples[0].view(np.float32).reshape(*data.samples.shape[1:], 2)
            return {"a_traces": traces.astype(np.float16), "maps": maps}
        slopes, trust = self.plan.measure(data)
        return {"a_slopes": slopes.astype(np.float16), "b_trust": trust.astype(np.float16), "maps": maps}


def _save(path: Path, block: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, **block)


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside and rename: an interrupted write leaves nothing that looks finished."""
    with atomic(path) as partial:
        write(partial)
