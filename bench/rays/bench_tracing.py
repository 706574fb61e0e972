"""Ray tracer: rays and steps per CPU-second through Maxwell's fish-eye, with their accuracy.

Rays: a fan of 120 degrees from (0, 1) to the antipode, step = spacing = 2 pi / 360 of the fish-eye's radius, 90 to 123
points each; 3-D: the same fan turned about the axis. Every ray to its own plane. Both per process CPU-second.

Floor, counted before optimising, in operations on vectors of 4 (x86-64-v3), of which two start per cycle:
- value and gradient of a 2-D spline: 20 for the polynomials of four rows, 8 across them, 16 to find the cell: 44;
  beside them 16 shuffles and 32 loads. With second derivatives: 24, 14, 16 and 8 to scale: 62.
- RK4: four times a sample, 10 for the slopes and 12 to add up: 264, 33 cycles per ray and step. With Q and P of two
  solutions: four times 62, 10, 18 for the curvature and 20 to add up: 440, 55 cycles.
- Heun: two samples and 40: 128, 16 cycles.
A root and a division per stage run beside these in a unit of their own: 4 cycles per ray. Stages wait for each other
(position, address, row, slope, position: about 120 cycles), so two vectors are worked on at a time.

    PYTHONPATH=python python bench/rays/bench_tracing.py [--rays 20000] [--threads 1] [--rounds 6] [--json]
"""

import argparse
import json
import os
import statistics
import time

import numpy as np

from sonoray import Grid
from sonoray._backends import host_module
from sonoray.media.phantoms_lens import fish_eye
from sonoray.rays.surfaces import Plane
from sonoray.rays.tracing import SCHEMES, RayTracer

LEVELS = ("baseline", "v3", "v4")
RADIUS = 0.02
SPACING = 2 * np.pi / 360 * RADIUS
FLOOR = {("heun", 2, False): 16, ("rk4", 2, False): 33, ("rk4", 2, True): 55}  # cycles per ray and step


def case(ndim):
    half = 2.2 * RADIUS
    step = SPACING if ndim == 2 else 2 * SPACING
    sides = {"x": (-half, half), "z": (-half, half)} | ({"y": (-half, half)} if ndim == 3 else {})
    return fish_eye(Grid.from_extent(**sides, spacing=step), 300.0, RADIUS)


def fan(ndim, n):
    """Starts, directions, and the directions at the antipode."""
    a = np.linspace(-np.pi / 3, np.pi / 3, n)
    turn = np.zeros(n) if ndim == 2 else np.linspace(0, np.pi, n)
    leaving = np.c_[np.sin(a) * np.cos(turn), np.sin(a) * np.sin(turn), -np.cos(a)]
    return np.tile([0, 0, RADIUS], (n, 1)), leaving, leaving * [-1, -1, 1]


def jobs():
    for ndim in (2, 3):
        for scheme in SCHEMES:
            kinds = ("linear", "smoothing", "cubic") if scheme in ("heun", "rk4") and ndim == 2 else ("cubic",)
            for kind in kinds:
                for amplitudes in (False, True):
                    if not amplitudes or (scheme in ("heun", "rk4") and kind == "cubic"):
                        yield ndim, scheme, kind, amplitudes


def time_case(run, start, leaving, amplitudes, rounds):
    """CPU seconds of each round, and the rays. The compiled call alone, without Python's checks and unpacking."""
    where, along = run._starts(start, leaving)
    ndim, n = run.grid.ndim, len(start)
    stop = run.surface.stop(ndim, where, along)
    result = np.empty((n, 2 * ndim + 5 + (ndim + 4 * (ndim - 1) ** 2 if amplitudes else 0)))
    seconds = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        run._trace(where, along, stop, amplitudes=amplitudes, result=result)
        seconds.append(time.process_time() - begin)
    return seconds[1:], run(start, leaving, amplitudes=amplitudes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rays", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--levels", nargs="+", default=None, choices=LEVELS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["SONORAY_THREADS"] = str(options.threads)
    module = host_module()
    top = module.cpu_level()
    levels = [level for level in options.levels or [LEVELS[top]] if LEVELS.index(level) <= top]
    media = {ndim: case(ndim) for ndim in (2, 3)}
    if not options.json:
        columns = (
            "case",
            "level",
            "steps",
            "rays / CPU-s",
            "best",
            "ns / step",
            "best",
            "floor, cycles",
            "length error",
        )
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for ndim, scheme, kind, amplitudes in jobs():
        name = f"{ndim}-D {scheme} {kind}" + (" Q, P" if amplitudes else "")
        if options.only not in name:
            continue
        n = options.rays if ndim == 2 else options.rays // 5
        start, leaving, end = fan(ndim, n)
        plane = Plane([0, 0, -RADIUS], end, directed=True)
        run = RayTracer(
            media[ndim], scheme=scheme, interpolation=kind, step=SPACING, surface=plane, reference_sound_speed=300.0
        )
        for level in levels:
            module.set_cpu_level(LEVELS.index(level))
            seconds, rays = time_case(run, start, leaving, amplitudes, options.rounds)
            steps = float(rays.steps.sum())
            row = {
                "case": name,
                "level": level,
                "steps": round(steps / n, 1),
                "rays_per_cpu_s": round(n / statistics.median(seconds)),
                "best": round(n / min(seconds)),
                "ns_per_step": round(1e9 * statistics.median(seconds) / steps, 1),
                "best_ns": round(1e9 * min(seconds) / steps, 1),
                "floor_cycles": FLOOR.get((scheme, ndim, amplitudes), "") if kind == "cubic" else "",
                "length_error": f"{np.abs(rays.acoustic_length / (RADIUS * np.pi / 2) - 1).mean():.1e}",
            }
            print(json.dumps(row) if options.json else "| " + " | ".join(map(str, row.values())) + " |", flush=True)
        module.set_cpu_level(top)


if __name__ == "__main__":
    main()
