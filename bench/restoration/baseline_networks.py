"""Networks that enhancement is compared with, written from their papers.

References
----------
.. [1] K. Zhang, W. Zuo, Y. Chen, D. Meng and L. Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for
   Image Denoising", IEEE TIP 26(7), 2017: 17 layers of 64 channels, batch normalisation, the network gives the noise.
.. [2] S. W. Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022: eq. 1
   and 2 (transposed attention), eq. 3 (gated feed-forward), Fig. 2.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class DnCNN(nn.Module):
    """DnCNN [1]_ at its published depth and width: 556 k parameters."""

    def __init__(self, depth: int = 17, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1, bias=False))
        for layer in self.noise:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(self.noise[-1].weight)  # not published; as ours, begins as the identity, which learns faster

    def forward(self, image: Tensor) -> Tensor:
        return image - self.noise(image)


class LayerNorm(nn.Module):
    """Over the channels of (batch, channel, row, column)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TransposedAttention(nn.Module):
    """Attention between channels (MDTA), eq. 1 and 2 of [2]_: its matrix is channels x channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1, bias=False),
            nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False),
        )
        self.out = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, width, rows, columns = x.shape
        query, key, value = self.project(x).reshape(n, 3, self.heads, width // self.heads, rows * columns).unbind(1)
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        weights = (query @ key.transpose(-1, -2) * self.temperature).softmax(-1)
        return self.out((weights @ value).reshape(n, width, rows, columns))


class GatedFeedForward(nn.Module):
    """Depth-wise convolutions, one branch gated by the GELU of the other (GDFN), eq. 3 of [2]_."""

    def __init__(self, width: int, expansion: float = 2.66) -> None:
        super().__init__()
        hidden = int(width * expansion)
        self.project = nn.Sequential(
            nn.Conv2d(width, 2 * hidden, 1, bias=False),
            nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False),
        )
        self.out = nn.Conv2d(hidden, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.project(x).chunk(2, 1)
        return self.out(functional.gelu(gate) * value)


class RestormerBlock(nn.Module):
    """Both, each after normalisation and residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.attention = LayerNorm(width), TransposedAttention(width, heads)
        self.second, self.feed_forward = LayerNorm(width), GatedFeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.feed_forward(self.second(x))


class Restormer(nn.Module):
    """Restormer [2]_ with its four levels, heads 1, 2, 4, 8 and image residual, but fewer blocks and channels.

    Published: width 48, blocks 4, 6, 6, 8, refinement 4.
    """

    def __init__(self, width: int = 10, blocks: tuple[int, ...] = (1, 1, 1, 2), refinement: int = 1) -> None:
        super().__init__()

        def stage(channels: int, level: int, n: int) -> nn.Sequential:
            return nn.Sequential(*[RestormerBlock(channels, 2**level) for _ in range(n)])

        self.head = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(stage(width * 2**k, k, blocks[k]) for k in range(3))
        self.shrink = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width * 2**k, width * 2**k // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))
            for k in range(3)
        )
        self.body = stage(8 * width, 3, blocks[3])
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width * 2**k, width * 2 ** (k + 1), 3, padding=1, bias=False), nn.PixelShuffle(2))
            for k in (3, 2, 1)
        )
        # The published network keeps both halves at the first level.
        self.merge = nn.ModuleList(nn.Conv2d(width * 2**k * 2, width * 2**k, 1, bias=False) for k in (2, 1))
        self.decoder = nn.ModuleList(
            [stage(4 * width, 2, blocks[2]), stage(2 * width, 1, blocks[1]), stage(2 * width, 0, blocks[0])]
        )
        self.refine = stage(2 * width, 0, refinement)
        self.tail = nn.Conv2d(2 * width, 1, 3, padding=1, bias=False)
        nn.init.zeros_(self.tail.weight)  # as ours and `DnCNN`

    def forward(self, image: Tensor) -> Tensor:
        rows, columns = image.shape[-2:]
        x = self.head(functional.pad(image, (0, -columns % 8, 0, -rows % 8), mode="replicate"))
        skips = []
        for part, shrink in zip(self.encoder, self.shrink, strict=True):
            x = part(x)
            skips.append(x)
            x = shrink(x)
        x = self.body(x)
        for k, (part, grow) in enumerate(zip(self.decoder, self.grow, strict=True)):
            x = torch.cat([grow(x), skips.pop()], 1)
            x = part(self.merge[k](x) if k < 2 else x)
        return image + self.tail(self.refine(x))[..., :rows, :columns]
