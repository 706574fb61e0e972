"""Beamformed lines as scanners store them: before scan conversion, steered or not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, finite, scalar
from ..errors import ArgumentError


@dataclass(frozen=True, eq=False, repr=False)
class ScanLines:
    """Lines of a linear probe, which all have the same angle.

    `scan_convert_lines` brings them onto a grid.

    Parameters
    ----------
    samples : (n_frames, n_shots, n_lines, n_samples) complex64, float32, int16 or uint8
        I/Q, RF or log-compressed envelope. Shots are the slow time of a Doppler ensemble; 1 for B-mode.
    x : (n_lines,) float64 [m]
        Where lines leave the probe, rising.
    angle : float [rad]
        Positive to the right.
    ranges : (n_samples,) float64 [m]
        Along the line, rising.
    center_frequency : float [Hz]
    frame_rate : float [Hz]
        0 if unknown.
    timestamps : (n_frames,) float64 [s], optional

    Raises
    ------
    ArgumentError
        Shapes that do not fit, NaN, positions that do not rise, values in the wrong unit.
    """

    samples: NDArray[Any]
    x: NDArray[np.float64]
    angle: float
    ranges: NDArray[np.float64]
    center_frequency: float
    frame_rate: float = 0.0
    timestamps: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        values = np.asarray(self.samples)
        if values.ndim != 4 or values.dtype.kind not in "iufc" or not values.size:
            raise ArgumentError(
                f"samples: expected numbers of shape (n_frames, n_shots, n_lines, n_samples), got {values.dtype} "
                f"{values.shape}"
            )
        finite("samples", values)
        set_(self, "samples", values)
        for name, size in (("x", values.shape[2]), ("ranges", values.shape[3])):
            positions = array(name, getattr(self, name), (size,), low=-1, high=1, unit="m")
            if (np.diff(positions) <= 0).any():
                raise ArgumentError(f"{name}: expected rising positions, got {positions[:4]}...")
            set_(self, name, positions)
        set_(self, "angle", scalar("angle", self.angle, -1.4, 1.4, "rad"))
        set_(self, "center_frequency", scalar("center_frequency", self.center_frequency, 2e4, 1e8, "Hz"))
        set_(self, "frame_rate", scalar("frame_rate", self.frame_rate, 0.0, 1e6, "Hz"))
        if self.timestamps is not None:
            set_(self, "timestamps", array("timestamps", self.timestamps, (len(values),)))

    def __repr__(self) -> str:
        n_frames, n_shots, n_lines, n_samples = self.samples.shape
        return (
            f"ScanLines({n_frames} frames x {n_shots} shots x {n_lines} lines x {n_samples} samples, "
            f"{self.samples.dtype}, {np.rad2deg(self.angle):g} deg, {self.center_frequency * 1e-6:g} MHz)"
        )
