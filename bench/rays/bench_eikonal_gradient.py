"""Cost of differentiating eikonal travel times, in forward solves of the same sources.

CPU time of the process, median of interleaved turns. "gradient" solves and goes back; "from solution" is given the mean
slowness and goes back only; "derivative" solves and carries one change of the map forward. Every row also shows that
the two are transposes of each other: abs(<w, J p> - <J^T w, p>) / (|w| |J p|).

    PYTHONPATH=python python bench/rays/bench_eikonal_gradient.py [--sources 64] [--rounds 5]
"""

import argparse
import os
import statistics
import time

import numpy as np

from sonoray import EikonalSolver, Grid, Medium
from sonoray.media import phantoms


def smooth(grid, strength, seed=0):
    """Sound speed around 1540 m/s with waves of some millimetres."""
    rng = np.random.default_rng(seed)
    mesh = np.meshgrid(*grid.axes, indexing="ij")
    total = np.zeros(grid.shape)
    for _ in range(6):
        wave = sum(k * x for k, x in zip(rng.uniform(-250, 250, grid.ndim), mesh, strict=True))
        total += np.sin(wave + rng.uniform(0, 2 * np.pi))
    return Medium(grid, 1540.0 / (1 + strength * total / 3))


def cases():
    """Name, medium, sources as a function of their number."""
    flat = Grid((161, 201), 2e-4, (-0.016, 0.0))

    def array(n):
        return np.c_[np.linspace(-0.009, 0.009, n), np.zeros((n, 2))]

    def ring(n):
        a = 2 * np.pi * np.arange(n) / n
        return np.c_[0.014 * np.cos(a), np.zeros(n), 0.02 + 0.014 * np.sin(a)]

    yield "array, homogeneous", Medium(flat, 1540.0), array
    yield "array, constant gradient", phantoms.constant_gradient(flat, 1450.0, 5000.0), array
    yield "array, smooth, 3 %", smooth(flat, 0.03), array
    yield "array, smooth, 10 %", smooth(flat, 0.1), array
    disc = phantoms.disc(flat, (0.0, 0.0, 0.02), 5e-3, inside=1700.0, outside=1500.0)
    yield "array, disc with a sharp edge", disc, array
    yield "ring, smooth, 3 %", smooth(flat, 0.03), ring
    yield "array, smooth, 3 %, 512^2", smooth(Grid((512, 512), 1e-4, (-0.0256, 0.0)), 0.03), array
    cube = Grid((64, 64, 64), 3e-4, (-0.0096, -0.0096, 0.0))
    yield "array, smooth, 3 %, 64^3", smooth(cube, 0.03), array


def measure(medium, sources, rounds):
    """CPU seconds per contender, and the transpose's error."""
    solver, rng = EikonalSolver(medium), np.random.default_rng(1)
    known = solver.mean_slowness(sources)
    cotangent = rng.standard_normal(known.shape).astype(np.float32)
    change = rng.standard_normal(known.shape[1:]) / medium.sound_speed
    tasks = {
        "forward": lambda: solver(sources),
        "gradient": lambda: solver.gradient(sources, cotangent),
        "from solution": lambda: solver.gradient(sources, cotangent, solution=known),
        "derivative": lambda: solver.derivative(sources, change),
    }
    seconds = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            seconds[name].append(time.process_time() - start)
    forward = solver.derivative(sources, change).astype(np.float64)
    error = np.vdot(cotangent, forward) - np.vdot(solver.gradient(sources, cotangent), change)
    norm = np.linalg.norm(cotangent) * np.linalg.norm(forward)
    return {name: statistics.median(s) for name, s in seconds.items()}, abs(error) / norm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a case's name")
    options = parser.parse_args()
    os.environ["SONORAY_THREADS"] = "1"
    print("| case | forward ms | gradient | from solution | derivative | transpose |\n|---|---|---|---|---|---|")
    for name, medium, place in cases():
        if options.only not in name:
            continue
        seconds, error = measure(medium, place(options.sources), options.rounds)
        ratios = " | ".join(f"{seconds[k] / seconds['forward']:.2f}" for k in list(seconds)[1:])
        print(f"| {name} | {seconds['forward'] * 1e3:.1f} | {ratios} | {error:.0e} |", flush=True)


if __name__ == "__main__":
    main()
