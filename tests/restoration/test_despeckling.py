"""The plan that takes speckle out of images, with the shipped model, through ONNX Runtime alone."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError, FormatError
from sonoray.simulation.echogenicities import echogenicity_map
from sonoray.simulation.speckle import SpeckleModel, sector_mask, simulate_speckle

pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")

from sonoray.assets import load_despeckler, load_sound_speed_network
from sonoray.restoration.despeckling import Despeckler


@pytest.fixture(scope="module")
def despeckle():
    return load_despeckler()


def seen(seed, family="organ", shape=(144, 144), **model):
    rng = np.random.default_rng([900, seed])
    return simulate_speckle(echogenicity_map(family, shape, rng), rng, SpeckleModel(**model))


def test_the_shipped_model_beats_its_input(despeckle):
    pytest.importorskip("skimage", reason="the extra 'metrics' is not installed")
    from sonoray.restoration.quality import psnr, ssim

    for k, (family, model) in enumerate(
        [("organ", {}), ("vessels", {"psf": (1.0, 1.8)}), ("shapes", {"scatterers": 2.0}), ("organ", {"widening": 0.8})]
    ):
        example = seen(k, family, **model)
        found = despeckle(example.image)
        assert ssim(found, example.clean) > ssim(example.image, example.clean) + 0.25
        assert psnr(found, example.clean) > psnr(example.image, example.clean) + 2


def test_brightness_stays(despeckle):
    for k in range(3):
        image = seen(k).image
        assert despeckle(image).mean() == pytest.approx(image.mean(), abs=0.02)


def test_black_stays_black(despeckle):
    mask = sector_mask((144, 144))
    rng = np.random.default_rng(0)
    image = simulate_speckle(echogenicity_map("shapes", mask.shape, rng), rng, mask=mask).image
    # Far outside: an edge of the field of view may be blurred by a few pixels.
    assert despeckle(image)[:20, :20].max() < 0.02


@pytest.mark.parametrize("shape", [(8, 8), (9, 65), (64, 64), (100, 130), (3, 40, 50), (40, 50, 3), (2, 40, 50, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_type_and_shape_come_back(despeckle, shape, dtype):
    values = np.random.default_rng(0).random(shape)
    image = values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)
    found = despeckle(image)
    assert found.shape == shape
    assert found.dtype == dtype
    assert np.isfinite(found).all()


def test_a_stack_is_its_images_and_runs_repeat(despeckle):
    stack = np.stack([seen(k).image for k in range(3)])
    found = Despeckler(despeckle.model, max_batch=2)(stack)
    for one, together in zip(stack, found, strict=True):
        np.testing.assert_allclose(despeckle(one), together, atol=1e-5)
    np.testing.assert_array_equal(despeckle(stack), despeckle(stack))


@pytest.mark.parametrize(("passes", "largest"), [(1, 0.05), (4, 0.1)])
def test_tiles_join_without_seams(despeckle, passes, largest):
    image = seen(5, shape=(400, 420)).image
    whole, tiled = (Despeckler(despeckle.model, tile=tile, passes=passes)(image) for tile in (None, 320))
    difference = tiled - whole
    # What lies further away than a tile reaches has little influence, more with every pass; a grey level of 256 is
    # 0.004.
    assert np.abs(difference).mean() < 0.002
    assert np.abs(difference).max() < largest
    # It sets in slowly: no step from pixel to pixel that could be seen as a seam.
    assert max(np.abs(np.diff(difference, axis=axis)).max() for axis in (0, 1)) < 0.05


def test_constants_come_back_unchanged(despeckle):
    for value in (0, 77, 255):
        image = np.full((40, 30), value, np.uint8)
        np.testing.assert_array_equal(despeckle(image), image)


def test_an_image_of_little_contrast_is_treated_like_any(despeckle):
    image = seen(1).image
    faint = 0.3 + 0.1 * image
    np.testing.assert_allclose((despeckle(faint) - 0.3) / 0.1, despeckle(image), atol=1e-3)


def test_a_marker_changes_next_to_nothing_elsewhere(despeckle):
    image = 0.5 * seen(1).image
    marked = image.copy()
    marked[4:7, 4:7] = 1.0  # of 20,736 pixels: less than a part in 1000
    before, after = despeckle(image), despeckle(marked)
    assert np.abs(after - before)[64:, 64:].max() < 0.01
    assert after[5, 5] > 0.7


def test_strength_is_the_part_of_the_change(despeckle):
    image = seen(2).image
    half = Despeckler(despeckle.model, strength=0.5)(image)
    np.testing.assert_allclose(half, (image + despeckle(image)) / 2, atol=1e-6)
    np.testing.assert_allclose(Despeckler(despeckle.model, strength=0.0)(image), image, atol=1e-6)


def test_the_shipped_model_says_what_it_is(despeckle):
    assert despeckle.spec.task == "despeckling"
    assert despeckle.spec.licence == "Apache-2.0"
    assert "research only" in despeckle.spec.description
    assert len(despeckle.spec.training_data) == 64
    assert despeckle.model.path.stat().st_size < 4e6
    assert "despeckle" in repr(despeckle)


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.full((20, 20), np.nan), "finite"),
        (np.ones((7, 20)), "at least 8"),
        (np.full((20, 20), 3.0), "from 0 to 1"),
        (np.ones(20), "shape"),
    ],
)
def test_what_is_no_image_is_refused(despeckle, image, match):
    with pytest.raises(ArgumentError, match=match):
        despeckle(image)


@pytest.mark.parametrize("options", [{"tile": 16}, {"strength": 2.0}, {"max_batch": 0}, {"passes": 0}])
def test_options_out_of_range_are_named(despeckle, options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        Despeckler(despeckle.model, **options)


def test_passes_come_from_the_model_unless_given(despeckle, tmp_path):
    from sonoray.learning import write_spec

    assert despeckle.spec.settings["passes"] == despeckle.passes == 2
    once = Despeckler(despeckle.model, passes=1)
    image = seen(3).image
    assert not np.allclose(once(image), despeckle(image), atol=1e-3)
    bare = {key: value for key, value in despeckle.spec.settings.items() if key != "passes"}
    for settings, expected in ((bare, 1), ({**bare, "passes": 3}, 3)):
        write_spec(despeckle.model.path, despeckle.spec.with_(settings=settings), tmp_path / "m.onnx")
        assert Despeckler(tmp_path / "m.onnx").passes == expected
    write_spec(despeckle.model.path, despeckle.spec.with_(settings={**bare, "passes": 0}), tmp_path / "m.onnx")
    with pytest.raises(ArgumentError, match="model: passes"):
        Despeckler(tmp_path / "m.onnx")


def test_other_models_are_refused():
    with pytest.raises(FormatError, match="despeckling"):
        Despeckler(load_sound_speed_network().model)
