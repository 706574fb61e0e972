"""sonoray born and the chain from raw traces on the shipped ring: files, resuming, slices; and ring images."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files

import numpy as np
import pytest

import sonoray
from sonoray.cli import main

RING = files("sonoray.assets") / "ring_example.mat"
FIRST = ["--outer-iterations", "1", "--reweightings", "2", "--inner-iterations", "4"]
QUICK = ["--tx-every", "4", "--rx-every", "4", "--spacing-mm", "4", "--frequencies", "250e3:400e3:4"]


def answer(capsys, *arguments):
    try:
        status = main([*map(str, arguments)])
    except SystemExit as end:  # of argparse
        status = end.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments):
    status, _, text = answer(capsys, *arguments)
    assert status in (1, 2)
    assert "Traceback" not in text
    return text


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """From raw traces: travel times, then waveforms."""
    folder = tmp_path_factory.mktemp("chain")
    command = ["tomography", RING, "-o", folder / "map.h5", "--then-born", *QUICK, *FIRST, "--truth", RING]
    assert main([*map(str, command), "--quiet", "--radius-mm", "60", "--pictures", str(folder / "stages")]) == 0
    return folder


def test_chain_from_raw_traces(chain):
    figures = json.loads((chain / "map.json").read_text())
    assert len(figures["travel_time"]["history"]) == 1
    assert figures["history"][-1]["relative_error"] > 0
    assert figures["errors_within_60_mm"]["relative_error"] > 0
    assert figures["settings"]["method"] == "hessian_free"
    assert sonoray.read(chain / "map.h5").grid.ndim == 2
    assert sonoray.read(chain / "map_travel_time.h5").grid.ndim == 2
    names = sorted(p.name for p in chain.iterdir())
    assert names == ["map.h5", "map.json", "map.png", "map_travel_time.h5", "stages"]
    stages = sorted(p.name for p in (chain / "stages").iterdir())
    assert "map_linearisation_001.png" in stages
    assert "map_initial.png" in stages
    assert f"map_set_{len(figures['history']):03d}.png" in stages


def test_born_goes_on_from_a_map(chain, tmp_path, capsys):
    """The second stage by itself gives the chain's map to the last bit."""
    status, text, progress = answer(
        capsys, "born", RING, "--initial", chain / "map_travel_time.h5", "-o", tmp_path / "map.h5", "--json",
        "--truth", RING, "--no-picture", *QUICK,
    )  # fmt: skip
    assert status == 0, progress
    assert np.array_equal(sonoray.read(tmp_path / "map.h5").sound_speed, sonoray.read(chain / "map.h5").sound_speed)
    figures = json.loads(text)
    assert figures == json.loads((tmp_path / "map.json").read_text())
    lines = progress.replace("\r", "").splitlines()
    assert len(lines) == len(figures["history"])
    assert "MHz" in lines[0]
    assert "error" in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.h5", "map.json"]


