"""Ultrasound imaging with the right speed of sound."""

from ._arrays import to_device, to_host
from ._backends import devices
from .acquisition.channel_data import ChannelData
from .acquisition.probes import Probe
from .acquisition.transmits import Transmit, full_synthetic_aperture, plane_waves
from .errors import ArgumentError, DeviceError, Error, FormatError, MissingExtraError
from .media.grids import Grid, SectorGrid
from .media.medium import Medium, water_sound_speed
from .rays.eikonal import EikonalSolver

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "ChannelData",
    "DeviceError",
    "EikonalSolver",
    "Error",
    "FormatError",
    "Grid",
    "Medium",
    "MissingExtraError",
    "Probe",
    "SectorGrid",
    "Transmit",
    "devices",
    "full_synthetic_aperture",
    "plane_waves",
    "to_device",
    "to_host",
    "water_sound_speed",
]
