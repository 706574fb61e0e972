"""Ray Green's functions against the Helmholtz equation: phase and amplitude at the receivers of a ring.

One emitter and 256 receivers around breast-like slices that are smoothed as for ray-Born inversion; water first. The
full-wave side is `simulate_helmholtz` (all scattering included); what its grid does to a wave in water is divided out
with the Hankel function. The ray side: `GreensFunction`, first arrivals. Receivers nearer than pi / 4 of the radius
are left out, as in the inversion. Errors: phase in units of pi, amplitude relative; "norm" is
norm(ray - wave) / norm(wave).

    PYTHONPATH=python:. python bench/inversion/greens_validation.py [--frequencies 250e3 500e3 1e6] [--seeds 0]
        [--media water ...] [--figure errors.png] [--json FILE]

About 12 s of CPU per medium at 1 MHz for a radius of 95 mm (2 GB), less at lower frequencies.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.special

from sonoray import Grid, Medium
from sonoray.media.interpolation import Interpolator, smooth
from sonoray.media.phantoms_ring import breast_slice
from sonoray.rays.greens import GreensFunction
from sonoray.simulation import simulate_helmholtz

WATER = 1500.0
SPACING = 4e-4  # [m] of the phantom, as published
POINTS = 5.5  # nodes per wavelength of the full-wave side
MEDIA = {  # how slowness is smoothed: window, width in nodes
    "water": None,
    "box 6.8 mm": ("box", 17),
    "Gaussian 3 mm": ("gaussian", 7.5),
    "Gaussian 5 mm": ("gaussian", 12.5),
}
COLUMNS = {
    "phase_rms": "phase: rms / pi",
    "phase_median": "median",
    "phase_max": "max",
    "amplitude_rms": "amplitude: rms %",
    "amplitude_median": "median %",
    "amplitude_max": "max %",
    "norm": "norm %",
}


def ring(radius, n):
    """The emitter and the receivers, (n + 1, 3) [m]."""
    angle = np.concatenate([[0.0], 2 * np.pi * (np.arange(n) + 0.5) / n])
    return radius * np.stack([np.cos(angle), np.zeros(n + 1), np.sin(angle)], axis=1)


def smooth_breast(radius, smoothing, seed):
    """A slice that fills 79 % of a ring, smoothed; None: water."""
    half = SPACING * np.ceil((radius + 5e-3) / SPACING)
    grid = Grid.from_extent(x=(-half, half), z=(-half, half), spacing=SPACING)
    if smoothing is None:
        return Medium(grid, WATER)
    breast = breast_slice(grid, radius=0.79 * radius, water=WATER, seed=seed)
    window, width = smoothing
    return Medium(grid, 1 / smooth(breast.slowness, width, window=window))


def full_wave(medium, elements, frequency):
    """Pressure of the first element at the others, (n,) complex128, and CPU seconds."""
    begin = time.process_time()
    radius = float(np.linalg.norm(elements[0]))
    spacing = float(medium.sound_speed.min()) / (POINTS * frequency)
    grid = Grid.from_extent(x=(-1.02 * radius, 1.02 * radius), z=(-1.02 * radius, 1.02 * radius), spacing=spacing)
    speed = Interpolator(medium.grid, medium.sound_speed)(grid.points().reshape(-1, 3)).reshape(grid.shape)
    here, water = (
        simulate_helmholtz(m, elements, [frequency], emitters=[0])[0, 0, 1:]
        for m in (Medium(grid, speed), Medium(grid, WATER))
    )
    distance = np.linalg.norm(elements[1:] - elements[0], axis=1)
    exact = 0.25j * scipy.special.hankel1(0, 2 * np.pi * frequency / WATER * distance)
    return here / water * exact, time.process_time() - begin


def errors(ray, wave):
    """Scores of complex pressures (n,)."""
    phase = np.abs(np.angle(ray / wave)) / np.pi
    amplitude = 100 * np.abs(np.abs(ray / wave) - 1)
    found = {"norm": 100 * float(np.linalg.norm(ray - wave) / np.linalg.norm(wave))}
    for name, values in (("phase", phase), ("amplitude", amplitude)):
        found[f"{name}_rms"] = float(np.sqrt(np.mean(values**2)))
        found[f"{name}_median"] = float(np.median(values))
        found[f"{name}_max"] = float(values.max())
    return found


def compare(name, frequencies, *, radius=0.095, receivers=256, seed=0):
    """Yield scores and (receiver angle, ray, wave) per frequency."""
    elements = ring(radius, receivers)
    medium = smooth_breast(radius, MEDIA[name], seed)
    begin = time.process_time()
    fields = GreensFunction(medium)(elements[:1], elements[1:])
    seconds = time.process_time() - begin
    far = np.linalg.norm(elements[1:] - elements[0], axis=1) > np.pi / 4 * radius
    angle = np.degrees(np.arctan2(elements[1:, 2], elements[1:, 0])[far]) % 360
    for frequency in frequencies:
        wave, spent = full_wave(medium, elements, frequency)
        ray = fields.pressure(frequency)[:, 0]
        scores = {"medium": name, "seed": seed, "frequency": frequency, **errors(ray[far], wave[far])}
        yield scores | {"ray_seconds": seconds, "wave_seconds": spent}, (angle, ray[far], wave[far])


def draw(path, curves):
    """Phase and amplitude error over the ring, one line per medium."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(8, 6), layout="constrained")
    for label, (angle, ray, wave) in curves.items():
        axes[0].plot(angle, np.angle(ray / wave) / np.pi, label=label, lw=1)
        axes[1].plot(angle, 100 * (np.abs(ray / wave) - 1), lw=1)
    for ax, bound, name in zip(axes, (0.1, 10), ("phase error / pi", "amplitude error [%]"), strict=True):
        ax.axhspan(-bound, bound, color="0.9")
        ax.set_ylabel(name)
        ax.set_ylim(-5 * bound, 5 * bound)
    axes[1].set_xlabel("receiver [degrees from the emitter]")
    axes[0].legend(ncols=2, fontsize="small")
    figure.savefig(path, dpi=150)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frequencies", type=float, nargs="+", default=[250e3, 500e3, 1e6], help="Hz")
    parser.add_argument("--media", nargs="+", default=list(MEDIA), choices=MEDIA)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the breast")
    parser.add_argument("--radius", type=float, default=0.095, help="of the ring [m]; default 0.095")
    parser.add_argument("--figure", type=Path, help="errors over the ring at the highest frequency, first seed")
    parser.add_argument("--json", type=Path, help="write scores here")
    a = parser.parse_args()
    print("| medium | seed | kHz | " + " | ".join(COLUMNS.values()) + " | CPU s, rays | waves |")
    print("|---" * (5 + len(COLUMNS)) + "|")
    found, curves = [], {}
    for name in a.media:
        for seed in a.seeds[:1] if MEDIA[name] is None else a.seeds:
            for scores, curve in compare(name, sorted(a.frequencies), radius=a.radius, seed=seed):
                cells = " | ".join(f"{scores[k]:.2g}" for k in (*COLUMNS, "ray_seconds", "wave_seconds"))
                print(f"| {name} | {seed} | {scores['frequency'] / 1e3:g} | {cells} |", flush=True)
                found.append(scores)
                if seed == a.seeds[0]:
                    curves[name] = curve
    if a.figure:
        draw(a.figure, curves)
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
