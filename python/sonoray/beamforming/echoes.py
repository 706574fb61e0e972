"""Channel data of point scatterers along refracted paths, in a plane or in space, to train and to test on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .._checks import array, scalar
from ..acquisition.channel_data import ChannelData
from ..acquisition.probes import Probe
from ..acquisition.transmits import Transmit
from ..errors import ArgumentError
from ..media.medium import Medium
from .lens import lens_delay
from .tables import check_inside, interpolate

_REFERENCE = 10e-3  # m, where spreading is 1
_FLOOR = 2e-2  # of the pulse's spectrum, below which it is left out
_NEAREST = 5e-4  # m, no scatterer is louder than one at this distance


def simulate_echoes(
    medium_or_c0: Any,
    probe: Probe,
    transmits: Transmit | Sequence[Transmit],
    scatterers: Any,
    amplitudes: Any,
    *,
    sampling_frequency: float,
    duration: float,
    start_time: float = 0.0,
    demodulation_frequency: float | None = None,
    center_frequency: float | None = None,
    bandwidth: float = 0.6,
    sound_speed: float = 1540.0,
    element_gains: Any = None,
    snr: float | None = None,
    seed: int | np.random.Generator = 0,
    device: str = "cpu",
) -> ChannelData:
    """Simulate I/Q channel data of point scatterers: single scattering, first arrivals, two or three dimensions.

    At frequency f the echoes of transmit t at element e are

        S(f) P(f) sum_n a_n g_t(f, n) g_e(f, n),   g_e = D_e(n) (10 mm / r)^s exp(-2 pi i f T_e(n))

    with T_e the travel time, D_e = sinc(width / wavelength sin) cos the directivity at the centre frequency, s = 1/2
    if everything lies in the plane y = 0 and 1 otherwise, and g_t the sum of what the firing elements send, each with
    its weight and delay. Times are exact to interpolation of the eikonal solution and phases to rounding. Long
    elements (`Probe.lines`) are the mean of points a third of a wavelength apart, with the waves of their ends; the
    lens delays every path.

    Parameters
    ----------
    medium_or_c0 : Medium or float [m/s]
        Its grid holds the scatterers and the elements; 2-D only where they lie in the plane y = 0. A number: straight
        paths.
    probe : Probe
    transmits : Transmit or sequence of Transmit, n_tx long
    scatterers : (n, 3) float64 [m]
    amplitudes : (n,) float32 or complex64
    sampling_frequency, demodulation_frequency : float [Hz]
        Of the I/Q; the second is the centre frequency by default.
    duration : float [s]
        Time of the last sample.
    start_time : float [s]
        Time of the first sample; both count from each transmit's time zero, with the pulse's peak.
    center_frequency : float, optional [Hz]
        Default: the probe's.
    bandwidth : float
        Fraction of the centre frequency, full width of the pulse's Gaussian amplitude spectrum at half maximum.
    sound_speed : float [m/s]
        With which the sequence computed its delays.
    element_gains : (n_elements,) complex64, optional
        What each element multiplies on sending and on receiving: faults of gain and phase; 0 for dead elements.
    snr : float, optional [dB]
        Adds noise, white over the pulse's band, so much weaker than the rms of all echoes.
    seed : int or Generator
        Of the noise.
    device : {"cpu", "cuda", "cuda:N"}
        Where the eikonal equation is solved.

    Returns
    -------
    ChannelData
        samples (1, n_tx, n_elements, n_samples) complex64.

    Raises
    ------
    ArgumentError
        Positions outside the medium, a sampling frequency below the pulse's band, wrong shapes, long elements in a
        medium.

    Notes
    -----
    One product of matrices per frequency: 8 n_tx n_elements n_scatterers operations, for about
    2.5 bandwidth center_frequency (duration - start_time) frequencies.

    Examples
    --------
    >>> from sonoray import Probe, full_synthetic_aperture
    >>> probe = Probe.linear(8, 3e-4, center_frequency=5e6)
    >>> simulate_echoes(1540.0, probe, full_synthetic_aperture(probe), [[0, 0, 0.01]], [1.0],
    ...                 sampling_frequency=1e7, duration=2e-5).samples.shape
    (1, 8, 8, 201)
    """
    sequence = (transmits,) if isinstance(transmits, Transmit) else tuple(transmits)
    if not sequence or not all(isinstance(t, Transmit) for t in sequence):
        raise ArgumentError("transmits: expected a sequence of at least one Transmit")
    points = array("scatterers", scatterers, (None, 3), low=-2, high=2, unit="m")
    values = array("amplitudes", amplitudes, (len(points),), np.complex64)
    fc = scalar("center_frequency", center_frequency or probe.center_frequency, 2e4, 1e8, "Hz")
    fd = (
        fc
        if demodulation_frequency is None
        else scalar("demodulation_frequency", demodulation_frequency, 2e4, 1e8, "Hz")
    )
    fs = scalar("sampling_frequency", sampling_frequency, 1e4, 1e9, "Hz")
    start = scalar("start_time", start_time, -1e-2, 1e-1, "s")
    n_samples = int((scalar("duration", duration, start, 1e-1, "s") - start) * fs + 1e-6) + 1
    sources, owner = _sources(probe, medium_or_c0, fc, sound_speed)
    times, weights = _paths(medium_or_c0, probe, sources, owner, points, fc, device)
    if element_gains is not None:
        weights *= array("element_gains", element_gains, (probe.n_elements,), np.complex64)[owner, None]
    firing = np.array([t.firing_times(probe, sound_speed) for t in sequence])
    latest = float(np.nanmax(firing)) + 2 * float(times.max(initial=0.0))
    frequencies, spectrum, n_fft = _band(fc, fd, fs, bandwidth, max(latest - start, (n_samples - 1) / fs))
    drive = np.nan_to_num(np.array([t.weights(probe) for t in sequence]))
    cube = _spectra(times, weights, values, firing, drive, frequencies, owner)
    cube *= (spectrum * np.exp(2j * np.pi * (frequencies - fd) * start)).astype("c8")[:, None, None]
    if snr is not None:
        _add_noise(cube, scalar("snr", snr, -60.0, 200.0, "dB"), np.random.default_rng(seed))
    placed = np.zeros((len(sequence), probe.n_elements, n_fft), np.complex64)
    placed[..., np.rint((frequencies - fd) * n_fft / fs).astype(int)] = np.moveaxis(cube, 0, -1)
    samples = scipy.fft.ifft(placed, axis=-1, norm="forward", overwrite_x=True)[None, ..., :n_samples]
    return ChannelData(samples, probe, sequence, fs, fd, center_frequency=fc, start_time=start, sound_speed=sound_speed)


def _paths(
    medium_or_c0: Any,
    probe: Probe,
    sources: NDArray[np.float64],
    owner: NDArray[np.intp],
    points: NDArray[np.float64],
    frequency: float,
    device: str,
) -> tuple[NDArray[np.float64], NDArray[np.complex64]]:
    """Travel times (n_sources, n) [s] and weights (directivity and spreading) of every path."""
    flat = all(not len(p) or np.abs(p[:, 1]).max() <= 1e-9 for p in (points, sources))
    away = points[None] - sources[:, None]
    distance = np.sqrt((away**2).sum(axis=-1))
    if isinstance(medium_or_c0, Medium):
        from ..rays.eikonal import EikonalSolver

        check_inside(points, probe, medium_or_c0.grid)
        solver = EikonalSolver(medium_or_c0, device=device)
        slowness = np.asarray(solver.mean_slowness(sources))
        times = distance * interpolate(slowness, solver.grid, points).T
        mean_speed = float(medium_or_c0.sound_speed.mean())
    else:
        mean_speed = scalar("medium_or_c0", medium_or_c0, 300.0, 12000.0, "m/s")
        times = distance / mean_speed
    if probe.lens_thickness:
        slowness_of = (times / np.maximum(distance, 1e-9)).T
        times = times + lens_delay(probe, away.swapaxes(0, 1), slowness_of, owner).T
    near = np.maximum(distance, 1e-9)
    cosine = np.clip((away * probe.normals[owner, None]).sum(axis=-1) / near, 0.0, 1.0)
    sine = np.sqrt(1 - cosine**2)
    directivity = np.sinc(probe.width * frequency / mean_speed * sine) * cosine
    spreading = (_REFERENCE / np.maximum(near, _NEAREST)) ** (0.5 if flat else 1.0)
    return times, (directivity * spreading).astype(np.complex64)


def _sources(
    probe: Probe, medium_or_c0: Any, frequency: float, sound_speed: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Points (n_sources, 3) [m] that stand for the elements, and the element of each, in rising order."""
    if probe.lines is None:
        return probe.positions, np.arange(probe.n_elements)
    if isinstance(medium_or_c0, Medium):
        raise ArgumentError("probe: expected point-like elements in a medium, got rows and columns; give a sound speed")
    length = 2 * np.linalg.norm(probe.lines, axis=1)
    counts = np.maximum(1, np.ceil(length / (sound_speed / frequency / 3)).astype(int))
    owner = np.repeat(np.arange(probe.n_elements), counts)
    within = np.concatenate([(np.arange(n) + 0.5) * 2 / n - 1 for n in counts])
    return probe.positions[owner] + within[:, None] * probe.lines[owner], owner


