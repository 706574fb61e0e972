"""Verasonics workspaces: echoes that a system would record lie where they should, in both kinds of MATLAB files."""

import copy

import numpy as np
import pytest

import sonoray

from .io_makers import save_structs, verasonics_values, write_mat73

C, F = 1540.0, 5e6
WAVELENGTH = C / F
POINT = np.array([1e-3, 0, 0.012])


def save_v73(path, values):
    write_mat73(path, values, gzip=False)


SAVES = {"v5": save_structs, "v7.3": save_v73}


@pytest.fixture(params=SAVES)
def save(request):
    return SAVES[request.param]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.mat"


def echo_times(data, tx):
    """When each element should hear the point, by this package's definitions [s]."""
    fired = data.transmits[tx].firing_times(data.probe, C)
    to_point = np.linalg.norm(data.probe.positions - POINT, axis=1)
    transmit = data.transmits[tx]
    if transmit.kind == "plane":
        arrival = POINT @ transmit.direction / C
    elif transmit.kind == "focused":  # the point is in front of the focus: the last arrival
        arrival = np.linalg.norm(transmit.focus) / C - np.linalg.norm(POINT - transmit.focus) / C
    else:
        arrival = np.nanmin(fired + to_point / C)
    return arrival + to_point / C


def test_echoes_peak_at_their_paths(path, save):
    save(path, verasonics_values())
    data = sonoray.read(path)
    assert data.samples.shape == (2, 3, 16, 400) and data.samples.dtype == np.int16
    assert [t.kind for t in data.transmits] == ["plane", "focused", "element"]
    np.testing.assert_allclose(data.transmits[0].direction, [np.sin(0.2), 0, np.cos(0.2)], atol=1e-9)
    np.testing.assert_allclose(data.transmits[1].focus, [0, 0, 0.03], atol=1e-9)
    assert data.transmits[2].element == 5
    assert data.sampling_frequency == 20e6 and data.center_frequency == 5.2e6 and data.sound_speed == C
    assert data.probe.kind == "linear" and data.probe.pitch == pytest.approx(0.3e-3) and data.probe.name == "L7-4"
    assert data.probe.bandwidth == pytest.approx(3e6) and data.probe.width == pytest.approx(0.25e-3)
    for frame in (0, 1):
        for tx in range(3):
            peaks = data.times(tx)[data.samples[frame, tx].argmax(axis=1)]
            # Spikes are put on the nearest of 20 million samples a second.
            assert np.abs(peaks - echo_times(data, tx)).max() < 0.51 / 20e6
    assert data.samples[1].max() == 200 and data.samples[0].max() == 100  # frames in the order of time


def test_wavelengths_and_millimetres_say_the_same(path, save):
    values = verasonics_values()
    save(path, values)
    data = sonoray.read(path)
    trans = values["Trans"]
    trans["units"] = "wavelengths"
    trans["ElementPos"] = trans["ElementPos"] * np.array([*[1e-3 / WAVELENGTH] * 3, 1])
    for name in ("elementWidth", "lensCorrection"):
        trans[name] *= 1e-3 / WAVELENGTH
    save(path, values)
    again = sonoray.read(path)
    np.testing.assert_allclose(again.probe.positions, data.probe.positions, atol=1e-15)
    np.testing.assert_allclose(again.start_time, data.start_time, atol=1e-15)
    del trans["units"]  # older files: the pitch tells
    trans["spacing"] = 0.3e-3 / WAVELENGTH
    save(path, values)
    np.testing.assert_allclose(sonoray.read(path).probe.positions, data.probe.positions, atol=1e-15)
    del trans["spacing"]
    save(path, values)
    with pytest.raises(sonoray.FormatError, match="units"):
        sonoray.read(path)


def test_without_events_and_resources(path, save):
    values = verasonics_values()
    save(path, values)
    data = sonoray.read(path)
    for name in ("Event", "Resource"):
        del values[name]
    save(path, values)
    again = sonoray.read(path, tx_order=[2, 0, 1])
    assert [t.kind for t in again.transmits] == ["element", "plane", "focused"]
    plain = sonoray.read(path)  # as many TX as acquisitions
    np.testing.assert_array_equal(plain.start_time.argsort(), plain.start_time.argsort())
    np.testing.assert_array_equal(plain.samples, data.samples[::-1])  # no lastFrame: as they lie in the buffer
    values["TX"] = values["TX"][:2]
    save(path, values)
    with pytest.raises(sonoray.FormatError, match="tx_order="):
        sonoray.read(path)
    assert sonoray.read(path, tx_order=[0, 1, 1]).n_tx == 3
    for wrong in ({"tx_order": [0, 1]}, {"tx_order": [0, 1, 2]}, {"buffer": 1}, {"channels": "any"},
                  {"peak_time": 1.0}, {"sound_speed": 1.5}):  # fmt: skip
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(path, **wrong)


