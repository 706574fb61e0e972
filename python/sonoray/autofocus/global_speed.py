"""One sound speed for a whole field of view, from one or a few transmits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import option, pair, scalar
from ..acquisition.channel_data import ChannelData, require_channel_data
from ..acquisition.encoding import decode
from ..acquisition.signals import demodulate
from ..errors import ArgumentError
from .aperture_autocorrelation import Autocorrelation, profile
from .trial_images import TrialImages

METHODS = ("auto", "transmit_coherence", "sharpness", "aperture_autocorrelation")
_STEP = 0.006  # relative, between trial speeds
_FINEST = 5e-4  # relative: what the criteria themselves were seen to err by
_MOST_TRANSMITS = 12
_COARSE = 4  # steps between trial speeds of the autocorrelation, whose maximum is wide
_SPECKLE = 2.0  # fourth moment over squared second moment of a Gaussian signal
_MOST_STRUCTURE = 1.5  # power variance over that of a Gaussian signal; above, it is no speckle
_LEAST_STRUCTURE = 1.2  # fourth moment over that of speckle; below, there is nothing to focus on


class NoStructureError(ArgumentError):
    """An image of pure speckle, which has nothing to focus on."""


@dataclass(frozen=True, eq=False)
class GlobalSpeed:
    """What `estimate_sound_speed` found.

    Attributes
    ----------
    sound_speed : float [m/s]
    uncertainty : float [m/s]
        One standard deviation, by what leaving out regions or times changes (jackknife). It does not know of errors
        that all of them share, such as a wrong pitch.
    method : str
        The one that gave it.
    curve : (2, n) float64
        Trial speeds [m/s] and the criterion at them (its maximum is the estimate).
    """

    sound_speed: float
    uncertainty: float
    method: str
    curve: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"GlobalSpeed({self.sound_speed:.1f} +- {self.uncertainty:.1f} m/s, {self.method})"


def estimate_sound_speed(
    channel_data: ChannelData,
    *,
    method: str = "auto",
    limits: tuple[float, float] = (1350.0, 1700.0),
    depth: tuple[float, float] | None = None,
    f_number: float = 0.8,
) -> GlobalSpeed:
    """Estimate the sound speed of a medium that is nearly homogeneous.

    Parameters
    ----------
    channel_data : ChannelData
        RF or I/Q of any probe and transmits; at most eight frames and a dozen transmits, spread evenly, are used. More
        than a dozen focused beams are decoded to single elements first.
    method : {"auto", "transmit_coherence", "sharpness", "aperture_autocorrelation"}
        ``transmit_coherence``: images of single transmits agree in phase [1]_; needs two transmits from different
        directions, works on anything that scatters, is the most exact. ``sharpness``: fourth moment of the image,
        normalised in each depth; needs structure such as points, borders and fibres, works with one transmit.
        ``aperture_autocorrelation``: how echoes correlate along the aperture, against its expectation for speckle;
        works on pure speckle with one plane wave of a linear array. ``auto``: the first where there are several
        transmits; else the second where there is structure; else the third.
    limits : (low, high) [m/s]
        Of the search.
    depth : (first, last) [m], optional
        Depths to use. Default: from a tenth of the aperture to twice the aperture, or to the end of the record.
    f_number : float
        Of the receive aperture. Wide ones see the speed best.

    Returns
    -------
    GlobalSpeed

    Raises
    ------
    ArgumentError
        Silence, fewer than 8 elements, transmits that the method cannot use, no maximum inside the limits, limits not
        rising or not in m/s.

    Notes
    -----
    The speed that the sequence assumed matters only for its firing times: a steered wave is refracted to its true
    angle. Trial images show the same echoes at every speed (depth = speed * time / 2) so that criteria compare like
    with like. An unknown time zero biases all methods by about half its ratio to the echo time.

    References
    ----------
    .. [1] R. Ali, D. Hyun, J. Dahl, Sound speed estimation in layered media using the angular coherence of plane
       waves, Proc. SPIE 11319, 113190F (2020).
    .. [2] A. M. Sykulski et al., The debiased Whittle likelihood, Biometrika 106, 251 (2019).

    Examples
    --------
    >>> import sonoray
    >>> data, _ = sonoray.load_example()
    >>> 1480 < estimate_sound_speed(data).sound_speed < 1580
    True
    """
    option("method", method, METHODS)
    require_channel_data(channel_data)
    low, high = (scalar("limits", v, 300.0, 12000.0, "m/s") for v in pair("limits", limits))
    if not low * 1.02 < high:
        raise ArgumentError(f"limits: expected rising speeds at least 2 % apart, got {low:g} to {high:g} m/s")
    scalar("f_number", f_number, 0.3, 10.0, "(ratio)")
    if channel_data.n_rx < 8:
        raise ArgumentError(f"channel_data: expected at least 8 elements, got {channel_data.n_rx}")
    if not channel_data.samples.any():
        raise ArgumentError("channel_data: expected echoes, got silence (all samples are zero)")
    several = _distinct_transmits(channel_data)
    if method == "transmit_coherence" and not several:
        raise ArgumentError("method: 'transmit_coherence' expects transmits from at least two directions, got one")
    iq = _part(channel_data)
    if method != "auto":
        return _FINDERS[method](iq, (low, high), depth, f_number)
    if several:
        return _by_coherence(iq, (low, high), depth, f_number)
    try:
        return _by_sharpness(iq, (low, high), depth, f_number)
    except NoStructureError as error:
        try:
            return _by_autocorrelation(iq, (low, high), depth, f_number)
        except ArgumentError as other:
            raise ArgumentError(f"{error}; {other}") from None


def _distinct_transmits(data: ChannelData) -> bool:
    fired = [t.firing_times(data.probe, data.sound_speed) for t in data.transmits]
    first = np.nan_to_num(fired[0] - np.nanmean(fired[0]), nan=1.0)
    return any(np.abs(np.nan_to_num(f - np.nanmean(f), nan=1.0) - first).max() > 1e-9 for f in fired[1:])


def _part(data: ChannelData) -> ChannelData:
    """At most eight frames and twelve transmits as I/Q; beams that hardly overlap become single elements."""
    part = data.select(frames=_spread(data.n_frames, 8))
    if data.n_tx > _MOST_TRANSMITS and any(t.kind == "focused" for t in data.transmits):
        part = decode(part if part.is_iq else demodulate(part))
    part = part.select(transmits=_spread(part.n_tx, _MOST_TRANSMITS))
    return part if part.is_iq else demodulate(part)


def _spread(n: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(most, n)).round().astype(np.intp))


def _trials(limits: tuple[float, float], step: float = _STEP) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.arange(np.log(limits[0]), np.log(limits[1]) + step, step)))


def _images(iq: ChannelData, limits: tuple[float, float], depth: Any, f_number: float) -> TrialImages:
    return TrialImages(iq, limits, depth, f_number)


def _by_coherence(iq: ChannelData, limits: tuple[float, float], depth: Any, f_number: float) -> GlobalSpeed:
    speeds = _trials(limits)
    values = _images(iq, limits, depth, f_number).coherence(speeds)
    best = int(values.mean(axis=0).argmax())
    weight = np.maximum(values[:, best], 0) ** 2  # regions without echoes have only noise to add
    return _of_regions(values * (weight / weight.mean())[:, None], speeds, "transmit_coherence")


def _by_sharpness(iq: ChannelData, limits: tuple[float, float], depth: Any, f_number: float) -> GlobalSpeed:
    speeds = _trials(limits)
    values = _images(iq, limits, depth, f_number).sharpness(speeds)
    moment = float(values.mean(axis=0).max())
    if moment < _LEAST_STRUCTURE * _SPECKLE:
        raise NoStructureError(
            f"method: 'sharpness' expects structure, a fourth moment above {_LEAST_STRUCTURE * _SPECKLE:g}, got "
            f"{moment:.2g}, as of pure speckle"
        )
    return _of_regions(values, speeds, "sharpness")


def _by_autocorrelation(iq: ChannelData, limits: tuple[float, float], depth: Any, f_number: float) -> GlobalSpeed:
    del depth, f_number  # it takes raw signals
    parts = [Autocorrelation.of(iq, tx) for tx in range(min(3, iq.n_tx))]
    speeds = _trials(limits, _COARSE * _STEP)
    structure = max(p.structure(float(speeds[len(speeds) // 2])) for p in parts)
    if structure > _MOST_STRUCTURE:
        raise ArgumentError(
            f"method: 'aperture_autocorrelation' expects speckle, power that varies at most {_MOST_STRUCTURE:g} times "
            f"as much as that of Gaussian signals, got {structure:.2g} times"
        )
    misfit = np.concatenate([p.misfits(speeds) for p in parts])
    total = misfit.sum(axis=0)
    without = np.stack([-profile(total - m) for m in misfit])
    return _maximum(-profile(total), without, speeds, "aperture_autocorrelation")


_FINDERS = {
    "transmit_coherence": _by_coherence,
    "sharpness": _by_sharpness,
    "aperture_autocorrelation": _by_autocorrelation,
}


def _of_regions(values: NDArray[np.float64], speeds: NDArray[np.float64], name: str) -> GlobalSpeed:
    """From curves of regions, (n_regions, n_speeds)."""
    without = (values.sum(axis=0) - values) / max(len(values) - 1, 1)
    return _maximum(values.mean(axis=0), without, speeds, name)


def _maximum(
    whole: NDArray[np.float64], without: NDArray[np.float64], speeds: NDArray[np.float64], name: str
) -> GlobalSpeed:
    """The speed at the maximum of a curve, with its jackknife from the curves (n, n_speeds) without each part."""
    at = int(whole.argmax())
    if not 0 < at < len(speeds) - 1:
        raise ArgumentError(
            f"limits: expected a maximum of the {name} between {speeds[0]:.0f} and {speeds[-1]:.0f} m/s, but it rises "
            f"to the limit at {speeds[at]:.0f} m/s; widen the limits, or the data do not tell the speed this way"
        )
    left_out = np.array([_vertex(speeds, w, int(w.argmax())) for w in without])
    n = len(left_out)
    spread = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
    best = _vertex(speeds, whole, at)
    return GlobalSpeed(best, float(np.hypot(spread, _FINEST * best)), name, np.stack([speeds, whole]))


def _vertex(speeds: NDArray[np.float64], values: NDArray[np.float64], at: int) -> float:
    """Vertex of the parabola through three points, equally spaced in log speed."""
    at = int(np.clip(at, 1, len(speeds) - 2))
    a, b, c = values[at - 1 : at + 2]
    bend = a - 2 * b + c
    step = 0.5 * (a - c) / bend if bend < 0 else 0.0
    return float(speeds[at] * (speeds[1] / speeds[0]) ** np.clip(step, -1, 1))
