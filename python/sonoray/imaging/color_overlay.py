"""Colour overlays as scanners draw them: colour maps, boxes, what is painted where; and finding the paint again.

Images are as displayed, (..., n_rows, n_columns), depth along rows; colours are RGB, uint8.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import count, finite, option, pair, scalar
from ..errors import ArgumentError
from . import doppler_checks

# Control points (value, red, green, blue) from the fastest flow away from the probe to the fastest towards it.
_VELOCITY_MAPS = {
    "flame": ((-1, 150, 250, 255), (-0.6, 20, 150, 245), (-0.25, 10, 60, 170), (0, 5, 5, 40), (1e-6, 45, 5, 10),
              (0.25, 165, 25, 20), (0.6, 240, 100, 35), (1, 255, 225, 70)),
    "classic": ((-1, 0, 255, 255), (-0.5, 0, 110, 255), (0, 0, 0, 110), (1e-6, 110, 0, 0), (0.5, 255, 60, 0),
                (1, 255, 255, 0)),
    "pale": ((-1, 205, 225, 255), (-0.5, 70, 110, 235), (0, 20, 20, 120), (1e-6, 120, 20, 25), (0.5, 235, 80, 75),
             (1, 255, 225, 215)),
    "bold": ((-1, 60, 120, 255), (-0.4, 15, 25, 235), (0, 10, 0, 140), (1e-6, 140, 0, 10), (0.4, 235, 20, 15),
             (1, 255, 130, 60)),
    "dusk": ((-1, 120, 255, 190), (-0.5, 40, 120, 210), (0, 35, 0, 90), (1e-6, 90, 0, 50), (0.5, 215, 60, 40),
             (1, 255, 200, 120)),
}  # fmt: skip
# Power is shown from 0 to 1, without direction.
_POWER_MAPS = {
    "ember": ((0, 50, 5, 5), (0.4, 185, 45, 10), (0.75, 250, 150, 30), (1, 255, 240, 140)),
    "rose": ((0, 45, 0, 35), (0.5, 190, 30, 95), (1, 255, 190, 150)),
}
VELOCITY_MAPS = tuple(_VELOCITY_MAPS)
POWER_MAPS = tuple(_POWER_MAPS)
_GREEN = np.array([40.0, 255.0, 40.0])  # what variance adds


class Overlay(NamedTuple):
    """A picture with colour.

    Attributes
    ----------
    image : (..., n_rows, n_columns, 3) uint8
        RGB. Where nothing is painted all three channels are the grey level underneath.
    mask : (..., n_rows, n_columns) bool
        Where flow is painted.
    painted : (..., n_rows, n_columns) bool
        Where anything is: flow or the outline of the box.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    painted: NDArray[np.bool_]


def map_colors(
    values: Any, color_map: str = "flame", *, variance: Any = None, inverted: bool = False
) -> NDArray[np.uint8]:
    """Colours of flow.

    Parameters
    ----------
    values : (...) float
        Velocity over Nyquist velocity, -1 to 1, positive towards the probe; for the maps of power ("ember", "rose")
        power from 0 to 1. Clipped.
    color_map : {"flame", "classic", "pale", "bold", "dusk", "ember", "rose"}
    variance : (...) float, optional
        Spread of velocity, 0 to 1 (`doppler_variance`): adds green, as maps for turbulent flow do.
    inverted : bool
        Flow towards the probe in the colours of flow away from it.

    Returns
    -------
    (..., 3) uint8

    Raises
    ------
    ArgumentError
        Unknown map, NaN, shapes that differ.
    """
    option("color_map", color_map, VELOCITY_MAPS + POWER_MAPS)
    level = _real("values", values)
    points = np.array(_VELOCITY_MAPS.get(color_map) or _POWER_MAPS[color_map], np.float64)
    level = -level if inverted and color_map in _VELOCITY_MAPS else level
    colors = np.stack([np.interp(level, points[:, 0], channel) for channel in points[:, 1:].T], axis=-1)
    if variance is not None:
        spread = _real("variance", variance)
        if spread.shape != level.shape:
            raise ArgumentError(f"variance: expected shape {level.shape} as values, got {spread.shape}")
        share = 0.8 * np.clip(spread, 0, 1)[..., None]
        colors = (1 - share) * colors + share * _GREEN
    return np.asarray(np.rint(colors), np.uint8)


