"""The training loop: one network or several against each other, a log, checkpoints that a killed run goes on from.

A loss places its batch where its network is: `device_of`.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import count, option, scalar
from .._progress import progress
from ..errors import ArgumentError
from .hardware import Hardware, Processor
from .logs import TrainingLog
from .states import load_state, save_state

__all__ = ["Hardware", "Loss", "Player", "Schedule", "device_of", "kept_weights", "train", "train_players"]

Loss = Callable[[np.random.Generator], Tensor]
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


@dataclass(frozen=True)
class Schedule:
    """How a loop runs.

    Parameters
    ----------
    steps : int
        Updates in all.
    rate : float
        Largest learning rate: rises linearly over ``warm_up`` steps, then falls as a cosine to 0.
    warm_up : int
    weight_decay : float
        Of the optimiser; "adam" adds it to the gradient.
    average : float
        Decay of the running average of the weights that is kept as the result; 0 keeps the last ones.
    evaluate_every : int
        Steps between evaluations, log rows and checkpoints.
    keep_best : bool
        Keep the weights with the least evaluation instead of the last ones.
    optimizer : {"adamw", "adam"}
    betas : (float, float)
        Decay of the optimiser's means of gradients and of their squares.
    clip : float
        Largest norm of a player's gradients; 0: any.
    constant : bool
        Keep the rate after the warm-up instead of letting it fall.

    Raises
    ------
    ArgumentError
    """

    steps: int
    rate: float = 1e-3
    warm_up: int = 50
    weight_decay: float = 1e-2
    average: float = 0.0
    evaluate_every: int = 100
    keep_best: bool = False
    optimizer: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 0.0
    constant: bool = False

    def __post_init__(self) -> None:
        count("steps", self.steps, 1, 100_000_000)
        count("warm_up", self.warm_up, 0, 100_000_000)
        count("evaluate_every", self.evaluate_every, 1, 100_000_000)
        scalar("rate", self.rate, 1e-8, 10.0, "(learning rate)")
        scalar("weight_decay", self.weight_decay, 0.0, 10.0, "(weight decay)")
        scalar("average", self.average, 0.0, 0.99999, "(decay)")
        scalar("clip", self.clip, 0.0, 1e9, "(norm)")
        option("optimizer", self.optimizer, tuple(OPTIMIZERS))
        _check_betas(self.betas)

    def rate_at(self, step: int) -> float:
        """Learning rate of update number ``step``, counted from 0."""
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        fall = 1.0 if self.constant else 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * rise * fall


@dataclass(frozen=True)
class Player:
    """A network with a loss of its own.

    Parameters
    ----------
    name : str
        In the log and in checkpoints.
    module : nn.Module
        Trained in place.
    loss : callable
        ``loss(rng)`` draws a batch and returns the loss. The players of one step get generators of the same seed, so
        losses that draw in the same way see the same batch. Other players' weights get no gradients meanwhile.
    rate : float
        Factor to the schedule's learning rate.
    betas : (float, float), optional
        Instead of the schedule's.

    Raises
    ------
    ArgumentError
    """

    name: str
    module: nn.Module
    loss: Loss
    rate: float = 1.0
    betas: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ArgumentError(f"player: expected a name, got {self.name!r}")
        scalar(f"player {self.name!r}: rate", self.rate, 1e-6, 1e6, "(factor)")
        if self.betas is not None:
            _check_betas(self.betas)


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's parameters are, and a batch for it must be."""
    return next(module.parameters()).device


def kept_weights(path: Any, player: str | None = None) -> dict[str, Tensor]:
    """Return the weights that a run kept, from its checkpoint.

    Parameters
    ----------
    path : path
        ``<name>.pt``.
    player : str, optional
        Whose, where several were trained.

    Raises
    ------
    FormatError
        No checkpoint.
    ArgumentError
        Another player than there are.
    """
    kept = load_state(path).get("kept", {})
    if kept and all(isinstance(value, Tensor) for value in kept.values()):
        kept = {None: kept}
    if player not in kept:
        raise ArgumentError(f"player: expected one of {list(kept)} in {path}, got {player!r}")
    return dict(kept[player])


