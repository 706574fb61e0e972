"""The command line from end to end, on data that the tests make; and what it answers to mistakes."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import sonoray
from sonoray.cli import main

C0, FS, F0 = 1540.0, 20e6, 4e6
POINT = (2e-3, 14e-3)


@pytest.fixture(scope="module")
def point_data():
    """One point scatterer seen by a plane wave: Gaussian pulses at the exact echo times."""
    probe = sonoray.Probe.linear(32, 0.3e-3, width=0.27e-3)
    x = probe.positions[:, 0]
    echo = (POINT[1] + np.hypot(x - POINT[0], POINT[1])) / C0
    t = np.arange(600) / FS
    lag = t - echo[:, None]
    rf = np.exp(-((lag / 0.2e-6) ** 2)) * np.cos(2 * np.pi * F0 * lag)
    samples = np.stack([rf, 0.5 * rf])[:, None].astype("f4")
    return sonoray.ChannelData(samples, probe, [sonoray.Transmit.plane()], FS, center_frequency=F0, frame_rate=1e3)


@pytest.fixture
def point_file(point_data, tmp_path):
    sonoray.write(tmp_path / "point.h5", point_data)
    return tmp_path / "point.h5"


def answer(capsys, *arguments):
    """Run the command line; return its status, standard output and standard error."""
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments):
    """Run a command that must fail with one line that is not a traceback."""
    status, _, text = answer(capsys, *arguments)
    assert status == 1
    assert text.startswith("sonoray: ")
    assert "Traceback" not in text
    return text


def test_info_says_what_the_file_holds(point_file, capsys):
    status, text, _ = answer(capsys, "info", point_file)
    assert status == 0
    assert "32" in text
    status, text, _ = answer(capsys, "info", point_file, "--json")
    assert status == 0
    assert json.loads(text)


def test_beamform_finds_the_point(point_file, tmp_path, capsys):
    out = tmp_path / "image.h5"
    status, text, _ = answer(capsys, "beamform", point_file, "-o", out, "--all-frames", "--json", "--quiet")
    assert status == 0
    assert json.loads(text)["frames"] == 2
    image, grid = sonoray.read(out)
    assert image.dtype == np.complex64
    level = np.abs(image[0])
    i, k = np.unravel_index(level.argmax(), level.shape)
    assert (grid.x[i], grid.z[k]) == pytest.approx(POINT, abs=1e-4)
    np.testing.assert_allclose(image[1], 0.5 * image[0], atol=1e-5 * level.max())


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".dcm"])
@pytest.mark.parametrize("compounding", ["coherent", "incoherent"])
def test_pictures_show_the_point_where_it_is(point_file, tmp_path, capsys, suffix, compounding):
    out = tmp_path / f"image{suffix}"
    where = ("--depth-mm", 8, 20, "--spacing-mm", 0.1, "--compounding", compounding)
    assert answer(capsys, "beamform", point_file, "-o", out, "--quiet", *where)[0] == 0
    if suffix == ".dcm":
        import pydicom

        pixels = pydicom.dcmread(out).pixel_array
    else:
        from PIL import Image

        pixels = np.asarray(Image.open(out))
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    rows, columns = np.nonzero(pixels == 255)
    assert 8e-3 + 1e-4 * rows.mean() == pytest.approx(POINT[1], abs=2e-4)
    assert -4.65e-3 + 1e-4 * columns.mean() == pytest.approx(POINT[0], abs=2e-4)
    # A short pulse has no axial tails: three wavelengths off, the picture is black.
    assert pixels[int(rows.mean()) + 12, int(columns.mean())] == 0


def test_a_sound_speed_map_is_used(point_file, tmp_path, capsys):
    grid = sonoray.Grid.from_extent(x=(-8e-3, 8e-3), z=(0, 25e-3), spacing=2e-4)
    sonoray.write(tmp_path / "medium.h5", sonoray.Medium(grid, 1600.0))
    for name, option in (("map", ("--medium", tmp_path / "medium.h5")), ("speed", ("--sound-speed", 1600))):
        arguments = (
            "beamform",
            point_file,
            "-o",
            tmp_path / f"{name}.h5",
            "--quiet",
            "--depth-mm",
            8,
            20,
            "--spacing-mm",
            0.1,
            *option,
        )
        assert answer(capsys, *arguments)[0] == 0
    mapped, grid_a = sonoray.read(tmp_path / "map.h5")
    uniform, grid_b = sonoray.read(tmp_path / "speed.h5")
    assert grid_a == grid_b
    # A constant map is the same physics: what remains is the eikonal table's error, far below the wavelength.
    assert np.abs(mapped - uniform).max() < 0.03 * np.abs(uniform).max()


def test_mistakes_are_answered_with_one_line(point_file, point_data, tmp_path, capsys):
    text = tmp_path / "notes.mat"
    text.write_text("not a MATLAB file")
    assert "notes.mat" in refused(capsys, "info", text)
    refused(capsys, "info", tmp_path / "absent.h5")
    refused(capsys, "info", tmp_path)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(point_file.read_bytes()[:3000])
    assert "cut.h5" in refused(capsys, "beamform", cut, "-o", tmp_path / "a.png")
    assert "m/s" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--sound-speed", 1.54)
    assert ".png, .h5, .dcm" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.bmp")
    assert "can be written to" in refused(capsys, "beamform", point_file, "-o", tmp_path / "no" / "a.png")
    assert "two wavelengths" in refused(
        capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--depth-mm", 0.01, 0.02
    )
    assert "frame" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--frame", 7)
    assert "window" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--window", "flattop")
    assert "f_number" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--f-number", -1)
    assert "Medium" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--medium", point_file)
    assert "metal" in refused(capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--device", "metal")
    assert "is it really in Hz" in refused(
        capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--center-frequency", 4
    )
    small = sonoray.Grid.from_extent(x=(-1e-3, 1e-3), z=(0, 5e-3), spacing=2e-4)
    sonoray.write(tmp_path / "small.h5", sonoray.Medium(small, 1540.0))
    assert "medium's grid" in refused(
        capsys, "beamform", point_file, "-o", tmp_path / "a.png", "--medium", tmp_path / "small.h5"
    )
    unknown = replace(point_data, center_frequency=0.0)
    sonoray.write(tmp_path / "unknown.h5", unknown)
    assert "frequency" in refused(capsys, "beamform", tmp_path / "unknown.h5", "-o", tmp_path / "a.png")
    assert not list(tmp_path.glob("a.*")), "a refused command leaves no file"


def test_missing_extra_is_named(point_file, tmp_path):
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "from sonoray.cli import main\n"
        f"sys.exit(main(['beamform', {str(point_file)!r}, '-o', {str(tmp_path / 'a.png')!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "sonoray[io]" in result.stderr
    assert "Traceback" not in result.stderr


def test_interrupt_is_clean(point_file, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sonoray.cli.beamform.reconstruct_bmode", interrupted)
    status, _, text = answer(capsys, "beamform", point_file, "-o", tmp_path / "a.png")
    assert (status, text) == (130, "sonoray: interrupted\n")
    assert not list(tmp_path.glob("a*"))


def test_data_list_and_unknown_name(capsys):
    status, text, _ = answer(capsys, "data", "list")
    assert status == 0
    assert "must-rotating-disk" in text
    assert "expected one of" in refused(capsys, "data", "get", "no-such-set")


def test_demo_without_data_says_so_and_shows_what_ships(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SONORAY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    status, text, _ = answer(
        capsys, "demo", "--offline", "-o", tmp_path / "report", "--case", "muscle", "--case", "aberration"
    )
    assert status == 0
    assert "muscle       no data" in text
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 1
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "expected one of" in refused(capsys, "demo", "-o", tmp_path, "--case", "moon")


def test_one_bad_file_does_not_cost_the_other_cases(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "data" / "must-rotating-disk"
    folder.mkdir(parents=True)
    size = next(d for d in sonoray.datasets.available() if d.name == "must-rotating-disk").files[0].size
    (folder / "PWI_disk.mat").write_bytes(bytes(size))
    monkeypatch.setenv("SONORAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cases = ("--case", "disk", "--case", "muscle")
    status, text, _ = answer(capsys, "demo", "--offline", "-o", tmp_path / "report", *cases)
    assert status == 0
    assert "disk         failed" in text
    assert (tmp_path / "report" / "index.html").exists()
