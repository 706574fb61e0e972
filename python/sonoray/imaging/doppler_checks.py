"""What frame rates and Nyquist velocities may be, for all that Doppler takes."""

from typing import Any

from .._checks import scalar


def frame_rate(value: Any) -> float:
    """Rate at which frames follow each other [Hz]."""
    return scalar("frame_rate", value, 1e-3, 1e6, "Hz")


def nyquist(value: Any, name: str = "nyquist") -> float:
    """Largest unambiguous velocity [m/s]."""
    return scalar(name, value, 1e-6, 1e4, "m/s")
