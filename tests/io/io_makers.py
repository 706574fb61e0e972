"""Small files of every format, made here, with the objects they should give."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

import sonoray

N_ELEMENTS, N_SAMPLES = 6, 20
PITCH, FC, FS = 0.3e-3, 5e6, 20e6
ANGLES = np.array([-0.2, 0.0, 0.1])


def signal(*shape: int, kind: str = "i2", seed: int = 0) -> np.ndarray:
    """Samples that tell every index apart."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-900, 900, shape).astype(kind)
    return values + 1j * rng.integers(-900, 900, shape) if np.dtype(kind).kind == "c" else values


def must_param(**changes: Any) -> dict[str, Any]:
    param = {
        "fs": FS,
        "fc": FC,
        "pitch": PITCH,
        "width": 0.25e-3,
        "c": 1500.0,
        "t0": 2e-6,
        "PRF": 1000.0,
        "bandwidth": 60.0,
        "TXdelay": np.zeros((1, N_ELEMENTS)),
        "Nelements": float(N_ELEMENTS),
    }
    return {**param, **changes}


def write_must(path: Path, *, compress: bool = True, name: str = "RF", rf: Any = None, **changes: Any) -> None:
    rf = signal(N_SAMPLES, N_ELEMENTS, 4) if rf is None else rf
    scipy.io.savemat(path, {name: rf, "param": must_param(**changes)}, do_compression=compress)


def write_mat73(path: Path, variables: dict[str, Any], *, gzip: bool = True) -> None:
    """MATLAB 7.3: HDF5 behind a 512-byte header, arrays reversed, structures as groups, cells as references."""

    def refer(group: h5py.Group, name: str, values: list[Any]) -> h5py.Dataset:
        """A dataset of references to values stored elsewhere."""
        refs = group.file.require_group("#refs#")
        places = []
        for value in values:
            place = f"r{next(numbers)}"
            put(refs, place, value)
            places.append(refs[place].ref)
        table = np.empty((len(places), 1), h5py.ref_dtype)
        table[:, 0] = places
        return group.create_dataset(name, data=table, dtype=h5py.ref_dtype)

    def put(group: h5py.Group, name: str, value: Any) -> None:
        if isinstance(value, list) and isinstance(value[0], dict):
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_(b"struct")
            for key in value[0]:
                refer(inner, key, [item[key] for item in value])
            return
        if isinstance(value, list):
            refer(group, name, value).attrs["MATLAB_class"] = np.bytes_(b"cell")
            return
        if isinstance(value, dict):
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_(b"struct")
            for key, member in value.items():
                put(inner, key, member)
            return
        if isinstance(value, str):
            codes = np.array([[ord(c)] for c in value], np.uint16)
            group.create_dataset(name, data=codes).attrs["MATLAB_class"] = np.bytes_(b"char")
            return
        values = np.atleast_2d(np.asarray(value))
        stored = np.ascontiguousarray(values.T)
        if stored.dtype.kind == "c":
            pair = np.dtype([("real", stored.real.dtype), ("imag", stored.real.dtype)])
            stored = stored.view(pair)
        options = {"compression": "gzip", "shuffle": True, "chunks": True} if gzip and values.size > 50 else {}
        group.create_dataset(name, data=stored, **options).attrs["MATLAB_class"] = np.bytes_(b"double")

    numbers = itertools.count()
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            put(file, name, value)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(116) + b"\0" * 8 + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(head.ljust(512, b"\0"))


def save_structs(path: Path, variables: dict[str, Any]) -> None:
    """MATLAB level 5 with structure arrays (lists of dictionaries) and cells (lists of arrays)."""

    def value_of(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: value_of(v) for k, v in value.items()}
        if isinstance(value, list) and isinstance(value[0], dict):
            table = np.empty((1, len(value)), [(k, object) for k in value[0]])
            for i, item in enumerate(value):
                for k, v in item.items():
                    table[0, i][k] = value_of(v)
            return table
        if isinstance(value, list):
            cell = np.empty((1, len(value)), object)
            cell[0, :] = value
            return cell
        return value

    scipy.io.savemat(path, {k: value_of(v) for k, v in variables.items()}, do_compression=True)


