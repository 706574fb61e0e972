"""Linking: all pairs of a 256-element ring through breast maps, cold and from the rays of the medium before.

Work: pairs, per process CPU-second (threads add up); median of the rounds, cold and warm in turns. "Warm" is a medium
whose contrast has grown by 5 %, with the rays of the medium before as start, as in an iterative reconstruction.

Floor (one x86 core at 3 GHz with AVX2: 4 lanes of double, two FMA pipes): one stage of a fourth-order step samples a
cubic spline with second derivatives (16 coefficients per lane: 32 loads of half a row, 16 shuffles, about 45
operations) and forms the rates of 8 numbers (about 60 operations, two divisions and a root that overlap): 60 cycles
per 4 rays. A step is 4 stages: 60 cycles per ray and step, 50 million rays x steps per CPU-second; one trace of the
140 steps of a mean chord takes 2.8 us. A pair needs at least one trace: 357,000 pairs per CPU-second.

    PYTHONPATH=python python bench/rays/bench_linking.py [--elements 256] [--threads 1 2] [--solvers] [--json FILE]
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np

from bench.harness import machine
from sonoray import Grid, Medium, RayLinker
from sonoray.media.interpolation import smooth
from sonoray.media.phantoms_ring import breast_slice

FLOOR_STEPS = 50e6  # rays x steps per CPU-second, see above


def ring(n, radius=0.11):
    angle = 2 * np.pi * np.arange(n) / n
    return np.c_[radius * np.cos(angle), np.zeros(n), radius * np.sin(angle)]


def media():
    """Maps at 1 mm, smoothed over 7 points as for ray tracing: our own phantom, and the truth maps where they are."""
    grid = Grid.from_extent(x=(-0.12, 0.12), z=(-0.12, 0.12), spacing=1e-3)
    yield "breast_slice", Medium(grid, smooth(breast_slice(grid).sound_speed, 7))
    folder = Path(os.environ.get("SONORAY_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ring-simulated"
    for name in ("vsx_like", "breast_ct"):
        if (folder / f"truth_{name}.npz").exists():
            with np.load(folder / f"truth_{name}.npz") as file:
                yield name, Medium(grid, smooth(file["C"].T[::2, ::2].astype(float), 7))


def timed(call):
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def steps_of(found, linker, array):
    """Rays x steps of a result: the traces of each pair times its steps; the fan's rays go as far on average."""
    chords = np.linalg.norm(array[None] - array[:, None], axis=-1) / linker.step
    return float((found.traces * chords).sum() + found.fan_traces * chords.mean())


def measure(name, medium, array, options):
    """One row per kind of start and solver."""
    grown = Medium(medium.grid, medium.sound_speed + 0.05 * (medium.sound_speed - medium.sound_speed[0, 0]))
    # RayLinker's preparation (the spline) counts, as a reconstruction makes a new one in each iteration.
    runs = {"cold": lambda: RayLinker(medium)(array, array)}
    before = runs["cold"]()
    runs["warm"] = lambda: RayLinker(grown)(array, array, start=before)
    if options.solvers:
        for solver in ("regula_falsi", "secant"):
            runs[solver] = lambda s=solver: RayLinker(medium, solver=s)(array, array)
    rows = {kind: ([], []) for kind in runs}
    kept = {}
    for turn in range(options.rounds):
        for kind in list(runs) if turn % 2 == 0 else list(runs)[::-1]:
            kept[kind], wall, cpu = timed(runs[kind])
            rows[kind][0].append(wall)
            rows[kind][1].append(cpu)
    for kind, (wall, cpu) in rows.items():
        found = kept[kind]
        pairs, spent = int(found.linked.sum()), statistics.median(cpu)
        wanted = int((found.status != 1).sum())
        steps = steps_of(found, RayLinker(medium), array)
        yield {
            "case": name,
            "start": kind,
            "pairs": pairs,
            "linked_percent": round(100 * pairs / wanted, 3),
            "traces_per_pair": round(found.mean_traces, 2),
            "pairs_per_cpu_s": round(pairs / spent),
            "steps_per_cpu_s": round(steps / spent),
            "times_floor": round(FLOOR_STEPS / (steps / spent), 2),
            "cpu_s": round(spent, 2),
            "wall_s": round(statistics.median(wall), 2),
            "best_wall_s": round(min(wall), 2),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--solvers", action="store_true", help="the published solvers, too")
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--json", help="write results here")
    options = parser.parse_args()
    array, rows = ring(options.elements), []
    for threads in options.threads:
        os.environ["SONORAY_THREADS"] = str(threads)
        for name, medium in media():
            if options.only not in name:
                continue
            for row in measure(name, medium, array, options):
                if not rows:
                    columns = ["threads", *row]
                    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
                rows.append({"threads": threads} | row)
                print("| " + " | ".join(map(str, rows[-1].values())) + " |", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": machine(), "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
