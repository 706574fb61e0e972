"""Frames of DICOM files as they are displayed."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Error, FormatError, MissingExtraError
from ._budget import Budget

_DEFLATED = b"1.2.840.10008.1.2.1.99"  # transfer syntax


def is_dicom(path: Path) -> bool:
    """Tell by the file's beginning."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


class DicomFrames:
    """The frames of a DICOM file, decoded one by one.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    n_frames : int
    frame_rate : float or None [Hz]

    Raises
    ------
    FormatError
        Damaged, without pixels, more pixels than the file can honestly hold, or compressed in a way that is not known.
    MissingExtraError
    """

    def __init__(self, path: Path) -> None:
        try:
            import pydicom
        except ImportError:
            raise MissingExtraError("DICOM needs pydicom: pip install 'sonoray[io]'") from None
        self._path, self._pydicom = path, pydicom
        self._data = self._guarded(self._read)

    def _guarded(self, read: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values that are not used
            try:
                return read()
            except (Error, FileNotFoundError, PermissionError, MemoryError):
                raise
            except Exception as error:  # pydicom and its decoders raise many kinds
                text = f"{type(error).__name__}: {error}"
                raise FormatError(f"{self._path}: expected DICOM with pixels: {text[:300]}") from None

    def _read(self) -> Any:
        raw = self._path.read_bytes()
        if _DEFLATED in raw[:1024]:  # would be unpacked as a whole, whatever its size
            raise FormatError(f"{self._path}: expected DICOM whose data set is not deflated")
        data = self._pydicom.dcmread(io.BytesIO(raw))  # from a file, a damaged length would reserve that much memory
        if "PixelData" not in data:
            raise FormatError(f"{self._path}: expected DICOM with pixels, found none")
        self.n_frames = int(data.get("NumberOfFrames") or 1)
        shape = (self.n_frames, int(data.Rows), int(data.Columns), int(data.get("SamplesPerPixel", 1)))
        if min(shape) < 1:
            raise FormatError(f"{self._path}: expected frames with pixels, got {shape}")
        palette = data.PhotometricInterpretation == "PALETTE COLOR"
        Budget(self._path).take("pixels", shape, 4 if palette else max(1, int(data.BitsAllocated) // 8))
        rate = data.get("CineRate") or data.get("RecommendedDisplayFrameRate")
        if not rate and data.get("FrameTime"):
            rate = 1000 / float(data.FrameTime)
        self.frame_rate = float(rate) if rate and np.isfinite(float(rate)) and float(rate) > 0 else None
        return data

    def frame(self, index: int) -> NDArray[Any]:
        """Return one frame: (rows, columns) or (rows, columns, 3), uint8 or uint16, white the largest value."""
        return np.asarray(self._guarded(lambda: self._frame(index)))

    def _frame(self, index: int) -> NDArray[Any]:
        from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

        data = self._data
        values = pixel_array(data, index=index)
        if data.PhotometricInterpretation == "PALETTE COLOR":
            values = apply_color_lut(values, data)
            return np.asarray(values if values.dtype == np.uint8 else values >> 8, np.uint8)
        bits = int(data.BitsStored)
        if values.ndim == 3:
            return values if values.dtype == np.uint8 else _stretched(values, bits)
        signed = bool(data.get("PixelRepresentation", 0))
        if "RescaleSlope" in data and "WindowWidth" in data:
            values = apply_modality_lut(values, data)
        if "WindowWidth" in data or "VOILUTSequence" in data:
            values = apply_voi_lut(values, data)
        if signed:
            values = values.astype(np.float64) + (1 << (bits - 1))
        if data.PhotometricInterpretation == "MONOCHROME1":  # the largest value is black
            values = ((1 << bits) - 1) - values.astype(np.float64)
        if values.dtype == np.uint8 and bits == 8:
            return np.asarray(values)
        return _stretched(values, bits)


def _stretched(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """From ``bits`` that are stored to 8 or 16."""
    white, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    scaled = values.astype(np.float64) * (white / ((1 << bits) - 1))
    return np.rint(np.clip(scaled, 0, white)).astype(dtype)
