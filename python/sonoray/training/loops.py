"""The training loop: warm-up and cosine, a log, checkpoints that an interrupted run goes on from."""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import count, scalar
from .._progress import progress
from ..errors import ArgumentError
from .states import load_state, save_state

Loss = Callable[[np.random.Generator], Tensor]


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
        Of AdamW.
    average : float
        Decay of the running average of the weights that is kept as the result; 0 keeps the last ones.
    evaluate_every : int
        Steps between evaluations, log rows and checkpoints.
    keep_best : bool
        Keep the weights with the least evaluation instead of the last ones.
    """

    steps: int
    rate: float = 1e-3
    warm_up: int = 50
    weight_decay: float = 1e-2
    average: float = 0.0
    evaluate_every: int = 100
    keep_best: bool = False

    def __post_init__(self) -> None:
        count("steps", self.steps, 1, 100_000_000)
        count("warm_up", self.warm_up, 0, 100_000_000)
        count("evaluate_every", self.evaluate_every, 1, 100_000_000)
        scalar("rate", self.rate, 1e-8, 10.0, "(learning rate)")
        scalar("average", self.average, 0.0, 0.99999, "(decay)")

    def rate_at(self, step: int) -> float:
        """Learning rate of update number ``step``, counted from 0."""
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


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
) -> float:
    """Train a module in place; returns its evaluation (NaN without one).

    Step k draws from a generator seeded with (seed, k), so a run that goes on from a checkpoint makes the same steps
    as one that was not interrupted. ``<name>.csv`` gets a row per evaluation, ``<name>.pt`` the state.

    Parameters
    ----------
    module : nn.Module
    loss : callable
        ``loss(rng)`` draws a batch and returns the loss; it may call ``backward`` on parts of it itself and then
        returns a detached number.
    schedule : Schedule
    folder : Path
    name : str
    seed : int
    evaluate : callable, optional
        The less, the better.
    resume : bool
        Go on from ``<name>.pt`` if it is there.
    settings : str
        Whatever decides what is trained; a checkpoint of others is refused.
    show : bool
        Progress on standard error.

    Raises
    ------
    ArgumentError
        A checkpoint of other settings.
    KeyboardInterrupt
        After the state has been saved; says where.
    """
    run = _Run(module, schedule, folder, name, f"{settings} seed {seed} {schedule}")
    if resume:
        run.restore()
    begin = time.perf_counter() - run.seconds
    steps = range(run.step, schedule.steps)
    try:
        for step in progress(steps, name, enabled=show):
            for group in run.optimizer.param_groups:
                group["lr"] = schedule.rate_at(step)
            run.optimizer.zero_grad()
            value = loss(np.random.default_rng([seed, step]))
            if value.requires_grad:
                value.backward()  # type: ignore[no-untyped-call]
            run.optimizer.step()
            run.done(step, float(value.detach()))
            if run.step % schedule.evaluate_every == 0 or run.step == schedule.steps:
                run.seconds = time.perf_counter() - begin
                run.evaluated(evaluate)
    except KeyboardInterrupt:
        run.seconds = time.perf_counter() - begin
        run.save()
        raise KeyboardInterrupt(
            f"{run.step} of {schedule.steps} steps are in {run.path}; go on with --resume"
        ) from None
    run.finish()
    return run.result


class _Run:
    """State of a loop."""

    def __init__(self, module: nn.Module, schedule: Schedule, folder: Path, name: str, settings: str) -> None:
        self.module, self.schedule, self.settings = module, schedule, settings
        self.path, self.log = folder / f"{name}.pt", folder / f"{name}.csv"
        parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, schedule.rate, weight_decay=schedule.weight_decay)
        self.step, self.seconds, self.result = 0, 0.0, math.nan
        self.kept = _copy(module)
        self.losses: list[float] = []

    def restore(self) -> None:
        if not self.path.exists():
            return
        state = load_state(self.path)
        if state.get("settings") != self.settings:
            raise ArgumentError(
                f"resume: expected a checkpoint of these settings in {self.path}, got one of {state.get('settings')!r}"
            )
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.kept, self.step, self.seconds, self.result = (
            state["kept"], state["step"], state["seconds"], state["result"],
        )  # fmt: skip

    def save(self) -> None:
        save_state(
            self.path,
            {
                "settings": self.settings,
                "module": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "kept": self.kept,
                "step": self.step,
                "seconds": self.seconds,
                "result": self.result,
            },
        )

    def done(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise ArgumentError(f"training: expected a finite loss, got {loss} at step {step}; lower the learning rate")
        self.step = step + 1
        self.losses.append(loss)
        if self.schedule.average:
            decay = min(self.schedule.average, self.step / (self.step + 10))
            for key, value in self.module.state_dict().items():
                self.kept[key].mul_(decay).add_(value, alpha=1 - decay)

    def evaluated(self, evaluate: Callable[[], float] | None) -> None:
        """Evaluate what would be kept, write a row of the log and the state."""
        current = _copy(self.module)
        candidate = self.kept if self.schedule.average else current
        found = math.nan
        if evaluate is not None:
            self.module.load_state_dict(candidate)
            found = evaluate()
            self.module.load_state_dict(current)
        better = not self.schedule.keep_best or math.isnan(self.result) or found < self.result
        if better:
            self.kept, self.result = _clone(candidate), found
        loss = sum(self.losses) / max(1, len(self.losses))
        self.losses.clear()
        new = not self.log.exists()
        with self.log.open("a", newline="") as file:
            rows = csv.writer(file)
            if new:
                rows.writerow(["step", "loss", "evaluation", "rate", "seconds"])
            rate = self.schedule.rate_at(self.step - 1)
            rows.writerow([self.step, f"{loss:.6g}", f"{found:.6g}", f"{rate:.4g}", f"{self.seconds:.1f}"])
        self.save()

    def finish(self) -> None:
        self.module.load_state_dict(self.kept)
        self.module.eval()


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return _clone(module.state_dict())


def _clone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}
