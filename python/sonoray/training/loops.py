"""The training loop: one network or several against each other, a log, checkpoints that a killed run goes on from.

A loss places its batch where its network is: `device_of`.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._checks import count
from .._progress import progress
from ..errors import ArgumentError, FormatError
from .hardware import Hardware
from .logs import TrainingLog
from .players import MOST_SEED, Loss, Player, Schedule
from .run_state import RunState
from .states import load_state, plain_settings

__all__ = ["Hardware", "Loss", "Player", "Schedule", "device_of", "kept_weights", "load_kept", "train", "train_players"]


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


def load_kept(module: nn.Module, path: Any, player: str | None = None) -> None:
    """Load what a run kept into a module.

    Parameters
    ----------
    module : nn.Module
    path, player : see `kept_weights`

    Raises
    ------
    FormatError
        No checkpoint, or one of another network.
    ArgumentError
        Another player than there are.
    """
    try:
        module.load_state_dict(kept_weights(path, player))
    except FileNotFoundError:
        raise FormatError(f"{path}: expected the checkpoint of a training, found nothing") from None
    except RuntimeError as error:
        text = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: expected weights of the network that is described beside it: {text}") from None


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
    settings: Mapping[str, Any] | str = "",
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
    accepted: Callable[[], None] | None = None,
) -> float:
    """Train a module in place; returns its evaluation (NaN without one).

    `train_players` with one player, called ``name``.

    Parameters
    ----------
    module : nn.Module
    loss : callable
        ``loss(rng)`` draws a batch and returns the loss; it may call ``backward`` on parts of it itself and then
        returns a detached number.
    schedule, folder, name, seed, evaluate, resume, settings, show, hardware, tensorboard, accepted : see
        `train_players`
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
        accepted=accepted,
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
    settings: Mapping[str, Any] | str = "",
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
    accepted: Callable[[], None] | None = None,
) -> float:
    """Train modules in place, one update of each per step, in order; returns the evaluation (NaN without one).

    Step k of rank r draws from a generator seeded with (seed, k, r), and PyTorch's own is seeded from the same
    numbers, so a run that goes on from a checkpoint makes the same steps as one that was not interrupted: on the CPU,
    with as many threads, the same weights to the last bit. ``<name>.csv`` gets a row per evaluation, ``<name>.pt`` the
    state, written in one step: it survives a kill at any moment. Afterwards modules are on the CPU and in evaluation
    mode, and hold the kept weights.

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
        Go on from ``<name>.pt`` if it is there; without, an earlier one is deleted.
    settings : mapping or str
        Whatever decides what is trained, by name; numbers, texts, dataclasses of them. A checkpoint of others is
        refused.
    show : bool
        Progress on standard error.
    hardware : Hardware, optional
        Default: one CPU at full precision.
    tensorboard : bool
        Write the log for TensorBoard, too, into ``<folder>/tensorboard/<name>``.
    accepted : callable, optional
        Called on rank 0 before the first step, once nothing of the checkpoint has been refused: writes what describes
        the run.

    Raises
    ------
    ArgumentError
        A checkpoint of other settings; a loss that is not finite.
    DeviceError, MissingExtraError
        See `Hardware`; TensorBoard is not installed.
    KeyboardInterrupt
        At the end of the step, after the state has been saved; says where. A second one stops at once.
    """
    count("seed", seed, 0, MOST_SEED)
    names = [player.name for player in players]
    if not names or len(set(names)) < len(names):
        raise ArgumentError(f"players: expected at least one, with distinct names, got {names}")
    processor = (hardware or Hardware("cpu")).processor()
    # What changes the result belongs to the settings; devices and precision do not have to stay the same.
    given = plain_settings({**plain_settings(settings), "seed": seed, "schedule": schedule})
    run = RunState(players, schedule, Path(folder), name, given, processor)
    with TrainingLog(run.folder, name, names, tensorboard=tensorboard, write=processor.rank == 0) as log:
        run.log = log
        run.begin(resume)
        if accepted is not None and processor.rank == 0:
            accepted()
        _steps(run, name, seed, evaluate, show)
    run.finish()
    return run.result


def _steps(run: RunState, name: str, seed: int, evaluate: Callable[[], float] | None, show: bool) -> None:
    """Make the steps that are left; an interrupt comes out after the state has been saved."""
    shown = show and run.processor.rank == 0
    try:
        with _interrupt_waits() as asked_to_stop:
            if run.due:  # interrupted in an evaluation
                run.evaluated(evaluate)
            for step in progress(range(run.step, run.schedule.steps), name, enabled=shown):
                run.update(seed, step)
                if run.due:
                    run.evaluated(evaluate)
                if run.processor.any(asked_to_stop()):  # else one would wait for the other's next step
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        if run.whole:
            run.save()
        raise KeyboardInterrupt(
            f"{run.saved} of {run.schedule.steps} steps are in {run.path}; go on with --resume"
        ) from None


@contextlib.contextmanager
def _interrupt_waits() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for the end of a step; gives a function that says whether it came."""
    asked = []

    def ask(*_: Any) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread, which no Ctrl-C reaches
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
