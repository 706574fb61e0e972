"""Real tissue behind simulated flow: vessels sunk into grey-level sequences."""

from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from ..errors import ArgumentError
from .flow_echoes import Moment
from .flow_settings import FlowSettings
from .flow_views import FlowView

_SMALL = 0.1  # share of the picture that vessels below the resolution may colour


def checked_background(background: Any, n_frames: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The frames to use, or the single one."""
    frames = np.asarray(background)
    if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape[1:] != shape:
        raise ArgumentError(
            f"background: expected uint8 of shape (n, {shape[0]}, {shape[1]}), got {frames.dtype} {frames.shape}"
        )
    if 1 < len(frames) < n_frames or not len(frames):
        raise ArgumentError(f"background: expected 1 or at least {n_frames} frames, got {len(frames)}")
    return frames[:n_frames]


def _moved(still: NDArray[np.uint8], moments: list[Moment], view: FlowView) -> NDArray[np.uint8]:
    """A single frame at every moment, displaced as the tissue is; beyond its edges it is mirrored."""
    places = [view.show(view.place(now.material)) for now in moments]
    levels = still.astype(np.float32)
    return np.stack([
        np.rint(scipy.ndimage.map_coordinates(levels, place, order=1, mode="mirror")).astype(np.uint8)
        for place in places
    ])  # fmt: skip


def blend_background(
    rng: np.random.Generator,
    grey: NDArray[np.uint8],
    background: NDArray[np.uint8],
    moments: list[Moment],
    view: FlowView,
    settings: FlowSettings,
) -> NDArray[np.uint8]:
    """Show the background but where blood is, and there the simulated blood; walls are added by their echo.

    In one clip of four with little blood no vessel is sunk in: small vessels below the resolution colour tissue that
    looks whole.
    """
    if len(background) == 1:
        background = _moved(background[0], moments, view)
    lumen = np.clip(view.show(np.stack([now.lumen for now in moments])), 0, 1)
    if rng.random() < 0.25 and lumen.mean() < _SMALL:
        return background.copy()
    wall = np.clip(4 * lumen * (1 - lumen), 0, 1) * rng.uniform(0, 0.25)
    share = np.clip(lumen + wall, 0, 1)

    # Amplitudes, not grey levels, add up.
    def amplitude(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(10 ** (settings.dynamic_range / 20 * (levels / 255.0 - 1)))

    mixed = np.sqrt(((1 - share) * amplitude(background)) ** 2 + (share * amplitude(grey)) ** 2)
    level = 20 * np.log10(mixed) / settings.dynamic_range + 1
    return np.asarray(np.rint(255 * np.clip(level, 0, 1)), np.uint8)
