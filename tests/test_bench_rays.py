"""The ray benchmarks' own rules: jobs with a known answer, absent peers are named, nothing of r-Wave is here."""

import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from sonoray import Grid
from sonoray.media import phantoms

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench import harness
from bench.peers import sonoray_times
from bench.peers.rwave_octave import RWave
from bench.peers.worker import UnavailableError, Worker
from bench.ray_job import WATER, FishEye, RingJob, box_mean, gradient_times, raw_index, sampled
from bench.rays import bench_rays_peers

sys.path.pop(0)
ROOT = Path(__file__).parents[1]
# A tracer with r-Wave's interface that knows only straight lines: it goes to the antipode in steps of ds.
STRAIGHT = """function [finish, row, nodes] = calcRayMixedStep(n, coefficients, start, direction, x, y, z, first, ...
    last, h, ds, size_of, dim, geometry, mask, with_row)
finish = -start;
count = round(norm(finish - start) / ds);
nodes = start + (finish - start) * (0:count) / count;
row = sparse(prod(size_of), 1);
row(1) = norm(finish - start) / n(1);
end
"""


def test_the_fish_eye_focuses_at_the_antipode():
    """Every ray is an arc of a circle through both points; the integral of n ds along each is pi / 2."""
    job = FishEye(n_rays=4)
    assert job.index.shape == (len(job.axis),) * 2
    assert math.isclose(job.index.max(), 1.0, rel_tol=1e-3)
    for direction in job.directions:
        turn = np.arcsin(direction[0])
        angle = np.linspace(turn, -turn, 20001)  # about the centre, which lies on z = 0
        x, z = (np.cos(angle) - np.cos(turn)) / np.sin(turn), np.sin(angle) / np.sin(turn)
        path = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
        length = np.trapezoid(1 / (1 + x**2 + z**2), path)
        assert length == pytest.approx(job.length, rel=1e-7)
        first = np.array([x[1] - x[0], z[1] - z[0]])
        np.testing.assert_allclose(first / np.linalg.norm(first), direction, atol=1e-4)


def test_the_ring_has_the_same_medium_on_every_grid():
    coarse, fine = RingJob(1e-3).data(), RingJob(5e-4).data()
    np.testing.assert_allclose(fine[::2, ::2], coarse, rtol=1e-9)
    assert coarse.min() > 1460 and coarse.max() < 1555  # averaged: the extremes of the inclusions are not reached
    np.testing.assert_array_equal(coarse[:3], WATER)
    index = raw_index(RingJob().axis)
    assert box_mean(index)[118, 110] == pytest.approx(index[115:122, 107:114].mean(), rel=1e-12)


def test_gradient_times_are_those_of_the_library():
    job = RingJob(medium="gradient", every=64)
    grid = Grid.from_extent(x=(-job.half, job.half), z=(-job.half, job.half), spacing=job.spacing)
    medium = phantoms.constant_gradient(grid, WATER, job.slope)
    np.testing.assert_allclose(job.data(), medium.sound_speed, rtol=1e-6)
    want = phantoms.constant_gradient_times(job.elements, job.sources, WATER, job.slope)
    np.testing.assert_allclose(gradient_times(job.sources, job.elements, job.slope), want, rtol=1e-9, atol=1e-15)


def test_judging_counts_missing_pairs():
    job = RingJob(medium="gradient", n_elements=16, every=4)
    times = np.nan_to_num(job.times())
    facts = job.judge(times + 2e-9)
    assert [facts["rms_ns"], facts["max_ns"], facts["bias_ns"]] == pytest.approx([2.0] * 3) and facts["missing"] == 0
    times[0, 5] = np.nan
    assert job.judge(times)["missing"] == 1
    assert job.judge(np.full_like(times, np.nan)) == {"missing": 4 * 15}


def test_sampling_is_exact_for_bilinear_fields():
    job = RingJob()
    x, z = np.meshgrid(job.axis, job.axis, indexing="ij")
    points = np.random.default_rng(3).uniform(-0.118, 0.118, (50, 3))
    got = sampled((2 + 3 * x - z + 5 * x * z)[None], job.axis, points)[0]
    np.testing.assert_allclose(got, 2 + 3 * points[:, 0] - points[:, 2] + 5 * points[:, 0] * points[:, 2], rtol=1e-12)


