"""zea's HDF5: ``data`` and ``scan``, at the root (older files) or in ``tracks/track_0`` (since 2026)."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..._checks import count, scalar
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import ArgumentError, FormatError
from ...media.grids import Grid
from ...media.medium import Medium
from .._container import Container, naming
from ..registry import Format, Opened
from ..writing import atomic
from ._facts import as_samples, given
from ._probe_shapes import given_kind, shaped, with_kind
from ._waves import pulse_peak, wave_of

_MAPS = ("image", "beamformed_data", "envelope_data", "sos_map")
_WAVEFORM_RATE = 250e6  # Hz


def sniff(file: Opened) -> bool:
    """Groups ``data`` and ``scan`` (or tracks of them) with one of zea's kinds of data."""
    if file.container is None or file.container.matlab:
        return False
    found = file.container
    if found.has("tracks/track_0/data"):
        return True
    return found.has("scan") and any(found.has(f"data/{name}") for name in ("raw_data", *_MAPS))


def read(
    file: Opened,
    *,
    track: int = 0,
    frame: int | None = None,
    name: str | None = None,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    peak_time: float | None = None,
    kind: str | None = None,
) -> ChannelData | Medium | tuple[NDArray[Any], Grid]:
    """Read raw channel data, or an image or map with coordinates, of the zea package.

    Conventions (zea's `data/spec.py` and `beamform/beamformer.py`): ``raw_data`` is (frames, transmits, samples,
    elements, 1 or 2), the last axis I and Q; ``t0_delays`` [s] are firing times, the first element's being zero;
    sample n is at ``initial_times + n / sampling_frequency`` on that clock. ``polar_angles`` turn a beam from +z
    towards +x, ``azimuth_angles`` around z, ``focus_distances`` count from ``transmit_origins`` (infinite or zero:
    no focus; behind the array negative; from 1 on older files mean wavelengths). Delays decide: a focus or plane that
    they confirm within 1 ns names the wave, others stay free delays. I/Q is mixed down from the first sample on; its
    phase is moved to time zero here. Normals have no place in the format: elements on a convex arc are a curvilinear
    probe that faces along its radii; of a line, a pitch up to 0.6 wavelengths and waves that leave the aperture's width
    make a phased one.

    Parameters
    ----------
    track : int
        Of a file with several.
    frame : int, optional
        Read only this one; default all.
    name : str, optional
        "raw_data", "image", "beamformed_data", "envelope_data" or "sos_map" (which gives a Medium); default the first
        of them that is there. Maps need Cartesian coordinates.
    sound_speed, center_frequency : float, optional
        Instead of ``sound_speed`` [m/s] (1540 where it is missing) and ``center_frequency`` [Hz].
    peak_time : float, optional [s]
        How long after firing the pulse peaks; default the peak of ``waveforms_two_way``, or 0 where there are none.
    kind : str, optional
        Of the probe (see `Probe`), instead of what its elements and waves tell.

    References
    ----------
    .. [1] zea: a toolbox for cognitive ultrasound imaging, https://github.com/tue-bmd/zea.
    """
    c, fc = given("sound_speed", sound_speed), given("center_frequency", center_frequency)
    peak, label = None if peak_time is None else scalar("peak_time", peak_time, 0.0, 1e-4, "s"), given_kind(kind)
    contents = file.contents
    root = ""
    if contents.has("tracks"):
        root = f"tracks/track_{count('track', track, 0, len(contents.members('tracks')) - 1)}/"
    elif count("track", track, 0, 0):
        raise ArgumentError("track: expected 0, the file has none")
    known = [n for n in ("raw_data", *_MAPS) if contents.has(f"{root}data/{n}")]
    if name is not None and name not in known:
        raise ArgumentError(f"name: expected one of {', '.join(known)}, got {name!r}")
    if not known:
        raise FormatError(f"{file.path}: {root}data: expected raw_data or one of {', '.join(_MAPS)}, got none of them")
    chosen = name or known[0]
    if frame is not None:
        path = f"{root}data/{chosen}" if chosen == "raw_data" else f"{root}data/{chosen}/values"
        frame = count("frame", frame, 0, contents.shape(path)[0] - 1)
    with naming(file.path):
        if chosen == "raw_data":
            return _raw_data(contents, root, frame, (c, fc, peak), label)
        return _map(contents, f"{root}data/{chosen}", frame)


