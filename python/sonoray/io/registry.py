"""Which file formats can be read, and how a new one is added.

A format is a module in ``sonoray/io/formats`` with one object ``FORMAT``; dropping the file there is all it takes::

    def sniff(file: Opened) -> bool:            # cheap; looks at names and headers, never at the extension alone
        return file.container is not None and "my_data" in file.container.members()

    def read(file: Opened, *, sound_speed: float | None = None) -> ChannelData:   # options are keyword-only
        ...

    FORMAT = Format("my-format", "one line for people", sniff, read)

A fifth argument ``write``, a function of a path, the data and keyword options, makes `sonoray.write` take
``format="my-format"``. A package of your own calls `register` with such an object instead.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, Error, FormatError
from ._container import Container, header_of


@dataclass(frozen=True)
class Opened:
    """A file that is being looked at.

    Parameters
    ----------
    path : Path
    header : bytes
        The first kilobyte.
    container : Container or None
        Its variables, when it is a MATLAB or HDF5 file.
    """

    path: Path
    header: bytes
    container: Container | None

    @property
    def contents(self) -> Container:
        """The container; FormatError when the file is of another kind."""
        if self.container is None:
            raise FormatError(
                f"{self.path}: expected a MATLAB (5 or 7.3) or HDF5 file, got one that starts with {self.header[:8]!r}"
            )
        return self.container


@dataclass(frozen=True)
class Format:
    """A file format: how to recognise it, how to read it and, for some, how to write it.

    Parameters
    ----------
    name : str
        What ``read(path, format=name)`` takes.
    description : str
    sniff : function of an `Opened`, returns bool
    read : function of an `Opened` and keyword options
    write : function of a path, the data and keyword options, optional
    holds_rf : function of an `Opened`, returns bool, optional
        Whether an image in the file is RF, which is to be detected before it is shown.
    """

    name: str
    description: str
    sniff: Callable[[Opened], bool]
    read: Callable[..., Any]
    write: Callable[..., None] | None = None
    holds_rf: Callable[[Opened], bool] | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword options of ``read``."""
        return keywords(self.read)


def keywords(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the keyword-only arguments of a function."""
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY)


def check_options(name: str, known: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse an option that format ``name`` does not have."""
    for option in options:
        if option not in known:
            raise ArgumentError(
                f"{option}: expected an option of format {name!r} ({', '.join(known) or 'none'}), got {option!r}"
            )


_FORMATS: dict[str, Format] = {}


def register(new: Format) -> None:
    """Add a format; a second one of the same name is refused."""
    if new.name in _FORMATS:
        raise ArgumentError(f"format: {new.name!r} is registered already")
    _FORMATS[new.name] = new


def formats() -> dict[str, Format]:
    """Every known format by name."""
    if not _FORMATS:
        package = importlib.import_module(".formats", __package__)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                register(importlib.import_module(f"{package.__name__}.{module.name}").FORMAT)
    return dict(_FORMATS)


@contextmanager
def opened(path: Any) -> Iterator[Opened]:
    """Open ``path`` for sniffing and reading; whatever a reader trips over inside is a FormatError."""
    path = Path(path)
    header = header_of(path)
    # Damaged numbers are refused by checks; NumPy need not warn of them besides.
    with ExitStack() as stack, np.errstate(all="ignore"):
        container = stack.enter_context(Container(path, header)) if Container.fits(header) else None
        try:
            yield Opened(path, header, container)
        except Error:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise FormatError(f"{path}: expected values of its format, got some that make no sense: {error}") from error


def identify(file: Opened) -> Format:
    """The format of an opened file, by its content."""
    matches = [f for f in formats().values() if f.sniff(file)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(f.name for f in matches)
        raise FormatError(f"{file.path}: expected one format, got several that fit: {names}; choose with format=")
    if file.container is not None:
        found = f"variables {', '.join(file.container.members()[:12]) or '(none)'}"
    else:
        found = f"a file that starts with {file.header[:8]!r}"
    raise FormatError(
        f"{file.path}: expected one of the formats {', '.join(formats())}, got {found}; "
        "see sonoray.io.formats() for what each one is, sonoray.io.register to add one"
    )


def read(path: Any, *, format: str | None = None, **options: Any) -> Any:
    """Read a file of any known format, recognised by its content.

    Parameters
    ----------
    path : str or path-like
    format : str, optional
        Name of the format (see `sonoray.io.formats`) instead of looking.
    **options
        Of the format's reader, above all facts that a file lacks or has wrong: ``sound_speed`` [m/s],
        ``start_time`` [s], ``center_frequency`` [Hz], …

    Returns
    -------
    ChannelData, ScanLines, Medium, FlowImages or (array, grid)
        What the file holds.

    Raises
    ------
    FormatError
        The file is not what it should be; the message names the file, what was expected and what was found.
    FileNotFoundError
    ArgumentError
        An option that the format does not have, or with a value out of range.

    Examples
    --------
    >>> import numpy as np, sonoray, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "water.h5"
    >>> grid = sonoray.Grid((3, 4), 1e-3, (0.0, 0.0))
    >>> sonoray.write(path, sonoray.Medium(grid, 1480.0))
    >>> float(sonoray.read(path).sound_speed.max())
    1480.0
    """
    with opened(path) as file:
        chosen = identify(file) if format is None else formats().get(format)
        if chosen is None:
            raise ArgumentError(f"format: expected one of {', '.join(formats())}, got {format!r}")
        check_options(chosen.name, chosen.options, options)
        return chosen.read(file, **options)
