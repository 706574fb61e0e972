"""Figures of the nouns and of images; the only import of matplotlib (extra ``plot``).

Axes are in millimetres with depth pointing down. Everything uses the object interface of matplotlib: no window is
opened, no global state is touched. Functions draw into ``ax`` or make a figure, and return the axes;
`save_figure` or ``ax.figure.savefig(path)`` writes it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ._checks import count, scalar
from .acquisition.flow_images import VectorVelocity
from .acquisition.probes import Probe
from .errors import ArgumentError, MissingExtraError
from .imaging.detection import to_uint8
from .imaging.scan_conversion import covering_grid, scan_convert
from .imaging.spectral_doppler import Sonogram, SpectralTraces
from .media.grids import Grid, SectorGrid
from .media.medium import Medium

_MM = 1e3
_MAX_SIDE = 2000  # points across a sector, unless asked for more


def new_axes(figsize: tuple[float, float] = (6.0, 5.0)) -> Any:
    """Return axes in a new figure that belongs to no window.

    Parameters
    ----------
    figsize : (width, height) [inch]

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib is not installed: pip install 'sonoray[plot]'") from error
    figure = Figure(figsize=figsize, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def show_bmode(
    image: Any,
    grid: Grid | SectorGrid,
    *,
    ax: Any = None,
    title: str | None = None,
    dynamic_range: float = 60.0,
    colorbar: bool = True,
) -> Any:
    """Draw a B-mode image in grey.

    Parameters
    ----------
    image : grid.shape float32 [dB] or uint8
        From `log_compress` or `to_uint8`; NaN is left black.
    grid : Grid or SectorGrid
        2-D; a sector is scan converted first.
    ax : matplotlib.axes.Axes, optional
    title : str, optional
    dynamic_range : float [dB]
        From black to white.
    colorbar : bool

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        Shape differs from the grid, or an envelope instead of dB.
    MissingExtraError
        matplotlib is not installed.
    """
    values, flat = _on_flat_grid(image, grid)
    limits = (0, 255) if values.dtype == np.uint8 else (-scalar("dynamic_range", dynamic_range, 1, 300, "dB"), 0)
    if values.dtype != np.uint8:
        to_uint8(values, dynamic_range)  # refuses an envelope
    ax = ax or _fitting_axes(flat)
    ax.set_facecolor("black")
    drawn = _draw(ax, values, flat, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="bilinear")
    if colorbar:
        _colorbar(ax, drawn, "grey level" if values.dtype == np.uint8 else "dB")
    if title:
        ax.set_title(title)
    return ax


def show_velocity(
    velocity: Any,
    grid: Grid | SectorGrid,
    *,
    bmode: Any = None,
    visible: Any = None,
    limit: float | None = None,
    dynamic_range: float = 60.0,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw a velocity map, red towards the probe and blue away, over a B-mode image.

    Parameters
    ----------
    velocity : grid.shape float32 [m/s]
        From `doppler_velocity`.
    grid : Grid or SectorGrid
    bmode : grid.shape float32 [dB] or uint8, optional
        Background.
    visible : grid.shape bool, optional
        Where to draw the velocity, such as ``power > threshold``; default everywhere.
    limit : float, optional [m/s]
        End of the colour scale; default the largest visible speed.
    dynamic_range : float [dB]
        Of the background, from black to white.
    ax, title
        As for `show_bmode`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        A shape differs from the grid.
    MissingExtraError
        matplotlib is not installed.
    """
    speeds = np.asarray(velocity, np.float32)
    if visible is not None:
        mask = np.asarray(visible)
        if mask.shape != speeds.shape or mask.dtype != bool:
            raise ArgumentError(f"visible: expected bool of shape {speeds.shape}, got {mask.dtype} {mask.shape}")
        speeds = np.where(mask, speeds, np.float32(np.nan))
    values, flat = _on_flat_grid(speeds, grid)
    if limit is None:
        largest = float(np.nanmax(np.abs(values), initial=0.0))
        limit = largest if largest > 0 else 1.0
    end = scalar("limit", limit, 1e-6, 1e4, "m/s")
    ax = ax or _fitting_axes(flat)
    ax.set_facecolor("black")
    if bmode is not None:
        show_bmode(bmode, grid, ax=ax, dynamic_range=dynamic_range, colorbar=False)
    drawn = _draw(ax, values, flat, cmap="RdBu_r", vmin=-end, vmax=end)
    _colorbar(ax, drawn, "velocity towards the probe [m/s]")
    if title:
        ax.set_title(title)
    return ax


def show_vectors(
    vectors: VectorVelocity,
    grid: Grid,
    *,
    visible: Any = None,
    every: int = 4,
    limit: float | None = None,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw speed in colour and an arrow at some points.

    Parameters
    ----------
    vectors : VectorVelocity
    grid : Grid
    visible : grid.shape bool, optional
        Where to draw; default wherever the directions determine a velocity.
    every : int
        Points from arrow to arrow along each axis.
    limit : float, optional [m/s]
        End of the colour scale; default the largest visible speed.
    ax, title
        As for `show_bmode`; give ``ax`` a B-mode image first to draw over it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        A shape differs from the grid.
    MissingExtraError
        matplotlib is not installed.
    """
    across, along = vectors.velocity
    shown = np.isfinite(vectors.condition)
    if visible is not None:
        mask = np.asarray(visible)
        if mask.shape != shown.shape or mask.dtype != bool:
            raise ArgumentError(f"visible: expected bool of shape {shown.shape}, got {mask.dtype} {mask.shape}")
        shown = shown & mask
    speed, flat = _on_flat_grid(np.where(shown, np.hypot(across, along), np.float32(np.nan)), grid)
    step = count("every", every, 1, 10_000)
    largest = float(np.nanmax(speed, initial=1e-6))
    end = largest if limit is None else scalar("limit", limit, 1e-6, 1e4, "m/s")
    ax = ax or _fitting_axes(flat)
    drawn = _draw(ax, speed, flat, cmap="viridis", vmin=0, vmax=end)
    _colorbar(ax, drawn, "speed [m/s]")
    some = np.zeros(shown.shape, bool)
    some[step // 2 :: step, step // 2 :: step] = True
    some &= shown
    x, z = np.meshgrid(flat.x * _MM, flat.z * _MM, indexing="ij")
    length = end / (1.5 * step * max(flat.spacing) * _MM)  # the fastest arrow spans one and a half gaps
    ax.quiver(x[some], z[some], across[some], along[some], angles="xy", scale_units="xy", scale=length, color="w")
    if title:
        ax.set_title(title)
    return ax


def show_sonogram(
    spectra: Sonogram,
    *,
    traces: SpectralTraces | None = None,
    dynamic_range: float = 40.0,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw spectra over time in grey, velocity upwards, with their envelopes (orange) and mean (blue).

    Parameters
    ----------
    spectra : Sonogram
    traces : SpectralTraces, optional
    dynamic_range, ax, title
        As for `show_bmode`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    lowest = -scalar("dynamic_range", dynamic_range, 1, 300, "dB")
    ax = ax or new_axes((8.0, 4.0))
    step = np.diff(spectra.velocities[:2])[0]
    first, last = spectra.times[[0, -1]]
    edges = (first, max(last, first + 1e-9), spectra.velocities[0] - step / 2, spectra.velocities[-1] + step / 2)
    levels = spectra.decibel().T
    drawn = ax.imshow(levels, extent=edges, origin="lower", aspect="auto", cmap="gray", vmin=lowest, vmax=0)
    ax.axhline(0, color="tab:gray", linewidth=0.8)
    if traces is not None:
        envelopes = (np.where(e != 0, e, np.nan) for e in (traces.maximum, traces.minimum) if e.any())
        for values, color in [*((e, "tab:orange") for e in envelopes), (traces.mean, "tab:cyan")]:
            ax.plot(traces.times, values, color=color, linewidth=1.0)
    ax.set_xlabel("time [s]")
    ax.set_ylabel("velocity towards the probe [m/s]")
    ax.set_ylim(edges[2], edges[3])
    _colorbar(ax, drawn, "dB")
    if title:
        ax.set_title(title)
    return ax


def show_medium(
    medium: Medium,
    field: str = "sound_speed",
    *,
    ax: Any = None,
    title: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draw a map of a medium: its sound speed, density or absorption.

    Parameters
    ----------
    medium : Medium
        2-D.
    field : {"sound_speed", "density", "absorption"}
    ax, title
        As for `show_bmode`.
    limits : (low, high), optional
        Of the colour scale, in the field's unit.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        The medium is not 2-D or lacks the field.
    MissingExtraError
        matplotlib is not installed.
    """
    labels = {
        "sound_speed": "sound speed [m/s]",
        "density": "density [kg/m$^3$]",
        "absorption": "absorption at 1 MHz [Np/m]",
    }
    if field not in labels:
        raise ArgumentError(f"field: expected one of {', '.join(labels)}, got {field!r}")
    stored = getattr(medium, field)
    if stored is None:
        raise ArgumentError(f"field: this medium has no {field}")
    values, flat = _on_flat_grid(stored, medium.grid)
    low, high = (float(values.min()), float(values.max())) if limits is None else limits
    if low == high:  # a homogeneous medium still wants a scale
        low, high = low - 1, high + 1
    ax = ax or _fitting_axes(flat)
    drawn = _draw(ax, values, flat, cmap="viridis", vmin=low, vmax=high)
    _colorbar(ax, drawn, labels[field])
    if title:
        ax.set_title(title)
    return ax


def show_reconstruction(medium: Medium, *, truth: Medium | None = None, title: str | None = None) -> Any:
    """Draw a reconstructed sound-speed map, beside the true one where it is known, on one colour scale.

    Parameters
    ----------
    medium : Medium
        Of a 3-D one the slice at the middle elevation is drawn.
    truth : Medium, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        Of the reconstructed map.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    shown = [_middle_slice(m) for m in (medium, truth) if m is not None]
    values = shown[-1].sound_speed
    limits = (float(values.min()), float(values.max()))
    ax = new_axes((5.6 * len(shown) + 0.6, 4.8))
    if truth is None:
        return show_medium(shown[0], ax=ax, title=title, limits=limits)
    figure = ax.figure
    ax.remove()
    axes = figure.subplots(1, 2)
    show_medium(shown[1], ax=axes[1], title="truth", limits=limits)
    return show_medium(shown[0], ax=axes[0], title=title or "reconstruction", limits=limits)


def show_difference(
    medium: Medium,
    truth: Medium,
    *,
    background: float | None = None,
    ax: Any = None,
    title: str | None = None,
    limit: float | None = None,
) -> Any:
    """Draw how much faster (red) or slower (blue) a sound-speed map is than the true one.

    Parameters
    ----------
    medium, truth : Medium
        2-D; the truth is interpolated linearly at the map's nodes.
    background : float, optional [m/s]
        True sound speed beyond the truth's grid; default that of its nearest node.
    ax, title
        As for `show_bmode`.
    limit : float, optional [m/s]
        End of the colour scale; default the largest difference.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        A map is not 2-D.
    MissingExtraError
        matplotlib is not installed.
    """
    if truth.grid.ndim != 2:
        raise ArgumentError(f"truth: expected a 2-D medium, got a {truth.grid.ndim}-D one")
    values, flat = _on_flat_grid(medium.sound_speed, medium.grid)
    index = ((flat.points()[..., [0, 2]] - truth.grid.origin) / truth.grid.spacing).transpose(2, 0, 1)
    beyond: dict[str, Any] = {"mode": "nearest"}
    if background is not None:
        beyond = {"mode": "constant", "cval": scalar("background", background, 300.0, 12000.0, "m/s")}
    difference = values - map_coordinates(np.asarray(truth.sound_speed, np.float64), index, order=1, **beyond)
    if limit is None:
        limit = max(float(np.abs(difference).max()), 1e-6)
    end = scalar("limit", limit, 1e-6, 1e4, "m/s")
    ax = ax or _fitting_axes(flat)
    drawn = _draw(ax, difference, flat, cmap="RdBu_r", vmin=-end, vmax=end)
    _colorbar(ax, drawn, "error of the sound speed [m/s]")
    if title:
        ax.set_title(title)
    return ax


def show_probe(probe: Probe, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the elements of a probe in the plane (x, z), with the direction each faces.

    Parameters
    ----------
    probe : Probe
        Out-of-plane parts of positions and normals are dropped.
    ax, title
        As for `show_bmode`; drawn over an image, the image's limits are widened to hold the elements.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    ax = ax or new_axes()
    x, z = probe.positions[:, 0] * _MM, probe.positions[:, 2] * _MM
    arrow = 0.05 * max(probe.aperture * _MM, 1.0)
    if probe.n_elements <= 512:  # beyond, arrows only hide the elements
        nx, nz = probe.normals[:, 0] * arrow, probe.normals[:, 2] * arrow
        ax.quiver(x, z, nx, nz, angles="xy", scale_units="xy", scale=1, width=0.002, color="0.6")
    ax.plot(x, z, linestyle="none", marker="s", markersize=2.5, color="tab:orange")
    low_x, high_x = sorted(ax.get_xlim())
    low_z, high_z = sorted(ax.get_ylim())
    ax.set_xlim(min(low_x, x.min() - arrow), max(high_x, x.max() + arrow))
    ax.set_ylim(max(high_z, z.max() + arrow), min(low_z, z.min() - arrow))
    _label(ax)
    default = f"{probe.name or probe.kind}, {probe.n_elements} elements"
    ax.set_title(default if title is None else title)
    return ax


def save_figure(path: str | Path, ax: Any, *, dpi: int = 150) -> None:
    """Write the figure that holds ``ax``; the ending of ``path`` (png, pdf, svg) says how."""
    ax.figure.savefig(path, dpi=dpi)


def _on_flat_grid(image: Any, grid: Grid | SectorGrid) -> tuple[NDArray[Any], Grid]:
    """The image on a Cartesian 2-D grid: itself, or scan converted."""
    values = np.asarray(image)
    if not isinstance(grid, (Grid, SectorGrid)) or grid.ndim != 2:
        raise ArgumentError(f"grid: expected a 2-D Grid or a SectorGrid, got {grid!r}")
    if values.shape != grid.shape or values.dtype.kind not in "uf":
        raise ArgumentError(f"image: expected real values of shape {grid.shape}, got {values.dtype} {values.shape}")
    if isinstance(grid, Grid):
        return values, grid
    step = float(np.ptp(grid.ranges)) / max(len(grid.ranges) - 1, 1)
    flat = covering_grid(grid, max(step, 2 * float(grid.ranges[-1]) / _MAX_SIDE))  # no finer than a screen
    return scan_convert(values, grid, flat), flat


def _draw(ax: Any, values: NDArray[Any], grid: Grid, **options: Any) -> Any:
    """Image with its points at the centres of the pixels."""
    (x0, x1), (z0, z1) = grid.extent
    hx, hz = grid.spacing
    edges = np.array([x0 - hx / 2, x1 + hx / 2, z1 + hz / 2, z0 - hz / 2]) * _MM
    drawn = ax.imshow(values.T, extent=edges, aspect="equal", origin="upper", **options)
    _label(ax)
    return drawn


def _fitting_axes(grid: Grid) -> Any:
    """New axes whose figure has about the grid's proportions, with room for labels and a colour bar."""
    width, height = (n * h for n, h in zip(grid.shape, grid.spacing, strict=True))
    scale = min(6.0 / width, 6.0 / height)
    return new_axes((max(width * scale, 1.5) + 1.6, max(height * scale, 1.5) + 0.9))


def _colorbar(ax: Any, drawn: Any, label: str) -> None:
    # Inset, so that it is as tall as the image.
    ax.figure.colorbar(drawn, cax=ax.inset_axes((1.02, 0.0, 0.15 / ax.figure.get_figwidth(), 1.0)), label=label)


def _label(ax: Any) -> None:
    ax.set_aspect("equal")
    ax.set_xlabel("x [mm]")
    ax.set_ylabel("z [mm]")


def _middle_slice(medium: Medium) -> Medium:
    grid = medium.grid
    if grid.ndim == 2:
        return medium
    flat = Grid((grid.shape[0], grid.shape[2]), (grid.spacing[0], grid.spacing[2]), (grid.origin[0], grid.origin[2]))
    return Medium(flat, medium.sound_speed[:, grid.shape[1] // 2])
