"""Wall filters: what moves slowly is taken out of a sequence of I/Q images, whatever the images show.

A wall filter is a callable from frames (n_frames, ...) to frames without tissue; `apply_wall_filter` takes any of them,
those of `svd_filters` and `eigen_filters`, which learn from the data, and functions of one's own. Cutoffs are fractions
of the Nyquist velocity: v_cutoff / `nyquist_velocity`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import scipy  # loads signal when it is first used
from numpy.typing import NDArray

from .._checks import array, count, finite, option, scalar
from ..errors import ArgumentError
from .slow_time import SlowTimeFilter, filtered_frames, subspace_removed

WallFilter: TypeAlias = int | Callable[[NDArray[Any]], NDArray[Any]]

_LOSS = 1.0  # [dB] that a FIR filter may lose above its cutoff
_MOST_TAPS = 256
_POINTS_AT_ONCE = 1 << 12
_SHORT = 256  # frames up to which filters are applied as a matrix


def slow_time_frames(iq: Any) -> NDArray[np.complex64]:
    """Return ``iq`` as complex64 if it is a sequence of finite I/Q images.

    Parameters
    ----------
    iq : (n_frames, ...) complex

    Raises
    ------
    ArgumentError
        Real data, fewer than two frames, NaN.
    """
    frames = complex_frames(iq)
    finite("iq", frames)
    return frames


def apply_wall_filter(iq: Any, wall_filter: WallFilter | None) -> NDArray[np.complex64]:
    """Remove tissue from a sequence of I/Q images.

    Parameters
    ----------
    iq : (n_frames, ...) complex64
        Beamformed I/Q of consecutive frames.
    wall_filter : int or callable, optional
        Order of a `PolynomialFilter`; or `PolynomialFilter`, `FirFilter`, `IirFilter`, `SvdFilter`, `EigenFilter`,
        `HankelFilter`, or a function from (n_frames, ...) complex64 to (m_frames, ...) complex. Default none.

    Returns
    -------
    (m_frames, ...) complex64
        As many frames as before, but for `FirFilter`, which drops those that it has not filled.

    Raises
    ------
    ArgumentError
        Real data, too few frames, NaN; a function that returns something else.
    """
    if wall_filter is None:
        return slow_time_frames(iq)
    frames = complex_frames(iq)  # what is not finite stays so and is found behind the filter
    if not callable(wall_filter):
        wall_filter = PolynomialFilter(wall_filter)
    filtered = np.asarray(wall_filter(frames))
    if filtered.dtype.kind != "c" or filtered.shape[1:] != frames.shape[1:] or len(filtered) < 2:
        raise ArgumentError(
            f"wall_filter: expected two or more complex frames of shape {frames.shape[1:]} from it, "
            f"got {filtered.dtype} {filtered.shape}"
        )
    return slow_time_frames(filtered)


def prepared(iq: Any, wall_filter: WallFilter | None) -> tuple[NDArray[np.complex64], SlowTimeFilter]:
    """What is left to be done to frames along slow time: a filter that is no such matrix is applied.

    Parameters
    ----------
    iq, wall_filter
        As for `apply_wall_filter`.

    Returns
    -------
    frames : (n_frames, ...) complex64
        Not checked for NaN.
    slow_time : SlowTimeFilter

    Raises
    ------
    ArgumentError
        As for `apply_wall_filter`.
    """
    frames = complex_frames(iq)
    if wall_filter is None:
        return frames, SlowTimeFilter()
    if not callable(wall_filter):
        wall_filter = PolynomialFilter(wall_filter)
    linear = wall_filter.slow_time(frames) if hasattr(wall_filter, "slow_time") else None
    return (apply_wall_filter(frames, wall_filter), SlowTimeFilter()) if linear is None else (frames, linear)


def wall_filter_response(wall_filter: WallFilter, n_frames: int, velocities: Any) -> NDArray[np.float64]:
    """Power that a filter leaves of echoes moving steadily, relative to what went in.

    |H(v)|^2 = (1/m) sum_n |y_n|^2 with y the filtered exp(i pi v n), the frequency response of filters that are not
    shift-invariant [1]_. Filters that learn from the data have none.

    Parameters
    ----------
    wall_filter : int or callable
    n_frames : int
        Length of the ensemble.
    velocities : (n,) float
        Fractions of the Nyquist velocity.

    Returns
    -------
    (n,) float64

    Raises
    ------
    ArgumentError
        Too few frames for the filter.

    References
    ----------
    .. [1] H. Torp, Clutter rejection filters in color flow imaging: a theoretical approach, IEEE Trans. UFFC 44, 417
       (1997).
    """
    length = count("n_frames", n_frames, 2, 100_000)
    fractions = array("velocities", velocities, (None,), low=-1e3, high=1e3, unit="(fractions of Nyquist)")
    waves = np.exp(1j * np.pi * np.outer(np.arange(length), fractions))
    return np.asarray((np.abs(apply_wall_filter(waves, wall_filter)).astype("f8") ** 2).mean(axis=0))


@dataclass(frozen=True)
class PolynomialFilter:
    """Least-squares polynomial in time that is subtracted from every point: x - Q Q^T x.

    Parameters
    ----------
    order : int
        0 removes what stands still, 1 what drifts slowly too.
    times : (n_frames,) float, optional [s]
        When the frames were taken, where not evenly (staggered repetition).

    Raises
    ------
    ArgumentError
        Fewer frames than order + 2, for velocities order + 3; times that do not rise.

    References
    ----------
    .. [1] S. Bjærum, H. Torp, K. Kristoffersen, Clutter filter design for ultrasound color flow imaging, IEEE Trans.
       UFFC 49, 204 (2002).
    """

    order: int
    times: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", count("wall_filter", self.order, 0, 100))
        if self.times is not None:
            times = array("times", self.times, (None,), low=-1e6, high=1e6, unit="s")
            if (np.diff(times) <= 0).any():
                raise ArgumentError("times: expected rising times in s")
            object.__setattr__(self, "times", tuple(times.tolist()))

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames, ...) complex64 without the polynomial."""
        frames = slow_time_frames(iq)
        return filtered_frames(frames, self.slow_time(frames))

    def slow_time(self, frames: NDArray[Any]) -> SlowTimeFilter:
        """Return the filter for as many frames as these."""
        if self.order + 2 > len(frames):
            n = len(frames)
            most = f"velocities: {n - 3}" if n > 2 else "velocities: none at all"
            raise ArgumentError(f"wall_filter: expected at most {n - 2} for {n} frames ({most}), got {self.order}")
        return subspace_removed(self.basis(len(frames)))

    def basis(self, n_frames: int) -> NDArray[np.float64]:
        """Return the orthonormal polynomials that are removed, (n_frames, order + 1) float64."""
        time = np.arange(n_frames, dtype=float) if self.times is None else np.asarray(self.times)
        if len(time) != n_frames:
            raise ArgumentError(f"times: expected one of each of {n_frames} frames, got {len(time)}")
        time = 2 * (time - time[0]) / np.ptp(time) - 1
        return np.asarray(np.linalg.qr(np.polynomial.legendre.legvander(time, self.order))[0])


