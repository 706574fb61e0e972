"""sonoray tomography from end to end on the shipped ring, killed and resumed; and what it answers to mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files

import h5py
import numpy as np
import pytest

import sonoray
from sonoray.cli import main

RING = files("sonoray.assets") / "ring_example.mat"
QUICK = ["--spacing-mm", "5", "--outer-iterations", "2", "--reweightings", "2", "--inner-iterations", "4"]


def answer(capsys, *arguments):
    status = main(["tomography", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments):
    status, _, text = answer(capsys, *arguments)
    assert status == 1
    assert text.startswith("sonoray: ")
    assert "Traceback" not in text
    return text


def test_map_history_and_picture(tmp_path, capsys):
    status, text, progress = answer(
        capsys, RING, "-o", tmp_path / "map.h5", "--truth", RING, "--radius-mm", 60, "--json", *QUICK
    )
    assert status == 0, progress
    figures = json.loads(text)
    assert figures == json.loads((tmp_path / "map.json").read_text())
    assert len(figures["history"]) == 2
    assert figures["history"][1]["relative_error"] < 60
    assert figures["errors_within_60_mm"]["relative_error"] < 60
    assert figures["picks"]["picked"] > 2500
    medium = sonoray.read(tmp_path / "map.h5")
    assert medium.grid.spacing == (5e-3, 5e-3)
    assert 1440 < medium.sound_speed.min() < 1480 < medium.sound_speed.max() < 1570
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert not (tmp_path / "map.checkpoint").exists()


def test_options_reach_the_reconstruction(tmp_path, capsys):
    options = ["--published", "--solver", "cgls", "--no-water", "--picker", "aic", "--no-picture", "--quiet"]
    status, text, progress = answer(
        capsys, RING, "-o", tmp_path / "map.h5", "--tx-every", 2, "--rx-every", 2, "--spacing-mm", 4, *options
    )
    assert status == 0
    assert not progress
    assert "3 linearisations" in text
    settings = json.loads((tmp_path / "map.json").read_text())["settings"]
    assert (settings["solver"], settings["picker"], settings["kernel"]) == ("cgls", "aic", "ray")
    assert not (tmp_path / "map.png").exists()


def test_killed_and_resumed(tmp_path):
    """A run that is killed half-way leaves no half-written map, and its continuation gives the very same one."""
    command = [sys.executable, "-m", "sonoray", "tomography", str(RING), "--no-picture", "--quiet"]
    options = ["--spacing-mm", "4", "--outer-iterations", "6", "--reweightings", "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    subprocess.run([*command, "-o", str(whole), *options], check=True, env=environment)
    process = subprocess.Popen([*command, "-o", str(cut), *options], env=environment)
    checkpoint = cut.with_suffix(".checkpoint")
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not cut.exists()
    subprocess.run([*command, "-o", str(cut), *options, "--resume"], check=True, env=environment)
    assert np.array_equal(sonoray.read(cut).sound_speed, sonoray.read(whole).sound_speed)


def changed(tmp_path, change):
    """A copy of the shipped file with something wrong in it."""
    path = tmp_path / "ring.mat"
    path.write_bytes(RING.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(name, edit):
    def change(file):
        values = edit(file[name][()])
        del file[name]
        file[name] = values

    return change


def with_nan(values):
    values = values.astype("f4")
    values[3, 5, 100] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("full_dataset", with_nan), "finite values, got 1 NaN"),
        (replaced("time", lambda t: t * 1e6), "sampling_frequency: .*really in Hz|time"),
        (replaced("transducerPositionsXY", lambda p: p * 1e3), "transducerPositionsXY: .*really in m"),
        (replaced("transducerPositionsXY", lambda p: p[:10]), "full_dataset: expected"),
        (replaced("transducerPositionsXY", lambda p: p[np.random.default_rng(0).permutation(64)]), "sound speed"),
        (replaced("c_water", lambda c: c * 1e-3), "sound_speed: .*really in m/s"),
        (lambda file: file.__delitem__("time"), "expected one of the formats"),
        (lambda file: file.__delitem__("transducerPositionsXY"), "expected one of the formats"),
    ],
)
def test_bad_files_are_named(tmp_path, capsys, change, message):
    import re

    text = refused(capsys, changed(tmp_path, change), "-o", tmp_path / "map.h5", *QUICK, "--quiet")
    assert re.search(message, text), text
    assert not (tmp_path / "map.h5").exists()


def test_damaged_water_shots_are_not_taken_for_none(tmp_path, capsys):
    def spoil(values):
        values = values.astype("f4")
        values[0, 9, 200] = np.nan
        return values

    text = refused(capsys, changed(tmp_path, replaced("water_dataset", spoil)), "-o", tmp_path / "map.h5", *QUICK)
    assert "finite values, got 1 NaN" in text


def test_dead_channels_do_not_stop_it(tmp_path, capsys):
    def silence(values):
        values[:, 11] = 0
        values[40] = 0
        return values

    path = changed(tmp_path, replaced("full_dataset", silence))
    status, _, text = answer(capsys, path, "-o", tmp_path / "map.h5", *QUICK, "--quiet", "--no-picture")
    assert status == 0, text
    assert json.loads((tmp_path / "map.json").read_text())["picks"]["dead"] > 80


def test_mistakes(tmp_path, capsys, monkeypatch):
    out = tmp_path / "map.h5"
    half = tmp_path / "half.mat"
    half.write_bytes(RING.read_bytes()[:500_000])
    assert "half.mat" in refused(capsys, half, "-o", out)
    assert "output: expected a name ending in .h5" in refused(capsys, RING, "-o", tmp_path / "map.png")
    assert "folder that can be written" in refused(capsys, RING, "-o", tmp_path / "none" / "map.h5")
    assert "really in m/s" in refused(capsys, RING, "-o", out, "--sound-speed", 1.48)
    assert "tx_every: expected 1 to 64" in refused(capsys, RING, "-o", out, "--tx-every", 0)
    assert "picker: expected one of" in refused(capsys, RING, "-o", out, "--picker", "eye")
    assert "device" in refused(capsys, RING, "-o", out, "--device", "cuda:7")
    assert "highest: expected more than lowest" in refused(capsys, RING, "-o", out, "--highest", 1300)
    copy = tmp_path / "copy.h5"
    copy.write_bytes(RING.read_bytes())
    assert "another file than the input" in refused(capsys, copy, "-o", copy)
    assert copy.read_bytes() == RING.read_bytes()
    assert "another file than the input" in refused(capsys, RING, "-o", copy, "--truth", copy)
    copy = copy.rename(tmp_path / "map_travel_time.h5")
    assert "another file than the input" in refused(capsys, RING, "-o", out, "--truth", copy, "--then-born")
    assert copy.read_bytes() == RING.read_bytes()
    copy.unlink()
    assert "radius_mm: expected --truth" in refused(capsys, RING, "-o", out, "--radius-mm", 60)
    for name, value in (("frequencies", "250e3:400e3"), ("method", "gradient"), ("weighting", "uniform"),
                        ("absorption", "5.0"), ("exponent", "1.2")):  # fmt: skip
        assert f"{name}: expected --then-born" in refused(capsys, RING, "-o", out, f"--{name}", value)
    assert "No such file" in refused(capsys, tmp_path / "none.mat", "-o", out)
    assert list(tmp_path.iterdir()) == [half]


def test_a_wrong_water_speed_is_noticed(tmp_path, capsys):
    wrong = ("--sound-speed", 1540, "--quiet")
    assert "the sound speed right?" in refused(capsys, RING, "-o", tmp_path / "map.h5", *wrong)
    assert not (tmp_path / "map.h5").exists()
