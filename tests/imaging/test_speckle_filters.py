"""Classical speckle filters against slow twins and invariants."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError
from sonoray.imaging.speckle_filters import _PEARSON, obnlm, srad
from sonoray.simulation.speckle import SpeckleModel, simulate_speckle

RNG = np.random.default_rng(0)


def slow_srad(image, iterations, step, q0, decay):
    """Pixel by pixel, as in the paper; beyond the edge the image goes on with its last value."""
    image = image.copy()
    n, m = image.shape
    for k in range(iterations):
        c = np.empty_like(image)
        for i in range(n):
            for j in range(m):
                v = image[i, j]
                d = [image[min(i + 1, n - 1), j], image[max(i - 1, 0), j], image[i, min(j + 1, m - 1)]]
                d = np.array([*d, image[i, max(j - 1, 0)]]) - v
                q2 = max(0.5 * (d**2).sum() / v**2 - (d.sum() / v) ** 2 / 16, 0) / (1 + d.sum() / v / 4) ** 2
                q0t = (q0 * np.exp(-decay * k * step)) ** 2
                c[i, j] = np.clip(1 / (1 + (q2 - q0t) / (q0t * (1 + q0t))), 0, 1)
        new = image.copy()
        for i in range(n):
            for j in range(m):
                down = c[i + 1, j] * (image[i + 1, j] - image[i, j]) if i + 1 < n else 0
                right = c[i, j + 1] * (image[i, j + 1] - image[i, j]) if j + 1 < m else 0
                up = c[i, j] * (image[i - 1, j] - image[i, j]) if i else 0
                left = c[i, j] * (image[i, j - 1] - image[i, j]) if j else 0
                new[i, j] += step / 4 * (down + right + up + left)
        image = new
    return image


def slow_obnlm(image, h, block, search, spacing, mean_ratio):
    """Block by block; beyond the edge the image is mirrored as by scipy.ndimage and numpy.pad."""
    levels = 1 + 255 * image
    n, m = image.shape
    outer = np.pad(levels, search, mode="reflect")
    views = {(i, j): outer[i : i + n, j : j + m] for i in range(2 * search + 1) for j in range(2 * search + 1)}
    at = [sorted({*range(0, k, spacing), k - 1}) for k in (n, m)]
    size = (2 * block + 1) ** 2
    sums, counts = np.zeros((n, m)), np.zeros((n, m))
    around = lambda a, i, j: np.pad(a, block, mode="symmetric")[i : i + 2 * block + 1, j : j + 2 * block + 1]  # noqa: E731
    for i in at[0]:
        for j in at[1]:
            own, weights = around(levels, i, j), {}
            for key, view in views.items():
                other = around(view, i, j)
                distance = ((own - other) ** 2 / other).sum() / size
                ratio = own.mean() / other.mean()
                alike = mean_ratio <= ratio <= 1 / mean_ratio
                weights[key] = np.exp(-distance / (_PEARSON * h**2)) if alike else 0.0
            weights[search, search] = 0.0
            weights[search, search] = max(*weights.values(), 1e-300)
            total = sum(weights.values())
            rows = slice(max(i - block, 0), i + block + 1)
            columns = slice(max(j - block, 0), j + block + 1)
            for key, weight in weights.items():
                sums[rows, columns] += weight / total * views[key][rows, columns]
            counts[rows, columns] += 1
    return sums / counts / 255 - 1 / 255


def test_srad_is_its_slow_twin():
    image = RNG.uniform(0.2, 3, (9, 11))
    expected = slow_srad(image, 5, 0.2, 0.8, 0.5)
    found = srad(image, iterations=5, time_step=0.2, initial_variation=0.8, decay=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_obnlm_is_its_slow_twin():
    image = RNG.uniform(0, 1, (13, 14))
    expected = slow_obnlm(image, 1.5, 1, 2, 2, 0.5)
    found = obnlm(image, strength=1.5, block=1, search=2, spacing=2, mean_ratio=0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_srad_keeps_the_mean_and_its_scale():
    image = RNG.exponential(1, (40, 30)) + 1e-3
    found = srad(image, iterations=50, time_step=0.2)
    assert found.mean() == pytest.approx(image.mean(), rel=1e-10)
    np.testing.assert_allclose(srad(7 * image, iterations=50, time_step=0.2), 7 * found, rtol=1e-9)
    assert found.std() < 0.7 * image.std()


@pytest.mark.parametrize("smooth", [lambda i: srad(i + 0.01), obnlm])
def test_constants_stay(smooth):
    image = np.full((20, 17), 0.4)
    found = smooth(image)
    np.testing.assert_allclose(found, found[0, 0], atol=1e-12)


def test_filters_smooth_speckle_and_keep_an_edge():
    echo = np.where(np.arange(96) < 48, -12.0, 4.0)[None] * np.ones((96, 1))
    seen = simulate_speckle(echo, RNG, SpeckleModel((0.7, 0.9)))
    intensity = 10 ** (50 * (seen.image - 1) / 10)
    for found in (obnlm(seen.image, strength=1.0), 1 + np.log10(srad(intensity, iterations=200, time_step=0.2)) / 5):
        flat = np.s_[10:-10, 60:90]
        assert found[flat].std() < 0.6 * seen.image[flat].std()
        profile = found.mean(axis=0)
        assert profile[52:90].mean() - profile[6:44].mean() > 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2)])
def test_small_images_are_taken(shape):
    image = RNG.uniform(0.1, 1, shape)
    assert srad(image, iterations=3).shape == shape
    assert obnlm(image).shape == shape


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: srad(np.zeros((4, 4))), "intensity: expected positive"),
        (lambda: srad(np.full((4, 4), np.nan)), "intensity"),
        (lambda: srad(np.ones((4, 4)), time_step=2.0), "time_step"),
        (lambda: obnlm(np.full((4, 4), 2.0)), "image: expected values in"),
        (lambda: obnlm(np.ones((2, 4, 4))), "image"),
        (lambda: obnlm(np.ones((4, 4)), block=0), "block"),
    ],
)
def test_wrong_arguments_are_named(call, match):
    with pytest.raises(ArgumentError, match=match):
        call()
