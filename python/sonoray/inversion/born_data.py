"""Spectra for ray-Born inversion: which frequencies, calibrated how, which pairs."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .born_settings import RayBornSettings
from .outliers import largest_masked
from .pairs import checked_pairs
from .source_spectrum import calibrated_spectra, fit_source_spectrum
from .spectra import Spectra, spectra, usable_band

_NUMBER = 60  # of frequencies by default
_PROBES = 64  # frequencies at which energy is looked for
_RANGE = 20.0  # [dB] of the pulse, where it is known
_STEEP = 10.0  # [dB] of recordings with their noise
_SILENT = 1.5  # standard deviations of the noise, whose own median is 0.8
_SHOTS = 8  # transmits of which they are looked for
_FINEST = 1.7  # spacings in the shortest wavelength used by default


def born_spectra(
    data: ChannelData,
    water: ChannelData | None,
    settings: RayBornSettings,
    sound_speed: float | None,
    water_sound_speed: float | None,
    pairs: Any,
    spacing: float,
) -> Spectra:
    """Spectra at the settings' frequencies; of the speeds, those that the user gave.

    Raises
    ------
    ArgumentError
        No energy at any frequency, frequencies beyond Nyquist's, several frames.
    """
    if pairs is not None:
        pairs = checked_pairs(pairs, (data.n_tx, data.n_rx))
    if data.n_frames != 1:
        raise ArgumentError(f"data: expected one frame, got {data.n_frames}; choose one by data.select(frames=...)")
    probes, heard = _heard(data, sound_speed, pairs)
    then = sound_speed if water_sound_speed is None else water_sound_speed
    c = data.sound_speed if sound_speed is None else sound_speed
    frequencies = _frequencies(probes, heard, water, settings, then, c, spacing)
    options: dict[str, Any] = {"sound_speed": sound_speed, "pairs": pairs}
    noise = np.full(len(frequencies), noise_floor(heard))
    if water is None:
        found = spectra(data, frequencies, **options)
    else:
        found, source = calibrated_spectra(data, water, frequencies, water_sound_speed=water_sound_speed, **options)
        noise /= np.maximum(source.level, 1e-30)
    _refuse_silence(found, noise)
    return without_largest(found.with_(noise=noise), settings)


def without_largest(found: Spectra, settings: RayBornSettings) -> Spectra:
    """Spectra whose largest data have no weight, as many as the settings say."""
    if not settings.outliers:
        return found
    weights = found.pairs if found.weights is None else found.weights
    return found.with_(weights=largest_masked(found.values, weights, settings.outliers))


def within_band(found: Spectra, settings: RayBornSettings) -> Spectra:
    """Given spectra in rising order of frequency, those in the settings' band."""
    order = np.argsort(found.frequencies, kind="stable")
    if settings.frequencies is not None:
        low, high, _ = settings.frequencies
        f = found.frequencies[order]
        order = order[(f >= low) & (f <= high)]
        if not order.size:
            raise ArgumentError(
                f"frequencies: expected a band that holds some of the spectra's, got {low:g} to {high:g}"
            )
    return found if np.array_equal(order, np.arange(found.n_frequencies)) else found.select(order)


def _refuse_silence(found: Spectra, noise: NDArray[np.float64]) -> None:
    """Refuse frequencies at which there is only noise; warn if it is some of them."""
    silent = found.level < _SILENT * noise
    if silent.all():
        raise ArgumentError(
            f"frequencies: expected some at which the recordings hold more than noise, got "
            f"{found.frequencies[0]:g} to {found.frequencies[-1]:g} Hz"
        )
    if silent.any():
        f = found.frequencies[silent]
        warnings.warn(
            f"at {silent.sum()} of {len(silent)} frequencies ({f.min():g} to {f.max():g} Hz) the recordings hold only "
            "noise; choose `frequencies` without them",
            stacklevel=3,
        )


def noise_floor(heard: Spectra) -> float:
    """Standard deviation of the noise in data of a wide band, from the quarter of the frequencies with the least.

    Half the pairs are below the median magnitude, which is sqrt(ln 2) standard deviations of complex noise.
    """
    level = heard.level
    quiet = np.sort(level)[: max(1, len(level) // 4)]
    return float(np.median(quiet) / np.sqrt(np.log(2)))


def _heard(data: ChannelData, sound_speed: float | None, pairs: Any) -> tuple[NDArray[np.float64], Spectra]:
    """Spectra of a few transmits over the whole band."""
    nyquist = data.sampling_frequency / 2
    probes = np.linspace(nyquist / _PROBES, nyquist, _PROBES, endpoint=False)
    step = -(-data.n_tx // _SHOTS)
    few = data.select(transmits=list(range(0, data.n_tx, step)))
    chosen = None if pairs is None else pairs[::step]
    heard = spectra(few, probes, sound_speed=sound_speed, pairs=chosen)
    if not heard.pairs.any():
        raise ArgumentError("data: expected traces that are not constant, got only such")
    return probes, heard


def _frequencies(
    probes: NDArray[np.float64],
    heard: Spectra,
    water: ChannelData | None,
    settings: RayBornSettings,
    then: float | None,
    c: float,
    spacing: float,
) -> NDArray[np.float64]:
    if settings.frequencies is not None:
        return np.linspace(*settings.frequencies)
    if water is not None:
        source = fit_source_spectrum(water, probes, sound_speed=then)
        usable, level = source.usable(_RANGE), source.level
    else:
        level = heard.level
        usable = usable_band(heard, _STEEP)
    band = probes[_around(usable, int(np.argmax(level)))]
    if not band.size:
        raise ArgumentError(
            f"{'data' if water is None else 'water'}: expected a pulse that stands out from the rest, got none; is the "
            "water's sound speed right? The setting `frequencies` says where to look"
        )
    high = min(float(band.max()), c / (_FINEST * spacing))
    low = float(band.min())
    if not low < high:
        raise ArgumentError(
            f"spacing: expected one that resolves waves of {low:g} Hz ({c / (_FINEST * low):.2g} m), got {spacing:g} m"
        )
    return np.linspace(low, high, _NUMBER)


def _around(usable: NDArray[np.bool_], index: int) -> slice:
    """The run of usable frequencies that holds the strongest one."""
    if not usable[index]:
        return slice(0, 0)
    bad = np.flatnonzero(~usable)
    return slice(int(bad[bad < index].max(initial=-1)) + 1, int(bad[bad > index].min(initial=len(usable))))
