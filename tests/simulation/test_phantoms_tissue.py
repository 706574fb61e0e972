"""Tissue phantoms: what is in them is where they say; the cache of the wall data. Evidence: analytic, invariants."""

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, ChannelData, FormatError, Grid, Medium, Probe, Transmit
from sonoray.assets import making, read_targets
from sonoray.media.phantoms_tissue import (
    MAST_1997,
    abdominal_wall_medium,
    coarsened,
    layered_wall,
    tissue_phantom,
)

GRID = Grid.from_extent(x=(-5e-3, 5e-3), z=(0.0, 12e-3), spacing=1e-4)


@pytest.fixture
def wall_map(tmp_path):
    """A map of plain layers: 2 mm connective, 3 mm fat, then background; pixels as in the real sections."""
    depth = np.arange(300) * 0.33e-3 / 4 * 0.655
    labels = np.select([depth < 2e-3, depth < 5e-3], [1, 3], 0).astype(np.uint8)
    path = tmp_path / "map.mat"
    scipy.io.savemat(path, {"cut": np.repeat(labels[:, None], 1601, axis=1)})
    return path


def test_scatterers_are_where_they_should_be():
    phantom = tissue_phantom(
        Medium(GRID, 1540.0),
        points=[[2e-3, 0, 5e-3]],
        cysts=[[-2e-3, 0, 8e-3, 1.5e-3]],
        contrast=0.01,
        seed=5,
    )
    texture = phantom.texture
    x, z = np.meshgrid(*GRID.axes, indexing="ij")
    in_cyst = np.hypot(x + 2e-3, z - 8e-3) < 1.5e-3
    assert (texture[in_cyst] == 1).all() and (texture[z < 1e-3] == 1).all()
    speckle = texture[(z > 1.05e-3) & ~in_cyst & (np.hypot(x - 2e-3, z - 5e-3) > 6e-4)]
    # Standard deviation of 1e4 normal values: 0.7 % statistical error, taken four times.
    assert speckle.std() == pytest.approx(0.01, rel=0.03) and abs(speckle.mean() - 1) < 5e-4
    i, j = np.unravel_index(texture.argmax(), texture.shape)
    assert (GRID.x[i], GRID.z[j]) == pytest.approx((2e-3, 5e-3), abs=1e-9)
    np.testing.assert_array_equal(phantom.scattering_medium.sound_speed, 1540)  # travel times know no scatterers
    np.testing.assert_allclose(phantom.scattering_medium.density, 1000 * texture)


def test_seed_decides():
    first, same, other = (tissue_phantom(layered_wall(GRID), points=[[0, 0, 9e-3]], seed=s).texture for s in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": [[0, 0, 9.0]]}, "points.*really in m"),
        ({"points": [[0, 0, 0.5]]}, "points, cysts: expected positions inside"),
        ({"contrast": 2.0}, "contrast"),
        ({"seed": -1}, "seed"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ArgumentError, match=message):
        tissue_phantom(Medium(GRID, 1540.0), **{"points": [[0, 0, 5e-3]], **changes})


@settings(max_examples=15, deadline=None)
@given(factor=st.integers(1, 9), gradient=st.floats(-5.0, 5.0))
def test_coarsening_keeps_linear_slowness(factor, gradient):
    """Means over symmetric windows leave a linear field alone, away from the border."""
    slowness = 1 / 1540 + gradient * 1e-3 * np.add.outer(GRID.x, GRID.z)
    coarse = coarsened(Medium(GRID, 1 / slowness), factor)
    np.testing.assert_allclose(coarse.grid.spacing, factor * 1e-4)
    inner = 1 / coarse.sound_speed[1:-1, 1:-1]
    x, z = coarse.grid.axes
    want = 1 / 1540 + gradient * 1e-3 * np.add.outer(x, z)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, want, rtol=2e-7)  # float32


def test_labels_become_layers(wall_map):
    medium = abdominal_wall_medium(wall_map, grid=GRID, window_center=20e-3, smoothing=0.0)
    speeds = medium.sound_speed[0]
    fat, _, connective = (t[0] for t in MAST_1997)
    for low, high, speed in ((0, 1.9e-3, connective), (2.1e-3, 4.9e-3, fat), (5.1e-3, 12e-3, 1540.0)):
        np.testing.assert_allclose(speeds[(GRID.z >= low) & (GRID.z <= high)], speed, rtol=1e-6)
    # Smoothing keeps the time across the whole stack.
    smooth = abdominal_wall_medium(wall_map, grid=GRID, window_center=20e-3, smoothing=3e-4)
    np.testing.assert_allclose(smooth.slowness.sum(axis=1), medium.slowness.sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("content", [None, b"not a map", {"other": 1}, {"cut": np.full((5, 5), 9, np.uint8)}])
def test_bad_maps_are_format_errors(tmp_path, content):
    path = tmp_path / "map.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        scipy.io.savemat(path, content)
    with pytest.raises(FormatError, match="map"):
        abdominal_wall_medium(path, grid=GRID, window_center=0.0)


def test_wall_data_are_simulated_once(wall_map, tmp_path, monkeypatch):
    calls = []

    def simulate(phantom, progress):
        calls.append(phantom)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return ChannelData(np.ones((1, 1, 4, 16), np.int16), Probe.linear(4, 3e-4), [Transmit.plane()], 1e7)

    monkeypatch.setattr(making, "abdominal_data", simulate)
    with pytest.raises(KeyboardInterrupt):
        making.aberration_data(tmp_path / "cache", wall_map)
    assert not list((tmp_path / "cache").glob("*.h5"))
    data, medium = making.aberration_data(tmp_path / "cache", wall_map)
    again, _ = making.aberration_data(tmp_path / "cache", wall_map)
    assert len(calls) == 2
    np.testing.assert_array_equal(again.samples, data.samples)
    assert isinstance(medium, sonoray.Medium) and medium.sound_speed.dtype == np.float32
    (cached,) = (tmp_path / "cache").iterdir()
    points, cysts = read_targets(cached)
    np.testing.assert_array_equal(points, calls[0].points)
    np.testing.assert_array_equal(cysts, calls[0].cysts)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(FormatError, match="truth"):
        read_targets(tmp_path / "empty.h5")


def test_blur_keeps_the_mean_and_spreads_as_a_gaussian():
    speed = np.full(GRID.shape, 1540.0)
    speed[50, 60] = 1400.0
    blurred = coarsened(Medium(GRID, speed), 1, blur=3e-4)
    extra = 1 / blurred.sound_speed.astype(float) - 1 / 1540
    assert extra.sum() == pytest.approx(1 / 1400 - 1 / 1540, rel=1e-2)  # float32 sound speed
    x = GRID.x[:, None] - GRID.x[50]
    assert np.sqrt((extra * x**2).sum() / extra.sum()) == pytest.approx(3e-4, rel=2e-2)
