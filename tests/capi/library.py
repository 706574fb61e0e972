"""libsonoray.so through ctypes, as a foreign language would use sonoray.h."""

import ctypes as c
import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("build/embed/install/lib/libsonoray.so", "build/dev/libsonoray.so")
PLANE, DIVERGING, FOCUSED, ELEMENT, DELAYS = range(5)


class Grid(c.Structure):
    _fields_ = [
        ("kind", c.c_int32),
        ("n_axes", c.c_int32),
        ("shape", c.c_int64 * 3),
        ("spacing", c.c_double * 3),
        ("origin", c.c_double * 3),
        ("angles", c.c_void_p),
        ("ranges", c.c_void_p),
        ("apex", c.c_double * 3),
        ("reserved", c.c_int64 * 4),
    ]


class Transmit(c.Structure):
    _fields_ = [
        ("kind", c.c_int32),
        ("element", c.c_int32),
        ("origin", c.c_double * 3),
        ("direction", c.c_double * 3),
        ("focus", c.c_double * 3),
        *((name, c.c_void_p) for name in ("delays", "apodization", "times", "weight")),
    ]


class Config(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("transmit_size", c.c_size_t),
        ("device", c.c_int32),
        ("device_index", c.c_int32),
        ("stream", c.c_void_p),
        ("threads", c.c_int32),
        ("map_threads", c.c_int32),
        ("n_elements", c.c_int64),
        ("elements", c.c_void_p),
        ("normals", c.c_void_p),
        ("n_transmits", c.c_int64),
        ("transmits", c.POINTER(Transmit)),
        ("sequence_sound_speed", c.c_double),
        ("sample_type", c.c_int32),
        ("reserved_0", c.c_int32),
        ("n_samples", c.c_int64),
        ("stride", c.c_int64 * 3),
        ("sampling_frequency", c.c_double),
        ("demodulation_frequency", c.c_double),
        ("center_frequency", c.c_double),
        ("start_times", c.c_void_p),
        ("grid", Grid),
        ("sound_speed", c.c_double),
        ("f_number", c.c_double),
        ("window", c.c_int32),
        ("interpolation", c.c_int32),
        ("tukey_taper", c.c_double),
        ("compounding", c.c_int32),
        ("reserved_1", c.c_int32),
        ("element_width", c.c_double),
        ("attenuation", c.c_double),
        ("surface", c.c_double),
        ("max_gain", c.c_double),
        ("dynamic_range", c.c_double),
        ("reference", c.c_double),
        ("display", Grid),
        ("map", Grid),
        ("table_spacing", c.c_double),
        ("map_limits", c.c_double * 2),
        ("network", c.c_void_p),
        ("network_user", c.c_void_p),
        ("model", c.c_char_p),
        ("ring_frames", c.c_int32),
        ("when_full", c.c_int32),
    ]


class Output(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        *(
            (n + s, t)
            for n in ("image", "envelope", "decibels", "grey")
            for s, t in (("", c.c_void_p), ("_bytes", c.c_size_t))
        ),
    ]


def load() -> c.CDLL:
    """The library that was built, or a skip that says how to build it."""
    named = os.environ.get("SONORAY_LIBRARY")
    paths = [Path(named)] if named else [ROOT / p for p in PLACES]
    found = [p for p in paths if p.exists()]
    if not found:
        pytest.skip("no libsonoray.so here; `make embed` builds it")
    library = c.CDLL(str(max(found, key=lambda p: p.stat().st_mtime)))
    library.sonoray_version.restype = c.c_char_p
    library.sonoray_pipeline_last_error.restype = c.c_size_t
    return library


def sonoray_grid(grid, keep: list) -> Grid:
    """A Grid or SectorGrid of the package as the C struct; ``keep`` holds its arrays."""
    to = Grid()
    if hasattr(grid, "angles"):
        arrays = [np.ascontiguousarray(a, np.float64) for a in (grid.angles, grid.ranges)]
        keep += arrays
        to.kind = 2
        to.shape[:2] = grid.shape
        to.angles, to.ranges = (a.ctypes.data for a in arrays)
        to.apex[:] = grid.apex
        return to
    to.kind, to.n_axes = 1, grid.ndim
    for name in ("shape", "spacing", "origin"):
        getattr(to, name)[: grid.ndim] = getattr(grid, name)
    return to


