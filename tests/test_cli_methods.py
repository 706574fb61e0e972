"""sonoray beamform --method: the adaptive image in the file is the one of the library; defaults are shown."""

import json

import numpy as np
import pytest

import sonoray
from sonoray.beamforming.adaptive_methods import METHODS
from tests.test_cli import answer, point_data, point_file, refused  # noqa: F401 fixtures

WHERE = ("--depth-mm", "12", "16", "--spacing-mm", "0.2", "--quiet")


@pytest.mark.parametrize("method", METHODS)
def test_methods_find_the_point(method, point_file, point_data, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "image.h5"
    status, text, _ = answer(
        capsys, "beamform", point_file, "-o", out, "--method", method, "--f-number", "1.2", "--json", *WHERE
    )
    assert status == 0
    assert json.loads(text)["method"] == method
    image, grid = sonoray.reconstruct_bmode(
        point_data, method=method, f_number=1.2, depth=(12e-3, 16e-3), spacing=0.2e-3, frames=slice(0, 1)
    )
    written, _ = sonoray.read(out)
    np.testing.assert_array_equal(written, image)
    at = np.unravel_index(np.abs(image[0]).argmax(), grid.shape)
    if method != "short-lag-coherence":  # which shows how long waves agree, not how loud they are
        assert np.linalg.norm(grid.points()[at][[0, 2]] - (2e-3, 14e-3)) < 0.3e-3


def test_settings_reach_the_method(point_file, point_data, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "image.h5"
    assert answer(
        capsys, "beamform", point_file, "-o", out, "--method", "capon", "--subarray", "0.3", "--temporal-samples", "1",
        "--diagonal-loading", "0.1", *WHERE,
    )[0] == 0  # fmt: skip
    method = sonoray.adaptive_method("capon", subarray=0.3, temporal_samples=1, diagonal_loading=0.1)
    image, _ = sonoray.reconstruct_bmode(
        point_data, method=method, depth=(12e-3, 16e-3), spacing=0.2e-3, frames=slice(0, 1)
    )
    np.testing.assert_array_equal(sonoray.read(out)[0], image)


def test_mistakes(point_file, tmp_path, capsys):  # noqa: F811
    call = ("beamform", point_file, "-o", tmp_path / "a.png")
    assert "subarray: expected a --method" in refused(capsys, *call, "--subarray", 0.3)
    assert "gamma: expected one of subarray" in refused(capsys, *call, "--method", "capon", "--gamma", 1)
    assert "window: expected 'boxcar'" in refused(capsys, *call, "--method", "capon", "--window", "hann")
    assert "over: expected 'receive'" in refused(capsys, *call, "--over", "transmit")
    assert "over: expected 'receive' for data of one" in refused(
        capsys, *call, "--method", "coherence-factor", "--over", "transmit"
    )
    assert "keeps the phase" in refused(capsys, *call, "--method", "dmas", "--doppler", "color")


def test_help_shows_settings_with_defaults(capsys):
    with pytest.raises(SystemExit):
        answer(capsys, "beamform", "--help")
    text = " ".join(capsys.readouterr().out.split())
    for part in ("capon: 0.5", "capon: 0.01", "pdas: 2.0", "generalized-coherence-factor: 2", "eigenspace: 0.5"):
        assert part in text
