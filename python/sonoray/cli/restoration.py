"""sonoray despeckle, enhance, translate: pictures and videos made better by the networks."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sonoray
from sonoray import assets
from sonoray.io.videos import ARRAYS, MOVIES, PILED, Video, read_video, write_video
from sonoray.restoration.classical import METHODS, ClassicalDespeckler
from sonoray.restoration.color_flow import FINDERS, STAGES, ColorFlowTranslator
from sonoray.restoration.despeckling import Despeckler
from sonoray.restoration.enhancement import Enhancer

from ._files import check_output
from ._pictures import jobs, load, report, run_jobs

_IN = "PNG, JPEG, TIFF, BMP, PGM, DICOM; GIF and other videos frame by frame; folders of pictures"


def add(commands: Any) -> None:
    """Add the commands' arguments."""
    form = commands.add_parser("despeckle", help="take the speckle out of B-mode pictures")
    _add_pictures(form)
    form.add_argument("--method", choices=["network", *METHODS], default="network",
                      help="(default: network; filters have untuned default settings)")  # fmt: skip
    form.add_argument(
        "--passes", type=int, metavar="N", help="of the network (default: what the model was judged with)"
    )
    form.add_argument("--dynamic-range", type=float, default=50.0, help="of the pictures, dB, for srad (default: 50)")
    form.set_defaults(run=despeckle)

    form = commands.add_parser("enhance", help="deblur and denoise B-mode pictures")
    _add_pictures(form)
    form.set_defaults(run=enhance)

    form = commands.add_parser("translate", help="turn a colour-flow video into the B-mode video underneath")
    form.add_argument("video", type=Path, help="GIF, TIFF, APNG, MP4, AVI, DICOM, .npy, or a folder of pictures")
    form.add_argument("-o", "--output", type=Path, required=True,
                      help=".gif, .tif, .png (APNG), .mp4, .avi, .npy, .npz, or a new folder")  # fmt: skip
    form.add_argument("--mask", metavar="WHERE", help="how colour is found: auto, network or color, or a picture "
                      "or video that is white there (default: auto, network and color together)")  # fmt: skip
    form.add_argument("--grow", type=int, default=0, metavar="PIXELS",
                      help="grow the mask: 1 or 2 where compression smeared colour (default: 0)")  # fmt: skip
    form.add_argument("--mask-output", type=Path, metavar="FILE", help="write what was replaced, white, as a video")
    form.add_argument(
        "--stage", choices=STAGES, help="coarse: likeliest greys; refined: with texture (default: coarse)"
    )
    form.add_argument("--seed", type=int, default=0, help="of the refinement's speckle (default: 0)")
    form.add_argument("--model", type=Path, metavar="FILE", help="NAME_coarse.onnx, its NAME_mask.onnx and "
                      "NAME_refine.onnx beside it (default: the ones that ship)")  # fmt: skip
    _add_common(form)
    form.set_defaults(run=translate)


def _add_pictures(form: argparse.ArgumentParser) -> None:
    form.add_argument("inputs", type=Path, nargs="+", metavar="IN", help=_IN)
    form.add_argument("-o", "--output", type=Path, required=True, help="a file for one picture, else a folder")
    form.add_argument("--model", type=Path, metavar="FILE", help="an .onnx file (default: the one that ships)")
    form.add_argument("--strength", type=float, default=1.0, help="part of the change that is applied (default: 1)")
    form.add_argument("--tile", type=int, help="pixels; larger pictures go through the network in tiles of this edge")
    _add_common(form)


def _add_common(form: argparse.ArgumentParser) -> None:
    form.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or auto (default: cpu)")
    form.add_argument("--json", action="store_true", help="print figures as JSON")
    form.add_argument("--quiet", action="store_true", help="no progress on standard error")


def despeckle(args: argparse.Namespace) -> None:
    """Despeckle every picture."""
    made = jobs(args.inputs, args.output)
    plan: Any
    if args.method != "network":
        if args.model is not None or args.tile is not None or args.passes is not None:
            raise sonoray.ArgumentError(
                f"model, tile, passes: expected none with method {args.method}, which has no network"
            )
        plan = ClassicalDespeckler(args.method, strength=args.strength, dynamic_range=args.dynamic_range)
    else:
        plan = _plan(args, Despeckler, assets.load_despeckler, passes=args.passes)
    _run(args, made, plan, {"method": args.method})


def enhance(args: argparse.Namespace) -> None:
    """Enhance every picture."""
    made = jobs(args.inputs, args.output)
    _run(args, made, _plan(args, Enhancer, assets.load_enhancer), {})


