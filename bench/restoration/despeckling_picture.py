"""The pictures of docs/despeckling.md: ``python -m bench.restoration.despeckling_picture DOCS_IMAGES SCAN.png``.

Simulated: two of the judged images (vessels, organ), their truth, what non-local means and the shipped network make of
them. Real: a scan, the same two.
"""

import sys
from pathlib import Path

import numpy as np

from sonoray.assets import load_despeckler
from sonoray.io.images import read_image
from sonoray.restoration.images import Planes
from sonoray.training.despeckling.data import speckle_deviation

from .bench_despeckling import JUDGED_FAMILIES, JUDGED_SEED, drawn
from .despeckling_baselines import classical

NLM = {"h": 1.0, "patch": 17, "window": 21}  # as the bench tunes it
GAP = 4


def main():
    """Write them."""
    from PIL import Image as Pillow

    out, despeckle = Path(sys.argv[1]), load_despeckler()
    nlm = next(method for method in classical(False) if method.name == "NLM")

    def made(image):
        return [nlm(image, speckle_deviation(image), NLM), despeckle(image)]

    noisy, clean = drawn(2, JUDGED_SEED, 176, JUDGED_FAMILIES)
    scan = Planes(read_image(sys.argv[2])).values[0]
    sheets = {
        "simulated": [[image, truth, *made(image)] for image, truth in zip(noisy, clean, strict=True)],
        "real": [[scan, *made(scan)]],
    }
    for name, rows in sheets.items():
        bands = [np.hstack([np.pad(image, GAP // 2, constant_values=1) for image in row]) for row in rows]
        levels = np.rint(255 * np.vstack(bands)).astype(np.uint8)
        Pillow.fromarray(levels).save(out / f"despeckling_{name}.png", optimize=True)


if __name__ == "__main__":
    main()
