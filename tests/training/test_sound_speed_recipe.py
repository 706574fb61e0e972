"""Both recipes on next to nothing: they run, go from phase to phase, and what they make runs without PyTorch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from sonoray import ArgumentError, Probe  # noqa: E402
from sonoray.autofocus.moveouts import MoveoutSettings  # noqa: E402
from sonoray.autofocus.network import SoundSpeedNetwork  # noqa: E402
from sonoray.training.sound_speed import data  # noqa: E402
from sonoray.training.sound_speed.data import Acquisition, Dataset, draw_echoes  # noqa: E402
from sonoray.training.sound_speed.export import export_moveouts, export_upstream  # noqa: E402
from sonoray.training.sound_speed.recipe import Amounts, probe_spec, train_moveouts, train_upstream  # noqa: E402

torch.set_num_threads(1)
ACQUISITION = Acquisition(
    Probe.linear(16, 0.9e-3, width=0.38e-3, center_frequency=2.25e6), n_scatterers=60,
    settings=MoveoutSettings(sub_aperture=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_BLOCK", {"expected": 8, "simulated": 3, "traces": 2})
        yield Dataset(tmp_path_factory.mktemp("data"), ACQUISITION)


def test_moveout_recipe(dataset, tmp_path):
    amounts = Amounts((16, 2), (8, 8), 1)
    network, error = train_moveouts(dataset, tmp_path, amounts, widths=(8, 8, 8, 8))
    assert 0 < error < 200
    assert {p.name for p in tmp_path.glob("*")} == {"cmp-1.csv", "cmp-1.pt", "cmp-2.csv", "cmp-2.pt"}
    with pytest.raises(ArgumentError, match="run phase 1 or all"):
        train_moveouts(dataset, tmp_path / "other", amounts, phase="2", widths=(8, 8, 8, 8))
    path = tmp_path / "m.onnx"
    export_moveouts(network, ACQUISITION.settings, path, {"name": "test", **probe_spec(ACQUISITION)})
    medium = SoundSpeedNetwork(path)(draw_echoes(ACQUISITION, "simulated", 9)[0])
    assert medium.sound_speed.shape == (32, 32)


def test_targets_of_other_examples(dataset, tmp_path):
    from sonoray.training.sound_speed.recipe import _Moveouts

    amounts = Amounts((16, 2), (1, 1), 1)
    plain, permuted = (_Moveouts(dataset, amounts, permute, False) for permute in (False, True))
    assert np.array_equal(plain.maps[:1], permuted.maps[:1])  # validation stays what it is
    assert not np.array_equal(plain.expected_maps, permuted.expected_maps)
    assert np.allclose(np.sort(plain.expected_maps, axis=0), np.sort(permuted.expected_maps, axis=0))


def test_published_recipe(dataset, tmp_path):
    autoencoder, head, rms, error = train_upstream(dataset, tmp_path, Amounts((1, 3), (3, 2), 1))
    assert rms > 0
    assert 0 < error < 1.0
    assert not any(p.requires_grad for p in autoencoder.parameters())
    paths = tmp_path / "e.onnx", tmp_path / "h.onnx"
    spec = {"name": "test", **probe_spec(ACQUISITION)}
    export_upstream(autoencoder, head, *paths, spec, rms=rms, extent=(-0.01, 0.01, 0.0, 0.04))
    echoes = draw_echoes(ACQUISITION, "simulated", 9)[0]
    medium = SoundSpeedNetwork(paths[0], head=paths[1])(echoes.with_(samples=echoes.samples[..., :256]))
    assert medium.sound_speed.shape == (32, 32)
