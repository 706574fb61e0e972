"""Maps of sound speed from pulse-echo data: how right, what they do to images, how fast.

    PYTHONPATH=python:. python bench/inversion/bench_autofocus.py accuracy FOLDER [--simulate] [--network]
    PYTHONPATH=python:. python bench/inversion/bench_autofocus.py speed

FOLDER holds NAME.h5 for the full-wave cases of `sonoray.simulation.autofocus_cases`; those that are missing are left
out, or simulated with --simulate (extra `sim`, minutes each). Settings were chosen on the first two cases; the others
only judge. CPU seconds are of this process, all threads; SONORAY_THREADS sets their number.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import sonoray
from sonoray.autofocus.network import SoundSpeedNetwork
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.errors import ArgumentError
from sonoray.imaging.metrics import contrast, fwhm
from sonoray.inversion.autofocus import reconstruct_autofocus
from sonoray.inversion.autofocus_scene import Scene
from sonoray.inversion.autofocus_settings import AutofocusSettings
from sonoray.media.phantoms_tissue import coarsened
from sonoray.simulation.autofocus_cases import CASES, TUNING_CASES, autofocus_data, autofocus_phantom

NOMINAL = 1540.0
MAPS = ("1540", "found", "true")


def simulate_missing(folder):
    """Simulate the cases that FOLDER lacks; int16 RF."""
    for name in CASES:
        path = folder / f"{name}.h5"
        if not path.exists():
            data = autofocus_data(name)
            scaled = data.samples * (32767 / np.abs(data.samples).max())
            sonoray.write(path, data.with_(samples=np.rint(scaled).astype(np.int16)))
            print("simulated", path, flush=True)


def speeds_at(medium, points):
    """A medium's sound speed at points (n, 3); beyond its edge it goes on as it ends."""
    inside = points.copy()
    for axis, column in zip(medium.grid.axes, (0, 2), strict=True):
        inside[:, column] = np.clip(points[:, column], axis[0], axis[-1])
    return sonoray.Interpolator(medium.grid, medium.sound_speed, "linear")(inside)


def judged_points(region):
    """Points every half millimetre of the region of the patches."""
    (x0, x1), (z0, z1) = region
    x, z = (a.ravel() for a in np.meshgrid(np.arange(x0, x1, 5e-4), np.arange(z0, z1, 5e-4), indexing="ij"))
    return np.stack([x, 0 * x, z], axis=1)


def errors(medium, truth, points):
    """Mean absolute error and bias [m/s]."""
    error = speeds_at(medium, points) - truth
    return np.abs(error).mean(), error.mean()


def window(centre, half):
    return sonoray.Grid.from_extent(
        x=(centre[0] - half, centre[0] + half), z=(centre[2] - half, centre[2] + half), spacing=1e-4
    )


def image_metrics(data, phantom, medium):
    """Median lateral width of the points [mm] and the cyst's contrast [dB]."""
    how = {"sound_speed": NOMINAL} if medium is None else {"medium": medium}
    widths = []
    for point in phantom.points:
        grid = window(point, 2.0e-3)
        image, _ = sonoray.reconstruct_bmode(data, grid=grid, f_number=1.0, **how)
        try:
            widths.append(fwhm(sonoray.envelope(image)[0], grid.spacing[0], axis=0))
        except ArgumentError:  # no peak that stands out
            widths.append(np.nan)
    cyst = phantom.cysts[0]
    grid = window(cyst, 5.5e-3)
    image, _ = sonoray.reconstruct_bmode(data, grid=grid, f_number=1.0, **how)
    at = grid.points()
    away = np.hypot(at[..., 0] - cyst[0], at[..., 2] - cyst[2]) / cyst[3]
    amplitude = sonoray.envelope(image)[0]
    return 1e3 * np.nanmedian(widths), contrast(amplitude[away < 0.7], amplitude[(away > 1.3) & (away < 1.8)])


def extended(medium):
    """The medium on a grid that covers the windows of the images."""
    grid = sonoray.Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 40.5e-3), spacing=5e-4)
    speed = speeds_at(medium, grid.points().reshape(-1, 3)).reshape(grid.shape)
    return sonoray.Medium(grid, speed.astype(np.float32))


