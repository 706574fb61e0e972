"""What each part of the translation is worth: short trainings that differ in one thing, judged on held-out clips.

Mask weights 0, 10, 20 and 40 and the bridge are the published ablation, weights both on our network and on the
published one with its loss; gates, inputs and the structural term are ours. Two more seeds show what chance does.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import count
from ...restoration.frame_channels import classical_fill, grey_of
from ...restoration.quality import fill_figures
from ..hardware import Hardware
from ..parameters import n_parameters
from .data import Clips, coverage_quartiles
from .recipe import (
    MASK_WEIGHTS,
    PUBLISHED,
    CoarseSettings,
    RefineSettings,
    refine_channels,
    train_coarse,
    train_refine,
    translated,
)


@dataclass(frozen=True)
class Judgement:
    """Figures of one variant on held-out clips; videos are judged with the result pasted into the input.

    Parameters
    ----------
    name : str
    parameters : int
    ssim_frame, ssim_mask : (4,) float
        Whole frame and inside the mask, by quartile of coverage.
        Means over clips.
    psnr_mask : float [dB]
    texture : float
        ``fine`` over ``fine_truth``: 1 is the truth's, less is blurred.
    flicker : float
        Grey levels; these three as in `FillFigures`, means over clips.
    """

    name: str
    parameters: int
    ssim_frame: tuple[float, ...]
    ssim_mask: tuple[float, ...]
    psnr_mask: float
    texture: float
    flicker: float

    @property
    def mean_ssim_mask(self) -> float:
        """Over the quartiles."""
        return float(np.mean(self.ssim_mask))

    def row(self) -> list[str]:
        """Cells of a table, as in `HEADER`."""
        quartiles = [f"{a:.3f} / {b:.3f}" for a, b in zip(self.ssim_frame, self.ssim_mask, strict=True)]
        rest = [f"{self.mean_ssim_mask:.3f}", f"{self.psnr_mask:.1f}", f"{self.texture:.2f}", f"{self.flicker:.1f}"]
        return [self.name, str(self.parameters), *quartiles, *rest]


HEADER = ("variant", "parameters", "Q1", "Q2", "Q3", "Q4", "SSIM in mask", "PSNR in mask", "texture", "flicker")


def judged(name: str, results: NDArray[np.floating[Any]], clips: Clips, parameters: int = 0) -> Judgement:
    """Judge grey results in [0, 1], (n, n_frames, n_rows, n_columns); only what is inside the mask is looked at."""
    truth = clips.bmode.astype(np.float32) / 255
    seen = grey_of(clips.color).astype(np.float32) / 255
    made = np.clip(np.where(clips.painted, results, seen), 0, 1).astype(np.float32)
    found = np.array([fill_figures(a, b, m) for a, b, m in zip(made, truth, clips.painted, strict=True)])
    quartile = coverage_quartiles(clips.coverage)
    by_quartile = [_means(found[quartile == k]) for k in range(1, 5)]
    psnr, fine, fine_truth, flicker = _means(found)[2:]
    return Judgement(
        name, parameters, tuple(q[0] for q in by_quartile), tuple(q[1] for q in by_quartile), psnr, fine / fine_truth,
        flicker,
    )  # fmt: skip


def _means(figures: NDArray[np.float64]) -> list[float]:
    """Of every column, over the clips where it is known; NaN where it is nowhere."""
    known = np.isfinite(figures)
    number = known.sum(axis=0)
    total = np.where(known, figures, 0).sum(axis=0)
    return [float(v) for v in np.where(number, total / np.maximum(number, 1), np.nan)]


def run_ablation(
    coarse: CoarseSettings,
    refine: RefineSettings,
    clips: Clips,
    validation: Clips,
    held_out: Clips,
    folder: Any,
    *,
    steps: int = 600,
    refine_steps: int = 300,
    seed: int = 0,
    resume: bool = False,
    show: bool = False,
    hardware: Hardware | None = None,
) -> list[Judgement]:
    """Train and judge all variants; the table goes to ``folder/ablation.md``, row by row.

    Parameters
    ----------
    coarse : CoarseSettings
        That variants differ from in one thing.
    refine : RefineSettings
    clips, validation : Clips
        To train on, and to look at meanwhile.
    held_out : Clips
        To judge on; of another seed than both.
    folder : path
    steps, refine_steps : int
        Of every coarse network and of every refinement.
    seed, resume, show, hardware : see `train`

    Returns
    -------
    list of Judgement
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    base = replace(coarse, steps=count("steps", steps, 1, 10**8))
    common: dict[str, Any] = {"resume": resume, "show": show, "hardware": hardware}
    rows: list[Judgement] = [judged("start (no network)", _started(held_out), held_out)]
    networks = {}
    for name, (settings, own_seed) in _variants(base, seed).items():
        network, _ = train_coarse(settings, clips, validation, target, _file(name), seed=own_seed, **common)
        networks[name] = network
        results = np.stack(
            [translated(network, settings.kind, c, m) for c, m in zip(held_out.color, held_out.painted, strict=True)]
        )
        rows.append(judged(name, results, held_out, n_parameters(network)))
        _write(rows, target / "ablation.md")
    for name, with_bridge, adversarial in (
        ("refined, with bridge", True, refine.adversarial),
        ("refined, without bridge", False, refine.adversarial),
        ("refined, with bridge, no adversary", True, 0.0),
    ):
        own = replace(refine, steps=refine_steps, with_bridge=with_bridge, adversarial=adversarial)
        own = own if adversarial else replace(own, perceptual=0.0)
        generator = train_refine(own, networks["base"], base.kind, clips, target, _file(name), seed=seed, **common)
        results = refined(generator, networks["base"], base.kind, with_bridge, held_out)
        rows.append(judged(name, results, held_out, n_parameters(generator)))
        _write(rows, target / "ablation.md")
    return rows


