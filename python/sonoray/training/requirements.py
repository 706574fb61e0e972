"""Whether PyTorch is there."""

from ..errors import MissingExtraError


def require_torch() -> None:
    """Refuse, with the way out, where PyTorch is not installed.

    Raises
    ------
    MissingExtraError
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("training needs PyTorch: pip install 'sonoray[train]'") from None
