"""Controlled targets under a known blur: do lines and points become narrower, edges steeper?

Metrics as in arXiv 2601.21856, Sec. 3.5 of its methods: full width at half maximum of a profile whose minimum was
subtracted, and the largest gradient of a profile.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sonoray.imaging.metrics import fwhm
from sonoray.simulation.degradations import add_gaussian_noise, blur

Image = NDArray[np.float32]
KERNELS = (5, 9, 13)
_HALF = 12  # pixels of a profile to either side


def targets(size: int = 160) -> tuple[Image, list[tuple[str, int, int]], list[tuple[int, int]]]:
    """A picture of lines, points and a bright block, where profiles go, and where edges are.

    Lines are 2 pixels wide, points 2 x 2; amplitudes and background differ. Returns the image, (kind, row, column) of
    profile centres ("row" profiles run along rows) and (row, column) of edge profiles along rows.
    """
    column = np.arange(size, dtype=np.float64)
    image = np.tile(0.12 + 0.1 * column / size, (size, 1))
    profiles = []
    for k, (at, amplitude) in enumerate(((24, 0.8), (52, 0.6), (80, 0.45))):
        image[16:72, at : at + 2] += amplitude
        profiles += [("line", 30 + 5 * k, at), ("line", 52, at)]
    for k, (at, amplitude) in enumerate(((24, 0.8), (56, 0.65), (88, 0.5))):
        image[100:102, at : at + 2] += amplitude + 0.1 * k
        profiles.append(("point", 100, at))
    image[110:150, 110:150] += 0.5
    return np.clip(image, 0, 1).astype(np.float32), profiles, [(120, 110), (130, 110), (140, 110)]


def measured(image: Image) -> dict[str, float]:
    """Mean widths [pixel] of lines and points, mean largest gradient of lines and edges."""
    _, profiles, edges = targets(len(image))
    widths: dict[str, list[float]] = {"line": [], "point": []}
    steepest = []
    for kind, row, at in profiles:
        profile = image[row, at - _HALF : at + _HALF].astype(np.float64)
        profile = profile - profile.min()
        peak = _HALF - 2 + int(np.argmax(profile[_HALF - 2 : _HALF + 4]))
        try:
            widths[kind].append(fwhm(profile, 1.0, peak=peak))
        except ValueError:  # no peak left
            widths[kind].append(np.nan)
        if kind == "line":
            steepest.append(np.abs(np.diff(profile)).max())
    rise = [np.abs(np.diff(image[row, at - _HALF : at + _HALF].astype(np.float64))).max() for row, at in edges]
    return {
        "line FWHM": float(np.nanmean(widths["line"])),
        "point FWHM": float(np.nanmean(widths["point"])),
        "line gradient": float(np.mean(steepest)),
        "edge gradient": float(np.mean(rise)),
    }


def resolution_table(methods: dict[str, Callable[[Image], Image]]) -> str:
    """Markdown: blur and light noise by method; FWHM in pixels, gradients per pixel."""
    image = targets()[0]
    names = list(measured(image))
    lines = ["| blur | method | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]

    def row(label: str, name: str, values: dict[str, Any]) -> str:
        return f"| {label} | {name} | " + " | ".join(f"{values[n]:.2f}" for n in names) + " |"

    lines.append(row("none", "truth", measured(image)))
    for size in KERNELS:
        for noise in (0.0, 0.02):
            rng, label = np.random.default_rng(7), f"k = {size}" + (f", noise {noise}" if noise else "")
            spoilt = add_gaussian_noise(blur(image, size), noise, rng)
            lines.append(row(label, "input", measured(spoilt)))
            lines.append(row(label, "unsharp mask", measured(_unsharp(spoilt))))
            lines += [row(label, name, measured(method(spoilt))) for name, method in methods.items()]
    return "\n".join(lines)


def _unsharp(image: Image) -> Image:
    return np.clip(image + 1.0 * (image - gaussian_filter(image, 2.0)), 0, 1).astype(np.float32)
