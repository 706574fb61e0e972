"""Media and arrays that several tests of rays share."""

import numpy as np

from sonoray import Grid, Medium
from sonoray.media.interpolation import smooth


def ring(n, radius=0.11):
    """Elements on a circle around the origin, (n, 3) [m]."""
    angle = 2 * np.pi * np.arange(n) / n
    return np.c_[radius * np.cos(angle), np.zeros(n), radius * np.sin(angle)]


def ring_grid(spacing=1e-3, half=0.12):
    return Grid.from_extent(x=(-half, half), z=(-half, half), spacing=spacing)


def truth_map(real_data, name, width=7):
    """Sound speed of a simulated ring at 1 mm, smoothed as for ray tracing."""
    with np.load(real_data(f"ring-simulated/truth_{name}.npz")) as file:
        speed = file["C"].T[::2, ::2].astype(float)  # stored as (y, x) every 0.5 mm
    return Medium(ring_grid(), smooth(speed, width))


def gaussian_lens(grid, strength, width, water=1500.0, center=(0.0, 0.0, 0.0)):
    """c = water (1 + strength exp(-r^2 / 2 width^2)): negative strength focuses."""
    offset = grid.points() - np.asarray(center)
    return Medium(grid, water * (1 + strength * np.exp(-0.5 * (offset**2).sum(axis=-1) / width**2)))
