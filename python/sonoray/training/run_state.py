"""State of a training loop: weights, optimisers, what is kept, and how a checkpoint holds them."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ArgumentError, FormatError
from .hardware import Processor
from .logs import TrainingLog
from .players import OPTIMIZERS, Player, Schedule
from .states import differences, load_state, save_state


class RunState:
    """Everything that a loop changes."""

    log: TrainingLog

    def __init__(
        self,
        players: Sequence[Player],
        schedule: Schedule,
        folder: Path,
        name: str,
        settings: dict[str, Any],
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
        self.saved = 0  # steps in the checkpoint
        self.whole = True  # no step is half done
        self.kept = self._weights()
        self.sums = [0.0] * len(players)
        self.count = 0
        self._begin = time.perf_counter()

    def begin(self, resume: bool) -> None:
        if resume and self.path.exists():
            self._restore(load_state(self.path))
        elif self.processor.rank == 0:
            self.path.unlink(missing_ok=True)  # else a run killed early would leave another run's weights
        self.log.begin(self.step)
        self._begin = time.perf_counter() - self.seconds

    def _restore(self, state: dict[str, Any]) -> None:
        other = differences(state.get("settings"), self.settings)
        if other:
            raise ArgumentError(
                f"resume: expected a checkpoint of these settings in {self.path}, got one that differs in {other}"
            )
        try:
            self._load(_by_player(state["module"], self.players))
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.processor.restore(state["processor"])
            self.kept = [_to(weights, self.processor.device) for weights in _by_player(state["kept"], self.players)]
            self.step, self.seconds, self.result = state["step"], state["seconds"], state["result"]
            self.sums, self.count = list(state["sums"]), state["count"]
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise FormatError(f"{self.path}: expected the state of this training; the file is damaged") from None
        self.saved = self.step

    def save(self) -> None:
        """Write the state, on rank 0."""
        self.seconds, self.saved = time.perf_counter() - self._begin, self.step
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
        self.whole = False  # from the first forward pass on, which may change buffers
        try:
            losses = [self._updated(k, seed, step, rate) for k in range(len(self.players))]
        finally:
            self._freeze_others(None)
        self._done(step, losses)

    def _updated(self, k: int, seed: int, step: int, rate: float) -> float:
        player, optimizer, parameters = self.players[k], self.optimizers[k], self.parameters[k]
        for group in optimizer.param_groups:
            group["lr"] = rate * player.rate
        optimizer.zero_grad()
        self._freeze_others(k)
        rng = self.processor.seed(seed, step)
        with self.processor.autocast():
            value = player.loss(rng)
        found = self.processor.mean(float(value.detach()))  # of all ranks: what is not finite on one stops all
        if not math.isfinite(found):
            raise ArgumentError(
                f"training: expected a finite loss of {player.name!r}, got {found} at step {step}; lower the rate"
            )
        self.processor.backward(value)
        self.processor.average(parameters)
        if self.schedule.clip:
            self.processor.clip(player.module, optimizer, self.schedule.clip)
        optimizer.step()
        return found

    def _freeze_others(self, active: int | None) -> None:
        if len(self.players) > 1:
            for k, parameters in enumerate(self.parameters):
                for parameter in parameters:
                    parameter.requires_grad_(active in (None, k))

    def _done(self, step: int, losses: list[float]) -> None:
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
        self.whole = True

    @property
    def due(self) -> bool:
        """Whether the steps so far are still to be evaluated."""
        at_end = self.step == self.schedule.steps
        return self.count > 0 and (at_end or self.step % self.schedule.evaluate_every == 0)

    def evaluated(self, evaluate: Callable[[], float] | None) -> None:
        """Evaluate what would be kept, write a row of the log and the state."""
        self.whole = False
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
        losses = [total / max(1, self.count) for total in self.sums]
        self.sums, self.count = [0.0] * len(self.players), 0
        self.seconds = time.perf_counter() - self._begin
        self.log.row(self.step, losses, found, self.schedule.rate_at(self.step - 1), self.seconds)
        self.whole = True
        self.save()  # last: a row whose step is in no checkpoint comes again

    def _judged(
        self, evaluate: Callable[[], float], candidate: list[dict[str, Tensor]], current: list[dict[str, Tensor]]
    ) -> float:
        modules = [m for player in self.players for m in player.module.modules()]
        training = [m.training for m in modules]
        interrupted = False
        try:
            self._load(candidate)
            for player in self.players:
                player.module.eval()
            with torch.no_grad():
                return float(evaluate())
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            for module, mode in zip(modules, training, strict=True):
                module.training = mode
            self._load(current)
            self.whole = interrupted  # the step is done; its evaluation comes again when the run goes on

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
