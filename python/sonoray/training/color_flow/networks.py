"""The networks from colour-flow videos to B-mode videos: mask, coarse, refinement and its adversary.

Videos are (batch, channel, time, row, column). "published" is the architecture of arXiv 2511.03255 as far as it is
known, with sizes of ours; "hinted" is ours: light, on `frame_channels`, added to a classical start.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from ...restoration.frame_channels import N_CHANNELS, START
from ..parameters import n_parameters

Size = int | tuple[int, int, int]
_FLAT, _ALONG = (1, 3, 3), (3, 1, 1)  # kernels in space, in time


class GatedConv3d(nn.Module):
    """Convolution whose features are multiplied by a gate that is learned beside them [1]_: ELU(f) sigmoid(g).

    Parameters
    ----------
    n_in, n_out : int
    kernel, stride : int or (time, row, column)
    dilation : int
        In space.
    gated : bool
        False: a plain convolution and ELU, which has half the weights.

    References
    ----------
    .. [1] Yu, Lin, Yang, Shen, Lu, Huang, Free-form image inpainting with gated convolution, ICCV 2019, eq. 3.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: Size = 3, stride: int = 1, dilation: int = 1, *, gated: bool = True
    ) -> None:
        super().__init__()
        size = (kernel,) * 3 if isinstance(kernel, int) else kernel
        self.gated = gated
        self.conv = nn.Conv3d(
            n_in, 2 * n_out if gated else n_out, size, (1, stride, stride),
            (size[0] // 2, dilation * (size[1] // 2), dilation * (size[2] // 2)), (1, dilation, dilation),
        )  # fmt: skip

    def forward(self, video: Tensor) -> Tensor:
        if not self.gated:
            return functional.elu(self.conv(video))
        features, gate = self.conv(video).chunk(2, 1)
        return functional.elu(features) * torch.sigmoid(gate)


class PublishedCoarse(nn.Module):
    """The published coarse network: gated 3-D convolutions, two strides of 2, dilation 2, 4, 8, two skips.

    Rows and columns must be multiples of 4.

    Parameters
    ----------
    width : int
    gated : bool
    """

    kind = "published"

    def __init__(self, width: int = 8, gated: bool = True) -> None:
        super().__init__()
        w, g = width, {"gated": gated}
        self.first = GatedConv3d(N_CHANNELS["published"], w, 5, **g)
        self.down = nn.Sequential(GatedConv3d(w, 2 * w, 3, 2, **g), GatedConv3d(2 * w, 2 * w, **g))
        self.middle = nn.Sequential(
            GatedConv3d(2 * w, 4 * w, 3, 2, **g),
            GatedConv3d(4 * w, 4 * w, **g),
            *[GatedConv3d(4 * w, 4 * w, 3, 1, d, **g) for d in (2, 4, 8)],
            GatedConv3d(4 * w, 4 * w, **g),
        )
        self.up = nn.ModuleList([GatedConv3d(4 * w, 2 * w, **g), GatedConv3d(2 * w, w, **g)])
        self.join = nn.ModuleList([GatedConv3d(4 * w, 2 * w, **g), GatedConv3d(2 * w, w, **g)])
        self.last = nn.Conv3d(w, 1, 3, 1, 1)

    def forward(self, channels: Tensor) -> Tensor:
        """(batch, 5, time, row, column) -> (batch, 1, time, row, column) in [0, 1]."""
        first = self.first(channels)
        half = self.down(first)
        video = self.middle(half)
        for up, join, skip in zip(self.up, self.join, (half, first), strict=True):
            video = join(torch.cat([up(_doubled(video)), skip], 1))
        return torch.sigmoid(self.last(video))


class _Block(nn.Module):
    """x + convolution in time of a convolution in space."""

    def __init__(self, n: int, dilation: int, gated: bool) -> None:
        super().__init__()
        self.space = GatedConv3d(n, n, _FLAT, 1, dilation, gated=gated)
        self.time = GatedConv3d(n, n, _ALONG, gated=gated)

    def forward(self, video: Tensor) -> Tensor:
        result: Tensor = video + self.time(self.space(video))
        return result


class HintedCoarse(nn.Module):
    """Our coarse network: convolutions in space and in time by turns, on three scales; start + correction.

    Rows and columns must be multiples of 4. It looks 6 frames back and ahead.

    Parameters
    ----------
    width : int
        Channels at full resolution; two and three times as many at a half and at a quarter.
    gated : bool
    """

    kind = "hinted"

    def __init__(self, width: int = 16, gated: bool = True) -> None:
        super().__init__()
        w = width
        self.first = GatedConv3d(N_CHANNELS["hinted"], w, _FLAT, gated=gated)
        self.down = nn.ModuleList(
            [GatedConv3d(w, 2 * w, _FLAT, 2, gated=gated), GatedConv3d(2 * w, 3 * w, _FLAT, 2, gated=gated)]
        )
        self.middle = nn.Sequential(*[_Block(2 * w, 1, gated) for _ in range(2)])
        self.deep = nn.Sequential(*[_Block(3 * w, d, gated) for d in (1, 2, 4, 1)])
        self.shrink = nn.ModuleList([nn.Conv3d(3 * w, 2 * w, 1), nn.Conv3d(2 * w, w, 1)])
        self.join = nn.ModuleList(
            [GatedConv3d(4 * w, 2 * w, _FLAT, gated=gated), GatedConv3d(2 * w, w, _FLAT, gated=gated)]
        )
        self.last = nn.Conv3d(w, 1, _FLAT, 1, (0, 1, 1))
        nn.init.zeros_(self.last.weight)  # so that it begins as the start
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, channels: Tensor) -> Tensor:
        """(batch, 11, time, row, column) -> (batch, 1, time, row, column), nearly in [0, 1]."""
        first = self.first(channels)
        half = self.middle(self.down[0](first))
        video = self.deep(self.down[1](half))
        for shrink, join, skip in zip(self.shrink, self.join, (half, first), strict=True):
            video = join(torch.cat([_doubled(shrink(video)), skip], 1))
        return channels[:, START : START + 1] + self.last(video)


