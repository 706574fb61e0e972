"""The authors' checkpoints, by the names of their parameters."""

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import FormatError
from ..states import load_tensors
from .networks import UPSTREAM_WIDTHS, SoundSpeedHead, TraceAutoencoder

_PREFIX = "_orig_mod."  # of models that were compiled before they were saved


def load_upstream(phase1: Any, phase2: Any) -> tuple[TraceAutoencoder, SoundSpeedHead]:
    """Load the published pair of checkpoints.

    Trace length, number of features and number of transmits are read from the weights' shapes. Only tensors are
    loaded: a file that would run code is refused.

    Parameters
    ----------
    phase1, phase2 : path
        ``phase1.pt`` (auto-encoder) and ``phase2.pt`` (head): a dict with the weights under "model", names possibly
        beginning with "_orig_mod.".

    Returns
    -------
    autoencoder : TraceAutoencoder
    head : SoundSpeedHead

    Raises
    ------
    FormatError
        No checkpoint, missing or unexpected names, wrong shapes.
    """
    first, second = _weights(phase1), _weights(phase2)
    norm = _shape(phase1, first, "encoder.1.weight", 2)
    projection = _shape(phase2, second, "tx_proj.weight", 3)
    entry = _shape(phase2, second, "unet.downs.0.0.weight", 4)
    if projection[0] != 1 or entry[0] != UPSTREAM_WIDTHS[0] or entry[1] != norm[0]:
        raise FormatError(
            f"{phase2}: expected one weight per transmit and a U-Net of {UPSTREAM_WIDTHS[0]} channels on {norm[0]} "
            f"features, got tx_proj.weight {projection} and unet.downs.0.0.weight {entry}"
        )
    if norm[1] % 32 or not 32 <= norm[1] <= 1 << 19 or not 1 <= projection[1] <= 65536:
        raise FormatError(f"{phase1}: expected traces of a multiple of 64 samples, got {2 * norm[1]}")
    autoencoder, head = TraceAutoencoder(2 * norm[1], norm[0]), SoundSpeedHead(projection[1], norm[0])
    for path, module, weights in ((phase1, autoencoder, first), (phase2, head, second)):
        _fill(path, module, weights)
    return autoencoder.eval(), head.eval()


def _weights(path: Any) -> dict[str, Tensor]:
    state = load_tensors(path)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise FormatError(f"{path}: expected a dict with the weights under 'model', found {found}")
    weights = {str(key).removeprefix(_PREFIX): value for key, value in state["model"].items()}
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise FormatError(f"{path}: expected tensors under 'model', found something else")
    return weights


def _shape(path: Any, weights: dict[str, Tensor], name: str, ndim: int) -> tuple[int, ...]:
    if name not in weights or weights[name].ndim != ndim:
        found = tuple(weights[name].shape) if name in weights else f"names such as {sorted(weights)[:4]}"
        raise FormatError(f"{path}: expected {name} with {ndim} axes, found {found}")
    return tuple(weights[name].shape)


def _fill(path: Any, module: nn.Module, weights: dict[str, Tensor]) -> None:
    own = module.state_dict()
    missing, unexpected = sorted(set(own) - set(weights)), sorted(set(weights) - set(own))
    wrong = [f"{k} {tuple(weights[k].shape)}" for k in own if k in weights and own[k].shape != weights[k].shape]
    if missing or unexpected or wrong:
        raise FormatError(
            f"{path}: weights do not fit the published layers: missing {missing[:5]}, unexpected {unexpected[:5]}, "
            f"other shapes {wrong[:5]}"
        )
    module.load_state_dict({key: value.to(torch.float32) for key, value in weights.items()})
