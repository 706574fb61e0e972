"""What some files hold beside channel data: the true medium, the scatterers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..media.grids import Grid
from ..media.medium import Medium
from ._container import naming
from .formats._facts import even_axis
from .formats.picmus import ROOT
from .registry import identify, opened, read


def read_medium(path: Any) -> Medium:
    """Read the medium of a ring-array file (``C``, ``xi_orig``, ``yi_orig``), of sonoray's own, or of a picture in m/s
    (MetaImage, NIfTI, DICOM parametric map).

    ``C(iy, ix)`` [m/s] in MATLAB's order becomes ``sound_speed[ix, iz]``, y being z here.

    Raises
    ------
    FormatError
        The file holds none.
    """
    with opened(path) as file:
        contents = file.container
        if contents is None or not set(contents.members()) >= {"C", "xi_orig", "yi_orig"}:
            chosen = identify(file)
            medium = read(path, **({"quantity": "sound_speed"} if "quantity" in chosen.options else {}))
            if isinstance(medium, Medium):
                return medium
            raise FormatError(f"{path}: expected a medium (C, xi_orig, yi_orig), got {type(medium).__name__}")
        x, z = (even_axis(contents, name) for name in ("xi_orig", "yi_orig"))
        speed = contents.array("C")
        speed = speed.T if contents.matlab else speed
        if speed.dtype.kind not in "iuf":
            raise FormatError(f"{path}: C: expected real numbers, got {speed.dtype}")
        with naming(file.path):
            grid = Grid((x[2], z[2]), (x[1], z[1]), (x[0], z[0]))
            return Medium(grid, speed)


def read_scatterers(path: Any) -> NDArray[np.float64]:
    """Read the positions of the simulated scatterers, (n, 3) float64 [m], of a pybf or PICMUS file.

    Raises
    ------
    FormatError
        The file lists none (a measured set).
    """
    with opened(path) as file:
        contents = file.contents
        for name in ("sim_params/scatters_data", f"{ROOT}/scatterers_positions"):
            if contents.has(name):
                values = np.asarray(contents.array(name))
                break
        else:
            raise FormatError(
                f"{path}: expected scatterers (sim_params/scatters_data), got a file without; is it simulated?"
            )
        if values.ndim != 2 or 3 not in values.shape or values.dtype.kind not in "iuf":
            raise FormatError(f"{path}: scatterers: expected (3, n), got {values.shape} {values.dtype}")
        positions = np.asarray(values.T if values.shape[0] == 3 else values, np.float64)
        if not np.isfinite(positions).all():
            raise FormatError(f"{path}: scatterers: expected finite positions, got NaN or infinite ones")
        return np.ascontiguousarray(positions)
