"""Complex gains of emitters and receivers: what the elements, not the object, do to the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import count, option
from ..errors import ArgumentError

KINDS = ("none", "common", "receiver", "emitter", "rank_one")
ROBUST = ("huber", "tukey", "none")
_SETTLED = 1e-5  # relative change of the gains at which iterations end
_POWER = 30  # iterations for the phases to start from
_RAYLEIGH = np.sqrt(np.log(2.0))  # median magnitude of complex noise over its standard deviation
_DEAD = 1e-4  # of the median gain: 80 dB below, there is nothing to divide by
_HUBER, _TUKEY = 1.5, 4.0  # standard deviations

_Complex = NDArray[np.complex128]
_Real = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Gains:
    """Gains with data ~ transmit_e receive_r model_er.

    Parameters
    ----------
    transmit : (..., n_tx) complex128
    receive : (..., n_rx) complex128
        Of elements without data: 1.
    weights : (..., n_tx, n_rx) float32
        With which the data counted in the last iteration: those given times the robust ones; 0 for pairs whose emitter
        or receiver has no gain.
    scatter : (...) float64
        Robust standard deviation of data / gains - model.
    """

    transmit: _Complex
    receive: _Complex
    weights: NDArray[np.float32]
    scatter: _Real

    def __repr__(self) -> str:
        return f"Gains({self.transmit.shape[-1]} emitters, {self.receive.shape[-1]} receivers)"

    @property
    def pairs(self) -> _Complex:
        """Gain of every pair, (..., n_tx, n_rx)."""
        return np.asarray(self.transmit[..., :, None] * self.receive[..., None, :])

    def apply(self, model: Any) -> NDArray[np.complex64]:
        """What the elements make of a model (..., n_tx, n_rx)."""
        return np.asarray(np.asarray(model) * self.pairs.astype(np.complex64))

    def remove(self, data: Any) -> NDArray[np.complex64]:
        """Data (..., n_tx, n_rx) as ideal elements would have recorded them."""
        return np.asarray(np.asarray(data) / self.pairs.astype(np.complex64))


def fit_gains(
    model: Any,
    data: Any,
    weights: Any = None,
    *,
    kind: str = "rank_one",
    robust: str = "huber",
    elements: Any = None,
    unit_modulus: bool = False,
    iterations: int = 20,
) -> Gains:
    """Fit gains that make a model like the data, frequency by frequency.

    The residual is data / gains - model, which an inversion compares, so that the result data / gains is the same
    whatever gains the data carry. Each emitter's gain is the one that makes its residual orthogonal to its model, given
    the receivers' gains, and the other way round, in turns; data are reweighted by their residuals. Rank-one gains have
    a starting point that outliers do not move: phases from the dominant pair of vectors of data / model at unit
    modulus, magnitudes from medians. With kind "receiver" and ``robust="none"`` it is the published fit of [1]_, one
    division.

    Parameters
    ----------
    model, data : (..., n_tx, n_rx) complex64
    weights : (n_tx, n_rx) or (..., n_tx, n_rx) float32, optional
        0 leaves a pair out. Data that are not finite may stand only where it is 0.
    kind : {"none", "common", "receiver", "emitter", "rank_one"}
        "common": one gain per frequency (it is in ``receive``).
    robust : {"huber", "tukey", "none"}
    elements : (n_tx,) int, optional
        Receiver that each emitter is, if its gain shall be the same in both roles (up to a common factor); with
        "rank_one" only.
    unit_modulus : bool
        Fit phases only: amplitudes are trusted.
    iterations : int

    Returns
    -------
    Gains
        Rank-one gains hold abs(transmit) = 1 in the geometric mean, and its mean phase 0. With `elements`, the common
        factor is in ``receive``.

    Raises
    ------
    ArgumentError
        Shapes that differ, data that count but are not finite.

    References
    ----------
    .. [1] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    """
    p, d = np.asarray(model), np.asarray(data)
    if p.ndim < 2 or p.shape != d.shape or not p.size:
        raise ArgumentError(f"model, data: expected the same shape (..., n_tx, n_rx), got {p.shape} and {d.shape}")
    option("kind", kind, KINDS)
    option("robust", robust, ROBUST)
    rounds = count("iterations", iterations, 1, 1000)
    w = np.ones(p.shape[-2:], np.float32) if weights is None else np.asarray(weights, np.float32)
    if w.shape not in {p.shape, p.shape[-2:]}:
        raise ArgumentError(f"weights: expected shape {p.shape} or {p.shape[-2:]}, got {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ArgumentError("weights: expected finite ones that are not negative")
    w = np.broadcast_to(w, p.shape)
    chosen = _elements(elements, kind, p.shape[-2:])
    shape, (n_tx, n_rx) = p.shape[:-2], p.shape[-2:]
    transmit, receive = np.ones((*shape, n_tx), np.complex128), np.ones((*shape, n_rx), np.complex128)
    counted, scatter = np.zeros(p.shape, np.float32), np.zeros(shape)
    for at in np.ndindex(*shape):
        fit = _Fit(p[at], d[at], w[at], kind, robust, chosen, unit_modulus)
        transmit[at], receive[at], counted[at], scatter[at] = fit.run(rounds)
    return Gains(transmit, receive, counted, scatter)


def robust_weights(
    residual: Any, weights: Any, *, robust: str = "huber", scale: float | None = None
) -> tuple[_Real, float]:
    """Weights of complex residuals by their magnitude over their robust standard deviation.

    Huber: 1 up to 1.5 standard deviations, then 1.5 / u; Tukey: (1 - (u / 4)^2)^2 up to 4, then 0.

    Parameters
    ----------
    residual : (...) complex128
    weights : (...) float32
        Residuals of weight 0 do not enter the standard deviation.
    robust : {"huber", "tukey", "none"}
    scale : float, optional
        Standard deviation, if it is known.

    Returns
    -------
    (...) float32
        The given weights times the robust ones.
    float
        Standard deviation of the complex residual, from the median of its magnitude.
    """
    w, r = np.asarray(weights), np.asarray(residual)
    power = np.where(w > 0, _power(r), 0)
    used = power[w > 0]
    sigma = (float(np.sqrt(np.median(used))) / _RAYLEIGH if used.size else 0.0) if scale is None else scale
    # Half of the residuals may be exactly zero; the others still must not count without limit.
    floor = 1e-7 * float(np.sqrt(used.max(initial=0.0)))
    power /= max(sigma, floor, 1e-18) ** 2
    if robust == "huber":
        return np.asarray(w * (_HUBER / np.sqrt(np.maximum(power, _HUBER**2)))), sigma
    if robust == "tukey":
        return np.asarray(w * np.maximum(1 - power / _TUKEY**2, 0.0) ** 2), sigma
    return w, sigma


def _power(values: NDArray[Any]) -> NDArray[Any]:
    """Squared magnitude."""
    return np.asarray(values.real**2 + values.imag**2)


class _Fit:
    """Gains at one frequency."""

    def __init__(
        self,
        model: NDArray[Any],
        data: NDArray[Any],
        weights: NDArray[Any],
        kind: str,
        robust: str,
        elements: NDArray[np.intp] | None,
        unit_modulus: bool,
    ) -> None:
        self.used = weights > 0
        with np.errstate(invalid="ignore"):
            self.model = np.where(self.used, model, 0).astype(np.complex64)
            self.data = np.where(self.used, data, 0).astype(np.complex64)
        if not (np.isfinite(self.model).all() and np.isfinite(self.data).all()):
            raise ArgumentError("model, data: expected finite values wherever the weight is not 0")
        self.used &= self.model != 0  # where no wave arrives there is nothing to compare
        self.weights = np.where(self.used, weights, 0).astype(np.float32)
        self.power, self.cross = _power(self.model), np.conj(self.model) * self.data
        self.kind, self.robust, self.elements, self.unit = kind, robust, elements, unit_modulus

    def run(self, rounds: int) -> tuple[_Complex, _Complex, NDArray[np.float32], float]:
        a, b = self._start()
        # Tukey's weights would drop an element that starts wrong; Huber's bring all of them near first.
        for robust in ("huber", "tukey") if self.robust == "tukey" else (self.robust,):
            weights, sigma = self._reweighted(a, b, robust)
            for _ in range(0 if self.kind == "none" else rounds):
                before = np.concatenate([a, b])
                a, b = self._solved(a, b, weights * self.power, weights * self.cross)
                weights, sigma = self._reweighted(a, b, robust)
                after = np.concatenate([a, b])
                if np.abs(after - before).max() <= _SETTLED * np.abs(after).max():
                    break
        heard_tx = _heard(a, np.asarray(self.used.any(axis=1)))
        heard_rx = _heard(b, np.asarray(self.used.any(axis=0)))
        if self.kind == "rank_one" and heard_tx.any():
            scale = np.exp(np.log(np.abs(a[heard_tx])).mean() + 1j * np.angle(a[heard_tx].mean()))
            a, b = a / scale, b * scale
        weights = np.where(heard_tx[:, None] & heard_rx, weights, 0.0)
        if self.kind == "common":
            heard_rx = np.ones_like(heard_rx)  # what the others have holds for a receiver without data, too
        return np.where(heard_tx, a, 1), np.where(heard_rx, b, 1), weights.astype(np.float32), sigma

    def _reweighted(self, a: _Complex, b: _Complex, robust: str) -> tuple[_Real, float]:
        residual = self.data * _single(_inverse(a))[:, None]
        residual *= _single(_inverse(b))
        residual -= self.model
        return robust_weights(residual, self.weights, robust=robust)

    def _solved(self, a: _Complex, b: _Complex, power: _Real, cross: NDArray[Any]) -> tuple[_Complex, _Complex]:
        """One pass over all gains."""
        if self.kind == "common":
            return a, self._ratio(np.full(b.shape, cross.sum()), np.full(b.shape, power.sum()), b)
        if self.elements is not None:
            return self._shared(b, power, cross, self.elements)
        if self.kind in {"receiver", "rank_one"}:
            b = self._ratio(_single(_inverse(a)) @ cross, power.sum(axis=0), b)
        if self.kind in {"emitter", "rank_one"}:
            a = self._ratio(cross @ _single(_inverse(b)), power.sum(axis=1), a)
        return a, b

    def _shared(
        self, b: _Complex, power: _Real, cross: NDArray[Any], elements: NDArray[np.intp]
    ) -> tuple[_Complex, _Complex]:
        """One factor per element for both roles: its emitters' and its receivers' equations together, half a step."""
        top, bottom = _single(_inverse(b[elements])) @ cross, power.sum(axis=0)
        np.add.at(top, elements, cross @ _single(_inverse(b)))
        np.add.at(bottom, elements, power.sum(axis=1))
        b = 0.5 * (b + self._ratio(top, bottom, b))  # whole steps swing between g and 1 / g
        b = _unit(b) if self.unit else b
        return b[elements], b

    def _ratio(self, top: NDArray[Any], bottom: _Real, before: _Complex) -> _Complex:
        """top / bottom, what it was where there is nothing to divide by."""
        gains = np.divide(top, bottom, out=before.copy(), where=bottom > 0)
        return _unit(gains) if self.unit else gains

    def _start(self) -> tuple[_Complex, _Complex]:
        """Gains that a few wild data do not move."""
        n_tx, n_rx = self.data.shape
        if self.kind == "none" or not self.used.any():
            return np.ones(n_tx, np.complex128), np.ones(n_rx, np.complex128)
        ratio = np.divide(self.data, self.model, out=np.zeros_like(self.data), where=self.used)
        size = np.abs(ratio)
        a, b = self._phases(np.divide(ratio, size, out=np.zeros_like(ratio), where=size > 0))
        if self.unit:
            return a, b
        level = np.log(size, out=np.full(size.shape, np.nan), where=size > 0)
        rows, columns = np.zeros(n_tx), np.zeros(n_rx)
        if self.kind == "common":
            columns += _medians(level.reshape(1, -1))
        for _ in range(3 if self.kind == "rank_one" else 1):
            if self.kind in {"receiver", "rank_one"}:
                columns = _medians((level - rows[:, None]).T)
            if self.kind in {"emitter", "rank_one"}:
                rows = _medians(level - columns)
        if self.elements is not None:
            columns += 0.5 * np.median(rows - columns[self.elements])
            rows = columns[self.elements]
        return a * np.exp(rows), b * np.exp(columns)

    def _phases(self, phase: _Complex) -> tuple[_Complex, _Complex]:
        """Factors of modulus 1 whose products are nearest to those phases."""
        a, b = np.ones(phase.shape[0], np.complex128), np.ones(phase.shape[1], np.complex128)
        if self.kind == "common":
            return a, b * _unit(np.atleast_1d(phase.sum()))
        if self.kind == "receiver":
            return a, _unit(phase.sum(axis=0))
        if self.kind == "emitter":
            return _unit(phase.sum(axis=1)), b
        for _ in range(_POWER):
            top, before = _single(np.conj(a)) @ phase, b
            if self.elements is None:
                b = _unit(top)
                a = _unit(phase @ _single(np.conj(b)))
            else:
                np.add.at(top, self.elements, phase @ _single(np.conj(b)))
                b = _unit(top)
                a = b[self.elements]
            if abs(np.vdot(before, b)) > (1 - 1e-8) * len(b):
                break
        if self.elements is not None:  # each step turns the common phase around
            b = b * np.exp(0.5j * np.angle(np.conj(a) @ phase @ np.conj(b)))
            a = b[self.elements]
        return a, b


def _single(gains: NDArray[Any]) -> NDArray[np.complex64]:
    """As the data are, which a product in double precision would copy."""
    return gains.astype(np.complex64)


def _inverse(gains: _Complex) -> _Complex:
    """1 / gains, 0 for 0."""
    return np.divide(1, gains, out=np.zeros_like(gains), where=gains != 0)


def _unit(values: _Complex) -> _Complex:
    """Values on the unit circle; 1 for 0."""
    size = np.abs(values)
    return np.divide(values, size, out=np.ones(values.shape, np.complex128), where=size > 0)


def _heard(gains: _Complex, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Elements with a gain to divide by."""
    size = np.abs(gains)
    return np.asarray(used & (size > _DEAD * np.median(size[used]))) if used.any() else used


def _medians(values: NDArray[Any]) -> NDArray[np.float64]:
    """Median of every row without its NaN, 0 where there are only NaN."""
    ordered = np.sort(values, axis=1)  # NaN come last
    known = np.isfinite(ordered).sum(axis=1)
    rows, last = np.arange(len(ordered)), np.maximum(known - 1, 0)
    middle = 0.5 * (ordered[rows, last // 2] + ordered[rows, (last + 1) // 2])
    return np.where(known > 0, middle, 0.0).astype(np.float64)


def _elements(elements: Any, kind: str, shape: tuple[int, ...]) -> NDArray[np.intp] | None:
    if elements is None:
        return None
    chosen = np.asarray(elements)
    if chosen.shape != shape[:1] or chosen.dtype.kind not in "iu":
        raise ArgumentError(f"elements: expected {shape[0]} integers, got {chosen.dtype} of shape {chosen.shape}")
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < shape[1]):
        raise ArgumentError(f"elements: expected 0 to {shape[1] - 1}, got {chosen.min()} to {chosen.max()}")
    if kind != "rank_one":
        raise ArgumentError(f"elements: expected kind 'rank_one' with them, got {kind!r}")
    return chosen.astype(np.intp)
