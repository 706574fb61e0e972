"""Ultrasonix raw files: both layouts of frames, what the header lacks, sizes that do not fit."""

import numpy as np
import pytest

import sonoray

from .io_makers import signal, write_ultrasonix


@pytest.mark.parametrize("tag", [0, 4])
def test_rf(tmp_path, tag):
    write_ultrasonix(tmp_path / "a.rf", tag=tag)
    image, grid = sonoray.read(tmp_path / "a.rf", line_spacing=3e-4, sound_speed=1500.0)
    np.testing.assert_array_equal(image, signal(2, 6, 20))
    assert image.dtype == np.int16 and grid.shape == (6, 20)
    assert grid.spacing == pytest.approx((3e-4, 1500 / 80e6)) and grid.origin == pytest.approx((-7.5e-4, 0))
    assert sonoray.read(tmp_path / "a.rf", spacing=(1e-4, 2e-5))[1].spacing == (1e-4, 2e-5)
    with pytest.raises(sonoray.FormatError, match=r"line_spacing=.*2 frames of 6 x 20 at 40 MHz"):
        sonoray.read(tmp_path / "a.rf")
    for wrong in ({"spacing": 1e-4}, {"line_spacing": 1.0}, {"sound_speed": 1.5}):
        with pytest.raises(sonoray.ArgumentError, match=next(iter(wrong))):
            sonoray.read(tmp_path / "a.rf", **wrong)


@pytest.mark.parametrize("kind", [2, 4])
def test_b_mode(tmp_path, kind):
    values = np.arange(240, dtype="u1").reshape(2, 6, 20)
    write_ultrasonix(tmp_path / "a", kind=kind, values=values if kind == 2 else values.swapaxes(1, 2))
    image, grid = sonoray.read(tmp_path / "a", spacing=(3e-4, 1e-4))
    np.testing.assert_array_equal(image, values)
    assert grid.shape == (6, 20)
    with pytest.raises(sonoray.FormatError, match="spacing="):
        sonoray.read(tmp_path / "a", line_spacing=1e-4)


def test_sizes_decide(tmp_path):
    path = tmp_path / "a.rf"
    write_ultrasonix(path)
    raw = path.read_bytes()
    for content in (raw[:-1], raw + b"\0", raw[:70], raw[:4] + b"\xff\xff\xff\x7f" + raw[8:], b"\x11" + raw[1:]):
        path.write_bytes(content)
        with pytest.raises(sonoray.FormatError, match="one of the formats"):
            sonoray.read(path, line_spacing=1e-4)
        with pytest.raises(sonoray.FormatError, match="Ultrasonix"):
            sonoray.read(path, format="ultrasonix", line_spacing=1e-4)
