"""What each part of the recipe is worth: the same network and steps, one thing changed at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...restoration.despeckling import stretch
from ...restoration.quality import homogeneity, psnr, ssim
from ..loops import Hardware
from .data import TrainingImages, simulated_image
from .networks import Speckle2Self, range_of
from .recipe import Recipe, train_despeckling

JUDGED_FAMILIES = ("vessels", "organ")  # nothing is trained on these
_JUDGED_SEED = 20_000


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """Recipes to compare, by name.

    The published losses with one, two and three scales, ours with as many, and ours without its smoothed base.

    Parameters
    ----------
    recipe : Recipe
        Ours; gives network, steps and as many pixels to all of them.
    """
    unit = 4 * recipe.network.multiple  # a quarter of the piece must fit the network, too
    crop = -(-recipe.crop // unit) * unit
    recipe = replace(recipe, crop=crop, batch=max(1, round(recipe.batch * (recipe.crop / crop) ** 2)))
    found = {}
    for label, method in (("published losses", "published"), ("across scales", "across-scales")):
        for scales in ((1.0,), (1.0, 0.5), (1.0, 0.5, 0.25)):
            network = replace(recipe.network, scales=scales)
            weight = 1.0 if method == "published" else recipe.consistency
            name = f"{label}, {', '.join(f'{s:g}' for s in scales)}"
            found[name] = replace(recipe, method=method, network=network, consistency=weight)
    plain = replace(recipe.network, smoothings=())
    found["across scales, no smoothed base"] = replace(recipe, network=plain)
    return found


def judged_images(n: int, size: int = 128) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Simulated images of contents that nothing is trained on, and their truth, (n, size, size) each."""
    pairs = [simulated_image(np.random.default_rng([_JUDGED_SEED, k]), size, JUDGED_FAMILIES) for k in range(n)]
    return np.stack([p.image for p in pairs]), np.stack([p.clean for p in pairs])


def ablate(
    data: TrainingImages,
    folder: Any,
    recipe: Recipe,
    *,
    n_judged: int = 24,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> dict[str, dict[str, float]]:
    """Train every variant and judge it on simulated images of other contents.

    Parameters
    ----------
    data : TrainingImages
    folder : path
        Gets a folder per variant.
    recipe : Recipe
    n_judged : int
    resume, show, hardware, tensorboard : see `train_despeckling`

    Returns
    -------
    dict
        name -> ssim, psnr [dB], homogeneity; the first is the input's.
    """
    noisy, clean = judged_images(n_judged)
    rows = {"input": _judged(noisy, clean)}
    for number, (name, chosen) in enumerate(variants(recipe).items()):
        place = Path(folder) / f"variant-{number}"
        network = train_despeckling(
            data, place, chosen, resume=resume, show=show, hardware=hardware, tensorboard=tensorboard
        )
        rows[name] = _judged(despeckled(network, noisy, chosen.passes), clean)
    return rows


def despeckled(network: Speckle2Self, images: NDArray[np.float32], passes: int = 1) -> NDArray[np.float32]:
    """Run a network as `Despeckler` runs its file: stretched, clipped, put back; sizes must fit the network."""
    within, low, spread = stretch(images, range_of(network.settings))
    found = torch.from_numpy((within - low) / spread)[:, None]
    with torch.no_grad():
        for _ in range(passes):
            found = network(found).clamp(0, 1)
    return np.asarray(low + spread * found[:, 0].numpy() + (images - within), np.float32)


def _judged(found: NDArray[np.float32], clean: NDArray[np.float32]) -> dict[str, float]:
    return {"ssim": ssim(found, clean), "psnr": psnr(found, clean), "homogeneity": homogeneity(found)}
