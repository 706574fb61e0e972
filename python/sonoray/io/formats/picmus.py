"""PICMUS files (plane-wave imaging challenge, 2016): HDF5 with ``/US/US_DATASET0000``."""

from typing import Any

import numpy as np

from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import given, given_angles

ROOT = "US/US_DATASET0000"


def sniff(file: Opened) -> bool:
    """The challenge's group."""
    return file.container is not None and file.container.has(ROOT)


def read(
    file: Opened,
    *,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    demodulation_frequency: float | None = None,
    start_time: float | None = None,
    angles: Any = None,
) -> ChannelData:
    """Read channel data of the plane-wave imaging challenge.

    Conventions (the challenge's `das_rf.m` and `das_iq.m`): ``data/real`` and ``data/imag`` are
    ([frames,] angles, channels, samples) in HDF5's order; sample n is at ``initial_time + n / sampling_frequency``,
    and t = 0 is when the front passes the origin, so the way to (x, z) is z cos a + x sin a. I/Q means
    a(t) exp(-2 pi i f t) with f = ``modulation_frequency``; a file with f = 0, or an imaginary part that is absent or
    zero throughout, holds RF.

    Parameters
    ----------
    sound_speed, demodulation_frequency, start_time, angles : optional
        Instead of what the file says; [m/s], [Hz], [s], [rad].
    center_frequency : float, optional [Hz]
        Of the pulse; RF files do not say it (5.208 MHz in the challenge).

    References
    ----------
    .. [1] H. Liebgott et al., Plane-wave imaging challenge in medical ultrasound, IEEE IUS 2016.
    """
    checked = {n: given(n, v) for n, v in (("sound_speed", sound_speed), ("center_frequency", center_frequency),
                                          ("demodulation_frequency", demodulation_frequency),
                                          ("start_time", start_time))}  # fmt: skip
    plane_angles = given_angles(angles)
    contents = file.contents
    modulation = checked["demodulation_frequency"] or contents.number(f"{ROOT}/modulation_frequency", 0.0)
    samples = _samples(contents, modulation)
    is_iq = samples.dtype.kind == "c"
    if plane_angles is None:
        plane_angles = contents.numbers(f"{ROOT}/angles")
    begin = checked["start_time"]
    starts = np.atleast_1d(contents.numbers(f"{ROOT}/initial_time") if begin is None else begin)
    starts = np.full(len(plane_angles), starts[0]) if starts.size == 1 else starts
    prf = contents.number(f"{ROOT}/PRF", 0.0)
    with naming(file.path):
        return ChannelData(
            samples,
            _probe(contents),
            tuple(Transmit.plane(a) for a in plane_angles),
            contents.number(f"{ROOT}/sampling_frequency"),
            demodulation_frequency=modulation if is_iq else 0.0,
            center_frequency=checked["center_frequency"] or modulation,
            start_time=starts,
            sound_speed=checked["sound_speed"] or contents.number(f"{ROOT}/sound_speed", 1540.0),
            frame_rate=prf / max(len(plane_angles), 1),
        )


def _samples(file: Container, modulation: float) -> Any:
    if not file.has(f"{ROOT}/data/real"):
        raise FormatError(f"{file.path}: expected {ROOT}/data/real; this challenge file holds a scan or a picture")
    real = file.array(f"{ROOT}/data/real")
    imag = file.array(f"{ROOT}/data/imag") if file.has(f"{ROOT}/data/imag") else None
    if real.ndim not in (2, 3, 4) or (imag is not None and imag.shape != real.shape):
        other = "" if imag is None else f" and {imag.shape}"
        raise FormatError(f"{file.path}: data: expected ([frames,] angles, channels, samples), got {real.shape}{other}")
    if real.dtype.kind not in "iuf" or (imag is not None and imag.dtype.kind not in "iuf"):
        raise FormatError(f"{file.path}: data: expected real numbers, got {real.dtype}")
    if imag is None or not modulation or not imag.any():
        if imag is not None and imag.any():
            raise FormatError(
                f"{file.path}: expected modulation_frequency for complex samples, got 0; pass demodulation_frequency="
            )
        samples = real if real.dtype == np.int16 else real.astype(np.float32, copy=False)
    else:
        samples = np.empty(real.shape, np.complex64)
        samples.real, samples.imag = real, imag
    return samples.reshape((1,) * (4 - samples.ndim) + samples.shape)


def _probe(file: Container) -> Probe:
    positions = np.asarray(file.array(f"{ROOT}/probe_geometry"), np.float64)
    if positions.ndim != 2 or 3 not in positions.shape:
        raise FormatError(f"{file.path}: probe_geometry: expected (3, n_elements), got {positions.shape}")
    positions = positions.T if positions.shape[0] == 3 else positions
    straight = not positions[:, 1:].any()
    return Probe(positions, kind="linear" if straight else "free")


FORMAT = Format("picmus", "PICMUS HDF5: /US/US_DATASET0000", sniff, read)
