"""Whether PyTorch is there."""

from .._checks import count
from ..errors import MissingExtraError


def use_torch(threads: int = 1) -> None:
    """Let PyTorch use so many threads; refuse, with the way out, where it is not installed.

    Raises
    ------
    MissingExtraError
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("training needs PyTorch: pip install 'sonoray[train]'") from None
    torch.set_num_threads(count("threads", threads, 1, 1024))
