"""Random tissue: within its range, reproducible, and echoes that know nothing of speed."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid
from sonoray.media.phantoms_random import KINDS, SPEEDS, random_scatterers, random_tissue

GRID = Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 40e-3), spacing=5e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_range_and_reproducibility(kind):
    for seed in range(6):
        medium = random_tissue(np.random.default_rng(seed), GRID, kind)
        c = medium.sound_speed
        assert c.dtype == np.float32
        assert SPEEDS[0] <= c.min()
        assert c.max() <= SPEEDS[1]
        assert (np.ptp(c) == 0) == (kind == "constant")
        again = random_tissue(np.random.default_rng(seed), GRID, kind)
        assert np.array_equal(c, again.sound_speed)


def test_kinds_are_drawn_and_cover_the_range():
    media = [random_tissue(np.random.default_rng(seed), GRID).sound_speed for seed in range(60)]
    assert sum(np.ptp(c) == 0 for c in media) < 15
    means = [c.mean() for c in media]
    assert np.std(means) > 15
    assert min(means) < 1500
    assert max(means) > 1570


def test_scatterers():
    rng = np.random.default_rng(0)
    points, amplitudes = random_scatterers(rng, GRID, 3000, start_depth=2e-3)
    assert points.shape == (3000, 3)
    assert amplitudes.dtype == np.float32
    assert GRID.contains(points).all()
    assert points[:, 2].min() >= 2e-3
    assert not points[:, 1].any()


def test_refusals():
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="kind: expected one of"):
        random_tissue(rng, GRID, "liver")
    with pytest.raises(ArgumentError, match="grid: expected 2 axes"):
        random_tissue(rng, Grid((4, 4, 4), 1e-3, (0.0, 0.0, 0.0)))
    with pytest.raises(ArgumentError, match="n: expected"):
        random_scatterers(rng, GRID, 0)
