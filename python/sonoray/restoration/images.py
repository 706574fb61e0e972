"""What an image may be here, and how a result comes back as the caller's kind of image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import count, finite, option
from ..errors import ArgumentError

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
COLORS = ("luma", "refuse")
_GREY = 8 / 255  # channels of a grey image that went through JPEG differ by up to so much
_ROUNDING = 1e-3  # by which interpolated images leave [0, 1]


class Planes:
    """An image or a stack of images as planes of brightness.

    An image is (rows, columns), grey, or (rows, columns, 3 or 4), RGB or RGBA; a stack has one axis more in front.
    Types: uint8 (255 is white), uint16 (65535 is white), floating point (1 is white). Of colours the brightness
    (luma) is processed: its change is added to all three channels, so that grey stays grey, and a marker or a scale
    keeps its tint. Opacity stays as it is. A stack with 3 or 4 columns cannot be told from colours and is too small
    anyway.

    Parameters
    ----------
    image : array
        On the host.
    color : {"luma", "refuse"}
        "refuse": no image whose channels differ by more than 8/255.
    least : int
        Rows and columns that there must be.

    Attributes
    ----------
    values : (n, rows, columns) float32
        Brightness in [0, 1], read-only.
    constant : (n,) bool
        Planes of one value; `back` gives those back unchanged.
    shape : (rows, columns)

    Raises
    ------
    ArgumentError
        No such shape or type, too small, NaN, values outside [0, 1], colours where they are refused.

    Examples
    --------
    >>> planes = Planes(np.full((16, 16), 200, np.uint8))
    >>> planes.values.shape, planes.back(planes.values).dtype
    ((1, 16, 16), dtype('uint8'))
    """

    def __init__(self, image: Any, *, color: str = "luma", least: int = 8) -> None:
        option("color", color, COLORS)
        given = host_array("image", image)
        if given.dtype not in (np.uint8, np.uint16) and given.dtype.kind != "f":
            raise ArgumentError(f"image: expected uint8, uint16 or floating point in [0, 1], got {given.dtype}")
        self._colored = given.ndim > 2 and given.shape[-1] in (3, 4)
        axes = given.ndim - self._colored
        if axes not in (2, 3) or 0 in given.shape:
            raise ArgumentError(
                f"image: expected (rows, columns), (rows, columns, 3 or 4) or a stack of them, got shape {given.shape}"
            )
        self.shape = (int(given.shape[axes - 2]), int(given.shape[axes - 1]))
        if min(self.shape) < count("least", least, 1, 65536):
            raise ArgumentError(
                f"image: expected at least {least} x {least} pixels, got {self.shape[0]} x {self.shape[1]}"
            )
        self._given = given
        channels = given[..., :3] if self._colored else given
        _check_range(channels)
        scaled = _unit(channels)
        if self._colored:
            spread = float((scaled.max(-1) - scaled.min(-1)).max())
            if color == "refuse" and spread > _GREY:
                raise ArgumentError(
                    f"image: expected grey, channels equal within 8/255, got some that differ by {255 * spread:.0f}/255"
                )
            # The formula's rounding must not make unequal what is equal.
            scaled = np.where(scaled.max(-1) == scaled.min(-1), scaled[..., 0], scaled @ LUMA).astype(np.float32)
        self.values = np.ascontiguousarray(scaled.reshape(-1, *self.shape))
        self.values.flags.writeable = False
        flat = self.values.reshape(len(self.values), -1)
        self.constant: NDArray[np.bool_] = flat.min(1) == flat.max(1)

    def back(self, values: Any, strength: float = 1.0) -> NDArray[Any]:
        """Return processed planes as an image of the caller's shape and type.

        Parameters
        ----------
        values : (n, rows, columns) floating point
            What became of ``values``; clipped to [0, 1].
        strength : float
            Part of the change that is applied: 1 all, 0 none.

        Raises
        ------
        ArgumentError
            Another shape; NaN.
        """
        found = np.asarray(values)
        if found.shape != self.values.shape:
            raise ArgumentError(f"values: expected {self.values.shape}, got {found.shape}")
        finite("values", found)
        given = self._given
        result = given.copy()
        part = found if strength == 1 else self.values + np.float32(strength) * (found - self.values)
        lit = np.clip(part, 0, 1).astype(np.float32, copy=False)
        per_plane = (len(lit), *given.shape[given.ndim - 2 - self._colored :])
        source, target = given.reshape(per_plane), result.reshape(per_plane)
        for k in np.flatnonzero(~self.constant):
            if self._colored:
                change = lit[k] - self.values[k]
                target[k][..., :3] = _typed(_unit(source[k][..., :3]) + change[..., None], given.dtype)
            else:
                target[k] = _typed(lit[k], given.dtype)
        return result


def _check_range(values: NDArray[Any]) -> None:
    if values.dtype.kind != "f":
        return
    finite("image", values)
    low, high = float(values.min()), float(values.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        hint = "decibels? see sonoray.to_uint8" if low < -_ROUNDING else "divide by its white, or give uint8 or uint16"
        raise ArgumentError(f"image: expected floating point values from 0 to 1, got {low:g} to {high:g}; {hint}")


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype.kind == "f":
        return np.clip(values, 0, 1).astype(np.float32)
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def _typed(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    clipped = np.clip(values, 0, 1)
    if dtype.kind == "f":
        return clipped.astype(dtype)
    return np.rint(clipped * np.float32(np.iinfo(dtype).max)).astype(dtype)
