"""How even a filter can make real images while it keeps edges as sharp as the shipped network does.

    PYTHONPATH=python:. python bench/restoration/matched_sharpness.py --images FOLDER [--every N] [--crop N]

Filters tuned for SSIM on speckle end up at another place between smooth and sharp than the network. Here every filter
may take the setting that suits it best on the judged images themselves: the largest mean homogeneity among settings
whose mean edge sharpness is at least the network's. The network keeps its shipped setting.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.restoration.bench_despeckling import real_images
from bench.restoration.despeckling_baselines import classical, grid
from bench.restoration.doc_tables import put
from bench.restoration.edge_sharpness import sharpness_ratio, strongest_edges
from sonoray.assets import load_despeckler
from sonoray.restoration.quality import homogeneity
from sonoray.training.despeckling.data import speckle_deviation

# Weaker than those of bench_despeckling.py: strong ones do not keep edges.
GRIDS = {
    "median": grid(size=[3, 5, 7]),
    "SRAD": grid(iterations=[60, 150, 400, 1000], variation=[0.4, 0.6, 0.8]),
    "NLM": grid(h=[0.3, 0.4, 0.5, 0.6, 0.8], patch=[3, 5, 9, 13], window=[15, 21]),
    "OBNLM": grid(strength=[0.3, 0.4, 0.5, 0.65, 0.8], block=[2, 3], search=[3, 5, 8]),
    "Gaussian blur": grid(sigma=[0.3, 0.5, 0.6, 0.7, 1.0]),
    "TV": grid(weight=[0.03, 0.05, 0.06, 0.08, 0.12]),
    "BM3D, estimated sigma": grid(factor=[4.0, 8.0, 16.0, 32.0, 64.0]),
}


def operating_points(method, images, edges):
    """Each setting's mean homogeneity and edge sharpness: [(setting, homogeneity, sharpness)]."""
    deviations = [speckle_deviation(i) for i in images]
    found = []
    for setting in method.grid:
        after = [method(i, d, setting) for i, d in zip(images, deviations, strict=True)]
        found.append((setting, *figures(after, images, edges)))
    return found


def figures(after, before, edges):
    """Mean homogeneity and mean edge sharpness."""
    sharp = [sharpness_ratio(a, b, e) for a, b, e in zip(after, before, edges, strict=True)]
    return float(np.mean([homogeneity(a) for a in after])), float(np.mean(sharp))


def main(arguments=None):
    form = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form.add_argument("--images", type=Path, required=True, help="folder of real images")
    form.add_argument("--every", type=int, default=1, help="judge one real image of so many")
    form.add_argument("--crop", type=int, metavar="N", help="judge the middle N x N pixels")
    form.add_argument("--into", type=Path, metavar="FILE", help="put the table into this document, too")
    args = form.parse_args(arguments)
    images = real_images(args.images, args.every, args.crop)
    edges = [strongest_edges(image) for image in images]
    despeckle = load_despeckler()
    even, sharp = figures([despeckle(i) for i in images], images, edges)
    lines = [
        f"{len(images)} images; edge sharpness at least {sharp:.3f}, the network's.\n",
        "| method | homogeneity | edge sharpness |",
        "|---|---|---|",
        f"| Speckle2Self, shipped | {even:.3f} | {sharp:.3f} |",
    ]
    for method in classical():
        if method.name not in GRIDS:
            continue
        points = operating_points(replace(method, grid=GRIDS[method.name]), images, edges)
        kept = [point for point in points if point[2] >= sharp]
        if kept:
            setting, even, edge = max(kept, key=lambda point: point[1])
            told = ", ".join(f"{k} {v:g}" for k, v in setting.items())
            lines.append(f"| {method.name} ({told}) | {even:.3f} | {edge:.3f} |")
        else:
            lines.append(f"| {method.name} | none | none of {len(points)} settings keeps edges so sharp |")
        print(lines[-1], file=sys.stderr, flush=True)
    print(text := "\n".join(lines))
    if args.into:
        put(args.into, "matched", text)


if __name__ == "__main__":
    main()