def sonoray_transmit(t, probe, keep: list) -> Transmit:
    """A Transmit of the package as the C struct."""
    to = Transmit(kind=("plane", "diverging", "focused", "element", "delays").index(t.kind))
    to.origin[:] = t.origin
    for name in ("direction", "focus"):
        if getattr(t, name) is not None:
            getattr(to, name)[:] = getattr(t, name)
    if t.element is not None:
        to.element = t.element
    for name, dtype in (("delays", np.float64), ("apodization", np.float32)):
        if getattr(t, name) is not None:
            keep.append(np.ascontiguousarray(getattr(t, name), dtype))
            setattr(to, name, keep[-1].ctypes.data)
    return to


class Pipeline:
    """A handle and the arrays that its configuration points to."""

    def __init__(self, data, grid, **settings) -> None:
        self.library = load()
        self.keep: list = []
        config = Config()
        assert (
            self.library.sonoray_config_init(
                c.byref(config), c.c_size_t(c.sizeof(Config)), c.c_size_t(c.sizeof(Transmit))
            )
            == 0
        )
        probe = data.probe
        arrays = {
            "elements": np.ascontiguousarray(probe.positions, np.float32),
            "normals": np.ascontiguousarray(probe.normals, np.float32),
            "start_times": np.ascontiguousarray(np.broadcast_to(data.start_time, (data.n_tx,)), np.float64),
        }
        self.keep += arrays.values()
        for name, array in arrays.items():
            setattr(config, name, array.ctypes.data)
        self.transmits = (Transmit * data.n_tx)(*(sonoray_transmit(t, probe, self.keep) for t in data.transmits))
        config.transmits = self.transmits
        config.n_elements, config.n_transmits = probe.n_elements, data.n_tx
        config.sample_type = {"int16": 0, "float32": 1, "complex64": 3}[str(data.samples.dtype)]
        config.n_samples = data.n_samples
        config.sequence_sound_speed = data.sound_speed
        config.sampling_frequency = data.sampling_frequency
        config.demodulation_frequency = data.demodulation_frequency
        config.center_frequency = probe.center_frequency or 0.0
        config.grid = sonoray_grid(grid, self.keep)
        for name, value in settings.items():
            setattr(config, name, sonoray_grid(value, self.keep) if name in ("map", "display") else value)
        self.shape = grid.shape
        self.display = settings["display"].shape if "display" in settings else grid.shape
        self.complex = data.is_iq and config.compounding == 0
        self.handle = c.c_void_p()
        assert self.library.sonoray_pipeline_create(c.byref(self.handle)) == 0
        self.check(self.library.sonoray_pipeline_prepare(self.handle, c.byref(config)))

    def check(self, status: int) -> None:
        if status:
            text = c.create_string_buffer(512)
            self.library.sonoray_pipeline_last_error(self.handle, text, c.c_size_t(512))
            raise RuntimeError(f"{status}: {text.value.decode()}")

    def set_map(self, sound_speed) -> None:
        speed = np.ascontiguousarray(sound_speed, np.float32)
        self.check(
            self.library.sonoray_pipeline_set_map(self.handle, c.c_void_p(speed.ctypes.data), c.c_int64(speed.size))
        )

    def __call__(self, frame) -> dict[str, np.ndarray]:
        """Image, envelope, decibels and grey levels of one frame."""
        result = {
            "image": np.empty(self.shape, np.complex64 if self.complex else np.float32),
            "envelope": np.empty(self.shape, np.float32),
            "decibels": np.empty(self.shape, np.float32),
            "grey": np.empty(self.display, np.uint8),
        }
        output = Output(size=c.sizeof(Output))
        for name, array in result.items():
            setattr(output, name, array.ctypes.data)
            setattr(output, name + "_bytes", array.nbytes)
        frame = np.ascontiguousarray(frame)
        self.check(
            self.library.sonoray_pipeline_process(
                self.handle, c.c_void_p(frame.ctypes.data), c.c_size_t(frame.nbytes), c.byref(output)
            )
        )
        return result

    def close(self) -> None:
        self.library.sonoray_pipeline_destroy(self.handle)
        self.handle = None
