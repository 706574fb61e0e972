"""ModelSpec: what is kept in the file, what it says of channel data, and how data is made to fit."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoray import ArgumentError, ChannelData, FormatError, ModelSpec, OnnxModel, Probe, Transmit, demodulate
from sonoray.learning import TensorSpec, attach_spec, fit_channel_data, write_spec
from sonoray.learning.onnx_file import read_onnx

from .makers import SPEC, helper, model, onnx, product, saved, saved_outside

TENSORS = {"inputs": (TensorSpec("x", ("batch", "tx", "rx", "sample", "part")),), "outputs": (TensorSpec("y", ()),)}
texts = st.text(max_size=20)


@given(
    name=st.text(min_size=1, max_size=20),
    description=texts,
    sampling_frequency=st.none() | st.floats(1e4, 1e9),
    demodulation_frequency=st.none() | st.just(0.0) | st.floats(2e4, 1e8),
    start_time=st.none() | st.floats(-1e-2, 1e-1),
    n_samples=st.none() | st.integers(1, 1 << 20),
    scale=st.floats(1e-6, 1e6),
    value_range=st.none() | st.just((-1.5, 2.5)),
    settings=st.dictionaries(texts, st.integers(-5, 5) | texts | st.lists(st.floats(-1, 1)), max_size=3),
)
def test_metadata_gives_back_the_spec(name, scale, value_range, **values):
    tensor = TensorSpec("x", ("batch", "row"), "Pa", "scale", scale, -0.5, value_range, (1, 8))
    spec = ModelSpec(name, (tensor,), TENSORS["outputs"], **values)
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec


@pytest.mark.parametrize("outside", [False, True])
def test_attached_and_written_specs_are_read_by_onnxruntime_and_onnx(tmp_path, outside):
    proto = product()
    if outside:
        filled = write_spec(saved_outside(tmp_path, proto), SPEC)
    else:
        filled = attach_spec(proto, SPEC)
        onnx.save(proto, tmp_path / "model.onnx")
    network = OnnxModel(tmp_path / "model.onnx")
    assert network.spec == filled and filled.opset == 18 and network.digest == filled.digest
    assert network.spec.settings == {"grid": [1, 2.5], "name": "a"}
    found = {p.key: p.value for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert found["sonoray.licence"] == "Apache-2.0" and found["sonoray.digest"] == filled.digest


def test_write_spec_replaces_ours_and_keeps_others(tmp_path):
    proto = product()
    proto.metadata_props.add(key="author", value="somebody")
    path = saved(tmp_path, proto)
    write_spec(path, SPEC)
    write_spec(path, SPEC.with_(version="4", licence=""), tmp_path / "new.onnx")
    metadata = read_onnx(tmp_path / "new.onnx").metadata
    assert metadata["author"] == "somebody" and metadata["sonoray.version"] == "4"
    assert "sonoray.licence" not in metadata
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "new.onnx"]


def test_weights_stay_beside_their_model(tmp_path):
    path = saved_outside(tmp_path, product())
    (tmp_path / "other").mkdir()
    with pytest.raises(ArgumentError, match="beside its weights"):
        write_spec(path, SPEC, tmp_path / "other" / "model.onnx")


def test_attach_spec_wants_values_inside(tmp_path):
    proto = onnx.load(saved_outside(tmp_path, product()), load_external_data=False)
    with pytest.raises(ArgumentError, match="save it first"):
        attach_spec(proto, SPEC)


def tampered(folder, change):
    proto = product()
    attach_spec(proto, SPEC)
    change(proto)
    return saved(folder, proto)


def edit(proto, key, change):
    entry = next(p for p in proto.metadata_props if p.key == key)
    entry.value = change(entry.value)


def weight_changed(proto):
    proto.graph.initializer[0].raw_data = b"\1" + proto.graph.initializer[0].raw_data[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weight_changed, "was changed"),
        (lambda p: setattr(p.graph.node[0], "op_type", "Gemm"), "was changed"),
        (lambda p: edit(p, "sonoray", lambda v: v.replace("10000000.0", "20000000.0")), "sampling_frequency"),
        (
            lambda p: [
                edit(p, k, lambda v: v.replace("10000000.0", "20000000.0"))
                for k in ("sonoray", "sonoray.sampling_frequency")
            ],
            "was changed",
        ),
        (lambda p: edit(p, "sonoray.licence", lambda v: "MIT"), "sonoray.licence"),
        (lambda p: edit(p, "sonoray", lambda v: "{" * 100_000), "expected a ModelSpec"),
        (lambda p: edit(p, "sonoray", lambda v: "[" * 100_000), "expected a ModelSpec"),
        (lambda p: edit(p, "sonoray", lambda v: "[]"), "newer sonoray"),
        (lambda p: edit(p, "sonoray", lambda v: v.replace('"format": 1', '"format": 2')), "newer sonoray"),
        (lambda p: edit(p, "sonoray", lambda v: v.replace('"task"', '"tusk"')), "tusk"),
        (lambda p: edit(p, "sonoray", lambda v: " " * (2 << 20) + v), "at most"),
        (lambda p: edit(p, "sonoray", lambda v: v.replace("10000000.0", "NaN")), "sampling_frequency"),
        (lambda p: edit(p, "sonoray", lambda v: v.replace('"inputs": [{', '"inputs": [7, {')), "ModelSpec"),
    ],
)
def test_tampering_is_seen(tmp_path, change, message):
    with pytest.raises(FormatError, match=message):
        OnnxModel(tampered(tmp_path, change))


def test_the_callers_digest_counts(tmp_path):
    path = saved(tmp_path, product())
    digest = OnnxModel(path).digest
    assert OnnxModel(path, digest=digest).spec is None
    with pytest.raises(FormatError, match="the caller"):
        OnnxModel(path, digest="0" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sampling_frequency", 10), ("pitch", 0.3), ("n_samples", 0), ("training_data", "abc"), ("licence", 3),
     ("settings", {"a": np.ones(2)}), ("settings", {"a": float("nan")}), ("inputs", ()),
     ("inputs", TENSORS["inputs"] * 2), ("name", "")],
)  # fmt: skip
def test_specs_check_their_values(name, value):
    with pytest.raises(ArgumentError, match=name):
        SPEC.with_(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("axes", "xy"), ("axes", ("x", "batch")), ("normalization", "max"), ("scale", 0), ("value_range", (1, 0)),
     ("pad_multiple", (1,)), ("pad_multiple", (1, 0))],
)  # fmt: skip
def test_tensors_check_their_values(name, value):
    with pytest.raises(ArgumentError, match=name):
        TensorSpec(**{"name": "x", "axes": ("batch", "x"), name: value})


def test_normalization(rng):
    values = rng.normal(3, 2, (4, 50)).astype("f4")
    scaled = TensorSpec("x", ("batch", "s"), normalization="scale", scale=4, offset=2).normalized(values)
    np.testing.assert_allclose(scaled, (values - 2) / 4, rtol=1e-6)
    iq = (values + 1j * values[::-1]).astype("c8")
    iq[2] = 0
    rms = TensorSpec("x", ("batch", "s"), normalization="rms", scale=2).normalized(iq)
    np.testing.assert_allclose(np.mean(np.abs(rms) ** 2, axis=1), [0.25, 0.25, 0, 0.25], rtol=1e-5)
    assert rms.dtype == np.complex64
    out = np.empty_like(values)
    assert TensorSpec("x", ("batch", "s")).normalized(values, out=out) is out
    np.testing.assert_array_equal(out, values)


# Channel data: a Gaussian pulse that travels, sampled in any way, is the same pulse.

FS, F0, T0, N = 20e6, 3e6, 2e-6, 400
DELAYS = np.array([7.13, 9.6, 11.4, 12.97]) * 1e-6


def pulse(t, f_demodulation):
    """Gaussian pulse of 3 MHz at each element's delay: RF for 0, else I/Q."""
    late = t - DELAYS[:, None]
    envelope = np.exp(-((late / 0.35e-6) ** 2))
    if not f_demodulation:
        return (envelope * np.cos(2 * np.pi * F0 * late)).astype("f4")
    return (envelope * np.exp(2j * np.pi * F0 * late - 2j * np.pi * f_demodulation * t)).astype("c8")


