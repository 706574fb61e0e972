"""What a module has learned: how many numbers, and which."""

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn


def n_parameters(*modules: nn.Module) -> int:
    """How many numbers modules learn, frozen or not."""
    return sum(p.numel() for module in modules for p in module.parameters())


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of a module's ``state_dict``: names, shapes, values."""
    whole = hashlib.sha256()
    for name, value in sorted(weights.items()):
        whole.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        whole.update(value.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
