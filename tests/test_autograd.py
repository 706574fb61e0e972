"""Differentiable travel times and images in torch: gradients against differences, shared memory, refusals."""

import builtins

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, Grid, MissingExtraError, Probe, Sampling
from sonoray.autograd import _torch, beamform, travel_times
from sonoray.rays.point_times import PointTimes

torch = pytest.importorskip("torch")
# torch's own, when forward-mode derivatives are first used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

MAP = Grid((7, 8), (2e-3, 1.5e-3), (-0.006, 0.0))
IMAGE = Grid((5, 6), (0.4e-3, 0.5e-3), (-0.8e-3, 8e-3))
PROBE = Probe.linear(5, 0.4e-3)
C0, FD, FS = 1540.0, 2.5e6, 10e6


@pytest.fixture
def where(device):
    """Device names of both: ours and torch's."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch without CUDA")
    return device


def point_times(rng, path, device="cpu", n=3, m=4):
    low, high = np.array(MAP.extent).T
    at = rng.uniform(low, high, (n + m, 2))
    positions = np.c_[at[:, 0], np.zeros(n + m), at[:, 1]]
    return PointTimes(MAP, positions[:n], positions[n:], path=path, device=device)


def sampling(iq=True, n_samples=160):
    return Sampling(FS, n_samples, FD if iq else 0.0, start_time=8e-6)


def image_case(rng, device, iq=True, n_frames=2, dtype=None):
    """Smooth noise and times near those of single elements in a homogeneous medium."""
    shape = (n_frames, 3, 5, 160)
    noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    samples = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(9), "same"), 3, noise)
    travel = np.linalg.norm(IMAGE.points() - PROBE.positions[:, None, None], axis=-1) / C0
    tensors = [samples if iq else samples.real, travel[:3], travel]
    kinds = [np.complex64 if iq else np.float32, np.float32, np.float32]
    return [torch.from_numpy(np.ascontiguousarray(t, k)).to(device) for t, k in zip(tensors, kinds, strict=True)]


@pytest.mark.parametrize("path", ["straight", "eikonal"])
def test_travel_times_backwards_and_forwards(path, where, rng):
    times = point_times(rng, path, where)
    values = (1 + 0.03 * rng.standard_normal(MAP.shape)) / C0
    slowness = torch.tensor(values, dtype=torch.float64, requires_grad=True, device=where)
    result = travel_times(slowness, times)
    assert result.dtype == torch.float32
    assert result.device.type == where
    host = sonoray.to_host(times(values))
    assert np.array_equal(result.detach().cpu().numpy(), host)
    weight = torch.tensor(rng.standard_normal(times.shape), dtype=torch.float32, device=where)
    (result * weight).sum().backward()
    given = weight.cpu().numpy() if where == "cpu" else weight
    assert np.array_equal(slowness.grad.cpu().numpy(), times.gradient(values, given))
    change = torch.tensor(0.01 * values * rng.standard_normal(MAP.shape), device=where)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(slowness.detach(), change)
        tangent = torch.autograd.forward_ad.unpack_dual(travel_times(dual, times)).tangent
    assert float((tangent * weight).sum()) == pytest.approx(float((slowness.grad * change).sum()), rel=1e-4)


def test_gradcheck_of_straight_times(rng):
    """In units that make slowness and times of order one; times are float32, so steps are large: they are linear."""
    times = point_times(rng, "straight")
    x = torch.tensor(1 + 0.1 * rng.random(MAP.shape), dtype=torch.float64, requires_grad=True)

    def scaled(x):
        return (travel_times(x / C0, times) * 1e6).double()

    assert torch.autograd.gradcheck(scaled, (x,), eps=0.05, atol=2e-4, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("iq", [True, False], ids=["iq", "rf"])
@pytest.mark.parametrize("f_number", [None, 1.5])
def test_image_and_its_derivatives(iq, f_number, where, rng):
    """The gradient in the samples is linear and exact; in the times against differences of 1 ns, 1/400 of a period."""
    tensors = image_case(rng, where, iq)
    options = {"sampling": sampling(iq), "probe": PROBE, "grid": IMAGE, "f_number": f_number}
    for t in tensors:
        t.requires_grad_()
    image = beamform(*tensors, **options)
    assert image.shape == (2, *IMAGE.shape)
    weight = torch.from_numpy(rng.standard_normal(image.shape)).to(image)
    weight = weight * (1 + 1j) if iq else weight
    (weight.conj() * image).sum().real.backward()

    def loss(samples, tx_time, rx_time):
        with torch.no_grad():
            return float((weight.conj() * beamform(samples, tx_time, rx_time, **options)).sum().real)

    held = [t.detach() for t in tensors]
    for k, tolerance in ((0, 1e-4), (1, 1e-2), (2, 1e-2)):
        step = 1.0 if k == 0 else 1e-9
        direction = torch.from_numpy(rng.standard_normal(held[k].shape)).to(held[k])
        moved = [[h + sign * step * direction if i == k else h for i, h in enumerate(held)] for sign in (1, -1)]
        difference = (loss(*moved[0]) - loss(*moved[1])) / (2 * step)
        found = float((tensors[k].grad.conj() * direction).sum().real)
        assert found == pytest.approx(difference, abs=tolerance * float(torch.linalg.norm(tensors[k].grad)))


def test_gradcheck_of_an_image_in_its_samples(rng):
    """Few samples, since gradcheck moves each; float32 inside, so steps are large: the image is linear in them."""
    _, tx_time, rx_time = image_case(rng, "cpu", n_frames=1)
    samples = torch.zeros((1, 3, 5, 40), dtype=torch.complex128, requires_grad=True)
    options = {"sampling": sampling(n_samples=40), "probe": PROBE, "grid": Grid((1, 3), 4e-4, (0.0, 8e-3))}

    def image(samples):
        return beamform(samples, tx_time[:, :1, :3], rx_time[:, :1, :3], **options).to(torch.complex128)

    assert torch.autograd.gradcheck(image, (samples,), eps=1.0, atol=1e-4, rtol=1e-5, fast_mode=True)


def test_from_map_to_image():
    """The chain that autofocus descends: slowness, times, image, brightness. Seen: 3e-4."""
    rng = np.random.default_rng(0)  # a speckle whose brightness does change in that direction
    grid = Grid((25, 41), 5e-4, (-0.006, 0.0))
    times = PointTimes(grid, PROBE.positions, IMAGE.points().reshape(-1, 3))
    samples = image_case(rng, "cpu")[0]
    values = torch.full(grid.shape, 1 / C0, dtype=torch.float64, requires_grad=True)

    def brightness(slowness):
        travel = travel_times(slowness, times).view(-1, *IMAGE.shape)
        return beamform(samples, travel[:3], travel, sampling=sampling(), probe=PROBE, grid=IMAGE).abs().double().mean()

    loss = brightness(values)
    loss.backward()
    change = 1e-3 / C0 * torch.from_numpy(np.cos(300 * grid.points()[..., 2]))
    with torch.no_grad():
        difference = float(brightness(values + change) - brightness(values - change)) / 2
    assert float((values.grad * change).sum()) == pytest.approx(difference, rel=3e-3)


def test_host_tensors_share_their_memory(rng, monkeypatch):
    """What the compiled code reads is the tensor's own memory."""
    tensors = image_case(rng, "cpu")
    seen, original = [], sonoray.Beamformer.__call__

    def spy(self, samples, **options):
        seen.append(samples.ctypes.data)
        return original(self, samples, **options)

    monkeypatch.setattr(sonoray.Beamformer, "__call__", spy)
    beamform(*tensors, sampling=sampling(), probe=PROBE, grid=IMAGE)
    assert seen == [tensors[0].data_ptr()]


