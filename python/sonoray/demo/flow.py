"""Doppler on real data: a rotating disk, whose velocity is known, and a carotid as its scanner drew it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from ..acquisition.scan_lines import ScanLines
from ..beamforming.flow import reconstruct_doppler
from ..imaging.color_overlay import draw_overlay
from ..imaging.doppler import doppler_image, nyquist_velocity
from ..imaging.scan_conversion import scan_convert_lines
from ..imaging.wall_filters import IirFilter
from ..io import read
from ..io.images import read_image
from ..media.grids import Grid
from ..plotting import new_axes
from .report import Case
from .sources import dataset_file

_MIDDLE, _RADIUS = (-0.7e-3, 22.5e-3), 8.5e-3  # of the disk; a millimetre within its rim [m]
_PRF = 5000.0  # of the carotid: the rate that the scanner's scale of 38.5 cm/s stands for
_PULSE = 0.9e-3  # of the carotid's ranges, fitted to the scanner's picture [m]
_RED = 40  # grey levels by which the scanner's red exceeds green and blue where it painted flow


def disk(offline: bool) -> Case:
    """Rotating disk: a rigid rotation's axial velocity is linear in x."""
    data = read(dataset_file("must-rotating-disk", offline))
    grid = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=1e-4)
    flow = reconstruct_doppler(data, grid=grid, wall_filter=None, average=9, threshold=10)
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    inside = (np.hypot(x - _MIDDLE[0], z - _MIDDLE[1]) < _RADIUS) & flow.painted[0]
    velocity = flow.velocity[0]
    slope, offset = np.polyfit(x[inside], velocity[inside], 1)
    residual = velocity - (slope * x + offset)
    axes = _row(3)
    _picture(axes[0], flow.picture[0], grid, f"velocity, ±{100 * flow.limit:.0f} cm/s")
    error = np.where(inside, 100 * residual, np.nan)
    _picture(axes[1], error, grid, "deviation from linear [cm/s]", cmap="RdBu_r", vmin=-5, vmax=5)
    columns = inside.sum(axis=1) > 20
    mean = np.array([velocity[k, inside[k]].mean() for k in np.flatnonzero(columns)])
    axes[2].plot(1e3 * grid.x[columns], 100 * mean, label="mean over depth")
    axes[2].plot(1e3 * grid.x[columns], 100 * (slope * grid.x[columns] + offset), "k--", label="linear")
    axes[2].set(xlabel="x [mm]", ylabel="velocity towards the probe [cm/s]")
    axes[2].legend()
    table = [
        ["axial velocity on the disk", "value"],
        ["slope (rotation rate)", f"{slope:.1f} 1/s"],
        ["share of variance linear in x", f"{1 - residual[inside].var() / velocity[inside].var():.4f}"],
        ["rms deviation", f"{1e3 * residual[inside].std():.1f} mm/s"],
        ["Nyquist velocity", f"{flow.nyquist:.3f} m/s"],
    ]
    text = (
        "A tissue-mimicking disk rotates in water: 32 plane waves at 10 kHz, 128 elements, radio frequency sampled "
        "below twice its highest frequency. A rigid rotation has an axial velocity that is linear in x. No wall "
        "filter: the disk itself is what moves."
    )
    return Case("Rotating disk", text, [axes[0].figure], table)


def carotid(offline: bool) -> Case:
    """Carotid in vivo: the lumen filled with one sign, as the scanner's own picture has it."""
    lines = read(dataset_file("clarius-carotid-doppler", offline))
    folder = datasets.find("clarius-carotid-doppler")
    assert folder is not None
    screen = read_image(folder.with_name("carotid.jpeg"))
    limit = nyquist_velocity(lines.center_frequency, _PRF)
    found = doppler_image(lines.samples[0], lines.center_frequency, _PRF, wall_filter=IirFilter(0.15), average=(5, 15))
    strong = found.power > 4 * np.percentile(found.power, 20)
    theirs = _painted_by_scanner(lines, screen)
    dice = 2 * (strong & theirs).sum() / (strong.sum() + theirs.sum())
    signs = found.velocity[strong & theirs] > 0
    axes = _row(2)
    lines = replace(lines, ranges=lines.ranges - _PULSE)
    picture, grid = _overlay(lines, read(folder.with_name("carotid_env.raw")), found, strong, limit)
    _picture(axes[0], picture, grid, f"sonoray, ±{100 * limit:.1f} cm/s")
    axes[1].imshow(screen[180:660])
    axes[1].set_title("the scanner's own picture")
    axes[1].set_axis_off()
    table = [
        ["lumen", "value"],
        ["overlap with the scanner's colour (Dice)", f"{dice:.2f}"],
        ["of its red, painted here", f"{100 * strong[theirs].mean():.1f} %"],
        ["of that, towards the probe", f"{100 * signs.mean():.1f} %"],
        ["median velocity", f"{100 * np.median(found.velocity[strong & theirs]):.1f} cm/s"],
    ]
    text = (
        "Colour-Doppler I/Q of a carotid: 12 shots, 104 lines at 15 degrees. Recursive wall filter, power 6 dB above "
        "the noise. The scanner's picture is its own estimate, not the truth; the depth of the first sample "
        "was fitted to it (0.9 mm)."
    )
    return Case("Carotid in vivo", text, [axes[0].figure], table)


def _painted_by_scanner(lines: ScanLines, screen: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether the scanner painted flow at each sample; 14.2 pixels are a millimetre, the skin is in row 187."""
    red, green, blue = np.moveaxis(screen[..., :3].astype(int), -1, 0)
    painted = (red - green > _RED) & (red - blue > _RED)
    reach = lines.ranges - _PULSE
    x = lines.x[:, None] + 19.2e-3 + reach * np.sin(lines.angle)
    z = np.broadcast_to(reach * np.cos(lines.angle), x.shape)
    return np.asarray(painted[np.round(187 + 14200 * z).astype(int), np.round(14200 * x).astype(int)])


def _overlay(
    lines: ScanLines, envelope: ScanLines, found: Any, strong: NDArray[np.bool_], limit: float
) -> tuple[NDArray[np.uint8], Grid]:
    """Colour over B-mode on square pixels, (n_x, n_z, 3). Velocities wrap: their phasors are converted."""
    grid = Grid.from_extent(x=(-18.5e-3, 18.5e-3), z=(1e-3, 30e-3), spacing=1e-4)
    grey = scan_convert_lines(envelope.samples[0, 0], envelope, grid, fill=0)
    phasor = found.power * strong * np.exp(1j * np.pi * found.velocity / limit)
    phasor = scan_convert_lines(phasor.astype("c8"), lines, grid, fill=0)
    power = np.abs(phasor)
    velocity = np.angle(phasor) * limit / np.pi
    least = 0.5 * float(found.power[strong].min())
    shown = draw_overlay(grey.T, velocity.T, power.T, nyquist=limit, min_power=least)
    return shown.image.swapaxes(0, 1), grid


def _row(n: int) -> Any:
    first = new_axes((5.0 * n, 4.6))
    figure = first.figure
    first.remove()
    return figure.subplots(1, n)


def _picture(ax: Any, values: NDArray[Any], grid: Grid, title: str, **options: Any) -> None:
    (x0, x1), (z0, z1) = grid.extent
    drawn = ax.imshow(values.swapaxes(0, 1), extent=[1e3 * v for v in (x0, x1, z1, z0)], **options)
    ax.set(xlabel="x [mm]", ylabel="z [mm]", title=title)
    if options:
        ax.figure.colorbar(drawn, ax=ax, shrink=0.7)
