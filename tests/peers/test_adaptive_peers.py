"""Adaptive methods and REFoCUS against zea, ultraspy and vbeam on real and simulated data of others (peer).

zea and ultraspy take the first arrival over the elements for a plane wave's time; so do ours here.
"""

import numpy as np
import pytest

import sonoray
from sonoray import Grid
from sonoray.beamforming.arrivals import arrivals

from .problems import distance, problem, sampled_aperture

pytestmark = pytest.mark.peer


@pytest.fixture
def grid():
    """Few points: covariances of 128 elements take zea and ultraspy milliseconds each."""
    return Grid.from_extent(x=(-9e-3, 9e-3), z=(12e-3, 32e-3), spacing=1.5e-3)


def ours(data, grid, method, *, n_each=1, compounding="coherent", **more):
    times = sampled_aperture(data, grid, n_each) if n_each else arrivals(data.transmits, data.probe, grid, 1540.0)
    return sonoray.AdaptiveBeamformer(times, data, method, f_number=None, compounding=compounding, **more)(data)[0]


def first_plane_wave(data):
    """Of the scatterers, the transmit in the middle."""
    return data.with_(samples=data.samples[:, 1:2], transmits=data.transmits[1:2], start_time=data.start_time[1])


# zea: float32 times of 40 us, 5e6 cycles a second: 2e-5 rad a point; Capon's solution amplifies both sides' rounding.
@pytest.mark.parametrize(
    ("method", "scale", "tolerance"),
    [
        ("coherence-factor", 1, 1e-3),
        (sonoray.adaptive_method("generalized-coherence-factor", cutoff=4), 1, 1e-3),
        (
            "dmas",
            2 / 127,
            1e-3,
        ),  # theirs is a sum over 128 * 127 / 2 pairs
        (sonoray.adaptive_method("capon", subarray=0.5, diagonal_loading=0.01), 128, 1e-2),  # theirs is a mean
    ],
    ids=["coherence-factor", "generalized-coherence-factor", "dmas", "capon"],
)
def test_zea_on_iq_of_a_rotating_disk(disk, grid, peer, method, scale, tolerance):
    name = sonoray.adaptive_method(method).name
    want = scale * peer("zea", "zea", method=name, **problem(disk, grid))
    turn = np.exp(2j * np.pi * disk.demodulation_frequency * disk.start_time[0])  # zea: phases from the first sample on
    want *= turn**2 if name == "dmas" else turn
    assert distance(ours(disk, grid, method), want) < tolerance


@pytest.mark.parametrize(
    "method",
    ["coherence-factor", sonoray.adaptive_method("generalized-coherence-factor", cutoff=4)],
    ids=["coherence-factor", "generalized-coherence-factor"],
)
def test_zea_on_rf_of_three_plane_waves_each_for_itself(scatterers, grid, peer, method):
    name = sonoray.adaptive_method(method).name
    want = peer("zea", "zea", method=name, **problem(scatterers, grid))
    assert distance(ours(scatterers, grid, method), want) < 1e-3


@pytest.mark.parametrize("p", [2, 3])
def test_ultraspy_power_das_on_iq_of_a_rotating_disk(disk, grid, peer, p):
    want = peer("ultraspy", "ultraspy", method="pdas", p=p, **problem(disk, grid))
    got = ours(disk, grid, sonoray.adaptive_method("pdas", p=p))
    assert distance(got, want / 128 ** (p - 1)) < 1e-3  # the power of a sum, not of a mean


def test_ultraspy_capon_on_iq_of_a_rotating_disk(disk, grid, peer):
    want = peer("ultraspy", "ultraspy", method="capon", **problem(disk, grid))
    got = ours(disk, grid, sonoray.adaptive_method("capon", subarray=0.5, diagonal_loading=0.01))
    # Theirs: weights that add up to 8 (steering of unit length), a mean over 64 weights, a sum over 65 subarrays.
    assert distance(got, want * 128 * 8 / 65) < 1e-2


def test_ultraspy_dmas_on_rf_of_a_plane_wave(scatterers, grid, peer):
    data = first_plane_wave(scatterers)
    want = peer("ultraspy", "ultraspy", method="dmas", **problem(data, grid)).real
    assert distance(ours(data, grid, "dmas"), want * 2 / 191) < 1e-3  # pairs of 192 elements


@pytest.mark.parametrize("recording", ["disk", "scatterers"])
def test_vbeam_coherence_factor_of_compounded_plane_waves(recording, request, grid, peer):
    data = request.getfixturevalue(recording)
    want = peer("vbeam", "vbeam", method="coherence-factor", **problem(data, grid))
    times = arrivals(data.transmits, data.probe, grid, data.sound_speed)
    got = sonoray.AdaptiveBeamformer(times, data, "coherence-factor", f_number=None)(data)[0]
    assert distance(got, want) < 1e-3


def test_zea_refocus_of_three_plane_waves(scatterers, peer):
    """Both solve by Tikhonov; ours per root mean square of the singular values, zea's per largest."""
    fs, n = scatterers.sampling_frequency, scatterers.n_samples
    whole = np.round(scatterers.start_time * fs) / fs  # zea's records begin at zero
    padded = np.pad(scatterers.samples, ((0, 0),) * 3 + ((0, n),))  # and come round
    data = scatterers.with_(samples=padded, start_time=whole)
    grid = Grid((2, 2), 1e-3, (0.0, 10e-3))
    want = peer("zea", "zea", method="refocus", regularization=1e-3, **problem(data, grid)).transpose(0, 2, 1)
    band = 3e6, 8e6  # of the pulse; below, the waves' codes are much the same, and each side regularises on its own
    got = sonoray.decode(data, regularization=1e-3, band=band).samples[0]
    frequency = np.fft.rfftfreq(want.shape[-1], 1 / fs)
    spectrum = np.where((frequency > band[0]) & (frequency < band[1]), np.fft.rfft(want), 0)
    want = np.fft.irfft(spectrum, want.shape[-1])
    first = round(-whole[0] * fs)
    assert distance(got[..., first + 200 : first + n], want[..., 200:n]) < 5e-3
