"""Resolution and contrast of every method: isolated points of Field II, and a cyst in speckle.

Points: the four isolated scatterers of pybf-field2-3pw (SONORAY_DATA), three plane waves, f/1.5; lateral width at -6
dB, in steps of 2 um, and highest lateral side lobe, medians; rows of scatterers above and below add to the side lobes.
Cyst: radius 3 mm without echoes at 22 mm, 64 elements, three plane waves, f/1.5, 30 dB of signal over noise; contrast
in power, CNR and gCNR of decibels above -80, and how far the envelope of the speckle is from Rayleigh's (mean over
deviation, 1.91).

    PYTHONPATH=python:. python bench/beamforming/adaptive_accuracy.py [--picture FILE.png]
"""

import argparse
import os
from pathlib import Path

import numpy as np

import sonoray
from sonoray.beamforming.echoes import simulate_echoes

METHODS = {
    "delay and sum, boxcar": None,
    "delay and sum, hann": None,
    "coherence factor": ("coherence-factor", {}),
    "generalised coherence factor, 2": ("generalized-coherence-factor", {}),
    "phase coherence": ("phase-coherence", {}),
    "sign coherence": ("sign-coherence", {}),
    "DMAS": ("dmas", {}),
    "p-DAS, p = 2": ("pdas", {}),
    "p-DAS, p = 3": ("pdas", {"p": 3}),
    "Capon": ("capon", {}),
    "Capon, 2 x 1 samples": ("capon", {"temporal_samples": 1}),
    "eigenspace": ("eigenspace", {}),
    "short-lag coherence": ("short-lag-coherence", {}),
}
CENTER, RADIUS = (0.0, 22e-3), 3e-3
FLOOR = -80.0


def field_points(folder):
    """I/Q of three plane waves, and where its isolated scatterers lie (n, 2) [m]."""
    data = sonoray.read(folder / "pybf-field2-3pw" / "rf_dataset.hdf5")
    return sonoray.demodulate(data), np.array([(0.0, z) for z in (10.4e-3, 22.2e-3, 34.0e-3, 45.8e-3)])


def cyst_data(seed=0):
    """I/Q of a cyst without echoes in speckle of some twelve scatterers in a resolution cell."""
    rng = np.random.default_rng(seed)
    n = 12000
    x, z = rng.uniform(-8e-3, 8e-3, n), rng.uniform(15e-3, 29e-3, n)
    amplitude = rng.standard_normal(n)
    amplitude[np.hypot(x - CENTER[0], z - CENTER[1]) < RADIUS] = 0
    probe = sonoray.Probe.linear(64, 0.3e-3, width=0.27e-3, center_frequency=5e6)
    waves = sonoray.plane_waves(np.deg2rad([-8.0, 0.0, 8.0]))
    points = np.stack([x, 0 * x, z], axis=1)
    return simulate_echoes(
        1540.0, probe, waves, points, amplitude, sampling_frequency=10e6, start_time=15e-6, duration=50e-6, snr=30
    )


def image_of(data, grid, name, f_number=1.5):
    """Envelope of one method."""
    times = sonoray.arrivals(data.transmits, data.probe, grid, data.sound_speed)
    if METHODS[name] is None:
        window = name.rsplit(" ", 1)[1]
        return np.abs(sonoray.Beamformer(times, data, f_number=f_number, window=window)(data)[0])
    method = sonoray.adaptive_method(METHODS[name][0], **METHODS[name][1])
    image = sonoray.AdaptiveBeamformer(times, data, method, f_number=f_number)(data)[0]
    return np.maximum(image, 0) if method.is_coherence else np.abs(image)


def resolution(data, points, name):
    """Median lateral width [mm] and side lobe [dB] at the points."""
    widths, lobes = [], []
    for x, z in points:
        step = 0.03e-3
        grid = sonoray.Grid.from_extent(x=(x - 3e-3, x + 3e-3), z=(z - 0.5e-3, z + 0.5e-3), spacing=(step, 0.05e-3))
        envelope = image_of(data, grid, name)
        peak = np.unravel_index(envelope.argmax(), envelope.shape)
        rough = sonoray.fwhm(envelope, step, axis=0, peak=peak)
        widths.append(1e3 * fine_width(data, grid.points()[peak], rough, name))
        lobes.append(sonoray.peak_sidelobe_level(envelope, axis=0, peak=peak))
    return float(np.median(widths)), float(np.median(lobes))


