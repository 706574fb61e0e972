"""From trained networks to `enhance.onnx`."""

from pathlib import Path
from typing import Any

import torch

from ...learning.models import ModelSpec, TensorSpec
from ...restoration.enhancement import TASK
from ..exporting import export_onnx
from ..loops import load_kept
from .networks import SwinConvUNet
from .recipe import NAME, load_recipe, read_description

__all__ = ["TASK", "export_enhancer", "export_folder"]

_SIZES = ((128, 128), (192, 320), (200, 150), (8, 8))


def export_folder(folder: Any, out: Any) -> ModelSpec:
    """Write what a training folder holds as an ONNX file; it is compared with the network at several sizes.

    Parameters
    ----------
    folder : path
        As `train_enhancer` leaves it.
    out : path
        Ends in .onnx.

    Returns
    -------
    ModelSpec
        As written into the file.

    Raises
    ------
    ArgumentError
        No training folder of this task; a file that does not give what the network gives.
    MissingExtraError
        ``onnx`` or ONNX Runtime is not installed.
    """
    source = Path(folder)
    recipe = load_recipe(source)
    network = SwinConvUNet(recipe.network)
    load_kept(network, source / f"{NAME}.pt")
    description = read_description(source)
    return export_enhancer(network, out, training_data=description["data_digest"], seed=description["seed"])


def export_enhancer(network: SwinConvUNet, path: Any, **described: Any) -> ModelSpec:
    """Write a network for images of any size and any number.

    Parameters
    ----------
    network : SwinConvUNet
    path : path
        Ends in .onnx.
    **described
        ``training_data`` (SHA-256) of the spec, and what its settings should say.
    """
    axes = ("batch", "channel", "row", "column")
    spec = ModelSpec(
        name="sonoray enhancement",
        task=TASK,
        licence="Apache-2.0",
        description="Blind deblurring and denoising of B-mode images; see the model card. Research only.",
        training_data=described.pop("training_data", ""),
        inputs=(TensorSpec("image", axes, value_range=(0.0, 1.0)),),
        outputs=(TensorSpec("enhanced", axes),),
        settings={"network": {k: _plain(v) for k, v in network.settings.to_dict().items()}, **described},
    )
    # Of more than one window and tile each, so that nothing about sizes can become a constant.
    example, generator = torch.rand(2, 1, 72, 136), torch.Generator().manual_seed(0)
    checks = [torch.rand(1, 1, *size, generator=generator) for size in _SIZES]
    return export_onnx(network, example, path, spec, free=("batch", "row", "column"), checks=checks)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
