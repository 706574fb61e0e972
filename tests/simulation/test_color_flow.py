"""Paired colour-flow clips: what is painted where, whose velocity, how much, and folders of them."""

import json

import numpy as np
import pytest
import scipy

from sonoray import ArgumentError, FormatError
from sonoray.imaging.color_overlay import draw_overlay
from sonoray.simulation.color_flow import QUARTILES, color_flow_video
from sonoray.simulation.flow_dataset import generate_dataset, quartile_of, read_clip
from sonoray.simulation.flow_scenes import SCENES, make_scene
from sonoray.simulation.flow_views import linear_view, sector_view

PLAIN = {"persistence": 0.0, "flash": 0.0, "variance": False, "inverted": False, "outlined": False,
         "color_map": "classic", "priority": 255}  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    """One clip of every scene and quartile, few frames."""
    return [
        (q, color_flow_video([5, q, i], scene=scene, coverage=q, n_frames=3, shape=(64, 80)))
        for i, scene in enumerate(SCENES)
        for q in ((1, 4) if i % 2 else (2, 3))
    ]


def test_shapes_and_types(clips):
    for _, clip in clips:
        assert clip.color.shape == (3, 64, 80, 3)
        assert clip.color.dtype == clip.bmode.dtype == np.uint8
        assert clip.mask.dtype == clip.painted.dtype == bool
        for field in (clip.bmode, clip.mask, clip.painted, clip.velocity, clip.true_velocity):
            assert field.shape == (3, 64, 80)
        assert np.isfinite(clip.velocity).all()
        assert np.abs(clip.velocity).max() <= clip.settings.nyquist * 1.001


def test_nothing_but_paint_differs_from_the_bmode(clips):
    for _, clip in clips:
        outside = ~clip.painted
        for channel in range(3):
            np.testing.assert_array_equal(clip.color[..., channel][outside], clip.bmode[outside])
        assert not (clip.mask & ~clip.painted).any()
        coloured = np.ptp(clip.color.astype(int), axis=-1) > 0
        assert not (coloured & outside).any()
        assert coloured[clip.mask].all()


def test_coverage_of_every_quartile_is_reached(clips):
    for q, clip in clips:
        low, high = QUARTILES[q - 1]
        assert low <= clip.coverage <= high, (clip.scene, q, clip.coverage)
        assert clip.coverage == clip.mask.mean()


