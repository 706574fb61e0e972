"""The recipes: what is trained on what, in which order.

"cmp", ours: phase 1 on moveouts that travel times predict, with the noise of simulated ones; phase 2 on simulated
echoes. "upstream", as published [1]_: phase 1 reconstructs single traces without labels, phase 2 learns the map with
the encoder frozen.

References
----------
.. [1] NVIDIA, NV-Raw2Insights-US (2026), training scripts (Apache-2.0).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..._checks import count, option
from ..._progress import progress
from ...autofocus.moveouts import mirrored
from ...errors import ArgumentError
from ...media.grids import Grid
from ..loops import Schedule, load_kept, train
from .data import Acquisition, Dataset
from .networks import MoveoutNetwork, SoundSpeedHead, TraceAutoencoder

MODES = ("cmp", "upstream")
PHASES = ("1", "2", "all")
_BATCH = 16
_CHUNK = 4096  # traces that go through the published auto-encoder at once


@dataclass(frozen=True)
class Amounts:
    """How much of everything.

    Parameters
    ----------
    samples : (int, int)
        Examples of phases 1 and 2.
    epochs : (int, int)
    validation : int
        Simulated examples that are never trained on.
    """

    samples: tuple[int, int]
    epochs: tuple[int, int]
    validation: int


DEFAULTS = {"cmp": Amounts((6000, 500), (7, 30), 60), "upstream": Amounts((830, 830), (100, 100), 93)}
QUICK = {"cmp": Amounts((100, 5), (1, 1), 5), "upstream": Amounts((2, 2), (1, 1), 2)}


def judged(grid: Grid) -> NDArray[np.bool_]:
    """Where maps are judged: abs(x) <= 12 mm, 3 mm <= z <= 38 mm."""
    return np.asarray((np.abs(grid.x) <= 12.01e-3)[:, None] & ((grid.z >= 2.99e-3) & (grid.z <= 38.01e-3))[None])


def train_moveouts(
    dataset: Dataset,
    folder: Any,
    amounts: Amounts | None = None,
    *,
    phase: str = "all",
    seed: int = 0,
    resume: bool = False,
    permute_targets: bool = False,
    widths: tuple[int, ...] = (24, 40, 64, 96),
    show: bool = False,
    tensorboard: bool = False,
) -> tuple[MoveoutNetwork, float]:
    """Train the "cmp" network.

    Parameters
    ----------
    dataset : Dataset
    folder : path
        For checkpoints and logs; made when absent.
    amounts : Amounts, optional
    phase : {"1", "2", "all"}
        Phase 2 alone starts from the checkpoint of phase 1 in ``folder``, and phase 1 writes one.
    seed : int
    resume : bool
    permute_targets : bool
        Negative control: every example gets the map of another one. Nothing must be learned but the mean.
    widths : tuple of int
        Channels of the network's levels.
    show : bool
        Progress on standard error.
    tensorboard : bool
        Log for TensorBoard, too.

    Returns
    -------
    network : MoveoutNetwork
    error : float [m/s]
        Mean absolute error on the validation examples, where `judged`.
    """
    option("phase", phase, PHASES)
    given = DEFAULTS["cmp"] if amounts is None else amounts
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    data = _Moveouts(dataset, given, permute_targets, show)
    network = MoveoutNetwork(dataset.plan.settings.n_bins, dataset.plan.settings.shape, widths)
    settings = {"data": dataset.digest, "amounts": given, "widths": widths, "permute_targets": permute_targets}
    error = float("nan")
    stages = {
        "1": (given.samples[0] * given.epochs[0], data.expected, 2e-3, 0.98),
        "2": (given.samples[1] * given.epochs[1], data.mixed, 7e-4, 0.98),
    }
    for stage in ("1", "2") if phase == "all" else (phase,):
        if stage == "2" and phase == "2":
            _start_from(network, target / "cmp-1.pt")
        n_examples, draw, rate, average = stages[stage]
        steps = max(1, n_examples // _BATCH)
        schedule = Schedule(steps, rate, min(60, steps // 4), average=average, evaluate_every=max(1, min(125, steps)))
        error = train(
            network,
            lambda rng, draw=draw: data.loss(network, rng, *draw(rng)),  # type: ignore[misc]
            schedule,
            target,
            f"cmp-{stage}",
            seed=seed,
            evaluate=lambda: data.error(network),
            resume=resume,
            settings=settings,
            show=show,
            tensorboard=tensorboard,
        )
    return network, error


class _Moveouts:
    """Examples in memory, and how batches are drawn from them."""

    def __init__(self, dataset: Dataset, amounts: Amounts, permute: bool, show: bool) -> None:
        self.plan, settings = dataset.plan, dataset.plan.settings
        shown = _shown(show)
        n_valid, n_sim = amounts.validation, amounts.samples[1]
        (slopes, trust), maps = dataset.load("simulated", n_valid + n_sim, progress=shown)
        (expected,), expected_maps = dataset.load("expected", amounts.samples[0], progress=shown)
        self.features, self.maps = self.plan.features_of(slopes.astype("f4"), trust.astype("f4")), maps
        self.validation, self.trust = slice(0, n_valid), trust[n_valid:]
        self.slopes, self.expected_maps = expected, expected_maps
        if permute:
            rng = np.random.default_rng(0)
            self.expected_maps = expected_maps[rng.permutation(len(expected_maps))]
            self.maps = np.concatenate([maps[:n_valid], maps[n_valid:][rng.permutation(n_sim)]])
        self.n_valid, self.n_midpoints = n_valid, len(settings.midpoints) - 1
        grid = settings.grid
        inner = (np.abs(grid.x) <= 14e-3)[:, None] & ((grid.z > 2e-3) & (grid.z < 40e-3))[None]
        self.weight = torch.from_numpy(np.where(inner, 1.0, 0.2).astype(np.float32))
        self.judged = judged(grid)

    def expected(self, rng: np.random.Generator, n: int = _BATCH) -> tuple[NDArray[Any], NDArray[Any]]:
        """Expected slopes with the noise and the trust of simulated ones."""
        i = rng.integers(0, len(self.slopes), n)
        slopes = self.slopes[i].astype(np.float32)
        trust = self.trust[rng.integers(0, len(self.trust), n)].astype(np.float32) * (slopes != 0)
        noise = 6e-4 + 0.012 * (1 - np.minimum(trust, 50) / 50) ** 0.75
        noise = noise * rng.uniform(0.6, 1.6, (n, 1, 1, 1))
        slopes = slopes * (1 + 0.02 * rng.standard_normal((n, 1, 1, 1))) + noise * rng.standard_normal(slopes.shape)
        return self.plan.features_of(slopes, trust), self.expected_maps[i]

    def mixed(self, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """Half simulated, half expected."""
        i = rng.integers(self.n_valid, len(self.features), _BATCH // 2)
        features, maps = self.expected(rng, _BATCH - len(i))
        return np.concatenate([self.features[i], features]), np.concatenate([self.maps[i], maps])

    def loss(
        self, network: MoveoutNetwork, rng: np.random.Generator, features: NDArray[Any], maps: NDArray[Any]
    ) -> Tensor:
        """Smooth L1 of the deviation; half of all batches are mirrored."""
        if rng.random() < 0.5:
            features, maps = mirrored(features, self.n_midpoints), maps[:, ::-1].copy()
        wanted = (torch.from_numpy(maps) - network.center) / network.spread
        found = network(torch.from_numpy(features.astype(np.float32)))
        return (self.weight * functional.smooth_l1_loss(found, wanted, reduction="none", beta=0.2)).mean()

    def error(self, network: MoveoutNetwork) -> float:
        """Mean absolute error [m/s] on the validation examples."""
        with torch.no_grad():
            found = network(torch.from_numpy(self.features[self.validation])).numpy()
        found = network.center + network.spread * found
        return float(np.abs(found - self.maps[self.validation])[:, self.judged].mean())


def train_upstream(
    dataset: Dataset,
    folder: Any,
    amounts: Amounts | None = None,
    *,
    phase: str = "all",
    seed: int | None = None,
    resume: bool = False,
    n_samples: int = 256,
    show: bool = False,
    tensorboard: bool = False,
) -> tuple[TraceAutoencoder, SoundSpeedHead, float, float]:
    """Train the published pair by its published recipe.

    Phase 1: mean square error + 0.1 (1 - Re complex correlation), AdamW at 1e-3, warm-up 500, one sample (all its
    traces) per step, seed 42. Phase 2: mean square error in km/s, encoder frozen, AdamW at 1e-4, warm-up 100, batches
    of 4, seed 23; the weights with the least validation loss are kept.

    Parameters
    ----------
    dataset, folder, amounts, phase, resume, show, tensorboard : see `train_moveouts`
    seed : int, optional
        Instead of the published ones.
    n_samples : int
        First samples of every trace, a multiple of 64.

    Returns
    -------
    autoencoder : TraceAutoencoder
    head : SoundSpeedHead
    rms : float
        By which the data were divided.
    error : float
        Last evaluation: the loss of phase 1, or the mean square error of phase 2 in (km/s)^2.
    """
    option("phase", phase, PHASES)
    given = DEFAULTS["upstream"] if amounts is None else amounts
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    n_valid = given.validation
    (traces,), maps = dataset.load("traces", n_valid + max(given.samples), progress=_shown(show))
    if n_samples > traces.shape[3]:
        raise ArgumentError(f"n_samples: expected at most {traces.shape[3]}, got {n_samples}")
    traces = traces[:, :, :, : count("n_samples", n_samples, 64, 1 << 20)]
    rms = float(np.sqrt(np.mean(traces[n_valid:].astype(np.float32) ** 2) * 2))
    seeds = (42, 23) if seed is None else (seed, seed)
    torch.manual_seed(seeds[0])
    autoencoder = TraceAutoencoder(n_samples)
    head = SoundSpeedHead(traces.shape[1])
    data = _Traces(traces, maps, rms, n_valid)
    settings = {"data": dataset.digest, "amounts": given, "n_samples": n_samples}
    error = float("nan")
    common: dict[str, Any] = {"resume": resume, "settings": settings, "show": show, "tensorboard": tensorboard}
    if phase in ("1", "all"):
        steps = given.samples[0] * given.epochs[0]
        schedule = Schedule(steps, 1e-3, min(500, steps), evaluate_every=max(1, given.samples[0]))
        error = train(
            autoencoder,
            lambda rng: data.reconstruct(autoencoder, rng, given.samples[0]),
            schedule,
            target,
            "upstream-1",
            seed=seeds[0],
            evaluate=lambda: data.reconstruction(autoencoder),
            **common,
        )
    if phase in ("2", "all"):
        if phase == "2":
            _start_from(autoencoder, target / "upstream-1.pt")
        autoencoder.requires_grad_(False)
        per_epoch = max(1, given.samples[1] // 4)
        steps = per_epoch * given.epochs[1]
        schedule = Schedule(steps, 1e-4, min(100, steps), evaluate_every=per_epoch, keep_best=True)
        error = train(
            head,
            lambda rng: data.map_loss(autoencoder, head, rng, given.samples[1]),
            schedule,
            target,
            "upstream-2",
            seed=seeds[1],
            evaluate=lambda: data.map_error(autoencoder, head),
            **common,
        )
    return autoencoder, head, rms, error


class _Traces:
    """Raw I/Q in memory."""

    def __init__(self, traces: NDArray[Any], maps: NDArray[Any], rms: float, n_valid: int) -> None:
        self.traces, self.rms, self.n_valid = traces, rms, n_valid
        self.maps = torch.from_numpy(np.ascontiguousarray(maps.transpose(0, 2, 1))[:, None] / 1000.0)

    def batch(self, index: Any) -> Tensor:
        """(n n_tx n_rx, 2, n_samples)."""
        picked = torch.from_numpy(self.traces[index].astype(np.float32) / self.rms)
        return picked.flatten(0, -3).transpose(1, 2)

    def reconstruct(self, autoencoder: TraceAutoencoder, rng: np.random.Generator, n: int) -> Tensor:
        """All traces of one example, part by part; gradients add up."""
        traces = self.batch(self.n_valid + int(rng.integers(0, n)))
        total = torch.zeros(())
        for part in torch.split(traces, _CHUNK):
            loss = reconstruction_loss(autoencoder(part), part) * (len(part) / len(traces))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def reconstruction(self, autoencoder: TraceAutoencoder) -> float:
        with torch.no_grad():
            parts = torch.split(self.batch(0), _CHUNK)
            return float(np.mean([float(reconstruction_loss(autoencoder(p), p)) for p in parts]))

    def _latent(self, autoencoder: TraceAutoencoder, index: Any) -> Tensor:
        n, n_tx, n_rx = self.traces[index].shape[:3]
        with torch.no_grad():
            latent = torch.cat([autoencoder.encoder(p) for p in torch.split(self.batch(index), _CHUNK)])
        return latent.view(n, n_tx, n_rx, *latent.shape[1:])

    def map_loss(self, autoencoder: TraceAutoencoder, head: SoundSpeedHead, rng: Any, n: int) -> Tensor:
        i = self.n_valid + rng.choice(n, min(4, n), replace=False)
        return functional.mse_loss(head(self._latent(autoencoder, i)), self.maps[i])

    def map_error(self, autoencoder: TraceAutoencoder, head: SoundSpeedHead) -> float:
        with torch.no_grad():
            losses = [
                float(functional.mse_loss(head(self._latent(autoencoder, [i])), self.maps[[i]]))
                for i in range(self.n_valid)
            ]
        return float(np.mean(losses))


def reconstruction_loss(found: Tensor, traces: Tensor) -> Tensor:
    """Mean square error + 0.1 (1 - mean over traces of Re(sum x conj(y)) / sqrt(sum abs(x)^2 sum abs(y)^2))."""
    product = (found * traces).sum((1, 2))
    power = (found**2).sum((1, 2)) * (traces**2).sum((1, 2))
    return functional.mse_loss(found, traces) + 0.1 * (1 - (product / (power.sqrt() + 1e-8)).mean())


def _start_from(module: torch.nn.Module, path: Path) -> None:
    if not path.exists():
        raise ArgumentError(f"phase: expected {path} from phase 1, found nothing; run phase 1 or all")
    load_kept(module, path)


def _shown(show: bool) -> Callable[[Any, str, int], Any] | None:
    return (lambda items, label, total: progress(items, label, total=total)) if show else None


def probe_spec(acquisition: Acquisition) -> dict[str, Any]:
    """Return what a model's spec says of probe and sampling."""
    probe = acquisition.probe
    return {
        "n_tx": probe.n_elements,
        "n_elements": probe.n_elements,
        "pitch": probe.pitch,
        "sampling_frequency": acquisition.sampling_frequency,
        "demodulation_frequency": probe.center_frequency,
    }
