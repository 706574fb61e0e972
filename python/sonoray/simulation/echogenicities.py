"""Random echogenicity maps for images of speckle: several families, so that some can be kept for judging."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .._checks import count, option, pair

Map = NDArray[np.float64]
_Coordinates = tuple[Map, Map]


def echogenicity_map(family: str, shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """Draw a map of mean echo power.

    Parameters
    ----------
    family : {"shapes", "layers", "blobs", "vessels", "organ"}
        Discs, boxes, ellipses and triangles; wavy layers with bright sheets between them; smooth regions of a few
        levels; dark tubes with bright walls; an organ with capsule, cysts, ducts, nodules and a shadow.
    shape : tuple[int, int]
        Rows and columns, at least 16.
    rng : np.random.Generator

    Returns
    -------
    NDArray[np.float64]
        dB; surroundings lie at about 0.

    Raises
    ------
    ArgumentError
        Another family, or a smaller image.
    """
    n_rows, n_columns = (count("shape", n, 16, 100_000) for n in pair("shape", shape))
    draw = _FAMILIES[option("family", family, FAMILIES)]
    z, x = np.mgrid[:n_rows, :n_columns].astype(np.float64) / min(n_rows, n_columns)
    return draw((z, x), rng)


def _background(at: _Coordinates, rng: np.random.Generator) -> Map:
    """A slope, as of attenuation that is not quite compensated."""
    z, x = at
    return np.asarray(rng.uniform(-4, 4) * (z - z.mean()) + rng.uniform(-2, 2) * (x - x.mean()))


def _inside(at: _Coordinates, rng: np.random.Generator, radius: tuple[float, float]) -> NDArray[np.bool_]:
    """A disc, box, ellipse or triangle anywhere, turned by any angle."""
    z, x = at
    r, angle = rng.uniform(*radius), rng.uniform(0, np.pi)
    dz, dx = z - rng.uniform(0.1, 0.9) * z.max(), x - rng.uniform(0.1, 0.9) * x.max()
    u, v = dx * np.cos(angle) + dz * np.sin(angle), dz * np.cos(angle) - dx * np.sin(angle)
    kind = rng.integers(4)
    if kind == 0:
        return np.asarray(u**2 + v**2 < r**2)
    if kind == 1:
        return np.asarray((np.abs(u) < r) & (np.abs(v) < r * rng.uniform(0.4, 1)))
    if kind == 2:
        return np.asarray((u / 1.6) ** 2 + (1.6 * v) ** 2 < r**2)
    return np.asarray((np.abs(v) < r) & (np.abs(u) < 0.6 * (r - v)))


def _shapes(at: _Coordinates, rng: np.random.Generator) -> Map:
    found = background = _background(at, rng)
    for _ in range(rng.integers(3, 8)):
        found = np.where(_inside(at, rng, (0.05, 0.18)), background + rng.uniform(-20, 14), found)
    return found


def _wave(x: Map, rng: np.random.Generator, height: float) -> Map:
    return np.asarray(
        sum(
            height / k * rng.normal() * np.sin(np.pi * k * x / x.max() + rng.uniform(0, 2 * np.pi)) for k in range(1, 4)
        )
    )


def _layers(at: _Coordinates, rng: np.random.Generator) -> Map:
    z, x = at
    tilt = rng.uniform(-0.5, 0.5) * (x - x.mean())
    found = _background(at, rng) + rng.uniform(-8, 4)
    for depth in np.sort(rng.uniform(0.05, 0.95, rng.integers(2, 6))):
        surface = z - depth * z.max() - tilt - _wave(x, rng, 0.02)
        found = np.where(surface > 0, _background(at, rng) + rng.uniform(-12, 8), found)
        if rng.random() < 0.7:
            sheet = np.abs(surface) < rng.uniform(0.008, 0.02)
            found = np.where(sheet, rng.uniform(6, 14), found)
    return found


def _blobs(at: _Coordinates, rng: np.random.Generator) -> Map:
    size = rng.uniform(0.05, 0.12) * min(at[0].shape)
    field = gaussian_filter(rng.standard_normal(at[0].shape), size)
    edges = np.quantile(field, np.sort(rng.uniform(0.1, 0.9, rng.integers(1, 4))))
    levels = rng.uniform(-16, 10, len(edges) + 1)
    return _background(at, rng) + levels[np.digitize(field, edges)]


def _tube(at: _Coordinates, rng: np.random.Generator, found: Map, radius: tuple[float, float]) -> Map:
    z, x = at
    angle = rng.uniform(0, np.pi)
    dz, dx = z - rng.uniform(0.15, 0.85) * z.max(), x - rng.uniform(0.15, 0.85) * x.max()
    along, across = dx * np.cos(angle) + dz * np.sin(angle), dz * np.cos(angle) - dx * np.sin(angle)
    bend = rng.uniform(-0.4, 0.4)
    distance = np.abs(across - bend * along**2)
    r = rng.uniform(*radius) * (1 + rng.uniform(-0.4, 0.4) * along)
    wall = rng.uniform(0.008, 0.02)
    found = np.where(distance < r + wall, rng.uniform(2, 10), found)
    return np.asarray(np.where(distance < r, rng.uniform(-30, -12), found))


def _vessels(at: _Coordinates, rng: np.random.Generator) -> Map:
    found = _background(at, rng) + rng.uniform(-5, 3)
    for _ in range(rng.integers(1, 4)):
        found = _tube(at, rng, found, (0.02, 0.09))
    return found


def _organ(at: _Coordinates, rng: np.random.Generator) -> Map:
    z, x = at
    found = _background(at, rng)
    middle_z, middle_x = rng.uniform(0.4, 0.6) * z.max(), rng.uniform(0.4, 0.6) * x.max()
    angle, ratio, size = rng.uniform(-0.6, 0.6), rng.uniform(1.2, 1.9), rng.uniform(0.25, 0.34)
    dz, dx = z - middle_z, x - middle_x
    u, v = dx * np.cos(angle) + dz * np.sin(angle), dz * np.cos(angle) - dx * np.sin(angle)
    radius = np.hypot(u / ratio, v * ratio**0.5) / size
    inside = radius < 1 + 0.06 * np.sin(rng.integers(2, 6) * np.arctan2(v, u) + rng.uniform(0, 6))
    parenchyma = _background(at, rng) + rng.uniform(-8, 6)
    found = np.where(inside, parenchyma, found)
    found = np.where(inside & (radius < 0.45), parenchyma + rng.uniform(4, 10), found)
    found = np.where(np.abs(radius - 1.03) < 0.025, rng.uniform(6, 12), found)
    for _ in range(rng.integers(1, 4)):
        lesion = _inside(at, rng, (0.03, 0.1))
        found = np.where(lesion, found + rng.choice([-24.0, -10.0, -6.0, 6.0]), found)
    if rng.random() < 0.5:
        found = _tube(at, rng, found, (0.015, 0.04))
    if rng.random() < 0.5:
        edge = rng.uniform(0.1, 0.8) * x.max()
        shadow = (np.abs(x - edge - 0.2 * (z - z.mean())) < rng.uniform(0.03, 0.08)) & (z > middle_z)
        found = np.where(shadow, found - rng.uniform(8, 18), found)
    return found


_FAMILIES: dict[str, Callable[[_Coordinates, np.random.Generator], Map]] = {
    "shapes": _shapes,
    "layers": _layers,
    "blobs": _blobs,
    "vessels": _vessels,
    "organ": _organ,
}
FAMILIES = tuple(_FAMILIES)
