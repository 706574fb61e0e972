"""The site's tree is the repository's: README.md, docs/, bench/*.md and what pages link to keep their places.

So a relative link leads to the same page on the site, in a checkout and in a code browser, and the pages on validation
and benchmarks are those that stand beside the benchmarks.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("*.md", "docs/**/*.md", "bench/*.md", "examples/**/*.md")
FILES = (
    "LICENSE",
    "CITATION.cff",
    "pyproject.toml",
    "docs/images/*",
    "docs/_hooks/*.css",
    "examples/**/*.*",
    "cpp/capi/*.h*",
)
BENCHMARKS = "Validation and benchmarks"


def _found(patterns):
    found = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path)


def _title(path):
    first = next(line for line in (ROOT / path).read_text().splitlines() if line.startswith("# "))
    return first[2:].split(":")[0]


def on_config(config):
    """Fill the pages of benchmarks in."""
    nav = config.nav
    benchmarks = [
        "docs/validation.md",
        "bench/README.md",
        *(p for p in _found(["bench/*.md"]) if p != "bench/README.md"),
    ]
    listed = str(nav)
    for entry in nav:
        if BENCHMARKS in entry:
            entry[BENCHMARKS] = [{_title(path): path} for path in benchmarks]
        if "How-to" in entry:  # pages that nobody has put into the navigation yet
            new = [p for p in _found(["docs/*.md", "docs/models/*.md", "docs/how-to/*.md"]) if f"'{p}'" not in listed]
            entry["How-to"] += [{_title(path): path} for path in new if path not in benchmarks]
    return config


def on_files(files, config):
    """Put the repository's pages where they are in the repository."""
    from mkdocs.structure.files import File, Files

    kept = [file for file in files if file.abs_src_path and not Path(file.abs_src_path).is_relative_to(ROOT / "docs")]
    kept += [file for file in files if file.abs_src_path is None]
    mine = [File.generated(config, path, abs_src_path=str(ROOT / path)) for path in _found([*PAGES, *FILES])]
    return Files([*kept, *mine])
