"""Blind enhancement by network: images become sharper and less noisy; what spoilt them need not be known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, scalar
from ..errors import ArgumentError
from .image_models import image_model
from .images import Planes

TASK = "enhancement"
_WHOLE = 512
_OVERLAP, _MARGIN = 64, 16  # pixels


class Enhancer:
    """Plan that deblurs and denoises displayed images [1]_.

    Images up to ``tile`` pixels a side are processed whole, larger ones in tiles that overlap by 64 pixels and are
    blended, so that memory does not grow with the image. Windows of attention lie on a grid of 8 to 64 pixels; where a
    tile begins off that grid, results change as they do when the image is moved by some pixels, and no seam shows.

    Parameters
    ----------
    model : OnnxModel or path
        Trained by ``sonoray train enhance``; `sonoray.assets.load_enhancer` loads the one that ships.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where a model given as path runs.
    tile : int, optional [pixel]
        A multiple of 64, from 192 on. Default: 512.
    strength : float
        Part of the change that is applied: 1 all, 0 none.
    max_batch : int
        Images or tiles that go through the network at once.

    Raises
    ------
    FormatError
        No model, or none for enhancement.
    ArgumentError
        Options out of range.
    DeviceError, MissingExtraError
        See `OnnxModel`.

    References
    ----------
    .. [1] S. Khan, S. M. Atif, J. Huh and S. S. Azhar Ali, "Blind Ultrasound Image Enhancement via Self-Supervised
       Physics-Guided Degradation Modeling", arXiv 2601.21856, 2026.

    Examples
    --------
    >>> enhance = Enhancer("enhance.onnx")  # doctest: +SKIP
    >>> sharp = enhance(frames)  # doctest: +SKIP
    """

    def __init__(
        self, model: Any, *, device: str = "cpu", tile: int | None = None, strength: float = 1.0, max_batch: int = 4
    ) -> None:
        self.model, self.spec = image_model(model, TASK, device)
        self.tile = _WHOLE if tile is None else count("tile", tile, 192, 16384)
        if self.tile % 64:
            raise ArgumentError(f"tile: expected a multiple of 64 pixels, got {tile}")
        self.strength = scalar("strength", strength, 0.0, 1.0, "(part)")
        self.max_batch = count("max_batch", max_batch, 1, 4096)

    def __repr__(self) -> str:
        return f"Enhancer({self.spec.name!r}, on {self.model.device!r})"

    def __call__(self, image: Any) -> NDArray[Any]:
        """Enhance an image.

        Parameters
        ----------
        image : array
            (rows, columns), (rows, columns, 3 or 4) or a stack of them; uint8, uint16 or floating point in [0, 1]; at
            least 8 x 8 pixels. Of colours the brightness is processed, see `Planes`.

        Returns
        -------
        array
            Of the image's shape and type. Constant images come back unchanged.

        Raises
        ------
        ArgumentError
            What is no such image; NaN.
        """
        planes = Planes(image)
        given = planes.values[:, None]
        if max(planes.shape) <= self.tile:
            parts = [given[k : k + self.max_batch] for k in range(0, len(given), self.max_batch)]
            found = np.concatenate([self.model(part) for part in parts])[:, 0]
        else:
            size = (self.tile, self.tile)
            found = self.model.tiled(given, tile=size, overlap=_OVERLAP, margin=_MARGIN, max_tiles=self.max_batch)[:, 0]
        return planes.back(np.clip(found, 0, 1), self.strength)