def judge(name, folder, network):
    """Lines of both tables of one case."""
    data = sonoray.demodulate(sonoray.read(folder / f"{name}.h5"))
    phantom = autofocus_phantom(name)
    true_map = coarsened(phantom.medium, 5, blur=0.3e-3)
    cpu = time.process_time()
    found = reconstruct_autofocus(data)
    cpu = time.process_time() - cpu
    points = judged_points(found.region)
    truth = speeds_at(true_map, points)
    cells = [f"{np.abs(truth - c).mean():.1f}" for c in (NOMINAL, np.median(truth))]
    results = [found.start, found.medium]
    if network is not None:
        guess = network(sonoray.demodulate(sonoray.read(folder / f"{name}.h5"), decimate=2))
        results += [guess, reconstruct_autofocus(data, initial=guess).medium]
    cells += [f"{mae:.1f} ({bias:+.1f})" for mae, bias in (errors(m, truth, points) for m in results)]
    images = [image_metrics(data, phantom, m) for m in (None, extended(found.medium), extended(true_map))]
    kind = f"{name} (tuning)" if name in TUNING_CASES else name
    return f"| {kind} | " + " | ".join([*cells, f"{cpu:.1f}"]) + " |", (
        f"| {kind} | " + " | ".join([f"{w:.2f}" for w, _ in images] + [f"{c:.1f}" for _, c in images]) + " |"
    )


def accuracy(arguments):
    """Print errors of maps, then widths and contrasts of images."""
    if arguments.simulate:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        simulate_missing(arguments.folder)
    network = None
    if arguments.model:
        network = SoundSpeedNetwork(arguments.model)
    elif arguments.network:
        from sonoray.assets import load_sound_speed_network

        network = load_sound_speed_network()
    columns = ["1540", "best constant", "start", "autofocus", *(["network", "both"] if network else []), "CPU s"]
    print("| case | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    lines = []
    for name in CASES:
        if (arguments.folder / f"{name}.h5").exists():
            first, second = judge(name, arguments.folder, network)
            print(first, flush=True)
            lines.append(second)
    columns = [f"{what} {m}" for what in ("FWHM mm", "cyst dB") for m in MAPS]
    print("\n| case | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    print("\n".join(lines))


def published_data():
    """Echoes of a 128-element array to 44 mm; few scatterers, as time does not depend on their number."""
    probe = sonoray.Probe.linear(128, 0.3e-3, width=0.25e-3, center_frequency=4e6)
    random = np.random.default_rng(0)
    n = 800
    at = np.stack([random.uniform(-20e-3, 20e-3, n), np.zeros(n), random.uniform(3e-3, 45e-3, n)], axis=1)
    return simulate_echoes(
        NOMINAL,
        probe,
        sonoray.full_synthetic_aperture(probe),
        at,
        random.standard_normal(n),
        sampling_frequency=6e6,
        duration=62e-6,
    )


def timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def speed(arguments):
    """Print the time of one map, and of one step of the published method."""
    data = published_data()
    region = ((-20e-3, 20e-3), (4e-3, 44e-3))
    wide = 17.5 * 0.3e-3 * 4e6 / NOMINAL  # wavelengths that make 17 elements
    ours = {"region": region, "patches": (17, 17), "kernel": (5, 0.5), "sub_aperture": wide, "initial": 1500.0}
    settings = AutofocusSettings.published()
    scene = Scene(data, AutofocusSettings(sub_aperture=wide, patches=(17, 17)), region, "cpu")
    print(f"sub-apertures of {scene.n_sub} elements, {len(scene.centers)} patches, map of {scene.grid.shape} nodes")
    found, wall, cpu = timed(lambda: reconstruct_autofocus(data, **ours))
    print(f"default, whole map: {len(found.history)} iterations, {cpu:.1f} CPU s, {wall:.1f} s wall")
    for path in ("straight", "eikonal"):
        spent = []
        for steps in (1, 1 + arguments.steps):  # the difference is free of what is done once
            options = ours | {"iterations": steps, "path": path}
            _, wall, cpu = timed(lambda options=options: reconstruct_autofocus(data, settings=settings, **options))
            spent.append((cpu, wall))
        each_cpu, each = (np.subtract(spent[1], spent[0]) / arguments.steps).tolist()
        print(f"published, {path}: {each_cpu:.2f} CPU s and {each:.2f} s wall a step, {301 * each_cpu:.0f} CPU s a map")


def main():
    """Parse and run."""
    form = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = form.add_subparsers(required=True)
    part = parts.add_parser("accuracy")
    part.add_argument("folder", type=Path)
    part.add_argument("--simulate", action="store_true")
    part.add_argument("--network", action="store_true", help="the package's own network beside it")
    part.add_argument("--model", type=Path, help="another network")
    part.set_defaults(run=accuracy)
    part = parts.add_parser("speed")
    part.add_argument("--steps", type=int, default=3)
    part.set_defaults(run=speed)
    arguments = form.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
