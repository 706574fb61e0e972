"""Classical filters as plans."""

import numpy as np
import pytest

from sonoray.errors import ArgumentError
from sonoray.imaging.speckle_filters import srad
from sonoray.restoration.classical import ClassicalDespeckler


def test_srad_diffuses_the_intensity():
    """A decade of intensity is 10 dB: fully developed speckle varies by 1 in it, as the filter assumes."""
    grey = np.random.default_rng(0).random((16, 20)).astype(np.float32)
    found = ClassicalDespeckler("srad", dynamic_range=40.0)(grey)
    expected = 1 + np.log10(srad(10.0 ** (4 * (grey.astype(np.float64) - 1)))) / 4
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-5)


def test_an_even_window_is_refused_not_widened():
    assert ClassicalDespeckler("median", size=5).size == 5
    with pytest.raises(ArgumentError, match="size: expected an odd number"):
        ClassicalDespeckler("median", size=4)
