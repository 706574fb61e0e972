"""Networks, data, recipes and export of Speckle2Self."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("skimage", reason="the extra 'metrics' is not installed")

from sonoray.errors import ArgumentError, FormatError  # noqa: E402
from sonoray.training.despeckling import data as data_module  # noqa: E402
from sonoray.training.despeckling.data import TrainingImages, simulated_images, speckle_deviation  # noqa: E402
from sonoray.training.despeckling.networks import (  # noqa: E402
    PUBLISHED,
    NetworkSettings,
    Speckle2Self,
)
from sonoray.training.despeckling.recipe import (  # noqa: E402
    PUBLISHED_RECIPE,
    QUICK,
    Recipe,
    perturbed,
    published_loss,
    train_despeckling,
)
from sonoray.training.parameters import n_parameters  # noqa: E402
from sonoray.training.pictures import images_in  # noqa: E402


@pytest.fixture(scope="module")
def images():
    return TrainingImages(simulated_images(3, 0, 96))


def test_the_published_network_has_its_parameters():
    network = Speckle2Self(PUBLISHED)
    assert n_parameters(*network.used) == 3_910_785
    assert n_parameters(network) == 7_821_825
    assert n_parameters(*Speckle2Self(NetworkSettings()).used) < 500_000


@pytest.mark.parametrize(
    "settings", [NetworkSettings((4, 6)), replace(PUBLISHED, widths=(4, 6)), NetworkSettings((4,))]
)
def test_every_scale_gives_an_image_of_its_view_s_size(settings):
    network = Speckle2Self(settings)
    x = torch.rand(2, 1, 16, 24)
    for scale in range(len(settings.scales)):
        assert network(x, scale).shape == x.shape
    assert not torch.equal(network(x, 0), network(x, 1))


def test_a_smoothed_base_begins_as_a_smoothing_filter():
    torch.manual_seed(0)
    network = Speckle2Self(NetworkSettings((8, 12)))
    x = torch.rand(1, 1, 64, 64)
    found = network(x)
    assert found.mean().item() == pytest.approx(x.mean().item(), abs=0.25)
    assert found.std() < 0.7 * x.std()


@pytest.mark.parametrize(
    "changes", [{"scales": (0.5,)}, {"widths": ()}, {"smoothings": (4,)}, {"head": "normalized"}, {"decoder": "other"}]
)
def test_wrong_settings_are_refused(changes):
    with pytest.raises(ArgumentError):
        NetworkSettings(**changes)


def test_views_of_the_published_perturbation():
    image = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    views = perturbed(image, (1.0, 0.5, 0.25))
    for view in views:
        assert view.shape == image.shape
        np.testing.assert_allclose(view.amin((1, 2, 3)), 0, atol=1e-6)
        np.testing.assert_allclose(view.amax((1, 2, 3)), 1, atol=1e-5)
    fine = [float(v.diff(dim=-1).abs().mean()) for v in views]
    assert fine[0] > fine[1] > fine[2]


def test_published_loss_is_its_formula(images):
    torch.manual_seed(0)
    recipe = replace(PUBLISHED_RECIPE, network=replace(PUBLISHED, widths=(4, 6)), batch=2, crop=32)
    network = Speckle2Self(recipe.network)
    found = published_loss(network, images, recipe, np.random.default_rng(0))
    image = torch.from_numpy(images.augmented(np.random.default_rng(0), 2, 32))[:, None]
    v = perturbed(image, recipe.network.scales)
    a, b, c = (network(view, k) for k, view in enumerate(v))
    expected = sum(((x - y) ** 2).mean() for x, y in zip((a, b, c), v, strict=True))
    expected = expected + (a - b).abs().mean() + (a - c).abs().mean() + (b - c).abs().mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_transplanted_speckle_is_the_difference_and_structure_is_smooth(images):
    noisy, structure = images.transplanted(np.random.default_rng(1), 6, 64)
    assert noisy.shape == structure.shape == (6, 64, 64)
    assert noisy.dtype == structure.dtype == np.float32
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    fine = [np.abs(np.diff(a, axis=2)).mean() for a in (noisy, structure)]
    assert fine[1] < 0.3 * fine[0]
    assert noisy.mean() == pytest.approx(structure.mean(), abs=0.02)


def test_batches_repeat_with_their_generator(images):
    for draw in (images.crops, images.augmented, images.transplanted):
        a, b = (draw(np.random.default_rng(5), 2, 32) for _ in range(2))
        np.testing.assert_array_equal(a, b)


def test_published_augmentation_moves_as_often_and_far_as_it_says():
    ramp = np.add.outer(np.arange(64), 0.01 * np.arange(64)).astype(np.float32)
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    pieces = TrainingImages([ramp], separate=False).augmented(np.random.default_rng(0), 600, 64)
    as_they_were = [np.array_equal(piece, other) for piece in pieces
                    for other in (ramp[::s, ::t] for s in (1, -1) for t in (1, -1))]  # fmt: skip
    assert sum(as_they_were) / 600 == pytest.approx(0.7, abs=0.06)  # three deviations
    assert sum(as_they_were[::4]) / 600 == pytest.approx(0.7**3, abs=0.06)
    slopes = [np.gradient(piece.astype(float))[0][28:36, 28:36].mean() for piece in pieces]
    turned = np.abs(slopes) / np.gradient(ramp)[0].mean()
    # cos(30 degrees) / 1.2 to 1 / 0.8
    assert 0.7 < turned.min() < 0.9
    assert 1.1 < turned.max() < 1.27


def test_epochs_are_pieces_of_all_images():
    assert PUBLISHED_RECIPE.for_epochs(5000, 81).steps == 5000 * 6
    assert QUICK.for_epochs(3, 4).steps == 6
    with pytest.raises(ArgumentError, match="epochs"):
        QUICK.for_epochs(0, 4)


def test_images_smaller_than_a_piece_are_mirrored_on(images):
    assert images.crops(np.random.default_rng(0), 1, 128).shape == (1, 128, 128)


def test_deviation_is_that_of_the_speckle():
    image = np.clip(0.5 + 0.08 * np.random.default_rng(0).standard_normal((128, 128)), 0, 1).astype(np.float32)
    assert speckle_deviation(image) == pytest.approx(0.08, rel=0.05)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([], "at least one"),
        ([np.zeros((80, 80))], "constant"),
        ([np.ones((20, 90))], "64"),
        ([np.full((80, 80), np.nan)], "image 0"),
        ([np.zeros((3, 80, 80))], "image 0"),
    ],
)
def test_wrong_images_are_refused(given, match):
    with pytest.raises(ArgumentError, match=match):
        TrainingImages(given)


def test_a_folder_of_pictures_is_read(tmp_path):
    picture = pytest.importorskip("PIL.Image", reason="the extra 'io' is not installed")
    for k, image in enumerate(simulated_images(3, 0, 64)):
        picture.fromarray((image * 255).astype(np.uint8)).save(tmp_path / f"{k}.png")
    found = images_in([tmp_path], every=2)
    assert [i.shape for i in found] == [(64, 64)] * 2
    assert 0 <= found[0].min() < found[0].max() <= 1


def test_what_cannot_be_trained_on_is_named_and_left_out(tmp_path):
    picture = pytest.importorskip("PIL.Image", reason="the extra 'io' is not installed")
    good = [picture.fromarray((image * 255).astype(np.uint8)) for image in simulated_images(4, 0, 64)]
    good[0].save(tmp_path / "a.png")
    good[0].resize((40, 40)).save(tmp_path / "b_thumbnail.png")
    picture.new("L", (80, 80)).save(tmp_path / "c_black.png")
    (tmp_path / "d_damaged.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    good[1].save(tmp_path / "e.gif", save_all=True, append_images=good[2:])
    (tmp_path / "below/.hidden").mkdir(parents=True)
    good[3].save(tmp_path / "below/f.png")
    good[3].save(tmp_path / "below/.hidden/g.png")
    with pytest.warns(UserWarning, match="3 left out") as notes:
        found = images_in([tmp_path])
    assert all(name in str(notes[0].message) for name in ("b_thumbnail.png", "c_black.png", "d_damaged.png"))
    assert [i.shape for i in found] == [(64, 64)] * 4
    np.testing.assert_allclose(found[3], np.asarray(good[3]) / 255, atol=0.02)
    with pytest.warns(UserWarning, match="left out"):
        assert len(images_in([tmp_path], subfolders=True)) == 5
    assert [i.shape for i in images_in([tmp_path / "a.png", tmp_path / "e.gif"], every=2)] == [(64, 64)] * 2
    (tmp_path / "below/f.png").unlink()
    picture.new("L", (80, 80)).save(tmp_path / "below/black.png")
    with pytest.raises(ArgumentError, match=r"black\.png: expected contents"):
        images_in([tmp_path / "below"])
    with pytest.raises(ArgumentError, match="nowhere"):
        images_in([tmp_path / "nowhere"], subfolders=True)


def test_structure_is_kept_for_the_same_images_and_filter_alone(tmp_path, monkeypatch):
    images, place = simulated_images(2, 1, 64), tmp_path / "run/structure.npz"
    calls = []
    plain = data_module.estimated_structure
    monkeypatch.setattr(data_module, "estimated_structure", lambda image: calls.append(1) or plain(image))
    first = TrainingImages(images, cache=place)
    again = TrainingImages(images, cache=place)
    assert len(calls) == 2
    for a, b in zip(
        first.transplanted(np.random.default_rng(0), 2, 32), again.transplanted(np.random.default_rng(0), 2, 32),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(a, b)
    whole = place.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole.replace(whole[3000:3004], b"\0\1\2\3")):
        place.write_bytes(damaged)
        calls.clear()
        TrainingImages(images, cache=place)
        TrainingImages(images, cache=place)
        assert len(calls) == 2  # filtered once more, and kept
    TrainingImages(images[::-1], cache=place)
    monkeypatch.setattr(data_module, "_STRENGTH", 1.1)
    TrainingImages(images[::-1], cache=place)
    assert len(calls) == 6


def test_a_run_that_goes_on_makes_the_same_weights(images, tmp_path):
    recipe = replace(QUICK, steps=4, crop=32)
    straight = train_despeckling(images, tmp_path / "a", recipe)

    calls = 0
    draw = images.transplanted

    def failing(*args):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return draw(*args)

    images.transplanted = failing
    try:
        with pytest.raises(KeyboardInterrupt):
            train_despeckling(images, tmp_path / "b", recipe)
    finally:
        del images.transplanted
    resumed = train_despeckling(images, tmp_path / "b", recipe, resume=True)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ArgumentError, match="resume"):
        train_despeckling(images, tmp_path / "b", replace(recipe, seed=1), resume=True)
    again = train_despeckling(images, tmp_path / "b", replace(recipe, passes=2), resume=True)  # training makes one
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), straight.parameters(), strict=True))
    described = json.loads((tmp_path / "b" / "model.json").read_text())["recipe"]
    assert (described["seed"], described["passes"]) == (recipe.seed, 2)


def test_training_learns(images, tmp_path):
    recipe = Recipe(network=NetworkSettings((6, 8), (1.0, 0.5)), steps=40, batch=2, crop=48, rate=4e-3)
    train_despeckling(images, tmp_path, recipe)
    from sonoray.training.despeckling.ablation import despeckled, judged_images
    from sonoray.training.despeckling.export import load_trained

    network, description = load_trained(tmp_path)
    assert description["n_images"] == 3
    noisy, clean = judged_images(2, 64)
    found = despeckled(network, noisy)
    assert np.mean((found - clean) ** 2) < 0.6 * np.mean((noisy - clean) ** 2)


@pytest.mark.parametrize("settings", [NetworkSettings((4, 6, 8)), replace(PUBLISHED, widths=(4, 6, 8))])
def test_exported_files_give_what_torch_gives_at_any_size(settings, tmp_path):
    pytest.importorskip("onnx", reason="the extra 'train' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    from sonoray.restoration.despeckling import Despeckler
    from sonoray.training.despeckling.export import export_despeckling

    torch.manual_seed(0)
    network = Speckle2Self(settings)
    export_despeckling(network, tmp_path / "m.onnx")  # checks 1e-4 at three sizes
    despeckle = Despeckler(tmp_path / "m.onnx", passes=1)
    image = np.random.default_rng(0).random((40, 64), np.float32)
    low, high = (image.min(), image.max()) if settings.normalized else np.percentile(image, (0.1, 99.9))
    within = np.clip(image, low, high).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy((within - low) / (high - low)).float()[None, None])[0, 0].clamp(0, 1)
    found = low + (high - low) * expected.numpy() + image - within
    np.testing.assert_allclose(despeckle(image), np.clip(found, 0, 1), atol=1e-4)
    if settings.normalized:
        with pytest.raises(ArgumentError, match="tile"):
            Despeckler(despeckle.model, tile=256)


def test_a_folder_is_exported_or_refused(images, tmp_path, boards):
    pytest.importorskip("onnx", reason="the extra 'train' is not installed")
    from sonoray.training.despeckling.export import TASK, export_folder

    train_despeckling(images, tmp_path, replace(QUICK, steps=1, crop=32), tensorboard=True)
    assert boards == [tmp_path / "tensorboard" / "despeckle"]
    spec = export_folder(tmp_path, tmp_path / "out.onnx")
    assert spec.task == TASK
    assert spec.training_data == images.digest
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**description, "task": "other"}))
    with pytest.raises(FormatError, match="despeckling"):
        export_folder(tmp_path, tmp_path / "out.onnx")


def test_passes_are_the_file_s_and_the_plan_makes_as_many(images, tmp_path):
    pytest.importorskip("onnx", reason="the extra 'train' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    from sonoray.restoration.despeckling import Despeckler
    from sonoray.training.despeckling.ablation import despeckled
    from sonoray.training.despeckling.export import export_folder

    recipe = replace(QUICK, steps=1, crop=32, passes=3)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert "passes" not in QUICK.to_dict()  # runs from before there were passes go on
    network = train_despeckling(images, tmp_path, recipe)
    spec = export_folder(tmp_path, tmp_path / "three.onnx")
    assert spec.settings["passes"] == 3
    assert export_folder(tmp_path, tmp_path / "two.onnx", passes=2).settings["passes"] == 2
    noisy = np.random.default_rng(0).random((2, 32, 32), np.float32)
    for name, passes in (("three", 3), ("two", 2)):
        plan = Despeckler(tmp_path / f"{name}.onnx")
        assert plan.passes == passes
        np.testing.assert_allclose(plan(noisy), despeckled(network, noisy, passes).clip(0, 1), atol=1e-4)
    assert Despeckler(plan.model, passes=1).passes == 1


def test_pieces_must_fit_the_network():
    with pytest.raises(ArgumentError, match="crop"):
        replace(QUICK, crop=40)
