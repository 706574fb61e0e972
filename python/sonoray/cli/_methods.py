"""Options of the commands that beamform: which method, and its settings."""

import argparse
from dataclasses import fields
from typing import Any

from sonoray.beamforming.adaptive_methods import METHODS, Method, adaptive_method
from sonoray.errors import ArgumentError

_SETTINGS = {  # option: (setting, type, unit)
    "--cutoff": ("cutoff", int, "spatial frequencies beside zero, cycles over the aperture"),
    "--gamma": ("gamma", float, "weight of the spread of phases, ratio"),
    "--power": ("power", float, "of the factor"),
    "--root": ("p", float, "p-th root of magnitudes"),
    "--subarray": ("subarray", float, "length over the active aperture, 0 to 1"),
    "--diagonal-loading": ("diagonal_loading", float, "over the mean of the covariance's diagonal"),
    "--temporal-samples": ("temporal_samples", int, "samples before and after that also count"),
    "--threshold": ("threshold", float, "least eigenvalue over the largest, 0 to 1"),
    "--max-lag": ("max_lag", float, "largest distance of elements over the active aperture, 0 to 1"),
}


def add_method(form: argparse.ArgumentParser) -> None:
    """Add ``--method``, its settings and what it compares."""
    group = form.add_argument_group("method", "how the delayed signals of a point become its value")
    group.add_argument("--method", choices=["das", *METHODS], default="das", help="das: delay and sum (default)")
    group.add_argument(
        "--over",
        choices=["receive", "transmit"],
        default="receive",
        help="signals of elements or transmits (default: receive)",
    )
    for option, (setting, kind, unit) in _SETTINGS.items():
        defaults = {m: _default(c, setting) for m, c in METHODS.items() if _default(c, setting) is not None}
        shown = ", ".join(f"{m}: {value}" for m, value in defaults.items())
        group.add_argument(
            option, dest=f"method_{setting}", type=kind, metavar="N" if kind is int else "X",
            help=f"{unit} (default: {shown})",
        )  # fmt: skip


def method_of(args: argparse.Namespace) -> str | Method:
    """The method that the arguments ask for."""
    given = {s: getattr(args, f"method_{s}") for s, _, _ in _SETTINGS.values()}
    given = {setting: value for setting, value in given.items() if value is not None}
    if args.method != "das":
        return adaptive_method(args.method, **given)
    if given:
        raise ArgumentError(f"{next(iter(given))}: expected a --method that has this setting, got 'das'")
    return "das"


def finds_weights(args: argparse.Namespace) -> bool:
    """Whether the method takes no window."""
    return args.method != "das" and args.over == "receive" and METHODS[args.method].finds_weights


def _default(method: type[Method], setting: str) -> Any:
    return next((f.default for f in fields(method) if f.name == setting), None)
