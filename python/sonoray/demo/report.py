"""One HTML file with its pictures inside: every case that has data, and why the others have none."""

import base64
import html
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._progress import progress
from ..errors import ArgumentError, Error

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left } .absent { color: #777 } h2 { margin-top: 3rem }
"""


@dataclass(frozen=True)
class Case:
    """One finished case: what was done, its pictures (matplotlib figures) and its figures of merit."""

    title: str
    text: str
    figures: list[Any] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)  # the first row is the head


class NoDataError(Error):
    """The data of a case is neither here nor to be had."""


def _figure(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f'<p><img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"></p>'


def _table(rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = []
    for i, row in enumerate(rows):
        tag = "th" if i == 0 else "td"
        lines.append("<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def section(case: Case, seconds: float | None = None) -> str:
    """A finished case as HTML, its pictures inside."""
    body = "".join(map(_figure, case.figures)) + _table(case.table)
    took = "" if seconds is None else f"<p>{seconds:.1f} s</p>"
    return f"<h2>{html.escape(case.title)}</h2><p>{html.escape(case.text)}</p>{body}{took}"


def page(title: str, sections: Sequence[str]) -> str:
    """A complete HTML document."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1>{''.join(sections)}</html>"
    )


def write_report(folder: Path, *, offline: bool = False, only: Sequence[str] | None = None) -> str:
    """Run the demo's cases and write ``folder/index.html``.

    Parameters
    ----------
    folder : path
        Made if need be.
    offline : bool
        Use data folder, cache and package only; never download.
    only : sequence of str, optional
        Names of cases; default all.

    Returns
    -------
    str
        One line per case and where the report is.

    Raises
    ------
    ArgumentError
        An unknown case.
    """
    from .cases import CASES

    names = list(CASES) if not only else list(only)
    for name in names:
        if name not in CASES:
            raise ArgumentError(f"case: expected one of {', '.join(CASES)}, got {name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    sections, lines = [], []
    for name in progress(names, "demo"):
        begin = time.perf_counter()
        try:
            case = CASES[name](offline)
        except Error as error:  # one bad file must not cost the other cases
            sections.append(f'<h2>{html.escape(name)}</h2><p class="absent">{html.escape(str(error))}</p>')
            lines.append(f"{name:<12} {'no data' if isinstance(error, NoDataError) else 'failed'}: {error}")
            continue
        seconds = time.perf_counter() - begin
        sections.append(section(case, seconds))
        lines.append(f"{name:<12} {seconds:6.1f} s   {case.title}")
        lines.extend(f"{'':<13}" + "  ".join(row) for row in case.table)
    target = folder / "index.html"
    draft = folder / "index.html.part"
    draft.write_text(page("sonoray demo", sections), encoding="utf-8")
    os.replace(draft, target)
    return "\n".join([*lines, f"report: {target}"])
