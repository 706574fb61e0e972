"""UFF files that the USTB reads: the groups, attributes and shapes of its `write_object.m`."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import ArgumentError
from ...media.grids import Grid, SectorGrid
from ..writing import atomic, checked_image

VERSION = b"v1.2.0"
BEHIND = -1e-3  # m: USTB takes a source for a virtual one behind the array only from this depth on
_CLASSES = {"linear": "linear_array", "phased": "linear_array", "curvilinear": "curvilinear_array"}


def write(path: Any, data: Any, *, compress: bool = True) -> None:
    """Write ``/channel_data`` or ``/beamformed_data`` for the USTB.

    Parameters
    ----------
    path : str or path-like
    data : ChannelData or tuple (image, grid)
        Transmits with free delays are refused: a `uff.wave` is a source point. An image is (frames…, *grid.shape).
    compress : bool
        Deflate large arrays.

    Notes
    -----
    Samples are stored as single, as USTB does (int16 fits); numbers, positions and times as double, so that they come
    back to the last bit but for the rounding of azimuth and distance. Names of probes, sizes of elements beyond the
    first and bandwidths without a center frequency have no place in the format.

    Raises
    ------
    ArgumentError
        Another kind of data, a transmit that is no wave of one source.
    """
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.create("version", np.array([VERSION]))
        if isinstance(data, ChannelData):
            _channel_data(_Object(file, "channel_data", compress), data)
        elif isinstance(data, tuple) and len(data) == 2:
            _beamformed_data(_Object(file, "beamformed_data", compress), checked_image(*data), data[1])
        else:
            raise ArgumentError(f"data: expected ChannelData or (image, grid), got {type(data).__name__}")


class _Object:
    """A USTB object: a group with its class, whose properties are datasets or further groups."""

    def __init__(self, parent: h5py.Group, name: str, compress: bool, kind: str = "", count: int = 1) -> None:
        self.group = parent.create_group(name)
        self.compress = compress
        _mark(self.group, f"uff.{kind or name}", name)
        self.group.attrs["array"] = float(count > 1)
        self.group.attrs["size"] = np.array([1.0, count])

    def into(self, name: str, kind: str, count: int = 1) -> "_Object":
        return _Object(self.group, name, self.compress, kind, count)

    def number(self, name: str, value: float, kind: str = "double") -> None:
        self.array(name, np.array([[float(value)]]), kind)

    def array(self, name: str, values: NDArray[Any], kind: str = "double") -> None:
        """An array in MATLAB's order of axes; of USTB's class ``kind``."""
        if values.dtype.kind == "c":
            pair = self.group.create_group(name)
            for part, imaginary in (("real", 0.0), ("imag", 1.0)):
                node = self._dataset(pair, part, getattr(values, part))
                _mark(node, kind, name)
                node.attrs["imaginary"] = imaginary
            node = pair
        else:
            node = self._dataset(self.group, name, values)
            node.attrs["imaginary"] = 0.0
        _mark(node, kind, name)
        node.attrs["complex"] = float(values.dtype.kind == "c")

    def _dataset(self, group: h5py.Group, name: str, values: NDArray[Any]) -> h5py.Dataset:
        stored = np.ascontiguousarray(values.T)
        if not self.compress or stored.nbytes < 1 << 16:
            return group.create_dataset(name, data=stored)
        return group.create_dataset(name, data=stored, compression="gzip", compression_opts=4, shuffle=True)

    def point(self, name: str, position: NDArray[np.float64], distance: float | None = None) -> None:
        """A `uff.point`; with ``distance`` infinite, ``position`` is a direction."""
        point = self.into(name, "point")
        length = float(np.linalg.norm(position))
        point.number("distance", length if distance is None else distance)
        point.number("azimuth", float(np.arctan2(position[0], position[2])))
        point.number("elevation", float(np.arcsin(np.clip(position[1] / length, -1, 1))) if length else 0.0)


def _mark(node: Any, kind: str, name: str) -> None:
    node.attrs["class"] = np.bytes_(kind.encode("ascii"))
    node.attrs["name"] = np.bytes_(name.encode("ascii"))


def _channel_data(target: _Object, data: ChannelData) -> None:
    late = np.array([_lead(t, i, data) for i, t in enumerate(data.transmits)])
    times = data.start_time + late  # of the first samples on USTB's clocks
    initial = float(times.min())
    samples = data.samples
    if data.is_iq:
        turn = np.exp(2j * np.pi * data.demodulation_frequency * (data.start_time - initial))
        samples = samples * turn.astype(np.complex64)[:, None, None]
    target.number("sampling_frequency", data.sampling_frequency)
    target.number("initial_time", initial)
    target.number("sound_speed", data.sound_speed)
    target.number("modulation_frequency", data.demodulation_frequency)
    if data.frame_rate:
        target.number("PRF", data.frame_rate * data.n_tx)
    if data.center_frequency:
        pulse = target.into("pulse", "pulse")
        pulse.number("center_frequency", data.center_frequency)
        if data.probe.bandwidth:
            pulse.number("fractional_bandwidth", data.probe.bandwidth / data.center_frequency)
    data.probe.require_points("this format")
    _probe(target, data.probe)
    sequence = target.group
    if data.n_tx > 1:
        sequence = target.into("sequence", "wave", data.n_tx).group
    for i, transmit in enumerate(data.transmits):
        name = "sequence" if data.n_tx == 1 else f"sequence_{i + 1:04d}"
        wave = _Object(sequence, name, target.compress, "wave")
        wave.number("delay", times[i] - initial)
        wave.number("sound_speed", data.sound_speed)
        _wave(wave, transmit, data.probe)
    kind = "int16" if samples.dtype == np.int16 else "single"
    target.array("data", samples.astype(np.float32 if samples.dtype.kind != "c" else np.complex64).T, kind)


def _lead(transmit: Transmit, index: int, data: ChannelData) -> float:
    """How much later the same instant reads on USTB's clock, before ``delay`` is taken off [s]."""
    c, origin = data.sound_speed, transmit.origin
    if transmit.kind == "plane":
        assert transmit.direction is not None
        return float(origin @ transmit.direction) / c
    if transmit.kind == "delays":
        raise ArgumentError(
            f"data: transmit {index}: expected a plane, diverging or focused wave or a single element, got free "
            "delays, which UFF cannot hold"
        )
    source = data.probe.positions[transmit.element] if transmit.focus is None else transmit.focus
    length = float(np.linalg.norm(source))
    on_theirs = -length if source[2] < BEHIND else length
    if transmit.kind == "element":
        return on_theirs / c
    sign = 1.0 if transmit.kind == "diverging" else -1.0
    if transmit.kind == "focused" and source[2] <= 0:
        raise ArgumentError(f"data: transmit {index}: expected a focus at z > 0, got z = {source[2]:g} m")
    if transmit.kind == "diverging" and source[2] > 0:
        raise ArgumentError(f"data: transmit {index}: expected a source at z <= 0, got z = {source[2]:g} m")
    return (on_theirs + sign * float(np.linalg.norm(origin - source))) / c


