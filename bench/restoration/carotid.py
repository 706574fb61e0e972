"""The real carotid of `datasets` as colour-flow pictures: our overlay over its envelope, and the scanner's own screen.

    python -m bench.restoration.carotid FOLDER -o carotid.png

FOLDER holds carotid_iq.raw, carotid_env.raw, their notes (.yml) and carotid.jpeg.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

import sonoray
from sonoray.imaging.color_overlay import draw_overlay
from sonoray.imaging.doppler import doppler_power, doppler_velocity
from sonoray.imaging.scan_conversion import scan_convert_lines

NYQUIST = 0.385  # m/s, what the screen's colour bar says; it gives the repetition rate, which the file lacks
SCREEN = (slice(187, 613), slice(0, 544))  # rows and columns of the screen's picture, 30 mm deep


class CarotidFrames(NamedTuple):
    """What a translator takes, and the truth.

    Attributes
    ----------
    color : (1, n_rows, n_columns, 3) uint8
    bmode : (1, n_rows, n_columns) uint8
        The envelope of the same moment in the picture's geometry.
    mask, painted : (1, n_rows, n_columns) bool
        Flow; flow and the box's outline.
    """

    color: np.ndarray
    bmode: np.ndarray
    mask: np.ndarray
    painted: np.ndarray


def own_overlay(folder, pixel=1e-4, *, outlined=True, color_map="flame"):
    """Velocity of the I/Q ensemble by our Doppler chain over the real envelope, whose values under colour are known."""
    folder = Path(folder)
    iq, envelope = (sonoray.io.read(folder / f"carotid_{kind}.raw") for kind in ("iq", "env"))
    grid = sonoray.Grid.from_extent(x=(-18.9e-3, 18.9e-3), z=(1e-3, 30e-3), spacing=pixel)
    bmode = np.nan_to_num(scan_convert_lines(envelope.samples[0, 0], envelope, grid)).astype(np.uint8).T
    rate = 4 * iq.center_frequency * NYQUIST / 1540.0
    smooth = {"wall_filter": 1, "average": (5, 9)}
    ensemble = iq.samples[0]
    velocity = doppler_velocity(ensemble, iq.center_frequency, rate, **smooth)
    power = doppler_power(ensemble, **smooth)
    # Velocities wrap, so that phasors are converted.
    phasor = scan_convert_lines(power * np.exp(1j * np.pi * velocity / NYQUIST), iq, grid, fill=0)
    power = scan_convert_lines(power, iq, grid, fill=0)
    box = np.isfinite(scan_convert_lines(velocity, iq, grid))
    overlay = draw_overlay(
        bmode, (np.angle(phasor) * NYQUIST / np.pi).T, power.T, nyquist=NYQUIST, box=box.T, color_map=color_map,
        min_velocity=0.04 * NYQUIST, min_power=float(np.quantile(power[box], 0.6)) * 1.5, priority=140,
        outline=(255, 255, 0) if outlined else None,
    )  # fmt: skip
    return CarotidFrames(overlay.image[None], bmode[None], overlay.mask[None], overlay.painted[None])


def screen(folder):
    """The scanner's own picture without its margins, and the envelope in that geometry.

    The scanner's grey map and filters are its own: the envelope shows the structure underneath, not the grey levels.
    """
    from PIL import Image

    folder = Path(folder)
    color = np.asarray(Image.open(folder / "carotid.jpeg").convert("RGB"))[SCREEN]
    envelope = sonoray.io.read(folder / "carotid_env.raw")
    rows, columns = color.shape[:2]
    left, right = envelope.x[[0, -1]]
    # The picture begins with the first sample: then the box's top is where the first Doppler sample lies.
    first = float(envelope.ranges[0])
    grid = sonoray.Grid((columns, rows), ((right - left) / (columns - 1), 30e-3 / rows), (left, first))
    bmode = np.nan_to_num(scan_convert_lines(envelope.samples[0, 0], envelope, grid)).astype(np.uint8).T
    mask = sonoray.imaging.color_overlay.find_color(color)
    return CarotidFrames(color[None], bmode[None], mask[None], mask[None])


def main():
    """Write a picture of both."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("carotid.png"))
    options = parser.parse_args()
    rows = []
    for frames in (own_overlay(options.folder), screen(options.folder)):
        grey = frames.bmode[0][..., None].repeat(3, -1)
        rows.append(np.hstack([frames.color[0], grey]))
        print(f"{frames.color.shape}, painted {frames.painted.mean():.3f}, flow {frames.mask.mean():.3f}")
    width = max(r.shape[1] for r in rows)
    Image.fromarray(np.vstack([np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0))) for r in rows])).save(
        options.output
    )


if __name__ == "__main__":
    main()
