"""Travel-time operator and solvers: cell crossings per CPU-second, matrix-free against a stored matrix, and iterations.

Work: parts of rays that lie in one cell (segments and grid-line crossings), for the operator and its adjoint together.
Per process CPU time (threads add up), median of interleaved rounds.

Floor per part, one x86 core at 3 GHz with 4 lanes of double and two FMA pipes, 2-D (3-D): 38 (70) vector operations
on 4 parts for the crossings, the middle and the 2^D moments, 4.75 (8.75) cycles; 1 (2) loads of the cell's numbers
with a multiply-add in the operator, which hide behind them; the same and 1 (2) stores in the adjoint: 3.2 ns (5.8 ns)
for both. Bent paths must also be read, 16 bytes per node: 11 ms per pass at 20 GB/s for the ring's 13 million nodes.
What is above: steps are cut into ndim + 1 parts whether all are needed or not, segments are first measured (a root and
a division each), and parts of one ray that follow each other add to the same numbers.

    PYTHONPATH=python:. python bench/inversion/bench_tomography.py [--rounds 6] [--threads 1] [--only ring] [--bowl]
"""

import argparse
import os
import resource
import time

import numpy as np

from bench import harness
from sonoray import Grid, Probe
from sonoray.inversion import excitations, solvers
from sonoray.inversion.primal_dual import primal_dual
from sonoray.inversion.regularization import Gradient
from sonoray.inversion.tomography import TravelTimeOperator
from sonoray.rays.paths import Paths

PART_FLOOR = {2: 3.2e-9, 3: 5.8e-9}


def straight_ring(n):
    """All pairs of different elements of a ring of 110 mm radius on a grid of 1 mm."""
    ring = Probe.ring(n, 0.11).positions
    keep = ~np.eye(n, dtype=bool).ravel()
    starts, ends = (p[keep] for p in excitations.pair_points(ring, ring))
    grid = Grid.from_extent(x=(-0.118, 0.118), z=(-0.118, 0.118), spacing=1e-3)
    return grid, Paths.straight(starts, ends)


def bent_ring(n, nodes):
    """The same rays as smooth curves of equally many nodes, up to 2 % of their length off the straight line."""
    grid, straight = straight_ring(n)
    ends = straight.points.reshape(-1, 2, 2)
    t = np.linspace(0, 1, nodes)[None, :, None]
    along = (ends[:, 1] - ends[:, 0])[:, None]
    across = along[..., ::-1] * [1, -1]
    points = ends[:, :1] + along * t + across * (0.02 * np.sin(np.pi * t) + 0.003 * np.sin(3 * np.pi * t))
    return grid, Paths(points.reshape(-1, 2), nodes * np.arange(straight.n_rays + 1))


def bowl():
    """1024 emitters and 4096 receivers on a hemisphere, both down-sampled by two, 2 mm: a million straight rays."""
    emitters, receivers = Probe.bowl(1024, 0.1235).positions[::2], Probe.bowl(4096, 0.1235).positions[::2]
    grid = Grid.from_extent(x=(-0.126, 0.126), y=(-0.126, 0.126), z=(-0.126, 0.01), spacing=2e-3)
    return grid, Paths.straight(*excitations.pair_points(emitters, receivers), ndim=3)


def parts(grid, paths):
    """How many cells the rays' segments meet, each counted for itself."""
    cells = np.floor((paths.points - np.array(grid.origin)) / np.array(grid.spacing)).astype(np.int32)
    crossings = np.abs(np.diff(cells, axis=0)).sum(axis=1)
    inner = np.ones(len(paths.points) - 1, bool)
    inner[paths.offsets[1:-1] - 1] = False
    return int((crossings[inner] + 1).sum())


def contenders(name, grid, paths, stored):
    """Operator and adjoint of either kind."""
    start = time.process_time()
    operator = TravelTimeOperator(grid, paths)
    facts = {"setup": time.process_time() - start, "memory": (1 + 1) * grid.size * 8 * 2**grid.ndim}
    work = parts(grid, paths)
    x, y = np.full(grid.size, 1 / 1500), np.ones(paths.n_rays)

    def both(op):
        op(x)
        op.adjoint(y)

    floor = work * PART_FLOOR[grid.ndim]
    yield harness.Contender(
        "matrix-free", name, harness.own_time(lambda: both(operator)), work, floor=floor, facts=facts
    )
    if stored:
        start = time.process_time()
        matrix = operator.stored()
        facts = {"setup": time.process_time() - start, "memory": matrix.nbytes, "note": "float32"}
        yield harness.Contender("stored", name, harness.own_time(lambda: both(matrix)), work, floor=floor, facts=facts)


def iterations(n=64):
    """CPU seconds of solvers on the ring of n elements with 60 ns of noise, matrix-free and stored."""
    grid, paths = straight_ring(n)
    points = grid.points()
    mask = np.hypot(points[..., 0], points[..., 2]) < 0.1
    speed = np.where(np.hypot(points[..., 0] - 0.01, points[..., 2]) < 0.05, 1460.0, 1500.0)
    operator = TravelTimeOperator(grid, paths, mask=mask)
    times = operator.integrate(1 / speed) + 60e-9 * np.random.default_rng(0).standard_normal(paths.n_rays)
    times = excitations.time_perturbations(operator, times, np.where(mask, 0, 1 / 1500))
    options = {"start": np.full(operator.shape[1], 1 / 1500)}
    gradient = Gradient(grid, mask)
    jobs = {
        "SART, 15 iterations": lambda a: solvers.sart(a, times, iterations=15, **options),
        "CGLS, 10 iterations": lambda a: solvers.cgls(a, times, iterations=10, **options),
        "LSQR, 10 iterations": lambda a: solvers.lsqr(a, times, iterations=10, **options),
        "TV primal-dual, 100 iterations": lambda a: primal_dual(
            a, times, regularizer=gradient, strength=1e-5, iterations=100, tolerance=0, **options
        ),
    }
    for kind, make in (("matrix-free", lambda: operator), ("stored", operator.stored)):
        start = time.process_time()
        made = make()
        setup = time.process_time() - start
        for name, job in jobs.items():
            run = harness.own_time(lambda job=job, made=made: job(made))
            yield harness.Contender(kind, f"{name}, {n} x {n}", run, paths.n_rays, facts={"setup": setup})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="even; default 6")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--bowl", action="store_true", help="the million rays in 3-D, too: 10 s per round")
    parser.add_argument("--json", help="write results here")
    args = parser.parse_args()
    os.environ["SONORAY_THREADS"] = str(args.threads)
    cases = {
        "ring 256 straight": lambda: contenders("ring 256 straight", *straight_ring(256), True),
        "ring 256 bent, 200 nodes": lambda: contenders("ring 256 bent, 200 nodes", *bent_ring(256, 200), True),
        "ring 64 bent, 200 nodes": lambda: contenders("ring 64 bent, 200 nodes", *bent_ring(64, 200), True),
        "solvers ring 64": iterations,
    }
    if args.bowl:
        cases["bowl 512 x 2048"] = lambda: contenders("bowl 512 x 2048", *bowl(), False)
    results = []
    for name, make in cases.items():
        if args.only in name:
            results += harness.measure(list(make()), args.rounds, verbose=False)
    print(harness.machine())
    print(harness.table(results, "M"))
    print(f"highest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    if args.json:
        harness.save(results, args.json)


if __name__ == "__main__":
    main()
