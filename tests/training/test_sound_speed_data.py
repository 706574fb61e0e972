"""Training data: reproducible blocks, exact labels, and expected moveouts that resemble simulated ones."""

import numpy as np
import pytest

from sonoray import ArgumentError, Grid, Medium
from sonoray.training.sound_speed import data
from sonoray.training.sound_speed.data import Acquisition, Dataset, draw_medium, map_of
from sonoray.training.sound_speed.expected import ExpectedMoveouts


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_BLOCK", {"expected": 3, "simulated": 3, "traces": 1})
        yield Dataset(tmp_path_factory.mktemp("data"))


def test_maps_are_blurred_truth():
    grid = Grid((32, 32), (36e-3 / 31, 42e-3 / 31), (-18e-3, 0.0))
    fine = Grid.from_extent(x=(-18e-3, 18e-3), z=(0.0, 42e-3), spacing=3e-4)
    assert np.allclose(map_of(Medium(fine, 1500.0), grid), 1500.0)
    x, z = np.meshgrid(*fine.axes, indexing="ij")
    found = map_of(Medium(fine, 1500.0 + 2e3 * x - 1e3 * z), grid)
    gx, gz = np.meshgrid(*grid.axes, indexing="ij")
    assert np.abs(found - (1500.0 + 2e3 * gx - 1e3 * gz))[2:-2, 2:-2].max() < 0.02


def test_expected_moveouts_resemble_simulated_ones(dataset):
    (simulated, trust), maps = dataset.load("simulated", 3)
    for k in range(3):
        medium, _ = draw_medium(dataset.acquisition, "simulated", k)
        assert np.array_equal(maps[k], map_of(medium, dataset.acquisition.settings.grid))
        expected = ExpectedMoveouts(dataset.plan)(medium)
        ok = (trust[k] > 20) & (expected != 0)
        assert np.corrcoef(expected[ok], simulated[k][ok].astype(float))[0, 1] > 0.85


def test_blocks_are_made_once(dataset):
    first = dataset.load("simulated", 3)
    stamps = {p.name: p.stat().st_mtime_ns for p in dataset.folder.glob("*.npz")}
    again = Dataset(dataset.folder).load("simulated", 3)
    assert {p.name: p.stat().st_mtime_ns for p in dataset.folder.glob("*.npz")} == stamps
    assert np.array_equal(first[1], again[1])
    assert all(np.array_equal(a, b) for a, b in zip(first[0], again[0]))


def test_data_of_another_acquisition_is_refused(dataset):
    with pytest.raises(ArgumentError, match="dataset: expected a new folder"):
        Dataset(dataset.folder, Acquisition(n_scatterers=100))
