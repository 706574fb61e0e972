"""Eikonal solver: node updates per CPU-second for many sources, and the accuracy that goes with them.

Work: sources x nodes. Both per process CPU-second (threads add up), median of interleaved rounds.

Floor of 2-D (one x86 core at 3 GHz with 8 lanes and two FMA pipes): every node is updated at least once, about 75
vector operations, 38 cycles per 8 nodes: 630 Mnodes/s; the square root and the division (13 cycles per 8 nodes on
Zen 3) overlap with them. 3-D: about 150 operations, 315 Mnodes/s. Memory: 8 bytes read and written per update and 4
bytes of result per node and source: 12 bytes, 1700 Mnodes/s at 20 GB/s. What is above the floor: tiles that waves
reach from several sides are swept several times in either pass (nearly all of them in 3-D, where an array's lanes lie
far apart), and an update waits for the one before it (latency of the root), with only two independent chains to
overlap.

Peers that are installed run in the same turns: eikonalfm (factored, second order, sources at nodes).

    PYTHONPATH=python python bench/rays/bench_eikonal.py [--sources 128] [--threads 1] [--json]
"""

import argparse
import contextlib
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


def eikonalfm(medium):
    """eikonalfm, factored fast marching of second order: one source at a time, at the node nearest to it."""
    import eikonalfm as package

    grid = medium.grid
    speed = np.ascontiguousarray(medium.sound_speed, np.float64)

    def solve(source):
        at = tuple(round((p - o) / h) for p, o, h in zip(source[[0, 2]], grid.origin, grid.spacing, strict=True))
        tau = package.factored_fast_marching(speed, at, grid.spacing, 2)
        node = np.array([grid.x[at[0]], 0.0, grid.z[at[1]]])
        return tau * package.distance(grid.shape, grid.spacing, at, indexing="ij"), node

    return solve


def peers(medium):
    """Packages that are installed and can do the case, by name."""
    found = {}
    if medium.grid.ndim == 2:
        with contextlib.suppress(ImportError):
            found["eikonalfm"] = eikonalfm(medium)
    return found


def measure(medium, law, n, rounds, top):
    """CPU seconds per turn, nodes per turn and errors of every contender, in interleaved turns."""
    module, sources, solver = host_module(), array_of(medium, n), EikonalSolver(medium)
    out = np.zeros((n, *medium.grid.shape), np.float32)
    others = peers(medium)
    names = [*LEVELS[: top + 1], *others]
    seconds, nodes, errors = {name: [] for name in names}, {}, {}
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else names[::-1]:
            start = time.process_time()
            if name in others:
                where = sources[:: max(1, n // 4)]
                times = [others[name](source) for source in where]
                seconds[name].append(time.process_time() - start)
                nodes[name] = len(where) * medium.grid.size
                if law and turn == 0:
                    each = [accuracy(medium, node[None], t[None], law) for t, node in times]
                    errors[name] = [max(e) for e in zip(*each, strict=True)]
                continue
            module.set_cpu_level(LEVELS.index(name))
            solver(sources, out=out)
            seconds[name].append(time.process_time() - start)
            nodes[name] = out.size
            if law and turn == 0:
                errors[name] = accuracy(medium, sources, out, law)
    module.set_cpu_level(top)
    return seconds, nodes, errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["SONORAY_THREADS"] = str(options.threads)
    if not options.json:
        print("floor at v3 and 3 GHz (see --help): 630 Mnodes per CPU-second in 2-D, 315 in 3-D\n")
        print("| case | contender | sources | Mnodes / CPU-s | best | rms ns | max ns |\n|---|---|---|---|---|---|---|")
    for name, medium, law in cases():
        if options.only not in name:
            continue
        flat = medium.grid.ndim == 2
        n = options.sources if flat else min(options.sources, 16)
        seconds, nodes, errors = measure(medium, law, n, options.rounds if flat else 2, host_module().cpu_level())
        for who, spent in seconds.items():
            row = {
                "case": name,
                "contender": who if who in peers(medium) else f"sonoray {who}",
                "sources": nodes[who] // medium.grid.size,
                "mnodes_per_cpu_s": round(nodes[who] / statistics.median(spent) / 1e6, 1),
                "best": round(nodes[who] / min(spent) / 1e6, 1),
                "rms_ns": round(errors[who][0], 4) if who in errors else "",
                "max_ns": round(errors[who][1], 4) if who in errors else "",
            }
            line = "| " + " | ".join(map(str, row.values())) + " |"
            print(json.dumps(row | {"machine": platform.processor()}) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
