"""TeX to MathML while the site is built: no JavaScript is needed to show it, and an unknown command fails the build."""

import html
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)


def _mathml(tex, **options):
    result = convert(html.unescape(tex).strip(), **options)
    unknown = re.search(r"\\[A-Za-z]+", result)  # what it does not know it copies
    if unknown:
        raise ValueError(f"{unknown[0]}: expected TeX that latex2mathml knows, got {tex}")
    return result


def on_page_content(content, **_):
    """Replace what `pymdownx.arithmatex` marked."""
    content = _BLOCK.sub(lambda found: _mathml(found[1], display="block"), content)
    return _INLINE.sub(lambda found: _mathml(found[1]), content)
