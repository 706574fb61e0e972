"""Invariants of the beamformer: adjoint, threads, processor levels, strides; and what it refuses."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Beamformer, ChannelData, DeviceError, Grid, Probe, Sampling
from sonoray._backends import host_module
from tests.beamforming.test_das import (
    C0,
    FC,
    FS,
    LINEAR,
    as_numbers,
    error,
    make_arrivals,
    make_samples,
    run,
    sampling_of,
)
from tests.reference.das import delay_and_sum


def make_image(rng, shape, is_iq):
    image = rng.standard_normal(shape)
    return (image + 1j * rng.standard_normal(shape)).astype(np.complex64) if is_iq else image.astype(np.float32)


def adjoint(beamform, image, device):
    if device == "cpu":
        return beamform.adjoint(image)
    return sonoray.to_host(beamform.adjoint(sonoray.to_device(image, device)))


@pytest.mark.parametrize("compounding", ["coherent", "none"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("kind", ["float32", "complex64"])
@pytest.mark.parametrize("grid", ["2-D", "3-D", "sector", "free points"])
def test_adjoint_dot_product(grid, kind, interpolation, compounding, device, rng):
    arrivals = make_arrivals(rng, grid=grid, weights=True, table=grid == "2-D")
    samples = make_samples(rng, arrivals, kind, n_frames=2, n_samples=350)  # ends inside the image
    beamform = Beamformer(
        arrivals,
        sampling_of(kind, 350, 1e-6),
        f_number=0.9137,
        window="hamming",
        directivity=0.8,
        interpolation=interpolation,
        compounding=compounding,
        device=device,
    )
    forward = run(beamform, samples, device)
    image = make_image(rng, forward.shape, kind == "complex64")
    back = adjoint(beamform, image, device)
    assert back.shape == samples.shape
    left, right = np.vdot(image, forward), np.vdot(back, samples)
    # float32 sums of random signs: relative to the norms, not to the (smaller) product
    assert abs(left - right) < 2e-6 * np.linalg.norm(forward) * np.linalg.norm(image)


def test_adjoint_simulates_a_point_scatterer():
    """One bright point leaves a two-sample echo in each trace, at the time its paths take."""
    probe, grid = Probe.linear(5, 1e-3), Grid((3, 3), 1e-3, (-1e-3, 9e-3))
    arrivals = sonoray.beamforming.arrivals.arrivals(sonoray.plane_waves([0.0]), probe, grid, C0)
    image = np.zeros((1, 3, 3), np.float32)
    image[0, 2, 1] = 2.0
    samples = Beamformer(arrivals, Sampling(FS, 500), f_number=None).adjoint(image)[0, 0]
    index = (0.010 + np.linalg.norm(probe.positions - [1e-3, 0, 0.010], axis=1)) / C0 * FS
    np.testing.assert_allclose(samples.sum(axis=1), 2.0, rtol=1e-5)
    np.testing.assert_allclose(samples @ np.arange(500) / 2.0, index, rtol=1e-6)
    assert ((samples != 0).sum(axis=1) <= 2).all()


@pytest.fixture
def levels():
    module = host_module()
    top = module.cpu_level()
    yield module
    module.set_cpu_level(top)


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("kind", ["float32", "complex64"])
@pytest.mark.parametrize("grid", ["2-D", "coarse", "free points"])
def test_processor_levels_and_lanes_agree(grid, kind, interpolation, lanes, levels, rng):
    arrivals = make_arrivals(rng, grid=grid)
    samples = make_samples(rng, arrivals, kind, n_samples=1500)
    for f_number in (None, 1.0137):
        beamform = Beamformer(arrivals, sampling_of(kind, 1500), f_number=f_number, interpolation=interpolation)
        want = delay_and_sum(arrivals, beamform.sampling, samples, f_number=f_number, interpolation=interpolation)
        beamform._plan["lanes"] = lanes
        for level in range(levels.cpu_level() + 1):
            levels.set_cpu_level(level)
            assert error(beamform(samples), want) < 1e-4, level


@pytest.mark.parametrize("kind", ["int16", "complex64"])
def test_any_number_of_threads_gives_the_same_numbers(kind, monkeypatch, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, kind, n_frames=5)
    strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(samples, 0, 3)), 3, 0)
    results = []
    for threads in ("1", "2", "7"):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        beamform = Beamformer(arrivals, sampling_of(kind))
        image = beamform(samples)
        results.append((image, beamform(strided), beamform.adjoint(image)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["int16", "float32", "complex64", "int16 pairs"])
def test_strides_do_not_matter(kind, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, kind, n_frames=2)
    beamform = Beamformer(arrivals, sampling_of(kind))
    want = beamform(samples)
    reversed_in_memory = np.ascontiguousarray(samples[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1]
    samples_first = np.moveaxis(np.ascontiguousarray(np.moveaxis(samples, 3, 0)), 0, 3)
    every_other = np.repeat(samples, 2, axis=3)[:, :, :, ::2]
    for view in (reversed_in_memory, samples_first, every_other):
        np.testing.assert_array_equal(beamform(view), want)


def test_channel_data_and_out(rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, "complex64")
    data = ChannelData(samples, LINEAR, sonoray.plane_waves([0.0, 0.1, 0.2]), FS, FC, start_time=1e-6)
    beamform = Beamformer(arrivals, data)
    assert beamform.is_iq
    assert beamform.shape == (49 * 30, 3 * 24 * 600)
    out = np.full((1, 49, 30), np.nan, np.complex64)
    assert beamform(data, out=out) is out
    np.testing.assert_array_equal(out, beamform(samples))
    with pytest.raises(ArgumentError, match="start_time"):
        beamform(data.with_(start_time=0.0))
    with pytest.raises(ArgumentError, match="sampling_frequency"):
        beamform(data.with_(sampling_frequency=2 * FS))
    with pytest.raises(ArgumentError, match="probe"):
        Beamformer(arrivals, data.with_(probe=Probe.linear(24, 0.2e-3)))
    with pytest.raises(ArgumentError, match="transmits"):
        Beamformer(arrivals, data.select(transmits=slice(0, 2)))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"window": "triangle"}, "window"),
        ({"window": ("hann", 0.3)}, "window"),
        ({"window": ("tukey", 1.5)}, "tukey"),
        ({"window": "hann", "f_number": None}, "window"),
        ({"f_number": -1.0}, "f_number"),
        ({"compounding": "sum"}, "compounding"),
        ({"interpolation": "nearest"}, "interpolation"),
        ({"directivity": -2.0}, "directivity"),
    ],
)
def test_refuses_options(options, name, rng):
    with pytest.raises(ArgumentError, match=name):
        Beamformer(make_arrivals(rng), Sampling(FS, 100), **options)


def test_refuses_arrays(rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals)
    beamform = Beamformer(arrivals, sampling_of("float32"))
    for bad, name in (
        (samples[0], "samples"),
        (samples[:, :2], "samples"),
        (samples[:, :, :5], "samples"),
        (samples[..., :0], "samples"),
        (samples.astype(np.float64), "samples"),
        (samples.astype(np.complex64), "RF"),
        (samples.astype(">f4"), "samples"),
    ):
        with pytest.raises(ArgumentError, match=name):
            beamform(bad)
    for out in (
        np.empty((1, 49, 30)),
        np.empty((1, 49, 31), np.float32),
        np.empty((1, 30, 49), np.float32).swapaxes(1, 2),
    ):
        with pytest.raises(ArgumentError, match="out"):
            beamform(samples, out=out)
    read_only = np.empty((1, 49, 30), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ArgumentError, match="out"):
        beamform(samples, out=read_only)
    with pytest.raises(ArgumentError, match="image"):
        beamform.adjoint(np.zeros((1, 49, 31), np.float32))
    with pytest.raises(ArgumentError, match="image"):
        beamform.adjoint(np.zeros((1, 49, 30), np.complex64))
    with pytest.raises(ArgumentError, match="incoherent"):
        Beamformer(arrivals, sampling_of("float32"), compounding="incoherent").adjoint(
            np.zeros((1, 49, 30), np.float32)
        )
    with pytest.raises(ArgumentError, match="I/Q"):
        Beamformer(arrivals, sampling_of("complex64"))(samples)
    with pytest.raises(ArgumentError, match="start_time"):
        Beamformer(arrivals, Sampling(FS, 100, 0.0, np.zeros(2)))
    with pytest.raises(DeviceError):
        Beamformer(arrivals, sampling_of("float32"), device="tpu")


@pytest.mark.parametrize("bad", [{"sampling_frequency": 25.0}, {"n_samples": 0}, {"start_time": np.nan}])
def test_refuses_sampling(bad):
    with pytest.raises(ArgumentError, match=next(iter(bad))):
        Sampling(**{"sampling_frequency": FS, "n_samples": 10, **bad})


def test_int16_full_scale_does_not_overflow(rng):
    arrivals = make_arrivals(rng)
    samples = np.full((1, 3, 24, 600), 32767, np.int16)
    beamform = Beamformer(arrivals, sampling_of("int16"), f_number=None)
    np.testing.assert_allclose(beamform(samples), 3 * 24 * 32767.0, rtol=1e-6)
    want = delay_and_sum(arrivals, beamform.sampling, as_numbers(samples), f_number=None)
    assert error(beamform(samples), want) < 1e-6
