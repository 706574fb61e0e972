"""What ships with the package, all of it our own: full-wave examples behind a wall and inside a ring, a network.

How the first is made: `sonoray.assets.making`; the second comes from the same kind of solver (finite differences of
16th order, lossless). No part of any comes from delays, rays or images of this package, so that it can judge them.
"""

from contextlib import ExitStack
from importlib.resources import as_file, files
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..autofocus.network import SoundSpeedNetwork
from ..errors import FormatError
from ..media.medium import Medium
from ..restoration.color_flow import ColorFlowTranslator
from ..restoration.despeckling import Despeckler
from ..restoration.enhancement import Enhancer

EXAMPLE = "wall_example.h5"
EXAMPLE_MEDIUM = "wall_example_medium.h5"
FOCUS_EXAMPLE = "focus_example.h5"
FOCUS_EXAMPLE_MEDIUM = "focus_example_medium.h5"
RING_EXAMPLE = "ring_example.mat"
SOUND_SPEED_MODEL = "sound_speed.onnx"
DESPECKLING_MODEL = "despeckle.onnx"
ENHANCEMENT_MODEL = "enhance.onnx"
COLOR_FLOW_MODELS = "color_flow_{}.onnx"  # mask, coarse, refine


def load_example() -> tuple[ChannelData, Medium]:
    """Load the shipped example: points and a cyst in speckle behind an undulating wall of fat and muscle.

    Returns
    -------
    channel_data : ChannelData
        (1, 7, 64, 781) int16: seven plane waves from -12 to 12 degrees, 64 elements at 0.3 mm, 4 MHz, 20 MHz sampling.
    medium : Medium
        The true sound speed at 0.2 mm, float32.
    """
    return _data_and_map(EXAMPLE, EXAMPLE_MEDIUM)


def _data_and_map(data_name: str, medium_name: str) -> tuple[ChannelData, Medium]:
    from ..io import read

    with as_file(files(__name__) / data_name) as path:
        channel_data = read(path)
    with as_file(files(__name__) / medium_name) as path:
        medium = read(path)
    if not isinstance(channel_data, ChannelData) or not isinstance(medium, Medium):
        raise FormatError(f"{data_name}: expected channel data and a medium; is the installation damaged?")
    return channel_data, medium


def load_focus_example() -> tuple[ChannelData, Medium]:
    """Load the shipped example of autofocus: speckle, six points and a cyst behind a layer of fat over muscle.

    Returns
    -------
    channel_data : ChannelData
        (1, 64, 64, 187) complex64: every one of 64 elements at 0.45 mm fires once; 2.25 MHz, I/Q at 3.3 MHz.
    medium : Medium
        The true sound speed, 1450 over 1580 m/s, at 0.27 mm, float32.
    """
    return _data_and_map(FOCUS_EXAMPLE, FOCUS_EXAMPLE_MEDIUM)


def load_focus_example_targets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True points (n, 3) [m] and cysts (n, 4) [m] (centre and radius) of the example of autofocus."""
    with as_file(files(__name__) / FOCUS_EXAMPLE) as path:
        return read_targets(path)


def load_ring_example() -> tuple[ChannelData, ChannelData, Medium]:
    """Load the shipped ring: a disc with five inclusions in water, seen by 64 elements around it.

    Returns
    -------
    channel_data : ChannelData
        (1, 64, 64, 851) float32: every element of a ring of 110 mm fires once; 0.2 to 1.1 MHz, 5 MHz sampling.
    water : ChannelData
        (1, 1, 64, 851) float32: the shot of element 0 through water.
    medium : Medium
        The true sound speed at 0.5 mm.
    """
    from ..io import read, read_medium

    with as_file(files(__name__) / RING_EXAMPLE) as path:
        channel_data, water = (read(path, dataset=name, scale=True) for name in ("full", "water"))
        medium = read_medium(path)
    if not isinstance(channel_data, ChannelData) or not isinstance(water, ChannelData):
        raise FormatError(f"{RING_EXAMPLE}: expected channel data; is the installation damaged?")
    return channel_data, water, medium


def load_sound_speed_network(*, device: str = "cpu") -> SoundSpeedNetwork:
    """Load the shipped sound-speed network: 64 elements at 0.45 mm, I/Q at 5 MHz demodulated at 2.25 MHz.

    ``docs/models/sound-speed.md`` says what it was trained on and how far to trust it; ``sonoray train sound-speed``
    makes one for another probe.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N"}
        Where echoes are correlated; the network itself takes milliseconds on the host.

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.
    """
    with as_file(files(__name__) / SOUND_SPEED_MODEL) as path:
        return SoundSpeedNetwork(path, device=device)


def load_despeckler(*, device: str = "cpu", **options: Any) -> Despeckler:
    """Load the shipped despeckling network (Speckle2Self).

    ``docs/models/despeckle.md`` says what it was trained on and how far to trust it; ``sonoray train despeckle`` makes
    one from your own images.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "auto"}
    **options
        Of `Despeckler`.

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.
    """
    with as_file(files(__name__) / DESPECKLING_MODEL) as path:
        return Despeckler(path, device=device, **options)


def load_enhancer(*, device: str = "cpu", **options: Any) -> Enhancer:
    """Load the shipped network that deblurs and denoises B-mode images.

    ``docs/models/enhance.md`` says what it was trained on and how far to trust it; ``sonoray train enhance`` makes
    another one.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "auto"}
    **options
        See `sonoray.restoration.enhancement.Enhancer`.

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.
    """
    with as_file(files(__name__) / ENHANCEMENT_MODEL) as path:
        return Enhancer(path, device=device, **options)


def load_color_flow_translator(*, stage: str = "coarse", device: str = "cpu") -> ColorFlowTranslator:
    """Load the shipped translator from colour-flow to B-mode videos.

    ``docs/models/color-flow.md`` says what it was trained on and how far to trust it; ``sonoray train translate`` makes
    others.

    Parameters
    ----------
    stage : {"coarse", "refined"}
        What calls return by default: the network that is closest to the truth, or what the refinement makes of it.
    device : {"cpu", "cuda", "cuda:N", "auto"}

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.
    """
    with ExitStack() as stack:
        mask, coarse, refine = (
            stack.enter_context(as_file(files(__name__) / COLOR_FLOW_MODELS.format(role)))
            for role in ("mask", "coarse", "refine")
        )
        return ColorFlowTranslator(coarse, mask=mask, refine=refine, stage=stage, device=device)


def load_example_targets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True points (n, 3) [m] and cysts (n, 4) [m] (centre and radius) of the shipped example."""
    with as_file(files(__name__) / EXAMPLE) as path:
        return read_targets(path)


def read_targets(path: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True points (n, 3) [m] and cysts (n, 4) [m] that `sonoray.assets.making` left in a file.

    Raises
    ------
    FormatError
        The file holds none.
    """
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["truth/points"], np.float64), np.asarray(file["truth/cysts"], np.float64)
    except (OSError, KeyError) as error:
        raise FormatError(f"{path}: expected truth/points and truth/cysts: {error}") from None
