"""Networks of Speckle2Self: an encoder per scale and one decoder for all.

References
----------
.. [1] Li, Navab and Jiang, "Speckle2Self: Self-supervised ultrasound speckle reduction without clean data", Medical
   Image Analysis, 2025 (arXiv 2507.06828); layout as in the authors' code.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._checks import count, option, scalar
from ...errors import ArgumentError

_SLOPE = 0.1  # of the leaky ReLU where nothing is normalised


@dataclass(frozen=True)
class NetworkSettings:
    """How a `Speckle2Self` network is built.

    Parameters
    ----------
    widths : tuple of int
        Channels of the encoder's levels, each half the size of the one before; the first is half the image's.
    scales : tuple of float
        Of the views, one encoder each; the first is 1 and is the one that is used after training.
    normalized : bool
        Instance normalisation after every convolution, as published. It ties a pixel to the whole image, so that
        tiles show seams and brightness is lost.
    skips : bool
        The decoder sees the encoder's levels; the published one does not.
    decoder : {"resize", "transpose"}
        Bilinear enlargement and convolution, or transposed convolutions as published.
    head : {"linear", "normalized"}
        The last layer: a convolution, or normalisation and ReLU after it as published.
    smoothings : tuple of int
        Odd widths, pixels. The network weights the view and its means over windows of these widths (twice) pixel by
        pixel and adds a correction, so that it begins as a smoothing filter. Empty as published: it makes all of the
        image itself.
    """

    widths: tuple[int, ...] = (16, 32, 48, 64)
    scales: tuple[float, ...] = (1.0, 0.5)
    normalized: bool = False
    skips: bool = True
    decoder: str = "resize"
    head: str = "linear"
    smoothings: tuple[int, ...] = (5, 9, 17, 33)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(count("widths", n, 1, 4096) for n in self.widths))
        object.__setattr__(self, "scales", tuple(scalar("scales", s, 0.01, 1.0, "(part)") for s in self.scales))
        object.__setattr__(self, "smoothings", tuple(count("smoothings", n, 3, 255) for n in self.smoothings))
        if any(n % 2 == 0 for n in self.smoothings):
            raise ArgumentError(f"smoothings: expected odd widths, got {self.smoothings}")
        if self.smoothings and self.head == "normalized":
            raise ArgumentError("smoothings: expected none with a normalized head, which has one channel")
        option("decoder", self.decoder, ("resize", "transpose"))
        option("head", self.head, ("linear", "normalized"))
        if not self.widths or self.scales[:1] != (1.0,):
            raise ArgumentError(f"scales: expected 1 first and at least one width, got {self.scales}, {self.widths}")

    @property
    def multiple(self) -> int:
        """What rows and columns of the input must be a multiple of."""
        return 2 ** len(self.widths)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


PUBLISHED = NetworkSettings(
    (32, 64, 128, 256),
    (1.0, 0.5, 0.25),
    normalized=True,
    skips=False,
    decoder="transpose",
    head="normalized",
    smoothings=(),
)


class Speckle2Self(nn.Module):
    """An encoder for every view of an image and the decoder that they share.

    Parameters
    ----------
    settings : NetworkSettings
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoders = nn.ModuleList(_Encoder(settings) for _ in settings.scales)
        self.decoder = _Decoder(settings)

    def forward(self, view: Tensor, scale: int = 0) -> Tensor:
        """Despeckle views of one scale.

        Parameters
        ----------
        view : Tensor
            (n, 1, n_rows, n_columns), rows and columns a multiple of ``settings.multiple``.
        scale : int
            Index into ``settings.scales``.

        Returns
        -------
        Tensor
            As ``view``.
        """
        return despeckled_view(view, self.encoders[scale], self.decoder, self.settings.smoothings)

    @property
    def used(self) -> tuple[nn.Module, nn.Module]:
        """What is used after training: the first encoder and the decoder."""
        return self.encoders[0], self.decoder


