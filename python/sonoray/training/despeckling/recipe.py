"""The recipes: the published Speckle2Self, and ours, which learns structure across scales.

Published [1]_: every view of a noisy image (shrunk by a scale and enlarged again) has its own encoder; each output is
compared with its view (mean square) and with the others' (mean absolute difference). Ours: speckle of one image is put
over the shrunk structure of another (`TrainingImages.transplanted`), each output is compared with that structure, and
with the others' as before. Nothing clean is seen in either.

References
----------
.. [1] Li, Navab and Jiang, "Speckle2Self: Self-supervised ultrasound speckle reduction without clean data", Medical
   Image Analysis, 2025 (arXiv 2507.06828).
"""

import itertools
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..._checks import count, option, scalar
from ...errors import ArgumentError, FormatError
from ...io.writing import atomic
from ..loops import Hardware, Schedule, device_of, load_kept, train
from ..parameters import n_parameters
from ..players import MOST_SEED
from .data import TrainingImages
from .networks import PUBLISHED, NetworkSettings, Speckle2Self

METHODS = ("across-scales", "published")
NAME = "despeckle"
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    Parameters
    ----------
    method : {"across-scales", "published"}
    network : NetworkSettings
    steps : int
    batch : int
    crop : int
        Rows and columns of the pieces that are trained on.
    rate : float
        Largest learning rate.
    consistency : float
        Weight of the differences between outputs.
    seed : int
    passes : int
        How often the network is applied when it is used; training makes one.
    """

    method: str = "across-scales"
    network: NetworkSettings = field(default_factory=NetworkSettings)
    steps: int = 1500
    batch: int = 6
    crop: int = 96
    rate: float = 1e-3
    consistency: float = 0.1
    seed: int = 0
    passes: int = 1

    def __post_init__(self) -> None:
        option("method", self.method, METHODS)
        count("steps", self.steps, 1, 100_000_000)
        count("batch", self.batch, 1, 65536)
        count("crop", self.crop, 32, 4096)
        count("passes", self.passes, 1, 8)
        count("seed", self.seed, 0, MOST_SEED)
        scalar("rate", self.rate, 1e-8, 1.0, "(step of the optimizer)")
        scalar("consistency", self.consistency, 0.0, 1e3, "(weight)")
        smallest = round(min(self.network.scales) * self.crop) if self.method == "across-scales" else self.crop
        if smallest % self.network.multiple or self.crop % self.network.multiple:
            raise ArgumentError(
                f"crop: expected its smallest view to be a multiple of {self.network.multiple}, got {self.crop} and a "
                f"view of {smallest}"
            )

    @property
    def schedule(self) -> Schedule:
        """Of `sonoray.training.loops.train`."""
        every = max(1, min(200, self.steps))
        if self.method == "published":
            return Schedule(
                self.steps, self.rate, 0, 0.0, evaluate_every=every, optimizer="adam", betas=(0.5, 0.999), constant=True
            )
        return Schedule(self.steps, self.rate, min(50, self.steps), 0.0, average=0.99, evaluate_every=every, clip=0.5)

    def for_epochs(self, epochs: int, n_images: int) -> "Recipe":
        """The recipe with as many steps as it takes to draw ``n_images`` pieces ``epochs`` times."""
        per_epoch = -(-count("n_images", n_images, 1, 1 << 30) // self.batch)
        return replace(self, steps=count("epochs", epochs, 1, 1_000_000) * per_epoch)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; one pass is not mentioned, as before there were several."""
        found = {**asdict(self), "network": self.network.to_dict()}
        return found if self.passes > 1 else {key: value for key, value in found.items() if key != "passes"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """What `to_dict` gave."""
        network: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
        return cls(**{**values, "network": NetworkSettings(**network)})


DEFAULT = Recipe()
QUICK = replace(DEFAULT, steps=6, batch=2, crop=64, network=NetworkSettings((4, 6, 8), (1.0, 0.5, 0.25)))
PUBLISHED_EPOCHS = 5000
# Steps of one batch an epoch, so for up to 16 images; `Recipe.for_epochs` says how many it takes for more.
PUBLISHED_RECIPE = Recipe(
    "published", PUBLISHED, steps=PUBLISHED_EPOCHS, batch=16, crop=256, rate=1e-3, consistency=1.0
)


def train_despeckling(
    data: TrainingImages,
    folder: Any,
    recipe: Recipe = DEFAULT,
    *,
    start: Any = None,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> Speckle2Self:
    """Train a network; `folder` gets its description, checkpoint and log.

    Parameters
    ----------
    data : TrainingImages
    folder : path
        Made when absent.
    recipe : Recipe
    start : path, optional
        Folder of an earlier run of the same network, with whose weights to begin.
    resume : bool
        Go on from the checkpoint in ``folder``.
    show : bool
        Progress on standard error.
    hardware : Hardware, optional
        Default: one CPU.
    tensorboard : bool
        Log for TensorBoard, too, see `train_players`.

    Returns
    -------
    Speckle2Self
        With the kept weights, in evaluation mode, on the host.

    Raises
    ------
    ArgumentError
        ``resume`` from a checkpoint of other settings or images; ``start`` without a run of this network.
    KeyboardInterrupt
        After the state has been saved.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = Speckle2Self(recipe.network)
    before = "" if start is None else _begin_with(network, Path(start))
    losses = {"across-scales": across_scales_loss, "published": published_loss}
    step_loss = losses[recipe.method]
    if device_of(network).type == "cpu":
        network.to(memory_format=torch.channels_last)
    train(
        network,
        lambda rng: step_loss(network, data, recipe, rng),
        recipe.schedule,
        target,
        NAME,
        seed=recipe.seed,
        resume=resume,
        settings={"data": data.digest, "start": before, **_trained_by(recipe)},
        show=show,
        hardware=hardware,
        tensorboard=tensorboard,
        accepted=lambda: _describe(target, recipe, data, network, before),
    )
    return network


def across_scales_loss(network: Speckle2Self, data: TrainingImages, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """Mean absolute error of every view's output, and differences between them; views are as small as their scale."""
    noisy, structure = (
        torch.from_numpy(a)[:, None].to(device_of(network)) for a in data.transplanted(rng, recipe.batch, recipe.crop)
    )
    outputs = []
    for k, scale in enumerate(recipe.network.scales):
        view = noisy if scale == 1 else functional.interpolate(noisy, scale_factor=scale, mode="bilinear")
        found = network(view, k)
        outputs.append(found if scale == 1 else functional.interpolate(found, size=noisy.shape[-2:], mode="bilinear"))
    total = functional.l1_loss(outputs[0], structure)
    for found in outputs[1:]:
        total = total + 0.5 * functional.l1_loss(found, structure)
    return total + recipe.consistency * _differences(outputs)


def published_loss(network: Speckle2Self, data: TrainingImages, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """Mean square error of every output to its view, mean absolute differences between outputs."""
    image = torch.from_numpy(data.augmented(rng, recipe.batch, recipe.crop))[:, None].to(device_of(network))
    views = perturbed(image, recipe.network.scales)
    outputs = [network(view, k) for k, view in enumerate(views)]
    total = sum((functional.mse_loss(a, b) for a, b in zip(outputs, views, strict=True)), torch.zeros(()))
    return total + recipe.consistency * _differences(outputs)


def perturbed(image: Tensor, scales: tuple[float, ...]) -> list[Tensor]:
    """Views of the published multi-scale perturbation.

    Each is shrunk and enlarged again bilinearly, without a filter against aliasing, then stretched to [0, 1] on its
    own.
    """
    views = []
    for scale in scales:
        view = image
        if scale != 1:
            small = functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
            view = functional.interpolate(small, size=image.shape[-2:], mode="bilinear", align_corners=False)
        low, high = view.amin((1, 2, 3), keepdim=True), view.amax((1, 2, 3), keepdim=True)
        views.append((view - low) / (high - low + 1e-8))
    return views


def _differences(outputs: list[Tensor]) -> Tensor:
    pairs = [functional.l1_loss(a, b) for a, b in itertools.combinations(outputs, 2)]
    return sum(pairs, torch.zeros((), device=outputs[0].device))


def _begin_with(network: Speckle2Self, folder: Path) -> str:
    """Load what an earlier run kept; returns its recipe and data as text."""
    try:
        load_kept(network, folder / f"{NAME}.pt")
        earlier = json.loads((folder / DESCRIPTION).read_text())
        return f"{earlier['recipe']} {earlier['data_digest']}"
    except (OSError, ValueError, KeyError, FormatError) as error:
        raise ArgumentError(f"start: expected a run of the same network in {folder}: {error}") from None


def _trained_by(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides the weights: passes are made when the network is used."""
    return {name: value for name, value in recipe.to_dict().items() if name != "passes"}


def _describe(folder: Path, recipe: Recipe, data: TrainingImages, network: Speckle2Self, before: str) -> None:
    """Write what is trained, in one step."""
    text = json.dumps(
        {
            "task": "despeckling",
            "recipe": recipe.to_dict(),
            "data_digest": data.digest,
            "n_images": len(data),
            "n_parameters": n_parameters(*network.used),
            "start": before,
        },
        indent=2,
    )
    with atomic(folder / DESCRIPTION) as path:
        path.write_text(text)
