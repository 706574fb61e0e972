"""Fields between the points of their grid: values, gradients and second derivatives."""

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .._arrays import stream_handle, to_device
from .._backends import backend, host_module, place
from .._checks import array, option, scalar
from ..errors import ArgumentError
from .grids import Grid

KINDS = ("linear", "smoothing", "cubic")  # in the order of the compiled Kind


class Interpolator:
    """A field between the points of its grid.

    Outside the grid it extends constantly: the nearest point's value, no slope across the edge.

    Parameters
    ----------
    grid : Grid
        At least two points along each axis.
    values : grid.shape float64
    kind : {"cubic", "smoothing", "linear"}
        ``"cubic"``: the B-spline through the values, fourth order, two continuous derivatives [1]_; its third
        derivative is continuous across the second point from each end ("not a knot"). ``"smoothing"``: the B-spline
        whose coefficients are the values themselves, which smooths by (spacing^2 / 6) Laplacian. ``"linear"``: linear
        in each axis, with gradients from central differences on the grid that are interpolated alike; it has no
        second derivatives.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        Values that do not fit the grid, NaN, an unknown kind, an axis with a single point.
    DeviceError
        No such device.

    References
    ----------
    .. [1] M. Unser, Splines: a perfect fit for signal and image processing, IEEE Signal Process. Mag. 16 (6), 22
       (1999).

    Examples
    --------
    >>> grid = Grid((6, 5), 1e-3, (0.0, 0.0))
    >>> field = Interpolator(grid, grid.points()[..., 2] ** 2)
    >>> bool(abs(field([[2.2e-3, 0.0, 1.5e-3]])[0] - 1.5e-3**2) < 1e-15)
    True
    """

    def __init__(self, grid: Grid, values: Any, kind: str = "cubic", *, device: str = "cpu") -> None:
        if not isinstance(grid, Grid):
            raise ArgumentError(f"grid: expected a Grid, got {type(grid).__name__}")
        if min(grid.shape) < 2:
            raise ArgumentError(f"grid: expected at least two points along each axis, got {grid.shape}")
        self.grid = grid
        self.kind = option("kind", kind, KINDS)
        self.device = device
        self._module = backend(device)
        self.code = KINDS.index(self.kind)
        samples = array("values", values, grid.shape)
        size = getattr(host_module(), f"field_size_{grid.ndim}d")(list(grid.shape), self.code)
        data = _aligned(size)
        getattr(host_module(), f"make_field_{grid.ndim}d")(samples, self.code, data, place("cpu"))
        self.data = data if device == "cpu" else to_device(data, device)
        self._axes = [0, 2] if grid.ndim == 2 else [0, 1, 2]

    def __call__(self, points: Any) -> NDArray[np.float64]:
        """Values at ``points`` (n, 3) [m], y ignored in 2-D: (n,) float64. Points and result in host memory."""
        return self._evaluate(points, 0)[:, 0]

    def gradient(self, points: Any) -> NDArray[np.float64]:
        """First derivatives at ``points`` (n, 3) [m]: (n, 3) float64 [1/m]; the y component is 0 in 2-D."""
        found = self._evaluate(points, 1)
        result = np.zeros((len(found), 3))
        result[:, self._axes] = found[:, 1:]
        return result

    def hessian(self, points: Any) -> NDArray[np.float64]:
        """Second derivatives at ``points`` (n, 3) [m]: (n, 3, 3) float64 [1/m^2]; y rows and columns 0 in 2-D.

        Raises
        ------
        ArgumentError
            The kind is linear.
        """
        if self.kind == "linear":
            raise ArgumentError("kind: expected a spline for second derivatives, got 'linear'")
        ndim = self.grid.ndim
        found = self._evaluate(points, 2)[:, 1 + ndim :]
        result = np.zeros((len(found), 3, 3))
        pairs = [(i, j) for k, i in enumerate(self._axes) for j in self._axes[k:]]
        for k, (i, j) in enumerate(pairs):
            result[:, i, j] = result[:, j, i] = found[:, k]
        return result

    def field_arguments(self) -> tuple[Any, ...]:
        """Shape, spacing, origin and kind as compiled calls take them."""
        return (list(self.grid.shape), list(self.grid.spacing), list(self.grid.origin), self.code)

    def _evaluate(self, points: Any, order: int) -> NDArray[np.float64]:
        at = np.ascontiguousarray(array("points", points, (None, 3))[:, self._axes])
        ndim = self.grid.ndim
        columns = (1, 1 + ndim, 1 + ndim + ndim * (ndim + 1) // 2)[order]
        out = np.empty((len(at), columns))
        call = getattr(self._module, f"interpolate_{ndim}d")
        arguments = (*self.field_arguments(),)
        if self.device == "cpu":
            call(self.data, *arguments, at, order, out, place("cpu"), 0)
            return out
        target = to_device(out, self.device)
        where, stream = place(self.device), stream_handle(None)
        call(self.data, *arguments, to_device(at, self.device), order, target, where, stream)
        self._module.copy_to_host(out, target, where, stream)
        return out


def continued(grid: Grid, values: Any, points: Any) -> NDArray[np.float64]:
    """A field on a 2-D grid at points (n, 3) [m], (n,) float64: linear between nodes, beyond its edge as it ends."""
    inside = np.array(points, np.float64)
    for axis, column in zip(grid.axes, (0, 2), strict=True):
        inside[:, column] = np.clip(inside[:, column], axis[0], axis[-1])
    return Interpolator(grid, values, "linear")(inside)


def smooth(values: Any, width: Any, *, window: str = "box") -> NDArray[np.float64]:
    """Smooth a field on a grid, for rays that should not see its finest detail.

    Beyond the edges the field continues with its nearest value, so that constants stay as they are.

    Parameters
    ----------
    values : (...) float
    width : float or one per axis [grid points]
        Full width of the box, an odd number (1: as it is), or the Gaussian's standard deviation.
    window : {"box", "gaussian"}

    Returns
    -------
    values.shape float64

    Raises
    ------
    ArgumentError
        NaN, an even box, a width beyond 1000 points.
    """
    field = array("values", values, (None,) * np.ndim(values))
    widths = [scalar("width", w, 0.0, 1000.0, "grid points") for w in np.broadcast_to(width, (field.ndim,))]
    if option("window", window, ("box", "gaussian")) == "gaussian":
        return np.asarray(scipy.ndimage.gaussian_filter(field, widths, mode="nearest"))
    if any(w % 2 != 1 for w in widths):
        raise ArgumentError(f"width: expected odd numbers of grid points for a box, got {width}")
    return np.asarray(scipy.ndimage.uniform_filter(field, [int(w) for w in widths], mode="nearest"))


def _aligned(size: int) -> NDArray[np.float64]:
    """Uninitialised numbers whose first lies at the start of a cache line: a cell's then lie in as few as possible."""
    raw = np.empty(size + 8)
    start = (-raw.ctypes.data // 8) % 8
    return raw[start : start + size]
