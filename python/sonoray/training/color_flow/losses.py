"""Losses of the translation. Videos are (batch, 1, time, row, column) in [0, 1], masks the same with 0 and 1."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_SIGMA, _RADIUS = 1.5, 5  # the window of the structural similarity index as scikit-image has it
_C1, _C2 = 0.01**2, 0.03**2


def weighted_l1(video: Tensor, truth: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Mean over all pixels of (1 + weight mask) abs(video - truth): L1 and mask-weighted L1 with its lambda.

    The second term is divided by the number of all pixels, too: it counts for as much as colour hides.
    """
    return ((1 + weight * mask) * (video - truth).abs()).mean()


def dissimilarity(video: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """1 - SSIM inside the mask, of the video pasted into the truth; 0 where nothing is hidden."""
    pasted = truth + mask * (video - truth)
    a, b, where = (v.flatten(0, 2).unsqueeze(1) for v in (pasted, truth, mask))
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=a.dtype, device=a.device)
    kernel = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    maps = torch.cat([a, b, a * a, b * b, a * b], 1).flatten(0, 1).unsqueeze(1)
    maps = functional.pad(maps, (_RADIUS,) * 4, mode="reflect")
    maps = functional.conv2d(functional.conv2d(maps, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    ma, mb, aa, bb, ab = maps.view(len(a), 5, *a.shape[2:]).split(1, 1)
    similarity = (2 * ma * mb + _C1) * (2 * (ab - ma * mb) + _C2)
    similarity = similarity / ((ma**2 + mb**2 + _C1) * (aa - ma**2 + bb - mb**2 + _C2))
    return ((1 - similarity) * where).sum() / where.sum().clamp(min=1)


def adversary_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss of the discriminator's verdicts."""
    return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()


def deception_loss(made: Tensor) -> Tensor:
    """Hinge loss of the generator."""
    return -made.mean()


def feature_loss(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Perceptual loss: mean L1 between the discriminator's features, its verdict left out."""
    terms = [functional.l1_loss(a, b.detach()) for a, b in zip(made[:-1], real[:-1], strict=True)]
    return torch.stack(terms).mean()


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy + 1 - Dice."""
    share = torch.sigmoid(logits)
    dice = (2 * (share * mask).sum() + 1) / (share.sum() + mask.sum() + 1)
    return functional.binary_cross_entropy_with_logits(logits, mask) + 1 - dice
