"""DICOM pictures, cines and parametric maps as they are displayed, with what calibrates them; through pydicom."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Error, FormatError, MissingExtraError
from ._budget import Budget
from ._container import header_of

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.8.1")
_CENTIMETRE, _FORMAT_2D = 3, 1  # PS3.3 C.8.5.5.1
_MOST_PIXELS = 1 << 28


@dataclass(frozen=True)
class DicomRegion:
    """A calibrated part of the picture.

    Parameters
    ----------
    box : tuple of int
        First and last column, first and last row.
    spacing : (float, float) [m]
        Along columns (x) and rows (z).
    origin : (float, float) [m]
        Place (x, z) of the picture's first pixel.
    """

    box: tuple[int, int, int, int]
    spacing: tuple[float, float]
    origin: tuple[float, float]


@dataclass(frozen=True, eq=False)
class DicomPictures:
    """What `read_dicom` returns.

    Parameters
    ----------
    frames : (n_frames, n_rows, n_columns) or (n_frames, n_rows, n_columns, 3)
        As displayed, black at zero; uint8 or uint16 (grey), uint8 (RGB), floats (parametric maps).
    spacing, origin : (float, float) [m] or None
        Of pixels along x and z, and of the first pixel; None where the file says nothing. From the largest calibrated
        2-D region of ultrasound, else from ``PixelSpacing``.
    regions : tuple of DicomRegion
        All calibrated 2-D regions.
    doubt : str
        Why the calibration may be wrong; empty where nothing speaks against it.
    frame_rate : float [Hz]
        0 where unknown.
    slice_spacing : float [m]
        Between frames that are slices of a volume; 0 for frames in time.
    unit : str
        Of the values of a parametric map (UCUM), such as "m/s"; empty for pictures.
    """

    frames: NDArray[Any]
    spacing: tuple[float, float] | None
    origin: tuple[float, float] | None
    regions: tuple[DicomRegion, ...]
    doubt: str
    frame_rate: float
    slice_spacing: float = 0.0
    first_slice: float = 0.0
    unit: str = ""


def is_dicom(header: bytes) -> bool:
    """Whether a file that starts with ``header`` is a DICOM file (PS3.10, with its preamble)."""
    return header[128:132] == b"DICM"


def read_dicom(path: Any) -> DicomPictures:
    """Read a DICOM file's pictures: grey, palette, RGB and YBR; single, cine; parametric maps of floats.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    FormatError
        Another kind of file, damaged, without pictures, with more pixels than it can honestly hold, or deflated.
    MissingExtraError
        pydicom is not installed, or Pillow for pictures in JPEG.

    References
    ----------
    .. [1] DICOM PS3.3, C.7.6.3 (pixels), C.7.6.5 (cine), C.8.5.5 (US region calibration), A.75 (parametric maps).
    """
    path = Path(path)
    if not is_dicom(header_of(path)):
        raise FormatError(f"{path}: expected a DICOM file, got one without its mark at byte 128")
    try:
        import pydicom
    except ImportError:
        raise MissingExtraError("DICOM needs pydicom: pip install 'sonoray[io]'") from None
    with _guard(path):
        # From memory: a length that the file only claims is then not allocated.
        raw = path.read_bytes()
        for uid in _DEFLATED:  # pydicom would unpack the whole file, whatever its size
            if uid in raw:
                raise FormatError(f"{path}: expected a transfer syntax that is not deflated, got {uid.decode()}")
        data = pydicom.dcmread(io.BytesIO(raw))
        frames = _frames(path, data)
        unit = _unit(data)
        if str(data.get("SOPClassUID", "")) == PARAMETRIC_MAP:
            spacing, origin, slices, first = _planes(data, len(frames))
            return DicomPictures(frames, spacing, origin, (), "", 0.0, slices, first, unit)
        regions = tuple(_regions(data))
        spacing, origin = _calibration(data, regions)
        return DicomPictures(frames, spacing, origin, regions, _doubt(regions, frames), _frame_rate(data), unit=unit)


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    """On damaged files pydicom raises nearly every exception type there is, and warns of what it mends."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Error:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path}: expected a whole DICOM file with pictures: {reason}") from None


