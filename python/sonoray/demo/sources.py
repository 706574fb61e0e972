"""Where the demo's data come from: data folder, cache, or a download."""

from pathlib import Path

from .. import datasets
from ..errors import Error
from .report import NoDataError


def dataset_file(name: str, offline: bool) -> Path:
    """Path of a public set: data folder, cache, or a download; NoDataError says why there is none."""
    here = datasets.find(name)
    if here is not None:
        return here
    if offline:
        raise NoDataError(f"{name} is neither in a data folder (SONORAY_DATA) nor in the cache; --offline was given")
    try:
        return datasets.get(name)
    except (Error, OSError) as error:
        raise NoDataError(f"{name} is neither in a data folder (SONORAY_DATA) nor in the cache: {error}") from error
