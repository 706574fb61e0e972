"""sonoray train enhance: a network for blind enhancement."""

import argparse
import time
from pathlib import Path
from typing import Any

from sonoray.training.requirements import use_torch

from ._training import add_reuse, add_running, check_modes, check_reuse, check_start, report, running_options


def add(kinds: Any) -> None:
    """Add the command's arguments."""
    form = kinds.add_parser("enhance", help="from spoilt B-mode images to sharp ones without noise")
    form.add_argument(
        "--images", type=Path, nargs="+", default=[], metavar="PATH",
        help="B-mode pictures or folders of them (default: simulated ones alone)",
    )  # fmt: skip
    form.add_argument("-o", "--out", type=Path, required=True, help="folder for the model, the checkpoint and the log")
    form.add_argument("--targets-cache", type=Path, metavar="FOLDER", help="of low-rank targets (default: OUT/targets)")
    form.add_argument("--steps", type=int, metavar="N", help="updates (default: 5000; as published 1301250)")
    form.add_argument("--batch", type=int, metavar="N", help="patches per update (default: 8; as published 16)")
    form.add_argument("--seed", type=int, default=0, help="(default: 0)")
    form.add_argument("--start", type=Path, metavar="FOLDER", help="begin with the weights of an earlier run")
    add_reuse(form)
    form.add_argument("--published", action="store_true", help="network, degradations and schedule as published")
    form.add_argument("--quick", action="store_true", help="a minute's run on next to nothing, to see that it works")
    form.add_argument("--ablate", action="store_true", help="compare targets and degradations instead, short runs")
    add_running(form)
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train and export, or compare."""
    use_torch(args.threads)
    from sonoray.training.enhancement.recipe import PUBLISHED_RECIPE, QUICK, EnhancementRecipe

    check_modes(args)
    recipe = PUBLISHED_RECIPE if args.published else QUICK if args.quick else EnhancementRecipe()
    given = {name: getattr(args, name) for name in ("steps", "batch") if getattr(args, name) is not None}
    check_reuse(args, ["*/enhance.pt" if args.ablate else "enhance.pt"])
    check_start(args, "enhance.pt")
    recipe, options = recipe.with_(**given), running_options(args)
    begin = time.perf_counter()
    figures = (_ablated if args.ablate else _trained)(args, recipe, options)
    figures |= {"seconds": round(time.perf_counter() - begin, 1)}
    report(figures, as_json=args.json)


def _trained(args: argparse.Namespace, recipe: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.enhancement.export import export_folder
    from sonoray.training.enhancement.recipe import train_enhancer, training_sources
    from sonoray.training.hardware import is_first
    from sonoray.training.parameters import n_parameters

    sources = training_sources(args.images, args.targets_cache or args.out / "targets", recipe, show=not args.quiet)
    network, gain = train_enhancer(args.out, sources, recipe, seed=args.seed, start=args.start, **options)
    target = args.out / "enhance.onnx"
    if is_first():
        export_folder(args.out, target)
    return {"model": str(target), "parameters": n_parameters(network), "tuning_psnr_gain_db": round(gain, 2)}


def _ablated(args: argparse.Namespace, recipe: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.enhancement.ablation import ablate

    cache = args.targets_cache or args.out / "targets"
    rows = ablate(args.out, args.images, cache, recipe, seed=args.seed, **options)
    return {
        name: ", ".join(f"{condition} {gain:+.2f} dB" for condition, gain in row.items()) for name, row in rows.items()
    }
