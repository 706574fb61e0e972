"""The networks: the published pair of trace encoder and map head, and a small one on common-midpoint moveouts.

References
----------
.. [1] NVIDIA, NV-Raw2Insights-US (2026), model card and inference code (Apache-2.0): "upstream" here.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._checks import count
from ...errors import ArgumentError

_KERNEL, _STAGES, _SLOPE = 5, 6, 0.01
UPSTREAM_WIDTHS = (32, 64, 128)


class TraceAutoencoder(nn.Module):
    """Auto-encoder of single I/Q traces [1]_: six strided convolutions with layer norm, and their mirror.

    (n, 2, n_samples) -> (n, features, n_samples / 64) -> (n, 2, n_samples). Layer norm over features and time fixes
    the trace length.

    Parameters
    ----------
    n_samples : int
        A multiple of 64.
    features : int
    """

    def __init__(self, n_samples: int = 1024, features: int = 64) -> None:
        super().__init__()
        n = count("n_samples", n_samples, 1 << _STAGES, 1 << 20)
        if n % (1 << _STAGES):
            raise ArgumentError(f"n_samples: expected a multiple of {1 << _STAGES}, got {n}")
        self.n_samples, self.features = n, count("features", features, 1, 4096)
        down: list[nn.Module] = []
        for stage in range(_STAGES):
            down += [
                nn.Conv1d(features if stage else 2, features, _KERNEL, 2, _KERNEL // 2, bias=False),
                nn.LayerNorm((features, n >> (stage + 1))),
                nn.LeakyReLU(_SLOPE),
            ]
        up: list[nn.Module] = []
        for stage in range(_STAGES - 1):
            up += [
                nn.ConvTranspose1d(features, features, _KERNEL, 2, _KERNEL // 2, 1, bias=False),
                nn.LayerNorm((features, n >> (_STAGES - 1 - stage))),
                nn.LeakyReLU(_SLOPE),
            ]
        up.append(nn.ConvTranspose1d(features, 2, _KERNEL, 2, _KERNEL // 2, 1, bias=False))
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)

    def forward(self, traces: Tensor) -> Tensor:
        """Reconstruct (n, 2, n_samples) traces."""
        return self.decoder(self.encoder(traces))


def pooling_matrix(n_in: int, n_out: int) -> Tensor:
    """Adaptive average pooling along one axis as a matrix (n_out, n_in), with torch's bins."""
    matrix = torch.zeros(n_out, n_in)
    for i in range(n_out):
        first, last = (i * n_in) // n_out, -(-((i + 1) * n_in) // n_out)
        matrix[i, first:last] = 1.0 / (last - first)
    return matrix


def _double(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, 1, 1), nn.ReLU(inplace=True), nn.Conv2d(n_out, n_out, 3, 1, 1), nn.ReLU(inplace=True)
    )


class PublishedUNet(nn.Module):
    """U-Net without normalisation: double 3 x 3 convolutions, max-pool, transposed convolutions, concatenation."""

    def __init__(self, n_in: int, widths: tuple[int, ...] = UPSTREAM_WIDTHS) -> None:
        super().__init__()
        self.downs = nn.ModuleList(_double(a, b) for a, b in zip((n_in, *widths[:-1]), widths, strict=True))
        self.bottleneck = _double(widths[-1], 2 * widths[-1])
        self.ups = nn.ModuleList()
        for width in reversed(widths):
            self.ups.extend([nn.ConvTranspose2d(2 * width, width, 2, 2), _double(2 * width, width)])
        self.final_conv = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, h, w) -> (n, 1, h, w); h and w multiples of 8."""
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for i in range(0, len(self.ups), 2):
            x = self.ups[i + 1](torch.cat([skips.pop(), self.ups[i](x)], 1))
        return self.final_conv(x)


class _Projector(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(features, features, 3, 1, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class SoundSpeedHead(nn.Module):
    """From encoded traces to the map [1]_: weighted sum over transmits, pooling to 32 x 32, U-Net, softplus.

    (batch, n_tx, n_rx, features, n_latent) -> (batch, 1, 32 depths, 32 lateral) [km/s].

    Parameters
    ----------
    n_tx : int
    features : int
    size : int
        Of the map.
    """

    def __init__(self, n_tx: int = 180, features: int = 64, size: int = 32) -> None:
        super().__init__()
        self.n_tx, self.features, self.size = count("n_tx", n_tx, 1, 65536), features, size
        self.tx_proj = nn.Conv1d(n_tx, 1, 1)
        self.projector = _Projector(features)
        self.unet = PublishedUNet(features)

    def forward(self, latent: Tensor) -> Tensor:
        """Map [km/s]."""
        batch, n_tx, n_rx, features, n_latent = latent.shape
        summed = self.tx_proj(latent.reshape(batch, n_tx, -1)).view(batch, n_rx, features, n_latent)
        x = functional.adaptive_avg_pool2d(summed.permute(0, 2, 3, 1), self.size)
        return functional.softplus(self.unet(self.projector(x)))


class MoveoutNetwork(nn.Module):
    """A small U-Net from common-midpoint moveouts to the map ("cmp").

    Parameters
    ----------
    n_bins : int
        Bins of midpoint and offset, see `sonoray.autofocus.moveouts`.
    shape : (int, int)
        Of the feature grid, (lateral, depth); the map is (2 lateral, depth).
    widths : tuple of int
        Channels of the four levels.
    center, spread : float [m/s]
        The map is center + spread * output.
    """

    def __init__(
        self,
        n_bins: int,
        shape: tuple[int, int] = (16, 32),
        widths: tuple[int, ...] = (32, 48, 64, 96),
        center: float = 1530.0,
        spread: float = 40.0,
    ) -> None:
        super().__init__()
        self.n_bins, self.shape, self.widths = n_bins, tuple(shape), tuple(widths)
        self.center, self.spread = center, spread
        self.entry = nn.Sequential(
            nn.Conv2d(2 * n_bins + 3, 48, 1), nn.ReLU(), nn.Conv2d(48, widths[0], 3, 1, 1), nn.ReLU()
        )
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(_double(a, b) for a, b in pairs)
        self.ups = nn.ModuleList(_double(a + b, a) for a, b in reversed(pairs))
        self.exit = nn.Conv2d(widths[0], 2, 3, 1, 1)
        x = torch.linspace(-1, 1, shape[0])[:, None].expand(*shape)
        z = torch.linspace(0, 1, shape[1])[None].expand(*shape)
        self.register_buffer("place", torch.stack([x.abs(), z, z * z]), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(n, 2 n_bins, lateral, depth) -> (n, 2 lateral, depth), deviation from ``center`` in units of ``spread``."""
        place = torch.zeros_like(features[:, :3]) + self.place  # not expand(), which would fix the batch of a trace
        x = self.entry(torch.cat([features, place], 1))
        skips = []
        for down in self.downs:
            skips.append(x)
            x = down(functional.max_pool2d(x, 2))
        for up in self.ups:
            x = up(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()], 1))
        left_right = self.exit(x)  # the two columns of the map beside each column of features
        return left_right.transpose(1, 2).flatten(1, 2)
