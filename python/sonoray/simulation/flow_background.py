"""Real tissue behind simulated flow: vessels sunk into grey-level sequences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from .flow_echoes import Moment
from .flow_settings import FlowSettings
from .flow_views import FlowView


def checked_background(background: Any, n_frames: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The frames to use; a single one is repeated."""
    frames = np.asarray(background)
    if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape[1:] != shape:
        raise ArgumentError(
            f"background: expected uint8 of shape (n, {shape[0]}, {shape[1]}), got {frames.dtype} {frames.shape}"
        )
    if len(frames) == 1:
        return frames.repeat(n_frames, axis=0)
    if len(frames) < n_frames:
        raise ArgumentError(f"background: expected 1 or at least {n_frames} frames, got {len(frames)}")
    return frames[:n_frames]


def blend_background(
    rng: np.random.Generator,
    grey: NDArray[np.uint8],
    background: NDArray[np.uint8],
    moments: list[Moment],
    view: FlowView,
    settings: FlowSettings,
) -> NDArray[np.uint8]:
    """Show the background but where blood is, and there the simulated blood; walls are added by their echo.

    In one clip of four no vessel is sunk in: small vessels below the resolution colour tissue that looks whole.
    """
    if rng.random() < 0.25:
        return background.copy()
    lumen = np.clip(view.show(np.stack([now.lumen for now in moments])), 0, 1)
    wall = np.clip(4 * lumen * (1 - lumen), 0, 1) * rng.uniform(0, 0.25)
    share = np.clip(lumen + wall, 0, 1)

    # Amplitudes, not grey levels, add up.
    def amplitude(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(10 ** (settings.dynamic_range / 20 * (levels / 255.0 - 1)))

    mixed = np.sqrt(((1 - share) * amplitude(background)) ** 2 + (share * amplitude(grey)) ** 2)
    level = 20 * np.log10(mixed) / settings.dynamic_range + 1
    return np.asarray(np.rint(255 * np.clip(level, 0, 1)), np.uint8)