def verasonics_values() -> dict[str, Any]:
    """Two frames of a plane wave, a focus and one element, with the echo of one point as spikes of 100 and 200."""
    n, f, c, fs, rows = 16, 5.0, 1540.0, 20e6, 400
    x = (np.arange(n) - 7.5) * 0.3e-3
    point = np.array([1e-3, 0.012])
    to_point = np.hypot(x - point[0], point[1])
    steered = x * np.sin(0.2) / c
    focused = -np.hypot(x, 0.03) / c
    delays = [steered - steered.min(), focused - focused.min(), np.zeros(n)]
    single = (np.arange(n) == 5) * 1.0
    first = [  # when the wave reaches the point, counted from the first firing
        (point[0] * np.sin(0.2) + point[1] * np.cos(0.2)) / c - steered.min(),
        0.03 / c - np.hypot(point[0], point[1] - 0.03) / c - 0.03 / c - focused.min(),
        to_point[5] / c,
    ]
    peak, lens, depth = 3.5, 0.7e-3 / c, 10.0
    connector = np.random.default_rng(1).permutation(n) + 1
    data = np.zeros((3 * rows, n, 2), np.int16)
    for tx, arrival in enumerate(first):
        index = (arrival + to_point / c + peak / f / 1e6 + 2 * lens - 2 * depth / f / 1e6) * fs
        for frame, height in enumerate((200, 100)):  # the second frame of the buffer is the older one
            data[tx * rows + np.round(index).astype(int), connector - 1, frame] = height
    position = np.stack([x * 1e3, 0 * x, 0 * x, 0 * x], axis=1)
    receive = [
        {"startDepth": depth, "endDepth": 80.0, "framenum": frame + 1.0, "acqNum": tx + 1.0, "bufnum": 1.0,
         "startSample": tx * rows + 1.0, "endSample": (tx + 1.0) * rows, "mode": 0.0, "decimSampleRate": 20.0,
         "quadDecim": 1.0, "sampleMode": "NS200BW", "Apod": np.ones((1, n)), "demodFrequency": f}
        for frame in (0, 1) for tx in range(3)
    ]  # fmt: skip
    return {
        "Trans": {"name": "L7-4", "units": "mm", "frequency": f, "numelements": float(n), "ElementPos": position,
                  "elementWidth": 0.25, "lensCorrection": 0.7, "type": 0.0, "Bandwidth": np.array([[4.0, 7.0]]),
                  "Connector": connector[:, None].astype(float)},
        "TX": [
            {"waveform": 1.0, "Origin": np.zeros((1, 3)), "focus": [0.0, 0.03 / c * f * 1e6, 0.0][i],
             "Steer": np.array([[0.2 * (i == 0), 0]]), "Apod": (single if i == 2 else np.ones(n))[None],
             "Delay": delays[i][None] * f * 1e6}
            for i in range(3)
        ],
        "TW": {"type": "parametric", "Parameters": np.array([[5.2, 0.67, 2.0, 1.0]]), "peak": peak},
        "Receive": receive,
        "Event": [{"tx": i % 3 + 1.0, "rcv": i + 1.0, "info": "shot"} for i in range(6)]
        + [{"tx": 0.0, "rcv": 0.0, "info": "back to the start"}],
        "Resource": {"Parameters": {"speedOfSound": c}, "RcvBuffer": {"numFrames": 2.0, "lastFrame": 1.0}},
        "RcvData": [data],
    }  # fmt: skip


def write_picmus(path: Path, *, iq: bool = False, **changes: Any) -> None:
    values = {
        "data/real": signal(3, N_ELEMENTS, N_SAMPLES, kind="f4"),
        "data/imag": signal(3, N_ELEMENTS, N_SAMPLES, kind="f4", seed=1) * (1 if iq else 0),
        "angles": ANGLES.astype("f4"),
        "probe_geometry": sonoray.Probe.linear(N_ELEMENTS, PITCH).positions.T.astype("f4"),
        "sampling_frequency": np.array([FS], "f4"),
        "initial_time": np.array([1e-6], "f4"),
        "modulation_frequency": np.array([FC if iq else 0], "f4"),
        "sound_speed": np.array([1540], "f4"),
        "PRF": np.array([300], "f4"),
        **changes,
    }
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            if value is not None:
                file[f"US/US_DATASET0000/{name}"] = value


