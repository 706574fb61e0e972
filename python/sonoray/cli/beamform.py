"""sonoray beamform: a B-mode image from channel data."""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

import sonoray
from sonoray._checks import scalar
from sonoray.acquisition.scan_lines import ScanLines
from sonoray.beamforming.apodization import WINDOWS
from sonoray.beamforming.bmode import reconstruct_bmode
from sonoray.beamforming.presets import ImagingPreset, imaging_preset, imaging_presets
from sonoray.io import write, write_dicom, write_png
from sonoray.io.pictures import as_rows
from sonoray.io.videos import check_video_writable

from ._doppler import (
    MOVIES,
    SONOGRAM_RANGE,
    add_doppler,
    check_doppler,
    endings,
    line_options,
    run_doppler,
    write_movie,
)
from ._files import check_output, echoes, medium_of
from ._methods import add_method, finds_weights, method_of
from ._volumes import VOLUMES, add_apertures, lensed, metres, sheets, spacing, span, write_decibels

OUTPUTS = (".png", ".h5", ".dcm", *VOLUMES, *MOVIES)


def add(commands: Any) -> None:
    """Add the command's arguments."""
    form = commands.add_parser("beamform", help="make a B-mode image from channel data")
    form.add_argument("file", type=Path, help="channel data; for --doppler also lines that a scanner beamformed")
    form.add_argument("-o", "--output", type=Path, required=True,
                      help="image: .png or .dcm (of a volume: three slices), .h5 (complex), .mha or .nii[.gz] (dB); "
                           f"movie of all frames: {', '.join(MOVIES)}")  # fmt: skip
    speed = form.add_mutually_exclusive_group()
    speed.add_argument("--sound-speed", type=float, help="one speed for all paths, m/s (default: the sequence's)")
    speed.add_argument("--medium", type=Path, help="sound-speed map: delays along refracted paths (eikonal)")
    form.add_argument("--center-frequency", type=float, help="of the pulse, Hz, where the file does not say")
    form.add_argument("--depth-mm", type=float, nargs=2, metavar=("FIRST", "LAST"), help="depth range (default: all)")
    form.add_argument("--spacing-mm", type=float, help="distance of image points (default: a third of the wavelength)")
    form.add_argument("--f-number", type=float, help="receive, 0 for none (default: 1.5; 0 for phased, ring, bowl)")
    form.add_argument("--window", help=f"receive: {', '.join(WINDOWS)} (default: hann)")
    add_apertures(form)
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
    form.add_argument(
        "--dynamic-range", type=float, help="of the picture, dB (default: the preset's, or 60; spectra 40)"
    )
    form.add_argument("--tgc-db", type=float, metavar="A", help="make up for attenuation, dB/cm/MHz (default: 0)")
    form.add_argument("--movie-rate", type=float, metavar="HZ", help="of a movie, frames/s (default: real, or 20)")
    form.add_argument(
        "--preset", metavar="NAME", help=f"defaults: {', '.join(imaging_presets())} or a .toml file of your own"
    )
    add_doppler(form)
    form.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read, beamform, write."""
    _check_output(args)
    preset = imaging_preset(args.preset) if args.preset else ImagingPreset("default")
    data = echoes(args.file)
    n_frames = len(data.samples) if isinstance(data, ScanLines) else data.n_frames
    if not 0 <= args.frame < n_frames:
        raise sonoray.ArgumentError(f"frame: expected 0 to {n_frames - 1}, got {args.frame}")
    if args.output.suffix.lower() in MOVIES and n_frames < 2:
        raise sonoray.ArgumentError(f"output: expected a picture (.png) of data with one frame, got {args.output.name}")
    if args.dynamic_range is None:
        args.dynamic_range = SONOGRAM_RANGE if args.doppler == "spectral" else preset.dynamic_range
    scalar("dynamic_range", args.dynamic_range, 1.0, 300.0, "dB")
    if isinstance(data, ScanLines):
        options = line_options(args)
    else:
        data, options = _prepared(args, data, preset), _options(args, preset)
        if not args.doppler:
            _run_bmode(args, data, options)
            return
    begin = time.perf_counter()
    figures = {"output": str(args.output), "doppler": args.doppler, **run_doppler(args, data, options, preset)}
    figures["seconds"] = round(time.perf_counter() - begin, 4)
    print(json.dumps(figures, indent=2) if args.json else f"{args.output}: {_line(figures)}")


def _check_output(args: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is read."""
    check_output(args.output, endings(args.doppler) if args.doppler else OUTPUTS, (args.file, args.medium))
    check_doppler(args)
    if args.output.suffix.lower() in MOVIES:
        check_video_writable(args.output, np.zeros((1, 2, 2), np.uint8), args.movie_rate)
    elif args.movie_rate is not None:
        raise sonoray.ArgumentError(f"movie_rate: expected only for {', '.join(MOVIES)}, got {args.output.name}")


