"""Green's functions: 256 sources on a ring of 110 mm radius, at a disc of 1 mm spacing and at all elements.

Work: 256 x 31,659 pairs of source and point; a reconstruction makes 70 such calls. Accuracy against linked rays is
measured on a part. CPU seconds are the process's, threads added up; medians of the rounds.

Floor (one x86 core at 3 GHz with AVX2), made of what has to be done at all:
  trace   27 cycles per ray and step of RK4 (see bench/RAYS.md): 110 million steps per CPU-second
  raster  per pair three corners: 9 loads and 9 multiply-adds of 8 floats, one test, a line of results: 15 cycles
  write   four arrays of float32: 16 bytes per pair, read before written: 10 GB/s

    PYTHONPATH=python python bench/rays/bench_greens.py [--elements 256] [--threads 1 2] [--json FILE]
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
from sonoray.rays.greens import GreensFunction

STEPS_PER_S, CYCLES_PER_PAIR, CYCLES_PER_S, BYTES_PER_S = 110e6, 15.0, 3e9, 10e9


def ring(n, radius=0.11):
    angle = 2 * np.pi * np.arange(n) / n
    return np.c_[radius * np.cos(angle), np.zeros(n), radius * np.sin(angle)]


def media():
    """Maps at 1 mm, smoothed by a Gaussian of 3 mm: our own phantom, and the truth maps where they are."""
    grid = Grid.from_extent(x=(-0.12, 0.12), z=(-0.12, 0.12), spacing=1e-3)
    yield "breast_slice", Medium(grid, smooth(breast_slice(grid).sound_speed, 3.0, window="gaussian"))
    folder = Path(os.environ.get("SONORAY_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ring-simulated"
    for name in ("vsx_like", "breast_ct"):
        if (folder / f"truth_{name}.npz").exists():
            with np.load(folder / f"truth_{name}.npz") as file:
                yield name, Medium(grid, smooth(file["C"].T[::2, ::2].astype(float), 3.0, window="gaussian"))


def disc(radius=0.1, spacing=1e-3):
    grid = Grid.from_extent(x=(-radius, radius), z=(-radius, radius), spacing=spacing)
    p = grid.points().reshape(-1, 3)
    return p[np.hypot(p[:, 0], p[:, 2]) < radius]


def accuracy(medium, array, points):
    """Largest, 99.9 % and rms error of times [ns], and the 99 % error of spreading [%], against linked rays."""
    sources, part = array[:: max(1, len(array) // 32)], points[::29]
    fields, linked = GreensFunction(medium)(sources, part), RayLinker(medium)(sources, part)
    found = linked.linked.T & fields.reached
    wrong = 1e9 * np.abs(fields.time - linked.time.T)[found]
    ratio = np.abs(fields.spreading / linked.spreading.T - 1)[found]
    return {
        "missed": int((~fields.reached & linked.linked.T).sum()),
        "rms_ns": round(float(np.sqrt(np.mean(wrong**2))), 4),
        "p99.9_ns": round(float(np.quantile(wrong, 0.999)), 3),
        "max_ns": round(float(wrong.max()), 3),
        "spreading_p99_percent": round(100 * float(np.quantile(ratio, 0.99)), 2),
    }


def measure(medium, array, points, rounds):
    """Timings of whole calls, the preparation of the medium's spline included."""
    walls, cpus, shares = [], [], []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        function = GreensFunction(medium)
        function(array, points)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        report = function.report
        shares.append(report["trace_seconds"] / (report["trace_seconds"] + report["raster_seconds"]))
    walls, cpus, shares = walls[1:], cpus[1:], shares[1:]
    pairs = len(array) * len(points)
    parts = {
        "trace": report["steps"] / STEPS_PER_S,
        "raster": pairs * CYCLES_PER_PAIR / CYCLES_PER_S,
        "write": 2 * 16 * pairs / BYTES_PER_S,
    }
    cpu, floor = statistics.median(cpus), sum(parts.values())
    return {
        "rays": report["rays"],
        "msteps": round(report["steps"] / 1e6, 2),
        "wall_s": round(statistics.median(walls), 3),
        "best_wall_s": round(min(walls), 3),
        "cpu_s": round(cpu, 3),
        "mpairs_per_cpu_s": round(pairs / cpu / 1e6, 1),
        "trace_share": round(statistics.median(shares), 2),
        "floor_cpu_s": round(floor, 3),
        "floor_parts": " ".join(f"{k} {v:.3f}" for k, v in parts.items()),
        "times_floor": round(cpu / floor, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--json", help="write results here")
    options = parser.parse_args()
    array, rows = ring(options.elements), []
    points = np.concatenate([disc(), array])
    for name, medium in media():
        if options.only not in name:
            continue
        exact = accuracy(medium, array, points)
        for threads in options.threads:
            os.environ["SONORAY_THREADS"] = str(threads)
            row = {"case": name, "threads": threads} | measure(medium, array, points, options.rounds) | exact
            if not rows:
                print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
            rows.append(row)
            print("| " + " | ".join(map(str, row.values())) + " |", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": machine(), "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
