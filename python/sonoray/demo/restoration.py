"""The demo's networks for pictures: despeckling, enhancement, colour-flow video to B-mode."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets import load_color_flow_translator, load_despeckler, load_enhancer
from ..errors import MissingExtraError
from ..imaging.color_overlay import find_color
from ..imaging.metrics import fwhm
from ..io.images import read_image
from ..plotting import new_axes
from ..restoration import quality
from ..restoration.classical import ClassicalDespeckler
from ..simulation.color_flow import color_flow_video
from ..simulation.degradations import add_gaussian_noise, blur
from ..simulation.echogenicities import echogenicity_map
from ..simulation.speckle import SpeckleModel, simulate_speckle
from .report import Case, NoDataError
from .sources import dataset_file

# Held out: despeckling was trained on subjects S1 to S3 and the jumping sequence, enhancement on S1 to S3.
_PICTURE = "bmode-muscle-cc0/dataset1_S5_S5_L20_step_125.png"
_SEED = 2026  # nothing was trained on what these seeds make


def despeckle(offline: bool) -> Case:
    """Simulated speckle with its truth, and muscle in vivo."""
    rng = np.random.default_rng(_SEED)
    model = SpeckleModel(psf=(1.0, 1.8), widening=0.5, scatterers=4.0)
    simulated = simulate_speckle(echogenicity_map("vessels", (256, 256), rng), rng, model)
    plan = load_despeckler()
    methods = {f"{name}, untuned": ClassicalDespeckler(name) for name in ("median", "srad", "obnlm")} | {
        "network": plan
    }
    made = {"speckle": simulated.image} | {name: method(simulated.image) for name, method in methods.items()}
    table = [["simulated, against the truth", "SSIM", "PSNR"]]
    for name, image in made.items():
        figures = quality.ssim(image, simulated.clean), quality.psnr(image, simulated.clean)
        table.append([name, f"{figures[0]:.3f}", f"{figures[1]:.1f} dB"])
    pictures = [panels({**made, "truth": simulated.clean}, n_columns=3)]
    text = (
        "Tissue with dark vessels, simulated: speckle of the K distribution, correlated by a point spread function "
        "that widens with depth. The truth is the mean of the logarithm before the point spread function blurs it. "
        "The filters have their default settings; docs/despeckling.md compares with tuned ones. "
    )
    muscle = _muscle(offline)
    if muscle is not None:
        pictures.append(panels({"thigh muscle in vivo": muscle, "despeckled": plan(muscle)}, 5.5))
        text += "Below, a picture of a thigh muscle from a scanner; no network was trained on this subject."
    return Case("Despeckling", text, pictures, table)


def enhance(offline: bool) -> Case:
    """A picture that is blurred and noisy, and a bright line whose width is known."""
    rng = np.random.default_rng(_SEED)
    muscle = _muscle(offline)
    clean: NDArray[Any]
    if muscle is None:
        model = SpeckleModel(psf=(0.8, 1.2))
        clean = simulate_speckle(echogenicity_map("organ", (256, 320), rng), rng, model).clean
    else:
        clean = muscle[60:316, 80:400].astype(np.float32) / 255
    plan = load_enhancer()
    cases = {
        "blurred and noisy": add_gaussian_noise(blur(clean, 7), 0.1, rng),
        "very noisy": add_gaussian_noise(clean, 0.2, rng),
    }
    table = [["picture", "PSNR before", "PSNR after", "SSIM before", "SSIM after"]]
    shown: dict[str, NDArray[Any]] = {"picture": clean}
    for name, spoilt in cases.items():
        better = plan(spoilt)
        shown |= {name: spoilt, f"{name}, enhanced": better}
        both = (spoilt, better)
        ratios, similar = ([figure(i, clean) for i in both] for figure in (quality.psnr, quality.ssim))
        table.append([name, *(f"{v:.1f} dB" for v in ratios), *(f"{v:.3f}" for v in similar)])
    line = np.full((64, 64), 0.1, np.float32)
    line[:, 31:33] = 0.9
    wide = blur(line, 13)
    widths = [fwhm(image[32] - image[32].min(), 1.0) for image in (wide, plan(wide))]
    table.append(["a line, blurred", f"{widths[0]:.2f} px wide", f"{widths[1]:.2f} px wide", "", ""])
    text = (
        "The network knows neither blur nor noise. "
        + ("A thigh muscle of a subject that was not trained on" if muscle is not None else "A simulated picture")
        + " was blurred (Gaussian, 7 pixels) and got white noise of a tenth of the range, or noise of a fifth alone."
    )
    return Case("Blind enhancement", text, [panels(shown)], table)


def translate(offline: bool) -> Case:
    """A simulated colour-flow video, whose B-mode is known."""
    del offline
    clip = color_flow_video(_SEED, shape=(128, 128), n_frames=12, coverage=(0.08, 0.2))
    plan = load_color_flow_translator()
    truth = clip.bmode / 255
    table = [["colour flow to B-mode", "SSIM", "SSIM inside", "texture inside"]]
    results = {name: plan(clip.color, stage=name) for name in ("coarse", "refined")}
    hidden = results["coarse"].mask
    luma = np.rint(clip.color @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    frames = {"brightness of the colours": luma} | {name: r.frames for name, r in results.items()}
    for name, video in frames.items():
        grey = video / 255
        inside = quality.ssim(grey, truth, hidden), quality.texture_ratio(grey, truth, hidden)
        table.append([name, f"{quality.ssim(grey, truth):.3f}", f"{inside[0]:.3f}", f"{inside[1]:.2f}"])
    shown: dict[str, NDArray[Any]] = {}
    for k in (2, 8):
        shown |= {f"frame {k}": clip.color[k], f"painted, frame {k}": 255 * hidden[k].astype(np.uint8)}
        shown |= {f"{name}, frame {k}": frames[name][k] for name in results} | {f"truth, frame {k}": clip.bmode[k]}
    text = (
        f"A clip from the package's own Doppler chain ({clip.scene}), {100 * hidden.mean():.0f} % of it under colour. "
        "Inside: where colour was found, all else is passed on unchanged. Texture: deviation of what is finer than two "
        "pixels, relative to the truth's; a network that only minimises errors blurs."
    )
    found, painted = hidden, clip.painted
    overlap = 2 * (found & painted).sum() / (found.sum() + painted.sum())
    simple = find_color(clip.color)
    by_color = 2 * (simple & painted).sum() / (simple.sum() + painted.sum())
    table.append(["Dice of what is found to be painted", f"{overlap:.3f}", f"{by_color:.3f} by threshold", ""])
    return Case("Colour-flow video to B-mode", text, [panels(shown, 2.6, 5)], table)


def panels(pictures: Mapping[str, NDArray[Any]], width: float = 3.4, n_columns: int = 5) -> Any:
    """A figure of pictures, (rows, columns[, 3]), side by side with their names."""
    n = min(n_columns, len(pictures))
    n_rows = -(-len(pictures) // n)
    shape = next(iter(pictures.values())).shape
    ax = new_axes((width * n, (width * shape[0] / shape[1] + 0.4) * n_rows))
    figure = ax.figure
    ax.remove()
    axes = figure.subplots(n_rows, n, squeeze=False).ravel()
    for each in axes:
        each.set_axis_off()
    for each, (title, picture) in zip(axes, pictures.items(), strict=False):
        white = 255 if picture.dtype == np.uint8 else 1
        each.imshow(picture, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
        each.set_title(title, fontsize=10)
    return figure


def _muscle(offline: bool) -> NDArray[np.uint8] | None:
    """A scanner's picture where it is to be had."""
    try:
        return read_image(dataset_file(_PICTURE, offline))
    except (NoDataError, MissingExtraError):
        return None
