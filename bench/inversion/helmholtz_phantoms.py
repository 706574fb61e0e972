"""Transmission data of two small breast-like phantoms in a ring, by the Helmholtz equation: no ray has made them.

A ring of 128 elements, 80 mm across, 40 frequencies from 200 to 750 kHz, lossless. ``development`` is the phantom on
which settings were chosen, ``hold_out`` another anatomy with random inclusions whose seed was fixed before anything was
reconstructed.

    PYTHONPATH=python:. python bench/inversion/helmholtz_phantoms.py development FILE.npz     # 4 CPU-minutes each
    PYTHONPATH=python:. python bench/inversion/helmholtz_phantoms.py hold_out FILE.npz

The file holds ``values`` (40, 128, 128) complex64 [(laplace + k^2) p = -delta, exp(-i omega t); 0 where an element
receives itself], ``frequencies`` [Hz], ``positions`` (128, 3) [m], and the truth: ``sound_speed`` (n, n) [m/s] at
``axis`` (n,) [m] in both directions (x, z).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from sonoray import Grid, Medium
from sonoray.simulation import simulate_helmholtz

WATER, RADIUS, ELEMENTS = 1500.0, 0.040, 128
FREQUENCIES = np.linspace(0.2e6, 0.75e6, 40)
HALF, FINE = 232, 0.25e-3  # of the grid on which the phantoms are drawn
SPACING = 0.35e-3  # of the solver's: 5.5 nodes per wavelength at 750 kHz


def ellipse(x, z, *shape):
    """Whether points lie in an ellipse: centre, half axes [m], turn [rad]."""
    x0, z0, a, b, turn = shape
    u, v = x - x0, z - z0
    return (((u * np.cos(turn) + v * np.sin(turn)) / a) ** 2 + ((v * np.cos(turn) - u * np.sin(turn)) / b) ** 2) < 1


def development(x, z):
    """Skin, fat, gland and seven inclusions of 1 to 6 mm."""
    speed = np.full(x.shape, WATER)
    for *shape, c in (
        (0, 0, 0.0285, 0.0265, 0.2, 1555.0),
        (0, 0, 0.0270, 0.0250, 0.2, 1472.0),
        (0.002, 0.003, 0.018, 0.015, 0.6, 1518.0),
        (-0.006, 0.004, 0.006, 0.0035, 1.0, 1478.0),
        (0.009, -0.002, 0.004, 0.004, 0, 1550.0),
        (0.004, 0.011, 0.0015, 0.0015, 0, 1545.0),
        (-0.002, -0.006, 0.001, 0.001, 0, 1545.0),
        (-0.016, -0.006, 0.0025, 0.0015, 0.5, 1510.0),
        (0.0155, 0.008, 0.001, 0.001, 0, 1440.0),
    ):
        speed[ellipse(x, z, *shape)] = c
    return speed


def hold_out(x, z):
    """Another outline, gland as random patches, seven inclusions at random places."""
    random = np.random.default_rng(20251120)
    speed = np.full(x.shape, WATER)
    middle = (0.001, -0.001)
    for a, b, c in ((0.0265, 0.0290, 1540.0), (0.0252, 0.0277, 1460.0)):
        speed[ellipse(x, z, *middle, a, b, -0.5)] = c
    patches = gaussian_filter(random.standard_normal(x.shape), 2.5e-3 / FINE)
    speed[ellipse(x, z, *middle, 0.0245, 0.0270, -0.5) & (patches > 0.35 * patches.std())] = 1520.0
    for _ in range(7):
        reach = 0.019 * np.sqrt(random.random())
        angle = 2 * np.pi * random.random()
        a = 0.0008 + 0.0035 * random.random()
        c = random.choice([1435.0, 1500.0, 1555.0, 1580.0])
        b, turn = a * (0.6 + 0.4 * random.random()), np.pi * random.random()
        speed[ellipse(x, z, reach * np.cos(angle), reach * np.sin(angle), a, b, turn)] = c
    return speed


PHANTOMS = {"development": development, "hold_out": hold_out}


def drawn(name):
    """Axis and sound speed of a phantom, edges blurred by 0.3 mm."""
    axis = FINE * np.arange(-HALF, HALF + 1)
    x, z = np.meshgrid(axis, axis, indexing="ij")
    return axis, gaussian_filter(PHANTOMS[name](x, z), 1.2)


def ring():
    """Element positions (128, 3) [m]."""
    angle = 2 * np.pi * np.arange(ELEMENTS) / ELEMENTS
    return RADIUS * np.stack([np.cos(angle), np.zeros(ELEMENTS), np.sin(angle)], axis=1)


def simulate(axis, speed, *, frequencies=FREQUENCIES, progress=None):
    """Data of the ring, (n_f, 128, 128) complex64."""
    half = RADIUS + 4 * SPACING
    grid = Grid.from_extent(x=(-half, half), z=(-half, half), spacing=SPACING)
    index = (grid.points()[..., [0, 2]] - axis[0]) / FINE
    squared = map_coordinates(speed**-2.0, np.moveaxis(index, -1, 0), order=1)
    values = simulate_helmholtz(Medium(grid, squared**-0.5), ring(), frequencies, progress=progress)
    return values.astype(np.complex64)


def main():
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phantom", choices=PHANTOMS)
    parser.add_argument("file", type=Path)
    a = parser.parse_args()
    axis, speed = drawn(a.phantom)
    begin = time.process_time()
    values = simulate(axis, speed, progress=lambda part: print(f"{part:.0%} {time.process_time() - begin:.0f} s"))
    np.savez(a.file, values=values, frequencies=FREQUENCIES, positions=ring(), sound_speed=speed, axis=axis)


if __name__ == "__main__":
    main()
