"""Pictures of volumes: orthogonal slices beside each other."""

from typing import Any

import numpy as np

from .imaging.slices import orthogonal_slices
from .media.grids import Grid
from .plotting import new_axes, show_bmode


def show_slices(
    volume: Any, grid: Grid, *, at: Any = None, title: str | None = None, dynamic_range: float = 60.0
) -> tuple[Any, Any, Any]:
    """Draw three slices of a volume in grey: x-z, y-z, and x-y from above; thin lines show where the others are.

    Parameters
    ----------
    volume : (n_x, n_y, n_z) float32 [dB] or uint8
    grid : Grid
        3-D.
    at : (3,) float64 [m], optional
        Point through which they go; default the middle of the grid.
    title : str, optional
    dynamic_range : float [dB]
        From black to white.

    Returns
    -------
    tuple of three matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        Not a volume on its grid, or a point outside it.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> axes = show_slices(log_compress(envelope(volume[0])), grid)  # doctest: +SKIP
    >>> save_figure("slices.png", axes[0])  # doctest: +SKIP
    """
    slices = orthogonal_slices(volume, grid, at)
    point = np.array([0.5 * (a + b) for a, b in grid.extent]) if at is None else np.asarray(at, float)
    sides = [n * h for n, h in zip(grid.shape, grid.spacing, strict=True)]
    widths, total = (sides[0], sides[1], sides[0]), 2 * sides[0] + sides[1]
    height = max(sides[2], sides[1])
    scale = min(12.0 / total, 6.0 / height)
    first = new_axes((max(total * scale, 4.0) + 2.5, max(height * scale, 2.0) + 0.9))
    figure = first.figure
    first.remove()
    axes = tuple(figure.subplots(1, 3, gridspec_kw={"width_ratios": widths}))
    for ax, image, (a, b) in zip(axes, slices, ((0, 2), (1, 2), (0, 1)), strict=True):
        flat = Grid(image.shape, (grid.spacing[a], grid.spacing[b]), (grid.origin[a], grid.origin[b]))
        show_bmode(image, flat, ax=ax, dynamic_range=dynamic_range, colorbar=False)
        ax.set_xlabel(f"{'xyz'[a]} [mm]")
        ax.set_ylabel(f"{'xyz'[b]} [mm]")
        ax.axvline(1e3 * point[a], color="tab:orange", linewidth=0.5, alpha=0.7)
        ax.axhline(1e3 * point[b], color="tab:orange", linewidth=0.5, alpha=0.7)
    if title:
        figure.suptitle(title)
    return axes