def write_pybf(path: Path, *, measured: bool = False, angles: Any = ANGLES, **changes: Any) -> None:
    values: dict[str, Any] = {
        "data/f_sampling": FS,
        "data/fps": 25.0,
        "data/tx_mode/PW_3_12": np.asarray(angles)[None],
        "trans_params/bandwidth": 0.7,
        "trans_params/f_central": [[FC]],
        "trans_params/x_num_of_elements": float(N_ELEMENTS),
        "trans_params/y_num_of_elements": 1.0,
        "trans_params/x_pitch": PITCH,
        "trans_params/x_width": 0.25e-3,
        "trans_params/y_width": 5e-3,
    }
    if measured:
        values |= {"hardware_params/start_time": 5e-6, "hardware_params/correction_time": 1e-6}
    else:
        values |= {
            "data/correction_time_shift": [[3e-6]],
            "sim_params/scatters_data": np.arange(12.0).reshape(3, 4) / 1e3,
        }
    for frame in (1, 2):
        for shot in range(1, len(angles) + 1):
            values[f"data/rf_data/frame_{frame}/shot_{shot}"] = signal(N_ELEMENTS, N_SAMPLES, seed=10 * frame + shot)
    with h5py.File(path, "w") as file:
        for name, value in {**values, **changes}.items():
            if value is not None:
                file[name] = value


def uff_object(parent: Any, name: str, kind: str, count: int = 1) -> h5py.Group:
    """A group with the attributes that the USTB gives its objects."""
    group = parent.create_group(name)
    group.attrs["class"], group.attrs["name"] = f"uff.{kind}", name  # MATLAB's strings have variable length
    group.attrs["array"], group.attrs["size"] = float(count > 1), np.array([1.0, count])
    return group


def write_uff(path: Path) -> None:
    """A plane wave, one element and a focus, as `write_object.m` stores them."""

    def put(group: h5py.Group, name: str, value: Any) -> None:
        group[name] = np.atleast_2d(np.asarray(value, "f4"))
        group[name].attrs["class"], group[name].attrs["name"] = "double", name
        group[name].attrs["imaginary"] = group[name].attrs["complex"] = 0.0

    x = sonoray.Probe.linear(N_ELEMENTS, PITCH).positions[:, 0]
    sources = [(np.inf, -0.1), (x[4], np.pi / 2), (0.02, 0.0)]
    with h5py.File(path, "w") as file:
        file.attrs.create("version", ["v1.0.1"], dtype=h5py.string_dtype())
        data = uff_object(file, "channel_data", "channel_data")
        for name, value in (("sampling_frequency", FS), ("initial_time", 2e-6), ("sound_speed", 1500), ("PRF", 300)):
            put(data, name, value)
        put(data, "data", signal(3, N_ELEMENTS, N_SAMPLES, kind="f4"))
        pulse = uff_object(data, "pulse", "pulse")
        put(pulse, "center_frequency", FC)
        put(pulse, "fractional_bandwidth", 60)
        probe = uff_object(data, "probe", "linear_array")
        put(probe, "geometry", np.array([[v, 0, 0, 0, 0, 2e-4, 5e-3] for v in x]).T)
        sequence = uff_object(data, "sequence", "wave", 3)
        for i, (distance, azimuth) in enumerate(sources):
            wave = uff_object(sequence, f"sequence_{i + 1:04d}", "wave")
            point = uff_object(wave, "source", "point")
            put(point, "distance", distance)
            put(point, "azimuth", azimuth)
            put(wave, "sound_speed", 1500)
            put(wave, "delay", [0, x[4] / 1500, 5e-7][i])


