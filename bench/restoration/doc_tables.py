"""Put what a bench printed into a document, between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""

import re
from pathlib import Path


def put(path, name, text):
    """Replace the part called ``name`` of a Markdown file.

    Raises
    ------
    ValueError
        There is no such part, or more than one.
    """
    path = Path(path)
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    found, n = pattern.subn(lambda _: f"{begin}\n{text.strip()}\n\n{end}", path.read_text())
    if n != 1:
        raise ValueError(f"{path}: expected one part between {begin.strip()} and {end}, found {n}")
    path.write_text(found)
