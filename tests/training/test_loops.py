"""The training loop: interrupted and resumed runs make the same steps; nothing unfinished is left behind."""

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sonoray import ArgumentError, FormatError  # noqa: E402
from sonoray.training.loops import Schedule, train  # noqa: E402

TARGET = torch.tensor([[1.0, -2.0, 0.5]])


def model():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 1)


def loss_of(module, stop_at=None):
    calls = [0]

    def loss(rng):
        calls[0] += 1
        if calls[0] == stop_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.standard_normal((16, 3)).astype(np.float32))
        return ((module(x) - x @ TARGET.T) ** 2).mean()

    return loss


def run(folder, module, *, stop_at=None, resume=False, **options):
    schedule = Schedule(60, 0.1, 5, average=0.9, evaluate_every=20)
    distance = lambda: float((module.weight - TARGET).abs().max().detach())  # noqa: E731
    return train(
        module, loss_of(module, stop_at), schedule, folder, "line", seed=3, evaluate=distance, resume=resume, **options
    )


def test_learns_and_logs(tmp_path):
    module = model()
    assert run(tmp_path, module) < 0.3  # from 2 before
    with (tmp_path / "line.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [20, 40, 60]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert not list(tmp_path.glob(".*"))


def test_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path):
    whole, parts = model(), model()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    run(tmp_path / "a", whole)
    with pytest.raises(KeyboardInterrupt, match="20 of 60 steps"):
        run(tmp_path / "b", parts, stop_at=33)
    fresh = model()
    run(tmp_path / "b", fresh, resume=True)
    assert torch.allclose(fresh.weight, whole.weight, atol=1e-6)


def test_checkpoint_of_other_settings_is_refused(tmp_path):
    run(tmp_path, model(), settings="one")
    with pytest.raises(ArgumentError, match="expected a checkpoint of these settings"):
        run(tmp_path, model(), settings="two", resume=True)


def test_a_refusal_names_what_differs_and_nothing_else(tmp_path):
    digest = "0123456789abcdef" * 4
    run(tmp_path, model(), settings={"data": digest, "network": {"widths": (4, 6)}, "rate": 0.1})
    with pytest.raises(ArgumentError) as error:
        run(tmp_path, model(), settings={"data": digest[::-1], "network": {"widths": [4, 8]}, "rate": 0.1}, resume=True)
    differing = "data (was 0123456789ab..., now fedcba987654...), network.widths (was [4, 6], now [4, 8])"
    assert str(error.value).endswith(f"got one that differs in {differing}")
    with pytest.raises(ArgumentError, match=r"differs in schedule\.steps \(was 60, now 61\)$"):
        train(
            model(), loss_of(model()), Schedule(61, 0.1, 5, average=0.9, evaluate_every=20), tmp_path, "line", seed=3,
            settings={"data": digest, "network": {"widths": (4, 6)}, "rate": 0.1}, resume=True,
        )  # fmt: skip
    state = torch.load(tmp_path / "line.pt", weights_only=True)
    torch.save({**state, "settings": "as text"}, tmp_path / "line.pt")
    with pytest.raises(ArgumentError, match="an earlier version wrote it"):
        run(tmp_path, model(), resume=True)


def test_damaged_checkpoints_are_called_so(tmp_path):
    run(tmp_path, model())
    whole = (tmp_path / "line.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"weeks of work", b""):
        (tmp_path / "line.pt").write_bytes(damaged)
        with pytest.raises(
            FormatError, match=r"line\.pt: expected a PyTorch checkpoint.*; the file is damaged"
        ) as error:
            run(tmp_path, model(), resume=True)
        assert len(str(error.value)) < len(str(tmp_path)) + 120
    (tmp_path / "line.pt").write_bytes(whole)
    state = torch.load(tmp_path / "line.pt", weights_only=True)
    del state["optimizers"]
    torch.save(state, tmp_path / "line.pt")
    with pytest.raises(FormatError, match="the file is damaged"):
        run(tmp_path, model(), resume=True)


def test_diverging_run_stops(tmp_path):
    module = model()
    with pytest.raises(ArgumentError, match="finite loss"):
        train(module, lambda rng: module.weight.sum() * float("nan"), Schedule(3), tmp_path, "bad", seed=0)


def test_schedule():
    schedule = Schedule(100, 1e-2, 10)
    rates = [schedule.rate_at(k) for k in range(100)]
    assert rates[0] == pytest.approx(1e-3, rel=0.01)
    assert max(rates) <= 1e-2
    assert rates[-1] < 1e-5