def channel_data(fs=FS, f=F0, t0=T0, n=N, probe=None):
    samples = pulse(t0 + np.arange(n) / fs, f)[None, None]
    transmit = Transmit.plane(0.0)
    return ChannelData(samples, probe or Probe.linear(4, 0.3e-3), transmit, fs, f, F0, t0)


def spec_for(fs=FS, f=F0, t0=T0, n=N):
    return ModelSpec(
        "speed", **TENSORS, n_tx=1, n_elements=4, pitch=0.3e-3, sampling_frequency=fs, demodulation_frequency=f,
        start_time=t0, n_samples=n,
    )  # fmt: skip


def test_data_that_fits_is_passed_on_as_it_is():
    data = channel_data()
    assert spec_for().check(data) == ()
    assert fit_channel_data(data, spec_for()) is data
    bare = ModelSpec("any", **TENSORS)
    assert fit_channel_data(data, bare) is data


def test_small_deviations_are_tolerated():
    data = channel_data(fs=FS * (1 + 5e-5), probe=Probe.linear(4, 0.3003e-3))
    assert spec_for().check(data) == ()
    assert {d.what for d in spec_for().check(data, frequency_tolerance=1e-6, pitch_tolerance=1e-4)} == {
        "sampling_frequency",
        "pitch",
    }


