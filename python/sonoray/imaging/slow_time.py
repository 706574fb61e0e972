"""Along slow time, compiled: a linear wall filter, then power and correlations, in one pass over each ensemble.

Floor: every sample is read once (8 bytes). With n frames a dense filter costs 2 n multiply-adds per sample, a subspace
of r dimensions 4 r (complex 8 r), a correlation 4.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._arrays import is_device_array, to_device, to_host
from .._backends import backend, place
from .._checks import count, finite
from ..errors import ArgumentError

_LEAST_AVERAGE = 16  # points that may be asked of any image: of a line, of a strip


class SlowTimeFilter(NamedTuple):
    """A linear filter of ensembles x: y = A x, y = S A x or y = x - S A x.

    Attributes
    ----------
    analysis : (r, n_frames) float32 or complex64, optional
        A; None: y = x.
    synthesis : (m_frames, r) float32 or complex64, optional
        S; None: y = A x.
    residual : bool
        y = x - S A x.
    refused : bool
        Whether correlations of what has fewer than two dimensions left are refused; else they are 0, which says that
        no velocity is known: for filters whose rank the data decide, and where only power is asked for.
    """

    analysis: NDArray[Any] | None = None
    synthesis: NDArray[Any] | None = None
    residual: bool = False
    refused: bool = True

    def dimensions(self, n: int) -> int:
        """Dimensions that a subspace, removed or kept, leaves of ensembles of n frames."""
        if self.analysis is None or self.synthesis is None:
            return self.n_frames(n)
        return n - len(self.analysis) if self.residual else len(self.analysis)

    def n_frames(self, n: int) -> int:
        """Frames that are left of n."""
        last = self.analysis if self.synthesis is None else self.synthesis
        return n if last is None else len(last)


class Moments(NamedTuple):
    """What `slow_time_moments` found; what was not asked for is None.

    Attributes
    ----------
    lagged : (n_lags, ...) complex64
        Mean of y[k + lag] conj(y[k]).
    power : (...) float32
        Mean of |y|^2.
    pair_power : (...) float32, optional
        Mean of (|y[k]|^2 + |y[k + 1]|^2) / 2.
    """

    lagged: NDArray[np.complex64]
    power: NDArray[np.float32]
    pair_power: NDArray[np.float32] | None


def subspace_removed(basis: Any) -> SlowTimeFilter:
    """x - B B^H x for an orthonormal basis (n_frames, r)."""
    kind = np.dtype("c8" if np.iscomplexobj(basis) else "f4")
    return SlowTimeFilter(np.conj(basis.T).astype(kind), basis.astype(kind), residual=True)


def subspace_kept(basis: Any) -> SlowTimeFilter:
    """B B^H x for an orthonormal basis (n_frames, r)."""
    return subspace_removed(basis)._replace(residual=False)


def slow_time_moments(
    frames: Any, slow_time: SlowTimeFilter, lags: tuple[int, ...], *, average: Any = 1, pair_power: bool = False
) -> Moments:
    """Filter ensembles and correlate them along slow time.

    Parameters
    ----------
    frames : (n_frames, ...) complex64
        Not yet checked for NaN. On a CUDA device: (n_frames, n_points).
    slow_time : SlowTimeFilter
    lags : tuple of int
        Each from 1 to one less than the frames behind the filter.
    average : int or tuple of int
        Points along each image axis over which results are averaged.
    pair_power : bool
        Find it, too.

    Returns
    -------
    Moments
        In host memory.

    Raises
    ------
    ArgumentError
        Samples that are not finite; a bad window; correlations of what has one dimension left of all frames, whose
        phase is that of the filter and not of the flow, if the filter has them refused.
    """
    left = slow_time.dimensions(len(frames))
    unknown = bool(lags) and left < 2
    if unknown and slow_time.refused:
        raise ArgumentError(
            f"wall_filter: expected one that leaves two of the {len(frames)} dimensions of an ensemble or more for "
            f"velocities, got one that leaves {left}; use more frames, or a filter of lower order or rank, or none"
        )
    shape = tuple(frames.shape[1:])
    window = averaging_window(average, shape)
    points = int(np.prod(shape))
    out = {"lagged": np.empty((len(lags), points), "c8"), "power": np.empty(points, "f4")}
    if pair_power:
        out["pair_power"] = np.empty(points, "f4")
    _run(frames, slow_time, lags, out)
    if not np.isfinite(out["power"]).all():  # every sample enters it
        finite("iq", to_host(frames))
    pairs = _averaged(out["pair_power"].reshape(shape), window) if pair_power else None
    if unknown:
        out["lagged"][...] = 0
    lagged = _averaged(out["lagged"].reshape(len(lags), *shape), (1, *window))
    return Moments(lagged, _averaged(out["power"].reshape(shape), window), pairs)


def filtered_frames(frames: NDArray[np.complex64], slow_time: SlowTimeFilter) -> NDArray[np.complex64]:
    """Return the filtered ensembles, (m_frames, ...) complex64."""
    m = slow_time.n_frames(len(frames))
    filtered = np.empty((m, *frames.shape[1:]), "c8")
    _run(frames, slow_time, (), {"filtered": filtered.reshape(m, -1)})
    return filtered


def phase(values: NDArray[np.complex64], scale: float) -> NDArray[np.float32]:
    """Scale times the argument of complex numbers, in (-pi scale, pi scale]."""
    flat = np.ascontiguousarray(values, "c8").ravel()
    out = np.empty(flat.shape, "f4")
    backend("cpu").doppler_phase(flat, scale, out, place("cpu"), 0)
    return out.reshape(np.shape(values))


def averaging_window(average: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Points to average over along each axis of an image.

    Parameters
    ----------
    average : int or tuple of int
    shape : tuple of int

    Raises
    ------
    ArgumentError
        Another number of values than axes, none positive, more points than the image has.
    """
    sizes = (average,) * len(shape) if np.ndim(average) == 0 else tuple(average)
    if len(sizes) != len(shape):
        raise ArgumentError(f"average: expected 1 or {len(shape)} values, got {len(sizes)}")
    return tuple(count("average", size, 1, max(n, _LEAST_AVERAGE)) for size, n in zip(sizes, shape, strict=True))