def _prepared(args: argparse.Namespace, data: sonoray.ChannelData, preset: ImagingPreset) -> sonoray.ChannelData:
    """Channel data with the pulse, the lens and the gains that are asked for."""
    if args.center_frequency is not None:
        data = data.with_(center_frequency=args.center_frequency)
    data = lensed(data, args.lens)
    tgc = preset.tgc if args.tgc_db is None else 100 * scalar("tgc", args.tgc_db, 0.0, 20.0, "dB/cm/MHz")
    return sonoray.time_gain_compensation(data, attenuation=tgc) if tgc else data


def _run_bmode(args: argparse.Namespace, data: sonoray.ChannelData, options: dict[str, Any]) -> None:
    begin = time.perf_counter()
    whole = args.all_frames or args.output.suffix.lower() in MOVIES
    image, grid = reconstruct_bmode(data, frames=None if whole else slice(args.frame, args.frame + 1), **options)
    seconds = time.perf_counter() - begin
    _write(args, image, grid, data.frame_rate)
    figures = {
        "output": str(args.output),
        "frames": len(image),
        "image_shape": list(grid.shape),
        "sound_speed": "map" if args.medium is not None else (args.sound_speed or data.sound_speed),
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


def _options(args: argparse.Namespace, preset: ImagingPreset) -> dict[str, Any]:
    """Arguments of `reconstruct_bmode`; a preset that is not given leaves them to the probe."""
    f_number, window = (preset.f_number, preset.window) if args.preset else (None, None)
    f_number = f_number if args.f_number is None else args.f_number
    if f_number == 0:
        window = None  # windows span the f-number's aperture
    return {
        "depth": span("depth", args.depth_mm, 0.0),
        "x": span("x", args.x_mm),
        "y": span("y", args.y_mm),
        "aperture_axis": args.aperture_axis,
        "weighting": args.weighting,
        "spacing": spacing(args.spacing_mm),
        "sound_speed": args.sound_speed,
        "medium": medium_of(args.medium),
        "f_number": f_number,
        "window": args.window or (None if finds_weights(args) else window),
        "method": method_of(args),
        "over": args.over,
        "compounding": args.compounding,
        "mute_direct": args.mute_direct,
        "opening_angle": math.radians(scalar("opening", args.opening_deg, 0.0, 180.0, "degrees")),
        "device": args.device,
        "progress": not args.quiet,
    }


def _line(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items() if name != "output")


def _write(args: argparse.Namespace, image: Any, grid: Any, rate: float) -> None:
    ending = args.output.suffix.lower()
    if ending == ".h5":
        write(args.output, (image, grid))
        return
    if ending in VOLUMES:
        write_decibels(args.output, image, grid, args.dynamic_range)
        return
    movie = ending in MOVIES
    if not movie:
        image = image[args.frame if args.all_frames else 0]
    db = sonoray.log_compress(sonoray.envelope(image), dynamic_range=args.dynamic_range)
    if len(grid.shape) == 3:
        db, grid = sheets(db, grid, metres("at", args.at_mm), -args.dynamic_range)
    elif args.at_mm is not None:
        raise sonoray.ArgumentError("at: expected a volume to slice (--y-mm or a matrix probe), got a plane")
    if isinstance(grid, sonoray.SectorGrid):
        flat = sonoray.covering_grid(grid)
        db, grid = sonoray.scan_convert(db, grid, flat, fill=-args.dynamic_range), flat
    grey = sonoray.to_uint8(db, args.dynamic_range)
    if movie:
        write_movie(args.output, np.stack([as_rows(frame, grid) for frame in grey]), args.movie_rate, rate)
        return
    picture = write_dicom if ending == ".dcm" else write_png
    picture(args.output, grey, grid)
