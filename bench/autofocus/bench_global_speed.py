"""Single-number sound speeds: full-wave speckle of known speeds, recordings of others, bias by a wrong time zero.

The full-wave cases (`sonoray.simulation.speckle_cases`) are simulated once into FOLDER, which takes the extra `sim` and
ten CPU-seconds each. Settings were chosen on those called tuning; the others only judge.

    PYTHONPATH=python:. python bench/autofocus/bench_global_speed.py FOLDER [--repeats 1]

Recordings come from the data folder or the cache (`sonoray data get`); absent ones are left out.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import sonoray
from sonoray.autofocus.global_speed import estimate_sound_speed
from sonoray.simulation.speckle_cases import SPEEDS, TUNING_SPEEDS, speckle_data

RECORDINGS = (  # data set, file, known speed, limits, transmits
    ("pybf-field2-3pw", "rf_dataset.hdf5", "1540 (Field II)", (1350.0, 1700.0), slice(None)),
    ("pybf-field2-3pw", "rf_dataset.hdf5", "1540 (Field II)", (1350.0, 1700.0), 1),
    ("must-rotating-disk", "PWI_disk.mat", "about 1480", (1350.0, 1700.0), slice(None)),
    ("muscle-invivo-pw", "rf_dataset.hdf5", "unknown", (1350.0, 1700.0), slice(None)),
    ("arim-fmc-aluminium", "contact_notch_aluminium.mat", "about 6300", (5000.0, 7000.0), slice(None)),
    ("arim-fmc-aluminium", "exp_data.mat7.mat", "about 6300", (5000.0, 7000.0), slice(None)),
)


def row(name, data, truth, **options):
    start = time.process_time()
    found = estimate_sound_speed(data, **options)
    spent = time.process_time() - start
    error = found.sound_speed - truth if isinstance(truth, float) else np.nan
    shown = "" if np.isnan(error) else f"{error:+.1f}"
    known = f"{truth:.0f}" if isinstance(truth, float) else truth
    cells = (name, known, f"{found.sound_speed:.1f}", f"{found.uncertainty:.1f}", shown, found.method, f"{spent:.2f}")
    print("| " + " | ".join(cells) + " |", flush=True)
    return error


def case(folder, c, seed):
    path = folder / f"speckle_{c:.0f}_{seed}.h5"
    if not path.exists():
        sonoray.write(path, speckle_data(c, seed))
    return sonoray.read(path)


def rmse(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=1, help="speckles of each speed")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| data | truth m/s | estimate | uncertainty | error | method | CPU s |\n|---|---|---|---|---|---|---|")
    errors = {"3 plane waves": [], "2 plane waves": [], "1 plane wave": []}
    jobs = [(c, 101 + i, "tuning, ") for i, c in enumerate(TUNING_SPEEDS)]
    jobs += [(c, 1 + i + 100 * (r + 1) * (r > 0), "") for r in range(arguments.repeats) for i, c in enumerate(SPEEDS)]
    for c, seed, kind in jobs:
        data = case(arguments.folder, c, seed)
        for (name, found), transmits in zip(errors.items(), (slice(None), [0, 1], 0), strict=True):
            error = row(f"{kind}speckle {seed}, {name}", data.select(transmits=transmits), c)
            if not kind:
                found.append(error)
    for folder, file, truth, limits, transmits in RECORDINGS:
        path = sonoray.datasets.find(f"{folder}/{file}")
        if path is not None:
            data = sonoray.read(path).select(transmits=transmits)
            row(f"{folder}/{file}, {data.n_tx} tx", data, truth, limits=limits)
    for name, found in errors.items():
        print(f"\nRMSE, {name}: {rmse(found):.2f} m/s over {len(found)} judged speckles")
    data = case(arguments.folder, 1540.0, 2)
    for late in (-2e-7, -1e-7, 1e-7, 2e-7):
        found = estimate_sound_speed(data.with_(start_time=data.start_time + late)).sound_speed
        print(f"time zero wrong by {late * 1e9:+.0f} ns: {found - 1540:+.1f} m/s")


if __name__ == "__main__":
    main()
