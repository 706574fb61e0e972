"""The rules of ARCHITECTURE.md that a machine can check."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CPP = sorted(p for d in ("cpp", "cuda") for p in (ROOT / d).rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".cuh"})
PY = sorted((ROOT / "python").rglob("*.py"))
RANK = {"core": 0, "imaging": 1, "media": 1, "rays": 2, "beamforming": 3, "inversion": 3, "bindings": 4, "capi": 4}
HOMES = {  # an optional package -> the only places that may import it
    "matplotlib": ("plotting.py", "viewer.py"),
    "napari": ("viewer.py",),
    "onnxruntime": ("learning/runtime.py",),
    "torch": ("training/", "autograd.py"),
    "lightning_fabric": ("training/hardware.py",),
    "skimage": ("restoration/quality.py", "training/", "simulation/"),
    "h5py": ("io/", "assets/"),
    "pydicom": ("io/",),
    "PIL": ("io/", "plotting.py", "demo/"),
    "imageio": ("io/videos.py",),
    "nibabel": ("io/",),
    "pooch": ("io/", "datasets.py"),
    "devito": ("simulation/",),
    "tqdm": ("demo/", "_progress.py", "cli/"),
}
FILE_LINES, FUNCTION_LINES = 500, 80


def ids(path):
    return str(path.relative_to(ROOT))


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", CPP, ids=ids)
def test_includes_point_down(path):
    group = path.relative_to(ROOT).parts[1]
    for other in re.findall(r'#include "(\w+)/', path.read_text()):
        assert other == group or RANK[other] < RANK[group], f"{group} must not include {other}"


@pytest.mark.parametrize("path", CPP, ids=ids)
def test_core_never_prints_exits_or_reads_the_environment(path):
    code = re.sub(r"//.*|/\*.*?\*/", "", path.read_text())
    assert not re.search(r"\b(printf|std::cout|std::cerr|abort|exit|terminate|getenv)\s*[(<]", code)


@pytest.mark.parametrize("path", [p for p in CPP if ROOT / "cpp" in p.parents], ids=ids)
def test_cpp_knows_no_cuda_and_only_bindings_know_python(path):
    text = path.read_text()
    assert not re.search(r"cuda_runtime|<<<|#include .*\.cuh", text)
    assert "bindings" in path.parts or not re.search(r"#include <(nanobind|pybind11)", text)


@pytest.mark.parametrize("path", sorted((ROOT / "cuda").rglob("*.cu")), ids=ids)
def test_every_cuda_kernel_has_its_host_twin(path):
    group = path.relative_to(ROOT / "cuda").parent
    if group.name == "core":
        pytest.skip("core/*.cu handle memory and devices, there is no formula in them")
    stem = path.stem.split("_")[0]
    assert list((ROOT / "cpp" / group).glob(f"{stem}*.cpp")), f"no host file for {path.stem}"


@pytest.mark.parametrize("path", CPP + PY, ids=ids)
def test_files_stay_small(path):
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES, f"{lines} lines: split it by idea"


@pytest.mark.parametrize("path", PY, ids=ids)
def test_functions_stay_small(path):
    for node in functions(path):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert lines <= FUNCTION_LINES, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", PY, ids=ids)
def test_optional_packages_have_one_home(path):
    relative = path.relative_to(ROOT / "python" / "sonoray").as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            homes = HOMES.get(name.split(".")[0])
            assert homes is None or relative.startswith(homes), f"{name} is imported in {relative}"


@pytest.mark.parametrize("path", PY, ids=ids)
def test_public_callables_are_documented(path):
    if path.name.startswith("_") and path.name != "__init__.py":
        pytest.skip("private module")
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_no_file_names_a_private_place():
    own = {ROOT / "tests" / "test_architecture.py"}
    secret = re.compile("/work" + "/|farm-" + "(bench|studio)|" + r"\.lib" + "rary/")
    files = [p for d in ("cpp", "cuda", "python", "tests", "bench", "docs", ".github") for p in (ROOT / d).rglob("*")]
    text = {".py", ".h", ".cpp", ".cu", ".cuh", ".md", ".toml", ".yml", ".yaml"}
    for path in [*files, *ROOT.glob("*.md"), ROOT / "Makefile"]:
        if path.suffix in text and path not in own:
            assert not secret.search(path.read_text()), path
