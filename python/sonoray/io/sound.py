"""Sound files, for Doppler."""

from typing import Any

import numpy as np
import scipy  # loads io when it is first used

from .._arrays import host_array
from .._checks import count, finite
from ..errors import ArgumentError
from .writing import atomic


def write_wav(path: Any, audio: Any, audio_rate: int = 44_100) -> None:
    """Write sound as 16-bit WAV.

    Parameters
    ----------
    path : str or path-like
    audio : (n_samples,) or (n_samples, n_channels) float
        From `sonoray.imaging.spectral_doppler.doppler_audio`; -1 to 1, what is beyond would be cut and is refused.
    audio_rate : int [Hz]

    Raises
    ------
    ArgumentError
        Another type or shape, NaN, samples beyond 1.
    """
    samples = host_array("audio", audio)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or not samples.size:
        raise ArgumentError(
            f"audio: expected float of shape (n,) or (n, n_channels), got {samples.dtype} {samples.shape}"
        )
    finite("audio", samples)
    if np.abs(samples).max() > 1:
        raise ArgumentError(
            f"audio: expected -1 to 1, got up to {np.abs(samples).max():g}; divide by the maximum first"
        )
    rate = count("audio_rate", audio_rate, 1000, 1_000_000)
    with atomic(path) as temporary:
        scipy.io.wavfile.write(temporary, rate, np.round(samples * 32767).astype(np.int16))
