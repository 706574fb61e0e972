"""DICOM secondary captures: pictures as they are displayed, such as overlays, plots and reports, for an archive."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import scalar
from ..errors import ArgumentError
from .dicom_writing import add_pixels, dataset, decimal, save

_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_GREY_FRAMES, _COLOR_FRAMES = f"{_CAPTURE}.2", f"{_CAPTURE}.4"


def write_secondary_capture(
    path: Any,
    picture: Any,
    *,
    spacing: tuple[float, float] | None = None,
    frame_rate: float = 0.0,
    annotated: bool = True,
    patient_name: str = "",
    description: str = "sonoray",
) -> None:
    """Write a picture or a cine as DICOM Secondary Capture: what a screen shows, without regions and physics.

    For images on a grid `write_dicom` keeps more: regions that viewers measure in. UIDs are new each time.

    Parameters
    ----------
    path : str or path-like
    picture : ([n_frames,] n_rows, n_columns) or ([n_frames,] n_rows, n_columns, 3) uint8
        As displayed, first row on top; a last axis of 3 is colour. Several frames make a multi-frame capture.
    spacing : (float, float), optional [m]
        Between rows and between columns, where the picture has a scale.
    frame_rate : float [Hz]
        Of a cine; 0 when unknown.
    annotated : bool
        Whether the picture may show text about the patient (``BurnedInAnnotation``, which de-identification relies on).
    patient_name, description : str
        ``PatientName`` and ``SeriesDescription``.

    Raises
    ------
    ArgumentError
        Another type or shape, a spacing that looks like millimetres.
    MissingExtraError
        pydicom is not installed.

    References
    ----------
    .. [1] DICOM PS3.3, A.8.1, A.8.3 and A.8.5 (secondary captures), C.8.6 (their modules) and 10.7 (spacing).
    """
    frames = _frames(picture)
    rate = scalar("frame_rate", frame_rate, 1e-3, 1e6, "Hz") if frame_rate else 0.0
    color, cine = frames.ndim == 4, len(frames) > 1
    kind = _CAPTURE if not cine else _COLOR_FRAMES if color else _GREY_FRAMES
    data = dataset(kind, frames.shape[1:3], patient_name, description)
    data.Modality, data.ConversionType = "OT", "WSD"
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.BurnedInAnnotation, data.PatientOrientation = "YES" if annotated else "NO", ""
    if spacing is not None:
        if len(spacing) != 2:
            raise ArgumentError(f"spacing: expected two numbers, between rows and between columns, got {spacing!r}")
        data.PixelSpacing = [decimal(1e3 * scalar("spacing", h, 1e-7, 0.05, "m")) for h in spacing]
        data.PixelSpacingCalibrationType = "GEOMETRY"
        data.PixelSpacingCalibrationDescription = "of the image as computed"
    if cine:
        data.NumberOfFrames = len(frames)
        data.FrameTime = f"{1e3 / rate if rate else 40:.10g}"
        data.FrameIncrementPointer = 0x00181063
        if not color:
            data.PresentationLUTShape = "IDENTITY"
            data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    add_pixels(data, list(frames))
    save(path, data)


def _frames(picture: Any) -> NDArray[np.uint8]:
    """The frames as (n_frames, rows, columns[, 3])."""
    values = host_array("picture", picture)
    color = values.ndim > 2 and values.shape[-1] == 3
    if values.dtype != np.uint8 or values.ndim - color not in (2, 3) or 0 in values.shape:
        raise ArgumentError(
            "picture: expected uint8 of shape ([n_frames,] n_rows, n_columns) or with 3 colours last, "
            f"got {values.dtype} of shape {values.shape}"
        )
    return np.ascontiguousarray(values if values.ndim - color == 3 else values[None])
