"""NIfTI-1 single files, ``.nii`` and ``.nii.gz``: images, frames and volumes, through nibabel."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import option
from ...errors import ArgumentError, FormatError, MissingExtraError
from ...media.grids import Grid
from ...media.medium import Medium
from .._budget import Budget
from .._container import naming
from ..registry import Format, Opened
from ..writing import atomic, checked_image
from ._facts import QUANTITIES, as_quantity

_HEADER_BYTES = 348
_SIZES = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c")  # 348, either order
_UNITS = {"meter": 1.0, "mm": 1e-3, "micron": 1e-6, "unknown": 1e-3}
_PIECE = 1 << 16


def sniff(file: Opened) -> bool:
    """The header's own size at its start, and its magic word at its end."""
    if file.container is not None:
        return False
    header = file.header
    if header.startswith(b"\x1f\x8b"):
        try:
            header = zlib.decompressobj(31).decompress(header, _HEADER_BYTES)
        except zlib.error:
            return False
    return header[:4] in _SIZES and header[344:348] in (b"n+1\0", b"ni1\0")


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise MissingExtraError("NIfTI needs nibabel: pip install 'sonoray[io]'") from None
    return nibabel


def read(file: Opened, *, quantity: str = "image") -> tuple[NDArray[Any], Grid] | Medium:
    """Read an image, a volume or frames of them as (image, grid).

    Conventions: the three indices of space are x, y and z; where the second or third has one point, the other two are
    x and depth. Frames (the fourth index) lead, as (frames, x[, y], z); RGB follows as a last axis. Units are those of
    ``xyzt_units`` (millimetres where it is silent). The grid lies along the image's own axes: spacing and origin are
    the lengths of the affine's columns and its translation along them, which is the same in NIfTI's frame (right,
    anterior, superior) and in MetaImage's and DICOM's (left, posterior, superior). ``scl_slope`` and ``scl_inter`` are
    applied.

    Parameters
    ----------
    quantity : {"image", "sound_speed"}
        "sound_speed" gives a Medium of an image in m/s.

    References
    ----------
    .. [1] R. W. Cox et al., A (sort of) new image data format standard: NIfTI-1, Human Brain Mapping 2004;
       https://nifti.nimh.nih.gov/nifti-1.
    """
    option("quantity", quantity, QUANTITIES)
    nibabel = _nibabel()
    budget = Budget(file.path)
    raw = _unpacked(file.path, budget)
    if raw[344:348] != b"n+1\0":
        raise FormatError(f"{file.path}: expected one file with header and data, got the header of a pair")
    try:
        header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(raw[:_HEADER_BYTES] + bytes(4)))
        shape, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
        offset, affine = int(header.get_data_offset()), np.asarray(header.get_best_affine(), np.float64)
        slope, inter = header.get_slope_inter()
        unit = header.get_xyzt_units()[0]
    except Exception as error:  # nibabel has many kinds of refusal
        raise FormatError(f"{file.path}: expected a NIfTI-1 header: {error}") from None
    values = _values(file.path, raw, shape, dtype, offset)
    if slope is not None and (slope, inter or 0.0) != (1.0, 0.0):
        if values.dtype.kind not in "iuf":
            raise FormatError(f"{file.path}: scl_slope: expected none with {values.dtype.name}, got {slope:g}")
        budget.take("scaled values", values.shape, 8)
        values = values * np.float64(slope) + np.float64(inter or 0.0)
    with naming(file.path):
        image, grid = _placed(file, values, affine, _UNITS.get(unit, 1e-3), len(shape))
        return as_quantity(image, grid, quantity)


def _unpacked(path: Path, budget: Budget) -> bytes | bytearray:
    """The whole file, unpacked if it is compressed; never more than the budget."""
    raw = path.read_bytes()
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    # Small pieces on both sides: zlib collects what one call gives in blocks and then joins them, twice the memory.
    unpacked, stream, rest = bytearray(), zlib.decompressobj(31), memoryview(raw)
    try:
        while not stream.eof:
            piece = rest[:_PIECE]
            part = stream.decompress(piece, _PIECE)
            rest = rest[len(piece) - len(stream.unconsumed_tail) :]
            unpacked += part
            budget.check("unpacked file", (len(unpacked),))
            if not part and not len(rest):
                break
    except zlib.error as error:
        raise FormatError(f"{path}: compressed data: {error}; the file is truncated or damaged") from None
    if not stream.eof:
        raise FormatError(f"{path}: compressed data end early; the file is truncated")
    return unpacked


