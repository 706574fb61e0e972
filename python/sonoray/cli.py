"""The command line: parse, read, plan, write. Lengths are in millimetres here, and only here."""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sonoray
from sonoray import datasets
from sonoray._checks import scalar
from sonoray.beamforming.bmode import reconstruct_bmode
from sonoray.io import read, summary, write, write_dicom, write_png

OUTPUTS = (".png", ".h5", ".dcm")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sonoray", description=sonoray.__doc__)
    parser.add_argument("--version", action="version", version=f"sonoray {sonoray.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    info = commands.add_parser("info", help="say what a file holds")
    info.add_argument("file", type=Path, help="channel data, a medium or an image, in any format that sonoray reads")
    info.add_argument("--json", action="store_true", help="print JSON")

    form = commands.add_parser("beamform", help="make a B-mode image from channel data")
    form.add_argument("file", type=Path, help="channel data")
    form.add_argument("-o", "--output", type=Path, required=True, help="image: .png, .h5 (complex) or .dcm")
    speed = form.add_mutually_exclusive_group()
    speed.add_argument("--sound-speed", type=float, help="one speed for all paths, m/s (default: the sequence's)")
    speed.add_argument("--medium", type=Path, help="sound-speed map: delays along refracted paths (eikonal)")
    form.add_argument("--center-frequency", type=float, help="of the pulse, Hz, where the file does not say")
    form.add_argument("--depth-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="depth range (default: all)")
    form.add_argument("--spacing-mm", type=float, help="distance of image points (default: a third of the wavelength)")
    form.add_argument("--f-number", type=float, help="receive, 0 for none (default: 1.5; 0 for phased, ring, bowl)")
    form.add_argument("--window", help="receive: boxcar, hann, hamming or tukey (default: hann)")
    form.add_argument("--compounding", choices=["coherent", "incoherent"], default="coherent")
    form.add_argument("--frame", type=int, default=0, help="which frame goes into a .png or .dcm (default: 0)")
    form.add_argument("--all-frames", action="store_true", help="beamform every frame (kept in .h5)")
    form.add_argument("--dynamic-range", type=float, default=60.0, help="of the picture, dB (default: 60)")
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")

    data = commands.add_parser("data", help="public data sets")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="names, sizes, licences, and which are here")
    get = actions.add_parser("get", help="download one into the cache, or say where it is")
    get.add_argument("name")

    demo = commands.add_parser("demo", help="beamform real and simulated data and write an HTML report")
    demo.add_argument("-o", "--output", type=Path, default=Path("report"), help="folder (default: report)")
    demo.add_argument("--offline", action="store_true", help="never download, use what is here")
    demo.add_argument("--case", action="append", help="only this case (may be repeated)")
    return parser


def _info(args: argparse.Namespace) -> None:
    facts = summary(read(args.file))
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    lines = dict(_flat(facts))
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Facts without nesting: probe.kind, probe.pitch, ..."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, f"{value:.6g}" if isinstance(value, float) else value


def _kind(found: Any) -> str:
    return "a beamformed image" if isinstance(found, tuple) else type(found).__name__


def _channel_data(args: argparse.Namespace) -> sonoray.ChannelData:
    data = read(args.file)
    if not isinstance(data, sonoray.ChannelData):
        raise sonoray.FormatError(f"{args.file}: expected channel data, found {_kind(data)}")
    if args.center_frequency is not None:
        data = data.with_(center_frequency=args.center_frequency)
    return data


def _medium(path: Path | None) -> sonoray.Medium | None:
    if path is None:
        return None
    medium = read(path)
    if not isinstance(medium, sonoray.Medium):
        raise sonoray.FormatError(f"{path}: expected a sound-speed map (Medium), found {_kind(medium)}")
    return medium


def _beamform(args: argparse.Namespace) -> None:
    if args.output.suffix.lower() not in OUTPUTS:
        raise sonoray.ArgumentError(f"output: expected a name ending in {', '.join(OUTPUTS)}, got {args.output.name!r}")
    folder = args.output.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise sonoray.ArgumentError(f"output: expected a folder that can be written to, got {folder}")
    data = _channel_data(args)
    if not 0 <= args.frame < data.n_frames:
        raise sonoray.ArgumentError(f"frame: expected 0 to {data.n_frames - 1}, got {args.frame}")
    scalar("dynamic_range", args.dynamic_range, 1.0, 300.0, "dB")
    medium = _medium(args.medium)
    depth = None if args.depth_mm is None else (1e-3 * args.depth_mm[0], 1e-3 * args.depth_mm[1])
    spacing = None if args.spacing_mm is None else 1e-3 * args.spacing_mm
    begin = time.perf_counter()
    image, grid = reconstruct_bmode(
        data,
        depth=depth,
        spacing=spacing,
        sound_speed=args.sound_speed,
        medium=medium,
        f_number=args.f_number,
        window=args.window,
        compounding=args.compounding,
        frames=None if args.all_frames else slice(args.frame, args.frame + 1),
        device=args.device,
        progress=not args.quiet,
    )
    seconds = time.perf_counter() - begin
    _write(args, image, grid)
    figures = {
        "output": str(args.output),
        "frames": len(image),
        "image_shape": list(grid.shape),
        "sound_speed": "map" if medium is not None else (args.sound_speed or data.sound_speed),
        "transmits": data.n_tx,
        "elements": data.n_rx,
        "seconds": round(seconds, 4),
        "points_per_second": round(grid.size * data.n_rx * data.n_tx * len(image) / seconds),
    }
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        shape = " x ".join(map(str, grid.shape))
        print(f"{args.output}: {len(image)} frame(s) of {shape} points in {seconds:.2f} s")


def _write(args: argparse.Namespace, image: Any, grid: Any) -> None:
    if args.output.suffix.lower() == ".h5":
        write(args.output, (image, grid))
        return
    shown = args.frame if args.all_frames else 0
    db = sonoray.log_compress(sonoray.envelope(image[shown]), dynamic_range=args.dynamic_range)
    if db.ndim == 3:
        db = db[:, db.shape[1] // 2]  # a volume: show the slice at the middle elevation
        grid = sonoray.Grid(
            (grid.shape[0], grid.shape[2]), (grid.spacing[0], grid.spacing[2]), (grid.origin[0], grid.origin[2])
        )
    if isinstance(grid, sonoray.SectorGrid):
        flat = sonoray.covering_grid(grid)
        db, grid = sonoray.scan_convert(db, grid, flat, fill=-args.dynamic_range), flat
    picture = write_dicom if args.output.suffix.lower() == ".dcm" else write_png
    picture(args.output, sonoray.to_uint8(db, args.dynamic_range), grid)


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


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"sonoray: note: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for an error with its reason, 130 when interrupted."""
    args = _parser().parse_args(argv)
    run = {"info": _info, "beamform": _beamform, "data": _data, "demo": _demo}[args.command]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.showwarning = _note
            run(args)
    except (sonoray.Error, OSError, MemoryError) as error:
        sys.stderr.write(f"sonoray: {error or type(error).__name__}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("sonoray: interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
