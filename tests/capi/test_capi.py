"""The C API gives the images of the Python path: any transmit, straight and refracted paths, RF and I/Q, sectors."""

import numpy as np
import pytest

import sonoray
from sonoray import Beamformer, ChannelData, Grid, Medium, Probe, SectorGrid, Transmit, arrivals

from .library import Pipeline, load

PROBE = Probe.linear(24, 3e-4, center_frequency=5e6)
GRID = Grid((20, 50), (3e-4, 1e-4), (-2.85e-3, 3e-3))
MAP = Grid((51, 61), (2e-4, 2e-4), (-5e-3, 0.0))
PLANES = tuple(Transmit.plane(a) for a in (-0.2, 0.0, 0.2))
FOCUSED = tuple(Transmit.focused((x, 0.0, 6e-3)) for x in (-1e-3, 1e-3))


def channel_data(transmits, *, iq=False, integers=False, probe=PROBE, n_samples=300):
    rng = np.random.default_rng(3)
    shape = (1, len(transmits), probe.n_elements, n_samples)
    samples = rng.standard_normal(shape).astype(np.float32)
    if iq:
        samples = (samples + 1j * rng.standard_normal(shape)).astype(np.complex64)
    if integers:
        samples = (1000 * samples).astype(np.int16)
    return ChannelData(
        samples,
        probe,
        transmits,
        sampling_frequency=20e6,
        start_time=1e-6,
        sound_speed=1540.0,
        demodulation_frequency=5e6 if iq else 0.0,
    )


def by_python(data, grid, speed, *, gain=0.0, window="hann", **options):
    paths = arrivals(data.transmits, data.probe, grid, speed, sequence_sound_speed=1540.0, weighting="none", **options)
    image = Beamformer(paths, data, f_number=1.2, window=window)(data.samples)[0]
    envelope = sonoray.depth_gain(sonoray.envelope(image), grid, gain, 5e6)
    return image, envelope, sonoray.log_compress(envelope, 50.0)


def require_same(found, truth, *, relative=2e-5):
    """Of the C API and of Python: same core, other roundings of times and logarithms."""
    image, envelope, decibels = truth
    largest = np.abs(image).max()
    assert np.abs(found["image"] - image).max() <= relative * largest
    assert np.abs(found["envelope"] - envelope).max() <= relative * envelope.max()
    bright = decibels > -40  # where an error of `relative` is small in dB, too
    assert np.abs(found["decibels"] - decibels)[bright].max() < 0.05
    assert found["decibels"].max() == 0


def run(data, grid=GRID, *, speed=None, **settings):
    pipeline = Pipeline(data, grid, f_number=1.2, dynamic_range=50.0, threads=2, **settings)
    try:
        if speed is not None:
            pipeline.set_map(speed)
        return pipeline(data.samples[0])
    finally:
        pipeline.close()


def test_version_is_the_packages():
    assert load().sonoray_version().decode() == sonoray.__version__


@pytest.mark.parametrize("kind", ["rf", "int16", "iq"])
def test_planes_in_one_speed(kind):
    data = channel_data(PLANES, iq=kind == "iq", integers=kind == "int16")
    found = run(data, attenuation=50.0)
    truth = by_python(data, GRID, 1540.0, gain=50.0)
    require_same(found, truth)
    grey = sonoray.to_uint8(truth[2], 50.0).astype(int)
    assert np.abs(found["grey"] - grey).max() <= 1


SEQUENCES = {
    "planes": PLANES,
    "diverging": (Transmit.diverging((0.0, 0.0, -4e-3)), Transmit.diverging((1e-3, 0.0, -6e-3))),
    "focused": FOCUSED,
    "elements": (Transmit.single(0), Transmit.single(11)),
    "delays": (Transmit.free(np.linspace(0, 4e-7, 24)),),
    "parts": (Transmit.plane(0.1, apodization=np.r_[np.ones(9), np.zeros(15)]),),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("speed", [1540.0, 1480.0])
def test_any_transmit_in_one_speed(name, speed):
    data = channel_data(SEQUENCES[name], iq=True)
    require_same(run(data, sound_speed=speed), by_python(data, GRID, speed))


@pytest.mark.parametrize("name", SEQUENCES)
def test_any_transmit_through_a_map(name):
    x, z = np.meshgrid(MAP.x, MAP.z, indexing="ij")
    medium = Medium(MAP, (1540 - 60 * np.exp(-((x - 1e-3) ** 2 + (z - 3e-3) ** 2) / 2e-6)).astype(np.float32))
    data = channel_data(SEQUENCES[name], iq=True)
    found = run(data, speed=medium.sound_speed, map=MAP, table_spacing=4e-4)
    truth = by_python(data, GRID, medium, table_spacing=4e-4)
    require_same(found, truth, relative=1e-4)  # a map's times are float32 in both, from tables made in other orders


def test_sector_is_scan_converted():
    probe = Probe.linear(24, 1.5e-4, center_frequency=5e6)
    data = channel_data((Transmit.diverging((0.0, 0.0, -3e-3)),), iq=True, probe=probe)
    sector = SectorGrid(np.linspace(3e-3, 9e-3, 60), np.linspace(-0.5, 0.5, 21))
    display = sonoray.covering_grid(sector, 1e-4)
    found = run(data, sector, display=display)
    truth = by_python(data, sector, 1540.0)
    require_same(found, truth)
    shown = sonoray.to_uint8(sonoray.scan_convert(truth[2], sector, display), 50.0).astype(int)
    different = np.abs(found["grey"] - shown)
    assert different.max() <= 2
    assert (different > 1).mean() < 1e-3


def test_volume():
    probe = Probe.matrix(4, 4, 4e-4, center_frequency=5e6)
    data = channel_data((Transmit.plane(), Transmit.diverging((0.0, 0.0, -5e-3))), iq=True, probe=probe)
    grid = Grid((5, 4, 30), (3e-4, 3e-4, 1e-4), (-6e-4, -4.5e-4, 3e-3))
    for speed in (1540.0, 1480.0):
        require_same(run(data, grid, sound_speed=speed), by_python(data, grid, speed))


def test_refusals_carry_their_text():
    data = channel_data(PLANES)
    with pytest.raises(RuntimeError, match="1: sound_speed: expected 300 to 12000 m/s, got 1.54"):
        run(data, sound_speed=1.54)
    pipeline = Pipeline(data, GRID, map=MAP)
    with pytest.raises(RuntimeError, match=r"sound_speed\[7\]: expected 300 to 12000 m/s, got nan"):
        pipeline.set_map(np.where(np.arange(51 * 61) == 7, np.nan, 1540.0))
    with pytest.raises(RuntimeError, match="frame: expected"):
        pipeline(data.samples[0][:, :, :-1])
    pipeline.close()
