"""Despeckling against filters and blind-spot networks: simulated speckle with known truth, real images, speed.

    PYTHONPATH=python python bench/restoration/bench_despeckling.py simulated [--models A.onnx B.onnx ...]
    PYTHONPATH=python python bench/restoration/bench_despeckling.py real --images FOLDER [--every N]
    PYTHONPATH=python python bench/restoration/bench_despeckling.py speed

Simulated: settings are tuned on SSIM over 6 images of 128 x 128 pixels (shapes, layers, blobs), judged on 12 of
176 x 176 (vessels, organ) with other seeds; of blind-spot networks the number of passes is such a setting. Real:
settings are those of the simulated set, images are judged where they are. ``--models`` are judged beside the shipped
one; those in folders called seed... with the mean and range of them all. ``--blind-spot FOLDER`` trains Noise2Void and
Noise2Self there, or goes on, for ``--steps`` updates of our network and recipe: on the simulated images that ``sonoray
train despeckle --simulated`` makes of the same seed, and on the pictures in ``--training FOLDER``. ``--settings FILE``
keeps scores of settings and figures of judged images between runs; a best setting at the edge of its grid is warned of.
"""

import argparse
import hashlib
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.restoration.despeckling_baselines import Baseline, classical, label, tuned
from bench.restoration.doc_tables import put
from bench.restoration.edge_sharpness import sharpness_ratio, strongest_edges
from sonoray.assets import load_despeckler
from sonoray.io.images import read_images
from sonoray.io.writing import atomic
from sonoray.restoration.despeckling import Despeckler
from sonoray.restoration.images import Planes
from sonoray.restoration.quality import homogeneity, psnr, ssim
from sonoray.training.despeckling.data import TRAINING_FAMILIES, simulated_image, speckle_deviation

TUNING_SEED, JUDGED_SEED = 10_000, 50_000
PASSES = (1, 2, 3, 4, 5)
OURS = "Speckle2Self"
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
    """One row per image."""
    return np.array(
        [
            (ssim(a, c), psnr(a, c), multiscale_ssim(a, c), homogeneity(a), float((a - n).mean()))
            for a, n, c in zip(found, noisy, clean, strict=True)
        ]
    )


def real_figures(found, noisy, edges):
    """One row per image; regions are found in the image before, the same for every method."""
    from scipy.ndimage import gaussian_filter

    each = []
    for after, before, strongest in zip(found, noisy, edges, strict=True):
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
                sharpness_ratio(after, before, strongest),
                contrast / noise,
                looks,
                np.corrcoef(*low)[0, 1],
                float((after - before).mean()),
            )
        )
    return np.array(each)


def gaming(images):
    """What raises homogeneity and is no despeckling."""
    return {"gamma 3": images**3, "8 grey levels": np.round(images * 7) / 7}


def table(kind, rows):
    """Markdown: a row of means for each method, and one of means and ranges where rows have several."""
    lines = ["| method | " + " | ".join(COLUMNS[kind]) + " |", "|---|" + "---|" * len(COLUMNS[kind])]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(row if isinstance(row, list) else [_cell(v) for v in row]) + " |")
    return "\n".join(lines)


def _cell(value):
    return f"{value:.2f}" if abs(value) >= 5 else f"{value:.3f}"


class Kept:
    """Scores of settings on the tuning images and figures of judged ones, from run to run in a file if there is one."""

    def __init__(self, path):
        self.path = path
        self.values = json.loads(path.read_text()) if path and path.exists() else {}

    def part(self, *names):
        """A dictionary, made when absent."""
        found = self.values
        for name in names:
            found = found.setdefault(name, {})
        return found

    def save(self):
        if self.path:
            with atomic(self.path) as temporary:
                temporary.write_text(json.dumps(self.values, indent=1))


