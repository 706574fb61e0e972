"""What the parts of the recipe are worth: targets, and families of degradation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...simulation.degradations import DegradationModel
from .data import DEGRADATIONS, low_rank_pairs, phantom_pairs, speckled_pairs
from .recipe import CONDITIONS, EnhancementRecipe, apply, degraded_pairs, psnr_gain, train_enhancer, training_sources

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "targets: natural images only": {"targets": "natural"},
    "targets: raw ultrasound": {"targets": "raw"},
    "degradations: as published": {"degradations": DegradationModel()},
    "degradations: Gaussian only": {"degradations": replace(DEGRADATIONS, families=("gaussian",), light_chance=0.0)},
    "degradations: Fourier only": {"degradations": replace(DEGRADATIONS, families=("fourier",))},
    "without image residual": {"image_residual": False},
}
_SEED = 2_000_003


def ablate(
    folder: Any,
    images: Sequence[Any],
    cache: Path,
    recipe: EnhancementRecipe,
    *,
    names: Sequence[str] = tuple(VARIANTS),
    judged_on: Sequence[Any] = (),
    **options: Any,
) -> dict[str, dict[str, float]]:
    """Train every variant as long, and judge it on images that none was trained on.

    Parameters
    ----------
    folder : path
        One folder per variant below it.
    images : sequence of path
        B-mode pictures for training, see `training_sources`.
    cache : Path
        Of low-rank targets.
    recipe : EnhancementRecipe
        What the variants change.
    names : sequence of str
        Of `VARIANTS`.
    judged_on : sequence of path
        B-mode pictures to judge on beside the simulated ones.
    **options
        Of `train_enhancer`: seed, resume, show, hardware, tensorboard.

    Returns
    -------
    dict
        Variant -> condition -> mean rise of the PSNR [dB]: on phantoms under each of `CONDITIONS`, and on ultrasound
        towards its low-rank target.
    """
    phantoms = [pair[0] for pair in phantom_pairs(4, _SEED, size=128)]
    ultrasound = speckled_pairs(2, _SEED, cache, size=128)
    if judged_on:
        from ..pictures import images_in

        ultrasound += low_rank_pairs(images_in(judged_on), cache)
    sets = {name: degraded_pairs(phantoms, {name: degrade}, _SEED) for name, degrade in CONDITIONS.items()}
    sets["ultrasound to low rank"] = [(pair[0], pair[1]) for pair in ultrasound]
    rows = {}
    for name in names:
        changes = dict(VARIANTS[name])
        if "image_residual" in changes:
            changes["network"] = replace(recipe.network, image_residual=changes.pop("image_residual"))
        variant = recipe.with_(**changes)
        target = Path(folder) / name.replace(": ", "-").replace(" ", "-")
        network, _ = train_enhancer(target, training_sources(images, cache, variant), variant, **options)
        rows[name] = {what: psnr_gain(lambda x, net=network: apply(net, x), pairs) for what, pairs in sets.items()}  # type: ignore[misc]
    return rows
