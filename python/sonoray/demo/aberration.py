"""Beamforming behind an aberrating wall: one speed, the best one speed, and delays along refracted paths.

The channel data come from a full-wave solver that shares nothing with the beamformer's rays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from .._progress import fraction_bar
from ..acquisition.channel_data import ChannelData
from ..acquisition.signals import demodulate
from ..assets import load_example, load_example_targets, making
from ..beamforming.arrivals import arrivals
from ..beamforming.das import Beamformer
from ..errors import ArgumentError, FormatError, MissingExtraError
from ..imaging.detection import envelope, log_compress
from ..imaging.localization import localization_error, localize_points
from ..imaging.metrics import contrast, fwhm, gcnr
from ..media.grids import Grid
from ..media.medium import Medium
from ..plotting import new_axes, show_bmode, show_medium
from ..simulation.examples import abdominal_targets
from .report import Case, NoDataError
from .sources import dataset_file

_SPEEDS = np.arange(1440.0, 1621.0, 15.0)
_RANGE = 50.0  # dB shown
_F_NUMBER = 1.0
_WALL = (
    "A section of a human abdominal wall, chosen where it slopes, with sound speeds near the ends of the published "
    "ranges; the map that rays use is blurred by a wavelength."
)


def aberration(offline: bool) -> Case:
    """Point targets and a cyst behind a wall of fat and muscle; the true map gives the delays."""
    data, medium, (points, cysts), text = _data(offline)
    iq = demodulate(data)
    grid = _grid(medium, points, cysts)
    constant = data.sound_speed
    coarse = Grid.from_extent(x=grid.extent[0], z=grid.extent[1], spacing=1e-4)
    best = max(_SPEEDS, key=lambda c: _brightness(_image(iq, coarse, float(c)), coarse, points * (1, 1, c / constant)))
    images = {
        f"one speed, {constant:.0f} m/s": (_image(iq, grid, constant), 1.0),
        f"best one speed, {best:.0f} m/s": (_image(iq, grid, float(best)), best / constant),
        "true map, eikonal delays": (_image(iq, grid, medium), 1.0),
    }
    table = [["delays", "point FWHM, lateral", "point peak", "place error", "cyst contrast", "cyst gCNR"]]
    reference = None
    figures = [show_medium(medium, ax=new_axes(), title="sound speed").figure]
    for name, (image, stretch) in images.items():
        level = envelope(image)
        row, peak = _figures_of_merit(level, grid, points, cysts * (1, 1, stretch, 1))
        reference = peak if reference is None else reference
        table.append([name, row[0], f"{20 * np.log10(peak / reference):+.1f} dB", *row[1:]])
        axes = new_axes()
        show_bmode(log_compress(level, dynamic_range=_RANGE), grid, ax=axes, dynamic_range=_RANGE, title=name)
        figures.append(axes.figure)
    return Case("Behind an aberrating wall", text, figures, table)


def _data(offline: bool) -> tuple[ChannelData, Medium, tuple[NDArray[np.float64], NDArray[np.float64]], str]:
    """The abdominal wall where its map and a solver are at hand, else the example that ships."""
    common = (
        "Simulated with a full-wave solver that knows nothing of rays; then beamformed with one speed everywhere, "
        "with the single speed that makes the points brightest, and with delays along refracted paths through the "
        "true map. FWHM and place error are medians over the points; the cyst is measured where each speed puts it."
    )
    try:
        wall = dataset_file("abdominal-wall-map", offline)
        with fraction_bar("full-wave simulation behind an abdominal wall, once") as bar:
            data, medium = making.aberration_data(datasets.cache_folder() / "simulated", wall, bar)
        return data, medium, abdominal_targets(), f"{_WALL} {common}"
    except (NoDataError, MissingExtraError, FormatError) as error:
        reason = str(error)
    data, medium = load_example()
    text = f"The example that ships with the package, a synthetic undulating wall ({reason}). {common}"
    return data, medium, load_example_targets(), text


def _grid(medium: Medium, points: NDArray[np.float64], cysts: NDArray[np.float64]) -> Grid:
    """Image around all targets with a margin, inside the medium."""
    targets = np.concatenate([points, cysts[:, :3]])
    low, high = targets.min(axis=0) - 4e-3, targets.max(axis=0) + 3e-3
    (x0, x1), (z0, z1) = medium.grid.extent
    x = (max(low[0], x0), min(high[0], x1))
    return Grid.from_extent(x=x, z=(max(low[2], z0), min(high[2], z1)), spacing=5e-5)


def _image(iq: ChannelData, grid: Grid, speed: float | Medium) -> NDArray[Any]:
    times = arrivals(iq.transmits, iq.probe, grid, speed, sequence_sound_speed=iq.sound_speed)
    image: NDArray[Any] = Beamformer(times, iq, f_number=_F_NUMBER, window="hann")(iq)[0]
    return image


def _near(grid: Grid, center: NDArray[np.float64]) -> NDArray[np.float64]:
    p = grid.points()
    return np.asarray(np.hypot(p[..., 0] - center[0], p[..., 2] - center[2]))


def _brightness(image: NDArray[Any], grid: Grid, points: NDArray[np.float64]) -> float:
    """Mean peak around the places where ``points`` would appear."""
    level = np.abs(image)
    return float(np.mean([level[_near(grid, p) < 1e-3].max() for p in points]))


def _figures_of_merit(
    level: NDArray[Any], grid: Grid, points: NDArray[np.float64], cysts: NDArray[np.float64]
) -> tuple[list[str], float]:
    """FWHM, place error, contrast and gCNR as text, and the points' mean peak."""
    found = localize_points(level, grid, points, 1.5e-3)
    error = localization_error(found, points[:, [0, 2]])
    widths, peaks = [], []
    for place in found:
        at = tuple(round((p - o) / h) for p, o, h in zip(place, grid.origin, grid.spacing, strict=True))
        peaks.append(level[at])
        line = level[max(at[0] - 60, 0) : at[0] + 61, at[1]]
        try:
            widths.append(fwhm(line, grid.spacing[0], peak=(min(60, at[0]),)))
        except ArgumentError:
            widths.append(float("nan"))  # neighbours or clutter above half the peak
    inside = np.any([_near(grid, c) < 0.75 * c[3] for c in cysts], axis=0)
    around = np.any([(_near(grid, c) > 1.25 * c[3]) & (_near(grid, c) < 1.9 * c[3]) for c in cysts], axis=0)
    row = [
        f"{np.nanmedian(widths) * 1e3:.2f} mm ({np.isfinite(widths).sum()} of {len(widths)})",
        f"{np.median(error) * 1e3:.2f} mm",
        f"{contrast(level[inside], level[around]):.1f} dB",
        f"{gcnr(level[inside], level[around]):.2f}",
    ]
    return row, float(np.mean(peaks))