def test_the_same_seed_makes_the_same_clip():
    first, second, other = (color_flow_video(s, n_frames=2, shape=(48, 64)) for s in (3, 3, 4))
    for name in ("color", "bmode", "mask", "painted", "velocity", "true_velocity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.settings == second.settings
    assert (first.bmode != other.bmode).any()


def test_a_generator_goes_on_where_it_stands():
    rng = np.random.default_rng(7)
    a, b = color_flow_video(rng, n_frames=1, shape=(40, 40)), color_flow_video(rng, n_frames=1, shape=(40, 40))
    assert (a.bmode != b.bmode).any()


@pytest.mark.parametrize(("scene", "seed"), [("vessel", 0), ("vessel", 4), ("cross_section", 1), ("cross_section", 2)])
def test_velocity_is_that_of_the_scene_where_it_does_not_wrap(scene, seed):
    clip = color_flow_video(
        seed, scene=scene, coverage=4, n_frames=6, peak=0.8, wall_filter=1, average=3, noise_level=-55.0,
        blood_level=-25.0, n_shots=14, view="linear", **PLAIN,
    )  # fmt: skip
    limit = clip.settings.nyquist
    core = scipy.ndimage.binary_erosion(clip.mask & (clip.true_velocity != 0), np.ones((1, 7, 7)))
    fast = core & (np.abs(clip.true_velocity) > 0.3 * limit)  # slower, the wall filter takes part of it
    assert fast.sum() > 100
    found, true = clip.velocity[fast], clip.true_velocity[fast]
    assert (np.sign(found) == np.sign(true)).mean() > 0.97
    assert np.median(np.abs(found - true)) < 0.06 * limit
    assert np.median(found / true) == pytest.approx(1, abs=0.1)


def test_fast_flow_wraps():
    clip = color_flow_video(1, scene="cross_section", coverage=4, n_frames=6, peak=1.6, view="linear", **PLAIN)
    core = scipy.ndimage.binary_erosion(clip.true_velocity != 0, np.ones((1, 5, 5))) & clip.mask
    wrapped = core & (np.abs(clip.true_velocity) > 1.2 * clip.settings.nyquist)
    assert wrapped.sum() > 50
    assert (np.sign(clip.velocity[wrapped]) == -np.sign(clip.true_velocity[wrapped])).mean() > 0.8


def test_flow_towards_the_probe_is_red_and_inverted_is_blue():
    for inverted, channel in ((False, 0), (True, 2)):
        clip = color_flow_video(2, scene="vessels", coverage=3, n_frames=2, **{**PLAIN, "inverted": inverted})
        for which, brightest in ((clip.velocity > 0, channel), (clip.velocity < 0, 2 - channel)):
            pixels = clip.color[clip.mask & which]
            assert len(pixels) > 50
            assert (pixels[:, brightest] > pixels[:, 2 - brightest]).mean() > 0.95


def test_blood_is_darker_than_tissue_and_bright_walls_bound_it():
    level = []
    for seed in range(4):
        clip = color_flow_video(seed, scene="vessel", coverage=3, n_frames=1)
        blood = scipy.ndimage.binary_erosion(clip.true_velocity != 0, np.ones((1, 5, 5)))
        tissue = ~scipy.ndimage.binary_dilation(clip.true_velocity != 0, np.ones((1, 3, 3)))
        level.append((clip.bmode[blood].mean(), clip.bmode[tissue].mean()))
    blood, tissue = np.array(level).T
    assert (blood < 0.4 * tissue).all()


def test_tissue_is_coherent_from_frame_to_frame():
    clip = color_flow_video(9, scene="vessel", coverage=1, n_frames=2, decorrelation=0.05, frame_rate=60.0,
                            bmode_persistence=0.0)  # fmt: skip
    first, second = (f[8:-8, 8:-8].astype(float) for f in clip.bmode)
    best = max(
        np.corrcoef(first.ravel(), np.roll(clip.bmode[1].astype(float), (i, j), (0, 1))[8:-8, 8:-8].ravel())[0, 1]
        for i in range(-2, 3)
        for j in range(-2, 3)
    )
    assert best > 0.8
    assert second.shape == first.shape


def test_a_real_background_stays_where_no_vessel_is():
    background = np.random.default_rng(0).integers(40, 200, (4, 64, 64), dtype=np.uint8)
    sunk = 0
    for seed in range(6):
        clip = color_flow_video(seed, shape=(64, 64), n_frames=4, coverage=2, background=background, view="linear",
                                scene="vessel")  # fmt: skip
        changed = clip.bmode != background
        far = ~scipy.ndimage.binary_dilation(clip.true_velocity != 0, np.ones((1, 13, 13)))
        assert not changed[far].any()
        sunk += changed.any()
    assert sunk >= 3  # one in four colours tissue that looks whole


def test_one_background_frame_moves_with_the_tissue():
    frame = scipy.ndimage.gaussian_filter(np.random.default_rng(0).uniform(0, 255, (1, 64, 64)), 1).astype(np.uint8)
    clip = color_flow_video(4, shape=(64, 64), n_frames=6, scene="vessel", coverage=1, background=frame)
    far = ~scipy.ndimage.binary_dilation((clip.true_velocity != 0).any(axis=0), np.ones((13, 13)))
    far[[0, 1, 2, 3, -4, -3, -2, -1]] = far[:, [0, 1, 2, 3, -4, -3, -2, -1]] = False
    shifts = []
    for shown in clip.bmode:
        change = np.abs(shown.astype(int) - frame[0])[far].mean()
        near = min(
            np.abs(shown - scipy.ndimage.shift(frame[0].astype(float), (a, b), order=1, mode="nearest"))[far].mean()
            for a in np.arange(-2, 2.1, 0.25)
            for b in np.arange(-2, 2.1, 0.25)
        )
        assert near < 2.5  # it is the same picture, displaced
        shifts.append(change)
    assert max(shifts) > 4  # and it does not stand still


def test_hazy_lumens_are_brighter():
    levels = []
    for haze in (False, True):
        clips = [color_flow_video(s, shape=(64, 64), n_frames=2, scene="vessel", coverage=4, haze=haze) for s in (1, 2)]
        levels.append([clip.bmode[clip.true_velocity != 0].mean() for clip in clips])
    assert np.min(np.subtract(*levels[::-1])) > 3


@pytest.mark.parametrize("view", [linear_view((40, 48), 6), sector_view(np.random.default_rng(3), (40, 48), 6)])
def test_places_are_the_inverse_of_indices(view):
    z, x = view.place(view.index(view.x, view.z))
    np.testing.assert_allclose(z, view.z, atol=2e-3)
    np.testing.assert_allclose(x, view.x, atol=2e-3)


@pytest.mark.parametrize("kind", SCENES)
def test_scenes_are_finite_and_wider_with_size(kind):
    areas = []
    for size in (0.1, 0.3):
        scene = make_scene(kind, np.random.default_rng(4), (64, 72), size, 10)
        for name in ("echo", "distance", "flow", "pulsatile", "turbulence", "stretch"):
            assert np.isfinite(getattr(scene, name)).all()
            assert getattr(scene, name).shape[-2:] == (84, 92)
        assert np.hypot(*scene.flow).max() == pytest.approx(1, abs=1e-4)
        areas.append((scene.distance < 0).sum())
    assert areas[0] < areas[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scene": "knee"}, "scene: expected one of"),
        ({"shape": (96, 8)}, "shape: expected 32 to 1024, got 8"),
        ({"shape": 96}, "shape: expected two values"),
        ({"n_frames": 0}, "n_frames: expected 1"),
        ({"coverage": 5}, "coverage: expected 1 to 4, got 5"),
        ({"coverage": (0.5, 0.2)}, "coverage: expected low < high"),
        ({"coverage": (0.1, 1.0)}, "coverage: expected 0 to 0.9"),
        ({"colour": "red"}, "settings: expected fields of FlowSettings, got colour"),
        ({"background": np.zeros((8, 20, 20), np.uint8)}, "background: expected uint8 of shape"),
        ({"background": np.zeros((8, 96, 96))}, "background: expected uint8 of shape"),
        ({"background": np.zeros((3, 96, 96), np.uint8)}, "background: expected 1 or at least 8 frames, got 3"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")):
        color_flow_video(0, **options)


def test_quartiles_follow_the_real_coverage():
    assert [quartile_of(c) for c in (0.0, 0.049, 0.05, 0.119, 0.12, 0.249, 0.25, 0.6, 0.9)] == [
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
        4,
    ]
    for k, limits in enumerate(QUARTILES):
        assert quartile_of(float(np.mean(limits))) == k + 1


def test_a_folder_of_clips_goes_on_and_depends_on_the_seed_alone(tmp_path):
    options = {"shape": (40, 48), "n_frames": 2, "scenes": ("vessel", "organ")}
    done = []
    paths = generate_dataset(tmp_path / "a", 6, 3, progress=lambda k, n: done.append((k, n)), **options)
    assert done[-1] == (6, 6)
    stored = read_clip(paths[5])
    assert stored.color.shape == (2, 40, 48, 3)
    assert stored.mask.shape == stored.painted.shape == stored.bmode.shape == (2, 40, 48)
    assert [read_clip(p).quartile for p in paths] == [quartile_of(read_clip(p).coverage) for p in paths]
    assert [json.loads(str(np.load(p)["about"]))["quartile"] for p in paths] == [1, 2, 3, 4, 1, 2]  # asked for
    assert [read_clip(p).scene for p in paths] == ["vessel"] * 4 + ["organ"] * 2
    paths[5].unlink()  # an interrupted run
    before = paths[0].stat().st_mtime_ns
    generate_dataset(tmp_path / "a", 6, 3, **options)
    assert paths[0].stat().st_mtime_ns == before
    np.testing.assert_array_equal(read_clip(paths[5]).color, stored.color)
    with pytest.raises(ArgumentError, match="folder: expected an empty one or clips of"):
        generate_dataset(tmp_path / "a", 6, 4, **options)
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["seed"] == 3


def test_folders_refuse_wrong_arguments(tmp_path):
    with pytest.raises(ArgumentError, match="scenes: expected some of"):
        generate_dataset(tmp_path, 1, 0, scenes=("knee",))
    with pytest.raises(ArgumentError, match="backgrounds: expected"):
        generate_dataset(tmp_path, 1, 0, backgrounds=[np.zeros((3, 20, 200), np.uint8)])
    (tmp_path / "clip.npz").write_bytes(b"PK no zip")
    with pytest.raises(FormatError, match="expected a clip of generate_dataset"):
        read_clip(tmp_path / "clip.npz")


def test_the_overlay_of_a_clip_can_be_drawn_again():
    clip = color_flow_video(1, n_frames=2, scene="vessel", coverage=3, **PLAIN)
    again = draw_overlay(clip.bmode, np.where(clip.mask, clip.velocity, 0), nyquist=clip.settings.nyquist,
                         color_map="classic")  # fmt: skip
    np.testing.assert_array_equal(again.image, clip.color)
