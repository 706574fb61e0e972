"""What is trained and how: `Schedule` and `Player`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import count, option, scalar
from ..errors import ArgumentError

Loss = Callable[[np.random.Generator], Tensor]
MOST_SEED = 2**63 - 1
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


def _check_betas(betas: Any) -> None:
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise ArgumentError(f"betas: expected two numbers, got {betas!r}")
    for beta in betas:
        scalar("betas", beta, 0.0, 0.999999, "(decay)")
