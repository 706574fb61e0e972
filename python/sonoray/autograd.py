"""Travel times and delay-and-sum images as differentiable functions of torch tensors.

Tensors on the host share their memory with the compiled code where their type fits (float32 for times and RF, complex64
for I/Q); others are converted. On CUDA they are passed by DLPack, on the current stream.
"""

from functools import cache
from typing import Any

import numpy as np

from ._arrays import to_device
from .acquisition.channel_data import ChannelData
from .acquisition.probes import Probe
from .beamforming.arrivals import Arrivals
from .beamforming.das import Beamformer, Sampling
from .errors import ArgumentError, DeviceError, MissingExtraError
from .inversion.focus_criteria import aperture_mask, das_time_gradient
from .media.grids import Grid
from .rays.point_times import PointTimes

Tensor = Any


def travel_times(slowness: Tensor, point_times: PointTimes) -> Tensor:
    """Travel time of every pair, differentiable with respect to the slowness, backwards and forwards.

    Parameters
    ----------
    slowness : grid.shape tensor, real [s/m]
        On any device; maps are small and are solved from host memory.
    point_times : PointTimes
        Sources, points and kind of path.

    Returns
    -------
    (n, m) float32 tensor [s]
        On the device of ``point_times``.

    Raises
    ------
    ArgumentError
        Not a tensor, wrong shape, NaN, slowness in the wrong unit.
    MissingExtraError
        torch is not installed.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> slowness = torch.full(point_times.grid.shape, 1 / 1540, requires_grad=True)  # doctest: +SKIP
    >>> travel_times(slowness, point_times).sum().backward()  # doctest: +SKIP
    """
    torch = _torch()
    if not isinstance(point_times, PointTimes):
        raise ArgumentError(f"point_times: expected PointTimes, got {type(point_times).__name__}")
    _require_tensor(torch, "slowness", slowness)
    if slowness.is_complex():
        raise ArgumentError(f"slowness: expected real numbers, got {slowness.dtype}")
    return _functions()["travel_times"].apply(slowness, point_times)


def beamform(
    samples: Tensor,
    tx_time: Tensor,
    rx_time: Tensor,
    *,
    sampling: ChannelData | Sampling,
    probe: Probe,
    grid: Grid,
    f_number: float | None = None,
    interpolation: str = "cubic",
) -> Tensor:
    """Coherent delay-and-sum image, differentiable with respect to the samples and to the travel times.

    What a `Beamformer` gives whose arrivals are these times; all tensors on one device.

    Parameters
    ----------
    samples : (n_frames, n_tx, n_rx, n_samples) tensor
        Real (RF) or complex (I/Q).
    tx_time : (n_tx, *grid.shape) tensor [s]
        When the wave of each transmit passes each point.
    rx_time : (n_rx, *grid.shape) tensor [s]
        From each point to each element.
    sampling : ChannelData or Sampling
    probe : Probe
    grid : Grid
    f_number : float, optional
        Elements off a point's axis by more than depth / (2 f_number) do not count. Default: all count.
    interpolation : {"linear", "cubic"}
        Between samples. Derivatives with respect to times are continuous only with the cubic.

    Returns
    -------
    (n_frames, *grid.shape) tensor, float32 for RF or complex64 for I/Q

    Raises
    ------
    ArgumentError
        Not tensors, shapes that do not fit, RF for I/Q sampling or the reverse, times in the wrong unit.
    DeviceError
        Tensors on different devices.
    MissingExtraError
        torch is not installed.
    """
    torch = _torch()
    sampled = Sampling.of(sampling)
    for name, tensor in (("samples", samples), ("tx_time", tx_time), ("rx_time", rx_time)):
        _require_tensor(torch, name, tensor)
        if tensor.device != samples.device:
            raise DeviceError(f"{name}: expected a tensor on {samples.device}, as the samples, got {tensor.device}")
    if samples.is_complex() != (sampled.demodulation_frequency > 0):
        wanted = "complex numbers (I/Q)" if sampled.demodulation_frequency > 0 else "real numbers (RF)"
        raise ArgumentError(f"samples: expected {wanted} with this sampling, got {samples.dtype}")
    if samples.dim() != 4 or 0 in samples.shape:
        raise ArgumentError(f"samples: expected shape (n_frames, n_tx, n_rx, n_samples), got {tuple(samples.shape)}")
    if samples.shape[3] != sampled.n_samples:
        raise ArgumentError(
            f"samples: expected {sampled.n_samples} per trace with this sampling, got {samples.shape[3]}"
        )
    for name, tensor, n in (("tx_time", tx_time, samples.shape[1]), ("rx_time", rx_time, probe.n_elements)):
        if tuple(tensor.shape) != (n, *grid.shape):
            raise ArgumentError(f"{name}: expected shape {(n, *grid.shape)}, got {tuple(tensor.shape)}")
    image = _Image(sampled, probe, grid, f_number, interpolation)
    return _functions()["beamform"].apply(samples, tx_time, rx_time, image)


