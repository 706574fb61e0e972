"""What translating networks are shown."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError
from sonoray.restoration.frame_channels import (
    N_CHANNELS,
    REACH,
    START,
    classical_fill,
    frame_channels,
    grey_of,
    spatial_fill,
)


def video(rng, n=6, shape=(20, 24)):
    frames = np.repeat(rng.integers(0, 256, (n, *shape, 1), dtype=np.uint8), 3, axis=-1)
    mask = rng.random((n, *shape)) < 0.3
    frames[mask] = rng.integers(0, 256, (int(mask.sum()), 3), dtype=np.uint8)
    return frames, mask


def test_grey_pixels_keep_their_level_exactly():
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=-1)
    assert np.array_equal(grey_of(levels)[:, 0], np.arange(256))


@pytest.mark.parametrize("kind", ["hinted", "published"])
def test_channels_have_the_promised_shape_and_range(kind):
    frames, mask = video(np.random.default_rng(0))
    channels = frame_channels(frames, mask, kind)
    assert channels.shape == (N_CHANNELS[kind], *mask.shape)
    assert channels.dtype == np.float32
    assert channels.min() >= 0
    assert channels.max() <= 1 + 1e-6


def test_hidden_grey_levels_do_not_leak():
    """What is painted over must not be known from anything but its colour."""
    frames, mask = video(np.random.default_rng(1))
    other = frames.copy()
    other[mask] = 255 - other[mask]
    a, b = (frame_channels(f, mask)[:8] for f in (frames, other))
    assert np.array_equal(a, b)


def test_last_seen_is_the_value_that_was_visible():
    n = REACH + 4
    frames = np.repeat(np.arange(10, 10 + n, dtype=np.uint8), 8 * 8 * 3).reshape(n, 8, 8, 3)
    mask = np.ones((n, 8, 8), bool)
    mask[0] = False
    mask[:, 0] = False
    channels = frame_channels(frames, mask)
    before, age = channels[4, :, 4, 4], channels[5, :, 4, 4]
    assert np.allclose(before[: REACH + 1], 10 / 255)
    assert np.allclose(age[: REACH + 1], 1 / (1 + np.arange(REACH + 1)))
    assert not before[REACH + 1 :].any()
    assert not age[REACH + 1 :].any()
    assert not channels[7, 1:, 4, 4].any()  # never visible again


def test_the_start_sees_as_far_as_windows_reach():
    """So that results do not depend on where windows begin."""
    rng = np.random.default_rng(6)
    frames, mask = video(rng, n=REACH + 6)
    mask[2:] |= rng.random(mask[2:].shape) < 0.5
    other, seen = frames.copy(), mask.copy()
    other[:2], seen[:2] = 255 - other[:2], False
    a, b = frame_channels(frames, mask)[START], frame_channels(other, seen)[START]
    assert np.array_equal(a[REACH + 2 :], b[REACH + 2 :])
    assert not np.array_equal(a[REACH + 1], b[REACH + 1])
    endless = frame_channels(frames, mask, reach=None)[START], frame_channels(other, seen, reach=None)[START]
    assert not np.array_equal(endless[0][-1], endless[1][-1])
    parts = frame_channels(frames[4:], mask[4:])[START]
    assert np.array_equal(parts[REACH:], frame_channels(frames, mask)[START, REACH + 4 :])


def test_backwards_in_time_exchanges_before_and_after():
    frames, mask = video(np.random.default_rng(2))
    forth, back = frame_channels(frames, mask), frame_channels(frames[::-1], mask[::-1])[:, ::-1]
    assert np.allclose(forth[[4, 5, 6, 7]], back[[6, 7, 4, 5]])
    assert np.allclose(forth[START], back[START], atol=1e-6)


def test_fill_of_a_constant_picture_is_that_constant():
    grey = np.full((2, 37, 50), 0.4, np.float32)
    mask = np.zeros(grey.shape, bool)
    mask[:, 3:30, 5:45] = True
    assert np.allclose(spatial_fill(np.where(mask, 0.9, grey).astype("f4"), mask), 0.4, atol=1e-5)


def test_fill_is_between_the_least_and_the_largest_visible_value():
    rng = np.random.default_rng(3)
    grey = rng.uniform(0.2, 0.6, (1, 31, 43)).astype(np.float32)
    mask = rng.random(grey.shape) < 0.8
    filled = spatial_fill(grey, mask)
    assert np.array_equal(filled[~mask], grey[~mask])
    assert filled.min() >= grey[~mask].min() - 1e-5
    assert filled.max() <= grey[~mask].max() + 1e-5


def test_classical_fill_finds_still_tissue_again():
    """A picture that stands still, hidden only now and then, is known but for the fill's small share."""
    rng = np.random.default_rng(4)
    still = rng.integers(0, 256, (1, 32, 32), dtype=np.uint8).repeat(6, axis=0)
    mask = rng.random(still.shape) < 0.2
    mask[0] = False
    frames = np.repeat(still[..., None], 3, axis=-1)
    frames[mask] = [255, 0, 0]
    filled = classical_fill(frames, mask)
    assert np.array_equal(filled[~mask], still[~mask])
    assert np.abs(filled[mask].astype(int) - still[mask]).mean() < 12


def test_unknown_kind_is_refused():
    frames, mask = video(np.random.default_rng(5))
    with pytest.raises(ArgumentError, match="kind"):
        frame_channels(frames, mask, "other")
