"""The viewer without a display: what figures hold, and what sliders do to them."""

import argparse
import sys
import types

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid, MissingExtraError, SectorGrid
from sonoray.cli.view import _scene

pytest.importorskip("matplotlib")
from sonoray.viewer import Scene, Viewer, open_napari, open_window, scene_of

FLAT = Grid((5, 7), (1e-3, 2e-3), (-2e-3, 0.0))
VOLUME = Grid((3, 4, 5), (1e-3, 1e-3, 2e-3), (-1e-3, -1.5e-3, 10e-3))


def test_a_cine_of_complex_images():
    image = np.zeros((2, *FLAT.shape), "c8")
    image[0, 1, 2], image[1, 3, 4] = 10.0, 1.0
    viewer = Viewer(scene_of((image, FLAT)), dynamic_range=40, title="points")
    assert set(viewer.sliders) == {"frame", "dynamic range"}
    assert viewer.axes[0].get_xlabel() == "x [mm]" and viewer.axes[0].get_ylabel() == "z [mm]"
    np.testing.assert_allclose(viewer.images[0].get_extent(), (-2.5, 2.5, 13.0, -1.0))  # depth down, centres of pixels
    shown = viewer.images[0].get_array()
    assert shown.shape == (7, 5) and shown[2, 1] == 0
    viewer.sliders["frame"].set_val(1)
    shown = viewer.images[0].get_array()
    assert shown[4, 3] == pytest.approx(-20) and shown[2, 1] < -200  # one reference for all frames
    assert viewer.images[0].get_clim() == (-40, 0)
    viewer.sliders["dynamic range"].set_val(70)
    assert viewer.images[0].get_clim() == (-70, 0)


def test_lines_are_detected_and_scan_converted():
    x, ranges = np.linspace(-5e-3, 5e-3, 11), np.linspace(0.0, 20e-3, 41)
    shots = np.zeros((2, 3, 11, 41), "c8")
    shots[0, :, 4:7, 18:23] = np.array([10, 10j, -10])[:, None, None]
    shots[1, :, 4:7, 18:23] = 1
    scene = scene_of(sonoray.ScanLines(shots, x, 0.3, ranges, 5e6, 25.0))
    assert scene.kind == "decibel" and scene.rate == 25 and len(scene.values) == 2
    bright = np.argwhere(scene.values[0] > -1).mean(axis=0)
    middle = np.asarray(scene.grid.origin) + bright * scene.grid.spacing
    np.testing.assert_allclose(middle, 10e-3 * np.array([np.sin(0.3), np.cos(0.3)]), atol=3e-4)
    assert scene.values[0].max() - scene.values[1].max() == pytest.approx(20, abs=0.1)
    grey = scene_of(sonoray.ScanLines(np.full((1, 1, 11, 41), 80, "u1"), x, 0.3, ranges, 5e6))
    assert grey.kind == "picture" and set(np.unique(grey.values)) == {0, 80}
    wave = np.cos(np.arange(41.0))[None, None, None] * np.ones((1, 1, 11, 1), "f4")
    found = scene_of(sonoray.ScanLines(wave.astype("f4"), x, 0.0, ranges, 5e6)).values
    assert np.median(found) > -3  # the envelope of a steady oscillation, not its zeros


def test_orthogonal_planes_of_a_volume_follow_their_sliders():
    speed = 1500 + np.arange(VOLUME.size, dtype=float).reshape(VOLUME.shape)
    viewer = Viewer(scene_of(sonoray.Medium(VOLUME, speed)))
    assert set(viewer.sliders) == {"x", "y", "z"} and len(viewer.images) == 3
    viewer.sliders["x"].set_val(1.0)
    viewer.sliders["y"].set_val(-1.5)
    viewer.sliders["z"].set_val(14.0)
    planes = speed[:, 0].T, speed[2].T, speed[:, :, 2].T
    for image, plane in zip(viewer.images, planes, strict=True):
        np.testing.assert_allclose(image.get_array(), plane)
    assert [ax.get_title() for ax in viewer.axes] == ["y = -1.5 mm", "x = 1.0 mm", "z = 14.0 mm"]
    assert viewer.images[0].get_clim() == (speed.min(), speed.max())
    assert any(ax.get_ylabel() == "sound speed [m/s]" for ax in viewer.figure.axes)


def test_colour_fades_over_grey():
    grey = np.full((1, *FLAT.shape), 100, np.uint8)
    colors = np.full((1, *FLAT.shape, 3), 200, np.uint8)
    viewer = Viewer(Scene(grey, FLAT, "picture", colors=colors))
    assert set(viewer.sliders) == {"colour"}
    for share, level in ((1.0, 200), (0.0, 100), (0.5, 150)):
        viewer.sliders["colour"].set_val(share)
        assert (viewer.images[0].get_array() == level).all()