def steered_box(shape: Any, rows: Any, columns: Any, steering: float = 0.0) -> NDArray[np.bool_]:
    """A colour box of a linear probe: a parallelogram whose sides follow the steered beams.

    Parameters
    ----------
    shape : (n_rows, n_columns)
        Of the picture, with square pixels.
    rows : (top, bottom)
        First row and the one after the last.
    columns : (left, right)
        Of the box's top row; further down it shifts by tan(steering) per row.
    steering : float [rad]
        Positive to the right.

    Returns
    -------
    (n_rows, n_columns) bool
        True inside. Parts beyond the picture are cut off.

    Raises
    ------
    ArgumentError
        Limits that are no interval, a steering beyond 60 degrees.
    """
    n_rows, n_columns = (count("shape", n, 1, 100_000) for n in pair("shape", shape))
    (top, bottom), (left, right) = pair("rows", rows), pair("columns", columns)
    for name, low, high in (("rows", top, bottom), ("columns", left, right)):
        scalar(name, low, -1e5, 1e5, "(pixels)")
        if not scalar(name, high, -1e5, 1e5, "(pixels)") > low:
            raise ArgumentError(f"{name}: expected a first limit below the second, got ({low}, {high})")
    slope = np.tan(scalar("steering", steering, -np.pi / 3, np.pi / 3, "rad"))
    row, column = np.ogrid[:n_rows, :n_columns]
    start = left + slope * (row - top)
    return (row >= top) & (row < bottom) & (column >= start) & (column < start + (right - left))


def draw_overlay(
    bmode: Any,
    velocity: Any,
    power: Any = None,
    *,
    nyquist: float,
    box: Any = None,
    color_map: str = "flame",
    variance: Any = None,
    inverted: bool = False,
    min_velocity: float = 0.0,
    min_power: float = 0.0,
    max_power: float | None = None,
    priority: int = 255,
    outline: Any = None,
) -> Overlay:
    """Paint flow over a B-mode image as a scanner does.

    A pixel is painted where it lies in the box, flows faster than ``min_velocity``, has more power than
    ``min_power`` and where the tissue is not brighter than ``priority``.

    Parameters
    ----------
    bmode : (..., n_rows, n_columns) uint8
        Grey levels.
    velocity : (..., n_rows, n_columns) float [m/s]
        Positive towards the probe, as from `doppler_velocity`.
    power : (..., n_rows, n_columns) float, optional
        Linear, as from `doppler_power`. Maps of power need it.
    nyquist : float [m/s]
        Velocity at the ends of the map.
    box : (n_rows, n_columns) bool, optional
        Where colour may be drawn (`steered_box`); default everywhere.
    color_map, variance, inverted
        As for `map_colors`.
    min_velocity : float [m/s]
    min_power, max_power : float [unit of power]
        Below the first nothing is painted; a map of power reaches its end (in decibels) at the second, by default
        the largest power.
    priority : int
        Colour write priority: tissue brighter than this grey level stays visible.
    outline : (3,) uint8, optional
        Colour of the box's outline, one pixel wide; default not drawn.

    Returns
    -------
    Overlay

    Raises
    ------
    ArgumentError
        Shapes that differ, grey levels that are not uint8, NaN, values out of range.
    """
    grey = np.asarray(bmode)
    if grey.dtype != np.uint8 or grey.ndim < 2:
        raise ArgumentError(f"bmode: expected uint8 of shape (..., n_rows, n_columns), got {grey.dtype} {grey.shape}")
    speed = _like("velocity", velocity, grey)
    limit = doppler_checks.nyquist(nyquist)
    strength = None if power is None else _like("power", power, grey)
    inside = np.ones(grey.shape[-2:], bool) if box is None else np.asarray(box)
    if inside.dtype != bool or inside.shape != grey.shape[-2:]:
        raise ArgumentError(f"box: expected bool of shape {grey.shape[-2:]}, got {inside.dtype} {inside.shape}")
    mask = inside & (np.abs(speed) > scalar("min_velocity", min_velocity, 0.0, 1e3, "m/s"))
    mask &= grey <= count("priority", priority, 0, 255)
    least = scalar("min_power", min_power, 0.0, 1e300, "the unit of power")
    if strength is not None:
        mask &= strength > least
    shown = speed / limit
    if color_map in POWER_MAPS:
        if strength is None:
            raise ArgumentError(f"power: expected an array for the map {color_map!r}, got None")
        shown = _power_level(strength, least, max_power)
    colors = map_colors(shown, color_map, variance=variance, inverted=inverted)
    image = np.where(mask[..., None], colors, grey[..., None])
    painted = mask
    if outline is not None:
        ring = inside & ~scipy.ndimage.binary_erosion(inside, np.ones((3, 3)))
        image[..., ring, :] = _rgb("outline", outline)
        painted = mask | ring
    return Overlay(image, mask, painted)


