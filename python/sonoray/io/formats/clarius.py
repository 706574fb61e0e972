"""Clarius raw data, ``*.raw`` beside ``*.yml``: I/Q (Doppler ensembles among them), RF, envelopes of linear probes."""

import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import scalar
from ...acquisition.scan_lines import ScanLines
from ...errors import FormatError
from .._budget import Budget
from .._container import naming
from ..registry import Format, Opened
from ._facts import given

_HEADER = struct.Struct("<5I")  # id, frames, lines, samples, bytes per sample
_STAMP = 8  # bytes of a frame's time
_LONGEST_NOTES = 1 << 24
_LINE = re.compile(r"rx element:\s*([-+.\deE]+).*?angle:\s*([-+.\deE]+)")
_TYPES: dict[int, Any] = {1: np.dtype("u1"), 2: np.dtype("<i2"), 4: np.dtype("<i2")}


def sniff(file: Opened) -> bool:
    """Five numbers whose product is the file's size, or more than that where notes lie beside a file that was cut."""
    if file.container is not None or len(file.header) < _HEADER.size + _STAMP:
        return False
    if _are_notes(file):
        return True
    _, frames, lines, samples, size = _HEADER.unpack_from(file.header)
    expected = _HEADER.size + frames * (_STAMP + lines * samples * size)
    if size not in _TYPES or not frames * lines * samples:
        return False
    beside = file.path.suffix.lower() == ".raw" and file.path.with_suffix(".yml").exists()
    return expected == os.stat(file.path).st_size or (beside and expected > os.stat(file.path).st_size)


def read(file: Opened, *, pitch: float = 2e-4, sound_speed: float | None = None) -> ScanLines:
    """Read beamformed lines with their geometry.

    Conventions: the notes beside the file (same name, ``.yml``) say of each line which element it leaves from
    (fractional) and at which angle; sample n lies at (delay samples + n) / sampling rate * c / 2 along it. Lines that
    follow each other from the same element are the shots of a Doppler ensemble; in memory the shots of a sample lie
    next to each other. x is 0 in the middle of the envelope's lines (half of the last element's number, so I/Q and
    envelope of one capture agree where the notes of the envelope lie beside).

    Parameters
    ----------
    pitch : float [m]
        Between elements; not in the file. 0.2 mm is that of probes with 192 elements over 38 mm.
    sound_speed : float, optional [m/s]
        Default 1540.

    References
    ----------
    .. [1] Clarius Mobile Health, raw data, https://github.com/clariusdev/raw.
    """
    step = scalar("pitch", pitch, 1e-5, 5e-3, "m")
    c = given("sound_speed", sound_speed) or 1540.0
    if _are_notes(file):
        raise FormatError(f"{file.path}: expected the samples, got the notes on them; give the .raw beside it")
    _, frames, lines, samples, size = _HEADER.unpack_from(file.header)
    found = os.stat(file.path).st_size
    if not sniff(file) or found != _HEADER.size + frames * (_STAMP + lines * samples * size):
        raise FormatError(
            f"{file.path}: expected {frames} frames of {lines} x {samples} samples of {size} bytes (1, 2 or 4) with "
            f"{_STAMP} bytes each before, got {found} bytes; the file is truncated or of another kind"
        )
    Budget(file.path).take("samples", (frames, lines, samples, size))
    notes = _notes(file.path.with_suffix(".yml"))
    beams = np.array([[float(v) for v in match] for match in _LINE.findall(notes)])
    if beams.shape != (lines, 2):
        raise FormatError(f"{file.path}: expected {lines} lines in the notes, got {len(beams)}")
    angles = np.unique(beams[:, 1])
    if len(angles) != 1:
        raise FormatError(f"{file.path}: expected lines of one angle, got {angles.min():g} to {angles.max():g} degrees")
    n_shots = _ensemble(file, beams[:, 0])
    rate, delay = _number(file, notes, "sampling rate"), _number(file, notes, "delay samples")
    raw = np.fromfile(file.path, np.uint8, offset=_HEADER.size).reshape(frames, -1)
    stamps = np.ascontiguousarray(raw[:, :_STAMP]).view("<u8")[:, 0] * 1e-9
    values = np.ascontiguousarray(raw[:, _STAMP:]).view(_TYPES[size])
    values = values.reshape(frames, lines // n_shots, samples, n_shots, -1).transpose(0, 3, 1, 2, 4)
    with naming(file.path):
        return ScanLines(
            _samples(values, size),
            (beams[::n_shots, 0] - _middle(file.path)) * step,
            float(np.deg2rad(angles[0])),
            (delay + np.arange(samples)) / (rate * 1e6) * c / 2,
            _number(file, notes, "transmit frequency") * 1e6,
            _number(file, notes, "frame rate"),
            stamps,
        )


def _are_notes(file: Opened) -> bool:
    """The notes themselves, with their samples beside."""
    if file.path.suffix.lower() not in (".yml", ".yaml") or not file.path.with_suffix(".raw").exists():
        return False
    return b"frames" in file.header or b"raw data" in file.header


def _samples(values: NDArray[Any], size: int) -> NDArray[Any]:
    if size == 4:
        pairs = np.ascontiguousarray(values, np.float32)
        return pairs.view(np.complex64)[..., 0]
    return np.ascontiguousarray(values[..., 0])


def _notes(path: Path) -> str:
    if not path.exists():
        raise FormatError(f"{path.with_suffix('.raw')}: expected {path.name} beside it, got no such file")
    if path.stat().st_size > _LONGEST_NOTES:
        raise FormatError(f"{path}: expected at most {_LONGEST_NOTES} bytes, got {path.stat().st_size}")
    return path.read_text(encoding="utf-8", errors="replace")


def _number(file: Opened, notes: str, name: str) -> float:
    """A number of the notes, in the unit they have it in (MHz, mm, Hz)."""
    found = re.search(rf"^{name}:\s*([-+.\deE]+)", notes, re.MULTILINE)
    if found is None:
        raise FormatError(f"{file.path}: expected '{name}' in the notes, got none")
    return float(found.group(1))


def _ensemble(file: Opened, elements: NDArray[np.float64]) -> int:
    """Shots per line: how many lines in a row leave from the same element."""
    starts = np.flatnonzero(np.diff(elements, prepend=elements[0] - 1))
    lengths = np.diff(starts, append=len(elements))
    if lengths.min() != lengths.max():
        raise FormatError(
            f"{file.path}: expected equally many shots of every line, got {lengths.min()} to {lengths.max()}"
        )
    return int(lengths[0])


def _middle(path: Path) -> float:
    """Number of the element (fractional) in the middle of the probe: of 192, or of the envelope's lines beside."""
    envelope = path.with_name(re.sub(r"_(iq|rf|env)$", "_env", path.stem) + ".yml")
    beams = _LINE.findall(_notes(envelope)) if envelope.exists() else []
    return max((float(element) for element, _ in beams), default=191.0) / 2


FORMAT = Format("clarius", "Clarius raw data (lines of linear probes), .raw beside .yml", sniff, read)
