"""Probes that are sold, by name: public specifications, and where each was found (probe_presets.toml)."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .probes import Probe

_FILE = Path(__file__).with_name("probe_presets.toml")
SOURCES = {
    "MUST": "getparam of the MATLAB UltraSound Toolbox (www.biomecardio.com/MUST), quoting the manufacturers",
    "PICMUS": "H. Liebgott et al., Plane-wave imaging challenge in medical ultrasound, IEEE IUS 2016",
    "ARRUS": "probe definitions of us4us ARRUS (github.com/us4useu/arrus)",
    "Vantage": "array specifications of the Verasonics Vantage system, as quoted in public research code",
}


@dataclass(frozen=True)
class ProbePreset:
    """Specification of a probe.

    Parameters
    ----------
    name, maker : str
    kind : {"linear", "phased", "curvilinear"}
    n_elements : int
    pitch : float [m]
    center_frequency, bandwidth : float [Hz]
    width, height : float [m]
        0 where no source states it.
    elevation_focus : float [m]
        Depth of the lens's focus; 0 where no source states it.
    radius : float [m]
        Of a curvilinear probe.
    source : str
        Where the figures come from, one of `SOURCES`.
    """

    name: str
    maker: str
    kind: str
    n_elements: int
    pitch: float
    center_frequency: float
    bandwidth: float
    width: float = 0.0
    height: float = 0.0
    elevation_focus: float = 0.0
    radius: float = 0.0
    source: str = ""

    def probe(self) -> Probe:
        """Return the probe; elements of unknown width fill 90 % of the pitch."""
        options: dict[str, Any] = {
            "width": self.width or 0.9 * self.pitch,
            "height": self.height,
            "center_frequency": self.center_frequency,
            "bandwidth": self.bandwidth,
            "name": self.name,
        }
        if self.kind == "curvilinear":
            return Probe.curvilinear(self.n_elements, self.pitch, self.radius, **options)
        make = Probe.phased if self.kind == "phased" else Probe.linear
        return make(self.n_elements, self.pitch, **options)


@lru_cache(maxsize=1)
def probe_presets() -> dict[str, ProbePreset]:
    """Specifications that ship, by name."""
    tables = tomllib.loads(_FILE.read_text())
    return {name: ProbePreset(name, **values) for name, values in tables.items()}


def preset_probe(name: str) -> Probe:
    """Return a probe that is sold; `Probe.preset` is the same.

    Parameters
    ----------
    name : str
        A name of `probe_presets`, in any case: "L11-5v", "C5-2v", ...

    Raises
    ------
    ArgumentError
        An unknown name.

    Examples
    --------
    >>> preset_probe("L11-5v")
    Probe(linear, 128 elements, pitch 0.0003 m)
    """
    presets = {known.lower(): preset for known, preset in probe_presets().items()}
    found = presets.get(str(name).lower())
    if found is None:
        raise ArgumentError(f"probe: expected {', '.join(probe_presets())}, got {name!r}")
    return found.probe()
