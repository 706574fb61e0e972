"""Blind-spot networks to compare despeckling with: Noise2Void and Noise2Self, on our network, images and steps."""

from pathlib import Path

import torch
from torch.nn import functional

from sonoray.restoration.despeckling import Despeckler
from sonoray.training.despeckling.data import TrainingImages
from sonoray.training.despeckling.export import export_despeckling
from sonoray.training.despeckling.networks import Speckle2Self
from sonoray.training.despeckling.recipe import Recipe
from sonoray.training.loops import train


def noise2void_loss(network, data, recipe, rng):
    """2 % of the pixels get the value of a pixel within 2; the loss is there (Krull, Buchholz and Jug, CVPR 2019)."""
    image = torch.from_numpy(data.crops(rng, recipe.batch, recipe.crop))[:, None]
    chosen = torch.from_numpy((rng.random(image.shape) < 0.02).astype("float32"))
    moved = image.clone()
    offsets = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if (i, j) != (0, 0)]
    which = torch.from_numpy(rng.integers(0, len(offsets), image.shape))
    for k, offset in enumerate(offsets):
        moved = torch.where(which == k, torch.roll(image, offset, (2, 3)), moved)
    found = network(torch.where(chosen > 0, moved, image))
    return ((found - image) ** 2 * chosen).sum() / chosen.sum()


def noise2self_loss(network, data, recipe, rng):
    """One pixel of every 4 x 4 becomes the mean of its neighbours; the loss is there (Batson and Royer, ICML 2019)."""
    image = torch.from_numpy(data.crops(rng, recipe.batch, recipe.crop))[:, None]
    chosen = torch.zeros_like(image)
    chosen[:, :, rng.integers(4) :: 4, rng.integers(4) :: 4] = 1
    kernel = torch.tensor([[0.5, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.5]])[None, None] / 6
    around = functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode="reflect"), kernel)
    found = network(torch.where(chosen > 0, around, image))
    return ((found - image) ** 2 * chosen).sum() / chosen.sum()


BLIND_SPOT = {"Noise2Void": noise2void_loss, "Noise2Self": noise2self_loss}


def blind_spot_despeckler(name: str, data: TrainingImages, recipe: Recipe, folder: Path) -> Despeckler:
    """Train (or go on, or read what is finished) in ``folder/name`` and export, as ours is.

    The schedule is ours, too: rate, warm-up, running average of the weights. Only the full-scale encoder is used.
    """
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = Speckle2Self(recipe.network).to(memory_format=torch.channels_last)
    train(
        network,
        lambda rng: BLIND_SPOT[name](network, data, recipe, rng),
        recipe.schedule,
        place,
        name,
        seed=recipe.seed,
        resume=True,
        settings=f"{name} {recipe.to_dict()} {data.digest}",
    )
    target = place / f"{name}.onnx"
    export_despeckling(network, target, name=name, training_data=data.digest)
    return Despeckler(target, passes=1)
