"""HDF5 files, opened with distrust: only plain data inside the file itself, and no more than it can hold."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ._budget import Budget

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Filters that every HDF5 build has, and h5py's own LZF. Others would load a shared library from the plug-in path.
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}


def is_hdf5(header: bytes) -> bool:
    """Whether ``header`` (1 KiB) starts an HDF5 file, with or without MATLAB's 512-byte user block."""
    return header.startswith(SIGNATURE) or header[512:520] == SIGNATURE


class Hdf5:
    """Datasets of an HDF5 file by path.

    Refused: links that leave the file, soft links, virtual datasets, external storage, plug-in filters, data types
    other than numbers, complex pairs and fixed-length text, and sizes beyond `Budget`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._budget = Budget(path)
        with self._guard("expected an HDF5 file"):
            self._file = h5py.File(path, "r")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        t: TracebackType | None,
    ) -> None:
        with suppress(Exception):  # a damaged file may refuse even that; nothing was written
            self._file.close()

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        """On damaged files h5py raises nearly every exception type there is; all of them mean the same here."""
        try:
            yield
        except FormatError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FormatError(
                f"{self._path}: {what}: {reason}; the file is truncated, damaged or being written"
            ) from None

    def members(self, path: Any = "") -> tuple[str, ...]:
        """Names inside the group ``path``; empty for a dataset."""
        node = self._node(path)
        with self._guard(f"members of {_label(path) or '/'}"):
            # A name that is not UTF-8 comes as bytes, and no format has such a member.
            return tuple(n for n in node if isinstance(n, str)) if isinstance(node, h5py.Group) else ()

    def has(self, path: str) -> bool:
        """Whether there is something at ``path``."""
        parent, _, name = path.rpartition("/")
        return (not parent or self.has(parent)) and name in self.members(parent)

    def attribute(self, name: str, path: Any = "") -> Any:
        """Attribute ``name`` of the object at ``path`` as a number or text; None when absent."""
        node = self._node(path)
        with self._guard(f"attribute {_label(path)}@{name}"):
            if name not in node.attrs:
                return None
            handle = node.attrs.get_id(name)
            self._budget.take(f"{_label(path)}@{name}", handle.shape, handle.dtype.itemsize)
            text = h5py.check_string_dtype(handle.dtype) is not None  # of variable length: no longer than the file
            if (handle.dtype.kind not in "biufS" and not text) or handle.shape not in ((), (1,)):
                raise FormatError(f"{self._path}: {_label(path)}@{name}: expected a number or text, got {handle.dtype}")
            value = np.asarray(node.attrs[name]).reshape(-1)[0]
            if isinstance(value, (bytes, str)):
                return value.decode("utf-8") if isinstance(value, bytes) else value
            return value.item()

    def shape(self, path: Any) -> tuple[int, ...]:
        """Shape of the dataset at ``path``."""
        return tuple(int(n) for n in self._dataset(path).shape)

    def array(self, path: Any, rows: Any = None) -> NDArray[Any]:
        """Values of the dataset at ``path``; ``rows`` picks along its first axis and reads nothing else."""
        node = self._dataset(path)
        dtype = _plain_dtype(node.dtype)
        if dtype is None:
            raise FormatError(f"{self._path}: {_label(path)}: expected numbers, got data type {node.dtype}")
        shape = tuple(node.shape)
        picked = shape if rows is None or not shape else (len(rows), *shape[1:])
        self._budget.take(_label(path), picked, dtype.itemsize)
        with self._guard(f"values of {_label(path)}"):
            if rows is None:
                values = np.asarray(node[()])
            else:
                values = np.empty(picked, node.dtype)
                for i, row in enumerate(rows):
                    values[i] = node[int(row)]
            return values.view(dtype) if node.dtype.kind == "V" else values

    def opened(self, path: Any) -> Any:
        """The object at ``path``, good as a path: opening takes longest."""
        return self._node(path)

    def references(self, path: Any) -> list[Any] | None:
        """What the dataset at ``path`` refers to (MATLAB's cells), each good as a path; None where it holds values.

        Names would take a search of the whole file for each.
        """
        node = self._node(path)
        if not isinstance(node, h5py.Dataset) or h5py.check_ref_dtype(node.dtype) is not h5py.Reference:
            return None
        node = self._dataset(path)
        self._budget.take(f"references of {_label(path)}", node.shape, 64)
        with self._guard(f"references of {_label(path)}"):
            return list(np.asarray(node[()]).ravel())

    def _node(self, path: Any) -> Any:
        """Object at ``path``, reached by hard links only, or by a reference, which cannot leave the file."""
        node: Any = self._file
        with self._guard(_label(path)):
            if isinstance(path, (h5py.Dataset, h5py.Group)):
                return path
            if isinstance(path, h5py.Reference):
                return node[path]
            for name in filter(None, path.split("/")):
                if not isinstance(node, h5py.Group) or name not in node:
                    raise FormatError(f"{self._path}: expected {path}, which the file lacks")
                link = node.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise FormatError(
                        f"{self._path}: {_label(path)}: expected data in this file, got a {type(link).__name__}"
                    )
                node = node[name]
        return node

    def _dataset(self, path: Any) -> Any:
        node = self._node(path)
        if not isinstance(node, h5py.Dataset):
            raise FormatError(f"{self._path}: {_label(path)}: expected a dataset, got a {type(node).__name__.lower()}")
        with self._guard(_label(path)):
            if node.is_virtual or node.external or node.shape is None:
                raise FormatError(
                    f"{self._path}: {_label(path)}: expected data in this file, got virtual or external storage"
                )
            item = node.dtype.itemsize
            self._budget.check(_label(path), node.shape, item)
            if node.chunks:
                self._budget.check(f"{_label(path)}: one chunk", node.chunks, item)
            plan = node.id.get_create_plist()
            used = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
            if not used <= _FILTERS:
                raise FormatError(
                    f"{self._path}: {_label(path)}: expected built-in filters, got numbers {sorted(used)}"
                )
        return node


def _plain_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Type of plain values: itself, complex for a pair of equal floats, None for anything else."""
    if dtype.kind in "biufcS":
        return dtype
    pairs = (("real", "imag"), ("r", "i"))
    if dtype.names in pairs and dtype[0] == dtype[1] and dtype[0].kind == "f" and dtype[0].itemsize in (4, 8):
        return np.dtype(f"c{2 * dtype[0].itemsize}").newbyteorder(dtype[0].byteorder)
    return None


def _label(path: Any) -> str:
    """A path for messages; objects have no names that are quickly found."""
    return path if isinstance(path, str) else "a value in a cell or structure"