def _run(frames: Any, slow_time: SlowTimeFilter, lags: tuple[int, ...], out: dict[str, NDArray[Any]]) -> None:
    """Fill the arrays of ``out``, in host memory."""
    analysis, synthesis = (_columns(matrix) for matrix in slow_time[:2])
    names = ("lagged", "power", "pair_power", "filtered")
    if not is_device_array(frames):
        flat = np.ascontiguousarray(frames).reshape(len(frames), -1)
        given = [out.get(name) for name in names]
        backend("cpu").doppler_moments(
            flat, analysis, synthesis, slow_time.residual, list(lags), *given, place("cpu"), 0
        )
        return
    device = f"cuda:{frames.__dlpack_device__()[1]}"
    matrices = [None if matrix is None else to_device(matrix, device) for matrix in (analysis, synthesis)]
    held = {name: to_device(values, device) for name, values in out.items()}
    given = [held.get(name) for name in names]
    backend(device).doppler_moments(frames, *matrices, slow_time.residual, list(lags), *given, place(device), 0)
    for name, values in held.items():
        out[name][...] = to_host(values)


def _columns(matrix: NDArray[Any] | None) -> NDArray[np.float32] | None:
    """A complex matrix as its real parts, then its imaginary parts."""
    if matrix is None or matrix.dtype.kind != "c":
        return None if matrix is None else np.ascontiguousarray(matrix, "f4")
    return np.ascontiguousarray(np.concatenate([matrix.real, matrix.imag], axis=1), "f4")


def _averaged(values: NDArray[Any], window: tuple[int, ...]) -> NDArray[Any]:
    if set(window) <= {1}:
        return values
    return np.asarray(scipy.ndimage.uniform_filter(values, window, mode="nearest"))