def despeckled_view(view: Tensor, encoder: nn.Module, decoder: nn.Module, smoothings: Sequence[int]) -> Tensor:
    """One encoder, the decoder and, with ``smoothings``, the weighted means."""
    found: Tensor = decoder(encoder(view))
    if not smoothings:
        return found
    choices = torch.cat([view, *(_smoothed(view, width) for width in smoothings)], 1)
    weights = functional.softmax(found[:, 1:], 1)
    return found[:, :1] + (weights * choices).sum(1, keepdim=True)


def _smoothed(image: Tensor, width: int) -> Tensor:
    """Mean over a window, twice; beyond the edge the image goes on with its last value."""
    half = width // 2
    for _ in range(2):
        image = functional.pad(image, (half, half, half, half), mode="replicate")
        image = functional.avg_pool2d(functional.avg_pool2d(image, (width, 1), 1), (1, width), 1)
    return image


class _Convolution(nn.Module):
    """3 x 3 convolution, normalisation if wanted, activation if wanted."""

    def __init__(self, n_in: int, n_out: int, settings: NetworkSettings, *, stride: int = 1, active: bool = True):
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, stride, 1)
        self.normalized, self.active = settings.normalized, active

    def forward(self, x: Tensor) -> Tensor:
        return _finished(self.convolution(x), self.normalized, self.active)


def _finished(x: Tensor, normalized: bool, active: bool) -> Tensor:
    if normalized:
        x = functional.instance_norm(x)
    if not active:
        return x
    return functional.relu(x) if normalized else functional.leaky_relu(x, _SLOPE)


class _Residual(nn.Module):
    """Two convolutions beside an identity; nothing after the sum."""

    def __init__(self, width: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.first = _Convolution(width, width, settings)
        self.second = _Convolution(width, width, settings, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class _Encoder(nn.Module):
    """Levels of half the size each: a convolution of stride 2, a residual block."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        widths = (1, *settings.widths)
        self.levels = nn.ModuleList(
            nn.Sequential(_Convolution(a, b, settings, stride=2), _Residual(b, settings))
            for a, b in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found


class _Decoder(nn.Module):
    """A residual block, then levels of twice the size each; the last gives the image or what it is made of."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = settings.widths
        self.deepest = _Residual(widths[-1], settings)
        self.enlarge = nn.ModuleList(
            _Enlargement(a, b, settings) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.refine = nn.ModuleList(_Residual(n, settings) for n in widths[-2::-1])
        n_out = 1 if not settings.smoothings else 2 + len(settings.smoothings)
        self.last = _Last(widths[0], n_out, settings)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.deepest(levels[-1])
        for enlarge, refine, skipped in zip(self.enlarge, self.refine, levels[-2::-1], strict=True):
            x = refine(enlarge(x, skipped))
        result: Tensor = self.last(x)
        return result


class _Enlargement(nn.Module):
    def __init__(self, n_in: int, n_out: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        if settings.decoder == "transpose":
            self.convolution: nn.Module = nn.ConvTranspose2d(n_in, n_out, 3, 2, 1, 1)
            self.mix = nn.Conv2d(2 * n_out, n_out, 1) if settings.skips else None
        else:
            self.convolution = nn.Conv2d(n_in + n_out * settings.skips, n_out, 3, 1, 1)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        options = self.settings
        if options.decoder == "transpose":
            x = _finished(self.convolution(x), options.normalized, True)
            return x if self.mix is None else self.mix(torch.cat([x, skipped], 1))
        x = _twice(x)
        x = self.convolution(torch.cat([x, skipped], 1) if options.skips else x)
        return _finished(x, options.normalized, True)


class _Last(nn.Module):
    """To the image's size."""

    def __init__(self, width: int, n_out: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        if settings.decoder == "transpose":
            self.convolution: nn.Module = nn.ConvTranspose2d(width, n_out, 3, 2, 1, 1)
        else:
            inner = max(4, width // 2)
            self.convolution = nn.Sequential(
                nn.Conv2d(width, inner, 3, 1, 1), nn.LeakyReLU(_SLOPE), nn.Conv2d(inner, n_out, 3, 1, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x if self.settings.decoder == "transpose" else _twice(x))
        return _finished(x, True, True) if self.settings.head == "normalized" else x


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def range_of(settings: NetworkSettings) -> str:
    """How images are stretched for a network: the published ones as published."""
    return "min-max" if settings.normalized else "percentiles"