def _band(
    fc: float, fd: float, fs: float, bandwidth: float, period: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Frequencies [Hz] that matter, the pulse's spectrum there (its sum is 1: the envelope peaks at 1), FFT length."""
    relative = scalar("bandwidth", bandwidth, 0.05, 1.5, "(fraction of the centre frequency)")
    deviation = 0.5 * relative * fc / np.sqrt(2 * np.log(2))
    reach = deviation * np.sqrt(-2 * np.log(_FLOOR))
    if max(abs(fc + reach - fd), abs(fc - reach - fd)) > fs / 2:
        raise ArgumentError(
            f"sampling_frequency: expected at least {2 * (reach + abs(fc - fd)):g} Hz for this pulse, got {fs:g}"
        )
    n_fft = scipy.fft.next_fast_len(int((period + 8 / (2 * np.pi * deviation)) * fs) + 2)
    k = np.arange(np.ceil((fc - reach - fd) * n_fft / fs), np.floor((fc + reach - fd) * n_fft / fs) + 1)
    frequencies = fd + k * fs / n_fft
    frequencies = frequencies[frequencies > 0]
    spectrum = np.exp(-0.5 * ((frequencies - fc) / deviation) ** 2)
    return frequencies, spectrum / spectrum.sum(), n_fft


def _spectra(
    times: NDArray[np.float64],
    weights: NDArray[np.complex64],
    amplitudes: NDArray[np.complex64],
    firing: NDArray[np.float64],
    drive: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    owner: NDArray[np.intp],
) -> NDArray[np.complex64]:
    """Sum over scatterers at every frequency, (n_frequencies, n_tx, n_elements); ``owner`` of each path's source."""
    n_elements = drive.shape[1]
    counts = np.bincount(owner)
    ends, share = np.cumsum(counts) - counts, (1.0 / counts).astype(np.float32)[:, None]
    cube = np.empty((len(frequencies), len(drive), n_elements), np.complex64)
    if not len(frequencies):
        return cube
    delay = np.nan_to_num(firing)
    single = (drive != 0).sum(axis=1).max() == 1 and not delay.any()
    first = np.argmax(drive != 0, axis=1)
    every = len(first) == n_elements and bool((first == np.arange(n_elements)).all())
    strength = drive[np.arange(len(first)), first].astype(np.complex64)[:, None]
    spacing = frequencies[1] - frequencies[0] if len(frequencies) > 1 else 0.0
    rotate = np.exp(-2j * np.pi * spacing * times).astype(np.complex64)
    field, received = np.empty_like(weights), np.empty((n_elements, weights.shape[1]), np.complex64)
    for k, f in enumerate(frequencies):
        if k % 64 == 0:  # in between multiplied up in single precision
            field[...] = weights * np.exp(-2j * np.pi * f * times)
        heard = field if len(owner) == n_elements else np.add.reduceat(field, ends, axis=0) * share
        np.multiply(heard, amplitudes, out=received)
        if single:
            np.matmul(heard if every else heard[first], received.T, out=cube[k])
            cube[k] *= strength
        else:
            phased = (drive * np.exp(-2j * np.pi * f * delay)).astype(np.complex64)
            np.matmul(phased @ heard, received.T, out=cube[k])
        np.multiply(field, rotate, out=field)
    return cube


def _add_noise(cube: NDArray[np.complex64], snr: float, rng: np.random.Generator) -> None:
    rms = np.sqrt(np.mean(np.abs(cube) ** 2))
    noise = rng.standard_normal((*cube.shape, 2), np.float32).view(np.complex64)[..., 0]
    noise *= np.float32(rms * 10 ** (-snr / 20) / np.sqrt(2))
    cube += noise
