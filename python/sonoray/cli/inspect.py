"""sonoray info, data and demo: what a file holds, the public data sets, the report."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sonoray import datasets
from sonoray.errors import ArgumentError
from sonoray.io import read, summary
from sonoray.io.registry import identify, opened


def add(commands: Any) -> None:
    """Add the commands' arguments."""
    info = commands.add_parser("info", help="say what a file holds")
    info.add_argument("file", type=Path, help="channel data, a medium or an image, in any format that sonoray reads")
    info.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the format's reader (docs/formats.md), for what the file does not say: --option line_spacing=3e-4",
    )
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=_info)

    data = commands.add_parser("data", help="public data sets")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="names, sizes, licences, and which are here")
    get = actions.add_parser("get", help="download one into the cache, or say where it is")
    get.add_argument("name")
    data.set_defaults(run=_data)

    demo = commands.add_parser("demo", help="beamform real and simulated data and write an HTML report")
    demo.add_argument("-o", "--output", type=Path, default=Path("report"), help="folder (default: report)")
    demo.add_argument("--offline", action="store_true", help="never download, use what is here")
    demo.add_argument("--case", action="append", help="only this case (may be repeated)")
    demo.set_defaults(run=_demo)


def _info(args: argparse.Namespace) -> None:
    with opened(args.file) as file:
        name = identify(file).name
    facts = {"format": name, **summary(read(args.file, **dict(map(_option, args.option))))}
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    lines = dict(_flat(facts))
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value being JSON, or text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ArgumentError(f"--option: expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Facts without nesting: probe.kind, probe.pitch, ..."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, f"{value:.6g}" if isinstance(value, float) else value


def _data(args: argparse.Namespace) -> None:
    if args.action == "get":
        print(datasets.get(args.name))
        return
    for entry in datasets.available():
        here = datasets.find(entry.name)
        size = f"{entry.size / 1e6:.1f} MB"
        print(f"{entry.name:<32} {size:>9}  {entry.licence:<20} {entry.description}")
        if here:
            print(f"{'':<32} {here}")


def _demo(args: argparse.Namespace) -> None:
    from sonoray.demo.report import write_report

    print(write_report(args.output, offline=args.offline, only=args.case))
