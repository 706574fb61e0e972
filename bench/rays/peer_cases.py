"""What `bench_rays_peers` measures: tracing, linking, travel times and picking, each by sonoray and by its peers.

Every function returns the contenders of its part and a function that, after the rounds, adds to their facts what the
answers were.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import sonoray
from bench import harness
from bench.peers.rwave_octave import contender_run, planar
from bench.peers.sonoray_times import eikonal_times, medium
from bench.peers.worker import UnavailableError, Worker
from bench.ray_job import WATER, FishEye, RingJob, box_mean, raw_index

SCHEMES = {"mixed": "mixed_step", "dual": "dual_update", "characteristics": "characteristics", "heun": "heun"}
# The scale of the fish-eye for us, who take metres and plausible speeds: lens radius and speed at its centre.
_LENS, _CENTER = 0.05, 1500.0
_TIMES = (
    ("sonoray", "", 1), ("sonoray", "link", 1), ("ttcrpy", "fsm", 64), ("ttcrpy", "fsm1", 16), ("ttcrpy", "spm", 64),
    ("ttcrpy", "dspm", 64), ("pykonal", "", 16),
)  # fmt: skip


def _steps(points):
    return float(np.sum(np.asarray(points) - 1))


def trace(args, rwave):
    """Fish-eye, 101 rays at a step of one cell: the schemes of r-Wave, the same and RK4 of ours."""
    from sonoray.rays.tracing import RayTracer

    job = FishEye(args.rays, h=2 * np.pi / 360)
    case = f"fish-eye, {job.n_rays} rays"
    found, finish = [], []
    for short in SCHEMES if rwave else ():
        answers = []
        given = {
            "scheme": short, "interpolation": "cubic", "n": job.index, "x": job.axis, "h": job.h, "ds": job.step * job.h,
            "start": np.array([[0.0], [1.0]]), "directions": job.directions.T,
        }  # fmt: skip
        first = rwave.call("trace", **given)
        run = contender_run(answers, lambda given=given: rwave.call("trace", **given))
        found.append(harness.Contender(f"r-wave {short}", case, run, job.n_rays))
        found[-1].facts = {
            "steps": _steps(first["points"]),
            "length_error": float(100 * np.mean(np.abs(first["length"] / job.length - 1))),
        }
    grid = sonoray.Grid(job.index.shape, job.h * _LENS, (job.axis[0] * _LENS,) * 2)
    lens = sonoray.Medium(grid, _CENTER / job.index)
    for copies in (1, args.copies):
        directions = np.tile(np.insert(job.directions, 1, 0.0, axis=1), (copies, 1))
        for short, scheme in {**SCHEMES, "rk4": "rk4"}.items():
            tracer = RayTracer(lens, scheme=scheme, step=job.step * job.h * _LENS, **_tracer_options())
            call = _fish_eye_call(tracer, directions)
            rays = call()
            name = f"sonoray {short}"
            contender = harness.Contender(
                name,
                f"fish-eye, {len(directions)} rays",
                lambda call=call: harness.repeated_time(call),
                len(directions),
            )
            length = np.asarray(rays.length) / _LENS
            contender.facts = {
                "steps": float(np.sum(rays.steps)),
                "length_error": float(100 * np.mean(np.abs(length / job.length - 1))),
            }
            found.append(contender)
    return found, finish


def link(args, rwave):
    """1 mm map averaged over 7 x 7 cells: r-Wave links one emitter to some receivers, we link all pairs."""
    from sonoray.rays.linking import RayLinker

    job = RingJob()
    raw = raw_index(job.axis)
    elements, found, answers = job.elements, [], []
    receivers = elements[2 :: 256 // args.receivers]
    if rwave:
        given = {
            "n": raw, "x": job.axis, "h": job.spacing, "emitters": planar(elements[:1]), "receivers": planar(receivers),
            "step": 1.0, "window": 7.0, "linker": "Secant", "tracer": "Runge-kutta-2nd", "interpolation": "Bspline",
            "minimum_distance": 0.01,
        }  # fmt: skip
        run = contender_run(answers, lambda: rwave.call("link", limit=1200, **given))
        pairs = int((np.linalg.norm(receivers - elements[0], axis=1) > 0.01).sum())
        found.append(harness.Contender("r-wave secant, Heun", f"1 x {args.receivers}", run, pairs))
    smooth = sonoray.Medium(medium(job, raw).grid, WATER / box_mean(raw))
    cold = RayLinker(smooth)
    linked = cold(elements, elements)
    for name, call in _linkers(cold, smooth, elements, linked):
        rays = call()
        work = int(rays.linked.sum())
        found.append(harness.Contender(name, "256 x 256", lambda call=call: harness.repeated_time(call), work))
        found[-1].facts = {"traces": rays.mean_traces, "failed": job.pairs - work}

    def finish():
        if not answers:
            return
        some, theirs = cold(elements[:1], receivers), answers[-1]
        t = np.asarray(theirs["length"]) / WATER
        ours = some.take_off[0]
        angle = np.arctan2(ours[:, 2], ours[:, 0])
        asked = np.asarray(theirs["traces"]) > 0
        turn = np.angle(np.exp(1j * (np.asarray(theirs["angles"]) - angle)))[asked]
        miss = np.linalg.norm(np.asarray(theirs["finish"]) - planar(receivers), axis=0)[asked]
        away = 1e9 * (t - some.time[0])[asked]
        found[0].facts = {
            "traces": float(np.mean(np.asarray(theirs["traces"])[asked])),
            "time_ns": f"{np.median(away):+.2f}, at most {np.abs(away).max():.2f}",
            "angle_mrad": f"median {1e3 * np.median(np.abs(turn)):.3f}, at most {1e3 * np.abs(turn).max():.3f}",
            "miss_um": f"median {1e6 * np.median(miss):.3f}, at most {1e6 * miss.max():.3f}",
        }

    return found, [finish]


def times(args, spacing, kind):
    """Travel times of the ring's sources to all elements; errors against closed form or a grid of 0.125 mm."""
    with tempfile.TemporaryDirectory() as folder:
        reference = ""
        if kind == "vsx":
            reference = str(Path(folder) / "reference.npz")
            np.savez(reference, times=reference_times())
        found, workers = [], []
        for package, option, every in _TIMES:
            if package not in args.peers:
                continue
            job = RingJob(spacing, kind, every=min(256, every * (2 if spacing < 1e-3 and every > 1 else 1)))
            job = RingJob(job.spacing, job.medium, every=job.every, reference=reference)
            name = f"{package}:{option}".rstrip(":")
            python = sys.executable if package == "sonoray" else args.peer_python
            try:
                worker = Worker(package, job, python=python, option=option)
            except UnavailableError as reason:
                print(f"  left out {name}: {reason}", flush=True)
                continue
            workers.append(worker)
            case = f"{kind}, {1e3 * spacing:g} mm"
            found.append(harness.Contender(name, case, worker.run, len(job.sources), facts=worker.facts))
            found[-1].facts["sources"] = len(job.sources)
    return found, [worker.close for worker in workers]


def reference_times(fine=1.25e-4):
    """Times between all elements on a grid of 0.125 mm, from both ends, and thus good to well below a nanosecond."""
    job = RingJob(fine)
    solver = sonoray.EikonalSolver(medium(job, job.data()))
    t = eikonal_times(solver, job.axis, job.elements, job.elements, batch=16)
    return 0.5 * (t + t.T)


def pick(args, rwave):
    """Noisy onsets at the straight-ray times through water, one transmit, 64 receivers, 1101 samples at 5 MHz."""
    from sonoray.inversion.picking import pick_first_arrivals

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
    data = sonoray.ChannelData(samples[None, None], probe, [sonoray.element_transmit(0)], fs, sound_speed=WATER)

    def ours():
        return pick_first_arrivals(data, method="aic", pulse_duration=4e-6)

    found.append(harness.Contender("sonoray AIC", case, lambda: harness.repeated_time(ours), len(receivers)))

    def finish():
        for contender in found:
            of_peer = contender.name.startswith("r-wave")
            error = (np.ravel(answers[-1]["times"]) if of_peer else ours().time[0, 1:]) - truth
            contender.facts["error"] = f"{1e9 * np.mean(error):+.0f} ± {1e9 * np.std(error):.0f} ns"

    return found, [finish]