def _rows(file: Container, path: str, frame: int | None) -> NDArray[Any]:
    return file.array(path, None if frame is None else np.array([frame]))


def _table(file: Container, path: str, shape: tuple[int, ...], default: float | None = None) -> NDArray[np.float64]:
    if not file.has(path) and default is not None:
        return np.full(shape, default)
    values = file.array(path)
    if values.dtype.kind not in "biuf" or values.size != np.prod(shape):
        raise FormatError(f"{file.path}: {path}: expected {shape} numbers, got {values.shape} {values.dtype}")
    return np.asarray(values, np.float64).reshape(shape)


def _raw_data(
    file: Container,
    root: str,
    frame: int | None,
    told: tuple[float | None, float | None, float | None],
    kind: str | None,
) -> ChannelData:
    c, fc, peak = told
    raw = _rows(file, f"{root}data/raw_data", frame)
    if raw.ndim != 5 or raw.shape[4] not in (1, 2) or 0 in raw.shape or raw.dtype.kind not in "iuf":
        raise FormatError(
            f"{file.path}: {root}data/raw_data: expected (frames, transmits, samples, elements, 1 or 2), got "
            f"{raw.shape} {raw.dtype}"
        )
    scan = f"{root}scan"
    n_tx, n_elements = raw.shape[1], raw.shape[3]
    speed = c or file.number(f"{scan}/sound_speed", 1540.0)
    fc = fc or _one(file, f"{scan}/center_frequency")
    probe = _probe(file, root, n_elements, fc)
    waves = _waves(file, scan, probe, (n_tx, n_elements), scalar("sound_speed", speed, 300.0, 12000.0, "m/s"), fc)
    late = np.array([shift for _, shift in waves])
    late += _peaks(file, scan, n_tx) if peak is None else peak
    start = _table(file, f"{scan}/initial_times", (n_tx,)) - late
    samples = as_samples(raw[..., 0] if raw.shape[4] == 1 else np.empty(raw.shape[:4], np.complex64)).swapaxes(2, 3)
    mixed = 0.0
    if raw.shape[4] == 2:
        mixed = _one(file, f"{scan}/demodulation_frequency", fc)
        samples.real, samples.imag = raw[..., 0].swapaxes(2, 3), raw[..., 1].swapaxes(2, 3)
        samples *= np.exp(-2j * np.pi * mixed * start).astype(np.complex64)[:, None, None]
    gaps = file.numbers(f"{scan}/time_to_next_transmit") if file.has(f"{scan}/time_to_next_transmit") else np.zeros(1)
    period = float(gaps.mean()) * n_tx
    return ChannelData(
        samples,
        with_kind(probe, [wave for wave, _ in waves], speed / fc if fc else 0.0, kind),
        tuple(wave for wave, _ in waves),
        file.number(f"{scan}/sampling_frequency"),
        demodulation_frequency=mixed,
        center_frequency=fc,
        start_time=start,
        sound_speed=speed,
        frame_rate=1 / period if 1e-6 < period < 1e3 else 0.0,
    )


def _one(file: Container, path: str, default: float | None = None) -> float:
    """A number that may be stored once or for every transmit."""
    if default is not None and not file.has(path):
        return default
    values = np.unique(file.numbers(path))
    if len(values) != 1:
        raise FormatError(f"{file.path}: {path}: expected one value for all transmits, got {len(values)}")
    return float(values[0])


def _probe(file: Container, root: str, n: int, fc: float) -> Probe:
    places = (f"{root}scan/probe_geometry", "probe/probe_geometry")
    place = next((p for p in places if file.has(p)), places[0])
    positions = _table(file, place, (n, 3))
    group = place.rpartition("/")[0]
    name = next((v for v in (file.attribute("probe_name"), file.attribute("probe")) if isinstance(v, str)), "")
    kind, normals = shaped(positions)
    return Probe(
        positions,
        normals,  # type: ignore[arg-type]
        kind=kind,
        width=file.number(f"{group}/element_width", 0.0),
        center_frequency=fc,
        bandwidth=fc * file.number(f"{group}/bandwidth_percent", 0.0) / 100,
        name=name,
    )


