"""What several commands do with files: read what they need, refuse what they can't write."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import sonoray
from sonoray.acquisition.scan_lines import ScanLines
from sonoray.io import read


def kind(found: Any) -> str:
    return "a beamformed image" if isinstance(found, tuple) else type(found).__name__


def channel_data(path: Path) -> sonoray.ChannelData:
    return cast(sonoray.ChannelData, _one_of(path, sonoray.ChannelData, "channel data"))


def echoes(path: Path) -> sonoray.ChannelData | ScanLines:
    """Channel data, or lines that a scanner beamformed."""
    return cast(sonoray.ChannelData | ScanLines, _one_of(path, (sonoray.ChannelData, ScanLines), "channel data"))


def medium_of(path: Path | None) -> sonoray.Medium | None:
    return None if path is None else cast(sonoray.Medium, _one_of(path, sonoray.Medium, "a sound-speed map (Medium)"))


def _one_of(path: Path, kinds: Any, wanted: str) -> Any:
    found = read(path)
    if not isinstance(found, kinds):
        raise sonoray.FormatError(f"{path}: expected {wanted}, found {kind(found)}")
    return found


def check_output(path: Path, endings: tuple[str, ...], inputs: Iterable[Path | None] = ()) -> None:
    """Refuse, before any work is done, a name or a folder that the result could not be written to, or an input."""
    for given in inputs:
        if given is not None and given.exists() and path.exists() and path.samefile(given):
            raise sonoray.ArgumentError(f"output: expected another file than the input, got {path} for both")
    if path.suffix.lower() not in endings:
        named = ", ".join(".nii.gz" if ending == ".gz" else ending for ending in endings)
        raise sonoray.ArgumentError(f"output: expected a name ending in {named}, got {path.name!r}")
    if path.is_dir() and "" not in endings:  # a name without an ending is a folder's
        raise sonoray.ArgumentError(f"output: expected a file, got the folder {path}")
    check_folder(path.absolute().parent)


def check_folder(folder: Path) -> None:
    """Refuse, before any work is done, a folder in which no file can be made; nothing stays in it."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions alone say little of file systems without files
            pass
    except OSError:
        raise sonoray.ArgumentError(f"output: expected a folder that can be written to, got {folder}") from None
