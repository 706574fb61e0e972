"""sonoray train translate: the networks from colour-flow to B-mode videos, on simulated pairs."""

import argparse
import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sonoray
from sonoray._checks import count
from sonoray._progress import progress
from sonoray.training.requirements import use_torch

from ._training import add_reuse, add_running, check_modes, check_reuse, check_start, report, running_options

_ROLES = ("coarse", "refine", "mask")
_CHECKPOINTS = [f"{role}.pt" for role in _ROLES]
_MOST_SEED = 400_000  # twice as much and one more are still below those for judging
_ABLATED_STEPS = 600
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
    check_modes(args)
    check_reuse(args, ["*.pt"] if args.ablate else _CHECKPOINTS)
    check_start(args, "coarse.pt")
    if args.ablate and args.tensorboard:
        raise sonoray.ArgumentError("tensorboard: expected no --ablate, whose log is ablation.md")
    count("seed", args.seed, 0, _MOST_SEED)
    networks = _networks(args)
    options = {"seed": args.seed, **running_options(args)}
    begin = time.perf_counter()
    figures = (_ablated if args.ablate else _trained)(args, networks, options)
    figures["seconds"] = round(time.perf_counter() - begin, 1)
    report(figures, as_json=args.json)


@dataclass(frozen=True)
class _Networks:
    """What is to be trained: settings of the coarse network and of the refinement, steps of the mask network."""

    coarse: Any
    refine: Any
    mask_steps: int


def _clips(args: argparse.Namespace) -> tuple[Any, Any, Any, str]:
    """Clips to train on, to validate on, to judge ablations on (else None), digest of the first's plan."""
    from sonoray.simulation.flow_scenes import SCENES
    from sonoray.training.color_flow.data import ClipPlan, digest_of, load_clips, read_backgrounds

    n = count("clips", args.clips if args.clips is not None else 8 if args.quick else 240, 4, 10_000_000)
    shape, frames = ((48, 48), 4) if args.quick else ((96, 96), 8)
    plan = ClipPlan(n, shape, frames, 2 * args.seed, SCENES, _HAZY)
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


def _networks(args: argparse.Namespace) -> _Networks:
    from sonoray.training.color_flow.recipe import PUBLISHED, PUBLISHED_REFINE, CoarseSettings, RefineSettings

    base = PUBLISHED if args.published else CoarseSettings()
    if args.quick:
        base = replace(base, width=4, steps=4, batch=1, size=32)
    elif args.ablate:
        base = replace(base, steps=_ABLATED_STEPS)
    names = ("steps", "batch", "size", "width", "mask_weight", "structure", "rate")
    given: dict[str, Any] = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.convolutions is not None:
        given["gated"] = args.convolutions == "gated"
    coarse = replace(base, **given)
    share = max(1, coarse.steps // (2 if args.ablate else 4))
    refine_steps = count("refine_steps", share if args.refine_steps is None else args.refine_steps, int(args.ablate))
    mask_steps = count("mask_steps", share if args.mask_steps is None else args.mask_steps, 0)
    refine = replace(PUBLISHED_REFINE if args.published else RefineSettings(), batch=coarse.batch, size=coarse.size)
    refine = replace(refine, width=4, critic_width=4) if args.quick else refine
    return _Networks(coarse, replace(refine, steps=refine_steps) if refine_steps else None, mask_steps)


def _trained(args: argparse.Namespace, networks: _Networks, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.color_flow import export
    from sonoray.training.color_flow.recipe import train_coarse, train_mask, train_refine
    from sonoray.training.hardware import is_first
    from sonoray.training.loops import load_kept
    from sonoray.training.parameters import n_parameters, weights_digest

    settings, refine = networks.coarse, networks.refine
    start, begun = None, ""
    if args.start is not None:
        start, begin = args.start / "coarse.pt", settings.network()
        load_kept(begin, start)  # refused, before any work, where the network is another
        begun = weights_digest(begin.state_dict())
    clips, held_out, _, digest = _clips(args)
    if is_first() and not args.resume:  # else a run killed early would leave some of the earlier one beside its own
        for name in (export.NOTE, *_CHECKPOINTS, *(f"color_flow_{role}.onnx" for role in _ROLES)):
            (args.out / name).unlink(missing_ok=True)
    network, error = train_coarse(settings, clips, held_out, args.out, start=start, **options)
    notes = {"coarse": export.coarse_note(settings, "coarse", args.seed, begun)}
    if refine is not None:
        train_refine(refine, network, settings.kind, clips, args.out, **options)
        notes["refine"] = export.refine_note(refine, "refine", args.seed)
    if networks.mask_steps:
        train_mask(clips, args.out, steps=networks.mask_steps, **options)
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


def _ablated(args: argparse.Namespace, networks: _Networks, options: dict[str, Any]) -> dict[str, Any]:
    from sonoray.training.color_flow.ablation import run_ablation
    from sonoray.training.hardware import is_first

    clips, held_out, judged, digest = _clips(args)
    steps = {"steps": networks.coarse.steps, "refine_steps": networks.refine.steps}
    told = {name: value for name, value in options.items() if name != "tensorboard"}
    rows = run_ablation(networks.coarse, networks.refine, clips, held_out, judged, args.out, **steps, **told)
    if is_first():
        print((args.out / "ablation.md").read_text())
    return {"clips": digest, "ssim_in_mask": {row.name: round(row.mean_ssim_mask, 4) for row in rows}}
