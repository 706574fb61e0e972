"""What `bench_rays_peers` measures: tracing, linking, travel times and picking, each by sonoray and by its peers.

Every function returns the contenders of its part and a function that, after the rounds, adds to their facts what the
answers were.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import sonoray
from bench import harness
from bench.peers.rwave_octave import contender_run, planar
from bench.peers.sonoray_times import eikonal_times, medium
from bench.peers.worker import workers
from bench.ray_job import WATER, FishEye, RingJob, box_mean, raw_index
from sonoray.inversion.picking import pick_first_arrivals
from sonoray.rays.linking import RayLinker
from sonoray.rays.surfaces import Plane
from sonoray.rays.tracing import RayTracer

SCHEMES = ("mixed", "dual", "characteristics", "heun")  # as the driver names them
# The scale of the fish-eye for us, who take metres and plausible speeds: lens radius and speed at its centre.
_LENS, _CENTER = 0.05, 1000.0
_OURS = {"mixed": "mixed_step", "dual": "dual_update"}  # names that differ
_NEAR = 0.01  # [m] closer pairs are not linked
TIMES = ("sonoray", "sonoray:link", "ttcrpy:fsm", "ttcrpy:fsm1", "ttcrpy:spm", "ttcrpy:dspm", "pykonal")
# Every so many elements are sources; 64 where it takes seconds for each of them, and half as many at 0.5 mm.
_EVERY = {"sonoray": 1, "sonoray:link": 1, "ttcrpy:fsm1": 16, "pykonal": 16}


def trace(args, rwave):
    """Fish-eye at a step of one cell: the schemes of r-Wave, the same and RK4 of ours, and ours for a finer fan."""
    job, fan = FishEye(args.rays), FishEye(args.rays * args.copies)
    found = [_rwave_fish_eye(rwave, scheme, job) for scheme in SCHEMES] if rwave else []
    return found + [_our_fish_eye(scheme, some) for some in (job, fan) for scheme in (*SCHEMES, "rk4")], []


def _fish_eye_contender(name, job, run, length, points):
    error = float(100 * np.mean(np.abs(length / job.length - 1)))
    facts = {"steps": float(np.sum(points) - job.n_rays), "length_error": error}
    return harness.Contender(name, f"fish-eye, {job.n_rays} rays", run, job.n_rays, facts=facts)


def _rwave_fish_eye(rwave, scheme, job):
    def call():
        return rwave.call(
            "trace", scheme=scheme, interpolation="cubic", n=job.index, x=job.axis, h=job.h, ds=job.step * job.h,
            start=np.array([[0.0], [1.0]]), directions=job.directions.T,
        )  # fmt: skip

    first = call()
    return _fish_eye_contender(f"r-wave {scheme}", job, contender_run([], call), first["length"], first["points"])


def _our_fish_eye(scheme, job):
    h = job.h * _LENS
    lens = sonoray.Medium(sonoray.Grid(job.index.shape, h, (job.axis[0] * _LENS,) * 2), _CENTER / job.index)
    antipode = Plane((0.0, 0.0, -_LENS), (0.0, 0.0, -1.0), directed=True)
    tracer = RayTracer(
        lens, scheme=_OURS.get(scheme, scheme), step=job.step * h, surface=antipode, reference_sound_speed=_CENTER
    )
    directions = np.insert(job.directions, 1, 0.0, axis=1)
    starts = np.tile([0.0, 0.0, _LENS], (job.n_rays, 1))
    rays = tracer(starts, directions)
    run = partial(harness.repeated_time, lambda: tracer(starts, directions))
    return _fish_eye_contender(f"sonoray {scheme}", job, run, rays.acoustic_length / _LENS, rays.steps + 1)


def link(args, rwave):
    """1 mm map averaged over 7 x 7 cells: r-Wave links one emitter to some receivers, we link all pairs."""
    job = RingJob()
    emitter, receivers = job.elements[:1], job.elements[2 :: job.n_elements // args.receivers]
    raw = raw_index(job.axis)
    smooth = medium(job, WATER / box_mean(raw))
    answers = []
    found = [_rwave_linker(rwave, job, raw, emitter, receivers, answers)] if rwave else []
    found += _our_linkers(job, smooth)

    def finish():
        if answers:
            same, ours = (RayLinker(smooth, interpolation=i)(emitter, receivers) for i in ("smoothing", "cubic"))
            found[0].facts.update(_compared(answers[-1], same, ours, receivers))

    return found, [finish]


def _rwave_linker(rwave, job, index, emitter, receivers, answers):
    def call():
        return rwave.call(
            "link", limit=1200, n=index, x=job.axis, h=job.spacing, emitters=planar(emitter),
            receivers=planar(receivers), step=1.0, window=7.0, linker="Secant", tracer="Runge-kutta-2nd",
            interpolation="Bspline", minimum_distance=_NEAR,
        )  # fmt: skip

    pairs = int((np.linalg.norm(receivers - emitter, axis=1) > _NEAR).sum())
    return harness.Contender("r-wave secant, Heun", f"1 x {len(receivers)}", contender_run(answers, call), pairs)


def _compared(theirs, same, ours, receivers):
    """Facts about r-Wave's rays: how many, where they end, and times and take-off angles against ours.

    ``same`` are our rays with the spline that r-Wave uses, ``ours`` those with the one that goes through the samples.
    """
    traces = np.asarray(theirs["traces"])
    asked = traces > 0
    times = 1e9 * np.asarray(theirs["length"]) / WATER
    angle = np.asarray(theirs["angles"]) - np.arctan2(same.take_off[0, :, 2], same.take_off[0, :, 0])
    turn = 1e3 * np.angle(np.exp(1j * angle))
    miss = 1e6 * np.linalg.norm(np.asarray(theirs["finish"]) - planar(receivers), axis=0)
    return {
        "traces": float(traces[asked].mean()),
        "same_ns": float(np.abs(times - 1e9 * same.time[0])[asked].max()),
        "same_mrad": float(np.abs(turn)[asked].max()),
        "ours_ns": float(np.abs(times - 1e9 * ours.time[0])[asked].max()),
        "miss_um": float(miss[asked].max()),
    }


def _our_linkers(job, smooth):
    """All pairs of the ring: cold, from the rays of a map of 90 % contrast, and by the published secant solver."""
    elements, index = job.elements, WATER / smooth.sound_speed
    before = RayLinker(medium(job, WATER / (1 + 0.9 * (index - 1))))(elements, elements)
    some = elements[:: len(elements) // 8]
    calls = {
        "Newton, RK4, cold": lambda: RayLinker(smooth)(elements, elements),
        "Newton, RK4, warm": lambda: RayLinker(smooth)(elements, elements, start=before),
        "secant, RK4": lambda: RayLinker(smooth, solver="secant")(some, elements),
    }
    found = []
    for name, call in calls.items():
        rays = call()
        facts = {"traces": rays.mean_traces, "failed": int((~rays.linked).sum()) - rays.counts()["skipped"]}
        run = partial(harness.repeated_time, call)
        case = "{} x {}".format(*rays.time.shape)
        found.append(harness.Contender(f"sonoray {name}", case, run, int(rays.linked.sum()), facts=facts))
    return found


def times(args, spacing, kind):
    """Travel times of the ring's sources to all elements; errors against closed form or a grid of 0.125 mm."""
    with tempfile.TemporaryDirectory() as folder:
        reference = ""
        if kind == "vsx":
            reference = str(Path(folder) / "reference.npz")
            np.savez(reference, times=reference_times())
        found, closing = [], []
        for name in args.peers:
            every = _EVERY.get(name, 64)
            if every > 1 and spacing < 1e-3:
                every = min(256, 2 * every)
            job = RingJob(spacing, kind, every=every, reference=reference)
            for _, worker in workers([name], job, peer_python=args.peer_python):
                closing.append(worker.close)
                case = f"{kind}, {1e3 * spacing:g} mm"
                found.append(harness.Contender(name, case, worker.run, len(job.sources), facts=worker.facts))
                found[-1].facts["sources"] = len(job.sources)
    return found, closing


