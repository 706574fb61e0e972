"""Files in and out: measured and simulated channel data, media, images.

`read` recognises a file by its content and returns what it holds; `write` keeps everything without loss. How to add
a format is said in `sonoray.io.registry`.
"""

from .describing import summary
from .extras import read_medium, read_scatterers
from .images import image_files, read_image, read_images, write_image
from .pictures import write_dicom, write_png
from .registry import Format, Opened, formats, read, register
from .videos import Video, read_video, write_video
from .writing import write

__all__ = [
    "Format",
    "Opened",
    "Video",
    "formats",
    "image_files",
    "read",
    "read_image",
    "read_images",
    "read_medium",
    "read_scatterers",
    "read_video",
    "register",
    "summary",
    "write",
    "write_dicom",
    "write_image",
    "write_png",
    "write_video",
]
