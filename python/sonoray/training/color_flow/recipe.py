"""The recipes: helper mask network, coarse network, refinement against an adversary; each from one call.

"hinted", ours: L1 with a mask weight + dissimilarity inside the mask, AdamW, running average of the weights.
"published", arXiv 2511.03255: L1 + 2 mask-weighted L1 for the coarse network, then 10 L1 + 5 mask-weighted L1 +
1 adversarial + 2 perceptual for the refinement.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..._checks import count, option, scalar
from ...errors import ArgumentError
from ...restoration.bridge import bridge
from ...restoration.frame_channels import KINDS, frame_channels
from ..hardware import Hardware
from ..loops import Player, Schedule, device_of, load_kept, train, train_players
from ..parameters import weights_digest
from ..players import MOST_SEED
from .data import Batch, Clips, Sampler, mask_batch
from .losses import adversary_loss, deception_loss, dissimilarity, feature_loss, mask_loss, weighted_l1
from .networks import COARSE, MaskNetwork, PatchDiscriminator, RefinementGenerator, equal_width

COARSE_WEIGHTS = "coarse weights"  # whose results a refinement knows: a digest in its checkpoint's settings
MASK_WEIGHTS = (0.0, 10.0, 20.0, 40.0)  # lambda, as the published ablation has them


@dataclass(frozen=True)
class CoarseSettings:
    """What a coarse network is and how it is trained.

    Parameters
    ----------
    kind : {"hinted", "published"}
    gated : bool
        False: plain convolutions, wider, so that there are as many parameters.
    width : int
        Of the gated network.
    mask_weight : float
        lambda of `weighted_l1`.
    structure : float
        Weight of `dissimilarity`; 0 as published.
    steps, batch, size : int
        Size: rows and columns of what is cut out of clips.
    rate : float
    average : float
        See `Schedule`.
    """

    kind: str = "hinted"
    gated: bool = False
    width: int = 8
    mask_weight: float = 20.0
    structure: float = 0.5
    steps: int = 1000
    batch: int = 2
    size: int = 48
    rate: float = 2e-3
    average: float = 0.995

    def __post_init__(self) -> None:
        option("kind", self.kind, KINDS)
        for name, low, high in (("width", 2, 512), ("steps", 1, 10**8), ("batch", 1, 4096), ("size", 16, 1024)):
            count(name, getattr(self, name), low, high)
        if self.size % 4:
            raise ArgumentError(f"size: expected a multiple of 4, got {self.size}")
        scalar("mask_weight", self.mask_weight, 0.0, 1e4, "(weight)")
        scalar("structure", self.structure, 0.0, 1e4, "(weight)")
        scalar("rate", self.rate, 1e-8, 1.0, "(learning rate)")
        scalar("average", self.average, 0.0, 0.99999, "(decay)")

    @property
    def network_width(self) -> int:
        """Width of the network that is built."""
        return self.width if self.gated else equal_width(self.kind, self.width)

    def network(self) -> nn.Module:
        """Return the network, not trained."""
        module: nn.Module = COARSE[self.kind](self.network_width, self.gated)
        return module


# L1 + 2 L1 inside the mask. Both are means over all pixels, hidden or not (`weighted_l1`).
PUBLISHED = CoarseSettings(
    kind="published", gated=True, width=8, mask_weight=2.0, structure=0.0, rate=1e-3, average=0.0
)


@dataclass(frozen=True)
class RefineSettings:
    """How the refinement is trained; default weights of the losses are ours, `PUBLISHED_REFINE` has the others.

    Parameters
    ----------
    width, critic_width : int
        Of generator and discriminator.
    with_bridge : bool
    l1, mask_weight, adversarial, perceptual : float
        Weight of `weighted_l1`, its lambda, weights of `deception_loss` and `feature_loss`.
    steps, batch, size : int
    rate : float
        Of Adam with decays 0.5 and 0.999.
    """

    width: int = 12
    critic_width: int = 12
    with_bridge: bool = True
    l1: float = 10.0
    mask_weight: float = 20.0
    adversarial: float = 1.0
    perceptual: float = 2.0
    steps: int = 600
    batch: int = 2
    size: int = 64
    rate: float = 2e-4

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 2, 512), ("critic_width", 2, 512), ("steps", 1, 10**8), ("batch", 1, 4096), ("size", 16, 1024)
        ):  # fmt: skip
            count(name, getattr(self, name), low, high)
        if self.size % 4:
            raise ArgumentError(f"size: expected a multiple of 4, got {self.size}")
        for name in ("l1", "mask_weight", "adversarial", "perceptual"):
            scalar(name, getattr(self, name), 0.0, 1e4, "(weight)")
        scalar("rate", self.rate, 1e-8, 1.0, "(learning rate)")


# 10 L1 + 5 L1 inside the mask + 1 adversarial + 2 perceptual.
PUBLISHED_REFINE = RefineSettings(l1=10.0, mask_weight=0.5, adversarial=1.0, perceptual=2.0)


class CoarseTraining:
    """A coarse network, its batches and its evaluation on clips of its own.

    Parameters
    ----------
    settings : CoarseSettings
    clips, held_out : Clips
    """

    def __init__(self, settings: CoarseSettings, clips: Clips, held_out: Clips) -> None:
        self.settings, self.network = settings, settings.network()
        self.sampler = Sampler(clips, settings.kind, settings.size)
        rng = np.random.default_rng(0)
        judge = Sampler(held_out, settings.kind, settings.size)
        self.judged = [judge(rng, 4) for _ in range(4)]

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Of a batch."""
        return self._loss(self.sampler(rng, self.settings.batch))

    def _loss(self, batch: Batch) -> Tensor:
        channels, truth, mask = tensors(batch, device_of(self.network))
        found = self.network(channels)
        total = weighted_l1(found, truth, mask, self.settings.mask_weight)
        if self.settings.structure:
            total = total + self.settings.structure * dissimilarity(found, truth, mask)
        return total

    def evaluate(self) -> float:
        """1 - SSIM inside the mask, on batches that stay the same."""
        values = []
        for batch in self.judged:
            channels, truth, mask = tensors(batch, device_of(self.network))
            values.append(float(dissimilarity(self.network(channels), truth, mask)))
        return float(np.mean(values))


