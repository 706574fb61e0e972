"""sonoray export: from a training folder to an ONNX file that runs without PyTorch."""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import sonoray
from sonoray.training.requirements import use_torch

from ._files import check_output

_DESCRIPTION = "model.json"
_PACKAGES = {"despeckling": "despeckling", "enhancement": "enhancement", "color flow translation": "color_flow"}


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("export", help="write a trained network as ONNX (extra: train)")
    form.add_argument("checkpoint", type=Path, help="folder of sonoray train despeckle, enhance or translate, or the "
                      "checkpoint in it")  # fmt: skip
    form.add_argument("-o", "--output", type=Path, required=True, help="an .onnx file")
    form.add_argument("--passes", type=int, metavar="N",
                      help="of a despeckling network (default: as it was trained for)")  # fmt: skip
    form.add_argument("--json", action="store_true", help="print what the file says of itself as JSON")
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Rebuild the network from its description and weights, write it, compare both."""
    folder = args.checkpoint if args.checkpoint.is_dir() else args.checkpoint.parent
    check_output(args.output, (".onnx",), ())
    task = _task(folder)
    if args.passes is not None and task != "despeckling":
        raise sonoray.ArgumentError(f"passes: expected none for {task}, got {args.passes}")
    use_torch()
    exporting: Any = importlib.import_module(f"sonoray.training.{_PACKAGES[task]}.export")
    options = {} if args.passes is None else {"passes": args.passes}
    spec = exporting.export_folder(folder, args.output, **options)
    figures = {"model": str(args.output), "name": spec.name, "task": spec.task, "licence": spec.licence,
               "opset": spec.opset, "training_data": spec.training_data, "digest": spec.digest}  # fmt: skip
    print(json.dumps(figures, indent=2) if args.json else f"{args.output}: {spec.name}, SHA-256 {spec.digest}")


def _task(folder: Path) -> str:
    path = folder / _DESCRIPTION
    try:
        task = json.loads(path.read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        raise sonoray.FormatError(f"{folder}: expected a training folder with {_DESCRIPTION}, found none") from None
    if task not in _PACKAGES:
        raise sonoray.FormatError(f"{path}: expected one of the tasks {list(_PACKAGES)}, got {task!r}")
    return str(task)
