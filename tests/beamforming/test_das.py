"""Beamformer against its float64 twin: every option, sample type, grid and receive model."""

import numpy as np
import pytest

import sonoray
from sonoray import Beamformer, ChannelData, Grid, Probe, Sampling, SectorGrid, Transmit
from sonoray.beamforming.arrivals import Arrivals
from tests.reference.das import delay_and_sum

C0, FS, FC = 1540.0, 25e6, 5e6
# Times are float32: an index up to 1500 is off by up to 1e-4 samples, and white noise changes by its own size from one
# sample to the next. Sums over elements and transmits average that, so the norm of the error stays below.
TOLERANCE = 1e-4

LINEAR = Probe.linear(24, 0.3e-3, width=0.27e-3, center_frequency=FC)
GRIDS = {
    "2-D": Grid.from_extent(x=(-5e-3, 6e-3), z=(3e-3, 12e-3), spacing=(0.23e-3, 0.31e-3)),
    "3-D": Grid((5, 6, 17), (0.4e-3, 0.5e-3, 0.6e-3), (-1e-3, -1e-3, 4e-3)),
    "sector": SectorGrid(np.linspace(3e-3, 14e-3, 29), np.linspace(-0.6, 0.7, 23)),
    "one line": Grid((1, 101), (1e-3, 1e-4), (1e-3, 2e-3)),
    "one row": Grid((53, 1), (2e-4, 1e-3), (-5e-3, 9e-3)),
    "one point": Grid((1, 1), (1e-3, 1e-3), (1e-3, 9e-3)),
    "coarse": Grid((37, 7), (2e-3, 1.3e-3), (-36e-3, 1e-3)),  # neighbours do not share samples
}


class FreePoints:
    """Points in no order at all."""

    shape = (211,)

    def points(self):
        return np.random.default_rng(5).uniform([-6e-3, -1e-3, 2e-3], [6e-3, 1e-3, 12e-3], (211, 3))


GRIDS["free points"] = FreePoints()
PROBES = {
    "linear": LINEAR,
    "curvilinear": Probe.curvilinear(20, 0.4e-3, 15e-3, width=0.3e-3),
    "matrix": Probe.matrix(5, 4, 0.5e-3, width=0.4e-3),
    "ring": Probe.ring(17, 12e-3, width=1e-3),
    "one element": Probe.linear(1, 0.3e-3, width=0.2e-3),
}


