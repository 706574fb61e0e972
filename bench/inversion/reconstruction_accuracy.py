"""Sound-speed maps from travel times against the truth of simulated rings: relative errors, with white noise.

Relative error: 100 norm(c - c_true) / norm(c_water - c_true) over the nodes within 100 mm and 60 mm of the centre, so
that water is 100 %. Noise: standard deviation A0 10^(-SNR / 20), A0 the peak of the water trace at the opposite
element, on every sample of object and water (one shot), `numpy.random.default_rng(seed)`. "64x64": transmits of
elements 0, 4, 8, ..., receivers 2, 6, 10, ... of 256. No reconstruction knows the truth.

Settings "published" are those of the r-Wave toolbox's time-of-flight stage (AIC picks, bent rays, SART, 1 mm) in our
code; with a relaxation of 0.1 as there, and of 1, and with our default picker. CPU seconds are those of this process,
picking included.

    PYTHONPATH=python:. python bench/inversion/reconstruction_accuracy.py FILE.mat [...] [--levels 40] [--seeds 0]
        [--subsets 64x64] [--settings default ray ...]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import sonoray
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.inversion.pairs import emitter_positions, pair_distances
from sonoray.inversion.settings import TravelTimeSettings
from sonoray.inversion.tomography import TravelTimeOperator
from sonoray.inversion.travel_time import reconstruct_travel_time
from sonoray.inversion.travel_times import pick_travel_times
from sonoray.io.extras import read_medium
from sonoray.rays.paths import Paths

PUBLISHED = 1e-3  # [m] spacing of the published settings


def _published(relaxation, **changes):
    return TravelTimeSettings.published(relaxation=relaxation, outer_iterations=15, **changes), PUBLISHED, (3, 15)


SETTINGS = {  # settings, spacing of the map, after which linearisations to report; the last one always
    "default": (TravelTimeSettings(), None, (1, 3)),
    "default, 1 mm": (TravelTimeSettings(), 1e-3, ()),
    "ray": (TravelTimeSettings(kernel="ray"), None, (3,)),
    "ray, 1 mm": (TravelTimeSettings(kernel="ray"), 1e-3, ()),
    "ray, straight": (TravelTimeSettings(kernel="ray", rays="straight"), None, ()),
    "published, 0.1": _published(0.1),
    "published, 1": _published(1.0),
    "published, 0.1, onset_match": _published(0.1, picker="onset_match"),
}
COLUMNS = {
    "linearisations": "linearisations",
    "100 mm": "RE %, r < 100 mm",
    "60 mm": "RE %, r < 60 mm",
    "pairs": "pairs",
    "seconds": "CPU s",
    "median": "picks: median ns",
    "mean": "mean",
    "deviation": "s.d.",
}


def every(n, wanted):
    """Elements of a ring of n, ``wanted`` of them: which emit, and which receive."""
    step = n // wanted
    index = np.arange(n)
    return index % step == 0, index % step == step // 2


def restricted(data, subset):
    """Transmits of a subset such as "64x64", and which pairs of them and the receivers belong to it."""
    n_tx, n_rx = (int(n) for n in subset.split("x"))
    emit, receive = every(data.n_rx, n_tx)[0], every(data.n_rx, n_rx)[1]
    kept = [k for k, t in enumerate(data.transmits) if emit[t.element]]
    if len(kept) != n_tx:
        raise SystemExit(f"--subsets: expected {n_tx} of the {data.n_tx} transmits for {subset}, got {len(kept)}")
    part = data.select(transmits=kept)
    pairs = np.broadcast_to(receive, (part.n_tx, part.n_rx))
    return part, pairs & (pair_distances(emitter_positions(part), part.probe.positions) > 0)


def noisy(data, deviation, rng):
    """White noise on every sample."""
    noise = rng.standard_normal(data.samples.shape, np.float32)
    return data.with_(samples=data.samples + np.float32(deviation) * noise)


def straight_times(truth, tx, rx, pairs):
    """Times (n_tx, n_rx) [s] of straight rays through the true map, NaN where there is no pair."""
    times = np.full(pairs.shape, np.nan)
    e, r = np.nonzero(pairs)
    operator = TravelTimeOperator(truth.grid, Paths.straight(tx[e], rx[r]))
    times[e, r] = operator.integrate(1.0 / np.asarray(truth.sound_speed, np.float64))
    return times


class Recording:
    """One file, noise and subset of pairs; picks are made once per picker."""

    def __init__(self, data, water, truth, subset, level, seed):
        self.truth = truth
        part, self.subset = restricted(data, subset)
        peak = np.abs(water.samples[0, 0, water.n_rx // 2]).max()  # shot of element 0
        rng = np.random.default_rng(seed)
        self.data, self.water = (noisy(d, peak * 10 ** (-level / 20), rng) for d in (part, water))
        self.tx, self.rx = emitter_positions(part), part.probe.positions
        self.distance = pair_distances(self.tx, self.rx)
        self.straight = straight_times(truth, self.tx, self.rx, self.subset)
        self._picks = {}

    def picks(self, settings):
        """Pairs, picks and the CPU seconds that these took."""
        key = settings.picker, settings.minimum_distance
        if key not in self._picks:
            pairs = self.subset & settings.far_enough(self.distance)
            begin = time.process_time()
            picks = pick_travel_times(self.data, self.water, method=settings.picker, pairs=pairs)
            self._picks[key] = pairs, picks, time.process_time() - begin
        return self._picks[key]

    def reconstruct(self, name):
        """One dictionary of scores per reported linearisation."""
        settings, spacing, reported = SETTINGS[name]
        pairs, picks, seconds = self.picks(settings)
        error = 1e9 * (picks.time - self.straight)[picks.picked & pairs]
        facts = {"median": np.median(error), "mean": error.mean(), "deviation": error.std()}
        found, begin = [], time.process_time() - seconds

        def report(result):
            spent, k = time.process_time() - begin, len(result.history)
            if k not in (*reported, settings.outer_iterations):
                return
            errors = {
                f"{1e3 * radius:g} mm": sound_speed_errors(
                    result.medium, self.truth, result.sound_speed, center=(0, 0, 0), radius=radius
                )["relative_error"]
                for radius in (0.1, 0.06)
            }
            found.append({"linearisations": k, "seconds": spent, "pairs": result.history[-1]["pairs"], **errors})

        reconstruct_travel_time(
            self.data, self.water, picks=picks, pairs=pairs, settings=settings, spacing=spacing, report=report
        )
        return [{k: float(v) for k, v in (entry | facts).items()} for entry in found]


def rows(path, a):
    """Print a table; yield what is in it."""
    data, water = (sonoray.read(path, dataset=name, scale=True) for name in ("full", "water"))
    truth = read_medium(path)
    print(f"\n{path.stem}\n\n| pairs | SNR | seed | settings | " + " | ".join(COLUMNS.values()) + " |")
    print("|---" * (4 + len(COLUMNS)) + "|")
    for subset in a.subsets:
        for level in a.levels:
            for seed in a.seeds:
                recording = Recording(data, water, truth, subset, level, seed)
                for name in a.settings:
                    for found in recording.reconstruct(name):
                        cells = " | ".join(_text(k, found[k]) for k in COLUMNS)
                        print(f"| {subset} | {level:g} dB | {seed} | {name} | {cells} |", flush=True)
                        facts = {"file": path.stem, "subset": subset, "level": level, "seed": seed, "settings": name}
                        yield facts | found


def _text(column, value):
    return f"{value:.0f}" if column in ("linearisations", "pairs") else f"{value:.1f}"


def main():
    """Print one table per file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="of simulated rings, with their truth")
    parser.add_argument("--levels", type=float, nargs="+", default=[40], help="dB; default 40")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--subsets", nargs="+", default=["64x64"], help="such as 64x64 (default), 256x256")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--json", type=Path, help="write scores here")
    a = parser.parse_args()
    found = [row for path in a.files for row in rows(path, a)]
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