def train_coarse(
    settings: CoarseSettings,
    clips: Clips,
    held_out: Clips,
    folder: Any,
    name: str = "coarse",
    *,
    start: Any = None,
    seed: int = 0,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> tuple[nn.Module, float]:
    """Train a coarse network.

    Parameters
    ----------
    settings : CoarseSettings
    clips, held_out : Clips
        To train and to validate on.
    folder : path
        For checkpoint and log; made when absent.
    name : str
        Of the files.
    start : path, optional
        Checkpoint of a network of the same size whose weights this one begins with.
    seed, resume, show, hardware, tensorboard : see `train`
        Resumed with other clips or another start, a checkpoint is refused.

    Returns
    -------
    network : nn.Module
    dissimilarity : float
        1 - SSIM inside the mask on cuts of ``held_out``.
    """
    target = _begun(folder, seed)
    task = CoarseTraining(settings, clips, held_out)
    before = ""
    if start is not None:
        load_kept(task.network, start)
        before = weights_digest(task.network.state_dict())
    error = train(
        task.network,
        task.loss,
        _schedule(settings.steps, settings.rate, settings.average),
        target,
        name,
        seed=seed,
        evaluate=task.evaluate,
        resume=resume,
        settings={"clips": clips.digest, "held_out": held_out.digest, "start": before, **asdict(settings)},
        show=show,
        hardware=hardware,
        tensorboard=tensorboard,
    )
    return task.network, error


class RefineTraining:
    """Generator and discriminator on the results of a coarse network that is trained already.

    Parameters
    ----------
    settings : RefineSettings
    coarse : nn.Module
        Stays as it is.
    kind : {"hinted", "published"}
        Of its channels.
    clips : Clips
    """

    def __init__(self, settings: RefineSettings, coarse: nn.Module, kind: str, clips: Clips) -> None:
        self.settings, self.coarse = settings, coarse.eval()
        self.generator, self.critic = RefinementGenerator(settings.width), PatchDiscriminator(settings.critic_width)
        self.sampler = Sampler(clips, kind, settings.size)

    def critic_loss(self, rng: np.random.Generator) -> Tensor:
        """Hinge loss on a batch and its translation."""
        channels, truth, mask = self._batch(rng)
        with torch.no_grad():
            made = self._pasted(channels, truth, mask)
        return adversary_loss(self.critic(truth, mask)[-1], self.critic(made, mask)[-1])

    def generator_loss(self, rng: np.random.Generator) -> Tensor:
        """L1, mask-weighted L1, adversarial and perceptual."""
        s = self.settings
        channels, truth, mask = self._batch(rng)
        found = self.generator(channels)
        made = truth + mask * (found - truth)
        total = s.l1 * weighted_l1(found, truth, mask, s.mask_weight)
        of_made = self.critic(made, mask)
        total = total + s.adversarial * deception_loss(of_made[-1])
        if s.perceptual:
            with torch.no_grad():
                of_truth = self.critic(truth, mask)
            total = total + s.perceptual * feature_loss(of_made, of_truth)
        return total

    def _pasted(self, channels: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
        return truth + mask * (self.generator(channels) - truth)

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        batch = self.sampler(rng, self.settings.batch)
        device = device_of(self.generator)
        self.coarse.to(device)
        channels, truth, mask = tensors(batch, device)
        with torch.no_grad():
            coarse = self.coarse(channels).clamp(0, 1)
        given = refine_channels(
            coarse[:, 0].float().cpu().numpy(), batch.truth[:, 0], batch.mask[:, 0] > 0, self.settings.with_bridge,
            seed=int(rng.integers(2**31)),
        )  # fmt: skip
        return torch.from_numpy(given).to(device), truth, mask


def refine_channels(
    coarse: NDArray[np.float32], grey: NDArray[np.float32], mask: NDArray[np.bool_], with_bridge: bool, seed: int
) -> NDArray[np.float32]:
    """Return what the refinement sees of videos (n, n_frames, n_rows, n_columns): (n, 3, n_frames, ...)."""
    pasted = np.where(mask, coarse, grey)
    given = [
        bridge(p, m, seed=seed + i) if with_bridge else p for i, (p, m) in enumerate(zip(pasted, mask, strict=True))
    ]
    return np.stack([np.stack(given), mask.astype(np.float32), pasted], axis=1).astype(np.float32)


def train_refine(
    settings: RefineSettings,
    coarse: nn.Module,
    kind: str,
    clips: Clips,
    folder: Any,
    name: str = "refine",
    *,
    seed: int = 0,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> nn.Module:
    """Train the refinement against its adversary.

    Parameters
    ----------
    settings : RefineSettings
    coarse : nn.Module
    kind : {"hinted", "published"}
        Of the coarse network's channels.
    clips : Clips
    folder, name, seed, resume, show, hardware, tensorboard : see `train_coarse`
        Resumed with other clips or another coarse network, a checkpoint is refused.

    Returns
    -------
    RefinementGenerator
    """
    target = _begun(folder, seed)
    task = RefineTraining(settings, coarse, kind, clips)
    schedule = Schedule(
        settings.steps, settings.rate, 0, weight_decay=0.0, optimizer="adam", betas=(0.5, 0.999), constant=True,
        average=0.99, evaluate_every=min(100, settings.steps),
    )  # fmt: skip
    train_players(
        [Player("critic", task.critic, task.critic_loss), Player("generator", task.generator, task.generator_loss)],
        schedule,
        target,
        name,
        seed=seed,
        resume=resume,
        settings={"clips": clips.digest, COARSE_WEIGHTS: weights_digest(coarse.state_dict()), **asdict(settings)},
        show=show,
        hardware=hardware,
        tensorboard=tensorboard,
    )
    return task.generator


def train_mask(
    clips: Clips,
    folder: Any,
    name: str = "mask",
    *,
    steps: int = 600,
    batch: int = 8,
    width: int = 8,
    seed: int = 0,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
    tensorboard: bool = False,
) -> nn.Module:
    """Train the helper network that finds what is painted.

    Parameters
    ----------
    clips : Clips
    folder, name, seed, resume, show, hardware, tensorboard : see `train_coarse`
    steps, batch, width : int

    Returns
    -------
    MaskNetwork
    """
    target = _begun(folder, seed)
    network = MaskNetwork(width)

    def loss(rng: np.random.Generator) -> Tensor:
        frames, mask = (torch.from_numpy(a).to(device_of(network)) for a in mask_batch(clips, rng, batch))
        return mask_loss(network(frames), mask)

    train(
        network, loss, _schedule(steps, 3e-3, 0.98), target, name, seed=seed, resume=resume,
        settings={"clips": clips.digest, "batch": batch, "width": width}, show=show, hardware=hardware,
        tensorboard=tensorboard,
    )  # fmt: skip
    return network


def translated(network: nn.Module, kind: str, color: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Translate one video (n_frames, n_rows, n_columns, 3) in one piece; sizes must be multiples of 4."""
    channels = torch.from_numpy(frame_channels(color, mask, kind)[None]).to(device_of(network))
    with torch.no_grad():
        return np.asarray(network.eval()(channels)[0, 0].clamp(0, 1).float().cpu().numpy())


def tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Channels, truth and mask on a device."""
    channels, truth, mask = (torch.from_numpy(a).to(device) for a in (batch.channels, batch.truth, batch.mask))
    return channels, truth, mask


def _begun(folder: Any, seed: int) -> Path:
    """Seed PyTorch, make the folder."""
    torch.manual_seed(count("seed", seed, 0, MOST_SEED))
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    return target


def _schedule(steps: int, rate: float, average: float) -> Schedule:
    return Schedule(steps, rate, min(50, steps // 4), average=average, evaluate_every=max(1, min(200, steps)), clip=1.0)
