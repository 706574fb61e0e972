"""ITK MetaImage: ``.mha`` (one file) and ``.mhd`` (a header beside its data); images and lines on a grid."""

import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import count, option
from ...errors import ArgumentError, FormatError
from ...media.grids import Grid
from ...media.medium import Medium
from .._budget import Budget
from .._container import naming
from ..registry import Format, Opened
from ..writing import atomic, checked_image
from ._facts import QUANTITIES, as_quantity, given_spacing

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LONGEST_HEADER = 1 << 22  # sequences have lines for every frame
_PIECE = 1 << 16
_KEYWORD = re.compile(rb"\s*(ObjectType|NDims|Comment|ObjectSubType)\s*=")
_ORIENTATIONS = {"M": ("x", 1), "U": ("x", -1), "A": ("y", 1), "D": ("y", -1), "F": ("z", 1), "N": ("z", -1)}


def sniff(file: Opened) -> bool:
    """``ObjectType = Image`` or ``NDims`` as the first line."""
    return file.container is None and _KEYWORD.match(file.header) is not None and b"\n" in file.header


def read(
    file: Opened, *, axes: str | None = None, quantity: str = "image", spacing: Any = None
) -> tuple[NDArray[Any], Grid] | Medium:
    """Read an image, a volume or lines, or frames of them, as (image, grid).

    Conventions (MetaIO): spacing and ``Offset`` are in millimetres; the first index of ``DimSize`` is the fastest. The
    axes returned are (frames, x[, y], z[, channels]), depth last. Which index is which: what
    ``UltrasoundImageOrientation`` says (PLUS: M/U lateral, F/N depth, A/D elevation; U, N, D count backwards and are
    turned round); else, signed samples that are finer along the first index than along the second are lines, depth
    first; else a picture, x first (a volume: x, y, z). ``Kinds`` with "list" last, and a third index without ``Kinds``,
    are frames; "domain domain domain" is a volume. The grid lies in the image's own plane: its origin is the
    ``Offset`` along the image's axes (``TransformMatrix``). Data in another file must lie in the header's folder.

    Parameters
    ----------
    axes : str, optional
        What the indices are, fastest first, if the rules above err: letters of "x", "y", "z" and "t" (frames), for
        instance "zxt"; a capital letter counts backwards.
    quantity : {"image", "sound_speed"}
        "sound_speed" gives a Medium of an image in m/s.
    spacing : float or sequence of float [m], optional
        In the order (x[, y], z), instead of ``ElementSpacing`` (files without calibration say 1 mm).

    References
    ----------
    .. [1] MetaIO documentation, https://itk.org/Wiki/ITK/MetaIO/Documentation.
    """
    option("quantity", quantity, QUANTITIES)
    steps = given_spacing(spacing)
    header, begin = _header(file)
    with naming(file.path):
        shape = tuple(_numbers(file, header, "DimSize", int))
        ndims = len(shape)
        if not 2 <= ndims <= 4 or _number(file, header, "NDims") != ndims or min(shape) < 1:
            raise FormatError(f"{file.path}: DimSize: expected 2 to 4 sizes, as many as NDims, got {shape}")
        dtype = _element_type(file, header)
    letters = _letters(file, header, ndims, dtype) if axes is None else _given(axes, ndims)
    with naming(file.path):
        channels = int(_number(file, header, "ElementNumberOfChannels", 1))
        count("ElementNumberOfChannels", channels, 1, 64)
        values = _values(file, header, begin, (*shape[::-1], channels), dtype)
        grid = _grid(file, header, shape, letters, steps)
    values = values[..., 0] if channels == 1 else values
    names = letters.lower()[::-1]  # of the axes of ``values``
    values = np.flip(values, tuple(i for i, letter in enumerate(letters[::-1]) if letter.isupper()))
    order = [names.index(axis) for axis in "txyz" if axis in names]
    image = values.transpose(*order, *range(len(names), values.ndim))
    with naming(file.path):
        return as_quantity(image, grid, quantity)


