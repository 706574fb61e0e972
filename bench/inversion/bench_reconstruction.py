"""Time a complete reconstruction from travel times (picks, three linearisations; 256 x 256 elements) and its parts.

Process CPU time (threads add up), median of interleaved rounds, and wall time beside it. Goal: 15 s of wall time on
two cores for the whole.

Floor of the parts, one x86 core at 3 GHz with two FMA pipes of 4 doubles (8 floats):

- picking: every sample of the pairs read once (4 bytes);
- linking: a trace of path length / grid spacing steps per pair, 20 ns each (50 million steps per second);
- matrix: the entries written once (8 bytes each), from the steps' cells, 3.2 ns each: that of `bench_tomography`;
- total variation: 55 products with the matrix and 55 with its transpose, each of which reads it once, 8 bytes per
  entry, at the bandwidth of a large copy;
- SART: 5 products of either kind without a matrix, 3.2 ns per cell of a ray for both;
- finite frequencies: 15 operations per pair and node within the Fresnel zones, in product and transposed one alike, of
  which 32 per cycle could be done; the table's values must be gathered, which takes at least half a cycle each and is
  the floor used here.

A complete reconstruction's floor is the sum: the first linearisation needs no linking.

    PYTHONPATH=python:. python bench/inversion/bench_reconstruction.py vsx_like_256.mat [--rounds 4] [--spacings 2 1]
        [--only "rays, total variation"]
"""

import argparse
import time
from pathlib import Path

import numpy as np

import sonoray
from bench import harness
from sonoray.inversion.finite_frequency import fresnel_table
from sonoray.inversion.linearization import Linearizer, pulse_spectrum
from sonoray.inversion.pairs import emitter_positions, pair_distances
from sonoray.inversion.region import image_grid, image_mask
from sonoray.inversion.settings import TravelTimeSettings
from sonoray.inversion.travel_time import reconstruct_travel_time
from sonoray.inversion.travel_times import pick_travel_times
from sonoray.rays.linking import RayLinker

LINEARISATIONS = 3
KINDS = {
    "rays, total variation": TravelTimeSettings(kernel="ray", outer_iterations=LINEARISATIONS),
    "rays, SART": TravelTimeSettings(kernel="ray", solver="sart", inner_iterations=5, outer_iterations=LINEARISATIONS),
    "finite frequencies": TravelTimeSettings(outer_iterations=LINEARISATIONS),
}
STEP, CELL, GATHER = 20e-9, 3.2e-9, 0.5 / 3e9  # [s] see above
PRODUCTS = 55  # of either kind in a linearisation with total variation: 5 times (10 and the gradient)


