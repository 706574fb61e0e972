"""Does enhancement help, or at least not harm, a segmentation that follows it?

``python -m bench.restoration.segmentation_study [--model enhance.onnx]``: lesions in simulated B-mode, degraded. A
small U-Net learns to outline them from degraded images, another from the same images enhanced; each is tested on
images of its kind. A third, trained on images that were not degraded, sees all kinds. Dice over all test pixels, mean
and range over seeds.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sonoray.assets import load_enhancer
from sonoray.restoration.enhancement import Enhancer
from sonoray.simulation.degradations import add_gaussian_noise, add_speckle, blur
from sonoray.simulation.speckle import SpeckleModel, simulate_speckle

Image = NDArray[np.float32]
SIZE = 64
KINDS = {
    "not degraded": lambda x, rng: x,
    "Gaussian 0.2": lambda x, rng: add_gaussian_noise(x, 0.2, rng),
    "speckle 0.5": lambda x, rng: add_speckle(x, 0.5, rng),
    "blur 9, Gaussian 0.1": lambda x, rng: add_gaussian_noise(blur(x, 9), 0.1, rng),
}


def lesion(rng: np.random.Generator) -> tuple[Image, Image]:
    """B-mode of one or two lesions, darker or brighter by 5 to 12 dB, in tissue that varies; and where they are."""
    row, column = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    slope = rng.uniform(-5, 5, 2)
    decibels = rng.uniform(-10, -2) + slope[0] * (row / SIZE - 0.5) + slope[1] * (column / SIZE - 0.5)
    mask = np.zeros((SIZE, SIZE), bool)
    for _ in range(rng.integers(1, 3)):
        center, radii, angle = rng.uniform(12, SIZE - 12, 2), rng.uniform(5, 13, 2), rng.uniform(0, np.pi)
        along = (column - center[1]) * np.cos(angle) + (row - center[0]) * np.sin(angle)
        across = (row - center[0]) * np.cos(angle) - (column - center[1]) * np.sin(angle)
        inside = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1
        decibels = np.where(inside & ~mask, decibels + rng.choice([-1, -1, 1]) * rng.uniform(5, 12), decibels)
        mask |= inside
    shown = simulate_speckle(decibels, rng, SpeckleModel(psf=(0.8, rng.uniform(0.9, 1.5))))
    return shown.image, mask.astype(np.float32)


class UNet(nn.Module):
    """Three levels of two convolutions each, 30 k parameters."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def double(n_in: int, n_out: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for n in (n_in, n_out):
                layers += [nn.Conv2d(n, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
            return nn.Sequential(*layers)

        self.down = nn.ModuleList([double(1, width), double(width, 2 * width), double(2 * width, 4 * width)])
        self.up = nn.ModuleList([double(6 * width, 2 * width), double(3 * width, width)])
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = self.down[1](functional.max_pool2d(first, 2))
        third = self.down[2](functional.max_pool2d(second, 2))
        x = self.up[0](torch.cat([functional.interpolate(third, scale_factor=2.0), second], 1))
        return self.out(self.up[1](torch.cat([functional.interpolate(x, scale_factor=2.0), first], 1)))


def trained(images: Image, masks: Image, seed: int, steps: int) -> UNet:
    """Cross entropy plus Dice loss, Adam, batches of 16."""
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), UNet()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = rng.integers(0, len(images), 16)
        flip = int(rng.integers(2)) * 2 - 1
        x = torch.from_numpy(np.ascontiguousarray(images[chosen][:, None, :, ::flip]))
        y = torch.from_numpy(np.ascontiguousarray(masks[chosen][:, None, :, ::flip]))
        scores = network(x)
        p = scores.sigmoid()
        loss = functional.binary_cross_entropy_with_logits(scores, y) + 1 - 2 * (p * y).sum() / (p.sum() + y.sum() + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def dice(network: UNet, images: Image, masks: Image) -> float:
    """2 |A and B| / (|A| + |B|) over all pixels."""
    with torch.inference_mode():
        found = (network(torch.from_numpy(images[:, None])) > 0)[:, 0].numpy()
    return float(2 * (found & (masks > 0)).sum() / (found.sum() + masks.sum()))


def main() -> None:
    """Print the table."""
    form = argparse.ArgumentParser()
    form.add_argument("--model", type=Path)
    form.add_argument("--steps", type=int, default=250)
    form.add_argument("--seeds", type=int, default=3)
    form.add_argument("--count", type=int, nargs=2, default=(320, 160), help="images to train and to test on")
    args = form.parse_args()
    torch.set_num_threads(1)
    enhance = load_enhancer() if args.model is None else Enhancer(args.model)
    rng = np.random.default_rng(4_000_037)
    pairs = [lesion(rng) for _ in range(sum(args.count))]
    raw, masks = (np.stack(part) for part in zip(*pairs, strict=True))
    n = args.count[0]
    rows: dict[str, Any] = {}
    clean = [trained(raw[:n], masks[:n], seed, args.steps) for seed in range(args.seeds)]
    for kind, degrade in KINDS.items():
        spoilt = np.stack([degrade(image, rng) for image in raw])
        enhanced = enhance(spoilt)
        own = {}
        for name, images in (("degraded", spoilt), ("enhanced", enhanced)):
            networks = [trained(images[:n], masks[:n], seed, args.steps) for seed in range(args.seeds)]
            own[name] = [dice(net, images[n:], masks[n:]) for net in networks]
            own[f"{name}, U-Net of clean ones"] = [dice(net, images[n:], masks[n:]) for net in clean]
        rows[kind] = own
        print(kind, {k: np.round(v, 3).tolist() for k, v in own.items()}, flush=True)
    names = list(next(iter(rows.values())))
    print(f"| images | {' | '.join(names)} |\n" + "|---" * (len(names) + 1) + "|")
    for kind, row in rows.items():
        cells = [f"{np.mean(row[k]):.3f} ({min(row[k]):.3f} to {max(row[k]):.3f})" for k in names]
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