def reference_times(fine=1.25e-4):
    """Times between all elements on a grid of 0.125 mm, mean of both ways.

    Linked rays differ from them by 0.07 ns (rms), at creases by up to 2 ns, which is mostly these times' error.
    """
    job = RingJob(fine)
    solver = sonoray.EikonalSolver(medium(job, job.data()))
    t = eikonal_times(solver, job.axis, job.elements, job.elements, batch=16)
    return 0.5 * (t + t.T)


def pick(args, rwave):
    """Noisy onsets at the straight-ray times through water, one transmit, 64 receivers, 1101 samples at 5 MHz."""
    job = RingJob()
    receivers, fs, n = job.elements[2::4], 5e6, 1101
    distance = np.linalg.norm(receivers - job.elements[0], axis=1)
    receivers, distance = receivers[distance > 0.01], distance[distance > 0.01]
    truth, t = distance / WATER, np.arange(n) / fs
    late = np.maximum(t - truth[:, None], 0.0)
    traces = (late / 1e-6) ** 2 * np.exp(-late / 0.6e-6) * np.cos(2 * np.pi * 0.6e6 * late)
    traces += 0.01 * np.abs(traces).max() * np.random.default_rng(0).standard_normal(traces.shape)
    found, answers = [], []
    case = f"{len(receivers)} traces of {n} samples"
    if rwave:
        given = {
            "data": traces[:, :, None], "time": t, "emitters": planar(job.elements[:1]), "receivers": planar(receivers),
            "speeds": np.array([WATER - 50, WATER + 50]), "duration": 4e-6, "threshold": 0.25, "minimum_distance": 0.0,
        }  # fmt: skip
        run = contender_run(answers, lambda: rwave.call("pick", **given))
        found.append(harness.Contender("r-wave AIC", case, run, len(receivers)))
    positions = np.concatenate([job.elements[:1], receivers])
    samples = np.concatenate([np.zeros((1, n)), traces]).astype(np.float32)
    probe = sonoray.Probe(positions, center_frequency=0.6e6)
    data = sonoray.ChannelData(samples[None, None], probe, [sonoray.Transmit.single(0)], fs, sound_speed=WATER)

    def ours():
        return pick_first_arrivals(data, method="aic", pulse_duration=4e-6)

    found.append(harness.Contender("sonoray AIC", case, partial(harness.repeated_time, ours), len(receivers)))

    def finish():
        for contender in found:
            of_peer = contender.name.startswith("r-wave")
            error = (np.ravel(answers[-1]["times"]) if of_peer else ours().time[0, 1:]) - truth
            contender.facts["error"] = f"{1e9 * np.mean(error):+.0f} ± {1e9 * np.std(error):.0f} ns"

    return found, [finish]
