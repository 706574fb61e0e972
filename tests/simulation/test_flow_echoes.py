"""I/Q images by convolution with a point-spread function: as beamforming makes them, and with the right phases."""

from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray.beamforming.echoes import simulate_echoes
from sonoray.simulation.flow_echoes import Moment, bmode_envelopes, doppler_direction, doppler_ensembles
from sonoray.simulation.flow_images import PointSpread, Texture, bilinear, convolve
from sonoray.simulation.flow_settings import SOUND_SPEED, random_settings
from sonoray.simulation.flow_views import linear_view, sector_view

PIXEL, F, RATE, C = 1e-4, 5e6, 4e3, SOUND_SPEED
SHAPE, SHOTS = (64, 96), 5
LIMIT = sonoray.nyquist_velocity(F, RATE, C)


def settings_of(**changes):
    rng = np.random.default_rng(0)
    base = replace(random_settings(rng, "vessel", 0.2), view="linear", pixel=PIXEL, doppler_frequency=F,
                   repetition_rate=RATE, n_shots=SHOTS, steering=0.0, blood_level=0.0, noise_level=-80.0, skirt=0.0,
                   flash=0.0, doppler_axial=1.0, doppler_lateral=2.5)  # fmt: skip
    return replace(base, **changes)


def blood_everywhere(view, velocity):
    """A moment with nothing but blood that moves as one, (along columns, along rows) [m/s]."""
    shape = view.x.shape
    flow = np.broadcast_to(np.array(velocity, "f4")[:, None, None], (2, *shape))
    zero = np.zeros(shape, "f4")
    return Moment(view.index(view.x, view.z), zero, np.ones(shape, "f4"), flow, np.zeros((2, *shape), "f4"), zero)


def beamformed(scatterers, amplitudes, n_shots=1, velocity=(0.0, 0.0)):
    """Images (n_shots, n_rows, n_columns) of point scatterers by delay-and-sum, moved from shot to shot."""
    probe = sonoray.Probe.linear(80, 3e-4, center_frequency=F)
    grid = sonoray.Grid((SHAPE[1], SHAPE[0]), PIXEL, (-(SHAPE[1] - 1) * PIXEL / 2, 17e-3))
    wave = sonoray.plane_waves([0.0])
    images, beamformer = [], None
    for n in range(n_shots):
        moved = scatterers + n / RATE * np.array([velocity[0], 0.0, velocity[1]])
        data = simulate_echoes(C, probe, wave, moved, amplitudes, sampling_frequency=1e7, start_time=18e-6,
                               duration=36e-6, bandwidth=0.4)  # fmt: skip
        if beamformer is None:
            arrivals = sonoray.arrivals(wave, probe, grid, C)
            beamformer = sonoray.Beamformer(arrivals, data, f_number=1.5, window="hann", interpolation="cubic")
        images.append(beamformer(data).reshape(grid.shape).T)
    return np.stack(images)


def half_width(cut):
    """Standard deviation of the Gaussian whose width at half maximum a cut through a point's image has [px]."""
    level = cut / cut.max()
    above = np.flatnonzero(level >= 0.5)
    low, high = above[0], above[-1]
    low = low - (level[low] - 0.5) / (level[low] - level[low - 1])
    high = high + (level[high] - 0.5) / (level[high] - level[high + 1])
    return float(high - low) / 2.355


def correlation(images, axis, lag):
    """Magnitude of the complex correlation at a lag in pixels."""
    a = np.moveaxis(images, axis, 0)
    a, b = a[:-lag], a[lag:]
    return np.abs((a * b.conj()).sum()) / np.sqrt((np.abs(a) ** 2).sum() * (np.abs(b) ** 2).sum())


def test_convolution_makes_the_speckle_and_the_velocity_that_beamforming_makes():
    velocity = (0.1, -0.35 * LIMIT)
    rng = np.random.default_rng(1)
    point = np.abs(beamformed(np.array([[0.0, 0.0, 17e-3 + 32 * PIXEL]]), [1.0])[0])
    row, column = np.unravel_index(point.argmax(), SHAPE)
    axial, lateral = half_width(point[:, column]), half_width(point[row])
    n = 6000
    scatterers = np.stack([rng.uniform(-9e-3, 9e-3, n), np.zeros(n), rng.uniform(15e-3, 26e-3, n)], axis=1)
    images = beamformed(scatterers, rng.choice([-1.0, 1.0], n), SHOTS, velocity)

    settings = settings_of(doppler_axial=axial, doppler_lateral=lateral)
    view = linear_view(SHAPE, 6)
    ours = doppler_ensembles(rng, [blood_everywhere(view, velocity)], view, settings)[:, 0]
    for frames in (images, ours):
        envelope = np.abs(frames)
        # Rayleigh: 1.913; about 400 cells of speckle leave a few per cent of chance
        assert envelope.mean() / envelope.std() == pytest.approx(1.913, rel=0.08)
        found = sonoray.doppler_velocity(frames, F, RATE, C, average=3)
        assert np.median(found) == pytest.approx(0.35 * LIMIT, abs=0.03 * LIMIT)
    for axis, lag in ((-2, 1), (-2, 2), (-1, 3), (-1, 5)):
        assert correlation(ours, axis, lag) == pytest.approx(correlation(images, axis, lag), abs=0.1)
    # How fast the ensemble decorrelates is what makes the estimate's noise.
    for lag in (1, SHOTS - 1):
        assert correlation(ours, 0, lag) == pytest.approx(correlation(images, 0, lag), abs=0.06)