def _values(
    path: Path, raw: bytes | bytearray, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int
) -> NDArray[Any]:
    """Values in the file's order of indices, RGB as a last axis."""
    n_values = int(np.prod([float(n) for n in shape])) if shape else 0
    if not 2 <= len(shape) <= 4 or min(shape) < 1 or offset < _HEADER_BYTES:
        raise FormatError(f"{path}: dim: expected 2 to 4 sizes and data behind the header, got {shape} at {offset}")
    if n_values * dtype.itemsize > len(raw) - offset:
        raise FormatError(f"{path}: expected {shape} {dtype.name} from byte {offset} on, the file has {len(raw)} bytes")
    colours = 1
    if dtype.names in (("R", "G", "B"), ("R", "G", "B", "A")):
        colours, dtype = len(dtype.names), np.dtype("u1")
    if dtype.kind not in "iufc" or dtype.itemsize > 16 or dtype.char in "gG":
        raise FormatError(f"{path}: datatype: expected numbers or RGB, got {dtype}")
    flat = np.frombuffer(raw, dtype, n_values * colours, offset)
    flat = flat.astype(dtype.newbyteorder("="))
    if colours == 1:
        return flat.reshape(shape, order="F")
    return flat.reshape((colours, *shape), order="F").transpose(*range(1, len(shape) + 1), 0)


def _placed(
    file: Opened, values: NDArray[Any], affine: NDArray[np.float64], unit: float, ndims: int
) -> tuple[NDArray[Any], Grid]:
    shape = values.shape[:ndims]
    space = (*shape, 1)[:3]
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not (steps > 0).all():
        raise FormatError(f"{file.path}: expected an affine with three directions, got {affine.tolist()}")
    first = (affine[:3, :3] / steps).T @ affine[:3, 3]
    kept = [0, 1] if space[2] == 1 else [0, 2] if space[1] == 1 else [0, 1, 2]
    tail = values.shape[ndims:]
    image = values.reshape(*(space[i] for i in kept), *shape[3:4], *tail)
    if ndims == 4:
        image = np.moveaxis(image, len(kept), 0)
    grid = Grid(
        tuple(space[i] for i in kept),
        tuple(float(f"{unit * steps[i]:.7g}") for i in kept),  # stored in single precision
        tuple(float(f"{unit * first[i]:.7g}") for i in kept),
    )
    return image, grid


def write(path: Any, data: Any) -> None:
    """Write an image, frames or a medium's sound speed as ``.nii`` or ``.nii.gz``.

    Indices are x, y (one point for 2-D), depth z and frames; the affine holds spacing and origin in millimetres of the
    probe's coordinates, in single precision. These are taken for left, posterior, superior, as in a MetaImage, so that
    the affine, which points right and anterior, has x and y negated: both files lie in the same place.

    Parameters
    ----------
    path : str or path-like
        Ending in .nii or .nii.gz.
    data : tuple (image, grid) or Medium
        ``image`` (…, *grid.shape), with at most one leading axis (frames).

    Raises
    ------
    ArgumentError
        Another kind of data, a sector, another ending.
    MissingExtraError
        nibabel is not installed.
    """
    if isinstance(data, Medium):
        data = (data.sound_speed, data.grid)
    if not isinstance(data, tuple) or len(data) != 2 or not isinstance(data[1], Grid):
        raise ArgumentError("data: expected (image, grid) on a Grid or a Medium; convert a sector first")
    name = str(path).lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise ArgumentError(f"path: expected an ending .nii or .nii.gz, got {path}")
    image, grid = checked_image(*data), data[1]
    if image.ndim > grid.ndim + 1:
        raise ArgumentError(f"image: expected ([frames,] {grid.shape}), got {image.shape}")
    frames = image[None] if image.ndim == grid.ndim else image
    volume = frames[:, :, None] if grid.ndim == 2 else frames
    stored = volume.transpose(1, 2, 3, 0) if image.ndim > grid.ndim else volume[0]
    stored = stored.astype(np.uint8) if stored.dtype == bool else stored
    nibabel = _nibabel()
    across = [0, 1, 2] if grid.ndim == 3 else [0, 2]
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[across, across], affine[across, 3] = 1e3 * np.array(grid.spacing), 1e3 * np.array(grid.origin)
    affine[:2] *= -1
    picture = nibabel.Nifti1Image(stored, affine, dtype=stored.dtype)
    picture.header.set_xyzt_units("mm", "sec")
    raw = picture.to_bytes()
    with atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(raw, 6, mtime=0) if name.endswith(".gz") else raw)


FORMAT = Format("nifti", "NIfTI-1 .nii or .nii.gz: images, frames, volumes", sniff, read, write)