def contenders(args, kept):
    """Every method with the setting that is best on the tuning images: (method, key of its own, setting)."""
    noisy, clean = drawn(6, TUNING_SEED, 128, TRAINING_FAMILIES)
    true = [float((a - b)[b > 0.1].std()) for a, b in zip(noisy, clean, strict=True)]
    estimated = [speckle_deviation(i) for i in noisy]
    found = []
    with ProcessPoolExecutor(args.processes) if args.processes > 1 else nullcontext() as pool:
        chosen = [method for method in classical(not args.fast) if method.name not in args.without]
        filters = [(method, method.name, map if pool is None else pool.map) for method in chosen]
        for method, key, run in [*filters, *((*each, map) for each in networks(args))]:
            scores = kept.part("tuning", digest_of(noisy, clean), key)
            deviations = true if "true" in method.name else estimated
            known = [setting for setting in method.grid if label(setting) in scores]
            if args.settled and known:
                found.append((method, key, max(known, key=lambda setting: scores[label(setting)])))
                continue
            best = tuned(method, noisy, clean, deviations, ssim, scores=scores, run=run, keep=kept.save)
            print(f"tuned {method.name}: {best}, SSIM {scores[label(best)]:.4f}", file=sys.stderr, flush=True)
            found.append((method, key, best))
    return found


