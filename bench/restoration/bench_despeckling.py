"""Despeckling against filters and blind-spot networks: simulated speckle with known truth, real images, speed.

    PYTHONPATH=python python bench/restoration/bench_despeckling.py simulated [--models A.onnx B.onnx ...]
    PYTHONPATH=python python bench/restoration/bench_despeckling.py real --images FOLDER [--every N]
    PYTHONPATH=python python bench/restoration/bench_despeckling.py speed

Simulated: settings are tuned on SSIM over 6 images of 128 x 128 pixels (shapes, layers, blobs), judged on 12 of
176 x 176 (vessels, organ) with other seeds. Real: settings are those of the simulated set, images are judged where they
are. ``--blind-spot FOLDER`` trains Noise2Void and Noise2Self there, or goes on, for ``--steps`` updates of our network
and recipe: on the simulated images that ``sonoray train despeckle --simulated`` makes of the same seed, and on the
pictures in ``--training FOLDER``. Both are judged with one pass and with as many as the shipped model makes.
``--settings FILE`` keeps the scores of all settings between runs; a best setting at the edge
of its grid is warned of.
"""

import argparse
import hashlib
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.restoration.despeckling_baselines import classical, tuned
from bench.restoration.edge_sharpness import sharpness_ratio
from sonoray.assets import load_despeckler
from sonoray.io.images import read_images
from sonoray.io.writing import atomic
from sonoray.restoration.despeckling import Despeckler
from sonoray.restoration.images import Planes
from sonoray.restoration.quality import homogeneity, psnr, ssim
from sonoray.training.despeckling.data import TRAINING_FAMILIES, simulated_image, speckle_deviation

TUNING_SEED, JUDGED_SEED = 10_000, 20_000
JUDGED_FAMILIES = ("vessels", "organ")
COLUMNS = {
    "simulated": ("SSIM", "PSNR", "MS-SSIM", "homogeneity", "bias"),
    "real": ("homogeneity", "edge sharpness", "CNR", "looks", "low-pass correlation", "bias"),
}


def drawn(n, seed, size, families):
    """Noisy and clean images, (n, size, size) each."""
    pairs = [simulated_image(np.random.default_rng([seed, k]), size, families) for k in range(n)]
    return np.stack([p.image for p in pairs]), np.stack([p.clean for p in pairs])


def multiscale_ssim(found, clean):
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    return float(measure(*(torch.from_numpy(np.asarray(a))[None, None] for a in (found, clean)), data_range=1.0))


def simulated_figures(found, noisy, clean):
    each = np.array(
        [
            (ssim(a, c), psnr(a, c), multiscale_ssim(a, c), homogeneity(a), float((a - n).mean()))
            for a, n, c in zip(found, noisy, clean, strict=True)
        ]
    )
    return each.mean(0), each[:, 0]


def real_figures(found, noisy):
    """Means over the images; regions are found in the image before, the same for every method."""
    from scipy.ndimage import gaussian_filter

    each = []
    for after, before in zip(found, noisy, strict=True):
        smooth = gaussian_filter(before, 6)
        slope = gaussian_filter(np.hypot(*np.gradient(smooth)), 6)
        inner = np.zeros(before.shape, bool)
        inner[20:-20, 20:-20] = True
        flat = inner & (slope < np.quantile(slope[inner], 0.2))
        bright = flat & (smooth > np.quantile(smooth[flat], 0.75))
        dark = flat & (smooth < np.quantile(smooth[flat], 0.25))
        contrast = abs(after[bright].mean() - after[dark].mean())
        noise = np.sqrt((after[bright].var() + after[dark].var()) / 2)
        low = [gaussian_filter(a, 8)[inner] for a in (after, before)]
        looks = after[bright].mean() ** 2 / after[bright].var()
        each.append(
            (
                homogeneity(after),
                sharpness_ratio(after, before),
                contrast / noise,
                looks,
                np.corrcoef(*low)[0, 1],
                float((after - before).mean()),
            )
        )
    return np.mean(each, 0)


def gaming(images):
    """What raises homogeneity and is no despeckling."""
    return {"gamma 3": images**3, "8 grey levels": np.round(images * 7) / 7}


def table(kind, rows):
    print("| method | " + " | ".join(COLUMNS[kind]) + " |")
    print("|---|" + "---|" * len(COLUMNS[kind]))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{v:.2f}" if abs(v) >= 5 else f"{v:.3f}" for v in row) + " |")


def settings_of(path, with_slow, processes=1):
    """Tuned settings of the classical filters; scores are kept in ``path``, for the same tuning images."""
    noisy, clean = drawn(6, TUNING_SEED, 128, TRAINING_FAMILIES)
    digest = hashlib.sha256(noisy.tobytes() + clean.tobytes()).hexdigest()
    kept = json.loads(path.read_text()) if path and path.exists() else {}
    if kept.get("images") != digest:
        kept = {"images": digest, "scores": {}}

    def keep():
        if path:
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(kept, indent=1))

    true = [float((a - b)[b > 0.1].std()) for a, b in zip(noisy, clean, strict=True)]
    found = []
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        for method in classical(with_slow):
            deviations = true if "true" in method.name else [speckle_deviation(i) for i in noisy]
            scores = kept["scores"].setdefault(method.name, {})
            run = map if pool is None else pool.map
            found.append((method, tuned(method, noisy, clean, deviations, ssim, scores=scores, run=run, keep=keep)))
            print(f"tuned {method.name}: {found[-1][1]}", file=sys.stderr, flush=True)
    return found


def despecklers(args):
    named = {path.parent.name + "/" + path.stem: Despeckler(path) for path in args.models}
    shipped = load_despeckler()
    return {"Speckle2Self, shipped": shipped, **named, **blind_spot(args, shipped.passes)}


