"""Differences of images on grids: what regularisation penalises."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array
from .._scipy import FlatOperator
from ..errors import ArgumentError
from ..media.grids import Grid
from .operators import Vector


class _Differences(FlatOperator):
    """Shared by the operators below: unknowns of a mask as images and back."""

    def __init__(self, grid: Grid, mask: Any = None) -> None:
        if not isinstance(grid, Grid):
            raise ArgumentError(f"grid: expected Grid, got {type(grid).__name__}")
        self.grid = grid
        chosen = np.ones(grid.shape, bool) if mask is None else np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != grid.shape:
            raise ArgumentError(
                f"mask: expected booleans of shape {grid.shape}, got {chosen.dtype} of shape {chosen.shape}"
            )
        self.mask: NDArray[np.bool_] = chosen
        self._nodes = np.flatnonzero(chosen)
        # For each axis: the pairs of neighbours that both are unknowns, as a factor 1 / spacing or 0 at the first one.
        self._factors = []
        for axis, spacing in enumerate(grid.spacing):
            low, high = _neighbours(axis, grid.ndim)
            self._factors.append((chosen[low] & chosen[high]) / spacing)

    def _image(self, x: Any) -> Vector:
        full = np.zeros(self.grid.size)
        full[self._nodes] = array("x", x, (len(self._nodes),))
        return full.reshape(self.grid.shape)


class Gradient(_Differences):
    """Forward differences between neighbouring nodes, divided by the spacing.

    The result is (ndim, n_unknowns) in C order: the differences along the first axis at all nodes, then the second.
    Where the next node is outside the grid or the mask the difference is 0 (no flux through the edge).

    Parameters
    ----------
    grid : Grid
    mask : grid.shape bool, optional
        The unknowns; default all nodes.

    Raises
    ------
    ArgumentError
        A mask of another shape or type.
    """

    @property
    def components(self) -> int:
        """How many numbers at each node form one vector."""
        return self.grid.ndim

    @property
    def shape(self) -> tuple[int, int]:
        """(ndim n_unknowns, n_unknowns)."""
        return (self.grid.ndim * len(self._nodes), len(self._nodes))

    def __call__(self, x: Any) -> Vector:
        """Differences of x [its unit / m]."""
        image, n = self._image(x), len(self._nodes)
        result = np.empty((self.grid.ndim, n))
        full = np.zeros(self.grid.shape)
        for axis, factor in enumerate(self._factors):
            low, high = _neighbours(axis, self.grid.ndim)
            full[...] = 0
            full[low] = factor * (image[high] - image[low])
            result[axis] = full.ravel()[self._nodes]
        return result.ravel()

    def adjoint(self, y: Any) -> Vector:
        """The transpose: minus the divergence."""
        parts = array("y", y, (self.shape[0],)).reshape(self.grid.ndim, -1)
        sum_, full = np.zeros(self.grid.shape), np.zeros(self.grid.size)
        for axis, factor in enumerate(self._factors):
            low, high = _neighbours(axis, self.grid.ndim)
            full[self._nodes] = parts[axis]
            flow = factor * full.reshape(self.grid.shape)[low]
            sum_[high] += flow
            sum_[low] -= flow
        return sum_.ravel()[self._nodes]

    def absolute_sums(self) -> tuple[Vector, Vector]:
        """Sums of the entries' absolute values over each row and over each column."""
        rows, columns = np.zeros((self.grid.ndim, *self.grid.shape)), np.zeros(self.grid.shape)
        for axis, factor in enumerate(self._factors):
            low, high = _neighbours(axis, self.grid.ndim)
            rows[axis][low] = 2 * factor
            columns[low] += factor
            columns[high] += factor
        return rows.reshape(self.grid.ndim, -1)[:, self._nodes].ravel(), columns.ravel()[self._nodes]


class Laplacian(_Differences):
    """Minus the Laplacian of second differences, Gradient' Gradient: symmetric, 0 for constants.

    Parameters and errors as for `Gradient`.
    """

    components = 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n_unknowns, n_unknowns)."""
        return (len(self._nodes), len(self._nodes))

    def __call__(self, x: Any) -> Vector:
        """Minus the Laplacian of x [its unit / m^2]."""
        image, sum_ = self._image(x), np.zeros(self.grid.shape)
        for axis, factor in enumerate(self._factors):
            low, high = _neighbours(axis, self.grid.ndim)
            flow = factor**2 * (image[high] - image[low])
            sum_[low] -= flow
            sum_[high] += flow
        return sum_.ravel()[self._nodes]

    def adjoint(self, y: Any) -> Vector:
        """The same: it is symmetric."""
        return self(y)

    def absolute_sums(self) -> tuple[Vector, Vector]:
        """Sums of the entries' absolute values over each row and over each column."""
        sums = np.zeros(self.grid.shape)
        for axis, factor in enumerate(self._factors):
            low, high = _neighbours(axis, self.grid.ndim)
            sums[low] += 2 * factor**2
            sums[high] += 2 * factor**2
        return sums.ravel()[self._nodes], sums.ravel()[self._nodes]


def _neighbours(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low, high = [slice(None)] * ndim, [slice(None)] * ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)
