"""Colour Doppler against the peers: lag-one velocity of a packet, alone and after a linear polynomial filter.

Work: samples (frames times points). Floor: the packet read once and the velocity written once, over the bandwidth of a
large copy. All velocities are the same to float32 (column error), without spatial averaging, for which every package
has another window. Times of ours that no peer has (filters, bandwidth, aliases, vectors) follow.

    PYTHONPATH=python:. python bench/imaging/bench_doppler.py [--rounds 6] [--threads 1] [--peer-python PYTHON]
"""

import argparse
import os
import sys

import numpy as np

import sonoray
from bench import harness
from bench.doppler_job import DopplerJob
from bench.peers.worker import workers

PEERS = ("sonoray", "pymust", "ultraspy", "zea")


def contenders(job, threads, args, *, bandwidth):
    """Start a worker for each package; those that are absent or cannot do the job are named and left out."""
    case = f"{job.n_frames} frames, {'polynomial, ' * (job.order >= 0)}{threads} thread{'s' * (threads > 1)}"
    found = []
    for name, worker in workers(args.peers, job, threads=threads, peer_python=args.peer_python):
        floor = (8 * job.work + 4 * job.work / job.n_frames) / bandwidth
        found.append((worker, harness.Contender(name, case, worker.run, job.work, floor=floor, facts=worker.facts)))
    return found


def own_contenders(job):
    """What no peer has, or has in another form."""
    frames = job.data()
    f0, rate, c = job.f0, job.rate, job.c
    spacing = c / f0 / 8
    velocity = sonoray.doppler_velocity(frames, f0, rate, c, average=5)
    other = sonoray.doppler_velocity(frames[::2], f0, rate * 0.75, c, average=5)
    angles = np.deg2rad([-10.0, 0.0, 10.0])
    calls = {
        "velocity, average 5": lambda: sonoray.doppler_velocity(frames, f0, rate, c, average=5),
        "velocity, 4 lags": lambda: sonoray.doppler_velocity(frames, f0, rate, c, lags=4),
        "power": lambda: sonoray.doppler_power(frames),
        "bandwidth": lambda: sonoray.doppler_bandwidth(frames, f0, rate, c),
        "PolynomialFilter(2)": lambda: sonoray.PolynomialFilter(2)(frames),
        "FirFilter(0.3)": lambda: sonoray.FirFilter(0.3)(frames),
        "IirFilter(0.1)": lambda: sonoray.IirFilter(0.1)(frames),
        "SvdFilter(2)": lambda: sonoray.SvdFilter(2)(frames),
        "SvdFilter('similarity')": lambda: sonoray.SvdFilter("similarity")(frames),
        "SvdFilter(block=50)": lambda: sonoray.SvdFilter(block=50)(frames),
        "dual rate": lambda: sonoray.dual_rate_velocity(velocity, other, job.nyquist, 0.75 * job.nyquist),
        "unwrap": lambda: sonoray.unwrap_velocity(velocity, job.nyquist),
        "displacement": lambda: sonoray.displacement_velocity(frames, f0, rate, spacing, c, average=5),
        "vector, 3 directions": lambda: sonoray.vector_velocity(np.stack([velocity] * 3), angles, angles),
    }
    case = f"{job.n_frames} frames, ours"
    return [harness.Contender(name, case, harness.own_time(call), job.work) for name, call in calls.items()]


def main(argv=None):
    parser = harness.options(__doc__)
    parser.add_argument("--peers", nargs="+", default=PEERS)
    parser.add_argument("--own", action=argparse.BooleanOptionalAction, default=True, help="also ours alone")
    parser.add_argument(
        "--peer-python",
        default=os.environ.get("SONORAY_PEERS_PYTHON", sys.executable),
        help="interpreter with the peers; default SONORAY_PEERS_PYTHON or this one",
    )
    args = parser.parse_args(argv)
    results, bandwidth = [], harness.bandwidth()
    for threads in args.threads:
        for order in (-1, 1):
            found = contenders(DopplerJob(order=order), threads, args, bandwidth=bandwidth)
            try:
                results += harness.measure([c for _, c in found], args.rounds)
            finally:
                for worker, _ in found:
                    worker.close()
    if args.own:
        results += harness.measure(own_contenders(DopplerJob()), args.rounds)
    print({**harness.machine(), "copy GB/s": round(bandwidth / 1e9, 1)})
    print(harness.table(results, "Msamples"))
    if args.json:
        harness.save(results, args.json)


if __name__ == "__main__":
    main()