def heed_interrupts():
    """As in a terminal; children of a shell's background job ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupted_and_resumed(chain, tmp_path):
    """Ctrl-C ends with status 130 and says how to go on; the continuation gives the very same map."""
    command = [sys.executable, "-m", "sonoray", "born", str(RING), "--initial", str(chain / "map_travel_time.h5")]
    command += ["-o", str(tmp_path / "map.h5"), "--no-picture", *QUICK]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - touches nothing that threads share
    )
    checkpoint = tmp_path / "map.checkpoint"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was done before the interrupt came")
    assert process.returncode == 130
    assert "map.checkpoint; repeat the command with --resume" in text
    assert "Traceback" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["map.checkpoint"]
    subprocess.run([*command, "--resume", "--quiet"], check=True, env=environment)
    assert np.array_equal(sonoray.read(tmp_path / "map.h5").sound_speed, sonoray.read(chain / "map.h5").sound_speed)
    assert not checkpoint.exists()


def test_slices(chain, tmp_path, capsys):
    """Several files: a folder of maps, each from its own initial one; a damaged file fails alone."""
    (tmp_path / "initial").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.mat").write_bytes(RING.read_bytes())
        (tmp_path / "initial" / f"{name}.h5").write_bytes((chain / "map_travel_time.h5").read_bytes())
    (tmp_path / "two.mat").write_bytes(RING.read_bytes()[:400_000])
    status, text, progress = answer(
        capsys, "born", tmp_path / "one.mat", tmp_path / "two.mat", "--initial", tmp_path / "initial",
        "-o", tmp_path / "maps", "--processes", 0, "--retries", 1, *QUICK,
    )  # fmt: skip
    assert status == 1
    assert "1 done, 1 failed" in text
    assert "slice two failed" in progress
    assert "trying again" in progress
    assert "1 of 2 slices failed: two: FormatError" in progress
    made = sonoray.read(tmp_path / "maps" / "one.h5").sound_speed
    assert np.array_equal(made, sonoray.read(chain / "map.h5").sound_speed)
    summary = json.loads((tmp_path / "maps" / "stack.json").read_text())
    assert [s["attempts"] for s in summary["slices"]] == [1, 2]
    assert (tmp_path / "maps" / "one.png").exists()
    (tmp_path / "two.mat").write_bytes(RING.read_bytes())
    arguments = ["born", tmp_path / "one.mat", tmp_path / "two.mat", "--initial", tmp_path / "initial"]
    status, text, _ = answer(
        capsys, *arguments, "-o", tmp_path / "maps", "--processes", 0, "--retries", 1, *QUICK, "--resume", "--json"
    )
    assert status == 0
    assert json.loads(text)["counts"] == {"kept": 1, "done": 1}


def test_slices_do_not_replace_what_is_read(chain, tmp_path, capsys):
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.mat").write_bytes(RING.read_bytes())
    start = maps / "one.h5"
    start.write_bytes((chain / "map_travel_time.h5").read_bytes())
    kept = start.read_bytes()
    slices = (tmp_path / "one.mat", tmp_path / "two.mat")
    common = ("-o", maps, "--processes", 0, "--quiet", *QUICK)
    for option in ("--initial", "--water", "--truth", "--absorption"):
        assert "expected another one" in refused(capsys, "born", *slices, option, start, *common)
    assert "another file" in refused(capsys, "born", *slices, "--initial", maps, *common)
    assert "another file" in refused(capsys, "born", slices[0], "--initial", maps, "-o", start, *QUICK)
    start = start.rename(maps / "two_travel_time.h5")
    assert "expected another one" in refused(capsys, "tomography", *slices, "--then-born", "--truth", start, *common)
    assert start.read_bytes() == kept
    assert [p.name for p in maps.iterdir()] == ["two_travel_time.h5"]


def test_ring_image_through_a_map(tmp_path, capsys):
    """What the map is for: echoes of the same data along refracted paths; no frequency needs to be given."""
    sonoray.write(tmp_path / "map.h5", sonoray.load_ring_example()[2])
    for more in ([], ["--medium", tmp_path / "map.h5"]):
        status, text, progress = answer(
            capsys, "beamform", RING, "-o", tmp_path / "image.png", "--spacing-mm", 2, *more, "--json", "--quiet"
        )
        assert status == 0, progress
        assert json.loads(text)["elements"] == 64
    assert "center_frequency" in refused(capsys, "beamform", RING, "-o", tmp_path / "a.png", "--no-mute-direct")
    assert "degrees" in refused(capsys, "beamform", RING, "-o", tmp_path / "a.png", "--opening-deg", 400)


def test_ring_image_through_a_coarse_map(tmp_path, capsys):
    grid = sonoray.Grid.from_extent(x=(-0.16, 0.16), z=(-0.16, 0.16), spacing=4e-3)
    sonoray.write(tmp_path / "map.h5", sonoray.Medium(grid, np.full(grid.shape, 1480.0)))
    status, _, text = answer(
        capsys, "beamform", RING, "-o", tmp_path / "image.png", "--spacing-mm", 4, "--medium", tmp_path / "map.h5"
    )
    assert status == 0, text


def test_mistakes(chain, tmp_path, capsys):
    out = tmp_path / "map.h5"
    assert "FIRST:LAST" in refused(capsys, "born", RING, "-o", out, "--frequencies", "350e3-950e3")
    assert "invalid choice" in refused(capsys, "born", RING, "-o", out, "--method", "newton")
    assert "ending in .h5" in refused(capsys, "born", RING, "-o", tmp_path / "map.png")
    assert "folder for the maps" in refused(capsys, "born", RING, chain / "map.h5", "-o", out)
    assert "sound-speed map" in refused(capsys, "born", RING, "-o", out, "--initial", RING)
    assert "No such file" in refused(capsys, "born", RING, "-o", out, "--initial", tmp_path / "none.h5")
    high = ("--frequencies", "2e6:4e6", "--initial", chain / "map.h5", "--quiet")
    assert "Nyquist frequency 2.5e+06 Hz, got 4e+06" in refused(capsys, "born", RING, "-o", out, *high)
    assert "Dask scheduler" in refused(
        capsys, "born", RING, "-o", tmp_path / "maps", "--scheduler", "nonsense://here:1", "--quiet"
    )
    assert "No such file" in refused(capsys, "born", RING, "-o", out, "--absorption", tmp_path / "none.h5")
    start = ["--initial", chain / "map.h5"]
    assert "absorption" in refused(capsys, "born", RING, "-o", out, *start, "--absorption", chain / "map.h5")
    assert "absorption" in refused(capsys, "born", RING, "-o", out, *start, "--absorption", "-3")
    assert "rx_every: expected 1 to 64" in refused(capsys, "born", RING, "-o", out, "--rx-every", 100)


def test_absorption_is_known_or_estimated(chain, tmp_path, capsys):
    start = ["--initial", chain / "map.h5", *QUICK, "--quiet", "--no-picture"]
    for what in ("estimated", "5.0"):
        assert answer(capsys, "born", RING, "-o", tmp_path / "map.h5", *start, "--absorption", what)[0] == 0
        medium = sonoray.read(tmp_path / "map.h5")
        assert medium.absorption is not None and medium.absorption.min() >= 0
    assert medium.absorption.max() == 5.0
    assert answer(capsys, "born", RING, "-o", tmp_path / "map2.h5", *start, "--absorption", tmp_path / "map.h5")[0] == 0
