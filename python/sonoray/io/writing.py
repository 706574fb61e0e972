"""Writing files, whole or not at all; sonoray's own HDF5 here, other formats where they are read."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from ..acquisition.channel_data import ChannelData
from ..acquisition.flow_images import FlowImages
from ..acquisition.scan_lines import ScanLines
from ..acquisition.transmits import Transmit
from ..errors import ArgumentError
from ..media.grids import Grid, SectorGrid
from ..media.medium import Medium
from ._budget import RATIO
from .formats.native import FLOW_ARRAYS, TRANSMIT_KINDS, VECTOR_ARRAYS, VERSION
from .registry import check_options, formats, keywords

_CHUNK_BYTES = 1 << 20
_SMALL_BYTES = 1 << 14  # not worth a chunk
_ENDINGS = {
    ".uff": "uff", ".mha": "metaimage", ".mhd": "metaimage", ".nii": "nifti", ".nii.gz": "nifti", ".dcm": "dicom",
}  # fmt: skip
_NOT_WRITTEN = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".mp4", ".mat", ".npy", ".npz", ".raw", ".wav")


@contextmanager
def atomic(path: Any) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well, and vanishes when not."""
    target = Path(path)
    if target.is_dir():
        raise ArgumentError(f"path: expected a file to write, got the folder {target}")
    if not target.absolute().parent.is_dir():
        raise ArgumentError(f"path: expected a folder that exists, got {target.absolute().parent}")
    temporary = target.with_name(f".{target.name[:64]}.{uuid.uuid4().hex}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Any, data: Any, *, format: str | None = None, **options: Any) -> None:
    """Write channel data, lines, a medium, an image or images of flow.

    The file appears whole or not at all: it is written beside ``path`` and renamed. From sonoray's own HDF5 format
    `sonoray.read` gives back an equal object of the same types; what another format can hold, its row in
    ``docs/formats.md`` says, and what it cannot is refused.

    Parameters
    ----------
    path : str or path-like
    data : ChannelData, ScanLines, Medium, FlowImages or tuple (image, grid)
        ``image`` ends in ``grid.shape``; leading axes (frames) are free. ``grid`` is a Grid or SectorGrid.
    format : str, optional
        Name of a format that can be written (see `sonoray.io.formats`). Default: that of the path's ending (.uff, .mha,
        .mhd, .nii, .nii.gz, .dcm), else sonoray's own HDF5.
    **options
        Of the format's writer. For "sonoray": ``compress`` (default True), deflate with byte shuffling and a checksum
        per chunk; False writes plain arrays, faster and larger.

    Raises
    ------
    ArgumentError
        Another kind of data, an image that does not fit its grid, a format that cannot hold it or an unknown option; an
        ending of what this function does not write (.png, .mat, ...).
    """
    if format is None:
        format = _format_of(Path(path))
    if format == "sonoray":
        writer: Callable[..., None] | None = write_native
    else:
        chosen = formats().get(format)
        writer = None if chosen is None else chosen.write
    if writer is None:
        known = ", ".join(["sonoray", *(f.name for f in formats().values() if f.write is not None)])
        raise ArgumentError(f"format: expected one that can be written ({known}), got {format!r}")
    check_options(format, keywords(writer), options)
    writer(path, data, **options)


def _format_of(path: Path) -> str:
    """Name of the format that a path's ending stands for."""
    name = path.name.lower()
    if name.endswith(_NOT_WRITTEN):
        raise ArgumentError(
            f"path: expected .h5 or an ending of another format that can be written ({', '.join(_ENDINGS)}), got "
            f"{path.name!r}; pictures are written by write_png"
        )
    return next((format for ending, format in _ENDINGS.items() if name.endswith(ending)), "sonoray")


def write_native(path: Any, data: Any, *, compress: bool = True) -> None:
    """Write sonoray's own HDF5 format; see `write`."""
    fill: Callable[[_Target, Any], None]
    if isinstance(data, ChannelData):
        kind, fill = "channel_data", _fill_channel_data
    elif isinstance(data, Medium):
        kind, fill = "medium", _fill_medium
    elif isinstance(data, ScanLines):
        kind, fill = "scan_lines", _fill_scan_lines
    elif isinstance(data, FlowImages):
        kind, fill = "flow_images", _fill_flow_images
    elif isinstance(data, tuple) and len(data) == 2:
        data = (checked_image(*data), data[1])
        kind, fill = "image", _fill_image
    else:
        raise ArgumentError(
            f"data: expected ChannelData, ScanLines, Medium, FlowImages or (image, grid), got {type(data).__name__}"
        )
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        _text(file, "format", "sonoray")
        _text(file, "version", f"{VERSION[0]}.{VERSION[1]}")
        _text(file, "kind", kind)
        fill(_Target(file, compress), data)


class _Target:
    """A group that takes arrays, chunked along the leading axes and compressed when they are large."""

    def __init__(self, group: h5py.Group, compress: bool) -> None:
        self.group = group
        self.compress = compress

    def into(self, name: str) -> "_Target":
        return _Target(self.group.require_group(name), self.compress)

    def array(self, name: str, values: Any) -> None:
        values = np.asarray(values)
        if not self.compress or values.nbytes < _SMALL_BYTES:
            self.group.create_dataset(name, data=values)
            return
        filters = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
        stored = self.group.create_dataset(name, data=values, chunks=_chunks(values), **filters)
        # Nearly constant arrays could exceed what the reader lets a file unpack to.
        if values.nbytes > stored.id.get_storage_size() * RATIO // 2:
            del self.group[name]
            self.group.create_dataset(name, data=values)


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """Whole trailing axes, up to `_CHUNK_BYTES`."""
    chunks, size = list(values.shape), values.nbytes
    for axis, length in enumerate(values.shape):
        if size <= _CHUNK_BYTES:
            break
        chunks[axis] = max(1, _CHUNK_BYTES * length // size)
        size = size // length * chunks[axis]
    return tuple(chunks)


def _text(node: Any, name: str, value: str) -> None:
    node.attrs[name] = np.bytes_(value.encode("utf-8")) if value else np.bytes_(b"\0")


def _fill_channel_data(target: _Target, data: ChannelData) -> None:
    attributes = (
        "sampling_frequency",
        "demodulation_frequency",
        "center_frequency",
        "sound_speed",
        "frame_rate",
    )
    for name in attributes:
        target.group.attrs[name] = float(getattr(data, name))
    target.array("samples", data.samples)
    target.array("start_time", data.start_time)
    probe = target.into("probe")
    probe.array("positions", data.probe.positions)
    probe.array("normals", data.probe.normals)
    if data.probe.lines is not None:
        probe.array("lines", data.probe.lines)
    for name in ("width", "height", "center_frequency", "bandwidth", "lens_thickness", "lens_sound_speed"):
        probe.group.attrs[name] = float(getattr(data.probe, name))
    _text(probe.group, "kind", data.probe.kind)
    _text(probe.group, "name", data.probe.name)
    _fill_transmits(target.into("transmits"), data.transmits, data.probe.n_elements)


def _fill_transmits(target: _Target, transmits: tuple[Transmit, ...], n_elements: int) -> None:
    """Tables with a row per transmit; rows that do not apply are zero, tables that never apply are left out."""
    target.array("kind", np.array([TRANSMIT_KINDS.index(t.kind) for t in transmits], np.uint8))
    target.array("origin", np.array([t.origin for t in transmits]))
    widths = {
        "direction": (3,),
        "focus": (3,),
        "element": (),
        "delays": (n_elements,),
        "apodization": (n_elements,),
    }
    for name, shape in widths.items():
        values = [getattr(t, name) for t in transmits]
        if any(v is not None for v in values):
            table = np.zeros((len(values), *shape), np.int64 if name == "element" else np.float64)
            for i, value in enumerate(values):
                if value is not None:
                    table[i] = value
            target.array(name, table)
    if any(t.apodization is not None for t in transmits):
        target.array(
            "has_apodization",
            np.array([t.apodization is not None for t in transmits], np.uint8),
        )


def _fill_grid(target: _Target, grid: Any) -> None:
    if isinstance(grid, SectorGrid):
        _text(target.group, "kind", "sector")
        for name in ("ranges", "angles", "apex"):
            target.array(name, np.asarray(getattr(grid, name), np.float64))
    else:
        _text(target.group, "kind", "cartesian")
        target.array("shape", np.array(grid.shape, np.int64))
        target.array("spacing", np.array(grid.spacing))
        target.array("origin", np.array(grid.origin))


def _fill_medium(target: _Target, medium: Medium) -> None:
    _fill_grid(target.into("grid"), medium.grid)
    for name in ("sound_speed", "density", "absorption"):
        if getattr(medium, name) is not None:
            target.array(name, getattr(medium, name))


def _fill_image(target: _Target, data: tuple[NDArray[Any], Any]) -> None:
    _fill_grid(target.into("grid"), data[1])
    target.array("image", data[0])


def _fill_scan_lines(target: _Target, lines: ScanLines) -> None:
    for name in ("angle", "center_frequency", "frame_rate"):
        target.group.attrs[name] = float(getattr(lines, name))
    for name in ("samples", "x", "ranges", "timestamps"):
        if getattr(lines, name) is not None:
            target.array(name, getattr(lines, name))


def _fill_flow_images(target: _Target, flow: FlowImages) -> None:
    _fill_grid(target.into("grid"), flow.grid)
    _text(target.group, "color_map", flow.color_map)
    for name, unit in (("nyquist", "m/s"), ("limit", "m/s"), ("image_rate", "Hz")):
        target.group.attrs[name] = float(getattr(flow, name))
        _text(target.group, f"{name}_unit", unit)
    for name in FLOW_ARRAYS:
        target.array(name, getattr(flow, name))
    _text(target.group["velocity"], "unit", "m/s")
    for name in VECTOR_ARRAYS if flow.vectors is not None else ():
        target.into("vectors").array(name, np.stack([getattr(v, name) for v in flow.vectors or ()]))


def checked_image(image: Any, grid: Any) -> NDArray[Any]:
    """An image as a host array whose shape ends in the grid's."""
    if not isinstance(grid, (Grid, SectorGrid)):
        raise ArgumentError(f"grid: expected a Grid or SectorGrid, got {type(grid).__name__}")
    values = host_array("image", image)
    if values.dtype.kind not in "biufc" or values.dtype.char in "egG":  # half and long double: no portable form
        raise ArgumentError(f"image: expected numbers, got {values.dtype}")
    if values.shape[max(values.ndim - len(grid.shape), 0) :] != grid.shape or 0 in values.shape:
        raise ArgumentError(f"image: expected a shape that ends in the grid's {grid.shape}, got {values.shape}")
    return values
