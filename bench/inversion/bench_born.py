"""Ray-Born prediction and back-projection of one frequency against the matrix products that they cannot do without.

Disc of 100 mm radius at 1 mm (31 thousand points) within a ring whose elements transmit and receive. The floor is one
product by NumPy's BLAS, in single-precision complex numbers, of arrays that are already there: (n_tx, points) times
(points, n_rx) for a prediction, (points, n_rx) times (n_rx, n_tx) for a back-projection, three of these for the
weightings with directions. A ratio below 1 is possible: equal elements need only half of the first product and a
triangle of the second.

    PYTHONPATH=python:. python bench/inversion/bench_born.py [--rounds 6] [--threads 1 2] [--elements 64 256]
"""

import os
import resource
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import harness
from sonoray import Grid, Probe
from sonoray._blas import one_blas_thread
from sonoray.inversion import born

RADIUS, DISC, SPACING, FREQUENCY, WATER = 0.11, 0.1, 1e-3, 0.65e6, 1500.0


@dataclass
class SmoothFields:
    """Fields such as rays give in tissue, from closed forms."""

    sources: Any
    points: Any
    reference_sound_speed: float = WATER
    absorption: Any = None
    caustics: Any = None

    def __post_init__(self):
        x, z = (self.points[:, None, k] + 0.3 * self.sources[None, :, k] for k in (0, 2))
        wave = np.sin(60 * x) * np.cos(45 * z)
        self.excess, self.take_off, self.arrival = ((a * wave).astype(np.float32) for a in (2e-6, 0.02, 0.05))
        self.focusing = (1 + 0.3 * np.cos(50 * z - 30 * x)).astype(np.float32)


def disc(spacing):
    """Points of a grid over the disc."""
    points = Grid.from_extent(x=(-DISC, DISC), z=(-DISC, DISC), spacing=spacing).points().reshape(-1, 3)
    return points[np.hypot(points[:, 0], points[:, 2]) <= DISC]


def complexes(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def contenders(n, coarse):
    """What is timed for n elements; the floor and the parts among them."""
    rng = np.random.default_rng(0)
    ring, points = Probe.ring(n, RADIUS), disc(SPACING)
    at, grid = points, None
    if coarse:
        grid = Grid.from_extent(x=(-0.101, 0.101), z=(-0.101, 0.101), spacing=2 * SPACING)
        at = grid.points().reshape(-1, 3)
    fields = SmoothFields(ring.positions, at)
    options = {"points": points, "grid": grid} if coarse else {}
    operator = born.BornOperator(fields, fields, FREQUENCY, cell_area=SPACING**2, **options)
    change, residual = 1e-9 * rng.standard_normal(len(points)), complexes(rng, n, n)
    curve = {"pitch": 2 * np.pi * RADIUS / n, "normals": ring.normals}
    left, right, room = complexes(rng, len(points), n), complexes(rng, len(points), n), np.empty((n, n), np.complex64)
    product, image = np.empty_like(left), np.empty(len(points), np.complex64)
    look = born.Look(*[np.ones(len(points), np.complex64)] * 2)
    square = (n, n)
    upper, factor, threads = born._upper(residual), np.ones(1, np.float32), int(os.environ["SONORAY_THREADS"])

    def in_tiles(part):
        return lambda: operator._in_threads(lambda tiles, work: [part(t, work) for t in tiles] and None, n)

    jobs = {
        "floor of prediction": lambda: np.matmul(left.T, right, out=room),
        "floor of back-projection": lambda: np.matmul(left, residual, out=product),
        "prediction": lambda: operator(change),
        "transpose": lambda: operator.adjoint(residual),
        "back-projection, uniform": lambda: operator.backproject(residual, **curve),
        "back-projection, rwave": lambda: operator.backproject(residual, "rwave", **curve),
        "  part: waves": in_tiles(lambda t, work: operator._waves(work, operator._e, t, look)),
        "  part: half product": in_tiles(lambda t, work: np.matmul(left[t].T, left[t], out=work.room("x", square))),
        "  part: triangular product": in_tiles(lambda t, work: born._times_upper(left[t], upper, product[t])),
        "  part: sum over elements": lambda: operator._module.born_rowdot(
            left[None], right[None], factor, image, threads, 0
        ),
    }
    case = f"{n} x {n}, {len(points)} points, fields at " + ("2 mm" if coarse else "the points")
    work = 8.0 * len(points) * n * n
    return [harness.Contender(name, case, harness.own_time(run), work) for name, run in jobs.items()]


def show(results, threads):
    """Times, and ratios to the floor measured in the same rounds."""
    of = {r.name: r for r in results}
    print(f"\n{results[0].case}; threads: {threads}")
    print("| what | CPU ms | band | x floor | wall ms | x floor |\n|---|---|---|---|---|---|")
    for r in results:
        floor = of["floor of prediction" if "pred" in r.name or "half" in r.name else "floor of back-projection"]
        times = 3 if "rwave" in r.name else 1
        low, high = (1e3 * t for t in r.cpu_band)
        print(
            f"| {r.name} | {1e3 * r.cpu:.1f} | {low:.1f} to {high:.1f} | {r.cpu / (times * floor.cpu):.2f} "
            f"| {1e3 * r.wall:.1f} | {r.wall / (times * floor.wall):.2f} |"
        )
    rate = of["floor of back-projection"]
    print(f"floor: {rate.work / rate.cpu / 1e9:.0f} GFlop per CPU-s, {rate.work / rate.wall / 1e9:.0f} per s")


def main():
    """Run and print."""
    parser = harness.options(__doc__)
    parser.add_argument("--elements", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--coarse", action="store_true", help="fields at 2 mm, interpolated on the fly")
    args = parser.parse_args()
    everything = []
    for threads in args.threads:
        os.environ["SONORAY_THREADS"] = str(threads)
        for n in args.elements:
            with one_blas_thread() if threads == 1 else nullcontext():
                results = harness.measure(contenders(n, args.coarse), args.rounds, verbose=False)
            show(results, threads)
            everything += results
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB; {harness.machine()}")
    if args.json:
        harness.save(everything, args.json)


if __name__ == "__main__":
    main()
