"""Random tissue for learning and for tests: sound speed, and echogenicity that knows nothing of it."""

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .._checks import count, option, scalar
from ..errors import ArgumentError
from .grids import Grid
from .medium import Medium

KINDS = ("constant", "layers", "inclusions", "lens", "wall", "smooth")
_SHARES = (0.08, 0.3, 0.17, 0.1, 0.15, 0.2)
SPEEDS = (1400.0, 1660.0)  # m/s

Field = NDArray[np.float64]


def random_tissue(rng: np.random.Generator, grid: Grid, kind: str | None = None) -> Medium:
    """Draw a medium: sound speed from 1400 to 1660 m/s, boundaries that pass over within 0.1 to 0.6 mm.

    Parameters
    ----------
    rng : Generator
    grid : Grid
        2-D, z = 0 at the skin.
    kind : {"constant", "layers", "inclusions", "lens", "wall", "smooth"}, optional
        One speed; wavy, tilted layers; ellipses; one wide flat ellipse at small depth; skin, fat with septa, muscle
        and what lies below; a Gaussian random field. Layers and walls may hold ellipses, and all but "constant" weak
        smooth variations. Default: drawn, too.

    Returns
    -------
    Medium
        float32.

    Raises
    ------
    ArgumentError
        No such kind, a 3-D grid.

    Examples
    --------
    >>> grid = Grid.from_extent(x=(-0.018, 0.018), z=(0.0, 0.04), spacing=5e-4)
    >>> random_tissue(np.random.default_rng(1), grid, "layers").sound_speed.shape
    (73, 81)
    """
    if grid.ndim != 2:
        raise ArgumentError(f"grid: expected 2 axes, got {grid.ndim}")
    chosen = str(rng.choice(KINDS, p=_SHARES)) if kind is None else option("kind", kind, KINDS)
    make = {
        "constant": _constant,
        "layers": _layers,
        "inclusions": _inclusions,
        "lens": _lens,
        "wall": _wall,
        "smooth": _smooth,
    }[chosen]
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    c = make(rng, x, z)
    if chosen in ("layers", "wall") and rng.random() < 0.35:
        c = _ellipses(rng, x, z, c, int(rng.integers(1, 3)))
    if chosen not in ("constant", "smooth") and rng.random() < 0.5:
        c = c + rng.uniform(1.0, 10.0) * _random_field(rng, x, z, rng.uniform(2e-3, 10e-3))
    return Medium(grid, np.clip(c, *SPEEDS).astype(np.float32))


