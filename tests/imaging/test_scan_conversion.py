"""Scan conversion: exact for images linear in range and angle, and for nothing outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError, Grid, ScanLines, SectorGrid

APEX = (0.003, 0.0, -0.06)  # a curved array of 60 mm radius, off-centre
SECTOR = SectorGrid(np.linspace(0.06, 0.14, 81), np.linspace(-0.5, 0.6, 45), APEX)


def polar(grid):
    x, z = np.meshgrid(grid.x - APEX[0], grid.z - APEX[2], indexing="ij")
    return np.hypot(x, z), np.arctan2(x, z)


def field(r, a, k=(1.0, 20.0, -3.0, 7.0)):
    return k[0] + k[1] * r + k[2] * a + k[3] * r * a


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-10, 10)] * 4))
def test_exact_for_images_linear_in_range_and_angle(k):
    grid = sonoray.covering_grid(SECTOR, 5e-4)
    image = field(SECTOR.ranges[None], SECTOR.angles[:, None], k)
    result = sonoray.scan_convert(image, SECTOR, grid)
    r, a = polar(grid)
    inside = (r >= 0.06) & (r <= 0.14) & (a >= -0.5) & (a <= 0.6)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[inside], field(r, a, k)[inside], atol=2e-5)
    assert np.isnan(result[~inside]).sum() >= (~inside).sum() - 8  # the rim itself may round either way


def test_uneven_ranges_and_angles():
    sector = SectorGrid(0.06 + 0.08 * np.linspace(0, 1, 50) ** 2, np.sinh(np.linspace(-0.5, 0.5, 21)), APEX)
    grid = Grid.from_extent(x=(-0.01, 0.01), z=(0.005, 0.07), spacing=1e-3)
    image = field(sector.ranges[None], sector.angles[:, None])
    np.testing.assert_allclose(sonoray.scan_convert(image, sector, grid), field(*polar(grid)), atol=2e-5)


def test_points_of_the_sector_on_the_axis_keep_their_values():
    sector = SectorGrid(np.linspace(0.01, 0.03, 21), [-0.2, 0.0, 0.2])
    image = np.random.default_rng(0).random(sector.shape).astype("f4")
    grid = Grid((1, 21), 1e-3, (0.0, 0.01))
    np.testing.assert_allclose(sonoray.scan_convert(image, sector, grid)[0], image[1], atol=1e-4)


def test_frames_fill_and_dtypes():
    image = np.random.default_rng(1).integers(0, 255, (2, 3, *SECTOR.shape)).astype(np.uint8)
    grid = sonoray.covering_grid(SECTOR, 2e-3)
    grey = sonoray.scan_convert(image, SECTOR, grid)
    assert grey.dtype == np.uint8 and grey.shape == (2, 3, *grid.shape)
    np.testing.assert_array_equal(grey[1, 2], sonoray.scan_convert(image[1, 2], SECTOR, grid))
    floats = sonoray.scan_convert(image.astype("f8"), SECTOR, grid, fill=-60.0)
    assert floats.min() == -60 and floats.dtype == np.float32
    np.testing.assert_array_equal(np.rint(np.maximum(floats, 0)), grey)
    assert sonoray.scan_convert(image[0, 0] * 1j, SECTOR, grid).dtype == np.complex64


LINE = ScanLines(np.zeros((1, 1, 1, 9), "u1"), [0.0], 0.0, np.linspace(0.01, 0.02, 9), 5e6)


@pytest.mark.parametrize(("first", "last"), [(-0.5, 0.6), (0.2, 0.9), (-2.0, 2.5), (-np.pi, np.pi)])
def test_covering_grid_holds_the_sector_and_little_more(first, last):
    sector = SectorGrid(np.linspace(0.02, 0.05, 31), np.linspace(first, last, 301), APEX)
    grid = sonoray.covering_grid(sector)
    assert grid.spacing == pytest.approx((1e-3, 1e-3))
    points = sector.points().reshape(-1, 3)
    assert grid.contains(points).all()
    for axis, column in ((0, 0), (1, 2)):
        assert abs(grid.extent[axis][0] - points[:, column].min()) < 1.01e-3
        assert abs(grid.extent[axis][1] - points[:, column].max()) < 1.01e-3


@pytest.mark.parametrize("angle", [-0.3, 0.0, 0.25])
def test_covering_grid_holds_lines_and_little_more(angle):
    x, ranges = np.linspace(-5e-3, 7e-3, 13), np.linspace(4e-3, 20e-3, 50)
    lines = ScanLines(np.zeros((1, 1, 13, 50), "u1"), x, angle, ranges, 5e6)
    grid = sonoray.covering_grid(lines)
    assert grid.spacing == pytest.approx((5e-4, 5e-4))
    columns, depths = (x[:, None] + np.sin(angle) * ranges).ravel(), np.cos(angle) * ranges
    for (first, last), points in zip(grid.extent, (columns, depths), strict=True):
        assert -1e-9 < points.min() - first < 5.1e-4
        assert -1e-9 < last - points.max() < 5.1e-4
    assert sonoray.covering_grid(lines, 2e-3).shape[0] < grid.shape[0] / 3


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda i, g: sonoray.scan_convert(i.T, SECTOR, g), "image.*shape"),
        (lambda i, g: sonoray.scan_convert(i, g, g), "sector"),
        (lambda i, g: sonoray.scan_convert(i, SECTOR, SECTOR), "grid"),
        (lambda i, g: sonoray.scan_convert(i, SECTOR, Grid((2, 2, 2), 1e-3, (0, 0, 0))), "grid.*2 axes"),
        (lambda i, g: sonoray.scan_convert(i.astype("u1"), SECTOR, g, fill=300), "fill.*uint8"),
        (lambda i, g: sonoray.scan_convert(i[:1], SectorGrid(SECTOR.ranges, [0.0]), g), "at least 2"),
        (lambda i, g: sonoray.covering_grid(SECTOR, 1e-6), "1e8 points|1e\\+08"),
        (lambda i, g: sonoray.covering_grid(SECTOR, 0.5), "spacing.* m"),
        (lambda i, g: sonoray.covering_grid(LINE), "at least 2 lines"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(np.zeros(SECTOR.shape), sonoray.covering_grid(SECTOR))