def train(
    module: nn.Module,
    loss: Loss,
    schedule: Schedule,
    folder: Path,
    name: str,
    *,
    seed: int,
    evaluate: Callable[[], float] | None = None,
    resume: bool = False,
    settings: str = "",
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> float:
    """Train a module in place; returns its evaluation (NaN without one).

    `train_players` with one player, called ``name``.

    Parameters
    ----------
    module : nn.Module
    loss : callable
        ``loss(rng)`` draws a batch and returns the loss; it may call ``backward`` on parts of it itself and then
        returns a detached number.
    schedule, folder, name, seed, evaluate, resume, settings, show, hardware, tensorboard : see `train_players`
    """
    return train_players(
        [Player(name, module, loss)],
        schedule,
        folder,
        name,
        seed=seed,
        evaluate=evaluate,
        resume=resume,
        settings=settings,
        show=show,
        hardware=hardware,
        tensorboard=tensorboard,
    )


def train_players(
    players: Sequence[Player],
    schedule: Schedule,
    folder: Path,
    name: str,
    *,
    seed: int,
    evaluate: Callable[[], float] | None = None,
    resume: bool = False,
    settings: str = "",
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> float:
    """Train modules in place, one update of each per step, in order; returns the evaluation (NaN without one).

    Step k of rank r draws from a generator seeded with (seed, k, r), and PyTorch's own is seeded from the same
    numbers, so a run that goes on from a checkpoint makes the same steps as one that was not interrupted: on the CPU,
    with as many threads, the same weights to the last bit. ``<name>.csv`` gets a row per evaluation, ``<name>.pt`` the state, written in one
    step: it survives a kill at any moment. Afterwards modules are on the CPU, hold the kept weights and are in
    evaluation mode.

    Parameters
    ----------
    players : sequence of Player
        With distinct names.
    schedule : Schedule
    folder : Path
    name : str
        Of the files.
    seed : int
    evaluate : callable, optional
        The less, the better. Called on rank 0, without gradients, at full precision, modules in evaluation mode and
        holding what would be kept.
    resume : bool
        Go on from ``<name>.pt`` if it is there.
    settings : str
        Whatever decides what is trained; a checkpoint of others is refused.
    show : bool
        Progress on standard error.
    hardware : Hardware, optional
        Default: one CPU at full precision.
    tensorboard : bool
        Write the log for TensorBoard, too, into ``<folder>/tensorboard/<name>``.

    Raises
    ------
    ArgumentError
        A checkpoint of other settings; a loss that is not finite.
    DeviceError, MissingExtraError
        See `Hardware`; TensorBoard is not installed.
    KeyboardInterrupt
        After the state has been saved; says where.
    """
    names = [player.name for player in players]
    if not names or len(set(names)) < len(names):
        raise ArgumentError(f"players: expected at least one, with distinct names, got {names}")
    processor = (hardware or Hardware("cpu")).processor()
    # What changes the result belongs to the settings; devices and precision do not have to stay the same.
    run = _Run(players, schedule, Path(folder), name, f"{settings} seed {seed} {schedule}", processor)
    with TrainingLog(run.folder, name, names, tensorboard=tensorboard, write=processor.rank == 0) as log:
        run.log = log
        run.begin(resume)
        try:
            for step in progress(range(run.step, schedule.steps), name, enabled=show and processor.rank == 0):
                run.update(seed, step)
                if run.step % schedule.evaluate_every == 0 or run.step == schedule.steps:
                    run.evaluated(evaluate)
        except KeyboardInterrupt:
            run.save()
            raise KeyboardInterrupt(
                f"{run.step} of {schedule.steps} steps are in {run.path}; go on with --resume"
            ) from None
    run.finish()
    return run.result


class _Run:
    """State of a loop."""

    log: TrainingLog

    def __init__(
        self,
        players: Sequence[Player],
        schedule: Schedule,
        folder: Path,
        name: str,
        settings: str,
        processor: Processor,
    ) -> None:
        self.players, self.schedule, self.settings, self.processor = players, schedule, settings, processor
        self.folder, self.path = folder, folder / f"{name}.pt"
        make = OPTIMIZERS[schedule.optimizer]
        self.parameters: list[list[nn.Parameter]] = []
        self.optimizers = []
        for player in players:
            processor.place(player.module)
            parameters = [p for p in player.module.parameters() if p.requires_grad]
            betas = player.betas or schedule.betas
            optimizer = make(parameters, schedule.rate, betas=betas, weight_decay=schedule.weight_decay)
            self.parameters.append(parameters)
            self.optimizers.append(processor.optimizer(optimizer))
        self.step, self.seconds, self.result = 0, 0.0, math.nan
        self.kept = self._weights()
        self.sums = [0.0] * len(players)
        self.count = 0
        self._begin = time.perf_counter()

    def begin(self, resume: bool) -> None:
        if resume and self.path.exists():
            self._restore(load_state(self.path))
        self.log.begin(self.step)
        self._begin = time.perf_counter() - self.seconds

    def _restore(self, state: dict[str, Any]) -> None:
        if state.get("settings") != self.settings:
            raise ArgumentError(
                f"resume: expected a checkpoint of these settings in {self.path}, got one of {state.get('settings')!r}"
            )
        self._load(_by_player(state["module"], self.players))
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.processor.restore(state["processor"])
        self.kept = [_to(weights, self.processor.device) for weights in _by_player(state["kept"], self.players)]
        self.step, self.seconds, self.result = state["step"], state["seconds"], state["result"]
        self.sums, self.count = list(state["sums"]), state["count"]

    def save(self) -> None:
        """Write the state, on rank 0."""
        self.seconds = time.perf_counter() - self._begin
        if self.processor.rank:
            return
        save_state(
            self.path,
            {
                "settings": self.settings,
                "module": _for_file(self._weights(), self.players),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "processor": self.processor.state(),
                "kept": _for_file(self.kept, self.players),
                "step": self.step,
                "seconds": self.seconds,
                "result": self.result,
                "sums": self.sums,
                "count": self.count,
            },
        )

    def update(self, seed: int, step: int) -> None:
        """One update of every player."""
        rate = self.schedule.rate_at(step)
        values = []
        for k, player in enumerate(self.players):
            optimizer, parameters = self.optimizers[k], self.parameters[k]
            for group in optimizer.param_groups:
                group["lr"] = rate * player.rate
            optimizer.zero_grad()
            self._freeze_others(k)
            rng = self.processor.seed(seed, step)
            with self.processor.autocast():
                value = player.loss(rng)
            self.processor.backward(value)
            self.processor.average(parameters)
            if self.schedule.clip:
                self.processor.clip(player.module, optimizer, self.schedule.clip)
            optimizer.step()
            values.append(value.detach())
        self._freeze_others(None)
        self._done(step, [float(value) for value in values])

    def _freeze_others(self, active: int | None) -> None:
        if len(self.players) > 1:
            for k, parameters in enumerate(self.parameters):
                for parameter in parameters:
                    parameter.requires_grad_(active in (None, k))

    def _done(self, step: int, losses: list[float]) -> None:
        for player, loss in zip(self.players, losses, strict=True):
            if not math.isfinite(loss):
                which = f" of {player.name!r}" if len(self.players) > 1 else ""
                raise ArgumentError(
                    f"training: expected a finite loss{which}, got {loss} at step {step}; lower the learning rate"
                )
        self.step = step + 1
        self.sums = [a + b for a, b in zip(self.sums, losses, strict=True)]
        self.count += 1
        if self.schedule.average:
            decay = min(self.schedule.average, self.step / (self.step + 10))
            for player, kept in zip(self.players, self.kept, strict=True):
                for key, value in player.module.state_dict().items():
                    if value.is_floating_point():
                        kept[key].mul_(decay).add_(value, alpha=1 - decay)
                    else:
                        kept[key].copy_(value)

    def evaluated(self, evaluate: Callable[[], float] | None) -> None:
        """Evaluate what would be kept, write a row of the log and the state."""
        current = self._weights()
        candidate = self.kept if self.schedule.average else current
        found = math.nan
        if evaluate is not None:
            if self.processor.rank == 0:
                found = self._judged(evaluate, candidate, current)
            found = self.processor.same(found)
        better = not self.schedule.keep_best or math.isnan(self.result) or found < self.result
        if better:
            self.kept, self.result = [_clone(weights) for weights in candidate], found
        losses = [self.processor.mean(total / max(1, self.count)) for total in self.sums]
        self.sums, self.count = [0.0] * len(self.players), 0
        self.seconds = time.perf_counter() - self._begin
        self.log.row(self.step, losses, found, self.schedule.rate_at(self.step - 1), self.seconds)
        self.save()  # last: a row whose step is in no checkpoint comes again

    def _judged(
        self, evaluate: Callable[[], float], candidate: list[dict[str, Tensor]], current: list[dict[str, Tensor]]
    ) -> float:
        modules = [m for player in self.players for m in player.module.modules()]
        training = [m.training for m in modules]
        self._load(candidate)
        for player in self.players:
            player.module.eval()
        with torch.no_grad():
            found = float(evaluate())
        for module, mode in zip(modules, training, strict=True):
            module.training = mode
        self._load(current)
        return found

    def finish(self) -> None:
        self._load(self.kept)
        for player in self.players:
            self.processor.place(player.module)  # buffers, such as running means, are each rank's own until here
            player.module.to("cpu").eval()

    def _weights(self) -> list[dict[str, Tensor]]:
        return [_clone(player.module.state_dict()) for player in self.players]

    def _load(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        for player, own in zip(self.players, weights, strict=True):
            player.module.load_state_dict(own)


def _for_file(weights: list[dict[str, Tensor]], players: Sequence[Player]) -> dict[str, Any]:
    """Weights by player; those of a single one without its name."""
    return weights[0] if len(players) == 1 else {p.name: own for p, own in zip(players, weights, strict=True)}


def _by_player(saved: dict[str, Any], players: Sequence[Player]) -> list[dict[str, Tensor]]:
    return [saved] if len(players) == 1 else [saved[player.name] for player in players]


def _clone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}


def _to(state: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {key: value.to(device) for key, value in state.items()}


def _check_betas(betas: Any) -> None:
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise ArgumentError(f"betas: expected two numbers, got {betas!r}")
    for beta in betas:
        scalar("betas", beta, 0.0, 0.999999, "(decay)")
