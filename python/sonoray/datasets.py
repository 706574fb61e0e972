"""Public data sets: where they are, and copies in the user's cache on request.

Nothing is downloaded unless `get` is called. A data folder — environment variable ``SONORAY_DATA``, else
``../shared/data`` where that exists — is looked at first; it holds one folder per set with the files below it.
"""

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .errors import ArgumentError, DownloadError, MissingExtraError

_ORIGIN = "https://raw.githubusercontent.com"
_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class DataFile:
    """One file of a set: name in the data folder, bytes, SHA-256 and address at the public origin."""

    name: str
    size: int
    sha256: str
    url: str


@dataclass(frozen=True)
class Dataset:
    """A public data set.

    Parameters
    ----------
    name, description, licence : str
    origin : str
        Address of the repository at the commit that the files are taken from.
    files : tuple of DataFile
        The first is the main one.
    """

    name: str
    description: str
    licence: str
    origin: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(f.size for f in self.files)


@cache
def _registry() -> dict[str, Dataset]:
    with open(Path(__file__).with_suffix(".toml"), "rb") as file:
        table = tomllib.load(file)
    return {name: _dataset(name, entry) for name, entry in table.items()}


def _dataset(name: str, entry: dict[str, Any]) -> Dataset:
    repository, commit = entry["repository"], entry["commit"]
    files = tuple(
        DataFile(file, size, sha256, f"{_ORIGIN}/{repository}/{commit}/{quote(path)}")
        for file, size, sha256, path in entry["files"]
    )
    origin = f"https://github.com/{repository}/tree/{commit}"
    return Dataset(name, entry["description"], entry["licence"], origin, files)


def available() -> tuple[Dataset, ...]:
    """Every registered data set.

    Examples
    --------
    >>> any(d.name == "must-rotating-disk" for d in available())
    True
    """
    return tuple(_registry().values())


def _lookup(name: str) -> tuple[Dataset, tuple[DataFile, ...]]:
    """The set, and the files that ``name`` means: all of "set", one of "set/file"."""
    folder, _, wanted = str(name).partition("/")
    if folder not in _registry():
        raise ArgumentError(f"name: expected one of {', '.join(_registry())}, got {name!r}")
    dataset = _registry()[folder]
    files = tuple(f for f in dataset.files if wanted in ("", f.name))
    if not files:
        names = ", ".join(f.name for f in dataset.files[:8]) + (", …" if len(dataset.files) > 8 else "")
        raise ArgumentError(f"name: expected a file of {folder} ({names}), got {wanted!r}")
    return dataset, files


def cache_folder() -> Path:
    """The user's cache of sonoray; it need not exist yet. As pooch has it: XDG_CACHE_HOME, else ~/.cache."""
    try:
        import pooch
    except ImportError:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonoray"
    return Path(pooch.os_cache("sonoray"))


def folders() -> list[Path]:
    """Folders that are looked at, in this order: the data folder, then the user's cache; those that exist."""
    named = os.environ.get("SONORAY_DATA")
    places = [Path(named) if named else Path("../shared/data"), cache_folder()]
    return [p for p in places if p.is_dir()]


def find(name: str) -> Path | None:
    """Path of a data set that is on this machine; never downloads.

    Parameters
    ----------
    name : str
        "set" for its main file, or "set/file".

    Returns
    -------
    Path or None
        None when the file is neither in the data folder nor in the cache, or has the wrong size.

    Raises
    ------
    ArgumentError
        No such set or file in the registry.
    """
    dataset, files = _lookup(name)
    for folder in folders():
        path = folder / dataset.name / files[0].name
        if path.is_file() and path.stat().st_size == files[0].size:
            return path
    return None


def get(name: str, *, progress: bool = True) -> Path:
    """Path of a data set, downloaded from its public origin into the user's cache unless it is here already.

    Parameters
    ----------
    name : str
        "set" for all its files (the path of the main one is returned), or "set/file" for one.
    progress : bool
        Show a bar if tqdm is installed.

    Returns
    -------
    Path

    Raises
    ------
    ArgumentError
        No such set or file in the registry.
    DownloadError
        No connection, an HTTP error, or other bytes than expected; nothing incomplete is left behind.
    MissingExtraError
        A download is needed and pooch is not installed.
    """
    dataset, files = _lookup(name)
    paths = [find(f"{dataset.name}/{f.name}") or _download(dataset, f, progress) for f in files]
    return paths[0]


def _download(dataset: Dataset, file: DataFile, progress: bool) -> Path:
    try:
        import pooch
    except ImportError:
        raise MissingExtraError("downloads need pooch: pip install 'sonoray[data]'") from None
    target = Path(pooch.os_cache("sonoray")) / dataset.name
    with _quiet(pooch):
        try:
            downloader = pooch.HTTPDownloader(progressbar=progress and _has_tqdm(), timeout=_TIMEOUT)
            return Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", file.name, target, downloader=downloader))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
            reason = " ".join(str(error).split())
            raise DownloadError(
                f"{dataset.name}/{file.name}: expected {file.size} bytes from {file.url}, got: {reason}; "
                "try again later, or point SONORAY_DATA at a folder that holds the file"
            ) from error


def _has_tqdm() -> bool:
    from importlib.util import find_spec

    return find_spec("tqdm") is not None


@contextmanager
def _quiet(pooch: Any) -> Iterator[None]:
    """Without pooch's messages, which go to the terminal."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)
