"""The picture of docs/enhancement.md: ``python -m bench.restoration.enhancement_picture OUT.png SCAN.png [FOLDER]``.

Rows: a phantom and a photograph that were spoilt, targets that were blurred, and a scan as it is. Columns: what was
there (for the scan its low-rank target), what the methods get, median, DnCNN trained on white noise (with FOLDER, of
`enhancement_runs`), ours.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter

from sonoray.assets import load_enhancer
from sonoray.imaging.low_rank import low_rank_despeckle
from sonoray.simulation.degradations import add_gaussian_noise, add_speckle, blur
from sonoray.training.enhancement.data import NATURAL_TEST, natural_pairs, phantom_pairs
from sonoray.training.pictures import images_in

from .resolution_study import targets

SIZE, GAP = 192, 4


def main() -> None:
    """Write it."""
    from PIL import Image as Pillow

    rng, enhance = np.random.default_rng(5), load_enhancer()
    phantom = phantom_pairs(2, 3_000_017)[1][0]
    photograph = natural_pairs(NATURAL_TEST)[0][0][60 : 60 + SIZE, 120 : 120 + SIZE]
    lines = np.pad(targets()[0], ((0, 32), (0, 32)), mode="edge")
    scan = images_in([Path(sys.argv[2])])[0][40 : 40 + SIZE, 100 : 100 + SIZE]
    rows = [
        (phantom, add_gaussian_noise(phantom, 0.2, rng)),
        (photograph, add_speckle(photograph, 0.5, rng)),
        (lines, blur(lines, 9)),
        (low_rank_despeckle(scan), scan),
    ]
    methods = [lambda x: median_filter(x, 5, mode="mirror"), enhance]
    if len(sys.argv) > 3:
        from sonoray.training.enhancement.recipe import apply

        from .enhancement_runs import load_run

        network = load_run(Path(sys.argv[3]), "dncnn-awgn")
        methods.insert(1, lambda x: apply(network, x))
    gap = np.ones((SIZE, GAP), np.float32)
    bands = [
        np.hstack([part for image in (truth, given, *(m(given) for m in methods)) for part in (image, gap)])
        for truth, given in rows
    ]
    sheet = np.vstack([part for band in bands for part in (band, np.ones((GAP, band.shape[1]), np.float32))])
    Pillow.fromarray((255 * sheet).round().astype(np.uint8)).save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
