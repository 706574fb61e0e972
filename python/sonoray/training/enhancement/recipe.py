"""The recipe: which data, which network, for how long; and the published one.

References
----------
.. [1] S. Khan, S. M. Atif, J. Huh and S. S. Azhar Ali, arXiv 2601.21856, 2026: L1 loss, learning rate 1e-4, batches
   of 16 patches of 64 x 64, 4000 epochs of 5205 images.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..._checks import count, option, scalar
from ...errors import ArgumentError
from ...io.writing import atomic
from ...restoration.enhancement import TASK
from ...simulation.degradations import DegradationModel, add_fourier_noise, add_gaussian_noise, add_speckle, blur
from ..hardware import Hardware
from ..loops import Schedule, device_of, load_kept, train
from ..pictures import images_in
from ..players import MOST_SEED
from .data import (
    DEGRADATIONS,
    NATURAL_TRAINING,
    NATURAL_TUNING,
    TARGETS,
    PairSource,
    PatchSampler,
    low_rank_pairs,
    natural_pairs,
    phantom_pairs,
    speckled_pairs,
    targets_of,
    wire_pairs,
)
from .networks import PUBLISHED, SwinConvSettings, SwinConvUNet

NAME = "enhance"  # of the files
SHARES = {"natural": 0.2, "phantom": 0.36, "wires": 0.16, "speckled": 0.08, "scanned": 0.2}
_TUNING_SEED = 1_000_001


@dataclass(frozen=True)
class EnhancementRecipe:
    """Everything that decides what is trained, but for the images.

    Parameters
    ----------
    steps, batch : int
    rate : float
        Largest learning rate.
    average : float
        Decay of the running average of the weights.
    phantoms, wires, speckled : int
        Simulated images without speckle, drawings of points and lines, simulated images with speckle.
    targets : {"low_rank", "raw", "natural"}
        What ultrasound images should become: their low-rank approximation, themselves, or they are not used.
    network : SwinConvSettings
    degradations : DegradationModel
    size : int
        Edge of a patch.
    published : bool
        Patches and rate as published: from images scaled to 128 x 128, and constant.
    """

    steps: int = 5000
    batch: int = 8
    rate: float = 1e-3
    average: float = 0.998
    phantoms: int = 160
    wires: int = 60
    speckled: int = 12
    targets: str = "low_rank"
    network: SwinConvSettings = field(default_factory=SwinConvSettings)
    degradations: DegradationModel = DEGRADATIONS
    size: int = 64
    published: bool = False

    def __post_init__(self) -> None:
        option("targets", self.targets, TARGETS)
        count("steps", self.steps, 1, 100_000_000)
        count("batch", self.batch, 1, 65536)
        count("phantoms", self.phantoms, 0, 1_000_000)
        count("wires", self.wires, 0, 1_000_000)
        count("speckled", self.speckled, 0, 1_000_000)
        count("size", self.size, 8, 4096)
        scalar("rate", self.rate, 1e-8, 1.0, "(learning rate)")
        scalar("average", self.average, 0.0, 0.99999, "(decay)")

    def with_(self, **changes: Any) -> "EnhancementRecipe":
        """A copy with other values."""
        return replace(self, **changes)


QUICK = EnhancementRecipe(steps=20, batch=2, phantoms=4, wires=2, speckled=1)
# 4000 epochs of 5205 images in batches of 16.
PUBLISHED_RECIPE = EnhancementRecipe(
    1_301_250, 16, 1e-4, 0.0, network=PUBLISHED, degradations=DegradationModel(), published=True
)


def training_sources(
    images: Sequence[Any], cache: Path, recipe: EnhancementRecipe, *, show: bool = False
) -> list[PairSource]:
    """Pairs of all kinds.

    Parameters
    ----------
    images : sequence of path
        B-mode pictures or folders of them; may be empty, then only simulated ultrasound is used.
    cache : Path
        Where low-rank targets are kept.
    recipe : EnhancementRecipe
    show : bool
        Progress on standard error.
    """
    scanned = low_rank_pairs(images_in(images), cache, show=show) if images else []
    speckled = speckled_pairs(recipe.speckled, 1, cache, show=show)
    found = {
        "natural": tuple(natural_pairs(NATURAL_TRAINING)),
        "phantom": tuple(phantom_pairs(recipe.phantoms, 2)) if recipe.targets != "natural" else (),
        "wires": tuple(wire_pairs(recipe.wires, 2)) if recipe.targets != "natural" else (),
        "speckled": targets_of(speckled, recipe.targets),
        "scanned": targets_of(scanned, recipe.targets),
    }
    return [PairSource(pairs, SHARES[name]) for name, pairs in found.items()]


def train_enhancer(
    folder: Any,
    sources: Sequence[PairSource],
    recipe: EnhancementRecipe | None = None,
    *,
    seed: int = 0,
    module: nn.Module | None = None,
    start: Any = None,
    tuning: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]] | None = None,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> tuple[nn.Module, float]:
    """Train a network on degraded patches and their targets by the L1 loss.

    Parameters
    ----------
    folder : path
        For checkpoint, log and ``model.json``; made when absent.
    sources : sequence of PairSource
        From `training_sources`.
    recipe : EnhancementRecipe, optional
    seed : int
    module : nn.Module, optional
        Another network on the same data, for comparisons; by default the recipe's.
    start : path, optional
        Folder of an earlier run whose weights to begin with, to go on with other images, say.
    tuning : sequence of (degraded, truth), optional
        What is evaluated; default: `tuning_set`.
    resume : bool
    show : bool
        Progress on standard error.
    hardware : Hardware, optional
        Devices and precision.
    tensorboard : bool
        Log for TensorBoard, too, see `train_players`.

    Returns
    -------
    network : nn.Module
    gain : float [dB]
        By how much the mean PSNR over ``tuning`` rises.
    """
    given = recipe or EnhancementRecipe()
    target = Path(folder)
    torch.manual_seed(count("seed", seed, 0, MOST_SEED))
    target.mkdir(parents=True, exist_ok=True)
    network = SwinConvUNet(given.network) if module is None else module
    if start is not None:
        load_kept(network, Path(start) / f"{NAME}.pt")
    sampler = PatchSampler(sources, given.degradations, size=given.size, published=given.published)
    judged = tuning_set() if tuning is None else tuning
    before = "" if start is None else read_description(start)["data_digest"]
    schedule = Schedule(
        given.steps,
        given.rate,
        0 if given.published else min(100, given.steps // 4),
        weight_decay=0.0,
        average=given.average,
        evaluate_every=max(1, min(250, given.steps)),
        constant=given.published,
    )
    loss = train(
        network,
        lambda rng: patch_loss(network, sampler, given.batch, rng),
        schedule,
        target,
        NAME,
        seed=seed,
        evaluate=lambda: -psnr_gain(lambda x: apply(network, x), judged),
        resume=resume,
        settings={"data": sampler.digest, "start": before, **asdict(given)},
        show=show,
        hardware=hardware,
        tensorboard=tensorboard,
        accepted=lambda: describe(target, given, seed, sampler.digest, before),
    )
    return network, -loss


def patch_loss(network: nn.Module, sampler: PatchSampler, batch: int, rng: np.random.Generator) -> Tensor:
    """Mean absolute difference of a batch."""
    device = device_of(network)
    degraded, wanted = (torch.from_numpy(v).to(device) for v in sampler(batch, rng))
    loss: Tensor = functional.l1_loss(network(degraded), wanted)
    return loss


def describe(folder: Path, recipe: EnhancementRecipe, seed: int, digest: str, before: str) -> None:
    """Write ``model.json``: what is trained here, and the data digest of the run that it began with, if any."""
    content = {"task": TASK, "seed": seed, "data_digest": digest, "before": before, **asdict(recipe)}
    with atomic(folder / "model.json") as path:
        path.write_text(json.dumps(content, indent=1) + "\n")


def apply(network: nn.Module, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """One image (n_rows, n_columns) through a network, clipped to [0, 1]."""
    device = device_of(network)
    with torch.no_grad():
        given = torch.from_numpy(np.ascontiguousarray(image, np.float32)).to(device)
        result = network.eval()(given[None, None])[0, 0]
    return np.clip(result.cpu().numpy(), 0, 1)


def tuning_set(size: int = 128) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Degraded images and truths, always the same, of phantoms and a photograph that are not trained on."""
    truths = [pair[0] for pair in phantom_pairs(3, _TUNING_SEED, size=size)]
    truths += [pair[0][64 : 64 + size, 64 : 64 + size] for pair in natural_pairs(NATURAL_TUNING)]
    return degraded_pairs(truths, CONDITIONS, _TUNING_SEED)


