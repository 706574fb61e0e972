"""Errors of Doppler estimators where velocities are known: the tables of docs/doppler.md, and its pictures.

    PYTHONPATH=python:. python bench/imaging/doppler_accuracy.py [--data FOLDER] [--pictures FOLDER] [--only TITLE ...]

Simulated vessels need nothing; the rotating disk and the carotid are found in FOLDER (default SONORAY_DATA). A minute.
"""

import argparse
import os
from pathlib import Path

import numpy as np

import sonoray
from bench.imaging import doppler_pictures
from bench.imaging.doppler_scenes import (
    DEPTH,
    GRID,
    INSIDE,
    LIMIT,
    RADIUS,
    RATE,
    VESSEL,
    C,
    F,
    carotid,
    data_folder,
    disk,
    disk_data,
    parabola,
    vessel,
    walls,
)
from sonoray import EigenFilter, FirFilter, HankelFilter, IirFilter, PolynomialFilter, SvdFilter
from sonoray.imaging.wall_filters import apply_wall_filter
from sonoray.simulation.moving_scatterers import simulate_flow_images

FILTERS = {
    "`PolynomialFilter(1)`": PolynomialFilter(1),
    "`PolynomialFilter(3)`": PolynomialFilter(3),
    "`FirFilter(0.3)`": FirFilter(0.3),
    "`IirFilter(0.15)`": IirFilter(0.15),
    "`SvdFilter()`": SvdFilter(),
    '`SvdFilter("similarity")`': SvdFilter("similarity"),
    "`SvdFilter(block=40)`": SvdFilter(block=40),
    "`EigenFilter()`": EigenFilter(),
    "`HankelFilter()`": HankelFilter(),
}


