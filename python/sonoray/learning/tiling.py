"""Large images through a network that takes small ones: overlapping tiles whose results are blended."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import is_device_array, to_device
from .._checks import count
from ..errors import ArgumentError
from .buffers import like

_TILE = 256


def run_tiled(
    network: Callable[[Any], Any],
    image: Any,
    *,
    tile: Sequence[int] | None = None,
    fixed: Sequence[int | None] = (None, None),
    multiple: Sequence[int] = (1, 1),
    overlap: int | Sequence[int] = 32,
    margin: int | Sequence[int] = 8,
    max_tiles: int = 8,
) -> Any:
    """Run ``network`` on tiles of an image and blend what comes out; see `OnnxModel.tiled`.

    Parameters
    ----------
    network : callable
        (n, channel, *tile) -> (n, channel_out, *tile).
    image : (batch, channel, n_rows, n_columns)
        NumPy, or torch or CuPy.
    tile, overlap, margin : pairs
        As in `OnnxModel.tiled`.
    fixed : pair
        Tile that the network insists on; None: any.
    multiple : pair
        What a tile must be a multiple of.
    max_tiles : int
        Tiles per call; always as many, so that a network with a fixed batch is served.

    Raises
    ------
    ArgumentError
        An image without four axes, a tile smaller than what overlaps, a result of another size.
    """
    shape, dtype = getattr(image, "shape", ()), str(getattr(image, "dtype", ""))
    if len(shape) != 4 or 0 in shape or not dtype.endswith("float32"):
        raise ArgumentError(f"image: expected float32 (batch, channel, row, column), got {dtype} {tuple(shape)}")
    n_batch, n_channels = int(image.shape[0]), int(image.shape[1])
    sizes = [int(n) for n in image.shape[2:]]
    plans = [
        _Axis(n, *options)
        for n, *options in zip(sizes, tile or (None, None), fixed, multiple, _pair(overlap), _pair(margin), strict=True)
    ]
    rows, columns = plans
    places = [(b, i, j) for b in range(n_batch) for i in range(len(rows.starts)) for j in range(len(columns.starts))]
    per_call = count("max_tiles", max_tiles, 1, 65536)
    stack = _zeros(image, (per_call, n_channels, rows.tile, columns.tile))
    result = None
    indices = [[_taken(image, axis.indices(k)) for k in range(len(axis.starts))] for axis in plans]
    weights = [[_taken(image, axis.weights(k)) for k in range(len(axis.starts))] for axis in plans]
    for first in range(0, len(places), per_call):
        some = places[first : first + per_call]
        for k, (b, i, j) in enumerate(some):
            stack[k] = image[b][:, indices[0][i]][:, :, indices[1][j]]
        blended = network(stack)
        if tuple(blended.shape[2:]) != (rows.tile, columns.tile) or blended.shape[0] != per_call:
            raise ArgumentError(
                f"tiled: expected results of {per_call} x {rows.tile} x {columns.tile}, got {tuple(blended.shape)}"
            )
        if result is None:
            result = _zeros(image, (n_batch, int(blended.shape[1]), *sizes))
        for k, (b, i, j) in enumerate(some):
            part = blended[k] * weights[0][i][:, None] * weights[1][j]
            here, there = rows.window(i), columns.window(j)
            result[b, :, here, there] += part[:, : here.stop - here.start, : there.stop - there.start]
    return result


class _Axis:
    """Tiles along one axis: where they start, and how their results are weighted."""

    def __init__(self, n: int, tile: int | None, fixed: int | None, multiple: int, overlap: int, margin: int) -> None:
        self.n = n
        size = fixed or (_TILE if tile is None else count("tile", tile, 1, 65536))
        if fixed and tile not in (None, fixed):
            raise ArgumentError(f"tile: expected {fixed}, the size that the network takes, got {tile}")
        if not fixed:  # no larger than the image, a multiple of what the network wants
            size = -(-min(size, n) // multiple) * multiple
        self.tile = size
        self.margin = count("margin", margin, 0, 65535)
        self.overlap = count("overlap", overlap, 0, 65535)
        step = size - self.overlap
        if n > size and (step < 1 or 2 * self.margin > self.overlap):
            raise ArgumentError(
                f"overlap: expected at least twice the margin {margin} and less than the tile {size}, got {overlap}"
            )
        # The last tile ends where the image ends.
        self.starts = [0] if n <= size else [*range(0, n - size, step), n - size]
        self._total = np.zeros(n)
        for k in range(len(self.starts)):
            self._total[self.window(k)] += self._ramps(k)[:n]

    def window(self, k: int) -> slice:
        """Where tile ``k`` lies in the image."""
        return slice(self.starts[k], min(self.starts[k] + self.tile, self.n))

    def indices(self, k: int) -> NDArray[np.int64]:
        """Which samples make tile ``k``; beyond the image they are mirrored."""
        at = self.starts[k] + np.arange(self.tile)
        period = max(2 * self.n - 2, 1)
        at = at % period
        return np.minimum(at, period - at) if self.n > 1 else np.zeros(self.tile, np.int64)

    def weights(self, k: int) -> NDArray[np.float32]:
        """Weight of every sample of tile ``k``; over all tiles that cover a sample they add up to 1."""
        own = np.zeros(self.tile, np.float32)
        window = self.window(k)
        length = window.stop - window.start
        own[:length] = self._ramps(k)[:length] / self._total[window]
        return own

    def _ramps(self, k: int) -> NDArray[np.float64]:
        """Zero in the margins, rising linearly to one over the rest of the overlap; edges of the image keep one."""
        at = np.arange(self.tile) + 0.5
        width = max(self.overlap - 2 * self.margin, 1e-9)
        left = np.ones(self.tile) if k == 0 else np.clip((at - self.margin) / width, 0, 1)
        last = k == len(self.starts) - 1
        right = np.ones(self.tile) if last else np.clip((self.tile - at - self.margin) / width, 0, 1)
        return np.minimum(left, right)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _taken(image: Any, values: NDArray[Any]) -> Any:
    """``values`` in the image's library, on its device."""
    if not is_device_array(image):
        return like(image, values)
    return like(image, to_device(values, f"cuda:{int(image.__dlpack_device__()[1])}"))


def _zeros(image: Any, shape: tuple[int, ...]) -> Any:
    return _taken(image, np.zeros(shape, np.float32))
