"""The one-call pipeline: grids that suit the probe, and the same image as the steps by hand. Invariants."""

import numpy as np
import pytest

import sonoray
from sonoray import Grid, Probe, SectorGrid, Transmit

FS, F0 = 20e6, 4e6
PROBES = {
    "linear": Probe.linear(32, 0.3e-3),
    "phased": Probe.phased(32, 0.2e-3),
    "curvilinear": Probe.curvilinear(64, 0.4e-3, 0.06),
    "matrix": Probe.matrix(8, 8, 0.3e-3),
    "ring": Probe.ring(64, 0.05),
    "bowl": Probe.bowl(64, 0.05),
}


def recording(probe, rng, n_frames=1, n_samples=900, **options):
    samples = rng.normal(size=(n_frames, 1, probe.n_elements, n_samples)).astype("f4")
    return sonoray.ChannelData(samples, probe, [Transmit.single(0)], FS, center_frequency=F0, **options)


@pytest.mark.parametrize("kind", PROBES)
def test_default_grid_lies_where_the_probe_looks(kind, rng):
    probe = PROBES[kind]
    data = recording(probe, rng)
    grid = sonoray.default_grid(data)
    assert grid.size <= 1.1e6
    points = grid.points().reshape(-1, 3)
    assert isinstance(grid, SectorGrid) == (kind in ("phased", "curvilinear"))
    assert grid.ndim == (3 if kind in ("matrix", "bowl") else 2)
    if kind in ("ring", "bowl"):
        assert np.linalg.norm(points, axis=1).max() < 1.3 * 0.05
        return
    assert points[:, 2].max() <= data.max_depth * 1.01
    # Every point is in front of the elements' faces.
    nearest = np.linalg.norm(points[:, None] - probe.positions[::8], axis=2).argmin(axis=1)
    ahead = ((points - probe.positions[::8][nearest]) * probe.normals[::8][nearest]).sum(axis=1)
    assert (ahead > -1e-9).all()


def test_curvilinear_sector_follows_the_arc(rng):
    grid = sonoray.default_grid(recording(PROBES["curvilinear"], rng), depth=(1e-3, 0.02))
    first = grid.points()[:, 0]
    np.testing.assert_allclose(np.linalg.norm(first - np.array([0, 0, -0.06]), axis=1), 0.061, rtol=1e-6)


def test_depth_and_spacing_are_kept_or_refused(rng):
    data = recording(PROBES["linear"], rng)
    grid = sonoray.default_grid(data, depth=(5e-3, 15e-3), spacing=2e-4)
    assert grid.spacing == (2e-4, 2e-4)
    assert grid.z[0] == pytest.approx(5e-3)
    assert grid.z[-1] == pytest.approx(15e-3, abs=1e-4)
    for depth in ((15e-3, 5e-3), (-1e-3, 5e-3), (5, 15)):
        with pytest.raises(sonoray.ArgumentError, match="depth|z:"):
            sonoray.default_grid(data, depth=depth)
    with pytest.raises(sonoray.ArgumentError, match="spacing"):
        sonoray.default_grid(data, spacing=0.2)


def test_pipeline_equals_its_steps(rng):
    data = recording(PROBES["linear"], rng, n_frames=3)
    grid = Grid.from_extent(x=(-4e-3, 4e-3), z=(5e-3, 20e-3), spacing=2e-4)
    image, same = sonoray.reconstruct_bmode(data, grid=grid, sound_speed=1500.0, f_number=1.0, frames=slice(1, 3))
    assert same is grid
    iq = sonoray.demodulate(data)
    times = sonoray.arrivals(iq.transmits, iq.probe, grid, 1500.0, sequence_sound_speed=data.sound_speed)
    by_hand = sonoray.Beamformer(times, iq, f_number=1.0, window="hann")(iq)
    np.testing.assert_allclose(image, by_hand[1:], atol=1e-5 * np.abs(by_hand).max())


def test_more_frames_than_a_block(rng):
    data = recording(PROBES["linear"], rng, n_frames=40, n_samples=200)
    grid = Grid((5, 7), 2e-4, (0.0, 3e-3))
    image, _ = sonoray.reconstruct_bmode(data, grid=grid)
    assert image.shape == (40, 5, 7)
    last, _ = sonoray.reconstruct_bmode(data, grid=grid, frames=slice(39, 40))
    np.testing.assert_allclose(image[39], last[0], atol=1e-5 * np.abs(image).max())