def show(title, head, rows):
    """Print a Markdown table."""
    print(f"\n**{title}**\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def decibel(values):
    """Mean power in dB."""
    return 10 * np.log10(np.mean(np.abs(values) ** 2, dtype=float))


def filter_rows():
    """Tissue 40 dB above blood that moves by up to 1 % of Nyquist; blood at 0.45 of Nyquist, 24 frames, 20 dB SNR."""
    times = np.arange(24) / RATE
    blood = vessel(0.45, times, profile=lambda z: 1.0 * (np.abs(z - DEPTH) < 2 * RADIUS))
    tissue = walls(times, 0.01, 40.0)
    outside, middle = np.abs(GRID.z - DEPTH) > RADIUS + 6e-4, np.abs(GRID.z - DEPTH) < RADIUS - 6e-4
    for name, wall_filter in FILTERS.items():
        left = apply_wall_filter(blood + tissue, wall_filter)
        velocity = sonoray.doppler_velocity(blood + tissue, F, RATE, C, wall_filter=wall_filter, average=(3, 5))
        error = velocity[:, middle] / LIMIT - 0.45
        yield (
            name,
            f"{decibel(left[:, :, outside]) - decibel(tissue[:, :, outside]):.0f} dB",
            f"{decibel(left[:, :, middle]) - decibel(blood[:, :, middle]):+.1f} dB",
            f"{100 * error.mean():+.1f} %",
            f"{100 * error.std():.1f} %",
        )


def estimator_rows():
    """Parabolic flow up to 0.7 of Nyquist, 12 frames, no averaging over points."""
    times = np.arange(12) / RATE
    for snr in (20.0, 6.0, 0.0):
        frames = vessel(0.7, times, snr)
        for lags in (1, 2, 4):
            error = (sonoray.doppler_velocity(frames, F, RATE, C, lags=lags) / LIMIT - 0.7 * parabola(GRID.z))[
                :, INSIDE
            ]
            yield (
                f"{snr:.0f} dB",
                str(lags),
                f"{100 * np.median(error):+.1f} %",
                f"{100 * np.median(np.abs(error)):.1f} %",
                f"{100 * np.mean(np.abs(error) > 0.5):.1f} %",
            )


def aliased(peak):
    """Each way to a velocity beyond Nyquist, on parabolic flow."""
    times, average = np.arange(12) / RATE, (3, 7)
    frames = vessel(peak, times)
    plain = sonoray.doppler_velocity(frames, F, RATE, C, average=average)
    slower = sonoray.doppler_velocity(vessel(peak, times * 4 / 3), F, 0.75 * RATE, C, average=average)
    waits = np.resize([1 / RATE, 1.5 / RATE], 11)
    uneven = vessel(peak, np.r_[0, np.cumsum(waits)])
    return {
        "`doppler_velocity`": plain,
        "`dual_rate_velocity`, 4 : 3": sonoray.dual_rate_velocity(plain, slower, LIMIT, 0.75 * LIMIT),
        "`staggered_velocity`, 2 : 3": sonoray.staggered_velocity(uneven, F, tuple(waits[:2]), C, average=average),
        "`displacement_velocity`": sonoray.displacement_velocity(
            frames, F, RATE, GRID.spacing[1], C, average=average, check=(9, 17)
        ),
        "`unwrap_velocity`": sonoray.unwrap_velocity(plain, LIMIT, visible=VESSEL),
    }


def alias_rows(peaks=(0.7, 1.6, 2.4)):
    """Root mean square error over Nyquist, and how much is off by a turn."""
    found = {peak: aliased(peak) for peak in peaks}
    for name in found[peaks[0]]:
        cells = []
        for peak in peaks:
            error = (found[peak][name] / LIMIT - peak * parabola(GRID.z))[:, INSIDE]
            cells.append(f"{100 * np.sqrt(np.mean(error**2)):.1f} % ({100 * np.mean(np.abs(error) > 1):.1f} %)")
        yield (name, *cells)


def vector_rows():
    """Three flows seen from several pairs of directions, 12 frames, average 5."""
    grid = sonoray.Grid.from_extent(x=(-3e-3, 3e-3), z=(11e-3, 17e-3), spacing=1.5e-4)
    x, z = np.meshgrid(grid.x, grid.z, indexing="ij")
    flows = {
        "plug, 0.3 m/s along x": lambda x, z: (0.3 + 0 * x, 0 * z),
        "rotation, 60 /s": lambda x, z: (60 * (z - DEPTH), -60 * x),
        "parabola, 1.2 m/s along x": lambda x, z: (1.2 * parabola(z) + 0 * x, 0.15 + 0 * x),
    }
    angles = {
        "tx = rx = -12, 12": ([-12, 12], [-12, 12]),
        "tx = rx = -12, 0, 12": ([-12, 0, 12], [-12, 0, 12]),
        "tx 0, rx -12, 0, 12": ([0, 0, 0], [-12, 0, 12]),
    }
    times = np.arange(12) / RATE
    for name, flow in flows.items():
        truth = np.stack(np.broadcast_arrays(*flow(x, z)))
        for seen, pair in angles.items():
            tx, rx = np.deg2rad(pair)
            images = (simulate_flow_images(grid, flow, times, F, angles=p) for p in zip(tx, rx, strict=True))
            velocities = np.stack([sonoray.doppler_velocity(i, F, RATE, C, average=5) for i in images])
            for aliases in (0, 1) if len(tx) > 2 and "1.2" in name else (0,):
                result = sonoray.vector_velocity(velocities, tx, rx, nyquist=LIMIT, aliases=aliases)
                spread = 1e3 * np.sqrt(np.mean((result.velocity - truth) ** 2, axis=(1, 2)))
                condition = f"{np.median(result.condition):.1f}"
                yield (name, seen, str(aliases), condition, f"{spread[0]:.0f} mm/s", f"{spread[1]:.0f} mm/s")


def disk_rows(folder):
    """The real disk: share of the variance that is linear in x, slope, residual."""
    data, grid, frames, on_disk = disk(folder)
    f0, rate, c = data.center_frequency, data.frame_rate, data.sound_speed
    x = np.broadcast_to(grid.x[:, None], grid.shape)[on_disk]

    def row(name, velocity):
        slope, offset = np.polyfit(x, velocity[on_disk], 1)
        rest = velocity[on_disk] - slope * x - offset
        share = 1 - rest.var() / velocity[on_disk].var()
        return name, f"{slope:.1f} /s", f"{100 * share:.2f} %", f"{1e3 * rest.std():.0f} mm/s"

    def skipped(k, lags=1):
        return sonoray.doppler_velocity(frames[::k], f0, rate / k, c, average=(5, 13), lags=lags)

    limits = {k: sonoray.nyquist_velocity(f0, rate / k, c) for k in (1, 3, 4)}
    yield row("all 32 frames (Nyquist 0.740 m/s)", skipped(1))
    yield row("all 32 frames, 4 lags", skipped(1, 4))
    yield row("every third (0.247 m/s)", skipped(3))
    yield row("every fourth (0.185 m/s)", skipped(4))
    yield row(
        "`dual_rate_velocity` of the last two", sonoray.dual_rate_velocity(skipped(3), skipped(4), limits[3], limits[4])
    )
    turns = np.cumsum([0, 3, 4, 3, 4, 3, 4, 3, 4, 3])
    yield row(
        "`staggered_velocity`, after 3 and 4",
        sonoray.staggered_velocity(frames[turns], f0, (3 / rate, 4 / rate), c, average=(5, 13)),
    )
    yield row("`unwrap_velocity` of every third", sonoray.unwrap_velocity(skipped(3), limits[3], visible=on_disk))
    moved = sonoray.displacement_velocity(
        frames[::3], f0, rate / 3, grid.spacing[1], c, average=(5, 13), check=(15, 41)
    )
    yield row("`displacement_velocity` of every third", moved)


def disk_vector_rows(folder):
    """The real disk, one plane wave seen from 10 degrees to either side: how fast it turns by vx(z) and by vz(x)."""
    data = disk_data(folder)
    grid = sonoray.Grid.from_extent(x=(-6e-3, 5e-3), z=(18e-3, 27e-3), spacing=2.5e-4)
    for window in ("hann", "boxcar"):
        for f_number in (1.5, 2.5, 4.0):
            flow = sonoray.reconstruct_doppler(
                data, "vector", wall_filter=None, receive_angles=np.deg2rad([-10, 10]), f_number=f_number,
                window=window, grid=grid, average=7,
            )  # fmt: skip
            across, along = flow.vectors[0].velocity
            from_along = np.polyfit(grid.x, along.mean(axis=1), 1)[0]
            from_across = -np.polyfit(grid.z, across.mean(axis=0), 1)[0]
            error = f"{100 * (from_across / from_along - 1):+.1f} %"
            yield window, f"{f_number:g}", f"{from_along:.1f} /s", f"{from_across:.1f} /s", error


def carotid_rows(folder):
    """The real carotid against what its scanner painted."""
    iq, _, _, painted = carotid(folder)
    rate = 5000.0  # the scanner's scale ends at 38.5 cm/s
    filters = {**FILTERS, "`PolynomialFilter(2)`": PolynomialFilter(2), "`FirFilter(0.3, 4)`": FirFilter(0.3, 4)}
    for name, wall_filter in filters.items():
        if name in {"`FirFilter(0.3)`", "`PolynomialFilter(3)`"}:
            continue  # as long as the packet; as good as none
        velocity = sonoray.doppler_velocity(iq, F, rate, wall_filter=wall_filter, average=(5, 15))
        power = sonoray.doppler_power(iq, wall_filter=wall_filter, average=(5, 15))
        flow = power > 4 * np.percentile(power, 20)
        dice = 2 * (flow & painted).sum() / (flow.sum() + painted.sum())
        yield (
            name,
            f"{dice:.2f}",
            f"{100 * flow[painted].mean():.1f} %",
            f"{100 * flow[~painted].mean():.1f} %",
            f"{100 * (velocity[flow & painted] > 0).mean():.1f} %",
            f"{100 * np.median(velocity[painted]):.1f} cm/s",
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("SONORAY_DATA", ""))
    parser.add_argument(
        "--pictures", help="folder for pictures; those of real data are for looking, not for the repository"
    )
    parser.add_argument("--only", nargs="+", metavar="TITLE", help="tables to make (default: all)")
    args = parser.parse_args(argv)
    folder = data_folder(args.data)
    tables = {
        "Wall filters": (("filter", "tissue", "blood", "bias / Nyquist", "spread / Nyquist"), filter_rows),
        "Lags": (("SNR", "lags", "bias / Nyquist", "median error / Nyquist", "off by more than half"), estimator_rows),
        "Beyond Nyquist": (("estimator", "peak 0.7", "1.6", "2.4"), alias_rows),
        "Vectors": (("flow", "directions [degrees]", "aliases", "condition", "rms x", "rms z"), vector_rows),
    }
    if folder:
        tables |= {
            "Rotating disk": (("estimate", "slope", "linear in x", "rms residual"), lambda: disk_rows(folder)),
            "Vectors on the disk": (
                ("window", "f-number", "turns, from along the beam", "from across", "across off by"),
                lambda: disk_vector_rows(folder),
            ),
            "Carotid": (
                ("filter", "Dice", "filled inside", "filled outside", "towards the probe", "median"),
                lambda: carotid_rows(folder),
            ),
        }
    unknown = set(args.only or ()) - set(tables)
    if unknown:
        parser.error(f"--only: expected some of {', '.join(map(repr, tables))}, got {', '.join(map(repr, unknown))}")
    for title in args.only or tables:
        show(title, tables[title][0], tables[title][1]())
    if args.pictures:
        doppler_pictures.draw(Path(args.pictures), folder, aliased(1.6))


if __name__ == "__main__":
    main()
