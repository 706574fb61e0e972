"""Ultrasound imaging with the right speed of sound."""

from ._arrays import to_device, to_host
from ._backends import devices
from .acquisition.channel_data import ChannelData
from .acquisition.probes import Probe
from .acquisition.transmits import Transmit, full_synthetic_aperture, plane_waves
from .beamforming.das import Beamformer, Sampling
from .errors import ArgumentError, DeviceError, Error, FormatError, MissingExtraError
from .media.grids import Grid, SectorGrid
from .media.medium import Medium, water_sound_speed

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "Beamformer",
    "ChannelData",
    "DeviceError",
    "Error",
    "FormatError",
    "Grid",
    "Medium",
    "MissingExtraError",
    "Probe",
    "Sampling",
    "SectorGrid",
    "Transmit",
    "devices",
    "full_synthetic_aperture",
    "plane_waves",
    "to_device",
    "to_host",
    "water_sound_speed",
]
