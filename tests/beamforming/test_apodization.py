"""Windows and beam masks (analytic, invariant)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoray import ArgumentError, Probe, Transmit
from sonoray.beamforming.apodization import WINDOWS, transmit_weight, window

PROBE = Probe.linear(64, 0.3e-3)  # half aperture 9.45 mm


@pytest.mark.parametrize("name", WINDOWS)
@given(u=st.floats(-2, 2))
def test_windows_are_even_bounded_and_end_at_one(name, u):
    value = float(window(name, u))
    assert value == float(window(name, -u))
    assert 0 <= value <= 1 + 1e-15
    assert window(name, 0.0) == pytest.approx(1, abs=1e-15)  # 0.42 + 0.5 + 0.08
    if abs(u) > 1:
        assert value == 0


def test_window_values():
    np.testing.assert_allclose(window("hann", [0.5, 1.0]), [0.5, 0.0], atol=1e-15)
    np.testing.assert_allclose(window("hamming", [0.5, 1.0]), [0.54, 0.08], atol=1e-15)
    np.testing.assert_allclose(window("tukey", [0.5, 0.75, 1.0], taper=0.5), [1.0, 0.5, 0.0], atol=1e-15)
    u = np.linspace(-1.1, 1.1, 45)
    np.testing.assert_allclose(window("tukey", u, taper=1.0), window("hann", u), atol=1e-15)
    np.testing.assert_array_equal(window("tukey", u, taper=0.0), window("boxcar", u))


def test_windows_equal_scipy():
    from scipy.signal import windows

    u = np.linspace(-1, 1, 65)
    for name in ("hann", "hamming", "blackman"):
        np.testing.assert_allclose(window(name, u), getattr(windows, name)(65), atol=1e-12)
    np.testing.assert_allclose(window("kaiser", u, beta=5.0), windows.kaiser(65, 5.0), atol=1e-12)
    np.testing.assert_allclose(window("tukey", u, taper=0.3), windows.tukey(65, 0.3), atol=1e-12)


def weight(transmit, points, probe=PROBE, **options):
    return transmit_weight(transmit, probe, points, **{"wavelength": 3e-4, **options})


def points(x, z):
    x = np.asarray(x, float)
    return np.stack([x, np.zeros_like(x), np.full_like(x, z)], -1)


def test_plane_footprint_is_the_sheared_aperture():
    angle = 0.3
    centre = 0.02 * np.tan(angle)
    got = weight(Transmit.plane(angle), points(centre + np.array([-9.4e-3, -6e-3, 0, 6e-3, 9.5e-3, -9.5e-3]), 0.02))
    assert (got[1:4] == 1).all()
    assert (got[4:] == 0).all()
    assert 0 < got[0] < 0.01


def test_focused_cone_mirrors_at_the_focus():
    t = Transmit.focused([0, 0, 0.03])
    x = np.linspace(-0.02, 0.02, 101)
    np.testing.assert_allclose(weight(t, points(x, 0.02)), weight(t, points(x, 0.04)), atol=1e-6)
    inside = np.abs(x) < 0.7 * 9.45e-3 / 3
    assert (weight(t, points(x, 0.02))[inside] == 1).all()
    assert (weight(t, points(x, 0.02))[np.abs(x) > 1.1 * 9.45e-3 / 3] == 0).all()
    assert weight(t, points(np.zeros(1), 0.03)) == 1  # the focus itself


def test_subaperture_narrows_the_beam():
    few = (np.abs(np.arange(64) - 31.5) < 8).astype(float)
    x = np.linspace(-0.01, 0.01, 201)
    fine = {"wavelength": 3e-5}  # a waist much smaller than the cone
    wide = weight(Transmit.focused([0, 0, 0.03]), points(x, 0.01), **fine).sum()
    narrow = weight(Transmit.focused([0, 0, 0.03], apodization=few), points(x, 0.01), **fine).sum()
    assert 0.2 < narrow / wide < 0.3  # 16 of 64 elements


def test_diverging_beam_lies_in_front_of_the_array():
    t = Transmit.diverging([0, 0, -0.01])
    edge = 9.45e-3 * 3  # the ray from the source past the last element, at 20 mm
    got = weight(t, points(np.array([0.0, 0.5 * edge, 1.01 * edge]), 0.02))
    np.testing.assert_array_equal(got, [1, 1, 0])
    assert weight(t, points(np.zeros(1), -0.02)) == 0


def test_matrix_beams_are_bounded_in_elevation():
    probe = Probe.matrix(16, 8, 0.3e-3)
    p = np.array([[0, 0, 0.02], [1.5e-3, 0, 0.02], [0, 1.5e-3, 0.02], [0, 0.5e-3, 0.02]])
    np.testing.assert_array_equal(weight(Transmit.plane(), p, probe), [1, 1, 0, 1])


def test_elements_and_delays_reach_everywhere():
    for t in (Transmit.single(3), Transmit.free(np.zeros(64))):
        assert (weight(t, points(np.linspace(-0.1, 0.1, 9), 0.03)) == 1).all()


def test_edges_are_soft():
    x = np.linspace(-0.012, 0.012, 2001)
    w = weight(Transmit.plane(), points(x, 0.03), edge=0.5)
    assert np.abs(np.diff(w)).max() < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: window("parzen", 0.0), "name"),
        (lambda: window("tukey", 0.0, taper=2.0), "taper"),
        (lambda: weight(Transmit.plane(), np.zeros((3, 2))), "points"),
        (lambda: weight(Transmit.plane(), np.full((3, 3), 20.0)), "unit|really in m"),
        (lambda: weight(Transmit.plane(), np.full((3, 3), np.nan)), "finite"),
        (lambda: weight(Transmit.plane(), np.zeros((3, 3)), wavelength=0.3), "wavelength"),
        (lambda: weight(Transmit.plane(), np.zeros((3, 3)), edge=-1), "edge"),
        (lambda: weight(Transmit.focused([0, 0, 0]), np.zeros((3, 3))), "focus"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
