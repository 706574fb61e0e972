"""sonoray tomography: a sound-speed map from transmission data."""

import argparse
import time
from pathlib import Path
from typing import Any

import sonoray
from sonoray.inversion.settings import KERNELS, RAYS, SOLVERS, TravelTimeSettings
from sonoray.inversion.stacks import Slice
from sonoray.inversion.travel_time import TravelTimeReconstruction, reconstruct_travel_time
from sonoray.io import write

from . import _reconstruction as common
from . import born

_SETTINGS = {  # option: help
    "outer_iterations": "linearisations (default: 4)",
    "inner_iterations": "of the solver in each linearisation (default: 10)",
    "reweightings": "of the total variation in each linearisation (default: 5)",
    "regularization": "weight of the total variation, s (default: 3e-11)",
    "huber": "residuals beyond this many standard deviations count linearly; 0: never (default: 5)",
    "relaxation": "of SART (default: 1)",
    "minimum_distance": "shortest pairs, as a fraction of the longest (default: 0.39)",
    "lowest": "sound speed allowed, m/s (default: 1350)",
    "highest": "sound speed allowed, m/s (default: 1700)",
}
_WAVEFORMS = ("frequencies", "method", "weighting", "absorption", "exponent")  # of no use without --then-born


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("tomography", help="make a sound-speed map from travel times through an object")
    common.add_input(form)
    form.add_argument("--spacing-mm", type=float, help="of the map (default: a 110th of the aperture)")
    form.add_argument("--published", action="store_true", help="settings of the r-Wave toolbox, to compare with")
    form.add_argument("--kernel", choices=KERNELS, help="what a travel time feels (default: finite_frequency)")
    form.add_argument("--rays", choices=RAYS, help="(default: bent)")
    form.add_argument("--solver", choices=SOLVERS, help="(default: total_variation)")
    form.add_argument("--picker", help="method of picking first arrivals (default: onset_match)")
    form.add_argument("--smoothing-mm", type=float, help="blur of the map for rays (default: 2)")
    defaults = TravelTimeSettings()
    for name, text in _SETTINGS.items():
        form.add_argument(f"--{name.replace('_', '-')}", type=type(getattr(defaults, name)), help=text)
    after = form.add_argument_group("the waveforms, too")
    after.add_argument("--then-born", action="store_true",
                       help="go on from the travel-time map as `sonoray born` does: the chain from raw traces; "
                       "--spacing-mm and --published hold for it, too")  # fmt: skip
    born.add_settings(after)
    common.add_output(form)
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, reconstruct, write."""
    if args.then_born:
        inputs = (args.water, args.truth, Path(args.absorption))
        common.run(args, travel_time_job, inputs, (common.TRAVEL_TIME,))
        return
    given = [n for n in _WAVEFORMS if getattr(args, n) not in (None, "none")]
    if given:
        raise sonoray.ArgumentError(f"{given[0]}: expected --then-born with it; travel times alone do not use it")
    common.run(args, travel_time_job, (args.water, args.truth))


def travel_time_job(source: Slice, output: Path, options: dict[str, Any]) -> dict[str, Any]:
    """One slice, from its traces to its files; the ray-Born stage, too, where it is wanted."""
    begin = time.perf_counter()
    data, water = source.read(), common.water_of(source, options)
    settings = _settings(options)
    first, last = common.checkpoints(output)
    report = common.Reporter(output, options, "linearisation", settings.outer_iterations, bar=True)
    result = reconstruct_travel_time(
        data,
        water,
        pairs=common.every_nth(options, data, settings.far_enough),
        sound_speed=options["sound_speed"],
        spacing=None if options["then_born"] else common.millimetres(options, "spacing_mm"),
        settings=settings,
        truth=common.truth_of(options),
        checkpoint=first if options["then_born"] else last,
        resume=options["resume"],
        report=report,
        progress=options["live"],
        device=options["device"],
    )
    figures: dict[str, Any]
    if options["then_born"]:
        write(common.travel_time_output(output), result.medium)
        more = {"travel_time": {"settings": result.settings.as_dict(), "history": result.history}}
        figures = born.reconstruct(data, water, result.medium, output, options, begin, more)
    else:
        figures = common.finish(output, options, result, begin, _picked(result))
    for path in (first, last):
        path.unlink(missing_ok=True)
    return figures


def _picked(result: TravelTimeReconstruction) -> dict[str, Any]:
    return {"picks": result.picks.counts()}


def _settings(options: dict[str, Any]) -> TravelTimeSettings:
    given = {n: options[n] for n in (*_SETTINGS, "kernel", "rays", "solver", "picker")}
    given["smoothing"] = common.millimetres(options, "smoothing_mm")
    changes = {name: value for name, value in given.items() if value is not None}
    return TravelTimeSettings.published(**changes) if options["published"] else TravelTimeSettings(**changes)
