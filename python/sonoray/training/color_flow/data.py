"""Training data: simulated pairs of videos on disk, sampled by how much colour hides."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ...errors import ArgumentError
from ...imaging.color_overlay import steered_box
from ...io.images import count_frames, image_files, read_image
from ...io.videos import read_video
from ...restoration.frame_channels import frame_channels
from ...restoration.images import Planes
from ...simulation.flow_dataset import generate_dataset, quartile_of, read_clip
from ...simulation.flow_scenes import SCENES


@dataclass(frozen=True)
class ClipPlan:
    """Which clips, see `generate_dataset`.

    Parameters
    ----------
    n_clips : int
    shape : (n_rows, n_columns)
    n_frames : int
    seed : int
        Training and held-out clips must differ in it; 900000 and above are for judging.
    scenes : sequence of str
    haze_share : float
        Of clips whose lumens are brighter than users set them.
    """

    n_clips: int = 360
    shape: tuple[int, int] = (96, 96)
    n_frames: int = 8
    seed: int = 0
    scenes: tuple[str, ...] = SCENES
    haze_share: float = 0.0

    def without(self, scene: str) -> "ClipPlan":
        """The plan without a scene, for training what is then judged on that one."""
        if scene not in self.scenes or len(self.scenes) < 2:
            raise ArgumentError(f"leave_out: expected one of several scenes {sorted(self.scenes)}, got {scene!r}")
        return replace(self, scenes=tuple(s for s in self.scenes if s != scene))

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the clips."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Clips:
    """Pairs in memory.

    Parameters
    ----------
    color : (n, n_frames, n_rows, n_columns, 3) uint8
    bmode : (n, n_frames, n_rows, n_columns) uint8
    painted : (n, n_frames, n_rows, n_columns) bool
        Flow and the box's outline: what has to be replaced.
    coverage : (n,) float
        Mean share of flow.
    scene : (n,) str
    """

    color: NDArray[np.uint8]
    bmode: NDArray[np.uint8]
    painted: NDArray[np.bool_]
    coverage: NDArray[np.float64]
    scene: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.color)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all pairs."""
        whole = hashlib.sha256()
        for values in (self.color, self.bmode, self.painted, self.coverage):
            whole.update(f"{values.shape}".encode())
            whole.update(np.ascontiguousarray(values).tobytes())
        return whole.hexdigest()

    def __getitem__(self, index: Any) -> "Clips":
        return Clips(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def load_clips(
    plan: ClipPlan, folder: Any, *, backgrounds: Sequence[Any] = (), progress: Callable[[int, int], None] | None = None
) -> Clips:
    """Return a plan's clips; those that are not in ``folder`` yet are simulated into it.

    Parameters
    ----------
    plan : ClipPlan
    folder : path
    backgrounds : sequence of (n, n_rows, n_columns) uint8
        Real tissue for some of the clips, see `generate_dataset`; clips go to a folder of their own.
    progress : function of (done, all), optional

    Returns
    -------
    Clips
    """
    where = Path(folder) / f"{plan.seed}-{plan.digest[:8]}{f'-{digest_of(backgrounds)[:8]}' if backgrounds else ''}"
    paths = generate_dataset(
        where, plan.n_clips, plan.seed, shape=plan.shape, n_frames=plan.n_frames, scenes=plan.scenes,
        backgrounds=backgrounds, haze_share=plan.haze_share, progress=progress,
    )  # fmt: skip
    stored = [read_clip(path) for path in paths]
    return Clips(
        np.stack([clip.color for clip in stored]),
        np.stack([clip.bmode for clip in stored]),
        np.stack([clip.painted for clip in stored]),
        np.array([clip.coverage for clip in stored]),
        np.array([clip.scene for clip in stored]),
    )


def read_backgrounds(folder: Any, shape: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Read B-mode pictures and cines as backgrounds for `load_clips`.

    Parameters
    ----------
    folder : path
    shape : (n_rows, n_columns)
        Of the clips; what is smaller is refused.

    Returns
    -------
    list of (n, n_rows, n_columns) uint8

    Raises
    ------
    ArgumentError
        No folder, no pictures in it, one that is too small.
    """
    found = []
    for path in image_files(folder):
        frames = read_video(path).frames if count_frames(path) > 1 else [read_image(path)]
        grey = np.stack([np.rint(255 * Planes(np.asarray(frame)).values[0]).astype(np.uint8) for frame in frames])
        if any(n < least for n, least in zip(grey.shape[1:], shape, strict=True)):
            raise ArgumentError(f"backgrounds: expected at least {shape} pixels, got {grey.shape[1:]} in {path}")
        found.append(grey)
    return found


def digest_of(backgrounds: Sequence[Any]) -> str:
    """SHA-256 of backgrounds."""
    found = hashlib.sha256()
    for sequence in backgrounds:
        found.update(repr(np.shape(sequence)).encode() + np.ascontiguousarray(sequence).tobytes())
    return found.hexdigest()


def coverage_quartiles(coverage: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Quartile 1 to 4 of every clip, of its real coverage: `quartile_of`, as the tables of results have it."""
    return np.array([quartile_of(share) for share in coverage], np.int64)


def sampling_weights(coverage: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Probabilities in proportion to the quartile of coverage: weights 1, 2, 3 and 4."""
    quartile = coverage_quartiles(coverage).astype(np.float64)
    return quartile / quartile.sum()


@dataclass(frozen=True)
class Batch:
    """What a step sees.

    Parameters
    ----------
    channels : (n, n_channels, n_frames, n_rows, n_columns) float32
    truth, mask : (n, 1, n_frames, n_rows, n_columns) float32
    """

    channels: NDArray[np.float32]
    truth: NDArray[np.float32]
    mask: NDArray[np.float32]


class Sampler:
    """Draws batches: quartile-weighted clips, cut, mirrored, played backwards, with permuted colours.

    Masks are grown by 0 to 2 pixels, as masks that are found in compressed pictures are.

    Parameters
    ----------
    clips : Clips
    kind : {"hinted", "published"}
        See `frame_channels`.
    size : int
        Rows and columns of what is cut out.
    """

    def __init__(self, clips: Clips, kind: str, size: int = 64) -> None:
        self.clips, self.kind = clips, kind
        self.size = min(size, *clips.bmode.shape[2:])
        self.weights = sampling_weights(clips.coverage)

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """Draw ``n`` clips."""
        items = [self._one(rng, int(i)) for i in rng.choice(len(self.clips), n, p=self.weights)]
        return Batch(*(np.stack(parts) for parts in zip(*items, strict=True)))

    def _one(self, rng: np.random.Generator, index: int) -> tuple[NDArray[np.float32], ...]:
        rows, columns = self.clips.bmode.shape[2:]
        top, left = self._corner(rng, index, rows, columns)
        cut = np.s_[index, :, top : top + self.size, left : left + self.size]
        color, truth, mask = self.clips.color[cut], self.clips.bmode[cut], self.clips.painted[cut]
        flips = tuple(np.s_[::-1] if flip else np.s_[:] for flip in rng.random(3) < (0.5, 0.2, 0.5))
        color, truth, mask = color[flips], truth[flips], mask[flips]
        color = color[..., rng.permutation(3)]
        mask = grown(mask, int(rng.integers(0, 3)))
        channels = frame_channels(np.ascontiguousarray(color), mask, self.kind)
        return channels, truth[None].astype(np.float32) / np.float32(255), mask[None].astype(np.float32)

    def _corner(self, rng: np.random.Generator, index: int, rows: int, columns: int) -> tuple[int, int]:
        """Of the fullest of three random cuts: most of a frame has nothing hidden and teaches nothing."""
        corners = [
            (int(rng.integers(rows - self.size + 1)), int(rng.integers(columns - self.size + 1))) for _ in range(3)
        ]
        hidden = self.clips.painted[index, 0]
        return max(corners, key=lambda c: hidden[c[0] : c[0] + self.size, c[1] : c[1] + self.size].sum())


def grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Grow a mask (..., rows, columns) by so many pixels in rows and columns."""
    if not steps:
        return mask
    cross = scipy.ndimage.generate_binary_structure(2, 1).reshape((1,) * (mask.ndim - 2) + (3, 3))
    return np.asarray(scipy.ndimage.binary_dilation(mask, cross, iterations=steps))


def mask_batch(clips: Clips, rng: np.random.Generator, n: int, size: int = 64) -> tuple[NDArray[np.float32], ...]:
    """Single frames (n, 3, rows, columns) and what is painted (n, 1, rows, columns), as screens show them.

    Half have an outline more, in white or light grey, which colour does not give away; half are tinted (greys towards
    blue or brown), half have the blurred colours of compressed pictures.
    """
    frames, masks = [], []
    for i in rng.integers(0, len(clips), n):
        t = int(rng.integers(clips.color.shape[1]))
        rows, columns = clips.bmode.shape[2:]
        side = min(size, rows, columns)
        top, left = int(rng.integers(rows - side + 1)), int(rng.integers(columns - side + 1))
        cut = np.s_[i, t, top : top + side, left : left + side]
        color: NDArray[Any] = clips.color[cut].astype(np.float32) / np.float32(255)
        mask = clips.painted[cut]
        if rng.random() < 0.5:
            color, mask = _outlined(color, mask, rng)
        if rng.random() < 0.5:
            tint = 1 - rng.uniform(0, 0.12) * np.array([1.0, 0.4, 0.0])[:: rng.choice([-1, 1])]
            color = np.where(mask[..., None], color, color * tint)
        color = color[..., rng.permutation(3)] if rng.random() < 0.5 else color
        if rng.random() < 0.5:
            color = compressed(color, rng)
        frames.append(np.moveaxis(color, -1, 0))
        masks.append(mask[None])
    return np.stack(frames).astype(np.float32), np.stack(masks).astype(np.float32)


def _outlined(
    color: NDArray[Any], mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A frame (rows, columns, 3) with the outline of a box anywhere in it, and its mask (rows, columns)."""
    (top, bottom), (left, right) = (np.sort(rng.uniform(-0.2, 1.2, 2)) * n for n in mask.shape)
    tilt = np.deg2rad(rng.choice([-20.0, -15.0, -10.0, 0.0, 0.0, 10.0, 15.0, 20.0]))
    box = np.pad(steered_box(mask.shape, (top, bottom), (left, right), float(tilt)), 1, mode="edge")
    line = (box & ~scipy.ndimage.binary_erosion(box, border_value=1))[1:-1, 1:-1]
    return np.where(line[..., None], np.float32(rng.uniform(0.65, 1.0)), color), mask | line


def compressed(color: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
    """(rows, columns, 3) with chroma at half resolution and noise of quantisation, as codecs leave it."""
    grey = color @ np.array([0.299, 0.587, 0.114])
    chroma = scipy.ndimage.gaussian_filter(color - grey[..., None], (*rng.uniform(0.4, 1.0, 2), 0))
    noise = rng.uniform(0, 0.012) * rng.standard_normal(color.shape)
    return np.asarray(np.clip(grey[..., None] + chroma + noise, 0, 1), np.float32)
