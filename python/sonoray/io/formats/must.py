"""MUST and PyMUST files: ``RF`` or ``IQ`` with a structure ``param``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import scalar
from ...acquisition.channel_data import ChannelData
from ...acquisition.probes import Probe
from ...acquisition.transmits import Transmit
from ...errors import FormatError
from .._container import Container, naming
from ..registry import Format, Opened
from ._facts import as_samples, given, given_angles

_SIGNALS = ("rf", "iq", "sig")
_GROUPS = ("xdcr", "medium", "tx", "rx")  # since 2026 the parameters are nested one level deeper


def sniff(file: Opened) -> bool:
    """A signal and its parameters."""
    if file.container is None or not file.container.matlab:
        return False
    names = file.container.members()
    return "param" in names and any(n.lower() in _SIGNALS for n in names)


class _Param:
    """Fields of ``param`` without regard to case, as MUST treats them."""

    def __init__(self, file: Container) -> None:
        self.file = file
        self.paths = {name.lower(): f"param.{name}" for name in file.members("param")}
        for group in _GROUPS:
            if group in self.paths:
                for name in file.members(self.paths[group]):
                    self.paths[name.lower()] = f"{self.paths[group]}.{name}"
        if "delay" in self.paths and "txdelay" not in self.paths and file.has("param.tx.delay"):
            self.paths["txdelay"] = "param.tx.delay"

    def number(self, name: str, default: float | None = None) -> float:
        return self.file.number(self.paths.get(name, f"param.{name}"), default)

    def array(self, name: str) -> NDArray[Any] | None:
        if name not in self.paths:
            return None
        values = self.file.array(self.paths[name])
        if values.dtype.kind not in "biuf":
            raise FormatError(f"{self.file.path}: param.{name}: expected real numbers, got {values.dtype}")
        return np.atleast_2d(np.asarray(values, np.float64)) if values.size else None


def read(
    file: Opened,
    *,
    sound_speed: float | None = None,
    center_frequency: float | None = None,
    start_time: float | None = None,
    angles: Any = None,
) -> ChannelData:
    """Read channel data of the MUST toolbox.

    Conventions (MUST's `das` and `dasmtx`): sample n of every element is at
    ``t0 + n / fs``; a delay of zero in ``TXdelay`` fires at t = 0. Delays that are linear along a straight array
    become a plane wave through the origin, whose time zero is shifted accordingly; others stay free delays, with NaN
    for elements that do not fire. I/Q means a(t) exp(-2 pi i fc t); where time zero is shifted, so is its phase. The
    third axis of the signal is slow time when
    ``TXdelay`` has one row, and the transmits when it has as many rows as that axis. A convex array has its chord at
    z = 0 and ``pitch`` along the chord between neighbours. RF may be sampled below the Nyquist rate (fs = 4/3 fc):
    it is left as it is, with ``center_frequency`` set.

    Parameters
    ----------
    sound_speed, center_frequency, start_time : float, optional
        Instead of ``param.c`` (default 1540 m/s), ``param.fc`` (also what I/Q was mixed with) and ``param.t0``
        (default 0 s).
    angles : (n_tx,) float [rad], optional
        Plane-wave angles instead of ``param.TXdelay``; time zero is then when the front passes the origin.

    References
    ----------
    .. [1] D. Garcia, Make the most of MUST, an open-source MATLAB UltraSound Toolbox, IEEE IUS 2021.
    .. [2] V. Perrot et al., So you think you can DAS?, Ultrasonics 111, 106309 (2021).
    """
    overrides = {n: given(n, v) for n, v in (("sound_speed", sound_speed), ("center_frequency", center_frequency),
                                            ("start_time", start_time))}  # fmt: skip
    plane_angles = given_angles(angles)
    contents = file.contents
    param = _Param(contents)
    signal = next((n for n in contents.members() if n.lower() in _SIGNALS), None)
    if signal is None:
        raise FormatError(f"{file.path}: expected a variable RF or IQ, got {', '.join(contents.members())}")
    samples = as_samples(contents.array(signal))
    if not 2 <= samples.ndim <= 4 or 0 in samples.shape:
        raise FormatError(f"{file.path}: {signal}: expected (samples, elements[, frames]), got shape {samples.shape}")
    c = overrides["sound_speed"] or param.number("c", 1540.0)
    fc = overrides["center_frequency"] or param.number("fc", param.number("f0", 0.0))
    t0 = param.number("t0", 0.0) if overrides["start_time"] is None else overrides["start_time"]
    n_elements = int(samples.shape[1])
    with naming(file.path):
        probe = _probe(param, n_elements, fc)
        if plane_angles is not None:
            events = [(Transmit.plane(a), 0.0) for a in plane_angles]
        else:
            events = [_transmit(row, probe, c) for row in _delays(param, n_elements)]
        shifts = np.array([shift for _, shift in events])
        arranged = _arrange(file, samples, len(events))
        if arranged.dtype.kind == "c" and shifts.any():
            arranged = arranged * np.exp(2j * np.pi * fc * shifts).astype(np.complex64)[:, None, None]
        prf = param.number("prf", 0.0)
        return ChannelData(
            arranged,
            probe,
            tuple(event for event, _ in events),
            param.number("fs"),
            demodulation_frequency=fc if arranged.dtype.kind == "c" else 0.0,
            center_frequency=fc,
            start_time=t0 - shifts,
            sound_speed=c,
            frame_rate=prf / len(events),
        )


def _probe(param: _Param, n: int, fc: float) -> Probe:
    width = param.number("width", 0.0)
    pitch = param.number("pitch", 0.0)
    if not width and pitch and "kerf" in param.paths:
        width = pitch - param.number("kerf")
    height = param.number("height", 0.0)
    options: dict[str, Any] = {
        "width": width,
        "height": 0.0 if np.isinf(height) else height,
        "center_frequency": fc,
        "bandwidth": fc * param.number("bandwidth", 0.0) / 100,
    }
    elements = param.array("elements")
    if elements is not None:
        elements = elements.T if elements.shape[0] != 2 and elements.shape[1] == 2 else elements
        second = 1 if "xdcr" in param.paths else 2  # rows are x, y in the nested layout, x, z in the flat one
        positions = np.zeros((elements.shape[1], 3))
        positions[:, 0] = elements[0]
        if len(elements) == 2:
            positions[:, second] = elements[1]
        return Probe(positions, kind="matrix" if second == 1 else "free", **options)
    radius = param.number("radius", np.inf)
    if not pitch:
        raise FormatError(f"{param.file.path}: param.pitch: expected the pitch in m, got nothing")
    if np.isinf(radius):
        return Probe.linear(n, pitch, **options)
    scalar("param.radius", radius, 1e-3, 1.0, "m")
    half = np.arcsin(min(pitch / 2 / radius, 1.0)) * (n - 1)  # the pitch is a chord between neighbours
    angle = np.linspace(-half, half, n)
    normals = np.stack([np.sin(angle), np.zeros(n), np.cos(angle)], axis=1)
    return Probe(
        radius * (normals - [0, 0, np.cos(half)]),
        normals,
        kind="curvilinear",
        **options,
    )


def _delays(param: _Param, n: int) -> NDArray[np.float64]:
    """Rows of transmit delays [s], one per transmit."""
    delays = param.array("txdelay")
    if delays is None:
        raise FormatError(
            f"{param.file.path}: param.TXdelay: expected transmit delays, got nothing; pass angles= for plane waves"
        )
    if delays.shape[1] != n and delays.shape[0] == n:
        delays = delays.T
    if delays.shape[1] != n:
        raise FormatError(f"{param.file.path}: param.TXdelay: expected {n} delays a row, got shape {delays.shape}")
    return np.asarray(delays, np.float64)


def _transmit(delays: NDArray[np.float64], probe: Probe, c: float) -> tuple[Transmit, float]:
    """The transmit, and how much later than MUST's its time zero is [s]."""
    fires = np.isfinite(delays)
    if fires.sum() == 1:
        element = int(fires.argmax())
        return Transmit.single(element), float(delays[element])
    x = probe.positions[:, 0]
    if fires.all() and probe.kind == "linear" and len(x) > 1:
        slope = float(((x - x.mean()) * delays).sum() / ((x - x.mean()) ** 2).sum())
        shift = float(delays.mean() - slope * x.mean())
        residual = np.abs(delays - slope * x - shift).max()
        # A nanosecond is 1/200 of a period at 5 MHz: below what delays are quantised to.
        if residual < 1e-9 and abs(slope * c) < 1:
            return Transmit.plane(float(np.arcsin(slope * c))), shift
    weights = None if fires.all() else fires.astype(float)
    return Transmit.free(np.where(fires, delays, 0.0), apodization=weights), 0.0


def _arrange(file: Opened, samples: NDArray[Any], n_tx: int) -> NDArray[Any]:
    """From (samples, elements, transmits or frames[, frames]) to (frames, transmits, elements, samples), no copy."""
    shape = (*samples.shape, 1, 1)[:4]
    full = samples.reshape(shape, order="A")
    if shape[2] == n_tx:
        return full.transpose(3, 2, 1, 0)
    if n_tx == 1 and shape[3] == 1:
        return full.transpose(2, 3, 1, 0)
    raise FormatError(f"{file.path}: expected {n_tx} transmits as the third axis, got signal shape {samples.shape}")


FORMAT = Format("must", "MUST / PyMUST .mat: RF or IQ with param", sniff, read)
