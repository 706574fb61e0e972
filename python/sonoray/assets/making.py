"""Make full-wave data sets with their truth: the shipped example, and one behind a real abdominal wall.

``python -m sonoray.assets.making`` writes the shipped files anew (with the extra ``sim``; a minute on one core).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from ..acquisition.channel_data import ChannelData
from ..io import read, write
from ..media.medium import Medium
from ..media.phantoms_tissue import TissuePhantom, coarsened
from ..simulation.examples import abdominal_data, abdominal_phantom, example_data, example_phantom
from . import EXAMPLE, EXAMPLE_MEDIUM

_RECIPE = 1  # raise it when the data behind the same wall would come out different


def write_example(folder: Any, progress: Callable[[float], None] | None = None) -> None:
    """Simulate the shipped example and write its two files into ``folder``."""
    phantom = example_phantom()
    write_with_targets(Path(folder) / EXAMPLE, example_data(phantom, progress), phantom)
    write(Path(folder) / EXAMPLE_MEDIUM, coarsened(phantom.medium, 4))


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
    write_example(Path(__file__).parent, lambda fraction: print(f"\r{100 * fraction:3.0f} %", end="", flush=True))
    print()
