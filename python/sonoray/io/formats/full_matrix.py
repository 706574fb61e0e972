"""Full-matrix captures of non-destructive testing: ``.mat`` with a structure ``exp_data`` (BRAIN, arim)."""

import numpy as np
from numpy.typing import NDArray

from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import given, one_based, regular_times


def sniff(file: Opened) -> bool:
    """The structure of the BRAIN toolbox."""
    return file.container is not None and file.container.matlab and "exp_data" in file.container.members()


def read(
    file: Opened,
    *,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    start_time: float | None = None,
) -> ChannelData:
    """Read a full or half matrix capture as single-element transmits.

    Conventions (arim's `io/brain.py`): ``time_data`` is (time, traces), trace k was sent by element ``tx[k]`` and
    received by ``rx[k]`` (from 1); t = 0 is the firing, ``time`` says when sampling began. A trace that is missing is
    taken from its mirror image by reciprocity, p(i, j) = p(j, i), so that a half matrix (tx <= rx) gives the full
    set. Transmits that are incomplete even so are left out.

    Parameters
    ----------
    sound_speed : float, optional [m/s]
        Instead of ``ph_velocity`` or ``material.vel_spherical_harmonic_coeffs``; default 6300 (aluminium).
    center_frequency, start_time : float, optional
        Instead of ``array.centre_freq`` [Hz] and the first ``time`` [s].

    References
    ----------
    .. [1] C. Holmes et al., Post-processing of the full matrix of ultrasonic transmit-receive array data for
       non-destructive evaluation, NDT & E International 38, 701 (2005).
    """
    c = given("sound_speed", sound_speed)
    fc = given("center_frequency", center_frequency)
    begin = given("start_time", start_time)
    contents = file.contents
    fc = fc or contents.number("exp_data.array.centre_freq", 0.0)
    fs, first = regular_times(contents, "exp_data.time")
    with naming(file.path):
        probe = _probe(contents, fc)
        firing, samples = _matrix(contents, probe.n_elements)
        return ChannelData(
            samples,
            probe,
            tuple(Transmit.single(int(i)) for i in firing),
            fs,
            center_frequency=fc,
            start_time=np.full(len(firing), first if begin is None else begin),
            sound_speed=c or _sound_speed(contents),
        )


def _sound_speed(file: Container) -> float:
    for path in ("exp_data.ph_velocity", "exp_data.material.vel_spherical_harmonic_coeffs"):
        if file.has(path) and (values := file.numbers(path)).size:
            return float(values[0])  # the first coefficient is the isotropic part
    return 6300.0


def _probe(file: Container, fc: float) -> Probe:
    axes = [file.numbers(f"exp_data.array.el_{axis}c") for axis in "xyz"]
    if len({len(a) for a in axes}) != 1:
        raise FormatError(f"{file.path}: exp_data.array: expected as many x, y and z, got {[len(a) for a in axes]}")
    sizes = {}
    for name, axis in (("width", 0), ("height", 1)):
        # Two sides of each element are listed; which of them lies along x and which along y differs.
        paths = [f"exp_data.array.el_{'xy'[axis]}{side}" for side in (1, 2)]
        sides = [file.numbers(path) for path in paths if file.has(path)]
        half = [float(np.abs(side - axes[axis]).mean()) for side in sides if len(side) == len(axes[axis])]
        sizes[name] = 2 * max(half, default=0.0)
    positions = np.stack(axes, axis=1)
    kind = "linear" if not positions[:, 1:].any() else "free"
    return Probe(
        positions,
        kind=kind,
        center_frequency=fc,
        width=sizes["width"],
        height=sizes["height"],
    )


def _matrix(file: Container, n: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Complete transmits, and samples (1, n_tx, n, n_samples) filled by reciprocity."""
    tx, rx = one_based(file, "exp_data.tx", n), one_based(file, "exp_data.rx", n)
    traces = file.array("exp_data.time_data")
    if traces.ndim != 2 or traces.dtype.kind not in "iuf" or not len(tx) == len(rx) == traces.shape[1]:
        raise FormatError(
            f"{file.path}: exp_data: expected time_data (time, traces) with a tx and an rx for each, "
            f"got shape {traces.shape}, {len(tx)} tx, {len(rx)} rx"
        )
    if traces.shape[0] != len(file.numbers("exp_data.time")):
        raise FormatError(f"{file.path}: exp_data: expected a time for each sample, got {traces.shape[0]} samples")
    pair = np.concatenate([tx * n + rx, rx * n + tx])  # measured traces first, so that they win over mirror images
    unique, source = np.unique(pair, return_index=True)
    complete = np.flatnonzero(np.bincount(unique // n, minlength=n) == n)
    if not len(complete):
        raise FormatError(
            f"{file.path}: exp_data: expected at least one transmit received by all {n} elements, got none"
        )
    keep = np.isin(unique // n, complete)
    trace = source[keep] % len(tx)
    with np.errstate(over="ignore"):
        columns = np.asarray(traces, np.float32).T
    return complete, columns[trace].reshape(1, len(complete), n, -1)


FORMAT = Format(
    "full-matrix",
    "full or half matrix capture .mat: exp_data (BRAIN, arim)",
    sniff,
    read,
)
