"""Where a training runs: devices, precision, several processes; through lightning-fabric where there is a choice."""

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import count, option
from ..errors import ArgumentError, DeviceError, MissingExtraError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def is_first() -> bool:
    """Return whether this process is the one that writes: rank 0, or the only one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"  # set for processes not joined yet


@dataclass(frozen=True)
class Hardware:
    """What a training runs on.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        "auto" takes CUDA where PyTorch has it.
    n_devices : int
        One process each. Each draws its own batches, gradients are averaged (data parallel), rank 0 evaluates and
        writes. Processes that torchrun started are joined, otherwise Fabric starts the running script again for each
        further device.
    precision : {"32-true", "bf16-mixed", "16-mixed"}
        "mixed": what may be multiplied in 16 bits is; weights stay in 32. "16-mixed" scales losses and needs CUDA.

    Raises
    ------
    ArgumentError
    """

    device: str = "auto"
    n_devices: int = 1
    precision: str = "32-true"

    def __post_init__(self) -> None:
        option("device", self.device, DEVICES)
        count("n_devices", self.n_devices, 1, 1024)
        option("precision", self.precision, PRECISIONS)

    def check(self) -> str:
        """Refuse what is not there, before any work; returns the device that "auto" is.

        Raises
        ------
        ArgumentError
            A precision that the device has not.
        DeviceError
            CUDA asked for and not there, or fewer devices.
        MissingExtraError
            lightning-fabric is needed (all but one CPU at full precision) and not installed.
        """
        available = torch.cuda.device_count() if torch.cuda.is_available() else 0
        device = self.device if self.device != "auto" else "cuda" if available else "cpu"
        if device == "cuda" and available < self.n_devices:
            raise DeviceError(f"device 'cuda': expected {self.n_devices} that PyTorch can use, found {available}")
        if device == "cpu" and self.precision == "16-mixed":
            raise ArgumentError("precision: expected '32-true' or 'bf16-mixed' on 'cpu', got '16-mixed'")
        if not self._plain(device) and importlib.util.find_spec("lightning_fabric") is None:
            raise MissingExtraError(
                "devices other than one CPU and mixed precision need lightning-fabric: pip install 'sonoray[train]'"
            )
        return device

    def _plain(self, device: str) -> bool:
        return (device, self.n_devices, self.precision) == ("cpu", 1, "32-true")

    def processor(self) -> "Processor":
        """Return what carries out the steps; refuses what `check` does."""
        device = self.check()
        if self._plain(device):
            return Processor()
        return _FabricProcessor(device, self.n_devices, self.precision)


class Processor:
    """One CPU at full precision; importing Fabric would take longer than many a small training."""

    device = torch.device("cpu")
    rank, n_ranks = 0, 1

    def seed(self, seed: int, step: int) -> np.random.Generator:
        """Return this rank's generator of a step, and seed PyTorch's own from it."""
        sequence = np.random.SeedSequence([seed, step, self.rank])
        number = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
        # Not torch.manual_seed: on a CPU it costs half a millisecond.
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)
        return np.random.default_rng([seed, step, self.rank])

    def place(self, module: nn.Module) -> None:
        """Move a module here and make all ranks begin with the same weights."""
        module.to(self.device)

    def optimizer(self, optimizer: Any) -> Any:
        """Return an optimiser fit for this precision."""
        return optimizer

    def autocast(self) -> Any:
        """Return the context of forward passes."""
        return contextlib.nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients."""
        if loss.requires_grad:  # else the loss has done so itself
            loss.backward()  # type: ignore[no-untyped-call]

    def average(self, parameters: Iterable[Tensor]) -> None:
        """Average gradients over all ranks."""

    def clip(self, module: nn.Module, optimizer: Any, norm: float) -> None:
        """Limit the norm of all gradients together."""
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], norm)

    def any(self, flag: bool) -> bool:
        """Return whether any rank says so."""
        return flag

    def same(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        return value

    def mean(self, value: float) -> float:
        """Return the mean over all ranks."""
        return value

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs (the scale of losses)."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


class _FabricProcessor(Processor):
    """Fabric's devices, precision and processes.

    Losses close over their modules, so these are not wrapped: gradients are averaged after the backward pass, all in
    one message, which is what DistributedDataParallel does in several.
    """

    def __init__(self, device: str, n_devices: int, precision: str) -> None:
        from lightning_fabric import Fabric

        strategy = "ddp" if n_devices > 1 else "auto"
        mixed: Any = precision
        self.fabric: Any = Fabric(accelerator=device, devices=n_devices, strategy=strategy, precision=mixed)
        if n_devices > 1:
            self.fabric.launch()
        self.device, self.rank, self.n_ranks = self.fabric.device, self.fabric.global_rank, self.fabric.world_size
        self._scaled = precision == "16-mixed"

    def place(self, module: nn.Module) -> None:
        super().place(module)
        if self.n_ranks > 1:
            tensors = list(module.state_dict().values())
            for kind in {tensor.dtype: None for tensor in tensors}:  # in order, the same on every rank
                alike = [tensor for tensor in tensors if tensor.dtype == kind]
                flat = torch.cat([tensor.flatten() for tensor in alike])
                torch.distributed.broadcast(flat, 0)
                for tensor, part in zip(alike, flat.split([t.numel() for t in alike]), strict=True):
                    tensor.copy_(part.view_as(tensor))

    def optimizer(self, optimizer: Any) -> Any:
        return self.fabric.setup_optimizers(optimizer)

    def autocast(self) -> Any:
        return self.fabric.autocast()

    def backward(self, loss: Tensor) -> None:
        if loss.requires_grad:
            self.fabric.backward(loss)
        elif self._scaled:
            raise ArgumentError("precision: expected another than '16-mixed' for a loss that calls backward itself")

    def average(self, parameters: Iterable[Tensor]) -> None:
        if self.n_ranks == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = self.fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="mean")
        for p, part in zip(trained, flat.split([g.numel() for g in gradients]), strict=True):
            p.grad = part.view_as(p)

    def clip(self, module: nn.Module, optimizer: Any, norm: float) -> None:
        # Gradients that overflowed are for the scaler, which leaves the step out.
        self.fabric.clip_gradients(module, optimizer, max_norm=norm, error_if_nonfinite=False)

    def any(self, flag: bool) -> bool:
        if self.n_ranks == 1:
            return flag
        return bool(self.fabric.all_reduce(torch.tensor(float(flag), device=self.device), reduce_op="sum") > 0)

    def same(self, value: Any) -> Any:
        return self.fabric.broadcast(value) if self.n_ranks > 1 else value

    def mean(self, value: float) -> float:
        if self.n_ranks == 1:
            return value
        return float(self.fabric.all_reduce(torch.tensor(value, device=self.device), reduce_op="mean"))

    def state(self) -> dict[str, Any]:
        return dict(self.fabric.strategy.precision.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        self.fabric.strategy.precision.load_state_dict(state)
