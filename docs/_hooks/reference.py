"""The reference: a page per package, made from the sources, so that a new public name is there without being listed.

On each page first what ``import sonoray`` offers, then what the package's modules hold besides. A page says which names
belong on it; mkdocstrings reads their docstrings from the sources, nothing needs to be built. The page on the command
line is the parsers' own help.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "python" / "sonoray"
TITLES = {
    "acquisition": "Acquisition: probes, transmits, channel data",
    "media": "Media: grids, maps, phantoms",
    "rays": "Rays: eikonal equation, tracing, linking",
    "beamforming": "Beamforming: arrival times, delay-and-sum",
    "imaging": "Imaging: detection, metrics, Doppler",
    "inversion": "Inversion: maps from transmission data",
    "autofocus": "Autofocus: sound speed from echoes",
    "restoration": "Restoration: networks on pictures",
    "learning": "Learning: networks that run",
    "training": "Training: networks that learn",
    "simulation": "Simulation: data with known truth",
    "io": "Files in and out",
    "assets": "What ships",
    "": "Devices, errors, data sets, plotting, autograd",
}


def exported():
    """Return the names of `sonoray` with the module that each comes from, as ``{"Beamformer": "beamforming.das"}``."""
    names = {}
    for node in ast.parse((PACKAGE / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {a.asname or a.name: node.module or a.name for a in node.names}
    return names


def _public(path):
    body = ast.parse(path.read_text()).body
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [n.name for n in body if isinstance(n, kinds) and not n.name.startswith("_") and ast.get_docstring(n)]


def _modules(package):
    folder = PACKAGE / package
    found = sorted(folder.rglob("*.py") if package else folder.glob("*.py"))
    parts = [path.relative_to(PACKAGE).with_suffix("").parts for path in found]
    return {".".join(p): path for p, path in zip(parts, found, strict=True) if not any(x.startswith("_") for x in p)}


def _entry(path, level, **options):
    lines = [f"::: {path}", "    options:", f"      heading_level: {level}"]
    return "\n".join([*lines, *(f"      {name}: {value}" for name, value in options.items())])


def page(package):
    """Return the Markdown of a package's page."""
    names = exported()
    parts = [f"# {TITLES[package]}"]
    if package:
        parts.append(ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text())) or "")
    here = [name for name, module in names.items() if (module.split(".")[0] if "." in module else "") == package]
    if package and (PACKAGE / package / "__init__.py").exists():
        here += [name for name, module in names.items() if module == package]
    elif not package:
        here = [name for name in here if not (PACKAGE / names[name]).is_dir()]
    modules = _modules(package)
    here = [name for name in here if name not in modules]  # a module is listed as one
    parts += [_entry(f"sonoray.{name}", 2) for name in sorted(here, key=lambda n: (names[n], n))]
    for module, path in modules.items():
        rest = [name for name in _public(path) if names.get(name) not in (module, package)]
        if rest:
            options = {"members": f"[{', '.join(rest)}]", "show_root_full_path": "true"}
            parts.append(_entry(f"sonoray.{module}", 2, **options))
    return "\n\n".join(parts) + "\n"


def _commands(parser):
    parts = [f"## {parser.prog}", f"```text\n{parser.format_help().rstrip()}\n```"]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in dict.fromkeys(action.choices.values()):
                parts += _commands(child)
    return parts


def command_line():
    """Return the Markdown of the command line's page."""
    sys.path.insert(0, str(PACKAGE.parent))
    try:
        from sonoray.cli import _parser
    finally:
        sys.path.pop(0)
    return "\n\n".join(["# Command line", *_commands(_parser())]) + "\n"


def pages():
    """Return all pages: path in the site's tree to Markdown."""
    made = {f"docs/reference/{package or 'sonoray'}.md": page(package) for package in TITLES}
    return {**made, "docs/reference/command-line.md": command_line()}


def on_config(config):
    """List the pages in the navigation."""
    listed = [{title.split(":")[0]: f"docs/reference/{package or 'sonoray'}.md"} for package, title in TITLES.items()]
    listed[-1] = {"More": "docs/reference/sonoray.md"}
    listed += [{"Command line": "docs/reference/command-line.md"}, {"C and C++": "docs/reference/headers.md"}]
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] = listed
    return config


def on_page_content(content, page, **_):
    """Citations, which docstrings write as ``[1]_`` and ``.. [1]``, as readers expect them."""
    if not page.file.src_uri.startswith("docs/reference/"):
        return content
    content = re.sub(r"(\[\d+\])_(?!\w)", r"\1", content)
    content = re.sub(r"<p>\.\. (\[\d+\])", r"<p>\1", content)
    return re.sub(r"\s\.\. (\[\d+\])", r"<br>\1", content)


def on_files(files, config):
    """Add the pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
