"""Arrays of other libraries go in without a copy and results go back, by DLPack."""

import numpy as np
import pytest

import sonoray

RANDOM = np.random.default_rng(0)
LIBRARIES = ["torch", "jax.numpy", "array_api_strict"]


@pytest.fixture(params=LIBRARIES)
def library(request):
    return pytest.importorskip(request.param)


@pytest.fixture(scope="module")
def beamform():
    probe = sonoray.Probe.linear(8, 0.3e-3, center_frequency=5e6)
    grid = sonoray.Grid.from_extent(x=(-1e-3, 1e-3), z=(4e-3, 6e-3), spacing=2.5e-4)
    arrive = sonoray.arrivals(sonoray.plane_waves([-0.1, 0.1]), probe, grid, 1540.0)
    return sonoray.Beamformer(arrive, sonoray.Sampling(20e6, 220, demodulation_frequency=5e6))


def _samples(n_frames=2):
    values = RANDOM.standard_normal((2, n_frames, 2, 8, 220)).astype(np.float32)
    return values[0] + 1j * values[1]


def _given(library, values):
    """The same numbers as an array of a library."""
    return library.from_dlpack(values.copy())


def test_samples_in_and_images_back(library, beamform):
    samples = _samples()
    expected = beamform(samples)
    image = beamform(_given(library, samples))
    np.testing.assert_array_equal(image, expected)
    back = library.from_dlpack(image)
    assert tuple(back.shape) == image.shape
    np.testing.assert_array_equal(np.from_dlpack(back), expected)


def test_adjoint(library, beamform):
    image = beamform(_samples())
    np.testing.assert_array_equal(beamform.adjoint(_given(library, image)), beamform.adjoint(image))


def test_nouns_take_them(library):
    probe = sonoray.Probe.linear(8, 0.3e-3)
    same = sonoray.Probe(_given(library, np.array(probe.positions)))
    np.testing.assert_allclose(same.positions, probe.positions, rtol=1e-6)  # JAX has float32 only, unless told
    grid = sonoray.Grid.from_extent(x=(-1e-3, 1e-3), z=(4e-3, 6e-3), spacing=2.5e-4)
    speed = np.full(grid.shape, 1500.0, np.float32)
    assert np.array_equal(sonoray.Medium(grid, _given(library, speed)).sound_speed, speed)
    rf = RANDOM.standard_normal((1, 1, 8, 64)).astype(np.float32)
    data = sonoray.ChannelData(_given(library, rf), probe, sonoray.plane_waves(0.0), sampling_frequency=20e6)
    assert np.array_equal(data.samples, rf)


def test_nothing_is_copied():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros((1, 1, 8, 64))
    data = sonoray.ChannelData(tensor, sonoray.Probe.linear(8, 0.3e-3), sonoray.plane_waves(0.0), 20e6)
    tensor[0, 0, 3, 5] = 7
    assert data.samples[0, 0, 3, 5] == 7


def test_the_callers_tensor_is_written_and_returned(beamform):
    torch = pytest.importorskip("torch")
    samples = _samples()
    out = torch.empty((2, *beamform.arrivals.grid.shape), dtype=torch.complex64)
    assert beamform(torch.from_numpy(samples), out=out) is out
    np.testing.assert_array_equal(out.numpy(), beamform(samples))
    with pytest.raises(sonoray.ArgumentError, match="out: expected complex64"):
        beamform(samples, out=torch.empty((2, 3, 3)))


def test_what_cannot_be_written_is_refused(beamform):
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(sonoray.ArgumentError, match="out: expected a writable"):
        beamform(_samples(), out=jnp.zeros((2, *beamform.arrivals.grid.shape), "complex64"))


@pytest.mark.parametrize("spoil", ["gradient", "sparse", "conjugate"])
def test_what_cannot_be_shared_is_named(beamform, spoil):
    torch = pytest.importorskip("torch")
    good = torch.from_numpy(_samples())
    bad = {
        "gradient": lambda: good.clone().requires_grad_(),
        "sparse": lambda: good.to_sparse(),
        "conjugate": lambda: good.conj(),
    }[spoil]()
    with pytest.raises(sonoray.ArgumentError, match="samples: expected an array that can be shared by DLPack"):
        beamform(bad)


def test_plans_take_positions_of_any_library(library):
    grid = sonoray.Grid.from_extent(x=(-5e-3, 5e-3), z=(0.0, 1e-2), spacing=5e-4)
    solver = sonoray.EikonalSolver(sonoray.Medium(grid, 1500.0))
    sources = np.array([[0.0, 0.0, 1e-3]], np.float32)
    np.testing.assert_array_equal(solver(_given(library, sources)), solver(sources))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cupy", "torch"])
def test_device_arrays(beamform, name):
    """CUDA arrays of CuPy and torch go in, sonoray's come out and are theirs without a copy."""
    library = pytest.importorskip(name)
    if name == "torch" and not library.cuda.is_available():
        pytest.skip("torch without CUDA")
    samples = _samples()
    given = library.from_dlpack(sonoray.to_device(samples))
    on_device = sonoray.Beamformer(beamform.arrivals, beamform.sampling, device="cuda")
    image = library.from_dlpack(on_device(given))
    np.testing.assert_allclose(sonoray.to_host(image), beamform(samples), rtol=1e-4, atol=1e-4)


def test_device_arrays_are_refused_on_the_host_by_name(beamform):
    class OnDevice:
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **_):
            raise AssertionError("must not be asked")

    with pytest.raises(sonoray.DeviceError, match=r"samples: expected a host array .* sonoray.to_host"):
        beamform(OnDevice())


def test_libraries_are_not_imported():
    """Speaking DLPack needs none of them."""
    import subprocess
    import sys

    code = "import sonoray, sys; print([m for m in ('torch', 'jax', 'cupy', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