def _plan(args: argparse.Namespace, kind: Any, shipped: Any, **more: Any) -> Any:
    options = {"device": args.device, "strength": args.strength, "tile": args.tile, **more}
    return shipped(**options) if args.model is None else kind(_model(args.model), **options)


def _run(args: argparse.Namespace, made: Any, plan: Any, figures: dict[str, Any]) -> None:
    spec = getattr(plan, "spec", None)
    if spec is not None:
        figures |= {"model": spec.name, "digest": spec.digest, "device": plan.model.device}
    entries = run_jobs(made, plan, args.command, quiet=args.quiet)
    report({"command": args.command, **figures, "strength": args.strength}, entries, as_json=args.json)


def translate(args: argparse.Namespace) -> None:
    """Translate a video."""
    begin = time.perf_counter()
    _check_translation_outputs(args)
    video = read_video(args.video)
    frames = _colored(video.frames)
    mask = _mask(args.mask, frames.shape[:3])
    plan = _translator(args)
    result = plan(frames, mask, stage=args.stage, seed=args.seed, grow=args.grow)
    write_video(args.output, Video(result.frames, video.frame_rate))
    if args.mask_output is not None:
        write_video(args.mask_output, Video(255 * result.mask.astype(np.uint8), video.frame_rate))
    figures = {
        "command": "translate",
        "input": str(args.video),
        "output": str(args.output),
        "model": plan.coarse.spec.name,
        "stage": result.stage,
        "frames": len(frames),
        "frame_rate": video.frame_rate,
        "mean_coverage": round(float(result.coverage.mean()), 4),
        "largest_coverage": round(float(result.coverage.max()), 4),
        "tinted": round(result.tinted, 4),
        "seconds": round(time.perf_counter() - begin, 2),
    }
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{args.output}: {len(frames)} frames, {result.stage}, {100 * figures['mean_coverage']:.1f} % of the picture "
          f"replaced, {figures['seconds']:.1f} s")  # fmt: skip


def _check_translation_outputs(args: argparse.Namespace) -> None:
    """Refuse results over one another or over anything that is read: video, mask, the three networks."""
    given_mask = None if args.mask is None or args.mask in FINDERS else Path(args.mask)
    networks = () if args.model is None else (args.model, *_beside(args.model).values())
    for path in (args.output, args.mask_output):
        if path is not None:
            _check_video_output(path, (args.video, given_mask, *networks))
    if args.mask_output is not None and args.mask_output.resolve() == args.output.resolve():
        raise sonoray.ArgumentError(f"mask-output: expected another file than the output, got {args.output} for both")


def _check_video_output(path: Path, inputs: Any) -> None:
    if path.suffix:
        check_output(path, (*PILED, *MOVIES, *ARRAYS), inputs)
    elif path.exists():
        raise sonoray.ArgumentError(f"output: expected a folder that is not there yet, or a file name, got {path}")


def _colored(frames: NDArray[Any]) -> NDArray[np.uint8]:
    if frames.dtype != np.uint8:
        raise sonoray.ArgumentError(
            f"video: expected 8 bits per channel, as scanners display colour, got {frames.dtype}"
        )
    return np.ascontiguousarray(frames[..., :3] if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3))


def _mask(given: str | None, shape: tuple[int, ...]) -> Any:
    if given is None or given in FINDERS:
        return given
    values, _, _ = load(Path(given))
    if values.ndim > 2 and values.shape[-1] in (3, 4):
        values = values[..., :3].max(-1)
    white = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
    found = values > white / 2
    if found.shape not in (shape, shape[1:]):
        raise sonoray.ArgumentError(f"mask: expected {shape} or {shape[1:]}, the video's size, got {found.shape}")
    return found


def _translator(args: argparse.Namespace) -> ColorFlowTranslator:
    if args.model is None:
        return assets.load_color_flow_translator(device=args.device)
    path = _model(args.model)
    found: dict[str, Any] = {role: place for role, place in _beside(path).items() if place.exists()}
    return ColorFlowTranslator(path, device=args.device, **found)


def _beside(coarse: Path) -> dict[str, Path]:
    stem = coarse.stem.removesuffix("_coarse")
    return {role: coarse.with_name(f"{stem}_{role}.onnx") for role in ("mask", "refine")}


def _model(path: Path) -> Path:
    if not path.is_file():
        raise sonoray.ArgumentError(f"model: expected an .onnx file, got {path}, which is no file")
    return path