def make_arrivals(rng, *, grid="2-D", probe="linear", n_tx=3, weights=False, table=False):
    grid, probe = GRIDS[grid], PROBES[probe]
    points = np.asarray(grid.points())
    angles = np.linspace(-0.2, 0.25, n_tx)
    time = np.stack([(points[..., 0] * np.sin(a) + points[..., 2] * np.cos(a)) / C0 for a in angles])
    options = {}
    if weights:
        weight = rng.uniform(0.2, 1.0, time.shape)
        weight[:, : weight.shape[1] // 2][rng.random(n_tx) < 0.5] = 0.0
        options["tx_weight"] = weight.astype(np.float32)
    if table:
        low, high = points.reshape(-1, 3).min(axis=0), points.reshape(-1, 3).max(axis=0)
        inner = low + 0.1 * (high - low)  # smaller than the image: clamped outside
        axes = (0, 1, 2) if np.ptp(points[..., 1]) > 0 else (0, 2)
        shape = (4, 3, 5) if len(axes) == 3 else (4, 6)
        spacing = [max(0.8 * (high - low)[a] / (n - 1), 1e-5) for a, n in zip(axes, shape, strict=True)]
        options["rx_grid"] = Grid(shape, tuple(spacing), tuple(inner[list(axes)]))
        options["rx_slowness"] = (1 / rng.uniform(1450, 1600, (probe.n_elements, *shape))).astype(np.float32)
    return Arrivals(grid, probe, time.astype(np.float32), sound_speed=C0, **options)


def make_samples(rng, arrivals, kind="float32", n_frames=1, n_samples=600):
    shape = (n_frames, arrivals.tx_time.shape[0], arrivals.probe.n_elements, n_samples)
    if kind == "int16":
        return rng.integers(-2000, 2000, shape).astype(np.int16)
    if kind == "int16 pairs":
        return rng.integers(-2000, 2000, (*shape, 2)).astype(np.int16)
    if kind == "complex64":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    return rng.standard_normal(shape).astype(np.float32)


def sampling_of(kind, n_samples=600, start_time=0.0):
    return Sampling(FS, n_samples, FC if kind in ("complex64", "int16 pairs") else 0.0, start_time)


def as_numbers(samples):
    return samples[..., 0] + 1j * samples[..., 1].astype(float) if samples.ndim == 5 else samples


def error(got, want):
    assert got.shape == want.shape
    scale = np.linalg.norm(want)
    assert scale > 0
    return np.linalg.norm(got - want) / scale


def run(beamform, samples, device):
    if device == "cpu":
        return beamform(samples)
    return sonoray.to_host(beamform(sonoray.to_device(samples, device)))


def check(arrivals, kind, samples, device, start_time=0.0, directivity=False, **options):
    sampling = sampling_of(kind, samples.shape[3], start_time)
    got = run(Beamformer(arrivals, sampling, device=device, directivity=directivity, **options), samples, device)
    twin = {k: v for k, v in options.items() if k != "device"}
    if directivity is not False:
        wavelengths = directivity if directivity is not True else arrivals.probe.width * FC / C0
        twin["wavelengths"] = wavelengths
    want = delay_and_sum(arrivals, sampling, as_numbers(samples), **twin)
    is_complex = kind in ("complex64", "int16 pairs") and options.get("compounding") != "incoherent"
    assert got.dtype == (np.complex64 if is_complex else np.float32)
    assert error(got, want) < TOLERANCE


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("kind", ["int16", "float32", "complex64", "int16 pairs"])
def test_sample_types(kind, interpolation, device, rng):
    arrivals = make_arrivals(rng)
    check(arrivals, kind, make_samples(rng, arrivals, kind), device, f_number=None, interpolation=interpolation)


@pytest.mark.parametrize("window", ["boxcar", "hann", "hamming", "tukey", ("tukey", 0.2)])
@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_windows(kind, window, device, rng):
    arrivals = make_arrivals(rng)
    check(arrivals, kind, make_samples(rng, arrivals, kind), device, f_number=1.2137, window=window)  # no ties


@pytest.mark.parametrize("compounding", ["coherent", "incoherent", "none"])
@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_compounding(kind, compounding, device, rng):
    arrivals = make_arrivals(rng, weights=True)
    check(
        arrivals, kind, make_samples(rng, arrivals, kind, n_frames=2), device, f_number=1.5137, compounding=compounding
    )


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_grids_and_receive_models(kind, grid, table, device, rng):
    arrivals = make_arrivals(rng, grid=grid, table=table)
    n_samples = 2600 if grid == "coarse" else 600
    check(arrivals, kind, make_samples(rng, arrivals, kind, n_samples=n_samples), device, f_number=0.0)


@pytest.mark.parametrize("probe", list(PROBES))
@pytest.mark.parametrize("grid", ["2-D", "3-D", "sector"])
def test_apertures_follow_the_normals(grid, probe, device, rng):
    arrivals = make_arrivals(rng, grid=grid, probe=probe)
    samples = make_samples(rng, arrivals, n_samples=900)
    check(arrivals, "float32", samples, device, f_number=0.7137, window="hann")


@pytest.mark.parametrize("directivity", [True, 0.9])
@pytest.mark.parametrize("f_number", [None, 1.0137])
def test_directivity(f_number, directivity, device, rng):
    arrivals = make_arrivals(rng)
    check(arrivals, "float32", make_samples(rng, arrivals), device, f_number=f_number, directivity=directivity)


@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_start_times_and_records_that_end_inside_the_image(kind, device, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, kind, n_samples=97)
    check(arrivals, kind, samples, device, start_time=np.array([7.03e-6, 8.1e-6, 6.0e-6]), f_number=None)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_shortest_records(n_samples, interpolation, device, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, n_samples=n_samples)
    check(arrivals, "float32", samples, device, start_time=8e-6, f_number=None, interpolation=interpolation)


def test_outside_the_record_is_zero(device, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, n_samples=50)
    for start_time in (-9e-3, 9e-2):
        image = run(Beamformer(arrivals, Sampling(FS, 50, 0.0, start_time), device=device), samples, device)
        assert not image.any()


def test_frames_batched_equal_one_at_a_time(device, rng):
    arrivals = make_arrivals(rng)
    samples = make_samples(rng, arrivals, "complex64", n_frames=5)
    beamform = Beamformer(arrivals, sampling_of("complex64"), device=device)
    image = run(beamform, samples, device)
    for f in range(5):
        np.testing.assert_array_equal(image[f], run(beamform, np.ascontiguousarray(samples[f : f + 1]), device)[0])


def test_linear(device, rng):
    arrivals = make_arrivals(rng)
    a, b = (make_samples(rng, arrivals) for _ in range(2))
    beamform = Beamformer(arrivals, sampling_of("float32"), device=device)
    both = run(beamform, 2 * a - 3 * b, device)
    np.testing.assert_allclose(
        both, 2 * run(beamform, a, device) - 3 * run(beamform, b, device), atol=1e-5 * np.abs(both).max()
    )


def test_points_at_elements(device):
    """The distance is zero there: the echo is sample 0 and nothing divides by it."""
    probe = Probe.linear(3, 1e-3, width=0.2e-3, center_frequency=FC)
    grid = Grid((3, 1), (1e-3, 1e-3), (-1e-3, 0.0))
    arrivals = Arrivals(grid, probe, np.zeros((1, 3, 1), np.float32), sound_speed=C0)
    samples = np.zeros((1, 1, 3, 8), np.float32)
    samples[..., 0] = [1, 2, 4]
    for options in ({"f_number": None}, {"f_number": 1.0}, {"f_number": 1.0, "window": "hann", "directivity": True}):
        image = run(Beamformer(arrivals, Sampling(FS, 8), device=device, **options), samples, device)
        np.testing.assert_allclose(image[0, :, 0], [1, 2, 4], rtol=1e-6)


def test_point_scatterer_appears_where_it_is():
    probe = Probe.linear(64, 0.3e-3)
    grid = Grid.from_extent(x=(-4e-3, 4e-3), z=(8e-3, 14e-3), spacing=0.1e-3)
    transmits = sonoray.plane_waves(np.deg2rad([-6, 0, 6]))
    target, t = np.array([1.2e-3, 0.0, 11.3e-3]), np.arange(800) / FS
    samples = np.zeros((1, 3, 64, 800), np.float32)
    for i, transmit in enumerate(transmits):
        arrival = (transmit.direction @ target + np.linalg.norm(probe.positions - target, axis=1)) / C0
        d = t - arrival[:, None]
        samples[0, i] = np.exp(-0.5 * (d / 0.15e-6) ** 2) * np.cos(2 * np.pi * FC * d)
    data = ChannelData(samples, probe, transmits, FS)
    image = Beamformer(sonoray.beamforming.arrivals.arrivals(transmits, probe, grid, C0), data)(data)
    at = np.unravel_index(np.abs(image[0]).argmax(), grid.shape)
    np.testing.assert_allclose((grid.x[at[0]], grid.z[at[1]]), (1.2e-3, 11.3e-3), atol=1e-9)


def test_transmit_of_one_element_uses_given_times(rng):
    """A free transmit is nothing special: only tx_time counts."""
    transmit = Transmit.single(3)
    grid = GRIDS["2-D"]
    arrivals = sonoray.beamforming.arrivals.arrivals([transmit], LINEAR, grid, C0)
    check(arrivals, "float32", make_samples(rng, arrivals), "cpu", f_number=None)


@pytest.mark.parametrize("n_frames", [4, 7, 32])
@pytest.mark.parametrize("compounding", ["coherent", "incoherent", "none"])
@pytest.mark.parametrize("kind", ["int16", "float32", "complex64", "int16 pairs"])
def test_frames_next_to_each_other(kind, compounding, n_frames, rng):
    arrivals = make_arrivals(rng, n_tx=2, weights=True)
    cube = make_samples(rng, arrivals, kind, n_frames=n_frames, n_samples=300)
    strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(cube, 0, 3)), 3, 0)
    assert strided.strides[0] == strided.itemsize * (2 if kind == "int16 pairs" else 1)
    for options in ({"f_number": 1.1137, "window": "hann"}, {"f_number": None, "interpolation": "cubic"}):
        beamform = Beamformer(arrivals, sampling_of(kind), compounding=compounding, **options)
        assert error(beamform(strided), beamform(cube)) < TOLERANCE
