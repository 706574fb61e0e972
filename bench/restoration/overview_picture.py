"""The README's picture of restoration: ``python -m bench.restoration.overview_picture OUT.png SCAN.png``.

Simulated speckle, non-local means, the shipped network, the truth; SCAN with noise, enhanced; colour flow, translated.
"""

import sys
from pathlib import Path

import numpy as np

from sonoray.assets import load_color_flow_translator, load_despeckler, load_enhancer
from sonoray.simulation.color_flow import color_flow_video
from sonoray.simulation.degradations import add_gaussian_noise
from sonoray.training.despeckling.data import speckle_deviation
from sonoray.training.pictures import images_in

from .bench_despeckling import JUDGED_FAMILIES, JUDGED_SEED, drawn
from .despeckling_baselines import classical
from .despeckling_picture import NLM

SIZE = 176


def main() -> None:
    """Write it."""
    from matplotlib.figure import Figure

    figure = Figure((9.4, 5.4), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(2, 4).flat, panels(Path(sys.argv[2])), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.savefig(sys.argv[1], dpi=100)


def panels(scan: Path) -> list[tuple[str, np.ndarray]]:
    """Titles and images, row by row."""
    noisy, clean = (images[0] for images in drawn(1, JUDGED_SEED, SIZE, JUDGED_FAMILIES))
    nlm = next(method for method in classical(False) if method.name == "NLM")
    seen = images_in([scan])[0][40 : 40 + SIZE, 100 : 100 + SIZE]
    spoilt = add_gaussian_noise(seen, 0.1, np.random.default_rng(5))
    clip = color_flow_video(900_700, shape=(SIZE, SIZE), coverage=2, scene="vessels")
    frame = len(clip.color) // 2
    return [
        ("speckle, simulated", noisy),
        ("non-local means", nlm(noisy, speckle_deviation(noisy), NLM)),
        ("despeckled", load_despeckler()(noisy)),
        ("truth", clean),
        ("muscle in vivo, noise added", spoilt),
        ("enhanced", load_enhancer()(spoilt)),
        ("colour flow, simulated", clip.color[frame]),
        ("translated", load_color_flow_translator()(clip.color).frames[frame]),
    ]


if __name__ == "__main__":
    main()
