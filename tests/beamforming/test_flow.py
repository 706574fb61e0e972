"""From channel data to flow: velocities that were put in, where they were put in; refusals."""

from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid, Probe
from sonoray.beamforming.flow import gate_samples, reconstruct_doppler

from .flow_lines import steered_lines
from .flow_recording import LAYER, LIMIT, RATE, flow_recording, profile

GRID = Grid.from_extent(x=(-3e-3, 3e-3), z=(7e-3, 15e-3), spacing=1.2e-4)
INSIDE = (GRID.z > LAYER[0] + 4e-4) & (GRID.z < LAYER[1] - 4e-4)
OUTSIDE = (GRID.z < LAYER[0] - 6e-4) | (GRID.z > LAYER[1] + 6e-4)


@pytest.fixture(scope="module")
def towards():
    return flow_recording((0.0, -0.4 * LIMIT))


def test_blood_is_painted_where_it_flows_and_as_fast(towards):
    flow = reconstruct_doppler(towards, grid=GRID, ensemble=5, wall_filter=0)
    assert flow.velocity.shape == (2, *GRID.shape) and flow.picture.shape == (2, *GRID.shape, 3)
    assert flow.nyquist == pytest.approx(LIMIT) and flow.image_rate == pytest.approx(RATE / 5)
    assert flow.painted[:, :, INSIDE].mean() > 0.8  # speckle has dark spots
    assert flow.painted[:, :, OUTSIDE].mean() < 0.15
    assert np.median(flow.velocity[:, :, INSIDE]) == pytest.approx(0.4 * LIMIT, rel=0.05)
    red, blue = flow.picture[..., 0][flow.painted].astype(int), flow.picture[..., 2][flow.painted].astype(int)
    assert (red > blue).mean() > 0.97  # towards the probe
    grey = flow.picture[~flow.painted]
    assert (grey == grey[:, :1]).all()


def test_without_the_filter_still_tissue_is_what_moves_least(towards):
    flow = reconstruct_doppler(towards, grid=GRID, wall_filter=None, threshold=-100)
    assert np.abs(flow.velocity[0][:, OUTSIDE]).max() < 0.02 * LIMIT
    assert flow.painted.mean() > 0.99


def test_power_has_no_direction(towards):
    flow = reconstruct_doppler(towards, "power", grid=GRID, wall_filter=0)
    away = reconstruct_doppler(flow_recording((0.0, 0.4 * LIMIT)), "power", grid=GRID, wall_filter=0)
    assert flow.color_map == away.color_map == "ember"
    # The same scatterers from another frame on: powers agree but for what moved.
    ratio = flow.power[0][:, INSIDE].mean() / away.power[0][:, INSIDE].mean()
    assert 0.7 < ratio < 1.4


def test_power_of_two_frames_needs_no_velocity(towards):
    flow = reconstruct_doppler(towards, "power", grid=GRID, wall_filter=0, ensemble=2)
    assert flow.power.shape == (5, *GRID.shape) and (flow.velocity == 0).all()
    assert flow.power[..., INSIDE].mean() > 5 * flow.power[..., OUTSIDE].mean()


def test_vectors_of_a_sector_are_on_the_grid_of_the_picture():
    data = flow_recording(
        (0.5 * LIMIT, 0.3 * LIMIT), np.deg2rad([-12.0, 0.0, 12.0]), n_frames=4, tissue=1.0, probe="curvilinear"
    )
    flow = reconstruct_doppler(data, "vector", wall_filter=None, average=9, depth=(7e-3, 15e-3), spacing=2e-4)
    found = flow.vectors[0]
    assert found.velocity.shape == (2, *flow.grid.shape) and found.condition.shape == flow.grid.shape
    np.testing.assert_array_equal(flow.velocity[0], np.hypot(*found.velocity))
    middle = np.abs(flow.grid.x) < 2e-3
    inside = (flow.grid.z > LAYER[0] + 5e-4) & (flow.grid.z < LAYER[1] - 5e-4)
    assert np.median(found.velocity[1][np.ix_(middle, inside)]) == pytest.approx(0.3 * LIMIT, rel=0.1)
    assert np.isinf(found.condition[0, 0]) and np.isfinite(found.condition[np.ix_(middle, inside)]).all()


