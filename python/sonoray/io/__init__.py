"""Files in and out: measured and simulated channel data, media, images.

`read` recognises a file by its content and returns what it holds; `write` keeps everything without loss. How to add
a format is said in `sonoray.io.registry`.
"""

from .describing import summary
from .extras import read_medium, read_scatterers
from .pictures import write_dicom, write_png
from .registry import Format, Opened, formats, read, register
from .sound import write_wav
from .writing import write

__all__ = [
    "Format",
    "Opened",
    "formats",
    "read",
    "read_medium",
    "read_scatterers",
    "register",
    "summary",
    "write",
    "write_dicom",
    "write_png",
    "write_wav",
]
