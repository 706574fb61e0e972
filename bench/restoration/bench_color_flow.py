"""Colour-flow to B-mode: quality on held-out clips by quartile of coverage, against inpainting; and speed.

Judged as shown: results are pasted into the input's grey. `GMSD` (gradient magnitude similarity deviation, the less
the better, re-implemented from Xue et al., IEEE TIP 23(2), 2014, with its published constant) stands beside
SSIM as the perceptual measure; "texture" is the texture ratio inside the mask.

    PYTHONPATH=python python bench/restoration/bench_color_flow.py quality [--clips 48] [--cache FOLDER]
        [--models LABEL=FOLDER ...] [--scenes organ] [--json FILE]
    PYTHONPATH=python python bench/restoration/bench_color_flow.py picture -o FILE.png [--clips 8]
    PYTHONPATH=python python bench/restoration/bench_color_flow.py speed [--models FOLDER] [--rounds 5]

Without --models the shipped networks are judged; a folder is one that `sonoray train translate` made.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from scipy.ndimage import convolve

from bench.restoration.color_flow_cases import BASELINES, held_out
from sonoray.assets import load_color_flow_translator
from sonoray.restoration.color_flow import ColorFlowTranslator
from sonoray.restoration.frame_channels import classical_fill, grey_of
from sonoray.restoration.quality import psnr, ssim, texture_ratio

_PREWITT = np.array([[1, 0, -1]] * 3) / 3.0
_GMSD_C = 0.0026  # for values from 0 to 1


def gmsd(image, truth, mask):
    """Deviation of the similarity of gradient magnitudes over what is masked."""
    maps = []
    for a, b in zip(image, truth, strict=True):
        m = [np.hypot(convolve(v, _PREWITT, mode="nearest"), convolve(v, _PREWITT.T, mode="nearest")) for v in (a, b)]
        maps.append((2 * m[0] * m[1] + _GMSD_C) / (m[0] ** 2 + m[1] ** 2 + _GMSD_C))
    return float(np.std(np.stack(maps)[mask])) if mask.any() else float("nan")


def figures(results, clips):
    """Mean figures of results (uint8) pasted into the truth, per quartile asked for, and over all."""
    rows = {}
    for quartile in (1, 2, 3, 4, "all"):
        own = [k for k, clip in enumerate(clips) if quartile in ("all", clip.quartile) and clip.painted.any()]
        cells = []
        for k in own:
            truth, mask = clips[k].bmode / 255, clips[k].painted
            made = np.where(mask, results[k] / 255, truth)
            cells.append(
                {
                    "ssim_frame": ssim(made, truth),
                    "ssim_mask": ssim(made, truth, mask),
                    "psnr_mask": min(psnr(made, truth, mask), 60.0),
                    "gmsd_mask": gmsd(made, truth, mask),
                }
            )
        rows[str(quartile)] = {name: float(np.mean([c[name] for c in cells])) for name in cells[0]} if cells else {}
    truth = np.stack([clip.bmode for clip in clips]) / 255
    mask = np.stack([clip.painted for clip in clips])
    made = np.where(mask, np.stack(results) / 255, truth)
    rows["all"]["texture"] = texture_ratio(made, truth, mask)
    both = mask[:, 1:] & mask[:, :-1]
    rows["all"]["flicker"] = float(255 * np.abs(np.diff(made - truth, axis=1))[both].mean())
    return rows


def blurred(clip):
    """What a method could give that knew the truth but for its speckle: the truth blurred by 1.5 pixels and frames."""
    from scipy.ndimage import gaussian_filter

    return np.rint(gaussian_filter(clip.bmode.astype(float), 1.5)).astype(np.uint8)


def translators(args):
    """Label -> function from a clip to grey levels."""
    found = {}
    for given in args.models or ["shipped"]:
        label, _, folder = given.rpartition("=")
        if folder == "shipped":
            plan = load_color_flow_translator()
        else:
            root = Path(folder)
            refine = root / "color_flow_refine.onnx"
            plan = ColorFlowTranslator(root / "color_flow_coarse.onnx", refine=refine if refine.exists() else None)
        name = label or folder
        found[name] = lambda clip, plan=plan: plan(clip.color, clip.painted).frames
        if plan.refine is not None:
            found[f"{name}, refined"] = lambda clip, plan=plan: plan(clip.color, clip.painted, stage="refined").frames
    return found


def quality(args):
    """Tables of all methods."""
    clips = held_out(args.clips, args.cache, scenes=tuple(args.scenes) if args.scenes else None)
    methods = {"grey of the colour": lambda clip: grey_of(clip.color)}
    if not args.no_baselines:
        methods |= {name: lambda clip, f=f: f(clip.color, clip.painted) for name, f in BASELINES.items()}
    methods["start (no network)"] = lambda clip: classical_fill(clip.color, clip.painted)
    methods |= translators(args)
    methods["truth, blurred (a bound)"] = blurred
    table = {}
    print("| method | Q1 frame / mask | Q2 | Q3 | Q4 | SSIM frame | SSIM mask | PSNR mask | GMSD | texture | flicker |")
    print("|---|" + "---|" * 10)
    for name, method in methods.items():
        rows = figures([method(clip) for clip in clips], clips)
        table[name] = rows
        quartiles = [f"{rows[q]['ssim_frame']:.3f} / {rows[q]['ssim_mask']:.3f}" if rows[q] else "-" for q in "1234"]
        a = rows["all"]
        rest = [f"{a['ssim_frame']:.3f}", f"{a['ssim_mask']:.3f}", f"{a['psnr_mask']:.1f}", f"{a['gmsd_mask']:.3f}"]
        print(f"| {name} | " + " | ".join([*quartiles, *rest, f"{a['texture']:.2f}", f"{a['flicker']:.1f}"]) + " |")
    if args.json:
        Path(args.json).write_text(json.dumps(table, indent=2))


def picture(args):
    """A contact sheet: one clip per row; input, truth, best inpainting, start, results."""
    from PIL import Image

    clips = held_out(args.clips, args.cache, scenes=tuple(args.scenes) if args.scenes else None)
    columns = [lambda clip: clip.color, lambda clip: clip.bmode]
    columns += [lambda clip, f=f: f(clip.color, clip.painted) for name, f in BASELINES.items() if "Telea" in name]
    columns += [lambda clip: classical_fill(clip.color, clip.painted), *translators(args).values()]
    rows = []
    for clip in clips:
        frame = clip.bmode.shape[0] // 2
        cells = [method(clip)[frame] for method in columns]
        rows.append(np.hstack([c if c.ndim == 3 else np.repeat(c[..., None], 3, axis=-1) for c in cells]))
    sheet = Image.fromarray(np.vstack(rows))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(args.output)


def speed(args):
    """Frames per second of the shipped coarse network: ONNX Runtime, PyTorch eager, torch.compile; one thread."""
    import torch

    from sonoray.training.color_flow.export import load_network, read_note

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    plan = load_color_flow_translator()
    contenders = {}
    root = Path(args.models[0].rpartition("=")[2]) if args.models else None
    if root is not None:
        module = load_network(root, "coarse", read_note(root)["networks"]["coarse"]).eval()
        contenders["PyTorch eager"] = module
        contenders["torch.compile"] = torch.compile(module)
    for shape in ((96, 96), (256, 256)):
        channels = rng.random((1, 11, 8, *shape), dtype=np.float32)
        times = {"ONNX Runtime": lambda c=channels: plan.coarse(c)}
        for name, module in contenders.items():
            times[name] = lambda c=channels, m=module: _inferred(m, c)
        color = rng.integers(0, 256, (8, *shape, 1), dtype=np.uint8).repeat(3, axis=-1)
        mask = np.zeros(color.shape[:3], bool)
        mask[:, shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4] = True
        times["translator, all of it"] = lambda c=color, m=mask: plan(c, m)
        for name, run in times.items():
            run()
            spent = []
            for _ in range(args.rounds):
                begin = time.process_time()
                run()
                spent.append(time.process_time() - begin)
            rate = 8 / float(np.median(spent))
            print(f"| {shape[0]} x {shape[1]} | {name} | {rate:.1f} frames per CPU-second |")


def _inferred(module, channels):
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(channels))


def main():
    form = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    form.add_argument("what", choices=["quality", "picture", "speed"])
    form.add_argument("--clips", type=int, default=48)
    form.add_argument("--cache", type=Path, default=Path("color_flow_cases"))
    form.add_argument("--models", nargs="+", metavar="LABEL=FOLDER")
    form.add_argument("--scenes", nargs="+")
    form.add_argument("--no-baselines", action="store_true")
    form.add_argument("--rounds", type=int, default=5)
    form.add_argument("--json", type=Path)
    form.add_argument("-o", "--output", type=Path, default=Path("color_flow.png"), help="of the picture")
    args = form.parse_args()
    {"quality": quality, "picture": picture, "speed": speed}[args.what](args)


if __name__ == "__main__":
    main()
