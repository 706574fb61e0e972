"""pybf files: HDF5 with ``data/rf_data/frame_*/shot_*`` and ``trans_params``."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import as_samples, given, given_angles


def sniff(file: Opened) -> bool:
    """Frames of shots, and a transducer."""
    return file.container is not None and all(file.container.has(n) for n in ("data/rf_data", "trans_params"))


def read(
    file: Opened,
    *,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    start_time: float | None = None,
    angles: Any = None,
) -> ChannelData:
    """Read plane-wave channel data of pybf.

    Conventions (pybf's `delay_calc.py`; the simulated one checked on its listed scatterers): angles in
    ``data/tx_mode/PW_*`` [rad], positive when the wave travels towards +x; shots are (elements, samples). Sample n is
    at ``n / f_sampling - correction``. Simulated sets (``sim_params``) count from when the front passes the
    origin, with ``data/correction_time_shift``; measured ones (``hardware_params``) count from when the
    first element fires, at ``start_time - correction_time``, which is moved here to the origin.

    Parameters
    ----------
    sound_speed : float, optional [m/s]
        The format does not hold it; default 1540.
    center_frequency, start_time, angles : optional
        Instead of what the file says; [Hz], [s] (from the front's passage of the origin), [rad].

    References
    ----------
    .. [1] S. Vostrikov, pybf, ETH Zurich, https://github.com/Sergio5714/pybf (tests/data/README.md).
    """
    c = given("sound_speed", sound_speed) or 1540.0
    fc = given("center_frequency", center_frequency)
    begin = given("start_time", start_time)
    plane_angles = given_angles(angles)
    contents = file.contents
    fc = fc or contents.number("trans_params/f_central")
    if plane_angles is None:
        plane_angles = _angles(contents)
    samples = _samples(contents, len(plane_angles))
    with naming(file.path):
        probe = _probe(contents, fc)
        starts = _start_times(contents, plane_angles, probe, c) if begin is None else np.full(len(plane_angles), begin)
        return ChannelData(
            samples,
            probe,
            tuple(Transmit.plane(a) for a in plane_angles),
            contents.number("data/f_sampling"),
            center_frequency=fc,
            start_time=starts,
            sound_speed=c,
            frame_rate=contents.number("data/fps", 0.0),
        )


def _angles(file: Container) -> NDArray[np.float64]:
    modes = file.members("data/tx_mode") if file.has("data/tx_mode") else ()
    if len(modes) != 1 or not modes[0].startswith("PW"):
        raise FormatError(
            f"{file.path}: data/tx_mode: expected one plane-wave sequence PW_*, got {', '.join(modes) or 'nothing'}; "
            "pass angles="
        )
    return file.numbers(f"data/tx_mode/{modes[0]}")


def _numbered(file: Container, path: str, stem: str) -> list[str]:
    """Members ``stem_1``, ``stem_2``, … in the order of their numbers."""
    found = {int(m[1]): m[0] for n in file.members(path) if (m := re.fullmatch(rf"{stem}_(\d{{1,9}})", n))}
    if not found:
        raise FormatError(f"{file.path}: {path}: expected {stem}_1, {stem}_2, …, got nothing of the kind")
    return [f"{path}/{found[i]}" for i in sorted(found)]


def _samples(file: Container, n_tx: int) -> NDArray[Any]:
    frames: list[NDArray[Any]] = []
    for frame in _numbered(file, "data/rf_data", "frame"):
        shots = [as_samples(file.array(shot)) for shot in _numbered(file, frame, "shot")]
        kinds = {(s.shape, s.dtype.str) for s in shots} | {(f.shape[1:], f.dtype.str) for f in frames}
        if len(shots) != n_tx or len(kinds) != 1 or shots[0].ndim != 2:
            raise FormatError(
                f"{file.path}: {frame}: expected {n_tx} shots of one shape (elements, samples), got {sorted(kinds)}"
            )
        frames.append(np.stack(shots))
    return np.stack(frames)


def _probe(file: Container, fc: float) -> Probe:
    n_x = file.count("trans_params/x_num_of_elements")
    if file.number("trans_params/y_num_of_elements", 1.0) != 1:
        raise FormatError(f"{file.path}: trans_params: expected one row of elements, got a matrix array")
    bandwidth = file.number("trans_params/bandwidth", 0.0)
    return Probe.linear(
        n_x,
        file.number("trans_params/x_pitch"),
        width=file.number("trans_params/x_width", 0.0),
        height=file.number("trans_params/y_width", 0.0),
        center_frequency=fc,
        bandwidth=bandwidth * fc if bandwidth <= 2 else bandwidth,  # both the fraction and Hz are in use
    )


def _start_times(file: Container, angles: NDArray[np.float64], probe: Probe, c: float) -> NDArray[np.float64]:
    """Time of the first sample from the front's passage of the origin [s]."""
    if file.has("data/correction_time_shift"):
        return np.full(len(angles), -file.number("data/correction_time_shift"))
    if file.has("hardware_params"):
        begin = file.number("hardware_params/start_time", 0.0) - file.number("hardware_params/correction_time", 0.0)
        return np.asarray(begin - np.abs(probe.positions[:, 0]).max() * np.abs(np.sin(angles)) / c)
    return np.full(len(angles), file.number("sim_params/start_time", 0.0))


FORMAT = Format("pybf", "pybf HDF5: data/rf_data/frame_*/shot_*", sniff, read)
