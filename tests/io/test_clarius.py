"""Clarius raw data: written by hand, damaged, and the real carotid."""

import json
import struct

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, FormatError
from sonoray.acquisition.scan_lines import ScanLines
from sonoray.cli import main
from sonoray.imaging.doppler import doppler_power, doppler_velocity
from sonoray.imaging.scan_conversion import scan_convert_lines

NOTES = """# raw data parameters

frames: 2
frame rate: 18 Hz
transmit frequency: 5 MHz
size: {{samples per line: {samples}, number of lines: {lines}, sample size: {size} bytes}}
sampling rate: 15 MHz
delay samples: 10
lines:
"""


def write(folder, values, elements, angle=0.0, name="a_env", notes=None):
    """A pair of files; values (frames, lines, samples[, bytes or pairs])."""
    frames, lines, samples = values.shape[:3]
    size = values.dtype.itemsize * int(np.prod(values.shape[3:]))
    path = folder / f"{name}.raw"
    with path.open("wb") as file:
        file.write(struct.pack("<5I", 1, frames, lines, samples, size))
        for t, frame in enumerate(values):
            file.write(struct.pack("<Q", (t + 1) * 50_000_000) + frame.tobytes())
    text = NOTES.format(samples=samples, lines=lines, size=size) if notes is None else notes
    text += "".join(f"  - {{rx element: {e:g}, tx element: {e:g}, angle: {angle:g} °}}\n" for e in elements)
    path.with_suffix(".yml").write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def envelope(tmp_path):
    values = np.arange(2 * 5 * 30, dtype=np.uint8).reshape(2, 5, 30)
    return write(tmp_path, values, [0, 1, 2, 3, 4]), values


def test_envelopes_come_with_their_geometry(envelope):
    path, values = envelope
    lines = sonoray.read(path, pitch=3e-4)
    assert isinstance(lines, ScanLines)
    np.testing.assert_array_equal(lines.samples[:, 0], values)
    np.testing.assert_allclose(lines.x, (np.arange(5) - 2) * 3e-4)
    np.testing.assert_allclose(lines.ranges, (10 + np.arange(30)) / 15e6 * 1540 / 2)
    np.testing.assert_allclose(lines.timestamps, [0.05, 0.1])
    assert (lines.angle, lines.center_frequency, lines.frame_rate) == (0.0, 5e6, 18.0)
    assert "2 frames x 1 shots x 5 lines x 30 samples" in repr(lines)
    np.testing.assert_allclose(sonoray.read(path, sound_speed=1480.0).ranges, lines.ranges * 1480 / 1540)


def test_ensembles_of_iq_have_their_shots_innermost(tmp_path):
    rng = np.random.default_rng(0)
    pairs = rng.integers(-3000, 3000, (1, 4, 20, 3, 2), dtype=np.int16)  # lines, samples, shots, I and Q
    path = write(tmp_path, pairs.reshape(1, 12, 20, 2), np.repeat([30, 31, 32, 33], 3), 15.0, "a_iq")
    lines = sonoray.read(path)
    assert lines.samples.shape == (1, 3, 4, 20)
    assert lines.samples.dtype == np.complex64
    np.testing.assert_array_equal(lines.samples[0].real, pairs[0, ..., 0].transpose(2, 0, 1))
    np.testing.assert_array_equal(lines.samples[0].imag, pairs[0, ..., 1].transpose(2, 0, 1))
    assert lines.angle == pytest.approx(np.deg2rad(15))
    np.testing.assert_allclose(lines.x, (np.array([30, 31, 32, 33]) - 95.5) * 2e-4)


def test_rf_is_kept_as_it_is(tmp_path):
    values = np.random.default_rng(0).integers(-900, 900, (1, 3, 8), dtype=np.int16)
    lines = sonoray.read(write(tmp_path, values, [0, 1, 2], name="a_rf"))
    np.testing.assert_array_equal(lines.samples[:, 0], values)
    assert lines.samples.dtype == np.int16


def test_damage_is_refused(envelope):
    path, _ = envelope
    whole = path.read_bytes()
    for cut in (len(whole) - 1, 40, 21):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match="expected"):
            sonoray.read(path, format="clarius")
    huge = struct.pack("<5I", 1, 2**31, 2**31, 2**31, 4) + whole[20:]
    path.write_bytes(huge)
    with pytest.raises(FormatError, match="expected"):
        sonoray.read(path, format="clarius")
    path.write_bytes(whole)
    notes = path.with_suffix(".yml")
    text = notes.read_text(encoding="utf-8")
    for wrong, message in (
        (text.replace("delay samples", "delay"), "'delay samples' in the notes"),
        (text.replace("sampling rate: 15", "sampling rate: x"), "'sampling rate' in the notes"),
        (text + "  - {rx element: 9, tx element: 9, angle: 0 °}\n", "expected 5 lines in the notes, got 6"),
        (text.replace("rx element: 4, tx element: 4, angle: 0", "rx element: 4, tx element: 4, angle: 3"), "one angle"),
        (text.replace("rx element: 1,", "rx element: 0,"), "equally many shots"),
        (text.replace("rx element: 1,", "rx element: 7,"), "x: expected rising positions"),
        (text.replace("transmit frequency: 5", "transmit frequency: 5e9"), "center_frequency: expected"),
    ):
        notes.write_text(wrong, encoding="utf-8")
        with pytest.raises(FormatError, match=message):
            sonoray.read(path)
    notes.unlink()
    with pytest.raises(FormatError, match=r"expected a_env.yml beside it"):
        sonoray.read(path)


