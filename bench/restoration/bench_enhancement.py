"""Blind enhancement against baselines: quality, resolution, speed.

``python -m bench.restoration.bench_enhancement FOLDER --images PICTURES [--parts quality resolution speed]`` prints the
tables of docs/enhancement.md as Markdown; FOLDER holds the runs of `enhancement_runs`. Baselines that have a parameter
get it from the tuning set, per condition; BM3D and NLM are told the noise, which the networks are not.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

from sonoray.assets import load_enhancer
from sonoray.restoration.enhancement import Enhancer
from sonoray.restoration.quality import psnr, ssim
from sonoray.simulation.degradations import add_fourier_noise, add_gaussian_noise, add_speckle, blur
from sonoray.training.enhancement.data import (
    NATURAL_TEST,
    NATURAL_TUNING,
    low_rank_pairs,
    natural_pairs,
    phantom_pairs,
)
from sonoray.training.enhancement.recipe import CONDITIONS
from sonoray.training.pictures import images_in

from .resolution_study import resolution_table

Image = NDArray[np.float32]
Method = Callable[[Image], Image]

TEST_CONDITIONS = {
    **CONDITIONS,
    "Gaussian 0.3 (beyond training)": lambda x, rng: add_gaussian_noise(x, 0.3, rng),
    "speckle 0.8 (beyond training)": lambda x, rng: add_speckle(x, 0.8, rng),
    "correlated speckle 0.5": lambda x, rng: add_speckle(x, 0.5, rng, correlation=0.8),
    "blur 13": lambda x, rng: blur(x, 13),
    "blur 9, Fourier 0.1": lambda x, rng: add_fourier_noise(blur(x, 9), 0.1, rng),
}
_TEST_SEED, _TUNING_SEED = 3_000_017, 1_000_001
_MEDIANS, _NLM = (3, 5, 7, 9), (0.6, 0.9, 1.2)
# Seconds per image: only where it is at home, and once where it is not.
_BM3D = ("Gaussian 0.1", "Gaussian 0.2", "Fourier 0.1", "speckle 0.5", "blur 9, Gaussian 0.1")
_FLOOR = 0.01  # BM3D and NLM need some noise


def test_sets(images: Sequence[Path], cache: Path, n_phantoms: int) -> dict[str, list[tuple[Image, Image]]]:
    """What is degraded, and what should come out, per kind of image."""
    photograph = natural_pairs(NATURAL_TEST)[0][0]
    crops = [photograph[r : r + 192, c : c + 192] for r, c in ((60, 120), (250, 200))]
    sets = {
        "phantoms": [(p[0], p[1]) for p in phantom_pairs(n_phantoms, _TEST_SEED)],
        "photograph": [(c, c) for c in crops],
    }
    if images:
        muscles = [pair[:, 40:232, 100:292] for pair in low_rank_pairs(images_in(images), cache)]
        sets["muscle, low-rank image degraded"] = [(m[1], m[1]) for m in muscles]
        sets["muscle, scan degraded"] = [(m[0], m[1]) for m in muscles]
    return sets


def tuning_images() -> list[Image]:
    """Nothing of it is in a test set."""
    return [p[0] for p in phantom_pairs(2, _TUNING_SEED, size=128)] + [
        natural_pairs(NATURAL_TUNING)[0][0][64:192, 64:192]
    ]


class Classical:
    """Median, non-local means and BM3D with the parameter that was best on the tuning set under a condition."""

    def __init__(
        self, name: str, values: Sequence[float], make: Callable[[Image, float, float], Image], only: Sequence[str] = ()
    ) -> None:
        self.name, self.values, self.make, self.only = name, values, make, only

    def wanted(self, condition: str) -> bool:
        """Whether it is worth its time there."""
        return not self.only or condition in self.only

    def tuned(self, degrade: Any) -> Callable[[Image, float], Image]:
        """The best one: (degraded, deviation of the noise) -> image."""
        if len(self.values) == 1:
            return lambda y, noise: np.clip(self.make(y, self.values[0], noise), 0, 1)
        rng = np.random.default_rng(_TUNING_SEED)
        spoilt = [(degrade(x, rng), x) for x in tuning_images()]
        gains = [
            np.mean([psnr(np.clip(self.make(y, v, deviation(y, x)), 0, 1), x) for y, x in spoilt]) for v in self.values
        ]
        best = self.values[int(np.argmax(gains))]
        return lambda y, noise: np.clip(self.make(y, best, noise), 0, 1)


def deviation(degraded: Image, truth: Image) -> float:
    """Of what was added, without what a blur took: the part above the noise's half frequency, for white noise exact."""
    difference = (degraded - truth).astype(np.float64)
    fine = difference - gaussian_filter(difference, 1.0)
    # A Gaussian of deviation 1 leaves 1 - 2 g(0) + sum g^2 of white noise's power.
    kernel = np.zeros((17, 17))
    kernel[8, 8] = 1
    kernel -= gaussian_filter(kernel, 1.0)
    return max(_FLOOR, float(np.sqrt((fine**2).mean() / (kernel**2).sum())))


