"""Echogenicity of soft tissue: layers, fascia, fibres, nodules; what a B-mode image is bright and dark from."""

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray


def tissue_echo(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Mean echo level of random tissue.

    Parameters
    ----------
    rng : Generator
    shape : (n_rows, n_columns)

    Returns
    -------
    (n_rows, n_columns) float32 [dB]
        About 0 on average; fascia and fibres up to +20, cysts and shadows down to -25.
    """
    rows, columns = shape
    z, x = np.mgrid[:rows, :columns].astype(np.float32)
    size = (rows + columns) / 2
    level = rng.uniform(2, 7) * _smooth(rng, shape, size * rng.uniform(0.08, 0.2), rng.uniform(0.5, 2))
    level += rng.uniform(1, 4.5) * _smooth(rng, shape, size * rng.uniform(0.02, 0.05), rng.uniform(0.7, 2))
    level += _layers(rng, z, x)
    if rng.random() < 0.6:
        level += _fibres(rng, shape)
    for _ in range(rng.integers(0, 6)):
        level += _nodule(rng, z, x)
    level += rng.uniform(-8, 4) * (z / rows - 0.5)
    if rng.random() < 0.3:  # poor contact or a shadow: whole lines are dark
        centre, width = rng.uniform(0, columns), columns * rng.uniform(0.03, 0.12)
        level -= rng.uniform(4, 15) * np.exp(-(((x - centre) / width) ** 2)) * (z > rng.uniform(0, 0.5) * rows)
    return np.asarray(level, np.float32)


def _smooth(rng: np.random.Generator, shape: tuple[int, int], scale: float, stretch: float) -> NDArray[np.float32]:
    """Random field of unit variance; ``stretch`` times longer along columns."""
    noise = rng.standard_normal(shape).astype(np.float32)
    field = scipy.ndimage.gaussian_filter(noise, (scale, scale * stretch), mode="wrap", truncate=3)
    return np.asarray((field - field.mean()) / (field.std() + 1e-12), np.float32)


def _layers(rng: np.random.Generator, z: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Layers of tissue with bright, slightly curved fascia between them."""
    rows, columns = z.shape
    level = np.zeros_like(z)
    for _ in range(rng.integers(1, 8)):
        slope, bend = rng.normal(0, 0.12), rng.normal(0, 0.15)
        ripple = rng.uniform(0, 0.015) * rows * np.sin(2 * np.pi * (x / columns * rng.uniform(0.5, 3) + rng.random()))
        u = x / columns - 0.5
        below = z - (rng.uniform(0, 1) * rows + (slope * u + bend * u**2) * rows + ripple)
        level += rng.normal(0, 4.5) / (1 + np.exp(-np.clip(below, -30, 30)))
        broken = 0.5 + 0.5 * np.tanh(_smooth(rng, z.shape, 0.12 * columns, 2.0) + rng.uniform(-0.3, 1))
        level += rng.uniform(6, 22) * np.exp(-((below / rng.uniform(0.8, 2.2)) ** 2)) * broken
    return level


def _fibres(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bright strands along one direction, as in muscle."""
    angle, length, width = rng.normal(0, 0.35), rng.uniform(8, 25), rng.uniform(0.7, 1.4)
    kz = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1])[None]
    along, across = kx * np.cos(angle) + kz * np.sin(angle), kz * np.cos(angle) - kx * np.sin(angle)
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * np.exp(-((length * along) ** 2 + (width * across) ** 2) / 2)
    field = np.fft.irfft2(spectrum, shape)
    field /= field.std() + 1e-12
    return np.asarray(rng.uniform(3, 8) * (np.maximum(field, 0) ** 1.5 - 0.7), np.float32)


def _nodule(rng: np.random.Generator, z: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A round region that is darker (a cyst at most) or brighter than its surroundings."""
    rows, columns = z.shape
    cz, cx, radius = rng.uniform(0, rows), rng.uniform(0, columns), rows * rng.uniform(0.02, 0.1)
    r = np.hypot((z - cz) * rng.uniform(0.7, 1.4), x - cx) / radius
    return np.asarray(rng.uniform(-16, 8) / (1 + np.exp(np.clip((r - 1) * rng.uniform(4, 15), -30, 30))), np.float32)