def _header(file: Opened) -> tuple[dict[str, str], int]:
    """Fields, and where data begin that follow the header."""
    fields: dict[str, str] = {}
    at = 0
    with open(file.path, "rb") as stream:
        while True:
            line = stream.readline(1 << 16)
            at += len(line)
            if not line or at > _LONGEST_HEADER:
                raise FormatError(f"{file.path}: expected ElementDataFile as the last field of the header, got none")
            name, equals, value = line.decode("latin-1").partition("=")
            if not equals:
                if line.strip():
                    raise FormatError(f"{file.path}: expected 'name = value' lines, got {line[:40]!r}")
                continue
            fields[name.strip()] = value.strip()
            if name.strip() == "ElementDataFile":
                return fields, at


def _numbers(file: Opened, header: dict[str, str], name: str, kind: Any, default: Any = None) -> list[Any]:
    if name not in header:
        if default is not None:
            return list(default)
        raise FormatError(f"{file.path}: expected a field {name}, which the header lacks")
    try:
        return [kind(word) for word in header[name].split()]
    except ValueError:
        raise FormatError(f"{file.path}: {name}: expected numbers, got {header[name][:60]!r}") from None


def _number(file: Opened, header: dict[str, str], name: str, default: int | None = None) -> int:
    values = _numbers(file, header, name, int, None if default is None else [default])
    if len(values) != 1:
        raise FormatError(f"{file.path}: {name}: expected one number, got {header[name][:60]!r}")
    return int(values[0])


def _flag(file: Opened, header: dict[str, str], name: str, default: str = "False") -> bool:
    value = header.get(name, default).lower()
    if value not in ("true", "false", "1", "0", "t", "f"):
        raise FormatError(f"{file.path}: {name}: expected True or False, got {value!r}")
    return value in ("true", "1", "t")


def _element_type(file: Opened, header: dict[str, str]) -> np.dtype[Any]:
    kind = header.get("ElementType", "")
    if kind not in _TYPES:
        raise FormatError(f"{file.path}: ElementType: expected one of {', '.join(_TYPES)}, got {kind!r}")
    if not _flag(file, header, "BinaryData", "True"):
        raise FormatError(f"{file.path}: BinaryData: expected binary data, got text")
    big = _flag(file, header, "BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False"))
    return np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")


def _given(axes: str, ndims: int) -> str:
    """The caller's letters, checked."""
    known = isinstance(axes, str) and len(axes) == ndims and len(set(axes.lower())) == ndims
    if not known or not {"x", "z"} <= set(axes.lower()) <= set("xyzt") or "T" in axes:
        raise ArgumentError(f"axes: expected {ndims} different letters of x, y, z and t, with x and z, got {axes!r}")
    return axes


def _letters(file: Opened, header: dict[str, str], ndims: int, dtype: np.dtype[Any]) -> str:
    """What each index is, fastest first: x, y, z, t; capital where it counts backwards."""
    frames = header.get("Kinds", "domain domain list").split()[-1] == "list" or ndims == 4
    n_space = ndims - (1 if frames and ndims > 2 else 0)
    letters = ""
    for letter in header.get("UltrasoundImageOrientation", "")[:n_space].upper():
        if letter not in _ORIENTATIONS:
            break
        name, sign = _ORIENTATIONS[letter]
        letters += name if sign > 0 else name.upper()
    if len(letters) != n_space or len(set(letters.lower())) != n_space or not {"x", "z"} <= set(letters.lower()):
        steps = _numbers(file, header, "ElementSpacing", float, header.get("ElementSize", "1 " * ndims).split())
        lines = dtype.kind in "if" and len(steps) > 1 and float(steps[0]) < float(steps[1])
        letters = ("zx" if lines else "xz") if n_space == 2 else ("zxy" if lines else "xyz")
    return letters + "t" * (ndims - n_space)


