"""Medium: sound speed, density and absorption on a grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import array, freeze, scalar
from ..errors import ArgumentError
from .grids import Grid


@dataclass(frozen=True, eq=False, repr=False)
class Medium:
    """Acoustic properties at the points of a grid.

    Parameters
    ----------
    grid : Grid
    sound_speed : grid.shape float32 or float64, or one number [m/s]
    density : the same, optional [kg/m^3]
    absorption : the same, optional [Np/m at 1 MHz]

    Raises
    ------
    ArgumentError
        Shapes differ from the grid, NaN, values outside 300 to 12000 m/s (km/s or mm/us?).
    """

    grid: Grid
    sound_speed: NDArray[Any]
    density: NDArray[Any] | None = None
    absorption: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.grid, Grid):
            raise ArgumentError(f"grid: expected a Grid, got {type(self.grid).__name__}")
        limits = {
            "sound_speed": (300.0, 12000.0, "m/s"),
            "density": (1.0, 25000.0, "kg/m^3"),
            "absorption": (0.0, 1e4, "Np/m"),
        }
        for name, (low, high, unit) in limits.items():
            value = getattr(self, name)
            if value is None and name != "sound_speed":
                continue
            values = np.asarray(value)
            if values.dtype.kind not in "iuf":
                raise ArgumentError(f"{name}: expected real numbers in {unit}, got {values.dtype}")
            if values.dtype != np.float32:
                values = values.astype(np.float64)
            if values.ndim == 0:
                values = np.full(self.grid.shape, values)
            checked = array(name, values, self.grid.shape, values.dtype, low=low, high=high, unit=unit)
            object.__setattr__(self, name, freeze(checked))

    def __repr__(self) -> str:
        c = self.sound_speed
        return f"Medium({self.grid!r}, sound_speed {c.min():.6g} to {c.max():.6g} m/s)"

    @property
    def slowness(self) -> NDArray[Any]:
        """1 / sound speed [s/m]."""
        return 1 / self.sound_speed


def water_sound_speed(temperature: float) -> float:
    """Sound speed in pure water at ``temperature`` [degree Celsius, 0 to 95], in m/s.

    References
    ----------
    .. [1] W. Marczak, Water as a standard in the measurements of speed of sound in liquids,
       J. Acoust. Soc. Am. 102, 2776 (1997), table I.
    """
    t = scalar("temperature", temperature, 0.0, 95.0, "degrees Celsius")
    coefficients = (1.402385e3, 5.038813, -5.799136e-2, 3.287156e-4, -1.398845e-6, 2.787860e-9)
    return float(np.polynomial.polynomial.polyval(t, coefficients))
