"""The real carotid of `datasets` as colour-flow pictures: our overlay over its envelope, and the scanner's own screen.

    PYTHONPATH=python python -m bench.restoration.carotid FOLDER -o carotid.png

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


def figures(frames):
    """Print how near every method's fill comes to the envelope under our own overlay; return the fills."""
    from bench.restoration.color_flow_cases import BASELINES
    from sonoray.assets import load_color_flow_translator
    from sonoray.restoration.frame_channels import classical_fill
    from sonoray.restoration.quality import fill_figures

    translate = load_color_flow_translator()
    methods = {
        "all black": lambda color, mask: np.where(mask, 0, color[..., 0]).astype(np.uint8),
        **BASELINES,
        "start (no network)": classical_fill,
        "shipped": lambda color, mask: translate(color, mask).frames,
        "shipped, refined": lambda color, mask: translate(color, mask, stage="refined").frames,
    }
    truth, where = frames.bmode / 255, frames.painted
    level = frames.bmode[where]
    print(f"| carotid, own overlay | SSIM in mask | PSNR in mask [dB] | grey level (truth {level.mean():.1f}) | "
          f"texture |\n|---|---|---|---|---|")  # fmt: skip
    fills = {}
    for name, fill in methods.items():
        fills[name] = made = np.where(where, fill(frames.color, where), frames.bmode)
        found = fill_figures(made / 255, truth, where)
        print(f"| {name} | {found.ssim_mask:.3f} | {found.psnr_mask:.1f} | {made[where].mean():.1f} | "
              f"{found.fine / found.fine_truth:.2f} |")  # fmt: skip
    return fills


def main():
    """Print figures and write a picture: our overlay, the truth, fills; the screen, its fills."""
    from PIL import Image

    from sonoray.assets import load_color_flow_translator

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("carotid.png"))
    options = parser.parse_args()
    own, shown = own_overlay(options.folder), screen(options.folder)
    fills = figures(own)
    translate = load_color_flow_translator()
    rows = [
        [own.color[0], own.bmode[0], *(fills[name][0] for name in ("Telea", "shipped", "shipped, refined"))],
        [shown.color[0], shown.bmode[0], *(translate(shown.color, grow=2, stage=s).frames[0]
                                           for s in ("coarse", "refined"))],
    ]  # fmt: skip
    sheets = [np.hstack([c if c.ndim == 3 else c[..., None].repeat(3, -1) for c in row]) for row in rows]
    width = max(sheet.shape[1] for sheet in sheets)
    padded = [np.pad(sheet, ((0, 4), (0, width - sheet.shape[1]), (0, 0))) for sheet in sheets]
    Image.fromarray(np.vstack(padded)).save(options.output)


if __name__ == "__main__":
    main()