def write_zea(path: Path, *, tracks: bool = False) -> None:
    """A plane wave, a focus, one element and free delays, in the flat layout or that with tracks."""
    x = sonoray.Probe.linear(N_ELEMENTS, PITCH).positions[:, 0]
    focus = 0.02 * np.array([np.sin(0.1), np.cos(0.1)])
    delays = np.zeros((4, N_ELEMENTS))
    delays[0] = x * np.sin(0.2) / 1500
    delays[1] = -np.hypot(x - focus[0], focus[1]) / 1500
    delays[3] = [0, 4e-7, 0, 1e-7, 1e-7, 2e-7]
    weights = np.ones((4, N_ELEMENTS))
    weights[2] = np.arange(N_ELEMENTS) == 3
    weights[3] = [1, 1, 0, 1, 1, -1]
    scan = {
        "probe_geometry": np.stack([x, 0 * x, 0 * x], axis=1), "sampling_frequency": FS, "center_frequency": FC,
        "demodulation_frequency": FC, "initial_times": 1e-6 + np.arange(4) * 1e-7,
        "t0_delays": delays - delays.min(axis=1, keepdims=True), "tx_apodizations": weights,
        "focus_distances": [np.inf, 0.02, 0, np.inf], "polar_angles": [0.2, 0.1, 0, 0], "sound_speed": 1500,
        "azimuth_angles": np.zeros(4), "transmit_origins": np.zeros((4, 3)),
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.attrs["probe_name" if tracks else "probe"] = "L7-4"
        root = file.create_group("tracks/track_0") if tracks else file
        root.create_dataset("data/raw_data", data=signal(2, 4, N_SAMPLES, N_ELEMENTS)[..., None], compression="gzip")
        geometry = scan.pop("probe_geometry")
        (file if tracks else root)["probe/probe_geometry" if tracks else "scan/probe_geometry"] = np.float32(geometry)
        for name, value in scan.items():
            root[f"scan/{name}"] = np.asarray(value, "f4")


def write_ultrasonix(path: Path, *, kind: int = 16, tag: int = 4, values: Any = None) -> None:
    """19 numbers, then frames with or without a tag."""
    values = signal(2, 6, 20) if values is None else values
    n, width, height = values.shape if kind != 4 else (values.shape[0], values.shape[2], values.shape[1])
    header = [kind, n, width, height, 8 * values.itemsize, *range(8), 5, 6_600_000, 40_000_000, 30, 128, 0]
    frames = b"".join(bytes([7]) * tag + np.ascontiguousarray(frame).tobytes() for frame in values)
    path.write_bytes(np.array(header, "<i4").tobytes() + frames)


def full_matrix_values(*, half: bool = True, **changes: Any) -> dict[str, Any]:
    """Trace (i, j) holds 100 i + j + time, made symmetric, so that every place in the result is known."""
    pairs = [(i, j) for i in range(N_ELEMENTS) for j in range(N_ELEMENTS) if i <= j or not half]
    tx, rx = np.array(pairs).T
    value = 100.0 * np.minimum(tx, rx) + np.maximum(tx, rx)
    x = (np.arange(N_ELEMENTS) - 2.5) * PITCH
    array = {"el_xc": x, "el_yc": 0 * x, "el_zc": 0 * x, "el_x1": x + 1e-4, "el_y2": 0 * x + 5e-3, "centre_freq": FC}
    data = {
        "time_data": value + np.arange(N_SAMPLES)[:, None] / 64,
        "tx": tx + 1.0,
        "rx": rx + 1.0,
        "time": (5e-6 + np.arange(N_SAMPLES) / FS)[:, None],
        "ph_velocity": 6300.0,
        "array": array,
    }
    return {"exp_data": {**data, **changes}}


def ring_values(n: int = 8, *, stored: int | None = None, **changes: Any) -> dict[str, Any]:
    """MATLAB's order: time, receiver, transmitter."""
    angle = 2 * np.pi * np.arange(n) / n
    axis = np.linspace(-2e-3, 2e-3, 5)
    speed = 1480.0 + np.arange(5 * 7).reshape(7, 5)  # (iy, ix)
    values = {
        "time": np.arange(N_SAMPLES) / FS,
        "transducerPositionsXY": 0.1 * np.stack([np.cos(angle), np.sin(angle)]) + np.array([[1e-3], [2e-3]]),
        "full_dataset": signal(N_SAMPLES, n, stored or n),
        "data_scale": 0.5,
        "c_water": 1485.0,
        "water_dataset": signal(N_SAMPLES, n, 2, seed=3),
        "water_scale": 2.0,
        "water_tx_index": np.array([2.0, 5.0]),
        "xi_orig": axis,
        "yi_orig": np.linspace(-3e-3, 3e-3, 7),
        "C": speed.astype("f4"),
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not None}


def channel_data(**changes: Any) -> sonoray.ChannelData:
    """One of everything that a transmit can be."""
    probe = sonoray.Probe.curvilinear(N_ELEMENTS, PITCH, 0.06, width=2e-4, height=5e-3, bandwidth=3e6, name="Übung 1")
    weights = np.linspace(-1, 1, N_ELEMENTS)
    transmits = (
        sonoray.Transmit.plane(0.1, apodization=weights, origin=[0, 0, 1e-3]),
        sonoray.Transmit.diverging([1e-3, 0, -5e-3]),
        sonoray.Transmit.focused([0, 0, 0.03]),
        sonoray.Transmit.single(2),
        sonoray.Transmit.free(np.linspace(0, 1e-6, N_ELEMENTS)),
    )
    samples = changes.pop("samples", signal(2, 5, N_ELEMENTS, N_SAMPLES))
    options = {"start_time": np.arange(5) * 1e-7, "center_frequency": FC, "sound_speed": 1501.5, "frame_rate": 7.0}
    return sonoray.ChannelData(samples, probe, transmits, FS, **{**options, **changes})


GRID = sonoray.Grid((5, 4), (1e-3, 2e-3), (-2e-3, 1e-3))


def write_native_medium(path: Path) -> None:
    sonoray.write(path, sonoray.Medium(GRID, np.linspace(1400, 1600, 20).reshape(5, 4), density=1000.0))


def _short(values: dict[str, Any]) -> dict[str, Any]:
    """One acquisition and few fields of each structure: quick to read many times."""
    receive = {k: values["Receive"][0][k] for k in ("startDepth", "startSample", "endSample", "decimSampleRate")}
    kept = {k: values["TX"][0][k] for k in ("Delay", "Apod")}
    return {
        "Trans": values["Trans"], "TX": [kept, kept], "Receive": [receive, {**receive, "startSample": 1.0}],
        "RcvData": values["RcvData"],
    }  # fmt: skip


def _renamed(path: Path, ending: str, data: Any, format: str, **options: Any) -> None:
    """Write with the ending that the format asks for, then take the name that the test wants."""
    sonoray.write(path.with_suffix(ending), data, format=format, **options)
    path.with_suffix(ending).rename(path)


MAKERS: dict[str, Callable[[Path], None]] = {
    "must-v5": write_must,
    "must-v5-plain": lambda path: write_must(path, compress=False),
    "must-v7.3": lambda path: write_mat73(path, {"RF": signal(N_SAMPLES, N_ELEMENTS, 4), "param": must_param()}),
    "picmus": lambda path: write_picmus(path, iq=True),
    "pybf": write_pybf,
    "full-matrix": lambda path: scipy.io.savemat(path, full_matrix_values(), do_compression=True),
    "ring-v5": lambda path: scipy.io.savemat(path, ring_values()),
    "ring-v7.3": lambda path: write_mat73(path, ring_values()),
    "zea": write_zea,
    "zea-tracks": lambda path: write_zea(path, tracks=True),
    "verasonics-v5": lambda path: save_structs(path, _short(verasonics_values())),
    "verasonics-v7.3": lambda path: write_mat73(path, _short(verasonics_values())),
    "uff": write_uff,
    "image-uff": lambda path: sonoray.write(path, (np.ones((2, 5, 4), "c8"), GRID), format="uff"),
    "image-mha": lambda path: _renamed(path, ".mha", (signal(2, 5, 4), GRID), "metaimage"),
    "image-mha-plain": lambda path: _renamed(path, ".mha", (signal(2, 5, 4), GRID), "metaimage", compress=False),
    "image-nii": lambda path: _renamed(path, ".nii", (signal(2, 5, 4), GRID), "nifti"),
    "image-nii-gz": lambda path: _renamed(path, ".nii.gz", (signal(2, 5, 4), GRID), "nifti"),
    "image-dicom": lambda path: sonoray.write(path, (np.zeros((2, 5, 4), "u1"), GRID), format="dicom"),
    "map-dicom": lambda path: sonoray.write(path, sonoray.Medium(GRID, 1500.0), format="dicom"),
    "sonoray-channel-data": lambda path: sonoray.write(path, channel_data()),
    "sonoray-medium": write_native_medium,
    "sonoray-image": lambda path: sonoray.write(path, (np.ones((2, 5, 4), "f4"), GRID)),
}
