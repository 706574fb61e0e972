"""Eikonal solver: node updates per CPU-second for many sources, and the accuracy that goes with them.

Work: sources x nodes. Both per process CPU-second (threads add up), median of interleaved rounds.

Floor of 2-D (one x86 core at 3 GHz with 8 lanes and two FMA pipes): every node is updated at least once, about 75
vector operations, 38 cycles per 8 nodes: 630 Mnodes/s; the square root and the division (13 cycles per 8 nodes on
Zen 3) overlap with them. 3-D: about 150 operations, 315 Mnodes/s. Memory: 8 bytes read and written per update and 4
bytes of result per node and source: 12 bytes, 1700 Mnodes/s at 20 GB/s. What is above the floor: tiles that waves
reach from several sides are swept several times in either pass (nearly all of them in 3-D, where an array's lanes lie
far apart), and an update waits for the one before it (latency of the root), with only two independent chains to
overlap.

    PYTHONPATH=python python bench/rays/bench_eikonal.py [--sources 128] [--threads 1] [--json]
"""

import argparse
import json
import os
import platform
import statistics
import time

import numpy as np

from sonoray import EikonalSolver, Grid, Medium
from sonoray._backends import host_module
from sonoray.media import phantoms

LEVELS = ("baseline", "v3", "v4")


def smooth_map(grid, seed=1):
    """Random smooth medium, 1540 m/s plus 24 Gaussian bumps of up to 60 m/s."""
    random = np.random.default_rng(seed)
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    c = np.full(grid.shape, 1540.0)
    for _ in range(24):
        x0, z0 = random.uniform(0, grid.x[-1]), random.uniform(0, grid.z[-1])
        width, height = random.uniform(4e-3, 12e-3), random.uniform(-60, 60)
        c += height * np.exp(-((x - x0) ** 2 + (z - z0) ** 2) / (2 * width**2))
    return Medium(grid, c)


def cases():
    """Name, medium, gradient (surface, slope) where there is a closed form."""
    flat, cube = Grid((512, 512), 1e-4, (0, 0)), Grid((128, 128, 128), 1e-4, (0, 0, 0))
    for grid, kind in ((flat, "2-D 512^2"), (cube, "3-D 128^3")):
        for surface, bottom in ((1450.0, 1650.0), (1000.0, 3000.0)):
            slope = (bottom - surface) / grid.z[-1]
            medium = phantoms.constant_gradient(grid, surface, slope)
            yield f"{kind}, {surface:.0f} to {bottom:.0f} m/s", medium, (surface, slope)
        if grid.ndim == 2:
            yield f"{kind}, smooth random map", smooth_map(grid), None


def array_of(medium, n):
    """Elements of a linear array at z = 0, 0.3 mm apart or closer, off the nodes."""
    width = medium.grid.x[-1]
    pitch = min(0.3e-3, 0.9 * width / n)
    x = width / 2 + (np.arange(n) - (n - 1) / 2) * pitch
    y = medium.grid.axes[1][-1] / 2 if medium.grid.ndim == 3 else 0.0
    return np.c_[x, np.full(n, y), np.zeros(n)]


def accuracy(medium, sources, times, law):
    """rms and largest error [ns] at nodes more than five cells from the source."""
    points, worst = medium.grid.points(), [0.0, 0.0]
    for source, t in zip(sources[:: max(1, len(sources) // 4)], times[:: max(1, len(sources) // 4)], strict=True):
        exact = phantoms.constant_gradient_times(points, source[None], *law)[0]
        error = (t - exact)[np.linalg.norm(points - source, axis=-1) > 5e-4] * 1e9
        worst = [max(worst[0], float(np.sqrt((error**2).mean()))), max(worst[1], float(np.abs(error).max()))]
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["SONORAY_THREADS"] = str(options.threads)
    module = host_module()
    top = module.cpu_level()
    if not options.json:
        print("floor at v3 and 3 GHz (see --help): 630 Mnodes per CPU-second in 2-D, 315 in 3-D")
    for name, medium, law in cases():
        if options.only not in name:
            continue
        n = options.sources if medium.grid.ndim == 2 else min(options.sources, 16)
        sources, solver = array_of(medium, n), EikonalSolver(medium)
        out = np.zeros((n, *medium.grid.shape), np.float32)
        seconds = {level: [] for level in range(top + 1)}
        errors = {}
        for turn in range(options.rounds if medium.grid.ndim == 2 else 2):
            for level in sorted(seconds, reverse=turn % 2 == 1):
                module.set_cpu_level(level)
                start = time.process_time()
                solver(sources, out=out)
                seconds[level].append(time.process_time() - start)
                errors[level] = accuracy(medium, sources, out, law) if law and turn == 0 else errors.get(level)
        module.set_cpu_level(top)
        for level, spent in seconds.items():
            rate = out.size / statistics.median(spent) / 1e6
            row = {
                "case": name,
                "level": LEVELS[level],
                "sources": n,
                "threads": options.threads,
                "mnodes_per_cpu_s": round(rate, 1),
            }
            row["best"] = round(out.size / min(spent) / 1e6, 1)
            if errors[level]:
                row["rms_ns"], row["max_ns"] = (round(e, 4) for e in errors[level])
            print(json.dumps(row | {"machine": platform.processor()}) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
