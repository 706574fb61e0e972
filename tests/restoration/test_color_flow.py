"""The translator around its networks: masks, windows, what stays untouched, what is refused."""

import numpy as np
import pytest
import scipy.ndimage

pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")

from sonoray.errors import ArgumentError, FormatError
from sonoray.imaging.color_overlay import find_color, steered_box
from sonoray.restoration import color_flow
from sonoray.restoration.color_flow import ColorFlowTranslator, _check_pair, _spans, _windows
from sonoray.restoration.frame_channels import classical_fill, grey_of
from sonoray.restoration.quality import ssim
from sonoray.simulation.color_flow import color_flow_video

assets = pytest.importorskip("sonoray.assets")


@pytest.fixture(scope="module")
def translator():
    return assets.load_color_flow_translator()


@pytest.fixture(scope="module")
def clip():
    return color_flow_video(900_500, shape=(64, 80), n_frames=6, coverage=2)


def painted(n=3, shape=(40, 52), color=(200, 30, 20)):
    frames = np.repeat(np.random.default_rng(0).integers(0, 256, (n, *shape, 1), dtype=np.uint8), 3, axis=-1)
    frames[:, 10:20, 12:30] = color
    return frames


def test_nothing_changes_outside_the_mask(translator, clip):
    video = translator(clip.color)
    assert video.frames.shape == clip.bmode.shape
    assert video.frames.dtype == np.uint8
    assert np.array_equal(video.frames[~video.mask], grey_of(clip.color)[~video.mask])


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_white_outlines_are_found(translator, tilt):
    """Colour does not give them away; the network knows their shape."""
    clip = color_flow_video(900_502, shape=(96, 96), n_frames=2, coverage=2, scene="vessel", view="linear",
                            steering=tilt, outlined=False)  # fmt: skip
    box = np.pad(steered_box((96, 96), (20, 76), (16, 70), tilt), 1)
    line = (box & ~scipy.ndimage.binary_erosion(box))[1:-1, 1:-1]
    frames = clip.color.copy()
    frames[:, line] = 255
    found = translator(frames).mask
    assert found[:, line].mean() > 0.9
    elsewhere = ~scipy.ndimage.binary_dilation(clip.painted | line, np.ones((1, 3, 3)))
    assert found[elsewhere].mean() < 0.01


def test_what_is_painted_is_found_and_replaced(translator, clip):
    video = translator(clip.color)
    assert video.mask[clip.mask].all()  # what closed form and network find together
    assert video.mask[clip.painted].mean() > 0.95
    assert video.mask[~clip.painted].mean() < 0.01
    assert video.tinted < 0.01
    assert video.coverage == pytest.approx(video.mask.mean(axis=(1, 2)))
    assert (video.frames != grey_of(clip.color))[clip.mask].mean() > 0.5


def test_it_is_deterministic(translator, clip):
    assert np.array_equal(translator(clip.color).frames, translator(clip.color).frames)


def test_a_given_mask_is_used(translator, clip):
    mask = np.zeros(clip.bmode.shape[1:], bool)
    mask[20:40, 30:60] = True
    video = translator(clip.color, mask)
    assert np.array_equal(video.mask, np.broadcast_to(mask, video.mask.shape))
    assert np.array_equal(video.frames[:, ~mask], grey_of(clip.color)[:, ~mask])


def test_closed_form_mask(translator, clip):
    assert translator(clip.color, "color").mask[clip.mask].mean() > 0.95


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("shape", [(8, 9), (21, 40), (33, 64)])
def test_any_size_and_number_of_frames(translator, n, shape):
    frames = np.full((n, *shape, 3), 90, np.uint8)
    frames[:, 2:5, 3:6] = [220, 40, 30]
    mask = np.zeros((n, *shape), bool)
    mask[:, 2:5, 3:6] = True
    video = translator(frames, mask)
    assert video.frames.shape == (n, *shape)
    assert (video.frames[~mask] == 90).all()


def test_no_colour_gives_the_grey_back(translator):
    frames = np.repeat(np.random.default_rng(1).integers(0, 256, (3, 30, 31, 1), dtype=np.uint8), 3, axis=-1)
    video = translator(frames)
    assert np.array_equal(video.frames, frames[..., 0])
    assert not video.mask.any()


def test_full_coverage_is_refused(translator):
    frames = painted()
    frames[1] = [10, 60, 220]
    with pytest.raises(ArgumentError, match=r"in frame 1"):
        translator(frames, "color")
    with pytest.raises(ArgumentError, match=r"without colour"):
        translator(frames, np.ones(frames.shape[:3], bool))


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 20, 20, 3), np.uint16),
        np.full((2, 20, 20, 3), np.nan),
        np.zeros((20, 20, 3), np.uint8),
        np.zeros((2, 20, 20, 4), np.uint8),
        np.zeros((2, 20, 20), np.uint8),
        np.zeros((0, 20, 20, 3), np.uint8),
    ],
)
def test_other_frames_are_refused(translator, frames):
    with pytest.raises(ArgumentError, match="frames: expected uint8"):
        translator(frames)