class _Image:
    """What stays fixed in `beamform`, and its compiled calls on arrays of one place."""

    def __init__(
        self, sampling: Sampling, probe: Probe, grid: Grid, f_number: float | None, interpolation: str
    ) -> None:
        self.sampling, self.probe, self.grid = sampling, probe, grid
        self.f_number, self.interpolation = f_number, interpolation
        points = grid.points().reshape(-1, 3)
        self.distance = np.linalg.norm(points - probe.positions[:, None], axis=-1).reshape(-1, *grid.shape)
        self.mask = aperture_mask(probe, points, f_number, 0) if f_number else None

    def beamformer(self, tx_time: Any, rx_time: Any, device: str) -> Beamformer:
        """Receive times as a table whose nodes are the points; where an element is, any slowness will do."""
        here = self.distance < 1e-9
        mean = np.where(here, 1 / 1540.0, rx_time / np.where(here, 1.0, self.distance))
        arrivals = Arrivals(self.grid, self.probe, tx_time, rx_slowness=mean, rx_grid=self.grid)
        return Beamformer(
            arrivals, self.sampling, f_number=self.f_number, interpolation=self.interpolation, device=device
        )

    def time_slopes(self, samples: Any, cotangent: Any, times: tuple[Any, Any], device: str, stream: Any) -> Any:
        """Derivatives of one frame's image with respect to both times, (n, n_points)."""
        weight = self.mask if self.mask is None or device == "cpu" else to_device(self.mask, device, stream=stream)
        return das_time_gradient(
            samples,
            cotangent,
            *times,
            sampling_frequency=self.sampling.sampling_frequency,
            demodulation_frequency=self.sampling.demodulation_frequency,
            start_time=self.sampling.start_time,
            rx_weight=weight,
            interpolation=self.interpolation,
            device=device,
            stream=stream,
        )


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch is not installed: pip install 'sonoray[train]'") from error
    return torch


def _require_tensor(torch: Any, name: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise ArgumentError(f"{name}: expected a torch tensor, got {type(value).__name__}")


def _host(tensor: Tensor) -> Any:
    """As a NumPy array, sharing memory if the tensor is on the host."""
    return tensor.detach().cpu().numpy()


def _native(tensor: Tensor, dtype: Any) -> Any:
    """Contiguous and of the compiled code's type, as what its place takes: NumPy on the host, the tensor on CUDA."""
    held = tensor.detach().to(dtype).resolve_conj().resolve_neg().contiguous()
    return held.numpy() if held.device.type == "cpu" else held


def _place(torch: Any, tensor: Tensor) -> tuple[str, Any]:
    """Device name of sonoray, and the stream to queue behind."""
    if tensor.device.type == "cpu":
        return "cpu", None
    if tensor.device.type != "cuda":
        raise DeviceError(f"tensor: expected one on the CPU or CUDA, got one on {tensor.device}")
    return f"cuda:{tensor.device.index or 0}", torch.cuda.current_stream(tensor.device).cuda_stream


@cache
def _functions() -> dict[str, Any]:
    """The autograd functions; classes of torch's can only be made once it is there."""
    torch = _torch()

    def tensor_of(value: Any) -> Tensor:
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else torch.from_dlpack(value)

    def stream_of(device: str) -> Any:
        return None if device == "cpu" else torch.cuda.current_stream(torch.device(device)).cuda_stream

    class TravelTimes(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, slowness: Tensor, point_times: PointTimes) -> Tensor:
            ctx.save_for_backward(slowness)
            ctx.save_for_forward(slowness)
            ctx.point_times = point_times
            return tensor_of(point_times(_host(slowness), stream=stream_of(point_times.device)))

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[misc, untyped-decorator]
        def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
            (slowness,) = ctx.saved_tensors
            given = _native(cotangent, torch.float32)
            stream = stream_of(ctx.point_times.device)
            gradient = ctx.point_times.gradient(_host(slowness), given, stream=stream)
            return torch.from_numpy(gradient).to(slowness), None

        @staticmethod
        def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
            (slowness,) = ctx.saved_tensors
            stream = stream_of(ctx.point_times.device)
            return tensor_of(ctx.point_times.derivative(_host(slowness), _host(tangent), stream=stream))

    class Beamform(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, samples: Tensor, tx_time: Tensor, rx_time: Tensor, image: _Image) -> Tensor:
            device, stream = _place(torch, samples)
            beamformer = image.beamformer(_host(tx_time), _host(rx_time), device)
            ctx.save_for_backward(samples, tx_time, rx_time)
            ctx.image, ctx.beamformer = image, beamformer
            kind = torch.complex64 if beamformer.is_iq else torch.float32
            return tensor_of(beamformer(_native(samples, kind), stream=stream))

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[misc, untyped-decorator]
        def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
            samples, tx_time, rx_time = ctx.saved_tensors
            device, stream = _place(torch, samples)
            kind = torch.complex64 if ctx.beamformer.is_iq else torch.float32
            gradient = None
            if ctx.needs_input_grad[0]:
                back = ctx.beamformer.adjoint(_native(cotangent, kind), stream=stream)
                gradient = tensor_of(back).to(samples.dtype)
            if not any(ctx.needs_input_grad[1:3]):
                return gradient, None, None, None
            times = tuple(_native(t.flatten(1), torch.float32) for t in (tx_time, rx_time))
            kind = kind if device == "cpu" else torch.complex64
            slopes = [torch.zeros_like(t) for t in (tx_time, rx_time)]
            for frame, g in zip(samples, cotangent, strict=True):
                found = ctx.image.time_slopes(_native(frame, kind), _native(g.flatten(), kind), times, device, stream)
                for total, slope in zip(slopes, found, strict=True):
                    total.add_(tensor_of(slope).view_as(total))
            return gradient, slopes[0], slopes[1], None

    return {"travel_times": TravelTimes, "beamform": Beamform}
