"""One view of MATLAB files of both kinds and of HDF5 files: names, structures, arrays in MATLAB's or HDF5's order."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError
from ._hdf5 import Hdf5, is_hdf5
from ._mat5 import Mat5, is_mat5


def header_of(path: Path) -> bytes:
    """First kilobyte of a regular, non-empty file; anything else is a FormatError (a missing file is not)."""
    if not stat.S_ISREG(path.stat().st_mode):
        kind = "a directory" if path.is_dir() else "a special file"
        raise FormatError(f"{path}: expected a data file, got {kind}; give the path of one file")
    with open(path, "rb") as file:
        header = file.read(1024)
    if not header:
        raise FormatError(f"{path}: expected a data file, got an empty file; copy or download it again")
    return header


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn the refusal of a constructor into a FormatError that names the file as well as the field."""
    try:
        yield
    except ArgumentError as error:
        raise FormatError(
            f"{path}: the file's values make no valid object: {error}; pass the right value as an option of read()"
        ) from error


class Container:
    """Values by path ("param.fs" for MATLAB structures, "data/f_sampling" for HDF5 groups; both work in both).

    Parameters
    ----------
    path : Path
        A MATLAB file (level 5 or 7.3) or any HDF5 file.
    header : bytes
        As `header_of` gives it.

    Notes
    -----
    ``matlab`` tells whether arrays come in MATLAB's index order; from a 7.3 file that is the transpose of what HDF5
    stores, returned as a view.
    """

    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self._mat5 = Mat5(path) if is_mat5(header) else None
        self._hdf5 = Hdf5(path) if self._mat5 is None else None
        self.matlab = self._mat5 is not None or header.startswith(b"MATLAB 7.3")
        self._loaded: dict[str, Any] = {}

    @staticmethod
    def fits(header: bytes) -> bool:
        """Whether a file that starts with ``header`` is of one of the two kinds."""
        return is_mat5(header) or is_hdf5(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        t: TracebackType | None,
    ) -> None:
        self._loaded.clear()
        if self._hdf5 is not None:
            self._hdf5.__exit__(kind, error, t)

    def members(self, path: str = "") -> tuple[str, ...]:
        """Names of the variables, of a structure's fields or of a group's members."""
        if self._hdf5 is not None:
            return tuple(n for n in self._hdf5.members(path.replace(".", "/")) if n != "#refs#")
        if not path:
            assert self._mat5 is not None
            return self._mat5.names
        value = self._value(path)
        return tuple(value) if isinstance(value, dict) else ()

    def has(self, path: str) -> bool:
        """Whether there is a value, structure or group at ``path``."""
        parent, _, name = path.replace(".", "/").rpartition("/")
        return (not parent or self.has(parent)) and name in self.members(parent)

    def attribute(self, name: str, path: str = "") -> Any:
        """HDF5 attribute as number or text; None when absent, and always in level 5 files."""
        return None if self._hdf5 is None else self._hdf5.attribute(name, path)

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of an array without reading it."""
        if self._hdf5 is not None:
            shape = self._hdf5.shape(path.replace(".", "/"))
            return shape[::-1] if self.matlab else shape
        assert self._mat5 is not None
        if path in self._mat5.names:
            return self._mat5.shape(path)
        return tuple(self.array(path).shape)

    def array(self, path: Any, last: Any = None) -> NDArray[Any]:
        """Array at ``path`` (or at one of `references`).

        ``last`` picks along the slowest axis (MATLAB's last, HDF5's first); from HDF5 the rest is not read.
        """
        if self._hdf5 is not None:
            path = path.replace(".", "/") if isinstance(path, str) else path
            if self._hdf5.attribute("MATLAB_empty", path):
                return np.empty((0, 0))
            values = self._hdf5.array(path, last)
            return values.T if self.matlab else values
        values = self._value(path)
        if not isinstance(values, np.ndarray):
            raise FormatError(f"{self.path}: {path}: expected numbers, got {type(values).__name__}")
        return values if last is None else values[..., last]

    def records(self, path: str) -> "list[dict[str, Any]] | Records":
        """The elements of a structure array: field by name, as arrays in MATLAB's order, text, or None."""
        if self._hdf5 is not None:
            return Records(self, path)
        value = self._value(path)
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, dict) for v in values):
            raise FormatError(f"{self.path}: {path}: expected a structure, got {type(value).__name__}")
        return values

    def cells(self, path: str) -> list[Any]:
        """The elements of a cell, or the one array that is not in a cell."""
        if self._hdf5 is not None:
            places = self._hdf5.references(path.replace(".", "/"))
            return [self.array(place) for place in ([path] if places is None else places)]
        value = self._value(path)
        return value if isinstance(value, list) else [value]

    def references(self, path: str) -> list[Any] | None:
        """Where the elements of a cell or of a structure array's field are; None for values, and in level 5 files."""
        return None if self._hdf5 is None else self._hdf5.references(path.replace(".", "/"))

    def content(self, path: Any) -> Any:
        """Array or text at ``path``, or at one of `references`, of an HDF5 file; None for anything else."""
        assert self._hdf5 is not None
        path = self._hdf5.opened(path)
        if self._hdf5.members(path) or self._hdf5.references(path) is not None:
            return None
        values = self.array(path)
        if self._hdf5.attribute("MATLAB_class", path) != "char":
            return values
        return "".join(map(chr, values.ravel(order="F").tolist())) if values.dtype.kind == "u" else None

    def numbers(self, path: str) -> NDArray[np.float64]:
        """All values at ``path`` as float64 in one row."""
        values = self.array(path)
        if values.dtype.kind not in "biuf":
            raise FormatError(f"{self.path}: {path}: expected real numbers, got {values.dtype}")
        return np.asarray(values, np.float64).ravel(order="F" if self.matlab else "C")

    def number(self, path: str, default: float | None = None) -> float:
        """The single number at ``path``, or ``default`` where there is none (or an empty array)."""
        values = self.numbers(path) if self.has(path) else np.empty(0)
        if values.size == 0 and default is not None:
            return default
        if values.size != 1:
            found = "nothing" if not values.size else f"{values.size} values"
            raise FormatError(f"{self.path}: {path}: expected one number, got {found}; pass it as an option of read()")
        return float(values[0])

    def count(self, path: str) -> int:
        """The single whole number from 1 to 65536 at ``path``."""
        value = self.number(path)
        if not 1 <= value <= 65536 or value != round(value):
            raise FormatError(f"{self.path}: {path}: expected a whole number from 1 to 65536, got {value:g}")
        return int(value)

    def _value(self, path: str) -> Any:
        assert self._mat5 is not None
        names = path.replace("/", ".").split(".")
        if names[0] not in self._mat5.names:
            raise FormatError(f"{self.path}: expected a variable {names[0]!r}, got {', '.join(self._mat5.names)}")
        if names[0] not in self._loaded:
            self._loaded[names[0]] = self._mat5.load(names[0])
        value = self._loaded[names[0]]
        for i, name in enumerate(names[1:], 1):
            if not isinstance(value, dict) or name not in value:
                raise FormatError(f"{self.path}: expected a field {name!r} in {'.'.join(names[:i])}, which has none")
            value = value[name]
        return value


class Records:
    """A structure array of a 7.3 file, whose fields are datasets of references to one value per element."""

    def __init__(self, file: Container, path: str) -> None:
        self._file, self._path = file, path.replace(".", "/")
        self._places: dict[str, list[Any]] = {}
        for name in file.members(path):
            field = f"{self._path}/{name}"
            places = None if file.attribute("MATLAB_class", field) == "cell" else file.references(field)
            self._places[name] = [field] if places is None else places
        lengths = {len(places) for places in self._places.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise FormatError(f"{file.path}: {path}: expected a structure, got fields of {sorted(lengths)} elements")
        self._length = lengths.pop()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < self._length:
            raise IndexError(index)
        return _Record(self._file, {name: places[index] for name, places in self._places.items()})


class _Record(dict[str, Any]):
    """One element, whose fields are read when they are asked for."""

    def __init__(self, file: Container, places: dict[str, Any]) -> None:
        super().__init__()
        self._file, self._places = file, places

    def get(self, name: str, default: Any = None) -> Any:
        return self._file.content(self._places[name]) if name in self._places else default
