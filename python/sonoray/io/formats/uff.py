"""UFF, the Ultrasound File Format of the USTB: HDF5 with an object per group and its class as an attribute."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import scalar
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import ArgumentError, FormatError
from ...media.grids import Grid, SectorGrid
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import even_axis, given
from ._probe_shapes import given_kind, shaped, with_kind
from ._uff_writing import BEHIND, write

_VERSIONS = re.compile(r"v1\.[012]\.\d")
_KINDS = {"linear_array": "linear", "curvilinear_array": "curvilinear", "matrix_array": "matrix"}
_PLANE, _SPHERICAL, _PHOTOACOUSTIC = 0, 1, 2
_STA = 7  # uff.window.sta: the element nearest to the apodization's origin


def sniff(file: Opened) -> bool:
    """A version, and an object of a class ``uff.*``."""
    try:
        return file.container is not None and bool(_objects(file.container))
    except FormatError:  # attributes of other kinds
        return False


def _objects(file: Container) -> dict[str, str]:
    """Classes of the objects at the top of the file, without ``uff.``."""
    if file.attribute("version") is None:
        return {}
    classes = {name: str(file.attribute("class", name)) for name in file.members()}
    return {name: kind[4:] for name, kind in classes.items() if kind.startswith("uff.")}


def read(
    file: Opened,
    *,
    name: str | None = None,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    kind: str | None = None,
) -> ChannelData | tuple[NDArray[Any], Any]:
    """Read channel data (``uff.channel_data``) or an image (``uff.beamformed_data``) of the USTB.

    Conventions (USTB's `+midprocess/das.m` and `+uff/*.m`, whose beamformer defines them): ``data`` is (samples,
    channels, waves, frames) in MATLAB's order, complex ones split into ``real`` and ``imag``. Sample n of wave i is at
    ``initial_time + delay_i + n / sampling_frequency``, counted from when the wave passes the coordinate origin; a
    wave's own ``origin`` is not used there and not here. A source is (distance, azimuth, elevation); at infinite
    distance it is the *direction* of a plane wave; deeper than -1 mm it is behind the array and the wave diverges:
    arrival (|p - s| - |s|) / c; any other is a focus: arrival (±|p - s| + |s|) / c. A source on an element (or window
    ``sta``) is that element's shot, and time is counted from its firing. I/Q means a(t) exp(-2 pi i f t) with t
    without ``delay``: its phase is moved to the time used here. Of apodizations only ``apodization_vector`` and
    ``sta`` say which elements fired; windows with an f-number are not applied.

    Parameters
    ----------
    name : str, optional
        Of the object, when the file holds several; default the first channel data, else the first image.
    sound_speed : float, optional [m/s]
        Instead of the file's; needed when its waves assume another one than its channel data.
    center_frequency : float, optional [Hz]
        Instead of ``pulse.center_frequency``.
    kind : str, optional
        Of the probe (see `Probe`), instead of what the file tells: its class; USTB keeps phased arrays as
        ``uff.linear_array``, so that a pitch up to 0.6 wavelengths and waves that leave the aperture's width, or a
        sector scan in the file, make a phased one.

    References
    ----------
    .. [1] A. Rodriguez-Molares et al., The UltraSound ToolBox, IEEE IUS 2017; https://www.ustb.no.
    .. [2] O. M. H. Rindal et al., A simple, artifact-free, virtual source model, IEEE IUS 2018.
    """
    c, fc = given("sound_speed", sound_speed), given("center_frequency", center_frequency)
    label = given_kind(kind)
    contents = file.contents
    version = str(contents.attribute("version"))
    if not _VERSIONS.fullmatch(version.rstrip("\0")):
        raise FormatError(f"{file.path}: version: expected UFF v1.0 to v1.2, got {version!r}")
    readers: dict[str, Callable[[], Any]] = {
        "channel_data": lambda: _channel_data(contents, name or found["channel_data"], (c, fc), label),
        "beamformed_data": lambda: _beamformed_data(contents, name or found["beamformed_data"]),
    }
    classes = _objects(contents)
    found = {kind: label for label, kind in reversed(classes.items())}
    wanted = classes.get(name, "") if name is not None else next((k for k in readers if k in found), "")
    if name is not None and name not in classes:
        raise ArgumentError(f"name: expected one of the file's objects ({', '.join(classes)}), got {name!r}")
    if wanted not in readers:
        listed = ", ".join(f"{label} ({kind})" for label, kind in classes.items())
        raise FormatError(f"{file.path}: expected uff.channel_data or uff.beamformed_data, got {listed}")
    with naming(file.path):
        return readers[wanted]()


def _values(file: Container, path: str) -> NDArray[Any]:
    """Array at ``path`` with HDF5's axes, which are MATLAB's reversed; complex where it is split in two."""
    if not file.has(f"{path}/real"):
        values = file.array(path)
        if file.attribute("class", path) == "int16" and values.dtype.kind == "f" and (np.abs(values) < 2**15).all():
            whole = values.astype(np.int16)  # USTB stores them as single
            return whole if (whole == values).all() else values
        return values
    real, imag = file.array(f"{path}/real"), file.array(f"{path}/imag")
    if real.shape != imag.shape or real.dtype.kind not in "iuf" or imag.dtype.kind not in "iuf":
        raise FormatError(f"{file.path}: {path}: expected real and imag of one shape, got {real.shape}, {imag.shape}")
    values = np.empty(real.shape, np.complex64)
    with np.errstate(over="ignore"):
        values.real, values.imag = real, imag
    return values


def _four_axes(file: Container, path: str, values: NDArray[Any]) -> NDArray[Any]:
    """MATLAB drops trailing axes of length one, which lead here."""
    if values.ndim > 4 or 0 in values.shape or values.dtype.kind not in "iufc":
        raise FormatError(f"{file.path}: {path}: expected numbers along up to four axes, got shape {values.shape}")
    return values.reshape((1,) * (4 - values.ndim) + values.shape)


def _channel_data(file: Container, name: str, told: tuple[float | None, float | None], kind: str | None) -> ChannelData:
    c, fc = told
    samples = _four_axes(file, f"{name}/data", _values(file, f"{name}/data"))
    probe = _probe(file, f"{name}/probe", name)
    speed = c or file.number(f"{name}/sound_speed", 1540.0)
    sequence = f"{name}/sequence"
    waves = [sequence]
    if file.attribute("array", sequence):
        waves = _numbered(file, sequence)
    if len(waves) != samples.shape[1]:
        raise FormatError(f"{file.path}: {sequence}: expected {samples.shape[1]} waves, got {len(waves)}")
    scalar("sound_speed", speed, 300.0, 12000.0, "m/s")
    pairs = [_wave(file, wave, probe, speed, c is None) for wave in waves]
    shifts = np.array([shift for _, shift in pairs])
    frequency = file.number(f"{name}/modulation_frequency", 0.0)
    if samples.dtype.kind == "c":
        if frequency < 0:  # demodulated with the other sign
            samples, frequency = samples.conj(), -frequency
        samples = samples * np.exp(-2j * np.pi * frequency * shifts).astype(np.complex64)[:, None, None]
    elif frequency:
        raise FormatError(f"{file.path}: {name}/data: expected complex samples at modulation_frequency {frequency:g}")
    if samples.dtype not in (np.int16, np.float32, np.complex64):
        samples = samples.astype(np.float32)
    center = fc or file.number(f"{name}/pulse/center_frequency", frequency)
    transmits = tuple(wave for wave, _ in pairs)
    sector = "sector_scan" in _objects(file).values()
    return ChannelData(
        samples,
        with_kind(probe, transmits, speed / center if center > 0 else 0.0, kind, sector=sector),
        transmits,
        float(f"{file.number(f'{name}/sampling_frequency'):.9g}"),
        demodulation_frequency=frequency,
        center_frequency=center,
        start_time=file.number(f"{name}/initial_time") + shifts,
        sound_speed=speed,
        frame_rate=file.number(f"{name}/PRF", 0.0) / len(waves),
    )


def _numbered(file: Container, path: str) -> list[str]:
    """Members of an array of objects, ``<name>_0001`` and so on, in the order of their numbers."""
    found = {int(m[1]): n for n in file.members(path) if (m := re.fullmatch(r".*_(\d{4,9})", n))}
    if sorted(found) != list(range(1, len(found) + 1)):
        raise FormatError(f"{file.path}: {path}: expected members numbered from 0001, got {sorted(found)[:8]}")
    return [f"{path}/{found[i]}" for i in sorted(found)]


def _probe(file: Container, path: str, data: str) -> Probe:
    geometry = np.asarray(file.array(f"{path}/geometry"), np.float64).T
    if geometry.ndim != 2 or not 3 <= geometry.shape[1] <= 7 or not len(geometry):
        raise FormatError(f"{file.path}: {path}/geometry: expected (elements, 7), got {geometry.shape}")
    theta, phi, width, height = np.pad(geometry, ((0, 0), (0, 7 - geometry.shape[1])))[:, 3:].T
    normals = np.stack([np.sin(theta) * np.cos(phi), np.sin(phi), np.cos(theta) * np.cos(phi)], axis=1)
    fc = file.number(f"{data}/pulse/center_frequency", 0.0)
    fraction = file.number(f"{data}/pulse/fractional_bandwidth", 0.0)
    kind = _KINDS.get(str(file.attribute("class", path)).removeprefix("uff."))
    if kind is None:  # a class that does not say; angles of zero may mean that nobody set them
        kind, radii = shaped(geometry[:, :3])
        normals = normals if theta.any() or phi.any() or radii is None else radii
    return Probe(
        geometry[:, :3],
        normals,
        kind=kind,
        width=float(np.median(width)),
        height=float(np.median(height)),
        center_frequency=fc,
        bandwidth=fc * (fraction if fraction <= 2 else fraction / 100),  # both fractions and percent are in use
    )


def _point(file: Container, path: str) -> tuple[float, NDArray[np.float64]]:
    """Distance [m] and unit vector of a ``uff.point``."""
    distance, azimuth, elevation = (file.number(f"{path}/{n}", 0.0) for n in ("distance", "azimuth", "elevation"))
    if not (distance >= 0 and np.isfinite([azimuth, elevation]).all()):
        raise FormatError(f"{file.path}: {path}: expected a distance and finite angles, got {distance}, {azimuth}")
    across = np.cos(elevation)
    return distance, np.array([np.sin(azimuth) * across, np.sin(elevation), np.cos(azimuth) * across])


def _wave(file: Container, path: str, probe: Probe, c: float, strict: bool) -> tuple[Transmit, float]:
    """The transmit, and what to add to ``initial_time`` [s]."""
    assumed = file.number(f"{path}/sound_speed", 1540.0)
    if strict and abs(assumed - c) > 1e-4 * c:
        raise FormatError(
            f"{file.path}: {path}/sound_speed: expected the {c:g} m/s of the channel data, got {assumed:g}; "
            "pass the right one as sound_speed="
        )
    delay = file.number(f"{path}/delay", 0.0)
    distance, unit = _point(file, f"{path}/source")
    wavefront = file.number(f"{path}/wavefront", float(_SPHERICAL))
    apodization = f"{path}/apodization"
    weights = None
    if file.has(f"{apodization}/apodization_vector"):
        weights = file.numbers(f"{apodization}/apodization_vector")
        weights = None if (weights == 1).all() and len(weights) == probe.n_elements else weights
    if wavefront == _PHOTOACOUSTIC or wavefront not in (_PLANE, _SPHERICAL):
        raise FormatError(f"{file.path}: {path}/wavefront: expected a plane or spherical wave, got {wavefront:g}")
    if wavefront == _PLANE or np.isinf(distance):
        return Transmit("plane", direction=unit, apodization=weights), delay
    source = distance * unit
    element = _element(file, apodization, source, probe)
    passes = distance / c  # USTB adds it for a focus, and takes it off for a source behind the array
    if element is not None:
        position = probe.positions[element]
        return Transmit.single(element), delay - np.copysign(passes, 0.5 if position[2] >= BEHIND else -0.5)
    if source[2] < BEHIND:
        return Transmit.diverging(source, apodization=weights), delay
    if source[2] <= 0:
        return Transmit.diverging(source, apodization=weights), delay - 2 * passes
    return Transmit.focused(source, apodization=weights), delay


def _element(file: Container, path: str, source: NDArray[np.float64], probe: Probe) -> int | None:
    """The single element that fired, if one did."""
    away = np.linalg.norm(probe.positions - source, axis=1)
    nearest = int(away.argmin())
    on_element = away[nearest] < max(0.05 * probe.pitch, 1e-6)
    if on_element or file.number(f"{path}/window", 0.0) == _STA:
        if not on_element:
            raise FormatError(f"{file.path}: {path}: expected window sta with its source on an element, got {source}")
        return nearest
    return None


def _beamformed_data(file: Container, name: str) -> tuple[NDArray[Any], Any]:
    """Image (…, *grid.shape): frames, waves and channels lead where there are several of them."""
    values = _four_axes(file, f"{name}/data", _values(file, f"{name}/data"))
    grid = _scan(file, f"{name}/scan")
    if values.shape[-1] != grid.size:
        raise FormatError(f"{file.path}: {name}/data: expected {grid.size} pixels of its scan, got {values.shape[-1]}")
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    return values.reshape(*(n for n in values.shape[:-1] if n > 1), *grid.shape), grid


def _scan(file: Container, path: str) -> Grid | SectorGrid:
    kind = file.attribute("class", path)
    if kind == "uff.linear_scan" and not file.has(f"{path}/transform/rotation"):
        if file.has(f"{path}/y_axis") and file.numbers(f"{path}/y_axis").any():
            raise FormatError(f"{file.path}: {path}: expected a scan in the plane y = 0, got another y_axis")
        x, z = (even_axis(file, f"{path}/{axis}_axis") for axis in "xz")
        return Grid((x[2], z[2]), (x[1], z[1]), (x[0], z[0]))
    if kind == "uff.sector_scan":
        apex = next((n for n in ("origin", "apex") if file.has(f"{path}/{n}")), None)
        if apex and file.attribute("array", f"{path}/{apex}"):
            raise FormatError(f"{file.path}: {path}: expected one origin of the sector, got one per line")
        distance, unit = _point(file, f"{path}/{apex}") if apex else (0.0, np.zeros(3))
        ranges, angles = (file.numbers(f"{path}/{n}_axis") for n in ("depth", "azimuth"))
        return SectorGrid(ranges, angles, tuple((distance * unit).tolist()))  # type: ignore[arg-type]
    raise FormatError(f"{file.path}: {path}: expected a linear_scan or a sector_scan, got {kind}")


FORMAT = Format("uff", "UFF (USTB) HDF5: uff.channel_data or uff.beamformed_data", sniff, read, write)
