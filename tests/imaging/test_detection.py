"""Envelope, log compression and depth gain against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import sonoray
from sonoray import ArgumentError, Grid, SectorGrid

Z = np.arange(400) * 2e-5
PACKET = np.exp(-0.5 * ((Z - 4e-3) / 4e-4) ** 2)


def test_envelope_of_iq_is_its_magnitude():
    iq = (PACKET * np.exp(1j * 2e4 * Z)).astype("c8")[None].repeat(3, 0)
    result = sonoray.envelope(iq)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.abs(iq), rtol=1e-6)


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_envelope_of_rf_does_not_see_the_carriers_phase(phase):
    rf = PACKET * np.cos(2 * np.pi * Z / 1.54e-4 + phase)  # 5 MHz: period c / (2 f)
    np.testing.assert_allclose(sonoray.envelope(rf), PACKET, atol=1e-5)
    np.testing.assert_allclose(sonoray.envelope(rf[:, None], axis=0)[:, 0], PACKET, atol=1e-5)


def test_log_compression_in_steps_of_ten():
    values = np.array([1e-9, 0, 1e-3, 1e-2, 0.1, 1.0])
    np.testing.assert_allclose(sonoray.log_compress(values), [-60, -60, -60, -40, -20, 0], atol=1e-5)
    np.testing.assert_allclose(sonoray.log_compress(values, 30), [-30, -30, -30, -30, -20, 0], atol=1e-5)
    np.testing.assert_allclose(sonoray.log_compress(values, 40, reference=0.1), [-40, -40, -40, -20, 0, 0], atol=1e-5)


def test_a_black_frame_stays_black():
    assert (sonoray.log_compress(np.zeros((3, 4), "f4"), 50) == -50).all()


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, array_shapes(max_dims=3, max_side=6), elements=st.floats(0, 2.0**120, width=32)))
def test_log_compression_stays_in_range_and_keeps_order(values):
    decibels = sonoray.log_compress(values, 80)
    assert decibels.dtype == np.float32
    assert decibels.min() >= -80 and decibels.max() <= 0
    order = np.argsort(values, axis=None)
    assert (np.diff(decibels.ravel()[order]) >= 0).all()
    grey = sonoray.to_uint8(decibels, 80)
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()


def test_grey_levels():
    np.testing.assert_array_equal(
        sonoray.to_uint8(np.array([-90.0, -60, -30, 0, np.nan, -np.inf])), [0, 0, 128, 255, 0, 0]
    )


def test_depth_gain_undoes_two_way_attenuation():
    grid = Grid.from_extent(x=(-1e-3, 1e-3), z=(0, 0.02), spacing=1e-3)
    loss = 10 ** (-2 * 70 * 5 * np.maximum(grid.z - 0.002, 0) / 20)
    image = np.broadcast_to(loss, (2, *grid.shape)).astype("f4")
    np.testing.assert_allclose(sonoray.depth_gain(image, grid, 70, 5e6, surface=0.002), 1, rtol=1e-5)
    sector = SectorGrid(0.06 + grid.z, [-0.1, 0, 0.1], (0, 0, -0.06))
    image = np.broadcast_to(loss, sector.shape).astype("c8")
    result = sonoray.depth_gain(image, sector, 70, 5e6, surface=0.062)
    assert result.dtype == np.complex64
    np.testing.assert_allclose(result, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: sonoray.envelope([[1.0, np.nan]]), "finite"),
        (lambda: sonoray.envelope(np.array([1j * np.nan])), "image.*finite"),
        (lambda: sonoray.envelope(np.array(["a"])), "real numbers"),
        (lambda: sonoray.envelope(np.zeros((2, 0))), "shape"),
        (lambda: sonoray.log_compress([1j]), "envelope.*real"),
        (lambda: sonoray.log_compress([-3.0, 0.0]), "in dB already"),
        (lambda: sonoray.log_compress([np.nan, 1]), "envelope.*finite"),
        (lambda: sonoray.log_compress([1.0], 0.001), "dynamic_range"),
        (lambda: sonoray.log_compress([1.0], reference=0.0), "reference"),
        (lambda: sonoray.to_uint8([3.0]), "log_compress"),
        (lambda: sonoray.to_uint8(np.array([3])), "image.*float"),
        (lambda: sonoray.depth_gain(np.ones((2, 3)), Grid((3, 2), 1e-3, (0, 0)), 50, 5e6), "image.*shape"),
        (lambda: sonoray.depth_gain(np.ones((3, 2)), Grid((3, 2), 1e-3, (0, 0)), 50, 5.0), "center_frequency.*Hz"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
