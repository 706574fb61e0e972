"""DICOM for other programs: pictures and cines of ultrasound with their scale, maps with their unit."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from .._checks import scalar
from ..errors import ArgumentError, MissingExtraError
from ..media.grids import Grid
from .dicom import PARAMETRIC_MAP
from .pictures import as_rows
from .writing import atomic, checked_image

_ULTRASOUND_IMAGE, _ULTRASOUND_CINE = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
# DICOM PS3.3 C.8.5.5.1: spatial format 2-D, data type tissue, unit centimetre.
_FORMAT_2D, _TISSUE, _CENTIMETRE = 1, 1, 3
_LONGEST_SIDE = 65535


def write_dicom(
    path: Any,
    image: Any,
    grid: Grid,
    *,
    frame_rate: float = 0.0,
    patient_name: str = "",
    description: str = "sonoray",
) -> None:
    """Write a B-mode picture or cine as DICOM Ultrasound (Multi-frame) Image Storage with a calibrated region.

    The whole picture is one 2-D tissue region; ``PhysicalDeltaX`` and ``Y`` are the grid's spacing in centimetres, and
    the reference pixel is the first one, with the physical value of the grid's origin. UIDs are new each time.

    Parameters
    ----------
    path : str or path-like
    image : ([n_frames,] n_x, n_z) or ([n_frames,] n_x, n_z, 3) uint8
        Log-compressed grey values, or colours.
    grid : Grid, 2-D
    frame_rate : float [Hz]
        Of a cine; 0 when unknown.
    patient_name, description : str
        ``PatientName`` and ``SeriesDescription``.

    Raises
    ------
    ArgumentError
        Another type or shape, or one that does not fit the grid.
    MissingExtraError
        pydicom is not installed.

    References
    ----------
    .. [1] DICOM PS3.3, A.6 and A.7 (US images), C.7.6.5 (cine) and C.8.5.5 (US region calibration).
    """
    rate = scalar("frame_rate", frame_rate, 1e-3, 1e6, "Hz") if frame_rate else 0.0
    values = host_array("image", image)
    cine = isinstance(grid, Grid) and values.ndim > 2 and values.shape[1:3] == grid.shape and (
        values.ndim == 4 or values.shape[:2] != grid.shape
    )  # fmt: skip
    if cine and not len(values):
        raise ArgumentError("image: expected at least one frame, got none")
    pictures = [as_rows(frame, grid) for frame in (values if cine else [values])]
    data = dataset(_ULTRASOUND_CINE if cine else _ULTRASOUND_IMAGE, pictures[0].shape[:2], patient_name, description)
    data.Modality = "US"
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.LossyImageCompression = "00"
    data.SequenceOfUltrasoundRegions = [_region(type(data)(), pictures[0], grid)]
    if cine:
        data.NumberOfFrames = len(pictures)
        data.FrameTime = f"{1e3 / rate if rate else 40:.10g}"  # required; players take it for the speed
        data.FrameIncrementPointer = 0x00181063
        if rate:
            data.CineRate = max(1, round(rate))
    add_pixels(data, pictures)
    save(path, data)


def write_parametric_map(
    path: Any,
    values: Any,
    grid: Grid,
    *,
    unit: str = "m/s",
    label: str = "Sound speed",
    patient_name: str = "",
) -> None:
    """Write a map of numbers, such as sound speed, as DICOM Parametric Map Storage with float pixels.

    A 3-D grid gives a frame for each y. Positions are those of the grid: row and column directions are the patient's
    first and third axis, in a frame of reference of its own. UIDs are new each time.

    Parameters
    ----------
    path : str or path-like
    values : (n_x, n_z) or (n_x, n_y, n_z) float32 or float64
    grid : Grid
    unit : str
        UCUM code of the values.
    label : str
        What they are, at most 16 characters.
    patient_name : str

    Raises
    ------
    ArgumentError
        Another type or shape, or one that does not fit the grid.
    MissingExtraError
        pydicom is not installed.

    References
    ----------
    .. [1] DICOM PS3.3, A.75 (parametric map IOD), C.7.6.16 (functional groups) and C.7.6.24 (float pixels).
    """
    if not isinstance(grid, Grid):
        raise ArgumentError(f"grid: expected a Grid, got {type(grid).__name__}")
    image = checked_image(values, grid)
    if image.ndim != grid.ndim or image.dtype not in (np.dtype("f4"), np.dtype("f8")) or not np.isfinite(image).all():
        raise ArgumentError(f"values: expected finite floats of shape {grid.shape}, got {image.shape} {image.dtype}")
    if not 1 <= len(label) <= 16 or not 1 <= len(unit) <= 16:
        raise ArgumentError(f"label: expected label and unit of 1 to 16 characters, got {label!r} and {unit!r}")
    frames = np.ascontiguousarray((image[:, None] if grid.ndim == 2 else image).transpose(1, 2, 0))
    data = dataset(PARAMETRIC_MAP, frames.shape[1:], patient_name, label)
    data.Modality = "OT"
    data.ImageType = ["DERIVED", "PRIMARY", "SOUND_SPEED" if unit == "m/s" else "OTHER", "NONE"]
    data.ContentLabel = "".join(c if c.isascii() and c.isalnum() else "_" for c in label.upper())
    data.ContentDescription, data.ContentCreatorName = label, ""
    data.LossyImageCompression, data.BurnedInAnnotation = "00", "NO"
    data.RecognizableVisualFeatures, data.ContentQualification = "NO", "RESEARCH"
    data.PresentationLUTShape = "IDENTITY"
    data.NumberOfFrames = len(frames)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    wide = frames.dtype.itemsize == 8
    data.BitsAllocated = 64 if wide else 32
    _functional_groups(data, frames, grid, unit, label)
    if wide:
        data.add_new(0x7FE00009, "OD", frames.astype("<f8").tobytes())
    else:
        data.add_new(0x7FE00008, "OF", frames.astype("<f4").tobytes())
    save(path, data)


def dataset(kind: str, size: tuple[int, ...], patient_name: str, description: str) -> Any:
    """What every kind needs: UIDs, patient, study, series and the size."""
    if max(size) > _LONGEST_SIDE:
        raise ArgumentError(f"image: expected at most {_LONGEST_SIDE} points along each axis, got {size[::-1]}")
    try:
        from pydicom import Dataset
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import UID, generate_uid
    except ImportError:
        raise MissingExtraError("DICOM needs pydicom: pip install 'sonoray[io]'") from None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(kind)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.SpecificCharacterSet = "ISO_IR 192"  # UTF-8
    data.PatientName, data.SeriesDescription = patient_name, description
    # Type 2 attributes must be there, but may be empty.
    for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"):
        setattr(data, name, "")
    data.ReferringPhysicianName, data.StudyID, data.Manufacturer = "", "", "sonoray"
    data.SeriesNumber = data.InstanceNumber = 1
    data.Rows, data.Columns = size
    return data


def add_pixels(data: Any, pictures: list[NDArray[np.uint8]]) -> None:
    """Put uint8 frames of rows and columns, grey or RGB, into a dataset."""
    rgb = pictures[0].ndim == 3
    data.SamplesPerPixel = 3 if rgb else 1
    data.PhotometricInterpretation = "RGB" if rgb else "MONOCHROME2"
    if rgb:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    payload = b"".join(picture.tobytes() for picture in pictures)
    data.add_new(0x7FE00010, "OB", payload + b"\0" * (len(payload) % 2))


def save(path: Any, data: Any) -> None:
    """Write a dataset, whole or not at all."""
    from pydicom import dcmwrite

    with atomic(path) as temporary:
        dcmwrite(Path(temporary), data, enforce_file_format=True)


def _region(region: Any, rows: NDArray[np.uint8], grid: Grid) -> Any:
    height, width = rows.shape[:2]
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = _FORMAT_2D, _TISSUE, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = _CENTIMETRE
    region.PhysicalDeltaX, region.PhysicalDeltaY = (100 * h for h in grid.spacing)
    region.ReferencePixelX0, region.ReferencePixelY0 = 0, 0
    region.ReferencePixelPhysicalValueX, region.ReferencePixelPhysicalValueY = (100 * o for o in grid.origin)
    return region


def _functional_groups(data: Any, frames: NDArray[Any], grid: Grid, unit: str, label: str) -> None:
    """Geometry and meaning of the frames: shared by all, and where each one lies."""
    from pydicom.uid import generate_uid

    item = type(data)
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = generate_uid(), ""
    if grid.ndim == 3:
        data.DimensionOrganizationType = "3D"
    organization = item()
    organization.DimensionOrganizationUID = generate_uid()
    data.DimensionOrganizationSequence = [organization]
    index = item()
    index.DimensionOrganizationUID = organization.DimensionOrganizationUID
    index.DimensionIndexPointer, index.FunctionalGroupPointer = 0x00200032, 0x00209113
    data.DimensionIndexSequence = [index]
    shared, measures, orientation, mapping, code = item(), item(), item(), item(), item()
    dx, dz = grid.spacing[0], grid.spacing[-1]
    measures.PixelSpacing = [decimal(1e3 * dz), decimal(1e3 * dx)]  # between rows, between columns
    thickness = decimal(1e3 * (grid.spacing[1] if grid.ndim == 3 else dx))
    measures.SliceThickness = measures.SpacingBetweenSlices = thickness
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 0, 1]
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    mapping.MeasurementUnitsCodeSequence = [code]
    mapping.LUTLabel, mapping.LUTExplanation = label, label
    mapping.DoubleFloatRealWorldValueFirstValueMapped = float(frames.min())
    mapping.DoubleFloatRealWorldValueLastValueMapped = float(frames.max())
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, 1.0
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.RealWorldValueMappingSequence = [mapping]
    kind = item()
    kind.FrameType = data.ImageType
    shared.ParametricMapFrameTypeSequence = [kind]
    data.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for i in range(len(frames)):
        frame, content, position = item(), item(), item()
        content.DimensionIndexValues = [i + 1]
        y = grid.origin[1] + i * grid.spacing[1] if grid.ndim == 3 else 0.0
        position.ImagePositionPatient = [decimal(1e3 * v) for v in (grid.origin[0], y, grid.origin[-1])]
        frame.FrameContentSequence, frame.PlanePositionSequence = [content], [position]
        groups.append(frame)
    data.PerFrameFunctionalGroupsSequence = groups


def decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters."""
    for digits in range(14, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.6e}"
