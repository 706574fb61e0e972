"""Plans that are linear maps, as SciPy's operators."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from scipy.sparse.linalg import LinearOperator

Map = Callable[[Any], Any]


def linear_operator(shape: tuple[int, int], dtype: Any, forward: Map, adjoint: Map, columns: Map | None = None) -> Any:
    """A `scipy.sparse.linalg.LinearOperator` from two functions of vectors, and one of matrices where that is faster.

    SciPy hands over vectors of any real or complex type, also as (n, 1) matrices; the functions get C-ordered vectors
    of ``dtype``.
    """
    kind = np.dtype(dtype)

    def flat(run: Map) -> Map:
        return lambda vector: np.asarray(run(np.ascontiguousarray(vector, kind).ravel())).ravel()

    return LinearOperator(shape, matvec=flat(forward), rmatvec=flat(adjoint), matmat=columns, dtype=kind)


class _Flat(Protocol):
    @property
    def shape(self) -> tuple[int, int]: ...

    def __call__(self, x: Any, /) -> Any: ...

    def adjoint(self, y: Any, /) -> Any: ...


class FlatOperator:
    """What operators between float64 vectors share: their way to SciPy."""

    def aslinearoperator(self: _Flat) -> Any:
        """The operator for `scipy.sparse.linalg`: its solvers (``lsqr``, ``lsmr``, ``cg``), sums, products, ``.H``.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Of the same shape, float64, on host vectors.
        """
        return linear_operator(self.shape, np.float64, self, self.adjoint)
