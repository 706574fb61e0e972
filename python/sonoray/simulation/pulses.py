"""Pulses that drive the elements of a simulation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import scalar
from ..errors import ArgumentError


@dataclass(frozen=True)
class GaussianPulse:
    """Cosine under a Gaussian envelope, symmetric about t = 0, so that the envelope peaks at t = 0.

    s(t) = cos(2 pi f t) exp(-t^2 / (2 w^2)), with w from the bandwidth.

    Parameters
    ----------
    center_frequency : float [Hz]
    fractional_bandwidth : float
        Full width of the amplitude spectrum at half its maximum (-6 dB), divided by the centre frequency.

    Raises
    ------
    ArgumentError
        Frequency that looks like megahertz, bandwidth that looks like percent.
    """

    center_frequency: float
    fractional_bandwidth: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "center_frequency", scalar("center_frequency", self.center_frequency, 2e4, 1e8, "Hz"))
        if not 0.05 <= self.fractional_bandwidth <= 1.0:
            raise ArgumentError(
                f"fractional_bandwidth: expected 0.05 to 1 (0.6 is 60 %), got {self.fractional_bandwidth!r}"
            )

    @property
    def frequency_deviation(self) -> float:
        """Standard deviation of the Gaussian amplitude spectrum [Hz]."""
        return float(0.5 * self.fractional_bandwidth * self.center_frequency / np.sqrt(2 * np.log(2)))

    @property
    def max_frequency(self) -> float:
        """Frequency above which the spectrum is below 1 % (-40 dB) of its maximum [Hz]."""
        return float(self.center_frequency + self.frequency_deviation * np.sqrt(2 * np.log(100)))

    @property
    def half_duration(self) -> float:
        """Time from the peak to where the envelope is below 1e-5 [s]."""
        return float(np.sqrt(2 * np.log(1e5)) / (2 * np.pi * self.frequency_deviation))

    def waveform(self, t: Any) -> NDArray[np.float64]:
        """s(t) for times ``t`` [s]; dimensionless, peak 1."""
        t = np.asarray(t, float)
        envelope = np.exp(-0.5 * (2 * np.pi * self.frequency_deviation * t) ** 2)
        return np.asarray(np.cos(2 * np.pi * self.center_frequency * t) * envelope)

    def spectrum(self, f: Any) -> NDArray[np.float64]:
        """Fourier transform of s, integral of s(t) exp(-2 pi i f t) dt, at ``f`` [Hz]; real, in 1/Hz."""
        f = np.asarray(f, float)
        deviation = self.frequency_deviation
        both = sum(np.exp(-0.5 * ((f - sign * self.center_frequency) / deviation) ** 2) for sign in (1, -1))
        return np.asarray(both / (2 * np.sqrt(2 * np.pi) * deviation))
