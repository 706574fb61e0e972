"""Write the tables of docs/validation.md from bench/figures.toml: `python -m bench.pages`, `--check` only compares."""

import argparse
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "bench" / "figures.toml"
PAGE = ROOT / "docs" / "validation.md"


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _command(row):
    how = f"held by `{row['held']}`" if "held" in row else f"repeated by `{row['repeat']}`"
    return f"{how}; needs {row['needs']}" if "needs" in row else how


def tables(figures):
    """Return the text of each table by the name of its place in the page."""
    found = [(r["what"], r["truth"], r["found"], _command(r)) for r in figures["validation"]]
    pages = [(f"[{p['title']}](../{p['file']})", p["compares"]) for p in figures["page"]]
    return {
        "validation": _table(["what", "truth", "found", "how"], found),
        "page": _table(["page", "what it compares"], pages),
    }


def written(page, figures):
    """Return the page with its tables as the figures are."""
    for name, table in tables(figures).items():
        place = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)", re.S)
        if len(place.findall(page)) != 1:
            raise ValueError(f"{PAGE.name}: expected one place for the table {name!r}")
        page = place.sub(lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}", page)
    return page


def main():
    """Write the page, or say that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    check = parser.parse_args().check
    old = PAGE.read_text()
    new = written(old, tomllib.loads(FIGURES.read_text()))
    if check and new != old:
        raise SystemExit(f"{PAGE.name}: stale; run `python -m bench.pages`")
    PAGE.write_text(new)


if __name__ == "__main__":
    main()
