"""Vector velocity: exact equations, simulated plug, rotating and parabolic flow, aliases, conditions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sonoray
from sonoray import ArgumentError
from sonoray.simulation.moving_scatterers import simulate_flow_images

F, RATE, C = 5e6, 5e3, 1540.0
LIMIT = sonoray.nyquist_velocity(F, RATE, C)
GRID = sonoray.Grid.from_extent(x=(-3e-3, 3e-3), z=(10e-3, 16e-3), spacing=2e-4)
X, Z = np.meshgrid(GRID.x, GRID.z, indexing="ij")
THREE = np.deg2rad([-12.0, 0.0, 12.0])


def projected(velocity, transmit, receive):
    """What each direction measures of (2, ...) velocities."""
    tx, rx = np.asarray(transmit), np.asarray(receive)
    across, along = (np.sin(tx) + np.sin(rx)) / 2, (np.cos(tx) + np.cos(rx)) / 2
    return -np.multiply.outer(across, velocity[0]) - np.multiply.outer(along, velocity[1])


def measured(flow, angles, n=8, receive=None):
    """Doppler velocities of simulated images, one for each pair of angles."""
    pairs = zip(angles, angles if receive is None else receive, strict=True)
    times = np.arange(n) / RATE
    return np.stack(
        [
            sonoray.doppler_velocity(simulate_flow_images(GRID, flow, times, F, angles=pair), F, RATE, C, average=5)
            for pair in pairs
        ]
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_consistent_measurements_give_their_vector(n, seed):
    rng = np.random.default_rng(seed)
    tx, rx = rng.uniform(-0.4, 0.4, (2, n))
    tx[0], rx[0], tx[1], rx[1] = -0.3, -0.2, 0.3, 0.2
    truth = rng.normal(size=(2, 4, 3))
    found = sonoray.vector_velocity(projected(truth, tx, rx), tx, rx, weights=rng.uniform(0.1, 1, (n, 4, 3)))
    np.testing.assert_allclose(found.velocity, truth, atol=1e-5)
    assert found.residual.max() < 1e-6
    assert np.isfinite(found.condition).all()


def test_two_directions_are_the_closed_form_of_crossed_beams():
    """Beams at +-a: v_x = (v_- - v_+) / (2 sin a), v_z = -(v_- + v_+) / (2 cos a)."""
    a = np.deg2rad(10)
    minus, plus = np.random.default_rng(0).normal(size=(2, 5))
    found = sonoray.vector_velocity(np.stack([minus, plus]), [-a, a], [-a, a])
    np.testing.assert_allclose(found.velocity[0], (minus - plus) / (2 * np.sin(a)), rtol=1e-5)
    np.testing.assert_allclose(found.velocity[1], -(minus + plus) / (2 * np.cos(a)), rtol=1e-5)
    np.testing.assert_allclose(found.condition, 1 / np.tan(a), rtol=1e-5)


def test_weighted_least_squares_and_condition_agree_with_numpy():
    rng = np.random.default_rng(1)
    tx, rx = rng.uniform(-0.4, 0.4, (2, 5, 7))
    v, w = rng.normal(size=(5, 7)), rng.uniform(0.1, 2, (5, 7))
    found = sonoray.vector_velocity(v, tx, rx, weights=w)
    for k in range(7):
        a = projected(np.eye(2), tx[:, k], rx[:, k]) * np.sqrt(w[:, k, None])
        b = v[:, k] * np.sqrt(w[:, k])
        best, rest, _, singular = np.linalg.lstsq(a, b)
        np.testing.assert_allclose(found.velocity[:, k], best, rtol=1e-4)
        np.testing.assert_allclose(found.residual[k], np.sqrt(rest[0] / w[:, k].sum()), rtol=1e-4)
        np.testing.assert_allclose(found.condition[k], singular[0] / singular[1], rtol=1e-4)


def test_what_no_direction_sees_is_reported():
    tx = np.stack([np.array([0.1, -0.2]), np.array([0.1, 0.2])])  # the first point's directions are alike
    found = sonoray.vector_velocity(np.ones((2, 2)), tx, tx)
    assert np.isinf(found.condition[0])
    assert not found.velocity[:, 0].any()
    assert np.isfinite(found.condition[1])


@pytest.mark.parametrize(("speed", "angle"), [(0.3, 0.0), (0.3, 60.0), (0.3, 90.0), (0.25, 180.0)])
def test_plug_flow_in_any_direction(speed, angle):
    vx, vz = speed * np.cos(np.deg2rad(angle)), speed * np.sin(np.deg2rad(angle))
    found = sonoray.vector_velocity(measured(lambda x, z: (vx + 0 * x, vz + 0 * z), THREE), THREE, THREE)
    error = found.velocity - np.array([vx, vz])[:, None, None]
    assert np.abs(np.median(error, axis=(1, 2))).max() < 0.01
    # Noise across is 1 / tan(12 degrees) = 4.7 times that along the beam.
    assert error[0].std() < 0.04
    assert error[1].std() < 0.01


def test_rotating_flow_from_one_transmit_and_three_receive_directions():
    found = sonoray.vector_velocity(
        measured(lambda x, z: (60 * (z - 13e-3), -60 * x), [0, 0, 0], 12, THREE), [0, 0, 0], THREE
    )
    error = found.velocity - np.stack([60 * (Z - 13e-3), -60 * X])
    assert error[0].std() < 0.05
    assert error[1].std() < 0.01


def test_aliases_of_steered_beams_are_resolved_by_all_together():
    """Parabolic flow along x, 1.2 m/s at its peak: the steered beams alias, the straight one does not."""

    def flow(x, z):
        return 1.2 * np.clip(1 - ((z - 13e-3) / 3e-3) ** 2, 0, None), 0.15 + 0 * z

    truth = np.stack(np.broadcast_arrays(*flow(X, Z)))
    seen = measured(flow, THREE)
    plain = sonoray.vector_velocity(seen, THREE, THREE).velocity - truth
    found = sonoray.vector_velocity(seen, THREE, THREE, nyquist=LIMIT, aliases=1).velocity - truth
    assert plain[0].std() > 0.3
    assert found[0].std() < 0.1
    assert found[1].std() < 0.02


def test_unaliased_velocities_are_left_alone():
    truth = np.random.default_rng(3).normal(size=(2, 50)) * 0.05
    seen = projected(truth, THREE, THREE) + np.random.default_rng(4).normal(size=(3, 50)) * 0.003
    with_aliases = sonoray.vector_velocity(seen, THREE, THREE, nyquist=LIMIT, aliases=1)
    np.testing.assert_array_equal(with_aliases.velocity, sonoray.vector_velocity(seen, THREE, THREE).velocity)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda v: sonoray.vector_velocity(v[:1], [0.1], [0.1]), "two directions"),
        (lambda v: sonoray.vector_velocity(v.astype("c8"), THREE, THREE), "velocities.*real"),
        (lambda v: sonoray.vector_velocity(v * np.nan, THREE, THREE), "finite"),
        (lambda v: sonoray.vector_velocity(v, THREE[:2], THREE), "transmit_angles.*shape"),
        (lambda v: sonoray.vector_velocity(v, THREE, np.rad2deg(THREE)), "receive_angles.*rad"),
        (lambda v: sonoray.vector_velocity(v, [0, 0, 0], [0, 0, 0]), "directions that differ"),
        (lambda v: sonoray.vector_velocity(v, THREE, THREE, weights=-np.ones_like(v)), "weights"),
        (lambda v: sonoray.vector_velocity(v, THREE, THREE, aliases=1), "aliases.*Nyquist"),
        (lambda v: sonoray.vector_velocity(v, THREE, THREE, aliases=5, nyquist=1.0), "aliases.*combinations"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(np.zeros((3, 4)))