def test_other_masks_and_stages_are_refused(translator):
    frames = painted()
    with pytest.raises(ArgumentError, match="mask: expected bool"):
        translator(frames, np.zeros((3, 40, 51), bool))
    with pytest.raises(ArgumentError, match="mask: expected bool"):
        translator(frames, np.zeros((3, 40, 52), np.uint8))
    with pytest.raises(ArgumentError, match="mask"):
        translator(frames, "guess")
    with pytest.raises(ArgumentError, match="stage"):
        translator(frames, stage="finest")


def test_a_refinement_must_be_there(translator):
    with pytest.raises(ArgumentError, match="refined"):
        ColorFlowTranslator(translator.coarse, stage="refined")


def test_models_of_another_task_are_refused(translator):
    with pytest.raises(FormatError, match="coarse: expected a model of the task"):
        ColorFlowTranslator(translator.mask)


@pytest.mark.parametrize(("n", "window"), [(1, 8), (7, 8), (8, 8), (9, 8), (40, 8), (41, 24), (3, 2), (200, 24)])
def test_windows_cover_every_frame_with_weight(n, window):
    total = np.zeros(n)
    for first, last, ramp in _windows(n, window):
        assert 0 <= first < last <= n
        assert last - first == min(n, window)
        assert (ramp > 0).all()
        total[first:last] += ramp
    assert (total > 0.3).all()
    assert (total < 1.7).all()


@pytest.mark.parametrize(("n", "side"), [(60, 128), (128, 128), (129, 128), (192, 128), (193, 128), (1080, 704)])
def test_tiles_cover_every_pixel_and_keep_to_the_networks_grid(n, side):
    total, starts = np.zeros(n), []
    for at, ramp in _spans(n, side):
        assert 0 <= at.start < at.stop <= n
        assert len(ramp) == at.stop - at.start <= side
        assert at.start % 4 == 0
        starts.append(at.start)
        total[at] += ramp
    assert total == pytest.approx(1, abs=1e-6)
    assert len(starts) == len(set(starts))


def test_tiles_do_not_show(translator, monkeypatch):
    """A picture in one piece against tiles of 128 pixels: the same but for what lies beyond the tiles' edges."""
    clip = color_flow_video(900_502, shape=(64, 80), n_frames=2, coverage=3)
    color, hidden = np.tile(clip.color, (1, 3, 3, 1)), np.tile(clip.painted, (1, 3, 3))
    whole = translator(color, hidden).frames.astype(int)
    found = translator(color, "network").mask
    monkeypatch.setattr(color_flow, "_VOXELS", 2 * 128**2)
    parts = translator(color, hidden).frames.astype(int)
    assert np.abs(whole - parts)[hidden].mean() < 0.5
    assert (translator(color, "network").mask != found).mean() < 1e-3


def test_the_refinement_is_not_cut_into_tiles(translator, monkeypatch):
    """It normalises over all it sees: tiles would change the picture. What it has no memory for is refused."""
    clip = color_flow_video(900_504, shape=(160, 192), n_frames=2, coverage=3)
    whole = translator(clip.color, clip.painted, stage="refined").frames.astype(int)
    monkeypatch.setattr("sonoray.restoration.color_flow._VOXELS", 2 * 128 * 128)
    tiled = translator(clip.color, clip.painted, stage="refined").frames
    assert np.abs(tiled - whole)[clip.painted].mean() < 0.5  # the coarse network's tiles alone
    monkeypatch.setattr("sonoray.restoration.color_flow._LARGEST_WHOLE", 8 * 100 * 100)
    with pytest.raises(ArgumentError, match="stage: expected 'coarse'"):
        translator(clip.color, clip.painted, stage="refined")


def test_black_surroundings_are_nothing_to_go_by(translator):
    frames = np.zeros((2, 60, 60, 3), np.uint8)
    frames[:, 15:45, 15:45] = [200, 30, 20]
    with pytest.raises(ArgumentError, match="without colour to go by, got 0 % in frame 0"):
        translator(frames, "color")
    frames[:, 10:15, 15:45] = 90  # a strip of tissue
    assert translator(frames, "color").mask.sum() == 2 * 900


