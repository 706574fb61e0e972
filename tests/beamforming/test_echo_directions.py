"""Directions from which apertures see points: those of the elements that the beamformer sums, and their limits."""

import numpy as np
import pytest

import sonoray
from sonoray import Grid, Probe
from sonoray.beamforming.echo_directions import receive_directions
from sonoray.beamforming.receive_aperture import beam_origins

from ..reference.das import receive_weight

GRID = Grid((41, 33), 5e-4, (-10e-3, 6e-3))


@pytest.mark.parametrize("window", ["boxcar", "hann", ("tukey", 0.4), "blackman"])
@pytest.mark.parametrize("axis", ["normal", "beam", (0.2, 0.0, 1.0)])
@pytest.mark.parametrize("curved", [False, True])
def test_they_are_means_over_the_powers_of_the_reference(window, axis, curved):
    width = 0.25e-3
    probe = Probe.curvilinear(48, 0.3e-3, 30e-3, width=width) if curved else Probe.linear(48, 0.3e-3, width=width)
    wave = [sonoray.Transmit.plane(np.deg2rad(10.0))]
    origins = beam_origins(wave, probe)
    row = {"normal": None, "beam": origins[0]}.get(axis if isinstance(axis, str) else "", np.array([-0.2, 0, -1.0, 0]))
    found = receive_directions(
        GRID, probe, f_number=1.2, window=window, aperture_axis=axis, beam_origins=origins, wavelength=3e-4
    )
    points = GRID.points().reshape(-1, 3)
    total, want = np.zeros(len(points)), np.zeros((2, len(points)))
    for e in range(probe.n_elements):
        w = receive_weight(probe, e, points, 1.2, window, width / 3e-4, row) ** 2
        d = points - probe.positions[e]
        total += w
        want += w * (d / np.linalg.norm(d, axis=1)[:, None]).T[[0, 2]]
    want /= np.where(total == 0, 1, total)
    # The window of the core is a table; points where one element comes and goes at the edge of a boxcar.
    off = np.abs(found.reshape(2, -1) - want).max(axis=0)
    assert np.quantile(off, 0.98) < 1e-4
    assert off.max() < 0.05


@pytest.mark.parametrize("x", [4e-3, 6.4e-3, 8e-3])
def test_speckle_turns_as_fast_as_they_say_beside_the_probes_edge(x):
    """Random scatterers that move along x, delayed and summed here; amplitudes as weights would be 0.016 too high."""
    wavelength, z, f_number, probe = 3e-4, 20e-3, 1.5, Probe.linear(64, 0.2e-3)
    offset = x - probe.positions[:, 0]
    u = 2 * f_number * np.abs(offset) / z
    seen = u < 1
    offset, window = offset[seen], np.cos(np.pi / 2 * u[seen]) ** 2
    rng, step, lag_one = np.random.default_rng(5), wavelength / 25, 0.0

    def signals(across, deep):
        """What the sum makes of each scatterer, at (across, deep) from the point, under a plane wave along z."""
        late = deep + np.hypot(across + offset, z + deep) - np.hypot(offset, z)
        return np.exp(-2j * np.pi * late / wavelength - (late / 6e-4) ** 2) @ window

    for _ in range(3):
        place = rng.uniform(-1, 1, (2, 3000, 1)) * np.reshape([3e-3, 1.5e-3], (2, 1, 1))
        # Strengths of scatterers are independent: on average products of different ones vanish.
        lag_one += np.vdot(signals(*place), signals(place[0] + step, place[1]))
    measured = -np.angle(lag_one) * wavelength / (2 * np.pi * step)
    said = receive_directions(Grid((2, 2), 1e-6, (x, z)), probe, f_number=f_number, window="hann")[0, 0, 0]
    assert measured == pytest.approx(said, abs=0.005)  # 9000 scatterers: 0.001; directions are denser to the sides


def test_far_narrow_apertures_look_along_their_axis():
    probe = Probe.linear(256, 0.1e-3)
    axis = np.array([np.sin(0.2), 0, np.cos(0.2)])
    found = receive_directions(GRID, probe, f_number=20.0, window="hann", aperture_axis=axis)
    there = np.abs(GRID.x[:, None] - GRID.z * np.tan(0.2)) < 11e-3  # the axis meets the probe
    np.testing.assert_allclose(found[:, there].T, np.tile(axis[[0, 2]], (there.sum(), 1)), atol=5e-3)


def test_large_images_are_interpolated_and_points_that_nothing_sees_are_zero():
    probe = Probe.linear(32, 0.3e-3)
    fine = Grid((301, 201), 1e-4, (-15e-3, 5e-3))
    found = receive_directions(fine, probe, f_number=0, window="boxcar")
    d = fine.points()[:, :, None] - probe.positions
    want = (d / np.linalg.norm(d, axis=-1, keepdims=True)).mean(axis=2)[..., [0, 2]]
    np.testing.assert_allclose(found, np.moveaxis(want, -1, 0), atol=2e-3)  # nodes 0.6 mm apart, 5 mm deep
    narrow = receive_directions(fine, probe, f_number=4, window="hann")
    assert (narrow[:, 0] == 0).all()  # 10 mm beside the probe, apertures of 2 mm
