"""Every kind of probe: its echoes come from where the scatterer is, in amplitude and phase like sums in float64."""

import numpy as np
import pytest

from sonoray import (
    ArgumentError,
    Beamformer,
    Grid,
    Medium,
    Probe,
    SectorGrid,
    Transmit,
    arrivals,
    default_grid,
    focused_lines,
    full_synthetic_aperture,
    orthogonal_plane_waves,
    orthogonal_receivers,
    reconstruct_bmode,
)
from sonoray.beamforming.echoes import simulate_echoes
from tests.reference.arrivals import GradientSolver
from tests.reference.das import delay_and_sum, receive_weight

C0, FC, FS = 1540.0, 3e6, 8e6
WAVE = C0 / FC
OPTIONS = {"center_frequency": FC, "width": 0.8 * WAVE / 2}
PROBES = {
    "linear": (Probe.linear(16, WAVE / 2, **OPTIONS), [0.7e-3, 0, 9e-3]),
    "phased": (Probe.phased(16, WAVE / 2, **OPTIONS), [6e-3, 0, 9e-3]),
    "curvilinear": (Probe.curvilinear(16, 0.7 * WAVE, 12e-3, **OPTIONS), [2e-3, 0, 9e-3]),
    "matrix": (Probe.matrix(6, 5, WAVE / 2, **OPTIONS), [1.1e-3, -1.7e-3, 8e-3]),
    "ring": (Probe.ring(24, 9e-3, **OPTIONS), [1.5e-3, 0, -1.1e-3]),
    "bowl": (Probe.bowl(30, 10e-3, **OPTIONS), [0.8e-3, 1.1e-3, 0.3e-3]),
    "free": (
        Probe(np.random.default_rng(3).uniform([-4e-3, -3e-3, -1e-3], [4e-3, 3e-3, 1e-3], (20, 3)), **OPTIONS),
        [1e-3, 0.5e-3, 9e-3],
    ),
    "lens": (Probe.linear(16, WAVE / 2, lens_thickness=0.8e-3, lens_sound_speed=1000.0, **OPTIONS), [1e-3, 0, 7e-3]),
}


