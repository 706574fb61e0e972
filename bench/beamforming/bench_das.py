"""Delay-and-sum against the peers: the common job, an eikonal receive table, and mach's ensemble protocol."""

import os
import sys

from bench import harness
from bench.job import common, ensemble
from bench.peers.worker import workers

PEERS = ("sonoray", "sonoray:eikonal", "pymust:apply", "vbeam", "ultraspy", "zea", "fastdas")


def cases(args):
    """(name, job, threads) of every case asked for."""
    for threads in args.threads:
        for n_tx in args.n_tx:
            for kind in args.kind:
                for f in args.f_number:
                    mask = f", f/{f:g}" if f else ""
                    yield (
                        f"{n_tx} tx {kind.upper()}{mask}, {threads} thread{'s' * (threads > 1)}",
                        common(n_tx, kind, f),
                        threads,
                    )
    if args.ensemble:
        for threads in args.threads:
            yield f"mach's protocol, {threads} thread{'s' * (threads > 1)}", ensemble(), threads


def contenders(case, job, threads, args, *, bandwidth):
    """Start a worker for each package; those that are absent or cannot do the job are named and left out."""
    found = []
    for name, worker in workers(args.peers, job, threads=threads, peer_python=args.peer_python):
        floor = job.bytes / bandwidth
        contender = harness.Contender(name, case, worker.run, job.nominal, job.effective, floor, worker.facts)
        found.append((worker, contender))
    return found


def main(argv=None):
    parser = harness.options(__doc__)
    parser.add_argument("--peers", nargs="+", default=PEERS, help="package or package:option")
    parser.add_argument("--n-tx", type=int, nargs="*", default=[1, 11, 75])
    parser.add_argument("--kind", nargs="+", default=["rf", "iq"])
    parser.add_argument("--f-number", type=float, nargs="+", default=[0.0], help="0: every element at every point")
    parser.add_argument("--ensemble", action="store_true", help="also mach's 32-frame protocol")
    parser.add_argument(
        "--peer-python",
        default=os.environ.get("SONORAY_PEERS_PYTHON", sys.executable),
        help="interpreter with the peers; default SONORAY_PEERS_PYTHON or this one",
    )
    args = parser.parse_args(argv)
    results = []
    bandwidth = harness.bandwidth()
    for case, job, threads in cases(args):
        print(case, flush=True)
        found = contenders(case, job, threads, args, bandwidth=bandwidth)
        try:
            results += harness.measure([c for _, c in found], args.rounds)
        finally:
            for worker, _ in found:
                worker.close()
    print({**harness.machine(), "copy GB/s": round(bandwidth / 1e9, 1)})
    print(harness.table(results))
    if args.json:
        harness.save(results, args.json)


if __name__ == "__main__":
    main()
