"""Finite-frequency kernels: transpose, the limits that theory gives, and delays of full-wave data."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import sonoray
from sonoray import ArgumentError, Grid, Medium, Probe
from sonoray.assets import load_ring_example
from sonoray.inversion.finite_frequency import FiniteFrequencyOperator, fresnel_table
from sonoray.inversion.operators import adjoint_error
from sonoray.inversion.travel_times import pick_travel_times

BAND = np.linspace(0.2e6, 1.2e6, 81)
POWER = np.exp(-(((BAND - 0.7e6) / 0.25e6) ** 2))


def ring_operator(device="cpu", n=12, spacing=2e-3, background=1500.0, **options):
    ring = Probe.ring(n, 0.05).positions
    grid = Grid.from_extent(x=(-0.06, 0.06), z=(-0.06, 0.06), spacing=spacing)
    pairs = np.linalg.norm(ring[:, None] - ring[None], axis=2) > 0.04
    spectrum = {"frequencies": BAND, "power": POWER} | options
    return FiniteFrequencyOperator(grid, background, ring, ring, pairs, device=device, **spectrum), ring, grid


def test_adjoint_is_the_transpose(device):
    mask = np.random.default_rng(1).random((61, 61)) < 0.7
    operator, _, _ = ring_operator(device, mask=mask)
    assert operator.shape == (int((operator.pairs[:, 0] >= 0).sum()), int(mask.sum()))
    assert adjoint_error(operator) < 1e-5  # products in float32


def test_order_of_nodes_is_that_of_the_mask():
    """A change at one node acts where it is: the column equals the kernel computed by hand."""
    operator, ring, grid = ring_operator()
    table, step = fresnel_table(BAND, POWER, 1 / 1500.0, 2)
    i, j = 33, 25
    change = np.zeros(grid.shape)
    change[i, j] = 1.0
    point = np.array([grid.x[i], 0, grid.z[j]])
    e, r = ring[operator.pairs[:, 0]], ring[operator.pairs[:, 1]]
    near, far, across = (np.linalg.norm(v, axis=1) for v in (point - e, point - r, e - r))
    detour = (near + far - across) / 1500.0
    kernel = np.interp(detour, step * np.arange(len(table)), table, right=0.0)
    expected = kernel * np.sqrt(across / (near * far)) * 2e-3**2
    assert np.abs(operator(change.ravel()) - expected).max() < 2e-4 * np.abs(expected).max()


def test_constant_change_gives_the_length_of_the_path():
    """The sum over the plane tends to the path: what rays would say. The grid ends behind the elements."""
    operator, ring, _ = ring_operator(spacing=1e-3)
    length = np.linalg.norm(ring[operator.pairs[:, 0]] - ring[operator.pairs[:, 1]], axis=1)
    assert np.abs(operator(np.ones(operator.shape[1])) / length - 1).max() < 0.04


def test_constant_change_in_3d():
    """The kernel is singular at the elements, so that the grid must be fine there: 15, 5, 4 % at 1.5, 1, 0.75 mm."""
    bowl = Probe.bowl(8, 0.03).positions
    grid = Grid.from_extent(x=(-0.045, 0.045), y=(-0.045, 0.045), z=(-0.045, 0.02), spacing=1e-3)
    pairs = np.linalg.norm(bowl[:, None] - bowl[None], axis=2) > 0.03
    operator = FiniteFrequencyOperator(grid, 1500.0, bowl, bowl, pairs, frequencies=BAND, power=POWER)
    length = np.linalg.norm(bowl[operator.pairs[:, 0]] - bowl[operator.pairs[:, 1]], axis=1)
    assert np.abs(operator(np.ones(operator.shape[1])) / length - 1).max() < 0.07
    assert adjoint_error(operator) < 1e-5


def test_a_medium_of_one_speed_is_that_speed():
    flat, _, _ = ring_operator()
    wide = Grid.from_extent(x=(-0.06, 0.06), z=(-0.06, 0.06), spacing=1e-3)
    solved, _, _ = ring_operator(background=Medium(wide, 1500.0))
    change = np.random.default_rng(2).standard_normal(flat.shape[1])
    assert np.abs(solved.pair_time - flat.pair_time).max() < 1e-11
    # A time error of 10 ps moves the kernel by w dt = 6e-5 of its size.
    assert np.abs(solved(change) - flat(change)).max() < 1e-3 * np.abs(flat(change)).max()


def test_explains_delays_of_a_full_wave_solver_better_than_rays():
    """Around the blurred truth the operator predicts measured delays to a few ns, where straight rays miss by 30 ns."""
    data, water, truth = load_ring_example()
    ring, c = data.probe.positions, data.sound_speed
    distance = np.linalg.norm(ring[:, None] - ring[None], axis=2)
    pairs = distance > 0.1
    picks = pick_travel_times(data, water, pairs=pairs)
    grid = Grid.from_extent(x=(-0.112, 0.112), z=(-0.112, 0.112), spacing=2e-3)
    index = np.moveaxis((grid.points()[..., [0, 2]] - truth.grid.origin) / truth.grid.spacing, -1, 0)
    excess = map_coordinates(1 / truth.sound_speed - 1 / c, index, order=1)
    operator = FiniteFrequencyOperator(grid, c, ring, ring, pairs & picks.picked, frequencies=BAND, power=POWER)
    measured = picks.time[tuple(operator.pairs.T)] - operator.pair_time
    assert measured.std() > 150e-9
    assert (operator(excess.ravel()) - measured).std() < 25e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"power": -POWER}, "power: expected values of at least 0"),
        ({"frequencies": BAND[::-1]}, "frequencies: expected rising"),
        ({"frequencies": BAND * 1e-6}, "frequencies: .*really in Hz"),
        ({"power": POWER[1:]}, "power: expected shape"),
        ({"mask": np.ones((3, 3), bool)}, "mask: expected bool of shape"),
        ({"background": 1.5}, "background: .*really in m/s"),
        ({"background": Medium(Grid((11, 11), 1e-3, (0, 0)), 1500.0)}, "inside the grid"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ArgumentError, match=message):
        ring_operator(**changes)


def test_refuses_data_of_the_wrong_length():
    operator, _, _ = ring_operator()
    with pytest.raises(ArgumentError, match="change: expected shape"):
        operator(np.zeros(3))
    with pytest.raises(ArgumentError, match="delays: expected finite"):
        operator.adjoint(np.full(operator.shape[0], np.nan))


def test_threads_do_not_change_the_result(monkeypatch):
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("SONORAY_THREADS", threads)
        operator, _, _ = ring_operator()
        x = np.linspace(-1, 1, operator.shape[1])
        results.append((operator(x), operator.adjoint(operator(x))))
    assert all(np.array_equal(a, b) for a, b in zip(*results))
    assert sonoray.devices()[0] == "cpu"