def test_options_are_checked(envelope):
    path, _ = envelope
    with pytest.raises(ArgumentError, match="pitch: expected"):
        sonoray.read(path, pitch=0.2)
    with pytest.raises(ArgumentError, match="sound_speed: expected"):
        sonoray.read(path, sound_speed=1.54)


@pytest.mark.parametrize("angle", [0.0, 0.3, -0.2])
def test_lines_are_converted_exactly_where_the_image_is_linear(angle):
    x, ranges = np.linspace(-5e-3, 5e-3, 21), np.linspace(1e-3, 12e-3, 40)
    image = np.add.outer(200 * x, 100 * ranges)
    lines = ScanLines(image[None, None].astype("f4"), x, angle, ranges, 5e6)
    grid = sonoray.Grid((61, 50), 2e-4, (-6e-3, 0.5e-3))
    shown = scan_convert_lines(image, lines, grid, fill=-1)
    gx, gz = np.meshgrid(grid.x, grid.z, indexing="ij")
    start, along = gx - gz * np.tan(angle), gz / np.cos(angle)
    inside = (np.abs(start) <= 5e-3 + 1e-9) & (along >= 1e-3 - 1e-9) & (along <= 12e-3 + 1e-9)
    np.testing.assert_array_equal(shown != -1, inside)
    np.testing.assert_allclose(shown[inside], (200 * start + 100 * along)[inside], atol=1e-5)
    with pytest.raises(ArgumentError, match="image: expected numbers of shape"):
        scan_convert_lines(image.T, lines, grid)
    with pytest.raises(ArgumentError, match="grid: expected a Grid"):
        scan_convert_lines(image, lines, (3, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": np.zeros((2, 3))}, "samples: expected numbers of shape"),
        ({"samples": np.full((1, 1, 3, 4), np.nan)}, "samples: expected finite"),
        ({"x": [0, 1e-3]}, "x: expected shape"),
        ({"x": [0, 2e-3, 1e-3]}, "x: expected rising"),
        ({"ranges": [1, 2, 3, 4]}, "ranges: expected values from -1 to 1 m"),
        ({"angle": 15}, "angle: expected"),
        ({"center_frequency": 5}, "center_frequency: expected"),
        ({"timestamps": [1.0, 2.0]}, "timestamps: expected shape"),
    ],
)
def test_lines_that_do_not_fit_are_refused(change, message):
    good = {"samples": np.zeros((1, 1, 3, 4), np.float32), "x": [0, 1e-3, 2e-3], "angle": 0.0,
            "ranges": [0, 1e-3, 2e-3, 3e-3], "center_frequency": 5e6}  # fmt: skip
    ScanLines(**good)
    with pytest.raises(ArgumentError, match=message):
        ScanLines(**{**good, **change})


def test_the_real_carotid_flows_one_way_in_a_dark_lumen(real_data):
    folder = real_data("clarius-carotid-doppler/carotid_iq.raw").parent
    iq, envelope = sonoray.read(folder / "carotid_iq.raw"), sonoray.read(folder / "carotid_env.raw")
    assert iq.samples.shape == (1, 12, 104, 352)
    assert envelope.samples.shape == (1, 1, 304, 592)
    limit = 0.385  # m/s, on the scanner's screen
    smooth = {"wall_filter": 1, "average": (5, 9)}
    velocity = doppler_velocity(iq.samples[0], 5e6, 4 * 5e6 * limit / 1540, **smooth)
    power = doppler_power(iq.samples[0], **smooth)
    flowing = power > 1.5 * np.quantile(power, 0.6)
    assert (velocity[flowing] > 0).mean() > 0.9  # red on the screen
    assert 0.2 * limit < np.median(velocity[flowing]) < 0.7 * limit
    grid = sonoray.Grid.from_extent(x=(-10e-3, 8e-3), z=(6e-3, 21e-3), spacing=1e-4)
    grey = scan_convert_lines(envelope.samples[0, 0].astype("f4"), envelope, grid)
    blood = np.nan_to_num(scan_convert_lines(flowing.astype("f4"), iq, grid)) > 0.99
    assert blood.sum() > 1000
    assert grey[blood].mean() < 0.35 * grey[~blood].mean()


def test_a_cut_file_and_its_notes_say_what_is_wrong(tmp_path, capsys):
    path = write(tmp_path, np.ones((2, 40, 20), "u1"), np.arange(40))
    with pytest.raises(FormatError, match=r"give the \.raw beside it"):
        sonoray.read(path.with_suffix(".yml"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="expected 2 frames of 40 x 20 .* truncated"):
        sonoray.read(path)


def test_lines_are_described_and_kept_in_the_own_format(tmp_path, capsys):
    path = write(tmp_path, np.arange(800, dtype="u1").reshape(2, 20, 20), np.arange(20), angle=10.0)
    lines = sonoray.read(path)
    assert main(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["format"] == "clarius" and facts["kind"] == "scan_lines" and facts["signal"] == "envelope"
    assert (
        facts["n_lines"] == 20
        and facts["center_frequency"] == 5e6
        and facts["angle"] == pytest.approx(0.1745, abs=1e-4)
    )
    assert facts["max_depth"] == pytest.approx(29 / 15e6 * 770 * np.cos(facts["angle"]), rel=1e-3)
    sonoray.write(tmp_path / "a.h5", lines)
    back = sonoray.read(tmp_path / "a.h5")
    assert isinstance(back, ScanLines) and back.samples.dtype == lines.samples.dtype
    for name in ("samples", "x", "ranges", "timestamps", "angle", "center_frequency", "frame_rate"):
        np.testing.assert_array_equal(getattr(back, name), getattr(lines, name))
