"""Ray-Born sound-speed maps against the truth: data that the Helmholtz or the wave equation have made, never our model.

    PYTHONPATH=python:. python bench/inversion/born_accuracy.py rings FILE.mat [...] [--subsets 64x64 256x256]
        [--levels 40 30] [--seeds 0] [--schemes default gauss_newton]
    PYTHONPATH=python:. python bench/inversion/born_accuracy.py helmholtz FILE.npz [...] [--schemes ...]
    PYTHONPATH=python:. python bench/inversion/born_accuracy.py rwave FILE.mat --image rwave_vsx_like.mat

`rings`: simulated rings (raw traces) with noise as in `reconstruction_accuracy`; the map to start from is that of
`reconstruct_travel_time` on the same noisy data with its defaults, whose CPU seconds are in a column of their own.
Relative error: 100 norm(c - c_true) / norm(c_water - c_true) over the nodes within 100 mm and 60 mm of the centre. No
reconstruction knows the truth. `vsx_like` lists the mean error [m/s] over 0.8 of each inclusion's radius.

`helmholtz`: the phantoms of `helmholtz_phantoms.py` from water, 1 mm, 26 frequencies to 550 kHz and 40 to 750 kHz;
error over the nodes within 34 mm against the truth at the map's resolution (blurred by 0.35 mm).

`rwave`: the published settings against the image that r-Wave itself has made of the same noisy traces (64 x 64 pairs):
error against the truth, and difference 100 norm(ours - theirs) / norm(c_true - c_water).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.io
import scipy.special
from scipy.ndimage import gaussian_filter, map_coordinates

import sonoray
from bench.inversion.reconstruction_accuracy import Recording, every
from sonoray import Grid, Medium
from sonoray.inversion.born_settings import RayBornSettings
from sonoray.inversion.evaluation import sound_speed_errors
from sonoray.inversion.pairs import pairs_by_distance
from sonoray.inversion.ray_born import reconstruct_ray_born
from sonoray.inversion.spectra import Spectra
from sonoray.inversion.travel_time import reconstruct_travel_time
from sonoray.io.extras import read_medium

SCHEMES = {
    "default": RayBornSettings,
    "published": RayBornSettings.published,  # single steps with the weighting of r-Wave
    "published, uniform": lambda **k: RayBornSettings.published(weighting="uniform", **k),
    "gauss_newton": lambda **k: RayBornSettings(method="gauss_newton", **k),
    "gradient": lambda **k: RayBornSettings(method="gradient", **k),
}
INCLUSIONS = {  # of vsx_like: (x, z, radius) [mm] and speed [m/s]
    (-16, 12, 10): 1475.0,
    (18, 14, 8): 1545.0,
    (-6, -22, 6): 1460.0,
    (22, -14, 4): 1520.0,
    (4, 4, 3): 1555.0,
}
BANDS = {"26 to 550 kHz": 26, "40 to 750 kHz": 40}


def ring_errors(medium, truth, water):
    """Relative errors [%] over the two discs."""
    return {
        f"{1e3 * radius:g} mm": sound_speed_errors(medium, truth, water, center=(0, 0, 0), radius=radius)[
            "relative_error"
        ]
        for radius in (0.1, 0.06)
    }


def inclusion_errors(medium):
    """Mean error [m/s] in each inclusion of vsx_like."""
    x, z = np.meshgrid(medium.grid.x, medium.grid.z, indexing="ij")
    speed = np.asarray(medium.sound_speed, float)
    return [
        float(speed[np.hypot(x - 1e-3 * x0, z - 1e-3 * z0) < 0.8e-3 * r].mean() - c)
        for (x0, z0, r), c in INCLUSIONS.items()
    ]


def rings(a):
    """Yield one dictionary per file, subset, noise, seed and scheme; print them."""
    print(
        "| file | pairs | SNR | seed | settings | RE %, r < 100 mm | r < 60 mm | start | CPU s | start | inclusions |"
    )
    print("|---" * 11 + "|")
    for path in a.files:
        data, water = (sonoray.read(path, dataset=name, scale=True) for name in ("full", "water"))
        truth = read_medium(path)
        for subset, level, seed in ((s, v, k) for s in a.subsets for v in a.levels for k in a.seeds):
            try:
                recording = Recording(data, water, truth, subset, level, seed)
            except SystemExit as missing:  # a file with fewer transmits
                print(missing)
                continue
            begin = time.process_time()
            start = reconstruct_travel_time(recording.data, recording.water, pairs=recording.subset)
            first = time.process_time() - begin
            for scheme in a.schemes:
                settings = SCHEMES[scheme]()
                begin = time.process_time()
                result = reconstruct_ray_born(
                    recording.data,
                    None if settings.method == "single_step" else recording.water,  # as published
                    initial=start.medium,
                    pairs=recording.subset,
                    settings=settings,
                    spacing=a.spacing,
                )
                found = {
                    "file": path.stem, "subset": subset, "level": level, "seed": seed, "scheme": scheme,
                    **ring_errors(result.medium, truth, data.sound_speed),
                    "start": ring_errors(start.medium, truth, data.sound_speed)["100 mm"],
                    "seconds": time.process_time() - begin + first, "start_seconds": first,
                    "inclusions": inclusion_errors(result.medium) if path.stem.startswith("vsx") else [],
                }  # fmt: skip
                inclusions = ", ".join(f"{e:+.1f}" for e in found["inclusions"])
                figures = (found[k] for k in ("100 mm", "60 mm", "start", "seconds", "start_seconds"))
                cells = " | ".join(f"{v:.1f}" for v in figures)
                print(
                    f"| {path.stem} | {subset} | {level:g} | {seed} | {scheme} | {cells} | {inclusions} |", flush=True
                )
                yield found


def calibrated(values, frequencies, positions, sound_speed):
    """Spectra of data relative to water: the exact direct wave becomes the leading order that rays have."""
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    k = 2 * np.pi * np.asarray(frequencies)[:, None, None] / sound_speed
    kr = k * np.where(distance > 0, distance, 1.0)
    asymptotic = 0.25 * np.sqrt(2 / (np.pi * kr)) * np.exp(1j * (kr + np.pi / 4))
    pairs = distance > 0
    return Spectra(np.asarray(frequencies), (values * asymptotic * pairs).astype(np.complex64), pairs)


def helmholtz_case(path):
    """Spectra, positions and the truth at 1 mm of a phantom file."""
    with np.load(path) as stored:
        if "values" in stored:
            f, positions, axis, speed = (stored[k] for k in ("frequencies", "positions", "axis", "sound_speed"))
            kr = 2 * np.pi * f[:, None, None] / 1500.0
            distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
            relative = stored["values"] / (0.25j * scipy.special.hankel1(0, kr * np.where(distance > 0, distance, 1.0)))
        else:  # data D and water W of a grid of its own
            done = int(stored["done"])
            f, axis, speed = stored["freqs"][:done], stored["xs"], stored["c"]
            positions = np.insert(stored["pos"], 1, 0.0, axis=1)
            water = stored["W"][:done]
            relative = stored["D"][:done] / np.where(np.abs(water) > 0, water, 1)
    grid = Grid((85, 85), 1e-3, (-0.042, -0.042))
    step = axis[1] - axis[0]
    index = (grid.points()[..., [0, 2]] - axis[0]) / step
    blurred = gaussian_filter(speed, 0.35e-3 / step)
    truth = Medium(grid, map_coordinates(blurred, np.moveaxis(index, -1, 0), order=1))
    return calibrated(relative, f, positions, 1500.0), positions, truth


def helmholtz(a):
    """Yield one dictionary per file, band and scheme; print them."""
    print("| file | frequencies | settings | RE %, r < 34 mm | CPU s |\n|---|---|---|---|---|")
    for path in a.files:
        data, positions, truth = helmholtz_case(path)
        pairs = pairs_by_distance(positions, positions, 0.7368 * 0.04)
        for band, n in BANDS.items():
            if data.n_frequencies < n:
                continue
            for scheme in a.schemes:
                begin = time.process_time()
                result = reconstruct_ray_born(
                    data.select(slice(0, n // 2 * 2)),
                    emitters=positions,
                    receivers=positions,
                    sound_speed=1500.0,
                    grid=truth.grid,
                    pairs=pairs,
                    settings=SCHEMES[scheme](),
                )
                error = sound_speed_errors(result.medium, truth, 1500.0, center=(0, 0, 0), radius=0.034)
                found = {"file": path.stem, "band": band, "scheme": scheme, "error": error["relative_error"]}
                found["seconds"] = time.process_time() - begin
                print(
                    f"| {path.stem} | {band} | {scheme} | {found['error']:.1f} | {found['seconds']:.0f} |", flush=True
                )
                yield found


def noisy_like_theirs(data, peak, level, seed=0, end=220e-6):
    """Traces up to `end`, with the noise that the other program has seen: drawn sample by sample, then by receiver."""
    n = round(end * data.sampling_frequency) + 1
    samples = np.zeros((1, data.n_tx, data.n_rx, n), np.float32)
    samples[..., : data.n_samples] = data.samples
    random = np.random.default_rng(seed)
    for k in range(n):
        noise = random.standard_normal((data.n_rx, data.n_tx))
        samples[0, :, :, k] += (peak * 10 ** (-level / 20) * noise.T).astype(np.float32)
    return data.with_(samples=samples)


def rwave(a):
    """Yield how close the published settings come to r-Wave's image; print it."""
    data, water = (sonoray.read(a.files[0], dataset=name, scale=True) for name in ("full", "water"))
    truth, theirs = read_medium(a.files[0]), scipy.io.loadmat(a.image, squeeze_me=True)
    x = theirs["x"]
    grid = Grid(theirs["img_tof"].shape, 1e-3, (float(x[0]), float(theirs["y"][0])))
    peak = np.abs(water.samples[0, 0, water.n_rx // 2]).max()
    emit, receive = every(256, 64)
    heard = noisy_like_theirs(data, peak, a.levels[0]).select(transmits=np.flatnonzero(emit))
    pairs = np.broadcast_to(receive, (64, 256))
    begin = time.process_time()
    result = reconstruct_ray_born(
        heard,
        initial=Medium(grid, theirs["img_tof"]),
        pairs=pairs,
        sound_speed=1480.0,
        grid=grid,
        settings=RayBornSettings.published(frequencies=(0.35e6, 0.95e6, 40)),
    )
    seconds = time.process_time() - begin
    image = Medium(grid, theirs["img_greens"])
    found = {"seconds": seconds, "ours": ring_errors(result.medium, truth, 1480.0)}
    found["theirs"] = ring_errors(image, truth, 1480.0)
    distance = np.linalg.norm(grid.points(), axis=-1)
    exact = map_coordinates(
        np.asarray(truth.sound_speed, float),
        np.moveaxis((grid.points()[..., [0, 2]] - truth.grid.origin) / truth.grid.spacing, -1, 0),
        order=1,
        mode="nearest",
    )
    found["difference"] = {}
    for radius in (0.1, 0.06):
        inside = distance < radius
        apart = np.linalg.norm((np.asarray(result.medium.sound_speed) - theirs["img_greens"])[inside])
        found["difference"][f"{1e3 * radius:g} mm"] = float(100 * apart / np.linalg.norm((exact - 1480.0)[inside]))
    print("| disc | RE % of r-Wave's image | of ours | difference % |\n|---|---|---|---|")
    for disc, value in found["difference"].items():
        print(f"| {disc} | {found['theirs'][disc]:.2f} | {found['ours'][disc]:.2f} | {value:.2f} |")
    print(f"{seconds:.0f} CPU s")
    yield found


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"rings": rings, "helmholtz": helmholtz, "rwave": rwave}
    parser.add_argument("part", choices=parts)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--subsets", nargs="+", default=["64x64"], help="such as 64x64 (default), 256x256")
    parser.add_argument("--levels", type=float, nargs="+", default=[40], help="dB; default 40")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--spacing", type=float, help="of the map [m]")
    parser.add_argument("--schemes", nargs="+", default=["default"], choices=SCHEMES)
    parser.add_argument("--image", type=Path, help="r-Wave's (rwave)")
    parser.add_argument("--json", type=Path, help="write scores here")
    a = parser.parse_args()
    found = list(parts[a.part](a))
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
