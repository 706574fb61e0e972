"""sonoray train despeckle: a despeckling network from noisy images alone."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import count
from sonoray.training.requirements import use_torch

from ._training import add_reuse, add_running, check_modes, check_reuse, check_start, report, running_options


def add(kinds: Any) -> None:
    """Add the command's arguments."""
    form = kinds.add_parser("despeckle", help="from noisy images alone to images without speckle (Speckle2Self)")
    form.add_argument("--images", type=Path, nargs="+", default=[], metavar="PATH", help="B-mode pictures or folders")
    form.add_argument("--every", type=int, default=1, metavar="N", help="take one picture or frame of N (default: 1)")
    form.add_argument("--subfolders", action="store_true", help="take the pictures in folders below, too")
    form.add_argument(
        "--simulated", type=int, metavar="N", help="noisy images to simulate beside them (default: 66 without --images)"
    )
    form.add_argument("-o", "--out", type=Path, required=True, help="folder for the model, checkpoint and log")
    form.add_argument("--steps", type=int, metavar="N", help="updates (default: 1500)")
    form.add_argument("--epochs", type=int, metavar="N", help="updates as passes over all images (as published: 5000)")
    form.add_argument("--batch", type=int, metavar="N", help="pieces per update (default: 6, as published 16)")
    form.add_argument("--rate", type=float, metavar="R", help="largest learning rate (default: 0.001)")
    form.add_argument("--passes", type=int, metavar="N", help="of the network when it is used (default: 1)")
    form.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")
    form.add_argument("--start", type=Path, metavar="FOLDER", help="begin with the weights of an earlier run")
    add_reuse(form)
    form.add_argument("--quick", action="store_true", help="a run on next to nothing, to see that it works")
    form.add_argument("--published", action="store_true", help="the published network and losses")
    form.add_argument("--ablate", action="store_true", help="compare scales and losses on simulated images instead")
    add_running(form)
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train and export, or compare."""
    use_torch(args.threads)
    from sonoray.training.despeckling.recipe import DEFAULT, PUBLISHED_EPOCHS, PUBLISHED_RECIPE, QUICK

    check_modes(args)
    recipe = PUBLISHED_RECIPE if args.published else QUICK if args.quick else DEFAULT
    given = {
        name: getattr(args, name) for name in ("steps", "batch", "rate", "passes") if getattr(args, name) is not None
    }
    recipe = replace(recipe, seed=args.seed, **given)
    check_reuse(args, ["*/despeckle.pt" if args.ablate else "despeckle.pt"])
    if args.epochs is not None and args.steps is not None:
        raise sonoray.ArgumentError("epochs: expected epochs or steps, got both")
    if args.published and args.steps is None and args.epochs is None:
        args.epochs = PUBLISHED_EPOCHS
    for name, least in (("epochs", 1), ("simulated", 0), ("every", 1)):
        if getattr(args, name) is not None:
            count(name, getattr(args, name), least)
    check_start(args, "despeckle.pt")
    options = running_options(args)
    begin = time.perf_counter()
    figures = (_ablated if args.ablate else _trained)(args, recipe, options)
    figures["seconds"] = round(time.perf_counter() - begin, 1)
    report(figures, as_json=args.json)


def _data(args: argparse.Namespace, separate: bool) -> Any:
    from sonoray.training.despeckling.data import TrainingImages, simulated_images
    from sonoray.training.pictures import images_in

    n = args.simulated if args.simulated is not None else 0 if args.images else 4 if args.quick else 66
    images = images_in(args.images, every=args.every, subfolders=args.subfolders)
    images += simulated_images(n, args.seed, 128 if args.quick else 256)
    return TrainingImages(images, separate=separate, show=not args.quiet, cache=args.out / "structure.npz")


def _trained(args: argparse.Namespace, recipe: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.despeckling.export import export_folder
    from sonoray.training.despeckling.recipe import train_despeckling
    from sonoray.training.hardware import is_first
    from sonoray.training.parameters import n_parameters

    data = _data(args, recipe.method != "published")
    recipe = recipe if args.epochs is None else recipe.for_epochs(args.epochs, len(data))
    network = train_despeckling(data, args.out, recipe, start=args.start, **options)
    target = args.out / "despeckle.onnx"
    if is_first():
        export_folder(args.out, target)
    return {"model": str(target), "parameters": n_parameters(*network.used), "images": len(data)}


def _ablated(args: argparse.Namespace, recipe: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.despeckling.ablation import ablate

    data = _data(args, True)
    recipe = recipe if args.epochs is None else recipe.for_epochs(args.epochs, len(data))
    rows = ablate(data, args.out, recipe, **options)
    return {name: ", ".join(f"{key} {value:.3f}" for key, value in row.items()) for name, row in rows.items()}
