"""DICOM: pictures, cines and parametric maps on the grid that their calibration gives."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import option
from ...errors import ArgumentError, FormatError
from ...media.grids import Grid
from ...media.medium import Medium
from .._container import naming
from ..dicom import is_dicom, read_dicom
from ..dicom_writing import write_dicom, write_parametric_map
from ..registry import Format, Opened
from ._facts import QUANTITIES, as_quantity, given_spacing


def sniff(file: Opened) -> bool:
    """``DICM`` behind the preamble."""
    return file.container is None and is_dicom(file.header)


def read(
    file: Opened, *, spacing: Any = None, region: int | None = None, quantity: str = "image"
) -> tuple[NDArray[Any], Grid] | Medium:
    """Read a picture (n_x, n_z), a cine (frames, n_x, n_z) or a volume of a map (n_x, n_y, n_z), RGB as a last axis.

    Conventions: columns are x and rows depth z. Of ultrasound the largest region calibrated in centimetres gives the
    spacing and, by its reference pixel (from the region's corner), the origin; without a reference pixel they count
    from the region's corner. Others use ``PixelSpacing``. Palettes and YBR become RGB, MONOCHROME1 is turned to black
    at zero. Parametric maps keep their floats; slices at different places are y. A warning says when a region does not
    fit the picture.

    Parameters
    ----------
    spacing : float or (x, z) [m], optional
        Instead of the file's; needed where it has none.
    region : int, optional
        Cut out this calibrated region; default the whole picture.
    quantity : {"image", "sound_speed"}
        "sound_speed" gives a Medium of a map in m/s.

    See Also
    --------
    sonoray.io.read_dicom : the pictures as displayed, calibrated or not.
    """
    option("quantity", quantity, QUANTITIES)
    given = given_spacing(spacing)
    pictures = read_dicom(file.path)
    step = pictures.spacing if given is None else (given[0], given[-1])
    if step is None:
        raise FormatError(
            f"{file.path}: expected a calibrated region or PixelSpacing, got pictures of unknown scale; pass spacing="
        )
    if given is None and pictures.doubt:
        warnings.warn(f"{file.path}: {pictures.doubt}", stacklevel=2)
    origin = pictures.origin if given is None and pictures.origin is not None else (0.0, 0.0)
    frames = pictures.frames
    if region is not None:
        if not 0 <= region < len(pictures.regions):
            raise ArgumentError(f"region: expected one of the file's {len(pictures.regions)} regions, got {region}")
        chosen = pictures.regions[region]
        left, right, top, bottom = chosen.box
        step = chosen.spacing if given is None else step
        frames = frames[:, max(top, 0) : bottom + 1, max(left, 0) : right + 1]
        corner = (max(left, 0), max(top, 0))
        origin = (
            (0.0, 0.0)
            if given
            else tuple(  # type: ignore[assignment]
                float(f"{o + i * h:.12g}") for o, i, h in zip(chosen.origin, corner, step, strict=True)
            )
        )
        if 0 in frames.shape:
            raise FormatError(f"{file.path}: expected region {region} inside the picture, got {chosen.box}")
    image = frames.swapaxes(1, 2)
    with naming(file.path):
        if pictures.slice_spacing > 0:
            grid = Grid(
                (image.shape[1], len(image), image.shape[2]),
                (step[0], pictures.slice_spacing, step[1]),
                (origin[0], pictures.first_slice, origin[1]),
            )
            return as_quantity(np.moveaxis(image, 0, 1), grid, quantity)
        grid = Grid(image.shape[1:3], step, origin)
        return as_quantity(image[0] if len(image) == 1 else image, grid, quantity)


def write(path: Any, data: Any, *, frame_rate: float = 0.0, patient_name: str = "", description: str = "") -> None:
    """Write (image, grid) of uint8 as an ultrasound picture or cine, floats or a Medium as a parametric map.

    Parameters
    ----------
    path : str or path-like
    data : tuple (image, grid) or Medium
    frame_rate : float [Hz]
        Of a cine.
    patient_name, description : str
    """
    if isinstance(data, Medium):
        write_parametric_map(path, data.sound_speed, data.grid, patient_name=patient_name)
        return
    if not isinstance(data, tuple) or len(data) != 2:
        raise ArgumentError(f"data: expected (image, grid) or a Medium, got {type(data).__name__}")
    if np.asarray(data[0]).dtype.kind == "f":
        options = {"unit": "1", "label": description or "values", "patient_name": patient_name}
        write_parametric_map(path, *data, **options)  # type: ignore[arg-type]
        return
    write_dicom(path, *data, frame_rate=frame_rate, patient_name=patient_name, description=description or "sonoray")


FORMAT = Format("dicom", "DICOM: pictures, cines, parametric maps", sniff, read, write)