def persist(velocity: Any, power: Any, nyquist: float, persistence: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Average over frames as scanners do, so that flow fades slowly: x[t] = p x[t-1] + (1 - p) new.

    What is averaged is power exp(i pi velocity / nyquist), so that aliased flow does not cancel.

    Parameters
    ----------
    velocity : (n_frames, ...) float [m/s]
    power : (n_frames, ...) float
    nyquist : float [m/s]
    persistence : float
        p, from 0 (none) to below 1.

    Returns
    -------
    velocity, power : (n_frames, ...) float32

    Raises
    ------
    ArgumentError
        Shapes that differ, NaN, values out of range.
    """
    keep = scalar("persistence", persistence, 0.0, 0.99, "(ratio)")
    limit = doppler_checks.nyquist(nyquist)
    strength = _real("power", power)
    speed = _like("velocity", velocity, strength)
    if not keep:
        return speed.astype(np.float32), strength.astype(np.float32)
    phasor = strength * np.exp(1j * np.pi * speed / limit)
    strength = strength.copy()
    for t in range(1, len(phasor)):
        phasor[t] = keep * phasor[t - 1] + (1 - keep) * phasor[t]
        strength[t] = keep * strength[t - 1] + (1 - keep) * strength[t]
    return (np.angle(phasor) * limit / np.pi).astype(np.float32), strength.astype(np.float32)


def persist_variance(variance: Any, power: Any, persistence: float) -> NDArray[np.float32]:
    """Average variance over frames as `persist` does velocity: weighted with power.

    Parameters
    ----------
    variance, power : (n_frames, ...) float
        Power as it was before `persist`.
    persistence : float

    Returns
    -------
    (n_frames, ...) float32

    Raises
    ------
    ArgumentError
        Shapes that differ, NaN, values out of range.
    """
    keep = scalar("persistence", persistence, 0.0, 0.99, "(ratio)")
    strength = _real("power", power).astype(np.float64)
    spread = _like("variance", variance, strength).astype(np.float64)
    result, weighted = spread.copy(), spread * strength
    for t in range(1, len(result)):
        weighted[t] = keep * weighted[t - 1] + (1 - keep) * weighted[t]
        strength[t] = keep * strength[t - 1] + (1 - keep) * strength[t]
        result[t] = np.divide(weighted[t], strength[t], out=result[t], where=strength[t] > 0)
    return result.astype(np.float32)


def colorbar(
    height: int, width: int, color_map: str = "flame", *, inverted: bool = False, variance: bool = False
) -> NDArray[np.uint8]:
    """The bar beside a picture: fastest flow towards the probe (or most power) on top.

    Parameters
    ----------
    height, width : int
    color_map, inverted
        As for `map_colors`.
    variance : bool
        Variance grows to the right.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ArgumentError
        Unknown map or sizes below 2 and 1.
    """
    rows, columns = count("height", height, 2, 100_000), count("width", width, 1, 100_000)
    option("color_map", color_map, VELOCITY_MAPS + POWER_MAPS)
    level = np.linspace(1, 0 if color_map in POWER_MAPS else -1, rows)[:, None].repeat(columns, 1)
    spread = np.linspace(0, 1, columns)[None].repeat(rows, 0) if variance else None
    return map_colors(level, color_map, variance=spread, inverted=inverted)


def find_color(frames: Any, *, threshold: int = 20, opening: int = 1, grow: int = 0) -> NDArray[np.bool_]:
    """Find what is painted, without a network: where the channels differ.

    Where |max - min| of the channels is above ``threshold``. As drawn, that is exact; JPEG spreads colour by a pixel
    or two, which is found, too. White outlines cannot be found.

    Parameters
    ----------
    frames : (..., n_rows, n_columns, 3) uint8
    threshold : int
        Grey levels; compressed pictures need about 20, lossless ones 1.
    opening : int
        Side of the square by which the mask is opened, which removes specks, and outlines one pixel wide; 1 for none.
    grow : int
        Pixels by which it is then grown.

    Returns
    -------
    (..., n_rows, n_columns) bool

    Raises
    ------
    ArgumentError
        Not uint8 RGB.
    """
    rgb = np.asarray(frames)
    if rgb.dtype != np.uint8 or rgb.ndim < 3 or rgb.shape[-1] != 3:
        raise ArgumentError(f"frames: expected uint8 of shape (..., n_rows, n_columns, 3), got {rgb.dtype} {rgb.shape}")
    least = count("threshold", threshold, 0, 254)
    side, steps = count("opening", opening, 1, 99), count("grow", grow, 0, 99)
    mask = (rgb.max(axis=-1) - rgb.min(axis=-1)) > least
    square = np.ones((1,) * (mask.ndim - 2) + (side, side), bool)
    if side > 1:
        mask = scipy.ndimage.binary_opening(mask, square)
    if steps:
        cross = scipy.ndimage.generate_binary_structure(2, 1).reshape((1,) * (mask.ndim - 2) + (3, 3))
        mask = scipy.ndimage.binary_dilation(mask, cross, iterations=steps)
    return np.asarray(mask, bool)


def _power_level(power: NDArray[Any], least: float, most: float | None) -> NDArray[Any]:
    largest = (
        float(power.max(initial=0)) if most is None else scalar("max_power", most, 0.0, 1e300, "the unit of power")
    )
    floor = max(least, 1e-4 * largest, 1e-300)
    span = np.log(max(largest / floor, 1 + 1e-6))
    return np.asarray(np.log(np.maximum(power, floor) / floor) / span)


def _real(name: str, values: Any) -> NDArray[Any]:
    given = np.asarray(values)
    if given.dtype.kind not in "iuf":
        raise ArgumentError(f"{name}: expected real numbers, got {given.dtype}")
    finite(name, given)
    return given if given.dtype.kind == "f" else given.astype(np.float64)


def _like(name: str, values: Any, other: NDArray[Any]) -> NDArray[Any]:
    given = _real(name, values)
    if given.shape != other.shape:
        raise ArgumentError(f"{name}: expected shape {other.shape}, got {given.shape}")
    return given


def _rgb(name: str, color: Any) -> NDArray[np.uint8]:
    given = np.asarray(color)
    if given.shape != (3,) or given.dtype.kind not in "iu" or given.min() < 0 or given.max() > 255:
        raise ArgumentError(f"{name}: expected three integers from 0 to 255, got {color!r}")
    return given.astype(np.uint8)