def _median(image: Image, size: float, _noise: float) -> Image:
    return median_filter(image, int(size), mode="mirror")


def _nlm(image: Image, strength: float, noise: float) -> Image:
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(image, patch_size=5, patch_distance=7, h=strength * noise, sigma=noise, fast_mode=True)


def _bm3d(image: Image, factor: float, noise: float) -> Image:
    import bm3d

    return np.asarray(bm3d.bm3d(image, factor * noise), np.float32)


CLASSICAL = (
    Classical("median", _MEDIANS, _median),
    Classical("NLM", _NLM, _nlm),
    Classical("BM3D, noise known", (1.0,), _bm3d, _BM3D),
)


def network_methods(folder: Path | None, model: Path | None) -> dict[str, Method]:
    """The shipped model through ONNX Runtime, and the runs that are in the folder."""
    shipped = load_enhancer(tile=1024) if model is None else Enhancer(model, tile=1024)
    methods: dict[str, Method] = {"shipped": shipped}
    if folder is None:
        return methods
    from sonoray.training.enhancement.recipe import apply

    from .enhancement_runs import RUNS, load_run

    for name in RUNS:
        if (folder / name / "enhance.pt").exists():
            network = load_run(folder, name)
            methods[name] = lambda x, net=network: apply(net, x)
    return methods


def quality(
    methods: dict[str, Method],
    sets: dict[str, list[tuple[Image, Image]]],
    classical: Sequence[Classical],
    known: dict[str, Any],
    conditions: dict[str, Any],
) -> dict[str, Any]:
    """Mean PSNR and SSIM: set -> condition -> method. What ``known`` holds already is not computed again."""
    for condition, degrade in conditions.items():
        tuned: dict[str, Any] = {}
        for kind, pairs in sets.items():
            row = known.setdefault(kind, {}).setdefault(condition, {})
            for contender in classical:
                if contender.name not in row and contender.name not in tuned and contender.wanted(condition):
                    tuned[contender.name] = contender.tuned(degrade)
            todo = {name: lambda y, _, m=method: m(y) for name, method in methods.items() if name not in row}
            todo |= {name: method for name, method in tuned.items() if name not in row}
            if "input" not in row:
                todo["input"] = lambda y, _: y
            rng, found = np.random.default_rng(_TEST_SEED), {name: [] for name in todo}
            for given, wanted in pairs:
                spoilt = degrade(given, rng)
                noise = deviation(spoilt, given)
                for name, method in todo.items():
                    image = method(spoilt, noise)
                    found[name].append((psnr(image, wanted), ssim(image, wanted)))
            row |= {name: np.mean(values, 0).round(4).tolist() for name, values in found.items()}
            print(kind, condition, {k: [round(x, 3) for x in v] for k, v in row.items()}, flush=True)
    return known


