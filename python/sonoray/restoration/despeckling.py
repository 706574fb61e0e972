"""Despeckling by network: an image or a stack of them in, the same kind out, without PyTorch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, option, scalar
from ..errors import ArgumentError
from .image_models import image_model
from .images import Planes

TASK = "despeckling"
RANGES = ("percentiles", "min-max", "none")
_PERCENTILES = (0.1, 99.9)  # a marker or a spike of speckle must not set the range
_OVERLAP, _MARGIN = 160, 64  # pixels; what is further away than the margin has little influence
_WHOLE = 1024
_MOST_PASSES = 8


def stretch(
    values: NDArray[np.float32], kind: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What of images is stretched to [0, 1] for a network.

    Parameters
    ----------
    values : (n, rows, columns) float32
    kind : {"percentiles", "min-max", "none"}

    Returns
    -------
    within : (n, rows, columns) float32
        Cut off at the ends of the range.
    low, spread : (n, 1, 1) float32
        (within - low) / spread is in [0, 1].
    """
    if kind == "none":
        low, high = np.zeros((2, len(values), 1, 1), np.float32)
        high = high + 1
    else:
        ends = (0.0, 100.0) if kind == "min-max" else _PERCENTILES
        low, high = np.percentile(values, ends, axis=(1, 2), keepdims=True).astype(np.float32)
    return np.clip(values, low, high), low, np.maximum(high - low, np.float32(1e-6))


class Despeckler:
    """Plan that takes the speckle out of displayed images.

    Images up to ``tile`` pixels a side are processed whole, larger ones in tiles that overlap by 160 pixels and are
    blended. Each image is stretched first and put back afterwards, so that faint and bright images are treated alike:
    from its 0.1st to its 99.9th percentile, what lies beyond is cut off and added again, so that a marker changes
    nothing elsewhere (models whose ``range`` is "min-max": from its least to its largest value).

    Parameters
    ----------
    model : OnnxModel or path
        Trained by `sonoray train despeckle`; its `ModelSpec` says what it needs.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where a model given as path runs.
    tile : int, optional
        Default: 1024; a model that normalises over the whole image (the published one) takes all images whole, and
        refuses this.
    passes : int, optional
        How often the network is applied. Default: what the model was judged with, ``passes`` of its settings, else 1.
        A second pass takes out fluctuation that the first one leaves, and detail with it.
    strength : float
        Part of the change that is applied: 1 all, 0 none. Values between leave speckle in proportion.
    max_batch : int
        Images or tiles that go through the network at once.

    Raises
    ------
    FormatError
        No model, or none for despeckling.
    ArgumentError
        Options out of range.
    DeviceError, MissingExtraError
        See `OnnxModel`.

    Examples
    --------
    >>> despeckle = Despeckler("despeckle.onnx")  # doctest: +SKIP
    >>> clean = despeckle(frames)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        *,
        device: str = "cpu",
        tile: int | None = None,
        passes: int | None = None,
        strength: float = 1.0,
        max_batch: int = 4,
    ) -> None:
        self.model, self.spec = image_model(model, TASK, device)
        settings = self.spec.settings
        self._range = option("model: range", settings.get("range"), RANGES)
        self._whole = bool(settings.get("whole_image", False))
        self._multiple = count("model: multiple", settings.get("multiple"), 1, 1024)
        if tile is not None and self._whole:
            raise ArgumentError("tile: expected None, this model normalises over the whole image, got a tile")
        self.tile = _WHOLE if tile is None else count("tile", tile, 2 * _OVERLAP, 16384)
        named = count("model: passes", settings.get("passes", 1), 1, _MOST_PASSES)
        self.passes = named if passes is None else count("passes", passes, 1, _MOST_PASSES)
        self.strength = scalar("strength", strength, 0.0, 1.0, "(part)")
        self.max_batch = count("max_batch", max_batch, 1, 4096)

    def __repr__(self) -> str:
        return f"Despeckler({self.spec.name!r}, on {self.model.device!r})"

    def __call__(self, image: Any) -> NDArray[Any]:
        """Despeckle an image.

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
        values = planes.values
        within, low, spread = stretch(values, self._range)
        found = np.empty_like(values)
        for first in range(0, len(values), self.max_batch):
            part = slice(first, first + self.max_batch)
            found[part] = (within[part] - low[part]) / spread[part]
            for _ in range(self.passes):
                found[part] = np.clip(self._processed(np.ascontiguousarray(found[part])), 0, 1)
        return planes.back(low + spread * found + (values - within), self.strength)

    def _processed(self, stack: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, rows, columns) through the network, whole or in tiles; mirrored up to what the network can take."""
        n_rows, n_columns = stack.shape[1:]
        multiple = self._multiple
        if self._whole or max(n_rows, n_columns) <= self.tile:
            widths = [(0, -n % multiple) for n in (n_rows, n_columns)]
            padded = np.pad(stack, [(0, 0), *widths], mode="symmetric")
            result = self.model(np.ascontiguousarray(padded[:, None]))
            return np.asarray(result)[:, 0, :n_rows, :n_columns]
        side = -(-self.tile // multiple) * multiple
        result = self.model.tiled(
            stack[:, None], tile=(side, side), overlap=_OVERLAP, margin=_MARGIN, max_tiles=self.max_batch
        )
        return np.asarray(result)[:, 0]
