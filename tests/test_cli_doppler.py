"""Doppler, movies, presets and the viewer on the command line."""

import json
from unittest.mock import ANY

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

import sonoray
from sonoray.beamforming.presets import imaging_presets
from sonoray.cli import view
from sonoray.io.videos import read_video

from .beamforming.flow_lines import steered_lines
from .beamforming.flow_recording import LAYER, LIMIT, RATE, flow_recording
from .test_cli import answer, refused

WHERE = ("--depth-mm", 7, 15, "--spacing-mm", 0.12, "--quiet")


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("flow") / "flow.h5"
    sonoray.write(path, flow_recording((0.0, -0.4 * LIMIT)))
    return path


def test_a_picture_has_colour_where_blood_flows_and_a_bar(flow_file, tmp_path, capsys):
    out = tmp_path / "flow.png"
    arguments = ("--doppler", "color", "--wall-filter", "poly:0", "--json", *WHERE)
    status, text, _ = answer(capsys, "beamform", flow_file, "-o", out, *arguments)
    assert status == 0
    figures = json.loads(text)
    assert figures["nyquist_velocity"] == pytest.approx(LIMIT, abs=1e-4)
    assert figures["median_velocity"] == pytest.approx(0.4 * LIMIT, rel=0.1)
    pixels = np.asarray(Image.open(out)).astype(int)
    n_x, n_z = figures["image_shape"]
    times = -(-400 // n_z)
    assert pixels.shape[0] == times * n_z and pixels.shape[1] > times * n_x  # the bar stands beside the image
    picture, beside = pixels[:, : times * n_x], pixels[:, times * n_x :]
    colored = (picture.max(axis=2) - picture.min(axis=2) > 30).mean(axis=1)
    depth = 7e-3 + 1.2e-4 / times * np.arange(len(colored))
    assert colored[(depth > LAYER[0] + 4e-4) & (depth < LAYER[1] - 4e-4)].mean() > 0.8
    assert colored[depth < LAYER[0] - 6e-4].mean() < 0.2
    assert (beside.max(axis=2) - beside.min(axis=2) > 100).any() and (beside == 235).any()


def test_velocities_and_movies_of_several_ensembles(flow_file, tmp_path, capsys):
    flow = ("--doppler", "color", "--wall-filter", "poly:0", "--ensemble", 5, *WHERE)
    assert answer(capsys, "beamform", flow_file, "-o", tmp_path / "flow.h5", *flow)[0] == 0
    found = sonoray.read(tmp_path / "flow.h5")
    assert isinstance(found, sonoray.FlowImages) and found.nyquist == pytest.approx(LIMIT)
    assert found.velocity.shape == (2, *found.grid.shape) and found.image_rate == pytest.approx(RATE / 5)
    with h5py.File(tmp_path / "flow.h5") as file:
        assert {"velocity", "power", "variance", "painted"} <= set(file)
    assert answer(capsys, "beamform", flow_file, "-o", tmp_path / "flow.gif", *flow, "--movie-rate", 5)[0] == 0
    movie = read_video(tmp_path / "flow.gif")
    assert len(movie.frames) == 2 and movie.frame_rate == pytest.approx(5)
    assert answer(capsys, "beamform", flow_file, "-o", tmp_path / "bmode.gif", *WHERE)[0] == 0
    assert read_video(tmp_path / "bmode.gif").frames.shape[1:3] == found.grid.shape[::-1]


def test_flow_is_kept_and_shown_as_it_was(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    data = flow_recording((0.9 * LIMIT, 0.2 * LIMIT), n_frames=5)
    grid = sonoray.Grid.from_extent(x=(-3e-3, 3e-3), z=(7e-3, 15e-3), spacing=2.4e-4)
    flow = sonoray.reconstruct_doppler(data, "vector", grid=grid, wall_filter=0, receive_angles=[-0.2, 0.2])
    sonoray.write(tmp_path / "v.h5", flow)
    back = sonoray.read(tmp_path / "v.h5")
    for name, value in flow._asdict().items():
        if name != "vectors":
            np.testing.assert_array_equal(getattr(back, name), value)
    for name in ("velocity", "residual", "condition"):
        np.testing.assert_array_equal(getattr(back.vectors[0], name), getattr(flow.vectors[0], name))
    assert answer(capsys, "view", tmp_path / "v.h5", "-o", tmp_path / "v.png")[0] == 0
    pixels = np.asarray(Image.open(tmp_path / "v.png").convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 100).mean() > 0.01  # the flame of the picture
    status, text, _ = answer(capsys, "info", tmp_path / "v.h5", "--json")
    assert status == 0 and json.loads(text)["kind"] == "flow_images"
    with h5py.File(tmp_path / "v.h5", "r+") as file:
        del file["painted"]
        file["painted"] = np.ones((1, 3, 3), bool)
    with pytest.raises(sonoray.FormatError, match="painted: expected"):
        sonoray.read(tmp_path / "v.h5")


def test_an_mp4_of_every_frame(flow_file, tmp_path, capsys):
    pytest.importorskip("av")
    pytest.importorskip("imageio")
    out = tmp_path / "bmode.mp4"
    assert answer(capsys, "beamform", flow_file, "-o", out, *WHERE)[0] == 0
    assert len(read_video(out).frames) == 10


def test_spectra_and_sound(flow_file, tmp_path, capsys):
    gate = ("--doppler", "spectral", "--gate-mm", 0, 11, "--wall-filter", "poly:0", "--quiet")
    pytest.importorskip("matplotlib")
    status, text, _ = answer(capsys, "beamform", flow_file, "-o", tmp_path / "s.png", "--json", *gate)
    assert status == 0
    assert json.loads(text)["mean_velocity"] == pytest.approx(0.4 * LIMIT, rel=0.3)  # five frames in a window
    assert answer(capsys, "beamform", flow_file, "-o", tmp_path / "s.wav", *gate)[0] == 0
    rate, sound = wavfile.read(tmp_path / "s.wav")
    assert len(sound) == pytest.approx(10 / RATE * rate, rel=0.02)
    left, right = (sound.astype(float) ** 2).mean(axis=0)
    assert left > 2 * right  # towards the probe; ten shots hardly tell the sides apart


def test_presets_set_defaults_and_options_prevail(flow_file, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text('[mine]\nwall_filter = "poly:9"\n')
    common = ("beamform", flow_file, "-o", tmp_path / "a.png", "--doppler", "color", *WHERE)
    assert "at most 8" in refused(capsys, *common, "--preset", tmp_path / "mine.toml")
    assert answer(capsys, *common, "--preset", tmp_path / "mine.toml", "--wall-filter", "poly:1")[0] == 0
    assert answer(capsys, *common, "--preset", "vascular")[0] == 0
    assert "vascular" in refused(capsys, *common, "--preset", "veins")


@pytest.mark.parametrize("name", imaging_presets())
def test_every_preset_that_ships_makes_images(flow_file, tmp_path, capsys, name):
    common = ("beamform", flow_file, "-o", tmp_path / "a.png", "--preset", name, *WHERE)
    assert answer(capsys, *common)[0] == 0
    assert answer(capsys, *common, "--f-number", 0)[0] == 0  # the preset's window goes
    assert answer(capsys, *common, "--doppler", "color")[0] == 0


def test_a_preset_that_persists_leaves_vectors_alone(tmp_path, capsys):
    sonoray.write(tmp_path / "v.h5", flow_recording((0.1, 0.1), np.deg2rad([-10.0, 10.0]), n_frames=6))
    call = ("beamform", tmp_path / "v.h5", "-o", tmp_path / "v.png", "--doppler", "vector", *WHERE)
    assert answer(capsys, *call, "--preset", "abdominal")[0] == 0
    assert "persistence" in refused(capsys, *call, "--persistence", 0.5)


def test_options_without_their_kind_are_refused(flow_file, tmp_path, capsys):
    spectral = ("--doppler", "spectral", "--gate-mm", 0, 11)
    for option, given in (
        ("wall_filter", ("--wall-filter", "poly:1")),
        ("unwrap", ("--unwrap",)),
        ("unwrap", ("--doppler", "vector", "--unwrap")),
        ("gate_mm", ("--doppler", "color", "--gate-mm", 0, 11)),
        ("flow_angle_deg", ("--doppler", "color", "--flow-angle-deg", 30)),
        ("baseline", ("--doppler", "power", "--baseline", 0.5)),
        ("spectral_method", ("--doppler", "color", "--spectral-method", "capon")),
        ("ensemble", (*spectral, "--ensemble", 5)),
        ("priority", (*spectral, "--priority", 90)),
        ("receive_deg", ("--doppler", "color", "--receive-deg", -10, 10)),
    ):
        text = refused(capsys, "beamform", flow_file, "-o", tmp_path / "a.png", *given, "--quiet")
        assert f"{option}: expected only with --doppler" in text
    assert "spectral_window" in refused(
        capsys, "beamform", flow_file, "-o", tmp_path / "a.wav", *spectral, "--spectral-window", 8
    )
    assert "dynamic_range: expected only for a sonogram" in refused(
        capsys, "beamform", flow_file, "-o", tmp_path / "a.wav", *spectral, "--dynamic-range", 30
    )
    for option, *values in (("depth_mm", 7, 15), ("spacing_mm", 0.1), ("spacing_mm", 0), ("x_mm", -1, 1), ("frame", 2)):
        call = ("beamform", flow_file, "-o", tmp_path / "a.png", *spectral, "--" + option.replace("_", "-"))
        assert f"{option}: expected only for images" in refused(capsys, *call, *values)
    assert "ensemble" in refused(capsys, "view", flow_file, "-o", tmp_path / "a.png", "--ensemble", 5)
    assert not list(tmp_path.iterdir())


def test_numbers_are_refused_in_the_unit_they_were_given_in(flow_file, tmp_path, capsys):
    gate = ("--doppler", "spectral", "--gate-mm", 0, 11, "--quiet")
    for text, given in (
        ("flow_angle: expected -80 to 80 degrees, got 85", (*gate, "--flow-angle-deg", 85)),
        ("gate_size: expected 0.001 to 100 mm, got -1", (*gate, "--gate-size-mm", -1, 1)),
        ("apertures reach, got (60, 11) mm", ("--doppler", "spectral", "--gate-mm", 60, 11, "--quiet")),
        ("spacing: expected 0.001 to 10 mm, got -1", ("--spacing-mm", -1)),
        ("lens_thickness: expected 0 to 20 mm, got 1000", ("--lens", 1000, 1.0)),
        ("depth: expected FIRST LAST in rising order [mm], got 15 7", ("--depth-mm", 15, 7)),
        ("spacing: expected at most 1e+08 points", ("--x-mm", -45, 45, "--spacing-mm", 0.001)),
        ("average: expected 1 to 5", ("--doppler", "color", "--average", 1000, *WHERE)),
        (".nii.gz", ("-o", tmp_path / "a.xyz")),
        ("output: expected a file, got the folder", ("-o", tmp_path / "folder.png")),
    ):
        (tmp_path / "folder.png").mkdir(exist_ok=True)
        assert text in refused(capsys, "beamform", flow_file, "-o", tmp_path / "a.png", *given)
    assert not (tmp_path / "a.png").exists()


def test_the_eigen_filter_shows_how_far_it_is(flow_file, tmp_path, capsys):
    where = ("--depth-mm", 7, 12, "--spacing-mm", 0.5, "--ensemble", 5)
    call = ("beamform", flow_file, "-o", tmp_path / "a.png", "--doppler", "color", "--wall-filter", "eigen", *where)
    assert answer(capsys, *call, "--quiet") == (0, ANY, "")
    found = sonoray.EigenFilter(progress=True)
    assert not sonoray.EigenFilter().progress
    assert found(np.ones((4, 9, 9), "c8")).shape == (4, 9, 9)


def test_movie_rates_are_refused_before_the_work(flow_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sonoray.cli.beamform.echoes", lambda path: pytest.fail("read"))
    for text, name, rate in (
        ("at most 50 Hz for .gif", "a.gif", 100),
        ("frame_rate", "a.apng", -1),
        ("movie_rate", "a.png", 10),
    ):
        assert text in refused(capsys, "beamform", flow_file, "-o", tmp_path / name, "--movie-rate", rate)


def test_vectors_from_receive_angles(tmp_path, capsys):
    sonoray.write(tmp_path / "v.h5", flow_recording((0.9 * LIMIT, 0.4 * LIMIT), n_frames=8))
    call = ("beamform", tmp_path / "v.h5", "-o", tmp_path / "v.png", "--doppler", "vector", "--wall-filter", "poly:0")
    status, text, _ = answer(capsys, *call, "--receive-deg", -12, 12, "--json", *WHERE)
    assert status == 0
    assert json.loads(text)["median_velocity"] == pytest.approx(np.hypot(0.9, 0.4) * LIMIT, rel=0.25)
    assert "degrees" in refused(capsys, *call, "--receive-deg", -12, 200, *WHERE)


def test_lines_of_a_scanner(tmp_path, capsys, monkeypatch):
    lines = steered_lines()
    monkeypatch.setattr("sonoray.cli.beamform.echoes", lambda path: lines)
    call = ("beamform", tmp_path / "iq.raw", "-o", tmp_path / "a.png", "--quiet")
    color = (*call, "--doppler", "color", "--wall-filter", "poly:0")
    status, text, _ = answer(capsys, *color, "--prf", RATE, "--sound-speed", 1540, "--frame", 1, "--json")
    assert status == 0
    figures = json.loads(text)
    assert figures["images"] == 2 and figures["ensemble"] == 8
    assert figures["median_velocity"] == pytest.approx(0.4 * LIMIT, rel=0.05)
    assert np.ptp(np.asarray(Image.open(tmp_path / "a.png")).astype(int), axis=2).max() > 100
    assert answer(capsys, *color, "--prf", RATE, "-o", tmp_path / "a.gif")[0] == 0
    assert len(read_video(tmp_path / "a.gif").frames) == 2
    for text, arguments in (
        ("rate of the shots", color),
        ("color or power for lines", call),
        ("color or power for lines", (*call, "--doppler", "vector")),
        ("f_number: expected only with channel data", (*color, "--prf", RATE, "--f-number", 1.5)),
        ("method: expected only with channel data", (*color, "--prf", RATE, "--method", "capon")),
        ("frame: expected 0 to 1", (*color, "--prf", RATE, "--frame", 2)),
    ):
        assert text in refused(capsys, *arguments, "-o", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    monkeypatch.setattr("sonoray.cli.view.read", lambda path: lines)
    shown = ("view", tmp_path / "iq.raw", "-o", tmp_path / "v.png")
    pytest.importorskip("matplotlib")
    assert answer(capsys, *shown)[0] == 0
    assert answer(capsys, *shown, "--doppler", "color", "--prf", RATE)[0] == 0


def test_mistakes_are_answered_with_one_line(flow_file, tmp_path, capsys):
    data = sonoray.read(flow_file)
    sonoray.write(tmp_path / "one.h5", data.select(frames=[0]))
    sonoray.write(tmp_path / "rateless.h5", data.with_(frame_rate=0.0))
    color = ("--doppler", "color", *WHERE)
    for text, file, name, options in (
        ("two frames", tmp_path / "one.h5", "a.png", color),
        ("frame_rate", tmp_path / "rateless.h5", "a.png", color),
        ("at most 8", flow_file, "a.png", (*color, "--wall-filter", "poly:9")),
        ("wall_filter", flow_file, "a.png", (*color, "--wall-filter", "wall")),
        (".wav", flow_file, "a.h5", ("--doppler", "spectral")),
        ("gate_mm", flow_file, "a.png", ("--doppler", "spectral")),
        ("depth up to", flow_file, "a.png", ("--doppler", "spectral", "--gate-mm", 0, 900)),
        ("at most 5 of the 10", flow_file, "a.gif", (*color, "--ensemble", 6)),
        ("two angles", flow_file, "a.png", ("--doppler", "vector", *WHERE)),
        ("one frame", tmp_path / "one.h5", "a.gif", WHERE),
    ):
        assert text in refused(capsys, "beamform", file, "-o", tmp_path / name, *options)
    assert not list(tmp_path.glob("a.*"))
    assert answer(capsys, "beamform", tmp_path / "rateless.h5", "-o", tmp_path / "b.png", *color, "--prf", RATE)[0] == 0


def test_view_writes_what_a_window_would_show(flow_file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    grid = sonoray.Grid((20, 30), 1e-3, (0.0, 0.0))
    sonoray.write(tmp_path / "map.h5", sonoray.Medium(grid, 1540.0))
    assert answer(capsys, "view", tmp_path / "map.h5", "-o", tmp_path / "map.png")[0] == 0
    assert np.asarray(Image.open(tmp_path / "map.png")).ndim == 3
    assert "frame" in refused(capsys, "view", tmp_path / "map.h5", "-o", tmp_path / "x.png", "--frame", 3)
    assert "doppler" in refused(capsys, "view", tmp_path / "map.h5", "-o", tmp_path / "x.png", "--doppler", "color")
    assert not (tmp_path / "x.png").exists()


def test_windows_begin_where_they_are_told(flow_file, capsys, monkeypatch):
    seen = {}
    for name in ("open_window", "open_napari"):
        monkeypatch.setattr(view, name, lambda scene, name=name, **options: seen.update({name: (scene, options)}))
    call = ("view", flow_file, "--doppler", "color", "--ensemble", 5, "--frame", 1)
    assert answer(capsys, *call, "--dynamic-range", 40)[0] == 0
    assert answer(capsys, *call, "--napari")[0] == 0
    (narrow, options), (wide, others) = seen["open_window"], seen["open_napari"]
    assert options["frame"] == others["frame"] == 1
    assert narrow.values.mean() < wide.values.mean()  # 40 dB show less of the noise than 60


def test_probes_are_listed_with_their_sources(capsys):
    status, text, _ = answer(capsys, "probes")
    assert status == 0 and "L11-5v" in text and "www.biomecardio.com/MUST" in text


def test_every_option_says_what_it_is(capsys):
    with pytest.raises(SystemExit):
        answer(capsys, "beamform", "--help")
    lines = capsys.readouterr().out
    for option in ("--doppler", "--wall-filter", "--prf", "--ensemble", "--threshold-db", "--gate-mm", "--preset"):
        assert option in lines
    assert lines.count("default") > 25
