"""Devices as a test parameter, the data folder, and seeds."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import sonoray

ROOT = Path(__file__).parents[1]


def data_folder() -> Path | None:
    """Folder of real data sets: SONORAY_DATA, else ../shared/data beside the checkout, else none."""
    named = os.environ.get("SONORAY_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data():
    """Return a function: relative path -> file of a real data set; skips the test where it is absent."""

    def find(relative: str) -> Path:
        folder = data_folder()
        if folder is None or not (folder / relative).exists():
            pytest.skip(f"real data {relative} is not here (set SONORAY_DATA, or: sonoray data get)")
        return folder / relative

    return find


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])


@pytest.fixture(autouse=True)
def _skip_without_device(request):
    wanted = request.getfixturevalue("device") if "device" in request.fixturenames else "cpu"
    if wanted == "cuda" and len(sonoray.devices()) < 2:
        pytest.skip("no CUDA device")


def pytest_collection_modifyitems(config, items):
    """Tests marked `slow` run only when asked for by name or by -m."""
    asked = config.getoption("markexpr") or any("::" in str(a) for a in config.args)
    if asked:
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with -m slow"))


# A loaded machine must not fail a property-based test for being slow.
# CI takes the same examples each time, so that a change fails for what it changed.
settings.register_profile("sonoray", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("sonoray")


@pytest.fixture
def boards(monkeypatch):
    """Folders that TensorBoard would write to, which need not be installed."""
    from sonoray.training import logs

    class Writer:
        def __init__(self, folder):
            written.append(Path(folder))

        def add_scalar(self, tag, value, step):
            assert np.isscalar(step)

        def flush(self):
            pass

        close = flush

    written = []
    monkeypatch.setattr(logs, "summary_writer", lambda: Writer)
    return written
