"""Interpolation across gaps: exact for what is smooth, unchanged where it is seen."""

import numpy as np
import pytest

from sonoray.restoration.biharmonic import biharmonic_fill


def image_and_mask():
    rows, columns = np.mgrid[:40, :50].astype(float)
    mask = np.zeros((40, 50), bool)
    mask[18:23, 8:44] = mask[5:35, 24:28] = mask[:3, 4] = True
    return rows, columns, mask


def test_linear_images_come_back_whole():
    rows, columns, mask = image_and_mask()
    truth = (0.2 + 0.01 * rows - 0.003 * columns).astype("f4")
    mask[:3] = False  # what lies on the edge of the picture has no slope to go by
    found = biharmonic_fill(np.where(mask, 0, truth)[None], mask[None])[0]
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_what_is_seen_stays_and_bounds_the_rest():
    rows, columns, mask = image_and_mask()
    truth = (0.5 + 0.4 * np.sin(rows / 3) * np.cos(columns / 5)).astype("f4")
    found = biharmonic_fill(np.where(mask, 7, truth)[None], mask[None])[0]
    assert np.array_equal(found[~mask], truth[~mask])
    assert truth[~mask].min() <= found.min() and found.max() <= truth[~mask].max()
    assert np.abs(found - truth)[mask].max() < 0.2


def test_agrees_with_scikit_image():
    inpaint = pytest.importorskip("skimage.restoration").inpaint_biharmonic
    _, _, mask = image_and_mask()
    noise = np.random.default_rng(1).random((40, 50)).astype("f4")
    mask[:3] = False  # another rule at the edge of the picture
    np.testing.assert_allclose(
        biharmonic_fill(noise[None], mask[None])[0],
        np.clip(inpaint(noise, mask), noise[~mask].min(), noise[~mask].max()),
        atol=1e-4,
    )


@pytest.mark.parametrize("fill", [False, True])
def test_nothing_or_everything_hidden(fill):
    image = np.linspace(0, 1, 20, dtype="f4").reshape(4, 5)
    assert np.array_equal(biharmonic_fill(image[None], np.full((1, 4, 5), fill))[0], image)
