"""From trained despeckling networks to ONNX files that `sonoray.restoration.Despeckler` runs."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..._checks import count
from ...errors import ArgumentError, FormatError
from ...learning.models import ModelSpec, TensorSpec
from ..exporting import export_onnx
from ..loops import load_kept
from .networks import Speckle2Self, despeckled_view, range_of
from .recipe import DESCRIPTION, NAME, Recipe

TASK = "despeckling"
_SIZES = ((4, 4), (6, 9), (3, 5))  # of the check against torch, in multiples


def load_trained(folder: Any) -> tuple[Speckle2Self, dict[str, Any]]:
    """Rebuild a trained network from its folder.

    Parameters
    ----------
    folder : path
        Of `train_despeckling`.

    Returns
    -------
    network : Speckle2Self
        With the kept weights.
    description : dict
        Of ``model.json``.

    Raises
    ------
    FormatError
        The folder holds no despeckling network.
    """
    path = Path(folder) / DESCRIPTION
    try:
        description = json.loads(path.read_text())
        recipe = Recipe.from_dict(description["recipe"])
        if description["task"] != TASK:
            raise KeyError(f"task is {description['task']!r}")
    except (OSError, ValueError, KeyError, TypeError, ArgumentError) as error:
        raise FormatError(f"{path}: expected the description of a despeckling network: {error}") from None
    network = Speckle2Self(recipe.network)
    load_kept(network, Path(folder) / f"{NAME}.pt")
    return network.eval(), description


def export_folder(folder: Any, out: Any, *, passes: int | None = None) -> ModelSpec:
    """Write the network trained in a folder.

    Parameters
    ----------
    folder, out : path
    passes : int, optional
        How often `Despeckler` applies it. Default: as the recipe says.

    Returns
    -------
    ModelSpec
    """
    network, description = load_trained(folder)
    recipe = description["recipe"]
    described = (
        f"Despeckling of B-mode images, {recipe['method']}, {recipe['steps']} steps on {description['n_images']} noisy "
        f"images, seed {recipe['seed']}. For research only."
    )
    chosen = recipe.get("passes", 1) if passes is None else passes
    data = description["data_digest"]
    return export_despeckling(network, out, passes=chosen, description=described, training_data=data)


def export_despeckling(network: Speckle2Self, path: Any, *, passes: int = 1, **fields: Any) -> ModelSpec:
    """Write the part of a network that is used after training, and check it against torch at three sizes.

    Parameters
    ----------
    network : Speckle2Self
    path : path
    passes : int
        How often `Despeckler` applies the network, unless told otherwise.
    **fields
        Further fields of `ModelSpec`: description, licence, training_data, version.

    Returns
    -------
    ModelSpec

    Raises
    ------
    ArgumentError
        ONNX Runtime's result differs from torch's by more than 1e-4.
    """
    settings = network.settings
    axes, multiple = ("batch", "channel", "row", "column"), settings.multiple
    spec = ModelSpec(
        name=fields.pop("name", "sonoray despeckle"),
        task=TASK,
        inputs=(TensorSpec("image", axes, value_range=(0.0, 1.0), pad_multiple=(1, 1, multiple, multiple)),),
        outputs=(TensorSpec("despeckled", axes),),
        licence=fields.pop("licence", "Apache-2.0"),
        settings={
            "range": range_of(settings),
            "multiple": multiple,
            "whole_image": settings.normalized,
            "passes": count("passes", passes, 1, 8),
            "network": settings.to_dict(),
        },
        **fields,
    )
    module = _Used(network).cpu().eval()
    example = torch.rand(1, 1, 4 * multiple, 5 * multiple)
    generator = torch.Generator().manual_seed(0)
    checks = [torch.rand(k + 1, 1, m * multiple, n * multiple, generator=generator) for k, (m, n) in enumerate(_SIZES)]
    return export_onnx(module, example, path, spec, free=("batch", "row", "column"), checks=checks)


class _Used(nn.Module):
    """Full-scale encoder and decoder."""

    def __init__(self, network: Speckle2Self) -> None:
        super().__init__()
        self.encoder, self.decoder = network.encoders[0], network.decoder
        self.smoothings = network.settings.smoothings

    def forward(self, image: Tensor) -> Tensor:
        return despeckled_view(image, self.encoder, self.decoder, self.smoothings)