class Ring:
    """Recordings with 40 dB of white noise, and what the parts need."""

    def __init__(self, path):
        data, water = (sonoray.read(path, dataset=name, scale=True) for name in ("full", "water"))
        deviation = 0.01 * np.abs(water.samples[0, 0, water.n_rx // 2]).max()
        rng = np.random.default_rng(0)
        self.data, self.water = (
            d.with_(samples=d.samples + deviation * rng.standard_normal(d.samples.shape, np.float32))
            for d in (data, water)
        )
        self.tx, self.rx = emitter_positions(data), data.probe.positions
        distance = pair_distances(self.tx, self.rx)
        self.pairs = TravelTimeSettings().far_enough(distance)
        self.lengths = distance[self.pairs]
        self.picks = pick_travel_times(self.data, self.water, pairs=self.pairs)
        times = np.where(self.picks.picked & self.pairs, self.picks.time, np.nan)
        self.spectrum = pulse_spectrum(self.data, self.picks.time, duration=1.5 / (data.center_frequency or 6e5))
        self.times, self.speed = times, float(data.sound_speed)

    def reconstruct(self, settings, spacing):
        """The whole."""
        return reconstruct_travel_time(self.data, self.water, settings=settings, spacing=spacing)

    def linearizer(self, settings, spacing):
        """Grid, mask and what makes linearisations."""
        elements = np.concatenate([self.tx, self.rx])
        grid = image_grid(elements, spacing)
        mask = image_mask(grid, elements)
        args = (self.tx, self.rx, self.times, self.speed, self.spectrum, settings, "cpu")
        return grid, mask, Linearizer(grid, mask, *args)

    def zone(self, grid, mask, most=60):
        """Mean number of nodes of the mask in a pair's Fresnel zones."""
        values, step = fresnel_table(*self.spectrum, 1.0 / self.speed, grid.ndim)
        nodes = grid.points()[mask]
        chosen = np.argwhere(self.pairs)[:: max(1, self.pairs.sum() // most)]
        counts = []
        for e, r in chosen:
            a, b = (np.linalg.norm(nodes - p, axis=1) for p in (self.tx[e], self.rx[r]))
            detour = (a + b - np.linalg.norm(self.tx[e] - self.rx[r])) / self.speed
            counts.append((detour < step * len(values)).sum())
        return float(np.mean(counts))


def floors(ring, spacing, copy):
    """CPU seconds of every part [s], see the module's docstring."""
    grid, mask, linearizer = ring.linearizer(KINDS["rays, total variation"], spacing)
    n, length = len(ring.lengths), float(ring.lengths.sum())
    matrix = linearizer.around(np.zeros(int(mask.sum())), None, True).operator
    cells = 4 / np.pi * length / min(grid.spacing) * CELL
    found = {
        "picking": 4.0 * n * ring.data.samples.shape[-1] / copy,
        "linking": length / 1e-3 * STEP,
        "matrix": cells + matrix.nbytes / copy,
        "total variation": 2 * PRODUCTS * matrix.nbytes / copy,
        "SART": 5 * cells,
        "zones": 2 * PRODUCTS * n * ring.zone(grid, mask) * GATHER,
    }
    found["both"] = found["linking"] + found["matrix"]
    rays = found["picking"] + (LINEARISATIONS - 1) * found["linking"]
    solving = LINEARISATIONS * np.array([found["matrix"] + found["total variation"], found["SART"], found["zones"]])
    return found | dict(zip(KINDS, [rays + solving[0], rays + solving[1], found["picking"] + solving[2]], strict=True))


def complete(ring, spacing, floor, case):
    """Whole reconstructions."""
    for name, settings in KINDS.items():
        run = harness.own_time(lambda s=settings: ring.reconstruct(s, spacing))
        yield harness.Contender(name, case, run, len(ring.lengths), floor=floor[name])


def parts(ring, spacing, floor, case):
    """One linearisation's parts around a reconstructed map, and picking."""
    n = len(ring.lengths)
    pick = harness.own_time(lambda: pick_travel_times(ring.data, ring.water, pairs=ring.pairs))
    yield harness.Contender("picking", case, pick, n, floor=floor["picking"])
    settings = TravelTimeSettings(kernel="ray", outer_iterations=1)
    first = reconstruct_travel_time(ring.data, ring.water, picks=ring.picks, settings=settings, spacing=spacing)
    _, mask, linearizer = ring.linearizer(settings, spacing)
    excess = 1.0 / np.asarray(first.medium.sound_speed, np.float64)[mask] - 1.0 / ring.speed
    medium, _ = linearizer._background(excess)
    linker = RayLinker(medium)
    links = linker(ring.tx, ring.rx, pairs=ring.pairs)
    jobs = {
        "linking, cold": (lambda: RayLinker(medium)(ring.tx, ring.rx, pairs=ring.pairs), "linking"),
        "linking, warm": (lambda: linker(ring.tx, ring.rx, pairs=ring.pairs, start=links), "linking"),
        "linking, cold, paths": (lambda: linker(ring.tx, ring.rx, pairs=ring.pairs, paths=True), "linking"),
        "straight rays, matrix": (lambda: linearizer.around(0 * excess, None, True), "matrix"),
        "linking, warm, paths, matrix": (lambda: linearizer.around(excess, links, False), "both"),
    }
    for name, (job, key) in jobs.items():
        yield harness.Contender(name, case, harness.own_time(job), n, floor=floor[key])
    matrix = linearizer.around(excess, links, False).operator
    delays = matrix(excess)
    yield harness.Contender(
        f"matrix: {PRODUCTS} products and transposed",
        case,
        harness.own_time(lambda: [(matrix(excess), matrix.adjoint(delays)) for _ in range(PRODUCTS)]),
        n,
        floor=floor["total variation"],
        facts={"memory": matrix.nbytes},
    )
    begin = time.process_time()
    zones = ring.linearizer(KINDS["finite frequencies"], spacing)[2].around(excess, None, False).operator
    yield harness.Contender(
        "zones: a product and a transposed one",
        case,
        harness.own_time(lambda: zones.adjoint(zones(excess))),
        n,
        floor=floor["zones"] / PRODUCTS,
        facts={"setup": time.process_time() - begin},
    )


def main():
    """Print tables of whole reconstructions and of their parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a simulated ring of 256 x 256 elements")
    parser.add_argument("--rounds", type=int, default=4, help="even; default 4")
    parser.add_argument(
        "--spacings", type=float, nargs="+", default=[2.0, 1.0], help="of the map [mm]; default 2 and 1"
    )
    parser.add_argument("--only", nargs="+", default=[""], help="parts of contenders' names")
    parser.add_argument("--warm", type=int, default=0, help="executions before; default 0, they take long")
    parser.add_argument("--json", help="write results here")
    a = parser.parse_args()
    ring, copy = Ring(a.file), harness.bandwidth()
    results = []
    for spacing in a.spacings:
        step = 1e-3 * spacing
        floor = floors(ring, step, copy)
        for make, what in ((complete, "complete"), (parts, "part")):
            chosen = [c for c in make(ring, step, floor, f"{what}, {spacing:g} mm") if any(o in c.name for o in a.only)]
            results += harness.measure(chosen, a.rounds, a.warm, verbose=False) if chosen else []
    print(harness.machine())
    print(f"{len(ring.lengths)} pairs; a large copy: {copy / 1e9:.1f} GB/s\n")
    print("| case | contender | CPU s | band | wall s | floor, CPU s | x floor | matrix MB | set-up CPU s |")
    print("|---" * 9 + "|")
    for r in results:
        low, high = r.cpu_band
        memory = f"{r.facts['memory'] / 1e6:.0f}" if "memory" in r.facts else ""
        setup = f"{r.facts['setup']:.1f}" if "setup" in r.facts else ""
        print(
            f"| {r.case} | {r.name} | {r.cpu:.2f} | {low:.2f} to {high:.2f} | {r.wall:.2f} | {r.floor:.2f} | "
            f"{r.cpu / r.floor:.0f} | {memory} | {setup} |"
        )
    if a.json:
        harness.save(results, a.json)


if __name__ == "__main__":
    main()
