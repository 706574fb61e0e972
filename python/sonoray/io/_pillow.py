"""Pillow with limits: what a picture file may hold, and its frames as arrays."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Error, FormatError, MissingExtraError
from ._budget import Budget

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF")
_ORIENTATION = 274
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_BYTES = {"1": 1, "L": 1, "P": 4, "I": 4, "F": 4, "RGBA": 4, "LA": 4, "PA": 4, "CMYK": 4} | dict.fromkeys(_DEEP, 2)


@contextmanager
def pictures(path: Path) -> Iterator[Any]:
    """Open a picture file; whatever Pillow finds wrong is a FormatError that names the path."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pictures need Pillow: pip install 'sonoray[io]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, which is not used
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as file:
                yield file
        except (Error, FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
            raise
        except Exception as error:  # its decoders raise many kinds, some of them struct's and zlib's
            text = f"{type(error).__name__}: {error}"
            raise FormatError(
                f"{path}: expected a picture ({', '.join(FORMATS)}), found a damaged one: {text}"
            ) from None


def n_frames(path: Path, file: Any) -> int:
    """Return how many frames a file has; one that was cut off after some of them is refused."""
    if file.format == "TIFF":
        _check_pages(path)
    elif file.format == "GIF" and path.read_bytes().rstrip(b"\0")[-1:] != b";":
        raise FormatError(f"{path}: expected a GIF with its end, found one that was cut off")
    return int(getattr(file, "n_frames", 1))


def _check_pages(path: Path) -> None:
    """Follow the pages of a TIFF: Pillow stops without a word where one is missing."""
    raw = path.read_bytes()
    order = "<" if raw[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", raw, 2)[0] == 43:
        at, n_entries, entry, offset = 8, "Q", 20, "Q"  # large TIFF
    else:
        at, n_entries, entry, offset = 4, "H", 12, "I"
    seen: set[int] = set()
    while next_page := struct.unpack_from(order + offset, raw, at)[0]:
        if next_page in seen:
            raise FormatError(f"{path}: expected pages one after the other, found a loop")
        seen.add(next_page)
        n = struct.unpack_from(order + n_entries, raw, next_page)[0]
        at = next_page + struct.calcsize(order + n_entries) + n * entry


def admit(path: Path, file: Any, n: int) -> None:
    """Refuse more pixels than an honest file of this size holds."""
    columns, rows = file.size
    # Frames of a GIF may be only the part that changed, which Pillow puts together as colours.
    Budget(path).take("pixels", (n, rows, columns), 4 if file.format == "GIF" else _BYTES.get(file.mode, 3))


def frame(path: Path, file: Any, index: int) -> NDArray[Any]:
    """Return one frame: (rows, columns[, 3 or 4]) uint8, uint16, or float32 where the file has floating point."""
    if index or file.tell():
        file.seek(index)
    mode = file.mode
    _check_depth(path, file)
    if file.format == "TIFF" and (turned := file.tag_v2.get(_ORIENTATION, 1)) in (5, 6, 7, 8):
        # Pillow 13 mixes up rows and columns of some of them.
        raise FormatError(f"{path}: expected rows that lie across, found a TIFF of orientation {turned}; turn it first")
    if mode in _DEEP or mode == "I":
        values = np.array(file)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise FormatError(f"{path}: expected at most 16 bits per pixel, got values up to {int(values.max())}")
        return _upright(file, values.astype(np.uint16))
    if mode in ("LA", "PA") or (mode == "P" and "transparency" in file.info):
        mode = "RGBA"
    elif mode == "1":
        mode = "L"
    elif mode in ("P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        mode = "RGB"
    elif mode not in ("L", "F", "RGB", "RGBA"):
        raise FormatError(f"{path}: expected grey or colours, got pixels of Pillow's mode {mode!r}")
    return _upright(file, np.array(file.convert(mode)))


def _check_depth(path: Path, file: Any) -> None:
    """Refuse colours of 16 bits, of which Pillow leaves the upper eight without a word."""
    if file.mode in (*_DEEP, "I", "F"):
        return
    for tile in file.tile:  # how the decoder is told to unpack, such as "RGB;16B"; of PPM, the value of white
        told = tile[3] if isinstance(tile[3], (tuple, list)) else (tile[3],)
        large = file.format == "PPM" and any(isinstance(item, int) and item > 255 for item in told)
        if large or any(isinstance(item, str) and item.endswith((";16B", ";16L", ";16N")) for item in told):
            raise FormatError(f"{path}: expected at most 8 bits per colour (16 only in grey pictures), found 16")


def _upright(file: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Turn pixels as cameras' EXIF asks; Pillow has done so with TIFF."""
    orientation = 1 if file.format == "TIFF" else file.getexif().get(_ORIENTATION, 1)
    flipped = values[:, ::-1] if orientation in (2, 4, 5, 7) else values
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(flipped, turns))
