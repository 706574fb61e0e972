"""What autofocus starts from: data it takes, where patches and nodes lie, paths, losses and their gradients."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid, Medium
from sonoray.inversion import autofocus_scene as scenes
from sonoray.inversion.autofocus_scene import Scene
from sonoray.inversion.autofocus_settings import AutofocusSettings
from sonoray.inversion.focus_criteria import CRITERIA
from sonoray.rays.point_times import PointTimes
from tests.reference.autofocus import PROBE, speckle

SMALL = AutofocusSettings(
    patches=(4, 5), kernel=(3, 0.5), sub_aperture=6.0, f_number=0.5, threshold=0.9, spacing=1.5e-3
)


def settings(**options):
    return sonoray.inversion.settings.changed(SMALL, options)


@pytest.fixture(scope="module")
def data():
    return speckle(1540.0)


@pytest.fixture(scope="module")
def scene(data):
    return Scene(data, SMALL, None, "cpu")


def test_reciprocal_takes_the_mean_of_both_directions(data, rng):
    noise = 0.1 * rng.standard_normal(data.samples.shape).astype(np.complex64)
    found = scenes._reciprocal(data.with_(samples=data.samples + noise)).samples[0]
    assert np.array_equal(found, found.transpose(1, 0, 2)) and found.dtype == np.complex64
    expected = data.samples[0] + 0.5 * (noise[0] + noise[0].transpose(1, 0, 2))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_reciprocal_leaves_data_alone_whose_records_begin_apart(data):
    late = data.with_(start_time=np.linspace(0, 1e-6, data.n_tx))
    assert np.array_equal(scenes._reciprocal(late).samples, data.samples)


def test_frequency_is_that_of_the_pulse(data, scene, rng):
    assert scene.frequency == pytest.approx(2.25e6, rel=0.01)
    assert scene.wavelength == pytest.approx(1540 / scene.frequency)
    noise = rng.standard_normal(data.samples.shape) + 1j * rng.standard_normal(data.samples.shape)
    noisy = data.with_(samples=(data.samples + 0.3 * np.std(data.samples) * noise).astype(np.complex64))
    moved = noisy.with_(demodulation_frequency=2.25e6)
    assert scenes._mean_frequency(moved) == pytest.approx(2.25e6, rel=0.02)


@pytest.mark.parametrize(("width", "expected"), [(0.1, 3), (2.0, 3), (5.0, 7), (100.0, 9)])
def test_sub_apertures_are_odd_and_within_a_quarter_of_the_array(data, width, expected):
    assert scenes._sub_aperture(data, width * 1540 / 2.25e6) == expected


def test_default_region_lies_before_the_array_and_the_end_of_the_record(data, scene):
    (x0, x1), (z0, z1) = scene.region
    assert x0 == pytest.approx(-x1) and 0 < x1 < 0.5 * PROBE.aperture
    end = data.start_time[0] + data.n_samples / data.sampling_frequency
    assert 0 < z0 < z1 < 0.5 * 1540 * end


def test_patches_and_grids(scene):
    (x0, x1), (z0, z1) = scene.region
    assert scene.centers.shape == (20, 3) and scene.criterion.patches.shape == (20, 9, 3)
    assert scene.centers[:, 0].min() == x0 and scene.centers[:, 0].max() == x1
    assert scene.centers[:, 2].min() == z0 and scene.centers[:, 2].max() == z1
    assert np.allclose(scene.criterion.patches.mean(1), scene.centers, atol=1e-12)
    step = np.diff(np.unique(np.round(scene.criterion.patches[0, :, 2], 9)))
    assert np.allclose(step, 0.5 * scene.wavelength, rtol=1e-5)
    assert scene.grid.contains(PROBE.positions).all() and scene.grid.contains(scene.centers).all()
    assert max(scene.grid.spacing) <= SMALL.spacing * (1 + 1e-9)
    assert np.allclose(scene.fine.extent, scene.grid.extent, atol=1e-12)
    assert [n - 1 for n in scene.fine.shape] == [4 * (n - 1) for n in scene.grid.shape]


def test_refinement_is_linear_interpolation(scene):
    def plane(grid):
        x, z = np.meshgrid(*grid.axes, indexing="ij")
        return 6e-4 + 1e-3 * x - 2e-3 * z + 0.05 * x * z

    assert np.allclose(scene._refined(plane(scene.grid)), plane(scene.fine), rtol=1e-12)


def test_start_from_numbers_and_maps(scene):
    assert np.all(scene.start(None) == 1 / (0.5 * sum(SMALL.limits)))
    assert np.all(scene.start(1500.0) == 1 / 1500.0)
    grid = Grid.from_extent(x=(-3e-3, 3e-3), z=(2e-3, 12e-3), spacing=5e-4)
    x, z = np.meshgrid(*grid.axes, indexing="ij")
    found = 1 / scene.start(Medium(grid, (1500 + 2e3 * x + 4e3 * z).astype(np.float32)))
    at = scene.grid.points()
    expected = 1500 + 2e3 * np.clip(at[..., 0], -3e-3, 3e-3) + 4e3 * np.clip(at[..., 2], 2e-3, 12e-3)
    assert np.abs(found - expected).max() < 0.01
    fast = Medium(grid, np.full(grid.shape, 3000.0, np.float32))
    assert np.allclose(1 / scene.start(fast), SMALL.limits[1])


def test_start_refusals(scene):
    with pytest.raises(ArgumentError, match=r"initial.*m/s"):
        scene.start(1.54)
    grid = Grid((3, 3, 3), 1e-3, (0.0, 0.0, 0.0))
    with pytest.raises(ArgumentError, match=r"initial.*2-D.*3"):
        scene.start(Medium(grid, np.full(grid.shape, 1500.0, np.float32)))


def test_sub_aperture_paths_are_mean_lengths(scene):
    """Straight paths of the elements of a sub-aperture, averaged: in a constant map their mean distance."""
    paths = scene.sub_aperture_paths()
    m = PROBE.n_elements - scene.n_sub + 1
    assert paths.shape == (len(scene.centers) * m, scene.grid.size)
    distance = np.linalg.norm(scene.centers[:, None] - PROBE.positions, axis=2)
    expected = np.lib.stride_tricks.sliding_window_view(distance, scene.n_sub, axis=1).mean(-1)
    assert np.allclose((paths @ np.ones(scene.grid.size)).reshape(-1, m), expected, rtol=1e-6)


def test_judged_over_the_region_only(scene):
    at = scene.grid.points()
    (x0, x1), (z0, z1) = scene.region
    inside = (at[..., 0] >= x0) & (at[..., 0] <= x1) & (at[..., 2] >= z0) & (at[..., 2] <= z1)
    c = np.where(inside, 1500.0, 1650.0)
    flat = Medium(Grid((3, 3), 0.02, (-0.02, 0.0)), np.full((3, 3), 1520.0, np.float32))
    found = scene.judged(1 / c, flat)
    assert found == pytest.approx({"mean_sound_speed": 1500, "mean_absolute_error": 20, "bias": -20}, rel=1e-5)
    assert list(scene.judged(1 / c, None)) == ["mean_sound_speed"]


@pytest.mark.parametrize("path", ["eikonal", "straight"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_gradient_of_the_loss_against_finite_differences(data, path, criterion):
    """Off the truth, where slopes are large; threshold 0 because the choice of pairs is taken as fixed."""
    scene = Scene(data, settings(criterion=criterion, path=path, threshold=0.0), None, "cpu")
    random = np.random.default_rng(3)
    x, z = (a - a.mean() for a in np.meshgrid(*scene.grid.axes, indexing="ij"))
    c = 1525 + 1.5e3 * z + 10 * np.sin(x / 4e-3)
    slowness = 1 / c
    value, gradient = scene.loss(slowness)
    assert np.isfinite(value) and gradient.shape == scene.grid.shape
    along = 1e-7 * (1 + 0.5 * random.standard_normal(scene.grid.shape))  # 0.25 m/s
    difference = (scene.loss(slowness + along)[0] - scene.loss(slowness - along)[0]) / 2
    assert (gradient * along).sum() == pytest.approx(difference, rel=0.03)


def test_correlations_are_best_with_the_true_speed(scene):
    def phase(c):
        found = scene.correlations(np.full(scene.grid.shape, 1 / c)).correlation
        return np.abs(np.angle(found[np.abs(found) > 0.9])).mean()

    assert phase(1540.0) < 0.6 * min(phase(1500.0), phase(1580.0))


def test_travel_times_in_a_constant_map(scene):
    found = scene.travel_times(np.full(scene.grid.shape, 1 / 1500.0))
    points = scene.criterion.patches.reshape(-1, 3)
    distance = np.linalg.norm(points[None] - PROBE.positions[:, None], axis=2)
    assert np.abs(found * 1500 - distance).max() < 2e-6
    assert isinstance(scene.times, PointTimes)


REGIONS = {
    "behind the array": ((-5e-3, 5e-3), (-1e-3, 10e-3)),
    "beyond the record": ((-5e-3, 5e-3), (5e-3, 0.2)),
    "the wrong way round": ((5e-3, -5e-3), (5e-3, 20e-3)),
    "in millimetres": ((-5.0, 5.0), (5.0, 20.0)),
    "three axes": ((-5e-3, 5e-3), (0.0, 0.0), (5e-3, 20e-3)),
    "not numbers": "left",
    "one limit": ((-5e-3,), (5e-3, 20e-3)),
    "nan": ((-5e-3, 5e-3), (5e-3, np.nan)),
}


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_regions_refused(data, region):
    with pytest.raises(ArgumentError, match="region"):
        Scene(data, SMALL, region, "cpu")


def test_a_record_too_short_for_the_default_region(data):
    short = data.with_(samples=np.ascontiguousarray(data.samples[..., :12]))
    with pytest.raises(ArgumentError, match=r"record deeper than"):
        Scene(short, SMALL, None, "cpu")


def test_too_few_elements(data):
    few = data.with_(
        samples=np.ascontiguousarray(data.samples[:, :8, :8]),
        probe=sonoray.Probe.linear(8, 0.45e-3, center_frequency=2.25e6),
        transmits=data.transmits[:8],
        start_time=0.0,
    )
    with pytest.raises(ArgumentError, match="16 elements, got 8"):
        Scene(few, SMALL, None, "cpu")
