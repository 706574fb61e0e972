"""Receive apertures against the float64 twin: windows, steered axes, weights of elements, rows and columns, lenses."""

from dataclasses import replace

import numpy as np
import pytest

from sonoray import (
    ArgumentError,
    Beamformer,
    ChannelData,
    Grid,
    Medium,
    Probe,
    Sampling,
    SectorGrid,
    Transmit,
    arrivals,
    focused_lines,
    orthogonal_plane_waves,
    orthogonal_receivers,
    plane_waves,
)
from tests.beamforming.test_das import error, make_samples, run
from tests.reference.das import delay_and_sum, lens_delay

C0, FS, FC = 1540.0, 25e6, 5e6
TOLERANCE = 1e-4  # as in test_das; windows from tables are within 1e-5
GRID = Grid.from_extent(x=(-6e-3, 6e-3), z=(3e-3, 13e-3), spacing=(0.73e-3, 0.61e-3))
VOLUME = Grid((5, 6, 13), (1.1e-3, 0.9e-3, 0.7e-3), (-2.2e-3, -2e-3, 4e-3))
SECTOR = SectorGrid(np.linspace(4e-3, 13e-3, 31), np.linspace(-0.6, 0.7, 17))
LINEAR = Probe.linear(24, 0.3e-3, width=0.27e-3, center_frequency=FC)
ROWS = Probe.row_column(7, 9, 0.6e-3, width=0.5e-3, center_frequency=FC)


def check(times, device, rng, *, twin=None, kind="complex64", n_frames=1, frames_last=False, **options):
    """Beamformer and twin on noise; ``twin`` holds the twin's names for options of another kind."""
    samples = make_samples(rng, times, kind, n_frames)
    if frames_last:
        samples = np.moveaxis(np.ascontiguousarray(np.moveaxis(samples, 0, -1)), -1, 0)
    sampling = Sampling(FS, 600, FC if kind == "complex64" else 0.0)
    got = run(Beamformer(times, sampling, device=device, **options), samples, device)
    same = {k: v for k, v in options.items() if k not in ("aperture_axis", "device")}
    want = delay_and_sum(times, sampling, samples, **{**same, **(twin or {})})
    assert error(got, want) < TOLERANCE


@pytest.mark.parametrize("kind", ["float32", "complex64"])
@pytest.mark.parametrize("window", ["blackman", ("kaiser", 4.5), lambda u: 1 - 0.7 * u + 0.1 * u**3])
def test_windows_from_tables(window, kind, device, rng):
    check(arrivals(plane_waves([0.0, 0.1]), LINEAR, GRID, C0), device, rng, window=window, kind=kind, f_number=1.2137)


def test_window_from_values_is_linear_between_them(device, rng):
    values = np.array([1.0, 0.2, 0.8, -0.1])
    times = arrivals(plane_waves([0.1]), LINEAR, GRID, C0)
    between = lambda u: np.interp(u, np.linspace(0, 1, 4), values)  # noqa: E731
    check(times, device, rng, window=values, twin={"window": between}, f_number=1.0137)


def test_table_of_a_hann_window_equals_the_formula(device, rng):
    times = arrivals(plane_waves([0.1]), LINEAR, GRID, C0)
    samples = make_samples(rng, times, "complex64")
    a, b = (
        run(Beamformer(times, Sampling(FS, 600, FC), window=w, device=device), samples, device)
        for w in ("hann", lambda u: 0.5 + 0.5 * np.cos(np.pi * u))
    )
    assert error(a, b) < 2e-5


ORIGINS = np.array([[-np.sin(0.2), 0, -np.cos(0.2), 0], [0, 0, -1.0, 0], [-np.sin(-0.3), 0, -np.cos(-0.3), 0]])


@pytest.mark.parametrize("frames_last", [False, True])
@pytest.mark.parametrize("compounding", ["coherent", "incoherent", "none"])
def test_aperture_follows_the_beams(compounding, frames_last, device, rng):
    times = arrivals(plane_waves([0.2, 0.0, -0.3]), LINEAR, GRID, C0)
    options = {"window": "hann", "f_number": 1.4, "compounding": compounding, "n_frames": 5}
    options["frames_last"] = frames_last
    check(times, device, rng, aperture_axis="beam", twin={"axes": ORIGINS}, **options)


@pytest.mark.parametrize("probe", [LINEAR, Probe.curvilinear(20, 0.4e-3, 15e-3), Probe.matrix(5, 4, 0.7e-3)])
def test_aperture_along_one_direction(probe, device, rng):
    grid = VOLUME if probe.kind == "matrix" else GRID
    times = arrivals(plane_waves([0.0, 0.1]), probe, grid, C0)
    direction = np.array([0.3, 0.1, 0.9])
    twin = {"axes": [np.append(-direction, 0)]}
    check(times, device, rng, aperture_axis=direction, twin=twin, window="hamming", f_number=0.9, interpolation="cubic")


