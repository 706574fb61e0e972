"""Examples in docstrings, README and pages run as they stand; links lead somewhere; the reference is complete.

In pages a block marked ``python`` is ours: it compiles everywhere, and runs in tutorials and instructions, block after
block. ``py`` marks what needs more than the tests have: other packages, a GPU, endless frames.
"""

import doctest
import importlib
import importlib.util
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

import sonoray

ROOT = Path(__file__).parents[1]
MODULES = [
    m.name
    for m in pkgutil.walk_packages(sonoray.__path__, "sonoray.")
    if not m.name.endswith(("_cpu", "_cuda", "__main__"))
]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("examples/**/*.md")]
NEEDS = {"layered-autofocus.md": ["onnxruntime"], "train-and-export.md": ["torch", "onnxscript", "skimage"]}
NEEDS["interoperability.md"] = ["torch", "pydicom", "nibabel"]
LONG = {"train-and-export.md"}
RUNNING = [
    *(ROOT / "docs" / name for name in ("getting-started.md", "coming-from.md", "interoperability.md")),
    *sorted(ROOT.glob("docs/tutorials/*.md")),
    *sorted(ROOT.glob("docs/how-to/*.md")),
]


def _name(path):
    return path.relative_to(ROOT).as_posix()


def _blocks(page):
    """Python blocks of a page with their line numbers; those in tabs are indented."""
    text = page.read_text()
    found = re.finditer(r"^( *)```python[^\n]*\n(.*?)^\1```", text, re.S | re.M)
    return [(text.count("\n", 0, block.start(2)) + 1, textwrap.dedent(block[2])) for block in found]


def _hook(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / "_hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(page):
    scope = {}
    for line, block in _blocks(page):
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), scope)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    if name.startswith("sonoray.training."):
        pytest.importorskip("torch")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_readme_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _run(ROOT / "README.md")
    assert list(tmp_path.glob("*.png")), "the README's lines end with a picture"


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=_name(p), marks=[pytest.mark.slow] if p.name in LONG else []) for p in RUNNING]
)
def test_pages_run(page, tmp_path, monkeypatch):
    for package in NEEDS.get(page.name, []):
        pytest.importorskip(package)
    assert _blocks(page)
    monkeypatch.chdir(tmp_path)
    _run(page)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_blocks_compile(page):
    for line, block in _blocks(page):
        compile("\n" * (line - 1) + block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    assert "TODO" not in text
    tree = _hook("tree")
    shown = {*tree._found((*tree.PAGES, *tree.FILES))}
    generated = {*(f"docs/reference/{n or 'sonoray'}.md" for n in _hook("reference").TITLES)}
    generated |= {"docs/reference/command-line.md", "docs/reference/headers.md"}
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            found = (page.parent / target).resolve().relative_to(ROOT.resolve()).as_posix()
            assert found in shown or found in generated, target


def test_reference_has_every_public_name():
    reference = _hook("reference")
    text = "\n".join(reference.page(package) for package in reference.TITLES)
    listed = set(re.findall(r"^::: (\S+)", text, re.M))
    missing = [name for name in sonoray.__all__ if f"sonoray.{name}" not in listed]
    assert not missing
    here = {p.parent.name for p in (ROOT / "python" / "sonoray").glob("*/__init__.py")}
    assert here - {"cli", "demo"} == set(reference.TITLES) - {""}, "a new package needs a title in the reference"


def test_reference_of_the_command_line_has_every_command():
    text = _hook("reference").command_line()
    for command in ("beamform", "tomography", "born", "autofocus", "train sound-speed", "data list"):
        assert f"## sonoray {command}\n" in text


def test_reference_of_headers():
    headers = _hook("headers")
    entries = {headers._name(code): (comment, code) for comment, code in headers.entries(HEADER)}
    assert entries == {
        "Problem": (["What is asked."], "struct Problem {\n  int n;  ///< points\n  void run() { go(); }\n};"),
        "das": (
            ["Sum:", "  image = a s", "of samples."],
            "template <class Exec>\nvoid das(const Exec&, float* image,  ///< [m]\n         int n);",
        ),
        "half": (["Half of it."], "inline int half(int n);"),
        "kSize": (["Bytes."], "constexpr int kSize = 8;"),
    }
    assert "### das\n" in headers.page()


HEADER = """#pragma once
/// What is asked.
struct Problem {
  int n;  ///< points
  void run() { go(); }
};

/// Sum:
///   image = a s
/// of samples.
template <class Exec>
void das(const Exec&, float* image,  ///< [m]
         int n);

// not for readers
void hidden();

/// Half of it.
inline int half(int n) { return n / 2; }

/// Bytes.
constexpr int kSize = 8;
"""


def test_navigation_names_pages_that_exist():
    nav = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    pages = re.findall(r": (\S+\.md)", nav)
    assert len(pages) > 20
    assert [page for page in pages if not (ROOT / page).exists()] == []
