"""The stubs of the compiled modules list what the modules have (`make stubs` regenerates them)."""

import ast
import importlib
from pathlib import Path

import pytest

import sonoray

FOLDER = Path(__file__).parents[1] / "python" / "sonoray"


@pytest.mark.parametrize("name", ["_cpu", "_cuda"])
def test_stub_matches_the_module(name):
    try:
        module = importlib.import_module(f"sonoray.{name}")
    except ImportError:
        pytest.skip(f"this build has no {name}")
    stub = {
        n.name
        for n in ast.parse((FOLDER / f"{name}.pyi").read_text()).body
        if isinstance(n, (ast.ClassDef, ast.FunctionDef))
    }
    assert stub == {n for n in dir(module) if not n.startswith("_")}


def test_public_names_are_sorted_and_exist():
    assert sorted(sonoray.__all__) == list(sonoray.__all__)
    for name in sonoray.__all__:
        assert hasattr(sonoray, name), name
