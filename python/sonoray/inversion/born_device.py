"""Tiles of the ray-Born operator on a CUDA device: waves, products and sums stay there, data and images come back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_device, to_host
from .._backends import place
from .._blas import load_device_blas
from .born_waves import NO_LATTICE, Complex, Look, Side, Tone

_TILE_BYTES = 256e6  # of the waves of a tile


class DeviceTiles:
    """Fields of all tiles on the device, and the two sums over them that `BornOperator` is made of."""

    def __init__(
        self, module: Any, device: str, sides: list[Side], lattice: Any, plane: NDArray[np.float32], speed: float
    ) -> None:
        self._module, self._device, self._index, self._speed = module, device, place(device), speed
        load_device_blas()
        self._blas = module.Blas(self._index)
        self._lattice = lattice or NO_LATTICE
        self._numbers = [side.n for side in sides]
        size = max(256, int(_TILE_BYTES / (8 * sum(self._numbers))))
        self._slices = [slice(i, min(i + size, plane.shape[1])) for i in range(0, plane.shape[1], size)]
        self._points = [self._put(plane[:, t]) for t in self._slices]
        self._sources = [self._put(side.sources) for side in sides]
        if lattice is None:
            self._tables = [[self._rows(side, t) for t in self._slices] for side in sides]
        else:
            self._tables = [[self._rows(side, slice(None))] * len(self._slices) for side in sides]
        self._rooms: dict[Any, Any] = {}

    def predict(self, look: Look, tone: Tone) -> Complex:
        """Sum over points of the products of emitters' and receivers' waves, (n_tx, n_rx)."""
        out = self._room("data", (self._numbers[0], self._numbers[-1]))
        for i in range(len(self._slices)):
            left, right = self._pair(i, look, tone)
            self._blas.gram(left, right, i > 0, out, self._index, 0)
        return np.asarray(to_host(out), np.complex64)

    def project(self, look: Look, tone: Tone, matrix: Complex, factor: NDArray[np.float32]) -> Complex:
        """Sum over planes and elements of emitters' waves times those of receivers times ``matrix``, (n,)."""
        image = np.empty(self._slices[-1].stop, np.complex64)
        m, f = self._put(matrix), self._put(factor)
        for i, tile in enumerate(self._slices):
            left, right = self._pair(i, look, tone)
            n = tile.stop - tile.start
            product = self._room("product", (look.planes, n, self._numbers[0]))
            part = self._room("image", (n,))
            self._blas.times(right, m, product, self._index, 0)
            self._module.born_rowdot(left, product, f, part, self._index, 0)
            image[tile] = to_host(part)
        return image

    def _pair(self, i: int, look: Look, tone: Tone) -> tuple[Any, Any]:
        """Waves of emitters and receivers on a tile, one array if they are the same."""
        scales = (look.scale, look.other)
        waves = [self._waves(k, i, look, scales[k], tone) for k in range(len(self._numbers))]
        return waves[0], waves[-1]

    def _waves(self, k: int, i: int, look: Look, scale: Complex, tone: Tone) -> Any:
        tile = self._slices[i]
        out = self._room(f"waves {k}", (look.planes, tile.stop - tile.start, self._numbers[k]))
        self._module.born_waves(
            self._sources[k],
            *self._tables[k][i],
            self._speed,
            *self._lattice,
            self._points[i],
            self._put(scale[tile]),
            None if look.facings is None else self._put(look.facings[k]),
            tone.frequency,
            tone.power if look.facings is not None else -tone.power,
            look.cap,
            tone.delay,
            out,
            self._index,
            0,
        )
        return out

    def _rows(self, side: Side, tile: slice) -> list[Any]:
        return [None if t is None else self._put(t) for t in side.rows(tile)]

    def _put(self, value: Any) -> Any:
        return to_device(value, self._device)

    def _room(self, name: str, shape: tuple[int, ...]) -> Any:
        key = (name, shape)
        if key not in self._rooms:
            self._rooms[key] = self._module.empty(list(shape), "complex64", self._index)
        return self._rooms[key]
