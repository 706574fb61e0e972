"""sonoray autofocus: a sound-speed map from pulse-echo data, and the image through it."""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import sonoray
from sonoray.assets import load_sound_speed_network
from sonoray.autofocus.mapping import NOMINAL, AutofocusResult, map_sound_speed, open_network
from sonoray.autofocus.network import SoundSpeedNetwork
from sonoray.beamforming.default_grids import default_grid
from sonoray.demo.correction import figures_of_merit, image_through, map_errors
from sonoray.inversion.autofocus_settings import AutofocusSettings
from sonoray.io import write, write_png
from sonoray.io.writing import atomic

from ._files import channel_data, check_output, medium_of

OUTPUTS = (".html", ".h5", ".png", ".json")
DEFAULT = "default"  # name of the shipped network
_UNLIKELY = 80.0  # m/s between a map's mean and the best single speed


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("autofocus", help="make a sound-speed map and a sharper image from pulse-echo data")
    form.add_argument("file", type=Path, help="channel data of any pulse-echo sequence, in any format")
    form.add_argument("-o", "--output", type=Path, required=True, action="append",
                      help="report: .html, map: .h5, corrected image: .png; may be repeated. Figures go beside the "
                      "first one as .json")  # fmt: skip
    form.add_argument("--model", metavar="FILE", help="network: an .onnx file, or 'default' for the one that ships")
    form.add_argument("--optimise", action="store_true", help="find the map by optimisation (default without --model)")
    form.add_argument("--both", action="store_true", help="begin the optimisation with the network's map")
    form.add_argument("--frame", type=int, default=0, help="which frame (default: 0)")
    form.add_argument("--center-frequency", type=float, help="of the pulse, Hz, where the file does not say")
    form.add_argument("--sound-speed", type=float,
                      help="m/s, of the image before, and where an optimisation without a network begins (default: "
                      "1540, and the constant that explains the echoes best)")  # fmt: skip
    form.add_argument("--region-mm", type=float, nargs=4, metavar=("X", "X", "Z", "Z"), help="where the map is wanted")
    form.add_argument("--spacing-mm", type=float, help="of image points (default: a quarter of the wavelength)")
    form.add_argument("--map-spacing-mm", type=float, help="of the map's nodes (default: 1.5)")
    form.add_argument("--iterations", type=int, help=f"of the optimisation (default: {AutofocusSettings().iterations})")
    form.add_argument("--f-number", type=float, default=1.0, help="of the image, receive (default: 1)")
    form.add_argument("--truth", type=Path, help="true map: errors; the result does not depend on it")
    form.add_argument("--dynamic-range", type=float, default=50.0, help="of pictures, dB (default: 50)")
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, find the map, image, write."""
    begin = time.perf_counter()
    for path in args.output:
        check_output(path, OUTPUTS, (args.file, args.truth))
    truth = medium_of(args.truth)
    data = _frame(args)
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = _mapped(args, data, truth)
        images, grid, figures = _compared(args, data, result, truth)
    notes += [*dict.fromkeys(str(w.message) for w in caught), *_doubts(result)]
    for note in notes:
        sys.stderr.write(f"sonoray: note: {note}\n")
    figures |= {"warnings": notes, "seconds": {**result.seconds, "all": time.perf_counter() - begin}}
    _write(args, result, images, grid, figures, truth)
    print(json.dumps(figures, indent=2) if args.json else _summary(args, result, figures))


def _frame(args: argparse.Namespace) -> sonoray.ChannelData:
    data = channel_data(args.file)
    if args.center_frequency is not None:
        data = data.with_(center_frequency=args.center_frequency)
    if not 0 <= args.frame < data.n_frames:
        raise sonoray.ArgumentError(f"frame: expected 0 to {data.n_frames - 1}, got {args.frame}")
    data = data.select(frames=args.frame)
    return data if data.is_iq else sonoray.demodulate(data)


def _network(args: argparse.Namespace) -> SoundSpeedNetwork | None:
    """Named, the shipped one, or none."""
    name = args.model or (DEFAULT if args.both else None)
    if name is None:
        return None
    if name == DEFAULT:
        return load_sound_speed_network(device=args.device)
    if not Path(name).is_file():
        raise sonoray.ArgumentError(f"model: expected an .onnx file or {DEFAULT!r}, got {name!r}, which is no file")
    return open_network(Path(name), args.device)


def _mapped(args: argparse.Namespace, data: sonoray.ChannelData, truth: sonoray.Medium | None) -> AutofocusResult:
    network = _network(args)
    region = None
    if args.region_mm is not None:
        x0, x1, z0, z1 = (1e-3 * v for v in args.region_mm)
        region = ((x0, x1), (z0, z1))
    options: dict[str, Any] = {"iterations": args.iterations}
    options["spacing"] = None if args.map_spacing_mm is None else 1e-3 * args.map_spacing_mm

    def say(step: str, entry: dict[str, Any]) -> None:
        error = f", error {entry['mean_absolute_error']:.1f} m/s" if "mean_absolute_error" in entry else ""
        text = f" {entry['iteration']}, change {entry['change']:.1f} m/s{error}" if entry else ""
        sys.stderr.write(f"{step}{text}\n")

    return map_sound_speed(
        data,
        model=network,
        optimise=args.optimise or args.both or network is None,
        initial=args.sound_speed if network is None else None,
        region=region,
        truth=truth,
        report=None if args.quiet else say,
        device=args.device,
        **{name: value for name, value in options.items() if value is not None},
    )


def _compared(
    args: argparse.Namespace, data: sonoray.ChannelData, result: AutofocusResult, truth: sonoray.Medium | None
) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Images before and after, through the true map, too; their grid; figures of all."""
    spacing = 0.25 * NOMINAL / data.demodulation_frequency if args.spacing_mm is None else 1e-3 * args.spacing_mm
    deepest = data.max_depth
    if args.f_number:  # where the edge of the aperture still hears echoes
        deepest *= 2 / (1 + np.hypot(1, 0.5 / args.f_number))
    first = 2 * NOMINAL / data.demodulation_frequency
    grid = default_grid(data, depth=(first, deepest), spacing=spacing)
    before = NOMINAL if args.sound_speed is None else args.sound_speed
    speeds: dict[str, Any] = {f"before, {before:.0f} m/s": before, "after": result.medium}
    if truth is not None:
        speeds["true map"] = truth
    images = {}
    for name, speed in speeds.items():
        images[name] = image_through(data, grid, speed, f_number=args.f_number)
    merits = {name: figures_of_merit(image, grid, result.region) for name, image in images.items()}
    figures: dict[str, Any] = {
        "file": str(args.file),
        "output": [str(path) for path in args.output],
        "frame": args.frame,
        "accepted": result.accepted,
        "reason": result.reason,
        "mean_sound_speed": _mean(result.medium, result.region),
        "global_sound_speed": None if result.global_speed is None else result.global_speed.sound_speed,
        "region": result.region,
        "focus": {name: vars(value) for name, value in result.focus.items()},
        "images": merits,
        "history": list(result.history),
    }
    if truth is not None:
        figures["errors"] = map_errors(result.medium, truth, result.region)
    return images, grid, figures


