"""Colour-flow videos to B-mode videos: what colour hides is filled in from what can be seen, without PyTorch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._arrays import host_array, to_device, to_host
from .._checks import count, option
from ..errors import ArgumentError, FormatError
from ..imaging.color_overlay import find_color
from ..learning.runtime import OnnxModel
from .biharmonic import biharmonic_fill
from .bridge import bridge
from .frame_channels import KINDS, REACH, classical_fill, frame_channels, grey_of, spatial_fill

TASKS = {"mask": "color mask", "coarse": "color flow translation", "refine": "color flow refinement"}
STAGES = ("coarse", "refined")
FINDERS = ("auto", "network", "color")
_MARGIN = 32  # pixels around what is hidden that the networks are shown
_THIN = 70  # lines this many times narrower than the picture are no vessels
_MULTIPLE = 4  # of rows and columns
_LEAST_SIDE = 16
_LEAST_VISIBLE = 0.01  # share of what a frame shows
_BLACK = 4  # grey level up to which a pixel shows nothing: what surrounds pictures
_MARK = 0.05  # share of a frame up to which what is painted is a mark, and all else black no wrong mask
_TINT, _LIT = 0.04, 16  # channels' spread over the brightest that greys may have and be no tint; from this level on
_VOXELS = 4_000_000  # that go through a network together, which bounds the memory between the layers
_LARGEST_WHOLE = 16_000_000  # the same where there are no tiles
_LEAST_TILE, _SEAM = 128, 64  # pixels; tiles overlap by the latter, multiples of _MULTIPLE
_LONGEST, _SHORTEST = 24, 8  # frames of a window


@dataclass(frozen=True)
class TranslatedVideo:
    """A video without colour.

    Parameters
    ----------
    frames : (n_frames, n_rows, n_columns) uint8
        Grey levels; outside ``mask`` those of the input, bit for bit where R = G = B; elsewhere its brightness.
    mask : (n_frames, n_rows, n_columns) bool
        What was replaced.
    coverage : (n_frames,) float
        Share of every frame that was replaced.
    stage : {"coarse", "refined"}
        Which network's result it is.
    tinted : float
        Share of the pixels outside ``mask`` that are not grey in the input and became brightness.
    """

    frames: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    coverage: NDArray[np.float64]
    stage: str
    tinted: float


class ColorFlowTranslator:
    """Plan that turns colour-flow videos into the B-mode videos underneath.

    What is painted is found, or given; a coarse network fills it in from what is visible around it and in frames
    before and after; a refinement, where there is one and it is asked for, adds texture. Outlines and
    text, narrower than a 70th of the picture, are interpolated. Nothing else is changed.

    Parameters
    ----------
    coarse : OnnxModel or path
    mask : OnnxModel or path, optional
        Network that finds what is painted. Without it `find_color` does.
    refine : OnnxModel or path, optional
        For ``stage="refined"``.
    stage : {"coarse", "refined"}
    device : {"cpu", "cuda", "cuda:N", "auto"}
        For models given as paths.
    window : int, optional
        Frames that go through the networks together; neighbouring windows share a third, where they are blended.
        Default: up to 24, as memory allows.

    Raises
    ------
    FormatError
        Models of another task; a refinement that was trained on the results of another coarse network.
    ArgumentError
        ``stage`` "refined" without a refinement.

    Examples
    --------
    >>> translate = ColorFlowTranslator("color_flow_coarse.onnx")  # doctest: +SKIP
    >>> video = translate(frames)  # doctest: +SKIP
    """

    def __init__(
        self,
        coarse: Any,
        *,
        mask: Any = None,
        refine: Any = None,
        stage: str = "coarse",
        device: str = "cpu",
        window: int | None = None,
    ) -> None:
        self.coarse = _opened("coarse", coarse, device)
        self.mask = None if mask is None else _opened("mask", mask, device)
        self.refine = None if refine is None else _opened("refine", refine, device)
        self.stage = self._checked_stage(stage)
        _check_pair(self.coarse, self.refine)
        self.kind = option("coarse: channels", self.coarse.spec.settings.get("channels"), KINDS)
        reach = self.coarse.spec.settings.get("reach")  # older networks know no limit
        self.reach = None if reach is None else count("coarse: reach", reach, 0, REACH)
        self._window = None if window is None else count("window", window, 2, 1024)

    def __call__(
        self, frames: Any, mask: Any = None, *, stage: str | None = None, seed: int = 0, grow: int = 0
    ) -> TranslatedVideo:
        """Translate a video.

        Parameters
        ----------
        frames : (n_frames, n_rows, n_columns, 3) uint8
            RGB. Frames without colour are used as what they show, and returned as grey.
        mask : {"auto", "network", "color"} or (n_frames, n_rows, n_columns) or (n_rows, n_columns) bool, optional
            How what is painted is found, or where it is. "auto", the default: what the network finds and, unless the
            greys are tinted, what `find_color` finds; without a network the latter alone. In pictures with colour
            bars, give the mask or cut the picture.
        stage : {"coarse", "refined"}, optional
            Default as given to the plan.
        seed : int
            Of the speckle that the refinement starts from. The refinement normalises over all it sees: its result
            depends on what else is hidden in the window of frames, and it takes no more than 2 million pixels.
        grow : int
            Pixels by which the mask is grown; lossy compression leaves weak colour 1 or 2 pixels around paint.

        Returns
        -------
        TranslatedVideo

        Raises
        ------
        ArgumentError
            Not such frames; a frame that shows less than 1 % without colour, black not counted: there is nothing to
            go by; a mask of another shape.
        """
        count("seed", seed, 0, 2**63 - 1)
        video = checked_frames(frames)
        chosen = self.stage if stage is None else self._checked_stage(stage)
        found = self._mask(video, "auto" if mask is None else mask)
        hidden = _grown(found, count("grow", grow, 0, 16))
        result = grey_of(video)
        _check_visible(result, hidden, given=mask is not None and not isinstance(mask, str))
        if hidden.any():
            thin = _grown(_thin(found, round(min(video.shape[1:3]) / _THIN)), grow)
            self._fill(result, video, hidden, thin, chosen, seed)
        return TranslatedVideo(result, hidden, hidden.mean(axis=(1, 2)), chosen, _share_of_tints(video, hidden))

    def find(self, frames: Any) -> NDArray[np.bool_]:
        """Return what is painted, (n_frames, n_rows, n_columns) bool, as the plan finds it by default."""
        return self._mask(checked_frames(frames), "auto")

    def _checked_stage(self, stage: str) -> str:
        if option("stage", stage, STAGES) == "refined" and self.refine is None:
            raise ArgumentError("stage: expected 'coarse', since the plan has no refinement, got 'refined'")
        return stage

    def _mask(self, video: NDArray[np.uint8], mask: Any) -> NDArray[np.bool_]:
        if isinstance(mask, str):
            if option("mask", mask, FINDERS) == "color" or (mask == "auto" and self.mask is None):
                return find_color(video)
            if mask == "auto":
                found = self._found(video)
                either = found | find_color(video)
                return found if _tinted(video, either) else either
            if self.mask is None:
                raise ArgumentError("mask: expected 'color' or an array, since the plan has no network, got 'network'")
            return self._found(video)
        given = host_array("mask", mask)
        if given.dtype != bool or given.shape not in (video.shape[:3], video.shape[1:3]):
            raise ArgumentError(
                f"mask: expected bool of shape {video.shape[:3]} or {video.shape[1:3]}, got {given.dtype} {given.shape}"
            )
        return np.broadcast_to(given, video.shape[:3])

    def _found(self, video: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """What the mask network finds, frame by frame where its colours leave no doubt that there is any."""
        found = np.zeros(video.shape[:3], bool)
        for k, frame in enumerate(video):
            if not np.ptp(frame, axis=-1).any():
                continue
            colors = np.moveaxis(frame, -1, 0).astype(np.float32) / 255
            found[k] = _tiled(self.mask, frame.shape[:2], 1, _parts_of(colors)) > 0.5
        return found

    def _fill(
        self,
        result: NDArray[np.uint8],
        video: NDArray[np.uint8],
        hidden: NDArray[np.bool_],
        thin: NDArray[np.bool_],
        stage: str,
        seed: int,
    ) -> None:
        """Replace what is hidden in ``result``; what is thin is interpolated, over time where it can be."""
        rows, columns = _region(hidden)
        part, mask = video[:, rows, columns], hidden[:, rows, columns]
        filled = self._windowed(
            self.coarse, len(part), mask.shape[1:], lambda a, b: _channels(part, mask, self.kind, self.reach, a, b)
        )
        if stage == "refined":
            _require_whole(mask.shape[1:])
            pasted = np.where(mask, np.clip(filled, 0, 1), result[:, rows, columns].astype(np.float32) / 255)
            assert self.refine is not None
            given = bridge(pasted, mask, seed=seed) if self.refine.spec.settings.get("bridge") else pasted
            whole = np.stack([given, mask.astype(np.float32), pasted])
            filled = self._windowed(
                self.refine, len(part), mask.shape[1:], lambda a, b: _parts_of(whole[:, a:b]), tiles=False
            )
        levels = np.rint(255 * np.clip(filled, 0, 1)).astype(np.uint8)
        narrow = thin[:, rows, columns]
        if narrow.any():
            shown = np.where(mask, levels, result[:, rows, columns]).astype(np.float32) / 255
            levels = np.where(narrow, classical_fill(part, mask, biharmonic_fill(shown, narrow)), levels)
        result[:, rows, columns] = np.where(mask, levels, result[:, rows, columns])

    def _windowed(
        self, model: Any, n: int, shape: tuple[int, ...], channels: Callable[[int, int], "_Shown"], tiles: bool = True
    ) -> NDArray[np.float32]:
        """Run a network on windows in time and blend where they overlap."""
        window = self._window or int(np.clip(_VOXELS // (shape[0] * shape[1]), _SHORTEST, _LONGEST))
        total, weight = np.zeros((n, *shape), np.float32), np.zeros(n, np.float32)
        for first, last, ramp in _windows(n, window):
            side = None if tiles else max(shape)
            total[first:last] += ramp[:, None, None] * _tiled(model, shape, last - first, channels(first, last), side)
            weight[first:last] += ramp
        return total / weight[:, None, None]


_Shown = Callable[[slice, slice], NDArray[np.float32]]  # rows and columns -> what a network sees there


def checked_frames(frames: Any) -> NDArray[np.uint8]:
    """Return ``frames`` as an array if they are a colour video."""
    given = host_array("frames", frames)
    if given.dtype != np.uint8 or given.ndim != 4 or given.shape[-1] != 3 or 0 in given.shape:
        raise ArgumentError(
            f"frames: expected uint8 (n_frames, n_rows, n_columns, 3), RGB, got {given.dtype} {given.shape}"
        )
    return given


def _parts_of(whole: NDArray[np.float32]) -> _Shown:
    return lambda rows, columns: whole[..., rows, columns]


def _check_visible(grey: NDArray[np.uint8], hidden: NDArray[np.bool_], *, given: bool) -> None:
    """Refuse frames that show next to nothing but colour; what is black shows nothing. Given: the mask was."""
    covered = hidden.sum(axis=(1, 2))
    seen = (~hidden & (grey > _BLACK)).sum(axis=(1, 2))
    share = np.where(covered > 0, seen / np.maximum(covered + seen, 1), 1.0)
    if (share < _LEAST_VISIBLE).any():
        k = int(share.argmin())
        if covered[k] < _MARK * hidden[k].size:
            way_out = f"; it is black but for {covered[k]} painted pixels: leave such frames out"
        else:
            way_out = "" if given else "; if its greys are tinted, give the mask"
        raise ArgumentError(
            f"frames: expected at least {100 * _LEAST_VISIBLE:g} % of what every frame shows without colour to go by, "
            f"got {100 * share[k]:.2g} % in frame {k}{way_out}"
        )


def _tinted(video: NDArray[np.uint8], found: NDArray[np.bool_]) -> bool:
    """Whether most of what is lit and not ``found`` has a tint, as screens towards blue or brown have."""
    rest = video[~found]
    rest = rest[rest.max(axis=-1) >= _LIT]
    brightest = rest.max(axis=-1).astype(np.float32)
    return len(rest) > 0 and float(np.median((brightest - rest.min(axis=-1)) / brightest)) > _TINT


def _share_of_tints(video: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> float:
    rest = int((~hidden).sum())
    return int((np.ptp(video, axis=-1).astype(bool) & ~hidden).sum()) / max(rest, 1)


def _grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    if not steps:
        return mask
    cross = scipy.ndimage.generate_binary_structure(2, 1)[None]
    return np.asarray(scipy.ndimage.binary_dilation(mask, cross, iterations=steps))


def _channels(
    video: NDArray[np.uint8], mask: NDArray[np.bool_], kind: str, reach: int | None, first: int, last: int
) -> _Shown:
    """Channels of frames ``first`` to ``last``, which know of frames around them.

    The spatial fill is that of whole frames: a tile may show nothing to fill from.
    """
    begin = max(0, first - REACH)
    near = np.s_[begin : last + REACH]
    frames, hidden = video[near], mask[near]
    surround = np.stack([
        spatial_fill(grey_of(f).astype(np.float32) / np.float32(255), m) for f, m in zip(frames, hidden, strict=True)
    ]) if kind == "hinted" else None  # fmt: skip

    def shown(rows: slice, columns: slice) -> NDArray[np.float32]:
        at = np.s_[:, rows, columns]
        fill = None if surround is None else surround[at]
        return frame_channels(frames[at], hidden[at], kind, surround=fill, reach=reach)[:, first - begin : last - begin]

    return shown


def _tiled(
    model: Any, shape: tuple[int, ...], n_frames: int, shown: _Shown, side: int | None = None
) -> NDArray[np.float32]:
    """Run a network on tiles of (..., n_rows, n_columns) and blend where they overlap; ``side`` is theirs, if given."""
    side = side or max(_LEAST_TILE, int(np.sqrt(_VOXELS / n_frames)) // _MULTIPLE * _MULTIPLE)
    total: Any = 0.0
    weight = np.zeros(shape, np.float32)
    for rows, down in _spans(shape[0], side):
        for columns, across in _spans(shape[1], side):
            ramp = down[:, None] * across
            made = _run(model, _padded(shown(rows, columns)[None]))[0, 0, ..., : len(down), : len(across)]
            if np.ndim(total) == 0:
                total = np.zeros((*made.shape[:-2], *shape), np.float32)
            total[..., rows, columns] += ramp * made
            weight[rows, columns] += ramp
    return np.asarray(total / weight, np.float32)


def _require_whole(shape: tuple[int, ...]) -> None:
    """Refuse what the refinement, which normalises over all it sees and cannot be cut into tiles, has no memory for."""
    most = _LARGEST_WHOLE // _SHORTEST
    if shape[0] * shape[1] > most:
        raise ArgumentError(
            f"stage: expected 'coarse' where what is hidden spans more than {most} pixels, got 'refined' with "
            f"{shape[0]} x {shape[1]}"
        )


def _spans(n: int, side: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Parts of an axis and their weights, which fall off where neighbours share ``_SEAM`` pixels."""
    for first in range(0, n - _SEAM, side - _SEAM) if n > side else (0,):
        last = min(first + side, n)
        ramp = np.ones(last - first, np.float32)
        if first:
            ramp[:_SEAM] = np.arange(1, _SEAM + 1) / (_SEAM + 1)
        if last < n:
            ramp[-_SEAM:] = np.arange(_SEAM, 0, -1) / (_SEAM + 1)
        yield slice(first, last), ramp


