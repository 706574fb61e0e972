"""The same echoes through several sound speeds, side by side with the maps: pictures and figures of merit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..autofocus.multistatic import TABLE_SPACING, covering
from ..beamforming.arrivals import arrivals
from ..beamforming.das import Beamformer
from ..errors import ArgumentError
from ..imaging.detection import envelope, log_compress
from ..imaging.metrics import sharpness, speckle_size
from ..media.grids import Grid
from ..media.interpolation import continued
from ..media.medium import Medium
from ..plotting import new_axes, show_bmode, show_medium


def image_through(
    iq: ChannelData, grid: Any, speed: float | Medium, *, f_number: float = 1.0, device: str = "cpu"
) -> NDArray[np.complex64]:
    """Complex image (grid.shape) of one frame with one speed, or through a map continued over the grid."""
    path = covering(speed, iq.probe, grid) if isinstance(speed, Medium) else speed
    times = arrivals(
        iq.transmits,
        iq.probe,
        grid,
        path,
        sequence_sound_speed=iq.sound_speed,
        table_spacing=TABLE_SPACING,
        device=device,
    )
    plan = Beamformer(times, iq, f_number=f_number, window="hann" if f_number else "boxcar", interpolation="cubic")
    return np.asarray(plan(iq)[0])


def figures_of_merit(image: NDArray[Any], grid: Any, region: Any) -> dict[str, float]:
    """Sharpness, and the lateral size of speckle [m], inside a region; only the first on sectors, of all of it."""
    if not isinstance(grid, Grid) or grid.ndim != 2:
        return {"sharpness": sharpness(image, axis=image.ndim - 1)}
    kept = [(axis >= low) & (axis <= high) for axis, (low, high) in zip(grid.axes, region, strict=True)]
    part = image[np.ix_(*kept)]
    try:
        return {"sharpness": sharpness(part), "speckle_size": speckle_size(part, grid.spacing[0])}
    except ArgumentError:
        return {"sharpness": float("nan"), "speckle_size": float("nan")}


def map_errors(medium: Medium, truth: Medium, region: Any) -> dict[str, float]:
    """Mean absolute error and bias [m/s] at the true map's nodes in a region."""
    points = truth.grid.points()
    (x0, x1), (z0, z1) = region
    x, z = points[..., 0], points[..., 2]
    inside = (x >= x0) & (x <= x1) & (z >= z0) & (z <= z1)
    if not inside.any():
        raise ArgumentError(f"truth: expected a map that covers the region {region} m, got one of {truth.grid}")
    error = continued(medium.grid, medium.sound_speed, points[inside]) - np.asarray(truth.sound_speed)[inside]
    return {"mean_absolute_error": float(np.abs(error).mean()), "bias": float(error.mean())}


def picture(images: dict[str, NDArray[Any]], grid: Any, maps: dict[str, Medium], *, dynamic_range: float = 50.0) -> Any:
    """A figure: B-mode images, below them maps on one scale, under the image of the same name where there is one."""
    n = max(len(images), len(maps))
    ax = new_axes((4.6 * n, 9.6 if maps else 5.0))
    figure = ax.figure
    ax.remove()
    axes = figure.subplots(2 if maps else 1, n, squeeze=False)
    for each, (title, image) in zip(axes[0], images.items(), strict=False):
        level = log_compress(envelope(image), dynamic_range=dynamic_range)
        show_bmode(level, grid, ax=each, title=title, dynamic_range=dynamic_range)
    if not maps:
        return figure
    values = [np.asarray(m.sound_speed) for m in maps.values()]
    limits = (min(float(v.min()) for v in values), max(float(v.max()) for v in values))
    columns = {title: list(images).index(title) for title in maps if title in images}
    free = [k for k in range(n) if k not in columns.values()]
    for title, medium in maps.items():
        each = axes[1, columns[title] if title in columns else free.pop(0)]
        show_medium(medium, ax=each, title=title, limits=limits)
        each.set_xlim(axes[0, 0].get_xlim())
        each.set_ylim(axes[0, 0].get_ylim())
    for each in (*axes[0, len(images) :], *(axes[1, k] for k in free)):
        each.remove()
    return figure
