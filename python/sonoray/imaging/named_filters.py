"""Wall filters by name, for command lines and files: ``poly:2``, ``iir:0.1``, ``svd:3``."""

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from .eigen_filters import EigenFilter, HankelFilter
from .svd_filters import SvdFilter
from .wall_filters import FirFilter, IirFilter, PolynomialFilter, WallFilter

# name -> (what takes its parameters, at most how many, how they are written)
_KNOWN: dict[str, tuple[Callable[..., Any], int, str]] = {
    "poly": (lambda order=1: PolynomialFilter(order), 1, "poly[:ORDER]"),
    "fir": (lambda cutoff=0.3, order=None: FirFilter(cutoff, order), 2, "fir[:CUTOFF[:ORDER]]"),
    "iir": (lambda cutoff=0.1, order=4: IirFilter(cutoff, order), 2, "iir[:CUTOFF[:ORDER]]"),
    "svd": (lambda rank="frequency", noise=0: SvdFilter(rank, noise), 2, "svd[:RANK[:NOISE]]"),
    "eigen": (lambda cutoff=0.1: EigenFilter(cutoff), 1, "eigen[:CUTOFF]"),
    "hankel": (lambda cutoff=0.1: HankelFilter(cutoff), 1, "hankel[:CUTOFF]"),
}
FORMS = ("none", *(form for *_, form in _KNOWN.values()))


def named_wall_filter(text: str) -> WallFilter | None:
    """Return the wall filter that a text describes.

    Parameters
    ----------
    text : str
        A name and its parameters, apart by colons: ``none``, ``poly:ORDER``, ``fir:CUTOFF:ORDER``,
        ``iir:CUTOFF:ORDER``, ``svd:RANK:NOISE`` (numbers, or the rules "frequency" and "similarity"),
        ``eigen:CUTOFF``, ``hankel:CUTOFF``. Cutoffs are fractions of the Nyquist velocity. What is left out takes its
        default: polynomial of order 1, FIR from 0.3, the others from 0.1, SVD by frequency.

    Returns
    -------
    callable or None
        For `apply_wall_filter`.

    Raises
    ------
    ArgumentError
        An unknown name, too many or wrong parameters.

    Examples
    --------
    >>> named_wall_filter("poly:2").order
    2
    """
    name, *given = str(text).strip().split(":")
    if name == "none" and not given:
        return None
    if name not in _KNOWN:
        raise ArgumentError(f"wall_filter: expected {', '.join(FORMS)}, got {text!r}")
    make, most, form = _KNOWN[name]
    if len(given) > most:
        raise ArgumentError(f"wall_filter: expected {form}, got {text!r}")
    try:
        return make(*map(_value, given))  # type: ignore[no-any-return]
    except ArgumentError as error:
        raise ArgumentError(f"wall_filter {text!r}: {error}") from None
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"wall_filter: expected {form}, got {text!r} ({error})") from None


def _value(text: str) -> Any:
    """A whole number, another number, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
