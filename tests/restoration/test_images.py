"""What goes in comes back as the same kind of image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoray import ArgumentError
from sonoray.restoration.images import Planes

DTYPES = [np.uint8, np.uint16, np.float16, np.float32, np.float64]


@st.composite
def images(draw):
    dtype = draw(st.sampled_from(DTYPES))
    colors = draw(st.sampled_from([(), (3,), (4,)]))
    stack = draw(st.sampled_from([(), (1,), (3,)]))
    shape = (*stack, draw(st.integers(8, 12)), draw(st.integers(8, 12)), *colors)
    elements = {"elements": st.floats(0, 1, width=np.dtype(dtype).itemsize * 8)} if np.dtype(dtype).kind == "f" else {}
    return draw(hnp.arrays(dtype, shape, **elements))


@given(images())
@settings(max_examples=80, deadline=None)
def test_nothing_done_is_nothing_changed(image):
    planes = Planes(image)
    result = planes.back(planes.values)
    assert result.dtype == image.dtype
    assert result.shape == image.shape
    assert not np.shares_memory(result, image)
    assert planes.values.dtype == np.float32
    assert planes.values.min() >= 0 and planes.values.max() <= 1 + 1e-6
    if image.dtype == np.float64:
        np.testing.assert_allclose(result, image, atol=1e-7)
    elif image.dtype.kind == "f":
        np.testing.assert_allclose(result, image, atol=np.finfo(image.dtype).eps)
    else:
        np.testing.assert_array_equal(result, image)


@given(images())
@settings(max_examples=80, deadline=None)
def test_changes_arrive(image):
    planes = Planes(image)
    target = np.clip(planes.values * 0.5 + 0.1, 0, 1)
    again = Planes(planes.back(target))
    lively = ~planes.constant
    grey = image.ndim < 3 or image.shape[-1] not in (3, 4)
    if grey:
        steps = 1 / 255 if image.dtype == np.uint8 else 2e-3
        np.testing.assert_allclose(again.values[lively], target[lively], atol=steps)
    np.testing.assert_array_equal(again.values[planes.constant], planes.values[planes.constant])


def test_white_is_one_for_every_type():
    for image in (np.uint8(255), np.uint16(65535), np.float32(1)):
        picture = np.zeros((8, 8), image.dtype)
        picture[0, 0] = image
        assert Planes(picture).values.max() == 1


def test_grey_colours_stay_grey_and_opacity_stays():
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 256, (16, 16, 1), dtype=np.uint8), 4, axis=2)
    image[..., 3] = rng.integers(0, 256, (16, 16))
    planes = Planes(image, color="refuse")
    result = planes.back(1 - planes.values)
    np.testing.assert_array_equal(result[..., 0], 255 - image[..., 0])
    np.testing.assert_array_equal(result[..., :1].repeat(3, -1), result[..., :3])
    np.testing.assert_array_equal(result[..., 3], image[..., 3])


def test_a_marker_keeps_its_tint():
    image = np.full((16, 16, 3), 100, np.uint8)
    image[4:8, 4:8] = (200, 120, 40)
    planes = Planes(image)
    result = planes.back(planes.values + 0.1).astype(int)
    np.testing.assert_array_equal(result[5, 5] - image[5, 5], [26, 26, 26])  # 0.1 of 255, rounded
    with pytest.raises(ArgumentError, match="expected grey"):
        Planes(image, color="refuse")


def test_compression_noise_is_no_colour():
    image = np.full((16, 16, 3), 100, np.uint8)
    image[..., 1] += 6
    image[0] = 0
    assert Planes(image, color="refuse").values.shape == (1, 16, 16)


def test_constant_planes_come_back_unchanged():
    stack = np.full((3, 16, 16), 0.3)
    stack[1, 2, 2] = 0.5
    planes = Planes(stack)
    np.testing.assert_array_equal(planes.constant, [True, False, True])
    result = planes.back(np.zeros((3, 16, 16)))
    np.testing.assert_array_equal(result[[0, 2]], stack[[0, 2]])
    assert not result[1].any()


def test_layout_in_memory_does_not_matter():
    image = np.asfortranarray(np.random.default_rng(0).random((4, 16, 12)))[:, ::2]
    planes = Planes(image)
    np.testing.assert_allclose(planes.back(planes.values), image, atol=1e-7)


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.full((16, 16), 128.0), "from 0 to 1, got 128 to 128; divide"),
        (np.full((16, 16), -30.0), "decibels"),
        (np.full((16, 16), np.nan), "image"),
        (np.full((16, 16), np.inf), "image"),
        (np.zeros((16, 16), np.int32), "int32"),
        (np.zeros((16, 16), complex), "complex"),
        (np.zeros((16, 16), bool), "bool"),
        (np.zeros(16), "shape"),
        (np.zeros((0, 16)), "shape"),
        (np.zeros((7, 16)), "at least 8 x 8"),
        (np.zeros((16, 16, 2)), "at least 8 x 8"),
        (np.zeros((2, 2, 16, 16)), "shape"),
        ("no image", "image"),
    ],
)
def test_refusals(image, match):
    with pytest.raises(ArgumentError, match=match):
        Planes(image)


def test_wrong_results_are_refused():
    planes = Planes(np.zeros((16, 16), np.uint8))
    with pytest.raises(ArgumentError, match=r"\(1, 16, 16\)"):
        planes.back(np.zeros((16, 16)))
    with pytest.raises(ArgumentError, match="values"):
        planes.back(np.full((1, 16, 16), np.nan))