def test_what_contradicts_itself_is_refused(rng):
    data = recording(PROBES["linear"], rng)
    medium = sonoray.Medium(Grid.from_extent(x=(-6e-3, 6e-3), z=(0, 0.04), spacing=2e-4), 1540.0)
    with pytest.raises(sonoray.ArgumentError, match="either sound_speed or medium"):
        sonoray.reconstruct_bmode(data, sound_speed=1540.0, medium=medium)
    with pytest.raises(sonoray.ArgumentError, match="sound_speed"):
        sonoray.reconstruct_bmode(data, sound_speed=1.54)
    with pytest.raises(sonoray.ArgumentError, match="frequency"):
        sonoray.reconstruct_bmode(data.with_(center_frequency=0.0))
    aside = sonoray.Medium(Grid.from_extent(x=(0.05, 0.06), z=(0, 0.04), spacing=2e-4), 1540.0)
    with pytest.raises(sonoray.ArgumentError, match="medium"):
        sonoray.reconstruct_bmode(data, medium=aside)


def test_a_ring_hears_itself_through_the_pipeline():
    """A point inside a ring: each element's own echo; the image peaks at the point. Analytic."""
    probe = PROBES["ring"]
    point = np.array([8e-3, 0.0, -5e-3])
    far = np.linalg.norm(probe.positions - point, axis=1)
    t = np.arange(1600) / FS
    lag = t - (far[:, None, None] + far[None, :, None]) / 1500.0
    rf = (np.exp(-((lag / 0.2e-6) ** 2)) * np.cos(2 * np.pi * F0 * lag)).astype("f4")
    transmits = sonoray.full_synthetic_aperture(probe)
    data = sonoray.ChannelData(rf[None], probe, transmits, FS, center_frequency=F0, sound_speed=1500.0)
    grid = Grid.from_extent(x=(5e-3, 11e-3), z=(-8e-3, -2e-3), spacing=5e-5)
    image, _ = sonoray.reconstruct_bmode(data, grid=grid, f_number=0)
    found = sonoray.localize_points(sonoray.envelope(image[0]), grid, point[None], 2e-3)
    np.testing.assert_allclose(found[0], [8e-3, -5e-3], atol=1e-5)


def echoes(probe, point, transmit, sound_speed=1500.0, n_samples=1600):
    """Channel data of one point scatterer: Gaussian pulses that each firing element sends and all receive. Analytic."""
    far = np.linalg.norm(probe.positions - point, axis=1) / sound_speed
    firing = transmit.firing_times(probe, sound_speed)
    t = np.arange(n_samples) / FS
    rf = np.zeros((probe.n_elements, n_samples))
    for when, out in zip(firing, far, strict=True):
        if np.isfinite(when):
            lag = t - (when + out + far)[:, None]
            rf += np.exp(-((lag / 0.2e-6) ** 2)) * np.cos(2 * np.pi * F0 * lag)
    return sonoray.ChannelData(
        rf[None, None].astype("f4"), probe, [transmit], FS, center_frequency=F0, sound_speed=sound_speed
    )


@pytest.mark.parametrize("angle", [0.0, 0.45, -0.7])
def test_phased_array_sees_far_to_the_side(angle):
    probe = Probe.phased(64, 0.19e-3)
    point = 0.03 * np.array([np.sin(angle), 0.0, np.cos(angle)])
    data = echoes(probe, point, Transmit.diverging((0, 0, -5e-3)))
    image, grid = sonoray.reconstruct_bmode(data, depth=(0.02, 0.04))
    level = np.abs(image[0])
    peak = grid.points()[np.unravel_index(level.argmax(), level.shape)]
    # Half a degree of arc at 30 mm across, half a wavelength along.
    assert np.linalg.norm(peak - point) < 0.4e-3


@pytest.mark.parametrize("kind", ["ring", "linear", "curvilinear"])
def test_default_grid_moves_with_the_probe(kind, rng):
    probe, shift = PROBES[kind], np.array([30e-3, 0.0, 12e-3])
    moved = Probe(probe.positions + shift, probe.normals, kind=kind)
    here = sonoray.default_grid(recording(probe, rng)).points()
    there = sonoray.default_grid(recording(moved, rng)).points()
    np.testing.assert_allclose(there, here + shift, atol=1e-9)


