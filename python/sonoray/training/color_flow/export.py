"""From trained networks to ONNX files with their `ModelSpec` inside."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import FormatError
from ...learning.models import ModelSpec, TensorSpec
from ...restoration.color_flow import TASKS
from ...restoration.frame_channels import N_CHANNELS, REACH
from ..exporting import export_onnx
from ..loops import kept_weights, load_kept
from ..parameters import weights_digest
from ..states import load_state
from .networks import MaskNetwork, RefinementGenerator
from .recipe import COARSE_WEIGHTS, CoarseSettings, RefineSettings

TASK = "color flow translation"
NOTE = "model.json"
_VIDEO = ("batch", "channel", "time", "row", "column")
_FRAME = ("batch", "channel", "row", "column")
_SIZES = ((1, 8, 32, 48), (1, 5, 64, 36), (2, 1, 16, 16), (1, 12, 40, 64))


class _Probability(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        return torch.sigmoid(self.network(frames))


def export_network(module: nn.Module, role: str, path: Any, about: dict[str, Any]) -> ModelSpec:
    """Write one network and check it against the module at several sizes.

    Parameters
    ----------
    module : nn.Module
    role : {"mask", "coarse", "refine"}
    path : path
        Ends in .onnx.
    about : dict
        ``settings`` of the spec ("channels" of a coarse network, "bridge" of a refinement), ``training_data``
        (SHA-256), ``seed``.

    Returns
    -------
    ModelSpec

    Raises
    ------
    ArgumentError
        The file differs from the module by more than 1e-4.
    MissingExtraError
        ``onnx`` is not installed.
    """
    axes = _FRAME if role == "mask" else _VIDEO
    n = {"mask": 3, "refine": 3}.get(role) or N_CHANNELS[about["settings"]["channels"]]
    network = _Probability(module) if role == "mask" else module
    multiple = tuple(4 if axis in ("row", "column") else 1 for axis in axes)
    spec = ModelSpec(
        name=f"sonoray color flow, {role}",
        inputs=(TensorSpec("channels" if role != "mask" else "frames", axes, pad_multiple=multiple),),
        outputs=(TensorSpec("probability" if role == "mask" else "grey", axes),),
        task=TASKS[role],
        licence="Apache-2.0",
        description="Colour-flow to B-mode video; trained on simulated videos. Research only.",
        training_data=about.get("training_data", ""),
        settings={**about["settings"], "seed": about.get("seed", 0)},
    )
    rng = torch.Generator().manual_seed(0)
    examples = [torch.rand((b, n, *((t,) if role != "mask" else ()), h, w), generator=rng) for b, t, h, w in _SIZES]
    free = tuple(axis for axis in axes if axis != "channel")
    return export_onnx(network, examples[0], path, spec, free=free, checks=examples)


def export_folder(folder: Any, out: Any) -> ModelSpec:
    """Write what a training folder holds: the coarse network to ``out``, mask and refinement beside it.

    Parameters
    ----------
    folder : path
        Of `sonoray train translate`.
    out : path
        Ends in .onnx. ``name_coarse.onnx`` gets ``name_mask.onnx`` and ``name_refine.onnx`` as neighbours.

    Returns
    -------
    ModelSpec
        Of the coarse network.

    Raises
    ------
    FormatError
        No such folder; a refinement of another coarse network than the one in it.
    """
    root, target = Path(folder), Path(out)
    about = read_note(root)
    _check_coarse(root, about["networks"])
    stem = target.stem.removesuffix("_coarse")
    spec: ModelSpec | None = None
    # The refinement's spec names the coarse network whose results it knows.
    for role, note in sorted(about["networks"].items(), key=lambda item: item[0] != "coarse"):
        path = target if role == "coarse" else target.with_name(f"{stem}_{role}.onnx")
        module = load_network(root, role, note)
        settings = {**note["settings"], "recipe": note["recipe"]}
        if role == "refine" and spec is not None:
            settings["coarse"] = spec.digest
        told = {"settings": settings, "seed": note["seed"], "training_data": about["training_data"]}
        written = export_network(module, role, path, told)
        spec = written if role == "coarse" else spec
    if spec is None:
        raise FormatError(f"{root}: expected a coarse network, found {', '.join(about['networks']) or 'none'}")
    return spec


def load_network(folder: Any, role: str, note: dict[str, Any]) -> nn.Module:
    """Return a trained network of a folder."""
    path = Path(folder) / f"{note['name']}.pt"
    if role == "coarse":
        module = CoarseSettings(**note["recipe"]).network()
        load_kept(module, path)
    elif role == "refine":
        module = RefinementGenerator(RefineSettings(**note["recipe"]).width)
        load_kept(module, path, "generator")
    else:
        module = MaskNetwork(note["recipe"]["width"])
        load_kept(module, path)
    return module.eval()


def _check_coarse(folder: Path, networks: dict[str, dict[str, Any]]) -> None:
    """Refuse a refinement that learned from other weights than the coarse network's beside it."""
    if not {"coarse", "refine"} <= set(networks):
        return
    coarse, refine = (folder / f"{networks[role]['name']}.pt" for role in ("coarse", "refine"))
    settings = load_state(refine).get("settings") if refine.exists() else None
    known = settings.get(COARSE_WEIGHTS) if isinstance(settings, dict) else None  # older ones don't say
    if known and known != (found := weights_digest(kept_weights(coarse))):
        raise FormatError(
            f"{refine}: expected a refinement of {coarse} ({found[:12]}), got one of other weights ({known[:12]}); "
            "train it anew"
        )


def write_note(folder: Any, training_data: str, networks: dict[str, dict[str, Any]]) -> None:
    """Write model.json: what was trained."""
    text = json.dumps({"task": TASK, "training_data": training_data, "networks": networks}, indent=2)
    (Path(folder) / NOTE).write_text(text + "\n")


def read_note(folder: Any) -> dict[str, Any]:
    """Read model.json.

    Raises
    ------
    FormatError
        It is missing or not of this task.
    """
    path = Path(folder) / NOTE
    try:
        about: dict[str, Any] = json.loads(path.read_text())
        if about["task"] != TASK:
            raise FormatError(f"{path}: expected the task {TASK!r}, got {about['task']!r}")
        return about
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: expected the note of a training of {TASK!r}: {error}") from None


def coarse_note(settings: CoarseSettings, name: str, seed: int, start: str = "") -> dict[str, Any]:
    """What model.json says of a coarse network; ``start``: digest of the weights that it began with."""
    return {
        "start": start,
        "name": name,
        "seed": seed,
        "recipe": asdict(settings),
        "settings": {"channels": settings.kind, "reach": REACH},
    }


def refine_note(settings: RefineSettings, name: str, seed: int) -> dict[str, Any]:
    """What model.json says of a refinement."""
    return {"name": name, "seed": seed, "recipe": asdict(settings), "settings": {"bridge": settings.with_bridge}}


def mask_note(width: int, name: str, seed: int) -> dict[str, Any]:
    """What model.json says of a mask network."""
    return {"name": name, "seed": seed, "recipe": {"width": width}, "settings": {}}
