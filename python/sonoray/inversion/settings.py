"""Settings of a travel-time reconstruction, and the published ones to compare with."""

from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._checks import count, option, scalar
from ..errors import ArgumentError
from .matching import MATCHERS
from .picking import METHODS

KERNELS = ("finite_frequency", "ray")
RAYS = ("bent", "straight")
SOLVERS = ("total_variation", "sart", "cgls", "lsqr")

Settings = TypeVar("Settings")


def changed(settings: Settings, options: dict[str, Any]) -> Settings:
    """Settings (a dataclass) with some of them replaced, checked again.

    Raises
    ------
    ArgumentError
        A name that is no setting, a value out of range.
    """
    try:
        return replace(settings, **options)  # type: ignore[type-var]
    except TypeError as error:
        raise ArgumentError(f"options: expected settings of {type(settings).__name__}; {error}") from None


@dataclass(frozen=True, kw_only=True)
class TravelTimeSettings:
    """How `reconstruct_travel_time` gets from travel times to a map.

    Parameters
    ----------
    kernel : {"finite_frequency", "ray"}
        What a travel time feels: the Fresnel zones of the pulse (`FiniteFrequencyOperator`; for times found by
        matching waveforms) or the ray alone (`TravelTimeOperator`).
    rays : {"bent", "straight"}
        Whether rays (and first-arrival times) follow the map found so far.
    solver : {"total_variation", "sart", "cgls", "lsqr"}
    outer_iterations : int
        Linearisations. The first one is around water.
    inner_iterations : int
        Of the solver in each linearisation; for "total_variation" the conjugate gradients per reweighting.
    reweightings : int
        For "total_variation".
    regularization : float [s]
        For "total_variation": weight of the integral of abs(grad slowness) over the plane against half the mean
        square of the residual times; in 3-D it is divided by the aperture.
    edge : float [s/m^2]
        Slowness gradients below this are smoothed as by a quadratic penalty.
    huber : float
        Residuals beyond this many robust standard deviations count linearly; 0: least squares.
    relaxation : float
        Of "sart".
    smoothing : float [m]
        Standard deviation of the Gaussian by which the map is blurred before rays and times are computed in it.
    lowest, highest : float [m/s]
        Limits of the sound speed.
    minimum_distance : float
        Shortest pairs used, as a fraction of the longest.
    picker : str
        A method of `pick_travel_times`.

    Raises
    ------
    ArgumentError
        An unknown option, a number out of range.
    """

    kernel: str = "finite_frequency"
    rays: str = "bent"
    solver: str = "total_variation"
    outer_iterations: int = 4
    inner_iterations: int = 10
    reweightings: int = 5
    regularization: float = 3e-11
    edge: float = 2.5e-4
    huber: float = 5.0
    relaxation: float = 1.0
    smoothing: float = 2e-3
    lowest: float = 1350.0
    highest: float = 1700.0
    minimum_distance: float = 0.39
    picker: str = "onset_match"

    def __post_init__(self) -> None:
        option("kernel", self.kernel, KERNELS)
        option("rays", self.rays, RAYS)
        option("solver", self.solver, SOLVERS)
        for name in ("outer_iterations", "inner_iterations", "reweightings"):
            count(name, getattr(self, name), 1, 10_000)
        scalar("regularization", self.regularization, 0.0, 1e-3, "s")
        scalar("edge", self.edge, 1e-9, 1.0, "s/m^2")
        scalar("huber", self.huber, 0.0, 1e6, "(standard deviations)")
        scalar("relaxation", self.relaxation, 1e-6, 1.999, "(ratio)")
        scalar("smoothing", self.smoothing, 0.0, 0.1, "m")
        low = scalar("lowest", self.lowest, 300.0, 12000.0, "m/s")
        if not low < scalar("highest", self.highest, 300.0, 12000.0, "m/s"):
            raise ArgumentError(f"highest: expected more than lowest ({low:g} m/s), got {self.highest:g}")
        scalar("minimum_distance", self.minimum_distance, 0.0, 1.0, "(ratio)")
        option("picker", self.picker, (*MATCHERS, *METHODS))

    def far_enough(self, distance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the pairs at these distances (n_tx, n_rx) [m] are at least `minimum_distance` apart."""
        return np.asarray(distance > self.minimum_distance * distance.max())

    @classmethod
    def published(cls, **changes: Any) -> "TravelTimeSettings":
        """Settings of the r-Wave toolbox's time-of-flight stage: AIC picks, bent rays, SART, no regularisation.

        References
        ----------
        .. [1] A. Javaherian, F. Lucka, B. T. Cox, Refraction-corrected ray-based inversion for three-dimensional
           ultrasound tomography of the breast, Inverse Problems 36, 125010 (2020).
        """
        values: dict[str, Any] = {
            "kernel": "ray",
            "solver": "sart",
            "outer_iterations": 3,
            "inner_iterations": 5,
            "smoothing": 2e-3,  # as a box of 7 mm
            "minimum_distance": 0.785,
            "picker": "aic",
            "lowest": 1000.0,
            "highest": 2500.0,
        }
        return cls(**{**values, **changes})

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)
