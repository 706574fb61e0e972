"""Losses of the translation: values that are known, and gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
skimage = pytest.importorskip("skimage", reason="the extra 'metrics' is not installed")

from sonoray.training.color_flow.losses import (  # noqa: E402
    adversary_loss,
    deception_loss,
    dissimilarity,
    feature_loss,
    mask_loss,
    weighted_l1,
)


def videos(seed=0, shape=(1, 1, 2, 20, 22), dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(shape, generator=rng, dtype=dtype) for _ in range(2))
    mask = (torch.rand(shape, generator=rng) < 0.4).to(dtype)
    return a, b, mask


def test_mask_weight_counts_hidden_pixels_more():
    a, b, mask = videos()
    plain, weighted = weighted_l1(a, b, mask, 0.0), weighted_l1(a, b, mask, 20.0)
    assert float(plain) == pytest.approx(float((a - b).abs().mean()))
    assert float(weighted - plain) == pytest.approx(20 * float(((a - b).abs() * mask).mean()))


def test_dissimilarity_is_that_of_scikit_image():
    a, b, mask = videos()
    pasted = np.where(mask > 0, a, b)[0, 0]
    values = []
    for found, truth, where in zip(pasted, b[0, 0].numpy(), mask[0, 0].numpy() > 0, strict=True):
        _, similarity = skimage.metrics.structural_similarity(
            found, truth, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        values.append(similarity[where])
    # They differ in how they go on beyond the edge: mirrored with the edge pixel, or without.
    assert float(dissimilarity(a, b, mask)) == pytest.approx(1 - np.concatenate(values).mean(), abs=6e-3)


def test_dissimilarity_is_zero_for_the_truth_and_for_nothing_hidden():
    a, b, mask = videos()
    assert float(dissimilarity(b, b, mask)) == pytest.approx(0, abs=1e-12)
    assert float(dissimilarity(a, b, torch.zeros_like(mask))) == 0


def test_gradients():
    a, b, mask = videos(shape=(1, 1, 1, 8, 8))
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: dissimilarity(v, b, mask), (a,))
    assert torch.autograd.gradcheck(lambda v: weighted_l1(v, b, mask, 10.0), (a,))
    assert torch.autograd.gradcheck(lambda v: mask_loss(v, mask), (a,))


def test_dissimilarity_has_no_gradient_outside_the_mask():
    a, b, mask = videos()
    a.requires_grad_()
    dissimilarity(a, b, mask).backward()
    assert not a.grad[mask == 0].any()
    assert a.grad[mask > 0].any()


def test_hinge_losses_saturate():
    sure = torch.full((2, 3), 2.0)
    assert float(adversary_loss(sure, -sure)) == 0
    assert float(adversary_loss(-sure, sure)) == pytest.approx(6)
    assert float(deception_loss(sure)) == pytest.approx(-2)


def test_feature_loss_leaves_the_verdict_out():
    a = [torch.ones(2), torch.full((2,), 9.0)]
    b = [torch.zeros(2), torch.zeros(2)]
    assert float(feature_loss(a, b)) == pytest.approx(1)