def test_channels(path, save):
    values = verasonics_values()
    save(path, values)
    data = sonoray.read(path)
    ordered = sonoray.read(path, channels="element")
    columns = np.asarray(values["Trans"]["Connector"]).ravel().astype(int) - 1
    np.testing.assert_array_equal(data.samples, ordered.samples[:, :, columns])
    del values["Trans"]["Connector"]
    save(path, values)
    np.testing.assert_array_equal(sonoray.read(path).samples, ordered.samples)


def test_the_clock_without_peak(path, save):
    values = verasonics_values()
    save(path, values)
    data = sonoray.read(path)
    peak = values["TW"].pop("peak") / F
    values["TW"]["Wvfm2Wy"] = np.exp(-(((np.arange(400) - 150) / 30) ** 2)) * np.cos((np.arange(400) - 150) / 8)
    save(path, values)
    np.testing.assert_allclose(sonoray.read(path).start_time, data.start_time + peak - 150 / 250e6, atol=1e-15)
    np.testing.assert_allclose(sonoray.read(path, peak_time=0.0).start_time, data.start_time + peak, atol=1e-15)


def test_baseband_is_iq_of_the_same_echo(path, save):
    values = verasonics_values()
    rows = np.zeros((600, 16, 1), np.int16)
    # Pairs of samples a quarter of a period apart, one pair each period: x(t) and x(t + T/4).
    begin = 2 * 10 / F
    times = begin + (np.arange(100)[:, None] / F + np.array([0, 0.25 / F])).ravel()
    rows[:200] = (1000 * np.cos(2 * np.pi * F * times + 0.7)).round().astype(np.int16)[:, None, None]
    values["RcvData"] = [rows]
    receive = values["Receive"][0]
    receive.update(sampleMode="BS100BW", quadDecim=2.0, startSample=1.0, endSample=200.0, demodFrequency=5.0)
    values["Receive"], values["TX"] = receive, {**values["TX"][0], "Delay": np.zeros((1, 16))}
    for name in ("Event", "Resource"):
        del values[name]
    del values["TW"]["peak"]
    values["Trans"]["lensCorrection"] = 0.0
    save(path, values)
    data = sonoray.read(path)
    assert data.is_iq and data.demodulation_frequency == F and data.sampling_frequency == F
    assert data.start_time[0] == pytest.approx(begin)
    # iq(t) exp(2 pi i f t) is the analytic signal; 1e-3: counts are whole numbers.
    analytic = data.samples[0, 0, 3] * np.exp(2j * np.pi * F * data.times())
    np.testing.assert_allclose(analytic, 1000 * np.exp(1j * (2 * np.pi * F * data.times() + 0.7)), atol=1.5)


REFUSED = {
    "mode": lambda v: v["Receive"][0].update(mode=1.0),
    "sampleMode": lambda v: [r.update(sampleMode="NS200BWI") for r in v["Receive"]],
    "one length": lambda v: v["Receive"][0].update(endSample=399.0),
    "rows 1 to": lambda v: v["Receive"][0].update(endSample=1e9),
    "decimSampleRate": lambda v: v["Receive"][0].update(decimSampleRate=10.0),
    "multiplexed": lambda v: v["TX"][0].update(Apod=np.ones((1, 8))),
    "int16": lambda v: v.update(RcvData=[np.zeros((9, 16))]),
    "channels": lambda v: v.update(RcvData=[np.zeros((1200, 12, 2), np.int16)]),
    "Event": lambda v: v["Event"][0].update(tx=9.0),
    "waveform": lambda v: v["TX"][0].update(waveform=3.0),
    "frequency": lambda v: v["Trans"].update(frequency=5e6),
    "ElementPos": lambda v: v["Trans"].update(ElementPos=np.zeros((16, 2))),
    "frame 1": lambda v: [r.update(bufnum=2.0) for r in v["Receive"]],
    "Connector": lambda v: v["Trans"].update(Connector=np.ones((16, 1))),
    "positions": lambda v: v["Trans"].update(ElementPos=np.zeros((16, 4))),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_told_is_refused(path, save, words):
    values = copy.deepcopy(verasonics_values())
    REFUSED[words](values)
    save(path, values)
    with pytest.raises(sonoray.FormatError, match=words) as caught:
        sonoray.read(path)
    assert str(path) in str(caught.value)
