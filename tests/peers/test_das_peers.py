"""Delay-and-sum against PyMUST and vbeam on real and simulated data of others (peer)."""

import pytest

from sonoray import Grid
from sonoray.beamforming.arrivals import arrivals
from sonoray.beamforming.das import Beamformer

from .problems import distance, problem, sampled_aperture

pytestmark = pytest.mark.peer
# Float32 of ours (samples, weights, fractions of a sample) against the peers' double precision, relative L2.
PARITY = 1e-4


def test_pymust_on_iq_of_a_rotating_disk(disk, peer):
    grid = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=0.4e-3)
    want = peer("pymust", "pymust", **problem(disk, grid, f_number=1.5))
    same = Beamformer(sampled_aperture(disk, grid), disk, f_number=1.5)(disk)
    assert same.shape == (2, *grid.shape)
    assert distance(same[0], want) < PARITY
    # The exact plane wave: PyMUST's sampled aperture is late by up to (pitch / 8)^2 / 2 z, 1.5e-3 rad at 10 mm.
    plane = Beamformer(arrivals(disk.transmits, disk.probe, grid, disk.sound_speed), disk, f_number=1.5)(disk)
    assert distance(plane[0], want) < 1.5e-3


def test_pymust_on_rf_of_three_plane_waves(scatterers, peer):
    grid = Grid.from_extent(x=(-15e-3, 15e-3), z=(8e-3, 45e-3), spacing=0.4e-3)
    want = peer("pymust", "pymust", **problem(scatterers, grid, f_number=1.5)).real
    got = Beamformer(sampled_aperture(scatterers, grid), scatterers, f_number=1.5)(scatterers)
    assert distance(got[0], want) < PARITY


def test_vbeam_on_rf_of_three_plane_waves(scatterers, peer):
    grid = Grid.from_extent(x=(-15e-3, 15e-3), z=(8e-3, 45e-3), spacing=0.4e-3)
    want = peer("vbeam", "vbeam", **problem(scatterers, grid))
    exact = arrivals(scatterers.transmits, scatterers.probe, grid, scatterers.sound_speed)
    got = Beamformer(exact, scatterers, f_number=None)(scatterers)
    assert distance(got[0], want) < PARITY


def test_vbeam_on_iq_of_a_rotating_disk(disk, peer):
    grid = Grid.from_extent(x=(-12.5e-3, 12.5e-3), z=(10e-3, 35e-3), spacing=0.4e-3)
    want = peer("vbeam", "vbeam", **problem(disk, grid))
    exact = arrivals(disk.transmits, disk.probe, grid, disk.sound_speed)
    got = Beamformer(exact, disk, f_number=None)(disk)
    assert distance(got[0], want) < PARITY
