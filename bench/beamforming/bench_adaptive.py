"""Adaptive beamformers against zea, ultraspy and vbeam: I/Q of one plane wave, 128 elements, no f-number.

Work: image points times elements. The floor is arithmetic: `operations` of the job at 32 of single precision in a
cycle (two AVX2 units that multiply and add) and 3 GHz, 96 GFlop/s for one thread. Times of ours that no peer has, or
has in another form, follow.

    PYTHONPATH=python:. python bench/beamforming/bench_adaptive.py [--rounds 4] [--threads 1] [--peer-python PYTHON]
"""

import argparse
import os
import sys

import sonoray
from bench import harness
from bench.adaptive_job import AdaptiveJob, operations
from bench.peers.worker import workers

PEERS = ("sonoray", "zea", "ultraspy", "vbeam")
METHODS = ("coherence-factor", "generalized-coherence-factor", "dmas", "pdas", "capon")
PEAK = 96e9  # operations a second and thread
OWN = (
    sonoray.adaptive_method("phase-coherence"),
    sonoray.adaptive_method("sign-coherence"),
    sonoray.adaptive_method("pdas", p=3),
    sonoray.adaptive_method("capon", temporal_samples=1),
    sonoray.adaptive_method("capon", subarray=0.25),
    sonoray.adaptive_method("eigenspace"),
    sonoray.adaptive_method("short-lag-coherence"),
)


def job_of(method, n):
    """Capon of n x n points, the others of four times as many."""
    n = n if method == "capon" else 2 * n
    return AdaptiveJob(1, "iq", x_range=(-12e-3, 12e-3, n), z_range=(5e-3, 45e-3, n), method=method)


def contenders(job, threads, args):
    """Start a worker for each package; those that are absent or cannot do the job are named and left out."""
    points = job.x_range[2] * job.z_range[2]
    found = []
    for name, worker in workers(args.peers, job, threads=threads, peer_python=args.peer_python):
        floor = operations(job) * points / PEAK / threads
        case = f"{job.method}, {threads} thread{'s' * (threads > 1)}"
        found.append(
            (
                worker,
                harness.Contender(name, case, worker.run, points * job.n_elements, floor=floor, facts=worker.facts),
            )
        )
    return found


def own_contenders(n):
    """Ours alone, after delay-and-sum of the same signals."""
    job = job_of("capon", n)
    data = job.data()
    probe = sonoray.Probe.linear(job.n_elements, job.pitch, center_frequency=job.fc)
    waves = sonoray.plane_waves(job.angles)
    channel_data = sonoray.ChannelData(data, probe, waves, job.fs, demodulation_frequency=job.fc, sound_speed=job.c)
    spacing = ((job.x[-1] - job.x[0]) / (n - 1), (job.z[-1] - job.z[0]) / (n - 1))
    grid = sonoray.Grid((n, n), spacing, (job.x[0], job.z[0]))
    times = sonoray.arrivals(waves, probe, grid, job.c)
    calls = {"das": sonoray.Beamformer(times, channel_data, f_number=None)}
    calls |= {repr(m): sonoray.AdaptiveBeamformer(times, channel_data, m, f_number=None) for m in OWN}
    return [
        harness.Contender(name, "ours", harness.own_time(lambda call=call: call(channel_data)), n * n * job.n_elements)
        for name, call in calls.items()
    ]


def main(argv=None):
    parser = harness.options(__doc__)
    parser.add_argument("--peers", nargs="+", default=PEERS)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--own", action=argparse.BooleanOptionalAction, default=True, help="also ours alone")
    parser.add_argument("--points", type=int, default=64, help="along each side of Capon's image, a multiple of 8")
    parser.add_argument(
        "--peer-python",
        default=os.environ.get("SONORAY_PEERS_PYTHON", sys.executable),
        help="interpreter with the peers; default SONORAY_PEERS_PYTHON or this one",
    )
    args = parser.parse_args(argv)
    results = []
    for threads in args.threads:
        for method in args.methods:
            print(method, flush=True)
            found = contenders(job_of(method, args.points), threads, args)
            try:
                results += harness.measure([c for _, c in found], args.rounds)
            finally:
                for worker, _ in found:
                    worker.close()
    if args.own:
        results += harness.measure(own_contenders(args.points), args.rounds)
    print(harness.machine())
    print(harness.table(results, "Mpoints"))
    if args.json:
        harness.save(results, args.json)


if __name__ == "__main__":
    main()
