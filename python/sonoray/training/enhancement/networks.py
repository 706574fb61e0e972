"""The Swin-convolutional U-Net: convolutions see detail, attention within windows sees what repeats.

References
----------
.. [1] K. Zhang, Y. Li, J. Liang, J. Cao, Y. Zhang, H. Tang, D.-P. Fan, R. Timofte and L. Van Gool, "Practical Blind
   Image Denoising via Swin-Conv-UNet and Data Synthesis", Machine Intelligence Research 20, 2023, Fig. 3.
.. [2] Z. Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021, eq. 3, 4.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._checks import count
from ...errors import ArgumentError

WINDOW = 8
MULTIPLE = 64  # three halvings, then windows
_HIDDEN = -100.0  # added to attention between pixels that a shift made neighbours; finite, so that it exports


@dataclass(frozen=True)
class SwinConvSettings:
    """Size of a `SwinConvUNet`.

    Parameters
    ----------
    width : int
        Channels of the first level; doubled at each of the next three.
    blocks : tuple of 7 int
        Blocks of each stage: three down, one below, three up.
    head_width : int
        Channels of an attention head, where a level has as many.
    image_residual : bool
        The network gives what is to be added to its input. Not published; it learns much faster.
    """

    width: int = 16
    blocks: tuple[int, ...] = (1,) * 7
    head_width: int = 16
    image_residual: bool = True

    def __post_init__(self) -> None:
        count("width", self.width, 4, 512)
        count("head_width", self.head_width, 4, 512)
        if self.width % 4:
            raise ArgumentError(f"width: expected a multiple of 4, got {self.width}")
        if len(self.blocks) != 7:
            raise ArgumentError(f"blocks: expected 7 numbers, one per stage, got {len(self.blocks)}")
        for n in self.blocks:
            count("blocks", n, 1, 64)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SwinConvSettings":
        """What `to_dict` gave.

        Raises
        ------
        ArgumentError
            Fields are missing or unknown.
        """
        try:
            return cls(**{**values, "blocks": tuple(values["blocks"])})
        except (KeyError, TypeError) as error:
            raise ArgumentError(f"network: expected the settings of a SwinConvUNet, got {values!r}: {error}") from None


PUBLISHED = SwinConvSettings(64, (2,) * 7, 32, image_residual=False)


class SwinConvUNet(nn.Module):
    """(batch, 1, n_rows, n_columns) -> the same, any size: edges are replicated up to multiples of 64.

    Parameters
    ----------
    settings : SwinConvSettings
        `PUBLISHED` has 9,660,588 parameters.
    """

    def __init__(self, settings: SwinConvSettings | None = None) -> None:
        super().__init__()
        self.settings = given = settings or SwinConvSettings()
        width = given.width
        widths = (width, 2 * width, 4 * width, 8 * width)

        def stage(channels: int, n: int) -> list[nn.Module]:
            return [HybridBlock(channels, given.head_width, shifted=k % 2 == 1) for k in range(n)]

        def down(k: int) -> nn.Sequential:
            halving = nn.Conv2d(widths[k], widths[k + 1], 2, 2, bias=False)
            return nn.Sequential(*stage(widths[k], given.blocks[k]), halving)

        def up(k: int) -> nn.Sequential:
            doubling = nn.ConvTranspose2d(widths[k + 1], widths[k], 2, 2, bias=False)
            return nn.Sequential(doubling, *stage(widths[k], given.blocks[6 - k]))

        self.head = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.down = nn.ModuleList(down(k) for k in range(3))
        self.body = nn.Sequential(*stage(widths[3], given.blocks[3]))
        self.up = nn.ModuleList(up(k) for k in (2, 1, 0))
        self.tail = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        if given.image_residual:
            nn.init.zeros_(self.tail.weight)  # begins as the identity

    def forward(self, image: Tensor) -> Tensor:
        n_rows, n_columns = image.shape[-2:]
        padded = functional.pad(image, (0, -n_columns % MULTIPLE, 0, -n_rows % MULTIPLE), mode="replicate")
        skips = [self.head(padded)]
        for part in self.down:
            skips.append(part(skips[-1]))
        x = self.body(skips[-1])
        for part in self.up:
            x = part(x + skips.pop())
        result: Tensor = self.tail(x + skips.pop())[..., :n_rows, :n_columns]
        return image + result if self.settings.image_residual else result


class HybridBlock(nn.Module):
    """Half the channels through 3 x 3 convolutions, half through window attention, then mixed; residual."""

    def __init__(self, channels: int, head_width: int, *, shifted: bool) -> None:
        super().__init__()
        half = channels // 2
        self.split = nn.Conv2d(channels, channels, 1)
        self.convolutions = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
        )
        self.attention = SwinBlock(half, head_width, shifted=shifted)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        near, far = self.split(x).chunk(2, 1)
        near = near + self.convolutions(near)
        far = self.attention(far.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.mix(torch.cat([near, far], 1))


class SwinBlock(nn.Module):
    """Window attention and a multilayer perceptron, both after layer normalisation and residual."""

    def __init__(self, channels: int, head_width: int, *, shifted: bool) -> None:
        super().__init__()
        self.first = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, head_width, shifted=shifted)
        self.second = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.perceptron(self.second(x))


class WindowAttention(nn.Module):
    """Attention among the 64 pixels of a window, with a learned bias for every relative position [2]_, eq. 4.

    Shifted windows [2]_ begin 4 pixels further, around the edge; what the shift makes neighbours does not attend.
    """

    index: Tensor

    def __init__(self, channels: int, head_width: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads = max(1, channels // head_width)
        self.shift = WINDOW // 2 if shifted else 0
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, self.heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        at = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij"), -1).reshape(-1, 2)
        relative = at[:, None] - at[None] + WINDOW - 1
        self.register_buffer("index", relative[..., 0] * (2 * WINDOW - 1) + relative[..., 1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n_batch, n_rows, n_columns, channels = x.shape
        across, down, pixels = n_columns // WINDOW, n_rows // WINDOW, WINDOW**2
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        x = x.reshape(n_batch, down, WINDOW, across, WINDOW, channels).permute(0, 1, 3, 2, 4, 5)
        parts = self.project(x.reshape(-1, pixels, channels))
        query, key, value = parts.reshape(-1, pixels, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + self.bias[self.index].permute(2, 0, 1)
        if self.shift:
            by_window = scores.reshape(n_batch, down * across, self.heads, pixels, pixels)
            scores = (by_window + self._apart(n_rows, n_columns, x)).reshape(-1, self.heads, pixels, pixels)
        y = self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(-1, pixels, channels))
        y = y.reshape(n_batch, down, across, WINDOW, WINDOW, channels).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(n_batch, n_rows, n_columns, channels)
        return torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y

    def _apart(self, n_rows: int, n_columns: int, like: Tensor) -> Tensor:
        """(window, 1, pixel, pixel): what to add to scores of pixels from different sides of the edge."""

        def region(n: int) -> Tensor:
            at = torch.arange(n, device=like.device)
            return (at >= n - WINDOW).long() + (at >= n - self.shift).long()

        names = region(n_rows)[:, None] * 3 + region(n_columns)
        names = names.reshape(n_rows // WINDOW, WINDOW, n_columns // WINDOW, WINDOW).permute(0, 2, 1, 3)
        names = names.reshape(-1, 1, WINDOW**2)
        return (names[..., None] != names[..., None, :]).to(like.dtype) * _HIDDEN
