"""The ray-Born operator against its float64 twin, closed forms, and the gains that theory predicts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from sonoray import Grid, Probe
from sonoray.inversion.born import WEIGHTINGS, BornOperator
from sonoray.rays.amplitudes import dispersion_delay
from tests.reference import born as reference

WATER = 1500.0
RADIUS = 0.11


@dataclass(frozen=True)
class Fields:
    """Fields of rays made up by a test; the same attributes as those of `GreensFunction`."""

    excess: Any
    focusing: Any
    take_off: Any
    arrival: Any
    sources: Any
    points: Any
    sound_speed: Any = None
    reference_sound_speed: float = WATER
    absorption: Any = None
    caustics: Any = None
    exponent: float | None = None


def water(sources, points):
    zero = np.zeros((len(points), len(sources)), np.float32)
    return Fields(zero, zero + 1, zero, zero, sources, points, np.full(len(points), WATER, np.float32))


def smooth(sources, points, *, absorbing=False, caustics=False):
    """Smooth fields of about the size that tissue gives."""
    p, s = points[:, None], sources[None]
    x, z = (p[..., k] + 0.3 * s[..., k] for k in (0, 2))
    wave = np.sin(60 * x) * np.cos(45 * z)
    shape = wave.shape
    fields = Fields(
        (2e-6 * wave).astype(np.float32),
        (1 + 0.4 * np.cos(50 * z - 30 * x)).astype(np.float32),
        (0.1 * wave).astype(np.float32),
        (0.2 * np.sin(40 * z)).astype(np.float32),
        sources,
        points,
        (WATER + 40 * np.sin(80 * points[:, 0])).astype(np.float32),
        absorption=(0.5 + 0.3 * np.sin(50 * x)).astype(np.float32) if absorbing else None,
        exponent=1.3 if absorbing else None,
    )
    if caustics:
        fields = replace(fields, caustics=(np.arange(np.prod(shape)).reshape(shape) % 3).astype(np.uint8))
    return fields


def disc(radius, spacing):
    grid = Grid.from_extent(x=(-radius, radius), z=(-radius, radius), spacing=spacing)
    points = grid.points().reshape(-1, 3)
    return points[np.hypot(points[:, 0], points[:, 2]) <= radius]


def emitters_and_receivers(n_e=13, n_r=21):
    """Numbers of elements that no vector's length divides."""
    ring = Probe.ring(2 * n_r, RADIUS)
    return ring.positions[1::2][:n_e], ring.positions[::2]


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("n", [1, 5, 8, 16, 19])
def test_waves_of_any_number_of_elements(device, n):
    """One point that scatters: the data are the product of two Green's functions, with phases within 1e-3 rad."""
    sources = Probe.ring(max(n, 3), RADIUS).positions[:n]
    points = np.array([[0.02, 0, -0.03], [0.09, 0, 0.04]])
    fields = smooth(sources, points, absorbing=True, caustics=True)
    delay = dispersion_delay(np.ones(1), 1e6, 1.3)[0]
    operator = BornOperator(fields, fields, 1e6, cell_area=1e-6, device=device)
    expected = reference.matrix(fields, fields, 1e6, 1e-6, exponent=1.3, delay=delay)
    for p in range(2):
        data = operator(np.eye(2)[p])
        assert np.abs(np.angle(data / expected[..., p])).max() < 1e-3
        assert np.abs(np.abs(data / expected[..., p]) - 1).max() < 1e-5


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("absorbing", [True, False])
def test_prediction_and_transpose_match_the_twin(device, same, absorbing):
    emitters, receivers = emitters_and_receivers()
    points = disc(0.04, 3e-3)
    fields_r = smooth(receivers, points, absorbing=absorbing)
    fields_e = fields_r if same else smooth(emitters, points, absorbing=absorbing)
    f = 0.7e6
    delay = dispersion_delay(np.ones(1), f, 1.3)[0]
    expected = reference.matrix(fields_e, fields_r, f, 4e-6, exponent=1.3, delay=delay)
    operator = BornOperator(fields_e, fields_r, f, cell_area=4e-6, device=device)
    random = np.random.default_rng(3)
    change = random.standard_normal(len(points)) * 1e-9
    residual = (random.standard_normal((2, *operator.shape)).T @ [1, 1j]).T.astype(np.complex64)
    data, image = operator(change), operator.adjoint(residual, complex=True)
    assert data.dtype == np.complex64 and data.shape == operator.shape
    assert relative(data, expected @ change) < 1e-4  # phases in float32
    assert relative(image, np.einsum("erp,er->p", expected.conj(), residual)) < 1e-4
    assert np.array_equal(operator.adjoint(residual), image.real)
    # <A x, y> = <x, A' y> holds to rounding: both use the same Green's functions.
    left, right = np.vdot(data, residual), change @ image
    assert abs(left - right) < 1e-5 * np.linalg.norm(data) * np.linalg.norm(residual)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("same", [True, False])
def test_backprojection_matches_the_twin(device, weighting, same):
    emitters, receivers = emitters_and_receivers()
    points = disc(0.04, 4e-3)
    fields_r = smooth(receivers, points, absorbing=True)
    fields_e = fields_r if same else smooth(emitters, points, absorbing=True)
    f = 0.5e6
    delay = dispersion_delay(np.ones(1), f, 1.3)[0]
    normals = tuple(-fields.sources / RADIUS for fields in (fields_e, fields_r))
    pitch = (0.02, np.linspace(0.01, 0.02, fields_r.excess.shape[1]))
    if same:
        pitch = (pitch[1], pitch[1])
    operator = BornOperator(fields_e, fields_r, f, cell_area=1e-6, device=device)
    random = np.random.default_rng(4)
    residual = (random.standard_normal((2, *operator.shape)).T @ [1, 1j]).T.astype(np.complex64)
    image = operator.backproject(residual, weighting, pitch=pitch, normals=normals, largest_gain=1.25)
    expected = reference.backproject(
        fields_e, fields_r, f, residual, weighting, pitch, normals, fields_e.sound_speed,
        exponent=1.3, delay=delay, largest_gain=1.25,
    )  # fmt: skip
    assert relative(image, expected) < 1e-4
    assert np.array_equal(
        image, operator.backproject(residual, weighting, pitch=pitch, normals=normals, largest_gain=1.25)
    )