def test_a_convex_array_in_any_frame_gets_its_own_centre(rng):
    """The chord at z = 0, as some files have it, instead of the apex."""
    probe = PROBES["curvilinear"]
    chord = Probe(probe.positions - [0, 0, probe.positions[:, 2].min()], probe.normals, kind="curvilinear")
    grid = sonoray.default_grid(recording(chord, rng))
    distance = np.linalg.norm(chord.positions - grid.apex, axis=1)
    np.testing.assert_allclose(distance, 0.06, rtol=1e-9)
    assert grid.ranges[0] > 0.06


def test_incoherent_images_are_magnitudes_that_envelope_leaves_alone(rng):
    data = recording(PROBES["linear"], rng)
    grid = Grid.from_extent(x=(-2e-3, 2e-3), z=(5e-3, 9e-3), spacing=2e-4)
    image, _ = sonoray.reconstruct_bmode(data, grid=grid, compounding="incoherent")
    assert image.dtype == np.complex64
    assert image.real.min() >= 0
    np.testing.assert_array_equal(sonoray.envelope(image), image.real)


@pytest.mark.parametrize(("method", "compounding"), [("das", "none"), ("das", "first"), ("capon", "none")])
def test_one_image_of_a_frame(rng, method, compounding):
    with pytest.raises(sonoray.ArgumentError, match="compounding: expected one of 'coherent', 'incoherent'"):
        sonoray.reconstruct_bmode(recording(PROBES["linear"], rng), method=method, compounding=compounding)


def test_medium_crops_a_sector(rng):
    data = recording(PROBES["phased"], rng)
    medium = sonoray.Medium(Grid.from_extent(x=(-0.012, 0.012), z=(0, 0.02), spacing=2e-4), 1540.0)
    _, grid = sonoray.reconstruct_bmode(data, medium=medium)
    assert medium.grid.contains(grid.points().reshape(-1, 3)).all()
    assert len(grid.ranges) > 10


def test_a_device_gets_what_it_is_given(rng, monkeypatch):
    """The pipeline moves samples to a CUDA plan and images back; here a stand-in device counts that."""
    from sonoray.beamforming import bmode

    moved = []
    monkeypatch.setattr(bmode, "to_device", lambda a, device: moved.append(device) or a)
    monkeypatch.setattr(bmode, "Beamformer", lambda *a, device, **k: sonoray.Beamformer(*a, **k))
    monkeypatch.setattr(bmode, "arrivals", lambda *a, device, **k: sonoray.arrivals(*a, **k))
    data = recording(PROBES["linear"], rng, n_frames=40, n_samples=200)
    image, _ = sonoray.reconstruct_bmode(data, grid=Grid((3, 5), 2e-4, (0.0, 3e-3)), device="cuda:0")
    assert moved == ["cuda:0", "cuda:0"]
    assert np.abs(image).min() > 0


@pytest.mark.gpu
def test_pipeline_on_a_device_equals_the_host(rng):
    if len(sonoray.devices()) < 2:
        pytest.skip("no CUDA device")
    data = recording(PROBES["linear"], rng, n_frames=3)
    grid = Grid.from_extent(x=(-4e-3, 4e-3), z=(5e-3, 20e-3), spacing=2e-4)
    host, _ = sonoray.reconstruct_bmode(data, grid=grid)
    device, _ = sonoray.reconstruct_bmode(data, grid=grid, device="cuda")
    np.testing.assert_allclose(device, host, atol=1e-4 * np.abs(host).max())


def test_impossible_foci_are_refused(rng):
    probe = PROBES["linear"]
    for transmit, text in (
        (Transmit.focused((0, 0, -30e-3)), "in front of the firing elements"),
        (Transmit.diverging((0, 0, 15e-3)), "virtual source behind"),
    ):
        with pytest.raises(sonoray.ArgumentError, match=text):
            sonoray.arrivals(transmit, probe, Grid((3, 5), 2e-4, (0.0, 3e-3)), 1540.0)
        with pytest.raises(sonoray.ArgumentError, match=text):
            recording(probe, rng).with_(transmits=[transmit])
