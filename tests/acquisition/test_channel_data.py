"""Channel data: timing, views, and refusals by name."""

import numpy as np
import pytest

from sonoray import ArgumentError, ChannelData, Probe, Transmit, plane_waves

PROBE = Probe.linear(8, 3e-4)
WAVES = plane_waves([-0.1, 0.0, 0.1])


def make(samples=None, **options):
    samples = np.zeros((2, 3, 8, 50), "f4") if samples is None else samples
    return ChannelData(samples, PROBE, WAVES, options.pop("sampling_frequency", 20e6), **options)


def test_counts_times_and_depth():
    data = make(start_time=[1e-6, 2e-6, 3e-6], sound_speed=1500.0)
    assert (data.n_frames, data.n_tx, data.n_rx, data.n_samples) == (2, 3, 8, 50)
    np.testing.assert_allclose(data.times(1), 2e-6 + np.arange(50) / 20e6, rtol=1e-12)
    assert data.end_time == pytest.approx(3e-6 + 49 / 20e6)
    assert data.max_depth == pytest.approx(750 * data.end_time)
    np.testing.assert_array_equal(make(start_time=-1e-6).start_time, [-1e-6] * 3)


@pytest.mark.parametrize("dtype", ["i2", "f4", "c8"])
def test_samples_are_not_copied_whatever_their_strides(dtype):
    source = np.zeros((50, 8, 3, 4), dtype).transpose(3, 2, 1, 0)[::2]
    data = make(source, demodulation_frequency=5e6 if dtype == "c8" else 0.0)
    assert np.shares_memory(data.samples, source) and data.samples.dtype == dtype
    assert data.is_iq == (dtype == "c8")
    assert source.flags.writeable and not data.samples.flags.writeable


def test_double_precision_is_cast():
    assert make(np.zeros((1, 3, 8, 5))).samples.dtype == np.float32
    assert make(np.zeros((1, 3, 8, 5), complex), demodulation_frequency=5e6).samples.dtype == np.complex64


def test_one_transmit_need_not_be_a_list():
    assert ChannelData(np.zeros((1, 1, 8, 5), "i2"), PROBE, Transmit.plane(), 20e6).n_tx == 1


def test_select_takes_frames_and_transmits_with_their_timing():
    samples = np.arange(2 * 3 * 8 * 50, dtype="f4").reshape(2, 3, 8, 50)
    data = make(samples, start_time=[1e-6, 2e-6, 3e-6])
    part = data.select(transmits=slice(1, None))
    assert np.shares_memory(part.samples, samples) and part.transmits == tuple(WAVES[1:])
    np.testing.assert_array_equal(part.start_time, [2e-6, 3e-6])
    np.testing.assert_array_equal(data.select(frames=1, transmits=[2, 0]).samples, samples[[1]][:, [2, 0]])
    np.testing.assert_array_equal(data.select(frames=slice(0, 1), transmits=-1).samples, samples[:1, [2]])
    np.testing.assert_array_equal(data.select(transmits=np.array([True, False, True])).start_time, [1e-6, 3e-6])
    assert data.select().n_tx == 3


def test_with_checks_again():
    assert make().with_(sound_speed=1480.0).sound_speed == 1480.0
    with pytest.raises(ArgumentError, match="sound_speed"):
        make().with_(sound_speed=1.48)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: make(np.zeros((2, 2, 8, 50), "f4")), "samples.*3 transmits, 8 elements"),
        (lambda: make(np.zeros((2, 3, 7, 50), "f4")), "samples.*8 elements"),
        (lambda: make(np.zeros((3, 8, 50), "f4")), "samples.*shape"),
        (lambda: make(np.zeros((2, 3, 8, 0), "f4")), "samples.*shape"),
        (lambda: make(np.zeros((2, 3, 8, 50), "u1")), "samples.*int16"),
        (lambda: make(np.full((2, 3, 8, 50), np.nan, "f4")), "samples.*finite"),
        (lambda: make(np.full((2, 3, 8, 50), np.inf, "c8"), demodulation_frequency=5e6), "samples.*finite"),
        (lambda: make(np.zeros((2, 3, 8, 50), "c8")), "demodulation_frequency"),
        (lambda: make(demodulation_frequency=5e6), "demodulation_frequency.*real"),
        (lambda: make(sampling_frequency=20.0), "sampling_frequency.*Hz"),
        (lambda: make(sampling_frequency=np.nan), "sampling_frequency.*finite"),
        (lambda: make(center_frequency=5.0), "center_frequency.*Hz"),
        (lambda: make(start_time=10.0), "start_time.* s"),
        (lambda: make(start_time=[0.0, 0.0]), "start_time.*shape"),
        (lambda: make(start_time=[0.0, np.nan, 0.0]), "start_time.*finite"),
        (lambda: make(start_time="soon"), "start_time"),
        (lambda: make(sound_speed=1.54), "sound_speed.*m/s"),
        (lambda: make(frame_rate=-5.0), "frame_rate"),
        (lambda: ChannelData(np.zeros((1, 1, 8, 5), "f4"), "L7-4", Transmit.plane(), 2e7), "probe"),
        (lambda: ChannelData(np.zeros((1, 1, 8, 5), "f4"), PROBE, [], 2e7), "transmits"),
        (lambda: ChannelData(np.zeros((1, 1, 8, 5), "f4"), PROBE, [0.1], 2e7), "transmits"),
        (lambda: ChannelData(np.zeros((1, 1, 8, 5), "f4"), PROBE, Transmit.single(8), 2e7), "element"),
        (lambda: make().select(frames=2), "frames.*below 2"),
        (lambda: make().select(transmits=[0, 3]), "transmits.*below 3"),
        (lambda: make().select(transmits=[]), "transmits"),
        (lambda: make().select(frames=slice(5, 9)), "frames"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