def fine_width(data, at, rough, name):
    """Lateral width [m] at the peak near a point, on steps of 2 um by 10 um: Capon's is below a step of the image's."""
    step, half = 2e-6, 1.5 * rough
    x, z = (at[0] - half, at[0] + half), (at[2] - 50e-6, at[2] + 50e-6)
    envelope = image_of(data, sonoray.Grid.from_extent(x=x, z=z, spacing=(step, 10e-6)), name)
    return sonoray.fwhm(envelope, step, axis=0, peak=np.unravel_index(envelope.argmax(), envelope.shape))


def cyst_grid():
    """The grid of the cyst's image."""
    return sonoray.Grid.from_extent(x=(-6e-3, 6e-3), z=(16.5e-3, 27.5e-3), spacing=(0.1e-3, 0.1e-3))


def detection(data, name):
    """Contrast [dB], CNR, gCNR, and mean over deviation of the speckle."""
    grid = cyst_grid()
    envelope = image_of(data, grid, name)
    p = grid.points()
    distance = np.hypot(p[..., 0] - CENTER[0], p[..., 2] - CENTER[1])
    inside, outside = distance < 0.8 * RADIUS, (distance > 1.3 * RADIUS) & (distance < 1.8 * RADIUS)
    levels = 20 * np.log10(np.maximum(envelope / envelope.max(), 10 ** (FLOOR / 20)))
    return (
        sonoray.contrast(envelope[inside], envelope[outside]),
        sonoray.cnr(levels[inside], levels[outside]),
        sonoray.gcnr(levels[inside], levels[outside], bins=50),
        sonoray.speckle_snr(envelope[outside]),
    )


def picture(points_data, data, path):
    """The cyst, and the point at 34 mm, by every method; 60 dB."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [n for n in METHODS if n != "delay and sum, hann"]
    figure, axes = plt.subplots(4, len(names) // 2, figsize=(10, 7.6), constrained_layout=True)
    point_grid = sonoray.Grid.from_extent(x=(-1.5e-3, 1.5e-3), z=(33.25e-3, 34.75e-3), spacing=0.03e-3)
    for i, name in enumerate(names):
        for row, (source, grid) in enumerate(((data, cyst_grid()), (points_data, point_grid))):
            envelope = image_of(source, grid, name)
            levels = 20 * np.log10(np.maximum(envelope / envelope.max(), 1e-6))
            extent = [1e3 * v for v in (grid.x[0], grid.x[-1], grid.z[-1], grid.z[0])]
            ax = axes[2 * (i // axes.shape[1]) + row, i % axes.shape[1]]
            ax.imshow(levels.T, cmap="gray", vmin=-60, vmax=0, extent=extent)
            ax.tick_params(labelsize=6)
            if row == 0:
                ax.set_title(name, fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel("depth, mm", fontsize=7)
    figure.savefig(path, dpi=110)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SONORAY_DATA", "../shared/data"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--no-table", dest="table", action="store_false")
    args = parser.parse_args(argv)
    points_data, points = field_points(Path(args.data))
    data = cyst_data()
    if args.table:
        table(points_data, points, data)
    if args.picture:
        picture(points_data, data, args.picture)


def table(points_data, points, data):
    """Figures of every method as Markdown."""
    print("| method | width, mm | side lobe, dB | contrast, dB | CNR | gCNR | speckle |\n|---|---|---|---|---|---|---|")
    for name in METHODS:
        width, lobe = resolution(points_data, points, name)
        contrast, cnr, gcnr, speckle = detection(data, name)
        print(
            f"| {name} | {width:.3f} | {lobe:.0f} | {contrast:.1f} | {cnr:.2f} | {gcnr:.2f} | {speckle:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