def _grid(
    file: Opened, header: dict[str, str], shape: tuple[int, ...], letters: str, spacing: tuple[float, ...] | None
) -> Grid:
    ndims = len(shape)
    steps = _numbers(
        file, header, "ElementSpacing" if "ElementSpacing" in header else "ElementSize", float, [1] * ndims
    )
    offset = next((n for n in ("Offset", "Position", "Origin") if n in header), "Offset")
    corner = np.array(_numbers(file, header, offset, float, [0] * ndims))
    matrix = next((n for n in ("TransformMatrix", "Rotation", "Orientation") if n in header), "TransformMatrix")
    rows = np.array(_numbers(file, header, matrix, float, np.eye(ndims).ravel()))
    if not len(steps) == len(corner) == ndims or rows.size != ndims**2 or not np.isfinite([*corner, *rows]).all():
        raise FormatError(f"{file.path}: expected {ndims} spacings and offsets and a square matrix of them, got others")
    along = rows.reshape(ndims, ndims) @ corner  # a row per index: its direction
    index = {letter.lower(): i for i, letter in enumerate(letters)}
    kept = [index[a] for a in "xyz" if a in index]
    sizes = tuple(shape[i] for i in kept)
    step = [float(f"{1e-3 * steps[i]:.12g}") for i in kept]
    first = [1e-3 * (-along[i] - (shape[i] - 1) * steps[i] if letters[i].isupper() else along[i]) for i in kept]
    if spacing is not None:
        given = Grid(sizes, spacing * (len(kept) if len(spacing) == 1 else 1), (0.0,) * len(kept)).spacing
        first = [o / h * g for o, h, g in zip(first, step, given, strict=True)]
        step = list(given)
    return Grid(sizes, tuple(step), tuple(float(f"{o:.12g}") for o in first))


