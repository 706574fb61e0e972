"""Argument checks shared by every constructor: each names the argument, what is wanted and what came."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError


def scalar(name: str, value: Any, low: float, high: float, unit: str) -> float:
    """Return ``value`` as a float inside [low, high]; outside it the unit is probably wrong.

    A unit in brackets, such as "(ratio)", is a pure number's kind.
    """
    pure = unit.startswith("(")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: expected a number {'' if pure else 'in '}{unit}, got {value!r}") from None
    if not np.isfinite(number):
        raise ArgumentError(f"{name}: expected a finite number {'' if pure else 'in '}{unit}, got {number}")
    if not low <= number <= high:
        raise ArgumentError(f"{name}: expected {low:g} to {high:g} {unit}, got {number:g}{_doubt(unit)}")
    return number


def _doubt(unit: str) -> str:
    return "" if not unit or unit.startswith("(") else f"; is it really in {unit}?"


def count(name: str, value: Any, low: int = 1, high: int = 1_000_000) -> int:
    """Return ``value`` as an int inside [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(f"{name}: expected an integer, got {value!r}")
    if not low <= value <= high:
        raise ArgumentError(f"{name}: expected {low} to {high}, got {value}")
    return int(value)


def pair(name: str, values: Any) -> tuple[Any, Any]:
    """Two values, such as limits."""
    try:
        first, second = values
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: expected two values, got {values!r}") from None
    return first, second


def option(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return str(value)


def array(
    name: str,
    value: Any,
    shape: tuple[int | None, ...],
    dtype: Any = np.float64,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
) -> NDArray[Any]:
    """Return ``value`` as a finite C-ordered array; ``None`` in ``shape`` stands for any length.

    No copy is made when the value already is such an array.
    """
    try:
        if np.iscomplexobj(value) and np.dtype(dtype).kind != "c":
            raise TypeError  # NumPy would drop the imaginary part
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):  # the array API knows no __array__
            value = np.from_dlpack(value)
        result = np.ascontiguousarray(value, dtype)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: expected an array of {np.dtype(dtype)}, got {type(value).__name__}") from None
    result = result.reshape(np.shape(value))  # ascontiguousarray gives scalars an axis
    wrong = result.ndim != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, result.shape, strict=True)
    )
    if wrong:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ArgumentError(f"{name}: expected shape {wanted}, got {result.shape}")
    finite(name, result)
    if result.size and low is not None and high is not None:
        smallest, largest = result.min(), result.max()
        if smallest < low or largest > high:
            raise ArgumentError(
                f"{name}: expected values from {low:g} to {high:g}{f' {unit}' if unit else ''}, got {smallest:g} to "
                f"{largest:g}{_doubt(unit)}"
            )
    return result


def finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinities; says how many there are and where the first one is."""
    if values.dtype.kind not in "fc":
        return
    # A sum is finite unless a member is not (or it overflows): one pass without a temporary.
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.complex128 if values.dtype.kind == "c" else np.float64)):
            return
    bad = ~np.isfinite(values)
    if bad.any():
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        raise ArgumentError(f"{name}: expected finite values, got {int(bad.sum())} NaN or infinite, first at {first}")


def freeze(values: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that a frozen object stays what its constructor checked."""
    view = values.view()
    view.flags.writeable = False
    return view
