"""Killed runs, several players, devices and precision: the same steps come out."""

import csv
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from torch import nn  # noqa: E402

from sonoray import ArgumentError, DeviceError, FormatError  # noqa: E402
from sonoray.training.hardware import Processor  # noqa: E402
from sonoray.training.loops import (  # noqa: E402
    Hardware,
    Player,
    Schedule,
    device_of,
    kept_weights,
    load_kept,
    train,
    train_players,
)

ROOT = Path(__file__).parents[2]
SCHEDULE = Schedule(60, 0.02, 5, average=0.9, evaluate_every=20, clip=1.0, optimizer="adam", betas=(0.5, 0.99))
COMMON = f"""
import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "python")]!r}
from pathlib import Path
from tests.training.test_loops_resume import *
torch.set_num_threads(1)
"""  # another number of threads adds in another order


@pytest.fixture(autouse=True)
def _one_thread():
    """Runs are the same to the last bit for as many threads; other tests may have asked for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noisy_network():
    """With dropout, so that PyTorch's generator matters, and batch norm, so that buffers do."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))


def nothing():
    pass


def run(folder, network, *, resume=False, hardware=None, seed=3, before_judging=nothing, after_forward=nothing):
    def loss(rng):
        x = torch.from_numpy(rng.standard_normal((16, 3)).astype(np.float32)).to(device_of(network))
        found = ((network(x) - x.sum(1, keepdim=True)) ** 2).mean()
        after_forward()
        return found

    x = torch.linspace(-1, 1, 30).reshape(10, 3)

    def judge():
        before_judging()
        return float(((network(x) - x.sum(1, keepdim=True)) ** 2).mean())

    return train(
        network, loss, SCHEDULE, folder, "line", seed=seed, evaluate=judge, resume=resume, hardware=hardware
    )  # fmt: skip


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def script(folder, text):
    path = folder / "script.py"
    path.write_text(COMMON + text)
    return [sys.executable, str(path)]


def test_killed_while_it_writes_a_checkpoint_it_goes_on_from_the_one_before(tmp_path):
    whole, resumed = noisy_network(), noisy_network()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    wanted = run(tmp_path / "a", whole)
    text = f"""
real = os.replace
def replace(source, target, seen=[]):
    if str(target).endswith(".pt"):
        seen.append(target)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.replace = replace
run(Path({str(tmp_path / "b")!r}), noisy_network())
"""
    done = subprocess.run(script(tmp_path, text), capture_output=True, timeout=300, check=False)
    assert done.returncode == -9, done.stderr.decode()
    assert torch.load(tmp_path / "b" / "line.pt", weights_only=True)["step"] == 20
    assert run(tmp_path / "b", resumed, resume=True) == wanted
    assert same(whole.state_dict(), resumed.state_dict())
    assert same(kept_weights(tmp_path / "b" / "line.pt"), resumed.state_dict())
    assert not resumed.training

    def rows(name):
        with (tmp_path / name / "line.csv").open() as file:
            return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]

    assert rows("a") == rows("b")


@pytest.mark.parametrize("at", [2, 3])  # in the middle, and in the last evaluation
def test_interrupted_in_an_evaluation_it_goes_on_as_if_nothing_had_been(tmp_path, at):
    whole, stopped, resumed = noisy_network(), noisy_network(), noisy_network()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    wanted = run(tmp_path / "a", whole)
    count = [0]

    def interrupted():
        count[0] += 1
        if count[0] == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=f"{20 * at} of 60 steps"):
        run(tmp_path / "b", stopped, before_judging=interrupted)
    saved = torch.load(tmp_path / "b" / "line.pt", weights_only=True)
    assert not same(saved["module"], saved["kept"])
    assert stopped.training
    assert run(tmp_path / "b", resumed, resume=True) == wanted
    assert same(whole.state_dict(), resumed.state_dict())
    with (tmp_path / "b" / "line.csv").open() as file:
        steps = [row[0] for row in csv.reader(file)]
    assert steps == ["step", "20", "40", "60"]


