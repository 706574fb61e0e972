"""sonoray train: the networks; `sonoray train sound-speed` is here, the others in modules of their own."""

import argparse
import time
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import count
from sonoray.training.requirements import use_torch

from . import train_despeckle, train_enhance, train_translate
from ._training import add_reporting, add_reuse, check_reuse, report, running_options


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("train", help="train a network (extra: train)")
    kinds = form.add_subparsers(dest="network", required=True, metavar="NETWORK")
    speed = kinds.add_parser("sound-speed", help="from channel data to a sound-speed map")
    speed.add_argument(
        "--mode", choices=["cmp", "upstream"], default="cmp", help="ours on moveouts, or the published pair (cmp)"
    )
    speed.add_argument("--phase", choices=["1", "2", "all"], default="all", help="(default: all)")
    speed.add_argument("--samples", type=int, nargs="+", metavar="N", help="examples of phase 1 and of phase 2")
    speed.add_argument("--epochs", type=int, nargs="+", metavar="N", help="of phase 1 and of phase 2")
    speed.add_argument("--validation", type=int, metavar="N", help="examples to validate on")
    speed.add_argument("-o", "--out", type=Path, required=True, help="folder for models, checkpoints and logs")
    speed.add_argument("--dataset", type=Path, help="folder of the training data, made as needed (default: OUT/data)")
    add_reuse(speed)
    speed.add_argument("--seed", type=int, help="(default: 0; published ones for upstream)")
    speed.add_argument("--quick", action="store_true", help="a minute's run on next to nothing, to see that it works")
    speed.add_argument("--permute-targets", action="store_true", help="cmp: negative control, maps of other examples")
    add_reporting(speed)
    speed.set_defaults(run=run)
    for module in (train_despeckle, train_enhance, train_translate):
        module.add(kinds)


def run(args: argparse.Namespace) -> None:
    """Train, export."""
    use_torch(args.threads)
    from sonoray.training.sound_speed.recipe import DEFAULTS, QUICK, Amounts

    if args.permute_targets and args.mode != "cmp":
        raise sonoray.ArgumentError("permute-targets: expected mode cmp, got upstream")
    phases = ("1", "2") if args.phase == "all" else (args.phase,)
    check_reuse(args, [f"{args.mode}-{phase}.pt" for phase in phases])
    base = (QUICK if args.quick else DEFAULTS)[args.mode]
    amounts = Amounts(
        _two("samples", args.samples, base.samples),
        _two("epochs", args.epochs, base.epochs),
        base.validation if args.validation is None else count("validation", args.validation, 1, 1_000_000),
    )
    options = {"phase": args.phase, **running_options(args)}
    begin = time.perf_counter()
    figures = (_moveouts if args.mode == "cmp" else _published)(args, amounts, options)
    figures = {"mode": args.mode, **figures, "seconds": round(time.perf_counter() - begin, 1)}
    report(figures, as_json=args.json)


def _two(name: str, given: list[int] | None, default: tuple[int, int]) -> tuple[int, int]:
    if given is None:
        return default
    if len(given) > 2:
        raise sonoray.ArgumentError(f"{name}: expected one or two numbers, got {len(given)}")
    return count(name, given[0], 1, 100_000_000), count(name, given[-1], 1, 100_000_000)


def _moveouts(args: argparse.Namespace, amounts: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.parameters import n_parameters
    from sonoray.training.sound_speed.data import Dataset
    from sonoray.training.sound_speed.export import export_moveouts
    from sonoray.training.sound_speed.recipe import probe_spec, train_moveouts

    dataset = Dataset(args.dataset or args.out / "data")
    network, error = train_moveouts(
        dataset, args.out, amounts, seed=args.seed or 0, permute_targets=args.permute_targets, **options
    )
    target = args.out / "sound_speed.onnx"
    spec = {
        "name": "sonoray sound speed, cmp",
        "training_data": dataset.digest,
        "licence": "Apache-2.0",
        "description": "Sound-speed map from moveouts of multistatic I/Q; trained on simulated echoes. Research only.",
        **probe_spec(dataset.acquisition),
    }
    export_moveouts(network, dataset.acquisition.settings, target, spec)
    return {
        "model": str(target),
        "parameters": n_parameters(network),
        "validation_mean_absolute_error_m_per_s": round(error, 2),
    }


def _published(args: argparse.Namespace, amounts: Any, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.parameters import n_parameters
    from sonoray.training.sound_speed.data import Dataset
    from sonoray.training.sound_speed.export import export_upstream
    from sonoray.training.sound_speed.recipe import probe_spec, train_upstream

    dataset = Dataset(args.dataset or args.out / "data")
    autoencoder, head, rms, error = train_upstream(dataset, args.out, amounts, seed=args.seed, **options)
    names = args.out / "sound_speed_encoder.onnx", args.out / "sound_speed_head.onnx"
    s = dataset.acquisition.settings
    spec: dict[str, Any] = {"name": "sonoray sound speed, published pair", "training_data": dataset.digest}
    spec |= probe_spec(dataset.acquisition)
    extent = (-s.half_width, s.half_width, 0.0, s.depth)
    export_upstream(autoencoder, head, names[0], names[1], spec, rms=rms, extent=extent)
    return {
        "models": ", ".join(map(str, names)),
        "parameters": n_parameters(autoencoder.encoder) + n_parameters(head),
        "last_evaluation": error,
    }
