"""Ultrasound imaging with the right speed of sound."""

from . import datasets
from ._arrays import to_device, to_host
from ._backends import devices
from .acquisition.channel_data import ChannelData
from .acquisition.probes import Probe
from .acquisition.transmits import Transmit, full_synthetic_aperture, plane_waves
from .errors import ArgumentError, DeviceError, DownloadError, Error, FormatError, MissingExtraError
from .io import read, read_medium, read_scatterers, summary, write, write_dicom, write_png
from .media.grids import Grid, SectorGrid
from .media.medium import Medium, water_sound_speed

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "ChannelData",
    "DeviceError",
    "DownloadError",
    "Error",
    "FormatError",
    "Grid",
    "Medium",
    "MissingExtraError",
    "Probe",
    "SectorGrid",
    "Transmit",
    "datasets",
    "devices",
    "full_synthetic_aperture",
    "plane_waves",
    "read",
    "read_medium",
    "read_scatterers",
    "summary",
    "to_device",
    "to_host",
    "water_sound_speed",
    "write",
    "write_dicom",
    "write_png",
]