def test_a_black_frame_is_called_black_and_a_given_mask_is_not_asked_for(translator):
    frames = painted()
    frames[2] = 0
    frames[2, 3:8, 3:8] = [200, 30, 20]
    with pytest.raises(ArgumentError, match="in frame 2; it is black but for 25 painted pixels: leave such frames out"):
        translator(frames, "color")
    full = np.full_like(painted(), 90)
    with pytest.raises(ArgumentError, match=r"got 0 % in frame 0$"):
        translator(full, np.ones(full.shape[:3], bool))


def test_seeds_are_checked_first(translator):
    with pytest.raises(ArgumentError, match="seed: expected 0 to"):
        translator("no frames", seed=-1)


def test_greys_with_a_tint_are_left_to_the_network(translator, clip):
    tinted = np.rint(clip.color * np.array([1.0, 0.94, 0.88])).astype(np.uint8)
    tinted = np.where(clip.painted[..., None], clip.color, tinted)
    assert find_color(tinted)[~clip.painted].mean() > 0.02
    video = translator(tinted)
    assert np.array_equal(video.mask, translator(tinted, "network").mask)
    assert video.tinted > 0.5


def test_a_mask_is_grown(translator):
    frames = painted()
    video = translator(frames, "color", grow=2)
    assert video.mask[:, 8:10, 12:30].all()
    assert not video.mask[:, :8].any()
    with pytest.raises(ArgumentError, match="grow"):
        translator(frames, "color", grow=-1)


def test_a_refinement_of_another_coarse_network_is_refused():
    class Model:
        def __init__(self, digest="", settings=None):
            self.spec = type("Spec", (), {"digest": digest, "settings": settings or {}})

    _check_pair(Model("a" * 64), Model(settings={"coarse": "a" * 64}))
    _check_pair(Model("a" * 64), Model())  # says nothing
    with pytest.raises(FormatError, match="coarse network aaaa"):
        _check_pair(Model("a" * 64), Model(settings={"coarse": "b" * 64}))


def test_seams_in_time_do_not_show(translator):
    """Windows of 12 frames against all 30 at once: what differs is small, and no larger where windows meet."""
    clip = color_flow_video(900_501, shape=(48, 48), n_frames=30, coverage=3)
    whole, parts = (
        ColorFlowTranslator(translator.coarse, window=w)(clip.color, clip.painted).frames.astype(int) for w in (64, 12)
    )
    assert np.abs(whole - parts)[clip.painted].mean() < 1.5
    jumps = [np.abs(np.diff(v, axis=0))[clip.painted[1:] & clip.painted[:-1]].mean() for v in (whole, parts)]
    assert jumps[1] < 1.15 * jumps[0] + 0.5


def test_shipped_networks_beat_classical_inpainting(translator):
    """Held-out clips, one of every quartile: mean SSIM and mean error inside the mask.

    Beside Telea, Navier-Stokes and our own fill: the input as it is, colour shown as its brightness.
    """
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

    def inpainted(clip, method):
        frames = zip(clip.bmode, clip.painted, strict=True)
        return np.stack([cv2.inpaint(f * ~m, m.astype(np.uint8), 1, method) for f, m in frames])

    similarity, error = [], []
    for k in range(4):
        clip = color_flow_video(900_511 + k, shape=(96, 96), n_frames=8, coverage=k + 1)
        truth, where = clip.bmode / 255, clip.painted
        results = [
            translator(clip.color, where).frames, grey_of(clip.color), classical_fill(clip.color, where),
            inpainted(clip, cv2.INPAINT_TELEA), inpainted(clip, cv2.INPAINT_NS),
        ]  # fmt: skip
        similarity.append([ssim(made / 255, truth, where) for made in results])
        error.append([np.abs(made / 255 - truth)[where].mean() for made in results])
    ours, *others = np.mean(similarity, axis=0)
    assert ours > max(others) + 0.1
    ours, *others = np.mean(error, axis=0)
    assert ours < 0.7 * min(others)


@pytest.mark.parametrize("grow", [0, 2])
def test_outlines_are_interpolated(translator, grow):
    """A thin frame over a still, bright picture must not turn dark, as a vessel would, however it is grown."""
    frames = np.full((2, 320, 320, 3), 150, np.uint8)
    mask = np.zeros(frames.shape[:3], bool)
    mask[:, 40, 30:120] = mask[:, 100, 30:120] = mask[:, 40:100, 30] = True
    frames[mask] = [255, 255, 0]
    assert np.abs(translator(frames, mask, grow=grow).frames.astype(int) - 150).max() <= 1


def test_refined_is_seeded_and_stays_inside_the_mask(translator, clip):
    if translator.refine is None:
        pytest.skip("no refinement is shipped")
    a, b = (translator(clip.color, clip.painted, stage="refined", seed=s) for s in (1, 1))
    assert a.stage == "refined"
    assert np.array_equal(a.frames, b.frames)
    assert np.array_equal(a.frames[~a.mask], grey_of(clip.color)[~a.mask])
