"""What stands beside a picture: a colour bar with its ends' values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from ..errors import ArgumentError, MissingExtraError

_INK = (235, 235, 235)


def with_color_bar(picture: Any, bar: Any, top: str, bottom: str) -> NDArray[np.uint8]:
    """Put a colour bar on black to the right of a picture, as scanners do.

    Parameters
    ----------
    picture : (rows, columns, 3) uint8
        As displayed.
    bar : (bar_rows, bar_columns, 3) uint8
        At most as tall as the picture.
    top, bottom : str
        Written above and below the bar.

    Returns
    -------
    (rows, columns + margin, 3) uint8

    Raises
    ------
    ArgumentError
        Other types or shapes, a picture too small to hold the bar and its texts.
    MissingExtraError
        Pillow is not installed.
    """
    image, strip = host_array("picture", picture), host_array("bar", bar)
    for name, values in (("picture", image), ("bar", strip)):
        if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != 3:
            raise ArgumentError(f"{name}: expected uint8 (rows, columns, 3), got {values.dtype} {values.shape}")
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise MissingExtraError("colour bars need Pillow: pip install 'sonoray[io]'") from None
    rows, columns = image.shape[:2]
    size = int(np.clip(rows // 22, 10, 40))
    if strip.shape[0] + 4 * size > rows:
        raise ArgumentError(
            f"bar: expected at most {rows - 4 * size} rows beside a picture of {rows}, got {strip.shape[0]}"
        )
    try:
        font = ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size
        font = ImageFont.load_default()
    gap = size // 2
    widest = max(font.getbbox(text)[2] for text in (top, bottom))
    margin = int(max(widest, strip.shape[1])) + 2 * gap
    canvas = np.zeros((rows, columns + margin, 3), np.uint8)
    canvas[:, :columns] = image
    first = (rows - strip.shape[0]) // 2
    canvas[first : first + strip.shape[0], columns + gap : columns + gap + strip.shape[1]] = strip
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn)
    pen.text((columns + gap, first - size - gap), top, fill=_INK, font=font)
    pen.text((columns + gap, first + strip.shape[0] + gap // 2), bottom, fill=_INK, font=font)
    return np.asarray(drawn)
