"""The command line: parse, read, plan, write. Lengths are in millimetres here, and only here."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import sonoray

from . import autofocus, beamform, born, export, inspect, restoration, tomography, train, view


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sonoray", description=sonoray.__doc__)
    parser.add_argument("--version", action="version", version=f"sonoray {sonoray.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (beamform, autofocus, tomography, born, restoration, train, export, inspect, view):
        module.add(commands)
    return parser


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"sonoray: note: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for an error with its reason, 130 when interrupted."""
    args = _parser().parse_args(argv)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.showwarning = _note
            args.run(args)
    except (sonoray.Error, OSError, MemoryError) as error:
        sys.stderr.write(f"sonoray: {error or type(error).__name__}\n")
        return 1
    except KeyboardInterrupt as stop:
        line = "\n" if sys.stderr.isatty() else ""  # a live line may stand there
        sys.stderr.write(f"{line}sonoray: interrupted{f'; {stop}' if str(stop) else ''}\n")
        return 130
    return 0