def random_scatterers(
    rng: np.random.Generator, grid: Grid, n: int, *, start_depth: float = 1e-3
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Draw point scatterers: speckle of varying brightness, cysts, bright points, thin bright sheets.

    Brightness is independent of any sound speed, so that nothing can be learned from it.

    Parameters
    ----------
    rng : Generator
    grid : Grid
        2-D; positions are uniform over its extent below ``start_depth`` [m].
    n : int
        How many.

    Returns
    -------
    points : (n, 3) float64 [m]
    amplitudes : (n,) float32
    """
    n = count("n", n, 1, 10_000_000)
    (x0, x1), (_, z1) = grid.extent
    z0 = scalar("start_depth", start_depth, grid.extent[1][0], z1, "m")
    x, z = rng.uniform(x0, x1, n), rng.uniform(z0, z1, n)
    a = rng.standard_normal(n)
    if rng.random() < 0.6:
        a *= 10 ** (rng.uniform(1.0, 5.0) * _random_field(rng, x, z, rng.uniform(2e-3, 8e-3)) / 20)
    for _ in range(rng.integers(0, 5)):
        cx, cz, radius = rng.uniform(x0, x1), rng.uniform(z0, z1), rng.uniform(1.5e-3, 5e-3)
        gain = 0.0 if rng.random() < 0.3 else 10 ** (rng.uniform(-20.0, 12.0) / 20)
        a[np.hypot(x - cx, (z - cz) * rng.uniform(0.7, 1.4)) < radius] *= gain
    if rng.random() < 0.4:  # sheets, such as fascia: scatterers next to each other, of one sign
        for _ in range(rng.integers(1, 4)):
            near = np.abs(z - rng.uniform(z0, z1) - rng.uniform(-0.2, 0.2) * x - _wave(rng, x, 1.5e-3)) < 2e-4
            a[near] = rng.uniform(0.3, 2.0) * np.abs(a[near])
    points = rng.integers(0, min(9, n)) if rng.random() < 0.7 else 0
    a[:points] = rng.choice([-1.0, 1.0], points) * 10 ** (rng.uniform(10.0, 26.0, points) / 20)
    return np.stack([x, np.zeros(n), z], axis=1), a.astype(np.float32)


def _speed(rng: np.random.Generator) -> float:
    """Mostly soft tissue, sometimes anywhere in the range."""
    return float(rng.uniform(1440.0, 1610.0) if rng.random() < 0.85 else rng.uniform(*SPEEDS))


def _wave(rng: np.random.Generator, x: Any, largest: float) -> Any:
    height = rng.uniform(0.0, largest) * np.sin(2 * np.pi * x / rng.uniform(7e-3, 30e-3) + rng.uniform(0, 2 * np.pi))
    return height + rng.uniform(0.0, 0.3 * largest) * np.sin(
        2 * np.pi * x / rng.uniform(4e-3, 10e-3) + rng.uniform(0, 2 * np.pi)
    )


def _below(rng: np.random.Generator, z: Field, depth: Any, upper: Any, lower: Any) -> Field:
    return np.asarray(upper + (lower - upper) * 0.5 * (1 + np.tanh((z - depth) / rng.uniform(1e-4, 6e-4))))


def _ellipse(rng: np.random.Generator, x: Field, z: Field, at: Any, radii: Any, outer: Any, inner: Any) -> Field:
    angle = rng.uniform(-0.4, 0.4)
    u, v = (
        (x - at[0]) * np.cos(angle) + (z - at[1]) * np.sin(angle),
        (z - at[1]) * np.cos(angle) - (x - at[0]) * np.sin(angle),
    )
    distance = (np.hypot(u / radii[0], v / radii[1]) - 1) * min(radii)
    return np.asarray(inner + (outer - inner) * 0.5 * (1 + np.tanh(distance / rng.uniform(1e-4, 6e-4))))


def _random_field(rng: np.random.Generator, x: Any, z: Any, length: float) -> Any:
    """Gaussian random field of unit variance and correlation length [m], at any points."""
    n, h = 48, 1.2e-3
    wide = rng.standard_normal((n, n))
    anisotropy = rng.uniform(0.6, 1.8)
    smooth = scipy.ndimage.gaussian_filter(wide, (length * anisotropy / h, length / anisotropy / h), mode="wrap")
    at = np.stack([np.ravel(x) / h, np.ravel(z) / h])
    values = scipy.ndimage.map_coordinates(smooth / smooth.std(), at, order=3, mode="grid-wrap")
    return values.reshape(np.shape(x))


def _constant(rng: np.random.Generator, x: Field, z: Field) -> Field:
    return np.full_like(x, rng.uniform(*SPEEDS))


def _layers(rng: np.random.Generator, x: Field, z: Field) -> Field:
    n = int(rng.integers(1, 5))
    depths = np.sort(rng.uniform(2e-3, 34e-3, n))
    c: Any = np.full_like(x, _speed(rng))
    for depth in depths:
        tilt = rng.uniform(-0.18, 0.18) * x if rng.random() < 0.6 else 0.0
        wave = _wave(rng, x, 2e-3) if rng.random() < 0.6 else 0.0
        c = _below(rng, z, depth + tilt + wave, c, _speed(rng))
    return np.asarray(c)


def _ellipses(rng: np.random.Generator, x: Field, z: Field, c: Field, n: int) -> Field:
    for _ in range(n):
        at = (rng.uniform(-12e-3, 12e-3), rng.uniform(5e-3, 36e-3))
        radii = rng.uniform(2e-3, 9e-3, 2)
        change = rng.choice([-1.0, 1.0]) * rng.uniform(15.0, 90.0)
        c = _ellipse(rng, x, z, at, radii, c, c + change)
    return c


def _inclusions(rng: np.random.Generator, x: Field, z: Field) -> Field:
    return _ellipses(rng, x, z, np.full_like(x, _speed(rng)), int(rng.integers(1, 4)))


def _lens(rng: np.random.Generator, x: Field, z: Field) -> Field:
    outer = _speed(rng)
    inner = outer + rng.choice([-1.0, 1.0]) * rng.uniform(25.0, 120.0)
    at = (rng.uniform(-5e-3, 5e-3), rng.uniform(4e-3, 16e-3))
    return _ellipse(rng, x, z, at, (rng.uniform(7e-3, 16e-3), rng.uniform(1.5e-3, 5e-3)), np.full_like(x, outer), inner)


def _wall(rng: np.random.Generator, x: Field, z: Field) -> Field:
    skin, fat, muscle = rng.uniform(1540, 1640), rng.uniform(1420, 1480), rng.uniform(1540, 1620)
    first = rng.uniform(0.8e-3, 2.5e-3)
    second = first + rng.uniform(2e-3, 9e-3)
    third = second + rng.uniform(2e-3, 9e-3)
    c = _below(rng, z, first, np.full_like(x, skin), fat)
    for _ in range(rng.integers(0, 5)):  # septa
        at = (rng.uniform(-15e-3, 15e-3), rng.uniform(first, second))
        c = _ellipse(rng, x, z, at, (rng.uniform(2e-3, 6e-3), rng.uniform(4e-4, 1e-3)), c, rng.uniform(1520, 1600))
    c = _below(rng, z, second + _wave(rng, x, 1.5e-3), c, muscle)
    for _ in range(rng.integers(0, 3)):  # fat between sheets of muscle
        at = (rng.uniform(-12e-3, 12e-3), rng.uniform(second, third))
        c = _ellipse(rng, x, z, at, (rng.uniform(3e-3, 11e-3), rng.uniform(5e-4, 1.2e-3)), c, fat)
    return _below(rng, z, third + rng.uniform(-0.1, 0.1) * x + _wave(rng, x, 1e-3), c, rng.uniform(1500, 1590))


def _smooth(rng: np.random.Generator, x: Field, z: Field) -> Field:
    spread = rng.uniform(10.0, 45.0)
    c = rng.uniform(1470, 1590) + spread * _random_field(rng, x, z, rng.uniform(2e-3, 9e-3))
    if rng.random() < 0.4:  # patches with edges instead
        c = c.mean() + spread * np.tanh((c - c.mean()) / (0.3 * spread))
    return np.asarray(c)
