"""Every exception that sonoray raises on purpose."""


class Error(Exception):
    """Base class: ``except sonoray.Error`` catches all of ours and nothing else."""


class ArgumentError(Error, ValueError):
    """A shape, unit range or option is wrong. Names the argument, what was wanted, what came."""


class DeviceError(Error, RuntimeError):
    """No such device, no CUDA build, an array in the wrong place, or a CUDA call that failed."""


class FormatError(Error, ValueError):
    """A file does not hold what its format promises."""


class MissingExtraError(Error, ImportError):
    """An optional package is not installed. Names the extra that brings it."""


class DownloadError(Error, OSError):
    """A data set could not be fetched, or what came is not what was asked for."""