def _waves(
    file: Container, scan: str, probe: Probe, shape: tuple[int, int], c: float, fc: float
) -> list[tuple[Transmit, float]]:
    n_tx = shape[0]
    delays = _table(file, f"{scan}/t0_delays", shape)
    weights = _table(file, f"{scan}/tx_apodizations", shape, 1.0)
    distance = _table(file, f"{scan}/focus_distances", (n_tx,), np.inf)
    distance = np.where(np.isfinite(distance) & (np.abs(distance) >= 1), distance * c / max(fc, 1.0), distance)
    polar, azimuth = (_table(file, f"{scan}/{n}_angles", (n_tx,), 0.0) for n in ("polar", "azimuth"))
    origins = _table(file, f"{scan}/transmit_origins", (n_tx, 3), 0.0)
    across = np.sin(polar)
    unit = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.cos(polar)], axis=1)
    focus = origins + np.where(distance == 0, np.inf, distance)[:, None] * unit
    return [wave_of(d, w, probe, c, f) for d, w, f in zip(delays, weights, focus, strict=True)]


def _peaks(file: Container, scan: str, n_tx: int) -> NDArray[np.float64]:
    """When the two-way pulse of each transmit peaks [s]."""
    path = f"{scan}/waveforms_two_way"
    if not file.has(path):
        return np.zeros(n_tx)
    names = sorted(file.members(path))
    if names:
        pulses = [file.numbers(f"{path}/{n}") for n in names]
        which = _table(file, f"{scan}/tx_waveform_indices", (n_tx,), 0.0)
        if not ((which >= 0) & (which < len(pulses))).all():
            raise FormatError(f"{file.path}: {scan}/tx_waveform_indices: expected indices below {len(pulses)}")
        rows = [pulses[int(i)] for i in which]
    else:
        rows = list(np.atleast_2d(np.asarray(file.array(path), np.float64)))
        rows = rows * n_tx if len(rows) == 1 else rows
    if len(rows) != n_tx or any(not row.size for row in rows):
        raise FormatError(f"{file.path}: {path}: expected a pulse for each of {n_tx} transmits, got {len(rows)}")
    return np.array([pulse_peak(row, _WAVEFORM_RATE) for row in rows])


def _map(file: Container, path: str, frame: int | None) -> Medium | tuple[NDArray[Any], Grid]:
    if not file.members(path) or not file.has(f"{path}/coordinates"):
        raise FormatError(f"{file.path}: {path}: expected values with coordinates, got values without a place")
    values, where = _rows(file, f"{path}/values", frame), file.array(f"{path}/coordinates")
    if values.ndim > 3 and values.shape[-1] in (1, 2) and where.ndim in (values.ndim - 1, values.ndim):
        values = values[..., 0] if values.shape[-1] == 1 else values[..., 0] + 1j * values[..., 1]
    where = np.asarray(where[0] if where.ndim == 4 else where, np.float64)
    if where.shape != (*values.shape[-2:], 3) or values.ndim != 3 or min(where.shape[:2]) < 2:
        raise FormatError(
            f"{file.path}: {path}: expected values (frames, z, x) with their coordinates, got {values.shape} "
            f"and {where.shape}"
        )
    if np.ptp(where[:, 0, 0]) > np.ptp(where[0, :, 0]):
        where = where.swapaxes(0, 1)  # stored as (x, z)
    else:
        values = values.swapaxes(1, 2)
    x, z = where[0, :, 0], where[:, 0, 2]
    steps = ((x[-1] - x[0]) / (len(x) - 1), (z[-1] - z[0]) / (len(z) - 1))
    grid = Grid((len(x), len(z)), tuple(float(f"{h:.6g}") for h in steps), (float(x[0]), float(z[0])))
    if not np.allclose(where.swapaxes(0, 1), grid.points(), rtol=0, atol=0.01 * min(grid.spacing)):
        raise FormatError(f"{file.path}: {path}/coordinates: expected an even Cartesian grid in the plane y = 0")
    if path.endswith("sos_map"):
        if len(values) != 1:
            raise FormatError(f"{file.path}: {path}: expected one map, got {len(values)}; choose with frame=")
        return Medium(grid, values[0])
    return values, grid


