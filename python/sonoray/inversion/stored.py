"""A sparse matrix as an operator whose products run on threads."""

from typing import Any

import numpy as np

from .._backends import host_module, place
from .._checks import array, freeze
from .._scipy import FlatOperator
from ..errors import ArgumentError
from .operators import Vector


class StoredOperator(FlatOperator):
    """A sparse matrix in compressed rows as an operator on float64 vectors.

    Both products run on all threads; results do not depend on their number. Sums are float64 also where the entries
    are float32, which take two thirds of the memory and time; the adjoint is exact for the entries as stored.

    Parameters
    ----------
    matrix : SciPy sparse matrix or array (m, n)
        float32 or float64, fewer than 2^31 columns.

    Raises
    ------
    ArgumentError
        Not a sparse matrix, other types, NaN.
    """

    def __init__(self, matrix: Any) -> None:
        if not hasattr(matrix, "tocsr"):
            raise ArgumentError(f"matrix: expected a SciPy sparse matrix, got {type(matrix).__name__}")
        rows = matrix.tocsr()
        kind = np.dtype(rows.dtype).name
        if kind not in ("float32", "float64"):
            raise ArgumentError(f"matrix: expected float32 or float64 entries, got {kind}")
        self.shape = (int(rows.shape[0]), int(rows.shape[1]))
        self._rows = (
            freeze(np.ascontiguousarray(rows.indptr, np.int64)),
            freeze(array("matrix", rows.indices, (None,), np.int32)),
            freeze(array("matrix", rows.data, (None,), rows.dtype)),
        )
        module, name = host_module(), {"float32": "float", "float64": "double"}[kind]
        if not getattr(module, f"sparse_check_{name}")(*self._rows, self.shape[1]):
            raise ArgumentError("matrix: expected rising row starts and indices below the number of columns")
        self._product = getattr(module, f"sparse_product_{name}")
        self._transpose_product = getattr(module, f"sparse_transpose_product_{name}")

    @property
    def nbytes(self) -> int:
        """Memory of the matrix."""
        return sum(a.nbytes for a in self._rows)

    def __call__(self, x: Any) -> Vector:
        """A x."""
        result = np.empty(self.shape[0])
        self._product(*self._rows, array("x", x, (self.shape[1],)), result, place("cpu"))
        return result

    def adjoint(self, y: Any) -> Vector:
        """A' y."""
        result = np.empty(self.shape[1])
        self._transpose_product(*self._rows, array("y", y, (self.shape[0],)), result, place("cpu"))
        return result
