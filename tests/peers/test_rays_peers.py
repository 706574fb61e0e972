"""Two-point rays and picks against r-Wave, which the user has: SONORAY_RWAVE names the checkout (peer)."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.peers.rwave_octave import RWave, planar
from bench.peers.sonoray_times import medium
from bench.peers.worker import UnavailableError
from bench.ray_job import WATER, FishEye, RingJob, box_mean, raw_index

sys.path.pop(0)
from sonoray import ChannelData, Probe, Transmit
from sonoray.inversion.picking import pick_first_arrivals
from sonoray.rays.linking import RayLinker

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def rwave():
    try:
        return RWave()
    except UnavailableError as reason:
        pytest.skip(str(reason))


# Much the same number for all four: at this step their spline's smoothing limits the length, not the scheme.
@pytest.mark.parametrize("scheme", ["mixed", "dual", "characteristics", "heun"])
def test_the_driver_reproduces_the_toolbox_on_the_fish_eye(rwave, scheme):
    job = FishEye(n_rays=11)
    result = rwave.call(
        "trace", scheme=scheme, interpolation="cubic", n=job.index, x=job.axis, h=job.h, ds=job.h,
        start=np.array([[0.0], [1.0]]), directions=job.directions.T,
    )  # fmt: skip
    assert 100 * np.mean(np.abs(result["length"] / job.length - 1)) == pytest.approx(0.0102, abs=3e-4)


def test_linked_rays_are_those_of_rwave(rwave):
    """With its spline, which smooths, and its step; the schemes differ (Heun, RK4), hence hundredths of a ns."""
    job = RingJob()
    raw = raw_index(job.axis)
    emitter, receivers = job.elements[:1], job.elements[[98, 118, 138, 158]]
    theirs = rwave.call(
        "link", n=raw, x=job.axis, h=job.spacing, emitters=planar(emitter), receivers=planar(receivers), step=1.0,
        window=7.0, linker="Secant", tracer="Runge-kutta-2nd", interpolation="Bspline", minimum_distance=0.01,
    )  # fmt: skip
    np.testing.assert_allclose(theirs["smooth"], box_mean(raw), rtol=1e-12)
    ours = RayLinker(medium(job, WATER / box_mean(raw)), interpolation="smoothing")(emitter, receivers)
    np.testing.assert_allclose(np.asarray(theirs["length"]) / WATER, ours.time[0], rtol=0, atol=1e-10)
    angle = np.arctan2(ours.take_off[0, :, 2], ours.take_off[0, :, 0])
    np.testing.assert_allclose(theirs["angles"], angle, rtol=0, atol=5e-5)


def test_aic_picks_are_those_of_rwave(rwave):
    job, fs, n = RingJob(), 5e6, 901
    receivers = job.elements[[64, 100, 128, 160]]
    onset = np.linalg.norm(receivers - job.elements[0], axis=1) / WATER
    late = np.maximum(np.arange(n) / fs - onset[:, None], 0.0)
    traces = (late / 1e-6) * np.exp(-late / 0.6e-6) * np.cos(2 * np.pi * 0.6e6 * late)
    traces += 0.003 * np.random.default_rng(0).standard_normal(traces.shape)
    theirs = rwave.call(
        "pick", data=traces[:, :, None], time=np.arange(n) / fs, emitters=planar(job.elements[:1]),
        receivers=planar(receivers), speeds=np.array([WATER - 50, WATER + 50]), duration=4e-6, threshold=0.25,
        minimum_distance=0.01,
    )  # fmt: skip
    probe = Probe(np.concatenate([job.elements[:1], receivers]), center_frequency=0.6e6)
    samples = np.concatenate([np.zeros((1, n)), traces]).astype(np.float32)
    data = ChannelData(samples[None, None], probe, [Transmit.single(0)], fs, sound_speed=WATER)
    ours = pick_first_arrivals(data, method="aic", pulse_duration=4e-6, threshold=0.25).time[0, 1:]
    np.testing.assert_allclose(theirs["times"], ours, rtol=0, atol=20e-9)  # a tenth of a sample
