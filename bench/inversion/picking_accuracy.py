"""Pickers against the truth of the simulated rings: errors of travel times with white noise at 40, 30 and 20 dB.

Noise: standard deviation A0 10^(-SNR / 20), A0 the peak of the water trace at the opposite element, on every sample of
object and water (one shot), `numpy.random.default_rng(seed)`. Pairs: further apart than `--minimum` ring radii
(pi / 2: the opposite 42 %). Default options of every picker were chosen on vsx_like_64 with seed 0; the other files
and seeds judge them.

Two truths: straight rays through the true map (what a straight-ray tomography wants), and the first arrival there
(eikonal equation, bent rays). A wave of 1.6 us period does neither: it averages over a Fresnel zone of some 2 cm.

    PYTHONPATH=python:. python bench/inversion/picking_accuracy.py FOLDER [--cases vsx_like_64 ...] [--seeds 0 1]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import scipy.ndimage

import sonoray
from sonoray.inversion.pairs import emitter_positions, pair_distances

PICKERS = {
    "aic": {"method": "aic"},
    "aic, parabola": {"method": "aic", "refinement": "parabola"},
    "energy_ratio": {"method": "energy_ratio"},
    "sta_lta": {"method": "sta_lta"},
    "threshold": {"method": "threshold"},
    "cross_correlation": {"method": "cross_correlation"},
    "onset_match": {"method": "onset_match"},
}
CASES = {  # file: truth, mean speeds along a ray within this of water's [m/s]
    "vsx_like_64": ("truth_vsx_like.npz", 40.0),
    "vsx_like_256": ("truth_vsx_like.npz", 40.0),
    "breast_ct_64": ("truth_breast_ct.npz", 80.0),
    "breast_ct_128x256": ("truth_breast_ct.npz", 80.0),
}
COLUMNS = {
    "picked": "picked %",
    "rejected": "rejected %",
    "median": "straight: median",
    "mean": "mean",
    "deviation": "s.d.",
    "absolute": "median abs",
    "first_mean": "first arrival: mean",
    "first_deviation": "s.d.",
    "wrong": "off by > 400 ns %",
}
WRONG = 4e-7  # [s] a quarter period of the pulse's centre, 0.6 MHz


def truths(path, tx, rx, pairs):
    """Straight-ray and first-arrival times (n_tx, n_rx) [s] through the true map, NaN where not wanted."""
    with np.load(path) as maps:
        axis, speed = np.ravel(maps["xi"]), maps["C"].astype(float)
    step = axis[1] - axis[0]
    part = (np.arange(700) + 0.5) / 700
    straight, first = np.full((2, *pairs.shape), np.nan)
    for e in range(len(tx)):
        r = np.flatnonzero(pairs[e])
        points = tx[e] + part[:, None] * (rx[r, None] - tx[e])
        at = ((points[..., [2, 0]] - axis[0]) / step).reshape(-1, 2).T
        mean = scipy.ndimage.map_coordinates(1 / speed, at, order=1).reshape(len(r), -1).mean(axis=1)
        straight[e, r] = mean * np.linalg.norm(rx[r] - tx[e], axis=1)
    grid = sonoray.Grid(speed.shape, step, (axis[0], axis[0]))
    solver = sonoray.EikonalSolver(sonoray.Medium(grid, np.ascontiguousarray(speed.T)))
    at = ((rx[:, [0, 2]] - axis[0]) / step).T
    for e in range(0, len(tx), 16):
        for k, times in enumerate(solver(tx[e : e + 16]), start=e):
            first[k] = scipy.ndimage.map_coordinates(times.astype(float), at, order=1)
    first[~pairs] = np.nan
    return straight, first


def noisy(data, deviation, rng):
    """White noise on every sample, drawn transmit by transmit."""
    samples = np.array(data.samples, np.float32)
    for block in samples[0]:
        block[...] += deviation * rng.standard_normal(block.shape, np.float32)
    return data.with_(samples=samples)


def scores(picks, straight, first, pairs):
    """Errors in nanoseconds of what was picked, and shares in per cent."""
    use = picks.picked & pairs
    error, late = 1e9 * (picks.time - straight)[use], 1e9 * (picks.time - first)[use]
    shares = {
        "picked": 100 * use.sum() / pairs.sum(),
        "rejected": 100 * (picks.status == sonoray.PickStatus.OUTLIER).sum() / pairs.sum(),
    }
    if not error.size:
        return shares
    errors = {
        "median": np.median(error),
        "mean": error.mean(),
        "deviation": error.std(),
        "absolute": np.median(np.abs(error)),
        "first_mean": late.mean(),
        "first_deviation": late.std(),
        "wrong": 100 * (np.abs(late) > 1e9 * WRONG).mean(),
    }
    return {k: float(v) for k, v in (shares | errors).items()}


def rows(folder, case, levels, seeds, minimum):
    """Scores of every picker, level and seed."""
    truth, spread = CASES[case]
    data, water = (sonoray.read(folder / f"{case}.mat", dataset=d, scale=True) for d in ("full", "water"))
    tx, rx = emitter_positions(data), data.probe.positions
    radius = np.linalg.norm(rx - rx.mean(axis=0), axis=1).mean()
    pairs = sonoray.pairs_by_distance(tx, rx, minimum * radius)
    straight, first = truths(folder / truth, tx, rx, pairs)
    opposite = pair_distances(emitter_positions(water), rx)[0].argmax()
    peak = np.abs(water.samples[0, 0, opposite]).max()
    bend = 1e9 * (first - straight)[pairs]
    print(f"\n{case}: {pairs.sum()} pairs beyond {minimum:.3g} radii")
    print(
        f"first arrival - straight ray: mean {bend.mean():.1f}, median {np.median(bend):.1f}, s.d. {bend.std():.1f}\n"
    )
    print("| SNR | seed | picker | " + " | ".join(COLUMNS.values()) + " |")
    print("|---" * (3 + len(COLUMNS)) + "|")
    for level in levels:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            recordings = [noisy(d, peak * 10 ** (-level / 20), rng) for d in (data, water)]
            for name, picker in PICKERS.items():
                picks = sonoray.pick_travel_times(*recordings, pairs=pairs, spread=spread, **picker)
                found = scores(picks, straight, first, pairs)
                cells = " | ".join(f"{found[k]:.1f}" if k in found else "" for k in COLUMNS)
                print(f"| {level:g} dB | {seed} | {name} | {cells} |", flush=True)
                yield {"case": case, "level": level, "seed": seed, "picker": name, **found}


def main():
    """Print one table per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the simulated rings")
    parser.add_argument("--cases", nargs="+", default=["vsx_like_64", "breast_ct_64"], choices=CASES)
    parser.add_argument("--levels", type=float, nargs="+", default=[40, 30, 20], help="dB")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--minimum", type=float, default=np.pi / 2, help="distance of pairs in radii; default pi / 2")
    parser.add_argument("--json", type=Path, help="write scores here")
    a = parser.parse_args()
    found = [r for case in a.cases for r in rows(a.folder, case, a.levels, a.seeds, a.minimum)]
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
