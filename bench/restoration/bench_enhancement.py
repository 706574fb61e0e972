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
    read_images,
)
from sonoray.training.enhancement.recipe import CONDITIONS

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
_BM3D = (0.7, 1.0, 1.4)
_FLOOR = 0.01  # BM3D and NLM need some noise


def test_sets(images: Sequence[Path], cache: Path, n_phantoms: int) -> dict[str, list[tuple[Image, Image]]]:
    """What is degraded, and what should come out, per kind of image."""
    photograph = natural_pairs(NATURAL_TEST)[0][0]
    crops = [photograph[r : r + 192, c : c + 192] for r, c in ((60, 120), (250, 200), (300, 20))]
    sets = {
        "phantoms": [(p[0], p[1]) for p in phantom_pairs(n_phantoms, _TEST_SEED)],
        "photograph": [(c, c) for c in crops],
    }
    if images:
        muscles = [pair[:, 40:296, 100:356] for pair in low_rank_pairs(read_images(images), cache)]
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

    def __init__(self, name: str, values: Sequence[float], make: Callable[[Image, float, float], Image]) -> None:
        self.name, self.values, self.make = name, values, make

    def tuned(self, degrade: Any) -> Callable[[Image, float], Image]:
        """The best one: (degraded, deviation of the noise) -> image."""
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
    Classical("BM3D, noise known", _BM3D, _bm3d),
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


def quality(methods: dict[str, Method], sets: dict[str, list[tuple[Image, Image]]], classical: bool) -> dict[str, Any]:
    """Mean PSNR and SSIM: set -> condition -> method."""
    tuned = {c: {k.name: k.tuned(d) for k in CLASSICAL} if classical else {} for c, d in TEST_CONDITIONS.items()}
    found: dict[str, Any] = {}
    for kind, pairs in sets.items():
        found[kind] = {}
        for condition, degrade in TEST_CONDITIONS.items():
            rng, rows = np.random.default_rng(_TEST_SEED), {}
            for given, wanted in pairs:
                spoilt = degrade(given, rng)
                noise = deviation(spoilt, given)
                results = {"input": spoilt, **{name: method(spoilt) for name, method in methods.items()}}
                results |= {name: method(spoilt, noise) for name, method in tuned[condition].items()}
                for name, image in results.items():
                    rows.setdefault(name, []).append((psnr(image, wanted), ssim(image, wanted)))
            found[kind][condition] = {name: np.mean(values, 0).round(4).tolist() for name, values in rows.items()}
            print(kind, condition, {k: [round(x, 3) for x in v] for k, v in found[kind][condition].items()}, flush=True)
    return found


def quality_tables(found: dict[str, Any]) -> str:
    """Markdown: one table per set."""
    lines = []
    for kind, conditions in found.items():
        names = list(next(iter(conditions.values())))
        lines += [
            f"\n**{kind}**, PSNR [dB] / SSIM\n",
            f"| condition | {' | '.join(names)} |",
            "|---" * (len(names) + 1) + "|",
        ]
        for condition, row in conditions.items():
            lines.append(f"| {condition} | " + " | ".join(f"{row[n][0]:.1f} / {row[n][1]:.2f}" for n in names) + " |")
    return "\n".join(lines)


def speed(sizes: Sequence[int] = (256, 512)) -> str:
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
    form.add_argument("--phantoms", type=int, default=6)
    form.add_argument(
        "--parts", nargs="+", choices=["quality", "resolution", "speed"], default=["quality", "resolution"]
    )
    form.add_argument("--no-classical", action="store_true")
    form.add_argument("--json", type=Path, help="write the figures here, too")
    args = form.parse_args()
    figures: dict[str, Any] = {}
    if {"quality", "resolution"} & set(args.parts):
        methods = network_methods(args.folder, args.model)
    if "quality" in args.parts:
        figures["quality"] = quality(methods, test_sets(args.images, args.cache, args.phantoms), not args.no_classical)
        print(quality_tables(figures["quality"]))
    if "resolution" in args.parts:
        print(resolution_table(methods))
    if "speed" in args.parts:
        print(speed())
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
