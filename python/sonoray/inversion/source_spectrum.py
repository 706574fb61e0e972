"""What the elements send and hear, from shots through water, and spectra freed from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from .._checks import array, option, scalar
from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .gains import fit_gains
from .pairs import emitter_positions, pair_distances
from .spectra import Spectra, inverse_filter, spectra
from .travel_times import shared_transmits

KINDS = ("common", "elements", "pair")
_NEAREST = 0.3  # of the largest distance: nearer pairs hear directivity and the wall
_WEAK = 0.1  # of the median magnitude: a pair that weak in water has nothing to divide by
_CONTRAST = 3.0  # of the wave over what the fit leaves, at a usable frequency


@dataclass(frozen=True, eq=False, repr=False)
class SourceSpectrum:
    """Spectrum S with W = S G in water: pulse, sensitivity, electronics.

    Made by `fit_source_spectrum`.

    Parameters
    ----------
    frequencies : (n_f,) float64 [Hz]
    transmit, receive : (n_f, n_elements) complex128
        S = transmit_e receive_r, where it is not taken pair by pair; 1 for elements that did not emit.
    measured : (n_f, n_water, n_elements) complex64 or None
        S of every pair; 0 where there is none.
    elements : (n_water,) int
        Elements that fired in the water shots.
    level : (n_f,) float64
        Median magnitude of S.
    contrast : (n_f,) float64
        Median magnitude of G over the robust standard deviation of W / (transmit receive) - G: noise, and elements
        that differ.
    """

    frequencies: NDArray[np.float64]
    transmit: NDArray[np.complex128]
    receive: NDArray[np.complex128]
    measured: NDArray[np.complex64] | None
    elements: NDArray[np.intp]
    level: NDArray[np.float64]
    contrast: NDArray[np.float64]

    def __repr__(self) -> str:
        f, kind = self.frequencies, "of every pair" if self.measured is not None else "of the elements"
        return f"SourceSpectrum({kind}, {len(f)} at {f.min():.4g} to {f.max():.4g} Hz)"

    def usable(self, dynamic_range: float = 20.0) -> NDArray[np.bool_]:
        """Frequencies with energy: within a dynamic range [dB] of the strongest and above what the fit leaves."""
        span = scalar("dynamic_range", dynamic_range, 1.0, 200.0, "dB")
        strong = self.level >= self.level.max() * 10 ** (-span / 20)
        return np.asarray((self.level > 0) & strong & (self.contrast > _CONTRAST))

    def at(self, index: int, elements: NDArray[np.intp]) -> NDArray[np.complex128]:
        """S (n_tx, n_elements) at one frequency, of emissions by these elements (n_tx,); 0 where unknown."""
        if self.measured is None:
            return np.asarray(np.outer(self.transmit[index][elements], self.receive[index]))
        rows = {int(e): k for k, e in enumerate(self.elements)}
        missing = [int(e) for e in elements if int(e) not in rows]
        if missing:
            raise ArgumentError(f"elements: expected ones that fired in water, got {missing[0]}")
        return np.asarray(self.measured[index][[rows[int(e)] for e in elements]], np.complex128)


def water_greens(distance: Any, frequency: float, sound_speed: float, *, exact: bool = False) -> NDArray[Any]:
    """Green's function of the 2-D Helmholtz equation in water, (laplace + k^2) G = -delta, factor exp(-i omega t).

    (i / 4) H0(k r), Hankel's function of the first kind, or its leading order sqrt(2 c / (pi omega r)) / 4
    exp(i (k r + pi / 4)), which `greens_function` continues along rays; they differ by 1 / (8 k r).

    Parameters
    ----------
    distance : (...) float64 [m]
    frequency : float [Hz]
    sound_speed : float [m/s]
    exact : bool

    Returns
    -------
    (...) complex128
        0 at distance 0.
    """
    r = np.asarray(distance, np.float64)
    r = array("distance", r, (None,) * r.ndim, low=0.0, high=4.0, unit="m")
    f = scalar("frequency", frequency, 1e3, 1e9, "Hz")
    kr = 2 * np.pi * f / scalar("sound_speed", sound_speed, 300.0, 12000.0, "m/s") * r
    apart = kr > 0
    kr = np.where(apart, kr, 1.0)
    if exact:  # a ring has few distances, and the function is slow
        different, back = np.unique(np.round(kr, 9), return_inverse=True)
        g = 0.25j * scipy.special.hankel1(0, different)[back.reshape(kr.shape)]
    else:
        g = 0.25 * np.sqrt(2 / (np.pi * kr)) * np.exp(1j * (kr + 0.25 * np.pi))
    return np.asarray(np.where(apart, g, 0))


def fit_source_spectrum(
    water: ChannelData,
    frequencies: Any,
    *,
    kind: str = "common",
    sound_speed: float | None = None,
    exact: bool = False,
    robust: str = "huber",
    pairs: Any = None,
    **options: Any,
) -> SourceSpectrum:
    """Fit what the elements send and hear to shots through water, robustly over all receivers.

    Parameters
    ----------
    water : ChannelData
        Transmits of single elements; one suffices for "common".
    frequencies : (n_f,) float64 [Hz]
    kind : {"common", "elements", "pair"}
        One spectrum for all; a factor of each emitter and each receiver (an emitter without a water shot gets their
        geometric mean); or every pair its own, which also takes out directivity along the direct path, errors of
        position to first order and the dispersion of a simulation, and adds the noise of that one trace.
    sound_speed : float, optional [m/s]
        Of the water then; default that of the data. Better measured (`measure_water_speed`) than assumed: for
        "common" and "elements" an error remains as a delay that varies with distance.
    exact : bool
        Of `water_greens`.
    robust : {"huber", "tukey", "none"}
        Of `fit_gains`.
    pairs : (n_tx, n_rx) bool, optional
        That the fit uses; default those further apart than 0.3 of the largest distance.
    **options
        Of `spectra`.

    Returns
    -------
    SourceSpectrum

    Raises
    ------
    ArgumentError
        No usable pair, wrong shapes and units.
    """
    option("kind", kind, KINDS)
    c = scalar("sound_speed", water.sound_speed if sound_speed is None else sound_speed, 300.0, 12000.0, "m/s")
    found = spectra(water, frequencies, sound_speed=c, **options)
    distance = pair_distances(emitter_positions(water), water.probe.positions)
    used = found.pairs & (distance > _NEAREST * distance.max())
    if pairs is not None:
        used = found.pairs & array("pairs", pairs, distance.shape, bool)
    if not used.any():
        raise ArgumentError("water: expected at least one trace with a wave among the pairs, got none")
    elements = np.array([t.element for t in water.transmits], np.intp)
    n_f, n = found.n_frequencies, water.n_rx
    transmit, receive = np.ones((n_f, n), np.complex128), np.ones((n_f, n), np.complex128)
    measured = np.zeros(found.values.shape, np.complex64) if kind == "pair" else None
    level, contrast = np.zeros(n_f), np.zeros(n_f)
    for k, f in enumerate(found.frequencies):
        g, w = water_greens(distance, float(f), c, exact=exact), found.values[k]
        gains = fit_gains(g, w, used, kind="rank_one" if kind == "elements" else "common", robust=robust)
        transmit[k, elements], receive[k] = gains.transmit, gains.receive
        s = gains.pairs[used]
        if measured is not None:
            np.divide(w, g, out=measured[k], where=found.pairs, casting="same_kind")
            s = measured[k][used]
        level[k] = np.median(np.abs(s))
        contrast[k] = np.median(np.abs(g[used])) / max(float(gains.scatter), np.finfo(np.float32).tiny)
    return SourceSpectrum(found.frequencies, transmit, receive, measured, elements, level, contrast)


def calibrate(
    found: Spectra, source: SourceSpectrum, channel_data: ChannelData, *, regularization: float = 1e-2
) -> Spectra:
    """Divide spectra by what the elements sent and heard: D S* / (|S|^2 + (lambda max |S|)^2).

    With S = W / G of water the result is D / W G_water: the pressure of a unit line source.

    Parameters
    ----------
    found : Spectra
        Not deconvolved.
    source : SourceSpectrum
        At the same frequencies.
    channel_data : ChannelData
        Of which `found` was made: which element fired when.
    regularization : float
        lambda; the largest magnitude is that over the source's frequencies.

    Returns
    -------
    Spectra
        Pairs without a wave through water are left out; frequencies at which theirs is 20 dB below the median have
        weight 0.

    Raises
    ------
    ArgumentError
        Other frequencies or shapes.
    """
    if not np.array_equal(found.frequencies, source.frequencies):
        raise ArgumentError("source: expected the frequencies of the spectra")
    elements = np.array([t.element for t in channel_data.transmits], np.intp)
    if found.values.shape[1:] != (len(elements), source.receive.shape[1]):
        raise ArgumentError(
            f"channel_data: expected {found.values.shape[1:]} emitters and receivers as in the spectra, "
            f"got {(len(elements), source.receive.shape[1])}"
        )
    values, pairs = np.empty_like(found.values), np.array(found.pairs)
    weights = np.array(found.weights) if found.weights is not None else None
    if source.measured is not None:
        weights = np.ones(values.shape, np.float32) if weights is None else weights
        heard = np.zeros(pairs.shape, bool)
    common = source.measured is None and bool(
        (source.transmit == 1).all() and np.ptp(source.receive, axis=1).max() == 0
    )
    for k in range(found.n_frequencies):
        s = source.receive[k, :1] if common else source.at(k, elements)
        inverse = inverse_filter(s, regularization, source.level.max()).astype(np.complex64)
        np.multiply(found.values[k], inverse, out=values[k])
        if source.measured is not None and weights is not None:
            heard |= s != 0
            weights[k][np.abs(s) < _WEAK * source.level[k]] = 0
    if source.measured is not None:
        pairs &= heard
        values *= pairs
    return Spectra(found.frequencies, values, pairs, weights)


def calibrated_spectra(
    channel_data: ChannelData,
    water: ChannelData,
    frequencies: Any,
    *,
    reference: str = "auto",
    sound_speed: float | None = None,
    water_sound_speed: float | None = None,
    exact: bool = False,
    regularization: float = 1e-2,
    pairs: Any = None,
    **options: Any,
) -> tuple[Spectra, SourceSpectrum]:
    """Spectra as unit line sources would give, by shots through water of the same array.

    Parameters
    ----------
    channel_data, water : ChannelData
    frequencies : (n_f,) float64 [Hz]
    reference : {"auto", "common", "elements", "pair"}
        Kind of `fit_source_spectrum`. "auto": "pair" where `water` holds every transmit of `channel_data`, else
        "common".
    sound_speed : float, optional [m/s]
        Of the water around the object, for the window; default that of the data.
    water_sound_speed : float, optional [m/s]
        While the shots through water were recorded; default `sound_speed` where that is given, else that of `water`.
    exact : bool
        Of `water_greens`.
    regularization : float
        Of `calibrate`.
    pairs : (n_tx, n_rx) bool, optional
        Of the object, that are wanted.
    **options
        Of `spectra`, for object and water alike but for ``frame``, which is the object's.

    Returns
    -------
    Spectra
    SourceSpectrum

    Raises
    ------
    ArgumentError
        Another array or sampling frequency in water, no wave in water, wrong shapes and units.
    """
    option("reference", reference, ("auto", *KINDS))
    rows = shared_transmits(channel_data, water)
    if reference == "pair" and rows is None:
        raise ArgumentError("reference: expected water shots of every transmit for 'pair'; use 'common'")
    kind = reference if reference != "auto" else "common" if rows is None else "pair"
    then = water_sound_speed if water_sound_speed is not None else sound_speed
    alike = {name: value for name, value in options.items() if name != "frame"}
    source = fit_source_spectrum(water, frequencies, kind=kind, sound_speed=then, exact=exact, **alike)
    found = spectra(channel_data, frequencies, sound_speed=sound_speed, pairs=pairs, **options)
    return calibrate(found, source, channel_data, regularization=regularization), source
