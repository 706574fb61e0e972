"""Training states on disk, written in one step and read without running what they contain."""

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import FormatError
from ..io.writing import atomic

_DAMAGED = "the file is damaged or of another kind"
_LONG = 40  # characters of a value that are shown; digests are longer


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
    except pickle.UnpicklingError:
        what = "it holds other objects" if zipfile.is_zipfile(path) else _DAMAGED
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError):
        what = _DAMAGED
    raise FormatError(f"{path}: expected a PyTorch checkpoint with tensors only; {what}")


def plain_settings(settings: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return settings as a checkpoint holds and compares them: flat, with names such as "network.width"."""
    if isinstance(settings, str):
        return {"settings": settings}
    found: dict[str, Any] = {}
    for name, value in settings.items():
        content = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(content, Mapping):
            found |= {f"{name}.{key}": inner for key, inner in plain_settings(content).items()}
        else:
            found[name] = json.loads(json.dumps(content, default=str))  # tuples and lists are the same
    return found


def differences(was: Any, now: Mapping[str, Any]) -> str:
    """Say in which of `plain_settings` a checkpoint differs: "steps (was 3, now 4), ..."; "" where it does not."""
    if not isinstance(was, Mapping):
        return "everything: an earlier version wrote it, and what it was trained on cannot be compared"
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    # The schedule follows from the rest; where only a schedule was given, it is all there is.
    names = [name for name in names if not name.startswith("schedule.")] or names
    return ", ".join(f"{name} (was {_short(was.get(name))}, now {_short(now.get(name))})" for name in names)


def _short(value: Any) -> str:
    text = "nothing" if value in (None, "") else str(value)
    return text if len(text) <= _LONG else f"{text[:12]}..."