@dataclass(frozen=True)
class FirFilter:
    """Linear-phase high-pass of finite impulse response, least squares in both bands, with no gain at rest.

    A(v) = sum_k a_k (cos(pi k v) - 1) minimises the integral of A^2 over [0, stop] (ten times heavier) and of
    (A - 1)^2 over [cutoff, 1], the classic least-squares design [1]_ with A(0) = A'(0) = 0 built in.

    Parameters
    ----------
    cutoff : float
        Fraction of the Nyquist velocity from which on flow is kept.
    order : int, optional
        Even; the filter drops that many frames. Default: the lowest that loses less than 1 dB above the cutoff.
    stop : float, optional
        Fraction of the Nyquist velocity up to which tissue is to be stopped; default a quarter of the cutoff.

    Raises
    ------
    ArgumentError
        Cutoff outside 0.05 to 0.9, stop not below it, an odd order, fewer frames than order + 2.

    References
    ----------
    .. [1] T. W. Parks, C. S. Burrus, Digital Filter Design, Wiley (1987): least squared error.
    .. [2] S. Bjærum, H. Torp, K. Kristoffersen, IEEE Trans. UFFC 49, 204 (2002).
    """

    cutoff: float
    order: Any = None
    stop: Any = None

    def __post_init__(self) -> None:
        cutoff = scalar("cutoff", self.cutoff, 0.05, 0.9, "(fraction of Nyquist)")
        stop = cutoff / 4 if self.stop is None else scalar("stop", self.stop, 0.0, 0.9, "(fraction of Nyquist)")
        if stop >= cutoff:
            raise ArgumentError(f"stop: expected below the cutoff {cutoff:g}, got {stop:g}")
        order = _shortest(cutoff, stop) if self.order is None else count("order", self.order, 2, _MOST_TAPS)
        if order % 2:
            raise ArgumentError(f"order: expected an even number, got {order}")
        for name, value in (("cutoff", cutoff), ("stop", stop), ("order", order)):
            object.__setattr__(self, name, value)

    def taps(self) -> NDArray[np.float64]:
        """Return the impulse response, (order + 1,) float64, symmetric."""
        return _least_squares_high_pass(self.cutoff, self.stop, self.order)

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames - order, ...) complex64."""
        frames = slow_time_frames(iq)
        matrix = self.slow_time(frames)
        if matrix is not None:
            return filtered_frames(frames, matrix)
        left = len(frames) - self.order
        result = np.zeros((left, *frames.shape[1:]), "c8")
        for k, tap in enumerate(self.taps().astype("f4")):
            result += tap * frames[k : k + left]
        return result

    def slow_time(self, frames: NDArray[Any]) -> SlowTimeFilter | None:
        """Return the filter for as many frames as these; None where a matrix would be too much work."""
        n, left = len(frames), len(frames) - self.order
        if left < 2:
            raise ArgumentError(f"wall_filter: expected {self.order + 2} frames or more, got {n}")
        if n > _SHORT:
            return None
        matrix = np.zeros((left, n), "f4")
        for k, tap in enumerate(self.taps()):
            matrix[np.arange(left), np.arange(left) + k] = tap
        return SlowTimeFilter(matrix)


@dataclass(frozen=True)
class IirFilter:
    """Recursive high-pass whose transient is fitted to the ensemble and removed.

    In state space y = B v_0 + C x, with v_0 the state before the first frame. "projection" chooses v_0 that leaves the
    least energy, y = (I - B B^+) C x: the steepest response of the three at rest ([1]_, [2]_).

    Parameters
    ----------
    cutoff : float
        Fraction of the Nyquist velocity at which steady flow loses ``ripple``.
    order : int
    kind : {"chebyshev", "butterworth"}
        Chebyshev of type I: steeper, ripples above the cutoff.
    initialization : {"projection", "step", "zero"}
        "step": as if the first frame had been there for ever.
    ripple : float [dB]

    Raises
    ------
    ArgumentError
        Cutoff outside 0.001 to 0.9, fewer frames than order + 2.

    References
    ----------
    .. [1] S. Bjærum, H. Torp, K. Kristoffersen, IEEE Trans. UFFC 49, 204 (2002).
    .. [2] E. S. Chornoboy, Initialization for improved IIR filter performance, IEEE Trans. Signal Process. 40, 543
       (1992).
    """

    cutoff: float
    order: int = 4
    kind: str = "chebyshev"
    initialization: str = "projection"
    ripple: float = 0.5

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "cutoff", scalar("cutoff", self.cutoff, 1e-3, 0.9, "(fraction of Nyquist)"))
        set_(self, "order", count("order", self.order, 1, 8))
        option("kind", self.kind, ("chebyshev", "butterworth"))
        option("initialization", self.initialization, ("projection", "step", "zero"))
        set_(self, "ripple", scalar("ripple", self.ripple, 0.01, 3.0, "dB"))

    def coefficients(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return numerator and denominator, (order + 1,) float64 each."""
        if self.kind == "chebyshev":
            return _pair(scipy.signal.cheby1(self.order, self.ripple, self.cutoff, "highpass"))
        # |H|^2 = 1 / (1 + (tan(half) / tan(pi v / 2))^(2 n)); half is where 3 dB are lost.
        excess = (10 ** (self.ripple / 10) - 1) ** (0.5 / self.order)
        half = np.arctan(np.tan(np.pi * self.cutoff / 2) * excess) * 2 / np.pi
        return _pair(scipy.signal.butter(self.order, half, "highpass"))

    def __call__(self, iq: Any) -> NDArray[np.complex64]:
        """Return (n_frames, ...) complex64."""
        frames = slow_time_frames(iq)
        matrix = self.slow_time(frames)
        if matrix is not None:
            return filtered_frames(frames, matrix)
        flat = frames.reshape(len(frames), -1)
        result = np.empty_like(flat)
        for first in range(0, flat.shape[1], _POINTS_AT_ONCE):
            part = slice(first, first + _POINTS_AT_ONCE)
            result[:, part] = self._filtered(flat[:, part].astype("c16"))
        return result.reshape(frames.shape)

    def slow_time(self, frames: NDArray[Any]) -> SlowTimeFilter | None:
        """Return the filter for as many frames as these; None where a matrix would be too much work."""
        n = len(frames)
        if n < self.order + 2:
            raise ArgumentError(f"wall_filter: expected {self.order + 2} frames or more, got {n}")
        return SlowTimeFilter(self._filtered(np.eye(n)).astype("f4")) if n <= _SHORT else None

    def _filtered(self, x: NDArray[Any]) -> NDArray[Any]:
        """Filter (n_frames, n) in double precision."""
        b, a = self.coefficients()
        start = np.zeros((self.order, x.shape[1]), x.dtype)
        if self.initialization == "step":
            start += scipy.signal.lfilter_zi(b, a)[:, None] * x[0]
        y = scipy.signal.lfilter(b, a, x, axis=0, zi=start)[0]
        if self.initialization == "projection":
            transient = np.linalg.qr(_transients(b, a, len(x)))[0]
            y -= transient @ (transient.T @ y)
        return np.asarray(y)