def _probe(target: _Object, probe: Probe) -> None:
    node = target.into("probe", _CLASSES.get(probe.kind, "matrix_array" if probe.kind == "matrix" else "probe"))
    n = probe.normals
    elevation = np.arcsin(np.clip(n[:, 1], -1, 1))
    sizes = np.ones((probe.n_elements, 1)) * [probe.width, probe.height]
    geometry = np.column_stack([probe.positions, np.arctan2(n[:, 0], n[:, 2]), elevation, sizes])
    node.array("geometry", geometry)


def _wave(wave: _Object, transmit: Transmit, probe: Probe) -> None:
    wave.number("wavefront", 0 if transmit.kind == "plane" else 1, "uff.wavefront")
    if transmit.kind == "plane":
        assert transmit.direction is not None
        wave.point("source", transmit.direction, np.inf)
    else:
        source = probe.positions[transmit.element] if transmit.focus is None else transmit.focus
        wave.point("source", source)
    apodization = wave.into("apodization", "apodization")
    if transmit.kind == "element":
        apodization.number("window", 7, "uff.window")
        apodization.point("origin", probe.positions[transmit.element])
    else:
        weights = transmit.weights(probe)
        apodization.number("window", 0, "uff.window")
        apodization.array("apodization_vector", weights[:, None])


def _beamformed_data(target: _Object, image: NDArray[Any], grid: Any) -> None:
    if grid.ndim != 2 or image.ndim > 3:
        raise ArgumentError(f"data: expected a 2-D image, or frames of them, got shape {image.shape}")
    if isinstance(grid, Grid):
        scan = target.into("scan", "linear_scan")
        scan.array("x_axis", grid.x[:, None])
        scan.array("z_axis", grid.z[:, None])
    else:
        assert isinstance(grid, SectorGrid)
        scan = target.into("scan", "sector_scan")
        scan.array("azimuth_axis", np.asarray(grid.angles)[:, None])
        scan.array("depth_axis", np.asarray(grid.ranges)[:, None])
        scan.point("origin", np.asarray(grid.apex))
    wide = image.dtype in (np.dtype("f8"), np.dtype("c16"), np.dtype("i4"), np.dtype("u4"), np.dtype("i8"))
    kind = np.complex128 if image.dtype.kind == "c" else np.float64
    narrow = np.complex64 if image.dtype.kind == "c" else np.float32
    values = image.astype(kind if wide else narrow).reshape(-1, 1, 1, grid.size)
    target.array("data", values.T, "double" if wide else "single")
