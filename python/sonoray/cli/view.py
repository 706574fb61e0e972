"""sonoray view and probes: look at what a file holds; the probes that are known by name."""

import argparse
from pathlib import Path
from typing import Any

import sonoray
from sonoray.acquisition.probe_presets import SOURCES, probe_presets
from sonoray.acquisition.scan_lines import ScanLines
from sonoray.beamforming.flow import reconstruct_doppler
from sonoray.imaging.named_filters import FORMS, named_wall_filter
from sonoray.io import read
from sonoray.io.images import ENDINGS
from sonoray.io.registry import identify, opened
from sonoray.io.videos import ARRAYS, MOVIES, read_video
from sonoray.plotting import save_figure
from sonoray.viewer import Scene, Viewer, open_napari, open_window, scene_of

from ._files import check_output, kind


def add(commands: Any) -> None:
    """Add the commands' arguments."""
    form = commands.add_parser("view", help="look at images, cines, volumes, maps and channel data")
    form.add_argument(
        "file", type=Path, help="image, map, lines, channel data (beamformed first), DICOM, picture, movie"
    )
    form.add_argument("-o", "--output", type=Path, help="write the view that the sliders stand at (.png), no window")
    form.add_argument("--frame", type=int, default=0, help="at the start (default: 0)")
    form.add_argument("--dynamic-range", type=float, default=60.0, help="at the start, dB (default: 60)")
    form.add_argument(
        "--field", choices=["sound_speed", "density", "absorption"], default="sound_speed",
        help="of a map (default: sound_speed)",
    )  # fmt: skip
    form.add_argument("--doppler", choices=["color", "power"], help="flow over B-mode of channel data or lines")
    form.add_argument("--wall-filter", metavar="FILTER", help=f"with it: {', '.join(FORMS)} (default: poly:1)")
    form.add_argument("--ensemble", type=int, metavar="N", help="with it: frames in one flow image (default: all)")
    form.add_argument(
        "--prf", type=float, metavar="HZ", help="with it: rate of frames (of lines: shots; default: the file's)"
    )
    form.add_argument("--napari", action="store_true", help="in napari instead of matplotlib (extra viewer)")
    form.set_defaults(run=_view)

    probes = commands.add_parser("probes", help="probes known by name: Probe.preset(NAME)")
    probes.set_defaults(run=_probes)


def _view(args: argparse.Namespace) -> None:
    if args.output is not None:
        check_output(args.output, (".png", ".pdf", ".svg"), (args.file,))
    for name in ("wall_filter", "ensemble", "prf"):
        if getattr(args, name) is not None and not args.doppler:
            raise sonoray.ArgumentError(f"{name}: expected only with --doppler, got it without")
    scene = _scene(args)
    title = args.file.name
    if args.napari:
        open_napari(scene, dynamic_range=args.dynamic_range, frame=args.frame, title=title)
    elif args.output is None:
        open_window(scene, dynamic_range=args.dynamic_range, frame=args.frame, title=title)
    else:
        viewer = Viewer(scene, dynamic_range=args.dynamic_range, frame=args.frame, title=title)
        save_figure(args.output, viewer.axes[0])
        print(args.output)


def _scene(args: argparse.Namespace) -> Scene:
    if args.file.is_dir() or args.file.suffix.lower() in (*ENDINGS, *MOVIES, *ARRAYS):
        video = read_video(args.file)
        return scene_of(video.frames, rate=video.frame_rate or 0.0)
    data = read(args.file)
    if isinstance(data, sonoray.ChannelData | ScanLines):
        if args.doppler:
            flow = reconstruct_doppler(
                data,
                args.doppler,
                wall_filter=named_wall_filter(args.wall_filter or "poly:1"),
                frame_rate=args.prf,
                ensemble=args.ensemble,
                dynamic_range=args.dynamic_range,
            )
            return scene_of(flow)
        if isinstance(data, ScanLines):
            return scene_of(data)
        return scene_of(sonoray.reconstruct_bmode(data), rate=data.frame_rate)
    if args.doppler:
        raise sonoray.ArgumentError(f"doppler: expected channel data or lines with it, got {kind(data)}")
    return scene_of(data, field=args.field, rf=kind(data) == "a beamformed image" and _is_rf(args.file))


def _is_rf(path: Path) -> bool:
    with opened(path) as file:
        holds_rf = identify(file).holds_rf
        return holds_rf is not None and holds_rf(file)


def _probes(_: argparse.Namespace) -> None:
    heads = ("elements", "pitch", "width", "height", "focus", "radius")
    print(f"{'name':<11} {'maker':<12} {'kind':<12} {' '.join(f'{head:>8}' for head in heads)} {'centre':>9}  source")
    for name, p in probe_presets().items():
        lengths = (p.pitch, p.width, p.height, p.elevation_focus, p.radius)
        shown = " ".join(f"{1e3 * v:>5.3g} mm" if v else f"{'-':>8}" for v in lengths)
        frequency = f"{1e-6 * p.center_frequency:>5.4g} MHz"
        print(f"{name:<11} {p.maker:<12} {p.kind:<12} {p.n_elements:>8} {shown} {frequency}  {p.source}")
    print()
    for name, text in SOURCES.items():
        print(f"{name:<11} {text}")
