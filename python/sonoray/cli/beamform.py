"""sonoray beamform: a B-mode image from channel data."""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import scalar
from sonoray.beamforming.bmode import reconstruct_bmode
from sonoray.io import write, write_dicom, write_png

from ._files import channel_data, check_output, medium_of
from ._methods import add_method, method_of

OUTPUTS = (".png", ".h5", ".dcm")


def add(commands: Any) -> None:
    """Add the command's arguments."""
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
    form.add_argument(
        "--compounding",
        choices=["coherent", "incoherent", "first"],
        help="sum of transmits, of their magnitudes, or before an adaptive method (default: coherent; first for those)",
    )
    add_method(form)
    form.add_argument(
        "--mute-direct",
        action=argparse.BooleanOptionalAction,
        help="take out the wave from emitter to receiver (default: for rings and bowls that fire single elements)",
    )
    form.add_argument(
        "--opening-deg", type=float, default=120.0, help="with it: largest angle between emitter and receiver (120)"
    )
    form.add_argument("--frame", type=int, default=0, help="which frame goes into a .png or .dcm (default: 0)")
    form.add_argument("--all-frames", action="store_true", help="beamform every frame (kept in .h5)")
    form.add_argument("--dynamic-range", type=float, default=60.0, help="of the picture, dB (default: 60)")
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, beamform, write."""
    check_output(args.output, OUTPUTS, (args.file, args.medium))
    data = channel_data(args.file)
    if args.center_frequency is not None:
        data = data.with_(center_frequency=args.center_frequency)
    if not 0 <= args.frame < data.n_frames:
        raise sonoray.ArgumentError(f"frame: expected 0 to {data.n_frames - 1}, got {args.frame}")
    scalar("dynamic_range", args.dynamic_range, 1.0, 300.0, "dB")
    medium = medium_of(args.medium)
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
        method=method_of(args),
        over=args.over,
        compounding=args.compounding,
        mute_direct=args.mute_direct,
        opening_angle=math.radians(scalar("opening", args.opening_deg, 0.0, 180.0, "degrees")),
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
        "method": args.method,
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