def _mean(medium: sonoray.Medium, region: Any) -> float:
    inside = [(axis >= low) & (axis <= high) for axis, (low, high) in zip(medium.grid.axes, region, strict=True)]
    return float(np.asarray(medium.sound_speed)[np.ix_(*inside)].mean())


def _doubts(result: AutofocusResult) -> list[str]:
    """What a reader should know before trusting the map."""
    notes = []
    if not result.accepted:
        state = "there is no map" if result.found is result.medium else "the map found is not used"
        notes.append(f"{state}: {result.reason}")
    speed = result.global_speed
    if speed is not None and result.accepted:
        mean = _mean(result.medium, result.region)
        if abs(mean - speed.sound_speed) > max(_UNLIKELY, 3 * speed.uncertainty):
            notes.append(
                f"the map's mean, {mean:.0f} m/s, is far from the best single speed, {speed.sound_speed:.0f} m/s"
            )
    values = np.asarray(result.medium.sound_speed)
    low, high = AutofocusSettings().limits
    edge = float(np.mean((values <= low + 1) | (values >= high - 1)))
    if edge > 0.05:
        notes.append(f"{100 * edge:.0f} % of the map is at the limits of {low:.0f} and {high:.0f} m/s")
    return notes


def _write(
    args: argparse.Namespace,
    result: AutofocusResult,
    images: dict[str, Any],
    grid: Any,
    figures: dict[str, Any],
    truth: sonoray.Medium | None,
) -> None:
    from ._autofocus_report import report

    for path in args.output:
        ending = path.suffix.lower()
        if ending == ".html":
            with atomic(path) as temporary:
                temporary.write_text(report(result, images, grid, figures, truth, args.dynamic_range), encoding="utf-8")
        elif ending == ".h5":
            write(path, result.medium)
        elif ending == ".png":
            _picture(path, images["after"], grid, args.dynamic_range)
    with atomic(args.output[0].with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n")


def _picture(path: Path, image: Any, grid: Any, dynamic_range: float) -> None:
    level = sonoray.log_compress(sonoray.envelope(image), dynamic_range=dynamic_range)
    if isinstance(grid, sonoray.SectorGrid):
        flat = sonoray.covering_grid(grid)
        level, grid = sonoray.scan_convert(level, grid, flat, fill=-dynamic_range), flat
    write_png(path, sonoray.to_uint8(level, dynamic_range), grid)


def _summary(args: argparse.Namespace, result: AutofocusResult, figures: dict[str, Any]) -> str:
    used = f"mean {figures['mean_sound_speed']:.0f} m/s" if result.accepted else "one speed"
    errors = figures.get("errors")
    truth = f"; error {errors['mean_absolute_error']:.1f} m/s, bias {errors['bias']:+.1f} m/s" if errors else ""
    return f"{', '.join(map(str, args.output))}: {used}, {result.reason}{truth}, {figures['seconds']['all']:.1f} s"
