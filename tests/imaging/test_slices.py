"""Orthogonal slices: the right planes, on one sheet, in a figure."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, orthogonal_slices, slice_sheet

GRID = Grid((5, 4, 7), (1e-3, 1e-3, 1e-3), (-2e-3, -1e-3, 5e-3))


def position(grid):
    """A volume whose values tell where they are."""
    x, y, z = grid.points().transpose(3, 0, 1, 2)
    return (1e3 * x + 1e5 * y + 1e7 * z).astype(np.float32)


def test_slices_go_through_the_point():
    volume = position(GRID)
    x_z, y_z, x_y = orthogonal_slices(volume, GRID, (1.2e-3, -1e-3, 9.4e-3))
    np.testing.assert_array_equal(x_z, volume[:, 0, :])
    np.testing.assert_array_equal(y_z, volume[3, :, :])
    np.testing.assert_array_equal(x_y, volume[:, :, 4])
    np.testing.assert_array_equal(orthogonal_slices(volume, GRID)[0], volume[:, 2, :])


def test_sheet_holds_the_slices_in_true_proportions():
    grid = Grid((5, 4, 7), (1e-3, 2e-3, 0.5e-3), (-2e-3, -3e-3, 5e-3))
    sheet, flat = slice_sheet(position(grid), grid, fill=-7.0)
    assert flat.spacing == (0.5e-3, 0.5e-3)
    assert (flat.origin[0], flat.origin[1]) == (-2e-3, 5e-3)
    assert sheet.shape == flat.shape == (9 + 8 + 13, 7 + 8 + 13)
    x_z, y_z, x_y = orthogonal_slices(position(grid), grid)
    np.testing.assert_allclose(sheet[:9:2, :7], x_z)
    np.testing.assert_allclose(sheet[17::4, :7], y_z)
    np.testing.assert_allclose(sheet[:9:2, 15::4], x_y)
    np.testing.assert_allclose(sheet[1, :7], 0.5 * (x_z[0] + x_z[1]))
    assert (sheet[9:17] == -7).all()
    assert (sheet[17:, 7:] == -7).all()


def test_refuses_what_is_no_volume():
    for volume, grid, at in (
        (np.zeros((5, 7)), Grid((5, 7), (1e-3, 1e-3), (0, 0)), None),
        (np.zeros((5, 4, 6)), GRID, None),
        (np.zeros((5, 4, 7)), GRID, (0, 0, 9.0)),
        (np.zeros((5, 4, 7)), GRID, (0, 0)),
    ):
        with pytest.raises(ArgumentError):
            orthogonal_slices(volume, grid, at)


def test_figure(tmp_path):
    pytest.importorskip("matplotlib")
    from sonoray.plotting import save_figure
    from sonoray.plotting_volumes import show_slices

    axes = show_slices(np.linspace(-60, 0, 140, dtype="f4").reshape(5, 4, 7), GRID, at=(1e-3, 0, 8e-3), title="slices")
    assert [ax.get_xlabel() for ax in axes] == ["x [mm]", "y [mm]", "x [mm]"]
    assert [ax.get_ylabel() for ax in axes] == ["z [mm]", "z [mm]", "y [mm]"]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1]  # depth downwards
    save_figure(tmp_path / "slices.png", axes[0])
    assert (tmp_path / "slices.png").stat().st_size > 5000
