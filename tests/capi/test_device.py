"""The C API on a CUDA device gives the CPU's images, from and to memory of the host or the device.

How it allocates, waits and fails, tests/cpp/test_capi_device.cpp asks on a fake of the CUDA runtime.
"""

import ctypes as c

import numpy as np
import pytest

from sonoray import SectorGrid, devices

from .library import Output, Pipeline, load
from .test_capi import FOCUSED, GRID, MAP, PLANES, channel_data

CUDA = 1
SECTOR = SectorGrid(np.linspace(3e-3, 9e-3, 48), np.linspace(-0.5, 0.5, 31))


class Driver:
    """Memory and a stream of device 0, by the driver's own functions."""

    def __init__(self) -> None:
        self.cuda = c.CDLL("libcuda.so.1")
        context, self.stream = c.c_void_p(), c.c_void_p()
        self.pieces: list[c.c_uint64] = []
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", c.byref(context), 0)
        self.call("cuCtxSetCurrent", context)
        self.call("cuStreamCreate", c.byref(self.stream), 1)

    def call(self, name, *arguments) -> None:
        assert getattr(self.cuda, name)(*arguments) == 0, name

    def empty(self, n_bytes: int) -> int:
        piece = c.c_uint64()
        self.call("cuMemAlloc_v2", c.byref(piece), c.c_size_t(n_bytes))
        self.pieces.append(piece)
        return piece.value

    def put(self, array) -> int:
        at = self.empty(array.nbytes)
        self.call("cuMemcpyHtoD_v2", c.c_uint64(at), c.c_void_p(array.ctypes.data), c.c_size_t(array.nbytes))
        return at

    def get(self, at: int, like) -> np.ndarray:
        to = np.empty_like(like)
        self.call("cuStreamSynchronize", self.stream)
        self.call("cuMemcpyDtoH_v2", c.c_void_p(to.ctypes.data), c.c_uint64(at), c.c_size_t(to.nbytes))
        return to


def require_close(found, truth):
    """Other roundings of sums, logarithms and transforms."""
    for name, tolerance in (("image", 1e-4), ("envelope", 1e-4)):
        assert np.abs(found[name] - truth[name]).max() <= tolerance * np.abs(truth[name]).max()
    bright = truth["decibels"] > -40
    assert np.abs(found["decibels"] - truth["decibels"])[bright].max() < 0.05
    away = np.abs(found["grey"].astype(int) - truth["grey"])
    assert away.max() <= 12 and np.mean(away > 1) < 0.02  # dark points differ more, in dB


CASES = {
    "rf": (channel_data(PLANES, integers=True), GRID, {"center_frequency": 5e6, "attenuation": 50.0}),
    "odd lengths": (channel_data(PLANES[:1]), type(GRID)((19, 63), (3e-4, 8e-5), (-2.7e-3, 3e-3)), {}),
    "iq": (channel_data(FOCUSED, iq=True), GRID, {"interpolation": 1}),
    "incoherent": (channel_data(PLANES, iq=True), GRID, {"compounding": 1}),
    "sector": (channel_data(PLANES), SECTOR, {"display": type(GRID)((40, 40), (2e-4, 2e-4), (-4e-3, 1e-3))}),
}


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_images_are_the_cpus(case):
    if len(devices()) < 2:
        pytest.skip("no CUDA device")
    data, grid, settings = CASES[case]
    settings = {"f_number": 1.2, "dynamic_range": 50.0, **settings}
    truth = Pipeline(data, grid, **settings)(data.samples[0])
    pipeline = Pipeline(data, grid, device=CUDA, **settings)
    require_close(pipeline(data.samples[0]), truth)
    pipeline.close()


@pytest.mark.gpu
def test_device_memory_and_a_stream_of_ones_own():
    if len(devices()) < 2:
        pytest.skip("no CUDA device")
    driver = Driver()
    data = channel_data(PLANES, integers=True)
    frame = np.ascontiguousarray(data.samples[0])
    cpu = Pipeline(data, GRID, map=MAP)
    pipeline = Pipeline(data, GRID, map=MAP, device=CUDA, stream=driver.stream.value)
    output, library = Output(size=c.sizeof(Output)), load()
    for speed in (None, np.full(MAP.shape, 1480.0)):
        if speed is not None:
            cpu.set_map(speed)
            pipeline.set_map(speed)
        truth = cpu(frame)
        places = {name: driver.empty(array.nbytes) for name, array in truth.items()}
        for name, array in truth.items():
            setattr(output, name, places[name])
            setattr(output, name + "_bytes", array.nbytes)
        arguments = (c.c_void_p(driver.put(frame)), c.c_size_t(frame.nbytes), c.byref(output))
        pipeline.check(library.sonoray_pipeline_process(pipeline.handle, *arguments))
        pipeline.check(library.sonoray_pipeline_wait(pipeline.handle))
        require_close({name: driver.get(at, truth[name]) for name, at in places.items()}, truth)
    pipeline.close()


def test_without_a_device_the_text_says_so():
    if len(devices()) > 1:
        pytest.skip("there is a CUDA device")
    with pytest.raises(
        RuntimeError,
        match=r"^4: device: expected a CUDA device, found no CUDA device"
        r"|^5: device: expected SONORAY_CPU, got SONORAY_CUDA, which this library was built without",
    ):
        Pipeline(channel_data(PLANES), GRID, device=CUDA)
