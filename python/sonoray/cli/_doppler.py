"""Doppler on the command line: its options, what it draws, what it writes."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sonoray
from sonoray._checks import scalar
from sonoray.acquisition.flow_images import FlowImages
from sonoray.acquisition.scan_lines import ScanLines
from sonoray.beamforming.flow import (
    KINDS,
    flow_timing,
    gate_samples,
    reconstruct_doppler,
    sample_volume,
    velocity_scale,
)
from sonoray.beamforming.presets import ImagingPreset
from sonoray.imaging.color_overlay import POWER_MAPS, VELOCITY_MAPS, colorbar
from sonoray.imaging.eigen_filters import EigenFilter
from sonoray.imaging.named_filters import FORMS, named_wall_filter
from sonoray.io import write, write_wav
from sonoray.io.annotation import with_color_bar
from sonoray.io.images import write_image
from sonoray.io.pictures import as_rows
from sonoray.io.videos import Video, write_video

from ._volumes import metres, spacing

MOVIES = (".mp4", ".gif", ".apng", ".avi", ".mov", ".mkv")
SONOGRAM_RANGE = 40.0  # dB
_STILL, _SOUND = (".png", ".h5"), (".png", ".wav")
_SHOWN_RATE = 20.0  # frames per second of a movie, where data are faster or do not say
_LEAST_ROWS = 400  # of a picture with a colour bar
_SIGNED, _SPECTRAL = ("color", "power"), ("spectral",)
_TAKEN_BY = {  # options, and the kinds that take them
    **dict.fromkeys(("wall_filter", "prf"), (*KINDS, *_SPECTRAL)),
    **dict.fromkeys(
        ("ensemble", "average", "threshold_db", "min_velocity_cm", "priority", "variance", "color_map"), KINDS
    ),
    **dict.fromkeys(("unwrap", "persistence"), _SIGNED),
    "receive_deg": ("vector",),
    **dict.fromkeys(
        ("gate_mm", "gate_size_mm", "spectral_window", "spectral_method", "flow_angle_deg", "baseline"), _SPECTRAL
    ),
}
_OF_CHANNELS = {  # what lines that are beamformed do not take, and that nobody asked for it
    **dict.fromkeys(
        ("medium", "center_frequency", "depth_mm", "f_number", "window", "x_mm", "y_mm", "at_mm", "lens", "compounding",
         "mute_direct", "tgc_db")
    ),
    "aperture_axis": "normal", "weighting": "auto", "method": "das", "over": "receive", "device": "cpu",
    "all_frames": False,
}  # fmt: skip
_NOT_HEARD = ("spectral_window", "spectral_method", "flow_angle_deg", "dynamic_range")
_OF_IMAGES = ("depth_mm", "spacing_mm", "x_mm", "y_mm", "at_mm")  # a sample volume has its own points


def add_doppler(form: Any) -> None:
    """Add the options of Doppler."""
    group = form.add_argument_group(
        "Doppler", "flow over the B-mode image: .png, .h5 (velocity m/s, power, variance, vectors, picture), a movie "
        "of several ensembles; spectral: .png or .wav (stereo: towards the probe left, away right)"
    )  # fmt: skip
    group.add_argument("--doppler", choices=[*KINDS, "spectral"], help="what to show (default: B-mode alone)")
    group.add_argument(
        "--wall-filter", metavar="FILTER",
        help=f"what takes tissue out: {', '.join(FORMS)}; cutoffs as fractions of Nyquist; eigen takes up to a "
        "millisecond a point, minutes for an image of 32 frames (default: poly:1)",
    )  # fmt: skip
    group.add_argument(
        "--prf", type=float, metavar="HZ", help="rate of the frames, of lines the shots (default: the file's)"
    )
    group.add_argument(
        "--ensemble",
        type=int,
        metavar="N",
        help="frames in one flow image (default: all; of lines: the shots of a frame)",
    )
    group.add_argument("--average", type=int, metavar="N", help="points averaged along each axis (default: 5)")
    group.add_argument("--threshold-db", type=float, metavar="DB", help="paint this far above noise, dB (default: 6)")
    group.add_argument("--min-velocity-cm", type=float, metavar="V", help="paint above, cm/s (default: 0)")
    group.add_argument(
        "--priority", type=int, metavar="GREY", help="grey above which tissue stays, 0-255 (default: 255)"
    )
    group.add_argument("--persistence", type=float, metavar="P", help="over images, 0 to below 1 (default: 0)")
    group.add_argument(
        "--receive-deg", type=float, nargs="+", metavar="DEG",
        help="vector: axes of receive apertures, degrees from z towards +x, -60 to 60, each with every plane wave "
        "(default: one as --aperture-axis says)",
    )  # fmt: skip
    group.add_argument("--unwrap", action="store_true", default=None, help="resolve aliases by continuity")
    group.add_argument("--variance", action="store_true", default=None, help="green where flow is turbulent")
    group.add_argument(
        "--color-map", choices=[*VELOCITY_MAPS, *POWER_MAPS], help="(default: flame; ember for power)"
    )  # fmt: skip
    group.add_argument(
        "--gate-mm",
        type=float,
        nargs=2,
        metavar=("X", "Z"),
        help="spectral, which requires it: middle of the sample volume",
    )
    group.add_argument("--gate-size-mm", type=float, nargs=2, metavar=("WIDTH", "DEPTH"),
                       help="spectral: size of the gate (default: 1 1)")  # fmt: skip
    group.add_argument("--spectral-window", type=int, metavar="N", help="frames (default: 64, or half of fewer)")
    group.add_argument("--spectral-method", choices=["fft", "capon"], help="(default: fft)")
    group.add_argument(
        "--flow-angle-deg", type=float, metavar="DEG", help="spectral: between beam and flow, up to 80 (default: 0)"
    )
    group.add_argument(
        "--baseline", type=float, metavar="SHIFT", help="spectral: shift, -1 to 1 of Nyquist (default: 0)"
    )


def check_doppler(args: argparse.Namespace) -> None:
    """Refuse options that the kind of Doppler, or B-mode alone, does not take."""
    for name, kinds in _TAKEN_BY.items():
        if getattr(args, name) is not None and args.doppler not in kinds:
            asked = f"'{args.doppler}'" if args.doppler else "none"
            raise sonoray.ArgumentError(f"{name}: expected only with --doppler {', '.join(kinds)}, got it with {asked}")
    if args.doppler == "spectral":
        given = [name for name in _OF_IMAGES if getattr(args, name) is not None] + ["frame"] * bool(args.frame)
        if given:
            raise sonoray.ArgumentError(
                f"{given[0]}: expected only for images, got it with 'spectral', whose place is --gate-mm"
            )
    if args.doppler == "spectral" and args.output.suffix.lower() == ".wav":
        for name in _NOT_HEARD:
            if getattr(args, name) is not None:
                raise sonoray.ArgumentError(
                    f"{name}: expected only for a sonogram (.png), got it with {args.output.name}"
                )


def line_options(args: argparse.Namespace) -> dict[str, Any]:
    """Options of `reconstruct_doppler` for lines; refuses those of beamforming, which is done."""
    if args.doppler not in _SIGNED:
        asked = f"'{args.doppler}'" if args.doppler else "none"
        raise sonoray.ArgumentError(
            f"doppler: expected {' or '.join(_SIGNED)} for lines that are beamformed, got {asked} (look at them with "
            "sonoray view)"
        )
    for name, default in _OF_CHANNELS.items():
        if getattr(args, name) != default:
            raise sonoray.ArgumentError(f"{name}: expected only with channel data, got it with lines")
    return {"sound_speed": args.sound_speed, "spacing": spacing(args.spacing_mm)}


def endings(kind: str) -> tuple[str, ...]:
    """Names that a result may have."""
    return _SOUND if kind == "spectral" else (*_STILL, *MOVIES)


def run_doppler(
    args: argparse.Namespace, data: sonoray.ChannelData | ScanLines, bmode: dict[str, Any], preset: ImagingPreset
) -> dict[str, Any]:
    """Reconstruct, draw, write; returns figures."""
    wall_filter = named_wall_filter(args.wall_filter or preset.wall_filter)
    if isinstance(wall_filter, EigenFilter):
        wall_filter = replace(wall_filter, progress=not args.quiet)
    if isinstance(data, ScanLines):
        rate, size, per_image = args.prf, args.ensemble, 1
    else:
        rate, size = flow_timing(data, args.prf, args.ensemble)
        data, per_image = data.with_(frame_rate=rate), size
        if args.doppler == "spectral":
            return {"frame_rate": rate, **_spectral(args, data, bmode, wall_filter)}
        if args.output.suffix.lower() in MOVIES and data.n_frames // size < 2:
            raise sonoray.ArgumentError(
                f"ensemble: expected at most {data.n_frames // 2} of the {data.n_frames} frames for a movie, got {size}"
            )
    signed = args.doppler in _SIGNED  # speeds do not persist, whatever the preset says
    flow = reconstruct_doppler(
        data,
        args.doppler,
        wall_filter=wall_filter,
        frame_rate=rate,
        ensemble=size,
        average=_first(args.average, preset.average),
        unwrap=bool(args.unwrap),
        persistence=_first(args.persistence, preset.persistence if signed else 0.0),
        threshold=_first(args.threshold_db, preset.threshold),
        min_velocity=1e-2 * _first(args.min_velocity_cm, 0.0),
        priority=_first(args.priority, 255),
        color_map=args.color_map or (None if args.doppler == "power" else preset.color_map),
        variance=bool(args.variance),
        receive_angles=_radians(args.receive_deg),
        dynamic_range=_first(args.dynamic_range, preset.dynamic_range),
        **bmode,
    )
    _write(args, flow, per_image)
    median = float(np.median(flow.velocity[flow.painted])) if flow.painted.any() else 0.0
    return {
        "frame_rate": rate,
        "images": len(flow.velocity),
        "image_shape": list(flow.grid.shape),
        "ensemble": data.samples.shape[1] if isinstance(data, ScanLines) else size,
        "nyquist_velocity": round(flow.nyquist, 4),
        "painted": round(float(flow.painted.mean()), 4),
        "median_velocity": round(median, 4),
    }


def _radians(degrees: list[float] | None) -> NDArray[np.float64] | None:
    if degrees is None:
        return None
    return np.asarray(np.deg2rad([scalar("receive_deg", d, -60.0, 60.0, "degrees") for d in degrees]))


def _first(given: Any, default: Any) -> Any:
    return default if given is None else given


def _write(args: argparse.Namespace, flow: FlowImages, per_image: int) -> None:
    ending = args.output.suffix.lower()
    if ending == ".h5":
        write(args.output, flow)
    elif ending == ".png":
        write_image(args.output, drawn(flow, min(args.frame // per_image, len(flow.picture) - 1)))
    else:
        frames = np.stack([drawn(flow, k) for k in range(len(flow.picture))])
        write_movie(args.output, frames, args.movie_rate, flow.image_rate)


def drawn(flow: FlowImages, index: int) -> NDArray[np.uint8]:
    """One flow image as displayed, with its colour bar and the velocities at its ends."""
    rows = as_rows(flow.picture[index], flow.grid)
    times = -(-_LEAST_ROWS // rows.shape[0])
    rows = rows.repeat(times, axis=0).repeat(times, axis=1)
    bar = colorbar(rows.shape[0] // 2, max(rows.shape[0] // 24, 8), flow.color_map)
    if flow.color_map in POWER_MAPS:
        return with_color_bar(rows, bar, "power", "low")
    end = 100 * flow.limit
    if flow.vectors is not None:  # speeds have no sign
        return with_color_bar(rows, bar[: len(bar) // 2], f"{end:.3g}", "0 cm/s")
    return with_color_bar(rows, bar, f"{end:.3g}", f"-{end:.3g} cm/s")


def _spectral(args: argparse.Namespace, data: sonoray.ChannelData, bmode: dict[str, Any], wall: Any) -> dict[str, Any]:
    if args.gate_mm is None:
        raise sonoray.ArgumentError("gate_mm: expected the middle of the sample volume for spectral Doppler, got none")
    angle = scalar("flow_angle", _first(args.flow_angle_deg, 0.0), -80.0, 80.0, "degrees")
    position = metres("gate", args.gate_mm)
    size = metres("gate_size", _first(args.gate_size_mm, (1.0, 1.0)), 1e-3, 100.0)
    samples = gate_samples(data, position, size, **bmode)
    baseline = scalar("baseline", _first(args.baseline, 0.0), -1.0, 1.0, "(fraction of Nyquist)")
    if args.output.suffix.lower() == ".wav":
        write_wav(args.output, sonoray.doppler_audio(samples, data.frame_rate, wall_filter=wall, baseline=baseline))
        return {"points": samples.shape[1], "duration": round(len(samples) / data.frame_rate, 4)}
    spectra = sonoray.sonogram(
        samples,
        data.center_frequency or data.demodulation_frequency,
        data.frame_rate,
        velocity_scale(data, sample_volume(data, position, size), bmode),
        method=args.spectral_method or "fft",
        length=args.spectral_window or min(64, max(4, len(samples) // 2)),
        wall_filter=wall,
        angle=float(np.deg2rad(angle)),
        baseline=baseline,
    )
    traces = sonoray.spectral_traces(spectra)
    _sonogram_picture(args.output, spectra, traces, args.dynamic_range)
    return {
        "points": samples.shape[1],
        "duration": round(len(samples) / data.frame_rate, 4),
        "mean_velocity": round(float(np.median(traces.mean)), 4),
        "maximum_velocity": round(float(traces.maximum.max()), 4),
        "minimum_velocity": round(float(traces.minimum.min()), 4),
    }


def _sonogram_picture(path: Path, spectra: Any, traces: Any, dynamic_range: float) -> None:
    from sonoray.plotting import save_figure, show_sonogram

    save_figure(path, show_sonogram(spectra, traces=traces, dynamic_range=dynamic_range))


def write_movie(path: Path, frames: NDArray[np.uint8], wanted: float | None, measured: float) -> None:
    """Write frames at the rate that is wanted, or as they were measured if that can be watched."""
    rate = measured if 0 < measured <= 2 * _SHOWN_RATE else _SHOWN_RATE
    write_video(path, Video(frames, rate if wanted is None else wanted))
