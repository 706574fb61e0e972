"""Figures of quality against closed forms and against each other."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sonoray import ArgumentError
from sonoray.restoration import quality

RNG = np.random.default_rng(0)
IMAGE = gaussian_filter(RNG.random((48, 64)), 1.0)
IMAGE = (IMAGE - IMAGE.min()) / np.ptp(IMAGE)


def test_psnr():
    assert quality.psnr(np.full((8, 8), 0.4), np.full((8, 8), 0.5)) == pytest.approx(20)
    assert quality.psnr(IMAGE, IMAGE) == np.inf
    mask = np.zeros_like(IMAGE, bool)
    mask[:10] = True
    worse = IMAGE.copy()
    worse[10:] = 0
    assert quality.psnr(worse, IMAGE, mask) == np.inf
    stack = np.stack([np.full((8, 8), 0.4), np.full((8, 8), 0.49)])
    assert quality.psnr(stack, np.full_like(stack, 0.5)) == pytest.approx(30)


def test_ssim():
    assert quality.ssim(IMAGE, IMAGE) == pytest.approx(1)
    # Eq. 13 for constants: (2ab + C1) / (a^2 + b^2 + C1), C1 = 1e-4.
    a, b = 0.4, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert quality.ssim(np.full((16, 16), a), np.full((16, 16), b)) == pytest.approx(expected)
    half = IMAGE.copy()
    half[:, 40:] = 0.5
    inside = np.zeros_like(IMAGE, bool)
    inside[:, 46:] = True
    outside = np.zeros_like(IMAGE, bool)
    outside[:, :34] = True
    assert quality.ssim(half, IMAGE, outside) == pytest.approx(1)
    assert quality.ssim(half, IMAGE, inside) < quality.ssim(half, IMAGE) < 1


def test_homogeneity():
    assert quality.homogeneity(np.full((16, 16), 0.3)) == pytest.approx(1)
    board = np.indices((16, 16)).sum(0) % 2  # neighbours differ by 255
    assert quality.homogeneity(board) == pytest.approx(1 / (1 + 255**2))
    assert quality.homogeneity(IMAGE) > quality.homogeneity(RNG.random((48, 64)))


def test_equivalent_looks():
    # Intensity of fully developed speckle, n independent looks averaged: gamma of shape n.
    speckle = RNG.gamma(4, size=200_000)
    assert quality.equivalent_looks(speckle) == pytest.approx(4, rel=0.03)
    assert quality.equivalent_looks(np.ones(9)) == np.inf


def test_edges():
    assert quality.edge_preservation(IMAGE, IMAGE) == pytest.approx(1)
    assert quality.edge_preservation(0.5 * IMAGE + 0.2, IMAGE) == pytest.approx(1)
    assert quality.edge_preservation(1 - IMAGE, IMAGE) == pytest.approx(-1)
    assert 0 < quality.edge_preservation(gaussian_filter(IMAGE, 2), IMAGE) < 0.9
    assert quality.edge_preservation(np.full_like(IMAGE, 0.5), IMAGE) == 0


def test_texture():
    assert quality.texture_ratio(IMAGE, IMAGE) == pytest.approx(1)
    assert quality.texture_ratio(0.5 * IMAGE, IMAGE) == pytest.approx(0.5)
    assert quality.texture_ratio(gaussian_filter(IMAGE, 2), IMAGE) < 0.5
    with pytest.raises(ArgumentError, match="texture"):
        quality.texture_ratio(IMAGE, np.full_like(IMAGE, 0.5))


@pytest.mark.parametrize(
    ("image", "truth", "mask", "match"),
    [
        (IMAGE, IMAGE[:20], None, "equal shapes"),
        (255 * IMAGE, IMAGE, None, "from 0 to 1"),
        (IMAGE, np.where(IMAGE > 0.9, np.nan, IMAGE), None, "truth"),
        (IMAGE, IMAGE, np.zeros_like(IMAGE, bool), "mask"),
        (IMAGE[0], IMAGE[0], None, "rows, columns"),
    ],
)
def test_refusals(image, truth, mask, match):
    for figure in (quality.psnr, quality.ssim, quality.edge_preservation, quality.texture_ratio):
        with pytest.raises(ArgumentError, match=match):
            figure(image, truth, mask)


def test_figures_of_what_was_filled_in():
    truth = np.stack([IMAGE, np.roll(IMAGE, 3, axis=1), IMAGE])
    mask = np.zeros(truth.shape, bool)
    mask[:, 16:32, 16:48] = True
    made = np.where(mask, gaussian_filter(truth, (0, 2, 2)), truth)
    found = quality.fill_figures(made, truth, mask)
    assert found.ssim_mask == pytest.approx(quality.ssim(made, truth, mask))
    assert found.ssim_mask < found.ssim_frame < 1
    assert found.psnr_mask == pytest.approx(-10 * np.log10(np.mean((made - truth)[mask] ** 2)))
    assert found.fine < 0.7 * found.fine_truth
    assert quality.fill_figures(np.where(mask, truth + 0.1 * (np.arange(3)[:, None, None] - 1), truth).clip(0, 1),
                                truth.clip(0.1, 0.9), mask).flicker == pytest.approx(25.5, rel=0.2)  # fmt: skip
    nothing = quality.fill_figures(truth, truth, np.zeros_like(mask))
    assert nothing.ssim_frame == pytest.approx(1)
    assert np.isnan(nothing[1:]).all()
