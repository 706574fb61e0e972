"""Tissue-like phantoms: body walls that aberrate, and speckle, points and cysts behind them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.ndimage
from numpy.typing import NDArray

from .._checks import array, count, freeze, scalar
from ..errors import ArgumentError, FormatError
from .grids import Grid
from .medium import Medium

# Sound speed [m/s] and density [kg/m^3] of fat, muscle and connective tissue.
MAST_1997 = ((1478.0, 950.0), (1547.0, 1050.0), (1613.0, 1120.0))  # table I of the reference below
STRONG_CONTRAST = (
    (1450.0, 950.0),
    (1600.0, 1050.0),
    (1613.0, 1120.0),
)  # ours: speeds near the ends of published ranges
_MAP_PIXEL = 0.33e-3 / 4  # m
_MAP_DEPTH_SCALE = 0.655  # the stained section is thicker than the living wall


@dataclass(frozen=True, eq=False)
class TissuePhantom:
    """A medium with sub-wavelength scatterers, point targets and echo-free cysts.

    All scattering is in the density, so that travel times follow ``medium`` exactly.

    Parameters
    ----------
    medium : Medium
        2-D; the truth for travel times.
    texture : medium.grid.shape float32
        Density relative to the medium's.
    points : (n, 3) float64 [m]
    cysts : (n, 4) float64 [m]
        Centre x, y, z and radius.
    """

    medium: Medium
    texture: NDArray[np.float32]
    points: NDArray[np.float64]
    cysts: NDArray[np.float64]

    @property
    def scattering_medium(self) -> Medium:
        """The medium with its texture, for a full-wave simulation."""
        density = 1000.0 if self.medium.density is None else self.medium.density
        return Medium(self.medium.grid, self.medium.sound_speed, density * self.texture)


def tissue_phantom(
    medium: Medium,
    *,
    points: Any,
    cysts: Any = (),
    contrast: float = 0.005,
    point_contrast: float = 1.0,
    point_radius: float = 6e-5,
    start_depth: float = 1e-3,
    seed: int = 0,
) -> TissuePhantom:
    """Put random scatterers, points and cysts into a medium.

    Parameters
    ----------
    medium : Medium
        2-D, on a grid well below the wavelength.
    points : (n, 3) [m]
    cysts : (n, 4) [m]
        Centre and radius of discs without scatterers.
    contrast : float
        Standard deviation of the relative density, independent from grid point to grid point.
    point_contrast, point_radius : float, float [m]
        Peak relative density and standard deviation of the Gaussian bump at each point.
    start_depth : float [m]
        No scatterers above it, where the probe lies.
    seed : int

    Returns
    -------
    TissuePhantom

    Raises
    ------
    ArgumentError
        A point outside the medium, a contrast that would make the density negative.
    """
    grid = medium.grid
    if grid.ndim != 2:
        raise ArgumentError(f"medium: expected a 2-D grid, got {grid.ndim} axes")
    points = array("points", points, (None, 3), low=-2, high=2, unit="m")
    cysts = array("cysts", np.reshape(np.asarray(cysts, float), (-1, 4)), (None, 4), low=-2, high=2, unit="m")
    inside = grid.contains(np.concatenate([points, cysts[:, :3]]))
    if not inside.all():
        raise ArgumentError(
            f"points, cysts: expected positions inside {grid.extent} m, got {int((~inside).sum())} outside"
        )
    contrast = scalar("contrast", contrast, 0.0, 0.2, "(relative density)")
    bump = scalar("point_contrast", point_contrast, 0.0, 10.0, "(relative density)")
    width = scalar("point_radius", point_radius, 1e-6, 1e-2, "m")
    scalar("start_depth", start_depth, -2.0, 2.0, "m")
    texture = contrast * np.random.default_rng(count("seed", seed, 0)).standard_normal(grid.shape).clip(-4, 4)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    texture[z < start_depth] = 0
    for cx, _, cz, radius in cysts:
        texture[np.hypot(x - cx, z - cz) < radius] = 0
    for px, _, pz in points:
        texture += bump * np.exp(-0.5 * ((x - px) ** 2 + (z - pz) ** 2) / width**2)
    return TissuePhantom(medium, freeze((1 + texture).astype(np.float32)), freeze(points), freeze(cysts))


def layered_wall(grid: Grid, *, background: tuple[float, float] = (1540.0, 1020.0)) -> Medium:
    """A body wall of skin, fat and muscle whose boundaries undulate like lenses, over homogeneous tissue.

    The fat is 2.5 to 6 mm deep; straight down, times vary by about 50 ns rms along the probe.

    Parameters
    ----------
    grid : Grid
        2-D, z = 0 at the skin.
    background : (float, float)
        Sound speed [m/s] and density [kg/m^3] below.

    Returns
    -------
    Medium
    """
    if grid.ndim != 2:
        raise ArgumentError(f"grid: expected 2 axes, got {grid.ndim}")
    mm = 1e3 * grid.x[:, None]
    skin = 1.2 + 0 * mm
    # Curved so little that the lenses focus beyond the image: nowhere a caustic, one arrival per point.
    fat = 4.4 + 1.2 * np.sin(2 * np.pi * mm / 13.0 + 0.6) + 0.2 * np.sin(2 * np.pi * mm / 6.5 + 2.1)
    muscle = 8.6 + 0.7 * np.sin(2 * np.pi * mm / 11.0 - 1.1) + 0.004 * mm**2
    depth = 1e3 * grid.z[None, :]
    layers = [(1580.0, 1060.0), (1450.0, 950.0), (1590.0, 1060.0), background]
    fields = [np.full(grid.shape, layers[0][i]) for i in range(2)]
    for boundary, upper, lower in zip((skin, fat, muscle), layers[:-1], layers[1:], strict=True):
        passed = 0.5 * (1 + np.tanh((depth - boundary) / 0.12))
        for i in range(2):
            fields[i] += (lower[i] - upper[i]) * passed
    return Medium(grid, *fields)


def abdominal_wall_medium(
    path: Any,
    *,
    grid: Grid,
    window_center: float = 43e-3,
    tissues: tuple[tuple[float, float], ...] = MAST_1997,
    background: tuple[float, float] = (1540.0, 1020.0),
    smoothing: float = 1.5e-4,
) -> Medium:
    """An abdominal wall from a labelled section, over homogeneous tissue.

    Parameters
    ----------
    path : path
        MATLAB file with ``cut`` (depth, lateral): 0 background, 2 muscle, 3 fat, 1, 4 and 5 connective tissue, pixels
        of 0.0825 mm; depth is scaled by 0.655 as is customary for these sections.
    grid : Grid
        2-D; x = 0 is ``window_center`` of the section, z = 0 its skin. Beyond the section its border continues.
    window_center : float [m]
    tissues : three (float, float)
        Sound speed [m/s] and density [kg/m^3] of fat, muscle and connective tissue.
    background : (float, float)
        The same of label 0.
    smoothing : float [m]
        Standard deviation of the Gaussian that blurs slowness and density, so that rays see what waves see.

    Returns
    -------
    Medium
        float32.

    Raises
    ------
    FormatError
        The file holds no such map.

    References
    ----------
    .. [1] T. D. Mast, L. M. Hinkelman, M. J. Orr, V. W. Sparrow, R. C. Waag, Simulation of ultrasonic pulse
       propagation through the abdominal wall, J. Acoust. Soc. Am. 102, 1177 (1997), table I.
    """
    if grid.ndim != 2:
        raise ArgumentError(f"grid: expected 2 axes, got {grid.ndim}")
    labels = _read_labels(Path(path))
    center = scalar("window_center", window_center, 0.0, labels.shape[1] * _MAP_PIXEL, "m")
    blur = scalar("smoothing", smoothing, 0.0, 5e-3, "m")
    fat, muscle, connective = tissues
    values = np.array([background, connective, muscle, fat, connective, connective])
    column = np.clip(np.rint((grid.x + center) / _MAP_PIXEL).astype(int), 0, labels.shape[1] - 1)
    row = np.clip(np.rint(grid.z / (_MAP_PIXEL * _MAP_DEPTH_SCALE)).astype(int), 0, labels.shape[0] - 1)
    label = labels[np.ix_(row, column)].T
    sigma = blur / np.array(grid.spacing)
    slowness, density = (
        scipy.ndimage.gaussian_filter(of_label[label], sigma, mode="nearest")
        for of_label in (1 / values[:, 0], values[:, 1])
    )
    return Medium(grid, (1 / slowness).astype(np.float32), density.astype(np.float32))


def _read_labels(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise FormatError(f"{path}: expected a file with a tissue map, found none")
    try:
        labels = scipy.io.loadmat(path, variable_names=["cut"])["cut"]
    except Exception as error:  # scipy raises many types on damaged files
        raise FormatError(f"{path}: expected a MATLAB file with 'cut': {type(error).__name__}: {error}") from None
    if labels.ndim != 2 or labels.dtype != np.uint8 or min(labels.shape) < 2 or labels.max() > 5:
        raise FormatError(f"{path}: cut: expected a 2-D uint8 map of labels 0 to 5, got {labels.dtype} {labels.shape}")
    return np.asarray(labels)


def coarsened(medium: Medium, factor: int, *, blur: float = 0.0) -> Medium:
    """Every ``factor``-th grid point of a medium, each with the mean slowness around it; float32, no density.

    For the travel times of a medium that was made on the fine grid of a simulation. ``blur`` is the standard deviation
    of a Gaussian [m] on top: a wave averages over what is smaller than its length, a ray does not.
    """
    n = count("factor", factor, 1, 1000)
    sigma = scalar("blur", blur, 0.0, 1e-2, "m") / np.array(medium.grid.spacing)
    slowness = 1 / np.asarray(medium.sound_speed, np.float64)
    # A window of one coarse cell; where n is even its two end points count half.
    window = np.full(n + 1 - n % 2, 1 / n)
    if n % 2 == 0:
        window[[0, -1]] /= 2
    for axis in range(slowness.ndim):
        slowness = scipy.ndimage.correlate1d(slowness, window, axis, mode="nearest")
    slowness = scipy.ndimage.gaussian_filter(slowness, sigma, mode="nearest")
    picked = slowness[tuple(slice(None, None, n) for _ in medium.grid.shape)]
    grid = Grid(picked.shape, tuple(n * h for h in medium.grid.spacing), medium.grid.origin)
    return Medium(grid, (1 / picked).astype(np.float32))
