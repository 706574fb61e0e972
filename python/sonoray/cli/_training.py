"""What the train commands share: where they run, whether a folder may be used again, and who reports."""

import argparse
import json
from collections.abc import Iterable
from typing import Any

import sonoray
from sonoray._checks import count


def add_reuse(form: argparse.ArgumentParser) -> None:
    """Add what may happen to a run that is in OUT already."""
    either = form.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on from the checkpoints in OUT")
    either.add_argument("--overwrite", action="store_true", help="train anew in place of what OUT holds")


def add_running(form: argparse.ArgumentParser) -> None:
    """Add where a run computes and what it writes about itself."""
    form.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="(default: cpu)")
    form.add_argument("--devices", type=int, default=1, metavar="N", help="processes, one per GPU (default: 1)")
    form.add_argument(
        "--precision", choices=["32-true", "bf16-mixed", "16-mixed"], default="32-true", help="(default: 32-true)"
    )
    add_reporting(form)


def add_reporting(form: argparse.ArgumentParser) -> None:
    """Add PyTorch's threads and what a run writes about itself."""
    form.add_argument("--threads", type=int, default=1, help="of PyTorch (default: 1)")
    form.add_argument("--tensorboard", action="store_true", help="log to OUT/tensorboard, too (extra: tensorboard)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")


def check_reuse(args: argparse.Namespace, patterns: Iterable[str]) -> None:
    """Refuse, before any work, to replace checkpoints unless that is wanted."""
    if args.out.exists() and not args.out.is_dir():
        raise sonoray.ArgumentError(f"out: expected a folder, got the file {args.out}")
    if args.resume or args.overwrite:
        return
    for pattern in patterns:
        for path in sorted(args.out.glob(pattern)):
            raise sonoray.ArgumentError(
                f"out: expected a folder without a run, found {path}; go on with --resume or replace it with "
                "--overwrite"
            )


def check_modes(args: argparse.Namespace) -> None:
    """Refuse modes that exclude each other."""
    for name in ("quick", "ablate"):
        if args.published and getattr(args, name):
            raise sonoray.ArgumentError(f"published: expected a run of its own, got {name}, too")


def check_start(args: argparse.Namespace, checkpoint: str) -> None:
    """Refuse a --start without that checkpoint, or where nothing would begin with it."""
    if args.start is None:
        return
    if args.ablate or not (args.start / checkpoint).is_file():
        raise sonoray.ArgumentError(f"start: expected a folder with {checkpoint}, and no --ablate, got {args.start}")
    if args.out.exists() and args.start.samefile(args.out):
        raise sonoray.ArgumentError(f"start: expected another folder than out, got {args.out} for both")


def running_options(args: argparse.Namespace) -> dict[str, Any]:
    """The recipes' options for how a run goes; refuses, before any work, what is not there."""
    from sonoray.training.hardware import Hardware
    from sonoray.training.logs import summary_writer
    from sonoray.training.players import MOST_SEED

    if args.seed is not None:
        count("seed", args.seed, 0, MOST_SEED)
    if args.tensorboard:
        summary_writer()
    options: dict[str, Any] = {"resume": args.resume, "show": not args.quiet, "tensorboard": args.tensorboard}
    if hasattr(args, "device"):
        options["hardware"] = Hardware(args.device, n_devices=args.devices, precision=args.precision)
        options["hardware"].check()
    return options


def report(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, once for all processes."""
    from sonoray.training.hardware import is_first

    if is_first():
        print(json.dumps(figures, indent=2) if as_json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