COARSE: dict[str, Any] = {"hinted": HintedCoarse, "published": PublishedCoarse}


class RefinementGenerator(nn.Module):
    """3-D encoder-decoder: coarse result after the bridge + what it lacks, in (-1, 1), clipped to [0, 1].

    Rows and columns must be multiples of 4.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        w = width
        self.encoder = nn.ModuleList([_normed(3, w), _normed(w, 2 * w, 2), _normed(2 * w, 4 * w, 2)])
        self.middle = nn.Sequential(_normed(4 * w, 4 * w), _normed(4 * w, 4 * w))
        self.decoder = nn.ModuleList([_normed(6 * w, 2 * w), _normed(3 * w, w)])
        self.last = nn.Conv3d(w, 1, 3, 1, 1)

    def forward(self, channels: Tensor) -> Tensor:
        """(batch, 3, time, row, column): bridge, mask, coarse -> (batch, 1, time, row, column)."""
        fine = self.encoder[0](channels)
        half = self.encoder[1](fine)
        video = self.middle(self.encoder[2](half))
        for layer, skip in zip(self.decoder, (half, fine), strict=True):
            video = layer(torch.cat([_doubled(video), skip], 1))
        return (channels[:, :1] + torch.tanh(self.last(video))).clamp(0, 1)


class PatchDiscriminator(nn.Module):
    """Spectrally normalised 3-D PatchGAN [1]_: tells real patches of video from translated ones.

    Parameters
    ----------
    width : int

    References
    ----------
    .. [1] Isola, Zhu, Zhou, Efros, CVPR 2017; Miyato, Kataoka, Koyama, Yoshida, ICLR 2018.
    """

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        widths = (2, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            [spectral_norm(nn.Conv3d(a, b, (3, 4, 4), (1, 2, 2), (1, 1, 1))) for a, b in pairwise(widths)]
        )
        self.last = spectral_norm(nn.Conv3d(widths[-1], 1, 3, 1, 1))

    def forward(self, video: Tensor, mask: Tensor) -> list[Tensor]:
        """Video and mask (batch, 1, time, row, column) -> features of every layer; the last is the verdict."""
        features = [torch.cat([video, mask], 1)]
        for layer in self.layers:
            features.append(functional.leaky_relu(layer(features[-1]), 0.2))
        return [*features[1:], self.last(features[-1])]


class MaskNetwork(nn.Module):
    """Small 2-D U-Net: RGB in [0, 1] to the logit of being painted. Rows and columns must be multiples of 4.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        w = width
        self.encoder = nn.ModuleList([_flat(4, w), _flat(w, 2 * w), _flat(2 * w, 4 * w)])
        self.decoder = nn.ModuleList([_flat(6 * w, 2 * w), _flat(3 * w, w)])
        self.last = nn.Conv2d(w, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, 3, row, column) -> (batch, 1, row, column)."""
        # The closed form's own quantity beside the colours: the network decides what it means here.
        spread = frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True)
        fine = self.encoder[0](torch.cat([frames, spread], 1))
        half = self.encoder[1](functional.max_pool2d(fine, 2))
        video = self.encoder[2](functional.max_pool2d(half, 2))
        for layer, skip in zip(self.decoder, (half, fine), strict=True):
            video = layer(torch.cat([functional.interpolate(video, scale_factor=2.0), skip], 1))
        logit: Tensor = self.last(video)
        return logit


def equal_width(kind: str, width: int) -> int:
    """Width at which the plain network has as many parameters as the gated one of ``width``, as nearly as can be."""
    wanted = n_parameters(COARSE[kind](width, True))
    sizes = {w: n_parameters(COARSE[kind](w, False)) for w in range(width, 2 * width + 1)}
    return min(sizes, key=lambda w: abs(sizes[w] - wanted))


def _doubled(video: Tensor) -> Tensor:
    return functional.interpolate(video, scale_factor=(1.0, 2.0, 2.0), mode="nearest")


def _normed(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(n_in, n_out, 3, (1, stride, stride), 1),
        nn.InstanceNorm3d(n_out, affine=True),
        nn.LeakyReLU(0.2),
    )


def _flat(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, 1, 1), nn.ReLU(), nn.Conv2d(n_out, n_out, 3, 1, 1), nn.ReLU())
