"""Medium: shapes, dtypes, water, and refusals by name."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Medium, water_sound_speed

GRID = Grid((4, 5), 1e-3, (0, 0))


def test_one_number_fills_the_grid_and_dtypes_are_kept():
    medium = Medium(GRID, 1540, density=1000.0)
    assert medium.sound_speed.shape == GRID.shape and medium.sound_speed.dtype == np.float64
    assert (medium.density == 1000).all() and medium.absorption is None
    field = np.full(GRID.shape, 1500, "f4")
    single = Medium(GRID, field)
    assert single.sound_speed.dtype == np.float32 and np.shares_memory(single.sound_speed, field)
    assert not single.sound_speed.flags.writeable
    np.testing.assert_allclose(single.slowness, 1 / 1500)


def test_volumes():
    assert Medium(Grid((2, 3, 4), 1e-3, (0, 0, 0)), 1500.0).sound_speed.shape == (2, 3, 4)


# Another fit to other measurements: N. Bilaniuk and G. S. K. Wong, J. Acoust. Soc. Am. 93, 1609 (1993).
@pytest.mark.parametrize(("temperature", "speed"), [(0, 1402.4), (20, 1482.3), (25, 1496.7), (40, 1528.9)])
def test_water(temperature, speed):
    assert water_sound_speed(temperature) == pytest.approx(speed, abs=0.1)


def test_water_is_fastest_near_74_degrees():
    t = np.arange(60.0, 90.0, 0.1)
    assert t[np.argmax([water_sound_speed(v) for v in t])] == pytest.approx(74, abs=0.5)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Medium((4, 5), 1500), "grid"),
        (lambda: Medium(GRID, 1.5), "sound_speed.*m/s"),
        (lambda: Medium(GRID, 1.5e6), "sound_speed.*m/s"),
        (lambda: Medium(GRID, np.full((5, 4), 1500)), "sound_speed.*shape"),
        (lambda: Medium(GRID, np.nan), "sound_speed.*finite"),
        (lambda: Medium(GRID, 1500 + 1j), "sound_speed.*real"),
        (lambda: Medium(GRID, "water"), "sound_speed"),
        (lambda: Medium(GRID, 1500, density=-1.0), "density"),
        (lambda: Medium(GRID, 1500, density=0.9), "density.*kg"),
        (lambda: Medium(GRID, 1500, absorption=-0.1), "absorption"),
        (lambda: water_sound_speed(293.15), "temperature.*Celsius"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
