"""Where real recordings lie, for the tests that use them."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def recording():
    """Return a function from a path inside the data folder to the file, skipping where it is absent."""
    folder = Path(os.environ.get("SONORAY_DATA", Path(__file__).parents[3] / "shared" / "data"))

    def find(name):
        if not (folder / name).exists():
            pytest.skip(f"recording {name} is not in the data folder (SONORAY_DATA)")
        return folder / name

    return find