def _windows(n: int, window: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """First and last frame (excluded) and weights of windows that cover ``n`` frames and share a third."""
    size = min(n, window)
    step = max(1, size - size // 3)
    starts = [*range(0, n - size, step), n - size]
    for k, first in enumerate(starts):
        at = np.arange(size) + 1.0
        ramp = np.full(size, np.inf)
        if k:
            ramp = np.minimum(ramp, at / (starts[k - 1] + size - first + 1))
        if k + 1 < len(starts):
            ramp = np.minimum(ramp, (size + 1 - at) / (first + size - starts[k + 1] + 1))
        yield first, first + size, np.minimum(ramp, 1).astype(np.float32)


def _region(hidden: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns around everything that is hidden, with a margin."""
    sides = []
    for axis in (1, 2):
        at = np.flatnonzero(hidden.any(axis=(0, 3 - axis)))
        first, last = max(0, int(at[0]) - _MARGIN), int(at[-1]) + 1 + _MARGIN
        sides.append(slice(first, min(last, hidden.shape[axis])))
    return sides[0], sides[1]


def _thin(hidden: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """What is narrower than ``width``: outlines and text, which lie over anything; networks take them for vessels."""
    if width < 4:  # in small pictures vessels are as thin
        return np.zeros_like(hidden)
    square = np.ones((1, width, width), bool)
    broad = scipy.ndimage.binary_opening(hidden, square)
    return np.asarray(hidden & ~scipy.ndimage.binary_dilation(broad, square))


def _padded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last row and column until networks can take them."""
    extra = [max(_LEAST_SIDE, -(-n // _MULTIPLE) * _MULTIPLE) - n for n in values.shape[-2:]]
    widths = [(0, 0)] * (values.ndim - 2) + [(0, n) for n in extra]
    return np.ascontiguousarray(np.pad(values, widths, mode="edge") if any(extra) else values, np.float32)


def _run(model: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a network on host values wherever it is."""
    if model.device == "cpu":
        return np.asarray(model(values))
    return np.asarray(to_host(model(to_device(values, model.device))))


def _opened(role: str, model: Any, device: str) -> Any:
    opened = model if isinstance(model, OnnxModel) else OnnxModel(model, device=device)
    task = opened.spec.task if opened.spec else ""
    if task != TASKS[role]:
        raise FormatError(f"{role}: expected a model of the task {TASKS[role]!r}, got {task!r} in {opened.path}")
    return opened


def _check_pair(coarse: Any, refine: Any) -> None:
    """Refuse a refinement of another coarse network; ``settings["coarse"]``, a digest, says which it knows."""
    known = "" if refine is None else refine.spec.settings.get("coarse", "")
    if known and known != coarse.spec.digest:
        raise FormatError(
            f"refine: expected a refinement of the coarse network {coarse.spec.digest[:12]}, got one of {known[:12]}"
        )