def test_sectors_are_scan_converted_and_pictures_shown_as_they_are():
    sector = SectorGrid(np.linspace(0.01, 0.03, 30), np.linspace(-0.5, 0.5, 21), (0, 0, 0))
    scene = scene_of((np.ones(sector.shape, "c8"), sector))
    assert isinstance(scene.grid, Grid) and scene.values.shape == (1, *scene.grid.shape)
    movie = np.zeros((3, 4, 6, 4), np.uint8)
    viewer = Viewer(scene_of(movie))
    assert set(viewer.sliders) == {"frame"} and viewer.images[0].get_array().shape == (4, 6, 3)
    assert scene_of(np.zeros((2, 4, 6), np.uint16)).kind == "quantity"


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ArgumentError, match="data"):
        scene_of("text")
    with pytest.raises(ArgumentError, match="field"):
        scene_of(sonoray.Medium(FLAT, 1540.0), field="density")
    with pytest.raises(ArgumentError, match="values"):
        Scene(np.zeros((1, 3, 3), "f4"), FLAT, "quantity")
    with pytest.raises(ArgumentError, match="colors"):
        Scene(np.zeros((1, *FLAT.shape), "u1"), FLAT, "picture", colors=np.zeros((1, 2, 2, 3), "u1"))


def test_a_viewer_begins_at_its_frame():
    pictures = np.arange(3, dtype="u1")[:, None, None] + np.zeros((3, 4, 5), "u1")
    viewer = Viewer(scene_of(pictures), frame=2)
    assert viewer.sliders["frame"].val == 2 and (viewer.images[0].get_array() == 2).all()
    with pytest.raises(ArgumentError, match="frame: expected 0 to 2"):
        Viewer(scene_of(pictures), frame=3)


def test_a_window_needs_a_display(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib

    matplotlib.use("agg")
    with pytest.raises(sonoray.Error, match="display"):
        open_window(Scene(np.zeros((1, 3, 4), "u1"), None, "picture"))


def test_napari_gets_depth_along_rows_and_millimetres(monkeypatch):
    layers, steps = [], []

    class FakeViewer:
        def __init__(self, title):
            self.title = title

            self.dims = types.SimpleNamespace(set_current_step=lambda axis, step: steps.append((axis, step)))

        def add_image(self, values, **options):
            layers.append((values, options))

    fake = types.SimpleNamespace(Viewer=FakeViewer, run=lambda: None)
    monkeypatch.setitem(sys.modules, "napari", fake)
    speed = 1500 + np.arange(VOLUME.size, dtype=float).reshape(VOLUME.shape)
    open_napari(scene_of(sonoray.Medium(VOLUME, speed)))
    values, options = layers[0]
    assert values.shape == (1, 5, 4, 3) and values[0, 4, 1, 2] == speed[2, 1, 4]
    assert options["scale"] == (1.0, 2.0, 1.0, 1.0)
    assert not steps
    open_napari(scene_of(np.zeros((3, 4, 5), "u1")), frame=2)
    assert steps == [(0, 2)]
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(MissingExtraError, match="viewer"):
        open_napari(scene_of(sonoray.Medium(VOLUME, speed)))


def test_rf_lines_are_detected_where_the_file_says_what_they_are(tmp_path, capsys):
    x, z = np.arange(12), np.arange(200)
    lines = (1000 * np.exp(-(((z - 100) / 20) ** 2)) * np.cos(0.7 * z) * np.ones((12, 1))).astype("i2")
    raw = lines.tobytes()
    header = (
        "ObjectType = Image\nNDims = 2\nBinaryData = True\nElementSpacing = 0.02 0.3\nDimSize = 200 12\n{}"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    for extra, rf in (("", True), ("UltrasoundImageOrientation = FM\nUltrasoundImageType = RF_REAL\n", True),
                      ("UltrasoundImageOrientation = FM\nUltrasoundImageType = BRIGHTNESS\n", False)):  # fmt: skip
        path = tmp_path / "a.mha"
        path.write_bytes(header.format(extra).encode() + raw)
        scene = _scene(argparse.Namespace(file=path, doppler=None, field="sound_speed"))
        assert scene.kind == ("decibel" if rf else "quantity")
        if rf:
            middle = scene.values[0, len(x) // 2]
            assert np.ptp(middle[90:110]) < 3 and middle[100] == pytest.approx(0, abs=0.2)  # no trace of the carrier
            assert middle[10] < -60
