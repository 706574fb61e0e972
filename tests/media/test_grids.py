"""Grids: coordinates, corners and refusals by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoray import ArgumentError, Grid, SectorGrid


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(1e-6, 1e-3), st.floats(-1, 1), st.floats(-1, 1))
def test_points_follow_the_axes_with_depth_fastest(nx, nz, h, x0, z0):
    grid = Grid((nx, nz), h, (x0, z0))
    points = grid.points()
    assert points.shape == (nx, nz, 3) and grid.size == nx * nz and grid.ndim == 2
    np.testing.assert_array_equal(points[:, 0, 0], grid.x)
    np.testing.assert_array_equal(points[0, :, 2], grid.z)
    assert (points[..., 1] == 0).all()
    np.testing.assert_allclose(points[-1, -1], [x0 + (nx - 1) * h, 0, z0 + (nz - 1) * h], atol=1e-14)
    assert grid.contains(points.reshape(-1, 3)).all()
    beyond = points.reshape(-1, 3) + np.array([nx * h, 0, 0])
    assert not grid.contains(beyond).any()


def test_volume():
    grid = Grid.from_extent(x=(0, 2e-3), y=(-1e-3, 1e-3), z=(0, 3e-3), spacing=(1e-3, 5e-4, 1e-3))
    assert grid.shape == (3, 5, 4) and grid.ndim == 3
    np.testing.assert_allclose(grid.points()[1, 2, 3], [1e-3, 0, 3e-3], atol=1e-18)
    np.testing.assert_array_equal(grid.contains([[0, 0, 0], [0, 2e-3, 0]]), [True, False])


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.5, 0.4), st.floats(0, 0.1), st.floats(1e-4, 1e-2))
def test_from_extent_ends_at_the_nearest_point(first, length, h):
    grid = Grid.from_extent(x=(first, first + length), z=(0.0, 0.0), spacing=h)
    assert grid.x[0] == first and abs(grid.x[-1] - (first + length)) <= h / 2 * (1 + 1e-9)
    assert grid.shape[1] == 1
    assert grid.extent[1] == (0.0, 0.0)


def test_grids_compare_and_hash():
    one, same = Grid((3, 4), 1e-3, (0, 0)), Grid((3, 4), (1e-3, 1e-3), (0.0, 0.0))
    assert one == same and hash(one) == hash(same) and one != Grid((3, 4), 1e-3, (0, 1e-3))


def test_sector_points_lie_at_their_range_and_angle():
    apex = (1e-3, 0.0, -0.06)
    sector = SectorGrid(np.linspace(0.06, 0.1, 5), np.linspace(-0.6, 0.7, 4), apex)
    offset = sector.points() - apex
    assert sector.shape == (4, 5) and sector.size == 20 and sector.ndim == 2
    np.testing.assert_allclose(np.linalg.norm(offset, axis=-1), np.broadcast_to(sector.ranges, (4, 5)))
    angle = np.arctan2(offset[..., 0], offset[..., 2])
    np.testing.assert_allclose(angle, np.broadcast_to(sector.angles[:, None], (4, 5)))


def test_sectors_compare_by_value():
    one = SectorGrid([0.1, 0.2], [0.0, 0.1])
    assert one == SectorGrid(np.array([0.1, 0.2]), (0.0, 0.1))
    assert one != SectorGrid([0.1, 0.2], [0.0, 0.2]) and one != SectorGrid([0.1, 0.2], [0.0, 0.1], (0, 0, -0.1))
    assert one != "sector"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Grid((3,), 1e-3, (0,)), "shape.*axes"),
        (lambda: Grid((3, 0), 1e-3, (0, 0)), "shape"),
        (lambda: Grid((3, 2.5), 1e-3, (0, 0)), "shape.*integer"),
        (lambda: Grid((3, 4), 0.3, (0, 0)), "spacing.* m"),
        (lambda: Grid((3, 4), 0.0, (0, 0)), "spacing"),
        (lambda: Grid((3, 4), np.nan, (0, 0)), "spacing.*finite"),
        (lambda: Grid((3, 4), "fine", (0, 0)), "spacing.*number"),
        (lambda: Grid((3, 4), (1e-3,) * 3, (0, 0)), "spacing.*2 values"),
        (lambda: Grid((3, 4), 1e-3, (0, 40.0)), "origin.* m"),
        (lambda: Grid((3, 4), 1e-3, 0.0), "origin.*2 values"),
        (lambda: Grid.from_extent(x=(-20, 20), z=(0, 0.1), spacing=1e-3), "x.* m"),
        (lambda: Grid.from_extent(x=(0, np.inf), z=(0, 0.1), spacing=1e-3), "x.*finite"),
        (lambda: Grid.from_extent(x=(0.1, 0), z=(0, 0.1), spacing=1e-3), "x.*rising"),
        (lambda: Grid.from_extent(x=(0, 1.0), z=(0, 0.1), spacing=1e-6), "x: number of points"),
        (lambda: Grid.from_extent(x=(0, 0.1), z=(0, 0.1), spacing=(1e-3,) * 3), "spacing"),
        (lambda: Grid((3, 4), 1e-3, (0, 0)).contains([[0, 0]]), "points.*shape"),
        (lambda: SectorGrid([30.0, 60.0], [0, 0.1]), "ranges.* m"),
        (lambda: SectorGrid([0.1, 0.2], [-30.0, 30.0]), "angles.*rad"),
        (lambda: SectorGrid([0.2, 0.1], [0, 0.1]), "ranges.*rising"),
        (lambda: SectorGrid([0.1, 0.2], [0.1, 0.1]), "angles.*rising"),
        (lambda: SectorGrid([0.1, np.nan], [0, 0.1]), "ranges.*finite"),
        (lambda: SectorGrid([], [0, 0.1]), "ranges"),
        (lambda: SectorGrid([[0.1, 0.2]], [0, 0.1]), "ranges.*shape"),
        (lambda: SectorGrid([0.1, 0.2], [0, 0.1], (0, 0, -60.0)), "apex.* m"),
        (lambda: SectorGrid([0.1, 0.2], [0, 0.1], (0, 0)), "apex.*shape"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
