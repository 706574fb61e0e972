"""The Swin-convolutional U-Net, its training and its export."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx", reason="the extra 'train' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")

from sonoray.assets import load_enhancer  # noqa: E402
from sonoray.cli.train_enhance import add  # noqa: E402
from sonoray.errors import ArgumentError, FormatError  # noqa: E402
from sonoray.restoration.enhancement import Enhancer  # noqa: E402
from sonoray.training.enhancement.data import PairSource, phantom_pairs  # noqa: E402
from sonoray.training.enhancement.export import export_enhancer, export_folder  # noqa: E402
from sonoray.training.enhancement.networks import PUBLISHED, SwinConvSettings, SwinConvUNet  # noqa: E402
from sonoray.training.enhancement.recipe import (  # noqa: E402
    PUBLISHED_RECIPE,
    EnhancementRecipe,
    apply,
    load_recipe,
    psnr_gain,
    train_enhancer,
    tuning_set,
)
from sonoray.training.exporting import check_parity  # noqa: E402
from sonoray.training.parameters import n_parameters  # noqa: E402

TINY = SwinConvSettings(8, (1,) * 7, 8)
SIZES = ((128, 128), (192, 320), (200, 150))


@pytest.fixture(scope="module")
def sources():
    return [PairSource(tuple(phantom_pairs(2, 0, size=80)), 1.0)]


@pytest.fixture(autouse=True)
def few_tuning_images(monkeypatch):
    """A run is evaluated on two images instead of 36."""
    from sonoray.training.enhancement import recipe

    chosen = tuning_set(64)[1:3]
    monkeypatch.setattr(recipe, "tuning_set", lambda: chosen)


def small(**changes):
    return EnhancementRecipe(**{"steps": 3, "batch": 1, "average": 0.5, "network": TINY, **changes})


def shifted(width=8, **changes):
    """Two blocks in some stages, where windows are shifted, and a tail that is not zero."""
    torch.manual_seed(0)
    network = SwinConvUNet(SwinConvSettings(width, (1, 1, 1, 2, 1, 1, 2), 8, **changes))
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    return network.eval()


def test_parameter_counts():
    assert n_parameters(SwinConvUNet(PUBLISHED)) == 9_660_588
    assert n_parameters(SwinConvUNet()) == 349_788
    assert PUBLISHED_RECIPE.network == PUBLISHED
    assert PUBLISHED_RECIPE.steps == 4000 * 5205 // 16
    settings = load_enhancer().spec.settings["network"]
    assert SwinConvSettings.from_dict(settings) == SwinConvSettings()


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (2, 1, 8, 8), (1, 1, 65, 130), (3, 1, 200, 150), (1, 1, 1, 5)])
@pytest.mark.parametrize("image_residual", [True, False])
def test_any_size_comes_back(shape, image_residual):
    with torch.no_grad():
        found = shifted(image_residual=image_residual)(torch.rand(shape))
    assert found.shape == shape
    assert torch.isfinite(found).all()


def test_an_untrained_network_with_image_residual_changes_nothing():
    image = torch.rand(1, 1, 64, 128)
    with torch.no_grad():
        assert torch.equal(SwinConvUNet(TINY)(image), image)


def test_shifted_windows_hide_what_the_shift_made_neighbours():
    network = shifted()
    attention = network.body[1].attention.attention
    assert attention.shift == 4
    torch.manual_seed(1)
    x = torch.rand(1, 16, 24, attention.out.in_features)
    changed = x.clone()
    changed[:, :4] += 1.0  # rolled beside the last rows, which must not notice
    with torch.no_grad():
        difference = (attention(changed) - attention(x)).abs().amax((0, 2, 3))
    assert difference[12:].max() == 0
    assert difference[:4].min() > 0


def test_relative_positions_share_their_bias():
    index = shifted().body[0].attention.attention.index
    at = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij"), -1).reshape(-1, 2)
    for i, j in ((0, 9), (9, 18), (54, 63)):  # one down and one to the right, everywhere
        assert (at[j] - at[i]).tolist() == [1, 1]
        assert index[i, j] == index[0, 9]
    assert len(index.unique()) == 15 * 15


@pytest.mark.parametrize("image_residual", [True, False])
def test_exported_networks_give_what_torch_gives(tmp_path, image_residual):
    network = shifted(image_residual=image_residual)
    spec = export_enhancer(network, tmp_path / "net.onnx", training_data="0" * 64)
    assert spec.task == "enhancement"
    examples = [torch.rand(n, 1, *size) for n, size in zip((1, 2, 1), SIZES)]
    assert check_parity(network, tmp_path / "net.onnx", examples, tolerance=1e-4) < 1e-4


def weights_in(path, network):
    """The file's weights under the network's names; those of linear layers are transposed and named by their node."""
    import onnx

    graph = onnx.load(path).graph
    held = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in held:
            scopes = node.name.split("/")[1:-1]  # /body/body.0/attention/...: what contains the next is repeated in it
            inner = [a for a, b in zip(scopes, [*scopes[1:], ""]) if not b.startswith(f"{a}.")]
            held[f"{'.'.join(inner)}.weight"] = held[node.input[1]].T
    return {name: held[name] for name in network.state_dict()}


def test_the_shipped_file_gives_what_torch_gives():
    model = load_enhancer().model
    network = SwinConvUNet(SwinConvSettings.from_dict(model.spec.settings["network"])).eval()
    network.load_state_dict(weights_in(model.path, network))
    assert check_parity(network, model.path, [torch.rand(1, 1, 96, 72), torch.rand(2, 1, 64, 130)]) < 1e-4


def test_training_improves_and_repeats_itself(tmp_path, sources):
    recipe = small(steps=15, batch=3, rate=3e-3)
    first, gain = train_enhancer(tmp_path / "a", sources, recipe, seed=3)
    second, again = train_enhancer(tmp_path / "b", sources, recipe, seed=3)
    assert gain == again > 0
    for a, b in zip(first.parameters(), second.parameters()):
        assert torch.equal(a, b)
    other, _ = train_enhancer(tmp_path / "c", sources, recipe.with_(steps=1), seed=4)
    assert not torch.equal(other.head.weight, first.head.weight)


def test_folders_are_exported_and_begun_with(tmp_path, sources):
    network, _ = train_enhancer(tmp_path / "a", sources, small())
    spec = export_folder(tmp_path / "a", tmp_path / "net.onnx")
    described = json.loads((tmp_path / "a" / "model.json").read_text())
    assert spec.training_data == described["data_digest"]
    assert load_recipe(tmp_path / "a") == small()
    image = tuning_set(64)[0][0]
    np.testing.assert_allclose(Enhancer(tmp_path / "net.onnx")(image), apply(network, image), atol=1e-5)
    train_enhancer(tmp_path / "b", sources, small(rate=1e-8, average=0.0), start=tmp_path / "a")
    assert json.loads((tmp_path / "b" / "model.json").read_text())["before"] == described["data_digest"]
    again = export_folder(tmp_path / "b", tmp_path / "again.onnx")
    assert again.digest != spec.digest
    np.testing.assert_allclose(Enhancer(tmp_path / "again.onnx")(image), apply(network, image), atol=1e-4)


def test_published_runs_keep_their_rate(tmp_path, sources):
    train_enhancer(tmp_path, sources, small(rate=1e-4, published=True))
    rows = [line.split(",") for line in (tmp_path / "enhance.csv").read_text().splitlines()]
    rates = [float(row[rows[0].index("rate")]) for row in rows[1:]]
    assert rates and set(rates) == {1e-4}


def test_beginning_with_weights_of_another_size_is_refused(tmp_path, sources):
    train_enhancer(tmp_path / "a", sources, small(steps=1))
    wider = small(steps=1, network=SwinConvSettings(12, (1,) * 7, 6))
    with pytest.raises(FormatError, match="expected weights of the network"):
        train_enhancer(tmp_path / "b", sources, wider, start=tmp_path / "a")


def test_resume_goes_on_and_refuses_other_settings(tmp_path, sources):
    whole, _ = train_enhancer(tmp_path, sources, small())
    again, _ = train_enhancer(tmp_path, sources, small(), resume=True)
    assert torch.equal(whole.tail.weight, again.tail.weight)
    with pytest.raises(ArgumentError, match="resume: expected a checkpoint of these settings"):
        train_enhancer(tmp_path, sources, small(rate=2e-3), resume=True)


def test_psnr_gain_of_known_errors():
    truth = np.zeros((4, 4), np.float32)
    assert psnr_gain(lambda x: x / 10, [(truth + 0.1, truth)]) == pytest.approx(20)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"expected a training folder with model\.json"):
        load_recipe(tmp_path)
    (tmp_path / "model.json").write_text('{"task": "despeckling"}')
    with pytest.raises(ArgumentError, match="expected a folder of task 'enhancement', got 'despeckling'"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SwinConvSettings(10), "width: expected a multiple of 4, got 10"),
        (lambda: SwinConvSettings(blocks=(1,) * 6), "blocks: expected 7 numbers"),
        (lambda: SwinConvSettings.from_dict({"width": 16}), "network: expected the settings of a SwinConvUNet"),
        (lambda: EnhancementRecipe(targets="clean"), "targets: expected one of"),
        (lambda: EnhancementRecipe(steps=0), "steps: expected 1 to"),
    ],
)
def test_settings_are_checked(make, words):
    with pytest.raises(ArgumentError) as error:
        make()
    assert words in str(error.value)


def command(*arguments):
    form = argparse.ArgumentParser()
    add(form.add_subparsers())
    args = form.parse_args(["enhance", *map(str, arguments)])
    args.run(args)


@pytest.fixture
def quick(monkeypatch):
    """The command's quick run, made quicker still."""
    from sonoray.training.enhancement import recipe

    monkeypatch.setattr(recipe, "QUICK", replace(recipe.QUICK, steps=2, batch=1, phantoms=1, speckled=1, network=TINY))


def test_the_command_trains_and_exports(tmp_path, capsys, quick, boards):
    command("-o", tmp_path / "run", "--quick", "--quiet", "--json", "--tensorboard")
    assert boards == [tmp_path / "run" / "tensorboard" / "enhance"]
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"model", "parameters", "tuning_psnr_gain_db", "seconds"}
    image = np.random.default_rng(0).random((40, 50), np.float32)
    assert Enhancer(figures["model"])(image).shape == (40, 50)
    assert (tmp_path / "run" / "enhance.csv").read_text().startswith("step,")
    assert list((tmp_path / "run" / "targets").glob("*.npy"))


def test_the_command_refuses_contradictions(tmp_path):
    with pytest.raises(ArgumentError, match="published: expected a run of its own"):
        command("-o", tmp_path, "--quick", "--published")
