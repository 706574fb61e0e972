"""A folder of simulated colour-flow clips, made once and read many times."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import count, scalar
from ..errors import ArgumentError, FormatError
from .color_flow import QUARTILES, color_flow_video
from .flow_scenes import SCENES


class StoredClip(NamedTuple):
    """What a clip's file holds; fields as in `ColorFlowVideo`.

    Attributes
    ----------
    color : (n_frames, n_rows, n_columns, 3) uint8
    bmode : (n_frames, n_rows, n_columns) uint8
    mask, painted : (n_frames, n_rows, n_columns) bool
    scene : str
    quartile : int
        1 to 4, of ``coverage`` (`quartile_of`); where a scene cannot be covered as asked, not the one asked for.
    coverage : float
    """

    color: NDArray[np.uint8]
    bmode: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    painted: NDArray[np.bool_]
    scene: str
    quartile: int
    coverage: float


def quartile_of(coverage: float) -> int:
    """Quartile, 1 to 4, that a share of the picture under colour lies in (`QUARTILES`; beyond their ends: 1, 4)."""
    return 1 + sum(coverage >= high for _, high in QUARTILES[:-1])


def generate_dataset(
    folder: Any,
    n_clips: int,
    seed: int,
    *,
    shape: Any = (96, 96),
    n_frames: int = 8,
    scenes: Sequence[str] = SCENES,
    backgrounds: Sequence[Any] = (),
    background_share: float = 0.25,
    haze_share: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Simulate clips into a folder; clips that are there already stay, so that an interrupted run goes on.

    Quartiles of coverage take turns, and so do scenes. Clip i depends on ``seed`` and i alone.

    Parameters
    ----------
    folder : path
        Made if need be. A folder of clips made otherwise is refused.
    n_clips, seed : int
    shape, n_frames
        As for `color_flow_video`.
    scenes : sequence of str
    backgrounds : sequence of (n, n_rows, n_columns) uint8
        Real sequences at least as large as ``shape``; random places are cut out, and frames in order.
    background_share : float
        Share of clips with a real background, if there are any.
    haze_share : float
        Share of clips with brighter lumens, see `color_flow_video`.
    progress : function of (done, all), optional

    Returns
    -------
    list of Path

    Raises
    ------
    ArgumentError
        Unknown scenes, backgrounds that are too small, a folder with other settings.
    """
    n, size = count("n_clips", n_clips, 1), [int(v) for v in shape]
    share = scalar("background_share", background_share, 0.0, 1.0, "(share of clips)")
    hazy = scalar("haze_share", haze_share, 0.0, 1.0, "(share of clips)")
    if not scenes or set(scenes) - set(SCENES):
        raise ArgumentError(f"scenes: expected some of {', '.join(SCENES)}, got {', '.join(scenes) or 'none'}")
    for sequence in backgrounds:
        if np.ndim(sequence) != 3 or any(a < b for a, b in zip(np.shape(sequence)[1:], size, strict=True)):
            raise ArgumentError(
                f"backgrounds: expected (n, rows, columns) of at least {size}, got {np.shape(sequence)}"
            )
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    recipe = {"seed": count("seed", seed, 0, 2**62), "shape": size, "n_frames": n_frames, "scenes": list(scenes),
              "backgrounds": len(backgrounds), "background_share": share if backgrounds else 0.0,
              "haze_share": hazy}  # fmt: skip
    note = where / "dataset.json"
    if note.exists() and json.loads(note.read_text()) != recipe:
        raise ArgumentError(f"folder: expected an empty one or clips of {recipe}, got {note.read_text()} in {where}")
    note.write_text(json.dumps(recipe))
    paths = [where / f"clip_{i:06d}.npz" for i in range(n)]
    for i, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng([seed, i])
            background = _cut(rng, backgrounds, size, n_frames) if backgrounds and rng.random() < share else None
            haze = bool(hazy and rng.random() < hazy)
            quartile, scene = i % len(QUARTILES) + 1, scenes[i // len(QUARTILES) % len(scenes)]
            clip = color_flow_video(
                rng, shape=tuple(size), n_frames=n_frames, scene=scene, coverage=quartile, background=background,
                haze=haze,
            )  # fmt: skip
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez(
                    file, color=clip.color, bmode=clip.bmode, masks=np.stack([clip.mask, clip.painted]),
                    about=json.dumps({"scene": clip.scene, "quartile": quartile, "coverage": clip.coverage,
                                      "settings": asdict(clip.settings)}),
                )  # fmt: skip
            os.replace(part, path)
        if progress is not None:
            progress(i + 1, n)
    return paths


def read_clip(path: Any) -> StoredClip:
    """Read one clip of `generate_dataset`.

    Parameters
    ----------
    path : path

    Returns
    -------
    StoredClip

    Raises
    ------
    FormatError
        Not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            color, bmode, (mask, painted) = file["color"], file["bmode"], file["masks"]
        coverage = float(about["coverage"])
        return StoredClip(color, bmode, mask, painted, about["scene"], quartile_of(coverage), coverage)
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise FormatError(f"{path}: expected a clip of generate_dataset, got something else: {error}") from error


def _cut(rng: np.random.Generator, backgrounds: Sequence[Any], size: list[int], n_frames: int) -> NDArray[np.uint8]:
    """A random part of a random sequence; one that is too short is played to and fro, a picture stays one."""
    frames = np.asarray(backgrounds[int(rng.integers(len(backgrounds)))])
    row, column = (int(rng.integers(n - m + 1)) for n, m in zip(frames.shape[1:], size, strict=True))
    first = int(rng.integers(len(frames)))
    turn = max(2 * len(frames) - 2, 1)
    order = (first + np.arange(n_frames)) % turn
    order = np.where(order < len(frames), order, turn - order)[: None if len(frames) > 1 else 1]
    part = frames[order, row : row + size[0], column : column + size[1]]
    return np.ascontiguousarray(part[:, :, ::-1] if rng.random() < 0.5 else part)
