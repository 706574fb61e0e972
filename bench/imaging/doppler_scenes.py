"""Flow whose velocity is known: simulated vessels, the rotating disk, a carotid as its scanner drew it."""

import io
from pathlib import Path

import numpy as np

import sonoray
from sonoray.simulation.moving_scatterers import simulate_flow_images

F, RATE, C = 5e6, 5e3, 1540.0
LIMIT = sonoray.nyquist_velocity(F, RATE, C)
GRID = sonoray.Grid.from_extent(x=(-4e-3, 4e-3), z=(10e-3, 18e-3), spacing=(1e-4, 5e-5))
RADIUS, DEPTH = 3e-3, 14e-3
INSIDE = np.abs(GRID.z - DEPTH) < RADIUS - 3e-4  # a resolution cell inside the wall
VESSEL = np.broadcast_to(np.abs(GRID.z - DEPTH) < RADIUS, GRID.shape).copy()


def parabola(z):
    """1 in the middle of the vessel, 0 at its walls."""
    return np.clip(1 - ((z - DEPTH) / RADIUS) ** 2, 0, None)


def noise(shape, level, seed=9):
    """Complex white noise of a mean power of level^2."""
    rng = np.random.default_rng(seed)
    real, imaginary = rng.standard_normal((2, *shape)) * level / np.sqrt(2)
    return (real + 1j * imaginary).astype("c8")


def vessel(peak, times, snr=20.0, profile=parabola, across=0.3, seed=0):
    """I/Q of blood that flows towards the probe at ``peak`` times Nyquist in the middle, ``across`` m/s along x."""
    blood = simulate_flow_images(
        GRID,
        lambda x, z: (across * profile(z) + 0 * x, -peak * LIMIT * profile(z) + 0 * x),
        times,
        F,
        region=lambda x, z: np.abs(z - DEPTH) < RADIUS,
        seed=seed,
    )
    return blood + noise(blood.shape, 10 ** (-snr / 20))


def walls(times, motion, level):
    """Tissue around the vessel, ``level`` dB above blood, moving by up to ``motion`` times Nyquist."""
    tissue = simulate_flow_images(
        GRID,
        lambda x, z: (0 * x, -motion * LIMIT * np.cos(x / 4e-3)),
        times,
        F,
        region=lambda x, z: np.abs(z - DEPTH) > RADIUS,
        seed=1,
    )
    return tissue * np.float32(10 ** (level / 20))


def disk_data(folder):
    """Channel data of the rotating disk."""
    return sonoray.read(folder / "must-rotating-disk" / "PWI_disk.mat")


def disk(folder):
    """Channel data of the rotating disk, a grid, its images and the points on the disk."""
    data = disk_data(folder)
    grid = sonoray.Grid.from_extent(x=(-10e-3, 9e-3), z=(13e-3, 32e-3), spacing=(2e-4, 7e-5))
    on_disk = np.hypot(grid.x[:, None] + 0.7e-3, grid.z - 22.5e-3) < 8.5e-3
    return data, grid, sonoray.reconstruct_bmode(data, grid=grid)[0], on_disk


def carotid(folder):
    """I/Q (12, 104, 352) of a carotid, the coordinates of its points [m], and where the scanner painted flow there.

    Lines start at elements 30 to 133, 0.2 mm apart, and lean by 15 degrees. The first sample lies 108 / 15 MHz after
    the transmit, of which 0.9 mm (fitted, the source does not say) is the pulse.
    """
    from PIL import Image

    place = folder / "clarius-carotid-doppler"
    iq = sonoray.read(place / "carotid_iq.raw").samples[0]
    reach = (108 + np.arange(352)) / 15e6 * C / 2 - 0.9e-3
    x = (30.5 + np.arange(104))[:, None] * 0.2e-3 + reach * np.sin(np.deg2rad(15))
    z = np.broadcast_to(reach * np.cos(np.deg2rad(15)), x.shape)
    picture = Image.open(io.BytesIO((place / "carotid.jpeg").read_bytes())).convert("RGB")
    red, green, blue = np.moveaxis(np.asarray(picture, float), -1, 0)
    painted = (red - green > 40) & (red - blue > 40)
    return iq, x, z, painted[np.round(187 + z * 14200).astype(int), np.round(x * 14200).astype(int)]


def data_folder(given):
    """Folder of the public data sets, or None."""
    folder = Path(given) if given else None
    return folder if folder and folder.exists() else None