def _variants(base: CoarseSettings, seed: int) -> dict[str, tuple[CoarseSettings, int]]:
    """Settings and seed of every coarse network by name."""
    published = replace(PUBLISHED, steps=base.steps, batch=base.batch, size=base.size)
    weights = sorted({*MASK_WEIGHTS, PUBLISHED.mask_weight})
    own = {f"lambda {w:g}": replace(base, mask_weight=w) for w in MASK_WEIGHTS if w != base.mask_weight}
    others = {
        "plain convolutions" if base.gated else "gated convolutions": replace(base, gated=not base.gated),
        "without dissimilarity": replace(base, structure=0.0),
        **own,
        **{f"published, lambda {w:g}": replace(published, mask_weight=w) for w in weights},
        "published, plain": replace(published, gated=False),
    }
    again = {f"base, seed {seed + k}": (base, seed + k) for k in (1, 2)}
    return {"base": (base, seed), **again, **{name: (settings, seed) for name, settings in others.items()}}


def refined(generator: Any, coarse: Any, kind: str, with_bridge: bool, clips: Clips) -> NDArray[np.float32]:
    """Refine clips, (n, n_frames, n_rows, n_columns)."""
    import torch

    results = []
    for k in range(len(clips)):
        first = translated(coarse, kind, clips.color[k], clips.painted[k])
        grey = clips.bmode[k].astype(np.float32) / 255
        given = refine_channels(first[None], grey[None], clips.painted[k][None], with_bridge, seed=k)
        with torch.no_grad():
            results.append(generator.eval()(torch.from_numpy(given))[0, 0].numpy())
    return np.stack(results)


def _started(clips: Clips) -> NDArray[np.float32]:
    filled = [classical_fill(c, m) for c, m in zip(clips.color, clips.painted, strict=True)]
    return np.stack(filled).astype(np.float32) / np.float32(255)


def _file(name: str) -> str:
    return "ablation-" + "".join(c if c.isalnum() else "-" for c in name)


def _write(rows: list[Judgement], path: Path) -> None:
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    lines += ["| " + " | ".join(row.row()) + " |" for row in rows]
    path.write_text("\n".join(lines) + "\n")
