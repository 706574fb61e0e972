"""The pictures of docs/doppler.md, and of real data for a look."""

import numpy as np

import sonoray
from bench.imaging.doppler_scenes import DEPTH, GRID, LIMIT, RATE, VESSEL, C, F, carotid, disk, noise
from sonoray import FirFilter, IirFilter, PolynomialFilter
from sonoray.imaging.color_overlay import draw_overlay
from sonoray.imaging.wall_filters import wall_filter_response
from sonoray.plotting import new_axes, save_figure, show_sonogram, show_vectors, show_velocity
from sonoray.simulation.moving_scatterers import simulate_flow_images


def draw(folder, data, aliased):
    """Write every picture that can be made into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(folder / "doppler_filters.png", responses(), dpi=90)
    save_figure(folder / "doppler_aliasing.png", aliases(aliased), dpi=90)
    save_figure(folder / "doppler_vectors.png", vectors(), dpi=90)
    save_figure(folder / "doppler_spectral.png", spectra(), dpi=90)
    if data:
        save_figure(folder / "real_disk.png", disk_vectors(data), dpi=90)
        carotid_picture(data, folder / "real_carotid.png")


def _row(n, size):
    ax = new_axes(size)
    figure = ax.figure
    ax.remove()
    return figure.subplots(1, n)


def responses(n=16):
    """What filters leave of steady flow, for 16 frames."""
    v = np.linspace(0, 1, 400)
    ax = new_axes((7.5, 4.2))
    for name, wall_filter in {
        "polynomial, order 1": PolynomialFilter(1),
        "polynomial, order 3": PolynomialFilter(3),
        "FIR, 8 frames dropped, cutoff 0.3": FirFilter(0.3, 8),
        "Chebyshev, cutoff 0.15, projection": IirFilter(0.15),
        "the same, step": IirFilter(0.15, initialization="step"),
        "the same, zero": IirFilter(0.15, initialization="zero"),
    }.items():
        ax.plot(v, 10 * np.log10(wall_filter_response(wall_filter, n, v) + 1e-12), label=name)
    ax.set(ylim=(-90, 5), xlim=(0, 1), xlabel="velocity / Nyquist velocity", ylabel="power left [dB]")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", fontsize=8)
    ax.set_title(f"wall filters, {n} frames")
    return ax


def aliases(found):
    """Maps of flow at 1.6 times Nyquist."""
    axes = _row(3, (11.5, 3.8))
    titles = ("lag one: aliased", "two rates", "unwrapped")
    names = ("`doppler_velocity`", "`dual_rate_velocity`, 4 : 3", "`unwrap_velocity`")
    for ax, title, name in zip(axes, titles, names, strict=True):
        show_velocity(found[name], GRID, visible=VESSEL, limit=1.7 * LIMIT, ax=ax, title=title)
    return axes[0]


def vectors():
    """A vortex beside a stream, seen from three directions."""
    grid = sonoray.Grid.from_extent(x=(-5e-3, 5e-3), z=(9e-3, 19e-3), spacing=1.25e-4)

    def flow(x, z):
        turn = 90 * np.exp(-(np.hypot(x, z - DEPTH) ** 2) / (2 * 2.2e-3**2))
        return turn * (z - DEPTH), -turn * x

    angles = np.deg2rad([-15.0, 0.0, 15.0])
    times = np.arange(16) / RATE
    images = (simulate_flow_images(grid, flow, times, F, angles=(a, a)) for a in angles)
    seen = np.stack([sonoray.doppler_velocity(i + noise(i.shape, 0.1), F, RATE, C, average=5) for i in images])
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    truth = np.stack(flow(x, z)).astype("f4")
    found = sonoray.vector_velocity(seen, angles, angles)
    exact = sonoray.VectorVelocity(truth, np.zeros(grid.shape), np.ones(grid.shape))
    axes = _row(3, (13.0, 4.0))
    show_velocity(seen[1], grid, ax=axes[0], title="one direction")
    limit = float(np.hypot(*truth).max())
    show_vectors(found, grid, every=6, limit=limit, ax=axes[1], title="three directions")
    show_vectors(exact, grid, every=6, limit=limit, ax=axes[2], title="truth")
    return axes[0]


def pulse(t):
    """Velocity in the middle of an artery over time, as a fraction of Nyquist."""
    beat = (1.2 * t) % 1.0
    return 0.12 + 0.75 * np.exp(-(((beat - 0.16) / 0.07) ** 2)) + 0.14 * np.exp(-(((beat - 0.45) / 0.1) ** 2))


def spectra(rate=6e3, seconds=2.5):
    """A sample volume in pulsatile flow: all velocities of a flattened profile, wall echoes, noise."""
    rng = np.random.default_rng(4)
    n = int(rate * seconds)
    fractions = np.cumsum(pulse(np.arange(n) / rate))  # turns by half
    samples = noise((n,), 0.6).astype("c16")
    for radius in np.sqrt(rng.uniform(0, 1, 150)):
        # Scatterers stay in the sample volume for about 12 ms each.
        strength = np.convolve(
            rng.standard_normal(n) + 1j * rng.standard_normal(n), np.hanning(int(0.012 * rate)), "same"
        )
        samples += 0.05 * strength * np.exp(1j * np.pi * (1 - radius**4) * fractions)
    t = np.arange(n) / rate
    samples += 300 * np.exp(0.6j * np.sin(2 * np.pi * 1.2 * t))
    found = sonoray.sonogram(samples, F, rate, wall_filter=IirFilter(0.03), length=96, hop=12, baseline=0.3)
    ax = new_axes((10.0, 4.0))
    show_sonogram(found, traces=sonoray.spectral_traces(found), dynamic_range=30, ax=ax, title="pulsatile flow")
    truth = pulse(found.times) * sonoray.nyquist_velocity(F, rate)
    ax.plot(found.times, truth, color="tab:red", linewidth=0.8, linestyle="--")
    return ax


def disk_vectors(data):
    """Velocity of the real disk along the beam."""
    channel, grid, frames, on_disk = disk(data)
    velocity = sonoray.doppler_velocity(
        frames, channel.center_frequency, channel.frame_rate, channel.sound_speed, average=(5, 13)
    )
    level = sonoray.log_compress(sonoray.envelope(frames[0]), dynamic_range=60)
    return show_velocity(velocity, grid, bmode=level, visible=on_disk, title="rotating disk")


def carotid_picture(data, path):
    """Our velocity of the carotid on what the scanner stored as its B-mode, drawn as scanners do."""
    from PIL import Image
    from scipy.interpolate import griddata

    iq, x, z, _ = carotid(data)
    lines = sonoray.read(data / "clarius-carotid-doppler" / "carotid_env.raw").samples[0, 0]
    columns, rows = np.meshgrid(np.arange(0, 38.3, 0.1) * 1e-3, np.arange(0, 30, 0.1) * 1e-3)
    line = np.clip((columns / 38.3e-3 * 303).round().astype(int), 0, 303)
    grey = lines[line, np.clip(((rows / (C / 2)) * 15e6 - 16).round().astype(int), 0, 591)]
    wall_filter, rate = IirFilter(0.1), 5000.0
    velocity = sonoray.doppler_velocity(iq, F, rate, wall_filter=wall_filter, average=(5, 15))
    power = sonoray.doppler_power(iq, wall_filter=wall_filter, average=(5, 15))
    points = np.c_[x.ravel(), z.ravel()]
    shown = [griddata(points, v.ravel(), (columns, rows), fill_value=0.0) for v in (velocity, power)]
    inside = np.isfinite(griddata(points, power.ravel(), (columns, rows)))
    picture = draw_overlay(
        grey, shown[0], shown[1], nyquist=sonoray.nyquist_velocity(F, rate), box=inside,
        min_power=4 * float(np.percentile(power, 20)), outline=(255, 255, 0),
    )  # fmt: skip
    Image.fromarray(picture.image).resize((766, 600)).save(path)
