"""Linear operators: what solvers need of one, and how to restrict, weight and stack them."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .._checks import array
from .._scipy import FlatOperator
from ..errors import ArgumentError

Vector = NDArray[np.float64]


@runtime_checkable
class LinearOperator(Protocol):
    """A linear map between float64 vectors with its transpose; anything with these three members is one."""

    @property
    def shape(self) -> tuple[int, int]:
        """Lengths of the result and of the argument."""
        ...

    def __call__(self, x: Any, /) -> Any:
        """A x, (shape[0],)."""
        ...

    def adjoint(self, y: Any, /) -> Any:
        """The transpose of A times y, (shape[1],)."""
        ...


def checked(name: str, value: Any) -> LinearOperator:
    """Return ``value`` if it has what an operator needs."""
    if not isinstance(value, LinearOperator):
        raise ArgumentError(
            f"{name}: expected an operator with shape, a call and adjoint, got {type(value).__name__}; "
            "wrap a matrix in MatrixOperator"
        )
    return value


def adjoint_error(operator: LinearOperator, *, seed: int = 0) -> float:
    """How far abs(<A x, y> - <x, A' y>) / (norm(A x) norm(y)) is from 0 for random x and y: rounding if A' is exact."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal(operator.shape[1]), random.standard_normal(operator.shape[0])
    forward, back = operator(x), operator.adjoint(y)
    scale = float(np.linalg.norm(forward) * np.linalg.norm(y)) or 1.0
    return abs(float(forward @ y) - float(x @ back)) / scale


class MatrixOperator(FlatOperator):
    """A dense or SciPy sparse matrix as an operator.

    Parameters
    ----------
    matrix : (m, n) array or sparse matrix
    """

    def __init__(self, matrix: Any) -> None:
        if getattr(matrix, "ndim", 0) != 2:
            raise ArgumentError(f"matrix: expected two axes, got {type(matrix).__name__}")
        self.matrix = matrix
        self.shape = (int(matrix.shape[0]), int(matrix.shape[1]))
        self._transposed = matrix.T

    def __call__(self, x: Any) -> Vector:
        """A x."""
        return np.asarray(self.matrix @ array("x", x, (self.shape[1],)), np.float64)

    def adjoint(self, y: Any) -> Vector:
        """A' y."""
        return np.asarray(self._transposed @ array("y", y, (self.shape[0],)), np.float64)


class WeightedOperator(FlatOperator):
    """Rows of an operator times factors: diag(weights) A.

    Parameters
    ----------
    operator : LinearOperator
    weights : (operator.shape[0],) float64
    """

    def __init__(self, operator: LinearOperator, weights: Any) -> None:
        self.operator = checked("operator", operator)
        self.shape = operator.shape
        self.weights = array("weights", weights, (operator.shape[0],))

    def __call__(self, x: Any) -> Vector:
        """diag(weights) A x."""
        return self.weights * self.operator(x)

    def adjoint(self, y: Any) -> Vector:
        """A' diag(weights) y."""
        return np.asarray(self.operator.adjoint(self.weights * array("y", y, (self.shape[0],))))


class RestrictedOperator(FlatOperator):
    """An operator of fewer unknowns: those where ``mask`` is true; the others are 0.

    Parameters
    ----------
    operator : LinearOperator
    mask : bool, operator.shape[1] values in any shape
    """

    def __init__(self, operator: LinearOperator, mask: Any) -> None:
        self.operator = checked("operator", operator)
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.size != operator.shape[1]:
            raise ArgumentError(
                f"mask: expected {operator.shape[1]} booleans, got {chosen.dtype} of shape {chosen.shape}"
            )
        self._nodes = np.flatnonzero(chosen)
        self.shape = (operator.shape[0], len(self._nodes))

    def __call__(self, x: Any) -> Vector:
        """A of x with zeros at the other unknowns."""
        full = np.zeros(self.operator.shape[1])
        full[self._nodes] = array("x", x, (self.shape[1],))
        return np.asarray(self.operator(full))

    def adjoint(self, y: Any) -> Vector:
        """A' y at the unknowns."""
        return np.asarray(self.operator.adjoint(y)[self._nodes])


class StackedOperator(FlatOperator):
    """Operators on the same unknowns, one below the other.

    Parameters
    ----------
    operators : sequence of LinearOperator
    """

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        if not operators:
            raise ArgumentError("operators: expected at least one, got none")
        self.operators = tuple(checked("operators", o) for o in operators)
        columns = {o.shape[1] for o in self.operators}
        if len(columns) > 1:
            raise ArgumentError(f"operators: expected equal numbers of unknowns, got {sorted(columns)}")
        self._ends = np.cumsum([o.shape[0] for o in self.operators])
        self.shape = (int(self._ends[-1]), columns.pop())

    def __call__(self, x: Any) -> Vector:
        """All A x, one after the other."""
        return np.concatenate([o(x) for o in self.operators])

    def adjoint(self, y: Any) -> Vector:
        """The sum of A' y over the parts of y."""
        parts = np.split(array("y", y, (self.shape[0],)), self._ends[:-1])
        return np.asarray(sum(o.adjoint(part) for o, part in zip(self.operators, parts, strict=True)))