def test_buffers_of_a_half_done_step_are_not_saved(tmp_path):
    whole, stopped, resumed = noisy_network(), noisy_network(), noisy_network()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    run(tmp_path / "a", whole)
    count = [0]

    def interrupted():
        count[0] += 1
        if count[0] == 26:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="20 of 60 steps"):
        run(tmp_path / "b", stopped, after_forward=interrupted)
    run(tmp_path / "b", resumed, resume=True)
    assert same(whole.state_dict(), resumed.state_dict())


def test_a_new_run_begins_a_new_log(tmp_path):
    run(tmp_path, noisy_network())
    run(tmp_path, noisy_network())
    with (tmp_path / "line.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["20", "40", "60"]


def test_a_refused_run_is_not_described(tmp_path):
    described = []
    common = {"accepted": lambda: described.append(1), "resume": True}
    x = torch.ones(1, 2)

    def line(seed, **options):
        torch.manual_seed(0)
        module = nn.Linear(2, 1)
        return train(module, lambda rng: module(x).mean() ** 2, Schedule(2), tmp_path, "line", seed=seed, **options)

    line(0)
    with pytest.raises(ArgumentError, match="expected a checkpoint of these settings"):
        line(7, **common)
    assert not described
    line(0, **common)
    assert described == [1]


def test_weights_of_another_network_are_refused(tmp_path):
    run(tmp_path, noisy_network())
    with pytest.raises(FormatError, match=r"line\.pt: expected weights of the network"):
        load_kept(nn.Linear(2, 1), tmp_path / "line.pt")
    with pytest.raises(FormatError, match="found nothing"):
        load_kept(nn.Linear(2, 1), tmp_path / "other.pt")


class Asked(Processor):
    """As if another process had been asked to stop in its fifth step."""

    def __init__(self):
        self.times = 0

    def any(self, flag):
        self.times += 1
        return flag or self.times == 5


class Diverged(Processor):
    """As if another process's loss were not finite."""

    def mean(self, value):
        return math.inf


@pytest.mark.parametrize(
    ("other", "error", "match"), [(Asked, KeyboardInterrupt, "5 of 60 steps"), (Diverged, ArgumentError, "finite loss")]
)
def test_what_one_rank_finds_stops_all(tmp_path, other, error, match):
    with pytest.raises(error, match=match):
        run(tmp_path, noisy_network(), hardware=SimpleNamespace(processor=other))


def test_seeds_differ(tmp_path):
    a, b = noisy_network(), noisy_network()
    run(tmp_path, a)
    run(tmp_path, b, seed=4)
    assert not same(a.state_dict(), b.state_dict())


def game():
    """A generator of numbers near 2, and a judge of them; each sees the other's weights, and must not change them."""
    torch.manual_seed(1)
    maker, judge = nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    batches = {"maker": [], "judge": []}

    def made(rng, who):
        z = torch.from_numpy(rng.standard_normal((16, 2)).astype(np.float32))
        batches[who].append(z)
        return maker(z)

    def judge_loss(rng):
        fake = made(rng, "judge")
        assert not maker.weight.requires_grad
        return (1 - judge(torch.full_like(fake, 2.0))).relu().mean() + (1 + judge(fake.detach())).relu().mean()

    def maker_loss(rng):
        assert not judge[0].weight.requires_grad
        return -judge(made(rng, "maker")).mean()

    players = [
        Player("judge", judge, judge_loss, rate=2.0, betas=(0.5, 0.9)),
        Player("maker", maker, maker_loss),
    ]
    return players, batches


def play(folder, players, **options):
    return train_players(players, Schedule(40, 0.01, 2, evaluate_every=10), folder, "game", seed=5, **options)


def test_players_train_each_other_and_resume(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    players, batches = game()
    before = players[1].module.bias.item()
    play(tmp_path / "a", players)
    assert abs(players[1].module.bias.item() - 2) < abs(before - 2)
    assert all(torch.equal(a, b) for a, b in zip(batches["maker"], batches["judge"]))  # one seed per step
    assert all(p.requires_grad for player in players for p in player.module.parameters())

    stopped, _ = game()
    count = [0]

    def stopping(rng, loss=stopped[1].loss):
        count[0] += 1
        if count[0] == 26:
            raise KeyboardInterrupt
        return loss(rng)

    with pytest.raises(KeyboardInterrupt, match="20 of 40 steps"):  # the judge had moved on: no state to keep
        play(tmp_path / "b", [stopped[0], Player("maker", stopped[1].module, stopping)])
    fresh, _ = game()
    play(tmp_path / "b", fresh, resume=True)
    assert all(same(a.module.state_dict(), b.module.state_dict()) for a, b in zip(players, fresh))
    assert set(torch.load(tmp_path / "b" / "game.pt", weights_only=True)["kept"]) == {"judge", "maker"}
    assert same(kept_weights(tmp_path / "b" / "game.pt", "maker"), fresh[1].module.state_dict())
    with pytest.raises(ArgumentError, match="expected one of"):
        kept_weights(tmp_path / "b" / "game.pt", "nobody")
    with (tmp_path / "a" / "game.csv").open() as file:
        assert csv.DictReader(file).fieldnames[1:3] == ["loss judge", "loss maker"]


def test_interrupt_waits_for_the_end_of_the_step(tmp_path):
    players, _ = game()

    def interrupted(rng, loss=players[1].loss, count=[0]):  # noqa: B006
        count[0] += 1
        if count[0] == 26:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(rng)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="26 of 40 steps"):
        play(tmp_path, [players[0], Player("maker", players[1].module, interrupted)])
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.load(tmp_path / "game.pt", weights_only=True)["step"] == 26


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"device": "gpu"}, "device"),
        ({"precision": "64"}, "precision"),
        ({"n_devices": 0}, "n_devices"),
    ],
)
def test_hardware_refuses(options, match):
    with pytest.raises(ArgumentError, match=match):
        Hardware(**options)


