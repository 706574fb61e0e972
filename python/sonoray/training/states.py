"""Training states on disk, written in one step and read without running what they contain."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import FormatError
from ..io.writing import atomic


def save_state(path: Any, state: dict[str, Any]) -> None:
    """Write a training state in one step: an interrupted write leaves the earlier file."""
    target = Path(path)
    with atomic(target) as partial:
        torch.save(state, partial)


def load_state(path: Any) -> dict[str, Any]:
    """Read a training state; only tensors and plain values are loaded.

    Raises
    ------
    FormatError
        Not a training state.
    """
    state = load_tensors(path)
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise FormatError(f"{path}: expected a training state (dict with names), got {type(state).__name__}")
    return state


def load_tensors(path: Any) -> Any:
    """Read a PyTorch file that holds nothing but tensors and plain values."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FormatError(f"{path}: expected a PyTorch checkpoint with tensors only: {str(error)[:200]}") from None
