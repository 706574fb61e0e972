"""What is shipped: versions agree, data files go with the package, and (slow) a wheel from the sdist works alone."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import sonoray

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "sonoray"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_MEGABYTES = 25.0  # of a wheel with the CUDA backend; half of it is examples and networks


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["scikit-build"]["metadata"]["version"]["input"] == "python/sonoray/__init__.py"
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    assert re.search(r"^  version: (\S+)", recipe, re.M)[1] == sonoray.__version__
    assert "version:" not in (ROOT / "CITATION.cff").read_text().replace("cff-version:", "")


def test_requirements_agree():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    for requirement in (*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]):
        name, bound = requirement.split(">=")
        assert f"- {name} >={bound}\n" in recipe
    extras = PROJECT["project"]["optional-dependencies"]
    makefile = (ROOT / "Makefile").read_text()
    for requirement in extras["docs"]:
        assert f"'{requirement}'" in makefile


def test_wheels_are_built_for_every_supported_python():
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=3.")
    builds = PROJECT["tool"]["cibuildwheel"]["build"].split()
    assert builds == [f"cp3{minor}-*" for minor in range(int(oldest), int(oldest) + len(builds))] and len(builds) >= 4
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
    for script in re.findall(r"\.ci/[\w.-]+", workflow + str(PROJECT["tool"]["cibuildwheel"])):
        assert (ROOT / script).exists(), script


def test_data_files_belong_to_the_package():
    """Everything that code asks for lies in the folder that becomes the wheel, and none of it is ignored by git."""
    assert PROJECT["tool"]["scikit-build"]["wheel"]["packages"] == ["python/sonoray"]
    assert "exclude" not in PROJECT["tool"]["scikit-build"]["wheel"]
    asked = set(re.findall(r'"([\w-]+\.(?:h5|mat|onnx|toml))"', (PACKAGE / "assets" / "__init__.py").read_text()))
    assert len(asked) >= 8
    assert all((PACKAGE / "assets" / name).stat().st_size > 1000 for name in asked)
    for name in ("py.typed", "_cpu.pyi", "_cuda.pyi", "datasets.toml"):
        assert (PACKAGE / name).exists()


def test_examples_and_networks_stay_small():
    size = sum(path.stat().st_size for path in (PACKAGE / "assets").iterdir() if path.suffix != ".py")
    assert size < 13e6, "every installation carries them; leave large data to `sonoray data get`"


def _run(*command, **environment):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=3600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_wheel_from_the_sdist_works_alone(tmp_path):
    """sdist, wheel, empty environment (NumPy, SciPy, h5py), no sources on the path, no driver.

    Needs the build tools of `make dev`, a compiler and minutes; host only, unless SONORAY_EXPECT_CUDA=1.
    """
    backend = pytest.importorskip("scikit_build_core.build")
    cuda = os.environ.get("SONORAY_EXPECT_CUDA", "0")
    script = f"import os; os.chdir({str(ROOT)!r}); import {backend.__name__} as b; b.build_sdist({str(tmp_path)!r})"
    _run(sys.executable, "-c", script)
    source = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(source) as archive:
        names = archive.getnames()
    for part in ("/LICENSE", "/CMakeLists.txt", "/python/sonoray/assets/sound_speed.onnx", "/cpp/core/view.h"):
        assert any(name.endswith(part) for name in names), part
    _run(
        sys.executable, "-m", "pip", "wheel", str(source), "-w", str(tmp_path), "--no-deps", "--no-build-isolation",
        "-C", f"cmake.define.SONORAY_CUDA={'ON' if cuda == '1' else 'OFF'}",
    )  # fmt: skip
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    assert wheel.stat().st_size < MOST_MEGABYTES * 1e6
    shipped = {path.relative_to(PACKAGE.parent).as_posix() for path in (PACKAGE / "assets").iterdir() if path.is_file()}
    assert shipped <= set(inside)
    assert not [name for name in inside if name.startswith(("tests/", "cpp/", "bench/"))]
    venv.create(tmp_path / "empty", with_pip=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    _run(python, "-m", "pip", "install", "-q", str(wheel))
    said = _run(python, str(ROOT / ".ci" / "try_wheel.py"), SONORAY_EXPECT_CUDA=cuda, PYTHONPATH="")
    assert "mm off" in said
    found = json.loads(_run(python, "-c", "import json, sonoray; print(json.dumps(sonoray.__file__))", PYTHONPATH=""))
    assert found.startswith(str(tmp_path))