@pytest.mark.parametrize("option", ["", "link"])
def test_our_own_times_are_right(option):
    job = RingJob(medium="gradient", n_elements=32, every=8)
    execute, times, note = sonoray_times.prepare(job, job.data(), option)
    facts = job.judge(times(execute()))
    assert facts["missing"] == 0 and facts["max_ns"] < 0.1 and note  # of 150 us; the eikonal's times are float32


# First-order methods err by about the time over a cell or two (2 mm: 1.35 us); that is a check of the interface.
@pytest.mark.parametrize("adapter", ["ttcrpy:fsm1", "ttcrpy:dspm", "pykonal"])
def test_peers_answer_or_are_named(adapter):
    package, _, option = adapter.partition(":")
    job = RingJob(2e-3, medium="gradient", n_elements=16, every=8)
    try:
        python = os.environ.get("SONORAY_PEERS_PYTHON", sys.executable)
        worker = Worker(package, job, option=option, python=python)
    except UnavailableError as reason:
        assert package in str(reason)
        pytest.skip(f"{package} is not installed")
    wall, cpu = worker.run()
    worker.close()
    assert wall > 0 and cpu > 0
    assert worker.facts["missing"] == 0 and worker.facts["max_ns"] < 2700


def test_rwave_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv("SONORAY_RWAVE", raising=False)
    with pytest.raises(UnavailableError, match="--rwave or SONORAY_RWAVE"):
        RWave()
    with pytest.raises(UnavailableError, match="no functions-raytracing in"):
        RWave(tmp_path)
    (tmp_path / "r-Wave" / "functions-raytracing").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="no-such-interpreter"):
        RWave(tmp_path, "no-such-interpreter")
    committed = {p.name for p in (ROOT / "bench" / "peers" / "rwave").rglob("*.m")}
    assert committed == {"sonoray_rwave.m", "wrapToPi.m"}


@pytest.mark.skipif(not any(map(shutil.which, ("octave-cli", "octave"))), reason="no GNU Octave")
def test_the_driver_runs_functions_of_that_interface(tmp_path):
    """A stand-in for a checkout, so that the driver and the exchange of arrays are tested without r-Wave."""
    folder = tmp_path / "functions-raytracing"
    folder.mkdir()
    (folder / "calcRayMixedStep.m").write_text(STRAIGHT)
    job = FishEye(n_rays=3, h=0.05)
    given = {
        "interpolation": "cubic", "n": job.index, "x": job.axis, "h": job.h, "ds": 0.1,
        "start": np.array([[0.0], [1.0]]), "directions": job.directions.T,
    }  # fmt: skip
    rwave = RWave(tmp_path)
    result = rwave.call("trace", scheme="mixed", **given)
    np.testing.assert_allclose(result["length"], 2.0, rtol=1e-12)
    np.testing.assert_array_equal(result["points"], 21)
    np.testing.assert_allclose(result["finish"].T, [[0.0, -1.0]] * 3, atol=1e-15)
    assert result["cpu"] >= 0 and result["interpreter"] == "GNU Octave"
    with pytest.raises(UnavailableError, match="calcRayDualUpdate"):
        rwave.call("trace", scheme="dual", **given)


def test_ratios_say_when_they_are_no_result():
    def result(name, seconds):
        contender = harness.Contender(name, "a case", None, work=10.0)
        return harness._result(contender, [(s, s) for s in seconds])

    lines = list(bench_rays_peers.ratios([result("sonoray", (1.0, 1.2)), result("peer", (4.0, 5.0))]))
    assert (
        len(lines) == 1
        and "no result" not in lines[0]
        and lines[0].startswith("- sonoray (a case) / peer: 4 x (3 to 5)")
    )
    assert "no result" in next(bench_rays_peers.ratios([result("sonoray", (1.0, 5.0)), result("peer", (4.0, 5.0))]))
    schemes = [result(f"{who} heun", (1.0, 1.1)) for who in ("sonoray", "peer")] + [result("sonoray rk4", (0.1, 0.1))]
    assert next(bench_rays_peers.ratios(schemes)).startswith("- sonoray heun ")
    shown = bench_rays_peers.table("times", [result("sonoray", (1.0, 1.0))])
    assert "| sonoray | 10 | 10 to 10 | 25.6 |" in shown
