"""Data, networks, recipes and export of the translation."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sonoray import ArgumentError, FormatError  # noqa: E402
from sonoray.io.images import write_image  # noqa: E402
from sonoray.restoration.frame_channels import N_CHANNELS, REACH, START  # noqa: E402
from sonoray.training.color_flow import export  # noqa: E402
from sonoray.training.color_flow.data import (  # noqa: E402
    ClipPlan,
    Sampler,
    _outlined,
    coverage_quartiles,
    grown,
    load_clips,
    mask_batch,
    read_backgrounds,
    sampling_weights,
)
from sonoray.training.color_flow.networks import (  # noqa: E402
    COARSE,
    HintedCoarse,
    MaskNetwork,
    PatchDiscriminator,
    RefinementGenerator,
    equal_width,
)
from sonoray.training.color_flow.recipe import (  # noqa: E402
    PUBLISHED,
    PUBLISHED_REFINE,
    CoarseSettings,
    CoarseTraining,
    RefineSettings,
    RefineTraining,
    train_coarse,
    train_mask,
    train_refine,
)
from sonoray.training.parameters import n_parameters  # noqa: E402

SMALL = CoarseSettings(width=4, steps=3, batch=2, size=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def clips(folder):
    return load_clips(ClipPlan(8, (48, 48), 4, seed=11), folder)


def test_clips_are_kept_and_read_again(folder, clips):
    again = load_clips(ClipPlan(8, (48, 48), 4, seed=11), folder)
    assert np.array_equal(again.color, clips.color)
    assert clips.color.shape == (8, 4, 48, 48, 3)
    assert np.array_equal(clips.color[~clips.painted], np.repeat(clips.bmode[~clips.painted][:, None], 3, axis=1))


def test_clips_with_real_backgrounds_are_others(folder, clips):
    plan = ClipPlan(4, (32, 32), 2, seed=11)
    real = [np.full((2, 40, 40), level, np.uint8) for level in (90, 120)]
    plain, a, b = (load_clips(plan, folder, backgrounds=given) for given in ((), real, real[:1]))
    assert not np.array_equal(plain.bmode, a.bmode)
    assert len({p.name for p in folder.iterdir() if p.name.startswith(f"11-{plan.digest[:8]}")}) == 3
    assert len(b) == 4


def test_sampling_weights_are_one_to_four():
    coverage = np.repeat([0.03, 0.08, 0.2, 0.4], 10)
    weights = sampling_weights(coverage)
    assert weights.sum() == pytest.approx(1)
    assert np.array_equal(coverage_quartiles(coverage), np.repeat([1, 2, 3, 4], 10))
    assert np.allclose(weights / weights[0], np.repeat([1, 2, 3, 4], 10))


@pytest.mark.parametrize("kind", ["hinted", "published"])
def test_batches_fit_the_networks_and_repeat(clips, kind):
    sampler = Sampler(clips, kind, 32)
    a, b = (sampler(np.random.default_rng(3), 2) for _ in range(2))
    assert a.channels.shape == (2, N_CHANNELS[kind], 4, 32, 32)
    assert a.truth.shape == a.mask.shape == (2, 1, 4, 32, 32)
    assert np.array_equal(a.channels, b.channels)
    if kind == "hinted":
        visible = a.mask[:, 0] == 0
        assert np.allclose(a.channels[:, 0][visible], a.truth[:, 0][visible])


def test_grown_masks():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    assert [int(grown(mask, n).sum()) for n in (0, 1, 2)] == [1, 5, 13]


def test_frames_for_the_mask_network(clips):
    frames, masks = mask_batch(clips, np.random.default_rng(0), 6, 32)
    assert frames.shape == (6, 3, 32, 32)
    assert masks.shape == (6, 1, 32, 32)
    assert 0 <= frames.min() <= frames.max() <= 1


def test_outlines_belong_to_the_mask():
    color, mask = np.zeros((48, 56, 3), np.float32), np.zeros((48, 56), bool)
    shares = []
    for seed in range(8):
        drawn, where = _outlined(color, mask, np.random.default_rng(seed))
        assert np.array_equal(drawn.max(axis=-1) > 0, where)
        assert np.ptp(drawn[where]) == 0 if where.any() else True
        assert not scipy.ndimage.binary_opening(where, np.ones((3, 3))).any()  # a line
        shares.append(where.mean())
    assert 0.01 < np.mean(shares) < 0.1


def test_backgrounds_of_a_folder(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (50, 60), dtype=np.uint8)
    write_image(tmp_path / "a.png", levels)
    (found,) = read_backgrounds(tmp_path, (48, 48))
    assert np.array_equal(found[0], levels)
    with pytest.raises(ArgumentError, match=r"backgrounds: expected at least \(64, 48\) pixels, got \(50, 60\)"):
        read_backgrounds(tmp_path, (64, 48))


def test_leaving_a_scene_out(tmp_path):
    plan = ClipPlan(8, (32, 32), 1, seed=11, scenes=("vessel", "organ", "vessels"))
    rest = plan.without("vessel")
    assert rest.digest != plan.digest
    assert set(load_clips(rest, tmp_path).scene) == {"organ", "vessels"}
    with pytest.raises(ArgumentError, match="leave_out"):
        plan.without("moon")
    with pytest.raises(ArgumentError, match="leave_out"):
        replace(plan, scenes=("organ",)).without("organ")


@pytest.mark.parametrize("kind", ["hinted", "published"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("size", [(1, 16, 16), (5, 20, 36)])
def test_coarse_networks_keep_sizes(kind, gated, size):
    network = COARSE[kind](4, gated)
    with torch.no_grad():
        assert network(torch.rand(2, N_CHANNELS[kind], *size)).shape == (2, 1, *size)


@pytest.mark.parametrize(("kind", "width"), [("hinted", 12), ("published", 8)])
def test_plain_networks_have_as_many_parameters(kind, width):
    gated, plain = n_parameters(COARSE[kind](width, True)), n_parameters(COARSE[kind](equal_width(kind, width), False))
    assert abs(plain - gated) < 0.08 * gated


def test_our_network_begins_as_the_start():
    channels = torch.rand(1, N_CHANNELS["hinted"], 3, 16, 20)
    assert torch.equal(HintedCoarse(4)(channels), channels[:, START : START + 1])


def test_refinement_mask_and_discriminator():
    with torch.no_grad():
        assert RefinementGenerator(4)(torch.rand(1, 3, 2, 16, 24)).shape == (1, 1, 2, 16, 24)
        assert MaskNetwork(4)(torch.rand(2, 3, 16, 24)).shape == (2, 1, 16, 24)
        features = PatchDiscriminator(4)(torch.rand(1, 1, 4, 32, 32), torch.ones(1, 1, 4, 32, 32))
    assert len(features) == 4
    assert features[-1].shape[1] == 1


def test_discriminator_is_spectrally_normalised():
    critic = PatchDiscriminator(4).train()
    video, mask = torch.rand(1, 1, 4, 32, 32), torch.ones(1, 1, 4, 32, 32)
    for _ in range(30):
        critic(video, mask)
    for layer in (*critic.layers, critic.last):
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)


def test_losses_reach_every_weight(clips):
    task = CoarseTraining(SMALL, clips, clips)
    torch.nn.init.normal_(task.network.last.weight)
    task.loss(np.random.default_rng(0)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in task.network.parameters())
    players = RefineTraining(RefineSettings(width=4, critic_width=4, size=32), task.network, "hinted", clips)
    task.network.zero_grad()
    players.generator_loss(np.random.default_rng(0)).backward()
    assert all(p.grad is None and p.requires_grad for p in players.coarse.parameters())  # stays as it is
    assert all(p.grad is not None and p.grad.isfinite().all() for p in players.generator.parameters())
    assert sum(float(p.grad.abs().sum()) for p in players.generator.parameters()) > 0
    players.critic.zero_grad()
    players.critic_loss(np.random.default_rng(0)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in players.critic.parameters())
    assert sum(float(p.grad.abs().sum()) for p in players.critic.parameters()) > 0


def test_published_weights():
    """Coarse: L1 + 2 L1mask. Refinement: 10 L1 + 5 L1mask + 1 adversarial + 2 perceptual."""
    assert (PUBLISHED.mask_weight, PUBLISHED.structure) == (2.0, 0.0)
    r = PUBLISHED_REFINE
    assert (r.l1, r.l1 * r.mask_weight, r.adversarial, r.perceptual) == (10.0, 5.0, 1.0, 2.0)


@pytest.mark.parametrize("settings", [SMALL, replace(PUBLISHED, width=4, steps=3, size=32)])
def test_training_repeats_and_goes_on(tmp_path, clips, settings):
    once, _ = train_coarse(settings, clips, clips, tmp_path / "a", seed=1)
    twice, _ = train_coarse(settings, clips, clips, tmp_path / "b", seed=1)
    for a, b in zip(once.state_dict().values(), twice.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    again, _ = train_coarse(settings, clips, clips, tmp_path / "a", seed=1, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), again.parameters(), strict=True))


def test_other_clips_or_another_start_are_refused(tmp_path, clips):
    once = replace(SMALL, steps=1)
    train_coarse(once, clips, clips, tmp_path)
    train_coarse(once, clips, clips, tmp_path / "b", start=tmp_path / "coarse.pt")
    fewer = clips[:6]
    with pytest.raises(ArgumentError, match=r"differs in clips \(was \w{12}\.\.\., now \w{12}\.\.\.\)$"):
        train_coarse(once, fewer, clips, tmp_path, resume=True)
    with pytest.raises(ArgumentError, match="differs in held_out"):
        train_coarse(once, clips, fewer, tmp_path, resume=True)
    with pytest.raises(ArgumentError, match=r"differs in start \(was nothing, now"):
        train_coarse(once, clips, clips, tmp_path, start=tmp_path / "b" / "coarse.pt", resume=True)
    train_mask(clips, tmp_path, steps=1, batch=1)
    with pytest.raises(ArgumentError, match="differs in clips"):
        train_mask(fewer, tmp_path, steps=1, batch=1, resume=True)


def test_a_folder_is_exported(tmp_path, clips):
    pytest.importorskip("onnx", reason="the extra 'train' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    from sonoray.restoration.color_flow import ColorFlowTranslator

    network, _ = train_coarse(SMALL, clips, clips, tmp_path)
    refine = RefineSettings(width=4, critic_width=4, steps=2, batch=1, size=32)
    train_refine(refine, network, "hinted", clips, tmp_path)
    train_mask(clips, tmp_path, steps=2, batch=2)
    notes = {
        "coarse": export.coarse_note(SMALL, "coarse", 0),
        "refine": export.refine_note(refine, "refine", 0),
        "mask": export.mask_note(8, "mask", 0),
    }
    export.write_note(tmp_path, "0" * 64, notes)
    spec = export.export_folder(tmp_path, tmp_path / "x_coarse.onnx")
    assert spec.task == export.TASK
    assert spec.settings["recipe"]["width"] == SMALL.width
    translate = ColorFlowTranslator(
        tmp_path / "x_coarse.onnx", mask=tmp_path / "x_mask.onnx", refine=tmp_path / "x_refine.onnx", stage="refined"
    )
    video = translate(clips.color[1], clips.painted[1])
    assert np.array_equal(video.frames[~video.mask], clips.bmode[1][~video.mask])
    assert translate.reach == REACH  # as it was trained
    assert translate.refine.spec.settings["coarse"] == spec.digest
    (tmp_path / "other").mkdir()
    other, _ = train_coarse(SMALL, clips, clips, tmp_path, seed=1)
    with pytest.raises(FormatError, match=r"refine\.pt: expected a refinement of .*coarse\.pt"):
        export.export_folder(tmp_path, tmp_path / "other" / "x_coarse.onnx")
    assert not list((tmp_path / "other").iterdir())
    export.export_network(other, "coarse", tmp_path / "other" / "x_coarse.onnx", notes["coarse"])
    with pytest.raises(ArgumentError, match=r"differs in coarse weights \(was"):
        train_refine(refine, other, "hinted", clips, tmp_path, resume=True)
    with pytest.raises(FormatError, match="refine: expected a refinement of the coarse network"):
        ColorFlowTranslator(tmp_path / "other" / "x_coarse.onnx", refine=tmp_path / "x_refine.onnx")


def test_what_is_overwritten_goes_before_the_new_run_begins(tmp_path, clips, monkeypatch, boards):
    pytest.importorskip("onnx", reason="the extra 'train' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'cpu' is not installed")
    from sonoray.cli import train_translate
    from sonoray.training.color_flow import recipe

    def command(*more):
        form = argparse.ArgumentParser()
        train_translate.add(form.add_subparsers())
        args = form.parse_args(["translate", "-o", str(tmp_path / "run"), "--quick", "--quiet", *more])
        args.run(args)

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_translate, "_clips", lambda args: (clips, clips, None, "0" * 64))
    command("--steps", "1", "--tensorboard")
    assert [board.name for board in boards] == ["coarse", "refine", "mask"]
    assert {"coarse", "refine", "mask"} == {p.stem for p in (tmp_path / "run").glob("*.pt")}
    with pytest.raises(ArgumentError, match="start: expected another folder than out"):
        command("--overwrite", "--start", str(tmp_path / "run"))
    with monkeypatch.context() as other:
        other.setattr(recipe, "train_refine", killed)
        with pytest.raises(KeyboardInterrupt):
            command("--steps", "1", "--overwrite", "--mask-weight", "3")
    left = {p.name for p in (tmp_path / "run").iterdir()}
    assert "coarse.pt" in left
    assert not left & {"refine.pt", "mask.pt", "model.json"} and not [name for name in left if name.endswith(".onnx")]


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"model\.json"):
        export.export_folder(tmp_path, tmp_path / "x.onnx")
    (tmp_path / "model.json").write_text(json.dumps({"task": "despeckling"}))
    with pytest.raises(FormatError, match="task"):
        export.export_folder(tmp_path, tmp_path / "x.onnx")


def test_settings_are_checked():
    with pytest.raises(ArgumentError, match="size"):
        CoarseSettings(size=33)
    with pytest.raises(ArgumentError, match="kind"):
        CoarseSettings(kind="other")


@pytest.mark.parametrize(
    "wrong",
    [{"size": 33}, {"steps": 0}, {"width": 1}, {"critic_width": 0}, {"batch": 0}, {"l1": -1.0}, {"rate": 0.0},
     {"mask_weight": float("nan")}, {"adversarial": -0.1}, {"perceptual": 1e9}],
)  # fmt: skip
def test_settings_of_the_refinement_are_checked(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        RefineSettings(**wrong)
