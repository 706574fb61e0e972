"""The shipped example: as documented, and its points focus where they truly are. Evidence: full-wave data."""

from importlib.resources import files

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

import sonoray
from sonoray import assets


@pytest.fixture(scope="module")
def example():
    return (*assets.load_example(), *assets.load_example_targets())


def test_documented_facts(example):
    data, medium, points, cysts = example
    assert data.samples.shape == (1, 7, 64, 781) and data.samples.dtype == np.int16
    assert np.abs(data.samples).max() == 32000
    assert data.sampling_frequency == 20e6 and data.center_frequency == 4e6 and data.sound_speed == 1540
    np.testing.assert_allclose(data.start_time, 2e-6)
    assert data.probe == sonoray.Probe.linear(64, 0.3e-3, width=0.25e-3, center_frequency=4e6, bandwidth=2.4e6)
    angles = [np.rad2deg(np.arctan2(t.direction[0], t.direction[2])) for t in data.transmits]
    np.testing.assert_allclose(angles, np.linspace(-12, 12, 7), atol=1e-9)
    assert points.shape == (6, 3) and cysts.shape == (1, 4)
    assert medium.sound_speed.dtype == np.float32
    np.testing.assert_allclose(medium.grid.spacing, 2e-4)
    assert medium.grid.contains(points).all() and medium.grid.contains(data.probe.positions).all()
    # Fat at the bottom of the range, muscle at the top, 1540 m/s behind the wall.
    assert 1445 < medium.sound_speed.min() < 1460 and 1580 < medium.sound_speed.max() < 1595
    np.testing.assert_allclose(medium.sound_speed[:, medium.grid.z > 11.5e-3], 1540, atol=0.5)


def test_size():
    folder = files(assets)
    assert sum(f.stat().st_size for f in folder.iterdir() if f.name.endswith(".h5")) < 2_500_000


def test_aberration_is_as_strong_as_a_body_wall(example):
    data, medium, *_ = example
    x, z = medium.grid.x, medium.grid.z
    under = np.abs(x) <= data.probe.aperture / 2
    time = np.trapezoid(medium.slowness[under][:, z < 12e-3], dx=2e-4, axis=1)
    assert 40e-9 < time.std() < 65e-9  # a sixth to a quarter of the period


def travel_times(medium, elements, points, n=80):
    """Time along the straight line, (n_points, n_elements): a model that does not bend rays, but needs no solver."""
    grid, slowness = medium.grid, 1 / np.asarray(medium.sound_speed, float)
    way = points[:, None] - elements
    mean = np.zeros(way.shape[:2])
    for t in (np.arange(n) + 0.5) / n:
        at = elements + t * way
        index = [(at[..., k] - grid.origin[i]) / grid.spacing[i] for i, k in enumerate((0, 2))]
        mean += scipy.ndimage.map_coordinates(slowness, index, order=1, mode="nearest") / n
    return mean * np.linalg.norm(way, axis=2)


def focus(data, points, rx, tx):
    """Magnitude of the delay-and-sum image at ``points``; f-number 1."""
    image = np.zeros(len(points), complex)
    analytic = scipy.signal.hilbert(data.samples[0].astype(float), axis=-1)
    n = np.arange(data.n_samples)
    near = np.abs(points[:, None, 0] - data.probe.positions[:, 0]) <= 0.5 * points[:, None, 2]
    for i in range(data.n_tx):
        at = (tx[i][:, None] + rx - data.start_time[i]) * data.sampling_frequency
        for e in range(data.n_rx):
            # Linear interpolation after down-mixing: 4 MHz at 20 MHz sampling is too coarse for it as it is.
            turn = 2j * np.pi * data.center_frequency / data.sampling_frequency
            slow = np.interp(at[:, e], n, analytic[i, e] * np.exp(-turn * n))
            image += near[:, e] * slow * np.exp(turn * at[:, e])
    return np.abs(image)


def images_of_points(example):
    """Images around every point: with the true map, and with the sequence's one speed; (points, x, z) each."""
    data, medium, targets, _ = example
    x, z = np.arange(-20, 21) * 1e-4, np.arange(-5, 6) * 1e-4
    around = np.stack(np.meshgrid(x, [0.0], z, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (targets[:, None] + around).reshape(-1, 3)
    shape = (len(targets), len(x), len(z))
    elements = data.probe.positions
    true = travel_times(medium, elements, points)
    # The wavefront is the first arrival from all elements (Huygens).
    tx = [(t.firing_times(data.probe, data.sound_speed) + true).min(axis=1) for t in data.transmits]
    corrected = focus(data, points, true, tx).reshape(shape)
    plain = np.linalg.norm(points[:, None] - elements, axis=2) / data.sound_speed
    tx = [points @ t.direction / data.sound_speed for t in data.transmits]
    return x, z, corrected, focus(data, points, plain, tx).reshape(shape)


def width(x, image):
    """Full width at half maximum of the largest value over depth [m]."""
    profile = image.max(axis=1)
    above = np.nonzero(profile >= profile.max() / 2)[0]
    return x[above[-1]] - x[above[0]]


def test_the_true_map_puts_and_sharpens_points(example):
    x, z, corrected, plain = images_of_points(example)
    for image in corrected:
        i, j = np.unravel_index(image.argmax(), image.shape)
        # A pixel of 0.1 mm, besides 0.1 mm for straight rays.
        assert abs(x[i]) <= 2e-4 and abs(z[j]) <= 1e-4
    gain = corrected.max(axis=(1, 2)) / plain.max(axis=(1, 2))
    assert (gain > 1).all() and np.median(gain) > 1.2
    narrow, wide = (np.array([width(x, image) for image in images]) for images in (corrected, plain))
    # The three deep points, which the whole aperture sees, gain most.
    assert np.mean(narrow[3:]) < 0.75 * np.mean(wide[3:])
