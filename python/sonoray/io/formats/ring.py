"""Ring-array ``.mat`` files: ``full_dataset``, ``time``, ``transducerPositionsXY`` (Rochester's schema)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import array, count, option
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import ArgumentError, FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import as_samples, given, one_based, regular_times

_NAMES = ("full_dataset", "time", "transducerPositionsXY")


def sniff(file: Opened) -> bool:
    """The three variables of the schema."""
    return file.container is not None and set(_NAMES) <= set(file.container.members())


def read(
    file: Opened,
    *,
    dataset: str = "full",
    transmits: Any = None,
    scale: bool = False,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    start_time: float | None = None,
) -> ChannelData:
    """Read transmission data of a ring array.

    Conventions (the schema of the Rochester ring-array sets): ``full_dataset`` is
    (time, receivers, transmitters) in MATLAB's order; t = 0 is the start of the source pulse, ``time`` says when
    sampling began. Positions x, y become x, z here (the plane y = 0), and the elements face the ring's centre.
    ``tx_index`` (from 1), where present, lists the transmitters that hold data; the others are left out. Of a 7.3
    file only the wanted transmits are read.

    Parameters
    ----------
    dataset : {"full", "water"}
        "water" gives the reference shots through water (``water_dataset``, ``water_tx_index``).
    transmits : sequence of int or slice, optional
        Which of the valid transmits, from 0; default all.
    scale : bool
        Multiply by ``data_scale`` (``water_scale``) into float32 pressure; else the counts stay as stored. Object and
        water may have different scales.
    sound_speed : float, optional [m/s]
        Instead of ``c_water``; default 1480.
    center_frequency, start_time : float, optional
        The format does not hold the first [Hz]; the second is ``time(1)`` [s].

    References
    ----------
    .. [1] R. Ali et al., 2-D slicewise waveform inversion of sound speed and acoustic attenuation for ring array
       ultrasound tomography based on a block LU solver, IEEE Trans. Med. Imaging 43, 2988 (2024).
    """
    option("dataset", dataset, ("full", "water"))
    c = given("sound_speed", sound_speed)
    fc = given("center_frequency", center_frequency)
    begin = given("start_time", start_time)
    contents = file.contents
    fs, first = regular_times(contents, "time")
    with naming(file.path):
        probe = _probe(contents, fc or 0.0)
    name, index, factor = (
        ("full_dataset", "tx_index", "data_scale")
        if dataset == "full"
        else ("water_dataset", "water_tx_index", "water_scale")
    )
    if not contents.has(name):
        raise FormatError(f"{file.path}: expected {name}, which the file lacks")
    rows, elements = _valid(contents, name, index, probe.n_elements)
    picked = _chosen(transmits, len(rows))
    samples = as_samples(_traces(contents, name, rows[picked]))
    if scale:
        samples = samples * np.float32(contents.number(factor))
    with naming(file.path):
        return ChannelData(
            samples[None],
            probe,
            tuple(Transmit.single(int(i)) for i in elements[picked]),
            fs,
            center_frequency=fc or 0.0,
            start_time=np.full(len(picked), first if begin is None else begin),
            sound_speed=c or contents.number("c_water", 1480.0),
        )


def _probe(file: Container, fc: float) -> Probe:
    xy = np.asarray(file.array("transducerPositionsXY"))
    if file.matlab is False:
        xy = xy.T
    if xy.dtype.kind not in "iuf":
        raise FormatError(f"{file.path}: transducerPositionsXY: expected real numbers, got {xy.dtype}")
    xy = array("transducerPositionsXY", xy, (2, None), low=-2.0, high=2.0, unit="m")
    positions = np.stack([xy[0], np.zeros(xy.shape[1]), xy[1]], axis=1)
    inward = _centre(positions[:, [0, 2]]) - positions[:, [0, 2]]
    normals = np.stack([inward[:, 0], np.zeros(len(inward)), inward[:, 1]], axis=1)
    return Probe(positions, normals, kind="ring", center_frequency=fc)


def _centre(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of the circle through points, least squares of |p|^2 = 2 p.c + const (Kasa); their mean if too few."""
    mean = points.mean(axis=0)
    rest = points - mean
    if len(points) < 3 or np.linalg.matrix_rank(rest) < 2:
        return np.asarray(mean)
    matrix = np.column_stack([2 * rest, np.ones(len(rest))])
    solution = np.linalg.lstsq(matrix, (rest**2).sum(axis=1), rcond=None)[0]
    return np.asarray(mean + solution[:2])


def _valid(file: Container, name: str, index: str, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which transmit rows of the stored array hold data, and which element fired in each."""
    shape = file.shape(name) if file.matlab else file.shape(name)[::-1]
    shape = (*shape, 1) if len(shape) == 2 else shape  # MATLAB drops a last axis of length one
    if len(shape) != 3 or shape[1] != n or 0 in shape:
        raise FormatError(f"{file.path}: {name}: expected (time, {n} receivers, transmitters), got {shape}")
    if file.has(index):
        elements = one_based(file, index, n)
        if len(np.unique(elements)) < len(elements):
            raise FormatError(f"{file.path}: {index}: expected each transmitter once, got one twice")
    else:
        elements = np.arange(shape[2])
    if shape[2] == len(elements) and shape[2] <= n:
        return np.arange(len(elements)), elements
    if shape[2] == n:
        return elements, elements
    raise FormatError(
        f"{file.path}: {name}: expected {len(elements)} transmits (as {index} says) or {n}, got {shape[2]}"
    )


def _chosen(transmits: Any, n: int) -> NDArray[np.intp]:
    if transmits is None or isinstance(transmits, slice):
        chosen = np.arange(n)[transmits or slice(None)]
    else:
        chosen = np.array([count("transmits", i, 0, n - 1) for i in np.atleast_1d(transmits).tolist()], np.intp)
    if not len(chosen):
        raise ArgumentError(f"transmits: expected at least one of the {n} valid transmits, got none")
    return chosen


def _traces(file: Container, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
    """(transmits, receivers, time)."""
    shape = file.shape(name)
    if len(shape) == 2:
        values = file.array(name)[..., None] if file.matlab else file.array(name)[None]
    else:
        everything = len(rows) == (shape[-1] if file.matlab else shape[0]) and (rows == np.arange(len(rows))).all()
        values = file.array(name, None if everything else rows)
    values = values.transpose(2, 1, 0) if file.matlab else values
    if values.dtype.kind not in "iuf":
        raise FormatError(f"{file.path}: {name}: expected real numbers, got {values.dtype}")
    if values.shape[2] != file.numbers("time").size:
        raise FormatError(f"{file.path}: time: expected {values.shape[2]} values, got {file.numbers('time').size}")
    return values


FORMAT = Format("ring", "ring-array .mat: full_dataset, time, transducerPositionsXY", sniff, read)
