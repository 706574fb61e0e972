"""The rays between all emitters and receivers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array, is_device_array, to_device, to_host
from .._backends import backend, place
from .._checks import array, count, option, scalar
from ..errors import ArgumentError, DeviceError
from ..media.medium import Medium
from .linked import LaterArrivals, LinkedRays, PairStatus
from .paths import Paths

_SOLVERS = {2: ("newton", "regula_falsi", "secant"), 3: ("newton", "broyden")}
_NUMBER = {"newton": 0, "regula_falsi": 1, "secant": 2, "broyden": 3}
_UNKNOWN = 255  # a wanted pair without a start


class RayLinker:
    """Rays from every emitter to every receiver.

    A fan of rays leaves each emitter and is followed as far as the receivers lie. Receivers that lie between two
    neighbouring rays (in 3-D: three) get a start from them, folds of the fan included, and from there Newton steps
    with the paraxial derivative; each trial ray ends on a plane through its receiver, so elements may lie anywhere
    in the grid. With the rays of a previous, similar medium as start no fan is needed but for pairs that fail.

    Parameters
    ----------
    medium : Medium
        On a 2-D (x, z) or 3-D (x, y, z) grid. Smooth: what changes within one or two cells bends rays by chance.
    step : float, optional [m]
        Along the ray. Default: the finest spacing of the grid.
    interpolation : {"cubic", "smoothing", "linear"}, optional
        Of the refractive index; Newton needs second derivatives, which "linear" does not have.
    solver : {"newton", "regula_falsi", "secant", "broyden"}, optional
        The others are published solvers without derivatives, for comparison: false position between the outermost
        rays and bounded secant steps from the straight line in 2-D, Broyden's method in 3-D.
    tolerance : float, optional [m]
        Largest distance between ray and receiver.
    max_traces : int, optional
        Per pair and starting point. Default: 30 for Newton, 1000 for the others.
    arrivals : {"first", "all"}, optional
        Whether to report the later arrivals, too. The fan decides what can be found: folds narrower than the
        angle between two of its rays may be missed.
    reference_sound_speed : float, optional [m/s]
        Of refractive index 1. It does not change the rays. Default: the median of the medium.
    device : {"cpu", "cuda", "cuda:N"}, optional

    Raises
    ------
    ArgumentError
        The medium is not a `Medium`, a solver that does not fit the dimension, a step that is no part of a cell.
    DeviceError
        No such device.

    Notes
    -----
    Times are integrals of the slowness along the ray, in double precision, corrected to first order for the rest of
    the miss. Results do not depend on the number of threads.

    References
    ----------
    .. [1] V. Cerveny, Seismic Ray Theory, Cambridge University Press (2001), sections 3.11 (two-point ray tracing)
       and 4.9 (paraxial shooting).
    .. [2] V. Vinje, E. Iversen, H. Gjoystdal, Traveltime and amplitude estimation using wavefront construction,
       Geophysics 58, 1157 (1993): rays between which a receiver lies, folds included.

    Examples
    --------
    >>> from sonoray import Grid, Medium
    >>> grid = Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=1e-3)
    >>> rays = RayLinker(Medium(grid, 1500.0))([[-0.04, 0.0, 0.0]], [[0.02, 0.0, 0.045], [0.04, 0.0, 0.0]])
    >>> bool(abs(rays.time[0, 1] - 0.08 / 1500.0) < 1e-15), rays.counts()["linked"]
    (True, 2)
    """

    def __init__(
        self,
        medium: Medium,
        *,
        step: float | None = None,
        interpolation: str = "cubic",
        solver: str = "newton",
        tolerance: float = 1e-6,
        max_traces: int | None = None,
        arrivals: str = "first",
        reference_sound_speed: float | None = None,
        device: str = "cpu",
    ) -> None:
        if not isinstance(medium, Medium):
            raise ArgumentError(f"medium: expected a Medium, got {type(medium).__name__}")
        self.medium = medium
        self.device = device
        self._module = backend(device)
        finest = min(medium.grid.spacing)
        self.step = finest if step is None else scalar("step", step, 1e-7, 0.1, "m")
        if not 0.02 * finest <= self.step <= 8 * finest:
            raise ArgumentError(f"step: expected 0.02 to 8 times the finest spacing ({finest:g} m), got {self.step:g}")
        self.solver = option("solver", solver, _SOLVERS[medium.grid.ndim])
        self.tolerance = scalar("tolerance", tolerance, 1e-10, 1e-3, "m")
        default = 30 if solver == "newton" else 1000
        self.max_traces = default if max_traces is None else count("max_traces", max_traces, 1, 100_000)
        self.arrivals = option("arrivals", arrivals, ("first", "all"))
        if reference_sound_speed is None:
            self.reference_sound_speed = float(np.median(medium.sound_speed))
        else:
            self.reference_sound_speed = scalar("reference_sound_speed", reference_sound_speed, 300.0, 12000.0, "m/s")
