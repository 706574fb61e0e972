"""The plan that enhances images, with the shipped model, through ONNX Runtime alone."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError, FormatError
from sonoray.simulation.degradations import add_fourier_noise, add_gaussian_noise, add_speckle, blur

pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")

from sonoray.assets import load_enhancer, load_sound_speed_network
from sonoray.restoration.enhancement import Enhancer


@pytest.fixture(scope="module")
def enhance():
    return load_enhancer()


def scene(rows=128, columns=128):
    """A picture that nothing was trained on: a disc, a bar, a slope, a thin line."""
    row, column = np.mgrid[:rows, :columns].astype(np.float64)
    image = 0.35 + 0.15 * row / rows
    image = np.where((row - 0.4 * rows) ** 2 + (column - 0.6 * columns) ** 2 < (0.2 * rows) ** 2, 0.15, image)
    image = np.where((row > 0.75 * rows) & (row < 0.85 * rows), 0.7, image)
    image = np.where(np.abs(column - 0.2 * columns) < 1, 0.9, image)
    return image.astype(np.float32)


def psnr(image, truth):
    return -10 * np.log10(np.mean((image.astype(float) - truth) ** 2))


@pytest.mark.parametrize(
    ("degrade", "least"),
    [
        (lambda x, rng: add_gaussian_noise(x, 0.1, rng), 7.0),
        (lambda x, rng: add_gaussian_noise(x, 0.2, rng), 9.0),
        (lambda x, rng: add_fourier_noise(x, 0.1, rng), 4.0),
        (lambda x, rng: add_speckle(x, 0.5, rng), 5.0),
        (lambda x, rng: add_gaussian_noise(blur(x, 9), 0.1, rng), 5.0),
    ],
    ids=["gaussian 0.1", "gaussian 0.2", "fourier 0.1", "speckle 0.5", "blur 9, gaussian 0.1"],
)
def test_the_shipped_model_beats_its_input(enhance, degrade, least):
    spoilt = degrade(scene(), np.random.default_rng(0))
    assert psnr(enhance(spoilt), scene()) > psnr(spoilt, scene()) + least


def test_the_shipped_model_says_what_it_is(enhance):
    assert enhance.spec.task == "enhancement"
    assert enhance.spec.licence == "Apache-2.0"
    assert "Research only" in enhance.spec.description
    assert len(enhance.spec.training_data) == 64
    assert enhance.model.path.stat().st_size < 4e6
    assert "sonoray enhancement" in repr(enhance)


@pytest.mark.parametrize("shape", [(8, 8), (9, 65), (64, 64), (100, 130), (3, 40, 50), (40, 50, 3), (2, 40, 50, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_images_come_back_as_they_were_given(enhance, shape, dtype):
    values = np.random.default_rng(1).uniform(0.2, 0.8, shape)
    image = values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)
    before = image.copy()
    found = enhance(image)
    assert found.shape == shape
    assert found.dtype == dtype
    assert np.array_equal(image, before)
    assert np.array_equal(found, enhance(image))
    assert not np.array_equal(found, image)


def test_types_only_differ_by_rounding(enhance):
    image = (scene() * 255).round().astype(np.uint8)
    wide = image.astype(np.uint16) * 257
    np.testing.assert_allclose(enhance(wide) / 65535, enhance(image) / 255, atol=0.51 / 255)
    np.testing.assert_allclose(enhance(image / 255), enhance(image) / 255, atol=0.51 / 255)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_images_come_back_unchanged(enhance, value):
    image = np.full((70, 90), value, np.uint8)
    assert np.array_equal(enhance(image), image)


def test_colours_keep_their_tint_and_opacity(enhance):
    grey = (scene() * 255).astype(np.uint8)
    picture = np.stack([grey] * 3 + [np.full_like(grey, 200)], -1)
    found = enhance(picture)
    assert np.array_equal(found[..., 0], found[..., 2])
    assert (found[..., 3] == 200).all()
    assert np.abs(found[..., 0].astype(int) - enhance(grey)).max() <= 1


def test_stacks_are_enhanced_image_by_image(enhance):
    rng = np.random.default_rng(2)
    stack = np.stack([add_gaussian_noise(scene(64, 80), s, rng) for s in (0.05, 0.1, 0.2, 0.1, 0.05)])
    np.testing.assert_allclose(enhance(stack), np.stack([enhance(image) for image in stack]), atol=1e-5)


def test_strength_blends_with_the_image(enhance):
    image = add_gaussian_noise(scene(), 0.1, np.random.default_rng(3))
    half = Enhancer(enhance.model, strength=0.5)(image)
    np.testing.assert_allclose(half, 0.5 * (image + enhance(image)), atol=1e-6)
    np.testing.assert_allclose(Enhancer(enhance.model, strength=0.0)(image), image, atol=1e-6)


def test_seams_of_tiles_cannot_be_seen(enhance):
    rng = np.random.default_rng(4)
    image = add_gaussian_noise(scene(448, 500), 0.1, rng)
    whole = enhance(image)
    tiled = Enhancer(enhance.model, tile=256)(image)
    difference = tiled - whole
    # Where a tile begins, windows lie differently on the image, as they do when the image is moved by some pixels: what
    # that changes is the measure.
    moved = enhance(np.ascontiguousarray(image[4:, 4:])) - whole[4:, 4:]
    assert np.sqrt(np.mean(difference**2)) < np.sqrt(np.mean(moved**2)) < 0.02
    # Steps of the difference are no larger where tiles begin and blend (192 to 256, 244 to 308) than elsewhere.
    steps = np.abs(np.diff(difference, axis=1)).mean(0)
    assert steps[192:308].max() <= steps[308:].max()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((20, 20), np.nan), "image: expected finite values"),
        (np.zeros((0, 20), np.uint8), "image: expected"),
        (np.zeros((7, 20), np.uint8), "at least 8 x 8"),
        (np.zeros(20, np.uint8), "image: expected"),
        (np.full((20, 20), -60.0), "image: expected floating point values from 0 to 1"),
        (np.zeros((20, 20), np.int32), "image: expected uint8, uint16 or floating point"),
        ("picture.png", "image"),
    ],
)
def test_what_is_no_image_is_refused(enhance, image, words):
    with pytest.raises(ArgumentError) as error:
        enhance(image)
    assert words in str(error.value)


@pytest.mark.parametrize("options", [{"tile": 100}, {"tile": 200}, {"strength": 2.0}, {"max_batch": 0}])
def test_options_are_checked(enhance, options):
    with pytest.raises(ArgumentError) as error:
        Enhancer(enhance.model, **options)
    assert str(error.value).startswith(next(iter(options)))


def test_other_models_are_refused():
    with pytest.raises(FormatError, match="expected a model for 'enhancement', its metadata names 'sound speed'"):
        Enhancer(load_sound_speed_network().model)
