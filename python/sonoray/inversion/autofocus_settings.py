"""Settings of autofocus: how a map of sound speed is found from how well multistatic data focus."""

from dataclasses import dataclass

from .._checks import count, option, scalar
from ..errors import ArgumentError
from .focus_criteria import CRITERIA

METHODS = ("gauss_newton", "lbfgs", "adam")


@dataclass(frozen=True, kw_only=True)
class AutofocusSettings:
    """How `reconstruct_autofocus` gets from channel data to a map.

    Parameters
    ----------
    method : {"gauss_newton", "lbfgs", "adam"}
        "gauss_newton" measures the phases between pairs of sub-apertures that share their midpoint and solves for the
        map that explains them; the other two descend the gradient of any criterion through beamformer and travel
        times ("adam" in the AMSGrad variant).
    criterion : {"phase_error", "coherence_factor", "lag_one_coherence", "speckle_brightness"}
        For the descent methods; "gauss_newton" has the phases.
    path : {"eikonal", "straight"}
        Of travel times.
    spacing : float [m]
        Of the map's nodes.
    sub_aperture : float [wavelengths]
        Width of a sub-aperture, in wavelengths at 1540 m/s.
    f_number : float
        Elements further off than depth / (2 f_number) do not count.
    patches : (int, int)
        Across and in depth.
    kernel : (int, float)
        Points of a patch along each axis, and their distance in wavelengths.
    threshold, phase_noise, robust, brightness : float
        Which pairs count how much, see `PhaseWeights`.
    regularization : float [rad^2 s]
        Weight of the map's mean gradient magnitude (total variation) against half the weighted mean square of the
        phases.
    edge : float [1/s]
        Gradients of sound speed below this are smoothed as by a quadratic penalty.
    lateral : float
        Gradients along x count this many times those in depth: tissue is layered, and depth is seen more sharply.
    pull, pull_constant : float [rad^2 s^2 / m^2]
        Weight of half the mean squared difference from an initial map or, without one, from the map's own mean. What
        the data see weakly, depth above all, stays near either.
    smoothness : float [s^2]
        Weight of the mean squared gradient against the criterion, for the descent methods.
    iterations : int
    step : float [m/s]
        Learning rate of "adam", first step of "lbfgs".
    limits : (float, float) [m/s]

    Raises
    ------
    ArgumentError
        A setting out of range.
    """

    method: str = "gauss_newton"
    criterion: str = "phase_error"
    path: str = "eikonal"
    spacing: float = 1.5e-3
    sub_aperture: float = 10.0
    f_number: float = 0.5
    patches: tuple[int, int] = (19, 22)
    kernel: tuple[int, float] = (5, 0.5)
    threshold: float = 0.85
    phase_noise: float = 0.3
    robust: float = 6.0
    brightness: float = 2.0
    regularization: float = 5e-10
    edge: float = 5e3
    lateral: float = 4.0
    pull: float = 2e-8
    pull_constant: float = 5e-10
    smoothness: float = 1e-8
    iterations: int = 3
    step: float = 5.0
    limits: tuple[float, float] = (1350.0, 1700.0)

    def __post_init__(self) -> None:
        option("method", self.method, METHODS)
        option("criterion", self.criterion, CRITERIA)
        option("path", self.path, ("eikonal", "straight"))
        scalar("spacing", self.spacing, 1e-4, 2e-2, "m")
        scalar("sub_aperture", self.sub_aperture, 0.1, 1e3, "wavelengths")
        scalar("f_number", self.f_number, 0.0, 10.0, "(ratio)")
        scalar("threshold", self.threshold, 0.0, 1.0, "(correlation)")
        scalar("phase_noise", self.phase_noise, 1e-4, 10.0, "rad")
        scalar("robust", self.robust, 0.0, 1e3, "(medians)")
        scalar("brightness", self.brightness, 0.0, 1e3, "(ratio)")
        scalar("regularization", self.regularization, 0.0, 1.0, "rad^2 s")
        scalar("edge", self.edge, 1.0, 1e7, "1/s")
        scalar("lateral", self.lateral, 0.0, 100.0, "(ratio)")
        for name in ("pull", "pull_constant"):
            scalar(name, getattr(self, name), 0.0, 1.0, "rad^2 s^2 / m^2")
        scalar("smoothness", self.smoothness, 0.0, 1.0, "s^2")
        scalar("step", self.step, 1e-3, 100.0, "m/s")
        count("iterations", self.iterations, 1, 10_000)
        for name in ("patches", "kernel", "limits"):
            values = getattr(self, name)
            if not isinstance(values, tuple | list) or len(values) != 2:
                raise ArgumentError(f"{name}: expected two values, got {values!r}")
        for name, values, most in (("patches", self.patches, 500), ("kernel", self.kernel[:1], 51)):
            for n in values:
                count(name, n, 1, most)
        scalar("kernel", self.kernel[1], 0.05, 5.0, "wavelengths")
        low, high = (scalar("limits", v, 300.0, 12000.0, "m/s") for v in self.limits)
        if low >= high:
            raise ArgumentError(f"limits: expected (low, high), got {self.limits}")

    @classmethod
    def published(cls) -> "AutofocusSettings":
        """Those of W. Simson et al., MICCAI 2023: AMSGrad on the phase error along straight paths, 301 iterations."""
        spacing = 40e-3 / 30
        return cls(
            method="adam",
            path="straight",
            spacing=spacing,
            patches=(17, 17),
            threshold=0.9,
            iterations=301,
            step=10.0,
            smoothness=100 * spacing**4,  # there 100 spacing^2 times the mean squared difference between nodes
        )
