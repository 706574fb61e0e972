"""The Helmholtz solver against closed forms: Hankel functions in water, a penetrable cylinder, absorption."""

import numpy as np
import pytest
import scipy.special

from sonoray import Grid, Medium
from sonoray.errors import ArgumentError
from sonoray.simulation import simulate_helmholtz

RADIUS = 0.02


def square(half, spacing):
    return Grid.from_extent(x=(-half, half), z=(-half, half), spacing=spacing)


def ring(n, radius=RADIUS):
    angle = 2 * np.pi * np.arange(n) / n + 0.1
    return radius * np.stack([np.cos(angle), np.zeros(n), np.sin(angle)], axis=1)


# The bounds are those of the docstring: phase speed 7e-5 (2e-4) relative over 16 (27) wavelengths is 0.007 (0.03) rad,
# plus the layer's 0.2 %.
@pytest.mark.parametrize(
    ("frequency", "spacing", "bound"), [(300e3, 5e-4, 0.005), (600e3, 4e-4, 0.01), (1e6, 3e-4, 0.03)]
)
def test_water_is_the_hankel_function(frequency, spacing, bound):
    elements = ring(48)
    p = simulate_helmholtz(Medium(square(0.0225, spacing), 1500.0), elements, [frequency], emitters=[0, 7])[0]
    distance = np.linalg.norm(elements[[0, 7], None] - elements[None], axis=-1)
    far = distance > 0.01
    exact = 0.25j * scipy.special.hankel1(0, 2 * np.pi * frequency / 1500.0 * distance[far])
    np.testing.assert_allclose(p[far] / exact, 1.0, atol=bound)
    assert (p[[0, 1], [0, 7]] == 0).all()


def cylinder(grid, radius, inside, outside):
    """Squared slowness averaged over 9 x 9 points per cell."""
    fine = (np.arange(9) - 4) / 9 * grid.spacing[0]
    x = (grid.x[:, None] + fine).reshape(-1, 1)
    z = (grid.z[:, None] + fine).reshape(1, -1)
    m = np.where(np.hypot(x, z) < radius, inside**-2.0, outside**-2.0)
    return Medium(grid, m.reshape(grid.shape[0], 9, grid.shape[1], 9).mean(axis=(1, 3)) ** -0.5)


def test_penetrable_cylinder():
    a, inside, outside, frequency = 8e-3, 1600.0, 1500.0, 400e3
    elements = ring(40)
    medium = cylinder(square(0.0225, 4e-4), a, inside, outside)
    p = simulate_helmholtz(medium, elements, [frequency], emitters=[3])[0, 0]
    n = np.arange(-80, 81)[:, None]
    k0, k1 = 2 * np.pi * frequency / outside, 2 * np.pi * frequency / inside
    j0, j1, h0 = (scipy.special.jv(n, k0 * a), scipy.special.jv(n, k1 * a), scipy.special.hankel1(n, k0 * a))
    dj0, dj1, dh0 = (scipy.special.jvp(n, k0 * a), scipy.special.jvp(n, k1 * a), scipy.special.h1vp(n, k0 * a))
    scattering = -(k0 * dj0 * j1 - k1 * j0 * dj1) / (k0 * dh0 * j1 - k1 * h0 * dj1)
    turn = np.arctan2(elements[:, 2], elements[:, 0])
    around = np.exp(1j * n * (turn - turn[3]))
    scattered = 0.25j * (scattering * scipy.special.hankel1(n, k0 * RADIUS) ** 2 * around).sum(axis=0)
    distance = np.linalg.norm(elements - elements[3], axis=-1)
    far = distance > 5e-3
    exact = 0.25j * scipy.special.hankel1(0, k0 * distance[far]) + scattered[far]
    assert np.abs(scattered[far]).max() > np.abs(exact).max() / 2  # it is not a water case
    assert np.linalg.norm(p[far] - exact) < 0.01 * np.linalg.norm(exact)


def test_reciprocity():
    """To rounding in any medium: elements lie in tissue, between nodes."""
    grid = square(0.015, 5e-4)
    rough = 1500.0 + 100.0 * np.random.default_rng(0).standard_normal(grid.shape).clip(-2, 2)
    p = simulate_helmholtz(Medium(grid, rough), ring(9, 0.0113), [250e3, 400e3])
    assert p.shape == (2, 9, 9)
    np.testing.assert_allclose(p, p.transpose(0, 2, 1), rtol=0, atol=1e-9 * np.abs(p).max())
    part = simulate_helmholtz(Medium(grid, rough), ring(9, 0.0113), [400e3], emitters=[4])
    np.testing.assert_allclose(part[0, 0], p[1, 4], atol=1e-12)


def test_absorption():
    """exp(-alpha d): the wave number has alpha as its imaginary part."""
    grid, elements, f = square(0.015, 4e-4), ring(2, 0.012), 700e3
    lossless = simulate_helmholtz(Medium(grid, 1500.0), elements, [f])[0, 0, 1]
    lossy = simulate_helmholtz(Medium(grid, 1500.0, absorption=20.0), elements, [f], exponent=1.5)[0, 0, 1]
    k = 2 * np.pi * f / 1500.0
    exact = scipy.special.hankel1(0, (k + 20j * 0.7**1.5) * 0.024) / scipy.special.hankel1(0, k * 0.024)
    np.testing.assert_allclose(lossy / lossless, exact, atol=0.003)
    with pytest.raises(ArgumentError, match="exponent: expected the power"):
        simulate_helmholtz(Medium(grid, 1500.0, absorption=20.0), elements, [f])


def test_progress():
    done = []
    simulate_helmholtz(Medium(square(0.006, 1e-3), 1500.0), ring(2, 4e-3), [150e3, 200e3], progress=done.append)
    assert done == [0.5, 1.0]


WATER = Medium(square(0.015, 5e-4), 1500.0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, ring(2), [4e5]), {}, "medium: expected a Medium, got NoneType"),
        (
            (Medium(Grid((9, 9, 9), 1e-3, (0, 0, 0)), 1500.0), ring(2), [4e5]),
            {},
            "medium: expected a 2-D grid, got 3-D",
        ),
        ((Medium(Grid((9, 9), (1e-3, 2e-3), (0, 0)), 1500.0), ring(2), [4e5]), {}, "medium: expected the same spacing"),
        ((WATER, ring(2), [4e5]), {}, r"positions: expected points inside the medium's grid.*2 in all"),
        ((WATER, 1e3 * ring(2, 0.01), [4e5]), {}, "positions: "),
        ((WATER, ring(2, 0.01), [1e6]), {}, r"at least 3\.9 nodes per wavelength at 1e\+06 Hz, got 3\.00"),
        ((WATER, ring(2, 0.01), [0.4]), {}, "frequencies: "),
        ((WATER, ring(2, 0.01), []), {}, "frequencies: expected at least one"),
        ((WATER, ring(2, 0.01), [4e5]), {"emitters": [2]}, "emitters: expected indices from 0 to 1"),
        ((WATER, ring(2, 0.01), [4e5]), {"emitters": [0.5]}, "emitters: expected indices of elements"),
        ((WATER, ring(2, 0.01), [4e5]), {"layer": 0.1}, "layer: "),
        ((WATER, ring(2, 0.01), [2e3]), {}, r"medium: expected at most 700000 nodes with the layer of 4500 nodes"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises(ArgumentError, match=message):
        simulate_helmholtz(*arguments, **options)
