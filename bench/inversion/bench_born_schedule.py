"""Time and memory of a complete ray-Born inversion: 256 x 256 pairs, 1 mm, 70 linearisations at 140 frequencies.

What `reconstruct_ray_born` spends in each part (wall and CPU seconds of the process; calls are timed from outside, a
part within a part counts for both), the largest memory, and the floor: the complex products that no implementation
with matrix products can do without, at the speed that NumPy's BLAS has here for arrays that fit (one for a prediction,
one for a back-projection with the uniform weighting and three with "rwave", per frequency; a prediction of equal
elements is half a product, as is the back-projection, since the arrays are the same on both sides).

    PYTHONPATH=python:. python bench/inversion/bench_born_schedule.py vsx_like_256.mat [--settings published default]
        [--frequencies 350e3 950e3 140] [--sets 70] [--json FILE]

``SONORAY_THREADS`` and ``OPENBLAS_NUM_THREADS`` limit threads. ``--sets 4`` stops after four linearisations.
"""

import argparse
import importlib
import json
import resource
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

import sonoray
from bench.inversion.reconstruction_accuracy import Recording
from sonoray.inversion import ray_born
from sonoray.inversion.born_settings import RayBornSettings
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.io.extras import read_medium

PARTS = {  # label: module, class, method
    "fields on the grid": ("rays.greens", "GreensFunction", "__call__"),
    "linking": ("rays.linking", "RayLinker", "__call__"),
    "prediction": ("inversion.born", "BornOperator", "__call__"),
    "back-projection": ("inversion.born", "BornOperator", "backproject"),
    "adjoint": ("inversion.born", "BornOperator", "adjoint"),
}
FUNCTIONS = {  # label: module that calls it, name
    "travel times, where to start": ("inversion.ray_born", "reconstruct_travel_time"),
    "spectra": ("inversion.ray_born", "born_spectra"),
    "gains": ("inversion.born_level", "fit_gains"),
}


class StopError(Exception):
    """Enough linearisations."""


class Clock:
    """Adds up the time that calls take."""

    def __init__(self):
        self.spent = {}

    def around(self, label, function):
        def timed(*args, **kwargs):
            begin = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                wall, cpu, calls = self.spent.get(label, (0.0, 0.0, 0))
                now = time.perf_counter(), time.process_time()
                self.spent[label] = (wall + now[0] - begin[0], cpu + now[1] - begin[1], calls + 1)

        return timed

    def watch(self):
        """Replace the parts by timed ones."""
        for label, (module, name, method) in PARTS.items():
            cls = getattr(importlib.import_module(f"sonoray.{module}"), name)
            setattr(cls, method, self.around(label, getattr(cls, method)))
        for label, (module, name) in FUNCTIONS.items():
            caller = importlib.import_module(f"sonoray.{module}")
            setattr(caller, name, self.around(label, getattr(caller, name)))


def product_rate(n=256, points=4096):
    """Complex single-precision multiply-adds per wall second of (n, points) @ (points, n), best of some."""
    rng = np.random.default_rng(0)
    a, b = (
        (rng.standard_normal(s) + 1j * rng.standard_normal(s)).astype(np.complex64) for s in ((n, points), (points, n))
    )
    best = np.inf
    for _ in range(8):
        begin = time.perf_counter()
        for _ in range(4):
            a @ b
        best = min(best, (time.perf_counter() - begin) / 4)
    return n * n * points / best


def run(recording, settings, spacing, sets):
    """Result or None where it was stopped, wall and CPU seconds, history entries."""
    seen = []

    def report(result):
        seen.append(result)
        if sets and len(result.history) >= sets:
            raise StopError

    begin = time.perf_counter(), time.process_time()
    with suppress(StopError):
        ray_born.reconstruct_ray_born(
            recording.data,
            None if settings.method == "single_step" else recording.water,
            pairs=recording.subset,
            settings=settings,
            spacing=spacing,
            report=report,
        )
    return seen[-1], time.perf_counter() - begin[0], time.process_time() - begin[1]


def main():
    """Print a table per setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="of a simulated ring")
    parser.add_argument("--settings", nargs="+", default=["published"], choices=("published", "default"))
    parser.add_argument("--subset", default="256x256")
    parser.add_argument(
        "--frequencies", type=float, nargs=3, default=(350e3, 950e3, 140), help="first, last [Hz], how many"
    )
    parser.add_argument("--spacing", type=float, default=1e-3, help="[m]")
    parser.add_argument("--sets", type=int, default=0, help="stop after so many linearisations; default: all")
    parser.add_argument("--json", type=Path)
    a = parser.parse_args()
    data, water = (sonoray.read(a.file, dataset=name, scale=True) for name in ("full", "water"))
    truth = read_medium(a.file)
    recording = Recording(data, water, truth, a.subset, 40, 0)
    del data
    first, last, n = a.frequencies
    rate, found = product_rate(), []
    clock = Clock()
    clock.watch()
    for name in a.settings:
        clock.spent.clear()
        make = RayBornSettings.published if name == "published" else RayBornSettings
        settings = make(frequencies=(first, last, round(n)))
        result, wall, cpu = run(recording, settings, a.spacing, a.sets)
        error = sound_speed_errors(result.medium, truth, result.sound_speed, center=(0, 0, 0), radius=0.1)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        count = len(result.history)
        points = np.pi * (0.96 * 0.11) ** 2 / a.spacing**2
        products = 2 * count * points * np.prod([float(v) for v in a.subset.split("x")]) / rate
        print(f"\n{name}: {count} linearisations, RE {error['relative_error']:.1f} % (r < 100 mm), {memory:.2f} GB")
        print("| part | wall s | CPU s | calls |\n|---|---|---|---|")
        for label, (w, c, calls) in clock.spent.items():
            print(f"| {label} | {w:.1f} | {c:.1f} | {calls} |")
        print(f"| all | {wall:.1f} | {cpu:.1f} | |")
        print(f"one product per frequency, floor: {products:.1f} s wall ({8e-9 * rate:.0f} Gflop/s)")
        found.append(
            {"settings": name, "linearisations": count, "wall": wall, "cpu": cpu, "memory_gb": memory,
             "product": products, "parts": clock.spent.copy(), **error}
        )  # fmt: skip
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