def around(point, n=9, step=WAVE / 8):
    """Grid with the point on a node; a plane where the point lies in one."""
    axes = (0, 1, 2) if point[1] else (0, 2)
    return Grid((n,) * len(axes), (step,) * len(axes), tuple(point[a] - n // 2 * step for a in axes))


def echoes(probe, transmits, point, duration=3e-5, medium=C0):
    return simulate_echoes(medium, probe, transmits, [point], [1.0], sampling_frequency=FS, duration=duration)


@pytest.mark.parametrize("name", list(PROBES))
def test_synthetic_aperture(name, device):
    """All pairs of elements add up in phase at the scatterer, each with its directivity and spreading."""
    probe, point = PROBES[name]
    data = echoes(probe, full_synthetic_aperture(probe), point)
    grid = around(point)
    times = arrivals(data.transmits, probe, grid, C0)
    image = reconstruct(times, data, device, f_number=None, interpolation="cubic")
    assert np.unravel_index(np.abs(image).argmax(), grid.shape) == tuple(n // 2 for n in grid.shape)
    distance = np.linalg.norm(probe.positions - point, axis=1)
    flat = not probe.positions[:, 1].any() and not point[1]
    target = np.array([point], float)
    loud = [receive_weight(probe, e, target, 0, "boxcar", probe.width / WAVE)[0] for e in range(probe.n_elements)]
    loud *= (10e-3 / distance) ** (0.5 if flat else 1.0)
    # Between samples Keys' cubic loses 1 % of a pulse this wide; the lens bends rays, not the directivity's angle.
    peak = image[tuple(n // 2 for n in grid.shape)]
    assert abs(peak - loud.sum() ** 2) < 0.02 * loud.sum() ** 2


@pytest.mark.parametrize("name", list(PROBES))
def test_equals_the_twin(name, device):
    """One wave of all elements, apertures by the elements' normals."""
    probe, point = PROBES[name]
    data = echoes(probe, Transmit.free(1e-7 * np.arange(probe.n_elements) % 3e-7), point)
    times = arrivals(data.transmits, probe, around(point), C0)
    options = {"f_number": 0.4137, "window": "hann"}
    image = reconstruct(times, data, device, directivity=True, **options)
    want = delay_and_sum(times, data, data.samples, wavelengths=probe.width / WAVE, **options)[0]
    assert np.abs(image - want).max() < 1e-4 * np.abs(want).max()


def reconstruct(times, data, device, **options):
    plan = Beamformer(times, data, device=device, **options)
    if device == "cpu":
        return plan(data)[0]
    from sonoray import to_device, to_host

    return to_host(plan(to_device(data.samples, device)))[0]


ROWS = Probe.row_column(24, 20, 0.6 * WAVE, width=0.5 * WAVE, center_frequency=FC)


def test_row_column_volume(device):
    """Orthogonal plane waves see a scatterer in three dimensions, from either side of the middle."""
    point = np.array([0.9e-3, -1.4e-3, 9e-3])
    sequence = orthogonal_plane_waves(ROWS, np.linspace(-0.25, 0.25, 5))
    data = echoes(ROWS, sequence, point)
    grid = Grid((21, 21, 21), (WAVE / 4,) * 3, tuple(point - 10 * WAVE / 4))
    times = arrivals(sequence, ROWS, grid, C0)
    weights = orthogonal_receivers(sequence, ROWS)
    image = np.abs(reconstruct(times, data, device, f_number=None, element_weights=weights))
    at = np.unravel_index(image.argmax(), grid.shape)
    # A long element's wave is a quarter of a period late: its many points are not all as near as the nearest.
    assert np.abs(np.array(at) - 10).max() <= 1
    assert image[0].max() < 0.25 * image.max()
    assert image[:, 0].max() < 0.25 * image.max()
    rows_only = reconstruct(times, data, device, f_number=None, element_weights=weights * (np.arange(10) < 5)[:, None])
    spread = np.abs(rows_only)[:, 10].max(axis=1)  # rows send, columns receive: focused on receive in x
    assert spread[0] < 0.5 * spread.max()


def test_row_column_needs_the_nearest_point():
    """Far from the middle an element's centre is far from where its echo arrives: with it, depths come out wrong."""
    point = np.array([3e-3, 3e-3, 6e-3])
    sequence = orthogonal_plane_waves(ROWS, [0.0])
    data = echoes(ROWS, sequence, point)
    grid = Grid((1, 1, 41), (1e-3, 1e-3, WAVE / 8), (point[0], point[1], point[2] - 20 * WAVE / 8))
    options = {"f_number": None, "element_weights": orthogonal_receivers(sequence, ROWS)}
    centres = Probe(ROWS.positions, center_frequency=FC, lines=1e-6 * ROWS.lines)
    peaks = []
    for probe in (ROWS, centres):
        image = Beamformer(arrivals(sequence, probe, grid, C0), data.with_(probe=probe), **options)(data.samples)
        peaks.append(int(np.abs(image).argmax()) - 20)
    assert abs(peaks[0]) <= 1
    assert abs(peaks[1]) >= 4


@pytest.mark.parametrize("kind", ["plane", "diverging", "focused"])
def test_matrix_volumes(kind, device):
    probe, point = Probe.matrix(12, 10, WAVE / 2, center_frequency=FC), np.array([1e-3, -1.3e-3, 9e-3])
    angles = (-0.15, 0.0, 0.15)
    if kind == "plane":
        waves = [Transmit.plane(a, elevation=e) for a in angles for e in angles]
    elif kind == "diverging":
        waves = [Transmit.diverging([x, y, -4e-3]) for x in (-1e-3, 1e-3) for y in (-1e-3, 1e-3)]
    else:
        waves = [Transmit.focused([x, y, 9e-3]) for x in (0, 1e-3, 2e-3) for y in (-2e-3, -1.3e-3, 0)]
    data = echoes(probe, waves, point)
    grid = Grid((13, 13, 13), (WAVE / 3,) * 3, tuple(point - 6 * WAVE / 3))
    image = np.abs(reconstruct(arrivals(waves, probe, grid, C0), data, device, f_number=None))
    assert np.abs(np.array(np.unravel_index(image.argmax(), grid.shape)) - 6).max() <= 1


def test_volume_through_a_medium():
    """Travel times of the 3-D eikonal equation put a scatterer where it is; one mean speed does not."""
    probe = Probe.matrix(4, 4, 2e-3, center_frequency=FC)
    medium_grid = Grid((15, 15, 23), (0.8e-3, 0.8e-3, 0.7e-3), (-5.6e-3, -5.6e-3, 0.0))
    c0, gradient = 1400.0, 2.0e4
    medium = Medium(medium_grid, c0 + gradient * medium_grid.points()[..., 2])
    point = np.array([1.5e-3, -1e-3, 14e-3])
    exact = GradientSolver(medium_grid, c0, gradient)
    grid = Grid((9, 9, 21), (0.4e-3, 0.4e-3, 0.1e-3), tuple(point - [1.6e-3, 1.6e-3, 1e-3]))
    sequence = full_synthetic_aperture(probe)[::5]
    found, want = (arrivals(sequence, probe, grid, m) for m in (medium, exact))
    assert np.abs(found.tx_time - want.tx_time).max() < 3e-9
    assert np.abs(found.rx_time(7) - want.rx_time(7)).max() < 3e-9
    data = echoes(probe, sequence, point, medium=medium)
    image = np.abs(Beamformer(found, data, f_number=None)(data)[0])
    assert np.abs(np.array(np.unravel_index(image.argmax(), grid.shape)) - [4, 4, 10]).max() <= 1
    straight = np.abs(Beamformer(arrivals(sequence, probe, grid, 1460.0), data, f_number=None)(data)[0])
    assert abs(np.unravel_index(straight.argmax(), grid.shape)[2] - 10) > 3


@pytest.mark.parametrize("kind", ["linear", "phased", "curvilinear"])
@pytest.mark.parametrize("weighting", ["nearest", "auto"])
def test_scan_lines(kind, weighting):
    """Several image lines from every focused transmit; all transmits whose beam holds a point add up with "auto"."""
    probe = {
        "linear": Probe.linear(32, 0.6 * WAVE, **OPTIONS),
        "phased": Probe.phased(32, WAVE / 2, **OPTIONS),
        "curvilinear": Probe.curvilinear(32, 0.7 * WAVE, 20e-3, **OPTIONS),
    }[kind]
    lines = focused_lines(probe, 12, 16e-3, f_number=2.0)
    point = np.array([1.2e-3, 0, 16e-3])
    data = echoes(probe, lines, point, duration=3.2e-5)
    grid = default_grid(data, depth=(12e-3, 20e-3), spacing=WAVE / 4)
    image, grid = reconstruct_bmode(data, grid=grid, weighting=weighting)
    at = grid.points()[np.unravel_index(np.abs(image[0]).argmax(), grid.shape)]
    assert np.linalg.norm(at - point) < 0.75 * WAVE
    weight = arrivals(lines, probe, grid, C0, weighting=weighting).tx_weight
    if weighting == "nearest":
        np.testing.assert_allclose(weight.sum(axis=0), 1, rtol=1e-6)
        assert (np.count_nonzero(weight, axis=0) == 1).mean() > 0.9
        assert len(grid.points()) > 2 * len(lines)


def test_scan_lines_leave_the_probe_at_time_zero():
    for probe in (Probe.linear(32, 3e-4), Probe.curvilinear(32, 4e-4, 30e-3), Probe.phased(32, 2e-4)):
        for t in focused_lines(probe, 5, 20e-3):
            from_probe = np.linalg.norm(probe.positions - t.origin, axis=1).min()
            assert from_probe <= 0.51 * probe.pitch
            np.testing.assert_allclose(np.linalg.norm(t.focus - t.origin), 20e-3)
            assert np.nanmin(t.firing_times(probe, C0)) < 0 < 1e-9 + np.nanmax(t.firing_times(probe, C0)) + 1e-7
    with pytest.raises(ArgumentError, match="linear, phased or curvilinear"):
        focused_lines(Probe.ring(8, 0.1), 4, 0.02)
    with pytest.raises(ArgumentError, match="'nearest' needs focused"):
        arrivals(
            Transmit.plane(), Probe.linear(8, 3e-4), Grid((2, 2), (1e-3, 1e-3), (0, 5e-3)), C0, weighting="nearest"
        )


def test_default_grids_of_volumes():
    probe = Probe.matrix(8, 6, 3e-4, center_frequency=FC)
    plane = default_grid(echoes(probe, Transmit.plane(), [0, 0, 9e-3]), depth=(5e-3, 15e-3), spacing=1e-3)
    np.testing.assert_allclose(plane.extent[1], (-0.75e-3, 0.75e-3), atol=0.5e-3)
    wide = default_grid(
        echoes(probe, Transmit.diverging([0, 0, -2e-3]), [0, 0, 9e-3]), depth=(5e-3, 15e-3), spacing=1e-3
    )
    half = 1.05e-3 + 15e-3 * 1.05 / 2
    np.testing.assert_allclose(wide.extent[0], (-half, half), atol=1e-3)
    data = echoes(Probe.phased(8, 2e-4, center_frequency=FC), Transmit.plane(), [0, 0, 9e-3])
    assert isinstance(default_grid(data), SectorGrid)
    given = default_grid(data, depth=(5e-3, 15e-3), spacing=1e-3, x=(-2e-3, 3e-3), y=(-1e-3, 1e-3))
    np.testing.assert_allclose(given.extent, [(-2e-3, 3e-3), (-1e-3, 1e-3), (5e-3, 15e-3)])
    assert default_grid(data, x=(0, 1e-3), y=(1e-3, 1e-3)).shape[1] == 1
    for wrong in ({"x": (1e-3, -1e-3)}, {"y": (-5.0, 5.0)}):
        with pytest.raises(ArgumentError):
            default_grid(data, **wrong)