def degraded_pairs(
    truths: Sequence[NDArray[np.float32]], conditions: dict[str, "Degradation"], seed: int
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Every truth under every condition: (degraded, truth)."""
    rng = np.random.default_rng(seed)
    return [(degrade(truth, rng), truth) for truth in truths for degrade in conditions.values()]


def psnr_gain(
    enhance: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> float:
    """Mean rise of the PSNR [dB]."""

    def level(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
        return -10 * float(np.log10(max(np.mean((image - truth) ** 2, dtype=np.float64), 1e-12)))

    return float(np.mean([level(enhance(x), truth) - level(x, truth) for x, truth in pairs]))


Degradation = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]

CONDITIONS: dict[str, Degradation] = {
    "Gaussian 0.05": lambda x, rng: add_gaussian_noise(x, 0.05, rng),
    "Gaussian 0.1": lambda x, rng: add_gaussian_noise(x, 0.1, rng),
    "Gaussian 0.2": lambda x, rng: add_gaussian_noise(x, 0.2, rng),
    "Fourier 0.1": lambda x, rng: add_fourier_noise(x, 0.1, rng),
    "Fourier 0.3": lambda x, rng: add_fourier_noise(x, 0.3, rng),
    "speckle 0.2": lambda x, rng: add_speckle(x, 0.2, rng),
    "speckle 0.5": lambda x, rng: add_speckle(x, 0.5, rng),
    "blur 9": lambda x, rng: blur(x, 9),
    "blur 9, Gaussian 0.1": lambda x, rng: add_gaussian_noise(blur(x, 9), 0.1, rng),
}


def load_recipe(folder: Any) -> EnhancementRecipe:
    """What ``model.json`` in a training folder says.

    Raises
    ------
    ArgumentError
        There is none, or of another task.
    """
    content = read_description(folder)
    content = {k: v for k, v in content.items() if k not in ("task", "seed", "data_digest", "before")}
    model: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.pop("degradations").items()}
    network = SwinConvSettings.from_dict(content.pop("network"))
    return EnhancementRecipe(**content, network=network, degradations=DegradationModel(**model))


def read_description(folder: Any) -> dict[str, Any]:
    """Return ``model.json`` of a training folder.

    Raises
    ------
    ArgumentError
        There is none, or of another task.
    """
    path = Path(folder) / "model.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArgumentError(f"folder: expected a training folder with model.json, got {folder}: {error}") from None
    if not isinstance(content, dict) or content.get("task") != TASK:
        raise ArgumentError(f"folder: expected a folder of task {TASK!r}, got {content.get('task')!r} in {path}")
    return content
