"""Checkpoints: arrays and facts of a long computation, so that it can go on where it was stopped."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from .writing import atomic

_FACTS = "facts"


def write_checkpoint(path: Any, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
    """Write arrays and JSON facts to one file, which appears whole or not at all and replaces the last one."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{_FACTS: np.array(json.dumps(facts))}, **arrays)  # type: ignore[arg-type]


def read_checkpoint(path: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    FormatError
        The file is damaged or something else.
    """
    try:
        with open(Path(path), "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(str(arrays.pop(_FACTS)))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path}: expected a whole checkpoint of sonoray ({error})") from None
    if not isinstance(facts, dict):
        raise FormatError(f"{path}: expected a checkpoint of sonoray, got other facts")
    return arrays, facts