def test_aperture_follows_sources_and_lines(device, rng):
    sources = [[1e-3, 0, -8e-3], [-2e-3, 0, -5e-3]]
    times = arrivals([Transmit.diverging(s) for s in sources], LINEAR, SECTOR, C0)
    options = {"window": "hann", "f_number": 1.2}
    check(times, device, rng, aperture_axis="beam", twin={"axes": [[*s, 1] for s in sources]}, **options)
    check(times, device, rng, aperture_axis="line", twin={"axes": [[0, 0, 0, 1]]}, **options)
    lines = focused_lines(LINEAR, 3, 9e-3)  # apertures of the outer ones are cut: their beams come from inside
    times = arrivals(lines, LINEAR, GRID, C0)
    axes = [np.append(LINEAR.positions[t.apodization > 0].mean(axis=0) - t.focus, 0) for t in lines]
    assert abs(axes[0][0]) > 5e-4
    check(times, device, rng, aperture_axis="beam", twin={"axes": axes}, **options)


def test_steered_aperture_is_centred_where_the_beam_meets_the_array():
    """A wide array of one element at a time: only those around the foot of the steered axis hear a point."""
    probe = Probe.linear(81, 0.25e-3)
    angle, point = 0.4, np.array([3e-3, 0, 10e-3])
    grid = Grid((1, 1), (1e-3, 1e-3), (point[0], point[2]))
    times = arrivals(Transmit.plane(angle), probe, grid, C0)
    heard = []
    for e in range(81):
        only = np.eye(81)[e]
        plan = Beamformer(times, Sampling(FS, 900), aperture_axis="beam", f_number=2.0, element_weights=only)
        heard.append(plan(np.ones((1, 1, 81, 900), np.float32)).item() > 0)
    x = probe.positions[heard, 0]
    foot = point[0] - point[2] * np.tan(angle)
    half = point[2] / np.cos(angle) / (2 * 2.0)
    assert abs(x.mean() - foot) < probe.pitch
    assert abs(np.ptp(x) - 2 * half) < 2 * probe.pitch


def test_weights_of_elements(device, rng):
    times = arrivals(plane_waves([0.0, 0.1, 0.2]), LINEAR, GRID, C0)
    same, each = rng.uniform(-1, 1, 24), rng.uniform(-1, 1, (3, 24))
    same[[3, 7]] = each[0, :12] = each[2, 12:] = 0
    for weights in (same, each):
        for kind in ("float32", "complex64"):
            check(times, device, rng, element_weights=weights, f_number=None, kind=kind)
    check(times, device, rng, element_weights=each, n_frames=4, frames_last=True, f_number=1.5137)


@pytest.mark.parametrize("options", [{"f_number": None}, {"window": "hann", "f_number": 0.8, "directivity": 2.0}])
def test_rows_and_columns(options, device, rng):
    sequence = orthogonal_plane_waves(ROWS, [-0.1, 0.15])
    times = arrivals(sequence, ROWS, VOLUME, C0)
    weights = orthogonal_receivers(sequence, ROWS)
    np.testing.assert_array_equal(weights.sum(axis=1), [9, 9, 7, 7])
    twin = {"wavelengths": options["directivity"]} if "directivity" in options else {}
    plan = dict(options)
    samples = make_samples(rng, times, "complex64")
    got = run(Beamformer(times, Sampling(FS, 600, FC), element_weights=weights, device=device, **plan), samples, device)
    plan.pop("directivity", None)
    want = delay_and_sum(times, Sampling(FS, 600, FC), samples, element_weights=weights, **plan, **twin)
    assert error(got, want) < TOLERANCE


def test_rows_and_columns_steer_across_themselves_only(device, rng):
    times = arrivals(orthogonal_plane_waves(ROWS, [0.2]), ROWS, VOLUME, C0)
    axes = [[0, -np.sin(0.2), -np.cos(0.2), 0], [-np.sin(0.2), 0, -np.cos(0.2), 0]]
    check(times, device, rng, aperture_axis="beam", twin={"axes": axes}, window="hann", f_number=0.8)


def lensed(speed, **options):
    return Probe.linear(24, 0.3e-3, lens_thickness=0.9e-3, lens_sound_speed=speed, **options)


@pytest.mark.parametrize("speed", [1000.0, 2200.0])
@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_lens_on_receive(speed, kind, device, rng):
    times = arrivals(plane_waves([0.0, 0.1]), lensed(speed), GRID, C0)
    check(times, device, rng, f_number=None, kind=kind)
    check(times, device, rng, f_number=1.0, window="hann", kind=kind)


