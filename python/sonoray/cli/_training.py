"""What the train commands share: where they run, whether a folder may be used again, and who reports."""

import argparse
import json
from collections.abc import Iterable
from typing import Any

import sonoray


def add_reuse(form: argparse.ArgumentParser) -> None:
    """Add what may happen to a run that is in OUT already."""
    either = form.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on from the checkpoints in OUT")
    either.add_argument("--overwrite", action="store_true", help="train anew in place of what OUT holds")


def add_running(form: argparse.ArgumentParser) -> None:
    """Add where a run computes and what it prints."""
    form.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="(default: cpu)")
    form.add_argument("--devices", type=int, default=1, metavar="N", help="processes, one per GPU (default: 1)")
    form.add_argument(
        "--precision", choices=["32-true", "bf16-mixed", "16-mixed"], default="32-true", help="(default: 32-true)"
    )
    form.add_argument("--threads", type=int, default=1, help="of PyTorch (default: 1)")
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


def hardware_of(args: argparse.Namespace) -> Any:
    """What --device, --devices and --precision ask for."""
    from sonoray.training.hardware import Hardware

    return Hardware(args.device, n_devices=args.devices, precision=args.precision)


def report(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, once for all processes."""
    from sonoray.training.hardware import is_first

    if is_first():
        print(json.dumps(figures, indent=2) if as_json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
