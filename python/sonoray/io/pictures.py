"""Pictures for other programs: PNG with the true scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from ..errors import ArgumentError, MissingExtraError
from ..media.grids import Grid
from .writing import atomic

_MOST_PIXELS = 50_000_000


def as_rows(image: Any, grid: Grid | None) -> NDArray[np.uint8]:
    """Rows of depth from top to bottom, columns along x: (n_z, n_x) or (n_z, n_x, 3)."""
    values = host_array("image", image)
    if values.dtype != np.uint8:
        raise ArgumentError(f"image: expected uint8 (0 black, 255 white), got {values.dtype}; compress it first")
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or 0 in values.shape:
        raise ArgumentError(f"image: expected shape (n_x, n_z) or (n_x, n_z, 3), got {values.shape}")
    if grid is not None:
        if not isinstance(grid, Grid) or grid.ndim != 2:
            raise ArgumentError(f"grid: expected a 2-D Grid; convert a sector first, got {type(grid).__name__}")
        if values.shape[:2] != grid.shape:
            raise ArgumentError(f"image: expected the grid's shape {grid.shape}, got {values.shape[:2]}")
    return np.ascontiguousarray(values.swapaxes(0, 1))


def write_png(path: Any, image: Any, grid: Grid | None = None) -> None:
    """Write a grey or colour image as PNG, depth downwards, in true proportions.

    Parameters
    ----------
    path : str or path-like
    image : (n_x, n_z) or (n_x, n_z, 3) uint8
    grid : Grid, optional
        Its spacings set the proportions: where they differ, pixels become squares of the finer one. The file states
        their size.

    Raises
    ------
    ArgumentError
        Another type or shape, or one that does not fit the grid.
    MissingExtraError
        Pillow is not installed.
    """
    rows = as_rows(image, grid)
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("PNG needs Pillow: pip install 'sonoray[io]'") from None
    picture, options = Image.fromarray(rows), {}
    if grid is not None:
        side = min(grid.spacing)
        size = tuple(max(1, round(n * h / side)) for n, h in zip(grid.shape, grid.spacing, strict=True))
        if size != picture.size:
            if size[0] * size[1] > _MOST_PIXELS:
                raise ArgumentError(f"grid: expected at most {_MOST_PIXELS:g} square pixels, got {size}")
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        options["dpi"] = (0.0254 / side, 0.0254 / side)
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG", **options)