def test_refusals(rng):
    samples, tx_time, rx_time = image_case(rng, "cpu")
    options = {"sampling": sampling(), "probe": PROBE, "grid": IMAGE}
    with pytest.raises(ArgumentError, match="samples: expected a torch tensor, got ndarray"):
        beamform(samples.numpy(), tx_time, rx_time, **options)
    with pytest.raises(ArgumentError, match=r"samples: expected complex numbers \(I/Q\)"):
        beamform(samples.real, tx_time, rx_time, **options)
    with pytest.raises(ArgumentError, match="samples: expected 160 per trace"):
        beamform(samples[..., :100], tx_time, rx_time, **options)
    with pytest.raises(ArgumentError, match="samples: expected shape"):
        beamform(samples[0], tx_time, rx_time, **options)
    with pytest.raises(ArgumentError, match="rx_time: expected shape"):
        beamform(samples, tx_time, tx_time, **options)
    with pytest.raises(ArgumentError, match="tx_time: expected values"):
        beamform(samples, tx_time * 1e6, rx_time, **options)
    with pytest.raises(ArgumentError, match="point_times: expected PointTimes, got str"):
        travel_times(tx_time, "times")
    times = point_times(rng, "straight")
    with pytest.raises(ArgumentError, match="slowness: expected values"):
        travel_times(torch.full(MAP.shape, C0), times)
    with pytest.raises(ArgumentError, match="slowness: expected real numbers"):
        travel_times(torch.full(MAP.shape, 1j), times)


def test_without_torch(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **options):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'sonoray\[train\]'"):
        _torch()
