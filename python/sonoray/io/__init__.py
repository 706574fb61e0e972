"""Files in and out: measured and simulated channel data, media, images.

`read` recognises a file by its content and returns what it holds; `write` keeps everything without loss. How to add
a format is said in `sonoray.io.registry`.
"""

from .describing import summary
from .dicom import DicomPictures, DicomRegion, read_dicom
from .dicom_capture import write_secondary_capture
from .dicom_writing import write_dicom, write_parametric_map
from .extras import read_medium, read_scatterers
from .images import image_files, read_image, read_images, write_image
from .pictures import write_png
from .registry import Format, Opened, formats, read, register
from .sound import write_wav
from .videos import Video, read_video, write_video
from .writing import write

__all__ = [
    "DicomPictures",
    "DicomRegion",
    "Format",
    "Opened",
    "Video",
    "formats",
    "image_files",
    "read",
    "read_dicom",
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
    "write_parametric_map",
    "write_png",
    "write_secondary_capture",
    "write_video",
    "write_wav",
]
