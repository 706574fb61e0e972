"""Make full-wave data sets with their truth: the shipped example, and one behind a real abdominal wall.

``python -m sonoray.assets.making`` writes the files of the wall anew, ``python -m sonoray.assets.making focus`` those
of autofocus (with the extra ``sim``; a minute and some minutes on one core).
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..acquisition.channel_data import ChannelData
from ..acquisition.signals import demodulate
from ..io import read, write
from ..media.medium import Medium
from ..media.phantoms_tissue import TissuePhantom, coarsened
from ..simulation.autofocus_cases import autofocus_data, autofocus_phantom
from ..simulation.examples import abdominal_data, abdominal_phantom, example_data, example_phantom
from . import EXAMPLE, EXAMPLE_MEDIUM, FOCUS_EXAMPLE, FOCUS_EXAMPLE_MEDIUM

_FOCUS_CASE = "fat_over_muscle"
_RECIPE = 1  # raise it when the data behind the same wall would come out different


def write_example(folder: Any, progress: Callable[[float], None] | None = None) -> None:
    """Simulate the shipped example and write its two files into ``folder``."""
    phantom = example_phantom()
    write_with_targets(Path(folder) / EXAMPLE, example_data(phantom, progress), phantom)
    write(Path(folder) / EXAMPLE_MEDIUM, coarsened(phantom.medium, 4))


def write_focus_example(
    folder: Any, channel_data: ChannelData | None = None, progress: Callable[[float], None] | None = None
) -> None:
    """Write the shipped example of autofocus, two files, into ``folder``.

    Parameters
    ----------
    folder : path
    channel_data : ChannelData, optional
        RF of `sonoray.simulation.autofocus_cases.autofocus_data("fat_over_muscle")`, if it is at hand. Default:
        simulated now.
    progress : callable, optional
        Called with the fraction simulated.
    """
    phantom = autofocus_phantom(_FOCUS_CASE)
    rf = autofocus_data(_FOCUS_CASE, progress) if channel_data is None else channel_data
    write_with_targets(Path(folder) / FOCUS_EXAMPLE, small_multistatic(rf), phantom)
    write(Path(folder) / FOCUS_EXAMPLE_MEDIUM, coarsened(phantom.medium, 3))


def small_multistatic(rf: ChannelData) -> ChannelData:
    """I/Q at the lowest rate that holds the pulse's band, of the mean of both directions, in few significant bits.

    Aliases lie 43 dB, rounding 50 dB below the echoes from the deeper half; few distinct bits are what deflate needs.
    """
    width = 1.15 * 2 * 0.55 * rf.center_frequency  # of the pulse down to -24 dB
    iq = demodulate(rf, bandwidth=0.94 * width, decimate=int(rf.sampling_frequency // width))
    samples = 0.5 * (iq.samples + iq.samples.transpose(0, 2, 1, 3))
    deeper = samples[..., samples.shape[-1] // 2 :]
    unit = 2.0 ** np.round(np.log2(0.01 * np.sqrt(np.mean(np.abs(deeper) ** 2))))
    rounded = (np.round(samples.real / unit) + 1j * np.round(samples.imag / unit)) * unit
    return iq.with_(samples=rounded.astype(np.complex64))


def write_with_targets(path: Path, channel_data: ChannelData, phantom: TissuePhantom) -> None:
    """Write channel data with the phantom's points and cysts beside the samples."""
    write(path, channel_data)
    with h5py.File(path, "a") as file:
        file["truth/points"] = phantom.points
        file["truth/cysts"] = phantom.cysts


def aberration_data(
    cache_dir: Any, map_path: Any, progress: Callable[[float], None] | None = None
) -> tuple[ChannelData, Medium]:
    """Channel data behind a real abdominal wall: simulated on first use, then read from the cache.

    Parameters
    ----------
    cache_dir : path
        Made when absent.
    map_path : path
        Labelled section, see `sonoray.media.phantoms_tissue.abdominal_wall_medium`.
    progress : callable, optional
        Called with the fraction done while simulating (minutes).

    Returns
    -------
    channel_data : ChannelData
    medium : Medium
        The true sound speed, float32, its slowness blurred by a wavelength (0.44 mm standard deviation) as befits
        rays. `sonoray.simulation.examples.abdominal_targets` has the points and cysts.

    Raises
    ------
    MissingExtraError
        Nothing is cached and Devito is not installed.
    FormatError
        ``map_path`` holds no such map.
    """
    folder = Path(cache_dir)
    phantom = abdominal_phantom(map_path)
    key = hashlib.sha256(phantom.medium.sound_speed.tobytes()).hexdigest()[:12]
    path = folder / f"abdominal-wall-{_RECIPE}-{key}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data = abdominal_data(phantom, progress)
        # Written beside its final place and renamed: an interrupted run leaves nothing that looks finished.
        partial = path.with_suffix(".partial")
        write_with_targets(partial, data, phantom)
        partial.replace(path)
    return read(path), coarsened(phantom.medium, 2, blur=0.44e-3)


if __name__ == "__main__":
    _make = write_focus_example if sys.argv[1:] == ["focus"] else write_example
    _make(Path(__file__).parent, progress=lambda fraction: print(f"\r{100 * fraction:3.0f} %", end="", flush=True))
    print()
