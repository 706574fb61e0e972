"""Layers, the authors' names, and what comes out of ONNX."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sonoray import ArgumentError, FormatError, full_synthetic_aperture  # noqa: E402
from sonoray.autofocus.moveouts import MoveoutSettings, mirrored  # noqa: E402
from sonoray.training.parameters import n_parameters  # noqa: E402
from sonoray.training.sound_speed.checkpoints import load_upstream  # noqa: E402
from sonoray.training.sound_speed.data import Acquisition, draw_echoes  # noqa: E402
from sonoray.training.sound_speed.networks import (  # noqa: E402
    MoveoutNetwork,
    SoundSpeedHead,
    TraceAutoencoder,
)
from sonoray.training.sound_speed.recipe import reconstruction_loss  # noqa: E402

torch.set_num_threads(1)


def test_published_parameter_counts():
    autoencoder = TraceAutoencoder(1024)
    assert n_parameters(autoencoder.encoder) == 232_064
    assert n_parameters(autoencoder) == 462_080
    assert n_parameters(SoundSpeedHead(180)) == 1_980_278


def test_published_shapes():
    autoencoder = TraceAutoencoder(256)
    traces = torch.randn(3, 2, 256)
    assert autoencoder.encoder(traces).shape == (3, 64, 4)
    assert autoencoder(traces).shape == traces.shape
    speed = SoundSpeedHead(6)(torch.randn(2, 6, 9, 64, 4))
    assert speed.shape == (2, 1, 32, 32)
    assert (speed > 0).all()
    with pytest.raises(ArgumentError, match="multiple of 64"):
        TraceAutoencoder(200)


@pytest.fixture
def checkpoint(tmp_path):
    """What the authors' files look like, with other sizes, and compiled."""
    torch.manual_seed(0)
    autoencoder, head = TraceAutoencoder(128), SoundSpeedHead(5)
    for module in autoencoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.normal_(module.weight, 1, 0.1)
    paths = tmp_path / "phase1.pt", tmp_path / "phase2.pt"
    compiled = {f"_orig_mod.{k}": v for k, v in autoencoder.state_dict().items()}
    torch.save({"model": compiled, "epoch": 3}, paths[0])
    torch.save({"model": head.state_dict()}, paths[1])
    return paths, autoencoder.eval(), head.eval()


def test_published_checkpoint_is_loaded_by_name(checkpoint):
    paths, autoencoder, head = checkpoint
    found, found_head = load_upstream(*paths)
    assert (found.n_samples, found_head.n_tx) == (128, 5)
    traces, latent = torch.randn(2, 2, 128), torch.randn(1, 5, 7, 64, 2)
    with torch.no_grad():
        assert torch.equal(found(traces), autoencoder(traces))
        assert torch.equal(found_head(latent), head(latent))


def test_other_checkpoints_are_refused(checkpoint, tmp_path):
    paths, autoencoder, _ = checkpoint
    with pytest.raises(FormatError, match="expected encoder"):
        load_upstream(paths[1], paths[1])
    weights = autoencoder.state_dict()
    del weights["decoder.15.weight"]
    torch.save({"model": weights}, tmp_path / "short.pt")
    with pytest.raises(FormatError, match=r"missing \['decoder.15.weight'\]"):
        load_upstream(tmp_path / "short.pt", paths[1])
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "code.pt")  # a pickled module would run code
    with pytest.raises(FormatError, match="tensors only"):
        load_upstream(tmp_path / "code.pt", paths[1])
    (tmp_path / "noise.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError):
        load_upstream(tmp_path / "noise.pt", paths[1])


def test_reconstruction_loss():
    x = torch.randn(4, 2, 64)
    assert float(reconstruction_loss(x, x)) == pytest.approx(0.0, abs=1e-6)
    opposite = float(reconstruction_loss(-x, x))
    assert opposite == pytest.approx(float(4 * (x**2).mean()) + 0.2, rel=1e-5)


def test_published_pair_through_onnx(checkpoint, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from sonoray.autofocus.network import SoundSpeedNetwork
    from sonoray.training.sound_speed.export import export_upstream

    _, autoencoder, head = checkpoint
    acquisition = Acquisition(n_scatterers=50)
    data = draw_echoes(acquisition, "simulated", 0)[0]
    few = data.select(transmits=slice(0, 5)).with_(samples=data.samples[:, :5, :, :128])
    paths = tmp_path / "encoder.onnx", tmp_path / "head.onnx"
    export_upstream(autoencoder, head, *paths, {"name": "test"}, n_rx=64, extent=(-0.01, 0.01, 0.0, 0.03))
    network = SoundSpeedNetwork(paths[0], head=paths[1], max_traces=100)
    found = network(few).sound_speed
    traces = np.ascontiguousarray(few.samples[0]).view(np.float32).reshape(-1, 128, 2) / 0.6616
    with torch.no_grad():
        latent = autoencoder.encoder(torch.from_numpy(traces).transpose(1, 2))
        wanted = 1000 * head(latent.view(1, 5, 64, 64, 2))[0, 0].numpy().T
    inside = (wanted > 1381) & (wanted < 1679)  # maps are held within limits
    assert np.abs(found - np.clip(wanted, 1380, 1680)).max() < 1e-3 * max(1.0, np.abs(wanted).max() / 1500)
    assert network.grid.shape == (32, 32)
    assert inside.shape == (32, 32)
    with pytest.raises(ArgumentError, match="n_samples: expected 128"):
        network(few.with_(samples=few.samples[..., :100]))
    with pytest.raises(ArgumentError, match="head: expected"):
        SoundSpeedNetwork(paths[0])


def test_moveout_network_through_onnx(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from sonoray.training.sound_speed.export import export_moveouts

    settings = MoveoutSettings()
    torch.manual_seed(1)
    network = MoveoutNetwork(settings.n_bins, widths=(8, 12, 16, 20)).eval()
    path = tmp_path / "m.onnx"
    spec = export_moveouts(network, settings, path, {"name": "test", "n_elements": 64})
    assert MoveoutSettings.from_dict(spec.settings["moveouts"]) == settings
    features = np.random.default_rng(0).standard_normal((3, 98, 16, 32)).astype(np.float32)
    found = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"moveouts": features})[0]
    n_midpoints = len(settings.midpoints) - 1
    with torch.no_grad():
        wanted = (1530 + 40 * network(torch.from_numpy(features))).numpy()
        mirror = (1530 + 40 * network(torch.from_numpy(mirrored(features, n_midpoints)))).numpy()[:, ::-1]
    wanted = 0.5 * (wanted + mirror)
    assert found.shape == (3, 32, 32)
    assert np.abs(found - wanted).max() < 1e-3


def test_full_synthetic_aperture_is_what_is_trained_for():
    data, medium = draw_echoes(Acquisition(n_scatterers=20), "simulated", 1)
    assert data.transmits == tuple(full_synthetic_aperture(data.probe))
    assert medium.grid == Acquisition().medium_grid
