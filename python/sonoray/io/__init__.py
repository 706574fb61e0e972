"""Files in and out: measured and simulated channel data, media, images."""

from .extras import read_medium, read_scatterers
from .registry import Format, Opened, formats, read, register
from .writing import write

__all__ = [
    "Format",
    "Opened",
    "formats",
    "read",
    "read_medium",
    "read_scatterers",
    "register",
    "write",
]
