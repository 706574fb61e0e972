"""sonoray tomography: a sound-speed map from transmission data."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sonoray
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.inversion.pairs import emitter_positions, pair_distances
from sonoray.inversion.settings import KERNELS, RAYS, SOLVERS, TravelTimeSettings
from sonoray.inversion.travel_time import TravelTimeReconstruction, reconstruct_travel_time
from sonoray.io import read, read_medium, write
from sonoray.io.writing import atomic

from ._files import channel_data, check_output

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


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("tomography", help="make a sound-speed map from travel times through an object")
    form.add_argument("file", type=Path, help="channel data of elements around the object, one firing at a time")
    form.add_argument("-o", "--output", type=Path, required=True, help="map: .h5; .json and .png are put beside it")
    form.add_argument("--water", type=Path, help="shots through water (default: those in the file, if it has any)")
    form.add_argument("--no-water", action="store_true", help="do without the file's shots through water")
    form.add_argument("--sound-speed", type=float, help="of the water, m/s (default: the file's)")
    form.add_argument("--spacing-mm", type=float, help="of the map (default: a 110th of the aperture)")
    form.add_argument("--tx-every", type=int, default=1, metavar="N", help="use every Nth transmit")
    form.add_argument("--rx-every", type=int, default=1, metavar="N", help="use every Nth receiver, from N // 2 on")
    form.add_argument("--published", action="store_true", help="settings of the r-Wave toolbox, to compare with")
    form.add_argument("--kernel", choices=KERNELS, help="what a travel time feels (default: finite_frequency)")
    form.add_argument("--rays", choices=RAYS, help="(default: bent)")
    form.add_argument("--solver", choices=SOLVERS, help="(default: total_variation)")
    form.add_argument("--picker", help="method of picking first arrivals (default: onset_match)")
    form.add_argument("--smoothing-mm", type=float, help="blur of the map for rays (default: 2)")
    defaults = TravelTimeSettings()
    for name, text in _SETTINGS.items():
        form.add_argument(f"--{name.replace('_', '-')}", type=type(getattr(defaults, name)), help=text)
    form.add_argument("--truth", type=Path, help="true map: print errors; the result does not depend on it")
    form.add_argument("--radius-mm", type=float, action="append", help="also errors within this of the centre")
    form.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    form.add_argument("--no-picture", action="store_true", help="write no .png")
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, reconstruct, write."""
    check_output(args.output, (".h5",), (args.file, args.water, args.truth))
    data = channel_data(args.file)
    water = _water(args)
    truth = None if args.truth is None else read_medium(args.truth)
    settings = _settings(args)
    checkpoint = args.output.with_suffix(".checkpoint")
    begin = time.perf_counter()
    result = reconstruct_travel_time(
        data,
        water,
        pairs=_every(args, data, settings),
        sound_speed=args.sound_speed,
        spacing=None if args.spacing_mm is None else 1e-3 * args.spacing_mm,
        settings=settings,
        truth=truth,
        checkpoint=checkpoint,
        resume=args.resume,
        report=None if args.quiet or args.json else _say,
        progress=not args.quiet,
        device=args.device,
    )
    seconds = time.perf_counter() - begin
    figures = _figures(args, result, truth, seconds)
    write(args.output, result.medium)
    with atomic(args.output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n")
    if not args.no_picture:
        _picture(args.output.with_suffix(".png"), result, truth)
    checkpoint.unlink(missing_ok=True)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        last = result.history[-1]
        error = f", error {last['relative_error']:.1f} %" if truth is not None else ""
        print(f"{args.output}: {len(result.history)} linearisations, {last['pairs']} pairs in {seconds:.1f} s{error}")


def _water(args: argparse.Namespace) -> sonoray.ChannelData | None:
    if args.no_water:
        return None
    if args.water is not None:
        return channel_data(args.water)
    try:
        data = read(args.file, dataset="water")
    except sonoray.FormatError as error:
        if "lacks" in str(error):
            return None
        raise
    except sonoray.ArgumentError as error:
        if "dataset" in str(error):  # a format without shots through water
            return None
        raise
    return data if isinstance(data, sonoray.ChannelData) else None


def _settings(args: argparse.Namespace) -> TravelTimeSettings:
    given = {n: getattr(args, n) for n in (*_SETTINGS, "kernel", "rays", "solver", "picker")}
    given["smoothing"] = None if args.smoothing_mm is None else 1e-3 * args.smoothing_mm
    changes = {name: value for name, value in given.items() if value is not None}
    return TravelTimeSettings.published(**changes) if args.published else TravelTimeSettings(**changes)


def _every(
    args: argparse.Namespace, data: sonoray.ChannelData, settings: TravelTimeSettings
) -> NDArray[np.bool_] | None:
    if args.tx_every == 1 and args.rx_every == 1:
        return None
    for name, most in (("tx_every", data.n_tx), ("rx_every", data.n_rx)):
        if not 1 <= getattr(args, name) <= most:
            raise sonoray.ArgumentError(f"{name}: expected 1 to {most}, got {getattr(args, name)}")
    chosen = np.zeros((data.n_tx, data.n_rx), bool)
    chosen[:: args.tx_every, args.rx_every // 2 :: args.rx_every] = True
    distance = pair_distances(emitter_positions(data), data.probe.positions)
    return chosen & settings.far_enough(distance)


def _figures(args: argparse.Namespace, result: TravelTimeReconstruction, truth: Any, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "output": str(args.output),
        "shape": list(result.medium.grid.shape),
        "sound_speed": result.sound_speed,
        "seconds": round(seconds, 3),
        "picks": result.picks.counts(),
        "settings": result.settings.as_dict(),
        "history": result.history,
    }
    if truth is not None:
        for radius in args.radius_mm or []:
            figures[f"errors_within_{radius:g}_mm"] = sound_speed_errors(
                result.medium, truth, result.sound_speed, radius=1e-3 * radius
            )
    return figures


def _say(result: TravelTimeReconstruction) -> None:
    last = result.history[-1]
    error = f", error {last['relative_error']:.1f} %" if "relative_error" in last else ""
    sys.stderr.write(
        f"\rlinearisation {last['iteration']}: {last['pairs']} pairs, residual {1e9 * last['residual']:.1f} ns{error}, "
        f"{last['seconds']:.1f} s\n"
    )


def _picture(path: Path, result: TravelTimeReconstruction, truth: sonoray.Medium | None) -> None:
    from sonoray.plotting import save_figure, show_reconstruction

    try:
        save_figure(path, show_reconstruction(result.medium, truth=truth))
    except sonoray.MissingExtraError as error:
        sys.stderr.write(f"sonoray: note: no picture; {error}\n")