@pytest.mark.parametrize("degrees", [-20.0, 0.0, 15.0])
def test_velocity_is_the_projection_on_the_steered_beam(degrees):
    settings = settings_of(steering=np.deg2rad(degrees))
    view = linear_view(SHAPE, 6)
    velocity = np.array([0.25, 0.1]) * LIMIT
    frames = doppler_ensembles(np.random.default_rng(2), [blood_everywhere(view, velocity)], view, settings)
    found = sonoray.doppler_velocity(frames[:, 0], F, RATE, C, average=5)
    along = np.array([np.sin(settings.steering), np.cos(settings.steering)])
    assert np.median(found) == pytest.approx(-(along @ velocity), abs=0.02 * LIMIT)


def test_on_a_sector_beams_diverge():
    view = sector_view(np.random.default_rng(3), SHAPE, 6)
    settings = settings_of(view="sector")
    frames = doppler_ensembles(np.random.default_rng(3), [blood_everywhere(view, (0.4 * LIMIT, 0.0))], view, settings)
    found = sonoray.doppler_velocity(frames[:, 0], F, RATE, C, average=7)
    expected = -0.4 * LIMIT * doppler_direction(view, settings)[0]
    inner = (slice(20, None), slice(10, -10))  # near the apex, lines are closer than the flow moves per shot
    assert np.median(np.abs(found - expected)[inner]) < 0.05 * LIMIT
    assert found[inner][:, :5].mean() > 0 > found[inner][:, -5:].mean()  # flow to the right nears the left beams


def test_still_tissue_is_taken_out_and_moving_tissue_is_not():
    view = linear_view(SHAPE, 6)
    settings = settings_of(noise_level=-50.0, n_shots=10)
    still = replace(blood_everywhere(view, (0.0, 0.0)), tissue=np.ones(view.x.shape, "f4"),
                    lumen=np.zeros(view.x.shape, "f4"))  # fmt: skip
    power = []
    for speed in (0.0, 0.05, 0.3):
        velocity = np.zeros((2, *view.x.shape), "f4")
        velocity[1] = speed * LIMIT
        frames = doppler_ensembles(
            np.random.default_rng(4), [replace(still, tissue_velocity=velocity)], view, settings
        )[:, 0]
        power.append(10 * np.log10(sonoray.doppler_power(frames, wall_filter=1).mean()))
    assert power[0] == pytest.approx(-50, abs=1.5)  # noise alone; the filter takes 2 of 10 degrees of freedom
    assert power[0] + 3 < power[1] < power[2] - 10


def test_speckle_moves_with_the_tissue():
    view = linear_view(SHAPE, 6)
    settings = settings_of(looks=1, bmode_axial=0.8, bmode_lateral=1.5, bmode_noise_level=-60.0, haze_level=-60.0,
                           decorrelation=0.0)  # fmt: skip
    still = replace(blood_everywhere(view, (0.0, 0.0)), tissue=np.ones(view.x.shape, "f4"),
                    lumen=np.zeros(view.x.shape, "f4"))  # fmt: skip
    moved = replace(still, material=view.index(view.x - 3.0, view.z - 2.0))
    first, second = bmode_envelopes(np.random.default_rng(5), [still, moved], view, settings)
    assert np.corrcoef(first[:-2, :-3].ravel(), second[2:, 3:].ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.3


@pytest.mark.parametrize(("axial", "lateral"), [(0.6, 1.0), (1.5, 3.0)])
def test_images_of_white_scatterers_have_unit_power_and_the_width_asked_for(axial, lateral):
    rng = np.random.default_rng(6)
    shape = (128, 128)
    index = np.stack(np.mgrid[:128, :128]).astype("f4") + 0.3
    image = convolve(Texture(rng, shape).at(index), PointSpread(axial, lateral).spectrum(shape))
    assert np.mean(np.abs(image) ** 2) == pytest.approx(1, rel=0.15)
    for axis, sigma in ((0, axial), (1, lateral)):
        # Autocorrelation of a Gaussian of deviation sigma: exp(-lag^2 / (4 sigma^2))
        assert correlation(image, axis, 2) == pytest.approx(np.exp(-1 / sigma**2), abs=0.12)


def test_bilinear_interpolation_is_exact_for_planes_and_goes_on_beyond_the_edge():
    rows, columns = np.mgrid[:5, :6].astype("f4")
    maps = np.stack([rows, 2 * columns - rows])
    index = np.array([[0.25, 3.5, -2.0], [4.75, 0.5, 9.0]], "f4")
    np.testing.assert_allclose(bilinear(maps, index), [[0.25, 3.5, 0], [9.25, -2.5, 10]], atol=1e-6)
    wrapped = bilinear(rows[None], np.array([[4.5], [0.0]], "f4"), wrap=True)
    np.testing.assert_allclose(wrapped, [[2.0]])  # between rows 4 and 0