def test_hardware_that_is_not_there():
    with pytest.raises(ArgumentError, match="16-mixed"):
        Hardware("cpu", precision="16-mixed").processor()
    with pytest.raises(DeviceError, match="cuda"):
        Hardware("cuda", n_devices=1024).processor()
    assert Hardware("cpu").processor().device.type == "cpu"


def test_players_need_names(tmp_path):
    players, _ = game()
    with pytest.raises(ArgumentError, match="distinct names"):
        play(tmp_path, [players[0], players[0]])
    with pytest.raises(ArgumentError, match="betas"):
        Schedule(1, betas=(0.9, 1.0))


def test_tensorboard(tmp_path):
    board = pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")
    assert board
    players, _ = game()
    play(tmp_path, players, tensorboard=True)
    assert list((tmp_path / "tensorboard" / "game").iterdir())


@pytest.mark.slow  # Fabric alone is imported for ten seconds
def test_half_precision_on_the_cpu(tmp_path):
    pytest.importorskip("lightning_fabric")
    network = noisy_network()
    text = f"""
network = noisy_network()
print(run(Path({str(tmp_path)!r}), network, hardware=Hardware("cpu", precision="bf16-mixed")))
assert {{p.dtype for p in network.parameters()}} == {{torch.float32}}
"""
    done = subprocess.run(script(tmp_path, text), capture_output=True, timeout=300, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1.0
    network.load_state_dict(kept_weights(tmp_path / "line.pt"))


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    pytest.importorskip("lightning_fabric")
    text = f"""
torch.manual_seed(os.getpid())  # ranks that begin alike would prove nothing
network = noisy_network()
with torch.no_grad():
    network[0].weight += torch.rand_like(network[0].weight)
found = run(Path({str(tmp_path)!r}), network, hardware=Hardware("cpu", n_devices=2))
torch.save([found, network.state_dict()], Path({str(tmp_path)!r}) / f"rank{{os.environ['LOCAL_RANK']}}.pt")
"""
    done = subprocess.run(script(tmp_path, text), capture_output=True, timeout=600, check=False, text=True)
    assert done.returncode == 0, done.stderr
    (first, a), (second, b) = (torch.load(tmp_path / f"rank{k}.pt", weights_only=True) for k in (0, 1))
    assert first == second < 1.0
    assert same(a, b)
    assert all(torch.isfinite(v).all() for v in a.values())
    assert same(kept_weights(tmp_path / "line.pt"), a)
    alone = noisy_network()
    run(tmp_path, alone)
    assert not same(alone.state_dict(), a)  # the other rank's batches counted
