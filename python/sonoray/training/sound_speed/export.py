"""From trained networks to ONNX files that run without PyTorch, with their `ModelSpec` inside."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...autofocus.moveouts import MoveoutSettings
from ...learning.models import ModelSpec, TensorSpec
from ..exporting import export_onnx
from .networks import MoveoutNetwork, SoundSpeedHead, TraceAutoencoder, pooling_matrix

UPSTREAM_RMS = 0.6616  # of the published training data, by which its networks divide I/Q


class _Encoder(nn.Module):
    """(trace, sample, part) -> latent; normalisation folded in."""

    def __init__(self, autoencoder: TraceAutoencoder, rms: float) -> None:
        super().__init__()
        self.encoder, self.factor = autoencoder.encoder, 1.0 / rms

    def forward(self, traces: Tensor) -> Tensor:
        return self.encoder(traces.transpose(1, 2) * self.factor)


class _Head(nn.Module):
    """Same parameters as `SoundSpeedHead`; pooling as two constant matrices, which every runtime takes; m/s."""

    def __init__(self, head: SoundSpeedHead, n_rx: int, n_latent: int) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("down", pooling_matrix(n_latent, head.size))
        self.register_buffer("across", pooling_matrix(n_rx, head.size).T.contiguous())

    def forward(self, latent: Tensor) -> Tensor:
        down: Any = self.down
        across: Any = self.across
        weight = self.head.tx_proj.weight[0, :, 0]
        bias = self.head.tx_proj.bias
        assert bias is not None
        summed = torch.einsum("t,btrcl->brcl", weight, latent) + bias
        x = down @ summed.permute(0, 2, 3, 1) @ across
        return functional.softplus(self.head.unet(self.head.projector(x)))[:, 0] * 1000.0


class _Moveouts(nn.Module):
    """(batch, feature, lateral, depth) -> (batch, lateral, depth) [m/s]: mean of the map and the mirror image's."""

    def __init__(self, network: MoveoutNetwork, n_midpoints: int) -> None:
        super().__init__()
        self.network, self.n_midpoints = network, n_midpoints

    def forward(self, features: Tensor) -> Tensor:
        channels, shape = 2 * self.network.n_bins, self.network.shape  # numbers, so that the batch stays free
        split = features.reshape(-1, channels // self.n_midpoints, self.n_midpoints, *shape)
        mirror_image = split.flip(2, 3).reshape(-1, channels, *shape)
        mean = 0.5 * (self.network(features) + self.network(mirror_image).flip(1))
        return self.network.center + self.network.spread * mean


def export_moveouts(network: MoveoutNetwork, settings: MoveoutSettings, path: Any, spec: dict[str, Any]) -> ModelSpec:
    """Write the "cmp" network, made symmetric: the mean of what it says of the features and of their mirror image.

    Parameters
    ----------
    network : MoveoutNetwork
    settings : MoveoutSettings
        Of the features that it was trained on.
    path : path
        Ends in .onnx.
    spec : dict
        Further fields of `ModelSpec`: name, probe, sampling, licence, ....

    Returns
    -------
    ModelSpec
        As written into the file.

    Raises
    ------
    MissingExtraError
        ``onnx`` is not installed.
    """
    features = torch.zeros(1, 2 * network.n_bins, *network.shape)
    described = ModelSpec(
        inputs=(TensorSpec("moveouts", ("batch", "feature", "x", "z")),),
        outputs=(TensorSpec("sound_speed", ("batch", "x", "z"), unit="m/s"),),
        task="sound speed",
        settings={"method": "cmp", "moveouts": settings.to_dict()},
        sound_speed=settings.sound_speed,
        **spec,
    )
    return export_onnx(_Moveouts(network, len(settings.midpoints) - 1), features, path, described)


def export_upstream(
    autoencoder: TraceAutoencoder,
    head: SoundSpeedHead,
    encoder_path: Any,
    head_path: Any,
    spec: dict[str, Any],
    *,
    n_rx: int | None = None,
    rms: float = UPSTREAM_RMS,
    extent: tuple[float, float, float, float] | None = None,
) -> tuple[ModelSpec, ModelSpec]:
    """Write the published pair: the encoder for any number of traces, the head for one array.

    Parameters
    ----------
    autoencoder : TraceAutoencoder
    head : SoundSpeedHead
    encoder_path, head_path : path
    spec : dict
        Fields of `ModelSpec` for both.
    n_rx : int, optional
        Receivers; default as many as transmits.
    rms : float
        By which I/Q is divided.
    extent : (x_first, x_last, z_first, z_last), optional [m]
        Of the map; the published files do not say.

    Returns
    -------
    encoder, head : ModelSpec
    """
    n_rx, n_latent = n_rx or head.n_tx, autoencoder.n_samples // 64
    settings = {"method": "upstream", "extent": None if extent is None else list(extent)}
    first = ModelSpec(
        inputs=(TensorSpec("traces", ("batch", "sample", "part")),),
        outputs=(TensorSpec("latent", ("batch", "feature", "time")),),
        task="trace encoder",
        settings=settings,
        **{**spec, "n_samples": autoencoder.n_samples, "n_tx": head.n_tx, "n_elements": n_rx},
    )
    second = first.with_(
        inputs=(TensorSpec("latent", ("batch", "tx", "rx", "feature", "time")),),
        outputs=(TensorSpec("sound_speed", ("batch", "z", "x"), unit="m/s"),),
        task="sound speed",
    )
    traces = torch.zeros(2, autoencoder.n_samples, 2)
    latent = torch.zeros(1, head.n_tx, n_rx, head.features, n_latent)
    return (
        export_onnx(_Encoder(autoencoder, rms), traces, encoder_path, first),
        export_onnx(_Head(head, n_rx, n_latent), latent, head_path, second),
    )
