"""Pictures for other programs: PNG and DICOM with the true scale."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import host_array
from ..errors import ArgumentError, MissingExtraError
from ..media.grids import Grid
from .writing import atomic

_ULTRASOUND_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
# DICOM PS3.3 C.8.5.5.1: spatial format 2-D, data type tissue, unit centimetre.
_FORMAT_2D, _TISSUE, _CENTIMETRE = 1, 1, 3


_MOST_PIXELS = 50_000_000


def _as_rows(image: Any, grid: Grid | None) -> NDArray[np.uint8]:
    """Rows of depth from top to bottom, columns along x: (n_z, n_x) or (n_z, n_x, 3)."""
    values = host_array("image", image)
    if values.dtype != np.uint8:
        raise ArgumentError(f"image: expected uint8 (0 black, 255 white), got {values.dtype}; compress it first")
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or 0 in values.shape:
        raise ArgumentError(f"image: expected shape (n_x, n_z) or (n_x, n_z, 3), got {values.shape}")
    if grid is not None:
        if not isinstance(grid, Grid) or grid.ndim != 2:
            raise ArgumentError(f"grid: expected a 2-D Grid; convert a sector first, got {type(grid).__name__}")
        if values.shape[:2] != grid.shape:
            raise ArgumentError(f"image: expected the grid's shape {grid.shape}, got {values.shape[:2]}")
    return np.ascontiguousarray(values.swapaxes(0, 1))


def write_png(path: Any, image: Any, grid: Grid | None = None) -> None:
    """Write a grey or colour image as PNG, depth downwards, in true proportions.

    Parameters
    ----------
    path : str or path-like
    image : (n_x, n_z) or (n_x, n_z, 3) uint8
    grid : Grid, optional
        Its spacings set the proportions: where they differ, pixels become squares of the finer one. The file states
        their size.

    Raises
    ------
    ArgumentError
        Another type or shape, or one that does not fit the grid.
    MissingExtraError
        Pillow is not installed.
    """
    rows = _as_rows(image, grid)
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("PNG needs Pillow: pip install 'sonoray[io]'") from None
    picture, options = Image.fromarray(rows), {}
    if grid is not None:
        side = min(grid.spacing)
        size = tuple(max(1, round(n * h / side)) for n, h in zip(grid.shape, grid.spacing, strict=True))
        if size != picture.size:
            if size[0] * size[1] > _MOST_PIXELS:
                raise ArgumentError(f"grid: expected at most {_MOST_PIXELS:g} square pixels, got {size}")
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        options["dpi"] = (0.0254 / side, 0.0254 / side)
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG", **options)


def write_dicom(path: Any, image: Any, grid: Grid, *, patient_name: str = "", description: str = "sonoray") -> None:
    """Write a B-mode image as DICOM Ultrasound Image Storage with a calibrated region.

    The whole picture is one 2-D tissue region; ``PhysicalDeltaX`` and ``Y`` are the grid's spacing in centimetres, and
    the reference pixel is the first one, with the physical value of the grid's origin. UIDs are new each time.

    Parameters
    ----------
    path : str or path-like
    image : (n_x, n_z) or (n_x, n_z, 3) uint8
        Log-compressed grey values, or colours.
    grid : Grid, 2-D
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
    .. [1] DICOM PS3.3, A.6 (US image IOD) and C.8.5.5 (US region calibration).
    """
    rows = _as_rows(image, grid)
    if max(rows.shape[:2]) > 65535:
        raise ArgumentError(f"image: expected at most 65535 points along each axis, got {rows.shape[:2]}")
    try:
        from pydicom import Dataset, dcmwrite
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import UID, generate_uid
    except ImportError:
        raise MissingExtraError("DICOM needs pydicom: pip install 'sonoray[io]'") from None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_ULTRASOUND_IMAGE)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = _ULTRASOUND_IMAGE, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Modality = "US"
    data.PatientName, data.SeriesDescription = patient_name, description
    # Type 2 attributes must be there, but may be empty.
    for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"):
        setattr(data, name, "")
    data.ReferringPhysicianName, data.StudyID, data.Manufacturer = "", "", "sonoray"
    data.SeriesNumber = data.InstanceNumber = 1
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.LossyImageCompression = "00"
    data.SequenceOfUltrasoundRegions = [_region(Dataset(), rows, grid)]
    _pixels(data, rows)
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


def _pixels(data: Any, rows: NDArray[np.uint8]) -> None:
    data.Rows, data.Columns = rows.shape[:2]
    data.SamplesPerPixel = 3 if rows.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if rows.ndim == 3 else "MONOCHROME2"
    if rows.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    payload = rows.tobytes()
    data.add_new(0x7FE00010, "OB", payload + b"\0" * (len(payload) % 2))