def digest_of(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def networks(args):
    """The models as methods whose setting is the number of passes, each with a key of its own.

    Ours are judged with the passes that the shipped file asks for, the shipped one with others, too.
    """
    shipped = load_despeckler()
    path = Path(shipped.model.path)
    rows = [(f"{OURS}, shipped", path, [shipped.passes])]
    rows += [(f"{OURS}, as shipped but", path, [n]) for n in PASSES if n != shipped.passes]
    rows += [(f"{OURS}, {each.parent.name}", each, [shipped.passes]) for each in args.models]
    rows += [(name, each, [0, *PASSES]) for name, each in blind_spot(args).items()]
    return [
        (
            Baseline(name, partial(_passes, each), tuple({"passes": n} for n in passes)),
            f"network {digest_of(np.frombuffer(each.read_bytes(), np.uint8))}",
        )
        for name, each, passes in rows
    ]


def _passes(path, image, _deviation, passes):
    given = image.astype(np.float32)
    return Despeckler(path, passes=passes)(given) if passes else given


def blind_spot(args):
    if args.blind_spot is None:
        return {}
    import torch

    from bench.restoration.blind_spot import BLIND_SPOT, blind_spot_despeckler
    from sonoray.training.despeckling.data import TrainingImages, simulated_images
    from sonoray.training.despeckling.recipe import DEFAULT
    from sonoray.training.pictures import images_in

    torch.set_num_threads(args.threads)
    images = images_in(args.training, every=args.training_every) + simulated_images(args.simulated, args.seed)
    data = TrainingImages(images, separate=False)
    recipe = replace(DEFAULT, steps=args.steps, seed=args.seed)
    found = {}
    for name in BLIND_SPOT:
        trained = blind_spot_despeckler(name, data, recipe, args.blind_spot)
        found[f"{name}, {args.steps} steps"] = Path(trained.model.path)
    return found


def judged(args, kind, images, figures, true=None):
    """Print a table: every method on the judged images, ``figures(found)`` of each row; returns what was found."""
    kept = Kept(args.settings)
    rows, found = {}, {"input": images, **{k: [g[k] for g in map(gaming, images)] for k in gaming(images[0])}}
    known = kept.part("judged", kind, digest_of(*images))
    for name, images_found in found.items():
        rows[name] = figures(images_found)
    deviations = [speckle_deviation(i) for i in images]
    for method, own, setting in contenders(args, kept):
        if "true" in method.name and true is None:
            continue
        name = f"{method.name} ({', '.join(f'{k} {v:g}' for k, v in setting.items())})"
        key = f"{own} {label(setting)}"
        if key not in known or args.save:
            noise = true if "true" in method.name else deviations
            found[name] = [method(i, d, setting) for i, d in zip(images, noise, strict=True)]
            known[key] = np.asarray(figures(found[name])).tolist()
            kept.save()
        rows[name] = np.array(known[key])
    text = f"{len(images)} images.\n\n{table(kind, with_spread(rows))}\n\n{compared(kind, rows)}"
    print(text)
    if args.into:
        put(args.into, kind, text)
    return found


def with_spread(rows):
    """Means over images, and a row for the mean and range over the models called "seed..."."""
    means = {name: row.mean(0) for name, row in rows.items()}
    seeds = np.array([row for name, row in means.items() if name.startswith(f"{OURS}, seed")])
    if len(seeds) > 1:
        spread = zip(seeds.mean(0), seeds.min(0), seeds.max(0), strict=True)
        means[f"{OURS}, {len(seeds)} seeds"] = [f"{_cell(m)} ({_cell(a)} to {_cell(b)})" for m, a, b in spread]
    return means


def compared(kind, rows):
    """The shipped network image by image with every other method."""
    ours = next(row for name, row in rows.items() if name.startswith(f"{OURS}, shipped"))
    ahead = {name: ours[:, 0] - row[:, 0] for name, row in rows.items() if row is not ours}
    each = ", ".join(f"{name} {d.mean():+.3f}, {(d > 0).sum()}" for name, d in ahead.items())
    return f"By how much the shipped network's {COLUMNS[kind][0]} is larger, and on how many images: {each}."


def simulated(args):
    noisy, clean = drawn(args.images_judged, JUDGED_SEED, 176, JUDGED_FAMILIES)
    true = [float((a - b)[b > 0.1].std()) for a, b in zip(noisy, clean, strict=True)]
    found = judged(args, "simulated", noisy, lambda results: simulated_figures(results, noisy, clean), true)
    if args.save:
        np.savez_compressed(args.save, clean=clean, **{name: np.stack(each) for name, each in found.items()})


def real_images(folder, every=1, crop=None):
    """One of ``every`` images of a folder, or their middle crop x crop pixels."""
    images = [Planes(image).values[0] for _, image in read_images(folder)][::every]
    if crop:
        corners = [[max(0, (n - crop) // 2) for n in image.shape] for image in images]
        images = [i[r : r + crop, c : c + crop] for i, (r, c) in zip(images, corners, strict=True)]
    return images


def real(args):
    images = real_images(args.images, args.every, args.crop)
    edges = [strongest_edges(image) for image in images]
    found = judged(args, "real", images, lambda results: real_figures(results, images, edges))
    if args.save:
        np.savez_compressed(args.save, **{name: np.stack(each[:2]) for name, each in found.items()})


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
    lines = ["| 512 x 512, one pass | images per CPU-second |", "|---|---|"]
    with torch.inference_mode():
        for name, call in calls.items():
            call()
            seconds = []
            for _ in range(args.rounds):
                begin = time.process_time()
                call()
                seconds.append(time.process_time() - begin)
            lines.append(f"| {name} | {1 / np.median(seconds):.1f} |")
    print(text := "\n".join([*lines, "", f"Medians of {args.rounds}, {args.threads} thread(s)."]))
    if args.into:
        put(args.into, "speed", text)


def main(arguments=None):
    form = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form.add_argument("kind", choices=["simulated", "real", "speed"])
    form.add_argument("--models", type=Path, nargs="+", default=[], help="further models, other seeds, say")
    form.add_argument("--images", type=Path, help="folder of real images")
    form.add_argument("--every", type=int, default=1, help="judge one real image of so many")
    form.add_argument("--crop", type=int, metavar="N", help="judge the middle N x N pixels of real images")
    form.add_argument("--images-judged", type=int, default=12)
    form.add_argument("--settings", type=Path, help="file that keeps the scores of settings")
    form.add_argument("--settled", action="store_true", help="try no further settings where some have scores")
    form.add_argument("--processes", type=int, default=1, help="that tune the filters (default: 1)")
    form.add_argument("--into", type=Path, metavar="FILE", help="put the table into this document, too")
    form.add_argument("--save", type=Path, help="results as .npz")
    form.add_argument("--fast", action="store_true", help="leave out what takes seconds an image")
    form.add_argument("--without", nargs="+", default=[], metavar="NAME", help="leave out these filters")
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
