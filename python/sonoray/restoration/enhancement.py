"""Blind enhancement: images become sharper and less noisy; what spoilt them need not be known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count
from ..errors import ArgumentError
from ..learning.runtime import OnnxModel
from .images import Planes

TASK = "enhancement"
_OVERLAP, _MARGIN = 64, 16


class Enhancer:
    """A network that deblurs and denoises B-mode images [1]_, run by ONNX Runtime.

    Images larger than ``tile`` are processed in overlapping tiles whose results are blended, so that memory does not
    grow with the image. Attention looks across windows of 8 pixels on four scales, so that a tile's edge is felt up to
    some 60 pixels away, weakly: seams stay below a grey level of 255.

    Parameters
    ----------
    model : str, path or OnnxModel
        Made by ``sonoray train enhance``; `sonoray.assets.load_enhancer` loads the one that ships.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        See `OnnxModel`; of no effect on an `OnnxModel`.
    tile : int, optional [pixel]
        Edge of a tile, a multiple of 64; None: whole images.
    max_batch : int
        Images or tiles that go through the network at once.
    color : {"luma", "refuse"}
        Of colour images the brightness is enhanced, or they are refused.

    Attributes
    ----------
    model : OnnxModel

    Raises
    ------
    ArgumentError
        A model of another task, a tile that is no multiple of 64 or smaller than 192.
    FormatError, DeviceError, MissingExtraError
        See `OnnxModel`.

    References
    ----------
    .. [1] S. Khan, S. M. Atif, J. Huh and S. S. Azhar Ali, "Blind Ultrasound Image Enhancement via Self-Supervised
       Physics-Guided Degradation Modeling", arXiv 2601.21856, 2026.

    Examples
    --------
    >>> from sonoray.assets import load_enhancer
    >>> enhance = load_enhancer()
    >>> enhance(np.full((200, 150), 128, np.uint8)).shape
    (200, 150)
    """

    def __init__(
        self, model: Any, *, device: str = "cpu", tile: int | None = 512, max_batch: int = 4, color: str = "luma"
    ) -> None:
        self.max_batch = count("max_batch", max_batch, 1, 65536)
        self.model = model if isinstance(model, OnnxModel) else OnnxModel(model, device=device, max_batch=max_batch)
        if self.model.spec is not None and self.model.spec.task != TASK:
            raise ArgumentError(f"model: expected one for {TASK}, got {self.model.spec.task!r}: {self.model.spec.name}")
        if tile is not None and (count("tile", tile, 192, 65536) % 64):
            raise ArgumentError(f"tile: expected a multiple of 64 pixels, got {tile}")
        self.tile, self.color = tile, color

    def __call__(self, image: Any) -> NDArray[Any]:
        """Enhance an image or a stack of images.

        Parameters
        ----------
        image : (n_rows, n_columns), (n_rows, n_columns, 3 or 4), or a stack of them
            uint8, uint16 or floating point in [0, 1]; of at least 8 x 8 pixels.

        Returns
        -------
        array of the same shape and type
            Constant images come back as they are.

        Raises
        ------
        ArgumentError
            What is no image: NaN, empty, values outside [0, 1]; see `sonoray.restoration.images.Planes`.
        """
        planes = Planes(image, color=self.color)
        given = planes.values[:, None]
        if self.tile is None or max(planes.shape) <= self.tile:
            found = np.concatenate([self.model(given[k : k + self.max_batch]) for k in range(0, len(given), self.max_batch)])
        else:
            found = self.model.tiled(
                given, tile=(self.tile, self.tile), overlap=_OVERLAP, margin=_MARGIN, max_tiles=self.max_batch
            )
        return planes.back(found[:, 0])