def test_aliases_are_resolved_on_request():
    data = flow_recording((0.0, -1.4 * LIMIT), n_frames=5, tissue=1.0, parabolic=True)
    plain, mended = (
        reconstruct_doppler(data, grid=GRID, wall_filter=None, threshold=-100, unwrap=unwrap)
        for unwrap in (False, True)
    )
    middle = profile(GRID.z) > 0.95
    assert np.median(plain.velocity[0][:, middle]) == pytest.approx(-0.6 * LIMIT, rel=0.2)
    assert np.median(mended.velocity[0][:, middle]) == pytest.approx(1.4 * LIMIT, rel=0.1)
    assert plain.nyquist == pytest.approx(LIMIT)
    assert mended.nyquist == pytest.approx(LIMIT) and 1.3 * LIMIT <= mended.limit <= 1.6 * LIMIT


@pytest.mark.parametrize(
    ("probe", "options"),
    [
        ("linear", {}),
        ("linear", {"aperture_axis": "beam"}),
        ("linear", {"aperture_axis": "beam", "f_number": 3.0, "window": "boxcar"}),
        ("linear", {"receive_angles": np.deg2rad([-12.0, 12.0])}),
        ("phased", {}),  # all elements everywhere: what each point sees differs across the image
        ("curvilinear", {"aperture_axis": "beam"}),
    ],
    ids=["normal", "beam", "beam f/3", "crossed", "no f-number", "curvilinear"],
)
def test_vectors_from_three_plane_waves(probe, options):
    """Apertures end at the sides of so small a probe nearly everywhere, so that no axis alone says what is seen."""
    angles = np.deg2rad([-12.0, 0.0, 12.0])
    along, across = 0.3 * LIMIT, 0.9 * LIMIT
    data = flow_recording((across, along), angles, probe=probe)
    flow = reconstruct_doppler(data, "vector", grid=GRID, wall_filter=0, average=9, **options)
    found = np.median(flow.vectors[0].velocity[:, 8:-8, :][:, :, INSIDE], axis=(1, 2))
    # Speckle: 120 scatterers. Where receive apertures see all directions alike the condition is above 10.
    steered = "aperture_axis" in options or "receive_angles" in options
    assert found[1] == pytest.approx(along, rel=0.1)
    assert found[0] == pytest.approx(across, rel=0.1 if steered else 0.2)
    assert flow.velocity.min() >= 0


def test_vectors_from_one_plane_wave_seen_from_two_sides():
    along, across = -0.2 * LIMIT, 0.9 * LIMIT
    data = flow_recording((across, along))
    sides = np.deg2rad([-12.0, 12.0])
    flow = reconstruct_doppler(data, "vector", grid=GRID, wall_filter=0, average=9, receive_angles=sides)
    found = np.median(flow.vectors[0].velocity[:, 8:-8, :][:, :, INSIDE], axis=(1, 2))
    assert found[1] == pytest.approx(along, rel=0.1)
    assert found[0] == pytest.approx(across, rel=0.15)
    assert flow.nyquist == pytest.approx(LIMIT)


def test_vectors_that_directions_do_not_tell_are_not_painted_and_do_not_stretch_the_bar():
    data = flow_recording((0.9 * LIMIT, -0.2 * LIMIT))
    sides = np.deg2rad([-8.0, 8.0])  # noise across is magnified by 15
    flow = reconstruct_doppler(data, "vector", grid=GRID, wall_filter=0, receive_angles=sides, threshold=-100)
    steady = flow.vectors[0].condition * np.sqrt(flow.variance[0])
    assert flow.velocity[0].max() > 4 * LIMIT  # of noise
    assert 0.05 < flow.painted.mean() < 0.6
    assert flow.painted[0][steady < 5].mean() > 0.9 and not flow.painted[0][steady > 6].any()
    assert flow.nyquist == pytest.approx(LIMIT) and LIMIT <= flow.limit < 0.6 * flow.velocity.max()


def test_sectors_are_scan_converted():
    data = flow_recording((0.0, -0.4 * LIMIT))
    data = replace(data, probe=Probe(data.probe.positions, kind="phased", center_frequency=5e6))
    flow = reconstruct_doppler(data, depth=(7e-3, 15e-3), spacing=2e-4, wall_filter=0)
    assert isinstance(flow.grid, Grid) and flow.bmode.shape[1:] == flow.grid.shape
    middle = np.abs(flow.grid.x) < 2e-3
    inside = (flow.grid.z > LAYER[0] + 5e-4) & (flow.grid.z < LAYER[1] - 5e-4)
    assert np.median(flow.velocity[0][np.ix_(middle, inside)]) == pytest.approx(0.4 * LIMIT, rel=0.05)
    assert flow.bmode[0, 0, 0] == 0 and not flow.painted[0, 0, 0]  # beyond the sector


