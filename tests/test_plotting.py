"""Figures: true proportions, no global state, refusals."""

import subprocess
import sys

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Medium, MissingExtraError, Probe, SectorGrid, VectorVelocity

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.image import imread  # noqa: E402

from sonoray import plotting  # noqa: E402

GRID = Grid((40, 60), (3e-4, 1e-4), (-6e-3, 5e-3))
SECTOR = SectorGrid(np.linspace(0.06, 0.12, 121), np.linspace(-0.4, 0.4, 41), (0, 0, -0.06))


def ramp(grid):
    return np.broadcast_to(np.linspace(0, -59, grid.shape[1]), grid.shape).astype("f4")


def test_bmode_axes_are_in_millimetres_with_depth_down():
    ax = plotting.show_bmode(ramp(GRID), GRID, title="ramp")
    np.testing.assert_allclose(ax.get_xlim(), (-6.15, 5.85))
    np.testing.assert_allclose(ax.get_ylim(), (10.95, 4.95))
    assert ax.get_aspect() == 1 and ax.get_title() == "ramp" and ax.get_xlabel() == "x [mm]"


def vectors(velocity):
    return VectorVelocity(np.stack([velocity, velocity]), np.zeros(velocity.shape), np.ones(velocity.shape))


def test_arrows_stand_where_flow_is_seen():
    velocity, visible = np.full(GRID.shape, 0.3, "f4"), np.zeros(GRID.shape, bool)
    visible[:, 30:] = True
    ax = plotting.show_vectors(vectors(velocity), GRID, visible=visible, every=10)
    arrows = next(c for c in ax.collections if hasattr(c, "U"))
    assert len(arrows.U) == 4 * 3
    assert arrows.XY[:, 1].min() > GRID.z[30] * 1e3
    with pytest.raises(ArgumentError, match="visible.*bool"):
        plotting.show_vectors(vectors(velocity), GRID, visible=velocity)


def test_every_figure_can_be_written(tmp_path):
    rng = np.random.default_rng(0)
    velocity = rng.standard_normal(GRID.shape)
    medium = Medium(GRID, 1500 + 50 * rng.random(GRID.shape), density=1000.0)
    axes = [
        plotting.show_bmode(ramp(SECTOR), SECTOR),
        plotting.show_bmode(np.zeros(GRID.shape, np.uint8), GRID),
        plotting.show_velocity(velocity, GRID, bmode=ramp(GRID), visible=velocity > 0, title="flow"),
        plotting.show_velocity(np.zeros(SECTOR.shape), SECTOR),
        plotting.show_vectors(vectors(velocity), GRID, visible=velocity > 0, every=5, title="flow"),
        plotting.show_medium(medium, limits=(1500, 1550)),
        plotting.show_medium(medium, "density"),
        plotting.show_difference(medium, Medium(GRID, 1520.0), title="error"),
        plotting.show_probe(Probe.curvilinear(32, 5e-4, 0.06)),
        plotting.show_probe(Probe.matrix(32, 32, 3e-4), title="matrix"),
    ]
    for i, ax in enumerate(axes):
        plotting.save_figure(tmp_path / f"{i}.png", ax, dpi=50)
        assert imread(tmp_path / f"{i}.png").std() > 0.01


def test_velocity_scale_is_symmetric_and_ignores_hidden_points():
    velocity = np.zeros(GRID.shape)
    velocity[3, 4], velocity[5, 6] = 0.3, -9.0
    ax = plotting.show_velocity(velocity, GRID, visible=velocity > -1)
    assert ax.images[-1].get_clim() == pytest.approx((-0.3, 0.3))


def test_difference_is_found_minus_truth_at_the_maps_nodes():
    coarse = Grid((20, 30), (6e-4, 2e-4), GRID.origin)
    rise = 1500 + 1e3 * coarse.points()[..., 2] + 2e3 * coarse.points()[..., 0]
    fine = 1500 + 1e3 * GRID.points()[..., 2] + 2e3 * GRID.points()[..., 0]
    ax = plotting.show_difference(Medium(coarse, rise + 4.0), Medium(GRID, fine), limit=5.0)
    np.testing.assert_allclose(ax.images[0].get_array(), 4.0, atol=1e-3)  # float32 speeds
    assert ax.images[0].get_clim() == (-5.0, 5.0)
    small = Medium(Grid((2, 2), (1e-4, 1e-4), (0.0, 8e-3)), 1600.0)
    ax = plotting.show_difference(Medium(coarse, rise), small, background=1500.0)
    assert ax.images[0].get_array()[0, 0] == pytest.approx(rise[0, 0] - 1500.0, abs=1e-3)
    with pytest.raises(ArgumentError, match="truth"):
        plotting.show_difference(Medium(coarse, rise), Medium(Grid((3, 3, 3), (1e-3,) * 3, (0.0,) * 3), 1500.0))


def test_probe_over_an_image_keeps_both_in_view():
    ax = plotting.show_probe(Probe.linear(64, 3e-4), ax=plotting.show_bmode(ramp(GRID), GRID))
    assert ax.get_xlim()[0] < -9.4 and ax.get_ylim()[0] >= 10.95 and ax.get_ylim()[1] < 0


def test_pyplot_is_never_loaded_and_matplotlib_only_when_drawing():
    code = (
        "import sys, numpy as np, sonoray; from sonoray import plotting\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plotting.show_probe(sonoray.Probe.linear(8, 3e-4))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"sonoray\[plot\]"):
        plotting.show_bmode(ramp(GRID), GRID)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: plotting.show_bmode(ramp(GRID).T, GRID), "image.*shape"),
        (lambda: plotting.show_bmode(ramp(GRID) + 90, GRID), "log_compress"),
        (lambda: plotting.show_bmode(ramp(GRID) * 1j, GRID), "image.*real"),
        (lambda: plotting.show_bmode(np.zeros((2, 2, 2)), Grid((2, 2, 2), 1e-3, (0, 0, 0))), "grid.*2-D"),
        (lambda: plotting.show_velocity(ramp(GRID), GRID, visible=ramp(GRID)), "visible.*bool"),
        (lambda: plotting.show_medium(Medium(GRID, 1500.0), "density"), "no density"),
        (lambda: plotting.show_medium(Medium(GRID, 1500.0), "speed"), "field"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
