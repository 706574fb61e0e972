"""Spectra for ray-Born inversion: which frequencies, calibrated how, which pairs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acquisition.channel_data import ChannelData
from ..errors import ArgumentError
from .born_settings import RayBornSettings
from .outliers import largest_masked
from .source_spectrum import calibrated_spectra, fit_source_spectrum
from .spectra import Spectra, spectra, usable_band

_NUMBER = 60  # of frequencies by default
_PROBES = 64  # frequencies at which energy is looked for
_RANGE = 20.0  # [dB] of the pulse, where it is known
_STEEP = 10.0  # [dB] of recordings with their noise
_SHOTS = 8  # transmits of which they are looked for
_FINEST = 1.7  # spacings in the shortest wavelength used by default


def born_spectra(
    data: ChannelData,
    water: ChannelData | None,
    settings: RayBornSettings,
    sound_speed: float,
    water_sound_speed: float | None,
    pairs: Any,
    spacing: float,
) -> Spectra:
    """Spectra at the settings' frequencies.

    Raises
    ------
    ArgumentError
        No energy at any frequency, frequencies beyond Nyquist's.
    """
    probes, heard = _heard(data, sound_speed, pairs)
    frequencies = _frequencies(probes, heard, water, settings, sound_speed, water_sound_speed, spacing)
    options: dict[str, Any] = {"sound_speed": sound_speed, "pairs": pairs}
    noise = np.full(len(frequencies), noise_floor(heard))
    if water is None:
        found = spectra(data, frequencies, **options)
    else:
        found, source = calibrated_spectra(data, water, frequencies, water_sound_speed=water_sound_speed, **options)
        noise /= np.maximum(source.level, 1e-30)
    found = found.with_(noise=noise)
    if settings.outliers > 0:
        weights = found.pairs if found.weights is None else found.weights
        found = found.with_(weights=largest_masked(found.values, weights, settings.outliers))
    return found


def noise_floor(heard: Spectra) -> float:
    """Standard deviation of the noise in data of a wide band, from the quarter of the frequencies with the least.

    Half the pairs are below the median magnitude, which is sqrt(ln 2) standard deviations of complex noise.
    """
    level = np.array([np.median(np.abs(v[heard.pairs])) for v in heard.values])
    quiet = np.sort(level)[: max(1, len(level) // 4)]
    return float(np.median(quiet) / np.sqrt(np.log(2)))


def _heard(data: ChannelData, sound_speed: float, pairs: Any) -> tuple[NDArray[np.float64], Spectra]:
    """Spectra of a few transmits over the whole band."""
    nyquist = data.sampling_frequency / 2
    probes = np.linspace(nyquist / _PROBES, nyquist, _PROBES, endpoint=False)
    step = -(-data.n_tx // _SHOTS)
    few = data.select(transmits=list(range(0, data.n_tx, step)))
    chosen = None if pairs is None else np.asarray(pairs)[::step]
    return probes, spectra(few, probes, sound_speed=sound_speed, pairs=chosen)


def _frequencies(
    probes: NDArray[np.float64],
    heard: Spectra,
    water: ChannelData | None,
    settings: RayBornSettings,
    sound_speed: float,
    water_sound_speed: float | None,
    spacing: float,
) -> NDArray[np.float64]:
    if settings.frequencies is not None:
        return np.linspace(*settings.frequencies)
    if water is not None:
        then = sound_speed if water_sound_speed is None else water_sound_speed
        source = fit_source_spectrum(water, probes, sound_speed=then)
        usable, level = source.usable(_RANGE), source.level
    else:
        level = np.array([np.median(np.abs(v[heard.pairs])) for v in heard.values])
        usable = usable_band(heard, _STEEP)
    band = probes[_around(usable, int(np.argmax(level)))]
    if not band.size:
        raise ArgumentError("water: expected a pulse that stands out from the noise, got none; give `frequencies`")
    high = min(float(band.max()), sound_speed / (_FINEST * spacing))
    low = float(band.min())
    if not low < high:
        raise ArgumentError(
            f"spacing: expected one that resolves waves of {low:g} Hz ({sound_speed / (_FINEST * low):.2g} m), "
            f"got {spacing:g} m"
        )
    return np.linspace(low, high, _NUMBER)


def _around(usable: NDArray[np.bool_], index: int) -> slice:
    """The run of usable frequencies that holds the strongest one."""
    if not usable[index]:
        return slice(0, 0)
    bad = np.flatnonzero(~usable)
    return slice(int(bad[bad < index].max(initial=-1)) + 1, int(bad[bad > index].min(initial=len(usable))))