def write(path: Any, data: Any, *, compress: bool = True) -> None:
    """Write channel data in zea's flat layout, which all its versions read.

    Parameters
    ----------
    path : str or path-like
    data : ChannelData
        Normals and heights of elements have no place in the format; `read` finds those of an arc.
    compress : bool
        Deflate the samples.

    Raises
    ------
    ArgumentError
        Another kind of data.
    """
    if not isinstance(data, ChannelData):
        raise ArgumentError(f"data: expected ChannelData, got {type(data).__name__}")
    data.probe.require_points("this format")
    fired = np.array([t.firing_times(data.probe, data.sound_speed) for t in data.transmits])
    first = np.nanmin(fired, axis=1)
    samples = data.samples.swapaxes(2, 3)
    if data.is_iq:
        turned = samples * np.exp(2j * np.pi * data.demodulation_frequency * data.start_time)[:, None, None]
        raw = np.stack([turned.real, turned.imag], axis=-1).astype(np.float32)
    else:
        raw = samples[..., None]
    distance, polar, azimuth, origins = (np.array(v) for v in zip(*map(_beam, data.transmits), strict=True))
    scan: dict[str, Any] = {
        "n_frames": data.n_frames, "n_tx": data.n_tx, "n_el": data.n_rx, "n_ax": data.n_samples, "n_ch": raw.shape[4],
        "probe_geometry": data.probe.positions,
        "sampling_frequency": data.sampling_frequency,
        "center_frequency": data.center_frequency or data.demodulation_frequency,
        "demodulation_frequency": data.demodulation_frequency or data.center_frequency,
        "initial_times": data.start_time - first,
        "t0_delays": np.nan_to_num(fired - first[:, None]),
        "tx_apodizations": np.array([t.weights(data.probe) for t in data.transmits]),
        "focus_distances": distance, "polar_angles": polar, "azimuth_angles": azimuth, "transmit_origins": origins,
        "sound_speed": data.sound_speed,
    }  # fmt: skip
    if data.probe.width:
        scan["element_width"] = data.probe.width
    if data.frame_rate:
        scan["time_to_next_transmit"] = np.full((data.n_frames, data.n_tx), 1 / data.frame_rate / data.n_tx)
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["probe"] = data.probe.name or "generic"
        file.attrs["description"] = "written by sonoray"
        filters = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if compress else {}
        file.create_dataset("data/raw_data", data=raw, chunks=(1, *raw.shape[1:]) if compress else None, **filters)
        for name, value in scan.items():
            kind = np.int64 if name.startswith("n_") else np.float32
            file[f"scan/{name}"] = np.asarray(value, kind)


def _beam(transmit: Transmit) -> tuple[float, float, float, NDArray[np.float64]]:
    """Focus distance, polar and azimuth angle, and the point they count from."""
    nowhere = np.zeros(3)
    if transmit.focus is not None:
        sign = 1.0 if transmit.kind == "focused" else -1.0
        distance = float(np.linalg.norm(transmit.focus))
        way = sign * transmit.focus / distance if distance else np.array([0.0, 0.0, 1.0])
        return (sign * distance, *_angles(way), nowhere)
    if transmit.direction is not None:
        return (np.inf, *_angles(transmit.direction), nowhere)
    return 0.0 if transmit.kind == "element" else np.inf, 0.0, 0.0, nowhere


def _angles(way: NDArray[np.float64]) -> tuple[float, float]:
    if way[1] == 0:
        return float(np.arctan2(way[0], way[2])), 0.0
    return float(np.arccos(np.clip(way[2], -1, 1))), float(np.arctan2(way[1], way[0]))


FORMAT = Format("zea", "zea HDF5: data/raw_data with scan, or maps with coordinates", sniff, read, write)
