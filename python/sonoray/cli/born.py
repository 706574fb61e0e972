"""sonoray born: a sound-speed map from whole waveforms, by ray-Born inversion."""

import argparse
import re
import time
from pathlib import Path
from typing import Any

import sonoray
from sonoray.inversion.born import WEIGHTINGS
from sonoray.inversion.born_settings import METHODS, RayBornSettings
from sonoray.inversion.gains import KINDS
from sonoray.inversion.ray_born import reconstruct_ray_born
from sonoray.inversion.stacks import Slice

from . import _reconstruction as common
from ._files import medium_of

_COUNT = 60  # frequencies, as in the settings' default
_SETTINGS = {  # option: help
    "frequencies_per_set": "consecutive ones that share a linearisation (default: 2)",
    "inner_iterations": "of conjugate gradients in each set (default: 12)",
    "step": "of single_step (default: 0.12)",
    "regularization": "weight of the total variation, 1/m (default: 0.012)",
    "smoothing": "blur of the map for rays, as a fraction of the Fresnel zone (default: 0.28)",
    "minimum_distance": "shortest pairs, as a fraction of the radius (default: 0.785)",
    "outliers": "fraction of the largest data left out (default: 0)",
    "lowest": "sound speed allowed, m/s (default: 1350)",
    "highest": "sound speed allowed, m/s (default: 1700)",
}


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("born", help="make a sound-speed map from whole waveforms (ray-Born inversion)")
    common.add_input(form)
    form.add_argument("--initial", type=Path, metavar="MAP",
                      help="map to start from, such as that of `sonoray tomography`; of several slices one for all, "
                      "or a folder of maps with their names (default: made from travel times)")  # fmt: skip
    form.add_argument("--spacing-mm", type=float, help="of the map (default: a 220th of the aperture)")
    form.add_argument("--published", action="store_true", help="settings of the r-Wave toolbox, to compare with")
    add_settings(form)
    form.add_argument("--gain", choices=KINDS, help="of the elements, fitted at every frequency (default: rank_one)")
    defaults = RayBornSettings()
    for name, text in _SETTINGS.items():
        form.add_argument(f"--{name.replace('_', '-')}", type=type(getattr(defaults, name)), help=text)
    common.add_output(form)
    form.set_defaults(run=run)


def add_settings(form: Any) -> None:
    """Arguments that `sonoray tomography --then-born` takes, too."""
    form.add_argument("--frequencies", type=_frequencies, metavar="FIRST:LAST[:N]",
                      help="Hz, such as 350e3:950e3:140 (default: 60 over the band that holds energy)")  # fmt: skip
    form.add_argument("--method", choices=METHODS, help="of the update (default: hessian_free)")
    form.add_argument("--weighting", choices=WEIGHTINGS, help="of pairs of rays in single_step (default: rwave)")
    form.add_argument("--absorption", metavar="WHAT", default="none",
                      help="none, estimated, a number [Np/m at 1 MHz] for all but water, or a map that has an "
                      "absorption (default: none)")  # fmt: skip
    form.add_argument("--exponent", type=float, help="power of the absorption's law (default: 1.1)")


def run(args: argparse.Namespace) -> None:
    """Read, reconstruct, write."""
    common.run(args, born_job, (args.water, args.truth, args.initial, Path(args.absorption)))


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
    settings = _settings(options)
    report = common.Reporter(output, options, "set")
    if initial is not None:
        report.picture(initial, "initial")
    result = reconstruct_ray_born(
        data,
        water,
        initial=initial,
        pairs=common.every_nth(options, data),
        sound_speed=options["sound_speed"],
        spacing=common.millimetres(options, "spacing_mm"),
        settings=settings,
        absorption=_absorption(options["absorption"]),
        truth=common.truth_of(options),
        checkpoint=common.checkpoints(output)[1],
        resume=options["resume"],
        report=report,
        progress=False,  # the reporter's line says more
        device=options["device"],
    )
    return common.finish(output, options, result, begin, more)


def _frequencies(text: str) -> tuple[float, float, int]:
    """First, last [Hz] and how many."""
    number = r"\d*\.?\d+(?:[eE][+-]?\d+)?"
    match = re.fullmatch(rf"({number}):({number})(?::(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected FIRST:LAST or FIRST:LAST:N [Hz], such as 350e3:950e3, got {text!r}")
    return float(match[1]), float(match[2]), int(match[3] or _COUNT)


def _absorption(what: str) -> sonoray.Medium | float | None:
    """What is known of it."""
    if what in ("none", "estimated"):
        return None
    try:
        return float(what)
    except ValueError:
        return medium_of(Path(what))


def _settings(options: dict[str, Any]) -> RayBornSettings:
    names = ("frequencies", "method", "weighting", "gain", "exponent", *_SETTINGS)
    if "then_born" in options:  # the others there are those of travel times
        names = ("frequencies", "method", "weighting", "exponent", "lowest", "highest")
    changes = {n: options[n] for n in names if options[n] is not None}
    what = options["absorption"]
    changes["absorption"] = what if what in ("none", "estimated") else "known"
    return RayBornSettings.published(**changes) if options["published"] else RayBornSettings(**changes)
