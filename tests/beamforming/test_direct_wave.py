"""The wave across a ring: found where it was put, gone afterwards; echoes where the scatterers are."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

import sonoray
from sonoray import Grid, Medium, Probe, Transmit
from sonoray.beamforming.bmode import reconstruct_bmode
from sonoray.beamforming.direct_wave import measure_direct_wave, remove_direct_wave

FS, F0, C, N = 10e6, 1e6, 1520.0, 48
LAG, WIDTH = 2e-6, 0.6e-6
PROBE = Probe.ring(N, 0.04)
POINT = np.array([0.006, 0.0, -0.004])


def pulse(t):
    """Gaussian pulse that peaks `LAG` after it is fired."""
    t = t - LAG
    return np.exp(-0.5 * (t / WIDTH) ** 2) * np.cos(2 * np.pi * F0 * t)


def recording(direct=1.0, **options):
    """A point scatterer in a medium of one speed, a hundredth as strong as the wave that goes straight."""
    p, t = PROBE.positions, np.arange(800) / FS
    across = np.linalg.norm(p[:, None] - p[None], axis=2) / C
    away = np.linalg.norm(p - POINT, axis=1) / C
    samples = direct * pulse(t - across[..., None]) + 0.01 * pulse(t - (away[:, None] + away[None])[..., None])
    transmits = [Transmit.single(k) for k in range(N)]
    options = {"sound_speed": 1480.0, "center_frequency": F0, **options}
    return sonoray.ChannelData(samples[None].astype("f4"), PROBE, transmits, FS, **options)


def test_lag_and_duration_are_those_of_the_pulse():
    wave = measure_direct_wave(recording(), C)
    assert wave.lag == pytest.approx(LAG, abs=1 / FS)
    # A Gaussian falls to 3 % at 2.65 standard deviations.
    assert wave.duration == pytest.approx(LAG + 2.65 * WIDTH, abs=2 / FS)
    unknown = recording(center_frequency=0.0)
    assert measure_direct_wave(unknown, C).center_frequency == pytest.approx(F0, rel=0.02)
    noise = np.random.default_rng(0).normal(scale=0.1, size=unknown.samples.shape).astype("f4")
    noisy = measure_direct_wave(unknown.with_(samples=unknown.samples + noise), C)
    assert noisy.center_frequency == pytest.approx(F0, rel=0.05)
    assert noisy.lag == pytest.approx(LAG, abs=1 / FS)
    late = recording(start_time=3e-6)
    assert measure_direct_wave(late, C).lag == pytest.approx(LAG + 3e-6, abs=1 / FS)


def test_times_through_a_map():
    """The mean slowness along a line through two halves of different speed."""
    grid = Grid.from_extent(x=(-0.045, 0.045), z=(-0.045, 0.045), spacing=5e-4)
    speed = np.where(grid.points()[..., 0] < 0, 1450.0, 1550.0).astype("f4")
    medium = Medium(grid, speed)
    wave = measure_direct_wave(recording(), medium)
    p = PROBE.positions
    left, right = p[:, 0].argmin(), p[:, 0].argmax()
    assert wave.time[left, right] == pytest.approx(0.04 / 1450 + 0.04 / 1550, rel=1e-3)
    np.testing.assert_allclose(wave.time, wave.time.T, atol=1e-12)


@pytest.mark.parametrize("iq", [False, True])
def test_what_is_silenced(iq):
    data = recording()
    data = sonoray.demodulate(data) if iq else data
    wave = measure_direct_wave(data, C)
    result = remove_direct_wave(data, wave, opening_angle=np.radians(90))
    np.testing.assert_allclose(result.start_time, -wave.lag)
    p = PROBE.positions
    cosine = (p @ p.T) / 0.04**2
    assert not result.samples[0][cosine < -1e-3].any()
    t = data.times()
    near = cosine > 1e-3
    begun = t < (wave.time + wave.duration)[..., None]
    assert not result.samples[0][near[..., None] & begun].any()
    over = t > (wave.time + wave.duration + 1 / F0)[..., None]
    assert np.array_equal(result.samples[0][near[..., None] & over], data.samples[0][near[..., None] & over])
    everything = remove_direct_wave(data, wave, opening_angle=None)
    assert np.abs(everything.samples[0][cosine < -0.5]).max() > 0


def test_the_point_shows_where_it_is():
    """Hidden behind the direct wave; in place with the true speed once that is gone."""
    grid = Grid.from_extent(x=(-0.012, 0.012), z=(-0.012, 0.012), spacing=2.5e-4)
    everywhere = Grid.from_extent(x=(-0.045, 0.045), z=(-0.045, 0.045), spacing=1e-3)

    def peak(**options):
        image = np.abs(reconstruct_bmode(recording(), grid=grid, **options)[0][0])
        place = grid.points().reshape(-1, 3)[image.argmax()]
        return np.linalg.norm(place - POINT), image.max() / np.median(image)

    hidden, *_ = peak(sound_speed=C, mute_direct=False)
    assert hidden > 2e-3
    off, contrast = peak(sound_speed=C)
    assert off < 3e-4  # half a diagonal of the grid's cell, and rounding
    assert contrast > 20
    through_map = peak(medium=Medium(everywhere, C))
    assert through_map[0] < 3e-4
    assert through_map[1] == pytest.approx(contrast, rel=0.05)


def test_boundaries_of_the_shipped_ring():
    """Full-wave data: the image resembles the true boundaries, and not without muting."""
    data, _, truth = sonoray.load_ring_example()
    grid = Grid.from_extent(x=(-0.05, 0.05), z=(-0.05, 0.05), spacing=1.25e-3)
    points = grid.points()[..., [0, 2]]
    gradient = np.hypot(*np.gradient(gaussian_filter(np.asarray(truth.sound_speed, float), 2)))
    index = np.moveaxis((points - np.array(truth.grid.origin)) / np.array(truth.grid.spacing), -1, 0)
    edges = map_coordinates(gradient, index, order=1)
    inside = np.hypot(points[..., 0], points[..., 1]) < 0.049

    def likeness(data, **options):
        image = np.abs(reconstruct_bmode(data, grid=grid, **options)[0][0])
        return np.corrcoef(image[inside], edges[inside])[0, 1]

    assert likeness(data, sound_speed=1480.0) > 0.7
    assert likeness(data, medium=truth) > 0.7
    known = data.with_(center_frequency=0.54e6)
    assert likeness(known, sound_speed=1480.0, mute_direct=False) < 0.5


def test_no_such_wave():
    """Echoes alone, or noise alone, are left as they are, and it is said so."""
    for data in (recording(direct=0.0), recording().with_(samples=np.zeros((1, N, N, 800), "f4"))):
        assert measure_direct_wave(data, C) is None
    grid = Grid.from_extent(x=(0.0, 0.0), z=(0.0, 0.002), spacing=1e-3)
    with pytest.warns(UserWarning, match="stands out"):
        reconstruct_bmode(recording(direct=0.0), grid=grid, sound_speed=C, mute_direct=True)
    reconstruct_bmode(recording(direct=0.0), grid=grid, sound_speed=C)
    noise = np.random.default_rng(0).normal(size=(1, N, N, 800)).astype("f4")
    assert measure_direct_wave(recording().with_(samples=noise), C) is None
    short = recording()
    assert measure_direct_wave(short.with_(samples=short.samples[..., :120]), C) is None


def test_mistakes():
    data = recording()
    wave = measure_direct_wave(data, C)
    with pytest.raises(sonoray.ArgumentError, match=r"opening_angle: expected 0 to 3.1"):
        remove_direct_wave(data, wave, opening_angle=120)
    with pytest.raises(sonoray.ArgumentError, match="wave: expected the DirectWave"):
        remove_direct_wave(data.select(transmits=slice(3)), wave)
    plane = data.select(transmits=[0]).with_(transmits=[Transmit.plane()])
    with pytest.raises(sonoray.ArgumentError, match="single elements"):
        measure_direct_wave(plane, C)
    with pytest.raises(sonoray.ArgumentError, match="m/s"):
        measure_direct_wave(data, 1.5)
