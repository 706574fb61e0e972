"""sonoray's own HDF5 files: channel data, media and images without loss."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import count, freeze
from ...acquisition.channel_data import ChannelData
from ...acquisition.flow_images import FlowImages, VectorVelocity
from ...acquisition.probes import Probe
from ...acquisition.scan_lines import ScanLines
from ...acquisition.transmits import Transmit
from ...errors import FormatError
from ...media.grids import Grid, SectorGrid
from ...media.medium import Medium
from .._container import Container, naming
from ..registry import Format, Opened

VERSION = (1, 2)  # major: older readers would misread; minor: they only miss something

# Files hold the place in this list: only ever append.
TRANSMIT_KINDS = ("plane", "diverging", "focused", "element", "delays")
FLOW_ARRAYS = ("velocity", "power", "variance", "bmode", "picture", "painted")
VECTOR_ARRAYS = ("velocity", "residual", "condition")


def sniff(file: Opened) -> bool:
    """The attribute that `sonoray.write` leaves."""
    return file.container is not None and file.container.attribute("format") == "sonoray"


def read(file: Opened, *, frame: int | None = None) -> Any:
    """Read what `sonoray.write` wrote: ChannelData, ScanLines, Medium, FlowImages or (image, grid).

    Conventions are those of the objects; every array keeps its type and every value its bits.

    Parameters
    ----------
    frame : int, optional
        Of channel data, read only this one; default all.

    Raises
    ------
    FormatError
        Also for a file of a newer major version.
    ArgumentError
        A frame that the file does not hold.
    """
    contents = file.contents
    _check_version(contents)
    kind = contents.attribute("kind")
    if kind not in _READERS:
        raise FormatError(f"{file.path}: kind: expected one of {', '.join(_READERS)}, got {kind!r}")
    if frame is not None:
        frame = count("frame", frame, 0, frames(file) - 1)
    with naming(file.path):
        return _channel_data(contents, frame) if kind == "channel_data" else _READERS[kind](contents)


def frames(file: Opened) -> int:
    """How many frames of channel data a file of this format holds, without reading them.

    Raises
    ------
    FormatError
        It holds something else.
    """
    kind = file.contents.attribute("kind")
    if kind != "channel_data":
        raise FormatError(f"{file.path}: kind: expected channel_data, got {kind!r}")
    shape = file.contents.shape("samples")
    if len(shape) != 4:
        raise FormatError(f"{file.path}: samples: expected four axes, got shape {shape}")
    return shape[0]


def _check_version(file: Container) -> None:
    text = str(file.attribute("version"))
    major = text.split(".", maxsplit=1)[0]
    if not major.isdigit():
        raise FormatError(f"{file.path}: version: expected {VERSION[0]}.{VERSION[1]}, got {text!r}")
    if int(major) > VERSION[0]:
        raise FormatError(
            f"{file.path}: expected version {VERSION[0]}.x or older of sonoray's format, got {text}; "
            "update sonoray to read it"
        )


def _value(file: Container, name: str, path: str = "") -> Any:
    value = file.attribute(name, path)
    if value is None:
        raise FormatError(f"{file.path}: {path}@{name}: expected a value, got nothing")
    return value


def _optional(file: Container, path: str) -> NDArray[Any] | None:
    return file.array(path) if file.has(path) else None


def _exactly(stored: NDArray[Any], built: NDArray[Any]) -> NDArray[Any]:
    """The stored unit vectors: making them unit length once more may change their last bit."""
    return freeze(stored) if stored.shape == built.shape and np.allclose(stored, built, rtol=0, atol=1e-14) else built


def _probe(file: Container) -> Probe:
    normals = file.array("probe/normals")
    probe = Probe(
        file.array("probe/positions"),
        normals,
        kind=_value(file, "kind", "probe"),
        name=_value(file, "name", "probe"),
        lines=_optional(file, "probe/lines"),
        **{n: _value(file, n, "probe") for n in ("width", "height", "center_frequency", "bandwidth")},
        **{n: file.attribute(n, "probe") or 0.0 for n in ("lens_thickness", "lens_sound_speed")},  # since version 1.1
    )
    object.__setattr__(probe, "normals", _exactly(normals, probe.normals))
    return probe


def _transmits(file: Container) -> tuple[Transmit, ...]:
    """One row per transmit in every array; which of them count depends on the kind."""
    kinds = file.array("transmits/kind")
    tables = {n: _optional(file, f"transmits/{n}") for n in ("direction", "focus", "element", "delays", "apodization",
                                                             "has_apodization", "origin")}  # fmt: skip
    if kinds.dtype.kind not in "iu" or kinds.ndim != 1 or (kinds >= len(TRANSMIT_KINDS)).any() or (kinds < 0).any():
        raise FormatError(f"{file.path}: transmits/kind: expected numbers below {len(TRANSMIT_KINDS)}, got {kinds}")
    for name, table in tables.items():
        if table is not None and (table.shape[:1] != kinds.shape or table.ndim > 2 or table.dtype.kind not in "iuf"):
            raise FormatError(f"{file.path}: transmits/{name}: expected {len(kinds)} rows, got {table.shape}")

    def row(name: str, i: int) -> Any:
        table = tables[name]
        if table is None:
            raise FormatError(f"{file.path}: transmits/{name}: expected values for transmit {i}, got nothing")
        return table[i]

    result = []
    for i, code in enumerate(kinds):
        kind = TRANSMIT_KINDS[code]
        needs = {"plane": "direction", "diverging": "focus", "focused": "focus"}.get(kind, kind)
        weighted = tables["has_apodization"] is not None and bool(row("has_apodization", i))
        main = int(row(needs, i)) if needs == "element" else row(needs, i)
        weights = row("apodization", i) if weighted else None
        options: dict[str, Any] = {needs: main, "apodization": weights, "origin": row("origin", i)}
        transmit = Transmit(kind, **options)
        if transmit.direction is not None:
            object.__setattr__(transmit, "direction", _exactly(row("direction", i), transmit.direction))
        result.append(transmit)
    return tuple(result)


def _channel_data(file: Container, frame: int | None = None) -> ChannelData:
    names = ("sampling_frequency", "demodulation_frequency", "center_frequency", "sound_speed", "frame_rate")
    scalars = {n: _value(file, n) for n in names}
    start = file.array("start_time")
    samples = file.array("samples", None if frame is None else np.array([frame]))
    return ChannelData(samples, _probe(file), _transmits(file), start_time=start, **scalars)


def _grid(file: Container) -> Any:
    if file.attribute("kind", "grid") == "sector":
        apex: Any = tuple(file.numbers("grid/apex").tolist())
        return SectorGrid(file.array("grid/ranges"), file.array("grid/angles"), apex)
    shape = file.numbers("grid/shape")
    if not np.isfinite(shape).all():
        raise FormatError(f"{file.path}: grid/shape: expected integers, got {shape}")
    return Grid(
        tuple(int(n) for n in shape),
        tuple(file.numbers("grid/spacing").tolist()),
        tuple(file.numbers("grid/origin").tolist()),
    )


def _medium(file: Container) -> Medium:
    return Medium(
        _grid(file),
        file.array("sound_speed"),
        _optional(file, "density"),
        _optional(file, "absorption"),
    )


def _image(file: Container) -> tuple[NDArray[Any], Any]:
    grid, image = _grid(file), file.array("image")
    if image.dtype.kind not in "biufc" or image.shape[image.ndim - len(grid.shape) :] != grid.shape:
        raise FormatError(f"{file.path}: image: expected numbers of shape (…, {grid.shape}), got {image.shape}")
    return image, grid


def _scan_lines(file: Container) -> ScanLines:
    facts: dict[str, Any] = {n: float(_value(file, n)) for n in ("angle", "center_frequency", "frame_rate")}
    facts |= {n: file.array(n) for n in ("samples", "x", "ranges")}
    return ScanLines(**facts, timestamps=_optional(file, "timestamps"))


def _flow_images(file: Container) -> FlowImages:
    grid = _grid(file)
    if not isinstance(grid, Grid) or grid.ndim != 2:
        raise FormatError(f"{file.path}: grid: expected a Cartesian plane, got another")
    found = {n: file.array(n) for n in FLOW_ARRAYS}
    shape = (len(found["velocity"]), *grid.shape)
    for name, values in found.items():
        kind = "u" if name in ("bmode", "picture") else "b" if name == "painted" else "f"
        expected = (*shape, 3) if name == "picture" else shape
        if values.shape != expected or values.dtype.kind != kind or (kind == "u" and values.dtype != np.uint8):
            raise FormatError(f"{file.path}: {name}: expected {expected}, got {values.shape} {values.dtype}")
    facts: dict[str, Any] = {n: float(_value(file, n)) for n in ("nyquist", "limit", "image_rate")}
    color_map = str(_value(file, "color_map"))
    return FlowImages(**{**found, **facts}, grid=grid, color_map=color_map, vectors=_vectors(file, shape))


def _vectors(file: Container, shape: tuple[int, ...]) -> list[VectorVelocity] | None:
    if not file.has("vectors"):
        return None
    found = {n: file.array(f"vectors/{n}") for n in VECTOR_ARRAYS}
    for name, values in found.items():
        expected = (shape[0], 2, *shape[1:]) if name == "velocity" else shape
        if values.shape != expected or values.dtype.kind != "f":
            raise FormatError(f"{file.path}: vectors/{name}: expected {expected}, got {values.shape} {values.dtype}")
    return [VectorVelocity(*rows) for rows in zip(*found.values(), strict=True)]


_READERS: dict[str, Callable[[Container], Any]] = {
    "channel_data": _channel_data,
    "scan_lines": _scan_lines,
    "medium": _medium,
    "image": _image,
    "flow_images": _flow_images,
}

FORMAT = Format("sonoray", "sonoray's own HDF5: channel data, lines, medium, image, images of flow", sniff, read)
