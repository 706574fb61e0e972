"""The benchmarks' own rules: fair order, even rounds, a right answer to compare with."""

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench import harness, pages
from bench.doppler_job import DopplerJob
from bench.job import common, ensemble
from bench.peers import sonoray_das, sonoray_doppler

sys.path.pop(0)


def contender(name, calls, times=(2.0, 1.0)):
    def run():
        calls.append(name)
        return times

    return harness.Contender(name, "case", run, work=10.0)


def test_rounds_alternate_their_order():
    calls = []
    results = harness.measure([contender("a", calls), contender("b", calls)], rounds=4, verbose=False)
    assert "".join(calls) == "ab" + "abba" * 2
    assert [r.rate for r in results] == [10.0, 10.0]
    with pytest.raises(ValueError, match="even"):
        harness.measure([], rounds=3)


def test_a_ratio_within_its_band_is_no_result():
    calls = []
    one, two = harness.measure([contender("a", calls), contender("b", calls, (2.0, 3.0))], rounds=2, verbose=False)
    assert harness.ratio(one, two) == (3.0, (3.0, 3.0), True)
    assert not harness.ratio(one, one)[2]
    assert "| 10 to 10 |" in harness.table([replace(one, work=1e7)])


def test_effective_points_lie_in_the_aperture():
    assert common(11, "rf").effective == common(11, "rf").nominal == 256 * 512 * 128 * 11
    # mach's protocol: 0.553 of all, counted by a program of its own
    assert ensemble().effective / ensemble().nominal == pytest.approx(0.553, abs=2e-3)


@pytest.mark.parametrize("kind", ["rf", "iq"])
@pytest.mark.parametrize(("option", "f_number", "frames"), [("", 0.0, 1), ("", 1.5, 3), ("eikonal", 0.0, 1)])
def test_the_job_has_one_answer(kind, option, f_number, frames):
    """The job's float64 answer against ours, which has tests of its own."""
    job = replace(common(2, kind, f_number), n_frames=frames, x_range=(-9e-3, 9e-3, 32), z_range=(5e-3, 30e-3, 64))
    data = job.data()
    execute, images, _ = sonoray_das.prepare(job, data, option)
    for frame in range(frames):
        assert job.error(images(execute())[frame], data, frame) < 2e-4
    assert job.error(np.roll(images(execute())[0], 1, -1), data) > 0.1


@pytest.mark.parametrize("order", [-1, 1, 3])
def test_the_doppler_job_has_one_answer(order):
    job = DopplerJob(12, 20, 30, order=order)
    data = job.data()
    execute, images, _ = sonoray_doppler.prepare(job, data, "")
    assert job.judge(images(execute()), data)["error"] < 1e-5
    assert job.judge(np.roll(images(execute()), 1, 0), data)["error"] > 0.05


def test_validation_is_written_from_the_figures():
    """A figure that changed in bench/figures.toml is in the page, and its command names files that exist."""
    figures = tomllib.loads(pages.FIGURES.read_text())
    assert pages.written(pages.PAGE.read_text(), figures) == pages.PAGE.read_text(), "run `python -m bench.pages`"
    assert pages.written(pages.PAGE.read_text(), {**figures, "page": []}) != pages.PAGE.read_text()
    shown = {page["file"] for page in figures["page"]}
    assert shown == {path.relative_to(pages.ROOT).as_posix() for path in pages.FIGURES.parent.glob("*.md")}
    for row in figures["validation"]:
        command = row.get("held") or row["repeat"]
        assert command.startswith("pytest ") == ("held" in row), command
        for word in command.split():
            file = word.replace(".", "/") + ".py" if word.startswith("bench.") else word
            assert "/" not in file or (pages.ROOT / file).exists(), command
