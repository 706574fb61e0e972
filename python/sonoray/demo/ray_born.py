"""The demo's chain for rings: raw traces, map from travel times, map from waveforms, echoes along refracted paths."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assets import load_ring_example
from ..beamforming.bmode import reconstruct_bmode
from ..imaging.detection import envelope, log_compress
from ..inversion.evaluation import sound_speed_errors
from ..inversion.ray_born import reconstruct_ray_born
from ..inversion.travel_time import reconstruct_travel_time
from ..media.grids import Grid
from ..media.medium import Medium
from ..plotting import new_axes, show_bmode, show_difference, show_medium
from .report import Case

_RANGE = 30.0  # dB shown
_LIMIT = 15.0  # [m/s] of the errors shown
_SIDE = 0.06  # [m] half of it, of what is shown


def ray_born(offline: bool) -> Case:
    """Ring array around a disc with inclusions; ships with the package."""
    del offline
    data, water, truth = load_ring_example()
    first = reconstruct_travel_time(data, water)
    second = reconstruct_ray_born(data, water, initial=first.medium)
    speed = second.sound_speed
    grid = Grid.from_extent(x=(-_SIDE, _SIDE), z=(-_SIDE, _SIDE), spacing=4e-4)
    exact, _ = reconstruct_bmode(data, grid=grid, medium=truth)
    plain, _ = reconstruct_bmode(data, grid=grid, sound_speed=speed)
    image, _ = reconstruct_bmode(data, grid=grid, medium=second.medium)
    table = [
        ["map", "error within 100 mm", "within 60 mm", "rms error within 60 mm", "echoes: difference from true map's"],
        ["water everywhere", "100.0 %", "100.0 %", "", f"{_difference(plain, exact):.0f} %"],
        ["from travel times", *_errors(first.medium, truth, speed), ""],
        ["from waveforms", *_errors(second.medium, truth, speed), f"{_difference(image, exact):.0f} %"],
    ]
    text = (
        "The same ring: 64 elements, full-wave data of another solver without noise, one shot through water. From raw "
        "traces to the map from travel times; from there, frequency by frequency, to the map that explains the "
        "waveforms (ray-Born inversion); through that map to the reflection image of the same traces, with the wave "
        "from emitter to receiver muted. The truth is used for the errors only. They are the part of the contrast "
        "that is left unexplained; that of the echoes is measured on complex images, against the one through the "
        "true map."
    )
    figure = _picture(first.medium, second.medium, truth, speed, image, grid)
    return Case("Sound speed from whole waveforms, and echoes through it", text, [figure], table)


def _errors(found: Medium, truth: Medium, speed: float) -> list[str]:
    wide, narrow = (sound_speed_errors(found, truth, speed, center=(0, 0, 0), radius=r) for r in (0.1, 0.06))
    return [f"{wide['relative_error']:.1f} %", f"{narrow['relative_error']:.1f} %", f"{narrow['rmse']:.1f} m/s"]


def _difference(image: NDArray[Any], exact: NDArray[Any]) -> float:
    """Of complex images, relative [%]."""
    return 100 * float(np.linalg.norm(image - exact) / np.linalg.norm(exact))


def _picture(first: Medium, second: Medium, truth: Medium, speed: float, image: NDArray[Any], grid: Grid) -> Any:
    """Maps and the truth on one scale, below them their errors, and the echoes."""
    ax = new_axes((13.2, 6.9))
    figure = ax.figure
    ax.remove()
    figure.get_layout_engine().set(wspace=0.06, rect=(0.01, 0, 0.97, 1))  # for the labels of colour bars
    axes = figure.subplots(2, 3)
    values = truth.sound_speed
    limits = (float(values.min()), float(values.max()))
    for column, (name, medium) in enumerate((("from travel times", first), ("from waveforms", second))):
        show_medium(medium, ax=axes[0, column], title=name, limits=limits)
        title = f"{name}: error"
        show_difference(medium, truth, background=speed, ax=axes[1, column], title=title, limit=_LIMIT)
    show_medium(truth, ax=axes[0, 2], title="truth", limits=limits)
    level = log_compress(envelope(image[0]), dynamic_range=_RANGE)
    show_bmode(level, grid, ax=axes[1, 2], dynamic_range=_RANGE, title="echoes, through map from waveforms")
    for each in axes.flat:
        each.set_xlim(-1e3 * _SIDE, 1e3 * _SIDE)
        each.set_ylim(1e3 * _SIDE, -1e3 * _SIDE)
    return figure