def _values(
    file: Opened, header: dict[str, str], begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    name = header["ElementDataFile"]
    path = file.path
    if name.upper() != "LOCAL":
        if not name or name.upper().startswith("LIST") or "%" in name or Path(name).name != name:
            raise FormatError(f"{path}: ElementDataFile: expected LOCAL or one file in the same folder, got {name!r}")
        path, begin = path.with_name(name), 0
        if not path.is_file():
            raise FormatError(f"{file.path}: expected its data in {name} beside it, which is not there")
    budget, n_bytes = Budget(path), math.prod(shape) * dtype.itemsize
    budget.take("ElementDataFile", shape, dtype.itemsize)
    packed = _flag(file, header, "CompressedData")
    skip = _number(file, header, "HeaderSize", 0)
    left = budget.file_bytes - begin
    if skip == -1 and not packed:
        begin += max(left - n_bytes, 0)
    elif skip > 0:
        begin += skip
    left = budget.file_bytes - begin
    if left < 0 or (not packed and left < n_bytes):
        raise FormatError(f"{path}: expected {n_bytes} bytes of {shape} {dtype.name}, the file has {max(left, 0)} left")
    if packed:
        raw = _inflated(path, begin, n_bytes)
    else:
        with open(path, "rb") as stream:
            stream.seek(begin)
            raw = bytearray(stream.read(n_bytes))
    values = np.frombuffer(raw, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _inflated(path: Path, begin: int, n_bytes: int) -> bytearray:
    result, at, stream = bytearray(n_bytes), 0, zlib.decompressobj()
    try:
        for piece in _pieces(path, begin):
            part = stream.decompress(piece, n_bytes - at + 1)
            if at + len(part) > n_bytes:
                raise FormatError(f"{path}: expected {n_bytes} bytes after unpacking, got more")
            result[at : at + len(part)] = part
            at += len(part)
            if stream.eof:
                break
    except zlib.error as error:
        raise FormatError(f"{path}: compressed data: {error}; the file is truncated or damaged") from None
    if at != n_bytes or not stream.eof:
        raise FormatError(f"{path}: expected {n_bytes} bytes after unpacking, got {at}; the file is truncated")
    return result


def _pieces(path: Path, begin: int) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        stream.seek(begin)
        while piece := stream.read(_PIECE):
            yield piece


def write(path: Any, data: Any, *, compress: bool = True) -> None:
    """Write an image, frames or a medium's sound speed as ``.mha``, or as ``.mhd`` with ``.raw`` or ``.zraw`` beside.

    x is the fastest index, depth the last of space, frames the last of all; ``UltrasoundImageOrientation`` says so.

    Parameters
    ----------
    path : str or path-like
        Ending in .mha or .mhd.
    data : tuple (image, grid) or Medium
        ``image`` (…, *grid.shape), with at most one leading axis (frames), or uint8 with three colours as last axis.
    compress : bool
        Deflate.

    Raises
    ------
    ArgumentError
        Another kind of data, complex values, a sector, another ending.
    """
    if isinstance(data, Medium):
        data = (data.sound_speed, data.grid)
    if not isinstance(data, tuple) or len(data) != 2 or not isinstance(data[1], Grid):
        raise ArgumentError("data: expected (image, grid) on a Grid or a Medium; convert a sector first")
    image, grid = np.asarray(data[0]), data[1]
    colours = (
        3 if image.dtype == np.uint8 and image.shape[-1:] == (3,) and image.shape[-grid.ndim :] != grid.shape else 1
    )
    image = image if colours == 3 else checked_image(image, grid)[..., None]
    if image.shape[-1 - grid.ndim : -1] != grid.shape or image.ndim > grid.ndim + 2:
        raise ArgumentError(f"image: expected ([frames,] {grid.shape}), got {image.shape[:-1]}")
    image = image.astype(np.uint8) if image.dtype == bool else image
    kind = next((k for k, v in _TYPES.items() if np.dtype(v) == image.dtype.newbyteorder("=")), None)
    suffix = Path(path).suffix.lower()
    if kind is None or suffix not in (".mha", ".mhd"):
        raise ArgumentError(
            f"image: expected real numbers and a path ending in .mha or .mhd, got {image.dtype}, {path}"
        )
    space = tuple(range(image.ndim - 1 - grid.ndim, image.ndim - 1))
    ordered = image.transpose(*range(space[0]), *space[::-1], image.ndim - 1)
    raw = np.ascontiguousarray(ordered, ordered.dtype.newbyteorder("<")).tobytes()
    raw = zlib.compress(raw, 4) if compress else raw
    frames = bool(space[0])
    side = Path(path).with_suffix(".zraw" if compress else ".raw")
    header = _new_header(grid, image.shape[0] if frames else None, kind, colours, len(raw) if compress else None)
    header += f"ElementDataFile = {'LOCAL' if suffix == '.mha' else side.name}\n"
    if suffix == ".mhd":
        with atomic(side) as temporary:
            temporary.write_bytes(raw)
    with atomic(path) as temporary:
        temporary.write_bytes(header.encode("ascii", "replace") + (raw if suffix == ".mha" else b""))


def _new_header(grid: Grid, n_frames: int | None, kind: str, colours: int, packed: int | None) -> str:
    extra = [] if n_frames is None else [n_frames]
    n = grid.ndim + len(extra)

    def row(values: Any) -> str:
        return " ".join(f"{v:.12g}" for v in values)

    fields = {
        "ObjectType": "Image",
        "NDims": n,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": packed is not None,
        **({} if packed is None else {"CompressedDataSize": packed}),
        "TransformMatrix": row(np.eye(n).ravel()),
        "Offset": row([*(1e3 * o for o in grid.origin), *(0 for _ in extra)]),
        "ElementSpacing": row([*(1e3 * h for h in grid.spacing), *(1 for _ in extra)]),
        "DimSize": row([*grid.shape, *extra]),
        "Kinds": " ".join(["domain"] * grid.ndim + ["list"] * len(extra)),
        "UltrasoundImageOrientation": "MF" if grid.ndim == 2 else "MAF",
        "ElementNumberOfChannels": colours,
        "ElementType": kind,
    }
    return "".join(f"{name} = {value}\n" for name, value in fields.items())


def holds_rf(file: Opened) -> bool:
    """What ``UltrasoundImageType`` says (PLUS), else whether samples are lines: signed, finer along the first index."""
    header, _ = _header(file)
    said = header.get("UltrasoundImageType")
    if said is not None:
        return said.upper().startswith("RF")
    ndims = len(_numbers(file, header, "DimSize", int))
    lines = _letters(file, header, ndims, _element_type(file, header)).startswith("zx")
    return lines and "UltrasoundImageOrientation" not in header and header["ElementType"] != "MET_UCHAR"


FORMAT = Format("metaimage", "ITK MetaImage .mha or .mhd: images, volumes, RF lines", sniff, read, write, holds_rf)
