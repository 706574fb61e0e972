"""Stacks of slices: on processes as one at a time, with processes that die, slices that fail, interrupts, clusters."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sonoray
from sonoray.inversion.stacks import find_slices, reconstruct_stack, travel_time_map
from sonoray.inversion.workers import shares

QUICK = {"spacing": 4e-3, "outer_iterations": 2, "reweightings": 1, "inner_iterations": 3, "kernel": "ray"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory, recorder):
    """A file of three frames (slices) and one of a single frame, the water faster in each."""
    folder = tmp_path_factory.mktemp("stack")
    slices = [recorder(recorder.distance / c, seed=k, noise=0.02) for k, c in enumerate((1500.0, 1505.0, 1510.0))]
    data = slices[0].with_(samples=np.concatenate([s.samples for s in slices]), center_frequency=1e6)
    sonoray.write(folder / "breast.h5", data)
    sonoray.write(folder / "last.h5", recorder(recorder.distance / 1495).with_(center_frequency=1e6))
    return [folder / "breast.h5", folder / "last.h5"]


@pytest.fixture(scope="module")
def alone(stack, tmp_path_factory):
    """The maps made here, one at a time."""
    folder = tmp_path_factory.mktemp("alone")
    summary = reconstruct_stack(stack, folder, options=QUICK, processes=0)
    assert [s.status for s in summary.slices] == ["done"] * 4
    return {s.name: sonoray.read(s.output).sound_speed for s in summary.slices}


def mark(folder, name):
    """Count calls across processes: how often this one was made before."""
    number = 0
    while True:
        try:
            (Path(folder) / f"{name}.{number}").open("x").close()
        except FileExistsError:
            number += 1
        else:
            return number


def troubled(source, output, options):
    """Dies at its first attempt at one slice, always refuses another, does the rest."""
    options = dict(options)
    before = mark(options.pop("marks"), source.name)
    if source.name == "breast_0" and before == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if source.name == "breast_1":
        raise RuntimeError("no echo in this slice")
    if source.name == "breast_2" and before == 0:
        raise OSError("the disk was away")
    return travel_time_map(source, output, options) | {"threads": os.environ["SONORAY_THREADS"]}


def test_slices_of_files_and_frames(stack, tmp_path):
    found = find_slices(stack)
    assert [s.name for s in found] == ["breast_0", "breast_1", "breast_2", "last"]
    assert [s.frame for s in found] == [0, 1, 2, None]
    whole = sonoray.read(stack[0])
    assert np.array_equal(found[2].read().samples[0], whole.samples[2])
    for k in "ab":
        (tmp_path / k).mkdir()
        (tmp_path / k / "data.h5").write_bytes(stack[1].read_bytes())
    assert [s.name for s in find_slices([tmp_path / k / "data.h5" for k in "ab"])] == ["a_data", "b_data"]
    with pytest.raises(sonoray.ArgumentError, match="names of their folders"):
        find_slices([stack[1], stack[1]])
    with pytest.raises(sonoray.ArgumentError, match="at least one"):
        find_slices([])
    with pytest.raises(FileNotFoundError):
        find_slices(tmp_path / "none.h5")
    with pytest.raises(sonoray.ArgumentError, match="frame: expected 0 to 2"):
        sonoray.read(stack[0], frame=3)


def test_deaths_and_failures_on_two_processes(stack, alone, tmp_path):
    """A process that is killed and a slice that cannot be done leave the other maps as they are without them."""
    pytest.importorskip("distributed")
    out, reports = tmp_path / "out", []
    before = dict(os.environ)
    summary = reconstruct_stack(
        stack,
        out,
        job=troubled,
        options={**QUICK, "marks": str(tmp_path)},
        processes=2,
        threads=1,
        report=lambda r: reports.append((r.name, r.status, r.error)),
    )
    assert dict(os.environ) == before
    assert [s.status for s in summary.slices] == ["done", "failed", "done", "done"]
    assert [s.attempts for s in summary.slices] == [2, 3, 2, 1]
    assert [s.name for s in summary.failed] == ["breast_1"]
    assert summary.failed[0].error == "RuntimeError: no echo in this slice"
    assert "died" in summary.slices[0].error
    assert "the disk was away" in summary.slices[2].error
    assert len(list(tmp_path.glob("breast_1.*"))) == 3
    assert len(reports) == 8
    for result in summary.slices:
        if result.status == "done":
            assert np.array_equal(sonoray.read(result.output).sound_speed, alone[result.name])
            assert result.figures["threads"] == "1"
            assert len(result.figures["history"]) == 2
    assert json.loads((out / "stack.json").read_text()) == json.loads(json.dumps(summary.as_dict()))
    assert sorted(p.name for p in out.iterdir()) == ["breast_0.h5", "breast_2.h5", "last.h5", "stack.json"]


def test_scheduler_of_ones_own(stack, alone, tmp_path):
    """With the address of a scheduler; what was done before is kept."""
    distributed = pytest.importorskip("distributed")
    first = reconstruct_stack(stack[1], tmp_path, options=QUICK, processes=0)
    written = Path(first.slices[0].output).stat().st_mtime_ns
    with distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        summary = reconstruct_stack(
            stack, tmp_path, options=QUICK, scheduler=cluster.scheduler_address, resume=True, threads=1
        )
    assert [s.status for s in summary.slices] == ["done", "done", "done", "kept"]
    assert Path(first.slices[0].output).stat().st_mtime_ns == written
    for result in summary.slices:
        assert np.array_equal(sonoray.read(result.output).sound_speed, alone[result.name])


def flaky(source, output, options):
    if source.name == "breast_1" and options["stop"]:
        raise KeyboardInterrupt
    return travel_time_map(source, output, QUICK)


def test_interrupt_and_resume(stack, alone, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        reconstruct_stack(stack, tmp_path, job=flaky, options={"stop": True}, processes=0)
    assert json.loads((tmp_path / "stack.json").read_text())["counts"] == {"done": 1, "waiting": 3}
    summary = reconstruct_stack(stack, tmp_path, job=flaky, options={"stop": False}, processes=0, resume=True)
    assert [s.status for s in summary.slices] == ["done"] * 4  # other options: nothing is kept
    summary = reconstruct_stack(stack, tmp_path, job=flaky, options={"stop": False}, processes=0, resume=True)
    assert [s.status for s in summary.slices] == ["kept"] * 4
    assert np.array_equal(sonoray.read(summary.slices[1].output).sound_speed, alone["breast_1"])


def two_stages(source, output, options):
    """Stands for a job with a checkpoint of each stage, which refuses those of other options."""
    for checkpoint in (output.with_name(f"{output.stem}_first.checkpoint"), output.with_suffix(".checkpoint")):
        if checkpoint.exists() and checkpoint.read_text() != options["what"]:
            raise sonoray.ArgumentError("checkpoint: expected one of the same data")
        checkpoint.write_text(options["what"])
    if options["what"] == "stop":
        raise KeyboardInterrupt
    output.write_bytes(b"map")
    return {}


def test_checkpoints_of_every_stage_go_with_other_options(stack, tmp_path):
    run = {"job": two_stages, "processes": 0, "retries": 0, "stages": ["first"]}
    with pytest.raises(KeyboardInterrupt):
        reconstruct_stack(stack[1], tmp_path, options={"what": "stop"}, **run)
    assert (tmp_path / "last_first.checkpoint").exists()
    summary = reconstruct_stack(stack[1], tmp_path, options={"what": "go"}, **run)
    assert [s.status for s in summary.slices] == ["done"], summary.slices[0].error


def test_resume_notices_other_content(stack, tmp_path):
    """Files that options name, and files like the slice in a folder, by what they hold; no others."""
    start, folder = tmp_path / "start.h5", tmp_path / "starts"
    folder.mkdir()
    start.write_text("1")
    (folder / "last.h5").write_text("1")
    run = {"job": two_stages, "processes": 0, "options": {"what": "go", "start": start, "starts": folder}}

    def status():
        return [s.status for s in reconstruct_stack(stack[1], tmp_path / "out", resume=True, **run).slices]

    assert [status(), status()] == [["done"], ["kept"]]
    start.write_text("20")
    assert [status(), status()] == [["done"], ["kept"]]
    (folder / "last.h5").write_text("20")
    (folder / "stack.json").write_text("{}")
    assert [status(), status()] == [["done"], ["kept"]]
    (folder / "stack.json").write_text("{ }")
    assert status() == ["kept"]


def heed_interrupts():
    """As in a terminal; children of a shell's background job ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