def test_the_sample_volume_hears_its_velocity():
    data = flow_recording((0.0, -0.4 * LIMIT), n_frames=34)
    samples = gate_samples(data, (0.0, 11e-3), (1e-3, 1e-3))
    spectra = sonoray.sonogram(samples, 5e6, RATE, length=32, wall_filter=0)
    peak = spectra.velocities[spectra.power.mean(axis=0).argmax()]
    assert peak == pytest.approx(0.4 * LIMIT, abs=2 * LIMIT / 32)


def test_focused_lines_are_frames_like_any_other():
    lines = [sonoray.Transmit.focused((x, 0.0, 25e-3)) for x in np.linspace(-2e-3, 2e-3, 9)]
    data = flow_recording((0.0, -0.4 * LIMIT), transmits=lines, n_frames=6)
    flow = reconstruct_doppler(data, grid=GRID, wall_filter=0)
    middle = np.abs(GRID.x) < 1.5e-3
    assert np.median(flow.velocity[0][np.ix_(middle, INSIDE)]) == pytest.approx(0.4 * LIMIT, rel=0.05)


def test_lines_of_a_scanner_are_painted_where_blood_flows():
    lines = steered_lines()
    flow = reconstruct_doppler(lines, frame_rate=RATE, wall_filter=0, sound_speed=1540.0)
    assert flow.velocity.shape == (2, *flow.grid.shape) and flow.nyquist == pytest.approx(LIMIT)
    assert flow.image_rate == 20
    x, z = np.meshgrid(flow.grid.x, flow.grid.z, indexing="ij")
    along, across = z / np.cos(0.2), x - z * np.tan(0.2)
    seen = np.abs(across) < 7.5e-3
    blood = seen & (along > 10.5e-3) & (along < 14.5e-3)
    tissue = seen & ((along < 9.5e-3) | (along > 15.5e-3))
    assert flow.painted[:, blood].mean() > 0.95
    assert flow.painted[:, tissue].mean() < 0.2
    assert np.median(flow.velocity[:, blood]) == pytest.approx(0.4 * LIMIT, rel=0.03)
    assert not flow.painted[:, np.abs(across) > 8.5e-3].any() and (flow.bmode[:, np.abs(across) > 8.5e-3] == 0).all()


def test_what_lines_lack_is_said():
    lines = steered_lines()
    for text, given, options in (
        ("rate of the shots", lines, {}),
        ("kind", lines, {"kind": "vector", "frame_rate": RATE}),
        ("ensemble: expected the 8 shots", lines, {"ensemble": 4, "frame_rate": RATE}),
        ("f_number: expected only with channel data", lines, {"f_number": 1.5, "frame_rate": RATE}),
        ("I/Q with two shots", replace(lines, samples=lines.samples[:, :1]), {"frame_rate": RATE}),
        ("I/Q with two shots", replace(lines, samples=np.abs(lines.samples)), {"frame_rate": RATE}),
        ("grid", lines, {"frame_rate": RATE, "grid": GRID, "spacing": 1e-3}),
        ("spacing", lines, {"frame_rate": RATE, "spacing": 0.2}),
        ("two lines", replace(lines, samples=lines.samples[:, :, :1], x=lines.x[:1]), {"frame_rate": RATE}),
    ):
        with pytest.raises(ArgumentError, match=text):
            reconstruct_doppler(given, **options)


