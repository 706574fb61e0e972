"""One frame of any recording as the multistatic I/Q that maps are found from."""

from typing import Any

import numpy as np

from .._checks import count
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.encoding import decode
from ..acquisition.signals import demodulate
from ..errors import ArgumentError
from ..media.grids import Grid
from ..media.interpolation import continued
from ..media.medium import Medium

LEAST_TRANSMITS = 0.2  # per element; with fewer most of the multistatic set is guessed
TABLE_SPACING = 2e-4  # m, largest distance of nodes of maps that delays come from


def tells_elements_apart(channel_data: ChannelData) -> bool:
    """Whether a sequence has enough transmits for `decode` to recover what single elements would have sent."""
    require_channel_data(channel_data)
    return channel_data.n_tx >= LEAST_TRANSMITS * channel_data.n_rx


def multistatic_frame(channel_data: ChannelData, frame: int = 0) -> ChannelData:
    """One frame as I/Q of single-element transmits, in the elements' order.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q, of a linear or any other 2-D array. Sequences other than a full synthetic aperture are decoded
        (`sonoray.decode`), which must tell all elements apart: about as many transmits as elements, a
        fifth of that at least.
    frame : int

    Returns
    -------
    ChannelData
        (1, n_elements, n_elements, n_samples) complex64.

    Raises
    ------
    ArgumentError
        No such frame, an unknown centre frequency, elements that never fire, too few transmits.
    """
    require_channel_data(channel_data)
    count("frame", frame, 0, channel_data.n_frames - 1)
    if not tells_elements_apart(channel_data):
        raise ArgumentError(
            f"channel_data: expected at least {LEAST_TRANSMITS * channel_data.n_rx:.0f} transmits to tell "
            f"{channel_data.n_rx} elements apart, got {channel_data.n_tx}"
        )
    data = channel_data.select(frames=frame)
    data = data if data.is_iq else demodulate(data)
    if any(t.element is None for t in data.transmits):
        data = _until(decode(data), data.end_time)  # later on only some of the transmits were still heard
    elements = [-1 if t.element is None else t.element for t in data.transmits]
    if sorted(elements) != list(range(data.n_rx)):
        raise ArgumentError(
            f"channel_data: expected transmits in which each of {data.n_rx} elements fires, got {len(set(elements))} "
            "firing elements"
        )
    order = np.argsort(elements)
    return data if np.array_equal(order, np.arange(data.n_rx)) else data.select(transmits=order)


def _until(data: ChannelData, time: float) -> ChannelData:
    n = int((time - data.start_time.max()) * data.sampling_frequency + 1e-6) + 1
    return data.with_(samples=data.samples[..., : max(2, min(n, data.n_samples))])


def covering(medium: Medium, probe: Any, grid: Any) -> Medium:
    """A map continued as it ends, linearly between its nodes, over an image grid and the elements of a probe."""
    points = np.concatenate([np.asarray(grid.points(), float).reshape(-1, 3), probe.positions])[:, [0, 2]]
    spacing = np.array(medium.grid.spacing)
    step = spacing / np.ceil(spacing / TABLE_SPACING)
    low, high = points.min(axis=0) - step, points.max(axis=0) + step
    first = np.minimum(low, medium.grid.origin)
    last = np.maximum(high, [axis[-1] for axis in medium.grid.axes])
    shape = tuple(int(n) for n in np.ceil((last - first) / step - 1e-6) + 1)
    target = Grid(shape, tuple(step), tuple(first))
    return Medium(
        target,
        continued(medium.grid, medium.sound_speed, target.points().reshape(-1, 3)).reshape(shape).astype(np.float32),
    )