def _pair(design: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(design[0], float), np.asarray(design[1], float)


def _transients(b: NDArray[np.float64], a: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """What the filter rings down to without input, from each of its states: B, (n, order)."""
    order = len(a) - 1
    silence = np.zeros((n, order))
    return np.asarray(scipy.signal.lfilter(b, a, silence, axis=0, zi=np.eye(order))[0])


@lru_cache(maxsize=64)
def _shortest(cutoff: float, stop: float) -> int:
    """Lowest even order that loses less than _LOSS above the cutoff."""
    above = np.linspace(cutoff, 1, 400)
    hopeless = int(0.6 / (cutoff - stop))  # half of an order that is too low, to save time
    for order in range(2 * max(hopeless, 1), _MOST_TAPS, 2):
        gain = np.abs(_frequency_gain(_least_squares_high_pass(cutoff, stop, order), above))
        if 20 * np.log10(gain.min() + 1e-30) > -_LOSS and 20 * np.log10(gain.max()) < _LOSS:
            return order
    raise ArgumentError(f"cutoff: no order below {_MOST_TAPS} stops {stop:g} and keeps {cutoff:g}; raise it")


def _frequency_gain(taps: NDArray[np.float64], velocities: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(np.exp(-1j * np.pi * np.outer(velocities, np.arange(len(taps)))) @ taps)


def _least_squares_high_pass(cutoff: float, stop: float, order: int) -> NDArray[np.float64]:
    half = order // 2
    k = np.arange(1, half + 1)
    dense = 4 * order
    stopped, kept = np.linspace(0, stop, dense), np.linspace(cutoff, 1, dense)
    weight = np.sqrt(np.r_[np.full(dense, 10 * stop), np.full(dense, 1 - cutoff)] / dense)
    matrix = (np.cos(np.pi * np.outer(np.r_[stopped, kept], k)) - 1) * weight[:, None]
    a = np.linalg.lstsq(matrix, np.r_[np.zeros(dense), np.ones(dense)] * weight)[0]
    return np.r_[a[::-1] / 2, -a.sum(), a / 2]


def complex_frames(iq: Any) -> NDArray[np.complex64]:
    """Return ``iq`` as complex64 if it is a sequence of I/Q images; what is not finite stays."""
    frames = np.asarray(iq)
    if frames.dtype.kind != "c":
        raise ArgumentError(f"iq: expected complex I/Q images, got {frames.dtype}")
    if frames.ndim < 2 or len(frames) < 2 or not frames.size:
        raise ArgumentError(f"iq: expected shape (n_frames, ...) with two frames or more, got {frames.shape}")
    return frames.astype("c8", copy=False)
