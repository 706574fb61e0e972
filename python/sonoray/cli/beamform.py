"""sonoray beamform: a B-mode image from channel data."""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import scalar
from sonoray.beamforming.bmode import reconstruct_bmode
from sonoray.imaging.slices import slice_sheet
from sonoray.io import write, write_dicom, write_png

from ._files import channel_data, check_output, medium_of
from ._volumes import VOLUMES, metres, write_decibels

OUTPUTS = (".png", ".h5", ".dcm", ".mha", ".nii", ".gz")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("beamform", help="make a B-mode image from channel data")
    form.add_argument("file", type=Path, help="channel data")
    form.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="image: .png or .dcm (of a volume: three slices), .h5 (complex), .mha or .nii[.gz] (dB)",
    )
    speed = form.add_mutually_exclusive_group()
    speed.add_argument("--sound-speed", type=float, help="one speed for all paths, m/s (default: the sequence's)")
    speed.add_argument("--medium", type=Path, help="sound-speed map: delays along refracted paths (eikonal)")
    form.add_argument("--center-frequency", type=float, help="of the pulse, Hz, where the file does not say")
    form.add_argument("--depth-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="depth range (default: all)")
    form.add_argument("--x-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="lateral range (default: probe's)")
    form.add_argument("--y-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="elevation range: a volume")
    form.add_argument("--at-mm", type=float, nargs=3, metavar=("X", "Y", "Z"), help="where a picture slices a volume")
    form.add_argument("--spacing-mm", type=float, help="distance of image points (default: a third of the wavelength)")
    form.add_argument("--f-number", type=float, help="receive, 0 for none (default: 1.5; 0 for phased, ring, bowl)")
    form.add_argument("--window", help="receive: boxcar, hann, hamming, blackman, tukey or kaiser (default: hann)")
    form.add_argument(
        "--aperture-axis",
        choices=["normal", "beam", "line"],
        default="normal",
        help="receive aperture around: normals of elements, beams, lines of a sector (default: normal)",
    )
    form.add_argument(
        "--lens", type=float, nargs=2, metavar=("MM", "M/S"), help="thickness and sound speed of the probe's lens"
    )
    form.add_argument(
        "--weighting",
        choices=["auto", "beam", "nearest", "none"],
        default="auto",
        help="which transmits make a point: with focused beams around it (auto), any beam, the nearest line, all",
    )
    form.add_argument("--compounding", choices=["coherent", "incoherent"], default="coherent")
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
    if args.lens is not None:
        lens = {"lens_thickness": 1e-3 * args.lens[0], "lens_sound_speed": args.lens[1]}
        data = data.with_(probe=replace(data.probe, **lens))
    if not 0 <= args.frame < data.n_frames:
        raise sonoray.ArgumentError(f"frame: expected 0 to {data.n_frames - 1}, got {args.frame}")
    scalar("dynamic_range", args.dynamic_range, 1.0, 300.0, "dB")
    medium = medium_of(args.medium)
    spacing = None if args.spacing_mm is None else 1e-3 * args.spacing_mm
    begin = time.perf_counter()
    image, grid = reconstruct_bmode(
        data,
        depth=metres(args.depth_mm),
        x=metres(args.x_mm),
        y=metres(args.y_mm),
        spacing=spacing,
        sound_speed=args.sound_speed,
        medium=medium,
        f_number=args.f_number,
        window=args.window,
        aperture_axis=args.aperture_axis,
        weighting=args.weighting,
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
    if args.output.suffix.lower() in VOLUMES:
        write_decibels(args.output, image, grid, args.dynamic_range)
        return
    shown = args.frame if args.all_frames else 0
    db = sonoray.log_compress(sonoray.envelope(image[shown]), dynamic_range=args.dynamic_range)
    if db.ndim == 3:
        db, grid = slice_sheet(db, grid, metres(args.at_mm), fill=-args.dynamic_range)
    elif args.at_mm is not None:
        raise sonoray.ArgumentError("at: expected a volume to slice (--y-mm or a matrix probe), got a plane")
    if isinstance(grid, sonoray.SectorGrid):
        flat = sonoray.covering_grid(grid)
        db, grid = sonoray.scan_convert(db, grid, flat, fill=-args.dynamic_range), flat
    picture = write_dicom if args.output.suffix.lower() == ".dcm" else write_png
    picture(args.output, sonoray.to_uint8(db, args.dynamic_range), grid)
