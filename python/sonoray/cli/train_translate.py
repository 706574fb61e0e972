"""sonoray train translate: the networks from colour-flow to B-mode videos, on simulated pairs."""

import argparse
import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import count
from sonoray._progress import progress
from sonoray.training.requirements import use_torch

from ._training import add_reuse, add_running, check_reuse, hardware_of, report

_ROLES = ("coarse", "refine", "mask")
_CHECKPOINTS = [f"{role}.pt" for role in _ROLES]
_HAZY = 0.25  # of the training clips
_HELD_OUT = 1  # added to the seed of the training clips
_JUDGED = 1_000_000  # added to it for what ablations are judged on


def add(kinds: Any) -> None:
    """Add the command's arguments."""
    form = kinds.add_parser("translate", help="from colour-flow to B-mode videos, on simulated pairs")
    form.add_argument("-o", "--out", type=Path, required=True, help="folder for models, checkpoints and logs")
    form.add_argument("--dataset", type=Path, help="folder of the simulated clips, made as needed (default: OUT/data)")
    form.add_argument("--clips", type=int, help="clips to train on (default: 240)")
    form.add_argument(
        "--backgrounds", type=Path, metavar="FOLDER", help="of B-mode pictures: tissue of a quarter of the clips"
    )
    form.add_argument("--steps", type=int, help="of the coarse network (default: 1000)")
    form.add_argument("--refine-steps", type=int, help="of the refinement; 0: none (default: a quarter of steps)")
    form.add_argument("--mask-steps", type=int, help="of the mask network; 0: none (default: a quarter of steps)")
    form.add_argument("--batch", type=int, help="clips per step (default: 2)")
    form.add_argument("--size", type=int, help="rows and columns cut out of clips, a multiple of 4 (default: 48)")
    form.add_argument("--width", type=int, help="of the coarse network when gated (default: 8)")
    form.add_argument(
        "--mask-weight", type=float, help="lambda, weight of L1 inside the mask (default: 20; published: 2)"
    )
    form.add_argument("--structure", type=float, help="weight of dissimilarity (default: 0.5; published: 0)")
    form.add_argument("--rate", type=float, help="highest learning rate of the coarse network (default: 2e-3)")
    form.add_argument("--start", type=Path, metavar="FOLDER", help="of an earlier run: go on from its coarse weights")
    form.add_argument(
        "--convolutions", choices=["plain", "gated"], help="as many weights in both (default: plain; published: gated)"
    )
    form.add_argument("--published", action="store_true", help="inputs, coarse network and losses as published")
    form.add_argument("--leave-out", metavar="SCENE", help="train without a scene, to judge on it")
    form.add_argument("--ablate", action="store_true", help="short trainings that differ in one thing, and their table")
    form.add_argument("--quick", action="store_true", help="a minute's run on next to nothing, to see that it works")
    add_reuse(form)
    form.add_argument("--seed", type=int, default=0, help="(default: 0)")
    add_running(form)
    form.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Simulate, train, export."""
    use_torch(args.threads)
    check_reuse(args, ["*.pt"] if args.ablate else _CHECKPOINTS)
    if args.start is not None and (args.ablate or not (args.start / "coarse.pt").is_file()):
        raise sonoray.ArgumentError(f"start: expected a folder with coarse.pt, and no --ablate, got {args.start}")
    if args.start is not None and args.out.exists() and args.start.samefile(args.out):
        raise sonoray.ArgumentError(f"start: expected another folder than out, got {args.out} for both")
    begin = time.perf_counter()
    hardware = hardware_of(args)
    clips, held_out, judged, digest = _clips(args)
    common = {"seed": args.seed, "resume": args.resume, "show": not args.quiet, "hardware": hardware}
    if args.ablate:
        figures = _ablated(args, clips, held_out, judged, digest, common)
    else:
        figures = _trained(args, clips, held_out, digest, common)
    figures["seconds"] = round(time.perf_counter() - begin, 1)
    report(figures, as_json=args.json)


def _clips(args: argparse.Namespace) -> tuple[Any, Any, Any, str]:
    """Clips to train on, to validate on, to judge ablations on (else None), digest of the first's plan."""
    from sonoray.simulation.flow_scenes import SCENES
    from sonoray.training.color_flow.data import ClipPlan, digest_of, load_clips, read_backgrounds

    n = count("clips", args.clips if args.clips is not None else 8 if args.quick else 240, 4, 10_000_000)
    shape, frames = ((48, 48), 4) if args.quick else ((96, 96), 8)
    plan = ClipPlan(n, shape, frames, 2 * count("seed", args.seed, 0, 400_000), SCENES, _HAZY)
    backgrounds = read_backgrounds(args.backgrounds, shape) if args.backgrounds else []
    plan = plan.without(args.leave_out) if args.leave_out else plan
    judge = replace(plan, n_clips=max(4, min(24, n // 4)), seed=plan.seed + _HELD_OUT)
    folder = args.dataset or args.out / "data"
    args.out.mkdir(parents=True, exist_ok=True)
    loaded = []
    plans = [plan, judge, replace(judge, seed=plan.seed + _JUDGED)] if args.ablate else [plan, judge]
    for each in plans:
        bar = iter(progress(range(each.n_clips), "clips", enabled=not args.quiet))
        clips = load_clips(
            each, folder, backgrounds=backgrounds, progress=lambda done, total, bar=bar: next(bar, None)  # type: ignore[misc]
        )  # fmt: skip
        loaded.append(clips)
    digest = hashlib.sha256((plan.digest + digest_of(backgrounds)).encode()).hexdigest() if backgrounds else plan.digest
    return loaded[0], loaded[1], loaded[2] if args.ablate else None, digest


def _settings(args: argparse.Namespace) -> Any:
    from sonoray.training.color_flow.recipe import PUBLISHED, CoarseSettings

    base = PUBLISHED if args.published else CoarseSettings()
    if args.quick:
        base = replace(base, width=4, steps=4, batch=1, size=32)
    names = ("steps", "batch", "size", "width", "mask_weight", "structure", "rate")
    given: dict[str, Any] = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.convolutions is not None:
        given["gated"] = args.convolutions == "gated"
    return replace(base, **given)


def _trained(args: argparse.Namespace, clips: Any, held_out: Any, digest: str, common: Any) -> dict[str, Any]:
    from sonoray.training.color_flow import export
    from sonoray.training.color_flow.recipe import (
        PUBLISHED_REFINE,
        RefineSettings,
        train_coarse,
        train_mask,
        train_refine,
    )
    from sonoray.training.hardware import is_first
    from sonoray.training.loops import kept_weights
    from sonoray.training.parameters import n_parameters, weights_digest

    settings = _settings(args)
    quarter = max(1, settings.steps // 4)
    refine_steps = count("refine_steps", quarter if args.refine_steps is None else args.refine_steps, 0)
    mask_steps = count("mask_steps", quarter if args.mask_steps is None else args.mask_steps, 0)
    if is_first() and not args.resume:  # else a run killed early would leave some of the earlier one beside its own
        for name in (export.NOTE, *_CHECKPOINTS, *(f"color_flow_{role}.onnx" for role in _ROLES)):
            (args.out / name).unlink(missing_ok=True)
    start = None if args.start is None else args.start / "coarse.pt"
    begun = "" if start is None else weights_digest(kept_weights(start))
    network, error = train_coarse(settings, clips, held_out, args.out, start=start, **common)
    notes = {"coarse": export.coarse_note(settings, "coarse", args.seed, begun)}
    if refine_steps:
        weights = PUBLISHED_REFINE if args.published else RefineSettings()
        refine = replace(weights, steps=refine_steps, batch=settings.batch, size=settings.size)
        refine = replace(refine, width=4, critic_width=4) if args.quick else refine
        train_refine(refine, network, settings.kind, clips, args.out, **common)
        notes["refine"] = export.refine_note(refine, "refine", args.seed)
    if mask_steps:
        train_mask(clips, args.out, steps=mask_steps, **common)
        notes["mask"] = export.mask_note(8, "mask", args.seed)
    for note in notes.values():  # models say which scenes they know, so that zero-shot figures can be trusted
        note["settings"]["scenes"] = sorted(set(clips.scene.tolist()))
    target = args.out / "color_flow_coarse.onnx"
    if is_first():
        export.write_note(args.out, digest, notes)
        export.export_folder(args.out, target)
    return {
        "model": str(target),
        "networks": ", ".join(notes),
        "parameters": n_parameters(network),
        "ssim_in_mask_on_validation_cuts": round(1 - error, 4),
    }


def _ablated(
    args: argparse.Namespace, clips: Any, held_out: Any, judged: Any, digest: str, common: Any
) -> dict[str, Any]:
    from sonoray.training.color_flow.ablation import run_ablation
    from sonoray.training.color_flow.recipe import RefineSettings
    from sonoray.training.hardware import is_first

    settings = _settings(args)
    steps = 600 if args.steps is None and not args.quick else settings.steps
    refine = RefineSettings(batch=settings.batch, size=settings.size)
    refine = replace(refine, width=4, critic_width=4) if args.quick else refine
    refine_steps = max(1, steps // 2) if args.refine_steps is None else count("refine_steps", args.refine_steps)
    rows = run_ablation(
        settings, refine, clips, held_out, judged, args.out, steps=steps, refine_steps=refine_steps, **common
    )  # fmt: skip
    if is_first():
        print((args.out / "ablation.md").read_text())
    return {"clips": digest, "ssim_in_mask": {row.name: round(row.mean_ssim_mask, 4) for row in rows}}
