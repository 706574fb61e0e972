"""The demo's autofocus: a map from what pulse-echo data themselves tell, and the image through it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets import load_focus_example, load_focus_example_targets, load_sound_speed_network
from ..autofocus.mapping import NOMINAL, map_sound_speed
from ..errors import ArgumentError, MissingExtraError
from ..imaging.detection import envelope
from ..imaging.metrics import contrast, fwhm
from ..media.grids import Grid
from ..media.medium import Medium
from .correction import image_through, map_errors, picture
from .report import Case

_GRID = Grid.from_extent(x=(-14e-3, 14e-3), z=(4e-3, 38.5e-3), spacing=1e-4)
_SEARCH = 2.5e-3  # m, around where a point is


def autofocus(offline: bool) -> Case:
    """Speckle, points and a cyst behind fat over muscle; ships with the package."""
    del offline
    data, truth = load_focus_example()
    points, cysts = load_focus_example_targets()
    try:
        network, how = load_sound_speed_network(), "a network's map, refined by optimisation"
    except MissingExtraError:
        network, how = None, "optimisation alone, since ONNX Runtime is not installed"
    result = map_sound_speed(data, model=network)
    speeds: dict[str, float | Medium] = {
        f"{NOMINAL:.0f} m/s": NOMINAL,
        "map found": result.medium,
        "true map": truth,
    }
    images = {name: image_through(data, _GRID, speed) for name, speed in speeds.items()}
    table = [["delays", "map MAE", "map bias", "point FWHM, lateral", "point peak", "cyst contrast"]]
    reference = 0.0
    for name, speed in speeds.items():
        row = ["-", "-"]
        if isinstance(speed, Medium) and speed is not truth:
            errors = map_errors(speed, truth, result.region)
            row = [f"{errors['mean_absolute_error']:.1f} m/s", f"{errors['bias']:+.1f} m/s"]
        widths, peak = point_widths(images[name], _GRID, points)
        reference = reference or peak
        width = f"{1e3 * np.nanmedian(widths):.2f} mm ({np.isfinite(widths).sum()} of {len(widths)})"
        row += [width, f"{20 * np.log10(peak / reference):+.1f} dB"]
        table.append([name, *row, f"{cyst_contrast(images[name], _GRID, cysts):.1f} dB"])
    text = (
        "64 elements at 2.25 MHz fire one after the other into speckle with six points and a cyst, behind 10 mm of fat "
        "at 1450 m/s over muscle at 1580 m/s, simulated by another solver (full-wave finite differences). The map "
        f"comes from these echoes alone ({how}); "
        + ("it was checked" if result.accepted else "it was found wanting and not used")
        + f" at other places: {result.reason}. FWHM: median over the points whose width is clear."
    )
    maps = {"map found": result.medium, "true map": truth}
    if network is not None and result.start is not None:
        maps["the network's map"] = result.start
    figure = picture(images, _GRID, maps)
    return Case("Sound speed from echoes, and the image through it", text, [figure], table)


def point_widths(image: NDArray[Any], grid: Grid, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Lateral FWHM [m] of the brightest echo near each point, NaN where it has none, and the mean peak."""
    level = envelope(image)
    places = grid.points()
    widths, peaks = np.full(len(points), np.nan), []
    half = round(3e-3 / grid.spacing[0])
    for k, point in enumerate(points):
        near = np.hypot(places[..., 0] - point[0], places[..., 2] - point[2]) < _SEARCH
        i, j = (int(n) for n in np.unravel_index(int(np.where(near, level, 0).argmax()), level.shape))
        peaks.append(level[i, j])
        first = max(i - half, 0)
        try:
            widths[k] = fwhm(level[first : i + half + 1, j], grid.spacing[0], peak=(i - first,))
        except ArgumentError:
            continue  # speckle above half the peak
    return widths, float(np.mean(peaks))


def cyst_contrast(image: NDArray[Any], grid: Grid, cysts: NDArray[np.float64]) -> float:
    """Power inside the cysts over that around them [dB]."""
    places, level = grid.points(), envelope(image)
    distance = [np.hypot(places[..., 0] - c[0], places[..., 2] - c[2]) / c[3] for c in cysts]
    inside = np.any([d < 0.7 for d in distance], axis=0)
    around = np.any([(d > 1.25) & (d < 1.9) for d in distance], axis=0)
    return contrast(level[inside], level[around])
