"""Ultrasonix raw files: beamformed RF lines (``.rf``), lines and pictures of B-mode (``.bpr``, ``.b8``)."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import scalar
from ...errors import ArgumentError, FormatError
from ...media.grids import Grid
from .._budget import Budget
from .._container import naming
from ..registry import Format, Opened
from ._facts import given, given_spacing

_HEADER = struct.Struct("<19i")
_LINES, _PICTURE, _RF = 2, 4, 16
_TYPES = {_LINES: "u1", _PICTURE: "u1", _RF: "<i2"}
_TAG_BYTES = 4


def sniff(file: Opened) -> bool:
    """There is no mark: a known type, its bits per sample, and exactly as many bytes as the sizes ask for."""
    return file.container is None and _tag(file) is not None


def _fields(file: Opened) -> tuple[int, ...]:
    return _HEADER.unpack(file.header[: _HEADER.size]) if len(file.header) >= _HEADER.size else (0,) * 19


def _tag(file: Opened) -> int | None:
    """Bytes before each frame; None if the file is of another kind."""
    kind, n_frames, width, height, bits = _fields(file)[:5]
    if kind not in _TYPES or bits != 8 * np.dtype(_TYPES[kind]).itemsize or min(n_frames, width, height) < 1:
        return None
    frame = width * height * (bits // 8)
    found = Budget(file.path).file_bytes - _HEADER.size
    return next((tag for tag in (0, _TAG_BYTES) if n_frames * (tag + frame) == found), None)


def read(
    file: Opened, *, spacing: Any = None, line_spacing: Any = None, sound_speed: float | None = None
) -> tuple[NDArray[Any], Grid]:
    """Read frames as (image, grid): (frames, lines, samples), or (frames, n_x, n_z) of pictures.

    Conventions (the vendor's `RPread.m`): 19 int32, among them type, frames, lines, samples, bits and at 14 and 15
    transmit and sampling frequency [Hz]; then the frames, sample after sample (pictures: row after row), in newer
    software behind a tag of four bytes each, which the size of the file tells. The distance of lines is not in the
    file, and for B-mode neither is that of samples; RF is sampled every c / (2 fs).

    Parameters
    ----------
    spacing : (float, float) [m], optional
        Of lines (or columns) and of samples (or rows).
    line_spacing : float [m], optional
        Of RF lines alone.
    sound_speed : float, optional [m/s]
        Between RF samples; default 1540.
    """
    steps = given_spacing(spacing)
    pitch = None if line_spacing is None else scalar("line_spacing", line_spacing, 1e-7, 0.05, "m")
    c = given("sound_speed", sound_speed) or 1540.0
    kind, n_frames, width, height = _fields(file)[:4]
    tag = _tag(file)
    if tag is None:
        raise FormatError(f"{file.path}: expected an Ultrasonix header and as many bytes as it says, got others")
    budget = Budget(file.path)
    budget.take("frames", (n_frames, width, height), 2)
    item = np.dtype(_TYPES[kind]).itemsize
    raw = np.fromfile(file.path, np.uint8, offset=_HEADER.size).reshape(n_frames, tag + width * height * item)
    flat = np.ascontiguousarray(raw[:, tag:]).view(_TYPES[kind])
    if kind == _PICTURE:
        image = flat.reshape(n_frames, height, width).swapaxes(1, 2)
    else:
        image = flat.reshape(n_frames, width, height)
    if steps is None:
        rate = _fields(file)[15]
        if kind != _RF or pitch is None or not 1e6 <= rate <= 1e9:
            what = "line_spacing=" if kind == _RF else "spacing="
            raise FormatError(
                f"{file.path}: expected {what} [m], which the file does not hold, for {n_frames} frames of {width} x "
                f"{height} at {rate / 1e6:g} MHz"
            )
        steps = (pitch, c / (2 * rate))
    elif len(steps) != 2:
        raise ArgumentError(f"spacing: expected two, of lines and of samples, got {len(steps)}")
    with naming(file.path):
        left = -0.5 * (width - 1) * steps[0]
        return image, Grid((width, height), steps, (left, 0.0))


def holds_rf(file: Opened) -> bool:
    """By the type in the header."""
    return _fields(file)[0] == _RF


FORMAT = Format(
    "ultrasonix", "Ultrasonix raw .rf, .bpr, .b8: lines or pictures without geometry", sniff, read, holds_rf=holds_rf
)
