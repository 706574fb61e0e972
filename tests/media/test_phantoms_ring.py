"""The breast-like slice: the same at every spacing, tissues where they belong."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid
from sonoray.media.phantoms_ring import FAT, GLAND, SKIN, breast_slice


def grid(spacing):
    return Grid.from_extent(x=(-0.12, 0.12), z=(-0.12, 0.12), spacing=spacing)


def test_same_breast_at_every_spacing():
    coarse, fine = breast_slice(grid(2e-3), seed=3), breast_slice(grid(1e-3), seed=3)
    np.testing.assert_allclose(coarse.sound_speed, fine.sound_speed[::2, ::2], atol=1e-9)
    assert np.abs(coarse.sound_speed - breast_slice(grid(2e-3), seed=4).sound_speed).max() > 20


def test_tissues():
    medium = breast_slice(grid(5e-4))
    radius = np.hypot(medium.grid.x[:, None], medium.grid.z[None])
    speed = medium.sound_speed
    assert np.ptp(speed[radius > 0.09]) < 1e-6 and abs(speed[0, 0] - 1500) < 1e-9
    for tissue, least in ((SKIN, 0.01), (FAT, 0.2), (GLAND, 0.05)):
        assert (np.abs(speed - tissue) < 5)[radius < 0.09].mean() > least


def test_bad_input_is_named():
    with pytest.raises(ArgumentError, match="radius"):
        breast_slice(grid(2e-3), radius=75.0)
    with pytest.raises(ArgumentError, match="2 axes"):
        breast_slice(Grid((4, 4, 4), 1e-3, (0, 0, 0)))
