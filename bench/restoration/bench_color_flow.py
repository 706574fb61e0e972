"""Colour-flow to B-mode: the trained networks on held-out clips beside inpainting, contact sheets, speed.

    PYTHONPATH=python python -m bench.restoration.bench_color_flow quality [--clips 40] [--cache FOLDER]
        [--models LABEL=FOLDER ...] [--set test|tuning|zero-shot|hazy|real] [--backgrounds FOLDER]
        [--baselines [NAME ...]]
    PYTHONPATH=python python -m bench.restoration.bench_color_flow picture -o FILE.png [--clips 8]
    PYTHONPATH=python python -m bench.restoration.bench_color_flow masks [--clips 40]
    PYTHONPATH=python python -m bench.restoration.bench_color_flow speed --models FOLDER [--rounds 5]

Without --models the shipped networks are judged; a folder is one that `sonoray train translate` made. Masks are given,
so that fills are compared alone; `masks` compares what finds them.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from bench.restoration.color_flow_cases import BASELINES, SETS, ZERO_SHOT_SCENE, held_out, table
from sonoray.assets import load_color_flow_translator
from sonoray.imaging.color_overlay import find_color
from sonoray.restoration.color_flow import ColorFlowTranslator
from sonoray.restoration.frame_channels import classical_fill


def blurred(clip_of):
    """A bound: the truth blurred by 1.5 pixels and frames, as a method would give that knew all but the speckle."""
    from scipy.ndimage import gaussian_filter

    def fill(color, mask):
        truth = clip_of(color).bmode
        return np.where(mask, np.rint(gaussian_filter(truth.astype(float), 1.5)).astype(np.uint8), truth)

    return fill


def plans(given):
    """Label -> translator."""
    found = {}
    for entry in given or ["shipped"]:
        label, _, folder = entry.rpartition("=")
        root = Path(folder)
        others = {role: root / f"color_flow_{role}.onnx" for role in ("mask", "refine")}
        found[label or folder] = (
            load_color_flow_translator()
            if folder == "shipped"
            else ColorFlowTranslator(
                root / "color_flow_coarse.onnx", **{role: path for role, path in others.items() if path.exists()}
            )
        )
    return found


def translations(given):
    """Label -> function from colour and mask to grey levels."""
    found = {}
    for label, plan in plans(given).items():
        found[label] = lambda color, mask, plan=plan: plan(color, mask).frames
        if plan.refine is not None:
            found[f"{label}, refined"] = lambda c, m, plan=plan: plan(c, m, stage="refined").frames
    return found


def cases(args):
    """The clips of a set."""
    return held_out(args.set, args.clips, args.cache, args.backgrounds)


def quality(args):
    """Print figures of every method per quartile."""
    if args.set == "zero-shot":
        for label, plan in plans(args.models).items():
            _check_never_saw(label, plan, ZERO_SHOT_SCENE)
    clips = cases(args)
    by_picture = {id(clip.color): clip for clip in clips}
    names = () if args.baselines is None else args.baselines or BASELINES
    methods = {name: BASELINES[name] for name in names}
    methods["start (no network)"] = classical_fill
    methods |= translations(args.models)
    methods["truth, blurred (a bound)"] = blurred(lambda color: by_picture[id(color)])
    table(clips, methods)


def _check_never_saw(label, plan, scene):
    """Zero-shot figures need a model that says what it was trained on."""
    known = plan.coarse.spec.settings.get("scenes")
    if known is None or scene in known:
        said = "does not say" if known is None else f"was trained on {', '.join(known)}"
        raise SystemExit(f"{label}: expected a model trained without {scene!r} (--leave-out), but it {said}")


def picture(args):
    """Write a contact sheet, one clip per row: input, truth, Telea, start, results."""
    from PIL import Image

    columns = [BASELINES["Telea"], classical_fill, *translations(args.models).values()]
    rows = []
    for clip in cases(args):
        frame = clip.bmode.shape[0] // 2
        cells = [clip.color[frame], clip.bmode[frame], *(m(clip.color, clip.painted)[frame] for m in columns)]
        rows.append(np.hstack([c if c.ndim == 3 else np.repeat(c[..., None], 3, axis=-1) for c in cells]))
    sheet = Image.fromarray(np.vstack(rows))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(args.output)


def masks(args):
    """Print Dice, and recall per pixel, of what finds the paint: as drawn, and after JPEG compression."""
    import cv2

    plan = next(iter(plans(args.models).values()))
    finders = {
        "network": lambda f: plan(f, "network").mask,
        "closed form": find_color,
        "both (default)": plan.find,
        "both, grown by 1": lambda f: plan(f, grow=1).mask,
    }
    finders["closed form, lossless settings"] = lambda f: find_color(f, threshold=1, opening=1, grow=0)
    print("| mask | Dice / recall, as drawn | JPEG, quality 85 |\n|---|---|---|")
    clips = cases(args)
    for name, find in finders.items():
        scores = [[], []]
        for clip in clips:
            coded = [cv2.imencode(".jpg", f[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 85))[1] for f in clip.color]
            packed = np.ascontiguousarray(np.stack([cv2.imdecode(c, 1)[..., ::-1] for c in coded]))
            for own, color in zip(scores, (clip.color, packed), strict=True):
                found = find(color)
                both = (found & clip.painted).sum()
                own.append((2 * both / max(found.sum() + clip.painted.sum(), 1), both / max(clip.painted.sum(), 1)))
        cells = [" / ".join(f"{v:.3f}" for v in np.mean(own, axis=0)) for own in scores]
        print(f"| {name} | {cells[0]} | {cells[1]} |")


def speed(args):
    """Print frames per CPU-second of the coarse network in ONNX Runtime, PyTorch eager and torch.compile."""
    import torch

    from sonoray.training.color_flow.export import load_network, read_note

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    root = Path(args.models[0].rpartition("=")[2])
    plan = ColorFlowTranslator(root / "color_flow_coarse.onnx")
    module = load_network(root, "coarse", read_note(root)["networks"]["coarse"])
    compiled = torch.compile(module)
    print("| frames of | what | frames per CPU-second |\n|---|---|---|")
    for shape in ((96, 96), (256, 256)):
        channels = rng.random((1, 11, 8, *shape), dtype=np.float32)
        color = rng.integers(0, 256, (8, *shape, 1), dtype=np.uint8).repeat(3, axis=-1)
        mask = np.zeros(color.shape[:3], bool)
        mask[:, shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4] = True
        runs = {
            "network, ONNX Runtime": lambda c=channels: plan.coarse(c),
            "network, PyTorch eager": lambda c=channels: _inferred(module, c),
            "network, torch.compile": lambda c=channels: _inferred(compiled, c),
            "translator, all of it": lambda c=color, m=mask: plan(c, m),
        }
        for name, run in runs.items():
            run()
            spent = []
            for _ in range(args.rounds):
                begin = time.process_time()
                run()
                spent.append(time.process_time() - begin)
            print(f"| {shape[0]} x {shape[1]} | {name} | {8 / float(np.median(spent)):.1f} |", flush=True)


def _inferred(module, channels):
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(channels))


def main():
    """Run what was asked for."""
    form = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = {"quality": quality, "picture": picture, "masks": masks, "speed": speed}
    form.add_argument("what", choices=jobs)
    form.add_argument("--clips", type=int, default=40)
    form.add_argument("--cache", type=Path)
    form.add_argument("--models", nargs="+", metavar="LABEL=FOLDER")
    form.add_argument("--set", choices=SETS, default="test")
    form.add_argument("--backgrounds", type=Path, help="B-mode pictures for --set real")
    form.add_argument("--baselines", nargs="*", choices=BASELINES, help="inpainting beside; without names all of it")
    form.add_argument("--rounds", type=int, default=5)
    form.add_argument("-o", "--output", type=Path, default=Path("color_flow.png"))
    args = form.parse_args()
    jobs[args.what](args)


if __name__ == "__main__":
    main()
