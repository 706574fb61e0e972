"""Presets: settings of B-mode and Doppler by what is looked at, from the package or from a file of one's own."""

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from .._checks import count, option, scalar
from ..errors import ArgumentError, FormatError
from ..imaging.color_overlay import POWER_MAPS, VELOCITY_MAPS
from ..imaging.named_filters import named_wall_filter
from .receive_aperture import window_plan

_FILE = Path(__file__).with_name("presets.toml")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class ImagingPreset:
    """Settings of one use.

    Parameters
    ----------
    name, description : str
    f_number : float
        Of the receive aperture; 0 uses every element everywhere.
    window : str
        Receive apodization, see `Beamformer`; not used where the f-number is 0.
    dynamic_range : float [dB]
    tgc : float [dB/m/MHz]
        Attenuation that `time_gain_compensation` makes up for; 0 for none.
    wall_filter : str
        See `named_wall_filter`.
    average : int
    threshold : float [dB]
    persistence : float
    color_map : str
        See `reconstruct_doppler`.

    Raises
    ------
    ArgumentError
        A value out of range or in another unit.
    """

    name: str
    description: str = ""
    f_number: float = 1.5
    window: str = "hann"
    dynamic_range: float = 60.0
    tgc: float = 0.0
    wall_filter: str = "poly:1"
    average: int = 5
    threshold: float = 6.0
    persistence: float = 0.0
    color_map: str = "flame"

    def __post_init__(self) -> None:
        scalar("f_number", self.f_number, 0.0, 20.0, "(ratio)")
        window_plan(self.window)
        scalar("dynamic_range", self.dynamic_range, 1.0, 300.0, "dB")
        scalar("tgc", self.tgc, 0.0, 2000.0, "dB/m/MHz")
        named_wall_filter(self.wall_filter)
        count("average", self.average, 1, 10_000)
        scalar("threshold", self.threshold, -100.0, 200.0, "dB")
        scalar("persistence", self.persistence, 0.0, 0.99, "(ratio)")
        option("color_map", self.color_map, VELOCITY_MAPS + POWER_MAPS)


def imaging_preset(name: Any) -> ImagingPreset:
    """Return a preset by name, or the one in a file.

    Parameters
    ----------
    name : str or path-like
        A name of `imaging_presets`; or a TOML file (its name ends in .toml) with one table whose keys are those of
        `ImagingPreset`. What it leaves out takes the default.

    Raises
    ------
    ArgumentError
        An unknown name; a value out of range.
    FormatError
        A file that is no such TOML.

    Examples
    --------
    >>> imaging_preset("vascular").wall_filter
    'iir:0.1'
    """
    if str(name).endswith(".toml"):
        found = _read(Path(name))
        if len(found) != 1:
            raise FormatError(f"{name}: expected one table with a preset, found {len(found)}")
        return next(iter(found.values()))
    presets = imaging_presets()
    if name not in presets:
        raise ArgumentError(f"preset: expected {', '.join(presets)} or a .toml file, got {name!r}")
    return presets[name]


@lru_cache(maxsize=1)
def imaging_presets() -> dict[str, ImagingPreset]:
    """Presets that ship, by name."""
    return _read(_FILE)


def _read(path: Path) -> dict[str, ImagingPreset]:
    found = {}
    for name, values in read_tables(path).items():
        known = {field.name for field in fields(ImagingPreset)} - {"name"}
        if set(values) - known:
            wrong = ", ".join(sorted(set(values) - known))
            raise FormatError(f"{path}: [{name}]: expected only {', '.join(sorted(known))}, found {wrong}")
        try:
            found[name] = ImagingPreset(name, **values)
        except (ArgumentError, TypeError) as error:
            raise FormatError(f"{path}: [{name}]: {error}") from None
    return found


def read_tables(path: Path) -> dict[str, dict[str, Any]]:
    """Tables of a small TOML file.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    FormatError
        No TOML, or something beside tables at its top; larger than a megabyte.
    """
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise FormatError(f"{path}: expected at most {_MOST_BYTES} bytes of TOML, found {len(content)}")
    try:
        tables = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: expected TOML: {error}") from None
    loose = [name for name, value in tables.items() if not isinstance(value, dict)]
    if loose:
        raise FormatError(f"{path}: expected tables such as [name], found {', '.join(loose)} outside of any")
    return tables
