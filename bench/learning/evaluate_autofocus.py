"""Maps from echoes of the full-wave cases: errors, coherence, widths of points and contrast of the cyst.

python -m bench.learning.evaluate_autofocus FOLDER [--network] [--optimise] [CASE ...]

FOLDER holds CASE.h5, as `sonoray.simulation.autofocus_cases.autofocus_data` simulates them (minutes each).
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

import sonoray
from sonoray.demo.autofocus import cyst_contrast, point_widths
from sonoray.demo.correction import image_through, map_errors
from sonoray.media.phantoms_tissue import coarsened
from sonoray.simulation.autofocus_cases import CASES, autofocus_phantom

GRID = sonoray.Grid.from_extent(x=(-14e-3, 14e-3), z=(4e-3, 38.5e-3), spacing=1e-4)


def evaluate(path: Path, network: sonoray.SoundSpeedNetwork | None, optimise: bool) -> str:
    """One line."""
    phantom = autofocus_phantom(path.stem)
    truth = coarsened(phantom.medium, 3)
    data = sonoray.demodulate(sonoray.read(path), decimate=2)
    begin = time.process_time()
    result = sonoray.map_sound_speed(data, model=network, optimise=optimise)
    seconds = time.process_time() - begin
    errors = map_errors(result.medium, truth, result.region)
    scores = " ".join(f"{name} {focus.score:.3f}" for name, focus in result.focus.items())
    parts = [f"MAE {errors['mean_absolute_error']:5.1f} bias {errors['bias']:+6.1f} m/s, accepted {result.accepted}"]
    for name, speed in (("1540", 1540.0), ("found", result.medium), ("true", truth)):
        image = image_through(data, GRID, speed)
        width = 1e3 * np.nanmedian(point_widths(image, GRID, phantom.points)[0])
        parts.append(f"{name} {width:.2f} mm {cyst_contrast(image, GRID, phantom.cysts):.1f} dB")
    return f"{path.stem:<16} {', '.join(parts)}, {scores}, {seconds:.1f} CPU-s"


if __name__ == "__main__":
    form = argparse.ArgumentParser()
    form.add_argument("folder", type=Path)
    form.add_argument("cases", nargs="*", default=CASES)
    form.add_argument("--network", action="store_true")
    form.add_argument("--optimise", action="store_true")
    given = form.parse_args()
    warnings.simplefilter("ignore")
    model = sonoray.load_sound_speed_network() if given.network else None
    for case in given.cases:
        file = given.folder / f"{case}.h5"
        print(evaluate(file, model, given.optimise) if file.exists() else f"{case:<16} not there", flush=True)
