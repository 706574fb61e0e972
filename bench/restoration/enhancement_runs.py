"""Train the networks that `bench_enhancement` compares: ours from several seeds, and the baselines.

``python -m bench.restoration.enhancement_runs FOLDER --images PICTURES... [--seconds 60] [--runs NAME...]``

Every run gets as much processor time: the number of updates is that time over the time of an update, measured beside
the others'. "awgn" baselines are trained as published, on white Gaussian noise of 0 to 55/255 added to clean images
(for ultrasound: its low-rank target); the others on the very data and degradations of ours.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sonoray.simulation.degradations import DegradationModel
from sonoray.training.enhancement.data import DEGRADATIONS, PairSource, PatchSampler
from sonoray.training.enhancement.networks import SwinConvUNet
from sonoray.training.enhancement.recipe import (
    EnhancementRecipe,
    patch_loss,
    train_enhancer,
    training_sources,
    tuning_set,
)

from .baseline_networks import DnCNN, Restormer

AWGN = DegradationModel(
    kernels=(1,), families=("gaussian",), gaussian=(0.0, 55 / 255), main_chance=1.0, light_chance=0.0
)
NETWORKS = {"ours": SwinConvUNet, "dncnn": DnCNN, "restormer": Restormer}
RUNS = {
    "dncnn-awgn": 0, "restormer-awgn": 0, "ours-0": 0, "dncnn-ours": 0, "restormer-ours": 0, "ours-1": 1, "ours-2": 2
}  # fmt: skip
# DnCNN costs 3.5 times an update of ours: smaller patches (its paper's are 40 to 50 pixels) give it more of them.
SIZES = {"ours": 64, "dncnn": 48, "restormer": 64}
BATCH = 4


def main() -> None:
    """Train what is not there yet."""
    form = argparse.ArgumentParser()
    form.add_argument("folder", type=Path)
    form.add_argument("--images", type=Path, nargs="+", default=[])
    form.add_argument("--cache", type=Path)
    form.add_argument("--seconds", type=float, default=60.0, help="processor time of each run (60)")
    form.add_argument("--average", type=float, default=0.99, help="decay of the running average of the weights (0.99)")
    form.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    args = form.parse_args()
    torch.set_num_threads(1)
    recipe = EnhancementRecipe(batch=BATCH, average=args.average)
    sources = training_sources(args.images, args.cache or args.folder / "targets", recipe)
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "step_seconds.json"
    if not path.exists():
        path.write_text(json.dumps(step_seconds(sources), indent=1))
    steps = {kind: max(20, round(args.seconds / seconds)) for kind, seconds in json.loads(path.read_text()).items()}
    print("updates", steps, flush=True)
    tuning = tuning_set(64)[:9]  # a glance: processor time is for training
    for name in args.runs:
        kind = name.partition("-")[0]
        torch.manual_seed(RUNS[name])
        module = NETWORKS[kind]()
        clean = name.endswith("awgn")
        begin = time.process_time()
        _, gain = train_enhancer(
            args.folder / name,
            denoising_sources(sources) if clean else sources,
            replace(recipe, steps=steps[kind], degradations=AWGN if clean else DEGRADATIONS, size=SIZES[kind]),
            seed=RUNS[name],
            module=module,
            tuning=tuning,
            resume=True,
        )
        print(f"{name}: {gain:+.2f} dB on the tuning set, {time.process_time() - begin:.0f} s", flush=True)


def denoising_sources(sources: list[PairSource]) -> list[PairSource]:
    """Clean images only: every target is an image of its own."""
    return [PairSource(tuple(np.stack([p[1], p[1]]) for p in s.pairs), s.share) for s in sources]


def step_seconds(sources: list[PairSource], n: int = 5) -> dict[str, float]:
    """Median processor time of an update, the networks taking turns so that a busy machine slows all alike."""
    modules = {kind: make() for kind, make in NETWORKS.items()}
    times: dict[str, list[float]] = {kind: [] for kind in NETWORKS}
    for step in range(n):
        for kind, module in modules.items():
            sampler, begin = PatchSampler(sources, DEGRADATIONS, size=SIZES[kind]), time.process_time()
            patch_loss(module, sampler, BATCH, np.random.default_rng(step)).backward()
            times[kind].append(time.process_time() - begin)
    return {kind: float(np.median(found[1:])) for kind, found in times.items()}


def load_run(folder: Path, name: str) -> nn.Module:
    """A trained network."""
    from sonoray.training.loops import kept_weights

    module = NETWORKS[name.partition("-")[0]]()
    module.load_state_dict(kept_weights(folder / name / "enhance.pt"))
    return module.eval()


if __name__ == "__main__":
    main()
