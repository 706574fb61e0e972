"""sonoray born: a sound-speed map from whole waveforms, by ray-Born inversion."""

import argparse
import re
import time
from pathlib import Path
from typing import Any

import sonoray
from sonoray.inversion.stacks import Slice

from . import _reconstruction as common
from ._files import medium_of

METHODS = ("hessian_free", "gauss_newton", "gradient")
WEIGHTINGS = ("uniform", "rwave", "beylkin")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("born", help="make a sound-speed map from whole waveforms (ray-Born inversion)")
    common.add_input(form)
    form.add_argument("--initial", type=Path, metavar="MAP",
                      help="map to start from, such as that of `sonoray tomography`; of several slices one for all, "
                      "or a folder of maps with their names (default: water)")  # fmt: skip
    form.add_argument("--spacing-mm", type=float, help="of the map")
    form.add_argument("--published", action="store_true", help="settings of the r-Wave toolbox, to compare with")
    add_settings(form)
    common.add_output(form)
    form.set_defaults(run=run)


def add_settings(form: Any) -> None:
    """Arguments that `sonoray tomography --then-born` takes, too."""
    form.add_argument("--frequencies", type=_frequencies, metavar="FIRST:LAST[:N]", help="Hz, such as 350e3:950e3:140")
    form.add_argument("--method", choices=METHODS, help="of the update")
    form.add_argument("--weighting", choices=WEIGHTINGS, help="of pairs of rays in the update")


def run(args: argparse.Namespace) -> None:
    """Read, reconstruct, write."""
    inputs = (args.water, args.truth, None if args.initial is None or args.initial.is_dir() else args.initial)
    common.run(args, born_job, inputs)


def born_job(source: Slice, output: Path, options: dict[str, Any]) -> dict[str, Any]:
    """One slice, from its traces and a map to start from to its files."""
    begin = time.perf_counter()
    named = options["initial"]
    initial = medium_of(named / f"{source.name}.h5" if named is not None and named.is_dir() else named)
    figures = reconstruct(source.read(), common.water_of(source, options), initial, output, options, begin)
    common.checkpoints(output)[1].unlink(missing_ok=True)
    return figures


def reconstruct(
    data: sonoray.ChannelData,
    water: sonoray.ChannelData | None,
    initial: sonoray.Medium | None,
    output: Path,
    options: dict[str, Any],
    begin: float,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The ray-Born stage and its files; returns its figures. The checkpoint stays."""
    from sonoray.inversion.ray_born import reconstruct_ray_born

    settings = _settings(options)
    report = common.Reporter(output, options, "frequency set", settings.n_sets)
    if initial is not None:
        report.picture(initial, "initial")
    result = reconstruct_ray_born(
        data,
        water,
        initial=initial,
        pairs=common.every_nth(options, data, settings.far_enough),
        sound_speed=options["sound_speed"],
        spacing=common.millimetres(options, "spacing_mm"),
        settings=settings,
        truth=common.truth_of(options),
        checkpoint=common.checkpoints(output)[1],
        resume=options["resume"],
        report=report,
        progress=False,  # the reporter's line says more
        device=options["device"],
    )
    return common.finish(output, options, result, begin, more)


def _frequencies(text: str) -> tuple[float, float, int | None]:
    """First, last [Hz] and how many."""
    number = r"\d*\.?\d+(?:[eE][+-]?\d+)?"
    match = re.fullmatch(rf"({number}):({number})(?::(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected FIRST:LAST or FIRST:LAST:N [Hz], such as 350e3:950e3, got {text!r}")
    return float(match[1]), float(match[2]), int(match[3]) if match[3] else None


def _settings(options: dict[str, Any]) -> Any:
    from sonoray.inversion.born_settings import RayBornSettings

    changes: dict[str, Any] = {n: options[n] for n in ("method", "weighting") if options[n] is not None}
    if options["frequencies"] is not None:
        changes["frequencies"] = options["frequencies"]
    return RayBornSettings.published(**changes) if options["published"] else RayBornSettings(**changes)
