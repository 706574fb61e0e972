"""``sonoray beamform`` on a matrix probe: volumes, slices, extents, lenses, and what it answers to mistakes."""

import json
from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray.beamforming.echoes import simulate_echoes
from tests.test_cli import answer, refused

POINT = (1.2e-3, -0.8e-3, 9e-3)
EXTENT = ("--x-mm", -3, 3, "--y-mm", -2, 2, "--depth-mm", 6, 12, "--spacing-mm", 0.4)


@pytest.fixture(scope="module")
def matrix_file(tmp_path_factory):
    probe = sonoray.Probe.matrix(8, 6, 0.25e-3, center_frequency=3e6)
    waves = [sonoray.Transmit.diverging([x, 0, -3e-3]) for x in (-0.5e-3, 0.5e-3)]
    data = simulate_echoes(1540.0, probe, waves, [POINT], [1.0], sampling_frequency=8e6, duration=2.5e-5)
    path = tmp_path_factory.mktemp("matrix") / "matrix.h5"
    sonoray.write(path, data)
    return path


@pytest.mark.parametrize("ending", [".h5", ".mha", ".nii.gz"])
def test_volume_files(matrix_file, tmp_path, capsys, ending):
    if ending == ".nii.gz":
        pytest.importorskip("nibabel")
    out = tmp_path / f"volume{ending}"
    status, text, _ = answer(capsys, "beamform", matrix_file, "-o", out, *EXTENT, "--json", "--quiet")
    assert status == 0
    assert json.loads(text)["image_shape"] == [16, 11, 16]
    volume, grid = sonoray.read(out)
    volume = np.abs(volume[0]) if ending == ".h5" else volume.reshape(grid.shape)
    assert volume.shape == (16, 11, 16)
    peak = grid.points()[np.unravel_index(volume.argmax(), volume.shape)]
    assert np.abs(peak - POINT).max() < 0.7e-3  # a third of the resolution of an aperture of 2 mm
    if ending != ".h5":
        assert volume.max() == 0
        assert volume.min() >= -60


def test_picture_of_a_volume_shows_three_slices(matrix_file, tmp_path, capsys):
    pillow = pytest.importorskip("PIL.Image")
    where = ("--at-mm", *(1e3 * v for v in POINT))
    for options in ((), where):
        out = tmp_path / "slices.png"
        assert answer(capsys, "beamform", matrix_file, "-o", out, *EXTENT, *options, "--quiet")[0] == 0
        picture = np.asarray(pillow.open(out))
        assert picture.shape == (16 + 8 + 11, 16 + 8 + 11)
        if options:  # all three hold the peak
            assert min(picture[:16, :16].max(), picture[:16, 24:].max(), picture[24:, :16].max()) > 200


def test_lens_and_aperture(matrix_file, tmp_path, capsys):
    data = sonoray.read(matrix_file)
    lens = {"lens_thickness": 1e-3, "lens_sound_speed": 1000.0}
    out = tmp_path / "a.h5"
    options = ("--lens", 1, 1000, "--aperture-axis", "beam", "--window", "blackman", "--f-number", 1.2)
    assert answer(capsys, "beamform", matrix_file, "-o", out, *EXTENT, *options, "--quiet")[0] == 0
    got, grid = sonoray.read(out)
    known = data.with_(probe=replace(data.probe, **lens))
    want, _ = sonoray.reconstruct_bmode(known, grid=grid, aperture_axis="beam", window="blackman", f_number=1.2)
    np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


def test_mistakes(matrix_file, tmp_path, capsys):
    out = tmp_path / "a.png"
    assert "rising order" in refused(capsys, "beamform", matrix_file, "-o", out, "--x-mm", 3, -3)
    assert "right unit" in refused(capsys, "beamform", matrix_file, "-o", out, *EXTENT, "--at-mm", 0, 0, 900)
    assert ".nii.gz" in refused(capsys, "beamform", matrix_file, "-o", tmp_path / "a.gz", *EXTENT)
    assert "lens_sound_speed" in refused(capsys, "beamform", matrix_file, "-o", out, "--lens", 1, 1.0)
    assert "SectorGrid" in refused(capsys, "beamform", matrix_file, "-o", out, *EXTENT, "--aperture-axis", "line")
    assert "nearest" in refused(capsys, "beamform", matrix_file, "-o", out, *EXTENT, "--weighting", "nearest")
