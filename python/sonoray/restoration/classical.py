"""Classical filters behind the same door as the network: any image in, the same kind out."""

from typing import Any

import numpy as np
import scipy  # loads ndimage when it is first used
from numpy.typing import NDArray

from .._checks import count, option, scalar
from ..errors import ArgumentError
from ..imaging.low_rank import low_rank_despeckle
from ..imaging.speckle_filters import obnlm, srad
from .images import Planes

METHODS = ("median", "srad", "obnlm", "nllr")


class ClassicalDespeckler:
    """Plan that takes the speckle out of displayed images without a network.

    Filters have the settings of their own functions, not tuned for any image: no yardstick for a network. The bench of
    despeckling tunes them first.

    Parameters
    ----------
    method : {"median", "srad", "obnlm", "nllr"}
        Median filter; `srad` on the intensity that the grey levels stand for; `obnlm`; `low_rank_despeckle`. The last
        three take seconds to minutes per image.
    strength : float
        Part of the change that is applied: 1 all, 0 none.
    dynamic_range : float [dB]
        Of the display, between black and white; only "srad" uses it.
    size : int [pixel]
        Edge of the median's window, odd.

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> clean = ClassicalDespeckler("median")(np.eye(16))
    >>> float(clean.max())
    0.0
    """

    def __init__(self, method: str, *, strength: float = 1.0, dynamic_range: float = 50.0, size: int = 5) -> None:
        self.method = option("method", method, METHODS)
        self.strength = scalar("strength", strength, 0.0, 1.0, "(part)")
        self.dynamic_range = scalar("dynamic_range", dynamic_range, 5.0, 120.0, "dB")
        self.size = count("size", size, 1, 99)
        if self.size % 2 == 0:
            raise ArgumentError(f"size: expected an odd number of pixels, got {self.size}")

    def __repr__(self) -> str:
        return f"ClassicalDespeckler({self.method!r})"

    def __call__(self, image: Any) -> NDArray[Any]:
        """Despeckle an image.

        Parameters
        ----------
        image : array
            See `Planes`.

        Returns
        -------
        array
            Of the image's shape and type. Constant images come back unchanged.

        Raises
        ------
        ArgumentError
            What is no such image; NaN.
        """
        planes = Planes(image)
        found = planes.values.copy()
        for k in np.flatnonzero(~planes.constant):
            found[k] = self._filtered(planes.values[k])
        return planes.back(found, self.strength)

    def _filtered(self, plane: NDArray[np.float32]) -> Any:
        if self.method == "median":
            return scipy.ndimage.median_filter(plane, self.size)
        if self.method == "obnlm":
            return obnlm(plane)
        if self.method == "nllr":
            return low_rank_despeckle(plane)
        decades = self.dynamic_range / 10  # of intensity, in which fully developed speckle has a variation of 1
        return np.log10(srad(10.0 ** (decades * (plane.astype(np.float64) - 1)))) / decades + 1
