"""Pairs and patches that enhancement is trained on; no PyTorch."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sonoray.errors import ArgumentError, FormatError
from sonoray.simulation.degradations import DegradationModel
from sonoray.training.enhancement import data
from sonoray.training.enhancement.data import (
    NATURAL_TEST,
    NATURAL_TRAINING,
    NATURAL_TUNING,
    PairSource,
    PatchSampler,
    low_rank_pairs,
    natural_pairs,
    phantom,
    phantom_pairs,
    targets_of,
    wire_pairs,
)
from sonoray.training.pictures import images_in

NOTHING = DegradationModel(main_chance=0.0, light_chance=0.0)


def test_phantoms_are_images_with_sharp_structure():
    speckled, clean = phantom(96, np.random.default_rng(0))
    for image in (speckled, clean):
        assert image.shape == (96, 96)
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
    # Sharp: somewhere a neighbouring pixel is a quarter of the range away.
    assert np.abs(np.diff(clean)).max() > 0.25
    # Speckle is everywhere, structure is not.
    assert np.median(np.abs(np.diff(speckled))) > 10 * np.median(np.abs(np.diff(clean)))
    assert all(np.array_equal(a, b) for a, b in zip((speckled, clean), phantom(96, np.random.default_rng(0))))


def test_wires_are_narrow_and_many():
    (pair,) = wire_pairs(1, 3, size=96)
    assert np.array_equal(pair[0], pair[1])
    assert 0 <= pair.min() <= pair.max() <= 1
    image = pair[0]
    inner = image[2:-2, 2:-2]
    around = [
        image[2 + i : image.shape[0] - 2 + i, 2 + j : image.shape[1] - 2 + j]
        for i, j in ((-2, 0), (2, 0), (0, -2), (0, 2))
    ]
    # Brighter than what is 2 pixels away on every side: at least as many points as the fewest, 30, that do not overlap.
    assert (inner > np.max(around, 0) + 0.1).sum() > 30
    assert np.array_equal(image, wire_pairs(1, 3, size=96)[0][0])


def test_low_rank_targets_are_kept(tmp_path):
    image = phantom(48, np.random.default_rng(1))[0]
    first = low_rank_pairs([image], tmp_path)[0]
    (path,) = tmp_path.glob("*.npy")
    assert np.array_equal(first[0], image)
    assert np.array_equal(np.load(path), first[1])
    np.save(path, np.zeros_like(image))  # what is there is used
    assert not low_rank_pairs([image], tmp_path)[0][1].any()
    path.write_bytes(b"none")
    with pytest.raises(FormatError, match="expected a low-rank target"):
        low_rank_pairs([image], tmp_path)


def test_low_rank_targets_of_an_earlier_filter_are_not_used(tmp_path, monkeypatch):
    image = np.random.default_rng(0).random((16, 16), np.float32)
    monkeypatch.setattr(data, "low_rank_despeckle", lambda image: image / 2)
    low_rank_pairs([image], tmp_path)
    monkeypatch.setattr(data, "low_rank_despeckle", lambda image: image / 4)
    assert np.array_equal(low_rank_pairs([image], tmp_path)[0][1], image / 2)
    monkeypatch.setattr(data, "_VERSION", data._VERSION + 1)
    assert np.array_equal(low_rank_pairs([image], tmp_path)[0][1], image / 4)


def test_photographs_for_training_tuning_and_test_are_different_ones():
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    assert not set(NATURAL_TRAINING) & (set(NATURAL_TUNING) | set(NATURAL_TEST))
    assert not set(NATURAL_TUNING) & set(NATURAL_TEST)
    for pair in natural_pairs((*NATURAL_TRAINING, *NATURAL_TUNING, *NATURAL_TEST)):
        assert max(pair.shape[1:]) <= 512
        assert np.array_equal(pair[0], pair[1])
        assert 0 <= pair.min() < pair.max() <= 1


def test_targets_of_an_ablation():
    pair = np.stack([np.zeros((4, 4)), np.ones((4, 4))]).astype(np.float32)
    assert targets_of([pair], "natural") == ()
    assert np.array_equal(targets_of([pair], "low_rank")[0], pair)
    assert not targets_of([pair], "raw")[0].any()
    with pytest.raises(ArgumentError, match="targets: expected one of"):
        targets_of([pair], "clean")


def test_patches_come_from_sources_by_their_shares_and_keep_pairs_together():
    sources = [
        PairSource((np.stack([np.full((70, 70), level), np.full((70, 70), level + 0.05)]).astype(np.float32),), share)
        for level, share in ((0.2, 1.0), (0.6, 3.0))
    ]
    sampler = PatchSampler(sources, NOTHING)
    given, wanted = sampler(400, np.random.default_rng(0))
    assert given.shape == wanted.shape == (400, 1, 64, 64)
    np.testing.assert_allclose(wanted - given, 0.05, atol=1e-3)
    # Binomial with p = 0.75: three standard deviations of 400 draws are 0.065.
    assert np.mean(given[:, 0, 0, 0] > 0.4) == pytest.approx(0.75, abs=0.065)


@pytest.mark.parametrize("published", [False, True])
def test_the_seed_decides_the_batch(published):
    sampler = PatchSampler([PairSource(tuple(phantom_pairs(2, 0, size=96)), 1.0)], size=32, published=published)
    first, second = (sampler(4, np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not np.array_equal(first[0], sampler(4, np.random.default_rng(6))[0])
    assert all(0 <= values.min() <= values.max() <= 1 for values in first)


def test_digests_tell_data_and_settings_apart():
    pairs = tuple(phantom_pairs(1, 0, size=48))
    digests = {
        PatchSampler([PairSource(pairs, 1.0)], size=32).digest,
        PatchSampler([PairSource(pairs, 1.0)], size=48).digest,
        PatchSampler([PairSource(pairs, 1.0)], DegradationModel(), size=32).digest,
        PatchSampler([PairSource(tuple(phantom_pairs(1, 1, size=48)), 1.0)], size=32).digest,
    }
    assert len(digests) == 4


def test_no_pairs_are_refused():
    with pytest.raises(ArgumentError, match="sources: expected pairs"):
        PatchSampler([PairSource((), 1.0)])


def test_pictures_are_read_as_grey(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="the extra 'io' is not installed")
    values = (np.arange(64 * 80) % 251).astype(np.uint8).reshape(64, 80)
    pillow.fromarray(values).save(tmp_path / "b.png")
    pillow.fromarray(np.stack([values] * 3, -1)).save(tmp_path / "a.png")
    pillow.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "c.png")
    for image in images_in([tmp_path]):
        np.testing.assert_allclose(image, values / 255, atol=1e-4)
    assert len(images_in([tmp_path / "a.png"])) == 1
    with pytest.raises(ArgumentError, match="is not there"):
        images_in([tmp_path / "d.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArgumentError, match="expected pictures"):
        images_in([tmp_path / "empty"])
    (tmp_path / "e.png").write_bytes(b"no picture")
    with pytest.raises(ArgumentError, match="expected a picture"):
        images_in([tmp_path / "e.png"])


def test_what_enhancement_cannot_be_trained_on_is_left_out(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="the extra 'io' is not installed")
    levels = np.random.default_rng(0).integers(0, 256, (3, 64, 80), dtype=np.uint8)
    pages = [pillow.fromarray(page) for page in levels]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pillow.fromarray(levels[0, :8, :8]).save(tmp_path / "b.png")
    pillow.new("L", (80, 80), 7).save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"3 left out: .*b\.png: .*c\.png: expected contents.*d\.png"):
        found = images_in([tmp_path])
    np.testing.assert_allclose(found, levels / 255, atol=1e-4)