def blind_spot(args, passes):
    if args.blind_spot is None:
        return {}
    import torch

    from bench.restoration.blind_spot import BLIND_SPOT, blind_spot_despeckler
    from sonoray.training.despeckling.data import TrainingImages, simulated_images
    from sonoray.training.despeckling.pictures import images_in
    from sonoray.training.despeckling.recipe import DEFAULT

    torch.set_num_threads(args.threads)
    images = images_in(args.training, every=args.training_every) + simulated_images(args.simulated, args.seed)
    data = TrainingImages(images, separate=False)
    recipe = replace(DEFAULT, steps=args.steps, seed=args.seed)
    found = {}
    for name in BLIND_SPOT:
        once = blind_spot_despeckler(name, data, recipe, args.blind_spot)
        found[f"{name}, {args.steps} steps"] = once
        if passes > 1:
            found[f"{name}, {args.steps} steps, {passes} passes"] = Despeckler(once.model, passes=passes)
    return found


def simulated(args):
    noisy, clean = drawn(args.images_judged, JUDGED_SEED, 176, JUDGED_FAMILIES)
    results = {"input": noisy, **gaming(noisy)}
    for method, setting in settings_of(args.settings, not args.fast, args.processes):
        if "true" in method.name:
            deviations = [float((a - b)[b > 0.1].std()) for a, b in zip(noisy, clean, strict=True)]
        else:
            deviations = [speckle_deviation(i) for i in noisy]
        results[method.name] = np.stack([method(i, d, setting) for i, d in zip(noisy, deviations, strict=True)])
    for name, despeckle in despecklers(args).items():
        results[name] = despeckle(noisy)
    rows, similar = {}, {}
    for name, found in results.items():
        rows[name], similar[name] = simulated_figures(found, noisy, clean)
    table("simulated", rows)
    ours = similar["Speckle2Self, shipped"]
    print("\nimages on which the shipped model has the larger SSIM:")
    for name, other in similar.items():
        print(f"  {name}: {int((ours > other).sum())} of {len(ours)}, by {np.mean(ours - other):+.4f}")
    if args.save:
        np.savez_compressed(args.save, clean=clean, **results)


def real(args):
    images = [Planes(image).values[0] for _, image in read_images(args.images)][:: args.every]
    results = {"input": images, **{k: [g[k] for g in map(gaming, images)] for k in gaming(images[0])}}
    deviations = [speckle_deviation(i) for i in images]
    for method, setting in settings_of(args.settings, not args.fast, args.processes):
        if "true" not in method.name:
            results[method.name] = [method(i, d, setting) for i, d in zip(images, deviations, strict=True)]
    for name, despeckle in despecklers(args).items():
        results[name] = [despeckle(i) for i in images]
    table("real", {name: real_figures(found, images) for name, found in results.items()})
    if args.save:
        np.savez_compressed(args.save, **{name: np.stack(found[:2]) for name, found in results.items()})


def speed(args):
    import torch

    from sonoray.training.despeckling.export import _Used
    from sonoray.training.despeckling.networks import NetworkSettings, Speckle2Self

    torch.set_num_threads(args.threads)
    despeckle = load_despeckler()
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in despeckle.spec.settings["network"].items()}
    eager = _Used(Speckle2Self(NetworkSettings(**settings))).eval()  # time does not depend on the weights
    image = np.random.default_rng(0).random((1, 1, 512, 512), np.float32)
    x = torch.from_numpy(image)
    calls = {"ONNX Runtime": lambda: despeckle.model(image), "torch eager": lambda: eager(x)}
    if not args.fast:
        compiled = torch.compile(eager)
        calls["torch.compile"] = lambda: compiled(x)
    print(f"512 x 512, {args.threads} thread(s), median of {args.rounds} rounds, CPU time of the process")
    with torch.inference_mode():
        for name, call in calls.items():
            call()
            seconds = []
            for _ in range(args.rounds):
                begin = time.process_time()
                call()
                seconds.append(time.process_time() - begin)
            print(f"  {name}: {1 / np.median(seconds):.1f} images per CPU-second")


def main(arguments=None):
    form = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form.add_argument("kind", choices=["simulated", "real", "speed"])
    form.add_argument("--models", type=Path, nargs="+", default=[], help="further models, other seeds, say")
    form.add_argument("--images", type=Path, help="folder of real images")
    form.add_argument("--every", type=int, default=1, help="judge one real image of so many")
    form.add_argument("--images-judged", type=int, default=12)
    form.add_argument("--settings", type=Path, help="file that keeps the scores of settings")
    form.add_argument("--processes", type=int, default=1, help="that tune the filters (default: 1)")
    form.add_argument("--save", type=Path, help="results as .npz")
    form.add_argument("--fast", action="store_true", help="leave out what takes seconds an image")
    form.add_argument("--blind-spot", type=Path, metavar="FOLDER", help="train Noise2Void and Noise2Self there, too")
    form.add_argument("--training", type=Path, nargs="+", default=[], metavar="FOLDER", help="pictures for them")
    form.add_argument("--training-every", type=int, default=1, metavar="N", help="take one of N of those")
    form.add_argument("--simulated-training", dest="simulated", type=int, default=66, metavar="N")
    form.add_argument("--steps", type=int, default=1500, help="of the blind-spot networks (default: 1500)")
    form.add_argument("--seed", type=int, default=0, help="of the blind-spot networks (default: 0)")
    form.add_argument("--threads", type=int, default=1)
    form.add_argument("--rounds", type=int, default=9)
    args = form.parse_args(arguments)
    if args.kind == "real" and args.images is None:
        form.error("real: expected --images FOLDER")
    {"simulated": simulated, "real": real, "speed": speed}[args.kind](args)


if __name__ == "__main__":
    main()