def test_refusals_name_every_difference():
    data = channel_data(fs=25e6, t0=3e-6, n=300)
    with pytest.raises(ArgumentError) as caught:
        fit_channel_data(data, spec_for())
    for text in ("sampling_frequency: expected 2e+07 Hz, got 2.5e+07", "start_time", "n_samples: expected 400, got 300",
                 "resample=True"):  # fmt: skip
        assert text in str(caught.value)


@pytest.mark.parametrize("probe", [Probe.linear(5, 0.3e-3), Probe.linear(4, 0.2e-3)], ids=["elements", "pitch"])
def test_what_resampling_cannot_cure(probe):
    data = channel_data(probe=Probe.linear(4, 0.3e-3))
    n = probe.n_elements
    data = ChannelData(np.zeros((1, 1, n, N), "c8"), probe, data.transmits, 25e6, F0)
    with pytest.raises(ArgumentError, match="n_elements|pitch") as caught:
        fit_channel_data(data, spec_for(), resample=True)
    assert "sampling_frequency" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "want", "tolerance"),
    [
        # An integer shift copies samples.
        ({"t0": T0 - 20 / FS, "n": N + 50}, {}, 0),
        ({"t0": T0 + 10 / FS, "n": N - 20}, {}, 1e-6),
        # A fraction of a sample, by the spectrum; the pulse is below 1e-7 at half the sampling frequency.
        ({"t0": T0 - 20.37 / FS, "n": N + 50}, {}, 1e-5),
        # resample_poly's filter has ripples of 1e-3.
        ({"fs": 25e6, "n": 600}, {}, 3e-3),
        ({"fs": 40e6, "n": 900}, {}, 3e-3),
        # Remodulated, demodulated with a Butterworth filter.
        ({"f": 2.8e6}, {}, 2e-2),
        ({"f": 0.0}, {}, 2e-2),
        ({}, {"f": 0.0}, 2e-2),
        ({"f": 0.0, "fs": 40e6, "n": 900, "t0": 1.3e-6}, {"fs": 10e6, "n": 180}, 2e-2),
    ],
)
def test_resampled_data_is_what_would_have_been_recorded(given, want, tolerance):
    spec = spec_for(**want)
    result = fit_channel_data(channel_data(**given), spec, resample=True)
    assert spec.check(result) == ()
    expected = channel_data(**want)
    np.testing.assert_allclose(result.samples, expected.samples, atol=max(tolerance, 1e-12))
    np.testing.assert_allclose(result.start_time, expected.start_time, atol=1e-12)


def test_each_transmit_has_its_own_shift():
    one, two = channel_data(), channel_data(t0=T0 + 0.5 / FS)
    both = ChannelData(
        np.concatenate([one.samples, two.samples], axis=1),
        one.probe,
        one.transmits * 2,
        FS,
        F0,
        F0,
        [T0, T0 + 0.5 / FS],
    )
    result = fit_channel_data(both, spec_for().with_(n_tx=2), resample=True)
    np.testing.assert_allclose(result.samples[:, 1], one.samples[:, 0], atol=1e-5)


def test_int16_records_are_shifted():
    rf = channel_data(f=0.0)
    stored = rf.with_(samples=np.round(rf.samples * 3000).astype("i2"))
    whole = fit_channel_data(stored, spec_for(f=0.0, t0=T0 + 5 / FS, n=300), resample=True)
    assert whole.samples.dtype == np.int16
    np.testing.assert_array_equal(whole.samples, stored.samples[..., 5:305])
    part = fit_channel_data(stored, spec_for(f=0.0, t0=T0 + 5.5 / FS, n=300), resample=True)
    np.testing.assert_allclose(part.samples, 3000 * channel_data(f=0.0, t0=T0 + 5.5 / FS, n=300).samples, atol=2)


def test_spec_of_demodulated_data():
    rf = channel_data(f=0.0)
    assert [d.what for d in spec_for().check(rf)] == ["demodulation_frequency"]
    assert spec_for().check(demodulate(rf, F0)) == ()


def test_json_is_plain():
    values = json.loads(SPEC.to_metadata()["sonoray"])
    assert values["format"] == 1 and values["inputs"][0]["axes"] == ["batch", "feature"]


def test_the_pages_example(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    block = next(b for b in re.findall(r"```python\n(.*?)```", page, re.S) if "write_spec(" in b)
    node = helper.make_node("ReduceMean", ["iq", "axes"], ["speed"], keepdims=0)
    ports = [("iq", ["n", 64, 64, 1024, 2])], [("speed", ["n", 1024, 2])]
    proto = model([node], *ports, [("axes", np.array([1, 2]))])
    saved(tmp_path, proto, "speed.onnx")
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    assert OnnxModel("speed.onnx").spec.sound_speed == 1540
