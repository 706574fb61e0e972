"""What a training says of itself: a table of comma-separated values, and TensorBoard's files if wanted."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError


class TrainingLog:
    """A row per evaluation.

    Parameters
    ----------
    folder : Path
    name : str
        ``<name>.csv``.
    players : sequence of str
        A column of losses each; "loss" where there is one.
    tensorboard : bool
        Write ``tensorboard/<name>``, too.
    write : bool
        False writes nothing (other ranks).

    Raises
    ------
    MissingExtraError
    """

    def __init__(self, folder: Path, name: str, players: Sequence[str], *, tensorboard: bool, write: bool) -> None:
        self.path, self._write = folder / f"{name}.csv", write
        losses = ["loss"] if len(players) == 1 else [f"loss {player}" for player in players]
        self._columns = ["step", *losses, "evaluation", "rate", "seconds"]
        self._writer = summary_writer()(str(folder / "tensorboard" / name)) if tensorboard and write else None

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._writer is not None:
            self._writer.close()

    def begin(self, step: int) -> None:
        """Keep the rows up to ``step``; what a killed run wrote after its last checkpoint comes again."""
        if not self._write:
            return
        rows: list[list[str]] = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                rows = [r for r in list(csv.reader(file))[1:] if r and r[0].isdigit() and int(r[0]) <= step]
        partial = self.path.with_name(f".{self.path.name}.partial")
        with partial.open("w", newline="") as file:
            csv.writer(file).writerows([self._columns, *rows])
        os.replace(partial, self.path)

    def row(self, step: int, losses: Sequence[float], evaluation: float, rate: float, seconds: float) -> None:
        """Add a row."""
        if not self._write:
            return
        row = [step, *(f"{v:.6g}" for v in losses), f"{evaluation:.6g}", f"{rate:.4g}", f"{seconds:.1f}"]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
        if self._writer is not None:
            for column, value in zip(self._columns[1:-1], [*losses, evaluation, rate], strict=True):
                self._writer.add_scalar(column.replace(" ", "/"), value, step)
            self._writer.flush()


def summary_writer() -> Any:
    """Return TensorBoard's class of writers.

    Raises
    ------
    MissingExtraError
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("this log needs TensorBoard: pip install 'sonoray[tensorboard]'") from None
    return SummaryWriter