SCRIPT = """
import pathlib, time
from sonoray.inversion.workers import run_tasks

def work(path):
    pathlib.Path(path).touch()
    time.sleep(60)

if __name__ == "__main__":
    list(run_tasks(work, [(%r,)], processes=1, threads=1))
"""


def test_ctrl_c_ends_the_processes(tmp_path):
    """An interrupt of the whole process group, as a terminal sends it, ends it quickly and leaves nobody behind."""
    pytest.importorskip("distributed")
    import psutil

    script, begun = tmp_path / "script.py", tmp_path / "begun"
    script.write_text(SCRIPT % str(begun))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - touches nothing that threads share
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, text = process.communicate(timeout=150)
    assert time.monotonic() - begin < 30
    assert process.returncode == -signal.SIGINT
    assert text.count("Traceback") == 1, text
    assert children
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_mistakes(stack, tmp_path, monkeypatch):
    with pytest.raises(sonoray.ArgumentError, match="another one than the data's"):
        reconstruct_stack(stack[1], stack[1].parent)
    (tmp_path / "last.h5").write_bytes(stack[1].read_bytes())
    with pytest.raises(sonoray.ArgumentError, match="or the options'"):
        reconstruct_stack(stack[1], tmp_path, options={"water": str(tmp_path / "last.h5")})
    with pytest.raises(sonoray.ArgumentError, match="sent to other processes"):
        reconstruct_stack(stack, tmp_path, options={"report": lambda: 0})
    with pytest.raises(sonoray.ArgumentError, match="workers of its own"):
        reconstruct_stack(stack, tmp_path, scheduler="tcp://127.0.0.1:1", processes=2)
    with pytest.raises(sonoray.ArgumentError, match="retries: expected 0 to"):
        reconstruct_stack(stack, tmp_path, retries=-1)
    (tmp_path / "damaged.h5").write_bytes(stack[1].read_bytes()[:5000])
    summary = reconstruct_stack([tmp_path / "damaged.h5"], tmp_path / "out", processes=0, retries=0)
    assert "FormatError" in summary.failed[0].error
    (tmp_path / "out" / "stack.json").write_text("[]")
    with pytest.raises(sonoray.FormatError, match="summary of a stack"):
        reconstruct_stack(stack, tmp_path / "out", resume=True)
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[dask\]"):
        reconstruct_stack(stack, tmp_path / "none")


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setenv("SONORAY_THREADS", "16")
    assert shares(100, None, None) == (8, 2)
    assert shares(3, None, None) == (3, 5)
    assert shares(100, None, 4) == (4, 4)
    assert shares(100, 32, None) == (32, 1)
