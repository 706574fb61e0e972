"""Facts that a reader takes from its caller or from the file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import array, scalar
from ...errors import FormatError
from ...media.grids import Grid
from ...media.medium import Medium
from .._container import Container

_LIMITS = {
    "sound_speed": (300.0, 12000.0, "m/s"),
    "center_frequency": (2e4, 1e8, "Hz"),
    "demodulation_frequency": (2e4, 1e8, "Hz"),
    "start_time": (-1e-2, 1e-1, "s"),
}


def given(name: str, value: Any) -> float | None:
    """An option of the caller, checked at once so that a wrong one is his ArgumentError and not the file's fault."""
    if value is None:
        return None
    low, high, unit = _LIMITS[name]
    return scalar(name, value, low, high, unit)


def given_angles(angles: Any) -> NDArray[np.float64] | None:
    """Plane-wave angles [rad] of the caller."""
    if angles is None:
        return None
    return array(
        "angles",
        np.atleast_1d(angles),
        (None,),
        low=-np.pi / 2,
        high=np.pi / 2,
        unit="rad",
    )


def as_samples(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples in a type that `ChannelData` keeps: int16, float32 and complex64 stay, others become floats."""
    if samples.dtype in (np.dtype("i2"), np.dtype("f4"), np.dtype("c8")):
        return samples
    if samples.dtype in (np.dtype("i1"), np.dtype("u1")):
        return samples.astype(np.int16)
    with np.errstate(over="ignore", invalid="ignore"):
        return samples.astype(np.complex64 if samples.dtype.kind == "c" else np.float32)


def regular_times(file: Container, path: str) -> tuple[float, float]:
    """Sampling frequency [Hz] and first instant [s] of an evenly spaced time axis."""
    times = file.numbers(path)
    if times.size < 2 or not np.isfinite(times).all():
        raise FormatError(f"{file.path}: {path}: expected at least two finite times, got {times.size}")
    step = (times[-1] - times[0]) / (times.size - 1)
    if step <= 0 or np.abs(np.diff(times) - step).max() > 0.01 * step:
        raise FormatError(
            f"{file.path}: {path}: expected evenly spaced rising times, got steps that differ from {step:g} s"
        )
    return float(f"{1 / step:.9g}"), float(times[0])


def one_based(file: Container, path: str, count: int) -> NDArray[np.intp]:
    """MATLAB indices at ``path`` counted from zero, inside [0, ``count``)."""
    values = file.numbers(path)
    if not values.size or (values != np.round(values)).any() or values.min() < 1 or values.max() > count:
        raise FormatError(f"{file.path}: {path}: expected indices from 1 to {count}, got {values[:8]}")
    return values.astype(np.intp) - 1


def even_axis(file: Container, name: str) -> tuple[float, float, int]:
    """First coordinate, spacing and count of an evenly spaced axis [m]."""
    values = file.numbers(name)
    if values.size < 2 or not np.isfinite(values).all():
        raise FormatError(f"{file.path}: {name}: expected at least two finite coordinates, got {values.size}")
    step = (values[-1] - values[0]) / (values.size - 1)
    if step <= 0 or np.abs(np.diff(values) - step).max() > 0.01 * step:
        raise FormatError(f"{file.path}: {name}: expected evenly spaced rising coordinates, got others")
    return float(values[0]), float(f"{step:.12g}"), int(values.size)


QUANTITIES = ("image", "sound_speed")


def as_quantity(image: NDArray[Any], grid: Grid, quantity: str) -> tuple[NDArray[Any], Grid] | Medium:
    """(image, grid), or the Medium of an image that holds a sound speed in m/s."""
    if quantity == "image":
        return image, grid
    return Medium(grid, image[0] if image.ndim == grid.ndim + 1 and len(image) == 1 else image)


def given_spacing(spacing: Any) -> tuple[float, ...] | None:
    """Spacings [m] of the caller, one or one per axis."""
    if spacing is None:
        return None
    return tuple(scalar("spacing", h, 1e-7, 0.05, "m") for h in np.atleast_1d(spacing))