def quality_tables(found: dict[str, Any]) -> str:
    """Markdown: one table per set."""
    lines = []
    for kind, conditions in found.items():
        rows = conditions.values()
        names = list(dict.fromkeys(["input", *(n for row in rows for n in row)]))
        lines += [
            f"\n**{kind}**, PSNR [dB] / SSIM\n",
            f"| condition | {' | '.join(names)} |",
            "|---" * (len(names) + 1) + "|",
        ]
        for condition, row in conditions.items():
            lines.append(f"| {condition} | " + " | ".join(_cell(row, n) for n in names) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, list[float]], name: str) -> str:
    return f"{row[name][0]:.1f} / {row[name][1]:.2f}" if name in row else ""


def speed(sizes: Sequence[int] = (256,)) -> str:
    """Images per second of the shipped network on one thread: ONNX Runtime, eager and compiled PyTorch."""
    import torch

    from sonoray.learning import OnnxModel
    from sonoray.training.enhancement.networks import SwinConvSettings, SwinConvUNet

    torch.set_num_threads(1)
    path = load_enhancer().model.path
    model = OnnxModel(path, threads=1)
    network = SwinConvUNet(SwinConvSettings.from_dict(model.spec.settings["network"])).eval()
    lines = ["| size | ONNX Runtime | PyTorch | torch.compile |", "|---|---|---|---|"]
    with torch.inference_mode():
        for size in sizes:
            image = np.random.default_rng(0).random((1, 1, size, size), np.float32)
            tensor, compiled = torch.from_numpy(image), torch.compile(network, dynamic=False)
            runs = [lambda i=image: model(i), lambda t=tensor: network(t), lambda t=tensor, c=compiled: c(t)]
            times: list[list[float]] = [[], [], []]
            for _ in range(6):
                for k, run in enumerate(runs):
                    begin = time.process_time()
                    run()
                    times[k].append(time.process_time() - begin)
            lines.append(f"| {size} x {size} | " + " | ".join(f"{1 / np.median(t[1:]):.1f}" for t in times) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables asked for."""
    form = argparse.ArgumentParser()
    form.add_argument("folder", type=Path, nargs="?", help="of enhancement_runs")
    form.add_argument("--images", type=Path, nargs="+", default=[], help="B-mode pictures that none was trained on")
    form.add_argument("--cache", type=Path, default=Path("targets"))
    form.add_argument("--model", type=Path, help="instead of the shipped one")
    form.add_argument("--phantoms", type=int, default=4)
    form.add_argument(
        "--parts", nargs="+", choices=["quality", "resolution", "speed"], default=["quality", "resolution"]
    )
    form.add_argument("--conditions", nargs="+", choices=list(TEST_CONDITIONS), default=list(TEST_CONDITIONS))
    form.add_argument("--again", action="store_true", help="judge the shipped model again")
    form.add_argument("--crop", type=int, default=192, help="pixels of an image's side, at most 192 (192)")
    form.add_argument("--only-networks", action="store_true")
    form.add_argument("--only-classical", action="store_true")
    form.add_argument("--json", type=Path, help="figures are kept here, and not computed again")
    args = form.parse_args()
    methods: dict[str, Method] = {}
    if {"quality", "resolution"} & set(args.parts):
        methods = {} if args.only_classical else network_methods(args.folder, args.model)
    if "quality" in args.parts:
        known = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
        if args.again:
            for row in (row for conditions in known.values() for row in conditions.values()):
                row.pop("shipped", None)
        chosen = {name: TEST_CONDITIONS[name] for name in args.conditions}
        sets = {
            kind: [tuple(image[: args.crop, : args.crop] for image in pair) for pair in pairs]
            for kind, pairs in test_sets(args.images, args.cache, args.phantoms).items()
        }
        figures = quality(methods, sets, () if args.only_networks else CLASSICAL, known, chosen)
        print(quality_tables(figures))
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1))
    if "resolution" in args.parts:
        print(resolution_table(methods))
    if "speed" in args.parts:
        print(speed())


if __name__ == "__main__":
    main()