@pytest.mark.parametrize("speed", [1000.0, 2200.0])
def test_lens_on_transmit(speed):
    probe = lensed(speed)
    points = GRID.points().reshape(-1, 3)
    time = arrivals(Transmit.single(5), probe, GRID, C0).tx_time.ravel()
    want = np.linalg.norm(points - probe.positions[5], axis=1) / C0 + lens_delay(probe, 5, points, 1 / C0)
    assert np.abs(time - want).max() < 1e-11
    # A plane wave keeps its slope in x; the closed form equals the waves of the elements inside its footprint.
    for angle in (0.0, 0.2):
        wave = Transmit.plane(angle)
        delays = wave.firing_times(probe, C0)
        inside = np.abs(points[:, 0] - points[:, 2] * np.tan(angle)) < 2e-3
        closed = arrivals(wave, probe, GRID, C0).tx_time.ravel()
        composed = arrivals(Transmit.free(delays), probe, GRID, C0).tx_time.ravel()
        assert np.abs(closed - composed)[inside].max() < 0.1e-9
        q = np.sin(angle) / C0
        added = closed - arrivals(wave, LINEAR, GRID, C0).tx_time.ravel()
        np.testing.assert_allclose(added, 0.9e-3 * np.sqrt(1 / speed**2 - q**2), atol=1e-11)


def test_lens_with_a_table_of_slowness(device, rng):
    """The lens in front of a medium: the same as in front of a number where the medium is that number."""
    times = arrivals(plane_waves([0.0]), lensed(1000.0), GRID, C0)
    slowness = np.full((24, 2, 2), 1 / C0, np.float32)
    grid = Grid((2, 2), (12e-3, 10e-3), (-6e-3, 3e-3))
    tabulated = replace(times, rx_slowness=slowness, rx_grid=grid)
    samples = make_samples(rng, times, "complex64")
    a, b = (run(Beamformer(t, Sampling(FS, 600, FC), device=device), samples, device) for t in (times, tabulated))
    assert error(b, a) < 2e-5


@pytest.mark.parametrize("case", ["axes", "weights", "rows", "lens"])
def test_adjoint(case, device, rng):
    options = {"window": "blackman", "f_number": 1.0}
    if case == "axes":
        times = arrivals(plane_waves([0.2, -0.1]), LINEAR, GRID, C0)
        options["aperture_axis"] = "beam"
    elif case == "weights":
        times = arrivals(plane_waves([0.2, -0.1]), LINEAR, GRID, C0)
        options["element_weights"] = rng.uniform(-1, 1, (2, 24))
    elif case == "rows":
        sequence = orthogonal_plane_waves(ROWS, [0.1])
        times = arrivals(sequence, ROWS, VOLUME, C0)
        options["element_weights"] = orthogonal_receivers(sequence, ROWS)
    else:
        times = arrivals(plane_waves([0.2]), lensed(1000.0), GRID, C0)
    plan = Beamformer(times, Sampling(FS, 600, FC), device=device, **options)
    x = make_samples(rng, times, "complex64")
    y = rng.standard_normal((1, *times.grid.shape)) + 1j * rng.standard_normal((1, *times.grid.shape))
    y = y.astype(np.complex64)
    back = run(plan.adjoint, y, device)
    assert abs(np.vdot(run(plan, x, device), y) - np.vdot(x, back)) < 1e-4 * np.linalg.norm(x) * np.linalg.norm(back)


def test_refuses_what_makes_no_aperture():
    times = arrivals([Transmit.single(0), Transmit.single(1)], LINEAR, GRID, C0)
    sampling = Sampling(FS, 600)
    for options, message in (
        ({"aperture_axis": "beam"}, "aperture_axis: 'beam' needs"),
        ({"aperture_axis": "line"}, "'line' needs a SectorGrid"),
        ({"aperture_axis": "sideways"}, "aperture_axis"),
        ({"aperture_axis": [0, 0, 0]}, "non-zero direction"),
        ({"aperture_axis": [0, 0, 1], "f_number": 0}, "needs an f_number"),
        ({"window": "blackman", "f_number": None}, "needs an f_number"),
        ({"window": ("hann", 3)}, "only 'tukey' and 'kaiser'"),
        ({"window": np.zeros(5)}, "all zero"),
        ({"window": np.ones((2, 5))}, "2 to 65536"),
        ({"window": lambda u: 1.0}, "function of u"),
        ({"element_weights": np.ones(23)}, "element_weights: expected shape"),
        ({"element_weights": np.zeros(24)}, "at least one receiving"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Beamformer(times, sampling, **options)


def test_refuses_what_rows_cannot_do():
    with pytest.raises(ArgumentError, match="cannot steer along"):
        ChannelData(np.zeros((1, 1, 16, 8), "f4"), ROWS, Transmit.plane(0.1), FS)
    with pytest.raises(ArgumentError, match="rows and columns"):
        orthogonal_plane_waves(LINEAR, [0.0])
    with pytest.raises(ArgumentError, match="rows or columns to fire"):
        orthogonal_receivers([Transmit.plane()], ROWS)
    medium = Medium(Grid((9, 9, 9), (2e-3,) * 3, (-8e-3, -8e-3, 0)), 1540.0)
    with pytest.raises(ArgumentError, match="point-like elements in a medium"):
        arrivals(orthogonal_plane_waves(ROWS, [0.0]), ROWS, VOLUME, medium, sequence_sound_speed=C0)