def test_what_cannot_be_done_is_said(towards):
    one = towards.select(frames=[0])
    for text, data, options in (
        ("two frames or more", one, {}),
        ("frame_rate", replace(towards, frame_rate=0.0), {}),
        ("wall_filter: expected at most 8", towards, {"wall_filter": 9}),
        ("wall_filter: expected at most 2", towards, {"wall_filter": 3, "ensemble": 4}),
        ("ensemble", towards, {"ensemble": 11}),
        ("at most 0 for 2 frames .velocities: none at all", towards, {"wall_filter": 1, "ensemble": 2}),
        ("leaves two of the 2 dimensions", towards, {"wall_filter": 0, "ensemble": 2}),
        ("two angles", towards, {"kind": "vector"}),
        ("compounding", towards, {"compounding": "incoherent"}),
        ("method.*dmas", towards, {"method": "dmas"}),
        ("method.*short-lag", towards, {"method": "short-lag-coherence"}),
        ("select", towards, {"frames": slice(0, 4)}),
        ("either a grid or depth", towards, {"depth": (7e-3, 15e-3)}),
        ("kind", towards, {"kind": "spectral"}),
        ("plane", replace(towards, probe=Probe(towards.probe.positions, kind="matrix", center_frequency=5e6)), {}),
    ):
        where = {"grid": GRID} if text != "plane" else {"spacing": 1e-3}
        with pytest.raises(ArgumentError, match=text):
            reconstruct_doppler(data, **where, **options)
    with pytest.raises(ArgumentError, match="position"):
        gate_samples(towards, (0.0, 0.9))
    with pytest.raises(ArgumentError, match=r"position: .*apertures reach, got \(60, 11\) mm"):
        gate_samples(towards, (60e-3, 11e-3))
    for text, options in (
        ("compounding", {"compounding": "incoherent"}),
        ("method", {"method": "sign-coherence"}),
        ("select", {"frames": slice(0, 4)}),
    ):
        with pytest.raises(ArgumentError, match=text):
            gate_samples(towards, (0.0, 11e-3), **options)


def test_vectors_want_directions_that_differ():
    data = flow_recording((0.0, 0.1), np.deg2rad([-10.0, 10.0]), n_frames=2)
    for text, given, options in (
        ("two angles.*got 1 in 1 transmits and 1 rec", data.select(transmits=[0]), {}),
        ("two angles", data.select(transmits=[0]), {"receive_angles": [0.1]}),
        ("two angles", data.select(transmits=[0]), {"receive_angles": [0.1, 0.1]}),
        ("receive_angles.*at least one", data, {"receive_angles": []}),
        ("receive_angles.*rad", data, {"receive_angles": [-12.0, 12.0]}),
        ("receive_angles.*aperture_axis", data, {"receive_angles": [0.1], "aperture_axis": "beam"}),
        ("f_number", data, {"receive_angles": [0.1], "f_number": 0}),
        ("unwrap", data, {"unwrap": True}),
        ("persistence", data, {"persistence": 0.5}),
        ("method: .*window's weights.*'capon'", data, {"method": "capon"}),
        (
            "transmit 1 of 2 without a direction",
            replace(data, transmits=[data.transmits[0], sonoray.Transmit.focused((0.0, 0.0, 0.02))]),
            {"receive_angles": [-0.1, 0.1]},
        ),
    ):
        with pytest.raises(ArgumentError, match=text):
            reconstruct_doppler(given, "vector", grid=GRID, wall_filter=0, **options)
    with pytest.raises(ArgumentError, match="receive_angles: expected only for 'vector'"):
        reconstruct_doppler(data, grid=GRID, wall_filter=0, receive_angles=[0.1])


def test_velocities_scale_with_the_speed_of_the_medium(towards):
    grid = Grid.from_extent(x=(-8e-3, 8e-3), z=(0.0, 18e-3), spacing=2.5e-4)
    speed = 1560 + 5e3 * grid.z + np.zeros(grid.shape)
    flow = reconstruct_doppler(towards, grid=GRID, ensemble=5, wall_filter=0, medium=sonoray.Medium(grid, speed))
    assert flow.nyquist == pytest.approx(LIMIT * (1560 + 5e3 * GRID.z.mean()) / 1540)


def test_variance_persists_as_power_does(towards):
    options = {"grid": GRID, "ensemble": 5, "wall_filter": 0}
    plain = reconstruct_doppler(towards, **options)
    slow = reconstruct_doppler(towards, persistence=0.6, **options)
    np.testing.assert_allclose(slow.power[1], 0.6 * plain.power[0] + 0.4 * plain.power[1], rtol=1e-4)
    weighted = 0.6 * plain.power[0] * plain.variance[0] + 0.4 * plain.power[1] * plain.variance[1]
    np.testing.assert_allclose(slow.variance[1], weighted / slow.power[1], rtol=1e-3, atol=1e-5)
