"""Settings of a ray-Born reconstruction, and the published ones to compare with."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, count, option, scalar
from ..errors import ArgumentError
from .born import WEIGHTINGS
from .gains import KINDS, ROBUST

METHODS = ("hessian_free", "gauss_newton", "gradient", "single_step")


@dataclass(frozen=True, kw_only=True)
class RayBornSettings:
    """How `reconstruct_ray_born` gets from spectra to a map.

    Sets of consecutive frequencies are worked off from low to high. For each set the map is split into a blurred part,
    through which rays are traced, and the rest, which scatters single waves between these rays; what both predict is
    compared with the data after a fit of the elements' gains, and ``method`` makes a better map of what is left over.

    Parameters
    ----------
    frequencies : (low, high, n) or None [Hz]
        Those used, evenly spaced. Default: 60 over the band that holds energy, as far as the spacing resolves it.
    frequencies_per_set : int
        Consecutive ones that share a linearisation.
    method : {"hessian_free", "gauss_newton", "gradient", "single_step"}
        "hessian_free": the symbol of the Hessian for complete coverage stands for it (`HessianSymbol`).
        "gauss_newton": conjugate gradients with the exact `BornOperator`, the symbol as preconditioner.
        "gradient": steepest descent with exact step length, for reference.
        "single_step": weighted back-projection of [1]_, one step of fixed length, no regularisation.
    weighting : {"rwave", "uniform", "beylkin"}
        Of "single_step", see `BornOperator.backproject`; "beylkin" leaves next to nothing of transmitted waves.
    step : float
        Of "single_step".
    inner_iterations : int
        Of conjugate gradients in each set.
    regularization : float [1/m]
        Weight of the integral of abs(grad (c_water / c)^2) over the plane against half the mean square of the
        residuals, each relative to the wave in water.
    noise : float
        How much more total variation the data's noise, where it is known, asks for; see `Averaged`.
    edge : float [1/m]
        Gradients of (c_water / c)^2 below this are smoothed as by a quadratic penalty.
    memory : float
        What earlier sets are worth after each set: 1 averages all of them, 0 looks at the last one only.
    smoothing : float
        Standard deviation of the Gaussian that makes the medium of the rays from the map, as a fraction of the
        Fresnel zone's half width sqrt(wavelength radius): what is finer is scattering.
    split : bool
        Whether the prediction holds the scattering from what the rays' medium lacks. Without it (as published) travel
        times are those through the map itself along rays of the blurred one.
    gain : {"rank_one", "receiver", "emitter", "common", "none"}
        Complex gains fitted in every set and frequency, see `fit_gains`.
    robust : {"huber", "tukey", "none"}
        Weights of that fit, which the inversion uses, too.
    outliers : float
        Fraction of the largest data that are left out at every frequency.
    minimum_distance : float
        Shortest pairs used, as a fraction of the radius.
    largest_angle : float [rad]
        Largest angle of deflection up to which images are made.
    post_filter : float
        Of "single_step": cut-off of the update's wave numbers, as a fraction of 2 omega / c.
    absorption : {"none", "known", "estimated"}
        "known": that of the argument `absorption`; "estimated": that and what the data say of it.
    exponent : float
        Power of the absorption's law.
    lowest, highest : float [m/s]
        Limits of the sound speed.
    tolerance : float
        Reconstruction ends when three sets in a row change the map by less than this, relative to its contrast.

    Raises
    ------
    ArgumentError
        An unknown option, a number out of range.

    References
    ----------
    .. [1] A. Javaherian, Hessian-inversion-free ray-Born inversion for high-resolution quantitative ultrasound
       tomography, arXiv 2211.00316 (2022).
    """

    frequencies: tuple[float, float, int] | None = None
    frequencies_per_set: int = 2
    method: str = "hessian_free"
    weighting: str = "rwave"
    step: float = 0.12
    inner_iterations: int = 12
    regularization: float = 1.2e-2
    noise: float = 0.4
    edge: float = 2e-3
    memory: float = 1.0
    smoothing: float = 0.28
    split: bool = True
    gain: str = "rank_one"
    robust: str = "huber"
    outliers: float = 0.0
    minimum_distance: float = 0.785
    largest_angle: float = 2.34
    post_filter: float = 1.0
    absorption: str = "none"
    exponent: float = 1.1
    lowest: float = 1350.0
    highest: float = 1700.0
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.frequencies is not None:
            object.__setattr__(self, "frequencies", _band(self.frequencies))
        option("method", self.method, METHODS)
        option("weighting", self.weighting, WEIGHTINGS)
        option("gain", self.gain, KINDS)
        option("robust", self.robust, ROBUST)
        option("absorption", self.absorption, ("none", "known", "estimated"))
        for name in ("frequencies_per_set", "inner_iterations"):
            count(name, getattr(self, name), 1, 10_000)
        for name, low, high, unit in (
            ("step", 1e-6, 10.0, "(ratio)"),
            ("regularization", 0.0, 1e3, "1/m"),
            ("noise", 0.0, 100.0, "(ratio)"),
            ("edge", 1e-9, 1e6, "1/m"),
            ("memory", 0.0, 1.0, "(ratio)"),
            ("smoothing", 0.0, 10.0, "(ratio)"),
            ("outliers", 0.0, 0.5, "(ratio)"),
            ("minimum_distance", 0.0, 2.0, "(radii)"),
            ("largest_angle", 0.1, np.pi, "rad"),
            ("post_filter", 1e-3, 10.0, "(ratio)"),
            ("exponent", 0.0, 2.99, "(power)"),
            ("lowest", 300.0, 12000.0, "m/s"),
            ("highest", 300.0, 12000.0, "m/s"),
            ("tolerance", 0.0, 1.0, "(ratio)"),
        ):
            scalar(name, getattr(self, name), low, high, unit)
        if not self.lowest < self.highest:
            raise ArgumentError(f"highest: expected more than lowest ({self.lowest:g} m/s), got {self.highest:g}")
        if self.absorption == "estimated" and self.method in ("gradient", "single_step"):
            raise ArgumentError(
                f"absorption: expected 'none' or 'known' with method {self.method!r}, got 'estimated'; "
                "'hessian_free' and 'gauss_newton' estimate it"
            )

        if self.absorption != "none" and not self.split:
            raise ArgumentError(
                f"absorption: expected 'none' with split=False (the published mode), which does not know it, got "
                f"{self.absorption!r}"
            )

    @classmethod
    def published(cls, **changes: Any) -> "RayBornSettings":
        """Settings of the r-Wave toolbox for measurements on phantoms: 70 steps over 0.35 to 0.95 MHz, mu = 0.12."""
        values: dict[str, Any] = {
            "frequencies": (0.35e6, 0.95e6, 140),
            "method": "single_step",
            "weighting": "rwave",
            "step": 0.12,
            "split": False,
            "gain": "receiver",
            "robust": "none",
            "outliers": 0.01,
            "minimum_distance": np.pi / 4,
            "post_filter": 0.75,
            "lowest": 1000.0,
            "highest": 2500.0,
        }
        return cls(**{**values, **changes})

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


def _band(frequencies: Any) -> tuple[float, float, int]:
    try:
        low, high, n = frequencies
        number = int(n)
    except (TypeError, ValueError):
        raise ArgumentError(f"frequencies: expected (low, high, number) in Hz, got {frequencies!r}") from None
    ends: NDArray[np.float64] = array("frequencies", [low, high], (2,), low=1e3, high=1e9, unit="Hz")
    if not ends[0] < ends[1] or number != n or not 2 <= number <= 10_000:
        raise ArgumentError(f"frequencies: expected (low, high, number) with low < high, got {frequencies!r}")
    return float(ends[0]), float(ends[1]), number
