"""How well the sound-speed network does on the full-wave cases and on simulated echoes it has not seen.

    python bench/learning/evaluate_sound_speed.py FOLDER [--model M.onnx] [--held-out N]

FOLDER holds NAME.h5 for the cases of `sonoray.simulation.autofocus_cases`; those that are missing are left out. The
map is judged where abs(x) <= 12 mm and 3 mm <= z <= 38 mm, against the truth blurred to the map's grid.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import sonoray
from sonoray.assets import load_sound_speed_network
from sonoray.autofocus.network import SoundSpeedNetwork
from sonoray.simulation.autofocus_cases import CASES, autofocus_phantom

CONSTANT = 1540.0


def judged(grid):
    """The part of the map that counts."""
    return (np.abs(grid.x) <= 12.01e-3)[:, None] & ((grid.z >= 2.99e-3) & (grid.z <= 38.01e-3))[None]


def row(name, network, data, medium, map_of):
    """One line of the table, and its figures."""
    start = time.process_time()
    found = network(data).sound_speed
    seconds = time.process_time() - start
    inside = judged(network.grid)
    truth = map_of(medium, network.grid)[inside].astype(float)
    error = found[inside] - truth
    figures = (
        np.abs(error).mean(),
        error.mean(),
        np.abs(truth - CONSTANT).mean(),
        np.abs(truth - np.median(truth)).mean(),
    )
    print(f"| {name} | {figures[0]:.1f} | {figures[1]:+.1f} | {figures[2]:.1f} | {figures[3]:.1f} | {seconds:.2f} |")
    return figures


def main():
    """Print the table."""
    form = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    form.add_argument("folder", type=Path)
    form.add_argument("--model", type=Path)
    form.add_argument("--held-out", type=int, default=0, help="simulated examples, numbered from 1000000 on")
    args = form.parse_args()
    from sonoray.training.sound_speed.data import Acquisition, draw_echoes, map_of

    network = SoundSpeedNetwork(args.model) if args.model else load_sound_speed_network()
    print(f"| case | MAE m/s | bias | constant {CONSTANT:.0f} | best constant | CPU-s |\n|---|---|---|---|---|---|")
    for name in CASES:
        path = args.folder / f"{name}.h5"
        if path.exists():
            data = sonoray.demodulate(sonoray.read(path), decimate=2)
            row(name, network, data, autofocus_phantom(name).medium, map_of)
    acquisition = Acquisition()
    rows = []
    for index in range(1_000_000, 1_000_000 + args.held_out):
        data, medium = draw_echoes(acquisition, "simulated", index)
        rows.append(row(f"simulated {index}", network, data, medium, map_of))
    if rows:
        mean = np.mean(rows, axis=0)
        print(f"| mean of {len(rows)} simulated | {mean[0]:.1f} | {mean[1]:+.1f} | {mean[2]:.1f} | {mean[3]:.1f} | |")


if __name__ == "__main__":
    main()