def _frames(path: Path, data: Any) -> NDArray[Any]:
    """(n_frames, rows, columns[, 3]) as displayed."""
    from pydicom.pixels import apply_color_lut, pixel_array

    count = int(data.get("NumberOfFrames", None) or 1)
    rows, columns, samples = int(data.Rows), int(data.Columns), int(data.get("SamplesPerPixel", 1))
    item = max(int(data.BitsAllocated) // 8, 1)
    budget = Budget(path)
    kind = str(data.PhotometricInterpretation)
    palette = kind == "PALETTE COLOR"
    for name, value in (("NumberOfFrames", count), ("Rows", rows), ("Columns", columns)):
        if not 1 <= value <= 1 << 24:
            raise FormatError(f"{path}: {name}: expected at least 1, got {value}")
    if rows * columns > _MOST_PIXELS:
        raise FormatError(f"{path}: expected at most {_MOST_PIXELS} pixels a frame, got {rows} x {columns}")
    budget.take("pixels", (count, rows, columns, samples * (7 if palette else 1)), item)
    if data.file_meta.TransferSyntaxUID.is_compressed:
        _check_encapsulated(path, data, (count, rows, columns))
    values = np.asarray(pixel_array(data, raw=False))
    if palette:
        values = apply_color_lut(values, data)
        if values.dtype.itemsize == 2:  # entries of 16 bits, of which displays take the upper eight
            entries = int(data.RedPaletteColorLookupTableDescriptor[2])
            values = (values >> (8 if entries == 16 else 0)).astype(np.uint8)
        values = values[..., :3]
    elif kind == "MONOCHROME1":
        values = np.asarray(2 ** int(data.BitsStored) - 1 - values.astype(np.int64), values.dtype)
    colour = palette or samples == 3
    frames = values.reshape(count, rows, columns, *((3,) if colour else ()))
    if frames.dtype.kind not in "uif" or (colour and frames.dtype != np.uint8):
        raise FormatError(f"{path}: expected 8-bit colours or grey values, got {frames.dtype} {kind}")
    return frames


def _check_encapsulated(path: Path, data: Any, shape: tuple[int, int, int]) -> None:
    """Refuse compressed frames whose own size differs from what the file declares, before they are unpacked."""
    from pydicom.encaps import generate_frames

    if data.file_meta.TransferSyntaxUID.name.startswith("RLE"):
        return
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("JPEG in DICOM needs Pillow: pip install 'sonoray[io]'") from None
    found = 0
    for frame in generate_frames(data.PixelData, number_of_frames=shape[0]):
        found += 1
        try:
            with Image.open(io.BytesIO(frame)) as picture:
                size = picture.size
        except OSError:  # a kind of JPEG that Pillow does not know: pydicom says which plug-in does
            return
        if size != (shape[2], shape[1]):
            raise FormatError(f"{path}: expected frames of {shape[2]} x {shape[1]} pixels, got one of {size}")
    if found != shape[0]:
        raise FormatError(f"{path}: NumberOfFrames: expected {shape[0]} frames, got {found}")


def _regions(data: Any) -> Iterator[DicomRegion]:
    for item in data.get("SequenceOfUltrasoundRegions", None) or ():
        units = (item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection"))
        if units != (_CENTIMETRE, _CENTIMETRE) or item.get("RegionSpatialFormat") != _FORMAT_2D:
            continue
        box = tuple(int(item[f"RegionLocation{n}"].value) for n in ("MinX0", "MaxX1", "MinY0", "MaxY1"))
        spacing, origin = [], []
        for axis, corner in (("X", box[0]), ("Y", box[2])):
            step = 0.01 * abs(float(item[f"PhysicalDelta{axis}"].value))
            pixel = int(item.get(f"ReferencePixel{axis}0", 0) or 0)  # counted from the region's corner
            value = 0.01 * float(item.get(f"ReferencePixelPhysicalValue{axis}", 0.0) or 0.0)
            spacing.append(float(f"{step:.12g}"))
            origin.append(float(f"{value - (corner + pixel) * step:.12g}"))
        if all(1e-7 <= h <= 0.05 for h in spacing) and np.isfinite(origin).all():
            yield DicomRegion((box[0], box[1], box[2], box[3]), (spacing[0], spacing[1]), (origin[0], origin[1]))


def _calibration(
    data: Any, regions: tuple[DicomRegion, ...]
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    if regions:
        largest = max(regions, key=lambda r: (r.box[1] - r.box[0]) * (r.box[3] - r.box[2]))
        return largest.spacing, largest.origin
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        given = data.get(name)
        if given is not None and len(given) == 2 and all(1e-4 <= float(h) <= 50 for h in given):
            along_rows, along_columns = (float(f"{1e-3 * float(h):.12g}") for h in given)
            return (along_columns, along_rows), (0.0, 0.0)
    return None, None


def _doubt(regions: tuple[DicomRegion, ...], frames: NDArray[Any]) -> str:
    rows, columns = frames.shape[1:3]
    reach = max((r.box[1] for r in regions), default=0), max((r.box[3] for r in regions), default=0)
    if reach[0] > columns or reach[1] > rows:  # one beyond is common: a size instead of a last index
        return (
            f"its calibrated region reaches column {reach[0]} and row {reach[1]} of a picture of {columns} x {rows}: "
            "it was cut or scaled after calibration, and the spacing may be wrong; pass the right one as spacing="
        )
    return ""


def _frame_rate(data: Any) -> float:
    period = float(data.get("FrameTime", None) or 0.0) * 1e-3
    rate = 1 / period if period > 0 else float(data.get("CineRate", None) or 0.0)
    return rate if 1e-3 <= rate <= 1e6 else 0.0


def _unit(data: Any) -> str:
    groups = [
        *(data.get("SharedFunctionalGroupsSequence") or ()),
        *(data.get("PerFrameFunctionalGroupsSequence") or ()),
    ]
    for item in groups:
        for mapping in item.get("RealWorldValueMappingSequence") or ():
            for code in mapping.get("MeasurementUnitsCodeSequence") or ():
                return str(code.get("CodeValue", ""))
    return ""


def _planes(data: Any, n_frames: int) -> tuple[tuple[float, float] | None, tuple[float, float] | None, float, float]:
    """Spacing (x, z), origin (x, z), and spacing and first place of the slices of a map."""
    shared = (data.get("SharedFunctionalGroupsSequence") or [{}])[0]
    measures = (shared.get("PixelMeasuresSequence") or [None])[0]
    if measures is None:
        return None, None, 0.0, 0.0
    rows, columns = (float(h) for h in measures.PixelSpacing)
    orientation = (shared.get("PlaneOrientationSequence") or [None])[0]
    cosines = np.array(orientation.ImageOrientationPatient if orientation else [1, 0, 0, 0, 0, 1], float)
    frames = data.get("PerFrameFunctionalGroupsSequence") or []
    corners = np.array(
        [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames if "PlanePositionSequence" in frame]
        or [[0.0, 0.0, 0.0]],
        float,
    )
    along = [float(f"{1e-3 * v:.12g}") for v in (columns, rows, corners[0] @ cosines[:3], corners[0] @ cosines[3:])]
    normal = np.cross(cosines[3:], cosines[:3])
    slices = corners @ normal
    step = float(slices[-1] - slices[0]) / (n_frames - 1) if len(slices) == n_frames > 1 else 0.0
    places = [float(f"{1e-3 * v:.12g}") for v in (step, slices[0])]
    return (along[0], along[1]), (along[2], along[3]), places[0], places[1]
