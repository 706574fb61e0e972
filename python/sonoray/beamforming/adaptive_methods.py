"""Methods of the `AdaptiveBeamformer`: what is made of a point's delayed signals instead of their sum.

x_e is the delayed signal of element e, m the number of elements that the f-number lets see the point, b the windowed
sum (delay-and-sum). Signals that are all equal give b, whatever the method, but for the short-lag coherence.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .._checks import count, option, scalar
from ..errors import ArgumentError


@dataclass(frozen=True)
class Method:
    """A method and its settings."""

    name: ClassVar[str]
    code: ClassVar[int]  # AdaptiveKind in cpp/beamforming/adaptive.h
    needs_iq: ClassVar[bool] = False
    finds_weights: ClassVar[bool] = False  # its own instead of a window's
    ordered: ClassVar[bool] = False  # compares neighbours: element e + 1 must lie beside element e
    is_coherence: ClassVar[bool] = False  # a real number up to 1 instead of a signal
    keeps_phase: ClassVar[bool] = True  # that of the echo, which Doppler needs

    def numbers(self) -> dict[str, float]:
        """What the compiled core is told of the settings."""
        return {}


@dataclass(frozen=True)
class CoherenceFactor(Method):
    """b times the coherence factor of the elements, |sum x|^2 / (m sum |x|^2), see `sonoray.coherence_factor`.

    References
    ----------
    .. [1] R. Mallart and M. Fink, Adaptive focusing in scattering media through sound-speed inhomogeneities: the van
       Cittert Zernike approach and focusing criterion, J. Acoust. Soc. Am. 96, 3721 (1994).
    """

    name = "coherence-factor"
    code = 0


@dataclass(frozen=True)
class GeneralizedCoherenceFactor(Method):
    """b times the share of low spatial frequencies in the power of the elements' signals.

    Parameters
    ----------
    cutoff : int
        Frequencies from -cutoff to cutoff count, in cycles over the active aperture; 0 is the coherence factor, more
        keeps more speckle.

    References
    ----------
    .. [1] P.-C. Li and M.-L. Li, Adaptive imaging using the generalized coherence factor, IEEE Trans. UFFC 50, 128
       (2003), eq. 5.
    """

    name = "generalized-coherence-factor"
    code = 1
    ordered = True
    cutoff: int = 2

    def __post_init__(self) -> None:
        count("cutoff", self.cutoff, 0, 4096)

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {"cutoff": self.cutoff}


@dataclass(frozen=True)
class PhaseCoherence(Method):
    """b times max(0, 1 - gamma std(phase) / (pi / sqrt 3)), the phases of x wrapped where they spread least.

    Parameters
    ----------
    gamma : float
        How strongly a spread of phases counts; at 1 noise without any coherence vanishes on average.

    Notes
    -----
    Only for I/Q, whose samples have a phase.

    References
    ----------
    .. [1] J. Camacho, M. Parrilla, C. Fritsch, Phase coherence imaging, IEEE Trans. UFFC 56, 958 (2009),
       eqs. 10 to 13.
    """

    name = "phase-coherence"
    code = 2
    needs_iq = True
    gamma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", scalar("gamma", self.gamma, 1e-3, 64.0, "(ratio)"))

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {"exponent": self.gamma}


@dataclass(frozen=True)
class SignCoherence(Method):
    """b times (1 - sqrt(1 - mean(sign x)^2))^power.

    Real and imaginary parts of I/Q are weighed each for itself, as RF and its quadrature.

    Parameters
    ----------
    power : float

    References
    ----------
    .. [1] J. Camacho, M. Parrilla, C. Fritsch, Phase coherence imaging, IEEE Trans. UFFC 56, 958 (2009),
       eqs. 17 and 18.
    """

    name = "sign-coherence"
    code = 3
    keeps_phase = False
    power: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", scalar("power", self.power, 1e-3, 64.0, "(ratio)"))

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {"exponent": self.power}


@dataclass(frozen=True)
class DelayMultiplyAndSum(Method):
    """Sum over pairs of elements of s_i s_j, s being x / sqrt |x|; scaled like b.

    Of I/Q this is baseband DMAS: its products lie at twice the frequency only, need no band-pass, and have twice the
    phase of a signal. Its magnitude is not that of F-DMAS, which band-passes products of RF around twice the center
    frequency: the signed root of RF has harmonics, whose products fall there, too. For two equal signals whose phases
    differ by delta, F-DMAS goes as 1 - (2/7) cos(2 delta) (up to the third harmonic); baseband DMAS is constant.

    The image of RF is the product as it is: for F-DMAS, band-pass it around twice the center frequency along depth.

    References
    ----------
    .. [1] G. Matrone et al., The delay multiply and sum beamforming algorithm in ultrasound B-mode medical imaging,
       IEEE Trans. Med. Imaging 34, 940 (2015), eqs. 4 and 5.
    .. [2] C.-C. Shen and P.-Y. Hsieh, Ultrasound baseband delay-multiply-and-sum (BB-DMAS) nonlinear beamforming,
       Ultrasonics 96, 165 (2019).
    """

    name = "dmas"
    code = 4
    keeps_phase = False


@dataclass(frozen=True)
class PowerDas(Method):
    """p-DAS: magnitudes are reduced to their p-th root before the mean, and the mean is raised to the power p.

    Phase, or sign, stays. RF gets harmonics from that: band-pass the image around the center frequency along depth.
    I/Q gets none.

    Parameters
    ----------
    p : float
        1 is delay-and-sum.

    References
    ----------
    .. [1] M. Polichetti et al., A nonlinear beamformer based on p-th root compression: application to plane wave
       ultrasound imaging, Appl. Sci. 8, 599 (2018), eqs. 3 to 5.
    """

    name = "pdas"
    code = 5
    p: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", scalar("p", self.p, 1.0, 16.0, "(power)"))

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {"exponent": self.p}


@dataclass(frozen=True)
class Capon(Method):
    """Minimum variance: m w^H mean(x over subarrays), w letting pass the focus and as little else as possible.

    w = R^-1 1 / (1^H R^-1 1), R being the covariance of all subarrays of L neighbouring active elements.

    Parameters
    ----------
    subarray : float
        L over m, 0 to 1 (spatial smoothing). Above 1/2 echoes may cancel each other.
    diagonal_loading : float
        Added to the diagonal of R, over its mean.
    temporal_samples : int
        Samples before and after the point's that also enter R (temporal smoothing), which keeps speckle.

    References
    ----------
    .. [1] J.-F. Synnevåg, A. Austeng, S. Holm, Adaptive beamforming applied to medical ultrasound imaging, IEEE Trans.
       UFFC 54, 1606 (2007), eqs. 4, 6 and 9; temporal smoothing: Benefits of minimum-variance beamforming in medical
       ultrasound imaging, IEEE Trans. UFFC 56, 1868 (2009).
    """

    name = "capon"
    code = 6
    finds_weights = True
    ordered = True
    subarray: float = 0.5
    diagonal_loading: float = 0.01
    temporal_samples: int = 0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "subarray", scalar("subarray", self.subarray, 1e-3, 1.0, "(fraction of the aperture)"))
        set_(self, "diagonal_loading", scalar("diagonal_loading", self.diagonal_loading, 0.0, 1e4, "(ratio)"))
        count("temporal_samples", self.temporal_samples, 0, 32)

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {
            "fraction": self.subarray, "loading": self.diagonal_loading, "temporal_samples": self.temporal_samples
        }  # fmt: skip


@dataclass(frozen=True)
class Eigenspace(Capon):
    """Capon's weights, projected onto the strong eigenvectors of the covariance R.

    Parameters
    ----------
    subarray, diagonal_loading, temporal_samples :
        See `Capon`.
    threshold : float
        Least eigenvalue of the covariance before ``diagonal_loading`` is added that is kept, over the largest of them.
        Capon's weights themselves are those of the loaded one.

    References
    ----------
    .. [1] B. M. Asl and A. Mahloojifar, Eigenspace-based minimum variance beamforming applied to medical ultrasound
       imaging, IEEE Trans. UFFC 57, 2381 (2010), eqs. 13 to 15.
    """

    name = "eigenspace"
    code = 7
    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "threshold", scalar("threshold", self.threshold, 0.0, 1.0, "(ratio)"))

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {**super().numbers(), "threshold": self.threshold}


@dataclass(frozen=True)
class ShortLagCoherence(Method):
    """Mean normalised correlation of elements that are 1 to ``max_lag`` m apart: an image of coherence, not echoes.

    Parameters
    ----------
    max_lag : float
        Largest distance of elements over m, 0 to 1; rounded, at least one element.
    temporal_samples : int
        Samples before and after the point's that also enter each correlation. One spans c / (2 fs) in depth; a
        period of the pulse takes fs / f of them (fs, f: sampling and center frequency).

    Notes
    -----
    The sum over lags of the reference is divided by their number, so that 1 is full coherence. Real; negative where
    signals oppose each other.

    References
    ----------
    .. [1] M. A. Lediju et al., Short-lag spatial coherence of backscattered echoes: imaging characteristics, IEEE
       Trans. UFFC 58, 1377 (2011), eqs. 2 and 3.
    """

    name = "short-lag-coherence"
    code = 8
    finds_weights = True
    ordered = True
    is_coherence = True
    keeps_phase = False
    max_lag: float = 0.1
    temporal_samples: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_lag", scalar("max_lag", self.max_lag, 1e-4, 1.0, "(fraction of the aperture)"))
        count("temporal_samples", self.temporal_samples, 0, 32)

    def numbers(self) -> dict[str, float]:
        """See `Method.numbers`."""
        return {"fraction": self.max_lag, "temporal_samples": self.temporal_samples}


METHODS: dict[str, type[Method]] = {
    m.name: m
    for m in (
        CoherenceFactor,
        GeneralizedCoherenceFactor,
        PhaseCoherence,
        SignCoherence,
        DelayMultiplyAndSum,
        PowerDas,
        Capon,
        Eigenspace,
        ShortLagCoherence,
    )
}


def adaptive_method(method: str | Method, **settings: Any) -> Method:
    """Return a method by name, with settings or its defaults.

    Parameters
    ----------
    method : str or Method
        "coherence-factor", "generalized-coherence-factor", "phase-coherence", "sign-coherence", "dmas", "pdas",
        "capon", "eigenspace" or "short-lag-coherence"; a method is returned as it is.
    **settings :
        Those of the method's class.

    Returns
    -------
    Method

    Raises
    ------
    ArgumentError
        An unknown name, a setting that the method does not have, one out of range.
    """
    if isinstance(method, Method):
        if settings:
            raise ArgumentError(f"{next(iter(settings))}: expected settings with a method's name, got {method!r}")
        return method
    found = METHODS[option("method", method, tuple(METHODS))]
    known = [f.name for f in fields(found)]
    for name in settings:
        if name not in known:
            raise ArgumentError(f"{name}: expected one of {', '.join(known) or 'no settings'} with {method!r}")
    return found(**settings)
